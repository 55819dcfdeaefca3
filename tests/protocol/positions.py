#!/usr/bin/python3
"""What a position is: a transaction is one position for every reader, and changes sum up to the rows at each position."""
import collections
import os
import random
import threading

import psycopg2

from _server import Server, wait_for

server = Server(os.environ["SCRATCH"] + "/data").start()
server.sql("CREATE TABLE a (id int PRIMARY KEY, v int)")
server.sql("CREATE TABLE b (id int PRIMARY KEY, v int)")
# What one table has, the other has too: at any position that is published the difference is 0, and no pair lacks a half.
server.sql("CREATE MATERIALIZED VIEW difference AS SELECT sum(v) AS v FROM (SELECT v FROM a UNION ALL SELECT -v FROM b) AS x")
server.sql("CREATE MATERIALIZED VIEW pairs AS SELECT a.id AS a, b.id AS b, a.v, b.v AS w FROM a FULL JOIN b ON a.id = b.id")


class Follower(threading.Thread):
    """Sums a view's changes; notes the rows at each position, and at which of them something changed."""

    def __init__(self, view):
        super().__init__(daemon=True)
        self.view, self.rest, self.sum, self.states, self.changed = view, "", collections.Counter(), {}, set()
        self.connection = server.connect()
        self.start()

    def run(self):
        try:
            with self.connection.cursor() as cursor:
                cursor.copy_expert(f"COPY (SUBSCRIBE TO {self.view} WITH (progress = true)) TO STDOUT", self)
        except psycopg2.Error:
            pass  # the server ends

    def write(self, text):
        *lines, self.rest = (self.rest + text.decode()).split("\n")
        for line in lines:
            position, diff, progress, *row = line.split("\t")
            if progress == "t":
                self.states[int(position)] = sorted(key for key, n in self.sum.items() for _ in range(n))
            else:
                self.sum[tuple(row)] += int(diff)
                self.changed.add(int(position))
                assert int(position) not in self.states, "rows after their position was complete"


followers = {view: Follower(view) for view in ("difference", "pairs")}
wait_for("the snapshots", lambda: all(follower.states for follower in followers.values()))
dice = random.Random(7)
writer = server.connect()
writer.autocommit = False
committed = 0
for number in range(60):
    with writer.cursor() as cursor:
        for key in dice.sample(range(20), 3):
            if dice.random() < 0.3:
                for table in ("a", "b"):
                    cursor.execute(f"DELETE FROM {table} WHERE id = %s", (key,))
            else:
                value = dice.randrange(100)
                for table in ("b", "a"):
                    cursor.execute(f"DELETE FROM {table} WHERE id = %s", (key,))
                    cursor.execute(f"INSERT INTO {table} VALUES (%s, %s)", (key, value))
    if dice.random() < 0.15:
        writer.rollback()
    else:
        writer.commit()
        committed += 1
with writer.cursor() as cursor:
    cursor.execute("SELECT * FROM pairs")
    rows = sorted(tuple("\\N" if value is None else str(value) for value in row) for row in cursor.fetchall())
writer.rollback()
last = max(followers["pairs"].changed)
wait_for("the followers", lambda: all(any(at >= last for at in follower.states) for follower in followers.values()))
wait_for("the last rows", lambda: followers["pairs"].states[max(followers["pairs"].states)] == rows)
for position, found in followers["difference"].states.items():
    assert all(row[0] in ("0", "\\N") for row in found), (position, found)
for position, found in followers["pairs"].states.items():
    assert all(row[0] == row[1] and row[2] == row[3] for row in found), (position, found)
# A transaction is published whole: never more positions with changes than transactions (and the snapshot's).
assert 10 < len(followers["pairs"].changed) <= committed + 1, (len(followers["pairs"].changed), committed)

# Cut otherwise (a restart replays in large steps), the rows at the end are the same.
server.stop()
server.start()
again = sorted(tuple("\\N" if value is None else str(value) for value in row) for row in server.sql("SELECT * FROM pairs"))
assert again == rows, (again, rows)
server.stop()
print(f"{committed} transactions, {len(followers['pairs'].states)} positions")
