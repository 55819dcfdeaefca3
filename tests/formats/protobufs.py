"""Random .proto files, and messages of them by Google's library."""
import importlib.util
import os
import subprocess
import sys

from google.protobuf import json_format

SCALARS = ["double", "float", "int32", "int64", "uint32", "uint64", "sint32", "sint64", "fixed32", "fixed64", "sfixed32",
           "sfixed64", "bool", "string", "bytes"]
DEFAULTS = {"double": ["1.5", "-2e3", "inf"], "float": ["0.25"], "int32": ["-7", "0x10"], "int64": ["-9223372036854775808"],
            "uint32": ["4294967295"], "uint64": ["18446744073709551615"], "sint64": ["-1"], "fixed32": ["8"], "bool": ["true", "false"],
            "string": ['"a \\"quoted\\" \\101\\x42\\n]"', "'it'"], "bytes": ['"\\000\\xff!"'], "Top": ["TOP_ONE", "TOP_LESS"]}
KEYS = ["int32", "uint64", "sint64", "string", "bool"]
EPOCH_TEXT = "google.protobuf.Timestamp"
PACKAGE = "google.protobuf."
WRAPPERS = {"DoubleValue": "double", "FloatValue": "float", "Int64Value": "int64", "UInt64Value": "uint64", "Int32Value": "int32",
            "UInt32Value": "uint32", "BoolValue": "bool", "StringValue": "string", "BytesValue": "bytes"}
WELL_KNOWN = [PACKAGE + name for name in ["Duration", "Struct", "Value", "ListValue", "Empty"] + list(WRAPPERS)]
FILES = {  # as the library has them
    "timestamp": "message Timestamp { int64 seconds = 1; int32 nanos = 2; }",
    "duration": "message Duration { int64 seconds = 1; int32 nanos = 2; }",
    "empty": "message Empty { }",
    "wrappers": " ".join(f"message {name} {{ {kind} value = 1; }}" for name, kind in WRAPPERS.items()),
    "struct": "message Struct { map<string, Value> fields = 1; } enum NullValue { NULL_VALUE = 0; } "
              "message ListValue { repeated Value values = 1; } message Value { oneof kind { NullValue null_value = 1; "
              "double number_value = 2; string string_value = 3; bool bool_value = 4; Struct struct_value = 5; ListValue list_value = 6; } }"}
SHARED = """// What several files use. import "nothing.proto";
syntax = "proto3"; package some.common;
enum Top { TOP_OTHER = 0; TOP_FAR = 9; } // as in the files that import this one
message Main { Top top = 1; bool on = 2; }
message Money { Main main = 4; .some.common.Top top = 5; int64 units = 1; string currency = 2; enum Kind { CASH = 0; CARD = 1; } Kind kind = 3; }
service Bank { rpc Pay (Money) returns (Money) { option deprecated = true; } }
"""


class Proto:
    def __init__(self, dice, folder, seed):
        self.dice, self.count, self.enums, self.messages = dice, 0, [], []
        self.path = os.path.join(folder, f"shops/p{seed}.proto")
        self.proto2 = dice.random() < 0.4
        self.money, self.name_of_main = f"some.common{seed}.Money", f"some.shop{seed}.Main"
        self.others = [f"some.common{seed}.Main", f"common{seed}.Top"]
        body = self.message("Main", 2)
        imports = "".join(f'import "google/protobuf/{name}.proto";\n' for name in FILES)
        self.text = (f'syntax = "proto{3 - self.proto2}";\npackage some.shop{seed};\n{imports}import "common/shared{seed}.proto";\n'
                     "enum Top { TOP_NONE = 0; TOP_ONE = 1; TOP_LESS = -5; }\n" + body)
        texts = {f"google/protobuf/{name}.proto": f'syntax = "proto3"; package google.protobuf; {text}' for name, text in FILES.items()}
        texts[f"common/shared{seed}.proto"] = SHARED.replace("some.common", f"some.common{seed}")
        texts[self.path] = self.text
        for path, text in texts.items():
            os.makedirs(os.path.dirname(os.path.join(folder, path)), exist_ok=True)
            with open(os.path.join(folder, path), "w", encoding="utf-8") as file:
                file.write(text)
        for name in (self.path, os.path.join(folder, f"common/shared{seed}.proto")):
            subprocess.run(["protoc", f"--proto_path={folder}", f"--python_out={folder}", name], check=True, stderr=subprocess.DEVNULL)
        if folder not in sys.path:
            sys.path.append(folder)
        made = importlib.util.spec_from_file_location(f"p{seed}_pb2", os.path.join(folder, f"shops/p{seed}_pb2.py"))
        module = importlib.util.module_from_spec(made)
        sys.modules[made.name] = module
        made.loader.exec_module(module)
        self.main = module.Main

    def name(self, prefix):
        self.count += 1
        return f"{prefix}{self.count}"

    def message(self, name, depth):
        dice, parts, types = self.dice, [], SCALARS + ["Top", EPOCH_TEXT, self.money] + self.others + self.dice.sample(WELL_KNOWN, 4)
        number = 0
        if depth:
            for _ in range(dice.randint(0, 2)):
                inner = self.name("M")
                parts.append(self.message(inner, depth - 1))
                types = types + [inner] * 4
            if dice.random() < 0.5:
                enum = self.name("E")
                parts.append(f"enum {enum} {{ {enum}_A = 0; {enum}_B = {dice.choice([1, 7, 1000])}; }}")
                types = types + [enum] * 2
        for _ in range(dice.randint(2, 6)):
            number += dice.choice([1, 1, 1, 5, 100])
            kind, field, of = dice.random(), self.name("f"), dice.choice(types)
            if kind < 0.15:
                parts.append(f"map<{dice.choice(KEYS)}, {of}> {field} = {number};")
            elif kind < 0.3:
                one = " ".join(f"{dice.choice(types)} {self.name('f')} = {number + i};" for i in range(3))
                parts.append(f"oneof {field} {{ {one} }}")
                number += 3
            else:
                label = dice.choice(["", "", "repeated ", "optional "]) if not self.proto2 else dice.choice(["repeated ", "optional ", "optional "])
                options = []
                if label == "repeated " and of in SCALARS[:13] and dice.random() < 0.3:
                    options = ["packed = false"]
                elif self.proto2 and label == "optional " and of in DEFAULTS and dice.random() < 0.6:
                    options = [dice.choice(["deprecated = true, ", ""]) + f"default = {dice.choice(DEFAULTS[of])}"]
                parts.append(f"{label}{of} {field} = {number}{''.join(f' [{option}]' for option in options)};")
        return f"message {name} {{ // fields\n" + "\n".join(parts) + "\n}\n"

    def columns(self):
        return [field.name for field in self.main.DESCRIPTOR.fields]

    # ---- values ----

    def scalar(self, field):
        dice, kind = self.dice, field.type
        bits = {5: 31, 15: 31, 17: 31, 3: 63, 16: 63, 18: 63}.get(kind)
        if bits:
            return dice.choice([0, 1, -1, dice.randint(-2**bits, 2**bits - 1)])
        if kind in (13, 7, 4, 6):
            return dice.choice([0, 1, dice.randint(0, 2**(32 if kind in (13, 7) else 64) - 1)])
        if kind in (1, 2):
            return dice.choice([0.0, 0.5, -2.25])
        if kind == 8:
            return dice.random() < 0.5
        if kind == 9:
            return dice.choice(["", "x", 'é "q"', "more than twelve bytes"])
        return dice.choice([b"", b"\0\xff"]) if kind == 12 else dice.choice(field.enum_type.values).number

    def fill(self, message):
        """Sets fields at random; returns what kappa shows."""
        dice, shown = self.dice, {}
        ours = not message.DESCRIPTOR.full_name.startswith((PACKAGE, "some.common"))
        chosen = {one.name: dice.choice(list(one.fields) + [None]) for one in message.DESCRIPTOR.oneofs}
        for field in message.DESCRIPTOR.fields:
            one = field.containing_oneof
            if one is not None and chosen[one.name] is not field:
                continue
            if field.message_type is not None and field.message_type.GetOptions().map_entry:
                shown[field.name] = self.fill_map(message, field)
            elif field.label == field.LABEL_REPEATED:
                shown[field.name] = [self.one(getattr(message, field.name), field) for _ in range(dice.randint(0, 3))]
            elif field.message_type is not None:
                if dice.random() < 0.7:
                    shown[field.name] = self.inside(getattr(message, field.name))
            else:
                value = self.scalar(field)
                if one is None and dice.random() < 0.3:
                    if ours and self.proto2 and not field.has_default_value:
                        continue
                    value = getattr(message, field.name)  # left as it is: the default
                else:
                    setattr(message, field.name, value)
                shown[field.name] = self.show(field, value)
        return shown

    def one(self, container, field):
        if field.message_type is not None:
            return self.inside(container.add())
        value = self.scalar(field)
        container.append(value)
        return self.show(field, value)

    def fill_map(self, message, field):
        key_field, value_field = (field.message_type.fields_by_name[part] for part in ("key", "value"))
        shown, container = {}, getattr(message, field.name)
        for _ in range(self.dice.randint(0, 3)):
            key = self.scalar(key_field)
            if key in container:
                continue
            name = str(key).lower() if isinstance(key, bool) else str(key)
            if value_field.message_type is not None:
                shown[name] = self.inside(container[key])
            else:
                container[key] = self.scalar(value_field)
                shown[name] = self.show(value_field, container[key])
        return shown

    def inside(self, message):
        message.SetInParent()
        name = message.DESCRIPTOR.full_name.removeprefix(PACKAGE)
        if name in WRAPPERS:
            return self.fill(message).get("value")
        if name == "Duration":
            seconds = self.dice.randint(-10**9, 10**9)
            message.FromMicroseconds(seconds * 1000000)
            sign, rest = "-" if seconds < 0 else "", abs(seconds)
            return f"{sign}{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
        if name in ("Struct", "Value", "ListValue"):
            said = {"Struct": {"a": [1.5, None, {"b": "é"}], "c": True}, "ListValue": ["x", [], 2.0],
                    "Value": self.dice.choice([None, 1.0, "text", False, {"k": None}, [1.0]])}[name]
            json_format.ParseDict(said, message)
            return said
        if message.DESCRIPTOR.full_name == EPOCH_TEXT:
            micros = self.dice.randint(-2**50, 2**52)
            message.FromMicroseconds(micros)
            at = message.ToDatetime()
            fraction = f".{at.microsecond:06}".rstrip("0") if at.microsecond else ""
            return f"{at:%Y-%m-%d %H:%M:%S}{fraction}+00"
        return self.fill(message)

    @staticmethod
    def show(field, value):
        if field.enum_type is not None:
            return field.enum_type.values_by_number[value].name
        if value == float("inf"):
            return "Infinity"
        return "\\x" + value.hex() if isinstance(value, bytes) else value

    def value(self):
        """Bytes, and the top fields as kappa shows them."""
        message = self.main()
        shown = self.fill(message)
        return message.SerializeToString(), shown
