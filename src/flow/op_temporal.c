/*
 * A condition on now(): rows come and go as the log's time moves.
 *
 *   visible(row, now) is monotone in now (the binder has seen to that), so it flips once at most:
 *
 *       ts > now() - '1 hour'    |======= visible =======|·············      flips at ts + 1 hour
 *       ts <= now()              ·············|======= visible =======       flips at ts
 *
 * now() is a column here, so that one evaluation asks each row about a time of its own. When a row comes, it is seen or
 * not; if that changes before the year 10000, the moment of its flip is found by bisection (most flips lie a constant
 * after a time in the row: that guess is tried first) and the row waits in order of flips. The sum of what was sent is
 * at each step the visible rows at the step's log time, whatever the steps.
 *
 *   waiting row:  | columns | weight, flip, visible |       found by whole row, and in order of (flip, row number)
 *
 * Invariants: 1. the node's time never goes back; 2. every waiting row flips behind it; 3. a row that does not wait
 * never changes again.
 */
#include <stdio.h>

#include "flow/graph.h"
#include "flow/ordered.h"
#include "flow/table.h"

static const int64_t NEVER_US = 252455616000000000; /* the year 10000: behind it nothing flips */

struct wait_state {
    int64_t weight, flip_us;
    uint8_t visible;
};

struct shard {
    struct kp_table table;
    struct kp_ordered flips;
};

struct op_temporal {
    struct kp_node node;
    struct kp_expr *predicate; /* now() is the column behind the input's */
    int32_t time_column;       /* of the input: flips lie near it; -1: none */
    struct kp_row_layout layout;
    struct shard *shards;
    int64_t now_us;
};

static enum kp_code temporal_push(struct kp_node *node, struct kp_lane *lane, uint32_t port, const struct kp_flow *in,
                                  struct kp_error *err)
{
    uint64_t *hashes = kp_arena_calloc(&lane->arena, in->batch->rows * sizeof *hashes);
    for (uint32_t c = 0; c < in->batch->cols; c++)
        kp_vec_hash(&in->batch->vecs[c], in->batch->rows, hashes, c == 0);
    kp_inbox_send(&node->inboxes[0], lane, in->batch, hashes, in->positions);
    return KP_OK;
}

/* ---- when a row flips ---- */

/* Whether each row is visible at its own time; rows that fail are not. Their errors stay in eval. */
static void look(const struct op_temporal *op, struct kp_eval *eval, const struct kp_batch *in, const int64_t *times,
                 uint8_t *ret_visible)
{
    struct kp_batch *batch = kp_batch_create(eval->arena, in->cols + 1, in->rows);
    memcpy(batch->vecs, in->vecs, in->cols * sizeof *batch->vecs);
    kp_vec_init(&batch->vecs[in->cols], eval->arena, KP_TYPE(KP_TIMESTAMPTZ), in->rows);
    memcpy(batch->vecs[in->cols].data, times, in->rows * sizeof *times);
    struct kp_vec is;
    kp_eval(eval, op->predicate, batch, &is);
    uint32_t *index = kp_arena_alloc(eval->arena, (in->rows + 1) * sizeof *index);
    uint32_t n = kp_eval_true_rows(eval, &is, in->rows, index);
    memset(ret_visible, 0, in->rows);
    for (uint32_t i = 0; i < n; i++)
        ret_visible[index[i]] = 1;
}

/* The rows that are being searched: each flips in (low, high]. */
struct search {
    struct kp_batch *batch;
    uint8_t *first; /* visible at the beginning */
    int64_t *low, *high;
};

static bool unsettled(const struct search *search)
{
    for (uint32_t i = 0; i < search->batch->rows; i++)
        if (search->high[i] - search->low[i] > 1)
            return true;
    return false;
}

/* Asks at `times` (inside the brackets) and narrows them. */
static void narrow(const struct op_temporal *op, struct kp_lane *lane, struct search *search, const int64_t *times)
{
    struct kp_eval eval = kp_lane_eval(lane, &op->node);
    uint8_t *visible = kp_arena_alloc(&lane->arena, search->batch->rows);
    look(op, &eval, search->batch, times, visible);
    for (uint32_t i = 0; i < search->batch->rows; i++) {
        if (times[i] <= search->low[i] || times[i] >= search->high[i])
            continue;
        if (visible[i] == search->first[i])
            search->low[i] = times[i];
        else
            search->high[i] = times[i];
    }
}

static int64_t row_time(const struct op_temporal *op, const struct kp_batch *batch, uint32_t row)
{
    const struct kp_vec *vec = &batch->vecs[op->time_column];
    return kp_vec_is_null(vec, row) ? 0 : *(const int64_t *)kp_vec_at(vec, row);
}

/* The middle of each bracket until all are one microsecond wide. */
static void bisect(const struct op_temporal *op, struct kp_lane *lane, struct search *search)
{
    int64_t *times = kp_arena_alloc(&lane->arena, search->batch->rows * sizeof *times);
    while (unsettled(search)) {
        for (uint32_t i = 0; i < search->batch->rows; i++)
            times[i] = search->low[i] + (search->high[i] - search->low[i]) / 2;
        narrow(op, lane, search, times);
    }
}

/* The first row is bisected; the others are asked just before and at the same distance from their own time. */
static void guess(const struct op_temporal *op, struct kp_lane *lane, struct search *search)
{
    uint32_t first = 0, rows = search->batch->rows;
    struct search one = {kp_batch_gather(search->batch, &first, 1, &lane->arena), search->first, search->low,
                         search->high};
    bisect(op, lane, &one);
    int64_t distance, *times = kp_arena_alloc(&lane->arena, rows * sizeof *times);
    if (__builtin_sub_overflow(search->high[0], row_time(op, search->batch, 0), &distance))
        return;
    for (int64_t before = 1; before >= 0; before--) {
        for (uint32_t i = 0; i < rows; i++)
            if (__builtin_add_overflow(row_time(op, search->batch, i), distance - before, &times[i]))
                times[i] = search->low[i];
        narrow(op, lane, search, times);
    }
}

/* The moment of each row's flip behind the node's time, INT64_MAX: none. */
static void find_flips(const struct op_temporal *op, struct kp_lane *lane, const struct kp_batch *batch,
                       const uint8_t *visible, int64_t *ret_flips)
{
    struct kp_arena *arena = &lane->arena;
    uint32_t rows = batch->rows, n = 0, *index = kp_arena_alloc(arena, (rows + 1) * sizeof *index);
    int64_t *times = kp_arena_alloc(arena, (rows + 1) * sizeof *times);
    uint8_t *last = kp_arena_alloc(arena, rows + 1);
    for (uint32_t i = 0; i < rows; i++) {
        times[i] = NEVER_US;
        ret_flips[i] = INT64_MAX;
    }
    struct kp_eval eval = kp_lane_eval(lane, &op->node);
    look(op, &eval, batch, times, last);
    for (uint32_t i = 0; i < rows; i++)
        if (last[i] != visible[i])
            index[n++] = i;
    if (n == 0 || op->now_us >= NEVER_US)
        return;
    struct search search = {kp_batch_gather(batch, index, n, arena), kp_arena_alloc(arena, n),
                            kp_arena_alloc(arena, n * sizeof(int64_t)), kp_arena_alloc(arena, n * sizeof(int64_t))};
    for (uint32_t i = 0; i < n; i++) {
        search.first[i] = visible[index[i]];
        search.low[i] = op->now_us;
        search.high[i] = NEVER_US;
    }
    if (op->time_column >= 0)
        guess(op, lane, &search);
    bisect(op, lane, &search);
    for (uint32_t i = 0; i < n; i++)
        ret_flips[index[i]] = search.high[i];
}

/* ---- rows in ---- */

static inline struct wait_state *state_of(const struct shard *shard, uint32_t id)
{
    return kp_table_payload(&shard->table, kp_table_row(&shard->table, id));
}

static void drop_row(struct shard *shard, uint32_t id)
{
    uint8_t key[KP_ORDERED_WAIT_BYTES];
    uint64_t hash;
    kp_ordered_wait_key(state_of(shard, id)->flip_us, id, key);
    kp_ordered_remove(&shard->flips, key, sizeof key);
    kp_table_hashes(&shard->table, &id, 1, &hash);
    kp_table_remove(&shard->table, id, hash);
}

/* Rows that will flip wait; a row whose weight becomes 0 no longer does. */
static void hold_rows(struct kp_lane *lane, struct shard *shard, const struct kp_batch *batch, const uint64_t *hashes,
                      const int64_t *flips, const uint8_t *visible)
{
    uint32_t rows = batch->rows, made = 0;
    uint32_t *ids = kp_arena_alloc(&lane->arena, rows * sizeof *ids),
             *new_rows = kp_arena_alloc(&lane->arena, rows * sizeof *new_rows);
    kp_table_probe(&shard->table, batch->vecs, hashes, rows, true, ids, new_rows, &made);
    for (uint32_t i = 0; i < made; i++) {
        uint32_t row = new_rows[i], id = ids[row];
        uint8_t key[KP_ORDERED_WAIT_BYTES];
        *state_of(shard, id) = (struct wait_state){0, flips[row], visible[row]};
        kp_ordered_wait_key(flips[row], id, key);
        kp_ordered_insert(&shard->flips, key, sizeof key, id);
    }
    for (uint32_t i = 0; i < rows; i++)
        state_of(shard, ids[i])->weight += batch->weights ? batch->weights[i] : 1;
    for (uint32_t i = 0; i < rows; i++) { /* a row may have come several times: the first who sees 0 removes it */
        struct wait_state *state = state_of(shard, ids[i]);
        new_rows[i] = state->weight == 0;
        if (state->weight == 0)
            state->weight = INT64_MIN;
    }
    for (uint32_t i = 0; i < rows; i++)
        if (new_rows[i])
            drop_row(shard, ids[i]);
}

static enum kp_code take_piece(struct op_temporal *op, struct kp_lane *lane, struct shard *shard,
                               const struct kp_piece *piece, struct kp_error *err)
{
    struct kp_arena *arena = &lane->arena;
    const struct kp_flow in = {.batch = piece->batch, .positions = piece->positions};
    uint32_t rows = piece->batch->rows, n = 0, *index = kp_arena_alloc(arena, (rows + 1) * sizeof *index);
    int64_t *times = kp_arena_alloc(arena, (rows + 1) * sizeof *times), *flips = kp_arena_alloc(arena, (rows + 1) * 8);
    uint8_t *visible = kp_arena_alloc(arena, rows + 1);
    struct kp_eval eval = kp_lane_eval(lane, &op->node);
    for (uint32_t i = 0; i < rows; i++)
        times[i] = op->now_us;
    look(op, &eval, piece->batch, times, visible);
    kp_node_divert(&op->node, lane, &eval, &in);
    find_flips(op, lane, piece->batch, visible, flips);
    for (uint32_t i = 0; i < rows; i++)
        if (flips[i] != INT64_MAX)
            index[n++] = i;
    if (n) {
        uint64_t *hashes = kp_arena_alloc(arena, n * sizeof *hashes);
        int64_t *some_flips = kp_arena_alloc(arena, n * sizeof *some_flips);
        uint8_t *some_visible = kp_arena_alloc(arena, n);
        for (uint32_t i = 0; i < n; i++) {
            hashes[i] = piece->hashes[index[i]];
            some_flips[i] = flips[index[i]];
            some_visible[i] = visible[index[i]];
        }
        hold_rows(lane, shard, kp_batch_gather(piece->batch, index, n, arena), hashes, some_flips, some_visible);
    }
    n = 0;
    for (uint32_t i = 0; i < rows; i++)
        if (visible[i])
            index[n++] = i;
    if (n == 0)
        return KP_OK;
    struct kp_flow out = kp_flow_gather(&in, index, n, arena);
    out.positions =
        NULL; /* rows that flip have none: what fails on such a row has to be the same when it comes and goes */
    return kp_node_send(&op->node, lane, &out, err);
}

/* ---- rows that flip ---- */

static enum kp_code send_flipped(struct op_temporal *op, struct kp_lane *lane, struct shard *shard, const uint32_t *ids,
                                 uint32_t count, struct kp_error *err)
{
    struct kp_batch *batch = kp_batch_create(&lane->arena, op->node.col_count, count);
    int64_t *weights = kp_arena_alloc(&lane->arena, count * sizeof *weights);
    for (uint32_t c = 0; c < op->node.col_count; c++)
        kp_table_load(&shard->table, c, ids, count, &lane->arena, &batch->vecs[c]);
    for (uint32_t i = 0; i < count; i++) {
        const struct wait_state *state = state_of(shard, ids[i]);
        weights[i] = state->visible ? -state->weight : state->weight;
    }
    batch->weights = weights;
    for (uint32_t i = 0; i < count; i++)
        drop_row(shard, ids[i]);
    struct kp_flow out = {.batch = batch};
    return kp_node_send(&op->node, lane, &out, err);
}

static enum kp_code flip_due(struct op_temporal *op, struct kp_lane *lane, struct shard *shard, struct kp_error *err)
{
    uint8_t limit[KP_ORDERED_WAIT_BYTES];
    kp_ordered_wait_key(op->now_us, UINT32_MAX, limit);
    uint32_t n, *ids = kp_arena_alloc(&lane->arena, KP_BATCH_ROWS_MAX * sizeof *ids);
    do {
        uint64_t at = 0;
        const struct kp_ordered_entry *entry;
        for (n = 0; n < KP_BATCH_ROWS_MAX && (entry = kp_ordered_next(&shard->flips, &at));) {
            if (kp_ordered_compare(limit, sizeof limit, entry) < 0)
                break;
            ids[n++] = entry->id;
        }
        if (n)
            KP_TRY(send_flipped(op, lane, shard, ids, n, err));
    } while (n == KP_BATCH_ROWS_MAX);
    return KP_OK;
}

static enum kp_code temporal_part(struct kp_node *node, struct kp_lane *lane, uint32_t part, struct kp_error *err)
{
    struct op_temporal *op = (struct op_temporal *)node;
    struct shard *shard = &op->shards[part];
    KP_TRY(flip_due(op, lane, shard, err));
    for (struct kp_piece *piece = kp_inbox_take(&node->inboxes[0], part); piece; piece = piece->next) {
        KP_TRY(kp_lane_check(lane, err));
        KP_TRY(take_piece(op, lane, shard, piece, err));
        KP_TRY(kp_table_settle(&shard->table, shard->flips.bytes, err));
    }
    return kp_table_settle(&shard->table, shard->flips.bytes, err);
}

/* Before the parts' turns, one thread: the time moves on. Feeds of a backfill may bring older times: it never goes
 * back.
 */
static void temporal_begin(struct kp_node *node)
{
    struct op_temporal *op = (struct op_temporal *)node;
    op->now_us = KP_MAX(op->now_us, node->settings.now_us);
}

static bool temporal_wants(const struct kp_node *node, uint32_t part)
{
    const struct op_temporal *op = (const struct op_temporal *)node;
    const struct kp_ordered_entry *first = kp_ordered_first(&op->shards[part].flips);
    uint8_t limit[KP_ORDERED_WAIT_BYTES];
    kp_ordered_wait_key(op->now_us, UINT32_MAX, limit);
    return first && kp_ordered_compare(limit, sizeof limit, first) >= 0;
}

static int64_t temporal_due(const struct kp_node *node)
{
    const struct op_temporal *op = (const struct op_temporal *)node;
    int64_t due_us = INT64_MAX;
    for (uint32_t part = 0; part < node->graph->parts; part++) {
        const struct kp_ordered_entry *first = kp_ordered_first(&op->shards[part].flips);
        if (first)
            due_us = KP_MIN(due_us, kp_ordered_time(first));
    }
    return due_us;
}

/* ---- building ---- */

static void temporal_start(struct kp_node *node)
{
    struct op_temporal *op = (struct op_temporal *)node;
    op->shards = kp_calloc(node->graph->parts, sizeof *op->shards);
    for (uint32_t part = 0; part < node->graph->parts; part++) {
        struct kp_table *table = &op->shards[part].table;
        kp_table_init(table, &op->layout, op->layout.col_count, sizeof(struct wait_state), node->graph->options.budget);
        table->identical = true;
        table->single_i64 = false;
    }
}

static void temporal_finish(struct kp_node *node)
{
    struct op_temporal *op = (struct op_temporal *)node;
    for (uint32_t part = 0; op->shards && part < node->graph->parts; part++) {
        kp_table_finish(&op->shards[part].table);
        kp_ordered_finish(&op->shards[part].flips);
    }
    kp_free(op->shards);
}

static void temporal_release(struct kp_node *node)
{
    struct op_temporal *op = (struct op_temporal *)node;
    for (uint32_t part = 0; part < node->graph->parts; part++)
        kp_heap_sweep(&op->shards[part].table.heap);
}

static bool temporal_same(const struct kp_node *a, const struct kp_node *b)
{
    return kp_expr_equal(((const struct op_temporal *)a)->predicate, ((const struct op_temporal *)b)->predicate);
}

static void temporal_stats(const struct kp_node *node, struct kp_node_stats *stats)
{
    const struct op_temporal *op = (const struct op_temporal *)node;
    for (uint32_t part = 0; part < node->graph->parts; part++) {
        stats->state_rows += op->shards[part].table.live;
        stats->state_bytes += (uint64_t)(kp_table_bytes(&op->shards[part].table) + op->shards[part].flips.bytes);
    }
}

static const struct kp_node_ops temporal_ops = {.kind = "temporal",
                                                .bytes = sizeof(struct op_temporal),
                                                .push = temporal_push,
                                                .begin = temporal_begin,
                                                .part = temporal_part,
                                                .wants = temporal_wants,
                                                .due = temporal_due,
                                                .start = temporal_start,
                                                .release = temporal_release,
                                                .finish = temporal_finish,
                                                .same = temporal_same,
                                                .stats = temporal_stats};

static struct kp_expr *now_to_column(const struct kp_expr *expr, struct kp_arena *arena, void *arg)
{
    if (expr->kind != KP_EXPR_NOW)
        return NULL;
    struct kp_expr *column = kp_arena_calloc(arena, sizeof *column);
    *column = (struct kp_expr){
        .kind = KP_EXPR_COLUMN, .type = expr->type, .location = expr->location, .column = *(const uint32_t *)arg};
    return column;
}

static bool find_time(const struct kp_expr *expr, void *arg)
{
    struct op_temporal *op = arg;
    bool time = expr->type.id == KP_TIMESTAMP || expr->type.id == KP_TIMESTAMPTZ;
    if (expr->kind == KP_EXPR_COLUMN && time && expr->column < op->node.col_count)
        op->time_column = (int32_t)expr->column;
    return op->time_column < 0;
}

struct kp_node *kp_op_temporal(struct kp_graph *graph, const struct kp_plan *plan, const struct kp_expr *predicate,
                               const struct kp_session_settings *settings, struct kp_node *input)
{
    struct op_temporal *op =
        (struct op_temporal *)kp_node_create(graph, &temporal_ops, plan->cols, plan->col_count, &input, 1);
    struct kp_arena *arena = &op->node.arena;
    uint32_t column = plan->col_count;
    op->node.settings = *settings;
    op->node.growing = false;
    op->node.uses_positions = predicate->can_fail;
    op->predicate = kp_expr_own(kp_expr_copy(predicate, arena, now_to_column, &column), arena);
    op->node.form = kp_expr_hash(op->predicate);
    op->time_column = -1;
    op->now_us = INT64_MIN;
    kp_expr_walk(op->predicate, find_time, op);
    kp_row_layout_init(&op->layout, arena, op->node.types, op->node.col_count, true, 0);
    return kp_node_share(&op->node);
}
