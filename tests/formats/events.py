"""Change events as Debezium writes them, and what a table over them holds; declarations that are mended."""
import json


def schema_of(name):
    return {"type": "struct", "name": name, "optional": False}


class Changes:
    """A table of a database, and the records that tell of its changes."""

    def __init__(self, dice):
        self.dice, self.rows, self.keys = dice, {}, dice.choice([("id",), ("id", "part")])
        self.envelope = dice.random() < 0.5

    def key(self, row):
        """The record's key: with or without its schema; or as other writers make it."""
        members = {name: row[name] for name in self.keys}
        form = self.dice.choice(["object", "object", "schema", "array", "plain"])
        if form == "schema":
            return json.dumps({"schema": schema_of("Key"), "payload": members})
        if form == "array" or (form == "plain" and len(self.keys) > 1):
            return json.dumps(list(members.values()))
        return str(row["id"]) if form == "plain" else json.dumps(members)

    def event(self, op, before, after):
        event = {"before": before, "after": after, "source": {"db": "shop", "lsn": self.dice.getrandbits(40)}, "op": op,
                 "ts_ms": 1700000000000, "transaction": None}
        return json.dumps({"schema": schema_of("Envelope"), "payload": event} if self.envelope else event)

    def change(self):
        """[(key, value)] of one change; a value of None is a tombstone."""
        dice = self.dice
        row = {"id": dice.randint(1, 6), "part": dice.randint(1, 2), "name": dice.choice(["ann", 'b"ob', "çy", None]), "n": dice.randint(0, 99)}
        if len(self.keys) == 1:
            row["part"] = 1
        at = tuple(row[name] for name in self.keys)
        old, key = self.rows.get(at), self.key(row)
        if old is None or dice.random() < 0.5:
            self.rows[at] = row
            op = dice.choice("cr") if old is None else "u"
            return [(key, self.event(op, old if op == "u" and dice.random() < 0.7 else None, row))]
        del self.rows[at]
        before = dice.choice([old, {name: old[name] for name in self.keys}, None])
        gone = [(key, self.event("d", before, None)), (key, None)]  # Debezium writes both, unless it is told not to
        return gone[:dice.choice([1, 2, 2])] if dice.random() < 0.8 else gone[1:]


MENDED = [  # what it is, columns and options as declared first, as mended, records, rows by the mended declaration
    ("json", ("a int, b int", "format = 'json'"), ("a text, b int", "format = 'json'"),
     [b'{"a":1,"b":1}', b'{"a":"x","b":2}', b'{"a":3,"b":3}'], [("1", 1), ("x", 2), ("3", 3)]),
    ("path", ("a int, b int", "format = 'json', path = 'row'"), ("a int, b int", "format = 'json', path = 'line'"),
     [b'{"line":{"a":1,"b":1}}', b'{"row":{"a":2,"b":2}}', b'{"line":{"a":3,"b":3}}'], [(1, 1), (3, 3)]),
    ("csv", ("a int, b int", "format = 'csv'"), ("a text, b int", "format = 'csv', quote = '~', missing = 'null'"),
     [b"1,1", b"~x,y~,2", b"3"], [("1", 1), ("x,y", 2), ("3", None)]),
    ("text", ("a text, b int", "format = 'text', pattern = '(?P<a>\\w+) (?P<b>\\d+)'"),
     ("a text, b int", "format = 'text', pattern = '(?P<a>\\w+)( (?P<b>\\d+))?'"), [b"u 1", b"v", b"w 3"], [("u", 1), ("v", None), ("w", 3)]),
    ("avro", ("a text, b int", """format = 'avro', framing = 'confluent', writer_schemas =
        '{"1":{"type":"record","name":"R","fields":[{"name":"a","type":"string"},{"name":"b","type":"int"}]}}'"""),
     ("a text, b int", """format = 'avro', framing = 'confluent', writer_schemas =
        '{"1":{"type":"record","name":"R","fields":[{"name":"a","type":"string"},{"name":"b","type":"int"}]},
          "2":{"type":"record","name":"R","fields":[{"name":"b","type":"int"},{"name":"a","type":"string"}]}}'"""),
     [b"\0\0\0\0\1\2u\2", b"\0\0\0\0\2\4\2v", b"\0\0\0\0\1\2w\6"], [("u", 1), ("v", 2), ("w", 3)]),
    ("protobuf", ("a text, b int", "format = 'protobuf', schema = 'syntax = \"proto3\"; message R { string a = 1; fixed32 b = 2; }'"),
     ("a text, b int", "format = 'protobuf', schema = 'syntax = \"proto3\"; message R { string a = 1; int32 b = 2; }'"),
     [b"\x0a\1u\x10\1", b"\x0a\1v\x10\2"], [("u", 1), ("v", 2)]),
]
