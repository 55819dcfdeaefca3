/* Arithmetic of timestamps and intervals, as PostgreSQL's: months, then days, then time; fractions spill downwards. */
#include <math.h>
#include <strings.h>

#include "vec/datetime.h"

static enum kp_code timestamp_range(struct kp_error *err)
{
    return kp_fail(err, KP_INVALID, "22008", "timestamp out of range");
}

static enum kp_code interval_range(struct kp_error *err)
{
    return kp_fail(err, KP_INVALID, "22008", "interval out of range");
}

/* Months are added to the calendar month, the day cut to the month's last. */
static bool add_months(int64_t us, int32_t months, int64_t *ret_us)
{
    struct kp_civil civil;
    kp_timestamp_to_civil(us, &civil);
    int64_t month = (int64_t)civil.year * 12 + civil.month - 1 + months;
    int64_t year = kp_floor_div(month, 12);
    if (year != (int32_t)year)
        return false;
    civil.year = (int32_t)year;
    civil.month = (int32_t)(month - year * 12) + 1;
    civil.day = KP_MIN(civil.day, kp_month_days(civil.year, civil.month));
    return kp_timestamp_from_civil(&civil, ret_us);
}

static bool add_days(int64_t us, int32_t days, int64_t *ret_us)
{
    __int128 sum = us + (__int128)days * KP_DAY_US; /* the days alone may not fit */
    if (sum != (int64_t)sum || !kp_timestamp_in_range((int64_t)sum))
        return false;
    *ret_us = (int64_t)sum;
    return true;
}

enum kp_code kp_timestamp_add(int64_t us, const struct kp_interval *interval, const struct kp_zone *zone,
                              int64_t *ret_us, struct kp_error *err)
{
    if (!kp_timestamp_is_finite(us)) {
        *ret_us = us;
        return KP_OK;
    }
    if (interval->months) {
        if (!kp_timestamp_to_local(us, zone, &us) || !add_months(us, interval->months, &us) ||
            !kp_timestamp_to_utc(us, zone, &us))
            return timestamp_range(err);
    }
    if (interval->days) {
        if (!kp_timestamp_to_local(us, zone, &us) || !add_days(us, interval->days, &us) ||
            !kp_timestamp_to_utc(us, zone, &us))
            return timestamp_range(err);
    }
    if (__builtin_add_overflow(us, interval->us, &us) || !kp_timestamp_in_range(us))
        return timestamp_range(err);
    *ret_us = us;
    return KP_OK;
}

enum kp_code kp_timestamp_sub(int64_t a, int64_t b, struct kp_interval *ret_interval, struct kp_error *err)
{
    if (!kp_timestamp_is_finite(a) || !kp_timestamp_is_finite(b))
        return kp_fail(err, KP_INVALID, "22008", "cannot subtract infinite timestamps");
    struct kp_interval difference = {0, 0, 0};
    if (__builtin_sub_overflow(a, b, &difference.us))
        return interval_range(err);
    return kp_interval_justify_hours(&difference, ret_interval, err);
}

/* Counted field by field, borrowing from the month of the earlier one, as a person would. */
enum kp_code kp_timestamp_age(int64_t a, int64_t b, const struct kp_zone *zone, struct kp_interval *ret_interval,
                              struct kp_error *err)
{
    if (!kp_timestamp_is_finite(a) || !kp_timestamp_is_finite(b) || !kp_timestamp_to_local(a, zone, &a) ||
        !kp_timestamp_to_local(b, zone, &b))
        return timestamp_range(err);
    bool negative = a < b;
    struct kp_civil later, earlier;
    kp_timestamp_to_civil(negative ? b : a, &later);
    kp_timestamp_to_civil(negative ? a : b, &earlier);
    int64_t us = (later.hour - earlier.hour) * KP_HOUR_US + (later.minute - earlier.minute) * KP_MINUTE_US +
                 (later.second - earlier.second) * KP_SECOND_US + (later.us - earlier.us);
    int32_t days = later.day - earlier.day, months = later.month - earlier.month, years = later.year - earlier.year;
    if (us < 0) {
        us += KP_DAY_US;
        days--;
    }
    while (days < 0) {
        days += kp_month_days(earlier.year, earlier.month);
        months--;
    }
    months += years * 12;
    *ret_interval = negative ? (struct kp_interval){-us, -days, -months} : (struct kp_interval){us, days, months};
    return KP_OK;
}

enum kp_code kp_interval_add(const struct kp_interval *a, const struct kp_interval *b, struct kp_interval *ret_interval,
                             struct kp_error *err)
{
    struct kp_interval sum;
    if (__builtin_add_overflow(a->months, b->months, &sum.months) ||
        __builtin_add_overflow(a->days, b->days, &sum.days) || __builtin_add_overflow(a->us, b->us, &sum.us))
        return interval_range(err);
    *ret_interval = sum;
    return KP_OK;
}

enum kp_code kp_interval_sub(const struct kp_interval *a, const struct kp_interval *b, struct kp_interval *ret_interval,
                             struct kp_error *err)
{
    struct kp_interval difference;
    if (__builtin_sub_overflow(a->months, b->months, &difference.months) ||
        __builtin_sub_overflow(a->days, b->days, &difference.days) ||
        __builtin_sub_overflow(a->us, b->us, &difference.us))
        return interval_range(err);
    *ret_interval = difference;
    return KP_OK;
}

enum kp_code kp_interval_negate(const struct kp_interval *a, struct kp_interval *ret_interval, struct kp_error *err)
{
    struct kp_interval zero = {0, 0, 0};
    return kp_interval_sub(&zero, a, ret_interval, err);
}

static double round_to_us(double value)
{
    return rint(value * 1000000.0) / 1000000.0;
}

static bool fits_i32(double value)
{
    return value >= -2147483648.0 && value < 2147483648.0;
}

/* The parts have been scaled: whole months and days stay, fractions go down to days and to time. */
static enum kp_code spill(double months, double days, double us, struct kp_interval *ret_interval, struct kp_error *err)
{
    if (isnan(months) || isnan(days) || !fits_i32(months) || !fits_i32(days))
        return interval_range(err);
    struct kp_interval result = {0, (int32_t)days, (int32_t)months};
    double spilled_days = round_to_us((months - result.months) * 30);
    double seconds = round_to_us((days - result.days + spilled_days - (int)spilled_days) * 86400);
    int64_t total_days = result.days;
    if (fabs(seconds) >= 86400) {
        total_days += (int)(seconds / 86400);
        seconds -= (int)(seconds / 86400) * 86400;
    }
    total_days += (int32_t)spilled_days;
    if (total_days != (int32_t)total_days)
        return interval_range(err);
    result.days = (int32_t)total_days;
    double total_us = rint(us + seconds * 1000000);
    if (isnan(total_us) || total_us < -9223372036854775808.0 || total_us >= 9223372036854775808.0)
        return interval_range(err);
    result.us = (int64_t)total_us;
    *ret_interval = result;
    return KP_OK;
}

enum kp_code kp_interval_mul(const struct kp_interval *a, double factor, struct kp_interval *ret_interval,
                             struct kp_error *err)
{
    return spill(a->months * factor, a->days * factor, (double)a->us * factor, ret_interval, err);
}

enum kp_code kp_interval_div(const struct kp_interval *a, double divisor, struct kp_interval *ret_interval,
                             struct kp_error *err)
{
    if (divisor == 0)
        return kp_fail(err, KP_INVALID, "22012", "division by zero");
    return spill(a->months / divisor, a->days / divisor, (double)a->us / divisor, ret_interval, err);
}

/* ---- justification: 24 hours a day, 30 days a month, one sign ---- */

enum kp_code kp_interval_justify_hours(const struct kp_interval *a, struct kp_interval *ret_interval,
                                       struct kp_error *err)
{
    struct kp_interval result = *a;
    int32_t days = (int32_t)(result.us / KP_DAY_US);
    result.us -= days * KP_DAY_US;
    if (__builtin_add_overflow(result.days, days, &result.days))
        return interval_range(err);
    if (result.days > 0 && result.us < 0) {
        result.us += KP_DAY_US;
        result.days--;
    } else if (result.days < 0 && result.us > 0) {
        result.us -= KP_DAY_US;
        result.days++;
    }
    *ret_interval = result;
    return KP_OK;
}

enum kp_code kp_interval_justify_days(const struct kp_interval *a, struct kp_interval *ret_interval,
                                      struct kp_error *err)
{
    struct kp_interval result = *a;
    int32_t months = result.days / 30;
    result.days -= months * 30;
    if (__builtin_add_overflow(result.months, months, &result.months))
        return interval_range(err);
    if (result.months > 0 && result.days < 0) {
        result.days += 30;
        result.months--;
    } else if (result.months < 0 && result.days > 0) {
        result.days -= 30;
        result.months++;
    }
    *ret_interval = result;
    return KP_OK;
}

enum kp_code kp_interval_justify(const struct kp_interval *a, struct kp_interval *ret_interval, struct kp_error *err)
{
    struct kp_interval result = *a;
    /* days and time of one sign first may overflow the sum below */
    if ((result.days > 0 && result.us > 0) || (result.days < 0 && result.us < 0)) {
        int32_t months = result.days / 30;
        result.days -= months * 30;
        if (__builtin_add_overflow(result.months, months, &result.months))
            return interval_range(err);
    }
    int32_t days = (int32_t)(result.us / KP_DAY_US);
    result.us -= days * KP_DAY_US;
    if (__builtin_add_overflow(result.days, days, &result.days))
        return interval_range(err);
    int32_t months = result.days / 30;
    result.days -= months * 30;
    if (__builtin_add_overflow(result.months, months, &result.months))
        return interval_range(err);
    if (result.months > 0 && (result.days < 0 || (result.days == 0 && result.us < 0))) {
        result.days += 30;
        result.months--;
    } else if (result.months < 0 && (result.days > 0 || (result.days == 0 && result.us > 0))) {
        result.days -= 30;
        result.months++;
    }
    if (result.days > 0 && result.us < 0) {
        result.us += KP_DAY_US;
        result.days--;
    } else if (result.days < 0 && result.us > 0) {
        result.us -= KP_DAY_US;
        result.days++;
    }
    *ret_interval = result;
    return KP_OK;
}

/* ---- units ---- */

enum kp_time_unit kp_time_unit_find(struct kp_str name)
{
    static const struct {
        const char *name;
        enum kp_time_unit unit;
    } units[] = {
        {"microsecond", KP_UNIT_MICROSECOND},
        {"microseconds", KP_UNIT_MICROSECOND},
        {"us", KP_UNIT_MICROSECOND},
        {"usec", KP_UNIT_MICROSECOND},
        {"usecs", KP_UNIT_MICROSECOND},
        {"millisecond", KP_UNIT_MILLISECOND},
        {"milliseconds", KP_UNIT_MILLISECOND},
        {"ms", KP_UNIT_MILLISECOND},
        {"msec", KP_UNIT_MILLISECOND},
        {"msecs", KP_UNIT_MILLISECOND},
        {"second", KP_UNIT_SECOND},
        {"seconds", KP_UNIT_SECOND},
        {"s", KP_UNIT_SECOND},
        {"sec", KP_UNIT_SECOND},
        {"secs", KP_UNIT_SECOND},
        {"minute", KP_UNIT_MINUTE},
        {"minutes", KP_UNIT_MINUTE},
        {"m", KP_UNIT_MINUTE},
        {"min", KP_UNIT_MINUTE},
        {"mins", KP_UNIT_MINUTE},
        {"hour", KP_UNIT_HOUR},
        {"hours", KP_UNIT_HOUR},
        {"h", KP_UNIT_HOUR},
        {"hr", KP_UNIT_HOUR},
        {"hrs", KP_UNIT_HOUR},
        {"day", KP_UNIT_DAY},
        {"days", KP_UNIT_DAY},
        {"d", KP_UNIT_DAY},
        {"week", KP_UNIT_WEEK},
        {"weeks", KP_UNIT_WEEK},
        {"w", KP_UNIT_WEEK},
        {"month", KP_UNIT_MONTH},
        {"months", KP_UNIT_MONTH},
        {"mon", KP_UNIT_MONTH},
        {"mons", KP_UNIT_MONTH},
        {"quarter", KP_UNIT_QUARTER},
        {"qtr", KP_UNIT_QUARTER},
        {"year", KP_UNIT_YEAR},
        {"years", KP_UNIT_YEAR},
        {"y", KP_UNIT_YEAR},
        {"yr", KP_UNIT_YEAR},
        {"yrs", KP_UNIT_YEAR},
        {"decade", KP_UNIT_DECADE},
        {"decades", KP_UNIT_DECADE},
        {"dec", KP_UNIT_DECADE},
        {"decs", KP_UNIT_DECADE},
        {"century", KP_UNIT_CENTURY},
        {"centuries", KP_UNIT_CENTURY},
        {"c", KP_UNIT_CENTURY},
        {"cent", KP_UNIT_CENTURY},
        {"millennium", KP_UNIT_MILLENNIUM},
        {"millennia", KP_UNIT_MILLENNIUM},
        {"mil", KP_UNIT_MILLENNIUM},
        {"mils", KP_UNIT_MILLENNIUM},
        {"dow", KP_UNIT_DOW},
        {"isodow", KP_UNIT_ISODOW},
        {"doy", KP_UNIT_DOY},
        {"isoyear", KP_UNIT_ISOYEAR},
        {"julian", KP_UNIT_JULIAN},
        {"epoch", KP_UNIT_EPOCH},
        {"timezone", KP_UNIT_TIMEZONE},
        {"timezone_hour", KP_UNIT_TIMEZONE_HOUR},
        {"timezone_h", KP_UNIT_TIMEZONE_HOUR},
        {"timezone_minute", KP_UNIT_TIMEZONE_MINUTE},
        {"timezone_m", KP_UNIT_TIMEZONE_MINUTE},
    };
    for (size_t i = 0; i < KP_COUNT(units); i++)
        if (strlen(units[i].name) == name.len && strncasecmp(units[i].name, name.ptr, name.len) == 0)
            return units[i].unit;
    return KP_UNIT_NONE;
}
