/* Functions that build JSON from values, as json or jsonb. */
#include "vec/fn.h"
#include "vec/json_make.h"

#include "vec/array.h"
#include "vec/jsonb.h"

/* Stores what was made for a row. */
static void take(struct kp_call *call, struct kp_vec *out, uint32_t row, struct kp_buf *buf)
{
    struct kp_error err;
    struct kp_text *to = out->data;
    to[row] = kp_text_make("", 0);
    if (kp_json_take(call->type.id, buf, call->arena, &to[row], &err) != KP_OK)
        fn_fail(call, out, row, &err);
}

/* A key: the argument's text. False, with the error, for NULL. */
static bool append_key(struct kp_call *call, const struct kp_vec *const *args, uint32_t arg, uint32_t row,
                       struct kp_buf *buf)
{
    if (kp_vec_is_null(args[arg], row)) {
        if (call->type.id == KP_JSONB)
            kp_call_fail(call, row, "22023", "argument %u: key must not be null", arg + 1);
        else
            kp_call_fail(call, row, "22023", "argument %u cannot be null", arg + 1);
        kp_call_explain(call, NULL, call->type.id == KP_JSONB ? NULL : "Object keys should be text.");
        return false;
    }
    if (kp_json_append_key(args[arg]->type, kp_vec_at(args[arg], row), fn_zone(call), buf))
        return true;
    kp_call_fail(call, row, "22023", "key value must be scalar, not array, composite, or json");
    return false;
}

static void build_object(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_buf buf = {0};
    for (uint32_t i = 0; i < call->rows; i++) {
        buf.len = 0;
        kp_buf_append_byte(&buf, '{');
        if (call->arg_count % 2) {
            kp_call_fail(call, i, "22023", "argument list must have even number of elements");
            kp_call_explain(call, NULL,
                            call->type.id == KP_JSONB
                                ? "The arguments of jsonb_build_object() must consist of alternating keys and values."
                                : "The arguments of json_build_object() must consist of alternating keys and values.");
        }
        for (uint32_t a = 0; a + 1 < call->arg_count; a += 2) {
            kp_buf_append_text(&buf, a ? ", " : "");
            if (!append_key(call, args, a, i, &buf)) {
                buf.len = 1;
                break;
            }
            kp_buf_append_text(&buf, " : ");
            kp_json_append_row(args[a + 1], i, fn_zone(call), &buf);
        }
        kp_buf_append_byte(&buf, '}');
        take(call, out, i, &buf);
    }
    kp_buf_finish(&buf);
}

static void build_array(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_buf buf = {0};
    for (uint32_t i = 0; i < call->rows; i++) {
        buf.len = 0;
        kp_buf_append_byte(&buf, '[');
        for (uint32_t a = 0; a < call->arg_count; a++) {
            kp_buf_append_text(&buf, a ? ", " : "");
            kp_json_append_row(args[a], i, fn_zone(call), &buf);
        }
        kp_buf_append_byte(&buf, ']');
        take(call, out, i, &buf);
    }
    kp_buf_finish(&buf);
}

static void to_json(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_buf buf = {0};
    for (uint32_t i = 0; i < call->rows; i++) {
        buf.len = 0;
        if (!kp_vec_is_null(out, i))
            kp_json_append_row(args[0], i, fn_zone(call), &buf);
        else
            kp_buf_append_text(&buf, "null");
        take(call, out, i, &buf);
    }
    kp_buf_finish(&buf);
}

/* array_to_json(a, true): a line an item of the first dimension. */
static void array_to_json(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_buf buf = {0}, flat = {0};
    for (uint32_t i = 0; i < call->rows; i++) {
        buf.len = flat.len = 0;
        if (!kp_vec_is_null(out, i))
            kp_json_append_row(args[0], i, fn_zone(call), &flat);
        struct kp_jsonb_items items;
        struct kp_str key, item, whole = {(const char *)flat.data, flat.len};
        if (FN_AT(uint8_t, 1, i) && whole.len && whole.ptr[0] == '[') {
            bool first = true;
            kp_buf_append_byte(&buf, '[');
            for (kp_jsonb_items_begin(&items, whole); kp_jsonb_items_next(&items, &key, &item); first = false) {
                kp_buf_append_text(&buf, first ? "" : ",\n ");
                kp_buf_append_str(&buf, item);
            }
            kp_buf_append_byte(&buf, ']');
        } else {
            kp_buf_append_str(&buf, whole);
        }
        take(call, out, i, &buf);
    }
    kp_buf_finish(&buf);
    kp_buf_finish(&flat);
}

/* ---- json_object(text[]) and json_object(keys, values): all values are strings ---- */

static void append_pair(struct kp_buf *buf, bool first, struct kp_str key, const struct kp_text *value)
{
    kp_buf_append_text(buf, first ? "" : ", ");
    kp_buf_append_json_string(buf, key);
    kp_buf_append_text(buf, " : ");
    if (value)
        kp_buf_append_json_string(buf, kp_text_str(value));
    else
        kp_buf_append_text(buf, "null");
}

static void pairs_of(struct kp_call *call, const struct kp_array *keys, const struct kp_array *values, uint32_t step,
                     uint32_t row, struct kp_buf *buf)
{
    for (uint32_t e = 0; e < keys->count; e += step) {
        struct kp_text key, value;
        if (!kp_array_get(keys, e, call->arena, &key)) {
            kp_call_fail(call, row, "22004", "null value not allowed for object key");
            return;
        }
        bool is = kp_array_get(values, e + step - 1, call->arena, &value);
        append_pair(buf, e == 0, kp_text_str(&key), is ? &value : NULL);
    }
}

static void object_of_array(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_buf buf = {0};
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_array array;
        kp_array_read(args[0]->type.id, &FN_AT(struct kp_text, 0, i), &array);
        buf.len = 0;
        kp_buf_append_byte(&buf, '{');
        if (array.dimensions > 2)
            fn_fail_text(call, out, i, "2202E", "wrong number of array subscripts");
        else if (array.dimensions == 2 && array.lengths[1] != 2)
            fn_fail_text(call, out, i, "2202E", "array must have two columns");
        else if (array.count % 2)
            fn_fail_text(call, out, i, "2202E", "array must have even number of elements");
        else
            pairs_of(call, &array, &array, 2, i, &buf);
        kp_buf_append_byte(&buf, '}');
        take(call, out, i, &buf);
    }
    kp_buf_finish(&buf);
}

static void object_of_arrays(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_buf buf = {0};
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_array keys, values;
        kp_array_read(args[0]->type.id, &FN_AT(struct kp_text, 0, i), &keys);
        kp_array_read(args[1]->type.id, &FN_AT(struct kp_text, 1, i), &values);
        buf.len = 0;
        kp_buf_append_byte(&buf, '{');
        if (keys.dimensions > 1 || keys.dimensions != values.dimensions)
            fn_fail_text(call, out, i, "2202E", "wrong number of array subscripts");
        else if (keys.count != values.count)
            fn_fail_text(call, out, i, "2202E", "mismatched array dimensions");
        else
            pairs_of(call, &keys, &values, 1, i, &buf);
        kp_buf_append_byte(&buf, '}');
        take(call, out, i, &buf);
    }
    kp_buf_finish(&buf);
}

#define BUILD(name_, flags_, count, arg_a, arg_b, ret_, kernel_, doc_)                                                 \
    {                                                                                                                  \
        .name = name_, .kind = KP_FUNC_FUNCTION, .flags = flags_, .arg_count = count, .args = {arg_a, arg_b},          \
        .ret = ret_, .kernel = kernel_, .doc = doc_                                                                    \
    }
#define BUILDERS(prefix, ret)                                                                                          \
    BUILD(prefix "_build_object", KP_VARIADIC | KP_STABLE | KP_CAN_FAIL, 1, KP_ANY, KP_TYPE_NONE, ret, build_object,   \
          "an object of keys and values in turn"),                                                                     \
        BUILD(prefix "_build_object", KP_STABLE, 0, KP_TYPE_NONE, KP_TYPE_NONE, ret, build_object, "{}"),              \
        BUILD(prefix "_build_array", KP_VARIADIC | KP_STABLE | KP_CAN_FAIL, 1, KP_ANY, KP_TYPE_NONE, ret, build_array, \
              "an array of values"),                                                                                   \
        BUILD(prefix "_build_array", KP_STABLE, 0, KP_TYPE_NONE, KP_TYPE_NONE, ret, build_array, "[]"),                \
        BUILD(prefix "_object", KP_STRICT | KP_CAN_FAIL, 1, KP_TEXT_ARRAY, KP_TYPE_NONE, ret, object_of_array,         \
              "an object of texts, keys and values in turn"),                                                          \
        BUILD(prefix "_object", KP_STRICT | KP_CAN_FAIL, 2, KP_TEXT_ARRAY, KP_TEXT_ARRAY, ret, object_of_arrays,       \
              "an object of keys and their texts")

static const struct kp_func funcs[] = {
    BUILDERS("json", KP_JSON),
    BUILDERS("jsonb", KP_JSONB),
    BUILD("to_json", KP_STRICT | KP_STABLE, 1, KP_ANY, KP_TYPE_NONE, KP_JSON, to_json, "the value as JSON"),
    BUILD("to_jsonb", KP_STRICT | KP_STABLE | KP_CAN_FAIL, 1, KP_ANY, KP_TYPE_NONE, KP_JSONB, to_json,
          "the value as JSON"),
    BUILD("array_to_json", KP_STRICT | KP_STABLE, 1, KP_ANYARRAY, KP_TYPE_NONE, KP_JSON, to_json, "the array as JSON"),
    BUILD("array_to_json", KP_STRICT | KP_STABLE, 2, KP_ANYARRAY, KP_BOOL, KP_JSON, array_to_json,
          "the array as JSON, perhaps in lines"),
};
KP_FUNCTIONS(json, funcs);
