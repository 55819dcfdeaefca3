"""Where a subscription may resume: at what a hint names, after a restart, too; never behind the log's end, where it would
wait for another log's records. Over PostgreSQL's protocol (SUBSCRIBE … AS OF) and over HTTP (?from=, Last-Event-ID)."""
import os
import re
import shutil
import tempfile
import urllib.error
import urllib.request

import psycopg2

from _server import Server


def events(server, query="", last=None):
    """(status, first event's name or the error's text)"""
    request = urllib.request.Request(f"http://{server.http}/views/m/events{query}", headers={"Last-Event-ID": last} if last else {})
    try:
        with urllib.request.urlopen(request, timeout=30) as stream:
            for line in stream:
                if line.startswith(b"event: "):
                    return stream.status, line.decode()[7:].strip()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def refusal(server, position):
    """SUBSCRIBE's answer as of a position: None, or (sqlstate, message, hint)."""
    connection = server.connect()
    with connection.cursor() as cursor:
        try:
            cursor.execute("SET statement_timeout = '2s'")
            cursor.execute(f"SUBSCRIBE TO m AS OF POSITION {position}")
        except psycopg2.errors.QueryCanceled:
            return None
        except psycopg2.Error as error:
            return error.pgcode, error.diag.message_primary, error.diag.message_hint
        finally:
            connection.close()


def check(server):
    end = server.position
    ahead = end + 1000
    sqlstate, message, hint = refusal(server, ahead)
    assert sqlstate == "55000" and str(ahead) in message and "snapshot" in hint, (sqlstate, message, hint)
    status, text = events(server, f"?from={ahead}")
    assert status == 410 and str(ahead) in text, (status, text)
    assert events(server, last=str(ahead)) == (200, "reset")
    assert refusal(server, end) is None
    # between two that were made as one: the hint names both, and both can be resumed from
    asked = end // 2
    told = refusal(server, asked)
    if told:
        named = [int(number) for number in re.findall(r"\d+", told[2])]
        assert told[0] == "55000" and len(named) == 2 and named[0] < asked < named[1], told
        for position in named:
            assert refusal(server, position) is None, (position, refusal(server, position))
    return told


def main():
    folder = tempfile.mkdtemp(prefix="kappa-resume-")
    server = Server(os.path.join(folder, "data")).start()
    server.sql("CREATE SOURCE s (a int) WITH (topic = 't')")
    server.sql("CREATE MATERIALIZED VIEW m AS SELECT a, count(*) FROM s GROUP BY a")
    for i in range(5):
        server.post("t", [{"a": j} for j in range(100)])
    check(server)
    server.stop()
    server.start()
    server.sql("SELECT 1")
    assert check(server), "after a restart the changes before it are one step's"
    server.stop()
    shutil.rmtree(folder)
    print("resume: where a hint says, and nowhere behind the log's end")


main()
