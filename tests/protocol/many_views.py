"""Two thousand views of many kinds over few tables: answers, whatever a step has woken. Keyed rows, windows that close,
rows that leave by now(), errors that come and go, views over views, joins; through a kill, DROPs, and steps that most
views have nothing to do with. The answers are computed here."""
import datetime
import os
import time

import psycopg2

from _server import Server, wait_for

VIEWS, KINDS = 2000, 8
server = Server(os.environ["SCRATCH"] + "/data").start()
session = server.connect()
cursor = session.cursor()
items, others, events = {}, {}, []  # k: g; k: g; (g, minute)
START = datetime.datetime(2024, 1, 1)


def run(sql):
    cursor.execute(sql)
    return cursor.fetchall() if cursor.description else None


QUERIES = [
    "SELECT g, count(*) AS n, sum(k) AS s FROM item WHERE k %% 250 = %(i)d GROUP BY g",
    "SELECT k, g FROM item WHERE g = %(i)d",
    "SELECT window_start, count(*) AS n FROM tumble(event, at, INTERVAL '1 minute') WHERE g = %(i)d GROUP BY window_start EMIT ON WINDOW CLOSE",
    "SELECT g, count(*) AS n FROM event WHERE g = %(i)d GROUP BY g",
    "SELECT k, 100 / (g - %(i)d) AS q FROM item WHERE k %% 250 = %(i)d",
    "SELECT i.k, o.g FROM item AS i JOIN other AS o ON i.k = o.k WHERE i.k %% 250 = %(i)d",
    "SELECT count(*) AS n FROM v%(before)d",
    "SELECT k FROM stay WHERE g = %(i)d AND until > now()",
]


def wanted(n):
    """The rows of view n, or the SQLSTATE of its error."""
    kind, i = n % KINDS, n // KINDS
    mine = {k: g for k, g in items.items() if k % 250 == i}
    if kind == 0:
        return sorted((g, len([k for k in mine if mine[k] == g]), sum(k for k in mine if mine[k] == g)) for g in set(mine.values()))
    if kind == 1:
        return sorted((k, g) for k, g in items.items() if g == i)
    if kind == 2:
        watermark = max((minute for _, minute in events), default=-1)  # of a minute's first second, less a second
        counts = {}
        for g, minute in events:
            if g == i and minute + 1 < watermark:
                counts[minute] = counts.get(minute, 0) + 1
        return sorted((START + datetime.timedelta(minutes=minute), count) for minute, count in counts.items())
    if kind == 3:
        count = len([1 for g, _ in events if g == i])
        return [(i, count)] if count else []
    if kind == 4:
        if any(g == i for g in mine.values()):
            return "22012"
        return sorted((k, int(100 / (g - i))) for k, g in mine.items())
    if kind == 5:
        return sorted((k, others[k]) for k in mine if k in others)
    if kind == 6:
        return [(len(wanted(n - 1)),)]
    return []


def given(n):
    try:
        return sorted(run("SELECT * FROM v%d" % n))
    except psycopg2.Error as error:
        return error.pgcode


def check(numbers):
    for n in numbers:
        assert given(n) == wanted(n), (n, QUERIES[n % KINDS] % {"i": n // KINDS, "before": n - 1}, given(n), wanted(n))


def put(k, g):
    run("INSERT INTO item VALUES (%d, %d) ON CONFLICT (k) DO UPDATE SET g = excluded.g" % (k, g))
    items[k] = g


def happen(*those):
    server.post("event", [{"g": g, "at": (START + datetime.timedelta(minutes=minute)).isoformat()} for g, minute in those])
    run("SET kappa.read_after = %d" % server.position)
    events.extend(those)


run("CREATE TABLE item (k int PRIMARY KEY, g int)")
run("CREATE TABLE other (k int PRIMARY KEY, g int)")
run("CREATE TABLE stay (k int PRIMARY KEY, g int, until timestamptz)")
run("CREATE SOURCE event (g int, at timestamp, WATERMARK FOR at AS at - INTERVAL '1 second') WITH (topic = 'event')")
for k in range(1, 500):
    items[k] = k % 11 + 1000
    others[k] = k * 2
run("INSERT INTO item SELECT k, k % 11 + 1000 FROM generate_series(1, 499) AS k")
run("INSERT INTO other SELECT k, k * 2 FROM generate_series(1, 499) AS k")
happen(*[(g % 5, 0) for g in range(20)])
for n in range(VIEWS):
    run("CREATE MATERIALIZED VIEW v%d AS %s" % (n, QUERIES[n % KINDS] % {"i": n // KINDS, "before": n - 1}))
check(range(VIEWS))

# one row each; most views have nothing to do
for k, g in ((7, 3), (500, 7), (7, 5), (257, 5), (7, 7), (7, 1001), (1000, 2)):
    put(k, g)
    check([(k % 250) * KINDS + kind for kind in range(7)] + [g * KINDS + 1 for g in (g, 3, 5, 7) if g < 250])
check(range(0, VIEWS, 13))

# windows close by what others bring; nobody else is touched
happen((3, 1))
check([3 * KINDS + 2, 3 * KINDS + 3, 0 * KINDS + 2])
happen((249, 2))
check([g * KINDS + 2 for g in range(6)] + [249 * KINDS + 2, 249 * KINDS + 3])
run("INSERT INTO other VALUES (500, 9)")
others[500] = 9
check([KINDS * (500 % 250) + 5, KINDS * 249 + 2])

# an error comes and goes
put(30, 30)
check([30 * KINDS + 4, 31 * KINDS + 4])
put(280, 30)
put(30, 31)
check([30 * KINDS + 4])
put(280, 32)
check([30 * KINDS + 4])

# rows leave by the clock, in views that nothing comes to
run("INSERT INTO stay VALUES (1, 5, now() + INTERVAL '2 seconds'), (2, 6, now() + INTERVAL '1 day'), (3, 5, now() + INTERVAL '3 seconds')")
seen = given(5 * KINDS + 7)
assert seen in ([(1,), (3,)], [(3,)], []), seen
assert given(6 * KINDS + 7) == [(2,)]
wait_for("rows to leave", lambda: given(5 * KINDS + 7) == [])
assert given(6 * KINDS + 7) == [(2,)]
run("DELETE FROM stay")

# subscribers of one view hear of its changes and of positions, whoever moves them
watcher = server.connect()
watch = watcher.cursor()
watcher.autocommit = False
watch.execute("DECLARE c CURSOR FOR SUBSCRIBE TO v%d" % (40 * KINDS + 1))
put(9000, 41)
put(9001, 40)
got = []
until = time.monotonic() + 30
while not got and time.monotonic() < until:
    watch.execute("FETCH 10 FROM c")
    got = [row for row in watch.fetchall() if row[-2:] == (9001, 40)]
assert got, "the subscriber heard nothing"
watcher.close()

# as it was, behind a kill
session.close()
server.kill()
server.start()
session = server.connect()
cursor = session.cursor()
run("SET kappa.read_after = %d" % server.position)
check(range(VIEWS))
put(7, 6)
happen((4, 3), (4, 5))
check([7 * KINDS + kind for kind in range(7)] + [6 * KINDS + 1, 4 * KINDS + 2, 249 * KINDS + 2])

# half of them go, and the others are who they were
for n in range(VIEWS - 1, -1, -1):
    if n // KINDS % 2 == 0:
        run("DROP MATERIALIZED VIEW v%d" % n)
put(7, 9)
put(261, 11)
happen((5, 6), (5, 8))
check([n for n in range(VIEWS) if n // KINDS % 2 == 1])
assert run("SELECT count(*) FROM kappa.views WHERE name ~ '^v[0-9]+$'") == [(VIEWS // 2,)]
session.close()
server.stop()
print("many_views: ok")
