/*
 * Sealing a stretch of journal files. In steps:
 *
 *   1. Walk the full files that were not sealed yet, as many as make seal_bytes, and note every batch: by what was
 *      noted of their blocks when they became durable (log/seal_notes.h), else on disk. What was trimmed or dropped by
 *      now is left out. The state behind the last record is computed from the previous set's.
 *      A file that holds little else than large partitions' is adopted (log/adopt.h): those stay where they are.
 *   2. Write the set's extents (log/extent_write.h), reading the journal as far as it is copied; rename them; sync the
 *      folder.
 *   3. Append KP_ENTRY_SEALED with the list of all extents that count. When it is durable, its publishing makes the set
 *      visible and forgets the journal's indexes for what it holds (log/sets.c).
 *   4. Wait until no reader is left that may have looked before that. Then recycle the files; those that were adopted
 *      get the name of extents.
 *
 * A crash before 3 leaves extents that do not count, one after it files that do not: the next start removes either.
 *
 * Sealing shares the disk with appends, and can wait where they cannot. While much is appended (BUSY_BYTES_S) it gives
 * way, until three quarters of what may be unsealed is; from there on it seals less at once, so that nobody waits long.
 *
 * Holes (log/hole.h) are passed: what was lost in them is told by the extents (log/seal_lost.h).
 *
 * On a full disk sealing what is all wanted gains nothing. But when something was trimmed or dropped, all files are
 * sealed to leave it out, one at a time, in the room of the reserve (log/reserve.h); the newest one, too: it is ended
 * for that.
 */
#include "log/seal.h"

#include <stdlib.h>

#include "log/adopt.h"
#include "log/files.h"
#include "log/internal.h"
#include "log/plant.h"
#include "log/quarantine.h"
#include "log/seal_lost.h"
#include "log/state.h"

enum {
    SCAN_READ_BYTES = 4 << 20,
    ITEMS_MAX = 512 << 10, /* batches of a set, about: they are held in memory while it is written */
    PICKS_MAX = 1024,      /* batches read one by one of an adopted file: more are read with the whole of it */
    WINDOW_BYTES = 32 << 20,
    RETRY_US = 1000000, /* after a step that failed */
    BUSY_BYTES_S = 64 << 20,
    BUSY_LOOK_US = 100000,
    ROOM_US = 250000 /* the disk is full: is it still? */
};

/* ---- the journal's blocks, in order ---- */

struct stretch {
    struct kp_log *log;
    uint64_t first, end; /* files; end is behind the last */
    struct kp_journal_end at;
    /* Called for every entry; position of its first record; place: where it lies in its file. */
    enum kp_code (*each)(void *arg, const struct kp_block_header *block, const struct kp_entry_header *entry,
                         int64_t position, uint64_t place, struct kp_error *err);
    /* Called behind every file; start: what its first block follows. False: no more files. NULL: all. */
    bool (*file_done)(void *arg, uint64_t number, const struct kp_journal_end *start);
    /* Called at every hole; at.position is its first. NULL: none. */
    void (*hole)(void *arg, const struct kp_hole *hole);
    void *arg;
    bool noted;           /* what is in notes is not read: only entries' headers are wanted */
    uint64_t passed;      /* holes end there: a location */
    uint64_t block_bytes; /* out */
};

/* The next try passes it. */
static enum kp_code wrong_block(const struct stretch *stretch, uint64_t number, uint64_t offset, const char *wrong,
                                struct kp_error *err)
{
    const struct kp_hole *hole;
    uint32_t side = kp_sealing_enter(&stretch->log->sealing.readers);
    (void)!kp_hole_find(stretch->log, kp_location(number, offset), wrong, &hole, NULL);
    kp_sealing_leave(&stretch->log->sealing.readers, side);
    return kp_fail(err, KP_CORRUPT, NULL,
                   "the log in \"%s\" is damaged at position %lld: the block in file %llu at byte %llu: %s",
                   stretch->log->journal.dir, (long long)stretch->at.position, (unsigned long long)number,
                   (unsigned long long)offset, wrong);
}

static enum kp_code check_stop(const struct stretch *stretch, struct kp_error *err)
{
    bool stop = atomic_load_explicit(&stretch->log->sealing.stop, memory_order_relaxed);
    return stop ? kp_fail(err, KP_CANCELLED, NULL, "the log is closing") : KP_OK;
}

static const char not_following[] = "it does not follow the block before it";

static bool follows(const struct stretch *stretch, const struct kp_block_header *block)
{
    return block->sequence == stretch->at.sequence + 1 && block->previous_crc == stretch->at.previous_crc;
}

static void pass_block(struct stretch *stretch, const struct kp_block_header *block)
{
    stretch->at.sequence = block->sequence;
    stretch->at.previous_crc = block->header_crc;
    stretch->at.position = block->position + block->records;
    stretch->at.log_time_us = block->log_time_us;
    stretch->block_bytes += kp_block_bytes(block);
}

static enum kp_code walk_block(struct stretch *stretch, const struct kp_block_header *block, struct kp_error *err)
{
    struct kp_entry_walk walk = kp_entry_walk_start(block);
    const struct kp_entry_header *entry;
    const char *wrong;
    int64_t position = block->position;
    KP_TRY(check_stop(stretch, err));
    while (kp_entry_walk_next(&walk, &entry, &wrong)) {
        uint64_t place = block->file_offset + (uint64_t)((const uint8_t *)entry - (const uint8_t *)block);
        KP_TRY(stretch->each(stretch->arg, block, entry, position, place, err));
        position += entry->kind == KP_ENTRY_BATCH ? entry->records : 0;
    }
    if (wrong)
        return wrong_block(stretch, block->file_number, block->file_offset, wrong, err);
    pass_block(stretch, block);
    return KP_OK;
}

static enum kp_code walk_notes(struct stretch *stretch, const struct kp_buf *notes, struct kp_error *err)
{
    for (size_t at = 0; at < notes->len;) {
        const struct kp_block_header *block = (const void *)(notes->data + at);
        int64_t position = block->position;
        KP_TRY(check_stop(stretch, err));
        if (!follows(stretch, block))
            return wrong_block(stretch, block->file_number, block->file_offset, not_following, err);
        at += sizeof *block;
        uint64_t place = block->file_offset + sizeof *block;
        for (uint32_t i = 0; i < block->entries; i++) {
            const struct kp_entry_header *entry = (const void *)(notes->data + at);
            KP_TRY(stretch->each(stretch->arg, block, entry, position, place, err));
            place += entry->bytes;
            position += entry->kind == KP_ENTRY_BATCH ? entry->records : 0;
            at += kp_seal_note_bytes(entry);
        }
        pass_block(stretch, block);
    }
    return KP_OK;
}

static bool take_notes(const struct stretch *stretch, uint64_t number, struct kp_buf *ret_notes)
{
    struct kp_log *log = stretch->log;
    if (!stretch->noted || kp_holes_touch(log, number))
        return false;
    uint64_t end = kp_journal_file_get(&log->journal, number).end;
    kp_rwlock_write(&log->lock);
    bool all = kp_seal_notes_take(&log->sealing.notes, number, end, ret_notes);
    kp_rwlock_unlock(&log->lock);
    return all;
}

/* Passes the hole at the location, and those right behind it: the block that follows says what it follows. */
static enum kp_code pass_holes(struct stretch *stretch, struct kp_block_scan *scan, const struct kp_hole *hole,
                               struct kp_error *err)
{
    struct kp_log *log = stretch->log;
    const struct kp_block_header *block;
    const char *wrong = "it is not where a hole ends";
    uint64_t location = 0;
    for (; hole; hole = kp_hole_known(log, location)) {
        bool whole = !stretch->noted || hole->position == stretch->at.position;
        if (whole && stretch->hole)
            stretch->hole(stretch->arg, hole);
        stretch->at.position = hole->position_end;
        location = kp_hole_end(log, hole);
        if (!whole || kp_location_file(location) > stretch->end) /* it was found just now */
            return kp_fail(err, KP_CORRUPT, NULL, "the log in \"%s\" is damaged before position %lld: %s",
                           log->journal.dir, (long long)hole->position_end, hole->wrong);
    }
    stretch->passed = location;
    KP_TRY(kp_block_scan_seek(scan, kp_location_file(location), kp_location_offset(location), err));
    KP_TRY(kp_block_scan_peek(scan, &block, &wrong, err));
    if (wrong || block->position != stretch->at.position)
        return wrong_block(stretch, kp_location_file(location), kp_location_offset(location),
                           wrong ? wrong : "its position is not where a hole ends", err);
    stretch->at.sequence = block->sequence - 1;
    stretch->at.previous_crc = block->previous_crc;
    return KP_OK;
}

static enum kp_code walk_file(struct stretch *stretch, struct kp_block_scan *scan, uint64_t number,
                              struct kp_error *err)
{
    uint64_t file_end = kp_journal_file_get(&stretch->log->journal, number).end;
    struct kp_buf notes;
    if (take_notes(stretch, number, &notes)) {
        enum kp_code code = walk_notes(stretch, &notes, err);
        kp_buf_finish(&notes);
        return code;
    }
    uint64_t offset = KP_SECTOR_BYTES;
    while (offset < file_end) {
        const struct kp_block_header *block;
        const char *wrong;
        const struct kp_hole *hole = kp_hole_known(stretch->log, kp_location(number, offset));
        if (hole && kp_location(number, offset) >= stretch->passed)
            KP_TRY(pass_holes(stretch, scan, hole, err));
        if (kp_location_file(stretch->passed) > number)
            return KP_OK;
        offset = KP_MAX(offset, kp_location_file(stretch->passed) == number ? kp_location_offset(stretch->passed) : 0);
        KP_TRY(kp_block_scan_seek(scan, number, offset, err));
        KP_TRY(kp_block_scan_peek(scan, &block, &wrong, err));
        if (!wrong && !follows(stretch, block))
            wrong = not_following;
        if (wrong)
            return wrong_block(stretch, number, offset, wrong, err);
        offset += kp_block_bytes(block);
        KP_TRY(walk_block(stretch, block, err));
    }
    return KP_OK;
}

static enum kp_code walk_stretch(struct stretch *stretch, struct kp_error *err)
{
    struct kp_journal *journal = &stretch->log->journal;
    struct kp_block_scan scan;
    enum kp_code code = KP_OK;
    kp_block_scan_init(&scan, journal->os, journal->dir, journal->generation, SCAN_READ_BYTES);
    if (!stretch->log->no_threads)
        kp_block_scan_read_ahead(&scan);
    for (uint64_t number = stretch->first; number < stretch->end && code == KP_OK; number++) {
        struct kp_journal_end start = stretch->at;
        code = walk_file(stretch, &scan, number, err);
        bool more = code != KP_OK || !stretch->file_done || stretch->file_done(stretch->arg, number, &start);
        if (!more && stretch->passed <= kp_location(number + 1, KP_SECTOR_BYTES))
            stretch->end = number + 1;
    }
    kp_block_scan_finish(&scan);
    return code;
}

/* ---- one set ---- */

struct job {
    struct kp_log *log;
    struct stretch stretch;
    struct kp_journal_end start;
    struct kp_topics state;   /* as of where the walk is */
    struct kp_topics current; /* as of now: what is gone */
    struct kp_extents_writer writer;
    struct kp_adopt adopt;
    struct kp_seal_lost lost;
    struct kp_sealed_head head;
    uint64_t batch_bytes;
    void *put_arg;
};

static enum kp_code note_entry(void *arg, const struct kp_block_header *block, const struct kp_entry_header *entry,
                               int64_t position, uint64_t place, struct kp_error *err)
{
    struct job *job = arg;
    if (entry->kind == KP_ENTRY_SEALED)
        return KP_OK;
    kp_seal_lost_explain(&job->lost, entry);
    if ((entry->kind != KP_ENTRY_TRIM || kp_log_planted != KP_PLANT_TRIM_FORGOTTEN) &&
        (entry->kind != KP_ENTRY_SKIP || kp_log_planted != KP_PLANT_SKIP_FORGOTTEN))
        KP_TRY(kp_topics_apply(&job->state, entry, 0, err));
    if (entry->kind != KP_ENTRY_BATCH)
        return KP_OK;
    uint32_t gone = kp_topics_gone(&job->current, entry->topic, entry->partition, entry->base_offset, entry->records);
    const struct kp_topic *topic = kp_topics_get(&job->state, entry->topic);
    struct kp_extents_batch batch = {
        .topic = entry->topic,
        .partition = entry->partition,
        .bytes = entry->payload_bytes,
        .records = entry->records,
        .base_offset = entry->base_offset,
        .position = position,
        .log_time_us = block->log_time_us,
        .max_timestamp_ms = topic->partitions[entry->partition].max_timestamp_ms,
        .gone = gone == entry->records || (gone && kp_log_planted == KP_PLANT_TRIM_WIDE),
        .group_end = entry->flags & KP_ENTRY_GROUP_END,
        .place = place,
        .block = block->file_offset,
        .block_end = block->file_offset + kp_block_bytes(block),
    };
    kp_adopt_add(&job->adopt, &batch, (const uint8_t *)(entry + 1));
    job->batch_bytes += entry->payload_bytes;
    return KP_OK;
}

static void note_hole(void *arg, const struct kp_hole *hole)
{
    struct job *job = arg;
    kp_adopt_hole(&job->adopt);
    kp_seal_lost_hole(&job->lost, hole, job->writer.item_count, job->stretch.at.log_time_us);
}

static bool file_noted(void *arg, uint64_t number, const struct kp_journal_end *start)
{
    struct job *job = arg;
    kp_adopt_file_done(&job->adopt, number, start);
    return job->writer.item_count < ITEMS_MAX;
}

static enum kp_code put_entry(void *arg, const struct kp_block_header *block, const struct kp_entry_header *entry,
                              int64_t position, uint64_t place, struct kp_error *err)
{
    struct job *job = arg;
    if (entry->kind != KP_ENTRY_BATCH)
        return KP_OK;
    return kp_extents_put(&job->writer, job->put_arg, position, entry + 1, entry->payload_bytes, err);
}

/* Files from `first` to before `end`, of the list: all are read. */
static enum kp_code put_files(struct job *job, size_t first, size_t end, struct kp_error *err)
{
    struct stretch again = job->stretch;
    again.first = kp_adopt_file_get(&job->adopt, first)->number;
    again.end = again.first + (end - first);
    again.at = kp_adopt_file_get(&job->adopt, first)->start;
    again.each = put_entry;
    again.file_done = NULL;
    again.hole = NULL;
    again.passed = 0;
    again.noted = false;
    return walk_stretch(&again, err);
}

static enum kp_code put_picks(struct job *job, const struct kp_adopt_file *file, struct kp_error *err)
{
    uint64_t block;
    const char *wrong;
    KP_TRY(check_stop(&job->stretch, err));
    KP_TRY(kp_adopt_put(&job->adopt, file, job->put_arg, &block, &wrong, err));
    return wrong ? wrong_block(&job->stretch, file->number, block, wrong, err) : KP_OK;
}

static bool is_read_whole(const struct kp_adopt_file *file)
{
    return file->adopted ? file->copied > PICKS_MAX : file->copied > 0;
}

static enum kp_code put_all(void *arg, struct kp_extents_writer *writer, void *put_arg, struct kp_error *err)
{
    struct job *job = arg;
    size_t count = kp_adopt_file_count(&job->adopt), i = 0;
    job->put_arg = put_arg;
    while (i < count) {
        size_t first = i;
        while (i < count && is_read_whole(kp_adopt_file_get(&job->adopt, i)))
            i++;
        KP_TRY(i > first ? put_files(job, first, i, err) : put_picks(job, kp_adopt_file_get(&job->adopt, i++), err));
    }
    return KP_OK;
}

/* The state that the stretch begins with: the newest set's. And what is known now. */
static enum kp_code load_states(struct job *job, struct kp_error *err)
{
    struct kp_log *log = job->log;
    struct kp_buf bytes = {0};
    const struct kp_extent_set *newest = NULL; /* only the sealer retires it */
    kp_rwlock_read(&log->lock);
    kp_state_write(&log->topics, &bytes);
    if (log->sealing.set_count)
        newest = log->sealing.sets[log->sealing.set_count - 1];
    job->head = log->sealing.head;
    kp_rwlock_unlock(&log->lock);
    enum kp_code code = kp_state_read(bytes.data, bytes.len, &job->current, err);
    kp_buf_finish(&bytes);
    KP_TRY(code);
    if (!newest)
        return KP_OK;
    if (newest->header.file_last + 1 != job->head.file_next || newest->header.position_end != job->head.position)
        return kp_fail(err, KP_CORRUPT, NULL, "extent %llu in \"%s\" does not end where the log says that it does",
                       (unsigned long long)newest->header.number, log->journal.dir);
    KP_TRY(kp_quarantine_state(log, newest, &bytes, err));
    code = kp_state_read(bytes.data, bytes.len, &job->state, err);
    kp_buf_finish(&bytes);
    return code;
}

static enum kp_code gather(struct job *job, struct kp_error *err)
{
    struct kp_log *log = job->log;
    KP_TRY(load_states(job, err));
    job->start = (struct kp_journal_end){.sequence = job->head.sequence,
                                         .previous_crc = job->head.previous_crc,
                                         .position = job->head.position,
                                         .log_time_us = job->head.log_time_us};
    job->stretch.at = job->start;
    job->stretch.each = note_entry;
    job->stretch.file_done = file_noted;
    job->stretch.hole = note_hole;
    job->stretch.arg = job;
    job->stretch.noted = true;
    KP_TRY(walk_stretch(&job->stretch, err));
    kp_seal_lost_settle(&job->lost, job->stretch.end);
    kp_seal_lost_put(&job->lost, &job->writer);
    const struct kp_journal_end *at = &job->stretch.at;
    job->writer.header.generation = log->journal.generation;
    job->writer.header.position = job->head.position;
    job->writer.header.position_end = at->position;
    job->writer.header.log_time_us = at->log_time_us;
    job->writer.header.file_first = job->stretch.first;
    job->writer.header.file_last = job->stretch.end - 1;
    job->writer.header.sequence = at->sequence;
    job->writer.header.previous_crc = at->previous_crc;
    kp_extents_lay_out(&job->writer);
    return KP_OK;
}

/* ---- making it count ---- */

static enum kp_code make_count(struct job *job, struct kp_error *err)
{
    struct kp_sealed_head head = job->head;
    head.file_next = job->stretch.end;
    head.sequence = job->stretch.at.sequence;
    head.previous_crc = job->stretch.at.previous_crc;
    head.position = job->stretch.at.position;
    head.log_time_us = job->stretch.at.log_time_us;
    head.batch_bytes += job->batch_bytes;
    head.journal_bytes += job->stretch.block_bytes;
    head.extent_bytes += kp_extents_made_bytes(&job->writer);
    return kp_sealing_count(job->log, &job->writer, &head, NULL, err);
}

/* As of the end of the stretch. What a producer's new life (its epoch) began behind it is known from there on. */
static void write_state(struct job *job, struct kp_buf *out)
{
    struct kp_log *log = job->log;
    struct kp_buf producers = {0};
    kp_state_write(&job->state, out);
    kp_rwlock_read(&log->lock);
    kp_producers_before(&log->producers, job->stretch.at.position, &producers);
    kp_rwlock_unlock(&log->lock);
    kp_state_put_producers(out, &producers);
    kp_buf_finish(&producers);
}

static enum kp_code run_job(struct job *job, struct kp_error *err)
{
    struct kp_log *log = job->log;
    KP_TRY(gather(job, err));
    struct kp_buf state = {0};
    write_state(job, &state);
    struct kp_extents_source source = {put_all, job};
    enum kp_code code = kp_extents_write(&job->writer, &source, &state, err);
    kp_buf_finish(&state);
    log->sealing.next_number = job->writer.next_number; /* also of those that were not finished */
    KP_TRY(code);
    if (kp_log_planted == KP_PLANT_RECYCLE_FIRST)
        for (uint64_t number = job->stretch.first; number < job->stretch.end && code == KP_OK; number++)
            code = kp_journal_recycle(&log->journal, number, err);
    return code == KP_OK ? make_count(job, err) : code;
}

static enum kp_code seal(struct kp_log *log, uint64_t first, uint64_t end, struct kp_error *err)
{
    struct kp_sealing *sealing = &log->sealing;
    struct job job = {.log = log, .stretch = {.log = log, .first = first, .end = end}};
    job.writer.os = log->os;
    job.writer.dir = log->journal.dir;
    job.writer.next_number = sealing->next_number;
    job.writer.own_bytes = sealing->own_bytes;
    job.writer.window_bytes = KP_MIN((uint64_t)WINDOW_BYTES, 4 * sealing->own_bytes);
    job.writer.no_sync = log->journal.unsafe_no_sync || kp_log_planted == KP_PLANT_EXTENT_UNSYNCED;
    job.adopt = (struct kp_adopt){.log = log, .current = &job.current, .writer = &job.writer};
    job.lost = (struct kp_seal_lost){.log = log, .state = &job.state, .current = &job.current};
    job.adopt.off = first < sealing->eager_end || kp_reserve_given(&log->journal.reserve); /* room is wanted */
    enum kp_code code = run_job(&job, err);
    if (code == KP_OK) {
        sealing->recycle_first = first;
        sealing->recycle_end = kp_log_planted == KP_PLANT_RECYCLE_FIRST ? first : job.stretch.end;
    }
    kp_extents_writer_finish(&job.writer);
    kp_adopt_finish(&job.adopt);
    kp_seal_lost_finish(&job.lost);
    kp_topics_finish(&job.state);
    kp_topics_finish(&job.current);
    return code;
}

/* ---- retiring ---- */

uint32_t kp_sealing_enter(struct kp_log_readers *readers)
{
    kp_mutex_lock(&readers->mutex);
    uint32_t side = readers->side;
    readers->active[side]++;
    kp_mutex_unlock(&readers->mutex);
    return side;
}

void kp_sealing_leave(struct kp_log_readers *readers, uint32_t side)
{
    kp_mutex_lock(&readers->mutex);
    if (--readers->active[side] == 0)
        kp_cond_broadcast(&readers->drained);
    kp_mutex_unlock(&readers->mutex);
}

/* Without threads nothing is waited for: false when readers are left. */
static bool drained(struct kp_log *log)
{
    struct kp_log_readers *readers = &log->sealing.readers;
    kp_mutex_lock(&readers->mutex);
    bool patient = kp_log_planted != KP_PLANT_RECYCLE_EARLY && kp_log_planted != KP_PLANT_REMOVED_EARLY;
    while (readers->active[readers->side ^ 1] && !log->no_threads && patient)
        kp_cond_wait(&readers->drained, &readers->mutex);
    bool empty = readers->active[readers->side ^ 1] == 0;
    kp_mutex_unlock(&readers->mutex);
    return empty;
}

void kp_sealing_unlink(struct kp_log *log, const struct kp_buf *numbers)
{
    for (size_t i = 0; i < kp_folder_count(numbers); i++) {
        char *path = kp_extent_path(log->journal.dir, kp_folder_number(numbers, i), KP_EXTENT_SUFFIX);
        kp_files_discard(log->os, path);
        kp_free(path);
    }
}

static enum kp_code free_retired(struct kp_log *log, struct kp_error *err)
{
    struct kp_sealing *sealing = &log->sealing;
    kp_mutex_lock(&log->mutex);
    struct kp_buf sets = sealing->retired_sets, extents = sealing->retired_extents, adopted = sealing->retired_adopted;
    sealing->retired_sets = sealing->retired_extents = sealing->retired_adopted = (struct kp_buf){0};
    kp_mutex_unlock(&log->mutex);
    for (size_t i = 0; i < sets.len / sizeof(struct kp_extent_set *); i++)
        kp_extent_set_free(((struct kp_extent_set **)(void *)sets.data)[i]);
    kp_sealing_unlink(log, &extents);
    const uint64_t *files = (const void *)adopted.data;
    enum kp_code code = KP_OK;
    for (size_t i = 0; i < adopted.len / sizeof *files && code == KP_OK; i++)
        code = kp_journal_recycle_adopted(&log->journal, files[i] - KP_ADOPTED, err);
    kp_buf_finish(&sets);
    kp_buf_finish(&extents);
    kp_buf_finish(&adopted);
    return code;
}

/* Journal files that were sealed: extents from now on, or journal again. What is left the next start finishes. */
static enum kp_code recycle_files(struct kp_log *log, uint64_t first, uint64_t end, struct kp_error *err)
{
    bool renamed = false;
    for (uint64_t number = first; number < end; number++) {
        bool adopted = kp_sealing_adopted(log, number);
        KP_TRY(adopted ? kp_journal_adopt(&log->journal, number, err) : kp_journal_recycle(&log->journal, number, err));
        renamed |= adopted;
    }
    return renamed && !log->journal.unsafe_no_sync ? kp_files_sync(log->os, log->journal.dir, err) : KP_OK;
}

enum kp_code kp_sealing_retire(struct kp_log *log, bool *ret_did, struct kp_error *err)
{
    struct kp_sealing *sealing = &log->sealing;
    *ret_did = drained(log);
    if (!*ret_did && kp_log_planted == KP_PLANT_REMOVED_EARLY)
        kp_sealing_unlink(log, &sealing->retired_extents);
    if (!*ret_did && kp_log_planted != KP_PLANT_RECYCLE_EARLY)
        return KP_OK;
    if (*ret_did)
        sealing->retiring = false;
    uint64_t first = sealing->recycle_first, end = sealing->recycle_end;
    sealing->recycle_first = sealing->recycle_end = 0;
    KP_TRY(recycle_files(log, first, end, err));
    return *ret_did ? free_retired(log, err) : KP_OK;
}

/* ---- steps ---- */

/* So much journal is sealed at once: of a file that ends a little early too; and a few times what is logged for it, or
 * sealing would make more journal than it takes away. */
static uint64_t stretch_bytes(const struct kp_sealing *sealing)
{
    uint64_t bytes = atomic_load(&sealing->urgent) ? sealing->seal_bytes / 32 * 7 : sealing->seal_bytes;
    return KP_MAX(bytes, 4 * kp_sealing_list_bytes(sealing));
}

/* The files to be sealed now; an empty stretch if there are not enough. */
static void choose(struct kp_log *log, uint64_t least_bytes, uint64_t *ret_first, uint64_t *ret_end)
{
    struct kp_journal *journal = &log->journal;
    uint64_t bytes = 0;
    kp_rwlock_read(&log->lock);
    uint64_t first = kp_sealing_file_next(&log->sealing), end = first;
    kp_rwlock_unlock(&log->lock);
    bool eager = first < log->sealing.eager_end;
    uint64_t most_bytes = eager ? 1 : stretch_bytes(&log->sealing);
    if (eager)
        least_bytes = 1;
    kp_mutex_lock(&journal->mutex);
    uint64_t current = journal->current;
    for (; end < current && bytes < most_bytes; end++)
        bytes += journal->files[end - journal->first_number].end;
    kp_mutex_unlock(&journal->mutex);
    atomic_store(&log->sealing.stuck, !kp_holes_fit(log, first, current, &end));
    *ret_first = first;
    *ret_end = bytes >= least_bytes ? end : first;
}

static size_t hole_count(struct kp_log *log)
{
    kp_rwlock_read(&log->lock);
    size_t count = log->holes.count;
    kp_rwlock_unlock(&log->lock);
    return count;
}

/* Seals the stretch; where it comes to rotten blocks of which nobody knew, it begins again, and passes them. */
static enum kp_code seal_known(struct kp_log *log, uint64_t first, uint64_t *end, struct kp_error *err)
{
    for (;;) {
        size_t before = hole_count(log);
        enum kp_code code = first < *end ? seal(log, first, *end, err) : KP_OK;
        if (code != KP_CORRUPT || hole_count(log) == before)
            return code;
        atomic_store(&log->sealing.stuck, !kp_holes_fit(log, first, *end, end));
    }
}

/* The list of extents is logged again, as it is: a block that can begin a file. */
static enum kp_code begin_file(struct kp_log *log, struct kp_error *err)
{
    struct kp_sealed_head head = log->sealing.head;
    head.file_next = KP_MAX(head.file_next, (uint64_t)1);
    atomic_store(&log->journal.roll, true);
    return kp_sealing_count(log, NULL, &head, NULL, err);
}

static enum kp_code step(struct kp_log *log, bool *ret_did, struct kp_error *err)
{
    *ret_did = false;
    if (log->sealing.retiring)
        return kp_sealing_retire(log, ret_did, err);
    if ((log->sealing.full || kp_reserve_given(&log->journal.reserve)) && atomic_exchange(&log->sealing.gap, false)) {
        *ret_did = true;
        kp_mutex_lock(&log->journal.mutex);
        log->sealing.eager_end = log->journal.current + 1;
        kp_mutex_unlock(&log->journal.mutex);
        return begin_file(log, err);
    }
    uint64_t first, end;
    choose(log, stretch_bytes(&log->sealing), &first, &end);
    if (first == end)
        return kp_sealing_tidy(log, false, ret_did, err);
    log->sealing.frees = !log->sealing.frees; /* by turns: there may always be something to seal */
    if (log->sealing.frees) {
        KP_TRY(kp_sealing_tidy(log, !kp_sealing_list_long(&log->sealing), ret_did, err));
        if (*ret_did)
            return KP_OK;
    }
    *ret_did = true;
    struct kp_room room = {.log = log};
    enum kp_code code;
    do
        code = seal_known(log, first, &end, err);
    while (first < log->sealing.eager_end && kp_room_make(&room, code));
    return code;
}

enum kp_code kp_sealing_step(struct kp_log *log, bool *ret_did, struct kp_error *err)
{
    kp_mutex_lock(&log->sealing.step);
    enum kp_code code = step(log, ret_did, err);
    if (!log->sealing.retiring && kp_reserve_given(&log->journal.reserve) && kp_reserve_take(&log->journal.reserve))
        log->sealing.full = false;
    kp_mutex_unlock(&log->sealing.step);
    return code;
}

static enum kp_code finish_retiring(struct kp_log *log, struct kp_error *err)
{
    while (log->sealing.retiring) {
        bool did;
        KP_TRY(kp_sealing_retire(log, &did, err));
        if (!did)
            return kp_fail(err, KP_BUSY, NULL, "the log is being read");
    }
    return KP_OK;
}

static enum kp_code seal_all(struct kp_log *log, struct kp_error *err)
{
    uint64_t first, end;
    KP_TRY(finish_retiring(log, err));
    KP_TRY(begin_file(log, err));
    for (;;) {
        KP_TRY(finish_retiring(log, err));
        choose(log, 1, &first, &end);
        if (first == end)
            return KP_OK;
        KP_TRY(seal_known(log, first, &end, err));
    }
}

enum kp_code kp_sealing_all(struct kp_log *log, struct kp_error *err)
{
    kp_mutex_lock(&log->sealing.step);
    enum kp_code code = seal_all(log, err);
    kp_mutex_unlock(&log->sealing.step);
    return code;
}

/* Locked: mutex. */
static uint64_t unsealed_bytes(struct kp_log *log)
{
    struct kp_journal *journal = &log->journal;
    uint64_t bytes = 0;
    kp_mutex_lock(&journal->mutex);
    for (uint64_t number = KP_MAX(kp_sealing_file_next(&log->sealing), journal->first_number);
         number < journal->current; number++)
        bytes += journal->files[number - journal->first_number].end;
    kp_mutex_unlock(&journal->mutex);
    return bytes;
}

void kp_sealing_file_full(struct kp_log *log)
{
    log->sealing.unsealed_bytes = unsealed_bytes(log);
    kp_cond_signal(&log->sealing.work);
}

void kp_sealing_gap(struct kp_log *log)
{
    atomic_store_explicit(&log->gaps, true, memory_order_release);
    log->sealing.gap = true;
    kp_cond_signal(&log->sealing.work); /* extents may be empty now */
}

/* How much was appended when the sealer last looked. */
struct pace {
    int64_t at_ns;
    uint64_t bytes;
    bool busy;
};

/* Is the disk better left to appends? Locked: mutex; the sealer. */
static bool gives_way(struct kp_log *log, struct pace *pace)
{
    struct kp_sealing *sealing = &log->sealing;
    int64_t at_ns = kp_thread_now_ns();
    uint64_t bytes = atomic_load_explicit(&log->appended_bytes, memory_order_relaxed);
    if (at_ns - pace->at_ns >= BUSY_LOOK_US / 2 * (int64_t)1000) { /* less tells nothing */
        double seconds = (double)(at_ns - pace->at_ns) * 1e-9;
        *pace = (struct pace){at_ns, bytes, (double)(bytes - pace->bytes) > BUSY_BYTES_S * seconds};
    }
    atomic_store(&sealing->urgent, sealing->unsealed_bytes >= kp_sealing_limit_bytes(sealing) / 4 * 3);
    return pace->busy && !sealing->retiring && !atomic_load(&sealing->urgent);
}

void kp_sealing_run(void *arg)
{
    struct kp_log *log = arg;
    struct kp_sealing *sealing = &log->sealing;
    kp_mutex_lock(&log->mutex);
    struct pace pace = {kp_thread_now_ns(), atomic_load(&log->appended_bytes), false};
    while (!log->stopping && log->failure.code == KP_OK) {
        bool did;
        if (gives_way(log, &pace)) {
            (void)kp_cond_wait_us(&sealing->work, &log->mutex, BUSY_LOOK_US);
            continue;
        }
        struct kp_error err;
        kp_mutex_unlock(&log->mutex);
        enum kp_code code = kp_sealing_step(log, &did, &err);
        kp_mutex_lock(&log->mutex);
        kp_error_clear(&sealing->failure);
        if (code != KP_OK)
            sealing->failure = err;
        sealing->unsealed_bytes = unsealed_bytes(log);
        kp_cond_broadcast(&log->space);
        if (log->stopping || log->failure.code != KP_OK)
            break;
        if (code != KP_OK)
            (void)kp_cond_wait_us(&sealing->work, &log->mutex, RETRY_US);
        else if (!did)
            (void)kp_cond_wait_us(&sealing->work, &log->mutex, kp_reserve_given(&log->journal.reserve) ? ROOM_US : -1);
    }
    kp_mutex_unlock(&log->mutex);
}

enum kp_code kp_log_maintain(struct kp_log *log, bool *ret_did, struct kp_error *err)
{
    KP_ASSERT(log->no_threads);
    *ret_did = false;
    if (log->read_only)
        return KP_OK;
    if (kp_snapshot_due(log)) {
        *ret_did = true;
        return kp_snapshot_write(log, err);
    }
    return kp_sealing_step(log, ret_did, err);
}
