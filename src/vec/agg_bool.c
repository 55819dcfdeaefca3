/* bool_and, bool_or, every: how many values are true, how many false. */
#include "vec/agg.h"

struct bool_counts {
    int64_t trues, falses;
};

static void update(struct kp_agg_call *call, void *const *states, const struct kp_vec *const *args,
                   const int64_t *weights, uint32_t rows)
{
    (void)call;
    const uint8_t *values = args[0]->data;
    for (uint32_t i = 0; i < rows; i++) {
        struct bool_counts *counts = states[i];
        int64_t weight = weights ? weights[i] : 1;
        counts->trues += values[i] ? weight : 0;
        counts->falses += values[i] ? 0 : weight;
    }
}

static void merge(struct kp_agg_call *call, void *const *into, void *const *from, uint32_t rows)
{
    (void)call;
    for (uint32_t i = 0; i < rows; i++) {
        struct bool_counts *to = into[i], *source = from[i];
        to->trues += source->trues;
        to->falses += source->falses;
        memset(source, 0, sizeof *source);
    }
}

static void finalize(struct kp_agg_call *call, void *const *states, uint32_t rows, struct kp_vec *out, bool all)
{
    uint8_t *to = out->data;
    for (uint32_t i = 0; i < rows; i++) {
        const struct bool_counts *counts = states[i];
        to[i] = all ? counts->falses == 0 : counts->trues != 0;
        if (counts->trues == 0 && counts->falses == 0) {
            kp_vec_need_valid(out, call->call.arena, rows);
            kp_vec_set_null(out, i);
        }
    }
}

static void finalize_and(struct kp_agg_call *call, void *const *states, uint32_t rows, struct kp_vec *out)
{
    finalize(call, states, rows, out, true);
}

static void finalize_or(struct kp_agg_call *call, void *const *states, uint32_t rows, struct kp_vec *out)
{
    finalize(call, states, rows, out, false);
}

static const struct kp_agg_impl impl_and = {sizeof(struct bool_counts), update, merge, finalize_and, NULL};
static const struct kp_agg_impl impl_or = {sizeof(struct bool_counts), update, merge, finalize_or, NULL};

static const struct kp_agg aggs[] = {
    {"bool_and", 1, {KP_BOOL}, KP_BOOL, true, &impl_and, &impl_and, "whether all are true"},
    {"every", 1, {KP_BOOL}, KP_BOOL, true, &impl_and, &impl_and, "whether all are true"},
    {"bool_or", 1, {KP_BOOL}, KP_BOOL, true, &impl_or, &impl_or, "whether any is true"},
};
KP_AGGREGATES(bool, aggs);
