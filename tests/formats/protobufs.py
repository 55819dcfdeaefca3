"""Random .proto files, and messages of them by Google's library."""
import importlib.util
import os
import subprocess
import sys

SCALARS = ["double", "float", "int32", "int64", "uint32", "uint64", "sint32", "sint64", "fixed32", "fixed64", "sfixed32",
           "sfixed64", "bool", "string", "bytes"]
KEYS = ["int32", "uint64", "sint64", "string", "bool"]
EPOCH_TEXT = "google.protobuf.Timestamp"


class Proto:
    def __init__(self, dice, folder, seed):
        self.dice, self.count, self.enums, self.messages = dice, 0, [], []
        self.path = os.path.join(folder, f"p{seed}.proto")
        body = self.message("Main", 2)
        self.text = ('syntax = "proto3";\npackage some.shop' + str(seed) + ';\nimport "google/protobuf/timestamp.proto";\n'
                     "enum Top { TOP_NONE = 0; TOP_ONE = 1; TOP_LESS = -5; }\n" + body)
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(self.text)
        well_known = os.path.join(folder, "google", "protobuf")
        os.makedirs(well_known, exist_ok=True)
        with open(os.path.join(well_known, "timestamp.proto"), "w", encoding="utf-8") as file:
            file.write('syntax = "proto3"; package google.protobuf; message Timestamp { int64 seconds = 1; int32 nanos = 2; }')
        subprocess.run(["protoc", f"--proto_path={folder}", f"--python_out={folder}", self.path],
                       check=True, stderr=subprocess.DEVNULL)
        made = importlib.util.spec_from_file_location(f"p{seed}_pb2", os.path.join(folder, f"p{seed}_pb2.py"))
        module = importlib.util.module_from_spec(made)
        sys.modules[made.name] = module
        made.loader.exec_module(module)
        self.main = module.Main

    def name(self, prefix):
        self.count += 1
        return f"{prefix}{self.count}"

    def message(self, name, depth):
        dice, parts, types = self.dice, [], SCALARS + ["Top", EPOCH_TEXT]
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
                label = dice.choice(["", "", "repeated ", "optional "])
                packed = " [packed = false]" if label == "repeated " and of in SCALARS[:13] and dice.random() < 0.3 else ""
                parts.append(f"{label}{of} {field} = {number}{packed};")
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
        return "\\x" + value.hex() if isinstance(value, bytes) else value

    def value(self):
        """Bytes, and the top fields as kappa shows them."""
        message = self.main()
        shown = self.fill(message)
        return message.SerializeToString(), shown
