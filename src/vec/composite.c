/* Rows of fields in memory: reading, building, order, hash. The format is in composite.h. */
#include "vec/composite.h"

#include "base/hash.h"
#include "vec/array.h"

enum { HEADER_BYTES = 8, NULL_FIELD_HASH = 0x4e554c4d };

void kp_composite_read(enum kp_type_id type, const struct kp_text *text, struct kp_composite *ret_row)
{
    const uint8_t *at = (const uint8_t *)kp_text_bytes(text);
    memset(ret_row, 0, sizeof *ret_row);
    ret_row->type = kp_made_of(type);
    if (text->len < HEADER_BYTES)
        return; /* what lies under a NULL */
    ret_row->count = kp_load_u32(at);
    ret_row->ends = at + HEADER_BYTES;
    ret_row->valid = ret_row->ends + (size_t)ret_row->count * 4;
    ret_row->values = ret_row->valid + ((size_t)ret_row->count + 7) / 8;
}

bool kp_composite_get(const struct kp_composite *row, uint32_t at, struct kp_arena *arena, void *ret_value)
{
    if (at >= row->count || !(row->valid[at >> 3] >> (at & 7) & 1))
        return false;
    uint32_t start = at ? kp_load_u32(row->ends + (size_t)(at - 1) * 4) : 0,
             end = kp_load_u32(row->ends + (size_t)at * 4);
    kp_element_read(row->type->types[at].id, row->values + start, end - start, arena, ret_value);
    return true;
}

void kp_composite_add(struct kp_composite_builder *builder, enum kp_type_id type, const void *value)
{
    uint32_t at = builder->count++;
    if (at % 8 == 0)
        kp_buf_append_byte(&builder->valid, 0);
    if (value) {
        builder->valid.data[at >> 3] |= (uint8_t)(1 << (at & 7));
        kp_element_append(type, value, &builder->values);
    }
    uint32_t end = (uint32_t)builder->values.len;
    kp_buf_append(&builder->ends, &end, sizeof end);
}

void kp_composite_builder_finish(struct kp_composite_builder *builder)
{
    kp_buf_finish(&builder->ends);
    kp_buf_finish(&builder->valid);
    kp_buf_finish(&builder->values);
    builder->count = 0;
}

struct kp_text kp_composite_make(struct kp_composite_builder *builder, struct kp_arena *arena)
{
    if (builder->values.len && !kp_arena_may(arena, builder->values.len)) { /* in vain: a row of NULLs */
        memset(builder->ends.data, 0, builder->ends.len);
        memset(builder->valid.data, 0, builder->valid.len);
        builder->values.len = 0;
    }
    size_t len = HEADER_BYTES + builder->ends.len + builder->valid.len + builder->values.len;
    struct kp_buf *const parts[] = {&builder->ends, &builder->valid, &builder->values};
    uint8_t *bytes = kp_arena_calloc(arena, len), *at = bytes + HEADER_BYTES;
    memcpy(bytes, &builder->count, sizeof builder->count);
    for (size_t i = 0; i < KP_COUNT(parts); i++) {
        if (parts[i]->len)
            memcpy(at, parts[i]->data, parts[i]->len);
        at += parts[i]->len;
        parts[i]->len = 0;
    }
    builder->count = 0;
    return kp_text_make((const char *)bytes, len);
}

int kp_composite_compare(enum kp_type_id type, const struct kp_text *a, const struct kp_text *b)
{
    struct kp_composite left, right;
    struct kp_arena arena = {0};
    int order = 0;
    kp_composite_read(type, a, &left);
    kp_composite_read(type, b, &right);
    for (uint32_t i = 0; !order && i < left.type->count; i++) {
        uint64_t x[2], y[2];
        bool has_x = kp_composite_get(&left, i, &arena, x), has_y = kp_composite_get(&right, i, &arena, y);
        order = has_x && has_y ? kp_value_compare(left.type->types[i].id, x, y) : has_y - has_x;
    }
    kp_arena_finish(&arena);
    return order;
}

uint64_t kp_composite_hash(enum kp_type_id type, const struct kp_text *text)
{
    struct kp_composite row;
    struct kp_arena arena = {0};
    kp_composite_read(type, text, &row);
    uint64_t hash = kp_hash_u64(row.count);
    for (uint32_t i = 0; i < row.count; i++) {
        uint64_t value[2];
        bool is = kp_composite_get(&row, i, &arena, value);
        hash = kp_hash_combine(hash, is ? kp_value_hash(row.type->types[i].id, value) : NULL_FIELD_HASH);
    }
    kp_arena_finish(&arena);
    return hash;
}

void kp_composite_sort_key(struct kp_buf *key, enum kp_type_id type, const struct kp_text *text)
{
    struct kp_composite row;
    struct kp_arena arena = {0};
    kp_composite_read(type, text, &row);
    for (uint32_t i = 0; i < row.count; i++) {
        uint64_t value[2];
        bool is = kp_composite_get(&row, i, &arena, value);
        kp_sort_key_append(key, row.type->types[i].id, value, !is, false, false);
    }
    kp_arena_finish(&arena);
}
