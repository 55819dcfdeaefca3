"""The Nexmark views of examples/nexmark/ against PostgreSQL's answers to hand-written queries over the same events.

    compare.py [--events N] [--seed S] [--modes before,after,run] [QUERY…]

before: the views are there when the events come; after: they are made when all have come; run: `kappa run`. Rows are compared as
sorted CSV (run: only those of RUN, unless queries are named). For q12 the log's time at each bid is what kappa says. refused.txt lists what kappa refuses."""
import argparse
import glob
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
EXAMPLES = os.path.join(ROOT, "examples", "nexmark")
sys.path.insert(0, os.path.join(HERE, "..", "support"))

import psycopg2  # noqa: E402

from postgres import Postgres  # noqa: E402
from server import Server, rows, wait_for  # noqa: E402

RUN = ["q3", "q5", "q7", "q12", "q13"]  # q12: there the log's time is that of the events
SIDE = ", ".join(f"({key}, 'side {key % 13}')" for key in range(0, 10000, 3))


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def copy_out(connection, sql):
    """The columns' names, and the rows as sorted lines of CSV."""
    class Lines:
        parts = []

        def write(self, text):
            self.parts.append(text)

    sink = Lines()
    sink.parts = []
    with connection.cursor() as cursor:
        cursor.copy_expert(f"COPY ({sql}) TO STDOUT (FORMAT csv, HEADER)", sink)
    head, *lines = b"".join(sink.parts).decode().splitlines()
    return head, sorted(lines)


class Comparison:
    def __init__(self, arguments):
        self.arguments = arguments
        self.program = os.environ.get("KAPPA_RELEASE", os.environ["KAPPA"])
        self.wrong, self.equal = 0, 0
        self.work = tempfile.mkdtemp(prefix="kappa-nexmark.")
        os.chmod(self.work, 0o755)
        self.queries = arguments.queries or sorted((os.path.basename(path)[:-4] for path in glob.glob(os.path.join(EXAMPLES, "q*.sql"))),
                                                   key=lambda name: int(name[1:]))
        self.refused = dict(line.rstrip("\n").split(" ", 1) for line in read(os.path.join(HERE, "refused.txt")).splitlines()
                            if line.strip() and line.split(" ", 1)[0] in self.queries) if os.path.exists(os.path.join(HERE, "refused.txt")) else {}
        self.events = os.path.join(self.work, "events.ndjson")
        with open(self.events, "wb") as file: # a low rate, so that a few events already make many windows
            subprocess.run([os.path.join(os.path.dirname(self.program), "kappa-nexmark"), "--events", str(arguments.events), "--seed",
                            str(arguments.seed), "--rate", "2000"], stdout=file, check=True)
        self.postgres = Postgres()
        self.oracle = self.postgres.connect()
        self.load_oracle()
        self.expected = {}

    def load_oracle(self):
        first, rest = read(os.path.join(HERE, "schema_pg.sql")).split(";\n", 1)
        rows(self.oracle, first)
        with open(self.events, "rb") as file, self.oracle.cursor() as cursor:
            # one column that is the whole line: delimiter and quote are bytes that JSON text cannot have
            cursor.copy_expert("COPY line FROM STDIN WITH (FORMAT csv, DELIMITER E'\\x01', QUOTE E'\\x02')", file)
        rows(self.oracle, rest)
        rows(self.oracle, "CREATE TABLE side_input (key bigint PRIMARY KEY, value text); INSERT INTO side_input VALUES " + SIDE)

    def answer(self, name):
        """What PostgreSQL says; q12's answer is of the log's times that are loaded."""
        if name not in self.expected:
            self.expected[name] = copy_out(self.oracle, read(os.path.join(HERE, f"{name}_pg.sql")))
        return self.expected[name]

    def load_log_times(self, lines):
        rows(self.oracle, "DROP TABLE IF EXISTS bid_log_time; CREATE TABLE bid_log_time (bidder bigint, log_time timestamptz)")
        with self.oracle.cursor() as cursor:
            cursor.copy_expert("COPY bid_log_time FROM STDIN (FORMAT csv)", io.StringIO("\n".join(lines) + "\n"))
        self.expected.pop("q12", None)

    def compare(self, mode, name, got):
        head, expected = self.answer(name)
        got_head, got_rows = got
        if head != got_head:
            print(f"FAIL {name} {mode}: columns differ: PostgreSQL {head}, kappa {got_head}")
        elif expected != got_rows:
            missing, surplus = set(expected) - set(got_rows), set(got_rows) - set(expected)
            print(f"FAIL {name} {mode}: {len(expected)} rows expected, {len(got_rows)} got; (< PostgreSQL, > kappa)")
            for sign, lines in (("<", missing), (">", surplus)):
                for line in sorted(lines)[:4]:
                    print(f"  {sign} {line}")
        elif not expected:
            print(f"FAIL {name} {mode}: no rows: the events do not test it")
        else:
            self.equal += 1
            return
        self.wrong += 1

    def refusal(self, name, said):
        """Leaves out a query that is refused; that is an error if refused.txt does not say so."""
        if said is None:
            if self.refused.pop(name, None):
                print(f"note: {name} works now: its line in refused.txt can go")
            return
        if name not in self.refused:
            self.wrong += 1
            print(f"FAIL {name} is refused: {said}")
        elif self.refused[name] != said:
            print(f"note: {name} is refused otherwise now: {said}")
        self.refused[name] = said

    # ---- a server: views before or after the events ----

    def make_views(self, connection):
        for name in self.queries:
            said = None
            for statement in statements(read(os.path.join(EXAMPLES, f"{name}.sql"))):
                try:
                    rows(connection, statement)
                except psycopg2.Error as error:
                    said = f"{error.pgcode} {error.diag.message_primary}"
                    break
            self.refusal(name, said)
        if "q13" in self.queries:
            rows(connection, "INSERT INTO side_input VALUES " + SIDE)

    def with_server(self, mode):
        server = Server(os.path.join(self.work, mode), program=self.program)
        connection = server.connect()
        try:
            rows(connection, read(os.path.join(EXAMPLES, "schema.sql")))
            if mode == "before":
                self.make_views(connection)
            with open(self.events, "rb") as file:
                while body := file.read(4 << 20):
                    position = server.post("nexmark", body + file.readline())
            rows(connection, f"SET kappa.read_after = {position}")
            if mode == "after":
                self.make_views(connection)
            if "q12" in self.queries:
                self.load_log_times(copy_out(connection, "SELECT bidder, _log_time FROM bid")[1])
            for name in self.queries:
                if name not in self.refused:
                    self.compare(mode, name, copy_out(connection, f"SELECT * FROM {name}"))
            if "q10" in self.queries and "q10" not in self.refused:
                self.check_archive(mode, connection)
        finally:
            connection.close()
            server.end()

    def check_archive(self, mode, connection):
        """q10's sink: each bid once, each minute in one partition, minutes spread over several."""
        rows(connection, "CREATE SOURCE archived_row (auction bigint, dt text, hm text) WITH (topic = 'q10_archive', path = 'row')")
        bids = rows(self.oracle, "SELECT count(*) FROM bid")[0][0]
        wait_for("the sink", lambda: rows(connection, "SELECT count(*) FROM archived_row")[0][0] >= bids)
        got = rows(connection, "SELECT count(*), count(DISTINCT _partition) FROM archived_row")[0]
        torn = rows(connection, "SELECT dt, hm FROM archived_row GROUP BY dt, hm HAVING count(DISTINCT _partition) > 1")
        minutes = rows(self.oracle, "SELECT count(DISTINCT date_trunc('minute', datetime)) FROM bid")[0][0]
        if got[0] != bids or torn or (minutes > 1 and got[1] < 2):
            print(f"FAIL q10 {mode}: {got[0]} records of {bids} bids in {got[1]} partitions; in more than one: {torn[:3]}")
            self.wrong += 1

    # ---- kappa run ----

    def with_run(self):
        for name in self.arguments.queries or RUN:
            if name in self.refused:
                continue
            app = read(os.path.join(EXAMPLES, "schema.sql")) + read(os.path.join(EXAMPLES, f"{name}.sql"))
            if name == "q13":
                app = app.replace("CREATE MATERIALIZED", f"INSERT INTO side_input VALUES {SIDE};\nCREATE MATERIALIZED")
            if name == "q12":
                times = self.run_app(app.replace("CREATE MATERIALIZED", "CREATE MATERIALIZED VIEW times AS SELECT bidder, _log_time FROM bid;"
                                                 "\nCREATE MATERIALIZED"), "times")
                self.load_log_times(times[1])
            self.compare("run", name, self.run_app(app, name))

    def run_app(self, app, view):
        path = os.path.join(self.work, "app.sql")
        with open(path, "w", encoding="utf-8") as file:
            file.write(app)
        out = subprocess.run([self.program, "run", path, "--view", view, "--input", f"nexmark={self.events}", "--format", "csv"],
                             stdout=subprocess.PIPE, check=True, text=True).stdout
        head, *lines = out.splitlines()
        return head, sorted(lines)

    def close(self):
        self.oracle.close()
        self.postgres.close()
        shutil.rmtree(self.work, ignore_errors=True)


def statements(text):
    """The statements of a file; no semicolon stands within one here."""
    return [part for part in map(str.strip, re.sub(r"(?m)^\s*--.*$", "", text).split(";")) if part]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=200000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--modes", default="before,after,run")
    parser.add_argument("queries", nargs="*")
    arguments = parser.parse_args()
    began = time.monotonic()
    comparison = Comparison(arguments)
    try:
        for mode in arguments.modes.split(","):
            comparison.with_run() if mode == "run" else comparison.with_server(mode)
    finally:
        comparison.close()
    for name, said in comparison.refused.items():
        print(f"refused {name}: {said}")
    print(f"{len(comparison.queries) - len(comparison.refused)} of {len(comparison.queries)} queries, {len(comparison.refused)} refused, "
          f"{arguments.events} events: {comparison.equal} answers equal, {comparison.wrong} wrong, {time.monotonic() - began:.0f} s")
    sys.exit(comparison.wrong > 0)


main()
