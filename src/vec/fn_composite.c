/*
 * Rows: ROW(…), their fields, comparison, tests for NULL, row_to_json, json_populate_record.
 *
 * ROW(…), x.field and the tests are functions that SQL cannot name; the binder gives the calls their types (sql/row.c).
 */
#include "vec/composite.h"
#include "vec/fn.h"
#include "vec/jsonb.h"
#include "vec/json_make.h"

static inline const struct kp_text *row_text(const struct kp_vec *vec, uint32_t row)
{
    return kp_vec_at(vec, row);
}

static void make(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_composite_builder builder = {0};
    for (uint32_t i = 0; i < call->rows; i++) {
        for (uint32_t n = 0; n < call->arg_count; n++)
            kp_composite_add(&builder, args[n]->type.id, kp_vec_is_null(args[n], i) ? NULL : kp_vec_at(args[n], i));
        ((struct kp_text *)out->data)[i] = kp_composite_make(&builder, call->arena);
    }
    kp_composite_builder_finish(&builder);
}

/* kp_row_checked(row, …): the row itself. What is computed beside it is there to fail. */
static void checked(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_vec flat = kp_vec_flatten(args[0], call->arena, call->rows);
    memcpy(out->data, flat.data, call->rows * kp_vec_width(out));
    out->valid = flat.valid;
}

/* kp_row_field(row, number from 0) */
static void field(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    size_t width = kp_vec_width(out);
    bool owned = false;
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_composite row;
        uint64_t value[2] = {0};
        kp_composite_read(args[0]->type.id, row_text(args[0], i), &row);
        if (!kp_composite_get(&row, (uint32_t)FN_AT(int32_t, 1, i), call->arena, value) && !kp_vec_is_null(out, i))
            fn_set_null(call, out, i, &owned);
        memcpy((char *)out->data + i * width, value, width);
    }
}

/* IS NULL: itself or all its fields are; IS NOT NULL: none of its fields is. */
static void is_null(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out, bool wanted)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        bool all = true;
        if (!kp_vec_is_null(args[0], i)) {
            struct kp_composite row;
            kp_composite_read(args[0]->type.id, row_text(args[0], i), &row);
            for (uint32_t f = 0; all && f < row.count; f++)
                all = !(row.valid[f >> 3] >> (f & 7) & 1) == wanted;
        } else {
            all = wanted;
        }
        ((uint8_t *)out->data)[i] = all;
    }
}
static void is_null_row(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    is_null(call, args, out, true);
}
static void is_not_null_row(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    is_null(call, args, out, false);
}

/* ---- comparison: of any two types whose fields are of the same types, as far as it must look ---- */

static bool compare_rows(struct kp_call *call, const struct kp_vec *const *args, uint32_t row, int *ret_order)
{
    struct kp_composite a, b;
    *ret_order = 0;
    if (args[0]->type.id == args[1]->type.id) {
        *ret_order = kp_composite_compare(args[0]->type.id, row_text(args[0], row), row_text(args[1], row));
        return true;
    }
    kp_composite_read(args[0]->type.id, row_text(args[0], row), &a);
    kp_composite_read(args[1]->type.id, row_text(args[1], row), &b);
    for (uint32_t i = 0; !*ret_order && i < a.count && i < b.count; i++) {
        enum kp_type_id left = a.type->types[i].id, right = b.type->types[i].id;
        uint64_t x[2], y[2];
        if (left != right) {
            kp_call_fail(call, row, "42804", "cannot compare dissimilar column types %s and %s at record column %u",
                         kp_type_info(left)->name, kp_type_info(right)->name, i + 1);
            return false;
        }
        bool has_x = kp_composite_get(&a, i, call->arena, x), has_y = kp_composite_get(&b, i, call->arena, y);
        *ret_order = has_x && has_y ? kp_value_compare(left, x, y) : has_y - has_x;
    }
    if (!*ret_order && a.count != b.count) {
        kp_call_fail(call, row, "42804", "cannot compare record types with different numbers of columns");
        return false;
    }
    return true;
}

#define COMPARE_KERNEL(name, op)                                                                                       \
    static void name(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)                       \
    {                                                                                                                  \
        for (uint32_t i = 0; i < call->rows; i++) {                                                                    \
            int order = 0;                                                                                             \
            if (!kp_vec_is_null(out, i))                                                                               \
                compare_rows(call, args, i, &order);                                                                   \
            ((uint8_t *)out->data)[i] = order op 0;                                                                    \
        }                                                                                                              \
    }
COMPARE_KERNEL(row_eq, ==)
COMPARE_KERNEL(row_ne, !=)
COMPARE_KERNEL(row_lt, <)
COMPARE_KERNEL(row_le, <=)
COMPARE_KERNEL(row_gt, >)
COMPARE_KERNEL(row_ge, >=)

/* ---- JSON ---- */

static void row_to_json(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_buf buf = {0};
    for (uint32_t i = 0; i < call->rows; i++) {
        bool lines = call->arg_count > 1 && FN_AT(uint8_t, 1, i);
        buf.len = 0;
        kp_composite_print_json(args[0]->type.id, row_text(args[0], i), fn_zone(call), lines, kp_json_append, &buf);
        ((struct kp_text *)out->data)[i] = fn_text(call, buf.data, buf.len);
    }
    kp_buf_finish(&buf);
}

/* The base row with the members that the object has. */
static bool populate(struct kp_call *call, const struct kp_vec *const *args, uint32_t row, struct kp_text *ret_text,
                     bool *ret_null)
{
    struct kp_error err;
    struct kp_type type = args[0]->type;
    bool based = !kp_vec_is_null(args[0], row);
    *ret_null = kp_vec_is_null(args[1], row);
    if (*ret_null) { /* without JSON the base as it is */
        *ret_null = !based;
        *ret_text = based ? *row_text(args[0], row) : kp_text_make("", 0);
        return true;
    }
    struct kp_str json = kp_jsonb_trim(kp_text_str(&FN_AT(struct kp_text, 1, row)));
    const char *sqlstate, *message;
    if (args[1]->type.id == KP_JSON && !kp_json_is_text(json, &sqlstate, &message)) {
        kp_call_fail(call, row, sqlstate, "%s", message);
        return false;
    }
    if (kp_jsonb_kind(json) != KP_JSONB_OBJECT) {
        kp_call_fail(call, row, "22023", "cannot call populate_composite on %s",
                     kp_jsonb_kind(json) == KP_JSONB_ARRAY ? "an array" : "a scalar");
        return false;
    }
    bool null;
    if (kp_json_to_value(type, json, based ? row_text(args[0], row) : NULL, fn_zone(call), call->arena, &null, ret_text,
                         &err) == KP_OK)
        return true;
    kp_call_fail(call, row, err.sqlstate, "%s", err.message);
    return false;
}

static void populate_record(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_text *to = out->data;
    bool composite = kp_type_is_composite(args[0]->type.id);
    if (!composite) /* a value may be narrower than a row's */
        memset(out->data, 0, call->rows * kp_vec_width(out));
    for (uint32_t i = 0; i < call->rows; i++) {
        bool null = false;
        if (!composite) {
            kp_call_fail(call, i, "42804", "first argument of %s must be a row type",
                         args[1]->type.id == KP_JSONB ? "jsonb_populate_record" : "json_populate_record");
            continue;
        }
        to[i] = kp_text_make("", 0);
        if (populate(call, args, i, &to[i], &null) && null) {
            kp_vec_need_valid(out, call->arena, call->rows);
            kp_vec_set_null(out, i);
        }
    }
}

#define COMPARISON(symbol, kernel, doc)                                                                                \
    FN_BINARY(symbol, KP_FUNC_OPERATOR, KP_STRICT | KP_CAN_FAIL, KP_ANYRECORD, KP_ANYRECORD, KP_BOOL, kernel, doc)

static const struct kp_func funcs[] = {
    FN_UNARY("kp_row", KP_FUNC_FUNCTION, KP_VARIADIC, KP_ANY, KP_ANYRECORD, make, "ROW(…)"),
    FN_BINARY("kp_row_field", KP_FUNC_FUNCTION, KP_STRICT, KP_ANYRECORD, KP_INT4, KP_ANY, field, "(x).field"),
    FN_UNARY("kp_row_checked", KP_FUNC_FUNCTION, KP_VARIADIC, KP_ANY, KP_ANYRECORD, checked,
             "the row; the other arguments may fail"),
    FN_UNARY("kp_row_is_null", KP_FUNC_FUNCTION, 0, KP_ANYRECORD, KP_BOOL, is_null_row, "IS NULL"),
    FN_UNARY("kp_row_is_not_null", KP_FUNC_FUNCTION, 0, KP_ANYRECORD, KP_BOOL, is_not_null_row, "IS NOT NULL"),
    COMPARISON("=", row_eq, "equal, field by field"),
    COMPARISON("<>", row_ne, "not equal"),
    COMPARISON("<", row_lt, "less in the first field that differs"),
    COMPARISON("<=", row_le, "at most"),
    COMPARISON(">", row_gt, "greater"),
    COMPARISON(">=", row_ge, "at least"),
    FN_UNARY("row_to_json", KP_FUNC_FUNCTION, KP_STRICT | KP_STABLE, KP_ANYRECORD, KP_JSON, row_to_json,
             "the row as an object"),
    FN_BINARY("row_to_json", KP_FUNC_FUNCTION, KP_STRICT | KP_STABLE, KP_ANYRECORD, KP_BOOL, KP_JSON, row_to_json,
              "the row as an object, perhaps in lines"),
    FN_BINARY("json_populate_record", KP_FUNC_FUNCTION, KP_CAN_FAIL | KP_STABLE, KP_ANYELEMENT, KP_JSON, KP_ANYELEMENT,
              populate_record, "the row with an object's members"),
    FN_BINARY("jsonb_populate_record", KP_FUNC_FUNCTION, KP_CAN_FAIL | KP_STABLE, KP_ANYELEMENT, KP_JSONB,
              KP_ANYELEMENT, populate_record, "the row with an object's members"),
};
KP_FUNCTIONS(composite, funcs);
