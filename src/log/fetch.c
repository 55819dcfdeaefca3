/*
 * Reading by offset: consumers' fetches and look-ups by time, through each partition's sparse index (log/topic.h).
 */
#include "log/internal.h"

#include "log/record_batch.h"

enum { SCAN_READ_BYTES = 64 << 10 };

/* ---- blocks at a place, from the tail or from disk ---- */

struct cursor {
    struct kp_log *log;
    struct kp_block_scan scan;
    struct kp_slab *slab; /* of the block given last, when it came from the tail */
};

static void cursor_init(struct cursor *cursor, struct kp_log *log)
{
    *cursor = (struct cursor){.log = log};
    kp_block_scan_init(&cursor->scan, log->os, log->journal.dir, log->journal.generation, SCAN_READ_BYTES);
}

static void cursor_finish(struct cursor *cursor)
{
    kp_block_scan_finish(&cursor->scan);
    kp_slab_release(cursor->slab);
}

/* The durable block at location; stays until the next call. */
static enum kp_code cursor_get(struct cursor *cursor, uint64_t location, const struct kp_block_header **ret_block,
                               struct kp_error *err)
{
    struct kp_log *log = cursor->log;
    const struct kp_block_header *block = NULL;
    kp_slab_release(cursor->slab);
    cursor->slab = NULL;
    kp_rwlock_read(&log->lock);
    size_t index = kp_tail_find(&log->tail, location);
    if (index < log->tail.count) {
        block = kp_tail_get(&log->tail, index)->block;
        cursor->slab = kp_tail_get(&log->tail, index)->slab;
        kp_slab_hold(cursor->slab);
    }
    kp_rwlock_unlock(&log->lock);
    const char *wrong = NULL;
    if (!block) {
        KP_TRY(kp_block_scan_seek(&cursor->scan, kp_location_file(location), kp_location_offset(location), err));
        KP_TRY(kp_block_scan_peek(&cursor->scan, &block, &wrong, err));
    }
    if (wrong) {
        kp_fail(err, KP_CORRUPT, NULL, "the log in \"%s\" is damaged: the block in file %llu at byte %llu: %s",
                log->journal.dir, (unsigned long long)kp_location_file(location),
                (unsigned long long)kp_location_offset(location), wrong);
        return kp_error_hint(err, "`kappa log verify` shows what is damaged. Restore it from a backup.");
    }
    *ret_block = block;
    return KP_OK;
}

/* ---- the batches of a partition, in order ---- */

struct batches {
    struct cursor cursor;
    uint32_t topic, partition;
    int64_t offset, end_offset; /* next wanted; durable end at the start */
    uint64_t location, entry_location;
    const struct kp_block_header *block; /* at location, once read */
    struct kp_entry_walk walk;
    int64_t position; /* behind the entries of the block that were looked at */
};

/* Locked: lock. */
static enum kp_code get_partition(struct kp_log *log, uint32_t id, uint32_t partition,
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

/* Goes to the index entry for the wanted offset. */
static enum kp_code batches_seek(struct batches *batches, struct kp_error *err)
{
    struct kp_log *log = batches->cursor.log;
    const struct kp_partition *partition;
    const char *name;
    kp_rwlock_read(&log->lock);
    enum kp_code code = get_partition(log, batches->topic, batches->partition, &partition, &name, err);
    if (code == KP_OK)
        batches->location = batches->entry_location =
            partition->index[kp_partition_entry_at(partition, batches->offset)].location;
    kp_rwlock_unlock(&log->lock);
    batches->block = NULL;
    return code;
}

/* The batch that holds the wanted offset. offset < end_offset. */
static enum kp_code batches_next(struct batches *batches, const struct kp_entry_header **ret_entry,
                                 struct kp_error *err)
{
    for (;;) {
        if (!batches->block) {
            KP_TRY(cursor_get(&batches->cursor, batches->location, &batches->block, err));
            batches->walk = kp_entry_walk_start(batches->block);
            batches->position = batches->block->position;
        }
        const struct kp_entry_header *entry;
        const char *wrong;
        while (kp_entry_walk_next(&batches->walk, &entry, &wrong)) {
            if (entry->kind != KP_ENTRY_BATCH)
                continue;
            batches->position += entry->records;
            if (entry->topic == batches->topic && entry->partition == batches->partition &&
                entry->base_offset + entry->records > batches->offset) {
                batches->offset = entry->base_offset + entry->records;
                *ret_entry = entry;
                return KP_OK;
            }
        }
        uint64_t before = batches->location;
        uint64_t next = kp_journal_following(&batches->cursor.log->journal, before, kp_block_bytes(batches->block));
        batches->block = NULL;
        if (kp_location_file(next) == kp_location_file(batches->entry_location) &&
            next - batches->entry_location <= KP_INDEX_GAP_BYTES) {
            batches->location = next;
            continue;
        }
        KP_TRY(batches_seek(batches, err));
        if (batches->location <= before)
            return kp_fail(err, KP_CORRUPT, NULL, "offset %lld of topic %u, partition %u is not where it should be",
                           (long long)batches->offset, batches->topic, batches->partition);
    }
}

/* ---- the calls ---- */

static enum kp_code fetch_into(struct batches *batches, size_t bytes_max, struct kp_buf *out, struct kp_error *err)
{
    size_t start = out->len;
    KP_TRY(batches_seek(batches, err));
    while (batches->offset < batches->end_offset) {
        const struct kp_entry_header *entry;
        KP_TRY(batches_next(batches, &entry, err));
        if (out->len > start && out->len - start + entry->payload_bytes > bytes_max)
            break;
        kp_buf_append(out, entry + 1, entry->payload_bytes);
    }
    return KP_OK;
}

enum kp_code kp_log_fetch(struct kp_log *log, uint32_t topic, uint32_t partition, int64_t offset, size_t bytes_max,
                          struct kp_buf *out, struct kp_error *err)
{
    const struct kp_partition *at;
    const char *name;
    int64_t start_offset = 0, end_offset = 0;
    kp_rwlock_read(&log->lock);
    enum kp_code code = get_partition(log, topic, partition, &at, &name, err);
    if (code == KP_OK) {
        start_offset = at->start_offset;
        end_offset = at->end_offset;
        if (offset < start_offset || offset > end_offset) {
            kp_fail(err, KP_LIMIT, NULL, "offset %lld is out of range: topic \"%s\", partition %u has %lld to %lld",
                    (long long)offset, name, partition, (long long)start_offset, (long long)end_offset);
            code =
                kp_error_hint(err, "Begin at offset %lld or at %lld.", (long long)start_offset, (long long)end_offset);
        }
    }
    kp_rwlock_unlock(&log->lock);
    if (code != KP_OK || offset == end_offset)
        return code;
    struct batches batches = {.topic = topic, .partition = partition, .offset = offset, .end_offset = end_offset};
    cursor_init(&batches.cursor, log);
    size_t before = out->len;
    code = fetch_into(&batches, bytes_max, out, err);
    cursor_finish(&batches.cursor);
    if (code != KP_OK)
        out->len = before;
    return code;
}

/* The first record at or after timestamp_ms in a batch that may have one; *ret_offset stays -1 if it has none. */
static enum kp_code search_batch(const struct kp_entry_header *entry, int64_t start_offset, int64_t timestamp_ms,
                                 int64_t *ret_offset, int64_t *ret_timestamp_ms, struct kp_error *err)
{
    struct kp_arena arena = {0};
    struct kp_record_reader reader;
    struct kp_record record;
    enum kp_code code = kp_record_reader_init(&reader, (const uint8_t *)(entry + 1), entry->payload_bytes, &arena, err);
    while (code == KP_OK && kp_record_reader_next(&reader, &record, err))
        if (record.timestamp_ms >= timestamp_ms && entry->base_offset + record.offset_delta >= start_offset) {
            *ret_offset = entry->base_offset + record.offset_delta;
            *ret_timestamp_ms = record.timestamp_ms;
            break;
        }
    kp_arena_finish(&arena);
    return code;
}

static enum kp_code search_partition(struct batches *batches, int64_t timestamp_ms, int64_t *ret_offset,
                                     int64_t *ret_timestamp_ms, struct kp_error *err)
{
    int64_t start_offset = batches->offset;
    KP_TRY(batches_seek(batches, err));
    while (batches->offset < batches->end_offset && *ret_offset < 0) {
        const struct kp_entry_header *entry;
        KP_TRY(batches_next(batches, &entry, err));
        struct kp_record_batch_info info;
        KP_TRY(kp_record_batch_check((const uint8_t *)(entry + 1), entry->payload_bytes, false, &info, err));
        if (info.max_timestamp_ms >= timestamp_ms)
            KP_TRY(search_batch(entry, start_offset, timestamp_ms, ret_offset, ret_timestamp_ms, err));
    }
    return KP_OK;
}

enum kp_code kp_log_offset_at(struct kp_log *log, uint32_t topic, uint32_t partition, int64_t timestamp_ms,
                              int64_t *ret_offset, int64_t *ret_timestamp_ms, struct kp_error *err)
{
    struct batches batches = {.topic = topic, .partition = partition};
    const struct kp_partition *at;
    const char *name;
    kp_rwlock_read(&log->lock);
    enum kp_code code = get_partition(log, topic, partition, &at, &name, err);
    if (code == KP_OK) {
        uint32_t low = 0, high = at->index_count; /* the first entry whose time reaches timestamp_ms */
        while (low < high) {
            uint32_t middle = low + (high - low) / 2;
            if (at->index[middle].max_timestamp_ms < timestamp_ms)
                low = middle + 1;
            else
                high = middle;
        }
        batches.end_offset = at->end_offset;
        batches.offset = low < at->index_count ? KP_MAX(at->index[low].base_offset, at->start_offset) : at->end_offset;
    }
    kp_rwlock_unlock(&log->lock);
    KP_TRY(code);
    int64_t offset = -1, found_ms = -1;
    if (batches.offset < batches.end_offset) {
        cursor_init(&batches.cursor, log);
        code = search_partition(&batches, timestamp_ms, &offset, &found_ms, err);
        cursor_finish(&batches.cursor);
        KP_TRY(code);
    }
    *ret_offset = offset;
    *ret_timestamp_ms = found_ms;
    return KP_OK;
}

/* Walks blocks from location, where groups begin, to the first one at or after time_us; if it goes on with a group,
 * back to where that one began. */
static enum kp_code search_time(struct cursor *cursor, uint64_t location, int64_t time_us, int64_t durable,
                                int64_t *ret_position, struct kp_error *err)
{
    for (int64_t position = 0, group = 0; position < durable;) {
        const struct kp_block_header *block;
        KP_TRY(cursor_get(cursor, location, &block, err));
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

enum kp_code kp_log_position_at(struct kp_log *log, int64_t time_us, int64_t *ret_position, struct kp_error *err)
{
    kp_rwlock_read(&log->lock);
    size_t low = 0, high = log->mark_count; /* the first mark at or after time_us */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (log->marks[middle].log_time_us < time_us)
            low = middle + 1;
        else
            high = middle;
    }
    uint64_t location = low ? log->marks[low - 1].location : kp_location(1, KP_SECTOR_BYTES);
    int64_t durable = kp_log_position(log);
    kp_rwlock_unlock(&log->lock);
    struct cursor cursor;
    cursor_init(&cursor, log);
    int64_t position = 0;
    enum kp_code code = search_time(&cursor, location, time_us, durable, &position, err);
    cursor_finish(&cursor);
    KP_TRY(code);
    *ret_position = position;
    return KP_OK;
}

/* ---- how far back to go ---- */

/* The place of the last mark at or before position. Locked: lock. */
static uint64_t mark_location(const struct kp_log *log, int64_t position)
{
    size_t low = 0, high = log->mark_count; /* the first mark behind position */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (log->marks[middle].position <= position)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? log->marks[low - 1].location : 0;
}

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

static enum kp_code walk_to(struct batches *batches, int64_t position, int64_t *ret_offset, struct kp_error *err)
{
    *ret_offset = batches->end_offset;
    KP_TRY(batches_seek(batches, err));
    while (batches->offset < batches->end_offset) {
        const struct kp_entry_header *entry;
        KP_TRY(batches_next(batches, &entry, err));
        if (batches->position <= position)
            continue;
        int64_t before = position - (batches->position - entry->records); /* of its records */
        *ret_offset = entry->base_offset + KP_MAX(before, 0);
        break;
    }
    return KP_OK;
}

enum kp_code kp_log_offset_behind(struct kp_log *log, uint32_t topic, uint32_t partition, int64_t position,
                                  int64_t *ret_offset, struct kp_error *err)
{
    struct batches batches = {.topic = topic, .partition = partition};
    const struct kp_partition *at;
    const char *name;
    kp_rwlock_read(&log->lock);
    enum kp_code code = get_partition(log, topic, partition, &at, &name, err);
    if (code == KP_OK) {
        uint32_t before = entries_before(at, mark_location(log, position));
        batches.end_offset = at->end_offset;
        batches.offset = before ? at->index[before - 1].base_offset : at->start_offset;
        batches.offset = KP_MAX(batches.offset, at->start_offset);
    }
    kp_rwlock_unlock(&log->lock);
    KP_TRY(code);
    int64_t offset = batches.offset;
    if (batches.offset < batches.end_offset) {
        cursor_init(&batches.cursor, log);
        code = walk_to(&batches, position, &offset, err);
        cursor_finish(&batches.cursor);
        KP_TRY(code);
    }
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
    int64_t position = at && low ? log->marks[low - 1].position : 0;
    kp_rwlock_unlock(&log->lock);
    if (!at)
        return kp_fail(err, KP_NOT_FOUND, NULL, "topic %u does not exist", topic);
    *ret_position = position;
    return KP_OK;
}

/* Walks blocks from location to the last one that begins before position. */
static enum kp_code search_position(struct cursor *cursor, uint64_t location, int64_t position, int64_t *ret_time_us,
                                    struct kp_error *err)
{
    for (int64_t at = 0; at < position;) {
        const struct kp_block_header *block;
        KP_TRY(cursor_get(cursor, location, &block, err));
        if (block->records)
            *ret_time_us = block->log_time_us;
        at = block->position + block->records;
        location = kp_journal_following(&cursor->log->journal, location, kp_block_bytes(block));
    }
    return KP_OK;
}

enum kp_code kp_log_time_at(struct kp_log *log, int64_t position, int64_t *ret_time_us, struct kp_error *err)
{
    kp_rwlock_read(&log->lock);
    size_t low = 0, high = log->mark_count; /* the first mark at or behind the position */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (log->marks[middle].position < position)
            low = middle + 1;
        else
            high = middle;
    }
    uint64_t location = low ? log->marks[low - 1].location : kp_location(1, KP_SECTOR_BYTES);
    int64_t time_us = low ? log->marks[low - 1].log_time_us : 0;
    position = KP_MIN(position, kp_log_position(log));
    kp_rwlock_unlock(&log->lock);
    struct cursor cursor;
    cursor_init(&cursor, log);
    enum kp_code code = search_position(&cursor, location, position, &time_us, err);
    cursor_finish(&cursor);
    KP_TRY(code);
    *ret_time_us = time_us;
    return KP_OK;
}
