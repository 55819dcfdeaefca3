/*
 * Floating-point text. Printing tries the digits that always suffice from below (15 to 17, float4 6 to 9): what has
 * fewer digits prints the same with 15, trailing zeros cut. Subnormals have less precision, so they start from 1. At a
 * power of two the gap below is half the gap above, and the nearest text of 16 digits may fail where its upper
 * neighbour holds: that one is tried too. Parsing is strtod, correctly rounded, with PostgreSQL's spelling rules.
 */
#include "vec/float.h"

#include <ctype.h>
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

struct decimal {
    char digits[24]; /* without trailing zeros */
    int count;
    int exponent; /* of the first digit */
};

static double read_back(bool single, const char *text)
{
    return single ? (double)strtof(text, NULL) : strtod(text, NULL);
}

/*
 * Whether text lies exactly between value and its neighbour above or below: it reads back as value only because ties go
 * to even, and PostgreSQL does not print such a text. Only integers with more bits than the mantissa can be such.
 */
static bool is_tie(double value, bool single, const char *text)
{
    if (value < (single ? 16777216.0 : 9007199254740992.0) || value >= 8.5e37)
        return false;
    __int128 candidate = 0;
    const char *at = text;
    int fraction = 0;
    bool point = false;
    for (; *at && *at != 'e'; at++) {
        if (*at == '.') {
            point = true;
            continue;
        }
        candidate = candidate * 10 + (*at - '0');
        fraction += point;
    }
    int exponent = atoi(at + 1) - fraction;
    for (; exponent > 0; exponent--)
        candidate *= 10;
    for (; exponent < 0; exponent++)
        candidate /= 10; /* zeros: the value is an integer */
    double above = single ? (double)nextafterf((float)value, HUGE_VALF) : nextafter(value, HUGE_VAL);
    double below = single ? (double)nextafterf((float)value, 0) : nextafter(value, 0);
    __int128 middle = (__int128)value;
    return candidate * 2 == middle + (__int128)above || candidate * 2 == middle + (__int128)below;
}

/* value > 0 and finite. text is its %.*e with `precision` digits. */
static void shortest(double value, bool single, char text[40])
{
    int max = single ? 9 : 17;
    bool subnormal = single ? value < (double)FLT_MIN : value < DBL_MIN;
    int precision = subnormal ? 1 : single ? 6 : 15;
    int binary_exponent;
    bool power_of_two = frexp(value, &binary_exponent) == 0.5;
    for (; precision < max; precision++) {
        snprintf(text, 40, "%.*e", precision - 1, value);
        if (read_back(single, text) == value && !is_tie(value, single, text))
            return;
        if (power_of_two && precision > 1) {
            char *last = strchr(text, 'e') - 1;
            if (*last < '9') {
                ++*last;
                if (read_back(single, text) == value && !is_tie(value, single, text))
                    return;
            }
        }
    }
    snprintf(text, 40, "%.*e", max - 1, value);
}

static struct decimal decompose(double value, bool single)
{
    char text[40];
    shortest(value, single, text);
    struct decimal d = {.count = 0};
    const char *at = text;
    for (; *at && *at != 'e'; at++)
        if (*at != '.')
            d.digits[d.count++] = *at;
    d.exponent = atoi(at + 1);
    while (d.count > 1 && d.digits[d.count - 1] == '0')
        d.count--;
    return d;
}

static void append_zeros(struct kp_buf *out, int count)
{
    for (int i = 0; i < count; i++)
        kp_buf_append_byte(out, '0');
}

static void print_decimal(const struct decimal *d, int fixed_max, struct kp_buf *out)
{
    if (d->exponent < -4 || d->exponent >= fixed_max) {
        kp_buf_append_byte(out, (uint8_t)d->digits[0]);
        if (d->count > 1) {
            kp_buf_append_byte(out, '.');
            kp_buf_append(out, d->digits + 1, (size_t)(d->count - 1));
        }
        kp_buf_printf(out, "e%c%02d", d->exponent < 0 ? '-' : '+', abs(d->exponent));
    } else if (d->exponent < 0) {
        kp_buf_append_text(out, "0.");
        append_zeros(out, -d->exponent - 1);
        kp_buf_append(out, d->digits, (size_t)d->count);
    } else if (d->count <= d->exponent + 1) {
        kp_buf_append(out, d->digits, (size_t)d->count);
        append_zeros(out, d->exponent + 1 - d->count);
    } else {
        kp_buf_append(out, d->digits, (size_t)d->exponent + 1);
        kp_buf_append_byte(out, '.');
        kp_buf_append(out, d->digits + d->exponent + 1, (size_t)(d->count - d->exponent - 1));
    }
}

static void print(double value, bool single, struct kp_buf *out)
{
    if (isnan(value)) {
        kp_buf_append_text(out, "NaN");
        return;
    }
    if (signbit(value))
        kp_buf_append_byte(out, '-');
    double magnitude = fabs(value);
    if (isinf(value)) {
        kp_buf_append_text(out, "Infinity");
    } else if (magnitude < (single ? 1e6 : 1e15) && magnitude == (double)(int64_t)magnitude) {
        kp_buf_printf(out, "%lld", (long long)magnitude);
    } else {
        struct decimal d = decompose(magnitude, single);
        print_decimal(&d, single ? 6 : 15, out);
    }
}

void kp_float8_print(double value, struct kp_buf *out)
{
    print(value, false, out);
}

void kp_float4_print(float value, struct kp_buf *out)
{
    print((double)value, true, out);
}

static struct kp_str trimmed(struct kp_str text)
{
    while (text.len && strchr(" \t\n\r\f\v", text.ptr[0]))
        text.ptr++, text.len--;
    while (text.len && strchr(" \t\n\r\f\v", text.ptr[text.len - 1]))
        text.len--;
    return text;
}

static bool word(struct kp_str text, const char *name, int *ret_sign)
{
    *ret_sign = 1;
    if (text.len && (text.ptr[0] == '+' || text.ptr[0] == '-')) {
        *ret_sign = text.ptr[0] == '-' ? -1 : 1;
        text.ptr++, text.len--;
    }
    return text.len == strlen(name) && strncasecmp(text.ptr, name, text.len) == 0;
}

static size_t skip_digits(struct kp_str text, size_t at, bool hexadecimal)
{
    while (at < text.len &&
           (hexadecimal ? isxdigit((unsigned char)text.ptr[at]) : isdigit((unsigned char)text.ptr[at])))
        at++;
    return at;
}

/* [+-] digits [. digits] [e [+-] digits], at least one digit; hexadecimal behind 0x, and then p for e, as strtod reads
 * it. */
static bool is_number(struct kp_str text)
{
    size_t at = text.len && (text.ptr[0] == '+' || text.ptr[0] == '-');
    bool hexadecimal = at + 1 < text.len && text.ptr[at] == '0' && (text.ptr[at + 1] | 32) == 'x';
    at += hexadecimal ? 2 : 0;
    size_t start = at, points = 0;
    at = skip_digits(text, at, hexadecimal);
    if (at < text.len && text.ptr[at] == '.') {
        points = 1;
        at = skip_digits(text, at + 1, hexadecimal);
    }
    if (at - start == points)
        return false;
    if (at < text.len && (text.ptr[at] | 32) == (hexadecimal ? 'p' : 'e')) {
        at++;
        if (at < text.len && (text.ptr[at] == '+' || text.ptr[at] == '-'))
            at++;
        start = at;
        at = skip_digits(text, at, false);
        if (at == start)
            return false;
    }
    return at == text.len;
}

static enum kp_code parse(struct kp_str given, bool single, double *ret_value, struct kp_error *err)
{
    struct kp_str text = trimmed(given);
    const char *type = single ? "real" : "double precision";
    int sign;
    if (word(text, "nan", &sign)) {
        *ret_value = (double)NAN;
        return KP_OK;
    }
    if (word(text, "infinity", &sign) || word(text, "inf", &sign)) {
        *ret_value = sign < 0 ? -HUGE_VAL : HUGE_VAL;
        return KP_OK;
    }
    if (!is_number(text))
        return kp_fail(err, KP_INVALID, "22P02", "invalid input syntax for type %s: \"%.*s\"", type,
                       (int)KP_MIN(given.len, (size_t)256), given.ptr);
    char local[128], *copy = text.len < sizeof local ? local : kp_alloc(text.len + 1);
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = 0;
    errno = 0;
    double value = single ? (double)strtof(copy, NULL) : strtod(copy, NULL);
    bool out_of_range = errno == ERANGE && (value == 0 || isinf(value));
    if (copy != local)
        kp_free(copy);
    if (out_of_range)
        return kp_fail(err, KP_INVALID, "22003", "\"%.*s\" is out of range for type %s",
                       (int)KP_MIN(text.len, (size_t)256), text.ptr, type);
    *ret_value = value;
    return KP_OK;
}

enum kp_code kp_float8_parse(struct kp_str text, double *ret_value, struct kp_error *err)
{
    return parse(text, false, ret_value, err);
}

enum kp_code kp_float4_parse(struct kp_str text, float *ret_value, struct kp_error *err)
{
    double value;
    KP_TRY(parse(text, true, &value, err));
    *ret_value = (float)value;
    return KP_OK;
}
