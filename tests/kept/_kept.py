"""What make.py and kept.py share."""
import json
import os
import subprocess
import sys

import psycopg2

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "protocol"))
import _server  # pylint: disable=wrong-import-position

FLAGS = ("--log-file", "32KiB", "--log-seal", "64KiB", "--log-unsealed", "256KiB", "--log-extent", "16KiB", "--log-adopt", "4KiB",
         "--log-snapshot", "64KiB", "--log-tail", "64KiB")
TOPICS = ("ev", "users", "orders", "old", "out", "wide")
QUERIES = (
    "SELECT * FROM cities ORDER BY city",
    "SELECT * FROM users ORDER BY id",
    "SELECT id, length(note) FROM orders ORDER BY id",
    "SELECT * FROM sums ORDER BY k",
    "SELECT count(*), min(id), max(id), sum(price), min(at), max(at) FROM ev",
    "SELECT count(*), sum(id) FROM many",
    "SELECT name, partitions, records, start_offset FROM kappa.topics WHERE NOT internal AND name <> 'out' ORDER BY name",
)


def event(i):
    return json.dumps({"id": i, "city": f"city {i % 5}" if i % 11 else None, "price": f"{i}.{i % 100:02}",
                       "at": f"2024-01-01 00:{i // 60 % 60:02}:{i % 60:02}"}) + "\n"


class Server(_server.Server):
    def __init__(self, folder):
        super().__init__(folder, *FLAGS)

    def sql_text(self, query):
        return [[None if value is None else str(value) for value in row] for row in self.sql(query)]


def kcat(server, topic, text, *more):
    subprocess.run(["kcat", "-q", "-b", server.kafka, "-P", "-t", topic, *more], input=text, text=True, check=True)


def lost(server):
    """What had rotted before it was sealed, as who reads it is told: the topic rot has some."""
    try:
        server.sql("SELECT count(note) FROM rot")
    except psycopg2.Error as error:
        assert 'topic "rot", partition 0 is damaged at offsets' in str(error), error
    else:
        raise AssertionError("nobody is told")
    return [list(row) for row in server.sql("SELECT topic, partition, first_offset, last_offset, certain FROM kappa.damage")]


def kappa(*args, status=0):
    """What it prints, to both; it must end with that status."""
    done = subprocess.run([os.environ["KAPPA"], *args], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode == 0) == (status == 0), (args, done.returncode, done.stdout[-500:], done.stderr[-1500:])
    return done.stdout + done.stderr


def export(folder, topic):
    """Each record: partition, offset, position, times, key, value."""
    lines = [json.loads(line) for line in kappa("log", "export", topic, "--data", folder).splitlines()]
    return [[line[name] for name in ("partition", "offset", "position", "timestamp_ms", "log_time_us", "key", "value")]
            for line in lines]
