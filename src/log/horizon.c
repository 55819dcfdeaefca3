/* Positions by time and by size, groups and offsets by position: where a look into the past, or retention, begins. */
#include "log/batches.h"

/* Walks blocks from location, where groups begin, to the first one at or after time_us; if it goes on with a group,
 * back to where that one began. */
static enum kp_code search_time(struct kp_cursor *cursor, uint64_t location, int64_t time_us, int64_t durable,
                                int64_t *ret_position, struct kp_error *err)
{
    for (int64_t position = 0, group = 0; position < durable;) {
        const struct kp_block_header *block;
        const struct kp_hole *hole;
        KP_TRY(kp_cursor_pass(cursor, location, &block, &hole, err));
        if (hole) {
            position = hole->position_end;
            location = hole->location_end;
            continue;
        }
        if (!(block->flags & KP_BLOCK_CONTINUED))
            group = block->position;
        if (block->log_time_us >= time_us) {
            *ret_position = group;
            return KP_OK;
        }
        position = block->position + block->records;
        location = kp_journal_following(&cursor->log->journal, location, kp_block_bytes(block));
    }
    *ret_position = durable;
    return KP_OK;
}

/* Where the group of entry `i` of a page of the set's order begins: there, or on a page before. */
static enum kp_code group_start(struct kp_extent_file *file, const struct kp_extent_set *set, uint32_t number,
                                struct kp_order_page *page, uint32_t i, int64_t *ret_position, struct kp_error *err)
{
    while (!(page->entries[i].flags & KP_ORDER_GROUP_FIRST) && (i > 0 || number > 0)) {
        if (i > 0) {
            i--;
            continue;
        }
        KP_TRY(kp_order_page_read(file, set, --number, page, err));
        i = page->count - 1;
    }
    *ret_position = page->entries[i].position;
    return KP_OK;
}

static enum kp_code time_in_pages(struct kp_extent_file *file, const struct kp_extent_set *set,
                                  struct kp_order_page *page, int64_t time_us, int64_t *ret_position,
                                  struct kp_error *err)
{
    uint32_t number = 0;
    if (set->header.order_pages)
        KP_TRY(kp_order_page_find(file, set, time_us, true, &number, err));
    for (; number < set->header.order_pages; number++) {
        KP_TRY(kp_order_page_read(file, set, number, page, err));
        for (uint32_t i = 0; i < page->count; i++)
            if (page->entries[i].log_time_us >= time_us)
                return group_start(file, set, number, page, i, ret_position, err);
    }
    *ret_position = set->rotten ? set->header.position : set->header.position_end;
    return KP_OK;
}

/* The first sealed batch at or after time_us, or the group it is in; the set's last block is. */
static enum kp_code time_in_set(struct kp_log *log, const struct kp_extent_set *set, int64_t time_us,
                                int64_t *ret_position, struct kp_error *err)
{
    struct kp_extent_file file;
    struct kp_order_page *page = kp_alloc(sizeof *page);
    kp_log_extent_file_init(log, &file, false);
    enum kp_code code = time_in_pages(&file, set, page, time_us, ret_position, err);
    kp_extent_file_finish(&file);
    kp_free(page);
    return code;
}

static enum kp_code find_time(struct kp_log *log, int64_t time_us, int64_t *ret_position, struct kp_error *err)
{
    const struct kp_extent_set *set = NULL;
    kp_rwlock_read(&log->lock);
    for (size_t i = 0; i < log->sealing.set_count && !set; i++)
        if (log->sealing.sets[i]->header.log_time_us >= time_us)
            set = log->sealing.sets[i];
    size_t low = 0, high = log->mark_count; /* the first mark at or after time_us */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (log->marks[middle].log_time_us < time_us)
            low = middle + 1;
        else
            high = middle;
    }
    uint64_t location =
        low ? log->marks[low - 1].location : kp_location(kp_sealing_file_next(&log->sealing), KP_SECTOR_BYTES);
    int64_t durable = kp_log_position(log);
    kp_rwlock_unlock(&log->lock);
    if (set)
        return time_in_set(log, set, time_us, ret_position, err);
    struct kp_cursor cursor;
    kp_cursor_init(&cursor, log);
    enum kp_code code = search_time(&cursor, location, time_us, durable, ret_position, err);
    kp_cursor_finish(&cursor);
    return code;
}

enum kp_code kp_log_position_at(struct kp_log *log, int64_t time_us, int64_t *ret_position, struct kp_error *err)
{
    int64_t position = 0;
    uint32_t side = kp_sealing_enter(&log->sealing.readers);
    enum kp_code code = find_time(log, time_us, &position, err);
    kp_sealing_leave(&log->sealing.readers, side);
    KP_TRY(code);
    *ret_position = position;
    return KP_OK;
}

/* ---- groups ---- */

/* How many marks there are at or before position. Locked: lock. */
static size_t marks_until(const struct kp_log *log, int64_t position)
{
    size_t low = 0, high = log->mark_count; /* the first mark behind position */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (log->marks[middle].position <= position)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The place of the last mark at or before position. Locked: lock. */
static uint64_t mark_location(const struct kp_log *log, int64_t position)
{
    size_t until = marks_until(log, position);
    return until ? log->marks[until - 1].location : 0;
}

/* Where a walk of groups is. */
struct group_walk {
    int64_t at, begin; /* the next record; where the group that it is in, or the one before it, begins */
    bool in_group;
};

/* Takes a block; true when it is known where the group of position begins: walk->begin. */
static bool groups_pass(struct group_walk *walk, const struct kp_block_header *block, int64_t position)
{
    struct kp_entry_walk entries = kp_entry_walk_start(block);
    const struct kp_entry_header *entry;
    const char *wrong;
    walk->at = block->position;
    while (kp_entry_walk_next(&entries, &entry, &wrong)) {
        if (!walk->in_group)
            walk->begin = walk->at;
        walk->at += entry->kind == KP_ENTRY_BATCH ? entry->records : 0;
        walk->in_group = !(entry->flags & KP_ENTRY_GROUP_END);
        if (walk->at > position)
            return true;
    }
    return false;
}

/* Walks blocks from location, where a group begins. */
static enum kp_code search_group(struct kp_cursor *cursor, uint64_t location, int64_t position, int64_t *ret_position,
                                 struct kp_error *err)
{
    for (struct group_walk walk = {0};;) {
        const struct kp_block_header *block;
        const struct kp_hole *hole;
        KP_TRY(kp_cursor_pass(cursor, location, &block, &hole, err));
        if (hole ? hole->position_end > position : groups_pass(&walk, block, position)) {
            *ret_position = hole ? KP_MIN(hole->position, position) : walk.begin;
            return KP_OK;
        }
        walk.in_group = !hole && walk.in_group; /* a hole is whole groups */
        location =
            hole ? hole->location_end : kp_journal_following(&cursor->log->journal, location, kp_block_bytes(block));
    }
}

static enum kp_code group_in_pages(struct kp_extent_file *file, const struct kp_extent_set *set,
                                   struct kp_order_page *page, int64_t position, int64_t *ret_position,
                                   struct kp_error *err)
{
    uint32_t number, i = 0;
    *ret_position = position;
    if (!set->header.order_pages)
        return KP_OK;
    KP_TRY(kp_order_page_find(file, set, position, false, &number, err));
    KP_TRY(kp_order_page_read(file, set, number, page, err));
    while (i < page->count && page->entries[i].position <= position)
        i++;
    const struct kp_order_entry *last = i ? &page->entries[i - 1] : NULL;
    if (!last || (last->flags & KP_ORDER_GROUP_END && last->position + last->records <= position))
        return KP_OK; /* what is at the position is gone */
    return group_start(file, set, number, page, i - 1, ret_position, err);
}

static enum kp_code group_in_set(struct kp_log *log, const struct kp_extent_set *set, int64_t position,
                                 int64_t *ret_position, struct kp_error *err)
{
    struct kp_extent_file file;
    struct kp_order_page *page = kp_alloc(sizeof *page);
    kp_log_extent_file_init(log, &file, false);
    enum kp_code code = group_in_pages(&file, set, page, position, ret_position, err);
    kp_extent_file_finish(&file);
    kp_free(page);
    return code;
}

static enum kp_code find_group(struct kp_log *log, int64_t position, int64_t *ret_position, struct kp_error *err)
{
    kp_rwlock_read(&log->lock);
    const struct kp_extent_set *set = kp_sealing_set_at(&log->sealing, position);
    uint64_t location = mark_location(log, position);
    location = location ? location : kp_location(kp_sealing_file_next(&log->sealing), KP_SECTOR_BYTES);
    kp_rwlock_unlock(&log->lock);
    if (set)
        return group_in_set(log, set, position, ret_position, err);
    struct kp_cursor cursor;
    kp_cursor_init(&cursor, log);
    enum kp_code code = search_group(&cursor, location, position, ret_position, err);
    kp_cursor_finish(&cursor);
    return code;
}

enum kp_code kp_log_group_at(struct kp_log *log, int64_t position, int64_t *ret_position, struct kp_error *err)
{
    int64_t found = position;
    uint32_t side = kp_sealing_enter(&log->sealing.readers);
    enum kp_code code = KP_OK;
    if (position > 0 && position < kp_log_position(log))
        code = find_group(log, position, &found, err);
    kp_sealing_leave(&log->sealing.readers, side);
    KP_TRY(code);
    *ret_position = found;
    return KP_OK;
}

/* ---- how far back to go ---- */

/* The number of index entries whose batches begin in blocks before location. */
static uint32_t entries_before(const struct kp_partition *partition, uint64_t location)
{
    uint32_t low = 0, high = partition->index_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (partition->index[middle].location < location)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The offset at the position by the journal's indexes alone: when none of the partition's batches can lie before its
 * next entry there. False: they may. Locked: lock. */
static bool known_in_journal(const struct kp_log *log, const struct kp_partition *at, int64_t position,
                             int64_t *ret_offset)
{
    size_t mark = marks_until(log, position);
    if (!mark--)
        return false;
    uint64_t location = log->marks[mark].location;
    uint32_t before = entries_before(at, location);
    const struct kp_index_entry *next = before < at->index_count ? &at->index[before] : NULL;
    const struct kp_index_entry *last = before ? &at->index[before - 1] : NULL;
    if (last && kp_location_file(last->location) == kp_location_file(location) &&
        location - last->location <= KP_INDEX_GAP_BYTES) /* batches behind the mark may have no entry of their own */
        return false;
    if (log->marks[mark].position < position && next &&
        (mark + 1 == log->mark_count || next->location < log->marks[mark + 1].location))
        return false;
    *ret_offset = next ? next->base_offset : at->end_offset;
    return true;
}

/* The same of the position where a set begins. Locked: lock. */
static bool known_in_sets(const struct kp_log *log, uint32_t topic, uint32_t partition, const struct kp_partition *at,
                          int64_t position, int64_t *ret_offset)
{
    const struct kp_sealing *sealing = &log->sealing;
    const struct kp_extent_set *begins = kp_sealing_set_at(sealing, position);
    if (!begins || begins->header.position != position)
        return false;
    for (size_t i = 0; i < sealing->set_count; i++) {
        const struct kp_extent_set *set = sealing->sets[i];
        const struct kp_extent_run *run =
            set->header.position >= position ? kp_extent_run_find(set, topic, partition, at->start_offset) : NULL;
        if (!run)
            continue;
        *ret_offset = run->base_offset;
        return !kp_extent_run_lost(run);
    }
    *ret_offset = kp_partition_journal_offset(at);
    return true;
}

static enum kp_code walk_to(struct kp_batches *batches, int64_t position, int64_t *ret_offset, struct kp_error *err)
{
    batches->told_lost = true;
    KP_TRY(kp_batches_seek(batches, err));
    for (;;) {
        struct kp_found found;
        bool any;
        KP_TRY(kp_batches_next(batches, &found, &any, err));
        if (any && !found.batch && found.position < position) /* which positions those records had is not known */
            continue;
        *ret_offset =
            any ? found.base_offset + (found.batch ? KP_MAX(position - found.position, 0) : 0) : batches->end_offset;
        if (!any || !found.batch || found.position + found.records > position)
            return KP_OK;
    }
}

/* The position of the item at place; in an adopted file that of the block there: at or before the batch's. */
static enum kp_code item_position(struct kp_batches *batches, const struct kp_extent_run *run, uint64_t place,
                                  int64_t *ret_position, struct kp_error *err)
{
    struct kp_extent_item item;
    struct kp_block_header block;
    if (kp_extent_adopted(run->extent)) {
        KP_TRY(kp_extent_file_read(&batches->file, run->extent, &block, place, sizeof block, err));
        bool whole = block.header_crc == kp_block_header_crc(&block);
        *ret_position = whole ? block.position : INT64_MAX; /* who walks there is told */
        return KP_OK;
    }
    uint64_t number = run->extent ? run->extent : batches->set->header.number;
    KP_TRY(kp_extent_file_read(&batches->file, number, &item, place, sizeof item, err));
    *ret_position = item.position;
    return KP_OK;
}

/* Sets the offset to that of the run's last index entry at or before position; *ret_before: there is one. */
static enum kp_code seek_run(struct kp_batches *batches, const struct kp_extent_run *run, int64_t position,
                             bool *ret_before, struct kp_error *err)
{
    struct kp_extent_index *index;
    if (kp_extent_run_lost(run)) {
        *ret_before = (int64_t)run->place <= position;
        batches->offset = *ret_before ? run->base_offset : batches->offset;
        return KP_OK;
    }
    enum kp_code code = kp_extent_index_read(&batches->file, batches->set, run, &index, err);
    *ret_before = false;
    if (code == KP_CORRUPT) /* it is walked from where the search began */
        return KP_OK;
    KP_TRY(code);
    uint32_t low = 0, high = run->index_count; /* the first entry behind position */
    while (low < high && code == KP_OK) {
        uint32_t middle = low + (high - low) / 2;
        int64_t at = 0;
        code = item_position(batches, run, index[middle].place, &at, err);
        if (at <= position)
            low = middle + 1;
        else
            high = middle;
    }
    *ret_before = low > 0;
    /* The last of those may be behind position itself, in its block. Before an adopted run's first block there is
     * nothing of its partition that is not before position, too: other runs lie in files before it. */
    if (low > 1 && kp_extent_adopted(run->extent))
        low--;
    if (low)
        batches->offset = index[low - 1].base_offset;
    kp_free(index);
    return code;
}

/* Sets the offset to one at or before the first that lies behind position, in the set that holds it. */
static enum kp_code seek_set(struct kp_batches *batches, int64_t position, struct kp_error *err)
{
    int64_t offset = batches->offset;
    const struct kp_extent_run *run;
    bool before = true;
    while (before && (run = kp_extent_run_find(batches->set, batches->topic, batches->partition, offset)) != NULL) {
        KP_TRY(seek_run(batches, run, position, &before, err));
        offset = run->end_offset;
    }
    return KP_OK;
}

/* *ret_exact: the offset is the one that was looked for; else one at or before it. */
static enum kp_code seek_position(struct kp_batches *batches, int64_t position, bool *ret_exact, struct kp_error *err)
{
    struct kp_log *log = batches->cursor.log;
    const struct kp_partition *at;
    const char *name;
    int64_t known = 0;
    batches->set = NULL;
    *ret_exact = false;
    kp_rwlock_read(&log->lock);
    enum kp_code code = kp_log_find_partition(log, batches->topic, batches->partition, &at, &name, err);
    if (code == KP_OK) {
        uint32_t before = entries_before(at, mark_location(log, position));
        batches->set = kp_sealing_set_at(&log->sealing, position);
        batches->end_offset = at->end_offset;
        batches->offset = before         ? at->index[before - 1].base_offset
                          : batches->set ? at->start_offset
                                         : KP_MAX(at->start_offset, kp_partition_journal_offset(at));
        batches->offset = KP_MAX(batches->offset, at->start_offset);
        *ret_exact = !atomic_load(&log->holes.any) &&
                     (batches->set ? known_in_sets(log, batches->topic, batches->partition, at, position, &known)
                                   : known_in_journal(log, at, position, &known));
        if (*ret_exact)
            batches->offset = KP_MAX(known, at->start_offset);
    }
    kp_rwlock_unlock(&log->lock);
    KP_TRY(code);
    if (*ret_exact)
        return KP_OK;
    int64_t start_offset = batches->offset;
    if (batches->set)
        KP_TRY(seek_set(batches, position, err));
    batches->offset = KP_MAX(batches->offset, start_offset);
    return KP_OK;
}

enum kp_code kp_log_offset_behind(struct kp_log *log, uint32_t topic, uint32_t partition, int64_t position,
                                  int64_t *ret_offset, struct kp_error *err)
{
    struct kp_batches batches = {.topic = topic, .partition = partition};
    kp_batches_init(&batches, log);
    bool exact;
    enum kp_code code = seek_position(&batches, position, &exact, err);
    int64_t offset = batches.offset;
    if (code == KP_OK && !exact && offset < batches.end_offset)
        code = walk_to(&batches, position, &offset, err);
    kp_batches_finish(&batches);
    KP_TRY(code);
    *ret_offset = offset;
    return KP_OK;
}

/* Bytes of the topic's batches in blocks at or behind location, from the index: no more than there are. Locked: lock.
 */
static uint64_t bytes_behind(const struct kp_topic *topic, uint64_t location)
{
    uint64_t bytes = 0;
    for (uint32_t p = 0; p < topic->partition_count; p++) {
        const struct kp_partition *partition = &topic->partitions[p];
        uint32_t before = entries_before(partition, location);
        if (before < partition->index_count)
            bytes += partition->bytes - KP_MAX(partition->index[before].bytes_before, partition->bytes_gone);
    }
    return bytes;
}

/* The start of the newest set from which on there are at least `bytes` of the topic, with `behind` of them in the
 * journal; 0 if none. Locked: lock. */
static int64_t set_keeping(const struct kp_log *log, const struct kp_topic *topic, uint64_t behind, uint64_t bytes)
{
    const struct kp_sealing *sealing = &log->sealing;
    for (size_t i = sealing->set_count; i-- > 0;) {
        const struct kp_extent_set *set = sealing->sets[i];
        for (uint32_t r = 0; r < set->header.runs; r++)
            if (set->runs[r].topic == topic->id && set->runs[r].partition < topic->partition_count &&
                set->runs[r].end_offset > topic->partitions[set->runs[r].partition].start_offset)
                behind += set->runs[r].bytes;
        if (behind >= bytes)
            return set->header.position;
    }
    return 0;
}

enum kp_code kp_log_position_keeping(struct kp_log *log, uint32_t topic, uint64_t bytes, int64_t *ret_position,
                                     struct kp_error *err)
{
    kp_rwlock_read(&log->lock);
    const struct kp_topic *at = kp_topics_get(&log->topics, topic);
    size_t low = 0, high = log->mark_count; /* the first mark behind which there is too little */
    while (at && low < high) {
        size_t middle = low + (high - low) / 2;
        if (bytes_behind(at, log->marks[middle].location) >= bytes)
            low = middle + 1;
        else
            high = middle;
    }
    int64_t position = 0;
    if (at && low)
        position = log->marks[low - 1].position;
    else if (at)
        position = set_keeping(log, at, bytes_behind(at, 0), bytes);
    kp_rwlock_unlock(&log->lock);
    if (!at)
        return kp_fail(err, KP_NOT_FOUND, NULL, "topic %u does not exist", topic);
    *ret_position = position;
    return KP_OK;
}

/* Walks blocks from location to the last one that begins before position. */
static enum kp_code search_position(struct kp_cursor *cursor, uint64_t location, int64_t position, int64_t *ret_time_us,
                                    struct kp_error *err)
{
    for (int64_t at = 0; at < position;) {
        const struct kp_block_header *block;
        const struct kp_hole *hole;
        KP_TRY(kp_cursor_pass(cursor, location, &block, &hole, err));
        if (hole) {
            at = hole->position_end;
            location = hole->location_end;
            continue;
        }
        if (block->records)
            *ret_time_us = block->log_time_us;
        at = block->position + block->records;
        location = kp_journal_following(&cursor->log->journal, location, kp_block_bytes(block));
    }
    return KP_OK;
}

/* The log time of the sealed record before position, which the set holds. */
static enum kp_code time_before(struct kp_log *log, const struct kp_extent_set *set, int64_t position,
                                int64_t *ret_time_us, struct kp_error *err)
{
    struct kp_extent_file file;
    struct kp_order_page *page = kp_alloc(sizeof *page);
    uint32_t number = 0;
    *ret_time_us = set->header.log_time_us;
    kp_log_extent_file_init(log, &file, false);
    enum kp_code code = set->rotten ? KP_OK : kp_order_page_find(&file, set, position - 1, false, &number, err);
    page->count = 0;
    if (code == KP_OK && !set->rotten)
        code = kp_order_page_read(&file, set, number, page, err);
    for (uint32_t i = 0; code == KP_OK && i < page->count && page->entries[i].position < position; i++)
        *ret_time_us = page->entries[i].log_time_us;
    kp_extent_file_finish(&file);
    kp_free(page);
    return code;
}

static enum kp_code find_time_at(struct kp_log *log, int64_t position, int64_t *ret_time_us, struct kp_error *err)
{
    kp_rwlock_read(&log->lock);
    const struct kp_extent_set *set = position > 0 ? kp_sealing_set_at(&log->sealing, position - 1) : NULL;
    size_t low = 0, high = log->mark_count; /* the first mark at or behind the position */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (log->marks[middle].position < position)
            low = middle + 1;
        else
            high = middle;
    }
    uint64_t location =
        low ? log->marks[low - 1].location : kp_location(kp_sealing_file_next(&log->sealing), KP_SECTOR_BYTES);
    int64_t time_us = low ? log->marks[low - 1].log_time_us : 0;
    position = KP_MIN(position, kp_log_position(log));
    kp_rwlock_unlock(&log->lock);
    *ret_time_us = time_us;
    if (set)
        return time_before(log, set, position, ret_time_us, err);
    struct kp_cursor cursor;
    kp_cursor_init(&cursor, log);
    enum kp_code code = search_position(&cursor, location, position, ret_time_us, err);
    kp_cursor_finish(&cursor);
    return code;
}

enum kp_code kp_log_time_at(struct kp_log *log, int64_t position, int64_t *ret_time_us, struct kp_error *err)
{
    int64_t time_us = 0;
    uint32_t side = kp_sealing_enter(&log->sealing.readers);
    enum kp_code code = find_time_at(log, position, &time_us, err);
    kp_sealing_leave(&log->sealing.readers, side);
    KP_TRY(code);
    *ret_time_us = time_us;
    return KP_OK;
}
