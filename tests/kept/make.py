#!/usr/bin/python3
"""Makes a set of files of the current formats: make.py NUMBER writes the folder NUMBER, which must not be there.

What is in it: journal files, extents of both kinds (also thinned ones, by compaction), adopted journal files (from set 2
on), extents that tell of records that had rotted, and that know idempotent producers (from set 3 on), a topic that begins far
behind offset 0 (from set 5 on), a recovery snapshot, history columns; topics with several partitions, one dropped, one trimmed below a view that keeps a base, one compacted; record
batches of every codec; transactions over topics; dead letters; a sink. expected.json says what must come out of it."""
import json
import os
import shutil
import subprocess
import sys
import tempfile

import _kept

FAR = 5_000_000_000


def fill(server):
    sql = server.sql
    sql("CREATE TOPIC ev WITH (partitions = 2)")
    sql("CREATE SOURCE ev (id bigint, city text, price numeric, at timestamp) WITH (topic = 'ev', format = 'json')")
    sql("CREATE TOPIC users WITH (partitions = 2, cleanup = 'compact', delete_retention = '0 seconds')")
    sql("CREATE TABLE users (id int PRIMARY KEY, city text) WITH (topic = 'users')")
    sql("CREATE TABLE orders (id int PRIMARY KEY, note text)")
    sql("CREATE SOURCE old (k int, v numeric) WITH (topic = 'old')")
    sql("CREATE MATERIALIZED VIEW sums AS SELECT k, sum(v) AS total FROM old GROUP BY k")
    sql("CREATE MATERIALIZED VIEW cities AS SELECT city, count(*) AS n, sum(price) AS price FROM ev GROUP BY city")
    sql("CREATE SINK out FROM cities WITH (topic = 'out')")
    sql("CREATE SOURCE many (id int) WITH (topic = 'many')")
    sql("CREATE TOPIC gone")
    for n, codec in enumerate(("none", "gzip", "snappy", "lz4", "zstd")):
        _kept.kcat(server, "ev", "".join(_kept.event(60 * n + i) for i in range(60)), "-z", codec, "-p", str(n % 2))
        _kept.kcat(server, "users", "".join(f'{i}|{{"city": "{codec}{i % 7}"}}\n' for i in range(40)), "-K", "|", "-z", codec)
        _kept.kcat(server, "gone", "nothing\n" * 500)
    _kept.kcat(server, "users", "".join(f"{i}|\n" for i in range(0, 40, 5)), "-K", "|", "-Z")
    _kept.kcat(server, "ev", "not JSON\n" + '{"id": "no number"}\n')
    for i in range(8):
        sql(f"BEGIN; INSERT INTO orders VALUES ({i}, '{'x' * (i * 300)}'); INSERT INTO old VALUES ({i % 3}, {i}.50); COMMIT")
    _kept.kcat(server, "many", "".join(f'{{"id":{i % 16}}}\n' for i in range(66000)), "-z", "zstd")
    sql("DROP TOPIC gone")
    sql("ALTER TOPIC old DELETE BEFORE END")
    sql("INSERT INTO old VALUES (1, 100)")
    sql("ALTER TOPIC users COMPACT")
    sql("CREATE SOURCE wide (id int, pad text) WITH (topic = 'wide', format = 'json')")
    for i in range(24):  # large commits, and small ones of other partitions between them
        server.post("wide", [{"id": i, "pad": f"{i:x}" * 7000}])
        if i % 5 == 0:
            sql(f"INSERT INTO orders VALUES ({100 + i}, 'between')")
    sql("SELECT sum(id) FROM many")  # makes history columns


def rot(folder):
    """One acknowledged record of the journal rots."""
    for name in sorted(os.listdir(folder)):
        if name.endswith(".journal"):
            with open(f"{folder}/{name}", "r+b") as file:
                at = file.read().find(b"needle 3")
                if at >= 0:
                    file.seek(at)
                    file.write(b"noodle")
                    return
    raise AssertionError("what was to rot is not in the journal any more")


def main():
    target = os.path.join(os.path.dirname(os.path.abspath(__file__)), sys.argv[1])
    if os.path.exists(target):
        sys.exit(f"{target} is there already: what was released once is never made again")
    with tempfile.TemporaryDirectory() as scratch:
        server = _kept.Server(scratch + "/data").start()
        fill(server)
        _kept.kcat(server, "ev", "".join(_kept.event(2000 + i) for i in range(40)), "-X", "enable.idempotence=true", "-p", "1")
        server.sql("CREATE SOURCE rot (id int, note text) WITH (topic = 'rot')")
        for i in range(6):
            server.sql(f"INSERT INTO rot VALUES ({i}, 'needle {i}')")
        server.stop()
        rot(scratch + "/data")
        server.start()
        before = server.sql("SELECT position FROM kappa.log")[0][0]
        while server.sql("SELECT sealed_position FROM kappa.log")[0][0] < before:  # it is sealed, as lost
            server.post("wide", [{"id": 100, "pad": "y" * 3000}])
        server.stop()
        far = "".join(json.dumps({"partition": 0, "offset": FAR + i, "timestamp_ms": i, "value": f"{i}"}) + "\n" for i in range(5))
        subprocess.run([os.environ["KAPPA"], "log", "import", "far", "--data", scratch + "/data"], input=far, text=True, check=True)
        server.start()  # so that it is replayed once, and the newest snapshot and columns are of the whole
        for i in range(1000, 1010):
            server.post("ev", [json.loads(_kept.event(i))])
        lost = _kept.lost(server)
        queries = {query: server.sql_text(query) for query in _kept.QUERIES}
        server.stop()
        os.makedirs(target)
        for name in ("lock", "reserve"):
            if os.path.exists(f"{scratch}/data/{name}"):
                os.remove(f"{scratch}/data/{name}")
        exports = {topic: _kept.export(scratch + "/data", topic) for topic in (*_kept.TOPICS, "far")}
        for name in ("lock", "reserve"):
            if os.path.exists(f"{scratch}/data/{name}"):
                os.remove(f"{scratch}/data/{name}")
        shutil.copytree(scratch + "/data", target + "/data")
    with open(target + "/expected.json", "w", encoding="utf-8") as file:
        json.dump({"queries": queries, "exports": exports, "lost": lost}, file, separators=(",", ":"))
        file.write("\n")


main()
