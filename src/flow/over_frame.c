/*
 * Frames of window functions: which rows of the partition a row's function sees.
 *
 *   ROWS, GROUPS   count rows, or runs of peers, from the row
 *   RANGE          peers; with offsets the rows whose key lies within an offset of the row's own, as PostgreSQL's
 *                  in_range functions say it: NULLs are near NULLs only, no sum of integers overflows, NaN is near NaN
 *
 * Keys are in order, so the ends of RANGE are found by two marks that go forward with the rows.
 */
#include <math.h>

#include "flow/over.h"
#include "vec/datetime.h"
#include "vec/numeric.h"

void kp_over_find_peers(const struct kp_over *over, struct kp_over_rows *rows)
{
    struct kp_buf keys[2] = {{0}, {0}};
    rows->group = kp_arena_alloc(rows->arena, (rows->count + 1) * sizeof *rows->group);
    rows->group_first = kp_arena_alloc(rows->arena, (rows->count + 2) * sizeof *rows->group_first);
    for (uint32_t i = 0; i < rows->count; i++) {
        struct kp_buf *key = &keys[i & 1], *before = &keys[1 - (i & 1)];
        key->len = 0;
        for (uint32_t k = 0; k < over->order_count; k++) {
            const struct kp_vec *vec = &rows->vecs[over->keys[k].column];
            kp_sort_key_append(key, vec->type.id, kp_vec_at(vec, i), kp_vec_is_null(vec, i), false, false);
        }
        if (i == 0 || key->len != before->len || (key->len && memcmp(key->data, before->data, key->len) != 0))
            rows->group_first[rows->group_count++] = i;
        rows->group[i] = rows->group_count - 1;
    }
    rows->group_first[rows->group_count] = rows->count;
    kp_buf_finish(&keys[0]);
    kp_buf_finish(&keys[1]);
}

/* ---- by count ---- */

static int64_t clamp(int64_t at, int64_t offset, int64_t most)
{
    int64_t sum;
    if (__builtin_add_overflow(at, offset, &sum))
        return offset > 0 ? most : 0;
    return KP_MAX(KP_MIN(sum, most), 0);
}

/* Where the frame of row i begins, or ends: `after` adds one row, or run of peers. */
static uint32_t bound(const struct kp_over_rows *rows, const struct kp_plan_frame *frame, uint32_t i,
                      enum kp_frame_bound which, int64_t offset, uint32_t after)
{
    if (which == KP_BOUND_FIRST)
        return 0;
    if (which == KP_BOUND_LAST)
        return rows->count;
    if (which == KP_BOUND_CURRENT)
        offset = 0;
    else if (which == KP_BOUND_PRECEDING)
        offset = -offset;
    if (frame->mode == KP_FRAME_ROWS)
        return (uint32_t)clamp((int64_t)i + after, offset, rows->count);
    return rows->group_first[clamp((int64_t)rows->group[i] + after, offset, rows->group_count)];
}

/* ---- by value ---- */

static enum kp_code in_int(int64_t value, int64_t base, int64_t offset, bool sub, int *ret_order)
{
    __int128 sum = sub ? (__int128)base - offset : (__int128)base + offset;
    *ret_order = (value > sum) - (value < sum);
    return KP_OK;
}

static int64_t int_at(enum kp_type_id type, const void *value)
{
    int16_t small;
    int32_t medium;
    int64_t large;
    if (type == KP_INT2) {
        memcpy(&small, value, sizeof small);
        return small;
    }
    if (type == KP_INT4 || type == KP_DATE) {
        memcpy(&medium, value, sizeof medium);
        return medium;
    }
    memcpy(&large, value, sizeof large);
    return large;
}

static double float_at(enum kp_type_id type, const void *value)
{
    float single;
    double wide;
    if (type == KP_FLOAT4) {
        memcpy(&single, value, sizeof single);
        return single;
    }
    memcpy(&wide, value, sizeof wide);
    return wide;
}

/* NaN is above all and equal to itself; two infinities that the offset would take apart are near. */
static enum kp_code in_float(double value, double base, double offset, bool sub, int *ret_order)
{
    if (isnan(value) || isnan(base)) {
        *ret_order = !isnan(base) - !isnan(value);
        return KP_OK;
    }
    double sum = sub ? base - offset : base + offset;
    *ret_order = isnan(sum) ? 0 : (value > sum) - (value < sum);
    return KP_OK;
}

static enum kp_code in_numeric(const struct kp_numeric *value, const struct kp_numeric *base,
                               const struct kp_numeric *offset, bool sub, struct kp_arena *arena, int *ret_order,
                               struct kp_error *err)
{
    struct kp_numeric sum;
    if (kp_numeric_is_nan(value) || kp_numeric_is_nan(base)) {
        *ret_order = !kp_numeric_is_nan(base) - !kp_numeric_is_nan(value);
        return KP_OK;
    }
    KP_TRY((sub ? kp_numeric_sub : kp_numeric_add)(base, offset, arena, &sum, err));
    *ret_order = kp_numeric_is_nan(&sum) ? 0 : kp_numeric_compare(value, &sum);
    return KP_OK;
}

static const int64_t DAY_US = INT64_C(86400000000);

static int64_t as_timestamp(enum kp_type_id type, const void *value)
{
    int64_t at = int_at(type, value);
    if (type != KP_DATE)
        return at;
    return at == KP_DATE_INFINITY       ? KP_TIMESTAMP_INFINITY
           : at == KP_DATE_NEG_INFINITY ? KP_TIMESTAMP_NEG_INFINITY
                                        : at * DAY_US;
}

static enum kp_code in_times(enum kp_type_id type, const void *value, const void *base,
                             const struct kp_interval *offset, bool sub, const struct kp_zone *zone, int *ret_order,
                             struct kp_error *err)
{
    int64_t sum, at = as_timestamp(type, value);
    struct kp_interval negated = *offset;
    if (sub)
        KP_TRY(kp_interval_negate(offset, &negated, err));
    KP_TRY(kp_timestamp_add(as_timestamp(type, base), &negated, type == KP_TIMESTAMPTZ ? zone : NULL, &sum, err));
    *ret_order = (at > sum) - (at < sum);
    return KP_OK;
}

static enum kp_code in_intervals(const struct kp_interval *value, const struct kp_interval *base,
                                 const struct kp_interval *offset, bool sub, int *ret_order, struct kp_error *err)
{
    struct kp_interval sum;
    KP_TRY((sub ? kp_interval_sub : kp_interval_add)(base, offset, &sum, err));
    *ret_order = kp_value_compare(KP_INTERVAL, value, &sum);
    return KP_OK;
}

/* By the instant, then by the zone; of the interval only the time counts. */
static enum kp_code in_timetz(const struct kp_timetz *value, const struct kp_timetz *base, int64_t offset_us, bool sub,
                              int *ret_order)
{
    static const int64_t second_us = 1000000;
    KP_TRY(
        in_int(value->us + value->west_s * second_us, base->us + base->west_s * second_us, offset_us, sub, ret_order));
    if (*ret_order == 0)
        *ret_order = (value->west_s > base->west_s) - (value->west_s < base->west_s);
    return KP_OK;
}

/* How a row's key lies to base - offset (sub) or base + offset: <0, 0, >0. */
static enum kp_code compare_range(const struct kp_over_rows *rows, uint32_t row, uint32_t base,
                                  const struct kp_datum *offset, bool sub, int *ret_order, struct kp_error *err)
{
    const struct kp_vec *keys = &rows->vecs[rows->key->column];
    enum kp_type_id type = keys->type.id;
    const void *value = kp_vec_at(keys, row), *from = kp_vec_at(keys, base);
    switch (type) {
    case KP_FLOAT4:
    case KP_FLOAT8:
        return in_float(float_at(type, value), float_at(type, from), offset->f64, sub, ret_order);
    case KP_NUMERIC:
        return in_numeric(value, from, &offset->numeric, sub, rows->arena, ret_order, err);
    case KP_DATE:
    case KP_TIMESTAMP:
    case KP_TIMESTAMPTZ:
        return in_times(type, value, from, &offset->interval, sub, rows->settings->zone, ret_order, err);
    case KP_TIME: /* of the interval only the time counts */
        return in_int(int_at(type, value), int_at(type, from), offset->interval.us, sub, ret_order);
    case KP_TIMETZ:
        return in_timetz(value, from, offset->interval.us, sub, ret_order);
    case KP_INTERVAL:
        return in_intervals(value, from, &offset->interval, sub, ret_order, err);
    default:
        return in_int(int_at(type, value), int_at(type, from), offset->i64, sub, ret_order);
    }
}

/* True if the mark has to pass the row: start: it lies before the frame; end: it still lies in it. */
static enum kp_code passes(const struct kp_over_rows *rows, const struct kp_plan_frame *frame, bool end, uint32_t mark,
                           uint32_t row, bool *ret_passes, struct kp_error *err)
{
    const struct kp_vec *keys = &rows->vecs[rows->key->column];
    bool mark_null = kp_vec_is_null(keys, mark), row_null = kp_vec_is_null(keys, row);
    if (mark_null || row_null) {
        bool before = mark_null != row_null && mark_null == rows->key->nulls_first;
        *ret_passes = before || (end && mark_null == row_null);
        return KP_OK;
    }
    int order;
    bool preceding = (end ? frame->end : frame->start) == KP_BOUND_PRECEDING;
    KP_TRY(compare_range(rows, mark, row, &frame->ranges[end]->datum, preceding != rows->key->descending, &order, err));
    if (rows->key->descending)
        order = -order;
    *ret_passes = end ? order <= 0 : order < 0;
    return KP_OK;
}

static void note_failure(const struct kp_over_rows *rows, struct kp_over_frames *frames, uint32_t row,
                         const struct kp_error *err)
{
    struct kp_row_error *error = kp_arena_calloc(rows->arena, sizeof *error);
    if (!frames->errors)
        frames->errors = kp_arena_calloc(rows->arena, (rows->count + 1) * sizeof *frames->errors);
    memcpy(error->sqlstate, err->sqlstate, sizeof error->sqlstate);
    error->message = kp_arena_strdup(rows->arena, err->message);
    frames->errors[row] = error;
}

static void range_ends(const struct kp_over_rows *rows, const struct kp_plan_frame *frame, bool end, uint32_t *marks,
                       struct kp_over_frames *frames)
{
    uint32_t mark = 0;
    for (uint32_t i = 0; i < rows->count; i++) {
        struct kp_error err;
        kp_error_clear(&err);
        bool on = true;
        while (on && mark < rows->count) {
            if (passes(rows, frame, end, mark, i, &on, &err) != KP_OK) {
                note_failure(rows, frames, i, &err);
                on = false;
            }
            mark += on;
        }
        marks[i] = mark;
    }
}

void kp_over_frames(const struct kp_over_rows *rows, const struct kp_plan_frame *frame,
                    struct kp_over_frames *ret_frames)
{
    struct kp_over_frames frames = {.first = kp_arena_alloc(rows->arena, (rows->count + 1) * sizeof(uint32_t)),
                                    .end = kp_arena_alloc(rows->arena, (rows->count + 1) * sizeof(uint32_t))};
    if (frame->ranges[0])
        range_ends(rows, frame, false, frames.first, &frames);
    if (frame->ranges[1])
        range_ends(rows, frame, true, frames.end, &frames);
    for (uint32_t i = 0; i < rows->count; i++) {
        if (!frame->ranges[0])
            frames.first[i] = bound(rows, frame, i, frame->start, frame->start_offset, 0);
        if (!frame->ranges[1])
            frames.end[i] = bound(rows, frame, i, frame->end, frame->end_offset, 1);
        frames.end[i] = KP_MAX(frames.end[i], frames.first[i]);
    }
    *ret_frames = frames;
}

/* ---- EXCLUDE ---- */

static void add_piece(uint32_t first, uint32_t end, struct kp_over_piece *pieces, uint32_t *count)
{
    if (first < end)
        pieces[(*count)++] = (struct kp_over_piece){first, end};
}

uint32_t kp_over_pieces(const struct kp_over_rows *rows, const struct kp_plan_frame *frame, uint32_t row,
                        uint32_t first, uint32_t end, struct kp_over_piece *ret_pieces)
{
    uint32_t count = 0, out_first = row, out_end = row + 1;
    if (frame->exclude == KP_EXCLUDE_NONE) {
        add_piece(first, end, ret_pieces, &count);
        return count;
    }
    if (frame->exclude != KP_EXCLUDE_CURRENT) {
        out_first = rows->group_first[rows->group[row]];
        out_end = rows->group_first[rows->group[row] + 1];
    }
    add_piece(first, KP_MIN(end, out_first), ret_pieces, &count);
    if (frame->exclude == KP_EXCLUDE_TIES && row >= first && row < end)
        add_piece(row, row + 1, ret_pieces, &count);
    add_piece(KP_MAX(first, out_end), end, ret_pieces, &count);
    return count;
}
