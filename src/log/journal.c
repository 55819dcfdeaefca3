/*
 * Journal files and block writes.
 *
 * A file is prepared under a .new name, given its size and header, synced, renamed, its folder synced. The next file is
 * prepared by a thread once the current one is half full, so that a commit seldom waits for it. When blocks are small
 * it is filled with zeros, too: a sync of a block in extents never written before must also make the file system's
 * metadata durable, which costs as much again. When blocks are large that would write everything twice, so it is not.
 *
 * A sealed file is recycled: renumbered as the next one, with a new header. It is written all over already, and what it
 * still holds are blocks of another file number, which no reader takes for its own.
 *
 * Invariant: files up to `current` hold the log; those behind it, if any, are empty and are used in their order.
 */
#include "log/journal.h"

#include <string.h>

#include "base/mem.h"
#include "log/files.h"
#include "log/plant.h"

enum kp_log_plant kp_log_planted;

enum {
    FIRST_FILE_BYTES = 4 << 20, /* small logs stay small */
    SECOND_FILE_BYTES = 64 << 20,
    FILE_BYTES = 256 << 20,
    SPARE_FILES_MAX = 4,          /* recycled files that wait to be written */
    ZERO_BYTES = 1 << 20,         /* written at once when a file is filled with zeros */
    SMALL_BLOCK_BYTES = 256 << 10 /* on average in the current file: the next one is filled with zeros */
};

void kp_journal_init(struct kp_journal *journal, struct kp_os *os, const char *dir, uint64_t file_bytes,
                     bool unsafe_no_sync, bool writes)
{
    memset(journal, 0, sizeof *journal);
    journal->os = os;
    journal->dir = kp_strdup(dir);
    journal->file_bytes = kp_sector_ceil(file_bytes);
    journal->unsafe_no_sync = unsafe_no_sync;
    journal->first_number = 1;
    kp_mutex_init(&journal->mutex);
    kp_cond_init(&journal->changed);
    kp_reserve_init(&journal->reserve, os, journal->dir, unsafe_no_sync || !writes);
}

void kp_journal_finish(struct kp_journal *journal)
{
    if (journal->threaded) {
        kp_mutex_lock(&journal->mutex);
        journal->stopping = true;
        kp_cond_broadcast(&journal->changed);
        kp_mutex_unlock(&journal->mutex);
        kp_thread_join(&journal->preparer);
    }
    if (journal->file)
        journal->os->close(journal->os->ctx, journal->file);
    kp_cond_finish(&journal->changed);
    kp_mutex_finish(&journal->mutex);
    kp_reserve_finish(&journal->reserve);
    kp_free(journal->files);
    kp_free(journal->dir);
}

void kp_journal_file_add(struct kp_journal *journal, uint64_t bytes)
{
    if (journal->file_count == journal->file_cap) {
        journal->file_cap = journal->file_cap ? journal->file_cap * 2 : 8;
        journal->files = kp_realloc(journal->files, journal->file_cap * sizeof *journal->files);
    }
    journal->files[journal->file_count++] = (struct kp_journal_file){bytes, UINT64_MAX};
}

/* ---- making files ---- */

static enum kp_code fill_file(struct kp_journal *journal, struct kp_file *file, const struct kp_file_header *header,
                              bool zeros, struct kp_error *err)
{
    struct kp_os *os = journal->os;
    if (journal->unsafe_no_sync)
        KP_TRY(os->truncate(os->ctx, file, header->file_bytes, err));
    else
        KP_TRY(os->allocate(os->ctx, file, 0, header->file_bytes, err));
    size_t piece_bytes = zeros && !journal->unsafe_no_sync ? ZERO_BYTES : KP_SECTOR_BYTES;
    uint8_t *piece = kp_alloc_aligned(KP_SECTOR_BYTES, piece_bytes);
    memset(piece, 0, piece_bytes);
    enum kp_code code = KP_OK;
    if (piece_bytes == ZERO_BYTES)
        for (uint64_t at = 0; at < header->file_bytes && code == KP_OK; at += ZERO_BYTES)
            code = os->pwrite(os->ctx, file, piece, (size_t)KP_MIN((uint64_t)ZERO_BYTES, header->file_bytes - at), at,
                              err);
    memcpy(piece, header, sizeof *header);
    if (code == KP_OK)
        code = os->pwrite(os->ctx, file, piece, KP_SECTOR_BYTES, 0, err);
    kp_free(piece);
    KP_TRY(code);
    return journal->unsafe_no_sync ? KP_OK : os->sync(os->ctx, file, err);
}

static enum kp_code make_named(struct kp_journal *journal, const struct kp_file_header *header, const char *new_path,
                               const char *path, bool zeros, struct kp_error *err)
{
    struct kp_os *os = journal->os;
    unsigned direct = journal->unsafe_no_sync ? 0 : KP_OPEN_DIRECT;
    struct kp_file *file;
    KP_TRY(kp_files_create(os, new_path, KP_OPEN_READ | direct, &file, err));
    enum kp_code code = fill_file(journal, file, header, zeros, err);
    os->close(os->ctx, file);
    KP_TRY(code);
    KP_TRY(kp_files_rename(os, new_path, path, err));
    if (journal->unsafe_no_sync || kp_log_planted == KP_PLANT_NO_DIR_SYNC)
        return KP_OK;
    code = kp_files_sync(os, journal->dir, err);
    if (code == KP_FULL) { /* the name is of this file or of an empty one that it replaced: nothing may go on there */
        code = KP_IO;
        if (err)
            err->code = code;
    }
    return code;
}

static struct kp_file_header file_header(const struct kp_journal *journal, uint64_t number, uint64_t bytes)
{
    struct kp_file_header header = {
        .format = KP_JOURNAL_FORMAT,
        .header_bytes = KP_SECTOR_BYTES,
        .generation = journal->generation,
        .file_number = number,
        .file_bytes = bytes,
        .created_us = journal->os->wall_us(journal->os->ctx),
    };
    memcpy(header.magic, KP_JOURNAL_MAGIC, sizeof header.magic);
    header.crc = kp_file_header_crc(&header);
    return header;
}

/* Makes file `number` durably; replaces an empty one of that name. No lock held. */
static enum kp_code make_sized(struct kp_journal *journal, uint64_t number, uint64_t bytes, bool zeros,
                               struct kp_error *err)
{
    struct kp_file_header header = file_header(journal, number, bytes);
    char *new_path = kp_journal_path(journal->dir, number, KP_JOURNAL_NEW_SUFFIX);
    char *path = kp_journal_path(journal->dir, number, KP_JOURNAL_SUFFIX);
    enum kp_code code = make_named(journal, &header, new_path, path, zeros, err);
    if (code != KP_OK)
        kp_files_discard(journal->os, new_path); /* gives the space back */
    kp_free(path);
    kp_free(new_path);
    return code;
}

/* Of a file that is made in the room that the reserve left. */
static uint64_t small_bytes(const struct kp_journal *journal, uint64_t bytes_min)
{
    uint64_t small = journal->file_bytes ? journal->file_bytes : (uint64_t)KP_RESERVE_FILE_BYTES;
    return KP_MAX(KP_MIN(small, (uint64_t)KP_RESERVE_FILE_BYTES), bytes_min);
}

/* As large as it is due, or, when there is no room for that and for what sealing it takes, smaller; a small one in the
 * room that the reserve left. */
static enum kp_code make_due(struct kp_journal *journal, uint64_t number, uint64_t bytes_min, bool zeros,
                             uint64_t *ret_bytes, struct kp_error *err)
{
    static const uint64_t sizes[] = {FILE_BYTES, SECOND_FILE_BYTES, FIRST_FILE_BYTES};
    size_t at = journal->file_bytes ? KP_COUNT(sizes) - 1 : number < KP_COUNT(sizes) ? KP_COUNT(sizes) - number : 0;
    for (;; at++) {
        if (kp_reserve_given(&journal->reserve)) { /* it may be at any time */
            *ret_bytes = small_bytes(journal, bytes_min);
            return make_sized(journal, number, *ret_bytes, false, err);
        }
        uint64_t bytes = KP_MAX(journal->file_bytes ? journal->file_bytes : sizes[at], bytes_min);
        uint64_t before;
        enum kp_code code = kp_reserve_keep(&journal->reserve, bytes, &before, err);
        if (code == KP_OK) {
            code = make_sized(journal, number, bytes, zeros, err);
            if (code == KP_FULL)
                kp_reserve_lower(&journal->reserve, before);
        }
        if (code == KP_OK)
            *ret_bytes = bytes;
        if (code != KP_FULL || at + 1 >= KP_COUNT(sizes))
            return code;
    }
}

/*
 * Makes file `number` of at least bytes_min. A large one may have taken some of the room that the reserve left, when
 * that was given up while it was made: then a small one takes its place, if it can.
 */
static enum kp_code make_file(struct kp_journal *journal, uint64_t number, uint64_t bytes_min, bool zeros,
                              uint64_t *ret_bytes, struct kp_error *err)
{
    uint64_t small = small_bytes(journal, bytes_min), bytes = 0;
    KP_TRY(make_due(journal, number, bytes_min, zeros, &bytes, err));
    if (bytes > small && kp_reserve_given(&journal->reserve)) {
        enum kp_code code = make_sized(journal, number, small, false, err);
        if (code != KP_FULL)
            KP_TRY(code);
        bytes = code == KP_OK ? small : bytes;
    }
    *ret_bytes = bytes;
    return KP_OK;
}

enum kp_code kp_journal_create(struct kp_journal *journal, struct kp_error *err)
{
    uint64_t bytes;
    journal->os->random(journal->os->ctx, &journal->generation, sizeof journal->generation);
    KP_TRY(make_file(journal, 1, 2 * KP_SECTOR_BYTES, true, &bytes, err));
    kp_journal_file_add(journal, bytes);
    journal->end = (struct kp_journal_end){.file_number = 1, .offset = KP_SECTOR_BYTES};
    return KP_OK;
}

/* ---- the next file ---- */

/* Locked; unlocks while it works. A failure is left to the commit that needs the file: it tries again itself. */
static void prepare_next(struct kp_journal *journal)
{
    uint64_t number = kp_journal_last_number(journal) + 1, bytes;
    bool zeros = journal->prewrite;
    journal->preparing = true;
    kp_mutex_unlock(&journal->mutex);
    enum kp_code code = make_file(journal, number, 0, zeros, &bytes, NULL);
    kp_mutex_lock(&journal->mutex);
    if (code == KP_OK)
        kp_journal_file_add(journal, bytes);
    journal->preparing = false;
    kp_cond_broadcast(&journal->changed);
}

static void run_preparer(void *arg)
{
    struct kp_journal *journal = arg;
    kp_mutex_lock(&journal->mutex);
    while (!journal->stopping) {
        if (!journal->wanted || journal->preparing || kp_journal_last_number(journal) > journal->current) {
            kp_cond_wait(&journal->changed, &journal->mutex);
            continue;
        }
        journal->wanted = false; /* once for each file: on a full disk the commit reports it */
        if (!kp_reserve_given(&journal->reserve))
            prepare_next(journal);
    }
    kp_mutex_unlock(&journal->mutex);
}

/* ---- recycling ---- */

static enum kp_code write_file_header(struct kp_journal *journal, const char *path, const struct kp_file_header *header,
                                      struct kp_error *err)
{
    struct kp_os *os = journal->os;
    struct kp_file *file;
    unsigned direct = journal->unsafe_no_sync ? 0 : KP_OPEN_DIRECT;
    KP_TRY(os->open(os->ctx, path, KP_OPEN_READ | KP_OPEN_WRITE | direct, &file, err));
    uint8_t *sector = kp_alloc_aligned(KP_SECTOR_BYTES, KP_SECTOR_BYTES);
    memset(sector, 0, KP_SECTOR_BYTES);
    memcpy(sector, header, sizeof *header);
    enum kp_code code = os->pwrite(os->ctx, file, sector, KP_SECTOR_BYTES, 0, err);
    kp_free(sector);
    if (code == KP_OK && !journal->unsafe_no_sync)
        code = os->sync(os->ctx, file, err);
    os->close(os->ctx, file);
    return code;
}

static enum kp_code sync_names(struct kp_journal *journal, struct kp_error *err)
{
    return journal->unsafe_no_sync ? KP_OK : kp_files_sync(journal->os, journal->dir, err);
}

/* Its old name must be gone for certain before the file says another number: a file is what its name says. */
static enum kp_code renumber(struct kp_journal *journal, const char *old_path, const char *new_path, const char *path,
                             const struct kp_file_header *header, struct kp_error *err)
{
    struct kp_os *os = journal->os;
    KP_TRY(kp_files_rename(os, old_path, new_path, err));
    if (kp_log_planted != KP_PLANT_RENUMBERED_EARLY)
        KP_TRY(sync_names(journal, err));
    KP_TRY(write_file_header(journal, new_path, header, err));
    KP_TRY(kp_files_rename(os, new_path, path, err));
    return sync_names(journal, err);
}

/* preparing is set: no other file is made meanwhile. */
static enum kp_code recycle_as(struct kp_journal *journal, const char *old_path, uint64_t target, uint64_t bytes,
                               struct kp_error *err)
{
    struct kp_file_header header = file_header(journal, target, bytes);
    char *new_path = kp_journal_path(journal->dir, target, KP_JOURNAL_NEW_SUFFIX);
    char *path = kp_journal_path(journal->dir, target, KP_JOURNAL_SUFFIX);
    enum kp_code code = renumber(journal, old_path, new_path, path, &header, err);
    if (code != KP_OK)
        kp_files_discard(journal->os, new_path);
    kp_free(path);
    kp_free(new_path);
    return code;
}

static enum kp_code recycle(struct kp_journal *journal, const char *path, uint64_t bytes, struct kp_error *err)
{
    kp_mutex_lock(&journal->mutex);
    while (journal->preparing)
        kp_cond_wait(&journal->changed, &journal->mutex);
    uint64_t last = kp_journal_last_number(journal);
    bool keep = last - journal->current < SPARE_FILES_MAX && !kp_reserve_given(&journal->reserve) &&
                bytes == (journal->file_bytes ? journal->file_bytes : (uint64_t)FILE_BYTES);
    journal->preparing = keep;
    kp_mutex_unlock(&journal->mutex);
    if (!keep)
        return kp_files_remove(journal->os, path, err);
    enum kp_code code = recycle_as(journal, path, last + 1, bytes, err);
    kp_mutex_lock(&journal->mutex);
    if (code == KP_OK)
        kp_journal_file_add(journal, bytes);
    journal->preparing = false;
    kp_cond_broadcast(&journal->changed);
    kp_mutex_unlock(&journal->mutex);
    return code;
}

enum kp_code kp_journal_recycle(struct kp_journal *journal, uint64_t number, struct kp_error *err)
{
    char *path = kp_journal_path(journal->dir, number, KP_JOURNAL_SUFFIX);
    uint64_t bytes = kp_journal_file_get(journal, number).bytes;
    enum kp_code code = recycle(journal, path, bytes, err);
    kp_free(path);
    return code;
}

enum kp_code kp_journal_adopt(struct kp_journal *journal, uint64_t number, struct kp_error *err)
{
    char *from = kp_journal_path(journal->dir, number, KP_JOURNAL_SUFFIX);
    char *to = kp_journal_path(journal->dir, number, KP_ADOPTED_SUFFIX);
    enum kp_code code = kp_files_rename(journal->os, from, to, err);
    kp_free(to);
    kp_free(from);
    return code;
}

/* Bytes of the adopted file; 0: it is not to be used again. */
static uint64_t usable_bytes(struct kp_journal *journal, const char *path)
{
    struct kp_os *os = journal->os;
    struct kp_file *file;
    char *links = kp_files_path(journal->dir, KP_FILES_LINKS, ""); /* a backup has the file by another name */
    bool copied = os->open(os->ctx, links, KP_OPEN_READ, &file, NULL) == KP_OK;
    kp_free(links);
    if (copied)
        os->close(os->ctx, file);
    uint64_t bytes = 0;
    if (copied || os->open(os->ctx, path, KP_OPEN_READ, &file, NULL) != KP_OK)
        return 0;
    if (os->size(os->ctx, file, &bytes, NULL) != KP_OK)
        bytes = 0;
    os->close(os->ctx, file);
    return bytes;
}

enum kp_code kp_journal_recycle_adopted(struct kp_journal *journal, uint64_t number, struct kp_error *err)
{
    (void)!kp_journal_adopt(journal, number, NULL); /* it kept its old name if that failed */
    char *path = kp_journal_path(journal->dir, number, KP_ADOPTED_SUFFIX);
    enum kp_code code = recycle(journal, path, usable_bytes(journal, path), err);
    kp_free(path);
    return code;
}

static enum kp_code open_current(struct kp_journal *journal, struct kp_error *err)
{
    struct kp_os *os = journal->os;
    char *path = kp_journal_path(journal->dir, journal->end.file_number, KP_JOURNAL_SUFFIX);
    struct kp_file *file;
    unsigned direct = journal->unsafe_no_sync ? 0 : KP_OPEN_DIRECT;
    enum kp_code code = os->open(os->ctx, path, KP_OPEN_READ | KP_OPEN_WRITE | direct, &file, err);
    kp_free(path);
    KP_TRY(code);
    if (journal->file)
        os->close(os->ctx, journal->file);
    journal->file = file;
    return KP_OK;
}

enum kp_code kp_journal_start(struct kp_journal *journal, bool threaded, struct kp_error *err)
{
    journal->current = journal->end.file_number;
    KP_TRY(open_current(journal, err));
    journal->threaded = threaded;
    if (threaded)
        kp_thread_start(&journal->preparer, "kappa-prepare", 0, run_preparer, journal);
    return KP_OK;
}

/* Goes on to the next file, which must hold a block of block_bytes. */
static enum kp_code switch_file(struct kp_journal *journal, uint64_t block_bytes, struct kp_error *err)
{
    uint64_t number = journal->end.file_number + 1, bytes_min = KP_SECTOR_BYTES + block_bytes, bytes = 0;
    if (journal->unsynced) /* the rest of a commit goes to another file */
        KP_TRY(journal->os->sync(journal->os->ctx, journal->file, err));
    journal->unsynced = false;
    kp_mutex_lock(&journal->mutex);
    while (journal->preparing)
        kp_cond_wait(&journal->changed, &journal->mutex);
    bool ready =
        kp_journal_last_number(journal) >= number && journal->files[number - journal->first_number].bytes >= bytes_min;
    journal->preparing = true; /* keeps the preparer away */
    kp_mutex_unlock(&journal->mutex);

    enum kp_code code = ready ? KP_OK : make_file(journal, number, bytes_min, false, &bytes, err);
    journal->refused = code == KP_FULL;
    struct kp_journal_end before = journal->end;
    if (code == KP_OK) {
        journal->end.file_number = number;
        journal->end.offset = KP_SECTOR_BYTES;
        code = open_current(journal, err);
    }
    kp_mutex_lock(&journal->mutex);
    journal->preparing = false;
    if (code == KP_OK) {
        if (!ready && kp_journal_last_number(journal) >= number)
            journal->files[number - journal->first_number].bytes = bytes;
        else if (!ready)
            kp_journal_file_add(journal, bytes);
        journal->files[before.file_number - journal->first_number].end = before.offset;
        journal->current = number;
        journal->wanted = false;
        journal->block_bytes = journal->block_count = 0;
    }
    kp_cond_broadcast(&journal->changed);
    kp_mutex_unlock(&journal->mutex);
    return code;
}

struct kp_journal_file kp_journal_file_get(struct kp_journal *journal, uint64_t file_number)
{
    kp_mutex_lock(&journal->mutex);
    KP_ASSERT(file_number >= journal->first_number && file_number <= kp_journal_last_number(journal));
    struct kp_journal_file file = journal->files[file_number - journal->first_number];
    kp_mutex_unlock(&journal->mutex);
    return file;
}

uint64_t kp_journal_following(struct kp_journal *journal, uint64_t location, uint64_t block_bytes)
{
    uint64_t next = location + block_bytes, number = kp_location_file(location);
    if (kp_location_offset(next) >= kp_journal_file_get(journal, number).end)
        return kp_location(number + 1, KP_SECTOR_BYTES);
    return next;
}

/* ---- blocks ---- */

/* Wakes the preparer when the current file is half full. */
static void want_next(struct kp_journal *journal, uint64_t file_bytes, uint64_t block_bytes)
{
    uint64_t half = file_bytes / 2, offset = journal->end.offset;
    if (!journal->threaded || offset < half || offset - block_bytes >= half)
        return;
    kp_mutex_lock(&journal->mutex);
    journal->wanted = true;
    journal->prewrite = journal->block_bytes < journal->block_count * SMALL_BLOCK_BYTES;
    kp_cond_broadcast(&journal->changed);
    kp_mutex_unlock(&journal->mutex);
}

uint64_t kp_journal_left(struct kp_journal *journal)
{
    return kp_journal_file_get(journal, journal->end.file_number).bytes - journal->end.offset;
}

static enum kp_code write_bytes(struct kp_journal *journal, const void *bytes, size_t len, uint64_t offset, bool sync,
                                struct kp_error *err)
{
    struct kp_os *os = journal->os;
    if (!sync || kp_log_planted == KP_PLANT_ACK_BEFORE_SYNC)
        return os->pwrite(os->ctx, journal->file, bytes, len, offset, err);
    enum kp_code code = os->pwrite_sync(os->ctx, journal->file, bytes, len, offset, err);
    if (code != KP_OK && kp_log_planted == KP_PLANT_RETRY_SYNC)
        return os->sync(os->ctx, journal->file, err);
    return code;
}

static void complete_header(struct kp_journal *journal, struct kp_block_header *block)
{
    const struct kp_journal_end *end = &journal->end;
    int64_t now_us = block->log_time_us ? block->log_time_us : journal->os->wall_us(journal->os->ctx);
    block->magic = KP_BLOCK_MAGIC;
    block->format = KP_JOURNAL_FORMAT;
    block->flags |= journal->unsafe_no_sync ? KP_BLOCK_UNSYNCED : 0;
    block->generation = journal->generation;
    block->sequence = end->sequence + 1;
    block->file_number = end->file_number;
    block->file_offset = end->offset;
    block->log_time_us = kp_log_planted == KP_PLANT_CLOCK_BACK ? now_us : KP_MAX(now_us, end->log_time_us);
    block->previous_crc = end->previous_crc;
    block->durable_sequence = kp_log_planted == KP_PLANT_VOUCHES_EARLY ? block->sequence : journal->durable_sequence;
    block->durable_position = journal->durable_position;
    KP_ASSERT(block->position == end->position);
    block->header_crc = kp_block_header_crc(block);
}

/* Gives the block its place behind all others. */
static void place_block(struct kp_journal *journal, struct kp_block_header *block)
{
    struct kp_journal_end *end = &journal->end;
    complete_header(journal, block);
    end->offset += kp_block_bytes(block);
    end->sequence = block->sequence;
    end->previous_crc = block->header_crc;
    end->position += block->records;
    end->log_time_us = block->log_time_us;
    end->closed = block->flags & KP_BLOCK_CLOSED;
}

static uint64_t bytes_together(const struct kp_block_header *blocks, size_t count)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += kp_block_bytes((const void *)((const uint8_t *)blocks + bytes));
    return bytes;
}

enum kp_code kp_journal_write(struct kp_journal *journal, struct kp_block_header *blocks, size_t count, uint64_t room,
                              bool sync, struct kp_error *err)
{
    struct kp_journal_end *end = &journal->end;
    uint64_t bytes = bytes_together(blocks, count);
    journal->refused = false;
    uint64_t file_bytes = kp_journal_file_get(journal, end->file_number).bytes;
    bool roll = !(blocks->flags & KP_BLOCK_CONTINUED) && atomic_exchange(&journal->roll, false) &&
                end->offset > KP_SECTOR_BYTES;
    if (roll || KP_MAX(bytes, room) > file_bytes - end->offset) {
        KP_TRY(switch_file(journal, KP_MAX(bytes, room), err));
        file_bytes = kp_journal_file_get(journal, end->file_number).bytes;
    }
    struct kp_journal_end before = *end;
    for (struct kp_block_header *block = blocks; end->offset < before.offset + bytes;
         block = (void *)((uint8_t *)blocks + (end->offset - before.offset)))
        place_block(journal, block);
    sync = sync && !journal->unsafe_no_sync;
    enum kp_code code = write_bytes(journal, blocks, (size_t)bytes, before.offset, sync, err);
    if (code != KP_OK) {
        *end = before;
        return code;
    }
    journal->block_count += count;
    journal->block_bytes += bytes;
    journal->unsynced = !sync && !journal->unsafe_no_sync;
    if (sync) {
        journal->durable_sequence = end->sequence;
        journal->durable_position = end->position;
    }
    want_next(journal, file_bytes, bytes);
    return KP_OK;
}
