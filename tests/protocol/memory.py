"""--memory holds inside one batch: a query or view that would need far more than there is ends alone with 53200, the
server's memory stays near its budget, all of it is given back, and everything else goes on."""
import os
import re
import shutil
import tempfile

import psycopg2

from _server import Server

BUDGET_MIB = 64
SLACK_MIB = 1500  # the sanitizer's quarantine and shadow, allocators' arenas; without limits each case needs 3 GiB or more


def peak_mib(server):
    with open(f"/proc/{server.process.pid}/status", encoding="ascii") as file:
        return int(re.search(r"VmHWM:\s+(\d+) kB", file.read()).group(1)) // 1024


def answer(server, text):
    """The first value, or the error's code."""
    try:
        rows = server.sql(text)
        return rows[0][0] if rows else None
    except psycopg2.Error as error:
        assert error.pgcode, error
        return error.pgcode


def check(server, what, text, wanted):
    got = answer(server, text)
    assert got == wanted, f"{what}: got {got!r}, wanted {wanted!r}"
    peak = peak_mib(server)
    assert peak < BUDGET_MIB + SLACK_MIB, f"{what}: the server has taken {peak} MiB"


def held(server, budget):
    status, body = server.request("GET", "/metrics")
    assert status == 200
    return int(float(re.search(r'kappa_memory_bytes\{budget="%s"\} (\S+)' % budget, body.decode()).group(1)))


ROWS = "FROM generate_series(1, 60000) AS g"
FEW = "FROM generate_series(1, 1500) AS g"  # for what is slow
QUERIES = [
    ("long texts", f"SELECT sum(length(repeat('x', 50000) || g)) {ROWS}"),
    ("texts of texts", f"SELECT max(upper(replace(repeat('ab' || repeat('c', 100), 500), 'a', g::text))) {ROWS}"),
    ("characters", f"SELECT sum(length(g::char(50000)::text || '|')) {ROWS}"),
    ("bytes", f"SELECT sum(length(decode(repeat('00', 25000) || lpad(to_hex(g), 8, '0'), 'hex'))) {FEW}"),
    ("set bytes", f"SELECT sum(length(set_byte(decode(repeat('00', 50000), 'hex'), 1, g % 256))) {ROWS}"),
    ("arrays", f"SELECT max(array_length(array_fill(g, ARRAY[12500]), 1)) {FEW}"),
    ("jsonb", f"SELECT max(length(jsonb_build_object('a', repeat('x', 50000), 'g', g)::text)) FROM generate_series(1, 700) AS g"),
    ("json", f"SELECT max(length(json_build_array(repeat('x', 50000), g)::text)) {FEW}"),
    ("rows", f"SELECT count(DISTINCT ROW(g, repeat('x', 50000))) {ROWS}"),
    ("numbers", f"SELECT max(10::numeric ^ 100000 + g) FROM generate_series(1, 2500) AS g"),
    ("groups", f"SELECT sum(length(m)) FROM (SELECT g, min(repeat('x', 50000)) AS m {ROWS} GROUP BY g) AS s"),
    ("joined", f"SELECT sum(length(x)) FROM (SELECT g {ROWS}) AS a LEFT JOIN (SELECT h, repeat('x', 50000) || h AS x "
               "FROM generate_series(1, 60000) AS h) AS b ON a.g = b.h"),
    ("lists", "SELECT max(length(s)) FROM (SELECT g % 1000 AS k, string_agg(repeat('x', 1000) || g, ',') AS s "
              "FROM generate_series(1, 600000) AS g GROUP BY 1) AS s"),
    ("the answer", f"SELECT repeat('x', 50000) || g {ROWS}"),
    ("the answer ordered", f"SELECT repeat('x', 50000) || g {ROWS} ORDER BY g DESC"),
    ("ranked", f"SELECT max(n) FROM (SELECT row_number() OVER (ORDER BY repeat('x', 50000) || g) AS n {ROWS}) AS s"),
]
FRAMED = "SELECT max(v) FROM (SELECT {} OVER (ORDER BY {} {}) AS v FROM generate_series(1, 3000) AS g) AS s"
WHOLE = "RANGE BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING EXCLUDE"
FIT = [  # frames that need little beside their rows, however long they are
    ("what TIES excludes", FRAMED.format("count(g)", "g / 3000", WHOLE + " TIES"), 3000),
    ("what GROUP excludes", FRAMED.format("sum(g)", "g / 3000", WHOLE + " GROUP"), 4498500),
    ("what is taken away", FRAMED.format("last(g)", "g", "ROWS 2500 PRECEDING"), 3000),
]
VIEWS = [
    ("kept", "SELECT g, v FROM t, generate_series(1, 20000) AS g"),
    ("made", "SELECT k, max(length(v || repeat('y', 50000) || g)) AS m FROM t, generate_series(1, 20000) AS g GROUP BY k"),
    ("held", "SELECT g, max(v) AS m FROM t, generate_series(1, 20000) AS g GROUP BY g"),
    ("ranking", "SELECT g, row_number() OVER (PARTITION BY g % 10 ORDER BY v) AS n FROM t, generate_series(1, 20000) AS g"),
]

folder = tempfile.mkdtemp(prefix="kappa-memory-")
server = Server(os.path.join(folder, "data"), "--memory", f"{BUDGET_MIB}MiB").start()
try:
    server.sql("CREATE TABLE t (k int PRIMARY KEY, v text)")
    server.sql("CREATE MATERIALIZED VIEW plain AS SELECT count(*) AS n, sum(length(v)) AS bytes FROM t")
    for what, query in QUERIES:
        check(server, what, query, "53200")
        check(server, f"after {what}", "SELECT count(*) FROM t", 0)
        assert held(server, "queries") < 1 << 20, f"{what}: {held(server, 'queries')} bytes are still charged"
    for what, query, wanted in FIT:
        check(server, what, query, wanted)
    for what, query in VIEWS:
        server.sql(f"CREATE MATERIALIZED VIEW {what} AS {query}")
    server.sql("INSERT INTO t VALUES (1, repeat('x', 50000))")
    check(server, "what does not need much goes on", "SELECT n FROM plain", 1)
    for what, _ in VIEWS:
        check(server, f"view {what}", f"SELECT count(*) FROM {what}", "53200")
        why = server.sql(f"SELECT error FROM kappa.views WHERE name = '{what}'")
        assert "memory budget" in why[0][0], why
    server.sql("INSERT INTO t VALUES (2, 'y')")
    check(server, "and on", "SELECT bytes FROM plain", 50001)
    assert held(server, "state") < 16 << 20, f"{held(server, 'state')} bytes are still charged"
    for what, _ in VIEWS:
        server.sql(f"DROP MATERIALIZED VIEW {what}")
    server.sql("DELETE FROM t WHERE k = 1")
    server.sql(f"CREATE MATERIALIZED VIEW late AS {VIEWS[0][1]}")
    check(server, "one that fits", "SELECT count(*) FROM late", 20000)
    server.stop()
finally:
    if server.process.poll() is None:
        server.process.kill()
    shutil.rmtree(folder, ignore_errors=True)
print("memory: %d queries, %d views" % (len(QUERIES), len(VIEWS)))
