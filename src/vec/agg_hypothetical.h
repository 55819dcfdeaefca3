/*
 * For agg_rank.c and its like: where a row that is not there would stand among a group's rows,
 * rank(direct…) WITHIN GROUP (ORDER BY keys…).
 *
 * The call's arguments are the direct ones, then as many keys, of the same types. State: the rows' sort keys with their
 * weights, and the sort key of the row that is asked for, which is meant to be one for the group: the first that the
 * state sees.
 */
#ifndef KP_VEC_AGG_HYPOTHETICAL_H
#define KP_VEC_AGG_HYPOTHETICAL_H

#include "vec/agg_values.h"

struct agg_hypothetical {
    struct kp_multiset *rows;
    uint64_t asked_known;
    uint8_t asked[16]; /* a struct kp_text on the heap */
};

/* How many rows stand where. */
struct agg_standing {
    int64_t before, peers, count; /* count: of all rows */
    int64_t different;            /* different keys before */
};
struct agg_standing kp_agg_hypothetical_find(const struct agg_hypothetical *state);

void kp_agg_hypothetical_update(struct kp_agg_call *call, void *const *states, const struct kp_vec *const *args,
                                const int64_t *weights, uint32_t rows);
void kp_agg_hypothetical_merge(struct kp_agg_call *call, void *const *into, void *const *from, uint32_t rows);
void kp_agg_hypothetical_destroy(struct kp_agg_call *call, void *of);

#define AGG_HYPOTHETICAL(name, ret_type, finalize, doc)                                                                \
    static const struct kp_agg_impl impl = {sizeof(struct agg_hypothetical), kp_agg_hypothetical_update,               \
                                            kp_agg_hypothetical_merge, finalize, kp_agg_hypothetical_destroy};         \
    static const struct kp_agg aggs[] = {                                                                              \
        {#name, 2, {KP_ANY, KP_ANY}, ret_type, KP_AGG_WITHIN | KP_AGG_HYPOTHETICAL, &impl, &impl, doc},                \
    };                                                                                                                 \
    KP_AGGREGATES(name, aggs)

#endif
