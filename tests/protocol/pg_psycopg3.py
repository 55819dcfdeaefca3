"""psycopg 3: binary both ways, pipelines, COPY both ways, cursors on the server, nested transactions, notices, cancel."""
import datetime
import decimal
import threading
import time
import uuid

from _pypi import need
from _wire import expect

need(("psycopg",), "psycopg[binary]")
import psycopg  # noqa: E402
from psycopg.rows import dict_row  # noqa: E402
from psycopg.types.json import Jsonb  # noqa: E402

auto = psycopg.connect("", autocommit=True)
UTC = datetime.timezone.utc


def test_types():
    auto.execute("""CREATE TABLE types (k int PRIMARY KEY, b boolean, s smallint, l bigint, r real, d double precision,
        n numeric(20,5), t text, y bytea, da date, ti time, ts timestamp, tz timestamptz, iv interval, u uuid, j jsonb,
        ia int[], ta text[])""")
    value = (1, True, -32768, -9223372036854775808, 1.5, 0.1, decimal.Decimal("12345.67890"), "grüße 'x' \\ \n", b"\0\xff",
             datetime.date(2024, 2, 29), datetime.time(23, 59, 59, 999999), datetime.datetime(2024, 2, 29, 23, 59, 59, 999999),
             datetime.datetime(2024, 2, 29, 12, 0, tzinfo=UTC), datetime.timedelta(days=3, seconds=7, microseconds=5),
             uuid.UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"), {"a": [1, None]}, [1, None, 3], ["x", 'a "b"', ""])
    given = value[:15] + (Jsonb(value[15]),) + value[16:]
    places = ", ".join(["%s"] * len(value))
    auto.execute(f"INSERT INTO types VALUES ({places})", given)
    binary = ", ".join(["%b"] * len(value))
    auto.execute(f"INSERT INTO types VALUES ({binary})", (2,) + given[1:])
    auto.execute(f"INSERT INTO types VALUES ({places})", (3,) + (None,) * (len(value) - 1))
    for as_binary in (False, True):
        rows = auto.cursor(binary=as_binary).execute("SELECT * FROM types ORDER BY k").fetchall()
        expect(rows, [value, (2,) + value[1:], (3,) + (None,) * (len(value) - 1)])
        expect(auto.execute("SELECT k FROM types WHERE n = %s AND u = %s AND ia = %s::int[] ORDER BY k",
                            (value[6], value[14], [1, None, 3]), binary=as_binary).fetchall(), [(1,), (2,)])
    expect(auto.execute("SELECT 1 = ANY(%s), %s::text", ([1, 2], "x")).fetchone(), (True, "x"))
    row = auto.cursor(row_factory=dict_row).execute("SELECT k, t FROM types WHERE k = 1").fetchone()
    expect(row, {"k": 1, "t": value[7]})


def test_pipeline():
    auto.execute("CREATE TABLE piped (k int PRIMARY KEY, v text)")
    with psycopg.connect("", autocommit=True) as connection:
        with connection.pipeline() as pipeline:
            for n in range(500):
                connection.execute("INSERT INTO piped VALUES (%s, %s)", (n, f"v{n}"))
            cursor = connection.execute("SELECT count(*) FROM piped")
            pipeline.sync()
            expect(cursor.fetchone(), (500,))
        failed = False
        try:
            with connection.pipeline():
                connection.execute("INSERT INTO piped VALUES (1000, 'x')")
                connection.execute("INSERT INTO piped VALUES (0, 'twice')")
                connection.execute("INSERT INTO piped VALUES (1001, 'x')")
        except psycopg.errors.UniqueViolation:
            failed = True
        expect(failed, True)
        cursor = connection.cursor()
        cursor.executemany("INSERT INTO piped VALUES (%s, %s) RETURNING k", [(n, "m") for n in range(2000, 2005)], returning=True)
        keys = []
        while True:
            keys += cursor.fetchall()
            if not cursor.nextset():
                break
        expect(keys, [(n,) for n in range(2000, 2005)])
        expect(connection.execute("SELECT count(*) FROM piped WHERE k > 600").fetchone(), (5,))


def test_prepared():
    with psycopg.connect("", autocommit=True, prepare_threshold=1) as connection:
        for n in range(20):
            expect(connection.execute("SELECT v FROM piped WHERE k = %s", (n,)).fetchone(), (f"v{n}",))
        expect(connection.execute("SELECT count(*) FROM pg_prepared_statements").fetchone()[0] >= 0, True)


def test_copy():
    auto.execute("CREATE TABLE copied (k int PRIMARY KEY, t text, d date, n numeric)")
    wanted = [(n, f"t\t{n}\\", datetime.date(2024, 1, 1), decimal.Decimal(n) / 4) for n in range(1000)] + [(1000, None, None, None)]
    with auto.cursor().copy("COPY copied FROM STDIN") as copy:
        for row in wanted:
            copy.write_row(row)
    with auto.cursor().copy("COPY (SELECT * FROM copied ORDER BY k) TO STDOUT") as copy:
        copy.set_types(["int4", "text", "date", "numeric"])
        expect(list(copy.rows()), wanted)
    types = ["int4", "text", "date", "numeric"]
    with auto.cursor().copy("COPY (SELECT * FROM copied ORDER BY k) TO STDOUT (FORMAT BINARY)") as copy:
        copy.set_types(types)
        expect(list(copy.rows()), wanted)
    auto.execute("CREATE TABLE copied_binary (k int PRIMARY KEY, t text, d date, n numeric)")
    with auto.cursor().copy("COPY copied_binary FROM STDIN (FORMAT BINARY)") as copy:
        copy.set_types(types)
        for row in wanted:
            copy.write_row(row)
    expect(auto.execute("SELECT * FROM copied_binary ORDER BY k").fetchall(), wanted)
    failed = False
    try:
        with auto.cursor().copy("COPY copied FROM STDIN") as copy:
            copy.write("7000\tx\t\\N\t\\N\nnot a number\t\\N\t\\N\t\\N\n")
    except psycopg.errors.InvalidTextRepresentation:
        failed = True
    expect(failed, True)
    expect(auto.execute("SELECT count(*) FROM copied WHERE k = 7000").fetchone(), (0,))


def test_server_cursor():
    with psycopg.connect("") as connection:
        with connection.cursor("walk") as cursor:
            cursor.itersize = 100
            cursor.execute("SELECT k FROM copied ORDER BY k")
            expect(sum(1 for _ in cursor), 1001)
        with connection.cursor("part", scrollable=False) as cursor:
            cursor.execute("SELECT k, t FROM copied WHERE k >= %s ORDER BY k", (5,))
            expect([row[0] for row in cursor.fetchmany(3)], [5, 6, 7])
            expect(cursor.fetchone()[0], 8)
    with psycopg.connect("") as connection:
        with psycopg.ServerCursor(connection, "bin") as cursor:
            cursor.execute("SELECT n FROM copied WHERE k < 3 ORDER BY k", binary=True)
            expect(cursor.fetchall(), [(decimal.Decimal("0"),), (decimal.Decimal("0.25"),), (decimal.Decimal("0.5"),)])


def test_transactions():
    with psycopg.connect("") as connection:
        with connection.transaction():
            connection.execute("INSERT INTO piped VALUES (3000, 'outer')")
            try:
                with connection.transaction():
                    connection.execute("INSERT INTO piped VALUES (3001, 'inner')")
                    connection.execute("SELECT 1/0")
            except psycopg.errors.DivisionByZero:
                pass
            with connection.transaction():
                connection.execute("INSERT INTO piped VALUES (3002, 'second')")
            with connection.transaction(force_rollback=True):
                connection.execute("DELETE FROM piped")
        expect(connection.execute("SELECT k FROM piped WHERE k >= 3000 ORDER BY k").fetchall(), [(3000,), (3002,)])
    with psycopg.connect("") as connection:
        try:
            with connection.transaction():
                connection.execute("INSERT INTO piped VALUES (3003, 'x')")
                raise KeyError
        except KeyError:
            pass
        expect(connection.execute("SELECT count(*) FROM piped WHERE k = 3003").fetchone(), (0,))
        expect(connection.info.transaction_status, psycopg.pq.TransactionStatus.INTRANS)


def test_errors_and_notices():
    notices = []
    auto.add_notice_handler(lambda notice: notices.append((notice.sqlstate, notice.message_primary)))
    auto.execute("CREATE TABLE IF NOT EXISTS piped (k int PRIMARY KEY)")
    expect(notices, [("42P07", 'relation "piped" already exists, skipping')])
    try:
        auto.execute("SELECT nothing FROM piped")
    except psycopg.errors.UndefinedColumn as error:
        expect((error.diag.sqlstate, error.diag.statement_position), ("42703", "8"))
    else:
        raise AssertionError("no error")
    try:
        auto.execute("INSERT INTO piped VALUES (%s, 'x')", (0,))
    except psycopg.errors.UniqueViolation as error:
        expect(error.diag.message_detail, "Key (k)=(0) already exists.")
    else:
        raise AssertionError("no error")


def test_cancel():
    with psycopg.connect("", autocommit=True) as connection:
        ended = threading.Event()

        def cancel():
            while not ended.wait(0.2):
                connection.cancel()

        thread = threading.Thread(target=cancel)
        thread.start()
        began = time.monotonic()
        try:
            connection.execute("SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b")
        except psycopg.errors.QueryCanceled:
            pass
        else:
            raise AssertionError("it ended")
        finally:
            ended.set()
            thread.join()
        assert time.monotonic() - began < 60
        for _ in range(3):  # a cancel that came late may meet the next one
            try:
                expect(connection.execute("SELECT 1").fetchone(), (1,))
                break
            except psycopg.errors.QueryCanceled:
                continue


for name, test in list(globals().items()):
    if name.startswith("test_"):
        test()
auto.close()
