/*
 * As-of join: each row of the left input with the row of equal keys on the right whose time is nearest on the asked
 * side; of several at that time the least row, or the one that was logged last. LEFT keeps left rows that find none.
 *
 *   l.t >= r.t   right  ·r1      ·r2         ·r3         what comes or goes at r2 changes the left rows
 *                left      ·  ·     ·  ·  ·     ·        between r2 and r3, and no others
 *                                   |-----|
 *
 * Both sides of a key lie in ordered maps by (time, whole row), or (time, position downwards, whole row). Left rows
 * remember what they were sent with; at emission those that came, went, or lie where something changed on the right
 * look again, and what differs is sent.
 *
 * Where the plan says so, left rows that no right row can come before any more go, and of the right rows of a key that
 * lie behind both watermarks all but the last: what was sent is final. A queue of keys by their last time wakes them.
 *
 *   key:    | key columns | → maps of left and right rows, what was touched |
 *   left:   | columns | weight | sent | match | queued |          right:  | columns | weight | was |
 *
 * Invariants: 1. rows stay in their map until the emission at which their weight is 0; 2. `was` is the weight at the
 * last emission; 3. a left row is queued at most once.
 */
#include <stdio.h>

#include "flow/op_source.h"
#include "flow/order.h"
#include "flow/ordered.h"
#include "flow/table.h"

enum { SEND_ROWS = 8192, LEFT = 0, RIGHT = 1 };

struct left_state {
    int64_t time, weight, sent;
    uint32_t match, queued;
};
struct right_state {
    int64_t time, weight, was;
    uint32_t noted;
};

struct ids {
    uint32_t *items, count, cap;
};

struct asof_key {
    struct kp_ordered sides[2];
    struct ids left, right; /* touched since the last emission */
    struct asof_key *next_touched;
    uint64_t hash;
    uint32_t id;
    bool touched, queued;
};

struct shard {
    struct kp_table keys, rows[2];
    struct kp_ordered queue; /* (time, key), of keys whose rows can go */
    struct asof_key *touched;
    int64_t more_bytes;
};

struct op_asof {
    struct kp_node node;
    bool outer, strict, forward, frees, latest;
    uint32_t version_column; /* of the right side, if latest */
    int64_t lateness[2];     /* in the time's unit */
    uint32_t key_count, *key_columns[2], time_column[2], cols[2];
    struct kp_row_layout key_layout, layouts[2];
    struct shard *shards;
};

struct outbox {
    uint32_t *left, *right;
    int64_t *weights;
    uint32_t count;
};

static void ids_add(struct ids *ids, uint32_t id)
{
    if (ids->count == ids->cap) {
        ids->cap = ids->cap ? ids->cap * 2 : 4;
        ids->items = kp_realloc(ids->items, ids->cap * sizeof *ids->items);
    }
    ids->items[ids->count++] = id;
}

static int64_t time_at(const struct kp_vec *vec, uint32_t row)
{
    const void *value = kp_vec_at(vec, row);
    return kp_type_info(vec->type.id)->bytes == 8 ? *(const int64_t *)value : *(const int32_t *)value;
}

/* ---- rows in ---- */

/* Left rows that can match nothing, their key or time being NULL, go on at once. */
static enum kp_code send_unmatched(struct op_asof *op, struct kp_lane *lane, const struct kp_flow *in,
                                   const uint32_t *index, uint32_t n, struct kp_error *err)
{
    struct kp_flow some = kp_flow_gather_any(in, index, n, &lane->arena);
    struct kp_batch *batch = kp_batch_create(&lane->arena, op->node.col_count, n);
    memcpy(batch->vecs, some.batch->vecs, op->cols[LEFT] * sizeof *batch->vecs);
    for (uint32_t c = op->cols[LEFT]; c < op->node.col_count; c++) {
        struct kp_datum null = {.type = op->node.types[c], .null = true};
        struct kp_vec constant;
        kp_vec_init_constant(&constant, &lane->arena, &null);
        kp_vec_init(&batch->vecs[c], &lane->arena, op->node.types[c], n);
        kp_vec_need_valid(&batch->vecs[c], &lane->arena, n);
        for (uint32_t i = 0; i < n; i++)
            kp_vec_set_null(&batch->vecs[c], i);
    }
    batch->weights = some.batch->weights;
    struct kp_flow out = {.batch = batch};
    return kp_node_send(&op->node, lane, &out, err);
}

static enum kp_code asof_push(struct kp_node *node, struct kp_lane *lane, uint32_t port, const struct kp_flow *in,
                              struct kp_error *err)
{
    struct op_asof *op = (struct op_asof *)node;
    uint32_t rows = in->batch->rows, n = 0, unmatched = 0;
    uint32_t *index = kp_arena_alloc(&lane->arena, (rows + 1) * sizeof *index),
             *others = kp_arena_alloc(&lane->arena, (rows + 1) * sizeof *others);
    for (uint32_t i = 0; i < rows; i++) {
        bool null = kp_vec_is_null(&in->batch->vecs[op->time_column[port]], i);
        for (uint32_t k = 0; !null && k < op->key_count; k++)
            null = kp_vec_is_null(&in->batch->vecs[op->key_columns[port][k]], i);
        if (null)
            others[unmatched++] = i;
        else
            index[n++] = i;
    }
    if (unmatched && port == LEFT && op->outer)
        KP_TRY(send_unmatched(op, lane, in, others, unmatched, err));
    if (n == 0)
        return KP_OK;
    struct kp_batch *batch = n == rows ? in->batch : kp_batch_gather(in->batch, index, n, &lane->arena);
    uint64_t *hashes = kp_arena_calloc(&lane->arena, n * sizeof *hashes);
    for (uint32_t k = 0; k < op->key_count; k++)
        kp_vec_hash(&batch->vecs[op->key_columns[port][k]], n, hashes, k == 0);
    if (op->key_count == 0)
        kp_inbox_send_part(&node->inboxes[port], lane, 0, batch, hashes, NULL);
    else
        kp_inbox_send(&node->inboxes[port], lane, batch, hashes, NULL);
    return KP_OK;
}

static inline struct left_state *left_of(const struct shard *shard, uint32_t id)
{
    return kp_table_payload(&shard->rows[LEFT], kp_table_row(&shard->rows[LEFT], id));
}
static inline struct right_state *right_of(const struct shard *shard, uint32_t id)
{
    return kp_table_payload(&shard->rows[RIGHT], kp_table_row(&shard->rows[RIGHT], id));
}
static inline struct asof_key **key_slot(const struct shard *shard, uint32_t id)
{
    return kp_table_payload(&shard->keys, kp_table_row(&shard->keys, id));
}

static void row_key(const struct op_asof *op, uint32_t side, const struct kp_vec *vecs, uint32_t row, int64_t time,
                    struct kp_buf *key)
{
    uint8_t bytes[8];
    kp_ordered_time_put(time, bytes);
    key->len = 0;
    kp_buf_append(key, bytes, sizeof bytes);
    if (side == RIGHT && op->latest) {
        kp_ordered_time_put(-*(const int64_t *)kp_vec_at(&vecs[op->version_column], row), bytes);
        kp_buf_append(key, bytes, sizeof bytes);
    }
    kp_order_key_append(NULL, 0, vecs, op->cols[side], row, key);
}

static void take_row(struct op_asof *op, struct shard *shard, struct asof_key *key, uint32_t side,
                     const struct kp_batch *batch, uint32_t i, struct kp_buf *bytes)
{
    struct kp_table *table = &shard->rows[side];
    int64_t time = time_at(&batch->vecs[op->time_column[side]], i), weight = batch->weights ? batch->weights[i] : 1;
    row_key(op, side, batch->vecs, i, time, bytes);
    const struct kp_ordered_entry *entry = kp_ordered_find(&key->sides[side], bytes->data, bytes->len);
    uint32_t id = entry ? entry->id : KP_ROW_NONE;
    if (!entry) {
        int64_t before = key->sides[side].bytes;
        id = kp_table_new_row(table);
        void *row = kp_table_row(table, id);
        for (uint32_t c = 0; c < op->cols[side]; c++)
            kp_row_set(&op->layouts[side], &table->heap, row, c, &batch->vecs[c], i);
        kp_ordered_insert(&key->sides[side], bytes->data, bytes->len, id);
        shard->more_bytes += key->sides[side].bytes - before;
    }
    if (side == LEFT) {
        struct left_state *state = left_of(shard, id);
        state->time = time;
        state->weight += weight;
        if (!state->queued++)
            ids_add(&key->left, id);
    } else {
        struct right_state *state = right_of(shard, id);
        state->time = time;
        state->weight += weight;
        if (!state->noted++)
            ids_add(&key->right, id);
    }
}

static enum kp_code take_piece(struct op_asof *op, struct kp_lane *lane, struct shard *shard, uint32_t side,
                               const struct kp_piece *piece, struct kp_error *err)
{
    const struct kp_batch *batch = piece->batch;
    struct kp_vec *vecs = kp_arena_alloc(&lane->arena, (op->key_count + 1) * sizeof *vecs);
    for (uint32_t k = 0; k < op->key_count; k++)
        vecs[k] = batch->vecs[op->key_columns[side][k]];
    uint32_t *ids = kp_arena_alloc(&lane->arena, (batch->rows + 1) * sizeof *ids),
             *made = kp_arena_alloc(&lane->arena, (batch->rows + 1) * sizeof *made), made_count = 0;
    kp_table_probe(&shard->keys, vecs, piece->hashes, batch->rows, true, ids, made, &made_count);
    for (uint32_t i = 0; i < made_count; i++) {
        struct asof_key *key = kp_calloc(1, sizeof *key);
        key->id = ids[made[i]];
        key->hash = piece->hashes[made[i]];
        *key_slot(shard, key->id) = key;
        shard->more_bytes += (int64_t)sizeof *key;
    }
    struct kp_buf bytes = {0};
    for (uint32_t i = 0; i < batch->rows; i++) {
        struct asof_key *key = *key_slot(shard, ids[i]);
        if (!key->touched) {
            key->touched = true;
            key->next_touched = shard->touched;
            shard->touched = key;
        }
        take_row(op, shard, key, side, batch, i, &bytes);
    }
    kp_buf_finish(&bytes);
    return kp_table_settle(&shard->rows[side], side == LEFT ? shard->more_bytes + kp_table_bytes(&shard->keys) : 0,
                           err);
}

/* ---- what matches ---- */

/* The place of the first entry at time or later; behind: of the first later one. */
static uint64_t seek_time(const struct kp_ordered *side, int64_t time, bool behind)
{
    uint8_t bytes[16];
    if (behind && time == INT64_MAX) {
        memset(bytes, 0xff, sizeof bytes);
        return kp_ordered_seek(side, bytes, sizeof bytes);
    }
    kp_ordered_time_put(time + behind, bytes);
    return kp_ordered_seek(side, bytes, 8);
}

/* The next entry from a place that is there, in either direction. */
static const struct kp_ordered_entry *step_to_row(const struct shard *shard, const struct kp_ordered *side,
                                                  uint64_t *at, bool back)
{
    const struct kp_ordered_entry *entry;
    do
        entry = back ? kp_ordered_prev(side, at) : kp_ordered_next(side, at);
    while (entry && right_of(shard, entry->id)->weight <= 0);
    return entry;
}

static uint32_t find_match(const struct op_asof *op, const struct shard *shard, const struct asof_key *key,
                           int64_t time)
{
    const struct kp_ordered *side = &key->sides[RIGHT];
    uint64_t at = seek_time(side, time, op->forward == op->strict);
    const struct kp_ordered_entry *entry = step_to_row(shard, side, &at, !op->forward);
    if (entry && !op->forward) { /* of those at its time the first */
        at = seek_time(side, kp_ordered_time(entry), false);
        entry = step_to_row(shard, side, &at, false);
    }
    return entry ? entry->id : KP_ROW_NONE;
}

/* Left rows between what changed on the right and the next row there that did not change look again. */
static void queue_around(const struct op_asof *op, const struct shard *shard, struct asof_key *key, int64_t time)
{
    const struct kp_ordered *right = &key->sides[RIGHT], *left = &key->sides[LEFT];
    const struct kp_ordered_entry *entry;
    uint64_t at = seek_time(right, time, !op->forward);
    int64_t bound = op->forward ? INT64_MIN : INT64_MAX;
    while ((entry = op->forward ? kp_ordered_prev(right, &at) : kp_ordered_next(right, &at))) {
        const struct right_state *state = right_of(shard, entry->id);
        if (state->weight > 0 && state->was > 0) {
            bound = kp_ordered_time(entry);
            break;
        }
    }
    at = seek_time(left, time, op->forward);
    while ((entry = op->forward ? kp_ordered_prev(left, &at) : kp_ordered_next(left, &at))) {
        if (op->forward ? kp_ordered_time(entry) < bound : kp_ordered_time(entry) > bound)
            break;
        if (!left_of(shard, entry->id)->queued++)
            ids_add(&key->left, entry->id);
    }
}

/* ---- emission ---- */

static void load_side(const struct op_asof *op, struct kp_lane *lane, const struct shard *shard, uint32_t side,
                      const uint32_t *ids, uint32_t n, struct kp_vec *vecs)
{
    const void **rows = kp_arena_alloc(&lane->arena, (n + 1) * sizeof *rows);
    for (uint32_t i = 0; i < n; i++)
        rows[i] = ids[i] == KP_ROW_NONE ? NULL : kp_table_row(&shard->rows[side], ids[i]);
    for (uint32_t c = 0; c < op->cols[side]; c++)
        kp_rows_load(&op->layouts[side], c, rows, n, &lane->arena, &vecs[c]);
}

static enum kp_code send(struct op_asof *op, struct kp_lane *lane, const struct shard *shard, struct outbox *out,
                         struct kp_error *err)
{
    uint32_t n = out->count;
    if (n == 0)
        return KP_OK;
    struct kp_batch *batch = kp_batch_create(&lane->arena, op->node.col_count, n);
    load_side(op, lane, shard, LEFT, out->left, n, batch->vecs);
    load_side(op, lane, shard, RIGHT, out->right, n, batch->vecs + op->cols[LEFT]);
    int64_t *weights = kp_arena_alloc(&lane->arena, n * sizeof *weights);
    memcpy(weights, out->weights, n * sizeof *weights);
    batch->weights = weights;
    out->count = 0;
    struct kp_flow flow = {.batch = batch};
    return kp_node_send(&op->node, lane, &flow, err);
}

static void put(const struct op_asof *op, struct outbox *out, uint32_t left, uint32_t right, int64_t weight)
{
    if (weight == 0 || (right == KP_ROW_NONE && !op->outer))
        return;
    out->left[out->count] = left;
    out->right[out->count] = right;
    out->weights[out->count++] = weight;
}

static void remove_row(struct op_asof *op, struct kp_lane *lane, struct shard *shard, struct asof_key *key,
                       uint32_t side, uint32_t id, int64_t time, struct kp_buf *bytes)
{
    struct kp_vec *vecs = kp_arena_alloc(&lane->arena, (op->cols[side] + 1) * sizeof *vecs);
    int64_t before = key->sides[side].bytes;
    load_side(op, lane, shard, side, &id, 1, vecs);
    row_key(op, side, vecs, 0, time, bytes);
    kp_ordered_remove(&key->sides[side], bytes->data, bytes->len);
    kp_table_free_row(&shard->rows[side], id);
    shard->more_bytes += key->sides[side].bytes - before;
}

static void free_key(struct shard *shard, struct asof_key *key)
{
    shard->more_bytes -= key->sides[LEFT].bytes + key->sides[RIGHT].bytes + (int64_t)sizeof *key;
    kp_ordered_finish(&key->sides[LEFT]);
    kp_ordered_finish(&key->sides[RIGHT]);
    kp_free(key->left.items);
    kp_free(key->right.items);
    kp_free(key);
}

/* Rows that went are forgotten; the others begin anew. Returns whether any went, before anything is freed: nothing may
 * be left to send then. */
static void settle_key(struct op_asof *op, struct kp_lane *lane, struct shard *shard, struct asof_key *key)
{
    struct kp_buf bytes = {0};
    for (uint32_t i = 0; i < key->left.count; i++) {
        struct left_state *state = left_of(shard, key->left.items[i]);
        state->queued = 0;
        if (state->weight == 0)
            remove_row(op, lane, shard, key, LEFT, key->left.items[i], state->time, &bytes);
    }
    for (uint32_t i = 0; i < key->right.count; i++) {
        struct right_state *state = right_of(shard, key->right.items[i]);
        state->noted = 0;
        state->was = state->weight;
        if (state->weight == 0)
            remove_row(op, lane, shard, key, RIGHT, key->right.items[i], state->time, &bytes);
    }
    kp_buf_finish(&bytes);
    key->left.count = key->right.count = 0;
    key->touched = false;
    if (key->sides[LEFT].count || key->sides[RIGHT].count)
        return;
    kp_table_remove(&shard->keys, key->id, key->hash);
    free_key(shard, key);
}

static enum kp_code emit_key(struct op_asof *op, struct kp_lane *lane, struct shard *shard, struct asof_key *key,
                             struct outbox *out, struct kp_error *err)
{
    for (uint32_t i = 0; i < key->right.count; i++) {
        const struct right_state *state = right_of(shard, key->right.items[i]);
        if (state->weight < 0)
            return kp_fail(err, KP_CORRUPT, "XX000", "a row has been taken away more often than it came");
        if ((state->weight > 0) != (state->was > 0))
            queue_around(op, shard, key, state->time);
    }
    bool gone = false;
    for (uint32_t i = 0; i < key->left.count; i++) {
        uint32_t id = key->left.items[i];
        struct left_state *state = left_of(shard, id);
        if (state->weight < 0)
            return kp_fail(err, KP_CORRUPT, "XX000", "a row has been taken away more often than it came");
        uint32_t match = state->weight ? find_match(op, shard, key, state->time) : KP_ROW_NONE;
        gone |= state->weight == 0;
        if (match == state->match && state->weight) {
            put(op, out, id, match, state->weight - state->sent);
        } else {
            put(op, out, id, state->match, -state->sent);
            put(op, out, id, match, state->weight);
        }
        state->sent = state->weight;
        state->match = match;
        if (out->count + 2 > SEND_ROWS)
            KP_TRY(send(op, lane, shard, out, err));
    }
    for (uint32_t i = 0; i < key->right.count; i++)
        gone |= right_of(shard, key->right.items[i])->weight == 0;
    if (gone)
        KP_TRY(send(op, lane, shard, out, err));
    settle_key(op, lane, shard, key);
    return KP_OK;
}

/* ---- rows that go ---- */

/* No row of this side comes whose time is less. */
static int64_t least_to_come(const struct op_asof *op, uint32_t side)
{
    int64_t watermark = kp_node_watermark_above(op->node.inputs[side]), least;
    return watermark == INT64_MIN || __builtin_sub_overflow(watermark, op->lateness[side], &least) ? INT64_MIN : least;
}

static int64_t last_time(const struct asof_key *key)
{
    int64_t last = INT64_MIN;
    for (uint32_t side = 0; side < 2; side++)
        if (key->sides[side].count)
            last = KP_MAX(last, kp_ordered_time(kp_ordered_last(&key->sides[side])));
    return last;
}

static void queue_key(struct shard *shard, struct asof_key *key)
{
    uint8_t bytes[12];
    uint32_t id = __builtin_bswap32(key->id);
    if (key->queued)
        return;
    key->queued = true;
    kp_ordered_time_put(last_time(key), bytes);
    memcpy(bytes + 8, &id, sizeof id);
    kp_ordered_insert(&shard->queue, bytes, sizeof bytes, key->id);
}

static void forget_before(struct op_asof *op, struct kp_lane *lane, struct shard *shard, struct asof_key *key,
                          uint32_t side, int64_t time, struct kp_buf *bytes)
{
    for (const struct kp_ordered_entry *first; (first = kp_ordered_first(&key->sides[side]));) {
        if (kp_ordered_time(first) >= time)
            return;
        remove_row(op, lane, shard, key, side, first->id, kp_ordered_time(first), bytes);
    }
}

static void forget_rows(struct op_asof *op, struct kp_lane *lane, struct shard *shard, struct asof_key *key,
                        const int64_t *least)
{
    struct kp_buf bytes = {0};
    forget_before(op, lane, shard, key, LEFT, least[RIGHT], &bytes);
    uint64_t at = seek_time(&key->sides[RIGHT], KP_MIN(least[LEFT], least[RIGHT]), false);
    const struct kp_ordered_entry *version = kp_ordered_prev(&key->sides[RIGHT], &at);
    if (version)
        forget_before(op, lane, shard, key, RIGHT, kp_ordered_time(version), &bytes);
    kp_buf_finish(&bytes);
}

static void forget_keys(struct op_asof *op, struct kp_lane *lane, struct shard *shard)
{
    int64_t least[2] = {least_to_come(op, LEFT), least_to_come(op, RIGHT)}, limit = KP_MIN(least[LEFT], least[RIGHT]);
    for (const struct kp_ordered_entry *first; (first = kp_ordered_first(&shard->queue));) {
        if (kp_ordered_time(first) >= limit)
            return;
        struct asof_key *key = *key_slot(shard, first->id);
        kp_ordered_remove(&shard->queue, first->key, first->key_bytes);
        key->queued = false;
        forget_rows(op, lane, shard, key, least);
        if (!key->sides[LEFT].count && !key->sides[RIGHT].count) {
            kp_table_remove(&shard->keys, key->id, key->hash);
            free_key(shard, key);
        } else if (last_time(key) >= limit) {
            queue_key(shard, key);
        }
    }
}

static enum kp_code asof_part(struct kp_node *node, struct kp_lane *lane, uint32_t part, struct kp_error *err)
{
    struct op_asof *op = (struct op_asof *)node;
    struct shard *shard = &op->shards[part];
    for (uint32_t side = 0; side < 2; side++)
        for (struct kp_piece *piece = kp_inbox_take(&node->inboxes[side], part); piece; piece = piece->next) {
            KP_TRY(kp_lane_check(lane, err));
            KP_TRY(take_piece(op, lane, shard, side, piece, err));
        }
    if (!kp_graph_step_final(node->graph))
        return KP_OK;
    struct kp_arena *arena = &lane->arena;
    struct outbox out = {.left = kp_arena_alloc(arena, SEND_ROWS * sizeof *out.left),
                         .right = kp_arena_alloc(arena, SEND_ROWS * sizeof *out.right),
                         .weights = kp_arena_alloc(arena, SEND_ROWS * sizeof *out.weights)};
    while (shard->touched) {
        struct asof_key *key = shard->touched;
        shard->touched = key->next_touched;
        KP_TRY(emit_key(op, lane, shard, key, &out, err));
        if (op->frees)
            queue_key(shard, key);
    }
    KP_TRY(send(op, lane, shard, &out, err));
    if (op->frees)
        forget_keys(op, lane, shard);
    return KP_OK;
}

static bool asof_wants(const struct kp_node *node, uint32_t part)
{
    const struct op_asof *op = (const struct op_asof *)node;
    const struct shard *shard = &op->shards[part];
    if (!kp_graph_step_final(node->graph))
        return false;
    const struct kp_ordered_entry *first = op->frees ? kp_ordered_first(&shard->queue) : NULL;
    return shard->touched ||
           (first && kp_ordered_time(first) < KP_MIN(least_to_come(op, LEFT), least_to_come(op, RIGHT)));
}

/* ---- building ---- */

static void asof_start(struct kp_node *node)
{
    struct op_asof *op = (struct op_asof *)node;
    op->shards = kp_calloc(node->graph->parts, sizeof *op->shards);
    for (uint32_t part = 0; part < node->graph->parts; part++) {
        struct shard *shard = &op->shards[part];
        struct kp_budget *budget = node->graph->options.budget;
        kp_table_init(&shard->keys, &op->key_layout, op->key_count, sizeof(struct asof_key *), NULL);
        kp_table_init(&shard->rows[LEFT], &op->layouts[LEFT], 0, sizeof(struct left_state), budget);
        kp_table_init(&shard->rows[RIGHT], &op->layouts[RIGHT], 0, sizeof(struct right_state), budget);
    }
}

static void asof_finish(struct kp_node *node)
{
    struct op_asof *op = (struct op_asof *)node;
    for (uint32_t part = 0; op->shards && part < node->graph->parts; part++) {
        struct shard *shard = &op->shards[part];
        uint32_t count, *ids = kp_table_ids(&shard->keys, &count);
        for (uint32_t i = 0; i < count; i++) {
            struct asof_key *key = *key_slot(shard, ids[i]);
            const struct kp_ordered_entry *entry;
            for (uint32_t side = 0; side < 2; side++)
                for (uint64_t at = 0; (entry = kp_ordered_next(&key->sides[side], &at));)
                    kp_row_unset_all(&op->layouts[side], &shard->rows[side].heap,
                                     kp_table_row(&shard->rows[side], entry->id));
            free_key(shard, key);
        }
        kp_free(ids);
        kp_ordered_finish(&shard->queue);
        kp_table_finish(&shard->keys);
        kp_table_finish(&shard->rows[LEFT]);
        kp_table_finish(&shard->rows[RIGHT]);
    }
    kp_free(op->shards);
}

static void asof_release(struct kp_node *node)
{
    struct op_asof *op = (struct op_asof *)node;
    for (uint32_t part = 0; part < node->graph->parts; part++) {
        kp_heap_sweep(&op->shards[part].keys.heap);
        kp_heap_sweep(&op->shards[part].rows[LEFT].heap);
        kp_heap_sweep(&op->shards[part].rows[RIGHT].heap);
    }
}

static bool asof_same(const struct kp_node *a, const struct kp_node *b)
{
    const struct op_asof *x = (const struct op_asof *)a, *y = (const struct op_asof *)b;
    bool same = x->frees == y->frees && x->lateness[LEFT] == y->lateness[LEFT] &&
                x->lateness[RIGHT] == y->lateness[RIGHT] && x->outer == y->outer && x->strict == y->strict &&
                x->forward == y->forward && x->key_count == y->key_count && x->cols[LEFT] == y->cols[LEFT] &&
                x->latest == y->latest && x->version_column == y->version_column;
    for (uint32_t side = 0; same && side < 2; side++) {
        same = x->time_column[side] == y->time_column[side];
        for (uint32_t k = 0; same && k < x->key_count; k++)
            same = x->key_columns[side][k] == y->key_columns[side][k];
    }
    return same;
}

static void asof_stats(const struct kp_node *node, struct kp_node_stats *stats)
{
    const struct op_asof *op = (const struct op_asof *)node;
    for (uint32_t part = 0; part < node->graph->parts; part++) {
        const struct shard *shard = &op->shards[part];
        stats->state_rows += shard->rows[LEFT].live + shard->rows[RIGHT].live;
        stats->state_bytes += (uint64_t)(kp_table_bytes(&shard->rows[LEFT]) + kp_table_bytes(&shard->rows[RIGHT]) +
                                         kp_table_bytes(&shard->keys) + shard->more_bytes);
    }
}

static const struct kp_node_ops asof_ops = {.kind = "asof",
                                            .bytes = sizeof(struct op_asof),
                                            .push = asof_push,
                                            .part = asof_part,
                                            .wants = asof_wants,
                                            .start = asof_start,
                                            .release = asof_release,
                                            .finish = asof_finish,
                                            .same = asof_same,
                                            .stats = asof_stats};

struct kp_node *kp_op_asof(struct kp_graph *graph, const struct kp_plan *plan, struct kp_node *const *inputs)
{
    struct op_asof *op = (struct op_asof *)kp_node_create(graph, &asof_ops, plan->cols, plan->col_count, inputs, 2);
    struct kp_arena *arena = &op->node.arena;
    op->node.growing = op->node.bounded;
    op->outer = plan->asof.outer;
    op->strict = plan->asof.strict;
    op->forward = plan->asof.forward;
    op->latest = plan->asof.latest;
    op->version_column = plan->asof.version;
    op->frees = plan->asof.frees && !graph->bounded;
    op->node.restless = op->frees;
    memcpy(op->lateness, plan->asof.lateness_us, sizeof op->lateness);
    op->key_count = plan->asof.key_count;
    struct kp_type *types = kp_arena_alloc(arena, (op->key_count + 1) * sizeof *types);
    for (uint32_t side = 0; side < 2; side++) {
        op->cols[side] = inputs[side]->col_count;
        op->time_column[side] = plan->asof.times[side];
        op->key_columns[side] = kp_arena_alloc(arena, (op->key_count + 1) * sizeof(uint32_t));
        for (uint32_t k = 0; k < op->key_count; k++) {
            op->key_columns[side][k] = plan->asof.keys[side][k];
            types[k] = inputs[side]->types[op->key_columns[side][k]];
        }
        kp_row_layout_init(&op->layouts[side], arena, inputs[side]->types, op->cols[side], true, 0);
    }
    kp_row_layout_init(&op->key_layout, arena, types, op->key_count, true, 0);
    snprintf(op->node.detail, sizeof op->node.detail, "%u keys", op->key_count);
    return kp_node_share(&op->node);
}
