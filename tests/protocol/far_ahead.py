#!/usr/bin/python3
"""Event times too far ahead of the log's time are dead letters, for views and for queries over the source alike; records that
only a query decodes are told of too."""
import os

from _server import Server

server = Server(os.environ["SCRATCH"] + "/data").start()
for name, options in (("hour", "max_ahead = '1 hour'"), ("any", "max_ahead = 'none'"), ("usual", "partitions = 1")):
    server.sql(f"""CREATE SOURCE "{name}" (i int, at timestamptz, WATERMARK FOR at AS at - INTERVAL '1 second')
                   WITH (topic = 'times', {options})""")
server.post("times", [{"i": 1, "at": "2020-01-01"}, {"i": 2, "at": "2999-01-01"}, {"i": 3, "at": "2020-01-02"}, {"i": "x"}])
for name in ("hour", "any", "usual"):
    expected = [(1,), (2,), (3,)] if name == "any" else [(1,), (3,)]
    found = server.sql(f'SELECT i FROM "{name}" ORDER BY i')
    assert found == expected, (name, found)
    assert server.sql(f'SELECT count(*) FROM "{name}" WHERE i > 0') == [(len(expected),)]
    server.sql(f'CREATE MATERIALIZED VIEW "v_{name}" AS SELECT i FROM "{name}"')
    assert server.sql(f'SELECT i FROM "v_{name}" ORDER BY i') == expected
dead = server.sql('SELECT source, "offset", sqlstate FROM kappa.dead_letters ORDER BY source, "offset"')
assert dead == [("any", 3, "22P02"), ("hour", 1, "22008"), ("hour", 3, "22P02"), ("usual", 1, "22008"), ("usual", 3, "22P02")], dead

# A source that no view reads; the reader's time zone changes nothing.
server.sql("CREATE SOURCE lone (at timestamptz) WITH (topic = 'lone')")
server.post("lone", [{"at": "2020-01-01 00:00:00"}, {"at": "?"}])
connection = server.connect()
with connection.cursor() as cursor:
    cursor.execute("SET TIME ZONE 'America/New_York'")
    cursor.execute(f"SET kappa.read_after = {server.position}")
    cursor.execute("SELECT extract(epoch FROM at)::bigint FROM lone")
    assert cursor.fetchall() == [(1577836800,)]
connection.close()
assert server.sql("SELECT count(*) FROM kappa.dead_letters WHERE source = 'lone'") == [(1,)]
server.stop()
