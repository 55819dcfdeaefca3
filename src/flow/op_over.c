/*
 * Window functions: OVER (PARTITION BY … ORDER BY …). Each row of the input, with the functions' values behind it.
 *
 * A partition's rows lie in an ordered map by their order key, which ends in the whole row, so there are no ties. When
 * a partition is first touched in a step its answer is computed and kept; at emission it is computed anew, and only
 * rows whose values differ are taken away and sent. Both answers name rows by number, so the two are compared row by
 * row, copy by copy.
 *
 *   partition:  | partition columns | → ordered map of rows, the old answer |
 *   row:        | columns | weight | first, count: its places in the new answer | noted | peer_bytes |
 *
 * Where only the first rows are read (ROW_NUMBER() … <= n, and RANK, DENSE_RANK) the answer ends behind them, so a
 * change costs what it shows and not the whole partition; over an input that only grows, rows behind them are let go.
 *
 * A partition of a window that has closed is let go too: it changes no more, and what it has shown stays.
 *
 * Invariants: beside those of keyed.h, a row stays stored until the emission at which its weight is 0, so old answers
 * stay readable. A failing aggregate makes its row an error row for as long as it fails.
 */
#include <stdio.h>

#include "flow/keyed.h"
#include "flow/op_source.h"
#include "flow/order.h"
#include "flow/over.h"

struct row_state {
    int64_t weight;
    uint32_t first, count; /* in the new answer, while it is compared; count 0: not there */
    uint32_t noted;        /* in the partition's zeros */
    uint32_t peer_bytes;   /* of its order key, which its peers have too; 0: nobody asks */
};

struct partition {
    struct kp_keyed_group group;
    struct kp_over_answer *old;            /* NULL: the partition is new */
    uint32_t *zeros, zero_count, zero_cap; /* rows that have had weight 0 */
    bool queued;                           /* in the part's queue */
};

struct op_over {
    struct kp_node node;
    struct kp_over over;
    struct kp_keyed keyed;
    struct kp_arena *pending; /* old answers, one a part */
    int64_t top;              /* 0: all rows are read */
    enum kp_over_kind top_kind;
    bool lean;  /* rows behind the first ones are not kept */
    bool frees; /* partitions of closed windows are not kept */
    uint32_t time_key;
    int64_t lateness_us;
    struct kp_ordered *queues; /* of partitions, by (time, number), one a part */
};

static enum kp_code over_push(struct kp_node *node, struct kp_lane *lane, uint32_t port, const struct kp_flow *in,
                              struct kp_error *err)
{
    kp_keyed_push(&((const struct op_over *)node)->keyed, node, lane, in->batch);
    return KP_OK;
}

static inline struct row_state *state_of(const struct kp_keyed_part *part, uint32_t id)
{
    return kp_keyed_payload(part, id);
}

/* ---- answers ---- */

/* How many of the first rows are read, while they are walked. */
struct first_rows {
    uint64_t total, groups; /* rows, runs of peers so far */
    const struct kp_ordered_entry *last;
    uint32_t last_bytes;
};

static bool are_peers(const struct first_rows *first, const struct kp_ordered_entry *entry, uint32_t bytes)
{
    return first->last && first->last_bytes == bytes && memcmp(first->last->key, entry->key, bytes) == 0;
}

/* Whether the row is among them; if so it counts. */
static bool is_first_row(const struct op_over *op, const struct kp_keyed_part *part, struct first_rows *first,
                         const struct kp_ordered_entry *entry)
{
    const struct row_state *state = state_of(part, entry->id);
    if (state->weight == 0)
        return true;
    bool peer = op->top && op->top_kind != KP_OVER_ROW_NUMBER && are_peers(first, entry, state->peer_bytes);
    uint64_t before = op->top_kind == KP_OVER_DENSE_RANK ? first->groups : first->total;
    if (op->top && !peer && before >= (uint64_t)op->top)
        return false;
    first->groups += !peer;
    first->total += (uint64_t)state->weight;
    first->last = entry;
    first->last_bytes = state->peer_bytes;
    return true;
}

/* The partition's rows in order, each as often as it is there, and the functions' values. */
static enum kp_code compute(struct op_over *op, struct kp_keyed_part *part, struct partition *partition,
                            struct kp_arena *arena, struct kp_over_answer **ret_answer, struct kp_error *err)
{
    uint64_t at = 0, total;
    struct first_rows first = {0}, again = {0};
    const struct kp_ordered_entry *entry;
    while ((entry = kp_ordered_next(&partition->group.rows, &at))) {
        if (state_of(part, entry->id)->weight < 0)
            return kp_fail(err, KP_CORRUPT, "XX000", "a row has been taken away more often than it came");
        if (!is_first_row(op, part, &first, entry))
            break;
        if (first.total > KP_OVER_ROWS_MAX)
            return kp_fail(err, KP_LIMIT, "54000", "a window function's partition has more than %u rows",
                           (unsigned)KP_OVER_ROWS_MAX);
    }
    total = first.total;
    struct kp_over_answer *answer = kp_arena_calloc(arena, sizeof *answer);
    answer->count = (uint32_t)total;
    answer->ids = kp_arena_alloc(arena, (total + 1) * sizeof *answer->ids);
    uint32_t n = 0;
    at = 0;
    while ((entry = kp_ordered_next(&partition->group.rows, &at)) && is_first_row(op, part, &again, entry))
        for (int64_t copy = state_of(part, entry->id)->weight; copy > 0; copy--)
            answer->ids[n++] = entry->id;
    struct kp_vec *vecs = kp_arena_calloc(arena, (op->keyed.row_cols + 1) * sizeof *vecs);
    for (uint32_t c = 0; c < op->keyed.row_cols; c++)
        if (op->over.reads[c])
            kp_table_load(&part->rows, c, answer->ids, n, arena, &vecs[c]);
    kp_over_compute(&op->over, &op->node.settings, vecs, answer, arena);
    *ret_answer = answer;
    return KP_OK;
}

/* ---- rows in ---- */

/* Behind the last row kept there are enough before it. */
static bool is_behind(const struct op_over *op, const struct kp_keyed_part *part, const struct partition *partition,
                      const struct kp_buf *key, uint32_t peer_bytes)
{
    const struct kp_ordered_entry *last = kp_ordered_last(&partition->group.rows);
    if (!op->lean || op->top_kind == KP_OVER_DENSE_RANK || partition->group.rows.count < (uint64_t)op->top)
        return false;
    struct first_rows first = {.last = last, .last_bytes = state_of(part, last->id)->peer_bytes};
    struct kp_ordered_entry entry = {.key = key->data};
    bool peer = op->top_kind != KP_OVER_ROW_NUMBER && are_peers(&first, &entry, peer_bytes);
    return !peer && kp_ordered_compare(key->data, key->len, last) > 0;
}

static void take_row(struct op_over *op, struct kp_keyed_part *part, struct partition *partition,
                     const struct kp_batch *batch, uint32_t i, struct kp_buf *key)
{
    uint32_t peer_bytes = 0;
    key->len = 0;
    if (op->top && op->top_kind != KP_OVER_ROW_NUMBER) {
        kp_order_key_append(op->over.keys, op->over.order_count, batch->vecs, 0, i, key);
        peer_bytes = (uint32_t)key->len;
        key->len = 0;
    }
    kp_order_key_append(op->over.keys, op->over.key_count, batch->vecs, batch->cols, i, key);
    if (is_behind(op, part, partition, key, peer_bytes))
        return;
    uint32_t id = kp_keyed_take(&op->keyed, part, &partition->group, key, batch, i);
    struct row_state *state = state_of(part, id);
    state->peer_bytes = peer_bytes;
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

static enum kp_code take_piece(struct op_over *op, struct kp_lane *lane, struct kp_keyed_part *part,
                               struct kp_arena *pending, const struct kp_piece *piece, struct kp_error *err)
{
    struct kp_keyed_group **groups = kp_keyed_groups(&op->keyed, lane, part, piece);
    struct kp_buf key = {0};
    enum kp_code code = KP_OK;
    for (uint32_t i = 0; code == KP_OK && i < piece->batch->rows; i++) {
        struct partition *partition = (struct partition *)groups[i];
        if (kp_keyed_touch(part, groups[i]) && partition->group.rows.count)
            code = compute(op, part, partition, pending, &partition->old, err);
        if (code == KP_OK)
            take_row(op, part, partition, piece->batch, i, &key);
    }
    kp_buf_finish(&key);
    KP_TRY(code);
    return kp_keyed_charge(part, (int64_t)pending->bytes, err);
}

/* ---- emission ---- */

struct side {
    const struct kp_over_answer *answer;
    uint32_t *index, count; /* places to send */
    int64_t weight;
};

static void add_place(struct op_over *op, struct kp_lane *lane, const struct kp_keyed_part *part, struct side *side,
                      uint32_t place)
{
    const struct kp_row_error *error = side->answer->errors ? side->answer->errors[place] : NULL;
    if (!error) {
        side->index[side->count++] = place;
        return;
    }
    struct kp_vec end;
    int64_t window_end = INT64_MIN;
    if (op->node.end_in < op->keyed.row_cols) {
        kp_table_load(&part->rows, op->node.end_in, &side->answer->ids[place], 1, &lane->arena, &end);
        window_end = kp_window_end_us(&end, 0);
    }
    kp_node_error_in(&op->node, lane, side->weight, -1, window_end, error->sqlstate, error->message);
}

static bool same_values(const struct op_over *op, const struct kp_over_answer *a, uint32_t i,
                        const struct kp_over_answer *b, uint32_t k)
{
    if ((a->errors && a->errors[i]) || (b->errors && b->errors[k]))
        return false;
    return kp_vecs_identical(a->values, i, b->values, k, op->over.call_count);
}

static enum kp_code send_side(struct op_over *op, struct kp_lane *lane, const struct kp_keyed_part *part,
                              const struct side *side, struct kp_error *err)
{
    uint32_t n = side->count, cols = op->keyed.row_cols;
    if (n == 0)
        return KP_OK;
    struct kp_batch *batch = kp_batch_create(&lane->arena, op->node.col_count, n);
    uint32_t *ids = kp_arena_alloc(&lane->arena, n * sizeof *ids);
    for (uint32_t i = 0; i < n; i++)
        ids[i] = side->answer->ids[side->index[i]];
    for (uint32_t c = 0; c < cols; c++)
        kp_table_load(&part->rows, c, ids, n, &lane->arena, &batch->vecs[c]);
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
static void compare(struct op_over *op, struct kp_lane *lane, const struct kp_keyed_part *part, struct side *old,
                    struct side *new)
{
    const struct kp_over_answer *a = old->answer, *b = new->answer;
    for (uint32_t i = 0; i < b->count; i++) {
        struct row_state *state = state_of(part, b->ids[i]);
        if (state->count++ == 0)
            state->first = i;
    }
    for (uint32_t i = 0, end; a && i < a->count; i = end) {
        struct row_state *state = state_of(part, a->ids[i]);
        for (end = i; end < a->count && a->ids[end] == a->ids[i];)
            end++;
        uint32_t before = end - i, after = state->count;
        for (uint32_t copy = 0; copy < KP_MAX(before, after); copy++) {
            bool was = copy < before, is = copy < after;
            if (was && is && same_values(op, a, i + copy, b, state->first + copy))
                continue;
            if (was)
                add_place(op, lane, part, old, i + copy);
            if (is)
                add_place(op, lane, part, new, state->first + copy);
        }
        state->count = 0;
    }
    for (uint32_t i = 0; i < b->count; i++) {
        struct row_state *state = state_of(part, b->ids[i]);
        if (state->count == 0)
            continue;
        for (uint32_t copy = 0; copy < state->count; copy++)
            add_place(op, lane, part, new, i + copy);
        i += state->count - 1;
        state->count = 0;
    }
}

static void partition_finish(struct kp_keyed_group *group)
{
    kp_free(((struct partition *)group)->zeros);
}

static void remove_row(struct op_over *op, struct kp_keyed_part *part, struct partition *partition, uint32_t id,
                       struct kp_buf *key, struct kp_arena *arena)
{
    struct kp_vec *vecs = kp_arena_alloc(arena, (op->keyed.row_cols + 1) * sizeof *vecs);
    kp_keyed_load(&op->keyed, part, id, arena, vecs);
    key->len = 0;
    kp_order_key_append(op->over.keys, op->over.key_count, vecs, op->keyed.row_cols, 0, key);
    kp_keyed_remove(part, &partition->group, key, id);
}

static void free_zeros(struct op_over *op, struct kp_keyed_part *part, struct partition *partition,
                       struct kp_arena *arena)
{
    struct kp_buf key = {0};
    for (uint32_t i = 0; i < partition->zero_count; i++) {
        uint32_t id = partition->zeros[i];
        struct row_state *state = state_of(part, id);
        state->noted = 0;
        if (!state->weight)
            remove_row(op, part, partition, id, &key, arena);
    }
    partition->zero_count = 0;
    kp_buf_finish(&key);
}

/* Rows behind those that are read; no answer names them any more. */
static void free_behind(struct op_over *op, struct kp_keyed_part *part, struct partition *partition,
                        struct kp_arena *arena)
{
    struct first_rows first = {0};
    struct kp_buf key = {0};
    uint64_t at = 0, kept = 0;
    const struct kp_ordered_entry *entry;
    while ((entry = kp_ordered_next(&partition->group.rows, &at)) && is_first_row(op, part, &first, entry))
        kept++;
    while (partition->group.rows.count > kept)
        remove_row(op, part, partition, kp_ordered_last(&partition->group.rows)->id, &key, arena);
    kp_buf_finish(&key);
}

/* ---- partitions of closed windows ---- */

/* Puts a partition that has rows into the queue, takes one without out of it. A NULL time never closes. */
static void queue_partition(struct op_over *op, struct kp_keyed_part *part, struct kp_ordered *queue,
                            struct partition *partition, struct kp_arena *arena)
{
    bool wanted = partition->group.rows.count > 0;
    uint8_t key[KP_ORDERED_WAIT_BYTES];
    struct kp_vec time;
    if (partition->queued == wanted)
        return;
    kp_table_load(&part->keys, op->time_key, &partition->group.id, 1, arena, &time);
    if (kp_vec_is_null(&time, 0))
        return;
    kp_ordered_wait_key(*(const int64_t *)kp_vec_at(&time, 0), partition->group.id, key);
    partition->queued = wanted;
    if (wanted)
        kp_ordered_insert(queue, key, sizeof key, partition->group.id);
    else
        kp_ordered_remove(queue, key, sizeof key);
}

static int64_t closed_us(const struct op_over *op)
{
    int64_t watermark = kp_node_watermark_above(op->node.inputs[0]), limit_us;
    return watermark == INT64_MIN || __builtin_sub_overflow(watermark, op->lateness_us, &limit_us) ? INT64_MIN
                                                                                                   : limit_us;
}

static int64_t queue_first_us(const struct kp_ordered *queue)
{
    const struct kp_ordered_entry *first = kp_ordered_first(queue);
    return first ? kp_ordered_time(first) : INT64_MAX;
}

static void forget_closed(struct op_over *op, struct kp_keyed_part *part, struct kp_ordered *queue,
                          struct kp_arena *arena)
{
    int64_t limit_us = closed_us(op);
    struct kp_buf key = {0};
    while (queue->count && queue_first_us(queue) <= limit_us) {
        const struct kp_ordered_entry *first = kp_ordered_first(queue), *last;
        struct kp_table *keys = &part->keys;
        struct partition *partition = *(struct partition **)kp_table_payload(keys, kp_table_row(keys, first->id));
        kp_ordered_remove(queue, first->key, first->key_bytes);
        while ((last = kp_ordered_last(&partition->group.rows)))
            remove_row(op, part, partition, last->id, &key, arena);
        kp_keyed_settle_group(&op->keyed, part, &partition->group);
    }
    kp_buf_finish(&key);
}

/* queue NULL: closed windows are kept. */
static enum kp_code emit(struct op_over *op, struct kp_lane *lane, struct kp_keyed_part *part, struct kp_ordered *queue,
                         struct partition *partition, struct kp_error *err)
{
    struct kp_arena *arena = &lane->arena;
    struct kp_over_answer *answer;
    KP_TRY(compute(op, part, partition, arena, &answer, err));
    struct side old = {.answer = partition->old, .weight = -1}, new = {.answer = answer, .weight = 1};
    old.index = kp_arena_alloc(arena, ((old.answer ? old.answer->count : 0) + 1) * sizeof *old.index);
    new.index = kp_arena_alloc(arena, (answer->count + 1) * sizeof *new.index);
    compare(op, lane, part, &old, &new);
    KP_TRY(send_side(op, lane, part, &old, err));
    KP_TRY(send_side(op, lane, part, &new, err));
    free_zeros(op, part, partition, arena);
    if (op->lean)
        free_behind(op, part, partition, arena);
    partition->old = NULL;
    if (queue)
        queue_partition(op, part, queue, partition, arena);
    kp_keyed_settle_group(&op->keyed, part, &partition->group);
    return KP_OK;
}

static enum kp_code over_part(struct kp_node *node, struct kp_lane *lane, uint32_t number, struct kp_error *err)
{
    struct op_over *op = (struct op_over *)node;
    struct kp_keyed_part *part = &op->keyed.parts[number];
    for (struct kp_piece *piece = kp_inbox_take(&node->inboxes[0], number); piece; piece = piece->next) {
        KP_TRY(kp_lane_check(lane, err));
        KP_TRY(take_piece(op, lane, part, &op->pending[number], piece, err));
    }
    if (!kp_graph_step_final(node->graph))
        return KP_OK;
    struct kp_ordered *queue = op->frees ? &op->queues[number] : NULL;
    for (struct kp_keyed_group *group; (group = kp_keyed_next_touched(part));) {
        KP_TRY(emit(op, lane, part, queue, (struct partition *)group, err));
        KP_TRY(kp_lane_check(lane, err));
    }
    if (queue)
        forget_closed(op, part, queue, &lane->arena);
    return kp_keyed_charge(part, (int64_t)op->pending[number].bytes, err);
}

static bool over_wants(const struct kp_node *node, uint32_t part)
{
    const struct op_over *op = (const struct op_over *)node;
    bool closed = op->frees && op->queues[part].count && queue_first_us(&op->queues[part]) <= closed_us(op);
    return (op->keyed.parts[part].touched || closed) && kp_graph_step_final(node->graph);
}

/* ---- building ---- */

static void over_start(struct kp_node *node)
{
    struct op_over *op = (struct op_over *)node;
    kp_keyed_start(&op->keyed, node);
    op->pending = kp_calloc(node->graph->parts, sizeof *op->pending);
    op->queues = kp_calloc(node->graph->parts, sizeof *op->queues);
}

static void over_finish(struct kp_node *node)
{
    struct op_over *op = (struct op_over *)node;
    for (uint32_t part = 0; op->pending && part < node->graph->parts; part++) {
        kp_arena_finish(&op->pending[part]);
        kp_ordered_finish(&op->queues[part]);
    }
    kp_free(op->pending);
    kp_free(op->queues);
    kp_keyed_finish(&op->keyed, node);
}

static void over_release(struct kp_node *node)
{
    struct op_over *op = (struct op_over *)node;
    kp_keyed_release(&op->keyed, node);
    for (uint32_t part = 0; part < node->graph->parts; part++)
        if (!op->keyed.parts[part].touched)
            kp_arena_finish(&op->pending[part]);
}

static bool over_same(const struct kp_node *a, const struct kp_node *b)
{
    const struct op_over *x = (const struct op_over *)a, *y = (const struct op_over *)b;
    return kp_keyed_same(&x->keyed, &y->keyed) && kp_over_same(&x->over, &y->over) && x->top == y->top &&
           x->top_kind == y->top_kind && x->frees == y->frees && x->time_key == y->time_key &&
           x->lateness_us == y->lateness_us;
}

static void over_stats(const struct kp_node *node, struct kp_node_stats *stats)
{
    kp_keyed_stats(&((const struct op_over *)node)->keyed, node, stats);
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
    op->node.growing = op->node.bounded;
    kp_over_define(&op->over, plan, arena);
    kp_keyed_define(&op->keyed, arena, input->types, input->col_count, plan->over.partitions,
                    plan->over.partition_count);
    op->top = plan->over.top;
    op->top_kind = op->top ? plan->over.calls[plan->over.top_call].kind : KP_OVER_ROW_NUMBER;
    op->lean = op->top && input->growing;
    op->frees = plan->over.frees && !op->node.bounded;
    op->node.restless = op->frees;
    op->lateness_us = op->frees ? plan->over.lateness_us : 0;
    while (op->frees && plan->over.partitions[op->time_key] != plan->over.time)
        op->time_key++;
    op->keyed.group_bytes = sizeof(struct partition);
    op->keyed.payload_bytes = sizeof(struct row_state);
    op->keyed.group_finish = partition_finish;
    snprintf(op->node.detail, sizeof op->node.detail, "%u partition columns, %u keys, %u functions",
             plan->over.partition_count, plan->over.key_count, plan->over.call_count);
    *ret_node = kp_node_share(&op->node);
    return KP_OK;
}
