"""Debezium's values as Kafka Connect's JSON has them, with their schema or without, and what PostgreSQL writes for them."""
import base64
import datetime
import decimal
import json

EPOCH = datetime.datetime(1970, 1, 1)
CONNECT, TIME = "org.apache.kafka.connect.data.", "io.debezium.time."
UNITS = {"": 1000, "Micro": 1, "Nano": None}  # microseconds in one; Nano: a thousandth


def based(number, scale):
    unscaled = int(number.scaleb(scale))
    return base64.b64encode(unscaled.to_bytes(unscaled.bit_length() // 8 + 1, "big", signed=True)).decode()


def count_of(us, precision):
    return us * 1000 if precision == "Nano" else us // UNITS[precision]


class Values:
    """Columns of a table as a connector of one configuration tells them."""

    def __init__(self, dice):
        self.dice = dice
        self.wrapped = dice.random() < 0.6
        self.mode = dice.choice(["adaptive", "adaptive_time_microseconds", "connect"])
        self.precise = dice.random() < 0.5
        self.binary = dice.choice([None, "bytes", "base64", "base64-url-safe", "hex", "hex"])
        self.key = dice.choice([("id",), ("id", "day"), ("price",)])
        self.columns = {"id": "int", "day": "date", "tod": "time", "tod3": "time(3)", "at": "timestamp", "at3": "timestamp(3)",
                        "atz": "timestamptz", "dur": "interval", "price": "numeric(12,2)", "free": "numeric", "blob": "bytea",
                        "doc": "jsonb", "raw": "bigint", "days": "date[]", "said": "text", "big": "bigint"}

    def sql(self, table):
        declared = ", ".join(f"{name} {type}" for name, type in self.columns.items())
        options = f"topic = '{table}', format = 'debezium'"
        if not self.wrapped:
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
        if name == "free":
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
            cells = {name: self.cell(name) for name in self.columns}
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
            event = {"before": self.dice.choice([row, key, None]) if gone else None, "after": None if gone else row, "op": "d" if gone else "c"}
            key_text, value = json.dumps(key), json.dumps(event)
            if self.wrapped:
                row_schema, _ = self.message(row, {name: cell[0] for name, cell in cells.items()}, "Value")
                key_schema, _ = self.message(key, {name: cells[name][0] for name in self.key}, "Key")
                envelope = {"type": "struct", "name": "Envelope",
                            "fields": [dict(row_schema, field="before"), dict(row_schema, field="after"), {"type": "string", "field": "op"}]}
                value = json.dumps({"schema": envelope, "payload": event})
                key_text = json.dumps({"schema": key_schema, "payload": key})
            sent.append((key_text, value))
            if gone:
                del rows[at]
                if self.dice.random() < 0.5:
                    sent.append((key_text, None))
            else:
                rows[at] = (tuple(cell[2] for cell in cells.values()), cells)
        return sent, [row for row, _ in rows.values()]
