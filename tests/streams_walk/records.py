"""Features about what records are: formats, keyed tables, dead letters, mended declarations, time that passes. Each says what it
declares, what it sends in the first and the second half, and which answers follow, computed here."""
import csv
import datetime
import importlib.util
import io
import json
import os
import subprocess
import sys
import time

import fastavro

BEGIN = datetime.datetime(2024, 5, 1)
AVRO = {"type": "record", "name": "Event", "fields": [
    {"name": "id", "type": "long"}, {"name": "k", "type": ["null", "string"]}, {"name": "v", "type": "double"},
    {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}}]}
PROTO = """syntax = "proto3"; package walk;
message Event { int64 id = 1; optional string k = 2; double v = 3; int64 at = 4; }"""


class Feature:
    name = mended = sql = ""

    def __init__(self, dice, folder):
        self.dice, self.folder = dice, folder

    def produce(self, producer, half):
        pass

    def answers(self):
        return []


class Formats(Feature):
    """The same events in each format make the same rows and windows; one in seven cannot be read."""
    name = "formats"
    COLUMNS = "id bigint, k text, v double precision, at timestamp"
    FORMATS = {
        "json": f"({COLUMNS})", "csv": f"({COLUMNS})", "tsv": f"({COLUMNS})", "text": f"({COLUMNS})", "avro": f"({COLUMNS})",
        "protobuf": f"({COLUMNS})", "nested": "(id bigint PATH 'e.id', k text PATH 'e.who.k', v double precision PATH 'e.v', at timestamp PATH 'e.at')"}

    def __init__(self, dice, folder):
        super().__init__(dice, folder)
        self.events, self.bad = [], 0
        path = os.path.join(folder, "event.proto")
        with open(path, "w", encoding="utf-8") as file:
            file.write(PROTO)
        subprocess.run(["protoc", f"--proto_path={folder}", f"--python_out={folder}", path], check=True)
        made = importlib.util.spec_from_file_location("event_pb2", os.path.join(folder, "event_pb2.py"))
        self.pb2 = importlib.util.module_from_spec(made)
        sys.modules["event_pb2"] = self.pb2
        made.loader.exec_module(self.pb2)
        options = {"csv": "format = 'csv'", "tsv": "format = 'csv', delimiter = E'\\t'", "avro": f"format = 'avro', schema = '{json.dumps(AVRO)}'",
                   "text": r"format = 'text', pattern = '\[(?P<at>[^\]]*)\] (?P<id>\d+)(?: k=(?P<k>\w+))? v=(?P<v>\S+)'",
                   "protobuf": f"format = 'protobuf', schema = 'file:{path}', message = 'walk.Event', epoch = 'microseconds'",
                   "json": "format = 'json'", "nested": "format = 'json'"}
        self.sql = "".join(
            f"CREATE TOPIC e_{name} WITH (partitions = 3); CREATE SOURCE e_{name} {columns} WITH (topic = 'e_{name}', {options[name]});"
            f"CREATE MATERIALIZED VIEW w_{name} AS SELECT window_start, k, count(*) AS n, sum(v) AS v FROM "
            f"tumble(e_{name}, at, INTERVAL '1 minute') GROUP BY window_start, k;" for name, columns in self.FORMATS.items())

    def encode(self, name, event):
        i, k, v, at = event["id"], event["k"], event["v"], event["at"]
        if name == "json":
            return json.dumps(dict(event, at=at.isoformat() + "Z", more=[1])).encode()
        if name == "nested":
            return json.dumps({"e": {"id": i, "who": None if k is None else {"k": k}, "v": v, "at": str(at)}}).encode()
        if name in ("csv", "tsv"):
            out = io.StringIO()
            csv.writer(out, delimiter="," if name == "csv" else "\t", lineterminator="").writerow([i, k, v, at])
            return out.getvalue().encode()
        if name == "text":
            return f"[{at}] {i}{'' if k is None else ' k=' + k} v={v}".encode()
        if name == "avro":
            out = io.BytesIO()
            fastavro.schemaless_writer(out, AVRO, dict(event, at=at.replace(tzinfo=datetime.timezone.utc)))
            return out.getvalue()
        us = (at - datetime.datetime(1970, 1, 1)) // datetime.timedelta(microseconds=1)
        return self.pb2.Event(id=i, k=k, v=v, at=us).SerializeToString()

    def produce(self, producer, half):
        pieces = []
        for n in range(30):
            self.events.append({"id": len(self.events), "k": self.dice.choice(["x", "y", None]), "v": self.dice.choice([0.5, 1, 2]),
                                "at": BEGIN + datetime.timedelta(seconds=self.dice.randint(0, 300))})
            pieces.append(self.events[-1])
        for name in self.FORMATS:
            for partition in range(3):
                sent = [self.encode(name, event) for event in pieces[partition::3]] + [b'\x07{"broken"']
                if partition == 1 and name not in ("avro", "protobuf"):
                    producer.server.post(f"e_{name}", b"\n".join(sent), "?partition=1")
                else:
                    producer.kafka(f"e_{name}", sent, partition)
        self.bad += 3

    def answers(self):
        windows = {}
        for event in self.events:
            start = event["at"].replace(second=0)
            n, v = windows.get((start, event["k"]), (0, 0))
            windows[start, event["k"]] = n + 1, v + event["v"]
        shown = [(start, k, n, float(v)) for (start, k), (n, v) in windows.items()]
        for name in self.FORMATS:
            yield f"SELECT * FROM w_{name}", shown
            yield f"SELECT id, k, v, at FROM e_{name}", [(e["id"], e["k"], float(e["v"]), e["at"]) for e in self.events]
            yield f"SELECT count(*), count(DISTINCT (partition, \"offset\")), min(length(value)) FROM kappa.dead_letters WHERE source = 'e_{name}'", [
                (self.bad, self.bad, None)] if False else [(self.bad, self.bad, 10)]


class Upserts(Feature):
    """A table from a producer's upserts and tombstones; keys are plain, JSON texts and JSON arrays."""
    name = "keyed table"
    sql = """CREATE TOPIC customers WITH (partitions = 3);
        CREATE TABLE customers (id int PRIMARY KEY, name text, city text) WITH (topic = 'customers');
        CREATE MATERIALIZED VIEW cities AS SELECT city, count(*) AS n FROM customers GROUP BY city"""

    def __init__(self, dice, folder):
        super().__init__(dice, folder)
        self.rows = {}

    def produce(self, producer, half):
        changes = [[], [], []]
        for _ in range(60):
            key = self.dice.randint(1, 15)
            row = None if self.dice.random() < 0.25 else {"name": f"n{key}", "city": self.dice.choice(["Ulm", "Bonn", None])}
            self.rows[key] = row
            text = self.dice.choice([f"{key}", f'"{key}"', f"[{key}]"])
            changes[key % 3].append((text.encode(), None if row is None else json.dumps(row).encode()))
        for partition, of_it in enumerate(changes):
            producer.kafka("customers", [value for _, value in of_it], partition, [key for key, _ in of_it])

    def answers(self):
        left = [(key, row["name"], row["city"]) for key, row in self.rows.items() if row]
        yield "SELECT * FROM customers", left
        yield "SELECT * FROM cities", [(city, sum(row[2] == city for row in left)) for city in {row[2] for row in left}]


class Debezium(Feature):
    """Changes, tombstones behind deletes, and what else a connector writes."""
    name = "Debezium"
    sql = """CREATE TABLE stock (id int PRIMARY KEY, n int, at timestamp(3)) WITH (topic = 'db.public.stock', format = 'debezium');
        CREATE MATERIALIZED VIEW pieces AS SELECT sum(n) AS n, max(at) AS at FROM stock"""

    def __init__(self, dice, folder):
        super().__init__(dice, folder)
        self.rows = {}

    def produce(self, producer, half):
        keys, values = [], []
        for _ in range(60):
            key = self.dice.randint(1, 8)
            before, after = self.rows.get(key), None
            if before is None or self.dice.random() < 0.7:
                after = {"id": key, "n": self.dice.randint(0, 9), "at": 1714521600000 + 1000 * self.dice.randint(0, 99)}
            op = "u" if before and after else self.dice.choice("cr") if after else "d"
            self.rows[key] = after
            keys.append(json.dumps({"id": key}).encode())
            values.append(json.dumps({"before": before, "after": after, "op": op, "ts_ms": 1, "source": {"table": "stock"}}).encode())
            if after is None:
                keys.append(keys[-1])
                values.append(None)
        producer.kafka("db.public.stock", values, 0, keys)

    def answers(self):
        left = [(row["id"], row["n"], datetime.datetime(1970, 1, 1) + datetime.timedelta(milliseconds=row["at"])) for row in self.rows.values() if row]
        yield "SELECT * FROM stock", left
        yield "SELECT * FROM pieces", [(sum(row[1] for row in left) if left else None, max((row[2] for row in left), default=None))]
        yield "SELECT count(*) FROM kappa.dead_letters WHERE source = 'stock'", [(0,)]


class Mended(Feature):
    """A declaration that is too narrow sets records aside; a mended one reads them where they were."""
    name = "dead letters and a mended declaration"
    sql = """CREATE TOPIC readings WITH (partitions = 3);
        CREATE SOURCE readings (n smallint) WITH (topic = 'readings');
        CREATE MATERIALIZED VIEW series AS SELECT array_agg(n ORDER BY _position)::text AS n FROM readings"""
    mended = """ALTER SOURCE readings (n bigint) WITH (topic = 'readings'); ALTER SOURCE readings PROMOTE"""

    def __init__(self, dice, folder):
        super().__init__(dice, folder)
        self.sent, self.least, self.half = [], -32768, 0

    def produce(self, producer, half):
        self.half = half
        for _ in range(4):
            piece = [self.dice.choice([1, 2, 40000, "x"]) for _ in range(8)]
            producer.send("readings", [json.dumps({"n": n}) for n in piece], self.dice.randrange(3))
            self.sent += piece

    def answers(self):
        kept = [n for n in self.sent if n != "x" and (self.half or n < 32768)]
        yield "SELECT * FROM series", [("{" + ",".join(map(str, kept)) + "}",)]
        yield "SELECT count(*) FROM kappa.dead_letters WHERE source = 'readings'", [(len(self.sent) - len(kept),)]


class Idle(Feature):
    """A partition that falls silent holds the watermark up, until it is idle; a clock that is days ahead does not move it."""
    name = "idle partitions, max_ahead"
    sql = """CREATE TOPIC beats WITH (partitions = 3);
        CREATE SOURCE beats (at timestamp, WATERMARK FOR at AS at) WITH (topic = 'beats', idle_timeout = '300 milliseconds', max_ahead = '1 hour');
        CREATE SOURCE beats_patient (at timestamp, WATERMARK FOR at AS at) WITH (topic = 'beats');
        CREATE MATERIALIZED VIEW beaten AS SELECT window_start, count(*) AS n FROM tumble(beats, at, INTERVAL '10 seconds') GROUP BY window_start EMIT ON WINDOW CLOSE;
        CREATE MATERIALIZED VIEW beaten_patient AS SELECT window_start, count(*) AS n FROM tumble(beats_patient, at, INTERVAL '10 seconds') GROUP BY window_start EMIT ON WINDOW CLOSE"""

    def __init__(self, dice, folder):
        super().__init__(dice, folder)
        self.ahead, self.rounds = 0, 0

    def produce(self, producer, half):
        begin = BEGIN + datetime.timedelta(seconds=100 * half)
        if half == 0:
            producer.send("beats", [json.dumps({"at": str(begin)})], 2)
        for second in range(0, 31, 5):
            producer.send("beats", [json.dumps({"at": str(begin + datetime.timedelta(seconds=second))})], (second // 5) % 2)
        producer.send("beats", [json.dumps({"at": str(datetime.datetime.utcnow() + datetime.timedelta(days=2 - half, hours=-1 + half))})], 0)
        self.rounds = half + 1
        time.sleep(0.4)
        producer.send("beats", [json.dumps({"at": str(begin + datetime.timedelta(seconds=31))})], 1)

    def answers(self):
        closed = [(BEGIN, 3)] + [(BEGIN + datetime.timedelta(seconds=s), 2) for s in (10, 20)]
        if self.rounds == 2:
            closed += [(BEGIN + datetime.timedelta(seconds=30), 2)] + [(BEGIN + datetime.timedelta(seconds=100 + s), 2) for s in (0, 10, 20)]
        yield "SELECT * FROM beaten", closed
        yield "SELECT * FROM beaten_patient", []
        yield "SELECT DISTINCT source, sqlstate FROM kappa.dead_letters WHERE source LIKE 'beats%'", [("beats", "22008"), ("beats_patient", "22008")]


class Passing(Feature):
    """Rows leave by the log's time alone."""
    name = "temporal filters"
    sql = """CREATE SOURCE pulse (id int, at timestamptz) WITH (topic = 'pulse');
        CREATE MATERIALIZED VIEW recent AS SELECT id FROM pulse WHERE at > now() - INTERVAL '1 hour';
        CREATE MATERIALIZED VIEW due AS SELECT count(*) AS n FROM pulse WHERE at <= now()"""

    def __init__(self, dice, folder):
        super().__init__(dice, folder)
        self.kept = self.old = self.future = 0

    def produce(self, producer, half):
        now = datetime.datetime.now(datetime.timezone.utc)
        lines = []
        for id, seconds in ((1, -3598), (2, -3000), (3, -4000), (4, 2), (5, 3000)):
            lines.append(json.dumps({"id": id + 10 * half, "at": (now + datetime.timedelta(seconds=seconds)).isoformat()}))
        producer.send("pulse", lines)
        self.rounds = half + 1

    def answers(self):
        yield "SELECT * FROM recent", [(id + 10 * half,) for half in range(self.rounds) for id in (2, 4, 5)]
        yield "SELECT * FROM due", [(4 * self.rounds,)]


FEATURES = [Formats, Upserts, Debezium, Mended, Idle, Passing]
