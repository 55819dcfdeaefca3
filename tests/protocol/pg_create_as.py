"""CREATE TABLE AS and SELECT INTO: command tags and notices are PostgreSQL 15's; a kill in the midst leaves the table with all
rows or none, and the statement can be said again."""
import os
import random
import sys
import threading
import time

import psycopg2

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import postgres
from _server import Server
from _wire import expect

STEPS = ["CREATE TABLE s AS SELECT generate_series(1, 1000) AS id", "CREATE TABLE a AS SELECT id FROM s WHERE id > 7",
         "CREATE TABLE IF NOT EXISTS a AS SELECT 1", "CREATE TABLE b AS SELECT id FROM s WITH NO DATA", "SELECT id INTO c FROM s WHERE id < 3",
         "CREATE TABLE d AS SELECT 1 AS a WHERE false", "CREATE TABLE e AS VALUES (1), (2)", "DROP TABLE a, b, c, d, e",
         "CREATE TABLE a AS SELECT id FROM s WHERE id = 1"]


def said(connection):
    connection.autocommit = True
    for sql in STEPS:
        del connection.notices[:]
        with connection.cursor() as cursor:
            cursor.execute(sql)
            yield sql, cursor.statusmessage, "".join(connection.notices)
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM a")
        yield "rows", cursor.fetchall(), ""


server = Server(os.environ["SCRATCH"] + "/data").start()
ours = list(said(server.connect()))
if postgres.installed():
    oracle = postgres.Postgres()
    try:
        expect(ours, list(said(oracle.connect())))
    finally:
        oracle.close()

ROWS = 20000
server.sql("CREATE TABLE many AS SELECT i AS id, md5(i::text) AS text FROM generate_series(1, %s) AS i", ROWS)
made = 0
for number in range(6):
    def make():
        try:
            server.sql(f"CREATE TABLE copy_{number} AS SELECT * FROM many")
        except psycopg2.Error:
            pass  # the server went away
    thread = threading.Thread(target=make)
    thread.start()
    time.sleep(random.uniform(0.01, 0.6))
    server.kill()
    thread.join()
    server.start()
    if server.sql(f"SELECT count(*) FROM pg_class WHERE relname = 'copy_{number}'") == [(0,)]:
        server.sql(f"CREATE TABLE copy_{number} AS SELECT * FROM many")
    else:
        made += 1
    expect(server.sql(f"SELECT count(*), count(DISTINCT text), max(id) FROM copy_{number}"), [(ROWS, ROWS, ROWS)])
server.stop()
print(f"create as: ok, {made} of 6 were made before the kill")
