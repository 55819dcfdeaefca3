"""information_schema of domains, composite types, functions and what is around them: the rows that PostgreSQL 15 gives for the
same statements, where it is installed; else those that it gave."""
import os
import sys

import psycopg2

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import postgres

MAKE = [
    "CREATE DOMAIN few AS numeric(6,2) NOT NULL DEFAULT 3.25 CHECK (VALUE < 10) CONSTRAINT above CHECK (VALUE > 0)",
    "CREATE DOMAIN word AS varchar(7)",
    "CREATE TYPE pair AS (a int, b text[], w word, t timestamp(3))",
    "CREATE TYPE mood AS ENUM ('sad', 'ok')",
    "CREATE FUNCTION twice(x int, y text DEFAULT 'a') RETURNS bigint LANGUAGE sql IMMUTABLE STRICT AS 'SELECT x::bigint'",
    "CREATE FUNCTION rows_of() RETURNS SETOF int LANGUAGE sql AS 'SELECT 1'",
    "CREATE TABLE held (k int PRIMARY KEY, s few, p pair, m mood, v varchar(5), n numeric(4,1), CONSTRAINT large CHECK (k > 0))",
    "CREATE VIEW shown AS SELECT k, s FROM held",
]

QUERIES = {
    "SELECT domain_schema, domain_name, data_type, character_maximum_length, character_octet_length, numeric_precision, numeric_scale,"
    " domain_default, udt_schema, udt_name, dtd_identifier FROM information_schema.domains WHERE domain_schema = 'public' ORDER BY 2":
    [("public", "few", "numeric", None, None, 6, 2, "3.25", "pg_catalog", "numeric", "1"),
     ("public", "word", "character varying", 7, 28, None, None, None, "pg_catalog", "varchar", "1")],
    "SELECT constraint_name, domain_name, is_deferrable, initially_deferred FROM information_schema.domain_constraints"
    " WHERE domain_schema = 'public' ORDER BY 1":
    [("above", "few", "NO", "NO"), ("few_check", "few", "NO", "NO")],
    "SELECT domain_name, udt_schema, udt_name FROM information_schema.domain_udt_usage WHERE domain_schema = 'public' ORDER BY 1":
    [("few", "pg_catalog", "numeric"), ("word", "pg_catalog", "varchar")],
    "SELECT domain_name, table_schema, table_name, column_name FROM information_schema.column_domain_usage"
    " WHERE table_name = 'held' ORDER BY 4": [("few", "public", "held", "s")],
    "SELECT udt_name, attribute_name, ordinal_position, is_nullable, data_type, character_maximum_length, numeric_precision,"
    " datetime_precision, attribute_udt_schema, attribute_udt_name, dtd_identifier FROM information_schema.attributes"
    " WHERE udt_schema = 'public' ORDER BY 1, 3":
    [("pair", "a", 1, "YES", "integer", None, 32, None, "pg_catalog", "int4", "1"),
     ("pair", "b", 2, "YES", "ARRAY", None, None, None, "pg_catalog", "_text", "2"),
     ("pair", "w", 3, "YES", "USER-DEFINED", 7, None, None, "public", "word", "3"),
     ("pair", "t", 4, "YES", "timestamp without time zone", None, None, 3, "pg_catalog", "timestamp", "4")],
    "SELECT user_defined_type_name, user_defined_type_category, is_instantiable FROM information_schema.user_defined_types"
    " WHERE user_defined_type_schema = 'public'": [("pair", "STRUCTURED", "YES")],
    "SELECT routine_schema, routine_name, routine_type, data_type, type_udt_schema, type_udt_name, routine_body, routine_definition,"
    " external_language, is_deterministic, is_null_call, security_type FROM information_schema.routines"
    " WHERE routine_schema = 'public' ORDER BY 2":
    [("public", "rows_of", "FUNCTION", "integer", "pg_catalog", "int4", "SQL", "SELECT 1", "SQL", "NO", "NO", "INVOKER"),
     ("public", "twice", "FUNCTION", "bigint", "pg_catalog", "int8", "SQL", "SELECT x::bigint", "SQL", "YES", "YES", "INVOKER")],
    "SELECT constraint_name, constraint_type FROM information_schema.table_constraints WHERE table_name = 'held'"
    " AND constraint_name !~ 'not_null' ORDER BY 1": [("held_pkey", "PRIMARY KEY"), ("large", "CHECK")],
    "SELECT column_name, ordinal_position, data_type, domain_name, udt_schema, udt_name, character_maximum_length, numeric_precision,"
    " numeric_scale, is_nullable FROM information_schema.columns WHERE table_name = 'held' ORDER BY 2":
    [("k", 1, "integer", None, "pg_catalog", "int4", None, 32, 0, "NO"),
     ("s", 2, "numeric", "few", "pg_catalog", "numeric", None, 6, 2, "NO"),
     ("p", 3, "USER-DEFINED", None, "public", "pair", None, None, None, "YES"),
     ("m", 4, "USER-DEFINED", None, "public", "mood", None, None, None, "YES"),
     ("v", 5, "character varying", None, "pg_catalog", "varchar", 5, None, None, "YES"),
     ("n", 6, "numeric", None, "pg_catalog", "numeric", None, 4, 1, "YES")],
}


def walk(connection):
    connection.autocommit = True
    cursor = connection.cursor()
    for statement in MAKE:
        cursor.execute(statement)
    for query, wanted in QUERIES.items():
        cursor.execute(query)
        got = cursor.fetchall()
        assert got == wanted, "%s\ngot    %r\nwanted %r" % (query, got, wanted)
    connection.close()


if postgres.installed():
    oracle = postgres.Postgres()
    try:
        walk(oracle.connect())
    finally:
        oracle.close()
walk(psycopg2.connect(""))
print("information_schema: ok")
