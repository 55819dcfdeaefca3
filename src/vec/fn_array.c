/*
 * Arrays made, taken apart and compared: ARRAY[…], subscripts and slices (under names that SQL cannot call), the
 * operators, and what can be asked of an array's shape. Changing arrays is in fn_array_edit.c.
 */
#include "vec/array.h"
#include "vec/fn.h"

/* ---- ARRAY[…] ---- */

static void make(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_text *to = out->data;
    struct kp_array_builder builder = {.element = kp_type_element(call->type.id)};
    for (uint32_t i = 0; i < call->rows; i++) {
        for (uint32_t a = 0; a < call->arg_count; a++)
            kp_array_add(&builder, kp_vec_is_null(args[a], i) ? NULL : kp_vec_at(args[a], i));
        to[i] = kp_array_make(&builder, call->arena);
    }
    kp_array_builder_finish(&builder);
}

static void append_all(struct kp_call *call, struct kp_array_builder *builder, const struct kp_array *array)
{
    for (uint32_t e = 0; e < array->count; e++) {
        uint64_t value[2];
        kp_array_add(builder, kp_array_get(array, e, call->arena, value) ? value : NULL);
    }
}

static bool unlike(struct kp_call *call, uint32_t row)
{
    kp_call_fail(call, row, "2202E", "multidimensional arrays must have array expressions with matching dimensions");
    return false;
}

/* One row of ARRAY[[…], […]]: arrays of one shape become one of a dimension more; without elements all of them. False:
 * the row has failed. */
static bool nest_row(struct kp_call *call, const struct kp_vec *const *args, uint32_t row,
                     struct kp_array_builder *builder, struct kp_text *ret_text)
{
    int32_t lengths[KP_ARRAY_DIMENSIONS_MAX + 1] = {0}, lows[KP_ARRAY_DIMENSIONS_MAX + 1] = {0};
    uint32_t dimensions = 0, empty = 0;
    for (uint32_t a = 0; a < call->arg_count; a++) {
        struct kp_array array = {0};
        if (!kp_vec_is_null(args[a], row))
            kp_array_read(args[a]->type.id, kp_vec_at(args[a], row), &array);
        if (array.count == 0) {
            empty++;
            continue;
        }
        size_t bytes = array.dimensions * sizeof *lengths;
        if (!dimensions) {
            dimensions = array.dimensions;
            memcpy(lengths + 1, array.lengths, bytes);
            memcpy(lows + 1, array.lows, bytes);
        } else if (dimensions != array.dimensions || memcmp(lengths + 1, array.lengths, bytes) != 0 ||
                   memcmp(lows + 1, array.lows, bytes) != 0) {
            return unlike(call, row);
        }
        append_all(call, builder, &array);
    }
    if (dimensions == KP_ARRAY_DIMENSIONS_MAX) {
        kp_call_fail(call, row, "54000", "number of array dimensions (%d) exceeds the maximum allowed (%d)",
                     KP_ARRAY_DIMENSIONS_MAX + 1, KP_ARRAY_DIMENSIONS_MAX);
        return false;
    }
    if (empty && dimensions)
        return unlike(call, row);
    lengths[0] = (int32_t)call->arg_count;
    lows[0] = 1;
    *ret_text = kp_array_make_shaped(builder, dimensions + 1, lengths, lows, call->arena);
    return true;
}

static void nest(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_text *to = out->data;
    struct kp_array_builder builder = {.element = kp_type_element(call->type.id)};
    for (uint32_t i = 0; i < call->rows; i++) {
        if (nest_row(call, args, i, &builder, &to[i]))
            continue;
        kp_array_builder_finish(&builder);
        to[i] = kp_array_make(&builder, call->arena);
    }
    kp_array_builder_finish(&builder);
}

/* ---- subscripts ---- */

static void at(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    size_t width = kp_vec_width(out);
    bool owned = false;
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_array array;
        kp_array_read(args[0]->type.id, &FN_AT(struct kp_text, 0, i), &array);
        uint32_t element = 0;
        bool inside = array.dimensions == call->arg_count - 1;
        for (uint32_t d = 0; inside && d < array.dimensions; d++) {
            int64_t place = (int64_t)FN_AT(int32_t, d + 1, i) - array.lows[d];
            inside = place >= 0 && place < array.lengths[d];
            element = element * (uint32_t)array.lengths[d] + (uint32_t)place;
        }
        if (kp_vec_is_null(out, i))
            continue;
        if (!inside || !kp_array_get(&array, element, call->arena, (char *)out->data + i * width))
            fn_set_null(call, out, i, &owned);
    }
}

/* One row of a slice; what is outside the array is left out, and the result counts from 1. */
static struct kp_text slice_row(struct kp_call *call, const struct kp_vec *const *args, struct kp_str given,
                                uint32_t row, struct kp_array_builder *builder)
{
    struct kp_array array;
    kp_array_read(args[0]->type.id, &FN_AT(struct kp_text, 0, row), &array);
    int32_t low[KP_ARRAY_DIMENSIONS_MAX], length[KP_ARRAY_DIMENSIONS_MAX], ones[KP_ARRAY_DIMENSIONS_MAX];
    uint32_t arg = 2, asked = (uint32_t)given.len / 2;
    bool empty = array.dimensions < asked || array.dimensions == 0;
    for (uint32_t d = 0; d < array.dimensions; d++) {
        int64_t from = array.lows[d], end = from + array.lengths[d];
        if (d < asked) {
            char lower = given.ptr[2 * d], upper = given.ptr[2 * d + 1];
            int64_t first = lower == 'l' ? FN_AT(int32_t, arg, row) : lower == '1' ? 1 : from;
            arg += lower == 'l';
            int64_t last = upper == 'u' ? FN_AT(int32_t, arg, row) : end - 1;
            arg += upper == 'u';
            from = KP_MAX(from, first);
            end = KP_MIN(end, last + 1);
        }
        empty |= from >= end;
        low[d] = (int32_t)(from - array.lows[d]);
        length[d] = (int32_t)(end - from);
        ones[d] = 1;
    }
    if (empty)
        return kp_array_make(builder, call->arena);
    int32_t place[KP_ARRAY_DIMENSIONS_MAX] = {0};
    for (;;) {
        uint32_t element = 0;
        for (uint32_t d = 0; d < array.dimensions; d++)
            element = element * (uint32_t)array.lengths[d] + (uint32_t)(low[d] + place[d]);
        uint64_t value[2];
        kp_array_add(builder, kp_array_get(&array, element, call->arena, value) ? value : NULL);
        uint32_t d = array.dimensions;
        while (d-- > 0 && ++place[d] == length[d])
            place[d] = 0;
        if (d == UINT32_MAX)
            break;
    }
    return kp_array_make_shaped(builder, array.dimensions, length, ones, call->arena);
}

static void slice(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_text *to = out->data;
    struct kp_array_builder builder = {.element = kp_type_element(args[0]->type.id)};
    for (uint32_t i = 0; i < call->rows; i++)
        if (!kp_vec_is_null(out, i))
            to[i] = slice_row(call, args, kp_text_str(&FN_AT(struct kp_text, 1, i)), i, &builder);
    kp_array_builder_finish(&builder);
}

/* ---- operators ---- */

#define COMPARE(name, op)                                                                                              \
    static void name(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)                       \
    {                                                                                                                  \
        for (uint32_t i = 0; i < call->rows; i++)                                                                      \
            ((uint8_t *)out->data)[i] =                                                                                \
                kp_array_compare(args[0]->type.id, &FN_AT(struct kp_text, 0, i), &FN_AT(struct kp_text, 1, i)) op 0;   \
    }
COMPARE(array_eq, ==)
COMPARE(array_ne, !=)
COMPARE(array_lt, <)
COMPARE(array_le, <=)
COMPARE(array_gt, >)
COMPARE(array_ge, >=)

static bool contains_value(struct kp_call *call, const struct kp_array *array, const void *value)
{
    for (uint32_t e = 0; e < array->count; e++) {
        uint64_t other[2];
        if (kp_array_get(array, e, call->arena, other) && kp_value_equal(array->element, other, value))
            return true;
    }
    return false;
}

/* Whether all (or any) elements of `part` are in `whole`; a NULL is in nothing. */
static bool includes(struct kp_call *call, const struct kp_vec *part_vec, const struct kp_vec *whole_vec, uint32_t row,
                     bool all)
{
    struct kp_array part, whole;
    kp_array_read(part_vec->type.id, kp_vec_at(part_vec, row), &part);
    kp_array_read(whole_vec->type.id, kp_vec_at(whole_vec, row), &whole);
    for (uint32_t e = 0; e < part.count; e++) {
        uint64_t value[2];
        bool in = kp_array_get(&part, e, call->arena, value) && contains_value(call, &whole, value);
        if (in != all)
            return in;
    }
    return all;
}

static void contains(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    for (uint32_t i = 0; i < call->rows; i++)
        ((uint8_t *)out->data)[i] = includes(call, args[1], args[0], i, true);
}
static void contained(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    for (uint32_t i = 0; i < call->rows; i++)
        ((uint8_t *)out->data)[i] = includes(call, args[0], args[1], i, true);
}
static void overlap(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    for (uint32_t i = 0; i < call->rows; i++)
        ((uint8_t *)out->data)[i] = includes(call, args[0], args[1], i, false);
}

/* ---- shape ---- */

enum shape { SHAPE_LENGTH, SHAPE_LOWER, SHAPE_UPPER, SHAPE_NDIMS, SHAPE_CARDINALITY };

static void ask(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out, enum shape what)
{
    int32_t *to = out->data;
    bool owned = false;
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_array array;
        kp_array_read(args[0]->type.id, &FN_AT(struct kp_text, 0, i), &array);
        int64_t d = what < SHAPE_NDIMS ? (int64_t)FN_AT(int32_t, 1, i) - 1 : 0;
        bool known = what == SHAPE_CARDINALITY || (d >= 0 && d < array.dimensions);
        to[i] = 0;
        if (!known) {
            if (!kp_vec_is_null(out, i))
                fn_set_null(call, out, i, &owned);
            continue;
        }
        const int32_t answers[] = {array.lengths[d], array.lows[d], array.lows[d] + array.lengths[d] - 1,
                                   (int32_t)array.dimensions, (int32_t)array.count};
        to[i] = answers[what];
    }
}

#define SHAPE(name, what)                                                                                              \
    static void name(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)                       \
    {                                                                                                                  \
        ask(call, args, out, what);                                                                                    \
    }
SHAPE(array_length, SHAPE_LENGTH)
SHAPE(array_lower, SHAPE_LOWER)
SHAPE(array_upper, SHAPE_UPPER)
SHAPE(array_ndims, SHAPE_NDIMS)
SHAPE(cardinality, SHAPE_CARDINALITY)

static void array_dims(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_text *to = out->data;
    struct kp_buf buf = {0};
    bool owned = false;
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_array array;
        kp_array_read(args[0]->type.id, &FN_AT(struct kp_text, 0, i), &array);
        buf.len = 0;
        for (uint32_t d = 0; d < array.dimensions; d++)
            kp_buf_printf(&buf, "[%d:%d]", array.lows[d], array.lows[d] + array.lengths[d] - 1);
        to[i] = fn_text(call, buf.data, buf.len);
        if (!array.dimensions && !kp_vec_is_null(out, i))
            fn_set_null(call, out, i, &owned);
    }
    kp_buf_finish(&buf);
}

#define INTERNAL(name_, flags_, arg_a, arg_b, arg_c, count, ret_, kernel_, doc_)                                       \
    {                                                                                                                  \
        .name = name_, .kind = KP_FUNC_FUNCTION, .flags = flags_, .arg_count = count, .args = {arg_a, arg_b, arg_c},   \
        .ret = ret_, .kernel = kernel_, .doc = doc_                                                                    \
    }
#define COMPARISON(symbol, kernel, doc)                                                                                \
    FN_BINARY(symbol, KP_FUNC_OPERATOR, KP_STRICT, KP_ANYARRAY, KP_ANYARRAY, KP_BOOL, kernel, doc)

static const struct kp_func funcs[] = {
    INTERNAL("kp_array", KP_VARIADIC, KP_ANYELEMENT, KP_TYPE_NONE, KP_TYPE_NONE, 1, KP_ANYARRAY, make, "ARRAY[…]"),
    INTERNAL("kp_array_nest", KP_VARIADIC | KP_CAN_FAIL, KP_ANYARRAY, KP_TYPE_NONE, KP_TYPE_NONE, 1, KP_ANYARRAY, nest,
             "ARRAY[[…], …]"),
    INTERNAL("kp_array_at", KP_STRICT | KP_VARIADIC, KP_ANYARRAY, KP_INT4, KP_TYPE_NONE, 2, KP_ANYELEMENT, at, "x[1]"),
    INTERNAL("kp_array_slice", KP_STRICT | KP_VARIADIC, KP_ANYARRAY, KP_TEXT, KP_INT4, 3, KP_ANYARRAY, slice, "x[1:2]"),
    COMPARISON("=", array_eq, "equal"),
    COMPARISON("<>", array_ne, "not equal"),
    COMPARISON("<", array_lt, "less"),
    COMPARISON("<=", array_le, "at most"),
    COMPARISON(">", array_gt, "greater"),
    COMPARISON(">=", array_ge, "at least"),
    COMPARISON("@>", contains, "contains all elements"),
    COMPARISON("<@", contained, "all elements are in the other"),
    COMPARISON("&&", overlap, "have an element in common"),
    FN_BINARY("array_length", KP_FUNC_FUNCTION, KP_STRICT, KP_ANYARRAY, KP_INT4, KP_INT4, array_length,
              "length in a dimension"),
    FN_BINARY("array_lower", KP_FUNC_FUNCTION, KP_STRICT, KP_ANYARRAY, KP_INT4, KP_INT4, array_lower,
              "least subscript in a dimension"),
    FN_BINARY("array_upper", KP_FUNC_FUNCTION, KP_STRICT, KP_ANYARRAY, KP_INT4, KP_INT4, array_upper,
              "greatest subscript in a dimension"),
    FN_UNARY("array_ndims", KP_FUNC_FUNCTION, KP_STRICT, KP_ANYARRAY, KP_INT4, array_ndims, "dimensions"),
    FN_UNARY("array_dims", KP_FUNC_FUNCTION, KP_STRICT, KP_ANYARRAY, KP_TEXT, array_dims, "bounds as text"),
    FN_UNARY("cardinality", KP_FUNC_FUNCTION, KP_STRICT, KP_ANYARRAY, KP_INT4, cardinality, "elements in all"),
};
KP_FUNCTIONS(array, funcs);
