/*
 * Exact sums of floating-point numbers: every double is an integer times a power of two, and so is every sum.
 *
 * The sum is coef × 2^exponent with coef in 128 bits, exponent being the least of the inputs' (without trailing zero
 * bits). When a value does not fit, the sum moves to a GMP integer and stays there. Rounding is to nearest, ties to
 * even, done once, from all bits; so the result depends on the multiset of values only.
 */
#include <float.h>
#include <gmp.h>
#include <math.h>
#include <stdlib.h>

#include "vec/agg_exact.h"

struct agg_float_more {
    int64_t nans, infinities, neg_infinities, neg_zeros;
    bool has_big;
    mpz_t big; /* × 2^exponent of the sum; coef is 0 then */
};

enum { COEF_BITS_MAX = 126, BIG_BYTES = 320 /* about what 2100 bits take */ };

static struct agg_float_more *need_more(struct kp_agg_call *call, struct agg_float_sum *sum)
{
    if (!sum->more) {
        sum->more = kp_calloc(1, sizeof *sum->more);
        agg_account(call, sizeof *sum->more);
    }
    return sum->more;
}

static int bits_of(__int128 value)
{
    unsigned __int128 magnitude = value < 0 ? -(unsigned __int128)value : (unsigned __int128)value;
    uint64_t high = (uint64_t)(magnitude >> 64), low = (uint64_t)magnitude;
    return high ? 128 - __builtin_clzll(high) : low ? 64 - __builtin_clzll(low) : 0;
}

static void set_i128(mpz_t to, __int128 value)
{
    mpz_set_si(to, (int64_t)(value >> 64));
    mpz_mul_2exp(to, to, 64);
    mpz_add_ui(to, to, (uint64_t)value);
}

static void spill(struct kp_agg_call *call, struct agg_float_sum *sum)
{
    struct agg_float_more *more = need_more(call, sum);
    mpz_init(more->big);
    more->has_big = true;
    agg_account(call, BIG_BYTES);
    set_i128(more->big, agg_i128_get(&sum->coef));
    agg_i128_set(&sum->coef, 0);
}

/* Adds value × 2^exponent to a spilled sum. */
static void add_big(struct agg_float_sum *sum, const mpz_t value, int64_t exponent)
{
    struct agg_float_more *more = sum->more;
    if (exponent < sum->exponent) {
        mpz_mul_2exp(more->big, more->big, (mp_bitcnt_t)(sum->exponent - exponent));
        sum->exponent = exponent;
    }
    mpz_t shifted;
    mpz_init(shifted);
    mpz_mul_2exp(shifted, value, (mp_bitcnt_t)(exponent - sum->exponent));
    mpz_add(more->big, more->big, shifted);
    mpz_clear(shifted);
}

/* Adds coef × 2^exponent × weight, coef of at most 106 bits. */
static void add_exact(struct kp_agg_call *call, struct agg_float_sum *sum, __int128 coef, int64_t exponent,
                      int64_t weight)
{
    if (coef == 0)
        return;
    bool spilled = sum->more && sum->more->has_big;
    if (!spilled) {
        __int128 total = agg_i128_get(&sum->coef), product;
        if (total == 0)
            sum->exponent = exponent;
        int64_t down = sum->exponent - exponent; /* > 0: the sum must move to a smaller unit */
        int64_t total_bits = bits_of(total) + (down > 0 ? down : 0), add_bits = bits_of(coef) + (down < 0 ? -down : 0);
        if (total_bits <= COEF_BITS_MAX - 1 && add_bits <= COEF_BITS_MAX - 1 &&
            !__builtin_mul_overflow(coef, (__int128)weight, &product) &&
            bits_of(product) + (down < 0 ? -down : 0) <= COEF_BITS_MAX - 1) {
            if (down > 0) {
                total = (__int128)((unsigned __int128)total << down);
                sum->exponent = exponent;
            } else {
                product = (__int128)((unsigned __int128)product << -down);
            }
            agg_i128_set(&sum->coef, total + product);
            return;
        }
        spill(call, sum);
    }
    mpz_t value;
    mpz_init(value);
    set_i128(value, coef);
    mpz_mul_si(value, value, weight);
    add_big(sum, value, exponent);
    mpz_clear(value);
}

/* A finite value as an odd integer (or 0) times a power of two. */
static int64_t split(double value, int64_t *ret_exponent)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    int64_t biased = (int64_t)(bits >> 52 & 0x7ff);
    int64_t coef = (int64_t)(bits & (((uint64_t)1 << 52) - 1));
    if (biased)
        coef |= (int64_t)1 << 52;
    else
        biased = 1; /* subnormal */
    *ret_exponent = biased - 1075;
    if (coef == 0)
        return 0;
    int zeros = __builtin_ctzll((uint64_t)coef);
    coef >>= zeros;
    *ret_exponent += zeros;
    return bits >> 63 ? -coef : coef;
}

static bool add_special(struct kp_agg_call *call, struct agg_float_sum *sum, double value, int64_t weight)
{
    if (isfinite(value))
        return false;
    struct agg_float_more *more = need_more(call, sum);
    if (isnan(value))
        more->nans += weight;
    else if (value > 0)
        more->infinities += weight;
    else
        more->neg_infinities += weight;
    return true;
}

void kp_agg_float_add(struct kp_agg_call *call, struct agg_float_sum *sum, double value, int64_t weight)
{
    sum->count += weight;
    if (add_special(call, sum, value, weight))
        return;
    if (value == 0 && signbit(value))
        need_more(call, sum)->neg_zeros += weight;
    int64_t exponent, coef = split(value, &exponent);
    add_exact(call, sum, coef, exponent, weight);
}

void kp_agg_float_add_square(struct kp_agg_call *call, struct agg_float_sum *sum, double value, int64_t weight)
{
    sum->count += weight;
    if (add_special(call, sum, fabs(value), weight))
        return;
    int64_t exponent, coef = split(value, &exponent);
    add_exact(call, sum, (__int128)coef * coef, 2 * exponent, weight);
}

void kp_agg_float_add_product(struct kp_agg_call *call, struct agg_float_sum *sum, double x, double y, int64_t weight)
{
    sum->count += weight;
    if (!isfinite(x) || !isfinite(y)) {
        add_special(call, sum, (double)NAN, weight);
        return;
    }
    int64_t x_exponent, y_exponent, x_coef = split(x, &x_exponent), y_coef = split(y, &y_exponent);
    add_exact(call, sum, (__int128)x_coef * y_coef, x_exponent + y_exponent, weight);
}

void kp_agg_float_merge(struct kp_agg_call *call, struct agg_float_sum *into, struct agg_float_sum *from)
{
    into->count += from->count;
    add_exact(call, into, agg_i128_get(&from->coef), from->exponent, 1);
    struct agg_float_more *more = from->more;
    if (more) {
        struct agg_float_more *to = need_more(call, into);
        to->nans += more->nans;
        to->infinities += more->infinities;
        to->neg_infinities += more->neg_infinities;
        to->neg_zeros += more->neg_zeros;
        if (more->has_big) {
            if (!to->has_big)
                spill(call, into);
            add_big(into, more->big, from->exponent);
        }
    }
    kp_agg_float_finish(call, from);
}

/* integer × 2^exponent, rounded to nearest even with `digits` bits and no unit below 2^min_exponent. */
static double round_big(const mpz_t integer, int64_t exponent, int digits, int min_exponent)
{
    if (mpz_sgn(integer) == 0)
        return 0;
    mpz_t magnitude;
    mpz_init(magnitude);
    mpz_abs(magnitude, integer);
    int64_t bits = (int64_t)mpz_sizeinbase(magnitude, 2), drop = bits - digits;
    drop = KP_MAX(drop, min_exponent - exponent);
    if (drop > 0) {
        bool half = mpz_tstbit(magnitude, (mp_bitcnt_t)(drop - 1)) != 0;
        bool sticky = drop > 1 && mpz_scan1(magnitude, 0) < (mp_bitcnt_t)(drop - 1);
        mpz_tdiv_q_2exp(magnitude, magnitude, (mp_bitcnt_t)drop);
        if (half && (sticky || mpz_odd_p(magnitude)))
            mpz_add_ui(magnitude, magnitude, 1);
        exponent += drop;
    }
    double value = mpz_get_d(magnitude); /* at most 54 bits, exact */
    mpz_clear(magnitude);
    exponent = KP_MAX(KP_MIN(exponent, (int64_t)5000), (int64_t)-5000);
    value = ldexp(value, (int)exponent);
    return mpz_sgn(integer) < 0 ? -value : value;
}

static void exact(const struct agg_float_sum *sum, mpz_t ret_integer)
{
    if (sum->more && sum->more->has_big)
        mpz_set(ret_integer, sum->more->big);
    else
        set_i128(ret_integer, agg_i128_get(&sum->coef));
}

bool kp_agg_float_is_special(const struct agg_float_sum *sum)
{
    return sum->more && (sum->more->nans || sum->more->infinities || sum->more->neg_infinities);
}

bool kp_agg_float_is_negative_zero(const struct agg_float_sum *sum)
{
    return sum->more && sum->count && sum->more->neg_zeros == sum->count;
}

double kp_agg_float_total(const struct agg_float_sum *sum, bool single)
{
    const struct agg_float_more *more = sum->more;
    if (more && (more->nans || (more->infinities && more->neg_infinities)))
        return (double)NAN;
    if (more && (more->infinities || more->neg_infinities))
        return more->infinities ? HUGE_VAL : -HUGE_VAL;
    mpz_t integer;
    mpz_init(integer);
    exact(sum, integer);
    double value = single ? round_big(integer, sum->exponent, FLT_MANT_DIG, FLT_MIN_EXP - FLT_MANT_DIG)
                          : round_big(integer, sum->exponent, DBL_MANT_DIG, DBL_MIN_EXP - DBL_MANT_DIG);
    mpz_clear(integer);
    return single && fabs(value) > (double)FLT_MAX ? copysign(HUGE_VAL, value) : value;
}

double kp_agg_float_variance(const struct agg_float_sum *sum, const struct agg_float_sum *squares, int64_t n,
                             double divisor)
{
    mpz_t x, xx;
    mpz_inits(x, xx, NULL);
    exact(sum, x);
    exact(squares, xx);
    int64_t x_exponent = 2 * sum->exponent, xx_exponent = squares->exponent, exponent = KP_MIN(x_exponent, xx_exponent);
    mpz_mul(x, x, x);
    mpz_mul_si(xx, xx, n);
    mpz_mul_2exp(x, x, (mp_bitcnt_t)(x_exponent - exponent));
    mpz_mul_2exp(xx, xx, (mp_bitcnt_t)(xx_exponent - exponent));
    mpz_sub(xx, xx, x);
    double value = round_big(xx, exponent, DBL_MANT_DIG, DBL_MIN_EXP - DBL_MANT_DIG);
    mpz_clears(x, xx, NULL);
    return value > 0 ? value / divisor : 0;
}

double kp_agg_float_cross(const struct agg_float_sum *x, const struct agg_float_sum *y,
                          const struct agg_float_sum *products, int64_t n)
{
    mpz_t a, b, ab;
    mpz_inits(a, b, ab, NULL);
    exact(x, a);
    exact(y, b);
    exact(products, ab);
    int64_t one = x->exponent + y->exponent, other = products->exponent, exponent = KP_MIN(one, other);
    mpz_mul(a, a, b);
    mpz_mul_si(ab, ab, n);
    mpz_mul_2exp(a, a, (mp_bitcnt_t)(one - exponent));
    mpz_mul_2exp(ab, ab, (mp_bitcnt_t)(other - exponent));
    mpz_sub(ab, ab, a);
    double value = round_big(ab, exponent, DBL_MANT_DIG, DBL_MIN_EXP - DBL_MANT_DIG);
    mpz_clears(a, b, ab, NULL);
    return value;
}

void kp_agg_float_finish(struct kp_agg_call *call, struct agg_float_sum *sum)
{
    if (sum->more) {
        if (sum->more->has_big) {
            mpz_clear(sum->more->big);
            agg_account(call, -BIG_BYTES);
        }
        agg_account(call, -(int64_t)sizeof *sum->more);
        kp_free(sum->more);
    }
    memset(sum, 0, sizeof *sum);
}
