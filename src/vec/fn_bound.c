/*
 * A date beside a timestamp in a comparison, and a timestamp beside one with a zone; under names that SQL cannot call.
 * There are more days than timestamps, and some timestamps have no instant in a zone: what none reaches is later (or
 * earlier) than all of them and still before infinity, where a cast would fail.
 */
#include "vec/datetime.h"
#include "vec/fn.h"

static int64_t instant(int64_t us, const struct kp_zone *zone)
{
    int64_t utc_us;
    if (!kp_timestamp_is_finite(us))
        return us;
    if (kp_timestamp_to_utc(us, zone, &utc_us))
        return utc_us;
    return us < 0 ? KP_TIMESTAMP_NEG_INFINITY + 1 : KP_TIMESTAMP_INFINITY - 1;
}

static int64_t midnight(int32_t date)
{
    int64_t us;
    if (!kp_date_is_finite(date))
        return date < 0 ? KP_TIMESTAMP_NEG_INFINITY : KP_TIMESTAMP_INFINITY;
    if (!__builtin_mul_overflow((int64_t)date, KP_DAY_US, &us) && kp_timestamp_in_range(us))
        return us;
    return date < 0 ? KP_TIMESTAMP_NEG_INFINITY + 1 : KP_TIMESTAMP_INFINITY - 1;
}

static void date_timestamp(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    FN_UNARY_LOOP(int32_t, int64_t, midnight(x));
}
static void date_instant(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    const struct kp_zone *zone = fn_zone(call);
    FN_UNARY_LOOP(int32_t, int64_t, instant(midnight(x), zone));
}
static void timestamp_instant(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    const struct kp_zone *zone = fn_zone(call);
    FN_UNARY_LOOP(int64_t, int64_t, instant(x, zone));
}

static const struct kp_func funcs[] = {
    FN_UNARY("kp_bound_date", KP_FUNC_FUNCTION, KP_STRICT | KP_MONOTONE, KP_DATE, KP_TIMESTAMP, date_timestamp,
             "its midnight, or what is beyond all timestamps"),
    FN_UNARY("kp_bound_date_instant", KP_FUNC_FUNCTION, KP_STRICT | KP_MONOTONE | KP_STABLE, KP_DATE, KP_TIMESTAMPTZ,
             date_instant, "its midnight in the session's zone, or what is beyond all instants"),
    FN_UNARY("kp_bound_timestamp", KP_FUNC_FUNCTION, KP_STRICT | KP_MONOTONE | KP_STABLE, KP_TIMESTAMP, KP_TIMESTAMPTZ,
             timestamp_instant, "it in the session's zone, or what is beyond all instants"),
};
KP_FUNCTIONS(bound, funcs);
