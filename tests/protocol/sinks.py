#!/usr/bin/python3
"""Sinks: the three formats, updates in large steps, waiting while an error row stands, another version promoted."""
import collections
import json
import os

import psycopg2

from _server import Server, wait_for

server = Server(os.environ["SCRATCH"] + "/data").start()
server.sql("CREATE TABLE t (k int PRIMARY KEY, v int)")
server.sql("CREATE MATERIALIZED VIEW g AS SELECT k % 6000 AS g, count(*) AS n, sum(v) AS s FROM t GROUP BY k % 6000")
server.sql("CREATE MATERIALIZED VIEW q AS SELECT k, 10 / v AS q FROM t")
server.sql("CREATE SINK t_upsert FROM t WITH (topic = 't_upsert', format = 'upsert')")
server.sql("CREATE SINK g_upsert FROM g WITH (topic = 'g_upsert', format = 'upsert')")
server.sql("CREATE SINK g_debezium FROM g WITH (topic = 'g_debezium', format = 'debezium')")
server.sql("CREATE SINK g_changes FROM g WITH (topic = 'g_changes')")
server.sql("CREATE SINK q_upsert FROM q WITH (topic = 'q_upsert', format = 'upsert')")


read = collections.defaultdict(list)  # topic -> its records so far: they never change


def records(topic):
    read[topic] += server.records(topic, len(read[topic]))
    return read[topic]


def folded(topic, path=None):
    """The rows that a reader of an upsert or Debezium topic ends with, by key."""
    rows = {}
    for key, value in records(topic):
        value = json.loads(value) if value else None
        if path:
            assert value["before"] == rows.get(key), value
            value = value["after"]
        assert value is not None or rows.get(key) is not None, f"{key} goes twice"
        rows[key] = value
    return [row for row in rows.values() if row]


def summed(topic):
    rows = collections.Counter()
    for _, value in records(topic):
        change = json.loads(value)
        rows[json.dumps(change["row"])] += change["diff"]
    assert all(n in (0, 1) for n in rows.values())
    return [json.loads(row) for row, n in rows.items() if n]


def same(found, sql):
    names, rows = sql
    expected = sorted(json.dumps(dict(zip(names, (int(x) for x in row)))) for row in rows)
    found = sorted(json.dumps({name: int(value) for name, value in row.items()}) for row in found)
    assert found == expected, (len(found), len(expected), sorted(set(found) ^ set(expected))[:6])


def rows_of(view):
    connection = server.connect()
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {view}")
        return [column[0] for column in cursor.description], cursor.fetchall()


def check(*views):
    position = server.sql("SELECT max(log_position) FROM kappa.lag")[0][0]
    behind = ("SELECT min(position) FROM kappa.lag"
              " WHERE name NOT IN (SELECT name FROM kappa.sinks WHERE state = 'waiting')")
    wait_for("the sinks", lambda: server.sql(behind)[0][0] >= position)
    for view in views:
        same(folded(view + "_upsert"), rows_of(view))
    same(folded("g_debezium", "after"), rows_of("g"))
    same(summed("g_changes"), rows_of("g"))


# Steps of tens of thousands of updates.
for v in (1, 2, 5):
    server.post("t", [{"k": k, "v": v + k % 3} for k in range(9000)], "?key=k")
    check("t", "g", "q")
server.sql("DELETE FROM t WHERE k >= 3000")
check("t", "g", "q")
assert len(folded("t_upsert")) == 3000

# An error row: this sink waits and says why, the others go on, and it goes on when the row is gone.
server.sql("UPDATE t SET v = 0 WHERE k = 7")
server.sql("INSERT INTO t VALUES (50000, 5)")
check("t", "g")
state, why = server.sql("SELECT state, error FROM kappa.sinks WHERE name = 'q_upsert'")[0]
assert state == "waiting" and "division by zero" in why, (state, why)
assert len(folded("q_upsert")) == 3000
server.kill()
server.start()
wait_for("the end of the replay", lambda: server.request("GET", "/healthz")[0] == 200)
server.sql("UPDATE t SET v = 2 WHERE k = 7")
check("t", "g", "q")
wait_for("q_upsert", lambda: server.sql("SELECT state FROM kappa.sinks WHERE name = 'q_upsert'")[0][0] == "running")

# A promotion gives exactly the difference; so does going back.
server.sql("ALTER MATERIALIZED VIEW g AS SELECT k % 6000 AS g, count(*) AS n, sum(v) AS s FROM t WHERE k < 1500 GROUP BY k % 6000")
before = len(records("g_upsert"))
server.sql("ALTER MATERIALIZED VIEW g PROMOTE")
server.sql("INSERT INTO t VALUES (60000, 5), (4999999, 1)")
check("t", "g", "q")
assert len(records("g_upsert")) == before + 1500, len(records("g_upsert")) - before
server.sql("ALTER MATERIALIZED VIEW g ROLLBACK")
check("t", "g", "q")

# A source's records are a topic already: such a sink is refused, and leaves nothing.
server.sql("CREATE SOURCE plain (k int) WITH (topic = 'plain')")
try:
    server.sql("CREATE SINK from_source FROM plain WITH (topic = 'from_source')")
    raise AssertionError("a sink from a source was made")
except psycopg2.Error as error:
    assert error.pgcode == "42809" and "source" in str(error), error
assert server.sql("SELECT count(*) FROM kappa.sinks WHERE name = 'from_source'") == [(0,)]
server.sql("DROP SOURCE plain")

# Nor one that reads what it writes, whichever way: it would never end.
server.sql("CREATE TABLE ring_a (k int PRIMARY KEY)")
server.sql("CREATE TABLE ring_b (k int PRIMARY KEY)")
server.sql("CREATE MATERIALIZED VIEW ring_v AS SELECT k + 1 AS k FROM ring_b")
server.sql("CREATE SINK ring_1 FROM ring_a WITH (topic = 'ring_b')")
for view, topic in (("ring_a", "ring_a"), ("ring_v", "ring_a"), ("ring_b", "ring_b"), ("ring_v", "ring_b")):
    try:
        server.sql(f"CREATE SINK ring_2 FROM {view} WITH (topic = '{topic}')")
        raise AssertionError(f"a sink from {view} into {topic} was made")
    except psycopg2.Error as error:
        assert error.pgcode == "42P17", error
server.sql("CREATE SINK ring_2 FROM ring_v WITH (topic = 'ring_c')")
server.sql("DROP TABLE ring_a, ring_b CASCADE")

# A table without PRIMARY KEY: rows come and go whole, equal ones once each; what they add up to is the table, after a kill too.
server.sql("CREATE TABLE bare (a int, b text)")
server.sql("CREATE SINK bare_debezium FROM bare WITH (topic = 'bare_debezium', format = 'debezium')")
server.sql("CREATE SINK bare_changes FROM bare WITH (topic = 'bare_changes')")


def check_bare():
    rows = collections.Counter(server.sql("SELECT a, b FROM bare"))

    def adds_up():
        debezium, changes = collections.Counter(), collections.Counter()
        for key, value in records("bare_debezium"):
            value = json.loads(value)
            assert not key and value["op"] == ("c" if value["after"] else "d"), (key, value)
            row = value["after"] or value["before"]
            debezium[row["a"], row["b"]] += 1 if value["after"] else -1
        for _, value in records("bare_changes"):
            value = json.loads(value)
            changes[value["row"]["a"], value["row"]["b"]] += value["diff"]
        return +debezium == rows and +changes == rows and min([0, *debezium.values(), *changes.values()]) == 0
    wait_for("the sinks of bare", adds_up)


server.sql("INSERT INTO bare VALUES (1, 'x'), (1, 'x'), (2, NULL), (3, 'z')")
check_bare()
server.sql("UPDATE bare SET b = 'y' WHERE a = 1")
server.sql("DELETE FROM bare WHERE a = 2")
check_bare()
server.kill()
server.start()
check("t", "g", "q")
server.sql("INSERT INTO bare VALUES (1, 'y')")
check_bare()
try:
    server.sql("CREATE SINK bare_upsert FROM bare WITH (topic = 'bare_upsert', format = 'upsert')")
    raise AssertionError("an upsert sink without a key was made")
except psycopg2.Error as error:
    assert error.pgcode == "42P10", error
server.stop()
