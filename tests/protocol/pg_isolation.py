"""Two transactions beside each other: what each level keeps from them. A serializable one that writes fails at COMMIT if
anything that it has read was changed; the others check what they write. Where PostgreSQL 15 is installed the steps
that it knows are run there, too."""
import os
import sys
import time

import psycopg2

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import postgres

MAKE = ["CREATE TABLE s (id int PRIMARY KEY, v int)", "CREATE TABLE other (id int PRIMARY KEY, v int)"]
FILL = ["DELETE FROM s", "DELETE FROM other", "INSERT INTO s VALUES (1, 100), (2, 100)"]

# Each: (session, statement, its answer: the only value, a code for an error, None for none), then what s holds.
SERIALIZABLE = "BEGIN ISOLATION LEVEL SERIALIZABLE"
HELD = "SELECT coalesce(string_agg(id || ':' || v, ' ' ORDER BY id), '') FROM s"
CASES = {
    "write skew": ([(0, SERIALIZABLE, None), (1, SERIALIZABLE, None),
                    (0, "SELECT sum(v) FROM s", 200), (1, "SELECT sum(v) FROM s", 200),
                    (0, "UPDATE s SET v = v - 150 WHERE id = 1", None), (1, "UPDATE s SET v = v - 150 WHERE id = 2", None),
                    (0, "COMMIT", None), (1, "COMMIT", "40001")], "1:-50 2:100"),
    "write skew by keys": ([(0, SERIALIZABLE, None), (1, SERIALIZABLE, None),
                            (0, "SELECT v FROM s WHERE id = 2", 100), (1, "SELECT v FROM s WHERE id = 1", 100),
                            (0, "UPDATE s SET v = 0 WHERE id = 1", None), (1, "UPDATE s SET v = 0 WHERE id = 2", None),
                            (1, "COMMIT", None), (0, "COMMIT", "40001")], "1:100 2:0"),
    "phantom": ([(0, SERIALIZABLE, None), (1, SERIALIZABLE, None),
                 (0, "SELECT count(*) FROM s WHERE v = 7", 0), (1, "SELECT count(*) FROM s WHERE v = 8", 0),
                 (0, "INSERT INTO s VALUES (3, 8)", None), (1, "INSERT INTO s VALUES (4, 7)", None),
                 (0, "COMMIT", None), (1, "COMMIT", "40001")], "1:100 2:100 3:8"),
    "a reader does not fail": ([(0, SERIALIZABLE, None), (0, "SELECT sum(v) FROM s", 200),
                                (1, "UPDATE s SET v = 0", None), (0, "SELECT sum(v) FROM s", 200), (0, "COMMIT", None)],
                               "1:0 2:0"),
    "what was not read": ([(0, SERIALIZABLE, None), (0, "SELECT count(*) FROM other", 0), (1, "UPDATE s SET v = 0 WHERE id = 2", None),
                           (0, "INSERT INTO other VALUES (1, 1)", None), (0, "COMMIT", None)], "1:100 2:0"),
    "lost update": ([(0, "BEGIN ISOLATION LEVEL REPEATABLE READ", None), (0, "SELECT v FROM s WHERE id = 1", 100),
                     (1, "UPDATE s SET v = 7 WHERE id = 1", None), (0, "UPDATE s SET v = v + 1 WHERE id = 1", "40001"),
                     (0, "ROLLBACK", None)], "1:7 2:100"),
    "repeatable read allows write skew": ([(0, "BEGIN ISOLATION LEVEL REPEATABLE READ", None),
                                           (1, "BEGIN ISOLATION LEVEL REPEATABLE READ", None),
                                           (0, "SELECT sum(v) FROM s", 200), (1, "SELECT sum(v) FROM s", 200),
                                           (0, "UPDATE s SET v = 0 WHERE id = 1", None),
                                           (1, "UPDATE s SET v = 0 WHERE id = 2", None),
                                           (0, "COMMIT", None), (1, "COMMIT", None)], "1:0 2:0"),
    "locks of different rows": ([(0, "BEGIN", None), (1, "BEGIN", None),
                                 (0, "SELECT v FROM s WHERE id = 1 FOR UPDATE", 100), (1, "SELECT v FROM s WHERE id = 2 FOR UPDATE", 100),
                                 (0, "UPDATE s SET v = v + 1 WHERE id = 1", None), (1, "UPDATE s SET v = v + 2 WHERE id = 2", None),
                                 (0, "COMMIT", None), (1, "COMMIT", None)], "1:101 2:102"),
    "locks by other columns": ([(1, "UPDATE s SET v = 7 WHERE id = 2", None), (0, "BEGIN", None), (1, "BEGIN", None),
                                (0, "SELECT id FROM s WHERE v > 50 ORDER BY id LIMIT 1 FOR UPDATE", 1), (1, "SELECT id FROM s WHERE v < 50 FOR UPDATE", 2),
                                (0, "INSERT INTO other VALUES (1, 1)", None), (1, "INSERT INTO other VALUES (2, 2)", None),
                                (0, "COMMIT", None), (1, "COMMIT", None)], "1:100 2:7"),
    "locks of rows in WITH": ([(0, "BEGIN", None), (0, "WITH x AS (SELECT v FROM s WHERE id = 1 FOR SHARE) SELECT v FROM x", 100),
                               (1, "DELETE FROM s WHERE id = 2", None), (1, "INSERT INTO s VALUES (3, 3)", None),
                               (0, "INSERT INTO other VALUES (1, 1)", None), (0, "COMMIT", None)], "1:100 3:3"),
    "a lock of a row that is not there": ([(0, "BEGIN", None), (0, "SELECT count(*) FROM (SELECT FROM s WHERE id = 3 FOR UPDATE) x", 0),
                                           (1, "INSERT INTO s VALUES (3, 3)", None), (0, "INSERT INTO other VALUES (1, 1)", None),
                                           (0, "COMMIT", None)], "1:100 2:100 3:3"),
    "a lock of what the transaction wrote": ([(0, "BEGIN", None), (0, "INSERT INTO s VALUES (3, 3)", None),
                                              (0, "SELECT v FROM s WHERE id = 3 FOR UPDATE", 3), (0, "SELECT v FROM s WHERE id = 1 FOR UPDATE", 100),
                                              (0, "UPDATE s SET v = 4 WHERE id IN (1, 3)", None), (0, "SELECT count(*) FROM (SELECT FROM s WHERE v = 4 FOR UPDATE) x", 2),
                                              (0, "COMMIT", None)], "1:4 2:100 3:4"),
    "a lock of a row that was locked before": ([(0, "BEGIN", None), (0, "SELECT v FROM s WHERE id = 1 FOR UPDATE", 100), (0, "UPDATE s SET v = 1 WHERE id = 1", None),
                                                (0, "COMMIT", None), (1, HELD, "1:1 2:100"), (1, "BEGIN", None),
                                                (1, "SELECT v FROM s WHERE id = 1 FOR UPDATE", 1), (1, "UPDATE s SET v = 2 WHERE id = 1", None),
                                                (1, "COMMIT", None)], "1:2 2:100"),
}
# Not as PostgreSQL, which locks the row, or finds the conflict at the UPDATE.
OURS = {
    "FOR UPDATE in any block": ([(0, "BEGIN", None), (0, "SELECT v FROM s WHERE id = 1 FOR UPDATE", 100),
                                 (1, "UPDATE s SET v = 0 WHERE id = 1", None), (0, "INSERT INTO other VALUES (1, 1)", None),
                                 (0, "COMMIT", "40001")], "1:0 2:100"),
    "FOR UPDATE twice": ([(0, "BEGIN", None), (1, "BEGIN", None),
                          (0, "SELECT v FROM s WHERE id = 1 FOR UPDATE", 100), (1, "SELECT v FROM s WHERE id = 1 FOR NO KEY UPDATE", 100),
                          (0, "INSERT INTO other VALUES (1, 1)", None), (1, "INSERT INTO other VALUES (2, 2)", None),
                          (1, "COMMIT", None), (0, "COMMIT", "40001")], "1:100 2:100"),
    "FOR SHARE in WITH": ([(0, "BEGIN", None), (0, "WITH x AS (SELECT v FROM s WHERE id = 1 FOR SHARE) SELECT v FROM x", 100),
                           (1, "DELETE FROM s WHERE id = 1", None), (0, "INSERT INTO other VALUES (1, 1)", None),
                           (0, "COMMIT", "40001")], "2:100"),
    "FOR UPDATE of the table and a row": ([(0, "BEGIN", None), (1, "BEGIN", None), (0, "SELECT sum(v) FROM (SELECT v FROM s FOR UPDATE) x", 200),
                                           (1, "SELECT v FROM s WHERE id = 1 FOR UPDATE", 100), (0, "INSERT INTO other VALUES (1, 1)", None),
                                           (1, "INSERT INTO other VALUES (2, 2)", None), (0, "COMMIT", None), (1, "COMMIT", "40001")], "1:100 2:100"),
    "FOR UPDATE of a row and the table": ([(0, "BEGIN", None), (1, "BEGIN", None), (0, "SELECT sum(v) FROM (SELECT v FROM s FOR UPDATE) x", 200),
                                           (1, "SELECT v FROM s WHERE id = 1 FOR UPDATE", 100), (0, "INSERT INTO other VALUES (1, 1)", None),
                                           (1, "INSERT INTO other VALUES (2, 2)", None), (1, "COMMIT", None), (0, "COMMIT", "40001")], "1:100 2:100"),
    "FOR UPDATE of a row by its value": ([(0, "BEGIN", None), (0, "SELECT id FROM s WHERE v = 100 AND id < 2 FOR UPDATE", 1),
                                          (1, "UPDATE s SET v = 0 WHERE id = 1", None), (0, "INSERT INTO other VALUES (1, 1)", None),
                                          (0, "COMMIT", "40001")], "1:0 2:100"),
    "FOR UPDATE that nobody disturbs": ([(0, "BEGIN", None), (0, "SELECT v FROM s WHERE id = 1 FOR UPDATE", 100),
                                         (1, "INSERT INTO other VALUES (1, 1)", None), (0, "UPDATE s SET v = v + 1 WHERE id = 1", None),
                                         (0, "COMMIT", None)], "1:101 2:100"),
    "FOR UPDATE of who writes nothing": ([(0, "BEGIN", None), (0, "SELECT v FROM s WHERE id = 1 FOR UPDATE", 100),
                                          (1, "UPDATE s SET v = 0 WHERE id = 1", None), (0, "COMMIT", None)], "1:0 2:100"),
    "FOR UPDATE": ([(0, SERIALIZABLE, None), (0, "SELECT v FROM s WHERE id = 1 FOR UPDATE", 100),
                    (1, "UPDATE s SET v = 0 WHERE id = 1", None), (0, "UPDATE s SET v = v + 50 WHERE id = 2", None),
                    (0, "COMMIT", "40001")], "1:0 2:100"),
    "through a view": ([(0, SERIALIZABLE, None), (0, "SELECT n FROM totals", 200), (1, "UPDATE s SET v = 0 WHERE id = 1", None),
                        (0, "INSERT INTO other VALUES (1, 200)", None), (0, "COMMIT", "40001")], "1:0 2:100"),
    "of a source": ([(0, SERIALIZABLE, None), (0, "SELECT count(*) FROM src", 0), (1, "INSERT INTO src VALUES (1)", None),
                     (0, "INSERT INTO other VALUES (1, 0)", None), (0, "COMMIT", "40001")], "1:100 2:100"),
    "a key that is there": ([(0, SERIALIZABLE, None), (0, "INSERT INTO s VALUES (1, 0) ON CONFLICT DO NOTHING", None),
                             (1, "DELETE FROM s WHERE id = 1", None), (0, "INSERT INTO other VALUES (1, 0)", None),
                             (0, "COMMIT", "40001")], "2:100"),
}


def answer(connection, sql):
    try:
        cursor = connection.cursor()
        cursor.execute(sql)
        return cursor.fetchone()[0] if cursor.description else None
    except psycopg2.Error as error:
        return error.pgcode


def settle(session, wanted):
    """Waits until the session sees what another one has written; what it sees in the end."""
    until = time.monotonic() + 10
    while True:
        held = answer(session, HELD)
        if held == wanted or time.monotonic() > until:
            return held
        time.sleep(0.01)


def walk(connect, cases, at_commit):
    """at_commit: a conflict of writes is found there, not by the statement."""
    sessions = [connect() for _ in range(2)]
    for session in sessions:
        session.autocommit = True
    for name, (steps, wanted) in cases.items():
        for sql in FILL:
            answer(sessions[0], sql)
        for session in sessions:
            assert settle(session, "1:100 2:100") == "1:100 2:100"
        for session, sql, expected in steps:
            if name == "lost update" and at_commit:
                expected = None if expected == "40001" else "40001" if sql == "ROLLBACK" else expected
                sql = "COMMIT" if sql == "ROLLBACK" else sql
            got = settle(sessions[session], expected) if sql is HELD else answer(sessions[session], sql)
            assert got == expected, "%s: %s: got %r, wanted %r" % (name, sql, got, expected)
        held = settle(sessions[0], wanted)
        assert held == wanted, "%s: %s, wanted %s" % (name, held, wanted)
    for session in sessions:
        session.close()


def make(connection, statements):
    connection.autocommit = True
    for sql in statements:
        assert answer(connection, sql) is None, sql
    connection.close()


def ours():
    return psycopg2.connect("")


if postgres.installed():
    oracle = postgres.Postgres()
    theirs = lambda: psycopg2.connect(host=oracle.folder, user="postgres", dbname="postgres")
    try:
        make(theirs(), MAKE)
        walk(theirs, CASES, False)
    finally:
        oracle.close()

make(ours(), MAKE + ["CREATE MATERIALIZED VIEW totals AS SELECT sum(v) AS n FROM s", "CREATE SOURCE src (a int) WITH (topic = 'src')"])
walk(ours, CASES, True)
walk(ours, OURS, True)
print("isolation: ok")
