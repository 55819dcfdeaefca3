/*
 * One bounded step: an ad-hoc query is the same plan in a graph of its own, whose inputs are plain rows. As nothing is
 * ever taken away from it and every operator emits once, all its streams grow, so every operator takes its lean path.
 *
 * Order: SORT and TOPN are sets to the engine. Their rows are ordered here, and projections above them are evaluated
 * here too, on the ordered rows.
 */
#include <stdlib.h>

#include "flow/graph.h"
#include "flow/order.h"
#include "flow/row.h"

struct query {
    struct kp_graph *graph;
    struct kp_arena *arena;
    const struct kp_plan **scans; /* in the order in which the builder meets them, each with its input node */
    struct kp_node **nodes;
    size_t scan_count, resolved;
    const _Atomic bool *cancel; /* NULL: never */
    struct kp_batch **batches;  /* being collected for one scan */
    size_t batch_count, batch_cap;
};

static enum kp_code collect_batch(void *arg, struct kp_batch *batch, struct kp_error *err)
{
    struct query *query = arg;
    KP_TRY(kp_arena_check(query->arena, err));
    if (batch->rows == 0)
        return KP_OK;
    if (query->batch_count == query->batch_cap) {
        size_t cap = query->batch_cap ? query->batch_cap * 2 : 16;
        struct kp_batch **grown = kp_arena_alloc(query->arena, cap * sizeof(struct kp_batch *));
        if (query->batch_count)
            memcpy(grown, query->batches, query->batch_count * sizeof(struct kp_batch *));
        query->batches = grown;
        query->batch_cap = cap;
    }
    query->batches[query->batch_count++] = batch;
    return KP_OK;
}

static size_t count_scans(const struct kp_plan *plan)
{
    size_t count = plan->kind == KP_PLAN_SCAN;
    for (uint32_t i = 0; i < plan->input_count; i++)
        count += count_scans(plan->inputs[i]);
    return count;
}

static void make_inputs(struct query *query, const struct kp_plan *plan)
{
    for (uint32_t i = 0; i < plan->input_count; i++)
        make_inputs(query, plan->inputs[i]);
    if (plan->kind != KP_PLAN_SCAN)
        return;
    query->scans[query->scan_count] = plan;
    query->nodes[query->scan_count++] = kp_graph_input(query->graph, plan->cols, plan->col_count, true);
}

/* ---- the answer's rows, in order ---- */

struct answer_row {
    const struct kp_batch *batch;
    uint32_t row;
    uint32_t key_bytes;
    size_t key; /* place in the buffer of keys */
};

static _Thread_local const uint8_t *order_keys; /* qsort passes no argument */

static int compare_rows(const void *a, const void *b)
{
    const struct answer_row *x = a, *y = b;
    int order = memcmp(order_keys + x->key, order_keys + y->key, KP_MIN(x->key_bytes, y->key_bytes));
    return order ? order : (x->key_bytes > y->key_bytes) - (x->key_bytes < y->key_bytes);
}

enum { SORT_ROWS = 65536 }; /* at a time, between looks at the cancel flag */

static enum kp_code check_cancel(const _Atomic bool *cancel, struct kp_error *err)
{
    if (cancel && atomic_load_explicit(cancel, memory_order_relaxed))
        return kp_fail(err, KP_CANCELLED, NULL, "the query was cancelled");
    return KP_OK;
}

static enum kp_code merge_runs(const struct answer_row *rows, size_t count, size_t run, struct answer_row *out,
                               const _Atomic bool *cancel, struct kp_error *err)
{
    for (size_t from = 0; from < count; from += 2 * run) {
        size_t middle = KP_MIN(from + run, count), end = KP_MIN(from + 2 * run, count);
        for (size_t a = from, b = middle, at = from; at < end; at++) {
            if (at % SORT_ROWS == 0)
                KP_TRY(check_cancel(cancel, err));
            bool left = b == end || (a < middle && compare_rows(&rows[a], &rows[b]) <= 0);
            out[at] = left ? rows[a++] : rows[b++];
        }
    }
    return KP_OK;
}

/* Runs of SORT_ROWS by qsort, then merged two by two, so that it can be stopped. */
static enum kp_code sort_rows(struct answer_row **rows, size_t count, struct kp_arena *scratch,
                              const _Atomic bool *cancel, struct kp_error *err)
{
    for (size_t at = 0; at < count; at += SORT_ROWS) {
        KP_TRY(check_cancel(cancel, err));
        qsort(*rows + at, KP_MIN((size_t)SORT_ROWS, count - at), sizeof **rows, compare_rows);
    }
    struct answer_row *from = *rows, *to = count > SORT_ROWS ? kp_arena_alloc(scratch, count * sizeof *to) : NULL;
    for (size_t run = SORT_ROWS; run < count; run *= 2) {
        KP_TRY(merge_runs(from, count, run, to, cancel, err));
        struct answer_row *merged = to;
        to = from;
        from = merged;
    }
    *rows = from;
    return KP_OK;
}

/* Lists each row as often as its weight says, ordered by the plan if it is a SORT or TOPN. */
static enum kp_code list_rows(const struct kp_plan *plan, const struct kp_changes *changes, struct kp_arena *scratch,
                              const _Atomic bool *cancel, struct answer_row **ret_rows, size_t *ret_count,
                              struct kp_error *err)
{
    size_t count = 0, n = 0;
    for (size_t b = 0; b < changes->batch_count; b++)
        for (uint32_t row = 0; row < changes->batches[b]->rows; row++)
            count += changes->batches[b]->weights ? (size_t)KP_MAX(changes->batches[b]->weights[row], 0) : 1;
    bool ordered = plan->kind == KP_PLAN_SORT || plan->kind == KP_PLAN_TOPN;
    struct answer_row *rows = kp_arena_alloc(scratch, count * sizeof *rows);
    struct kp_buf keys = {0};
    enum kp_code code = KP_OK;
    for (size_t b = 0; code == KP_OK && b < changes->batch_count; b++) {
        const struct kp_batch *batch = changes->batches[b];
        code = check_cancel(cancel, err);
        for (uint32_t row = 0; row < batch->rows; row++) {
            size_t start = keys.len;
            if (ordered)
                kp_order_key_append(plan->topn.keys, plan->topn.key_count, batch->vecs, batch->cols, row, &keys);
            for (int64_t copies = batch->weights ? batch->weights[row] : 1; copies > 0; copies--)
                rows[n++] = (struct answer_row){batch, row, (uint32_t)(keys.len - start), start};
        }
    }
    order_keys = keys.data;
    if (code == KP_OK && ordered && count > 1)
        code = sort_rows(&rows, count, scratch, cancel, err);
    kp_buf_finish(&keys);
    *ret_rows = rows;
    *ret_count = count;
    return code;
}

/* A dense batch of the rows; strings are copied, since the graph that holds them goes. */
static struct kp_batch *make_batch(const struct answer_row *rows, uint32_t n, const struct kp_plan *plan,
                                   struct kp_arena *arena)
{
    struct kp_batch *out = kp_batch_create(arena, plan->col_count, n);
    for (uint32_t c = 0; c < plan->col_count; c++) {
        struct kp_vec vec;
        kp_vec_init(&vec, arena, plan->cols[c].type, n);
        size_t width = kp_vec_width(&vec);
        for (uint32_t i = 0; i < n; i++) {
            const struct kp_vec *from = &rows[i].batch->vecs[c];
            memcpy((char *)vec.data + i * width, kp_vec_at(from, rows[i].row), width);
            if (kp_vec_is_null(from, rows[i].row)) {
                kp_vec_need_valid(&vec, arena, n);
                kp_vec_set_null(&vec, i);
            }
        }
        if (kp_type_info(vec.type.id)->string || vec.type.id == KP_NUMERIC)
            kp_vec_copy_deep(&vec, n, arena);
        out->vecs[c] = vec;
    }
    return out;
}

/* ---- projections above the order ---- */

/* The SORT or TOPN that only projections separate from the root, else the root. */
static const struct kp_plan *ordered_part(const struct kp_plan *root)
{
    const struct kp_plan *at = root;
    while (at->kind == KP_PLAN_PROJECT)
        at = at->inputs[0];
    return at->kind == KP_PLAN_SORT || at->kind == KP_PLAN_TOPN ? at : root;
}

static enum kp_code explain(const char *detail, const char *hint, struct kp_error *err)
{
    if (detail)
        (void)kp_error_detail(err, "%s", detail);
    if (hint)
        (void)kp_error_hint(err, "%s", hint);
    return KP_INVALID;
}

static enum kp_code fail_row(const struct kp_row_error *error, struct kp_error *err)
{
    (void)kp_fail(err, KP_INVALID, error->sqlstate, "%s", error->message);
    return explain(error->detail, error->hint, err);
}

static enum kp_code project_above(const struct kp_plan *root, const struct kp_plan *part,
                                  const struct kp_session_settings *settings, struct kp_arena *arena,
                                  struct kp_batch **batch, struct kp_error *err)
{
    if (root == part)
        return KP_OK;
    KP_TRY(project_above(root->inputs[0], part, settings, arena, batch, err));
    struct kp_eval eval = {.arena = arena, .settings = settings};
    struct kp_batch *out = kp_batch_create(arena, root->col_count, (*batch)->rows);
    for (uint32_t c = 0; c < root->col_count; c++) {
        struct kp_vec vec;
        kp_eval(&eval, kp_expr_own(root->project.exprs[c], arena), *batch, &vec);
        out->vecs[c] = kp_vec_flatten(&vec, arena, out->rows);
    }
    if (eval.error_count) {
        kp_eval_first_errors(&eval);
        return fail_row(&eval.errors[0], err);
    }
    *batch = out;
    return KP_OK;
}

/* ---- running ---- */

static enum kp_code read_answer(struct query *query, const struct kp_plan *plan, const struct kp_plan *part,
                                const struct kp_changes *changes, const struct kp_session_settings *settings,
                                struct kp_batch ***ret_batches, size_t *ret_count, struct kp_error *err)
{
    if (changes->error_count) {
        const struct kp_flow_error *error = &changes->errors[0];
        kp_fail(err, KP_INVALID, error->sqlstate, "%s", error->message);
        explain(error->detail, error->hint, err);
        if (err)
            err->log_position = error->log_position;
        return KP_INVALID;
    }
    size_t rows_count, batch_count = 0;
    struct kp_arena scratch = {0};
    struct answer_row *rows;
    enum kp_code code = list_rows(part, changes, &scratch, query->cancel, &rows, &rows_count, err);
    rows_count = code == KP_OK ? rows_count : 0;
    struct kp_batch **batches =
        kp_arena_alloc(query->arena, (rows_count / KP_BATCH_ROWS_MAX + 1) * sizeof(struct kp_batch *));
    for (size_t at = 0; code == KP_OK && at < rows_count; at += KP_BATCH_ROWS_MAX) {
        uint32_t n = (uint32_t)KP_MIN(rows_count - at, (size_t)KP_BATCH_ROWS_MAX);
        code = check_cancel(query->cancel, err);
        if (code != KP_OK)
            break;
        batches[batch_count] = make_batch(rows + at, n, part, query->arena);
        code = project_above(plan, part, settings, query->arena, &batches[batch_count++], err);
        if (code == KP_OK)
            code = kp_arena_check(query->arena, err);
    }
    kp_arena_finish(&scratch);
    *ret_batches = batches;
    *ret_count = batch_count;
    return code;
}

/* The scans of a plan are met by the builder in the order of make_inputs. */
static struct kp_node *resolve_scan(void *arg, struct kp_relation *relation)
{
    struct query *query = arg;
    return query->nodes[query->resolved++];
}

static void take_stats(const struct query *query, struct kp_node *const *by_plan,
                       const struct kp_query_options *options)
{
    struct kp_node_stats *all;
    size_t count;
    kp_graph_stats(query->graph, &all, &count);
    for (uint32_t id = 0; id < options->stats_count; id++)
        for (size_t i = 0; by_plan[id] && i < count; i++)
            if (all[i].id == by_plan[id]->id)
                options->stats[id] = all[i];
    kp_free(all);
}

static enum kp_code run_query(struct query *query, const struct kp_plan *plan, const struct kp_query_options *options,
                              const struct kp_session_settings *settings, kp_scan_rows scan, void *arg,
                              struct kp_batch ***ret_batches, size_t *ret_count, struct kp_error *err)
{
    const struct kp_plan *part = ordered_part(plan);
    size_t scans = count_scans(part);
    query->scans = kp_arena_alloc(query->arena, (scans + 1) * sizeof(struct kp_plan *));
    query->nodes = kp_arena_alloc(query->arena, (scans + 1) * sizeof(struct kp_node *));
    make_inputs(query, part);
    struct kp_node *root, **by_plan = NULL;
    if (options->stats)
        by_plan = kp_arena_calloc(query->arena, (options->stats_count + 1) * sizeof(struct kp_node *));
    KP_TRY(kp_graph_add_scans_plan(query->graph, part, settings, resolve_scan, query, by_plan, &root, err));
    struct kp_output *output = kp_graph_add_output(query->graph, root);
    struct kp_step_input *inputs = kp_arena_calloc(query->arena, (scans + 1) * sizeof *inputs);
    for (size_t i = 0; i < scans; i++) {
        query->batches = NULL;
        query->batch_count = query->batch_cap = 0;
        KP_TRY(scan(arg, query->scans[i], query->arena, collect_batch, query, err));
        inputs[i] = (struct kp_step_input){
            .node = query->nodes[i], .batches = query->batches, .batch_count = query->batch_count};
    }
    struct kp_step step = {.inputs = inputs, .input_count = scans, .close_windows = true, .cancel = options->cancel};
    step.log_time_us = settings->now_us + 946684800000000;
    KP_TRY(kp_graph_step(query->graph, &step, err));
    if (options->stats)
        take_stats(query, by_plan, options);
    KP_TRY(kp_output_check(output, err));
    return read_answer(query, plan, part, kp_output_changes(output), settings, ret_batches, ret_count, err);
}

enum kp_code kp_flow_query(const struct kp_plan *plan, const struct kp_query_options *options, kp_scan_rows rows,
                           void *arg, struct kp_arena *arena, struct kp_batch ***ret_batches, size_t *ret_count,
                           struct kp_error *err)
{
    static const struct kp_session_settings none;
    const struct kp_session_settings *settings = options->settings ? options->settings : &none;
    struct kp_graph_options graph_options = {.workers = options->workers, .budget = options->budget};
    struct query query = {.arena = arena, .cancel = options->cancel};
    KP_TRY(kp_graph_create(&graph_options, &query.graph, err));
    query.graph->bounded = true;
    kp_arena_limit(arena, options->budget, options->cancel);
    enum kp_code code = run_query(&query, plan, options, settings, rows, arg, ret_batches, ret_count, err);
    kp_graph_destroy(query.graph);
    return code;
}

enum kp_code kp_flow_constants(struct kp_expr *const *exprs, uint32_t count, const struct kp_session_settings *settings,
                               struct kp_arena *arena, struct kp_datum *ret_values, struct kp_error *err)
{
    static const struct kp_session_settings none;
    struct kp_batch nothing = {.rows = 1};
    for (uint32_t i = 0; i < count; i++) {
        struct kp_eval eval = {.arena = arena, .settings = settings ? settings : &none};
        struct kp_vec vec;
        kp_eval(&eval, kp_expr_own(exprs[i], arena), &nothing, &vec);
        if (eval.error_count)
            return fail_row(&eval.errors[0], err);
        kp_vec_get(&vec, 0, &ret_values[i]);
        ret_values[i].type = exprs[i]->type;
    }
    return KP_OK;
}
