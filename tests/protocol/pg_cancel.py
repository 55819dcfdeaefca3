"""What ends a statement before it is done: statement_timeout, cancel requests, a client that goes; and idle transactions."""
import json
import os
import socket
import threading
import time
import urllib.request

import psycopg2

import _wire
from _session import connection, cursor, expect, run

HTTP = os.environ["HTTP"]


def cancelled(work, seconds, reason):
    """It ends with 57014 for the reason, within the seconds."""
    began = time.monotonic()
    try:
        work()
        raise AssertionError("it was not cancelled")
    except psycopg2.errors.QueryCanceled as error:
        expect(error.diag.message_primary, "canceling statement due to " + reason)
    assert time.monotonic() - began < seconds, "it took %.1f s" % (time.monotonic() - began)


# Each would take minutes.
ENDLESS = {
    "a join": "SELECT count(*) FROM big AS a, big AS b, big AS c WHERE a.n + b.n + c.n < 0",
    "its rows": "SELECT a.n FROM big AS a, big AS b, big AS c",
    "a sort": "SELECT a.n + b.n + c.n AS x FROM big AS a, big AS b, big AS c ORDER BY x",
    "an insert": "INSERT INTO copy SELECT a.n * b.n * c.n FROM big AS a, big AS b, big AS c",
    "a subscription": "COPY (SUBSCRIBE TO numbers) TO STDOUT",
}


def endless(sql):
    if sql.startswith("COPY"):
        cursor.copy_expert(sql, open(os.devnull, "w"))
    else:
        cursor.execute(sql)


def test_timeout():
    run("SET statement_timeout = '300ms'")
    for what, sql in sorted(ENDLESS.items()):
        print(what, flush=True)
        cancelled(lambda: endless(sql), 5, "statement timeout")
    expect(run("SELECT count(*) FROM copy"), [(0,)])
    run("SET statement_timeout = 0")
    expect(run("SELECT 1"), [(1,)])


def test_replays():
    """Views that are made, and the past that is computed again, stop within a step: nothing of them stays."""
    pairs = "AS SELECT count(*) AS n FROM big AS a, big AS b WHERE a.n * b.n % 7 = 100"
    run("CREATE MATERIALIZED VIEW pairs " + pairs)
    position = run("SELECT max(position) FROM kappa.views")[0][0]
    run("SET statement_timeout = '100ms'")
    for sql in ("CREATE MATERIALIZED VIEW more " + pairs, "SELECT * FROM pairs AS OF POSITION %d" % position, "VERIFY MATERIALIZED VIEW pairs"):
        print(sql, flush=True)
        cancelled(lambda: run(sql), 5, "statement timeout")
    run("SET statement_timeout = 0")
    expect(run("SELECT name FROM kappa.views WHERE name = 'more'"), [])
    expect(run("SELECT * FROM pairs"), [(0,)])
    run("DROP MATERIALIZED VIEW pairs")


def test_cancel():
    for what, sql in sorted(ENDLESS.items()):
        print(what, flush=True)
        timer = threading.Timer(0.3, connection.cancel)
        timer.start()
        cancelled(lambda: endless(sql), 5, "user request")
        timer.join()
    connection.cancel()  # nothing runs: it is for nobody
    time.sleep(0.1)
    expect(run("SELECT 1"), [(1,)])


def test_cursor():
    """The time of a statement is that of each FETCH; a cancel between two is for nobody."""
    connection.autocommit = False
    run("SET LOCAL statement_timeout = '1s'")
    run("DECLARE c CURSOR FOR SUBSCRIBE TO numbers")
    for _ in range(3):
        run("FETCH ALL c WITH (timeout = '400ms')")
        connection.cancel()
        time.sleep(0.3)
    cancelled(lambda: run("FETCH ALL c WITH (timeout = '5s')"), 4, "statement timeout")
    connection.rollback()
    expect(run("SHOW statement_timeout"), [("0",)])
    connection.rollback()
    connection.autocommit = True


def test_settings():
    for given, shown in (("1500", "1500ms"), ("2000", "2s"), ("'90 s'", "90s"), ("'120s'", "2min"), ("'1.5h'", "90min"), ("0", "0"), ("'1d'", "1d")):
        run("SET statement_timeout = " + given)
        expect((given, run("SHOW statement_timeout")), (given, [(shown,)]))
    for bad in ("-1", "'1 year'", "'x'", "'30d'"):
        try:
            run("SET statement_timeout = " + bad)
            raise AssertionError(bad)
        except psycopg2.errors.InvalidParameterValue:
            pass
    run("RESET statement_timeout")
    expect(run("SHOW statement_timeout"), [("0",)])
    run("SET lock_timeout = '3s'")
    expect(run("SHOW lock_timeout"), [("3s",)])
    run("RESET lock_timeout")


def cpu_ticks():
    with open("/proc/%s/stat" % os.environ["KAPPA_PID"]) as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def test_http_client_gone():
    """A query whose client has hung up does not go on."""
    host, port = HTTP.rsplit(":", 1)
    body = json.dumps({"sql": ENDLESS["a join"]}).encode()
    with socket.create_connection((host, int(port))) as client:
        client.sendall(b"POST /sql HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (HTTP.encode(), len(body)) + body)
        time.sleep(0.5)
    for _ in range(100):
        before = cpu_ticks()
        time.sleep(0.2)
        if cpu_ticks() - before <= 2:  # of 20 that a busy thread would take
            return
    raise AssertionError("the query goes on")


def test_idle_in_transaction():
    with socket.create_connection((_wire.HOST, _wire.PORT)) as wire:
        wire.settimeout(10)
        wire.sendall(_wire.startup(user="kappa", database="kappa"))

        def until_ready(sql):
            wire.sendall(_wire.query(sql))
            data = b""
            while not data.endswith((b"Z\0\0\0\5I", b"Z\0\0\0\5T")):
                data += wire.recv(65536)

        until_ready("SET idle_in_transaction_session_timeout = '400ms'")
        time.sleep(0.8)  # idle, but in no transaction
        until_ready("BEGIN")
        data = until_closed(wire)
        assert b"FATAL" in data and b"25P03" in data and b"idle-in-transaction timeout" in data, data


def until_closed(wire):
    data = b""
    while True:
        more = wire.recv(65536)
        if not more:
            return data
        data += more


def test_idle_session():
    with socket.create_connection((_wire.HOST, _wire.PORT)) as wire:
        wire.settimeout(20)
        wire.sendall(_wire.startup(user="kappa", database="kappa"))

        def until_ready(sql, *ends):
            wire.sendall(_wire.query(sql))
            data = b""
            while not data.endswith(ends or (b"Z\0\0\0\5I", b"Z\0\0\0\5T")):
                data += wire.recv(65536)

        until_ready("SET idle_session_timeout = '300ms'; BEGIN")
        time.sleep(0.6)  # idle, but in a transaction
        until_ready("COMMIT; SET idle_session_timeout = 0")
        time.sleep(0.6)
        until_ready("SET idle_session_timeout = '300ms'; BEGIN; SET LOCAL idle_in_transaction_session_timeout = '300ms'")
        wire.sendall(_wire.query("COPY copy FROM STDIN"))  # data may take its time
        time.sleep(0.6)
        wire.sendall(b"c\0\0\0\4")
        data = until_closed(wire)
        assert b"COPY 0" in data and b"25P03" in data, data
    with socket.create_connection((_wire.HOST, _wire.PORT)) as wire:
        wire.settimeout(20)
        wire.sendall(_wire.startup(user="kappa", database="kappa") + _wire.query("SET idle_session_timeout = '300ms'"))
        data = until_closed(wire)
        assert b"FATAL" in data and b"57P05" in data and b"idle-session timeout" in data, data


run("CREATE TABLE copy (n bigint PRIMARY KEY)")
run("CREATE SOURCE numbers (n bigint)")
urllib.request.urlopen(urllib.request.Request(f"http://{HTTP}/topics/numbers", "\n".join('{"n":%d}' % i for i in range(2000)).encode(), method="POST"))
run("CREATE MATERIALIZED VIEW big AS SELECT n FROM numbers")
for name, test in sorted(globals().copy().items()):
    if name.startswith("test_"):
        print(name, flush=True)
        test()
print("cancel: ok")
