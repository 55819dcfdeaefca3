"""Settings and transactions: what SET does is undone by ROLLBACK, SET LOCAL ends with the transaction, RESET goes back to
what the client asked for, read-only transactions refuse writes. The answers are PostgreSQL 15's: where
it is installed every step is run there, too."""
import os
import sys

import psycopg2

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import postgres

import _wire

# Steps of one session: a statement and its answer (the only value; a code for an error; None for none).
STEPS = [
    # names are quoted where they need it
    ("SET search_path = 'A b', public, \"select\"", None),
    ("SHOW SEARCH_PATH", '"A b", public, "select"'),
    ("SET search_path = ''", None),
    ("SHOW search_path", '""'),
    ("RESET search_path", None),
    # SET inside a block
    ("SET application_name = 'before'", None),
    ("BEGIN", None),
    ("SET application_name = 'inside'", None),
    ("SHOW application_name", "inside"),
    ("ROLLBACK", None),
    ("SHOW application_name", "before"),
    ("BEGIN", None),
    ("SET application_name = 'kept'", None),
    ("COMMIT", None),
    ("SHOW application_name", "kept"),
    ("BEGIN", None),
    ("SET TimeZone = 'Asia/Tokyo'", None),
    ("SELECT '2024-01-01 00:00:00+00'::timestamptz::text", "2024-01-01 09:00:00+09"),
    ("SELECT 1/0", "22012"),
    ("COMMIT", None),  # of a failed block: ROLLBACK
    ("SHOW TimeZone", "UTC"),
    ("SELECT '2024-01-01 00:00:00+00'::timestamptz::text", "2024-01-01 00:00:00+00"),
    # RESET inside a block
    ("SET lock_timeout = '3s'", None),
    ("BEGIN", None),
    ("RESET lock_timeout", None),
    ("SHOW lock_timeout", "0"),
    ("ROLLBACK", None),
    ("SHOW lock_timeout", "3s"),
    ("RESET lock_timeout", None),
    # savepoints
    ("SET statement_timeout = '1min'", None),
    ("BEGIN", None),
    ("SET statement_timeout = '2min'", None),
    ("SAVEPOINT a", None),
    ("SET statement_timeout = '3min'", None),
    ("SAVEPOINT b", None),
    ("SET LOCAL statement_timeout = '4min'", None),
    ("SHOW statement_timeout", "4min"),
    ("ROLLBACK TO b", None),
    ("SHOW statement_timeout", "3min"),
    ("ROLLBACK TO a", None),
    ("SHOW statement_timeout", "2min"),
    ("SET LOCAL statement_timeout = '5min'", None),
    ("RELEASE a", None),
    ("SHOW statement_timeout", "5min"),
    ("COMMIT", None),
    ("SHOW statement_timeout", "2min"),
    # SET LOCAL, then SET: the SET holds; the other way round the SET's value comes back
    ("BEGIN", None),
    ("SET LOCAL statement_timeout = 1000", None),
    ("SET statement_timeout = 2000", None),
    ("COMMIT", None),
    ("SHOW statement_timeout", "2s"),
    ("BEGIN", None),
    ("SET statement_timeout = 3000", None),
    ("SET LOCAL statement_timeout = 4000", None),
    ("SHOW statement_timeout", "4s"),
    ("COMMIT", None),
    ("SHOW statement_timeout", "3s"),
    ("BEGIN", None),
    ("SET LOCAL statement_timeout = 4000", None),
    ("SAVEPOINT a", None),
    ("SET statement_timeout = 5000", None),
    ("ROLLBACK TO a", None),
    ("SHOW statement_timeout", "4s"),
    ("COMMIT", None),
    ("SHOW statement_timeout", "3s"),
    ("BEGIN", None),
    ("SET statement_timeout = 9000", None),
    ("SET LOCAL statement_timeout = 8000", None),
    ("ROLLBACK", None),
    ("SHOW statement_timeout", "3s"),
    ("SET statement_timeout = 'x'", "22023"),
    ("SET no_such_setting = 1", "42704"),
    ("RESET statement_timeout", None),
    # several statements of one message are one transaction
    ("SET application_name = 'lost'; SELECT 1/0", "22012"),
    ("SHOW application_name", "kept"),
    ("SET application_name = 'two'; SELECT 1", 1),
    ("SHOW application_name", "two"),
    # what an application keeps in the session
    ("SHOW app.who", "42704"),
    ("SELECT current_setting('app.who')", "42704"),
    ("SELECT current_setting('app.who', false)", "42704"),
    ("SELECT current_setting('app.who', true)", None),
    ("SELECT set_config('app.who', '7', false)", "7"),
    ("SHOW app.who", "7"),
    ("SELECT current_setting('App.Who')", "7"),
    ("BEGIN", None),
    ("SELECT set_config('app.who', '8', true)", "8"),
    ("SELECT current_setting('app.who')", "8"),
    ("COMMIT", None),
    ("SHOW app.who", "7"),
    ("BEGIN", None),
    ("SELECT set_config('app.who', '9', false)", "9"),
    ("ROLLBACK", None),
    ("SHOW app.who", "7"),
    ("BEGIN", None),
    ("SELECT set_config('app.who', '9', false)", "9"),
    ("SAVEPOINT a", None),
    ("SELECT set_config('app.who', '10', true)", "10"),
    ("SELECT set_config('app.young', 'y', false)", "y"),
    ("ROLLBACK TO a", None),
    ("SHOW app.who", "9"),
    ("SHOW app.young", ""),
    ("COMMIT", None),
    ("SHOW app.who", "9"),
    ("SET LOCAL app.who = 'outside'", None),
    ("SHOW app.who", "9"),
    ("SELECT set_config('app.who', 'alone', true) || current_setting('app.who')", "alonealone"),
    ("SHOW app.who", "9"),
    ("SELECT set_config('app.who', 'lost', false) || (1 / (a - a)) FROM generate_series(1, 1) AS g (a)", "22012"),
    ("SHOW app.who", "9"),
    ("SELECT set_config('app.who', 'lost', false); SELECT 1 / 0", "22012"),
    ("SHOW app.who", "9"),
    ("SELECT max(set_config('app.who', a::text, false)) FROM generate_series(1, 2) AS g (a)", "2"),
    ("PREPARE who AS SELECT current_setting('app.who')", None),
    ("SET app.who = 'ten'", None),
    ("EXECUTE who", "ten"),
    ("SET app.who TO DEFAULT", None),
    ("EXECUTE who", ""),
    ("SELECT set_config('app.who', 'again', false)", "again"),
    ("SELECT set_config('app.who', NULL, false)", ""),
    ("RESET app.never", None),
    ("SELECT set_config('app.three.parts', 'x', false)", "x"),
    ("SELECT set_config('app.', 'x', false)", "42602"),
    ("SELECT set_config('1app.x', 'x', false)", "42602"),
    ("SELECT set_config('app.a-b', 'x', false)", "42602"),
    ("SELECT set_config('nosuch', 'x', false)", "42704"),
    ("SELECT set_config(NULL, 'x', false)", "22004"),
    ("SELECT set_config('statement_timeout', '1500', NULL)", "1500ms"),
    ("SHOW statement_timeout", "1500ms"),
    ("SELECT set_config('statement_timeout', NULL, false)", "0"),
    ("SELECT set_config('statement_timeout', 'x', false)", "22023"),
    ("BEGIN", None),
    ("SELECT set_config('TimeZone', 'Asia/Tokyo', true)", "Asia/Tokyo"),
    ("SELECT '2024-01-01 00:00:00+00'::timestamptz::text", "2024-01-01 09:00:00+09"),
    ("COMMIT", None),
    ("SELECT '2024-01-01 00:00:00+00'::timestamptz::text", "2024-01-01 00:00:00+00"),
    ("SELECT set_config('application_name', 'called', false)", "called"),
    ("SHOW application_name", "called"),
    ("SET idle_session_timeout = '90s'", None),
    ("SHOW idle_session_timeout", "90s"),
    ("RESET ALL", None),
    ("SHOW app.three.parts", ""),
    ("SHOW idle_session_timeout", "0"),
    # what the client asked for when it connected
    ("RESET application_name", None),
    ("SHOW application_name", "asked"),
    ("SET application_name = 'x'", None),
    ("DISCARD ALL", None),
    ("SHOW application_name", "asked"),
    # read-only transactions
    ("BEGIN READ ONLY", None),
    ("SHOW transaction_read_only", "on"),
    ("INSERT INTO settings_t VALUES (1)", "25006"),
    ("ROLLBACK", None),
    ("BEGIN", None),
    ("SET TRANSACTION READ ONLY", None),
    ("SHOW transaction_read_only", "on"),
    ("INSERT INTO settings_t VALUES (1)", "25006"),
    ("ROLLBACK", None),
    ("SHOW transaction_read_only", "off"),
    ("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", None),
    ("SHOW default_transaction_read_only", "on"),
    ("SHOW transaction_read_only", "on"),
    ("INSERT INTO settings_t VALUES (1)", "25006"),
    ("DELETE FROM settings_t", "25006"),
    ("TRUNCATE settings_t", "25006"),
    ("DROP TABLE settings_t", "25006"),
    ("CREATE TABLE settings_u (a int PRIMARY KEY)", "25006"),
    ("BEGIN", None),
    ("INSERT INTO settings_t VALUES (1)", "25006"),
    ("ROLLBACK", None),
    ("BEGIN READ WRITE", None),
    ("INSERT INTO settings_t VALUES (1)", None),
    ("COMMIT", None),
    ("SELECT count(*) FROM settings_t", 1),
    ("SET default_transaction_read_only = 'maybe'", "22023"),
    ("SET default_transaction_read_only = off", None),
    ("INSERT INTO settings_t VALUES (2)", None),
    ("SELECT count(*) FROM settings_t", 2),
    # cursors and savepoints
    ("BEGIN", None),
    ("DECLARE old CURSOR FOR SELECT a FROM settings_t ORDER BY a", None),
    ("SAVEPOINT a", None),
    ("DECLARE young CURSOR FOR SELECT a FROM settings_t ORDER BY a DESC", None),
    ("FETCH old", 1),
    ("FETCH young", 2),
    ("ROLLBACK TO a", None),
    ("FETCH old", 2),
    ("FETCH young", "34000"),
    ("ROLLBACK TO a", None),
    ("ROLLBACK", None),
    ("FETCH old", "34000"),
    ("BEGIN", None),
    ("DECLARE old CURSOR FOR SELECT a FROM settings_t ORDER BY a", None),
    ("SAVEPOINT a", None),
    ("SELECT 1/0", "22012"),
    ("FETCH old", "25P02"),
    ("ROLLBACK TO a", None),
    ("FETCH old", 1),
    ("COMMIT", None),
    ("FETCH old", "34000"),
    # levels of isolation
    ("BEGIN ISOLATION LEVEL SERIALIZABLE", None),
    ("SHOW transaction_isolation", "serializable"),
    ("COMMIT AND CHAIN", None),
    ("SHOW TRANSACTION ISOLATION LEVEL", "serializable"),
    ("COMMIT", None),
    ("BEGIN READ WRITE, ISOLATION LEVEL READ UNCOMMITTED", None),
    ("SHOW transaction_isolation", "read uncommitted"),
    ("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY", None),
    ("SHOW transaction_isolation", "serializable"),
    ("SHOW transaction_read_only", "on"),
    ("SAVEPOINT a", None),
    ("SELECT count(*) FROM settings_t WHERE false", 0),
    ("ROLLBACK TO a", None),
    ("SHOW transaction_isolation", "serializable"),
    ("SET TRANSACTION ISOLATION LEVEL READ COMMITTED", "25001"),
    ("COMMIT", None),
    ("SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE, ISOLATION LEVEL READ COMMITTED", None),
    ("SHOW default_transaction_isolation", "read committed"),
    ("SHOW transaction_isolation", "read committed"),
    ("BEGIN", None),
    ("SET LOCAL transaction_isolation = 'Repeatable Read'", None),
    ("SHOW transaction_isolation", "repeatable read"),
    ("COMMIT", None),
    ("SHOW transaction_isolation", "read committed"),
    ("SET default_transaction_isolation = 'sometimes'", "22023"),
    ("BEGIN", None),
    ("SET default_transaction_isolation = 'SERIALIZABLE'", None),
    ("SHOW transaction_isolation", "read committed"),
    ("SHOW default_transaction_isolation", "serializable"),
    ("ROLLBACK", None),
    ("SHOW default_transaction_isolation", "read committed"),
    ("RESET ALL", None),
]


def answer(cursor, sql):
    try:
        cursor.execute(sql)
        return cursor.fetchone()[0] if cursor.description else None
    except psycopg2.Error as error:
        return error.pgcode


def walk(connection):
    connection.autocommit = True
    cursor = connection.cursor()
    assert answer(cursor, "CREATE TABLE settings_t (a int PRIMARY KEY)") is None
    for number, (sql, wanted) in enumerate(STEPS):
        got = answer(cursor, sql)
        assert got == wanted, "step %d, %s: got %r, wanted %r" % (number, sql, got, wanted)
    connection.close()


if postgres.installed():
    oracle = postgres.Postgres()
    try:
        walk(psycopg2.connect(host=oracle.folder, user="postgres", dbname="postgres", application_name="asked"))
    finally:
        oracle.close()

walk(psycopg2.connect("application_name=asked"))

# what is reported to the client follows a rollback, too
wire = _wire.Wire()
wire.ask(_wire.query("BEGIN; SET application_name = 'told'"))
told = [body for kind, body in wire.ask(_wire.query("ROLLBACK")) if kind == "S"]
_wire.expect(told, [b"application_name\0\0"])
told = [body for kind, body in wire.ask(_wire.query("SELECT set_config('application_name', 'by call', false)")) if kind == "S"]
_wire.expect(told, [b"application_name\0by call\0"])
print("settings: ok")
