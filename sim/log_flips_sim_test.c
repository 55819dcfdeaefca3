/*
 * Rot: one bit of a log's files turns over, anywhere. Either something notices (the opening, a read, `kappa log
 * verify`), or everything that can be read is as it was, and then the bit was of padding: zeros that nobody reads.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "log/inspect.h"
#include "log/log.h"
#include "log/record_batch.h"
#include "sim/campaign.h"
#include "sim/sim.h"

enum { TOPICS = 3, PARTITIONS = 2, GROUPS = 60, FILES_MAX = 64 };
#define DIR "data/log"

struct files {
    struct kp_os *os;
    char names[FILES_MAX][64];
    uint64_t bytes[FILES_MAX], used[FILES_MAX]; /* used: up to its last byte that is not zero */
    size_t count;
};

static struct kp_log_options options(struct kp_sim *sim)
{
    return (struct kp_log_options){
        .os = kp_sim_os(sim), .dir = DIR, .no_threads = true, .journal_file_bytes = 48 << 10, .tail_bytes = 1};
}

/* ---- a log ---- */

static void append_group(struct kp_sim *sim, struct kp_log *log)
{
    struct kp_log_entry entries[3] = {0};
    struct kp_buf batches[3] = {0};
    struct kp_error err;
    size_t count = 1 + (size_t)kp_sim_below(sim, 3);
    for (size_t i = 0; i < count; i++) {
        struct kp_record_batch_builder builder = {0};
        for (uint64_t r = kp_sim_below(sim, 4) + 1; r > 0; r--) {
            char value[2000];
            size_t len = (size_t)kp_sim_below(sim, kp_sim_below(sim, 6) ? 60 : sizeof value);
            memset(value, 'a' + (int)kp_sim_below(sim, 26), len);
            kp_record_batch_add(&builder, (int64_t)r, (struct kp_str){0}, (struct kp_str){value, len},
                                (struct kp_str){0});
        }
        enum kp_codec codec = kp_sim_below(sim, 4) ? KP_CODEC_NONE : KP_CODEC_ZSTD;
        assert_int_equal(kp_record_batch_build(&builder, codec, &batches[i], &err), KP_OK);
        kp_record_batch_builder_finish(&builder);
        entries[i] = (struct kp_log_entry){.topic = 1 + (uint32_t)kp_sim_below(sim, TOPICS),
                                           .partition = (uint32_t)kp_sim_below(sim, PARTITIONS),
                                           .batch = batches[i].data,
                                           .bytes = batches[i].len,
                                           .trusted = true};
    }
    assert_int_equal(kp_log_append(log, entries, count, NULL, &err), KP_OK);
    for (size_t i = 0; i < count; i++)
        kp_buf_finish(&batches[i]);
}

static struct kp_sim *make_log(uint64_t seed)
{
    struct kp_sim *sim = kp_sim_create(seed);
    struct kp_log_options opened = options(sim);
    struct kp_log *log;
    struct kp_error err;
    uint32_t id;
    assert_int_equal(kp_log_open(&opened, &log, &err), KP_OK);
    for (int i = 0; i < TOPICS; i++) {
        char name[16];
        snprintf(name, sizeof name, "t%d", i);
        assert_int_equal(kp_log_topic_create(log, name, PARTITIONS, &id, &err), KP_OK);
    }
    for (int i = 0; i < GROUPS; i++)
        append_group(sim, log);
    kp_log_close(log);
    kp_sim_power_on(sim, KP_SIM_CUT_RANDOM);
    return sim;
}

static void note_file(void *arg, const char *name)
{
    struct files *files = arg;
    if (strcmp(name, "lock") == 0)
        return; /* nothing is read of it */
    assert_true(files->count < FILES_MAX);
    snprintf(files->names[files->count++], sizeof files->names[0], "%s/%s", DIR, name);
}

static void list_files(struct kp_sim *sim, struct files *files)
{
    struct kp_os *os = kp_sim_os(sim);
    struct kp_error err;
    *files = (struct files){.os = os};
    assert_int_equal(os->list(os->ctx, DIR, note_file, files, &err), KP_OK);
    for (size_t i = 0; i < files->count; i++) {
        struct kp_file *file;
        size_t got;
        assert_int_equal(os->open(os->ctx, files->names[i], KP_OPEN_READ, &file, &err), KP_OK);
        assert_int_equal(os->size(os->ctx, file, &files->bytes[i], &err), KP_OK);
        uint8_t *bytes = kp_alloc((size_t)files->bytes[i]);
        assert_int_equal(os->pread(os->ctx, file, bytes, (size_t)files->bytes[i], 0, &got, &err), KP_OK);
        files->used[i] = files->bytes[i];
        while (files->used[i] > 1 && bytes[files->used[i] - 1] == 0)
            files->used[i]--;
        kp_free(bytes);
        os->close(os->ctx, file);
    }
}

/* ---- what can be read of it ---- */

/* A hash over all that can be read. */
static enum kp_code read_all(struct kp_log *log, uint64_t *ret_hash, struct kp_error *err)
{
    uint64_t hash = (uint64_t)kp_log_position(log);
    for (int64_t position = 0;;) {
        struct kp_log_span span;
        KP_TRY(kp_log_read(log, position, INT64_MAX, 1 << 20, NULL, 0, &span, err));
        for (size_t i = 0; i < span.count; i++) {
            const struct kp_log_chunk *chunk = &span.chunks[i];
            uint64_t place[] = {
                chunk->topic,   chunk->partition, (uint64_t)chunk->base_offset, (uint64_t)chunk->position,
                chunk->records, chunk->group_end, (uint64_t)chunk->log_time_us};
            hash = hash * 31 + kp_hash_bytes(place, sizeof place);
            hash = hash * 31 + kp_hash_bytes(chunk->batch, chunk->bytes);
        }
        bool end = span.position_end == position;
        position = span.position_end;
        kp_log_span_release(&span);
        if (end)
            break;
    }
    for (uint32_t topic = 1; topic <= TOPICS; topic++)
        for (uint32_t partition = 0; partition < PARTITIONS; partition++) {
            struct kp_partition_info info;
            struct kp_buf out = {0};
            KP_TRY(kp_log_partition(log, topic, partition, &info, err));
            enum kp_code code = info.end_offset > info.start_offset
                                    ? kp_log_fetch(log, topic, partition, info.start_offset, 1 << 20, &out, err)
                                    : KP_OK;
            hash = hash * 31 + (uint64_t)info.end_offset + kp_hash_bytes(out.data, out.len);
            kp_buf_finish(&out);
            KP_TRY(code);
        }
    *ret_hash = hash;
    return KP_OK;
}

/* Is it of the block that a closing log leaves behind the last one? Without it, the log was not closed: nothing else.
 */
static bool is_closing(const struct files *files, size_t file, uint64_t at)
{
    size_t last = files->count - 1;
    while (files->used[last] <= KP_SECTOR_BYTES) /* prepared and not used yet */
        last--;
    return file == last && at / KP_SECTOR_BYTES == (files->used[last] - 1) / KP_SECTOR_BYTES;
}

static void count_problem(void *arg, const char *text)
{
    ++*(unsigned *)arg;
}

enum notice { NOTICED_NEVER, NOTICED_OPENING, NOTICED_READING, NOTICED_VERIFYING };

/* Opens and reads the log as it is now. */
static enum notice look(struct kp_sim *sim, uint64_t *ret_hash)
{
    struct kp_log_options opened = options(sim);
    struct kp_inspect_report report;
    struct kp_log *log;
    struct kp_error err;
    unsigned problems = 0;
    bool verified = kp_inspect_verify(kp_sim_os(sim), DIR, count_problem, &problems, &report, &err) == KP_OK;
    enum kp_code code = kp_log_open(&opened, &log, &err);
    if (code != KP_OK) {
        if (code != KP_CORRUPT && code != KP_UNSUPPORTED)
            fail_msg("opening gives %s: %s", kp_code_name(code), err.message);
        return NOTICED_OPENING;
    }
    code = read_all(log, ret_hash, &err);
    kp_log_close(log);
    if (code != KP_OK && code != KP_CORRUPT)
        fail_msg("reading gives %s: %s", kp_code_name(code), err.message);
    return code != KP_OK ? NOTICED_READING : !verified || problems ? NOTICED_VERIFYING : NOTICED_NEVER;
}

static void flips(void **state)
{
    struct campaign campaign = {.name = "flips",
                                .what = "bits turned over",
                                .totals = {"noticed", "of padding", "of the closing block"},
                                .cases = 1000,
                                .limit = 100000};
    campaign_begin(&campaign);
    struct kp_sim *whole = make_log(11);
    struct files files;
    uint64_t hash = 0, now = 0;
    list_files(whole, &files);
    assert_int_equal(look(whole, &hash), NOTICED_NEVER);
    kp_sim_destroy(whole);
    whole = make_log(11);
    for (uint64_t number; campaign_next(&campaign, &number);) {
        struct kp_sim *sim = kp_sim_copy(whole, number);
        size_t file = (size_t)kp_sim_below(sim, files.count);
        bool anywhere = kp_sim_below(sim, 8) == 0;
        uint64_t bit;
        uint8_t before;
        do { /* most of a file is padding: seven of eight are elsewhere */
            bit = kp_sim_below(sim, 8 * (anywhere ? files.bytes[file] : files.used[file]));
            before = kp_sim_byte(sim, files.names[file], bit / 8);
        } while (!anywhere && before == 0);
        kp_sim_flip(sim, files.names[file], bit);
        enum notice notice = look(sim, &now);
        bool same = notice == NOTICED_NEVER && now == hash;
        bool closing = is_closing(&files, file, bit / 8);
        if (notice == NOTICED_NEVER && (!same || (before != 0 && !closing)))
            fail_msg("bit %llu of %s turned over: %s (KAPPA_SEED=%llu repeats it)", (unsigned long long)bit,
                     files.names[file], same ? "nobody looks at it, and it is not padding" : "other records are read",
                     (unsigned long long)number);
        campaign.counts[0] += notice != NOTICED_NEVER;
        campaign.counts[1] += notice == NOTICED_NEVER && !closing;
        campaign.counts[2] += notice == NOTICED_NEVER && closing;
        kp_sim_destroy(sim);
    }
    kp_sim_destroy(whole);
    campaign_end(&campaign);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(flips)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
