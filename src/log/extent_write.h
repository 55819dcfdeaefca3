/*
 * Writing a set of extents (log/extent.h), from a journal's batches or from older sets.
 *
 *   1. kp_extents_add for every batch, in the order of the log: it notes what goes where.
 *   2. kp_extents_lay_out sorts the runs, decides which get an extent of their own, gives every batch its place.
 *   3. kp_extents_write asks for the batches again, in the order of the log, and copies them to their places, and
 *      leaves whole files under their .new names, synced.
 *
 * One thread. Memory: 48 bytes a batch, and the windows.
 */
#ifndef KP_LOG_EXTENT_WRITE_H
#define KP_LOG_EXTENT_WRITE_H

#include "log/extent.h"

/* An extent that was written. */
struct kp_extent_made {
    uint64_t number, bytes;
    uint32_t kind, header_crc;
};

/* A run being gathered. */
struct kp_extents_run {
    struct kp_extent_run run; /* places count from its first item until it is laid out */
    struct kp_buf index;      /* of struct kp_extent_index, likewise */
    bool elsewhere;           /* its items lie in an extent of an older set */
    bool adopted;             /* they lie in a journal file, run.extent */
    uint32_t source;          /* of the batch added last */
};

struct kp_extents_writer {
    struct kp_os *os;
    const char *dir;                /* borrowed */
    struct kp_extent_header header; /* the mixed extent's; the caller sets what it says of the log and the journal */
    uint64_t next_number;           /* of the next extent; moves on */
    uint64_t own_bytes;             /* a run of at least so much gets an extent of its own */
    uint64_t window_bytes;          /* data gathered in memory at once */
    bool no_sync;
    bool thinned; /* records were taken out of batches: KP_EXTENT_FORMAT_THINNED */
    bool adopts;  /* some runs lie in adopted journal files: KP_EXTENT_FORMAT_ADOPTED */
    bool loses;   /* records of some had rotted: KP_EXTENT_FORMAT_LOST */

    struct kp_order_entry *items; /* by position */
    size_t item_count, item_cap;
    struct kp_extents_run *runs;
    size_t run_count, run_cap;
    uint32_t *slots; /* (topic, partition) to its newest run + 1 */
    size_t slot_count;
    bool group_open;
    struct kp_extent_run *sorted; /* when laid out */
    struct kp_buf made;           /* of struct kp_extent_made */
    struct kp_buf adopted;        /* likewise: journal files that become extents, by the caller */
};

/* A batch as kp_extents_add wants it. */
struct kp_extents_batch {
    uint32_t topic, partition, bytes, records;
    int64_t base_offset, position, log_time_us;
    int64_t max_timestamp_ms; /* of the partition's batches so far */
    bool gone;                /* only its place in the order is kept */
    bool group_end;
    uint32_t source;    /* not 0: the old run that it comes from; what lacks between two of one is gone */
    uint32_t elsewhere; /* run + 1, from kp_extents_add_run, and its place there; 0: to be copied */
    uint64_t place;
    uint64_t adopted; /* not 0: it stays, in the journal file that is this extent, at `place` in a block */
    uint64_t block, block_end;
    uint32_t more_flags; /* of the order: KP_ORDER_EPOCH_ZERO; KP_ORDER_LOST, then `gone` may be set, too */
};

/* Offsets of a partition that rotten blocks held. */
struct kp_extents_lost {
    uint32_t topic, partition;
    int64_t offset, offset_end;
    int64_t max_timestamp_ms; /* of the partition's batches before them */
    bool maybe;
    size_t hole; /* the caller's */
};

void kp_extents_writer_finish(struct kp_extents_writer *writer);
void kp_extents_add(struct kp_extents_writer *writer, const struct kp_extents_batch *batch);
/* A run whose items stay where they are, in an extent of an older set. Returns what kp_extents_batch.elsewhere wants.
 */
uint32_t kp_extents_add_run(struct kp_extents_writer *writer, const struct kp_extent_run *run,
                            const struct kp_extent_index *index);
/* The positions before those of item `at` were lost, and these ranges with them (log/extent.h, LOST). */
void kp_extents_lose(struct kp_extents_writer *writer, size_t at, int64_t position, int64_t position_end,
                     int64_t log_time_us, const struct kp_extents_lost *ranges, size_t count);
void kp_extents_lay_out(struct kp_extents_writer *writer);

/* Gives every batch to kp_extents_put; more of them than were added is fine. */
struct kp_extents_source {
    enum kp_code (*each)(void *arg, struct kp_extents_writer *writer, void *put_arg, struct kp_error *err);
    void *arg;
};
KP_MUST enum kp_code kp_extents_put(struct kp_extents_writer *writer, void *put_arg, int64_t position,
                                    const void *batch, uint32_t bytes, struct kp_error *err);
/* state: the mixed extent's last section. On failure the .new files are removed. */
KP_MUST enum kp_code kp_extents_write(struct kp_extents_writer *writer, const struct kp_extents_source *source,
                                      const struct kp_buf *state, struct kp_error *err);
uint64_t kp_extents_made_bytes(const struct kp_extents_writer *writer);
/* The set as it will be read, after kp_extents_write. */
struct kp_extent_set *kp_extents_take(struct kp_extents_writer *writer);

#endif
