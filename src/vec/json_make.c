/* JSON of values, PostgreSQL's way: it differs from kp_value_print_json, which is for clients that read JavaScript. */
#include "vec/json_make.h"

#include "vec/array.h"
#include "vec/composite.h"
#include "vec/json.h"

static void append_timestamptz(struct kp_type type, const void *value, const struct kp_zone *zone, struct kp_buf *out)
{
    kp_value_print_json(type, value, zone, out);
    size_t at = out->len - 2; /* "…Z" */
    if (out->data[at] == 'Z') {
        out->len = at;
        kp_buf_append_text(out, "+00:00\"");
    }
}

void kp_json_append(struct kp_type type, const void *value, const struct kp_zone *zone, struct kp_buf *out)
{
    const struct kp_numeric *numeric = value;
    if (kp_type_is_array(type.id)) {
        kp_array_print_json(type, value, zone, false, kp_json_append, out);
        return;
    }
    if (kp_type_is_composite(type.id)) {
        kp_composite_print_json(type.id, value, zone, false, kp_json_append, out);
        return;
    }
    switch (type.id) {
    case KP_INT8:
        kp_value_print(type, value, zone, out);
        return;
    case KP_NUMERIC:
        if (numeric->kind == KP_NUMERIC_SMALL || numeric->kind == KP_NUMERIC_BIG)
            kp_value_print(type, value, zone, out);
        else
            kp_value_print_json(type, value, zone, out);
        return;
    case KP_TIMESTAMPTZ:
        append_timestamptz(type, value, zone, out);
        return;
    case KP_OID:
    case KP_REGCLASS: {
        struct kp_buf text = {0};
        kp_value_print(type, value, zone, &text);
        kp_buf_append_json_string(out, (struct kp_str){(const char *)text.data, text.len});
        kp_buf_finish(&text);
        return;
    }
    default:
        kp_value_print_json(type, value, zone, out);
    }
}

bool kp_json_append_key(struct kp_type type, const void *value, const struct kp_zone *zone, struct kp_buf *out)
{
    if (kp_type_is_array(type.id) || kp_type_is_composite(type.id) || type.id == KP_JSON || type.id == KP_JSONB)
        return false;
    if (type.id == KP_TIMESTAMP || type.id == KP_TIMESTAMPTZ) { /* with a T, as values are */
        kp_json_append(type, value, zone, out);
        return true;
    }
    struct kp_buf text = {0};
    if (type.id == KP_BOOL)
        kp_buf_append_text(&text, *(const uint8_t *)value ? "true" : "false");
    else
        kp_value_print(type, value, zone, &text);
    kp_buf_append_json_string(out, (struct kp_str){(const char *)text.data, text.len});
    kp_buf_finish(&text);
    return true;
}

void kp_json_append_row(const struct kp_vec *vec, uint32_t row, const struct kp_zone *zone, struct kp_buf *out)
{
    if (kp_vec_is_null(vec, row))
        kp_buf_append_text(out, "null");
    else
        kp_json_append(vec->type, kp_vec_at(vec, row), zone, out);
}

enum kp_code kp_json_take(enum kp_type_id type, struct kp_buf *made, struct kp_arena *arena, struct kp_text *ret_text,
                          struct kp_error *err)
{
    struct kp_str text = {made->data ? (const char *)made->data : "", made->len};
    if (type == KP_JSONB)
        return kp_json_parse(type, text, arena, ret_text, err);
    if (!kp_arena_may(arena, text.len))
        text = KP_STR("null"); /* in vain */
    *ret_text = kp_text_make(kp_arena_strndup(arena, text.ptr, text.len), text.len);
    return KP_OK;
}
