/*
 * A date beside a timestamp in a comparison, under names that SQL cannot call. There are more days than timestamps: one
 * that no timestamp reaches is later (or earlier) than all of them and still before infinity, where a cast would fail.
 */
#include "vec/datetime.h"
#include "vec/fn.h"

/* Days whose microseconds overflow are outside too. */
static int64_t bound(int32_t date, const struct kp_zone *zone)
{
    int64_t us;
    if (!kp_date_is_finite(date))
        return date < 0 ? KP_TIMESTAMP_NEG_INFINITY : KP_TIMESTAMP_INFINITY;
    if (!__builtin_mul_overflow((int64_t)date, KP_DAY_US, &us) && kp_timestamp_in_range(us) &&
        (!zone || kp_timestamp_to_utc(us, zone, &us)))
        return us;
    return date < 0 ? KP_TIMESTAMP_NEG_INFINITY + 1 : KP_TIMESTAMP_INFINITY - 1;
}

static void date_bound(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    FN_UNARY_LOOP(int32_t, int64_t, bound(x, NULL));
}
static void date_bound_utc(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    const struct kp_zone *zone = fn_zone(call);
    FN_UNARY_LOOP(int32_t, int64_t, bound(x, zone));
}

static const struct kp_func funcs[] = {
    FN_UNARY("kp_date_bound", KP_FUNC_FUNCTION, KP_STRICT | KP_MONOTONE, KP_DATE, KP_TIMESTAMP, date_bound,
             "its midnight, or what is beyond all timestamps"),
    FN_UNARY("kp_date_bound_utc", KP_FUNC_FUNCTION, KP_STRICT | KP_MONOTONE | KP_STABLE, KP_DATE, KP_TIMESTAMPTZ,
             date_bound_utc, "its midnight in the session's zone, or what is beyond all timestamps"),
};
KP_FUNCTIONS(date_bound, funcs);
