/* UNION ALL: rows of all inputs, as they come. */
#include "flow/graph.h"

static enum kp_code union_push(struct kp_node *node, struct kp_lane *lane, uint32_t port, const struct kp_flow *in,
                               struct kp_error *err)
{
    return kp_node_send(node, lane, in, err);
}

static bool union_same(const struct kp_node *a, const struct kp_node *b)
{
    return true;
}

static const struct kp_node_ops union_ops = {
    .kind = "union", .bytes = sizeof(struct kp_node), .push = union_push, .same = union_same};

struct kp_node *kp_op_union(struct kp_graph *graph, const struct kp_plan *plan, struct kp_node *const *inputs,
                            uint32_t count)
{
    return kp_node_share(kp_node_create(graph, &union_ops, plan->cols, plan->col_count, inputs, count));
}
