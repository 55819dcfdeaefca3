/*
 * Sessions: rows of a key whose times follow one another by less than the gap are one window.
 *
 *   times     ·  · ·         ·   ·
 *   sessions  |-------gap|   |------gap|       [first time, last time + gap)
 *
 * The input is op_window's: each row with the window that it would have alone, [time, time + gap); that is where late
 * rows were left out. A key's rows lie in an ordered map by (time, whole row), also those taken away in this step.
 * Rows that hang together there, with what came and what went, are the only ones whose session may have changed: at
 * emission each such run is walked once, its sessions computed over the rows that are, and compared with what was sent.
 *
 *   key:  | key columns | → ordered map of rows, times touched |
 *   row:  | columns | time | weight | sent: weight, start, end |
 *
 * Invariants: beside those of keyed.h, a row stays in the map until the emission at which its weight is 0; after an
 * emission every row's `sent` is what the consumers have added up.
 */
#include <stdio.h>
#include <stdlib.h>

#include "flow/keyed.h"
#include "flow/order.h"

enum { SEND_ROWS = 16384 };

struct row_state {
    int64_t time_us, weight, sent, start_us, end_us;
};

struct session_key {
    struct kp_keyed_group group;
    int64_t *times; /* at which rows came or went since the last emission */
    uint32_t time_count, time_cap;
};

struct op_session {
    struct kp_node node;
    int64_t gap_us;
    struct kp_keyed keyed; /* rows without the window */
};

/* Changes on their way out. */
struct outbox {
    uint32_t *ids;
    int64_t *starts, *ends, *weights;
    uint32_t count;
    struct session_key *key; /* whose rows are being walked */
    uint32_t *gone, gone_count, gone_cap;
};

static enum kp_code session_push(struct kp_node *node, struct kp_lane *lane, uint32_t port, const struct kp_flow *in,
                                 struct kp_error *err)
{
    kp_keyed_push(&((const struct op_session *)node)->keyed, node, lane, in->batch);
    return KP_OK;
}

static inline struct row_state *state_of(const struct kp_keyed_part *part, uint32_t id)
{
    return kp_keyed_payload(part, id);
}

static void row_key(const struct kp_vec *vecs, uint32_t cols, uint32_t row, int64_t time_us, struct kp_buf *key)
{
    uint8_t bytes[8];
    kp_ordered_time_put(time_us, bytes);
    key->len = 0;
    kp_buf_append(key, bytes, sizeof bytes);
    kp_order_key_append(NULL, 0, vecs, cols, row, key);
}

/* ---- rows in ---- */

static void touch(struct kp_keyed_part *part, struct session_key *key, int64_t time_us)
{
    kp_keyed_touch(part, &key->group);
    if (key->time_count && key->times[key->time_count - 1] == time_us)
        return;
    if (key->time_count == key->time_cap) {
        key->time_cap = key->time_cap ? key->time_cap * 2 : 4;
        key->times = kp_realloc(key->times, key->time_cap * sizeof *key->times);
    }
    key->times[key->time_count++] = time_us;
}

static enum kp_code take_piece(struct op_session *op, struct kp_lane *lane, struct kp_keyed_part *part,
                               const struct kp_piece *piece, struct kp_error *err)
{
    const struct kp_batch *batch = piece->batch;
    struct kp_keyed_group **groups = kp_keyed_groups(&op->keyed, lane, part, piece);
    struct kp_buf bytes = {0};
    for (uint32_t i = 0; i < batch->rows; i++) {
        int64_t time_us = ((const int64_t *)batch->vecs[op->keyed.row_cols].data)[i];
        row_key(batch->vecs, op->keyed.row_cols, i, time_us, &bytes);
        struct row_state *state = state_of(part, kp_keyed_take(&op->keyed, part, groups[i], &bytes, batch, i));
        state->time_us = time_us;
        state->weight += batch->weights ? batch->weights[i] : 1;
        touch(part, (struct session_key *)groups[i], time_us);
    }
    kp_buf_finish(&bytes);
    return kp_keyed_charge(part, 0, err);
}

/* ---- emission ---- */

static enum kp_code send(struct op_session *op, struct kp_lane *lane, const struct kp_keyed_part *part,
                         struct outbox *out, struct kp_error *err)
{
    uint32_t n = out->count;
    if (n == 0)
        return KP_OK;
    struct kp_batch *batch = kp_batch_create(&lane->arena, op->node.col_count, n);
    for (uint32_t c = 0; c < op->keyed.row_cols; c++)
        kp_table_load(&part->rows, c, out->ids, n, &lane->arena, &batch->vecs[c]);
    for (uint32_t c = 0; c < 2; c++) {
        struct kp_vec *vec = &batch->vecs[op->keyed.row_cols + c];
        kp_vec_init(vec, &lane->arena, op->node.types[op->keyed.row_cols + c], n);
        memcpy(vec->data, c ? out->ends : out->starts, n * sizeof(int64_t));
    }
    batch->weights = kp_arena_alloc(&lane->arena, n * sizeof(int64_t));
    memcpy((int64_t *)batch->weights, out->weights, n * sizeof(int64_t));
    out->count = 0;
    struct kp_flow flow = {.batch = batch};
    return kp_node_send(&op->node, lane, &flow, err);
}

static void put(struct outbox *out, uint32_t id, int64_t start_us, int64_t end_us, int64_t weight)
{
    out->ids[out->count] = id;
    out->starts[out->count] = start_us;
    out->ends[out->count] = end_us;
    out->weights[out->count++] = weight;
}

/* What was sent of the row becomes what it is now. */
static void put_change(struct outbox *out, struct row_state *state, uint32_t id, int64_t start_us, int64_t end_us)
{
    bool moved = state->start_us != start_us || state->end_us != end_us;
    if (state->sent && (moved || !state->weight))
        put(out, id, state->start_us, state->end_us, -state->sent);
    else if (state->sent && state->sent != state->weight)
        put(out, id, start_us, end_us, state->weight - state->sent);
    if (state->weight && (moved || !state->sent))
        put(out, id, start_us, end_us, state->weight);
    *state = (struct row_state){state->time_us, state->weight, state->weight, start_us, end_us};
    if (state->weight)
        return;
    if (out->gone_count == out->gone_cap) {
        out->gone_cap = out->gone_cap ? out->gone_cap * 2 : 64;
        out->gone = kp_realloc(out->gone, out->gone_cap * sizeof *out->gone);
    }
    out->gone[out->gone_count++] = id;
}

/* The first entry of the run that holds time_us: no gap lies between it and there. */
static uint64_t run_start(const struct op_session *op, const struct session_key *key, int64_t time_us)
{
    uint8_t bytes[8];
    kp_ordered_time_put(time_us, bytes);
    uint64_t start = kp_ordered_seek(&key->group.rows, bytes, sizeof bytes), at = start;
    for (const struct kp_ordered_entry *entry; (entry = kp_ordered_prev(&key->group.rows, &at));) {
        if (time_us - kp_ordered_time(entry) >= op->gap_us)
            break;
        time_us = kp_ordered_time(entry);
        start = at;
    }
    return start;
}

/* The end of the session that begins with the entry before `at`: over rows that are there. */
static int64_t session_end(const struct op_session *op, const struct kp_keyed_part *part, const struct session_key *key,
                           uint64_t at, int64_t time_us)
{
    for (const struct kp_ordered_entry *entry; (entry = kp_ordered_next(&key->group.rows, &at));) {
        if (kp_ordered_time(entry) - time_us >= op->gap_us)
            break;
        if (state_of(part, entry->id)->weight)
            time_us = kp_ordered_time(entry);
    }
    return time_us + op->gap_us;
}

/* Walks one run from `at`; *ret_last_us is the time of its last row. */
static enum kp_code walk_run(struct op_session *op, struct kp_lane *lane, const struct kp_keyed_part *part,
                             struct session_key *key, uint64_t at, struct outbox *out, int64_t *ret_last_us,
                             struct kp_error *err)
{
    int64_t start_us = INT64_MIN, end_us = INT64_MIN, last_us = INT64_MIN;
    const struct kp_ordered_entry *entry;
    while ((entry = kp_ordered_next(&key->group.rows, &at))) {
        int64_t time_us = kp_ordered_time(entry);
        struct row_state *state = state_of(part, entry->id);
        if (last_us != INT64_MIN && time_us - last_us >= op->gap_us)
            break;
        last_us = time_us;
        if (state->weight < 0)
            return kp_fail(err, KP_CORRUPT, "XX000", "a row has been taken away more often than it came");
        if (state->weight && time_us >= end_us) {
            start_us = time_us;
            end_us = session_end(op, part, key, at, time_us);
        }
        put_change(out, state, entry->id, start_us, end_us);
        if (out->count + 2 > SEND_ROWS)
            KP_TRY(send(op, lane, part, out, err));
    }
    *ret_last_us = last_us;
    return KP_OK;
}

static void free_gone(struct op_session *op, struct kp_lane *lane, struct kp_keyed_part *part, struct session_key *key,
                      struct outbox *out)
{
    struct kp_buf bytes = {0};
    struct kp_vec *vecs = kp_arena_alloc(&lane->arena, (op->keyed.row_cols + 1) * sizeof *vecs);
    for (uint32_t i = 0; i < out->gone_count; i++) {
        uint32_t id = out->gone[i];
        kp_keyed_load(&op->keyed, part, id, &lane->arena, vecs);
        row_key(vecs, op->keyed.row_cols, 0, state_of(part, id)->time_us, &bytes);
        kp_keyed_remove(part, &key->group, &bytes, id);
    }
    out->gone_count = 0;
    kp_buf_finish(&bytes);
}

static int compare_times(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void key_finish(struct kp_keyed_group *group)
{
    kp_free(((struct session_key *)group)->times);
}

/* Everything of one key that may have changed. */
static enum kp_code emit_key(struct op_session *op, struct kp_lane *lane, struct kp_keyed_part *part,
                             struct session_key *key, struct outbox *out, struct kp_error *err)
{
    int64_t done_us = INT64_MIN;
    qsort(key->times, key->time_count, sizeof *key->times, compare_times);
    for (uint32_t i = 0; i < key->time_count; i++) {
        if (i > 0 && key->times[i] <= done_us)
            continue;
        uint64_t at = run_start(op, key, key->times[i]);
        KP_TRY(walk_run(op, lane, part, key, at, out, &done_us, err));
    }
    if (out->gone_count) { /* their rows are read by what is still to be sent */
        KP_TRY(send(op, lane, part, out, err));
        free_gone(op, lane, part, key, out);
    }
    key->time_count = 0;
    kp_keyed_settle_group(&op->keyed, part, &key->group);
    return KP_OK;
}

static enum kp_code emit(struct op_session *op, struct kp_lane *lane, struct kp_keyed_part *part, struct kp_error *err)
{
    struct kp_arena *arena = &lane->arena;
    struct outbox out = {.ids = kp_arena_alloc(arena, SEND_ROWS * sizeof *out.ids),
                         .starts = kp_arena_alloc(arena, SEND_ROWS * sizeof *out.starts),
                         .ends = kp_arena_alloc(arena, SEND_ROWS * sizeof *out.ends),
                         .weights = kp_arena_alloc(arena, SEND_ROWS * sizeof *out.weights)};
    enum kp_code code = KP_OK;
    for (struct kp_keyed_group *group; code == KP_OK && (group = kp_keyed_next_touched(part));)
        code = emit_key(op, lane, part, (struct session_key *)group, &out, err);
    kp_free(out.gone);
    return code == KP_OK ? send(op, lane, part, &out, err) : code;
}

static enum kp_code session_part(struct kp_node *node, struct kp_lane *lane, uint32_t number, struct kp_error *err)
{
    struct op_session *op = (struct op_session *)node;
    struct kp_keyed_part *part = &op->keyed.parts[number];
    for (struct kp_piece *piece = kp_inbox_take(&node->inboxes[0], number); piece; piece = piece->next) {
        KP_TRY(kp_lane_check(lane, err));
        KP_TRY(take_piece(op, lane, part, piece, err));
    }
    return kp_graph_step_final(node->graph) ? emit(op, lane, part, err) : KP_OK;
}

static bool session_wants(const struct kp_node *node, uint32_t part)
{
    return ((const struct op_session *)node)->keyed.parts[part].touched && kp_graph_step_final(node->graph);
}

/* ---- building ---- */

static void session_start(struct kp_node *node)
{
    kp_keyed_start(&((struct op_session *)node)->keyed, node);
}

static void session_finish(struct kp_node *node)
{
    kp_keyed_finish(&((struct op_session *)node)->keyed, node);
}

static void session_release(struct kp_node *node)
{
    kp_keyed_release(&((struct op_session *)node)->keyed, node);
}

static bool session_same(const struct kp_node *a, const struct kp_node *b)
{
    const struct op_session *x = (const struct op_session *)a, *y = (const struct op_session *)b;
    return x->gap_us == y->gap_us && kp_keyed_same(&x->keyed, &y->keyed);
}

static void session_stats(const struct kp_node *node, struct kp_node_stats *stats)
{
    kp_keyed_stats(&((const struct op_session *)node)->keyed, node, stats);
}

static const struct kp_node_ops session_ops = {.kind = "session",
                                               .bytes = sizeof(struct op_session),
                                               .push = session_push,
                                               .part = session_part,
                                               .wants = session_wants,
                                               .start = session_start,
                                               .release = session_release,
                                               .finish = session_finish,
                                               .same = session_same,
                                               .stats = session_stats};

struct kp_node *kp_op_session(struct kp_graph *graph, const struct kp_plan *plan, struct kp_node *input)
{
    struct op_session *op =
        (struct op_session *)kp_node_create(graph, &session_ops, plan->cols, plan->col_count, &input, 1);
    op->node.growing = op->node.bounded;
    op->gap_us = plan->window.size.us; /* the binder has made days microseconds, and refused months */
    kp_keyed_define(&op->keyed, &op->node.arena, input->types, plan->col_count - 2, plan->window.keys,
                    plan->window.key_count);
    op->keyed.group_bytes = sizeof(struct session_key);
    op->keyed.payload_bytes = sizeof(struct row_state);
    op->keyed.group_finish = key_finish;
    snprintf(op->node.detail, sizeof op->node.detail, "%u key columns", plan->window.key_count);
    return kp_node_share(&op->node);
}
