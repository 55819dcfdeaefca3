/*
 * A log as it was at an earlier position, written anew: every group of records before it is appended again, each of its
 * batches with its own log time, so positions, offsets and times come out as they were: what the blocks of a group have
 * may differ. Topics are made, and what is gone is trimmed, under a clock that shows the time of what is next.
 *
 * What was trimmed, and what dropped topics held, is not there to be appended, but has its positions and offsets. Empty
 * records take its place, of the partition that it was trimmed from or of a topic that is dropped again, and go the
 * same way at the end:
 *
 *   first pass    for each partition: offset and position of the first batch that is left, and whether so many
 *                 positions before it lack; where they do not, it was given that offset (kp_log_skip), and is again
 *   second pass   a gap before a batch: empty records of the partitions whose first batch comes soonest
 *
 * Nothing is synced until all is written: a crash leaves a folder without its name (backup.c).
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/backup.h"
#include "log/log.h"
#include "log/record_batch.h"

enum { READ_BYTES = 16 << 20, FILLER_RECORDS = 100000 };
static const char filler_name[] = "__kappa_gone";

/* ---- a clock of our own, and no syncs ---- */

static _Atomic int64_t now_us;

static int64_t clock_us(void *ctx)
{
    return atomic_load(&now_us);
}

static enum kp_code no_sync(void *ctx, struct kp_file *file, struct kp_error *err)
{
    return KP_OK;
}

static enum kp_code no_sync_dir(void *ctx, const char *path, struct kp_error *err)
{
    return KP_OK;
}

static enum kp_code only_write(void *ctx, struct kp_file *file, const void *bytes, size_t len, uint64_t offset,
                               struct kp_error *err)
{
    return kp_os_real()->pwrite(ctx, file, bytes, len, offset, err);
}

/* ---- what is to be made up ---- */

struct part {
    uint32_t topic, partition;
    int64_t start_offset; /* what lies before it is trimmed */
    int64_t gone;         /* offsets before the first batch that is left */
    int64_t first;        /* that batch's position; INT64_MAX: none is left */
    int64_t room;         /* positions before it that nothing is left of */
    bool skips;           /* that are too few: the partition never had all of those offsets (kp_log_skip) */
    int64_t made;         /* offsets made up so far */
    int64_t next;         /* offset behind the last batch seen */
};

struct topic {
    struct kp_topic_info info;
    struct part *parts;
    int64_t records; /* seen before the limit */
};

struct rewind {
    struct kp_log *from, *to;
    int64_t position; /* the limit; a group's end once the first pass is over */
    int64_t left;     /* records of topics that are there, seen by the first pass */
    struct topic *topics;
    size_t topic_count, topic_made; /* topics[0 … topic_made) are in the new log */
    struct part **gaps;             /* with something to be made up, those whose first batch comes soonest first */
    size_t gap_count, gap_at;
    uint32_t filler; /* the topic of what dropped topics held; 0: not needed yet */
    uint32_t next_id;

    struct kp_log_entry *entries; /* of the group being put together */
    size_t entry_count, entry_cap;
    struct kp_buf *made; /* batches that are made up, of the group */
    size_t made_count;
    int64_t expected; /* position behind the entries */
    int64_t appended; /* behind those that were handed to the new log */
};

static struct topic *topic_of(struct rewind *rewind, uint32_t id)
{
    for (size_t i = 0; i < rewind->topic_count; i++)
        if (rewind->topics[i].info.id == id)
            return &rewind->topics[i];
    return NULL;
}

static enum kp_code read_topics(struct rewind *rewind, struct kp_error *err)
{
    struct kp_topic_info *infos;
    kp_log_topics(rewind->from, &infos, &rewind->topic_count);
    rewind->topics = kp_calloc(rewind->topic_count + 1, sizeof *rewind->topics);
    enum kp_code code = KP_OK;
    for (size_t i = 0; i < rewind->topic_count; i++) {
        struct topic *topic = &rewind->topics[i];
        topic->info = infos[i];
        topic->parts = kp_calloc(infos[i].partitions, sizeof *topic->parts);
        for (uint32_t p = 0; code == KP_OK && p < infos[i].partitions; p++) {
            struct kp_partition_info info;
            code = kp_log_partition(rewind->from, infos[i].id, p, &info, err);
            if (code == KP_OK)
                topic->parts[p] = (struct part){.topic = infos[i].id,
                                                .partition = p,
                                                .start_offset = info.start_offset,
                                                .gone = info.start_offset,
                                                .first = INT64_MAX};
        }
    }
    kp_free(infos);
    return code;
}

/* ---- the two passes ---- */

typedef enum kp_code (*each_chunk)(struct rewind *rewind, struct topic *topic, const struct kp_log_chunk *chunk,
                                   struct kp_error *err);

/* The end of the last whole group of the span at or before the limit. */
static int64_t whole_end(const struct kp_log_span *span, int64_t limit)
{
    int64_t end = span->position;
    for (size_t i = 0; i < span->count; i++)
        if (span->chunks[i].group_end && span->chunks[i].position + span->chunks[i].records <= limit)
            end = span->chunks[i].position + span->chunks[i].records;
    return end;
}

static enum kp_code walk_span(struct rewind *rewind, const struct kp_log_span *span, each_chunk each,
                              struct kp_error *err)
{
    if (span->position_end > rewind->position)
        rewind->position = whole_end(span, rewind->position);
    for (size_t i = 0; i < span->count; i++)
        if (span->chunks[i].position + span->chunks[i].records <= rewind->position)
            KP_TRY(each(rewind, topic_of(rewind, span->chunks[i].topic), &span->chunks[i], err));
    return KP_OK;
}

/* All batches before the limit, in order; topic NULL: it is dropped. */
static enum kp_code walk(struct rewind *rewind, each_chunk each, struct kp_error *err)
{
    for (int64_t position = 0; position < rewind->position;) {
        struct kp_log_span span;
        KP_TRY(kp_log_read(rewind->from, position, rewind->position, READ_BYTES, NULL, 0, &span, err));
        enum kp_code code = walk_span(rewind, &span, each, err);
        bool moved = span.position_end > position;
        position = span.position_end;
        kp_log_span_release(&span);
        KP_TRY(code);
        if (!moved)
            break;
    }
    return KP_OK;
}

static enum kp_code note_first(struct rewind *rewind, struct topic *topic, const struct kp_log_chunk *chunk,
                               struct kp_error *err)
{
    if (!topic)
        return KP_OK;
    struct part *part = &topic->parts[chunk->partition];
    struct kp_record_batch_info info;
    KP_TRY(kp_record_batch_check(chunk->batch, chunk->bytes, false, &info, err));
    if ((uint32_t)info.records != chunk->records || (part->first != INT64_MAX && chunk->base_offset != part->next)) {
        (void)kp_fail(err, KP_UNSUPPORTED, NULL, "topic \"%s\" is compacted: there are gaps between its records",
                      topic->info.name);
        return kp_error_hint(err, "Such a log can be restored whole, without --to-position.");
    }
    part->next = chunk->base_offset + chunk->records;
    if (part->first == INT64_MAX) {
        part->first = chunk->position;
        part->room = chunk->position - rewind->left;
        part->gone = chunk->base_offset;
    }
    topic->records += chunk->records;
    rewind->left += chunk->records;
    return KP_OK;
}

static int compare_parts(const void *a, const void *b)
{
    const struct part *x = *(struct part *const *)a, *y = *(struct part *const *)b;
    return (x->first > y->first) - (x->first < y->first);
}

static void find_gaps(struct rewind *rewind)
{
    for (size_t i = 0; i < rewind->topic_count; i++)
        for (uint32_t p = 0; p < rewind->topics[i].info.partitions; p++) {
            struct part *part = &rewind->topics[i].parts[p];
            if (part->gone == 0)
                continue;
            if (part->first == INT64_MAX)
                part->room = rewind->position - rewind->left;
            rewind->gaps = kp_realloc(rewind->gaps, (rewind->gap_count + 1) * sizeof(struct part *));
            rewind->gaps[rewind->gap_count++] = part;
        }
    if (rewind->gap_count)
        qsort(rewind->gaps, rewind->gap_count, sizeof(struct part *), compare_parts);
    int64_t taken = 0;
    size_t kept = 0;
    for (size_t i = 0; i < rewind->gap_count; i++) {
        struct part *part = rewind->gaps[i];
        part->skips = part->gone > part->room - taken;
        if (part->skips)
            continue;
        taken += part->gone;
        rewind->gaps[kept++] = part;
    }
    rewind->gap_count = kept;
}

/* Records that expired behind the limit were there at the limit, and are not here. */
static enum kp_code check_expiries(struct rewind *rewind, struct kp_error *err)
{
    for (size_t i = 0; i < rewind->topic_count; i++) {
        const struct topic *topic = &rewind->topics[i];
        if (strcmp(topic->info.name, "__kappa_expiry") == 0 && topic->records < (int64_t)topic->info.records)
            return kp_fail(err, KP_NOT_FOUND, "72000",
                           "the log at position %lld is gone: records that it held have expired since",
                           (long long)rewind->position);
    }
    return KP_OK;
}

/* ---- writing ---- */

/* What was appended is written. */
static enum kp_code catch_up(struct rewind *rewind, struct kp_error *err)
{
    while (kp_log_position(rewind->to) < rewind->appended) {
        kp_log_wait(rewind->to, kp_log_position(rewind->to), -1);
        KP_TRY(kp_log_health(rewind->to, err));
    }
    return KP_OK;
}

static enum kp_code create_dropped(struct rewind *rewind, struct kp_error *err)
{
    char name[40];
    uint32_t id;
    snprintf(name, sizeof name, "__kappa_gone_%u", rewind->next_id);
    KP_TRY(kp_log_topic_create(rewind->to, name, 1, &id, err));
    rewind->next_id = id + 1;
    return kp_log_topic_drop(rewind->to, id, err);
}

/* Makes topics, in order, up to this one: their numbers are what they were. */
static enum kp_code make_topics(struct rewind *rewind, uint32_t id, int64_t time_us, struct kp_error *err)
{
    while (rewind->topic_made < rewind->topic_count && rewind->topics[rewind->topic_made].info.id <= id) {
        const struct part *parts = rewind->topics[rewind->topic_made].parts;
        const struct kp_topic_info *info = &rewind->topics[rewind->topic_made++].info;
        atomic_store(&now_us, KP_MAX(KP_MIN(info->created_us, time_us), atomic_load(&now_us)));
        while (rewind->next_id < info->id)
            KP_TRY(create_dropped(rewind, err));
        uint32_t made;
        KP_TRY(kp_log_topic_create(rewind->to, info->name, info->partitions, &made, err));
        if (made != info->id)
            return kp_fail(err, KP_CORRUPT, NULL, "topic \"%s\" became number %u instead of %u", info->name, made,
                           info->id);
        for (uint32_t p = 0; p < info->partitions; p++)
            if (parts[p].skips)
                KP_TRY(kp_log_skip(rewind->to, made, p, parts[p].gone, err));
        rewind->next_id = made + 1;
    }
    return KP_OK;
}

static void add_entry(struct rewind *rewind, const struct kp_log_entry *entry, uint32_t records)
{
    if (rewind->entry_count == rewind->entry_cap) {
        rewind->entry_cap = rewind->entry_cap ? 2 * rewind->entry_cap : 16;
        rewind->entries = kp_realloc(rewind->entries, rewind->entry_cap * sizeof *rewind->entries);
    }
    rewind->entries[rewind->entry_count++] = *entry;
    rewind->expected += records;
}

static void ignore_done(void *arg, int64_t position_end, const struct kp_error *err)
{
}

static enum kp_code end_group(struct rewind *rewind, struct kp_error *err)
{
    enum kp_code code = KP_OK;
    if (rewind->entry_count)
        code = kp_log_append_async(rewind->to, rewind->entries, rewind->entry_count, ignore_done, NULL, err);
    rewind->appended = rewind->expected;
    for (size_t i = 0; i < rewind->made_count; i++)
        kp_buf_finish(&rewind->made[i]);
    rewind->entry_count = rewind->made_count = 0;
    return code;
}

static enum kp_code add_empty(struct rewind *rewind, uint32_t topic, uint32_t partition, uint32_t records,
                              int64_t time_us, struct kp_error *err)
{
    struct kp_record_batch_builder builder = {0};
    struct kp_str none = {NULL, 0};
    for (uint32_t i = 0; i < records; i++)
        kp_record_batch_add(&builder, 0, none, none, none);
    rewind->made = kp_realloc(rewind->made, (rewind->made_count + 1) * sizeof *rewind->made);
    struct kp_buf *batch = &rewind->made[rewind->made_count++];
    *batch = (struct kp_buf){0};
    enum kp_code code = kp_record_batch_build(&builder, KP_CODEC_ZSTD, batch, err);
    kp_record_batch_builder_finish(&builder);
    struct kp_log_entry entry = {.topic = topic,
                                 .partition = partition,
                                 .batch = batch->data,
                                 .bytes = batch->len,
                                 .trusted = true,
                                 .large = true,
                                 .log_time_us = time_us};
    if (code == KP_OK)
        add_entry(rewind, &entry, records);
    return code;
}

/* Positions before `position` that nothing is left of. */
static enum kp_code make_up(struct rewind *rewind, int64_t position, int64_t time_us, struct kp_error *err)
{
    while (rewind->expected < position) {
        int64_t room = KP_MIN(position - rewind->expected, (int64_t)FILLER_RECORDS);
        while (rewind->gap_at < rewind->gap_count &&
               rewind->gaps[rewind->gap_at]->made == rewind->gaps[rewind->gap_at]->gone)
            rewind->gap_at++;
        struct part *part = rewind->gap_at < rewind->gap_count ? rewind->gaps[rewind->gap_at] : NULL;
        if (part) {
            room = KP_MIN(room, part->gone - part->made);
            part->made += room;
            KP_TRY(make_topics(rewind, part->topic, time_us, err));
        } else if (!rewind->filler) {
            KP_TRY(make_topics(rewind, UINT32_MAX, time_us, err));
            KP_TRY(kp_log_topic_create(rewind->to, filler_name, 1, &rewind->filler, err));
        }
        KP_TRY(add_empty(rewind, part ? part->topic : rewind->filler, part ? part->partition : 0, (uint32_t)room,
                         time_us, err));
        if (rewind->made_count > 16)
            KP_TRY(end_group(rewind, err));
    }
    return KP_OK;
}

static enum kp_code write_chunk(struct rewind *rewind, struct topic *topic, const struct kp_log_chunk *chunk,
                                struct kp_error *err)
{
    if (topic)
        KP_TRY(make_topics(rewind, topic->info.id, chunk->log_time_us, err));
    KP_TRY(make_up(rewind, chunk->position, chunk->log_time_us, err));
    if (topic) {
        struct kp_log_entry entry = {.topic = chunk->topic,
                                     .partition = chunk->partition,
                                     .batch = chunk->batch,
                                     .bytes = chunk->bytes,
                                     .trusted = true,
                                     .large = true,
                                     .log_time_us = chunk->log_time_us};
        add_entry(rewind, &entry, chunk->records);
    }
    return chunk->group_end ? end_group(rewind, err) : KP_OK;
}

/* What was made up goes again; topics that had no records are made. */
static enum kp_code settle(struct rewind *rewind, struct kp_error *err)
{
    int64_t time_us;
    KP_TRY(kp_log_time_at(rewind->from, rewind->position, &time_us, err));
    time_us = KP_MAX(time_us, atomic_load(&now_us));
    KP_TRY(make_up(rewind, rewind->position, time_us, err));
    KP_TRY(end_group(rewind, err));
    KP_TRY(catch_up(rewind, err));
    atomic_store(&now_us, time_us);
    for (size_t i = rewind->topic_made; i < rewind->topic_count; i++)
        if (rewind->topics[i].info.created_us <= time_us)
            KP_TRY(make_topics(rewind, rewind->topics[i].info.id, time_us, err));
    for (size_t i = 0; i < rewind->topic_made; i++)
        for (uint32_t p = 0; p < rewind->topics[i].info.partitions; p++) {
            const struct part *part = &rewind->topics[i].parts[p];
            if (part->start_offset > 0)
                KP_TRY(kp_log_trim(rewind->to, part->topic, p, part->start_offset, err));
        }
    if (rewind->filler)
        KP_TRY(kp_log_topic_drop(rewind->to, rewind->filler, err));
    if (kp_log_position(rewind->to) != rewind->position)
        return kp_fail(err, KP_CORRUPT, NULL, "the new log ends at position %lld instead of %lld",
                       (long long)kp_log_position(rewind->to), (long long)rewind->position);
    return KP_OK;
}

/* ---- the call ---- */

static enum kp_code rewind_open(struct rewind *rewind, struct kp_error *err)
{
    int64_t end = kp_log_position(rewind->from);
    if (rewind->position > end)
        return kp_fail(err, KP_INVALID, NULL, "position %lld lies behind the backup's end, %lld",
                       (long long)rewind->position, (long long)end);
    rewind->next_id = 1;
    KP_TRY(read_topics(rewind, err));
    KP_TRY(walk(rewind, note_first, err));
    KP_TRY(check_expiries(rewind, err));
    find_gaps(rewind);
    KP_TRY(walk(rewind, write_chunk, err));
    return settle(rewind, err);
}

static void sync_one(void *arg, const char *name)
{
    void **all = arg;
    struct kp_os *os = kp_os_real();
    enum kp_code *code = all[1];
    struct kp_buf path = {0};
    struct kp_file *file;
    kp_buf_printf(&path, "%s/%s", (const char *)all[0], name);
    kp_buf_append_byte(&path, 0);
    if (*code == KP_OK)
        *code = os->open(os->ctx, (char *)path.data, KP_OPEN_WRITE, &file, all[2]);
    if (*code == KP_OK) {
        *code = os->sync(os->ctx, file, all[2]);
        os->close(os->ctx, file);
    }
    kp_buf_finish(&path);
}

enum kp_code kp_backup_rewind(const char *from, const char *to, int64_t position, int64_t *ret_position,
                              struct kp_error *err)
{
    struct kp_os os = *kp_os_real();
    os.wall_us = clock_us;
    os.sync = no_sync;
    os.sync_dir = no_sync_dir;
    os.pwrite_sync = only_write;
    atomic_store(&now_us, 0);
    struct rewind rewind = {.position = position};
    struct kp_log_options from_options = {.os = kp_os_real(), .dir = from, .read_only = true};
    struct kp_log_options to_options = {.os = &os, .dir = to};
    KP_TRY(kp_log_open(&from_options, &rewind.from, err));
    enum kp_code code = kp_log_open(&to_options, &rewind.to, err);
    if (code == KP_OK)
        code = rewind_open(&rewind, err);
    kp_log_close(rewind.to);
    kp_log_close(rewind.from);
    for (size_t i = 0; i < rewind.made_count; i++)
        kp_buf_finish(&rewind.made[i]);
    for (size_t i = 0; i < rewind.topic_count; i++)
        kp_free(rewind.topics[i].parts);
    kp_free(rewind.topics);
    kp_free(rewind.gaps);
    kp_free(rewind.entries);
    kp_free(rewind.made);
    void *all[3] = {(void *)(uintptr_t)to, &code, err};
    if (code == KP_OK)
        code = kp_os_real()->list(kp_os_real()->ctx, to, sync_one, all, err);
    KP_TRY(code);
    *ret_position = rewind.position;
    return KP_OK;
}
