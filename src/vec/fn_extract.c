/*
 * extract, date_part, date_trunc, date_bin. A part is computed as coefficient and scale: extract gives it as numeric
 * (PostgreSQL 15), date_part as double precision. The unit is read once when it is constant.
 */
#include <math.h>

#include "vec/datetime.h"
#include "vec/fn.h"

enum verdict { VERDICT_OK, VERDICT_NULL, VERDICT_UNSUPPORTED, VERDICT_UNRECOGNIZED, VERDICT_RANGE };

/* A number: coef / 10^scale; infinite -1 or 1 for the parts of infinity; or, for julian, day and fraction. */
struct part {
    __int128 coef;
    uint16_t scale;
    int infinite;
    bool has_day_us; /* julian: coef + day_us / a day */
    int64_t day_us;
};

static enum verdict unsupported(enum kp_time_unit unit)
{
    return unit == KP_UNIT_NONE ? VERDICT_UNRECOGNIZED : VERDICT_UNSUPPORTED;
}

/* Years as PostgreSQL counts them: 1 BC is -1, and so on. */
static int64_t shown_year(int64_t year)
{
    return year > 0 ? year : year - 1;
}

static enum verdict civil_part(enum kp_time_unit unit, const struct kp_civil *c, struct part *ret_part)
{
    int64_t year = c->year, value;
    int32_t iso_year;
    int64_t days = kp_days_from_civil(c->year, c->month, c->day);
    int64_t us = c->second * KP_SECOND_US + c->us;
    *ret_part = (struct part){0};
    switch (unit) {
    case KP_UNIT_MICROSECOND:
        value = us;
        break;
    case KP_UNIT_MILLISECOND:
        value = us;
        ret_part->scale = 3;
        break;
    case KP_UNIT_SECOND:
        value = us;
        ret_part->scale = 6;
        break;
    case KP_UNIT_MINUTE:
        value = c->minute;
        break;
    case KP_UNIT_HOUR:
        value = c->hour;
        break;
    case KP_UNIT_DAY:
        value = c->day;
        break;
    case KP_UNIT_MONTH:
        value = c->month;
        break;
    case KP_UNIT_QUARTER:
        value = (c->month - 1) / 3 + 1;
        break;
    case KP_UNIT_WEEK:
        value = kp_iso_week(c->year, c->month, c->day, NULL);
        break;
    case KP_UNIT_YEAR:
        value = shown_year(year);
        break;
    case KP_UNIT_DECADE:
        value = year >= 0 ? year / 10 : -((8 - (year - 1)) / 10);
        break;
    case KP_UNIT_CENTURY:
        value = year > 0 ? (year + 99) / 100 : -((99 - (year - 1)) / 100);
        break;
    case KP_UNIT_MILLENNIUM:
        value = year > 0 ? (year + 999) / 1000 : -((999 - (year - 1)) / 1000);
        break;
    case KP_UNIT_DOW:
        value = ((days + 6) % 7 + 7) % 7;
        break;
    case KP_UNIT_ISODOW:
        value = ((days + 5) % 7 + 7) % 7 + 1;
        break;
    case KP_UNIT_DOY:
        value = days - kp_days_from_civil(c->year, 1, 1) + 1;
        break;
    case KP_UNIT_ISOYEAR:
        kp_iso_week(c->year, c->month, c->day, &iso_year);
        value = shown_year(iso_year);
        break;
    case KP_UNIT_JULIAN:
        value = days + 2451545;
        ret_part->day_us = c->hour * KP_HOUR_US + c->minute * KP_MINUTE_US + us;
        break;
    default:
        return unsupported(unit);
    }
    ret_part->coef = value;
    return VERDICT_OK;
}

/* Of infinity: what grows without end is infinite, what comes round is NULL. */
static enum verdict infinite_part(enum kp_time_unit unit, bool negative, struct part *ret_part)
{
    *ret_part = (struct part){.infinite = negative ? -1 : 1};
    switch (unit) {
    case KP_UNIT_YEAR:
    case KP_UNIT_DECADE:
    case KP_UNIT_CENTURY:
    case KP_UNIT_MILLENNIUM:
    case KP_UNIT_ISOYEAR:
    case KP_UNIT_JULIAN:
    case KP_UNIT_EPOCH:
        return VERDICT_OK;
    case KP_UNIT_NONE:
        return VERDICT_UNRECOGNIZED;
    default:
        return VERDICT_NULL;
    }
}

static enum verdict timestamp_part(enum kp_time_unit unit, int64_t us, const struct kp_zone *zone, bool zoned,
                                   struct part *ret_part)
{
    if (!kp_timestamp_is_finite(us))
        return infinite_part(unit, us < 0, ret_part);
    if (unit == KP_UNIT_EPOCH) {
        *ret_part = (struct part){.coef = (__int128)us - KP_UNIX_EPOCH_US, .scale = 6};
        return VERDICT_OK;
    }
    int32_t offset = zoned ? kp_zone_offset_at(zone, us, NULL) : 0;
    if (zoned && unit >= KP_UNIT_TIMEZONE) {
        int64_t value = unit == KP_UNIT_TIMEZONE        ? offset
                        : unit == KP_UNIT_TIMEZONE_HOUR ? offset / 3600
                                                        : offset / 60 % 60;
        *ret_part = (struct part){.coef = value};
        return VERDICT_OK;
    }
    struct kp_civil civil;
    kp_timestamp_to_civil(us + offset * KP_SECOND_US, &civil);
    enum verdict verdict = civil_part(unit, &civil, ret_part);
    ret_part->has_day_us = unit == KP_UNIT_JULIAN;
    return verdict;
}

static enum verdict date_part(enum kp_time_unit unit, int32_t date, struct part *ret_part)
{
    switch (unit) {
    case KP_UNIT_MICROSECOND:
    case KP_UNIT_MILLISECOND:
    case KP_UNIT_SECOND:
    case KP_UNIT_MINUTE:
    case KP_UNIT_HOUR:
    case KP_UNIT_TIMEZONE:
    case KP_UNIT_TIMEZONE_HOUR:
    case KP_UNIT_TIMEZONE_MINUTE:
        return VERDICT_UNSUPPORTED;
    default:
        break;
    }
    if (!kp_date_is_finite(date))
        return infinite_part(unit, date < 0, ret_part);
    if (unit == KP_UNIT_EPOCH) {
        *ret_part = (struct part){.coef = ((int64_t)date - KP_UNIX_EPOCH_DAYS) * 86400};
        return VERDICT_OK;
    }
    struct kp_civil civil = {0};
    kp_days_to_civil(date, &civil);
    return civil_part(unit, &civil, ret_part);
}

static enum verdict time_part(enum kp_time_unit unit, int64_t us, struct part *ret_part)
{
    *ret_part = (struct part){0};
    switch (unit) {
    case KP_UNIT_MICROSECOND:
        ret_part->coef = us % KP_MINUTE_US;
        return VERDICT_OK;
    case KP_UNIT_MILLISECOND:
        *ret_part = (struct part){.coef = us % KP_MINUTE_US, .scale = 3};
        return VERDICT_OK;
    case KP_UNIT_SECOND:
        *ret_part = (struct part){.coef = us % KP_MINUTE_US, .scale = 6};
        return VERDICT_OK;
    case KP_UNIT_MINUTE:
        ret_part->coef = us / KP_MINUTE_US % 60;
        return VERDICT_OK;
    case KP_UNIT_HOUR:
        ret_part->coef = us / KP_HOUR_US;
        return VERDICT_OK;
    case KP_UNIT_EPOCH:
        *ret_part = (struct part){.coef = us, .scale = 6};
        return VERDICT_OK;
    default:
        return unsupported(unit);
    }
}

static enum verdict timetz_part(enum kp_time_unit unit, const struct kp_timetz *value, struct part *ret_part)
{
    switch (unit) {
    case KP_UNIT_TIMEZONE:
        *ret_part = (struct part){.coef = -value->west_s};
        return VERDICT_OK;
    case KP_UNIT_TIMEZONE_HOUR:
        *ret_part = (struct part){.coef = -value->west_s / 3600};
        return VERDICT_OK;
    case KP_UNIT_TIMEZONE_MINUTE:
        *ret_part = (struct part){.coef = -value->west_s / 60 % 60};
        return VERDICT_OK;
    case KP_UNIT_EPOCH:
        *ret_part = (struct part){.coef = value->us + value->west_s * KP_SECOND_US, .scale = 6};
        return VERDICT_OK;
    default:
        return time_part(unit, value->us, ret_part);
    }
}

static enum verdict interval_part(enum kp_time_unit unit, const struct kp_interval *interval, struct part *ret_part)
{
    int64_t years = interval->months / 12, seconds;
    *ret_part = (struct part){0};
    switch (unit) {
    case KP_UNIT_DAY:
        ret_part->coef = interval->days;
        return VERDICT_OK;
    case KP_UNIT_MONTH:
        ret_part->coef = interval->months % 12;
        return VERDICT_OK;
    case KP_UNIT_QUARTER:
        ret_part->coef = interval->months % 12 / 3 + 1;
        return VERDICT_OK;
    case KP_UNIT_YEAR:
        ret_part->coef = years;
        return VERDICT_OK;
    case KP_UNIT_DECADE:
        ret_part->coef = years / 10;
        return VERDICT_OK;
    case KP_UNIT_CENTURY:
        ret_part->coef = years / 100;
        return VERDICT_OK;
    case KP_UNIT_MILLENNIUM:
        ret_part->coef = years / 1000;
        return VERDICT_OK;
    case KP_UNIT_EPOCH: /* a year is 365.25 days, a month 30 */
        seconds = (1461 * years + (int64_t)120 * (interval->months % 12) + (int64_t)4 * interval->days) * 21600;
        ret_part->coef = (__int128)seconds * KP_SECOND_US + interval->us; /* beyond 64 bits for the longest */
        ret_part->scale = 6;
        return VERDICT_OK;
    default:
        return time_part(unit, interval->us, ret_part);
    }
}

static void store(struct kp_call *call, struct kp_vec *out, uint32_t row, const struct part *part)
{
    if (out->type.id == KP_FLOAT8) {
        double value =
            (double)part->coef / (double)kp_pow10_i64(part->scale) + (double)part->day_us / (double)KP_DAY_US;
        ((double *)out->data)[row] = part->infinite ? part->infinite * HUGE_VAL : value;
        return;
    }
    struct kp_numeric *to = (struct kp_numeric *)out->data + row;
    if (part->infinite) {
        *to = kp_numeric_special(part->infinite < 0 ? KP_NUMERIC_NEG_INF : KP_NUMERIC_POS_INF);
        return;
    }
    *to = kp_numeric_from_i128(part->coef, part->scale, call->arena);
    if (part->has_day_us) {
        struct kp_numeric us = kp_numeric_small(part->day_us, 0), day = kp_numeric_small(KP_DAY_US, 0), fraction,
                          whole = *to;
        if (kp_numeric_div(&us, &day, call->arena, &fraction, NULL) != KP_OK ||
            kp_numeric_add(&whole, &fraction, call->arena, to, NULL) != KP_OK)
            kp_fatal("a day has a fraction", __FILE__, __LINE__);
    }
}

static enum verdict part_of_row(struct kp_call *call, const struct kp_vec *const *args, uint32_t row,
                                enum kp_time_unit unit, bool float_result, struct part *ret_part)
{
    switch (args[1]->type.id) {
    case KP_TIMESTAMP:
        return timestamp_part(unit, FN_AT(int64_t, 1, row), NULL, false, ret_part);
    case KP_TIMESTAMPTZ:
        return timestamp_part(unit, FN_AT(int64_t, 1, row), fn_zone(call), true, ret_part);
    case KP_TIME:
        return time_part(unit, FN_AT(int64_t, 1, row), ret_part);
    case KP_TIMETZ:
        return timetz_part(unit, &FN_AT(struct kp_timetz, 1, row), ret_part);
    case KP_INTERVAL:
        return interval_part(unit, &FN_AT(struct kp_interval, 1, row), ret_part);
    default: {
        int32_t date = FN_AT(int32_t, 1, row);
        if (!float_result)
            return date_part(unit, date, ret_part);
        int64_t us = date < 0 ? INT64_MIN : INT64_MAX;
        if (kp_date_is_finite(date) &&
            (__builtin_mul_overflow((int64_t)date, KP_DAY_US, &us) || !kp_timestamp_in_range(us)))
            return VERDICT_RANGE;
        return timestamp_part(unit, us, NULL, false, ret_part);
    }
    }
}

static void report(struct kp_call *call, uint32_t row, enum verdict verdict, struct kp_str unit, enum kp_type_id type)
{
    const char *name = kp_type_info(type)->name;
    char lower[64];
    size_t len = KP_MIN(unit.len, sizeof lower);
    for (size_t i = 0; i < len; i++)
        lower[i] = (char)(unit.ptr[i] >= 'A' && unit.ptr[i] <= 'Z' ? unit.ptr[i] | 32 : unit.ptr[i]);
    if (verdict == VERDICT_NULL)
        kp_call_fail(call, row, "22008", "timestamp out of range");
    else if (verdict == VERDICT_UNSUPPORTED)
        kp_call_fail(call, row, "0A000", "unit \"%.*s\" not supported for type %s", (int)len, lower, name);
    else if (verdict == VERDICT_UNRECOGNIZED)
        kp_call_fail(call, row, "22023", "unit \"%.*s\" not recognized for type %s", (int)len, lower, name);
}

static void extract(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    enum kp_time_unit unit = KP_UNIT_NONE;
    bool owned = false, known = false, float_result = out->type.id == KP_FLOAT8;
    for (uint32_t i = 0; i < call->rows; i++) {
        if (kp_vec_is_null(out, i))
            continue;
        struct kp_str name = kp_text_str(&FN_AT(struct kp_text, 0, i));
        if (!known || !args[0]->constant)
            unit = kp_time_unit_find(name);
        known = true;
        struct part part = {0};
        enum verdict verdict = part_of_row(call, args, i, unit, float_result, &part);
        switch (verdict) {
        case VERDICT_OK:
            break;
        case VERDICT_NULL:
            fn_set_null(call, out, i, &owned);
            break;
        case VERDICT_RANGE:
            kp_call_fail(call, i, "22008", "date out of range for timestamp");
            break;
        case VERDICT_UNSUPPORTED:
        case VERDICT_UNRECOGNIZED:
            /* PostgreSQL's date_part of a date is that of a timestamp */
            report(call, i, verdict, name,
                   float_result && args[1]->type.id == KP_DATE ? KP_TIMESTAMP : args[1]->type.id);
            break;
        }
        store(call, out, i, &part);
    }
}

/* ---- date_trunc ---- */

/* Cuts a civil time; false if the unit cannot be cut to. */
static bool truncate_civil(enum kp_time_unit unit, struct kp_civil *c)
{
    int64_t year = c->year;
    switch (unit) {
    case KP_UNIT_MILLENNIUM:
        year = year > 0 ? (year + 999) / 1000 * 1000 - 999 : -((999 - (year - 1)) / 1000) * 1000 + 1;
        *c = (struct kp_civil){.year = (int32_t)year, .month = 1, .day = 1};
        return true;
    case KP_UNIT_CENTURY:
        year = year > 0 ? (year + 99) / 100 * 100 - 99 : -((99 - (year - 1)) / 100) * 100 + 1;
        *c = (struct kp_civil){.year = (int32_t)year, .month = 1, .day = 1};
        return true;
    case KP_UNIT_DECADE:
        year = year > 0 ? year / 10 * 10 : -((8 - (year - 1)) / 10) * 10;
        *c = (struct kp_civil){.year = (int32_t)year, .month = 1, .day = 1};
        return true;
    case KP_UNIT_YEAR:
        *c = (struct kp_civil){.year = c->year, .month = 1, .day = 1};
        return true;
    case KP_UNIT_QUARTER:
        *c = (struct kp_civil){.year = c->year, .month = (c->month - 1) / 3 * 3 + 1, .day = 1};
        return true;
    case KP_UNIT_MONTH:
        *c = (struct kp_civil){.year = c->year, .month = c->month, .day = 1};
        return true;
    case KP_UNIT_WEEK: {
        int64_t days = kp_days_from_civil(c->year, c->month, c->day);
        *c = (struct kp_civil){0};
        kp_days_to_civil(days - ((days + 5) % 7 + 7) % 7, c);
        return true;
    }
    case KP_UNIT_DAY:
        *c = (struct kp_civil){.year = c->year, .month = c->month, .day = c->day};
        return true;
    default:
        return false;
    }
}

/* The size of a unit that is a fixed number of microseconds in local time; 0 for the others. */
static int64_t unit_us(enum kp_time_unit unit)
{
    switch (unit) {
    case KP_UNIT_MICROSECOND:
        return 1;
    case KP_UNIT_MILLISECOND:
        return 1000;
    case KP_UNIT_SECOND:
        return KP_SECOND_US;
    case KP_UNIT_MINUTE:
        return KP_MINUTE_US;
    case KP_UNIT_HOUR:
        return KP_HOUR_US;
    default:
        return 0;
    }
}

/* PostgreSQL knows week, and the parts of a zone, as units here, but not what only extract has. */
static enum verdict not_a_size(enum kp_time_unit unit)
{
    return unit == KP_UNIT_WEEK || unit >= KP_UNIT_TIMEZONE ? VERDICT_UNSUPPORTED : VERDICT_UNRECOGNIZED;
}

static enum verdict truncate(enum kp_time_unit unit, int64_t us, const struct kp_zone *zone, bool zoned,
                             int64_t *ret_us)
{
    *ret_us = us;
    int64_t size = unit_us(unit), local = us;
    if (!kp_timestamp_is_finite(us))
        return VERDICT_OK;
    if (!size && (unit < KP_UNIT_DAY || unit > KP_UNIT_MILLENNIUM))
        return not_a_size(unit);
    if (size) { /* the offset stays, as PostgreSQL has it */
        int64_t offset = zoned ? kp_zone_offset_at(zone, us, NULL) * KP_SECOND_US : 0;
        *ret_us = kp_floor_div(us + offset, size) * size - offset;
        return VERDICT_OK;
    }
    struct kp_civil civil;
    if (zoned && !kp_timestamp_to_local(us, zone, &local))
        return VERDICT_NULL;
    kp_timestamp_to_civil(local, &civil);
    truncate_civil(unit, &civil);
    if (!kp_timestamp_from_civil(&civil, &local) || (zoned && !kp_timestamp_to_utc(local, zone, &local)))
        return VERDICT_NULL;
    *ret_us = local;
    return VERDICT_OK;
}

static void trunc_timestamp(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    bool zoned = args[1]->type.id == KP_TIMESTAMPTZ, known = false;
    const struct kp_zone *zone = fn_zone(call);
    enum kp_time_unit unit = KP_UNIT_NONE;
    int64_t *to = out->data;
    for (uint32_t i = 0; i < call->rows; i++) {
        to[i] = 0;
        if (kp_vec_is_null(out, i))
            continue;
        struct kp_str name = kp_text_str(&FN_AT(struct kp_text, 0, i));
        struct kp_error err;
        if (!known || !args[0]->constant)
            unit = kp_time_unit_find(name);
        known = true;
        to[i] = FN_AT(int64_t, 1, i);
        if (!kp_timestamp_is_finite(to[i]))
            continue;
        if (call->arg_count == 3 && kp_zone_find(kp_text_str(&FN_AT(struct kp_text, 2, i)), &zone, &err) != KP_OK) {
            fn_fail(call, out, i, &err);
            continue;
        }
        report(call, i, truncate(unit, FN_AT(int64_t, 1, i), zone, zoned, &to[i]), name, args[1]->type.id);
    }
}

static enum verdict truncate_interval(enum kp_time_unit unit, struct kp_interval *interval)
{
    static const int32_t unit_months[] = {
        [KP_UNIT_MONTH] = 1,    [KP_UNIT_QUARTER] = 3,    [KP_UNIT_YEAR] = 12,
        [KP_UNIT_DECADE] = 120, [KP_UNIT_CENTURY] = 1200, [KP_UNIT_MILLENNIUM] = 12000};
    int64_t size = unit_us(unit);
    if (size) {
        interval->us = interval->us / size * size;
        return VERDICT_OK;
    }
    if (unit == KP_UNIT_DAY) {
        interval->us = 0;
        return VERDICT_OK;
    }
    if (unit < KP_UNIT_MONTH || unit > KP_UNIT_MILLENNIUM)
        return not_a_size(unit);
    interval->us = 0;
    interval->days = 0;
    interval->months = interval->months / unit_months[unit] * unit_months[unit];
    return VERDICT_OK;
}

static void trunc_interval(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_interval *to = out->data;
    for (uint32_t i = 0; i < call->rows; i++) {
        to[i] = FN_AT(struct kp_interval, 1, i);
        if (kp_vec_is_null(out, i))
            continue;
        struct kp_str name = kp_text_str(&FN_AT(struct kp_text, 0, i));
        report(call, i, truncate_interval(kp_time_unit_find(name), &to[i]), name, KP_INTERVAL);
    }
}

/* ---- date_bin ---- */

static void date_bin(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    int64_t *to = out->data;
    for (uint32_t i = 0; i < call->rows; i++) {
        const struct kp_interval *stride = &FN_AT(struct kp_interval, 0, i);
        int64_t us = FN_AT(int64_t, 1, i), origin = FN_AT(int64_t, 2, i), size, distance;
        to[i] = us;
        if (kp_vec_is_null(out, i) || !kp_timestamp_is_finite(us))
            continue;
        if (!kp_timestamp_is_finite(origin)) {
            kp_call_fail(call, i, "22008", "origin out of range");
        } else if (stride->months) {
            kp_call_fail(call, i, "0A000", "timestamps cannot be binned into intervals containing months or years");
        } else if (__builtin_mul_overflow((int64_t)stride->days, KP_DAY_US, &size) ||
                   __builtin_add_overflow(size, stride->us, &size)) {
            kp_call_fail(call, i, "22008", "interval out of range");
        } else if (size <= 0) {
            kp_call_fail(call, i, "22008", "stride must be greater than zero");
        } else if (__builtin_sub_overflow(us, origin, &distance)) {
            kp_call_fail(call, i, "22008", "interval out of range");
        } else {
            to[i] = origin + kp_floor_div(distance, size) * size;
            if (!kp_timestamp_in_range(to[i]))
                kp_call_fail(call, i, "22008", "timestamp out of range");
        }
    }
}

#define FAIL (KP_STRICT | KP_CAN_FAIL)
#define EXTRACT(type, flags)                                                                                           \
    FN_BINARY("extract", KP_FUNC_FUNCTION, FAIL | (flags), KP_TEXT, type, KP_NUMERIC, extract, "a part of a time"),    \
        FN_BINARY("date_part", KP_FUNC_FUNCTION, FAIL | (flags), KP_TEXT, type, KP_FLOAT8, extract,                    \
                  "a part of a time")
#define BIN(type)                                                                                                      \
    {                                                                                                                  \
        .name = "date_bin", .kind = KP_FUNC_FUNCTION, .flags = FAIL, .arg_count = 3,                                   \
        .args = {KP_INTERVAL, type, type}, .ret = type, .kernel = date_bin,                                            \
        .doc = "start of the interval, counted from an origin"                                                         \
    }

static const struct kp_func funcs[] = {
    EXTRACT(KP_TIMESTAMP, 0),
    EXTRACT(KP_TIMESTAMPTZ, KP_STABLE),
    EXTRACT(KP_DATE, 0),
    EXTRACT(KP_TIME, 0),
    EXTRACT(KP_TIMETZ, 0),
    EXTRACT(KP_INTERVAL, 0),
    FN_BINARY("date_trunc", KP_FUNC_FUNCTION, FAIL, KP_TEXT, KP_TIMESTAMP, KP_TIMESTAMP, trunc_timestamp,
              "cut to a unit"),
    FN_BINARY("date_trunc", KP_FUNC_FUNCTION, FAIL | KP_STABLE, KP_TEXT, KP_TIMESTAMPTZ, KP_TIMESTAMPTZ,
              trunc_timestamp, "cut to a unit in the session's zone"),
    FN_BINARY("date_trunc", KP_FUNC_FUNCTION, FAIL, KP_TEXT, KP_INTERVAL, KP_INTERVAL, trunc_interval, "cut to a unit"),
    {.name = "date_trunc",
     .kind = KP_FUNC_FUNCTION,
     .flags = FAIL,
     .arg_count = 3,
     .args = {KP_TEXT, KP_TIMESTAMPTZ, KP_TEXT},
     .ret = KP_TIMESTAMPTZ,
     .kernel = trunc_timestamp,
     .doc = "cut to a unit in a zone"},
    BIN(KP_TIMESTAMP),
    BIN(KP_TIMESTAMPTZ),
};
KP_FUNCTIONS(extract, funcs);
