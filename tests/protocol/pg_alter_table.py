"""ALTER TABLE beside everything else: who has bound the table before, who is writing to it, what reads it, its topic's
records, positions of the past, and restarts."""
import os
import shutil
import tempfile
import threading

import psycopg2

from _server import Server, wait_for

folder = tempfile.mkdtemp(prefix="kappa-alter-")
server = Server(os.path.join(folder, "data")).start()
session = server.connect()
cursor = session.cursor()


def run(sql, on=None):
    on = on or cursor
    on.execute(sql)
    return on.fetchall() if on.description else None


def code(sql, on=None):
    try:
        run(sql, on)
    except psycopg2.Error as error:
        return error.pgcode
    return None


def expect(got, wanted):
    assert got == wanted, f"{got!r} instead of {wanted!r}"


# ---- statements that were prepared before ----

run("CREATE TABLE item (id int PRIMARY KEY, n int)")
run("INSERT INTO item VALUES (1, 10)")
run("PREPARE whole AS SELECT * FROM item")
run("PREPARE part AS SELECT id, n FROM item ORDER BY id")
run("PREPARE put AS INSERT INTO item (id, n) VALUES ($1, $2)")
run("PREPARE change AS UPDATE item SET n = n + 1 WHERE id = $1")
run("EXECUTE put(2, 20)")
expect(sorted(run("EXECUTE whole")), [(1, 10), (2, 20)])
run("ALTER TABLE item ADD COLUMN c text DEFAULT 'old'")
run("EXECUTE put(3, 30)")
run("EXECUTE change(1)")
expect(code("EXECUTE whole"), "0A000")
expect(run("EXECUTE part"), [(1, 11), (2, 20), (3, 30)])
expect(run("SELECT * FROM item ORDER BY id"), [(1, 11, "old"), (2, 20, "old"), (3, 30, "old")])

# ---- a transaction that has written to it, or has read it ----

other = server.connect()
other.autocommit = False
writer = other.cursor()
run("INSERT INTO item VALUES (4, 40)", writer)
run("ALTER TABLE item ADD COLUMN d int DEFAULT 7")
try:
    other.commit()
    raise AssertionError("rows of the former declaration were committed")
except psycopg2.Error as error:
    expect(error.pgcode, "40001")
other.rollback()
run("INSERT INTO item VALUES (4, 40)", writer)
other.commit()
expect(run("SELECT * FROM item WHERE id = 4", writer), [(4, 40, "old", 7)])
expect(run("SELECT count(*) FROM item", writer), [(4,)])
other.rollback()

# ---- records of the topic: those from before have no such column, whatever they hold; later ones give it ----

run("CREATE TABLE told (id int PRIMARY KEY, n int) WITH (topic = 'told')")
first = server.post("told", [{"id": 1, "n": 1, "extra": 5}, {"id": 2, "n": 2}])
expect(server.sql("SELECT * FROM told ORDER BY id"), [(1, 1), (2, 2)])
run("CREATE MATERIALIZED VIEW summed AS SELECT count(*) AS n, sum(n) AS s FROM told")
run("ALTER TABLE told ADD COLUMN extra int DEFAULT 9")
expect(server.sql("SELECT * FROM told ORDER BY id"), [(1, 1, 9), (2, 2, 9)])
second = server.post("told", [{"id": 2, "n": 3, "extra": 6}, {"id": 3, "n": 3}, {"id": 4, "n": 4, "extra": "no number"}])
TOLD = [(1, 1, 9), (2, 3, 6), (3, 3, None)]
expect(server.sql("SELECT * FROM told ORDER BY id"), TOLD)
expect(server.sql("SELECT * FROM summed"), [(3, 7)])
expect(server.sql("SELECT count(*) FROM kappa.dead_letters WHERE source = 'told'"), [(1,)])

# ---- the past, by today's declaration ----

THEN = [(1, 1, 9), (2, 2, 9)]
expect(server.sql(f"SELECT * FROM told AS OF POSITION {first} ORDER BY id"), THEN)
expect(server.sql(f"SELECT * FROM told AS OF POSITION {second} ORDER BY id"), TOLD)
expect(server.sql(f"SELECT * FROM told FOR SYSTEM_TIME AS OF {first} ORDER BY id"), THEN)
expect(server.sql(f"SELECT * FROM told FOR SYSTEM_TIME AS OF {second} ORDER BY id"), TOLD)
expect(server.sql(f"SELECT * FROM summed AS OF POSITION {first}"), [(2, 3)])

# ---- what stands in its way ----

run("CREATE TABLE sunk (id int PRIMARY KEY)")
run("CREATE SINK out FROM sunk WITH (topic = 'out')")
expect(code("ALTER TABLE sunk ADD COLUMN a int"), "0A000")
run("CREATE TABLE rated (id int PRIMARY KEY, rate int)")
run("CREATE SOURCE asked (id int) WITH (topic = 'asked')")
run("CREATE MATERIALIZED VIEW answered AS SELECT a.id, r.rate FROM asked AS a JOIN rated FOR SYSTEM_TIME AS OF a._position AS r ON r.id = a.id")
expect(code("ALTER TABLE rated ADD COLUMN a int"), "0A000")
expect(code("ALTER TABLE asked ADD COLUMN a int"), "42809")
expect(code("ALTER TABLE summed ADD COLUMN a int"), "42809")
expect(code("ALTER TABLE pg_class ADD COLUMN a int"), "42501")

# ---- subscriptions: of the views they go on, the table's own ends ----


class Subscription(threading.Thread):
    def __init__(self, what):
        super().__init__(daemon=True)
        self.text, self.error, self.connection, self.what = b"", None, server.connect(), what
        self.start()

    def run(self):
        try:
            with self.connection.cursor() as own:
                own.copy_expert(f"COPY (SUBSCRIBE TO {self.what}) TO STDOUT", self)
        except psycopg2.Error as error:
            self.error = error

    def write(self, data):
        self.text += data


of_view, of_table = Subscription("summed"), Subscription("told")
wait_for("the rows", lambda: b"\t7\n" in of_view.text and b"\t9\n" in of_table.text)
run("ALTER TABLE told ADD COLUMN later int DEFAULT 1")
run("INSERT INTO told VALUES (5, 100)")
wait_for("the view's subscription to go on", lambda: b"\t107\n" in of_view.text)
wait_for("the table's subscription to end", lambda: of_table.error)
expect(of_view.error, None)

# ---- writers, while columns come ----

WRITERS, COLUMNS = 3, 6
run("CREATE TABLE busy (id int PRIMARY KEY, n int NOT NULL)")
run("CREATE MATERIALIZED VIEW busy_sum AS SELECT count(*) AS n, sum(n) AS s FROM busy")
run("CREATE MATERIALIZED VIEW busy_self AS SELECT a.id, b.n FROM busy AS a LEFT JOIN busy AS b ON b.id = a.id + 1")
stop, failures, made = threading.Event(), [], [0] * WRITERS


def write(number):
    connection = server.connect()
    with connection.cursor() as own:
        while not stop.is_set():
            key = made[number] * WRITERS + number
            try:
                own.execute("INSERT INTO busy (id, n) VALUES (%s, %s)", (key, key % 10))
                own.execute("UPDATE busy SET n = n + 1 WHERE id = %s", (key,))
                if key % 4 == 0:
                    own.execute("SELECT count(*), sum(n) FROM busy WHERE id = %s", (key,))
                    assert own.fetchone() == (1, key % 10 + 1)
            except Exception as error:  # pylint: disable=broad-except
                failures.append(error)
                return
            made[number] += 1
    connection.close()


writers = [threading.Thread(target=write, args=(number,)) for number in range(WRITERS)]
for thread in writers:
    thread.start()
for column in range(COLUMNS):
    wait_for("rows", lambda: sum(made) >= 20 * (column + 1) or failures)
    run(f"ALTER TABLE busy ADD COLUMN c{column} int NOT NULL DEFAULT {column}")
wait_for("more rows", lambda: sum(made) >= 20 * (COLUMNS + 2) or failures)
stop.set()
for thread in writers:
    thread.join()
expect(failures, [])


def state():
    return {table: sorted(server.sql(f"SELECT * FROM {table}"), key=repr)
            for table in ("item", "told", "summed", "busy", "busy_sum", "busy_self")}


rows = {row[0]: row for row in server.sql("SELECT * FROM busy")}
expect(len(rows), sum(made))
expect({row[2:] for row in rows.values()}, {tuple(range(COLUMNS))})
expect(server.sql("SELECT * FROM busy_sum"), [(len(rows), sum(row[1] for row in rows.values()))])
expect(dict(server.sql("SELECT * FROM busy_self")), {key: rows[key + 1][1] if key + 1 in rows else None for key in rows})
for view in ("summed", "busy_sum", "busy_self"):
    run(f"VERIFY MATERIALIZED VIEW {view}")

# ---- the same after restarts ----

was = state()
for end in (server.kill, server.stop):
    end()
    server.start()
    expect(state(), was)
    for view in ("summed", "busy_sum", "busy_self"):
        server.sql(f"VERIFY MATERIALIZED VIEW {view}")
expect(server.sql(f"SELECT * FROM told AS OF POSITION {first} ORDER BY id"), [row + (1,) for row in THEN])
server.sql("INSERT INTO told VALUES (6, 1)")
expect(server.sql("SELECT * FROM told WHERE id = 6"), [(6, 1, 9, 1)])
server.stop()
shutil.rmtree(folder)
print("pg_alter_table: ok")
