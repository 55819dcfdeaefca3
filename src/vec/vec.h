/*
 * Vectors and batches: columns of values, the only form in which rows move through kappa.
 *
 * A vector is `rows` values of one type, dense, in Arrow's layout but for booleans (a byte each) and strings (a
 * struct kp_text each, pointing anywhere that lives as long as the step). A `constant` vector has one value that
 * stands for every row. `valid` is a bitmap, bit set = not NULL; NULL pointer = no NULLs. The value under a NULL is
 * defined memory (usually zero) so that kernels may compute on it blindly.
 *
 * A batch is vectors of equal length and, if rows can be taken away, weights: +n inserts the row n times, -n takes it
 * away n times; weights NULL means all +1. Batches are immutable once handed on.
 */
#ifndef KP_VEC_VEC_H
#define KP_VEC_VEC_H

#include "base/limits.h"
#include "base/mem.h"
#include "vec/type.h"

struct kp_vec {
    struct kp_type type;
    bool constant;
    void *data;
    uint64_t *valid;
};

struct kp_batch {
    uint32_t rows, cols;
    struct kp_vec *vecs;
    const int64_t *weights;
};

/* An uninitialized vector for `rows` values (data zeroed only for text and numeric), no NULLs. */
void kp_vec_init(struct kp_vec *vec, struct kp_arena *arena, struct kp_type type, uint32_t rows);
/* Gives it a bitmap, all valid, if it has none yet. */
void kp_vec_need_valid(struct kp_vec *vec, struct kp_arena *arena, uint32_t rows);
/* A constant vector of the datum (copied). */
void kp_vec_init_constant(struct kp_vec *vec, struct kp_arena *arena, const struct kp_datum *datum);
/* A dense copy of a constant vector; a dense one is returned as it is. */
struct kp_vec kp_vec_flatten(const struct kp_vec *vec, struct kp_arena *arena, uint32_t rows);
/* out[i] = vec[index[i]] for n rows; a constant stays one. Strings are not copied. */
void kp_vec_gather(const struct kp_vec *vec, const uint32_t *index, uint32_t n, struct kp_arena *arena,
                   struct kp_vec *ret_vec);
/* to[index[i]] = from[i]: the way back from a gathered subset. `to` has room for to_rows rows. */
void kp_vec_scatter(struct kp_vec *to, uint32_t to_rows, const struct kp_vec *from, const uint32_t *index, uint32_t n,
                    struct kp_arena *arena);

static inline bool kp_vec_is_null(const struct kp_vec *vec, uint32_t row)
{
    uint32_t at = vec->constant ? 0 : row;
    return vec->valid && !(vec->valid[at >> 6] >> (at & 63) & 1);
}
static inline void kp_vec_set_null(struct kp_vec *vec, uint32_t row)
{
    vec->valid[row >> 6] &= ~((uint64_t)1 << (row & 63)); /* kp_vec_need_valid first */
}
static inline size_t kp_vec_width(const struct kp_vec *vec)
{
    return kp_type_info(vec->type.id)->bytes;
}
static inline const void *kp_vec_at(const struct kp_vec *vec, uint32_t row)
{
    return (const char *)vec->data + (vec->constant ? 0 : row) * kp_vec_width(vec);
}
void kp_vec_get(const struct kp_vec *vec, uint32_t row, struct kp_datum *ret_datum); /* borrows strings */

/* A batch of n columns, vectors not yet initialized. */
struct kp_batch *kp_batch_create(struct kp_arena *arena, uint32_t cols, uint32_t rows);
/* The rows index[0..n) of a batch, weights too. */
struct kp_batch *kp_batch_gather(const struct kp_batch *batch, const uint32_t *index, uint32_t n,
                                 struct kp_arena *arena);

/* One batch of all their rows, in order; columns and types are the same. NULL if there are no rows. Weights are there
 * if one of them has weights. Strings are not copied. */
struct kp_batch *kp_batch_concat_all(struct kp_batch *const *batches, size_t count, struct kp_arena *arena);

/* ---- comparison, hashing, order (vec/compare.c) ---- */

/* -1, 0, 1 in the type's SQL order; NULLs are the caller's affair. Types are the same. numeric 1.0 = 1.00, NaN = NaN
 * and last. */
int kp_value_compare(enum kp_type_id type, const void *a, const void *b);
bool kp_value_equal(enum kp_type_id type, const void *a, const void *b);
/* Equal values (SQL equality: 1.0 and 1.00, -0 and 0, '24h' and '1 day') hash alike. Stable across machines: in the
 * state format. */
uint64_t kp_value_hash(enum kp_type_id type, const void *value);
/* hashes[i] = combine(hashes[i], hash of row i) for all rows, NULL hashing to a constant; first: start from nothing. */
void kp_vec_hash(const struct kp_vec *vec, uint32_t rows, uint64_t *hashes, bool first);
/*
 * Whole-row order, for ties and top-N: appends bytes whose memcmp order is the SQL order of the value (ascending,
 * NULLs last; descending inverts, nulls_first as asked). Equal but not identical values give equal bytes.
 */
void kp_sort_key_append(struct kp_buf *key, enum kp_type_id type, const void *value, bool null, bool descending,
                        bool nulls_first);

/* ---- text and binary forms (vec/io.c) ---- */

/* PostgreSQL's output text, with session settings ISO dates and `zone` for timestamptz. Appends. */
struct kp_zone;
void kp_value_print(struct kp_type type, const void *value, const struct kp_zone *zone, struct kp_buf *out);
/* PostgreSQL's input function with typmod: the value in 16 bytes at ret_value (out of line parts in arena). Its errors
 * and SQLSTATEs. */
KP_MUST enum kp_code kp_value_parse(struct kp_type type, struct kp_str text, const struct kp_zone *zone,
                                    struct kp_arena *arena, void *ret_value, struct kp_error *err);
/* PostgreSQL's binary send and receive forms. */
void kp_value_send(struct kp_type type, const void *value, struct kp_buf *out);
KP_MUST enum kp_code kp_value_receive(struct kp_type type, struct kp_str bytes, struct kp_arena *arena, void *ret_value,
                                      struct kp_error *err);
/* Appends the value as JSON: numbers bare but for numeric and integers beyond 2^53 (strings), text quoted, timestamps
 * ISO with T. */
void kp_value_print_json(struct kp_type type, const void *value, const struct kp_zone *zone, struct kp_buf *out);

#endif
