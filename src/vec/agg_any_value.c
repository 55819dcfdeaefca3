/*
 * any_value: some value, the least: what a scalar subquery shows of its one row. PostgreSQL has it since 16, for values
 * in any order. Over input that can be taken away all values are kept.
 */
#include "vec/agg_exact.h"
#include "vec/multiset.h"

struct all {
    struct kp_multiset *values;
};

static void update(struct kp_agg_call *call, void *const *states, const struct kp_vec *const *args,
                   const int64_t *weights, uint32_t rows)
{
    int64_t gained = 0;
    for (uint32_t i = 0; i < rows; i++) {
        struct all *all = states[i];
        gained += kp_multiset_add(&all->values, args[0]->type.id, kp_vec_at(args[0], i), weights ? weights[i] : 1);
    }
    agg_account(call, gained);
}

static void merge(struct kp_agg_call *call, void *const *into, void *const *from, uint32_t rows)
{
    enum kp_type_id type = call->arg_types[0].id;
    int64_t gained = 0;
    for (uint32_t i = 0; i < rows; i++) {
        struct all *to = into[i], *source = from[i];
        uint64_t at = 0;
        const struct kp_multiset_entry *entry;
        while ((entry = kp_multiset_next(source->values, &at)))
            gained += kp_multiset_add(&to->values, type, entry->value, entry->weight);
        gained -= (int64_t)kp_multiset_bytes(source->values, type);
        kp_multiset_destroy(source->values, type);
        source->values = NULL;
    }
    agg_account(call, gained);
}

static void finalize(struct kp_agg_call *call, void *const *states, uint32_t rows, struct kp_vec *out)
{
    size_t width = kp_vec_width(out);
    for (uint32_t i = 0; i < rows; i++) {
        const struct all *all = states[i];
        const struct kp_multiset_entry *entry = kp_multiset_first(all->values);
        void *to = (char *)out->data + i * width;
        if (entry) {
            kp_value_copy_arena(out->type.id, entry->value, call->call.arena, to);
        } else {
            memset(to, 0, width);
            kp_vec_need_valid(out, call->call.arena, rows);
            kp_vec_set_null(out, i);
        }
    }
}

static void destroy(struct kp_agg_call *call, void *state)
{
    struct all *all = state;
    enum kp_type_id type = call->arg_types[0].id;
    agg_account(call, -(int64_t)kp_multiset_bytes(all->values, type));
    kp_multiset_destroy(all->values, type);
    all->values = NULL;
}

static const struct kp_agg_impl impl = {sizeof(struct all), update, merge, finalize, destroy};

static const struct kp_agg aggs[] = {
    {"any_value", 1, {KP_ANYELEMENT}, KP_ANYELEMENT, true, &impl, &impl, "some value: the least"},
};
KP_AGGREGATES(any_value, aggs);
