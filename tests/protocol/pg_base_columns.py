"""Which column of which table a result's column is (RowDescription), as PostgreSQL 15 tells it: of each query both are asked,
and what they answer is looked up in their own pg_class and pg_attribute."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import postgres

from _session import connection, cursor, expect

if not postgres.installed():
    print("PostgreSQL 15 is not installed")
    sys.exit(77)

DECLARED = [
    "CREATE TABLE t (a int PRIMARY KEY, b text, \"C\" numeric(6,2))",
    "CREATE TABLE u (a int, d date, PRIMARY KEY (a, d))",
    "CREATE DOMAIN positive AS int CHECK (value > 0)",
    "CREATE TABLE dom (k int PRIMARY KEY, p positive)",
    "CREATE VIEW plain AS SELECT b AS name, a + 1 AS next, a FROM t",
    "CREATE VIEW above AS SELECT name, a FROM plain",
    "CREATE MATERIALIZED VIEW mat AS SELECT b, count(*) AS n FROM t GROUP BY b",
    "INSERT INTO t VALUES (1, 'x', 1.5), (2, 'y', NULL)",
    "INSERT INTO u VALUES (1, '2024-01-01'), (3, '2024-01-02')",
]
QUERIES = """
SELECT a, b, "C" FROM t
SELECT * FROM t
TABLE t
SELECT t.*, a + 1, (a), a::int, a::bigint, b AS other, -a, 'k', NULL FROM t
SELECT x.b, x."C" FROM t AS x (one, b)
SELECT public.t.b FROM public.t
SELECT DISTINCT b FROM t
SELECT DISTINCT ON (b) b, a FROM t ORDER BY b
SELECT b, count(*), max(a), min(b) FROM t GROUP BY b
SELECT b, a, sum(a) OVER () FROM t ORDER BY "C" LIMIT 1
SELECT b, grouping(b) FROM t GROUP BY ROLLUP (b)
SELECT b FROM t WHERE a IN (SELECT a FROM u) FOR UPDATE
SELECT (SELECT b FROM t WHERE a = 1), EXISTS (SELECT 1 FROM t), a FROM u
SELECT * FROM t, u
SELECT * FROM t JOIN u USING (a)
SELECT * FROM t LEFT JOIN u USING (a)
SELECT * FROM t RIGHT JOIN u USING (a)
SELECT * FROM t FULL JOIN u USING (a)
SELECT a, t.a, u.a FROM t FULL JOIN u USING (a)
SELECT * FROM t NATURAL JOIN u
SELECT j.* FROM (t JOIN u ON t.a = u.a) AS j (q, w)
SELECT * FROM t x, t y WHERE x.a = y.a
SELECT * FROM (SELECT b, a + 1 AS c, a FROM t) s
SELECT s.z FROM (SELECT b FROM t) s (z)
SELECT * FROM (SELECT b FROM t UNION ALL SELECT b FROM t) s
SELECT b FROM t UNION SELECT b FROM t
SELECT a FROM t EXCEPT SELECT a FROM u ORDER BY 1
SELECT * FROM (SELECT DISTINCT b FROM t) s
SELECT * FROM (SELECT b, count(*) AS n FROM t GROUP BY b) s
SELECT * FROM (SELECT b FROM t ORDER BY a LIMIT 1) s
SELECT * FROM (VALUES (1)) v
VALUES (1, 2)
SELECT * FROM t, LATERAL (SELECT t.b, u.d, t.a + u.a FROM u WHERE u.a = t.a) s
SELECT (SELECT s.b FROM (SELECT t.b) s) FROM t
WITH w AS (SELECT b, a * 2 AS twice FROM t) SELECT * FROM w
WITH w (p, q) AS (SELECT b, a FROM t), v AS (SELECT q, p FROM w) SELECT p, q FROM v
WITH RECURSIVE r AS (SELECT a FROM t UNION ALL SELECT a + 10 FROM r WHERE a < 10) SELECT a FROM r
SELECT g, a FROM t, generate_series(1, 2) AS g
SELECT unnest(ARRAY[a]), a FROM t
SELECT name, next, a FROM plain
SELECT * FROM above
SELECT * FROM mat
SELECT * FROM (SELECT n, b FROM mat) m JOIN above ON name = b
SELECT k, p FROM dom
SELECT * FROM t TABLESAMPLE BERNOULLI (100)
SELECT COALESCE(a, 1), CASE WHEN true THEN a END, b || '' FROM t
SELECT relname, relkind FROM pg_class
SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
INSERT INTO t VALUES (10, 'i', 2) RETURNING a, b AS named, a + 1, *
INSERT INTO t VALUES (11, 'i', 2) RETURNING t.*
UPDATE t SET b = 'z' WHERE a = 10 RETURNING b, a
UPDATE t SET b = d::text FROM u WHERE u.a = t.a RETURNING t.a, u.d, b
DELETE FROM t WHERE a = 10 RETURNING *
EXECUTE ready(1)
FETCH 1 FROM walk
EXPLAIN SELECT a FROM t
SHOW timezone
""".strip().splitlines()


def described(connection, query):
    """(table, column) of each column of the result; None: it is none."""
    with connection.cursor() as cursor:
        cursor.execute(query)
        columns = [(c.table_oid or 0, c.table_column or 0) for c in cursor.description]
        cursor.execute("SELECT c.oid, a.attnum, c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid")
        names = {(oid, number): (table, column) for oid, number, table, column in cursor.fetchall()}
    return [names[at] if at != (0, 0) else None for at in columns]


def answers(connection):
    connection.autocommit = True
    with connection.cursor() as cursor:
        for statement in DECLARED:
            cursor.execute(statement)
        cursor.execute("PREPARE ready (int) AS SELECT b, a + $1 FROM t WHERE a = $1")
    connection.set_session(isolation_level="SERIALIZABLE", autocommit=False)  # FOR UPDATE is refused in others
    with connection.cursor() as cursor:
        cursor.execute("DECLARE walk CURSOR FOR SELECT b, a + 1, a FROM t ORDER BY a")
    return [described(connection, query) for query in QUERIES]


def test_postgres():
    server = postgres.Postgres()
    try:
        theirs = answers(server.connect())
    finally:
        server.close()
    for query, ours, wanted in zip(QUERIES, answers(connection), theirs):
        assert ours == wanted, f"{query}\n  kappa      {ours}\n  PostgreSQL {wanted}"
    expect(len(QUERIES), len(theirs))


def test_source():
    connection.rollback()
    connection.autocommit = True
    cursor.execute("CREATE SOURCE bid (auction bigint, at timestamp, WATERMARK FOR at AS at) WITH (topic = 'bid', format = 'json')")
    expect(described(connection, "SELECT auction, at, _offset, auction + 1 FROM bid"),
           [("bid", "auction"), ("bid", "at"), None, None])


test_postgres()
test_source()
