/*
 * What a MATCH_RECOGNIZE means, bound: beside KP_PLAN_MATCH.
 *
 * Expressions of DEFINE and MEASURES read no columns of rows but *navigations*: values found from the row at hand by
 * walking the rows matched so far (LAST(A.price, 1)), then the rows of the partition (PREV(…)). Column i of such an
 * expression is navigation i.
 *
 * The pattern is a program for a backtracking matcher: what is preferred is tried first.
 *
 *   A B*        0: row A   1: split 2 4   2: row B   3: jump 1   4: end
 */
#ifndef KP_SQL_MATCH_PLAN_H
#define KP_SQL_MATCH_PLAN_H

#include "sql/plan.h"

enum { KP_MATCH_VARIABLES_MAX = 64, KP_MATCH_OPS_MAX = 10000 };

enum kp_match_nav_kind {
    KP_NAV_COLUMN,     /* a column of the row found; NULL if there is no such row */
    KP_NAV_EXISTS,     /* whether there is one */
    KP_NAV_CLASSIFIER, /* the name of the variable that the row matched */
    KP_NAV_NUMBER,     /* MATCH_NUMBER() */
    KP_NAV_AGGREGATE   /* over the rows of the variables */
};

struct kp_match_nav {
    enum kp_match_nav_kind kind;
    uint64_t variables; /* bits: only rows that matched one of them */
    bool first;         /* counted from the first such row, not back from the last */
    bool final;         /* in the whole match, not only up to the row at hand */
    uint32_t offset;    /* that many such rows further */
    int32_t shift;      /* then that many rows of the partition */
    uint32_t column;    /* of the input */
    struct kp_plan_agg agg;
    struct kp_type type;
};

enum kp_match_code { KP_MATCH_ROW, KP_MATCH_SPLIT, KP_MATCH_JUMP, KP_MATCH_END };
struct kp_match_op {
    enum kp_match_code code;
    uint32_t a, b; /* ROW: variable; SPLIT: first choice, second; JUMP: where to */
};

enum kp_match_skip { KP_MATCH_SKIP_PAST, KP_MATCH_SKIP_NEXT, KP_MATCH_SKIP_FIRST, KP_MATCH_SKIP_LAST };

struct kp_plan_match {
    uint32_t partition_count, *partitions; /* columns of the input */
    uint32_t order_count;                  /* the first keys: ORDER BY */
    uint32_t key_count;                    /* with those that only break ties */
    struct kp_sort_key *keys;
    uint32_t variable_count;
    const char **variables;
    struct kp_expr **defines; /* NULL: every row */
    uint32_t nav_count;
    struct kp_match_nav *navs;
    uint32_t op_count;
    struct kp_match_op *ops;
    enum kp_match_skip skip;
    uint64_t skip_variables;
    bool all_rows;
    int64_t within; /* the last row's time is less than this after the first's; in the unit of the first key; 0: any */
    bool frees;     /* rows of times ≤ the watermark - lateness_us - within take part in no later match */
    int64_t lateness_us;
    uint32_t shown_count, *shown; /* columns of the input that it yields, before the measures */
    uint32_t measure_count;
    struct kp_expr **measures;
};

struct kp_plan_match *kp_plan_match_copy(const struct kp_plan_match *match, struct kp_arena *arena,
                                         struct kp_expr *(*replace)(const struct kp_expr *expr, struct kp_arena *arena,
                                                                    void *arg),
                                         void *arg);
bool kp_plan_match_equal(const struct kp_plan_match *a, const struct kp_plan_match *b);
bool kp_match_nav_equal(const struct kp_match_nav *a, const struct kp_match_nav *b);
void kp_plan_match_print(const struct kp_plan *plan, struct kp_buf *out);
/* Calls visit with every number of a column of the input, which it may change. */
void kp_plan_match_each_column(struct kp_plan_match *match, void (*visit)(uint32_t *column, void *arg), void *arg);

#endif
