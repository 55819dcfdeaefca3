/*
 * Rows of a source whose records have expired, on their way out of one graph and into another.
 *
 *   source ─► columns ─► stamped ─► output            rows, and behind their columns the position of each row's record
 *                                                     and the watermark at it (or NULL)
 *   input of such batches: expired ─► columns ─┐
 *                         source ─► columns ─┴─► union ─► the plan, which sees no difference
 *
 * So what late rows are, and which error rows cancel, is as it was when the records were there.
 */
#include <stdio.h>

#include "flow/graph.h"

struct op_expired {
    struct kp_node node;
    uint32_t *columns; /* of the relation, in the node's order */
};

/* ---- in ---- */

static enum kp_code send_batch(void *arg, struct kp_lane *lane, uint32_t task, struct kp_error *err)
{
    void *const *both = arg;
    struct kp_node *node = both[0];
    struct kp_batch *batch = ((const struct kp_step_input *)both[1])->batches[task];
    struct kp_batch *rows = kp_batch_create(&lane->arena, node->col_count, batch->rows);
    memcpy(rows->vecs, batch->vecs, node->col_count * sizeof *rows->vecs);
    rows->weights = batch->weights;
    struct kp_vec watermarks = kp_vec_flatten(&batch->vecs[node->col_count + 1], &lane->arena, batch->rows);
    int64_t *times = kp_arena_alloc(&lane->arena, batch->rows * sizeof *times);
    for (uint32_t i = 0; i < batch->rows; i++) /* not known: it was not asked for, and is not now */
        times[i] = kp_vec_is_null(&watermarks, i) ? INT64_MIN : ((const int64_t *)watermarks.data)[i];
    struct kp_vec positions = kp_vec_flatten(&batch->vecs[node->col_count], &lane->arena, batch->rows);
    struct kp_flow out = {.batch = rows, .positions = positions.data, .watermarks = times};
    return kp_node_send(node, lane, &out, err);
}

static enum kp_code expired_bring(struct kp_node *node, const struct kp_step_input *input, struct kp_error *err)
{
    if (!input || input->batch_count == 0)
        return KP_OK;
    for (size_t i = 0; i < input->batch_count; i++)
        if (input->batches[i]->cols != node->col_count + 2)
            return kp_fail(err, KP_INVALID, "XX000", "expired rows of %u columns were brought with %u", node->col_count,
                           input->batches[i]->cols);
    void *both[2] = {node, (void *)(uintptr_t)input};
    return kp_graph_parallel(node->graph, (uint32_t)input->batch_count, send_batch, both, err);
}

static const struct kp_node_ops expired_ops = {
    .kind = "expired", .bytes = sizeof(struct op_expired), .bring = expired_bring};

struct kp_node *kp_graph_expired(struct kp_graph *graph, const struct kp_relation *relation, const uint32_t *columns,
                                 uint32_t count, bool growing)
{
    struct op_expired *op =
        (struct op_expired *)kp_node_create(graph, &expired_ops, relation->cols, relation->col_count, NULL, 0);
    op->node.col_count = count;
    op->columns = kp_arena_alloc(&op->node.arena, (count + 1) * sizeof *op->columns);
    for (uint32_t i = 0; i < count; i++) {
        op->columns[i] = columns[i];
        op->node.types[i] = relation->cols[columns[i]].type;
    }
    op->node.growing = growing;
    op->node.pinned = true;
    snprintf(op->node.detail, sizeof op->node.detail, "%s", relation->name);
    return &op->node;
}

struct kp_node *kp_op_expired_columns(struct kp_node *expired, const struct kp_plan *scan)
{
    const struct op_expired *op = (const struct op_expired *)expired;
    uint32_t *places = kp_calloc(scan->col_count + 1, sizeof *places);
    for (uint32_t c = 0; c < scan->col_count; c++)
        while (places[c] < expired->col_count && op->columns[places[c]] != scan->scan.columns[c])
            places[c]++;
    for (uint32_t c = 0; c < scan->col_count; c++)
        KP_ASSERT(places[c] < expired->col_count);
    struct kp_node *node = kp_op_columns(expired->graph, scan->cols, scan->col_count, expired, places);
    kp_free(places);
    return node;
}

/* ---- out ---- */

static enum kp_code stamped_push(struct kp_node *node, struct kp_lane *lane, uint32_t port, const struct kp_flow *in,
                                 struct kp_error *err)
{
    uint32_t count = node->col_count - 2, rows = in->batch->rows;
    struct kp_batch *batch = kp_batch_create(&lane->arena, node->col_count, rows);
    memcpy(batch->vecs, in->batch->vecs, count * sizeof *batch->vecs);
    batch->weights = in->batch->weights;
    kp_vec_init(&batch->vecs[count], &lane->arena, KP_TYPE(KP_INT8), rows);
    kp_vec_init(&batch->vecs[count + 1], &lane->arena, KP_TYPE(KP_INT8), rows);
    memcpy(batch->vecs[count].data, in->positions, rows * sizeof(int64_t));
    if (in->watermarks && node->uses_watermarks) {
        memcpy(batch->vecs[count + 1].data, in->watermarks, rows * sizeof(int64_t));
    } else {
        memset(batch->vecs[count + 1].data, 0, rows * sizeof(int64_t));
        kp_vec_need_valid(&batch->vecs[count + 1], &lane->arena, rows);
        for (uint32_t i = 0; i < rows; i++)
            kp_vec_set_null(&batch->vecs[count + 1], i);
    }
    struct kp_flow out = {.batch = batch, .positions = in->positions};
    return kp_node_send(node, lane, &out, err);
}

static const struct kp_node_ops stamped_ops = {
    .kind = "stamped", .bytes = sizeof(struct kp_node), .push = stamped_push};

enum kp_code kp_graph_stamped(struct kp_graph *graph, struct kp_relation *relation, const uint32_t *columns,
                              uint32_t count, bool watermarks, struct kp_node **ret_node, struct kp_error *err)
{
    struct kp_node *source;
    KP_TRY(kp_graph_relation(graph, relation, &source, err));
    struct kp_column *cols = kp_calloc(count + 2, sizeof *cols);
    uint32_t *places = kp_calloc(count + 1, sizeof *places);
    for (uint32_t i = 0; i < count; i++)
        cols[i] = relation->cols[columns[i]];
    cols[count] = (struct kp_column){.name = "_position", .type = KP_TYPE(KP_INT8)};
    cols[count + 1] = (struct kp_column){.name = "_watermark", .type = KP_TYPE(KP_INT8)};
    enum kp_code code = kp_op_source_need(source, columns, count, places, err);
    if (code == KP_OK) {
        struct kp_node *input = kp_op_columns(graph, cols, count, source, places);
        struct kp_node *node = kp_node_create(graph, &stamped_ops, cols, count + 2, &input, 1);
        node->uses_positions = true;
        node->uses_watermarks = watermarks && relation->watermark_column >= 0;
        *ret_node = kp_node_share(node);
    }
    kp_free(cols);
    kp_free(places);
    return code;
}

/* ---- which columns ---- */

static void mark_columns(const struct kp_plan *plan, const struct kp_relation *source, bool *marks)
{
    if (plan->kind == KP_PLAN_SCAN && plan->scan.relation == source)
        for (uint32_t i = 0; i < plan->col_count; i++)
            marks[plan->scan.columns[i]] = true;
    for (uint32_t i = 0; i < plan->input_count; i++)
        mark_columns(plan->inputs[i], source, marks);
}

uint32_t kp_plan_source_columns(const struct kp_plan *plan, const struct kp_relation *source, uint32_t *ret_columns)
{
    bool *marks = kp_calloc(source->col_count + 1, sizeof *marks);
    mark_columns(plan, source, marks);
    uint32_t count = 0;
    for (uint32_t c = 0; c < source->col_count; c++)
        if (marks[c])
            ret_columns[count++] = c;
    kp_free(marks);
    return count;
}
