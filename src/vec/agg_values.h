/*
 * For agg_*.c: a group's values, all of them in order, for aggregates that give one back when others are taken away.
 * Zeroed memory is the empty state; memory is accounted in the call's budget.
 */
#ifndef KP_VEC_AGG_VALUES_H
#define KP_VEC_AGG_VALUES_H

#include "vec/agg_exact.h"
#include "vec/multiset.h"

struct agg_values {
    struct kp_multiset *values;
};

/* The functions of an implementation; of one argument, which is the value. */
void kp_agg_values_update(struct kp_agg_call *call, void *const *states, const struct kp_vec *const *args,
                          const int64_t *weights, uint32_t rows);
void kp_agg_values_merge(struct kp_agg_call *call, void *const *into, void *const *from, uint32_t rows);
/* The least value, and the first of the greatest that are equal; NULL: there is none. */
void kp_agg_values_least(struct kp_agg_call *call, void *const *states, uint32_t rows, struct kp_vec *out);
void kp_agg_values_greatest(struct kp_agg_call *call, void *const *states, uint32_t rows, struct kp_vec *out);
void kp_agg_values_destroy(struct kp_agg_call *call, void *of);

/* Multisets of other states. */
void kp_agg_multiset_merge(struct kp_agg_call *call, enum kp_type_id type, struct kp_multiset **into,
                           struct kp_multiset **from);
void kp_agg_multiset_finish(struct kp_agg_call *call, enum kp_type_id type, struct kp_multiset **set);

static inline void agg_set_null(struct kp_agg_call *call, uint32_t rows, struct kp_vec *out, uint32_t row)
{
    kp_vec_need_valid(out, call->call.arena, rows);
    kp_vec_set_null(out, row);
}

#endif
