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
 *
 * A source's watermark may be for the log's time, and move though nothing comes: then the node is due when that closes
 * the first window that waits.
 *
 * Error rows of what lies between the window and this node wait likewise, as rows of a table of their own: they name
 * the window of the row that failed (kp_node_error_in), and whoever is behind is told of them by this node alone.
 * Errors that belong to no window, of what lies before it, go on at once.
 *
 *   waiting error:  | window_end | position | sqlstate | message | weight |
 */
#include "flow/op_source.h"
#include "flow/ordered.h"
#include "flow/table.h"

struct shard {
    struct kp_table table;
    uint32_t end_column;
    struct kp_ordered by_end;
    int64_t released; /* windows that end here or before are closed: their rows were sent */
};

enum { ERROR_END, ERROR_POSITION, ERROR_SQLSTATE, ERROR_MESSAGE, ERROR_COLUMNS };

struct op_emit {
    struct kp_node node;
    uint32_t end_column;
    struct kp_row_layout layout, error_layout;
    struct shard *shards;
    struct shard errors;                     /* the first part's */
    const struct kp_lane_error **new_errors; /* of the step */
    size_t new_error_count;
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

int64_t kp_window_end_us(const struct kp_vec *vec, uint32_t row)
{
    row = vec->constant ? 0 : row;
    if (kp_vec_is_null(vec, row))
        return INT64_MAX;
    if (vec->type.id == KP_DATE)
        return (int64_t)((const int32_t *)vec->data)[row] * 86400000000;
    return ((const int64_t *)vec->data)[row];
}

static void drop_row(struct shard *shard, uint32_t id, int64_t end_us)
{
    uint8_t key[KP_ORDERED_WAIT_BYTES];
    uint64_t hash;
    kp_ordered_wait_key(end_us, id, key);
    kp_ordered_remove(&shard->by_end, key, sizeof key);
    kp_table_hashes(&shard->table, &id, 1, &hash);
    kp_table_remove(&shard->table, id, hash);
}

/* Adds rows of windows that are still open to those that wait. */
static void hold_rows(struct kp_lane *lane, struct shard *shard, const struct kp_batch *batch, const uint64_t *hashes)
{
    uint32_t rows = batch->rows, made = 0;
    uint32_t *ids = kp_arena_alloc(&lane->arena, rows * sizeof *ids),
             *new_rows = kp_arena_alloc(&lane->arena, rows * sizeof *new_rows);
    const struct kp_vec *ends = &batch->vecs[shard->end_column];
    kp_table_probe(&shard->table, batch->vecs, hashes, rows, true, ids, new_rows, &made);
    for (uint32_t i = 0; i < made; i++) {
        uint8_t key[KP_ORDERED_WAIT_BYTES];
        kp_ordered_wait_key(kp_window_end_us(ends, new_rows[i]), ids[new_rows[i]], key);
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
            drop_row(shard, ids[i], kp_window_end_us(ends, i));
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
        if (kp_window_end_us(&batch->vecs[op->end_column], i) <= shard->released)
            closed[closed_count++] = i;
        else
            open[open_count++] = i;
    if (open_count) {
        uint64_t *hashes = kp_arena_alloc(&lane->arena, open_count * sizeof *hashes);
        for (uint32_t i = 0; i < open_count; i++)
            hashes[i] = piece->hashes[open[i]];
        hold_rows(lane, shard, kp_batch_gather(batch, open, open_count, &lane->arena), hashes);
    }
    if (closed_count == 0)
        return KP_OK;
    return send_closed(op, lane, kp_batch_gather(batch, closed, closed_count, &lane->arena), err);
}

/* Those that wait for windows that are closed now, taken out; the next call gives more of them. */
static struct kp_batch *take_closed(struct kp_lane *lane, struct shard *shard, int64_t watermark)
{
    uint8_t limit[KP_ORDERED_WAIT_BYTES];
    uint32_t n = 0, cols = shard->table.layout->col_count, *ids = NULL, cap = 0;
    kp_ordered_wait_key(watermark, UINT32_MAX, limit);
    uint64_t at = 0;
    for (const struct kp_ordered_entry *entry;
         n < KP_BATCH_ROWS_MAX && (entry = kp_ordered_next(&shard->by_end, &at));) {
        if (kp_ordered_compare(limit, sizeof limit, entry) < 0)
            break;
        if (n == cap)
            ids = kp_realloc(ids, (cap = KP_MAX(cap * 2, 64)) * sizeof *ids);
        ids[n++] = entry->id;
    }
    if (n == 0)
        return NULL;
    struct kp_batch *batch = kp_batch_create(&lane->arena, cols, n);
    int64_t *weights = kp_arena_alloc(&lane->arena, n * sizeof *weights);
    for (uint32_t c = 0; c < cols; c++)
        kp_table_load(&shard->table, c, ids, n, &lane->arena, &batch->vecs[c]);
    for (uint32_t i = 0; i < n; i++)
        weights[i] = *(int64_t *)kp_table_payload(&shard->table, kp_table_row(&shard->table, ids[i]));
    batch->weights = weights;
    for (uint32_t i = 0; i < n; i++)
        drop_row(shard, ids[i], kp_window_end_us(&batch->vecs[shard->end_column], i));
    kp_free(ids);
    return batch;
}

/* The least of the sources'. */
static int64_t watermark_of(const struct kp_node *node)
{
    int64_t least = INT64_MAX;
    for (uint32_t i = 1; i < node->input_count; i++)
        least = KP_MIN(least, kp_node_watermark(node->inputs[i]));
    return least;
}

/* ---- errors ---- */

static void emit_begin(struct kp_node *node)
{
    struct op_emit *op = (struct op_emit *)node;
    op->new_errors = kp_node_errors_before(node, &op->new_error_count);
}

static struct kp_batch *errors_batch(struct kp_lane *lane, const struct kp_lane_error *const *errors, uint32_t n)
{
    static const enum kp_type_id types[ERROR_COLUMNS] = {KP_TIMESTAMP, KP_INT8, KP_TEXT, KP_TEXT};
    struct kp_batch *batch = kp_batch_create(&lane->arena, ERROR_COLUMNS, n);
    int64_t *weights = kp_arena_alloc(&lane->arena, n * sizeof *weights);
    for (uint32_t c = 0; c < ERROR_COLUMNS; c++)
        kp_vec_init(&batch->vecs[c], &lane->arena, KP_TYPE(types[c]), n);
    for (uint32_t i = 0; i < n; i++) {
        const struct kp_flow_error *error = &errors[i]->error;
        ((int64_t *)batch->vecs[ERROR_END].data)[i] = errors[i]->window_end;
        ((int64_t *)batch->vecs[ERROR_POSITION].data)[i] = error->log_position;
        ((struct kp_text *)batch->vecs[ERROR_SQLSTATE].data)[i] =
            kp_text_make(error->sqlstate, strlen(error->sqlstate));
        ((struct kp_text *)batch->vecs[ERROR_MESSAGE].data)[i] = kp_text_make(error->message, strlen(error->message));
        weights[i] = error->weight;
    }
    batch->weights = weights;
    return batch;
}

static void tell_errors(struct op_emit *op, struct kp_lane *lane, const struct kp_batch *batch)
{
    const struct kp_text *states = batch->vecs[ERROR_SQLSTATE].data, *messages = batch->vecs[ERROR_MESSAGE].data;
    for (uint32_t i = 0; i < batch->rows; i++) {
        struct kp_str state = kp_text_str(&states[i]), message = kp_text_str(&messages[i]);
        kp_node_error(&op->node, lane, batch->weights[i], ((const int64_t *)batch->vecs[ERROR_POSITION].data)[i],
                      kp_arena_strndup(&lane->arena, state.ptr, state.len),
                      kp_arena_strndup(&lane->arena, message.ptr, message.len));
    }
}

/* As for rows: those of open windows wait, even if the window closes in this step. */
static enum kp_code take_errors(struct op_emit *op, struct kp_lane *lane, int64_t watermark, struct kp_error *err)
{
    struct shard *shard = &op->errors;
    const struct kp_lane_error **open = kp_arena_alloc(&lane->arena, (op->new_error_count + 1) * sizeof *open);
    uint32_t n = 0;
    for (size_t i = 0; i < op->new_error_count; i++) {
        const struct kp_lane_error *error = op->new_errors[i];
        if (error->window_end > shard->released)
            open[n++] = error;
        else
            tell_errors(op, lane, errors_batch(lane, &error, 1));
    }
    op->new_error_count = 0;
    for (uint32_t start = 0; start < n; start += KP_BATCH_ROWS_MAX) {
        struct kp_batch *batch = errors_batch(lane, open + start, KP_MIN(n - start, (uint32_t)KP_BATCH_ROWS_MAX));
        uint64_t *hashes = kp_arena_calloc(&lane->arena, batch->rows * sizeof *hashes);
        for (uint32_t c = 0; c < batch->cols; c++)
            kp_vec_hash(&batch->vecs[c], batch->rows, hashes, c == 0);
        hold_rows(lane, shard, batch, hashes);
    }
    for (struct kp_batch *batch; (batch = take_closed(lane, shard, watermark));)
        tell_errors(op, lane, batch);
    shard->released = KP_MAX(shard->released, watermark);
    return kp_table_settle(&shard->table, shard->by_end.bytes, err);
}

/* ---- the part's turn ---- */

static enum kp_code emit_part(struct kp_node *node, struct kp_lane *lane, uint32_t part, struct kp_error *err)
{
    struct op_emit *op = (struct op_emit *)node;
    struct shard *shard = &op->shards[part];
    /* In a partial step the input's operators still hold changes back, so no window is whole: all wait. */
    int64_t watermark = kp_graph_step_final(node->graph) ? watermark_of(node) : INT64_MIN;
    for (struct kp_piece *piece = kp_inbox_take(&node->inboxes[0], part); piece; piece = piece->next) {
        KP_TRY(kp_lane_check(lane, err));
        KP_TRY(take_piece(op, lane, shard, piece, err));
        KP_TRY(kp_table_settle(&shard->table, shard->by_end.bytes, err));
    }
    for (struct kp_batch *batch; (batch = take_closed(lane, shard, watermark));)
        KP_TRY(send_closed(op, lane, batch, err));
    if (part == 0)
        KP_TRY(take_errors(op, lane, watermark, err));
    shard->released = KP_MAX(shard->released, watermark);
    return kp_table_settle(&shard->table, shard->by_end.bytes, err);
}

static bool any_closed(const struct kp_node *node, const struct shard *shard)
{
    const struct kp_ordered_entry *first = kp_ordered_first(&shard->by_end);
    if (!first || !kp_graph_step_final(node->graph))
        return false;
    uint8_t limit[KP_ORDERED_WAIT_BYTES];
    kp_ordered_wait_key(watermark_of(node), UINT32_MAX, limit);
    return kp_ordered_compare(limit, sizeof limit, first) >= 0;
}

static bool emit_wants(const struct kp_node *node, uint32_t part)
{
    const struct op_emit *op = (const struct op_emit *)node;
    if (part == 0 && (op->new_error_count || any_closed(node, &op->errors)))
        return true;
    return any_closed(node, &op->shards[part]);
}

/* The log time at which what waits goes on without a record: when all sources' watermarks are at its window's end. */
static int64_t first_due(const struct kp_node *node, const struct shard *shard)
{
    const struct kp_ordered_entry *first = kp_ordered_first(&shard->by_end);
    int64_t due_us = INT64_MIN;
    for (uint32_t i = 1; first && i < node->input_count; i++)
        due_us = KP_MAX(due_us, kp_node_watermark_log_time(node->inputs[i], kp_ordered_time(first)));
    return due_us == INT64_MIN ? INT64_MAX : due_us;
}

static int64_t emit_due(const struct kp_node *node)
{
    const struct op_emit *op = (const struct op_emit *)node;
    int64_t due_us = first_due(node, &op->errors);
    for (uint32_t part = 0; part < node->graph->parts; part++)
        due_us = KP_MIN(due_us, first_due(node, &op->shards[part]));
    return due_us;
}

static void shard_start(struct shard *shard, const struct kp_row_layout *layout, uint32_t end_column,
                        struct kp_budget *budget)
{
    kp_table_init(&shard->table, layout, layout->col_count, sizeof(int64_t), budget);
    shard->end_column = end_column;
    shard->released = INT64_MIN;
    shard->table.identical = true;
    shard->table.single_i64 = false;
}

static void emit_start(struct kp_node *node)
{
    struct op_emit *op = (struct op_emit *)node;
    op->shards = kp_calloc(node->graph->parts, sizeof *op->shards);
    for (uint32_t part = 0; part < node->graph->parts; part++)
        shard_start(&op->shards[part], &op->layout, op->end_column, node->graph->options.budget);
    shard_start(&op->errors, &op->error_layout, ERROR_END, node->graph->options.budget);
}

static void emit_finish(struct kp_node *node)
{
    struct op_emit *op = (struct op_emit *)node;
    for (uint32_t part = 0; op->shards && part < node->graph->parts; part++) {
        kp_table_finish(&op->shards[part].table);
        kp_ordered_finish(&op->shards[part].by_end);
    }
    if (op->shards) {
        kp_table_finish(&op->errors.table);
        kp_ordered_finish(&op->errors.by_end);
    }
    kp_free(op->shards);
}

static void emit_release(struct kp_node *node)
{
    struct op_emit *op = (struct op_emit *)node;
    for (uint32_t part = 0; part < node->graph->parts; part++)
        kp_heap_sweep(&op->shards[part].table.heap);
    kp_heap_sweep(&op->errors.table.heap);
    op->new_error_count = 0;
}

static bool emit_same(const struct kp_node *a, const struct kp_node *b)
{
    return ((const struct op_emit *)a)->end_column == ((const struct op_emit *)b)->end_column;
}

static void emit_stats(const struct kp_node *node, struct kp_node_stats *stats)
{
    const struct op_emit *op = (const struct op_emit *)node;
    stats->state_rows = op->errors.table.live;
    stats->state_bytes = (uint64_t)(kp_table_bytes(&op->errors.table) + op->errors.by_end.bytes);
    for (uint32_t part = 0; part < node->graph->parts; part++) {
        stats->state_rows += op->shards[part].table.live;
        stats->state_bytes += (uint64_t)(kp_table_bytes(&op->shards[part].table) + op->shards[part].by_end.bytes);
    }
}

const struct kp_node_ops kp_emit_ops = {.kind = "emit",
                                        .bytes = sizeof(struct op_emit),
                                        .push = emit_push,
                                        .begin = emit_begin,
                                        .part = emit_part,
                                        .wants = emit_wants,
                                        .due = emit_due,
                                        .start = emit_start,
                                        .release = emit_release,
                                        .finish = emit_finish,
                                        .same = emit_same,
                                        .stats = emit_stats};

struct kp_node *kp_op_emit(struct kp_graph *graph, const struct kp_plan *plan, struct kp_node *const *inputs,
                           uint32_t input_count)
{
    /* Reading the sources keeps them before this node, and alive. */
    struct op_emit *op =
        (struct op_emit *)kp_node_create(graph, &kp_emit_ops, plan->cols, plan->col_count, inputs, input_count);
    op->end_column = plan->emit.window_end_column;
    op->node.uses_watermarks = true;  /* of the sources, at each row: between steps the watermark could go back */
    op->node.growing = plan->growing; /* a closed window that changes all the same is told of (send_closed) */
    kp_row_layout_init(&op->layout, &op->node.arena, op->node.types, op->node.col_count, true, 0);
    static const struct kp_type types[ERROR_COLUMNS] = {KP_TYPE(KP_TIMESTAMP), KP_TYPE(KP_INT8), KP_TYPE(KP_TEXT),
                                                        KP_TYPE(KP_TEXT)};
    kp_row_layout_init(&op->error_layout, &op->node.arena, types, ERROR_COLUMNS, true, 0);
    return kp_node_share(&op->node);
}
