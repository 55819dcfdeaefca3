"""Rounds of random schemas and records; README.md tells what is compared."""
import argparse
import collections
import datetime
import decimal
import http.client
import io
import json
import math
import os
import random
import sys
import tempfile
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "support"), os.path.join(HERE, "..", "..", "build", "pypi")]
import fastavro
import connect
import csv_lines
import events
import protobufs
from avro_schemas import Schemas
from postgres import Postgres
from server import Server, rows


UNKNOWN_FIELD = b"\xc0\xb8\x02\x00"  # number 5000


class Doors:
    """Appends records of any bytes."""

    def __init__(self, server):
        self.connection = http.client.HTTPConnection(*server.http.rsplit(":", 1), timeout=120)

    def append(self, topic, record, key=None):
        """One record; None deletes its key."""
        headers = {"Content-Type": "application/x-ndjson" if record is None else "application/octet-stream"}
        if key is not None:
            headers["X-Kappa-Key"] = key
        self.connection.request("POST", f"/topics/{topic}", b"null" if record is None else record, headers)
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise RuntimeError(text.decode())
        return json.loads(text)["position"]


def moment(at):
    fraction = f".{at.microsecond:06}".rstrip("0") if at.microsecond else ""
    day = f"{at:%Y-%m-%d} " if isinstance(at, datetime.datetime) else ""
    return f"{day}{at:%H:%M:%S}{fraction}{'+00' if at.tzinfo else ''}"


def plain(value):
    """As kappa shows it in JSON."""
    if isinstance(value, tuple):
        return plain(value[1])
    if isinstance(value, bytes):
        return "\\x" + value.hex()
    if isinstance(value, (datetime.datetime, datetime.time)):
        return moment(value)
    if isinstance(value, (datetime.date, uuid.UUID)):
        return str(value)
    if isinstance(value, decimal.Decimal):
        return f"{value:f}"
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    return [plain(part) for part in value] if isinstance(value, list) else value


def same(a, b):
    if isinstance(a, float) or isinstance(b, float):
        numbers = all(isinstance(x, (int, float)) and not isinstance(x, bool) for x in (a, b))
        return numbers and math.isclose(a, b, rel_tol=1e-6)
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b))
    return type(a) is type(b) and a == b


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


def read_rows(connection, source, columns, position, read):
    rows(connection, f"SET kappa.read_after = {position}")
    named = ", ".join(f'"{column}"::text' for column in columns)
    found = rows(connection, f'SELECT _offset, {named} FROM {source} ORDER BY _offset')
    return {row[0]: {c: None if v is None else read(v) for c, v in zip(columns, row[1:])} for row in found}


def compare(connection, source, columns, expected, position, done, read=json.loads):
    """expected: by offset the record's top fields, or None of one that the library refuses, too."""
    got = read_rows(connection, source, columns, position, read)
    dead = {row[0]: row[1] for row in rows(connection, f'SELECT "offset", reason FROM kappa.dead_letters WHERE source = {quoted(source)}')}
    for offset, want in enumerate(expected):
        done["records"] += 1
        done["refused"] += want is None
        if want is None and offset in dead and offset not in got:
            continue
        if want is not None and offset in got and same({c: want.get(c) for c in columns}, got[offset]):
            continue
        print(f"record {offset}: the library says {want},\nkappa {got.get(offset)} {dead.get(offset, '')}")
        return False
    return True


def avro_round(connection, doors, folder, seed, done):
    dice = random.Random(seed)
    schemas = Schemas(dice)
    reader = schemas.record(3)
    ids = dice.sample(range(1, 1000), 3)
    writers = {number: schemas.writer_record(reader) for number in ids}
    declared = {}
    for number, writer in writers.items():
        declared[str(number)] = writer
        if dice.random() < 0.5:
            path = os.path.join(folder, f"{seed}_{number}.avsc")
            with open(path, "w", encoding="utf-8") as file:
                json.dump(writer, file, indent=1)
            declared[str(number)] = "file:" + path
    columns = [field["name"] for field in reader["fields"]]
    source = f"avro{seed}"
    said = (f"CREATE SOURCE {source} ({', '.join(f'{c} json' for c in columns)}) WITH (topic = '{source}', format = 'avro', "
            f"framing = 'confluent', schema = {quoted(json.dumps(reader))}, writer_schemas = {quoted(json.dumps(declared))})")
    rows(connection, said)
    for path in os.listdir(folder):
        if path.endswith(".avsc"):
            os.unlink(os.path.join(folder, path))  # what they said is in the log
    parsed = {number: fastavro.parse_schema(json.loads(json.dumps(writer)), {}) for number, writer in writers.items()}
    reading = fastavro.parse_schema(json.loads(json.dumps(reader)), {})
    expected, position = [], 0
    for _ in range(12):
        number = dice.choice(ids)
        body = io.BytesIO()
        fastavro.schemaless_writer(body, parsed[number], schemas.value(writers[number]))
        try:
            expected.append(plain(fastavro.schemaless_reader(io.BytesIO(body.getvalue()), parsed[number], reading)))
        except (fastavro.read.SchemaResolutionError, IndexError, ValueError, KeyError):
            expected.append(None)
        position = doors.append(source, b"\0" + number.to_bytes(4, "big") + body.getvalue())
    position = doors.append(source, b"\0\0\0\x7f\xff" + body.getvalue())  # a schema that nobody has told of
    expected.append(None)
    if not compare(connection, source, columns, expected, position, done):
        print(f"seed {seed}: {said}\nwriters {json.dumps(writers)}")
        return False
    return True


def protobuf_round(connection, doors, folder, seed, done):
    dice = random.Random(seed)
    proto = protobufs.Proto(dice, folder, seed)
    source = f"proto{seed}"
    columns = proto.columns()
    said = (f"CREATE SOURCE {source} ({', '.join(f'{c} json' for c in columns)}) WITH (topic = '{source}', format = 'protobuf', "
            f"message = '{proto.name_of_main}', schema = 'file:{proto.path}')")
    rows(connection, said)
    os.unlink(proto.path)
    expected, position = [], 0
    for _ in range(12):
        record, shown = proto.value()
        expected.append(shown)
        position = doors.append(source, record or UNKNOWN_FIELD)  # an empty body is no record
    if not compare(connection, source, columns, expected, position, done):
        print(f"seed {seed}: {proto.text}")
        return False
    return True


def csv_round(connection, doors, postgres, seed, done):
    dice = random.Random(seed)
    dialect = csv_lines.Dialect(dice)
    source = f"csv{seed}"
    said = f"CREATE SOURCE {source} (a text, b text, c text) WITH (topic = '{source}', format = 'csv', extra = 'error', {dialect.options(' = ')})"
    rows(connection, said)
    expected, lines, position = [], [], 0
    while len(expected) < 40:
        line = dialect.line(dice)
        if not line or line.startswith("\\."):
            continue
        lines.append(line)
        expected.append(csv_lines.by_copy(postgres, dialect, line))
        position = doors.append(source, line.encode())
    if not compare(connection, source, ["a", "b", "c"], expected, position, done, str):
        print(f"seed {seed}: {said}\n{lines}")
        return False
    return True


def debezium_round(connection, doors, _, seed, done):
    dice = random.Random(seed)
    changes, table = events.Changes(dice), f"cdc{seed}"
    rows(connection, f"CREATE TABLE {table} (id int, part int, name text, n int, PRIMARY KEY ({', '.join(changes.keys)})) "
                     f"WITH (topic = '{table}', format = 'debezium')")
    rows(connection, f"CREATE MATERIALIZED VIEW {table}_names AS SELECT name, count(*), sum(n) FROM {table} GROUP BY name")
    sent = []
    for _ in range(4):
        for _ in range(dice.randint(1, 12)):
            for key, value in changes.change():
                sent.append((key, value))
                position = doors.append(table, value if value is None else value.encode(), key)
        rows(connection, f"SET kappa.read_after = {position}")
        want = collections.Counter((row["id"], row["part"], row["name"], row["n"]) for row in changes.rows.values())
        names = collections.defaultdict(list)
        for row in changes.rows.values():
            names[row["name"]].append(row["n"])
        views = collections.Counter((name, len(ns), sum(ns)) for name, ns in names.items())
        dead = rows(connection, f"SELECT reason FROM kappa.dead_letters WHERE source = '{table}'")
        done["records"] += len(sent)
        if collections.Counter(rows(connection, f"SELECT * FROM {table}")) != want or dead or \
                collections.Counter(rows(connection, f"SELECT * FROM {table}_names")) != views:
            print(f"seed {seed}: {sent}\nmust be {want}, {dead}")
            return False
    return True


def connect_round(connection, doors, _, seed, done):
    values, table = connect.Values(random.Random(seed)), f"values{seed}"
    said = values.sql(table)
    rows(connection, said)
    sent, want = values.records(20)
    for key, value in sent:
        position = doors.append(table, value.encode() if isinstance(value, str) else value, key)
    rows(connection, f"SET kappa.read_after = {position}")
    found = collections.Counter(rows(connection, f"SELECT {', '.join(name + '::text' for name in values.columns)} FROM {table}"))
    dead = rows(connection, f"SELECT reason, key, value FROM kappa.dead_letters WHERE source = '{table}'")
    done["records"] += len(sent)
    if dead or found != collections.Counter(want):
        print(f"seed {seed}: {said}\nmissing {collections.Counter(want) - found}\ntoo much {found - collections.Counter(want)}\n{dead[:2]}")
        return False
    return True


def mended_rounds(connection, doors):
    """Bad records are read again at their place by a mended declaration, of every format."""
    for name, first, mended, records, want in events.MENDED:
        source = f"mended_{name}"
        rows(connection, f"CREATE SOURCE {source} ({first[0]}) WITH (topic = '{source}', {first[1]})")
        rows(connection, f"CREATE MATERIALIZED VIEW {source}_b AS SELECT count(*) AS n, sum(b) AS b FROM {source}")
        for record in records:
            position = doors.append(source, record)
        rows(connection, f"SET kappa.read_after = {position}")
        if rows(connection, f"SELECT * FROM {source}_b")[0][0] == len(want) and name != "path":
            print(f"{source}: nothing was to be mended")
            return False
        rows(connection, f"ALTER SOURCE {source} ({mended[0]}) WITH (topic = '{source}', {mended[1]})")
        rows(connection, f"ALTER SOURCE {source} PROMOTE")
        found = rows(connection, f"SELECT a, b, _offset FROM {source} ORDER BY _position")
        b = [row[1] for row in want if row[1] is not None]
        offsets = [row[2] for row in found]
        dead = rows(connection, f"SELECT * FROM kappa.dead_letters WHERE source = '{source}'")
        if [row[:2] for row in found] != want or offsets != sorted(offsets) or dead or \
                rows(connection, f"SELECT * FROM {source}_b") != [(len(want), sum(b))]:
            print(f"{source}: {found} instead of {want}; {dead}")
            return False
        rows(connection, f"VERIFY MATERIALIZED VIEW {source}_b")
    return True


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--seed", type=int, default=int(os.environ.get("KAPPA_SEED", "1")))
    arguments = parser.parse_args()
    done = collections.Counter()
    with tempfile.TemporaryDirectory(prefix="kappa-formats-") as folder:
        server, oracle = Server(os.path.join(folder, "data")), Postgres()
        postgres = oracle.connect()
        connection, doors = server.connect(), Doors(server)
        if not mended_rounds(connection, doors):
            server.end()
            oracle.close()
            return 1
        seeds = range(arguments.seed, arguments.seed + arguments.rounds)
        for number, seed in enumerate(seeds):
            for round_of, by in ((avro_round, folder), (protobuf_round, folder), (csv_round, postgres), (debezium_round, None), (connect_round, None)):
                if not round_of(connection, doors, by, seed, done):
                    server.end()
                    oracle.close()
                    return 1
            if number == len(seeds) // 2:  # the files are gone, the declarations must not be
                connection.close()
                server.again()
                connection, doors = server.connect(), Doors(server)
        connection.close()
        server.end()
        oracle.close()
    print(f"formats: {arguments.rounds} schemas of Avro with three writers each, as many of Protobuf and dialects of CSV; "
          f"{done['records']} records read as their libraries, COPY and a model of Debezium's tables read them, {done['refused']} refused by both; "
          f"{len(events.MENDED)} declarations mended")
    return 0


if __name__ == "__main__":
    sys.exit(main())
