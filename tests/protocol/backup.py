"""kappa backup of a server under load, and kappa restore, whole and to positions: the log is a prefix, views are equal."""
import json
import os
import random
import shutil
import signal
import subprocess
import threading
import time
import urllib.request

import psycopg2

KAPPA, SCRATCH, DATA, HTTP = (os.environ[name] for name in ("KAPPA", "SCRATCH", "KAPPA_DATA", "HTTP"))
VIEWS = ("sums", "lasts", "people", "kept")


def kappa(*args, status=0):
    done = subprocess.run([KAPPA, *args], capture_output=True, text=True)
    assert done.returncode == status, (args, done.returncode, done.stdout, done.stderr)
    return done.stdout + done.stderr


def sql(cursor, text):
    cursor.execute(text)
    return cursor.fetchall() if cursor.description else None


def records(folder):
    """All of a folder's records but for what trimming hides: position, topic, offset, key, value, times."""
    lines = subprocess.run([KAPPA, "log", "records", "--data", folder], capture_output=True, text=True, check=True).stdout
    return [json.loads(line) for line in lines.splitlines()]


def append(topic, rows):
    body = "".join(json.dumps(row) + "\n" for row in rows).encode()
    urllib.request.urlopen(urllib.request.Request("http://%s/topics/%s" % (HTTP, topic), data=body,
                                                  headers={"Content-Type": "application/x-ndjson"})).read()


def write_on(stop, seed):
    rng = random.Random(seed)
    while not stop.is_set():
        append("events", [{"k": rng.randrange(5), "v": rng.randrange(100)} for _ in range(rng.randrange(1, 50))])
        append("short", [{"v": rng.randrange(10)} for _ in range(3)])


def append_long_group():
    """One group that is written in several commits, so that its blocks have log times of their own."""
    append("events", [{"k": 5, "v": i, "pad": random.randbytes(2048).hex()} for i in range(5000)])


def answers(folder, names):
    """The views' rows and the position, as a fresh instance gives them."""
    out = {}
    for name in names:
        text = kappa("sql", "--data", folder, "--format", "csv", "-c", "SELECT * FROM %s" % name)
        out[name] = sorted(text.splitlines())
    return out


def begin_backup(data, folder):
    """A backup that has begun to copy, stopped."""
    links = os.path.join(data, "backup.links")
    while True:
        backup = subprocess.Popen([KAPPA, "backup", folder, "--data", data], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        while backup.poll() is None and not os.path.exists(links):
            time.sleep(0.0005)
        if backup.poll() is None:
            backup.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, backup.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
            if backup.poll() is None and os.path.exists(links):
                return backup
        backup.wait()
        shutil.rmtree(folder)


def killed_backups(data, opened):
    """What a killed backup leaves is no data, and goes with the next one, or with the next start; not so while it goes on."""
    links, folder = os.path.join(data, "backup.links"), os.path.join(SCRATCH, "killed")
    backup = begin_backup(data, folder)
    assert "is being taken" in kappa("backup", folder + "2", "--data", data, status=1)
    if opened:
        opened()
    assert os.path.exists(links)
    backup.send_signal(signal.SIGCONT)
    assert backup.wait() == 0 and not os.path.exists(links)
    shutil.rmtree(folder)
    for again in range(2):
        backup = begin_backup(data, folder)
        backup.kill()
        backup.wait()
        assert os.path.exists(links) and os.path.exists(folder + ".partial") and not os.path.exists(folder)
        if again and opened:
            opened()
        else:
            kappa("backup", folder, "--data", data)
            shutil.rmtree(folder)
            assert not os.path.exists(folder + ".partial")
        assert not os.path.exists(links)


def mended_backup():
    """A rotten bit that readers mend does not keep a backup from being made; one that loses records does."""
    kept = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "kept", "2", "data")
    data, folder = os.path.join(SCRATCH, "mended"), os.path.join(SCRATCH, "of-mended")
    shutil.copytree(kept, data)
    whole = records(data)
    extents = sorted(name for name in os.listdir(data) if name.endswith(".extent"))
    for name in extents:
        flip_bit(os.path.join(data, name), 65)
    assert "nothing is lost" in kappa("log", "verify", "--data", data, status=1)
    kappa("backup", folder, "--data", data)
    assert records(folder) == whole and whole
    flip_bit(os.path.join(data, extents[0]), 4096 + 60)  # of its first batch
    assert "1 problems" in kappa("backup", folder + "2", "--data", data, status=1)


def flip_bit(path, at):
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 4]))


def prefix_of(part, whole, folder):
    by_position = {record["position"]: record for record in whole}
    assert part, folder
    for record in part:
        other = by_position.get(record["position"])
        if record["value"] is None and record["key"] is None and record["timestamp_ms"] == 0:
            continue  # made up for what was trimmed or dropped
        assert other is not None and record == other, (folder, str(record)[:300], str(other)[:300])


def main():
    db = psycopg2.connect("")
    db.autocommit = True
    cursor = db.cursor()
    for text in ("CREATE SOURCE events (k int, v int) WITH (topic = 'events')",
                 "CREATE SOURCE short (v int) WITH (topic = 'short')",
                 "CREATE TABLE people (id int PRIMARY KEY, name text)",
                 "CREATE MATERIALIZED VIEW sums AS SELECT k, count(*) AS n, sum(v) AS total FROM events GROUP BY k",
                 "CREATE MATERIALIZED VIEW lasts AS SELECT k, max(_log_time) AS at, max(_offset) AS o FROM events GROUP BY k",
                 "CREATE MATERIALIZED VIEW kept AS SELECT v, count(*) AS n FROM short GROUP BY v",
                 "INSERT INTO people VALUES (1, 'ann'), (2, 'bob')",
                 "CREATE TOPIC dropped"):
        sql(cursor, text)
    append("dropped", [{"x": i} for i in range(20)])
    stop = threading.Event()
    writers = [threading.Thread(target=write_on, args=(stop, seed)) for seed in range(3)]
    for writer in writers:
        writer.start()
    time.sleep(0.5)
    sql(cursor, "DROP TOPIC dropped")
    sql(cursor, "ALTER TOPIC short SET (retention = '0 seconds')")
    sql(cursor, "ALTER TOPIC short SET (retention = 'forever')")
    marks = []
    for i in range(3):
        time.sleep(0.4)
        sql(cursor, "UPDATE people SET name = name || '%d' WHERE id = 1" % i)
        marks.append((int(sql(cursor, "SELECT max(position) FROM kappa.lag")[0][0])))
    append_long_group()
    times = {record["log_time_us"] for record in records(DATA) if '"k": 5, "v"' in (record["value"] or "")}
    assert len(times) > 1, times
    backups = []
    for i in range(3):
        folder = os.path.join(SCRATCH, "backup%d" % i)
        text = kappa("backup", folder, "--data", DATA)
        backups.append((folder, int(text.split()[-1])))
        assert not os.path.exists(folder + ".partial") and not os.path.exists(os.path.join(DATA, "backup.links"))
    stop.set()
    for writer in writers:
        writer.join()
    kappa("backup", backups[0][0], "--data", DATA, status=1)  # it is there already
    whole = records(DATA)
    assert backups[0][1] < backups[2][1] and backups[0][1] > marks[-1]
    for folder, position in backups:
        kappa("log", "verify", "--data", folder)
        got = records(folder)
        assert got[-1]["position"] == position - 1
        prefix_of(got, whole, folder)
    # whole, and what its views say at its end
    backup, end = backups[1]
    restored = os.path.join(SCRATCH, "restored")
    assert kappa("restore", backup, "--data", restored).split()[-1] == str(end)
    at_end = {name: sorted(",".join("" if value is None else str(value) for value in row)
                           for row in sql(cursor, "SELECT %s FROM %s AS OF POSITION %d" % (columns, name, end)))
              for name, columns in (("sums", "k, n, total"), ("people", "id, name"), ("kept", "v, n"))}
    got = answers(restored, VIEWS)
    for name, rows in at_end.items():
        assert [line for line in got[name] if line[0].isdigit()] == rows, (name, got[name], rows)
    # to earlier positions
    for number, mark in enumerate(marks + [end]):
        folder = os.path.join(SCRATCH, "rewound%d" % number)
        text = kappa("restore", backup, "--data", folder, "--to-position", str(mark))
        position = int(text.split()[-1])
        assert mark - 60 <= position <= mark, (mark, position)
        assert "sound" in kappa("log", "verify", "--data", folder)
        prefix_of(records(folder), whole, folder)
        got = answers(folder, VIEWS)
        for name, columns in (("sums", "k, n, total"), ("people", "id, name"), ("kept", "v, n"),
                              ("lasts", "k, at, o")):
            rows = sql(cursor, "SELECT %s FROM %s AS OF POSITION %d" % (columns, name, position))
            assert len([line for line in got[name] if line and line[0].isdigit()]) == len(rows), (name, got[name], rows)
            if name != "lasts":
                assert [line for line in got[name] if line[0].isdigit()] == sorted(
                    ",".join(str(value) for value in row) for row in rows), (name, position, got[name], rows)
            else:
                assert sorted(line.rsplit(",", 1)[1] for line in got[name] if line[0].isdigit()) == sorted(
                    str(row[2]) for row in rows)
    assert "gone" in kappa("restore", backup, "--data", os.path.join(SCRATCH, "early"), "--to-position", "25", status=1)
    assert not os.path.exists(os.path.join(SCRATCH, "early")) and not os.path.exists(os.path.join(SCRATCH, "early.partial"))
    kappa("restore", backup, "--data", os.path.join(SCRATCH, "late"), "--to-position", str(end + 1), status=1)
    kappa("restore", backup, "--data", restored, status=1)
    killed_backups(DATA, None)
    killed_backups(restored, lambda: answers(restored, VIEWS))
    shutil.rmtree(backup)
    mended_backup()


main()
