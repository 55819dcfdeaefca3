/*
 * Views whose rows come and go by now(), under a clock that the test moves: at each moment each view is what its query
 * answers when it is asked then; the log grows by ticks when a row is due, and not otherwise; a restart, AS OF and
 * VERIFY find the same rows.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "db/db.h"
#include "os/os.h"

enum { VIEWS = 7, ROUNDS = 14 };

static char dir[] = "/tmp/kappa-tick-test-XXXXXX";
static _Atomic int64_t clock_us = 1700000000000000;
static struct kp_os os;

static int64_t test_clock(void *ctx)
{
    return atomic_load(&clock_us);
}

static int make_dir(void **state)
{
    os = *kp_os_real();
    os.wall_us = test_clock;
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

struct world {
    struct kp_db *db;
    struct kp_session *session;
};

static void open_world(struct world *world)
{
    struct kp_db_options options = {.os = &os, .dir = dir, .workers = 2, .parts = 4, .unsafe_no_sync = true};
    struct kp_error err;
    if (kp_db_open(&options, &world->db, &err) != KP_OK)
        fail_msg("%s", err.message);
    assert_int_equal(kp_session_open(world->db, NULL, &world->session, &err), KP_OK);
}

static void close_world(struct world *world)
{
    kp_session_close(world->session);
    kp_db_close(world->db);
}

/* All rows as text; *ret_position: at which they were read. The caller frees. */
static char *ask(struct world *world, const char *sql, int64_t *ret_position)
{
    struct kp_prepared *prepared;
    struct kp_cursor *cursor;
    struct kp_error err;
    struct kp_buf out = {0};
    if (kp_prepare(world->session, kp_str(sql), NULL, 0, &prepared, &err) != KP_OK ||
        kp_execute(world->session, prepared, NULL, 0, &cursor, &err) != KP_OK)
        fail_msg("%s: %s", sql, err.message);
    for (bool done = false; !done;) {
        struct kp_batch *batch;
        if (kp_cursor_next(cursor, 0, -1, &batch, &done, &err) != KP_OK)
            fail_msg("%s: %s", sql, err.message);
        for (uint32_t i = 0; batch && i < batch->rows; i++) {
            for (uint32_t c = 0; c < batch->cols; c++) {
                const struct kp_vec *vec = &batch->vecs[c];
                if (!kp_vec_is_null(vec, i))
                    kp_value_print(vec->type, kp_vec_at(vec, i), NULL, &out);
                kp_buf_append_byte(&out, c + 1 < batch->cols ? '|' : '\n');
            }
        }
    }
    if (ret_position)
        *ret_position = kp_cursor_position(cursor);
    kp_cursor_close(cursor);
    kp_prepared_destroy(prepared);
    kp_buf_append_byte(&out, 0);
    return (char *)out.data;
}

static void run(struct world *world, const char *sql)
{
    kp_free(ask(world, sql, NULL));
}

static const struct {
    const char *name, *query;
} views[VIEWS] = {
    {"recent", "SELECT id, k, at FROM event WHERE at > now() - INTERVAL '10 seconds'"},
    {"begun", "SELECT id FROM event WHERE at <= now() AND k > 0"},
    {"valid", "SELECT id, k FROM event WHERE now() BETWEEN at AND until"},
    {"counts", "SELECT k, count(*) AS n, max(id) AS top FROM event WHERE now() - at < INTERVAL '8 seconds' GROUP BY k"},
    {"active", "SELECT k, max(at) AS last FROM event GROUP BY k HAVING max(at) + INTERVAL '6 seconds' >= now()"},
    {"over", "SELECT count(*) AS n, sum(k) AS s FROM recent"},
    {"joined", "SELECT e.id, n.name FROM event e JOIN name n ON n.k = e.k WHERE e.at >= now() - INTERVAL '5 s' AND "
               "e.id <> 3"}};

/* Waits until the view is what its query answers; both are read at one position. */
static void agree(struct world *world, size_t view)
{
    char sql[1200];
    snprintf(sql, sizeof sql,
             "SELECT (SELECT count(*) FROM (SELECT * FROM %s EXCEPT ALL %s) x) + (SELECT count(*) FROM (%s EXCEPT ALL "
             "SELECT * FROM %s) y) AS differ",
             views[view].name, views[view].query, views[view].query, views[view].name);
    char *got = ask(world, sql, NULL);
    if (strcmp(got, "0\n") != 0)
        fail_msg("view %s differs in %s rows", views[view].name, got);
    kp_free(got);
}

/* And that is of this moment: a tick has come if one was due. */
static void is_of_now(struct world *world)
{
    char sql[400];
    struct kp_buf now = {0};
    int64_t now_us = atomic_load(&clock_us) - 946684800000000;
    kp_value_print(KP_TYPE(KP_TIMESTAMPTZ), &now_us, NULL, &now);
    snprintf(sql, sizeof sql,
             "SELECT id, k, at FROM event WHERE at > TIMESTAMPTZ '%.*s' - INTERVAL '10 seconds' ORDER BY 1",
             (int)now.len, (const char *)now.data);
    char *wanted = ask(world, sql, NULL), *got = ask(world, "SELECT * FROM recent ORDER BY 1", NULL);
    assert_string_equal(got, wanted);
    kp_free(got);
    kp_free(wanted);
    kp_buf_finish(&now);
}

/* After the clock has moved the engine writes a tick by itself if a row is due. */
static void settle(struct world *world)
{
    int64_t before = -1;
    for (int quiet = 0; quiet < 4; quiet++) {
        int64_t position = kp_log_position(kp_db_log(world->db));
        if (position != before)
            quiet = 0;
        before = position;
        os.sleep_us(os.ctx, 100000);
    }
}

/* A row that fails comes and goes with its record's position. */
static void errors_agree(struct world *world)
{
    char *got = ask(world, "SELECT position FROM ratio_errors ORDER BY 1", NULL);
    char *wanted = ask(world,
                       "SELECT _position FROM event WHERE k = 0 AND at > now() - INTERVAL '10 seconds' AND "
                       "at <= now() + INTERVAL '5 seconds' ORDER BY 1",
                       NULL);
    assert_string_equal(got, wanted);
    kp_free(got);
    kp_free(wanted);
}

static void test_now(void **state)
{
    struct world world;
    open_world(&world);
    run(&world, "CREATE TABLE event (id int PRIMARY KEY, k int, at timestamptz, until timestamptz)");
    run(&world, "CREATE TABLE name (k int PRIMARY KEY, name text)");
    run(&world, "INSERT INTO name VALUES (0, 'none'), (1, 'one'), (2, 'two')");
    run(&world, "CREATE MATERIALIZED VIEW ratio AS SELECT id, 12 / k AS share FROM event WHERE at > now() - INTERVAL "
                "'10 seconds' AND at <= now() + INTERVAL '5 seconds' ON ERROR SKIP");
    char sql[400];
    uint64_t random = 88172645463325252u;
    char *seen[ROUNDS][VIEWS];
    int64_t positions[ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
        for (size_t v = 0; v < VIEWS; v++) /* one after the other: some are made over data */
            if ((size_t)round == v) {
                snprintf(sql, sizeof sql, "CREATE MATERIALIZED VIEW %s AS %s", views[v].name, views[v].query);
                run(&world, sql);
            }
        for (int i = 0; i < 3; i++) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            int id = (int)(random % 20), offset = (int)(random / 32 % 30) - 15;
            if (random / 1024 % 4 == 0)
                snprintf(sql, sizeof sql, "DELETE FROM event WHERE id = %d", id);
            else
                snprintf(sql, sizeof sql,
                         "BEGIN; DELETE FROM event WHERE id = %d; INSERT INTO event VALUES (%d, %d, now() + INTERVAL "
                         "'%d seconds', now() + INTERVAL '%d seconds'); COMMIT",
                         id, id, (int)(random / 4096 % 3), offset, offset + (int)(random / 65536 % 9));
            for (struct kp_str text = kp_str(sql), one; kp_statement_next(&text, &one);) {
                char *copy = strndup(one.ptr, one.len);
                run(&world, copy);
                free(copy);
            }
        }
        atomic_fetch_add(&clock_us, 700000 + (int64_t)(random % 4000000));
        settle(&world);
        is_of_now(&world);
        errors_agree(&world);
        for (size_t v = 0; v < VIEWS && v <= (size_t)round; v++) {
            agree(&world, v);
            snprintf(sql, sizeof sql, "SELECT * FROM %s ORDER BY 1", views[v].name);
            seen[round][v] = ask(&world, sql, &positions[round]);
        }
    }
    atomic_fetch_add(&clock_us, 60000000); /* everything has been due: then nothing is written any more */
    settle(&world);
    for (size_t v = 0; v < VIEWS; v++)
        agree(&world, v);
    int64_t position = kp_log_position(kp_db_log(world.db));
    atomic_fetch_add(&clock_us, 1000000000);
    settle(&world);
    assert_int_equal(kp_log_position(kp_db_log(world.db)), position);
    for (int pass = 0; pass < 2; pass++) {
        errors_agree(&world);
        for (size_t v = 0; v < VIEWS; v++) {
            agree(&world, v);
            snprintf(sql, sizeof sql, "VERIFY MATERIALIZED VIEW %s", views[v].name);
            run(&world, sql);
            for (int round = VIEWS; pass && round < ROUNDS; round++) {
                snprintf(sql, sizeof sql, "SELECT * FROM %s ORDER BY 1 AS OF POSITION %lld", views[v].name,
                         (long long)positions[round]);
                char *then = ask(&world, sql, NULL);
                assert_string_equal(then, seen[round][v]);
                kp_free(then);
            }
        }
        close_world(&world);
        open_world(&world);
        assert_true(kp_db_wait_ready(world.db, 20000000));
    }
    for (int round = 0; round < ROUNDS; round++)
        for (size_t v = 0; v < VIEWS && v <= (size_t)round; v++)
            kp_free(seen[round][v]);
    close_world(&world);
}

/* A row comes and goes at the very microsecond of its condition: the position of that log time shows it already. */
static void test_exact(void **state)
{
    struct world world;
    open_world(&world);
    assert_true(kp_db_wait_ready(world.db, 20000000));
    run(&world, "CREATE TABLE moment (id int PRIMARY KEY, at timestamptz)");
    run(&world, "CREATE MATERIALIZED VIEW come AS SELECT id FROM moment WHERE at <= now()");
    run(&world, "CREATE MATERIALIZED VIEW gone AS SELECT id FROM moment WHERE at > now() - INTERVAL '1 second'");
    run(&world, "INSERT INTO moment VALUES (1, now() + INTERVAL '2 seconds'), (2, now() + INTERVAL '1 second'), "
                "(3, now() + INTERVAL '2 seconds 1 microsecond')");
    atomic_fetch_add(&clock_us, 2000000);
    run(&world, "INSERT INTO moment VALUES (4, NULL)");
    char *come = ask(&world, "SELECT * FROM come ORDER BY 1", NULL);
    char *gone = ask(&world, "SELECT * FROM gone ORDER BY 1", NULL);
    assert_string_equal(come, "1\n2\n");
    assert_string_equal(gone, "1\n3\n");
    kp_free(come);
    kp_free(gone);
    close_world(&world);
}

/*
 * Windows of the log's time close by ticks, at the moment that the watermark reaches their end and not before, each
 * with one tick; with a source of event times beside it that one's records close too. A restart, AS OF and VERIFY
 * agree.
 */
static void test_log_time_windows(void **state)
{
    static const char *const names[] = {"per_ten", "visit", "either"};
    struct world world;
    open_world(&world);
    assert_true(kp_db_wait_ready(world.db, 20000000));
    int64_t begin_us = (atomic_load(&clock_us) / 60000000 + 1) * 60000000; /* a minute begins */
    atomic_store(&clock_us, begin_us);
    run(&world, "CREATE SOURCE hit (k int, WATERMARK FOR _log_time AS _log_time - INTERVAL '1 second')");
    run(&world, "CREATE SOURCE event_in (k int, at timestamptz, WATERMARK FOR at AS at)");
    run(&world, "CREATE MATERIALIZED VIEW per_ten AS SELECT window_start, count(*) AS n FROM tumble(hit, _log_time, "
                "INTERVAL '10 seconds') GROUP BY window_start, window_end EMIT ON WINDOW CLOSE");
    run(&world, "CREATE MATERIALIZED VIEW visit AS SELECT k, count(*) AS n, window_end - window_start AS took FROM "
                "session(hit, _log_time, INTERVAL '3 seconds', k) GROUP BY k, window_start, window_end EMIT ON WINDOW "
                "CLOSE");
    run(&world,
        "CREATE MATERIALIZED VIEW either AS SELECT window_start, count(*) AS n FROM tumble((SELECT _log_time AS t "
        "FROM hit UNION ALL SELECT at AS t FROM event_in), t, INTERVAL '10 seconds') GROUP BY window_start, "
        "window_end EMIT ON WINDOW CLOSE");
    static const struct {
        int64_t at_ms;
        const char *sql; /* before the moment is over */
        const char *counts;
        int ticks; /* since the moment before */
    } moments[] = {{1000, "INSERT INTO hit VALUES (1), (2), (1)", "0|0|0\n", 0},
                   {4999, NULL, "0|0|0\n", 0},
                   {5000, NULL, "0|2|0\n", 1}, /* 1 s + the gap of 3 s + the delay of 1 s */
                   {10999, NULL, "0|2|0\n", 0},
                   {11000, NULL, "1|2|0\n", 1},
                   {12000, "INSERT INTO event_in VALUES (5, now() + INTERVAL '1 hour')", "1|2|1\n", 0},
                   {19000, "INSERT INTO hit VALUES (3)", "1|2|1\n", 0},
                   {60000, NULL, "2|3|2\n", 1},
                   {600000, NULL, "2|3|2\n", 0}};
    int64_t positions[KP_COUNT(moments)];
    for (size_t i = 0; i < KP_COUNT(moments); i++) {
        int64_t before = kp_log_position(kp_db_log(world.db));
        atomic_store(&clock_us, begin_us + moments[i].at_ms * 1000);
        if (moments[i].sql)
            run(&world, moments[i].sql);
        settle(&world);
        char *got = ask(&world,
                        "SELECT (SELECT count(*) FROM per_ten), (SELECT count(*) FROM visit), (SELECT count(*) FROM "
                        "either)",
                        &positions[i]);
        if (strcmp(got, moments[i].counts) != 0)
            fail_msg("at %lld ms: %s", (long long)moments[i].at_ms, got);
        kp_free(got);
        int64_t ticks = kp_log_position(kp_db_log(world.db)) - before;
        if (!moments[i].sql && ticks != moments[i].ticks)
            fail_msg("at %lld ms: %lld ticks", (long long)moments[i].at_ms, (long long)ticks);
    }
    close_world(&world);
    open_world(&world);
    assert_true(kp_db_wait_ready(world.db, 20000000));
    for (size_t v = 0; v < KP_COUNT(names); v++) {
        char sql[200];
        snprintf(sql, sizeof sql, "VERIFY MATERIALIZED VIEW %s", names[v]);
        run(&world, sql);
    }
    for (size_t i = 0; i < KP_COUNT(moments); i++) {
        char sql[300];
        snprintf(
            sql, sizeof sql,
            "SELECT (SELECT count(*) FROM per_ten), (SELECT count(*) FROM visit), (SELECT count(*) FROM either) AS "
            "OF POSITION %lld",
            (long long)positions[i]);
        char *then = ask(&world, sql, NULL);
        assert_string_equal(then, moments[i].counts);
        kp_free(then);
    }
    char *late = ask(&world, "SELECT (SELECT count(*) FROM per_ten_late) + (SELECT count(*) FROM visit_late)", NULL);
    assert_string_equal(late, "0\n");
    kp_free(late);
    close_world(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_now), cmocka_unit_test(test_exact),
                                       cmocka_unit_test(test_log_time_windows)};
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
