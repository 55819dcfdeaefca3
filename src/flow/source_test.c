/*
 * Sources and keyed tables from records: late rows under EMIT ON WINDOW CLOSE, upserts and deletes, error rows, dead
 * letters, merging a backfilled graph. Each against a model that goes record by record, for random cuts, workers and
 * shards.
 */
#include "flow/flow_oracle.h"

#include "sql/sql.h"

enum { RECORDS = 400, KEYS = 12, ROUNDS = 25 };

struct log {
    struct kp_buf memory;
    struct kp_decode_input chunks[RECORDS];
    size_t offsets[RECORDS + 1];
    size_t count;
    int64_t records;
};

static void die(const struct kp_error *err)
{
    fail_msg("%s %s", err->sqlstate, err->message);
}

static struct kp_relation *declare(struct kp_catalog *catalog, const char *text)
{
    static const struct kp_session_settings settings;
    static uint32_t next_id = 1;
    struct kp_sql_context context = {.catalog = catalog, .settings = &settings};
    struct kp_arena arena = {0};
    struct kp_statement *statement;
    struct kp_relation *relation;
    struct kp_error err;
    if (kp_sql_parse(kp_str(text), &arena, &statement, &err) != KP_OK ||
        kp_sql_bind_create(&context, statement, &relation, &err) != KP_OK ||
        kp_catalog_add(catalog, relation, false, &err) != KP_OK)
        die(&err);
    relation->id = next_id++;
    relation->version = 1;
    kp_arena_finish(&arena);
    return relation;
}

/* A record batch of its own for each record or few; positions count records. */
static void log_add(struct log *log, uint32_t partition, const char *const *keys, const char *const *values, uint32_t n)
{
    struct kp_record_batch_builder builder = {0};
    struct kp_error err;
    for (uint32_t i = 0; i < n; i++)
        kp_record_batch_add(&builder, 0, keys && keys[i] ? kp_str(keys[i]) : (struct kp_str){NULL, 0},
                            values[i] ? kp_str(values[i]) : (struct kp_str){NULL, 0}, (struct kp_str){"\0", 1});
    log->offsets[log->count] = log->memory.len;
    log->chunks[log->count] =
        (struct kp_decode_input){.partition = partition, .base_offset = log->records, .position = log->records};
    if (kp_record_batch_build(&builder, KP_CODEC_NONE, &log->memory, &err) != KP_OK)
        die(&err);
    kp_record_batch_builder_finish(&builder);
    log->records += n;
    log->offsets[++log->count] = log->memory.len;
}

static void log_ready(struct log *log)
{
    for (size_t i = 0; i < log->count; i++) {
        log->chunks[i].batch = log->memory.data + log->offsets[i];
        log->chunks[i].bytes = (uint32_t)(log->offsets[i + 1] - log->offsets[i]);
    }
}

struct running {
    struct kp_graph *graph;
    struct kp_relation *relation;
    struct kp_node *node;
    struct kp_output *output;
    struct multiset sum, errors;
    _Atomic uint32_t dead;
    int64_t tick_us; /* log time of a step without records */
};

static void count_dead(void *arg, const struct kp_relation *relation, const struct kp_dead_letter *letter)
{
    atomic_fetch_add(&((struct running *)arg)->dead, 1);
}

static void start(struct running *running, struct kp_workers *workers, uint32_t parts, struct kp_relation *relation,
                  const struct kp_relation *view)
{
    struct kp_graph_options options = {.workers = workers, .parts = parts, .parallel_rows_min = 1};
    static const struct kp_session_settings settings;
    struct kp_error err;
    if (kp_graph_create(&options, &running->graph, &err) != KP_OK ||
        kp_graph_add_plan(running->graph, view->plan->plan, &settings, NULL, NULL, &running->node, &err) != KP_OK)
        die(&err);
    running->relation = relation;
    running->output = kp_graph_add_output(running->graph, running->node);
}

static void advance(struct running *running, const struct log *log, size_t from, size_t to, bool partial)
{
    struct kp_error err;
    struct kp_step_input input = {.chunks = log->chunks + from, .chunk_count = to - from};
    if (kp_graph_relation(running->graph, running->relation, &input.node, &err) != KP_OK)
        die(&err);
    struct kp_step step = {.inputs = &input,
                           .input_count = 1,
                           .partial = partial,
                           .log_time_us = to > from ? log->chunks[to - 1].log_time_us : running->tick_us,
                           .dead = count_dead,
                           .arg = running};
    if (kp_graph_step(running->graph, &step, &err) != KP_OK)
        die(&err);
    const struct kp_changes *changes = kp_output_changes(running->output);
    multiset_add_changes(&running->sum, changes);
    for (size_t i = 0; i < changes->error_count; i++) {
        char text[100];
        snprintf(text, sizeof text, "%s at %lld", changes->errors[i].sqlstate,
                 (long long)changes->errors[i].log_position);
        multiset_add(&running->errors, text, changes->errors[i].weight);
    }
}

static void stop(struct running *running)
{
    kp_graph_destroy(running->graph);
    multiset_finish(&running->sum);
    multiset_finish(&running->errors);
}

static void compare(struct multiset *got, struct multiset *wanted, uint64_t seed, size_t at)
{
    multiset_sort(got);
    multiset_sort(wanted);
    if (!multiset_equal(got, wanted)) {
        fprintf(stderr, "seed %llu at %zu\n-- got:\n", (unsigned long long)seed, at);
        multiset_print(got);
        fprintf(stderr, "-- wanted:\n");
        multiset_print(wanted);
        fail();
    }
}

/* ---- late rows ---- */

struct event {
    int64_t time_s, log_us;
    uint32_t partition, key;
};

enum { PARTITIONS = 3, DELAY = 4, SIZE = 10 };

/* The watermark, record by record, as it is written in DESIGN.md. */
struct marks {
    int64_t max[PARTITIONS], seen[PARTITIONS], watermark, idle_us;
};

static void marks_look(struct marks *marks, int64_t now_us)
{
    int64_t least = INT64_MAX, last = INT64_MIN;
    for (int p = 0; p < PARTITIONS; p++)
        last = KP_MAX(last, marks->seen[p]);
    for (int p = 0; p < PARTITIONS; p++)
        if (marks->seen[p] >= 0 && (marks->seen[p] == last || now_us - marks->seen[p] < marks->idle_us))
            least = KP_MIN(least, marks->max[p]);
    if (least != INT64_MAX)
        marks->watermark = KP_MAX(marks->watermark, least - DELAY);
}

/* What EMIT ON WINDOW CLOSE has emitted after the first n events: closed windows' counts over pairs that were not late.
 */
static void emitted(const struct event *events, size_t n, int64_t idle_us, int64_t now_us, struct multiset *ret_set)
{
    enum { WINDOWS = 80 };
    static const int64_t none = INT64_MIN / 2;
    int64_t counts[WINDOWS][4] = {{0}};
    struct marks marks = {{none, none, none}, {-1, -1, -1}, none, idle_us};
    for (size_t i = 0; i < n; i++) {
        const struct event *event = &events[i];
        int64_t end = event->time_s / SIZE * SIZE + SIZE;
        marks_look(&marks, event->log_us);
        if (end > marks.watermark)
            counts[end / SIZE][event->key]++;
        marks.max[event->partition] = KP_MAX(marks.max[event->partition], event->time_s);
        marks.seen[event->partition] = event->log_us;
        marks_look(&marks, event->log_us);
    }
    marks_look(&marks, now_us);
    int64_t watermark = marks.watermark;
    for (int64_t w = 0; w < WINDOWS; w++)
        for (int64_t k = 0; k < 4 && w * SIZE <= watermark; k++)
            if (counts[w][k]) {
                char text[100];
                int64_t end = w * SIZE;
                snprintf(text, sizeof text, "%lld|%lld|2020-01-01 00:%02lld:%02lld|", (long long)k,
                         (long long)counts[w][k], (long long)end / 60, (long long)end % 60);
                multiset_add(ret_set, text, 1);
            }
}

static void late_round(uint64_t seed, struct kp_workers **workers)
{
    struct random random = {seed * 0x9e3779b97f4a7c15u + 7};
    struct kp_catalog *catalog = kp_catalog_create();
    bool idle = seed % 2;
    struct kp_relation *source = declare(
        catalog, idle ? "CREATE SOURCE s (k bigint, ts timestamp, WATERMARK FOR ts AS ts - INTERVAL '4 seconds') "
                        "WITH (topic = 's', format = 'json', idle_timeout = '10 seconds')"
                      : "CREATE SOURCE s (k bigint, ts timestamp, WATERMARK FOR ts AS ts - INTERVAL '4 seconds') "
                        "WITH (topic = 's', format = 'json')");
    struct kp_relation *view = declare(
        catalog,
        "CREATE MATERIALIZED VIEW v AS SELECT k, count(*) AS n, window_end FROM tumble(s, ts, INTERVAL '10 seconds') "
        "GROUP BY k, window_start, window_end EMIT ON WINDOW CLOSE");
    struct log *log = kp_calloc(1, sizeof *log);
    struct event *events = kp_calloc(RECORDS * 4, sizeof *events);
    size_t event_count = 0, ends[RECORDS];
    int64_t log_us = 1577836800000000, idle_us = idle ? 10000000 : INT64_MAX;
    for (size_t b = 0; b < 60; b++) {
        char texts[4][64];
        const char *values[4];
        uint32_t n = 1 + random_below(&random, 4), partition = random_below(&random, 5);
        partition = KP_MIN(partition, 2u);
        log_us += 1000000 * random_below(&random, 6);
        for (uint32_t i = 0; i < n; i++) {
            int64_t late = random_below(&random, 4) == 0 ? random_below(&random, 40) : random_below(&random, 4);
            struct event event = {.time_s = KP_MAX((int64_t)event_count - late, 0),
                                  .log_us = log_us,
                                  .partition = partition,
                                  .key = random_below(&random, 4)};
            snprintf(texts[i], sizeof texts[i], "{\"k\":%u,\"ts\":\"2020-01-01 00:%02d:%02d\"}", event.key,
                     (int)(event.time_s / 60), (int)(event.time_s % 60));
            values[i] = texts[i];
            events[event_count++] = event;
        }
        log_add(log, partition, NULL, values, n);
        log->chunks[b].log_time_us = log_us;
        ends[b] = event_count;
    }
    log_ready(log);
    struct running running = {0};
    start(&running, workers[1 + random_below(&random, 3)], 1u << random_below(&random, 5), source, view);
    for (size_t at = 0; at < log->count;) {
        size_t more = 1 + random_below(&random, 20), to = KP_MIN(at + more, log->count);
        bool partial = to < log->count && random_below(&random, 4) == 0;
        advance(&running, log, at, to, partial);
        int64_t now_us = log->chunks[to - 1].log_time_us;
        if (!partial && random_below(&random, 3) == 0) { /* a tick: the log's time moves, nothing has come */
            int64_t limit_us = to < log->count ? log->chunks[to].log_time_us : now_us + 20000000;
            now_us = running.tick_us = now_us + (limit_us - now_us) * random_below(&random, 3) / 2;
            advance(&running, log, to, to, false);
        }
        if (!partial) {
            struct multiset wanted = {0};
            emitted(events, ends[to - 1], idle_us, now_us, &wanted);
            compare(&running.sum, &wanted, seed, to);
            multiset_finish(&wanted);
        }
        at = to;
    }
    stop(&running);
    kp_catalog_destroy(catalog);
    kp_buf_finish(&log->memory);
    kp_free(log);
    kp_free(events);
}

/* ---- keyed tables, error rows, a merge ---- */

struct model_row {
    bool present;
    int64_t value, position;
};

static void model(const struct model_row *rows, struct multiset *ret_rows, struct multiset *ret_errors)
{
    for (int k = 0; k < KEYS; k++) {
        char text[64];
        if (!rows[k].present)
            continue;
        if (rows[k].value == 0) {
            snprintf(text, sizeof text, "22012 at %lld", (long long)rows[k].position);
            multiset_add(ret_errors, text, 1);
            continue;
        }
        snprintf(text, sizeof text, "key number %d|%lld|", k, (long long)(100 / rows[k].value));
        multiset_add(ret_rows, text, 1);
    }
}

static void table_round(uint64_t seed, struct kp_workers **workers)
{
    struct random random = {seed * 0x9e3779b97f4a7c15u + 5};
    struct kp_catalog *catalog = kp_catalog_create();
    struct kp_relation *table =
        declare(catalog, "CREATE TABLE t (k text PRIMARY KEY, v bigint) WITH (topic = 't', format = 'json')");
    struct kp_relation *view = declare(catalog, "CREATE MATERIALIZED VIEW w AS SELECT k, 100 / v AS x FROM t");
    struct log *log = kp_calloc(1, sizeof *log);
    struct model_row(*after)[KEYS] = kp_calloc(RECORDS, sizeof *after);
    struct model_row now[KEYS] = {{0}};
    uint32_t bad = 0;
    for (size_t b = 0; b < 120; b++) {
        char texts[3][64], key_texts[3][32];
        const char *values[3], *keys[3];
        uint32_t n = 1 + random_below(&random, 3);
        for (uint32_t i = 0; i < n; i++) {
            uint32_t k = random_below(&random, KEYS);
            int64_t v = random_below(&random, 5), position = log->records + i;
            snprintf(key_texts[i], sizeof key_texts[i], "[\"key number %u\"]", k);
            keys[i] = key_texts[i];
            values[i] = texts[i];
            snprintf(texts[i], sizeof texts[i], "{\"k\":\"key number %u\",\"v\":%lld}", k, (long long)v);
            switch (random_below(&random, 8)) {
            case 0:
                values[i] = NULL;
                now[k].present = false;
                continue;
            case 1:
                snprintf(texts[i], sizeof texts[i], "{\"k\":\"key number %u\",\"v\":oops}", k);
                bad++;
                continue;
            default:
                if (!now[k].present || now[k].value != v || now[k].position < 0)
                    now[k] = (struct model_row){true, v, position};
            }
        }
        log_add(log, 0, keys, values, n);
        memcpy(after[b], now, sizeof now);
    }
    log_ready(log);
    struct running running = {0};
    start(&running, workers[1 + random_below(&random, 3)], 8, table, view);
    for (size_t at = 0; at < log->count;) {
        size_t more = 1 + random_below(&random, 30), to = KP_MIN(at + more, log->count);
        bool partial = to < log->count && random_below(&random, 4) == 0;
        advance(&running, log, at, to, partial);
        at = to;
        if (partial)
            continue;
        struct multiset wanted = {0}, wanted_errors = {0};
        model(after[to - 1], &wanted, &wanted_errors);
        compare(&running.sum, &wanted, seed, to);
        /* Positions of error rows may name an earlier or later record of the same value: only their number is fixed. */
        int64_t errors = 0;
        for (size_t i = 0; i < running.errors.count; i++)
            errors += running.errors.weights[i];
        int64_t wanted_count = 0;
        for (size_t i = 0; i < wanted_errors.count; i++)
            wanted_count += wanted_errors.weights[i];
        assert_int_equal(errors, wanted_count);
        assert_int_equal(running.errors.count, wanted_errors.count);
        multiset_finish(&wanted);
        multiset_finish(&wanted_errors);
    }
    assert_int_equal(atomic_load(&running.dead), bad);
    stop(&running);
    kp_catalog_destroy(catalog);
    kp_buf_finish(&log->memory);
    kp_free(log);
    kp_free(after);
}

static void each_round(void (*round)(uint64_t seed, struct kp_workers **workers))
{
    struct kp_workers *workers[4] = {NULL};
    for (uint32_t i = 1; i < 4; i++)
        workers[i] = kp_workers_create(i);
    for (uint64_t seed = 1; seed <= ROUNDS; seed++)
        round(seed, workers);
    for (uint32_t i = 1; i < 4; i++)
        kp_workers_destroy(workers[i]);
}

static void test_late(void **state)
{
    each_round(late_round);
}
static void test_table(void **state)
{
    each_round(table_round);
}

/* A query that reads no column still counts rows; an event time too far ahead is a dead letter. */
static void test_small(void **state)
{
    struct kp_catalog *catalog = kp_catalog_create();
    struct kp_relation *plain = declare(catalog, "CREATE SOURCE p (a bigint) WITH (topic = 'p', format = 'json')");
    struct kp_relation *count = declare(catalog, "CREATE MATERIALIZED VIEW c AS SELECT count(*) AS n FROM p");
    struct kp_relation *timed =
        declare(catalog, "CREATE SOURCE q (ts timestamp, a bigint, WATERMARK FOR ts AS ts - INTERVAL '1 second') "
                         "WITH (topic = 'q', format = 'json', max_ahead = '1 hour')");
    struct kp_relation *sum = declare(catalog, "CREATE MATERIALIZED VIEW d AS SELECT sum(a) AS n FROM q");
    struct log *log = kp_calloc(1, sizeof *log);
    const char *values[] = {"{\"a\":1,\"ts\":\"1970-01-01 00:10:00\"}", "{\"a\":2,\"ts\":\"2020-01-01 00:00:00\"}",
                            "{\"b\":4}"};
    log_add(log, 0, NULL, values, 3);
    log_ready(log);
    struct running running = {0};
    start(&running, NULL, 1, plain, count);
    advance(&running, log, 0, 1, false);
    assert_int_equal(running.sum.count, 1);
    assert_string_equal(running.sum.rows[0], "3|");
    stop(&running);
    running = (struct running){0};
    start(&running, NULL, 4, timed, sum);
    advance(&running, log, 0, 1, false);
    assert_int_equal(running.sum.count, 1);
    assert_string_equal(running.sum.rows[0], "1|");
    assert_int_equal(atomic_load(&running.dead), 1);
    stop(&running);
    kp_catalog_destroy(catalog);
    kp_buf_finish(&log->memory);
    kp_free(log);
}

/* Of keys that are equal but look different the group shows the one whose text is least, in whatever order they come.
 */
static void test_faces(void **state)
{
    struct kp_catalog *catalog = kp_catalog_create();
    struct kp_relation *source = declare(catalog, "CREATE SOURCE r (n numeric) WITH (topic = 'r', format = 'json')");
    struct kp_relation *view =
        declare(catalog, "CREATE MATERIALIZED VIEW f AS SELECT n, count(*) AS c FROM r GROUP BY n");
    struct kp_relation *distinct = declare(catalog, "CREATE MATERIALIZED VIEW g AS SELECT DISTINCT n FROM r");
    struct log *log = kp_calloc(1, sizeof *log);
    const char *values[] = {"{\"n\":1.00}", "{\"n\":1.0}", "{\"n\":1.000}", "{\"n\":null}"};
    for (int i = 0; i < 4; i++)
        log_add(log, 0, NULL, &values[i], 1);
    log_ready(log);
    struct running running = {0}, other = {0};
    start(&running, NULL, 4, source, view);
    start(&other, NULL, 4, source, distinct);
    for (size_t i = 0; i < 4; i++) {
        advance(&running, log, i, i + 1, false);
        advance(&other, log, i, i + 1, false);
    }
    struct multiset wanted = {0}, wanted_other = {0};
    multiset_add(&wanted, "1.0|3|", 1);
    multiset_add(&wanted, "NULL|1|", 1);
    multiset_add(&wanted_other, "1.0|", 1);
    multiset_add(&wanted_other, "NULL|", 1);
    compare(&running.sum, &wanted, 0, 4);
    compare(&other.sum, &wanted_other, 0, 4);
    multiset_finish(&wanted);
    multiset_finish(&wanted_other);
    stop(&running);
    stop(&other);
    kp_catalog_destroy(catalog);
    kp_buf_finish(&log->memory);
    kp_free(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_late), cmocka_unit_test(test_table),
                                       cmocka_unit_test(test_small), cmocka_unit_test(test_faces)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
