/* Filter: the rows for which the predicate is true, compacted. A row whose predicate fails is diverted. What lets no
 * row pass tells no error either: PostgreSQL does not compute what is below it. */
#include "flow/graph.h"

struct op_filter {
    struct kp_node node;
    struct kp_expr *predicate;
};

static enum kp_code filter_push(struct kp_node *node, struct kp_lane *lane, uint32_t port, const struct kp_flow *in,
                                struct kp_error *err)
{
    struct op_filter *op = (struct op_filter *)node;
    struct kp_eval eval = kp_lane_eval(lane, node);
    struct kp_vec is;
    kp_eval(&eval, op->predicate, in->batch, &is);
    kp_node_divert(node, lane, &eval, in);
    uint32_t *index = kp_arena_alloc(&lane->arena, in->batch->rows * sizeof *index);
    uint32_t n = kp_eval_true_rows(&eval, &is, in->batch->rows, index);
    if (n == 0)
        return KP_OK;
    struct kp_flow out = kp_flow_gather(in, index, n, &lane->arena);
    return kp_node_send(node, lane, &out, err);
}

static bool filter_same(const struct kp_node *a, const struct kp_node *b)
{
    return kp_expr_equal(((const struct op_filter *)a)->predicate, ((const struct op_filter *)b)->predicate);
}

static const struct kp_node_ops filter_ops = {
    .kind = "filter", .bytes = sizeof(struct op_filter), .push = filter_push, .same = filter_same};

struct kp_node *kp_op_filter(struct kp_graph *graph, const struct kp_plan *plan,
                             const struct kp_session_settings *settings, struct kp_node *input)
{
    struct op_filter *op =
        (struct op_filter *)kp_node_create(graph, &filter_ops, plan->cols, plan->col_count, &input, 1);
    op->node.settings = *settings;
    op->node.consolidated = input->consolidated;
    op->predicate = kp_expr_own(plan->filter.predicate, &op->node.arena);
    op->node.uses_positions = op->predicate->can_fail;
    op->node.skips_errors =
        op->predicate->kind == KP_EXPR_CONST && (op->predicate->datum.null || !op->predicate->datum.b);
    op->node.form = kp_expr_hash(op->predicate);
    return kp_node_share(&op->node);
}
