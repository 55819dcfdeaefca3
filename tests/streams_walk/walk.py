"""One server, the features of features.py and records.py, two halves of the records, kill -9 in between and behind; README.md says more."""
import collections
import datetime
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "support"), HERE]
import psycopg2

import records
from features import FEATURES, ORACLE, SOURCES
from postgres import Postgres
from server import Server, rows, wait_for

BEGIN = datetime.datetime(2024, 1, 1)


class Producer:
    """Sends records by Kafka and by HTTP in turns, one partition at a time."""

    def __init__(self, server, folder):
        self.server, self.folder, self.turn, self.sent = server, folder, 0, collections.Counter()

    def kafka(self, topic, values, partition=0, keys=None):
        """values: bytes, None for a tombstone; each is its own record, whatever bytes it has."""
        flags = ["kcat", "-P", "-q", "-b", self.server.kafka, "-t", topic, "-p", str(partition)]
        if keys is None and all(b"\n" not in value for value in values):
            subprocess.run(flags, input=b"\n".join(values), check=True, timeout=60)
        elif keys is None:
            names = []
            for n, value in enumerate(values):
                names.append(os.path.join(self.folder, f"record{n}"))
                with open(names[-1], "wb") as file:
                    file.write(value)
            subprocess.run(flags + names, check=True, timeout=60)
        else:
            lines = b"\n".join(key + b"\x01" + (value or b"") for key, value in zip(keys, values))
            subprocess.run(flags + ["-Z", "-K", "\x01"], input=lines, check=True, timeout=60)

    def send(self, topic, lines, partition=0):
        """Lines of text by one door or the other."""
        self.turn += 1
        self.sent[topic] += len(lines)
        if self.turn % 2:
            self.kafka(topic, [line.encode() for line in lines], partition)
        else:
            self.server.post(topic, "\n".join(lines), f"?partition={partition}")


class Orders:
    """Orders and rates out of order, some very late, over three partitions, in pieces."""

    def __init__(self, dice):
        self.dice, self.now, self.made = dice, 0, 0

    def at(self):
        self.now += self.dice.choice([0, 0, 1, 1, 2])
        return BEGIN + datetime.timedelta(seconds=max(0, self.now - self.dice.choice([0, 0, 0, 0, 1, 3, 8, 25])))

    def piece(self, producer, size):
        dice, orders, rates = self.dice, [], []
        for _ in range(size):
            self.made += 1
            at = self.at()
            moment = str(at) if dice.random() < 0.5 else int(at.replace(tzinfo=datetime.timezone.utc).timestamp() * 1000)
            orders.append(json.dumps({"id": dice.randint(self.made // 2, self.made), "k": dice.choice("abc"), "v": dice.choice([0, 1, 2, 2.5, 7, 40]), "at": moment}))
            if dice.random() < 0.3:
                rates.append(json.dumps({"k": dice.choice("abc"), "rate": dice.choice([0.5, 1, 1.25, 3]), "at": at.isoformat()}))
        producer.send("orders", orders, dice.randrange(3))
        if rates:
            producer.send("rates", rates, dice.randrange(3))


def as_text(found):
    def text(value):
        if isinstance(value, datetime.datetime):
            return value.astimezone(datetime.timezone.utc).replace(tzinfo=None).isoformat(" ") if value.tzinfo else value.isoformat(" ")
        return None if value is None else str(value)
    return collections.Counter(tuple(text(value) for value in row) for row in found)


def ask(connection, sql):
    try:
        return as_text(rows(connection, sql))
    except psycopg2.Error as error:
        return error.pgcode


class Walk:
    def __init__(self, folder):
        self.folder = folder
        self.server = Server(os.path.join(folder, "data"))
        self.postgres = Postgres()
        self.oracle = self.postgres.connect()
        self.producer = Producer(self.server, folder)
        self.dice = random.Random(int(os.environ.get("KAPPA_SEED", "1")))
        self.orders = Orders(self.dice)
        self.own = [make(self.dice, folder) for make in records.FEATURES]
        self.wrong = self.answers = 0
        self.connection = self.server.connect()
        rows(self.oracle, "SET timezone = 'UTC'")

    def run(self, sql):
        for statement in sql.split(";"):
            if statement.strip():
                rows(self.connection, statement)

    def same(self, feature, sql, wanted):
        """What stands behind the last record is waited for: sinks and ticks come in their own time."""
        self.answers += 1
        try:
            wait_for(sql, lambda: ask(self.connection, sql) == wanted(), 20)
        except RuntimeError:
            self.wrong += 1
            got, want = ask(self.connection, sql), wanted()
            both = isinstance(got, collections.Counter) and isinstance(want, collections.Counter)
            print(f"FAIL  {feature}: {sql}\n  missing {want - got if both else want}\n  too much {got - want if both else got}")

    def load_oracle(self):
        for source, columns in (("orders", "id, k, v, at"), ("rates", "k, rate, at")):
            found = rows(self.connection, f"SELECT _position, _partition, _log_time, {columns} FROM {source}")
            if len(found) != self.producer.sent[source]:
                raise RuntimeError(f"{source}: {len(found)} of {self.producer.sent[source]} records")
            rows(self.oracle, f"TRUNCATE {source}")
            with self.oracle.cursor() as cursor:
                cursor.executemany(f"INSERT INTO {source} VALUES ({', '.join(['%s'] * len(found[0]))})", found)

    def check(self):
        self.load_oracle()
        for feature, _, queries in FEATURES:
            for sql, answer in queries:
                expected = answer if answer.isdigit() else as_text(rows(self.oracle, answer))
                self.same(feature, sql, lambda expected=expected: expected)
        for feature in self.own:
            for sql, answer in feature.answers():
                self.same(feature.name, sql, lambda answer=answer: answer() if callable(answer) else answer if isinstance(answer, str) else as_text(answer))

    def again(self, how):
        self.connection.close()
        self.server.again(how)
        self.connection = self.server.connect()
        wait_for("the views", lambda: rows(self.connection, "SELECT count(*) FROM kappa.views WHERE state = 'building'")[0][0] == 0)

    def produce(self, half):
        for _ in range(5):
            self.orders.piece(self.producer, 40)
        for feature in self.own:
            feature.produce(self.producer, half)

    def walk(self):
        self.run(SOURCES)
        rows(self.oracle, ORACLE)
        late = len(FEATURES) // 2  # these are made over what is there
        for feature in self.own:
            self.run(feature.sql)
        for _, sql, _ in FEATURES[:late]:
            self.run(sql)
        self.produce(0)
        for _, sql, _ in FEATURES[late:]:
            self.run(sql)
        self.check()
        self.again(signal.SIGKILL)
        self.check()
        self.produce(1)
        for feature in self.own:
            self.run(feature.mended)
        self.check()
        self.again(signal.SIGKILL)
        self.check()
        for feature, sql, _ in FEATURES:
            for name in [word for word in sql.replace("\n", " ").split("CREATE MATERIALIZED VIEW ")[1:]]:
                name = name.split()[0]
                if name != "shares":
                    rows(self.connection, f"VERIFY MATERIALIZED VIEW {name}")

    def close(self):
        self.connection.close()
        self.server.end()
        self.postgres.close()


def main():
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="kappa-walk-") as folder:
        walk = Walk(folder)
        try:
            walk.walk()
        except BaseException:
            print(walk.server.said())
            walk.server.process.kill()
            walk.postgres.close()
            raise
        walk.close()
    print(f"streams: {len(FEATURES) + len(records.FEATURES)} features, {walk.answers} answers, {walk.wrong} wrong, {time.monotonic() - began:.0f} s")
    sys.exit(walk.wrong > 0)


if __name__ == "__main__":
    main()
