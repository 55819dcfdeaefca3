/* All values of a group in order (agg_values.h). */
#include "vec/agg_values.h"

void kp_agg_multiset_merge(struct kp_agg_call *call, enum kp_type_id type, struct kp_multiset **into,
                           struct kp_multiset **from)
{
    uint64_t at = 0;
    int64_t gained = 0;
    const struct kp_multiset_entry *entry;
    while ((entry = kp_multiset_next(*from, &at)))
        gained += kp_multiset_add(into, type, entry->value, entry->weight);
    agg_account(call, gained);
    kp_agg_multiset_finish(call, type, from);
}

void kp_agg_multiset_finish(struct kp_agg_call *call, enum kp_type_id type, struct kp_multiset **set)
{
    agg_account(call, -(int64_t)kp_multiset_bytes(*set, type));
    kp_multiset_destroy(*set, type);
    *set = NULL;
}

void kp_agg_values_update(struct kp_agg_call *call, void *const *states, const struct kp_vec *const *args,
                          const int64_t *weights, uint32_t rows)
{
    int64_t gained = 0;
    for (uint32_t i = 0; i < rows; i++) {
        struct agg_values *state = states[i];
        gained += kp_multiset_add(&state->values, args[0]->type.id, kp_vec_at(args[0], i), weights ? weights[i] : 1);
    }
    agg_account(call, gained);
}

void kp_agg_values_merge(struct kp_agg_call *call, void *const *into, void *const *from, uint32_t rows)
{
    for (uint32_t i = 0; i < rows; i++) {
        struct agg_values *to = into[i], *source = from[i];
        kp_agg_multiset_merge(call, call->arg_types[0].id, &to->values, &source->values);
    }
}

static void finalize(struct kp_agg_call *call, void *const *states, uint32_t rows, struct kp_vec *out, bool greatest)
{
    size_t width = kp_vec_width(out);
    enum kp_type_id type = out->type.id;
    for (uint32_t i = 0; i < rows; i++) {
        const struct agg_values *state = states[i];
        void *to = (char *)out->data + i * width;
        const struct kp_multiset_entry *entry =
            greatest ? kp_multiset_last(state->values, type) : kp_multiset_first(state->values);
        if (entry) {
            kp_value_copy_arena(type, entry->value, call->call.arena, to);
        } else {
            memset(to, 0, width);
            agg_set_null(call, rows, out, i);
        }
    }
}

void kp_agg_values_least(struct kp_agg_call *call, void *const *states, uint32_t rows, struct kp_vec *out)
{
    finalize(call, states, rows, out, false);
}

void kp_agg_values_greatest(struct kp_agg_call *call, void *const *states, uint32_t rows, struct kp_vec *out)
{
    finalize(call, states, rows, out, true);
}

void kp_agg_values_destroy(struct kp_agg_call *call, void *of)
{
    struct agg_values *state = of;
    kp_agg_multiset_finish(call, call->arg_types[0].id, &state->values);
}
