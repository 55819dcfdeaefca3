#!/usr/bin/python3
"""kill -9 of a server under load: what was acknowledged is there once, in the order in which it was sent; transactions are
whole; the view is the answer to its query."""
import collections
import http.client
import itertools
import json
import os
import random
import shutil
import sys
import threading
import time

import psycopg2

from _server import Server

KILLS, KILLS_A_FOLDER, PRODUCERS = 10, 40, 2
# For every other folder: what a large log does now and then, a small one does all the time.
SMALL = ("--log-file", "32KiB", "--log-seal", "64KiB", "--log-unsealed", "256KiB", "--log-extent", "8KiB", "--log-adopt", "1KiB",
         "--log-snapshot", "64KiB", "--log-tail", "64KiB")


class Load:
    """Clients, and what they were told."""

    def __init__(self, server):
        self.server = server
        self.stop = threading.Event()
        self.sent = [itertools.count(1) for _ in range(PRODUCERS)]
        self.acked = [set() for _ in range(PRODUCERS)]
        self.pairs = itertools.count(1)
        self.acked_pairs = set()
        self.refused = []  # answers that no client should get

    def produce(self, who):
        """One connection, one request after the other: ids ascend."""
        while not self.stop.is_set():
            host, port = self.server.http.rsplit(":", 1)
            connection = http.client.HTTPConnection(host, int(port), timeout=20)
            try:
                while not self.stop.is_set():
                    ids = [next(self.sent[who]) for _ in range(random.choice((1, 1, 1, 20, 200)))]
                    body = "".join(json.dumps({"who": who, "id": i}) + "\n" for i in ids)
                    connection.request("POST", "/topics/ev", body, {"Content-Type": "application/x-ndjson"})
                    response = connection.getresponse()
                    answer = json.loads(response.read())
                    if response.status != 200:
                        self.refused.append((response.status, answer))
                        return
                    self.acked[who].update(ids)
            except (OSError, http.client.HTTPException, ValueError):
                time.sleep(0.01)
            finally:
                connection.close()

    def write(self):
        while not self.stop.is_set():
            try:
                connection = self.server.connect()
                connection.autocommit = False
                cursor = connection.cursor()
                while not self.stop.is_set():
                    i = next(self.pairs)
                    cursor.execute("INSERT INTO pair VALUES (%s, 1), (%s, 2)", (2 * i, 2 * i + 1))
                    connection.commit()
                    self.acked_pairs.add(i)
            except psycopg2.Error:
                time.sleep(0.01)

    def run(self, seconds):
        self.stop.clear()
        threads = [threading.Thread(target=self.produce, args=(who,)) for who in range(PRODUCERS)]
        threads.append(threading.Thread(target=self.write))
        for thread in threads:
            thread.start()
        time.sleep(seconds)
        self.server.kill()
        self.stop.set()
        for thread in threads:
            thread.join()

    def check(self):
        assert not self.refused, f"a producer was told {self.refused[0]}"
        last, counts, found = [0] * PRODUCERS, collections.Counter(), [set() for _ in range(PRODUCERS)]
        for _, value in self.server.records("ev"):
            record = json.loads(value)
            who, i = record["who"], record["id"]
            assert i > last[who], f"producer {who}: {i} comes after {last[who]}"
            last[who] = i
            counts[who] += 1
            found[who].add(i)
        for who in range(PRODUCERS):
            lost = self.acked[who] - found[who]
            assert not lost, f"producer {who}: acknowledged and lost: {sorted(lost)[:5]}"
        view = dict(self.server.sql("SELECT who, n FROM per_who"))
        assert view == {who: n for who, n in counts.items()}, (view, counts)
        pairs = {i for (i,) in self.server.sql("SELECT id FROM pair")}
        lost = [i for i in self.acked_pairs if 2 * i not in pairs or 2 * i + 1 not in pairs]
        assert not lost, f"transactions acknowledged and lost: {lost[:5]}"
        half = [i for i in pairs if i ^ 1 not in pairs]
        assert not half, f"half of a transaction is there: {half[:5]}"
        return sum(counts.values()) + len(pairs)


def fresh(folder, flags):
    shutil.rmtree(folder, ignore_errors=True)
    server = Server(folder, *flags).start()
    server.sql("CREATE SOURCE ev (who int, id bigint) WITH (topic = 'ev', format = 'json')")
    server.sql("CREATE TABLE pair (id bigint PRIMARY KEY, half int)")
    server.sql("CREATE MATERIALIZED VIEW per_who AS SELECT who, count(*) AS n FROM ev GROUP BY who")
    return server


def start_through_kills(server):
    """It may be killed while it starts, too."""
    killed = 0
    while random.random() < 0.25:
        process = threading.Thread(target=lambda: try_start(server))
        process.start()
        time.sleep(random.uniform(0, 0.4))
        if server.process:
            server.process.kill()
        process.join()
        killed += 1
    server.start()
    return killed


def try_start(server):
    try:
        server.start()
    except (AssertionError, ValueError):
        pass
    server.process.kill()
    server.process.wait()


def main():
    seed = int(os.environ.get("KAPPA_SEED", random.SystemRandom().randrange(1 << 32)))
    random.seed(seed)
    state = os.environ.get("KAPPA_SOAK_STATE")
    path = os.path.join(state, "kills") if state else None
    before = int(open(path).read()) if path and os.path.exists(path) else 0
    goal, kills, records, sealed = KILLS * int(os.environ.get("KAPPA_TEST_SCALE", 1)), 0, 0, 0
    small = False
    try:
        while kills < goal:
            small = not small
            server = fresh(os.environ["SCRATCH"] + "/data", SMALL if small else ())
            load, until = Load(server), min(goal, kills + min(KILLS_A_FOLDER, goal // 2))
            while kills < until:
                load.run(random.uniform(0.05, 0.6))
                kills += 1 + start_through_kills(server)
                seen = load.check()
                if path:
                    with open(path, "w", encoding="utf-8") as file:
                        file.write(str(before + kills))
            records += seen
            sealed += int(server.sql("SELECT sealed_position FROM kappa.log")[0][0])
            server.stop()
    except BaseException:
        print(f"after {kills} kills, seed {seed}", file=sys.stderr)
        raise
    print(f"kill: {kills} kills, {records} records and rows, {sealed} of the log's sealed" + (f", {before + kills} kills in all soaks" if path else ""))


main()
