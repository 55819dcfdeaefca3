/*
 * arg_min(value, key), arg_max(value, key): the value of the row with the least, or greatest, key; rows whose key is
 * NULL do not count. first(value ORDER BY …), last(value ORDER BY …): the first and last value, NULL or not; of event
 * time: first(price ORDER BY at). Of several rows with one key arg_min and arg_max take the least value.
 */
#include "vec/agg_rows.h"

/* The key decides, then the value. */
static void update_arg(struct kp_agg_call *call, void *const *states, const struct kp_vec *const *args,
                       const int64_t *weights, uint32_t rows, bool max)
{
    struct kp_agg_order order = {.descending = max};
    struct kp_agg_call keyed = *call;
    keyed.order_count = 1;
    keyed.orders = &order;
    keyed.arg_count = 2;
    for (uint32_t i = 0; i < rows; i++)
        if (!kp_vec_is_null(args[1], i))
            kp_agg_rows_add(&keyed, states[i], args, i, 1, 1, weights ? weights[i] : 1);
}

static void update_min(struct kp_agg_call *call, void *const *states, const struct kp_vec *const *args,
                       const int64_t *weights, uint32_t rows)
{
    update_arg(call, states, args, weights, rows, false);
}
static void update_max(struct kp_agg_call *call, void *const *states, const struct kp_vec *const *args,
                       const int64_t *weights, uint32_t rows)
{
    update_arg(call, states, args, weights, rows, true);
}

static void finalize_at(struct kp_agg_call *call, void *const *states, uint32_t rows, struct kp_vec *out, bool last)
{
    enum kp_type_id type = call->arg_types[0].id;
    size_t width = kp_vec_width(out);
    for (uint32_t i = 0; i < rows; i++) {
        const struct agg_rows *all = states[i];
        struct agg_rows_cursor found = {0};
        uint64_t value[2] = {0};
        bool any = last ? kp_agg_rows_last(all, &found) : kp_agg_rows_next(all, &found);
        char *to = (char *)out->data + i * width;
        if (any && kp_agg_rows_value(&found, type, call->call.arena, value)) {
            kp_value_copy_arena(type, value, call->call.arena, to);
        } else {
            memset(to, 0, width);
            agg_set_null(call, rows, out, i);
        }
    }
}

static void finalize_first(struct kp_agg_call *call, void *const *states, uint32_t rows, struct kp_vec *out)
{
    finalize_at(call, states, rows, out, false);
}
static void finalize_last(struct kp_agg_call *call, void *const *states, uint32_t rows, struct kp_vec *out)
{
    finalize_at(call, states, rows, out, true);
}

#define IMPL(name, update, finalize)                                                                                   \
    static const struct kp_agg_impl name = {sizeof(struct agg_rows), update, kp_agg_rows_merge_all, finalize,          \
                                            kp_agg_rows_destroy}
IMPL(impl_min, update_min, finalize_first);
IMPL(impl_max, update_max, finalize_first);
IMPL(impl_first, kp_agg_rows_update, finalize_first);
IMPL(impl_last, kp_agg_rows_update, finalize_last);

#define ARG(name, impl, doc)                                                                                           \
    {                                                                                                                  \
        name, 2, {KP_ANYELEMENT, KP_ANY}, KP_ANYELEMENT, 0, &impl, &impl, doc                                          \
    }
static const struct kp_agg aggs[] = {
    ARG("arg_min", impl_min, "value of the row with the least key"),
    ARG("arg_max", impl_max, "value of the row with the greatest key"),
    ARG("min_by", impl_min, "value of the row with the least key"),
    ARG("max_by", impl_max, "value of the row with the greatest key"),
    {"first", 1, {KP_ANYELEMENT}, KP_ANYELEMENT, KP_AGG_ORDERED, &impl_first, &impl_first, "first value in order"},
    {"last", 1, {KP_ANYELEMENT}, KP_ANYELEMENT, KP_AGG_ORDERED, &impl_last, &impl_last, "last value in order"},
};
KP_AGGREGATES(arg, aggs);
