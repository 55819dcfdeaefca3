/*
 * sum and avg of floating-point numbers, exact inside and rounded once: independent of order, and retractable.
 * PostgreSQL rounds at every step, so its answers differ in the last digits.
 */
#include <math.h>

#include "vec/agg_exact.h"

static void update_float4(struct kp_agg_call *call, void *const *states, const struct kp_vec *const *args,
                          const int64_t *weights, uint32_t rows)
{
    const float *values = args[0]->data;
    for (uint32_t i = 0; i < rows; i++)
        kp_agg_float_add(call, states[i], (double)values[i], weights ? weights[i] : 1);
}

static void update_float8(struct kp_agg_call *call, void *const *states, const struct kp_vec *const *args,
                          const int64_t *weights, uint32_t rows)
{
    const double *values = args[0]->data;
    for (uint32_t i = 0; i < rows; i++)
        kp_agg_float_add(call, states[i], values[i], weights ? weights[i] : 1);
}

static void merge(struct kp_agg_call *call, void *const *into, void *const *from, uint32_t rows)
{
    for (uint32_t i = 0; i < rows; i++)
        kp_agg_float_merge(call, into[i], from[i]);
}

static void destroy(struct kp_agg_call *call, void *state)
{
    kp_agg_float_finish(call, state);
}

/* The sum of one group, -0 if all are; false when it is NULL. */
static bool total(struct kp_agg_call *call, const struct agg_float_sum *sum, bool single, uint32_t row, uint32_t rows,
                  struct kp_vec *out, double *ret_total)
{
    *ret_total = 0;
    if (sum->count == 0) {
        kp_vec_need_valid(out, call->call.arena, rows);
        kp_vec_set_null(out, row);
        return false;
    }
    *ret_total = kp_agg_float_is_negative_zero(sum) ? -0.0 : kp_agg_float_total(sum, single);
    if (isinf(*ret_total) && !kp_agg_float_is_special(sum))
        kp_call_fail(&call->call, row, "22003", "value out of range: overflow");
    return true;
}

static void finalize_float4(struct kp_agg_call *call, void *const *states, uint32_t rows, struct kp_vec *out)
{
    for (uint32_t i = 0; i < rows; i++) {
        double value;
        total(call, states[i], true, i, rows, out, &value);
        ((float *)out->data)[i] = (float)value;
    }
}

static void finalize_float8(struct kp_agg_call *call, void *const *states, uint32_t rows, struct kp_vec *out)
{
    for (uint32_t i = 0; i < rows; i++)
        total(call, states[i], false, i, rows, out, &((double *)out->data)[i]);
}

static void finalize_avg(struct kp_agg_call *call, void *const *states, uint32_t rows, struct kp_vec *out)
{
    double *to = out->data;
    for (uint32_t i = 0; i < rows; i++)
        if (total(call, states[i], false, i, rows, out, &to[i]))
            to[i] = (to[i] + 0.0) / (double)((const struct agg_float_sum *)states[i])->count; /* no -0, as there */
}

#define IMPL(name, update, finalize)                                                                                   \
    static const struct kp_agg_impl name = {sizeof(struct agg_float_sum), update, merge, finalize, destroy}
IMPL(sum_float4, update_float4, finalize_float4);
IMPL(sum_float8, update_float8, finalize_float8);
IMPL(avg_float4, update_float4, finalize_avg);
IMPL(avg_float8, update_float8, finalize_avg);

static const struct kp_agg aggs[] = {
    {"sum", 1, {KP_FLOAT4}, KP_FLOAT4, true, &sum_float4, &sum_float4, "sum"},
    {"sum", 1, {KP_FLOAT8}, KP_FLOAT8, true, &sum_float8, &sum_float8, "sum"},
    {"avg", 1, {KP_FLOAT4}, KP_FLOAT8, true, &avg_float4, &avg_float4, "mean"},
    {"avg", 1, {KP_FLOAT8}, KP_FLOAT8, true, &avg_float8, &avg_float8, "mean"},
};
KP_AGGREGATES(sum_float, aggs);
