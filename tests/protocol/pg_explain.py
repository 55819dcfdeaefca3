"""EXPLAIN ANALYZE: rows, time and state of each operator, of a query that is run and of a view that lives."""
import re

import psycopg2

from _session import cursor, expect, run


def lines(sql):
    """The lines, without what differs from run to run."""
    return [re.sub(r"time=[0-9.]+ ms|[0-9.]+ (bytes|kB|MB)|Time: [0-9.]+ ms", "#", line) for line, in run(sql)]


def nodes(plan):
    yield plan
    for below in plan.get("Plans", []):
        yield from nodes(below)


run("CREATE SOURCE bid (auction bigint, price bigint)")
run("CREATE TABLE item (id int PRIMARY KEY, name text)")
run("INSERT INTO item VALUES (1, 'a'), (2, 'b')")
run("INSERT INTO bid SELECT 1 + n.id % 2, n.id FROM item AS n, item AS m, item AS o")
run("CREATE MATERIALIZED VIEW v AS SELECT auction, count(*) AS n FROM bid GROUP BY auction")
run("CREATE MATERIALIZED VIEW w AS SELECT auction, sum(price) AS p FROM bid GROUP BY auction")

expect(lines("EXPLAIN ANALYZE SELECT name, count(*) FROM bid JOIN item ON auction = id GROUP BY name"), [
    "Aggregate: group by name; count(*)  [state: a row for each name]  [without bound]  (rows=2 of 8 # state=2 rows, #)",
    "  -> Join: auction = id::bigint  [state: all rows of both inputs]  [without bound]  (rows=8 of 10 # state=2 rows, #)",
    "    -> Scan bid (auction)  [grows]  (rows=8 #)",
    "    -> Scan item (id, name)  (rows=2 #)",
    "Only grows: bid",
    "State without bound: Aggregate: group by name; count(*), Join",
    "Rows: 2 at position %d" % max(p for p, in run("SELECT position FROM kappa.lag")),
    "Execution #"])

live = lines("EXPLAIN ANALYZE MATERIALIZED VIEW v")
assert live[0].startswith("aggregate: ") and "(rows=2 of 8 # state=2 rows, #)" in live[0], live
assert any(re.match(r" *-> source: bid  \[grows\]  \[shared with w\]  \(rows=8 ", line) for line in live), live
assert live[-2].startswith("Rows: 2 at position "), live
assert live[-1].startswith("State: 2 rows, "), live

document, = run("EXPLAIN (ANALYZE, FORMAT JSON) SELECT name, count(*) FROM bid JOIN item ON auction = id GROUP BY name")[0]
expect(cursor.description[0].type_code, 114)
expect([(n["Node Type"], n["Actual Rows"]) for n in nodes(document[0]["Plan"])], [("Aggregate", 2), ("Join", 8), ("Scan", 8), ("Scan", 2)])
expect((document[0]["Rows"], document[0]["Only Grows"], document[0]["State Without Bound"]), (2, ["bid"], True))
assert document[0]["Execution Time"] > 0

document, = run("EXPLAIN (ANALYZE, FORMAT JSON) MATERIALIZED VIEW v")[0]
expect((document[0]["Rows"], document[0]["State Rows"]), (2, 2))
expect([n["Shared With"] for n in nodes(document[0]["Plan"]) if n["Node Type"] == "source"], ["w"])

document, = run("EXPLAIN (FORMAT JSON) CREATE MATERIALIZED VIEW x AS SELECT max(p) FROM (SELECT auction, sum(price) AS p FROM bid GROUP BY auction) w")[0]
expect([(n["Node Type"], n.get("Shared With")) for n in nodes(document[0]["Plan"])],
       [("Aggregate", None), ("Project", None), ("Aggregate", "w"), ("Scan", "v, w")])

# what it says of a statement that writes has been written
wrote = lines("EXPLAIN ANALYZE INSERT INTO item VALUES (9, 'x')")
expect(wrote[:2], ["Insert into item", "Values: 1 row (9, 'x')  (rows=1 #)"])
assert wrote[2].startswith("Rows: 1 at position ") and wrote[3] == "Execution #", wrote
expect(cursor.statusmessage, "EXPLAIN")
expect(run("SELECT name FROM item WHERE id = 9"), [("x",)])
run("DELETE FROM item WHERE id = 9")

for sql, code in (("EXPLAIN ANALYZE CREATE MATERIALIZED VIEW x AS SELECT 1", "0A000"), ("EXPLAIN ANALYZE SELECT $1::int", "42P02"),
                  ("EXPLAIN ANALYZE SELECT 1 / (auction - 1) FROM bid", "22012")):
    try:
        run(sql)
        raise AssertionError(sql)
    except psycopg2.Error as error:
        expect((sql, error.pgcode), (sql, code))
expect(run("SELECT count(*) FROM item"), [(2,)])
print("explain: ok")
