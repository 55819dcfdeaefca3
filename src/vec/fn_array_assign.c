/*
 * SET x[i][j] = value, SET x[i:j] = values: the array with another element or slice, under names that SQL cannot call.
 * As in PostgreSQL a NULL or empty array becomes one of that element or slice alone, with the subscripts as its lower
 * bounds; one of one dimension grows to where they are, NULLs between; of more dimensions only elements that are there
 * can be set. Of the values those that the slice has no place for are left out; NULL instead of values changes nothing.
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

/* ---- slices ---- */

struct slice {
    uint32_t asked; /* dimensions */
    bool open_low[KP_ARRAY_DIMENSIONS_MAX], open_high[KP_ARRAY_DIMENSIONS_MAX];
    int64_t low[KP_ARRAY_DIMENSIONS_MAX], high[KP_ARRAY_DIMENSIONS_MAX];
};

/* Bounds from argument 3 on, as the marks say (sql/expr_array.c). False: one is NULL. */
static bool read_slice(struct kp_call *call, const struct kp_vec *const *args, uint32_t row, struct slice *ret_slice)
{
    struct kp_str given = kp_text_str(&FN_AT(struct kp_text, 2, row));
    uint32_t arg = 3;
    *ret_slice = (struct slice){.asked = (uint32_t)given.len / 2};
    for (size_t i = 0; i < given.len; i++) {
        bool high = i & 1, asks = given.ptr[i] == (high ? 'u' : 'l');
        if (asks && kp_vec_is_null(args[arg], row)) {
            kp_call_fail(call, row, "22004", "array subscript in assignment must not be null");
            return false;
        }
        (high ? ret_slice->high : ret_slice->low)[i / 2] = asks ? FN_AT(int32_t, arg, row) : 1;
        (high ? ret_slice->open_high : ret_slice->open_low)[i / 2] = given.ptr[i] == '-';
        arg += asks;
    }
    return true;
}

/* Completes the slice by the array's bounds, and gives the array that it makes: its bounds, perhaps grown. */
static bool place_slice(struct kp_call *call, uint32_t row, const struct kp_array *array, struct slice *slice,
                        struct kp_array *ret_whole)
{
    struct kp_array whole = *array;
    bool made = array->dimensions == 0;
    if (made)
        whole.dimensions = slice->asked;
    if (whole.dimensions < slice->asked) {
        kp_call_fail(call, row, "2202E", "wrong number of array subscripts");
        return false;
    }
    for (uint32_t d = 0; d < whole.dimensions; d++) {
        bool asked = d < slice->asked;
        int64_t from = whole.lows[d], end = from + whole.lengths[d];
        if (made && (slice->open_low[d] || slice->open_high[d])) {
            kp_call_fail(call, row, "2202E", "array slice subscript must provide both boundaries");
            return false;
        }
        if (!asked || slice->open_low[d])
            slice->low[d] = from;
        if (!asked || slice->open_high[d])
            slice->high[d] = end - 1;
        if (slice->low[d] > slice->high[d] + made) {
            if (made)
                kp_call_fail(call, row, "54000", "array size exceeds the maximum allowed (%d)", KP_ARRAY_ELEMENTS_MAX);
            else
                kp_call_fail(call, row, "2202E", "upper bound cannot be less than lower bound");
            return false;
        }
        if (!made && whole.dimensions > 1 && (slice->low[d] < from || slice->high[d] >= end)) {
            kp_call_fail(call, row, "2202E", "array subscript out of range");
            return false;
        }
        from = made ? slice->low[d] : KP_MIN(from, slice->low[d]);
        end = made ? slice->high[d] + 1 : KP_MAX(end, slice->high[d] + 1);
        if (end - from > GROWN_ELEMENTS_MAX || end > INT32_MAX) {
            kp_call_fail(call, row, "54000", "array size exceeds the maximum allowed (%d)", GROWN_ELEMENTS_MAX);
            return false;
        }
        whole.lows[d] = (int32_t)from;
        whole.lengths[d] = (int32_t)(end - from);
    }
    *ret_whole = whole;
    return true;
}

/* The element of the old array at a place of the new one; false: it is none of its. */
static bool old_place(const struct kp_array *array, const struct kp_array *whole, const int32_t *place,
                      uint32_t *ret_element)
{
    uint32_t element = 0;
    for (uint32_t d = 0; d < array->dimensions; d++) {
        int64_t at = (int64_t)whole->lows[d] + place[d] - array->lows[d];
        if (at < 0 || at >= array->lengths[d])
            return false;
        element = element * (uint32_t)array->lengths[d] + (uint32_t)at;
    }
    *ret_element = element;
    return array->dimensions > 0;
}

static bool in_slice(const struct slice *slice, const struct kp_array *whole, const int32_t *place)
{
    for (uint32_t d = 0; d < whole->dimensions; d++) {
        int64_t at = (int64_t)whole->lows[d] + place[d];
        if (at < slice->low[d] || at > slice->high[d])
            return false;
    }
    return true;
}

static bool assign_slice_row(struct kp_call *call, const struct kp_vec *const *args, uint32_t row,
                             struct kp_array_builder *builder, struct kp_text *ret_text)
{
    struct kp_array array = {.element = builder->element}, source, whole;
    struct slice slice;
    uint64_t size = 1, items = 1;
    if (!read_slice(call, args, row, &slice))
        return false;
    bool there = !kp_vec_is_null(args[0], row);
    if (there)
        kp_array_read(args[0]->type.id, kp_vec_at(args[0], row), &array);
    if (kp_vec_is_null(args[1], row)) {
        *ret_text = there ? FN_AT(struct kp_text, 0, row) : kp_array_make(builder, call->arena);
        return true;
    }
    if (!place_slice(call, row, &array, &slice, &whole))
        return false;
    kp_array_read(args[1]->type.id, kp_vec_at(args[1], row), &source);
    for (uint32_t d = 0; d < whole.dimensions; d++) {
        items =
            KP_MIN(items * (uint64_t)(slice.high[d] - slice.low[d] + 1), (uint64_t)1 << 36); /* a later one may be 0 */
        size *= (uint64_t)whole.lengths[d];
    }
    if (items > source.count) {
        kp_call_fail(call, row, "2202E", "source array too small");
        return false;
    }
    int32_t place[KP_ARRAY_DIMENSIONS_MAX] = {0};
    uint32_t next = 0, element;
    for (uint64_t n = 0; n < size; n++) {
        if (in_slice(&slice, &whole, place))
            add(call, builder, &source, next++);
        else if (old_place(&array, &whole, place, &element))
            add(call, builder, &array, element);
        else
            kp_array_add(builder, NULL);
        for (uint32_t d = whole.dimensions; d-- > 0 && ++place[d] == whole.lengths[d];)
            place[d] = 0;
    }
    *ret_text = kp_array_make_shaped(builder, whole.dimensions, whole.lengths, whole.lows, call->arena);
    return true;
}

/* kp_array_assign_slice(array, values, which bounds are given, bound, …): not strict. */
static void assign_slice(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_text *to = out->data;
    struct kp_array_builder builder = {.element = kp_type_element(call->type.id)};
    for (uint32_t i = 0; i < call->rows; i++)
        if (!assign_slice_row(call, args, i, &builder, &to[i]))
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
    {.name = "kp_array_assign_slice",
     .kind = KP_FUNC_FUNCTION,
     .flags = KP_VARIADIC | KP_CAN_FAIL,
     .arg_count = 4,
     .args = {KP_ANYARRAY, KP_ANYARRAY, KP_TEXT, KP_INT4},
     .ret = KP_ANYARRAY,
     .kernel = assign_slice,
     .doc = "SET x[1:2] = values"},
};
KP_FUNCTIONS(array_assign, funcs);
