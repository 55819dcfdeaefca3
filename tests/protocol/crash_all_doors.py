#!/usr/bin/python3
"""kill -9 again and again while Kafka, HTTP and SQL clients write: nothing acknowledged is lost, transactions are whole,
views are the answers to their queries, and sinks have written every change exactly once."""
import collections
import json
import os
import random
import subprocess
import threading
import time

import psycopg2

from _server import Server, wait_for

ROUNDS = 4
scratch = os.environ["SCRATCH"]
server = Server(scratch + "/data").start()
acked = {"kcat": set(), "http": set(), "sql": set()}
numbers = {door: iter(range(1, 1 << 40)) for door in acked}

server.sql("CREATE SOURCE ev (door text, id bigint) WITH (topic = 'ev', format = 'json')")
server.sql("CREATE TABLE pair (id bigint PRIMARY KEY, half int, grp int)")
server.sql("CREATE MATERIALIZED VIEW per_door AS SELECT door, count(*) AS n, sum(id) AS total FROM ev GROUP BY door")
server.sql("CREATE MATERIALIZED VIEW per_grp AS SELECT grp, count(*) AS n, sum(half) AS total FROM pair GROUP BY grp")
server.sql("CREATE SINK s_changes FROM per_grp WITH (topic = 's_changes')")
server.sql("CREATE SINK s_upsert FROM per_grp WITH (topic = 's_upsert', format = 'upsert')")
server.sql("CREATE SINK s_debezium FROM per_grp WITH (topic = 's_debezium', format = 'debezium')")
server.sql("CREATE SINK s_pair FROM pair WITH (topic = 's_pair', format = 'upsert')")


def produce_with_kcat(stop):
    while not stop.is_set():
        ids = [next(numbers["kcat"]) for _ in range(500)]
        text = "".join(json.dumps({"door": "kcat", "id": i}) + "\n" for i in ids)
        try:
            done = subprocess.run(["kcat", "-q", "-b", server.kafka, "-P", "-t", "ev", "-X", "message.timeout.ms=2000"],
                                  input=text, text=True, stderr=subprocess.DEVNULL, timeout=20)
        except subprocess.TimeoutExpired:
            continue
        if done.returncode == 0:
            acked["kcat"].update(ids)


def produce_with_http(stop):
    while not stop.is_set():
        ids = [next(numbers["http"]) for _ in range(random.choice((1, 20, 300)))]
        try:
            server.post("ev", [{"door": "http", "id": i} for i in ids])
        except (OSError, AssertionError, ValueError):
            time.sleep(0.02)
            continue
        except Exception:  # http.client's: the connection ended
            continue
        acked["http"].update(ids)


def write_with_sql(stop):
    while not stop.is_set():
        try:
            connection = server.connect()
            connection.autocommit = False
            cursor = connection.cursor()
            while not stop.is_set():
                i = next(numbers["sql"])
                cursor.execute("INSERT INTO pair VALUES (%s, 1, %s)", (2 * i, i % 7))
                cursor.execute("INSERT INTO pair VALUES (%s, 2, %s)", (2 * i + 1, i % 7))
                if i % 3 == 0:
                    cursor.execute("UPDATE pair SET half = 10 WHERE id = %s", (2 * i,))
                connection.commit()
                acked["sql"].add(i)
        except psycopg2.Error:
            time.sleep(0.02)


def check():
    ids = collections.defaultdict(list)
    for door, i in server.sql("SELECT door, id FROM ev"):
        ids[door].append(i)
    for door in ("kcat", "http"):
        lost = acked[door] - set(ids[door])
        assert not lost, f"{door}: {len(lost)} acknowledged records are lost, for example {min(lost)}"
    pairs = {i: (half, grp) for i, half, grp in server.sql("SELECT * FROM pair")}
    for i in acked["sql"]:
        assert 2 * i in pairs and 2 * i + 1 in pairs, f"transaction {i} was acknowledged and is lost"
    for i in pairs:
        assert i ^ 1 in pairs, f"half of the transaction of row {i} is there"
        assert pairs[i][0] == (2 if i & 1 else 10 if i // 2 % 3 == 0 else 1), (i, pairs[i])
    views = {door: (n, int(total)) for door, n, total in server.sql("SELECT * FROM per_door")}
    assert views == {door: (len(all_of), sum(all_of)) for door, all_of in ids.items()}, views
    groups = collections.defaultdict(lambda: [0, 0])
    for half, grp in pairs.values():
        groups[grp][0] += 1
        groups[grp][1] += half
    expected = {(grp, n, total) for grp, (n, total) in groups.items()}
    assert set(server.sql("SELECT grp, n, total::bigint FROM per_grp")) == expected
    check_sinks({json.dumps({"grp": grp, "n": n, "total": total}) for grp, n, total in expected},
                {i: row for i, row in pairs.items()})
    return {door: len(done) for door, done in acked.items()}


def row_text(row):
    return json.dumps({name: int(value) for name, value in row.items()})


def check_sinks(expected, pairs):
    state = collections.Counter()
    for _, value in server.records("s_changes"):
        change = json.loads(value)
        state[row_text(change["row"])] += change["diff"]
        assert state[row_text(change["row"])] in (0, 1), f"written twice: {value}"
    assert {row for row, n in state.items() if n} == expected, "s_changes"
    upserts = {}
    for key, value in server.records("s_upsert"):
        assert upserts.get(key) != value, f"the same upsert twice: {value}"
        upserts[key] = value
    assert {row_text(json.loads(value)) for value in upserts.values() if value} == expected, "s_upsert"
    rows = {}
    for key, value in server.records("s_debezium"):
        change = json.loads(value)
        assert change["before"] == rows.get(key), f"before is not what was there: {value}, {rows.get(key)}"
        rows[key] = change["after"]
        assert change["op"] == ("d" if not change["after"] else "u" if change["before"] else "c")
    assert {row_text(row) for row in rows.values() if row} == expected, "s_debezium"
    table = {json.loads(key)["id"]: value for key, value in server.records("s_pair")}
    assert {i: (row["half"], row["grp"]) for i, row in ((i, json.loads(v)) for i, v in table.items() if v)} == pairs, "s_pair"


for round_number in range(ROUNDS):
    stop = threading.Event()
    threads = [threading.Thread(target=f, args=(stop,)) for f in (produce_with_kcat, produce_with_http, write_with_sql)]
    for thread in threads:
        thread.start()
    time.sleep(random.uniform(0.5, 1.5))
    server.kill()
    stop.set()
    for thread in threads:
        thread.join()
    server.start()
    print("round", round_number, check())
assert all(acked.values()), {door: len(done) for door, done in acked.items()}
server.stop()
server.start()
print("after a clean stop", check())
server.stop()
