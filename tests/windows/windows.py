"""Rounds of random windows over sources with partitions, idle ones among them; README.md tells what is compared."""
import collections
import datetime
import json
import os
import random
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "support")]
import psycopg2

import model
from server import rows, run_rounds, wait_for

SECOND = 1000000
EPOCH = datetime.datetime(1970, 1, 1)


def moment(us):
    return EPOCH + datetime.timedelta(microseconds=us)


def micros(at):
    return None if at is None else (at.replace(tzinfo=None) - EPOCH) // datetime.timedelta(microseconds=1)


class View:
    """One shape of window, as SQL and for the model."""

    def __init__(self, dice, name, source):
        self.name, self.source = name, source
        self.kind = dice.choice(["tumble", "hop", "cumulate", "session"])
        self.step = dice.choice([2, 5, 10]) * SECOND
        self.size = dice.choice([3, 8]) * SECOND if self.kind == "session" else self.step * dice.randint(1, 4)
        if self.kind == "tumble":
            self.step = self.size
        self.form = dice.choice(["live", "closed", "closed", "risky", "rows", "skips"])
        self.lateness = dice.choice([0, 3, 20]) * SECOND if dice.random() < 0.5 and self.form == "live" else None

    def window(self):
        seconds = [f"INTERVAL '{us // SECOND} seconds'" for us in (self.step, self.size)]
        arguments = {"tumble": seconds[1:], "hop": seconds, "cumulate": seconds, "session": [seconds[1], "k"]}[self.kind]
        return f"{self.kind}({self.source}, at, {', '.join(arguments)})"

    def sql(self):
        head = f"CREATE MATERIALIZED VIEW {self.name}"
        groups = f"FROM {self.window()} GROUP BY window_start, window_end, k"
        if self.form == "live":
            late = "" if self.lateness is None else f" WITH (lateness = '{self.lateness // SECOND} seconds')"
            return f"{head}{late} AS SELECT window_start, window_end, k, count(*) AS n, sum(v) AS v {groups}"
        if self.form == "rows":
            return f"{head} AS SELECT window_start, window_end, k, v FROM {self.window()} WHERE v > 0 EMIT ON WINDOW CLOSE"
        value = "sum(12 / v)" if self.form in ("risky", "skips") else "sum(v)"
        skip = " ON ERROR SKIP" if self.form == "skips" else ""
        return f"{head} AS SELECT window_start, window_end, k, count(*) AS n, {value} AS v {groups} EMIT ON WINDOW CLOSE{skip}"

    def expected(self, every, watermark):
        """The rows, and the positions of error rows."""
        found, errors = collections.Counter(), collections.Counter()
        if self.lateness is not None:
            every = [row for row in every if row.at is not None and row.at + self.lateness >= row.watermark]
        closes = self.form != "live"
        groups = model.grouped(every, self.kind, self.size, self.step, closes)
        for (start, end, k), members in groups.items():
            if closes and end > watermark:
                continue
            shown = (moment(start), moment(end), k)
            if self.form == "rows":
                for row in members:
                    if row.v is not None and row.v > 0:
                        found[shown + (row.v,)] += 1
                continue
            if self.form in ("risky", "skips"):
                for row in members:
                    errors[row.position] += row.v == 0
                members = [row for row in members if row.v != 0]
                if not members:
                    continue
            values = [row.v if self.form in ("live", "closed") else int(12 / row.v) for row in members if row.v is not None]
            found[shown + (len(members), sum(values) if values else None)] += 1
        return found, +errors

    def late(self, every):
        found = collections.Counter()
        for row, start, end in model.pairs(every, self.kind, self.size, self.step, True):
            if self.form != "rows" or (row.v is not None and row.v > 0):
                found[moment(start), moment(end), row.k, row.v] += 1
        return found


class Joined:
    """Windows of one source joined with windows of the other, which close together, or with all its rows, which correct what is closed."""

    def __init__(self, dice, name, sources):
        self.name, self.sources, self.form = name, [source.name for source in sources], "joined"
        self.size = dice.choice([2, 5, 10]) * SECOND
        self.windows = dice.random() < 0.5
        self.outer = dice.random() < 0.5
        self.above = f"SELECT k, count(*) AS n, sum(w) AS w FROM {name} GROUP BY k"

    def window(self, source):
        return f"tumble({source}, at, INTERVAL '{self.size // SECOND} seconds')"

    def sql(self):
        right = self.window(self.sources[1]) if self.windows else self.sources[1]
        ends = " AND a.window_end = b.window_end" if self.windows else ""
        return (f"CREATE MATERIALIZED VIEW {self.name} AS SELECT a.window_end, a.k, a.v, b.v AS w FROM {self.window(self.sources[0])} a "
                f"{'LEFT ' * self.outer}JOIN {right} b ON a.k = b.k{ends} EMIT ON WINDOW CLOSE")

    def expected(self, models):
        (left, watermark), (right, other) = (models[name] for name in self.sources)
        watermark = min(watermark, other) if self.windows else watermark
        found, partners = collections.Counter(), collections.defaultdict(list)
        if self.windows:
            for row, _, end in model.pairs(right, "tumble", self.size, self.size, False):
                partners[row.k, end].append(row.v)
        else:
            for row in right:
                partners[row.k, None].append(row.v)
        for row, _, end in model.pairs(left, "tumble", self.size, self.size, False):
            if end <= watermark:
                values = partners[row.k, end if self.windows else None]
                found.update((moment(end), row.k, row.v, w) for w in values or [None] * self.outer)
        return found

    def expected_above(self, found):
        groups = collections.defaultdict(list)
        for row, times in found.items():
            groups[row[1]] += [row[3]] * times
        return collections.Counter((k, len(ws), sum(w for w in ws if w is not None) if any(w is not None for w in ws) else None)
                                   for k, ws in groups.items())


class Source:
    def __init__(self, dice, name):
        self.dice, self.name = dice, name
        self.partitions = dice.randint(1, 3)
        self.delay = dice.choice([0, 2, 5]) * SECOND
        self.idle = dice.choice([None, None, 300000])
        self.ahead = dice.choice([None, 3600 * SECOND])
        self.now = int(time.time()) * SECOND - 1000 * SECOND
        self.quiet = None  # a partition that says nothing for a while

    def sql(self):
        options = f"topic = '{self.name}'"
        if self.idle:
            options += ", idle_timeout = '300 milliseconds'"
        if self.ahead:
            options += ", max_ahead = '1 hour'"
        return [f"CREATE TOPIC {self.name} WITH (partitions = {self.partitions})",
                f"CREATE SOURCE {self.name} (k int, v int, at timestamp, WATERMARK FOR at AS at - INTERVAL '{self.delay // SECOND} seconds') "
                f"WITH ({options})"]

    def records(self, count):
        """Lines for one partition."""
        dice = self.dice
        if self.quiet is None or dice.random() < 0.3:
            self.quiet = dice.randrange(self.partitions) if self.partitions > 1 else -1
        partition, lines = dice.choice([p for p in range(self.partitions) if p != self.quiet]), []
        for _ in range(count):
            self.now += dice.choice([0, 0, 1, 1, 2, 4]) * SECOND
            at = self.now - dice.choice([0, 0, 0, 1, 2, 6, 15, 40]) * SECOND + dice.choice([0, 0, 1, 500000])
            if self.ahead and dice.random() < 0.04:
                at = int(time.time()) * SECOND + 3 * 3600 * SECOND  # a wrong clock: a dead letter
            row = {"k": dice.randint(1, 2), "v": dice.choice([None, 0, 1, 2, 5, 12]), "at": str(moment(at))}
            if dice.random() < 0.03:
                del row["at"]
            lines.append(json.dumps(row))
        return partition, "\n".join(lines)


def read_model(connection, source):
    """All rows of the source with the watermark before each, and the one behind them all when time has passed."""
    every = [model.Row(position, partition, micros(logged), micros(at), k, v) for position, partition, logged, at, k, v in
             rows(connection, f"SELECT _position, _partition, _log_time AT TIME ZONE 'UTC', at, k, v FROM {source.name} ORDER BY _position")]
    watermark = model.Watermark(source.delay, source.idle)
    for row in every:
        watermark.take(row)
    return every, watermark.settle()


def ask(connection, sql):
    try:
        return collections.Counter(rows(connection, sql))
    except (psycopg2.errors.DivisionByZero, psycopg2.errors.OutOfMemory) as error:
        return error.pgcode


def agrees(connection, sql, wanted, tight, done):
    """Where memory is short an answer may be refused, never wrong."""
    got = ask(connection, sql)
    done["refused"] += tight and got == "53200"
    return got == wanted or (tight and got == "53200")


def check_joined(connection, joined, models, patience, tight, done):
    for view in joined:
        want = view.expected(models)
        for sql, wanted in ((f"SELECT * FROM {view.name}", want), (f"SELECT * FROM {view.name}_above", view.expected_above(want))):
            try:
                wait_for("", lambda: agrees(connection, sql, wanted, tight, done), patience)
            except RuntimeError:
                got = ask(connection, sql)
                print(f"{sql}\n{view.sql()}\nmissing", wanted if isinstance(got, str) else wanted - got, "\ntoo much", got)
                return False
            done["answers"] += 1
    return True


def check(connection, sources, views, joined, tight, done):
    models = {source.name: read_model(connection, source) for source in sources}
    if not check_joined(connection, joined, models, 20 if any(source.idle for source in sources) else 0, tight, done):
        return False
    for source in sources:
        every, watermark = models[source.name]
        done["rows"] += len(every)
        for view in views:
            if view.source != source.name:
                continue
            want, errors = view.expected(every, watermark)
            asked = [(f"SELECT * FROM {view.name}", "22012" if errors and view.form != "skips" else want)]
            if view.form in ("risky", "skips"):
                asked.append((f"SELECT position FROM {view.name}_errors", collections.Counter((p,) for p in errors.elements())))
            if view.form != "live":
                asked.append((f"SELECT window_start, window_end, k, v FROM {view.name}_late", view.late(every)))
            for sql, wanted in asked:
                try:  # a partition becomes idle by a tick, which is written when it is due
                    wait_for("", lambda: agrees(connection, sql, wanted, tight, done), 20 if source.idle else 0)
                except RuntimeError:
                    got = ask(connection, sql)
                    print(f"{sql}\n{view.sql()}\nwatermark {moment(watermark) if watermark != model.NEVER else None}")
                    print("expected", wanted, "\ngot", got)
                    return False
                done["answers"] += 1
                done["late"] += sum(wanted.values()) if sql.endswith("_late") else 0
                done["errors"] += sum(wanted.values()) if sql.endswith("_errors") else 0
    return True


def run_round(server, seed, done):
    dice = random.Random(seed)
    connection = server.connect()
    sources = [Source(dice, f"s{seed}_{i}") for i in range(2)]
    views = [View(dice, f"v{seed}_{i}", dice.choice(sources).name) for i in range(10)]
    said = [sql for source in sources for sql in source.sql()]
    said += [view.sql() for view in views[:7]]
    joined = [Joined(dice, f"j{seed}_{i}", dice.sample(sources, 2)) for i in range(3)]
    for view in joined[:2]:
        said += [view.sql(), f"CREATE MATERIALIZED VIEW {view.name}_above AS {view.above}"]
    for sql in said:
        rows(connection, sql)
    tight = False
    for turn in range(4):
        if tight:  # with the memory that it needs every view is right again
            tight = False
            connection.close()
            server.flags = ()
            server.again()
            connection = server.connect()
        for _ in range(dice.choice([1, 3, 6])):
            source = dice.choice(sources)
            partition, lines = source.records(dice.choice([1, 3, 20, 60]))
            position = server.post(source.name, lines, f"?partition={partition}")
            rows(connection, f"SET kappa.read_after = {position}")
        if turn == 1:
            for view in views[7:]:
                rows(connection, view.sql())
            rows(connection, joined[2].sql())
            rows(connection, f"CREATE MATERIALIZED VIEW {joined[2].name}_above AS {joined[2].above}")
        if turn == 2:
            connection.close()
            server.flags = ("--workers", str(dice.choice([1, 2, 7])), "--step-bytes", dice.choice(["64KiB", "32MiB"]))
            memory = dice.choice([None, "300kB", "600kB", "1MB", "2MB"])
            tight = memory is not None
            server.flags += ("--memory", memory) if tight else ()
            server.again(dice.choice([signal.SIGTERM, signal.SIGKILL]))
            connection = server.connect()
        made = views if turn >= 1 else views[:7]
        if not check(connection, sources, made, joined if turn >= 1 else joined[:2], tight, done):
            print(f"seed {seed}, turn {turn}: sources", *(source.sql()[1] for source in sources), sep="\n")
            return False
    for view in views:
        if view.form != "risky":
            rows(connection, f"VERIFY MATERIALIZED VIEW {view.name}")
        rows(connection, f"DROP MATERIALIZED VIEW {view.name} CASCADE")
    for view in joined:
        rows(connection, f"VERIFY MATERIALIZED VIEW {view.name}_above")
        rows(connection, f"DROP MATERIALIZED VIEW {view.name} CASCADE")
    connection.close()
    return True


def main():
    rounds, done = run_rounds("windows", 6, run_round)
    print(f"windows: {rounds} rounds, {done['answers']} answers equal the model's over {done['rows']} rows; "
          f"{done['late']} late pairs and {done['errors']} error rows among them; {done['refused']} answers refused for want of memory")


if __name__ == "__main__":
    main()
