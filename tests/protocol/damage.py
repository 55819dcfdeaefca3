"""Records of one topic rot on disk: the server starts, views over it fail and say which records are lost, others go on, and
so do inserts; `kappa log verify` and kappa.damage tell of it."""
import os
import pathlib
import subprocess

import psycopg2

from _server import Server, wait_for

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

# Rot in an extent. A view that keeps what expires holds it back, and the way out is told; without it, it goes.
def seal(name):
    server = Server(f"{SCRATCH}/{name}", "--log-file", "64KiB", "--log-unsealed", "256KiB", "--log-seal", "64KiB").start()
    server.sql("CREATE SOURCE c (k int, t text) WITH (topic = 'c', format = 'json')")
    server.sql("CREATE MATERIALIZED VIEW counted AS SELECT count(*) AS n FROM c")
    for i in range(60):
        server.post("c", [{"k": i, "t": f"needle {i} " + "x" * 20000}])

    def sealed():
        for file in pathlib.Path(server.folder).glob("*.extent"):
            try:
                if b"needle 5 " in file.read_bytes():
                    return True
            except FileNotFoundError:  # merged meanwhile
                pass
        return False
    wait_for("the needle's file to be sealed", sealed)
    server.stop()
    return server


def rot_in_extent(name):
    server = seal(name)
    for path in pathlib.Path(server.folder).glob("*.extent"):
        path.write_bytes(path.read_bytes().replace(b"needle 5 ", b"noodle 5 "))
    return server.start()


def verify_status(server):
    return subprocess.run([KAPPA, "log", "verify", "--data", server.folder], stdout=subprocess.DEVNULL).returncode


server = rot_in_extent("deleted")
assert verify_status(server) == 1
try:
    server.sql("ALTER TOPIC c DELETE BEFORE OFFSET 6 PARTITION 0")
    raise AssertionError("lost records went into a view's base")
except psycopg2.Error as error:
    assert error.pgcode == "XX001" and 'materialized view "counted" cannot keep what expires' in str(error), error
    assert 'drop the views that read the topic ("counted")' in error.diag.message_hint, error.diag.message_hint
server.sql("ALTER TOPIC c DELETE BEFORE OFFSET 5 PARTITION 0")  # nothing of it is lost
server.sql("DROP MATERIALIZED VIEW counted")
server.sql("ALTER TOPIC c DELETE BEFORE OFFSET 6 PARTITION 0")
server.sql("CREATE MATERIALIZED VIEW counted AS SELECT count(*) AS n FROM c")
assert server.sql("SELECT n FROM counted") == [(54,)]
assert server.sql("SELECT * FROM kappa.damage") == [] and verify_status(server) == 0
subprocess.run([KAPPA, "backup", SCRATCH + "/given-up", "--data", server.folder], check=True, stdout=subprocess.DEVNULL)
server.stop()

server = rot_in_extent("expired")
server.sql("ALTER TOPIC c SET (retention_bytes = 10)")
held = server.sql("SELECT held_back_by FROM kappa.topics WHERE name = 'c'")[0][0]
assert held and 'materialized view "counted" cannot keep what expires' in held, held
server.sql("DROP MATERIALIZED VIEW counted")
server.sql("ALTER TOPIC c SET (retention_bytes = 11)")
assert server.sql("SELECT start_offset > 5 FROM kappa.topics WHERE name = 'c'") == [(True,)]
server.stop()

# A bit of an extent's header, which readers mend: nothing is lost, and the operator is told once, and by kappa.damage.
server = seal("mended")
for path in (extents := sorted(pathlib.Path(server.folder).glob("*.extent"))):
    held = bytearray(path.read_bytes())
    held[65] ^= 1
    path.write_bytes(held)
server.start()
assert server.sql("SELECT n FROM counted") == [(60,)]
mended = server.sql("SELECT extent, topic, byte, problem FROM kappa.damage WHERE mended ORDER BY extent")
assert mended and {(row[1], row[2], row[3]) for row in mended} == {(None, 0, "its header fails its checksum")}, mended
assert {int(row[0]) for row in mended} <= {int(path.stem) for path in extents}, mended
assert server.sql("SELECT * FROM kappa.damage WHERE NOT mended") == []
for row in mended:
    assert server.said().count(f"the disk rots: extent {row[0]} of ") == 1, server.said()


def same_in_metrics():
    """While extents are merged away, and others read."""
    count = server.sql("SELECT count(*) FROM kappa.damage WHERE mended")[0][0]
    lines = server.request("GET", "/metrics")[1].decode().splitlines()
    metrics = dict(line.rsplit(" ", 1) for line in lines if line[0] != "#")
    assert metrics["kappa_log_damaged_stretches"] == "0", metrics
    return int(metrics["kappa_log_mended_sections"]) == count


wait_for("kappa.damage and the metric to agree", same_in_metrics)
server.stop()

# An extent of which nothing can be read any more: the server starts, and says what is lost; it goes on, sealing too.
server = seal("lost")
extents = sorted(pathlib.Path(server.folder).glob("*.extent"))
first = next(path for path in extents if b"needle 0 " in path.read_bytes())
lost = next(path for path in extents if path != first and b"needle " in path.read_bytes())
lost.write_bytes(bytes(lost.stat().st_size))
server.start()
assert verify_status(server) == 1
damage = server.sql("SELECT topic, first_offset, last_offset, extent, problem FROM kappa.damage WHERE topic = 'c'")
assert len(damage) == 1 and damage[0][1] <= damage[0][2] < 60 and int(damage[0][3]) == int(lost.stem), damage
try:
    server.sql("SELECT n FROM counted")
    raise AssertionError("a view over lost records")
except psycopg2.Error as error:
    assert f"damaged at offsets {damage[0][1]} to {damage[0][2]}" in str(error), error
server.sql("CREATE SOURCE d (k int) WITH (topic = 'd', format = 'json')")
server.sql("CREATE MATERIALIZED VIEW beside AS SELECT count(*) AS n FROM d")
server.post("d", [{"k": 1}])
assert server.sql("SELECT n FROM beside") == [(1,)]
server.sql("DROP MATERIALIZED VIEW counted")
server.sql(f"ALTER TOPIC c DELETE BEFORE OFFSET {damage[0][2] + 1} PARTITION 0")
server.sql("CREATE MATERIALIZED VIEW counted AS SELECT count(*) AS n FROM c")
assert server.sql("SELECT n FROM counted") == [(59 - damage[0][2],)]
server.post("e", [{"k": 1}])  # the last word: it is in the journal's newest file, which is not sealed
server.stop()

# What the start itself needs, the catalog, lies in an extent that is lost: the error names it, and other topics are exported.
for path in pathlib.Path(server.folder).glob("*.extent"):
    path.write_bytes(bytes(path.stat().st_size))
told = subprocess.run([KAPPA, "sql", "--data", server.folder, "-c", "SELECT 1"], capture_output=True, text=True)
assert told.returncode != 0 and 'topic "__kappa_catalog", partition 0 is damaged' in told.stderr, told
exported = subprocess.run([KAPPA, "log", "export", "e", "--data", server.folder], capture_output=True, text=True)
assert exported.returncode == 0 and len(exported.stdout.splitlines()) == 1, exported
print("damage: told, read around, given up")
