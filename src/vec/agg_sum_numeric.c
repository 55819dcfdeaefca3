/* sum and avg of numerics: exact, with the largest scale of the values that are there. */
#include "vec/agg_exact.h"

static void update(struct kp_agg_call *call, void *const *states, const struct kp_vec *const *args,
                   const int64_t *weights, uint32_t rows)
{
    const struct kp_numeric *values = args[0]->data;
    for (uint32_t i = 0; i < rows; i++)
        kp_agg_numeric_add(call, states[i], &values[i], weights ? weights[i] : 1);
}

static void merge(struct kp_agg_call *call, void *const *into, void *const *from, uint32_t rows)
{
    for (uint32_t i = 0; i < rows; i++)
        kp_agg_numeric_merge(call, into[i], from[i]);
}

static void destroy(struct kp_agg_call *call, void *state)
{
    kp_agg_numeric_finish(call, state);
}

static void finalize(struct kp_agg_call *call, void *const *states, uint32_t rows, struct kp_vec *out, bool mean)
{
    struct kp_numeric *to = out->data;
    struct kp_arena *arena = call->call.arena;
    for (uint32_t i = 0; i < rows; i++) {
        int64_t n = kp_agg_numeric_count(states[i]);
        to[i] = kp_numeric_small(0, 0);
        if (n == 0) {
            kp_vec_need_valid(out, arena, rows);
            kp_vec_set_null(out, i);
            continue;
        }
        struct kp_error err;
        enum kp_code code = kp_agg_numeric_total(states[i], arena, &to[i], &err);
        if (code == KP_OK && mean) {
            struct kp_numeric total = to[i], count = kp_numeric_from_i64(n, arena);
            code = kp_numeric_div(&total, &count, arena, &to[i], &err);
        }
        if (code != KP_OK)
            kp_call_fail(&call->call, i, err.sqlstate, "%s", err.message);
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

static const struct kp_agg_impl sum = {sizeof(struct agg_numeric_sum), update, merge, finalize_sum, destroy};
static const struct kp_agg_impl avg = {sizeof(struct agg_numeric_sum), update, merge, finalize_avg, destroy};

static const struct kp_agg aggs[] = {
    {"sum", 1, {KP_NUMERIC}, KP_NUMERIC, true, &sum, &sum, "sum"},
    {"avg", 1, {KP_NUMERIC}, KP_NUMERIC, true, &avg, &avg, "mean"},
};
KP_AGGREGATES(sum_numeric, aggs);
