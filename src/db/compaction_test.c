/*
 * The law over compacted topics. Two instances get the same random records, rows and deletions; one compacts again and
 * again and is opened again now and then. Tables and views must answer alike on both, whenever they were made; queries
 * at positions from the horizon on, too. Keys of records come in several spellings of the table's key, with the key in
 * the value or not, with values that cannot be decoded, in several partitions. KAPPA_SEED chooses the rounds.
 */
#include "db/sides.h"

enum { STEPS = 16, ROUNDS = 4, KEYS = 7 };

static const struct {
    const char *name, *query;
} views[] = {
    {"agg", "SELECT v, count(*) AS n, sum(k) AS s, max(t) AS m FROM tab GROUP BY v"},
    {"top", "SELECT k, v, t FROM tab ORDER BY v DESC, k LIMIT 3"},
    {"self", "SELECT a.k, b.k AS other FROM tab a JOIN tab b ON a.v = b.v AND a.k < b.k"},
    {"ranks", "SELECT k, rank() OVER (ORDER BY v) AS r FROM tab"},
    {"over", "SELECT n, count(*) AS c FROM agg GROUP BY n"},
};

static void assert_same(struct side *a, const char *sql_a, struct side *b, const char *sql_b, uint64_t round)
{
    char *left = answer(a, sql_a), *right = answer(b, sql_b);
    if (strcmp(left, right) != 0)
        fail_msg("KAPPA_SEED=%llu: %s\n%s\nis not what %s says:\n%s", (unsigned long long)round, sql_a, left, sql_b,
                 right);
    free(left);
    free(right);
}

/* The same record for both; value NULL deletes. */
static void append(struct side *sides, const char *key, const char *value)
{
    struct kp_failure failure;
    int64_t position;
    for (int i = 0; i < 2; i++) {
        if (!kp_instance_append(sides[i].kappa, "t", key, strlen(key), value, value ? strlen(value) : 0, &position,
                                &failure))
            fail_msg("%s", failure.message);
        assert_true(kp_instance_wait(sides[i].kappa, position, 10000000));
    }
}

static void change(struct side *sides)
{
    char key[32], value[96], sql[128];
    unsigned k = draw(KEYS), other = draw(12) ? k : draw(KEYS), v = draw(5);
    static const char *const spellings[] = {"%u", "[%u]", " %u", "\"%u\""};
    snprintf(key, sizeof key, spellings[draw(3) ? 1 : draw(4)], k);
    switch (draw(9)) {
    case 0:
        append(sides, key, NULL);
        return;
    case 1: /* the key in the value may be another one */
        snprintf(value, sizeof value, "{\"k\":%u,\"v\":%u,\"t\":\"x%u\"}", other, v, draw(9));
        append(sides, key, value);
        return;
    case 2:
        append(sides, key, draw(2) ? "{\"v\":\"no number\"}" : "{");
        return;
    case 3:
    case 4:
        snprintf(sql, sizeof sql, "DELETE FROM tab WHERE k = %u", k);
        break;
    case 5:
        snprintf(sql, sizeof sql, "UPDATE tab SET v = v + 1 WHERE k < %u", k);
        break;
    case 6:
        snprintf(sql, sizeof sql, "DELETE FROM tab WHERE k = %u; INSERT INTO tab VALUES (%u, %u, 'y')", k, k, v);
        break;
    default:
        snprintf(value, sizeof value, "{\"v\":%u,\"t\":\"z%u\"}", v, draw(9));
        append(sides, key, value);
        return;
    }
    for (int i = 0; i < 2; i++)
        run(&sides[i], sql);
}

static void make_view(struct side *sides, const char *name, const char *query)
{
    char sql[300];
    snprintf(sql, sizeof sql, "CREATE MATERIALIZED VIEW %s AS %s", name, query);
    for (int i = 0; i < 2; i++)
        run(&sides[i], sql);
}

static int64_t number(struct side *side, const char *sql)
{
    char *text = answer(side, sql);
    int64_t value = strtoll(text, NULL, 10);
    free(text);
    return value;
}

static void compare(struct side *sides, unsigned made, uint64_t round)
{
    char sql[160];
    assert_same(&sides[0], "SELECT * FROM tab", &sides[1], "SELECT * FROM tab", round);
    for (size_t i = 0; i < sizeof views / sizeof *views; i++) {
        snprintf(sql, sizeof sql, "SELECT * FROM %s", views[i].name);
        assert_same(&sides[0], sql, &sides[1], sql, round);
    }
    for (unsigned i = 0; i < made; i++) {
        snprintf(sql, sizeof sql, "SELECT * FROM later%u", i);
        assert_same(&sides[0], sql, &sides[1], views[i % (sizeof views / sizeof *views)].query, round);
    }
}

static const char kept_records[] = "SELECT records FROM kappa.topics WHERE name = 't'";

/* From the horizon on the past is what it was: compared with what the live views answered there. */
static void compare_past(struct side *side, int64_t position, const char *then, uint64_t round)
{
    char sql[160];
    struct kp_failure failure;
    int64_t horizon = number(side, "SELECT compacted FROM kappa.topics WHERE name = 't'");
    snprintf(sql, sizeof sql, "SELECT k, v, t FROM tab AS OF POSITION %lld", (long long)position);
    if (position < horizon) {
        assert_false(kp_instance_run(side->kappa, sql, NULL, &failure));
        assert_string_equal(failure.sqlstate, "72000");
        return;
    }
    char *now = answer(side, sql);
    if (strcmp(now, then) != 0)
        fail_msg("KAPPA_SEED=%llu: at position %lld:\n%s\nand it was:\n%s", (unsigned long long)round,
                 (long long)position, now, then);
    free(now);
}

static void check_verified(struct side *side)
{
    char sql[80];
    for (size_t i = 0; i < sizeof views / sizeof *views; i++) {
        snprintf(sql, sizeof sql, "VERIFY MATERIALIZED VIEW %s", views[i].name);
        run(side, sql);
    }
}

static void play(uint64_t round)
{
    seed = round * 2654435761u + 29;
    struct side sides[2] = {{.dir = "/tmp/kappa-compact-a-XXXXXX"}, {.dir = "/tmp/kappa-compact-b-XXXXXX"}};
    unsigned made = 0;
    char *then = NULL, name[16];
    int64_t position = 0;
    for (int i = 0; i < 2; i++) {
        assert_non_null(mkdtemp(sides[i].dir));
        side_open(&sides[i], true);
        run(&sides[i], "CREATE TOPIC t WITH (partitions = 3);"
                       "CREATE TABLE tab (k int PRIMARY KEY, v int, t text) WITH (topic = 't')");
        for (size_t v = 0; v < sizeof views / sizeof *views; v++) {
            char sql[300];
            snprintf(sql, sizeof sql, "CREATE MATERIALIZED VIEW %s AS %s", views[v].name, views[v].query);
            run(&sides[i], sql);
        }
    }
    run(&sides[0], draw(3) ? "ALTER TOPIC t SET (cleanup = 'compact', delete_retention = '0 seconds')"
                           : "ALTER TOPIC t SET (cleanup = 'compact')");
    for (int step = 0; step < STEPS; step++) {
        for (uint32_t n = draw(12); n; n--)
            change(sides);
        if (draw(3) == 0)
            run(&sides[0], "ALTER TOPIC t COMPACT");
        if (draw(5) == 0) {
            int64_t kept = number(&sides[0], kept_records);
            kp_instance_close(sides[0].kappa);
            side_open(&sides[0], true);
            assert_int_equal(number(&sides[0], kept_records), kept);
            assert_in_range(kept, 0, number(&sides[1], kept_records)); /* which is never compacted */
        }
        if (draw(6) == 0) {
            snprintf(name, sizeof name, "later%u", made);
            make_view(sides, name, views[made % (sizeof views / sizeof *views)].query);
            made++;
        }
        if (then && draw(2))
            compare_past(&sides[0], position, then, round);
        if (!then || draw(4) == 0) {
            free(then);
            then = answer(&sides[0], "SELECT k, v, t FROM tab");
            position = answered_at;
        }
        if (draw(2) || step == STEPS - 1)
            compare(sides, made, round);
    }
    free(then);
    check_verified(&sides[0]);
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

/* What holds it back, and what is refused while a topic is compacted. */
static void test_pins(void **state)
{
    struct side side = {.dir = "/tmp/kappa-compact-c-XXXXXX"};
    struct kp_failure failure;
    char command[96];
    assert_non_null(mkdtemp(side.dir));
    side_open(&side, true);
    run(&side, "CREATE TABLE tab (k int PRIMARY KEY, v int) WITH (topic = 't');"
               "CREATE SOURCE every (k int, v int) WITH (topic = 't');"
               "CREATE MATERIALIZED VIEW all_of_it AS SELECT v, count(*) AS n FROM every GROUP BY v");
    for (int i = 0; i < 40; i++)
        run(&side, "DELETE FROM tab WHERE k = 1; INSERT INTO tab VALUES (1, 1)");
    assert_false(kp_instance_run(side.kappa, "ALTER TOPIC t COMPACT", NULL, &failure));
    assert_string_equal(failure.sqlstate, "55000"); /* it is not to be compacted */
    run(&side, "ALTER TOPIC t SET (cleanup = 'compact', delete_retention = '0 seconds')");
    assert_false(kp_instance_run(side.kappa, "ALTER TOPIC t COMPACT", NULL, &failure));
    assert_string_equal(failure.sqlstate, "55006");
    assert_non_null(strstr(failure.message, "materialized view \"all_of_it\" reads every record of topic \"t\""));
    run(&side, "DROP MATERIALIZED VIEW all_of_it");
    int64_t before = number(&side, "SELECT count(*) FROM every");
    run(&side, "ALTER TOPIC t COMPACT; ALTER TOPIC t COMPACT");
    int64_t after = number(&side, "SELECT count(*) FROM every");
    if (before != 40 || after != 1) /* tombstones make no rows of a source */
        fail_msg("%lld records of it, then %lld", (long long)before, (long long)after);
    assert_int_equal(number(&side, "SELECT count(*) FROM tab"), 1);
    assert_false(kp_instance_run(side.kappa, "CREATE MATERIALIZED VIEW again AS SELECT count(*) AS n FROM every", NULL,
                                 &failure));
    assert_string_equal(failure.sqlstate, "55006");
    run(&side, "ALTER TOPIC t SET (cleanup = 'delete');"
               "CREATE MATERIALIZED VIEW again AS SELECT count(*) AS n FROM every");
    assert_true(number(&side, "SELECT complete_from FROM kappa.views WHERE name = 'again'") > 0);
    assert_int_equal(number(&side, "SELECT n FROM again"), 1);
    assert_false(kp_instance_run(side.kappa, "SELECT * FROM tab AS OF POSITION 20", NULL, &failure));
    assert_string_equal(failure.sqlstate, "72000");
    kp_instance_close(side.kappa);
    snprintf(command, sizeof command, "rm -rf %s", side.dir);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_law), cmocka_unit_test(test_pins)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
