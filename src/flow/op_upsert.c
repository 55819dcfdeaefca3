/*
 * Keyed tables: of each key the latest row, as a stream of changes -old +new.
 *
 *   row:  | all columns, the key's first | position of its record | flags |
 *
 * The order of a key's records is the log's: pieces of a step are walked in order of their positions, whoever decoded
 * them. When a row is first touched in a step its old version is copied to a chunk, which waits until the step (or the
 * last of a series of partial ones) is emitted; so however often a key changes in a step, its readers see one -old and
 * one +new. A null value deletes.
 *
 * Of a database's changes (format debezium) a deletion that names no key takes all rows away, in every part at its
 * place among the others; and a value that the connector could not see, since the database had not written it again,
 * leaves the column as it was.
 *
 * Invariants: 1. a row whose flag `absent` is set was deleted in the running step and is removed at emission;
 * 2. retractions carry the position that came with the insertion, so error rows made of them cancel.
 */
#include <stdio.h>
#include <stdlib.h>

#include "flow/op_source.h"
#include "flow/table.h"

struct payload {
    int64_t position;
    uint32_t absent;
    uint32_t touched; /* in a chunk */
};

struct chunk {
    struct chunk *next;
    uint32_t count;
    uint32_t *ids;
    struct kp_vec *old; /* all columns; NULL: the keys are new */
    int64_t *old_positions;
};

struct shard {
    struct kp_table table;
    struct chunk *chunks;
    struct kp_arena pending; /* chunks */
};

struct op_upsert {
    struct kp_node node;
    uint32_t key_count;
    uint32_t *columns; /* of the relation, as the row has them: keys first */
    uint32_t *places;  /* where column c of the relation is in the row */
    bool debezium, keyless;
    struct kp_row_layout layout;
    struct shard *shards;
};

/* ---- rows in ---- */

/* Of such a table only a truncation deletes without a key (decode.c sees to it). */
static bool is_truncation(const struct op_upsert *op, const struct kp_decoded *decoded, uint32_t row)
{
    return op->debezium && decoded->tombstones && decoded->tombstones[row] &&
           kp_vec_is_null(&decoded->batch->vecs[op->columns[0]], row);
}

/* A truncation is there once for every part. */
static uint32_t rows_with_key(const struct op_upsert *op, struct kp_lane *lane, const struct kp_decoded *decoded,
                              uint32_t *index)
{
    uint32_t n = 0;
    for (uint32_t row = 0; row < decoded->batch->rows; row++) {
        bool null = false;
        for (uint32_t k = 0; k < op->key_count; k++)
            null |= kp_vec_is_null(&decoded->batch->vecs[op->columns[k]], row);
        if (is_truncation(op, decoded, row))
            for (uint32_t part = 0; part < op->node.graph->parts; part++)
                index[n++] = row;
        else if (!null)
            index[n++] = row;
        else
            kp_op_source_bury(op->node.inputs[0], lane, decoded->positions[row], "23502",
                              op->keyless ? "a table without PRIMARY KEY takes records that have a key"
                                          : "a column of the primary key is null");
    }
    return n;
}

enum kp_code kp_op_upsert_take(struct kp_node *node, struct kp_lane *lane, const struct kp_decoded *decoded,
                               struct kp_error *err)
{
    struct op_upsert *op = (struct op_upsert *)node;
    const struct kp_batch *from = decoded->batch;
    size_t room = from->rows;
    for (uint32_t row = 0; row < from->rows; row++)
        room += is_truncation(op, decoded, row) ? node->graph->parts : 0;
    uint32_t *index = kp_arena_alloc(&lane->arena, room * sizeof *index);
    uint32_t n = rows_with_key(op, lane, decoded, index);
    if (n == 0)
        return KP_OK;
    kp_node_wake(node);
    struct kp_batch *batch = kp_batch_create(&lane->arena, node->col_count + 1, n);
    for (uint32_t c = 0; c < node->col_count; c++)
        kp_vec_gather(&from->vecs[op->columns[c]], index, n, &lane->arena, &batch->vecs[c]);
    struct kp_vec *deleted = &batch->vecs[node->col_count];
    kp_vec_init(deleted, &lane->arena, KP_TYPE(KP_BOOL), n);
    int64_t *positions = kp_arena_alloc(&lane->arena, n * sizeof *positions);
    uint64_t *hashes = kp_arena_alloc(&lane->arena, n * sizeof *hashes);
    for (uint32_t i = 0; i < n; i++) {
        ((uint8_t *)deleted->data)[i] = decoded->tombstones ? decoded->tombstones[index[i]] : 0;
        positions[i] = decoded->positions[index[i]];
    }
    for (uint32_t k = 0; k < op->key_count; k++)
        kp_vec_hash(&batch->vecs[k], n, hashes, k == 0);
    for (uint32_t i = 0, part = 0; i < n && room > from->rows; i++) {
        if (!is_truncation(op, decoded, index[i]))
            continue;
        hashes[i] = node->graph->parts > 1 ? (uint64_t)part << node->graph->part_shift : 0;
        part = (part + 1) & (node->graph->parts - 1);
    }
    kp_inbox_send(&node->inboxes[0], lane, batch, hashes, positions);
    return KP_OK;
}

static enum kp_code upsert_push(struct kp_node *node, struct kp_lane *lane, uint32_t port, const struct kp_flow *in,
                                struct kp_error *err)
{
    return kp_fail(err, KP_INVALID, "XX000", "a keyed table takes records only");
}

/* ---- the shard's turn ---- */

static int compare_pieces(const void *a, const void *b)
{
    const struct kp_piece *x = *(struct kp_piece *const *)a, *y = *(struct kp_piece *const *)b;
    return (x->positions[0] > y->positions[0]) - (x->positions[0] < y->positions[0]);
}

static struct kp_piece **sort_pieces(struct kp_piece *pieces, struct kp_arena *arena, uint32_t *ret_count)
{
    uint32_t count = 0;
    for (struct kp_piece *piece = pieces; piece; piece = piece->next)
        count++;
    struct kp_piece **sorted = kp_arena_alloc(arena, count * sizeof(struct kp_piece *));
    count = 0;
    for (struct kp_piece *piece = pieces; piece; piece = piece->next)
        sorted[count++] = piece;
    if (count > 1)
        qsort(sorted, count, sizeof(struct kp_piece *), compare_pieces);
    *ret_count = count;
    return sorted;
}

static void add_chunk(struct op_upsert *op, struct shard *shard, const uint32_t *ids, uint32_t n, bool is_new)
{
    if (n == 0)
        return;
    struct kp_arena *arena = &shard->pending;
    struct chunk *chunk = kp_arena_calloc(arena, sizeof *chunk);
    chunk->count = n;
    chunk->ids = kp_arena_alloc(arena, n * sizeof *chunk->ids);
    memcpy(chunk->ids, ids, n * sizeof *ids);
    if (!is_new) {
        chunk->old = kp_arena_alloc(arena, op->node.col_count * sizeof *chunk->old);
        chunk->old_positions = kp_arena_alloc(arena, n * sizeof *chunk->old_positions);
        for (uint32_t c = 0; c < op->node.col_count; c++) {
            kp_table_load(&shard->table, c, ids, n, arena, &chunk->old[c]);
            if (op->layout.cols[c].width == 16)
                kp_vec_copy_deep(&chunk->old[c], n, arena);
        }
    }
    for (uint32_t i = 0; i < n; i++) {
        struct payload *payload = kp_table_payload(&shard->table, kp_table_row(&shard->table, ids[i]));
        payload->touched = 1;
        if (!is_new)
            chunk->old_positions[i] = payload->position;
    }
    chunk->next = shard->chunks;
    shard->chunks = chunk;
}

/*
 * PostgreSQL writes long values anew only if they change, and an update that leaves one alone does not show it (unless
 * the table's REPLICA IDENTITY is FULL): then the connector says this instead.
 */
static bool is_unavailable(const struct op_upsert *op, const struct kp_vec *vec, uint32_t i)
{
    static const struct kp_str plain = {"__debezium_unavailable_value", 28},
                               quoted = {"\"__debezium_unavailable_value\"", 30};
    enum kp_type_id id = vec->type.id;
    bool json = id == KP_JSON || id == KP_JSONB, text = id == KP_TEXT || id == KP_VARCHAR || id == KP_BYTEA;
    if (!op->debezium || !(json || text) || kp_vec_is_null(vec, i))
        return false;
    return kp_str_equal(kp_text_str(&((const struct kp_text *)vec->data)[i]), json ? quoted : plain);
}

/* What was in the row: nothing, if it is not there or was deleted just now. */
static void write_row(struct op_upsert *op, struct shard *shard, uint32_t id, const struct kp_piece *piece, uint32_t i)
{
    void *row = kp_table_row(&shard->table, id);
    struct payload *payload = kp_table_payload(&shard->table, row);
    for (uint32_t c = 0; c < op->node.col_count; c++) { /* the key too: an equal one may look different (1.0, 1.00) */
        bool unavailable = is_unavailable(op, &piece->batch->vecs[c], i);
        if (unavailable && !payload->absent)
            continue;
        kp_row_unset(&op->layout, &shard->table.heap, row, c);
        if (unavailable)
            kp_row_set_null(&op->layout, row, c);
        else
            kp_row_set(&op->layout, &shard->table.heap, row, c, &piece->batch->vecs[c], i);
    }
    payload->absent = ((const uint8_t *)piece->batch->vecs[op->node.col_count].data)[i];
    payload->position = piece->positions[i];
}

static void take_rows(struct op_upsert *op, struct kp_lane *lane, struct shard *shard, const struct kp_piece *piece)
{
    const struct kp_batch *batch = piece->batch;
    uint32_t *ids = kp_arena_alloc(&lane->arena, batch->rows * sizeof *ids),
             *some = kp_arena_alloc(&lane->arena, batch->rows * sizeof *some);
    uint32_t count = 0;
    kp_table_probe(&shard->table, batch->vecs, piece->hashes, batch->rows, true, ids, some, &count);
    for (uint32_t i = 0; i < count; i++) {
        some[i] = ids[some[i]];
        struct payload *payload = kp_table_payload(&shard->table, kp_table_row(&shard->table, some[i]));
        payload->absent = 1;
    }
    add_chunk(op, shard, some, count, true);
    count = 0;
    for (uint32_t i = 0; i < batch->rows; i++) {
        struct payload *payload = kp_table_payload(&shard->table, kp_table_row(&shard->table, ids[i]));
        if (!payload->touched)
            some[count++] = ids[i];
        payload->touched = 1;
    }
    add_chunk(op, shard, some, count, false);
    for (uint32_t i = 0; i < batch->rows; i++)
        write_row(op, shard, ids[i], piece, i);
}

static void take_truncation(struct op_upsert *op, struct shard *shard)
{
    uint32_t count, n = 0, *ids = kp_table_ids(&shard->table, &count);
    uint32_t *some = kp_calloc(KP_BATCH_ROWS_MAX, sizeof *some);
    for (uint32_t i = 0; i < count; i++) {
        struct payload *payload = kp_table_payload(&shard->table, kp_table_row(&shard->table, ids[i]));
        payload->absent = 1;
        if (!payload->touched)
            some[n++] = ids[i];
        if (n == KP_BATCH_ROWS_MAX || (i + 1 == count && n)) {
            add_chunk(op, shard, some, n, false);
            n = 0;
        }
    }
    kp_free(some);
    kp_free(ids);
}

/* Rows begin … end of a piece. */
static void take_between(struct op_upsert *op, struct kp_lane *lane, struct shard *shard, const struct kp_piece *piece,
                         uint32_t begin, uint32_t end)
{
    if (begin == end)
        return;
    uint32_t *index = kp_arena_alloc(&lane->arena, (end - begin) * sizeof *index);
    for (uint32_t i = begin; i < end; i++)
        index[i - begin] = i;
    const struct kp_piece some = {.batch = kp_batch_gather(piece->batch, index, end - begin, &lane->arena),
                                  .hashes = piece->hashes + begin,
                                  .positions = piece->positions + begin};
    take_rows(op, lane, shard, &some);
}

static enum kp_code take_piece(struct op_upsert *op, struct kp_lane *lane, struct shard *shard,
                               const struct kp_piece *piece, struct kp_error *err)
{
    const struct kp_vec *key = &piece->batch->vecs[0];
    uint32_t begin = 0;
    for (uint32_t i = 0; op->debezium && i < piece->batch->rows; i++) {
        if (!kp_vec_is_null(key, i)) /* rows without a key were left out, but truncations */
            continue;
        take_between(op, lane, shard, piece, begin, i);
        take_truncation(op, shard);
        begin = i + 1;
    }
    if (begin == 0)
        take_rows(op, lane, shard, piece);
    else
        take_between(op, lane, shard, piece, begin, piece->batch->rows);
    return kp_table_settle(&shard->table, (int64_t)shard->pending.bytes, err);
}

/* ---- emission ---- */

static enum kp_code send_rows(struct op_upsert *op, struct kp_lane *lane, const struct kp_vec *vecs,
                              const int64_t *positions, const uint32_t *index, uint32_t n, int64_t weight,
                              struct kp_error *err)
{
    if (n == 0)
        return KP_OK;
    struct kp_batch *batch = kp_batch_create(&lane->arena, op->node.col_count, n);
    for (uint32_t c = 0; c < op->node.col_count; c++) /* in the relation's order */
        kp_vec_gather(&vecs[op->places[c]], index, n, &lane->arena, &batch->vecs[c]);
    int64_t *weights = kp_arena_alloc(&lane->arena, n * sizeof *weights),
            *some = kp_arena_alloc(&lane->arena, n * sizeof *some);
    for (uint32_t i = 0; i < n; i++) {
        weights[i] = weight;
        some[i] = positions[index[i]];
    }
    batch->weights = weight == 1 ? NULL : weights;
    struct kp_flow out = {.batch = batch, .positions = some};
    return kp_node_send(&op->node, lane, &out, err);
}

static enum kp_code emit_chunk(struct op_upsert *op, struct kp_lane *lane, struct shard *shard, struct chunk *chunk,
                               struct kp_error *err)
{
    struct kp_arena *arena = &lane->arena;
    uint32_t n = chunk->count, old_count = 0, new_count = 0, gone_count = 0;
    uint32_t *old_index = kp_arena_alloc(arena, n * sizeof *old_index),
             *new_index = kp_arena_alloc(arena, n * sizeof *new_index);
    uint32_t *gone = kp_arena_alloc(arena, n * sizeof *gone);
    int64_t *positions = kp_arena_alloc(arena, n * sizeof *positions);
    struct kp_vec *new = kp_arena_alloc(arena, op->node.col_count * sizeof *new);
    for (uint32_t c = 0; c < op->node.col_count; c++) {
        kp_table_load(&shard->table, c, chunk->ids, n, arena, &new[c]);
    }
    for (uint32_t i = 0; i < n; i++) {
        struct payload *payload = kp_table_payload(&shard->table, kp_table_row(&shard->table, chunk->ids[i]));
        payload->touched = 0;
        positions[i] = payload->position;
        if (payload->absent)
            gone[gone_count++] = chunk->ids[i];
        if (chunk->old && !payload->absent && kp_vecs_identical(chunk->old, i, new, i, op->node.col_count)) {
            payload->position = chunk->old_positions[i]; /* readers know the row by it */
            continue;
        }
        old_index[old_count] = new_index[new_count] = i;
        old_count += chunk->old != NULL;
        new_count += !payload->absent;
    }
    KP_TRY(send_rows(op, lane, chunk->old, chunk->old_positions, old_index, old_count, -1, err));
    KP_TRY(send_rows(op, lane, new, positions, new_index, new_count, 1, err));
    if (gone_count) {
        uint64_t *hashes = kp_arena_alloc(arena, gone_count * sizeof *hashes);
        kp_table_hashes(&shard->table, gone, gone_count, hashes);
        for (uint32_t i = 0; i < gone_count; i++)
            kp_table_remove(&shard->table, gone[i], hashes[i]);
    }
    return KP_OK;
}

static enum kp_code upsert_part(struct kp_node *node, struct kp_lane *lane, uint32_t part, struct kp_error *err)
{
    struct op_upsert *op = (struct op_upsert *)node;
    struct shard *shard = &op->shards[part];
    uint32_t count;
    struct kp_piece **pieces = sort_pieces(kp_inbox_take(&node->inboxes[0], part), &lane->arena, &count);
    for (uint32_t i = 0; i < count; i++)
        KP_TRY(take_piece(op, lane, shard, pieces[i], err));
    if (!kp_graph_step_final(node->graph))
        return KP_OK;
    for (struct chunk *chunk = shard->chunks; chunk; chunk = chunk->next)
        KP_TRY(emit_chunk(op, lane, shard, chunk, err));
    shard->chunks = NULL; /* their memory is read until the step is released */
    return KP_OK;
}

static bool upsert_wants(const struct kp_node *node, uint32_t part)
{
    return kp_graph_step_final(node->graph) && ((const struct op_upsert *)node)->shards[part].chunks;
}

/* ---- building ---- */

static void upsert_start(struct kp_node *node)
{
    struct op_upsert *op = (struct op_upsert *)node;
    op->shards = kp_calloc(node->graph->parts, sizeof *op->shards);
    for (uint32_t part = 0; part < node->graph->parts; part++)
        kp_table_init(&op->shards[part].table, &op->layout, op->key_count, sizeof(struct payload),
                      node->graph->options.budget);
}

static void upsert_finish(struct kp_node *node)
{
    struct op_upsert *op = (struct op_upsert *)node;
    for (uint32_t part = 0; op->shards && part < node->graph->parts; part++) {
        kp_table_finish(&op->shards[part].table);
        kp_arena_finish(&op->shards[part].pending);
    }
    kp_free(op->shards);
}

static void upsert_release(struct kp_node *node)
{
    struct op_upsert *op = (struct op_upsert *)node;
    for (uint32_t part = 0; part < node->graph->parts; part++) {
        kp_heap_sweep(&op->shards[part].table.heap);
        if (!op->shards[part].chunks)
            kp_arena_finish(&op->shards[part].pending);
    }
}

static void upsert_stats(const struct kp_node *node, struct kp_node_stats *stats)
{
    const struct op_upsert *op = (const struct op_upsert *)node;
    for (uint32_t part = 0; part < node->graph->parts; part++) {
        stats->state_rows += op->shards[part].table.live;
        stats->state_bytes += (uint64_t)kp_table_bytes(&op->shards[part].table);
    }
}

const struct kp_node_ops kp_upsert_ops = {.kind = "table",
                                          .bytes = sizeof(struct op_upsert),
                                          .push = upsert_push,
                                          .part = upsert_part,
                                          .wants = upsert_wants,
                                          .start = upsert_start,
                                          .release = upsert_release,
                                          .finish = upsert_finish,
                                          .stats = upsert_stats};

enum kp_code kp_op_upsert(struct kp_graph *graph, struct kp_node *source, struct kp_relation *relation,
                          struct kp_node **ret_node, struct kp_error *err)
{
    uint32_t *all = kp_calloc(relation->col_count + 1, sizeof *all),
             *columns = kp_calloc(relation->col_count + 1, sizeof *columns);
    for (uint32_t c = 0; c < relation->col_count; c++)
        all[c] = c;
    enum kp_code code = kp_op_source_need(source, all, relation->col_count, columns, err);
    if (code != KP_OK) {
        kp_free(all);
        kp_free(columns);
        kp_graph_drop(graph, source);
        return code;
    }
    struct op_upsert *op =
        (struct op_upsert *)kp_node_create(graph, &kp_upsert_ops, relation->cols, relation->col_count, &source, 1);
    struct kp_arena *arena = &op->node.arena;
    const char *format = kp_relation_option(relation, "format");
    op->debezium = format && strcmp(format, "debezium") == 0;
    op->keyless = kp_relation_keyless(relation);
    op->key_count = relation->key_count;
    op->columns = kp_arena_calloc(arena, (relation->col_count + 1) * sizeof *op->columns);
    op->places = kp_arena_calloc(arena, (relation->col_count + 1) * sizeof *op->places);
    struct kp_type *types = kp_arena_alloc(arena, (relation->col_count + 1) * sizeof *types);
    uint32_t n = 0;
    for (int pass = 0; pass < 2; pass++) /* keys, then the others */
        for (uint32_t c = 0; c < relation->col_count; c++) {
            bool is_key = false;
            for (uint32_t k = 0; k < relation->key_count; k++)
                is_key |= relation->keys[k] == c;
            if (is_key != (pass == 0))
                continue;
            op->places[c] = n;
            op->columns[n] = columns[c];
            types[n++] = relation->cols[c].type;
        }
    kp_row_layout_init(&op->layout, arena, types, n, true, 0);
    kp_free(all);
    kp_free(columns);
    op->node.growing = false;
    op->node.consolidated = true;
    snprintf(op->node.detail, sizeof op->node.detail, "%s", relation->name);
    *ret_node = kp_node_share(&op->node);
    return KP_OK;
}
