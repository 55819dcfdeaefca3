"""Rounds of random versions of a keyed table; README.md tells what is compared."""
import collections
import datetime
import json
import os
import random
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))
from postgres import Postgres
from server import rows, run_rounds

BEGIN = datetime.datetime(2024, 1, 1)
DELETED = "2026-01-01"  # records are written now: between the event times of rows, which are of 2024 or of 2999
KEYS, GROUPS = 5, ["a", "b", None]


def event_time(dice):
    if dice.random() < 0.1:
        return None if dice.random() < 0.5 else str(datetime.datetime(2999, 1, 1) + datetime.timedelta(minutes=dice.randint(0, 20)))
    return str(BEGIN + datetime.timedelta(minutes=dice.randint(0, 40)))


def quoted(value):
    return "NULL" if value is None else f"'{value}'"


class World:
    """The same writes for kappa's table and for PostgreSQL's versions of it; `number` orders them."""

    def __init__(self, seed, server, oracle):
        self.dice, self.server, self.oracle, self.number = random.Random(seed), server, oracle, 0
        self.table, self.source, self.ids = f"t{seed}", f"s{seed}", 0
        self.kappa = server.connect()
        self.moments = []  # (kappa's position, log time, the oracle's number) between writes
        self.inside = []  # (kappa's position within a write, the oracle's number before it): a write counts whole
        rows(self.kappa, f"CREATE TABLE {self.table} (k int, g text, v int, at timestamp, WATERMARK FOR at AS at, PRIMARY KEY (k, g))")
        rows(self.kappa, f"CREATE SOURCE {self.source} (id int, k int, g text, n int, at timestamp)")
        rows(oracle, "DROP TABLE IF EXISTS h, s; CREATE TABLE h (number int, k int, g text, v int, since timestamp, deleted boolean);"
                     "CREATE TABLE s (id int, k int, g text, n int, at timestamp, number int)")

    def version(self, key, group, value, since, deleted):
        self.number += 1
        rows(self.oracle, f"INSERT INTO h VALUES ({self.number}, {key}, '{group}', {quoted(value)}, {quoted(since)}, {deleted})")

    def there(self):
        return rows(self.oracle, "SELECT k, g FROM (SELECT DISTINCT ON (k, g) * FROM h ORDER BY k, g, number DESC) AS t WHERE NOT deleted")

    def records(self):
        lines = []
        for _ in range(self.dice.randint(1, 6)):
            key, group, value, since = self.dice.randint(1, KEYS), self.dice.choice(GROUPS[:2]), self.dice.randint(0, 9), event_time(self.dice)
            lines.append(json.dumps({"k": key, "g": group, "v": value, "at": since}))
            self.version(key, group, value, since, False)
        self.server.post(self.table, "\n".join(lines))

    def statement(self, key):
        value, since = self.dice.randint(0, 9), event_time(self.dice)
        group, how = self.dice.choice(GROUPS[:2]), self.dice.randint(0, 2)
        met = [row for row in self.there() if row[0] == key]
        if how == 0:
            rows(self.kappa, f"DELETE FROM {self.table} WHERE k = {key}")
        elif how == 1:
            rows(self.kappa, f"UPDATE {self.table} SET v = {value}, at = {quoted(since)} WHERE k = {key}")
        else:
            met = [(key, group)]
            rows(self.kappa, f"INSERT INTO {self.table} VALUES ({key}, '{group}', {value}, {quoted(since)}) "
                             "ON CONFLICT (k, g) DO UPDATE SET v = EXCLUDED.v, at = EXCLUDED.at")
        for row in met:
            self.version(*row, None if how == 0 else value, DELETED if how == 0 else since, how == 0)

    def source_rows(self):
        lines = []
        for _ in range(self.dice.randint(1, 8)):
            self.ids += 1
            self.number += 1
            row = {"id": self.ids, "k": self.dice.randint(1, KEYS), "g": self.dice.choice(GROUPS), "n": self.dice.randint(0, 9),
                   "at": event_time(self.dice)}
            lines.append(json.dumps(row))
            rows(self.oracle, f"INSERT INTO s VALUES ({', '.join(quoted(value) for value in row.values())}, {self.number})")
        self.server.post(self.source, "\n".join(lines))

    def block(self):
        """Several statements, one transaction, which writes one version of a key at most."""
        with self.kappa.cursor() as cursor:
            cursor.execute("BEGIN")
            for key in self.dice.sample(range(1, KEYS + 1), self.dice.randint(2, 4)):
                self.statement(key)
            cursor.execute("COMMIT")

    def write(self):
        time.sleep(0.002)  # each write has a log time of its own
        behind, before = self.moments[-1][0] if self.moments else 0, self.number
        one = lambda: self.statement(self.dice.randint(1, KEYS))
        self.dice.choice([self.records, self.records, one, self.block, self.source_rows, self.source_rows])()
        position = rows(self.kappa, "SELECT log_position FROM kappa.lag WHERE name = 'total'")[0][0]
        rows(self.kappa, f"SET kappa.read_after = {position}")
        moment = rows(self.kappa, "SELECT now()")[0][0]
        self.inside += [(at, before) for at in range(behind + 1, position)]
        self.moments.append((position, moment, self.number))


def found(kind, by, rest):
    """The temporal join in PostgreSQL."""
    since = {"at": "h.since <= s.at", "_position": "h.number < s.number", "_log_time": "h.number < s.number"}[by]
    order = "since DESC, number DESC" if by == "at" else "number DESC"
    return (f"SELECT s.id, r.v, r.k FROM s {kind} JOIN LATERAL (SELECT * FROM (SELECT * FROM h WHERE h.k = s.k AND h.g = s.g AND {since} "
            f"ORDER BY {order} LIMIT 1) AS last WHERE NOT deleted) AS r ON {rest}")


def was(number):
    return f"(SELECT k, g, v FROM (SELECT DISTINCT ON (k, g) * FROM h WHERE number <= {number} ORDER BY k, g, number DESC) AS t WHERE NOT deleted)"


class Compare:
    def __init__(self, world, seed, done):
        self.world, self.seed, self.done = world, seed, done

    def __call__(self, asked, wanted):
        got, want = (collections.Counter(tuple(map(str, row)) for row in rows(connection, sql))
                     for connection, sql in ((self.world.kappa, asked), (self.world.oracle, wanted)))
        self.done["answers"] += 1
        if got != want:
            print(f"seed {self.seed}: {asked}\n{wanted}\nmissing {want - got}\ntoo much {got - want}")
        return got == want


def make_view(world, number):
    kind, by = world.dice.choice(["", "LEFT"]), world.dice.choice(["at", "_position", "_log_time"])
    rest = world.dice.choice(["true", "r.v > s.n", "s.n <> 3", "r.v % 2 = 0 AND s.n < 8"])
    rows(world.kappa, f"CREATE MATERIALIZED VIEW v{number} AS SELECT s.id, r.v, r.k FROM {world.source} s {kind} JOIN {world.table} "
                      f"FOR SYSTEM_TIME AS OF s.{by} AS r ON r.k = s.k AND s.g = r.g AND {rest}")
    return found(kind, by, rest)


def compare_past(world, same):
    asked = [(position, world.dice.choice([str(position), f"'{moment}'", f"TIMESTAMPTZ '{moment}'"]), number)
             for position, moment, number in world.dice.sample(world.moments, min(12, len(world.moments)))]
    asked += [(position, str(position), number) for position, number in world.dice.sample(world.inside, min(6, len(world.inside)))]
    for position, by, number in asked:
        then = f"{world.table} FOR SYSTEM_TIME AS OF {by}"
        total = "SELECT g, sum(v), count(*) FROM {} GROUP BY g"
        if not (same(f"SELECT k, g, v FROM {then}", f"SELECT * FROM {was(number)} AS t") and
                same(f"SELECT t.k, t.g, o.v, t.v FROM {world.table} t FULL JOIN {then} o USING (k, g)",
                     f"SELECT t.k, t.g, o.v, t.v FROM {was(world.number)} t FULL JOIN {was(number)} o USING (k, g)") and
                same(f"SELECT * FROM total FOR SYSTEM_TIME AS OF {by} AS o", total.format(was(number) + " AS t")) and
                same(f"SELECT * FROM total AS OF POSITION {position}", total.format(was(number) + " AS t"))):
            return False
    return True


def run_round(server, seed, done):
    oracle_server = Postgres()
    try:
        oracle = oracle_server.connect()
        world = World(seed, server, oracle)
        same = Compare(world, seed, done)
        rows(world.kappa, f"CREATE MATERIALIZED VIEW total AS SELECT g, sum(v), count(*) FROM {world.table} GROUP BY g")
        wanted = [make_view(world, i) for i in range(3)]
        ahead = rows(world.kappa, "SELECT log_position FROM kappa.lag WHERE name = 'total'")[0][0] + world.dice.randint(20, 60)
        rows(world.kappa, f"CREATE MATERIALIZED VIEW was AS SELECT k, g, v FROM {world.table} FOR SYSTEM_TIME AS OF {ahead}")
        for turn in range(8):
            if turn == 3:
                wanted += [make_view(world, i) for i in range(3, 6)]
            if turn == 5:
                world.kappa.close()
                server.flags = ("--workers", str(world.dice.choice([1, 3, 16])), "--step-bytes", world.dice.choice(["64KiB", "32MiB"]))
                server.again(world.dice.choice([signal.SIGTERM, signal.SIGKILL]))
                world.kappa = server.connect()
            for _ in range(world.dice.randint(1, 8)):
                world.write()
            for i, want in enumerate(wanted):
                if not same(f"SELECT * FROM v{i}", want):
                    print(rows(world.kappa, f"SELECT definition FROM kappa.views WHERE name = 'v{i}'")[0][0])
                    return False
        number = max((number for position, _, number in world.moments if position <= ahead), default=0)
        if not same("SELECT * FROM was", f"SELECT * FROM {was(number)} AS t") or not compare_past(world, same):
            return False
        for view in ["was"] + [f"v{i}" for i in range(len(wanted))]:
            rows(world.kappa, f"VERIFY MATERIALIZED VIEW {view}")
        done["versions"] += world.number - world.ids
        rows(world.kappa, f"DROP TABLE {world.table} CASCADE")
        world.kappa.close()
    finally:
        oracle_server.close()
    return True


def main():
    rounds, done = run_rounds("system_time", 3, run_round)
    print(f"system_time: {rounds} rounds, {done['answers']} answers equal over {done['versions']} versions")


if __name__ == "__main__":
    main()
