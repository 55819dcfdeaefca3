"""A bare PostgreSQL client over a socket: sends any bytes, reads messages. For tests of what libpq would never do."""
import os
import socket
import struct

HOST = os.environ.get("PGHOST", "127.0.0.1")
PORT = int(os.environ["PGPORT"])


def text(value):
    return value.encode() + b"\0"


def message(kind, body=b""):
    return kind.encode() + struct.pack("!I", len(body) + 4) + body


def startup(**settings):
    body = struct.pack("!I", 196608)
    for name, value in settings.items():
        body += text(name) + text(value)
    body += b"\0"
    return struct.pack("!I", len(body) + 4) + body


def query(sql):
    return message("Q", text(sql))


def parse(sql, name="", oids=()):
    return message("P", text(name) + text(sql) + struct.pack("!H", len(oids)) + b"".join(struct.pack("!I", o) for o in oids))


def bind(params=(), portal="", name="", formats=(), results=()):
    body = text(portal) + text(name) + struct.pack("!H", len(formats)) + b"".join(struct.pack("!H", f) for f in formats)
    body += struct.pack("!H", len(params))
    for value in params:
        if value is None:
            body += struct.pack("!i", -1)
        else:
            value = value if isinstance(value, bytes) else value.encode()
            body += struct.pack("!I", len(value)) + value
    body += struct.pack("!H", len(results)) + b"".join(struct.pack("!H", f) for f in results)
    return message("B", body)


def describe(kind, name=""):
    return message("D", kind.encode() + text(name))


def execute(portal="", rows=0):
    return message("E", text(portal) + struct.pack("!I", rows))


def close(kind, name=""):
    return message("C", kind.encode() + text(name))


SYNC = message("S")
FLUSH = message("H")


class Wire:
    def __init__(self, connect=True, **settings):
        self.socket = socket.create_connection((HOST, PORT), timeout=20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.parameters = {}
        self.key = None
        if connect:
            settings = dict({"user": os.environ.get("PGUSER", "kappa"), "database": os.environ.get("PGDATABASE", "kappa")}, **settings)
            self.send(startup(**settings))
            for kind, body in self.until("Z"):
                if kind == "S":
                    name, value = body[:-1].split(b"\0")
                    self.parameters[name.decode()] = value.decode()
                elif kind == "K":
                    self.key = struct.unpack("!II", body)

    def send(self, data):
        self.socket.sendall(data)

    def exactly(self, count):
        while len(self.buffer) < count:
            more = self.socket.recv(65536)
            if not more:
                raise EOFError("the server closed the connection")
            self.buffer += more
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def read(self):
        head = self.exactly(5)
        return chr(head[0]), self.exactly(struct.unpack("!I", head[1:])[0] - 4)

    def until(self, *kinds):
        """Messages up to the first of one of these kinds."""
        out = []
        while True:
            out.append(self.read())
            if out[-1][0] in kinds:
                return out

    def closed(self):
        """True if the server closes without more than it has said."""
        try:
            while True:
                self.read()
        except (EOFError, ConnectionError):
            return True

    def ask(self, data):
        self.send(data)
        return self.until("Z")

    def rows(self, sql):
        """Rows of a simple query as lists of texts; raises on an error."""
        out = []
        for kind, body in self.ask(query(sql)):
            if kind == "E":
                raise RuntimeError(fields(body))
            if kind == "D":
                out.append(row(body))
        return out

    def finish(self):
        self.socket.close()


def fields(body):
    """An ErrorResponse's fields by their letter."""
    return {chr(f[0]): f[1:].decode() for f in body.split(b"\0") if f}


def row(body):
    count, at, out = struct.unpack("!H", body[:2])[0], 2, []
    for _ in range(count):
        length = struct.unpack("!i", body[at : at + 4])[0]
        at += 4
        out.append(None if length < 0 else body[at : at + length])
        at += max(length, 0)
    assert at == len(body)
    return [v.decode("utf-8", "surrogateescape") if v is not None else None for v in out]


def kinds(messages):
    """The messages' types, notices and settings left out."""
    return "".join(kind for kind, _ in messages if kind not in "NS")


def error(messages):
    """The fields of the only error."""
    errors = [fields(body) for kind, body in messages if kind == "E"]
    assert len(errors) == 1, errors
    return errors[0]


def tags(messages):
    return [body[:-1].decode() for kind, body in messages if kind == "C"]


def expect(got, wanted):
    assert got == wanted, "got %r, wanted %r" % (got, wanted)


def main(namespace):
    """Runs every test_… function; the first failure ends the script with its traceback."""
    for name, function in list(namespace.items()):
        if name.startswith("test_"):
            print(name, flush=True)
            function()
