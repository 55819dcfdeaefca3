/*
 * Compaction on a simulated disk: keyed records, compaction and crashes at any call.
 *
 * The oracle keeps what was sent, in order. Whatever was taken out, and whenever the power went, the log must hold a
 * part of it with every record in its place and as it was; of what was not there any more nothing comes back; what is
 * missing has a later record of its key before the horizon of some call, or is a tombstone that was allowed to go; and
 * the latest of each key at any position from the last horizon on is what was sent. Fetching by offset gives the same
 * records as reading by position, and the files verify without a problem.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "log/inspect.h"
#include "log/log.h"
#include "log/plant.h"
#include "log/record_batch.h"
#include "sim/campaign.h"
#include "sim/sim.h"

enum { TOPICS = 2, PARTITIONS = 3, KEYS = 24, OPERATIONS = 160 };
#define DIR "data/log"

struct sent {
    uint32_t topic, partition;
    int64_t offset, position, log_time_us;
    int32_t key;   /* -1: none */
    int32_t value; /* -1: none */
    bool gone;     /* was missing once */
};

struct history {
    struct kp_sim *sim;
    struct kp_log *log;
    struct sent *sent;
    size_t count, cap, sure; /* sure: acknowledged */
    uint32_t topics[TOPICS];
    int64_t clean[TOPICS], horizon[TOPICS]; /* horizon: the furthest asked for */
    int64_t tombstones_before_us[TOPICS];
    int32_t value;
    uint32_t adopt_per_cent; /* 0: no journal file is adopted */
    bool broken;
    char failure[1200];
    unsigned crashes, compactions;
    uint64_t removed;
};

#define CHECK(history, condition, ...)                                                                                 \
    do {                                                                                                               \
        if (!(condition) && !(history)->failure[0])                                                                    \
            snprintf((history)->failure, sizeof(history)->failure, __VA_ARGS__);                                       \
    } while (0)

static struct kp_log_options log_options(struct history *history)
{
    return (struct kp_log_options){.os = kp_sim_os(history->sim),
                                   .tail_bytes = 1,
                                   .dir = DIR,
                                   .no_threads = true,
                                   .journal_file_bytes = 48 << 10,
                                   .seal_bytes = 64 << 10,
                                   .extent_own_bytes = 16 << 10,
                                   .adopt_block_bytes = history->adopt_per_cent ? 1 : 0,
                                   .adopt_per_cent = history->adopt_per_cent};
}

/* Two bytes of text for keys that look alike, so that ids matter: "1" and "01" are one id. */
static size_t key_text(int32_t key, char *text)
{
    return (size_t)sprintf(text, key % 2 ? "0%d" : "%d", (int)(key / 2));
}

static struct kp_hash128 id_of(const struct kp_record *record)
{
    char text[16] = {0};
    if (!record->key.ptr)
        return (struct kp_hash128){0};
    memcpy(text, record->key.ptr, KP_MIN(record->key.len, sizeof text - 1));
    return (struct kp_hash128){(uint64_t)strtol(text, NULL, 10) + 1, 1};
}

static enum kp_code identify(void *arg, const struct kp_log_chunk *chunk, struct kp_hash128 *ids, struct kp_error *err)
{
    struct kp_arena arena = {0};
    struct kp_record_reader reader;
    struct kp_record record;
    KP_TRY(kp_record_reader_init(&reader, chunk->batch, chunk->bytes, &arena, err));
    while (kp_record_reader_next(&reader, &record, err))
        ids[record.offset_delta] = id_of(&record);
    kp_arena_finish(&arena);
    return KP_OK;
}

/* ---- checking ---- */

static struct sent *find_sent(struct history *history, int64_t position)
{
    size_t low = 0, high = history->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (history->sent[middle].position < position)
            low = middle + 1;
        else
            high = middle;
    }
    return low < history->count && history->sent[low].position == position ? &history->sent[low] : NULL;
}

static void check_record(struct history *history, const struct kp_log_chunk *chunk, const struct kp_record *record,
                         bool *there)
{
    int64_t position = chunk->position + record->offset_delta;
    struct sent *sent = find_sent(history, position);
    char key[16] = "";
    CHECK(history, sent, "the record at position %lld was never sent", (long long)position);
    if (!sent)
        return;
    size_t key_len = sent->key < 0 ? 0 : key_text(sent->key, key);
    CHECK(history,
          sent->topic == chunk->topic && sent->partition == chunk->partition &&
              sent->offset == chunk->base_offset + record->offset_delta,
          "position %lld: another place", (long long)position);
    CHECK(history,
          (record->key.ptr != NULL) == (sent->key >= 0) && record->key.len == key_len &&
              (!key_len || memcmp(record->key.ptr, key, key_len) == 0),
          "position %lld: another key", (long long)position);
    CHECK(history,
          (record->value.ptr != NULL) == (sent->value >= 0) &&
              (sent->value < 0 || atoi(record->value.ptr) == sent->value) && record->timestamp_ms == 1000 + position,
          "position %lld: another value", (long long)position);
    CHECK(history, !sent->gone, "position %lld came back", (long long)position);
    sent->log_time_us = chunk->log_time_us;
    there[sent - history->sent] = true;
}

static int64_t read_span(struct history *history, int64_t position, bool *there)
{
    struct kp_log_span span;
    struct kp_error err;
    enum kp_code code = kp_log_read(history->log, position, INT64_MAX, 1 + (size_t)kp_sim_below(history->sim, 100000),
                                    NULL, 0, &span, &err);
    CHECK(history, code == KP_OK, "read at %lld: %s", (long long)position, err.message);
    if (code != KP_OK)
        return position;
    for (size_t i = 0; i < span.count; i++) {
        struct kp_arena arena = {0};
        struct kp_record_reader reader;
        struct kp_record record;
        CHECK(history,
              kp_record_reader_init(&reader, span.chunks[i].batch, span.chunks[i].bytes, &arena, &err) == KP_OK,
              "position %lld: %s", (long long)span.chunks[i].position, err.message);
        while (!history->failure[0] && kp_record_reader_next(&reader, &record, &err))
            check_record(history, &span.chunks[i], &record, there);
        kp_arena_finish(&arena);
    }
    int64_t end = span.position_end;
    kp_log_span_release(&span);
    return end;
}

/* May this record, which is not there, have gone? */
static bool may_go(const struct history *history, size_t index)
{
    const struct sent *sent = &history->sent[index];
    size_t t = sent->topic == history->topics[1];
    if (sent->key < 0 || sent->position >= history->horizon[t])
        return false;
    for (size_t i = index + 1; i < history->count && history->sent[i].position < history->horizon[t]; i++)
        if (history->sent[i].topic == sent->topic && history->sent[i].partition == sent->partition &&
            history->sent[i].key == sent->key)
            return true;
    return sent->value < 0 && sent->log_time_us < history->tombstones_before_us[t];
}

/* The latest value of each id in the topic is what was sent: what a table shows. */
static void check_latest(struct history *history, uint32_t topic, const bool *there)
{
    int32_t want[KEYS], have[KEYS];
    memset(want, -1, sizeof want);
    memset(have, -1, sizeof have);
    for (size_t i = 0; i < history->count; i++) {
        const struct sent *sent = &history->sent[i];
        if (sent->topic != topic || sent->key < 0)
            continue;
        want[sent->key / 2] = sent->value;
        if (there[i])
            have[sent->key / 2] = sent->value;
    }
    for (int id = 0; id < KEYS; id++)
        CHECK(history, want[id] == have[id], "key %d is %d instead of %d", id, (int)have[id], (int)want[id]);
}

/* By offset: the same records, through batches that begin anywhere. */
static void check_fetch(struct history *history, uint32_t topic, uint32_t partition, const bool *there)
{
    struct kp_partition_info info;
    struct kp_error err;
    CHECK(history, kp_log_partition(history->log, topic, partition, &info, &err) == KP_OK, "%s", err.message);
    int64_t offset = (int64_t)kp_sim_below(history->sim, (uint64_t)info.end_offset + 1), first = offset;
    size_t expected = 0, found = 0;
    for (size_t i = 0; i < history->count; i++)
        expected += there[i] && history->sent[i].topic == topic && history->sent[i].partition == partition &&
                    history->sent[i].offset >= first;
    while (offset < info.end_offset && !history->failure[0]) {
        struct kp_buf out = {0};
        enum kp_code code = kp_log_fetch(history->log, topic, partition, offset,
                                         1 + (size_t)kp_sim_below(history->sim, 30000), &out, &err);
        CHECK(history, code == KP_OK, "fetch of %lld: %s", (long long)offset, err.message);
        for (size_t at = 0; at < out.len && !history->failure[0];) {
            struct kp_record_batch_info batch;
            struct kp_arena arena = {0};
            struct kp_record_reader reader;
            struct kp_record record;
            CHECK(history, kp_record_batch_validate_thinned(out.data + at, out.len - at, &batch, &err) == KP_OK, "%s",
                  err.message);
            CHECK(history, kp_record_reader_init(&reader, out.data + at, batch.bytes, &arena, &err) == KP_OK, "%s",
                  err.message);
            while (!history->failure[0] && kp_record_reader_next(&reader, &record, &err))
                found += batch.base_offset + record.offset_delta >= first;
            offset = batch.base_offset + kp_record_batch_span(&batch);
            at += batch.bytes;
            kp_arena_finish(&arena);
        }
        CHECK(history, out.len, "there is nothing at offset %lld, and the end is %lld", (long long)offset,
              (long long)info.end_offset); /* a consumer would wait there for ever */
        kp_buf_finish(&out);
    }
    CHECK(history, expected == found, "partition %u from offset %lld to %lld of %lld has %zu records instead of %zu",
          partition, (long long)first, (long long)offset, (long long)info.end_offset, found, expected);
}

static void keep_problem(void *arg, const char *text)
{
    struct history *history = arg;
    CHECK(history, false, "verify: %s", text);
}

static void check_all(struct history *history)
{
    bool *there = kp_calloc(history->count + 1, sizeof *there);
    struct kp_error err;
    for (int64_t position = 0, before = -1; !history->failure[0] && position != before;) {
        before = position;
        position = read_span(history, position, there);
    }
    size_t known = 0;
    for (size_t i = 0; i < history->count && !history->failure[0]; i++) {
        if (there[i]) {
            known = i + 1;
        } else if (i < history->sure) {
            CHECK(history, may_go(history, i),
                  "position %lld is lost (key %d, value %d, topic %u, partition %u, horizons %lld %lld)",
                  (long long)history->sent[i].position, (int)history->sent[i].key, (int)history->sent[i].value,
                  history->sent[i].topic, history->sent[i].partition, (long long)history->horizon[0],
                  (long long)history->horizon[1]);
            history->removed += !history->sent[i].gone;
            history->sent[i].gone = true;
        }
    }
    while (history->count > history->sure && history->count > known) /* was not acknowledged, and is not there */
        history->count--;
    history->sure = history->count;
    for (size_t t = 0; t < TOPICS && !history->failure[0]; t++) {
        check_latest(history, history->topics[t], there);
        for (uint32_t p = 0; p < PARTITIONS && !history->failure[0]; p++)
            check_fetch(history, history->topics[t], p, there);
    }
    struct kp_inspect_report report;
    CHECK(history, kp_inspect_verify(kp_sim_os(history->sim), DIR, keep_problem, history, &report, &err) == KP_OK, "%s",
          err.message);
    kp_free(there);
}

/* ---- doing ---- */

static void restart(struct history *history)
{
    struct kp_log_options options = log_options(history);
    struct kp_error err = {0};
    kp_sim_kill(history->sim);
    kp_log_close(history->log);
    history->log = NULL;
    history->broken = false;
    history->crashes++;
    if (!kp_sim_powered(history->sim) || kp_sim_below(history->sim, 2))
        kp_sim_power_on(history->sim, KP_SIM_CUT_RANDOM);
    kp_sim_plan_cut(history->sim, 0, KP_SIM_CUT_RANDOM);
    kp_sim_plan_failure(history->sim, 0, KP_OK);
    CHECK(history, kp_log_open(&options, &history->log, &err) == KP_OK, "open: %s (%s)", err.message, err.detail);
    if (!history->failure[0])
        check_all(history);
}

static void note_sent(struct history *history, const struct sent *sent)
{
    if (history->count == history->cap) {
        history->cap = KP_MAX(2 * history->cap, (size_t)256);
        history->sent = kp_realloc(history->sent, history->cap * sizeof *history->sent);
    }
    history->sent[history->count++] = *sent;
}

static void append(struct history *history)
{
    struct kp_sim *sim = history->sim;
    struct kp_record_batch_builder builder = {0};
    struct kp_buf batch = {0};
    int64_t position = kp_log_position(history->log);
    uint32_t topic = history->topics[kp_sim_below(sim, TOPICS)], records = 1 + (uint32_t)kp_sim_below(sim, 12);
    struct kp_log_entry entry = {.topic = topic, .partition = (uint32_t)kp_sim_below(sim, PARTITIONS)};
    size_t first = history->count, pad = (size_t)kp_sim_below(sim, kp_sim_below(sim, 4) ? 60 : 1500);
    char *value = kp_alloc(pad + 32), key[16];
    for (uint32_t i = 0; i < records; i++) {
        struct sent sent = {.topic = topic, .partition = entry.partition, .value = history->value++};
        sent.key = kp_sim_below(sim, 12) ? (int32_t)kp_sim_below(sim, KEYS * 2) : -1;
        if (sent.key >= 0 && kp_sim_below(sim, 5) == 0)
            sent.value = -1;
        size_t key_len = sent.key < 0 ? 0 : key_text(sent.key, key);
        int len = sprintf(value, "%d ", (int)sent.value);
        memset(value + len, 'x', pad);
        value[(size_t)len + pad] = 0;
        kp_record_batch_add(&builder, 1000 + position + i, (struct kp_str){sent.key < 0 ? NULL : key, key_len},
                            (struct kp_str){sent.value < 0 ? NULL : value, sent.value < 0 ? 0 : (size_t)len + pad + 1},
                            (struct kp_str){0});
        note_sent(history, &sent);
    }
    enum kp_codec codec = (enum kp_codec)(kp_sim_below(sim, 3) ? KP_CODEC_NONE : kp_sim_below(sim, 5));
    assert_int_equal(kp_record_batch_build(&builder, codec, &batch, NULL), KP_OK);
    entry.batch = batch.data;
    entry.bytes = batch.len;
    struct kp_error err;
    int64_t end;
    enum kp_code code = kp_log_append(history->log, &entry, 1, &end, &err);
    CHECK(history, code != KP_OK || entry.position == position, "appended elsewhere");
    for (uint32_t i = 0; i < records; i++) {
        history->sent[first + i].position = position + i;
        history->sent[first + i].offset = entry.base_offset + i;
    }
    if (code == KP_OK)
        history->sure = history->count;
    else if (code == KP_FULL && err.retriable) /* not there */
        history->count = first;
    else
        history->broken = true;
    kp_free(value);
    kp_buf_finish(&batch);
    kp_record_batch_builder_finish(&builder);
}

static void maintain(struct history *history)
{
    struct kp_error err;
    for (bool did = true; did && !history->broken;)
        if (kp_log_maintain(history->log, &did, &err) != KP_OK)
            history->broken = kp_log_health(history->log, &err) != KP_OK || !kp_sim_powered(history->sim);
}

static void compact(struct history *history)
{
    struct kp_sim *sim = history->sim;
    size_t t = kp_sim_below(sim, TOPICS);
    struct kp_log_sealed sealed;
    struct kp_error err;
    kp_log_sealed(history->log, &sealed);
    bool seal = kp_sim_below(sim, 4) == 0;
    struct kp_log_compaction compaction = {.topic = history->topics[t],
                                           .clean = kp_sim_below(sim, 3) ? history->clean[t] : 0,
                                           .horizon = seal ? kp_log_position(history->log) : sealed.position,
                                           .seal = seal,
                                           .tombstones_before_us = INT64_MIN,
                                           .memory_bytes = kp_sim_below(sim, 2) ? 0 : 16 * 48,
                                           .identify = identify};
    if (kp_sim_below(sim, 2))
        compaction.tombstones_before_us = kp_log_time_us(history->log) + 1;
    history->horizon[t] = KP_MAX(history->horizon[t], compaction.horizon);
    history->tombstones_before_us[t] = KP_MAX(history->tombstones_before_us[t], compaction.tombstones_before_us);
    enum kp_code code = kp_log_compact(history->log, &compaction, &err);
    if (code == KP_OK) {
        CHECK(history, compaction.done >= compaction.clean && compaction.done <= history->horizon[t],
              "compacted to %lld", (long long)compaction.done);
        history->clean[t] = compaction.done;
        history->compactions++;
    } else {
        history->clean[t] = 0; /* as after a start */
        history->broken = kp_log_health(history->log, &err) != KP_OK || !kp_sim_powered(sim);
    }
}

static void begin(struct history *history, uint64_t seed)
{
    *history = (struct history){.sim = kp_sim_create(seed), .adopt_per_cent = seed % 2 ? 20 : 0};
    struct kp_log_options options = log_options(history);
    struct kp_error err;
    assert_int_equal(kp_log_open(&options, &history->log, &err), KP_OK);
    for (int t = 0; t < TOPICS; t++) {
        assert_int_equal(kp_log_topic_create(history->log, t ? "two" : "one", PARTITIONS, &history->topics[t], &err),
                         KP_OK);
        history->tombstones_before_us[t] = INT64_MIN;
    }
}

static void finish(struct history *history, uint64_t seed)
{
    if (history->failure[0])
        fail_msg("seed %llu: %s", (unsigned long long)seed, history->failure);
    kp_log_close(history->log);
    kp_sim_destroy(history->sim);
    kp_free(history->sent);
}

static void operate(struct history *history, bool faults)
{
    struct kp_sim *sim = history->sim;
    uint64_t what = kp_sim_below(sim, 20);
    if (faults && kp_sim_below(sim, 15) == 0)
        kp_sim_plan_cut(sim, 1 + kp_sim_below(sim, 60), KP_SIM_CUT_RANDOM);
    else if (faults && kp_sim_below(sim, 20) == 0)
        kp_sim_plan_failure(sim, 1 + kp_sim_below(sim, 60), kp_sim_below(sim, 2) ? KP_IO : KP_FULL);
    if (what < 14)
        for (uint64_t i = 1 + kp_sim_below(sim, 20); i > 0 && !history->broken && !history->failure[0]; i--)
            append(history);
    else if (what < 16)
        maintain(history);
    else if (what < 19)
        compact(history);
    if (history->broken || !kp_sim_powered(sim) || kp_sim_below(sim, 40) == 0)
        restart(history);
    kp_sim_plan_cut(sim, 0, KP_SIM_CUT_RANDOM);
    kp_sim_plan_failure(sim, 0, KP_OK);
    if (!history->failure[0] && kp_sim_below(sim, 10) == 0)
        check_all(history);
}

static void test_random_histories(void **state)
{
    struct campaign campaign = {.name = "compactions",
                                .what = "histories of a log that compacts",
                                .totals = {"crashes", "compactions", "records gone"},
                                .cases = 8};
    uint64_t seeds = 0, crashes = 0, compactions = 0, removed = 0;
    campaign_begin(&campaign);
    for (uint64_t seed; campaign_next(&campaign, &seed); seeds++) {
        struct history history;
        begin(&history, seed);
        for (int i = 0; i < OPERATIONS && !history.failure[0]; i++)
            operate(&history, seed % 3 != 0);
        if (!history.failure[0])
            restart(&history);
        crashes += history.crashes;
        compactions += history.compactions;
        removed += history.removed;
        finish(&history, seed);
    }
    campaign.counts[0] += crashes;
    campaign.counts[1] += compactions;
    campaign.counts[2] += removed;
    campaign_end(&campaign);
    assert_true(seeds < 8 || (crashes > 5 * seeds && compactions > 3 * seeds && removed > 50 * seeds));
}

/* One compaction with the power cut at its first call, its second, … until it goes through. */
static void test_every_call(void **state)
{
    uint64_t calls = 0, runs = 0;
    for (bool through = false; !through; runs++) {
        struct history history;
        begin(&history, 77);
        for (int i = 0; i < 150; i++)
            append(&history);
        maintain(&history);
        assert_false(history.broken);
        compact(&history);       /* a second one lets tombstones go */
        calls += 1 + calls / 40; /* the first ones each, later ones now and then */
        kp_sim_plan_cut(history.sim, calls, runs % 2 ? KP_SIM_CUT_RANDOM : KP_SIM_CUT_DROP);
        compact(&history);
        compact(&history);
        maintain(&history);
        through = kp_sim_powered(history.sim);
        restart(&history);
        finish(&history, 77);
    }
    printf("%llu crashes in %llu calls\n", (unsigned long long)runs - 1, (unsigned long long)calls);
    assert_true(runs > 50);
}

/* Planted bugs of compaction, each to be caught by one of a few histories. */
static void test_planted(void **state)
{
    enum { SEEDS = 30 };
    static const enum kp_log_plant plants[] = {KP_PLANT_COMPACT_ALL, KP_PLANT_TOMBSTONES_EARLY};
    for (size_t i = 0; i < KP_COUNT(plants); i++) {
        bool caught = false;
        for (uint64_t seed = 1; seed <= SEEDS && !caught; seed++) {
            struct history history;
            begin(&history, seed);
            kp_log_planted = plants[i];
            for (int o = 0; o < OPERATIONS && !history.failure[0]; o++)
                operate(&history, false);
            if (!history.failure[0])
                restart(&history);
            kp_log_planted = KP_PLANT_NONE;
            caught = history.failure[0];
            if (caught)
                printf("planted bug %d: caught by seed %llu: %.100s\n", (int)plants[i], (unsigned long long)seed,
                       history.failure);
            history.failure[0] = 0;
            finish(&history, seed);
        }
        assert_true(caught);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_histories), cmocka_unit_test(test_every_call),
                                       cmocka_unit_test(test_planted)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
