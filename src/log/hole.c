/* What is known of holes, and what recovery finds out about them; looking for one while reading is in log/probe.c. */
#include "log/hole.h"

#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "log/internal.h"
#include "log/probe.h"
#include "log/state.h"

void kp_holes_init(struct kp_holes *holes)
{
    kp_mutex_init(&holes->probing);
    kp_mutex_init(&holes->met_mutex);
}

void kp_hole_free(struct kp_hole *hole)
{
    if (hole)
        kp_free(hole->ranges);
    kp_free(hole);
}

void kp_holes_finish(struct kp_holes *holes)
{
    for (size_t i = 0; i < holes->count; i++)
        kp_hole_free(holes->list[i]);
    kp_hole_free(holes->pending);
    for (uint32_t id = 0; id < holes->seen_count; id++)
        kp_free(holes->seen[id].holes);
    kp_free(holes->seen);
    kp_buf_finish(&holes->untold);
    kp_buf_finish(&holes->met);
    kp_free(holes->list);
    kp_mutex_finish(&holes->met_mutex);
    kp_mutex_finish(&holes->probing);
}

void kp_hole_range_add(struct kp_hole *hole, uint32_t topic, uint32_t partition, int64_t offset, int64_t offset_end,
                       bool maybe)
{
    for (size_t i = 0; i < hole->range_count; i++) {
        struct kp_hole_range *range = &hole->ranges[i];
        if (range->topic == topic && range->partition == partition && range->maybe == maybe &&
            offset <= range->offset_end && offset_end >= range->offset) {
            range->offset = KP_MIN(range->offset, offset);
            range->offset_end = KP_MAX(range->offset_end, offset_end);
            return;
        }
    }
    if (hole->range_count == hole->range_cap) {
        hole->range_cap = hole->range_cap ? hole->range_cap * 2 : 4;
        hole->ranges = kp_realloc(hole->ranges, hole->range_cap * sizeof *hole->ranges);
    }
    hole->ranges[hole->range_count++] = (struct kp_hole_range){topic, partition, offset, offset_end, maybe};
}

/* Locked: lock, or no other thread yet. */
void kp_holes_add(struct kp_log *log, struct kp_hole *hole)
{
    struct kp_holes *holes = &log->holes;
    if (holes->count == holes->cap) {
        holes->cap = holes->cap ? holes->cap * 2 : 4;
        holes->list = kp_realloc(holes->list, holes->cap * sizeof(struct kp_hole *));
    }
    size_t at = holes->count++;
    for (; at > 0 && holes->list[at - 1]->location > hole->location; at--)
        holes->list[at] = holes->list[at - 1];
    holes->list[at] = hole;
    atomic_store(&holes->any, true);
}

/* ---- recovery ---- */

enum { LANDINGS = 1024, MET_MAX = 1000 /* rotten batches told of: who has more has read enough */ };

/* Where partitions go on of which it is not known how much they lost. One in LANDINGS of other offsets is such, too:
 * then a loss is told of as one that may have been. */
static int64_t landing(uint32_t topic, uint32_t partition)
{
    return (int64_t)(kp_hash_combine(topic, partition) % LANDINGS);
}
static int64_t landing_behind(uint32_t topic, uint32_t partition, int64_t offset)
{
    int64_t rest = (landing(topic, partition) - offset % LANDINGS + LANDINGS) % LANDINGS;
    return offset + rest;
}
static bool is_landing(uint32_t topic, uint32_t partition, int64_t offset)
{
    return offset % LANDINGS == landing(topic, partition);
}

static struct kp_partition *partition_of(struct kp_log *log, const struct kp_entry_header *entry)
{
    struct kp_topic *topic = kp_topics_get(&log->topics, entry->topic);
    return topic && entry->partition < topic->partition_count ? &topic->partitions[entry->partition] : NULL;
}

/* The partition goes on behind records that were lost: those up to offset_end, in the hole at location. */
static void go_on(struct kp_topic *topic, uint32_t partition, int64_t offset_end, uint64_t location)
{
    struct kp_partition *to = &topic->partitions[partition];
    int64_t records = offset_end - to->end_offset;
    topic->records += (uint64_t)records;
    kp_partition_note(to, location, to->end_offset, 0, -1, 0); /* a place in the index: readers come to the hole */
    to->end_offset = offset_end;
}

/* How many holes were known when the partition was last told of: what it lost lies in later ones. */
static uint32_t *seen(struct kp_holes *holes, uint32_t id, uint32_t partition)
{
    if (id >= holes->seen_count) {
        uint32_t count = KP_MAX(2 * holes->seen_count, id + 1);
        holes->seen = kp_realloc(holes->seen, count * sizeof *holes->seen);
        memset(holes->seen + holes->seen_count, 0, (count - holes->seen_count) * sizeof *holes->seen);
        holes->seen_count = count;
    }
    struct kp_holes_seen *topic = &holes->seen[id];
    if (partition >= topic->count) {
        uint32_t count = KP_MAX(2 * topic->count, partition + 1);
        topic->holes = kp_realloc(topic->holes, count * sizeof *topic->holes);
        memset(topic->holes + topic->count, 0, (count - topic->count) * sizeof *topic->holes);
        topic->count = count;
    }
    return &topic->holes[partition];
}

/* Could the hole have held records of a partition last told of when there were `from` holes? */
static bool candidate(const struct kp_holes *holes, size_t i, uint32_t from)
{
    return i >= from && holes->list[i]->lost > 0;
}

/*
 * Notes that a partition lost its records from its end to offset_end: in one of the holes behind its last batch that
 * hold records of which nobody told. When there are several each may have held them.
 */
static void lose(struct kp_log *log, uint32_t id, uint32_t partition, int64_t offset_end, bool maybe)
{
    struct kp_holes *holes = &log->holes;
    struct kp_topic *topic = kp_topics_get(&log->topics, id);
    int64_t offset = topic->partitions[partition].end_offset;
    uint32_t from = *seen(holes, id, partition);
    size_t first = holes->count, count = 0;
    for (size_t i = 0; i < holes->count; i++)
        if (candidate(holes, i, from) && count++ == 0)
            first = i;
    if (!count)
        first = holes->count - 1;
    maybe |= count != 1;
    for (size_t i = first; i < holes->count; i++)
        if (i == first || candidate(holes, i, from))
            kp_hole_range_add(holes->list[i], id, partition, offset, offset_end, maybe);
    if (!maybe)
        holes->list[first]->lost -= KP_MIN(offset_end - offset, holes->list[first]->lost);
    go_on(topic, partition, offset_end, holes->list[first]->location);
}

/* Do all entries fit to each other, to the block's header and to what is known of their partitions? */
static bool plausible(struct kp_log *log, const struct kp_block_header *block)
{
    struct kp_entry_walk walk = kp_entry_walk_start(block);
    const struct kp_entry_header *entry;
    const char *wrong;
    uint64_t records = 0;
    struct kp_hole ends = {0}; /* of partitions, within the block */
    bool good = true;
    while (good && kp_entry_walk_next(&walk, &entry, &wrong)) {
        const struct kp_partition *partition = partition_of(log, entry);
        good = entry->kind == KP_ENTRY_BATCH && partition && entry->records > 0;
        if (!good)
            break;
        int64_t expected = partition->end_offset;
        for (size_t i = 0; i < ends.range_count; i++)
            if (ends.ranges[i].topic == entry->topic && ends.ranges[i].partition == entry->partition)
                expected = ends.ranges[i].offset_end;
        good = entry->base_offset == expected;
        kp_hole_range_add(&ends, entry->topic, entry->partition, expected, expected + entry->records, false);
        records += entry->records;
    }
    kp_free(ends.ranges);
    return good && !wrong && records == block->records;
}

void kp_holes_lost(struct kp_log *log, const struct kp_block_header *block, bool intact, uint64_t location)
{
    struct kp_holes *holes = &log->holes;
    if (!holes->pending)
        holes->pending = kp_calloc(1, sizeof *holes->pending);
    holes->pending->location = location;
    if (!intact && !plausible(log, block))
        return;
    struct kp_entry_walk walk = kp_entry_walk_start(block);
    const struct kp_entry_header *entry;
    const char *wrong;
    while (kp_entry_walk_next(&walk, &entry, &wrong)) {
        const struct kp_partition *partition = partition_of(log, entry);
        if (entry->kind != KP_ENTRY_BATCH || !partition || entry->base_offset < partition->end_offset)
            continue;
        kp_hole_range_add(holes->pending, entry->topic, entry->partition, entry->base_offset,
                          entry->base_offset + entry->records, false);
        if (entry->base_offset > partition->end_offset) /* what lacks before it was here, too, or in an earlier hole */
            kp_hole_range_add(holes->pending, entry->topic, entry->partition, partition->end_offset, entry->base_offset,
                              holes->records > 0);
        if (holes->records)
            kp_holes_explain(log, entry);
        go_on(kp_topics_get(&log->topics, entry->topic), entry->partition, entry->base_offset + entry->records,
              location);
    }
}

void kp_holes_found(struct kp_log *log, const struct kp_hole *found)
{
    struct kp_holes *holes = &log->holes;
    struct kp_hole *hole = holes->pending ? holes->pending : kp_calloc(1, sizeof *hole);
    holes->pending = NULL;
    int64_t told = 0;
    for (size_t i = 0; i < hole->range_count; i++)
        told += hole->ranges[i].maybe ? 0 : hole->ranges[i].offset_end - hole->ranges[i].offset;
    hole->location = found->location;
    hole->location_end = found->location_end;
    hole->position = found->position;
    hole->position_end = found->position_end;
    hole->wrong = found->wrong;
    hole->lost = KP_MAX(found->position_end - found->position - told, 0);
    holes->records += found->position_end - found->position;
    kp_holes_add(log, hole);
}

void kp_holes_begin(struct kp_log *log, uint64_t file_last, int64_t position, int64_t position_end)
{
    const struct kp_hole sealed = {.location = kp_location(file_last, KP_SECTOR_BYTES),
                                   .location_end = kp_location(file_last + 1, KP_SECTOR_BYTES),
                                   .position = position,
                                   .position_end = position_end,
                                   .wrong = "its extent has rotted"};
    kp_holes_found(log, &sealed);
    log->holes.unanchored = true;
}

/* What lacks before the entry, as far as no hole explains it. */
static void note_untold(struct kp_log *log, const struct kp_entry_header *entry)
{
    struct kp_topic *topic = kp_topics_get(&log->topics, entry->topic);
    struct kp_partition *partition = &topic->partitions[entry->partition];
    const struct kp_hole_range range = {entry->topic, entry->partition, partition->end_offset, entry->base_offset,
                                        false};
    if (partition->end_offset >= entry->base_offset)
        return;
    kp_buf_append(&log->holes.untold, &range, sizeof range);
    topic->records += (uint64_t)(entry->base_offset - partition->end_offset);
    partition->end_offset = entry->base_offset;
}

/* When the topic was not dropped further on, that has rotted: a hole, and what was sealed of it is not there. */
static enum kp_code settle_untold(struct kp_log *log, struct kp_error *err)
{
    for (size_t at = 0; at < log->holes.untold.len; at += sizeof(struct kp_hole_range)) {
        struct kp_hole_range range;
        memcpy(&range, log->holes.untold.data + at, sizeof range);
        struct kp_topic *topic = kp_topics_get(&log->topics, range.topic);
        if (topic && !log->holes.count)
            return kp_fail(err, KP_CORRUPT, NULL, "topic \"%s\", partition %u goes on at offset %lld instead of %lld",
                           topic->name, range.partition, (long long)range.offset_end, (long long)range.offset);
        if (!topic)
            continue;
        kp_topic_trim(topic, range.partition, range.offset_end);
        atomic_store(&log->gaps, true);
    }
    return KP_OK;
}

void kp_holes_explain(struct kp_log *log, const struct kp_entry_header *entry)
{
    struct kp_holes *holes = &log->holes;
    if (holes->count && entry->kind == KP_ENTRY_TOPIC_CREATE && entry->partition <= KP_PARTITIONS_MAX &&
        entry->topic == log->topics.id_count + 1) {
        for (uint32_t p = entry->partition; p-- > 0;) /* it was in no hole before */
            *seen(holes, entry->topic, p) = (uint32_t)holes->count;
    }
    const struct kp_partition *partition = partition_of(log, entry);
    if ((entry->kind != KP_ENTRY_BATCH && entry->kind != KP_ENTRY_TRIM) || !partition)
        return;
    int64_t gap = entry->base_offset - partition->end_offset;
    bool landed = is_landing(entry->topic, entry->partition, entry->base_offset);
    if (gap > 0 && holes->records &&
        gap <= ((int64_t)holes->count + 1) * (holes->records + LANDINGS)) /* a longer one cannot be */
        lose(log, entry->topic, entry->partition, entry->base_offset, landed || gap > holes->records || holes->pending);
    if (!holes->pending) /* else it was in that one, too */
        note_untold(log, entry);
    if (holes->count && entry->kind == KP_ENTRY_BATCH) /* behind where a trim ends there may have been more */
        *seen(holes, entry->topic, entry->partition) = (uint32_t)holes->count;
}

/* Forgets holes, or what of them, lies in files that are sealed: what they held is told by the extents. */
static size_t forget_sealed(struct kp_log *log)
{
    struct kp_holes *holes = &log->holes;
    uint64_t behind = kp_location(kp_sealing_file_next(&log->sealing), KP_SECTOR_BYTES);
    size_t gone = 0;
    while (gone < holes->count && holes->list[gone]->location_end <= behind)
        kp_hole_free(holes->list[gone++]);
    holes->count -= gone;
    if (gone)
        memmove(holes->list, holes->list + gone, holes->count * sizeof(struct kp_hole *));
    if (holes->count && holes->list[0]->location < behind) {
        holes->list[0]->location = behind;
        holes->list[0]->position = KP_MAX(holes->list[0]->position, log->sealing.head.position);
    }
    return gone;
}

/* No partition ends before what the newest extents know of it: the journal that they were made of may have rotted
 * since. */
static enum kp_code take_sealed_ends(struct kp_log *log, struct kp_error *err)
{
    struct kp_buf bytes;
    struct kp_topics state = {0};
    if (!log->sealing.set_count || !log->holes.records)
        return KP_OK;
    const struct kp_extent_set *newest = log->sealing.sets[log->sealing.set_count - 1];
    struct kp_extent_file file;
    kp_log_extent_file_init(log, &file, false);
    enum kp_code code = newest->rotten ? KP_CORRUPT : kp_extent_state_read(&file, &newest->header, &bytes, err);
    kp_extent_file_finish(&file);
    if (code == KP_CORRUPT) /* it knows nothing */
        return KP_OK;
    KP_TRY(code);
    code = kp_state_read(bytes.data, bytes.len, &state, err);
    kp_buf_finish(&bytes);
    for (uint32_t id = 1; code == KP_OK && id <= log->topics.id_count; id++) {
        struct kp_topic *topic = kp_topics_get(&log->topics, id);
        const struct kp_topic *sealed = kp_topics_get(&state, id);
        for (uint32_t p = 0; topic && sealed && p < topic->partition_count; p++) {
            int64_t lack = sealed->partitions[p].end_offset - topic->partitions[p].end_offset;
            topic->records += (uint64_t)KP_MAX(lack, 0);
            topic->partitions[p].end_offset += KP_MAX(lack, 0);
        }
    }
    kp_topics_finish(&state);
    return code;
}

/* Behind all that the partition may have had: behind each of the holes it may have landed, and gone on to the next. */
static int64_t unknown_end(const struct kp_holes *holes, const struct kp_topic *topic, uint32_t partition,
                           uint32_t from)
{
    int64_t end = topic->partitions[partition].end_offset;
    for (size_t i = from; i < holes->count; i++)
        end = landing_behind(topic->id, partition, end + holes->records + 1);
    return end;
}

/* Partitions of which the journal does not tell go on behind what they may have had. */
static void settle_unanchored(struct kp_log *log)
{
    for (uint32_t id = 1; id <= log->topics.id_count; id++) {
        struct kp_topic *topic = kp_topics_get(&log->topics, id);
        for (uint32_t p = 0; topic && p < topic->partition_count; p++) {
            if (*seen(&log->holes, id, p))
                continue;
            int64_t end = unknown_end(&log->holes, topic, p, 0);
            topic->records += (uint64_t)(end - topic->partitions[p].end_offset);
            topic->partitions[p].end_offset = end;
        }
    }
}

enum kp_code kp_holes_settle(struct kp_log *log, struct kp_error *err)
{
    struct kp_holes *holes = &log->holes;
    KP_TRY(settle_untold(log, err));
    if (holes->unanchored)
        settle_unanchored(log);
    size_t gone = forget_sealed(log);
    KP_TRY(take_sealed_ends(log, err));
    for (uint32_t id = 1; holes->count && id <= log->topics.id_count; id++) {
        const struct kp_topic *topic = kp_topics_get(&log->topics, id);
        for (uint32_t p = 0; topic && p < topic->partition_count; p++) {
            uint32_t *from_at = seen(holes, id, p);
            uint32_t from = *from_at -= (uint32_t)KP_MIN((size_t)*from_at, gone);
            bool any = false;
            for (size_t i = from; i < holes->count && !any; i++)
                any = candidate(holes, i, from);
            if (any)
                lose(log, id, p, unknown_end(holes, topic, p, from), true);
        }
    }
    return KP_OK;
}

/* ---- readers ---- */

const struct kp_hole_range *kp_hole_wanted(struct kp_log *log, const struct kp_hole *hole, const uint32_t *topics,
                                           size_t topic_count)
{
    const struct kp_hole_range *found = NULL;
    kp_rwlock_read(&log->lock);
    for (size_t i = 0; i < hole->range_count && !found; i++) {
        const struct kp_hole_range *range = &hole->ranges[i];
        const struct kp_topic *topic = kp_topics_get(&log->topics, range->topic);
        bool wanted = !topics;
        for (size_t k = 0; k < topic_count && !wanted; k++)
            wanted = topics[k] == range->topic;
        if (wanted && topic && topic->partitions[range->partition].start_offset < range->offset_end)
            found = range;
    }
    kp_rwlock_unlock(&log->lock);
    return found;
}

static struct kp_log_damage damage_of(const struct kp_hole *hole, const struct kp_hole_range *range)
{
    return (struct kp_log_damage){.position = hole->position,
                                  .position_end = hole->position_end,
                                  .topic = range->topic,
                                  .partition = range->partition,
                                  .offset = range->offset,
                                  .offset_end = range->offset_end,
                                  .maybe = range->maybe,
                                  .file_number = kp_location_file(hole->location),
                                  .file_offset = kp_location_offset(hole->location),
                                  .wrong = hole->wrong};
}

enum kp_code kp_hole_error(struct kp_log *log, const struct kp_hole *hole, const struct kp_hole_range *range,
                           struct kp_error *err)
{
    struct kp_log_damage damage = damage_of(hole, range);
    return kp_log_damage_error(log, &damage, err);
}

enum kp_code kp_log_damage_hint(bool internal, struct kp_error *err)
{
    if (internal) /* nobody deletes of these, and without them there may be no instance to ask */
        return kp_error_hint(err, "`kappa log verify` shows what is damaged. Restore it from a backup; what else is in "
                                  "the log can be read with `kappa log export`, and put into another with `import`.");
    return kp_error_hint(err, "`kappa log verify` shows what is damaged. Restore it from a backup, or give up the "
                              "records up to there with ALTER TOPIC … DELETE BEFORE.");
}

enum kp_code kp_log_damage_error(struct kp_log *log, const struct kp_log_damage *damage, struct kp_error *err)
{
    struct kp_topic_info info;
    bool known = kp_log_topic_get(log, damage->topic, &info, NULL) == KP_OK;
    kp_fail(err, KP_CORRUPT, NULL, "topic \"%s\", partition %u is damaged at offsets %lld to %lld%s: %s",
            known ? info.name : "", damage->partition, (long long)damage->offset, (long long)damage->offset_end - 1,
            damage->maybe ? " (or other partitions are)" : "", damage->wrong);
    if (damage->file_number)
        kp_error_detail(err, "It is the block in file %llu of \"%s\" at byte %llu; positions %lld to %lld are lost.",
                        (unsigned long long)damage->file_number, log->journal.dir,
                        (unsigned long long)damage->file_offset, (long long)damage->position,
                        (long long)damage->position_end - 1);
    else
        kp_error_detail(err, "It lies in extent %llu%s of \"%s\"; positions %lld to %lld are lost.",
                        (unsigned long long)damage->extent, damage->adopted ? " (adopted)" : "", log->journal.dir,
                        (long long)damage->position, (long long)damage->position_end - 1);
    return kp_log_damage_hint(known && info.internal, err);
}

static void put_damage(const struct kp_hole *hole, struct kp_buf *out)
{
    if (!hole->range_count) { /* no records: what made a topic, or said what is sealed */
        const struct kp_hole_range none = {0};
        struct kp_log_damage damage = damage_of(hole, &none);
        kp_buf_append(out, &damage, sizeof damage);
    }
    for (size_t i = 0; i < hole->range_count; i++) {
        struct kp_log_damage damage = damage_of(hole, &hole->ranges[i]);
        kp_buf_append(out, &damage, sizeof damage);
    }
}

/* Is it the extents' by now? Locked: lock. */
static bool is_sealed(const struct kp_log *log, const struct kp_hole *hole)
{
    return hole->location_end <= kp_location(kp_sealing_file_next(&log->sealing), KP_SECTOR_BYTES);
}

bool kp_holes_unsealed(const struct kp_log *log)
{
    for (size_t i = 0; i < log->holes.count; i++)
        if (!is_sealed(log, log->holes.list[i]))
            return true;
    return false;
}

/* Is the extent that was mended there still? Then it says which positions it holds. Locked: lock. */
static bool find_mended(const struct kp_log *log, struct kp_log_damage *damage)
{
    for (size_t i = 0; i < log->sealing.set_count; i++) {
        const struct kp_extent_header *header = &log->sealing.sets[i]->header;
        if (header->number != damage->extent)
            continue;
        damage->position = header->position;
        damage->position_end = header->position_end;
        return true;
    }
    return false;
}

/* Those of the list that were not given up. Locked: lock. */
static void drop_gone(const struct kp_log *log, struct kp_buf *damages)
{
    struct kp_log_damage *list = (void *)damages->data;
    size_t count = damages->len / sizeof *list, kept = 0;
    for (size_t i = 0; i < count; i++) {
        const struct kp_topic *topic = kp_topics_get(&log->topics, list[i].topic);
        if (list[i].mended
                ? find_mended(log, &list[i])
                : (!list[i].topic || (topic && topic->partitions[list[i].partition].start_offset < list[i].offset_end)))
            list[kept++] = list[i];
    }
    damages->len = kept * sizeof *list;
}

static bool is_same(const struct kp_log_damage *one, const struct kp_log_damage *other)
{
    if (one->mended || other->mended)
        return one->mended && other->mended && one->extent == other->extent && one->file_offset == other->file_offset;
    return one->topic == other->topic && one->partition == other->partition && one->offset == other->offset;
}

/* True: it was not known. */
static bool note(struct kp_holes *holes, const struct kp_log_damage *damage)
{
    kp_mutex_lock(&holes->met_mutex);
    const struct kp_log_damage *list = (void *)holes->met.data;
    size_t count = holes->met.len / sizeof *list, at = 0;
    while (at < count && !is_same(&list[at], damage))
        at++;
    bool is_new = at == count && count < MET_MAX;
    if (is_new)
        kp_buf_append(&holes->met, damage, sizeof *damage);
    kp_mutex_unlock(&holes->met_mutex);
    return is_new;
}

void kp_damage_note(struct kp_log *log, const struct kp_log_damage *damage)
{
    (void)note(&log->holes, damage);
}

/* struct kp_extent_file's. */
static void note_mended(void *arg, uint64_t number, uint64_t place, const char *wrong)
{
    struct kp_log *log = arg;
    struct kp_log_damage damage = {.extent = number, .file_offset = place, .mended = true, .wrong = wrong};
    char text[500];
    if (!note(&log->holes, &damage) || !log->notice)
        return;
    snprintf(text, sizeof text, "the disk rots: extent %llu of \"%.200s\" at byte %llu: %s" KP_LOG_MENDED,
             (unsigned long long)number, log->journal.dir, (unsigned long long)place, wrong);
    log->notice(log->notice_arg, text);
}

void kp_log_extent_file_init(struct kp_log *log, struct kp_extent_file *file, bool direct)
{
    kp_extent_file_init(file, log->os, log->journal.dir, direct);
    file->mended = note_mended;
    file->arg = log;
}

void kp_log_damages(struct kp_log *log, struct kp_log_damage **ret_damages, size_t *ret_count)
{
    struct kp_buf out = {0};
    kp_rwlock_read(&log->lock);
    for (size_t i = 0; i < log->sealing.set_count; i++) {
        const struct kp_extent_set *set = log->sealing.sets[i];
        const struct kp_extent_run none = {.place = (uint64_t)set->header.position};
        if (set->rotten && !set->header.runs) {
            struct kp_log_damage damage = kp_hole_sealed(set, &none);
            kp_buf_append(&out, &damage, sizeof damage);
        }
        for (uint32_t r = 0; r < set->header.runs; r++)
            if (kp_extent_run_lost(&set->runs[r])) {
                struct kp_log_damage damage = kp_hole_sealed(set, &set->runs[r]);
                kp_buf_append(&out, &damage, sizeof damage);
            }
    }
    for (size_t i = 0; i < log->holes.count; i++)
        if (!is_sealed(log, log->holes.list[i]))
            put_damage(log->holes.list[i], &out);
    kp_mutex_lock(&log->holes.met_mutex);
    kp_buf_append(&out, log->holes.met.data, log->holes.met.len);
    kp_mutex_unlock(&log->holes.met_mutex);
    drop_gone(log, &out);
    kp_rwlock_unlock(&log->lock);
    *ret_damages = (void *)out.data;
    *ret_count = out.len / sizeof **ret_damages;
}

bool kp_log_damage_at(struct kp_log *log, int64_t position, struct kp_log_damage **ret_damages, size_t *ret_count)
{
    struct kp_buf out = {0};
    kp_rwlock_read(&log->lock);
    for (size_t i = 0; i < log->holes.count; i++)
        if (log->holes.list[i]->position <= position && position < log->holes.list[i]->position_end &&
            log->holes.list[i]->range_count && !is_sealed(log, log->holes.list[i]))
            put_damage(log->holes.list[i], &out);
    kp_rwlock_unlock(&log->lock);
    if (!out.len)
        kp_set_damage(log, position, &out);
    *ret_damages = (void *)out.data;
    *ret_count = out.len / sizeof **ret_damages;
    return *ret_count > 0;
}
