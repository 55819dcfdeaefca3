/*
 * Which versions may read which: a definition that reads what reads its view is refused, as is a promotion or an ALTER
 * that would leave a version without what it reads; and a log from when they were not refused can be opened.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "db/statements_test.h"

static int make(void **state)
{
    static struct fixture fixture;
    fixture = (struct fixture){.dir = "/tmp/kappa-versions-test.XXXXXX"};
    assert_non_null(mkdtemp(fixture.dir));
    open_db(&fixture);
    must(&fixture, "CREATE TABLE t (a int PRIMARY KEY);"
                   "CREATE MATERIALIZED VIEW a1 AS SELECT a FROM t WHERE a > 10;"
                   "CREATE MATERIALIZED VIEW a2 AS SELECT a FROM a1 WHERE a > 20;"
                   "INSERT INTO t VALUES (15), (25), (35), (45)");
    *state = &fixture;
    return 0;
}

static int drop(void **state)
{
    struct fixture *fixture = *state;
    char command[100];
    close_db(fixture);
    snprintf(command, sizeof command, "rm -rf %s", fixture->dir);
    return system(command);
}

static void expect(struct fixture *fixture, const char *sql, const char *wanted)
{
    struct kp_buf out = {0};
    run(fixture, sql, &out);
    if (!strstr((const char *)out.data, wanted))
        fail_msg("%s: %s", sql, (char *)out.data);
    kp_buf_finish(&out);
}

static void reopen(struct fixture *fixture)
{
    close_db(fixture);
    open_db(fixture);
}

static void cycles(void **state)
{
    struct fixture *fixture = *state;
    const char *wanted = "infinite recursion detected in rules for relation \"a1\"";
    expect(fixture, "ALTER MATERIALIZED VIEW a1 AS SELECT a FROM a1", wanted);
    expect(fixture, "ALTER MATERIALIZED VIEW a1 AS SELECT a FROM a2", wanted);
    must(fixture, "CREATE VIEW p AS SELECT a FROM a2;"
                  "CREATE FUNCTION f(int) RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM a2 WHERE a > $1'");
    expect(fixture, "ALTER MATERIALIZED VIEW a1 AS SELECT a FROM p", wanted);
    expect(fixture, "ALTER MATERIALIZED VIEW a1 AS SELECT a FROM t WHERE f(a) > 1", wanted);
    must(fixture, "ALTER MATERIALIZED VIEW a2 AS SELECT a FROM t; ALTER MATERIALIZED VIEW a2 PROMOTE");
    expect(fixture, "ALTER MATERIALIZED VIEW a1 AS SELECT a FROM a2", wanted); /* ROLLBACK would close the circle */
    must(fixture, "ALTER MATERIALIZED VIEW a2 AS SELECT a FROM t WHERE a > 30;"
                  "ALTER MATERIALIZED VIEW a1 AS SELECT a FROM a2; ALTER MATERIALIZED VIEW a1 PROMOTE");
    reopen(fixture);
    expect(fixture, "SELECT count(*) FROM a1", "4\n");
}

static void old_log(void **state)
{
    struct fixture *fixture = *state;
    must(fixture, "CREATE MATERIALIZED VIEW over AS SELECT count(*) FROM a1");
    put_record(fixture, "ALTER MATERIALIZED VIEW a1 AS SELECT a FROM a2 WHERE a > 30");
    put_record(fixture, "ALTER MATERIALIZED VIEW a1 PROMOTE");
    put_record(fixture, "ALTER MATERIALIZED VIEW a2 AS SELECT a FROM t WHERE a > 40");
    put_record(fixture, "ALTER MATERIALIZED VIEW a2 PROMOTE");
    for (int times = 0; times < 2; times++) {
        reopen(fixture);
        expect(fixture, "SELECT count(*) FROM a2", "1\n");
        expect(fixture, "SELECT * FROM a1",
               "materialized view \"a1\" stopped: version 1 of \"a2\", which it reads, was dropped");
        expect(fixture, "SELECT * FROM over",
               "materialized view \"over\" stopped: version 2 of \"a1\", which it reads, stopped");
    }
    must(fixture, "ALTER MATERIALIZED VIEW a1 AS SELECT a FROM t WHERE a > 30; ALTER MATERIALIZED VIEW a1 PROMOTE");
    expect(fixture, "SELECT * FROM over", "2\n");
    reopen(fixture);
    expect(fixture, "SELECT * FROM over", "2\n");
}

static void together(void **state)
{
    struct fixture *fixture = *state;
    must(fixture, "CREATE MATERIALIZED VIEW a3 AS SELECT count(*) FROM a2;"
                  "ALTER MATERIALIZED VIEW a1 AS SELECT a FROM t WHERE a > 30");
    expect(fixture, "ALTER MATERIALIZED VIEW a2 AS SELECT a FROM a1 WHERE a > 0",
           "cannot alter \"a2\" because version 2 of \"a2\" reads version 2 of \"a1\"");
    expect(fixture, "ALTER MATERIALIZED VIEW a2 PROMOTE",
           "version 2 of \"a2\" reads version 2 of \"a1\", which is not promoted");
    must(fixture, "ALTER MATERIALIZED VIEW a1 AS SELECT a FROM t WHERE a > 40; ALTER MATERIALIZED VIEW a1 PROMOTE");
    expect(fixture, "SELECT * FROM a3", "1\n");
    expect(fixture, "ALTER MATERIALIZED VIEW a3 ROLLBACK",
           "version 1 of \"a3\" reads version 1 of \"a2\", which is not promoted");
    must(fixture, "ALTER MATERIALIZED VIEW a2 AS SELECT a FROM a1 WHERE a < 0; ALTER MATERIALIZED VIEW a2 PROMOTE");
    expect(fixture, "SELECT * FROM a3", "0\n");
    reopen(fixture);
    expect(fixture, "SELECT * FROM a3", "0\n");
}

/* However many versions came and went: a DROP takes what there is of it, and the sink that followed it. */
static void dropped(void **state)
{
    struct fixture *fixture = *state;
    must(fixture, "CREATE MATERIALIZED VIEW v AS SELECT a FROM t; CREATE SINK k FROM v WITH (topic = 'k');"
                  "ALTER MATERIALIZED VIEW v AS SELECT a FROM t WHERE a > 1; ALTER MATERIALIZED VIEW v PROMOTE;"
                  "ALTER MATERIALIZED VIEW v AS SELECT a FROM t WHERE a > 2;"
                  "ALTER MATERIALIZED VIEW v AS SELECT a FROM t WHERE a > 3;"
                  "ALTER MATERIALIZED VIEW v AS SELECT a FROM t WHERE a > 4");
    expect(fixture, "DROP MATERIALIZED VIEW v", "cannot drop materialized view v because other objects depend on it");
    must(fixture, "DROP MATERIALIZED VIEW v CASCADE");
    expect(fixture, "SELECT count(*) FROM kappa.views WHERE name = 'v'", "0\n");
    expect(fixture, "SELECT count(*) FROM kappa.sinks", "0\n");
    reopen(fixture);
    expect(fixture, "SELECT count(*) FROM kappa.views WHERE name = 'v'", "0\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(cycles, make, drop), cmocka_unit_test_setup_teardown(old_log, make, drop),
        cmocka_unit_test_setup_teardown(together, make, drop), cmocka_unit_test_setup_teardown(dropped, make, drop)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
