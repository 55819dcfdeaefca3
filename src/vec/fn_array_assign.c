/*
 * SET x[i][j] = value: the array with another element, under a name that SQL cannot call. As in PostgreSQL a NULL or
 * empty array becomes one of that element alone, with the subscripts as its lower bounds; one of one dimension grows to
 * where the element is, NULLs between; of more dimensions only elements that are there can be set.
 */
#include "vec/array.h"
#include "vec/fn.h"

/* An array grown by one assignment is no larger than what a record holds. */
enum { GROWN_ELEMENTS_MAX = KP_RECORD_BYTES_MAX };

static void add(struct kp_call *call, struct kp_array_builder *builder, const struct kp_array *array, uint32_t element)
{
    uint64_t value[2];
    kp_array_add(builder, kp_array_get(array, element, call->arena, value) ? value : NULL);
}

/* The place of the element in storage order; false: there is none, or not so many dimensions. */
static bool find_place(struct kp_call *call, uint32_t row, const struct kp_array *array, const int32_t *subscripts,
                       uint32_t count, uint32_t *ret_element)
{
    uint32_t element = 0;
    if (array->dimensions != count) {
        kp_call_fail(call, row, "2202E", "wrong number of array subscripts");
        return false;
    }
    for (uint32_t d = 0; d < count; d++) {
        int64_t place = (int64_t)subscripts[d] - array->lows[d];
        if (place < 0 || place >= array->lengths[d]) {
            kp_call_fail(call, row, "2202E", "array subscript out of range");
            return false;
        }
        element = element * (uint32_t)array->lengths[d] + (uint32_t)place;
    }
    *ret_element = element;
    return true;
}

/* One dimension, from the lesser to the greater of what there is and the subscript. */
static bool grow(struct kp_call *call, uint32_t row, const struct kp_array *array, int32_t subscript, const void *value,
                 struct kp_array_builder *builder, struct kp_text *ret_text)
{
    int64_t first = array->lows[0], end = first + array->lengths[0];
    int64_t from = KP_MIN(first, (int64_t)subscript), to = KP_MAX(end, (int64_t)subscript + 1);
    if (to - from > GROWN_ELEMENTS_MAX || to > INT32_MAX) {
        kp_call_fail(call, row, "54000", "array size exceeds the maximum allowed (%d)", GROWN_ELEMENTS_MAX);
        return false;
    }
    for (int64_t at = from; at < to; at++) {
        if (at == subscript)
            kp_array_add(builder, value);
        else if (at < first || at >= end)
            kp_array_add(builder, NULL);
        else
            add(call, builder, array, (uint32_t)(at - first));
    }
    int32_t length = (int32_t)(to - from), low = (int32_t)from;
    *ret_text = kp_array_make_shaped(builder, 1, &length, &low, call->arena);
    return true;
}

static bool assign_row(struct kp_call *call, const struct kp_vec *const *args, uint32_t row,
                       struct kp_array_builder *builder, struct kp_text *ret_text)
{
    static const int32_t ones[KP_ARRAY_DIMENSIONS_MAX] = {1, 1, 1, 1, 1, 1};
    int32_t subscripts[KP_ARRAY_DIMENSIONS_MAX];
    uint32_t count = call->arg_count - 2, element;
    struct kp_array array = {.element = builder->element};
    const void *value = kp_vec_is_null(args[1], row) ? NULL : kp_vec_at(args[1], row);
    for (uint32_t d = 0; d < count; d++) {
        if (kp_vec_is_null(args[2 + d], row)) {
            kp_call_fail(call, row, "22004", "array subscript in assignment must not be null");
            return false;
        }
        subscripts[d] = FN_AT(int32_t, 2 + d, row);
    }
    if (!kp_vec_is_null(args[0], row))
        kp_array_read(args[0]->type.id, kp_vec_at(args[0], row), &array);
    if (array.dimensions == 0) {
        for (uint32_t d = 0; d < count; d++)
            if (subscripts[d] == INT32_MAX) {
                kp_call_fail(call, row, "54000", "array lower bound is too large: %d", subscripts[d]);
                return false;
            }
        kp_array_add(builder, value);
        *ret_text = kp_array_make_shaped(builder, count, ones, subscripts, call->arena);
        return true;
    }
    if (array.dimensions == 1 && count == 1)
        return grow(call, row, &array, subscripts[0], value, builder, ret_text);
    if (!find_place(call, row, &array, subscripts, count, &element))
        return false;
    for (uint32_t e = 0; e < array.count; e++) {
        if (e == element)
            kp_array_add(builder, value);
        else
            add(call, builder, &array, e);
    }
    *ret_text = kp_array_make_shaped(builder, array.dimensions, array.lengths, array.lows, call->arena);
    return true;
}

/* kp_array_assign(array, value, subscript, …): not strict. */
static void assign(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_text *to = out->data;
    struct kp_array_builder builder = {.element = kp_type_element(call->type.id)};
    for (uint32_t i = 0; i < call->rows; i++)
        if (!assign_row(call, args, i, &builder, &to[i]))
            to[i] = kp_text_make("", 0);
    kp_array_builder_finish(&builder);
}

static const struct kp_func funcs[] = {
    {.name = "kp_array_assign",
     .kind = KP_FUNC_FUNCTION,
     .flags = KP_VARIADIC | KP_CAN_FAIL,
     .arg_count = 3,
     .args = {KP_ANYARRAY, KP_ANYELEMENT, KP_INT4},
     .ret = KP_ANYARRAY,
     .kernel = assign,
     .doc = "SET x[1] = value"},
};
KP_FUNCTIONS(array_assign, funcs);
