/*
 * Arrays changed and searched: append, concatenate, remove, replace, positions; and to and from text with separators.
 */
#include "vec/array.h"
#include "vec/fn.h"

static void add_range(struct kp_call *call, struct kp_array_builder *builder, const struct kp_array *array,
                      uint32_t from, uint32_t to)
{
    for (uint32_t e = from; e < to; e++) {
        uint64_t value[2];
        kp_array_add(builder, kp_array_get(array, e, call->arena, value) ? value : NULL);
    }
}

/* The array of a row; a NULL has no elements. */
static void read_row(const struct kp_vec *vec, uint32_t row, struct kp_array *ret_array)
{
    memset(ret_array, 0, sizeof *ret_array);
    ret_array->element = kp_type_element(vec->type.id);
    if (!kp_vec_is_null(vec, row))
        kp_array_read(vec->type.id, kp_vec_at(vec, row), ret_array);
}

static struct kp_text same_shape(struct kp_call *call, struct kp_array_builder *builder, const struct kp_array *array)
{
    return kp_array_make_shaped(builder, array->dimensions, array->lengths, array->lows, call->arena);
}

/* ---- append, prepend, concatenate: not strict ---- */

static void extend(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out, bool before)
{
    const struct kp_vec *arrays = args[before], *values = args[!before];
    struct kp_text *to = out->data;
    struct kp_array_builder builder = {.element = kp_type_element(call->type.id)};
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_array array;
        read_row(arrays, i, &array);
        const void *value = kp_vec_is_null(values, i) ? NULL : kp_vec_at(values, i);
        if (array.dimensions > 1)
            kp_call_fail(call, i, "22000", "argument must be empty or one-dimensional array");
        if (before)
            kp_array_add(&builder, value);
        add_range(call, &builder, &array, 0, array.count);
        if (!before)
            kp_array_add(&builder, value);
        int32_t length = (int32_t)builder.count, low = array.dimensions ? array.lows[0] : 1;
        to[i] = kp_array_make_shaped(&builder, 1, &length, &low, call->arena);
    }
    kp_array_builder_finish(&builder);
}

static void append(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    extend(call, args, out, false);
}
static void prepend(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    extend(call, args, out, true);
}

/* The shape of a || b: of equal dimensions the first lengths add up; one dimension less is one more item. */
static bool joined_shape(const struct kp_array *a, const struct kp_array *b, struct kp_array *shape)
{
    *shape = a->dimensions >= b->dimensions ? *a : *b;
    if (a->dimensions == b->dimensions) {
        shape->lengths[0] = a->lengths[0] + b->lengths[0];
        for (uint32_t d = 1; d < a->dimensions; d++)
            if (a->lengths[d] != b->lengths[d] || a->lows[d] != b->lows[d])
                return false;
        return true;
    }
    const struct kp_array *inner = a->dimensions > b->dimensions ? b : a;
    if (inner->dimensions + 1 != shape->dimensions)
        return false;
    for (uint32_t d = 0; d < inner->dimensions; d++)
        if (inner->lengths[d] != shape->lengths[d + 1] || inner->lows[d] != shape->lows[d + 1])
            return false;
    shape->lengths[0]++;
    return true;
}

static void concatenate(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_text *to = out->data;
    struct kp_array_builder builder = {.element = kp_type_element(call->type.id)};
    for (uint32_t i = 0; i < call->rows; i++) {
        bool null_a = kp_vec_is_null(args[0], i), null_b = kp_vec_is_null(args[1], i);
        struct kp_array a, b, shape;
        read_row(args[0], i, &a);
        read_row(args[1], i, &b);
        if (null_a && null_b) {
            kp_vec_need_valid(out, call->arena, call->rows);
            kp_vec_set_null(out, i);
        } else if (null_b || (!null_a && b.dimensions == 0)) {
            to[i] = *(const struct kp_text *)kp_vec_at(args[0], i);
        } else if (null_a || a.dimensions == 0) {
            to[i] = *(const struct kp_text *)kp_vec_at(args[1], i);
        } else if (joined_shape(&a, &b, &shape)) {
            add_range(call, &builder, &a, 0, a.count);
            add_range(call, &builder, &b, 0, b.count);
            to[i] = same_shape(call, &builder, &shape);
        } else {
            kp_call_fail(call, i, "2202E", "cannot concatenate incompatible arrays");
        }
    }
    kp_array_builder_finish(&builder);
}

/* ---- search ---- */

/* Whether element e is the row's value; NULLs are each other's. */
static bool is_value(struct kp_call *call, const struct kp_array *array, uint32_t e, const struct kp_vec *values,
                     uint32_t row)
{
    uint64_t value[2];
    bool is = kp_array_get(array, e, call->arena, value), null = kp_vec_is_null(values, row);
    return is ? !null && kp_value_equal(array->element, value, kp_vec_at(values, row)) : null;
}

static bool flat(struct kp_call *call, const struct kp_array *array, uint32_t row, const char *what)
{
    if (array->dimensions <= 1)
        return true;
    kp_call_fail(call, row, "0A000", "%s multidimensional arrays is not supported", what);
    return false;
}

static void position(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    int32_t *to = out->data;
    kp_vec_need_valid(out, call->arena, call->rows);
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_array array;
        bool found = false;
        to[i] = 0;
        read_row(args[0], i, &array);
        bool null = kp_vec_is_null(args[0], i);
        int64_t start = INT64_MIN;
        if (!null && flat(call, &array, i, "searching for elements in")) {
            if (call->arg_count > 2 && array.count && kp_vec_is_null(args[2], i))
                kp_call_fail(call, i, "22004", "initial position must not be null");
            else if (call->arg_count > 2 && array.count)
                start = FN_AT(int32_t, 2, i);
            for (uint32_t e = 0; !found && e < array.count; e++)
                if (array.lows[0] + (int64_t)e >= start && is_value(call, &array, e, args[1], i)) {
                    to[i] = array.lows[0] + (int32_t)e;
                    found = true;
                }
        }
        if (!found)
            kp_vec_set_null(out, i);
    }
}

static void positions(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_text *to = out->data;
    struct kp_array_builder builder = {.element = KP_INT4};
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_array array;
        read_row(args[0], i, &array);
        if (kp_vec_is_null(args[0], i)) {
            kp_vec_need_valid(out, call->arena, call->rows);
            kp_vec_set_null(out, i);
        } else if (flat(call, &array, i, "searching for elements in")) {
            for (uint32_t e = 0; e < array.count; e++) {
                int32_t place = array.lows[0] + (int32_t)e;
                if (is_value(call, &array, e, args[1], i))
                    kp_array_add(&builder, &place);
            }
        }
        to[i] = kp_array_make(&builder, call->arena);
    }
    kp_array_builder_finish(&builder);
}

static void remove_value(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_text *to = out->data;
    struct kp_array_builder builder = {.element = kp_type_element(call->type.id)};
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_array array;
        if (kp_vec_is_null(args[0], i)) {
            kp_vec_need_valid(out, call->arena, call->rows);
            kp_vec_set_null(out, i);
            continue;
        }
        read_row(args[0], i, &array);
        if (flat(call, &array, i, "removing elements from"))
            for (uint32_t e = 0; e < array.count; e++)
                if (!is_value(call, &array, e, args[1], i))
                    add_range(call, &builder, &array, e, e + 1);
        int32_t length = (int32_t)builder.count;
        to[i] = kp_array_make_shaped(&builder, 1, &length, array.lows, call->arena);
    }
    kp_array_builder_finish(&builder);
}

static void replace_value(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_text *to = out->data;
    struct kp_array_builder builder = {.element = kp_type_element(call->type.id)};
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_array array;
        read_row(args[0], i, &array);
        for (uint32_t e = 0; e < array.count; e++) {
            if (is_value(call, &array, e, args[1], i))
                kp_array_add(&builder, kp_vec_is_null(args[2], i) ? NULL : kp_vec_at(args[2], i));
            else
                add_range(call, &builder, &array, e, e + 1);
        }
        to[i] = same_shape(call, &builder, &array);
        if (kp_vec_is_null(args[0], i)) {
            kp_vec_need_valid(out, call->arena, call->rows);
            kp_vec_set_null(out, i);
        }
    }
    kp_array_builder_finish(&builder);
}

/* trim_array(a, n): without the last n items of the first dimension. */
static void trim(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_text *to = out->data;
    struct kp_array_builder builder = {.element = kp_type_element(call->type.id)};
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_array array;
        kp_array_read(args[0]->type.id, &FN_AT(struct kp_text, 0, i), &array);
        int32_t length = array.dimensions ? array.lengths[0] : 0, less = FN_AT(int32_t, 1, i);
        to[i] = kp_array_make(&builder, call->arena);
        if (kp_vec_is_null(out, i))
            continue;
        if (less < 0 || less > length) {
            kp_call_fail(call, i, "2202E", "number of elements to trim must be between 0 and %d", length);
            continue;
        }
        uint32_t keep = length ? array.count / (uint32_t)length * (uint32_t)(length - less) : 0;
        add_range(call, &builder, &array, 0, keep);
        for (uint32_t d = 0; d < array.dimensions; d++)
            array.lows[d] = 1; /* a slice's */
        array.lengths[0] = length - less;
        to[i] = same_shape(call, &builder, &array);
    }
    kp_array_builder_finish(&builder);
}

static bool read_int4s(struct kp_call *call, const struct kp_vec *vec, uint32_t row, const char *null_message,
                       int32_t *ret_values, uint32_t *ret_count)
{
    struct kp_array array;
    read_row(vec, row, &array);
    *ret_count = 0;
    if (array.dimensions > 1) {
        kp_call_fail(call, row, "2202E", "wrong number of array subscripts");
        return false;
    }
    if (array.count > KP_ARRAY_DIMENSIONS_MAX) {
        kp_call_fail(call, row, "54000", "number of array dimensions (%u) exceeds the maximum allowed (%d)",
                     array.count, KP_ARRAY_DIMENSIONS_MAX);
        return false;
    }
    for (uint32_t e = 0; e < array.count; e++)
        if (!kp_array_get(&array, e, call->arena, &ret_values[e])) {
            kp_call_fail(call, row, "22004", "%s", null_message);
            return false;
        }
    *ret_count = array.count;
    return true;
}

enum { ARRAY_BYTES_MAX = 4 * KP_RECORD_BYTES_MAX }; /* of what few bytes can ask for */

static bool fill_row(struct kp_call *call, const struct kp_vec *const *args, uint32_t row,
                     struct kp_array_builder *builder, struct kp_text *ret_text)
{
    int32_t lengths[KP_ARRAY_DIMENSIONS_MAX], lows[KP_ARRAY_DIMENSIONS_MAX] = {1, 1, 1, 1, 1, 1};
    uint32_t dimensions, low_count;
    for (uint32_t a = 1; a < call->arg_count; a++)
        if (kp_vec_is_null(args[a], row)) {
            kp_call_fail(call, row, "22004", "dimension array or low bound array cannot be null");
            return false;
        }
    if (!read_int4s(call, args[1], row, "dimension values cannot be null", lengths, &dimensions))
        return false;
    if (call->arg_count > 2) {
        if (!read_int4s(call, args[2], row, "dimension values cannot be null", lows, &low_count))
            return false;
        if (low_count != dimensions) {
            kp_call_fail(call, row, "2202E", "wrong number of array subscripts");
            return false;
        }
    }
    uint64_t count = dimensions > 0;
    for (uint32_t d = 0; d < dimensions; d++) {
        count *= (uint64_t)KP_MAX(lengths[d], 0);
        if (lengths[d] < 0 || count > KP_ARRAY_ELEMENTS_MAX) {
            kp_call_fail(call, row, "54000", "array size exceeds the maximum allowed (%d)", KP_ARRAY_ELEMENTS_MAX);
            return false;
        }
    }
    if (count > KP_RECORD_BYTES_MAX) {
        kp_call_fail(call, row, "54000", "array size exceeds the maximum allowed (%d)", KP_RECORD_BYTES_MAX);
        return false;
    }
    for (uint32_t d = 0; d < dimensions; d++)
        if ((int64_t)lows[d] + lengths[d] > INT32_MAX) {
            kp_call_fail(call, row, "54000", "array lower bound is too large: %d", lows[d]);
            return false;
        }
    for (uint64_t e = 0; e < count; e++) {
        kp_array_add(builder, kp_vec_is_null(args[0], row) ? NULL : kp_vec_at(args[0], row));
        if (kp_array_builder_bytes(builder) > ARRAY_BYTES_MAX) {
            kp_call_fail(call, row, "54000", "array size exceeds the maximum allowed (%d bytes)", ARRAY_BYTES_MAX);
            kp_array_builder_finish(builder);
            *builder = (struct kp_array_builder){.element = kp_type_element(call->type.id)};
            return false;
        }
    }
    *ret_text = kp_array_make_shaped(builder, dimensions, lengths, lows, call->arena);
    return true;
}

static void fill(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_text *to = out->data;
    struct kp_array_builder builder = {.element = kp_type_element(call->type.id)};
    for (uint32_t i = 0; i < call->rows; i++)
        if (call->arena->overspent || !fill_row(call, args, i, &builder, &to[i]))
            to[i] = kp_text_make("", 0);
    kp_array_builder_finish(&builder);
}

/* ---- text ---- */

enum { VALUE_BYTES_MAX = 4 * KP_RECORD_BYTES_MAX }; /* a longer one is refused behind the kernel (flow/eval.c) */

static void to_string(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_text *to = out->data;
    struct kp_buf buf = {0};
    bool shown = call->arg_count > 2;
    for (uint32_t i = 0; i < call->rows; i++) {
        bool null = kp_vec_is_null(args[0], i) || kp_vec_is_null(args[1], i), first = true;
        struct kp_array array;
        read_row(args[0], i, &array);
        buf.len = 0;
        for (uint32_t e = 0; !null && e < array.count && buf.len <= VALUE_BYTES_MAX; e++) {
            uint64_t value[2];
            bool is = kp_array_get(&array, e, call->arena, value);
            if (!is && (!shown || kp_vec_is_null(args[2], i)))
                continue;
            if (!first)
                kp_buf_append_str(&buf, kp_text_str(&FN_AT(struct kp_text, 1, i)));
            first = false;
            if (is)
                kp_value_print((struct kp_type){.id = array.element, .mod = args[0]->type.mod}, value, fn_zone(call),
                               &buf);
            else
                kp_buf_append_str(&buf, kp_text_str(&FN_AT(struct kp_text, 2, i)));
        }
        to[i] = fn_text(call, buf.data, buf.len);
        if (null) {
            kp_vec_need_valid(out, call->arena, call->rows);
            kp_vec_set_null(out, i);
        }
    }
    kp_buf_finish(&buf);
}

static void add_field(struct kp_array_builder *builder, struct kp_str field, const struct kp_text *null)
{
    struct kp_text text = kp_text_make(field.ptr, field.len);
    kp_array_add(builder, null && kp_str_equal(field, kp_text_str(null)) ? NULL : &text);
}

/* string_to_array: a NULL separator parts characters, an empty one nothing. */
static void split_text(struct kp_str text, const struct kp_text *separator, const struct kp_text *null,
                       struct kp_array_builder *builder)
{
    if (text.len == 0)
        return;
    if (!separator) {
        for (size_t at = 0; at < text.len;) {
            size_t len = 1;
            while (at + len < text.len && ((uint8_t)text.ptr[at + len] & 0xc0) == 0x80)
                len++;
            add_field(builder, (struct kp_str){text.ptr + at, len}, null);
            at += len;
        }
        return;
    }
    struct kp_str cut = kp_text_str(separator);
    while (cut.len) {
        const char *found = memmem(text.ptr, text.len, cut.ptr, cut.len);
        if (!found)
            break;
        add_field(builder, (struct kp_str){text.ptr, (size_t)(found - text.ptr)}, null);
        text.len -= (size_t)(found - text.ptr) + cut.len;
        text.ptr = found + cut.len;
    }
    add_field(builder, text, null);
}

static void string_to_array(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_text *to = out->data;
    struct kp_array_builder builder = {.element = KP_TEXT};
    for (uint32_t i = 0; i < call->rows; i++) {
        if (kp_vec_is_null(args[0], i)) {
            kp_vec_need_valid(out, call->arena, call->rows);
            kp_vec_set_null(out, i);
        } else {
            bool shown = call->arg_count > 2 && !kp_vec_is_null(args[2], i);
            split_text(kp_text_str(&FN_AT(struct kp_text, 0, i)),
                       kp_vec_is_null(args[1], i) ? NULL : &FN_AT(struct kp_text, 1, i),
                       shown ? &FN_AT(struct kp_text, 2, i) : NULL, &builder);
        }
        to[i] = kp_array_make(&builder, call->arena);
    }
    kp_array_builder_finish(&builder);
}

#define FUNCTION(name_, flags_, count, arg_a, arg_b, arg_c, ret_, kernel_, doc_)                                       \
    {                                                                                                                  \
        .name = name_, .kind = KP_FUNC_FUNCTION, .flags = flags_, .arg_count = count, .args = {arg_a, arg_b, arg_c},   \
        .ret = ret_, .kernel = kernel_, .doc = doc_                                                                    \
    }
#define ARRAY KP_ANYCOMPATIBLEARRAY
#define VALUE KP_ANYCOMPATIBLE
#define NONE  KP_TYPE_NONE

static const struct kp_func funcs[] = {
    FN_BINARY("||", KP_FUNC_OPERATOR, KP_CAN_FAIL, ARRAY, ARRAY, ARRAY, concatenate, "arrays, one behind the other"),
    FN_BINARY("||", KP_FUNC_OPERATOR, KP_CAN_FAIL, ARRAY, VALUE, ARRAY, append, "with an element more"),
    FN_BINARY("||", KP_FUNC_OPERATOR, KP_CAN_FAIL, VALUE, ARRAY, ARRAY, prepend, "with an element more"),
    FUNCTION("array_append", KP_CAN_FAIL, 2, ARRAY, VALUE, NONE, ARRAY, append, "with an element behind"),
    FUNCTION("array_prepend", KP_CAN_FAIL, 2, VALUE, ARRAY, NONE, ARRAY, prepend, "with an element before"),
    FUNCTION("array_cat", KP_CAN_FAIL, 2, ARRAY, ARRAY, NONE, ARRAY, concatenate, "one behind the other"),
    FUNCTION("array_position", KP_CAN_FAIL, 2, ARRAY, VALUE, NONE, KP_INT4, position, "subscript of the first such"),
    FUNCTION("array_position", KP_CAN_FAIL, 3, ARRAY, VALUE, KP_INT4, KP_INT4, position,
             "subscript of the first such, from one on"),
    FUNCTION("array_positions", KP_CAN_FAIL, 2, ARRAY, VALUE, NONE, KP_INT4_ARRAY, positions, "subscripts of all such"),
    FUNCTION("array_remove", KP_CAN_FAIL, 2, ARRAY, VALUE, NONE, ARRAY, remove_value, "without equal elements"),
    FUNCTION("array_replace", 0, 3, ARRAY, VALUE, VALUE, ARRAY, replace_value, "equal elements by another"),
    FUNCTION("trim_array", KP_STRICT | KP_CAN_FAIL, 2, KP_ANYARRAY, KP_INT4, NONE, KP_ANYARRAY, trim,
             "without the last elements"),
    FUNCTION("array_fill", KP_CAN_FAIL, 2, KP_ANYELEMENT, KP_INT4_ARRAY, NONE, KP_ANYARRAY, fill,
             "an element as often as the lengths say"),
    FUNCTION("array_fill", KP_CAN_FAIL, 3, KP_ANYELEMENT, KP_INT4_ARRAY, KP_INT4_ARRAY, KP_ANYARRAY, fill,
             "an element as often as the lengths say, with lower bounds"),
    FUNCTION("array_to_string", KP_STABLE, 2, KP_ANYARRAY, KP_TEXT, NONE, KP_TEXT, to_string,
             "elements joined, NULLs left out"),
    FUNCTION("array_to_string", KP_STABLE, 3, KP_ANYARRAY, KP_TEXT, KP_TEXT, KP_TEXT, to_string,
             "elements joined, NULLs as given"),
    FUNCTION("string_to_array", 0, 2, KP_TEXT, KP_TEXT, NONE, KP_TEXT_ARRAY, string_to_array,
             "fields between separators"),
    FUNCTION("string_to_array", 0, 3, KP_TEXT, KP_TEXT, KP_TEXT, KP_TEXT_ARRAY, string_to_array,
             "fields between separators, one of them for NULL"),
};
KP_FUNCTIONS(array_edit, funcs);
