/*
 * Window functions over one partition: its rows in order in, a value per row and function out. op_over.c keeps the
 * partitions.
 */
#ifndef KP_FLOW_OVER_H
#define KP_FLOW_OVER_H

#include "sql/plan.h"

enum { KP_OVER_ROWS_MAX = 1 << 28 };

struct kp_over_call {
    struct kp_plan_over_call plan;
    const struct kp_agg_impl *impl; /* of an aggregate */
    struct kp_type arg_types[KP_FUNCTION_ARGS_MAX];
    bool slides; /* the frame's first row moves */
};

struct kp_over {
    uint32_t order_count, key_count; /* rows with equal first order_count keys are peers */
    struct kp_sort_key *keys;
    uint32_t call_count;
    struct kp_over_call *calls;
    uint32_t col_count;
    bool *reads; /* of the input's columns: keys and arguments */
};

/* A partition's rows in order, copies one by one; and the values. */
struct kp_over_answer {
    uint32_t count;
    uint32_t *ids;
    struct kp_vec *values;              /* a dense vector per call */
    const struct kp_row_error **errors; /* per row, NULL: none; NULL if no row failed */
};

KP_MUST enum kp_code kp_over_check(const struct kp_plan *plan, struct kp_error *err);
void kp_over_define(struct kp_over *over, const struct kp_plan *plan, struct kp_arena *arena);
bool kp_over_same(const struct kp_over *a, const struct kp_over *b);
/* vecs: the columns that are read, of answer->count rows. Fills values and errors; they borrow strings of vecs. */
void kp_over_compute(const struct kp_over *over, const struct kp_session_settings *settings, const struct kp_vec *vecs,
                     struct kp_over_answer *answer, struct kp_arena *arena);

#endif
