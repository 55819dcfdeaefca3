"""now(): the clock in statements of their own, on an empty log too, one in a transaction, the log's time in the past."""
import datetime
import time

import psycopg2

from _wire import expect, main

UTC = datetime.timezone.utc
auto = psycopg2.connect("")
auto.autocommit = True


def one(cursor, statement):
    cursor.execute(statement)
    return cursor.fetchone()[0]


def near(moment):
    """Within a minute: what a slow machine takes."""
    return abs((datetime.datetime.now(UTC) - moment).total_seconds()) < 60


def test_empty_log():
    cursor = auto.cursor()
    assert near(one(cursor, "SELECT now()"))
    assert near(one(cursor, "SELECT current_timestamp"))
    expect(one(cursor, "SELECT now() = transaction_timestamp()"), True)


def test_idle_log():
    """Nothing is written for a while, and now() goes on; a row has the time of its writing."""
    cursor = auto.cursor()
    cursor.execute("CREATE TABLE noted (id int PRIMARY KEY, at timestamptz DEFAULT now())")
    cursor.execute("INSERT INTO noted (id) VALUES (1)")
    first = one(cursor, "SELECT at FROM noted WHERE id = 1")
    assert near(first)
    before = one(cursor, "SELECT now()")
    time.sleep(0.2)
    after = one(cursor, "SELECT now()")
    assert after > before, (before, after)
    cursor.execute("INSERT INTO noted (id) VALUES (2)")
    expect(one(cursor, "SELECT b.at >= %s::timestamptz FROM noted b WHERE id = 2" % ("'" + after.isoformat() + "'",)), True)
    cursor.execute("PREPARE moment AS SELECT now()")
    prepared = one(cursor, "EXECUTE moment")
    time.sleep(0.1)
    assert one(cursor, "EXECUTE moment") > prepared


def test_transaction():
    with psycopg2.connect("") as connection:
        cursor = connection.cursor()
        first = one(cursor, "SELECT now()")
        time.sleep(0.1)
        expect(one(cursor, "SELECT now()"), first)
        cursor.execute("INSERT INTO noted (id) VALUES (3)")
        expect(one(cursor, "SELECT at FROM noted WHERE id = 3"), first)
    assert one(auto.cursor(), "SELECT now()") > first


def test_past():
    """AS OF has the log's time there, whenever it is asked."""
    cursor = auto.cursor()
    first = one(cursor, "SELECT now() AS OF POSITION 2")
    time.sleep(0.1)
    expect(one(cursor, "SELECT now() AS OF POSITION 2"), first)
    assert near(first) and first < one(cursor, "SELECT now()")


main(globals())
