/*
 * The log on a simulated disk: random histories with crashes, every call as a crash point, planted bugs.
 *
 * The oracle is a list of what was sent, in order. After each restart the log must be what was acknowledged, and at
 * most the one group that was in flight when the fault came, whole; offsets, positions and bytes equal; log time never
 * goes back; and the files verify without a problem.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/hash.h"
#include "log/inspect.h"
#include "log/log.h"
#include "log/plant.h"
#include "log/record_batch.h"
#include "sim/campaign.h"
#include "sim/sim.h"

enum { TOPICS_MAX = 400, PARTITIONS = 3, GROUP_MAX = 5, OPERATIONS = 200 };
#define DIR "data/log"

struct sent {
    uint32_t topic, partition, records, crc;
    int64_t base_offset, position;
    bool group_end;
};

struct topic {
    uint32_t id;
    char name[16];
    bool alive, maybe; /* maybe: made or dropped when the fault came */
    int64_t next_offset[PARTITIONS];
    int64_t start_offset[PARTITIONS];
    int64_t maybe_start[PARTITIONS]; /* above start_offset: trimmed or skipped so far when the fault came, or not */
};

struct history {
    struct kp_sim *sim;
    struct kp_log *log; /* NULL: closed */
    struct sent *sent;
    size_t sent_count, sent_cap;
    size_t maybe; /* the last entries, of the group in flight: there or not */
    int64_t position;
    struct topic topics[TOPICS_MAX];
    size_t topic_count;
    int64_t log_time_us;
    bool calm;   /* no faults but those planned outside */
    bool no_big; /* no groups of several blocks */
    bool tight;  /* the disk is full at any moment, and has room again */
    enum { FILES_SMALL, FILES_TINY, FILES_MIDDLE, FILES_LARGE } files; /* tiny: sealed often; large: groups of blocks */
    uint32_t adopt_per_cent;                                           /* 0: no journal file is adopted */
    bool broken;                                                       /* a call failed: only a restart helps */
    char failure[1200];                                                /* the first thing that is not as it should be */
    unsigned crashes, acknowledged, steps, resumed;                    /* resumed: restarts from a recovery snapshot */
};

/* Set while the log is being read: by pread_beside. */
static struct history *reading_history;
static enum kp_code (*plain_pread)(void *ctx, struct kp_file *file, void *bytes, size_t len, uint64_t offset,
                                   size_t *ret_len, struct kp_error *err);

#define CHECK(history, condition, ...)                                                                                 \
    do {                                                                                                               \
        if (!(condition) && !(history)->failure[0])                                                                    \
            snprintf((history)->failure, sizeof(history)->failure, __VA_ARGS__);                                       \
    } while (0)

static bool failed(const struct history *history)
{
    return history->failure[0];
}

static void maintain(struct history *history);

/* While a reader is about to read from a file, the log is maintained now and then: as if by another thread. */
static enum kp_code pread_beside(void *ctx, struct kp_file *file, void *bytes, size_t len, uint64_t offset,
                                 size_t *ret_len, struct kp_error *err)
{
    struct history *history = reading_history;
    if (history && kp_sim_below(history->sim, 6) == 0) {
        reading_history = NULL;
        maintain(history);
        reading_history = history;
    }
    return plain_pread(ctx, file, bytes, len, offset, ret_len, err);
}

static void begin_reading(struct history *history)
{
    reading_history = history->log ? history : NULL;
}

static void end_reading(void)
{
    reading_history = NULL;
}

/* Small files, sealed soon; some partitions get extents of their own. Little stays in memory. */
static struct kp_log_options log_options(struct history *history)
{
    static const uint64_t file_bytes[] = {
        [FILES_SMALL] = 48 << 10, [FILES_TINY] = 16 << 10, [FILES_MIDDLE] = 256 << 10, [FILES_LARGE] = 4 << 20};
    struct kp_os *os = kp_sim_os(history->sim);
    if (os->pread != pread_beside) {
        plain_pread = os->pread;
        os->pread = pread_beside;
    }
    return (struct kp_log_options){.os = os,
                                   .tail_bytes = 1,
                                   .dir = DIR,
                                   .no_threads = true,
                                   /* what is left behind a cut matters where the next blocks are written */
                                   .journal_file_bytes = file_bytes[history->files],
                                   .seal_bytes = history->files == FILES_TINY ? 20 << 10 : 64 << 10,
                                   .snapshot_bytes = 40 << 10,
                                   .extent_own_bytes = 16 << 10,
                                   .adopt_block_bytes = history->adopt_per_cent ? 1 : 0,
                                   .adopt_per_cent = history->adopt_per_cent};
}

/* Most of the time the power goes; else the process is killed, and what it wrote may still be lost later. */
static enum kp_sim_cut some_cut(struct history *history)
{
    return kp_sim_below(history->sim, 3) ? KP_SIM_CUT_RANDOM : KP_SIM_CUT_KEEP;
}

/* ---- checking ---- */

/* Was it trimmed, or its topic dropped? */
static bool gone(const struct history *history, const struct sent *sent)
{
    for (size_t i = 0; i < history->topic_count; i++)
        if (history->topics[i].alive && history->topics[i].id == sent->topic)
            return sent->base_offset + sent->records <= history->topics[i].start_offset[sent->partition];
    return true;
}

/* Is nothing left of its group behind it? */
static bool group_ends(const struct history *history, size_t index)
{
    while (!history->sent[index].group_end)
        if (!gone(history, &history->sent[++index]))
            return false;
    return true;
}

static void check_chunk(struct history *history, const struct kp_log_chunk *chunk, size_t index)
{
    const struct sent *sent = &history->sent[index];
    CHECK(history, chunk->topic == sent->topic && chunk->partition == sent->partition,
          "entry %zu: topic %u, partition %u instead of %u, %u", index, chunk->topic, chunk->partition, sent->topic,
          sent->partition);
    CHECK(history, chunk->base_offset == sent->base_offset && chunk->position == sent->position,
          "entry %zu: offset %lld, position %lld instead of %lld, %lld", index, (long long)chunk->base_offset,
          (long long)chunk->position, (long long)sent->base_offset, (long long)sent->position);
    CHECK(history,
          chunk->records == sent->records && chunk->group_end == group_ends(history, index) &&
              kp_crc32c(0, chunk->batch + 12, chunk->bytes - 12) == sent->crc,
          "entry %zu is not what was sent", index);
    CHECK(history, chunk->log_time_us >= history->log_time_us, "entry %zu: log time goes back", index);
    history->log_time_us = chunk->log_time_us;
}

/* Reads everything; returns how many entries there are. */
static size_t check_reads(struct history *history)
{
    size_t index = 0;
    history->log_time_us = 0;
    for (int64_t position = 0; !failed(history);) {
        struct kp_log_span span;
        struct kp_error err;
        begin_reading(history);
        enum kp_code code = kp_log_read(history->log, position, INT64_MAX,
                                        1 + (size_t)kp_sim_below(history->sim, 300000), NULL, 0, &span, &err);
        end_reading();
        CHECK(history, code == KP_OK, "read at %lld: %s", (long long)position, err.message);
        if (code != KP_OK)
            break;
        for (size_t i = 0; i < span.count && !failed(history); i++, index++) {
            while (index < history->sent_count && gone(history, &history->sent[index]))
                index++;
            CHECK(history, index < history->sent_count, "entry %zu was never sent", index);
            if (!failed(history))
                check_chunk(history, &span.chunks[i], index);
        }
        bool end = span.position_end == position;
        CHECK(history, span.position_end >= position, "positions go back");
        position = span.position_end;
        kp_log_span_release(&span);
        if (end)
            break;
    }
    while (index < history->sent_count && gone(history, &history->sent[index]))
        index++;
    return index;
}

/* Fetches from somewhere on: batches without a gap, the first holds the offset. */
static void check_fetch(struct history *history, const struct topic *topic, uint32_t p,
                        const struct kp_partition_info *info)
{
    struct kp_buf out = {0};
    struct kp_error err = {0};
    int64_t offset =
        info->start_offset + (int64_t)kp_sim_below(history->sim, (uint64_t)(info->end_offset - info->start_offset));
    size_t bytes_max = 1 + (size_t)kp_sim_below(history->sim, 200000);
    begin_reading(history);
    enum kp_code code = kp_log_fetch(history->log, topic->id, p, offset, bytes_max, &out, &err);
    end_reading();
    CHECK(history, code == KP_OK && out.len, "fetch of offset %lld: %s", (long long)offset, err.message);
    for (size_t at = 0; at < out.len && !failed(history);) {
        struct kp_record_batch_info batch;
        code = kp_record_batch_check(out.data + at, out.len - at, true, &batch, &err);
        CHECK(history,
              code == KP_OK && offset < batch.base_offset + batch.records &&
                  (at ? batch.base_offset == offset : batch.base_offset <= offset),
              "fetch of offset %lld gives another batch", (long long)offset);
        at += batch.bytes;
        offset = batch.base_offset + batch.records;
    }
    kp_buf_finish(&out);
}

static void check_partitions(struct history *history)
{
    for (size_t i = 0; i < history->topic_count && !failed(history); i++) {
        struct topic *topic = &history->topics[i];
        for (uint32_t p = 0; p < PARTITIONS && topic->alive && !failed(history); p++) {
            struct kp_partition_info info;
            struct kp_error err;
            CHECK(history, kp_log_partition(history->log, topic->id, p, &info, &err) == KP_OK, "%s", err.message);
            CHECK(history, failed(history) || info.end_offset == topic->next_offset[p],
                  "topic %s, partition %u ends at %lld instead of %lld", topic->name, p, (long long)info.end_offset,
                  (long long)topic->next_offset[p]);
            CHECK(history, failed(history) || info.start_offset == topic->start_offset[p],
                  "topic %s, partition %u starts at %lld instead of %lld", topic->name, p, (long long)info.start_offset,
                  (long long)topic->start_offset[p]);
            if (failed(history) || info.end_offset == info.start_offset)
                continue;
            check_fetch(history, topic, p, &info);
        }
    }
}

static void keep_text(void *arg, const char *text)
{
    struct history *history = arg;
    CHECK(history, false, "verify: %s", text);
}

/* A trim in flight is there or not; a skip likewise, whose partition goes on where it begins. */
static void settle_trims(struct history *history)
{
    for (size_t i = 0; i < history->topic_count; i++)
        for (uint32_t p = 0; p < PARTITIONS; p++) {
            struct topic *topic = &history->topics[i];
            struct kp_partition_info info;
            if (topic->maybe_start[p] > topic->start_offset[p] && topic->alive &&
                kp_log_partition(history->log, topic->id, p, &info, NULL) == KP_OK &&
                info.start_offset == topic->maybe_start[p])
                topic->start_offset[p] = info.start_offset;
            topic->next_offset[p] = KP_MAX(topic->next_offset[p], topic->start_offset[p]);
            topic->maybe_start[p] = 0;
        }
}

/* A topic being made or dropped is there or not. */
static void settle_topics(struct history *history)
{
    for (size_t i = 0; i < history->topic_count; i++) {
        struct topic *topic = &history->topics[i];
        struct kp_topic_info info;
        bool there = kp_log_topic_find(history->log, topic->name, &info, NULL) == KP_OK;
        CHECK(history, there == topic->alive || topic->maybe, "topic %s %s", topic->name,
              there ? "is there again" : "is lost");
        if (there)
            topic->id = info.id;
        topic->alive = there;
        topic->maybe = false;
    }
}

/* Decides what became of what was in flight, and checks the rest. */
static void check_restarted(struct history *history)
{
    struct kp_log_recovered recovered;
    kp_log_recovered(history->log, &recovered);
    history->resumed += recovered.snapshot;
    settle_topics(history);
    settle_trims(history);
    size_t sure = history->sent_count - history->maybe;
    size_t found = check_reads(history);
    CHECK(history, found == sure || found == history->sent_count,
          "%zu entries are there; %zu were acknowledged, %zu sent", found, sure, history->sent_count);
    if (failed(history))
        return;
    while (history->sent_count > found) {
        const struct sent *lost = &history->sent[--history->sent_count];
        for (size_t i = 0; i < history->topic_count; i++)
            if (history->topics[i].id == lost->topic)
                history->topics[i].next_offset[lost->partition] -= lost->records;
        history->position -= lost->records;
    }
    history->maybe = 0;
    CHECK(history, kp_log_position(history->log) == history->position, "the log ends at %lld instead of %lld",
          (long long)kp_log_position(history->log), (long long)history->position);
    check_partitions(history);
    struct kp_inspect_report report;
    struct kp_error err;
    enum kp_code code = kp_inspect_verify(kp_sim_os(history->sim), DIR, keep_text, history, &report, &err);
    CHECK(history, code == KP_OK, "verify: %s", err.message);
}

/* ---- doing ---- */

static void crash(struct history *history)
{
    kp_sim_kill(history->sim);
    kp_log_close(history->log); /* frees memory; its handles are void */
    history->log = NULL;
    history->broken = false;
    history->crashes++;
}

/* Opens the log, through as many faults as come. */
static void restart(struct history *history, bool may_fault)
{
    struct kp_sim *sim = history->sim;
    struct kp_log_options options = log_options(history);
    if (!kp_sim_powered(sim)) /* the power went while the log was being closed */
        kp_sim_power_on(sim, KP_SIM_CUT_RANDOM);
    kp_sim_plan_cut(sim, 0, KP_SIM_CUT_RANDOM);
    kp_sim_plan_failure(sim, 0, KP_OK);
    for (int attempt = 0; !failed(history); attempt++) {
        if (may_fault && attempt < 3 && kp_sim_below(sim, 3) == 0)
            kp_sim_plan_cut(sim, 1 + kp_sim_below(sim, 30), some_cut(history));
        else if (may_fault && attempt < 3 && kp_sim_below(sim, 4) == 0)
            kp_sim_plan_failure(sim, 1 + kp_sim_below(sim, 30), kp_sim_below(sim, 3) ? KP_IO : KP_FULL);
        bool planned = attempt < 3;
        struct kp_error err = {0};
        enum kp_code code = kp_log_open(&options, &history->log, &err);
        kp_sim_plan_cut(sim, 0, KP_SIM_CUT_RANDOM);
        kp_sim_plan_failure(sim, 0, KP_OK);
        if (code == KP_OK && kp_sim_powered(sim))
            break;
        if (code == KP_OK)
            kp_log_close(history->log);
        history->log = NULL;
        CHECK(history, code == KP_OK || (planned && may_fault && (code == KP_IO || code == KP_FULL)), "open: %s (%s)",
              err.message, err.detail);
        kp_sim_kill(sim);
        if (!kp_sim_powered(sim) || kp_sim_below(sim, 2))
            kp_sim_power_on(sim, KP_SIM_CUT_RANDOM);
    }
    if (!failed(history))
        check_restarted(history);
}

static struct kp_buf make_batch(struct history *history, size_t bytes)
{
    struct kp_record_batch_builder builder = {0};
    struct kp_buf batch = {0};
    int records = 1 + (int)kp_sim_below(history->sim, 4);
    char *value = kp_alloc(bytes + 1);
    memset(value, 'a' + (int)kp_sim_below(history->sim, 26), bytes);
    for (int i = 0; i < records; i++) {
        uint64_t tag = kp_sim_random(history->sim);
        kp_record_batch_add(&builder, (int64_t)(tag >> 24), (struct kp_str){(char *)&tag, sizeof tag},
                            (struct kp_str){value, i ? 10 % (bytes + 1) : bytes}, (struct kp_str){0});
    }
    kp_free(value);
    enum kp_codec codec = kp_sim_below(history->sim, 4) ? KP_CODEC_NONE : KP_CODEC_ZSTD;
    assert_int_equal(kp_record_batch_build(&builder, codec, &batch, NULL), KP_OK);
    kp_record_batch_builder_finish(&builder);
    return batch;
}

static struct topic *some_topic(struct history *history)
{
    if (!history->topic_count)
        return NULL;
    struct topic *topic = &history->topics[kp_sim_below(history->sim, history->topic_count)];
    return topic->alive ? topic : NULL;
}

static void note_sent(struct history *history, const struct kp_log_entry *entry, uint32_t records, bool group_end)
{
    if (history->sent_count == history->sent_cap) {
        history->sent_cap = history->sent_cap ? history->sent_cap * 2 : 64;
        history->sent = kp_realloc(history->sent, history->sent_cap * sizeof *history->sent);
    }
    history->sent[history->sent_count++] = (struct sent){
        .topic = entry->topic,
        .partition = entry->partition,
        .records = records,
        .crc = kp_crc32c(0, entry->batch + 12, entry->bytes - 12),
        .base_offset = entry->base_offset,
        .position = entry->position,
        .group_end = group_end,
    };
}

/* True: a full disk refused it. */
static bool append_group(struct history *history)
{
    struct kp_sim *sim = history->sim;
    struct topic *topics[GROUP_MAX];
    struct kp_log_entry entries[GROUP_MAX] = {0};
    struct kp_buf batches[GROUP_MAX];
    size_t count = 1 + (size_t)kp_sim_below(sim, GROUP_MAX);
    bool big = !history->no_big && kp_sim_below(sim, history->files == FILES_LARGE ? 5 : 20) == 0; /* several blocks */
    for (size_t i = 0; i < count; i++)
        if (!(topics[i] = some_topic(history)))
            return false;
    for (size_t i = 0; i < count; i++) {
        batches[i] = make_batch(history, big ? 300000 + (size_t)kp_sim_below(sim, 200000)
                                             : (size_t)kp_sim_below(sim, kp_sim_below(sim, 8) ? 300 : 12000));
        entries[i] = (struct kp_log_entry){.topic = topics[i]->id,
                                           .partition = (uint32_t)kp_sim_below(sim, PARTITIONS),
                                           .batch = batches[i].data,
                                           .bytes = batches[i].len};
    }
    if (big && !history->calm && kp_sim_below(sim, 2)) /* somewhere between its blocks */
        kp_sim_plan_cut(sim, 1 + kp_sim_below(sim, 12), some_cut(history));
    struct kp_error err;
    int64_t end = 0;
    enum kp_code code = kp_log_append(history->log, entries, count, &end, &err);
    bool refused = history->broken;
    CHECK(history, !refused || code == KP_CLOSED, "an append after a failure gives %d", (int)code);
    bool full = code == KP_FULL && err.retriable; /* not there, and the log goes on */
    refused |= full;
    for (size_t i = 0; i < count && !refused; i++) {
        struct kp_record_batch_info info = {0};
        assert_int_equal(kp_record_batch_check(batches[i].data, batches[i].len, false, &info, NULL), KP_OK);
        CHECK(history,
              entries[i].base_offset == topics[i]->next_offset[entries[i].partition] &&
                  entries[i].position == history->position,
              "an append gives offset %lld, position %lld", (long long)entries[i].base_offset,
              (long long)entries[i].position);
        note_sent(history, &entries[i], (uint32_t)info.records, i + 1 == count);
        topics[i]->next_offset[entries[i].partition] += info.records;
        history->position += info.records;
    }
    if (code == KP_OK) {
        CHECK(history, end == history->position, "an append ends at %lld", (long long)end);
        history->acknowledged++;
    } else if (!refused) {
        history->maybe = count;
        history->broken = true;
    }
    for (size_t i = 0; i < count; i++)
        kp_buf_finish(&batches[i]);
    return full;
}

static void make_topic(struct history *history)
{
    if (history->topic_count == TOPICS_MAX)
        return;
    struct topic *topic = &history->topics[history->topic_count];
    *topic = (struct topic){0};
    snprintf(topic->name, sizeof topic->name, "t%zu", history->topic_count);
    struct kp_error err;
    enum kp_code code = kp_log_topic_create(history->log, topic->name, PARTITIONS, &topic->id, &err);
    if (history->broken) {
        CHECK(history, code == KP_CLOSED, "a topic is made after a failure");
        return;
    }
    history->topic_count++;
    if (code == KP_FULL && err.retriable)
        return;
    topic->alive = code == KP_OK;
    topic->maybe = history->broken = code != KP_OK;
}

static void drop_topic(struct history *history)
{
    struct topic *topic = some_topic(history);
    struct kp_error err;
    if (!topic || history->broken || history->topic_count < 4)
        return;
    enum kp_code code = kp_log_topic_drop(history->log, topic->id, &err);
    if (code == KP_OK)
        topic->alive = false;
    else if (code != KP_FULL || !err.retriable)
        topic->maybe = history->broken = true;
}

/* Of one partition, or some of a topic's in one commit. */
static void trim_partitions(struct history *history)
{
    struct topic *topic = some_topic(history);
    uint32_t one = (uint32_t)kp_sim_below(history->sim, PARTITIONS);
    bool all = kp_sim_below(history->sim, 3) == 0;
    if (!topic || history->broken || (!all && topic->next_offset[one] == topic->start_offset[one]))
        return;
    struct kp_error err;
    int64_t before[PARTITIONS];
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        uint64_t there = (uint64_t)(topic->next_offset[p] - topic->start_offset[p]);
        before[p] = topic->start_offset[p];
        if (there && (all || p == one))
            before[p] += 1 + (int64_t)kp_sim_below(history->sim, there);
    }
    enum kp_code code = all ? kp_log_trim_partitions(history->log, topic->id, before, PARTITIONS, &err)
                            : kp_log_trim(history->log, topic->id, one, before[one], &err);
    if (code == KP_OK) {
        memcpy(topic->start_offset, before, sizeof before);
    } else if (code != KP_FULL || !err.retriable) {
        for (uint32_t p = 0; p < PARTITIONS; p++)
            topic->maybe_start[p] = before[p] > topic->start_offset[p] ? before[p] : topic->maybe_start[p];
        history->broken = true;
    }
}

/* A partition goes on at a later offset: a little, or as far as records of another log may begin. */
static void skip_offsets(struct history *history)
{
    struct topic *topic = some_topic(history);
    uint32_t p = (uint32_t)kp_sim_below(history->sim, PARTITIONS);
    uint64_t most = kp_sim_below(history->sim, 2) ? 20 : (uint64_t)5 << 30;
    if (!topic || history->broken)
        return;
    struct kp_error err;
    int64_t offset = topic->next_offset[p] + 1 + (int64_t)kp_sim_below(history->sim, most);
    enum kp_code code = kp_log_skip(history->log, topic->id, p, offset, &err);
    if (code == KP_OK) {
        topic->start_offset[p] = topic->next_offset[p] = offset;
    } else if (code != KP_FULL || !err.retriable) {
        topic->maybe_start[p] = offset;
        history->broken = true;
    }
}

/* Sealing and what follows it: some steps, or all there is to do. A failure is the step's, not the log's, unless its
 * record was lost. */
static void maintain(struct history *history)
{
    if (history->broken || !kp_sim_powered(history->sim))
        return;
    for (uint64_t steps = 1 + kp_sim_below(history->sim, 4); steps > 0; steps--) {
        bool did;
        struct kp_error err;
        enum kp_code code = kp_log_maintain(history->log, &did, &err);
        CHECK(history, code == KP_OK || code == KP_IO || code == KP_FULL || code == KP_CLOSED, "maintenance: %s (%s)",
              err.message, err.detail);
        history->broken = kp_log_health(history->log, &err) != KP_OK;
        if (code != KP_OK || !did)
            break;
        history->steps++;
    }
}

static void operate(struct history *history)
{
    struct kp_sim *sim = history->sim;
    uint64_t choice = kp_sim_below(sim, 100);
    if (history->tight && kp_sim_below(sim, 20) == 0)
        kp_sim_set_capacity(sim, kp_sim_below(sim, 2) ? 0 : (100 << 10) + kp_sim_below(sim, 1 << 20));
    if (kp_sim_below(sim, 4) == 0) {
        if (kp_sim_below(sim, 6) == 0) /* within sealing, merging, recycling */
            kp_sim_plan_cut(sim, 1 + kp_sim_below(sim, 20), some_cut(history));
        maintain(history);
    }
    if (!kp_sim_powered(sim)) {
        crash(history);
        kp_sim_power_on(sim, KP_SIM_CUT_RANDOM);
        restart(history, true);
    } else if (choice < 70) {
        append_group(history);
    } else if (choice < 76) {
        make_topic(history);
    } else if (choice < 78) {
        drop_topic(history);
    } else if (choice < 79) {
        trim_partitions(history);
    } else if (choice < 80) {
        skip_offsets(history);
    } else if (choice < 82) { /* a clean restart */
        kp_log_close(history->log);
        history->log = NULL;
        history->broken = false;
        restart(history, false);
    } else if (choice < 84) { /* kill -9, sometimes followed by a power cut */
        crash(history);
        if (kp_sim_below(sim, 3) == 0)
            kp_sim_power_on(sim, KP_SIM_CUT_RANDOM);
        restart(history, kp_sim_below(sim, 2));
    } else if (choice < 92) {
        kp_sim_plan_cut(sim, 1 + kp_sim_below(sim, 12), some_cut(history));
    } else if (choice < 95) {
        kp_sim_plan_failure(sim, 1 + kp_sim_below(sim, 12), kp_sim_below(sim, 3) ? KP_IO : KP_FULL);
    } else if (choice < 97) {
        kp_sim_clock_jump(sim, (int64_t)kp_sim_below(sim, 20000000000) - 10000000000);
    } else if (!history->broken) {
        kp_sim_plan_cut(sim, 0, KP_SIM_CUT_RANDOM); /* reads that fail are no failure of the log */
        kp_sim_plan_failure(sim, 0, KP_OK);
        size_t found = check_reads(history);
        CHECK(history, found == history->sent_count, "%zu entries of %zu", found, history->sent_count);
        check_partitions(history);
    }
}

static const uint32_t adopt_per_cents[] = {0, 1, 30};

/* One history from a seed; false and why when the log did wrong. */
static bool run_history(uint64_t seed, int operations, char *ret_failure, size_t failure_bytes, unsigned *ret_crashes,
                        unsigned *ret_steps, unsigned *ret_resumed)
{
    struct history *history = kp_calloc(1, sizeof *history);
    history->sim = kp_sim_create(seed);
    history->tight = seed % 8 == 7;
    history->files = seed % 4 == 0 ? FILES_LARGE : seed % 4 < 3 ? FILES_TINY : FILES_SMALL;
    history->adopt_per_cent = adopt_per_cents[seed / 8 % KP_COUNT(adopt_per_cents)];
    restart(history, true);
    for (int i = 0; i < operations && !failed(history); i++) {
        if (history->broken && kp_sim_powered(history->sim) && kp_sim_below(history->sim, 3)) {
            kp_sim_plan_cut(history->sim, 0, KP_SIM_CUT_RANDOM); /* after a failed call: a restart, or a crash */
            if (kp_sim_below(history->sim, 2)) {
                kp_log_close(history->log);
                history->log = NULL;
                history->broken = false;
            } else {
                crash(history);
                kp_sim_power_on(history->sim, KP_SIM_CUT_RANDOM);
            }
            restart(history, true);
        }
        if (!failed(history))
            operate(history);
    }
    if (!failed(history)) { /* the last word */
        crash(history);
        kp_sim_power_on(history->sim, KP_SIM_CUT_RANDOM);
        restart(history, false);
    }
    bool good = !failed(history);
    snprintf(ret_failure, failure_bytes, "%s", history->failure);
    *ret_crashes += history->crashes;
    *ret_steps += history->steps;
    *ret_resumed += history->resumed;
    kp_log_close(history->log);
    kp_sim_destroy(history->sim);
    kp_free(history->sent);
    kp_free(history);
    return good;
}

static void histories(void **state)
{
    struct campaign campaign = {.name = "log",
                                .what = "histories of 200 operations of a log",
                                .totals = {"crashes", "steps of sealing", "restarts from a snapshot"},
                                .cases = 24};
    unsigned crashes = 0, steps = 0, resumed = 0;
    uint64_t seeds = 0;
    campaign_begin(&campaign);
    for (uint64_t seed; campaign_next(&campaign, &seed); seeds++) {
        char failure[1200];
        if (!run_history(seed, OPERATIONS, failure, sizeof failure, &crashes, &steps, &resumed))
            fail_msg("seed %llu: %s (KAPPA_SEED=%llu repeats it)", (unsigned long long)seed, failure,
                     (unsigned long long)seed);
    }
    campaign.counts[0] += crashes;
    campaign.counts[1] += steps;
    campaign.counts[2] += resumed;
    campaign_end(&campaign);
    assert_true(seeds < 24 || resumed > seeds);
}

/* A full disk refuses appends and nothing more: reads go on, and writes as soon as there is room. */
static void full_disk(void **state)
{
    struct history *history = kp_calloc(1, sizeof *history);
    history->sim = kp_sim_create(3);
    history->calm = true;
    kp_sim_set_capacity(history->sim, 1 << 20);
    restart(history, false);
    for (int rounds = 0; rounds < 4; rounds++) {
        unsigned before = history->acknowledged;
        for (int i = 0; i < 300 && !failed(history); i++)
            if (i % 50 == 0)
                make_topic(history);
            else
                append_group(history);
        if (rounds % 2 == 0)
            assert_true(history->acknowledged < before + 250);
        check_reads(history);
        check_partitions(history);
        kp_sim_set_capacity(history->sim, rounds % 2 ? 1 << 20 : 1 << 30);
    }
    assert_false(history->broken);
    assert_true(history->acknowledged > 60);
    crash(history);
    kp_sim_power_on(history->sim, KP_SIM_CUT_RANDOM);
    restart(history, false);
    if (failed(history))
        fail_msg("%s", history->failure);
    kp_log_close(history->log);
    kp_sim_destroy(history->sim);
    kp_free(history->sent);
    kp_free(history);
}

/* Fills the disk until nothing more goes in; returns how many appends were refused. */
static unsigned fill_disk(struct history *history)
{
    unsigned refused = 0;
    for (int i = 0; i < 3000 && refused < 8 && !failed(history); i++) {
        refused += append_group(history);
        if (i % 7 == 0)
            maintain(history);
    }
    return refused;
}

/* On a full disk what takes something away works, what it took away makes room, and writes go on by themselves: in
 * the same process, and in one that was started on the full disk. */
static void full_disk_frees(uint64_t seed, bool drops, unsigned *ret_gained)
{
    struct history *history = kp_calloc(1, sizeof *history);
    history->sim = kp_sim_create(seed);
    history->calm = true;
    history->files = FILES_MIDDLE;
    history->adopt_per_cent = seed % 2 ? 0 : 30;
    restart(history, false);
    for (int i = 0; i < 8; i++)
        make_topic(history);
    kp_sim_set_capacity(history->sim, (3 << 20) + kp_sim_below(history->sim, 1 << 20));
    for (int round = 0; round < 4 && !failed(history); round++) {
        CHECK(history, fill_disk(history) == 8, "the disk is never full");
        if (round % 2) { /* and it is full for the next process, too */
            crash(history);
            kp_sim_power_on(history->sim, KP_SIM_CUT_RANDOM);
            restart(history, false);
        }
        size_t found = failed(history) ? 0 : check_reads(history);
        CHECK(history, found == history->sent_count, "%zu entries of %zu on a full disk", found, history->sent_count);
        for (size_t i = 0; i < history->topic_count && !failed(history); i++) {
            struct topic *topic = &history->topics[i];
            struct kp_error err = {0};
            enum kp_code code = KP_OK;
            if (drops && i % 4 == (size_t)round && topic->alive) {
                code = kp_log_topic_drop(history->log, topic->id, &err);
                topic->alive = false;
            }
            if (topic->alive)
                code = kp_log_trim_partitions(history->log, topic->id, topic->next_offset, PARTITIONS, &err);
            memcpy(topic->start_offset, topic->next_offset, sizeof topic->start_offset);
            CHECK(history, code == KP_OK, "on a full disk: %s (%s)", err.message, err.detail);
        }
        for (int i = 0; i < 60 && !failed(history); i++)
            maintain(history);
        make_topic(history);
        unsigned before = history->acknowledged, refused = 0;
        history->no_big = true; /* there may be no room for those */
        for (int i = 0; i < 6 && !failed(history); i++)
            if (append_group(history)) { /* that wakes the sealer */
                refused++;
                for (int steps = 0; steps < 10 && !failed(history); steps++)
                    maintain(history);
            }
        history->no_big = false;
        CHECK(history, refused <= 1, "%u of 6 appends refused after all was taken away", refused);
        *ret_gained += history->acknowledged - before;
    }
    CHECK(history, !history->broken, "a full disk poisoned the log");
    if (failed(history))
        fail_msg("seed %llu: %s", (unsigned long long)seed, history->failure);
    crash(history);
    kp_sim_power_on(history->sim, KP_SIM_CUT_RANDOM);
    restart(history, false);
    if (failed(history))
        fail_msg("seed %llu: %s", (unsigned long long)seed, history->failure);
    kp_log_close(history->log);
    kp_sim_destroy(history->sim);
    kp_free(history->sent);
    kp_free(history);
}

static void full_disk_makes_room(void **state)
{
    unsigned gained = 0;
    for (uint64_t seed = 1; seed <= 4 * campaign_setting("KAPPA_TEST_SCALE", 1); seed++)
        full_disk_frees(seed, seed % 3 == 0, &gained);
    print_message("%u appends on disks that had been full\n", gained);
}

/* ---- every call ---- */

/* A small fixed history; a fault may end it anywhere. */
static void reference(struct history *history)
{
    for (int i = 0; i < 45 && !failed(history) && kp_sim_powered(history->sim) && !history->broken; i++) {
        if (i % 10 == 0)
            make_topic(history);
        else if (i == 15) {
            kp_log_close(history->log);
            history->log = NULL;
            struct kp_log_options options = log_options(history);
            if (kp_log_open(&options, &history->log, NULL) != KP_OK) {
                history->log = NULL;
                break;
            }
        } else if (i == 25) {
            skip_offsets(history);
        } else {
            append_group(history);
        }
        if (i % 3 == 2 && history->log)
            maintain(history);
    }
}

/* Runs the reference history with one fault at disk call `at` of it; returns false when it has fewer calls. */
static bool run_reference(uint64_t at, enum kp_sim_cut mode, enum kp_code code, char *ret_failure, size_t failure_bytes)
{
    struct history *history = kp_calloc(1, sizeof *history);
    history->sim = kp_sim_create(7);
    history->calm = true;
    struct kp_log_options options = log_options(history);
    if (code == KP_OK)
        kp_sim_plan_cut(history->sim, at, mode);
    else
        kp_sim_plan_failure(history->sim, at, code);
    if (kp_log_open(&options, &history->log, NULL) == KP_OK)
        reference(history);
    else
        history->log = NULL;
    bool reached = kp_sim_calls(history->sim) >= at;
    if (history->log && reached)
        crash(history);
    kp_log_close(history->log);
    history->log = NULL;
    if (code == KP_OK)
        kp_sim_power_on(history->sim, mode);
    kp_sim_plan_failure(history->sim, 0, KP_OK);
    restart(history, false);
    snprintf(ret_failure, failure_bytes, "%s", history->failure);
    kp_log_close(history->log);
    kp_sim_destroy(history->sim);
    kp_free(history->sent);
    kp_free(history);
    return reached;
}

static void every_call(void **state)
{
    char failure[1200];
    uint64_t at = 1;
    uint64_t stride = campaign_setting("KAPPA_TEST_SCALE", 1) < 8 ? 6 : 1; /* in the soak each call in each mode */
    for (int mode = KP_SIM_CUT_RANDOM; mode < KP_SIM_CUT_MODES; mode++)
        for (at = 1 + (uint64_t)mode % stride; run_reference(at, (enum kp_sim_cut)mode, KP_OK, failure, sizeof failure);
             at += stride)
            if (failure[0])
                fail_msg("power cut at disk call %llu, mode %d: %s", (unsigned long long)at, mode, failure);
    print_message("%llu disk calls, one in %llu a crash point in %d modes\n", (unsigned long long)at - 1,
                  (unsigned long long)stride, KP_SIM_CUT_MODES);
    for (int full = 0; full < 2; full++)
        for (at = 1 + (uint64_t)(4 + full) % stride;
             run_reference(at, KP_SIM_CUT_RANDOM, full ? KP_FULL : KP_IO, failure, sizeof failure); at += stride)
            if (failure[0])
                fail_msg("failure of disk call %llu: %s", (unsigned long long)at, failure);
}

/* ---- planted bugs; what has rotted is in sim/log_rot_sim_test.c ---- */

enum { PLANTED_SEEDS = 300, KNOWN_SEEDS = 3 };

/* Planted bugs, each with seeds that found it. When the log's calls change others may: then they are searched, and the
 * seed that is printed belongs here. What a flipped bit shows is in log_flips_sim_test.c. */
static const struct plant {
    enum kp_log_plant plant;
    const char *name;
    uint64_t seeds[KNOWN_SEEDS];
} plants[] = {
    {KP_PLANT_ACK_BEFORE_SYNC, "acknowledged before the sync", {1}},
    {KP_PLANT_RETRY_SYNC, "a failed sync tried again", {4, 2}},
    {KP_PLANT_NO_DIR_SYNC, "folder not synced", {1, 3}},
    {KP_PLANT_NO_RECOVERY_SYNC, "recovered blocks not synced", {16, 7, 14}},
    {KP_PLANT_CUT_EARLY, "tail cut too early", {1}},
    {KP_PLANT_PARTIAL_GROUP, "part of a group kept", {4, 12, 3}},
    {KP_PLANT_STALE_LEFT, "stale blocks left behind a cut", {4, 3, 13}},
    {KP_PLANT_STALE_TAKEN, "stale blocks taken for live ones", {1}},
    {KP_PLANT_RECYCLE_EARLY, "recycled before the readers were gone", {8, 16, 28}},
    {KP_PLANT_RECYCLE_FIRST, "recycled before it was recorded", {10, 4, 3}},
    {KP_PLANT_EXTENT_UNSYNCED, "extents not synced", {1}},
    {KP_PLANT_CRC_UNCHECKED, "entries believed without their checksum", {13, 3, 2}},
    {KP_PLANT_OFFSETS_REUSED, "offsets given twice", {1}},
    {KP_PLANT_GOES_ON, "a failed write taken for a full disk", {6, 1, 5}},
    {KP_PLANT_CLOCK_BACK, "log time follows the clock back", {1, 2}},
    {KP_PLANT_VOUCHES_EARLY, "a block vouches for itself", {3, 2, 1}},
    {KP_PLANT_RENUMBERED_EARLY, "recycled under two names", {22, 14, 178}},
    {KP_PLANT_NAMES_UNSYNCED, "extents' names not synced", {2, 1}},
    {KP_PLANT_REMOVED_FIRST, "merged extents removed before it was recorded", {2, 7, 1}},
    {KP_PLANT_REMOVED_EARLY, "merged extents removed before the readers were gone", {6, 7, 1}},
    {KP_PLANT_MERGED_STATE, "a merged set with an old state", {1}},
    {KP_PLANT_TRIM_FORGOTTEN, "a trim forgotten by sealing", {5, 3, 2}},
    {KP_PLANT_SNAPSHOT_GAPS, "a trim forgotten by a snapshot", {1}},
    {KP_PLANT_SKIP_FORGOTTEN, "a skip forgotten by sealing", {1, 2}},
    {KP_PLANT_TRIM_WIDE, "more trimmed than was asked for", {15, 7, 4}},
    {KP_PLANT_ADOPTED_SHARED, "an adopted file used again that others share", {8, 11}},
    {KP_PLANT_ADOPTED_UNNAMED, "an adopted file removed by its old name", {15, 14}},
};
static_assert(KP_COUNT(plants) == KP_PLANT_COMPACT_ALL - 1, "all that the log alone shows");

/* One history in a process of its own: a bug may end it in a broken invariant. False: caught. */
static bool run_in_child(uint64_t seed, char *shared, size_t shared_bytes)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        unsigned crashes = 0, steps = 0, resumed = 0;
        (void)!freopen("/dev/null", "w", stderr);
        _exit(run_history(seed, OPERATIONS, shared, shared_bytes, &crashes, &steps, &resumed) ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (status != 0 && !shared[0])
        snprintf(shared, shared_bytes, "a broken invariant");
    return status == 0;
}

static void planted(void **state)
{
    enum { FAILURE_BYTES = 1200 };
    char *shared = mmap(NULL, FAILURE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(shared != MAP_FAILED);
    uint64_t only = campaign_setting("KAPPA_PLANT", KP_PLANT_NONE);
    assert_true(only < KP_PLANT_COUNT);
    for (size_t i = 0; i < KP_COUNT(plants); i++) {
        const struct plant *plant = &plants[i];
        if (only && only != plant->plant)
            continue;
        shared[0] = 0;
        kp_log_planted = plant->plant;
        uint64_t known = 0, seed = 0, found = 0;
        bool caught = false;
        while (!caught && known < KNOWN_SEEDS && plant->seeds[known])
            caught = !run_in_child(found = plant->seeds[known++], shared, FAILURE_BYTES);
        while (!caught && seed < PLANTED_SEEDS)
            caught = !run_in_child(found = ++seed, shared, FAILURE_BYTES);
        kp_log_planted = KP_PLANT_NONE;
        if (!caught)
            fail_msg("not caught: %s", plant->name);
        print_message("%s: caught by seed %llu%s: %s\n", plant->name, (unsigned long long)found,
                      seed ? " after a search" : "", shared);
    }
    munmap(shared, FAILURE_BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(histories), cmocka_unit_test(full_disk),
                                       cmocka_unit_test(full_disk_makes_room), cmocka_unit_test(every_call),
                                       cmocka_unit_test(planted)};
    const char *filter = getenv("KAPPA_TEST_ONLY");
    if (filter)
        cmocka_set_test_filter(filter);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
