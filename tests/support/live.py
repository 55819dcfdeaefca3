"""A benchmark's queries as live views, held against PostgreSQL.

One schema, one set of queries, random writes given to both as the same SQL. Each query is asked in three ways: as a view that was
made before the data (early_…), as a view made when half of the writes had come (late_…), and ad hoc. At each position the rows of
all views are compared with PostgreSQL's answers; in the middle the server is stopped once, and killed once."""
import glob
import math
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time

import psycopg2

from postgres import Postgres
from server import Server, rows

FLOAT_OIDS = (700, 701)


def text_of(value):
    """1.0 and 1.00 differ: what a client is shown is compared."""
    return "NULL" if value is None else str(value)


def close_enough(a, b):
    if a == b:
        return True
    try:
        return math.isclose(float(a), float(b), rel_tol=1e-9, abs_tol=1e-12)
    except ValueError:
        return False


def ask(connection, sql):
    """(rows as tuples of text in an order of their own, which columns are floats), or the error as text."""
    with connection.cursor() as cursor:
        try:
            cursor.execute(sql)
        except psycopg2.Error as error:
            if error.pgcode is None:
                raise
            return f"{error.pgcode} {error.diag.message_primary}", ()
        floats = tuple(i for i, column in enumerate(cursor.description) if column.type_code in FLOAT_OIDS)
        got = [tuple(map(text_of, row)) for row in cursor.fetchall()]
    got.sort(key=lambda row: ([value for i, value in enumerate(row) if i not in floats],
                              [float(row[i]) if row[i] != "NULL" else math.inf for i in floats]))
    return got, floats


def difference(expected, got, floats):
    """What differs, in a few lines; empty if nothing does."""
    if isinstance(expected, str) or isinstance(got, str):
        if isinstance(expected, str) and isinstance(got, str) and expected[:5] == got[:5]:
            return ""
        shown = [value if isinstance(value, str) else f"{len(value)} rows" for value in (expected, got)]
        return f"expected {shown[0]}, got {shown[1]}"
    if len(expected) == len(got) and all(
            a == b or all(x == y or (i in floats and close_enough(x, y)) for i, (x, y) in enumerate(zip(a, b)))
            for a, b in zip(expected, got)):
        return ""
    missing, surplus = list(expected), []
    for row in got:
        if row in missing:
            missing.remove(row)
        else:
            surplus.append(row)
    lines = [f"missing {row}" for row in missing[:4]] + [f"surplus {row}" for row in surplus[:4]]
    return f"{len(expected)} rows expected, {len(got)} got\n    " + "\n    ".join(lines)


def for_postgres(sql, columns):
    """Ties of a LIMIT fall by the whole row, which PostgreSQL has to be told."""
    match = re.search(r"\nLIMIT (\d+)\s*$", sql)
    if not match:
        return sql
    return f"{sql[:match.start()]}, {', '.join(str(i + 1) for i in range(columns))}{match.group(0)}"


class Live:
    def __init__(self, folder, seed):
        self.folder = folder
        self.queries = {}
        for path in sorted(glob.glob(os.path.join(folder, "q*.sql"))):
            with open(path, encoding="utf-8") as file:
                self.queries[os.path.basename(path)[:-4]] = file.read().rstrip().rstrip(";")
        self.refused = self.read_refused()
        self.random = random.Random(seed)
        self.failures = []
        self.shown = dict.fromkeys(self.queries, 0)  # most rows that a query had
        self.compared = 0
        self.work = tempfile.mkdtemp(prefix="kappa-live.")
        self.postgres = Postgres()
        self.oracle = self.postgres.connect()
        self.server = Server(os.path.join(self.work, "data"))
        self.kappa = self.server.connect()
        with open(os.path.join(folder, "schema.sql"), encoding="utf-8") as file:
            self.both(file.read())
        self.columns = {}
        self.asked = {}
        for name, sql in self.queries.items():
            with self.oracle.cursor() as cursor:
                cursor.execute(f"SELECT * FROM ({sql}) AS q LIMIT 0")
                self.columns[name] = len(cursor.description)
            self.asked[name] = for_postgres(sql, self.columns[name])

    def read_refused(self):
        path = os.path.join(self.folder, "refused.txt")
        if not os.path.exists(path):
            return {}
        with open(path, encoding="utf-8") as file:
            return dict(line.rstrip("\n").split(" ", 1) for line in file if line.strip() and not line.startswith("#"))

    def fail(self, what):
        self.failures.append(what)
        print(f"FAIL {what}", flush=True)

    def both(self, sql):
        """The same statements, as one transaction, on both."""
        for connection in (self.kappa, self.oracle):
            with connection.cursor() as cursor:
                cursor.execute(sql)

    def insert(self, table, tuples, size=400):
        """Rows as one statement (or some, if there are many)."""
        for at in range(0, len(tuples), size):
            values = ", ".join("(" + ", ".join(literal(value) for value in row) + ")" for row in tuples[at:at + size])
            self.both(f"INSERT INTO {table} VALUES {values}")

    def make_views(self, prefix):
        """Tells each query that kappa refuses; those that it should."""
        for name, sql in self.queries.items():
            view = f"{prefix}_{name.replace('.', '_')}"
            try:
                rows(self.kappa, f"CREATE MATERIALIZED VIEW {view} AS {sql}")
                if self.refused.pop(name, None):
                    print(f"note: {name} works now: its line in refused.txt can go")
            except psycopg2.Error as error:
                said = f"{error.pgcode} {error.diag.message_primary}"
                if name not in self.refused:
                    self.fail(f"{name} is refused: {said}")
                elif self.refused[name] != said:
                    print(f"note: {name} is refused otherwise now: {said}")
                self.refused[name] = said

    def check(self, when, prefixes, ad_hoc):
        for name in self.queries:
            expected, _ = ask(self.oracle, self.asked[name])
            self.shown[name] = max(self.shown[name], len(expected))
            if name in self.refused:
                continue
            ways = [f"SELECT * FROM {prefix}_{name.replace('.', '_')}" for prefix in prefixes]
            for sql in ways + [self.queries[name]] * ad_hoc:
                got, floats = ask(self.kappa, sql)
                wrong = difference(expected, got, floats)
                self.compared += 1
                if wrong:
                    self.fail(f"{when}: {sql if len(sql) < 60 else name + ' ad hoc'}: {wrong}")

    def again(self, how):
        self.kappa.close()
        self.server.again(how)
        self.kappa = self.server.connect()

    def run(self, fill, change, positions=10):
        """fill(live) loads the first rows, change(live) writes once."""
        began = time.monotonic()
        self.make_views("early")
        fill(self)
        for position in range(1, positions + 1):
            change(self)
            if position == positions // 2:
                self.make_views("late")
            if position in (positions // 3, positions - 2):
                self.again(signal.SIGTERM if position == positions // 3 else signal.SIGKILL)
            prefixes = ("early",) if position < positions // 2 else ("early", "late")
            self.check(f"position {position}", prefixes, position in (1, positions // 2, positions))
        for name in self.queries:
            if not self.shown[name]:
                self.fail(f"{name} never has a row: the data does not test it")
        for name, said in sorted(self.refused.items()):
            print(f"refused {name}: {said}")
        print(f"{len(self.queries) - len(self.refused)} of {len(self.queries)} queries live, {len(self.refused)} refused, "
              f"{self.compared} answers compared at {positions} positions, {len(self.failures)} wrong, "
              f"{time.monotonic() - began:.0f} s")
        return len(self.failures) > 0

    def close(self):
        try:
            self.kappa.close()
            self.server.end(signal.SIGTERM)
        finally:
            self.oracle.close()
            self.postgres.close()
            shutil.rmtree(self.work, ignore_errors=True)


def literal(value):
    if value is None:
        return "NULL"
    if isinstance(value, (int, float)):
        return str(value)
    return "'" + str(value).replace("'", "''") + "'"


def main(folder, fill, change):
    seed = int(os.environ.get("KAPPA_SEED", "1"))
    live = Live(folder, seed)
    failed = True
    try:
        for name in sys.argv[1:2]:
            live.queries = {key: sql for key, sql in live.queries.items() if key.startswith(name)}
            live.refused = {key: said for key, said in live.refused.items() if key.startswith(name)}
        failed = live.run(fill, change, 10 * int(os.environ.get("KAPPA_TEST_SCALE", "1")))
    except Exception:
        print(live.server.said())
        raise
    finally:
        live.close()
    if failed:
        print(f"KAPPA_SEED={seed}")
    sys.exit(failed)
