/*
 * JSON objects as rows: json(b)_to_record, json(b)_to_recordset, whose columns the query declares, and
 * json(b)_populate_recordset, whose columns are the fields of its first argument's type.
 *
 * A column takes the member of its name; what has no member is NULL, or the first argument's field.
 */
#include <stdio.h>

#include "vec/composite.h"
#include "vec/fn.h"
#include "vec/jsonb.h"
#include "vec/set.h"

/* One row; base NULL: there is none. */
static bool add_row(struct kp_call *call, uint32_t row, struct kp_str object, const struct kp_composite *base,
                    struct kp_set *set)
{
    if (!kp_set_add(set))
        return false;
    for (uint32_t c = 0; c < set->col_count; c++) {
        struct kp_error err;
        struct kp_str member;
        uint64_t value[2] = {0}, was[2];
        bool based = base && base->type && kp_composite_get(base, c, call->arena, value), null = !based;
        if (kp_jsonb_member(object, kp_str(set->names[c]), &member)) {
            memcpy(was, value, sizeof was);
            based &= kp_type_is_composite(set->cols[c].type.id);
            if (kp_json_to_value(set->cols[c].type, member, based ? (struct kp_text *)was : NULL, fn_zone(call),
                                 call->arena, &null, value, &err) != KP_OK) {
                kp_call_fail(call, row, err.sqlstate, "%s", err.message);
                return true;
            }
        }
        if (!null)
            kp_set_put(set, c, value);
    }
    return true;
}

static bool refuse(struct kp_call *call, uint32_t row, const char *format, const char *name)
{
    char message[128];
    snprintf(message, sizeof message, format, name);
    kp_call_fail(call, row, "22023", "%s", message);
    return true;
}

/* The row's argument `at`; false: the row fails, it is json that holds what no text can. */
static bool read_json(struct kp_call *call, const struct kp_vec *const *args, unsigned at, uint32_t row,
                      struct kp_str *ret_value)
{
    const char *sqlstate, *message;
    *ret_value = kp_jsonb_trim(kp_text_str(&FN_AT(struct kp_text, at, row)));
    if (args[at]->type.id != KP_JSON || kp_json_is_text(*ret_value, &sqlstate, &message))
        return true;
    kp_call_fail(call, row, sqlstate, "%s", message);
    return false;
}

static bool expand_object(struct kp_call *call, const struct kp_vec *const *args, uint32_t row, uint64_t from,
                          struct kp_set *set)
{
    if (from)
        return true;
    if (kp_vec_is_null(args[0], row)) /* one row, of NULLs */
        return kp_set_add(set);
    struct kp_str value;
    if (!read_json(call, args, 0, row, &value))
        return true;
    enum kp_jsonb_kind kind = kp_jsonb_kind(value);
    if (kind != KP_JSONB_OBJECT)
        return refuse(call, row, kind == KP_JSONB_ARRAY ? "cannot call %s on an array" : "cannot call %s on a scalar",
                      "populate_composite");
    return add_row(call, row, value, NULL, set);
}

static bool expand_array(struct kp_call *call, uint32_t row, uint64_t from, struct kp_str value, const char *name,
                         const struct kp_composite *base, struct kp_set *set)
{
    struct kp_jsonb_items items;
    struct kp_str key, item;
    enum kp_jsonb_kind kind = kp_jsonb_kind(value);
    if (kind != KP_JSONB_ARRAY && strncmp(name, "jsonb", 5) == 0)
        return refuse(call, row, "cannot call %s on a non-array", name);
    if (kind != KP_JSONB_ARRAY)
        return refuse(call, row, kind == KP_JSONB_OBJECT ? "cannot call %s on an object" : "cannot call %s on a scalar",
                      name);
    kp_jsonb_items_begin(&items, value);
    for (uint64_t i = 0; kp_jsonb_items_next(&items, &key, &item); i++) {
        if (i < from)
            continue;
        item = kp_jsonb_trim(item);
        if (kp_jsonb_kind(item) != KP_JSONB_OBJECT)
            return refuse(call, row, "argument of %s must be an array of objects", name);
        uint32_t errors = call->error_count;
        if (!add_row(call, row, item, base, set))
            return false;
        if (call->error_count != errors)
            return true;
    }
    return true;
}

static bool expand_records(struct kp_call *call, const struct kp_vec *const *args, uint32_t row, uint64_t from,
                           struct kp_set *set)
{
    struct kp_str value;
    if (!read_json(call, args, 0, row, &value))
        return true;
    return expand_array(call, row, from, value,
                        args[0]->type.id == KP_JSONB ? "jsonb_to_recordset" : "json_to_recordset", NULL, set);
}

static bool populate(struct kp_call *call, const struct kp_vec *const *args, uint32_t row, uint64_t from,
                     struct kp_set *set)
{
    struct kp_composite base = {0};
    if (kp_vec_is_null(args[1], row))
        return true;
    if (!kp_vec_is_null(args[0], row))
        kp_composite_read(args[0]->type.id, kp_vec_at(args[0], row), &base);
    struct kp_str value;
    if (!read_json(call, args, 1, row, &value))
        return true;
    return expand_array(call, row, from, value,
                        args[1]->type.id == KP_JSONB ? "jsonb_populate_recordset" : "json_populate_recordset", &base,
                        set);
}

#define RECORD(name_, flags_, count_, a, b, expand_, doc_)                                                             \
    {                                                                                                                  \
        .name = name_, .flags = (flags_) | KP_CAN_FAIL | KP_STABLE, .arg_count = count_, .args = {a, b},               \
        .col_count = 0, .expand = expand_, .doc = doc_                                                                 \
    }
#define RECORDS(prefix, type)                                                                                          \
    RECORD(prefix "_to_record", 0, 1, type, KP_TYPE_NONE, expand_object, "an object's members as declared"),           \
        RECORD(prefix "_to_recordset", KP_STRICT, 1, type, KP_TYPE_NONE, expand_records,                               \
               "the members of an array's objects as declared"),                                                       \
        RECORD(prefix "_populate_recordset", 0, 2, KP_ANYRECORD, type, populate,                                       \
               "the rows with the members of an array's objects")

static const struct kp_set_func funcs[] = {RECORDS("json", KP_JSON), RECORDS("jsonb", KP_JSONB)};
KP_SET_FUNCTIONS(json_record, funcs);
