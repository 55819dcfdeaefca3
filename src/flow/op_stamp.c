/*
 * Positions through operators that keep rows and give them out again later: a column of the row on the way in, taken
 * out again behind them.
 *
 *   rows ─► stamp ─► window, session ─► unstamp ─► what may fail, and names the row's record
 *        cols, position           cols, position, window
 *
 *   rows ─► stamp ─┐
 *                   join ─► unstamp: of a joined row the later of both positions is its own
 *   rows ─► stamp ─┘
 *   rows ─► stamp ─► aggregate, max(position) ─► unstamp: of a group that only grows its last row's
 *
 * It is done only below what may fail (build.c): the operator keeps eight bytes more of each row. A row whose position
 * is not known has -1. What a row's position is depends on the rows that it is made of alone, not on when they came.
 */
#include "flow/graph.h"

struct op_unstamp {
    struct kp_node node;
    uint32_t columns[2]; /* of the input, ascending */
    uint32_t count;
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

/* NULL, of the side of an outer join that is not there, is not known. */
static void take_positions(const struct kp_vec *vec, uint32_t rows, int64_t *positions)
{
    for (uint32_t i = 0; i < rows; i++)
        if (!kp_vec_is_null(vec, i))
            positions[i] = KP_MAX(positions[i], *(const int64_t *)kp_vec_at(vec, i));
}

static enum kp_code unstamp_push(struct kp_node *node, struct kp_lane *lane, uint32_t port, const struct kp_flow *in,
                                 struct kp_error *err)
{
    const struct op_unstamp *op = (const struct op_unstamp *)node;
    uint32_t rows = in->batch->rows, kept = 0;
    struct kp_batch *batch = kp_batch_create(&lane->arena, node->col_count, rows);
    int64_t *positions = kp_arena_alloc(&lane->arena, (rows + 1) * sizeof *positions);
    for (uint32_t i = 0; i < rows; i++)
        positions[i] = -1;
    for (uint32_t c = 0; c < in->batch->cols; c++) {
        if (c == op->columns[0] || (op->count > 1 && c == op->columns[1]))
            take_positions(&in->batch->vecs[c], rows, positions);
        else
            batch->vecs[kept++] = in->batch->vecs[c];
    }
    batch->weights = in->batch->weights;
    struct kp_flow out = {.batch = batch, .positions = positions};
    return kp_node_send(node, lane, &out, err);
}

static enum kp_code forget_push(struct kp_node *node, struct kp_lane *lane, uint32_t port, const struct kp_flow *in,
                                struct kp_error *err)
{
    struct kp_flow out = {.batch = in->batch, .watermarks = in->watermarks};
    return kp_node_send(node, lane, &out, err);
}

static bool stamp_same(const struct kp_node *a, const struct kp_node *b)
{
    return true;
}

static bool unstamp_same(const struct kp_node *a, const struct kp_node *b)
{
    const struct op_unstamp *x = (const struct op_unstamp *)a, *y = (const struct op_unstamp *)b;
    return x->count == y->count && memcmp(x->columns, y->columns, sizeof x->columns) == 0;
}

static const struct kp_node_ops stamp_ops = {
    .kind = "stamp", .bytes = sizeof(struct kp_node), .push = stamp_push, .same = stamp_same};
static const struct kp_node_ops unstamp_ops = {
    .kind = "unstamp", .bytes = sizeof(struct op_unstamp), .push = unstamp_push, .same = unstamp_same};

static const struct kp_node_ops forget_ops = {
    .kind = "forget", .bytes = sizeof(struct kp_node), .push = forget_push, .same = stamp_same};

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

struct kp_node *kp_op_unstamp_both(struct kp_graph *graph, const struct kp_plan *plan, const uint32_t *columns,
                                   uint32_t count, struct kp_node *input)
{
    struct op_unstamp *op =
        (struct op_unstamp *)kp_node_create(graph, &unstamp_ops, plan->cols, plan->col_count, &input, 1);
    memcpy(op->columns, columns, count * sizeof *columns);
    op->count = count;
    return kp_node_share(&op->node);
}

struct kp_node *kp_op_unstamp(struct kp_graph *graph, const struct kp_plan *plan, uint32_t column,
                              struct kp_node *input)
{
    return kp_op_unstamp_both(graph, plan, &column, 1, input);
}

struct kp_node *kp_op_forget_positions(struct kp_graph *graph, const struct kp_plan *plan, struct kp_node *input)
{
    return kp_node_share(kp_node_create(graph, &forget_ops, plan->cols, plan->col_count, &input, 1));
}

struct kp_node *kp_op_unstamped(struct kp_node *node)
{
    return node->ops == &unstamp_ops ? node->inputs[0] : node;
}
