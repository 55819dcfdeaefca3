/*
 * jsonb changed: || - #-, jsonb_set, jsonb_insert, without nulls, in lines; and jsonb to numbers and booleans.
 *
 * A change walks down the path and prints the value anew: what is not on the path is copied as it is.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "vec/array.h"
#include "vec/fn.h"
#include "vec/json.h"
#include "vec/jsonb.h"

static struct kp_str buf_str(const struct kp_buf *buf)
{
    return (struct kp_str){buf->data ? (const char *)buf->data : "", buf->len};
}

/* The name of a quoted key, in the arena. */
static struct kp_str key_name(struct kp_call *call, struct kp_str quoted)
{
    struct kp_buf name = {0};
    kp_jsonb_string_text(quoted, &name);
    struct kp_str copy = {kp_arena_strndup(call->arena, buf_str(&name).ptr, name.len), name.len};
    kp_buf_finish(&name);
    return copy;
}

static void put_members(struct kp_call *call, struct kp_jsonb_object *object, struct kp_str value)
{
    struct kp_jsonb_items items;
    struct kp_str key, item;
    for (kp_jsonb_items_begin(&items, value); kp_jsonb_items_next(&items, &key, &item);)
        kp_jsonb_put(object, key_name(call, key), item);
}

static void append_item(struct kp_buf *out, bool *first, struct kp_str item)
{
    kp_buf_append_text(out, *first ? "" : ", ");
    *first = false;
    kp_buf_append_str(out, item);
}

/* The items of an array, or the value itself. */
static void append_items(struct kp_buf *out, bool *first, struct kp_str value)
{
    struct kp_jsonb_items items;
    struct kp_str key, item;
    if (kp_jsonb_kind(value) != KP_JSONB_ARRAY) {
        append_item(out, first, value);
        return;
    }
    for (kp_jsonb_items_begin(&items, value); kp_jsonb_items_next(&items, &key, &item);)
        append_item(out, first, item);
}

static void concatenate(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_buf buf = {0};
    struct kp_jsonb_object object = {{0}};
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_str a = kp_text_str(&FN_AT(struct kp_text, 0, i)), b = kp_text_str(&FN_AT(struct kp_text, 1, i));
        bool first = true;
        buf.len = 0;
        if (kp_jsonb_kind(a) == KP_JSONB_OBJECT && kp_jsonb_kind(b) == KP_JSONB_OBJECT) {
            put_members(call, &object, a);
            put_members(call, &object, b);
            kp_jsonb_object_print(&object, &buf);
        } else {
            kp_buf_append_byte(&buf, '[');
            append_items(&buf, &first, a);
            append_items(&buf, &first, b);
            kp_buf_append_byte(&buf, ']');
        }
        ((struct kp_text *)out->data)[i] = fn_text(call, buf.data, buf.len);
    }
    kp_jsonb_object_finish(&object);
    kp_buf_finish(&buf);
}

/* ---- deletion ---- */

static bool is_one_of(struct kp_call *call, struct kp_str quoted, const struct kp_array *names)
{
    for (uint32_t e = 0; e < names->count; e++) {
        struct kp_text name;
        if (kp_array_get(names, e, call->arena, &name) && kp_jsonb_key_is(quoted, kp_text_str(&name)))
            return true;
    }
    return false;
}

/* Prints the value without the keys, or string items, that are `name` or among `names`; in order, so canonical. */
static void delete_names(struct kp_call *call, struct kp_str value, const struct kp_text *name,
                         const struct kp_array *names, struct kp_buf *out)
{
    struct kp_jsonb_items items;
    struct kp_str key, item;
    bool first = true, object = kp_jsonb_kind(value) == KP_JSONB_OBJECT;
    kp_buf_append_byte(out, object ? '{' : '[');
    for (kp_jsonb_items_begin(&items, value); kp_jsonb_items_next(&items, &key, &item);) {
        struct kp_str said = object ? key : item;
        bool string = object || kp_jsonb_kind(item) == KP_JSONB_STRING;
        if (string && (name ? kp_jsonb_key_is(said, kp_text_str(name)) : is_one_of(call, said, names)))
            continue;
        if (object)
            item = (struct kp_str){key.ptr, (size_t)(item.ptr + item.len - key.ptr)}; /* "key": value */
        append_item(out, &first, item);
    }
    kp_buf_append_byte(out, object ? '}' : ']');
}

static bool is_container(struct kp_call *call, struct kp_vec *out, uint32_t row, struct kp_str value,
                         const char *message)
{
    if (kp_jsonb_kind(value) >= KP_JSONB_ARRAY)
        return true;
    fn_fail_text(call, out, row, "22023", message);
    return false;
}

static void delete_by_name(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_buf buf = {0};
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_str value = kp_text_str(&FN_AT(struct kp_text, 0, i));
        buf.len = 0;
        struct kp_array names;
        bool many = args[1]->type.id == KP_TEXT_ARRAY;
        if (many)
            kp_array_read(KP_TEXT_ARRAY, &FN_AT(struct kp_text, 1, i), &names);
        if (many && names.dimensions > 1)
            fn_fail_text(call, out, i, "2202E", "wrong number of array subscripts");
        else if (is_container(call, out, i, value, "cannot delete from scalar"))
            delete_names(call, value, many ? NULL : &FN_AT(struct kp_text, 1, i), &names, &buf);
        ((struct kp_text *)out->data)[i] = fn_text(call, buf.data, buf.len);
    }
    kp_buf_finish(&buf);
}

static void delete_item(struct kp_str value, int64_t index, struct kp_buf *out)
{
    struct kp_jsonb_items items;
    struct kp_str key, item;
    bool first = true;
    if (index < 0)
        index += kp_jsonb_item_count(value);
    kp_buf_append_byte(out, '[');
    for (kp_jsonb_items_begin(&items, value); kp_jsonb_items_next(&items, &key, &item); index--)
        if (index != 0)
            append_item(out, &first, item);
    kp_buf_append_byte(out, ']');
}

static void delete_by_place(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_buf buf = {0};
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_str value = kp_text_str(&FN_AT(struct kp_text, 0, i));
        buf.len = 0;
        if (kp_jsonb_kind(value) == KP_JSONB_OBJECT)
            fn_fail_text(call, out, i, "22023", "cannot delete from object using integer index");
        else if (is_container(call, out, i, value, "cannot delete from scalar"))
            delete_item(value, FN_AT(int32_t, 1, i), &buf);
        ((struct kp_text *)out->data)[i] = fn_text(call, buf.data, buf.len);
    }
    kp_buf_finish(&buf);
}

/* ---- changes at a path ---- */

enum edit_kind { EDIT_DELETE, EDIT_SET, EDIT_CREATE, EDIT_INSERT_BEFORE, EDIT_INSERT_AFTER };

struct edit {
    struct kp_call *call;
    enum edit_kind kind;
    struct kp_array path;
    struct kp_str value;
    const char *failure; /* message; sqlstate in `state` */
    const char *state;
    uint32_t failed_at;
    struct kp_str failed_step;
};

static void edit_value(struct edit *edit, struct kp_str value, uint32_t level, struct kp_buf *out);

static bool path_step(struct edit *edit, uint32_t level, struct kp_text *ret_step)
{
    if (kp_array_get(&edit->path, level, edit->call->arena, ret_step))
        return true;
    edit->failure = "path element at position %u is null";
    edit->state = "22004";
    edit->failed_at = level + 1;
    return false;
}

static void edit_object(struct edit *edit, struct kp_str value, uint32_t level, const struct kp_text *step,
                        struct kp_buf *out)
{
    struct kp_jsonb_object object = {{0}};
    struct kp_jsonb_items items;
    struct kp_str key, item;
    bool last = level + 1 == edit->path.count, found = false;
    for (kp_jsonb_items_begin(&items, value); kp_jsonb_items_next(&items, &key, &item);) {
        if (!kp_jsonb_key_is(key, kp_text_str(step))) {
            kp_jsonb_put(&object, key_name(edit->call, key), item);
            continue;
        }
        found = true;
        if (last && edit->kind == EDIT_DELETE)
            continue;
        if (last && edit->kind >= EDIT_INSERT_BEFORE) {
            edit->failure = "cannot replace existing key";
            edit->state = "22023";
        }
        struct kp_buf inner = {0};
        if (last)
            kp_buf_append_str(&inner, edit->value);
        else
            edit_value(edit, item, level + 1, &inner);
        kp_jsonb_put(&object, key_name(edit->call, key),
                     (struct kp_str){kp_arena_strndup(edit->call->arena, buf_str(&inner).ptr, inner.len), inner.len});
        kp_buf_finish(&inner);
    }
    if (!found && last && edit->kind >= EDIT_CREATE) {
        struct kp_str name = kp_text_str(step);
        kp_jsonb_put(&object, (struct kp_str){kp_arena_strndup(edit->call->arena, name.ptr, name.len), name.len},
                     edit->value);
    }
    kp_jsonb_object_print(&object, out);
    kp_jsonb_object_finish(&object);
}

static bool array_place(struct edit *edit, const struct kp_text *step, uint32_t level, int64_t *ret_place)
{
    struct kp_str text = kp_text_str(step);
    char digits[24], *end;
    snprintf(digits, sizeof digits, "%.*s", (int)KP_MIN(text.len, sizeof digits - 1), text.ptr);
    long long place = strtoll(digits, &end, 10);
    if (text.len && text.len < sizeof digits && !*end && place >= INT32_MIN && place <= INT32_MAX) {
        *ret_place = place;
        return true;
    }
    edit->failure = "path element at position %u is not an integer: \"%.*s\"";
    edit->state = "22P02";
    edit->failed_at = level + 1;
    edit->failed_step = (struct kp_str){kp_arena_strndup(edit->call->arena, text.ptr, text.len), text.len};
    return false;
}

static void edit_array(struct edit *edit, struct kp_str value, uint32_t level, const struct kp_text *step,
                       struct kp_buf *out)
{
    struct kp_jsonb_items items;
    struct kp_str key, item;
    int64_t place, count = kp_jsonb_item_count(value), at = 0;
    bool first = true, last = level + 1 == edit->path.count, creates = edit->kind >= EDIT_CREATE && last;
    if (!array_place(edit, step, level, &place))
        return;
    if (place < 0)
        place = place + count < 0 ? INT64_MIN : place + count;
    kp_buf_append_byte(out, '[');
    if (creates && (place < 0 || count == 0))
        append_item(out, &first, edit->value);
    bool done = creates && (place < 0 || count == 0);
    for (kp_jsonb_items_begin(&items, value); kp_jsonb_items_next(&items, &key, &item); at++) {
        if (at != place || done) {
            append_item(out, &first, item);
            continue;
        }
        done = true;
        if (!last) {
            struct kp_buf inner = {0};
            edit_value(edit, item, level + 1, &inner);
            append_item(out, &first, buf_str(&inner));
            kp_buf_finish(&inner);
            continue;
        }
        if (edit->kind == EDIT_INSERT_AFTER)
            append_item(out, &first, item);
        if (edit->kind != EDIT_DELETE)
            append_item(out, &first, edit->value);
        if (edit->kind == EDIT_INSERT_BEFORE)
            append_item(out, &first, item);
    }
    if (creates && !done)
        append_item(out, &first, edit->value);
    kp_buf_append_byte(out, ']');
}

static void edit_value(struct edit *edit, struct kp_str value, uint32_t level, struct kp_buf *out)
{
    enum kp_jsonb_kind kind = kp_jsonb_kind(value);
    struct kp_text step;
    if (!path_step(edit, level, &step)) /* of a scalar too, which no step changes */
        return;
    if (kind == KP_JSONB_OBJECT)
        edit_object(edit, value, level, &step, out);
    else if (kind == KP_JSONB_ARRAY)
        edit_array(edit, value, level, &step, out);
    else
        kp_buf_append_str(out, value);
}

static void run_edit(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out, uint32_t row,
                     enum edit_kind kind, struct kp_buf *buf)
{
    struct edit edit = {.call = call, .kind = kind};
    struct kp_str value = kp_text_str(&FN_AT(struct kp_text, 0, row));
    struct kp_text *to = (struct kp_text *)out->data + row;
    *to = kp_text_make("", 0);
    if (kp_vec_is_null(out, row))
        return;
    kp_array_read(KP_TEXT_ARRAY, &FN_AT(struct kp_text, 1, row), &edit.path);
    if (kind != EDIT_DELETE)
        edit.value = kp_text_str(&FN_AT(struct kp_text, 2, row));
    buf->len = 0;
    if (edit.path.dimensions > 1) {
        kp_call_fail(call, row, "2202E", "wrong number of array subscripts");
        return;
    }
    if (!is_container(call, out, row, value,
                      kind == EDIT_DELETE ? "cannot delete path in scalar" : "cannot set path in scalar"))
        return;
    bool idle = kind < EDIT_CREATE && kp_jsonb_item_count(value) == 0; /* not even the path is looked at */
    if (edit.path.count == 0 || idle)
        kp_buf_append_str(buf, value);
    else
        edit_value(&edit, value, 0, buf);
    if (!edit.failure)
        *to = fn_text(call, buf->data, buf->len);
    else if (edit.failed_step.ptr)
        kp_call_fail(call, row, edit.state, "path element at position %u is not an integer: \"%.*s\"", edit.failed_at,
                     (int)edit.failed_step.len, edit.failed_step.ptr);
    else if (edit.failed_at)
        kp_call_fail(call, row, edit.state, "path element at position %u is null", edit.failed_at);
    else
        kp_call_fail(call, row, edit.state, "%s", edit.failure);
}

static void delete_path(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_buf buf = {0};
    for (uint32_t i = 0; i < call->rows; i++)
        run_edit(call, args, out, i, EDIT_DELETE, &buf);
    kp_buf_finish(&buf);
}
static void set_path(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_buf buf = {0};
    for (uint32_t i = 0; i < call->rows; i++)
        run_edit(call, args, out, i, call->arg_count > 3 && !FN_AT(uint8_t, 3, i) ? EDIT_SET : EDIT_CREATE, &buf);
    kp_buf_finish(&buf);
}
static void insert_path(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_buf buf = {0};
    for (uint32_t i = 0; i < call->rows; i++)
        run_edit(call, args, out, i,
                 call->arg_count > 3 && FN_AT(uint8_t, 3, i) ? EDIT_INSERT_AFTER : EDIT_INSERT_BEFORE, &buf);
    kp_buf_finish(&buf);
}

/* ---- without nulls, in lines ---- */

/* A scalar; a string with no more escapes than it needs. */
static void append_scalar(struct kp_str value, struct kp_buf *out)
{
    struct kp_buf text = {0};
    if (kp_jsonb_kind(value) == KP_JSONB_STRING && memchr(value.ptr, '\\', value.len) &&
        kp_jsonb_string_text(value, &text))
        kp_buf_append_json_string(out, buf_str(&text));
    else
        kp_buf_append_str(out, value);
    kp_buf_finish(&text);
}

static void strip(struct kp_str value, bool spaced, struct kp_buf *out)
{
    struct kp_jsonb_items items;
    struct kp_str key, item;
    bool first = true;
    if (kp_jsonb_kind(value) < KP_JSONB_ARRAY) {
        append_scalar(value, out);
        return;
    }
    kp_jsonb_items_begin(&items, value);
    kp_buf_append_byte(out, items.object ? '{' : '[');
    while (kp_jsonb_items_next(&items, &key, &item)) {
        if (items.object && kp_jsonb_kind(item) == KP_JSONB_NULL)
            continue;
        kp_buf_append_text(out, first ? "" : spaced ? ", " : ",");
        first = false;
        if (items.object) {
            append_scalar(key, out);
            kp_buf_append_text(out, spaced ? ": " : ":");
        }
        strip(item, spaced, out);
    }
    kp_buf_append_byte(out, items.object ? '}' : ']');
}

static void strip_nulls(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_buf buf = {0};
    for (uint32_t i = 0; i < call->rows; i++) {
        const char *sqlstate, *message;
        struct kp_str whole = kp_jsonb_trim(kp_text_str(&FN_AT(struct kp_text, 0, i)));
        buf.len = 0;
        if (args[0]->type.id == KP_JSONB || kp_json_is_text(whole, &sqlstate, &message))
            strip(whole, args[0]->type.id == KP_JSONB, &buf);
        else
            fn_fail_text(call, out, i, sqlstate, message);
        ((struct kp_text *)out->data)[i] = fn_text(call, buf.data, buf.len);
    }
    kp_buf_finish(&buf);
}

enum { PRETTY_BYTES_MAX = 4 * KP_RECORD_BYTES_MAX }; /* a longer one is refused behind the kernel (flow/eval.c) */

static void pretty(struct kp_str value, unsigned depth, struct kp_buf *out)
{
    struct kp_jsonb_items items;
    struct kp_str key, item;
    bool first = true;
    if (kp_jsonb_kind(value) < KP_JSONB_ARRAY) {
        kp_buf_append_str(out, value);
        return;
    }
    kp_jsonb_items_begin(&items, value);
    kp_buf_append_byte(out, items.object ? '{' : '[');
    while (out->len <= PRETTY_BYTES_MAX && kp_jsonb_items_next(&items, &key, &item)) {
        kp_buf_append_text(out, first ? "\n" : ",\n");
        first = false;
        for (unsigned i = 0; i <= depth; i++)
            kp_buf_append_text(out, "    ");
        if (items.object) {
            kp_buf_append_str(out, key);
            kp_buf_append_text(out, ": ");
        }
        pretty(item, depth + 1, out);
    }
    kp_buf_append_byte(out, '\n');
    for (unsigned i = 0; i < depth; i++)
        kp_buf_append_text(out, "    ");
    kp_buf_append_byte(out, items.object ? '}' : ']');
}

static void pretty_kernel(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_buf buf = {0};
    for (uint32_t i = 0; i < call->rows; i++) {
        buf.len = 0;
        pretty(kp_text_str(&FN_AT(struct kp_text, 0, i)), 0, &buf);
        ((struct kp_text *)out->data)[i] = fn_text(call, buf.data, buf.len);
    }
    kp_buf_finish(&buf);
}

/* ---- jsonb to numbers and booleans ---- */

static void to_scalar(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    static const char *const names[] = {"null", "string", "numeric", "boolean", "array", "object"};
    bool boolean = call->type.id == KP_BOOL;
    size_t width = kp_vec_width(out);
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_str value = kp_text_str(&FN_AT(struct kp_text, 0, i));
        enum kp_jsonb_kind kind = kp_jsonb_kind(value);
        uint64_t slot[2] = {0};
        struct kp_error err;
        struct kp_numeric number = kp_numeric_small(0, 0);
        int64_t integer = 0;
        if (kind != (boolean ? KP_JSONB_BOOL : KP_JSONB_NUMBER)) {
            if (!kp_vec_is_null(out, i))
                kp_call_fail(call, i, "22023", "cannot cast jsonb %s to type %s",
                             kind >= KP_JSONB_ARRAY ? (kind == KP_JSONB_ARRAY ? "array" : "object") : names[kind],
                             kp_type_info(call->type.id)->name);
        } else if (boolean) {
            *(uint8_t *)slot = value.ptr[0] == 't';
        } else if (kp_numeric_parse(value, call->arena, &number, &err) != KP_OK) {
            fn_fail(call, out, i, &err);
        } else {
            enum kp_code code = KP_OK;
            switch (call->type.id) {
            case KP_FLOAT8:
                code = kp_numeric_to_f64(&number, (double *)slot, &err);
                break;
            case KP_FLOAT4:
                code = kp_numeric_to_f32(&number, (float *)slot, &err);
                break;
            case KP_NUMERIC:
                memcpy(slot, &number, sizeof number);
                break;
            default:
                code = kp_numeric_to_int(&number, call->type.id, &integer, &err);
                memcpy(slot, &integer, sizeof integer); /* little end first */
            }
            if (code != KP_OK)
                fn_fail(call, out, i, &err);
        }
        memcpy((char *)out->data + i * width, slot, width);
    }
}

#define CAST(type, name)                                                                                               \
    FN_UNARY(name, KP_FUNC_CAST, KP_STRICT | KP_CAN_FAIL, KP_JSONB, type, to_scalar, "the number or truth that it is")
#define EDIT(name_, count, arg_d, kernel_, doc_)                                                                       \
    {                                                                                                                  \
        .name = name_, .kind = KP_FUNC_FUNCTION, .flags = KP_STRICT | KP_CAN_FAIL, .arg_count = count,                 \
        .args = {KP_JSONB, KP_TEXT_ARRAY, KP_JSONB, arg_d}, .ret = KP_JSONB, .kernel = kernel_, .doc = doc_            \
    }
#define OPERATOR(name, arg_b, kernel, doc)                                                                             \
    FN_BINARY(name, KP_FUNC_OPERATOR, KP_STRICT | KP_CAN_FAIL, KP_JSONB, arg_b, KP_JSONB, kernel, doc)

/* What jsonb_set_lax does about a NULL value; false: the word is none of them. */
static bool lax_treatment(struct kp_str word, bool creates, enum edit_kind *ret_kind, bool *ret_raise, bool *ret_keep)
{
    *ret_kind = kp_str_equal(word, KP_STR("delete_key")) ? EDIT_DELETE : creates ? EDIT_CREATE : EDIT_SET;
    *ret_raise = kp_str_equal(word, KP_STR("raise_exception"));
    *ret_keep = kp_str_equal(word, KP_STR("return_target"));
    return *ret_raise || *ret_keep || *ret_kind == EDIT_DELETE || kp_str_equal(word, KP_STR("use_json_null"));
}

/* jsonb_set_lax(target, path, value, create, treatment): jsonb_set, but a NULL value has a meaning of its own. */
static void set_lax(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_datum null = {.type = KP_TYPE(KP_JSONB), .text = kp_text_make("null", 4)};
    struct kp_vec json_null;
    struct kp_buf buf = {0};
    kp_vec_init_constant(&json_null, call->arena, &null);
    const struct kp_vec *instead[] = {args[0], args[1], &json_null};
    for (uint32_t i = 0; i < call->rows; i++) {
        enum edit_kind kind;
        bool raise, keep, value = !kp_vec_is_null(args[2], i);
        ((struct kp_text *)out->data)[i] = kp_text_make("", 0);
        if (kp_vec_is_null(args[0], i) || kp_vec_is_null(args[1], i) || kp_vec_is_null(args[3], i)) {
            kp_vec_need_valid(out, call->arena, call->rows);
            kp_vec_set_null(out, i);
            continue;
        }
        bool creates = FN_AT(uint8_t, 3, i);
        if (kp_vec_is_null(args[4], i)) {
            kp_call_fail(call, i, "22023",
                         "null_value_treatment must be \"delete_key\", \"return_target\", \"use_json_null\", or "
                         "\"raise_exception\"");
        } else if (value) {
            run_edit(call, args, out, i, creates ? EDIT_CREATE : EDIT_SET, &buf);
        } else if (!lax_treatment(kp_text_str(&FN_AT(struct kp_text, 4, i)), creates, &kind, &raise, &keep)) {
            kp_call_fail(call, i, "22023",
                         "null_value_treatment must be \"delete_key\", \"return_target\", \"use_json_null\", or "
                         "\"raise_exception\"");
        } else if (raise) {
            kp_call_fail(call, i, "22004", "JSON value must not be null");
        } else if (keep) {
            ((struct kp_text *)out->data)[i] = FN_AT(struct kp_text, 0, i);
        } else {
            run_edit(call, instead, out, i, kind, &buf);
        }
    }
    kp_buf_finish(&buf);
}

static const struct kp_func funcs[] = {
    OPERATOR("||", KP_JSONB, concatenate, "objects merged, or items joined"),
    OPERATOR("-", KP_TEXT, delete_by_name, "without a key, or string item"),
    OPERATOR("-", KP_TEXT_ARRAY, delete_by_name, "without such keys, or string items"),
    OPERATOR("-", KP_INT4, delete_by_place, "without the item at a place from 0"),
    OPERATOR("#-", KP_TEXT_ARRAY, delete_path, "without what is at a path"),
    FN_BINARY("jsonb_delete_path", KP_FUNC_FUNCTION, KP_STRICT | KP_CAN_FAIL, KP_JSONB, KP_TEXT_ARRAY, KP_JSONB,
              delete_path, "without what is at a path"),
    FN_BINARY("jsonb_delete", KP_FUNC_FUNCTION, KP_STRICT | KP_CAN_FAIL, KP_JSONB, KP_TEXT, KP_JSONB, delete_by_name,
              "without a key, or string item"),
    FN_BINARY("jsonb_delete", KP_FUNC_FUNCTION, KP_STRICT | KP_CAN_FAIL, KP_JSONB, KP_INT4, KP_JSONB, delete_by_place,
              "without the item at a place from 0"),
    FN_BINARY("jsonb_concat", KP_FUNC_FUNCTION, KP_STRICT, KP_JSONB, KP_JSONB, KP_JSONB, concatenate,
              "objects merged, or items joined"),
    EDIT("jsonb_set", 3, KP_TYPE_NONE, set_path, "another value at a path"),
    EDIT("jsonb_set", 4, KP_BOOL, set_path, "another value at a path, made if asked"),
    EDIT("jsonb_insert", 3, KP_TYPE_NONE, insert_path, "a value more at a path"),
    EDIT("jsonb_insert", 4, KP_BOOL, insert_path, "a value more at a path, perhaps behind"),
    {.name = "jsonb_set_lax",
     .kind = KP_FUNC_FUNCTION,
     .flags = KP_CAN_FAIL,
     .arg_count = 5,
     .args = {KP_JSONB, KP_TEXT_ARRAY, KP_JSONB, KP_BOOL, KP_TEXT},
     .ret = KP_JSONB,
     .kernel = set_lax,
     .doc = "another value at a path, or for NULL what is asked"},
    FN_UNARY("json_strip_nulls", KP_FUNC_FUNCTION, KP_STRICT | KP_CAN_FAIL, KP_JSON, KP_JSON, strip_nulls,
             "without null members"),
    FN_UNARY("jsonb_strip_nulls", KP_FUNC_FUNCTION, KP_STRICT, KP_JSONB, KP_JSONB, strip_nulls, "without null members"),
    FN_UNARY("jsonb_pretty", KP_FUNC_FUNCTION, KP_STRICT, KP_JSONB, KP_TEXT, pretty_kernel, "in indented lines"),
    CAST(KP_BOOL, "bool"),
    CAST(KP_INT2, "int2"),
    CAST(KP_INT4, "int4"),
    CAST(KP_INT8, "int8"),
    CAST(KP_FLOAT4, "float4"),
    CAST(KP_FLOAT8, "float8"),
    CAST(KP_NUMERIC, "numeric"),
};
KP_FUNCTIONS(json_edit, funcs);
