"""Runs statements of PostgreSQL's regression tests on kappa and on PostgreSQL 15; README.md tells what counts."""
import collections
import io
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
         "enum", "domain", "strings", "numerology", "date", "time", "timetz", "timestamp", "timestamptz", "interval", "horology",
         "arrays", "json", "jsonb", "jsonpath", "jsonb_jsonpath", "json_encoding", "aggregates", "case", "regex", "unicode", "expressions",
         "sequence", "identity"]
# Of `make test`; the rest at KAPPA_TEST_SCALE above 1, or by name.
QUICK = ["boolean", "varchar", "int4", "int8", "float8", "uuid", "enum", "strings", "date", "interval", "arrays", "json_encoding", "sequence",
         "identity"]
COUNTED = re.compile(r"(?i)^\s*(select|with|values|table|insert|update|delete|create\s+(table|temp|temporary|sequence|type|domain|function|view|or)|alter\s+(type|domain|sequence)|drop|truncate)\b")
BY_KEYS = ("23503", "23505")
EXPLAINED = []
DATA = ""  # the folder of the tests' own data files
psycopg2.extensions.register_type(psycopg2.extensions.new_type(tuple(range(16, 100000)), "TEXT", lambda value, cursor: value))


def statements(text):
    """Statements of a psql script as (text, COPY's data or None); psql's own commands are left out, but for the file that COPY reads."""
    out, at, start, path = [], 0, 0, None
    token = re.compile(r"'(?:[^'\\]|''|\\.)*'|\"(?:[^\"]|\"\")*\"|\$(\w*)\$.*?\$\1\$|--[^\n]*|/\*.*?\*/|;|\\\w[^\n]*", re.S)
    while True:
        found = token.search(text, at)
        if not found:
            return out
        at = found.end()
        if found.group().startswith("\\"):  # alone, or behind a statement that it ends, as \gset does
            named = re.match(r"\\set filename :abs_srcdir '([^']+)'", found.group())
            path = named.group(1) if named else path
            start = at
        elif found.group() == ";":
            statement = re.sub(r"--[^\n]*", "", text[start:found.start()]).strip()
            start = at
            if re.match(r"(?is)copy\b.*\bstdin\b", statement):
                end = text.find("\n\\.", at)
                data = text[text.find("\n", at) + 1:end + 1] if end >= 0 else ""
                at = start = end + 3 if end >= 0 else len(text)
                out.append((statement, data))
            elif re.match(r"(?is)copy\b.*\bfrom\s+:'filename'", statement) and path:
                with open(DATA + path.replace("/data", "", 1), encoding="utf-8", errors="replace") as file:
                    out.append((statement.replace(":'filename'", "STDIN"), file.read()))
            elif statement:
                out.append((statement, None))


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


ONE_RETURN = re.compile(r"(?is)(\$\$|')\s*begin\s+return\s+([^;']*);\s*end;?\s*\1")


def for_kappa(statement):
    """What is temporary stays; a PL/pgSQL body that is one RETURN is one SELECT."""
    statement = re.sub(r"(?i)^create\s+(temp|temporary)\s", "CREATE ", statement)
    if re.search(r"(?i)\blanguage\s+plpgsql\b", statement) and ONE_RETURN.search(statement):
        statement = re.sub(r"(?i)\blanguage\s+plpgsql\b", "LANGUAGE sql", ONE_RETURN.sub(r"$$ SELECT \2 $$", statement))
    return statement


def without_keys(statement):
    """A CREATE TABLE that was refused for them, so that what follows has its table."""
    return re.sub(r"(?i)\s(unique\b|references\s+\w+(\s*\([^)]*\))?)", " ", statement)


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
            self.server.process.kill()
            self.server.process.wait(30)
            self.server.start()
            self.connect()
        return answer

    def close(self):
        self.connection.close()
        try:
            self.server.end()
        except RuntimeError as error:
            self.low.append(str(error)[:300])
        self.folder.cleanup()


def prepare(connection):
    run(connection, "SET timezone = 'PST8PDT'")
    run(connection, "SET statement_timeout = '10s'")


def load(connection, statement, data):
    try:
        connection.cursor().copy_expert(statement, io.StringIO(data))
    except psycopg2.Error:
        pass  # what reads it will tell


def read_script(folder, name):
    with open(os.path.join(folder, name + ".sql"), encoding="utf-8", errors="replace") as file:
        return file.read()


def set_up(folder, text, kappa, oracle):
    """The tables of PostgreSQL's test_setup that a file reads."""
    for statement, data in statements(read_script(folder, "test_setup")):
        table = re.match(r"(?i)(?:create\s+table|insert\s+into|copy)\s+(\w+)", statement)
        if not table or not re.search(rf"(?i)\b{table.group(1)}\b", text) or " INHERITS " in statement:
            continue
        if re.search(rf"(?i)\bcreate\s+(temp\s+|temporary\s+)?table\s+{table.group(1)}\b", text):
            continue  # it makes its own
        if data is not None:
            load(kappa.connection, statement, data)
            load(oracle, statement, data)
        else:
            kappa.run(statement)
            run(oracle, statement)


def run_file(folder, name, kappa, oracle, why, unexplained, show):
    text = read_script(folder, name)
    counted = agreed = 0
    set_up(folder, text, kappa, oracle)
    for statement, data in statements(text):
        if data is not None:
            load(kappa.connection, statement, data)
            load(oracle, statement, data)
        if not COUNTED.match(statement):
            continue
        theirs = run(oracle, statement)
        # What violates a key is not run on the table without it.
        ours = ("0A000", "no keys") if isinstance(theirs, tuple) and theirs[0] in BY_KEYS else kappa.run(statement)
        if theirs == "ok" and ours != "ok" and re.match(r"(?i)create\b.*\btable\b", statement):
            kappa.run(without_keys(statement))  # the refusal counts
        counted += 1
        if agree(ours, theirs, re.search(r"(?i)\border\s+by\b", statement)):
            agreed += 1
            continue
        reason_text = reason(ours, theirs)
        because = explain(reason_text, statement, EXPLAINED)
        if because:
            why[because] += 1
        else:
            unexplained.append(f"{name}: {reason_text}: {' '.join(statement.split())[:160]}")
        if show:
            print(f"--- {reason_text}\n{statement}\n  PostgreSQL {str(theirs)[:300]}\n  kappa      {str(ours)[:300]}")
    return counted, agreed


def explanations():
    """Of explained.txt: (what a reason and its statement look like, why)."""
    with open(os.path.join(HERE, "explained.txt"), encoding="utf-8") as file:
        rows = [line.rstrip("\n").split("  -- ", 1) for line in file if line.strip() and not line.startswith("#")]
    return [(re.compile(pattern, re.I | re.S), why) for pattern, why in rows]


def explain(reason_text, statement, explained):
    for pattern, why in explained:
        if pattern.search(reason_text + "\n" + statement):
            return why
    return None


def floors():
    with open(os.path.join(HERE, "floor.txt"), encoding="utf-8") as file:
        return {line.split()[0]: float(line.split()[1]) for line in file if line.strip() and not line.startswith("#")}


def main():
    scale = float(os.environ.get("KAPPA_TEST_SCALE", "1"))
    global DATA
    folder, wanted = sys.argv[1], sys.argv[2:] or (FILES if scale > 1 else QUICK)
    DATA = os.path.join(folder, "..", "unpacked", "data")
    EXPLAINED.extend(explanations())
    show = bool(os.environ.get("KAPPA_REGRESS_SHOW"))
    oracle_server = postgres.Postgres()
    total = total_agreed = 0
    why, unexplained, low = collections.Counter(), [], []
    floor = floors()
    try:
        for name in wanted:
            kappa, oracle = Kappa(low), oracle_server.connect()
            run(oracle, "DROP SCHEMA public CASCADE")
            run(oracle, "CREATE SCHEMA public")
            prepare(oracle)
            counted, agreed = run_file(folder, name, kappa, oracle, why, unexplained, show)
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
    low += ["explained.txt does not explain " + line for line in unexplained]
    for line in low:
        print("FAIL " + line)
    return 1 if low else 0


if __name__ == "__main__":
    sys.exit(main())
