/* generate_series: numbers and times from a start to a stop, both included. */
#include "vec/datetime.h"
#include "vec/fn.h"
#include "vec/set.h"

static bool zero_step(struct kp_call *call, uint32_t row)
{
    kp_call_fail(call, row, "22023", "step size cannot equal zero");
    return true;
}

static bool ints(struct kp_set *set, int64_t start, int64_t stop, int64_t step, uint64_t from, bool narrow)
{
    __int128 at = (__int128)start + (__int128)step * from;
    for (; step > 0 ? at <= stop : at >= stop; at += step) {
        int64_t wide = (int64_t)at;
        int32_t value = (int32_t)at;
        if (!kp_set_add(set))
            return false;
        kp_set_put(set, 0, narrow ? (const void *)&value : &wide);
    }
    return true;
}

static bool expand_int4(struct kp_call *call, const struct kp_vec *const *args, uint32_t row, uint64_t from,
                        struct kp_set *set)
{
    int32_t step = call->arg_count > 2 ? FN_AT(int32_t, 2, row) : 1;
    return step ? ints(set, FN_AT(int32_t, 0, row), FN_AT(int32_t, 1, row), step, from, true) : zero_step(call, row);
}

static bool expand_int8(struct kp_call *call, const struct kp_vec *const *args, uint32_t row, uint64_t from,
                        struct kp_set *set)
{
    int64_t step = call->arg_count > 2 ? FN_AT(int64_t, 2, row) : 1;
    return step ? ints(set, FN_AT(int64_t, 0, row), FN_AT(int64_t, 1, row), step, from, false) : zero_step(call, row);
}

static bool expand_numeric(struct kp_call *call, const struct kp_vec *const *args, uint32_t row, uint64_t from,
                           struct kp_set *set)
{
    static const char *const names[] = {"start", "stop", "step"};
    struct kp_numeric start = FN_AT(struct kp_numeric, 0, row), stop = FN_AT(struct kp_numeric, 1, row),
                      step = kp_numeric_small(1, 0), at, count = kp_numeric_from_i64((int64_t)from, call->arena);
    struct kp_error err;
    if (call->arg_count > 2)
        step = FN_AT(struct kp_numeric, 2, row);
    const struct kp_numeric *all[] = {&start, &stop, &step};
    for (unsigned i = 0; i < 3; i++)
        if (!kp_numeric_is_finite(all[i])) {
            kp_call_fail(call, row, "22023", "%s%s cannot be %s", names[i], i < 2 ? " value" : " size",
                         kp_numeric_is_nan(all[i]) ? "NaN" : "infinity");
            return true;
        }
    if (kp_numeric_sign(&step) == 0)
        return zero_step(call, row);
    bool up = kp_numeric_sign(&step) > 0;
    enum kp_code code = kp_numeric_mul(&step, &count, call->arena, &at, &err);
    if (code == KP_OK)
        code = kp_numeric_add(&start, &at, call->arena, &at, &err);
    while (code == KP_OK) {
        int order = kp_numeric_compare(&at, &stop);
        if (up ? order > 0 : order < 0)
            return true;
        if (!kp_set_add(set))
            return false;
        kp_set_put(set, 0, &at);
        code = kp_numeric_add(&at, &step, call->arena, &at, &err);
    }
    kp_call_fail(call, row, err.sqlstate, "%s", err.message);
    return true;
}

/* Steps add up from the start one by one, as PostgreSQL's do: a month after January 31 is a day of February, and so on
 * from there. */
static bool expand_times(struct kp_call *call, const struct kp_vec *const *args, uint32_t row, uint64_t from,
                         struct kp_set *set, const struct kp_zone *zone)
{
    int64_t at = FN_AT(int64_t, 0, row), stop = FN_AT(int64_t, 1, row);
    struct kp_interval step = FN_AT(struct kp_interval, 2, row), zero = {0};
    struct kp_error err;
    int sign = kp_value_compare(KP_INTERVAL, &step, &zero);
    if (sign == 0)
        return zero_step(call, row);
    enum kp_code code = KP_OK;
    for (uint64_t i = 0; code == KP_OK; i++) {
        if (sign > 0 ? at > stop : at < stop)
            return true;
        if (i >= from) {
            if (!kp_set_add(set))
                return false;
            kp_set_put(set, 0, &at);
        }
        code = kp_timestamp_add(at, &step, zone, &at, &err);
    }
    kp_call_fail(call, row, err.sqlstate, "%s", err.message);
    return true;
}

static bool expand_timestamp(struct kp_call *call, const struct kp_vec *const *args, uint32_t row, uint64_t from,
                             struct kp_set *set)
{
    return expand_times(call, args, row, from, set, NULL);
}

static bool expand_timestamptz(struct kp_call *call, const struct kp_vec *const *args, uint32_t row, uint64_t from,
                               struct kp_set *set)
{
    return expand_times(call, args, row, from, set, fn_zone(call));
}

#define SERIES(count, a, b, c, type, flags_, kernel)                                                                   \
    {                                                                                                                  \
        .name = "generate_series", .flags = KP_STRICT | KP_CAN_FAIL | (flags_), .arg_count = count, .args = {a, b, c}, \
        .col_count = 1, .cols = {{type, NULL}}, .expand = kernel, .doc = "from start to stop in steps"                 \
    }

static const struct kp_set_func funcs[] = {
    SERIES(2, KP_INT4, KP_INT4, KP_TYPE_NONE, KP_INT4, 0, expand_int4),
    SERIES(3, KP_INT4, KP_INT4, KP_INT4, KP_INT4, 0, expand_int4),
    SERIES(2, KP_INT8, KP_INT8, KP_TYPE_NONE, KP_INT8, 0, expand_int8),
    SERIES(3, KP_INT8, KP_INT8, KP_INT8, KP_INT8, 0, expand_int8),
    SERIES(2, KP_NUMERIC, KP_NUMERIC, KP_TYPE_NONE, KP_NUMERIC, 0, expand_numeric),
    SERIES(3, KP_NUMERIC, KP_NUMERIC, KP_NUMERIC, KP_NUMERIC, 0, expand_numeric),
    SERIES(3, KP_TIMESTAMP, KP_TIMESTAMP, KP_INTERVAL, KP_TIMESTAMP, 0, expand_timestamp),
    SERIES(3, KP_TIMESTAMPTZ, KP_TIMESTAMPTZ, KP_INTERVAL, KP_TIMESTAMPTZ, KP_STABLE, expand_timestamptz),
};
KP_SET_FUNCTIONS(series, funcs);
