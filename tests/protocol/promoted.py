"""What a subscription sees of a promotion: all of the version that it began with, then an error, never that version for ever;
and nothing resumes from before it with the other version's changes. Over PostgreSQL's protocol and over HTTP."""
import os
import shutil
import tempfile
import threading
import urllib.error
import urllib.request

import psycopg2

from _server import Server, wait_for


class Subscription(threading.Thread):
    """Adds up (diff, value) of SUBSCRIBE until it ends."""

    def __init__(self, server, what):
        super().__init__(daemon=True)
        self.rows, self.text, self.error = {}, b"", None
        self.connection, self.what = server.connect(), what
        self.start()

    def run(self):
        try:
            with self.connection.cursor() as cursor:
                cursor.copy_expert(f"COPY (SUBSCRIBE TO {self.what}) TO STDOUT", self)
        except psycopg2.Error as error:
            self.error = error

    def write(self, data):
        self.text += data
        *lines, self.text = self.text.split(b"\n")
        for line in lines:
            _, diff, _, value = line.decode().split("\t")
            self.rows[value] = self.rows.get(value, 0) + int(diff)

    def now(self):
        return {value for value, count in self.rows.items() if count}


def events(server, last_id=None):
    headers = {"Last-Event-ID": str(last_id)} if last_id is not None else {}
    request = urllib.request.Request(f"http://{server.http}/views/m/events", headers=headers)
    return urllib.request.urlopen(request, timeout=30)


def next_event(stream):
    event = {}
    for line in stream:
        line = line.decode().rstrip("\n")
        if not line and "event" in event:
            return event
        if line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            event[name] = value
    return event


def ends(server, act, what):
    """The subscriptions end at `act` with 55000."""
    followed = [Subscription(server, name) for name in ("m", "(SELECT n FROM m)")]
    stream = events(server)
    first = next_event(stream)
    assert first["event"] == "snapshot", first
    before = server.sql("SELECT n FROM m")[0][0]
    for one in followed:
        wait_for("the snapshot", lambda: one.now() == {str(before)})
    server.sql("INSERT INTO t SELECT max(id) + 1 FROM t")
    after = server.sql("SELECT n FROM m")[0][0]
    server.sql(act)
    for one in followed:
        one.join(30)
        assert not one.is_alive(), f"{what}: {one.what} goes on"
        assert one.error.pgcode == "55000" and "promoted" in str(one.error), one.error
        assert one.now() == {str(after)}, (what, one.now(), after)
    event = next_event(stream)
    position = None
    while event and event["event"] != "error":
        position = event.get("id", position)
        event = next_event(stream)
    assert event and "promoted" in event["data"], event
    again = events(server, position)
    assert next_event(again)["event"] == "reset"
    assert f'"n":{server.sql("SELECT n FROM m")[0][0]}' in next_event(again)["data"]
    again.close()


folder = tempfile.mkdtemp(prefix="kappa-promoted-")
server = Server(os.path.join(folder, "data")).start()
try:
    server.sql("CREATE TABLE t (id int PRIMARY KEY)")
    server.sql("INSERT INTO t VALUES (1), (2)")
    server.sql("CREATE MATERIALIZED VIEW m AS SELECT count(*) AS n FROM t")
    server.sql("ALTER MATERIALIZED VIEW m AS SELECT count(*) * 100 AS n FROM t")
    ends(server, "ALTER MATERIALIZED VIEW m PROMOTE", "promote")
    ends(server, "ALTER MATERIALIZED VIEW m ROLLBACK", "rollback")
    beside = Subscription(server, "t")
    wait_for("the table", lambda: len(beside.now()) == 4)
    server.sql("ALTER MATERIALIZED VIEW m PROMOTE")
    server.sql("INSERT INTO t VALUES (9)")
    wait_for("a subscription beside it, which goes on", lambda: len(beside.now()) == 5)
finally:
    if server.process.poll() is None:
        server.process.kill()
    shutil.rmtree(folder, ignore_errors=True)
print("promoted: 2 switches")
