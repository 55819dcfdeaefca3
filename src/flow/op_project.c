/*
 * Projection: expressions over the input's columns; and the plain choice of columns, which copies nothing.
 */
#include "flow/graph.h"

struct op_project {
    struct kp_node node;
    struct kp_expr **exprs;
};

static enum kp_code project_push(struct kp_node *node, struct kp_lane *lane, uint32_t port, const struct kp_flow *in,
                                 struct kp_error *err)
{
    struct op_project *op = (struct op_project *)node;
    struct kp_eval eval = kp_lane_eval(lane, node);
    struct kp_batch *batch = kp_batch_create(&lane->arena, node->col_count, in->batch->rows);
    batch->weights = in->batch->weights;
    for (uint32_t c = 0; c < node->col_count; c++)
        kp_eval(&eval, op->exprs[c], in->batch, &batch->vecs[c]);
    struct kp_flow out = {.batch = batch, .positions = in->positions, .watermarks = in->watermarks};
    if (eval.error_count) {
        kp_node_divert(node, lane, &eval, in);
        uint32_t *index = kp_arena_alloc(&lane->arena, batch->rows * sizeof *index);
        uint32_t n = kp_eval_good_rows(&eval, batch->rows, index);
        out = kp_flow_gather(&out, index, n, &lane->arena);
    }
    return kp_node_send(node, lane, &out, err);
}

static bool project_same(const struct kp_node *a, const struct kp_node *b)
{
    const struct op_project *x = (const struct op_project *)a, *y = (const struct op_project *)b;
    for (uint32_t c = 0; c < a->col_count; c++)
        if (!kp_expr_equal(x->exprs[c], y->exprs[c]))
            return false;
    return true;
}

static const struct kp_node_ops project_ops = {
    .kind = "project", .bytes = sizeof(struct op_project), .push = project_push, .same = project_same};

struct kp_node *kp_op_project(struct kp_graph *graph, const struct kp_plan *plan,
                              const struct kp_session_settings *settings, struct kp_node *input)
{
    struct op_project *op =
        (struct op_project *)kp_node_create(graph, &project_ops, plan->cols, plan->col_count, &input, 1);
    op->node.settings = *settings;
    op->exprs = kp_arena_alloc(&op->node.arena, plan->col_count * sizeof *op->exprs);
    for (uint32_t c = 0; c < plan->col_count; c++) {
        op->exprs[c] = kp_expr_own(plan->project.exprs[c], &op->node.arena);
        op->node.uses_positions |= op->exprs[c]->can_fail;
        op->node.form = kp_hash_combine(op->node.form, kp_expr_hash(op->exprs[c]));
    }
    return kp_node_share(&op->node);
}

/* ---- columns ---- */

struct op_columns {
    struct kp_node node;
    uint32_t *columns;
};

static enum kp_code columns_push(struct kp_node *node, struct kp_lane *lane, uint32_t port, const struct kp_flow *in,
                                 struct kp_error *err)
{
    struct op_columns *op = (struct op_columns *)node;
    struct kp_batch *batch = kp_batch_create(&lane->arena, node->col_count, in->batch->rows);
    batch->weights = in->batch->weights;
    for (uint32_t c = 0; c < node->col_count; c++)
        batch->vecs[c] = in->batch->vecs[op->columns[c]];
    struct kp_flow out = {.batch = batch, .positions = in->positions, .watermarks = in->watermarks};
    return kp_node_send(node, lane, &out, err);
}

static bool columns_same(const struct kp_node *a, const struct kp_node *b)
{
    return a->skips_errors == b->skips_errors &&
           memcmp(((const struct op_columns *)a)->columns, ((const struct op_columns *)b)->columns,
                  a->col_count * sizeof(uint32_t)) == 0;
}

const struct kp_node_ops kp_columns_ops = {
    .kind = "columns", .bytes = sizeof(struct op_columns), .push = columns_push, .same = columns_same};

static struct kp_node *make_columns(struct kp_graph *graph, const struct kp_column *cols, uint32_t col_count,
                                    struct kp_node *input, const uint32_t *columns, bool skips_errors)
{
    struct op_columns *op = (struct op_columns *)kp_node_create(graph, &kp_columns_ops, cols, col_count, &input, 1);
    op->columns = kp_arena_alloc(&op->node.arena, (col_count + 1) * sizeof *op->columns);
    memcpy(op->columns, columns, col_count * sizeof *columns);
    op->node.skips_errors = skips_errors;
    op->node.form = kp_hash_bytes(columns, col_count * sizeof *columns);
    return kp_node_share(&op->node);
}

struct kp_node *kp_op_columns(struct kp_graph *graph, const struct kp_column *cols, uint32_t col_count,
                              struct kp_node *input, const uint32_t *columns)
{
    bool all = col_count == input->col_count;
    for (uint32_t c = 0; all && c < col_count; c++)
        all = columns[c] == c;
    if (all && input->ops != &kp_source_ops) /* a source's columns may become more */
        return input;
    return make_columns(graph, cols, col_count, input, columns, false);
}

struct kp_node *kp_op_columns_skipping(struct kp_graph *graph, const struct kp_column *cols, uint32_t col_count,
                                       struct kp_node *input, const uint32_t *columns)
{
    return make_columns(graph, cols, col_count, input, columns, true);
}

void kp_op_columns_remap(struct kp_node *node, const uint32_t *map)
{
    struct op_columns *op = (struct op_columns *)node;
    for (uint32_t c = 0; c < node->col_count; c++)
        op->columns[c] = map[op->columns[c]];
    node->form = kp_hash_bytes(op->columns, node->col_count * sizeof *op->columns);
}
