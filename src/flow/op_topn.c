/*
 * ORDER BY … LIMIT … OFFSET as a set that lives: the rows whose places in the order lie in [offset, offset + limit).
 *
 * All rows lie in an ordered map by their order key, which ends in the whole row, so there are no ties and every row is
 * found by its key. After a step the first places are walked anew and compared with what was shown. Over growing input
 * only the first offset + limit rows are kept, and a row behind the last of them is not even stored.
 *
 *   row:  | columns | weight | shown: copies shown so far | next: copies to be shown | noted |
 *
 * Invariants: 1. a row stays stored while its weight or shown is not 0; rows of weight 0 are removed at emission;
 * 2. `shown_ids` are the rows with shown > 0.
 */
#include <stdio.h>

#include "flow/graph.h"
#include "flow/order.h"
#include "flow/ordered.h"
#include "flow/table.h"

struct payload {
    int64_t weight, shown, next;
    uint32_t noted;   /* in `zeros` */
    uint32_t evicted; /* no longer in the map */
};

struct op_topn {
    struct kp_node node;
    uint32_t key_count;
    struct kp_sort_key *keys;
    int64_t offset, limit; /* limit INT64_MAX: none */
    bool lean;
    struct kp_row_layout layout;
    struct kp_table table;
    struct kp_ordered ordered;
    int64_t total; /* weights of rows in the map */
    uint32_t *shown_ids, shown_count, shown_cap;
    uint32_t *zeros, zero_count, zero_cap; /* rows that have had weight 0 */
    bool changed;
};

static void push_id(uint32_t **ids, uint32_t *count, uint32_t *cap, uint32_t id)
{
    if (*count == *cap) {
        *cap = *cap ? *cap * 2 : 16;
        *ids = kp_realloc(*ids, *cap * sizeof **ids);
    }
    (*ids)[(*count)++] = id;
}

static enum kp_code topn_push(struct kp_node *node, struct kp_lane *lane, uint32_t port, const struct kp_flow *in,
                              struct kp_error *err)
{
    uint64_t *hashes = kp_arena_calloc(&lane->arena, in->batch->rows * sizeof *hashes);
    kp_inbox_send_part(&node->inboxes[0], lane, 0, in->batch, hashes, NULL);
    return KP_OK;
}

static inline struct payload *payload_of(const struct op_topn *op, uint32_t id)
{
    return kp_table_payload(&op->table, kp_table_row(&op->table, id));
}

static int64_t places(const struct op_topn *op)
{
    int64_t sum;
    return __builtin_add_overflow(op->offset, op->limit, &sum) ? INT64_MAX : sum;
}

static void note_zero(struct op_topn *op, uint32_t id)
{
    struct payload *payload = payload_of(op, id);
    if (!payload->noted)
        push_id(&op->zeros, &op->zero_count, &op->zero_cap, id);
    payload->noted = 1;
}

/* Growing input: rows behind the last place are let go. */
static void evict(struct op_topn *op)
{
    for (;;) {
        const struct kp_ordered_entry *last = kp_ordered_last(&op->ordered);
        if (!last || op->total - payload_of(op, last->id)->weight < places(op))
            return;
        struct payload *payload = payload_of(op, last->id);
        op->total -= payload->weight;
        payload->weight = 0;
        payload->evicted = 1;
        note_zero(op, last->id);
        kp_ordered_remove(&op->ordered, last->key, last->key_bytes);
    }
}

static void take_row(struct op_topn *op, const struct kp_batch *batch, uint32_t i, struct kp_buf *key)
{
    int64_t weight = batch->weights ? batch->weights[i] : 1;
    key->len = 0;
    kp_order_key_append(op->keys, op->key_count, batch->vecs, batch->cols, i, key);
    if (op->lean && op->total >= places(op)) {
        const struct kp_ordered_entry *last = kp_ordered_last(&op->ordered);
        if (!last || kp_ordered_compare(key->data, key->len, last) > 0)
            return;
    }
    op->changed = true;
    struct kp_ordered_entry *entry = kp_ordered_find(&op->ordered, key->data, key->len);
    uint32_t id;
    if (entry)
        id = entry->id;
    else {
        id = kp_table_new_row(&op->table);
        void *row = kp_table_row(&op->table, id);
        for (uint32_t c = 0; c < op->layout.col_count; c++)
            kp_row_set(&op->layout, &op->table.heap, row, c, &batch->vecs[c], i);
        kp_ordered_insert(&op->ordered, key->data, key->len, id);
    }
    struct payload *payload = payload_of(op, id);
    payload->weight += weight;
    op->total += weight;
    if (payload->weight == 0)
        note_zero(op, id);
    if (op->lean)
        evict(op);
}

/* ---- emission ---- */

static enum kp_code send_ids(struct op_topn *op, struct kp_lane *lane, const uint32_t *ids, const int64_t *weights,
                             uint32_t n, struct kp_error *err)
{
    if (n == 0)
        return KP_OK;
    struct kp_batch *batch = kp_batch_create(&lane->arena, op->node.col_count, n);
    for (uint32_t c = 0; c < op->node.col_count; c++)
        kp_table_load(&op->table, c, ids, n, &lane->arena, &batch->vecs[c]);
    bool all_one = true;
    for (uint32_t i = 0; i < n; i++)
        all_one = all_one && weights[i] == 1;
    batch->weights = all_one ? NULL : weights;
    struct kp_flow out = {.batch = batch};
    return kp_node_send(&op->node, lane, &out, err);
}

/* Gives each of the first places its copies to show. */
static enum kp_code place_rows(struct op_topn *op, uint32_t *ids, uint32_t *ret_count, struct kp_error *err)
{
    int64_t place = 0, end = places(op);
    uint64_t at = 0;
    uint32_t n = 0;
    for (const struct kp_ordered_entry *entry; place < end && (entry = kp_ordered_next(&op->ordered, &at));) {
        struct payload *payload = payload_of(op, entry->id);
        if (payload->weight < 0)
            return kp_fail(err, KP_CORRUPT, "XX000", "a row has been taken away more often than it came");
        int64_t first = KP_MAX(place, op->offset), after = KP_MIN(place + payload->weight, end);
        place += payload->weight;
        if (after <= first)
            continue;
        payload->next = after - first;
        ids[n++] = entry->id;
    }
    *ret_count = n;
    return KP_OK;
}

static void free_zeros(struct op_topn *op, struct kp_arena *arena)
{
    struct kp_buf key = {0};
    for (uint32_t i = 0; i < op->zero_count; i++) {
        uint32_t id = op->zeros[i];
        struct payload *payload = payload_of(op, id);
        payload->noted = 0;
        if (payload->weight)
            continue;
        if (!payload->evicted) {
            struct kp_vec *vecs = kp_arena_alloc(arena, (op->layout.col_count + 1) * sizeof *vecs);
            for (uint32_t c = 0; c < op->layout.col_count; c++)
                kp_table_load(&op->table, c, &id, 1, arena, &vecs[c]);
            key.len = 0;
            kp_order_key_append(op->keys, op->key_count, vecs, op->layout.col_count, 0, &key);
            kp_ordered_remove(&op->ordered, key.data, key.len);
        }
        kp_table_free_row(&op->table, id);
    }
    op->zero_count = 0;
    kp_buf_finish(&key);
}

static enum kp_code emit(struct op_topn *op, struct kp_lane *lane, struct kp_error *err)
{
    struct kp_arena *arena = &lane->arena;
    uint64_t most = KP_MIN((uint64_t)places(op), op->ordered.count);
    uint32_t *ids = kp_arena_alloc(arena, (most + 1) * sizeof *ids), count = 0, n = 0;
    KP_TRY(place_rows(op, ids, &count, err));
    uint32_t *changed = kp_arena_alloc(arena, (count + op->shown_count + 1) * sizeof *changed);
    int64_t *weights = kp_arena_alloc(arena, (count + op->shown_count + 1) * sizeof *weights);
    for (uint32_t i = 0; i < op->shown_count; i++) {
        struct payload *payload = payload_of(op, op->shown_ids[i]);
        if (payload->next != payload->shown) {
            changed[n] = op->shown_ids[i];
            weights[n++] = payload->next - payload->shown;
        }
        payload->shown = payload->next;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct payload *payload = payload_of(op, ids[i]);
        if (payload->next != payload->shown) {
            changed[n] = ids[i];
            weights[n++] = payload->next - payload->shown;
        }
        payload->shown = payload->next;
        payload->next = 0;
    }
    op->shown_count = 0;
    for (uint32_t i = 0; i < count; i++)
        push_id(&op->shown_ids, &op->shown_count, &op->shown_cap, ids[i]);
    KP_TRY(send_ids(op, lane, changed, weights, n, err));
    free_zeros(op, arena);
    op->changed = false;
    return KP_OK;
}

static enum kp_code topn_part(struct kp_node *node, struct kp_lane *lane, uint32_t part, struct kp_error *err)
{
    struct op_topn *op = (struct op_topn *)node;
    struct kp_buf key = {0};
    enum kp_code code = KP_OK;
    struct kp_piece *piece = kp_inbox_take(&node->inboxes[0], part);
    for (; code == KP_OK && piece; piece = piece->next) {
        for (uint32_t i = 0; i < piece->batch->rows; i++)
            take_row(op, piece->batch, i, &key);
        code = kp_table_settle(&op->table, op->ordered.bytes, err);
        if (code == KP_OK)
            code = kp_lane_check(lane, err);
    }
    kp_buf_finish(&key);
    KP_TRY(code);
    return op->changed && kp_graph_step_final(node->graph) ? emit(op, lane, err) : KP_OK;
}

static bool topn_wants(const struct kp_node *node, uint32_t part)
{
    return part == 0 && ((const struct op_topn *)node)->changed && kp_graph_step_final(node->graph);
}

/* ---- building ---- */

static void topn_finish(struct kp_node *node)
{
    struct op_topn *op = (struct op_topn *)node;
    uint64_t at = 0;
    for (const struct kp_ordered_entry *entry; (entry = kp_ordered_next(&op->ordered, &at));)
        kp_row_unset_all(&op->layout, &op->table.heap, kp_table_row(&op->table, entry->id));
    for (uint32_t i = 0; i < op->zero_count; i++) /* left by a partial step */
        if (payload_of(op, op->zeros[i])->evicted)
            kp_row_unset_all(&op->layout, &op->table.heap, kp_table_row(&op->table, op->zeros[i]));
    kp_table_finish(&op->table);
    kp_ordered_finish(&op->ordered);
    kp_free(op->shown_ids);
    kp_free(op->zeros);
}

static void topn_release(struct kp_node *node)
{
    kp_heap_sweep(&((struct op_topn *)node)->table.heap);
}

static bool topn_same(const struct kp_node *a, const struct kp_node *b)
{
    const struct op_topn *x = (const struct op_topn *)a, *y = (const struct op_topn *)b;
    if (x->key_count != y->key_count || x->offset != y->offset || x->limit != y->limit)
        return false;
    for (uint32_t k = 0; k < x->key_count; k++)
        if (x->keys[k].column != y->keys[k].column || x->keys[k].descending != y->keys[k].descending ||
            x->keys[k].nulls_first != y->keys[k].nulls_first)
            return false;
    return true;
}

static void topn_stats(const struct kp_node *node, struct kp_node_stats *stats)
{
    const struct op_topn *op = (const struct op_topn *)node;
    stats->state_rows = op->table.live;
    stats->state_bytes = (uint64_t)(kp_table_bytes(&op->table) + op->ordered.bytes);
}

static const struct kp_node_ops topn_ops = {.kind = "topn",
                                            .bytes = sizeof(struct op_topn),
                                            .push = topn_push,
                                            .part = topn_part,
                                            .wants = topn_wants,
                                            .release = topn_release,
                                            .finish = topn_finish,
                                            .same = topn_same,
                                            .stats = topn_stats};

uint64_t kp_op_topn_wanted(const struct kp_node *node)
{
    const struct op_topn *op = (const struct op_topn *)node;
    bool any = node->ops == &topn_ops && node->bounded && !op->key_count && op->limit != INT64_MAX;
    return any ? (uint64_t)places(op) : UINT64_MAX;
}

static enum kp_code read_count(const struct kp_expr *expr, const struct kp_session_settings *settings, int64_t none,
                               const char *what, const char *sqlstate, int64_t *ret_count, struct kp_error *err)
{
    *ret_count = none;
    if (!expr)
        return KP_OK;
    struct kp_arena arena = {0};
    struct kp_datum value;
    struct kp_expr *one = (struct kp_expr *)(uintptr_t)expr;
    enum kp_code code = kp_flow_constants(&one, 1, settings, &arena, &value, err);
    kp_arena_finish(&arena);
    KP_TRY(code);
    if (value.null)
        return KP_OK;
    *ret_count = value.i64;
    return value.i64 >= 0 ? KP_OK : kp_fail(err, KP_INVALID, sqlstate, "%s must not be negative", what);
}

enum kp_code kp_op_topn(struct kp_graph *graph, const struct kp_plan *plan, const struct kp_session_settings *settings,
                        struct kp_node *input, struct kp_node **ret_node, struct kp_error *err)
{
    int64_t limit, offset;
    KP_TRY(read_count(plan->topn.limit, settings, INT64_MAX, "LIMIT", "2201W", &limit, err));
    KP_TRY(read_count(plan->topn.offset, settings, 0, "OFFSET", "2201X", &offset, err));
    struct op_topn *op = (struct op_topn *)kp_node_create(graph, &topn_ops, plan->cols, plan->col_count, &input, 1);
    struct kp_arena *arena = &op->node.arena;
    op->node.settings = *settings;
    op->limit = limit;
    op->node.skips_errors = limit == 0; /* PostgreSQL does not compute what is below */
    op->offset = offset;
    op->lean = input->growing;
    op->node.growing = op->node.bounded;
    op->node.consolidated = true;
    op->key_count = plan->topn.key_count;
    op->keys = kp_arena_alloc(arena, (op->key_count + 1) * sizeof *op->keys);
    if (op->key_count)
        memcpy(op->keys, plan->topn.keys, op->key_count * sizeof *op->keys);
    kp_row_layout_init(&op->layout, arena, op->node.types, op->node.col_count, true, 0);
    kp_table_init(&op->table, &op->layout, 0, sizeof(struct payload), graph->options.budget);
    snprintf(op->node.detail, sizeof op->node.detail, "%u keys, limit %lld, offset %lld", op->key_count,
             (long long)(limit == INT64_MAX ? -1 : limit), (long long)offset);
    *ret_node = kp_node_share(&op->node);
    return KP_OK;
}
