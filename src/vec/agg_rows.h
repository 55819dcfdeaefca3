/*
 * For agg_*.c: a group's rows in order, with weights, for aggregates that give all their values back (array_agg,
 * string_agg, percentile_cont …). Rows can be taken away; the order does not depend on how they came.
 *
 * A row is one entry of a multiset of byte strings whose order is memcmp's:
 *
 *   sort keys of ORDER BY | sort keys of the values, and their text where equal ones look different | values | uint32
 *                                                                                         where the values begin
 *   a value: uint8 1: NULL | fixed bytes, or uint32 length and bytes
 */
#ifndef KP_VEC_AGG_ROWS_H
#define KP_VEC_AGG_ROWS_H

#include "vec/agg_values.h"

struct agg_rows {
    struct kp_multiset *rows;
};

/* Adds row i: values are args[0 … value_count), keys args[key_from … call->arg_count) with call->orders. */
void kp_agg_rows_add(struct kp_agg_call *call, struct agg_rows *rows, const struct kp_vec *const *args, uint32_t i,
                     uint32_t value_count, uint32_t key_from, int64_t weight);
void kp_agg_rows_merge(struct kp_agg_call *call, struct agg_rows *into, struct agg_rows *from);
void kp_agg_rows_finish(struct kp_agg_call *call, struct agg_rows *rows);

struct agg_rows_cursor {
    uint64_t at;
    const uint8_t *values; /* of the row, for kp_agg_rows_value */
    int64_t weight;
};
/* The next row in order, from a zeroed cursor; false at the end. */
bool kp_agg_rows_next(const struct agg_rows *rows, struct agg_rows_cursor *cursor);
/* The last one, behind which there is none; false if there are none. */
bool kp_agg_rows_last(const struct agg_rows *rows, struct agg_rows_cursor *ret_cursor);
/* The row's next value; texts are borrowed from the state, large numerics made in the arena. False: NULL. */
bool kp_agg_rows_value(struct agg_rows_cursor *cursor, enum kp_type_id type, struct kp_arena *arena, void *ret_value);

/* Updates of the common forms: all arguments that are no keys are values. */
void kp_agg_rows_update(struct kp_agg_call *call, void *const *states, const struct kp_vec *const *args,
                        const int64_t *weights, uint32_t rows);
void kp_agg_rows_merge_all(struct kp_agg_call *call, void *const *into, void *const *from, uint32_t rows);
void kp_agg_rows_destroy(struct kp_agg_call *call, void *state);

#endif
