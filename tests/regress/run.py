"""Runs statements of PostgreSQL's regression tests on kappa and on PostgreSQL 15; README.md tells what counts."""
import collections
import os
import re
import sys
import tempfile

import psycopg2
import psycopg2.extensions

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))
import postgres  # noqa: E402
import server  # noqa: E402

FILES = ["boolean", "char", "name", "varchar", "text", "int2", "int4", "int8", "oid", "float4", "float8", "numeric", "uuid",
         "enum", "domain", "strings", "numerology", "date", "time", "timestamp", "timestamptz", "interval", "horology",
         "arrays", "json", "jsonb", "jsonb_jsonpath", "json_encoding", "aggregates", "case", "regex", "unicode", "expressions"]
# Of `make test`; the rest at KAPPA_TEST_SCALE above 1, or by name.
QUICK = ["boolean", "varchar", "int4", "int8", "float8", "uuid", "enum", "strings", "date", "interval", "arrays", "json_encoding"]
COUNTED = re.compile(r"(?i)^\s*(select|with|values|table|insert|update|delete|create\s+(table|type|domain|function|view|or)|drop)\b")
WRITES = re.compile(r"(?i)^\s*(insert|update|delete|create|drop)\b")
psycopg2.extensions.register_type(psycopg2.extensions.new_type(tuple(range(16, 100000)), "TEXT", lambda value, cursor: value))


def statements(text):
    """Statements of a psql script; backslash commands and COPY's inline data are left out."""
    out, at, start = [], 0, 0
    token = re.compile(r"'(?:[^'\\]|''|\\.)*'|\"(?:[^\"]|\"\")*\"|\$(\w*)\$.*?\$\1\$|--[^\n]*|/\*.*?\*/|;|\\\w[^\n]*", re.S)
    while True:
        found = token.search(text, at)
        if not found:
            return out
        at = found.end()
        if found.group().startswith("\\"):
            if not text[start:found.start()].strip():
                start = at
            else:  # \gset and its like end a statement
                start = at
        elif found.group() == ";":
            statement = re.sub(r"--[^\n]*", "", text[start:found.start()]).strip()
            start = at
            if re.match(r"(?is)copy\b.*\bstdin\b", statement):
                end = text.find("\n\\.", at)
                at = start = end + 3 if end >= 0 else len(text)
            elif statement:
                out.append(statement)


def run(connection, statement):
    cursor = connection.cursor()
    try:
        cursor.execute(statement)
        return [tuple(row) for row in cursor.fetchall()] if cursor.description else "ok"
    except psycopg2.Error as error:
        return (error.pgcode, (error.diag.message_primary or str(error)).strip())


def close(a, b):
    if a == b:
        return True
    try:
        x, y = float(a), float(b)
    except (TypeError, ValueError):
        return False
    return ("." in a or "e" in a) and abs(x - y) <= 1e-5 * max(abs(x), abs(y))


def agree(ours, theirs, ordered):
    if isinstance(ours, tuple) or isinstance(theirs, tuple):
        return isinstance(ours, tuple) and isinstance(theirs, tuple) and ours[0] == theirs[0]
    if isinstance(ours, str) or isinstance(theirs, str):
        return isinstance(ours, str) and isinstance(theirs, str)
    key = lambda row: tuple("" if v is None else "x" + v for v in row)
    if not ordered:
        ours, theirs = sorted(ours, key=key), sorted(theirs, key=key)
    return len(ours) == len(theirs) and all(len(a) == len(b) and all(map(close, a, b)) for a, b in zip(ours, theirs))


def reason(ours, theirs):
    """Why a statement does not agree, in few words."""
    if isinstance(ours, tuple):
        code, message = ours
        message = re.sub(r'"[^"]*"|\'[^\']*\'|\d+', "…", message)
        if code == "0A000":
            return "refused: " + message[:80]
        if code in ("42P01", "42703") and not isinstance(theirs, tuple):
            return "reads what an earlier statement should have made"
        if code == "42883":
            return "no such function or operator: " + message[:80]
        if code == "42704":
            return "no such type: " + message[:80]
        if code == "42601":
            return "the grammar: " + message[:80]
        return ("another error: " if isinstance(theirs, tuple) else "an error: ") + f"{code} {message[:70]}"
    return "accepted, where PostgreSQL fails" if isinstance(theirs, tuple) else "a different answer"


def for_kappa(statement):
    """A table without a key is a source here: rows are only added."""
    if re.match(r"(?i)create\s+table\s", statement) and not re.search(r"(?i)primary\s+key", statement):
        return re.sub(r"(?i)^create\s+table", "CREATE SOURCE", statement)
    return statement


class Kappa:
    """A server of its own and a connection; made anew if the server went away, which is a failure."""

    def __init__(self, low):
        self.low, self.folder = low, tempfile.TemporaryDirectory(prefix="kappa-regress.")
        self.server = server.Server(os.path.join(self.folder.name, "data"))
        self.connect()

    def connect(self):
        self.connection = self.server.connect()
        prepare(self.connection)

    def run(self, statement):
        answer = run(self.connection, for_kappa(statement))
        if self.connection.closed:
            self.low.append("the server went away at: " + statement)
            print(self.server.said())
            self.server.process.wait(30)
            self.server.start()
            self.connect()
        return answer

    def close(self):
        self.connection.close()
        self.server.end()
        self.folder.cleanup()


def prepare(connection):
    run(connection, "SET timezone = 'PST8PDT'")
    run(connection, "SET statement_timeout = '10s'")


def run_file(folder, name, kappa, oracle, why, show):
    with open(os.path.join(folder, name + ".sql"), encoding="utf-8", errors="replace") as file:
        text = file.read()
    counted = agreed = 0
    for statement in statements(text):
        if not COUNTED.match(statement):
            continue
        theirs = run(oracle, statement)
        ours = kappa.run(statement)
        counted += 1
        if agree(ours, theirs, re.search(r"(?i)\border\s+by\b", statement)):
            agreed += 1
            continue
        reason_text = reason(ours, theirs)
        why[reason_text] += 1
        if show:
            print(f"--- {reason_text}\n{statement}\n  PostgreSQL {str(theirs)[:300]}\n  kappa      {str(ours)[:300]}")
    return counted, agreed


def floors():
    with open(os.path.join(HERE, "floor.txt"), encoding="utf-8") as file:
        return {line.split()[0]: float(line.split()[1]) for line in file if line.strip() and not line.startswith("#")}


def main():
    scale = float(os.environ.get("KAPPA_TEST_SCALE", "1"))
    folder, wanted = sys.argv[1], sys.argv[2:] or (FILES if scale > 1 else QUICK)
    show = bool(os.environ.get("KAPPA_REGRESS_SHOW"))
    oracle_server = postgres.Postgres()
    total = total_agreed = 0
    why, low = collections.Counter(), []
    floor = floors()
    try:
        for name in wanted:
            kappa, oracle = Kappa(low), oracle_server.connect()
            run(oracle, "DROP SCHEMA public CASCADE")
            run(oracle, "CREATE SCHEMA public")
            prepare(oracle)
            counted, agreed = run_file(folder, name, kappa, oracle, why, show)
            kappa.close()
            oracle.close()
            share = 100 * agreed / max(counted, 1)
            print(f"{name:16} {agreed:5} of {counted:5}  {share:5.1f} %", flush=True)
            if share < floor.get(name, 0) - 0.05:
                low.append(f"{name}: {share:.1f} %, was {floor[name]:.1f} %")
            total += counted
            total_agreed += agreed
    finally:
        oracle_server.close()
    print(f"{'all':16} {total_agreed:5} of {total:5}  {100 * total_agreed / max(total, 1):5.1f} %\n\nwhy the others do not agree:")
    for text, count in why.most_common():
        print(f"{count:5}  {text}")
    for line in low:
        print("FAIL " + line)
    return 1 if low else 0


if __name__ == "__main__":
    sys.exit(main())
