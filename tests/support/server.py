"""A kappa server on a folder of its own: started, stopped, killed and started again; rounds of random tests on one."""
import argparse
import collections
import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

import psycopg2


class Server:
    def __init__(self, folder, *flags, program=None):
        self.folder, self.flags, self.program = folder, flags, program or os.environ["KAPPA"]
        self.http_connection = None
        self.start()

    def start(self):
        errors = open(self.folder + ".err", "ab")
        doors = [word for door in ("pg", "http", "kafka") for word in (f"--{door}", "127.0.0.1:0")]
        self.process = subprocess.Popen([self.program, "server", "--data", self.folder, *doors, *self.flags],
                                        stdout=subprocess.PIPE, stderr=errors, text=True)
        errors.close()
        line = self.process.stdout.readline()
        if not line.startswith("ready "):
            raise RuntimeError("the server did not start: " + self.said())
        where = dict(word.split("=", 1) for word in line.split()[1:])
        self.pg, self.http, self.kafka = where["pg"], where["http"], where["kafka"]

    def said(self):
        with open(self.folder + ".err", errors="replace") as file:
            return file.read()[-4000:]

    def connect(self):
        host, port = self.pg.rsplit(":", 1)
        connection = psycopg2.connect(host=host, port=port, user="kappa", dbname="kappa")
        connection.autocommit = True
        return connection

    def post(self, topic, body, query=""):
        """Appends lines of JSON; returns the position behind them."""
        if not self.http_connection:
            host, port = self.http.rsplit(":", 1)
            self.http_connection = http.client.HTTPConnection(host, int(port), timeout=120)
        self.http_connection.request("POST", f"/topics/{topic}{query}", body, {"Content-Type": "application/x-ndjson"})
        answer = self.http_connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{topic}: {answer.status} {text.decode(errors='replace')}")
        return json.loads(text)["position"]

    def end(self, how=signal.SIGTERM):
        """Ends it by a signal; after SIGTERM it must leave with status 0 and have said nothing of sanitizers."""
        if self.http_connection:
            self.http_connection.close()
            self.http_connection = None
        self.process.send_signal(how)
        status = self.process.wait(120)
        self.process.stdout.close()
        said = self.said()
        if (how == signal.SIGTERM and status != 0) or "Sanitizer" in said or "runtime error" in said:
            raise RuntimeError(f"the server ended with status {status}: {said}")

    def again(self, how=signal.SIGTERM):
        self.end(how)
        self.start()


def rows(connection, sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall() if cursor.description else []


def wait_for(what, condition, seconds=60):
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise RuntimeError(f"waited {seconds} s for {what}")
        time.sleep(0.02)


def run_rounds(name, usual, run_round):
    """
    Calls run_round(server, seed, done) for each seed of --seed and --rounds, all on one server. A round that returns False has said
    what differs. Returns how many rounds there were, and the counter `done`.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=usual)
    parser.add_argument("--seed", type=int, default=int(os.environ.get("KAPPA_SEED", "1")))
    arguments = parser.parse_args()
    done = collections.Counter()
    with tempfile.TemporaryDirectory(prefix=f"kappa-{name}-") as folder:
        server = Server(os.path.join(folder, "data"))
        for seed in range(arguments.seed, arguments.seed + arguments.rounds):
            try:
                good = run_round(server, seed, done)
            except BaseException:
                print(f"seed {seed}:", server.said())
                server.process.kill()
                raise
            if not good:
                server.end()
                sys.exit(1)
        server.end()
    return arguments.rounds, done
