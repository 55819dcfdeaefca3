/*
 * Numbers as timestamps: what a source's option `epoch` says that they count since 1970. The number is decimal, as JSON
 * writes it (-12, 1.5, 17e8), and exact: digits and a power of ten, rounded once, half away from zero, to microseconds.
 */
#include "decode/internal.h"
#include "vec/datetime.h"

enum { DIGITS_MAX = 25, EXPONENT_MAX = 100000000 }; /* more digits than any timestamp has; than a record has bytes */

#define EPOCH_US INT64_C(946684800000000) /* from 1970 to 2000, where timestamps count from */

/* A number's digits, as many as count, and the power of ten that they stand before. */
struct decimal {
    bool negative;
    __int128 digits;
    int64_t exponent;
};

static bool read_digits(const char **p, const char *end, int step, struct decimal *decimal, unsigned *count)
{
    const char *begin = *p;
    for (; *p < end && **p >= '0' && **p <= '9'; ++*p) {
        bool kept = *count < DIGITS_MAX;
        if (kept) {
            decimal->digits = decimal->digits * 10 + (**p - '0');
            *count += decimal->digits != 0;
        }
        decimal->exponent += step + !kept; /* of what is left out, whole digits count and others do not */
    }
    return *p > begin;
}

static bool read_exponent(const char **p, const char *end, int64_t *ret_exponent)
{
    int64_t value = 0;
    ++*p;
    bool negative = *p < end && **p == '-';
    *p += negative || (*p < end && **p == '+');
    const char *begin = *p;
    for (; *p < end && **p >= '0' && **p <= '9'; ++*p)
        value = KP_MIN(value * 10 + (**p - '0'), (int64_t)EXPONENT_MAX);
    *ret_exponent = negative ? -value : value;
    return *p > begin;
}

static bool read_decimal(struct kp_str text, struct decimal *ret_decimal)
{
    struct decimal decimal = {0};
    const char *p = text.ptr, *end = p + text.len;
    unsigned count = 0;
    int64_t exponent = 0;
    decimal.negative = p < end && *p == '-';
    p += decimal.negative;
    if (!read_digits(&p, end, 0, &decimal, &count))
        return false;
    if (p < end && *p == '.') {
        p++;
        if (!read_digits(&p, end, -1, &decimal, &count))
            return false;
    }
    if (p < end && (*p == 'e' || *p == 'E') && !read_exponent(&p, end, &exponent))
        return false;
    decimal.exponent += exponent;
    *ret_decimal = decimal;
    return p == end;
}

bool kp_decode_epoch(enum kp_epoch_unit unit, struct kp_str number, int64_t *ret_us, bool *ret_range)
{
    static const int exponents[] = {[KP_EPOCH_SECONDS] = 6, [KP_EPOCH_MILLISECONDS] = 3, [KP_EPOCH_NANOSECONDS] = -3};
    struct decimal decimal;
    if (!read_decimal(number, &decimal))
        return false;
    int64_t exponent = decimal.exponent + exponents[unit];
    __int128 us = decimal.digits;
    if (us == 0)
        exponent = 0;
    for (; exponent > 0 && us <= INT64_MAX; exponent--)
        us *= 10;
    for (; exponent < -1 && us != 0; exponent++)
        us /= 10;
    if (exponent == -1)
        us = (us + 5) / 10;
    us = (decimal.negative ? -us : us) - EPOCH_US;
    *ret_range = exponent > 0 || us < KP_TIMESTAMP_MIN || us >= KP_TIMESTAMP_END;
    *ret_us = *ret_range ? 0 : (int64_t)us;
    return true;
}
