/*
 * Looking into a log's files from outside, damaged or in use: `kappa log`. Nothing is locked, nothing is changed, and
 * nothing is believed but what passes its checksum. A log that is being written shows what was written so far.
 */
#ifndef KP_LOG_INSPECT_H
#define KP_LOG_INSPECT_H

#include "log/format.h"
#include "log/log.h"
#include "log/record_batch.h"

enum kp_inspect_state {
    KP_INSPECT_OK,      /* whole, its checksums and its place in the chain are right */
    KP_INSPECT_DAMAGED, /* its header is right, its entries fail their checksum */
    KP_INSPECT_GAP,     /* no block: bytes where one should be */
    KP_INSPECT_JUMP,    /* whole, but blocks before it are missing or are not those that it followed */
    KP_INSPECT_STALE    /* whole, but of an earlier time: to be ignored */
};

/* A block as it lies in a file, or a stretch of bytes that is none. */
struct kp_inspect_block {
    uint64_t file_number, offset, bytes;
    enum kp_inspect_state state;
    const char *wrong;                    /* in words; NULL with KP_INSPECT_OK */
    const struct kp_block_header *header; /* NULL for a gap; else valid, and unless damaged its entries follow it */
};

/*
 * Calls each(arg, block) for every block of every file, in order, damaged ones and gaps between blocks too; unused ends
 * of files are left out. Stops early when each returns false.
 */
KP_MUST enum kp_code kp_inspect_blocks(struct kp_os *os, const char *dir,
                                       bool (*each)(void *arg, const struct kp_inspect_block *block), void *arg,
                                       struct kp_error *err);

/* Where the walk of a journal begins, and what was known of topics there. */
struct kp_folder;
struct kp_inspect_begin {
    const struct kp_folder *folder;
    const struct kp_buf *state; /* log/state.h; empty: nothing */
    int64_t position;           /* as of where that is known: where the journal begins, or before */
};

/*
 * The same, and calls moved(arg, begin) before the first block; and again when files that come next were sealed
 * meanwhile: then the walk goes on with the first that is journal still.
 */
KP_MUST enum kp_code
kp_inspect_journal(struct kp_os *os, const char *dir, bool (*each)(void *arg, const struct kp_inspect_block *block),
                   enum kp_code (*moved)(void *arg, const struct kp_inspect_begin *begin, struct kp_error *err),
                   void *arg, struct kp_error *err);
/* Replaces *topics by those that were known there. */
struct kp_topics;
KP_MUST enum kp_code kp_inspect_begin_topics(const struct kp_inspect_begin *begin, struct kp_topics *topics,
                                             struct kp_error *err);

struct kp_inspect_report {
    uint64_t files, blocks, groups, batches, records, bytes; /* bytes of blocks */
    uint64_t file_bytes;                                     /* of the files, used or not */
    uint64_t extents, extent_bytes;                          /* of record batches in them */
    uint64_t sealed_batch_bytes,
        sealed_written_bytes; /* for so much of batches so much was written: journal, extents */
    uint64_t problems;
    uint64_t mended;  /* of them: nothing is lost by those, a reader mends what it reads or reads it elsewhere */
    uint64_t changed; /* places that seemed wrong in the last pass, and not before: somebody writes there */
    int64_t position_end;
    int64_t log_time_first_us, log_time_last_us;
    bool closed;   /* the log was closed behind its last block */
    bool cut_tail; /* an unfinished group or torn block at the end, never acknowledged: the next start removes it */
};

/*
 * Verifies everything: headers, checksums, the chain, each record batch down to its records, offsets without gaps, and
 * the snapshot. History columns are a cache that nobody syncs: what a crash tore there is no damage.
 * The log may be in use: what is wrong is looked at again, and told only if it is so each time.
 * problem(arg, text) is called for each thing wrong, naming file, byte, block and position, or topic and offset.
 * Damage is not an error of this call: look at report.problems.
 */
KP_MUST enum kp_code kp_inspect_verify(struct kp_os *os, const char *dir, void (*problem)(void *arg, const char *text),
                                       void *arg, struct kp_inspect_report *ret_report, struct kp_error *err);

struct kp_inspect_filter {
    const char *topic;   /* NULL: all */
    int64_t partition;   /* -1: all */
    int64_t offset_from; /* records with an offset at or after it */
    int64_t offset_end;  /* and before it; INT64_MAX: all */
};

struct kp_inspect_record {
    const char *topic; /* its name */
    uint32_t topic_id, partition;
    int64_t offset, position, log_time_us;
    uint64_t file_number, block_offset;
    enum kp_codec codec; /* of its batch */
    struct kp_record record;
};

/* Calls each(arg, record) for every record that passes the filter, in the order of the log; false stops. Damaged
 * blocks and records that do not decode are left out (kp_inspect_verify names them). */
KP_MUST enum kp_code kp_inspect_records(struct kp_os *os, const char *dir, const struct kp_inspect_filter *filter,
                                        bool (*each)(void *arg, const struct kp_inspect_record *record), void *arg,
                                        struct kp_error *err);

#endif
