/*
 * The batches of one partition in order, and blocks at a place of the journal: what reading by offset and by time
 * (log/fetch.c) and looking for horizons (log/horizon.c) share.
 */
#ifndef KP_LOG_BATCHES_H
#define KP_LOG_BATCHES_H

#include "log/internal.h"

/* Gives blocks of the journal, from the tail or from disk. One thread; a reader must be entered (log/seal.h). */
struct kp_cursor {
    struct kp_log *log;
    struct kp_block_scan scan;
    struct kp_slab *slab; /* of the block given last, when it came from the tail */
};

void kp_cursor_init(struct kp_cursor *cursor, struct kp_log *log);
void kp_cursor_finish(struct kp_cursor *cursor);
/* The durable block at location; stays until the next call. *ret_wrong: why it cannot be read, else NULL. */
KP_MUST enum kp_code kp_cursor_get(struct kp_cursor *cursor, uint64_t location,
                                   const struct kp_block_header **ret_block, const char **ret_wrong,
                                   struct kp_error *err);
/* The same for who wants what blocks' headers say: *ret_hole, else NULL, is the hole that lies there. */
KP_MUST enum kp_code kp_cursor_pass(struct kp_cursor *cursor, uint64_t location,
                                    const struct kp_block_header **ret_block, const struct kp_hole **ret_hole,
                                    struct kp_error *err);

/* Batches from extents, then from the journal. The caller sets topic, partition, offset and end_offset. */
struct kp_batches {
    struct kp_cursor cursor;
    uint32_t topic, partition;
    int64_t offset, end_offset; /* next wanted; durable end at the start */
    uint32_t side;              /* kp_sealing_enter */
    const struct kp_hole *hop;  /* set by who looks what this hole held: it is passed over. NULL: damage is an error */
    bool blocked;               /* with hop: another one ended the search */
    bool told_lost;             /* of lost and of rotten records: no bytes, no error */

    uint64_t location, entry_location;
    const struct kp_block_header *block; /* of the journal: at location, or at place if it was adopted, once read */
    struct kp_entry_walk walk;
    int64_t position; /* behind the entries of the block that were looked at */

    struct kp_extent_file file; /* of the run being read, if `run` is set */
    const struct kp_extent_set *set;
    const struct kp_extent_run *run;
    uint64_t place; /* of the next item; in an adopted file of the block */
    uint8_t *buffer;
    uint64_t buffer_number, buffer_from; /* of which extent it holds bytes, from where on */
    size_t buffer_len, buffer_cap;
};

/* A record batch found. The bytes stay until the next call. With told_lost: lost records, `records` 0, batch NULL, and
 * a position that they all are at or before. */
struct kp_found {
    int64_t base_offset, position;
    uint32_t records, bytes; /* records: offsets that it takes (kp_record_batch_span) */
    const uint8_t *batch;
};

void kp_batches_init(struct kp_batches *batches, struct kp_log *log); /* enters the readers */
void kp_batches_finish(struct kp_batches *batches);
/* Goes to where the wanted offset lies, in an extent or in the journal. */
KP_MUST enum kp_code kp_batches_seek(struct kp_batches *batches, struct kp_error *err);
/* The batch that holds the wanted offset, or the first one behind it; none behind the end. kp_batches_seek was called.
 */
KP_MUST enum kp_code kp_batches_next(struct kp_batches *batches, struct kp_found *ret_found, bool *ret_any,
                                     struct kp_error *err);
/* The partition's first run that ends behind offset. Locked: lock. */
const struct kp_extent_run *kp_batches_find_run(const struct kp_sealing *sealing, uint32_t topic, uint32_t partition,
                                                int64_t offset, const struct kp_extent_set **ret_set);
/* KP_NOT_FOUND when there is none. Locked: lock. */
KP_MUST enum kp_code kp_log_find_partition(struct kp_log *log, uint32_t id, uint32_t partition,
                                           const struct kp_partition **ret_partition, const char **ret_name,
                                           struct kp_error *err);

#endif
