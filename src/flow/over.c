/*
 * The values of window functions over one partition.
 *
 *   rows      0 1 2 3 4 5 6      in order, copies one by one
 *   peers     |0 0|1|2 2 2|3|    runs of rows with equal ORDER BY
 *   frame     [first, end) of each row; neither goes back from a row to the next
 *
 * So an aggregate's state takes each row in once and, where the frame's first row moves, out once. An aggregate that
 * cannot take away is computed anew for each such frame.
 */
#include "flow/over.h"

#include "flow/row.h"

struct partition_rows {
    const struct kp_vec *vecs;
    uint32_t count;
    uint32_t *group;       /* of each row: which run of peers */
    uint32_t *group_first; /* of each run, and one more: the number of rows */
    uint32_t group_count;
    const struct kp_session_settings *settings;
    struct kp_arena *arena;
};

/* ---- building ---- */

static bool frame_slides(const struct kp_plan_frame *frame)
{
    return frame->start != KP_BOUND_FIRST;
}

enum kp_code kp_over_check(const struct kp_plan *plan, struct kp_error *err)
{
    for (uint32_t i = 0; i < plan->over.call_count; i++) {
        const struct kp_plan_over_call *call = &plan->over.calls[i];
        if (call->kind == KP_OVER_AGGREGATE && !call->agg->growing && !call->agg->retractable)
            return kp_fail(err, KP_UNSUPPORTED, NULL, "%s is not supported as a window function", call->agg->name);
    }
    return KP_OK;
}

void kp_over_define(struct kp_over *over, const struct kp_plan *plan, struct kp_arena *arena)
{
    over->order_count = plan->over.order_count;
    over->key_count = plan->over.key_count;
    over->keys = kp_arena_alloc(arena, (over->key_count + 1) * sizeof *over->keys);
    if (over->key_count)
        memcpy(over->keys, plan->over.keys, over->key_count * sizeof *over->keys);
    over->call_count = plan->over.call_count;
    over->calls = kp_arena_calloc(arena, (over->call_count + 1) * sizeof *over->calls);
    over->col_count = plan->inputs[0]->col_count;
    over->reads = kp_arena_calloc(arena, (over->col_count + 1) * sizeof *over->reads);
    for (uint32_t k = 0; k < over->order_count; k++)
        over->reads[over->keys[k].column] = true;
    for (uint32_t i = 0; i < over->call_count; i++) {
        struct kp_over_call *call = &over->calls[i];
        call->plan = plan->over.calls[i];
        for (uint32_t k = 0; k < call->plan.arg_count; k++) {
            over->reads[call->plan.args[k]] = true;
            call->arg_types[k] = plan->inputs[0]->cols[call->plan.args[k]].type;
        }
        if (call->plan.filtered)
            over->reads[call->plan.filter] = true;
        if (call->plan.kind != KP_OVER_AGGREGATE)
            continue;
        const struct kp_agg *agg = call->plan.agg;
        call->slides = frame_slides(&call->plan.frame);
        call->impl = call->slides && agg->retractable ? agg->retractable
                     : agg->growing                   ? agg->growing
                                                      : agg->retractable;
    }
}

bool kp_over_same(const struct kp_over *a, const struct kp_over *b)
{
    if (a->order_count != b->order_count || a->key_count != b->key_count || a->call_count != b->call_count)
        return false;
    for (uint32_t k = 0; k < a->key_count; k++)
        if (a->keys[k].column != b->keys[k].column || a->keys[k].descending != b->keys[k].descending ||
            a->keys[k].nulls_first != b->keys[k].nulls_first)
            return false;
    for (uint32_t i = 0; i < a->call_count; i++)
        if (!kp_plan_over_call_equal(&a->calls[i].plan, &b->calls[i].plan))
            return false;
    return true;
}

/* ---- peers and frames ---- */

static void find_peers(const struct kp_over *over, struct partition_rows *rows)
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

static int64_t clamp(int64_t at, int64_t offset, int64_t most)
{
    int64_t sum;
    if (__builtin_add_overflow(at, offset, &sum))
        return offset > 0 ? most : 0;
    return KP_MAX(KP_MIN(sum, most), 0);
}

/* Where the frame of row i begins, or ends: `after` adds one row, or run of peers. */
static uint32_t bound(const struct partition_rows *rows, const struct kp_plan_frame *frame, uint32_t i,
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

static void frame_of(const struct partition_rows *rows, const struct kp_plan_frame *frame, uint32_t i,
                     uint32_t *ret_first, uint32_t *ret_end)
{
    *ret_first = bound(rows, frame, i, frame->start, frame->start_offset, 0);
    *ret_end = KP_MAX(bound(rows, frame, i, frame->end, frame->end_offset, 1), *ret_first);
}

/* ---- aggregates ---- */

struct running {
    const struct kp_over_call *call;
    const struct partition_rows *rows;
    struct kp_budget owned;
    void *state;
    uint32_t first, end;                /* the rows it holds */
    const struct kp_row_error *failure; /* of an update; stays until the state is emptied */
};

/* An aggregate that sees an order sees that of the window: its one key is the row's place in the partition. */
static bool sees_order(const struct kp_plan_over_call *plan)
{
    return plan->agg->flags & KP_AGG_ORDERED && plan->arg_count < KP_FUNCTION_ARGS_MAX;
}

static struct kp_agg_call agg_call(struct running *running, uint32_t rows)
{
    static const struct kp_agg_order ascending;
    const struct kp_plan_over_call *plan = &running->call->plan;
    struct kp_agg_call call = {.budget = &running->owned, .arg_count = plan->arg_count};
    memcpy(call.arg_types, running->call->arg_types, sizeof call.arg_types);
    if (sees_order(plan)) {
        call.arg_types[call.arg_count++] = KP_TYPE(KP_INT8);
        call.order_count = 1;
        call.orders = &ascending;
    }
    call.call = (struct kp_call){.arena = running->rows->arena,
                                 .settings = running->rows->settings,
                                 .rows = rows,
                                 .arg_count = call.arg_count,
                                 .type = plan->type};
    return call;
}

static void empty(struct running *running)
{
    if (running->call->impl->destroy) {
        struct kp_agg_call call = agg_call(running, 1);
        running->call->impl->destroy(&call, running->state);
    }
    memset(running->state, 0, running->call->impl->state_bytes);
    running->failure = NULL;
}

/* Takes rows [from, to) in, or with weight -1 out. */
static void add_rows(struct running *running, uint32_t from, uint32_t to, int64_t weight)
{
    const struct kp_plan_over_call *plan = &running->call->plan;
    const struct partition_rows *rows = running->rows;
    struct kp_arena *arena = rows->arena;
    if (from >= to)
        return;
    uint32_t n = 0, *index = kp_arena_alloc(arena, (to - from) * sizeof *index);
    for (uint32_t i = from; i < to; i++) {
        const struct kp_vec *filter = plan->filtered ? &rows->vecs[plan->filter] : NULL;
        bool take = !filter || (!kp_vec_is_null(filter, i) && ((const uint8_t *)filter->data)[i]);
        for (uint32_t k = 0; take && plan->agg->flags & KP_AGG_SKIP_NULLS && k < plan->arg_count; k++)
            take = !kp_vec_is_null(&rows->vecs[plan->args[k]], i);
        index[n] = i;
        n += take;
    }
    if (n == 0)
        return;
    struct kp_vec vecs[KP_FUNCTION_ARGS_MAX];
    const struct kp_vec *args[KP_FUNCTION_ARGS_MAX];
    for (uint32_t k = 0; k < plan->arg_count; k++) {
        kp_vec_gather(&rows->vecs[plan->args[k]], index, n, arena, &vecs[k]);
        args[k] = &vecs[k];
    }
    if (sees_order(plan)) {
        struct kp_vec *place = &vecs[plan->arg_count];
        kp_vec_init(place, arena, KP_TYPE(KP_INT8), n);
        for (uint32_t i = 0; i < n; i++)
            ((int64_t *)place->data)[i] = index[i];
        args[plan->arg_count] = place;
    }
    void **states = kp_arena_alloc(arena, n * sizeof *states);
    int64_t *weights = weight == 1 ? NULL : kp_arena_alloc(arena, n * sizeof *weights);
    for (uint32_t i = 0; i < n; i++) {
        states[i] = running->state;
        if (weights)
            weights[i] = weight;
    }
    struct kp_agg_call call = agg_call(running, n);
    running->call->impl->update(&call, states, args, weights, n);
    if (call.call.error_count && !running->failure)
        running->failure = &call.call.errors[0];
}

static void move_to(struct running *running, uint32_t first, uint32_t end)
{
    bool takes_away = running->call->impl == running->call->plan.agg->retractable;
    if (first >= running->end || (first > running->first && !takes_away)) {
        if (running->end > running->first)
            empty(running);
        running->first = running->end = first;
    }
    add_rows(running, running->end, end, 1);
    add_rows(running, running->first, first, -1);
    running->first = first;
    running->end = KP_MAX(end, running->end);
}

static void note_error(struct kp_over_answer *answer, uint32_t row, const struct kp_row_error *error,
                       struct kp_arena *arena)
{
    if (!answer->errors)
        answer->errors = kp_arena_calloc(arena, (answer->count + 1) * sizeof *answer->errors);
    if (!answer->errors[row])
        answer->errors[row] = error;
}

static void aggregate(const struct kp_over_call *call, const struct partition_rows *rows, struct kp_over_answer *answer,
                      struct kp_vec *out)
{
    struct kp_arena *arena = rows->arena;
    struct running running = {.call = call, .rows = rows};
    kp_budget_init(&running.owned, "over", 0, NULL);
    running.state = kp_arena_calloc(arena, call->impl->state_bytes + 8u);
    struct kp_vec value;
    const struct kp_row_error *error = NULL;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t first, end;
        frame_of(rows, &call->plan.frame, i, &first, &end);
        if (i == 0 || first != running.first || end != running.end) {
            move_to(&running, first, end);
            struct kp_agg_call final = agg_call(&running, 1);
            kp_vec_init(&value, arena, call->plan.type, 1);
            call->impl->finalize(&final, &running.state, 1, &value);
            error = running.failure ? running.failure : final.call.error_count ? &final.call.errors[0] : NULL;
        }
        kp_vec_scatter(out, rows->count, &value, &i, 1, arena);
        if (error)
            note_error(answer, i, error, arena);
    }
    empty(&running);
}

/* ---- the others ---- */

static bool offset_of(const struct partition_rows *rows, uint32_t column, uint32_t row, int64_t *ret_offset)
{
    const struct kp_vec *vec = &rows->vecs[column];
    if (kp_vec_is_null(vec, row))
        return false;
    if (vec->type.id == KP_INT4) {
        int32_t value;
        memcpy(&value, kp_vec_at(vec, row), sizeof value);
        *ret_offset = value;
    } else {
        memcpy(ret_offset, kp_vec_at(vec, row), sizeof *ret_offset);
    }
    return true;
}

/* Functions whose value is another row's argument: out[i] = from[i], NULL where from[i] is UINT32_MAX. */
static void take_values(const struct partition_rows *rows, const struct kp_vec *vec, uint32_t *from, struct kp_vec *out)
{
    bool *missing = kp_arena_calloc(rows->arena, rows->count + 1), any = false;
    for (uint32_t i = 0; i < rows->count; i++) {
        missing[i] = from[i] == UINT32_MAX;
        any |= missing[i];
        if (missing[i])
            from[i] = 0;
    }
    kp_vec_gather(vec, from, rows->count, rows->arena, out);
    if (!any)
        return;
    kp_vec_need_valid(out, rows->arena, rows->count);
    for (uint32_t i = 0; i < rows->count; i++)
        if (missing[i])
            kp_vec_set_null(out, i);
}

/* lag, lead: the row so many places away; beyond the partition the third argument. */
static void shift(const struct kp_plan_over_call *plan, const struct partition_rows *rows, struct kp_vec *out)
{
    uint32_t *from = kp_arena_alloc(rows->arena, (rows->count + 1) * sizeof *from), beyond_count = 0,
             *beyond = kp_arena_alloc(rows->arena, (rows->count + 1) * sizeof *beyond);
    for (uint32_t i = 0; i < rows->count; i++) {
        int64_t offset = 1, at;
        bool known = plan->arg_count < 2 || offset_of(rows, plan->args[1], i, &offset);
        from[i] = UINT32_MAX;
        if (!known)
            continue;
        bool lost = plan->kind == KP_OVER_LAG ? __builtin_sub_overflow((int64_t)i, offset, &at)
                                              : __builtin_add_overflow((int64_t)i, offset, &at);
        if (!lost && at >= 0 && at < rows->count)
            from[i] = (uint32_t)at;
        else
            beyond[beyond_count++] = i;
    }
    take_values(rows, &rows->vecs[plan->args[0]], from, out);
    if (plan->arg_count < 3 || beyond_count == 0)
        return;
    struct kp_vec defaults;
    kp_vec_gather(&rows->vecs[plan->args[2]], beyond, beyond_count, rows->arena, &defaults);
    kp_vec_scatter(out, rows->count, &defaults, beyond, beyond_count, rows->arena);
}

/* first_value, last_value, nth_value: a row of the frame. */
static void pick(const struct kp_plan_over_call *plan, const struct partition_rows *rows, struct kp_vec *out)
{
    uint32_t *from = kp_arena_alloc(rows->arena, (rows->count + 1) * sizeof *from);
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t first, end;
        int64_t nth = 1;
        frame_of(rows, &plan->frame, i, &first, &end);
        bool there = end > first;
        if (plan->kind == KP_OVER_LAST_VALUE)
            nth = (int64_t)end - first;
        else if (plan->kind == KP_OVER_NTH_VALUE)
            there = there && offset_of(rows, plan->args[1], i, &nth);
        from[i] = there && nth >= 1 && nth <= (int64_t)end - first ? first + (uint32_t)(nth - 1) : UINT32_MAX;
    }
    take_values(rows, &rows->vecs[plan->args[0]], from, out);
}

static int32_t tile(int64_t row, int64_t count, int64_t tiles)
{
    int64_t size = count / tiles, larger = count % tiles;
    if (row < larger * (size + 1))
        return (int32_t)(row / (size + 1) + 1);
    return (int32_t)((row - larger * (size + 1)) / size + larger + 1);
}

static void rank(const struct kp_plan_over_call *plan, const struct partition_rows *rows, struct kp_vec *out)
{
    int64_t tiles = 1;
    kp_vec_init(out, rows->arena, plan->type, rows->count);
    if (plan->kind == KP_OVER_NTILE && rows->count)
        (void)offset_of(rows, plan->args[0], 0, &tiles);
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t group = rows->group[i], first = rows->group_first[group], end = rows->group_first[group + 1];
        switch (plan->kind) {
        case KP_OVER_RANK:
            ((int64_t *)out->data)[i] = (int64_t)first + 1;
            break;
        case KP_OVER_DENSE_RANK:
            ((int64_t *)out->data)[i] = (int64_t)group + 1;
            break;
        case KP_OVER_PERCENT_RANK:
            ((double *)out->data)[i] = rows->count > 1 ? (double)first / (double)(rows->count - 1) : 0;
            break;
        case KP_OVER_CUME_DIST:
            ((double *)out->data)[i] = (double)end / (double)rows->count;
            break;
        case KP_OVER_NTILE:
            ((int32_t *)out->data)[i] = tile(i, rows->count, KP_MAX(tiles, 1));
            break;
        default:
            ((int64_t *)out->data)[i] = (int64_t)i + 1;
            break;
        }
    }
}

void kp_over_compute(const struct kp_over *over, const struct kp_session_settings *settings, const struct kp_vec *vecs,
                     struct kp_over_answer *answer, struct kp_arena *arena)
{
    struct partition_rows rows = {.vecs = vecs, .count = answer->count, .settings = settings, .arena = arena};
    find_peers(over, &rows);
    answer->values = kp_arena_calloc(arena, (over->call_count + 1) * sizeof *answer->values);
    for (uint32_t c = 0; c < over->call_count; c++) {
        const struct kp_over_call *call = &over->calls[c];
        switch (call->plan.kind) {
        case KP_OVER_LAG:
        case KP_OVER_LEAD:
            shift(&call->plan, &rows, &answer->values[c]);
            break;
        case KP_OVER_FIRST_VALUE:
        case KP_OVER_LAST_VALUE:
        case KP_OVER_NTH_VALUE:
            pick(&call->plan, &rows, &answer->values[c]);
            break;
        case KP_OVER_AGGREGATE:
            kp_vec_init(&answer->values[c], arena, call->plan.type, rows.count);
            aggregate(call, &rows, answer, &answer->values[c]);
            break;
        default:
            rank(&call->plan, &rows, &answer->values[c]);
            break;
        }
    }
}
