/*
 * array_agg: all values, NULLs too, in the order of ORDER BY, then of the rows. Of arrays it makes one of a dimension
 * more, if they are of one shape.
 */
#include "vec/agg_rows.h"
#include "vec/array.h"

static void finalize(struct kp_agg_call *call, void *const *states, uint32_t rows, struct kp_vec *out)
{
    struct kp_text *to = out->data;
    enum kp_type_id type = call->arg_types[0].id;
    struct kp_array_builder builder = {.element = type};
    for (uint32_t i = 0; i < rows; i++) {
        struct agg_rows_cursor cursor = {0};
        bool full = false;
        while (!full && kp_agg_rows_next(states[i], &cursor)) {
            uint64_t value[2];
            bool is = kp_agg_rows_value(&cursor, type, call->call.arena, value);
            for (int64_t n = 0; !full && n < cursor.weight; n++) {
                kp_array_add(&builder, is ? value : NULL);
                full = kp_array_builder_bytes(&builder) > KP_RECORD_BYTES_MAX;
            }
        }
        if (full)
            kp_call_fail(&call->call, i, "54000", "array_agg result exceeds %d bytes", KP_RECORD_BYTES_MAX);
        if (builder.count == 0)
            agg_set_null(call, rows, out, i);
        to[i] = kp_array_make(&builder, call->call.arena);
    }
    kp_array_builder_finish(&builder);
}

/* ---- of arrays ---- */

struct nest {
    struct kp_array shape; /* of the first */
    int32_t lengths[KP_ARRAY_DIMENSIONS_MAX + 1], lows[KP_ARRAY_DIMENSIONS_MAX + 1];
    struct kp_array_builder builder;
};

static const char *nest_add(struct nest *nest, const struct kp_array *array, struct kp_arena *arena,
                            const char **ret_sqlstate)
{
    *ret_sqlstate = "2202E";
    if (array->count == 0)
        return "cannot accumulate empty arrays";
    if (nest->lengths[0] == 0)
        nest->shape = *array;
    bool same = array->dimensions == nest->shape.dimensions;
    for (uint32_t d = 0; same && d < array->dimensions; d++)
        same = array->lengths[d] == nest->shape.lengths[d] && array->lows[d] == nest->shape.lows[d];
    if (!same)
        return "cannot accumulate arrays of different dimensionality";
    if (array->dimensions == KP_ARRAY_DIMENSIONS_MAX) {
        *ret_sqlstate = "54000";
        return "number of array dimensions (7) exceeds the maximum allowed (6)";
    }
    for (uint32_t e = 0; e < array->count; e++) {
        uint64_t value[2];
        kp_array_add(&nest->builder, kp_array_get(array, e, arena, value) ? value : NULL);
    }
    nest->lengths[0]++;
    if (kp_array_builder_bytes(&nest->builder) > KP_RECORD_BYTES_MAX) {
        *ret_sqlstate = "54000";
        return "array_agg result is too large";
    }
    return NULL;
}

static void finalize_arrays(struct kp_agg_call *call, void *const *states, uint32_t rows, struct kp_vec *out)
{
    struct kp_text *to = out->data;
    enum kp_type_id type = call->arg_types[0].id;
    struct kp_arena *arena = call->call.arena;
    for (uint32_t i = 0; i < rows; i++) {
        struct nest nest = {.builder = {.element = kp_type_element(type)}};
        struct agg_rows_cursor cursor = {0};
        const char *failure = NULL, *sqlstate;
        while (!failure && kp_agg_rows_next(states[i], &cursor)) {
            struct kp_text value;
            struct kp_array array;
            bool is = kp_agg_rows_value(&cursor, type, arena, &value);
            if (is)
                kp_array_read(type, &value, &array);
            else
                failure = "cannot accumulate null arrays", sqlstate = "22004";
            for (int64_t n = 0; is && !failure && n < cursor.weight; n++)
                failure = nest_add(&nest, &array, arena, &sqlstate);
        }
        nest.lows[0] = 1;
        memcpy(nest.lengths + 1, nest.shape.lengths, sizeof nest.shape.lengths);
        memcpy(nest.lows + 1, nest.shape.lows, sizeof nest.shape.lows);
        if (failure) {
            kp_call_fail(&call->call, i, sqlstate, "%s", failure);
            kp_array_builder_finish(&nest.builder);
        }
        if (nest.builder.count == 0)
            agg_set_null(call, rows, out, i);
        to[i] = kp_array_make_shaped(&nest.builder, nest.shape.dimensions + 1, nest.lengths, nest.lows, arena);
        kp_array_builder_finish(&nest.builder);
    }
}

static const struct kp_agg_impl impl = {sizeof(struct agg_rows), kp_agg_rows_update, kp_agg_rows_merge_all, finalize,
                                        kp_agg_rows_destroy};
static const struct kp_agg_impl impl_arrays = {sizeof(struct agg_rows), kp_agg_rows_update, kp_agg_rows_merge_all,
                                               finalize_arrays, kp_agg_rows_destroy};

static const struct kp_agg aggs[] = {
    {"array_agg", 1, {KP_ANYNONARRAY}, KP_ANYARRAY, KP_AGG_ORDERED, &impl, &impl, "all values"},
    {"array_agg", 1, {KP_ANYARRAY}, KP_ANYARRAY, KP_AGG_ORDERED, &impl_arrays, &impl_arrays, "arrays as items of one"},
};
KP_AGGREGATES(array, aggs);
