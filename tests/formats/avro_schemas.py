"""Random Avro schemas of readers, writers whose records such a reader can read, and data."""
import datetime
import decimal
import uuid

NUMBERS = ["int", "long", "float", "double"]


def utf8(text):
    return text.encode()


class Schemas:
    def __init__(self, dice):
        self.dice, self.count = dice, 0

    def name(self, prefix):
        self.count += 1
        return f"{prefix}{self.count}"

    # ---- the reader's ----

    def logical(self):
        return self.dice.choice([
            {"type": "int", "logicalType": "date"}, {"type": "int", "logicalType": "time-millis"},
            {"type": "long", "logicalType": "time-micros"}, {"type": "long", "logicalType": "timestamp-millis"},
            {"type": "long", "logicalType": "timestamp-micros"}, {"type": "long", "logicalType": "local-timestamp-micros"},
            {"type": "bytes", "logicalType": "decimal", "precision": 40, "scale": self.dice.choice([0, 2, 9])},
            {"type": "string", "logicalType": "uuid"}])

    def any(self, depth):
        dice, kind = self.dice, self.dice.random()
        if depth == 0 or kind < 0.45:
            return dice.choice(NUMBERS + ["string", "bytes", "boolean", self.logical(), self.logical()])
        if kind < 0.6:
            return self.record(depth - 1)
        if kind < 0.68:
            symbols = [f"S{i}" for i in range(dice.randint(1, 4))]
            made = {"type": "enum", "name": self.name("E"), "symbols": symbols}
            if dice.random() < 0.5:
                made["default"] = dice.choice(symbols)
            return made
        if kind < 0.73:
            return {"type": "fixed", "name": self.name("F"), "size": dice.randint(1, 5)}
        if kind < 0.83:
            return {"type": "array", "items": self.any(depth - 1)}
        if kind < 0.9:
            return {"type": "map", "values": self.any(depth - 1)}
        return dice.sample(["null", dice.choice(NUMBERS), dice.choice(["string", "boolean"]), self.record(depth - 1)],
                           dice.randint(2, 4))

    def record(self, depth):
        fields = []
        for _ in range(self.dice.randint(1, 4)):
            field = {"name": self.name("f"), "type": self.any(depth)}
            if self.dice.random() < 0.4:
                field["default"], ok = self.default(field["type"])
                if not ok:
                    del field["default"]
            if self.dice.random() < 0.3:
                field["aliases"] = [self.name("old")]
            fields.append(field)
        made = {"type": "record", "name": self.name("R"), "fields": fields}
        if self.dice.random() < 0.2:
            made["aliases"] = [self.name("OldR")]
        return made

    def default(self, of):
        """A default as JSON; those that fastavro gives back without reading them (bytes, logical types) are in transcode_test.c."""
        if isinstance(of, list):
            return self.default(of[0])
        kind = of if isinstance(of, str) else of["type"]
        if isinstance(of, dict) and "logicalType" in of and of["logicalType"] != "uuid":
            return None, False
        if kind in ("int", "long"):
            return self.dice.choice([0, -7, 2**31 - 1]), True
        if kind in ("float", "double"):
            return self.dice.choice([0.5, -3, 1e10]), True
        if kind == "enum":
            return self.dice.choice(of["symbols"]), True
        if kind == "array":
            value, ok = self.default(of["items"])
            return [value] * self.dice.randint(0, 2) if ok else [], True
        if kind == "map":
            value, ok = self.default(of["values"])
            return {"k": value} if ok else {}, True
        return {"null": None, "boolean": True, "string": 'a "quoted" é'}.get(kind), kind in ("null", "boolean", "string")

    # ---- a writer's ----

    def writer(self, of):
        """A type whose values the reader's `of` can read, most of them."""
        dice = self.dice
        if isinstance(of, list):
            branches = {}
            for branch in of:
                made = self.writer(branch)
                made = made[1] if isinstance(made, list) else made
                branches.setdefault(made if isinstance(made, str) else made["type"], made)
            if dice.random() < 0.3:
                return dice.choice(list(branches.values()))
            if dice.random() < 0.2:
                branches.setdefault("boolean", "boolean")  # the reader may have no place for it
            made = list(branches.values())
            dice.shuffle(made)
            return made
        if isinstance(of, str):
            if of in NUMBERS:
                return dice.choice(NUMBERS[:NUMBERS.index(of) + 1])
            if of in ("string", "bytes"):
                return dice.choice([of, of, "string", "bytes"])
            return ["null", of] if dice.random() < 0.1 and of != "null" else of
        if "logicalType" in of:
            return of
        if of["type"] == "record":
            return self.writer_record(of)
        made = {key: value for key, value in of.items() if key not in ("default", "aliases")}
        if of["type"] == "enum":
            made["symbols"] = dice.sample(of["symbols"], dice.randint(1, len(of["symbols"])))
            if dice.random() < 0.3:
                made["symbols"].append("More")
        elif of["type"] in ("array", "map"):
            part = "items" if of["type"] == "array" else "values"
            made[part] = self.writer(of[part])
        return made

    def writer_record(self, of):
        dice, fields = self.dice, []
        for field in of["fields"]:
            if "default" in field and dice.random() < 0.4:
                continue
            name = field["aliases"][0] if "aliases" in field and dice.random() < 0.5 else field["name"]
            fields.append({"name": name, "type": self.writer(field["type"])})
        for _ in range(dice.choice([0, 0, 1, 2])):
            fields.append({"name": self.name("gone"), "type": self.any(1)})
        dice.shuffle(fields)
        name = of["aliases"][0] if "aliases" in of and dice.random() < 0.5 else of["name"]
        return {"type": "record", "name": name, "fields": fields}

    # ---- values ----

    def value(self, of):
        dice = self.dice
        if isinstance(of, list):
            branch = dice.choice(of)
            value = self.value(branch)
            return value if isinstance(branch, str) or branch["type"] != "record" else (branch["name"], value)
        kind = of if isinstance(of, str) else of["type"]
        logical = None if isinstance(of, str) else of.get("logicalType")
        if logical:
            at = datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=dice.randint(-2**50, 2**52))
            return {"date": at.date(), "time-millis": at.time().replace(microsecond=at.microsecond // 1000 * 1000),
                    "time-micros": at.time(), "local-timestamp-micros": at, "uuid": uuid.UUID(int=dice.getrandbits(128)),
                    "timestamp-micros": at.replace(tzinfo=datetime.timezone.utc),
                    "timestamp-millis": at.replace(microsecond=at.microsecond // 1000 * 1000, tzinfo=datetime.timezone.utc),
                    "decimal": decimal.Decimal(dice.randint(-10**dice.randint(1, 39), 10**dice.randint(1, 39)))
                    .scaleb(-of.get("scale", 0), decimal.Context(prec=60))}[logical]
        if kind == "record":
            return {field["name"]: self.value(field["type"]) for field in of["fields"]}
        if kind == "array":
            return [self.value(of["items"]) for _ in range(dice.randint(0, 3))]
        if kind == "map":
            return {f"k{i}": self.value(of["values"]) for i in range(dice.randint(0, 3))}
        if kind == "enum":
            return dice.choice(of["symbols"])
        if kind == "fixed":
            return dice.randbytes(of["size"])
        return {"null": None, "boolean": dice.random() < 0.5, "int": dice.choice([0, -1, 1, dice.randint(-2**31, 2**31 - 1)]),
                "long": dice.choice([0, 1, dice.randint(-2**63, 2**63 - 1)]), "float": dice.choice([0.5, -2.25, 3.0]),
                "double": dice.choice([0.1, -1e300, 5.0, dice.random()]), "bytes": dice.choice([b"", b"plain", utf8("é")]),
                "string": dice.choice(["", "x", 'q"\\é\n', "long enough not to be short"])}[kind]
