/*
 * Rot in history columns, as an instance sees it: one bit of a file in columns/ turns over, the instance is opened
 * again and replays. Whatever the bit, every answer is right: what does not fit its checksum is decoded again from the
 * records. And it is noticed, unless it is padding that nobody reads.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "db/instance.h"
#include "log/plant.h"
#include "sim/campaign.h"
#include "sim/db/world.h"

enum { FILES_MAX = 64, CHUNK_ROWS = 60, ROWS = 500, FLIPS_MAX = 400 };
#define COLUMNS_DIR WORLD_DIR "/columns"

struct whole {
    struct kp_sim *sim;
    char names[FILES_MAX][128];
    uint64_t bytes[FILES_MAX];
    size_t count;
    char *answers;
};

/* What one opening is for and what came of it. */
struct visit {
    struct world world;
    const char *first; /* statements, before what is asked; NULL: none */
    struct kp_buf answers;
    struct kp_columns_totals totals;
};

/* Views and queries read every column of every row; the last one may pass over chunks. A chunk is cut between groups,
 * of which each INSERT is one. */
static const char declare[] =
    "CREATE SOURCE ev (k int, x bigint, price numeric, name text, ok boolean, at timestamp) WITH (topic = 'ev')";
static const char insert[] =
    ";INSERT INTO ev SELECT mod(g, 17), mod(g * 7919, 100003), g * 1.25, 'name ' || mod(g, 29), mod(g, 3) = 0, "
    "timestamp '2024-01-01' + g * interval '7 seconds' FROM generate_series(1 + %d, 50 + %d) AS g";
static const char view[] =
    ";CREATE MATERIALIZED VIEW sums AS SELECT k, count(*) AS n, sum(x) AS x, sum(price) AS price, max(name) AS name, "
    "bool_and(ok) AS ok, max(at) AS at FROM ev GROUP BY k";
static const char *const questions[] = {
    "SELECT * FROM sums ORDER BY k",
    "SELECT * FROM ev ORDER BY at",
    "SELECT count(*), sum(x), min(name) FROM ev WHERE at >= '2024-01-01 00:30:00' AND name = 'name 3'",
    "SELECT count(*), max(name) FROM ev WHERE x = 23757",
};

static void ask(struct visit *visit, const char *sql)
{
    struct kp_error err;
    struct kp_buf text = {0};
    if (world_query(&visit->world, sql, &text, NULL, &err) == KP_OK)
        kp_buf_append(&visit->answers, text.data, text.len);
    else
        kp_buf_printf(&visit->answers, "%s: %s\n", sql, err.message);
    kp_buf_finish(&text);
}

static void live(void *arg)
{
    struct visit *visit = arg;
    struct kp_error err;
    if (kp_db_open(&visit->world.options, &visit->world.db, &err) != KP_OK) {
        kp_buf_printf(&visit->answers, "open: %s\n", err.message);
        return;
    }
    (void)kp_db_wait_ready(visit->world.db, -1);
    for (const char *at = visit->first; at && *at;) { /* up to each semicolon */
        size_t len = strcspn(at, ";");
        char sql[600];
        snprintf(sql, sizeof sql, "%.*s", (int)len, at);
        ask(visit, sql);
        at += len + (at[len] == ';');
    }
    for (size_t i = 0; i < KP_COUNT(questions); i++)
        ask(visit, questions[i]);
    kp_columns_totals(visit->world.db->columns, &visit->totals);
    kp_db_close(visit->world.db);
}

/* Opens the instance on that disk, which is left closed; its answers, the caller's to free. */
static char *visit_db(struct kp_sim *sim, const char *first, struct kp_columns_totals *ret_totals)
{
    struct visit *visit = kp_calloc(1, sizeof *visit);
    visit->world.sim = sim;
    visit->world.options = (struct kp_db_options){.os = kp_sim_os(sim),
                                                  .dir = WORLD_DIR,
                                                  .workers = 1,
                                                  .columns_chunk_rows = CHUNK_ROWS,
                                                  .journal_file_bytes = 256 << 10};
    visit->first = first;
    (void)kp_sim_tasks_run(sim, live, visit);
    *ret_totals = visit->totals;
    kp_buf_append_byte(&visit->answers, 0);
    char *answers = (char *)visit->answers.data;
    kp_free(visit);
    return answers;
}

static void note_file(void *arg, const char *name)
{
    struct whole *whole = arg;
    assert_true(whole->count < FILES_MAX);
    snprintf(whole->names[whole->count++], sizeof whole->names[0], COLUMNS_DIR "/%s", name);
}

static void make_whole(struct whole *whole)
{
    struct kp_columns_totals totals;
    struct kp_error err;
    *whole = (struct whole){.sim = kp_sim_create(5)};
    struct kp_os *os = kp_sim_os(whole->sim);
    struct kp_buf first = {0};
    kp_buf_append_text(&first, declare);
    for (int i = 0; i < ROWS; i += 50)
        kp_buf_printf(&first, insert, i, i);
    kp_buf_append_text(&first, view);
    kp_buf_append_byte(&first, 0);
    kp_free(visit_db(whole->sim, (char *)first.data, &totals));
    kp_buf_finish(&first);
    assert_true(totals.chunks_written > 30);
    kp_sim_power_on(whole->sim, KP_SIM_CUT_KEEP);
    assert_int_equal(os->list(os->ctx, COLUMNS_DIR, note_file, whole, &err), KP_OK);
    assert_true(whole->count > 5);
    for (size_t i = 0; i < whole->count; i++) {
        struct kp_file *file;
        assert_int_equal(os->open(os->ctx, whole->names[i], KP_OPEN_READ, &file, &err), KP_OK);
        assert_int_equal(os->size(os->ctx, file, &whole->bytes[i], &err), KP_OK);
        assert_true(whole->bytes[i] > 0);
        os->close(os->ctx, file);
    }
    struct kp_sim *sim = kp_sim_copy(whole->sim, 1);
    whole->answers = visit_db(sim, NULL, &totals);
    kp_sim_destroy(sim);
    assert_true(strlen(whole->answers) > ROWS * 20);
    assert_null(strstr(whole->answers, ": ")); /* no error */
    assert_true(totals.hits > 0);
    assert_int_equal(totals.damaged, 0);
    assert_int_equal(totals.chunks_written, 0);
}

static void finish_whole(struct whole *whole)
{
    kp_sim_destroy(whole->sim);
    kp_free(whole->answers);
}

enum fate { FATE_NOTICED, FATE_PADDING, FATE_MISSED, FATE_WRONG };

/* Turns over bit number `number` of a random order. */
static enum fate flip(const struct whole *whole, uint64_t number, char *ret_where, size_t where_bytes)
{
    struct kp_sim *sim = kp_sim_copy(whole->sim, number);
    struct kp_columns_totals totals;
    size_t file = (size_t)kp_sim_below(sim, whole->count);
    uint64_t bit = kp_sim_below(sim, 8 * whole->bytes[file]);
    bool zero = kp_sim_byte(sim, whole->names[file], bit / 8) == 0;
    snprintf(ret_where, where_bytes, "bit %llu of %s", (unsigned long long)bit, whole->names[file]);
    kp_sim_flip(sim, whole->names[file], bit);
    char *answers = visit_db(sim, NULL, &totals);
    bool right = strcmp(answers, whole->answers) == 0;
    kp_free(answers);
    kp_sim_destroy(sim);
    if (!right)
        return FATE_WRONG;
    /* what a file's or a chunk's header tells no more is not there: it was made again */
    if (totals.damaged || totals.chunks_written)
        return FATE_NOTICED;
    return zero ? FATE_PADDING : FATE_MISSED;
}

static void flips(void **state)
{
    struct campaign campaign = {.name = "column-flips",
                                .what = "bits of history columns turned over",
                                .totals = {"noticed", "of padding"},
                                .cases = 150,
                                .limit = 20000};
    struct whole whole;
    char where[200];
    make_whole(&whole);
    campaign_begin(&campaign);
    for (uint64_t number; campaign_next(&campaign, &number);) {
        enum fate fate = flip(&whole, number, where, sizeof where);
        if (fate == FATE_WRONG || fate == FATE_MISSED)
            fail_msg("%s turned over: %s (KAPPA_SEED=%llu repeats it)", where,
                     fate == FATE_WRONG ? "an answer is wrong" : "nobody looks at it, and it is not padding",
                     (unsigned long long)number);
        campaign.counts[0] += fate == FATE_NOTICED;
        campaign.counts[1] += fate == FATE_PADDING;
    }
    finish_whole(&whole);
    campaign_end(&campaign);
}

/* Believed without their checksums, columns give wrong answers: these flips would show it. */
static void planted(void **state)
{
    struct whole whole;
    char where[200];
    uint64_t number = 0;
    bool wrong = false;
    make_whole(&whole);
    kp_log_planted = KP_PLANT_COLUMN_UNCHECKED;
    while (!wrong && number < FLIPS_MAX)
        wrong = flip(&whole, ++number, where, sizeof where) == FATE_WRONG;
    kp_log_planted = KP_PLANT_NONE;
    finish_whole(&whole);
    if (!wrong)
        fail_msg("columns believed without their checksum: not caught");
    print_message("columns believed without their checksum: caught by flip %llu, %s\n", (unsigned long long)number,
                  where);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(flips), cmocka_unit_test(planted)};
    const char *filter = getenv("KAPPA_TEST_ONLY");
    if (filter)
        cmocka_set_test_filter(filter);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
