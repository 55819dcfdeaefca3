"""DROP: what else goes is said as PostgreSQL says it, RESTRICT names who depends on what, rows do not go with a type."""
import psycopg2

from _session import connection, cursor, expect, run


def notices(sql):
    del connection.notices[:]
    run(sql)
    return "".join(connection.notices)


def error(sql):
    try:
        run(sql)
    except psycopg2.Error as wrong:
        return wrong.pgcode, wrong.diag.message_primary, wrong.diag.message_detail, wrong.diag.message_hint
    raise AssertionError("no error")


def names():
    return [row[0] for row in run("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind <> 'i' ORDER BY 1")]


HINT = "Use DROP ... CASCADE to drop the dependent objects too."
run("CREATE TABLE t (id int PRIMARY KEY, n int)")
run("CREATE VIEW a AS SELECT id, n FROM t")
run("CREATE VIEW b AS SELECT id FROM a")
run("CREATE MATERIALIZED VIEW m AS SELECT count(*) AS n FROM t")
expect(error("DROP TABLE t"), ("2BP01", "cannot drop table t because other objects depend on it",
                               "view a depends on table t\nview b depends on view a\nmaterialized view m depends on table t", HINT))
expect(error("DROP VIEW a"), ("2BP01", "cannot drop view a because other objects depend on it", "view b depends on view a", HINT))
expect(error("DROP VIEW a RESTRICT")[0], "2BP01")
expect(notices("DROP VIEW a, b"), "")
run("CREATE VIEW a AS SELECT id, n FROM t")
run("CREATE VIEW b AS SELECT id FROM a")
expect(notices("DROP VIEW a CASCADE"), "NOTICE:  drop cascades to view b\n")
run("CREATE VIEW a AS SELECT id, n FROM t")
run("CREATE VIEW b AS SELECT id FROM a")
run("CREATE SINK s FROM m WITH (topic = 'm_out')")
expect(notices("DROP TABLE t CASCADE"),
       "NOTICE:  drop cascades to 4 other objects\nDETAIL:  drop cascades to materialized view m\ndrop cascades to sink s\n"
       "drop cascades to view a\ndrop cascades to view b\n")
expect(names(), [])

# types, domains, functions: rows stay
run("CREATE TYPE mood AS ENUM ('sad', 'ok')")
run("CREATE DOMAIN positive AS int CHECK (VALUE > 0)")
run("CREATE FUNCTION twice(x int) RETURNS int LANGUAGE sql AS 'SELECT x * 2'")
run("CREATE TABLE t (id int PRIMARY KEY, m mood, p positive)")
run("CREATE VIEW doubled AS SELECT twice(id) AS two FROM t")
expect(error("DROP TYPE mood"), ("2BP01", "cannot drop type mood because other objects depend on it",
                                 "column m of table t depends on type mood", HINT))
for kind, name, column in (("TYPE", "mood", "m"), ("DOMAIN", "positive", "p")):
    code, message, detail, hint = error(f"DROP {kind} {name} CASCADE")
    expect((code, message), ("0A000", f'DROP {kind} ... CASCADE would take table "t" with all its rows'))
    expect(detail, f"column {column} of table t depends on {kind.lower()} {name}")
    expect(hint, "A column or constraint cannot be dropped. Drop the table first.")
expect(error("DROP FUNCTION twice"), ("2BP01", "cannot drop function twice(integer) because other objects depend on it",
                                      "view doubled depends on function twice(integer)", HINT))
expect(notices("DROP FUNCTION twice CASCADE"), "NOTICE:  drop cascades to view doubled\n")
expect(names(), ["t"])
run("DROP TABLE t")
run("DROP TYPE mood")
run("DROP DOMAIN positive")
expect(notices("DROP TABLE IF EXISTS t"), 'NOTICE:  table "t" does not exist, skipping\n')

# kappa's own topics are written by kappa alone: whatever stood in them would be the catalog
for sql in ("CREATE TOPIC __mine", "CREATE TOPIC IF NOT EXISTS __kappa_catalog", "CREATE TABLE __mine (id int PRIMARY KEY)",
            "CREATE TABLE mine (id int PRIMARY KEY) WITH (topic = '__kappa_catalog')",
            "CREATE SOURCE mine (id int) WITH (topic = '__kappa_sinks')"):
    name = sql.split("'")[1] if "'" in sql else sql.split("(")[0].split()[-1]
    expect(error(sql), ("42939", f'unacceptable topic name "{name}"', 'The prefix "__" is reserved for kappa\'s own topics.', None))
run("CREATE TABLE kept (id int PRIMARY KEY)")
expect(error("CREATE SINK mine FROM kept WITH (topic = '__kappa_catalog')")[0], "42939")
run("DROP TABLE kept")
expect(names(), [])

# a view that would read itself: it ended the server when it was read
run("CREATE TABLE t (id int PRIMARY KEY)")
run("CREATE VIEW a AS SELECT id FROM t")
run("CREATE VIEW b AS SELECT id FROM a")
for sql in ("CREATE OR REPLACE VIEW a AS SELECT id FROM a", "CREATE OR REPLACE VIEW a AS SELECT x.id FROM b AS x JOIN t ON x.id = t.id"):
    expect(error(sql)[:2], ("42P17", 'infinite recursion detected in rules for relation "a"'))
run("CREATE OR REPLACE VIEW a AS SELECT id + 1 AS id FROM t")
run("INSERT INTO t VALUES (1)")
expect(run("SELECT a.id, b.id FROM a, b"), [(2, 2)])
run("DROP TABLE t CASCADE")
expect(names(), [])

# more than fits is counted
run("CREATE TABLE base (id int PRIMARY KEY)")
for number in range(40):
    run(f"CREATE VIEW over_{number} AS SELECT id FROM base")
detail = error("DROP TABLE base")[2]
assert detail.startswith("view over_0 depends on table base\nview over_1 "), detail
assert detail.endswith(" other objects"), detail
shown = notices("DROP TABLE base CASCADE")
assert shown.startswith("NOTICE:  drop cascades to 40 other objects\nDETAIL:  drop cascades to view over_0\n"), shown
expect(names(), [])

# a table's own topic goes with it, as its rows do in PostgreSQL: who makes the table again begins without
def topics():
    return [row[0] for row in run("SELECT name FROM kappa.topics WHERE NOT internal AND name LIKE 'again%' ORDER BY 1")]


for _ in range(2):
    run("CREATE TABLE again (id int PRIMARY KEY)")
    run("CREATE MATERIALIZED VIEW many AS SELECT count(*) AS n FROM again")
    run("INSERT INTO again VALUES (1), (2)")
    expect(run("SELECT n FROM many"), [(2,)])
    run("DROP TABLE again CASCADE")
    expect(topics(), [])
run("CREATE TABLE again (id int)")
run("INSERT INTO again VALUES (1)")
run("CREATE SOURCE again_seen (id int) WITH (topic = 'again')")  # somebody else reads it
run("DROP TABLE again")
expect(run("SELECT id FROM again_seen"), [(1,)])
run("CREATE TABLE again (id int)")  # it was there before: it is not this table's
expect(run("SELECT id FROM again"), [(1,)])
run("DROP TABLE again")
run("DROP SOURCE again_seen")
expect(topics(), ["again"])
run("DROP TOPIC again")
run("CREATE TABLE again (id int PRIMARY KEY) WITH (topic = 'again_named')")  # it has a name: it stays
run("INSERT INTO again VALUES (7)")
run("DROP TABLE again")
expect(topics(), ["again_named"])
run("CREATE TABLE again (id int PRIMARY KEY) WITH (topic = 'again_named')")
expect(run("SELECT id FROM again"), [(7,)])
run("DROP TABLE again")
run("DROP TOPIC again_named")

# what was prepared before is an error each time that it is run, until there is such a table again
run("CREATE TABLE known (id int PRIMARY KEY)")
run("PREPARE reads AS SELECT id FROM known")
run("PREPARE writes AS INSERT INTO known VALUES (3)")
run("DROP TABLE known")
for _ in range(2):
    for statement in ("EXECUTE reads", "EXECUTE writes"):
        assert error(statement)[0] == "42P01", error(statement)
run("CREATE TABLE known (id int PRIMARY KEY)")
run("EXECUTE writes")
expect(run("EXECUTE reads"), [(3,)])
run("DROP TABLE known")
