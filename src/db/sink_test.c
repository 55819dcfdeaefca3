/*
 * What a sink writes at once is bounded: what is more is written as several groups, each up to a position; a sink of
 * which one position's changes are too many stops with an error, and the instance and its other sinks go on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "db/statements_test.h"

static void bounded(void **state)
{
    struct fixture fixture = {.dir = "/tmp/kappa-sink-test.XXXXXX", .options = {.sink_bytes_max = 20000}};
    struct kp_error err;
    char sql[200], command[100];
    assert_non_null(mkdtemp(fixture.dir));
    open_db(&fixture);
    must(&fixture, "CREATE TABLE t (k bigint PRIMARY KEY, v text);"
                   "CREATE MATERIALIZED VIEW few AS SELECT k, v FROM t WHERE k < 1000;"
                   "CREATE MATERIALIZED VIEW many AS SELECT k, v FROM t;"
                   "CREATE SINK few_out FROM few WITH (topic = 'few_out', format = 'changes');"
                   "CREATE SOURCE few_back (k bigint, v text) WITH (topic = 'few_out', format = 'json', path = 'row')");
    for (int k = 0; k < 300; k += 3) {
        snprintf(sql, sizeof sql, "INSERT INTO t SELECT g, repeat('x', 100) FROM generate_series(%d, %d) g", k, k + 2);
        must(&fixture, sql);
    }
    await(&fixture, "SELECT count(*), count(DISTINCT k) FROM few_back", "300,300\n");
    must(&fixture, "INSERT INTO t SELECT g, 'y' FROM generate_series(1000, 5000) g");
    must(&fixture, "CREATE SINK many_out FROM many WITH (topic = 'many_out', format = 'changes')");
    for (int restarts = 0; restarts < 2; restarts++) {
        await(&fixture, "SELECT error FROM kappa.sinks WHERE error IS NOT NULL", "at most 20000 are written at once");
        snprintf(sql, sizeof sql, "INSERT INTO t VALUES (%d, 'z')", 300 + restarts);
        must(&fixture, sql);
        await(&fixture, "SELECT count(*), count(DISTINCT k) FROM few_back", restarts ? "302,302\n" : "301,301\n");
        assert_int_equal(kp_db_health(fixture.db, &err), KP_OK);
        close_db(&fixture);
        open_db(&fixture);
    }
    must(&fixture, "DROP SINK many_out");
    close_db(&fixture);
    snprintf(command, sizeof command, "rm -rf %s", fixture.dir);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(bounded)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
