/* Operators, casts and constructors of dates, times, timestamps and intervals. */
#include <math.h>

#include "vec/datetime.h"
#include "vec/fn.h"

static void timestamp_range(struct kp_call *call, const struct kp_vec *out, uint32_t row)
{
    fn_fail_text(call, out, row, "22008", "timestamp out of range");
}

/* ---- timestamp ± interval: a constant interval of plain time is one checked addition ---- */

static void shift(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out, unsigned interval_at,
                  bool subtract, const struct kp_zone *zone)
{
    const struct kp_vec *times = args[1 - interval_at], *intervals = args[interval_at];
    const int64_t *from = times->data;
    const struct kp_interval *by = intervals->data;
    size_t stride = KP_STRIDE(times), by_stride = KP_STRIDE(intervals);
    int64_t *to = out->data;
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_interval interval = by[i * by_stride];
        int64_t us = from[i * stride], sum;
        struct kp_error err;
        if (subtract) {
            struct kp_interval negative;
            if (kp_interval_negate(&interval, &negative, &err) != KP_OK) {
                fn_fail(call, out, i, &err);
                to[i] = 0;
                continue;
            }
            interval = negative;
        }
        bool plain = (interval.months | interval.days) == 0 && kp_timestamp_is_finite(us);
        if (plain && !__builtin_add_overflow(us, interval.us, &sum) && kp_timestamp_in_range(sum)) {
            to[i] = sum;
        } else if (kp_timestamp_add(us, &interval, zone, &to[i], &err) != KP_OK) {
            to[i] = 0;
            fn_fail(call, out, i, &err);
        }
    }
}

#define SHIFT_KERNEL(name, interval_at, subtract, zone)                                                                \
    static void name(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)                       \
    {                                                                                                                  \
        shift(call, args, out, interval_at, subtract, zone);                                                           \
    }
SHIFT_KERNEL(timestamp_plus_interval, 1, false, NULL)
SHIFT_KERNEL(interval_plus_timestamp, 0, false, NULL)
SHIFT_KERNEL(timestamp_minus_interval, 1, true, NULL)
SHIFT_KERNEL(timestamptz_plus_interval, 1, false, fn_zone(call))
SHIFT_KERNEL(interval_plus_timestamptz, 0, false, fn_zone(call))
SHIFT_KERNEL(timestamptz_minus_interval, 1, true, fn_zone(call))

static void timestamp_minus_timestamp(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_interval *to = out->data;
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_error err;
        to[i] = (struct kp_interval){0, 0, 0};
        if (kp_timestamp_sub(FN_AT(int64_t, 0, i), FN_AT(int64_t, 1, i), &to[i], &err) != KP_OK)
            fn_fail(call, out, i, &err);
    }
}

/* ---- dates ---- */

static bool date_to_timestamp(int32_t date, int64_t *ret_us)
{
    if (!kp_date_is_finite(date)) {
        *ret_us = date < 0 ? KP_TIMESTAMP_NEG_INFINITY : KP_TIMESTAMP_INFINITY;
        return true;
    }
    *ret_us = 0;
    int64_t us;
    if (__builtin_mul_overflow((int64_t)date, KP_DAY_US, &us) || !kp_timestamp_in_range(us))
        return false;
    *ret_us = us;
    return true;
}

static int32_t timestamp_to_date(int64_t us)
{
    if (!kp_timestamp_is_finite(us))
        return us < 0 ? KP_DATE_NEG_INFINITY : KP_DATE_INFINITY;
    return (int32_t)kp_floor_div(us, KP_DAY_US);
}

static int32_t shift_date(struct kp_call *call, const struct kp_vec *out, uint32_t row, int32_t date, int64_t days)
{
    if (!kp_date_is_finite(date))
        return date;
    int64_t sum = date + days;
    if (sum >= KP_DATE_MIN && sum < KP_DATE_END)
        return (int32_t)sum;
    fn_fail_text(call, out, row, "22008", "date out of range");
    return 0;
}

static void date_plus_int(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    for (uint32_t i = 0; i < call->rows; i++)
        ((int32_t *)out->data)[i] = shift_date(call, out, i, FN_AT(int32_t, 0, i), FN_AT(int32_t, 1, i));
}
static void int_plus_date(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    for (uint32_t i = 0; i < call->rows; i++)
        ((int32_t *)out->data)[i] = shift_date(call, out, i, FN_AT(int32_t, 1, i), FN_AT(int32_t, 0, i));
}
static void date_minus_int(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    for (uint32_t i = 0; i < call->rows; i++)
        ((int32_t *)out->data)[i] = shift_date(call, out, i, FN_AT(int32_t, 0, i), -(int64_t)FN_AT(int32_t, 1, i));
}

static void date_minus_date(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        int32_t a = FN_AT(int32_t, 0, i), b = FN_AT(int32_t, 1, i);
        bool finite = kp_date_is_finite(a) && kp_date_is_finite(b);
        ((int32_t *)out->data)[i] = finite ? (int32_t)((int64_t)a - b) : 0;
        if (!finite)
            fn_fail_text(call, out, i, "22008", "cannot subtract infinite dates");
    }
}

static void date_shift(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out, unsigned date_at,
                       bool subtract)
{
    int64_t *to = out->data;
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_interval interval = FN_AT(struct kp_interval, 1 - date_at, i);
        struct kp_error err;
        int64_t us;
        to[i] = 0;
        if (!date_to_timestamp(FN_AT(int32_t, date_at, i), &us)) {
            fn_fail_text(call, out, i, "22008", "date out of range for timestamp");
            continue;
        }
        struct kp_interval by = interval;
        if ((subtract && kp_interval_negate(&interval, &by, &err) != KP_OK) ||
            kp_timestamp_add(us, &by, NULL, &to[i], &err) != KP_OK)
            fn_fail(call, out, i, &err);
    }
}
static void date_plus_interval(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    date_shift(call, args, out, 0, false);
}
static void interval_plus_date(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    date_shift(call, args, out, 1, false);
}
static void date_minus_interval(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    date_shift(call, args, out, 0, true);
}

static void date_at_time(struct kp_call *call, const struct kp_vec *out, uint32_t row, int32_t date, int64_t time)
{
    int64_t us;
    bool good = date_to_timestamp(date, &us);
    if (good && kp_date_is_finite(date))
        good = !__builtin_add_overflow(us, time, &us) && kp_timestamp_in_range(us);
    ((int64_t *)out->data)[row] = good ? us : 0;
    if (!good)
        timestamp_range(call, out, row);
}
static void date_plus_time(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    for (uint32_t i = 0; i < call->rows; i++)
        date_at_time(call, out, i, FN_AT(int32_t, 0, i), FN_AT(int64_t, 1, i));
}
static void time_plus_date(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    for (uint32_t i = 0; i < call->rows; i++)
        date_at_time(call, out, i, FN_AT(int32_t, 1, i), FN_AT(int64_t, 0, i));
}

/* timestamptz(date, time): in the session's zone. */
static void local_date_at_time(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    int64_t *to = out->data;
    for (uint32_t i = 0; i < call->rows; i++) {
        date_at_time(call, out, i, FN_AT(int32_t, 0, i), FN_AT(int64_t, 1, i));
        if (!kp_timestamp_to_utc(to[i], fn_zone(call), &to[i]))
            timestamp_range(call, out, i);
    }
}

/* ---- time of day ---- */

static int64_t wrap_day(int64_t us)
{
    int64_t rest = us % KP_DAY_US;
    return rest < 0 ? rest + KP_DAY_US : rest;
}

static void time_plus_interval(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    for (uint32_t i = 0; i < call->rows; i++)
        ((int64_t *)out->data)[i] = wrap_day(FN_AT(int64_t, 0, i) + FN_AT(struct kp_interval, 1, i).us % KP_DAY_US);
}
static void interval_plus_time(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    for (uint32_t i = 0; i < call->rows; i++)
        ((int64_t *)out->data)[i] = wrap_day(FN_AT(int64_t, 1, i) + FN_AT(struct kp_interval, 0, i).us % KP_DAY_US);
}
static void time_minus_interval(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    for (uint32_t i = 0; i < call->rows; i++)
        ((int64_t *)out->data)[i] = wrap_day(FN_AT(int64_t, 0, i) - FN_AT(struct kp_interval, 1, i).us % KP_DAY_US);
}
static void time_minus_time(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    for (uint32_t i = 0; i < call->rows; i++)
        ((struct kp_interval *)out->data)[i] = (struct kp_interval){FN_AT(int64_t, 0, i) - FN_AT(int64_t, 1, i), 0, 0};
}

/* ---- intervals ---- */

#define INTERVAL_BINARY(name, type_b, function, argument_b)                                                            \
    static void name(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)                       \
    {                                                                                                                  \
        struct kp_interval *to = out->data;                                                                            \
        for (uint32_t i = 0; i < call->rows; i++) {                                                                    \
            struct kp_interval a = FN_AT(struct kp_interval, 0, i);                                                    \
            type_b b = FN_AT(type_b, 1, i);                                                                            \
            struct kp_error err;                                                                                       \
            to[i] = (struct kp_interval){0, 0, 0};                                                                     \
            if (function(&a, argument_b, &to[i], &err) != KP_OK)                                                       \
                fn_fail(call, out, i, &err);                                                                           \
        }                                                                                                              \
    }
INTERVAL_BINARY(interval_plus_interval, struct kp_interval, kp_interval_add, &b)
INTERVAL_BINARY(interval_minus_interval, struct kp_interval, kp_interval_sub, &b)
INTERVAL_BINARY(interval_times, double, kp_interval_mul, b)
INTERVAL_BINARY(interval_over, double, kp_interval_div, b)

static void times_interval(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    const struct kp_vec *const swapped[] = {args[1], args[0]};
    interval_times(call, swapped, out);
}

#define INTERVAL_UNARY(name, function)                                                                                 \
    static void name(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)                       \
    {                                                                                                                  \
        struct kp_interval *to = out->data;                                                                            \
        for (uint32_t i = 0; i < call->rows; i++) {                                                                    \
            struct kp_interval a = FN_AT(struct kp_interval, 0, i);                                                    \
            struct kp_error err;                                                                                       \
            to[i] = (struct kp_interval){0, 0, 0};                                                                     \
            if (function(&a, &to[i], &err) != KP_OK)                                                                   \
                fn_fail(call, out, i, &err);                                                                           \
        }                                                                                                              \
    }
INTERVAL_UNARY(interval_minus, kp_interval_negate)
INTERVAL_UNARY(justify_hours, kp_interval_justify_hours)
INTERVAL_UNARY(justify_days, kp_interval_justify_days)
INTERVAL_UNARY(justify_interval, kp_interval_justify)

static void age_in(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out,
                   const struct kp_zone *zone)
{
    struct kp_interval *to = out->data;
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_error err;
        to[i] = (struct kp_interval){0, 0, 0};
        if (kp_timestamp_age(FN_AT(int64_t, 0, i), FN_AT(int64_t, 1, i), zone, &to[i], &err) != KP_OK)
            fn_fail(call, out, i, &err);
    }
}
static void age_timestamp(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    age_in(call, args, out, NULL);
}
static void age_timestamptz(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    age_in(call, args, out, fn_zone(call));
}

/* ---- casts ---- */

static void date_timestamp(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    for (uint32_t i = 0; i < call->rows; i++)
        if (!date_to_timestamp(FN_AT(int32_t, 0, i), &((int64_t *)out->data)[i]))
            fn_fail_text(call, out, i, "22008", "date out of range for timestamp");
}

static void date_timestamptz(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    int64_t *to = out->data;
    for (uint32_t i = 0; i < call->rows; i++)
        if (!date_to_timestamp(FN_AT(int32_t, 0, i), &to[i]) || !kp_timestamp_to_utc(to[i], fn_zone(call), &to[i]))
            fn_fail_text(call, out, i, "22008", "date out of range for timestamp");
}

static void timestamp_date(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    FN_UNARY_LOOP(int64_t, int32_t, timestamp_to_date(x));
}

static void timestamp_time(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    bool owned = false;
    for (uint32_t i = 0; i < call->rows; i++) {
        int64_t us = FN_AT(int64_t, 0, i);
        if (!kp_timestamp_is_finite(us))
            fn_set_null(call, out, i, &owned);
        ((int64_t *)out->data)[i] = wrap_day(us);
    }
}

static void timestamp_timestamptz(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    int64_t *to = out->data;
    for (uint32_t i = 0; i < call->rows; i++) {
        to[i] = 0;
        if (!kp_timestamp_to_utc(FN_AT(int64_t, 0, i), fn_zone(call), &to[i]))
            timestamp_range(call, out, i);
    }
}

static void timestamptz_timestamp(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    int64_t *to = out->data;
    for (uint32_t i = 0; i < call->rows; i++) {
        to[i] = 0;
        if (!kp_timestamp_to_local(FN_AT(int64_t, 0, i), fn_zone(call), &to[i]))
            timestamp_range(call, out, i);
    }
}

static void timestamptz_date(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        int64_t local = 0;
        if (!kp_timestamp_to_local(FN_AT(int64_t, 0, i), fn_zone(call), &local))
            timestamp_range(call, out, i);
        ((int32_t *)out->data)[i] = timestamp_to_date(local);
    }
}

static void timestamptz_time(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    bool owned = false;
    for (uint32_t i = 0; i < call->rows; i++) {
        int64_t us = FN_AT(int64_t, 0, i), local = 0;
        if (!kp_timestamp_is_finite(us))
            fn_set_null(call, out, i, &owned);
        else if (!kp_timestamp_to_local(us, fn_zone(call), &local))
            timestamp_range(call, out, i);
        ((int64_t *)out->data)[i] = wrap_day(local);
    }
}

static void time_interval(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    for (uint32_t i = 0; i < call->rows; i++)
        ((struct kp_interval *)out->data)[i] = (struct kp_interval){FN_AT(int64_t, 0, i), 0, 0};
}

static void interval_time(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    FN_UNARY_LOOP(struct kp_interval, int64_t, wrap_day(x.us));
}

/* Length coercions: precision of seconds, fields of intervals. */
static void round_moment(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    int64_t *to = out->data;
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_error err;
        to[i] = 0;
        if (kp_timestamp_apply_mod(FN_AT(int64_t, 0, i), call->type.mod, &to[i], &err) != KP_OK)
            fn_fail(call, out, i, &err);
    }
}

static void round_time(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    int precision = call->type.mod >= 0 ? call->type.mod : 6;
    FN_UNARY_LOOP(int64_t, int64_t, kp_us_round(x, precision));
}

static void round_interval(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_interval *to = out->data;
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_error err;
        to[i] = FN_AT(struct kp_interval, 0, i);
        if (kp_interval_apply_mod(&to[i], call->type.mod, &err) != KP_OK)
            fn_fail(call, out, i, &err);
    }
}

/* ---- constructors ---- */

/* A civil date with PostgreSQL's reading of years: negative ones are BC, there is no year 0. */
static bool civil_date(int32_t year, int32_t month, int32_t day, struct kp_civil *ret_civil)
{
    if (year == 0 || month < 1 || month > 12 || day < 1 || year > 6000000 || year < -10000)
        return false;
    if (year < 0)
        year++;
    if (day > kp_month_days(year, month))
        return false;
    *ret_civil = (struct kp_civil){.year = year, .month = month, .day = day};
    return true;
}

static void make_date(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        int32_t year = FN_AT(int32_t, 0, i), month = FN_AT(int32_t, 1, i), day = FN_AT(int32_t, 2, i);
        struct kp_civil civil;
        int64_t days = 0;
        bool good = civil_date(year, month, day, &civil);
        if (good)
            days = kp_days_from_civil(civil.year, civil.month, civil.day);
        if (!kp_vec_is_null(out, i) && !good)
            kp_call_fail(call, i, "22008", "date field value out of range: %d-%02d-%02d", year, month, day);
        else if (days < KP_DATE_MIN || days >= KP_DATE_END)
            fn_fail_text(call, out, i, "22008", "date out of range");
        ((int32_t *)out->data)[i] = (int32_t)days;
    }
}

static bool clock_us(int32_t hour, int32_t minute, double seconds, int64_t *ret_us)
{
    if (isnan(seconds) || hour < 0 || minute < 0 || minute > 59 || seconds < 0 || seconds > 60 || hour > 24 ||
        (hour == 24 && (minute > 0 || seconds > 0)))
        return false;
    *ret_us = hour * KP_HOUR_US + minute * KP_MINUTE_US + (int64_t)rint(seconds * 1000000);
    return true;
}

static void make_time(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        int32_t hour = FN_AT(int32_t, 0, i), minute = FN_AT(int32_t, 1, i);
        double seconds = FN_AT(double, 2, i);
        int64_t us = 0;
        if (!clock_us(hour, minute, seconds, &us) && !kp_vec_is_null(out, i))
            kp_call_fail(call, i, "22008", "time field value out of range: %d:%02d:%02g", hour, minute, seconds);
        ((int64_t *)out->data)[i] = us;
    }
}

/* The zone that a constructor names: +5 and -03:30 are east of UTC here, not POSIX's. */
static enum kp_code named_zone(struct kp_call *call, struct kp_str name, const struct kp_zone **ret_zone,
                               int64_t *ret_offset_us, struct kp_error *err)
{
    int64_t us;
    *ret_offset_us = 0;
    if (name.len && name.ptr[0] >= '0' && name.ptr[0] <= '9')
        return kp_fail(err, KP_INVALID, "22023", "invalid input syntax for type numeric time zone: \"%.*s\"",
                       (int)name.len, name.ptr);
    if (!name.len || (name.ptr[0] != '+' && name.ptr[0] != '-'))
        return kp_zone_find(name, ret_zone, err);
    const char *midnight = kp_arena_printf(call->arena, "2000-01-01 00:00:00%.*s", (int)name.len, name.ptr);
    if (kp_timestamptz_parse(kp_str(midnight), -1, kp_zone_utc(), &us, err) != KP_OK)
        return kp_fail(err, KP_INVALID, "22023", "time zone \"%.*s\" not recognized", (int)name.len, name.ptr);
    *ret_zone = kp_zone_utc();
    *ret_offset_us = -us;
    return KP_OK;
}

/* local: in the zone, which is that of the seventh argument if there is one. */
static void make_moment(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out, bool local,
                        const struct kp_zone *zone)
{
    int64_t *to = out->data;
    for (uint32_t i = 0; i < call->rows; i++) {
        int32_t year = FN_AT(int32_t, 0, i), month = FN_AT(int32_t, 1, i), day = FN_AT(int32_t, 2, i);
        int32_t hour = FN_AT(int32_t, 3, i), minute = FN_AT(int32_t, 4, i);
        double seconds = FN_AT(double, 5, i);
        struct kp_civil civil;
        int64_t us = 0, clock = 0;
        to[i] = 0;
        if (kp_vec_is_null(out, i))
            continue;
        struct kp_error err;
        int64_t offset_us = 0;
        if (!civil_date(year, month, day, &civil)) {
            kp_call_fail(call, i, "22008", "date field value out of range: %d-%02d-%02d", year, month, day);
        } else if (!clock_us(hour, minute, seconds, &clock)) {
            kp_call_fail(call, i, "22008", "time field value out of range: %d:%02d:%02g", hour, minute, seconds);
        } else if (call->arg_count == 7 &&
                   named_zone(call, kp_text_str(&FN_AT(struct kp_text, 6, i)), &zone, &offset_us, &err) != KP_OK) {
            fn_fail(call, out, i, &err);
        } else if (!kp_timestamp_from_civil(&civil, &us) || !kp_timestamp_in_range(us + clock) ||
                   (local && !kp_timestamp_to_utc(us + clock, zone, &us))) {
            timestamp_range(call, out, i);
        } else {
            to[i] = local ? us - offset_us : us + clock;
        }
    }
}
static void make_timestamp(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    make_moment(call, args, out, false, NULL);
}
static void make_timestamptz(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    make_moment(call, args, out, true, fn_zone(call));
}

static void to_timestamp(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    int64_t *to = out->data;
    for (uint32_t i = 0; i < call->rows; i++) {
        double seconds = FN_AT(double, 0, i);
        to[i] = 0;
        if (isnan(seconds)) {
            fn_fail_text(call, out, i, "22008", "timestamp cannot be NaN");
        } else if (isinf(seconds)) {
            to[i] = seconds < 0 ? KP_TIMESTAMP_NEG_INFINITY : KP_TIMESTAMP_INFINITY;
        } else if (seconds < -210866803200.0 || seconds >= 9224318016000.0) {
            if (!kp_vec_is_null(out, i))
                kp_call_fail(call, i, "22008", "timestamp out of range: \"%g\"", seconds);
        } else {
            to[i] = (int64_t)rint((seconds - 946684800.0) * 1000000);
        }
    }
}

/* ---- AT TIME ZONE ---- */

static bool row_zone(struct kp_call *call, const struct kp_vec *const *args, const struct kp_vec *out, uint32_t row,
                     const struct kp_zone **zone)
{
    struct kp_error err;
    if (args[0]->constant && *zone)
        return true;
    if (kp_vec_is_null(out, row))
        return false;
    if (kp_zone_find(kp_text_str(&FN_AT(struct kp_text, 0, row)), zone, &err) == KP_OK)
        return true;
    fn_fail(call, out, row, &err);
    return false;
}

static void at_zone_of_local(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    const struct kp_zone *zone = NULL;
    int64_t *to = out->data;
    for (uint32_t i = 0; i < call->rows; i++) {
        to[i] = FN_AT(int64_t, 1, i);
        if (kp_timestamp_is_finite(to[i]) && row_zone(call, args, out, i, &zone) &&
            !kp_timestamp_to_utc(FN_AT(int64_t, 1, i), zone, &to[i]))
            timestamp_range(call, out, i);
    }
}

static void at_zone_of_utc(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    const struct kp_zone *zone = NULL;
    int64_t *to = out->data;
    for (uint32_t i = 0; i < call->rows; i++) {
        to[i] = FN_AT(int64_t, 1, i);
        if (kp_timestamp_is_finite(to[i]) && row_zone(call, args, out, i, &zone) &&
            !kp_timestamp_to_local(FN_AT(int64_t, 1, i), zone, &to[i]))
            timestamp_range(call, out, i);
    }
}

/* AT TIME ZONE INTERVAL '-05:00': east of UTC. */
static void at_offset(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    int64_t *to = out->data;
    int sign = args[1]->type.id == KP_TIMESTAMPTZ ? 1 : -1;
    for (uint32_t i = 0; i < call->rows; i++) {
        const struct kp_interval offset = FN_AT(struct kp_interval, 0, i);
        to[i] = FN_AT(int64_t, 1, i);
        if (kp_vec_is_null(out, i) || !kp_timestamp_is_finite(to[i]))
            continue;
        if (offset.months || offset.days) {
            struct kp_buf text = {0};
            kp_interval_print(&offset, &text);
            kp_call_fail(call, i, "22023", "interval time zone \"%.*s\" must not include months or days", (int)text.len,
                         (const char *)text.data);
            kp_buf_finish(&text);
        } else if (__builtin_add_overflow(to[i], sign * (offset.us / KP_SECOND_US) * KP_SECOND_US, &to[i]) ||
                   !kp_timestamp_in_range(to[i])) {
            timestamp_range(call, out, i);
        }
    }
}

static void is_finite_interval(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    (void)args;
    memset(out->data, 1, call->rows); /* all are */
}

static void is_finite_timestamp(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    FN_UNARY_LOOP(int64_t, uint8_t, kp_timestamp_is_finite(x));
}
static void is_finite_date(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    FN_UNARY_LOOP(int32_t, uint8_t, kp_date_is_finite(x));
}

#define FAIL       (KP_STRICT | KP_CAN_FAIL)
#define IMPLICIT   (KP_STRICT | KP_CAST_IMPLICIT | KP_CAST_ASSIGNMENT)
#define ASSIGNMENT (KP_STRICT | KP_CAST_ASSIGNMENT)
#define OPERATOR(symbol, flags, a, b, ret, kernel, doc)                                                                \
    FN_BINARY(symbol, KP_FUNC_OPERATOR, flags, a, b, ret, kernel, doc)
#define FUNCTION1(name, flags, a, ret, kernel, doc)    FN_UNARY(name, KP_FUNC_FUNCTION, flags, a, ret, kernel, doc)
#define FUNCTION2(name, flags, a, b, ret, kernel, doc) FN_BINARY(name, KP_FUNC_FUNCTION, flags, a, b, ret, kernel, doc)
#define CAST(target, flags, from, to, kernel, doc)     FN_UNARY(target, KP_FUNC_CAST, flags, from, to, kernel, doc)

static const struct kp_func funcs[] = {
    OPERATOR("+", FAIL | KP_MONOTONE, KP_TIMESTAMP, KP_INTERVAL, KP_TIMESTAMP, timestamp_plus_interval, "later"),
    OPERATOR("+", FAIL, KP_INTERVAL, KP_TIMESTAMP, KP_TIMESTAMP, interval_plus_timestamp, "later"),
    OPERATOR("-", FAIL | KP_MONOTONE, KP_TIMESTAMP, KP_INTERVAL, KP_TIMESTAMP, timestamp_minus_interval, "earlier"),
    OPERATOR("-", FAIL | KP_MONOTONE, KP_TIMESTAMP, KP_TIMESTAMP, KP_INTERVAL, timestamp_minus_timestamp,
             "time between"),
    OPERATOR("+", FAIL | KP_STABLE | KP_MONOTONE, KP_TIMESTAMPTZ, KP_INTERVAL, KP_TIMESTAMPTZ,
             timestamptz_plus_interval, "later"),
    OPERATOR("+", FAIL | KP_STABLE, KP_INTERVAL, KP_TIMESTAMPTZ, KP_TIMESTAMPTZ, interval_plus_timestamptz, "later"),
    OPERATOR("-", FAIL | KP_STABLE | KP_MONOTONE, KP_TIMESTAMPTZ, KP_INTERVAL, KP_TIMESTAMPTZ,
             timestamptz_minus_interval, "earlier"),
    OPERATOR("-", FAIL | KP_MONOTONE, KP_TIMESTAMPTZ, KP_TIMESTAMPTZ, KP_INTERVAL, timestamp_minus_timestamp,
             "time between"),
    OPERATOR("+", FAIL | KP_MONOTONE, KP_DATE, KP_INT4, KP_DATE, date_plus_int, "days later"),
    OPERATOR("+", FAIL, KP_INT4, KP_DATE, KP_DATE, int_plus_date, "days later"),
    OPERATOR("-", FAIL | KP_MONOTONE, KP_DATE, KP_INT4, KP_DATE, date_minus_int, "days earlier"),
    OPERATOR("-", FAIL | KP_MONOTONE, KP_DATE, KP_DATE, KP_INT4, date_minus_date, "days between"),
    OPERATOR("+", FAIL | KP_MONOTONE, KP_DATE, KP_INTERVAL, KP_TIMESTAMP, date_plus_interval, "later"),
    OPERATOR("+", FAIL, KP_INTERVAL, KP_DATE, KP_TIMESTAMP, interval_plus_date, "later"),
    OPERATOR("-", FAIL | KP_MONOTONE, KP_DATE, KP_INTERVAL, KP_TIMESTAMP, date_minus_interval, "earlier"),
    OPERATOR("+", FAIL, KP_DATE, KP_TIME, KP_TIMESTAMP, date_plus_time, "that day at that time"),
    OPERATOR("+", FAIL, KP_TIME, KP_DATE, KP_TIMESTAMP, time_plus_date, "that day at that time"),
    OPERATOR("+", KP_STRICT, KP_TIME, KP_INTERVAL, KP_TIME, time_plus_interval, "later, past midnight"),
    OPERATOR("+", KP_STRICT, KP_INTERVAL, KP_TIME, KP_TIME, interval_plus_time, "later, past midnight"),
    OPERATOR("-", KP_STRICT, KP_TIME, KP_INTERVAL, KP_TIME, time_minus_interval, "earlier, past midnight"),
    OPERATOR("-", KP_STRICT, KP_TIME, KP_TIME, KP_INTERVAL, time_minus_time, "time between"),
    OPERATOR("+", FAIL, KP_INTERVAL, KP_INTERVAL, KP_INTERVAL, interval_plus_interval, "sum"),
    OPERATOR("-", FAIL, KP_INTERVAL, KP_INTERVAL, KP_INTERVAL, interval_minus_interval, "difference"),
    OPERATOR("*", FAIL, KP_INTERVAL, KP_FLOAT8, KP_INTERVAL, interval_times, "multiple"),
    OPERATOR("*", FAIL, KP_FLOAT8, KP_INTERVAL, KP_INTERVAL, times_interval, "multiple"),
    OPERATOR("/", FAIL, KP_INTERVAL, KP_FLOAT8, KP_INTERVAL, interval_over, "part"),
    FN_UNARY("-", KP_FUNC_OPERATOR, FAIL, KP_INTERVAL, KP_INTERVAL, interval_minus, "negative"),
    FUNCTION1("justify_hours", FAIL, KP_INTERVAL, KP_INTERVAL, justify_hours, "24 hours become a day"),
    FUNCTION1("justify_days", FAIL, KP_INTERVAL, KP_INTERVAL, justify_days, "30 days become a month"),
    FUNCTION1("justify_interval", FAIL, KP_INTERVAL, KP_INTERVAL, justify_interval, "hours, days, months, one sign"),
    FUNCTION2("age", FAIL, KP_TIMESTAMP, KP_TIMESTAMP, KP_INTERVAL, age_timestamp, "years, months, days between"),
    FUNCTION2("age", FAIL | KP_STABLE, KP_TIMESTAMPTZ, KP_TIMESTAMPTZ, KP_INTERVAL, age_timestamptz,
              "years, months, days between"),
    FUNCTION1("isfinite", KP_STRICT, KP_TIMESTAMP, KP_BOOL, is_finite_timestamp, "not infinity"),
    FUNCTION1("isfinite", KP_STRICT, KP_TIMESTAMPTZ, KP_BOOL, is_finite_timestamp, "not infinity"),
    FUNCTION1("isfinite", KP_STRICT, KP_DATE, KP_BOOL, is_finite_date, "not infinity"),
    FUNCTION1("to_timestamp", FAIL | KP_MONOTONE, KP_FLOAT8, KP_TIMESTAMPTZ, to_timestamp, "of Unix seconds"),
    FUNCTION2("timezone", FAIL, KP_TEXT, KP_TIMESTAMP, KP_TIMESTAMPTZ, at_zone_of_local, "AT TIME ZONE"),
    FUNCTION2("timezone", FAIL, KP_TEXT, KP_TIMESTAMPTZ, KP_TIMESTAMP, at_zone_of_utc, "AT TIME ZONE"),
    FUNCTION2("timezone", FAIL, KP_INTERVAL, KP_TIMESTAMP, KP_TIMESTAMPTZ, at_offset, "AT TIME ZONE"),
    FUNCTION2("timezone", FAIL, KP_INTERVAL, KP_TIMESTAMPTZ, KP_TIMESTAMP, at_offset, "AT TIME ZONE"),
    FUNCTION1("isfinite", KP_STRICT, KP_INTERVAL, KP_BOOL, is_finite_interval, "not infinity"),
    FUNCTION2("timestamp", FAIL, KP_DATE, KP_TIME, KP_TIMESTAMP, date_plus_time, "that day at that time"),
    FUNCTION2("timestamptz", FAIL | KP_STABLE, KP_DATE, KP_TIME, KP_TIMESTAMPTZ, local_date_at_time,
              "that day at that time in the session's zone"),
    {.name = "make_date",
     .kind = KP_FUNC_FUNCTION,
     .flags = FAIL,
     .arg_count = 3,
     .args = {KP_INT4, KP_INT4, KP_INT4},
     .ret = KP_DATE,
     .kernel = make_date,
     .doc = "of year, month, day"},
    {.name = "make_time",
     .kind = KP_FUNC_FUNCTION,
     .flags = FAIL,
     .arg_count = 3,
     .args = {KP_INT4, KP_INT4, KP_FLOAT8},
     .ret = KP_TIME,
     .kernel = make_time,
     .doc = "of hour, minute, second"},
    {.name = "make_timestamp",
     .kind = KP_FUNC_FUNCTION,
     .flags = FAIL,
     .arg_count = 6,
     .args = {KP_INT4, KP_INT4, KP_INT4, KP_INT4, KP_INT4, KP_FLOAT8},
     .ret = KP_TIMESTAMP,
     .kernel = make_timestamp,
     .doc = "of year, month, day, hour, minute, second"},
    {.name = "make_timestamptz",
     .kind = KP_FUNC_FUNCTION,
     .flags = FAIL | KP_STABLE,
     .arg_count = 6,
     .args = {KP_INT4, KP_INT4, KP_INT4, KP_INT4, KP_INT4, KP_FLOAT8},
     .ret = KP_TIMESTAMPTZ,
     .kernel = make_timestamptz,
     .doc = "of year, month, day, hour, minute, second"},
    {.name = "make_timestamptz",
     .kind = KP_FUNC_FUNCTION,
     .flags = FAIL,
     .arg_count = 7,
     .args = {KP_INT4, KP_INT4, KP_INT4, KP_INT4, KP_INT4, KP_FLOAT8, KP_TEXT},
     .ret = KP_TIMESTAMPTZ,
     .kernel = make_timestamptz,
     .doc = "of year, month, day, hour, minute, second in a zone"},
    CAST("timestamp", IMPLICIT | KP_CAN_FAIL | KP_MONOTONE, KP_DATE, KP_TIMESTAMP, date_timestamp, "midnight"),
    CAST("timestamptz", IMPLICIT | KP_CAN_FAIL | KP_STABLE | KP_MONOTONE, KP_DATE, KP_TIMESTAMPTZ, date_timestamptz,
         "midnight in the session's zone"),
    CAST("date", ASSIGNMENT | KP_MONOTONE, KP_TIMESTAMP, KP_DATE, timestamp_date, "its day"),
    CAST("time", ASSIGNMENT, KP_TIMESTAMP, KP_TIME, timestamp_time, "its time of day"),
    CAST("timestamptz", IMPLICIT | KP_CAN_FAIL | KP_STABLE | KP_MONOTONE, KP_TIMESTAMP, KP_TIMESTAMPTZ,
         timestamp_timestamptz, "in the session's zone"),
    CAST("date", ASSIGNMENT | KP_CAN_FAIL | KP_STABLE | KP_MONOTONE, KP_TIMESTAMPTZ, KP_DATE, timestamptz_date,
         "its day in the session's zone"),
    CAST("time", ASSIGNMENT | KP_CAN_FAIL | KP_STABLE, KP_TIMESTAMPTZ, KP_TIME, timestamptz_time,
         "its time of day in the session's zone"),
    CAST("timestamp", ASSIGNMENT | KP_CAN_FAIL | KP_STABLE | KP_MONOTONE, KP_TIMESTAMPTZ, KP_TIMESTAMP,
         timestamptz_timestamp, "in the session's zone"),
    CAST("interval", IMPLICIT, KP_TIME, KP_INTERVAL, time_interval, "since midnight"),
    CAST("time", ASSIGNMENT, KP_INTERVAL, KP_TIME, interval_time, "its time, within a day"),
    CAST("timestamp", IMPLICIT | KP_CAN_FAIL, KP_TIMESTAMP, KP_TIMESTAMP, round_moment, "rounded"),
    CAST("timestamptz", IMPLICIT | KP_CAN_FAIL, KP_TIMESTAMPTZ, KP_TIMESTAMPTZ, round_moment, "rounded"),
    CAST("time", IMPLICIT, KP_TIME, KP_TIME, round_time, "rounded"),
    CAST("interval", IMPLICIT | KP_CAN_FAIL, KP_INTERVAL, KP_INTERVAL, round_interval, "rounded, cut to fields"),
};
KP_FUNCTIONS(datetime, funcs);
