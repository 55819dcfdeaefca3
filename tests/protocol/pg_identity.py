"""Numbers of serial and identity columns: sessions beside each other, COPY, rolled back transactions, kill -9. No number is
given twice, and none of what was acknowledged is met again. Answers are PostgreSQL 15's (tests/sql/identity.slt)."""
import io
import os
import sys
import tempfile
import threading

import psycopg2

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from _server import Server

SESSIONS, EACH, KILLS = 4, 60, 3

server = Server(os.path.join(tempfile.mkdtemp(), "data")).start()
given = []


def insert(count):
    """Until the server is gone, at most: numbers that were acknowledged."""
    try:
        cursor = server.connect().cursor()
        for _ in range(count):
            cursor.execute("INSERT INTO t (v) VALUES ('x') RETURNING id")
            given.append(cursor.fetchone()[0])
    except psycopg2.OperationalError:
        pass


server.sql("CREATE TABLE t (id bigserial PRIMARY KEY, v text)")
for _ in range(KILLS):
    threads = [threading.Thread(target=insert, args=(EACH,)) for _ in range(SESSIONS)]
    for thread in threads:
        thread.start()
    threads[0].join()
    server.kill()
    for thread in threads:
        thread.join()
    server.start()
assert len(set(given)) == len(given) >= KILLS * EACH, (len(set(given)), len(given))
rows = {row[0] for row in server.sql("SELECT id FROM t")}
assert set(given) <= rows, set(given) - rows

# drawn by a transaction that was rolled back: gone, across a restart too
connection = server.connect()
connection.autocommit = False
cursor = connection.cursor()
cursor.execute("INSERT INTO t (v) VALUES ('back') RETURNING id")
lost = cursor.fetchone()[0]
connection.rollback()
connection.close()
server.stop()
server.start()
assert server.sql("INSERT INTO t (v) VALUES ('on') RETURNING id")[0][0] > lost

# COPY draws where it has no column, and takes what it is given
server.sql("CREATE TABLE c (id int GENERATED ALWAYS AS IDENTITY, s smallserial, b bigserial, v text)")
cursor = server.connect().cursor()
cursor.copy_expert("COPY c (v) FROM STDIN", io.StringIO("a\nb\n"))
cursor.copy_expert("COPY c (id, v) FROM STDIN", io.StringIO("40\td\n"))
assert server.sql("SELECT * FROM c ORDER BY v") == [(1, 1, 1, "a"), (2, 2, 2, "b"), (40, 3, 3, "d")]

# a table made again begins anew, also behind a restart
server.sql("DROP TABLE c")
server.sql("CREATE TABLE c (id int GENERATED ALWAYS AS IDENTITY, v text)")
server.kill()
server.start()
assert server.sql("INSERT INTO c (v) VALUES ('a') RETURNING id") == [(1,)]

# many rows cost few records
before = len(server.records("__kappa_catalog"))
server.sql("INSERT INTO t (v) SELECT 'many' FROM generate_series(1, 20000)")
assert len(server.records("__kappa_catalog")) - before < 40, len(server.records("__kappa_catalog")) - before
assert server.sql("SELECT count(*), count(DISTINCT id) FROM t WHERE v = 'many'") == [(20000, 20000)]

# nothing is drawn where nothing may be written, and none by a view
for sql, code in (("BEGIN READ ONLY; INSERT INTO t (v) VALUES ('x')", "25006"),
                  ("CREATE MATERIALIZED VIEW m AS SELECT nextval('t_id_seq') AS n FROM t", "0A000"),
                  ("SELECT nextval('t')", "42809"),
                  ("SELECT nextval(99999)", "42P01"),
                  ("CREATE SOURCE s (id serial)", "0A000"),
                  ("CREATE SOURCE s (id int GENERATED ALWAYS AS IDENTITY)", "0A000")):
    try:
        server.sql(sql)
        raise AssertionError(sql)
    except psycopg2.Error as error:
        assert error.pgcode == code, (sql, error.pgcode, error)
server.stop()
print("identity: ok")
