"""Statements of extreme form: each works in sane time, or a limit says so, with PostgreSQL's code; none ends the server."""
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
check("a union", listed("SELECT %d", 5000, " UNION ALL "), "54001")
check("subqueries", "SELECT count(*) FROM " + "(SELECT * FROM " * 30 + "t" + ") AS x" * 30, 1000)
check("columns", "SELECT " + listed("%d", 1600), 0)
check("too many columns", "SELECT " + listed("%d", 1601), "54011")
check("a wide table", "CREATE TABLE wide (k int PRIMARY KEY, %s)" % listed("c%d int", 1590), None)
check("a wide row", "INSERT INTO wide (k, c1589) VALUES (1, 2) RETURNING c1589", 2)
check("a table too wide", "CREATE TABLE wider (k int PRIMARY KEY, %s)" % listed("c%d int", 1700), "54011")
check("a join", "SELECT count(*) FROM t AS t0 JOIN " + listed("t AS u%d USING (a)", 60, " JOIN "), 1000, 60)
check("a text", "SELECT length(repeat('x', 50000000))", 50000000)
check("too long a text", "SELECT length(repeat('x', 2000000000))", "54000")
check("a text of a GB", "SELECT length(repeat('x', 1000000000))", "54000")
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
