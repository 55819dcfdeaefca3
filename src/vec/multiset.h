/*
 * An ordered multiset of values with weights, for aggregates that must give values back: retractable min and max.
 *
 * Order is the type's SQL order; values that are equal but not identical (1.0 and 1.00) follow the order of their text,
 * so the first of an equal run is the one that a group shows. Entries lie in sorted chunks of at most 256, the chunks
 * in a sorted directory: an insertion moves at most one chunk's entries, and the directory only when a chunk splits.
 *
 *   directory   [ chunk 0 | chunk 1 | … ]      all entries of a chunk are below those of the next
 *   chunk       { value, weight } × count      weights are never 0; they may be negative only inside a step
 */
#ifndef KP_VEC_MULTISET_H
#define KP_VEC_MULTISET_H

#include "vec/type.h"

struct kp_multiset;

struct kp_multiset_entry {
    uint8_t value[16];
    int64_t weight;
};

/* Total order of values: SQL order, then text. */
int kp_value_compare_total(enum kp_type_id type, const void *a, const void *b);
/* A copy of a value whose out of line bytes, if any, are on the heap; freed by kp_value_free_heap. Returns those bytes.
 */
size_t kp_value_copy_heap(enum kp_type_id type, const void *value, uint8_t ret_value[16]);
/* Out of line bytes of a value. */
size_t kp_value_heap_bytes(enum kp_type_id type, const uint8_t value[16]);
void kp_value_free_heap(enum kp_type_id type, const uint8_t value[16]);
/* Copies a value's out of line bytes, if any, into the arena. */
void kp_value_copy_arena(enum kp_type_id type, const void *value, struct kp_arena *arena, void *ret_value);

/* Adds weight to the value's; *set may be NULL (empty) and becomes NULL again when the last entry goes. Returns the
 * change of memory in bytes. */
int64_t kp_multiset_add(struct kp_multiset **set, enum kp_type_id type, const void *value, int64_t weight);
/* The least entry, or the first of the greatest run of equals; NULL if empty. Valid until the next change. */
const struct kp_multiset_entry *kp_multiset_first(const struct kp_multiset *set);
const struct kp_multiset_entry *kp_multiset_last(const struct kp_multiset *set, enum kp_type_id type);
/* All entries in order: start with *at = 0; NULL at the end. */
const struct kp_multiset_entry *kp_multiset_next(const struct kp_multiset *set, uint64_t *at);
void kp_multiset_destroy(struct kp_multiset *set, enum kp_type_id type);
size_t kp_multiset_bytes(const struct kp_multiset *set, enum kp_type_id type);

#endif
