/*
 * GROUP BY and DISTINCT.
 *
 * Keys and arguments are evaluated where the rows come from; the shard's turn finds each row's group, updates the
 * states, and emits -old +new for groups whose answer changed. The old answer is not kept in state: it is computed from
 * the states when a group is first touched in a step, and waits with the group's number in a chunk until the step (or
 * the last partial step of a series) is emitted.
 *
 *   group row:  | key columns | count of rows (only if rows can be taken away) | state 0 | state 1 | …
 *
 * Invariants: 1. a group whose count of rows is 0 vanishes at emission, never earlier, so numbers in chunks stay valid;
 * 2. a group is in at most one chunk (its touched bit); 3. without group columns there is exactly one row, from the
 * first step on. An aggregate's failure (sum out of range) is an error row as long as it lasts: old failures are
 * retracted.
 */
#include "flow/graph.h"

#include <stdio.h>

#include "flow/combine.h"
#include "flow/table.h"

struct chunk {
    struct chunk *next;
    uint32_t count;
    uint32_t *ids;
    struct kp_vec *old; /* an answer per aggregate; NULL: the groups are new */
    struct kp_row_error *old_errors;
    uint32_t old_error_count;
};

struct shard {
    struct kp_table table;
    struct kp_table *distinct; /* per aggregate with DISTINCT: (group number, arguments) → count */
    uint64_t *touched;
    uint32_t touched_words;
    struct chunk *chunks;
    struct kp_arena pending; /* chunks */
    struct kp_budget owned;  /* what states own, counted for the table's charge */
    bool started;            /* the one row of a global aggregate was emitted */
};

struct agg {
    const struct kp_agg *agg;
    const struct kp_agg_impl *impl;
    struct kp_expr **args, *filter;
    uint32_t arg_count, arg_columns[KP_AGG_ARGS_MAX], filter_column, state_offset, distinct_index;
    uint32_t order_count;
    struct kp_agg_order orders[KP_AGG_ARGS_MAX];
    bool distinct;
    struct kp_type type;
};

struct op_aggregate {
    struct kp_node node;
    uint32_t group_count, agg_count, shown_count; /* the first shown_count aggregates are the answer's */
    uint32_t distinct_count, column_count;        /* column_count: what is exchanged */
    struct kp_expr **columns;                     /* group keys, then arguments and filters */
    struct agg *aggs;
    uint32_t
        *faces; /* per group column: the hidden aggregate that says how it looks; UINT32_MAX: the stored key does */
    struct kp_row_layout layout, *distinct_layouts;
    uint32_t payload_bytes, states_offset;
    bool lean;     /* the input grows: no counts of rows */
    bool combines; /* only weights count: rows of equal keys are added up before they are exchanged */
    struct shard *shards;
};

/* ---- rows in ---- */

static enum kp_code aggregate_push(struct kp_node *node, struct kp_lane *lane, uint32_t port, const struct kp_flow *in,
                                   struct kp_error *err)
{
    struct op_aggregate *op = (struct op_aggregate *)node;
    struct kp_eval eval = kp_lane_eval(lane, node);
    struct kp_batch *batch = kp_batch_create(&lane->arena, op->column_count, in->batch->rows);
    batch->weights = in->batch->weights;
    for (uint32_t c = 0; c < op->column_count; c++)
        kp_eval(&eval, op->columns[c], in->batch, &batch->vecs[c]);
    struct kp_flow rows = {.batch = batch};
    if (eval.error_count) {
        kp_node_divert(node, lane, &eval, in);
        uint32_t *index = kp_arena_alloc(&lane->arena, batch->rows * sizeof *index);
        uint32_t n = kp_eval_good_rows(&eval, batch->rows, index);
        rows = kp_flow_gather(&rows, index, n, &lane->arena);
        if (n == 0)
            return KP_OK;
    }
    uint64_t *hashes = kp_arena_calloc(&lane->arena, rows.batch->rows * sizeof *hashes);
    for (uint32_t g = 0; g < op->group_count; g++)
        kp_vec_hash(&rows.batch->vecs[g], rows.batch->rows, hashes, g == 0);
    const uint64_t *some_hashes = hashes;
    if (op->combines)
        rows.batch = kp_combine(rows.batch, &some_hashes, &op->layout, op->group_count, &lane->arena);
    if (op->group_count == 0)
        kp_inbox_send_part(&node->inboxes[0], lane, 0, rows.batch, some_hashes, NULL);
    else
        kp_inbox_send(&node->inboxes[0], lane, rows.batch, some_hashes, NULL);
    return KP_OK;
}

/* Only counts of rows, or nothing, is asked of the groups, and a key looks the same in all rows that have it. */
static bool can_combine(const struct op_aggregate *op)
{
    for (uint32_t a = 0; a < op->agg_count; a++)
        if (strcmp(op->aggs[a].agg->name, "count") != 0 || op->aggs[a].arg_count || op->aggs[a].filter ||
            op->aggs[a].distinct)
            return false;
    return op->column_count == op->group_count && kp_combine_possible(&op->layout, op->group_count);
}

/* ---- states ---- */

static struct kp_agg_call agg_call(struct op_aggregate *op, const struct agg *agg, struct shard *shard,
                                   struct kp_arena *arena, uint32_t rows)
{
    struct kp_agg_call call = {
        .budget = &shard->owned, .arg_count = agg->arg_count, .order_count = agg->order_count, .orders = agg->orders};
    call.call = (struct kp_call){
        .arena = arena, .settings = &op->node.settings, .rows = rows, .arg_count = agg->arg_count, .type = agg->type};
    for (uint32_t i = 0; i < agg->arg_count; i++)
        call.arg_types[i] = agg->args[i]->type;
    return call;
}

static inline int64_t *row_count(const struct op_aggregate *op, const struct shard *shard, uint32_t id)
{
    return (int64_t *)((char *)kp_table_row(&shard->table, id) + op->layout.bytes);
}

static void **states_of(const struct op_aggregate *op, const struct shard *shard, const struct agg *agg,
                        const uint32_t *ids, uint32_t n, struct kp_arena *arena)
{
    void **states = kp_arena_alloc(arena, n * sizeof *states);
    for (uint32_t i = 0; i < n; i++)
        states[i] = (char *)kp_table_row(&shard->table, ids[i]) + agg->state_offset;
    return states;
}

enum { FINAL_GROUPS = 64 }; /* finished at a time: long lists take long. A bitmap's word. */

/* One aggregate's answers, some groups after the other, so that it can be stopped: then the rest is NULL. */
static void finalize_agg(const struct agg *agg, struct kp_agg_call *call, void **states, uint32_t n,
                         const struct kp_arena *waiting, struct kp_vec *ret_vec)
{
    struct kp_arena *arena = call->call.arena;
    kp_vec_init(ret_vec, arena, agg->type, n);
    for (uint32_t from = 0, count; from < n; from += count) {
        bool vain = kp_arena_vain(waiting);
        struct kp_vec some = *ret_vec;
        uint32_t errors = call->call.error_count;
        count = KP_MIN(n - from, (uint32_t)FINAL_GROUPS);
        some.data = (char *)ret_vec->data + from * kp_vec_width(ret_vec);
        some.valid = NULL;
        call->call.rows = count;
        if (!vain)
            agg->impl->finalize(call, states + from, count, &some);
        for (uint32_t i = errors; i < call->call.error_count; i++)
            call->call.errors[i].row += from;
        if (!vain && !some.valid)
            continue;
        kp_vec_need_valid(ret_vec, arena, n);
        ret_vec->valid[from / FINAL_GROUPS] = vain ? 0 : some.valid[0];
        if (vain)
            memset(some.data, 0, count * kp_vec_width(ret_vec));
    }
}

/* The answers of groups; errors name places in ids. */
static void finalize(struct op_aggregate *op, struct kp_lane *lane, struct shard *shard, const uint32_t *ids,
                     uint32_t n, struct kp_arena *arena, struct kp_vec *ret_vecs, struct kp_eval *errors)
{
    *errors = (struct kp_eval){.arena = arena, .settings = &op->node.settings};
    for (uint32_t a = 0; a < op->agg_count; a++) {
        struct agg *agg = &op->aggs[a];
        struct kp_agg_call call = agg_call(op, agg, shard, arena, n);
        finalize_agg(agg, &call, states_of(op, shard, agg, ids, n, arena), n, &lane->arena, &ret_vecs[a]);
        kp_eval_note(errors, call.call.errors, call.call.error_count);
    }
    kp_eval_first_errors(errors);
}

/* DISTINCT: of the rows only those that bring a group's first, or take its last, of a value; weights become +1 and -1.
 */
static uint32_t distinct_changes(struct shard *shard, const struct agg *agg, const struct kp_batch *batch,
                                 const uint32_t *ids, const int64_t *weights, uint32_t *index, uint32_t n,
                                 struct kp_arena *arena, int64_t *ret_weights)
{
    struct kp_table *table = &shard->distinct[agg->distinct_index];
    struct kp_vec keys[KP_AGG_ARGS_MAX + 1];
    kp_vec_init(&keys[0], arena, KP_TYPE(KP_INT4), n);
    for (uint32_t i = 0; i < n; i++)
        ((int32_t *)keys[0].data)[i] = (int32_t)ids[index[i]];
    for (uint32_t k = 0; k < agg->arg_count; k++)
        kp_vec_gather(&batch->vecs[agg->arg_columns[k]], index, n, arena, &keys[k + 1]);
    uint64_t *hashes = kp_arena_alloc(arena, n * sizeof *hashes);
    for (uint32_t k = 0; k <= agg->arg_count; k++)
        kp_vec_hash(&keys[k], n, hashes, k == 0);
    uint32_t *values = kp_arena_alloc(arena, n * sizeof *values), kept = 0;
    kp_table_probe(table, keys, hashes, n, true, values, NULL, NULL);
    for (uint32_t i = 0; i < n; i++) {
        int64_t *count = kp_table_payload(table, kp_table_row(table, values[i])), before = *count;
        *count += weights ? weights[index[i]] : 1;
        if ((before > 0) == (*count > 0))
            continue;
        ret_weights[kept] = *count > 0 ? 1 : -1;
        index[kept++] = index[i];
    }
    /* A value may have come several times: the first who sees 0 notes it, then all are removed. */
    uint32_t gone_count = 0, *gone = kp_arena_alloc(arena, n * sizeof *gone);
    for (uint32_t i = 0; i < n; i++) {
        int64_t *count = kp_table_payload(table, kp_table_row(table, values[i]));
        if (*count == 0) {
            *count = INT64_MIN;
            gone[gone_count++] = i;
        }
    }
    for (uint32_t i = 0; i < gone_count; i++)
        kp_table_remove(table, values[gone[i]], hashes[gone[i]]);
    return kept;
}

static void update_agg(struct op_aggregate *op, struct kp_lane *lane, struct shard *shard, const struct agg *agg,
                       const struct kp_batch *batch, const uint32_t *ids)
{
    uint32_t rows = batch->rows, n = rows, *index = NULL;
    struct kp_arena *arena = &lane->arena;
    const int64_t *weights = batch->weights;
    bool some = agg->filter || agg->distinct;
    for (uint32_t k = 0; k < agg->arg_count; k++)
        some |= agg->agg->flags & KP_AGG_SKIP_NULLS && batch->vecs[agg->arg_columns[k]].valid;
    struct kp_vec vecs[KP_AGG_ARGS_MAX];
    const struct kp_vec *args[KP_AGG_ARGS_MAX];
    for (uint32_t k = 0; k < agg->arg_count; k++) {
        vecs[k] = batch->vecs[agg->arg_columns[k]];
        args[k] = &vecs[k];
    }
    void **states = states_of(op, shard, agg, ids, rows, arena);
    if (some) {
        index = kp_arena_alloc(arena, rows * sizeof *index);
        n = 0;
        const struct kp_vec *filter = agg->filter ? &batch->vecs[agg->filter_column] : NULL;
        for (uint32_t i = 0; i < rows; i++) {
            bool take = !filter || (((const uint8_t *)filter->data)[i] && !kp_vec_is_null(filter, i));
            for (uint32_t k = 0; take && agg->agg->flags & KP_AGG_SKIP_NULLS && k < agg->agg->arg_count; k++)
                take = !kp_vec_is_null(&vecs[k], i);
            index[n] = i;
            n += take;
        }
        int64_t *some_weights = weights || agg->distinct ? kp_arena_alloc(arena, rows * sizeof *some_weights) : NULL;
        if (agg->distinct)
            n = distinct_changes(shard, agg, batch, ids, weights, index, n, arena, some_weights);
        else
            for (uint32_t i = 0; weights && i < n; i++)
                some_weights[i] = weights[index[i]];
        weights = agg->distinct && op->lean ? NULL : some_weights;
        if (n == 0)
            return;
        for (uint32_t i = 0; i < n; i++)
            states[i] = states[index[i]];
        for (uint32_t k = 0; k < agg->arg_count; k++)
            kp_vec_gather(&batch->vecs[agg->arg_columns[k]], index, n, arena, &vecs[k]);
    }
    struct kp_agg_call call = agg_call(op, agg, shard, arena, n);
    agg->impl->update(&call, states, args, weights, n);
    for (uint32_t i = 0; i < call.call.error_count; i++) {
        const struct kp_row_error *error = &call.call.errors[i];
        uint32_t row = index ? index[error->row] : error->row, end = op->node.end_out;
        kp_node_error_in(&op->node, lane, weights ? weights[error->row] : 1, -1,
                         end < op->group_count ? kp_window_end_us(&batch->vecs[end], row) : INT64_MIN, error->sqlstate,
                         error->message);
    }
}

/* ---- touched groups ---- */

static bool touch(struct shard *shard, uint32_t id)
{
    uint32_t word = id >> 6;
    if (word >= shard->touched_words) {
        uint32_t words = KP_MAX(word + 1, shard->touched_words * 2);
        shard->touched = kp_realloc(shard->touched, words * sizeof *shard->touched);
        memset(shard->touched + shard->touched_words, 0, (words - shard->touched_words) * sizeof *shard->touched);
        shard->touched_words = words;
    }
    uint64_t bit = (uint64_t)1 << (id & 63);
    bool first = !(shard->touched[word] & bit);
    shard->touched[word] |= bit;
    return first;
}

static void add_chunk(struct op_aggregate *op, struct kp_lane *lane, struct shard *shard, const uint32_t *ids,
                      uint32_t n, bool is_new)
{
    if (n == 0)
        return;
    struct chunk *chunk = kp_arena_calloc(&shard->pending, sizeof *chunk);
    chunk->count = n;
    chunk->ids = kp_arena_alloc(&shard->pending, n * sizeof *chunk->ids);
    memcpy(chunk->ids, ids, n * sizeof *ids);
    if (!is_new) {
        struct kp_eval errors;
        chunk->old = kp_arena_calloc(&shard->pending, (op->agg_count + 1) * sizeof *chunk->old);
        finalize(op, lane, shard, ids, n, &shard->pending, chunk->old, &errors);
        chunk->old_errors = errors.errors;
        chunk->old_error_count = errors.error_count;
    }
    chunk->next = shard->chunks;
    shard->chunks = chunk;
}

static enum kp_code take_piece(struct op_aggregate *op, struct kp_lane *lane, struct shard *shard,
                               const struct kp_piece *piece, struct kp_error *err)
{
    const struct kp_batch *batch = piece->batch;
    uint32_t rows = batch->rows, made = 0, old_count = 0;
    uint32_t *ids = kp_arena_alloc(&lane->arena, rows * sizeof *ids),
             *some = kp_arena_alloc(&lane->arena, rows * sizeof *some);
    kp_table_probe(&shard->table, batch->vecs, piece->hashes, rows, true, ids, some, &made);
    for (uint32_t i = 0; i < made; i++) {
        some[i] = ids[some[i]];
        touch(shard, some[i]);
    }
    add_chunk(op, lane, shard, some, made, true);
    if (!(op->lean && op->agg_count == 0)) { /* of a growing DISTINCT only new groups matter */
        for (uint32_t i = 0; i < rows; i++)
            if (touch(shard, ids[i]))
                some[old_count++] = ids[i];
        add_chunk(op, lane, shard, some, old_count, false);
    }
    if (!op->lean)
        for (uint32_t i = 0; i < rows; i++)
            *row_count(op, shard, ids[i]) += batch->weights ? batch->weights[i] : 1;
    for (uint32_t a = 0; a < op->agg_count; a++)
        update_agg(op, lane, shard, &op->aggs[a], batch, ids);
    int64_t more =
        (int64_t)shard->touched_words * 8 + (int64_t)shard->pending.bytes + atomic_load(&shard->owned.used_bytes);
    for (uint32_t d = 0; d < op->distinct_count; d++)
        more += kp_table_bytes(&shard->distinct[d]);
    return kp_table_settle(&shard->table, more, err);
}

/* ---- emission ---- */

static enum kp_code send_groups(struct op_aggregate *op, struct kp_lane *lane, struct shard *shard, const uint32_t *ids,
                                const struct kp_vec *answers, const uint32_t *index, uint32_t n, bool retract,
                                struct kp_error *err)
{
    if (n == 0)
        return KP_OK;
    struct kp_batch *batch = kp_batch_create(&lane->arena, op->node.col_count, n);
    uint32_t *some = kp_arena_alloc(&lane->arena, n * sizeof *some);
    for (uint32_t i = 0; i < n; i++)
        some[i] = ids[index[i]];
    for (uint32_t g = 0; g < op->group_count; g++)
        if (op->faces[g] == UINT32_MAX)
            kp_table_load(&shard->table, g, some, n, &lane->arena, &batch->vecs[g]);
        else
            kp_vec_gather(&answers[op->faces[g]], index, n, &lane->arena, &batch->vecs[g]);
    for (uint32_t a = 0; a < op->shown_count; a++)
        kp_vec_gather(&answers[a], index, n, &lane->arena, &batch->vecs[op->group_count + a]);
    if (retract) {
        int64_t *weights = kp_arena_alloc(&lane->arena, n * sizeof *weights);
        for (uint32_t i = 0; i < n; i++)
            weights[i] = -1;
        batch->weights = weights;
    }
    struct kp_flow out = {.batch = batch};
    return kp_node_send(&op->node, lane, &out, err);
}

static void send_errors(struct op_aggregate *op, struct kp_lane *lane, const struct shard *shard, const uint32_t *ids,
                        const struct kp_row_error *errors, uint32_t count, int64_t weight)
{
    for (uint32_t i = 0; i < count; i++) {
        struct kp_vec end;
        int64_t window_end = INT64_MIN;
        if (op->node.end_out < op->group_count) {
            kp_table_load(&shard->table, op->node.end_out, &ids[errors[i].row], 1, &lane->arena, &end);
            window_end = kp_window_end_us(&end, 0);
        }
        kp_node_error_in(&op->node, lane, weight, -1, window_end, errors[i].sqlstate, errors[i].message);
    }
}

static void remove_group(struct op_aggregate *op, struct kp_lane *lane, struct shard *shard, uint32_t id)
{
    for (uint32_t a = 0; a < op->agg_count; a++)
        if (op->aggs[a].impl->destroy) {
            struct kp_agg_call call = agg_call(op, &op->aggs[a], shard, &lane->arena, 1);
            op->aggs[a].impl->destroy(&call, (char *)kp_table_row(&shard->table, id) + op->aggs[a].state_offset);
        }
    uint64_t hash;
    kp_table_hashes(&shard->table, &id, 1, &hash);
    kp_table_remove(&shard->table, id, hash);
}

/* index gets the places of rows that have an answer in `errors`' sense and, with two sides, differ from the other. */
static enum kp_code emit_chunk(struct op_aggregate *op, struct kp_lane *lane, struct shard *shard, struct chunk *chunk,
                               struct kp_error *err)
{
    struct kp_arena *arena = &lane->arena;
    uint32_t n = chunk->count;
    uint8_t *has_old = kp_arena_alloc(arena, n), *has_new = kp_arena_alloc(arena, n), *gone = kp_arena_calloc(arena, n);
    memset(has_old, chunk->old != NULL, n);
    memset(has_new, 1, n);
    for (uint32_t i = 0; i < n; i++) {
        shard->touched[chunk->ids[i] >> 6] &= ~((uint64_t)1 << (chunk->ids[i] & 63));
        if (op->lean || op->group_count == 0)
            continue;
        int64_t count = *row_count(op, shard, chunk->ids[i]);
        if (count < 0)
            return kp_fail(err, KP_CORRUPT, "XX000", "a group has been taken away more often than it came");
        gone[i] = count == 0;
        has_new[i] = count != 0;
    }
    struct kp_vec *new = kp_arena_calloc(arena, (op->agg_count + 1) * sizeof *new);
    struct kp_eval errors;
    finalize(op, lane, shard, chunk->ids, n, arena, new, &errors);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < errors.error_count; i++) {
        uint32_t row = errors.errors[i].row;
        if (!has_new[row])
            continue; /* an empty group has no answer to fail */
        has_new[row] = 0;
        errors.errors[kept++] = errors.errors[i];
    }
    send_errors(op, lane, shard, chunk->ids, errors.errors, kept, 1);
    for (uint32_t i = 0; i < chunk->old_error_count; i++)
        has_old[chunk->old_errors[i].row] = 0;
    send_errors(op, lane, shard, chunk->ids, chunk->old_errors, chunk->old_error_count, -1);
    uint32_t *old_index = kp_arena_alloc(arena, n * sizeof *old_index),
             *new_index = kp_arena_alloc(arena, n * sizeof *new_index);
    uint32_t old_count = 0, new_count = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (has_old[i] && has_new[i] && kp_vecs_identical(chunk->old, i, new, i, op->agg_count))
            continue;
        old_index[old_count] = new_index[new_count] = i;
        old_count += has_old[i];
        new_count += has_new[i];
    }
    KP_TRY(send_groups(op, lane, shard, chunk->ids, chunk->old, old_index, old_count, true, err));
    KP_TRY(send_groups(op, lane, shard, chunk->ids, new, new_index, new_count, false, err));
    for (uint32_t i = 0; i < n; i++)
        if (gone[i])
            remove_group(op, lane, shard, chunk->ids[i]);
    return KP_OK;
}

static enum kp_code aggregate_part(struct kp_node *node, struct kp_lane *lane, uint32_t part, struct kp_error *err)
{
    struct op_aggregate *op = (struct op_aggregate *)node;
    struct shard *shard = &op->shards[part];
    for (struct kp_piece *piece = kp_inbox_take(&node->inboxes[0], part); piece; piece = piece->next) {
        KP_TRY(kp_lane_check(lane, err));
        KP_TRY(take_piece(op, lane, shard, piece, err));
    }
    if (!kp_graph_step_final(node->graph))
        return KP_OK;
    if (op->group_count == 0 && !shard->started) {
        shard->started = true;
        if (shard->table.live == 0) {
            uint64_t hash = 0;
            uint32_t id;
            kp_table_probe(&shard->table, NULL, &hash, 1, true, &id, NULL, NULL);
            touch(shard, id);
            add_chunk(op, lane, shard, &id, 1, true);
        }
    }
    for (struct chunk *chunk = shard->chunks; chunk; chunk = chunk->next)
        KP_TRY(emit_chunk(op, lane, shard, chunk, err));
    shard->chunks = NULL; /* their memory is read until the step is released */
    return KP_OK;
}

static bool aggregate_wants(const struct kp_node *node, uint32_t part)
{
    const struct op_aggregate *op = (const struct op_aggregate *)node;
    if (!kp_graph_step_final(node->graph))
        return false;
    return op->shards[part].chunks || (op->group_count == 0 && part == 0 && !op->shards[0].started);
}

/* ---- building ---- */

static uint32_t add_column(struct op_aggregate *op, const struct kp_expr *expr)
{
    for (uint32_t c = op->group_count; c < op->column_count; c++)
        if (kp_expr_equal(op->columns[c], expr))
            return c;
    op->columns[op->column_count] = kp_expr_own(expr, &op->node.arena);
    op->node.uses_positions |= expr->can_fail;
    return op->column_count++;
}

/* An argument that can fail must not where the FILTER leaves its row out: CASE WHEN filter THEN arg END. */
static const struct kp_expr *guarded(struct kp_arena *arena, const struct kp_expr *filter, const struct kp_expr *arg)
{
    if (!filter || !arg->can_fail)
        return arg;
    struct kp_expr *otherwise = kp_arena_calloc(arena, sizeof *otherwise),
                   *guard = kp_arena_calloc(arena, sizeof *guard);
    *otherwise = (struct kp_expr){
        .kind = KP_EXPR_CONST, .type = arg->type, .location = -1, .datum = {.type = arg->type, .null = true}};
    *guard = (struct kp_expr){.kind = KP_EXPR_CASE,
                              .type = arg->type,
                              .location = arg->location,
                              .can_fail = true,
                              .stable = arg->stable || filter->stable,
                              .arg_count = 3,
                              .args = kp_arena_calloc(arena, 3 * sizeof(struct kp_expr *))};
    guard->args[0] = kp_expr_own(filter, arena);
    guard->args[1] = kp_expr_own(arg, arena);
    guard->args[2] = otherwise;
    return guard;
}

static void define_agg(struct op_aggregate *op, const struct kp_plan_agg *from, uint32_t *at)
{
    struct kp_arena *arena = &op->node.arena;
    struct agg *agg = &op->aggs[op->agg_count++];
    *agg = (struct agg){.agg = from->agg, .arg_count = from->arg_count, .distinct = from->distinct, .type = from->type};
    agg->order_count = from->order_count;
    memcpy(agg->orders, from->orders, sizeof agg->orders);
    agg->impl = op->lean ? from->agg->growing : from->agg->retractable;
    agg->args = kp_arena_calloc(arena, (from->arg_count + 1) * sizeof *agg->args);
    struct kp_type distinct_types[KP_AGG_ARGS_MAX + 1] = {KP_TYPE(KP_INT4)};
    for (uint32_t k = 0; k < from->arg_count; k++) {
        agg->arg_columns[k] = add_column(op, guarded(arena, from->filter, from->args[k]));
        agg->args[k] = op->columns[agg->arg_columns[k]];
        distinct_types[k + 1] = agg->args[k]->type;
    }
    if (from->filter) {
        agg->filter_column = add_column(op, from->filter);
        agg->filter = op->columns[agg->filter_column];
    }
    if (agg->distinct) {
        agg->distinct_index = op->distinct_count++;
        kp_row_layout_init(&op->distinct_layouts[agg->distinct_index], arena, distinct_types, from->arg_count + 1, true,
                           0);
    }
    agg->state_offset = *at;
    *at += (agg->impl->state_bytes + 7u) & ~7u;
}

/* min() of a type whose equal values may look different (1.0, 1.00): of equal ones it gives the one whose text is
 * least. */
static const struct kp_agg *face_of(enum kp_type_id type)
{
    if (!kp_type_has_faces(type))
        return NULL;
    size_t count;
    const struct kp_agg *const *found = kp_agg_find(type == KP_JSONB ? KP_STR("kp_face") : KP_STR("min"), &count);
    if (kp_type_is_array(type))
        type = KP_ANYARRAY;
    for (size_t i = 0; i < count; i++)
        if (found[i]->arg_count == 1 && found[i]->args[0] == type)
            return found[i];
    return NULL;
}

static void define(struct op_aggregate *op, const struct kp_plan *plan)
{
    struct kp_arena *arena = &op->node.arena;
    uint32_t groups = plan->aggregate.group_count, aggs = plan->aggregate.agg_count, columns = 2 * groups;
    for (uint32_t a = 0; a < aggs; a++)
        columns += plan->aggregate.aggs[a].arg_count + 1;
    op->columns = kp_arena_calloc(arena, (columns + 1) * sizeof *op->columns);
    op->aggs = kp_arena_calloc(arena, (aggs + groups + 1) * sizeof *op->aggs);
    op->faces = kp_arena_alloc(arena, (groups + 1) * sizeof *op->faces);
    op->group_count = groups;
    struct kp_type *types = kp_arena_alloc(arena, (groups + 1) * sizeof *types);
    for (uint32_t g = 0; g < groups; g++) {
        op->columns[op->column_count++] = kp_expr_own(plan->aggregate.groups[g], arena);
        op->node.uses_positions |= op->columns[g]->can_fail;
        types[g] = op->columns[g]->type;
    }
    /* One key keeps its NULL apart and so needs no NULL bits. */
    kp_row_layout_init(&op->layout, arena, types, groups, groups > 1, 0);
    op->states_offset = op->layout.bytes + (op->lean ? 0 : (uint32_t)sizeof(int64_t));
    uint32_t at = op->states_offset;
    op->distinct_layouts = kp_arena_calloc(arena, (aggs + 1) * sizeof *op->distinct_layouts);
    for (uint32_t a = 0; a < aggs; a++)
        define_agg(op, &plan->aggregate.aggs[a], &at);
    for (uint32_t g = 0; g < groups; g++) {
        struct kp_plan_agg hidden = {
            .agg = face_of(types[g].id), .args = &op->columns[g], .arg_count = 1, .type = types[g]};
        op->faces[g] = UINT32_MAX;
        if (!hidden.agg || !(op->lean ? hidden.agg->growing : hidden.agg->retractable))
            continue;
        op->faces[g] = op->agg_count;
        define_agg(op, &hidden, &at);
    }
    op->shown_count = aggs;
    op->payload_bytes = at - op->layout.bytes;
}

static void aggregate_start(struct kp_node *node)
{
    struct op_aggregate *op = (struct op_aggregate *)node;
    op->shards = kp_calloc(node->graph->parts, sizeof *op->shards);
    for (uint32_t part = 0; part < node->graph->parts; part++) {
        struct shard *shard = &op->shards[part];
        kp_table_init(&shard->table, &op->layout, op->group_count, op->payload_bytes, node->graph->options.budget);
        shard->table.heap.keeps = op->lean;
        kp_budget_init(&shard->owned, "aggregate", 0, NULL);
        shard->distinct = kp_calloc(op->distinct_count + 1, sizeof *shard->distinct);
        for (uint32_t d = 0; d < op->distinct_count; d++)
            kp_table_init(&shard->distinct[d], &op->distinct_layouts[d], op->distinct_layouts[d].col_count,
                          sizeof(int64_t), NULL);
    }
}

static void destroy_states(struct op_aggregate *op, struct shard *shard)
{
    bool any = false;
    for (uint32_t a = 0; a < op->agg_count; a++)
        any |= op->aggs[a].impl->destroy != NULL;
    if (!any)
        return;
    struct kp_arena arena = {0};
    uint32_t count, *ids = kp_table_ids(&shard->table, &count);
    for (uint32_t a = 0; a < op->agg_count; a++)
        for (uint32_t i = 0; op->aggs[a].impl->destroy && i < count; i++) {
            struct kp_agg_call call = agg_call(op, &op->aggs[a], shard, &arena, 1);
            op->aggs[a].impl->destroy(&call, (char *)kp_table_row(&shard->table, ids[i]) + op->aggs[a].state_offset);
        }
    kp_free(ids);
    kp_arena_finish(&arena);
}

static void aggregate_finish(struct kp_node *node)
{
    struct op_aggregate *op = (struct op_aggregate *)node;
    for (uint32_t part = 0; op->shards && part < node->graph->parts; part++) {
        struct shard *shard = &op->shards[part];
        destroy_states(op, shard);
        kp_table_finish(&shard->table);
        for (uint32_t d = 0; d < op->distinct_count; d++)
            kp_table_finish(&shard->distinct[d]);
        kp_free(shard->distinct);
        kp_free(shard->touched);
        kp_arena_finish(&shard->pending);
    }
    kp_free(op->shards);
}

static void aggregate_release(struct kp_node *node)
{
    struct op_aggregate *op = (struct op_aggregate *)node;
    for (uint32_t part = 0; part < node->graph->parts; part++) {
        kp_heap_sweep(&op->shards[part].table.heap);
        if (!op->shards[part].chunks)
            kp_arena_finish(&op->shards[part].pending);
        for (uint32_t d = 0; d < op->distinct_count; d++)
            kp_heap_sweep(&op->shards[part].distinct[d].heap);
    }
}

static bool same_agg(const struct agg *a, const struct agg *b)
{
    if (a->agg != b->agg || a->distinct != b->distinct || a->arg_count != b->arg_count ||
        a->order_count != b->order_count || !a->filter != !b->filter)
        return false;
    for (uint32_t k = 0; k < a->arg_count; k++)
        if (a->arg_columns[k] != b->arg_columns[k])
            return false;
    for (uint32_t k = 0; k < a->order_count; k++)
        if (a->orders[k].descending != b->orders[k].descending || a->orders[k].nulls_first != b->orders[k].nulls_first)
            return false;
    return !a->filter || a->filter_column == b->filter_column;
}

static bool aggregate_same(const struct kp_node *a, const struct kp_node *b)
{
    const struct op_aggregate *x = (const struct op_aggregate *)a, *y = (const struct op_aggregate *)b;
    if (x->group_count != y->group_count || x->agg_count != y->agg_count || x->column_count != y->column_count)
        return false;
    for (uint32_t c = 0; c < x->column_count; c++)
        if (!kp_expr_equal(x->columns[c], y->columns[c]))
            return false;
    for (uint32_t i = 0; i < x->agg_count; i++)
        if (!same_agg(&x->aggs[i], &y->aggs[i]))
            return false;
    return true;
}

static void aggregate_stats(const struct kp_node *node, struct kp_node_stats *stats)
{
    const struct op_aggregate *op = (const struct op_aggregate *)node;
    for (uint32_t part = 0; part < node->graph->parts; part++) {
        stats->state_rows += op->shards[part].table.live;
        stats->state_bytes +=
            (uint64_t)(kp_table_bytes(&op->shards[part].table) + atomic_load(&op->shards[part].owned.used_bytes));
        for (uint32_t d = 0; d < op->distinct_count; d++)
            stats->state_bytes += (uint64_t)kp_table_bytes(&op->shards[part].distinct[d]);
    }
}

static const struct kp_node_ops aggregate_ops = {.kind = "aggregate",
                                                 .bytes = sizeof(struct op_aggregate),
                                                 .push = aggregate_push,
                                                 .part = aggregate_part,
                                                 .wants = aggregate_wants,
                                                 .start = aggregate_start,
                                                 .release = aggregate_release,
                                                 .finish = aggregate_finish,
                                                 .same = aggregate_same,
                                                 .stats = aggregate_stats};

enum kp_code kp_op_aggregate(struct kp_graph *graph, const struct kp_plan *plan,
                             const struct kp_session_settings *settings, struct kp_node *input,
                             struct kp_node **ret_node, struct kp_error *err)
{
    for (uint32_t a = 0; a < plan->aggregate.agg_count; a++)
        if (!(input->growing ? plan->aggregate.aggs[a].agg->growing : plan->aggregate.aggs[a].agg->retractable))
            return kp_fail(err, KP_UNSUPPORTED, NULL, "%s cannot follow rows that change",
                           plan->aggregate.aggs[a].agg->name);
    struct op_aggregate *op =
        (struct op_aggregate *)kp_node_create(graph, &aggregate_ops, plan->cols, plan->col_count, &input, 1);
    op->node.settings = *settings;
    op->lean = input->growing;
    op->node.growing = op->node.bounded;
    op->node.consolidated = true;
    define(op, plan);
    op->combines = can_combine(op);
    for (uint32_t c = 0; c < op->column_count; c++)
        op->node.form = kp_hash_combine(op->node.form, kp_expr_hash(op->columns[c]));
    if (op->lean && op->agg_count == 0 && op->group_count > 0) /* DISTINCT: a row comes once and stays */
        op->node.growing = true;
    snprintf(op->node.detail, sizeof op->node.detail, "%u keys, %u aggregates", op->group_count, op->agg_count);
    *ret_node = kp_node_share(&op->node);
    return KP_OK;
}
