"""kappa log export and import: lossless both ways in both forms, from a running server and back into a new log; the Arrow
file opened by pyarrow, polars and DuckDB, if they are there or come from PyPI."""
import base64
import json
import os
import random
import re
import subprocess
import sys
import urllib.request

KAPPA, SCRATCH, DATA, HTTP = (os.environ[name] for name in ("KAPPA", "SCRATCH", "KAPPA_DATA", "HTTP"))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def kappa(*args, data=None, stdin=b"", status=0):
    done = subprocess.run([KAPPA, "log", *args, "--data", data or DATA], input=stdin, capture_output=True)
    assert done.returncode == status, (args, done.returncode, done.stderr)
    return done.stdout if status == 0 else done.stderr


def bare(export):
    """What is kept: without places and times of this log."""
    lines = [json.loads(line) for line in export.decode().splitlines()]
    for line in lines:
        line.pop("position"), line.pop("log_time_us"), line.pop("topic")
    return sorted(lines, key=lambda line: (line["partition"], line["offset"]))


def random_records(count):
    rng = random.Random(7)

    def put(into, name, null=True):
        kind = rng.randrange(5)
        if kind == 0 and null:
            into[name] = None
        elif kind == 1:
            into[name + "_base64"] = base64.b64encode(b"\xff" + rng.randbytes(rng.randrange(40))).decode()
        else:
            into[name] = "".join(rng.choice("ab\"\\\n\u0000é\U0001f600") for _ in range(rng.randrange(30)))

    offsets = [1000, 0, 17]
    for _ in range(count):
        partition = rng.randrange(3)
        record = {"partition": partition, "offset": offsets[partition], "timestamp_ms": rng.randrange(-1, 1 << 41)}
        offsets[partition] += 1
        put(record, "key")
        put(record, "value")
        headers = []
        for _ in range(rng.randrange(4) // 2):
            header = {"name": "h" + str(rng.randrange(3))}
            put(header, "value")
            headers.append(header)
        if headers:
            record["headers"] = headers
        yield record


def check_round_trips():
    given = list(random_records(3000))
    text = "".join(json.dumps(record, ensure_ascii=rng_ascii) + "\n" for record, rng_ascii in
                   zip(given, [True, False] * len(given))).encode()
    first, second, third = (os.path.join(SCRATCH, name) for name in ("first", "second", "third"))
    kappa("import", "t", "--partitions", "3", data=first, stdin=text)
    out = kappa("export", "t", data=first)
    wanted = sorted(given, key=lambda record: (record["partition"], record["offset"]))
    assert bare(out) == wanted
    arrow = kappa("export", "t", "--format", "arrow", data=first)
    kappa("import", "t", "--format", "arrow", "--partitions", "3", data=second, stdin=arrow)
    assert bare(kappa("export", "t", data=second)) == wanted
    kappa("import", "t", "--partitions", "3", data=third, stdin=out)
    assert bare(kappa("export", "t", data=third)) == wanted
    kappa("verify", data=second)
    part = bare(kappa("export", "t", "--partition", "0", "--from", "1005", "--to", "1010", data=second))
    assert [(r["partition"], r["offset"]) for r in part] == [(0, o) for o in range(1005, 1010)]
    # as it was at a position, with what was trimmed made up again
    done = subprocess.run([KAPPA, "restore", second, "--data", os.path.join(SCRATCH, "half"), "--to-position", "3000"],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    half = bare(kappa("export", "t", data=os.path.join(SCRATCH, "half")))
    assert half and all(record in wanted for record in half) and half[0]["offset"] == 1000
    # a topic that begins far behind 0, beside one whose beginning was trimmed; again from a backup, to a position
    far, begin = os.path.join(SCRATCH, "far"), 5_000_000_000
    lines = [json.dumps({"partition": i % 2, "offset": (begin if i % 2 else 0) + i // 2, "timestamp_ms": i, "value": "v%d" % i}) + "\n"
             for i in range(400)]
    kappa("import", "near", data=far, stdin=b'{"partition":0,"offset":0,"timestamp_ms":1,"value":"x"}\n')
    kappa("import", "far", "--partitions", "2", data=far, stdin="".join(lines[:300]).encode())
    kappa("import", "far", "--partitions", "2", data=far, stdin="".join(lines[300:]).encode())
    assert sum(os.path.getsize(os.path.join(far, name)) for name in os.listdir(far)) < 100 << 20
    wanted_far = sorted((json.loads(line) for line in lines), key=lambda record: (record["partition"], record["offset"]))
    values = lambda data: [(r["partition"], r["offset"], r["value"]) for r in bare(kappa("export", "far", data=data))]
    assert values(far) == [(r["partition"], r["offset"], r["value"]) for r in wanted_far]
    assert b"sound" in kappa("verify", data=far)
    subprocess.run([KAPPA, "sql", "--data", far, "-c", "CREATE SOURCE far (n int) WITH (topic = 'far', format = 'json')", "-c",
                    "ALTER TOPIC far DELETE BEFORE OFFSET 10 PARTITION 0"], check=True, capture_output=True)
    for position in (200, int(re.search(rb"position (\d+)\n", kappa("verify", data=far)).group(1))):
        back = os.path.join(SCRATCH, "back%d" % position)
        done = subprocess.run([KAPPA, "restore", far, "--data", back, "--to-position", str(position)], capture_output=True, text=True)
        assert (done.returncode == 0) != (position == 200), done
        if position == 200:
            assert "have expired since" in done.stderr, done
        else:
            assert values(back) == values(far) and values(far)[0] == (0, 10, "v20")
            assert b"sound" in kappa("verify", data=back)
    # again: the offsets do not go on, and nothing is written
    assert b"goes on at offset" in kappa("import", "t", data=second, stdin=out, status=1)
    assert bare(kappa("export", "t", data=second)) == wanted
    # a topic without records is one, and a name that cannot be one is none
    kappa("import", "empty", "--partitions", "2", data=second)
    assert kappa("export", "empty", data=second) == b""
    assert b"cannot be a topic's name" in kappa("import", "a/b", data=second, status=1)
    assert b"nothing" in kappa("export", "nothing", data=second, status=1)
    # a line is one record, whole: nothing of it is passed over
    good = '{"partition":0,"offset":0,"timestamp_ms":1,"value":"x"}'
    for line in (good + good, good + " trailing", good.replace('"timestamp_ms":1', '"timestamp_ms":99999999999999999999'), good.replace("value", "vlaue"),
                 good.replace('"x"', '{"a":1}'), good.replace('"x"', "12"), good.replace('"x"', '"x","value_base64":"eA=="'), good.replace('"offset":0', '"offset":'),
                 good.replace('"x"', '"x","key":7'), good[:-1], "[" + good + "]"):
        assert b"line 1: " in kappa("import", "strict", data=second, stdin=line.encode() + b"\n", status=1), line
    kappa("import", "strict", data=second, stdin=good.replace('"x"', "null").encode())
    assert json.loads(kappa("export", "strict", data=second))["value"] is None
    # damaged files are refused, not believed
    for seed in range(60):
        rng = random.Random(seed)
        broken = bytearray(arrow if seed % 3 else arrow[:rng.randrange(len(arrow))])
        for _ in range(seed % 3 and rng.randrange(1, 6)):
            broken[rng.randrange(min(len(broken), 4096))] ^= 1 << rng.randrange(8)
        done = subprocess.run([KAPPA, "log", "import", "b", "--format", "arrow", "--partitions", "3", "--data",
                               os.path.join(SCRATCH, "broken%d" % seed)], input=bytes(broken), capture_output=True)
        assert done.returncode in (0, 1), (seed, done.stderr)
    return arrow, wanted


def check_running_server():
    body = "".join('{"k": %d}\n' % i for i in range(1000)).encode()
    urllib.request.urlopen(urllib.request.Request("http://%s/topics/live" % HTTP, data=body,
                                                  headers={"Content-Type": "application/x-ndjson"})).read()
    lines = bare(kappa("export", "live"))
    assert [json.loads(line["value"])["k"] for line in lines] == list(range(1000))
    assert b"in use" in kappa("import", "live", stdin=b"", status=1)


READERS = r"""
import sys, datetime
path, count = sys.argv[1], int(sys.argv[2])
import pyarrow, pyarrow.ipc
table = pyarrow.ipc.open_file(path).read_all()
table.validate(full=True)
assert table.num_rows == count, table.num_rows
rows = sorted(table.to_pylist(), key=lambda r: (r["partition"], r["offset"]))
import json, base64
def back(row, name):
    value = row[name]
    if value is None: return {name: None}
    try: return {name: value.decode()}
    except UnicodeDecodeError: return {name + "_base64": base64.b64encode(value).decode()}
wanted = json.load(open(sys.argv[3]))
epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
for row, record in zip(rows, wanted):
    got = {"partition": row["partition"], "offset": row["offset"],
           "timestamp_ms": (row["timestamp"] - epoch) // datetime.timedelta(milliseconds=1)}
    got.update(back(row, "key")); got.update(back(row, "value"))
    if row["headers"]: got["headers"] = [dict(name=h["name"], **back(h, "value")) for h in row["headers"]]
    assert got == record, (got, record)
with pyarrow.OSFile(sys.argv[4], "wb") as out:
    with pyarrow.ipc.new_file(out, table.schema) as writer:
        writer.write_table(table, max_chunksize=700)
import polars
assert polars.read_ipc(path).height == count
import duckdb
records = table
assert duckdb.sql("SELECT count(*), count(DISTINCT \"partition\") FROM records").fetchall() == [(count, 3)]
"""


def check_readers(arrow, wanted):
    folder = os.path.join(ROOT, "build", "pypi")
    environment = dict(os.environ, PYTHONPATH=folder)
    have = [sys.executable, "-c", "import pyarrow, polars, duckdb"]
    if subprocess.run(have, env=environment, capture_output=True).returncode != 0:
        try:
            subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--target", folder, "pyarrow", "polars", "duckdb"],
                           capture_output=True, timeout=70)
        except (OSError, subprocess.TimeoutExpired):
            pass
    if subprocess.run(have, env=environment, capture_output=True).returncode != 0:
        print("log_transfer: skipped: pyarrow, polars and DuckDB are not there and PyPI was not reached: the Arrow file was read back by kappa only")
        return
    path, again, rows = (os.path.join(SCRATCH, name) for name in ("t.arrow", "again.arrow", "rows.json"))
    with open(path, "wb") as file:
        file.write(arrow)
    with open(rows, "w", encoding="utf-8") as file:
        json.dump(wanted, file)
    done = subprocess.run([sys.executable, "-c", READERS, path, str(len(wanted)), rows, again], env=environment,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with open(again, "rb") as file:  # as pyarrow writes it
        kappa("import", "t", "--format", "arrow", "--partitions", "3", data=os.path.join(SCRATCH, "again"), stdin=file.read())
    assert bare(kappa("export", "t", data=os.path.join(SCRATCH, "again"))) == wanted


check_running_server()
check_readers(*check_round_trips())
