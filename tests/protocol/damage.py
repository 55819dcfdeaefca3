"""Records of one topic rot on disk: the server starts, views over it fail and say which records are lost, others go on, and
so do inserts; `kappa log verify` and kappa.damage tell of it."""
import os
import subprocess

from _server import Server

KAPPA, SCRATCH = os.environ["KAPPA"], os.environ["SCRATCH"]
DATA = SCRATCH + "/rotten"


def sql(*statements, status=0):
    done = subprocess.run([KAPPA, "sql", "--data", DATA, "--format", "csv", *(a for s in statements for a in ("-c", s))],
                          capture_output=True, text=True)
    assert done.returncode == status, (statements, done.returncode, done.stdout, done.stderr)
    return done.stdout if status == 0 else done.stderr


sql("CREATE SOURCE a (k int, t text) WITH (topic = 'a')", "CREATE SOURCE b (k int) WITH (topic = 'b')",
    "CREATE MATERIALIZED VIEW sums_a AS SELECT sum(k) AS s FROM a",
    "CREATE MATERIALIZED VIEW sums_b AS SELECT sum(k) AS s FROM b",
    *(f"INSERT INTO {'a' if i % 2 else 'b'} VALUES ({i}" + (f", 'needle {i} of a')" if i % 2 else ")") for i in range(40)))
assert sql("SELECT s FROM sums_a", "SELECT s FROM sums_b").split() == ["s", "400", "s", "380"]

journal = f"{DATA}/00000001.journal"
with open(journal, "r+b") as file:
    at = file.read().index(b"needle 21 of a")
    file.seek(at)
    file.write(b"noodle")

assert sql("SELECT s FROM sums_b").split() == ["s", "380"]
said = sql("SELECT s FROM sums_a", status=1)
assert 'topic "a", partition 0 is damaged at offsets 10 to 10' in said, said
damage = sql("SELECT topic, partition, first_offset, last_offset, certain FROM kappa.damage").split()
assert damage == ["topic,partition,first_offset,last_offset,certain", "a,0,10,10,t"], damage
assert sql("SELECT file, extent, byte > 0 FROM kappa.damage").split()[1:] == ["1,,t"]
said = sql("SELECT s FROM sums_b", "SELECT name, state FROM kappa.views ORDER BY name").split()
assert said[2:] == ["name,state", "sums_a,failed", "sums_b,ready"], said

sql("INSERT INTO b VALUES (1000)", "INSERT INTO a VALUES (1000, 'x')")
assert sql("SELECT s FROM sums_b").split() == ["s", "1380"]
assert 'offsets 10 to 10' in sql("SELECT s FROM sums_a", status=1)
verify = subprocess.run([KAPPA, "log", "verify", "--data", DATA], capture_output=True, text=True)
assert verify.returncode == 1 and "its entries fail their checksum" in verify.stdout, verify

# A Kafka consumer reads what lies before, and is told of what does not.
server = Server(DATA).start()
told = subprocess.run(["kcat", "-C", "-b", server.kafka, "-t", "a", "-o", "8", "-c", "4"], capture_output=True, text=True, timeout=60)
assert [line.split('"t":')[1] for line in told.stdout.splitlines()] == ['"needle 17 of a"}', '"needle 19 of a"}'], told
assert told.returncode != 0 and "Invalid message" in told.stderr, told
server.stop()

# What is lost is given up: a view over the rest.
sql("DROP MATERIALIZED VIEW sums_a", "ALTER TOPIC a DELETE BEFORE END", "INSERT INTO a VALUES (7, 'y')",
    "CREATE MATERIALIZED VIEW rest AS SELECT sum(k) AS s FROM a")
assert sql("SELECT s FROM rest").split() == ["s", "7"]
print("damage: told, read around, given up")
