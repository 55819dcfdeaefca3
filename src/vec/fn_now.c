/*
 * The log's time: now() and its names. It is the time at the position of the step, the same for every row, and comes
 * from the settings, never from a clock; where a view may use it is sql/'s affair.
 */
#include "vec/datetime.h"
#include "vec/fn.h"

static void now(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    (void)args;
    int64_t us = call->settings ? call->settings->now_us : KP_TIMESTAMP_NEG_INFINITY;
    for (uint32_t i = 0; i < call->rows; i++)
        ((int64_t *)out->data)[i] = us;
}

/* make_interval(years, months, weeks, days, hours, minutes, seconds) */
static void make_interval(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_interval *to = out->data;
    for (uint32_t i = 0; i < call->rows; i++) {
        int64_t months = (int64_t)FN_AT(int32_t, 0, i) * 12 + FN_AT(int32_t, 1, i);
        int64_t days = (int64_t)FN_AT(int32_t, 2, i) * 7 + FN_AT(int32_t, 3, i);
        double seconds = FN_AT(double, 6, i);
        bool good = months == (int32_t)months && days == (int32_t)days && seconds > -9e12 && seconds < 9e12;
        to[i] = (struct kp_interval){0, 0, 0};
        if (!good) {
            fn_fail_text(call, out, i, "22008", "interval out of range");
            continue;
        }
        int64_t us = (int64_t)(seconds * 1000000 + (seconds < 0 ? -0.5 : 0.5));
        to[i].months = (int32_t)months;
        to[i].days = (int32_t)days;
        if (__builtin_add_overflow(FN_AT(int32_t, 4, i) * KP_HOUR_US + FN_AT(int32_t, 5, i) * KP_MINUTE_US, us,
                                   &to[i].us))
            fn_fail_text(call, out, i, "22008", "interval out of range");
    }
}

#define NOW(name_)                                                                                                     \
    {                                                                                                                  \
        .name = name_, .kind = KP_FUNC_FUNCTION, .flags = KP_STRICT | KP_STABLE, .ret = KP_TIMESTAMPTZ, .kernel = now, \
        .doc = "the log's time"                                                                                        \
    }

static const struct kp_func funcs[] = {
    NOW("now"),
    NOW("transaction_timestamp"),
    NOW("statement_timestamp"),
    {.name = "make_interval",
     .kind = KP_FUNC_FUNCTION,
     .flags = KP_STRICT | KP_CAN_FAIL,
     .arg_count = 7,
     .args = {KP_INT4, KP_INT4, KP_INT4, KP_INT4, KP_INT4, KP_INT4, KP_FLOAT8},
     .ret = KP_INTERVAL,
     .kernel = make_interval,
     .doc = "of years, months, weeks, days, hours, minutes, seconds"},
};
KP_FUNCTIONS(now, funcs);
