/*
 * The values of window functions over one partition.
 *
 *   rows      0 1 2 3 4 5 6      in order, copies one by one
 *   peers     |0 0|1|2 2 2|3|    runs of rows with equal ORDER BY
 *   frame     [first, end) of each row; neither goes back from a row to the next
 *
 * So an aggregate's state takes each row in once and, where the frame's first row moves, out once. An aggregate that
 * cannot take away is computed anew for each such frame. What EXCLUDE leaves out is taken out for the row and put back.
 */
#include "flow/eval.h"
#include "flow/over.h"

#include "flow/row.h"

/* ---- building ---- */

static bool frame_slides(const struct kp_plan_frame *frame)
{
    return frame->start != KP_BOUND_FIRST || frame->exclude;
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
        for (uint32_t k = 0; k < 2; k++)
            call->plan.frame.ranges[k] = kp_expr_own(call->plan.frame.ranges[k], arena);
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

/* ---- aggregates ---- */

struct running {
    const struct kp_over_call *call;
    const struct kp_over_rows *rows;
    struct kp_budget owned;
    void *state;
    uint32_t first, end;                /* the rows it holds */
    const struct kp_row_error *failure; /* of an update; stays until the state is emptied */
};

/* An aggregate that sees an order sees that of the window: its one key is the row's place in the partition. */
static bool sees_order(const struct kp_plan_over_call *plan)
{
    return plan->agg->flags & KP_AGG_ORDERED;
}

static struct kp_agg_call agg_call(struct running *running, uint32_t rows)
{
    static const struct kp_agg_order ascending;
    const struct kp_plan_over_call *plan = &running->call->plan;
    struct kp_agg_call call = {.budget = &running->owned, .arg_count = plan->arg_count};
    memcpy(call.arg_types, running->call->arg_types, sizeof running->call->arg_types);
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

/* Takes rows [from, to) in, or with weight -1 out; false: an update has failed, which the arena keeps. */
static bool update_rows(struct running *running, uint32_t from, uint32_t to, int64_t weight)
{
    const struct kp_plan_over_call *plan = &running->call->plan;
    const struct kp_over_rows *rows = running->rows;
    struct kp_arena *arena = rows->arena;
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
        return true;
    struct kp_vec vecs[KP_AGG_ARGS_MAX];
    const struct kp_vec *args[KP_AGG_ARGS_MAX];
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
    return call.call.error_count == 0;
}

/*
 * The same, and the arena is as it was: states own their memory elsewhere, and what the updates of all rows take would
 * be rows times frame.
 */
static void add_rows(struct running *running, uint32_t from, uint32_t to, int64_t weight)
{
    struct kp_arena *arena = running->rows->arena;
    struct kp_arena_mark before = kp_arena_mark(arena);
    if (from < to && update_rows(running, from, to, weight) && !kp_arena_vain(arena))
        kp_arena_rewind(arena, &before);
}

static bool takes_away(const struct running *running)
{
    return running->call->impl == running->call->plan.agg->retractable;
}

static void move_to(struct running *running, uint32_t first, uint32_t end)
{
    if (first >= running->end || (first > running->first && !takes_away(running))) {
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

/* EXCLUDE: the state over the row's pieces of the frame, which it holds. */
static void without_excluded(struct running *running, uint32_t row, bool back)
{
    struct kp_over_piece pieces[3];
    uint32_t at = running->first,
             count = kp_over_pieces(running->rows, &running->call->plan.frame, row, at, running->end, pieces);
    for (uint32_t i = 0; i < count; i++) {
        add_rows(running, at, pieces[i].first, back ? 1 : -1);
        at = pieces[i].end;
    }
    add_rows(running, at, running->end, back ? 1 : -1);
}

static void only_pieces(struct running *running, uint32_t row, uint32_t first, uint32_t end)
{
    struct kp_over_piece pieces[3];
    uint32_t count = kp_over_pieces(running->rows, &running->call->plan.frame, row, first, end, pieces);
    empty(running);
    for (uint32_t i = 0; i < count; i++)
        add_rows(running, pieces[i].first, pieces[i].end, 1);
}

static const struct kp_row_error *finalize(struct running *running, struct kp_vec *value)
{
    struct kp_agg_call final = agg_call(running, 1);
    kp_vec_init(value, running->rows->arena, running->call->plan.type, 1);
    running->call->impl->finalize(&final, &running->state, 1, value);
    return running->failure ? running->failure : final.call.error_count ? &final.call.errors[0] : NULL;
}

static void aggregate(const struct kp_over_call *call, const struct kp_over_rows *rows, struct kp_over_answer *answer,
                      struct kp_vec *out)
{
    struct kp_arena *arena = rows->arena;
    struct running running = {.call = call, .rows = rows};
    struct kp_over_frames frames;
    kp_over_frames(rows, &call->plan.frame, &frames);
    kp_budget_init(&running.owned, "over", 0, NULL);
    running.state = kp_arena_calloc(arena, call->impl->state_bytes + 8u);
    struct kp_vec value;
    bool excludes = call->plan.frame.exclude;
    const struct kp_row_error *error = NULL;
    for (uint32_t i = 0; i < rows->count && !kp_arena_vain(arena); i++) {
        uint32_t first = frames.first[i], end = frames.end[i];
        if (excludes && !takes_away(&running)) {
            only_pieces(&running, i, first, end);
            error = finalize(&running, &value);
        } else if (excludes || i == 0 || first != running.first || end != running.end) {
            move_to(&running, first, end);
            if (excludes)
                without_excluded(&running, i, false);
            error = finalize(&running, &value);
            if (excludes)
                without_excluded(&running, i, true);
        }
        kp_vec_scatter(out, rows->count, &value, &i, 1, arena);
        const struct kp_row_error *failure = frames.errors && frames.errors[i] ? frames.errors[i] : error;
        if (failure)
            note_error(answer, i, failure, arena);
    }
    empty(&running);
}

/* ---- the others ---- */

static bool offset_of(const struct kp_over_rows *rows, uint32_t column, uint32_t row, int64_t *ret_offset)
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
static void take_values(const struct kp_over_rows *rows, const struct kp_vec *vec, uint32_t *from, struct kp_vec *out)
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
static void shift(const struct kp_plan_over_call *plan, const struct kp_over_rows *rows, struct kp_vec *out)
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

/* The n-th row of the pieces, from 0; UINT32_MAX: they have fewer. */
static uint32_t nth_of(const struct kp_over_piece *pieces, uint32_t count, uint64_t n)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t rows = pieces[i].end - pieces[i].first;
        if (n < rows)
            return pieces[i].first + (uint32_t)n;
        n -= rows;
    }
    return UINT32_MAX;
}

static const struct kp_row_error *not_positive(const char *sqlstate, const char *what, struct kp_arena *arena)
{
    struct kp_row_error *error = kp_arena_calloc(arena, sizeof *error);
    memcpy(error->sqlstate, sqlstate, sizeof error->sqlstate);
    error->message = kp_arena_printf(arena, "argument of %s must be greater than zero", what);
    return error;
}

/* first_value, last_value, nth_value: a row of the frame. */
static void pick(const struct kp_plan_over_call *plan, const struct kp_over_rows *rows, struct kp_over_answer *answer,
                 struct kp_vec *out)
{
    uint32_t *from = kp_arena_alloc(rows->arena, (rows->count + 1) * sizeof *from);
    struct kp_over_frames frames;
    kp_over_frames(rows, &plan->frame, &frames);
    for (uint32_t i = 0; i < rows->count; i++) {
        struct kp_over_piece pieces[3];
        uint32_t count = kp_over_pieces(rows, &plan->frame, i, frames.first[i], frames.end[i], pieces);
        uint64_t total = 0;
        int64_t nth = 1;
        bool there = true;
        for (uint32_t p = 0; p < count; p++)
            total += pieces[p].end - pieces[p].first;
        if (plan->kind == KP_OVER_LAST_VALUE)
            nth = (int64_t)total;
        else if (plan->kind == KP_OVER_NTH_VALUE)
            there = offset_of(rows, plan->args[1], i, &nth);
        from[i] = there && nth >= 1 ? nth_of(pieces, count, (uint64_t)nth - 1) : UINT32_MAX;
        if (frames.errors && frames.errors[i])
            note_error(answer, i, frames.errors[i], rows->arena);
        else if (there && nth < 1 && plan->kind == KP_OVER_NTH_VALUE)
            note_error(answer, i, not_positive("22016", "nth_value", rows->arena), rows->arena);
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

/* ntile: how many is said by the first row that says it; those before it are NULL, and tiles begin with it. */
static uint32_t count_tiles(const struct kp_over_rows *rows, uint32_t column, struct kp_over_answer *answer,
                            struct kp_vec *out, int64_t *ret_tiles)
{
    uint32_t start = 0;
    int64_t tiles = 1;
    while (start < rows->count && !offset_of(rows, column, start, &tiles))
        start++;
    if (start)
        kp_vec_need_valid(out, rows->arena, rows->count);
    for (uint32_t i = 0; i < start; i++)
        kp_vec_set_null(out, i);
    for (uint32_t i = start; tiles < 1 && i < rows->count; i++)
        note_error(answer, i, not_positive("22014", "ntile", rows->arena), rows->arena);
    *ret_tiles = KP_MAX(tiles, 1);
    return start;
}

static void rank(const struct kp_plan_over_call *plan, const struct kp_over_rows *rows, struct kp_over_answer *answer,
                 struct kp_vec *out)
{
    int64_t tiles = 1;
    uint32_t start = 0;
    kp_vec_init(out, rows->arena, plan->type, rows->count);
    if (plan->kind == KP_OVER_NTILE)
        start = count_tiles(rows, plan->args[0], answer, out, &tiles);
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
            ((int32_t *)out->data)[i] = tile(i < start ? 0 : i - start, rows->count, tiles);
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
    struct kp_over_rows rows = {
        .vecs = vecs, .count = answer->count, .key = over->keys, .settings = settings, .arena = arena};
    kp_over_find_peers(over, &rows);
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
            pick(&call->plan, &rows, answer, &answer->values[c]);
            break;
        case KP_OVER_AGGREGATE:
            kp_vec_init(&answer->values[c], arena, call->plan.type, rows.count);
            aggregate(call, &rows, answer, &answer->values[c]);
            break;
        default:
            rank(&call->plan, &rows, answer, &answer->values[c]);
            break;
        }
    }
}
