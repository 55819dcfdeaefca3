/*
 * exp, ln, log and power of numerics, to PostgreSQL's result scales, rounded from fixed point with spare bits.
 *
 * Fixed point: an mpz times 2^-bits. ln x: x = m × 2^k with m in [2/3, 4/3), ln m = 2 atanh((m - 1) / (m + 1)).
 * exp x: x = k ln 2 + r, exp r by Taylor from r / 2^16, squared 16 times. ln 2 = 2 atanh(1/3).
 */
#include "vec/numeric_math.h"

#include <math.h>
#include <stdlib.h>

#include "vec/numeric_big.h"

enum {
    MIN_SIGNIFICANT_DIGITS = 16,
    DISPLAY_SCALE_MAX = 1000,
    RESULT_SCALE_MAX = 2000,
    SPARE_BITS = 96,
    SQUARINGS = 16,
    POWER_DIGITS_MAX = 3000000, /* multiplied out in a fraction of a second */
    LN_BITS_MAX = 60000         /* series of that many bits, too */
};

static int clamp_scale(double scale)
{
    return (int)fmin(fmax(scale, 0), DISPLAY_SCALE_MAX);
}

/* atanh of a fixed-point number below 1/2. */
static void fixed_atanh(mpz_t result, const mpz_t z, mp_bitcnt_t bits)
{
    mpz_t square, power, term;
    mpz_inits(square, power, term, NULL);
    mpz_mul(square, z, z);
    mpz_tdiv_q_2exp(square, square, bits);
    mpz_set(power, z);
    mpz_set(result, z);
    for (unsigned long n = 3; mpz_sgn(power) != 0; n += 2) {
        mpz_mul(power, power, square);
        mpz_tdiv_q_2exp(power, power, bits);
        mpz_tdiv_q_ui(term, power, n);
        mpz_add(result, result, term);
    }
    mpz_clears(square, power, term, NULL);
}

static void fixed_ln2(mpz_t result, mp_bitcnt_t bits)
{
    mpz_t third;
    mpz_init_set_ui(third, 1);
    mpz_mul_2exp(third, third, bits);
    mpz_tdiv_q_ui(third, third, 3);
    fixed_atanh(result, third, bits);
    mpz_mul_2exp(result, result, 1);
    mpz_clear(third);
}

/* A finite value in fixed point. */
static void to_fixed(mpz_t result, const struct kp_numeric *n, mp_bitcnt_t bits)
{
    mpz_t power;
    mpz_init(power);
    mpz_ui_pow_ui(power, 10, n->scale);
    kp_numeric_to_mpz(n, result);
    mpz_mul_2exp(result, result, bits);
    mpz_tdiv_q(result, result, power);
    mpz_clear(power);
}

/* ln of a positive value; relative precision is kept for tiny ones by shifting them up first. */
static void fixed_ln(mpz_t result, const struct kp_numeric *n, mp_bitcnt_t bits)
{
    mpz_t m, below, ln2, power;
    mpz_inits(m, below, ln2, power, NULL);
    kp_numeric_to_mpz(n, m);
    mpz_ui_pow_ui(power, 10, n->scale);
    long k = (long)mpz_sizeinbase(m, 2) - (long)mpz_sizeinbase(power, 2);
    /* m / (power × 2^k) is in (1/2, 2) */
    if (k >= 0)
        mpz_mul_2exp(power, power, (mp_bitcnt_t)k);
    else
        mpz_mul_2exp(m, m, (mp_bitcnt_t)-k);
    mpz_mul_ui(below, m, 3);
    mpz_mul_2exp(ln2, power, 2);
    if (mpz_cmp(below, ln2) >= 0) { /* m >= 4/3 */
        mpz_mul_2exp(power, power, 1);
        k++;
    }
    mpz_add(below, m, power);
    mpz_sub(m, m, power);
    mpz_mul_2exp(m, m, bits);
    mpz_tdiv_q(m, m, below);
    fixed_atanh(result, m, bits);
    mpz_mul_2exp(result, result, 1);
    fixed_ln2(ln2, bits);
    mpz_mul_si(ln2, ln2, k);
    mpz_add(result, result, ln2);
    mpz_clears(m, below, ln2, power, NULL);
}

/* result × 2^shift = exp(x) in fixed point. */
static void fixed_exp(mpz_t result, long *ret_shift, const mpz_t x, mp_bitcnt_t bits)
{
    mpz_t ln2, k, rest, term;
    mpz_inits(ln2, k, rest, term, NULL);
    fixed_ln2(ln2, bits);
    mpz_fdiv_qr(k, rest, x, ln2);
    *ret_shift = mpz_get_si(k);
    mpz_tdiv_q_2exp(rest, rest, SQUARINGS);
    mpz_set_ui(result, 1);
    mpz_mul_2exp(result, result, bits);
    mpz_set(term, result);
    for (unsigned long n = 1; mpz_sgn(term) != 0; n++) {
        mpz_mul(term, term, rest);
        mpz_tdiv_q_2exp(term, term, bits);
        mpz_tdiv_q_ui(term, term, n);
        mpz_add(result, result, term);
    }
    for (int i = 0; i < SQUARINGS; i++) {
        mpz_mul(result, result, result);
        mpz_tdiv_q_2exp(result, result, bits);
    }
    mpz_clears(ln2, k, rest, term, NULL);
}

/* fixed × 2^shift as a numeric of a scale. */
static enum kp_code from_fixed(const mpz_t fixed, mp_bitcnt_t bits, long shift, int scale, struct kp_arena *arena,
                               struct kp_numeric *ret_n, struct kp_error *err)
{
    mpz_t coef;
    mpz_init_set(coef, fixed);
    kp_numeric_mul_pow10(coef, (unsigned long)scale + 1);
    long down = (long)bits - shift;
    if (down >= 0)
        mpz_tdiv_q_2exp(coef, coef, (mp_bitcnt_t)down);
    else
        mpz_mul_2exp(coef, coef, (mp_bitcnt_t)-down);
    kp_numeric_mpz_drop(coef, 1, KP_ROUND_HALF_AWAY);
    enum kp_code code = kp_numeric_checked(coef, scale, arena, ret_n, err);
    mpz_clear(coef);
    return code;
}

static mp_bitcnt_t bits_for(double digits)
{
    return (mp_bitcnt_t)(fmax(digits, 0) * 3.33) + SPARE_BITS;
}

/* ln of a positive value as a double, and the base 10 exponent of that, as PostgreSQL estimates it. */
static double approximate_ln(const struct kp_numeric *n)
{
    mpz_t coef;
    long exponent;
    mpz_init(coef);
    kp_numeric_to_mpz(n, coef);
    double fraction = mpz_get_d_2exp(&exponent, coef);
    mpz_clear(coef);
    return log(fraction) + (double)exponent * M_LN2 - n->scale * M_LN10;
}

static int ln_weight(const struct kp_numeric *n)
{
    static const struct kp_numeric low = {{.coef = 9}, 1, KP_NUMERIC_SMALL, {0}},
                                   high = {{.coef = 11}, 1, KP_NUMERIC_SMALL, {0}};
    if (kp_numeric_compare(n, &low) < 0 || kp_numeric_compare(n, &high) > 0)
        return (int)log10(fabs(approximate_ln(n)));
    struct kp_arena arena = {0};
    struct kp_numeric one = kp_numeric_small(1, 0), x = one;
    int64_t weight = 0;
    int first = 0;
    if (kp_numeric_sub(n, &one, &arena, &x, NULL) == KP_OK && kp_numeric_sign(&x) != 0) {
        kp_numeric_weight(&x, &weight, &first);
        weight = weight * 4 + (int)log10((double)first);
    }
    kp_arena_finish(&arena);
    return (int)weight;
}

static enum kp_code check_logarithm(const struct kp_numeric *n, struct kp_error *err)
{
    int sign = kp_numeric_sign(n);
    if (sign < 0)
        return kp_fail(err, KP_INVALID, "2201E", "cannot take logarithm of a negative number");
    return sign == 0 ? kp_fail(err, KP_INVALID, "2201E", "cannot take logarithm of zero") : KP_OK;
}

enum kp_code kp_numeric_ln(const struct kp_numeric *n, struct kp_arena *arena, struct kp_numeric *ret_n,
                           struct kp_error *err)
{
    if (n->kind == KP_NUMERIC_NAN || n->kind == KP_NUMERIC_POS_INF) {
        *ret_n = *n;
        return KP_OK;
    }
    KP_TRY(check_logarithm(n, err));
    int scale = clamp_scale(fmax(MIN_SIGNIFICANT_DIGITS - ln_weight(n), n->scale));
    mp_bitcnt_t bits = bits_for(scale);
    mpz_t fixed;
    mpz_init(fixed);
    fixed_ln(fixed, n, bits);
    enum kp_code code = from_fixed(fixed, bits, 0, scale, arena, ret_n, err);
    mpz_clear(fixed);
    return code;
}

enum kp_code kp_numeric_log(const struct kp_numeric *base, const struct kp_numeric *n, struct kp_arena *arena,
                            struct kp_numeric *ret_n, struct kp_error *err)
{
    if (kp_numeric_is_nan(base) || kp_numeric_is_nan(n)) {
        *ret_n = kp_numeric_special(KP_NUMERIC_NAN);
        return KP_OK;
    }
    KP_TRY(check_logarithm(base, err));
    KP_TRY(check_logarithm(n, err));
    if (!kp_numeric_is_finite(base) || !kp_numeric_is_finite(n)) {
        *ret_n = kp_numeric_is_finite(base) ? *n
                 : kp_numeric_is_finite(n)  ? kp_numeric_small(0, 0)
                                            : kp_numeric_special(KP_NUMERIC_NAN);
        return KP_OK;
    }
    int scale =
        clamp_scale(fmax(MIN_SIGNIFICANT_DIGITS - (ln_weight(n) - ln_weight(base)), fmax(n->scale, base->scale)));
    mp_bitcnt_t bits = bits_for(scale + abs(ln_weight(n)) + 2 * abs(ln_weight(base)));
    mpz_t top, bottom;
    mpz_inits(top, bottom, NULL);
    fixed_ln(top, n, bits);
    fixed_ln(bottom, base, bits);
    enum kp_code code;
    if (mpz_sgn(bottom) == 0) {
        code = kp_fail(err, KP_INVALID, "22012", "division by zero");
    } else {
        mpz_mul_2exp(top, top, bits);
        mpz_tdiv_q(top, top, bottom);
        code = from_fixed(top, bits, 0, scale, arena, ret_n, err);
    }
    mpz_clears(top, bottom, NULL);
    return code;
}

static enum kp_code overflow(struct kp_error *err)
{
    return kp_fail(err, KP_INVALID, "22003", "value overflows numeric format");
}

/* As a double; what is beyond them is very large or very small, of its sign. */
static double to_double(const struct kp_numeric *n, struct kp_arena *arena)
{
    double value;
    if (kp_numeric_to_f64(n, &value, NULL) == KP_OK)
        return value;
    struct kp_numeric magnitude = kp_numeric_abs(n, arena), one = kp_numeric_small(1, 0);
    return kp_numeric_sign(n) * (kp_numeric_compare(&magnitude, &one) < 0 ? 1e-300 : 1e300);
}

enum kp_code kp_numeric_exp(const struct kp_numeric *n, struct kp_arena *arena, struct kp_numeric *ret_n,
                            struct kp_error *err)
{
    if (!kp_numeric_is_finite(n)) {
        *ret_n = n->kind == KP_NUMERIC_NEG_INF ? kp_numeric_small(0, 0) : *n;
        return KP_OK;
    }
    double value = to_double(n, arena);
    double weight = fmin(fmax(value * 0.434294481903252, -RESULT_SCALE_MAX), RESULT_SCALE_MAX);
    int scale = clamp_scale(fmax(MIN_SIGNIFICANT_DIGITS - (int)weight, n->scale));
    if (value > 3.0 * RESULT_SCALE_MAX)
        return overflow(err);
    if (value < -3.0 * RESULT_SCALE_MAX) {
        *ret_n = kp_numeric_from_i128(0, (uint16_t)scale, arena);
        return KP_OK;
    }
    mp_bitcnt_t bits = bits_for(scale + fabs(value) * 0.4343 + 8);
    long shift;
    mpz_t x, fixed;
    mpz_inits(x, fixed, NULL);
    to_fixed(x, n, bits);
    fixed_exp(fixed, &shift, x, bits);
    enum kp_code code = from_fixed(fixed, bits, shift, scale, arena, ret_n, err);
    mpz_clears(x, fixed, NULL);
    return code;
}

/* base^exponent through logarithms, base positive: for what has too many digits to multiply out. */
static enum kp_code power_by_ln(const struct kp_numeric *base, const struct kp_numeric *exponent, bool negative,
                                int scale, double weight, struct kp_arena *arena, struct kp_numeric *ret_n,
                                struct kp_error *err)
{
    mp_bitcnt_t bits = bits_for(scale + fabs(weight) + 32);
    if (bits > LN_BITS_MAX)
        return kp_fail(err, KP_LIMIT, NULL, "power has too many digits to compute");
    long shift;
    mpz_t ln, power, fixed, unit;
    mpz_inits(ln, power, fixed, unit, NULL);
    fixed_ln(ln, base, bits);
    kp_numeric_to_mpz(exponent, power);
    mpz_mul(ln, ln, power);
    mpz_ui_pow_ui(unit, 10, exponent->scale);
    mpz_tdiv_q(ln, ln, unit);
    fixed_exp(fixed, &shift, ln, bits);
    if (negative)
        mpz_neg(fixed, fixed);
    enum kp_code code = from_fixed(fixed, bits, shift, scale, arena, ret_n, err);
    mpz_clears(ln, power, fixed, unit, NULL);
    return code;
}

/* Whole exponents: coef^|e| exactly, then one division. */
static enum kp_code power_by_mul(const struct kp_numeric *base, long exponent, int scale, struct kp_arena *arena,
                                 struct kp_numeric *ret_n, struct kp_error *err)
{
    unsigned long times = (unsigned long)(exponent < 0 ? -exponent : exponent);
    mpz_t coef, unit;
    mpz_inits(coef, unit, NULL);
    kp_numeric_to_mpz(base, coef);
    mpz_pow_ui(coef, coef, times);
    mpz_ui_pow_ui(unit, 10, base->scale * times);
    if (exponent < 0)
        mpz_swap(coef, unit);
    kp_numeric_mul_pow10(coef, (unsigned long)scale + 1); /* one digit more, to round by */
    mpz_tdiv_q(coef, coef, unit);
    kp_numeric_mpz_drop(coef, 1, KP_ROUND_HALF_AWAY);
    enum kp_code code = kp_numeric_checked(coef, scale, arena, ret_n, err);
    mpz_clears(coef, unit, NULL);
    return code;
}

static bool whole(const struct kp_numeric *n, struct kp_arena *arena)
{
    struct kp_numeric cut;
    return kp_numeric_round(n, 0, KP_ROUND_TRUNC, arena, &cut, NULL) == KP_OK && kp_numeric_compare(&cut, n) == 0;
}

/* An operand is NaN or infinite: the double's answer, which agrees but for its type. */
static struct kp_numeric power_special(const struct kp_numeric *base, const struct kp_numeric *exponent,
                                       struct kp_arena *arena)
{
    static const double specials[] = {
        [KP_NUMERIC_NAN] = (double)NAN, [KP_NUMERIC_POS_INF] = HUGE_VAL, [KP_NUMERIC_NEG_INF] = -HUGE_VAL};
    double x = kp_numeric_is_finite(base) ? to_double(base, arena) : specials[base->kind];
    double y = kp_numeric_is_finite(exponent) ? to_double(exponent, arena) : specials[exponent->kind];
    double result = pow(x, y);
    if (isnan(result))
        return kp_numeric_special(KP_NUMERIC_NAN);
    if (isinf(result))
        return kp_numeric_special(result < 0 ? KP_NUMERIC_NEG_INF : KP_NUMERIC_POS_INF);
    return kp_numeric_small((int64_t)result, 0); /* 0 or 1 */
}

enum kp_code kp_numeric_power(const struct kp_numeric *base, const struct kp_numeric *exponent, struct kp_arena *arena,
                              struct kp_numeric *ret_n, struct kp_error *err)
{
    if (kp_numeric_is_nan(base) || kp_numeric_is_nan(exponent)) {
        *ret_n = power_special(base, exponent, arena);
        return KP_OK;
    }
    int base_sign = kp_numeric_sign(base), exponent_sign = kp_numeric_sign(exponent);
    bool finite_exponent = kp_numeric_is_finite(exponent), is_whole = finite_exponent && whole(exponent, arena);
    if (base_sign == 0 && exponent_sign < 0)
        return kp_fail(err, KP_INVALID, "2201F", "zero raised to a negative power is undefined");
    if (base_sign < 0 && finite_exponent && !is_whole)
        return kp_fail(err, KP_INVALID, "2201F",
                       "a negative number raised to a non-integer power yields a complex result");
    if (!kp_numeric_is_finite(base) || !finite_exponent) {
        *ret_n = power_special(base, exponent, arena);
        return KP_OK;
    }
    int64_t times = 0;
    bool multiply = is_whole && kp_numeric_to_int(exponent, KP_INT4, &times, NULL) == KP_OK;
    int least_scale = multiply ? base->scale : KP_MAX(base->scale, exponent->scale);
    /* a whole exponent has a fixed scale, any other one that fits the result */
    int scale = multiply ? clamp_scale(KP_MAX(MIN_SIGNIFICANT_DIGITS, least_scale)) : MIN_SIGNIFICANT_DIGITS;
    struct kp_numeric one = kp_numeric_small(1, 0), zero = kp_numeric_small(0, 0);
    if (base_sign == 0 || (multiply && times == 0))
        return kp_numeric_round(multiply && times == 0 ? &one : &zero, scale, KP_ROUND_TRUNC, arena, ret_n, err);
    struct kp_numeric magnitude = kp_numeric_abs(base, arena);
    double y = to_double(exponent, arena);
    bool is_one = kp_numeric_compare(&magnitude, &one) == 0; /* an error of its logarithm, however small, times y */
    double value = is_one ? 0 : approximate_ln(&magnitude) * y, weight = value * 0.434294481903252;
    if (value > (multiply ? 302000.0 : RESULT_SCALE_MAX * 3.01))
        return overflow(err);
    if (!multiply && value < -RESULT_SCALE_MAX * 3.01)
        scale = DISPLAY_SCALE_MAX;
    else if (!multiply)
        scale = clamp_scale(fmax(MIN_SIGNIFICANT_DIGITS - (int)weight, least_scale));
    if (multiply ? weight + 1 < -scale : value < -RESULT_SCALE_MAX * 3.01)
        return kp_numeric_round(&zero, scale, KP_ROUND_TRUNC, arena, ret_n, err);
    double digits = ((double)kp_numeric_extra_bytes(base) * 2.5 + 19 + base->scale) * fabs(y);
    if (multiply && digits < POWER_DIGITS_MAX)
        return power_by_mul(base, (long)times, scale, arena, ret_n, err);
    struct kp_numeric half, two = kp_numeric_small(2, 0);
    bool odd =
        base_sign < 0 && kp_numeric_mod(exponent, &two, arena, &half, NULL) == KP_OK && kp_numeric_sign(&half) != 0;
    return power_by_ln(&magnitude, exponent, odd, scale, weight, arena, ret_n, err);
}
