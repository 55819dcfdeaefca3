/*
 * Evaluates bound expressions on batches, a vector at a time.
 *
 * A row whose expression fails does not stop the others: its error is noted and its value is garbage in defined memory.
 * The caller diverts failed rows (kp_eval_failed). Nothing here keeps state between calls, so one plan may be evaluated
 * by many threads, each with its own struct kp_eval.
 */
#ifndef KP_FLOW_EVAL_H
#define KP_FLOW_EVAL_H

#include "sql/plan.h"

struct kp_eval {
    struct kp_arena *arena; /* results and scratch: lives as long as what is made of the results */
    const struct kp_session_settings *settings;
    struct kp_row_error *errors; /* in the arena; a row may come more than once, its first error counts */
    uint32_t error_count, error_cap;
};

/* ret_vec has batch->rows values or is constant; it may share memory with the batch's columns. */
void kp_eval(struct kp_eval *eval, const struct kp_expr *expr, const struct kp_batch *batch, struct kp_vec *ret_vec);
/* A kernel over all rows of a call, whose arguments and result are ready for it, so that it can be stopped. */
void kp_eval_kernel(const struct kp_func *func, struct kp_call *call, const struct kp_vec *const *args,
                    struct kp_vec *out);
/* Of arrays (eval_array.c): ANY, ALL, a cast or check of the elements, elements as arguments. */
void kp_eval_any_all(struct kp_eval *eval, const struct kp_expr *expr, const struct kp_batch *batch,
                     struct kp_vec *ret_vec);
void kp_eval_array_coerce(struct kp_eval *eval, const struct kp_expr *expr, const struct kp_batch *batch,
                          struct kp_vec *ret_vec);
void kp_eval_array_check(struct kp_eval *eval, const struct kp_expr *expr, const struct kp_batch *batch,
                         struct kp_vec *ret_vec);
void kp_eval_spread(struct kp_eval *eval, const struct kp_expr *expr, const struct kp_batch *batch,
                    struct kp_vec *ret_vec);
/* Adds errors found elsewhere. */
void kp_eval_note(struct kp_eval *eval, const struct kp_row_error *errors, uint32_t count);
/* Keeps of the noted errors the first of each row, in order of rows. */
void kp_eval_first_errors(struct kp_eval *eval);
/* The rows (ascending) for which a boolean vector is true; errors' rows are left out. index has room for `rows`. */
uint32_t kp_eval_true_rows(const struct kp_eval *eval, const struct kp_vec *vec, uint32_t rows, uint32_t *index);
/* The rows without an error, ascending. */
uint32_t kp_eval_good_rows(const struct kp_eval *eval, uint32_t rows, uint32_t *index);

/* A deep copy in another arena, CALLs prepared there; NULL gives NULL. Operators own theirs: plans may go before them.
 */
struct kp_expr *kp_expr_own(const struct kp_expr *expr, struct kp_arena *arena);
/* True if it or an argument is of this kind. */
bool kp_expr_has(const struct kp_expr *expr, enum kp_expr_kind kind);

#endif
