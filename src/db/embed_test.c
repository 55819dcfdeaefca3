/* The public header alone: open, declare, append, read, subscribe, close, open again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kappa.h"

static char dir[] = "/tmp/kappa-embed-test-000000";

static int make_dir(void **state)
{
    strcpy(dir + strlen(dir) - 6, "XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

static struct kp_instance *open_instance(void)
{
    struct kp_instance *kappa;
    struct kp_failure failure;
    struct kp_instance_options options = {.workers = 2};
    if (!kp_instance_open(dir, &options, &kappa, &failure))
        fail_msg("%s", failure.message);
    return kappa;
}

static void run(struct kp_instance *kappa, const char *sql)
{
    struct kp_failure failure;
    if (!kp_instance_run(kappa, sql, NULL, &failure))
        fail_msg("%s: %s", sql, failure.message);
}

static void expect(struct kp_instance *kappa, const char *sql, const char *text)
{
    struct kp_rows *rows;
    struct kp_failure failure;
    assert_true(kp_instance_run(kappa, sql, &rows, &failure));
    char got[256] = "";
    while (kp_rows_next(rows, &failure)) {
        for (uint32_t c = 0; c < kp_rows_columns(rows); c++) {
            const char *value = kp_rows_text(rows, c);
            snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s", c ? "," : "", value ? value : "null");
        }
        snprintf(got + strlen(got), sizeof got - strlen(got), ";");
    }
    assert_string_equal(failure.message, "");
    assert_string_equal(got, text);
    kp_rows_close(rows);
}

static void test_whole(void **state)
{
    struct kp_instance *kappa = open_instance();
    struct kp_failure failure;
    run(kappa, "CREATE SOURCE bid (auction int, price bigint) WITH (topic = 'bids');"
               "CREATE MATERIALIZED VIEW top AS SELECT auction, max(price) AS price FROM bid GROUP BY auction");
    run(kappa, "CREATE TABLE t (id int PRIMARY KEY, name text); INSERT INTO t VALUES (1, 'one'), (2, NULL)");
    static const char bid[] = "{\"auction\":1,\"price\":7}";
    int64_t position;
    assert_true(kp_instance_append(kappa, "bids", NULL, 0, bid, strlen(bid), &position, &failure));
    assert_true(kp_instance_wait(kappa, position, 10000000));
    expect(kappa, "SELECT * FROM top", "1,7;");
    expect(kappa, "SELECT * FROM t ORDER BY id", "1,one;2,null;");
    kp_instance_close(kappa);
    kappa = open_instance();
    expect(kappa, "SELECT * FROM top", "1,7;");
    expect(kappa, "SELECT * FROM t ORDER BY id", "1,one;2,null;");
    kp_instance_close(kappa);
}

static void test_changes(void **state)
{
    struct kp_instance *kappa = open_instance();
    struct kp_failure failure;
    struct kp_rows *rows;
    assert_true(kp_instance_run(kappa, "SUBSCRIBE TO top", &rows, &failure));
    assert_string_equal(kp_rows_name(rows, 0), "position");
    assert_int_equal(kp_rows_type_oid(rows, 3), 23);
    assert_true(kp_rows_next(rows, &failure));
    assert_string_equal(kp_rows_text(rows, 4), "7");
    static const char bid[] = "{\"auction\":1,\"price\":9}";
    assert_true(kp_instance_append(kappa, "bids", NULL, 0, bid, strlen(bid), NULL, &failure));
    int64_t sum = 0;
    for (int i = 0; i < 2; i++) {
        assert_true(kp_rows_next(rows, &failure));
        sum += strtoll(kp_rows_text(rows, 1), NULL, 10) * strtoll(kp_rows_text(rows, 4), NULL, 10);
    }
    assert_int_equal(sum, 2);
    kp_rows_close(rows);
    kp_instance_close(kappa);
}

static void test_failures(void **state)
{
    struct kp_instance *kappa = open_instance();
    struct kp_failure failure;
    assert_false(kp_instance_run(kappa, "SELECT prise FROM top", NULL, &failure));
    assert_string_equal(failure.sqlstate, "42703");
    assert_int_equal(failure.position, 8);
    assert_false(kp_instance_run(kappa, "INSERT INTO t VALUES (3, 'x'); INSERT INTO t VALUES (1, 'again')", NULL, &failure));
    assert_string_equal(failure.sqlstate, "23505");
    expect(kappa, "SELECT count(*) FROM t", "2;"); /* all or nothing */
    struct kp_instance *other;
    assert_false(kp_instance_open(dir, NULL, &other, &failure));
    assert_string_equal(failure.sqlstate, "55006");
    kp_instance_close(kappa);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_whole), cmocka_unit_test(test_changes), cmocka_unit_test(test_failures)};
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
