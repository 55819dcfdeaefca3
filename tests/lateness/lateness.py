"""Rounds of random interval joins with lateness; README.md tells what is compared."""
import collections
import datetime
import json
import os
import random
import signal
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "support"), os.path.join(HERE, "..", "match")]
import psycopg2.errors
from pattern import Clause
from server import rows, run_rounds

BEGIN = datetime.datetime(2024, 1, 1)
DELAY = 3  # seconds, of both sources


class Topic:
    """Rows for a source, and which of them are late."""

    def __init__(self, dice, lateness):
        self.dice, self.lateness, self.largest, self.now, self.next_id = dice, lateness, None, 0, 1
        self.kept = []  # (k, at, id) of the rows that are not late, as they were logged

    def make(self, count):
        """Returns all rows, and those that are not late."""
        every, kept = [], []
        for _ in range(count):
            self.now += self.dice.choice([0, 1, 1, 2, 5])
            at = self.now - self.dice.choice([0, 0, 0, 1, 2, 4, 8, 30])
            text, odd = str(BEGIN + datetime.timedelta(seconds=at)), self.dice.randint(0, 39)
            if odd <= 2:  # no time is never late, and one before all others is as soon as there are others
                at, text = (float("-inf"), "-infinity") if odd == 2 else (None, None)
            key = self.dice.randint(1, 3)
            row = json.dumps({"k": key, "id": self.next_id, "v": self.dice.randint(0, 9), "at": text})
            late = at is not None and self.largest is not None and at + self.lateness < self.largest - DELAY
            if at is not None:
                self.largest = at if self.largest is None else max(self.largest, at)
            every.append(row)
            if not late:
                kept.append(row)
                self.kept.append((key, at, self.next_id))
            self.next_id += 1
        return every, kept


def condition(dice, left, right):
    low, high = dice.randint(0, 8), dice.randint(0, 8)
    return dice.choice([
        f"{left}.at BETWEEN {right}.at - INTERVAL '{low} seconds' AND {right}.at + INTERVAL '{high} seconds'",
        f"{left}.at > {right}.at - INTERVAL '{low} seconds' AND {right}.at + INTERVAL '{high} seconds' > {left}.at",
        f"{right}.at - INTERVAL '{low} seconds' <= {left}.at AND {left}.at - INTERVAL '{high} seconds' < {right}.at",
        f"{left}.at + INTERVAL '{low} seconds' >= {right}.at AND {left}.at <= {right}.at",
    ])


def versions(left, right, outer):
    """FOR SYSTEM_TIME AS OF by hand: of the versions up to the row's time the last, of equal times the one that was logged last."""
    found = collections.Counter()
    for key, at, number in left.kept:
        best = None
        for other, since, version in right.kept:
            if other == key and None not in (since, at) and since <= at and (best is None or since >= best[0]):
                best = (since, version)
        if best or outer:
            found[number, best and best[1]] += 1
    return found


def run_round(server, seed, done):
    dice, connection = random.Random(seed), server.connect()
    lateness = dice.choice([0, 2, 10])
    names = [f"s{seed}_{side}" for side in "lr"]
    for name in names + [name + "_kept" for name in names]:
        rows(connection, f"CREATE SOURCE {name} (k int, id int, v int, at timestamp, WATERMARK FOR at AS at - INTERVAL '{DELAY} seconds') "
                         f"WITH (topic = '{name}')")
    views = []
    for i in range(4, 8):
        clause = Clause(dice, True)
        clause.within = clause.within or 5
        rows(connection, f"CREATE MATERIALIZED VIEW v{i} WITH (lateness = '{lateness} seconds') AS {clause.sql(names[0])}")
        rows(connection, f"CREATE MATERIALIZED VIEW o{i} AS {clause.sql(names[0] + '_kept')}")
    for i in range(4):
        kind = dice.choice(["JOIN", "LEFT JOIN", "FULL JOIN", "RIGHT JOIN"])
        on = condition(dice, "l", "r")

        def query(suffix):
            return f"SELECT l.id AS lid, r.id AS rid FROM {names[0]}{suffix} l {kind} {names[1]}{suffix} r ON l.k = r.k AND {on}"

        exists = dice.choice(["EXISTS", "NOT EXISTS"])
        if i == 3:
            def query(suffix):  # noqa: F811
                return (f"SELECT id FROM {names[0]}{suffix} l WHERE {exists} "
                        f"(SELECT FROM {names[1]}{suffix} r WHERE l.k = r.k AND {on})")

        rows(connection, f"CREATE MATERIALIZED VIEW v{i} WITH (lateness = '{lateness} seconds') AS {query('')}")
        rows(connection, f"CREATE MATERIALIZED VIEW o{i} AS {query('_kept')}")
        views.append(query(""))
    views += ["MATCH_RECOGNIZE"] * 4
    for i in range(8, 10):
        kind, strict = dice.choice(["", "LEFT "]), dice.choice([">", ">="])
        forms = [lambda s: f"{names[0]}{s} l ASOF {kind}JOIN {names[1]}{s} r ON l.k = r.k AND l.at {strict} r.at",
                 lambda s: f"{names[0]}{s} l {kind}JOIN {names[1]}{s} FOR SYSTEM_TIME AS OF l.at AS r ON l.k = r.k"]
        asked = f"SELECT l.id AS lid, r.id AS rid FROM {forms[i - 8]('')}"
        views.append(asked)
        rows(connection, f"CREATE MATERIALIZED VIEW v{i} WITH (lateness = '{lateness} seconds') AS {asked}")
        rows(connection, f"CREATE MATERIALIZED VIEW o{i} AS SELECT l.id AS lid, r.id AS rid FROM {forms[i - 8]('_kept')}")
    topics, tight = [Topic(dice, lateness) for _ in names], False
    for turn in range(10):
        if tight:  # with the memory that it needs every view is right again
            connection.close()
            server.flags, tight = (), False
            server.again()
            connection = server.connect()
        if turn == 6 and seed % 2:  # what is left is what the log gives again, by other workers, in other steps
            connection.close()
            server.flags = ("--workers", str(dice.choice([1, 3, 16])), "--step-bytes", dice.choice(["64KiB", "32MiB"]))
            memory = [None, "300kB", "600kB", "1MB", "2MB"][seed // 2 % 5]
            tight = memory is not None
            server.flags += ("--memory", memory) if tight else ()
            server.again(dice.choice([signal.SIGTERM, signal.SIGKILL]))
            connection = server.connect()
        for name, topic in zip(names, topics):
            every, kept = topic.make(dice.choice([1, 3, 20, 60]))
            position = server.post(name, "\n".join(every))
            if kept:
                position = server.post(name + "_kept", "\n".join(kept))
            done["rows"] += len(every)
            done["late"] += len(every) - len(kept)
        rows(connection, f"SET kappa.read_after = {position}")
        for i, query in enumerate(views):
            try:
                got, want = (collections.Counter(rows(connection, f"SELECT * FROM {v}{i}")) for v in "vo")
            except psycopg2.errors.OutOfMemory:
                if not tight:
                    raise
                done["refused"] += 1  # where memory is short an answer may be refused, never wrong
                continue
            if i == 9:
                want = versions(*topics, kind)
            done["answers"] += 1
            if got != want:
                if 4 <= i < 8:
                    query = rows(connection, f"SELECT definition FROM kappa.views WHERE name = 'v{i}'")[0][0]
                print(f"seed {seed}, lateness {lateness} s: {query}\nmissing {want - got}\ntoo much {got - want}")
                return False
    for kind, count in (("join", 4), ("match", 4), ("asof", 2)):
        for what, way in (("kept", "ASC"), ("of", "DESC")):
            held = rows(connection, f"SELECT state_rows FROM kappa.operators WHERE kind = '{kind}' ORDER BY state_rows {way} LIMIT {count}")
            done[kind + what] += sum(int(row[0]) for row in held)
    for i in range(10):
        rows(connection, f"VERIFY MATERIALIZED VIEW v{i}")
        rows(connection, f"DROP MATERIALIZED VIEW v{i}")
        rows(connection, f"DROP MATERIALIZED VIEW o{i}")
    connection.close()
    return True


def main():
    rounds, done = run_rounds("lateness", 6, run_round)
    print(f"lateness: {rounds} rounds, {done['answers']} answers equal over {done['rows']} rows, {done['late']} of them late; "
          f"joins hold {done['joinkept']} rows instead of {done['joinof']}, patterns {done['matchkept']} instead of {done['matchof']}, "
          f"as-of joins {done['asofkept']} instead of {done['asofof']}; "
          f"{done['refused']} answers refused for want of memory")
    # What an as-of join has read in one step, as after a start, it lets go when the key is touched again.
    if any(done[kind + "kept"] * least > done[kind + "of"] for kind, least in (("join", 2), ("match", 2), ("asof", 1.5))):
        print("they do not forget")
        sys.exit(1)


if __name__ == "__main__":
    main()
