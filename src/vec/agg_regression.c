/*
 * corr, covar_* and regr_*: of pairs (y, x), from exact sums of y, x, y², x² and xy.
 *
 *   Sxx = (n Σx² - (Σx)²) / n, Syy and Sxy alike; each is rounded once, and what is made of them a few times more
 */
#include <math.h>

#include "vec/agg_rows.h"

struct pairs {
    struct agg_float_sum x, y, xx, yy, xy;
};

static void update(struct kp_agg_call *call, void *const *states, const struct kp_vec *const *args,
                   const int64_t *weights, uint32_t rows)
{
    const double *ys = args[0]->data, *xs = args[1]->data;
    for (uint32_t i = 0; i < rows; i++) {
        struct pairs *pairs = states[i];
        int64_t weight = weights ? weights[i] : 1;
        kp_agg_float_add(call, &pairs->x, xs[i], weight);
        kp_agg_float_add(call, &pairs->y, ys[i], weight);
        kp_agg_float_add_square(call, &pairs->xx, xs[i], weight);
        kp_agg_float_add_square(call, &pairs->yy, ys[i], weight);
        kp_agg_float_add_product(call, &pairs->xy, xs[i], ys[i], weight);
    }
}

static void merge(struct kp_agg_call *call, void *const *into, void *const *from, uint32_t rows)
{
    for (uint32_t i = 0; i < rows; i++) {
        struct pairs *to = into[i], *source = from[i];
        kp_agg_float_merge(call, &to->x, &source->x);
        kp_agg_float_merge(call, &to->y, &source->y);
        kp_agg_float_merge(call, &to->xx, &source->xx);
        kp_agg_float_merge(call, &to->yy, &source->yy);
        kp_agg_float_merge(call, &to->xy, &source->xy);
    }
}

static void destroy(struct kp_agg_call *call, void *state)
{
    struct pairs *pairs = state;
    kp_agg_float_finish(call, &pairs->x);
    kp_agg_float_finish(call, &pairs->y);
    kp_agg_float_finish(call, &pairs->xx);
    kp_agg_float_finish(call, &pairs->yy);
    kp_agg_float_finish(call, &pairs->xy);
}

enum measure {
    CORR,
    COVAR_POP,
    COVAR_SAMP,
    REGR_AVGX,
    REGR_AVGY,
    REGR_INTERCEPT,
    REGR_R2,
    REGR_SLOPE,
    REGR_SXX,
    REGR_SXY,
    REGR_SYY
};

static double spread(const struct agg_float_sum *sum, const struct agg_float_sum *squares, int64_t n)
{
    return kp_agg_float_is_special(sum) ? (double)NAN : kp_agg_float_variance(sum, squares, n, (double)n);
}

/* False: NULL. */
static bool measure_of(const struct pairs *pairs, enum measure measure, double *ret_value)
{
    int64_t n = pairs->x.count;
    if (n < (measure == COVAR_SAMP ? 2 : 1))
        return false;
    bool special = kp_agg_float_is_special(&pairs->x) || kp_agg_float_is_special(&pairs->y);
    double count = (double)n, sxx = spread(&pairs->x, &pairs->xx, n), syy = spread(&pairs->y, &pairs->yy, n);
    double sxy = special ? (double)NAN : kp_agg_float_cross(&pairs->x, &pairs->y, &pairs->xy, n) / count;
    double x = kp_agg_float_total(&pairs->x, false), y = kp_agg_float_total(&pairs->y, false);
    switch (measure) {
    case CORR:
        *ret_value = sxy / sqrt(sxx * syy);
        if (*ret_value > 1 || *ret_value < -1)
            *ret_value = *ret_value > 0 ? 1 : -1; /* rounding */
        return sxx != 0 && syy != 0;
    case COVAR_POP:
        *ret_value = sxy / count;
        return true;
    case COVAR_SAMP:
        *ret_value = sxy / (count - 1);
        return true;
    case REGR_AVGX:
        *ret_value = x / count;
        return true;
    case REGR_AVGY:
        *ret_value = y / count;
        return true;
    case REGR_INTERCEPT:
        *ret_value = (y - x * sxy / sxx) / count;
        return sxx != 0;
    case REGR_R2:
        *ret_value = syy == 0 ? 1 : sxy * sxy / (sxx * syy);
        return sxx != 0;
    case REGR_SLOPE:
        *ret_value = sxy / sxx;
        return sxx != 0;
    case REGR_SXX:
        *ret_value = sxx;
        return true;
    case REGR_SXY:
        *ret_value = sxy;
        return true;
    case REGR_SYY:
        *ret_value = syy;
        return true;
    }
    return false;
}

/* An average of infinities is one of them, no overflow. */
static bool is_of_infinity(const struct pairs *pairs, enum measure measure)
{
    return (measure == REGR_AVGX && kp_agg_float_is_special(&pairs->x)) ||
           (measure == REGR_AVGY && kp_agg_float_is_special(&pairs->y));
}

static void finalize(struct kp_agg_call *call, void *const *states, uint32_t rows, struct kp_vec *out,
                     enum measure measure)
{
    double *to = out->data;
    for (uint32_t i = 0; i < rows; i++) {
        to[i] = 0;
        if (!measure_of(states[i], measure, &to[i]))
            agg_set_null(call, rows, out, i);
        else if (isinf(to[i]) && !is_of_infinity(states[i], measure))
            kp_call_fail(&call->call, i, "22003", "value out of range: overflow");
    }
}

static void finalize_count(struct kp_agg_call *call, void *const *states, uint32_t rows, struct kp_vec *out)
{
    (void)call;
    for (uint32_t i = 0; i < rows; i++)
        ((int64_t *)out->data)[i] = ((const struct pairs *)states[i])->x.count;
}

#define MEASURE(name, measure)                                                                                         \
    static void finalize_##name(struct kp_agg_call *call, void *const *states, uint32_t rows, struct kp_vec *out)      \
    {                                                                                                                  \
        finalize(call, states, rows, out, measure);                                                                    \
    }                                                                                                                  \
    static const struct kp_agg_impl impl_##name = {sizeof(struct pairs), update, merge, finalize_##name, destroy};
MEASURE(corr, CORR)
MEASURE(covar_pop, COVAR_POP)
MEASURE(covar_samp, COVAR_SAMP)
MEASURE(avgx, REGR_AVGX)
MEASURE(avgy, REGR_AVGY)
MEASURE(intercept, REGR_INTERCEPT)
MEASURE(r2, REGR_R2)
MEASURE(slope, REGR_SLOPE)
MEASURE(sxx, REGR_SXX)
MEASURE(sxy, REGR_SXY)
MEASURE(syy, REGR_SYY)
static const struct kp_agg_impl impl_count = {sizeof(struct pairs), update, merge, finalize_count, destroy};

#define AGG(name, ret, impl, doc)                                                                                      \
    {                                                                                                                  \
        name, 2, {KP_FLOAT8, KP_FLOAT8}, ret, KP_AGG_SKIP_NULLS, &impl, &impl, doc                                     \
    }
static const struct kp_agg aggs[] = {
    AGG("corr", KP_FLOAT8, impl_corr, "correlation"),
    AGG("covar_pop", KP_FLOAT8, impl_covar_pop, "covariance of a population"),
    AGG("covar_samp", KP_FLOAT8, impl_covar_samp, "covariance of a sample"),
    AGG("regr_avgx", KP_FLOAT8, impl_avgx, "mean of x"),
    AGG("regr_avgy", KP_FLOAT8, impl_avgy, "mean of y"),
    AGG("regr_count", KP_INT8, impl_count, "pairs without NULL"),
    AGG("regr_intercept", KP_FLOAT8, impl_intercept, "where the least-squares line meets x = 0"),
    AGG("regr_r2", KP_FLOAT8, impl_r2, "square of the correlation"),
    AGG("regr_slope", KP_FLOAT8, impl_slope, "slope of the least-squares line"),
    AGG("regr_sxx", KP_FLOAT8, impl_sxx, "sum of squares of x around its mean"),
    AGG("regr_sxy", KP_FLOAT8, impl_sxy, "sum of products around the means"),
    AGG("regr_syy", KP_FLOAT8, impl_syy, "sum of squares of y around its mean"),
};
KP_AGGREGATES(regression, aggs);
