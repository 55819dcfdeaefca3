/* sum and avg of integers: exact in 128 bits. sum(bigint) and every avg are numeric, as in PostgreSQL. */
#include "vec/agg_exact.h"

struct int_sum {
    int64_t count;
    struct agg_i128 total;
};

#define UPDATE(name, type)                                                                                             \
    static void name(struct kp_agg_call *call, void *const *states, const struct kp_vec *const *args,                  \
                     const int64_t *weights, uint32_t rows)                                                            \
    {                                                                                                                  \
        (void)call;                                                                                                    \
        const type *values = args[0]->data;                                                                            \
        for (uint32_t i = 0; i < rows; i++) {                                                                          \
            struct int_sum *sum = states[i];                                                                           \
            int64_t weight = weights ? weights[i] : 1;                                                                 \
            sum->count += weight;                                                                                      \
            agg_i128_add(&sum->total, (__int128)values[i] * weight);                                                   \
        }                                                                                                              \
    }
UPDATE(update_int2, int16_t)
UPDATE(update_int4, int32_t)
UPDATE(update_int8, int64_t)

static void merge(struct kp_agg_call *call, void *const *into, void *const *from, uint32_t rows)
{
    (void)call;
    for (uint32_t i = 0; i < rows; i++) {
        struct int_sum *to = into[i], *source = from[i];
        to->count += source->count;
        agg_i128_add(&to->total, agg_i128_get(&source->total));
        memset(source, 0, sizeof *source);
    }
}

static void set_null(struct kp_agg_call *call, uint32_t rows, struct kp_vec *out, uint32_t row)
{
    kp_vec_need_valid(out, call->call.arena, rows);
    kp_vec_set_null(out, row);
}

static void finalize_bigint(struct kp_agg_call *call, void *const *states, uint32_t rows, struct kp_vec *out)
{
    int64_t *to = out->data;
    for (uint32_t i = 0; i < rows; i++) {
        const struct int_sum *sum = states[i];
        __int128 total = agg_i128_get(&sum->total);
        to[i] = (int64_t)total;
        if (sum->count == 0)
            set_null(call, rows, out, i);
        else if (total != (int64_t)total)
            kp_call_fail(&call->call, i, "22003", "bigint out of range");
    }
}

static void finalize_numeric(struct kp_agg_call *call, void *const *states, uint32_t rows, struct kp_vec *out)
{
    struct kp_numeric *to = out->data;
    for (uint32_t i = 0; i < rows; i++) {
        const struct int_sum *sum = states[i];
        to[i] = kp_numeric_from_i128(agg_i128_get(&sum->total), 0, call->call.arena);
        if (sum->count == 0)
            set_null(call, rows, out, i);
    }
}

static void finalize_avg(struct kp_agg_call *call, void *const *states, uint32_t rows, struct kp_vec *out)
{
    struct kp_numeric *to = out->data;
    struct kp_arena *arena = call->call.arena;
    for (uint32_t i = 0; i < rows; i++) {
        const struct int_sum *sum = states[i];
        to[i] = kp_numeric_small(0, 0);
        if (sum->count == 0) {
            set_null(call, rows, out, i);
            continue;
        }
        struct kp_numeric total = kp_numeric_from_i128(agg_i128_get(&sum->total), 0, arena);
        struct kp_numeric count = kp_numeric_from_i64(sum->count, arena);
        struct kp_error err;
        if (kp_numeric_div(&total, &count, arena, &to[i], &err) != KP_OK)
            kp_call_fail(&call->call, i, err.sqlstate, "%s", err.message);
    }
}

#define IMPL(name, update, finalize)                                                                                   \
    static const struct kp_agg_impl name = {sizeof(struct int_sum), update, merge, finalize, NULL}
IMPL(sum_int2, update_int2, finalize_bigint);
IMPL(sum_int4, update_int4, finalize_bigint);
IMPL(sum_int8, update_int8, finalize_numeric);
IMPL(avg_int2, update_int2, finalize_avg);
IMPL(avg_int4, update_int4, finalize_avg);
IMPL(avg_int8, update_int8, finalize_avg);

static const struct kp_agg aggs[] = {
    {"sum", 1, {KP_INT2}, KP_INT8, true, &sum_int2, &sum_int2, "sum"},
    {"sum", 1, {KP_INT4}, KP_INT8, true, &sum_int4, &sum_int4, "sum"},
    {"sum", 1, {KP_INT8}, KP_NUMERIC, true, &sum_int8, &sum_int8, "sum"},
    {"avg", 1, {KP_INT2}, KP_NUMERIC, true, &avg_int2, &avg_int2, "mean"},
    {"avg", 1, {KP_INT4}, KP_NUMERIC, true, &avg_int4, &avg_int4, "mean"},
    {"avg", 1, {KP_INT8}, KP_NUMERIC, true, &avg_int8, &avg_int8, "mean"},
};
KP_AGGREGATES(sum_int, aggs);
