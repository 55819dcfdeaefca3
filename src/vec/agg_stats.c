/*
 * variance and stddev, of samples and populations, from exact sums of x and x².
 *
 *   variance = (n Σx² - (Σx)²) / (n (n - 1)), of a population / n²
 *
 * Integers and numerics follow PostgreSQL's scales; floats round once before the division.
 */
#include <math.h>

#include "vec/agg_exact.h"

enum measure { VAR_SAMP, VAR_POP, STDDEV_SAMP, STDDEV_POP };

/* ---- exact numbers ---- */

struct numeric_stats {
    struct agg_numeric_sum sum, squares;
};

static void add_numeric(struct kp_agg_call *call, struct numeric_stats *stats, const struct kp_numeric *value,
                        int64_t weight, uint32_t row)
{
    struct kp_numeric square;
    struct kp_error err;
    if (kp_numeric_mul(value, value, call->call.arena, &square, &err) != KP_OK) {
        kp_call_fail(&call->call, row, err.sqlstate, "%s", err.message);
        return;
    }
    kp_agg_numeric_add(call, &stats->sum, value, weight);
    kp_agg_numeric_add(call, &stats->squares, &square, weight);
}

#define UPDATE_INT(name, type)                                                                                         \
    static void name(struct kp_agg_call *call, void *const *states, const struct kp_vec *const *args,                  \
                     const int64_t *weights, uint32_t rows)                                                            \
    {                                                                                                                  \
        for (uint32_t i = 0; i < rows; i++) {                                                                          \
            struct kp_numeric value = kp_numeric_from_i64(((const type *)args[0]->data)[i], call->call.arena);         \
            add_numeric(call, states[i], &value, weights ? weights[i] : 1, i);                                         \
        }                                                                                                              \
    }
UPDATE_INT(update_int2, int16_t)
UPDATE_INT(update_int4, int32_t)
UPDATE_INT(update_int8, int64_t)

static void update_numeric(struct kp_agg_call *call, void *const *states, const struct kp_vec *const *args,
                           const int64_t *weights, uint32_t rows)
{
    for (uint32_t i = 0; i < rows; i++)
        add_numeric(call, states[i], (const struct kp_numeric *)args[0]->data + i, weights ? weights[i] : 1, i);
}

static void merge_numeric(struct kp_agg_call *call, void *const *into, void *const *from, uint32_t rows)
{
    for (uint32_t i = 0; i < rows; i++) {
        struct numeric_stats *to = into[i], *source = from[i];
        kp_agg_numeric_merge(call, &to->sum, &source->sum);
        kp_agg_numeric_merge(call, &to->squares, &source->squares);
    }
}

static void destroy_numeric(struct kp_agg_call *call, void *state)
{
    struct numeric_stats *stats = state;
    kp_agg_numeric_finish(call, &stats->sum);
    kp_agg_numeric_finish(call, &stats->squares);
}

static enum kp_code numeric_measure(const struct numeric_stats *stats, int64_t n, enum measure measure,
                                    struct kp_arena *arena, struct kp_numeric *ret_value, struct kp_error *err)
{
    bool sample = measure == VAR_SAMP || measure == STDDEV_SAMP;
    struct kp_numeric sum, squares, spread, product;
    struct kp_numeric count = kp_numeric_from_i64(n, arena), other = kp_numeric_from_i64(sample ? n - 1 : n, arena);
    KP_TRY(kp_agg_numeric_total(&stats->sum, arena, &sum, err));
    if (!kp_numeric_is_finite(&sum)) {
        *ret_value = kp_numeric_special(KP_NUMERIC_NAN);
        return KP_OK;
    }
    KP_TRY(kp_agg_numeric_total(&stats->squares, arena, &squares, err));
    KP_TRY(kp_numeric_mul(&sum, &sum, arena, &product, err));
    KP_TRY(kp_numeric_mul(&count, &squares, arena, &spread, err));
    KP_TRY(kp_numeric_sub(&spread, &product, arena, &spread, err));
    if (kp_numeric_sign(&spread) <= 0) {
        *ret_value = kp_numeric_small(0, 0);
        return KP_OK;
    }
    KP_TRY(kp_numeric_mul(&count, &other, arena, &product, err));
    KP_TRY(kp_numeric_div(&spread, &product, arena, ret_value, err));
    if (measure == VAR_SAMP || measure == VAR_POP)
        return KP_OK;
    struct kp_numeric variance = *ret_value;
    return kp_numeric_sqrt_scale(&variance, variance.scale, arena, ret_value, err);
}

/* ---- floats ---- */

struct float_stats {
    struct agg_float_sum sum, squares;
};

#define UPDATE_FLOAT(name, type)                                                                                       \
    static void name(struct kp_agg_call *call, void *const *states, const struct kp_vec *const *args,                  \
                     const int64_t *weights, uint32_t rows)                                                            \
    {                                                                                                                  \
        for (uint32_t i = 0; i < rows; i++) {                                                                          \
            struct float_stats *stats = states[i];                                                                     \
            double value = (double)((const type *)args[0]->data)[i];                                                   \
            kp_agg_float_add(call, &stats->sum, value, weights ? weights[i] : 1);                                      \
            kp_agg_float_add_square(call, &stats->squares, value, weights ? weights[i] : 1);                           \
        }                                                                                                              \
    }
UPDATE_FLOAT(update_float4, float)
UPDATE_FLOAT(update_float8, double)

static void merge_float(struct kp_agg_call *call, void *const *into, void *const *from, uint32_t rows)
{
    for (uint32_t i = 0; i < rows; i++) {
        struct float_stats *to = into[i], *source = from[i];
        kp_agg_float_merge(call, &to->sum, &source->sum);
        kp_agg_float_merge(call, &to->squares, &source->squares);
    }
}

static void destroy_float(struct kp_agg_call *call, void *state)
{
    struct float_stats *stats = state;
    kp_agg_float_finish(call, &stats->sum);
    kp_agg_float_finish(call, &stats->squares);
}

static double float_measure(const struct float_stats *stats, int64_t n, enum measure measure)
{
    if (kp_agg_float_is_special(&stats->sum))
        return (double)NAN;
    bool sample = measure == VAR_SAMP || measure == STDDEV_SAMP;
    double divisor = (double)n * (double)(sample ? n - 1 : n);
    double variance = kp_agg_float_variance(&stats->sum, &stats->squares, n, divisor);
    return measure == VAR_SAMP || measure == VAR_POP ? variance : sqrt(variance);
}

/* ---- results ---- */

/* A sample of one has no variance. */
static bool is_null(struct kp_agg_call *call, int64_t n, enum measure measure, uint32_t rows, uint32_t row,
                    struct kp_vec *out)
{
    if (n > (measure == VAR_SAMP || measure == STDDEV_SAMP ? 1 : 0))
        return false;
    kp_vec_need_valid(out, call->call.arena, rows);
    kp_vec_set_null(out, row);
    return true;
}

static void finalize_numeric(struct kp_agg_call *call, void *const *states, uint32_t rows, struct kp_vec *out,
                             enum measure measure)
{
    struct kp_numeric *to = out->data;
    for (uint32_t i = 0; i < rows; i++) {
        const struct numeric_stats *stats = states[i];
        int64_t n = kp_agg_numeric_count(&stats->sum);
        struct kp_error err;
        to[i] = kp_numeric_small(0, 0);
        if (!is_null(call, n, measure, rows, i, out) &&
            numeric_measure(stats, n, measure, call->call.arena, &to[i], &err) != KP_OK)
            kp_call_fail(&call->call, i, err.sqlstate, "%s", err.message);
    }
}

static void finalize_float(struct kp_agg_call *call, void *const *states, uint32_t rows, struct kp_vec *out,
                           enum measure measure)
{
    double *to = out->data;
    for (uint32_t i = 0; i < rows; i++) {
        const struct float_stats *stats = states[i];
        to[i] = 0;
        if (is_null(call, stats->sum.count, measure, rows, i, out))
            continue;
        to[i] = float_measure(stats, stats->sum.count, measure);
        if (isinf(to[i]))
            kp_call_fail(&call->call, i, "22003", "value out of range: overflow");
    }
}

#define MEASURE(name, measure)                                                                                         \
    static void name##_numeric(struct kp_agg_call *call, void *const *states, uint32_t rows, struct kp_vec *out)       \
    {                                                                                                                  \
        finalize_numeric(call, states, rows, out, measure);                                                            \
    }                                                                                                                  \
    static void name##_float(struct kp_agg_call *call, void *const *states, uint32_t rows, struct kp_vec *out)         \
    {                                                                                                                  \
        finalize_float(call, states, rows, out, measure);                                                              \
    }                                                                                                                  \
    IMPL(name, int2, numeric);                                                                                         \
    IMPL(name, int4, numeric);                                                                                         \
    IMPL(name, int8, numeric);                                                                                         \
    IMPL(name, numeric, numeric);                                                                                      \
    IMPL(name, float4, float);                                                                                         \
    IMPL(name, float8, float)
#define IMPL(name, type, kind)                                                                                         \
    static const struct kp_agg_impl name##_##type##_impl = {sizeof(struct kind##_stats), update_##type, merge_##kind,  \
                                                            name##_##kind, destroy_##kind}
MEASURE(var_samp, VAR_SAMP);
MEASURE(var_pop, VAR_POP);
MEASURE(stddev_samp, STDDEV_SAMP);
MEASURE(stddev_pop, STDDEV_POP);

#define AGG(name, type, ret, impl, doc)                                                                                \
    {                                                                                                                  \
        name, 1, {type}, ret, true, &impl, &impl, doc                                                                  \
    }
#define AGGS(name, kernel, doc)                                                                                        \
    AGG(name, KP_INT2, KP_NUMERIC, kernel##_int2_impl, doc), AGG(name, KP_INT4, KP_NUMERIC, kernel##_int4_impl, doc),  \
        AGG(name, KP_INT8, KP_NUMERIC, kernel##_int8_impl, doc),                                                       \
        AGG(name, KP_NUMERIC, KP_NUMERIC, kernel##_numeric_impl, doc),                                                 \
        AGG(name, KP_FLOAT4, KP_FLOAT8, kernel##_float4_impl, doc),                                                    \
        AGG(name, KP_FLOAT8, KP_FLOAT8, kernel##_float8_impl, doc)

static const struct kp_agg aggs[] = {
    AGGS("variance", var_samp, "variance of a sample"),
    AGGS("var_samp", var_samp, "variance of a sample"),
    AGGS("var_pop", var_pop, "variance of a population"),
    AGGS("stddev", stddev_samp, "standard deviation of a sample"),
    AGGS("stddev_samp", stddev_samp, "standard deviation of a sample"),
    AGGS("stddev_pop", stddev_pop, "standard deviation of a population"),
};
KP_AGGREGATES(stats, aggs);
