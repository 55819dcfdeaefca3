/* Sequential reads of journal files. The buffer always begins at a block's start, so blocks are contiguous in it. */
#include "log/scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "log/plant.h"
#include "log/scan_ahead.h"

enum { DIRECT_BYTES_MIN = 1 << 20 }; /* a scan that reads so much at once goes past the page cache */

char *kp_journal_path(const char *dir, uint64_t file_number, const char *suffix)
{
    size_t len = strlen(dir) + strlen(suffix) + 24;
    char *path = kp_alloc(len);
    snprintf(path, len, "%s/%08llu%s", dir, (unsigned long long)file_number, suffix);
    return path;
}

uint64_t kp_journal_name_number(const char *name, const char *suffix)
{
    char *end;
    if (*name < '0' || *name > '9')
        return 0;
    unsigned long long number = strtoull(name, &end, 10);
    return end - name >= 8 && strcmp(end, suffix) == 0 ? number : 0;
}

enum kp_code kp_adopted_open(struct kp_os *os, const char *dir, uint64_t file_number, unsigned flags,
                             struct kp_file **ret_file, struct kp_error *err)
{
    char *path = kp_journal_path(dir, file_number, KP_JOURNAL_SUFFIX);
    struct kp_error failed;
    enum kp_code code = os->open(os->ctx, path, flags, ret_file, &failed);
    kp_free(path);
    if (code != KP_NOT_FOUND) {
        if (code != KP_OK && err)
            *err = failed;
        return code;
    }
    path = kp_journal_path(dir, file_number, KP_ADOPTED_SUFFIX);
    code = os->open(os->ctx, path, flags, ret_file, err);
    kp_free(path);
    return code;
}

enum kp_code kp_file_header_read(struct kp_os *os, struct kp_file *file, const char *path, uint64_t file_number,
                                 struct kp_file_header *ret_header, struct kp_error *err)
{
    uint8_t *sector = kp_alloc_aligned(KP_SECTOR_BYTES, KP_SECTOR_BYTES);
    size_t got = 0;
    enum kp_code code = os->pread(os->ctx, file, sector, KP_SECTOR_BYTES, 0, &got, err);
    struct kp_file_header header;
    memcpy(&header, sector, sizeof header);
    kp_free(sector);
    KP_TRY(code);
    if (got < KP_SECTOR_BYTES || memcmp(header.magic, KP_JOURNAL_MAGIC, sizeof header.magic) != 0)
        return kp_fail(err, KP_CORRUPT, NULL, "\"%s\" is damaged: it does not begin with a journal file's header",
                       path);
    bool intact = header.crc == kp_file_header_crc(&header);
    if (header.format != KP_JOURNAL_FORMAT) { /* before the CRC: another format may keep it elsewhere */
        kp_fail(err, KP_UNSUPPORTED, NULL, "\"%s\" has the journal format %u; this version of kappa knows %d", path,
                header.format, (int)KP_JOURNAL_FORMAT);
        return kp_error_hint(err, intact
                                      ? "Use the version of kappa that wrote it, or a later one."
                                      : "Use the version of kappa that wrote it, or a later one. If it was this one, "
                                        "the file is damaged: restore it from a backup.");
    }
    if (!intact)
        return kp_fail(err, KP_CORRUPT, NULL, "\"%s\" is damaged: its header fails its checksum", path);
    if (header.file_number != file_number)
        return kp_fail(err, KP_CORRUPT, NULL, "\"%s\" is not what its name says: its header says file %llu", path,
                       (unsigned long long)header.file_number);
    *ret_header = header;
    return KP_OK;
}

bool kp_file_header_rotten(struct kp_os *os, struct kp_file *file, uint64_t file_number, uint64_t file_bytes,
                           uint64_t *ret_generation)
{
    uint8_t *sectors = kp_alloc_aligned(KP_SECTOR_BYTES, 2 * KP_SECTOR_BYTES);
    size_t got = 0;
    bool rotten =
        os->pread(os->ctx, file, sectors, 2 * KP_SECTOR_BYTES, 0, &got, NULL) == KP_OK && got == 2 * KP_SECTOR_BYTES;
    const struct kp_file_header *header = (const void *)sectors;
    const struct kp_block_header *block = (const void *)(sectors + KP_SECTOR_BYTES);
    bool intact =
        memcmp(header->magic, KP_JOURNAL_MAGIC, sizeof header->magic) == 0 && header->crc == kp_file_header_crc(header);
    rotten =
        rotten && !intact && !kp_block_header_wrong(block, block->generation, file_number, KP_SECTOR_BYTES, file_bytes);
    if (rotten)
        *ret_generation = block->generation;
    kp_free(sectors);
    return rotten;
}

void kp_block_scan_init(struct kp_block_scan *scan, struct kp_os *os, const char *dir, uint64_t generation,
                        size_t read_bytes)
{
    *scan = (struct kp_block_scan){
        .os = os, .dir = dir, .generation = generation, .read_bytes = (size_t)kp_sector_ceil(read_bytes)};
}

void kp_block_scan_read_ahead(struct kp_block_scan *scan)
{
    scan->ahead = kp_scan_ahead_create(scan->os, scan->read_bytes);
}

void kp_block_scan_finish(struct kp_block_scan *scan)
{
    kp_scan_ahead_destroy(scan->ahead);
    if (scan->file)
        scan->os->close(scan->os->ctx, scan->file);
    kp_free(scan->memory);
    scan->ahead = NULL;
    scan->file = NULL;
    scan->memory = scan->buffer = NULL;
}

enum kp_code kp_block_scan_seek(struct kp_block_scan *scan, uint64_t file_number, uint64_t offset, struct kp_error *err)
{
    struct kp_os *os = scan->os;
    if (!scan->file || scan->file_number != file_number) {
        struct kp_file *file;
        uint64_t bytes;
        unsigned direct = scan->read_bytes >= DIRECT_BYTES_MIN ? KP_OPEN_DIRECT : 0;
        KP_TRY(kp_adopted_open(os, scan->dir, file_number, KP_OPEN_READ | direct, &file, err));
        enum kp_code code = os->size(os->ctx, file, &bytes, err);
        if (code != KP_OK) {
            os->close(os->ctx, file);
            return code;
        }
        bytes = bytes / KP_SECTOR_BYTES * KP_SECTOR_BYTES; /* part of a sector is none of ours */
        if (scan->ahead)
            kp_scan_ahead_start(scan->ahead, file, offset, bytes);
        os->close(os->ctx, scan->file);
        scan->file = file;
        scan->file_number = file_number;
        scan->file_bytes = bytes;
        scan->buffer_len = 0;
    }
    scan->offset = offset;
    return KP_OK;
}

/* How many bytes the buffer holds from scan->offset on. */
static size_t buffered(const struct kp_block_scan *scan)
{
    uint64_t end = scan->buffer_offset + scan->buffer_len;
    return scan->buffer_len && scan->offset >= scan->buffer_offset && scan->offset < end ? (size_t)(end - scan->offset)
                                                                                         : 0;
}

/* Takes the piece that was read in advance, behind the bytes that are kept. */
static void take_ahead(struct kp_block_scan *scan, const uint8_t *kept, size_t kept_bytes)
{
    uint64_t at = scan->offset + kept_bytes;
    bool alike = scan->memory_bytes == KP_SCAN_HEADROOM + scan->read_bytes; /* of a piece's size */
    uint8_t *memory = alike ? scan->memory : NULL;
    size_t got;
    if (!scan->ahead || kept_bytes > KP_SCAN_HEADROOM || at >= scan->file_bytes)
        return;
    if (!kp_scan_ahead_take(scan->ahead, at, kept, kept_bytes, &memory, &got)) {
        kp_scan_ahead_start(scan->ahead, scan->file, at, scan->file_bytes);
        if (!kp_scan_ahead_take(scan->ahead, at, kept, kept_bytes, &memory, &got))
            return;
    }
    if (!alike)
        kp_free(scan->memory);
    scan->memory = memory;
    scan->memory_bytes = KP_SCAN_HEADROOM + scan->read_bytes;
    scan->buffer = memory + KP_SCAN_HEADROOM - kept_bytes;
    scan->buffer_offset = scan->offset;
    scan->buffer_len = kept_bytes + got;
}

/* Makes the buffer hold `need` bytes from scan->offset on, as far as the file goes. */
static enum kp_code fill(struct kp_block_scan *scan, size_t need, size_t *ret_have, struct kp_error *err)
{
    size_t kept = *ret_have = buffered(scan);
    if (kept >= need)
        return KP_OK;
    take_ahead(scan, kept ? scan->buffer + (scan->offset - scan->buffer_offset) : NULL, kept);
    kept = *ret_have = buffered(scan);
    if (kept >= need)
        return KP_OK;
    uint64_t in_file = scan->offset < scan->file_bytes ? scan->file_bytes - scan->offset : 0;
    size_t want = (size_t)KP_MIN((uint64_t)KP_MAX(need, scan->read_bytes), kp_sector_ceil(in_file));
    if (kept)
        memmove(scan->buffer, scan->buffer + (scan->offset - scan->buffer_offset), kept);
    if (want > scan->memory_bytes - (size_t)(scan->buffer - scan->memory)) {
        uint8_t *bigger = kp_alloc_aligned(KP_SECTOR_BYTES, want);
        if (kept)
            memcpy(bigger, scan->buffer, kept);
        kp_free(scan->memory);
        scan->memory = scan->buffer = bigger;
        scan->memory_bytes = want;
    }
    scan->buffer_offset = scan->offset;
    scan->buffer_len = kept;
    want = (size_t)KP_MIN((uint64_t)want, in_file);
    if (want > kept) {
        size_t got = 0;
        enum kp_code code = scan->os->pread(scan->os->ctx, scan->file, scan->buffer + kept, want - kept,
                                            scan->offset + kept, &got, err);
        if (code != KP_OK) {
            scan->buffer_len = 0;
            return code;
        }
        scan->buffer_len += got;
    }
    *ret_have = scan->buffer_len;
    return KP_OK;
}

enum kp_code kp_block_scan_peek_header(struct kp_block_scan *scan, const struct kp_block_header **ret_header,
                                       const char **ret_wrong, struct kp_error *err)
{
    size_t have;
    *ret_header = NULL;
    KP_TRY(fill(scan, KP_SECTOR_BYTES, &have, err));
    if (have < KP_SECTOR_BYTES) {
        *ret_wrong = "the file ends here";
        return KP_OK;
    }
    const void *at = scan->buffer + (scan->offset - scan->buffer_offset);
    *ret_wrong = kp_block_header_wrong(at, scan->generation, scan->file_number, scan->offset, scan->file_bytes);
    if (!*ret_wrong)
        *ret_header = at;
    return KP_OK;
}

enum kp_code kp_block_scan_peek(struct kp_block_scan *scan, const struct kp_block_header **ret_header,
                                const char **ret_wrong, struct kp_error *err)
{
    const struct kp_block_header *header;
    KP_TRY(kp_block_scan_peek_header(scan, &header, ret_wrong, err));
    *ret_header = header;
    if (!header)
        return KP_OK;
    size_t bytes = (size_t)kp_block_bytes(header), have;
    KP_TRY(fill(scan, bytes, &have, err));
    header = (const void *)(scan->buffer + (scan->offset - scan->buffer_offset));
    *ret_header = header;
    if (have < bytes)
        *ret_wrong = "the file ends within it";
    else if (kp_log_planted != KP_PLANT_CRC_UNCHECKED &&
             kp_crc32c(0, header + 1, header->payload_bytes) != header->payload_crc)
        *ret_wrong = "its entries fail their checksum";
    return KP_OK;
}
