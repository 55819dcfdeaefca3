/*
 * numeric: PostgreSQL's exact decimals. The value of a finite one is coefficient × 10^-scale; scale is PostgreSQL's
 * display scale and part of the value's appearance, not of its equality (1.0 = 1.00).
 *
 * Invariants:
 *   1. A finite value is SMALL whenever its scale is at most 18 and |coefficient| at most INT64_MAX; else BIG. So one
 *      value of one scale has one representation.
 *   2. A BIG's limbs are immutable, little-endian, the highest one not zero. They live in the arena of the call that
 *      made them; kp_numeric_copy moves them elsewhere.
 *   3. Limits and errors are PostgreSQL's: scale up to 16383, 131072 digits before the point, 22003 beyond.
 */
#ifndef KP_VEC_NUMERIC_H
#define KP_VEC_NUMERIC_H

#include "vec/type.h"

enum {
    KP_NUMERIC_SMALL_SCALE_MAX = 18,
    KP_NUMERIC_SCALE_MAX = 16383,
    KP_NUMERIC_WEIGHT_DIGITS_MAX = 131072,
    KP_NUMERIC_PRECISION_MAX = 1000
};

/* The coefficient's magnitude: 64-bit limbs, least significant first. */
struct kp_numeric_big {
    uint32_t limb_count;
    bool negative;
    uint64_t limbs[];
};

static inline struct kp_numeric kp_numeric_small(int64_t coef, uint16_t scale)
{
    struct kp_numeric n = {{.coef = coef}, scale, KP_NUMERIC_SMALL, {0}};
    return n;
}
static inline struct kp_numeric kp_numeric_special(enum kp_numeric_kind kind)
{
    struct kp_numeric n = {{.coef = 0}, 0, (uint8_t)kind, {0}};
    return n;
}
static inline bool kp_numeric_is_small(const struct kp_numeric *n)
{
    return n->kind == KP_NUMERIC_SMALL;
}
static inline bool kp_numeric_is_finite(const struct kp_numeric *n)
{
    return n->kind <= KP_NUMERIC_BIG;
}
static inline bool kp_numeric_is_nan(const struct kp_numeric *n)
{
    return n->kind == KP_NUMERIC_NAN;
}
int64_t kp_pow10_i64(unsigned exponent); /* 10^exponent, exponent at most 18 */

/* ---- order and identity (numeric_compare.c) ---- */

/* -infinity < finite < infinity < NaN = NaN. */
int kp_numeric_compare(const struct kp_numeric *a, const struct kp_numeric *b);
uint64_t kp_numeric_hash(const struct kp_numeric *n); /* equal values hash alike, whatever their scales */
void kp_numeric_sort_key(const struct kp_numeric *n, struct kp_buf *key); /* memcmp order is SQL order */
int kp_numeric_sign(const struct kp_numeric *n);                          /* -1, 0, 1; NaN 1 */
/* Bytes of a copy's out of line part, 0 for all but BIG. */
size_t kp_numeric_extra_bytes(const struct kp_numeric *n);
/* A copy whose out of line part, if any, is at `memory` (aligned to 8, kp_numeric_extra_bytes of it). */
struct kp_numeric kp_numeric_copy(const struct kp_numeric *n, void *memory);

#endif
