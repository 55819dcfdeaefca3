"""What is not there: DROP of missing things with and without IF EXISTS, CREATE SCHEMA of one that is there, COMMENT ON
another database, as migrations say them. Codes, messages and notices are PostgreSQL 15's: where it is installed each step is run there, too."""
import os
import sys

import psycopg2

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import postgres
from _server import Server

MAKE = """CREATE TABLE there (id int PRIMARY KEY, n int)
CREATE TYPE mood AS ENUM ('sad')
CREATE DOMAIN few AS int CHECK (VALUE < 10)
CREATE VIEW seen AS SELECT id FROM there""".splitlines()

# A statement; the error's code and message, or None; its notices.
STEPS = [
    ("DROP TABLE IF EXISTS nothing", None, 'NOTICE:  table "nothing" does not exist, skipping\n'),
    ("DROP TABLE IF EXISTS nowhere.nothing", None, 'NOTICE:  schema "nowhere" does not exist, skipping\n'),
    ("DROP TABLE IF EXISTS public.nothing", None, 'NOTICE:  table "nothing" does not exist, skipping\n'),
    ("DROP TABLE nothing", ("42P01", 'table "nothing" does not exist'), ""),
    ("DROP TABLE nowhere.nothing", ("3F000", 'schema "nowhere" does not exist'), ""),
    ("DROP VIEW nowhere.nothing", ("3F000", 'schema "nowhere" does not exist'), ""),
    ("DROP DOMAIN nothing", ("42704", 'type "nothing" does not exist'), ""),
    ("DROP DOMAIN IF EXISTS nothing", None, 'NOTICE:  type "nothing" does not exist, skipping\n'),
    ("DROP TYPE IF EXISTS nothing, nothing_else", None,
     'NOTICE:  type "nothing" does not exist, skipping\nNOTICE:  type "nothing_else" does not exist, skipping\n'),
    ("DROP DOMAIN mood", ("42809", '"mood" is not a domain'), ""),
    ("DROP FUNCTION IF EXISTS nothing", None, "NOTICE:  function nothing() does not exist, skipping\n"),
    ("DROP FUNCTION IF EXISTS nothing(text)", None, "NOTICE:  function nothing(text) does not exist, skipping\n"),
    ("DROP TABLE mood", ("42P01", 'table "mood" does not exist'), ""),
    ("DROP TYPE few", None, ""),
    ("DROP TYPE few", ("42704", 'type "few" does not exist'), ""),
    ("DROP INDEX IF EXISTS by_n", None, 'NOTICE:  index "by_n" does not exist, skipping\n'),
    ("DROP INDEX IF EXISTS public.by_n, by_m", None,
     'NOTICE:  index "by_n" does not exist, skipping\nNOTICE:  index "by_m" does not exist, skipping\n'),
    ("DROP INDEX by_n", ("42704", 'index "by_n" does not exist'), ""),
    ("DROP SEQUENCE IF EXISTS there_id_seq CASCADE", None, 'NOTICE:  sequence "there_id_seq" does not exist, skipping\n'),
    ("DROP SEQUENCE there_id_seq", ("42P01", 'sequence "there_id_seq" does not exist'), ""),
    ("DROP TRIGGER IF EXISTS touched ON there", None, 'NOTICE:  trigger "touched" for relation "there" does not exist, skipping\n'),
    ("DROP TRIGGER touched ON there", ("42704", 'trigger "touched" for table "there" does not exist'), ""),
    ("DROP RULE IF EXISTS r ON there", None, 'NOTICE:  rule "r" for relation "there" does not exist, skipping\n'),
    ("DROP POLICY IF EXISTS p ON there", None, 'NOTICE:  policy "p" for relation "there" does not exist, skipping\n'),
    ("DROP EXTENSION IF EXISTS \"uuid-ossp\"", None, 'NOTICE:  extension "uuid-ossp" does not exist, skipping\n'),
    ("DROP EXTENSION hstore", ("42704", 'extension "hstore" does not exist'), ""),
    ("DROP COLLATION IF EXISTS c", None, 'NOTICE:  collation "c" does not exist, skipping\n'),
    ("DROP STATISTICS IF EXISTS s", None, 'NOTICE:  statistics object "s" does not exist, skipping\n'),
    ("DROP FOREIGN TABLE IF EXISTS f", None, 'NOTICE:  foreign table "f" does not exist, skipping\n'),
    ("DROP SERVER IF EXISTS s", None, 'NOTICE:  server "s" does not exist, skipping\n'),
    ("DROP PUBLICATION IF EXISTS p", None, 'NOTICE:  publication "p" does not exist, skipping\n'),
    ("DROP SCHEMA IF EXISTS nowhere CASCADE", None, 'NOTICE:  schema "nowhere" does not exist, skipping\n'),
    ("DROP SCHEMA nowhere", ("3F000", 'schema "nowhere" does not exist'), ""),
    ("CREATE SCHEMA IF NOT EXISTS public", None, 'NOTICE:  schema "public" already exists, skipping\n'),
    ("CREATE SCHEMA public", ("42P06", 'schema "public" already exists'), ""),
    ("COMMENT ON DATABASE nothing IS 'x'", None, 'WARNING:  database "nothing" does not exist\n'),
    ("BEGIN", None, ""),
    ("DROP INDEX IF EXISTS by_n", None, 'NOTICE:  index "by_n" does not exist, skipping\n'),
    ("COMMIT", None, ""),
]


def answer(connection, sql):
    del connection.notices[:]
    cursor = connection.cursor()
    try:
        cursor.execute(sql)
        return None, "".join(connection.notices), cursor.statusmessage
    except psycopg2.Error as error:
        return (error.pgcode, error.diag.message_primary), "".join(connection.notices), None


def walk(connection):
    connection.autocommit = True
    for sql in MAKE:
        assert answer(connection, sql)[0] is None, sql
    tags = []
    for sql, error, notices in STEPS:
        got = answer(connection, sql)
        assert got[:2] == (error, notices), (sql, got, error, notices)
        tags.append(got[2])
    connection.close()
    return tags


wanted = None
if postgres.installed():
    oracle = postgres.Postgres()
    try:
        wanted = walk(oracle.connect())
    finally:
        oracle.close()
server = Server(os.environ["SCRATCH"] + "/data").start()
tags = walk(server.connect())
assert wanted is None or tags == wanted, (tags, wanted)

# what is there is not said to be missing
for sql, code in (("DROP INDEX IF EXISTS there_pkey", "0A000"), ("DROP SCHEMA IF EXISTS public CASCADE", "0A000"),
                  ("CREATE SCHEMA other", "0A000")):
    assert answer(server.connect(), sql)[0][0] == code, sql
assert server.sql("SELECT count(*) FROM there") == [(0,)]
server.stop()
print("absent: ok")
