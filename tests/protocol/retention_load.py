"""Retention by size while writers go on and the server is killed: views with a base know every record, retracting ones those
that are left, and the windows that were closed stay."""
import json
import os
import random
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from server import Server

server = Server(os.path.join(os.environ["SCRATCH"], "own"))
sent = []


def write_on(stop, seed):
    rng, second, door = random.Random(seed), 0.0, Server.__new__(Server)
    door.http, door.http_connection = server.http, None
    while not stop.is_set():
        lines = []
        for _ in range(500):
            second += rng.random() * 0.4
            at = time.strftime("2024-01-01 %H:%M:%S", time.gmtime(second))
            lines.append(json.dumps({"k": rng.randrange(7), "v": rng.randrange(100), "pad": "x" * 200, "at": at}))
        door.post("e", "\n".join(lines).encode())
        sent.append(len(lines))


def rows(text):
    cursor.execute(text)
    return cursor.fetchall()


def verify():
    for view in ("sums", "left_over", "closed"):
        cursor.execute("VERIFY MATERIALIZED VIEW " + view)


cursor = server.connect().cursor()
for statement in (
        "CREATE TOPIC e WITH (retention_bytes = '2MB')",
        "CREATE SOURCE e (k int, v bigint, pad text, at timestamp, WATERMARK FOR at AS at - INTERVAL '1 second') WITH (topic = 'e')",
        "CREATE MATERIALIZED VIEW sums AS SELECT k, count(*) AS n, sum(v) AS total FROM e GROUP BY k",
        "CREATE MATERIALIZED VIEW left_over AS SELECT k, count(*) AS n, sum(v) AS total FROM e GROUP BY k ON EXPIRY RETRACT",
        "CREATE MATERIALIZED VIEW closed AS SELECT window_start, count(*) AS n FROM tumble(e, at, INTERVAL '1 minute') "
        "GROUP BY window_start EMIT ON WINDOW CLOSE"):
    cursor.execute(statement)
for how in (signal.SIGKILL, signal.SIGTERM):
    stop = threading.Event()
    writers = [threading.Thread(target=write_on, args=(stop, seed)) for seed in range(2)]
    for writer in writers:
        writer.start()
    horizon, began = rows("SELECT horizon FROM kappa.topics WHERE name = 'e'")[0][0], time.monotonic()
    while rows("SELECT horizon FROM kappa.topics WHERE name = 'e'")[0][0] == horizon or time.monotonic() - began < 3:
        assert time.monotonic() - began < 60, "nothing expires: %s" % rows("SELECT * FROM kappa.topics WHERE name = 'e'")
        time.sleep(0.3)
    verify()
    stop.set()
    for writer in writers:
        writer.join()
    while rows("SELECT max(records_behind) FROM kappa.lag")[0][0]:
        time.sleep(0.1)
    assert rows("SELECT sum(n) FROM sums")[0][0] == sum(sent)
    before = [rows("SELECT * FROM %s ORDER BY 1" % view) for view in ("sums", "closed")]
    server.end(how)
    server.start()
    cursor = server.connect().cursor()
    assert [rows("SELECT * FROM %s ORDER BY 1" % view) for view in ("sums", "closed")] == before
    verify()
    kept, start = rows("SELECT records, start_offset FROM kappa.topics WHERE name = 'e'")[0]
    assert start > 0 and kept + start == sum(sent), (kept, start, sum(sent))
    cursor.execute("ALTER TOPIC e SET (retention = 'forever', retention_bytes = 'unlimited')")
    assert rows("SELECT * FROM left_over ORDER BY 1") == rows("SELECT k, count(*), sum(v) FROM e GROUP BY k ORDER BY 1")
    cursor.execute("ALTER TOPIC e SET (retention_bytes = '2MB')")
server.end()
