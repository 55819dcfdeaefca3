/* numeric: text, modifiers, and the way from and to other number types. */
#include "vec/numeric.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "vec/float.h"
#include "vec/numeric_big.h"

static enum kp_code overflow(struct kp_error *err)
{
    return kp_fail(err, KP_INVALID, "22003", "value overflows numeric format");
}

enum kp_code kp_numeric_checked(const mpz_t coef, int64_t scale, struct kp_arena *arena, struct kp_numeric *ret_n,
                                struct kp_error *err)
{
    if (scale > KP_NUMERIC_SCALE_MAX)
        return overflow(err);
    KP_ASSERT(scale >= 0);
    /* a limb is at least 19 digits: count them exactly only near the limit */
    if (mpz_size(coef) > KP_NUMERIC_WEIGHT_DIGITS_MAX / 20 &&
        (int64_t)kp_numeric_mpz_digits(coef) - scale > KP_NUMERIC_WEIGHT_DIGITS_MAX)
        return overflow(err);
    *ret_n = kp_numeric_from_mpz(coef, (uint16_t)scale, arena);
    return KP_OK;
}

struct kp_numeric kp_numeric_from_i128(__int128 coef, uint16_t scale, struct kp_arena *arena)
{
    if (scale <= KP_NUMERIC_SMALL_SCALE_MAX && coef >= -(__int128)INT64_MAX && coef <= INT64_MAX)
        return kp_numeric_small((int64_t)coef, scale);
    unsigned __int128 magnitude = coef < 0 ? -(unsigned __int128)coef : (unsigned __int128)coef;
    uint64_t low = (uint64_t)magnitude, high = (uint64_t)(magnitude >> 64);
    struct kp_numeric_big *big = kp_arena_calloc(arena, sizeof *big + 2 * sizeof big->limbs[0]);
    big->limb_count = high ? 2 : low ? 1 : 0;
    big->negative = coef < 0;
    big->limbs[0] = low;
    big->limbs[1] = high;
    struct kp_numeric n = {{.big = big}, scale, KP_NUMERIC_BIG, {0}};
    return n;
}

struct kp_numeric kp_numeric_from_i64(int64_t value, struct kp_arena *arena)
{
    return kp_numeric_from_i128(value, 0, arena);
}

/* ---- text ---- */

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static enum kp_code bad_syntax(struct kp_str text, struct kp_error *err)
{
    return kp_fail(err, KP_INVALID, "22P02", "invalid input syntax for type numeric: \"%.*s\"",
                   (int)KP_MIN(text.len, (size_t)256), text.ptr);
}

/* NaN and infinities; *at on the first character behind an optional sign. */
static bool parse_special(struct kp_str rest, int sign, bool signed_text, struct kp_numeric *ret_n)
{
    while (rest.len && is_space(rest.ptr[rest.len - 1]))
        rest.len--;
    if (rest.len == 3 && strncasecmp(rest.ptr, "nan", 3) == 0 && !signed_text) {
        *ret_n = kp_numeric_special(KP_NUMERIC_NAN);
        return true;
    }
    bool infinite = (rest.len == 3 && strncasecmp(rest.ptr, "inf", 3) == 0) ||
                    (rest.len == 8 && strncasecmp(rest.ptr, "infinity", 8) == 0);
    if (infinite)
        *ret_n = kp_numeric_special(sign < 0 ? KP_NUMERIC_NEG_INF : KP_NUMERIC_POS_INF);
    return infinite;
}

/* What the scanner found: digits without point, and how many of them are behind it. */
struct scanned {
    const char *start;
    size_t span;   /* characters of digits and point */
    size_t digits; /* digits among them */
    int64_t scale;
    int64_t exponent;
    bool negative;
};

static bool scan_exponent(struct kp_str text, size_t *at, int64_t *ret_exponent)
{
    size_t i = *at + 1;
    bool negative = false;
    if (i < text.len && (text.ptr[i] == '+' || text.ptr[i] == '-'))
        negative = text.ptr[i++] == '-';
    size_t start = i;
    int64_t value = 0;
    for (; i < text.len && text.ptr[i] >= '0' && text.ptr[i] <= '9'; i++)
        if (value < INT_MAX)
            value = value * 10 + (text.ptr[i] - '0');
    if (i == start)
        return false;
    *at = i;
    *ret_exponent = negative ? -value : value;
    return true;
}

static bool scan(struct kp_str text, size_t at, struct scanned *s)
{
    bool point = false;
    s->start = text.ptr + at;
    size_t first = at;
    for (; at < text.len; at++) {
        if (text.ptr[at] >= '0' && text.ptr[at] <= '9') {
            s->digits++;
            s->scale += point;
        } else if (text.ptr[at] == '.' && !point) {
            point = true;
        } else {
            break;
        }
    }
    s->span = at - first;
    if (s->digits == 0)
        return false;
    if (at < text.len && (text.ptr[at] | 32) == 'e' && !scan_exponent(text, &at, &s->exponent))
        return false;
    while (at < text.len && is_space(text.ptr[at]))
        at++;
    return at == text.len;
}

static enum kp_code from_scanned(const struct scanned *s, struct kp_arena *arena, struct kp_numeric *ret_n,
                                 struct kp_error *err)
{
    int64_t scale = s->scale - s->exponent, extra_zeros = 0;
    if (scale < 0) {
        extra_zeros = -scale;
        scale = 0;
    }
    if (s->digits + (uint64_t)extra_zeros <= 18 && scale <= KP_NUMERIC_SMALL_SCALE_MAX) {
        int64_t coef = 0;
        for (size_t i = 0; i < s->span; i++)
            if (s->start[i] != '.')
                coef = coef * 10 + (s->start[i] - '0');
        coef *= kp_pow10_i64((unsigned)extra_zeros);
        *ret_n = kp_numeric_small(s->negative ? -coef : coef, (uint16_t)scale);
        return KP_OK;
    }
    char *digits = kp_alloc(s->digits + 1);
    size_t len = 0;
    for (size_t i = 0; i < s->span; i++)
        if (s->start[i] != '.' && (len || s->start[i] != '0'))
            digits[len++] = s->start[i];
    digits[len] = 0;
    enum kp_code code;
    if (scale > KP_NUMERIC_SCALE_MAX || (len && (int64_t)len - s->scale + s->exponent > KP_NUMERIC_WEIGHT_DIGITS_MAX)) {
        code = overflow(err);
    } else {
        mpz_t coef;
        mpz_init(coef);
        if (len) {
            mpz_set_str(coef, digits, 10);
            kp_numeric_mul_pow10(coef, (unsigned long)extra_zeros);
        }
        if (s->negative)
            mpz_neg(coef, coef);
        code = kp_numeric_checked(coef, scale, arena, ret_n, err);
        mpz_clear(coef);
    }
    kp_free(digits);
    return code;
}

enum kp_code kp_numeric_parse(struct kp_str text, struct kp_arena *arena, struct kp_numeric *ret_n,
                              struct kp_error *err)
{
    size_t at = 0;
    while (at < text.len && is_space(text.ptr[at]))
        at++;
    struct scanned s = {.digits = 0};
    bool signed_text = at < text.len && (text.ptr[at] == '+' || text.ptr[at] == '-');
    if (signed_text)
        s.negative = text.ptr[at++] == '-';
    if (at < text.len && (text.ptr[at] | 32) >= 'a' &&
        parse_special((struct kp_str){text.ptr + at, text.len - at}, s.negative ? -1 : 1, signed_text, ret_n))
        return KP_OK;
    if (!scan(text, at, &s))
        return bad_syntax(text, err);
    if (s.exponent >= INT_MAX / 2 || s.exponent <= -(INT_MAX / 2))
        return overflow(err);
    return from_scanned(&s, arena, ret_n, err);
}

static void print_digits(const char *digits, size_t len, size_t scale, bool negative, struct kp_buf *out)
{
    if (negative)
        kp_buf_append_byte(out, '-');
    if (len > scale) {
        kp_buf_append(out, digits, len - scale);
        digits += len - scale;
        len = scale;
    } else {
        kp_buf_append_byte(out, '0');
    }
    if (scale == 0)
        return;
    kp_buf_append_byte(out, '.');
    size_t zeros = scale - len;
    memset(kp_buf_reserve(out, zeros), '0', zeros);
    out->len += zeros;
    kp_buf_append(out, digits, len);
}

void kp_numeric_print(const struct kp_numeric *n, struct kp_buf *out)
{
    switch ((enum kp_numeric_kind)n->kind) {
    case KP_NUMERIC_NAN:
        kp_buf_append_text(out, "NaN");
        return;
    case KP_NUMERIC_POS_INF:
        kp_buf_append_text(out, "Infinity");
        return;
    case KP_NUMERIC_NEG_INF:
        kp_buf_append_text(out, "-Infinity");
        return;
    case KP_NUMERIC_SMALL: {
        char digits[20];
        size_t at = sizeof digits;
        for (uint64_t rest = n->coef < 0 ? 0 - (uint64_t)n->coef : (uint64_t)n->coef; rest; rest /= 10)
            digits[--at] = (char)('0' + rest % 10);
        print_digits(digits + at, sizeof digits - at, n->scale, n->coef < 0, out);
        return;
    }
    case KP_NUMERIC_BIG:
        break;
    }
    mpz_t coef;
    mpz_init(coef);
    kp_numeric_to_mpz(n, coef);
    bool negative = mpz_sgn(coef) < 0, zero = mpz_sgn(coef) == 0;
    mpz_abs(coef, coef);
    char *digits = kp_alloc(mpz_sizeinbase(coef, 10) + 2);
    mpz_get_str(digits, 10, coef);
    print_digits(digits, zero ? 0 : strlen(digits), n->scale, negative, out);
    kp_free(digits);
    mpz_clear(coef);
}

/* ---- modifier ---- */

enum kp_code kp_numeric_apply_mod(const struct kp_numeric *n, int32_t mod, struct kp_arena *arena,
                                  struct kp_numeric *ret_n, struct kp_error *err)
{
    if (mod < 4 || n->kind == KP_NUMERIC_NAN) {
        *ret_n = *n;
        return KP_OK;
    }
    int precision = (mod - 4) >> 16 & 0xffff, scale = (((mod - 4) & 0x7ff) ^ 1024) - 1024;
    if (!kp_numeric_is_finite(n)) {
        kp_fail(err, KP_INVALID, "22003", "numeric field overflow");
        kp_error_detail(err, "A field with precision %d, scale %d cannot hold an infinite value.", precision, scale);
        return KP_INVALID;
    }
    struct kp_numeric rounded;
    KP_TRY(kp_numeric_round(n, scale, KP_ROUND_HALF_AWAY, arena, &rounded, err));
    int whole = precision - scale; /* digits allowed before the point; negative: zeros needed behind it */
    bool fits;
    if (kp_numeric_is_small(&rounded) && whole + rounded.scale >= 0 && whole + rounded.scale <= 18) {
        int64_t limit = kp_pow10_i64((unsigned)(whole + rounded.scale));
        fits = rounded.coef < limit && rounded.coef > -limit;
    } else {
        mpz_t coef;
        mpz_init(coef);
        kp_numeric_to_mpz(&rounded, coef);
        fits = mpz_sgn(coef) == 0 || (int64_t)kp_numeric_mpz_digits(coef) - rounded.scale <= whole;
        mpz_clear(coef);
    }
    if (!fits) {
        kp_fail(err, KP_INVALID, "22003", "numeric field overflow");
        kp_error_detail(err, "A field with precision %d, scale %d must round to an absolute value less than %s%d.",
                        precision, scale, whole ? "10^" : "", whole ? whole : 1);
        return KP_INVALID;
    }
    *ret_n = rounded;
    return KP_OK;
}

/* ---- other types ---- */

static struct kp_numeric from_float(double value, int digits, struct kp_arena *arena)
{
    if (isnan(value))
        return kp_numeric_special(KP_NUMERIC_NAN);
    if (isinf(value))
        return kp_numeric_special(value < 0 ? KP_NUMERIC_NEG_INF : KP_NUMERIC_POS_INF);
    char text[64];
    int len = snprintf(text, sizeof text, "%.*g", digits, value);
    struct kp_numeric n = kp_numeric_small(0, 0);
    /* a double's exponent is far inside the limits */
    enum kp_code code = kp_numeric_parse((struct kp_str){text, (size_t)len}, arena, &n, NULL);
    KP_ASSERT(code == KP_OK);
    return n;
}

struct kp_numeric kp_numeric_from_f64(double value, struct kp_arena *arena)
{
    return from_float(value, 15, arena);
}

struct kp_numeric kp_numeric_from_f32(float value, struct kp_arena *arena)
{
    return from_float((double)value, 6, arena);
}

enum kp_code kp_numeric_to_int(const struct kp_numeric *n, enum kp_type_id type, int64_t *ret_value,
                               struct kp_error *err)
{
    const char *name = kp_type_info(type)->name;
    if (n->kind == KP_NUMERIC_NAN)
        return kp_fail(err, KP_INVALID, "0A000", "cannot convert NaN to %s", name);
    if (!kp_numeric_is_finite(n))
        return kp_fail(err, KP_INVALID, "0A000", "cannot convert infinity to %s", name);
    int64_t value = 0;
    bool fits = true;
    if (kp_numeric_is_small(n)) {
        int64_t power = kp_pow10_i64(n->scale);
        value = n->coef / power;
        int64_t rest = n->coef % power;
        if (rest >= power - rest && rest > 0)
            value++;
        else if (-rest >= power + rest && rest < 0)
            value--;
    } else {
        mpz_t coef;
        mpz_init(coef);
        kp_numeric_to_mpz(n, coef);
        kp_numeric_mpz_drop(coef, n->scale, KP_ROUND_HALF_AWAY);
        fits = mpz_fits_slong_p(coef);
        value = fits ? mpz_get_si(coef) : 0;
        mpz_clear(coef);
    }
    if (type == KP_INT4)
        fits = fits && value >= INT32_MIN && value <= INT32_MAX;
    else if (type == KP_INT2)
        fits = fits && value >= INT16_MIN && value <= INT16_MAX;
    if (!fits)
        return kp_fail(err, KP_INVALID, "22003", "%s out of range", name);
    *ret_value = value;
    return KP_OK;
}

static bool special_to_float(const struct kp_numeric *n, double *ret_value)
{
    if (kp_numeric_is_finite(n))
        return false;
    *ret_value = n->kind == KP_NUMERIC_NAN ? NAN : n->kind == KP_NUMERIC_POS_INF ? INFINITY : -INFINITY;
    return true;
}

enum kp_code kp_numeric_to_f64(const struct kp_numeric *n, double *ret_value, struct kp_error *err)
{
    if (special_to_float(n, ret_value))
        return KP_OK;
    /* both exact in a double: one rounding, so the quotient is correctly rounded */
    if (kp_numeric_is_small(n) && n->coef <= (int64_t)1 << 53 && n->coef >= -((int64_t)1 << 53)) {
        *ret_value = (double)n->coef / (double)kp_pow10_i64(n->scale);
        return KP_OK;
    }
    struct kp_buf text = {0};
    kp_numeric_print(n, &text);
    enum kp_code code = kp_float8_parse((struct kp_str){(char *)text.data, text.len}, ret_value, err);
    kp_buf_finish(&text);
    return code;
}

enum kp_code kp_numeric_to_f32(const struct kp_numeric *n, float *ret_value, struct kp_error *err)
{
    double special;
    if (special_to_float(n, &special)) {
        *ret_value = (float)special;
        return KP_OK;
    }
    struct kp_buf text = {0};
    kp_numeric_print(n, &text);
    enum kp_code code = kp_float4_parse((struct kp_str){(char *)text.data, text.len}, ret_value, err);
    kp_buf_finish(&text);
    return code;
}
