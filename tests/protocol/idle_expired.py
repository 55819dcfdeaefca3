#!/usr/bin/python3
"""Windows that closed because a partition fell silent (idle_timeout) stay closed when their records have expired, and
after a restart."""
import os

from _server import Server, wait_for

CLOSED, WINDOWS = "SELECT window_end::text, n FROM closed", [("2024-01-01 00:00:10", 2)]
server = Server(os.environ["SCRATCH"] + "/data").start()
server.sql("CREATE TOPIC t WITH (partitions = 2)")
server.sql("""CREATE SOURCE s (at timestamp, WATERMARK FOR at AS at - INTERVAL '1 second')
              WITH (topic = 't', idle_timeout = '2 seconds')""")
server.sql("""CREATE MATERIALIZED VIEW closed AS SELECT window_end, count(*) AS n
              FROM tumble(s, at, INTERVAL '10 seconds') GROUP BY window_end EMIT ON WINDOW CLOSE""")
for partition, times in ((0, ("05",)), (1, ("06", "40"))):
    server.post("t", [{"at": f"2024-01-01 00:00:{at}"} for at in times], f"?partition={partition}")
wait_for("closed", lambda: server.sql(CLOSED) == WINDOWS, 60)
server.sql("ALTER TOPIC t SET (retention = '0 seconds')")
wait_for("expired", lambda: server.sql("SELECT records FROM kappa.topics WHERE name = 't'") == [(0,)], 60)
server.sql("VERIFY MATERIALIZED VIEW closed")
assert server.sql(CLOSED) == WINDOWS
server.stop()
server.start()
assert server.sql(CLOSED) == WINDOWS, server.sql(CLOSED)
server.sql("VERIFY MATERIALIZED VIEW closed")
server.stop()
