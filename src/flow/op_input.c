/*
 * Entries without decoding: ready batches, and VALUES (constant rows, which come once, in the node's first step).
 */
#include "flow/graph.h"

struct op_input {
    struct kp_node node;
    int32_t position_column; /* holds the positions of the rows' records; -1: they are not known */
};

static enum kp_code send_batch(void *arg, struct kp_lane *lane, uint32_t task, struct kp_error *err)
{
    void *const *both = arg;
    struct kp_node *node = both[0];
    const struct kp_step_input *input = both[1];
    struct kp_flow out = {.batch = input->batches[task]};
    int32_t column = ((struct op_input *)node)->position_column;
    if (column >= 0) {
        struct kp_vec positions = kp_vec_flatten(&out.batch->vecs[column], &lane->arena, out.batch->rows);
        out.positions = positions.data;
    }
    return kp_node_send(node, lane, &out, err);
}

static enum kp_code input_bring(struct kp_node *node, const struct kp_step_input *input, struct kp_error *err)
{
    if (!input || input->batch_count == 0)
        return KP_OK;
    for (size_t i = 0; i < input->batch_count; i++)
        if (input->batches[i]->cols != node->col_count)
            return kp_fail(err, KP_INVALID, "XX000", "an input of %u columns got a batch of %u", node->col_count,
                           input->batches[i]->cols);
    void *both[2] = {node, (void *)(uintptr_t)input};
    return kp_graph_parallel(node->graph, (uint32_t)input->batch_count, send_batch, both, err);
}

const struct kp_node_ops kp_input_ops = {.kind = "input", .bytes = sizeof(struct op_input), .bring = input_bring};

struct kp_node *kp_op_input(struct kp_graph *graph, const struct kp_column *cols, uint32_t col_count, bool growing)
{
    struct kp_node *node = kp_node_create(graph, &kp_input_ops, cols, col_count, NULL, 0);
    node->growing = growing || graph->bounded;
    ((struct op_input *)node)->position_column = -1;
    return node;
}

void kp_node_input_positions(struct kp_node *node, uint32_t column)
{
    KP_ASSERT(node->ops == &kp_input_ops && node->types[column].id == KP_INT8);
    ((struct op_input *)node)->position_column = (int32_t)column;
}

/* ---- VALUES ---- */

struct op_values {
    struct kp_node node;
    uint32_t rows;
    struct kp_expr **exprs; /* rows × columns */
    bool done;
};

static enum kp_code values_bring(struct kp_node *node, const struct kp_step_input *input, struct kp_error *err)
{
    struct op_values *op = (struct op_values *)node;
    if (op->done)
        return KP_OK;
    op->done = true;
    struct kp_lane *lane = &node->graph->lanes[0];
    struct kp_batch nothing = {.rows = 1};
    struct kp_batch *batch = kp_batch_create(&lane->arena, node->col_count, op->rows);
    uint8_t *failed = kp_arena_calloc(&lane->arena, op->rows);
    for (uint32_t c = 0; c < node->col_count; c++) {
        kp_vec_init(&batch->vecs[c], &lane->arena, node->types[c], op->rows);
        memset(batch->vecs[c].data, 0, op->rows * kp_vec_width(&batch->vecs[c]));
    }
    for (uint32_t row = 0; row < op->rows; row++) {
        struct kp_eval eval = kp_lane_eval(lane, node);
        for (uint32_t c = 0; c < node->col_count; c++) {
            struct kp_vec vec;
            kp_eval(&eval, op->exprs[row * node->col_count + c], &nothing, &vec);
            kp_vec_scatter(&batch->vecs[c], op->rows, &vec, &row, 1, &lane->arena);
        }
        failed[row] = eval.error_count > 0;
        struct kp_flow one = {.batch = &nothing};
        kp_node_divert(node, lane, &eval, &one);
    }
    uint32_t *index = kp_arena_alloc(&lane->arena, op->rows * sizeof *index), n = 0;
    for (uint32_t row = 0; row < op->rows; row++)
        if (!failed[row])
            index[n++] = row;
    struct kp_flow all = {.batch = batch}, out = kp_flow_gather(&all, index, n, &lane->arena);
    return kp_node_send(node, lane, &out, err);
}

static const struct kp_node_ops values_ops = {
    .kind = "values", .bytes = sizeof(struct op_values), .bring = values_bring};

struct kp_node *kp_op_values(struct kp_graph *graph, const struct kp_plan *plan,
                             const struct kp_session_settings *settings)
{
    struct op_values *op = (struct op_values *)kp_node_create(graph, &values_ops, plan->cols, plan->col_count, NULL, 0);
    op->node.settings = *settings;
    op->rows = plan->values.rows;
    uint32_t count = op->rows * plan->col_count;
    op->exprs = kp_arena_alloc(&op->node.arena, count * sizeof *op->exprs);
    for (uint32_t i = 0; i < count; i++)
        op->exprs[i] = kp_expr_own(plan->values.exprs[i], &op->node.arena);
    return &op->node;
}
