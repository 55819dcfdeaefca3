"""Work that would take hours inside one batch, value, partition or group ends when it is told to: by statement_timeout, by
a cancel request, by DROP, and by SIGTERM, which says of no row that it was not written when it was. Bounds are wide: without a stop none of this ends within the test's time."""
import os
import shutil
import tempfile
import threading
import time

import psycopg2

from _server import Server, wait_for

SECONDS = 60

ENDLESS = {
    "powers": "SELECT max(10::numeric ^ 100000 + g) FROM generate_series(1, 60000) AS g",
    "quotients": "SELECT count(*) FROM generate_series(1, 60000) AS g WHERE 10::numeric ^ 60000 / (g + 10::numeric ^ 30000) < 0",
    "a pattern": "SELECT count(*) FROM generate_series(1, 60000) AS g "
                 "WHERE regexp_replace(repeat('ab', 200000) || g, '(a|b)', '\\1', 'g') = ''",
    "a back reference": "SELECT count(*) FROM generate_series(1, 60000) AS g "
                        "WHERE (repeat('a', 80) || 'x' || repeat('a', 81) || 'y' || g) ~ '(a+)(a+)x\\1\\2y'",
    "a path": "SELECT count(*) FROM (SELECT jsonb_agg(h) AS all_of FROM generate_series(1, 20000) AS h) AS s, "
              "generate_series(1, 60000) AS g WHERE jsonb_path_exists(all_of, '$[*] ? (@ < 0 || @ > $[*] && @ < 0)') AND g > 0",
    "elements": "SELECT count(*) FROM (SELECT array_agg(h) AS all_of FROM generate_series(1, 20000) AS h) AS s, "
                "generate_series(1, 60000) AS g WHERE -g = ANY (all_of || g)",
    "elements of one type": "SELECT count(*) FROM (SELECT array_agg(h) AS all_of FROM generate_series(1, 20000) AS h) AS s, "
                            "generate_series(1, 60000) AS g WHERE ((all_of || g)::text[]::int[])[1] < 0",
    "pairs": "SELECT count(*) FROM generate_series(1, 1000000) AS a, generate_series(1, 1000000) AS b WHERE a * 1.5 + b < 0",
    "a recursion": "WITH RECURSIVE r(n) AS (SELECT 1::bigint UNION ALL SELECT n + 1 FROM r, generate_series(1, 10000) AS g "
                   "WHERE n < 1000000000000 AND g = 1) SELECT max(n) FROM r",
    "frames": "SELECT max(m) FROM (SELECT string_agg(g::text, '') OVER (ORDER BY g ROWS BETWEEN 50000 PRECEDING AND CURRENT ROW "
              "EXCLUDE TIES) AS m FROM generate_series(1, 200000) AS g) AS s",
    "series": "SELECT count(*) FROM generate_series(1, 1000000000000) AS g WHERE g % 2 = 2",
    "series of series": "SELECT count(*) FROM generate_series(1, 1000000) AS g, generate_series(1, g + 1000000) AS h WHERE h < 0",
}


def ended(server, what, sql, message, before=None):
    """The statement ends with 57014 for that reason; before: what is done on its connection first."""
    connection = server.connect()
    try:
        with connection.cursor() as cursor:
            if before:
                before(connection, cursor)
            cursor.execute(sql)
        raise AssertionError(f"{what}: it came to an end")
    except psycopg2.errors.QueryCanceled as error:
        assert message in str(error), f"{what}: {error}"
    finally:
        connection.close()


def in_time(what, work):
    """The work is done within the time; its failure is the test's."""
    failures = []

    def run():
        try:
            work()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(SECONDS)
    assert not thread.is_alive(), f"{what}: still busy after {SECONDS} s"
    if failures:
        raise failures[0]


def try_timeouts(server):
    for what, sql in ENDLESS.items():
        print("timeout:", what, flush=True)
        in_time(what, lambda sql=sql: ended(server, what, sql, "statement timeout",
                                            lambda _, cursor: cursor.execute("SET statement_timeout = '500ms'")))
    assert server.sql("SELECT 1") == [(1,)]


def try_cancel(server):
    def cancel_soon(connection, _):
        threading.Timer(0.5, connection.cancel).start()

    for what in ("powers", "frames"):
        print("cancel:", what, flush=True)
        in_time(what, lambda: ended(server, what, ENDLESS[what], "user request", cancel_soon))


SLOW = "SELECT k, max(10::numeric ^ 100000 + g) AS m FROM t, generate_series(1, 60000) AS g GROUP BY k"


def try_drop(server):
    """A view whose first replay does not end, dropped from elsewhere; the CREATE says so."""
    print("drop of a view that is being made", flush=True)
    server.sql("CREATE TABLE t (k int PRIMARY KEY)")
    server.sql("INSERT INTO t VALUES (1)")
    outcomes = []

    def create():
        try:
            server.sql("CREATE MATERIALIZED VIEW slow AS " + SLOW)
        except psycopg2.Error as error:
            outcomes.append(error)

    thread = threading.Thread(target=create, daemon=True)
    thread.start()
    wait_for("the view", lambda: server.sql("SELECT count(*) FROM kappa.views WHERE name = 'slow'") == [(1,)], SECONDS)
    in_time("drop", lambda: server.sql("DROP MATERIALIZED VIEW slow"))
    thread.join(SECONDS)
    assert not thread.is_alive() and len(outcomes) == 1, outcomes
    assert server.sql("SELECT count(*) FROM kappa.views WHERE name = 'slow'") == [(0,)]


LIVE = {
    "values": SLOW,
    "pairs": "SELECT count(*) FROM t, generate_series(1, 1000000) AS a, generate_series(1, 1000000) AS b WHERE a * 1.5 + b + k < 0",
    "a recursion": "WITH RECURSIVE r(n) AS (SELECT k::bigint FROM t UNION ALL SELECT n + 1 FROM r, generate_series(1, 10000) AS g "
                   "WHERE n < 1000000000000 AND g = 1) SELECT max(n) FROM r",
    "frames": "SELECT max(m) FROM (SELECT string_agg(g::text, '') OVER (ORDER BY g ROWS BETWEEN 50000 PRECEDING AND CURRENT ROW "
              "EXCLUDE TIES) AS m FROM t, generate_series(1, 200000) AS g) AS s",
}


def try_drop_live(server):
    """A view that an insert gives a step without end, with a view of it: DROP ends the step, and what else it was for goes on."""
    server.sql("CREATE MATERIALIZED VIEW beside AS SELECT sum(k) AS s FROM t")
    for number, (what, sql) in enumerate(LIVE.items()):
        print("drop of a live view:", what, flush=True)
        server.sql("DELETE FROM t")
        server.sql(f"CREATE MATERIALIZED VIEW slow AS {sql}")
        server.sql("CREATE MATERIALIZED VIEW above AS SELECT count(*) FROM slow")
        server.sql(f"INSERT INTO t VALUES ({number})")
        time.sleep(0.5)  # so that the engine is at work; if it is not, DROP comes first, which must do as well
        in_time("drop", lambda: server.sql("DROP MATERIALIZED VIEW slow CASCADE"))
        wait_for("the view beside", lambda: server.sql("SELECT s FROM beside") == [(number,)], SECONDS)
    server.sql("DROP MATERIALIZED VIEW beside")


def try_stop(server):
    """All of it at once, and the engine in a step that does not end: SIGTERM ends the server, a restart can be ended too."""
    print("SIGTERM", flush=True)
    server.sql("DELETE FROM t")
    server.sql("CREATE MATERIALIZED VIEW slow AS " + SLOW)
    server.sql("INSERT INTO t VALUES (2)")

    started = []

    def work(sql):
        try:
            with server.connect().cursor() as cursor:
                started.append(sql)
                cursor.execute(sql)
        except psycopg2.Error:
            pass  # the server has gone

    for sql in list(ENDLESS.values())[:6] + ["SELECT * FROM slow", "DROP MATERIALIZED VIEW slow"]:
        threading.Thread(target=work, args=(sql,), daemon=True).start()
    wait_for("the connections", lambda: len(started) == 8, SECONDS)
    time.sleep(1)  # so that most are at work; those that are not must end as well
    server.stop()
    server.start()
    server.stop()


def try_stop_writes(server):
    """SIGTERM while rows are inserted: who is told 57P01 has written nothing, who is told that it is done has. Who is told
    nothing, since the connection ended, does not know."""
    print("SIGTERM under writes", flush=True)
    server.start()
    server.sql("CREATE TABLE w (id int PRIMARY KEY)")
    told = {}

    def write(first):
        connection = server.connect()
        for number in range(first, first + 1000000):
            try:
                with connection.cursor() as cursor:
                    cursor.execute("INSERT INTO w VALUES (%s)" + (" RETURNING id" if number % 2 else ""), (number,))
                told[number] = "done"
            except psycopg2.Error as error:
                if error.pgcode:
                    told[number] = error.pgcode
                return

    threads = [threading.Thread(target=write, args=(1000000 * n,), daemon=True) for n in range(16)]
    for thread in threads:
        thread.start()
    wait_for("rows", lambda: len(told) > 500, SECONDS)
    server.stop()
    for thread in threads:
        thread.join(SECONDS)
    server.start()
    there = {number for number, in server.sql("SELECT id FROM w")}
    server.stop()
    codes = set(told.values())
    assert codes <= {"done", "57P01"}, codes
    wrong = [number for number, what in told.items() if (what == "done") != (number in there)]
    assert not wrong, [(number, told[number]) for number in wrong]


folder = tempfile.mkdtemp(prefix="kappa-stops-")
server = Server(os.path.join(folder, "data"), "--memory", "2GiB").start()
try:
    try_timeouts(server)
    try_cancel(server)
    try_drop(server)
    try_drop_live(server)
    try_stop(server)
    try_stop_writes(server)
finally:
    if server.process.poll() is None:
        server.process.kill()
    shutil.rmtree(folder, ignore_errors=True)
print("stops: %d statements" % (len(ENDLESS) + len(LIVE)))
