/*
 * approx_count_distinct(value) and approx_quantile(value, fraction): answers with a known error from little memory,
 * from which rows can be taken away.
 *
 *   approx_count_distinct   HyperLogLog of 2,048 registers (standard error 2.3 %). Instead of its highest rank a
 * register keeps how many values have each rank, so that they can leave: entries (register, rank) approx_quantile
 * counts of values in buckets whose bounds grow by 2 % (a DDSketch): what it gives is within 1 % of a true value of
 * that rank; entries are bucket numbers, a NaN above all
 *
 * Both are linear in the values, so neither order nor merges matter.
 */
#include <math.h>

#include "vec/agg_rows.h"

struct sketch {
    struct kp_multiset *entries; /* of KP_INT4 */
    double fraction;
    uint64_t has_fraction;
};

enum { REGISTER_BITS = 11, REGISTERS = 1 << REGISTER_BITS, BUCKET_NAN = INT32_MAX, BUCKET_INFINITY = 1 << 20 };

static void add_entry(struct kp_agg_call *call, struct sketch *sketch, int32_t entry, int64_t weight)
{
    agg_account(call, kp_multiset_add(&sketch->entries, KP_INT4, &entry, weight));
}

static void merge(struct kp_agg_call *call, void *const *into, void *const *from, uint32_t rows)
{
    for (uint32_t i = 0; i < rows; i++) {
        struct sketch *to = into[i], *source = from[i];
        uint64_t at = 0;
        const struct kp_multiset_entry *entry;
        while ((entry = kp_multiset_next(source->entries, &at))) {
            int32_t value;
            memcpy(&value, entry->value, sizeof value);
            add_entry(call, to, value, entry->weight);
        }
        if (!to->has_fraction) {
            to->has_fraction = source->has_fraction;
            to->fraction = source->fraction;
        }
        agg_account(call, -(int64_t)kp_multiset_bytes(source->entries, KP_INT4));
        kp_multiset_destroy(source->entries, KP_INT4);
        memset(source, 0, sizeof *source);
    }
}

static void destroy(struct kp_agg_call *call, void *state)
{
    struct sketch *sketch = state;
    agg_account(call, -(int64_t)kp_multiset_bytes(sketch->entries, KP_INT4));
    kp_multiset_destroy(sketch->entries, KP_INT4);
    memset(sketch, 0, sizeof *sketch);
}

/* ---- count distinct ---- */

static void update_distinct(struct kp_agg_call *call, void *const *states, const struct kp_vec *const *args,
                            const int64_t *weights, uint32_t rows)
{
    for (uint32_t i = 0; i < rows; i++) {
        uint64_t hash = kp_value_hash(args[0]->type.id, kp_vec_at(args[0], i));
        uint64_t rest = hash << REGISTER_BITS | (uint64_t)1 << (REGISTER_BITS - 1);
        int32_t rank = __builtin_clzll(rest) + 1;
        add_entry(call, states[i], (int32_t)(hash >> (64 - REGISTER_BITS)) << 8 | (255 - rank),
                  weights ? weights[i] : 1);
    }
}

/* Entries are in order of register, highest rank first, so the first of each register counts. */
static void finalize_distinct(struct kp_agg_call *call, void *const *states, uint32_t rows, struct kp_vec *out)
{
    (void)call;
    for (uint32_t i = 0; i < rows; i++) {
        const struct sketch *sketch = states[i];
        uint64_t at = 0;
        const struct kp_multiset_entry *entry;
        int32_t last = -1;
        double sum = REGISTERS, m = REGISTERS;
        int64_t empty = REGISTERS;
        while ((entry = kp_multiset_next(sketch->entries, &at))) {
            int32_t value;
            memcpy(&value, entry->value, sizeof value);
            if (value >> 8 == last)
                continue;
            last = value >> 8;
            empty--;
            sum += ldexp(1, -(255 - (value & 255))) - 1;
        }
        double estimate = 0.7213 / (1 + 1.079 / m) * m * m / sum;
        if (estimate <= 2.5 * m && empty)
            estimate = m * log(m / (double)empty);
        ((int64_t *)out->data)[i] = (int64_t)(estimate + 0.5);
    }
}

/* ---- quantile ---- */

static const double bucket_growth = 1.02;

/* Zero is bucket 0; positive numbers from 2^19 up, negative ones mirrored. */
static int32_t bucket_of(double value)
{
    if (value != value)
        return BUCKET_NAN;
    if (value == 0)
        return 0;
    if (isinf(value))
        return value > 0 ? BUCKET_INFINITY : -BUCKET_INFINITY;
    int32_t place = (int32_t)ceil(log(fabs(value)) / log(bucket_growth)) + (1 << 19);
    return value > 0 ? place : -place;
}

static double bucket_value(int32_t bucket)
{
    if (bucket == BUCKET_NAN)
        return (double)NAN;
    if (bucket == 0)
        return 0;
    if (bucket == BUCKET_INFINITY || bucket == -BUCKET_INFINITY)
        return bucket > 0 ? HUGE_VAL : -HUGE_VAL;
    double value = 2 * pow(bucket_growth, (bucket < 0 ? -bucket : bucket) - (1 << 19)) / (1 + bucket_growth);
    return bucket > 0 ? value : -value;
}

static void update_quantile(struct kp_agg_call *call, void *const *states, const struct kp_vec *const *args,
                            const int64_t *weights, uint32_t rows)
{
    for (uint32_t i = 0; i < rows; i++) {
        struct sketch *sketch = states[i];
        if (!sketch->has_fraction) {
            sketch->fraction = ((const double *)args[1]->data)[i];
            sketch->has_fraction = 1;
        }
        add_entry(call, sketch, bucket_of(((const double *)args[0]->data)[i]), weights ? weights[i] : 1);
    }
}

static void finalize_quantile(struct kp_agg_call *call, void *const *states, uint32_t rows, struct kp_vec *out)
{
    double *to = out->data;
    for (uint32_t i = 0; i < rows; i++) {
        const struct sketch *sketch = states[i];
        uint64_t at = 0;
        int64_t count = 0, seen = 0;
        const struct kp_multiset_entry *entry;
        to[i] = 0;
        while ((entry = kp_multiset_next(sketch->entries, &at)))
            count += entry->weight;
        if (count == 0) {
            agg_set_null(call, rows, out, i);
            continue;
        }
        if (!(sketch->fraction >= 0 && sketch->fraction <= 1)) {
            kp_call_fail(&call->call, i, "22003", "the fraction of approx_quantile must be between 0 and 1");
            continue;
        }
        int64_t rank = (int64_t)ceil(sketch->fraction * (double)count);
        at = 0;
        while ((entry = kp_multiset_next(sketch->entries, &at))) {
            seen += entry->weight;
            if (seen < KP_MAX(rank, (int64_t)1))
                continue;
            int32_t bucket;
            memcpy(&bucket, entry->value, sizeof bucket);
            to[i] = bucket_value(bucket);
            break;
        }
    }
}

static const struct kp_agg_impl impl_distinct = {sizeof(struct sketch), update_distinct, merge, finalize_distinct,
                                                 destroy};
static const struct kp_agg_impl impl_quantile = {sizeof(struct sketch), update_quantile, merge, finalize_quantile,
                                                 destroy};

static const struct kp_agg aggs[] = {
    {"approx_count_distinct",
     1,
     {KP_ANY},
     KP_INT8,
     KP_AGG_SKIP_NULLS,
     &impl_distinct,
     &impl_distinct,
     "different values, within 2.3 % or so"},
    {"approx_quantile",
     2,
     {KP_FLOAT8, KP_FLOAT8},
     KP_FLOAT8,
     KP_AGG_SKIP_NULLS,
     &impl_quantile,
     &impl_quantile,
     "value at a fraction, within 1 %"},
};
KP_AGGREGATES(approx, aggs);
