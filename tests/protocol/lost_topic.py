"""An instance with a topic whose making has rotted: it opens, the topic is read under its number, what needs it by its name
says so, nothing is made anew for it, and everything else goes on. One of kappa's own is never taken for empty."""
import json
import os
import re
import shutil
import struct
import subprocess
import urllib.error
import urllib.request

KAPPA, SCRATCH = (os.environ[name] for name in ("KAPPA", "SCRATCH"))


def kappa(*args, stdin="", status=0):
    done = subprocess.run([KAPPA, *args], input=stdin, capture_output=True, text=True)
    assert done.returncode == status, (args, done.returncode, done.stdout, done.stderr)
    return done.stdout + done.stderr


def sql(data, text, status=0):
    return kappa("sql", "--data", data, "--format", "csv", "-c", text, status=status)


def rot_making(data, topic):
    """Turns over a bit of both entries that make a topic, and removes the snapshot; the topic's number."""
    os.remove(os.path.join(data, "snapshot"))
    path = os.path.join(data, "00000001.journal")
    with open(path, "r+b") as file:
        journal, number, found = file.read(), 0, 0
        for at in range(4096 + 128, len(journal), 4096):
            _, kind, _, _, number_at, _, _, _, name_bytes = struct.unpack_from("<IBBHIIqII", journal, at)
            if kind == 2 and journal[at + 32:at + 32 + name_bytes] == topic.encode():
                file.seek(at + 32)
                file.write(bytes([journal[at + 32] ^ 1]))
                number, found = number_at, found + 1
    assert found == 2, (topic, found)
    return number


class Server:
    def __init__(self, data):
        self.process = subprocess.Popen([KAPPA, "server", "--data", data, "--pg", "127.0.0.1:0", "--http", "127.0.0.1:0",
                                         "--kafka", "off"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.http = None
        for line in self.process.stdout:
            if line.startswith("ready "):
                self.http = re.search(r"http=(\S+)", line).group(1)
                break

    def post(self, topic, row):
        request = urllib.request.Request("http://%s/topics/%s" % (self.http, topic), data=json.dumps(row).encode() + b"\n",
                                         headers={"Content-Type": "application/x-ndjson"})
        try:
            return 200, urllib.request.urlopen(request).read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def stop(self):
        self.process.terminate()
        _, said = self.process.communicate()
        assert self.process.returncode == 0 and "Sanitizer" not in said, said
        return said


def rows(text):
    return [line for line in text.splitlines()[1:] if line]


def make(data):
    sql(data, "CREATE SOURCE orders (k int, v int) WITH (topic = 'orders', partitions = 2)")
    sql(data, "CREATE SOURCE other (k int, v int) WITH (topic = 'other')")
    sql(data, "CREATE TABLE people (id int PRIMARY KEY, name text)")
    sql(data, "CREATE MATERIALIZED VIEW of_orders AS SELECT k, sum(v) AS total FROM orders GROUP BY k")
    sql(data, "CREATE MATERIALIZED VIEW of_other AS SELECT k, sum(v) AS total FROM other GROUP BY k")
    sql(data, "CREATE MATERIALIZED VIEW of_people AS SELECT count(*) AS n FROM people")
    sql(data, "INSERT INTO people VALUES (1, 'ann'), (2, 'bob')")
    for topic in ("orders", "other"):
        lines = [{"partition": 0, "offset": i, "timestamp_ms": 0, "value": json.dumps({"k": i % 3, "v": i})} for i in range(30)]
        kappa("log", "import", topic, "--data", data, stdin="".join(json.dumps(line) + "\n" for line in lines))


def source(data, whole):
    """Of a source."""
    lost = "__lost_%d" % rot_making(data, "orders")
    for _ in range(2):  # and again, by the snapshot
        assert rows(sql(data, "SELECT * FROM of_other ORDER BY k"))[:3] == rows(whole)[:3]
        assert rows(sql(data, "SELECT n FROM of_people"))[0] == "2"
        assert "%s,1,f,30" % lost in sql(data, "SELECT name, partitions, internal, records FROM kappa.topics ORDER BY id")
        for text in ("SELECT * FROM of_orders", "SELECT * FROM orders"):
            said = sql(data, text, status=1)
            assert "no topic \"orders\"" in said and lost in said, said
        assert len(kappa("log", "export", lost, "--data", data).splitlines()) == 30
    server = Server(data)
    code, said = server.post("orders", {"k": 1, "v": 1})
    assert code >= 400 and lost in said, (code, said)
    assert server.post("other", {"k": 5, "v": 7})[0] == 200
    said = server.stop()
    assert "its records are in \"%s\"" % lost in said and "\"of_orders\" stopped: there is no topic" in said, said
    sql(data, "CREATE SOURCE found (k int, v int) WITH (topic = '%s')" % lost)
    sql(data, "CREATE MATERIALIZED VIEW of_found AS SELECT k, sum(v) AS total FROM found GROUP BY k")
    for _ in range(2):
        assert rows(sql(data, "SELECT * FROM of_found ORDER BY k"))[:3] == rows(whole)[:3]
        assert "5,7" in sql(data, "SELECT * FROM of_other")
    sql(data, "DROP MATERIALIZED VIEW of_orders")
    sql(data, "DROP SOURCE orders")
    sql(data, "DROP MATERIALIZED VIEW of_found")
    sql(data, "DROP SOURCE found")
    sql(data, "DROP TOPIC %s" % lost)
    assert "__lost" not in sql(data, "SELECT name FROM kappa.topics")


def table(data):
    """Of a table."""
    lost = "__lost_%d" % rot_making(data, "people")
    for text in ("SELECT * FROM people", "SELECT * FROM of_people", "INSERT INTO people VALUES (3, 'eve')"):
        said = sql(data, text, status=1)
        assert "no topic \"people\"" in said and lost in said, said
    assert len(rows(sql(data, "SELECT * FROM of_other"))) >= 3
    assert "ann" in kappa("log", "export", lost, "--data", data)


def own(data, topic):
    """Of kappa's own: nothing is taken for empty."""
    lost = "__lost_%d" % rot_making(data, topic)
    said = sql(data, "SELECT 1", status=1)
    assert "it may be one of kappa's own" in said and lost in said, said
    assert kappa("log", "export", lost, "--data", data) != ""


data = os.path.join(SCRATCH, "made")
make(data)
sql(data, "CREATE TOPIC short")
kappa("log", "import", "short", "--data", data, stdin=json.dumps({"partition": 0, "offset": 0, "timestamp_ms": 0, "value": "x"}) + "\n")
sql(data, "ALTER TOPIC short DELETE BEFORE END")
whole = sql(data, "SELECT * FROM of_orders ORDER BY k")
for name, check in (("source", lambda folder: source(folder, whole)), ("table", table),
                    ("catalog", lambda folder: own(folder, "__kappa_catalog")),
                    ("expiry", lambda folder: own(folder, "__kappa_expiry"))):
    folder = os.path.join(SCRATCH, name)
    shutil.copytree(data, folder)
    check(folder)
