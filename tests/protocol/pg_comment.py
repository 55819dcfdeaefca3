"""COMMENT ON: what is said of each kind of object, as drivers and psql ask for it, and that it goes with the object and
lives through a restart. The answers are PostgreSQL 15's: where it is installed every step is run there, too."""
import os
import subprocess
import sys

import psycopg2

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import postgres
from _server import Server

MAKE = """
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN small AS int CONSTRAINT low CHECK (VALUE < 10) CHECK (VALUE > -10);
CREATE FUNCTION twice(x int) RETURNS int LANGUAGE sql AS 'SELECT 2 * x';
CREATE FUNCTION twice(x bigint) RETURNS bigint LANGUAGE sql AS 'SELECT 2 * x';
CREATE TABLE account (id int PRIMARY KEY, "Name" text, share small, CONSTRAINT positive CHECK (id > 0));
CREATE VIEW plain AS SELECT id, "Name" FROM account;
CREATE MATERIALIZED VIEW counted AS SELECT "Name", count(*) AS n FROM account GROUP BY "Name";
"""

# Steps of one session: a statement and its answer (the only value; a code for an error; None for none).
STEPS = [
    ("COMMENT ON TABLE account IS 'who has what'", None),
    ("COMMENT ON COLUMN account.\"Name\" IS 'it''s a name'", None),
    ("COMMENT ON COLUMN public.account.id IS E'two\\nlines'", None),
    ("COMMENT ON VIEW plain IS 'a view'", None),
    ("COMMENT ON COLUMN plain.id IS 'of a view'", None),
    ("COMMENT ON MATERIALIZED VIEW counted IS 'kept'", None),
    ("COMMENT ON COLUMN counted.n IS 'how many'", None),
    ("COMMENT ON TYPE mood IS 'how it goes'", None),
    ("COMMENT ON TYPE pair IS 'two'", None),
    ("COMMENT ON COLUMN pair.b IS 'the second'", None),
    ("COMMENT ON DOMAIN small IS 'few'", None),
    ("COMMENT ON CONSTRAINT low ON DOMAIN small IS 'at most nine'", None),
    ("COMMENT ON CONSTRAINT small_check ON DOMAIN small IS 'at least'", None),
    ("COMMENT ON CONSTRAINT positive ON account IS 'above'", None),
    ("COMMENT ON CONSTRAINT account_pkey ON account IS 'unique'", None),
    ("COMMENT ON INDEX account_pkey IS 'an index'", None),
    ("COMMENT ON FUNCTION twice(int) IS 'doubles'", None),
    ("COMMENT ON FUNCTION twice(bigint) IS 'doubles more'", None),
    ("COMMENT ON SCHEMA public IS 'for all'", None),
    # what they are
    ("SELECT obj_description('account'::regclass, 'pg_class')", "who has what"),
    ("SELECT obj_description('account'::regclass)", "who has what"),
    ("SELECT col_description('account'::regclass, 2)", "it's a name"),
    ("SELECT col_description('account'::regclass, 1)", "two\nlines"),
    ("SELECT col_description('account'::regclass, 3)", None),
    ("SELECT obj_description('plain'::regclass, 'pg_class')", "a view"),
    ("SELECT col_description('plain'::regclass, 1)", "of a view"),
    ("SELECT obj_description('counted'::regclass, 'pg_class') || ', ' || col_description('counted'::regclass, 2)", "kept, how many"),
    ("SELECT obj_description('mood'::regtype, 'pg_type') || obj_description('pair'::regtype, 'pg_type')", "how it goestwo"),
    ("SELECT obj_description(oid, 'pg_type') FROM pg_type WHERE typname = 'small'", "few"),
    ("SELECT string_agg(conname || ': ' || obj_description(oid, 'pg_constraint'), ', ' ORDER BY conname) FROM pg_constraint"
     " WHERE contypid <> 0 OR conrelid = 'account'::regclass",
     "account_pkey: unique, low: at most nine, positive: above, small_check: at least"),
    ("SELECT obj_description('account_pkey'::regclass, 'pg_class')", "an index"),
    ("SELECT obj_description('twice(int)'::regprocedure, 'pg_proc')", "doubles"),
    ("SELECT obj_description('twice(bigint)'::regprocedure, 'pg_proc')", "doubles more"),
    ("SELECT obj_description('public'::regnamespace, 'pg_namespace')", "for all"),
    ("SELECT obj_description('account'::regclass, 'pg_type')", None),
    ("SELECT obj_description(0, 'pg_class')", None),
    ("SELECT string_agg(a.attname || ' ' || d.description, '; ' ORDER BY a.attnum) FROM pg_attribute a LEFT JOIN pg_description d"
     " ON d.objoid = a.attrelid AND d.objsubid = a.attnum AND d.classoid = 'pg_class'::regclass"
     " WHERE a.attrelid = 'account'::regclass AND a.attnum > 0", "id two\nlines; Name it's a name"),
    ("SELECT string_agg(coalesce(c.relname, t.typname, p.proname, k.conname, n.nspname) || ' ' || d.objsubid || ' ' || d.description, '; '"
     " ORDER BY d.description COLLATE \"C\") FROM pg_description d"
     " LEFT JOIN pg_class c ON c.oid = d.objoid AND d.classoid = 'pg_class'::regclass AND c.relname <> 'pair' AND c.relnamespace = 'public'::regnamespace"
     " LEFT JOIN pg_type t ON t.oid = d.objoid AND d.classoid = 'pg_type'::regclass AND t.typnamespace = 'public'::regnamespace"
     " LEFT JOIN pg_proc p ON p.oid = d.objoid AND d.classoid = 'pg_proc'::regclass AND p.pronamespace = 'public'::regnamespace"
     " LEFT JOIN pg_constraint k ON k.oid = d.objoid AND d.classoid = 'pg_constraint'::regclass"
     " LEFT JOIN pg_namespace n ON n.oid = d.objoid AND d.classoid = 'pg_namespace'::regclass AND n.nspname = 'public'"
     " WHERE coalesce(c.oid, t.oid, p.oid, k.oid, n.oid) IS NOT NULL",
     "plain 0 a view; positive 0 above; account_pkey 0 an index; small_check 0 at least; low 0 at most nine; twice 0 doubles; "
     "twice 0 doubles more; small 0 few; public 0 for all; mood 0 how it goes; counted 2 how many; account 2 it's a name; "
     "counted 0 kept; plain 1 of a view; pair 0 two; account 1 two\nlines; account_pkey 0 unique; account 0 who has what"),
    # none any more; another
    ("COMMENT ON COLUMN account.id IS NULL", None),
    ("SELECT col_description('account'::regclass, 1)", None),
    ("COMMENT ON VIEW plain IS ''", None),
    ("SELECT obj_description('plain'::regclass, 'pg_class')", None),
    ("COMMENT ON TABLE account IS 'accounts'", None),
    ("SELECT obj_description('account'::regclass, 'pg_class')", "accounts"),
    # what there is not
    ("COMMENT ON TABLE nothing IS 'x'", "42P01"),
    ("COMMENT ON TABLE plain IS 'x'", "42809"),
    ("COMMENT ON VIEW account IS 'x'", "42809"),
    ("COMMENT ON MATERIALIZED VIEW plain IS 'x'", "42809"),
    ("COMMENT ON FOREIGN TABLE account IS 'x'", "42809"),
    ("COMMENT ON INDEX account IS 'x'", "42809"),
    ("COMMENT ON INDEX nothing_pkey IS 'x'", "42P01"),
    ("COMMENT ON SEQUENCE account IS 'x'", "42809"),
    ("COMMENT ON COLUMN account.nothing IS 'x'", "42703"),
    ("COMMENT ON COLUMN nothing.id IS 'x'", "42P01"),
    ("COMMENT ON COLUMN id IS 'x'", "42601"),
    ("COMMENT ON TYPE nothing IS 'x'", "42704"),
    ("COMMENT ON DOMAIN mood IS 'x'", "42809"),
    ("COMMENT ON CONSTRAINT nothing ON account IS 'x'", "42704"),
    ("COMMENT ON CONSTRAINT nothing ON DOMAIN small IS 'x'", "42704"),
    ("COMMENT ON FUNCTION twice(text) IS 'x'", "42883"),
    ("COMMENT ON FUNCTION twice IS 'x'", "42725"),
    ("COMMENT ON SCHEMA nothing IS 'x'", "3F000"),
    ("COMMENT ON ROLE nothing IS 'x'", "42704"),
    ("COMMENT ON DATABASE nothing IS 'x'", None),  # a warning
    ("SET default_transaction_read_only = on", None),
    ("COMMENT ON TABLE account IS 'x'", "25006"),
    ("SET default_transaction_read_only = off", None),
    # it stays with what is made anew under its name, and goes with what is dropped
    ("CREATE OR REPLACE VIEW plain AS SELECT id, \"Name\", share FROM account", None),
    ("SELECT col_description('plain'::regclass, 1)", "of a view"),
    ("CREATE OR REPLACE FUNCTION twice(x int) RETURNS int LANGUAGE sql AS 'SELECT x + x'", None),
    ("SELECT obj_description('twice(int)'::regprocedure, 'pg_proc')", "doubles"),
    ("ALTER TYPE mood RENAME TO feeling", None),
    ("SELECT obj_description('feeling'::regtype, 'pg_type')", "how it goes"),
    ("DROP VIEW plain", None),
    ("CREATE VIEW plain AS SELECT id FROM account", None),
    ("SELECT col_description('plain'::regclass, 1)", None),
    ("DROP FUNCTION twice(bigint)", None),
    ("CREATE FUNCTION twice(x bigint) RETURNS bigint LANGUAGE sql AS 'SELECT x'", None),
    ("SELECT obj_description('twice(bigint)'::regprocedure, 'pg_proc')", None),
    ("DROP TYPE feeling", None),
    ("CREATE TYPE feeling AS ENUM ('a')", None),
    ("SELECT obj_description('feeling'::regtype, 'pg_type')", None),
]

# After a restart, and after DROP … CASCADE of everything.
AFTER = [
    ("SELECT obj_description('account'::regclass, 'pg_class')", "accounts"),
    ("SELECT col_description('account'::regclass, 2)", "it's a name"),
    ("SELECT obj_description('counted'::regclass, 'pg_class')", "kept"),
    ("SELECT obj_description(oid, 'pg_constraint') FROM pg_constraint WHERE conname = 'low'", "at most nine"),
    ("SELECT obj_description('twice(int)'::regprocedure, 'pg_proc')", "doubles"),
    ("DROP TABLE account CASCADE", None),
    ("CREATE TABLE account (id int PRIMARY KEY, \"Name\" text)", None),
    ("SELECT coalesce(obj_description('account'::regclass, 'pg_class'), col_description('account'::regclass, 2))", None),
    ("SELECT obj_description('account_pkey'::regclass, 'pg_class')", None),
]


def answer(cursor, sql):
    try:
        cursor.execute(sql)
        return cursor.fetchone()[0] if cursor.description else None
    except psycopg2.Error as error:
        return error.pgcode


def walk(connection, steps):
    connection.autocommit = True
    cursor = connection.cursor()
    for number, (sql, wanted) in enumerate(steps):
        got = answer(cursor, sql)
        assert got == wanted, "step %d, %s: got %r, wanted %r" % (number, sql, got, wanted)
    connection.close()


MAKING = [(sql, None) for sql in MAKE.split(";\n")[:-1]]
if postgres.installed():
    oracle = postgres.Postgres()
    try:
        walk(oracle.connect(), MAKING + STEPS)
        walk(oracle.connect(), AFTER)
    finally:
        oracle.close()

server = Server(os.environ["SCRATCH"] + "/data").start()
walk(server.connect(), MAKING + STEPS)

# our own kinds, the database and the user; what kappa says of its own tables
walk(server.connect(), [
    ("CREATE SOURCE bid (price bigint)", None),
    ("CREATE SINK gone FROM counted WITH (topic = 'gone')", None),
    ("COMMENT ON SOURCE bid IS 'bids'", None),
    ("COMMENT ON SINK gone IS 'away'", None),
    ("COMMENT ON SOURCE account IS 'x'", "42809"),
    ("COMMENT ON SINK bid IS 'x'", "42809"),
    ("SELECT obj_description('bid'::regclass) || obj_description('gone'::regclass)", "bidsaway"),
    ("COMMENT ON TABLE bid IS 'a source is a table'", None),
    ("COMMENT ON FOREIGN TABLE gone IS 'a sink is a foreign table'", None),
    ("SELECT obj_description('bid'::regclass) || ', ' || obj_description('gone'::regclass)",
     "a source is a table, a sink is a foreign table"),
    ("COMMENT ON DATABASE kappa IS 'of this log'", None),
    ("COMMENT ON ROLE kappa IS 'the user'", None),
    ("SELECT shobj_description(oid, 'pg_database') FROM pg_database", "of this log"),
    ("SELECT shobj_description(oid, 'pg_authid') FROM pg_roles", "the user"),
    ("SELECT description FROM pg_shdescription ORDER BY 1", "of this log"),
    ("COMMENT ON TABLE kappa.views IS 'x'", "42501"),
    ("COMMENT ON SCHEMA kappa IS 'x'", "42501"),
    ("COMMENT ON TYPE int4 IS 'x'", "42501"),
    ("SELECT count(*) > 0 FROM pg_description d JOIN pg_class c ON c.oid = d.objoid WHERE c.relname = 'views' AND c.relnamespace = 'kappa'::regnamespace", True),
    # a view's next version has its comments, and those of its columns that are still there
    ("ALTER MATERIALIZED VIEW counted AS SELECT count(*) AS n FROM account", None),
    ("ALTER MATERIALIZED VIEW counted PROMOTE", None),
    ("SELECT col_description('counted'::regclass, 1)", "how many"),
    ("SELECT obj_description('counted'::regclass)", "kept"),
    ("DROP SINK gone", None),
])


def psql(command):
    host, port = server.pg.rsplit(":", 1)
    return subprocess.run(["psql", "-X", "-A", "-q", "-h", host, "-p", port, "-U", "kappa", "kappa", "-c", command],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False).stdout


def shows(command, *lines):
    got = psql(command)
    for line in lines:
        assert line in got.splitlines(), (command, line, got)


for _ in range(2):
    assert "bytes|accounts" in psql("\\dt+ account"), psql("\\dt+ account")
    shows("\\d+ account", "Name|text||||extended|||it's a name")
    assert "|two" in psql("\\dT+ pair"), psql("\\dT+ pair")
    assert "|few" in psql("\\dD+ small"), psql("\\dD+ small")
    assert "|for all" in psql("\\dn+ public"), psql("\\dn+ public")
    assert "|doubles" in psql("\\df+ twice"), psql("\\df+ twice")
    assert "|an index" in psql("\\di+"), psql("\\di+")
    assert "|kept" in psql("\\dm+"), psql("\\dm+")
    assert "|of this log" in psql("\\l+"), psql("\\l+")
    assert "|the user" in psql("\\du+"), psql("\\du+")
    assert "public|low|domain constraint|at most nine" in psql("\\dd"), psql("\\dd")
    assert "public|positive|table constraint|above" in psql("\\dd"), psql("\\dd")
    server.kill()
    server.start()
records = server.records("__kappa_catalog")
assert any(value and value.startswith("COMMENT ON TABLE account") for _, value in records), records
walk(server.connect(), AFTER)
server.stop()
print("comment: ok")
