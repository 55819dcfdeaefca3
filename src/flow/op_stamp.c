/*
 * Positions through operators that keep rows and give them out again later: a column of the row on the way in, taken
 * out again behind them.
 *
 *   rows ─► stamp ─► window, session ─► unstamp ─► what may fail, and names the row's record
 *        cols, position           cols, position, window
 *
 * It is done only below what may fail (build.c): the operator keeps eight bytes more of each row. A row whose position
 * is not known has -1.
 */
#include "flow/graph.h"

struct op_unstamp {
    struct kp_node node;
    uint32_t column; /* of the input */
};

static enum kp_code stamp_push(struct kp_node *node, struct kp_lane *lane, uint32_t port, const struct kp_flow *in,
                               struct kp_error *err)
{
    uint32_t count = in->batch->cols, rows = in->batch->rows;
    struct kp_batch *batch = kp_batch_create(&lane->arena, count + 1, rows);
    memcpy(batch->vecs, in->batch->vecs, count * sizeof *batch->vecs);
    batch->weights = in->batch->weights;
    kp_vec_init(&batch->vecs[count], &lane->arena, KP_TYPE(KP_INT8), rows);
    int64_t *positions = batch->vecs[count].data;
    for (uint32_t i = 0; i < rows; i++)
        positions[i] = in->positions ? in->positions[i] : -1;
    struct kp_flow out = {.batch = batch, .positions = in->positions, .watermarks = in->watermarks};
    return kp_node_send(node, lane, &out, err);
}

static enum kp_code unstamp_push(struct kp_node *node, struct kp_lane *lane, uint32_t port, const struct kp_flow *in,
                                 struct kp_error *err)
{
    uint32_t column = ((const struct op_unstamp *)node)->column, rest = in->batch->cols - column - 1;
    struct kp_batch *batch = kp_batch_create(&lane->arena, node->col_count, in->batch->rows);
    memcpy(batch->vecs, in->batch->vecs, column * sizeof *batch->vecs);
    memcpy(batch->vecs + column, in->batch->vecs + column + 1, rest * sizeof *batch->vecs);
    batch->weights = in->batch->weights;
    struct kp_vec positions = kp_vec_flatten(&in->batch->vecs[column], &lane->arena, in->batch->rows);
    struct kp_flow out = {.batch = batch, .positions = positions.data};
    return kp_node_send(node, lane, &out, err);
}

static bool stamp_same(const struct kp_node *a, const struct kp_node *b)
{
    return true;
}

static bool unstamp_same(const struct kp_node *a, const struct kp_node *b)
{
    return ((const struct op_unstamp *)a)->column == ((const struct op_unstamp *)b)->column;
}

static const struct kp_node_ops stamp_ops = {
    .kind = "stamp", .bytes = sizeof(struct kp_node), .push = stamp_push, .same = stamp_same};
static const struct kp_node_ops unstamp_ops = {
    .kind = "unstamp", .bytes = sizeof(struct op_unstamp), .push = unstamp_push, .same = unstamp_same};

struct kp_plan kp_op_stamped_plan(const struct kp_plan *plan, uint32_t column, struct kp_arena *arena)
{
    struct kp_plan stamped = *plan;
    stamped.col_count++;
    stamped.cols = kp_arena_alloc(arena, stamped.col_count * sizeof *stamped.cols);
    memcpy(stamped.cols, plan->cols, column * sizeof *plan->cols);
    stamped.cols[column] = (struct kp_column){.name = "_position", .type = KP_TYPE(KP_INT8)};
    memcpy(stamped.cols + column + 1, plan->cols + column, (plan->col_count - column) * sizeof *plan->cols);
    return stamped;
}

struct kp_node *kp_op_stamp(struct kp_graph *graph, const struct kp_plan *input_plan, struct kp_node *input)
{
    struct kp_arena arena = {0};
    struct kp_plan stamped = kp_op_stamped_plan(input_plan, input_plan->col_count, &arena);
    struct kp_node *node = kp_node_create(graph, &stamp_ops, stamped.cols, stamped.col_count, &input, 1);
    kp_arena_finish(&arena);
    node->uses_positions = true;
    return kp_node_share(node);
}

struct kp_node *kp_op_unstamp(struct kp_graph *graph, const struct kp_plan *plan, uint32_t column,
                              struct kp_node *input)
{
    struct op_unstamp *op =
        (struct op_unstamp *)kp_node_create(graph, &unstamp_ops, plan->cols, plan->col_count, &input, 1);
    op->column = column;
    return kp_node_share(&op->node);
}
