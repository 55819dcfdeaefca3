/*
 * Slabs and the tail: the newest blocks in memory, as they were written.
 *
 * A slab is two megabytes or more and holds consecutive blocks: filled by appends, written to the journal from where it
 * lies, kept for readers until the tail is over its limit, freed when the last reader lets go. Readers share it; a
 * block in the tail never changes. Reads from disk come in slabs, too, so that a span frees both alike.
 */
#ifndef KP_LOG_TAIL_H
#define KP_LOG_TAIL_H

#include <stdatomic.h>

#include "log/format.h"

enum {
    KP_SLAB_BYTES = 2 << 20,     /* a huge page */
    KP_SLAB_READ_BYTES = 8 << 20 /* read at once from disk */
};

struct kp_slab {
    _Atomic uint32_t refs;
    size_t bytes;
    uint8_t *memory; /* aligned to KP_SECTOR_BYTES */
};

struct kp_slab *kp_slab_create(size_t bytes); /* one reference */
void kp_slab_hold(struct kp_slab *slab);
void kp_slab_release(struct kp_slab *slab); /* NULL is fine */
void kp_slab_trim(void);                    /* frees the spare ones, of the whole process */

struct kp_tail_block {
    uint64_t location;
    const struct kp_block_header *block;
    struct kp_slab *slab; /* one reference */
};

/* A queue in a ring. Guarded by kp_log.lock. */
struct kp_tail {
    struct kp_tail_block *ring;
    size_t first, count, cap; /* cap: a power of two */
    size_t bytes, bytes_max;  /* of the slabs */
};

void kp_tail_finish(struct kp_tail *tail);
void kp_tail_push(struct kp_tail *tail, uint64_t location, const struct kp_block_header *block, struct kp_slab *slab);
static inline const struct kp_tail_block *kp_tail_get(const struct kp_tail *tail, size_t index)
{
    return &tail->ring[(tail->first + index) & (tail->cap - 1)];
}
/* Forgets blocks that end at or before position. */
void kp_tail_drop(struct kp_tail *tail, int64_t position);
/* The index of the block at location; count if the tail does not have it. */
size_t kp_tail_find(const struct kp_tail *tail, uint64_t location);
/* The index of the last block at or before position that holds records from it on; count if it is before the tail. */
size_t kp_tail_find_position(const struct kp_tail *tail, int64_t position);

#endif
