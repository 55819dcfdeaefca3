/*
 * A definition of the log that this kappa refuses fails alone: at each kind of object, also when its text does not
 * parse; what reads it fails with the reason; the rest serves; DROP takes it, CREATE OR REPLACE mends it; and all of it
 * again after restarts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "db/statements_test.h"

static void begin(struct fixture *fixture)
{
    *fixture = (struct fixture){.dir = "/tmp/kappa-failed-test-XXXXXX", .options = {.unsafe_no_sync = true}};
    assert_non_null(mkdtemp(fixture->dir));
    open_db(fixture);
    must(fixture, "CREATE TABLE t (id int PRIMARY KEY, a int); INSERT INTO t VALUES (1, 10), (2, 20);"
                  "CREATE MATERIALIZED VIEW sound AS SELECT sum(a) AS s FROM t");
}

static void end(struct fixture *fixture)
{
    char command[128];
    close_db(fixture);
    snprintf(command, sizeof command, "rm -rf %s", fixture->dir);
    assert_int_equal(system(command), 0);
}

static void reopen(struct fixture *fixture)
{
    close_db(fixture);
    open_db(fixture);
}

/* The statement's rows, or its error, contain that. */
static void gives(struct fixture *fixture, const char *sql, const char *wanted)
{
    struct kp_buf out = {0};
    run(fixture, sql, &out);
    if (!strstr((const char *)out.data, wanted))
        fail_msg("%s\n  gives  %s\n  wanted %s", sql, (char *)out.data, wanted);
    kp_buf_finish(&out);
}

static void serves(struct fixture *fixture)
{
    gives(fixture, "SELECT s FROM sound", "30\n");
    gives(fixture, "SELECT state FROM kappa.views WHERE name = 'sound'", "ready");
}

static const struct {
    const char *kind, *name;
    const char *refused; /* what the log has */
    const char *reader;  /* made over it by the kappa that took it; NULL: nothing */
    const char *read;    /* a query of the reader */
    const char *mended;
    const char *answer;
    const char *drop;
} objects[] = {
    {"materialized view", "v", "CREATE MATERIALIZED VIEW v AS SELECT a FROM t QUALIFY a > 1",
     "CREATE MATERIALIZED VIEW w AS SELECT a + 1 AS b FROM v", "SELECT sum(b) FROM w",
     "CREATE OR REPLACE MATERIALIZED VIEW v AS SELECT a FROM t", "32\n", "DROP MATERIALIZED VIEW v"},
    {"materialized view", "v", "CREATE MATERIALIZED VIEW v AS SELECT no_such_function(a) AS a FROM t",
     "CREATE MATERIALIZED VIEW w AS SELECT a + 1 AS b FROM v", "SELECT sum(b) FROM w",
     "CREATE OR REPLACE MATERIALIZED VIEW v AS SELECT a FROM t", "32\n", "DROP MATERIALIZED VIEW v"},
    {"view", "v", "CREATE VIEW v AS SELECT no_such_column AS a FROM t",
     "CREATE MATERIALIZED VIEW w AS SELECT a + 1 AS b FROM v", "SELECT sum(b) FROM w",
     "CREATE OR REPLACE VIEW v AS SELECT a FROM t", "32\n", "DROP VIEW v"},
    {"table", "k", "CREATE TABLE k (id int PRIMARY KEY, n no_such_type)",
     "CREATE MATERIALIZED VIEW w AS SELECT n FROM k", "SELECT count(n) FROM w",
     "CREATE OR REPLACE TABLE k (id int PRIMARY KEY, n int)", "0\n", "DROP TABLE k"},
    {"source", "s", "CREATE SOURCE s (n int) WITH (topic = 's', no_such_option = '1')",
     "CREATE MATERIALIZED VIEW w AS SELECT n FROM s", "SELECT count(n) FROM w",
     "CREATE OR REPLACE SOURCE s (n int) WITH (topic = 's')", "0\n", "DROP SOURCE s"},
    {"type", "mood", "CREATE TYPE mood AS ENUM ('sad', 'sad')",
     "CREATE MATERIALIZED VIEW w AS SELECT 'sad'::mood AS m FROM t", "SELECT count(m) FROM w",
     "CREATE OR REPLACE TYPE mood AS ENUM ('sad', 'glad')", "2\n", "DROP TYPE mood"},
    {"domain", "d", "CREATE DOMAIN d AS no_such_type", "CREATE MATERIALIZED VIEW w AS SELECT a::d AS m FROM t",
     "SELECT sum(m) FROM w", "CREATE OR REPLACE DOMAIN d AS int", "30\n", "DROP DOMAIN d"},
    {"function", "f", "CREATE FUNCTION f(x int) RETURNS int LANGUAGE sql AS 'SELECT no_such_function(x)'",
     "CREATE MATERIALIZED VIEW w AS SELECT f(a) AS m FROM t", "SELECT sum(m) FROM w",
     "CREATE OR REPLACE FUNCTION f(x int) RETURNS int LANGUAGE sql AS 'SELECT x + 1'", "32\n", "DROP FUNCTION f(int)"},
};

static void text(char *out, size_t bytes, const char *before, const char *name, const char *behind)
{
    snprintf(out, bytes, "%s%s%s", before, name, behind);
}

/* It is listed, what reads it says why, the rest serves. */
static void has_failed(struct fixture *fixture, size_t i)
{
    char sql[300];
    serves(fixture);
    text(sql, sizeof sql, "SELECT kind FROM kappa.failed_definitions WHERE error IS NOT NULL AND name LIKE '",
         objects[i].name, "%'");
    gives(fixture, sql, objects[i].kind);
    gives(fixture, "SELECT kind FROM kappa.failed_definitions WHERE name = 'w'", "materialized view");
    gives(fixture, "SELECT state, error FROM kappa.views WHERE name = 'w'", "failed,");
    gives(fixture, objects[i].read, "materialized view \"w\" failed: ");
    text(sql, sizeof sql, "", objects[i].kind, " \"");
    gives(fixture, objects[i].read, sql);
    gives(fixture, "EXPLAIN MATERIALIZED VIEW w", "materialized view \"w\" failed: ");
    gives(fixture, "EXPLAIN ANALYZE MATERIALIZED VIEW w", "materialized view \"w\" failed: ");
    gives(fixture, "SUBSCRIBE TO w", "materialized view \"w\" failed: ");
    gives(fixture, "CREATE MATERIALIZED VIEW w AS SELECT 1 AS one", "already exists");
    gives(fixture, objects[i].drop, "because other objects depend on it");
}

static void fail_one(struct fixture *fixture, size_t i)
{
    begin(fixture);
    put_record(fixture, objects[i].refused);
    put_record(fixture, objects[i].reader);
    reopen(fixture);
    has_failed(fixture, i);
}

static void each_kind_fails_alone(void **state)
{
    struct fixture fixture;
    char sql[300];
    for (size_t i = 0; i < KP_COUNT(objects); i++) {
        fail_one(&fixture, i);
        reopen(&fixture);
        has_failed(&fixture, i);
        text(sql, sizeof sql, "", objects[i].drop, " CASCADE");
        must(&fixture, sql);
        for (int again = 0; again < 2; again++, reopen(&fixture)) {
            gives(&fixture, "SELECT count(*), string_agg(name || error, ',') FROM kappa.failed_definitions",
                  "0,null\n");
            serves(&fixture);
        }
        end(&fixture);
    }
}

static void each_kind_is_mended(void **state)
{
    struct fixture fixture;
    for (size_t i = 0; i < KP_COUNT(objects); i++) {
        fail_one(&fixture, i);
        must(&fixture, objects[i].mended);
        for (int again = 0; again < 3; again++, reopen(&fixture)) {
            gives(&fixture, "SELECT count(*), string_agg(name || error, ',') FROM kappa.failed_definitions",
                  "0,null\n");
            await(&fixture, objects[i].read, objects[i].answer);
            serves(&fixture);
        }
        gives(&fixture, objects[i].mended,
              objects[i].drop[5] == 'F' || objects[i].drop[5] == 'V' ? "" : "already exists");
        end(&fixture);
    }
}

/* What was replaced was taken by this kappa: the log of one that refused it. */
static void taken_again(void **state)
{
    struct fixture fixture;
    begin(&fixture);
    must(&fixture, "CREATE MATERIALIZED VIEW v AS SELECT a FROM t WHERE a > 10;"
                   "CREATE MATERIALIZED VIEW w AS SELECT sum(a) AS s FROM v; CREATE VIEW p AS SELECT s FROM w;"
                   "CREATE SINK k FROM w WITH (topic = 'out')");
    put_record(&fixture, "CREATE OR REPLACE MATERIALIZED VIEW v AS SELECT a FROM t");
    for (int again = 0; again < 2; again++) {
        reopen(&fixture);
        gives(&fixture, "SELECT count(*), string_agg(name || error, ',') FROM kappa.failed_definitions", "0,null\n");
        gives(&fixture, "SELECT s FROM p", "30\n");
        gives(&fixture, "SELECT state FROM kappa.sinks", "running");
        serves(&fixture);
    }
    end(&fixture);
}

/* Over one another, with a plain view between and a sink behind. */
static void chains_fail(void **state)
{
    struct fixture fixture;
    begin(&fixture);
    must(&fixture, "CREATE TOPIC out");
    put_record(&fixture, "CREATE TYPE mood AS ENUM ('sad', 'sad')");
    put_record(&fixture, "CREATE FUNCTION f(x mood) RETURNS text LANGUAGE sql AS 'SELECT x::text'");
    put_record(&fixture, "CREATE VIEW p AS SELECT f('sad'::mood) AS m FROM t");
    put_record(&fixture, "CREATE MATERIALIZED VIEW v AS SELECT m FROM p");
    put_record(&fixture, "CREATE MATERIALIZED VIEW w AS SELECT count(m) AS n FROM v");
    put_record(&fixture, "CREATE SINK k FROM w WITH (topic = 'out')");
    reopen(&fixture);
    gives(&fixture, "SELECT count(*) FROM kappa.failed_definitions", "6\n");
    gives(&fixture, "SELECT n FROM w", "type \"mood\" failed: ");
    serves(&fixture);
    gives(&fixture, "DROP TYPE mood", "because other objects depend on it");
    must(&fixture, "CREATE OR REPLACE TYPE mood AS ENUM ('sad')");
    gives(&fixture, "SELECT n FROM w", "2\n");
    gives(&fixture, "SELECT name, error FROM kappa.failed_definitions",
          "k,it goes on when the server is started again\n");
    reopen(&fixture);
    gives(&fixture, "SELECT count(*), string_agg(name || error, ',') FROM kappa.failed_definitions", "0,null\n");
    gives(&fixture, "SELECT n FROM w", "2\n");
    await(&fixture, "SELECT state, rows FROM kappa.sinks", "running,1\n");
    must(&fixture, "DROP TYPE mood CASCADE");
    reopen(&fixture);
    serves(&fixture);
    end(&fixture);
}

/* A sink's own definition; another one follows the same view. */
static void sinks_fail(void **state)
{
    struct fixture fixture;
    begin(&fixture);
    must(&fixture, "CREATE TOPIC out; CREATE SINK k2 FROM sound WITH (topic = 'out2')");
    put_record(&fixture, "CREATE SINK k FROM sound WITH (topic = 'out', no_such_option = '1')");
    reopen(&fixture);
    serves(&fixture);
    gives(&fixture, "SELECT name, kind FROM kappa.failed_definitions", "k,sink\n");
    gives(&fixture, "DROP MATERIALIZED VIEW sound", "because other objects depend on it");
    must(&fixture, "CREATE OR REPLACE SINK k FROM sound WITH (topic = 'out')");
    for (int again = 0; again < 2; again++, reopen(&fixture))
        await(&fixture, "SELECT count(*) FROM kappa.sinks WHERE state = 'running'", "2\n");
    await(&fixture, "SELECT sum(records) FROM kappa.topics WHERE name = 'out'", "1\n");
    must(&fixture, "DROP SINK k");
    end(&fixture);
}

/* The version before goes on. */
static void versions_fail(void **state)
{
    struct fixture fixture;
    begin(&fixture);
    must(&fixture,
         "CREATE MATERIALIZED VIEW v AS SELECT a FROM t; CREATE MATERIALIZED VIEW w AS SELECT sum(a) AS s FROM v");
    put_record(&fixture, "ALTER MATERIALIZED VIEW v AS SELECT no_such_function(a) AS a FROM t");
    reopen(&fixture);
    gives(&fixture, "SELECT s FROM w", "30\n");
    gives(&fixture, "SELECT name, version, promoted FROM kappa.failed_definitions ORDER BY 1", "v,2,f\nw,2,f\n");
    gives(&fixture, "ALTER MATERIALIZED VIEW v PROMOTE", "materialized view \"v\" failed: ");
    must(&fixture, "ALTER MATERIALIZED VIEW v AS SELECT a + 1 AS a FROM t");
    must(&fixture, "ALTER MATERIALIZED VIEW v PROMOTE");
    for (int again = 0; again < 2; again++, reopen(&fixture)) {
        gives(&fixture, "SELECT s FROM w", "32\n");
        gives(&fixture, "SELECT count(*), string_agg(name || error, ',') FROM kappa.failed_definitions", "0,null\n");
    }
    put_record(&fixture, "ALTER MATERIALIZED VIEW v AS SELECT a FROM t QUALIFY a");
    put_record(&fixture, "ALTER MATERIALIZED VIEW v PROMOTE");
    reopen(&fixture);
    gives(&fixture, "SELECT s FROM w", "materialized view \"w\" failed: ");
    must(&fixture, "ALTER MATERIALIZED VIEW v AS SELECT a FROM t; ALTER MATERIALIZED VIEW v PROMOTE");
    gives(&fixture, "SELECT s FROM w", "30\n");
    reopen(&fixture);
    gives(&fixture, "SELECT s FROM w", "30\n");
    end(&fixture);
}

/* ALTER TYPE that is refused: the type fails, and with it what was made before. */
static void altered_types_fail(void **state)
{
    struct fixture fixture;
    begin(&fixture);
    must(&fixture, "CREATE TYPE mood AS ENUM ('sad'); CREATE TABLE p (id serial PRIMARY KEY, m mood);"
                   "INSERT INTO p (m) VALUES ('sad'), ('sad'); CREATE MATERIALIZED VIEW w AS SELECT m FROM p");
    put_record(&fixture, "ALTER TYPE mood ADD VALUE 'glad' AMID 'sad'");
    reopen(&fixture);
    serves(&fixture);
    gives(&fixture, "SELECT * FROM w", "type \"mood\" failed: ");
    gives(&fixture, "INSERT INTO p (m) VALUES ('sad')", "table \"p\" failed: ");
    gives(&fixture, "DROP TYPE mood CASCADE", "would take table \"p\" with all its rows");
    must(&fixture, "CREATE OR REPLACE TYPE mood AS ENUM ('sad', 'glad')");
    must(&fixture, "INSERT INTO p (m) VALUES ('glad')");
    for (int again = 0; again < 2; again++, reopen(&fixture)) {
        gives(&fixture, "SELECT count(*) FROM w", "3\n");
        gives(&fixture, "SELECT count(DISTINCT id) FROM p", "3\n"); /* no number is given twice */
        serves(&fixture);
    }
    end(&fixture);
}

/* What it may need stays. */
static void records_stay(void **state)
{
    struct fixture fixture;
    begin(&fixture);
    must(&fixture, "CREATE TOPIC s; CREATE SOURCE s (n int) WITH (topic = 's');"
                   "INSERT INTO s VALUES (1); CREATE TOPIC free");
    put_record(&fixture, "CREATE MATERIALIZED VIEW v AS SELECT no_such_function(n) AS n FROM s");
    reopen(&fixture);
    gives(&fixture, "ALTER TOPIC s DELETE BEFORE END", "materialized view \"v\" failed, and may need them");
    put_record(&fixture, "CREATE MATERIALIZED VIEW v2 AS SELECT no_such_function(a) AS n FROM t");
    must(&fixture, "ALTER TOPIC t SET (cleanup = 'compact')");
    reopen(&fixture);
    gives(&fixture, "ALTER TOPIC t COMPACT", "materialized view \"v2\" failed, and may need them");
    must(&fixture, "ALTER TOPIC free DELETE BEFORE END; DROP MATERIALIZED VIEW v; ALTER TOPIC s DELETE BEFORE END");
    end(&fixture);
}

/* Another kappa, which took them, made what is behind them: it keeps its number, by which marks and bases know it. What
 * a word alone names is not read. */
static void numbers_stay(void **state)
{
    struct fixture fixture;
    begin(&fixture); /* numbers 1 and 2 */
    must(&fixture, "CREATE MATERIALIZED VIEW v AS SELECT a FROM t; CREATE VIEW p AS SELECT 1 AS one;"
                   "CREATE FUNCTION f(x int) RETURNS int LANGUAGE sql AS 'SELECT x + 1'"); /* 3, 4, 5 */
    put_record_that_says(&fixture, "CREATE MATERIALIZED VIEW x AS SELECT no_such_function(a) AS v FROM t", 7, "1");
    put_record_that_says(&fixture, "ALTER MATERIALIZED VIEW v AS SELECT no_such_function(a) AS a FROM t", 8, "1");
    put_record_that_says(&fixture, "CREATE OR REPLACE VIEW p AS SELECT no_such_function(1) AS one", 9, "");
    put_record_that_says(&fixture,
                         "CREATE OR REPLACE FUNCTION f(x no_such_type) RETURNS int LANGUAGE sql AS 'SELECT 1'", 10, "");
    put_record_that_says(&fixture, "CREATE MATERIALIZED VIEW y AS SELECT a FROM t", 11, "1");
    for (int again = 0; again < 2; again++) {
        reopen(&fixture);
        serves(&fixture);
        gives(&fixture, "SELECT oid FROM pg_class WHERE relname = 'y'", "10\n");
        gives(&fixture, "SELECT name, version FROM kappa.failed_definitions WHERE kind <> 'function' ORDER BY 1, 2",
              "p,1\nv,2\nx,1\n");
    }
    must(&fixture, "CREATE MATERIALIZED VIEW z AS SELECT a FROM y");
    gives(&fixture, "SELECT oid FROM pg_class WHERE relname = 'z'", "11\n");
    must(&fixture, "DROP MATERIALIZED VIEW v"); /* which x does not read */
    gives(&fixture, "DROP TABLE t", "because other objects depend on it");
    put_record_that_says(&fixture, "DROP MATERIALIZED VIEW y CASCADE", 0, "");
    reopen(&fixture);
    gives(&fixture, "SELECT name FROM kappa.failed_definitions WHERE kind = 'materialized view'", "x\n");
    gives(&fixture, "SELECT a FROM z", "does not exist");
    end(&fixture);
}

/* What this kappa writes says what it reads: so what fails tomorrow is known to read that. */
static enum kp_code check_record(struct kp_db *db, const struct kp_catalog_record *record, int64_t position,
                                 struct kp_error *err)
{
    static const struct {
        const char *begins;
        uint32_t next;
        const char *reads;
    } wanted[] = {{"CREATE TABLE t ", 2, ""},
                  {"CREATE MATERIALIZED VIEW s", 3, "1"},
                  {"CREATE VIEW p", 4, "1"},
                  {"CREATE TYPE mood", 5, ""},
                  {"CREATE MATERIALIZED VIEW v", 6, "3,4,1"},
                  {"CREATE SINK k", 7, "5"},
                  {"ALTER MATERIALIZED VIEW v", 8, "4,1"},
                  {"CREATE OR REPLACE VIEW q", 10, ""}};
    for (size_t i = 0; i < KP_COUNT(wanted); i++) {
        if (strncmp(record->text.ptr, wanted[i].begins, strlen(wanted[i].begins)) != 0)
            continue;
        char reads[32];
        snprintf(reads, sizeof reads, "%.*s", (int)record->reads.len, record->reads.ptr);
        assert_int_equal(record->next_relation, wanted[i].next);
        assert_string_equal(reads, wanted[i].reads);
    }
    return KP_OK;
}

static void records_say(void **state)
{
    struct fixture fixture;
    struct kp_error err;
    begin(&fixture);
    must(&fixture, "CREATE VIEW p AS SELECT a FROM t; CREATE TYPE mood AS ENUM ('sad');"
                   "CREATE MATERIALIZED VIEW v AS SELECT a, 'sad'::mood AS m FROM p;"
                   "CREATE SINK k FROM v WITH (topic = 'out');"
                   "ALTER MATERIALIZED VIEW v AS SELECT a, NULL::mood AS m FROM t;"
                   "CREATE VIEW q AS SELECT 1 AS a; CREATE OR REPLACE VIEW q AS SELECT 2 AS a");
    assert_int_equal(kp_catalog_log_read(fixture.db, check_record, &err), KP_OK);
    end(&fixture);
}

/* A living view is replaced by what is refused: it fails with all that reads it. */
static void replaced_by_refused(void **state)
{
    struct fixture fixture;
    begin(&fixture);
    must(&fixture, "CREATE MATERIALIZED VIEW v AS SELECT a FROM t; CREATE MATERIALIZED VIEW w AS SELECT a FROM v");
    put_record_that_says(&fixture, "CREATE OR REPLACE MATERIALIZED VIEW v AS SELECT no_such_function(a) FROM t", 5,
                         "1");
    for (int again = 0; again < 2; again++) {
        reopen(&fixture);
        serves(&fixture);
        gives(&fixture, "SELECT name FROM kappa.failed_definitions ORDER BY 1", "v\nw\n");
    }
    must(&fixture, "CREATE OR REPLACE MATERIALIZED VIEW v AS SELECT a + 1 AS a FROM t");
    gives(&fixture, "SELECT sum(a) FROM w", "32\n");
    end(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_kind_fails_alone), cmocka_unit_test(each_kind_is_mended),
                                       cmocka_unit_test(taken_again),           cmocka_unit_test(chains_fail),
                                       cmocka_unit_test(versions_fail),         cmocka_unit_test(altered_types_fail),
                                       cmocka_unit_test(records_stay),          cmocka_unit_test(sinks_fail),
                                       cmocka_unit_test(numbers_stay),          cmocka_unit_test(records_say),
                                       cmocka_unit_test(replaced_by_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
