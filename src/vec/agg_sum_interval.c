/* sum and avg of intervals: months, days and microseconds apart, exact. */
#include <math.h>

#include "vec/agg_exact.h"
#include "vec/datetime.h"

struct interval_sum {
    int64_t count;
    struct agg_i128 us;
    struct agg_i128 days;
    struct agg_i128 months;
};

static void update(struct kp_agg_call *call, void *const *states, const struct kp_vec *const *args,
                   const int64_t *weights, uint32_t rows)
{
    (void)call;
    const struct kp_interval *values = args[0]->data;
    for (uint32_t i = 0; i < rows; i++) {
        struct interval_sum *sum = states[i];
        int64_t weight = weights ? weights[i] : 1;
        sum->count += weight;
        agg_i128_add(&sum->us, (__int128)values[i].us * weight);
        agg_i128_add(&sum->days, (__int128)values[i].days * weight);
        agg_i128_add(&sum->months, (__int128)values[i].months * weight);
    }
}

static void merge(struct kp_agg_call *call, void *const *into, void *const *from, uint32_t rows)
{
    (void)call;
    for (uint32_t i = 0; i < rows; i++) {
        struct interval_sum *to = into[i], *source = from[i];
        to->count += source->count;
        agg_i128_add(&to->us, agg_i128_get(&source->us));
        agg_i128_add(&to->days, agg_i128_get(&source->days));
        agg_i128_add(&to->months, agg_i128_get(&source->months));
        memset(source, 0, sizeof *source);
    }
}

static bool total(const struct interval_sum *sum, struct kp_interval *ret_total)
{
    __int128 us = agg_i128_get(&sum->us), days = agg_i128_get(&sum->days), months = agg_i128_get(&sum->months);
    if (us != (int64_t)us || days != (int32_t)days || months != (int32_t)months)
        return false;
    *ret_total = (struct kp_interval){(int64_t)us, (int32_t)days, (int32_t)months};
    return true;
}

static void finalize(struct kp_agg_call *call, void *const *states, uint32_t rows, struct kp_vec *out, bool mean)
{
    struct kp_interval *to = out->data;
    for (uint32_t i = 0; i < rows; i++) {
        const struct interval_sum *sum = states[i];
        struct kp_error err;
        to[i] = (struct kp_interval){0, 0, 0};
        if (sum->count == 0) {
            kp_vec_need_valid(out, call->call.arena, rows);
            kp_vec_set_null(out, i);
        } else if (!total(sum, &to[i])) {
            kp_call_fail(&call->call, i, "22008", "interval out of range");
        } else if (mean) {
            struct kp_interval whole = to[i];
            if (kp_interval_div(&whole, (double)sum->count, &to[i], &err) != KP_OK)
                kp_call_fail(&call->call, i, err.sqlstate, "%s", err.message);
        }
    }
}

static void finalize_sum(struct kp_agg_call *call, void *const *states, uint32_t rows, struct kp_vec *out)
{
    finalize(call, states, rows, out, false);
}

static void finalize_avg(struct kp_agg_call *call, void *const *states, uint32_t rows, struct kp_vec *out)
{
    finalize(call, states, rows, out, true);
}

static const struct kp_agg_impl sum = {sizeof(struct interval_sum), update, merge, finalize_sum, NULL};
static const struct kp_agg_impl avg = {sizeof(struct interval_sum), update, merge, finalize_avg, NULL};

static const struct kp_agg aggs[] = {
    {"sum", 1, {KP_INTERVAL}, KP_INTERVAL, true, &sum, &sum, "sum"},
    {"avg", 1, {KP_INTERVAL}, KP_INTERVAL, true, &avg, &avg, "mean"},
};
KP_AGGREGATES(sum_interval, aggs);
