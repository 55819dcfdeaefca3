"""Runs sqllogictest files against kappa; README.md tells their form."""
import json
import glob
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import psycopg2
import psycopg2.extensions

HERE = os.path.dirname(os.path.abspath(__file__))
# Every type comes as the text the server sent.
psycopg2.extensions.register_type(psycopg2.extensions.new_type(
    tuple(range(16, 6000)), "TEXT",
    lambda value, cursor: value))


EVENTUALLY_S = 20  # for what happens by itself behind a statement: what a sink writes


class Block:
    """One piece of a file: comments before it, its first line, its text, its expected answer (None: not given)."""

    def __init__(self, head, text, answer, comments):
        self.words = head.split()
        self.kind = self.words[0] if self.words else ""
        self.head, self.text, self.answer, self.comments = head, text, answer, comments
        self.kappa_only = "kappa" in self.words
        self.sort = "sort" in self.words
        self.connection = next((w[4:] for w in self.words if w.startswith("con=")), "main")

    def show(self):
        out = list(self.comments)
        if self.head:
            out.append(self.head)
        out += self.text
        if self.answer is not None:
            out += ["----"] + self.answer
        return "\n".join(out) + "\n"


def parse(path):
    blocks = []
    with open(path, encoding="utf-8") as file:
        pieces = re.split(r"\n(?:[ \t]*\n)+", file.read().strip("\n"))
    for piece in pieces:
        lines = piece.split("\n")
        comments = []
        while lines and lines[0].startswith("#"):
            comments.append(lines.pop(0))
        head = lines.pop(0) if lines else ""
        answer = None
        if "----" in lines:
            at = lines.index("----")
            lines, answer = lines[:at], lines[at + 1:]
        blocks.append(Block(head, lines, answer, comments))
    return blocks


class Server:
    """A kappa server on a folder, started, stopped and killed."""

    def __init__(self, data):
        self.data = data
        self.connections = {}
        self.start()

    def start(self):
        self.log = open(self.data + ".err", "ab")
        self.process = subprocess.Popen(
            [os.environ["KAPPA"], "server", "--data", self.data, "--pg", "127.0.0.1:0", "--http", "127.0.0.1:0", "--kafka", "127.0.0.1:0"],
            stdout=subprocess.PIPE, stderr=self.log, text=True)
        line = self.process.stdout.readline()
        found = re.search(r"pg=(\S+):(\d+) http=(\S+)", line)
        if not found:
            raise RuntimeError("the server did not start: " + line + open(self.data + ".err").read()[-2000:])
        self.port, self.http = int(found.group(2)), found.group(3)

    def connection(self, name="main"):
        if name not in self.connections:
            connection = psycopg2.connect(host="127.0.0.1", port=self.port, user="kappa", dbname="kappa", connect_timeout=10)
            connection.autocommit = True
            self.connections[name] = connection
        return self.connections[name]

    def post(self, topic, lines):
        request = urllib.request.Request(f"http://{self.http}/topics/{topic}", "\n".join(lines).encode(), method="POST",
                                         headers={"Content-Type": "application/x-ndjson"})
        with urllib.request.urlopen(request, timeout=20) as reply:
            position = json.loads(reply.read())["position"]
        # what came by another door is seen when the engine has come to it: one session waits, then it is there for all
        answer_of(self.connection("check"), f"SET kappa.read_after = {position}", False)
        answer_of(self.connection("check"), "SELECT count(*) FROM kappa.topics", False)

    def end(self, how):
        for connection in self.connections.values():
            connection.close()
        self.connections = {}
        self.process.send_signal(how)
        status = self.process.wait(60)
        self.process.stdout.close()
        self.log.close()
        if how == signal.SIGTERM and status != 0:
            raise RuntimeError(f"the server ended with status {status}: " + open(self.data + ".err").read()[-3000:])

    def again(self, how):
        self.end(how)
        self.start()


def rows_of(cursor, sort):
    rows = ["|".join("NULL" if v is None else "(empty)" if v == "" else str(v) for v in row) for row in cursor.fetchall()]
    return sorted(rows) if sort else rows


def failure_of(error):
    diag = error.diag
    out = [f"error {error.pgcode}" + (f" at {diag.statement_position}" if diag.statement_position else "")]
    out.append(f"message: {diag.message_primary}")
    if diag.message_detail:
        out.append(f"detail: {diag.message_detail}")
    if diag.message_hint:
        out.append(f"hint: {diag.message_hint}")
    return out


def answer_of(connection, sql, sort):
    """Rows, or the error as lines; empty if there is nothing to say."""
    with connection.cursor() as cursor:
        try:
            cursor.execute(sql)
        except psycopg2.Error as error:
            if error.pgcode is None:
                raise
            return failure_of(error)
        return rows_of(cursor, sort) if cursor.description else []


def same(block, expected, got):
    """An expected error need not say more than its code."""
    if expected and re.fullmatch(r"error [0-9A-Z]{5}( at \d+)?", expected[0]):
        return bool(got) and got[0].startswith(expected[0]) and all(line in got for line in expected[1:])
    return expected == got


def subscribed(server, block):
    """SUBSCRIBE on a connection of its own: as many rows as were expected (at least one), without their position."""
    wanted = int(block.words[1])
    connection = psycopg2.connect(host="127.0.0.1", port=server.port, user="kappa", dbname="kappa")
    connection.autocommit = True
    lines = []

    class Sink:
        def write(self, text):
            lines.extend(re.sub(r"^\d+\t", "", line) for line in text.decode().splitlines())
            if len(lines) >= wanted:
                connection.cancel()

    try:
        with connection.cursor() as cursor:
            cursor.copy_expert("COPY (" + "\n".join(block.text) + ") TO STDOUT", Sink())
    except psycopg2.Error as error:
        if error.pgcode != "57014":
            lines.append(f"error {error.pgcode}")
    connection.close()
    return sorted(line.replace("\t", "|") for line in lines[:wanted])


def run_block(server, block):
    """What came, or None if the block asks nothing."""
    if block.kind in ("statement", "query"):
        until = time.monotonic() + EVENTUALLY_S if "eventually" in block.words else 0
        while True:
            got = answer_of(server.connection(block.connection), "\n".join(block.text), block.sort)
            if same(block, block.answer, got) or time.monotonic() >= until:
                break
            time.sleep(0.05)
        return ["ok"] if block.kind == "statement" and not (got and got[0].startswith("error ")) else got
    if block.kind == "append":
        try:
            server.post(block.words[1], block.text)
        except urllib.error.HTTPError as error:
            return [f"http {error.code}"]
    elif block.kind == "subscribe":
        return subscribed(server, block)
    elif block.kind == "restart":
        server.again(signal.SIGTERM)
    elif block.kind == "kill":
        server.again(signal.SIGKILL)
    elif block.kind:
        raise RuntimeError(f"no such block: {block.head}")
    return None


def stored_answers(server):
    """All rows of every table and view, or the error of reading it."""
    connection = server.connection("check")
    names = answer_of(connection, "SELECT name FROM kappa.views WHERE promoted ORDER BY 1", False)
    return {name: answer_of(connection, f"SELECT * FROM {name}", True) for name in names}


def run_file(path, fill):
    """A list of what is wrong."""
    blocks = parse(path)
    folder = tempfile.mkdtemp(prefix="kappa-sql.")
    wrong = []
    server = None
    try:
        server = Server(os.path.join(folder, "data"))

        def check(block, when):
            got = run_block(server, block)
            expected = block.answer
            if block.kind == "statement" and expected is None:
                expected = ["ok"]
            if block.kind == "query" and expected is None or block.kind == "subscribe" and expected is None:
                if fill:
                    block.answer = got
                    return
                expected = ["(nothing is expected here: record or fill)"]
            if got is not None and expected is not None and not same(block, expected, got):
                wrong.append(f"{when}: {block.head}\n  " + "\n  ".join(block.text) + "\n expected\n  " + "\n  ".join(expected) +
                             "\n got\n  " + "\n  ".join(got))

        for block in blocks:
            check(block, "live")
        if fill:
            with open(path, "w", encoding="utf-8") as file:
                file.write("\n".join(block.show() for block in blocks))
        last = max((i for i, block in enumerate(blocks) if block.kind not in ("query", "") or WRITES.search("\n".join(block.text))), default=-1)
        final = [block for block in blocks[last + 1:] if block.kind == "query" and block.connection == "main"]
        live = stored_answers(server)
        for how, when in ((signal.SIGTERM, "replayed"), (signal.SIGKILL, "after kill -9")):
            server.again(how)
            for block in final:
                check(block, when)
            now = stored_answers(server)
            for name in sorted(set(live) | set(now)):
                if live.get(name) != now.get(name):
                    wrong.append(f"{when}: {name} was\n  " + "\n  ".join(live.get(name, ["missing"])) + "\n and is\n  " +
                                 "\n  ".join(now.get(name, ["missing"])))
        server.end(signal.SIGTERM)
        server = None
    except Exception as error:  # a file that breaks the server is one failure, not the end of the run
        wrong.append(f"{type(error).__name__}: {error}\n" + open(os.path.join(folder, "data.err"), errors="replace").read()[-3000:])
    finally:
        if server and server.process.poll() is None:
            server.process.kill()
            server.process.wait()
        shutil.rmtree(folder, ignore_errors=True)
    return wrong


# ---- each query as views: made before the data, and after it ----

WRITES = re.compile(r"\b(INSERT INTO|UPDATE|DELETE FROM|MERGE INTO)\b")
AS_VIEW = re.compile(r"(SELECT|WITH|VALUES)\b", re.I)
NOT_AS_VIEW = re.compile(r"\b(kappa\.|pg_catalog\.|information_schema\.|AS OF|late\()|\bpg_|\bcurrent_setting\b", re.I)  # tables that describe the moment
CHANGES_OBJECTS = re.compile(r"\s*(DROP|ALTER|REFRESH|CREATE\s+OR\s+REPLACE)\b", re.I)
MAKES_OBJECTS = re.compile(r"\s*CREATE\b", re.I)


class Ways:
    """One more run of a file: as soon as what a query reads is there it becomes a view, and another one where it is asked."""

    def __init__(self, server, blocks, wrong):
        self.server, self.wrong = server, wrong
        self.waiting = {i: block for i, block in enumerate(blocks) if self.is_candidate(block)}
        self.early = set()  # of them: which have a view
        self.in_transaction = self.elsewhere = False  # elsewhere: a time zone that the views' session does not have
        self.queries, self.before, self.after = sum(block.kind == "query" for block in blocks), 0, 0

    @staticmethod
    def is_candidate(block):
        text = "\n".join(block.text)
        return (block.kind == "query" and block.connection == "main" and block.answer is not None and AS_VIEW.match(text) and
                not NOT_AS_VIEW.search(text))

    def create(self, view, block):
        text, connection = "\n".join(block.text).rstrip(";"), self.server.connection("ways")
        got = answer_of(connection, f"CREATE MATERIALIZED VIEW {view} AS {text}", False)
        if got and got[0].startswith("error 42701"):  # two columns of one name, as a query may have
            with connection.cursor() as cursor:
                cursor.execute(f"SELECT * FROM ({text}) AS slt_query LIMIT 0")
                names = ", ".join(f"slt_{i}" for i in range(len(cursor.description)))
            got = answer_of(connection, f"CREATE MATERIALIZED VIEW {view} ({names}) AS {text}", False)
        return got

    def make_early(self):
        for i, block in self.waiting.items():
            if i not in self.early and not self.create(f"slt_early_{i}", block):
                self.early.add(i)

    def drop_early(self):
        for i in self.early:
            answer_of(self.server.connection("ways"), f"DROP MATERIALIZED VIEW slt_early_{i}", False)
        self.early = set()

    def compare(self, view, block, way):
        expected, until = block.answer, time.monotonic() + (EVENTUALLY_S if "eventually" in block.words else 0)
        while True:
            got = answer_of(self.server.connection("main"), f"SELECT * FROM {view}", True)  # it has read its own writes
            if sorted(expected) == got or time.monotonic() >= until:
                break
            time.sleep(0.05)
        if got and got[0].startswith("error "):
            if not (expected and expected[0][:11] == got[0][:11]):
                self.wrong.append(f"{way}: {block.head}\n  " + "\n  ".join(block.text) + "\n gives " + got[0])
        elif sorted(expected) != got:
            self.wrong.append(f"{way}: {block.head}\n  " + "\n  ".join(block.text) + "\n expected\n  " + "\n  ".join(sorted(expected)) +
                              "\n got\n  " + "\n  ".join(got))

    def ask(self, i, block):
        if i not in self.waiting or self.in_transaction or self.elsewhere:
            return
        if i in self.early:
            self.compare(f"slt_early_{i}", block, "as a view before the data")
            self.before += 1
        if not self.create("slt_late", block):
            self.compare("slt_late", block, "as a view after the data")
            self.after += 1
            answer_of(self.server.connection("main"), "DROP MATERIALIZED VIEW slt_late", False)

    def step(self, i, block):
        text = "\n".join(block.text)
        if block.kind == "statement":
            if CHANGES_OBJECTS.match(text):
                self.drop_early()
            run_block(self.server, block)
            first = text.split(None, 1)[0].upper().rstrip(";") if text.strip() else ""
            if first in ("BEGIN", "START"):
                self.in_transaction = True
            elif first in ("COMMIT", "ROLLBACK", "END", "ABORT") and not re.search(r"\bTO\b", text, re.I):
                self.in_transaction = False
            if re.match(r"\s*SET (SESSION )?(TIME ZONE|TimeZone)\b", text, re.I):
                self.elsewhere = "UTC" not in text
            if MAKES_OBJECTS.match(text) or CHANGES_OBJECTS.match(text):
                self.make_early()
        elif block.kind == "query":
            self.ask(i, block)
            self.waiting.pop(i, None)
            if i in self.early:
                answer_of(self.server.connection("ways"), f"DROP MATERIALIZED VIEW slt_early_{i}", False)
                self.early.discard(i)
            run_block(self.server, block)  # it may change something, or be the first read of a transaction
        elif block.kind != "subscribe":
            run_block(self.server, block)


def run_ways(path):
    """(what is wrong, queries, views before, views after)"""
    wrong, blocks = [], parse(path)
    folder = tempfile.mkdtemp(prefix="kappa-sql.")
    server = None
    try:
        server = Server(os.path.join(folder, "data"))
        ways = Ways(server, blocks, wrong)
        for i, block in enumerate(blocks):
            ways.step(i, block)
        server.end(signal.SIGTERM)
        server = None
        return wrong, ways.queries, ways.before, ways.after
    except Exception as error:
        wrong.append(f"as views: {type(error).__name__}: {error}\n" +
                     open(os.path.join(folder, "data.err"), errors="replace").read()[-3000:])
        return wrong, 0, 0, 0
    finally:
        if server and server.process.poll() is None:
            server.process.kill()
            server.process.wait()
        shutil.rmtree(folder, ignore_errors=True)


# ---- recording ----

def for_postgres(sql):
    """CREATE SOURCE as a table, materialized views as views: what PostgreSQL can answer for."""
    sql = re.sub(r"CREATE SOURCE", "CREATE TABLE", sql)
    sql = re.sub(r",\s*WATERMARK FOR [^)]*?(?=\)\s*WITH)", "", sql)
    sql = re.sub(r"\)\s*WITH \(topic.*?\)", ")", sql)
    return re.sub(r"MATERIALIZED VIEW", "VIEW", sql)


def record(path):
    blocks = parse(path)
    connections = {}

    def connection_of(name):
        if name not in connections:
            connections[name] = psycopg2.connect(user="postgres", dbname="postgres")
            connections[name].autocommit = True
            with connections[name].cursor() as cursor:
                cursor.execute("SET search_path = slt; SET TimeZone = 'UTC'")
        return connections[name]

    with connection_of("main").cursor() as cursor:
        cursor.execute("DROP SCHEMA IF EXISTS slt CASCADE; CREATE SCHEMA slt")
    for block in blocks:
        if block.kind not in ("statement", "query") or block.kappa_only:
            continue
        got = answer_of(connection_of(block.connection), for_postgres("\n".join(block.text)), block.sort)
        if got and got[0].startswith("error "):
            block.answer = got[:1]
        else:
            block.answer = got if block.kind == "query" else None
    for connection in connections.values():
        connection.close()
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(block.show() for block in blocks))


def main():
    arguments = sys.argv[1:]
    mode = arguments.pop(0) if arguments and arguments[0] in ("--record", "--fill") else ""
    files = [f for f in sorted(glob.glob(os.path.join(HERE, "*.slt")))
             if not arguments or any(os.path.basename(f).startswith(a) for a in arguments)]
    failed = 0
    for path in files:
        name = os.path.basename(path)
        if mode == "--record":
            record(path)
            print(f"recorded {name}")
            continue
        start = time.monotonic()
        wrong = run_file(path, mode == "--fill")
        more, queries, before, after = run_ways(path) if not mode else ([], 0, 0, 0)
        wrong += more
        failed += bool(wrong)
        print(f"{'FAIL' if wrong else 'ok  '} {name} ({queries} queries, {before} also as views before the data, {after} as views after it; "
              f"{time.monotonic() - start:.1f} s)")
        for what in wrong:
            print("   | " + what.replace("\n", "\n   | "))
        sys.stdout.flush()
    print(f"sql tests: {len(files) - failed} passed, {failed} failed")
    return failed != 0


sys.exit(main())
