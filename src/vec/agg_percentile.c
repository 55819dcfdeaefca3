/*
 * percentile_cont, percentile_disc, mode: WITHIN GROUP (ORDER BY value). NULL values are left out; the fraction is
 * meant to be one for the group: the first that the state sees.
 *
 *   disc: the first value whose share of the rows up to it is at least the fraction
 *   cont: between the rows floor and ceil of fraction × (n - 1), in proportion
 */
#include <math.h>

#include "vec/agg_rows.h"
#include "vec/array.h"
#include "vec/datetime.h"

struct percentiles {
    struct agg_rows rows;
    uint64_t has_fraction; /* 1: there is one; 2: it is NULL */
    uint8_t fraction[16];  /* a double, or an array of them on the heap */
};

static void note_fraction(struct kp_agg_call *call, struct percentiles *state, const struct kp_vec *vec, uint32_t i)
{
    if (state->has_fraction)
        return;
    bool null = kp_vec_is_null(vec, i);
    state->has_fraction = null ? 2 : 1;
    if (!null)
        agg_account(call, (int64_t)kp_value_copy_heap(vec->type.id, kp_vec_at(vec, i), state->fraction));
}

/* Values and keys are the same argument: the one behind the direct ones. */
static void update(struct kp_agg_call *call, void *const *states, const struct kp_vec *const *args,
                   const int64_t *weights, uint32_t rows)
{
    uint32_t direct = call->arg_count - 1;
    struct kp_agg_call keyed = *call;
    const struct kp_vec *both[2] = {args[direct], args[direct]};
    keyed.arg_count = 2;
    for (uint32_t i = 0; i < rows; i++) {
        struct percentiles *state = states[i];
        if (direct)
            note_fraction(call, state, args[0], i);
        if (!kp_vec_is_null(args[direct], i))
            kp_agg_rows_add(&keyed, &state->rows, both, i, 1, 1, weights ? weights[i] : 1);
    }
}

static void destroy(struct kp_agg_call *call, void *of)
{
    struct percentiles *state = of;
    kp_agg_rows_finish(call, &state->rows);
    if (state->has_fraction == 1) {
        agg_account(call, -(int64_t)kp_value_heap_bytes(call->arg_types[0].id, state->fraction));
        kp_value_free_heap(call->arg_types[0].id, state->fraction);
    }
    memset(state, 0, sizeof *state);
}

static void merge(struct kp_agg_call *call, void *const *into, void *const *from, uint32_t rows)
{
    for (uint32_t i = 0; i < rows; i++) {
        struct percentiles *to = into[i], *source = from[i];
        kp_agg_rows_merge(call, &to->rows, &source->rows);
        if (!to->has_fraction) {
            to->has_fraction = source->has_fraction;
            memcpy(to->fraction, source->fraction, sizeof to->fraction);
            source->has_fraction = 0;
        }
        destroy(call, source);
    }
}

static int64_t row_count(const struct agg_rows *rows)
{
    struct agg_rows_cursor cursor = {0};
    int64_t count = 0;
    while (kp_agg_rows_next(rows, &cursor))
        count += cursor.weight;
    return count;
}

/* Row `place` from 0. */
static void row_at(struct kp_agg_call *call, const struct agg_rows *rows, int64_t place, enum kp_type_id type,
                   void *ret_value)
{
    struct agg_rows_cursor cursor = {0};
    while (kp_agg_rows_next(rows, &cursor)) {
        if (place < cursor.weight) {
            kp_agg_rows_value(&cursor, type, call->call.arena, ret_value);
            return;
        }
        place -= cursor.weight;
    }
}

static enum kp_code between(struct kp_agg_call *call, enum kp_type_id type, const void *low, const void *high,
                            double share, void *ret_value, struct kp_error *err)
{
    (void)call;
    if (type == KP_FLOAT8) {
        double a, b;
        memcpy(&a, low, sizeof a);
        memcpy(&b, high, sizeof b);
        a += share * (b - a);
        memcpy(ret_value, &a, sizeof a);
        return KP_OK;
    }
    struct kp_interval difference, part;
    KP_TRY(kp_interval_sub(high, low, &difference, err));
    KP_TRY(kp_interval_mul(&difference, share, &part, err));
    return kp_interval_add(low, &part, ret_value, err);
}

/* One percentile into ret_value; the group is not empty. */
static bool percentile(struct kp_agg_call *call, const struct agg_rows *rows, int64_t count, double fraction,
                       bool continuous, uint32_t row, void *ret_value)
{
    enum kp_type_id type = call->arg_types[1].id;
    struct kp_error err;
    if (!(fraction >= 0 && fraction <= 1)) {
        struct kp_buf text = {0};
        kp_value_print(KP_TYPE(KP_FLOAT8), &fraction, NULL, &text);
        kp_call_fail(&call->call, row, "22003", "percentile value %.*s is not between 0 and 1", (int)text.len,
                     (const char *)text.data);
        kp_buf_finish(&text);
        return false;
    }
    if (!continuous) {
        int64_t place = (int64_t)ceil(fraction * (double)count);
        row_at(call, rows, place > 0 ? place - 1 : 0, type, ret_value);
        return true;
    }
    double exact = fraction * (double)(count - 1);
    int64_t first = (int64_t)floor(exact), second = (int64_t)ceil(exact);
    uint64_t low[2], high[2];
    row_at(call, rows, first, type, low);
    if (first == second) {
        memcpy(ret_value, low, kp_type_info(type)->bytes);
        return true;
    }
    row_at(call, rows, second, type, high);
    if (between(call, type, low, high, exact - (double)first, ret_value, &err) == KP_OK)
        return true;
    kp_call_fail(&call->call, row, err.sqlstate, "%s", err.message);
    return false;
}

static void finalize_one(struct kp_agg_call *call, void *const *states, uint32_t rows, struct kp_vec *out,
                         bool continuous)
{
    size_t width = kp_vec_width(out);
    memset(out->data, 0, width * rows);
    for (uint32_t i = 0; i < rows; i++) {
        const struct percentiles *state = states[i];
        int64_t count = row_count(&state->rows);
        uint64_t value[2] = {0};
        double fraction;
        memcpy(&fraction, state->fraction, sizeof fraction);
        if (count == 0 || state->has_fraction != 1)
            agg_set_null(call, rows, out, i);
        else if (percentile(call, &state->rows, count, fraction, continuous, i, value))
            kp_value_copy_arena(out->type.id, value, call->call.arena, (char *)out->data + i * width);
    }
}

static void finalize_many(struct kp_agg_call *call, void *const *states, uint32_t rows, struct kp_vec *out,
                          bool continuous)
{
    struct kp_text *to = out->data;
    for (uint32_t i = 0; i < rows; i++) {
        const struct percentiles *state = states[i];
        int64_t count = row_count(&state->rows);
        to[i] = kp_text_make("", 0);
        if (count == 0 || state->has_fraction != 1) {
            agg_set_null(call, rows, out, i);
            continue;
        }
        struct kp_array_builder builder = {.element = call->arg_types[1].id};
        struct kp_array fractions;
        struct kp_text text;
        memcpy(&text, state->fraction, sizeof text);
        kp_array_read(call->arg_types[0].id, &text, &fractions);
        bool good = true;
        for (uint32_t e = 0; good && e < fractions.count; e++) {
            double fraction;
            uint64_t value[2] = {0};
            bool is = kp_array_get(&fractions, e, call->call.arena, &fraction);
            good = !is || percentile(call, &state->rows, count, fraction, continuous, i, value);
            kp_array_add(&builder, is ? value : NULL);
        }
        if (good)
            to[i] = kp_array_make_shaped(&builder, fractions.dimensions, fractions.lengths, fractions.lows,
                                         call->call.arena);
        kp_array_builder_finish(&builder);
    }
}

static void cont_one(struct kp_agg_call *call, void *const *states, uint32_t rows, struct kp_vec *out)
{
    finalize_one(call, states, rows, out, true);
}
static void disc_one(struct kp_agg_call *call, void *const *states, uint32_t rows, struct kp_vec *out)
{
    finalize_one(call, states, rows, out, false);
}
static void cont_many(struct kp_agg_call *call, void *const *states, uint32_t rows, struct kp_vec *out)
{
    finalize_many(call, states, rows, out, true);
}
static void disc_many(struct kp_agg_call *call, void *const *states, uint32_t rows, struct kp_vec *out)
{
    finalize_many(call, states, rows, out, false);
}

/* The most frequent value; of several the first in order. Equal values that look different are counted together. */
static void mode(struct kp_agg_call *call, void *const *states, uint32_t rows, struct kp_vec *out)
{
    enum kp_type_id type = call->arg_types[0].id;
    size_t width = kp_vec_width(out);
    memset(out->data, 0, width * rows);
    for (uint32_t i = 0; i < rows; i++) {
        const struct percentiles *state = states[i];
        struct agg_rows_cursor cursor = {0};
        uint64_t run[2] = {0}, value[2], best[2] = {0};
        int64_t run_count = 0, best_count = 0;
        while (kp_agg_rows_next(&state->rows, &cursor)) {
            kp_agg_rows_value(&cursor, type, call->call.arena, value);
            if (!run_count || !kp_value_equal(type, run, value)) {
                memcpy(run, value, sizeof run);
                run_count = 0;
            }
            run_count += cursor.weight;
            if (run_count > best_count) {
                best_count = run_count;
                memcpy(best, run, sizeof best);
            }
        }
        if (best_count)
            kp_value_copy_arena(type, best, call->call.arena, (char *)out->data + i * width);
        else
            agg_set_null(call, rows, out, i);
    }
}

#define IMPL(name, finalize)                                                                                           \
    static const struct kp_agg_impl name = {sizeof(struct percentiles), update, merge, finalize, destroy}
IMPL(impl_cont, cont_one);
IMPL(impl_disc, disc_one);
IMPL(impl_cont_many, cont_many);
IMPL(impl_disc_many, disc_many);
IMPL(impl_mode, mode);

#define FLOATS ((enum kp_type_id)(KP_ARRAY_BASE + KP_FLOAT8))
#define AGG(name, arg_a, arg_b, ret, impl, doc)                                                                        \
    {                                                                                                                  \
        name, 2, {arg_a, arg_b}, ret, KP_AGG_WITHIN, &impl, &impl, doc                                                 \
    }
static const struct kp_agg aggs[] = {
    AGG("percentile_cont", KP_FLOAT8, KP_FLOAT8, KP_FLOAT8, impl_cont, "between the values at a fraction"),
    AGG("percentile_cont", KP_FLOAT8, KP_INTERVAL, KP_INTERVAL, impl_cont, "between the values at a fraction"),
    AGG("percentile_cont", FLOATS, KP_FLOAT8, FLOATS, impl_cont_many, "between the values at fractions"),
    AGG("percentile_cont", FLOATS, KP_INTERVAL, (enum kp_type_id)(KP_ARRAY_BASE + KP_INTERVAL), impl_cont_many,
        "between the values at fractions"),
    AGG("percentile_disc", KP_FLOAT8, KP_ANYELEMENT, KP_ANYELEMENT, impl_disc, "the value at a fraction"),
    AGG("percentile_disc", FLOATS, KP_ANYELEMENT, KP_ANYARRAY, impl_disc_many, "the values at fractions"),
    {"mode", 1, {KP_ANYELEMENT}, KP_ANYELEMENT, KP_AGG_WITHIN, &impl_mode, &impl_mode, "most frequent value"},
};
KP_AGGREGATES(percentile, aggs);
