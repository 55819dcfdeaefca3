/*
 * Committing: the oldest blocks of the queue are written, then synced at once, then published, then their callbacks
 * run. When little is appended that is one block; under load as many as have gathered while the disk was busy. When
 * more waits already, another thread syncs and publishes while the next commit is written:
 *
 *   writer   write 1 │ write 2          │ write 3          │ …
 *   syncer           │ sync 1, publish 1│ sync 2, publish 2│ …
 *
 * Invariants:
 *   1. Commits are written, synced and published in their order, at most one of each at a time. A block says which
 *      blocks before it were durable when it was written. What is written and not synced is at most two commits of
 *      KP_COMMIT_BYTES_MAX in one file, or one commit: recovery looks as far (log/recover.c).
 *   2. Nothing is published or acknowledged before its sync returned. A group is published with its last block.
 *   3. After the first failed write or sync nothing is written any more: every queued group fails.
 */
#include "log/internal.h"

#include <stdio.h>

#include "log/plant.h"
#include "log/state.h"

/* ---- publishing ---- */

static void add_mark(struct kp_log *log, const struct kp_block_header *block, uint64_t location)
{
    const struct kp_log_mark *last = log->mark_count ? &log->marks[log->mark_count - 1] : NULL;
    if (last && kp_location_file(last->location) == kp_location_file(location) &&
        location - last->location < KP_LOG_MARK_BYTES)
        return;
    if (block->flags & KP_BLOCK_CONTINUED) /* readers start with whole groups */
        return;
    if (log->mark_count == log->mark_cap) {
        log->mark_cap = log->mark_cap ? log->mark_cap * 2 : 16;
        log->marks = kp_realloc(log->marks, log->mark_cap * sizeof *log->marks);
    }
    log->marks[log->mark_count++] = (struct kp_log_mark){block->position, block->log_time_us, location};
}

enum kp_code kp_log_apply(struct kp_log *log, const struct kp_block_header *block, uint64_t location,
                          struct kp_error *err)
{
    struct kp_entry_walk walk = kp_entry_walk_start(block);
    const struct kp_entry_header *entry;
    const char *wrong;
    uint64_t records = 0;
    while (kp_entry_walk_next(&walk, &entry, &wrong)) {
        bool gone = kp_topics_meet(&log->topics, entry);
        if (!log->opened)
            kp_holes_explain(log, entry);
        if (entry->kind == KP_ENTRY_SEALED)
            KP_TRY(kp_log_apply_sealed(log, entry, err));
        else
            KP_TRY(kp_topics_apply(&log->topics, entry, location, err));
        if (entry->kind == KP_ENTRY_BATCH)
            kp_producers_note(&log->producers, entry, block->position + (int64_t)records);
        if (gone || entry->kind == KP_ENTRY_TRIM || entry->kind == KP_ENTRY_SKIP || entry->kind == KP_ENTRY_TOPIC_DROP)
            kp_sealing_gap(log);
        if (entry->kind == KP_ENTRY_TOPIC_CREATE || entry->kind == KP_ENTRY_TOPIC_DROP)
            kp_snapshots_topics(log);
        records += entry->kind == KP_ENTRY_BATCH ? entry->records : 0;
    }
    if (wrong || records != block->records)
        return kp_fail(err, KP_CORRUPT, NULL, "%s", wrong ? wrong : "its count of records is wrong");
    add_mark(log, block, location);
    if (!log->read_only)
        kp_seal_notes_add(&log->sealing.notes, block);
    log->log_time_us = block->log_time_us;
    log->durable_last = block->file_offset;
    log->durable_end = (struct kp_journal_end){.file_number = block->file_number,
                                               .offset = block->file_offset + kp_block_bytes(block),
                                               .sequence = block->sequence,
                                               .previous_crc = block->header_crc,
                                               .position = block->position + block->records,
                                               .log_time_us = block->log_time_us};
    return KP_OK;
}

static bool holds_topics(const struct kp_block_header *block)
{
    struct kp_entry_walk walk = kp_entry_walk_start(block);
    const struct kp_entry_header *entry;
    const char *wrong;
    while (kp_entry_walk_next(&walk, &entry, &wrong))
        if (entry->kind != KP_ENTRY_BATCH)
            return true;
    return false;
}

/* Makes the durable blocks visible: `blocks` in order, ending with a group's end. No lock held. */
static void publish(struct kp_log *log, const struct kp_open_block *blocks)
{
    bool topics = false;
    for (const struct kp_open_block *block = blocks; block; block = block->next)
        topics |= holds_topics(block->header);
    if (topics)
        kp_mutex_lock(&log->mutex);
    kp_rwlock_write(&log->lock);
    int64_t position = 0;
    for (const struct kp_open_block *block = blocks; block; block = block->next) {
        const struct kp_block_header *header = block->header;
        uint64_t location = kp_location(header->file_number, header->file_offset);
        struct kp_error err;
        KP_ASSERT(kp_log_apply(log, header, location, &err) == KP_OK);
        kp_tail_push(&log->tail, location, header, block->slab);
        position = header->position + header->records;
    }
    atomic_store_explicit(&log->position, position, memory_order_release);
    kp_rwlock_unlock(&log->lock);
    if (topics)
        kp_mutex_unlock(&log->mutex);
}

/* ---- committing ---- */

/* Takes the oldest block off the queue, and sealed ones behind it up to a commit's size. Locked: mutex. */
static struct kp_open_block *take(struct kp_log *log, size_t *ret_bytes)
{
    struct kp_open_block *first = log->first, *last = first;
    kp_open_block_seal(log, first);
    size_t bytes = first->used;
    *ret_bytes = first->used - sizeof *first->header;
    while (last->next && last->next->sealed && bytes + last->next->used <= KP_COMMIT_BYTES_MAX) {
        last = last->next;
        bytes += last->used;
        *ret_bytes += last->used - sizeof *last->header;
    }
    log->first = last->next;
    if (!log->first)
        log->last = NULL;
    last->next = NULL;
    return first;
}

/* Tells everyone who waits for these blocks; frees them. No lock held. err NULL: durable. */
static void finish_blocks(struct kp_log *log, struct kp_open_block *blocks, const struct kp_error *err)
{
    while (blocks) {
        struct kp_open_block *next = blocks->next;
        for (size_t i = 0; i < blocks->completion_count; i++)
            blocks->completions[i].done(blocks->completions[i].arg, blocks->completions[i].position_end, err);
        kp_open_block_tell(blocks, err);
        kp_open_block_free(blocks);
        blocks = next;
    }
}

/* A failure of the disk, whatever call met it: to who appends it is no thing of theirs that does not exist. */
static struct kp_error failure_of(const struct kp_error *cause)
{
    struct kp_error failure = *cause;
    if (cause->code != KP_IO && cause->code != KP_CORRUPT) {
        failure.code = KP_IO;
        snprintf(failure.sqlstate, sizeof failure.sqlstate, "58030");
    }
    return failure;
}

/* Poisons the log and fails what is queued. Locked: mutex, released meanwhile. */
static void fail_all(struct kp_log *log, struct kp_open_block *blocks, const struct kp_error *cause)
{
    if (log->failure.code == KP_OK)
        log->failure = failure_of(cause);
    struct kp_open_block *queued = log->first, *held = log->held;
    log->first = log->last = log->held = NULL;
    log->queued_bytes = 0;
    kp_cond_broadcast(&log->space);
    kp_cond_broadcast(&log->committed);
    struct kp_error err = log->failure, closed;
    (void)!kp_log_check(log, &closed);
    kp_mutex_unlock(&log->mutex);
    finish_blocks(log, blocks, &err);
    finish_blocks(log, held, &err);
    finish_blocks(log, queued, &closed);
    kp_mutex_lock(&log->mutex);
}

/*
 * The blocks from the first on that are written at once: they lie one behind another in memory, as blocks of one slab
 * do, and in what is left of the file. *ret_room: what their file must have left.
 */
static size_t run_length(struct kp_log *log, const struct kp_open_block *first, uint64_t *ret_room)
{
    uint64_t bytes = kp_block_bytes(first->header), left = kp_journal_left(&log->journal);
    size_t count = 1;
    *ret_room = KP_MAX(first->room, bytes);
    for (const struct kp_open_block *block = first->next; block; block = block->next, count++) {
        uint64_t room = bytes + KP_MAX(kp_block_bytes(block->header), block->room);
        if ((const uint8_t *)block->header != (const uint8_t *)first->header + bytes || KP_MAX(*ret_room, room) > left)
            break;
        *ret_room = KP_MAX(*ret_room, room);
        bytes += kp_block_bytes(block->header);
    }
    return count;
}

/* Writes and, with sync, syncs. *ret_unwritten: on failure, the blocks that were not written; those before them may
 * have been. */
static enum kp_code write_blocks(struct kp_log *log, struct kp_open_block **blocks, bool sync,
                                 struct kp_open_block **ret_unwritten, struct kp_error *err)
{
    for (struct kp_open_block **at = blocks; *at;) {
        uint64_t room;
        size_t count = run_length(log, *at, &room);
        struct kp_open_block **behind = at;
        for (size_t i = 0; i < count; i++)
            behind = &(*behind)->next;
        enum kp_code code = kp_journal_write(&log->journal, (*at)->header, count, room, sync && *behind == NULL, err);
        if (code != KP_OK) {
            *ret_unwritten = *at;
            *at = NULL;
            return code;
        }
        at = behind;
    }
    return KP_OK;
}

/* Adds blocks to those held; takes off and returns all that end with a finished group. */
static struct kp_open_block *release_held(struct kp_log *log, struct kp_open_block *blocks)
{
    struct kp_open_block **end = &log->held, **rest = NULL;
    while (*end)
        end = &(*end)->next;
    *end = blocks;
    for (end = &log->held; *end; end = &(*end)->next)
        if (!((*end)->header->flags & KP_BLOCK_CONTINUES))
            rest = &(*end)->next;
    if (!rest)
        return NULL;
    struct kp_open_block *done = log->held;
    log->held = *rest;
    *rest = NULL;
    return done;
}

/*
 * There is no room for a next file. What is not written fails, and all that was given to it is taken back: offsets,
 * positions, drops. Locked: mutex, released meanwhile.
 */
static void refuse_all(struct kp_log *log, struct kp_open_block *unwritten, struct kp_error *err)
{
    struct kp_open_block *queued = log->first;
    log->first = log->last = NULL;
    log->queued_bytes = 0;
    log->next_position = log->journal.end.position;
    log->era++;
    log->refusals++;
    for (uint32_t id = 1; id <= log->topics.id_count; id++) {
        struct kp_topic *topic = kp_topics_get(&log->topics, id);
        for (uint32_t i = 0; topic && i < topic->partition_count; i++)
            topic->partitions[i].next_offset = topic->partitions[i].end_offset;
        if (topic)
            topic->dropping = false;
    }
    kp_cond_broadcast(&log->space);
    log->sealing.full = true; /* it may free something now */
    kp_cond_signal(&log->sealing.work);
    kp_mutex_unlock(&log->mutex);
    err->retriable = true;
    kp_error_hint(err, "Make room on the disk: nothing else is needed.");
    finish_blocks(log, unwritten, err);
    finish_blocks(log, queued, err);
    kp_mutex_lock(&log->mutex);
}

/* Makes what is durable visible, and tells who waits for it. bytes: what left the queue. No lock held. */
static void announce(struct kp_log *log, struct kp_open_block *done, size_t bytes)
{
    if (done)
        publish(log, done);
    kp_mutex_lock(&log->mutex);
    log->queued_bytes -= bytes;
    if (log->space_waiters)
        kp_cond_broadcast(&log->space);
    if (done)
        kp_cond_broadcast(&log->committed);
    for (const struct kp_open_block *block = done; block; block = block->next) {
        kp_snapshots_note(log, kp_block_bytes(block->header));
        atomic_fetch_add_explicit(&log->appended_bytes, kp_block_bytes(block->header), memory_order_relaxed);
    }
    size_t listeners = done ? log->listener_count : 0;
    kp_mutex_unlock(&log->mutex);
    finish_blocks(log, done, NULL);
    int64_t position = kp_log_position(log);
    for (size_t i = 0; i < listeners; i++)
        log->listeners[i].on_commit(log->listeners[i].arg, position);
}

static struct kp_open_block *joined(struct kp_open_block *first, struct kp_open_block *second)
{
    struct kp_open_block **end = &first;
    while (*end)
        end = &(*end)->next;
    *end = second;
    return first;
}

/* ---- one commit being written while the one before it is synced ---- */

/* Waits until nothing is being synced. Locked: mutex. */
static void wait_synced(struct kp_log *log)
{
    while (log->syncing.busy)
        kp_cond_wait(&log->syncing.changed, &log->mutex);
}

/* Is there more to come, and do all of these blocks go into the current file? Locked: mutex; the committer. */
static bool may_overlap(struct kp_log *log, const struct kp_open_block *blocks)
{
    struct kp_journal *journal = &log->journal;
    uint64_t bytes = 0;
    if (!log->syncing.runs || journal->unsafe_no_sync || atomic_load(&journal->roll) || !log->first ||
        !log->first->sealed)
        return false;
    uint64_t left = kp_journal_left(journal);
    for (const struct kp_open_block *block = blocks; block; block = block->next) {
        if (bytes + KP_MAX(kp_sector_ceil(block->used), block->room) > left)
            return false;
        bytes += kp_sector_ceil(block->used);
    }
    return bytes <= KP_COMMIT_BYTES_MAX;
}

/* Writes the blocks and hands them to the syncer. Locked: mutex, released meanwhile. */
static void commit_overlapped(struct kp_log *log, struct kp_open_block *blocks, size_t bytes)
{
    struct kp_open_block *unwritten = NULL;
    struct kp_error err;
    log->committing = true;
    kp_mutex_unlock(&log->mutex);
    enum kp_code code = write_blocks(log, &blocks, false, &unwritten, &err);
    kp_mutex_lock(&log->mutex);
    wait_synced(log);
    if (code == KP_OK && log->failure.code == KP_OK) {
        log->syncing.blocks = blocks;
        log->syncing.bytes = bytes;
        log->syncing.sequence = log->journal.end.sequence;
        log->syncing.position = log->journal.end.position;
        log->syncing.busy = true;
        kp_cond_broadcast(&log->syncing.changed);
    } else {
        if (code == KP_OK)
            err = log->failure;
        fail_all(log, joined(blocks, unwritten), &err);
    }
    log->committing = false;
}

/* Locked: mutex, released meanwhile. */
static void sync_one(struct kp_log *log)
{
    struct kp_log_syncing *syncing = &log->syncing;
    struct kp_error err;
    kp_mutex_unlock(&log->mutex);
    enum kp_code code = log->os->sync(log->os->ctx, log->journal.file, &err);
    struct kp_open_block *done = release_held(log, syncing->blocks);
    if (code == KP_OK)
        announce(log, done, syncing->bytes);
    kp_mutex_lock(&log->mutex);
    if (code == KP_OK) {
        syncing->durable_sequence = syncing->sequence;
        syncing->durable_position = syncing->position;
    } else {
        fail_all(log, done, &err);
    }
    syncing->blocks = NULL;
    syncing->busy = false;
    kp_cond_broadcast(&syncing->changed);
}

void kp_log_run_syncer(void *arg)
{
    struct kp_log *log = arg;
    kp_mutex_lock(&log->mutex);
    for (;;) {
        if (log->syncing.busy)
            sync_one(log);
        else if (log->syncing.stop)
            break;
        else
            kp_cond_wait(&log->syncing.changed, &log->mutex);
    }
    kp_mutex_unlock(&log->mutex);
}

/* What the syncer made durable is known to the journal. Locked: mutex; the committer. */
static void note_synced(struct kp_log *log)
{
    struct kp_journal *journal = &log->journal;
    journal->durable_sequence = KP_MAX(journal->durable_sequence, log->syncing.durable_sequence);
    journal->durable_position = KP_MAX(journal->durable_position, log->syncing.durable_position);
}

void kp_log_commit_some(struct kp_log *log)
{
    size_t bytes;
    struct kp_open_block *blocks = take(log, &bytes), *unwritten = NULL;
    uint64_t file_number = log->journal.end.file_number;
    note_synced(log);
    if (may_overlap(log, blocks)) {
        commit_overlapped(log, blocks, bytes);
        return;
    }
    log->committing = true;
    wait_synced(log);
    note_synced(log);
    struct kp_error err = log->failure;
    if (err.code != KP_OK) {
        fail_all(log, blocks, &err);
        log->committing = false;
        return;
    }
    kp_mutex_unlock(&log->mutex);

    enum kp_code code = write_blocks(log, &blocks, true, &unwritten, &err);
    /* On a refusal, blocks before it are durable: the file they are in was synced before a next one was asked for. */
    bool refused = code != KP_OK && (log->journal.refused || kp_log_planted == KP_PLANT_GOES_ON);
    struct kp_open_block *done = release_held(log, blocks);
    if (code == KP_OK || refused)
        announce(log, done, bytes);
    kp_mutex_lock(&log->mutex);
    if (refused && !log->held) {
        refuse_all(log, unwritten, &err);
    } else if (code != KP_OK) { /* also when a group was written in part: what follows it could not be told apart */
        fail_all(log, refused ? unwritten : joined(done, unwritten), &err);
    }
    if (log->journal.end.file_number != file_number) {
        log->sealing.full = false;
        kp_sealing_file_full(log);
    }
    log->committing = false;
}

void kp_log_run_writer(void *arg)
{
    struct kp_log *log = arg;
    kp_mutex_lock(&log->mutex);
    for (;;) {
        if (log->first && !log->committing)
            kp_log_commit_some(log);
        else if (log->stopping && !log->committing)
            break;
        else
            kp_cond_wait(&log->work, &log->mutex);
    }
    wait_synced(log);
    note_synced(log);
    kp_mutex_unlock(&log->mutex);
}

bool kp_log_commit_closing(struct kp_log *log)
{
    const struct kp_journal_end *end = &log->journal.end;
    if (log->failure.code != KP_OK || end->closed || end->sequence == 0)
        return false;
    struct kp_block_header *block = kp_alloc_aligned(KP_SECTOR_BYTES, KP_SECTOR_BYTES);
    memset(block, 0, KP_SECTOR_BYTES);
    block->position = end->position;
    block->flags = KP_BLOCK_CLOSED;
    enum kp_code code = kp_journal_write(&log->journal, block, 1, 0, true, NULL);
    kp_free(block);
    return code == KP_OK; /* else nothing is lost: it only vouches for what is durable already */
}
