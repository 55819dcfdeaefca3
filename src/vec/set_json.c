/* JSON values taken apart into rows: members, items, keys, as json(b) or as text. */
#include "vec/fn.h"
#include "vec/jsonb.h"
#include "vec/set.h"

static struct kp_str value_at(const struct kp_vec *const *args, uint32_t row)
{
    return kp_jsonb_trim(kp_text_str(&FN_AT(struct kp_text, 0, row)));
}

/* A string's text, or the value as it is. JSON's null: false. */
static bool as_text(struct kp_call *call, uint32_t row, struct kp_str value, struct kp_text *ret_text)
{
    enum kp_jsonb_kind kind = kp_jsonb_kind(value);
    *ret_text = fn_text(call, value.ptr, value.len);
    if (kind != KP_JSONB_STRING)
        return kind != KP_JSONB_NULL;
    struct kp_buf buf = {0};
    if (kp_jsonb_string_text(value, &buf))
        *ret_text = fn_text(call, buf.data, buf.len);
    else
        kp_call_fail(call, row, "22P05", "unsupported Unicode escape sequence");
    kp_buf_finish(&buf);
    return true;
}

static void put_value(struct kp_call *call, struct kp_set *set, uint32_t col, uint32_t row, struct kp_str value)
{
    struct kp_text text;
    if (set->cols[col].type.id == KP_TEXT) {
        if (as_text(call, row, value, &text))
            kp_set_put(set, col, &text);
        return;
    }
    text = fn_text(call, value.ptr, value.len);
    kp_set_put(set, col, &text);
}

enum parts { PARTS_MEMBERS, PARTS_KEYS, PARTS_ITEMS };

/* Of equal keys json gives all. */
static bool expand(struct kp_call *call, const struct kp_vec *const *args, uint32_t row, uint64_t from,
                   struct kp_set *set, enum parts parts)
{
    struct kp_jsonb_items items;
    struct kp_str key, item, value = value_at(args, row);
    kp_jsonb_items_begin(&items, value);
    for (uint64_t i = 0; kp_jsonb_items_next(&items, &key, &item); i++) {
        struct kp_text name;
        if (i < from)
            continue;
        if (!kp_set_add(set))
            return false;
        if (parts != PARTS_ITEMS) {
            as_text(call, row, key, &name);
            kp_set_put(set, 0, &name);
        }
        if (parts != PARTS_KEYS)
            put_value(call, set, parts == PARTS_MEMBERS, row, item);
    }
    return true;
}

/* Whether row's json can be read as texts; else the row fails. */
static bool readable(struct kp_call *call, const struct kp_vec *const *args, uint32_t row)
{
    const char *sqlstate, *message;
    if (args[0]->type.id != KP_JSON || kp_json_is_text(value_at(args, row), &sqlstate, &message))
        return true;
    kp_call_fail(call, row, sqlstate, "%s", message);
    return false;
}

static bool refuse(struct kp_call *call, uint32_t row, const char *message)
{
    kp_call_fail(call, row, "22023", "%s", message);
    return true;
}

#define EACH(name, sql_name)                                                                                           \
    static bool name(struct kp_call *call, const struct kp_vec *const *args, uint32_t row, uint64_t from,              \
                     struct kp_set *set)                                                                               \
    {                                                                                                                  \
        enum kp_jsonb_kind kind = kp_jsonb_kind(value_at(args, row));                                                  \
        if (kind != KP_JSONB_OBJECT && args[0]->type.id == KP_JSONB)                                                   \
            return refuse(call, row, "cannot call " sql_name " on a non-object");                                      \
        if (kind == KP_JSONB_ARRAY)                                                                                    \
            return refuse(call, row, "cannot deconstruct an array as an object");                                      \
        if (kind != KP_JSONB_OBJECT)                                                                                   \
            return refuse(call, row, "cannot deconstruct a scalar");                                                   \
        if (!readable(call, args, row))                                                                                \
            return true;                                                                                               \
        return expand(call, args, row, from, set, PARTS_MEMBERS);                                                      \
    }
EACH(each, "jsonb_each")
EACH(each_text, "jsonb_each_text")

#define ELEMENTS(name, sql_name)                                                                                       \
    static bool name(struct kp_call *call, const struct kp_vec *const *args, uint32_t row, uint64_t from,              \
                     struct kp_set *set)                                                                               \
    {                                                                                                                  \
        enum kp_jsonb_kind kind = kp_jsonb_kind(value_at(args, row));                                                  \
        bool jsonb = args[0]->type.id == KP_JSONB;                                                                     \
        if (kind < KP_JSONB_ARRAY)                                                                                     \
            return refuse(call, row,                                                                                   \
                          jsonb ? "cannot extract elements from a scalar" : "cannot call " sql_name " on a scalar");   \
        if (kind == KP_JSONB_OBJECT)                                                                                   \
            return refuse(call, row,                                                                                   \
                          jsonb ? "cannot extract elements from an object"                                             \
                                : "cannot call " sql_name " on a non-array");                                          \
        if (set->cols[0].type.id == KP_TEXT && !readable(call, args, row)) /* else its pieces stay json */             \
            return true;                                                                                               \
        return expand(call, args, row, from, set, PARTS_ITEMS);                                                        \
    }
ELEMENTS(elements, "json_array_elements")
ELEMENTS(elements_text, "json_array_elements_text")

static bool object_keys(struct kp_call *call, const struct kp_vec *const *args, uint32_t row, uint64_t from,
                        struct kp_set *set)
{
    enum kp_jsonb_kind kind = kp_jsonb_kind(value_at(args, row));
    bool jsonb = args[0]->type.id == KP_JSONB;
    if (kind < KP_JSONB_ARRAY)
        return refuse(call, row,
                      jsonb ? "cannot call jsonb_object_keys on a scalar" : "cannot call json_object_keys on a scalar");
    if (kind == KP_JSONB_ARRAY)
        return refuse(call, row,
                      jsonb ? "cannot call jsonb_object_keys on an array" : "cannot call json_object_keys on an array");
    return !readable(call, args, row) || expand(call, args, row, from, set, PARTS_KEYS);
}

#define FLAGS (KP_STRICT | KP_CAN_FAIL)
#define SETS(type, prefix)                                                                                             \
    {prefix "_each", FLAGS, 1, {type}, 2, {{KP_TEXT, "key"}, {type, "value"}}, each, "an object's members"},           \
        {prefix "_each_text",           FLAGS, 1, {type}, 2, {{KP_TEXT, "key"}, {KP_TEXT, "value"}}, each_text,        \
         "an object's members as texts"},                                                                              \
        {prefix "_array_elements", FLAGS, 1, {type}, 1, {{type, "value"}}, elements, "an array's items"},              \
        {prefix "_array_elements_text", FLAGS, 1, {type}, 1, {{KP_TEXT, "value"}}, elements_text,                      \
         "an array's items as texts"},                                                                                 \
    {                                                                                                                  \
        prefix "_object_keys", FLAGS, 1, {type}, 1, {{KP_TEXT, NULL}}, object_keys, "an object's keys"                 \
    }

static const struct kp_set_func funcs[] = {SETS(KP_JSON, "json"), SETS(KP_JSONB, "jsonb")};
KP_SET_FUNCTIONS(json, funcs);
