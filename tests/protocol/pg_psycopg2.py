"""psycopg2: types there and back, transactions, errors as exceptions, COPY, cursors on the server, cancel, notices."""
import datetime
import decimal
import io
import threading

import psycopg2
import psycopg2.extras

from _wire import expect

connection = psycopg2.connect("")
cursor = connection.cursor()


def rows(sql, *args):
    cursor.execute(sql, args or None)
    return cursor.fetchall()


def define(sql):
    """A change of the catalog is a record of the log by itself: it runs outside a transaction block."""
    connection.commit()
    connection.autocommit = True
    cursor.execute(sql)
    connection.autocommit = False


def test_types():
    define("""CREATE TABLE types (k int PRIMARY KEY, b boolean, s smallint, i integer, l bigint, r real, d double precision,
        n numeric(20,5), t text, da date, ts timestamp, tz timestamptz, iv interval)""")
    utc = datetime.timezone.utc
    values = [
        (1, True, -32768, 2147483647, -9223372036854775808, 1.5, 0.1, decimal.Decimal("12345.67890"), "grüße 'x' \\ \n",
         datetime.date(2024, 2, 29), datetime.datetime(2024, 2, 29, 23, 59, 59, 999999),
         datetime.datetime(2024, 2, 29, 12, 0, tzinfo=utc), datetime.timedelta(days=3, seconds=7, microseconds=5)),
        (2,) + (None,) * 12,
        (3, False, 0, 0, 0, 0.0, -1e300, decimal.Decimal("-0.00001"), "", datetime.date(1, 1, 1),
         datetime.datetime(1999, 12, 31), datetime.datetime(1970, 1, 1, tzinfo=utc), datetime.timedelta(0)),
    ]
    for value in values:
        cursor.execute("INSERT INTO types VALUES (%s)" % ", ".join(["%s"] * len(value)), value)
    connection.commit()
    expect(rows("SELECT * FROM types ORDER BY k"), values)
    expect([c.type_code for c in cursor.description], [23, 16, 21, 23, 20, 700, 701, 1700, 25, 1082, 1114, 1184, 1186])
    expect(rows("SELECT k FROM types WHERE t = %s", "grüße 'x' \\ \n"), [(1,)])
    connection.rollback()


def test_transactions():
    connection.rollback()
    other = psycopg2.connect("")
    other.autocommit = True
    other_cursor = other.cursor()
    other_cursor.execute("CREATE TABLE tx (k int PRIMARY KEY, v text)")
    cursor.execute("INSERT INTO tx VALUES (1, 'a'), (2, 'b')")
    expect(cursor.rowcount, 2)
    expect(rows("SELECT count(*) FROM tx"), [(2,)])
    other_cursor.execute("SELECT count(*) FROM tx")
    expect(other_cursor.fetchall(), [(0,)])
    connection.commit()
    for _ in range(500):  # a session sees its own writes at once, those of others when they are published
        other_cursor.execute("SELECT count(*) FROM tx")
        if other_cursor.fetchall() == [(2,)]:
            break
    else:
        assert False, "the commit is never seen"
    cursor.execute("UPDATE tx SET v = 'c' WHERE k = 1")
    expect(cursor.rowcount, 1)
    connection.rollback()
    expect(rows("SELECT v FROM tx WHERE k = 1"), [("a",)])
    connection.commit()
    other.close()


def test_errors():
    for sql, exception in (("SELECT nosuch FROM tx", psycopg2.errors.UndefinedColumn), ("SELECT * FROM nosuch", psycopg2.errors.UndefinedTable),
                           ("SELEC", psycopg2.errors.SyntaxError), ("SELECT 1/0", psycopg2.errors.DivisionByZero),
                           ("INSERT INTO tx VALUES (1, 'x')", psycopg2.errors.UniqueViolation),
                           ("SELECT 'x'::int", psycopg2.errors.InvalidTextRepresentation)):
        try:
            cursor.execute(sql)
            connection.commit()
        except exception as error:
            assert error.diag.message_primary
        else:
            assert False, sql
        connection.rollback()
    expect(rows("SELECT 1"), [(1,)])
    connection.rollback()


def test_copy():
    text = "".join("%d\tvalue %d\n" % (i, i) for i in range(100, 5100))
    cursor.copy_expert("COPY tx FROM STDIN", io.StringIO(text))
    expect(cursor.rowcount, 5000)
    connection.commit()
    out = io.StringIO()
    cursor.copy_expert("COPY (SELECT * FROM tx WHERE k >= 100 ORDER BY k) TO STDOUT", out)
    expect(out.getvalue(), text)
    connection.commit()


def test_named_cursor():
    with connection.cursor("named") as named:
        named.itersize = 700
        named.execute("SELECT k FROM tx WHERE k >= 100 ORDER BY k")
        expect([k for (k,) in named], list(range(100, 5100)))
    connection.commit()


def test_execute_values():
    psycopg2.extras.execute_values(cursor, "INSERT INTO tx VALUES %s", [(i, "v") for i in range(10000, 10500)])
    connection.commit()
    expect(rows("SELECT count(*) FROM tx WHERE k >= 10000"), [(500,)])
    connection.rollback()


def test_subscribe_cursor():
    writer = psycopg2.connect("")
    writer.autocommit = True
    writer.cursor().execute("CREATE TABLE sub (k int PRIMARY KEY, v text)")
    writer.cursor().execute("INSERT INTO sub VALUES (1, 'a')")
    cursor.execute("DECLARE s CURSOR FOR SUBSCRIBE TO sub")
    seen = []
    for change in range(3):
        while True:
            got = [row for row in rows("FETCH 100 s WITH (timeout = '100ms')") if not row[2]]
            if got:
                break
        seen += [(diff,) + tuple(rest) for _, diff, _, *rest in got]
        writer.cursor().execute(("UPDATE sub SET v = 'b' WHERE k = 1", "DELETE FROM sub WHERE k = 1", "SELECT 1")[change])
    expect(sorted(seen[:1]), [(1, 1, "a")])
    expect(sorted(seen[1:3]), [(-1, 1, "a"), (1, 1, "b")])
    expect(seen[3:], [(-1, 1, "b")])
    connection.rollback()
    writer.close()


def test_cancel():
    timer = threading.Timer(0.5, connection.cancel)
    timer.start()
    try:
        cursor.execute("SUBSCRIBE TO tx")
        assert False
    except psycopg2.errors.QueryCanceled:
        pass
    connection.rollback()
    expect(rows("SELECT 1"), [(1,)])
    connection.rollback()


def test_notices():
    del connection.notices[:]
    connection.autocommit = True
    cursor.execute("DROP TABLE IF EXISTS nosuch")
    connection.autocommit = False
    assert any("nosuch" in notice for notice in connection.notices), connection.notices


for name, function in list(globals().items()):
    if name.startswith("test_"):
        print(name, flush=True)
        function()
