/*
 * time with time zone: arithmetic, casts, AT TIME ZONE, OVERLAPS. A value keeps the zone that it was told in; only the
 * instant and then the zone order it (kp_timetz_key).
 *
 * What a time without zone means in the session's depends on the day where a zone has changed its offset: a cast takes
 * that of now()'s day, as PostgreSQL does, and is refused in views. AT TIME ZONE takes the offset of now() and is
 * volatile, as PostgreSQL has it.
 */
#include "vec/datetime.h"
#include "vec/fn.h"

static const char *const too_far = "time zone displacement out of range";

static int64_t wrap_day(int64_t us)
{
    int64_t rest = us % KP_DAY_US;
    return rest < 0 ? rest + KP_DAY_US : rest;
}

static void shift(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out, unsigned time_at,
                  int sign)
{
    struct kp_timetz *to = out->data;
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_timetz value = FN_AT(struct kp_timetz, time_at, i);
        value.us =
            wrap_day(value.us % (2 * KP_DAY_US) + sign * (FN_AT(struct kp_interval, 1 - time_at, i).us % KP_DAY_US));
        to[i] = value;
    }
}
static void timetz_plus_interval(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    shift(call, args, out, 0, 1);
}
static void interval_plus_timetz(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    shift(call, args, out, 1, 1);
}
static void timetz_minus_interval(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    shift(call, args, out, 0, -1);
}

static void day_at(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out, unsigned date_at)
{
    int64_t *to = out->data;
    for (uint32_t i = 0; i < call->rows; i++) {
        int32_t date = FN_AT(int32_t, date_at, i);
        const struct kp_timetz time = FN_AT(struct kp_timetz, 1 - date_at, i);
        int64_t us;
        to[i] = date < 0 ? KP_TIMESTAMP_NEG_INFINITY : KP_TIMESTAMP_INFINITY;
        if (!kp_date_is_finite(date))
            continue;
        if (__builtin_mul_overflow((int64_t)date, KP_DAY_US, &us) ||
            __builtin_add_overflow(us, time.us % (2 * KP_DAY_US) + time.west_s * KP_SECOND_US, &us) ||
            !kp_timestamp_in_range(us)) {
            us = 0;
            fn_fail_text(call, out, i, "22008", "date out of range for timestamp");
        }
        to[i] = us;
    }
}
static void date_plus_timetz(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    day_at(call, args, out, 0);
}
static void timetz_plus_date(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    day_at(call, args, out, 1);
}

/* ---- casts ---- */

static void timetz_time(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    FN_UNARY_LOOP(struct kp_timetz, int64_t, x.us);
}

static void time_timetz(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    const struct kp_zone *zone = fn_zone(call);
    bool fixed = kp_zone_is_fixed(zone), known = fixed || (call->settings && call->settings->facts);
    int64_t today_us = 0;
    if (!fixed && known && kp_timestamp_to_local(call->settings->now_us, zone, &today_us))
        today_us = kp_floor_div(today_us, KP_DAY_US) * KP_DAY_US;
    for (uint32_t i = 0; i < call->rows; i++) {
        int64_t us = FN_AT(int64_t, 0, i);
        int32_t west_s = known ? -kp_zone_offset_of_local(zone, today_us + us % (2 * KP_DAY_US)) : 0;
        bool fits = kp_zone_seconds_fit(west_s);
        ((struct kp_timetz *)out->data)[i] = (struct kp_timetz){us, fits ? west_s : 0, 0};
        if (!fits && !kp_vec_is_null(out, i))
            kp_call_fail(call, i, "22009", "%s", too_far);
        else if (!known && !kp_vec_is_null(out, i))
            kp_call_fail(call, i, "0A000", "the offset of a time in time zone \"%s\" depends on the day",
                         kp_zone_name(zone));
    }
}

static void timestamptz_timetz(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    bool owned = false;
    for (uint32_t i = 0; i < call->rows; i++) {
        int64_t us = FN_AT(int64_t, 0, i);
        int32_t offset = kp_timestamp_is_finite(us) ? kp_zone_offset_at(fn_zone(call), us, NULL) : 0;
        if (!kp_timestamp_is_finite(us))
            fn_set_null(call, out, i, &owned);
        if (!kp_zone_seconds_fit(offset) && !kp_vec_is_null(out, i))
            kp_call_fail(call, i, "22009", "%s", too_far);
        offset = kp_zone_seconds_fit(offset) ? offset : 0;
        ((struct kp_timetz *)out->data)[i] =
            (struct kp_timetz){wrap_day(us % KP_DAY_US + offset * KP_SECOND_US), -offset, 0};
    }
}

static void round_timetz(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    int precision = call->type.mod >= 0 ? call->type.mod : 6;
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_timetz value = FN_AT(struct kp_timetz, 0, i);
        value.us = kp_us_round(value.us, precision);
        ((struct kp_timetz *)out->data)[i] = value;
    }
}

/* ---- AT TIME ZONE ---- */

static struct kp_timetz moved(struct kp_timetz value, int32_t west_s)
{
    int64_t us = value.us + (value.west_s - west_s) * KP_SECOND_US;
    return (struct kp_timetz){wrap_day(us), west_s, 0};
}

static void at_zone(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    const struct kp_zone *zone;
    int64_t now_us = call->settings ? call->settings->now_us : 0;
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_error err;
        struct kp_timetz *to = (struct kp_timetz *)out->data + i;
        *to = (struct kp_timetz){0, 0, 0};
        if (kp_vec_is_null(out, i))
            continue;
        if (kp_zone_find(kp_text_str(&FN_AT(struct kp_text, 0, i)), &zone, &err) != KP_OK) {
            fn_fail(call, out, i, &err);
            continue;
        }
        int32_t offset = kp_zone_offset_at(zone, now_us, NULL);
        if (kp_zone_seconds_fit(offset))
            *to = moved(FN_AT(struct kp_timetz, 1, i), -offset);
        else
            kp_call_fail(call, i, "22009", "%s", too_far);
    }
}

static void at_offset(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        const struct kp_interval offset = FN_AT(struct kp_interval, 0, i);
        struct kp_timetz *to = (struct kp_timetz *)out->data + i;
        int64_t west_s = -(offset.us / KP_SECOND_US);
        *to = (struct kp_timetz){0, 0, 0};
        if (kp_vec_is_null(out, i))
            continue;
        if (offset.months || offset.days) {
            struct kp_buf text = {0};
            kp_interval_print(&offset, &text);
            kp_call_fail(call, i, "22023", "interval time zone \"%.*s\" must not include months or days", (int)text.len,
                         (const char *)text.data);
            kp_buf_finish(&text);
        } else if (!kp_zone_seconds_fit(west_s)) {
            kp_call_fail(call, i, "22009", "%s", too_far);
        } else {
            *to = moved(FN_AT(struct kp_timetz, 1, i), (int32_t)west_s);
        }
    }
}

#define FAIL (KP_STRICT | KP_CAN_FAIL)
#define OPERATOR(symbol, flags, a, b, ret, kernel, doc)                                                                \
    FN_BINARY(symbol, KP_FUNC_OPERATOR, flags, a, b, ret, kernel, doc)
#define CAST(target, flags, from, to, kernel, doc) FN_UNARY(target, KP_FUNC_CAST, flags, from, to, kernel, doc)

static const struct kp_func funcs[] = {
    OPERATOR("+", KP_STRICT, KP_TIMETZ, KP_INTERVAL, KP_TIMETZ, timetz_plus_interval, "later, past midnight"),
    OPERATOR("+", KP_STRICT, KP_INTERVAL, KP_TIMETZ, KP_TIMETZ, interval_plus_timetz, "later, past midnight"),
    OPERATOR("-", KP_STRICT, KP_TIMETZ, KP_INTERVAL, KP_TIMETZ, timetz_minus_interval, "earlier, past midnight"),
    OPERATOR("+", FAIL, KP_DATE, KP_TIMETZ, KP_TIMESTAMPTZ, date_plus_timetz, "that day at that time"),
    OPERATOR("+", FAIL, KP_TIMETZ, KP_DATE, KP_TIMESTAMPTZ, timetz_plus_date, "that day at that time"),
    FN_BINARY("timestamptz", KP_FUNC_FUNCTION, FAIL, KP_DATE, KP_TIMETZ, KP_TIMESTAMPTZ, date_plus_timetz,
              "that day at that time"),
    CAST("time", KP_STRICT | KP_CAST_ASSIGNMENT, KP_TIMETZ, KP_TIME, timetz_time, "without its zone"),
    CAST("timetz", FAIL | KP_STABLE | KP_CAST_IMPLICIT | KP_CAST_ASSIGNMENT, KP_TIME, KP_TIMETZ, time_timetz,
         "in the session's zone"),
    CAST("timetz", FAIL | KP_STABLE | KP_CAST_ASSIGNMENT, KP_TIMESTAMPTZ, KP_TIMETZ, timestamptz_timetz,
         "its time of day in the session's zone"),
    CAST("timetz", KP_STRICT | KP_CAST_IMPLICIT | KP_CAST_ASSIGNMENT, KP_TIMETZ, KP_TIMETZ, round_timetz,
         "rounded to its modifier"),
    FN_BINARY("timezone", KP_FUNC_FUNCTION, FAIL | KP_VOLATILE, KP_TEXT, KP_TIMETZ, KP_TIMETZ, at_zone,
              "AT TIME ZONE, at now()"),
    FN_BINARY("timezone", KP_FUNC_FUNCTION, FAIL, KP_INTERVAL, KP_TIMETZ, KP_TIMETZ, at_offset, "AT TIME ZONE"),
};
KP_FUNCTIONS(timetz, funcs);
