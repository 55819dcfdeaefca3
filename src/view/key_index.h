/*
 * Inside view/: the key index, from a key's hash to the versions of its rows, newest first.
 *
 *   heads[hash & mask] ──► slot ──next[slot]──► slot ──► …        (slot + 1; 0 ends)
 *
 * `next` belongs to one generation of the index: when slots outgrow it, the engine builds a bigger one beside it and
 * readers inside the old one go on there; it is freed when they have left. A chain holds the versions of all keys of a
 * bucket. Unlinking leaves the unlinked slot's own `next` as it is, so that a reader who stands on it finds the rest.
 *
 * Threads: link, unlink and grow are the engine's. kp_key_enter, walking and kp_key_leave: any thread, lock-free.
 */
#ifndef KP_VIEW_KEY_INDEX_H
#define KP_VIEW_KEY_INDEX_H

#include "view/rows.h"

struct kp_key_index {
    uint32_t mask;
    uint32_t cap;               /* slots that `next` covers */
    struct kp_key_index *older; /* replaced in retired_epoch, with the ones before */
    int64_t retired_epoch;
    _Atomic uint32_t *heads, *next;
};

void kp_key_index_init(struct kp_rows *rows);
void kp_key_index_finish(struct kp_rows *rows);
void kp_key_index_link(struct kp_rows *rows, uint32_t slot, uint32_t hash);
void kp_key_index_unlink(struct kp_rows *rows, uint32_t slot, uint32_t hash);
/* Frees older generations that nobody is inside any more. */
void kp_key_index_reclaim(struct kp_rows *rows, int64_t epoch_least);
bool kp_key_index_has_older(const struct kp_rows *rows);

/* Any thread: *ret_reader is given back to kp_key_leave. Slots reached in between are not reused. */
const struct kp_key_index *kp_key_enter(const struct kp_rows *rows, uint32_t *ret_reader);
void kp_key_leave(const struct kp_rows *rows, uint32_t reader);
static inline uint32_t kp_key_first(const struct kp_key_index *index, uint32_t hash)
{
    return atomic_load_explicit(&index->heads[hash & index->mask], memory_order_acquire);
}
static inline uint32_t kp_key_next(const struct kp_key_index *index, uint32_t slot)
{
    return atomic_load_explicit(&index->next[slot], memory_order_acquire);
}

#endif
