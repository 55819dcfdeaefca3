/*
 * any_value: some value, the least: what a scalar subquery shows of its one row. PostgreSQL has it since 16, for values
 * in any order. Over input that can be taken away all values are kept.
 */
#include "vec/agg_values.h"

static const struct kp_agg_impl impl = {sizeof(struct agg_values), kp_agg_values_update, kp_agg_values_merge,
                                        kp_agg_values_least, kp_agg_values_destroy};

static const struct kp_agg aggs[] = {
    {"any_value", 1, {KP_ANYELEMENT}, KP_ANYELEMENT, true, &impl, &impl, "some value: the least"},
};
KP_AGGREGATES(any_value, aggs);
