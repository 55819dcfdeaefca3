/*
 * Rot: one bit of a log's files turns over, anywhere: journal blocks, extents (header, data, runs, order, index,
 * state). Either something notices (the opening, a read, `kappa log verify`), or everything that can be read is as it
 * was, and then the bit was of padding: zeros that nobody reads. Never is anything given but what was there. Whatever
 * bit of an extent it is, the log opens, and what cannot be read is the batch that the bit lies in; by position, its
 * group.
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
#include "log/extent.h"
#include "log/inspect.h"
#include "log/log.h"
#include "log/plant.h"
#include "log/record_batch.h"
#include "log/reserve.h"
#include "sim/campaign.h"
#include "sim/sim.h"

enum { TOPICS = 3, PARTITIONS = 2, GROUPS = 100, GROUP_BATCHES_MAX = 3, FILES_MAX = 64, PIECE_BYTES = 16 << 10 };
#define DIR "data/log"

struct files {
    struct kp_os *os;
    char names[FILES_MAX][64];
    uint64_t bytes[FILES_MAX], used[FILES_MAX]; /* used: up to its last byte that is not zero */
    uint64_t data[FILES_MAX];                   /* of an extent: behind its last batch */
    uint64_t order[FILES_MAX];                  /* of a mixed one: where its order begins */
    size_t count;
};

/* A batch as the whole log gives it. */
struct batch {
    uint32_t topic, partition, records;
    int64_t base_offset, position;
    uint64_t hash, bytes_hash; /* with its place and time, and without */
    int64_t from;              /* where to read from to begin with it; -1: it is not the first of a group */
};

struct whole {
    struct kp_sim *sim;
    struct files files;
    struct batch *batches;
    size_t count, cap;
};

static struct kp_log_options options(struct kp_sim *sim)
{
    return (struct kp_log_options){.os = kp_sim_os(sim),
                                   .dir = DIR,
                                   .no_threads = true,
                                   .journal_file_bytes = 32 << 10,
                                   .seal_bytes = 60 << 10,
                                   .snapshot_bytes = 40 << 10,
                                   .extent_own_bytes = 24 << 10,
                                   .adopt_block_bytes = 1,
                                   .adopt_per_cent = 50,
                                   .tail_bytes = 1};
}

/* ---- a log ---- */

static void append_group(struct kp_sim *sim, struct kp_log *log)
{
    struct kp_log_entry entries[GROUP_BATCHES_MAX] = {0};
    struct kp_buf batches[GROUP_BATCHES_MAX] = {0};
    struct kp_error err;
    size_t count = 1 + (size_t)kp_sim_below(sim, GROUP_BATCHES_MAX);
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

/* So much of one partition that the journal files which hold it are adopted. */
static void append_hot(struct kp_log *log)
{
    enum { BATCHES = 12, BYTES = 9000 };
    static char value[BYTES];
    memset(value, 'h', sizeof value);
    for (int i = 0; i < BATCHES; i++) {
        struct kp_record_batch_builder builder = {0};
        struct kp_buf batch = {0};
        struct kp_error err;
        kp_record_batch_add(&builder, i, (struct kp_str){0}, (struct kp_str){value, sizeof value}, (struct kp_str){0});
        assert_int_equal(kp_record_batch_build(&builder, KP_CODEC_NONE, &batch, &err), KP_OK);
        struct kp_log_entry entry = {.topic = TOPICS, .batch = batch.data, .bytes = batch.len, .trusted = true};
        assert_int_equal(kp_log_append(log, &entry, 1, NULL, &err), KP_OK);
        kp_record_batch_builder_finish(&builder);
        kp_buf_finish(&batch);
    }
}

/* Sealed in part, merged, adopted, trimmed. */
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
    for (int i = 0; i < GROUPS; i++) {
        append_group(sim, log);
        if (i == GROUPS / 2)
            append_hot(log);
        if (i == GROUPS / 3)
            assert_int_equal(kp_log_trim(log, 2, 1, 9, &err), KP_OK);
        for (bool did = i < GROUPS * 2 / 3; did;)
            assert_int_equal(kp_log_maintain(log, &did, &err), KP_OK);
    }
    kp_log_close(log);
    kp_sim_power_on(sim, KP_SIM_CUT_RANDOM);
    return sim;
}

static void note_file(void *arg, const char *name)
{
    struct files *files = arg;
    if (strcmp(name, "lock") == 0 || strcmp(name, KP_RESERVE_NAME) == 0)
        return; /* nothing is read of them */
    assert_true(files->count < FILES_MAX);
    snprintf(files->names[files->count++], sizeof files->names[0], "%s/%s", DIR, name);
}

static bool is_extent(const char *name)
{
    return strstr(name, KP_EXTENT_SUFFIX) != NULL;
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
        if (is_extent(files->names[i]))
            files->order[i] = ((struct kp_extent_header *)(void *)bytes)->order_at;
        if (is_extent(files->names[i]))
            files->data[i] = KP_SECTOR_BYTES + ((struct kp_extent_header *)(void *)bytes)->data_bytes;
        if (strstr(files->names[i], KP_ADOPTED_SUFFIX))
            files->data[i] = files->bytes[i];
        kp_free(bytes);
        os->close(os->ctx, file);
    }
}

/* ---- what can be read of it ---- */

static struct batch describe(const struct kp_log_chunk *chunk)
{
    uint64_t place[] = {chunk->topic,   chunk->partition,          (uint64_t)chunk->base_offset,
                        chunk->records, (uint64_t)chunk->position, (uint64_t)chunk->log_time_us,
                        chunk->skip,    (uint64_t)chunk->group_end};
    uint64_t bytes_hash = kp_hash_bytes(chunk->batch, chunk->bytes);
    return (struct batch){chunk->topic,    chunk->partition,
                          chunk->records,  chunk->base_offset,
                          chunk->position, kp_hash_bytes(place, sizeof place) * 31 + bytes_hash,
                          bytes_hash,      -1};
}

/* What the whole log says is what every damaged one is held against. */
static void note_batches(struct whole *whole, struct kp_log *log)
{
    struct kp_error err;
    for (int64_t position = 0;;) {
        struct kp_log_span span; /* a group, or a few */
        assert_int_equal(kp_log_read(log, position, INT64_MAX, 1, NULL, 0, &span, &err), KP_OK);
        for (size_t i = 0; i < span.count; i++) {
            if (whole->count == whole->cap) {
                whole->cap = whole->cap ? 2 * whole->cap : 256;
                whole->batches = kp_realloc(whole->batches, whole->cap * sizeof *whole->batches);
            }
            whole->batches[whole->count] = describe(&span.chunks[i]);
            whole->batches[whole->count++].from = i ? -1 : position;
        }
        bool end = span.position_end == position;
        position = span.position_end;
        kp_log_span_release(&span);
        if (end)
            return;
    }
}

struct seen {
    bool opened, verified;
    size_t missing_positions, missing_offsets; /* batches that are errors to read */
    size_t holes;                              /* rows of such batches by position */
    char wrong[300];                           /* "": nothing is given but what was there */
};

static void look_closer(struct seen *seen, enum kp_code code, const struct kp_error *err)
{
    if (code != KP_CORRUPT)
        snprintf(seen->wrong, sizeof seen->wrong, "a read gives %s: %.200s", kp_code_name(code), err->message);
}

/* From batch `at`, the first of its group, on; returns how many are as they were, 0 if the group cannot be read. */
static size_t read_from(const struct whole *whole, struct kp_log *log, size_t at, size_t bytes_max, struct seen *seen)
{
    struct kp_log_span span;
    struct kp_error err;
    for (int64_t from = whole->batches[at].from;;) { /* over what was trimmed before it */
        enum kp_code code = kp_log_read(log, from, INT64_MAX, bytes_max, NULL, 0, &span, &err);
        if (code != KP_OK) {
            look_closer(seen, code, &err);
            return 0;
        }
        if (span.count || span.position_end == from)
            break;
        from = span.position_end;
        kp_log_span_release(&span);
    }
    for (size_t i = 0; i < span.count && !seen->wrong[0]; i++) {
        struct batch batch = describe(&span.chunks[i]);
        if (at + i >= whole->count || batch.hash != whole->batches[at + i].hash)
            snprintf(seen->wrong, sizeof seen->wrong, "another batch is read at position %lld",
                     (long long)batch.position);
    }
    size_t count = span.count;
    if (!count && !seen->wrong[0])
        snprintf(seen->wrong, sizeof seen->wrong, "nothing is read at position %lld",
                 (long long)whole->batches[at].position);
    kp_log_span_release(&span);
    return count;
}

static void read_positions(const struct whole *whole, struct kp_log *log, struct seen *seen)
{
    bool hole = false;
    for (size_t at = 0; at < whole->count && !seen->wrong[0];) {
        size_t count = read_from(whole, log, at, PIECE_BYTES, seen);
        if (!count && !seen->wrong[0])
            count = read_from(whole, log, at, 1, seen);
        seen->holes += !count && !hole;
        hole = !count;
        at += count;
        if (!count)
            do
                seen->missing_positions++;
            while (++at < whole->count && whole->batches[at].from < 0);
    }
    if (!seen->wrong[0] && !seen->missing_positions &&
        kp_log_position(log) != whole->batches[whole->count - 1].position + whole->batches[whole->count - 1].records)
        snprintf(seen->wrong, sizeof seen->wrong, "the log ends at %lld", (long long)kp_log_position(log));
}

/* The batch of a partition that holds an offset. */
static const struct batch *batch_at(const struct whole *whole, uint32_t topic, uint32_t partition, int64_t offset)
{
    for (size_t i = 0; i < whole->count; i++) {
        const struct batch *batch = &whole->batches[i];
        if (batch->topic == topic && batch->partition == partition && offset >= batch->base_offset &&
            offset < batch->base_offset + batch->records)
            return batch;
    }
    return NULL;
}

/* Fetches from an offset; returns the next one, or the same if it cannot be read. */
static int64_t fetch_from(const struct whole *whole, struct kp_log *log, const struct batch *batch, size_t bytes_max,
                          struct seen *seen)
{
    struct kp_buf out = {0};
    struct kp_error err;
    int64_t offset = batch->base_offset;
    enum kp_code code = kp_log_fetch(log, batch->topic, batch->partition,
                                     KP_MAX(offset, batch->base_offset + batch->records - 1), bytes_max, &out, &err);
    if (code != KP_OK)
        look_closer(seen, code, &err);
    for (size_t at = 0; at < out.len && !seen->wrong[0];) {
        struct kp_record_batch_info info;
        code = kp_record_batch_check(out.data + at, out.len - at, false, &info, &err);
        const struct batch *want = batch_at(whole, batch->topic, batch->partition, offset);
        if (code != KP_OK || !want || kp_hash_bytes(out.data + at, info.bytes) != want->bytes_hash) {
            snprintf(seen->wrong, sizeof seen->wrong, "another batch is fetched at topic %u, partition %u, offset %lld",
                     batch->topic, batch->partition, (long long)offset);
            break;
        }
        at += info.bytes;
        offset += info.records;
    }
    kp_buf_finish(&out);
    return offset;
}

static void read_offsets(const struct whole *whole, struct kp_log *log, struct seen *seen)
{
    for (uint32_t topic = 1; topic <= TOPICS; topic++)
        for (uint32_t partition = 0; partition < PARTITIONS; partition++)
            for (size_t i = 0; i < whole->count && !seen->wrong[0]; i++) {
                const struct batch *batch = &whole->batches[i];
                if (batch->topic != topic || batch->partition != partition)
                    continue;
                /* of what one fetch gives the rest is passed over */
                int64_t next = fetch_from(whole, log, batch, PIECE_BYTES, seen);
                if (next == batch->base_offset && !seen->wrong[0])
                    next = fetch_from(whole, log, batch, 1, seen);
                seen->missing_offsets += next == batch->base_offset;
                while (i + 1 < whole->count &&
                       (whole->batches[i + 1].topic != topic || whole->batches[i + 1].partition != partition ||
                        whole->batches[i + 1].base_offset < next))
                    i++;
            }
}

static void count_problem(void *arg, const char *text)
{
    ++*(unsigned *)arg;
}

/* Verifies, opens and reads the log as it is now. */
static struct seen look(const struct whole *whole, struct kp_sim *sim)
{
    struct kp_log_options opened = options(sim);
    struct kp_inspect_report report;
    struct seen seen = {0};
    struct kp_log *log;
    struct kp_error err;
    unsigned problems = 0;
    seen.verified = kp_inspect_verify(kp_sim_os(sim), DIR, count_problem, &problems, &report, &err) == KP_OK;
    seen.verified &= problems == 0;
    enum kp_code code = kp_log_open(&opened, &log, &err);
    seen.opened = code == KP_OK;
    if (code != KP_OK && code != KP_CORRUPT && code != KP_UNSUPPORTED)
        snprintf(seen.wrong, sizeof seen.wrong, "opening gives %s: %.200s", kp_code_name(code), err.message);
    if (code != KP_OK)
        return seen;
    read_positions(whole, log, &seen);
    read_offsets(whole, log, &seen);
    kp_log_close(log);
    return seen;
}

static bool noticed(const struct seen *seen)
{
    return !seen->opened || !seen->verified || seen->missing_positions || seen->missing_offsets;
}

/* ---- flips ---- */

/* What an extent's bit takes away that it should not; NULL: nothing. */
static const char *too_much(const struct files *files, size_t file, uint64_t at, const struct seen *seen)
{
    bool holds_batches = at >= KP_SECTOR_BYTES && at < files->data[file];
    if (!files->data[file])
        return NULL;
    if (!seen->opened)
        return "the log does not open";
    if (!holds_batches && (seen->missing_positions || seen->missing_offsets))
        return "it is of no batch, and some cannot be read";
    if (seen->missing_positions > GROUP_BATCHES_MAX)
        return "batches beside it cannot be read by position";
    if (seen->missing_offsets > 1)
        return "batches beside it cannot be read by offset";
    return NULL;
}

/* Is it of the recovery snapshot, which is a cache, or of the block that a closing log leaves behind the last one?
 * Without it, the log was not closed: nothing else. Or of an adopted file, in which what was copied is dead: what is
 * not is read here, by position and by offset. */
static bool is_spare(const struct files *files, size_t file, uint64_t at)
{
    if (strstr(files->names[file], "/snapshot") || strstr(files->names[file], KP_ADOPTED_SUFFIX))
        return true;
    size_t last = files->count - 1;
    while (!strstr(files->names[last], ".journal") || files->used[last] <= KP_SECTOR_BYTES) /* or not used yet */
        last--;
    return file == last && at / KP_SECTOR_BYTES == (files->used[last] - 1) / KP_SECTOR_BYTES;
}

static void make_whole(struct whole *whole)
{
    struct kp_log_options opened;
    struct kp_log *log;
    struct kp_error err;
    *whole = (struct whole){.sim = make_log(11)};
    list_files(whole->sim, &whole->files);
    struct kp_sim *sim = kp_sim_copy(whole->sim, 1);
    opened = options(sim);
    assert_int_equal(kp_log_open(&opened, &log, &err), KP_OK);
    note_batches(whole, log);
    kp_log_close(log);
    kp_sim_destroy(sim);
    sim = kp_sim_copy(whole->sim, 1);
    struct seen seen = look(whole, sim);
    assert_string_equal(seen.wrong, "");
    assert_false(noticed(&seen));
    kp_sim_destroy(sim);
    bool adopted = false;
    for (size_t i = 0; i < whole->files.count; i++)
        adopted |= strstr(whole->files.names[i], KP_ADOPTED_SUFFIX) != NULL;
    assert_true(adopted);
}

static void finish_whole(struct whole *whole)
{
    kp_sim_destroy(whole->sim);
    kp_free(whole->batches);
}

/* Turns over bit number `number` of a random order. */
static struct seen flip(struct whole *whole, uint64_t number, size_t *ret_file, uint64_t *ret_bit, bool *ret_zero)
{
    struct kp_sim *sim = kp_sim_copy(whole->sim, number);
    const struct files *files = &whole->files;
    size_t file = (size_t)kp_sim_below(sim, files->count);
    bool anywhere = kp_sim_below(sim, 8) == 0;
    uint64_t bit;
    uint8_t before;
    do { /* most of a file is padding: seven of eight are elsewhere */
        bit = kp_sim_below(sim, 8 * (anywhere ? files->bytes[file] : files->used[file]));
        before = kp_sim_byte(sim, files->names[file], bit / 8);
    } while (!anywhere && before == 0);
    kp_sim_flip(sim, files->names[file], bit);
    struct seen seen = look(whole, sim);
    kp_sim_destroy(sim);
    *ret_file = file;
    *ret_bit = bit;
    *ret_zero = before == 0;
    return seen;
}

static void flips(void **state)
{
    struct campaign campaign = {
        .name = "flips",
        .what = "bits turned over",
        .totals = {"noticed", "when opening", "of padding", "of the closing block, a snapshot, or dead"},
        .cases = 2000,
        .limit = 100000};
    struct whole whole;
    make_whole(&whole);
    campaign_begin(&campaign);
    for (uint64_t number; campaign_next(&campaign, &number);) {
        size_t file;
        uint64_t bit;
        bool zero;
        struct seen seen = flip(&whole, number, &file, &bit, &zero);
        bool spare = is_spare(&whole.files, file, bit / 8), notice = noticed(&seen);
        if (!seen.wrong[0] && !notice && !zero && !spare)
            snprintf(seen.wrong, sizeof seen.wrong, "nobody looks at it, and it is not padding");
        const char *more = too_much(&whole.files, file, bit / 8, &seen);
        if (more && !seen.wrong[0])
            snprintf(seen.wrong, sizeof seen.wrong, "%s", more);
        if (seen.wrong[0])
            fail_msg("bit %llu of %s turned over: %s (KAPPA_SEED=%llu repeats it)", (unsigned long long)bit,
                     whole.files.names[file], seen.wrong, (unsigned long long)number);
        if (getenv("KAPPA_FLIPS_TELL"))
            printf("%llu: %s byte %llu: %s%s %zu by position in %zu holes, %zu by offset\n", (unsigned long long)number,
                   whole.files.names[file], (unsigned long long)bit / 8, seen.opened ? "" : "not opened ",
                   seen.verified ? "not named" : "named", seen.missing_positions, seen.holes, seen.missing_offsets);
        campaign.counts[0] += notice;
        campaign.counts[1] += !seen.opened;
        campaign.counts[2] += !notice && !spare;
        campaign.counts[3] += !notice && spare;
    }
    finish_whole(&whole);
    campaign_end(&campaign);
}

/* ---- sectors ---- */

/* Reads all by position, over what is damaged; returns how many positions are. */
static int64_t walk_over(struct kp_log *log)
{
    int64_t lost = 0;
    for (int64_t position = 0; position < kp_log_position(log);) {
        struct kp_log_span span;
        struct kp_log_damage *damages;
        size_t count;
        struct kp_error err;
        enum kp_code code = kp_log_read(log, position, INT64_MAX, PIECE_BYTES, NULL, 0, &span, &err);
        if (code == KP_OK) {
            assert_true(span.position_end > position);
            position = span.position_end;
            kp_log_span_release(&span);
            continue;
        }
        assert_int_equal(code, KP_CORRUPT);
        assert_non_null(strstr(err.message, "(or other partitions are)"));
        assert_true(kp_log_damage_at(log, position, &damages, &count));
        assert_true(damages->position_end > position);
        lost += damages->position_end - position;
        position = damages->position_end;
        kp_free(damages);
    }
    return lost;
}

static struct kp_extent_header header_of(const struct kp_sim *sim, const char *name)
{
    struct kp_extent_header header;
    for (size_t i = 0; i < sizeof header; i++)
        ((uint8_t *)&header)[i] = kp_sim_byte(sim, name, i);
    return header;
}

/* Much of one. */
static void rot_sector(struct kp_sim *sim, const char *name, uint64_t at)
{
    for (uint64_t bit = 0; bit < 8 * sizeof(struct kp_extent_header); bit += 3)
        kp_sim_flip(sim, name, 8 * at + bit);
}

/* Many bits of one sector of an extent's order: nothing turns them back. What its page tells of cannot be read by
 * position; all else can, and everything by offset. */
static void sectors(void **state)
{
    enum { CASES = 40, BITS = 200 };
    struct whole whole;
    make_whole(&whole);
    for (uint64_t number = 1; number <= CASES; number++) {
        struct kp_sim *sim = kp_sim_copy(whole.sim, number);
        struct kp_log_options opened = options(sim);
        struct kp_log *log;
        struct kp_error err;
        size_t file;
        do
            file = (size_t)kp_sim_below(sim, whole.files.count);
        while (!is_extent(whole.files.names[file]) || !whole.files.order[file]);
        struct kp_extent_header header = header_of(sim, whole.files.names[file]);
        for (int i = 0; i < BITS; i++)
            kp_sim_flip(sim, whole.files.names[file], 8 * header.order_at + kp_sim_below(sim, 8 * 512));
        struct seen seen = look(&whole, sim);
        assert_string_equal(seen.wrong, "");
        assert_true(seen.opened && !seen.verified && seen.missing_positions && !seen.missing_offsets);
        assert_int_equal(seen.holes, 1);
        assert_int_equal(kp_log_open(&opened, &log, &err), KP_OK);
        int64_t lost = walk_over(log);
        assert_true(lost > 0 && lost <= header.position_end - header.position);
        kp_log_close(log);
        kp_sim_destroy(sim);
    }
    finish_whole(&whole);
}

/* What tells where batches lie is there twice: a sector of either may rot, and all is read. */
static void copies(void **state)
{
    struct whole whole;
    size_t rotted = 0;
    make_whole(&whole);
    for (size_t file = 0; file < whole.files.count; file++) {
        const char *name = whole.files.names[file];
        if (!whole.files.order[file])
            continue;
        struct kp_extent_header header = header_of(whole.sim, name);
        uint64_t runs_bytes = header.runs * sizeof(struct kp_extent_run);
        uint64_t index_bytes = header.index_entries * sizeof(struct kp_extent_index);
        assert_true(header.copies_at > 0);
        struct {
            uint64_t at, bytes;
        } sections[] = {{0, 1},
                        {header.runs_at, runs_bytes},
                        {header.index_at, index_bytes},
                        {header.state_at, header.state_bytes},
                        {header.copies_at, runs_bytes},
                        {header.copies_at + runs_bytes, index_bytes},
                        {header.copies_at + runs_bytes + index_bytes, header.state_bytes},
                        {header.file_bytes - sizeof header, 1}};
        for (size_t i = 0; i < KP_COUNT(sections); i++) {
            if (!sections[i].bytes)
                continue;
            struct kp_sim *sim = kp_sim_copy(whole.sim, file);
            rot_sector(sim, name, sections[i].at);
            struct seen seen = look(&whole, sim);
            assert_string_equal(seen.wrong, "");
            assert_true(seen.opened && !seen.verified && !seen.missing_positions && !seen.missing_offsets);
            kp_sim_destroy(sim);
            rotted++;
        }
    }
    print_message("%zu sectors\n", rotted);
    finish_whole(&whole);
}

/* ---- both places ---- */

/* What of a mixed extent rots, in both places where it has two. */
enum both {
    BOTH_HEADERS, /* from here on what was in the set is lost */
    BOTH_RUNS,
    BOTH_ZERO,
    BOTH_REMOVED,
    BOTH_LOSE, /* how many of them */
    BOTH_INDEX = BOTH_LOSE,
    BOTH_STATE,
    BOTH_COUNT
};

static void rot_both(struct kp_sim *sim, const char *name, const struct kp_extent_header *header, enum both both)
{
    struct kp_os *os = kp_sim_os(sim);
    struct kp_error err;
    uint64_t runs_bytes = header->runs * sizeof(struct kp_extent_run),
             index_bytes = header->index_entries * sizeof(struct kp_extent_index);
    const struct {
        uint64_t at, again, bytes;
    } places[BOTH_COUNT] = {
        [BOTH_HEADERS] = {0, header->file_bytes - sizeof *header, sizeof *header},
        [BOTH_RUNS] = {header->runs_at, header->copies_at, runs_bytes},
        [BOTH_INDEX] = {header->index_at, header->copies_at + runs_bytes, index_bytes},
        [BOTH_STATE] = {header->state_at, header->copies_at + runs_bytes + index_bytes, header->state_bytes}};
    if (both == BOTH_REMOVED) {
        assert_int_equal(os->unlink(os->ctx, name, &err), KP_OK);
    } else if (both == BOTH_ZERO) {
        for (uint64_t bit = 0; bit < 8 * header->file_bytes; bit++)
            if (kp_sim_byte(sim, name, bit / 8) >> (bit % 8) & 1)
                kp_sim_flip(sim, name, bit);
    } else {
        for (uint64_t bit = 0; bit < 8 * KP_MIN(places[both].bytes, sizeof *header); bit += 3) {
            kp_sim_flip(sim, name, 8 * places[both].at + bit);
            kp_sim_flip(sim, name, 8 * places[both].again + bit);
        }
    }
}

static size_t batches_within(const struct whole *whole, int64_t position, int64_t position_end)
{
    size_t count = 0;
    for (size_t i = 0; i < whole->count; i++)
        count += whole->batches[i].position >= position && whole->batches[i].position < position_end;
    return count;
}

static void maintain(struct kp_log *log)
{
    struct kp_error err;
    for (bool did = true; did;)
        assert_int_equal(kp_log_maintain(log, &did, &err), KP_OK);
}

static void append_groups(struct kp_sim *sim, struct kp_log *log, int count)
{
    for (int i = 0; i < count; i++) {
        append_group(sim, log);
        maintain(log);
    }
}

/* Every batch that is behind the position, by offset, is there. */
static void fetch_behind(const struct whole *whole, struct kp_log *log, int64_t position)
{
    struct seen seen = {0};
    for (size_t i = 0; i < whole->count; i++)
        if (whole->batches[i].position >= position)
            assert_true(fetch_from(whole, log, &whole->batches[i], 1, &seen) > whole->batches[i].base_offset);
    assert_string_equal(seen.wrong, "");
}

/* The log goes on beside what is lost: it is appended to, sealed and merged, opened again; and no offset is given
 * twice. Then what was lost is given up, and the log is sound. */
static void go_on(const struct whole *whole, struct kp_sim *sim, int64_t position, int64_t position_end,
                  unsigned nameless)
{
    struct kp_log_options opened = options(sim);
    struct kp_log_damage *damages;
    struct kp_log *log;
    struct kp_error err;
    size_t count;
    assert_int_equal(kp_log_open(&opened, &log, &err), KP_OK);
    kp_log_damages(log, &damages, &count);
    assert_true(count > 0);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(damages[i].position, position);
        assert_int_equal(damages[i].position_end, position_end);
    }
    kp_free(damages);
    append_groups(sim, log, GROUPS / 2);
    fetch_behind(whole, log, position_end);
    kp_log_close(log);
    assert_int_equal(kp_log_open(&opened, &log, &err), KP_OK);
    append_groups(sim, log, GROUPS / 2);
    fetch_behind(whole, log, position_end);
    kp_log_damages(log, &damages, &count);
    assert_true(count > 0);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(kp_log_trim(log, damages[i].topic, damages[i].partition, damages[i].offset_end, &err), KP_OK);
    kp_free(damages);
    maintain(log);
    kp_log_damages(log, &damages, &count);
    kp_free(damages);
    assert_int_equal(count, 0);
    assert_int_equal(walk_over(log), 0);
    append_groups(sim, log, GROUPS / 2);
    kp_log_close(log);
    struct kp_inspect_report report;
    unsigned problems = 0;
    assert_int_equal(kp_inspect_verify(kp_sim_os(sim), DIR, count_problem, &problems, &report, &err), KP_OK);
    assert_int_equal(problems, nameless);
}

static struct kp_sim *copy_for_rot(const struct whole *whole, size_t file, bool snapshot)
{
    struct kp_sim *sim = kp_sim_copy(whole->sim, file);
    struct kp_os *os = kp_sim_os(sim);
    struct kp_error err;
    if (!snapshot)
        assert_int_equal(os->unlink(os->ctx, DIR "/snapshot", &err), KP_OK);
    return sim;
}

/* The batches at those positions are lost, and no other; and so many names. */
static void check_lost(const struct whole *whole, struct kp_sim *sim, int64_t position, int64_t position_end,
                       unsigned nameless)
{
    size_t lost = batches_within(whole, position, position_end);
    struct kp_sim *again = kp_sim_copy(sim, 1);
    struct seen seen = look(whole, sim);
    assert_string_equal(seen.wrong, "");
    assert_true(seen.opened && !seen.verified);
    assert_int_equal(seen.missing_offsets, lost);
    assert_in_range(seen.missing_positions, lost, lost ? lost + GROUP_BATCHES_MAX : 0);
    if (lost)
        go_on(whole, again, position, position_end, nameless);
    kp_sim_destroy(again);
    kp_sim_destroy(sim);
}

/* What an extent has twice rots in both places: the log opens, and goes on; what is lost is what the extent held, if
 * that much. */
static void both_places(void **state)
{
    struct whole whole;
    make_whole(&whole);
    for (size_t file = 0; file < whole.files.count; file++)
        for (int both = 0; both < BOTH_COUNT && whole.files.order[file]; both++)
            for (int snapshot = 0; snapshot < 2; snapshot++) {
                struct kp_extent_header header = header_of(whole.sim, whole.files.names[file]);
                struct kp_sim *sim = copy_for_rot(&whole, file, snapshot);
                rot_both(sim, whole.files.names[file], &header, both);
                check_lost(&whole, sim, header.position, both < BOTH_LOSE ? header.position_end : header.position, 0);
            }
    finish_whole(&whole);
}

/* The same of all of them at once: what is left is the journal, and what a snapshot knows of topics. */
static void all_extents(void **state)
{
    struct whole whole;
    make_whole(&whole);
    for (int both = 0; both < BOTH_LOSE; both++)
        for (int snapshot = 0; snapshot < 2; snapshot++) {
            struct kp_sim *sim = copy_for_rot(&whole, 0, snapshot);
            int64_t position_end = 0;
            for (size_t file = 0; file < whole.files.count; file++) {
                struct kp_extent_header header = header_of(whole.sim, whole.files.names[file]);
                if (!whole.files.order[file])
                    continue;
                rot_both(sim, whole.files.names[file], &header, both);
                position_end = KP_MAX(position_end, header.position_end);
            }
            check_lost(&whole, sim, 0, position_end, snapshot || both == BOTH_RUNS ? 0 : TOPICS);
        }
    finish_whole(&whole);
}

/* Planted bugs that only a flipped bit shows. */
static void planted(void **state)
{
    static const struct {
        enum kp_log_plant plant;
        const char *name;
    } plants[] = {{KP_PLANT_CRC_UNCHECKED, "entries believed without their checksum"},
                  {KP_PLANT_ITEM_UNCHECKED, "batches in extents believed without their checksum"},
                  {KP_PLANT_SNAPSHOT_UNCHECKED, "a snapshot believed without its checksum"}};
    enum { FLIPS_MAX = 3000 };
    struct whole whole;
    make_whole(&whole);
    for (size_t i = 0; i < KP_COUNT(plants); i++) {
        struct seen seen = {0};
        uint64_t number = 0;
        kp_log_planted = plants[i].plant;
        while (!seen.wrong[0] && number < FLIPS_MAX) {
            size_t file;
            uint64_t bit;
            bool zero;
            seen = flip(&whole, ++number, &file, &bit, &zero);
        }
        kp_log_planted = KP_PLANT_NONE;
        if (!seen.wrong[0])
            fail_msg("not caught: %s", plants[i].name);
        print_message("%s: caught by flip %llu: %s\n", plants[i].name, (unsigned long long)number, seen.wrong);
    }
    finish_whole(&whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(flips),       cmocka_unit_test(sectors),
                                       cmocka_unit_test(copies),      cmocka_unit_test(both_places),
                                       cmocka_unit_test(all_extents), cmocka_unit_test(planted)};
    const char *filter = getenv("KAPPA_TEST_ONLY");
    if (filter)
        cmocka_set_test_filter(filter);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
