"""A log that cannot be written any more: the append that meets it is told of an error of the disk, /healthz is not ok from
then on, and the server ends with status 1, whether or not it was told to end meanwhile."""
import http.client
import json
import os
import shutil
import signal

from _server import Server

SCRATCH = os.environ["SCRATCH"]
RECORD = json.dumps({"pad": "x" * 4000}) + "\n"


def request(server, method, path, body=None):
    """Status and answer; no status when the server is not there any more."""
    connection = http.client.HTTPConnection(*server.http.rsplit(":", 1), timeout=60)
    try:
        connection.request(method, path, body, {"Content-Type": "application/x-ndjson"})
        reply = connection.getresponse()
        return reply.status, json.loads(reply.read())
    except (ConnectionError, http.client.HTTPException):
        return None, None
    finally:
        connection.close()


def fail(name, told_to_end):
    server = Server(f"{SCRATCH}/{name}", "--log-file", "64KiB").start()
    assert request(server, "POST", "/topics/t", RECORD)[0] == 200
    shutil.rmtree(server.folder)
    status = 200
    while status == 200:
        status, answer = request(server, "POST", "/topics/t", RECORD)
    if told_to_end:
        server.process.send_signal(signal.SIGTERM)
    assert status == 500 and answer["error"]["sqlstate"] == "58030", (status, answer)
    assert request(server, "GET", "/healthz")[0] in (503, None)
    assert request(server, "POST", "/topics/t", RECORD)[0] in (503, None)
    assert server.process.wait(60) == 1, server.said()
    assert "does not exist" in server.said(), server.said()


fail("left", False)
fail("told", True)
print("fatal: the first append is told, health is not ok, and the status is 1")
