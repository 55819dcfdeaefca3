#!/usr/bin/python3
"""Names of topics that try paths, or are none, through every door: refused with an error of the door's kind, nothing made."""
import json
import os
import subprocess
import urllib.parse

import psycopg2

from _server import Server

NAMES = ["..", ".", "../../etc/passwd", "/etc/passwd", "a/b", "a\\b", "%2e%2e%2f", "a\nb", "a b", "ä", "x" * 250, "a;DROP TABLE t", "*"]
server = Server(os.environ["SCRATCH"] + "/data").start()
server.post("good", [{"a": 1}])
before = sorted(os.listdir(server.folder))


def topics():
    out = subprocess.run(["kcat", "-b", server.kafka, "-L", "-J"], capture_output=True, text=True, check=True).stdout
    return sorted(topic["topic"] for topic in json.loads(out)["topics"] if not topic["topic"].startswith("__"))


for name in NAMES:
    status, answer = server.request("POST", "/topics/" + urllib.parse.quote(name, safe=""), b'{"a":1}\n',
                                    {"Content-Type": "application/x-ndjson"})
    assert 400 <= status < 500, (name, status, answer)
    status, answer = server.request("GET", "/topics/" + urllib.parse.quote(name, safe="") + "/records")
    assert 400 <= status < 500, (name, status, answer)
    for text in ("CREATE TOPIC {}", "CREATE SOURCE src (a int) WITH (topic = {literal})"):
        if len(name) > 63 and "{}" in text:
            continue  # an identifier is cut at 63 bytes, as PostgreSQL does
        quoted = '"' + name.replace('"', '""') + '"'
        literal = "'" + name.replace("'", "''") + "'"
        try:
            server.sql(text.format(quoted, literal=literal))
        except psycopg2.Error as error:
            assert error.pgcode and error.pgcode[:2] in ("22", "42", "54"), (name, text, error.pgcode, str(error))
        else:
            raise AssertionError(f"{text}: {name!r} is taken")
    if "\n" not in name:
        subprocess.run(["kcat", "-q", "-b", server.kafka, "-P", "-t", name, "-X", "message.timeout.ms=1000"], input=b"x\n",
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=30, check=False)
assert topics() == ["good"], topics()
assert sorted(os.listdir(server.folder)) == before, os.listdir(server.folder)
server.stop()
print(f"{len(NAMES)} names refused at three doors")
