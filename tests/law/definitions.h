/*
 * For law_test.c only: what is defined, changed and dropped between the writes, as a table: types, domains, tables and
 * views of their own. %I: an id, %N: a number.
 */
#ifndef KP_TESTS_LAW_DEFINITIONS_H
#define KP_TESTS_LAW_DEFINITIONS_H

#include "tests/law/forms.h"

static struct form_table definitions = {
    .name = "definitions",
    .text =
        "b . . CREATE TYPE d1 AS ENUM ('a', 'b', 'c')\n"
        "b . . CREATE TYPE d2 AS (x integer, y text)\n"
        "b . . CREATE DOMAIN d3 AS integer CHECK (VALUE < 1000)\n"
        "b . . CREATE TABLE dt1 (id integer PRIMARY KEY, e d1, n integer)\n"
        "b . . CREATE TABLE dt2 (id integer PRIMARY KEY, r d2, n d3, z integer DEFAULT 7, v d3[])\n"
        "b . . CREATE TABLE dt3 (n integer, t text)\n"
        "b . . INSERT INTO dt1 VALUES (%I, 'b', %N), (%I + 1000, 'c', %N)\n"
        "b . . INSERT INTO dt1 (id, e) VALUES (%I, 'a') ;; INSERT INTO dt1 (id, e) VALUES (%I, 'new')\n"
        "b . . INSERT INTO dt2 (id, r, n) VALUES (%I, ROW(%N, 'y'), %N)\n"
        "b . . INSERT INTO dt2 (id, n) SELECT id, n FROM dt1 ON CONFLICT DO NOTHING\n"
        "b . . INSERT INTO dt3 VALUES (%N, 'x'), (%N, 'x'), (%N, NULL), (NULL, 'x')\n"
        "b . . INSERT INTO dt3 SELECT n, 'y' FROM dt1\n"
        "b . . UPDATE dt3 SET n = n + 1 WHERE t = 'x' ;; UPDATE dt3 SET t = 'z' WHERE n < 0\n"
        "b . . DELETE FROM dt3 WHERE n % 3 = 0 ;; UPDATE dt3 SET n = b.n FROM dt1 AS b WHERE dt3.n = b.id\n"
        "b . . UPDATE dt2 SET v = ARRAY[%N, n] WHERE id % 2 = 1 ;; UPDATE dt2 SET v[2] = %N * 200 WHERE v IS NOT NULL "
        ";; "
        "UPDATE dt2 SET v = '{NULL,%N}' WHERE n = %N\n"
        "b . . UPDATE dt1 SET n = n + 1, e = 'b' WHERE id % 2 = 0 ;; DELETE FROM dt2 WHERE id % 3 = 0\n"
        "b . . CREATE MATERIALIZED VIEW dv1 AS SELECT e, count(*) AS n, sum(n) AS s FROM dt1 GROUP BY e\n"
        "b . . CREATE MATERIALIZED VIEW dv2 AS SELECT a.id, (b.r).x AS x, b.z, b.v[1] AS v FROM dt1 AS a JOIN dt2 AS b "
        "ON a.id "
        "= b.id\n"
        "b . . CREATE MATERIALIZED VIEW dv3 AS SELECT max(e) AS e, count(*) AS n FROM dv1\n"
        "b . . CREATE VIEW dv4 AS SELECT id, n FROM dt2 WHERE n > 0\n"
        "b . . CREATE OR REPLACE VIEW dv4 AS SELECT id, n FROM dt2 WHERE n < 5\n"
        "b . . CREATE MATERIALIZED VIEW dv5 AS SELECT * FROM dt1 WHERE e >= 'b'\n"
        "b . . CREATE MATERIALIZED VIEW dv6 AS SELECT n, count(*) AS c, count(t) AS t, max(t) AS m FROM dt3 GROUP BY "
        "n\n"
        "b . . CREATE MATERIALIZED VIEW dv7 AS SELECT a.n, a.t, b.id FROM dt3 AS a LEFT JOIN dt1 AS b ON a.n = b.id\n"
        "b . . DROP MATERIALIZED VIEW dv1 ;; DROP MATERIALIZED VIEW IF EXISTS dv1 CASCADE\n"
        "b . . DROP MATERIALIZED VIEW dv2 ;; DROP MATERIALIZED VIEW dv3 ;; DROP MATERIALIZED VIEW dv5 ;; DROP VIEW "
        "dv4\n"
        "b . . DROP MATERIALIZED VIEW dv6 ;; DROP MATERIALIZED VIEW dv7\n"
        "b . . ALTER TYPE d1 ADD VALUE 'new' BEFORE 'b' ;; ALTER TYPE d1 ADD VALUE IF NOT EXISTS 'last'\n"
        "b . . ALTER TYPE d1 RENAME VALUE 'a' TO 'z' ;; ALTER TYPE d1 RENAME VALUE 'z' TO 'a'\n"
        "b . . DROP TYPE d1 ;; DROP TYPE d2 ;; DROP DOMAIN d3 ;; DROP TYPE IF EXISTS d1\n"
        "b . . ALTER TABLE dt2 ADD COLUMN w text ;; ALTER TABLE dt2 DROP COLUMN w ;; ALTER TABLE dt2 RENAME COLUMN "
        "z TO y ;; ALTER TABLE dt2 RENAME COLUMN y TO z\n"
        "b . . ALTER TABLE dt1 ADD COLUMN w integer DEFAULT %N ;; UPDATE dt1 SET w = w + n WHERE id % 2 = 1\n"
        "b . . ALTER TABLE dt1 ADD COLUMN IF NOT EXISTS q text NOT NULL DEFAULT 'q', ADD COLUMN IF NOT EXISTS m d1\n"
        "b . . ALTER TABLE dt1 DROP COLUMN w ;; ALTER TABLE dt1 DROP COLUMN IF EXISTS q ;; ALTER TABLE dt1 DROP COLUMN "
        "n\n"
        "b . . ALTER TABLE dt3 ADD COLUMN n2 integer DEFAULT %N ;; ALTER TABLE dt3 RENAME COLUMN n2 TO n3 ;; INSERT "
        "INTO "
        "dt3 (n, n3) VALUES (%N, %N)\n"
        "b . . ALTER TABLE dt3 DROP COLUMN n2 ;; ALTER TABLE dt3 DROP COLUMN n3 ;; ALTER TABLE dt3 ADD COLUMN n2 d3[]\n"
        "b . . ALTER TABLE dt3 ALTER COLUMN t SET NOT NULL ;; ALTER TABLE dt3 ALTER COLUMN t DROP NOT NULL ;; ALTER "
        "TABLE "
        "dt3 ALTER COLUMN t SET DEFAULT 'd'\n"
        "b . . ALTER TABLE dt3 ADD CONSTRAINT c1 CHECK (n > %N) ;; ALTER TABLE dt3 DROP CONSTRAINT c1\n"
        "b . . CREATE MATERIALIZED VIEW dv8 AS SELECT w, count(*) AS n FROM dt1 GROUP BY w ;; CREATE MATERIALIZED VIEW "
        "dv9 AS SELECT * FROM dt3 WHERE n > 0\n"
        "b . . DROP MATERIALIZED VIEW dv8 ;; DROP MATERIALIZED VIEW dv9\n"
        "b . . ALTER DOMAIN d3 ADD CONSTRAINT least CHECK (VALUE > -1000) ;; ALTER DOMAIN d3 DROP CONSTRAINT least\n"
        "b . . DROP TABLE dt1 ;; DROP TABLE dt2 ;; DROP TABLE dt3 ;; DROP TABLE dt3 CASCADE ;; DROP TABLE IF EXISTS "
        "dt1 CASCADE ;; DROP TABLE dt2 CASCADE\n",
};

#endif
