"""Debezium's values as Kafka Connect's JSON has them, with their schema or without, or its Avro, and what PostgreSQL writes for them."""
import base64
import datetime
import decimal
import io
import json

import fastavro

EPOCH = datetime.datetime(1970, 1, 1)
CONNECT, TIME = "org.apache.kafka.connect.data.", "io.debezium.time."
UNITS = {"": 1000, "Micro": 1, "Nano": None}  # microseconds in one; Nano: a thousandth


def based(number, scale):
    unscaled = int(number.scaleb(scale))
    return base64.b64encode(unscaled.to_bytes(unscaled.bit_length() // 8 + 1, "big", signed=True)).decode()


def count_of(us, precision):
    return us * 1000 if precision == "Nano" else us // UNITS[precision]


def avro_type(schema):
    """What Kafka Connect's Avro converter makes of its own schema."""
    name, plain = schema.get("name"), {"int32": "int", "int64": "long"}.get(schema["type"], schema["type"])
    if plain == "array":
        return {"type": "array", "items": avro_type(schema["items"])}
    if plain == "struct":
        fields = [{"name": "scale", "type": "int"}, {"name": "value", "type": "bytes"}]
        return {"type": "record", "name": "VariableScaleDecimal", "namespace": "io.debezium.data", "fields": fields, "connect.name": name}
    if not name:
        return plain
    said = {"type": plain, "connect.version": 1, "connect.name": name}
    if name == CONNECT + "Decimal":
        said.update(logicalType="decimal", precision=64, scale=int(schema["parameters"]["scale"]))
    if name == CONNECT + "Date":
        said["logicalType"] = "date"
    if name == CONNECT + "Time":
        said.update(type="int", logicalType="time-millis")
    if name == CONNECT + "Timestamp":
        said["logicalType"] = "timestamp-millis"
    return said


def avro_value(schema, value):
    if value is None:
        return None
    if schema["type"] == "struct":
        return dict(value, value=base64.b64decode(value["value"]))
    return base64.b64decode(value) if schema["type"] == "bytes" else value


class Values:
    """Columns of a table as a connector of one configuration tells them."""

    def __init__(self, dice):
        self.dice = dice
        self.avro = dice.random() < 0.4
        self.wrapped = self.avro or dice.random() < 0.6
        self.mode = dice.choice(["adaptive", "adaptive_time_microseconds", "connect"])
        self.precise = dice.random() < 0.5
        self.binary = dice.choice([None, "bytes", "base64", "base64-url-safe", "hex", "hex"])
        self.key = dice.choice([("id",), ("id", "day"), ("price",)])
        self.columns = {"id": "int", "day": "date", "tod": "time", "tod3": "time(3)", "at": "timestamp", "at3": "timestamp(3)",
                        "atz": "timestamptz", "dur": "interval", "price": "numeric(12,2)", "free": "numeric", "blob": "bytea",
                        "doc": "jsonb", "raw": "bigint", "days": "date[]", "said": "text", "big": "bigint"}

        if self.avro:
            self.schemas = {name: self.cell(name)[0] for name in self.columns}
            while CONNECT in self.schemas["raw"]["name"]:  # which Avro shows as a time, not as a number
                self.schemas["raw"] = self.cell("raw")[0] if self.mode != "connect" else dict(self.schemas["raw"], name=TIME + "Timestamp")
            fields = [{"name": name, "type": ["null", avro_type(schema)], "default": None} for name, schema in self.schemas.items()]
            value = {"type": "record", "name": "Value", "fields": fields, "connect.name": "db.public.t.Value"}
            if dice.random() < 0.5:  # a record that was declared is named from then on
                fields.append({"name": "second", "type": ["null", "io.debezium.data.VariableScaleDecimal"], "default": None})
                self.columns["second"] = "numeric"
                self.schemas["second"] = self.schemas["free"]
            self.envelope = {"type": "record", "name": "Envelope", "namespace": "db.public.t", "fields": [
                {"name": "before", "type": ["null", value], "default": None}, {"name": "after", "type": ["null", "Value"], "default": None},
                {"name": "op", "type": "string"}, {"name": "ts_ms", "type": ["null", "long"], "default": None}]}
            self.writer = fastavro.parse_schema(json.loads(json.dumps(self.envelope)), {})

    def told(self, name):
        """A cell; of Avro, where a schema is for all records, until its schema is that of the column."""
        while True:
            cell = self.cell(name)
            if not self.avro or cell[0] == self.schemas[name] or (name == "raw" and TIME in self.schemas["raw"]["name"]):
                return cell

    def encode(self, event):
        """The bytes of a change, in Avro."""
        out = io.BytesIO()
        rows = {side: event[side] and {name: avro_value(self.schemas[name], event[side].get(name)) for name in self.schemas}
                for side in ("before", "after")}
        fastavro.schemaless_writer(out, self.writer, dict(rows, op=event["op"], ts_ms=None))
        return out.getvalue()

    def sql(self, table):
        declared = ", ".join(f"{name} {type}" for name, type in self.columns.items())
        options = f"topic = '{table}', format = 'debezium'"
        if self.avro:
            options += ", schema = '" + json.dumps(self.envelope).replace("'", "''") + "'"
        elif not self.wrapped:
            options += f", time_precision_mode = '{self.mode}', decimal_handling_mode = '{'precise' if self.precise else 'string'}'"
        if self.binary:
            options += f", binary_handling_mode = '{self.binary}'"
        return f"CREATE TABLE {table} ({declared}, PRIMARY KEY ({', '.join(self.key)})) WITH ({options})"

    def precision(self, name):
        """Of a time or timestamp: what the connector makes of it."""
        if self.mode == "connect":
            return ""
        if name in ("tod", "tod3") and self.mode == "adaptive_time_microseconds":
            return "Micro"
        if name == "at" and self.wrapped and self.dice.random() < 0.2:
            return "Nano"
        return "" if name in ("tod3", "at3", "raw") else "Micro"

    def cell(self, name):
        """(what the schema says, value in JSON, the text that PostgreSQL shows)"""
        dice = self.dice
        if name == "id":
            number = dice.randint(1, 5)
            return {"type": "int32"}, number, str(number)
        if name in ("day", "days"):
            days = [dice.randint(-30000, 60000) for _ in range(1 if name == "day" else dice.randint(0, 3))]
            schema = {"type": "int32", "name": dice.choice([CONNECT, TIME]) + "Date"}
            texts = [str((EPOCH + datetime.timedelta(days=d)).date()) for d in days]
            if name == "day":
                return schema, days[0], texts[0]
            return {"type": "array", "items": schema}, days, "{" + ",".join(texts) + "}"
        if name in ("tod", "tod3"):
            precision = self.precision(name)
            us = dice.randrange(86400000) * 1000 + (dice.randrange(1000) if precision == "Micro" and name == "tod" else 0)
            at = (EPOCH + datetime.timedelta(microseconds=us)).time()
            name = dice.choice([CONNECT, TIME]) + "Time" if not precision else TIME + precision + "Time"
            return {"type": "int64", "name": name}, count_of(us, precision), str(at).rstrip("0") if at.microsecond else str(at)
        if name in ("at", "at3", "raw"):
            precision = self.precision(name)
            us = dice.randint(-10**12, 4 * 10**12) * 1000 + (dice.randrange(1000) if precision and name == "at" else 0)
            at = str(EPOCH + datetime.timedelta(microseconds=us))
            of = dice.choice([CONNECT, TIME]) if not precision else TIME + precision
            number = count_of(us, precision)
            return {"type": "int64", "name": of + "Timestamp"}, number, str(number) if name == "raw" else (at.rstrip("0") if "." in at else at)
        if name == "atz":
            at = EPOCH + datetime.timedelta(microseconds=dice.randint(-10**15, 4 * 10**15))
            text = str(at).rstrip("0") if at.microsecond else str(at)
            return {"type": "string", "name": TIME + "ZonedTimestamp"}, at.isoformat() + "Z", text + "+00"
        if name == "dur":
            if self.dice.random() < 0.5:
                return {"type": "string", "name": TIME + "Interval"}, "P1Y2M3DT4H5M6.5S", "1 year 2 mons 3 days 04:05:06.5"
            seconds = dice.randint(0, 10**6)
            text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
            return {"type": "int64", "name": TIME + "MicroDuration"}, seconds * 1000000, text
        if name in ("price", "big"):
            scale = 2 if name == "price" else 0
            number = decimal.Decimal(dice.randint(-5, 5) if dice.random() < 0.3 else dice.randint(-10**9, 10**9)).scaleb(-scale)
            if name == "big" and not self.wrapped:
                return {}, int(number), str(number)
            if self.wrapped or self.precise:
                return {"type": "bytes", "name": CONNECT + "Decimal", "parameters": {"scale": str(scale)}}, based(number, scale), f"{number:f}"
            return {"type": "string"}, f"{number:f}", f"{number:f}"
        if name in ("free", "second"):
            scale = dice.randint(0, 8)
            number = decimal.Decimal(dice.randint(-10**20, 10**20)).scaleb(-scale)
            return {"type": "struct", "name": "io.debezium.data.VariableScaleDecimal"}, {"scale": scale, "value": based(number, scale)}, f"{number:f}"
        if name == "blob":
            blob = dice.randbytes(dice.randint(0, 7))
            shown = "\\x" + blob.hex()
            if self.binary == "hex":
                return {"type": "string"}, blob.hex(), shown
            if self.binary == "base64-url-safe":
                return {"type": "string"}, base64.urlsafe_b64encode(blob).decode(), shown
            return {"type": "string" if self.binary == "base64" else "bytes"}, base64.b64encode(blob).decode(), shown
        if name == "doc":
            doc = dice.choice([{"a": [1, "é\n", None]}, [], "text", 12, True])
            shown = {"a": '{"a": [1, "é\\n", null]}'} if isinstance(doc, dict) else {}
            return {"type": "string", "name": "io.debezium.data.Json"}, json.dumps(doc), shown.get("a", json.dumps(doc))
        text = dice.choice(["QUJD", "12", 'say "é"', ""])
        return {"type": "string"}, text, text

    def message(self, members, schemas, name):
        fields = [dict(schema, field=field, optional=True) for field, schema in schemas.items()]
        schema = {"type": "struct", "fields": fields, "optional": True, "name": name}
        return (schema, members)

    def records(self, count):
        """([(key, value or None)], rows as text)"""
        sent, rows = [], {}
        for _ in range(count):
            if self.dice.random() < 0.07:
                event = {"before": None, "after": None, "op": "t"}
                plain = json.dumps({"schema": {"type": "struct", "fields": []}, "payload": event} if self.wrapped else event)
                sent.append((None, self.encode(event) if self.avro else plain))
                rows = {}
            cells = {name: self.told(name) for name in self.columns}
            for name in cells:
                if name not in self.key and self.dice.random() < 0.1:
                    cells[name] = (cells[name][0], None, None)
            if rows and self.dice.random() < 0.4:  # of a row that is there
                known = self.dice.choice(list(rows.values()))[1]
                for name in self.key:
                    cells[name] = known[name]
            at = tuple(cells[name][2] for name in self.key)
            row = {name: cell[1] for name, cell in cells.items()}
            key = {name: row[name] for name in self.key}
            gone = at in rows and self.dice.random() < 0.4
            event = {"before": self.dice.choice([row, key, key if self.avro else None]) if gone else None, "after": None if gone else row, "op": "d" if gone else "c"}
            key_text, value = json.dumps(key), json.dumps(event)
            if self.wrapped:
                row_schema, _ = self.message(row, {name: cell[0] for name, cell in cells.items()}, "Value")
                key_schema, _ = self.message(key, {name: cells[name][0] for name in self.key}, "Key")
                envelope = {"type": "struct", "name": "Envelope",
                            "fields": [dict(row_schema, field="before"), dict(row_schema, field="after"), {"type": "string", "field": "op"}]}
                value = json.dumps({"schema": envelope, "payload": event})
                key_text = json.dumps({"schema": key_schema, "payload": key})
            sent.append((key_text, self.encode(event) if self.avro else value))
            if gone:
                del rows[at]
                if self.dice.random() < 0.5:
                    sent.append((key_text, None))
            else:
                rows[at] = (tuple(cell[2] for cell in cells.values()), cells)
        return sent, [row for row, _ in rows.values()]
