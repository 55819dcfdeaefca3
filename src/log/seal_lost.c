/* What sealed holes held: log/seal_lost.h. */
#include "log/seal_lost.h"

#include <stdlib.h>

#include "log/internal.h"

void kp_seal_lost_finish(struct kp_seal_lost *lost)
{
    kp_buf_finish(&lost->passed);
    kp_buf_finish(&lost->ranges);
}

static size_t passed_count(const struct kp_seal_lost *lost)
{
    return lost->passed.len / sizeof(struct kp_seal_hole);
}

static const struct kp_seal_hole *passed_at(const struct kp_seal_lost *lost, size_t i)
{
    return (const struct kp_seal_hole *)(const void *)lost->passed.data + i;
}

static void add_range(struct kp_seal_lost *lost, const struct kp_extents_lost *range)
{
    struct kp_extents_lost *list = (void *)lost->ranges.data;
    for (size_t i = lost->ranges.len / sizeof *list; i-- > 0;)
        if (list[i].topic == range->topic && list[i].partition == range->partition && list[i].hole == range->hole &&
            list[i].maybe == range->maybe && list[i].offset_end == range->offset) {
            list[i].offset_end = range->offset_end;
            return;
        }
    kp_buf_append(&lost->ranges, range, sizeof *range);
}

static bool has_records(const struct kp_hole *hole)
{
    return hole->position_end > hole->position;
}

/* How far from `offset` on the holes tell of the partition's records, at most to offset_end; `offset` itself: nothing.
 * *ret_next: where one of them begins to. */
static int64_t told_until(const struct kp_seal_lost *lost, uint32_t topic, uint32_t partition, int64_t offset,
                          int64_t offset_end, int64_t *ret_next)
{
    int64_t until = offset;
    *ret_next = offset_end;
    for (size_t i = 0; i < passed_count(lost); i++) {
        const struct kp_hole *hole = passed_at(lost, i)->hole;
        for (size_t k = 0; k < hole->range_count && has_records(hole); k++) {
            const struct kp_hole_range *range = &hole->ranges[k];
            if (range->topic != topic || range->partition != partition || range->offset_end <= offset)
                continue;
            if (range->offset <= offset)
                until = KP_MAX(until, KP_MIN(range->offset_end, offset_end));
            else
                *ret_next = KP_MIN(*ret_next, range->offset);
        }
    }
    return until;
}

/* Notes the records with every hole that has any and tells of some of them: as far as it does. */
static void note_told(struct kp_seal_lost *lost, const struct kp_extents_lost *all)
{
    for (size_t i = 0; i < passed_count(lost); i++) {
        const struct kp_hole *hole = passed_at(lost, i)->hole;
        for (size_t k = 0; k < hole->range_count && has_records(hole); k++) {
            const struct kp_hole_range *range = &hole->ranges[k];
            struct kp_extents_lost part = *all;
            part.offset = KP_MAX(part.offset, range->offset);
            part.offset_end = KP_MIN(part.offset_end, range->offset_end);
            part.maybe = range->maybe;
            part.hole = i;
            if (range->topic == part.topic && range->partition == part.partition && part.offset < part.offset_end)
                add_range(lost, &part);
        }
    }
}

/* Of which none tells: any may have held them. */
static void note_untold(struct kp_seal_lost *lost, const struct kp_extents_lost *all)
{
    size_t able = 0;
    for (size_t i = 0; i < passed_count(lost); i++)
        able += has_records(passed_at(lost, i)->hole);
    for (size_t i = 0; i < passed_count(lost); i++) {
        struct kp_extents_lost part = *all;
        part.maybe = able > 1;
        part.hole = i;
        if (has_records(passed_at(lost, i)->hole))
            add_range(lost, &part);
    }
}

/* The partition goes on at offset_end: what lacks was in the holes. */
static void lose(struct kp_seal_lost *lost, struct kp_topic *topic, uint32_t p, int64_t offset_end)
{
    struct kp_partition *partition = &topic->partitions[p];
    struct kp_extents_lost all = {.topic = topic->id,
                                  .partition = p,
                                  .offset = partition->end_offset,
                                  .offset_end = offset_end,
                                  .max_timestamp_ms = partition->max_timestamp_ms};
    bool able = false;
    for (size_t i = 0; i < passed_count(lost); i++)
        able |= has_records(passed_at(lost, i)->hole);
    bool dropped = !kp_topics_get(lost->current, topic->id); /* what the extents before it tell ends where it likes */
    if (!able && !dropped)                                   /* what is wrong is told when the entry is applied */
        return;
    note_told(lost, &all);
    for (int64_t offset = partition->end_offset, next; offset < offset_end;) {
        int64_t until = told_until(lost, topic->id, p, offset, offset_end, &next);
        struct kp_extents_lost part = all;
        part.offset = offset;
        part.offset_end = next;
        if (until == offset)
            note_untold(lost, &part);
        offset = until > offset ? until : next;
    }
    topic->records += (uint64_t)(offset_end - partition->end_offset);
    partition->end_offset = offset_end;
}

void kp_seal_lost_hole(struct kp_seal_lost *lost, const struct kp_hole *hole, size_t item, int64_t log_time_us)
{
    const struct kp_seal_hole passed = {hole, item, log_time_us};
    size_t number = passed_count(lost);
    if (!number)
        lost->id_count = lost->state->id_count;
    kp_buf_append(&lost->passed, &passed, sizeof passed);
    for (size_t i = 0; i < hole->range_count; i++) { /* of which an earlier one told, too: neither is sure */
        const struct kp_hole_range *range = &hole->ranges[i];
        const struct kp_topic *topic = kp_topics_get(lost->state, range->topic);
        if (!range->maybe || !topic || range->partition >= topic->partition_count ||
            range->offset_end > topic->partitions[range->partition].end_offset || !has_records(hole))
            continue;
        struct kp_extents_lost again = {range->topic,
                                        range->partition,
                                        range->offset,
                                        range->offset_end,
                                        topic->partitions[range->partition].max_timestamp_ms,
                                        true,
                                        number};
        add_range(lost, &again);
    }
}

/* Makes in the state a topic that is known now. */
static void add_topic(struct kp_seal_lost *lost, const struct kp_topic *topic)
{
    size_t len = strlen(topic->name);
    const struct kp_topic *before = kp_topics_find(lost->state, topic->name, len);
    if (before) /* its dropping was lost as well */
        kp_topics_remove(lost->state, before->id);
    kp_topics_add(lost->state, topic->id, topic->name, len, topic->partition_count, topic->created_us);
}

void kp_seal_lost_explain(struct kp_seal_lost *lost, const struct kp_entry_header *entry)
{
    if (entry->kind != KP_ENTRY_BATCH && entry->kind != KP_ENTRY_TRIM && entry->kind != KP_ENTRY_TOPIC_DROP)
        return;
    const struct kp_topic *known = kp_topics_get(lost->current, entry->topic);
    if (!kp_topics_get(lost->state, entry->topic) && known)
        add_topic(lost, known);
    struct kp_topic *topic = kp_topics_get(lost->state, entry->topic);
    if (entry->kind != KP_ENTRY_TOPIC_DROP && topic && entry->partition < topic->partition_count &&
        entry->base_offset > topic->partitions[entry->partition].end_offset)
        lose(lost, topic, entry->partition, entry->base_offset);
}

/* Where the partition goes on in the journal from the file on. Locked: lock. */
static int64_t goes_on(const struct kp_partition *partition, uint64_t file)
{
    uint64_t location = kp_location(file, 0);
    for (uint32_t i = 0; i < partition->index_count; i++)
        if (partition->index[i].location >= location)
            return partition->index[i].base_offset;
    return partition->end_offset;
}

void kp_seal_lost_settle(struct kp_seal_lost *lost, uint64_t file_end)
{
    struct kp_log *log = lost->log;
    if (!passed_count(lost))
        return;
    for (uint32_t id = lost->id_count + 1; id <= lost->current->id_count; id++) {
        const struct kp_topic *topic = kp_topics_get(lost->current, id);
        /* Some are made behind the files: when one that is there has the name till then, that is so. */
        if (topic && !kp_topics_get(lost->state, id) && !kp_topics_find(lost->state, topic->name, strlen(topic->name)))
            add_topic(lost, topic);
    }
    kp_rwlock_read(&log->lock);
    for (uint32_t id = 1; id <= lost->state->id_count; id++) {
        struct kp_topic *topic = kp_topics_get(lost->state, id);
        const struct kp_topic *now = kp_topics_get(&log->topics, id);
        for (uint32_t p = 0; topic && now && p < topic->partition_count; p++) {
            int64_t next = goes_on(&now->partitions[p], file_end);
            if (next > topic->partitions[p].end_offset)
                lose(lost, topic, p, next);
            kp_topic_trim(topic, p, now->partitions[p].start_offset); /* a trim may have been lost, too */
        }
    }
    kp_rwlock_unlock(&log->lock);
}

static int by_hole(const void *a, const void *b)
{
    const struct kp_extents_lost *left = a, *right = b;
    if (left->hole != right->hole)
        return left->hole < right->hole ? -1 : 1;
    if (left->topic != right->topic)
        return left->topic < right->topic ? -1 : 1;
    if (left->partition != right->partition)
        return left->partition < right->partition ? -1 : 1;
    return (left->offset > right->offset) - (left->offset < right->offset);
}

static bool gone(const struct kp_seal_lost *lost, const struct kp_extents_lost *range)
{
    uint32_t last = (uint32_t)KP_MIN(range->offset_end - range->offset, (int64_t)UINT32_MAX);
    return kp_topics_gone(lost->current, range->topic, range->partition, range->offset_end - last, last) == last;
}

void kp_seal_lost_put(const struct kp_seal_lost *lost, struct kp_extents_writer *writer)
{
    size_t count = lost->ranges.len / sizeof(struct kp_extents_lost), kept = 0;
    struct kp_extents_lost *list = kp_alloc((count + 1) * sizeof *list);
    for (size_t i = 0; i < count; i++) {
        list[kept] = ((const struct kp_extents_lost *)(const void *)lost->ranges.data)[i];
        kept += !gone(lost, &list[kept]);
    }
    qsort(list, kept, sizeof *list, by_hole);
    for (size_t i = passed_count(lost); i-- > 0;) { /* the last first: places of items stay */
        const struct kp_seal_hole *passed = passed_at(lost, i);
        size_t first = kept;
        while (first > 0 && list[first - 1].hole == i)
            first--;
        if (has_records(passed->hole))
            kp_extents_lose(writer, passed->item, passed->hole->position, passed->hole->position_end,
                            passed->log_time_us, list + first, kept - first);
        kept = first;
    }
    kp_free(list);
}

/* ---- which files ---- */

uint64_t kp_hole_end(struct kp_log *log, const struct kp_hole *hole)
{
    uint64_t file = kp_location_file(hole->location_end);
    bool ended = kp_location_offset(hole->location_end) >= kp_journal_file_get(&log->journal, file).end;
    return ended ? kp_location(file + 1, KP_SECTOR_BYTES) : hole->location_end;
}

/* The last file that the hole touches. */
static uint64_t last_file(const struct kp_hole *hole)
{
    uint64_t file = kp_location_file(hole->location_end);
    return kp_location_offset(hole->location_end) > KP_SECTOR_BYTES ? file : file - 1;
}

bool kp_holes_touch(struct kp_log *log, uint64_t file_number)
{
    bool touched = false;
    if (!atomic_load(&log->holes.any))
        return false;
    kp_rwlock_read(&log->lock);
    for (size_t i = 0; i < log->holes.count && !touched; i++)
        touched = kp_location_file(log->holes.list[i]->location) <= file_number &&
                  last_file(log->holes.list[i]) >= file_number;
    kp_rwlock_unlock(&log->lock);
    return touched;
}

bool kp_holes_fit(struct kp_log *log, uint64_t first, uint64_t most, uint64_t *end)
{
    bool all = true;
    if (!atomic_load(&log->holes.any))
        return true;
    kp_rwlock_read(&log->lock);
    uint64_t durable = kp_location(log->durable_end.file_number, log->durable_end.offset);
    for (bool again = true; again;) {
        again = false;
        for (size_t i = 0; i < log->holes.count && !again; i++) {
            const struct kp_hole *hole = log->holes.list[i];
            uint64_t begin = kp_location_file(hole->location), last = last_file(hole);
            bool whole = last < most && hole->location_end < durable;
            if (last < first || begin >= *end || (whole && last < *end))
                continue;
            again = true;
            all &= whole;
            most = whole ? most : begin;
            *end = whole ? last + 1 : KP_MAX(begin, first);
        }
    }
    kp_rwlock_unlock(&log->lock);
    return all;
}

struct kp_log_damage kp_hole_sealed(const struct kp_extent_set *set, const struct kp_extent_run *run)
{
    return (struct kp_log_damage){.position = (int64_t)run->place,
                                  .position_end =
                                      set->rotten ? set->header.position_end : (int64_t)run->place + run->batches,
                                  .topic = run->topic,
                                  .partition = run->partition,
                                  .offset = run->base_offset,
                                  .offset_end = run->end_offset,
                                  .maybe = run->sectors != 0,
                                  .extent = set->header.number, /* a mixed one */
                                  .wrong = set->rotten ? set->rotten : kp_extent_lost_wrong};
}
