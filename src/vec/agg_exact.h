/*
 * For agg_*.c: exact sums that do not depend on order and can be retracted, small while their inputs are alike.
 *
 * All of them start from zeroed memory. What they own on the heap is accounted in the call's budget; accounting never
 * fails here: the operator compares the budget with its limit after a call.
 */
#ifndef KP_VEC_AGG_EXACT_H
#define KP_VEC_AGG_EXACT_H

#include "vec/agg.h"
#include "vec/numeric.h"

/* ---- 128 bits in memory that is aligned to 8 ---- */

struct agg_i128 {
    uint64_t low;
    int64_t high;
};
static inline __int128 agg_i128_get(const struct agg_i128 *sum)
{
    return (__int128)((unsigned __int128)(uint64_t)sum->high << 64 | sum->low);
}
static inline void agg_i128_set(struct agg_i128 *sum, __int128 value)
{
    sum->low = (uint64_t)value;
    sum->high = (int64_t)(value >> 64);
}
/* Wraps beyond 128 bits, which 2^64 additions of 64-bit values do not reach. */
static inline void agg_i128_add(struct agg_i128 *sum, __int128 value)
{
    unsigned __int128 total = (unsigned __int128)agg_i128_get(sum) + (unsigned __int128)value;
    agg_i128_set(sum, (__int128)total);
}

static inline void agg_account(struct kp_agg_call *call, int64_t bytes)
{
    if (call->budget)
        kp_budget_release(call->budget, -bytes);
}

/* ---- numeric ---- */

/*
 * The sum of all values, and how many there are of each scale, for the result shows the largest scale that is there.
 * Values of the first scale met are summed here, all others behind `more`.
 */
struct agg_numeric_sum {
    int64_t count; /* of values of `scale`, all SMALL */
    struct agg_i128 coef;
    uint64_t scale;
    struct agg_numeric_more *more;
};
void kp_agg_numeric_add(struct kp_agg_call *call, struct agg_numeric_sum *sum, const struct kp_numeric *value,
                        int64_t weight);
void kp_agg_numeric_merge(struct kp_agg_call *call, struct agg_numeric_sum *into, struct agg_numeric_sum *from);
int64_t kp_agg_numeric_count(const struct agg_numeric_sum *sum);
/* The sum; 0 with scale 0 if empty. */
KP_MUST enum kp_code kp_agg_numeric_total(const struct agg_numeric_sum *sum, struct kp_arena *arena,
                                          struct kp_numeric *ret_total, struct kp_error *err);
void kp_agg_numeric_finish(struct kp_agg_call *call, struct agg_numeric_sum *sum);

/* ---- floating point ---- */

/*
 * The exact sum: coef × 2^exponent while that fits in 128 bits, else a GMP integer behind `more`, where NaNs and
 * infinities are counted too.
 */
struct agg_float_sum {
    int64_t count;
    struct agg_i128 coef;
    int64_t exponent;
    struct agg_float_more *more;
};
void kp_agg_float_add(struct kp_agg_call *call, struct agg_float_sum *sum, double value, int64_t weight);
/* Adds value × value, exactly. */
void kp_agg_float_add_square(struct kp_agg_call *call, struct agg_float_sum *sum, double value, int64_t weight);
/* Adds x × y, exactly. */
void kp_agg_float_add_product(struct kp_agg_call *call, struct agg_float_sum *sum, double x, double y, int64_t weight);
/* n Σxy - Σx Σy, rounded once. */
double kp_agg_float_cross(const struct agg_float_sum *x, const struct agg_float_sum *y,
                          const struct agg_float_sum *products, int64_t n);
void kp_agg_float_merge(struct kp_agg_call *call, struct agg_float_sum *into, struct agg_float_sum *from);
/* The sum rounded once, to nearest even; `single`: to float. Infinite if a finite sum is too large. */
double kp_agg_float_total(const struct agg_float_sum *sum, bool single);
/* True if an infinity or NaN is among the values. */
bool kp_agg_float_is_special(const struct agg_float_sum *sum);
/* All values are -0, and so is their sum. */
bool kp_agg_float_is_negative_zero(const struct agg_float_sum *sum);
/* (n Σx² - (Σx)²) / divisor, rounded; at least 0. */
double kp_agg_float_variance(const struct agg_float_sum *sum, const struct agg_float_sum *squares, int64_t n,
                             double divisor);
void kp_agg_float_finish(struct kp_agg_call *call, struct agg_float_sum *sum);

#endif
