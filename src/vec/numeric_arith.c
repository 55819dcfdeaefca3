/*
 * numeric arithmetic. SMALL operands compute in 128 bits, which hold every sum, product and most quotients of them;
 * the rest goes through GMP. Scales of results are PostgreSQL's: a sum's is the larger, a product's the sum, a
 * quotient has at least 16 significant digits (select_div_scale), counted in base 10000 as PostgreSQL stores digits.
 */
#include "vec/numeric_big.h"

enum { MIN_SIGNIFICANT_DIGITS = 16, DISPLAY_SCALE_MAX = 1000 };

static int64_t floor_div4(int64_t n)
{
    return n >= 0 ? n / 4 : -((-n + 3) / 4);
}

void kp_numeric_mpz_drop(mpz_t n, unsigned long digits, enum kp_numeric_rounding rounding)
{
    if (digits == 0)
        return;
    mpz_t power, rest;
    mpz_init(rest);
    mpz_init(power);
    mpz_ui_pow_ui(power, 10, digits);
    int sign = mpz_sgn(n);
    mpz_tdiv_qr(n, rest, n, power);
    bool away = false;
    switch (rounding) {
    case KP_ROUND_HALF_AWAY:
        mpz_mul_2exp(rest, rest, 1);
        away = mpz_cmpabs(rest, power) >= 0;
        break;
    case KP_ROUND_FLOOR:
        away = sign < 0 && mpz_sgn(rest) != 0;
        break;
    case KP_ROUND_CEIL:
        away = sign > 0 && mpz_sgn(rest) != 0;
        break;
    case KP_ROUND_TRUNC:
        break;
    }
    if (away) {
        if (sign > 0)
            mpz_add_ui(n, n, 1);
        else
            mpz_sub_ui(n, n, 1);
    }
    mpz_clears(power, rest, NULL);
}

void kp_numeric_weight(const struct kp_numeric *n, int64_t *ret_weight, int *ret_first_digit)
{
    *ret_weight = 0;
    *ret_first_digit = 0;
    if (kp_numeric_sign(n) == 0)
        return;
    uint64_t leading; /* the first digits, at most 19 of them */
    int64_t digits;
    if (kp_numeric_is_small(n)) {
        leading = n->coef < 0 ? 0 - (uint64_t)n->coef : (uint64_t)n->coef;
        digits = 1;
        while (digits < 19 && leading >= (uint64_t)kp_pow10_i64((unsigned)digits - 1) * 10)
            digits++;
    } else {
        mpz_t coef;
        mpz_init(coef);
        kp_numeric_to_mpz(n, coef);
        mpz_abs(coef, coef);
        digits = (int64_t)kp_numeric_mpz_digits(coef);
        if (digits > 18)
            kp_numeric_mpz_drop(coef, (unsigned long)(digits - 18), KP_ROUND_TRUNC);
        leading = mpz_get_ui(coef);
        mpz_clear(coef);
    }
    int64_t exponent = digits - 1 - n->scale;
    *ret_weight = floor_div4(exponent);
    int64_t wanted = exponent - *ret_weight * 4 + 1, have = KP_MIN(digits, n->kind == KP_NUMERIC_BIG ? 18 : 19);
    for (; have > wanted; have--)
        leading /= 10;
    for (; have < wanted; have++)
        leading *= 10;
    *ret_first_digit = (int)leading;
}

/* ---- sums ---- */

static struct kp_numeric flipped(const struct kp_numeric *n)
{
    struct kp_numeric f = *n;
    f.kind = n->kind == KP_NUMERIC_POS_INF ? KP_NUMERIC_NEG_INF : KP_NUMERIC_POS_INF;
    return f;
}

static struct kp_numeric add_special(const struct kp_numeric *a, const struct kp_numeric *b)
{
    if (kp_numeric_is_nan(a) || kp_numeric_is_nan(b))
        return kp_numeric_special(KP_NUMERIC_NAN);
    if (kp_numeric_is_finite(a))
        return *b;
    if (kp_numeric_is_finite(b) || a->kind == b->kind)
        return *a;
    return kp_numeric_special(KP_NUMERIC_NAN);
}

static enum kp_code add_big(const struct kp_numeric *a, const struct kp_numeric *b, bool subtract,
                            struct kp_arena *arena, struct kp_numeric *ret_n, struct kp_error *err)
{
    mpz_t left, right;
    mpz_inits(left, right, NULL);
    kp_numeric_to_mpz(a, left);
    kp_numeric_to_mpz(b, right);
    if (a->scale < b->scale)
        kp_numeric_mul_pow10(left, (unsigned long)(b->scale - a->scale));
    else
        kp_numeric_mul_pow10(right, (unsigned long)(a->scale - b->scale));
    if (subtract)
        mpz_sub(left, left, right);
    else
        mpz_add(left, left, right);
    enum kp_code code = kp_numeric_checked(left, KP_MAX(a->scale, b->scale), arena, ret_n, err);
    mpz_clears(left, right, NULL);
    return code;
}

static enum kp_code add(const struct kp_numeric *a, const struct kp_numeric *b, bool subtract, struct kp_arena *arena,
                        struct kp_numeric *ret_n, struct kp_error *err)
{
    if (kp_numeric_is_small(a) && kp_numeric_is_small(b)) {
        __int128 left = a->coef, right = b->coef;
        uint16_t scale = a->scale;
        if (a->scale < b->scale) {
            left *= kp_pow10_i64((unsigned)(b->scale - a->scale));
            scale = b->scale;
        } else if (a->scale > b->scale) {
            right *= kp_pow10_i64((unsigned)(a->scale - b->scale));
        }
        *ret_n = kp_numeric_from_i128(subtract ? left - right : left + right, scale, arena);
        return KP_OK;
    }
    if (!kp_numeric_is_finite(a) || !kp_numeric_is_finite(b)) {
        struct kp_numeric other = *b;
        if (subtract && !kp_numeric_is_finite(b) && !kp_numeric_is_nan(b))
            other = flipped(b);
        *ret_n = add_special(a, &other);
        return KP_OK;
    }
    return add_big(a, b, subtract, arena, ret_n, err);
}

enum kp_code kp_numeric_add(const struct kp_numeric *a, const struct kp_numeric *b, struct kp_arena *arena,
                            struct kp_numeric *ret_n, struct kp_error *err)
{
    return add(a, b, false, arena, ret_n, err);
}

enum kp_code kp_numeric_sub(const struct kp_numeric *a, const struct kp_numeric *b, struct kp_arena *arena,
                            struct kp_numeric *ret_n, struct kp_error *err)
{
    return add(a, b, true, arena, ret_n, err);
}

/* ---- products ---- */

static struct kp_numeric signed_infinity(int sign)
{
    return kp_numeric_special(sign < 0 ? KP_NUMERIC_NEG_INF : sign > 0 ? KP_NUMERIC_POS_INF : KP_NUMERIC_NAN);
}

enum kp_code kp_numeric_mul(const struct kp_numeric *a, const struct kp_numeric *b, struct kp_arena *arena,
                            struct kp_numeric *ret_n, struct kp_error *err)
{
    if (kp_numeric_is_small(a) && kp_numeric_is_small(b)) {
        *ret_n = kp_numeric_from_i128((__int128)a->coef * b->coef, (uint16_t)(a->scale + b->scale), arena);
        return KP_OK;
    }
    if (kp_numeric_is_nan(a) || kp_numeric_is_nan(b)) {
        *ret_n = kp_numeric_special(KP_NUMERIC_NAN);
        return KP_OK;
    }
    if (!kp_numeric_is_finite(a) || !kp_numeric_is_finite(b)) {
        *ret_n = signed_infinity(kp_numeric_sign(a) * kp_numeric_sign(b));
        return KP_OK;
    }
    mpz_t left, right;
    mpz_inits(left, right, NULL);
    kp_numeric_to_mpz(a, left);
    kp_numeric_to_mpz(b, right);
    mpz_mul(left, left, right);
    int64_t scale = (int64_t)a->scale + b->scale;
    if (scale > KP_NUMERIC_SCALE_MAX) {
        kp_numeric_mpz_drop(left, (unsigned long)(scale - KP_NUMERIC_SCALE_MAX), KP_ROUND_HALF_AWAY);
        scale = KP_NUMERIC_SCALE_MAX;
    }
    enum kp_code code = kp_numeric_checked(left, scale, arena, ret_n, err);
    mpz_clears(left, right, NULL);
    return code;
}

/* ---- quotients ---- */

static enum kp_code division_by_zero(struct kp_error *err)
{
    return kp_fail(err, KP_INVALID, "22012", "division by zero");
}

static int select_div_scale(const struct kp_numeric *a, const struct kp_numeric *b)
{
    int64_t weight_a, weight_b;
    int first_a, first_b;
    kp_numeric_weight(a, &weight_a, &first_a);
    kp_numeric_weight(b, &weight_b, &first_b);
    int64_t weight = weight_a - weight_b;
    if (first_a <= first_b)
        weight--;
    int64_t scale = MIN_SIGNIFICANT_DIGITS - weight * 4;
    scale = KP_MAX(scale, (int64_t)a->scale);
    scale = KP_MAX(scale, (int64_t)b->scale);
    scale = KP_MAX(scale, (int64_t)0);
    return (int)KP_MIN(scale, (int64_t)DISPLAY_SCALE_MAX);
}

/* True when the special values decide: *ret_code and, if KP_OK, *ret_n are the answer. */
static bool div_special(const struct kp_numeric *a, const struct kp_numeric *b, struct kp_numeric *ret_n,
                        enum kp_code *ret_code, struct kp_error *err)
{
    *ret_code = KP_OK;
    if (kp_numeric_is_finite(a) && kp_numeric_is_finite(b))
        return false;
    if (kp_numeric_is_nan(a) || kp_numeric_is_nan(b)) {
        *ret_n = kp_numeric_special(KP_NUMERIC_NAN);
    } else if (kp_numeric_is_finite(a)) {
        *ret_n = kp_numeric_small(0, 0);
    } else if (!kp_numeric_is_finite(b)) {
        *ret_n = kp_numeric_special(KP_NUMERIC_NAN);
    } else if (kp_numeric_sign(b) == 0) {
        *ret_code = division_by_zero(err);
    } else {
        *ret_n = signed_infinity(kp_numeric_sign(a) * kp_numeric_sign(b));
    }
    return true;
}

/* a / b at scale; b is not zero, both finite. */
static enum kp_code divide(const struct kp_numeric *a, const struct kp_numeric *b, int scale,
                           enum kp_numeric_rounding rounding, struct kp_arena *arena, struct kp_numeric *ret_n,
                           struct kp_error *err)
{
    int64_t shift = (int64_t)scale + b->scale - a->scale; /* a's coefficient × 10^shift / b's is the answer's */
    __int128 dividend = kp_numeric_is_small(a) ? a->coef : 0;
    bool fits = kp_numeric_is_small(a) && kp_numeric_is_small(b) && shift >= 0 && shift <= 36;
    if (fits && shift > 18) {
        dividend *= kp_pow10_i64(18);
        fits = !__builtin_mul_overflow(dividend, (__int128)kp_pow10_i64((unsigned)shift - 18), &dividend);
    } else if (fits) {
        dividend *= kp_pow10_i64((unsigned)shift);
    }
    if (fits) {
        __int128 quotient = dividend / b->coef;
        int64_t rest = (int64_t)(dividend - quotient * b->coef), divisor = b->coef;
        uint64_t rest_abs = (uint64_t)(rest < 0 ? -rest : rest),
                 divisor_abs = (uint64_t)(divisor < 0 ? -divisor : divisor);
        if (rounding == KP_ROUND_HALF_AWAY && rest_abs >= divisor_abs - rest_abs)
            quotient += (a->coef < 0) != (b->coef < 0) ? -1 : 1;
        *ret_n = kp_numeric_from_i128(quotient, (uint16_t)scale, arena);
        return KP_OK;
    }
    mpz_t quotient, divisor, rest;
    mpz_inits(quotient, divisor, rest, NULL);
    kp_numeric_to_mpz(a, quotient);
    kp_numeric_to_mpz(b, divisor);
    int sign = mpz_sgn(quotient) * mpz_sgn(divisor);
    if (shift >= 0)
        kp_numeric_mul_pow10(quotient, (unsigned long)shift);
    else
        kp_numeric_mul_pow10(divisor, (unsigned long)-shift);
    mpz_tdiv_qr(quotient, rest, quotient, divisor);
    mpz_mul_2exp(rest, rest, 1);
    if (rounding == KP_ROUND_HALF_AWAY && mpz_cmpabs(rest, divisor) >= 0) {
        if (sign > 0)
            mpz_add_ui(quotient, quotient, 1);
        else
            mpz_sub_ui(quotient, quotient, 1);
    }
    enum kp_code code = kp_numeric_checked(quotient, scale, arena, ret_n, err);
    mpz_clears(quotient, divisor, rest, NULL);
    return code;
}

enum kp_code kp_numeric_div(const struct kp_numeric *a, const struct kp_numeric *b, struct kp_arena *arena,
                            struct kp_numeric *ret_n, struct kp_error *err)
{
    enum kp_code code;
    if (div_special(a, b, ret_n, &code, err))
        return code;
    if (kp_numeric_sign(b) == 0)
        return division_by_zero(err);
    return divide(a, b, select_div_scale(a, b), KP_ROUND_HALF_AWAY, arena, ret_n, err);
}

enum kp_code kp_numeric_div_trunc(const struct kp_numeric *a, const struct kp_numeric *b, struct kp_arena *arena,
                                  struct kp_numeric *ret_n, struct kp_error *err)
{
    enum kp_code code;
    if (div_special(a, b, ret_n, &code, err))
        return code;
    if (kp_numeric_sign(b) == 0)
        return division_by_zero(err);
    return divide(a, b, 0, KP_ROUND_TRUNC, arena, ret_n, err);
}

enum kp_code kp_numeric_mod(const struct kp_numeric *a, const struct kp_numeric *b, struct kp_arena *arena,
                            struct kp_numeric *ret_n, struct kp_error *err)
{
    if (kp_numeric_is_nan(a) || kp_numeric_is_nan(b)) {
        *ret_n = kp_numeric_special(KP_NUMERIC_NAN);
        return KP_OK;
    }
    if (kp_numeric_is_finite(b) && kp_numeric_sign(b) == 0)
        return division_by_zero(err);
    if (!kp_numeric_is_finite(a) || !kp_numeric_is_finite(b)) {
        *ret_n = kp_numeric_is_finite(a) ? *a : kp_numeric_special(KP_NUMERIC_NAN);
        return KP_OK;
    }
    uint16_t scale = KP_MAX(a->scale, b->scale);
    if (kp_numeric_is_small(a) && kp_numeric_is_small(b)) {
        __int128 left = (__int128)a->coef * kp_pow10_i64((unsigned)(scale - a->scale));
        __int128 right = (__int128)b->coef * kp_pow10_i64((unsigned)(scale - b->scale));
        *ret_n = kp_numeric_from_i128(left % right, scale, arena);
        return KP_OK;
    }
    mpz_t left, right;
    mpz_inits(left, right, NULL);
    kp_numeric_to_mpz(a, left);
    kp_numeric_to_mpz(b, right);
    kp_numeric_mul_pow10(left, (unsigned long)(scale - a->scale));
    kp_numeric_mul_pow10(right, (unsigned long)(scale - b->scale));
    mpz_tdiv_r(left, left, right);
    enum kp_code code = kp_numeric_checked(left, scale, arena, ret_n, err);
    mpz_clears(left, right, NULL);
    return code;
}

/* ---- one operand ---- */

struct kp_numeric kp_numeric_negate(const struct kp_numeric *n, struct kp_arena *arena)
{
    struct kp_numeric negated = *n;
    switch ((enum kp_numeric_kind)n->kind) {
    case KP_NUMERIC_SMALL:
        negated.coef = -n->coef;
        break;
    case KP_NUMERIC_BIG: {
        struct kp_numeric_big *big = kp_arena_alloc(arena, kp_numeric_extra_bytes(n));
        negated = kp_numeric_copy(n, big);
        big->negative = big->limb_count && !big->negative;
        break;
    }
    case KP_NUMERIC_NAN:
        break;
    default:
        negated = flipped(n);
    }
    return negated;
}

struct kp_numeric kp_numeric_abs(const struct kp_numeric *n, struct kp_arena *arena)
{
    return kp_numeric_sign(n) < 0 ? kp_numeric_negate(n, arena) : *n;
}

static int64_t drop_i64(int64_t coef, unsigned digits, enum kp_numeric_rounding rounding)
{
    int64_t power = kp_pow10_i64(digits), quotient = coef / power, rest = coef % power;
    uint64_t rest_abs = (uint64_t)(rest < 0 ? -rest : rest);
    bool away = false;
    switch (rounding) {
    case KP_ROUND_HALF_AWAY:
        away = rest_abs >= (uint64_t)power - rest_abs;
        break;
    case KP_ROUND_FLOOR:
        away = rest < 0;
        break;
    case KP_ROUND_CEIL:
        away = rest > 0;
        break;
    case KP_ROUND_TRUNC:
        break;
    }
    return away ? quotient + (coef < 0 ? -1 : 1) : quotient;
}

enum kp_code kp_numeric_round(const struct kp_numeric *n, int32_t digits, enum kp_numeric_rounding rounding,
                              struct kp_arena *arena, struct kp_numeric *ret_n, struct kp_error *err)
{
    if (!kp_numeric_is_finite(n) || digits == n->scale) {
        *ret_n = *n;
        return KP_OK;
    }
    digits = KP_MAX(KP_MIN(digits, KP_NUMERIC_SCALE_MAX), -KP_NUMERIC_WEIGHT_DIGITS_MAX - 4);
    if (kp_numeric_is_small(n) && digits >= 0 && digits <= KP_NUMERIC_SMALL_SCALE_MAX) {
        if (digits < n->scale)
            *ret_n = kp_numeric_small(drop_i64(n->coef, (unsigned)(n->scale - digits), rounding), (uint16_t)digits);
        else
            *ret_n = kp_numeric_from_i128((__int128)n->coef * kp_pow10_i64((unsigned)(digits - n->scale)),
                                          (uint16_t)digits, arena);
        return KP_OK;
    }
    mpz_t coef;
    mpz_init(coef);
    kp_numeric_to_mpz(n, coef);
    if (digits > n->scale)
        kp_numeric_mul_pow10(coef, (unsigned long)(digits - n->scale));
    else
        kp_numeric_mpz_drop(coef, (unsigned long)(n->scale - digits), rounding);
    if (digits < 0)
        kp_numeric_mul_pow10(coef, (unsigned long)-digits);
    enum kp_code code = kp_numeric_checked(coef, KP_MAX(digits, 0), arena, ret_n, err);
    mpz_clear(coef);
    return code;
}

/* The root of a finite value that is not negative. */
enum kp_code kp_numeric_sqrt_scale(const struct kp_numeric *n, uint16_t scale, struct kp_arena *arena,
                                   struct kp_numeric *ret_n, struct kp_error *err)
{
    /* the root of coef × 10^(2 (scale + 1) - n's scale) is the answer with one digit more, cut */
    mpz_t coef;
    mpz_init(coef);
    kp_numeric_to_mpz(n, coef);
    int64_t shift = 2 * ((int64_t)scale + 1) - n->scale;
    if (shift >= 0)
        kp_numeric_mul_pow10(coef, (unsigned long)shift);
    else
        kp_numeric_mpz_drop(coef, (unsigned long)-shift, KP_ROUND_TRUNC);
    mpz_sqrt(coef, coef);
    kp_numeric_mpz_drop(coef, 1, KP_ROUND_HALF_AWAY);
    enum kp_code code = kp_numeric_checked(coef, scale, arena, ret_n, err);
    mpz_clear(coef);
    return code;
}

enum kp_code kp_numeric_sqrt(const struct kp_numeric *n, struct kp_arena *arena, struct kp_numeric *ret_n,
                             struct kp_error *err)
{
    if (n->kind == KP_NUMERIC_NAN || n->kind == KP_NUMERIC_POS_INF) {
        *ret_n = *n;
        return KP_OK;
    }
    if (kp_numeric_sign(n) < 0)
        return kp_fail(err, KP_INVALID, "2201F", "cannot take square root of a negative number");
    int64_t weight;
    int first;
    kp_numeric_weight(n, &weight, &first);
    int64_t scale = MIN_SIGNIFICANT_DIGITS - (weight * 2 + 1);
    scale = KP_MAX(scale, (int64_t)n->scale);
    scale = KP_MIN(KP_MAX(scale, (int64_t)0), (int64_t)DISPLAY_SCALE_MAX);
    return kp_numeric_sqrt_scale(n, (uint16_t)scale, arena, ret_n, err);
}
