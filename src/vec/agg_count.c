/* count(*) and count(x): the sum of weights. */
#include "vec/agg.h"

struct count {
    int64_t rows;
};

static void update(struct kp_agg_call *call, void *const *states, const struct kp_vec *const *args,
                   const int64_t *weights, uint32_t rows)
{
    (void)call, (void)args;
    if (weights)
        for (uint32_t i = 0; i < rows; i++)
            ((struct count *)states[i])->rows += weights[i];
    else
        for (uint32_t i = 0; i < rows; i++)
            ((struct count *)states[i])->rows++;
}

static void merge(struct kp_agg_call *call, void *const *into, void *const *from, uint32_t rows)
{
    (void)call;
    for (uint32_t i = 0; i < rows; i++) {
        ((struct count *)into[i])->rows += ((struct count *)from[i])->rows;
        ((struct count *)from[i])->rows = 0;
    }
}

static void finalize(struct kp_agg_call *call, void *const *states, uint32_t rows, struct kp_vec *out)
{
    (void)call;
    int64_t *to = out->data;
    for (uint32_t i = 0; i < rows; i++)
        to[i] = ((const struct count *)states[i])->rows;
}

static const struct kp_agg_impl impl = {sizeof(struct count), update, merge, finalize, NULL};

static const struct kp_agg aggs[] = {
    {"count", 0, {KP_TYPE_NONE}, KP_INT8, false, &impl, &impl, "rows"},
    {"count", 1, {KP_ANY}, KP_INT8, true, &impl, &impl, "rows where the argument is not NULL"},
};
KP_AGGREGATES(count, aggs);
