/*
 * EMIT ON WINDOW CLOSE: rows whose window has ended at or before the watermark, at once; the others wait. Of several
 * sources the least watermark counts.
 *
 *   emitted(P) = the rows of the input at P with window_end ≤ W(P)
 *
 * which depends on P alone. Late pairs were left out where the windows were made (op_window.c), so a closed window's
 * rows change only if something else that the view reads does, and then the change goes through.
 *
 *   waiting row:  | columns | weight |          found by whole row, and in order of (window_end, row number)
 */
#include "flow/graph.h"
#include "flow/ordered.h"
#include "flow/table.h"

struct shard {
    struct kp_table table;
    struct kp_ordered by_end;
    int64_t released; /* windows that end here or before are closed: their rows were sent */
};

struct op_emit {
    struct kp_node node;
    uint32_t end_column;
    struct kp_row_layout layout;
    struct shard *shards;
};

static enum kp_code emit_push(struct kp_node *node, struct kp_lane *lane, uint32_t port, const struct kp_flow *in,
                              struct kp_error *err)
{
    if (port > 0)
        return KP_OK; /* the source, which only tells the time */
    uint64_t *hashes = kp_arena_calloc(&lane->arena, in->batch->rows * sizeof *hashes);
    for (uint32_t c = 0; c < in->batch->cols; c++)
        kp_vec_hash(&in->batch->vecs[c], in->batch->rows, hashes, c == 0);
    kp_inbox_send(&node->inboxes[0], lane, in->batch, hashes, NULL);
    return KP_OK;
}

/* INT64_MAX: never closes before the end of all input. */
static int64_t end_of(const struct kp_vec *vec, uint32_t row)
{
    if (kp_vec_is_null(vec, row))
        return INT64_MAX;
    if (vec->type.id == KP_DATE)
        return (int64_t)((const int32_t *)vec->data)[row] * 86400000000;
    return ((const int64_t *)vec->data)[row];
}

static void end_key(int64_t end_us, uint32_t id, uint8_t *key)
{
    uint64_t end_be = __builtin_bswap64((uint64_t)end_us ^ (uint64_t)1 << 63);
    uint32_t id_be = __builtin_bswap32(id);
    memcpy(key, &end_be, 8);
    memcpy(key + 8, &id_be, 4);
}

static void drop_row(struct shard *shard, uint32_t id, int64_t end_us)
{
    uint8_t key[12];
    uint64_t hash;
    end_key(end_us, id, key);
    kp_ordered_remove(&shard->by_end, key, sizeof key);
    kp_table_hashes(&shard->table, &id, 1, &hash);
    kp_table_remove(&shard->table, id, hash);
}

/* Adds rows of windows that are still open to those that wait. */
static void hold_rows(struct op_emit *op, struct kp_lane *lane, struct shard *shard, const struct kp_batch *batch,
                      const uint64_t *hashes)
{
    uint32_t rows = batch->rows, made = 0;
    uint32_t *ids = kp_arena_alloc(&lane->arena, rows * sizeof *ids),
             *new_rows = kp_arena_alloc(&lane->arena, rows * sizeof *new_rows);
    const struct kp_vec *ends = &batch->vecs[op->end_column];
    kp_table_probe(&shard->table, batch->vecs, hashes, rows, true, ids, new_rows, &made);
    for (uint32_t i = 0; i < made; i++) {
        uint8_t key[12];
        end_key(end_of(ends, new_rows[i]), ids[new_rows[i]], key);
        kp_ordered_insert(&shard->by_end, key, sizeof key, ids[new_rows[i]]);
    }
    for (uint32_t i = 0; i < rows; i++)
        *(int64_t *)kp_table_payload(&shard->table, kp_table_row(&shard->table, ids[i])) +=
            batch->weights ? batch->weights[i] : 1;
    for (uint32_t i = 0; i < rows; i++) { /* a row may have come several times: the first who sees 0 removes it */
        int64_t *weight = kp_table_payload(&shard->table, kp_table_row(&shard->table, ids[i]));
        new_rows[i] = *weight == 0;
        if (*weight == 0)
            *weight = INT64_MIN;
    }
    for (uint32_t i = 0; i < rows; i++)
        if (new_rows[i])
            drop_row(shard, ids[i], end_of(ends, i));
}

static enum kp_code send_closed(struct op_emit *op, struct kp_lane *lane, struct kp_batch *batch, struct kp_error *err)
{
    for (uint32_t i = 0; op->node.growing && batch->weights && i < batch->rows; i++)
        if (batch->weights[i] < 0)
            return kp_fail(err, KP_CORRUPT, "XX000", "a row of a closed window was taken away");
    struct kp_flow out = {.batch = batch};
    return kp_node_send(&op->node, lane, &out, err);
}

/*
 * Changes of windows closed before go through; the others wait, even if their window closes in this step: what takes
 * them away may be in another piece.
 */
static enum kp_code take_piece(struct op_emit *op, struct kp_lane *lane, struct shard *shard,
                               const struct kp_piece *piece, struct kp_error *err)
{
    const struct kp_batch *batch = piece->batch;
    uint32_t *closed = kp_arena_alloc(&lane->arena, batch->rows * sizeof *closed),
             *open = kp_arena_alloc(&lane->arena, batch->rows * sizeof *open);
    uint32_t closed_count = 0, open_count = 0;
    for (uint32_t i = 0; i < batch->rows; i++)
        if (end_of(&batch->vecs[op->end_column], i) <= shard->released)
            closed[closed_count++] = i;
        else
            open[open_count++] = i;
    if (open_count) {
        uint64_t *hashes = kp_arena_alloc(&lane->arena, open_count * sizeof *hashes);
        for (uint32_t i = 0; i < open_count; i++)
            hashes[i] = piece->hashes[open[i]];
        hold_rows(op, lane, shard, kp_batch_gather(batch, open, open_count, &lane->arena), hashes);
    }
    if (closed_count == 0)
        return KP_OK;
    return send_closed(op, lane, kp_batch_gather(batch, closed, closed_count, &lane->arena), err);
}

static enum kp_code release_closed(struct op_emit *op, struct kp_lane *lane, struct shard *shard, int64_t watermark,
                                   struct kp_error *err)
{
    uint8_t limit[12];
    end_key(watermark, UINT32_MAX, limit);
    uint64_t at = 0;
    uint32_t n = 0, cap = 64, *ids = kp_alloc(cap * sizeof *ids);
    for (const struct kp_ordered_entry *entry; (entry = kp_ordered_next(&shard->by_end, &at));) {
        if (kp_ordered_compare(limit, sizeof limit, entry) < 0)
            break;
        if (n == cap)
            ids = kp_realloc(ids, (cap *= 2) * sizeof *ids);
        ids[n++] = entry->id;
    }
    enum kp_code code = KP_OK;
    for (uint32_t start = 0; code == KP_OK && start < n; start += KP_BATCH_ROWS_MAX) {
        uint32_t count = KP_MIN(n - start, (uint32_t)KP_BATCH_ROWS_MAX);
        struct kp_batch *batch = kp_batch_create(&lane->arena, op->node.col_count, count);
        int64_t *weights = kp_arena_alloc(&lane->arena, count * sizeof *weights);
        for (uint32_t c = 0; c < op->node.col_count; c++)
            kp_table_load(&shard->table, c, ids + start, count, &lane->arena, &batch->vecs[c]);
        for (uint32_t i = 0; i < count; i++)
            weights[i] = *(int64_t *)kp_table_payload(&shard->table, kp_table_row(&shard->table, ids[start + i]));
        batch->weights = weights;
        for (uint32_t i = 0; i < count; i++)
            drop_row(shard, ids[start + i], end_of(&batch->vecs[op->end_column], i));
        code = send_closed(op, lane, batch, err);
    }
    kp_free(ids);
    return code;
}

/* The least of the sources'. */
static int64_t watermark_of(const struct kp_node *node)
{
    int64_t least = INT64_MAX;
    for (uint32_t i = 1; i < node->input_count; i++)
        least = KP_MIN(least, kp_node_watermark(node->inputs[i]));
    return least;
}

static enum kp_code emit_part(struct kp_node *node, struct kp_lane *lane, uint32_t part, struct kp_error *err)
{
    struct op_emit *op = (struct op_emit *)node;
    struct shard *shard = &op->shards[part];
    /* In a partial step the input's operators still hold changes back, so no window is whole: all wait. */
    int64_t watermark = kp_graph_step_final(node->graph) ? watermark_of(node) : INT64_MIN;
    for (struct kp_piece *piece = kp_inbox_take(&node->inboxes[0], part); piece; piece = piece->next)
        KP_TRY(take_piece(op, lane, shard, piece, err));
    KP_TRY(release_closed(op, lane, shard, watermark, err));
    shard->released = KP_MAX(shard->released, watermark);
    return kp_table_settle(&shard->table, shard->by_end.bytes, err);
}

static bool emit_wants(const struct kp_node *node, uint32_t part)
{
    const struct kp_ordered_entry *first = kp_ordered_first(&((const struct op_emit *)node)->shards[part].by_end);
    if (!first || !kp_graph_step_final(node->graph))
        return false;
    uint8_t limit[12];
    end_key(watermark_of(node), UINT32_MAX, limit);
    return kp_ordered_compare(limit, sizeof limit, first) >= 0;
}

static void emit_start(struct kp_node *node)
{
    struct op_emit *op = (struct op_emit *)node;
    op->shards = kp_calloc(node->graph->parts, sizeof *op->shards);
    for (uint32_t part = 0; part < node->graph->parts; part++) {
        kp_table_init(&op->shards[part].table, &op->layout, op->layout.col_count, sizeof(int64_t),
                      node->graph->options.budget);
        op->shards[part].released = INT64_MIN;
        op->shards[part].table.identical = true;
        op->shards[part].table.single_i64 = false;
    }
}

static void emit_finish(struct kp_node *node)
{
    struct op_emit *op = (struct op_emit *)node;
    for (uint32_t part = 0; op->shards && part < node->graph->parts; part++) {
        kp_table_finish(&op->shards[part].table);
        kp_ordered_finish(&op->shards[part].by_end);
    }
    kp_free(op->shards);
}

static void emit_release(struct kp_node *node)
{
    struct op_emit *op = (struct op_emit *)node;
    for (uint32_t part = 0; part < node->graph->parts; part++)
        kp_heap_sweep(&op->shards[part].table.heap);
}

static bool emit_same(const struct kp_node *a, const struct kp_node *b)
{
    return ((const struct op_emit *)a)->end_column == ((const struct op_emit *)b)->end_column;
}

static void emit_stats(const struct kp_node *node, struct kp_node_stats *stats)
{
    const struct op_emit *op = (const struct op_emit *)node;
    for (uint32_t part = 0; part < node->graph->parts; part++) {
        stats->state_rows += op->shards[part].table.live;
        stats->state_bytes += (uint64_t)(kp_table_bytes(&op->shards[part].table) + op->shards[part].by_end.bytes);
    }
}

static const struct kp_node_ops emit_ops = {.kind = "emit",
                                            .bytes = sizeof(struct op_emit),
                                            .push = emit_push,
                                            .part = emit_part,
                                            .wants = emit_wants,
                                            .start = emit_start,
                                            .release = emit_release,
                                            .finish = emit_finish,
                                            .same = emit_same,
                                            .stats = emit_stats};

/* Over sources alone a closed window never changes: its late pairs were left out. */
static bool reads_growing(const struct kp_node *node)
{
    if (node->input_count == 0)
        return node->growing;
    if (node->ops == &kp_upsert_ops)
        return false;
    for (uint32_t i = 0; i < node->input_count; i++)
        if (!reads_growing(node->inputs[i]))
            return false;
    return true;
}

struct kp_node *kp_op_emit(struct kp_graph *graph, const struct kp_plan *plan, struct kp_node *const *inputs,
                           uint32_t input_count)
{
    /* Reading the sources keeps them before this node, and alive. */
    struct op_emit *op =
        (struct op_emit *)kp_node_create(graph, &emit_ops, plan->cols, plan->col_count, inputs, input_count);
    op->end_column = plan->emit.window_end_column;
    op->node.uses_watermarks = true; /* of the sources, at each row: between steps the watermark could go back */
    op->node.growing = reads_growing(inputs[0]);
    kp_row_layout_init(&op->layout, &op->node.arena, op->node.types, op->node.col_count, true, 0);
    return kp_node_share(&op->node);
}
