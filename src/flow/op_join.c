/*
 * Joins: equal keys by hash, any other condition as a residual over the joined row; without keys every row meets every
 * row.
 *
 * Both sides are kept, found by key (join_side.h). In a part's turn first the right side's changes meet the left side
 * as it was, then are stored; then the left side's changes meet the right side as it is now:
 *
 *   Δ(L ⋈ R) = L ⋈ ΔR + ΔL ⋈ (R + ΔR)
 *
 * Outer, semi and anti joins are the same with a count per row of a preserved side: the sum of the weights it matches.
 * Let f(m) be 1 if a row with m matches is shown alone (outer and anti: m = 0; semi: m ≠ 0). Whenever a row's m
 * changes, the row is shown f(after) − f(before) times its weight; these terms telescope, so the order of changes in a
 * step does not matter.
 *
 * Invariants: 1. rows with a NULL key (but for keys of key_nulls) match nothing and are never stored; 2. `matches` of a
 * stored row is right whenever no piece is in work; 3. in a bounded step only the right side is stored, and its
 * unmatched rows are shown at the end, so that nothing is ever taken back.
 *
 * Where the condition bounds one side's values by the other's, a row looks only where rows that match it may be, as
 * soon as many were met in vain (join_band.h). Else it meets all rows of its key.
 *
 * A join whose condition bounds how far its rows' times lie apart, over sources whose late rows are left out, lets rows
 * go when the other side's watermark has passed all that they could match (sql/lateness.c): what they were shown with
 * is final, so nothing is sent. That is done behind the step's rows, for those were not late at their own positions.
 */
#include <stdio.h>

#include "flow/graph.h"
#include "flow/join_side.h"
#include "flow/op_source.h"

enum {
    PAIRS_MIN = 64,
    PAIRS_MAX = 8192, /* joined rows made at a time: their columns fit the cache */
    FOUND_MAX = 256,  /* rows taken from an index at a time */
    VAIN_MIN = 256,   /* pairs refused before an index is made, and as many as a side has rows VAIN_TIMES */
    VAIN_TIMES = 4
};

struct join_input {
    struct kp_join_side side;
    struct kp_expr **extra; /* keys that are not columns, evaluated on arrival */
    uint32_t extra_count, col_count;
    bool preserved;
    int64_t reach_us; /* of a side that frees */
};

struct shard {
    struct kp_join_rows rows[2];
};

struct op_join {
    struct kp_node node;
    enum kp_join_kind kind;
    struct join_input inputs[2];
    uint32_t key_count;
    struct kp_expr *residual;
    bool *residual_reads; /* of the joined columns */
    struct kp_join_bands bands;
    bool narrow; /* semi, anti: the left columns only */
    struct shard *shards;
};

/* A row of a preserved side shown alone, weight times. */
struct alone {
    const void **rows;
    int64_t *weights;
    uint32_t count, cap;
};

static inline int64_t shown(const struct op_join *op, int64_t matches)
{
    return op->kind == KP_JOIN_SEMI ? matches != 0 : matches == 0;
}

static void alone_add(struct alone *alone, const void *row, int64_t weight, struct kp_arena *arena)
{
    if (weight == 0)
        return;
    if (alone->count == alone->cap) {
        uint32_t cap = alone->cap ? alone->cap * 2 : 256;
        const void **rows = kp_arena_alloc(arena, cap * sizeof *rows);
        int64_t *weights = kp_arena_alloc(arena, cap * sizeof *weights);
        if (alone->count) {
            memcpy(rows, alone->rows, alone->count * sizeof *rows);
            memcpy(weights, alone->weights, alone->count * sizeof *weights);
        }
        *alone = (struct alone){rows, weights, alone->count, cap};
    }
    alone->rows[alone->count] = row;
    alone->weights[alone->count++] = weight;
}

static void null_column(struct kp_vec *vec, struct kp_type type, struct kp_arena *arena)
{
    struct kp_datum datum;
    memset(&datum, 0, sizeof datum);
    datum.type = type;
    datum.null = true;
    kp_vec_init_constant(vec, arena, &datum);
}

/* Sends rows of side `s`, whose columns are in vecs, joined to nothing. */
static enum kp_code send_alone(struct op_join *op, struct kp_lane *lane, int s, const struct kp_vec *vecs, uint32_t n,
                               const int64_t *weights, struct kp_error *err)
{
    struct kp_batch *batch = kp_batch_create(&lane->arena, op->node.col_count, n);
    uint32_t left = op->inputs[0].col_count;
    for (uint32_t c = 0; c < op->node.col_count; c++) {
        int of = c < left ? 0 : 1;
        if (of == s)
            batch->vecs[c] = vecs[of ? c - left : c];
        else
            null_column(&batch->vecs[c], op->node.types[c], &lane->arena);
    }
    batch->weights = weights;
    struct kp_flow out = {.batch = batch};
    return kp_node_send(&op->node, lane, &out, err);
}

static enum kp_code send_alone_rows(struct op_join *op, struct kp_lane *lane, int s, const struct alone *alone,
                                    struct kp_error *err)
{
    for (uint32_t start = 0; start < alone->count; start += PAIRS_MAX) {
        uint32_t n = KP_MIN(alone->count - start, (uint32_t)PAIRS_MAX);
        struct kp_vec *vecs = kp_arena_alloc(&lane->arena, (op->inputs[s].col_count + 1) * sizeof *vecs);
        for (uint32_t c = 0; c < op->inputs[s].col_count; c++)
            kp_rows_load(&op->inputs[s].side.layout, c, alone->rows + start, n, &lane->arena, &vecs[c]);
        KP_TRY(send_alone(op, lane, s, vecs, n, alone->weights + start, err));
    }
    return KP_OK;
}

/* ---- rows in ---- */

/* Rows without a NULL key; the others go on alone if their side is preserved. */
static enum kp_code split_null_keys(struct op_join *op, struct kp_lane *lane, int s, struct kp_batch **batch,
                                    struct kp_error *err)
{
    struct join_input *input = &op->inputs[s];
    uint32_t rows = (*batch)->rows, n = 0, null_count = 0;
    bool any = false;
    for (uint32_t k = 0; k < op->key_count; k++)
        any |= !input->side.key_nulls[k] && (*batch)->vecs[input->side.key_columns[k]].valid != NULL;
    if (!any)
        return KP_OK;
    uint32_t *index = kp_arena_alloc(&lane->arena, rows * sizeof *index),
             *nulls = kp_arena_alloc(&lane->arena, rows * sizeof *nulls);
    for (uint32_t i = 0; i < rows; i++) {
        bool null = false;
        for (uint32_t k = 0; k < op->key_count; k++)
            null |= !input->side.key_nulls[k] && kp_vec_is_null(&(*batch)->vecs[input->side.key_columns[k]], i);
        if (null)
            nulls[null_count++] = i;
        else
            index[n++] = i;
    }
    if (null_count && input->preserved && shown(op, 0)) {
        struct kp_batch *alone = kp_batch_gather(*batch, nulls, null_count, &lane->arena);
        KP_TRY(send_alone(op, lane, s, alone->vecs, null_count, alone->weights, err));
    }
    if (null_count)
        *batch = kp_batch_gather(*batch, index, n, &lane->arena);
    return KP_OK;
}

static enum kp_code join_push(struct kp_node *node, struct kp_lane *lane, uint32_t port, const struct kp_flow *in,
                              struct kp_error *err)
{
    struct op_join *op = (struct op_join *)node;
    struct join_input *input = &op->inputs[port];
    struct kp_batch *batch = kp_batch_create(&lane->arena, input->col_count + input->extra_count, in->batch->rows);
    batch->weights = in->batch->weights;
    for (uint32_t c = 0; c < input->col_count; c++)
        batch->vecs[c] = in->batch->vecs[c];
    struct kp_eval eval = kp_lane_eval(lane, node);
    for (uint32_t x = 0; x < input->extra_count; x++)
        kp_eval(&eval, input->extra[x], in->batch, &batch->vecs[input->col_count + x]);
    if (eval.error_count) {
        uint32_t end = node->end_in, left = op->inputs[0].col_count;
        struct kp_flow all = *in;
        if (end != UINT32_MAX) { /* node->end_in is a column of the joined row */
            bool mine = (end < left) == (port == 0);
            all.batch = kp_batch_create(&lane->arena, mine ? end + 1 : 0, in->batch->rows);
            all.batch->weights = in->batch->weights;
            if (mine)
                all.batch->vecs[end] = in->batch->vecs[port ? end - left : end];
        }
        kp_node_divert(node, lane, &eval, &all);
        uint32_t *index = kp_arena_alloc(&lane->arena, batch->rows * sizeof *index);
        uint32_t n = kp_eval_good_rows(&eval, batch->rows, index);
        batch = kp_batch_gather(batch, index, n, &lane->arena);
    }
    KP_TRY(split_null_keys(op, lane, (int)port, &batch, err));
    uint64_t *hashes = kp_arena_calloc(&lane->arena, batch->rows * sizeof *hashes);
    for (uint32_t k = 0; k < op->key_count; k++)
        kp_vec_hash(&batch->vecs[input->side.key_columns[k]], batch->rows, hashes, k == 0);
    if (op->key_count)
        kp_inbox_send(&node->inboxes[port], lane, batch, hashes, NULL);
    else if (batch->rows)
        kp_inbox_send_part(&node->inboxes[port], lane, 0, batch, hashes, NULL);
    return KP_OK;
}

/* ---- pairs ---- */

struct pairs {
    struct op_join *op;
    struct kp_lane *lane;
    struct shard *shard;
    int s; /* the side whose changes come */
    const struct kp_batch *batch;
    uint32_t count, cap;
    uint32_t *index;         /* rows of the batch */
    const void **rows;       /* rows of the other side */
    uint32_t *good;          /* room for the pairs that pass */
    int64_t *matches;        /* per row of the batch; NULL: not counted */
    struct alone alone;      /* rows of the other side that change */
    struct kp_arena scratch; /* of one chunk of pairs: what the condition needs */
    bool probed;
    struct kp_band_probes probes; /* where the batch's rows look, once probed */
};

/* The pairs' columns, or those that are flagged. */
static struct kp_batch *joined_batch(const struct pairs *pairs, const int64_t *weights, const bool *wanted,
                                     struct kp_arena *arena)
{
    struct op_join *op = pairs->op;
    uint32_t left = op->inputs[0].col_count, right = op->inputs[1].col_count;
    struct kp_batch *batch = kp_batch_create(arena, left + right, pairs->count);
    for (uint32_t c = 0; c < left + right; c++) {
        int of = c < left ? 0 : 1;
        uint32_t column = of ? c - left : c;
        if (wanted && !wanted[c])
            continue;
        if (of == pairs->s)
            kp_vec_gather(&pairs->batch->vecs[column], pairs->index, pairs->count, arena, &batch->vecs[c]);
        else
            kp_rows_load(&op->inputs[of].side.layout, column, pairs->rows, pairs->count, arena, &batch->vecs[c]);
    }
    batch->weights = weights;
    return batch;
}

/* The pairs that pass the residual, ascending; failed ones are diverted. */
static uint32_t passing(struct pairs *pairs, const int64_t *weights)
{
    struct op_join *op = pairs->op;
    if (!op->residual) {
        for (uint32_t i = 0; i < pairs->count; i++)
            pairs->good[i] = i;
        return pairs->count;
    }
    struct kp_eval eval = kp_lane_eval(pairs->lane, &op->node);
    struct kp_vec is;
    eval.arena = &pairs->scratch;
    struct kp_batch *joined = joined_batch(pairs, weights, op->residual_reads, &pairs->scratch);
    kp_eval(&eval, op->residual, joined, &is);
    struct kp_flow in = {.batch = joined};
    kp_node_divert(&op->node, pairs->lane, &eval, &in);
    return kp_eval_true_rows(&eval, &is, pairs->count, pairs->good);
}

static void count_matches(struct pairs *pairs, uint32_t n)
{
    struct op_join *op = pairs->op;
    struct kp_join_rows *others = &pairs->shard->rows[1 - pairs->s];
    bool others_count = op->inputs[1 - pairs->s].preserved, bounded = op->node.bounded;
    for (uint32_t i = 0; i < n; i++) {
        void *row = (void *)(uintptr_t)pairs->rows[pairs->good[i]];
        uint32_t mine = pairs->index[pairs->good[i]];
        if (pairs->matches)
            pairs->matches[mine] += kp_join_weight(others, row);
        if (!others_count)
            continue;
        int64_t *matches = kp_join_matches(others, row), before = *matches;
        *matches += pairs->batch->weights ? pairs->batch->weights[mine] : 1;
        if (!bounded)
            alone_add(&pairs->alone, row, (shown(op, *matches) - shown(op, before)) * kp_join_weight(others, row),
                      &pairs->lane->arena);
    }
}

static enum kp_code pair_weights(struct pairs *pairs, int64_t **ret_weights, struct kp_error *err)
{
    const struct kp_join_rows *others = &pairs->shard->rows[1 - pairs->s];
    *ret_weights = NULL;
    if (!pairs->batch->weights && others->side->growing)
        return KP_OK;
    int64_t *weights = kp_arena_alloc(&pairs->scratch, pairs->count * sizeof *weights);
    for (uint32_t i = 0; i < pairs->count; i++) {
        int64_t mine = pairs->batch->weights ? pairs->batch->weights[pairs->index[i]] : 1;
        if (__builtin_mul_overflow(mine, kp_join_weight(others, pairs->rows[i]), &weights[i]))
            return kp_fail(err, KP_LIMIT, "54000", "a row of a join occurs more than 2^63 times");
    }
    *ret_weights = weights;
    return KP_OK;
}

/* Only what passes takes memory of the step: a condition that refuses nearly all can look at any number of pairs. */
static enum kp_code send_passing(struct pairs *pairs, uint32_t n, const int64_t *weights, struct kp_error *err)
{
    struct kp_arena *arena = &pairs->lane->arena;
    int64_t *kept = weights ? kp_arena_alloc(arena, n * sizeof *kept) : NULL;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = pairs->good[i];
        pairs->index[i] = pairs->index[at];
        pairs->rows[i] = pairs->rows[at];
        if (kept)
            kept[i] = weights[at];
    }
    pairs->count = n;
    struct kp_flow out = {.batch = joined_batch(pairs, kept, NULL, arena)};
    return kp_node_send(&pairs->op->node, pairs->lane, &out, err);
}

static enum kp_code flush_pairs(struct pairs *pairs, struct kp_error *err)
{
    struct op_join *op = pairs->op;
    struct kp_join_rows *others = &pairs->shard->rows[1 - pairs->s];
    int64_t *weights;
    if (pairs->count == 0)
        return KP_OK;
    KP_TRY(pair_weights(pairs, &weights, err));
    uint32_t n = passing(pairs, weights);
    KP_TRY(kp_arena_check(&pairs->scratch, err));
    others->index.vain += others->side->band ? pairs->count - n : 0;
    count_matches(pairs, n);
    if (op->narrow || n == 0)
        KP_TRY(kp_lane_check(pairs->lane, err));
    else
        KP_TRY(send_passing(pairs, n, weights, err));
    pairs->count = 0;
    kp_arena_reset(&pairs->scratch);
    return KP_OK;
}

/* ---- the part's turn ---- */

static enum kp_code add_pair(struct pairs *pairs, const struct kp_join_rows *others, uint32_t i, uint32_t id,
                             struct kp_error *err)
{
    pairs->index[pairs->count] = i;
    pairs->rows[pairs->count++] = kp_table_row(&others->table, id);
    return pairs->count == pairs->cap ? flush_pairs(pairs, err) : KP_OK;
}

static enum kp_code meet_chain(struct pairs *pairs, const struct kp_join_rows *others, uint32_t i, uint32_t head,
                               struct kp_error *err)
{
    for (uint32_t id = head; id != KP_ROW_NONE; id = kp_join_next(others, id))
        KP_TRY(add_pair(pairs, others, i, id, err));
    return KP_OK;
}

static enum kp_code meet_range(struct pairs *pairs, const struct kp_join_rows *others, const struct kp_band *band,
                               const struct kp_band_range *range, const struct kp_vec *const *keys, uint32_t i,
                               struct kp_error *err)
{
    uint32_t ids[FOUND_MAX], n = FOUND_MAX;
    for (struct kp_band_place place = {0}; n == FOUND_MAX;) {
        n = kp_band_find(band, range, &place, ids, FOUND_MAX);
        for (uint32_t k = 0; k < n; k++)
            if (!pairs->op->key_count || kp_join_rows_key_equal(others, ids[k], keys, i))
                KP_TRY(add_pair(pairs, others, i, ids[k], err));
    }
    return KP_OK;
}

static enum kp_code meet_index(struct pairs *pairs, const struct kp_join_rows *others, const struct kp_piece *piece,
                               const struct kp_vec *const *keys, uint32_t i, uint32_t head, struct kp_error *err)
{
    const struct kp_band_side *side = &pairs->op->bands.sides[pairs->s];
    if (!pairs->probed) {
        struct kp_eval eval = kp_lane_eval(pairs->lane, &pairs->op->node);
        pairs->probes = kp_band_probes(side, &eval, piece->batch);
        pairs->probed = true;
    }
    struct kp_band_range range = pairs->probes.ranges[i], all = {0, 0, UINT64_MAX, 0};
    uint64_t first, last;
    range.group = all.group = kp_join_group(piece->hashes[i]);
    bool odd = pairs->probes.states[i] == KP_BAND_ODD;
    if (!odd && kp_band_side_overflows(side) && kp_band_ends(&others->index.rows, range.group, &first, &last))
        odd = kp_band_probe_overflows(side, &pairs->probes, i, first, last);
    if (odd)
        return meet_chain(pairs, others, i, head, err);
    if (pairs->probes.states[i] == KP_BAND_RANGE)
        KP_TRY(meet_range(pairs, others, &others->index.rows, &range, keys, i, err));
    return meet_range(pairs, others, &others->index.odd, &all, keys, i, err);
}

static enum kp_code meet(struct pairs *pairs, const struct kp_piece *piece, struct kp_error *err)
{
    struct op_join *op = pairs->op;
    struct kp_join_rows *others = &pairs->shard->rows[1 - pairs->s];
    struct kp_arena *arena = &pairs->lane->arena;
    uint32_t rows = piece->batch->rows, *heads = kp_arena_alloc(arena, rows * sizeof *heads);
    const struct kp_vec **keys = kp_arena_alloc(arena, (op->key_count + 1) * sizeof *keys);
    for (uint32_t k = 0; k < op->key_count; k++)
        keys[k] = &piece->batch->vecs[op->inputs[pairs->s].side.key_columns[k]];
    kp_join_rows_find(others, keys, piece->hashes, rows, heads);
    for (uint32_t i = 0; i < rows; i++) {
        if (heads[i] == KP_ROW_NONE)
            continue;
        struct kp_join_index *index = &others->index;
        if (!index->built && index->vain > VAIN_MIN && index->vain / VAIN_TIMES > others->table.live)
            kp_join_rows_build(others, &op->node.settings);
        if (index->built)
            KP_TRY(meet_index(pairs, others, piece, keys, i, heads[i], err));
        else
            KP_TRY(meet_chain(pairs, others, i, heads[i], err));
    }
    return flush_pairs(pairs, err);
}

/* Rows of the batch itself that are shown alone, as they come or go. */
static enum kp_code show_new(struct pairs *pairs, struct kp_error *err)
{
    const struct kp_batch *batch = pairs->batch;
    struct kp_arena *arena = &pairs->lane->arena;
    uint32_t *index = kp_arena_alloc(arena, batch->rows * sizeof *index), n = 0;
    for (uint32_t i = 0; i < batch->rows; i++)
        if (shown(pairs->op, pairs->matches[i]))
            index[n++] = i;
    if (n == 0)
        return KP_OK;
    struct kp_batch *some = kp_batch_gather(batch, index, n, arena);
    return send_alone(pairs->op, pairs->lane, pairs->s, some->vecs, n, some->weights, err);
}

static enum kp_code take_piece(struct pairs *pairs, const struct kp_piece *piece, struct kp_error *err)
{
    struct op_join *op = pairs->op;
    struct kp_arena *arena = &pairs->lane->arena;
    bool preserved = op->inputs[pairs->s].preserved, bounded = op->node.bounded;
    pairs->batch = piece->batch;
    pairs->cap = KP_MIN(KP_MAX(piece->batch->rows * 2, (uint32_t)PAIRS_MIN), (uint32_t)PAIRS_MAX);
    pairs->index = kp_arena_alloc(arena, pairs->cap * sizeof *pairs->index);
    pairs->rows = kp_arena_alloc(arena, pairs->cap * sizeof *pairs->rows);
    pairs->good = kp_arena_alloc(arena, pairs->cap * sizeof *pairs->good);
    pairs->probed = false;
    pairs->alone = (struct alone){0};
    pairs->matches = preserved ? kp_arena_calloc(arena, piece->batch->rows * sizeof *pairs->matches) : NULL;
    KP_TRY(meet(pairs, piece, err));
    if (pairs->alone.count)
        KP_TRY(send_alone_rows(op, pairs->lane, 1 - pairs->s, &pairs->alone, err));
    if (preserved && !(bounded && pairs->s == 1))
        KP_TRY(show_new(pairs, err));
    if (bounded && pairs->s == 0)
        return KP_OK; /* the right side came before: nobody will look for these */
    struct kp_join_rows *mine = &pairs->shard->rows[pairs->s];
    uint64_t *whole = NULL;
    if (!mine->side->growing) {
        whole = kp_arena_calloc(arena, piece->batch->rows * sizeof *whole);
        for (uint32_t c = 0; c < piece->batch->cols; c++)
            kp_vec_hash(&piece->batch->vecs[c], piece->batch->rows, whole, c == 0);
    }
    kp_join_rows_add(mine, piece->batch, piece->hashes, whole, pairs->matches, &op->node.settings, arena);
    return kp_table_settle(&mine->table, kp_join_rows_more_bytes(mine), err);
}

/* Of a bounded step: the right side's rows that nothing matched. */
static enum kp_code show_unmatched(struct op_join *op, struct kp_lane *lane, struct shard *shard, struct kp_error *err)
{
    uint32_t count, *ids = kp_join_rows_all(&shard->rows[1], &count);
    struct alone alone = {0};
    for (uint32_t i = 0; i < count; i++) {
        void *row = kp_table_row(&shard->rows[1].table, ids[i]);
        if (*kp_join_matches(&shard->rows[1], row) == 0)
            alone_add(&alone, row, kp_join_weight(&shard->rows[1], row), &lane->arena);
    }
    kp_free(ids);
    return send_alone_rows(op, lane, 1, &alone, err);
}

/* Rows of side s of this time or an earlier one have met all that they can; INT64_MIN: none, not even at -infinity. */
static int64_t forget_limit(const struct op_join *op, int s)
{
    int64_t watermark = kp_node_watermark_above(op->node.inputs[1 - s]), limit_us;
    if (watermark == INT64_MAX)
        return INT64_MAX - 1; /* the input has ended */
    return watermark == INT64_MIN || __builtin_sub_overflow(watermark - 1, op->inputs[s].reach_us, &limit_us)
               ? INT64_MIN
               : limit_us;
}

static bool join_wants(const struct kp_node *node, uint32_t part)
{
    const struct op_join *op = (const struct op_join *)node;
    for (int s = 0; s < 2; s++) {
        int64_t limit_us = op->inputs[s].side.frees ? forget_limit(op, s) : INT64_MIN;
        if (limit_us != INT64_MIN && kp_join_rows_first_us(&op->shards[part].rows[s]) <= limit_us)
            return true;
    }
    return false;
}

static enum kp_code forget_rows(struct op_join *op, struct shard *shard, struct kp_error *err)
{
    for (int s = 0; s < 2; s++) {
        int64_t limit_us = op->inputs[s].side.frees ? forget_limit(op, s) : INT64_MIN;
        if (limit_us == INT64_MIN)
            continue;
        kp_join_rows_forget(&shard->rows[s], limit_us, &op->node.settings);
        KP_TRY(kp_table_settle(&shard->rows[s].table, kp_join_rows_more_bytes(&shard->rows[s]), err));
    }
    return KP_OK;
}

static enum kp_code join_part(struct kp_node *node, struct kp_lane *lane, uint32_t part, struct kp_error *err)
{
    struct op_join *op = (struct op_join *)node;
    struct pairs pairs = {.op = op, .lane = lane, .shard = &op->shards[part]};
    enum kp_code code = KP_OK;
    kp_arena_limit(&pairs.scratch, lane->arena.budget, lane->arena.stop);
    pairs.scratch.also = lane->arena.also;
    for (pairs.s = 1; pairs.s >= 0; pairs.s--)
        for (struct kp_piece *piece = kp_inbox_take(&node->inboxes[pairs.s], part); code == KP_OK && piece;
             piece = piece->next) {
            code = kp_lane_check(lane, err);
            if (code == KP_OK)
                code = take_piece(&pairs, piece, err);
        }
    kp_arena_finish(&pairs.scratch);
    KP_TRY(code);
    if (node->bounded && op->inputs[1].preserved)
        return show_unmatched(op, lane, pairs.shard, err);
    return forget_rows(op, pairs.shard, err);
}

/* ---- building ---- */

static void join_start(struct kp_node *node)
{
    struct op_join *op = (struct op_join *)node;
    op->shards = kp_calloc(node->graph->parts, sizeof *op->shards);
    for (uint32_t part = 0; part < node->graph->parts; part++)
        for (int s = 0; s < 2; s++)
            kp_join_rows_init(&op->shards[part].rows[s], &op->inputs[s].side, node->graph->options.budget);
}

static void join_finish(struct kp_node *node)
{
    struct op_join *op = (struct op_join *)node;
    for (uint32_t part = 0; op->shards && part < node->graph->parts; part++)
        for (int s = 0; s < 2; s++)
            kp_join_rows_finish(&op->shards[part].rows[s]);
    kp_free(op->shards);
}

static void join_release(struct kp_node *node)
{
    struct op_join *op = (struct op_join *)node;
    for (uint32_t part = 0; part < node->graph->parts; part++)
        for (int s = 0; s < 2; s++)
            kp_heap_sweep(&op->shards[part].rows[s].table.heap);
}

static void join_stats(const struct kp_node *node, struct kp_node_stats *stats)
{
    const struct op_join *op = (const struct op_join *)node;
    for (uint32_t part = 0; part < node->graph->parts; part++)
        for (int s = 0; s < 2; s++) {
            const struct kp_join_rows *rows = &op->shards[part].rows[s];
            stats->state_rows += rows->table.live;
            stats->state_bytes += (uint64_t)(kp_table_bytes(&rows->table) + kp_join_rows_more_bytes(rows));
        }
}

static bool same_keys(const struct join_input *a, const struct join_input *b, uint32_t key_count)
{
    if (a->extra_count != b->extra_count ||
        memcmp(a->side.key_columns, b->side.key_columns, key_count * sizeof(uint32_t)) != 0 ||
        memcmp(a->side.key_nulls, b->side.key_nulls, key_count * sizeof(bool)) != 0)
        return false;
    for (uint32_t x = 0; x < a->extra_count; x++)
        if (!kp_expr_equal(a->extra[x], b->extra[x]))
            return false;
    return true;
}

static bool join_same(const struct kp_node *a, const struct kp_node *b)
{
    const struct op_join *x = (const struct op_join *)a, *y = (const struct op_join *)b;
    if (x->kind != y->kind || x->key_count != y->key_count || !x->residual != !y->residual)
        return false;
    for (int s = 0; s < 2; s++)
        if (x->inputs[s].side.frees != y->inputs[s].side.frees ||
            x->inputs[s].side.time_column != y->inputs[s].side.time_column ||
            x->inputs[s].reach_us != y->inputs[s].reach_us)
            return false;
    if (x->residual && !kp_expr_equal(x->residual, y->residual))
        return false;
    return same_keys(&x->inputs[0], &y->inputs[0], x->key_count) &&
           same_keys(&x->inputs[1], &y->inputs[1], x->key_count);
}

static const struct kp_node_ops join_ops = {.kind = "join",
                                            .bytes = sizeof(struct op_join),
                                            .push = join_push,
                                            .part = join_part,
                                            .wants = join_wants,
                                            .start = join_start,
                                            .release = join_release,
                                            .finish = join_finish,
                                            .same = join_same,
                                            .stats = join_stats};

static bool is_int(enum kp_type_id type)
{
    return type == KP_INT2 || type == KP_INT4 || type == KP_INT8;
}

/* Keys of both sides must be of one type to be hashed alike; integers are widened. */
static enum kp_code common_key_type(const struct kp_expr *left, const struct kp_expr *right, enum kp_type_id *ret_type,
                                    struct kp_error *err)
{
    bool texts = kp_type_info(left->type.id)->string && kp_type_info(right->type.id)->string &&
                 left->type.id != KP_BPCHAR && right->type.id != KP_BPCHAR;
    *ret_type = left->type.id;
    if (left->type.id == right->type.id || texts)
        return KP_OK;
    *ret_type = KP_INT8;
    if (is_int(left->type.id) && is_int(right->type.id))
        return KP_OK;
    return kp_fail(err, KP_UNSUPPORTED, NULL, "a join compares %s with %s: cast one of them",
                   kp_type_info(left->type.id)->name, kp_type_info(right->type.id)->name);
}

static bool note_column(const struct kp_expr *expr, void *arg)
{
    if (expr->kind == KP_EXPR_COLUMN)
        ((bool *)arg)[expr->column] = true;
    return true;
}

static enum kp_code define_input(struct op_join *op, int s, const struct kp_plan *plan, struct kp_node *node,
                                 struct kp_error *err)
{
    struct join_input *input = &op->inputs[s];
    struct kp_arena *arena = &op->node.arena;
    uint32_t keys = plan->join.key_count;
    input->col_count = node->col_count;
    input->side.key_count = keys;
    input->side.key_columns = kp_arena_calloc(arena, (keys + 1) * sizeof(uint32_t));
    input->side.key_nulls = kp_arena_calloc(arena, (keys + 1) * sizeof(bool));
    if (keys && plan->join.key_nulls)
        memcpy(input->side.key_nulls, plan->join.key_nulls, keys * sizeof(bool));
    input->extra = kp_arena_calloc(arena, (keys + 1) * sizeof(struct kp_expr *));
    struct kp_type *types = kp_arena_alloc(arena, (node->col_count + keys + 1) * sizeof *types);
    memcpy(types, node->types, node->col_count * sizeof *types);
    for (uint32_t k = 0; k < keys; k++) {
        const struct kp_expr *key = s ? plan->join.right_keys[k] : plan->join.left_keys[k];
        enum kp_type_id type;
        KP_TRY(common_key_type(plan->join.left_keys[k], plan->join.right_keys[k], &type, err));
        if (key->kind == KP_EXPR_COLUMN && (key->type.id == type || kp_type_info(type)->string)) {
            input->side.key_columns[k] = key->column;
            continue;
        }
        struct kp_expr *own = kp_expr_own(key, arena);
        if (own->type.id != type && is_int(type)) {
            struct kp_expr *cast = kp_arena_calloc(arena, sizeof *cast);
            *cast = (struct kp_expr){
                .kind = KP_EXPR_CALL, .type = KP_TYPE(type), .location = -1, .arg_count = 1, .can_fail = own->can_fail};
            cast->args = kp_arena_alloc(arena, sizeof(struct kp_expr *));
            cast->args[0] = own;
            cast->func = kp_func_find_cast(own->type.id, type);
            if (!cast->func)
                return kp_fail(err, KP_UNSUPPORTED, NULL, "no cast from %s to %s", kp_type_info(own->type.id)->name,
                               kp_type_info(type)->name);
            own = cast;
        }
        op->node.uses_positions |= own->can_fail;
        input->side.key_columns[k] = node->col_count + input->extra_count;
        types[node->col_count + input->extra_count] = own->type;
        input->extra[input->extra_count++] = own;
    }
    input->side.growing = node->growing;
    input->side.frees = plan->join.frees[s] && node->growing && !op->node.graph->bounded;
    input->side.time_column = input->side.frees ? plan->join.times[s] : 0;
    input->reach_us = input->side.frees ? plan->join.reach_us[s] : 0;
    input->side.counts_matches = input->preserved;
    input->side.payload_bytes = (node->growing ? 0u : 8u) + (input->preserved ? 8u : 0u);
    kp_row_layout_init(&input->side.layout, arena, types, node->col_count + input->extra_count, true, 8);
    return KP_OK;
}

enum kp_code kp_op_join(struct kp_graph *graph, const struct kp_plan *plan, const struct kp_session_settings *settings,
                        struct kp_node *const *inputs, struct kp_node **ret_node, struct kp_error *err)
{
    static const char *const kinds[] = {"inner", "left", "right", "full", "semi", "anti"};
    struct op_join *op = (struct op_join *)kp_node_create(graph, &join_ops, plan->cols, plan->col_count, inputs, 2);
    op->node.settings = *settings;
    op->kind = plan->join.kind;
    op->key_count = plan->join.key_count;
    op->narrow = op->kind == KP_JOIN_SEMI || op->kind == KP_JOIN_ANTI;
    op->inputs[0].preserved = op->kind == KP_JOIN_LEFT || op->kind == KP_JOIN_FULL || op->narrow;
    op->inputs[1].preserved = op->kind == KP_JOIN_RIGHT || op->kind == KP_JOIN_FULL;
    op->residual = kp_expr_own(plan->join.residual, &op->node.arena);
    uint32_t left_cols = inputs[0]->col_count;
    op->residual_reads = kp_arena_calloc(&op->node.arena, left_cols + inputs[1]->col_count + 1);
    if (op->residual)
        kp_expr_walk(op->residual, note_column, op->residual_reads);
    if (kp_join_bands_define(&op->bands, op->residual, left_cols, &op->node.arena))
        for (int s = 0; s < 2; s++)
            op->inputs[s].side.band = &op->bands.sides[s];
    enum kp_code code = define_input(op, 0, plan, inputs[0], err);
    if (code == KP_OK)
        code = define_input(op, 1, plan, inputs[1], err);
    if (code != KP_OK) {
        kp_graph_drop(graph, &op->node);
        return code;
    }
    op->node.restless = op->inputs[0].side.frees || op->inputs[1].side.frees;
    bool both = inputs[0]->growing && inputs[1]->growing;
    op->node.growing = op->node.bounded || (both && (op->kind == KP_JOIN_INNER || op->kind == KP_JOIN_SEMI));
    snprintf(op->node.detail, sizeof op->node.detail, "%s, %u keys%s", kinds[op->kind], op->key_count,
             op->residual ? ", condition" : "");
    *ret_node = kp_node_share(&op->node);
    return KP_OK;
}
