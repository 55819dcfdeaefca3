/*
 * A partition's batches: through each run's index in the extents (log/extent.h), then through the partition's sparse
 * index of the journal (log/topic.h).
 */
#include "log/batches.h"

#include "log/record_batch.h"

enum {
    SCAN_READ_BYTES = 64 << 10,
    RUN_READ_BYTES = 256 << 10,
    PASS_BYTES_MAX = KP_RECORD_BATCH_BYTES_MAX + KP_EXTENT_INDEX_GAP_BYTES /* then there is an entry in the index */
};

/* ---- blocks at a place, from the tail or from disk ---- */

void kp_cursor_init(struct kp_cursor *cursor, struct kp_log *log)
{
    *cursor = (struct kp_cursor){.log = log};
    kp_block_scan_init(&cursor->scan, log->os, log->journal.dir, log->journal.generation, SCAN_READ_BYTES);
}

void kp_cursor_finish(struct kp_cursor *cursor)
{
    kp_block_scan_finish(&cursor->scan);
    kp_slab_release(cursor->slab);
}

enum kp_code kp_cursor_get(struct kp_cursor *cursor, uint64_t location, const struct kp_block_header **ret_block,
                           const char **ret_wrong, struct kp_error *err)
{
    struct kp_log *log = cursor->log;
    kp_slab_release(cursor->slab);
    cursor->slab = NULL;
    *ret_wrong = NULL;
    kp_rwlock_read(&log->lock);
    size_t index = kp_tail_find(&log->tail, location);
    if (index < log->tail.count) {
        *ret_block = kp_tail_get(&log->tail, index)->block;
        cursor->slab = kp_tail_get(&log->tail, index)->slab;
        kp_slab_hold(cursor->slab);
    }
    kp_rwlock_unlock(&log->lock);
    if (cursor->slab)
        return KP_OK;
    KP_TRY(kp_block_scan_seek(&cursor->scan, kp_location_file(location), kp_location_offset(location), err));
    return kp_block_scan_peek(&cursor->scan, ret_block, ret_wrong, err);
}

enum kp_code kp_cursor_pass(struct kp_cursor *cursor, uint64_t location, const struct kp_block_header **ret_block,
                            const struct kp_hole **ret_hole, struct kp_error *err)
{
    const char *wrong;
    *ret_hole = kp_hole_known(cursor->log, location);
    if (*ret_hole)
        return KP_OK;
    KP_TRY(kp_cursor_get(cursor, location, ret_block, &wrong, err));
    return wrong ? kp_hole_find(cursor->log, location, wrong, ret_hole, err) : KP_OK;
}

/* ---- the batches of a partition, in order ---- */

void kp_batches_init(struct kp_batches *batches, struct kp_log *log)
{
    batches->side = kp_sealing_enter(&log->sealing.readers);
    kp_cursor_init(&batches->cursor, log);
    kp_log_extent_file_init(log, &batches->file, false);
}

void kp_batches_finish(struct kp_batches *batches)
{
    kp_extent_file_finish(&batches->file);
    kp_free(batches->buffer);
    kp_cursor_finish(&batches->cursor);
    kp_sealing_leave(&batches->cursor.log->sealing.readers, batches->side);
}

/* Locked: lock. */
enum kp_code kp_log_find_partition(struct kp_log *log, uint32_t id, uint32_t partition,
                                   const struct kp_partition **ret_partition, const char **ret_name,
                                   struct kp_error *err)
{
    const struct kp_topic *topic = kp_topics_get(&log->topics, id);
    if (!topic)
        return kp_fail(err, KP_NOT_FOUND, NULL, "topic %u does not exist", id);
    if (partition >= topic->partition_count)
        return kp_fail(err, KP_NOT_FOUND, NULL, "topic \"%s\" has no partition %u: it has %u", topic->name, partition,
                       topic->partition_count);
    *ret_partition = &topic->partitions[partition];
    *ret_name = topic->name;
    return KP_OK;
}

/* The partition's first run that ends behind offset. Locked: lock. */
const struct kp_extent_run *kp_batches_find_run(const struct kp_sealing *sealing, uint32_t topic, uint32_t partition,
                                                int64_t offset, const struct kp_extent_set **ret_set)
{
    for (size_t i = 0; i < sealing->set_count; i++) {
        const struct kp_extent_run *run = kp_extent_run_find(sealing->sets[i], topic, partition, offset);
        *ret_set = sealing->sets[i];
        if (run)
            return run;
    }
    return NULL;
}

/* Goes to the index entry for the wanted offset, in an extent or in the journal. */
enum kp_code kp_batches_seek(struct kp_batches *batches, struct kp_error *err)
{
    struct kp_log *log = batches->cursor.log;
    const struct kp_partition *partition;
    const char *name;
    batches->run = NULL;
    kp_rwlock_read(&log->lock);
    enum kp_code code = kp_log_find_partition(log, batches->topic, batches->partition, &partition, &name, err);
    if (code == KP_OK && batches->offset < kp_partition_journal_offset(partition)) {
        batches->run =
            kp_batches_find_run(&log->sealing, batches->topic, batches->partition, batches->offset, &batches->set);
        if (!batches->run) /* what was left out of the extents ends here */
            batches->offset = kp_partition_journal_offset(partition);
    }
    if (code == KP_OK && !batches->run && batches->offset < batches->end_offset)
        batches->location = batches->entry_location =
            partition->index[kp_partition_entry_at(partition, batches->offset)].location;
    kp_rwlock_unlock(&log->lock);
    batches->block = NULL;
    KP_TRY(code);
    if (!batches->run || kp_extent_run_lost(batches->run))
        return KP_OK;
    struct kp_extent_index *index;
    batches->place = batches->run->place;
    code = kp_extent_index_read(&batches->file, batches->set, batches->run, &index, err);
    if (code == KP_CORRUPT) /* then all of the run is walked */
        return KP_OK;
    KP_TRY(code);
    uint32_t low = 0, high = batches->run->index_count; /* the first entry behind offset */
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (index[middle].base_offset <= batches->offset)
            low = middle + 1;
        else
            high = middle;
    }
    if (low)
        batches->place = index[low - 1].place;
    kp_free(index);
    return KP_OK;
}

static enum kp_code damaged(const struct kp_batches *batches, const char *wrong, struct kp_error *err)
{
    struct kp_topic_info info;
    bool known = kp_log_topic_get(batches->cursor.log, batches->topic, &info, NULL) == KP_OK;
    kp_fail(err, KP_CORRUPT, NULL, "topic \"%s\", partition %u is damaged at or behind offset %lld: %s",
            known ? info.name : "", batches->partition, (long long)batches->offset, wrong);
    if (batches->run) {
        uint64_t extent = batches->run->extent ? batches->run->extent : batches->set->header.number;
        kp_error_detail(err, "It lies in extent %llu%s of \"%s\", at byte %llu.",
                        (unsigned long long)kp_extent_shown(extent), kp_extent_suffix(extent),
                        batches->cursor.log->journal.dir, (unsigned long long)batches->place);
    }
    return kp_log_damage_hint(known && info.internal, err);
}

/* The run's bytes from the next item on: at least `need` of them, or all that are left. */
static enum kp_code run_bytes(struct kp_batches *batches, size_t need, const struct kp_extent_item **ret_item,
                              size_t *ret_have, struct kp_error *err)
{
    const struct kp_extent_run *run = batches->run;
    uint64_t left = run->place + run->bytes - batches->place,
             number = run->extent ? run->extent : batches->set->header.number;
    uint64_t end = batches->buffer_from + batches->buffer_len;
    need = (size_t)KP_MIN((uint64_t)need, left);
    bool there = batches->buffer_len && batches->buffer_number == number && batches->place >= batches->buffer_from &&
                 batches->place + need <= end;
    if (!there) {
        size_t want = (size_t)KP_MIN(KP_MAX((uint64_t)need, (uint64_t)RUN_READ_BYTES), left);
        if (want > batches->buffer_cap) {
            kp_free(batches->buffer);
            batches->buffer = kp_alloc_aligned(KP_SECTOR_BYTES, want);
            batches->buffer_cap = want;
        }
        batches->buffer_len = 0;
        KP_TRY(kp_extent_file_read(&batches->file, number, batches->buffer, batches->place, want, err));
        batches->buffer_number = number;
        batches->buffer_from = batches->place;
        batches->buffer_len = want;
        end = batches->place + want;
    }
    *ret_item = (const void *)(batches->buffer + (batches->place - batches->buffer_from));
    *ret_have = (size_t)(end - batches->place);
    return KP_OK;
}

/* The item at the place, and what its batch says; or what is wrong with it. */
static enum kp_code run_item(struct kp_batches *batches, const struct kp_extent_item **ret_item,
                             struct kp_record_batch_info *ret_info, const char **ret_wrong, struct kp_error *err)
{
    size_t head_bytes = sizeof **ret_item, have;
    KP_TRY(run_bytes(batches, head_bytes, ret_item, &have, err));
    if (have >= head_bytes && (*ret_item)->bytes <= KP_RECORD_BATCH_BYTES_MAX)
        KP_TRY(run_bytes(batches, head_bytes + (*ret_item)->bytes, ret_item, &have, err));
    *ret_wrong = kp_extent_item_wrong(*ret_item, have);
    if (!*ret_wrong &&
        kp_record_batch_check((const uint8_t *)(*ret_item + 1), (*ret_item)->bytes, false, ret_info, NULL) != KP_OK)
        *ret_wrong = "a record batch is malformed";
    return KP_OK;
}

/* Could an item begin at the place? Its batch says its length, too: else there is no checksum to be looked at. */
static enum kp_code may_be_item(struct kp_batches *batches, bool *ret_may, struct kp_error *err)
{
    const struct kp_extent_item *item;
    size_t have;
    KP_TRY(run_bytes(batches, sizeof *item + KP_RECORD_BATCH_HEADER_BYTES, &item, &have, err));
    *ret_may = have >= sizeof *item + KP_RECORD_BATCH_HEADER_BYTES &&
               (uint64_t)kp_load_be32((const uint8_t *)(item + 1) + 8) + 12 == item->bytes;
    return KP_OK;
}

/* Goes on behind a rotten item if what is wanted lies there: where the next whole one begins at or before it. Who is
 * told of what is lost goes on in any case. */
static enum kp_code pass_rotten(struct kp_batches *batches, bool *ret_passed, struct kp_error *err)
{
    uint64_t from = batches->place, end = batches->run->place + batches->run->bytes;
    bool found = false;
    *ret_passed = false;
    while (!found && batches->place - from < PASS_BYTES_MAX && batches->place + KP_ENTRY_ALIGN < end) {
        const struct kp_extent_item *item;
        struct kp_record_batch_info info;
        const char *wrong;
        batches->place += KP_ENTRY_ALIGN;
        KP_TRY(may_be_item(batches, &found, err));
        if (!found)
            continue;
        KP_TRY(run_item(batches, &item, &info, &wrong, err));
        found = !wrong;
        *ret_passed = found && info.base_offset <= batches->offset;
    }
    if (batches->told_lost && !found)
        batches->place = end;
    *ret_passed |= batches->told_lost;
    if (!*ret_passed)
        batches->place = from;
    return KP_OK;
}

/* With told_lost: what is missing from the wanted offset on, before a batch at that position. */
static struct kp_found rotten_before(const struct kp_batches *batches, int64_t position)
{
    return (struct kp_found){.base_offset = KP_MAX(batches->run->base_offset, batches->offset),
                             .position = position - 1};
}

/* The next item of the run, or none at its end. */
static enum kp_code run_next(struct kp_batches *batches, struct kp_found *ret_found, bool *ret_any,
                             struct kp_error *err)
{
    const struct kp_extent_run *run = batches->run;
    const struct kp_extent_item *item;
    bool rotten = false;
    for (*ret_any = false; batches->place < run->place + run->bytes && !*ret_any;) {
        struct kp_record_batch_info info;
        const char *wrong;
        bool passed;
        KP_TRY(run_item(batches, &item, &info, &wrong, err));
        if (wrong) {
            KP_TRY(pass_rotten(batches, &passed, err));
            if (!passed)
                return damaged(batches, wrong, err);
            rotten = true;
            continue;
        }
        if (rotten && info.base_offset > batches->offset) { /* it comes next */
            *ret_found = rotten_before(batches, item->position);
            *ret_any = true;
            return KP_OK;
        }
        batches->place += kp_extent_item_bytes(item->bytes);
        *ret_found = (struct kp_found){info.base_offset, item->position, kp_record_batch_span(&info), item->bytes,
                                       (const uint8_t *)(item + 1)};
        *ret_any = info.base_offset + kp_record_batch_span(&info) > batches->offset;
    }
    if (rotten && !*ret_any) {
        *ret_found = rotten_before(batches, batches->set->header.position_end);
        *ret_any = true;
    }
    return KP_OK;
}

/* The wanted offset was in a block of an adopted file that was passed, before what was found. */
static enum kp_code adopted_lost(struct kp_batches *batches, const char *wrong, uint64_t place, struct kp_found *found,
                                 struct kp_error *err)
{
    batches->block = NULL;
    if (!batches->told_lost) {
        batches->place = place;
        return damaged(batches, wrong, err);
    }
    *found = rotten_before(batches, found->position);
    return KP_OK;
}

/* The same of a run that lies in an adopted journal file: place is a block's. Rotten blocks are passed: whether they
 * held what is wanted the next one tells. */
static enum kp_code adopted_next(struct kp_batches *batches, struct kp_found *ret_found, bool *ret_any,
                                 struct kp_error *err)
{
    const struct kp_extent_run *run = batches->run;
    const char *rotten = NULL; /* what is wrong with the first block that was passed */
    uint64_t rotten_place = 0;
    for (*ret_any = false; batches->place < kp_extent_run_end(run);) {
        const struct kp_entry_header *entry;
        const struct kp_block_header *block;
        const char *wrong = NULL;
        if (!batches->block) {
            KP_TRY(kp_cursor_get(&batches->cursor, kp_location(run->extent - KP_ADOPTED, batches->place), &block,
                                 &wrong, err));
            if (wrong) {
                rotten_place = rotten ? rotten_place : batches->place;
                rotten = rotten ? rotten : wrong;
                batches->place += KP_SECTOR_BYTES;
                continue;
            }
            batches->block = block;
            batches->walk = kp_entry_walk_start(block);
            batches->position = block->position;
        }
        while (kp_entry_walk_next(&batches->walk, &entry, &wrong)) {
            if (entry->kind != KP_ENTRY_BATCH)
                continue;
            batches->position += entry->records;
            if (entry->topic != run->topic || entry->partition != run->partition ||
                entry->base_offset + entry->records <= batches->offset)
                continue;
            *ret_found = (struct kp_found){entry->base_offset, batches->position - entry->records, entry->records,
                                           entry->payload_bytes, (const uint8_t *)(entry + 1)};
            *ret_any = true;
            if (rotten && entry->base_offset > batches->offset)
                return adopted_lost(batches, rotten, rotten_place, ret_found, err); /* the batch comes next */
            return KP_OK;
        }
        if (wrong)
            return damaged(batches, wrong, err);
        batches->place += kp_block_bytes(batches->block);
        batches->block = NULL;
    }
    if (!rotten || batches->offset >= run->end_offset)
        return KP_OK;
    *ret_found = (struct kp_found){.position = batches->set->header.position_end};
    *ret_any = true;
    return adopted_lost(batches, rotten, rotten_place, ret_found, err);
}

/* Records that were lost before they were sealed. */
static enum kp_code lost_next(struct kp_batches *batches, struct kp_found *ret_found, bool *ret_any,
                              struct kp_error *err)
{
    const struct kp_extent_run *run = batches->run;
    struct kp_log_damage damage = kp_hole_sealed(batches->set, run);
    if (!batches->told_lost)
        return kp_log_damage_error(batches->cursor.log, &damage, err);
    *ret_found =
        (struct kp_found){.base_offset = KP_MAX(run->base_offset, batches->offset), .position = damage.position};
    *ret_any = true;
    return KP_OK;
}

/* Goes on at `next`; false when the index entry covers no block from there on. */
static bool covered(struct kp_batches *batches, uint64_t next)
{
    batches->block = NULL;
    batches->location = next;
    return kp_location_file(next) == kp_location_file(batches->entry_location) &&
           next - batches->entry_location <= KP_INDEX_GAP_BYTES;
}

/* Begins with the block at the location, or passes a hole there; *ret_more: false when the index entry ends. */
static enum kp_code open_block(struct kp_batches *batches, bool *ret_more, struct kp_error *err)
{
    const struct kp_block_header *block;
    const struct kp_hole *hole = batches->hop;
    const char *wrong;
    *ret_more = true;
    KP_TRY(kp_cursor_get(&batches->cursor, batches->location, &block, &wrong, err));
    if (!wrong) {
        batches->block = block;
        batches->walk = kp_entry_walk_start(block);
        batches->position = block->position;
        return KP_OK;
    }
    bool hops = hole && batches->location >= hole->location && batches->location < hole->location_end;
    if (hole && !hops) { /* another one that nobody has come to */
        *ret_more = false;
        batches->blocked = true;
        return KP_OK;
    }
    if (!hops)
        KP_TRY(kp_hole_find(batches->cursor.log, batches->location, wrong, &hole, err));
    *ret_more = covered(batches, hole->location_end);
    return KP_OK;
}

/* The next batch of the journal, of those that the index entry covers. */
static enum kp_code journal_next(struct kp_batches *batches, struct kp_found *ret_found, bool *ret_any,
                                 struct kp_error *err)
{
    *ret_any = false;
    for (bool more = true; more;) {
        if (!batches->block)
            KP_TRY(open_block(batches, &more, err));
        if (!batches->block)
            continue;
        const struct kp_entry_header *entry;
        const char *wrong;
        while (kp_entry_walk_next(&batches->walk, &entry, &wrong)) {
            if (entry->kind != KP_ENTRY_BATCH)
                continue;
            batches->position += entry->records;
            if (entry->topic == batches->topic && entry->partition == batches->partition &&
                entry->base_offset + entry->records > batches->offset) {
                *ret_found = (struct kp_found){entry->base_offset, batches->position - entry->records, entry->records,
                                               entry->payload_bytes, (const uint8_t *)(entry + 1)};
                *ret_any = true;
                return KP_OK;
            }
        }
        more = covered(batches, kp_journal_following(&batches->cursor.log->journal, batches->location,
                                                     kp_block_bytes(batches->block)));
    }
    return KP_OK;
}

/* The wanted offset lies in a hole: the one known, or what the index says of it. */
static enum kp_code missing(struct kp_batches *batches, struct kp_error *err)
{
    struct kp_log *log = batches->cursor.log;
    const struct kp_hole *hole = NULL;
    const struct kp_hole_range *range = NULL;
    kp_rwlock_read(&log->lock);
    for (size_t i = 0; i < log->holes.count && !range; i++)
        for (size_t k = 0; k < log->holes.list[i]->range_count && !range; k++) {
            hole = log->holes.list[i];
            range = &hole->ranges[k];
            if (range->topic != batches->topic || range->partition != batches->partition ||
                range->offset > batches->offset || range->offset_end <= batches->offset)
                range = NULL;
        }
    kp_rwlock_unlock(&log->lock);
    return range ? kp_hole_error(log, hole, range, err) : damaged(batches, "it is not where it should be", err);
}

/* The batch that holds the wanted offset, or the first one behind it; none behind the end. kp_batches_seek was called.
 */
enum kp_code kp_batches_next(struct kp_batches *batches, struct kp_found *ret_found, bool *ret_any,
                             struct kp_error *err)
{
    *ret_any = false;
    while (batches->offset < batches->end_offset && !*ret_any) {
        int64_t offset = batches->offset;
        uint64_t location = batches->location;
        bool in_run = batches->run;
        if (in_run && kp_extent_run_lost(batches->run)) {
            int64_t behind = batches->run->end_offset;
            KP_TRY(lost_next(batches, ret_found, ret_any, err));
            batches->offset = behind;
            return kp_batches_seek(batches, err);
        }
        if (in_run && kp_extent_adopted(batches->run->extent))
            KP_TRY(adopted_next(batches, ret_found, ret_any, err));
        else if (in_run)
            KP_TRY(run_next(batches, ret_found, ret_any, err));
        else
            KP_TRY(journal_next(batches, ret_found, ret_any, err));
        if (*ret_any && !in_run && !batches->hop && ret_found->base_offset > offset)
            return missing(batches, err);
        if (*ret_any) {
            batches->offset = ret_found->base_offset + ret_found->records;
            return KP_OK;
        }
        if (in_run)
            batches->offset = KP_MAX(offset, batches->run->end_offset);
        KP_TRY(kp_batches_seek(batches, err));
        if (!in_run && !batches->run && batches->location <= location)
            return batches->hop ? KP_OK : missing(batches, err);
        if (batches->blocked)
            return KP_OK;
    }
    return KP_OK;
}
