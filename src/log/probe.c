/*
 * Looking for the bounds of a hole that a reader came to.
 *
 *   1. From the last mark before it blocks are walked to where the group of the wrong block begins.
 *   2. From there on: over blocks that are wrong (if its header is right, the next one lies behind it; else the next
 *      sector with a right header is looked for), and over those that go on with a group, to an intact block that
 *      begins one, or to the log's durable end.
 *   3. For every partition whose index has a batch near, its batches before and behind are looked at: the offsets
 *      between were in the hole.
 */
#include "log/probe.h"

#include "log/batches.h"

enum { SCAN_READ_BYTES = 256 << 10 };

struct probe {
    struct kp_log *log;
    struct kp_block_scan scan;
    uint64_t location, durable_location;
    int64_t position, durable_position;
    uint64_t sequence;
    bool rotten; /* something is wrong in it */
    struct kp_hole *hole;
};

const struct kp_hole *kp_hole_known(struct kp_log *log, uint64_t location)
{
    const struct kp_hole *found = NULL;
    if (!atomic_load(&log->holes.any))
        return NULL;
    kp_rwlock_read(&log->lock);
    for (size_t i = 0; i < log->holes.count && !found; i++)
        if (log->holes.list[i]->location <= location && location < log->holes.list[i]->location_end)
            found = log->holes.list[i];
    kp_rwlock_unlock(&log->lock);
    return found;
}

/* The block at the probe's place: header NULL if it is none; *ret_wrong: it is not intact. */
static enum kp_code look(struct probe *probe, const struct kp_block_header **ret_block, const char **ret_wrong,
                         struct kp_error *err)
{
    KP_TRY(
        kp_block_scan_seek(&probe->scan, kp_location_file(probe->location), kp_location_offset(probe->location), err));
    KP_TRY(kp_block_scan_peek(&probe->scan, ret_block, ret_wrong, err));
    if (*ret_block && (*ret_block)->sequence <= probe->sequence) /* of an earlier time */
        *ret_block = NULL;
    return KP_OK;
}

static void pass(struct probe *probe, const struct kp_block_header *block)
{
    probe->sequence = block->sequence;
    probe->position = block->position + block->records;
    probe->location = kp_journal_following(&probe->log->journal, probe->location, kp_block_bytes(block));
}

/* To the next sector that begins with a header, or the durable end. */
static enum kp_code pass_sectors(struct probe *probe, struct kp_error *err)
{
    struct kp_journal *journal = &probe->log->journal;
    for (;;) {
        const struct kp_block_header *block;
        const char *wrong;
        probe->location = kp_journal_following(journal, probe->location, KP_SECTOR_BYTES);
        if (probe->location >= probe->durable_location) {
            probe->location = probe->durable_location;
            probe->position = probe->durable_position;
            return KP_OK;
        }
        KP_TRY(kp_block_scan_seek(&probe->scan, kp_location_file(probe->location), kp_location_offset(probe->location),
                                  err));
        KP_TRY(kp_block_scan_peek_header(&probe->scan, &block, &wrong, err));
        if (block && block->sequence > probe->sequence && block->position >= probe->position) {
            probe->position = block->position;
            return KP_OK;
        }
    }
}

static void note_batches(struct kp_hole *hole, const struct kp_block_header *block)
{
    struct kp_entry_walk walk = kp_entry_walk_start(block);
    const struct kp_entry_header *entry;
    const char *wrong;
    while (kp_entry_walk_next(&walk, &entry, &wrong))
        if (entry->kind == KP_ENTRY_BATCH)
            kp_hole_range_add(hole, entry->topic, entry->partition, entry->base_offset,
                              entry->base_offset + entry->records, false);
}

/* Walks to the group of the block at `location`: hole->location and position are its beginning. */
static enum kp_code find_start(struct probe *probe, uint64_t location, struct kp_error *err)
{
    struct kp_log *log = probe->log;
    kp_rwlock_read(&log->lock);
    probe->durable_location = kp_location(log->durable_end.file_number, log->durable_end.offset);
    probe->durable_position = log->durable_end.position;
    size_t marks = log->mark_count;
    while (marks > 0 && log->marks[marks - 1].location > location)
        marks--;
    probe->location =
        marks ? log->marks[marks - 1].location : kp_location(kp_sealing_file_next(&log->sealing), KP_SECTOR_BYTES);
    probe->position = marks ? log->marks[marks - 1].position : log->sealing.head.position;
    kp_rwlock_unlock(&log->lock);
    probe->hole->location = probe->location;
    probe->hole->position = probe->position;
    while (probe->location < location) {
        const struct kp_block_header *block;
        const char *wrong;
        const struct kp_hole *before = kp_hole_known(log, probe->location);
        if (before) {
            probe->location = before->location_end;
            probe->position = before->position_end;
        } else {
            KP_TRY(look(probe, &block, &wrong, err));
            if (!block || wrong) /* a hole that nobody has come to yet: it is this one's beginning */
                return KP_OK;
            pass(probe, block);
            if (block->flags & KP_BLOCK_CONTINUES)
                continue;
        }
        probe->hole->location = probe->location;
        probe->hole->position = probe->position;
    }
    return KP_OK;
}

/* The intact blocks with which the group of the first wrong one began. */
static enum kp_code take_beginning(struct probe *probe, struct kp_error *err)
{
    uint64_t until = probe->location;
    int64_t position = probe->position;
    uint64_t sequence = probe->sequence;
    probe->location = probe->hole->location;
    probe->sequence = 0;
    while (probe->location < until) {
        const struct kp_block_header *block;
        const char *wrong;
        KP_TRY(look(probe, &block, &wrong, err));
        if (!block || wrong)
            break;
        note_batches(probe->hole, block);
        pass(probe, block);
    }
    probe->location = until;
    probe->position = position;
    probe->sequence = sequence;
    return KP_OK;
}

/* From the first wrong block to behind the hole. */
static enum kp_code find_end(struct probe *probe, uint64_t location, struct kp_error *err)
{
    while (probe->location < probe->durable_location) {
        const struct kp_block_header *block;
        const char *wrong;
        KP_TRY(look(probe, &block, &wrong, err));
        if (block && !wrong && !(block->flags & KP_BLOCK_CONTINUED) && probe->location > location)
            break;
        probe->rotten |= !block || wrong;
        if (block && !wrong)
            note_batches(probe->hole, block);
        if (block)
            pass(probe, block);
        else
            KP_TRY(pass_sectors(probe, err));
    }
    probe->hole->location_end = probe->location;
    probe->hole->position_end = probe->position;
    return KP_OK;
}

/* ---- what it held ---- */

/* Is a batch of the partition near enough that others may be in the hole? Gives from and until which offset. */
static bool bounds(const struct kp_partition *partition, const struct kp_hole *hole, int64_t *ret_from,
                   int64_t *ret_until)
{
    uint32_t before = 0, behind;
    while (before < partition->index_count && partition->index[before].location <= hole->location)
        before++;
    behind = before;
    while (behind < partition->index_count && partition->index[behind].location < hole->location_end)
        behind++;
    bool reaches = before &&
                   kp_location_file(partition->index[before - 1].location) == kp_location_file(hole->location) &&
                   hole->location - partition->index[before - 1].location <= KP_INDEX_GAP_BYTES;
    if (!reaches && behind == before)
        return false;
    *ret_from = partition->index[reaches ? before - 1 : before].base_offset;
    *ret_until = behind < partition->index_count ? partition->index[behind].base_offset : partition->end_offset;
    *ret_from = KP_MAX(*ret_from, KP_MIN(partition->start_offset, *ret_until));
    return *ret_from < *ret_until;
}

static enum kp_code look_through(struct probe *probe, uint32_t topic, uint32_t partition, int64_t from, int64_t until,
                                 struct kp_error *err)
{
    struct kp_batches batches = {
        .topic = topic, .partition = partition, .offset = from, .end_offset = until, .hop = probe->hole};
    kp_batches_init(&batches, probe->log);
    enum kp_code code = kp_batches_seek(&batches, err);
    bool behind = false; /* a batch was found there: the next hole is not this one's */
    for (int64_t offset = from; code == KP_OK && offset < until;) {
        struct kp_found found;
        bool any;
        code = kp_batches_next(&batches, &found, &any, err);
        if (code != KP_OK || (!any && behind))
            break;
        behind |= any && batches.location >= probe->hole->location_end;
        int64_t next = any ? KP_MIN(found.base_offset, until) : until;
        if (next > offset)
            kp_hole_range_add(probe->hole, topic, partition, offset, next, false);
        offset = any ? found.base_offset + found.records : until;
    }
    kp_batches_finish(&batches);
    return code;
}

static enum kp_code find_ranges(struct probe *probe, struct kp_error *err)
{
    struct kp_log *log = probe->log;
    struct kp_hole near = {0}; /* partitions to be looked through */
    kp_rwlock_read(&log->lock);
    for (uint32_t id = 1; id <= log->topics.id_count; id++) {
        const struct kp_topic *topic = kp_topics_get(&log->topics, id);
        for (uint32_t p = 0; topic && p < topic->partition_count; p++) {
            int64_t from, until;
            if (bounds(&topic->partitions[p], probe->hole, &from, &until))
                kp_hole_range_add(&near, id, p, from, until, false);
        }
    }
    kp_rwlock_unlock(&log->lock);
    enum kp_code code = KP_OK;
    for (size_t i = 0; i < near.range_count && code == KP_OK; i++) {
        const struct kp_hole_range *range = &near.ranges[i];
        code = look_through(probe, range->topic, range->partition, range->offset, range->offset_end, err);
        if (code == KP_NOT_FOUND) /* dropped meanwhile */
            code = KP_OK;
    }
    kp_free(near.ranges);
    return code;
}

static enum kp_code probe_hole(struct kp_log *log, uint64_t location, const char *wrong, struct kp_error *err)
{
    struct probe probe = {.log = log, .hole = kp_calloc(1, sizeof *probe.hole)};
    probe.hole->wrong = wrong;
    kp_block_scan_init(&probe.scan, log->os, log->journal.dir, log->journal.generation, SCAN_READ_BYTES);
    enum kp_code code = find_start(&probe, location, err);
    if (code == KP_OK)
        code = take_beginning(&probe, err);
    if (code == KP_OK)
        code = find_end(&probe, location, err);
    if (code == KP_OK && probe.rotten)
        code = find_ranges(&probe, err);
    kp_block_scan_finish(&probe.scan);
    if (code != KP_OK || !probe.rotten) {
        kp_hole_free(probe.hole);
        return code;
    }
    kp_rwlock_write(&log->lock);
    kp_holes_add(log, probe.hole);
    kp_rwlock_unlock(&log->lock);
    return KP_OK;
}

enum kp_code kp_hole_find(struct kp_log *log, uint64_t location, const char *wrong, const struct kp_hole **ret_hole,
                          struct kp_error *err)
{
    const struct kp_hole *hole = kp_hole_known(log, location);
    enum kp_code code = KP_OK;
    if (!hole) {
        kp_mutex_lock(&log->holes.probing);
        hole = kp_hole_known(log, location); /* another may have looked */
        if (!hole)
            code = probe_hole(log, location, wrong, err);
        if (!hole && code == KP_OK)
            hole = kp_hole_known(log, location);
        kp_mutex_unlock(&log->holes.probing);
    }
    KP_TRY(code);
    if (!hole) /* it can be read now */
        return kp_fail(err, KP_CORRUPT, NULL, "the block in file %llu at byte %llu: %s",
                       (unsigned long long)kp_location_file(location), (unsigned long long)kp_location_offset(location),
                       wrong);
    *ret_hole = hole;
    return KP_OK;
}
