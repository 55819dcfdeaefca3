"""Many at once: a thousand connections of each door that are all answered, and what one costs; hundreds of views over one
table, made, kept through a kill and dropped, each with its own answer at every step."""
import os
import re
import resource
import socket
import threading

import _wire
from _server import Server

CONNECTIONS, VIEWS, THREADS = 1000, 300, 8
resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, resource.getrlimit(resource.RLIMIT_NOFILE)[1]), resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
server = Server(os.environ["SCRATCH"] + "/data").start()


def memory_kib():
    with open(f"/proc/{server.process.pid}/status", encoding="ascii") as status:
        return int(re.search(r"VmRSS:\s+(\d+)", status.read())[1])


def at_once(count, work):
    """work(n) for each n, on threads; the first failure ends the test."""
    failures = []

    def run(first):
        try:
            for n in range(first, count, THREADS):
                work(n)
        except Exception as error:  # pylint: disable=broad-except
            failures.append(error)

    threads = [threading.Thread(target=run, args=(first,)) for first in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def connect(where):
    host, port = where.rsplit(":", 1)
    opened = socket.create_connection((host, int(port)), timeout=60)
    return opened


def receive_until(wire, end):
    data = b""
    while not data.endswith(end):
        more = wire.recv(65536)
        assert more, data
        data += more
    return data


# ---- connections ----

server.sql("CREATE TABLE item (k int PRIMARY KEY, g int)")
server.sql("INSERT INTO item SELECT n, n % 7 FROM generate_series(1, 1000) AS n")
sessions = [None] * CONNECTIONS
before = memory_kib()


def open_session(n):
    sessions[n] = connect(server.pg)
    sessions[n].sendall(_wire.startup(user="kappa", database="kappa"))
    receive_until(sessions[n], b"Z\0\0\0\5I")


def ask_session(n):
    sessions[n].sendall(_wire.query("SET application_name = 'n%d'; SELECT k FROM item WHERE k = %d" % (n, n + 1)))
    data = receive_until(sessions[n], b"Z\0\0\0\5I")
    assert b"D" in data and str(n + 1).encode() in data, data


at_once(CONNECTIONS, open_session)
opened = memory_kib()
for _ in range(2):
    at_once(CONNECTIONS, ask_session)
print("%d sessions: %.1f KiB each when they are open, %.1f KiB when each has asked" %
      (CONNECTIONS, (opened - before) / CONNECTIONS, (memory_kib() - before) / CONNECTIONS))
assert len(server.sql("SELECT 1")) == 1  # another finds its place
requests = [None] * CONNECTIONS


def ask_http(n):
    if not requests[n]:
        requests[n] = connect(server.http)
    body = b'{"sql": "SELECT k FROM item WHERE k = %d"}' % (n + 1)
    requests[n].sendall(b"POST /sql HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (server.http.encode(), len(body)) + body)
    data = b""
    while b"\r\n\r\n" not in data or str(n + 1).encode() not in data.split(b"\r\n\r\n", 1)[1]:
        more = requests[n].recv(65536)
        assert more and b"HTTP/1.1 4" not in data, data
        data += more


at_once(1, ask_http)
at_once(CONNECTIONS, ask_http)
at_once(CONNECTIONS, ask_http)
for one in sessions + requests:
    one.close()
assert len(server.sql("SELECT 1")) == 1

# ---- views ----

QUERY = "SELECT g, count(*) AS n, sum(k) AS s FROM item WHERE k > %d GROUP BY g"
session = server.connect()
cursor = session.cursor()


def check(views, extra):
    for n in views:
        cursor.execute("SELECT count(*), sum(n), sum(s) FROM v%d" % n)
        rows = [k for k in range(1, 1001 + extra) if k > n]
        assert cursor.fetchone() == (7, len(rows), sum(rows)), n


before = memory_kib()
for n in range(VIEWS):
    cursor.execute("CREATE MATERIALIZED VIEW v%d AS %s" % (n, QUERY % n))
print("%d views: %.1f KiB each" % (VIEWS, (memory_kib() - before) / VIEWS))
check(range(VIEWS), 0)
cursor.execute("CREATE TABLE other (k int PRIMARY KEY)")
for n in range(20):  # steps that the views have nothing to do with, between those that all have to do with
    cursor.execute("INSERT INTO other VALUES (%d)" % n)
    cursor.execute("INSERT INTO item VALUES (%d, %d)" % (1001 + n, n % 7))
check(range(0, VIEWS, 17), 20)
session.close()
server.kill()
server.start()
session = server.connect()
cursor = session.cursor()
check(range(VIEWS), 20)
cursor.execute("INSERT INTO item VALUES (1021, 3)")
check(range(0, VIEWS, 29), 21)
for n in range(0, VIEWS, 2):
    cursor.execute("DROP MATERIALIZED VIEW v%d" % n)
cursor.execute("INSERT INTO item VALUES (1022, 3)")
check(range(1, VIEWS, 2), 22)
cursor.execute("SELECT count(*) FROM kappa.views WHERE name ~ '^v[0-9]+$'")
assert cursor.fetchone() == (VIEWS // 2,)
session.close()
server.stop()

# ---- more connections than there may be ----

few = Server(os.environ["SCRATCH"] + "/few", "--connections", "5").start()
wires = [_wire.startup(user="kappa", database="kappa") for _ in range(5)]
held = []
for hello in wires:
    held.append(connect(few.pg))
    held[-1].sendall(hello)
    receive_until(held[-1], b"Z\0\0\0\5I")
with connect(few.pg) as refused:
    refused.sendall(wires[0])
    data = b""
    try:
        while more := refused.recv(65536):
            data += more
    except ConnectionResetError:  # it was told and closed before it had asked
        pass
    assert b"53300" in data and b"too many clients" in data, data
held.pop().close()
for _ in range(200):
    try:
        few.sql("SELECT 1")
        break
    except Exception:  # pylint: disable=broad-except
        threading.Event().wait(0.1)
else:
    raise AssertionError("no place was free again")
for one in held:
    one.close()
few.stop()
print("many: ok")
