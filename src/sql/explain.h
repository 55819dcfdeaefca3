/* EXPLAIN's answer: a plan as text or JSON, with what its operators must remember and, if it ran, what it took. */
#ifndef KP_SQL_EXPLAIN_H
#define KP_SQL_EXPLAIN_H

#include "sql/plan.h"

/* What a node of the plan did. */
struct kp_plan_measure {
    bool known; /* false: it was evaluated with the node above it */
    uint64_t rows_in, rows_out, ns, state_rows, state_bytes;
};

struct kp_explain {
    bool json, once; /* once: a query's plan, not a view's: what has a key's values is looked up */
    const struct kp_plan_measure *measures; /* by plan id; NULL: it did not run */
    uint32_t measure_count;
    const char *const *shared; /* by plan id: names of views that have the same part, NULL: of none; NULL: not told */
    int64_t position;          /* what it ran at; -1: not told */
    uint64_t rows;             /* of the answer */
    double ms;
};

/* How many ids the plan's nodes have. */
uint32_t kp_plan_node_count(const struct kp_plan *plan);
/* Text: a line a node, equal parts printed once, then which inputs only grow and which state does so without bound.
 * JSON: one document, PostgreSQL's keys where it has them. */
void kp_plan_explain(const struct kp_plan *plan, const struct kp_explain *explain, struct kp_buf *out);
/* plan_print.c: the node's own line, without a line's end. */
void kp_plan_print_node(const struct kp_plan *plan, struct kp_buf *out);
/* "1.2 kB". */
void kp_explain_bytes(uint64_t bytes, struct kp_buf *out);

#endif
