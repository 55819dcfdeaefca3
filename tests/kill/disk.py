#!/usr/bin/python3
"""Real faults of the disk under the real server: a failed write or sync ends it with a clear message and nothing is
acknowledged after it; a full disk refuses writes and nothing more; and few descriptors close doors, not the log."""
import http.client
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import time

import psycopg2

from _server import Server

SCRATCH = os.environ["SCRATCH"]
skipped = []


def post(server, topic, text):
    """(status, answer); None when the server is gone."""
    host, port = server.http.rsplit(":", 1)
    connection = http.client.HTTPConnection(host, int(port), timeout=60)
    try:
        connection.request("POST", f"/topics/{topic}", text, {"Content-Type": "application/x-ndjson"})
        response = connection.getresponse()
        return response.status, response.read().decode()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def metrics(server):
    host, port = server.http.rsplit(":", 1)
    connection = http.client.HTTPConnection(host, int(port), timeout=60)
    connection.request("GET", "/metrics")
    try:
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def lines(first, count, pad=""):
    return "".join(json.dumps({"id": i, "pad": pad}) + "\n" for i in range(first, first + count))


def ids(server):
    return [json.loads(value)["id"] for _, value in server.records("ev")]


# ---- a call of the system fails ----

class Traced(Server):
    """Under strace, which makes calls of the threads fail."""

    def __init__(self, folder, inject):
        super().__init__(folder, "--io-uring=off")
        self.inject = inject

    def start(self):
        program, script = os.environ["KAPPA"], self.folder + ".traced"
        os.makedirs(os.path.dirname(self.folder), exist_ok=True)
        with open(script, "w", encoding="utf-8") as file:
            file.write(f"#!/bin/sh\nexec strace -f -qq -o /dev/null -e trace={self.inject.split(':')[0]} "
                       f"-e inject={self.inject} {program} \"$@\"\n")
        os.chmod(script, 0o755)
        os.environ["KAPPA"] = script
        os.environ["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"  # it traces, too
        try:
            return super().start()
        finally:
            os.environ["KAPPA"] = program

    def stop(self):
        pid = self.process.pid
        with open(f"/proc/{pid}/task/{pid}/children", encoding="utf-8") as children:
            os.kill(int(children.read().split()[0]), signal.SIGTERM)
        assert self.process.wait(timeout=60) == 0


def can_trace():
    done = subprocess.run(["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync", "true"],
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return done.returncode == 0


def failing_call(name, inject, words):
    folder = f"{SCRATCH}/{name}"
    Server(folder, "--io-uring=off").start().stop()  # the first file is made
    server = Traced(folder, inject)
    server.start()
    acked, failed_at = [], None
    for i in range(400):
        answer = post(server, "ev", lines(i, 1))
        if answer and answer[0] == 200:
            assert failed_at is None, f"{name}: {i} is acknowledged after the failure of {failed_at}"
            acked.append(i)
        elif failed_at is None:
            failed_at = i
        if answer is None:
            break
    assert failed_at is not None, f"{name}: nothing failed"
    status = server.process.wait(timeout=60)
    said = open(folder + ".err", encoding="utf-8").read()
    assert status != 0, f"{name}: exit status {status}"
    assert re.search(words, said), f"{name}: it says {said[-1500:]}"
    assert "Sanitizer" not in said and "runtime error" not in said, said[-4000:]
    open(folder + ".err", "w", encoding="utf-8").close()
    server = Server(folder).start()
    found = ids(server)
    assert found[:len(acked)] == acked and len(found) <= len(acked) + 1, (acked[-1:], found[-3:])
    server.stop()
    print(f"disk: {name}: {len(acked)} acknowledged, then it stopped")


def failing_calls():
    if not shutil.which("strace") or not can_trace():
        skipped.append("strace may not trace")
        return
    for error in ("EIO", "ENOSPC"):
        first = random.randrange(12, 60)
        failing_call(f"sync-{error}", f"fdatasync:error={error}:when={first}", "cannot sync")
        failing_call(f"write-{error}", f"pwrite64:error={error}:when={first}", "cannot write")
    # No descriptor or memory for a connection, now and then: the next try takes it.
    for error in ("EMFILE", "ENFILE", "ENOMEM"):
        server = Traced(f"{SCRATCH}/accept-{error}", f"accept4:error={error}:when=3+2")
        server.start()
        for i in range(10):
            assert post(server, "ev", lines(i, 1))[0] == 200, (error, i)
        assert ids(server) == list(range(10))
        server.stop()
        print(f"disk: accept-{error}: served all the same")
    # A signal between: nobody sees it.
    server = Traced(f"{SCRATCH}/interrupted", "pwrite64,pread64,fdatasync:error=EINTR:when=3+4")
    server.start()
    for i in range(40):
        assert post(server, "ev", lines(i, 1))[0] == 200, i
    assert ids(server) == list(range(40))
    server.stop()


# ---- a full disk ----

class Tmpfs:
    """A small file system in memory; grow() makes it a large one."""

    name = "tmpfs"

    def __init__(self, folder, size_mb):
        self.folder = folder
        self.mount = ["mount", "-t", "tmpfs", "-o", f"size={size_mb}m", "tmpfs", folder]

    def grow(self):
        subprocess.run(["mount", "-o", "remount,size=200m", self.folder], check=True)


class Ext4:
    """A small ext4 of a loop device, which has O_DIRECT as disks have it: a large one, of which a file takes the most."""

    name = "ext4"

    def __init__(self, folder, size_mb):
        self.folder, self.size_mb = folder, size_mb
        image = folder + ".image"
        with open(image, "wb") as file:
            file.truncate(200 << 20)
        subprocess.run(["/sbin/mke2fs", "-q", "-F", "-t", "ext4", "-m", "0", image], check=True)
        self.mount = ["mount", "-o", "loop", image, folder]

    def take_most(self):
        stat = os.statvfs(self.folder)
        with open(self.folder + "/hog", "wb") as file:
            os.posix_fallocate(file.fileno(), 0, stat.f_bavail * stat.f_frsize - (self.size_mb << 20))

    def grow(self):
        os.unlink(self.folder + "/hog")


def on_small_disks(name, size_mb, test):
    """Runs test(disk) on small file systems of each kind that may be mounted here."""
    for kind in (Tmpfs, Ext4):
        folder = f"{SCRATCH}/{name}-{kind.name}"
        os.makedirs(folder)
        disk = kind(folder, size_mb)
        if subprocess.run(disk.mount, stderr=subprocess.DEVNULL, check=False).returncode != 0:
            skipped.append(f"{name}: a small {kind.name} may not be mounted")
            continue
        try:
            if kind is Ext4:
                disk.take_most()
            test(disk)
        finally:
            subprocess.run(["umount", "-l", folder], check=False)


def fill(disk):
    """Writes are refused while the disk is full, reads go on, and writes, too, as soon as there is room."""
    server = Server(disk.folder + "/data").start()
    server.sql("CREATE SOURCE ev (id bigint) WITH (topic = 'ev', format = 'json')")
    server.sql("CREATE MATERIALIZED VIEW n AS SELECT count(*) AS n, max(id) AS id FROM ev")
    server.sql("CREATE SINK out FROM n WITH (topic = 'out')")
    acked, first, refusals = [], 0, 0
    while refusals < 5 and first < 30000:
        status, answer = post(server, "ev", lines(first, 100, "x" * 1000))
        if status == 200:
            acked += range(first, first + 100)
        else:
            refusals += 1
            assert status in (503, 507) and "53100" in answer, (status, answer)
        first += 100
    assert refusals and acked, (refusals, len(acked))
    assert "\nkappa_log_disk_full 1\n" in metrics(server)
    assert server.sql("SELECT n FROM n") is not None  # reads go on
    assert ids(server) == acked
    refused_by_kafka(server)
    refused_by_sql(server)
    disk.grow()
    acked += range(first, first + written(server, first))  # and writes, by themselves
    until = time.monotonic() + 20
    while server.sql("SELECT n FROM n") != [(len(acked),)]:
        assert time.monotonic() < until, (server.sql("SELECT n FROM n"), len(acked))
    server.kill()
    server.start()
    assert ids(server) == acked
    changes = [json.loads(value) for _, value in server.records("out")]
    assert sum(change["diff"] for change in changes) == 1, changes[-3:]
    server.stop()
    print(f"disk: {disk.name} full after {len(acked) - 100} records, {refusals} refusals, then room")


def refused_by_kafka(server):
    """A client that does not try again is told KAFKA_STORAGE_ERROR; one that does has its time."""
    for settings, words in ((("-X", "retries=0"), "Disk error"), (("-X", "message.timeout.ms=3000"), "timed out")):
        done = subprocess.run(["kcat", "-b", server.kafka, "-P", "-t", "ev", *settings], input="x" * 500000 + "\n", text=True,
                              capture_output=True, check=False, timeout=60)
        assert done.returncode != 0 and words in done.stderr, (settings, done)


def refused_by_sql(server):
    try:
        server.sql("INSERT INTO ev SELECT generate_series(1, 500000)")
    except psycopg2.Error as error:
        assert error.pgcode == "53100", (error.pgcode, str(error))
    else:
        raise AssertionError("an INSERT into a full disk went through")


def written(server, first, pad=""):
    """Posts 100 records once there is room: that is found within a second or two."""
    until = time.monotonic() + 20
    while True:
        status, answer = post(server, "ev", lines(first, 100, pad))
        if status == 200:
            return 100
        assert status in (503, 507) and "53100" in answer and time.monotonic() < until, (status, answer)
        time.sleep(0.2)


def fill_up(server, first):
    """Posts until it is refused three times; what was acknowledged. What a file of journal takes is room that sealing
    gives back by and by: the first may have to wait for it."""
    written(server, first, "x" * 1000)
    acked, refusals = list(range(first, first + 100)), 0
    first += 100
    while refusals < 3:
        status, answer = post(server, "ev", lines(first, 100, "x" * 1000))
        if status == 200:
            acked += range(first, first + 100)
        else:
            refusals += 1
            assert status in (503, 507) and "53100" in answer, (status, answer)
        first += 100
    return acked


def free_again(disk):
    """On a full disk DELETE BEFORE, DROP and sealing work, and make the room that writes need. No bigger disk comes."""
    server = Server(disk.folder + "/data").start()
    server.sql("CREATE SOURCE ev (id bigint) WITH (topic = 'ev', format = 'json')")
    server.sql("CREATE MATERIALIZED VIEW n AS SELECT count(*) AS n, max(id) AS id FROM ev")
    server.sql("CREATE MATERIALIZED VIEW tenth AS SELECT id FROM ev WHERE id % 10 = 0 ON EXPIRY RETRACT")
    server.sql("CREATE SINK out FROM n WITH (topic = 'out')")  # records go when sinks have written what came of them
    server.sql("CREATE SINK tenth_out FROM tenth WITH (topic = 'tenth_out')")
    first, total = 0, 0
    for how in ("delete", "restart", "delete", "drop"):
        acked = fill_up(server, first)
        total += len(acked)
        assert acked and ids(server)[-len(acked):] == acked, (how, len(acked))
        if how == "restart":  # what is full for one process is full for the next
            server.kill()
            server.start()
        if how == "drop":
            server.sql("DROP SOURCE ev CASCADE")
            server.sql("DROP TOPIC ev")
            wait_room(server)
        else:
            server.sql("ALTER TOPIC ev DELETE BEFORE END")
            assert server.sql("SELECT n FROM n") == [(total,)], how  # the view keeps its base
            first = acked[-1] + 1
            total += written(server, first)
            wait_sinks(server, total, first)
            first += 100
    server.stop()
    print(f"disk: {total} records through a disk ({disk.name}) that was full four times")


def wait_sinks(server, total, first):
    """What sinks wrote adds up to the views: one holds all that ever came, the other what is left."""
    until = time.monotonic() + 20
    while True:
        sums = [{}, {}]
        for number, topic in enumerate(("out", "tenth_out")):
            for _, value in server.records(topic):
                change = json.loads(value)
                row = json.dumps(change["row"])
                sums[number][row] = sums[number].get(row, 0) + change["diff"]
        rows = [{row: count for row, count in one.items() if count} for one in sums]
        if rows == [{json.dumps({"n": total, "id": first + 99}): 1},
                    {json.dumps({"id": i}): 1 for i in range(first, first + 100, 10)}]:
            return
        assert time.monotonic() < until, [list(one.items())[:5] for one in rows]
        time.sleep(0.2)


def wait_room(server):
    """A dropped topic makes room, by and by: what was refused until then goes through."""
    until = time.monotonic() + 20
    while True:
        try:
            return server.sql("CREATE TABLE again (id int PRIMARY KEY)")
        except psycopg2.Error as error:
            assert error.pgcode == "53100" and time.monotonic() < until, (error.pgcode, str(error))
            time.sleep(0.2)


# ---- a disk that takes no writes any more ----

def kappa(*args):
    return subprocess.run([os.environ["KAPPA"], *args], capture_output=True, text=True, check=False, timeout=60)


def read_only(disk):
    """What was acknowledged can be read and backed up when the file system has gone read-only, as ext4 does after an
    error; through the server, while one has the folder by another mount."""
    data, view, copy = disk.folder + "/data", disk.folder + "-view", disk.folder + "-copy"
    server = Server(data).start()
    server.sql("CREATE SOURCE ev (id bigint) WITH (topic = 'ev', format = 'json')")
    server.sql("CREATE MATERIALIZED VIEW n AS SELECT count(*) AS n FROM ev")
    assert post(server, "ev", lines(0, 1000))[0] == 200
    os.makedirs(view)
    subprocess.run(["mount", "--bind", disk.folder, view], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", view], check=True)
        done = kappa("sql", "--data", view + "/data", "--format", "csv", "-c", "INSERT INTO ev VALUES (1000)", "-c",
                     "SELECT n FROM n")
        assert done.returncode == 0 and done.stdout == "n\n1001\n", done
        done = kappa("backup", copy + "-used", "--data", view + "/data")
        assert done.returncode == 0 and "backed up" in done.stdout, done
    finally:
        subprocess.run(["umount", view], check=True)
    server.kill()
    server.errors.close()
    until = time.monotonic() + 20
    while subprocess.run(["mount", "-o", "remount,ro", disk.folder], stderr=subprocess.DEVNULL, check=False).returncode != 0:
        assert time.monotonic() < until  # a ring lets go of its files behind the process's end
        time.sleep(0.1)
    done = kappa("server", "--data", data, "--pg", "127.0.0.1:0", "--http", "off", "--kafka", "off")
    assert done.returncode == 1 and "Read-only file system" in done.stderr and "`kappa backup`" in done.stderr, done
    done = kappa("sql", "--data", data, "--format", "csv", "-c", "SELECT n FROM n")
    assert done.returncode == 0 and done.stdout == "n\n1001\n" and "read as it is" in done.stderr, done
    done = kappa("sql", "--data", data, "-c", "INSERT INTO ev VALUES (1001)")
    assert done.returncode == 1 and "ERROR 25006" in done.stderr, done
    done = kappa("backup", copy, "--data", data)
    assert done.returncode == 0 and "backed up" in done.stdout, done
    for folder in (copy, copy + "-used"):
        done = kappa("sql", "--data", folder, "--format", "csv", "-c", "SELECT n, sum(id) FROM n, ev GROUP BY n")
        assert done.returncode == 0 and done.stdout == f"n,sum\n1001,{1000 * 1001 // 2}\n", done
    print(f"disk: a read-only {disk.name} is read and backed up")


# ---- few descriptors ----

def few_descriptors():
    program, script = os.environ["KAPPA"], f"{SCRATCH}/few.limited"
    with open(script, "w", encoding="utf-8") as file:
        file.write(f"#!/bin/sh\nulimit -n 96\nexec {program} \"$@\"\n")
    os.chmod(script, 0o755)
    os.environ["KAPPA"] = script
    try:
        server = Server(f"{SCRATCH}/few").start()
    finally:
        os.environ["KAPPA"] = program
    host, port = server.http.rsplit(":", 1)
    inside = http.client.HTTPConnection(host, int(port), timeout=60)
    inside.request("GET", "/metrics")
    inside.getresponse().read()
    crowd = []
    for _ in range(200):
        crowd.append(socket.create_connection((host, int(port)), timeout=10))
    for i in range(80):  # over the end of the journal's first file, and of its second
        inside.request("POST", "/topics/ev", lines(i * 1000, 1000, "x" * 1000), {"Content-Type": "application/x-ndjson"})
        response = inside.getresponse()
        answer = response.read()
        assert response.status == 200, (i, response.status, answer)
    for one in crowd:
        one.close()
    inside.close()
    until = time.monotonic() + 20
    while server.sql("SELECT 1") != [(1,)]:
        assert time.monotonic() < until
    server.stop()
    print("disk: 200 connections at 96 descriptors: the log goes on")


failing_calls()
on_small_disks("small", 20, fill)
on_small_disks("tight", 24, free_again)
on_small_disks("read-only", 40, read_only)
few_descriptors()
for why in skipped:
    print("disk: skipped:", why)
