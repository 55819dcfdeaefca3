/*
 * Reading dates, times and timestamps, as PostgreSQL with DateStyle "ISO, MDY".
 *
 * What machines write, YYYY-MM-DD[(T| )HH:MM:SS[.fraction]][Z|+hh[:mm]], takes a fast path; everything else is read
 * field by field (datetime_fields.c).
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "vec/datetime_fields.h"

/* ---- what machines write ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int two(const char *at)
{
    return (at[0] - '0') * 10 + (at[1] - '0');
}

/* Microseconds of ".digits", rounded; at is on the point and moves behind the digits. */
static int32_t take_fraction(const char **at, const char *end)
{
    const char *start = *at;
    int32_t us = 0;
    int digits = 0;
    for (++*at; *at < end && is_digit(**at); ++*at, digits++)
        if (digits < 6)
            us = us * 10 + (**at - '0');
    if (digits > 6) {
        char text[40];
        size_t len = KP_MIN((size_t)(*at - start), sizeof text - 1);
        memcpy(text, start, len);
        text[len] = 0;
        return (int32_t)rint(strtod(text, NULL) * 1000000);
    }
    for (; digits < 6; digits++)
        us *= 10;
    return us;
}

static bool all_digits(const char *at, int count)
{
    for (int i = 0; i < count; i++)
        if (!is_digit(at[i]))
            return false;
    return true;
}

/* +hh, +hhmm, +hh:mm to the end; false: other things. */
static bool fast_offset(const char *at, const char *end, int32_t *ret_offset)
{
    int32_t sign = *at == '-' ? -1 : 1;
    size_t len = (size_t)(end - at);
    bool colon = len == 6 && at[3] == ':';
    if ((len != 3 && len != 5 && !colon) || !all_digits(at + 1, 2) || (len > 3 && !all_digits(at + 3 + colon, 2)))
        return false;
    int32_t hours = two(at + 1), minutes = len > 3 ? two(at + 3 + colon) : 0;
    *ret_offset = sign * (hours * 60 + minutes) * 60;
    return hours <= 15 && minutes <= 59;
}

/* The common form, with all in its range; false: read it field by field. */
static bool fast_path(struct kp_str text, struct kp_moment *ret_moment)
{
    const char *at = text.ptr, *end = at + text.len;
    if (text.len < 10 || !all_digits(at, 4) || at[4] != '-' || !all_digits(at + 5, 2) || at[7] != '-' ||
        !all_digits(at + 8, 2))
        return false;
    struct kp_moment moment = {.dated = true};
    struct kp_civil *civil = &moment.civil;
    civil->year = two(at) * 100 + two(at + 2);
    civil->month = two(at + 5);
    civil->day = two(at + 8);
    at += 10;
    if (at < end) {
        if (end - at < 9 || (*at != ' ' && *at != 'T') || !all_digits(at + 1, 2) || at[3] != ':' ||
            !all_digits(at + 4, 2) || at[6] != ':' || !all_digits(at + 7, 2))
            return false;
        civil->hour = two(at + 1);
        civil->minute = two(at + 4);
        civil->second = two(at + 7);
        at += 9;
        if (at < end && *at == '.')
            civil->us = take_fraction(&at, end);
        moment.has_offset = at < end;
        if (at < end && !(*at == 'Z' && at + 1 == end) &&
            !((*at == '+' || *at == '-') && fast_offset(at, end, &moment.offset)))
            return false;
    }
    *ret_moment = moment;
    return civil->year > 0 && civil->month >= 1 && civil->month <= 12 && civil->day >= 1 &&
           civil->day <= kp_month_days(civil->year, civil->month) && civil->hour <= 23 && civil->minute <= 59 &&
           civil->second <= 59;
}

/* ---- all texts ---- */

static enum kp_code fail(enum kp_moment_outcome outcome, struct kp_str text, const char *zone_name, const char *type,
                         struct kp_error *err)
{
    int len = (int)KP_MIN(text.len, (size_t)256);
    switch (outcome) {
    case KP_MOMENT_RANGE:
    case KP_MOMENT_DAY_RANGE:
        kp_fail(err, KP_INVALID, "22008", "date/time field value out of range: \"%.*s\"", len, text.ptr);
        return outcome == KP_MOMENT_RANGE ? KP_INVALID
                                          : kp_error_hint(err, "Perhaps you need a different \"datestyle\" setting.");
    case KP_MOMENT_ZONE_RANGE:
        return kp_fail(err, KP_INVALID, "22009", "time zone displacement out of range: \"%.*s\"", len, text.ptr);
    case KP_MOMENT_ZONE_NAME:
        return kp_fail(err, KP_INVALID, "22023", "time zone \"%s\" not recognized", zone_name);
    case KP_MOMENT_MOVES:
        kp_fail(err, KP_UNSUPPORTED, NULL, "date/time value \"%.*s\" depends on when it is read", len, text.ptr);
        return kp_error_hint(err, "Use now() or current_date.");
    default:
        return kp_fail(err, KP_INVALID, "22007", "invalid input syntax for type %s: \"%.*s\"", type, len, text.ptr);
    }
}

static enum kp_code read_dated(struct kp_str text, const char *type, struct kp_moment *ret_moment, struct kp_error *err)
{
    if (fast_path(text, ret_moment))
        return KP_OK;
    enum kp_moment_outcome outcome = kp_moment_read(text, false, ret_moment);
    return outcome == KP_MOMENT_OK ? KP_OK : fail(outcome, text, ret_moment->zone_name, type, err);
}

enum kp_code kp_date_parse(struct kp_str text, int32_t *ret_date, struct kp_error *err)
{
    static const int32_t specials[] = {[KP_MOMENT_EPOCH] = KP_UNIX_EPOCH_DAYS,
                                       [KP_MOMENT_INFINITY] = KP_DATE_INFINITY,
                                       [KP_MOMENT_NEG_INFINITY] = KP_DATE_NEG_INFINITY};
    struct kp_moment moment;
    KP_TRY(read_dated(text, "date", &moment, err));
    if (moment.special) {
        *ret_date = specials[moment.special];
        return KP_OK;
    }
    int64_t days = kp_days_from_civil(moment.civil.year, moment.civil.month, moment.civil.day);
    if (days < KP_DATE_MIN || days >= KP_DATE_END)
        return kp_fail(err, KP_INVALID, "22008", "date out of range: \"%.*s\"", (int)KP_MIN(text.len, (size_t)256),
                       text.ptr);
    *ret_date = (int32_t)days;
    return KP_OK;
}

static enum kp_code read_time(struct kp_str text, const char *type, struct kp_moment *ret_moment, int64_t *ret_us,
                              struct kp_error *err)
{
    const struct kp_civil *civil = &ret_moment->civil;
    enum kp_moment_outcome outcome = kp_moment_read(text, true, ret_moment);
    if (outcome != KP_MOMENT_OK)
        return fail(outcome, text, ret_moment->zone_name, type, err);
    *ret_us = civil->hour * KP_HOUR_US + civil->minute * KP_MINUTE_US + civil->second * KP_SECOND_US + civil->us;
    return KP_OK;
}

enum kp_code kp_time_parse(struct kp_str text, int32_t mod, int64_t *ret_us, struct kp_error *err)
{
    struct kp_moment moment;
    int64_t us = 0;
    KP_TRY(read_time(text, "time", &moment, &us, err));
    *ret_us = mod >= 0 ? kp_us_round(us, mod) : us;
    return KP_OK;
}

enum kp_code kp_timetz_parse(struct kp_str text, int32_t mod, const struct kp_zone *zone, struct kp_timetz *ret_value,
                             struct kp_error *err)
{
    struct kp_moment moment;
    int64_t us = 0, local = 0;
    KP_TRY(read_time(text, "time with time zone", &moment, &us, err));
    int32_t offset = moment.offset;
    if (!moment.has_offset) {
        bool within = moment.dated && kp_timestamp_from_civil(&moment.civil, &local);
        zone = moment.zone ? moment.zone : zone;
        if (!moment.dated && !kp_zone_is_fixed(zone)) {
            kp_fail(err, KP_UNSUPPORTED, NULL, "the offset of \"%.*s\" in time zone \"%s\" depends on when it is read",
                    (int)KP_MIN(text.len, (size_t)64), text.ptr, kp_zone_name(zone));
            kp_error_hint(err, "Write the offset, as in '04:05:06+02', or the date.");
            return KP_UNSUPPORTED;
        }
        offset = within || !moment.dated ? kp_zone_offset_of_local(zone, local) : 0;
    }
    if (!kp_zone_seconds_fit(offset)) /* that of a zone by its rule: <x>-20 */
        return fail(KP_MOMENT_ZONE_RANGE, text, "", "", err);
    *ret_value = (struct kp_timetz){mod >= 0 ? kp_us_round(us, mod) : us, -offset, 0};
    return KP_OK;
}

enum kp_code kp_timestamp_apply_mod(int64_t us, int32_t mod, int64_t *ret_us, struct kp_error *err)
{
    if (mod >= 0 && mod < 6 && kp_timestamp_is_finite(us)) {
        us = kp_us_round(us, mod);
        if (!kp_timestamp_in_range(us))
            return kp_fail(err, KP_INVALID, "22008", "timestamp out of range");
    }
    *ret_us = us;
    return KP_OK;
}

static enum kp_code fail_range(struct kp_str text, struct kp_error *err)
{
    return kp_fail(err, KP_INVALID, "22008", "timestamp out of range: \"%.*s\"", (int)KP_MIN(text.len, (size_t)256),
                   text.ptr);
}

static const int64_t specials[] = {[KP_MOMENT_EPOCH] = KP_UNIX_EPOCH_US,
                                   [KP_MOMENT_INFINITY] = KP_TIMESTAMP_INFINITY,
                                   [KP_MOMENT_NEG_INFINITY] = KP_TIMESTAMP_NEG_INFINITY};

enum kp_code kp_timestamp_parse(struct kp_str text, int32_t mod, int64_t *ret_us, struct kp_error *err)
{
    struct kp_moment moment;
    KP_TRY(read_dated(text, "timestamp", &moment, err));
    int64_t us = specials[moment.special];
    if (!moment.special && !kp_timestamp_from_civil(&moment.civil, &us))
        return fail_range(text, err);
    return kp_timestamp_apply_mod(us, mod, ret_us, err);
}

enum kp_code kp_timestamptz_parse(struct kp_str text, int32_t mod, const struct kp_zone *zone, int64_t *ret_us,
                                  struct kp_error *err)
{
    struct kp_moment moment;
    KP_TRY(read_dated(text, "timestamp with time zone", &moment, err));
    int64_t us = specials[moment.special];
    if (moment.special)
        return kp_timestamp_apply_mod(us, mod, ret_us, err);
    if (!kp_civil_us(&moment.civil, &us))
        return fail_range(text, err);
    int32_t offset = moment.has_offset ? moment.offset : kp_zone_offset_of_local(moment.zone ? moment.zone : zone, us);
    if (__builtin_sub_overflow(us, offset * KP_SECOND_US, &us) || !kp_timestamp_in_range(us))
        return fail_range(text, err);
    return kp_timestamp_apply_mod(us, mod, ret_us, err);
}
