/*
 * What the cut into steps may change in a view's stream of changes, and what not, seen through subscriptions.
 *
 *   batches       b     b     b     b       the same log in every instance
 *   one a step    +r1  |-r1+r2|-r2+r3|…      more positions, more changes
 *   not cut       +r3                |…      what has come meanwhile is one step
 *
 * The grouping is free: at which positions something is told, and what comes and goes in between. What the changes have
 * added up to at a position is not: wherever one instance tells of a position, the other's changes up to there are the
 * same rows; at the end they are the view's. Nothing is told within a transaction.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/hash.h"
#include "tests/law/kappa.h"
#include "tests/law/values.h"

enum { WRITES = 120, STATES_MAX = 8000 };

static const char *const setup[] = {
    "CREATE TOPIC s WITH (partitions = 2)",
    "CREATE SOURCE s (k int, x int, ts timestamp, WATERMARK FOR ts AS ts - INTERVAL '2 seconds') WITH (topic = 's')",
    "CREATE TABLE t (id int PRIMARY KEY, v int)",
};
static const char *const views[] = {
    "SELECT k, count(*) AS n, sum(x) AS total FROM s GROUP BY k",
    "SELECT s.k, s.x, t.v FROM s LEFT JOIN t ON s.k = t.id AND s.x > 3",
    "SELECT k, x FROM s ORDER BY x DESC LIMIT 5",
    "SELECT k, x, row_number() OVER (PARTITION BY k ORDER BY x) AS place FROM s",
    "SELECT window_start, window_end, k, x FROM session(s, ts, INTERVAL '3 seconds', k)",
    "SELECT window_end, count(*) AS n FROM tumble(s, ts, INTERVAL '10 seconds') GROUP BY 1 EMIT ON WINDOW CLOSE",
    "SELECT id, v FROM t WHERE v <> 0",
    "SELECT sum(v) AS v, count(*) AS n FROM t",
};

/* What a subscription has told of: at each position a hash of the sum. */
struct stream {
    int64_t positions[STATES_MAX];
    uint64_t sums[STATES_MAX];
    uint32_t count;
    uint64_t changes;
};

static struct stream streams[4][KP_COUNT(views)];
static int64_t transaction_ends[WRITES], transaction_begins[WRITES], last_position;
static uint32_t transactions;

static int64_t fixed_clock(void *ctx)
{
    return 1705708800000000;
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static uint64_t hash_of(struct answer *rows)
{
    uint64_t hash = rows->count;
    if (rows->count)
        qsort(rows->rows, rows->count, sizeof *rows->rows, compare_texts);
    for (size_t i = 0; i < rows->count; i++)
        hash = kp_hash_combine(hash, kp_hash_bytes(rows->rows[i], strlen(rows->rows[i])));
    return hash;
}

static uint64_t hash_of_sums(const struct sums *sums)
{
    struct answer rows = {0};
    for (size_t i = 0; i < sums->count; i++) {
        assert_true(sums->counts[i] >= 0);
        for (int64_t n = 0; n < sums->counts[i]; n++)
            answer_add(&rows, kp_strdup(sums->rows[i]));
    }
    uint64_t hash = hash_of(&rows);
    answer_finish(&rows);
    return hash;
}

static void must(struct kappa *kappa, const char *text)
{
    struct answer answer;
    kappa_ask(kappa, text, &answer, NULL);
    assert_string_equal(answer.message, "");
    answer_finish(&answer);
}

static int64_t position_of(const struct kappa *kappa)
{
    return kp_view_clock_position(kp_db_clock(kappa->db));
}

/* The same in every instance: batches of records, and transactions that move what a table holds. */
static void write_all(struct kappa *kappa, uint64_t seed)
{
    struct dice dice = {seed, NULL};
    struct kp_arena arena = {0};
    int64_t second = 0;
    transactions = 0;
    must(kappa, "INSERT INTO t VALUES (0, 100), (1, 0), (2, 0), (3, 0)");
    for (unsigned i = 0; i < WRITES; i++) {
        if (chance(&dice, 30)) {
            unsigned from = roll(&dice, 4), to = roll(&dice, 4), amount = roll(&dice, 9);
            must(kappa, "SELECT 1 FROM t");
            transaction_begins[transactions] = position_of(kappa);
            must(kappa, "BEGIN");
            must(kappa, kp_arena_printf(&arena, "UPDATE t SET v = v - %u WHERE id = %u", amount, from));
            must(kappa, kp_arena_printf(&arena, "UPDATE t SET v = v + %u WHERE id = %u", amount, to));
            must(kappa, "COMMIT");
            must(kappa, "SELECT 1 FROM t");
            transaction_ends[transactions++] = position_of(kappa);
            continue;
        }
        char *lines = "";
        for (unsigned n = 1 + roll(&dice, 30); n; n--) {
            second += roll(&dice, 3);
            lines = kp_arena_printf(&arena, "%s{\"k\":%u,\"x\":%u,\"ts\":\"2024-01-01 00:%02d:%02d\"}\n", lines,
                                    roll(&dice, 4), roll(&dice, 12), (int)(second / 60 % 60), (int)(second % 60));
        }
        kappa_append(kappa, "s", roll(&dice, 2), lines);
    }
    must(kappa, "SELECT 1 FROM t"); /* waits for all of it */
    kp_arena_finish(&arena);
}

static void collect(struct kappa *kappa, unsigned view, struct sums *sums, struct stream *stream)
{
    struct kp_arena arena = {0};
    struct kp_error err;
    int64_t until = position_of(kappa);
    while (sums->at < until) {
        struct kp_subscription_item item;
        bool ready = false;
        assert_int_equal(kp_subscription_next(sums->subscription, 20000000, &arena, &item, &ready, &err), KP_OK);
        assert_true(ready);
        for (uint32_t row = 0; item.batch && row < item.batch->rows; row++, stream->changes++)
            sums_add(sums, record_print(item.batch, row, kp_session_zone(kappa->session)),
                     item.batch->weights ? item.batch->weights[row] : 1);
        if (item.last_of_position) {
            sums->at = item.position;
            assert_true(stream->count < STATES_MAX);
            stream->positions[stream->count] = item.position;
            stream->sums[stream->count++] = hash_of_sums(sums);
        }
        kp_arena_reset(&arena);
    }
    kp_arena_finish(&arena);
    struct answer rows;
    char ask[64];
    snprintf(ask, sizeof ask, "SELECT * FROM v%u", view);
    kappa_ask(kappa, ask, &rows, NULL);
    assert_string_equal(rows.message, "");
    assert_true(hash_of(&rows) == hash_of_sums(sums));
    answer_finish(&rows);
}

/* One instance's life; its streams. */
static void live(uint64_t step_records_max, uint32_t workers, struct stream *ret_streams)
{
    struct kp_os os = *kp_os_real();
    os.wall_us = fixed_clock;
    char dir[64], text[512];
    folder_make(dir, sizeof dir, "cut");
    struct kappa kappa = {.options = {.os = &os,
                                      .dir = dir,
                                      .workers = workers,
                                      .parts = 4,
                                      .step_records_max = step_records_max,
                                      .unsafe_no_sync = true}};
    struct sums sums[KP_COUNT(views)] = {0};
    struct kp_error err;
    kappa_open(&kappa);
    for (unsigned i = 0; i < KP_COUNT(setup); i++)
        must(&kappa, setup[i]);
    for (unsigned i = 0; i < KP_COUNT(views); i++) {
        snprintf(text, sizeof text, "CREATE MATERIALIZED VIEW v%u AS %s", i, views[i]);
        must(&kappa, text);
    }
    for (unsigned i = 0; i < KP_COUNT(views); i++) {
        snprintf(text, sizeof text, "v%u", i);
        assert_int_equal(kp_db_relation(kappa.db, text, &sums[i].relation, &err), KP_OK);
        assert_int_equal(kp_db_subscribe(kappa.db, sums[i].relation,
                                         &(struct kp_subscription_options){.snapshot = true, .resume = -1},
                                         &sums[i].subscription, &err),
                         KP_OK);
        kp_relation_unref(sums[i].relation);
        sums[i].at = -1;
    }
    write_all(&kappa, 7);
    for (unsigned i = 0; i < KP_COUNT(views); i++) {
        collect(&kappa, i, &sums[i], &ret_streams[i]);
        sums_close(&kappa, &sums[i]);
    }
    assert_true(last_position == 0 || last_position == position_of(&kappa));
    last_position = position_of(&kappa);
    kappa_close(&kappa);
    snprintf(text, sizeof text, "rm -rf '%s'", dir);
    assert_int_equal(system(text), 0);
}

/* At each position that b tells of, a's changes have added up to the same. */
static void compare_streams(const struct stream *a, const struct stream *b)
{
    struct answer none = {0};
    uint64_t sum = hash_of(&none);
    for (uint32_t i = 0, j = 0; j < b->count; j++) {
        for (; i < a->count && a->positions[i] <= b->positions[j]; i++)
            sum = a->sums[i];
        assert_true(sum == b->sums[j]);
    }
}

static void test_cut(void **state)
{
    static const uint64_t cuts[] = {1, 3, 17, 0};
    for (unsigned c = 0; c < KP_COUNT(cuts); c++)
        live(cuts[c], 1 + c, streams[c]);
    for (unsigned v = 0; v < KP_COUNT(views); v++) {
        for (unsigned c = 1; c < KP_COUNT(cuts); c++)
            compare_streams(&streams[0][v], &streams[c][v]);
        for (unsigned c = 0; c < KP_COUNT(cuts); c++) /* nothing is told within a transaction */
            for (uint32_t t = 0; t < transactions; t++)
                for (uint32_t i = 0; i < streams[c][v].count; i++)
                    assert_false(streams[c][v].positions[i] > transaction_begins[t] &&
                                 streams[c][v].positions[i] < transaction_ends[t]);
        printf("v%u: %u, %u, %u, %u positions; %llu, %llu, %llu, %llu changes\n", v, streams[0][v].count,
               streams[1][v].count, streams[2][v].count, streams[3][v].count, (unsigned long long)streams[0][v].changes,
               (unsigned long long)streams[1][v].changes, (unsigned long long)streams[2][v].changes,
               (unsigned long long)streams[3][v].changes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cut)};
    return cmocka_run_group_tests_name("cut", tests, NULL, NULL);
}
