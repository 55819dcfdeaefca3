/* Repeat: each row as often as a bigint column of it says. Linear: a retraction takes as many away. */
#include "flow/graph.h"

struct op_repeat {
    struct kp_node node;
    uint32_t column;
};

static enum kp_code repeat_push(struct kp_node *node, struct kp_lane *lane, uint32_t port, const struct kp_flow *in,
                                struct kp_error *err)
{
    const struct op_repeat *op = (const struct op_repeat *)node;
    const struct kp_vec *times = &in->batch->vecs[op->column];
    uint32_t rows = in->batch->rows, n = 0, *index = kp_arena_alloc(&lane->arena, rows * sizeof *index);
    int64_t *weights = kp_arena_alloc(&lane->arena, rows * sizeof *weights);
    bool all_one = true;
    for (uint32_t i = 0; i < rows; i++) {
        int64_t weight = in->batch->weights ? in->batch->weights[i] : 1, count = 0;
        if (!kp_vec_is_null(times, i))
            memcpy(&count, kp_vec_at(times, i), sizeof count);
        if (__builtin_mul_overflow(weight, KP_MAX(count, 0), &weight))
            return kp_fail(err, KP_LIMIT, "54000", "a row would be repeated too often");
        if (weight == 0)
            continue;
        all_one = all_one && weight == 1;
        weights[n] = weight;
        index[n++] = i;
    }
    if (n == 0)
        return KP_OK;
    struct kp_flow out = n == rows ? *in : kp_flow_gather(in, index, n, &lane->arena);
    struct kp_batch batch = *out.batch;
    batch.weights = all_one ? NULL : weights;
    struct kp_batch *sent = kp_arena_alloc(&lane->arena, sizeof *sent);
    *sent = batch;
    out.batch = sent;
    return kp_node_send(node, lane, &out, err);
}

static bool repeat_same(const struct kp_node *a, const struct kp_node *b)
{
    return ((const struct op_repeat *)a)->column == ((const struct op_repeat *)b)->column;
}

static const struct kp_node_ops repeat_ops = {
    .kind = "repeat", .bytes = sizeof(struct op_repeat), .push = repeat_push, .same = repeat_same};

struct kp_node *kp_op_repeat(struct kp_graph *graph, const struct kp_plan *plan, struct kp_node *input)
{
    struct op_repeat *op =
        (struct op_repeat *)kp_node_create(graph, &repeat_ops, plan->cols, plan->col_count, &input, 1);
    op->column = plan->repeat.column;
    op->node.consolidated = input->consolidated;
    return kp_node_share(&op->node);
}
