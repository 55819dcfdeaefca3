/*
 * Reading intervals: PostgreSQL's verbose style ('1 year 2 mons -3 days 04:05:06'), SQL's ('1-2', '3 4:05:06'),
 * ISO 8601's ('P1Y2M3DT4H5M6S', 'P0001-02-03T04:05:06'), and mixtures.
 *
 * Fractions spill downwards as in PostgreSQL 15: of years into whole months, of months into days (30 a month), of days
 * and weeks into time. A number without unit takes it from what stands behind it, at the end the smallest unit that the
 * modifier asks for, seconds without one.
 */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "vec/datetime.h"
#include "vec/unicode.h"

enum unit {
    UNIT_NONE,
    UNIT_US,
    UNIT_MS,
    UNIT_SECOND,
    UNIT_MINUTE,
    UNIT_HOUR,
    UNIT_DAY,
    UNIT_WEEK,
    UNIT_MONTH,
    UNIT_YEAR,
    UNIT_DECADE,
    UNIT_CENTURY,
    UNIT_MILLENNIUM,
    UNIT_CLOCK, /* hours, minutes and seconds with colons */
    UNIT_AGO
};

enum {
    FIELD_MONTH = 1 << 1,
    FIELD_YEAR = 1 << 2,
    FIELD_DAY = 1 << 3,
    FIELD_HOUR = 1 << 10,
    FIELD_MINUTE = 1 << 11,
    FIELD_SECOND = 1 << 12,
    FIELDS_ALL = 0x7fff,
    PRECISION_FULL = 0xffff
};

static const struct {
    const char *name;
    enum unit unit;
} units[] = {
    {"us", UNIT_US},
    {"usec", UNIT_US},
    {"usecs", UNIT_US},
    {"usecond", UNIT_US},
    {"useconds", UNIT_US},
    {"microsecon", UNIT_US},
    {"ms", UNIT_MS},
    {"msec", UNIT_MS},
    {"msecs", UNIT_MS},
    {"msecond", UNIT_MS},
    {"mseconds", UNIT_MS},
    {"millisecon", UNIT_MS},
    {"s", UNIT_SECOND},
    {"sec", UNIT_SECOND},
    {"secs", UNIT_SECOND},
    {"second", UNIT_SECOND},
    {"seconds", UNIT_SECOND},
    {"m", UNIT_MINUTE},
    {"min", UNIT_MINUTE},
    {"mins", UNIT_MINUTE},
    {"minute", UNIT_MINUTE},
    {"minutes", UNIT_MINUTE},
    {"h", UNIT_HOUR},
    {"hr", UNIT_HOUR},
    {"hrs", UNIT_HOUR},
    {"hour", UNIT_HOUR},
    {"hours", UNIT_HOUR},
    {"d", UNIT_DAY},
    {"day", UNIT_DAY},
    {"days", UNIT_DAY},
    {"w", UNIT_WEEK},
    {"week", UNIT_WEEK},
    {"weeks", UNIT_WEEK},
    {"mon", UNIT_MONTH},
    {"mons", UNIT_MONTH},
    {"month", UNIT_MONTH},
    {"months", UNIT_MONTH},
    {"y", UNIT_YEAR},
    {"yr", UNIT_YEAR},
    {"yrs", UNIT_YEAR},
    {"year", UNIT_YEAR},
    {"years", UNIT_YEAR},
    {"dec", UNIT_DECADE},
    {"decs", UNIT_DECADE},
    {"decade", UNIT_DECADE},
    {"decades", UNIT_DECADE},
    {"c", UNIT_CENTURY},
    {"cent", UNIT_CENTURY},
    {"century", UNIT_CENTURY},
    {"centuries", UNIT_CENTURY},
    {"mil", UNIT_MILLENNIUM},
    {"mils", UNIT_MILLENNIUM},
    {"millennia", UNIT_MILLENNIUM},
    {"millennium", UNIT_MILLENNIUM},
    {"ago", UNIT_AGO},
};

/* Of a longer word the first ten letters count, as in PostgreSQL. */
static enum unit unit_of(const char *at, size_t len)
{
    len = KP_MIN(len, (size_t)10);
    for (size_t i = 0; i < KP_COUNT(units); i++)
        if (strlen(units[i].name) == len && strncasecmp(units[i].name, at, len) == 0)
            return units[i].unit;
    return UNIT_NONE;
}

/* What has been read so far; 64 bits so that overflow is seen at the end: of each, and of years and months together. */
struct sum {
    int64_t years, months, days, us;
    bool overflow;
};

enum outcome { OUTCOME_OK, OUTCOME_SYNTAX, OUTCOME_RANGE };

enum { QUANTITIES_MAX = 25 };

struct quantity {
    enum unit unit;
    int64_t value, parts[3]; /* parts: of a clock, signed alike */
    double fraction;
};

static void add_scaled(int64_t *to, int64_t value, int64_t scale, bool *overflow)
{
    int64_t product;
    if (__builtin_mul_overflow(value, scale, &product) || __builtin_add_overflow(*to, product, to))
        *overflow = true;
}

/* A fraction of `scale` microseconds, the last half rounded as PostgreSQL does. */
static void add_fraction_us(struct sum *sum, double fraction, int64_t scale)
{
    double us = fraction * (double)scale;
    int64_t whole = (int64_t)us;
    double rest = us - (double)whole;
    if (rest > 0.5)
        whole++;
    else if (rest < -0.5)
        whole--;
    add_scaled(&sum->us, whole, 1, &sum->overflow);
}

static void add_fraction_days(struct sum *sum, double fraction, int scale)
{
    double days = fraction * scale;
    int64_t whole = (int64_t)days;
    add_scaled(&sum->days, whole, 1, &sum->overflow);
    add_fraction_us(sum, days - (double)whole, KP_DAY_US);
}

static void add_fraction_years(struct sum *sum, double fraction, int scale)
{
    add_scaled(&sum->months, (int64_t)rint(fraction * scale * 12), 1, &sum->overflow);
}

static void add_unit(struct sum *sum, enum unit unit, int64_t value, double fraction)
{
    static const int64_t time_units[] = {[UNIT_US] = 1,
                                         [UNIT_MS] = 1000,
                                         [UNIT_SECOND] = KP_SECOND_US,
                                         [UNIT_MINUTE] = KP_MINUTE_US,
                                         [UNIT_HOUR] = KP_HOUR_US};
    static const int years[] = {[UNIT_YEAR] = 1, [UNIT_DECADE] = 10, [UNIT_CENTURY] = 100, [UNIT_MILLENNIUM] = 1000};
    switch (unit) {
    case UNIT_US:
    case UNIT_MS:
    case UNIT_SECOND:
    case UNIT_MINUTE:
    case UNIT_HOUR:
        add_scaled(&sum->us, value, time_units[unit], &sum->overflow);
        add_fraction_us(sum, fraction, time_units[unit]);
        break;
    case UNIT_DAY:
        add_scaled(&sum->days, value, 1, &sum->overflow);
        add_fraction_us(sum, fraction, KP_DAY_US);
        break;
    case UNIT_WEEK:
        add_scaled(&sum->days, value, 7, &sum->overflow);
        add_fraction_days(sum, fraction, 7);
        break;
    case UNIT_MONTH:
        add_scaled(&sum->months, value, 1, &sum->overflow);
        add_fraction_days(sum, fraction, 30);
        break;
    default:
        add_scaled(&sum->years, value, years[unit], &sum->overflow);
        add_fraction_years(sum, fraction, years[unit]);
    }
}

/* ---- tokens ---- */

struct scanner {
    const char *at, *end;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static void skip_spaces(struct scanner *s)
{
    while (s->at < s->end && isspace((unsigned char)*s->at))
        s->at++;
}

/* digits[.digits]; the sign is applied to both parts. False on no digits or too many. */
static bool take_decimal(struct scanner *s, bool negative, int64_t *ret_value, double *ret_fraction)
{
    const char *start = s->at;
    int64_t value = 0;
    bool overflow = false;
    for (; s->at < s->end && is_digit(*s->at); s->at++)
        overflow |= __builtin_mul_overflow(value, 10, &value) ||
                    __builtin_add_overflow(value, negative ? '0' - *s->at : *s->at - '0', &value);
    bool digits = s->at > start;
    double fraction = 0;
    if (s->at < s->end && *s->at == '.') {
        const char *point = s->at++;
        while (s->at < s->end && is_digit(*s->at))
            s->at++;
        digits |= s->at > point + 1;
        char text[64];
        size_t len = KP_MIN((size_t)(s->at - point), sizeof text - 2);
        text[0] = '0';
        memcpy(text + 1, point, len);
        text[len + 1] = 0;
        fraction = strtod(text, NULL);
    }
    if (!digits || overflow)
        return false;
    *ret_value = value;
    *ret_fraction = negative ? -fraction : fraction;
    return true;
}

/* h:mm[:ss[.f]], or mm:ss with a fraction or when the modifier says minute to second; the hours are read. */
static enum outcome take_clock(struct scanner *s, bool negative, int64_t hours, int32_t fields, struct quantity *ret)
{
    int64_t *parts = ret->parts;
    double fraction = 0;
    int count = 1;
    parts[0] = hours;
    while (count < 3 && s->at < s->end && *s->at == ':') {
        s->at++;
        if (s->at == s->end || !is_digit(*s->at))
            return count == 1 ? OUTCOME_SYNTAX : OUTCOME_OK;
        if (!take_decimal(s, negative, &parts[count], &fraction))
            return OUTCOME_RANGE;
        count++;
        if (fraction != 0)
            break;
    }
    if (count == 2 && (fraction != 0 || fields == (FIELD_MINUTE | FIELD_SECOND))) {
        parts[2] = parts[1];
        parts[1] = parts[0];
        parts[0] = 0;
    }
    if (llabs(parts[1]) > 59 || llabs(parts[2]) > 60)
        return OUTCOME_RANGE;
    ret->unit = UNIT_CLOCK;
    ret->fraction = fraction;
    return OUTCOME_OK;
}

static void add_clock(struct sum *sum, const struct quantity *clock)
{
    add_scaled(&sum->us, clock->parts[0], KP_HOUR_US, &sum->overflow);
    add_scaled(&sum->us, clock->parts[1], KP_MINUTE_US, &sum->overflow);
    add_scaled(&sum->us, clock->parts[2], KP_SECOND_US, &sum->overflow);
    add_scaled(&sum->us, (int64_t)rint(clock->fraction * 1000000), 1, &sum->overflow);
}

static enum unit default_unit(int32_t fields)
{
    if (fields == FIELDS_ALL || fields & FIELD_SECOND)
        return UNIT_SECOND;
    if (fields & FIELD_MINUTE)
        return UNIT_MINUTE;
    if (fields & FIELD_HOUR)
        return UNIT_HOUR;
    if (fields & FIELD_DAY)
        return UNIT_DAY;
    if (fields & FIELD_MONTH)
        return UNIT_MONTH;
    return fields & FIELD_YEAR ? UNIT_YEAR : UNIT_SECOND;
}

/* A number and what it counts; UNIT_NONE if it stands alone. */
static enum outcome take_quantity(struct scanner *s, int32_t fields, struct quantity *ret)
{
    bool negative = false;
    *ret = (struct quantity){.unit = UNIT_NONE};
    if (*s->at == '-' || *s->at == '+')
        negative = *s->at++ == '-';
    skip_spaces(s);
    if (s->at == s->end || !(is_digit(*s->at) || *s->at == '.'))
        return OUTCOME_SYNTAX;
    if (!take_decimal(s, negative, &ret->value, &ret->fraction))
        return OUTCOME_RANGE;
    if (s->at < s->end && *s->at == ':')
        return ret->fraction != 0 ? OUTCOME_SYNTAX : take_clock(s, negative, ret->value, fields, ret);
    if (s->at + 1 < s->end && *s->at == '-' && is_digit(s->at[1]) && ret->fraction == 0) { /* years-months */
        int64_t months;
        s->at++;
        if (!take_decimal(s, negative, &months, &ret->fraction) || llabs(months) > 11 ||
            __builtin_mul_overflow(ret->value, 12, &ret->value) ||
            __builtin_add_overflow(ret->value, months, &ret->value))
            return OUTCOME_RANGE;
        if (s->at < s->end && *s->at == '-') /* a date */
            return OUTCOME_SYNTAX;
        ret->unit = UNIT_MONTH;
        return OUTCOME_OK;
    }
    struct scanner behind = *s;
    skip_spaces(&behind);
    const char *word = behind.at;
    while (behind.at < behind.end && isalpha((unsigned char)*behind.at))
        behind.at++;
    if (behind.at == word)
        return OUTCOME_OK;
    size_t word_len = (size_t)(behind.at - word);
    ret->unit = unit_of(word, word_len);
    if (ret->unit == UNIT_NONE)
        return OUTCOME_SYNTAX;
    if (word_len > 1 && behind.at < behind.end && isdigit((unsigned char)*behind.at) &&
        !(word_len == 2 && strncasecmp(word, "mm", 2) == 0)) /* 1d2h, but not 1day2hours */
        return OUTCOME_SYNTAX;
    if (ret->unit == UNIT_AGO)
        ret->unit = UNIT_NONE;
    else
        *s = behind;
    return OUTCOME_OK;
}

/*
 * Adds what was read, from the last to the first, as a number without a unit takes it from what stands behind it: days
 * before hours or a clock, else the same unit; the last one by the modifier. No unit may come twice.
 */
static enum outcome add_all(struct sum *sum, const struct quantity *quantities, size_t count, int32_t fields)
{
    enum unit behind = UNIT_NONE;
    uint32_t seen = 0;
    for (size_t i = count; i-- > 0;) {
        const struct quantity *quantity = &quantities[i];
        enum unit unit = quantity->unit;
        if (unit == UNIT_NONE)
            unit = behind == UNIT_NONE                           ? default_unit(fields)
                   : behind == UNIT_CLOCK || behind == UNIT_HOUR ? UNIT_DAY
                                                                 : behind;
        uint32_t bits = 1u << unit, parts = 1u << UNIT_MS | 1u << UNIT_US;
        if (unit == UNIT_CLOCK)
            bits = 1u << UNIT_HOUR | 1u << UNIT_MINUTE | 1u << UNIT_SECOND | parts;
        else if (unit == UNIT_SECOND && quantity->fraction != 0)
            bits |= parts;
        if (seen & bits)
            return OUTCOME_SYNTAX;
        seen |= bits;
        behind = unit;
        if (unit == UNIT_CLOCK)
            add_clock(sum, quantity);
        else
            add_unit(sum, unit, quantity->value, quantity->fraction);
    }
    return OUTCOME_OK;
}

static enum outcome parse_verbose(struct scanner *s, int32_t fields, struct sum *sum)
{
    struct quantity quantities[QUANTITIES_MAX];
    size_t count = 0;
    bool ago = false;
    for (;;) {
        skip_spaces(s);
        if (s->at < s->end && *s->at == '@') {
            s->at++;
            continue;
        }
        if (s->at == s->end)
            break;
        if (isalpha((unsigned char)*s->at)) {
            const char *word = s->at;
            while (s->at < s->end && isalpha((unsigned char)*s->at))
                s->at++;
            if (!count || ago || unit_of(word, (size_t)(s->at - word)) != UNIT_AGO)
                return OUTCOME_SYNTAX;
            ago = true;
            continue;
        }
        if (ago || count == QUANTITIES_MAX)
            return OUTCOME_SYNTAX;
        enum outcome outcome = take_quantity(s, fields, &quantities[count++]);
        if (outcome != OUTCOME_OK)
            return outcome;
    }
    enum outcome outcome = add_all(sum, quantities, count, fields);
    if (outcome != OUTCOME_OK)
        return outcome;
    if (ago) {
        sum->overflow |=
            sum->years == INT64_MIN || sum->months == INT64_MIN || sum->days == INT64_MIN || sum->us == INT64_MIN;
        if (!sum->overflow) {
            sum->years = -sum->years, sum->months = -sum->months;
            sum->days = -sum->days, sum->us = -sum->us;
        }
    }
    return count ? OUTCOME_OK : OUTCOME_SYNTAX;
}

/* ---- ISO 8601, behind 'P' ---- */

/* A number as strtod reads it, exponents too, but without spaces; *ret_digits: of its integer part. */
static enum outcome take_iso_number(struct scanner *s, int64_t *ret_value, double *ret_fraction, size_t *ret_digits)
{
    char text[64], *end;
    size_t len = KP_MIN((size_t)(s->end - s->at), sizeof text - 1);
    if (len == 0 || !(is_digit(*s->at) || *s->at == '-' || *s->at == '.'))
        return OUTCOME_SYNTAX;
    memcpy(text, s->at, len);
    text[len] = 0;
    text[strspn(text, "0123456789.eE+-")] = 0;
    double value = strtod(text, &end);
    if (end == text)
        return OUTCOME_SYNTAX;
    if (!(fabs(value) <= 1e15)) /* its integer part would not be exact */
        return OUTCOME_RANGE;
    *ret_digits = strspn(text + (text[0] == '-'), "0123456789");
    *ret_value = (int64_t)value;
    *ret_fraction = value - (double)*ret_value;
    s->at += end - text;
    return OUTCOME_OK;
}

/* years-months-days or hours:minutes:seconds, from the second number on; may end behind any. A date ends before T. */
static enum outcome take_parted(struct scanner *s, char separator, const enum unit *part_units, struct sum *sum)
{
    int64_t value;
    double fraction;
    size_t digits;
    for (int i = 0; i < 2; i++) {
        if (s->at == s->end || (separator == '-' && *s->at == 'T'))
            return OUTCOME_OK;
        if (*s->at++ != separator)
            return OUTCOME_SYNTAX;
        enum outcome outcome = take_iso_number(s, &value, &fraction, &digits);
        if (outcome != OUTCOME_OK)
            return outcome;
        add_unit(sum, part_units[i], value, fraction);
    }
    return s->at == s->end || (separator == '-' && *s->at == 'T') ? OUTCOME_OK : OUTCOME_SYNTAX;
}

/* 00021015 or 103020: digits alone, in pairs but for the year. */
static void add_packed(struct sum *sum, const enum unit *whole_units, int64_t value, double fraction)
{
    add_unit(sum, whole_units[0], value / 10000, 0);
    add_unit(sum, whole_units[1], value / 100 % 100, 0);
    add_unit(sum, whole_units[2], value % 100, whole_units[2] == UNIT_DAY ? fraction : 0);
    if (whole_units[2] != UNIT_DAY)
        add_fraction_us(sum, fraction, 1);
}

/* Numbers with designators, or a date and a time with separators, or packed: PnYnMnWnDTnHnMnS, P0002-10-15T10:30:20,
 * P00021015T103020. */
static enum outcome parse_iso(struct scanner *s, struct sum *sum)
{
    static const char *const letters[] = {"YMWD", "HMS"};
    static const enum unit letter_units[][4] = {{UNIT_YEAR, UNIT_MONTH, UNIT_WEEK, UNIT_DAY},
                                                {UNIT_HOUR, UNIT_MINUTE, UNIT_SECOND, UNIT_NONE}};
    static const enum unit whole_units[][3] = {{UNIT_YEAR, UNIT_MONTH, UNIT_DAY},
                                               {UNIT_HOUR, UNIT_MINUTE, UNIT_SECOND}};
    bool time = false, any = false; /* any: number of this half */
    if (s->at == s->end)
        return OUTCOME_SYNTAX;
    while (s->at < s->end) {
        if (*s->at == 'T') {
            time = true;
            any = false;
            s->at++;
            continue;
        }
        int64_t value;
        double fraction;
        size_t digits;
        enum outcome outcome = take_iso_number(s, &value, &fraction, &digits);
        if (outcome != OUTCOME_OK)
            return outcome;
        char designator = s->at < s->end ? *s->at : 0, separator = time ? ':' : '-';
        const char *found = designator ? strchr(letters[time], designator) : NULL;
        if (found) {
            add_unit(sum, letter_units[time][found - letters[time]], value, fraction);
            s->at++;
            any = true;
            continue;
        }
        bool ends = !designator || (!time && designator == 'T');
        if (any || (!ends && designator != separator))
            return OUTCOME_SYNTAX;
        if (ends && digits == (time ? 6 : 8)) {
            add_packed(sum, whole_units[time], value, fraction);
            continue;
        }
        add_unit(sum, whole_units[time][0], value, fraction);
        outcome = take_parted(s, separator, whole_units[time] + 1, sum);
        if (outcome != OUTCOME_OK)
            return outcome;
        any = true;
    }
    return OUTCOME_OK;
}

enum kp_code kp_interval_apply_mod(struct kp_interval *interval, int32_t mod, struct kp_error *err)
{
    if (mod < 0)
        return KP_OK;
    int32_t fields = mod >> 16 & FIELDS_ALL, precision = mod & PRECISION_FULL;
    if (fields == FIELD_YEAR) {
        interval->months = interval->months / 12 * 12;
        interval->days = 0;
        interval->us = 0;
    } else if (fields == FIELD_MONTH || fields == (FIELD_YEAR | FIELD_MONTH)) {
        interval->days = 0;
        interval->us = 0;
    } else if (fields == FIELD_DAY) {
        interval->us = 0;
    } else if (fields == FIELD_HOUR || fields == (FIELD_DAY | FIELD_HOUR)) {
        interval->us = interval->us / KP_HOUR_US * KP_HOUR_US;
    } else if (fields == FIELD_MINUTE || fields == (FIELD_HOUR | FIELD_MINUTE) ||
               fields == (FIELD_DAY | FIELD_HOUR | FIELD_MINUTE)) {
        interval->us = interval->us / KP_MINUTE_US * KP_MINUTE_US;
    }
    if (precision < 6) {
        if (interval->us > INT64_MAX - KP_SECOND_US || interval->us < INT64_MIN + KP_SECOND_US)
            return kp_fail(err, KP_INVALID, "22008", "interval out of range");
        interval->us = kp_us_round(interval->us, precision);
    }
    return KP_OK;
}

enum kp_code kp_interval_parse(struct kp_str given, int32_t mod, struct kp_interval *ret_interval, struct kp_error *err)
{
    struct kp_str text = kp_text_trim(given);
    struct sum sum = {0};
    struct scanner s = {text.ptr, text.ptr + text.len};
    int32_t fields = mod >= 0 ? mod >> 16 & FIELDS_ALL : FIELDS_ALL;
    enum outcome outcome;
    if (text.len && text.ptr[0] == 'P') {
        s.at++;
        outcome = parse_iso(&s, &sum);
    } else {
        outcome = parse_verbose(&s, fields, &sum);
    }
    int len = (int)KP_MIN(given.len, (size_t)256);
    if (outcome == OUTCOME_SYNTAX)
        return kp_fail(err, KP_INVALID, "22007", "invalid input syntax for type interval: \"%.*s\"", len, given.ptr);
    if (outcome == OUTCOME_RANGE || sum.overflow || sum.years != (int32_t)sum.years ||
        sum.months != (int32_t)sum.months || sum.days != (int32_t)sum.days)
        return kp_fail(err, KP_INVALID, "22015", "interval field value out of range: \"%.*s\"", len, given.ptr);
    int64_t months = sum.years * 12 + sum.months;
    if (months != (int32_t)months)
        return kp_fail(err, KP_INVALID, "22008", "interval out of range");
    struct kp_interval interval = {sum.us, (int32_t)sum.days, (int32_t)months};
    KP_TRY(kp_interval_apply_mod(&interval, mod, err));
    *ret_interval = interval;
    return KP_OK;
}
