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

/* What was seen at a position is what AS OF shows later, through views over views, also after a restart. */
static void test_as_of(void **state)
{
    struct kp_instance *kappa = open_instance();
    run(kappa, "CREATE TABLE item (id int PRIMARY KEY, name text)");
    run(kappa, "CREATE MATERIALIZED VIEW names AS SELECT name, count(*) AS n FROM item GROUP BY name");
    run(kappa, "CREATE MATERIALIZED VIEW most AS SELECT max(n) AS n FROM names");
    char seen[8][3][256];
    long long positions[8];
    static const char *const reads[] = {"SELECT id, name FROM item ORDER BY id",
                                        "SELECT name, n FROM names ORDER BY name", "SELECT n FROM most"};
    for (int i = 0; i < 8; i++) {
        char sql[128];
        snprintf(sql, sizeof sql, i % 3 == 2 ? "DELETE FROM item WHERE id = %d" : "INSERT INTO item VALUES (%d, 'n%d')",
                 i % 3 == 2 ? i - 1 : i, i % 2);
        run(kappa, sql);
        for (int r = 0; r < 3; r++) {
            struct kp_rows *rows;
            assert_true(kp_instance_run(kappa, reads[r], &rows, NULL));
            positions[i] = kp_rows_position(rows);
            seen[i][r][0] = '\0';
            while (kp_rows_next(rows, NULL)) {
                for (uint32_t c = 0; c < kp_rows_columns(rows); c++) {
                    const char *value = kp_rows_text(rows, c);
                    snprintf(seen[i][r] + strlen(seen[i][r]), 256 - strlen(seen[i][r]), "%s%s", c ? "," : "",
                             value ? value : "null");
                }
                snprintf(seen[i][r] + strlen(seen[i][r]), 256 - strlen(seen[i][r]), ";");
            }
            kp_rows_close(rows);
        }
    }
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < 8; i++)
            for (int r = 0; r < 3; r++) {
                char sql[128];
                snprintf(sql, sizeof sql, "%s AS OF POSITION %lld", reads[r], positions[i]);
                expect(kappa, sql, seen[i][r]);
            }
        kp_instance_close(kappa);
        kappa = open_instance();
    }
    run(kappa, "BEGIN; INSERT INTO item VALUES (100, 'a'); INSERT INTO item VALUES (101, 'b'), (102, 'c'); COMMIT");
    struct kp_rows *rows;
    assert_true(kp_instance_run(kappa, reads[2], &rows, NULL));
    long long end = kp_rows_position(rows);
    kp_rows_close(rows);
    for (int i = 0; i < 4; i++) { /* between a transaction's records nothing of it counts */
        char sql[128];
        snprintf(sql, sizeof sql, "SELECT count(*) FROM item WHERE id >= 100 AS OF POSITION %lld", end - i);
        expect(kappa, sql, i ? "0;" : "3;");
    }
    run(kappa, "VERIFY MATERIALIZED VIEW names; VERIFY MATERIALIZED VIEW most");
    struct kp_failure failure;
    assert_false(kp_instance_run(kappa, "VERIFY MATERIALIZED VIEW item", NULL, &failure));
    assert_string_equal(failure.sqlstate, "42809");
    assert_false(kp_instance_run(kappa, "SELECT * FROM item AS OF POSITION 1000000", NULL, &failure));
    assert_string_equal(failure.sqlstate, "22023");
    kp_instance_close(kappa);
}

static void test_failures(void **state)
{
    struct kp_instance *kappa = open_instance();
    struct kp_failure failure;
    assert_false(kp_instance_run(kappa, "SELECT prise FROM top", NULL, &failure));
    assert_string_equal(failure.sqlstate, "42703");
    assert_int_equal(failure.position, 8);
    assert_false(
        kp_instance_run(kappa, "INSERT INTO t VALUES (3, 'x'); INSERT INTO t VALUES (1, 'again')", NULL, &failure));
    assert_string_equal(failure.sqlstate, "23505");
    expect(kappa, "SELECT count(*) FROM t", "2;"); /* all or nothing */
    struct kp_instance *other;
    assert_false(kp_instance_open(dir, NULL, &other, &failure));
    assert_string_equal(failure.sqlstate, "55006");
    kp_instance_close(kappa);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_whole), cmocka_unit_test(test_changes),
                                       cmocka_unit_test(test_as_of), cmocka_unit_test(test_failures)};
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
