/*
 * Windows: each row once per window that holds its time, with the window's start and end.
 *
 *   tumble, hop:  |----size----|            starts at offset + k × slide, counted from 1970-01-01
 *                    |----size----|         a row belongs to all that hold its time
 *   cumulate:     |step|                    windows of one size begin together and end a step apart
 *                 |--------|
 *                 |------------| size
 *
 *   session:      |gap|                     here the window that the row would have alone; op_session.c joins them
 *
 * Rows whose time is NULL or infinite belong to no window; they pass a lateness window as what is never late, but for
 * -infinity, which is as soon as there is a watermark. Below an EMIT ON WINDOW CLOSE this is the place, the only
 * one, where late pairs are dropped: those whose window ends at or before the watermark at the row's own position.
 * A lateness window only leaves out: its rows are those whose time is not before the watermark less the lateness.
 * Where a session ends is not known from the row, and any row behind the watermark could join one that is closed: there
 * every row is late whose time is before the watermark, so that a closed session never changes.
 */
#include <stdio.h>

#include "flow/graph.h"

enum {
    WINDOWS_MAX = 10000, /* windows that hold a row: each is a row of its own */
    SLIDE_ROWS_MIN = 256
};
static const int64_t DAY_US = 86400000000;
static const int64_t TIME_LIMIT_US = INT64_MAX - 200000 * (int64_t)86400000000 * 365; /* windows end before time does */
static const int64_t EPOCH_1970_US = -946684800000000;

struct op_window {
    struct kp_node node;
    enum kp_window_kind kind;
    uint32_t time_column;
    int64_t size_us, slide_us, offset_us;
    bool drop_late, late_only;
    _Atomic uint64_t late;
};

/* Pairs of a row and a window, being made. */
struct window_pairs {
    uint32_t *index;
    int64_t *starts, *ends;
    uint32_t count, cap;
};

static void pair_add(struct window_pairs *pairs, uint32_t row, int64_t start, int64_t end, struct kp_arena *arena)
{
    if (pairs->count == pairs->cap) {
        uint32_t cap = pairs->cap * 2;
        struct window_pairs grown = {kp_arena_alloc(arena, cap * sizeof *pairs->index),
                                     kp_arena_alloc(arena, cap * sizeof *pairs->starts),
                                     kp_arena_alloc(arena, cap * sizeof *pairs->ends), pairs->count, cap};
        memcpy(grown.index, pairs->index, pairs->count * sizeof *pairs->index);
        memcpy(grown.starts, pairs->starts, pairs->count * sizeof *pairs->starts);
        memcpy(grown.ends, pairs->ends, pairs->count * sizeof *pairs->ends);
        *pairs = grown;
    }
    pairs->index[pairs->count] = row;
    pairs->starts[pairs->count] = start;
    pairs->ends[pairs->count++] = end;
}

static inline int64_t floor_to(int64_t time_us, int64_t origin_us, int64_t unit_us)
{
    int64_t since = (time_us - origin_us) % unit_us;
    return time_us - (since < 0 ? since + unit_us : since);
}

/* The one place where a late pair is left out. */
static inline void take_pair(const struct op_window *op, struct window_pairs *pairs, uint32_t row, int64_t start,
                             int64_t end, bool is_late, uint64_t *late, struct kp_arena *arena)
{
    if (is_late == op->late_only)
        pair_add(pairs, row, start, end, arena);
    *late += is_late && !op->late_only;
}

static void add_windows(const struct op_window *op, struct window_pairs *pairs, uint32_t row, int64_t time_us,
                        int64_t watermark, uint64_t *late, struct kp_arena *arena)
{
    if (op->kind == KP_WINDOW_LATENESS) {
        int64_t last_us; /* the watermark may come to it; beyond the end of time it never does */
        bool is_late = !__builtin_add_overflow(time_us, op->size_us, &last_us) && last_us < watermark;
        take_pair(op, pairs, row, time_us, time_us, is_late, late, arena);
        return;
    }
    if (op->kind == KP_WINDOW_SESSION) {
        take_pair(op, pairs, row, time_us, time_us + op->size_us, time_us < watermark, late, arena);
        return;
    }
    if (op->kind == KP_WINDOW_CUMULATE) {
        int64_t start = floor_to(time_us, op->offset_us, op->size_us);
        for (int64_t end = start + op->slide_us; end <= start + op->size_us; end += op->slide_us) {
            if (end > time_us)
                take_pair(op, pairs, row, start, end, end <= watermark, late, arena);
        }
        return;
    }
    for (int64_t start = floor_to(time_us, op->offset_us, op->slide_us); start + op->size_us > time_us;
         start -= op->slide_us) {
        take_pair(op, pairs, row, start, start + op->size_us, start + op->size_us <= watermark, late, arena);
    }
}

/* False: NULL. INT64_MIN and INT64_MAX: infinite. A date that is no timestamp is one short of that. */
static bool time_of(const struct kp_vec *vec, uint32_t row, int64_t *ret_time_us)
{
    if (kp_vec_is_null(vec, row))
        return false;
    uint32_t at = vec->constant ? 0 : row;
    if (vec->type.id != KP_DATE) {
        *ret_time_us = ((const int64_t *)vec->data)[at];
        return true;
    }
    int32_t days = ((const int32_t *)vec->data)[at];
    if (days == INT32_MIN || days == INT32_MAX)
        *ret_time_us = days < 0 ? INT64_MIN : INT64_MAX;
    else if (__builtin_mul_overflow((int64_t)days, DAY_US, ret_time_us))
        *ret_time_us = days < 0 ? INT64_MIN + 1 : INT64_MAX - 1;
    return true;
}

static bool is_infinite(int64_t time_us)
{
    return time_us == INT64_MIN || time_us == INT64_MAX;
}

static void put_times(struct kp_vec *vec, struct kp_type type, const int64_t *times, uint32_t n, struct kp_arena *arena)
{
    kp_vec_init(vec, arena, type, n);
    if (type.id != KP_DATE) {
        memcpy(vec->data, times, n * sizeof *times);
        return;
    }
    for (uint32_t i = 0; i < n; i++)
        ((int32_t *)vec->data)[i] = (int32_t)(floor_to(times[i], 0, DAY_US) / DAY_US);
}

/* Every row belongs to equally many windows: once per such window all rows, whose columns need no copy. */
static enum kp_code send_by_slide(struct op_window *op, struct kp_lane *lane, const struct kp_flow *in,
                                  const int64_t *starts, uint32_t rows, struct kp_error *err)
{
    struct kp_node *node = &op->node;
    struct kp_arena *arena = &lane->arena;
    for (int64_t back_us = 0; back_us < op->size_us; back_us += op->slide_us) {
        struct kp_batch *batch = kp_batch_create(arena, node->col_count, rows);
        memcpy(batch->vecs, in->batch->vecs, (node->col_count - 2) * sizeof *batch->vecs);
        batch->weights = in->batch->weights;
        int64_t *times = kp_arena_alloc(arena, rows * sizeof *times);
        for (uint32_t i = 0; i < rows; i++)
            times[i] = starts[i] - back_us;
        put_times(&batch->vecs[node->col_count - 2], node->types[node->col_count - 2], times, rows, arena);
        for (uint32_t i = 0; i < rows; i++)
            times[i] += op->size_us;
        put_times(&batch->vecs[node->col_count - 1], node->types[node->col_count - 1], times, rows, arena);
        struct kp_flow out = {.batch = batch, .positions = in->positions, .watermarks = in->watermarks};
        KP_TRY(kp_node_send(node, lane, &out, err));
    }
    return KP_OK;
}

/* The last window's start of each row, if all rows have a plain time; else NULL. */
static const int64_t *last_starts(const struct op_window *op, const struct kp_vec *times, uint32_t rows,
                                  struct kp_arena *arena)
{
    int64_t *starts = kp_arena_alloc(arena, rows * sizeof *starts), time_us, start = INT64_MIN / 2;
    for (uint32_t row = 0; row < rows; row++) {
        if (!time_of(times, row, &time_us) || time_us > TIME_LIMIT_US || time_us < -TIME_LIMIT_US)
            return NULL;
        if (time_us < start || time_us - start >= op->slide_us) /* times hardly move: a division less */
            start = floor_to(time_us, op->offset_us, op->slide_us);
        starts[row] = start;
    }
    return starts;
}

static enum kp_code window_push(struct kp_node *node, struct kp_lane *lane, uint32_t port, const struct kp_flow *in,
                                struct kp_error *err)
{
    struct op_window *op = (struct op_window *)node;
    struct kp_arena *arena = &lane->arena;
    const struct kp_vec *times = &in->batch->vecs[op->time_column];
    uint32_t rows = in->batch->rows;
    if (rows >= SLIDE_ROWS_MIN && op->kind == KP_WINDOW_HOP && op->size_us % op->slide_us == 0 && !op->late_only &&
        !(op->drop_late && in->watermarks)) {
        const int64_t *starts = last_starts(op, times, rows, arena);
        if (starts)
            return send_by_slide(op, lane, in, starts, rows, err);
    }
    uint32_t cap = rows * (uint32_t)KP_MAX(KP_MIN((op->size_us + op->slide_us - 1) / op->slide_us, 16), 1);
    struct window_pairs pairs = {kp_arena_alloc(arena, cap * sizeof *pairs.index),
                                 kp_arena_alloc(arena, cap * sizeof *pairs.starts),
                                 kp_arena_alloc(arena, cap * sizeof *pairs.ends), 0, cap};
    uint64_t late = 0;
    bool lateness = op->kind == KP_WINDOW_LATENESS;
    for (uint32_t row = 0; row < rows; row++) {
        int64_t time_us = INT64_MAX; /* of a row without a time: never late */
        bool has_time = time_of(times, row, &time_us);
        if (!lateness && (!has_time || is_infinite(time_us)))
            continue;
        /* Near the end of the calendar windows would overflow: a row's must lie in it. */
        if (!lateness && (time_us > TIME_LIMIT_US || time_us < -TIME_LIMIT_US)) {
            kp_node_error(node, lane, in->batch->weights ? in->batch->weights[row] : 1,
                          in->positions ? in->positions[row] : -1, "22008", "timestamp out of range");
            continue;
        }
        int64_t watermark = (op->drop_late || op->late_only) && in->watermarks ? in->watermarks[row] : INT64_MIN;
        add_windows(op, &pairs, row, time_us, watermark, &late, arena);
    }
    atomic_fetch_add_explicit(&op->late, late, memory_order_relaxed);
    if (pairs.count == 0)
        return KP_OK;
    struct kp_batch *batch = kp_batch_create(arena, node->col_count, pairs.count);
    bool once = op->kind == KP_WINDOW_TUMBLE || op->kind == KP_WINDOW_SESSION;
    bool same = pairs.count == rows && (once || lateness); /* columns need no copy */
    struct kp_flow some = same ? *in : kp_flow_gather_any(in, pairs.index, pairs.count, arena);
    uint32_t cols = node->col_count - (lateness ? 0 : 2);
    for (uint32_t c = 0; c < cols; c++)
        batch->vecs[c] = some.batch->vecs[c];
    if (!lateness) {
        put_times(&batch->vecs[cols], node->types[cols], pairs.starts, pairs.count, arena);
        put_times(&batch->vecs[cols + 1], node->types[cols + 1], pairs.ends, pairs.count, arena);
    }
    batch->weights = some.batch->weights;
    struct kp_flow out = {.batch = batch, .positions = some.positions, .watermarks = some.watermarks};
    return kp_node_send(node, lane, &out, err);
}

static bool window_same(const struct kp_node *a, const struct kp_node *b)
{
    const struct op_window *x = (const struct op_window *)a, *y = (const struct op_window *)b;
    return x->kind == y->kind && x->time_column == y->time_column && x->size_us == y->size_us &&
           x->slide_us == y->slide_us && x->offset_us == y->offset_us && x->drop_late == y->drop_late &&
           x->late_only == y->late_only;
}

const struct kp_node_ops kp_window_ops = {
    .kind = "window", .bytes = sizeof(struct op_window), .push = window_push, .same = window_same};

static enum kp_code to_us(struct kp_interval interval, const char *what, bool positive, int64_t *ret_us,
                          struct kp_error *err)
{
    if (interval.months)
        return kp_fail(err, KP_UNSUPPORTED, NULL, "a window's %s cannot contain months or years: their length varies",
                       what);
    int64_t us;
    if (__builtin_mul_overflow((int64_t)interval.days, DAY_US, &us) || __builtin_add_overflow(us, interval.us, &us) ||
        us > 100000 * DAY_US || us < -100000 * DAY_US)
        return kp_fail(err, KP_INVALID, "22008", "a window's %s is out of range", what);
    if (positive && us <= 0)
        return kp_fail(err, KP_INVALID, "22023", "a window's %s must be greater than zero", what);
    *ret_us = us;
    return KP_OK;
}

enum kp_code kp_op_window(struct kp_graph *graph, const struct kp_plan *plan, struct kp_node *input, bool drop_late,
                          struct kp_node **ret_node, struct kp_error *err)
{
    static const char *const kinds[] = {"tumble", "hop", "cumulate", "session", "lateness"};
    int64_t size_us, slide_us, offset_us;
    bool lateness = plan->window.kind == KP_WINDOW_LATENESS;
    KP_TRY(to_us(plan->window.size, "size", !lateness, &size_us, err));
    bool slides = plan->window.kind == KP_WINDOW_HOP || plan->window.kind == KP_WINDOW_CUMULATE;
    KP_TRY(to_us(!slides ? plan->window.size : plan->window.slide, "slide", !lateness, &slide_us, err));
    KP_TRY(to_us(plan->window.offset, "offset", false, &offset_us, err));
    slide_us = KP_MAX(slide_us, 1);
    if (slides && size_us / slide_us > WINDOWS_MAX)
        return kp_fail(err, KP_LIMIT, NULL, "a row would belong to more than %d windows", WINDOWS_MAX);
    if (plan->window.kind == KP_WINDOW_CUMULATE && size_us % slide_us)
        return kp_fail(err, KP_INVALID, "22023", "a cumulating window's size must be a multiple of its step");
    struct op_window *op =
        (struct op_window *)kp_node_create(graph, &kp_window_ops, plan->cols, plan->col_count, &input, 1);
    op->kind = plan->window.kind;
    op->time_column = plan->window.time_column;
    op->size_us = size_us;
    op->slide_us = slide_us;
    op->offset_us = EPOCH_1970_US + offset_us;
    op->late_only = plan->window.late_only;
    op->drop_late = (drop_late || (lateness && !graph->bounded)) && !op->late_only && plan->window.source_count;
    op->node.uses_watermarks = op->drop_late || op->late_only;
    op->node.uses_positions = true;
    snprintf(op->node.detail, sizeof op->node.detail, "%s", kinds[op->kind]);
    *ret_node = kp_node_share(&op->node);
    return KP_OK;
}

uint64_t kp_op_window_late(const struct kp_node *node)
{
    return atomic_load(&((const struct op_window *)node)->late);
}
