#!/usr/bin/python3
"""What a server says when it cannot start, and that it ends cleanly under load."""
import os
import shutil
import socket
import subprocess
import threading

from _server import Server

scratch = os.environ["SCRATCH"]
server = Server(scratch + "/data").start()


def refuse(pattern, *flags, verb=("server",)):
    done = subprocess.run([os.environ["KAPPA"], *verb, *flags], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=20)
    assert done.returncode in (1, 2), done
    assert pattern in done.stderr, f"{flags}: no {pattern!r} in: {done.stderr}"


doors = ("--pg", "127.0.0.1:0", "--http", "off", "--kafka", "off")
refuse("is locked by process", "--data", server.folder, *doors)
other = scratch + "/other"
refuse("is in use by another program", "--data", other, "--pg", server.pg, "--http", "off", "--kafka", "off")
refuse("is not an address of this machine", "--data", other, "--pg", "8.8.8.8:1", "--http", "off", "--kafka", "off")
refuse("unknown argument", "--bogus")
refuse("is no size for memory", "--memory", "12zz")
refuse('--format cannot be "xml"', "t", "--format", "xml", verb=("log", "export"))
refuse('--partition cannot be "x"', "--partition=x", verb=("log", "records"))
refuse('--to-position cannot be "-1"', "b", "--to-position", "-1", verb=("restore",))
with open(scratch + "/conf", "w") as conf:
    conf.write("pg = 127.0.0.1:0\nfoo = 3\n")
refuse('line 2: there is no setting "foo"', "--config", scratch + "/conf")

# Another format. (A header that has rotted keeps no log from opening: its blocks say whose the file is.)
folder = f"{scratch}/newer"
shutil.copytree(other, folder)
with open(folder + "/00000001.journal", "r+b") as journal:
    journal.seek(8)
    journal.write(b"\x09")
refuse("has the journal format 9", "--data", folder, *doors)

# A client that stops in the middle of a message holds up nobody, at no door, and not the end of the server either.
server.sql("CREATE SOURCE ev (id bigint) WITH (topic = 'ev')")
server.sql("CREATE MATERIALIZED VIEW total AS SELECT count(*) AS n FROM ev")
halves = []
for address, half in ((server.pg, b"\x00\x00\x00\x50\x00\x03"), (server.http, b"POST /topics/ev HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"),
                      (server.kafka, b"\x00\x00\x10\x00\x00\x00")):
    host, port = address.rsplit(":", 1)
    half_client = socket.create_connection((host, int(port)))
    half_client.sendall(half)
    halves.append(half_client)
acked = 0
stop = threading.Event()


def produce():
    global acked
    while not stop.is_set():
        try:
            server.post("ev", [{"id": i} for i in range(200)])
            acked += 200
        except Exception:
            return


threads = [threading.Thread(target=produce)]
for thread in threads:
    thread.start()
while acked < 20000:
    assert threads[0].is_alive()
assert server.sql("SELECT n FROM total")[0][0] > 0
server.stop()
stop.set()
for thread in threads:
    thread.join()
server.position = -1
server.start()
n = server.sql("SELECT n FROM total")[0][0]
assert n >= acked and n % 200 == 0, (n, acked)
server.stop()
