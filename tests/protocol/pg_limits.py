"""Statements of extreme form: each works in sane time, or a limit says so, with PostgreSQL's code; none ends the server."""
import json
import os
import re
import socket
import struct
import time

import psycopg2

import _wire

connection = psycopg2.connect("")
connection.autocommit = True
cursor = connection.cursor()


def answer(sql, params=None):
    """The only value, or the error's code."""
    try:
        cursor.execute(sql, params)
        return cursor.fetchone()[0] if cursor.description else None
    except psycopg2.Error as error:
        assert error.pgcode, error
        return error.pgcode


def check(what, sql, wanted, seconds=30):
    began = time.monotonic()
    got = answer(sql)
    took = time.monotonic() - began
    assert got == wanted, "%s: got %r, wanted %r" % (what, got, wanted)
    assert took < seconds, "%s took %.1f s" % (what, took)


def listed(form, count, separator=", "):
    return separator.join(form % i for i in range(count))


check("a table", "CREATE TABLE t (a int PRIMARY KEY, b text)", None)
check("rows", "INSERT INTO t SELECT g, 'x' || g FROM generate_series(1, 1000) AS g", None)
check("an IN list", "SELECT count(*) FROM t WHERE a IN (%s)" % listed("%d", 90000), 1000)
check("an IN list of text", "SELECT count(*) FROM t WHERE b IN (%s)" % listed("'x%d'", 20000), 1000)
check("an array", "SELECT count(*) FROM t WHERE a = ANY (ARRAY[%s])" % listed("%d", 20000), 1000)
check("ORs", "SELECT count(*) FROM t WHERE " + listed("a = %d", 2000, " OR "), 1000)
check("VALUES", "SELECT count(*) FROM (VALUES %s) AS v" % listed("(%d, 'a')", 10000), 10000)
check("too many words", "SELECT " + listed("%d", 300000), "54000")
check("sums", "SELECT " + listed("%d", 5000, " + "), "54001")
check("parentheses", "SELECT " + "(" * 5000 + "1" + ")" * 5000, "54001")
check("NOTs", "SELECT " + "NOT " * 5000 + "true", "54001")
check("CASEs", "SELECT " + "CASE WHEN true THEN " * 3000 + "1" + " END" * 3000, "54001")
check("a union", "SELECT count(*), sum(x) FROM (SELECT 0 AS x UNION ALL %s) AS u" % listed("SELECT %d", 4999, " UNION ALL "), 5000)
check("a union of numbers and others", "SELECT sum(x) FROM (SELECT NULL AS x UNION ALL %s) AS u" % listed("SELECT %d UNION ALL SELECT 0.5", 1000, " UNION ALL "), 500000)
check("a union without doubles", "SELECT count(*) FROM (%s) AS u" % listed("SELECT %d / 100", 5000, " UNION "), 50)
check("a live one", "CREATE MATERIALIZED VIEW united AS " + listed("SELECT a FROM t WHERE a = %d", 2000, " UNION ALL "), None)
check("its rows", "SELECT count(*) FROM united", 1000)
check("it goes, too", "DROP MATERIALIZED VIEW united", None)
check("UNION and UNION ALL by turns", "SELECT count(*) FROM (SELECT 0 %s) AS u" % listed("UNION SELECT %d UNION ALL SELECT 0", 2000, " "), "54001")
check("too many unions", listed("SELECT %d", 10002, " UNION ALL "), "54001")
check("too many differences", listed("SELECT %d", 1000, " EXCEPT "), "54001")
check("subqueries", "SELECT count(*) FROM " + "(SELECT * FROM " * 30 + "t" + ") AS x" * 30, 1000)
chain = ["q0 AS (SELECT a FROM t)"] + [f"q{i} AS (SELECT a FROM q{i - 1} UNION ALL SELECT a FROM q{i - 1} WHERE a < 0)" for i in range(1, 40)]
check("queries that double", "WITH %s SELECT count(*) FROM q9" % ", ".join(chain[:10]), 1000)
check("too often", "WITH %s SELECT count(*) FROM q39" % ", ".join(chain), "54001")
check("queries of WITH, each in the next", "WITH q0 AS (SELECT 0 AS a), %s SELECT a FROM q200" % ", ".join(
    f"q{i} AS (SELECT a + 1 AS a FROM q{i - 1})" for i in range(1, 201)), 200)
check("too deep ones", "WITH q0 AS (SELECT 0 AS a), %s SELECT a FROM q4999" % ", ".join(
    f"q{i} AS (SELECT a + 1 AS a FROM q{i - 1})" for i in range(1, 5000)), "54001")
check("a plain view", "CREATE VIEW plain0 AS SELECT a, 1 AS n FROM t", None)
deeper = "CREATE VIEW plain%d AS SELECT a, sum(n) AS n FROM (SELECT a, n, row_number() OVER (ORDER BY a) AS r FROM plain%d) AS p WHERE r > 0 GROUP BY a"
plain = next(i for i in range(1, 1000) if answer(deeper % (i, i - 1)) is not None)
assert 100 < plain < 500, plain
check("it is said why", deeper % (plain, plain - 1), "54001")
check("the middle one", f"SELECT count(*) FROM plain{plain // 2}", 1000)
check("views of views go", "DROP VIEW plain0 CASCADE", None)
check("a plain view that will be doubled", "CREATE VIEW plain0 AS SELECT a FROM t", None)
plain = next(i for i in range(1, 100) if answer(f"CREATE VIEW plain{i} AS SELECT a FROM plain{i - 1} UNION ALL SELECT a FROM plain{i - 1}") is not None)
assert 10 < plain < 20, plain
check("it is said why", f"SELECT count(*) FROM plain{plain - 1} AS a, plain{plain - 1} AS b", "54001")
check("they go", "DROP VIEW plain0 CASCADE", None)
check("LEFT JOINs", "CREATE MATERIALIZED VIEW lefts AS SELECT count(*) FROM t AS t0 %s" % " ".join(
    f"LEFT JOIN t AS t{i} ON t{i}.a = t{i - 1}.a" for i in range(1, 60)), None)
check("are looked at once", "SELECT complete_from FROM kappa.views WHERE name = 'lefts'", 0)
check("and go", "DROP MATERIALIZED VIEW lefts", None)
check("columns", "SELECT " + listed("%d", 1600), 0)
check("too many columns", "SELECT " + listed("%d", 1601), "54011")
check("a table of as many", "CREATE TABLE widest (c0 int PRIMARY KEY, %s)" % listed("c%d int", 1600)[len("c0 int, "):], None)
check("its rows", "INSERT INTO widest (c0, c1599) VALUES (1, 5), (2, 6)", None)
check("read", "SELECT c1599 FROM widest WHERE c0 = 2", 6)
check("all of it", "SELECT * FROM widest ORDER BY c0", 1)
check("a view of it", "CREATE MATERIALIZED VIEW widest_view AS SELECT * FROM widest", None)
check("its view", "SELECT sum(c1599) FROM widest_view", 11)
check("with itself", "SELECT count(*) FROM widest a JOIN widest b USING (c0) JOIN widest c USING (c0)", 2)
check("more columns than a row has", "SELECT * FROM widest a JOIN widest b ON a.c0 = b.c0", "54011")
check("wide ones, often", "CREATE TABLE wide20 (c0 int PRIMARY KEY, %s)" % listed("c%d int", 20)[len("c0 int, "):], None)
check("one row", "INSERT INTO wide20 (c0, c19) VALUES (1, 7)", None)
check("100 joins", "SELECT a99.c19 FROM wide20 a0 %s" % " ".join(
    f"JOIN wide20 a{i} ON a{i}.c0 = a{i - 1}.c0" for i in range(1, 100)), 7)
check("beyond joins", "SELECT 1 FROM widest a0 %s" % " ".join(
    f"JOIN widest a{i} ON a{i}.c0 = a{i - 1}.c0" for i in range(1, 42)), "54011")
check("it goes", "DROP TABLE widest, wide20 CASCADE", None)
check("a wide table", "CREATE TABLE wide (k int PRIMARY KEY, %s)" % listed("c%d int", 1590), None)
check("a wide row", "INSERT INTO wide (k, c1589) VALUES (1, 2) RETURNING c1589", 2)
check("a table too wide", "CREATE TABLE wider (k int PRIMARY KEY, %s)" % listed("c%d int", 1700), "54011")
check("a join", "SELECT count(*) FROM t AS t0 JOIN " + listed("t AS u%d USING (a)", 60, " JOIN "), 1000, 60)
check("a text", "SELECT length(repeat('x', 50000000))", 50000000)
check("too long a text", "SELECT length(repeat('x', 2000000000))", "54000")
check("a text of a GB", "SELECT length(repeat('x', 1000000000))", "54000")
check("a text made of many separators", "SELECT array_to_string(array_fill('x'::text, ARRAY[1000000]), repeat('y', 10000))", "54000")
check("a text of bytes", "SELECT encode(repeat('x', 50000000)::bytea, 'hex')", "54000")
check("a pattern whose parts can be taken apart in many ways", "SELECT (repeat('a', 1000) || 'x' || repeat('a', 1001) || 'y') ~ '(a+)(a+)x\\1\\2y'", "54000")
check("a pattern of many states", "SELECT 'a' ~ '(((a{255}){255}){255})'", "54000")
check("a pattern of many parentheses", "SELECT 'a' ~ (repeat('(', 5000) || 'a' || repeat(')', 5000))", "54000")
check("a text of replacements", "SELECT length(regexp_replace(repeat('x', 200000), 'x', repeat('y', 10000), 'g'))", "54000")
check("an array of long texts", "SELECT array_fill(repeat('x', 1000000), ARRAY[100000]) IS NULL", "54000")
check("deep jsonb", "SELECT pg_typeof(%s::jsonb)::text" % ("'" + "[" * 400 + "]" * 400 + "'"), "jsonb")
check("too deep jsonb", "SELECT %s::jsonb" % ("'" + "[" * 100000 + "]" * 100000 + "'"), "54001")
check("a view too wide", "CREATE MATERIALIZED VIEW w AS SELECT " + listed("a AS c%d", 1601) + " FROM t", "54011")
check("a join of a hundred", "SELECT count(*) FROM " + listed("t AS u%d", 100) + " WHERE " +
      listed("u%d.a = u0.a", 100, " AND "), 1000)
check("a hundred left joins live", "CREATE MATERIALIZED VIEW joined AS SELECT count(*) AS n FROM t AS t0 LEFT JOIN " +
      listed("t AS u%d USING (a)", 40, " LEFT JOIN "), None)
check("its answer", "SELECT n FROM joined", 1000)

# long statements: what a record may hold goes in as a literal; a longer one is refused, and the session goes on
check("a text of 10 MiB", "INSERT INTO t VALUES (-1, '%s')" % ("x" * (10 << 20)), None)
check("is there", "SELECT length(b) FROM t WHERE a = -1", 10 << 20)
check("a record too long", "INSERT INTO t VALUES (-2, '%s')" % ("x" * (17 << 20)), "54000")
check("a message too long", "SELECT '%s'" % ("x" * (65 << 20)), "54000")
check("too many tokens", "SELECT " + "." * (4 << 20), "54000")


class Gigabyte:
    """A row of COPY with a text of 1 GiB, as it is read."""

    def __init__(self, head, tail):
        self.parts = [head] + [b"x" * (1 << 20)] * 1024 + [tail, b""]

    def read(self, _size=-1):
        return self.parts.pop(0)


def memory_mib(what):
    with open("/proc/%s/status" % os.environ["KAPPA_PID"], encoding="ascii") as status:
        return int(re.search(what + r":\s+(\d+)", status.read())[1]) >> 10


def refused(what, act):
    """54000 with a hint; others go on, and the server's memory is not what the client sends."""
    before = memory_mib("VmRSS")
    with open("/proc/%s/clear_refs" % os.environ["KAPPA_PID"], "w", encoding="ascii") as refs:
        refs.write("5")
    code, hint = act()
    assert code == "54000" and hint, (what, code, hint)
    assert memory_mib("VmHWM") < before + 600, (what, before, memory_mib("VmHWM"))
    check("the next statement behind " + what, "SELECT 1", 1)


def copied(options, head, tail):
    try:
        cursor.copy_expert("COPY t FROM STDIN " + options, Gigabyte(head, tail), 1 << 20)
    except psycopg2.Error as error:
        return error.pgcode, error.diag.message_hint
    return None, None


def sent(head, tail, pieces=1000):
    """A message of 1,000 MiB by the wire."""
    long = _wire.Wire()
    long.socket.settimeout(120)
    long.send(head[:1] + struct.pack("!I", 4 + len(head) - 1 + (pieces << 20) + len(tail)) + head[1:])
    for _ in range(pieces):
        long.send(b"x" * (1 << 20))
    error = _wire.error(long.ask(tail + (_wire.SYNC if head[:1] != b"Q" else b"")))
    long.finish()
    return error["C"], error["H"]


def posted(path, head, tail):
    host, port = os.environ["HTTP"].split(":")
    with socket.create_connection((host, int(port)), timeout=120) as http:
        http.sendall(b"POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" %
                     (path, os.environ["HTTP"].encode(), len(head) + (1 << 30) + len(tail)) + head)
        answer = b""
        while b"\r\n\r\n" not in answer or b"}}" not in answer:
            answer += http.recv(65536)
    answer = json.loads(answer.split(b"\r\n\r\n", 1)[1])["error"]
    return answer["sqlstate"], answer["hint"]


refused("COPY", lambda: copied("", b"-3\t", b"\n"))
refused("COPY of CSV", lambda: copied("(FORMAT csv)", b"-3,\"", b"\"\n"))
refused("COPY in binary", lambda: copied("(FORMAT binary)", b"PGCOPY\n\xff\r\n\0" + struct.pack("!IIhiii", 0, 0, 2, 4, -3, 1 << 30), b""))
refused("a statement of 1,000 MiB", lambda: sent(b"QINSERT INTO t VALUES (-3, '", b"')\0"))
refused("a parameter of 1,000 MiB", lambda: sent(b"B\0\0" + struct.pack("!HHI", 0, 1, 1000 << 20), b"\0\0"))
refused("a record by HTTP", lambda: posted(b"/topics/t", b'{"a": -3, "b": "', b'"}'))
refused("a statement by HTTP", lambda: posted(b"/sql", b'{"sql": "SELECT \'', b'\'"}'))
check("none of it is there", "SELECT count(*) FROM t WHERE a = -3", 0)
if int(os.environ.get("KAPPA_TEST_SCALE", "1")) > 1:  # it takes 3 GiB
    check("a row of a GiB", "SELECT " + listed("repeat('x', 60000000) || '%d'", 18), "54000", 120)

# names
check("a long name", "CREATE TABLE %s (a int PRIMARY KEY)" % ("ab" * 40), None)
assert connection.notices[-1].strip() == \
    'NOTICE:  identifier "%s" will be truncated to "%s"' % ("ab" * 40, ("ab" * 40)[:63]), connection.notices
check("is one by its whole name, too", "DROP TABLE %s" % ("ab" * 40), None)
del connection.notices[:]
check("a long quoted name", "SELECT 1 AS \"%s\", 'a%s'" % ("\u00e4\"\"" * 30, "b" * 100), 1)
assert len(connection.notices) == 1 and ' to "%s"' % ("\u00e4\"" * 21) in connection.notices[0], connection.notices

# parameters
wire = _wire.Wire()
for count, wanted in ((65535, None), (65536, "54000")):
    sql = "SELECT 1 WHERE 65535 IN (%s)" % listed("$%d", count + 1)[4:]
    parts = _wire.parse(sql)
    if not wanted:
        parts += _wire.bind([str(i) for i in range(1, count + 1)]) + _wire.execute()
    messages = wire.ask(parts + _wire.SYNC)
    got = [_wire.fields(body)["C"] for kind, body in messages if kind == "E"]
    assert got == [wanted] * bool(wanted) and ("D" in _wire.kinds(messages)) == (not wanted), (count, got)
wire.finish()

# many of everything
sessions = [_wire.Wire() for _ in range(300)]
for number, session in enumerate(sessions):
    session.send(_wire.query("SELECT %d + count(*) FROM t WHERE a > 0" % number))
for number, session in enumerate(sessions):
    rows = [_wire.row(body) for kind, body in session.until("Z") if kind == "D"]
    assert rows == [[str(1000 + number)]], (number, rows)
for session in sessions:
    session.finish()

check("it lives", "SELECT 1", 1)
print("limits: ok")
