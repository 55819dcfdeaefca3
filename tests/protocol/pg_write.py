"""Writes through psycopg2: command tags, RETURNING, transactions as one position, and that concurrent ones lose nothing."""
import threading

import psycopg2
import psycopg2.extras

import _wire
from _session import connection, cursor, expect, run


def fresh(sql):
    """Read by a session that was opened now, which sees all that was written before."""
    own = psycopg2.connect("")
    own_cursor = own.cursor()
    own_cursor.execute(sql)
    rows = own_cursor.fetchall()
    own.close()
    return rows


def test_tags():
    run("CREATE TABLE tags (k int PRIMARY KEY, v int)")
    for sql, tag in (
            ("INSERT INTO tags VALUES (1, 1), (2, 2)", "INSERT 0 2"),
            ("INSERT INTO tags VALUES (2, 2), (3, 3) ON CONFLICT DO NOTHING", "INSERT 0 1"),
            ("INSERT INTO tags VALUES (2, 9), (4, 4) ON CONFLICT (k) DO UPDATE SET v = excluded.v", "INSERT 0 2"),
            ("INSERT INTO tags VALUES (5, 5) RETURNING k", "INSERT 0 1"),
            ("UPDATE tags SET v = 0 WHERE k < 3", "UPDATE 2"),
            ("UPDATE tags SET v = x.k FROM (VALUES (1), (1), (2)) AS x (k) WHERE tags.k = x.k", "UPDATE 2"),
            ("DELETE FROM tags WHERE k = 5 RETURNING *", "DELETE 1"),
            ("MERGE INTO tags USING (VALUES (1), (7)) AS x (k) ON tags.k = x.k WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (x.k)",
             "MERGE 2"),
            ("WITH x AS (DELETE FROM tags WHERE k IN (3, 4) RETURNING k) SELECT * FROM x", "SELECT 2"),
            ("DELETE FROM tags WHERE k = 100", "DELETE 0"),
            ("TRUNCATE tags", "TRUNCATE TABLE")):
        run(sql)
        expect((sql, cursor.statusmessage), (sql, tag))


def test_returning_columns():
    run("CREATE TABLE shape (k int PRIMARY KEY, v text, n numeric(6,2))")
    run("INSERT INTO shape VALUES (%s, %s, %s) RETURNING n AS amount, v, k", 1, "x", 2)
    expect([(c.name, c.type_code) for c in cursor.description], [("amount", 1700), ("v", 25), ("k", 23)])
    expect(psycopg2.extras.execute_values(cursor, "INSERT INTO shape VALUES %s RETURNING k", [(i, "v", i) for i in range(10, 3010)],
                                          page_size=5000, fetch=True), [(i,) for i in range(10, 3010)])
    run("PREPARE p (int) AS UPDATE shape SET v = v || $1 WHERE k = $1 RETURNING v")
    expect(run("EXECUTE p (1)"), [("x1",)])


def test_extended():
    """Describe of a statement with RETURNING says its columns; a portal of it can be read in pieces."""
    import socket
    import struct
    run("CREATE TABLE parts (k int PRIMARY KEY)")
    with socket.create_connection((_wire.HOST, _wire.PORT)) as wire:
        wire.sendall(_wire.startup(user="kappa", database="kappa"))
        wire.sendall(_wire.parse("INSERT INTO parts VALUES ($1), ($2), (3) RETURNING k, k * 2.5 AS d") + _wire.describe("S") +
                     _wire.bind(("1", "2")) + _wire.execute(rows=2) + _wire.execute() + _wire.SYNC)
        data, kinds, ready = b"", [], 0
        while ready < 2:
            data += wire.recv(65536)
            while len(data) >= 5 and len(data) > struct.unpack("!I", data[1:5])[0]:
                size = struct.unpack("!I", data[1:5])[0] + 1
                kind, body, data = chr(data[0]), data[5:size], data[size:]
                ready += kind == "Z"
                if ready and kind not in "ZK":
                    kinds.append(kind + (body.rstrip(b"\0").decode() if kind in "CE" else str(struct.unpack("!H", body[:2])[0]) if kind in "tT" else ""))
    expect(kinds, ["1", "t2", "T2", "2", "D", "D", "s", "D", "CINSERT 0 3"])
    expect(fresh("SELECT count(*) FROM parts"), [(3,)])


def test_one_position():
    """What a transaction writes is seen at one position, and its rows are next to each other in the log."""
    run("CREATE TABLE whole (k int PRIMARY KEY, v int)")
    connection.autocommit = False
    run("INSERT INTO whole VALUES (1, 1), (2, 2)")
    run("UPDATE whole SET v = v + 10")
    run("DELETE FROM whole WHERE k = 2")
    run("INSERT INTO whole VALUES (3, 3) ON CONFLICT (k) DO UPDATE SET v = 0")
    connection.commit()
    connection.autocommit = True
    expect(sorted(run("SELECT * FROM whole")), [(1, 11), (3, 3)])
    positions = [p for p, in run("SELECT _position FROM whole")]
    assert max(positions) - min(positions) <= 2, positions  # a record for each key that was touched


def concurrently(count, work):
    failures = []

    def one(number):
        try:
            own = psycopg2.connect("")
            own.autocommit = True
            work(own, own.cursor(), number)
            own.close()
        except Exception as error:  # told by the main thread
            failures.append(error)

    threads = [threading.Thread(target=one, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def test_no_lost_update():
    """Statements of several sessions on the same row: each one's change counts."""
    run("CREATE TABLE counter (k int PRIMARY KEY, n int)")
    run("INSERT INTO counter VALUES (1, 0)")

    def work(own, own_cursor, number):
        for _ in range(15):
            own_cursor.execute("UPDATE counter SET n = n + 1 WHERE k = 1")
            own_cursor.execute("INSERT INTO counter VALUES (2, 1) ON CONFLICT (k) DO UPDATE SET n = counter.n + 1")

    concurrently(4, work)
    expect(sorted(fresh("SELECT * FROM counter")), [(1, 60), (2, 60)])


def test_serialization():
    """A block whose rows others have changed since it read fails with 40001, and changes nothing."""
    run("CREATE TABLE ser (k int PRIMARY KEY, n int)")
    run("INSERT INTO ser VALUES (1, 0), (2, 0)")
    other = psycopg2.connect("")
    other_cursor = other.cursor()
    other_cursor.execute("UPDATE ser SET n = n + 1")
    run("UPDATE ser SET n = 100 WHERE k = 1")
    try:
        other.commit()
        raise AssertionError("the commit succeeded")
    except psycopg2.errors.SerializationFailure:
        other.rollback()
    expect(sorted(run("SELECT * FROM ser")), [(1, 100), (2, 0)])
    other_cursor.execute("DELETE FROM ser WHERE k = 2")
    run("UPDATE ser SET n = 200 WHERE k = 2")
    try:
        other.commit()
        raise AssertionError("the commit succeeded")
    except psycopg2.errors.SerializationFailure:
        other.rollback()
    expect(sorted(run("SELECT * FROM ser")), [(1, 100), (2, 200)])
    other.close()


def test_many_in_one_transaction():
    """Thousands of statements in a block, each finding its own earlier rows."""
    run("CREATE TABLE many (k int PRIMARY KEY, n int)")
    connection.autocommit = False
    for i in range(1500):
        cursor.execute("INSERT INTO many VALUES (%s, 0) ON CONFLICT (k) DO UPDATE SET n = many.n + 1", (i % 500,))
    for i in range(500):
        cursor.execute("UPDATE many SET n = n + 1 WHERE k = %s", (i,))
    connection.commit()
    connection.autocommit = True
    expect(run("SELECT count(*), min(n), max(n) FROM many"), [(500, 3, 3)])


for name, test in sorted(globals().copy().items()):
    if name.startswith("test_"):
        test()
print("writes through psycopg2: ok")
