/*
 * Questions to JSON values: -> ->> #> #>> by key, place or path, existence, containment, type, size. json answers with
 * a piece of its own text, jsonb with one of its canonical text, so the same kernels do for both.
 */
#include "vec/array.h"
#include "vec/fn.h"
#include "vec/jsonb.h"

/* ---- pieces ---- */

/* Stores a piece as json, or its text: strings without quotes and escapes, JSON's null as NULL. */
static void store(struct kp_call *call, struct kp_vec *out, uint32_t row, struct kp_str piece, bool found, bool *owned)
{
    struct kp_text *to = (struct kp_text *)out->data + row;
    bool text = call->type.id == KP_TEXT;
    enum kp_jsonb_kind kind = kp_jsonb_kind(piece);
    *to = kp_text_make("", 0);
    if (kp_vec_is_null(out, row))
        return;
    if (!found || (text && kind == KP_JSONB_NULL)) {
        fn_set_null(call, out, row, owned);
    } else if (text && kind == KP_JSONB_STRING) {
        struct kp_buf buf = {0};
        if (kp_jsonb_string_text(piece, &buf))
            *to = fn_text(call, buf.data, buf.len);
        else
            kp_call_fail(call, row, "22P05", "unsupported Unicode escape sequence");
        kp_buf_finish(&buf);
    } else {
        *to = fn_text(call, piece.ptr, piece.len);
    }
}

static struct kp_str value_at(const struct kp_vec *const *args, uint32_t row)
{
    return kp_jsonb_trim(kp_text_str(&FN_AT(struct kp_text, 0, row)));
}

/* Whether row's json can be read as texts, as PostgreSQL reads all of it even for one piece; else the row fails. jsonb
 * always can. */
static bool readable(struct kp_call *call, const struct kp_vec *const *args, const struct kp_vec *out, uint32_t row)
{
    const char *sqlstate, *message;
    if (args[0]->type.id != KP_JSON || kp_vec_is_null(out, row) ||
        kp_json_is_text(kp_text_str(&FN_AT(struct kp_text, 0, row)), &sqlstate, &message))
        return true;
    kp_call_fail(call, row, sqlstate, "%s", message);
    ((struct kp_text *)out->data)[row] = kp_text_make("", 0);
    return false;
}

static void by_key(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    bool owned = false;
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_str piece = {"", 0};
        if (!readable(call, args, out, i))
            continue;
        bool found = kp_jsonb_member(value_at(args, i), kp_text_str(&FN_AT(struct kp_text, 1, i)), &piece);
        store(call, out, i, piece, found, &owned);
    }
}

static void by_place(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    bool owned = false;
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_str piece = {"", 0};
        struct kp_str value = value_at(args, i);
        int32_t place = FN_AT(int32_t, 1, i);
        if (!readable(call, args, out, i))
            continue;
        bool found = kp_jsonb_item(value, place, &piece);
        if (args[0]->type.id == KP_JSONB && kp_jsonb_kind(value) < KP_JSONB_ARRAY && (place == 0 || place == -1)) {
            piece = value; /* a scalar is an array of itself there */
            found = true;
        }
        store(call, out, i, piece, found, &owned);
    }
}

/* A path's step that is an integer. */
static bool step_index(struct kp_str step, int64_t *ret_index)
{
    size_t at = step.len && (step.ptr[0] == '-' || step.ptr[0] == '+');
    int64_t value = 0;
    if (at == step.len || step.len > 11)
        return false;
    for (size_t i = at; i < step.len; i++) {
        if (step.ptr[i] < '0' || step.ptr[i] > '9')
            return false;
        value = value * 10 + (step.ptr[i] - '0');
    }
    *ret_index = step.ptr[0] == '-' ? -value : value;
    return true;
}

static bool take_step(struct kp_str *value, struct kp_str step)
{
    int64_t index;
    struct kp_str piece;
    bool found = false;
    if (kp_jsonb_kind(*value) == KP_JSONB_OBJECT)
        found = kp_jsonb_member(*value, step, &piece);
    else if (kp_jsonb_kind(*value) == KP_JSONB_ARRAY && step_index(step, &index))
        found = kp_jsonb_item(*value, index, &piece);
    if (found)
        *value = piece;
    return found;
}

static void by_path(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    bool owned = false;
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_array path;
        struct kp_str value = value_at(args, i);
        if (!readable(call, args, out, i))
            continue;
        kp_array_read(KP_TEXT_ARRAY, &FN_AT(struct kp_text, 1, i), &path);
        bool found = true;
        for (uint32_t e = 0; found && e < path.count; e++) {
            struct kp_text step;
            found = kp_array_get(&path, e, call->arena, &step) && take_step(&value, kp_text_str(&step));
        }
        store(call, out, i, value, found, &owned);
    }
}

/* json_extract_path(json, step, …). */
static void extract(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    bool owned = false;
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_str value = value_at(args, i);
        bool found = true;
        if (!readable(call, args, out, i))
            continue;
        for (uint32_t a = 1; found && a < call->arg_count; a++)
            found = take_step(&value, kp_text_str(&FN_AT(struct kp_text, a, i)));
        store(call, out, i, value, found, &owned);
    }
}

/* ---- existence ---- */

static bool has_key(struct kp_str value, struct kp_str name)
{
    struct kp_jsonb_items items;
    struct kp_str key, item;
    if (kp_jsonb_kind(value) == KP_JSONB_STRING)
        return kp_jsonb_key_is(value, name);
    for (kp_jsonb_items_begin(&items, value); kp_jsonb_items_next(&items, &key, &item);)
        if (items.object ? kp_jsonb_key_is(key, name)
                         : kp_jsonb_kind(item) == KP_JSONB_STRING && kp_jsonb_key_is(item, name))
            return true;
    return false;
}

static void exists(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    for (uint32_t i = 0; i < call->rows; i++)
        ((uint8_t *)out->data)[i] = has_key(value_at(args, i), kp_text_str(&FN_AT(struct kp_text, 1, i)));
}

/* NULLs among the keys are passed over. */
static bool has_keys(struct kp_call *call, const struct kp_vec *const *args, uint32_t row, bool all)
{
    struct kp_array keys;
    struct kp_str value = value_at(args, row);
    kp_array_read(KP_TEXT_ARRAY, &FN_AT(struct kp_text, 1, row), &keys);
    for (uint32_t e = 0; e < keys.count; e++) {
        struct kp_text name;
        if (kp_array_get(&keys, e, call->arena, &name) && has_key(value, kp_text_str(&name)) != all)
            return !all;
    }
    return all;
}

static void exists_any(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    for (uint32_t i = 0; i < call->rows; i++)
        ((uint8_t *)out->data)[i] = has_keys(call, args, i, false);
}
static void exists_all(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    for (uint32_t i = 0; i < call->rows; i++)
        ((uint8_t *)out->data)[i] = has_keys(call, args, i, true);
}

/* ---- containment ---- */

static bool contains(struct kp_str whole, struct kp_str part);

static bool array_contains(struct kp_str whole, struct kp_str item)
{
    struct kp_jsonb_items items;
    struct kp_str key, other;
    bool container = kp_jsonb_kind(item) >= KP_JSONB_ARRAY;
    for (kp_jsonb_items_begin(&items, whole); kp_jsonb_items_next(&items, &key, &other);)
        if (kp_jsonb_kind(other) == kp_jsonb_kind(item) &&
            (container ? contains(other, item) : kp_jsonb_compare(other, item) == 0))
            return true;
    return false;
}

static bool contains(struct kp_str whole, struct kp_str part)
{
    struct kp_jsonb_items items;
    struct kp_str key, item, other;
    enum kp_jsonb_kind kind = kp_jsonb_kind(whole), part_kind = kp_jsonb_kind(part);
    if (kind != part_kind)
        return kind == KP_JSONB_ARRAY && part_kind < KP_JSONB_ARRAY && array_contains(whole, part);
    if (kind < KP_JSONB_ARRAY)
        return kp_jsonb_compare(whole, part) == 0;
    struct kp_buf name = {0};
    bool all = true;
    kp_jsonb_items_begin(&items, part);
    while (all && kp_jsonb_items_next(&items, &key, &item)) {
        if (kind == KP_JSONB_ARRAY) {
            all = array_contains(whole, item);
            continue;
        }
        name.len = 0;
        kp_jsonb_string_text(key, &name);
        all = kp_jsonb_member(whole, (struct kp_str){(const char *)name.data, name.len}, &other) &&
              kp_jsonb_kind(other) == kp_jsonb_kind(item) && contains(other, item);
    }
    kp_buf_finish(&name);
    return all;
}

static void contains_kernel(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    for (uint32_t i = 0; i < call->rows; i++)
        ((uint8_t *)out->data)[i] = contains(value_at(args, i), kp_text_str(&FN_AT(struct kp_text, 1, i)));
}
static void contained_kernel(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    for (uint32_t i = 0; i < call->rows; i++)
        ((uint8_t *)out->data)[i] = contains(kp_text_str(&FN_AT(struct kp_text, 1, i)), value_at(args, i));
}

/* ---- type, size ---- */

static void type_of(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    static const char *const names[] = {"null", "string", "number", "boolean", "array", "object"};
    for (uint32_t i = 0; i < call->rows; i++)
        ((struct kp_text *)out->data)[i] =
            kp_text_make(names[kp_jsonb_kind(value_at(args, i))], strlen(names[kp_jsonb_kind(value_at(args, i))]));
}

static void array_length(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_str value = value_at(args, i);
        enum kp_jsonb_kind kind = kp_jsonb_kind(value);
        ((int32_t *)out->data)[i] = (int32_t)kp_jsonb_item_count(value);
        if (kind == KP_JSONB_ARRAY)
            continue;
        fn_fail_text(call, out, i, "22023",
                     kind < KP_JSONB_ARRAY ? "cannot get array length of a scalar"
                                           : "cannot get array length of a non-array");
    }
}

#define READ(name_, kind_, flags_, type, arg_b, ret_, kernel_, doc_)                                                   \
    FN_BINARY(name_, kind_, KP_STRICT | (flags_), type, arg_b, ret_, kernel_, doc_)
#define PATH(name_, type, ret_)                                                                                        \
    {                                                                                                                  \
        .name = name_, .kind = KP_FUNC_FUNCTION, .flags = KP_STRICT | KP_VARIADIC | KP_CAN_FAIL, .arg_count = 2,       \
        .args = {type, KP_TEXT}, .ret = ret_, .kernel = extract, .doc = "the piece at a path"                          \
    }
#define JSON_FAILS(type) ((type) == KP_JSON ? KP_CAN_FAIL : 0)
#define READERS(type, prefix)                                                                                          \
    READ("->", KP_FUNC_OPERATOR, JSON_FAILS(type), type, KP_TEXT, type, by_key, "the member of a key"),                \
        READ("->", KP_FUNC_OPERATOR, JSON_FAILS(type), type, KP_INT4, type, by_place, "the item at a place from 0"),   \
        READ("->>", KP_FUNC_OPERATOR, KP_CAN_FAIL, type, KP_TEXT, KP_TEXT, by_key, "the member of a key as text"),     \
        READ("->>", KP_FUNC_OPERATOR, KP_CAN_FAIL, type, KP_INT4, KP_TEXT, by_place, "the item at a place as text"),   \
        READ("#>", KP_FUNC_OPERATOR, JSON_FAILS(type), type, KP_TEXT_ARRAY, type, by_path, "the piece at a path"),     \
        READ("#>>", KP_FUNC_OPERATOR, KP_CAN_FAIL, type, KP_TEXT_ARRAY, KP_TEXT, by_path,                              \
             "the piece at a path as text"),                                                                           \
        PATH(prefix "_extract_path", type, type), PATH(prefix "_extract_path_text", type, KP_TEXT),                    \
        FN_UNARY(prefix "_typeof", KP_FUNC_FUNCTION, KP_STRICT, type, KP_TEXT, type_of,                                \
                 "null, string, number, boolean, array or object"),                                                    \
        FN_UNARY(prefix "_array_length", KP_FUNC_FUNCTION, KP_STRICT | KP_CAN_FAIL, type, KP_INT4, array_length,       \
                 "items")

static const struct kp_func funcs[] = {
    READERS(KP_JSON, "json"),
    READERS(KP_JSONB, "jsonb"),
    READ("?", KP_FUNC_OPERATOR, 0, KP_JSONB, KP_TEXT, KP_BOOL, exists, "has the key, or the string as an item"),
    READ("?|", KP_FUNC_OPERATOR, 0, KP_JSONB, KP_TEXT_ARRAY, KP_BOOL, exists_any, "has any of the keys"),
    READ("?&", KP_FUNC_OPERATOR, 0, KP_JSONB, KP_TEXT_ARRAY, KP_BOOL, exists_all, "has all of the keys"),
    READ("@>", KP_FUNC_OPERATOR, 0, KP_JSONB, KP_JSONB, KP_BOOL, contains_kernel, "contains the other"),
    READ("<@", KP_FUNC_OPERATOR, 0, KP_JSONB, KP_JSONB, KP_BOOL, contained_kernel, "is contained in the other"),
    READ("jsonb_contains", KP_FUNC_FUNCTION, 0, KP_JSONB, KP_JSONB, KP_BOOL, contains_kernel, "contains the other"),
    READ("jsonb_contained", KP_FUNC_FUNCTION, 0, KP_JSONB, KP_JSONB, KP_BOOL, contained_kernel,
         "is contained in the other"),
    READ("jsonb_exists_any", KP_FUNC_FUNCTION, 0, KP_JSONB, KP_TEXT_ARRAY, KP_BOOL, exists_any, "has any of the keys"),
    READ("jsonb_exists_all", KP_FUNC_FUNCTION, 0, KP_JSONB, KP_TEXT_ARRAY, KP_BOOL, exists_all, "has all of the keys"),
    READ("jsonb_exists", KP_FUNC_FUNCTION, 0, KP_JSONB, KP_TEXT, KP_BOOL, exists, "has the key"),
};
KP_FUNCTIONS(json_read, funcs);
