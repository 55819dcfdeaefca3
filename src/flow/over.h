/*
 * Window functions over one partition: its rows in order in, a value per row and function out. op_over.c keeps the
 * partitions, over_frame.c says which rows are a row's frame.
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

/* A partition being computed. */
struct kp_over_rows {
    const struct kp_vec *vecs;
    uint32_t count;
    uint32_t *group;       /* of each row: which run of peers */
    uint32_t *group_first; /* of each run, and one more: the number of rows */
    uint32_t group_count;
    const struct kp_sort_key *key; /* the first of ORDER BY */
    const struct kp_session_settings *settings;
    struct kp_arena *arena;
};

/* [first, end) of each row, which never go back from a row to the next; what EXCLUDE leaves out is still in. */
struct kp_over_frames {
    uint32_t *first, *end;
    const struct kp_row_error **errors; /* per row; NULL: none */
};
void kp_over_find_peers(const struct kp_over *over, struct kp_over_rows *rows);
void kp_over_frames(const struct kp_over_rows *rows, const struct kp_plan_frame *frame,
                    struct kp_over_frames *ret_frames);
/* The pieces of a row's frame, in order, without what is excluded: at most three. */
struct kp_over_piece {
    uint32_t first, end;
};
uint32_t kp_over_pieces(const struct kp_over_rows *rows, const struct kp_plan_frame *frame, uint32_t row,
                        uint32_t first, uint32_t end, struct kp_over_piece *ret_pieces);

KP_MUST enum kp_code kp_over_check(const struct kp_plan *plan, struct kp_error *err);
void kp_over_define(struct kp_over *over, const struct kp_plan *plan, struct kp_arena *arena);
bool kp_over_same(const struct kp_over *a, const struct kp_over *b);
/* vecs: the columns that are read, of answer->count rows. Fills values and errors; they borrow strings of vecs. */
void kp_over_compute(const struct kp_over *over, const struct kp_session_settings *settings, const struct kp_vec *vecs,
                     struct kp_over_answer *answer, struct kp_arena *arena);

#endif
