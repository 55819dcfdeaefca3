/*
 * Recovery snapshots: what the log derives from its entries, as of a place in the journal, so that a start reads the
 * journal from there on. Written every gigabyte or minute of journal, when a log is closed, and behind a start that had
 * more to read than a little: of a process that is killed every few seconds too. Independent of sealing. And soon after
 * topics were made or dropped, in however small a log: two blocks are all that knows a topic's name until then, and
 * without either, should both rot, none of its records can be placed.
 *
 *     snapshot        the newest one
 *     snapshot.new    one being written: removed at the next start
 *
 * It is a cache. One that is missing, of another version, of another log or whose checksum is wrong is passed over, and
 * so is one whose last block does not lie in the journal as the snapshot says: then the journal is walked from its
 * beginning. What comes out is the same.
 *
 * It is a witness, too: its last block was durable when it was written. If the walk does not come so far, what lacks
 * has rotted. Else it could be taken for torn, when all behind it has rotted as well. If it lies in a file that is not
 * there, files are missing: such a log is not opened.
 *
 *     file      | header 128 | section | section | …
 *     section   | kind 4 | zero 4 | bytes of its content 8 | content, zeros up to a multiple of 8 |
 *
 *   header                                              sections
 *    0  8  magic "KAPPASNP"                             1  state     topics and partitions (log/state.h)
 *    8  4  version = 2                                  2  files     u64 each: where the last block ends in the
 *   12  4  sections                                                  journal files from `first file` to the one
 *   16  8  generation: the log's                                     before the end's
 *   24  8  bytes of the sections                        3  indexes   per partition with one: topic 4, partition 4,
 *   32  8  first file: the first one that counts                     entries 8, then the entries (struct
 *   40  8  end: file number                                          kp_index_entry, 32 bytes each)
 *   48  8  end: byte in it, behind the last block       4  marks     struct kp_log_mark, 24 bytes each
 *   56  8  sequence of the last block                   5  sealed    the newest KP_ENTRY_SEALED's payload
 *   64  8  position behind its last record              6  holes     per hole: location, its end, position, its end,
 *   72  8  its log time                                              ranges, 8 bytes each; then the ranges (struct
 *   80  8  byte where it begins, in the end's file                   kp_hole_range, 32 bytes each)
 *   88  4  CRC of its header                           7  producers struct kp_log_producer, 144 bytes each
 *   92  4  flags: 1: something was trimmed or dropped            (log/producers.h)
 *   96 24  zero
 *  120  4  CRC-32C of the sections
 *  124  4  CRC-32C of bytes 0 to 123
 *
 * INVARIANTS. 1. It tells of durable blocks only, up to the end of a group: what a power cut can take is never in it.
 * 2. It holds all that kp_log_apply makes of those blocks, and nothing else. 3. It is written without a lock held; only
 * the copying of what is to be written keeps commits waiting.
 */
#ifndef KP_LOG_SNAPSHOT_H
#define KP_LOG_SNAPSHOT_H

#include <stdatomic.h>

#include "base/buf.h"
#include "log/journal.h"

struct kp_log;

enum {
    KP_SNAPSHOT_VERSION = 2,
    KP_SNAPSHOT_EVERY_US = 60 * 1000000,
    KP_SNAPSHOT_TOPICS_US = 1000000, /* behind topics that were made: many are made at once */
    KP_SNAPSHOT_BYTES_MIN = 1 << 20  /* so little journal is read again rather than snapshot */
};
#define KP_SNAPSHOT_EVERY_BYTES ((uint64_t)1 << 30)
#define KP_SNAPSHOT_NAME        "snapshot"

/* When the next one is due. */
struct kp_snapshots {
    uint64_t every_bytes, least_bytes;
    int64_t every_us;
    _Atomic uint64_t journal_bytes; /* durable since the last one (at a start: that were walked) */
    _Atomic bool topics;            /* some were made or dropped since */
    int64_t last_us;                /* (mutex) monotonic: when it was written, or the log opened */
    uint64_t written, bytes;        /* (mutex) how many, and how large the last one was */
    uint64_t recovered_bytes;       /* of journal that the start walked */
    bool resumed;                   /* the start began with a snapshot */
    struct kp_cond work;            /* with kp_log.mutex */
    struct kp_thread thread;
    bool runs;
};

void kp_snapshots_init(struct kp_log *log, uint64_t every_bytes);
void kp_snapshots_finish(struct kp_log *log);
/* The start has walked recovered_bytes of journal behind the newest one. Before any other thread. */
void kp_snapshots_recovered(struct kp_log *log);
/* So much more journal is durable. Locked: mutex. */
void kp_snapshots_note(struct kp_log *log, uint64_t bytes);
/* Topics were made or dropped. Locked: mutex, or no other thread yet. */
void kp_snapshots_topics(struct kp_log *log);
/* Is one due by size? */
bool kp_snapshot_due(const struct kp_log *log);
/* Is one worth it when the log is closed? Nothing but a snapshot vouches for the last blocks: whenever there are new
 * ones. */
bool kp_snapshot_worth(const struct kp_log *log);
/* Writes one. A failure is the snapshot's alone. No lock held; one at a time. */
KP_MUST enum kp_code kp_snapshot_write(struct kp_log *log, struct kp_error *err);
/* The thread that does so in time; arg is the log. */
void kp_snapshot_run(void *arg);

/* Takes up the snapshot, if there is one that fits the journal files that were found: the log's state is then that at
 * *ret_end. False: nothing was changed; *ret_witness is then a place that was durable once, sequence 0: none is known.
 * Before any other thread. */
bool kp_snapshot_resume(struct kp_log *log, struct kp_journal_end *ret_end, struct kp_journal_end *ret_witness);

/*
 * Looks at the snapshot of a folder, without a log. Returns why it is not as it was written, in words (constant, or
 * err's); NULL: it is, or there is none. *ret_generation is its log's, and *ret_witness a place up to which that was
 * durable; sequence 0: it tells of none.
 */
const char *kp_snapshot_look(struct kp_os *os, const char *dir, uint64_t *ret_generation,
                             struct kp_journal_end *ret_witness, struct kp_error *err);

#endif
