/*
 * For flow_test.c only: the naive interpreter of plans. Rows are arrays of datums; groups, matches and places are found
 * by looking at everything. It shares nothing with the operators but the evaluation of expressions, one row at a time.
 */
#ifndef KP_FLOW_FLOW_NAIVE_H
#define KP_FLOW_FLOW_NAIVE_H

#include "flow/flow_oracle.h"

struct nrow {
    struct kp_datum *cells;
    int64_t weight;
};
struct nrows {
    struct nrow *rows;
    uint32_t count, cap;
};
struct naive {
    struct kp_arena *arena;
    struct kp_relation **relations;
    const struct table *tables;
    uint32_t table_count;
};

static inline void nrows_add(struct nrows *rows, struct kp_datum *cells, int64_t weight)
{
    if (rows->count == rows->cap) {
        rows->cap = rows->cap ? rows->cap * 2 : 16;
        rows->rows = kp_realloc(rows->rows, rows->cap * sizeof *rows->rows);
    }
    rows->rows[rows->count++] = (struct nrow){cells, weight};
}

static inline struct kp_datum naive_eval(struct naive *naive, const struct kp_expr *expr, const struct kp_datum *cells,
                                         uint32_t count)
{
    struct kp_batch batch = {.rows = 1, .cols = count};
    batch.vecs = kp_arena_calloc(naive->arena, (count + 1) * sizeof *batch.vecs);
    for (uint32_t c = 0; c < count; c++) {
        kp_vec_init_constant(&batch.vecs[c], naive->arena, &cells[c]);
        batch.vecs[c] = kp_vec_flatten(&batch.vecs[c], naive->arena, 1);
    }
    static const struct kp_session_settings settings;
    struct kp_eval eval = {.arena = naive->arena, .settings = &settings};
    struct kp_vec vec;
    kp_eval(&eval, expr, &batch, &vec);
    assert_int_equal(eval.error_count, 0);
    struct kp_datum datum;
    kp_vec_get(&vec, 0, &datum);
    return datum;
}

static inline bool naive_true(struct naive *naive, const struct kp_expr *expr, const struct kp_datum *cells,
                              uint32_t count)
{
    struct kp_datum datum = naive_eval(naive, expr, cells, count);
    return !datum.null && datum.b;
}

static inline bool same_datum(const struct kp_datum *a, const struct kp_datum *b)
{
    return a->null || b->null ? a->null == b->null : kp_value_equal(a->type.id, a->raw, b->raw);
}

static inline struct nrows naive_run(struct naive *naive, const struct kp_plan *plan);

static inline struct kp_datum naive_agg(struct naive *naive, const struct kp_plan_agg *agg, const struct nrows *input,
                                        const uint32_t *group_of, uint32_t group, uint32_t col_count)
{
    struct kp_datum result = {.type = agg->type, .null = true},
                    *seen = kp_arena_calloc(naive->arena, (input->count + 1) * sizeof *seen);
    uint32_t seen_count = 0;
    int64_t count = 0, sum = 0;
    bool is_max = strcmp(agg->agg->name, "max") == 0;
    for (uint32_t i = 0; i < input->count; i++) {
        const struct nrow *row = &input->rows[i];
        if (group_of[i] != group || (agg->filter && !naive_true(naive, agg->filter, row->cells, col_count)))
            continue;
        int64_t weight = row->weight;
        if (agg->arg_count == 0) {
            count += weight;
            continue;
        }
        struct kp_datum value = naive_eval(naive, agg->args[0], row->cells, col_count);
        if (value.null)
            continue;
        bool repeated = false;
        for (uint32_t k = 0; k < seen_count; k++)
            repeated |= same_datum(&seen[k], &value);
        seen[seen_count++] = value;
        if (agg->distinct && repeated)
            continue;
        weight = agg->distinct ? 1 : weight;
        count += weight;
        sum += value.i32 * weight;
        if (strcmp(agg->agg->name, "min") == 0 || is_max) {
            int order = result.null ? 0 : kp_value_compare(value.type.id, value.raw, result.raw);
            if (result.null || (is_max ? order > 0 : order < 0))
                result = value;
        }
    }
    if (strcmp(agg->agg->name, "count") == 0) {
        result.null = false;
        result.i64 = count;
    } else if (strcmp(agg->agg->name, "sum") == 0) {
        result.null = count == 0;
        result.i64 = sum;
    }
    return result;
}

static inline struct nrows naive_aggregate(struct naive *naive, const struct kp_plan *plan)
{
    struct nrows input = naive_run(naive, plan->inputs[0]), out = {0};
    uint32_t groups = plan->aggregate.group_count,
             *group_of = kp_arena_calloc(naive->arena, (input.count + 1) * sizeof *group_of);
    uint32_t in_cols = plan->inputs[0]->col_count;
    for (uint32_t i = 0; i < input.count; i++) {
        struct kp_datum *cells = kp_arena_calloc(naive->arena, (plan->col_count + 1) * sizeof *cells);
        for (uint32_t g = 0; g < groups; g++)
            cells[g] = naive_eval(naive, plan->aggregate.groups[g], input.rows[i].cells, in_cols);
        uint32_t at = 0;
        for (; at < out.count; at++) {
            bool same = true;
            for (uint32_t g = 0; g < groups; g++)
                same = same && same_datum(&out.rows[at].cells[g], &cells[g]);
            if (same)
                break;
        }
        group_of[i] = at;
        if (at == out.count)
            nrows_add(&out, cells, 1);
    }
    if (groups == 0 && out.count == 0)
        nrows_add(&out, kp_arena_calloc(naive->arena, (plan->col_count + 1) * sizeof(struct kp_datum)), 1);
    for (uint32_t at = 0; at < out.count; at++)
        for (uint32_t a = 0; a < plan->aggregate.agg_count; a++)
            out.rows[at].cells[groups + a] = naive_agg(naive, &plan->aggregate.aggs[a], &input, group_of, at, in_cols);
    kp_free(input.rows);
    return out;
}

static inline struct nrows naive_scan(struct naive *naive, const struct kp_plan *plan)
{
    struct nrows out = {0};
    for (uint32_t t = 0; t < naive->table_count; t++) {
        if (naive->relations[t] != plan->scan.relation)
            continue;
        for (uint32_t i = 0; i < naive->tables[t].count; i++) {
            struct kp_datum *cells = kp_arena_calloc(naive->arena, (plan->col_count + 1) * sizeof *cells);
            for (uint32_t c = 0; c < plan->col_count; c++) {
                const struct cell *cell = &naive->tables[t].rows[i].cells[plan->scan.columns[c]];
                cells[c].type = plan->cols[c].type;
                cells[c].null = cell->null;
                if (cell->null)
                    continue;
                if (cells[c].type.id == KP_TEXT)
                    cells[c].text = kp_text_make(cell->text, strlen(cell->text));
                else if (cells[c].type.id == KP_INT4)
                    cells[c].i32 = (int32_t)cell->value;
                else
                    cells[c].i64 = cell->value;
            }
            nrows_add(&out, cells, naive->tables[t].rows[i].weight);
        }
    }
    return out;
}

static inline bool naive_match(struct naive *naive, const struct kp_plan *plan, const struct kp_datum *left,
                               const struct kp_datum *right, const struct kp_datum *both)
{
    uint32_t left_cols = plan->inputs[0]->col_count, right_cols = plan->inputs[1]->col_count;
    for (uint32_t k = 0; k < plan->join.key_count; k++) {
        struct kp_datum a = naive_eval(naive, plan->join.left_keys[k], left, left_cols);
        struct kp_datum b = naive_eval(naive, plan->join.right_keys[k], right, right_cols);
        if (plan->join.key_nulls && plan->join.key_nulls[k] && a.null && b.null)
            continue;
        if (a.null || b.null)
            return false;
        if (a.type.id == KP_INT4 && b.type.id == KP_INT8)
            a = (struct kp_datum){.type = b.type, .i64 = a.i32};
        if (!kp_value_equal(a.type.id, a.raw, b.raw))
            return false;
    }
    return !plan->join.residual || naive_true(naive, plan->join.residual, both, left_cols + right_cols);
}

static inline struct nrows naive_join(struct naive *naive, const struct kp_plan *plan)
{
    struct nrows left = naive_run(naive, plan->inputs[0]), right = naive_run(naive, plan->inputs[1]), out = {0};
    uint32_t left_cols = plan->inputs[0]->col_count, right_cols = plan->inputs[1]->col_count,
             all = left_cols + right_cols;
    bool *right_met = kp_arena_calloc(naive->arena, right.count + 1);
    enum kp_join_kind kind = plan->join.kind;
    for (uint32_t l = 0; l < left.count; l++) {
        bool met = false;
        for (uint32_t r = 0; r < right.count; r++) {
            struct kp_datum *cells = kp_arena_calloc(naive->arena, (all + 1) * sizeof *cells);
            memcpy(cells, left.rows[l].cells, left_cols * sizeof *cells);
            memcpy(cells + left_cols, right.rows[r].cells, right_cols * sizeof *cells);
            if (!naive_match(naive, plan, left.rows[l].cells, right.rows[r].cells, cells))
                continue;
            met = right_met[r] = true;
            if (kind != KP_JOIN_SEMI && kind != KP_JOIN_ANTI)
                nrows_add(&out, cells, left.rows[l].weight * right.rows[r].weight);
        }
        if (kind == KP_JOIN_SEMI ? met : !met && kind != KP_JOIN_INNER && kind != KP_JOIN_RIGHT) {
            struct kp_datum *cells = kp_arena_calloc(naive->arena, (all + 1) * sizeof *cells);
            memcpy(cells, left.rows[l].cells, left_cols * sizeof *cells);
            for (uint32_t c = left_cols; c < all; c++)
                cells[c] = (struct kp_datum){.type = plan->inputs[1]->cols[c - left_cols].type, .null = true};
            nrows_add(&out, cells, left.rows[l].weight);
        }
    }
    for (uint32_t r = 0; r < right.count && (kind == KP_JOIN_RIGHT || kind == KP_JOIN_FULL); r++) {
        if (right_met[r])
            continue;
        struct kp_datum *cells = kp_arena_calloc(naive->arena, (all + 1) * sizeof *cells);
        for (uint32_t c = 0; c < left_cols; c++)
            cells[c] = (struct kp_datum){.type = plan->inputs[0]->cols[c].type, .null = true};
        memcpy(cells + left_cols, right.rows[r].cells, right_cols * sizeof *cells);
        nrows_add(&out, cells, right.rows[r].weight);
    }
    kp_free(left.rows);
    kp_free(right.rows);
    return out;
}

static inline int naive_order(const struct kp_datum *a, const struct kp_datum *b, bool descending, bool nulls_first)
{
    if (a->null || b->null) {
        int order = a->null && b->null ? 0 : a->null ? 1 : -1;
        return nulls_first ? -order : order;
    }
    int order = kp_value_compare(a->type.id, a->raw, b->raw);
    return descending ? -order : order;
}

static inline int naive_compare(const struct kp_plan *plan, const struct kp_datum *a, const struct kp_datum *b)
{
    for (uint32_t k = 0; k < plan->topn.key_count; k++) {
        const struct kp_sort_key *key = &plan->topn.keys[k];
        int order = naive_order(&a[key->column], &b[key->column], key->descending, key->nulls_first);
        if (order)
            return order;
    }
    for (uint32_t c = 0; c < plan->col_count; c++) {
        int order = naive_order(&a[c], &b[c], false, false);
        if (order)
            return order;
    }
    return 0;
}

static inline struct nrows naive_topn(struct naive *naive, const struct kp_plan *plan)
{
    struct nrows input = naive_run(naive, plan->inputs[0]), out = {0};
    int64_t limit = plan->topn.limit ? plan->topn.limit->datum.i64 : 1000000,
            offset = plan->topn.offset ? plan->topn.offset->datum.i64 : 0;
    for (uint32_t i = 0; i < input.count; i++) {
        int64_t before = 0; /* copies of lesser rows, and of equal ones that stand earlier in the list */
        for (uint32_t k = 0; k < input.count; k++) {
            int order = naive_compare(plan, input.rows[k].cells, input.rows[i].cells);
            if (order < 0 || (order == 0 && k < i))
                before += input.rows[k].weight;
        }
        int64_t first = KP_MAX(before, offset), end = KP_MIN(before + input.rows[i].weight, offset + limit);
        if (end > first)
            nrows_add(&out, input.rows[i].cells, end - first);
    }
    kp_free(input.rows);
    return out;
}

/* ---- window functions, a row at a time ---- */

struct naive_rows {
    struct naive *naive;
    const struct kp_plan *plan;
    struct kp_datum **rows; /* a partition's, in order, copies one by one */
    uint32_t count;
};

static inline int naive_over_compare(const struct kp_plan *plan, const struct kp_datum *a, const struct kp_datum *b,
                                     bool peers)
{
    for (uint32_t k = 0; k < (peers ? plan->over.order_count : plan->over.key_count); k++) {
        const struct kp_sort_key *key = &plan->over.keys[k];
        int order = naive_order(&a[key->column], &b[key->column], key->descending, key->nulls_first);
        if (order)
            return order;
    }
    for (uint32_t c = 0; !peers && c < plan->inputs[0]->col_count; c++) {
        int order = naive_order(&a[c], &b[c], false, false);
        if (order)
            return order;
    }
    return 0;
}

/* How many runs of peers lie between two rows. */
static inline int64_t naive_runs(const struct naive_rows *rows, uint32_t from, uint32_t to)
{
    int64_t runs = 0;
    for (uint32_t i = KP_MIN(from, to); i < KP_MAX(from, to); i++)
        runs += naive_over_compare(rows->plan, rows->rows[i], rows->rows[i + 1], true) != 0;
    return from <= to ? runs : -runs;
}

static inline bool naive_in_frame(const struct naive_rows *rows, const struct kp_plan_frame *frame, uint32_t row,
                                  uint32_t at)
{
    static const int64_t far = INT64_MAX;
    bool peer = naive_runs(rows, row, at) == 0;
    if ((frame->exclude == KP_EXCLUDE_CURRENT && at == row) || (frame->exclude == KP_EXCLUDE_GROUP && peer) ||
        (frame->exclude == KP_EXCLUDE_TIES && peer && at != row))
        return false;
    int64_t distance = frame->mode == KP_FRAME_ROWS ? (int64_t)at - row : naive_runs(rows, row, at);
    int64_t start[] = {-far, -frame->start_offset, 0, frame->start_offset, far};
    int64_t end[] = {-far, -frame->end_offset, 0, frame->end_offset, far};
    return distance >= start[frame->start] && distance <= end[frame->end];
}

static inline struct kp_datum naive_over_value(const struct naive_rows *rows, const struct kp_plan_over_call *call,
                                               uint32_t row)
{
    struct kp_datum result = {.type = call->type}, null = {.type = call->type, .null = true};
    uint32_t *frame = kp_arena_calloc(rows->naive->arena, (rows->count + 1) * sizeof *frame), n = 0, before = 0,
             peers = 0, first_peer = UINT32_MAX;
    for (uint32_t i = 0; i < rows->count; i++) {
        int order = naive_over_compare(rows->plan, rows->rows[i], rows->rows[row], true);
        before += order < 0;
        peers += order == 0;
        first_peer = order == 0 && first_peer == UINT32_MAX ? i : first_peer;
        if (naive_in_frame(rows, &call->frame, row, i))
            frame[n++] = i;
    }
    switch (call->kind) {
    case KP_OVER_ROW_NUMBER:
        result.i64 = (int64_t)row + 1;
        return result;
    case KP_OVER_RANK:
        result.i64 = (int64_t)before + 1;
        return result;
    case KP_OVER_DENSE_RANK:
        result.i64 = naive_runs(rows, 0, row) + 1;
        return result;
    case KP_OVER_PERCENT_RANK:
        result.f64 = rows->count > 1 ? (double)before / (double)(rows->count - 1) : 0;
        return result;
    case KP_OVER_CUME_DIST:
        result.f64 = (double)(before + peers) / (double)rows->count;
        return result;
    case KP_OVER_LAG:
    case KP_OVER_LEAD: {
        int64_t offset = 1;
        if (call->arg_count > 1) {
            const struct kp_datum *given = &rows->rows[row][call->args[1]];
            if (given->null)
                return null;
            offset = given->i32;
        }
        int64_t at = (int64_t)row + (call->kind == KP_OVER_LAG ? -offset : offset);
        if (at >= 0 && at < rows->count)
            return rows->rows[at][call->args[0]];
        return call->arg_count > 2 ? rows->rows[row][call->args[2]] : null;
    }
    case KP_OVER_FIRST_VALUE:
        return n ? rows->rows[frame[0]][call->args[0]] : null;
    case KP_OVER_LAST_VALUE:
        return n ? rows->rows[frame[n - 1]][call->args[0]] : null;
    case KP_OVER_NTH_VALUE: {
        const struct kp_datum *nth = &rows->rows[row][call->args[1]];
        return !nth->null && nth->i32 >= 1 && nth->i32 <= (int32_t)n ? rows->rows[frame[nth->i32 - 1]][call->args[0]]
                                                                     : null;
    }
    default:
        break;
    }
    int64_t count = 0, sum = 0;
    result.null = true;
    bool is_max = strcmp(call->agg->name, "max") == 0, is_min = strcmp(call->agg->name, "min") == 0;
    for (uint32_t i = 0; i < n; i++) {
        const struct kp_datum *cells = rows->rows[frame[i]], *value = &cells[call->args[0]];
        if (value->null || (call->filtered && (cells[call->filter].null || !cells[call->filter].b)))
            continue;
        count++;
        sum += value->i32;
        if (!is_max && !is_min)
            continue;
        int order = result.null ? 0 : kp_value_compare(value->type.id, value->raw, result.raw);
        if (result.null || (is_max ? order > 0 : order < 0))
            result = *value;
    }
    if (is_max || is_min)
        return result;
    bool counts = strcmp(call->agg->name, "count") == 0;
    result.null = !counts && count == 0;
    result.i64 = counts ? count : sum;
    return result;
}

static inline struct nrows naive_over(struct naive *naive, const struct kp_plan *plan)
{
    struct nrows input = naive_run(naive, plan->inputs[0]), out = {0};
    uint32_t cols = plan->inputs[0]->col_count;
    bool *done = kp_arena_calloc(naive->arena, input.count + 1);
    for (uint32_t i = 0; i < input.count; i++) {
        if (done[i])
            continue;
        int64_t total = 0;
        for (uint32_t k = 0; k < input.count; k++)
            total += input.rows[k].weight;
        struct naive_rows rows = {naive, plan, kp_arena_calloc(naive->arena, ((size_t)total + 1) * sizeof(void *)), 0};
        for (uint32_t k = i; k < input.count; k++) {
            bool same = !done[k];
            for (uint32_t p = 0; same && p < plan->over.partition_count; p++)
                same = same_datum(&input.rows[i].cells[plan->over.partitions[p]],
                                  &input.rows[k].cells[plan->over.partitions[p]]);
            for (int64_t copy = 0; same && copy < input.rows[k].weight; copy++) {
                uint32_t at = rows.count++;
                for (; at > 0 && naive_over_compare(plan, input.rows[k].cells, rows.rows[at - 1], false) < 0; at--)
                    rows.rows[at] = rows.rows[at - 1];
                rows.rows[at] = input.rows[k].cells;
            }
            done[k] |= same;
        }
        for (uint32_t row = 0; row < rows.count; row++) {
            struct kp_datum *cells = kp_arena_calloc(naive->arena, (plan->col_count + 1) * sizeof *cells);
            memcpy(cells, rows.rows[row], cols * sizeof *cells);
            for (uint32_t c = 0; c < plan->over.call_count; c++)
                cells[cols + c] = naive_over_value(&rows, &plan->over.calls[c], row);
            nrows_add(&out, cells, 1);
        }
    }
    kp_free(input.rows);
    return out;
}

/* How far the session of row `of` reaches: one row after the other is taken into it. */
static inline void naive_session(const struct kp_plan *plan, const struct nrows *rows, uint32_t of, int64_t *ret_first,
                                 int64_t *ret_last)
{
    uint32_t column = plan->window.time_column;
    *ret_first = *ret_last = rows->rows[of].cells[column].i64;
    for (bool grew = true; grew;) {
        grew = false;
        for (uint32_t i = 0; i < rows->count; i++) {
            const struct kp_datum *cells = rows->rows[i].cells;
            bool same = !cells[column].null;
            for (uint32_t k = 0; same && k < plan->window.key_count; k++)
                same = same_datum(&cells[plan->window.keys[k]], &rows->rows[of].cells[plan->window.keys[k]]);
            int64_t time = cells[column].i64, gap = plan->window.size.us;
            if (!same || time <= *ret_first - gap || time >= *ret_last + gap)
                continue;
            grew |= time < *ret_first || time > *ret_last;
            *ret_first = KP_MIN(*ret_first, time);
            *ret_last = KP_MAX(*ret_last, time);
        }
    }
}

static inline struct nrows naive_sessions(struct naive *naive, const struct kp_plan *plan)
{
    struct nrows input = naive_run(naive, plan->inputs[0]), out = {0};
    uint32_t cols = plan->col_count;
    for (uint32_t i = 0; i < input.count; i++) {
        int64_t first, last;
        if (input.rows[i].cells[plan->window.time_column].null)
            continue;
        naive_session(plan, &input, i, &first, &last);
        struct kp_datum *cells = kp_arena_calloc(naive->arena, (cols + 1) * sizeof *cells);
        memcpy(cells, input.rows[i].cells, (cols - 2) * sizeof *cells);
        cells[cols - 2] = (struct kp_datum){.type = KP_TYPE(KP_TIMESTAMP), .i64 = first};
        cells[cols - 1] = (struct kp_datum){.type = KP_TYPE(KP_TIMESTAMP), .i64 = last + plan->window.size.us};
        nrows_add(&out, cells, input.rows[i].weight);
    }
    kp_free(input.rows);
    return out;
}

static inline struct nrows naive_window(struct naive *naive, const struct kp_plan *plan)
{
    if (plan->window.kind == KP_WINDOW_SESSION)
        return naive_sessions(naive, plan);
    struct nrows input = naive_run(naive, plan->inputs[0]), out = {0};
    uint32_t cols = plan->col_count;
    int64_t size = plan->window.size.us, slide = plan->window.slide.us,
            origin = plan->window.offset.us - 946684800000000;
    bool cumulate = plan->window.kind == KP_WINDOW_CUMULATE;
    for (uint32_t i = 0; i < input.count; i++) {
        const struct kp_datum *time = &input.rows[i].cells[plan->window.time_column];
        /* Times of the test lie within a minute of 2000-01-01: every window near it is tried. */
        int64_t unit = cumulate ? size : slide;
        for (int64_t start = origin + (-origin / unit) * unit - 200 * unit;
             !time->null && start < 100000000 + 200 * unit; start += unit)
            for (int64_t end = start + (cumulate ? slide : size); end <= start + size; end += cumulate ? slide : size) {
                if (time->i64 < start || time->i64 >= end)
                    continue;
                struct kp_datum *cells = kp_arena_calloc(naive->arena, (cols + 1) * sizeof *cells);
                memcpy(cells, input.rows[i].cells, (cols - 2) * sizeof *cells);
                cells[cols - 2] = (struct kp_datum){.type = KP_TYPE(KP_TIMESTAMP), .i64 = start};
                cells[cols - 1] = (struct kp_datum){.type = KP_TYPE(KP_TIMESTAMP), .i64 = end};
                nrows_add(&out, cells, input.rows[i].weight);
            }
    }
    kp_free(input.rows);
    return out;
}

/* The right row that a left one goes with: of those on the asked side the nearest, of these the least. */
static inline const struct kp_datum *naive_asof_match(const struct kp_plan *plan, const struct kp_datum *left,
                                                      const struct nrows *right)
{
    const struct kp_datum *best = NULL, *time = &left[plan->asof.times[0]];
    for (uint32_t i = 0; i < right->count; i++) {
        const struct kp_datum *cells = right->rows[i].cells, *other = &cells[plan->asof.times[1]];
        bool fits = !time->null && !other->null;
        for (uint32_t k = 0; fits && k < plan->asof.key_count; k++) {
            const struct kp_datum *key = &left[plan->asof.keys[0][k]];
            fits = !key->null && same_datum(key, &cells[plan->asof.keys[1][k]]);
        }
        if (!fits || (plan->asof.forward ? time->i64 > other->i64 : time->i64 < other->i64) ||
            (plan->asof.strict && time->i64 == other->i64))
            continue;
        int64_t nearer = best ? other->i64 - best[plan->asof.times[1]].i64 : 0;
        int order = 0;
        struct kp_buf a = {0}, b = {0};
        for (uint32_t c = 0; best && nearer == 0 && c < plan->inputs[1]->col_count; c++) {
            kp_sort_key_append(&a, cells[c].type.id, cells[c].raw, cells[c].null, false, false);
            kp_sort_key_append(&b, best[c].type.id, best[c].raw, best[c].null, false, false);
        }
        if (best && nearer == 0) {
            order = memcmp(a.data, b.data, KP_MIN(a.len, b.len));
            order = order ? order : (a.len > b.len) - (a.len < b.len);
        }
        kp_buf_finish(&a);
        kp_buf_finish(&b);
        if (!best || (plan->asof.forward ? nearer < 0 : nearer > 0) || (nearer == 0 && order < 0))
            best = cells;
    }
    return best;
}

static inline struct nrows naive_asof(struct naive *naive, const struct kp_plan *plan)
{
    struct nrows left = naive_run(naive, plan->inputs[0]), right = naive_run(naive, plan->inputs[1]), out = {0};
    uint32_t left_cols = plan->inputs[0]->col_count;
    for (uint32_t i = 0; i < left.count; i++) {
        const struct kp_datum *match = naive_asof_match(plan, left.rows[i].cells, &right);
        struct kp_datum *cells = kp_arena_calloc(naive->arena, (plan->col_count + 1) * sizeof *cells);
        memcpy(cells, left.rows[i].cells, left_cols * sizeof *cells);
        for (uint32_t c = left_cols; c < plan->col_count; c++)
            cells[c] = match ? match[c - left_cols] : (struct kp_datum){.type = plan->cols[c].type, .null = true};
        if (match || plan->asof.outer)
            nrows_add(&out, cells, left.rows[i].weight);
    }
    kp_free(left.rows);
    kp_free(right.rows);
    return out;
}

static inline struct nrows naive_run(struct naive *naive, const struct kp_plan *plan)
{
    if (plan->kind == KP_PLAN_ASOF)
        return naive_asof(naive, plan);
    if (plan->kind == KP_PLAN_SCAN)
        return naive_scan(naive, plan);
    if (plan->kind == KP_PLAN_AGGREGATE)
        return naive_aggregate(naive, plan);
    if (plan->kind == KP_PLAN_JOIN)
        return naive_join(naive, plan);
    if (plan->kind == KP_PLAN_TOPN)
        return naive_topn(naive, plan);
    if (plan->kind == KP_PLAN_OVER)
        return naive_over(naive, plan);
    if (plan->kind == KP_PLAN_WINDOW)
        return naive_window(naive, plan);
    if (plan->kind == KP_PLAN_UNION) {
        struct nrows a = naive_run(naive, plan->inputs[0]), b = naive_run(naive, plan->inputs[1]);
        for (uint32_t i = 0; i < b.count; i++)
            nrows_add(&a, b.rows[i].cells, b.rows[i].weight);
        kp_free(b.rows);
        return a;
    }
    struct nrows input = naive_run(naive, plan->inputs[0]), out = {0};
    uint32_t in_cols = plan->inputs[0]->col_count;
    for (uint32_t i = 0; i < input.count; i++) {
        struct nrow *row = &input.rows[i];
        if (plan->kind == KP_PLAN_REPEAT) {
            const struct kp_datum *times = &row->cells[plan->repeat.column];
            if (!times->null && times->i64 > 0)
                nrows_add(&out, row->cells, row->weight * times->i64);
            continue;
        }
        if (plan->kind == KP_PLAN_FILTER) {
            if (naive_true(naive, plan->filter.predicate, row->cells, in_cols))
                nrows_add(&out, row->cells, row->weight);
            continue;
        }
        struct kp_datum *cells = kp_arena_calloc(naive->arena, (plan->col_count + 1) * sizeof *cells);
        for (uint32_t c = 0; c < plan->col_count; c++)
            cells[c] = naive_eval(naive, plan->project.exprs[c], row->cells, in_cols);
        nrows_add(&out, cells, row->weight);
    }
    kp_free(input.rows);
    return out;
}

static inline void oracle_run(const struct kp_plan *plan, struct kp_relation **relations, const struct table *tables,
                              uint32_t table_count, struct multiset *ret_set)
{
    struct kp_arena arena = {0};
    struct naive naive = {&arena, relations, tables, table_count};
    struct nrows rows = naive_run(&naive, plan);
    for (uint32_t i = 0; i < rows.count; i++) {
        struct kp_buf buf = {0};
        for (uint32_t c = 0; c < plan->col_count; c++) {
            const struct kp_datum *cell = &rows.rows[i].cells[c];
            if (cell->null)
                kp_buf_append_text(&buf, "NULL");
            else
                kp_value_print(plan->cols[c].type, cell->raw, NULL, &buf);
            kp_buf_append_byte(&buf, '|');
        }
        kp_buf_append_byte(&buf, 0);
        multiset_add(ret_set, (const char *)buf.data, rows.rows[i].weight);
        kp_buf_finish(&buf);
    }
    kp_free(rows.rows);
    kp_arena_finish(&arena);
}

#endif
