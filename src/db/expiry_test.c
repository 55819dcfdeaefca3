/*
 * The law over expired records. Two instances get the same random records; in one of them records expire again and
 * again, by position or by offset, and it is opened again now and then. Views that keep a base must answer as those of
 * the other one; views that retract as their query does over the records that are left. KAPPA_SEED chooses the rounds.
 */
#include <unistd.h>

#include "db/sides.h"

enum { STEPS = 14, ROUNDS = 3 };

static const struct {
    const char *name, *query;
} views[] = {
    {"agg", "SELECT k, count(*) AS n, sum(v) AS s, min(t) AS m, avg(f) AS a FROM s GROUP BY k"},
    {"top", "SELECT k, v, t FROM s ORDER BY v DESC, k, t LIMIT 5"},
    {"self", "SELECT a.k, a.v AS x, b.v AS y FROM s a JOIN s b ON a.k = b.k AND a.v < b.v"},
    {"ranks", "SELECT k, v, row_number() OVER (PARTITION BY k ORDER BY v, t, f) AS r FROM s"},
    {"kinds", "SELECT DISTINCT t FROM s WHERE v > 3"},
    {"plain", "SELECT k, v + 1 AS w, f FROM s WHERE k <> 2"},
    {"either", "SELECT k FROM s WHERE v < 3 UNION ALL SELECT k FROM s WHERE v > 6"},
    {"before", "SELECT k, v FROM s WHERE at < now() - INTERVAL '1 day'"},
    {"hops", "SELECT window_start, count(*) AS n FROM hop(s, at, INTERVAL '5 seconds', INTERVAL '10 seconds') GROUP BY "
             "window_start"},
};
static const char closed[] =
    "CREATE MATERIALIZED VIEW closed AS SELECT window_start, k, count(*) AS n FROM tumble(s, at, INTERVAL '10 "
    "seconds') GROUP BY window_start, k EMIT ON WINDOW CLOSE";

static void assert_same(struct side *a, const char *sql_a, struct side *b, const char *sql_b, uint64_t round)
{
    char *left = answer(a, sql_a), *right = answer(b, sql_b);
    if (strcmp(left, right) != 0)
        fail_msg("KAPPA_SEED=%llu: %s\n%s\nis not what %s says:\n%s", (unsigned long long)round, sql_a, left, sql_b,
                 right);
    free(left);
    free(right);
}

/* Records with times that go on, some of them late; batches of SQL in partition 0, single ones by key in others. */
static void append(struct side *sides, int *now_s)
{
    struct kp_buf text = {0};
    kp_buf_append_text(&text, "INSERT INTO s VALUES ");
    uint32_t rows = 1 + draw(30);
    for (uint32_t i = 0; i < rows; i++) {
        *now_s += (int)draw(2);
        kp_buf_printf(&text, "%s(%u, %u, %s, %u.%u, '2024-01-01 00:%02d:%02d')", i ? ", " : "", draw(4), draw(9),
                      draw(4) ? "'x\\y'" : "NULL", draw(3), draw(10), *now_s / 60 % 60,
                      (*now_s + 60 - (int)draw(12)) % 60);
    }
    kp_buf_append_byte(&text, 0);
    run(&sides[0], (char *)text.data);
    run(&sides[1], (char *)text.data);
    kp_buf_finish(&text);
    for (uint32_t n = draw(4); n; n--) {
        char key[8], value[96];
        struct kp_failure failure;
        int64_t position;
        snprintf(key, sizeof key, "%u", draw(6));
        snprintf(value, sizeof value, "{\"k\":%u,\"v\":%u,\"t\":\"q\",\"at\":\"2024-01-01 00:%02d:%02d\"}", draw(4),
                 draw(9), *now_s / 60 % 60, *now_s % 60);
        for (int i = 0; i < 2; i++) {
            assert_true(
                kp_instance_append(sides[i].kappa, "t", key, strlen(key), value, strlen(value), &position, &failure));
            assert_true(kp_instance_wait(sides[i].kappa, position, 10000000));
        }
    }
}

static void declare(struct side *side, bool retracting, bool windows)
{
    struct kp_buf text = {0};
    run(side, "CREATE TOPIC t WITH (partitions = 3);"
              "CREATE SOURCE s (k int, v int, t text, f float8, at timestamp, WATERMARK FOR at AS at - INTERVAL '5 "
              "seconds') WITH (topic = 't')");
    for (size_t i = 0; i < sizeof views / sizeof *views; i++) {
        kp_buf_printf(&text, "CREATE MATERIALIZED VIEW %s AS %s;", views[i].name, views[i].query);
        if (retracting)
            kp_buf_printf(&text, "CREATE MATERIALIZED VIEW r_%s AS %s ON EXPIRY RETRACT;", views[i].name,
                          views[i].query);
    }
    if (windows)
        kp_buf_append_text(&text, closed);
    kp_buf_append_byte(&text, 0);
    run(side, (char *)text.data);
    kp_buf_finish(&text);
}

static void expire(struct side *side, bool windows)
{
    char sql[160];
    if (windows || draw(2)) {
        run(side, "ALTER TOPIC t SET (retention = '0 seconds')");
        run(side, "ALTER TOPIC t SET (retention = 'forever')");
        return;
    }
    snprintf(sql, sizeof sql,
             "SELECT end_offset - start_offset FROM kappa.partitions WHERE topic = 't' AND partition = 0");
    char *there = answer(side, sql);
    uint32_t left = (uint32_t)atoi(there);
    free(there);
    there = answer(side, "SELECT start_offset FROM kappa.partitions WHERE topic = 't' AND partition = 0");
    snprintf(sql, sizeof sql, "ALTER TOPIC t DELETE BEFORE OFFSET %u PARTITION 0",
             (uint32_t)atoi(there) + draw(left + 1));
    free(there);
    run(side, sql);
}

static void compare(struct side *sides, bool windows, uint64_t round)
{
    char sql_a[300], sql_b[300];
    for (size_t i = 0; i < sizeof views / sizeof *views; i++) {
        snprintf(sql_a, sizeof sql_a, "SELECT * FROM %s", views[i].name);
        assert_same(&sides[0], sql_a, &sides[1], sql_a, round);
        snprintf(sql_a, sizeof sql_a, "SELECT * FROM r_%s", views[i].name);
        snprintf(sql_b, sizeof sql_b, "%s", views[i].query);
        assert_same(&sides[0], sql_a, &sides[0], sql_b, round);
    }
    if (windows)
        assert_same(&sides[0], "SELECT * FROM closed", &sides[1], "SELECT * FROM closed", round);
}

static void play(uint64_t round)
{
    seed = round * 2654435761u + 17;
    struct side sides[2] = {{.dir = "/tmp/kappa-expiry-a-XXXXXX"}, {.dir = "/tmp/kappa-expiry-b-XXXXXX"}};
    bool windows = draw(2);
    int now_s = 0;
    for (int i = 0; i < 2; i++) {
        assert_non_null(mkdtemp(sides[i].dir));
        side_open(&sides[i], false);
        declare(&sides[i], i == 0, windows);
    }
    for (int step = 0; step < STEPS; step++) {
        append(sides, &now_s);
        if (draw(3) == 0)
            expire(&sides[0], windows);
        if (draw(4) == 0) {
            int i = draw(4) == 0;
            kp_instance_close(sides[i].kappa);
            side_open(&sides[i], false);
        }
        if (draw(3) == 0 || step == STEPS - 1)
            compare(sides, windows, round);
    }
    for (size_t i = 0; i < sizeof views / sizeof *views; i++) {
        char sql[80];
        snprintf(sql, sizeof sql, "VERIFY MATERIALIZED VIEW %s", views[i].name);
        run(&sides[0], sql);
    }
    for (int i = 0; i < 2; i++) {
        char command[96];
        kp_instance_close(sides[i].kappa);
        snprintf(command, sizeof command, "rm -rf %s", sides[i].dir);
        assert_int_equal(system(command), 0);
    }
}

static void test_law(void **state)
{
    const char *scale = getenv("KAPPA_TEST_SCALE"), *first = getenv("KAPPA_SEED");
    uint64_t rounds = first ? 1 : ROUNDS * (uint64_t)(scale ? atoi(scale) : 1);
    for (uint64_t i = 0; i < rounds; i++)
        play(first ? strtoull(first, NULL, 10) : i);
}

/* ---- bases of views that are dropped ---- */

static int64_t base_records(struct side *side)
{
    char *text = answer(side, "SELECT records FROM kappa.topics WHERE name = '__kappa_bases'");
    int64_t records = strtoll(text, NULL, 10);
    free(text);
    return records;
}

/* They go in the background. */
static void wait_for_records(struct side *side, int64_t records)
{
    for (int tries = 0; base_records(side) != records; tries++) {
        assert_in_range(tries, 0, 3000);
        usleep(10000);
    }
}

static void assert_answer(struct side *side, const char *sql, const char *expected)
{
    char *text = answer(side, sql);
    assert_string_equal(text, expected);
    free(text);
}

static void test_dropped(void **state)
{
    struct side side = {.dir = "/tmp/kappa-expiry-c-XXXXXX"};
    static const char totals[] = "SELECT * FROM b", lost[] = "SELECT * FROM c";
    assert_non_null(mkdtemp(side.dir));
    side_open(&side, false);
    run(&side, "CREATE SOURCE s (k int, v int) WITH (topic = 's')");
    run(&side, "CREATE MATERIALIZED VIEW a AS SELECT k, v FROM s");
    run(&side, "CREATE MATERIALIZED VIEW b AS SELECT k, sum(v) AS total FROM s GROUP BY k");
    run(&side, "CREATE MATERIALIZED VIEW c AS SELECT count(*) AS n FROM s");
    run(&side, "INSERT INTO s VALUES (1, 2), (1, 3), (2, 7)");
    run(&side, "ALTER TOPIC s DELETE BEFORE END");
    assert_int_equal(base_records(&side), 3); /* of a, b, c in this order */
    run(&side, "DROP MATERIALIZED VIEW b");   /* before which one is needed */
    run(&side, "CREATE MATERIALIZED VIEW b AS SELECT count(*) AS n FROM s");
    assert_answer(&side, totals, "0|\n"); /* another view of that name has no base */
    assert_int_equal(base_records(&side), 3);
    run(&side, "DROP MATERIALIZED VIEW a");
    wait_for_records(&side, 1); /* a's and the first b's are gone */
    assert_answer(&side, lost, "3|\n");
    run(&side, "INSERT INTO s VALUES (4, 4)");
    kp_instance_close(side.kappa);
    side_open(&side, false);
    assert_answer(&side, lost, "4|\n");
    run(&side, "VERIFY MATERIALIZED VIEW c");
    assert_int_equal(base_records(&side), 1);
    run(&side, "ALTER TOPIC s DELETE BEFORE END"); /* bases of c and the new b */
    assert_int_equal(base_records(&side), 3);
    run(&side, "DROP MATERIALIZED VIEW c");
    kp_instance_close(side.kappa); /* perhaps before it is done: then the next start does it */
    side_open(&side, false);
    wait_for_records(&side, 1);
    assert_answer(&side, totals, "1|\n");
    run(&side, "DROP MATERIALIZED VIEW b");
    wait_for_records(&side, 0);
    kp_instance_close(side.kappa);
    char command[96];
    snprintf(command, sizeof command, "rm -rf %s", side.dir);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_law), cmocka_unit_test(test_dropped)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
