/* Walks the blocks of journal files as they lie on disk, in large sequential reads: recovery, inspection, reading. */
#ifndef KP_LOG_SCAN_H
#define KP_LOG_SCAN_H

#include "log/format.h"

/* A place in the journal: file number and offset in one integer, in the order of the log. */
static inline uint64_t kp_location(uint64_t file_number, uint64_t offset)
{
    return file_number << 40 | offset;
}
static inline uint64_t kp_location_file(uint64_t location)
{
    return location >> 40;
}
static inline uint64_t kp_location_offset(uint64_t location)
{
    return location & (((uint64_t)1 << 40) - 1);
}

/* DIR/00000001.journal; to free with kp_free. */
char *kp_journal_path(const char *dir, uint64_t file_number, const char *suffix);
/* The number in a file's name; 0 when it is not a journal file's name. */
uint64_t kp_journal_name_number(const char *name, const char *suffix);
#define KP_JOURNAL_SUFFIX     ".journal"
#define KP_JOURNAL_NEW_SUFFIX ".journal.new"

#define KP_ADOPTED_SUFFIX ".adopted" /* log/extent.h: one that counts as an extent, whichever name it has */
/* Opens a journal file that may have been adopted: renamed, if so, at any moment. */
KP_MUST enum kp_code kp_adopted_open(struct kp_os *os, const char *dir, uint64_t file_number, unsigned flags,
                                     struct kp_file **ret_file, struct kp_error *err);

/* Reads and checks a file's header. KP_UNSUPPORTED for an unknown format, KP_CORRUPT for damage. */
KP_MUST enum kp_code kp_file_header_read(struct kp_os *os, struct kp_file *file, const char *path, uint64_t file_number,
                                         struct kp_file_header *ret_header, struct kp_error *err);
/* Is the file's header damaged, while its first block lies where it should? Then that says which log's it is. */
bool kp_file_header_rotten(struct kp_os *os, struct kp_file *file, uint64_t file_number, uint64_t file_bytes,
                           uint64_t *ret_generation);

/* One thread. */
struct kp_block_scan {
    struct kp_os *os;
    const char *dir; /* borrowed */
    uint64_t generation;
    struct kp_file *file;
    uint64_t file_number, file_bytes;
    uint64_t offset; /* of the next block */
    uint8_t *memory; /* in which the buffer lies */
    size_t memory_bytes;
    uint8_t *buffer; /* aligned; holds the file's bytes from buffer_offset on */
    uint64_t buffer_offset;
    size_t buffer_len;
    size_t read_bytes;           /* how much is read at once */
    struct kp_scan_ahead *ahead; /* NULL: nothing is read in advance */
};

/* generation: as found in the first file's header; the file is opened by seek. */
void kp_block_scan_init(struct kp_block_scan *scan, struct kp_os *os, const char *dir, uint64_t generation,
                        size_t read_bytes);
/* While a file is walked its next pieces are read by another thread: nobody writes to it. */
void kp_block_scan_read_ahead(struct kp_block_scan *scan);
void kp_block_scan_finish(struct kp_block_scan *scan);
KP_MUST enum kp_code kp_block_scan_seek(struct kp_block_scan *scan, uint64_t file_number, uint64_t offset,
                                        struct kp_error *err);
/*
 * The block at scan->offset, whole and valid in itself; *ret_wrong says why not, and is NULL if it is. *ret_header is
 * NULL unless its header is valid. The bytes stay until the next call. Does not move.
 */
KP_MUST enum kp_code kp_block_scan_peek(struct kp_block_scan *scan, const struct kp_block_header **ret_header,
                                        const char **ret_wrong, struct kp_error *err);
/* The same without the payload: only the header is read and checked. */
KP_MUST enum kp_code kp_block_scan_peek_header(struct kp_block_scan *scan, const struct kp_block_header **ret_header,
                                               const char **ret_wrong, struct kp_error *err);

/* What lies there as a header, right or wrong: behind a peek that found a whole sector. */
static inline const struct kp_block_header *kp_block_scan_raw(const struct kp_block_scan *scan)
{
    return (const void *)(scan->buffer + (scan->offset - scan->buffer_offset));
}

#endif
