/*
 * The rules are in log/format.h. In steps:
 *
 *   1. List the folder, remove files being prepared, read every file's header; numbers must have no gap. When the first
 *      files were sealed, an extent's header says what the first one left follows (log/extent.h).
 *   2. Walk the chain, from a snapshot's place if there is one (log/snapshot.h). A group of one block is applied at
 *      once; of a longer one the walk first looks ahead to its last block, and applies it only if it is there.
 *   3. At the end of the chain, look beyond it for blocks that are valid by their header. One that knows the missing
 *      block as durable: it has rotted, so note the hole and walk on behind it. Else zero their headers, last first.
 *   4. Sync what was read: a block may have been written, and survived a kill, without its sync.
 */
#include "log/recover.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "log/files.h"
#include "log/plant.h"
#include "log/snapshot.h"

enum { SCAN_READ_BYTES = 4 << 20, SEARCH_READ_BYTES = 1 << 20, READ_ONLY_TRIES = 100, LOOKS = 100 };

#define BEYOND_WITNESS UINT64_MAX /* in the place of a block's location: behind what a snapshot knows as durable */

/* ---- files ---- */

static void list_one(void *arg, const char *name)
{
    struct kp_folder *folder = arg;
    uint64_t number = kp_journal_name_number(name, KP_JOURNAL_SUFFIX);
    if (number)
        kp_buf_append(&folder->journals, &number, sizeof number);
    number = kp_journal_name_number(name, KP_EXTENT_SUFFIX);
    if (number)
        kp_buf_append(&folder->extents, &number, sizeof number);
    number = kp_journal_name_number(name, KP_ADOPTED_SUFFIX) | KP_ADOPTED;
    if (number != KP_ADOPTED)
        kp_buf_append(&folder->extents, &number, sizeof number);
    if (kp_journal_name_number(name, KP_JOURNAL_NEW_SUFFIX) || kp_journal_name_number(name, KP_EXTENT_NEW_SUFFIX) ||
        strcmp(name, KP_SNAPSHOT_NAME ".new") == 0)
        kp_buf_append(&folder->leftovers, name, strlen(name) + 1);
}

static int by_number(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

enum kp_code kp_folder_missing(const char *dir, uint64_t first, struct kp_error *err)
{
    kp_fail(err, KP_CORRUPT, NULL,
            "journal files are missing in \"%s\" before file %llu, and so is the extent that they became", dir,
            (unsigned long long)first);
    return kp_error_hint(err, "Put the missing files back, or restore a backup. Nothing was changed.");
}

/* In the place of an anchor that has rotted, or is not there: what the journal's first block says of what is before it.
 */
static bool lose_anchor(struct kp_os *os, const char *dir, struct kp_folder *folder)
{
    struct kp_block_scan scan;
    struct kp_file_header header = {.crc = 0};
    const struct kp_block_header *block = NULL;
    const char *wrong;
    char *path = kp_journal_path(dir, folder->first, KP_JOURNAL_SUFFIX);
    kp_block_scan_init(&scan, os, dir, 0, SEARCH_READ_BYTES);
    enum kp_code code = kp_block_scan_seek(&scan, folder->first, KP_SECTOR_BYTES, NULL);
    if (code == KP_OK)
        code = kp_file_header_read(os, scan.file, path, folder->first, &header, NULL);
    scan.generation = header.generation;
    if (code == KP_OK)
        code = kp_block_scan_peek_header(&scan, &block, &wrong, NULL);
    bool found = code == KP_OK && block && !(block->flags & KP_BLOCK_CONTINUED);
    if (found)
        folder->anchor = (struct kp_extent_header){.generation = header.generation,
                                                   .position_end = block->position,
                                                   .log_time_us = block->log_time_us,
                                                   .file_last = folder->first - 1,
                                                   .sequence = block->sequence - 1,
                                                   .previous_crc = block->previous_crc};
    kp_block_scan_finish(&scan);
    kp_free(path);
    return found;
}

/*
 * The extent behind which the journal is to be read, when its first files are gone: of the mixed extents that end at
 * or behind the file before the first, the one that ends first. It was recorded as sealed, or that file would be there;
 * and no other that was not recorded ends so early. The newest are looked at first: mostly it is among them, and ends
 * right before the first file. KP_NOT_FOUND: it may have gone since the folder was listed.
 */
static enum kp_code find_anchor(struct kp_os *os, const char *dir, struct kp_folder *folder, struct kp_error *err)
{
    bool found = false, went = false;
    for (size_t i = kp_folder_count(&folder->extents); i-- > 0 && !found;) {
        struct kp_extent_header header;
        struct kp_error wrong;
        if (kp_extent_adopted(kp_folder_number(&folder->extents, i)))
            continue;
        enum kp_code code =
            kp_extent_header_read(os, dir, kp_folder_number(&folder->extents, i), false, &header, &wrong);
        went |= code == KP_NOT_FOUND;
        if (code == KP_CORRUPT || code == KP_NOT_FOUND) /* if it is the one, it will be missed */
            continue;
        if (code != KP_OK && err)
            *err = wrong;
        KP_TRY(code);
        if (header.kind == KP_EXTENT_MIXED && header.file_last + 1 >= folder->first &&
            header.file_last < folder->last && (!folder->anchor.number || header.file_last < folder->anchor.file_last))
            folder->anchor = header;
        found = folder->anchor.number && folder->anchor.file_last + 1 == folder->first;
    }
    if (!found && went)
        return kp_fail(err, KP_NOT_FOUND, NULL, "extents of the log in \"%s\" go while it is looked at", dir);
    if (folder->anchor.number)
        folder->first = folder->anchor.file_last + 1;
    else if (!lose_anchor(os, dir, folder))
        return kp_folder_missing(dir, folder->first, err);
    return KP_OK;
}

static enum kp_code look(struct kp_os *os, const char *dir, struct kp_folder *folder, struct kp_error *err)
{
    KP_TRY(os->list(os->ctx, dir, list_one, folder, err));
    size_t tail = kp_folder_count(&folder->journals);
    if (!tail && !folder->extents.len)
        return KP_OK;
    if (!tail--)
        return kp_folder_missing(dir, 1, err);
    qsort(folder->journals.data, tail + 1, sizeof(uint64_t), by_number);
    if (folder->extents.len)
        qsort(folder->extents.data, kp_folder_count(&folder->extents), sizeof(uint64_t), by_number);
    folder->last = kp_folder_number(&folder->journals, tail);
    while (tail > 0 && kp_folder_number(&folder->journals, tail - 1) + 1 == kp_folder_number(&folder->journals, tail))
        tail--;
    folder->first = kp_folder_number(&folder->journals, tail);
    return folder->first > 1 ? find_anchor(os, dir, folder, err) : KP_OK;
}

enum kp_code kp_folder_look(struct kp_os *os, const char *dir, struct kp_folder *ret_folder, struct kp_error *err)
{
    enum kp_code code = KP_NOT_FOUND;
    for (int tries = 0; code == KP_NOT_FOUND && tries < LOOKS; tries++) {
        struct kp_folder folder = {0};
        code = look(os, dir, &folder, err);
        if (code == KP_OK)
            *ret_folder = folder;
        else
            kp_folder_finish(&folder);
    }
    return code;
}

static enum kp_code read_state(struct kp_os *os, const char *dir, const struct kp_extent_header *header,
                               struct kp_buf *ret_state, struct kp_error *err)
{
    struct kp_extent_file file;
    kp_extent_file_init(&file, os, dir, false);
    enum kp_code code = kp_extent_state_read(&file, header, ret_state, err);
    kp_extent_file_finish(&file);
    return code;
}

/* The state of the last mixed extent that ends before the position and of which that can be read, if there is one. */
static void state_before(struct kp_os *os, const char *dir, const struct kp_folder *folder, int64_t position,
                         struct kp_buf *ret_state, int64_t *ret_position)
{
    *ret_position = 0;
    for (size_t i = 0; i < kp_folder_count(&folder->extents); i++) {
        struct kp_extent_header header;
        struct kp_buf state;
        uint64_t number = kp_folder_number(&folder->extents, i);
        if (kp_extent_adopted(number) || kp_extent_header_read(os, dir, number, false, &header, NULL) != KP_OK ||
            header.kind != KP_EXTENT_MIXED || header.position_end >= position || header.position_end <= *ret_position ||
            read_state(os, dir, &header, &state, NULL) != KP_OK)
            continue;
        kp_buf_finish(ret_state);
        *ret_state = state;
        *ret_position = header.position_end;
    }
}

enum kp_code kp_folder_state(struct kp_os *os, const char *dir, const struct kp_folder *folder,
                             struct kp_buf *ret_state, int64_t *ret_position, struct kp_error *err)
{
    const struct kp_extent_header *anchor = &folder->anchor;
    enum kp_code code = anchor->number ? read_state(os, dir, anchor, ret_state, err) : KP_CORRUPT;
    *ret_position = anchor->position_end;
    if (code != KP_CORRUPT)
        return code;
    *ret_state = (struct kp_buf){0};
    state_before(os, dir, folder, anchor->position_end, ret_state, ret_position);
    return KP_OK;
}

enum kp_code kp_folder_look_state(struct kp_os *os, const char *dir, struct kp_folder *ret_folder,
                                  struct kp_buf *ret_state, int64_t *ret_position, struct kp_error *err)
{
    enum kp_code code = KP_NOT_FOUND;
    for (int tries = 0; code == KP_NOT_FOUND && tries < LOOKS; tries++) {
        KP_TRY(kp_folder_look(os, dir, ret_folder, err));
        *ret_state = (struct kp_buf){0};
        *ret_position = 0;
        code =
            ret_folder->anchor.file_last ? kp_folder_state(os, dir, ret_folder, ret_state, ret_position, err) : KP_OK;
        if (code != KP_OK)
            kp_folder_finish(ret_folder);
    }
    return code;
}

void kp_folder_finish(struct kp_folder *folder)
{
    kp_buf_finish(&folder->journals);
    kp_buf_finish(&folder->extents);
    kp_buf_finish(&folder->leftovers);
}

static enum kp_code refuse_short(const char *path, uint64_t bytes, uint64_t made, struct kp_error *err)
{
    (void)kp_fail(err, KP_CORRUPT, NULL, "\"%s\" is damaged: it has %llu bytes of %llu", path,
                  (unsigned long long)bytes, (unsigned long long)made);
    return kp_error_hint(err,
                         "Restore it from a backup. Or give it its size back (truncate -s %llu): then what is gone is "
                         "damage that is told, and the rest is read.",
                         (unsigned long long)made);
}

/* Does a file, whose header has rotted, hold no block at all? Then it was prepared, and never used. */
static bool is_unused(const struct kp_journal *journal, uint64_t number)
{
    struct kp_block_scan scan;
    const struct kp_block_header *block = NULL;
    const char *wrong;
    kp_block_scan_init(&scan, journal->os, journal->dir, journal->generation, SEARCH_READ_BYTES);
    enum kp_code code = kp_block_scan_seek(&scan, number, KP_SECTOR_BYTES, NULL);
    for (; code == KP_OK && !block && scan.offset < scan.file_bytes; scan.offset += KP_SECTOR_BYTES)
        code = kp_block_scan_peek_header(&scan, &block, &wrong, NULL);
    kp_block_scan_finish(&scan);
    return code == KP_OK && !block;
}

static enum kp_code take_file(struct kp_journal *journal, const char *path, const struct kp_file_header *header,
                              uint64_t bytes, struct kp_error *err)
{
    if (journal->generation && header->generation != journal->generation)
        return kp_fail(err, KP_CORRUPT, NULL, "\"%s\" belongs to another log", path);
    if (bytes < header->file_bytes)
        return refuse_short(path, bytes, header->file_bytes, err);
    journal->generation = header->generation;
    kp_journal_file_add(journal, header->file_bytes);
    return KP_OK;
}

/* *ret_unused: the newest file of several is not added, since it holds nothing but a header, which has rotted. If it
 * was used after all, and all of it has rotted, the snapshot knows (check_files). */
static enum kp_code add_file(struct kp_journal *journal, uint64_t number, bool newest, bool *ret_unused,
                             struct kp_error *err)
{
    struct kp_os *os = journal->os;
    char *path = kp_journal_path(journal->dir, number, KP_JOURNAL_SUFFIX);
    struct kp_file *file;
    enum kp_code code = os->open(os->ctx, path, KP_OPEN_READ, &file, err);
    if (code == KP_OK) {
        struct kp_file_header header = {.file_number = number};
        uint64_t bytes;
        code = os->size(os->ctx, file, &bytes, err);
        if (code == KP_OK)
            code = kp_file_header_read(os, file, path, number, &header, err);
        if (code == KP_CORRUPT && kp_file_header_rotten(os, file, number, bytes, &header.generation)) {
            header.file_bytes = bytes; /* it never changes its size */
            code = KP_OK;
        }
        *ret_unused = code == KP_CORRUPT && newest && is_unused(journal, number);
        os->close(os->ctx, file);
        if (*ret_unused)
            code = KP_OK;
        else if (code == KP_OK)
            code = take_file(journal, path, &header, bytes, err);
    }
    kp_free(path);
    return code;
}

static enum kp_code remove_unused(const struct kp_journal *journal, uint64_t number, struct kp_error *err)
{
    char *path = kp_journal_path(journal->dir, number, KP_JOURNAL_SUFFIX);
    enum kp_code code = kp_files_remove(journal->os, path, err);
    kp_free(path);
    return code;
}

static enum kp_code remove_leftovers(struct kp_journal *journal, const struct kp_buf *names, struct kp_error *err)
{
    struct kp_buf path = {0};
    enum kp_code code = KP_OK;
    for (size_t at = 0; at < names->len && code == KP_OK; at += strlen((const char *)names->data + at) + 1) {
        path.len = 0;
        kp_buf_printf(&path, "%s/%s", journal->dir, (const char *)names->data + at);
        kp_buf_append_byte(&path, 0);
        code = kp_files_remove(journal->os, (const char *)path.data, err);
    }
    kp_buf_finish(&path);
    return code;
}

static enum kp_code find_files(struct kp_recovery *recovery, struct kp_error *err)
{
    struct kp_journal *journal = recovery->journal;
    struct kp_folder *folder = &recovery->folder;
    KP_TRY(kp_folder_look(journal->os, journal->dir, folder, err));
    if (!recovery->read_only)
        KP_TRY(remove_leftovers(journal, &folder->leftovers, err));
    if (!folder->last)
        return KP_OK;
    journal->first_number = folder->first;
    journal->generation = folder->anchor.generation;
    for (uint64_t number = folder->first; number <= folder->last; number++) {
        bool unused = false, newest = number == folder->last && number > folder->first;
        KP_TRY(add_file(journal, number, newest, &unused, err));
        if (unused && !recovery->read_only)
            KP_TRY(remove_unused(journal, number, err));
    }
    return KP_OK;
}

/* ---- the chain ---- */

/* Why the block that the scan stands before is not the next one of the chain, or NULL. */
static const char *not_next(const struct kp_block_header *block, const struct kp_journal_end *end)
{
    if (kp_log_planted == KP_PLANT_STALE_TAKEN)
        return NULL;
    if (block->sequence != end->sequence + 1)
        return "it is not the next block";
    if (block->previous_crc != end->previous_crc)
        return "it does not follow the block before it";
    if (block->position != end->position)
        return "its position does not follow the block before it";
    return NULL;
}

static void advance(struct kp_journal_end *end, const struct kp_block_header *block)
{
    end->file_number = block->file_number;
    end->offset = block->file_offset + kp_block_bytes(block);
    end->sequence = block->sequence;
    end->previous_crc = block->header_crc;
    end->position = block->position + block->records;
    end->log_time_us = block->log_time_us;
    end->closed = block->flags & KP_BLOCK_CLOSED;
}

/* The next block of the chain behind *end, or NULL and why there is none. Leaves the scan before it. */
static enum kp_code next_block(struct kp_journal *journal, struct kp_block_scan *scan, const struct kp_journal_end *end,
                               const struct kp_block_header **ret_block, const char **ret_wrong, struct kp_error *err)
{
    const struct kp_block_header *block;
    const char *wrong;
    for (int next_file = 0; next_file < 2; next_file++) {
        uint64_t number = end->file_number + (uint64_t)next_file;
        if (number > kp_journal_last_number(journal))
            break;
        KP_TRY(kp_block_scan_seek(scan, number, next_file ? KP_SECTOR_BYTES : end->offset, err));
        KP_TRY(kp_block_scan_peek(scan, &block, &wrong, err));
        if (!wrong)
            wrong = not_next(block, end);
        if (!wrong) {
            *ret_block = block;
            return KP_OK;
        }
        if (!next_file)
            *ret_wrong = wrong;
    }
    *ret_block = NULL;
    return KP_OK;
}

/* Is the whole group there that begins with the block behind *end? Returns its last sequence, 0 if not. */
static enum kp_code look_ahead(struct kp_journal *journal, const struct kp_journal_end *end, uint64_t *ret_last,
                               struct kp_error *err)
{
    struct kp_block_scan scan;
    struct kp_journal_end at = *end;
    enum kp_code code = KP_OK;
    kp_block_scan_init(&scan, journal->os, journal->dir, journal->generation, SEARCH_READ_BYTES);
    for (*ret_last = 0; *ret_last == 0;) {
        const struct kp_block_header *block;
        const char *wrong;
        code = next_block(journal, &scan, &at, &block, &wrong, err);
        if (code != KP_OK || !block)
            break;
        advance(&at, block);
        if (!(block->flags & KP_BLOCK_CONTINUES))
            *ret_last = block->sequence;
    }
    kp_block_scan_finish(&scan);
    return code;
}

static enum kp_code walk_chain(struct kp_recovery *recovery, struct kp_block_scan *scan, struct kp_error *err)
{
    struct kp_journal *journal = recovery->journal;
    uint64_t whole = 0; /* groups are known to be whole up to this sequence */
    for (;;) {
        const struct kp_block_header *block;
        const char *wrong;
        KP_TRY(next_block(journal, scan, &journal->end, &block, &wrong, err));
        if (!block)
            return KP_OK;
        if ((block->flags & KP_BLOCK_CONTINUES) && block->sequence > whole &&
            kp_log_planted != KP_PLANT_PARTIAL_GROUP) {
            KP_TRY(look_ahead(journal, &journal->end, &whole, err));
            if (!whole)
                return KP_OK;
        }
        if (kp_log_planted == KP_PLANT_CUT_EARLY && (block->flags & (KP_BLOCK_CLOSED | KP_BLOCK_CONTINUES)) == 0) {
            struct kp_journal_end behind = journal->end;
            uint64_t next;
            advance(&behind, block);
            KP_TRY(look_ahead(journal, &behind, &next, err));
            if (!next)
                return KP_OK;
        }
        if (block->file_number != journal->end.file_number)
            journal->files[journal->end.file_number - journal->first_number].end = journal->end.offset;
        advance(&journal->end, block);
        enum kp_code code =
            recovery->apply(recovery->arg, block, kp_location(block->file_number, block->file_offset), err);
        if (code != KP_OK)
            kp_error_context(err, "file %llu, byte %llu, block %llu", (unsigned long long)block->file_number,
                             (unsigned long long)block->file_offset, (unsigned long long)block->sequence);
        KP_TRY(code);
    }
}

/* ---- beyond the end ---- */

/* Headers found beyond the end: their places, for the cut. */
struct beyond {
    struct kp_buf locations; /* u64 each */
    uint64_t first;          /* of those behind what is missing; 0: none */
    bool first_is_next;      /* it says that it is the missing one: it is not what it should be */
    bool rotten;             /* one of them knows the missing block as durable */
};

static void found(struct beyond *beyond, const struct kp_block_header *block, const struct kp_journal_end *end)
{
    uint64_t location = kp_location(block->file_number, block->file_offset);
    kp_buf_append(&beyond->locations, &location, sizeof location);
    bool next = block->sequence == end->sequence + 1;
    if (!beyond->first || (beyond->first_is_next && !next)) {
        beyond->first = location;
        beyond->first_is_next = next;
    }
    /* `end` is behind the whole intact chain, also the blocks of a group without its end: so this block says that
     * one is durable which is not there. */
    beyond->rotten |= block->durable_sequence > end->sequence;
}

/* Moves *end over the intact blocks behind it, whose group is not complete, and notes them for the cut. */
static enum kp_code chain_behind(struct kp_journal *journal, struct kp_journal_end *end, struct beyond *beyond,
                                 struct kp_error *err)
{
    struct kp_block_scan scan;
    enum kp_code code;
    kp_block_scan_init(&scan, journal->os, journal->dir, journal->generation, SEARCH_READ_BYTES);
    for (;;) {
        const struct kp_block_header *block;
        const char *wrong;
        code = next_block(journal, &scan, end, &block, &wrong, err);
        if (code != KP_OK || !block)
            break;
        uint64_t location = kp_location(block->file_number, block->file_offset);
        kp_buf_append(&beyond->locations, &location, sizeof location);
        advance(end, block);
    }
    kp_block_scan_finish(&scan);
    return code;
}

/* A later version of kappa has written on: what it wrote is not torn, nor cut or written over. */
static enum kp_code refuse_newer(const struct kp_journal *journal, const struct kp_block_scan *scan,
                                 struct kp_error *err)
{
    kp_fail(err, KP_UNSUPPORTED, NULL,
            "file %llu in \"%s\" holds a block of the journal format %u; this version of kappa knows %d",
            (unsigned long long)scan->file_number, journal->dir, kp_block_scan_raw(scan)->format,
            (int)KP_JOURNAL_FORMAT);
    return kp_error_hint(err, "Use the version of kappa that wrote it, or a later one.");
}

static enum kp_code search_file(const struct kp_journal *journal, struct kp_block_scan *scan, uint64_t number,
                                uint64_t from, uint64_t span, const struct kp_journal_end *end, struct beyond *beyond,
                                struct kp_error *err)
{
    KP_TRY(kp_block_scan_seek(scan, number, from, err));
    uint64_t until = from + KP_MIN(span, scan->file_bytes - KP_MIN(from, scan->file_bytes));
    for (; scan->offset < until; scan->offset += KP_SECTOR_BYTES) {
        const struct kp_block_header *block;
        const char *wrong;
        KP_TRY(kp_block_scan_peek_header(scan, &block, &wrong, err));
        if (!block && wrong == kp_block_format_unknown)
            return refuse_newer(journal, scan, err);
        if (block && block->sequence > end->sequence)
            found(beyond, block, end);
    }
    return KP_OK;
}

/* Looks through the rest of the file, and at the starts of later files. A block in flight reached less far; but what
 * has rotted may be long, and is not to be cut because of that. */
static enum kp_code search(struct kp_journal *journal, const struct kp_journal_end *end, struct beyond *beyond,
                           struct kp_error *err)
{
    struct kp_block_scan scan;
    kp_block_scan_init(&scan, journal->os, journal->dir, journal->generation, SEARCH_READ_BYTES);
    /* Behind a closing block nothing was in flight: if anything follows, the log was opened again, and its next block
     * has rotted. Another one lies near, as a rule; not all of a large file is read at every start to see that. */
    uint64_t span = end->closed ? (uint64_t)KP_BLOCK_BYTES_LIMIT + KP_COMMIT_BYTES_MAX : UINT64_MAX;
    enum kp_code code = search_file(journal, &scan, end->file_number, end->offset, span, end, beyond, err);
    /* A commit of many blocks; one alone lies at the start. */
    span = KP_MIN(span, (uint64_t)KP_COMMIT_BYTES_MAX + KP_SECTOR_BYTES);
    for (uint64_t number = end->file_number + 1; code == KP_OK && number <= kp_journal_last_number(journal); number++)
        code = search_file(journal, &scan, number, KP_SECTOR_BYTES, span, end, beyond, err);
    kp_block_scan_finish(&scan);
    return code;
}

static enum kp_code zero_sector(struct kp_journal *journal, uint64_t location, const uint8_t *zeros,
                                struct kp_error *err)
{
    struct kp_os *os = journal->os;
    char *path = kp_journal_path(journal->dir, kp_location_file(location), KP_JOURNAL_SUFFIX);
    struct kp_file *file;
    enum kp_code code = os->open(os->ctx, path, KP_OPEN_READ | KP_OPEN_WRITE | KP_OPEN_DIRECT, &file, err);
    kp_free(path);
    KP_TRY(code);
    code = os->pwrite_sync(os->ctx, file, zeros, KP_SECTOR_BYTES, kp_location_offset(location), err);
    os->close(os->ctx, file);
    return code;
}

static enum kp_code cut(struct kp_journal *journal, const struct beyond *beyond, struct kp_error *err)
{
    uint8_t *zeros = kp_alloc_aligned(KP_SECTOR_BYTES, KP_SECTOR_BYTES);
    memset(zeros, 0, KP_SECTOR_BYTES);
    enum kp_code code = KP_OK;
    uint64_t after = UINT64_MAX; /* each place once, from the last to the first */
    while (code == KP_OK) {
        uint64_t last = 0, location;
        for (size_t i = 0; i < beyond->locations.len; i += sizeof location) {
            memcpy(&location, beyond->locations.data + i, sizeof location);
            if (location < after && location > last)
                last = location;
        }
        if (!last)
            break;
        code = zero_sector(journal, last, zeros, err);
        after = last;
    }
    kp_free(zeros);
    return code;
}

/* ---- rotten blocks ---- */

/* Gives the blocks of the hole that are intact, from *at on: as far as they go, or while they go on with a group. */
static enum kp_code give_lost(struct kp_recovery *recovery, struct kp_block_scan *scan, struct kp_journal_end *at,
                              bool continued, uint64_t *hole_location, const char **ret_wrong, struct kp_error *err)
{
    for (;;) {
        const struct kp_block_header *block;
        KP_TRY(next_block(recovery->journal, scan, at, &block, ret_wrong, err));
        if (!block || (continued && !(block->flags & KP_BLOCK_CONTINUED)))
            return KP_OK;
        if (!*hole_location)
            *hole_location = kp_location(block->file_number, block->file_offset);
        recovery->lost(recovery->arg, block, true, *hole_location);
        advance(at, block);
    }
}

/* The header of the next block, if only its entries have rotted: in this file or the next. NULL: it has, too. */
static enum kp_code next_header(struct kp_journal *journal, struct kp_block_scan *scan,
                                const struct kp_journal_end *end, const struct kp_block_header **ret_block,
                                const char **ret_wrong, struct kp_error *err)
{
    const struct kp_block_header *block;
    const char *wrong;
    *ret_block = NULL;
    for (uint64_t number = end->file_number;
         !*ret_block && number <= KP_MIN(end->file_number + 1, kp_journal_last_number(journal)); number++) {
        KP_TRY(kp_block_scan_seek(scan, number, number > end->file_number ? KP_SECTOR_BYTES : end->offset, err));
        KP_TRY(kp_block_scan_peek(scan, &block, &wrong, err));
        if (block && !not_next(block, end)) {
            *ret_block = block;
            *ret_wrong = wrong ? wrong : "it could not be read";
        }
    }
    return KP_OK;
}

static enum kp_code changes(const struct kp_journal *journal, struct kp_error *err)
{
    return kp_fail(err, KP_CORRUPT, NULL, "the log in \"%s\" changes while it is read", journal->dir);
}

/* The block found beyond lies where the missing one was, which no append does: it goes with the hole, for a hole
 * without a place is met by no reader. *at: before it. */
static enum kp_code pass_usurper(struct kp_recovery *recovery, struct kp_block_scan *scan, struct kp_journal_end *at,
                                 const uint64_t *hole_location, struct kp_error *err)
{
    const struct kp_block_header *block;
    const char *wrong;
    KP_TRY(kp_block_scan_peek(scan, &block, &wrong, err)); /* all of it */
    if (!block)
        return changes(recovery->journal, err);
    recovery->lost(recovery->arg, block, false, *hole_location);
    advance(at, block);
    return KP_OK;
}

/* Moves *at behind the missing block: behind it, if its header is right; else before the first one found beyond, or to
 * where the witness says that the journal went on. */
static enum kp_code pass_missing(struct kp_recovery *recovery, struct kp_block_scan *scan, uint64_t beyond,
                                 struct kp_journal_end *at, uint64_t *hole_location, const char **hole_wrong,
                                 struct kp_error *err)
{
    struct kp_journal *journal = recovery->journal;
    const struct kp_block_header *block;
    const char *wrong;
    struct kp_journal_file *file = &journal->files[at->file_number - journal->first_number];
    KP_TRY(next_header(journal, scan, at, &block, hole_wrong, err));
    if (block) {
        if (block->file_number != at->file_number)
            file->end = at->offset;
        if (!*hole_location)
            *hole_location = kp_location(block->file_number, block->file_offset);
        recovery->lost(recovery->arg, block, false, *hole_location);
        advance(at, block);
        return KP_OK;
    }
    if (!*hole_location)
        *hole_location = at->offset < file->bytes ? kp_location(at->file_number, at->offset)
                                                  : kp_location(at->file_number + 1, KP_SECTOR_BYTES);
    const struct kp_journal_end *witness = &recovery->witness;
    if (beyond == BEYOND_WITNESS) {
        for (uint64_t number = at->file_number; number < witness->file_number; number++)
            journal->files[number - journal->first_number].end = journal->files[number - journal->first_number].bytes;
        *at = *witness;
        return KP_OK;
    }
    KP_TRY(kp_block_scan_seek(scan, kp_location_file(beyond), kp_location_offset(beyond), err));
    KP_TRY(kp_block_scan_peek_header(scan, &block, &wrong, err));
    if (!block)
        return changes(journal, err);
    for (uint64_t number = at->file_number; number < block->file_number; number++) /* all of it is the hole's */
        journal->files[number - journal->first_number].end = journal->files[number - journal->first_number].bytes;
    *at = (struct kp_journal_end){.file_number = block->file_number,
                                  .offset = block->file_offset,
                                  .sequence = block->sequence - 1,
                                  .previous_crc = block->previous_crc,
                                  .position = block->position,
                                  .log_time_us = at->log_time_us};
    return *hole_location == beyond ? pass_usurper(recovery, scan, at, hole_location, err) : KP_OK;
}

/* Goes on behind acknowledged blocks that have rotted: the journal's end is then before an intact block, or another
 * rotten one. beyond: the first block found behind what is missing. */
static enum kp_code pass_hole(struct kp_recovery *recovery, uint64_t beyond, struct kp_error *err)
{
    const char *wrong = "there is none", *next_wrong;
    struct kp_journal *journal = recovery->journal;
    struct kp_journal_end at = journal->end;
    struct kp_block_scan scan;
    uint64_t location = 0;
    kp_block_scan_init(&scan, journal->os, journal->dir, journal->generation, SEARCH_READ_BYTES);
    enum kp_code code = give_lost(recovery, &scan, &at, false, &location, &wrong, err); /* of its group, before it */
    if (code == KP_OK)
        code = pass_missing(recovery, &scan, beyond, &at, &location, &wrong, err);
    if (code == KP_OK)
        code = give_lost(recovery, &scan, &at, true, &location, &next_wrong, err);
    kp_block_scan_finish(&scan);
    KP_TRY(code);
    if (at.position < journal->end.position)
        return kp_fail(err, KP_CORRUPT, NULL,
                       "block %llu in \"%s\", behind blocks that have rotted, goes back to position %lld",
                       (unsigned long long)at.sequence + 1, journal->dir, (long long)at.position);
    struct kp_journal_file *file = &journal->files[at.file_number - journal->first_number];
    struct kp_hole hole = {.location = location,
                           .location_end = at.offset < file->bytes ? kp_location(at.file_number, at.offset)
                                                                   : kp_location(at.file_number + 1, KP_SECTOR_BYTES),
                           .position = journal->end.position,
                           .position_end = at.position,
                           .wrong = wrong};
    if (hole.location_end <= location)
        return kp_fail(err, KP_CORRUPT, NULL, "block %llu in \"%s\", behind blocks that have rotted, lies before them",
                       (unsigned long long)at.sequence + 1, journal->dir);
    if (kp_location_file(location) != journal->end.file_number) /* the file before it has ended */
        journal->files[journal->end.file_number - journal->first_number].end = journal->end.offset;
    recovery->hole(recovery->arg, &hole);
    journal->end = at;
    return KP_OK;
}

/* ---- the end ---- */

/* At the place where the chain breaks: *ret_beyond is the first block behind it when what is missing was acknowledged;
 * else 0, and what lies beyond is cut. */
static enum kp_code settle_end(struct kp_recovery *recovery, uint64_t *ret_beyond, struct kp_error *err)
{
    struct kp_journal *journal = recovery->journal;
    struct beyond beyond = {0};
    struct kp_journal_end chain = journal->end;
    enum kp_code code = chain_behind(journal, &chain, &beyond, err);
    if (code == KP_OK)
        code = search(journal, &chain, &beyond, err);
    bool vouched = chain.sequence < recovery->witness.sequence; /* a snapshot knows what is missing */
    *ret_beyond = beyond.rotten || vouched ? beyond.first : 0;
    if (vouched && !beyond.first)
        *ret_beyond = BEYOND_WITNESS;
    if (kp_log_planted == KP_PLANT_ROTTEN_CUT)
        *ret_beyond = 0;
    if (code == KP_OK && !*ret_beyond && !recovery->read_only && kp_log_planted != KP_PLANT_STALE_LEFT)
        code = cut(journal, &beyond, err);
    kp_buf_finish(&beyond.locations);
    return code;
}

/* Walks the whole chain, over holes, to its end. */
static enum kp_code walk_all(struct kp_recovery *recovery, struct kp_block_scan *scan, struct kp_error *err)
{
    struct kp_journal *journal = recovery->journal;
    for (int tries = 0;;) {
        uint64_t sequence = journal->end.sequence, beyond;
        KP_TRY(walk_chain(recovery, scan, err));
        KP_TRY(settle_end(recovery, &beyond, err));
        if (!beyond)
            return KP_OK;
        /* Its owner may have written on since the walk came to the end. */
        bool again =
            recovery->read_only && tries < READ_ONLY_TRIES && (tries == 0 || journal->end.sequence != sequence);
        tries = again ? tries + 1 : 0;
        if (!again)
            KP_TRY(pass_hole(recovery, beyond, err));
        kp_block_scan_finish(scan); /* of what was read before nothing is believed */
        kp_block_scan_init(scan, journal->os, journal->dir, journal->generation, SEARCH_READ_BYTES);
    }
}

static enum kp_code sync_file(struct kp_journal *journal, uint64_t number, struct kp_error *err)
{
    struct kp_os *os = journal->os;
    char *path = kp_journal_path(journal->dir, number, KP_JOURNAL_SUFFIX);
    struct kp_file *file;
    enum kp_code code = os->open(os->ctx, path, KP_OPEN_READ | KP_OPEN_WRITE, &file, err);
    kp_free(path);
    KP_TRY(code);
    code = os->sync(os->ctx, file, err);
    os->close(os->ctx, file);
    return code;
}

/* A snapshot knows a journal file behind the last one that is there, whose blocks were acknowledged. */
static enum kp_code check_files(const struct kp_recovery *recovery, struct kp_error *err)
{
    const struct kp_journal *journal = recovery->journal;
    if (recovery->witness.file_number <= kp_journal_last_number(journal))
        return KP_OK;
    kp_fail(err, KP_CORRUPT, NULL, "journal files are missing in \"%s\" behind file %llu: its snapshot knows file %llu",
            journal->dir, (unsigned long long)kp_journal_last_number(journal),
            (unsigned long long)recovery->witness.file_number);
    return kp_error_hint(err,
                         "Put the missing files back. Nothing was changed. If the folder was set back to an earlier "
                         "time on purpose, remove its file \"%s\".",
                         KP_SNAPSHOT_NAME);
}

enum kp_code kp_recover(struct kp_recovery *recovery, bool *ret_found, struct kp_error *err)
{
    struct kp_journal *journal = recovery->journal;
    KP_TRY(find_files(recovery, err));
    *ret_found = journal->file_count > 0;
    if (!*ret_found)
        return KP_OK;
    const struct kp_extent_header *anchor = &recovery->folder.anchor;
    journal->end = (struct kp_journal_end){.file_number = journal->first_number,
                                           .offset = KP_SECTOR_BYTES,
                                           .sequence = anchor->sequence,
                                           .previous_crc = anchor->previous_crc,
                                           .position = anchor->position_end,
                                           .log_time_us = anchor->log_time_us};
    bool resumed = recovery->resume && recovery->resume(recovery->arg, &journal->end, &recovery->witness);
    KP_TRY(check_files(recovery, err));
    if (anchor->file_last && !resumed)
        KP_TRY(recovery->begin(recovery->arg, &recovery->folder, err));
    struct kp_block_scan scan;
    kp_block_scan_init(&scan, journal->os, journal->dir, journal->generation, SCAN_READ_BYTES);
    if (recovery->threads)
        kp_block_scan_read_ahead(&scan);
    enum kp_code code = walk_all(recovery, &scan, err);
    kp_block_scan_finish(&scan);
    KP_TRY(code);
    if (!recovery->read_only && !journal->unsafe_no_sync && kp_log_planted != KP_PLANT_NO_RECOVERY_SYNC) {
        /* Blocks in flight at a kill may be in two files. */
        for (uint64_t number = KP_MAX(journal->end.file_number - 1, journal->first_number);
             number <= journal->end.file_number; number++)
            KP_TRY(sync_file(journal, number, err));
        KP_TRY(kp_files_sync(journal->os, journal->dir, err));
        journal->durable_sequence = journal->end.sequence;
        journal->durable_position = journal->end.position;
    }
    return KP_OK;
}
