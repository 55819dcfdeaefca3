/*
 * Identity of values: the same to the last bit of what a reader is shown. 1.0 and 1.00, -0 and 0, '24h' and '1 day'
 * are equal in SQL but not identical, so a view that takes 1.00 away must not take 1.0. All NaNs are one value.
 * Thread safe: pure functions.
 */
#ifndef KP_VIEW_IDENTITY_H
#define KP_VIEW_IDENTITY_H

#include "base/hash.h"
#include "vec/vec.h"

/* hashes[i] = combine(hashes[i], identity of value i) for all rows; NULL is an identity of its own. Start from zero. */
void kp_identity_hash(const struct kp_vec *vec, uint32_t rows, struct kp_hash128 *hashes);
/* Neither is NULL. */
bool kp_identity_equal(enum kp_type_id type, const void *a, const void *b);

/* True if values of the type may have a part outside their width. */
bool kp_identity_has_extra(enum kp_type_id type);
/* Bytes of that part, a multiple of 8; 0 if there is none. */
size_t kp_identity_extra_bytes(enum kp_type_id type, const void *value);
/* About how many bytes its values take. */
uint64_t kp_identity_batch_bytes(const struct kp_batch *batch);
/* Copies a value of 16 bytes; its outside part goes to *memory, which moves behind it. */
void kp_identity_copy(enum kp_type_id type, const void *value, void *to, uint8_t **memory);

/*
 * Appends rows of batches to dense vectors in arena, strings included: one batch of `rows` rows, taken from
 * batches[*at_batch] row *at_row on; both move. weights: always made, 1 where a batch has none.
 */
struct kp_batch *kp_batch_concat(struct kp_batch *const *batches, size_t *at_batch, uint32_t *at_row, uint32_t rows,
                                 struct kp_arena *arena);

#endif
