/*
 * min and max. Over growing input one value is enough: 16 bytes of state for types of up to 8 bytes, 24 for the others.
 * Over input that can be taken away all values are kept, in an ordered multiset.
 *
 * Of equal values that look different (1.0 and 1.00) both forms give the one whose text is least.
 */
#include "vec/agg_values.h"

/* ---- growing: numbers of up to 8 bytes, kept in 64 bits ---- */

struct small {
    uint64_t count; /* whether there is a value */
    union {
        int64_t i64;
        double f64;
    } value;
};

#define GROWING_INT(name, type, op)                                                                                    \
    static void name(struct kp_agg_call *call, void *const *states, const struct kp_vec *const *args,                  \
                     const int64_t *weights, uint32_t rows)                                                            \
    {                                                                                                                  \
        (void)call, (void)weights;                                                                                     \
        const type *values = args[0]->data;                                                                            \
        for (uint32_t i = 0; i < rows; i++) {                                                                          \
            struct small *state = states[i];                                                                           \
            int64_t value = values[i];                                                                                 \
            if (!state->count || value op state->value.i64)                                                            \
                state->value.i64 = value;                                                                              \
            state->count = 1;                                                                                          \
        }                                                                                                              \
    }
GROWING_INT(min_i16, int16_t, <)
GROWING_INT(max_i16, int16_t, >)
GROWING_INT(min_i32, int32_t, <)
GROWING_INT(max_i32, int32_t, >)
GROWING_INT(min_u32, uint32_t, <)
GROWING_INT(max_u32, uint32_t, >)
GROWING_INT(min_i64, int64_t, <)
GROWING_INT(max_i64, int64_t, >)

/* NaN is the greatest; -0 is shown as 0's lesser text, "-0". */
static bool float_before(double a, double b)
{
    if (a != a || b != b)
        return a == a && b != b;
    return a < b || (a == 0 && b == 0 && __builtin_signbit(a) && !__builtin_signbit(b));
}
static bool float_after(double a, double b)
{
    if (a != a || b != b)
        return a != a && b == b;
    return a > b || (a == 0 && b == 0 && __builtin_signbit(a) && !__builtin_signbit(b));
}

#define GROWING_FLOAT(name, type, better)                                                                              \
    static void name(struct kp_agg_call *call, void *const *states, const struct kp_vec *const *args,                  \
                     const int64_t *weights, uint32_t rows)                                                            \
    {                                                                                                                  \
        (void)call, (void)weights;                                                                                     \
        const type *values = args[0]->data;                                                                            \
        for (uint32_t i = 0; i < rows; i++) {                                                                          \
            struct small *state = states[i];                                                                           \
            double value = (double)values[i];                                                                          \
            if (!state->count || better(value, state->value.f64))                                                      \
                state->value.f64 = value;                                                                              \
            state->count = 1;                                                                                          \
        }                                                                                                              \
    }
GROWING_FLOAT(min_f32, float, float_before)
GROWING_FLOAT(max_f32, float, float_after)
GROWING_FLOAT(min_f64, double, float_before)
GROWING_FLOAT(max_f64, double, float_after)

#define MERGE_SMALL(name, field, better)                                                                               \
    static void name(struct kp_agg_call *call, void *const *into, void *const *from, uint32_t rows)                    \
    {                                                                                                                  \
        (void)call;                                                                                                    \
        for (uint32_t i = 0; i < rows; i++) {                                                                          \
            struct small *to = into[i], *source = from[i];                                                             \
            if (source->count && (!to->count || better(source->value.field, to->value.field)))                         \
                *to = *source;                                                                                         \
            memset(source, 0, sizeof *source);                                                                         \
        }                                                                                                              \
    }
#define LESS(a, b)    ((a) < (b))
#define GREATER(a, b) ((a) > (b))
MERGE_SMALL(merge_min_int, i64, LESS)
MERGE_SMALL(merge_max_int, i64, GREATER)
MERGE_SMALL(merge_min_float, f64, float_before)
MERGE_SMALL(merge_max_float, f64, float_after)

#define FINALIZE_SMALL(name, type, field)                                                                              \
    static void name(struct kp_agg_call *call, void *const *states, uint32_t rows, struct kp_vec *out)                 \
    {                                                                                                                  \
        for (uint32_t i = 0; i < rows; i++) {                                                                          \
            const struct small *state = states[i];                                                                     \
            ((type *)out->data)[i] = (type)state->value.field;                                                         \
            if (!state->count)                                                                                         \
                agg_set_null(call, rows, out, i);                                                                      \
        }                                                                                                              \
    }
FINALIZE_SMALL(finalize_i16, int16_t, i64)
FINALIZE_SMALL(finalize_i32, int32_t, i64)
FINALIZE_SMALL(finalize_u32, uint32_t, i64)
FINALIZE_SMALL(finalize_i64, int64_t, i64)
FINALIZE_SMALL(finalize_f32, float, f64)
FINALIZE_SMALL(finalize_f64, double, f64)

#define SMALL_IMPLS(suffix, kind)                                                                                      \
    static const struct kp_agg_impl growing_min_##suffix = {sizeof(struct small), min_##suffix, merge_min_##kind,      \
                                                            finalize_##suffix, NULL};                                  \
    static const struct kp_agg_impl growing_max_##suffix = {sizeof(struct small), max_##suffix, merge_max_##kind,      \
                                                            finalize_##suffix, NULL}
SMALL_IMPLS(i16, int);
SMALL_IMPLS(i32, int);
SMALL_IMPLS(u32, int);
SMALL_IMPLS(i64, int);
SMALL_IMPLS(f32, float);
SMALL_IMPLS(f64, float);

/* ---- growing: values of 16 bytes, out of line parts on the heap ---- */

struct large {
    uint64_t count;
    uint8_t value[16];
};

/* Whether a is shown rather than b: first (min) or last (max) in order, then least in text. */
static bool better(enum kp_type_id type, const void *a, const void *b, bool max)
{
    int order = kp_value_compare(type, a, b);
    if (order == 0)
        return kp_value_compare_total(type, a, b) < 0;
    return max ? order > 0 : order < 0;
}

static void update_large(struct kp_agg_call *call, void *const *states, const struct kp_vec *const *args, uint32_t rows,
                         bool max)
{
    enum kp_type_id type = args[0]->type.id;
    for (uint32_t i = 0; i < rows; i++) {
        struct large *state = states[i];
        const void *value = kp_vec_at(args[0], i);
        if (state->count && !better(type, value, state->value, max))
            continue;
        uint8_t copy[16];
        int64_t gained = (int64_t)kp_value_copy_heap(type, value, copy);
        if (state->count) {
            gained -= (int64_t)kp_value_heap_bytes(type, state->value);
            kp_value_free_heap(type, state->value);
        }
        memcpy(state->value, copy, sizeof copy);
        state->count = 1;
        if (gained)
            agg_account(call, gained);
    }
}

static void update_min_large(struct kp_agg_call *call, void *const *states, const struct kp_vec *const *args,
                             const int64_t *weights, uint32_t rows)
{
    (void)weights;
    update_large(call, states, args, rows, false);
}

static void update_max_large(struct kp_agg_call *call, void *const *states, const struct kp_vec *const *args,
                             const int64_t *weights, uint32_t rows)
{
    (void)weights;
    update_large(call, states, args, rows, true);
}

static void destroy_large(struct kp_agg_call *call, void *state)
{
    struct large *large = state;
    enum kp_type_id type = call->arg_types[0].id;
    if (large->count) {
        agg_account(call, -(int64_t)kp_value_heap_bytes(type, large->value));
        kp_value_free_heap(type, large->value);
    }
    memset(large, 0, sizeof *large);
}

static void merge_large(struct kp_agg_call *call, void *const *into, void *const *from, uint32_t rows, bool max)
{
    enum kp_type_id type = call->arg_types[0].id;
    for (uint32_t i = 0; i < rows; i++) {
        struct large *to = into[i], *source = from[i];
        if (source->count && (!to->count || better(type, source->value, to->value, max))) {
            struct large old = *to;
            *to = *source;
            *source = old;
        }
        destroy_large(call, source);
    }
}

static void merge_min_large(struct kp_agg_call *call, void *const *into, void *const *from, uint32_t rows)
{
    merge_large(call, into, from, rows, false);
}

static void merge_max_large(struct kp_agg_call *call, void *const *into, void *const *from, uint32_t rows)
{
    merge_large(call, into, from, rows, true);
}

static void finalize_large(struct kp_agg_call *call, void *const *states, uint32_t rows, struct kp_vec *out)
{
    size_t width = kp_vec_width(out);
    for (uint32_t i = 0; i < rows; i++) {
        const struct large *state = states[i];
        void *to = (char *)out->data + i * width;
        if (state->count) {
            kp_value_copy_arena(out->type.id, state->value, call->call.arena, to);
        } else {
            memset(to, 0, width);
            agg_set_null(call, rows, out, i);
        }
    }
}

static const struct kp_agg_impl growing_min_large = {sizeof(struct large), update_min_large, merge_min_large,
                                                     finalize_large, destroy_large};
static const struct kp_agg_impl growing_max_large = {sizeof(struct large), update_max_large, merge_max_large,
                                                     finalize_large, destroy_large};

/* ---- retractable ---- */

static const struct kp_agg_impl retractable_min = {sizeof(struct agg_values), kp_agg_values_update, kp_agg_values_merge,
                                                   kp_agg_values_least, kp_agg_values_destroy};
static const struct kp_agg_impl retractable_max = {sizeof(struct agg_values), kp_agg_values_update, kp_agg_values_merge,
                                                   kp_agg_values_greatest, kp_agg_values_destroy};

#define MIN_MAX(type, suffix)                                                                                          \
    {"min", 1, {type}, type, true, &growing_min_##suffix, &retractable_min, "least"},                                  \
    {                                                                                                                  \
        "max", 1, {type}, type, true, &growing_max_##suffix, &retractable_max, "greatest"                              \
    }

static const struct kp_agg aggs[] = {
    MIN_MAX(KP_INT2, i16),
    MIN_MAX(KP_INT4, i32),
    MIN_MAX(KP_INT8, i64),
    MIN_MAX(KP_FLOAT4, f32),
    MIN_MAX(KP_FLOAT8, f64),
    MIN_MAX(KP_NUMERIC, large),
    MIN_MAX(KP_TEXT, large),
    MIN_MAX(KP_BPCHAR, large),
    MIN_MAX(KP_DATE, i32),
    MIN_MAX(KP_TIME, i64),
    MIN_MAX(KP_TIMETZ, large),
    MIN_MAX(KP_TIMESTAMP, i64),
    MIN_MAX(KP_TIMESTAMPTZ, i64),
    MIN_MAX(KP_INTERVAL, large),
    MIN_MAX(KP_OID, u32),
    MIN_MAX(KP_ANYARRAY, large),
    MIN_MAX(KP_ANYENUM, large),
    /* of jsonb only for the aggregate operator: the look of a group */
    {"kp_face", 1, {KP_JSONB}, KP_JSONB, true, &growing_min_large, &retractable_min, "least"},
};
KP_AGGREGATES(min_max, aggs);
