/*
 * Appending: validate, give offsets and positions, gather into blocks.
 *
 * The open block is the last of the queue. A group goes into it if it fits; else the block is sealed and the group
 * begins a new one, and takes as many as it needs (log/format.h, GROUPS). Blocks are carved from slabs one behind the
 * other, so that many small commits share one.
 */
#include "log/internal.h"

#include "base/hash.h"
#include "base/limits.h"
#include "log/record_batch.h"

enum { SLAB_REST_BYTES_MIN = 64 << 10 }; /* less is left of a slab: the next block begins a new one */

enum kp_code kp_log_check(struct kp_log *log, struct kp_error *err)
{
    if (log->failure.code != KP_OK) {
        kp_fail(err, KP_CLOSED, NULL, "the log takes no more writes after a failure: %s", log->failure.message);
        return kp_error_hint(err,
                             "Mend the cause, then restart. What was acknowledged had been written and synced before: "
                             "`kappa log verify` tells whether the disk still has it.");
    }
    if (log->read_only)
        return kp_fail(err, KP_CLOSED, "25006", "the log is open for reading only");
    if (log->stopping)
        return kp_fail(err, KP_CLOSED, NULL, "the log is closing");
    return KP_OK;
}

enum kp_code kp_log_check_room(struct kp_log *log, struct kp_error *err)
{
    if (!kp_reserve_given(&log->journal.reserve))
        return KP_OK;
    kp_fail(err, KP_FULL, NULL, "the disk of \"%s\" is full: what is left is kept for what frees room",
            log->journal.dir);
    if (err)
        err->retriable = true;
    return kp_error_hint(err,
                         "Make room on the disk, drop topics or delete their old records: nothing else is needed.");
}

/* ---- blocks ---- */

void kp_open_block_seal(struct kp_log *log, struct kp_open_block *block)
{
    if (block->sealed)
        return;
    block->sealed = true;
    size_t whole = (size_t)kp_sector_ceil(block->used);
    memset((uint8_t *)block->header + block->used, 0, whole - block->used);
    block->header->payload_bytes = (uint32_t)(block->used - sizeof *block->header);
    if (block->slab == log->slab)
        log->slab_used += whole;
}

/* A new open block with room for at least `need` bytes of entries. log_time_us 0: the clock's when it is written. */
static struct kp_open_block *open_block(struct kp_log *log, size_t need, int64_t log_time_us)
{
    if (log->last)
        kp_open_block_seal(log, log->last);
    need += sizeof(struct kp_block_header);
    size_t rest = log->slab ? log->slab->bytes - log->slab_used : 0;
    if (!log->slab || rest < SLAB_REST_BYTES_MIN || rest < need) {
        kp_slab_release(log->slab);
        log->slab = kp_slab_create(KP_MAX((size_t)KP_SLAB_BYTES, need));
        log->slab_used = 0;
    }
    struct kp_open_block *block = kp_calloc(1, sizeof *block);
    block->slab = log->slab;
    kp_slab_hold(block->slab);
    block->header = (void *)(log->slab->memory + log->slab_used);
    block->cap = KP_MIN(log->slab->bytes - log->slab_used, KP_MAX((size_t)KP_BLOCK_BYTES_MAX, need));
    block->used = sizeof *block->header;
    memset(block->header, 0, sizeof *block->header);
    block->header->position = log->next_position;
    block->header->log_time_us = log_time_us;
    if (log->last)
        log->last->next = block;
    else
        log->first = block;
    log->last = block;
    return block;
}

static void put_piece(struct kp_log *log, struct kp_open_block *block, struct kp_log_piece *piece, bool group_end)
{
    struct kp_entry_header *header = &piece->header;
    uint8_t *at = (uint8_t *)block->header + block->used;
    header->flags = group_end ? KP_ENTRY_GROUP_END : 0;
    header->bytes = kp_entry_bytes(header->payload_bytes);
    memcpy(at, header, sizeof *header);
    memcpy(at + sizeof *header, piece->payload, header->payload_bytes);
    memset(at + sizeof *header + header->payload_bytes, 0, header->bytes - sizeof *header - header->payload_bytes);
    if (header->kind == KP_ENTRY_BATCH) {
        uint64_t base_offset = __builtin_bswap64((uint64_t)header->base_offset);
        memcpy(at + sizeof *header, &base_offset, sizeof base_offset);
    }
    block->header->payload_crc = kp_crc32c(block->header->payload_crc, at, header->bytes);
    block->used += header->bytes;
    block->header->entries++;
    block->header->records += header->records;
    log->queued_bytes += header->bytes;
    if (piece->ret_position)
        *piece->ret_position = log->next_position;
    log->next_position += header->records;
}

static bool same_log_time(const struct kp_open_block *block, const struct kp_log_piece *piece)
{
    return block->header->log_time_us == piece->log_time_us;
}

static void add_completion(struct kp_open_block *block, struct kp_completion completion)
{
    if (block->completion_count == block->completion_cap) {
        block->completion_cap = block->completion_cap ? block->completion_cap * 2 : 4;
        block->completions = kp_realloc(block->completions, block->completion_cap * sizeof *block->completions);
    }
    block->completions[block->completion_count++] = completion;
}

void kp_log_enqueue(struct kp_log *log, struct kp_log_piece *pieces, size_t count, kp_log_done done, void *arg)
{
    size_t total = 0;
    bool same_time = true;
    for (size_t i = 0; i < count; i++) {
        total += kp_entry_bytes(pieces[i].header.payload_bytes);
        same_time = same_time && pieces[i].log_time_us == pieces[0].log_time_us;
    }
    struct kp_open_block *block = log->last && !log->last->sealed ? log->last : NULL;
    if (block && (block->cap - block->used < total || !same_time || !same_log_time(block, &pieces[0])))
        block = NULL;
    if (!block) /* the whole group in one block if a megabyte holds it */
        block = open_block(log,
                           same_time && total + sizeof(struct kp_block_header) <= KP_BLOCK_BYTES_MAX
                               ? total
                               : kp_entry_bytes(pieces[0].header.payload_bytes),
                           pieces[0].log_time_us);
    struct kp_open_block *first = block;
    for (size_t i = 0; i < count; i++) {
        size_t bytes = kp_entry_bytes(pieces[i].header.payload_bytes);
        if (block->cap - block->used < bytes || !same_log_time(block, &pieces[i])) {
            block->header->flags |= KP_BLOCK_CONTINUES;
            block = open_block(log, bytes, pieces[i].log_time_us);
            block->header->flags |= KP_BLOCK_CONTINUED;
        }
        put_piece(log, block, &pieces[i], i + 1 == count);
    }
    if (first != block) { /* the last block may yet grow */
        first->room = kp_sector_ceil(block->cap);
        for (const struct kp_open_block *at = first; at != block; at = at->next)
            first->room += kp_sector_ceil(at->used);
    }
    if (done)
        add_completion(block, (struct kp_completion){done, arg, log->next_position});
}

/* ---- waiting ---- */

/* Locked: mutex. */
static struct kp_block_ack *hold_ack(struct kp_open_block *block)
{
    if (!block->ack) {
        block->ack = kp_calloc(1, sizeof *block->ack);
        block->ack->refs = 1;
    }
    block->ack->refs++;
    return block->ack;
}

static void release_ack(struct kp_block_ack *ack)
{
    if (--ack->refs == 0)
        kp_free(ack);
}

void kp_open_block_tell(struct kp_open_block *block, const struct kp_error *err)
{
    struct kp_block_ack *ack = block->ack;
    if (!ack)
        return;
    block->ack = NULL;
    if (err)
        ack->err = *err;
    kp_latch_open(&ack->told);
    release_ack(ack);
}

void kp_open_block_free(struct kp_open_block *block)
{
    KP_ASSERT(!block->ack); /* they were told */
    kp_slab_release(block->slab);
    kp_free(block->completions);
    kp_free(block);
}

/* Commits in this thread where no other does. Locked: mutex, released meanwhile. */
static void commit_all(struct kp_log *log)
{
    while (log->no_threads && log->first && !log->committing)
        kp_log_commit_some(log);
}

/*
 * May this thread commit what it just put there? It saves two changes of threads, of which a lone append feels each.
 * Nobody else may wait for the block: what they have called then would run under this thread's locks. Locked: mutex.
 */
static bool may_commit_own(const struct kp_log *log)
{
    const struct kp_open_block *block = log->first;
    return log->writer_runs && !log->committing && !log->syncing.busy && !log->stopping && block == log->last &&
           block->completion_count == 0 && block->ack->refs == 2;
}

/* Until what was put there last is durable. Locked: mutex; on return it is not held. */
static enum kp_code wait_for_last(struct kp_log *log, int64_t *ret_position, struct kp_error *err)
{
    struct kp_block_ack *ack = hold_ack(log->last);
    int64_t position = log->next_position;
    if (may_commit_own(log)) {
        kp_log_commit_some(log);
        if (log->first || log->stopping) /* the writer left it alone meanwhile */
            kp_cond_signal(&log->work);
    } else if (log->no_threads) {
        commit_all(log);
    } else {
        kp_cond_signal(&log->work);
    }
    kp_mutex_unlock(&log->mutex);
    kp_latch_wait(&ack->told);
    enum kp_code code = ack->err.code;
    if (code != KP_OK && err)
        *err = ack->err;
    release_ack(ack);
    if (code == KP_OK && ret_position)
        *ret_position = position;
    return code;
}

/* As kp_log_enqueue_and_wait, but on return the mutex is not held. */
static enum kp_code enqueue_and_wait(struct kp_log *log, struct kp_log_piece *pieces, size_t count,
                                     int64_t *ret_position, struct kp_error *err)
{
    kp_log_enqueue(log, pieces, count, NULL, NULL);
    return wait_for_last(log, ret_position, err);
}

enum kp_code kp_log_enqueue_twice_and_wait(struct kp_log *log, struct kp_log_piece *piece, struct kp_error *err)
{
    kp_log_enqueue(log, piece, 1, NULL, NULL);
    struct kp_open_block *first = log->last;
    kp_open_block_seal(log, first);
    kp_log_enqueue(log, piece, 1, NULL, NULL);
    kp_open_block_seal(log, log->last);
    /* in one file: so a full disk is met before the first */
    first->room = KP_MAX(first->room, kp_sector_ceil(first->used) + kp_sector_ceil(log->last->used));
    enum kp_code code = wait_for_last(log, NULL, err);
    kp_mutex_lock(&log->mutex);
    return code;
}

enum kp_code kp_log_enqueue_and_wait(struct kp_log *log, struct kp_log_piece *pieces, size_t count,
                                     int64_t *ret_position, struct kp_error *err)
{
    enum kp_code code = enqueue_and_wait(log, pieces, count, ret_position, err);
    kp_mutex_lock(&log->mutex);
    return code;
}

/* ---- the public calls ---- */

static enum kp_code validate(const struct kp_log_entry *entry, struct kp_record_batch_info *ret_info,
                             struct kp_error *err)
{
    if (entry->trusted)
        KP_TRY(kp_record_batch_check(entry->batch, entry->bytes, false, ret_info, err));
    else
        KP_TRY(kp_record_batch_validate(entry->batch, entry->bytes, ret_info, err));
    if (ret_info->bytes != entry->bytes)
        return kp_fail(err, KP_INVALID, NULL, "malformed record batch: %zu bytes were given, it has %u", entry->bytes,
                       ret_info->bytes);
    return KP_OK;
}

static enum kp_code check_target(struct kp_log *log, const struct kp_log_entry *entry, struct kp_error *err)
{
    const struct kp_topic *topic = kp_topics_get(&log->topics, entry->topic);
    if (!topic || topic->dropping)
        return kp_fail(err, KP_NOT_FOUND, NULL, "topic %u does not exist", entry->topic);
    if (entry->partition >= topic->partition_count)
        return kp_fail(err, KP_NOT_FOUND, NULL, "topic \"%s\" has no partition %u: it has %u", topic->name,
                       entry->partition, topic->partition_count);
    if (entry->follows && entry->follows != log->era) {
        kp_fail(err, KP_FULL, NULL, "what this append follows was refused: the disk of \"%s\" was full",
                log->journal.dir);
        if (err)
            err->retriable = true;
        return KP_FULL;
    }
    return KP_OK;
}

/* Is there as much journal as there may be that is not sealed? What rotten blocks hold back does not count: they end
 * nothing else. Locked: mutex. */
static bool unsealed_full(const struct kp_log *log)
{
    return !log->no_threads && log->sealing.unsealed_bytes >= kp_sealing_limit_bytes(&log->sealing) &&
           !atomic_load_explicit(&log->sealing.stuck, memory_order_relaxed) && log->sealing.failure.code != KP_CORRUPT;
}

/* Sealing found the disk full, and the journal may not grow for ever. Locked: mutex. */
static enum kp_code refuse_unsealed(struct kp_log *log, struct kp_error *err)
{
    kp_fail(err, KP_FULL, NULL, "%llu MB of the log wait to be sealed: %s",
            (unsigned long long)log->sealing.unsealed_bytes >> 20, log->sealing.failure.message);
    if (err)
        err->retriable = true;
    return kp_error_hint(err, "Make room on the disk: nothing else is needed.");
}

/* Validates without a lock, then takes the mutex, waits for room and gives offsets. On success the mutex is held. */
static enum kp_code prepare(struct kp_log *log, struct kp_log_entry *entries, size_t count, struct kp_log_piece *pieces,
                            struct kp_error *err)
{
    bool frees = entries[0].frees_room; /* what is full does not stop it: it is what helps */
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        struct kp_record_batch_info info;
        KP_TRY(validate(&entries[i], &info, err));
        pieces[i] = (struct kp_log_piece){
            .header = {.kind = KP_ENTRY_BATCH,
                       .topic = entries[i].topic,
                       .partition = entries[i].partition,
                       .records = (uint32_t)info.records,
                       .payload_bytes = info.bytes},
            .payload = entries[i].batch,
            .log_time_us = entries[i].log_time_us,
            .ret_position = &entries[i].position,
        };
        total += info.bytes;
    }
    size_t most = entries[0].large ? KP_LOG_GROUP_BYTES_LARGE : KP_LOG_GROUP_BYTES_MAX;
    if (total > most)
        return kp_fail(err, KP_LIMIT, NULL, "an append of %zu bytes: at most %zu are taken as one group", total, most);
    if (log->no_threads) /* else the sealer does */
        (void)kp_reserve_take(&log->journal.reserve);
    kp_mutex_lock(&log->mutex);
    while (((log->queued_bytes && log->queued_bytes + total > KP_LOG_QUEUE_BYTES_MAX) ||
            (unsealed_full(log) && log->sealing.failure.code == KP_OK && !frees)) &&
           log->failure.code == KP_OK && !log->stopping) {
        log->space_waiters++;
        kp_cond_wait(&log->space, &log->mutex);
        log->space_waiters--;
    }
    enum kp_code code = kp_log_check(log, err);
    if (code == KP_OK && !frees)
        code = kp_log_check_room(log, err);
    if (code == KP_OK && unsealed_full(log) && log->sealing.failure.code == KP_FULL && !frees)
        code = refuse_unsealed(log, err);
    for (size_t i = 0; i < count && code == KP_OK; i++)
        code = check_target(log, &entries[i], err);
    if (code != KP_OK) {
        log->refusals += code == KP_FULL;
        kp_mutex_unlock(&log->mutex);
        return code;
    }
    for (size_t i = 0; i < count; i++) {
        struct kp_topic *topic = kp_topics_get(&log->topics, entries[i].topic);
        struct kp_partition *partition = &topic->partitions[entries[i].partition];
        entries[i].base_offset = pieces[i].header.base_offset = partition->next_offset;
        entries[i].era = log->era;
        partition->next_offset += pieces[i].header.records;
    }
    return KP_OK;
}

enum { PIECES_ON_STACK = 8 };

enum kp_code kp_log_append(struct kp_log *log, struct kp_log_entry *entries, size_t count, int64_t *ret_position,
                           struct kp_error *err)
{
    struct kp_log_piece local[PIECES_ON_STACK];
    struct kp_log_piece *pieces = count <= PIECES_ON_STACK ? local : kp_alloc(count * sizeof *pieces);
    struct kp_room room = {.log = log};
    enum kp_code code;
    do {
        code = count ? prepare(log, entries, count, pieces, err)
                     : kp_fail(err, KP_INVALID, NULL, "an append needs at least one record batch");
        if (code == KP_OK)
            code = enqueue_and_wait(log, pieces, count, ret_position, err);
    } while (count && entries[0].frees_room && kp_room_make(&room, code));
    if (pieces != local)
        kp_free(pieces);
    return code;
}

enum kp_code kp_log_append_async(struct kp_log *log, struct kp_log_entry *entries, size_t count, kp_log_done done,
                                 void *arg, struct kp_error *err)
{
    struct kp_log_piece local[PIECES_ON_STACK];
    struct kp_log_piece *pieces = count <= PIECES_ON_STACK ? local : kp_alloc(count * sizeof *pieces);
    enum kp_code code = count ? prepare(log, entries, count, pieces, err)
                              : kp_fail(err, KP_INVALID, NULL, "an append needs at least one record batch");
    if (code == KP_OK) {
        kp_log_enqueue(log, pieces, count, done, arg);
        kp_cond_signal(&log->work);
        commit_all(log);
        kp_mutex_unlock(&log->mutex);
    }
    if (pieces != local)
        kp_free(pieces);
    return code;
}
