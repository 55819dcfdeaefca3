#!/usr/bin/python3
"""Every kept set of files opens for ever: it verifies, gives the records and rows that it had when it was made, is
appended to and sealed, and gives them still. What a later version may write is refused by name, or, if it is a cache,
made anew."""
import json
import os
import shutil
import struct
import time

import _kept

HERE = os.path.dirname(os.path.abspath(__file__))
SCRATCH = os.environ["SCRATCH"]


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def files(folder, suffix):
    return sorted(name for name in os.listdir(folder) if name.endswith(suffix))


def copy(number, name):
    folder = f"{SCRATCH}/{number}-{name}"
    shutil.copytree(f"{HERE}/{number}/data", folder)
    return folder


def latest(records):
    """By key the last record, with its place and time; no deletions."""
    by_key = {record[5]: record for record in records}
    return {key: record for key, record in by_key.items() if record[6] is not None}


def compare(server, folder, expected, more):
    """more: events appended since."""
    for topic, records in expected["exports"].items():
        found = _kept.export(folder, topic)
        same = found[:len(records)] if topic in ("ev", "out", "orders") else found
        assert same == records, (topic, [pair for pair in zip(same, records) if pair[0] != pair[1]][:2], len(found))
    for query, rows in expected["queries"].items():
        if more and any(name in query for name in ("cities", " ev", "kappa.topics")):
            continue
        found = server.sql_text(query)
        assert found == rows, (query, found, rows)


def verify(folder, lost):
    """All is well, but for what was lost before the set was made."""
    said = _kept.kappa("log", "verify", "--data", folder, status=1 if lost else 0)
    problems = [line for line in said.splitlines() if line.startswith("problem:")]
    assert said.endswith("problems\n" if lost else "sound\n"), said
    assert len(problems) == len(lost) and all('topic "rot", partition 0' in line for line in problems), said


def lives_on(number, expected):
    folder = copy(number, "lives")
    lost = expected.get("lost", [])
    verify(folder, lost)
    server = _kept.Server(folder).start()
    compare(server, folder, expected, 0)
    if lost:
        assert _kept.lost(server) == lost, (_kept.lost(server), lost)
    for name in ("cities", "sums"):
        answer = server.sql(f"VERIFY MATERIALIZED VIEW {name}")
        assert "is what its query answers" in answer[0][0], answer
    before = server.sql("SELECT position FROM kappa.log")[0][0]
    sealed = server.sql("SELECT sealed_position FROM kappa.log")[0][0]
    rows, more = int(server.sql("SELECT count(*) FROM ev")[0][0]), 0
    while sealed < before and more < 4000:  # until all that was in the kept journal is in extents
        server.post("ev", [json.loads(_kept.event(i)) for i in range(10000 + more, 10100 + more)])
        more += 100
        sealed = server.sql("SELECT sealed_position FROM kappa.log")[0][0]
    until = time.monotonic() + 30
    while sealed < before:
        assert time.monotonic() < until, (sealed, before)
        time.sleep(0.1)
        sealed = server.sql("SELECT sealed_position FROM kappa.log")[0][0]
    server.sql("INSERT INTO users VALUES (1000, 'new')")
    server.sql("DELETE FROM users WHERE id = 1000")
    for _ in range(2):
        assert server.sql("SELECT count(*) FROM ev") == [(rows + more,)]
        assert server.sql("SELECT sum(n) FROM cities") == [(rows + more,)]
        found = latest(_kept.export(folder, "users"))  # it is compacted by itself, now and then
        assert found == latest(expected["exports"]["users"]), found
        compare(server, folder, {"exports": {t: r for t, r in expected["exports"].items() if t != "users"},
                                 "queries": expected["queries"]}, more)
        if lost:
            assert _kept.lost(server) == lost, (_kept.lost(server), lost)
        server.stop()
        verify(folder, lost)
        server.start()
    server.stop()
    return len(os.listdir(folder)), more


def patch(path, at, form, value, crc_at, crc_from=0):
    """Another value at a place, and the checksum of what lies before crc_at, right."""
    with open(path, "r+b") as file:
        data = bytearray(file.read())
        struct.pack_into(form, data, at, value)
        struct.pack_into("<I", data, crc_at, crc32c(data[crc_from:crc_at]))
        file.seek(0)
        file.write(data)


def refused(number, name, words, change):
    folder = copy(number, name)
    before = change(folder)
    with open(before, "rb") as file:
        kept = file.read()
    said = _kept.kappa("log", "export", "ev", "--data", folder, status=1)
    assert words in said and "Use the version of kappa" in said, (name, said)
    said = _kept.kappa("sql", "--data", folder, "-c", "SELECT 1", status=1)
    assert words in said, (name, said)
    with open(before, "rb") as file:
        assert file.read() == kept, f"{name}: it was changed"


def newer_journal(folder):
    path = f"{folder}/{files(folder, '.journal')[-1]}"
    patch(path, 8, "<I", 99, 60)
    return path


def newer_block(folder):
    """The last block of the journal."""
    lines = _kept.kappa("log", "blocks", "--data", folder).splitlines()
    number, at = lines[-1].split()[:2]
    path = f"{folder}/{int(number):08}.journal"
    patch(path, int(at) + 4, "<H", 99, int(at) + 124, int(at))
    return path


def newer_extent(folder):
    path = f"{folder}/{files(folder, '.extent')[0]}"
    patch(path, 8, "<I", 99, 252)
    return path


def made_anew(number, expected):
    """A snapshot and history columns of a later version: passed over."""
    folder = copy(number, "caches")
    patch(folder + "/snapshot", 8, "<I", 99, 124)
    for name in files(folder + "/columns", ".columns"):
        patch(f"{folder}/columns/{name}", 8, "<I", 99, 252)
    server = _kept.Server(folder).start()
    compare(server, folder, expected, 0)
    server.stop()


def main():
    numbers = sorted(name for name in os.listdir(HERE) if name.isdigit())
    assert numbers
    for number in numbers:
        with open(f"{HERE}/{number}/expected.json", encoding="utf-8") as file:
            expected = json.load(file)
        count, more = lives_on(number, expected)
        refused(number, "journal", "journal format 99", newer_journal)
        refused(number, "block", "journal format 99", newer_block)
        refused(number, "extent", "has the format 99", newer_extent)
        made_anew(number, expected)
        print(f"kept: set {number}: opened, compared, {more} records behind it, sealed: {count} files; later ones refused")


main()
