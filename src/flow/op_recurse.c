/*
 * Recursion: WITH RECURSIVE, kept live. The rows of iteration 0 are the base's; those of iteration i + 1 are what the
 * step makes of those of iteration i. With UNION a row belongs to the first iteration that finds it, and to no other.
 *
 *   base ───────────────────► recurse ─► rows
 *   work ─► … the step … ─►─┘   │        each with its iteration
 *     ▲                         ▼
 *     └──── rows of iteration i, then those of i + 1, …
 *
 * The number of the iteration is a column that the step passes on, so all iterations share the step's operators, and
 * each change is a row with a weight like any other. What must be in order is the iterations: a change of i is sent
 * round before any of i + 1 is looked at. Then all that comes of the changes before it has come, and what cancels has
 * met, so that a row which only a circle of its own descendants would still support is gone when its turn comes, and
 * nothing runs round for ever that PostgreSQL would end.
 *
 *   row of the table:   | columns | first: its candidates | shown: iteration and face | noted |
 *   candidate:          | weight | iteration | face | next |
 *   levels[i]:          rows to look at in iteration i; rows that were of i and now are of an earlier one
 *
 * UNION: a candidate lives as long as its weight, which counts how often the step finds the row in that iteration.
 * UNION ALL: candidates are changes, and are sent on and forgotten. Rows that are equal but not identical (1.0, 1.00)
 * are one row to UNION, which shows the face whose text is least; faces lie in a table of their own.
 *
 * Invariants: 1. between steps levels are empty but after a partial one; 2. rows and faces are removed only when all
 * rounds of a step are done; 3. what is sent out in a round is exact: nothing of it is taken back in a later round.
 */
#include <stdio.h>

#include "flow/graph.h"
#include "flow/table.h"
#include "vec/io.h"

struct payload {
    uint32_t first;      /* candidate + 1; 0: none */
    uint32_t shown;      /* iteration + 1; 0: none */
    uint32_t shown_face; /* of it */
    uint32_t noted;      /* in `touched` */
};

struct candidate {
    int64_t weight;
    uint32_t iteration, face, next; /* next: + 1, also of the free list */
};

struct ids {
    uint32_t *items, count, cap;
};

struct level {
    struct ids rows, gone; /* gone: faces */
};

struct op_recurse {
    struct kp_node node;
    struct kp_node *work;
    const char *name;
    bool distinct, faced;
    struct kp_row_layout layout;
    struct kp_table table, faces; /* faces: its payload counts candidates */
    struct candidate *candidates;
    uint32_t candidate_count, candidate_cap, free_candidate;
    struct level *levels;
    uint32_t level_count, lowest;
    struct ids touched, touched_faces; /* perhaps to be removed */
    struct kp_batch **found;           /* by the last turn: rows and their iteration */
    uint32_t found_count;
};

static void ids_add(struct ids *ids, uint32_t id)
{
    if (ids->count == ids->cap) {
        ids->cap = ids->cap ? ids->cap * 2 : 16;
        ids->items = kp_realloc(ids->items, ids->cap * sizeof *ids->items);
    }
    ids->items[ids->count++] = id;
}

static inline struct payload *payload_of(const struct op_recurse *op, uint32_t id)
{
    return kp_table_payload(&op->table, kp_table_row(&op->table, id));
}

static struct level *level_at(struct op_recurse *op, uint32_t iteration)
{
    if (iteration >= op->level_count) {
        uint32_t count = KP_MAX(iteration + 1, op->level_count * 2);
        op->levels = kp_realloc(op->levels, count * sizeof *op->levels);
        memset(op->levels + op->level_count, 0, (count - op->level_count) * sizeof *op->levels);
        op->level_count = count;
    }
    op->lowest = KP_MIN(op->lowest, iteration);
    return &op->levels[iteration];
}

static bool level_any(const struct level *level)
{
    return level->rows.count || level->gone.count;
}

/* ---- rows in ---- */

static enum kp_code recurse_push(struct kp_node *node, struct kp_lane *lane, uint32_t port, const struct kp_flow *in,
                                 struct kp_error *err)
{
    uint64_t *hashes = kp_arena_calloc(&lane->arena, in->batch->rows * sizeof *hashes);
    for (uint32_t c = 0; c < node->col_count; c++)
        kp_vec_hash(&in->batch->vecs[c], in->batch->rows, hashes, c == 0);
    kp_inbox_send_part(&node->inboxes[port], lane, 0, in->batch, hashes, NULL);
    return KP_OK;
}

static uint32_t new_candidate(struct op_recurse *op)
{
    if (op->free_candidate) {
        uint32_t at = op->free_candidate - 1;
        op->free_candidate = op->candidates[at].next;
        return at;
    }
    if (op->candidate_count == op->candidate_cap) {
        op->candidate_cap = op->candidate_cap ? op->candidate_cap * 2 : 64;
        op->candidates = kp_realloc(op->candidates, op->candidate_cap * sizeof *op->candidates);
    }
    return op->candidate_count++;
}

static void count_face(struct op_recurse *op, uint32_t face, bool more)
{
    if (!op->faced)
        return;
    uint32_t *count = kp_table_payload(&op->faces, kp_table_row(&op->faces, face));
    *count += more ? 1 : UINT32_MAX;
    if (*count == 0)
        ids_add(&op->touched_faces, face);
}

static void drop_candidate(struct op_recurse *op, uint32_t *link)
{
    uint32_t at = *link - 1;
    struct candidate *candidate = &op->candidates[at];
    count_face(op, candidate->face, false);
    *link = candidate->next;
    candidate->next = op->free_candidate;
    op->free_candidate = at + 1;
}

static void change_candidate(struct op_recurse *op, uint32_t row, uint32_t face, uint32_t iteration, int64_t weight)
{
    struct payload *payload = payload_of(op, row);
    uint32_t *link = &payload->first;
    if (!payload->noted)
        ids_add(&op->touched, row);
    payload->noted = 1;
    ids_add(&level_at(op, iteration)->rows, row);
    for (; *link; link = &op->candidates[*link - 1].next) {
        struct candidate *candidate = &op->candidates[*link - 1];
        if (candidate->iteration != iteration || candidate->face != face)
            continue;
        candidate->weight += weight;
        if (candidate->weight == 0)
            drop_candidate(op, link);
        return;
    }
    uint32_t at = new_candidate(op);
    op->candidates[at] = (struct candidate){weight, iteration, face, payload->first};
    payload->first = at + 1;
    count_face(op, face, true);
}

static enum kp_code take_piece(struct op_recurse *op, struct kp_lane *lane, const struct kp_piece *piece, bool step,
                               struct kp_error *err)
{
    const struct kp_batch *batch = piece->batch;
    uint32_t rows = batch->rows, *ids = kp_arena_alloc(&lane->arena, rows * sizeof *ids), *faces = ids;
    kp_table_probe(&op->table, batch->vecs, piece->hashes, rows, true, ids, NULL, NULL);
    if (op->faced) {
        faces = kp_arena_alloc(&lane->arena, rows * sizeof *faces);
        kp_table_probe(&op->faces, batch->vecs, piece->hashes, rows, true, faces, NULL, NULL);
    }
    const int64_t *before = step ? batch->vecs[op->node.col_count].data : NULL;
    for (uint32_t i = 0; i < rows; i++)
        change_candidate(op, ids[i], faces[i], before ? (uint32_t)before[i] + 1 : 0,
                         batch->weights ? batch->weights[i] : 1);
    return kp_table_settle(&op->table, (int64_t)op->candidate_cap * (int64_t)sizeof *op->candidates, err);
}

/* ---- one iteration ---- */

/* Rows on their way out of an iteration. */
struct sending {
    struct ids faces;
    int64_t *weights;
    uint32_t weight_cap;
};

static void send_row(struct sending *sending, uint32_t face, int64_t weight)
{
    ids_add(&sending->faces, face);
    if (sending->weight_cap < sending->faces.cap) {
        sending->weight_cap = sending->faces.cap;
        sending->weights = kp_realloc(sending->weights, sending->weight_cap * sizeof *sending->weights);
    }
    sending->weights[sending->faces.count - 1] = weight;
}

static const struct kp_table *images(const struct op_recurse *op)
{
    return op->faced ? &op->faces : &op->table;
}

static void print_face(const struct op_recurse *op, uint32_t face, struct kp_buf *out)
{
    const struct kp_table *table = images(op);
    const void *row = kp_table_row(table, face);
    for (uint32_t c = 0; c < op->layout.col_count; c++) {
        const struct kp_row_col *col = &op->layout.cols[c];
        if (!kp_row_is_null(&op->layout, row, c))
            kp_value_print(col->type, (const char *)row + col->offset, NULL, out);
        kp_buf_append_byte(out, 0);
    }
}

static bool text_is_less(const struct op_recurse *op, uint32_t a, uint32_t b)
{
    struct kp_buf x = {0}, y = {0};
    print_face(op, a, &x);
    print_face(op, b, &y);
    int order = memcmp(x.data, y.data, KP_MIN(x.len, y.len));
    bool less = order ? order < 0 : x.len < y.len;
    kp_buf_finish(&x);
    kp_buf_finish(&y);
    return less;
}

/* The first iteration that has the row, and its face there; false: none has it. */
static bool first_of(const struct op_recurse *op, const struct payload *payload, uint32_t *ret_iteration,
                     uint32_t *ret_face)
{
    bool any = false;
    for (uint32_t at = payload->first; at; at = op->candidates[at - 1].next) {
        const struct candidate *candidate = &op->candidates[at - 1];
        if (candidate->weight <= 0)
            continue;
        bool better = !any || candidate->iteration < *ret_iteration ||
                      (candidate->iteration == *ret_iteration && text_is_less(op, candidate->face, *ret_face));
        if (!better)
            continue;
        any = true;
        *ret_iteration = candidate->iteration;
        *ret_face = candidate->face;
    }
    return any;
}

/* UNION: shows the row in this iteration, or shows it no longer, or puts it off to a later one. */
static void settle_row(struct op_recurse *op, uint32_t id, uint32_t iteration, struct sending *sending)
{
    struct payload *payload = payload_of(op, id);
    uint32_t first = 0, face = 0;
    bool any = first_of(op, payload, &first, &face);
    if (any && first > iteration)
        ids_add(&level_at(op, first)->rows, id);
    bool now = any && first == iteration, was = payload->shown == iteration + 1;
    if (was && (!now || payload->shown_face != face)) {
        send_row(sending, payload->shown_face, -1);
        payload->shown = 0;
        was = false;
    }
    if (!now || was)
        return;
    if (payload->shown) /* of a later iteration: taken back in its turn */
        ids_add(&level_at(op, payload->shown - 1)->gone, payload->shown_face);
    send_row(sending, face, 1);
    payload->shown = iteration + 1;
    payload->shown_face = face;
}

/* UNION ALL: what has come of the row for this iteration. */
static void pass_row(struct op_recurse *op, uint32_t id, uint32_t iteration, struct sending *sending)
{
    uint32_t *link = &payload_of(op, id)->first;
    while (*link) {
        const struct candidate *candidate = &op->candidates[*link - 1];
        if (candidate->iteration != iteration) {
            link = &op->candidates[*link - 1].next;
            continue;
        }
        send_row(sending, id, candidate->weight);
        drop_candidate(op, link);
    }
}

static enum kp_code send_found(struct op_recurse *op, struct kp_lane *lane, uint32_t iteration,
                               const struct sending *sending, struct kp_error *err)
{
    struct kp_arena *arena = &lane->arena;
    uint32_t total = sending->faces.count, cols = op->node.col_count;
    op->found = kp_arena_alloc(arena, (total / KP_BATCH_ROWS_MAX + 1) * sizeof(struct kp_batch *));
    for (uint32_t start = 0, n; start < total; start += n) {
        n = KP_MIN(total - start, (uint32_t)KP_BATCH_ROWS_MAX);
        struct kp_batch *all = kp_batch_create(arena, cols + 1, n), *out = kp_batch_create(arena, cols, n);
        int64_t *weights = kp_arena_alloc(arena, n * sizeof *weights);
        memcpy(weights, sending->weights + start, n * sizeof *weights);
        for (uint32_t c = 0; c < cols; c++) {
            kp_table_load(images(op), c, sending->faces.items + start, n, arena, &all->vecs[c]);
            out->vecs[c] = all->vecs[c];
        }
        struct kp_datum number = {.type = KP_TYPE(KP_INT8), .i64 = iteration};
        kp_vec_init_constant(&all->vecs[cols], arena, &number);
        all->weights = out->weights = weights;
        op->found[op->found_count++] = all;
        struct kp_flow flow = {.batch = out};
        KP_TRY(kp_node_send(&op->node, lane, &flow, err));
    }
    return KP_OK;
}

static enum kp_code run_iteration(struct op_recurse *op, struct kp_lane *lane, uint32_t iteration, struct kp_error *err)
{
    struct sending sending = {0};
    struct ids rows = op->levels[iteration].rows, gone = op->levels[iteration].gone;
    memset(&op->levels[iteration], 0, sizeof *op->levels);
    for (uint32_t i = 0; i < rows.count; i++) {
        if (op->distinct)
            settle_row(op, rows.items[i], iteration, &sending);
        else
            pass_row(op, rows.items[i], iteration, &sending);
    }
    for (uint32_t i = 0; i < gone.count; i++)
        send_row(&sending, gone.items[i], -1);
    enum kp_code code = KP_OK;
    if (sending.faces.count && iteration >= KP_RECURSION_ROUNDS_MAX) {
        kp_fail(err, KP_BUDGET, "54000", "the recursive query \"%s\" has no end after %d iterations", op->name,
                KP_RECURSION_ROUNDS_MAX);
        code = kp_error_hint(err, "Give its recursive term a condition that ends it, or use UNION in place of UNION "
                                  "ALL if its rows run in a circle.");
    }
    if (code == KP_OK)
        code = send_found(op, lane, iteration, &sending, err);
    kp_free(rows.items);
    kp_free(gone.items);
    kp_free(sending.faces.items);
    kp_free(sending.weights);
    return code;
}

/* ---- the end of the rounds ---- */

static void remove_rows(struct kp_table *table, const struct ids *ids, struct kp_arena *arena)
{
    uint64_t *hashes = kp_arena_alloc(arena, (ids->count + 1) * sizeof *hashes);
    kp_table_hashes(table, ids->items, ids->count, hashes);
    for (uint32_t i = 0; i < ids->count; i++)
        kp_table_remove(table, ids->items[i], hashes[i]);
}

static void forget(struct op_recurse *op, struct kp_arena *arena)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < op->touched.count; i++) {
        struct payload *payload = payload_of(op, op->touched.items[i]);
        payload->noted = 0;
        if (!payload->first && !payload->shown)
            op->touched.items[kept++] = op->touched.items[i];
    }
    op->touched.count = kept;
    remove_rows(&op->table, &op->touched, arena);
    op->touched.count = 0;
    kept = 0;
    for (uint32_t i = 0; i < op->touched_faces.count; i++) {
        uint32_t face = op->touched_faces.items[i];
        uint32_t *count = kp_table_payload(&op->faces, kp_table_row(&op->faces, face));
        if (*count == 0) {
            *count = UINT32_MAX; /* once, if it is listed twice */
            op->touched_faces.items[kept++] = face;
        }
    }
    op->touched_faces.count = kept;
    remove_rows(&op->faces, &op->touched_faces, arena);
    op->touched_faces.count = 0;
}

static bool is_pending(const struct op_recurse *op)
{
    return op->lowest < op->level_count;
}

/* An ad-hoc LIMIT without an order, which alone reads what is found, has rows enough: as in PostgreSQL what has no end
 * is then left. */
static bool is_enough(const struct op_recurse *op)
{
    const struct kp_node *node = &op->node;
    if (!node->bounded)
        return false;
    while (node->consumer_count == 1 && !node->users) {
        const struct kp_node *reader = node->consumers[0].node;
        uint64_t wanted = kp_op_topn_wanted(reader);
        if (wanted != UINT64_MAX)
            return kp_inbox_rows(&reader->inboxes[0]) >= wanted;
        if (reader->ops->part || reader->input_count != 1)
            return false;
        node = reader;
    }
    return false;
}

static enum kp_code recurse_part(struct kp_node *node, struct kp_lane *lane, uint32_t part, struct kp_error *err)
{
    struct op_recurse *op = (struct op_recurse *)node;
    for (uint32_t port = 0; port < 2; port++)
        for (struct kp_piece *piece = kp_inbox_take(&node->inboxes[port], part); piece; piece = piece->next) {
            KP_TRY(kp_lane_check(lane, err));
            KP_TRY(take_piece(op, lane, piece, port == 1, err));
        }
    op->found_count = 0;
    if (!kp_graph_step_final(node->graph))
        return KP_OK;
    while (is_pending(op) && !op->found_count && !is_enough(op)) {
        uint32_t iteration = op->lowest++;
        if (level_any(&op->levels[iteration]))
            KP_TRY(run_iteration(op, lane, iteration, err));
    }
    if (!op->found_count && op->touched.count) {
        op->lowest = UINT32_MAX;
        forget(op, &lane->arena);
    }
    return KP_OK;
}

static bool recurse_wants(const struct kp_node *node, uint32_t part)
{
    const struct op_recurse *op = (const struct op_recurse *)node;
    return part == 0 && op->touched.count && kp_graph_step_final(node->graph);
}

static bool recurse_round(struct kp_node *node, struct kp_node **ret_entry, struct kp_batch *const **ret_batches,
                          uint32_t *ret_count)
{
    struct op_recurse *op = (struct op_recurse *)node;
    *ret_entry = op->work;
    *ret_batches = op->found;
    *ret_count = op->found_count;
    op->found_count = 0;
    return *ret_count > 0;
}

/* ---- building ---- */

static void recurse_finish(struct kp_node *node)
{
    struct op_recurse *op = (struct op_recurse *)node;
    for (uint32_t i = 0; i < op->level_count; i++) {
        kp_free(op->levels[i].rows.items);
        kp_free(op->levels[i].gone.items);
    }
    kp_free(op->levels);
    kp_free(op->touched.items);
    kp_free(op->touched_faces.items);
    kp_free(op->candidates);
    kp_table_finish(&op->table);
    kp_table_finish(&op->faces);
}

static void recurse_release(struct kp_node *node)
{
    struct op_recurse *op = (struct op_recurse *)node;
    op->found_count = 0;
    kp_heap_sweep(&op->table.heap);
    kp_heap_sweep(&op->faces.heap);
}

static void recurse_stats(const struct kp_node *node, struct kp_node_stats *stats)
{
    const struct op_recurse *op = (const struct op_recurse *)node;
    stats->state_rows = op->table.live;
    stats->state_bytes = (uint64_t)(kp_table_bytes(&op->table) + kp_table_bytes(&op->faces)) +
                         op->candidate_cap * sizeof *op->candidates;
}

static const struct kp_node_ops recurse_ops = {.kind = "recurse",
                                               .bytes = sizeof(struct op_recurse),
                                               .push = recurse_push,
                                               .part = recurse_part,
                                               .wants = recurse_wants,
                                               .round = recurse_round,
                                               .release = recurse_release,
                                               .finish = recurse_finish,
                                               .stats = recurse_stats};

struct kp_node *kp_op_recurse(struct kp_graph *graph, const struct kp_plan *plan, struct kp_node *const *inputs,
                              struct kp_node *work)
{
    struct op_recurse *op =
        (struct op_recurse *)kp_node_create(graph, &recurse_ops, plan->cols, plan->col_count, inputs, 2);
    struct kp_arena *arena = &op->node.arena;
    op->work = work;
    op->name = kp_arena_strdup(arena, plan->recurse.name);
    op->distinct = plan->recurse.distinct;
    for (uint32_t c = 0; op->distinct && c < plan->col_count; c++)
        op->faced |= kp_type_has_faces(plan->cols[c].type.id);
    op->node.growing = op->node.bounded;
    op->lowest = UINT32_MAX;
    kp_row_layout_init(&op->layout, arena, op->node.types, op->node.col_count, true, 0);
    kp_table_init(&op->table, &op->layout, op->node.col_count, sizeof(struct payload), graph->options.budget);
    op->table.identical = !op->distinct;
    if (op->faced) {
        kp_table_init(&op->faces, &op->layout, op->node.col_count, sizeof(uint32_t), graph->options.budget);
        op->faces.identical = true;
    }
    snprintf(op->node.detail, sizeof op->node.detail, "%s, union%s", op->name, op->distinct ? "" : " all");
    return kp_node_share(&op->node);
}

/* ---- the entry ---- */

static const struct kp_node_ops work_ops = {.kind = "work", .bytes = sizeof(struct kp_node)};

struct kp_node *kp_op_work(struct kp_graph *graph, const struct kp_plan *plan)
{
    struct kp_column *cols = kp_calloc(plan->col_count + 1, sizeof *cols);
    memcpy(cols, plan->cols, plan->col_count * sizeof *cols);
    cols[plan->col_count] = (struct kp_column){"iteration", KP_TYPE(KP_INT8), true};
    struct kp_node *node = kp_node_create(graph, &work_ops, cols, plan->col_count + 1, NULL, 0);
    kp_free(cols);
    node->growing = false; /* rows may go, and come back in another iteration */
    return kp_node_share(node);
}
