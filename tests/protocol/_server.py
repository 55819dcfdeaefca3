"""A kappa server of a test's own, on a folder that lives on when the server is killed."""
import http.client
import json
import os
import signal
import subprocess
import time

import psycopg2


class Server:
    def __init__(self, folder, *flags):
        self.folder, self.flags, self.process = folder, flags, None
        self.position = -1  # behind what was posted last

    def start(self):
        os.makedirs(os.path.dirname(self.folder), exist_ok=True)
        self.errors = open(self.folder + ".err", "ab")
        self.process = subprocess.Popen(
            [os.environ["KAPPA"], "server", "--data", self.folder, "--pg", "127.0.0.1:0", "--http", "127.0.0.1:0",
             "--kafka", "127.0.0.1:0", *self.flags], stdout=subprocess.PIPE, stderr=self.errors, text=True)
        line = self.process.stdout.readline()
        if not line.startswith("ready "):
            raise AssertionError(f"the server did not start: {self.said()}")
        where = dict(word.split("=", 1) for word in line.split()[1:])
        self.pg, self.http, self.kafka = where["pg"], where["http"], where["kafka"]
        return self

    def said(self):
        """The end of what it wrote to its standard error, of this and former starts."""
        with open(self.folder + ".err", encoding="utf-8", errors="replace") as file:
            return file.read()[-4000:]

    def kill(self):
        """As a power cut for the process: kill -9. It must not have ended by itself before."""
        status = self.process.poll()
        assert status is None, f"the server ended by itself with status {status}: {self.said()}"
        self.process.kill()
        self.process.wait()

    def stop(self):
        """SIGTERM; the exit status must be 0 within 20 s."""
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(timeout=20)
        text = self.said()
        assert status == 0, f"exit status {status}: {text}"
        assert "Sanitizer" not in text and "runtime error" not in text, text

    def connect(self):
        host, port = self.pg.rsplit(":", 1)
        connection = psycopg2.connect(host=host, port=port, user="kappa", dbname="kappa")
        connection.autocommit = True
        return connection

    def sql(self, text, *params):
        connection = self.connect()
        try:
            with connection.cursor() as cursor:
                if self.position >= 0:
                    cursor.execute(f"SET kappa.read_after = {self.position}")
                cursor.execute(text, params or None)
                return cursor.fetchall() if cursor.description else None
        finally:
            connection.close()

    def request(self, method, path, body=None, headers=None, timeout=30):
        host, port = self.http.rsplit(":", 1)
        connection = http.client.HTTPConnection(host, int(port), timeout=timeout)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def post(self, topic, records, query=""):
        """Appends records (objects); returns the position behind them."""
        body = "".join(json.dumps(record) + "\n" for record in records)
        status, answer = self.request("POST", f"/topics/{topic}{query}", body, {"Content-Type": "application/x-ndjson"})
        assert status == 200, (status, answer)
        self.position = max(self.position, json.loads(answer)["position"])
        return self.position

    def records(self, topic, first="beginning"):
        """All records of a topic as (key, value), by kcat, or those from an offset of its one partition on; a null is None."""
        out = subprocess.run(["kcat", "-q", "-b", self.kafka, "-C", "-t", topic, "-o", str(first), "-e", "-Z", "-K", "\t"],
                             stdout=subprocess.PIPE, text=True, timeout=60, check=True).stdout
        rows = (line.split("\t", 1) for line in out.splitlines())
        return [tuple(None if part == "NULL" else part for part in row) for row in rows]


def wait_for(what, condition, seconds=30):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"waited {seconds} s for {what}"
        time.sleep(0.05)
