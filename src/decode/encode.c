/*
 * Rows to JSON: what INSERT and sinks append to the log, so that decoding gives the same values back.
 *
 * SQL's NULL and json's null are two values. A column's NULL is null, but a json column's is a field left out, and null
 * is json's. Inside arrays and rows nothing can be left out: one that has a null, and json in it, is written in its
 * text form, which tells NULL from "null" and is read back as well.
 */
#include "decode/decode.h"
#include "vec/composite.h"
#include "vec/jsonb.h"
#include "vec/made.h"

static bool holds_json(enum kp_type_id type)
{
    if (kp_type_is_array(type))
        return holds_json(kp_type_element(type));
    if (!kp_type_is_composite(type))
        return kp_type_is_json(type);
    const struct kp_made *made = kp_made_of(type);
    for (uint32_t i = 0; i < made->count; i++)
        if (holds_json(made->types[i].id))
            return true;
    return false;
}

static void put_value(struct kp_type type, const void *value, const struct kp_zone *zone, struct kp_buf *out)
{
    size_t begin = out->len;
    kp_value_print_json(type, value, zone, out);
    bool nested = kp_type_is_array(type.id) || kp_type_is_composite(type.id);
    if (!nested || !holds_json(type.id) || !memmem(out->data + begin, out->len - begin, "null", 4))
        return;
    struct kp_buf text = {0};
    out->len = begin;
    kp_value_print(type, value, zone, &text);
    kp_buf_append_json_string(out, (struct kp_str){(char *)text.data, text.len});
    kp_buf_finish(&text);
}

void kp_encode_json(const struct kp_batch *batch, const char *const *names, uint32_t row, const struct kp_zone *zone,
                    struct kp_buf *out)
{
    bool first = true;
    kp_buf_append_byte(out, '{');
    for (uint32_t i = 0; i < batch->cols; i++) {
        const struct kp_vec *vec = &batch->vecs[i];
        bool null = kp_vec_is_null(vec, row);
        if (null && kp_type_is_json(vec->type.id))
            continue;
        if (!first)
            kp_buf_append_byte(out, ',');
        first = false;
        kp_buf_append_json_string(out, kp_str(names[i]));
        kp_buf_append_byte(out, ':');
        if (null)
            kp_buf_append_text(out, "null");
        else
            put_value(vec->type, kp_vec_at(vec, row), zone, out);
    }
    kp_buf_append_byte(out, '}');
}
