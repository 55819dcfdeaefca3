/*
 * The text of int2vector and oidvector, pg_catalog's lists of columns' numbers and of oids: numbers with a space
 * between them. Otherwise they are arrays of one dimension; those that are read here begin at 0, as PostgreSQL's do.
 */
#include "vec/array.h"

void kp_vector_print(enum kp_type_id type, const struct kp_text *text, struct kp_buf *out)
{
    struct kp_array array;
    kp_array_read(type, text, &array);
    for (uint32_t i = 0; i < array.count; i++) {
        uint64_t value[2];
        if (i)
            kp_buf_append_byte(out, ' ');
        if (kp_array_get(&array, i, NULL, value))
            kp_value_print(KP_TYPE(array.element), value, NULL, out);
    }
}

/* The next number; empty behind the last. Moves *text. */
static struct kp_str next_word(struct kp_str *text)
{
    while (text->len && text->ptr[0] == ' ') {
        text->ptr++;
        text->len--;
    }
    struct kp_str word = {text->ptr, 0};
    while (word.len < text->len && word.ptr[word.len] != ' ')
        word.len++;
    text->ptr += word.len;
    text->len -= word.len;
    return word;
}

enum kp_code kp_vector_parse(enum kp_type_id type, struct kp_str text, struct kp_arena *arena, struct kp_text *ret_text,
                             struct kp_error *err)
{
    struct kp_array_builder builder = {.element = kp_type_element(type)};
    enum kp_code code = KP_OK;
    const int32_t low = 0;
    for (struct kp_str word; code == KP_OK && (word = next_word(&text)).len;) {
        uint64_t value[2] = {0};
        code = kp_value_parse(KP_TYPE(builder.element), word, NULL, arena, value, err);
        if (code == KP_OK)
            kp_array_add(&builder, value);
    }
    int32_t length = (int32_t)builder.count;
    if (code == KP_OK)
        *ret_text = kp_array_make_shaped(&builder, length > 0, &length, &low, arena);
    kp_array_builder_finish(&builder);
    return code;
}
