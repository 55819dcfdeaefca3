"""What tools ask the catalog (Grafana, DBeaver, Prisma, Rails, Django, Sequelize): kappa gives the rows that PostgreSQL 15
gives for the same declarations. And the tables that such tools open without much care: they are there."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import postgres

from _session import connection, expect

if not postgres.installed():
    print("PostgreSQL 15 is not installed")
    sys.exit(77)

DECLARED = [
    "CREATE TYPE mood AS ENUM ('sad', 'ok')",
    "CREATE TYPE place AS (street text, no int)",
    "CREATE DOMAIN positive AS int CHECK (value > 0)",
    "CREATE TABLE t (a int PRIMARY KEY, b text NOT NULL, m mood, p positive, c numeric(6,2))",
    "CREATE TABLE u (a int, d date, ad place, PRIMARY KEY (d, a))",
    "CREATE VIEW plain AS SELECT b AS name, a + 1 AS next FROM t",
    "COMMENT ON TABLE t IS 'a table'",
    "COMMENT ON COLUMN t.b IS 'bee'",
    "CREATE TABLE metric (k int PRIMARY KEY, ts timestamptz, v float8)",
    "INSERT INTO metric VALUES (1, '2024-01-01 00:01:00+00', 1), (2, '2024-01-01 00:03:00+00', 3), (3, '2024-01-01 00:07:00+00', 5)",
]
SEARCHED = ("SELECT CASE WHEN trim(s[i]) = '\"$user\"' THEN user ELSE trim(s[i]) END FROM generate_series("
            "array_lower(string_to_array(current_setting('search_path'), ','), 1), "
            "array_upper(string_to_array(current_setting('search_path'), ','), 1)) AS i, "
            "string_to_array(current_setting('search_path'), ',') s")
QUERIES = {
    "Grafana": f"""
        SELECT CASE WHEN quote_ident(table_schema) IN ({SEARCHED}) THEN quote_ident(table_name)
            ELSE quote_ident(table_schema) || '.' || quote_ident(table_name) END AS "table" FROM information_schema.tables
            WHERE quote_ident(table_schema) NOT IN ('information_schema', 'pg_catalog', 'kappa')
        SELECT quote_ident(column_name) AS "column", data_type AS "type" FROM information_schema.columns
            WHERE CASE WHEN array_length(parse_ident('t'), 1) = 2
            THEN quote_ident(table_schema) = (parse_ident('t'))[1] AND quote_ident(table_name) = (parse_ident('t'))[2]
            ELSE quote_ident(table_name) = 't' AND quote_ident(table_schema) IN ({SEARCHED}) END
        SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'
        SELECT floor(extract(epoch FROM ts) / 300) * 300 AS "time", avg(v) AS v FROM metric
            WHERE ts BETWEEN '2024-01-01T00:00:00Z' AND '2024-01-02T00:00:00Z' GROUP BY 1 ORDER BY 1
        SELECT ts AS "time", v FROM metric WHERE extract(epoch FROM ts) >= 1704067200 AND extract(epoch FROM ts) <= 1704153600""",
    "DBeaver": """
        SELECT c.relname, c.relkind, d.description, pg_catalog.pg_get_expr(c.relpartbound, c.oid), pg_catalog.pg_get_partkeydef(c.oid)
            FROM pg_catalog.pg_class c LEFT OUTER JOIN pg_catalog.pg_description d
            ON d.objoid = c.oid AND d.objsubid = 0 AND d.classoid = 'pg_class'::regclass
            WHERE c.relnamespace = 2200 AND c.relkind NOT IN ('i', 'I', 'c')
        SELECT a.attname, a.attnum, a.attnotnull, a.attidentity, dsc.description, dep.objid FROM pg_catalog.pg_attribute a
            INNER JOIN pg_catalog.pg_class c ON a.attrelid = c.oid
            LEFT OUTER JOIN pg_catalog.pg_attrdef ad ON a.attrelid = ad.adrelid AND a.attnum = ad.adnum
            LEFT OUTER JOIN pg_catalog.pg_description dsc ON c.oid = dsc.objoid AND a.attnum = dsc.objsubid
            LEFT OUTER JOIN pg_depend dep ON dep.refobjid = a.attrelid AND dep.deptype = 'i' AND dep.refobjsubid = a.attnum
            WHERE NOT a.attisdropped AND c.relkind NOT IN ('i', 'I', 'c') AND c.oid = 't'::regclass AND a.attnum > 0
        SELECT i.indkey, c.relname, tc.relname, dsc.description, pg_catalog.pg_get_expr(i.indpred, i.indrelid),
            pg_catalog.pg_relation_size(i.indexrelid) >= 0, coalesce(pg_catalog.pg_stat_get_numscans(i.indexrelid), 0) >= 0
            FROM pg_catalog.pg_index i INNER JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
            INNER JOIN pg_catalog.pg_class tc ON tc.oid = i.indrelid
            LEFT OUTER JOIN pg_catalog.pg_description dsc ON i.indexrelid = dsc.objoid WHERE i.indrelid = 'u'::regclass
        SELECT relname, pg_total_relation_size(oid) >= 0, pg_size_pretty(pg_table_size(oid)) <> '', pg_indexes_size(oid) >= 0
            FROM pg_class WHERE relname = 't'""",
    "Prisma": """
        SELECT tbl.relname, namespace.nspname, (tbl.relhassubclass AND tbl.relkind = 'p'), tbl.relrowsecurity, reloptions,
            obj_description(tbl.oid, 'pg_class') FROM pg_class AS tbl INNER JOIN pg_namespace AS namespace
            ON namespace.oid = tbl.relnamespace WHERE tbl.relkind IN ('r', 'p') AND namespace.nspname = ANY ('{public}')
        SELECT oid.namespace, info.table_name, info.column_name, format_type(att.atttypid, att.atttypmod), info.numeric_precision,
            info.udt_name, pg_get_expr(attdef.adbin, attdef.adrelid), info.is_nullable, col_description(att.attrelid, ordinal_position)
            FROM information_schema.columns info JOIN pg_attribute att ON att.attname = info.column_name
            JOIN (SELECT pg_class.oid, relname, pg_namespace.nspname AS namespace FROM pg_class JOIN pg_namespace
            ON pg_namespace.oid = pg_class.relnamespace AND pg_namespace.nspname = ANY ('{public}') WHERE reltype > 0) AS oid
            ON oid.oid = att.attrelid AND relname = info.table_name AND namespace = info.table_schema
            LEFT OUTER JOIN pg_attrdef attdef ON attdef.adrelid = att.attrelid AND attdef.adnum = att.attnum
            WHERE table_schema = ANY ('{public}')
        WITH rawindex AS (SELECT indrelid, indexrelid, indisunique, indisprimary, unnest(indkey) AS indkeyid,
            generate_subscripts(indkey, 1) AS indkeyidx, unnest(indoption) AS indoption FROM pg_index WHERE indpred IS NULL)
            SELECT indexinfo.relname, tableinfo.relname, columninfo.attname, indisunique, indisprimary, indkeyidx,
            CASE indoption & 1 WHEN 1 THEN 'DESC' ELSE 'ASC' END FROM rawindex
            INNER JOIN pg_class AS tableinfo ON tableinfo.oid = rawindex.indrelid
            INNER JOIN pg_class AS indexinfo ON indexinfo.oid = rawindex.indexrelid
            LEFT JOIN pg_attribute AS columninfo ON columninfo.attrelid = tableinfo.oid AND columninfo.attnum = rawindex.indkeyid
            WHERE tableinfo.relnamespace = 'public'::regnamespace
        SELECT t.typname, e.enumlabel, n.nspname FROM pg_type t JOIN pg_enum e ON t.oid = e.enumtypid
            JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace WHERE n.nspname = ANY ('{public}')""",
    "Rails": """
        SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.atttypmod, c.collname,
            col_description(a.attrelid, a.attnum), attidentity, attgenerated FROM pg_attribute a
            LEFT JOIN pg_type t ON a.atttypid = t.oid
            LEFT JOIN pg_collation c ON a.attcollation = c.oid AND a.attcollation <> t.typcollation
            WHERE a.attrelid = '"u"'::regclass AND a.attnum > 0 AND NOT a.attisdropped
        SELECT a.attname, i.idx FROM (SELECT indrelid, indkey, generate_subscripts(indkey, 1) idx FROM pg_index
            WHERE indrelid = '"u"'::regclass AND indisprimary) i
            JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[i.idx]
        SELECT DISTINCT i.relname, d.indisunique, d.indkey, pg_catalog.obj_description(i.oid, 'pg_class'), d.indisvalid
            FROM pg_class t INNER JOIN pg_index d ON t.oid = d.indrelid INNER JOIN pg_class i ON d.indexrelid = i.oid
            LEFT JOIN pg_namespace n ON n.oid = t.relnamespace
            WHERE i.relkind IN ('i', 'I') AND t.relname = 'u' AND n.nspname = ANY (current_schemas(false))""",
    "Django": """
        SELECT c.conname, array(SELECT attname FROM unnest(c.conkey) WITH ORDINALITY cols (colid, arridx)
            JOIN pg_attribute AS ca ON cols.colid = ca.attnum WHERE ca.attrelid = c.conrelid ORDER BY cols.arridx), c.contype
            FROM pg_constraint AS c JOIN pg_class AS cl ON c.conrelid = cl.oid
            WHERE cl.relname = 'u' AND pg_catalog.pg_table_is_visible(cl.oid)
        SELECT c.relname, CASE WHEN c.relispartition THEN 'p' WHEN c.relkind IN ('m', 'v') THEN 'v' ELSE 't' END,
            obj_description(c.oid, 'pg_class') FROM pg_catalog.pg_class c
            LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('f', 'm', 'p', 'r', 'v')
            AND n.nspname = 'public' AND pg_catalog.pg_table_is_visible(c.oid)""",
    "Sequelize": """
        SELECT i.relname, ix.indisprimary, ix.indisunique, ix.indkey FROM pg_class t, pg_class i, pg_index ix
            WHERE t.oid = ix.indrelid AND i.oid = ix.indexrelid AND t.relkind = 'r' AND t.relname = 'u'
        SELECT c.column_name, (SELECT pgd.description FROM pg_catalog.pg_statio_all_tables AS st
            INNER JOIN pg_catalog.pg_description pgd ON pgd.objoid = st.relid
            WHERE c.ordinal_position = pgd.objsubid AND c.table_name = st.relname) FROM information_schema.columns c
            WHERE c.table_name = 't' AND c.table_schema = 'public'""",
    "anybody": """
        SELECT query, state FROM pg_stat_activity WHERE pid = pg_backend_pid()
        SELECT inet_server_port() IS NULL OR inet_server_port() > 0
        SELECT privilege_type FROM information_schema.table_privileges WHERE table_name = 't' AND privilege_type NOT IN ('TRIGGER', 'REFERENCES')
        SELECT privilege_type FROM information_schema.role_table_grants WHERE table_name = 'metric' AND privilege_type LIKE '%E'
        SELECT relname, n_live_tup > 0 FROM pg_stat_user_tables WHERE relname = 't'
        SELECT classid, objid FROM pg_depend WHERE false UNION ALL SELECT 'pg_class'::regclass AS classid, amopopr FROM pg_amop WHERE false
        SELECT indkey = '2 1', '1 2' = indkey, indkey::text, indkey[0] FROM pg_index WHERE indrelid = 'u'::regclass
        SELECT array_agg(atttypid::regtype ORDER BY attnum) FROM pg_attribute WHERE attrelid = 't'::regclass AND attname IN ('a', 'b', 'c')
        SELECT '{t,pg_class}'::regclass[], ARRAY['int4'::regtype] = '{integer}', 't'::regclass = ANY ('{t,u}'::regclass[]), ARRAY['text'::regtype]
        SELECT ARRAY[23, 25]::oid[]::regtype[] UNION ALL SELECT '{bool}'
        SELECT street.attname, street.atttypid::regtype::text FROM pg_type t JOIN pg_class c ON c.reltype = t.oid
            JOIN pg_attribute street ON street.attrelid = c.oid WHERE t.typname = 'place'""",
}
OPENED = """pg_rules pg_policies pg_stats pg_replication_slots pg_publication_tables pg_stat_user_indexes pg_stat_all_indexes
    pg_stat_replication pg_stat_user_functions pg_stat_all_tables pg_statio_user_tables pg_transform pg_init_privs pg_largeobject
    pg_statistic pg_seclabel pg_shseclabel pg_user_mapping pg_subscription_rel information_schema.foreign_tables
    information_schema.triggered_update_columns information_schema.usage_privileges information_schema.column_options""".split()


def split(text):
    """A query begins at the least indentation, and goes on at more."""
    queries = []
    for line in filter(str.strip, text.splitlines()):
        if line.startswith(" " * 12):
            queries[-1] += " " + line.strip()
        else:
            queries.append(line.strip())
    return queries


def as_text(value):
    """PostgreSQL's arrays of regtype come as text, kappa's as arrays of texts."""
    return "{" + ",".join(map(str, value)) + "}" if isinstance(value, list) else value


def answers(connection):
    connection.autocommit = True
    with connection.cursor() as cursor:
        for statement in DECLARED:
            cursor.execute(statement)
        for tool, text in QUERIES.items():
            for query in split(text):
                cursor.execute(query)
                yield tool, query, sorted((tuple(map(as_text, row)) for row in cursor.fetchall()), key=str)


def columns(connection, table):
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {table} LIMIT 0")
        return [column.name for column in cursor.description]


server = postgres.Postgres()
try:
    oracle = server.connect()
    for (tool, query, ours), (_, _, theirs) in zip(answers(connection), answers(oracle), strict=True):
        assert ours == theirs, f"{tool}: {query}\n  kappa      {ours}\n  PostgreSQL {theirs}"
    for table in OPENED:
        expect(columns(connection, table), columns(oracle, table))
finally:
    server.close()
