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
check("it lives", "SELECT 1", 1)
print("limits: ok")
