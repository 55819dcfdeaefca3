/*
 * Bound expressions: names resolved, types settled, casts explicit. sql/ makes them, flow/ evaluates them on vectors.
 *
 * Immutable after binding; lives in the arena of its plan. Evaluation order is PostgreSQL's where it can be seen: an
 * AND, OR, CASE or COALESCE evaluates a later argument that can_fail only for the rows that still need it.
 */
#ifndef KP_SQL_EXPR_H
#define KP_SQL_EXPR_H

#include "vec/func.h"

enum kp_expr_kind {
    KP_EXPR_COLUMN, /* column `column` of the input batch */
    KP_EXPR_CONST,  /* `datum` */
    KP_EXPR_PARAM,  /* $`param` (1-based): replaced by a constant before it runs (kp_plan_instantiate) */
    KP_EXPR_CALL,   /* `func`(args): functions, operators, casts */
    KP_EXPR_AND,    /* args, 2 or more, three-valued */
    KP_EXPR_OR,
    KP_EXPR_NOT,
    KP_EXPR_IS_NULL, /* args[0] IS NULL */
    KP_EXPR_IS_NOT_NULL,
    KP_EXPR_IS_TRUE, /* boolean tests; never NULL */
    KP_EXPR_IS_NOT_TRUE,
    KP_EXPR_IS_FALSE,
    KP_EXPR_IS_NOT_FALSE,
    KP_EXPR_DISTINCT, /* args[0] IS DISTINCT FROM args[1]; func is their "=" */
    KP_EXPR_CASE,     /* args: when, then, when, then, …, else (always there, perhaps a NULL constant) */
    KP_EXPR_COALESCE,
    KP_EXPR_GREATEST, /* ignores NULLs; all args of one type */
    KP_EXPR_LEAST,
    KP_EXPR_IN,  /* args[0] = any of args[1…] (all constants of its type); three-valued */
    KP_EXPR_ANY, /* args[0] `func` any element of the array args[1]; three-valued */
    KP_EXPR_ALL,
    KP_EXPR_ARRAY_COERCE, /* the array args[0] with the cast `func` applied to its elements */
    KP_EXPR_ARRAY_CHECK,  /* the array args[0]; fails where `each`, over the batch of its elements, fails */
    KP_EXPR_SPREAD,       /* `func`(args), the last one an array whose elements are arguments: VARIADIC */
    KP_EXPR_NOW           /* log time at the step's position, timestamptz */
};

struct kp_expr {
    enum kp_expr_kind kind;
    struct kp_type type;
    int32_t location; /* byte in the statement's text, -1 if it has none: for error positions */
    bool can_fail;    /* it or one of its arguments can */
    bool stable;      /* depends on session settings or now() */
    uint32_t arg_count;
    struct kp_expr **args;
    union {
        uint32_t column;
        uint32_t param;
        struct kp_datum datum;
        const struct kp_func *func;
        struct kp_expr *each; /* column 0 is the element: no argument, its columns are none of the input */
        struct {
            bool conditions; /* of WHERE, HAVING or ON: what is NULL in one is gone for those behind it */
            uint32_t cap;    /* of args */
        } list;              /* of an AND */
    };
    void *prepared; /* of a CALL, from func->prepare */
};

/* Appends it as SQL text, columns by the given names (NULL: $col0 …): EXPLAIN, error messages. */
struct kp_column;
void kp_expr_print(const struct kp_expr *expr, const struct kp_column *cols, struct kp_buf *out);
/* Structural equality and hash: equal expressions give equal values. */
bool kp_expr_equal(const struct kp_expr *a, const struct kp_expr *b);
uint64_t kp_expr_hash(const struct kp_expr *expr);
/* A deep copy; replace, if given, may return another node for one of the source's (NULL: copy it). */
struct kp_expr *kp_expr_copy(const struct kp_expr *expr, struct kp_arena *arena,
                             struct kp_expr *(*replace)(const struct kp_expr *expr, struct kp_arena *arena, void *arg),
                             void *arg);
/* Whether `func` is set. */
static inline bool kp_expr_calls(const struct kp_expr *expr)
{
    return expr->kind == KP_EXPR_CALL || expr->kind == KP_EXPR_DISTINCT ||
           (expr->kind >= KP_EXPR_ANY && expr->kind <= KP_EXPR_SPREAD && expr->kind != KP_EXPR_ARRAY_CHECK);
}
/* Whether it is a call of a cast, or of what a comparison with timestamps has in place of one (vec/fn_bound.c). */
bool kp_expr_casts(const struct kp_expr *expr);
/* Settles can_fail and stable from the arguments and the function; for nodes made by hand. */
void kp_expr_settle(struct kp_expr *expr);
/* Whether it can fail by a value that is there (a division, a cast from text …), not only by a sum, difference or
 * product that overflows. */
bool kp_expr_fails_by_value(const struct kp_expr *expr);
/* Calls visit for every node, parents first; stops when it returns false. */
bool kp_expr_walk(const struct kp_expr *expr, bool (*visit)(const struct kp_expr *expr, void *arg), void *arg);

#endif
