/*
 * Reading by position: whole groups, from the tail in memory or in large sequential reads from disk.
 *
 * A span is built block by block. Where a read begins is found in the tail, or among the hints (where recent reads
 * stopped), or at the last mark before the position, from where blocks are walked. It ends with a block, but for
 * position_limit, so that the next read finds its place by a hint.
 *
 * What is sealed comes from extents (log/read_set.c).
 *
 * Invariant: blocks before the durable position never change, and files in which a reader may be are not recycled, so
 * they are read from disk without a lock.
 */
#include "log/read.h"

#include "base/hash.h"
#include "log/hole.h"

enum {
    READ_BYTES_MIN = 64 << 10,
    EACH_BYTES = 4 << 20,             /* of kp_log_each */
    READ_AHEAD_BYTES_MIN = 512 << 10, /* reads of less are not followed by another in advance */
    TAIL_BLOCKS_AT_ONCE = 64
};

struct span_memory {
    size_t count;
    struct kp_slab *slabs[];
};

bool kp_build_wants(const struct kp_build *build, uint32_t topic)
{
    for (size_t i = 0; i < build->topic_count; i++)
        if (build->topics[i] == topic)
            return true;
    return !build->topics;
}

uint32_t kp_build_gone(const struct kp_build *build, uint32_t topic, uint32_t partition, int64_t base_offset,
                       uint32_t records)
{
    if (!build->gaps)
        return 0;
    struct kp_log *log = build->log;
    kp_rwlock_read(&log->lock);
    uint32_t gone = kp_topics_gone(&log->topics, topic, partition, base_offset, records);
    kp_rwlock_unlock(&log->lock);
    return gone;
}

struct kp_log_chunk *kp_build_chunk(struct kp_build *build)
{
    if (build->chunk_count == build->chunk_cap) {
        build->chunk_cap = KP_MAX(build->chunk_cap * 2, (size_t)16);
        build->chunks = kp_realloc(build->chunks, build->chunk_cap * sizeof *build->chunks);
    }
    return &build->chunks[build->chunk_count++];
}

static void add_chunk(struct kp_build *build, const struct kp_block_header *block, const struct kp_entry_header *entry)
{
    uint32_t skip = kp_build_gone(build, entry->topic, entry->partition, entry->base_offset, entry->records);
    if (skip == entry->records)
        return;
    *kp_build_chunk(build) = (struct kp_log_chunk){
        .topic = entry->topic,
        .partition = entry->partition,
        .base_offset = entry->base_offset,
        .position = build->at,
        .records = entry->records,
        .skip = skip,
        .log_time_us = block->log_time_us,
        .batch = (const uint8_t *)(entry + 1),
        .bytes = entry->payload_bytes,
    };
}

/* Takes what is wanted of a durable block. */
static enum kp_code add_block(struct kp_build *build, const struct kp_block_header *block, struct kp_error *err)
{
    struct kp_entry_walk walk = kp_entry_walk_start(block);
    const struct kp_entry_header *entry;
    const char *wrong;
    build->at = block->position;
    while (kp_entry_walk_next(&walk, &entry, &wrong)) {
        if (entry->kind != KP_ENTRY_BATCH)
            continue;
        if (build->at + entry->records <= build->position) { /* before the start */
            build->at += entry->records;
            continue;
        }
        if (!build->in_group && build->at >= build->limit) {
            build->stop = true;
            return KP_OK;
        }
        if (!build->in_group && build->at != build->position)
            return kp_fail(err, KP_INVALID, NULL, "position %lld is not the start of a group of records",
                           (long long)build->position);
        if (!build->in_group)
            build->group_first = build->chunk_count;
        if (kp_build_wants(build, entry->topic))
            add_chunk(build, block, entry);
        build->at += entry->records;
        build->in_group = !(entry->flags & KP_ENTRY_GROUP_END);
        if (!build->in_group) {
            if (build->chunk_count > build->group_first)
                build->chunks[build->chunk_count - 1].group_end = true;
            build->whole_count = build->chunk_count;
            build->position = build->at;
        }
    }
    build->bytes += kp_block_bytes(block);
    build->last_location = kp_location(block->file_number, block->file_offset);
    build->last_bytes = kp_block_bytes(block);
    return wrong ? kp_fail(err, KP_CORRUPT, NULL, "%s", wrong) : KP_OK;
}

static bool enough(const struct kp_build *build)
{
    if (build->stop || build->in_group)
        return build->stop;
    bool progress = build->position > build->start; /* blocks may hold topics only */
    return build->at >= build->durable || build->at >= build->limit ||
           (progress && (build->bytes >= build->bytes_max || build->pieced));
}

void kp_build_keep(struct kp_build *build, struct kp_slab *slab)
{
    if (build->slab_count && build->slabs[build->slab_count - 1] == slab) {
        kp_slab_release(slab);
        return;
    }
    if (build->slab_count == build->slab_cap) {
        build->slab_cap = KP_MAX(build->slab_cap * 2, (size_t)8);
        build->slabs = kp_realloc(build->slabs, build->slab_cap * sizeof(struct kp_slab *));
    }
    build->slabs[build->slab_count++] = slab;
}

/* ---- the tail ---- */

/* Takes blocks from the tail: from `location`, or (0) from the block that holds the position. *ret_found: it was there.
 */
static enum kp_code take_tail(struct kp_build *build, uint64_t location, bool *ret_found, struct kp_error *err)
{
    struct kp_tail_block blocks[TAIL_BLOCKS_AT_ONCE];
    struct kp_log *log = build->log;
    size_t count = 0;
    kp_rwlock_read(&log->lock);
    size_t index = location ? kp_tail_find(&log->tail, location) : kp_tail_find_position(&log->tail, build->position);
    for (size_t bytes = build->bytes; index < log->tail.count && count < TAIL_BLOCKS_AT_ONCE; index++) {
        blocks[count] = *kp_tail_get(&log->tail, index);
        kp_slab_hold(blocks[count].slab);
        bytes += kp_block_bytes(blocks[count++].block);
        if (bytes >= build->bytes_max && !build->in_group)
            break;
    }
    kp_rwlock_unlock(&log->lock);
    *ret_found = count > 0;
    enum kp_code code = KP_OK;
    for (size_t i = 0; i < count; i++) {
        if (code == KP_OK && !enough(build))
            code = add_block(build, blocks[i].block, err);
        kp_build_keep(build, blocks[i].slab);
    }
    return code;
}

/* ---- the disk ---- */

/* At a block that is wrong: passes over its hole when nothing in it is wanted, ends the span before it, or fails. */
static enum kp_code meet_hole(struct kp_build *build, uint64_t *location, const char *wrong, struct kp_error *err)
{
    const struct kp_hole *hole;
    if (build->early)
        return KP_OK;
    KP_TRY(kp_hole_find(build->log, *location, wrong, &hole, err));
    build->chunk_count = build->whole_count; /* of the group that it is in nothing is given */
    build->in_group = false;
    build->last_location = 0;
    const struct kp_hole_range *range = hole->position_end > build->position
                                            ? kp_hole_wanted(build->log, hole, build->topics, build->topic_count)
                                            : NULL;
    if (range && build->position > build->start)
        build->stop = true;
    else if (range)
        return kp_hole_error(build->log, hole, range, err);
    if (range)
        return KP_OK;
    build->at = hole->position_end;
    build->position = KP_MAX(build->position, hole->position_end);
    *location = hole->location_end;
    return KP_OK;
}

/* Takes the blocks that lie whole in bytes, which begin at *location; moves it behind them. */
static enum kp_code take_bytes(struct kp_build *build, const uint8_t *bytes, size_t len, uint64_t file_bytes,
                               uint64_t *location, uint64_t *ret_missing, struct kp_error *err)
{
    struct kp_log *log = build->log;
    uint64_t file_number = kp_location_file(*location);
    *ret_missing = 0;
    while (!enough(build) && kp_location_file(*location) == file_number) {
        if (len < KP_SECTOR_BYTES) {
            *ret_missing = KP_SECTOR_BYTES;
            return KP_OK;
        }
        const struct kp_block_header *block = (const void *)bytes;
        const struct kp_hole *hole = kp_hole_known(log, *location); /* what looks right in it is not of the chain */
        const char *wrong = hole ? hole->wrong
                                 : kp_block_header_wrong(block, log->journal.generation, file_number,
                                                         kp_location_offset(*location), file_bytes);
        if (wrong)
            return meet_hole(build, location, wrong, err);
        uint64_t block_bytes = kp_block_bytes(block);
        if (block_bytes > len) {
            *ret_missing = block_bytes;
            return KP_OK;
        }
        if (kp_crc32c(0, block + 1, block->payload_bytes) != block->payload_crc)
            return meet_hole(build, location, "its entries fail their checksum", err);
        KP_TRY(add_block(build, block, err));
        bytes += block_bytes;
        len -= block_bytes;
        *location = kp_journal_following(&log->journal, *location, block_bytes);
    }
    return KP_OK;
}

/* How many bytes from location on there are to be read: as far as blocks go, since behind them the newest file is
 * pre-written. All of the file when the location is not before that: something has rotted there. */
static uint64_t written_from(struct kp_log *log, uint64_t location)
{
    uint64_t number = kp_location_file(location), offset = kp_location_offset(location);
    kp_rwlock_read(&log->lock);
    struct kp_journal_end durable = log->durable_end;
    kp_rwlock_unlock(&log->lock);
    struct kp_journal_file file = kp_journal_file_get(&log->journal, number);
    uint64_t end = KP_MIN(number == durable.file_number ? durable.offset : file.end, file.bytes);
    return offset < end ? end - offset : file.bytes - KP_MIN(offset, file.bytes);
}

/* Asks for what a sequential reader will want next, if it will have to come from disk. */
static void read_ahead(const struct kp_build *build, uint64_t location, uint64_t want)
{
    struct kp_log *log = build->log;
    if (want < READ_AHEAD_BYTES_MIN || build->at >= build->durable || build->stop)
        return;
    kp_rwlock_read(&log->lock);
    bool in_tail = log->tail.count && kp_tail_get(&log->tail, 0)->location <= location;
    kp_rwlock_unlock(&log->lock);
    if (!in_tail)
        kp_prefetch_want(&log->prefetch, location, (size_t)KP_MIN(want, written_from(log, location)));
}

/* Takes what was read in advance, if anything was. Some of its blocks may have been written since: those are read
 * again. */
static bool take_prefetched(struct kp_build *build, uint64_t *location, uint64_t file_bytes)
{
    uint64_t before = *location, missing;
    size_t got;
    struct kp_slab *slab = kp_prefetch_take(&build->log->prefetch, before, &got);
    if (!slab)
        return false;
    build->early = true;
    (void)!take_bytes(build, slab->memory, got, file_bytes, location, &missing, NULL);
    build->early = false;
    kp_build_keep(build, slab);
    return *location != before;
}

static enum kp_code take_read(struct kp_build *build, uint64_t *location, uint64_t want, uint64_t file_bytes,
                              uint64_t *ret_missing, struct kp_error *err)
{
    struct kp_slab *slab;
    size_t got;
    KP_TRY(kp_journal_read(&build->log->journal, *location, (size_t)want, &slab, &got, err));
    enum kp_code code = take_bytes(build, slab->memory, got, file_bytes, location, ret_missing, err);
    kp_build_keep(build, slab);
    return code;
}

/* Reads one piece from disk and takes its whole blocks; moves *location behind them. */
static enum kp_code take_disk(struct kp_build *build, uint64_t *location, struct kp_error *err)
{
    uint64_t before = *location, missing;
    uint64_t file_bytes = kp_journal_file_get(&build->log->journal, kp_location_file(before)).bytes;
    uint64_t left = written_from(build->log, before);
    uint64_t piece =
        kp_sector_ceil(KP_MAX(KP_MIN(build->bytes_max, (size_t)KP_SLAB_READ_BYTES), (size_t)READ_BYTES_MIN));
    if (!take_prefetched(build, location, file_bytes)) {
        KP_TRY(take_read(build, location, KP_MIN(piece, left), file_bytes, &missing, err));
        if (*location == before && missing > piece && missing <= left) /* one block larger than that */
            KP_TRY(take_read(build, location, missing, file_bytes, &missing, err));
    }
    if (*location == before && !enough(build))
        return meet_hole(build, location, "the file ends within it", err);
    build->pieced = true;
    atomic_store_explicit(&build->log->disk_reads, true, memory_order_relaxed);
    if (enough(build))
        read_ahead(build, *location, piece);
    return KP_OK;
}

/* Where in the journal to begin; 0 when a set holds the position: it was sealed since the caller looked. */
static uint64_t find_location(struct kp_log *log, int64_t position)
{
    uint64_t location = 0, block_bytes = 0;
    kp_mutex_lock(&log->hint_mutex);
    for (size_t i = 0; i < KP_LOG_HINTS; i++)
        if (log->hints[i].location && log->hints[i].position == position) {
            location = log->hints[i].location;
            block_bytes = log->hints[i].block_bytes;
        }
    kp_mutex_unlock(&log->hint_mutex);
    kp_rwlock_read(&log->lock);
    /* A hint of a file that was sealed since leads nowhere: the file may be gone, and what follows is in the next. */
    if (location && kp_location_file(location) >= kp_sealing_file_next(&log->sealing)) {
        kp_rwlock_unlock(&log->lock);
        return kp_journal_following(&log->journal, location, block_bytes);
    }
    if (kp_sealing_set_at(&log->sealing, position)) { /* its marks are forgotten */
        kp_rwlock_unlock(&log->lock);
        return 0;
    }
    size_t low = 0, high = log->mark_count; /* the first mark behind position */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (log->marks[middle].position <= position)
            low = middle + 1;
        else
            high = middle;
    }
    location = low ? log->marks[low - 1].location : kp_location(kp_sealing_file_next(&log->sealing), KP_SECTOR_BYTES);
    kp_rwlock_unlock(&log->lock);
    return location;
}

static void note_hint(const struct kp_build *build)
{
    struct kp_log *log = build->log;
    if (build->stop || build->in_group || !build->last_location)
        return;
    kp_mutex_lock(&log->hint_mutex);
    size_t at = log->hint_next;
    log->hints[at].position = build->at;
    log->hints[at].location = build->last_location;
    log->hints[at].block_bytes = build->last_bytes;
    log->hint_next = (at + 1) % KP_LOG_HINTS;
    kp_mutex_unlock(&log->hint_mutex);
}

/* ---- the call ---- */

static enum kp_code take_all(struct kp_build *build, struct kp_error *err)
{
    bool found;
    KP_TRY(take_tail(build, 0, &found, err));
    bool disk = !found;
    uint64_t location = 0;
    while (disk && !location && !enough(build)) {
        for (bool sealed = true; sealed && !enough(build);)
            KP_TRY(kp_build_take_set(build, &sealed, err));
        if (!enough(build))
            location = find_location(build->log, build->position);
    }
    if (enough(build))
        return KP_OK;
    while (!enough(build)) {
        if (found)
            location = kp_journal_following(&build->log->journal, build->last_location, build->last_bytes);
        KP_TRY(take_tail(build, location, &found, err));
        if (!found)
            KP_TRY(take_disk(build, &location, err));
    }
    if (disk)
        note_hint(build);
    return KP_OK;
}

static void finish_span(struct kp_build *build, struct kp_log_span *span)
{
    struct span_memory *memory = kp_alloc(sizeof *memory + build->slab_count * sizeof(struct kp_slab *));
    memory->count = build->slab_count;
    for (size_t i = 0; i < build->slab_count; i++)
        memory->slabs[i] = build->slabs[i];
    kp_free(build->slabs);
    span->chunks = build->chunks;
    span->count = build->whole_count;
    span->memory = memory;
}

enum kp_code kp_log_read(struct kp_log *log, int64_t position, int64_t position_limit, size_t bytes_max,
                         const uint32_t *topics, size_t topic_count, struct kp_log_span *ret_span, struct kp_error *err)
{
    struct kp_build build = {
        .log = log,
        .start = position,
        .position = position,
        .limit = position_limit,
        .durable = kp_log_position(log),
        .topics = topics,
        .topic_count = topic_count,
        .bytes_max = KP_MAX(bytes_max, (size_t)1),
        .at = position,
    };
    struct kp_log_span span = {.position = position, .position_end = position};
    if (position < 0 || position > build.durable)
        return kp_fail(err, KP_INVALID, NULL, "position %lld is not in the log: it ends at %lld", (long long)position,
                       (long long)build.durable);
    uint32_t side = kp_sealing_enter(&log->sealing.readers);
    build.gaps =
        atomic_load_explicit(&log->gaps, memory_order_acquire); /* what goes from now on, stays until the end */
    enum kp_code code = position < build.durable && position < position_limit ? take_all(&build, err) : KP_OK;
    kp_sealing_leave(&log->sealing.readers, side);
    finish_span(&build, &span);
    if (code != KP_OK) {
        kp_log_span_release(&span);
        return code;
    }
    span.position_end = build.position;
    *ret_span = span;
    return KP_OK;
}

void kp_log_span_release(struct kp_log_span *span)
{
    struct span_memory *memory = span->memory;
    for (size_t i = 0; memory && i < memory->count; i++)
        kp_slab_release(memory->slabs[i]);
    kp_free(memory);
    kp_free(span->chunks);
    *span = (struct kp_log_span){0};
}

enum kp_code kp_log_each(struct kp_log *log, uint32_t topic,
                         enum kp_code (*each)(void *context, const struct kp_log_chunk *chunk, struct kp_error *err),
                         void *context, struct kp_error *err)
{
    int64_t end = kp_log_position(log);
    for (int64_t position = 0; position < end;) {
        struct kp_log_span span;
        KP_TRY(kp_log_read(log, position, end, EACH_BYTES, &topic, 1, &span, err));
        enum kp_code code = KP_OK;
        for (size_t i = 0; code == KP_OK && i < span.count; i++)
            code = each(context, &span.chunks[i], err);
        bool moved = span.position_end > position;
        position = span.position_end;
        kp_log_span_release(&span);
        KP_TRY(code);
        if (!moved)
            break;
    }
    return KP_OK;
}
