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

/* ---- text, modifier, other types (numeric.c) ---- */

/* numeric_in: spaces around, NaN, [+-]inf, [+-]infinity, exponents. */
KP_MUST enum kp_code kp_numeric_parse(struct kp_str text, struct kp_arena *arena, struct kp_numeric *ret_n,
                                      struct kp_error *err);
void kp_numeric_print(const struct kp_numeric *n, struct kp_buf *out);
/* Rounds to the scale of numeric(p, s)'s modifier and checks p; -1: as it is. 22003 numeric field overflow. */
KP_MUST enum kp_code kp_numeric_apply_mod(const struct kp_numeric *n, int32_t mod, struct kp_arena *arena,
                                          struct kp_numeric *ret_n, struct kp_error *err);
struct kp_numeric kp_numeric_from_i64(int64_t value, struct kp_arena *arena);
struct kp_numeric kp_numeric_from_i128(__int128 coef, uint16_t scale, struct kp_arena *arena);
/* 15 significant digits (6 for float4), as PostgreSQL's casts. */
struct kp_numeric kp_numeric_from_f64(double value, struct kp_arena *arena);
struct kp_numeric kp_numeric_from_f32(float value, struct kp_arena *arena);
/* Rounded half away from zero. KP_INT2, KP_INT4 and KP_INT8 set the range and the message. */
KP_MUST enum kp_code kp_numeric_to_int(const struct kp_numeric *n, enum kp_type_id type, int64_t *ret_value,
                                       struct kp_error *err);
KP_MUST enum kp_code kp_numeric_to_f64(const struct kp_numeric *n, double *ret_value, struct kp_error *err);
KP_MUST enum kp_code kp_numeric_to_f32(const struct kp_numeric *n, float *ret_value, struct kp_error *err);

/* ---- arithmetic (numeric_arith.c): PostgreSQL's result scales, rounding and errors (22003, 22012) ---- */

typedef enum kp_code (*kp_numeric_binary)(const struct kp_numeric *a, const struct kp_numeric *b,
                                          struct kp_arena *arena, struct kp_numeric *ret_n, struct kp_error *err);
KP_MUST enum kp_code kp_numeric_add(const struct kp_numeric *a, const struct kp_numeric *b, struct kp_arena *arena,
                                    struct kp_numeric *ret_n, struct kp_error *err);
KP_MUST enum kp_code kp_numeric_sub(const struct kp_numeric *a, const struct kp_numeric *b, struct kp_arena *arena,
                                    struct kp_numeric *ret_n, struct kp_error *err);
KP_MUST enum kp_code kp_numeric_mul(const struct kp_numeric *a, const struct kp_numeric *b, struct kp_arena *arena,
                                    struct kp_numeric *ret_n, struct kp_error *err);
KP_MUST enum kp_code kp_numeric_div(const struct kp_numeric *a, const struct kp_numeric *b, struct kp_arena *arena,
                                    struct kp_numeric *ret_n, struct kp_error *err);
KP_MUST enum kp_code kp_numeric_div_trunc(const struct kp_numeric *a, const struct kp_numeric *b,
                                          struct kp_arena *arena, struct kp_numeric *ret_n, struct kp_error *err);
KP_MUST enum kp_code kp_numeric_mod(const struct kp_numeric *a, const struct kp_numeric *b, struct kp_arena *arena,
                                    struct kp_numeric *ret_n, struct kp_error *err);
struct kp_numeric kp_numeric_negate(const struct kp_numeric *n, struct kp_arena *arena);
struct kp_numeric kp_numeric_abs(const struct kp_numeric *n, struct kp_arena *arena);
enum kp_numeric_rounding { KP_ROUND_HALF_AWAY, KP_ROUND_TRUNC, KP_ROUND_FLOOR, KP_ROUND_CEIL };
/* To `digits` behind the point (negative: before it), which becomes the scale. 22003 beyond the limits. */
KP_MUST enum kp_code kp_numeric_round(const struct kp_numeric *n, int32_t digits, enum kp_numeric_rounding rounding,
                                      struct kp_arena *arena, struct kp_numeric *ret_n, struct kp_error *err);
KP_MUST enum kp_code kp_numeric_sqrt(const struct kp_numeric *n, struct kp_arena *arena, struct kp_numeric *ret_n,
                                     struct kp_error *err);
KP_MUST enum kp_code kp_numeric_sqrt_scale(const struct kp_numeric *n, uint16_t scale, struct kp_arena *arena,
                                           struct kp_numeric *ret_n, struct kp_error *err);

#endif
