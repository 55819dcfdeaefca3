/*
 * Window functions: OVER (PARTITION BY … ORDER BY …). Each row of the input, with the functions' values behind it.
 *
 * A partition's rows lie in an ordered map by their order key, which ends in the whole row, so there are no ties. When
 * a partition is first touched in a step its answer is computed and kept; at emission it is computed anew, and only
 * rows whose values differ are taken away and sent. Both answers name rows by number, so the two are compared row by
 * row, copy by copy.
 *
 *   partition:  | partition columns | → ordered map of rows, the old answer |
 *   row:        | columns | weight | first, count: its places in the new answer | noted |
 *
 * Invariants: 1. a row stays stored until the emission at which its weight is 0, so old answers stay readable; 2. a
 * partition is in `touched` at most once; 3. one without rows vanishes at emission. A failing aggregate makes its row
 * an error row for as long as it fails.
 */
#include <stdio.h>

#include "flow/graph.h"
#include "flow/over.h"
#include "flow/ordered.h"
#include "flow/order.h"
#include "flow/table.h"

struct row_state {
    int64_t weight;
    uint32_t first, count; /* in the new answer, while it is compared; count 0: not there */
    uint32_t noted;        /* in the partition's zeros */
};

struct partition {
    struct kp_ordered ordered;
    struct kp_over_answer *old; /* NULL: the partition is new */
    struct partition *next_touched;
    uint64_t hash;
    uint32_t id;                           /* in the table of partitions */
    uint32_t *zeros, zero_count, zero_cap; /* rows that have had weight 0 */
    bool touched;
};

struct shard {
    struct kp_table partitions, rows;
    struct partition *touched;
    struct kp_arena pending; /* old answers */
    int64_t ordered_bytes;
};

struct op_over {
    struct kp_node node;
    struct kp_over over;
    uint32_t partition_count, *partition_columns;
    struct kp_row_layout partition_layout, row_layout;
    struct shard *shards;
};

static enum kp_code over_push(struct kp_node *node, struct kp_lane *lane, uint32_t port, const struct kp_flow *in,
                              struct kp_error *err)
{
    const struct op_over *op = (const struct op_over *)node;
    uint64_t *hashes = kp_arena_calloc(&lane->arena, in->batch->rows * sizeof *hashes);
    for (uint32_t k = 0; k < op->partition_count; k++)
        kp_vec_hash(&in->batch->vecs[op->partition_columns[k]], in->batch->rows, hashes, k == 0);
    if (op->partition_count == 0)
        kp_inbox_send_part(&node->inboxes[0], lane, 0, in->batch, hashes, NULL);
    else
        kp_inbox_send(&node->inboxes[0], lane, in->batch, hashes, NULL);
    return KP_OK;
}

static inline struct row_state *state_of(const struct shard *shard, uint32_t id)
{
    return kp_table_payload(&shard->rows, kp_table_row(&shard->rows, id));
}

static inline struct partition **partition_slot(const struct shard *shard, uint32_t id)
{
    return kp_table_payload(&shard->partitions, kp_table_row(&shard->partitions, id));
}

/* ---- answers ---- */

/* The partition's rows in order, each as often as it is there, and the functions' values. */
static enum kp_code compute(struct op_over *op, struct shard *shard, struct partition *partition,
                            struct kp_arena *arena, struct kp_over_answer **ret_answer, struct kp_error *err)
{
    uint64_t total = 0, at = 0;
    const struct kp_ordered_entry *entry;
    while ((entry = kp_ordered_next(&partition->ordered, &at))) {
        int64_t weight = state_of(shard, entry->id)->weight;
        if (weight < 0)
            return kp_fail(err, KP_CORRUPT, "XX000", "a row has been taken away more often than it came");
        total += (uint64_t)weight;
        if (total > KP_OVER_ROWS_MAX)
            return kp_fail(err, KP_LIMIT, "54000", "a window function's partition has more than %u rows",
                           (unsigned)KP_OVER_ROWS_MAX);
    }
    struct kp_over_answer *answer = kp_arena_calloc(arena, sizeof *answer);
    answer->count = (uint32_t)total;
    answer->ids = kp_arena_alloc(arena, (total + 1) * sizeof *answer->ids);
    uint32_t n = 0;
    at = 0;
    while ((entry = kp_ordered_next(&partition->ordered, &at)))
        for (int64_t copy = state_of(shard, entry->id)->weight; copy > 0; copy--)
            answer->ids[n++] = entry->id;
    struct kp_vec *vecs = kp_arena_calloc(arena, (op->row_layout.col_count + 1) * sizeof *vecs);
    for (uint32_t c = 0; c < op->row_layout.col_count; c++)
        if (op->over.reads[c])
            kp_table_load(&shard->rows, c, answer->ids, n, arena, &vecs[c]);
    kp_over_compute(&op->over, &op->node.settings, vecs, answer, arena);
    *ret_answer = answer;
    return KP_OK;
}

/* ---- rows in ---- */

static enum kp_code touch(struct op_over *op, struct shard *shard, struct partition *partition, struct kp_error *err)
{
    if (partition->touched)
        return KP_OK;
    partition->touched = true;
    partition->next_touched = shard->touched;
    shard->touched = partition;
    if (partition->ordered.count)
        return compute(op, shard, partition, &shard->pending, &partition->old, err);
    return KP_OK;
}

static void take_row(struct op_over *op, struct shard *shard, struct partition *partition, const struct kp_batch *batch,
                     uint32_t i, struct kp_buf *key)
{
    key->len = 0;
    kp_order_key_append(op->over.keys, op->over.key_count, batch->vecs, batch->cols, i, key);
    struct kp_ordered_entry *entry = kp_ordered_find(&partition->ordered, key->data, key->len);
    uint32_t id;
    if (entry)
        id = entry->id;
    else {
        id = kp_table_new_row(&shard->rows);
        void *row = kp_table_row(&shard->rows, id);
        for (uint32_t c = 0; c < op->row_layout.col_count; c++)
            kp_row_set(&op->row_layout, &shard->rows.heap, row, c, &batch->vecs[c], i);
        int64_t before = partition->ordered.bytes;
        kp_ordered_insert(&partition->ordered, key->data, key->len, id);
        shard->ordered_bytes += partition->ordered.bytes - before;
    }
    struct row_state *state = state_of(shard, id);
    state->weight += batch->weights ? batch->weights[i] : 1;
    if (state->weight || state->noted)
        return;
    state->noted = 1;
    if (partition->zero_count == partition->zero_cap) {
        partition->zero_cap = partition->zero_cap ? partition->zero_cap * 2 : 4;
        partition->zeros = kp_realloc(partition->zeros, partition->zero_cap * sizeof *partition->zeros);
    }
    partition->zeros[partition->zero_count++] = id;
}

static enum kp_code take_piece(struct op_over *op, struct kp_lane *lane, struct shard *shard,
                               const struct kp_piece *piece, struct kp_error *err)
{
    const struct kp_batch *batch = piece->batch;
    struct kp_vec *keys = kp_arena_alloc(&lane->arena, (op->partition_count + 1) * sizeof *keys);
    for (uint32_t k = 0; k < op->partition_count; k++)
        keys[k] = batch->vecs[op->partition_columns[k]];
    uint32_t *ids = kp_arena_alloc(&lane->arena, (batch->rows + 1) * sizeof *ids),
             *made = kp_arena_alloc(&lane->arena, (batch->rows + 1) * sizeof *made), made_count = 0;
    kp_table_probe(&shard->partitions, keys, piece->hashes, batch->rows, true, ids, made, &made_count);
    for (uint32_t i = 0; i < made_count; i++) {
        struct partition *partition = kp_calloc(1, sizeof *partition);
        partition->id = ids[made[i]];
        partition->hash = piece->hashes[made[i]];
        *partition_slot(shard, partition->id) = partition;
    }
    struct kp_buf key = {0};
    enum kp_code code = KP_OK;
    for (uint32_t i = 0; code == KP_OK && i < batch->rows; i++) {
        struct partition *partition = *partition_slot(shard, ids[i]);
        code = touch(op, shard, partition, err);
        if (code == KP_OK)
            take_row(op, shard, partition, batch, i, &key);
    }
    kp_buf_finish(&key);
    KP_TRY(code);
    int64_t more = shard->ordered_bytes + (int64_t)shard->pending.bytes + kp_table_bytes(&shard->partitions) +
                   (int64_t)shard->partitions.live * (int64_t)sizeof(struct partition);
    return kp_table_settle(&shard->rows, more, err);
}

/* ---- emission ---- */

struct side {
    const struct kp_over_answer *answer;
    uint32_t *index, count; /* places to send */
    int64_t weight;
};

static void add_place(struct op_over *op, struct kp_lane *lane, struct side *side, uint32_t place)
{
    const struct kp_row_error *error = side->answer->errors ? side->answer->errors[place] : NULL;
    if (error)
        kp_node_error(&op->node, lane, side->weight, -1, error->sqlstate, error->message);
    else
        side->index[side->count++] = place;
}

static bool same_values(const struct op_over *op, const struct kp_over_answer *a, uint32_t i,
                        const struct kp_over_answer *b, uint32_t k)
{
    if ((a->errors && a->errors[i]) || (b->errors && b->errors[k]))
        return false;
    return kp_vecs_identical(a->values, i, b->values, k, op->over.call_count);
}

static enum kp_code send_side(struct op_over *op, struct kp_lane *lane, const struct shard *shard,
                              const struct side *side, struct kp_error *err)
{
    uint32_t n = side->count, cols = op->row_layout.col_count;
    if (n == 0)
        return KP_OK;
    struct kp_batch *batch = kp_batch_create(&lane->arena, op->node.col_count, n);
    uint32_t *ids = kp_arena_alloc(&lane->arena, n * sizeof *ids);
    for (uint32_t i = 0; i < n; i++)
        ids[i] = side->answer->ids[side->index[i]];
    for (uint32_t c = 0; c < cols; c++)
        kp_table_load(&shard->rows, c, ids, n, &lane->arena, &batch->vecs[c]);
    for (uint32_t c = 0; c < op->over.call_count; c++)
        kp_vec_gather(&side->answer->values[c], side->index, n, &lane->arena, &batch->vecs[cols + c]);
    if (side->weight < 0) {
        int64_t *weights = kp_arena_alloc(&lane->arena, n * sizeof *weights);
        for (uint32_t i = 0; i < n; i++)
            weights[i] = -1;
        batch->weights = weights;
    }
    struct kp_flow out = {.batch = batch};
    return kp_node_send(&op->node, lane, &out, err);
}

/* The places at which old and new differ. */
static void compare(struct op_over *op, struct kp_lane *lane, const struct shard *shard, struct side *old,
                    struct side *new)
{
    const struct kp_over_answer *a = old->answer, *b = new->answer;
    for (uint32_t i = 0; i < b->count; i++) {
        struct row_state *state = state_of(shard, b->ids[i]);
        if (state->count++ == 0)
            state->first = i;
    }
    for (uint32_t i = 0, end; a && i < a->count; i = end) {
        struct row_state *state = state_of(shard, a->ids[i]);
        for (end = i; end < a->count && a->ids[end] == a->ids[i];)
            end++;
        uint32_t before = end - i, after = state->count;
        for (uint32_t copy = 0; copy < KP_MAX(before, after); copy++) {
            bool was = copy < before, is = copy < after;
            if (was && is && same_values(op, a, i + copy, b, state->first + copy))
                continue;
            if (was)
                add_place(op, lane, old, i + copy);
            if (is)
                add_place(op, lane, new, state->first + copy);
        }
        state->count = 0;
    }
    for (uint32_t i = 0; i < b->count; i++) {
        struct row_state *state = state_of(shard, b->ids[i]);
        if (state->count == 0)
            continue;
        for (uint32_t copy = 0; copy < state->count; copy++)
            add_place(op, lane, new, i + copy);
        i += state->count - 1;
        state->count = 0;
    }
}

static void free_zeros(struct op_over *op, struct shard *shard, struct partition *partition, struct kp_arena *arena)
{
    struct kp_buf key = {0};
    struct kp_vec *vecs = kp_arena_alloc(arena, (op->row_layout.col_count + 1) * sizeof *vecs);
    int64_t before = partition->ordered.bytes;
    for (uint32_t i = 0; i < partition->zero_count; i++) {
        uint32_t id = partition->zeros[i];
        struct row_state *state = state_of(shard, id);
        state->noted = 0;
        if (state->weight)
            continue;
        for (uint32_t c = 0; c < op->row_layout.col_count; c++)
            kp_table_load(&shard->rows, c, &id, 1, arena, &vecs[c]);
        key.len = 0;
        kp_order_key_append(op->over.keys, op->over.key_count, vecs, op->row_layout.col_count, 0, &key);
        kp_ordered_remove(&partition->ordered, key.data, key.len);
        kp_table_free_row(&shard->rows, id);
    }
    partition->zero_count = 0;
    shard->ordered_bytes += partition->ordered.bytes - before;
    kp_buf_finish(&key);
}

static void free_partition(struct shard *shard, struct partition *partition)
{
    shard->ordered_bytes -= partition->ordered.bytes;
    kp_ordered_finish(&partition->ordered);
    kp_free(partition->zeros);
    kp_free(partition);
}

static enum kp_code emit(struct op_over *op, struct kp_lane *lane, struct shard *shard, struct partition *partition,
                         struct kp_error *err)
{
    struct kp_arena *arena = &lane->arena;
    struct kp_over_answer *answer;
    KP_TRY(compute(op, shard, partition, arena, &answer, err));
    struct side old = {.answer = partition->old, .weight = -1}, new = {.answer = answer, .weight = 1};
    old.index = kp_arena_alloc(arena, ((old.answer ? old.answer->count : 0) + 1) * sizeof *old.index);
    new.index = kp_arena_alloc(arena, (answer->count + 1) * sizeof *new.index);
    compare(op, lane, shard, &old, &new);
    KP_TRY(send_side(op, lane, shard, &old, err));
    KP_TRY(send_side(op, lane, shard, &new, err));
    free_zeros(op, shard, partition, arena);
    partition->old = NULL;
    partition->touched = false;
    if (partition->ordered.count == 0) {
        kp_table_remove(&shard->partitions, partition->id, partition->hash);
        free_partition(shard, partition);
    }
    return KP_OK;
}

static enum kp_code over_part(struct kp_node *node, struct kp_lane *lane, uint32_t part, struct kp_error *err)
{
    struct op_over *op = (struct op_over *)node;
    struct shard *shard = &op->shards[part];
    for (struct kp_piece *piece = kp_inbox_take(&node->inboxes[0], part); piece; piece = piece->next)
        KP_TRY(take_piece(op, lane, shard, piece, err));
    if (!kp_graph_step_final(node->graph))
        return KP_OK;
    while (shard->touched) {
        struct partition *partition = shard->touched;
        shard->touched = partition->next_touched;
        KP_TRY(emit(op, lane, shard, partition, err));
    }
    return KP_OK;
}

static bool over_wants(const struct kp_node *node, uint32_t part)
{
    return ((const struct op_over *)node)->shards[part].touched && kp_graph_step_final(node->graph);
}

/* ---- building ---- */

static void over_start(struct kp_node *node)
{
    struct op_over *op = (struct op_over *)node;
    op->shards = kp_calloc(node->graph->parts, sizeof *op->shards);
    for (uint32_t part = 0; part < node->graph->parts; part++) {
        struct shard *shard = &op->shards[part];
        kp_table_init(&shard->partitions, &op->partition_layout, op->partition_count, sizeof(struct partition *), NULL);
        kp_table_init(&shard->rows, &op->row_layout, 0, sizeof(struct row_state), node->graph->options.budget);
    }
}

static void over_finish(struct kp_node *node)
{
    struct op_over *op = (struct op_over *)node;
    for (uint32_t part = 0; op->shards && part < node->graph->parts; part++) {
        struct shard *shard = &op->shards[part];
        uint32_t count, *ids = kp_table_ids(&shard->partitions, &count);
        for (uint32_t i = 0; i < count; i++) {
            struct partition *partition = *partition_slot(shard, ids[i]);
            uint64_t at = 0;
            for (const struct kp_ordered_entry *entry; (entry = kp_ordered_next(&partition->ordered, &at));)
                kp_row_unset_all(&op->row_layout, &shard->rows.heap, kp_table_row(&shard->rows, entry->id));
            free_partition(shard, partition);
        }
        kp_free(ids);
        kp_table_finish(&shard->partitions);
        kp_table_finish(&shard->rows);
        kp_arena_finish(&shard->pending);
    }
    kp_free(op->shards);
}

static void over_release(struct kp_node *node)
{
    struct op_over *op = (struct op_over *)node;
    for (uint32_t part = 0; part < node->graph->parts; part++) {
        kp_heap_sweep(&op->shards[part].partitions.heap);
        kp_heap_sweep(&op->shards[part].rows.heap);
        if (!op->shards[part].touched)
            kp_arena_finish(&op->shards[part].pending);
    }
}

static bool over_same(const struct kp_node *a, const struct kp_node *b)
{
    const struct op_over *x = (const struct op_over *)a, *y = (const struct op_over *)b;
    return x->partition_count == y->partition_count &&
           (!x->partition_count || memcmp(x->partition_columns, y->partition_columns,
                                          x->partition_count * sizeof *x->partition_columns) == 0) &&
           kp_over_same(&x->over, &y->over);
}

static void over_stats(const struct kp_node *node, struct kp_node_stats *stats)
{
    const struct op_over *op = (const struct op_over *)node;
    for (uint32_t part = 0; part < node->graph->parts; part++) {
        const struct shard *shard = &op->shards[part];
        stats->state_rows += shard->rows.live;
        stats->state_bytes +=
            (uint64_t)(kp_table_bytes(&shard->rows) + kp_table_bytes(&shard->partitions) + shard->ordered_bytes);
    }
}

static const struct kp_node_ops over_ops = {.kind = "over",
                                            .bytes = sizeof(struct op_over),
                                            .push = over_push,
                                            .part = over_part,
                                            .wants = over_wants,
                                            .start = over_start,
                                            .release = over_release,
                                            .finish = over_finish,
                                            .same = over_same,
                                            .stats = over_stats};

enum kp_code kp_op_over(struct kp_graph *graph, const struct kp_plan *plan, const struct kp_session_settings *settings,
                        struct kp_node *input, struct kp_node **ret_node, struct kp_error *err)
{
    KP_TRY(kp_over_check(plan, err));
    struct op_over *op = (struct op_over *)kp_node_create(graph, &over_ops, plan->cols, plan->col_count, &input, 1);
    struct kp_arena *arena = &op->node.arena;
    op->node.settings = *settings;
    op->node.growing = graph->bounded;
    kp_over_define(&op->over, plan, arena);
    op->partition_count = plan->over.partition_count;
    op->partition_columns = kp_arena_alloc(arena, (op->partition_count + 1) * sizeof *op->partition_columns);
    struct kp_type *types = kp_arena_alloc(arena, (op->partition_count + 1) * sizeof *types);
    for (uint32_t k = 0; k < op->partition_count; k++) {
        op->partition_columns[k] = plan->over.partitions[k];
        types[k] = input->types[op->partition_columns[k]];
    }
    kp_row_layout_init(&op->partition_layout, arena, types, op->partition_count, true, 0);
    kp_row_layout_init(&op->row_layout, arena, input->types, input->col_count, true, 0);
    snprintf(op->node.detail, sizeof op->node.detail, "%u partition columns, %u keys, %u functions",
             op->partition_count, plan->over.key_count, plan->over.call_count);
    *ret_node = kp_node_share(&op->node);
    return KP_OK;
}
