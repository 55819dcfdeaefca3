"""Sequences: sessions beside each other, kill -9, what a restart goes on with, COPY, transactions, a
backup. No number is given twice. Answers are PostgreSQL 15's (tests/sql/sequence.slt)."""
import io
import os
import subprocess
import sys
import tempfile
import threading

import psycopg2

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from _server import Server

SESSIONS, EACH, KILLS = 4, 60, 3
folder = tempfile.mkdtemp()
server = Server(os.path.join(folder, "data")).start()


def refuses(code, sql, ask=server.sql):
    try:
        ask(sql)
    except psycopg2.Error as error:
        assert error.pgcode == code, (sql, error.pgcode, error)
        return
    raise AssertionError(sql)


def one(sql):
    return server.sql(sql)[0][0]


# sessions that draw and insert while the server is killed: by SELECT, by DEFAULT, in blocks that are rolled back
server.sql("CREATE SEQUENCE numbers")
server.sql("CREATE TABLE t (id bigint PRIMARY KEY DEFAULT nextval('numbers'), v text)")
given, kept = [], []


def draw(session):
    try:
        connection = server.connect()
        cursor = connection.cursor()
        for i in range(EACH):
            if (session + i) % 3 == 0:
                cursor.execute("SELECT nextval('numbers')")
                given.append(cursor.fetchone()[0])
            elif (session + i) % 3 == 1:
                cursor.execute("INSERT INTO t (v) VALUES ('x') RETURNING id")
                given.append(cursor.fetchone()[0])
                kept.append(given[-1])
            else:
                cursor.execute("BEGIN")
                cursor.execute("INSERT INTO t (v) VALUES ('back') RETURNING id")
                given.append(cursor.fetchone()[0])
                cursor.execute("ROLLBACK")
    except psycopg2.OperationalError:
        pass


for _ in range(KILLS):
    threads = [threading.Thread(target=draw, args=(n,)) for n in range(SESSIONS)]
    for thread in threads:
        thread.start()
    threads[0].join()
    server.kill()
    for thread in threads:
        thread.join()
    server.start()
assert len(set(given)) == len(given) >= KILLS * EACH, (len(set(given)), len(given))
rows = {row[0] for row in server.sql("SELECT id FROM t")}
assert set(kept) <= rows, set(kept) - rows

# a server that is stopped leaves no gap; one that is killed may
last = one("SELECT nextval('numbers')")
server.stop()
server.start()
assert one("SELECT nextval('numbers')") == last + 1
server.kill()
server.start()
assert one("SELECT nextval('numbers')") > last + 1

# what ALTER and setval() said is what a restart goes on with, killed or not; also right behind a stretch that was begun
server.sql("SELECT setval('numbers', 5000)")
server.kill()
server.start()
assert one("SELECT nextval('numbers')") == 5001
server.sql("SELECT setval('numbers', 7000, false)")
server.kill()
server.start()
assert one("SELECT nextval('numbers')") == 7000
server.sql("ALTER SEQUENCE numbers MAXVALUE 7003 INCREMENT 2")
server.kill()
server.start()
assert one("SELECT nextval('numbers')") == 7002
refuses("2200H", "SELECT nextval('numbers')")
server.sql("ALTER SEQUENCE numbers RESTART WITH 10000 NO MAXVALUE")
server.sql("ALTER SEQUENCE numbers RENAME TO renamed")
server.kill()
server.start()
assert one("SELECT nextval('renamed')") == 10000
assert one("INSERT INTO t (v) VALUES ('by the default') RETURNING id") == 10002
refuses("42P01", "SELECT nextval('numbers')")

# TRUNCATE … RESTART IDENTITY is what its transaction is
server.sql("CREATE TABLE again (id serial PRIMARY KEY, v text)")
server.sql("INSERT INTO again (v) VALUES ('a'), ('b')")
first, second = server.connect(), server.connect()
first.autocommit = False
here, there = first.cursor(), second.cursor()
here.execute("TRUNCATE again RESTART IDENTITY")
here.execute("INSERT INTO again (v) VALUES ('c') RETURNING id")
assert here.fetchone()[0] == 1
there.execute("SELECT nextval('again_id_seq')")  # PostgreSQL lets it wait
assert there.fetchone()[0] == 3
first.rollback()
assert one("SELECT nextval('again_id_seq')") == 4
here.execute("TRUNCATE again RESTART IDENTITY")
here.execute("INSERT INTO again (v) VALUES ('c') RETURNING id")
first.commit()
server.kill()
server.start()
assert server.sql("SELECT id, v FROM again") == [(1, "c")]
assert one("INSERT INTO again (v) VALUES ('d') RETURNING id") == 2
server.sql("TRUNCATE again RESTART IDENTITY")
server.kill()
server.start()
assert one("INSERT INTO again (v) VALUES ('e') RETURNING id") == 1

# COPY draws for columns that it has not, and for no others
server.sql("CREATE SEQUENCE for_copy")
server.sql("CREATE TABLE copied (id int DEFAULT nextval('for_copy'), v text)")
cursor = server.connect().cursor()
cursor.copy_expert("COPY copied (v) FROM STDIN", io.StringIO("a\nb\n"))
cursor.copy_expert("COPY copied FROM STDIN", io.StringIO("40\tc\n"))
cursor.copy_expert("COPY copied (v) FROM STDIN", io.StringIO("d\n"))
assert server.sql("SELECT * FROM copied ORDER BY v") == [(1, "a"), (2, "b"), (40, "c"), (3, "d")]

# what draws from a sequence keeps it; what it goes with takes it along
refuses("2BP01", "DROP SEQUENCE for_copy")
refuses("0A000", "DROP SEQUENCE for_copy CASCADE")
server.sql("DROP TABLE copied")
server.sql("DROP SEQUENCE for_copy")
server.sql("CREATE TABLE owner (a int PRIMARY KEY)")
server.sql("CREATE SEQUENCE owned OWNED BY owner.a")
server.sql("CREATE TABLE other (b bigint DEFAULT nextval('owned'))")
refuses("2BP01", "DROP TABLE owner")
refuses("0A000", "DROP TABLE owner CASCADE")
server.sql("DROP TABLE other, owner")
refuses("42P01", "SELECT nextval('owned')")
refuses("25001", "BEGIN; CREATE SEQUENCE inside")

# a table that is altered: its numbers go on, whatever its columns are called and where they are
server.sql("CREATE TABLE altered (x int, id serial PRIMARY KEY, n int GENERATED ALWAYS AS IDENTITY, v text)")
server.sql("INSERT INTO altered (v) VALUES ('a'), ('b')")
server.sql("ALTER TABLE altered DROP COLUMN x")
server.sql("ALTER TABLE altered RENAME COLUMN id TO number")
server.sql("ALTER TABLE altered RENAME COLUMN n TO m")
assert server.sql("INSERT INTO altered (v) VALUES ('c') RETURNING number, m") == [(3, 3)]
server.stop()
server.start()
assert server.sql("INSERT INTO altered (v) VALUES ('d') RETURNING number, m") == [(4, 4)]
server.sql("ALTER TABLE altered DROP COLUMN m")
server.kill()
server.start()
assert one("INSERT INTO altered (v) VALUES ('e') RETURNING number") > 4
refuses("42P01", "SELECT nextval('altered_n_seq')")

# nothing is drawn where nothing may be written, and none by a view
for sql, code in (("BEGIN READ ONLY; SELECT nextval('renamed')", "25006"),
                  ("BEGIN READ ONLY; SELECT setval('renamed', 1)", "25006"),
                  ("CREATE MATERIALIZED VIEW m AS SELECT nextval('renamed') AS n FROM t", "0A000"),
                  ("CREATE MATERIALIZED VIEW m AS SELECT last_value FROM renamed", "0A000"),
                  ("SELECT nextval('t')", "42809"), ("SELECT nextval(99999)", "42P01"),
                  ("INSERT INTO renamed VALUES (1)", "42809"), ("SELECT * FROM renamed AS OF POSITION 5", "0A000")):
    refuses(code, sql)

# a backup goes on behind what its position knew
copy = os.path.join(folder, "copy")
last = one("SELECT nextval('renamed')")
subprocess.run([os.environ["KAPPA"], "backup", copy, "--data", server.folder], check=True, stdout=subprocess.DEVNULL)
server.stop()
restored = os.path.join(folder, "restored")
subprocess.run([os.environ["KAPPA"], "restore", copy, "--data", restored], check=True, stdout=subprocess.DEVNULL)
server = Server(restored).start()
assert one("SELECT nextval('renamed')") > last
server.stop()
print("sequence: ok")
