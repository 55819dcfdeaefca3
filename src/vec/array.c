/* Arrays in memory: reading, building, order, hash. The format is in array.h. */
#include "vec/array.h"

#include "base/hash.h"
#include "vec/numeric.h"

enum { HEADER_BYTES = 8, HAS_NULLS = 1, NULL_ELEMENT_HASH = 0x4e554c4c };

static bool is_fixed(enum kp_type_id element)
{
    return !kp_type_info(element)->string && element != KP_NUMERIC;
}

void kp_array_read(enum kp_type_id array_type, const struct kp_text *text, struct kp_array *ret_array)
{
    const uint8_t *at = (const uint8_t *)kp_text_bytes(text);
    memset(ret_array, 0, sizeof *ret_array);
    ret_array->element = kp_type_element(array_type);
    if (text->len < HEADER_BYTES)
        return; /* what lies under a NULL */
    ret_array->dimensions = at[0];
    ret_array->count = kp_load_u32(at + 4);
    bool nulls = at[1] & HAS_NULLS;
    at += HEADER_BYTES;
    for (uint32_t d = 0; d < ret_array->dimensions; d++, at += 8) {
        ret_array->lengths[d] = (int32_t)kp_load_u32(at);
        ret_array->lows[d] = (int32_t)kp_load_u32(at + 4);
    }
    if (nulls) {
        ret_array->valid = at;
        at += ((size_t)ret_array->count + 7) / 8;
    }
    if (is_fixed(ret_array->element)) {
        ret_array->width = kp_type_info(ret_array->element)->bytes;
    } else {
        ret_array->ends = at;
        at += (size_t)ret_array->count * 4;
    }
    ret_array->values = at;
}

void kp_element_read(enum kp_type_id type, const uint8_t *bytes, size_t len, struct kp_arena *arena, void *ret_value)
{
    if (is_fixed(type)) {
        memcpy(ret_value, bytes, kp_type_info(type)->bytes);
        return;
    }
    if (type != KP_NUMERIC) {
        struct kp_text text = kp_text_make((const char *)bytes, len);
        memcpy(ret_value, &text, sizeof text);
        return;
    }
    struct kp_numeric numeric;
    memcpy(&numeric, bytes, sizeof numeric);
    if (numeric.kind == KP_NUMERIC_BIG) {
        size_t extra = len - sizeof numeric;
        void *big = kp_arena_alloc(arena, extra);
        memcpy(big, bytes + sizeof numeric, extra);
        numeric.big = big;
    }
    memcpy(ret_value, &numeric, sizeof numeric);
}

bool kp_array_get(const struct kp_array *array, uint32_t at, struct kp_arena *arena, void *ret_value)
{
    if (kp_array_is_null(array, at))
        return false;
    if (array->width) {
        memcpy(ret_value, array->values + at * array->width, array->width);
        return true;
    }
    uint32_t start = at ? kp_load_u32(array->ends + (size_t)(at - 1) * 4) : 0,
             end = kp_load_u32(array->ends + (size_t)at * 4);
    kp_element_read(array->element, array->values + start, end - start, arena, ret_value);
    return true;
}

/* ---- building ---- */

void kp_element_append(enum kp_type_id type, const void *value, struct kp_buf *out)
{
    if (is_fixed(type)) {
        kp_buf_append(out, value, kp_type_info(type)->bytes);
        return;
    }
    if (type != KP_NUMERIC) {
        struct kp_text text;
        memcpy(&text, value, sizeof text);
        kp_buf_append(out, kp_text_bytes(&text), text.len);
        return;
    }
    struct kp_numeric numeric;
    memcpy(&numeric, value, sizeof numeric);
    const struct kp_numeric_big *big = numeric.kind == KP_NUMERIC_BIG ? numeric.big : NULL;
    size_t extra = kp_numeric_extra_bytes(&numeric);
    if (big)
        numeric.coef = 0;
    kp_buf_append(out, &numeric, sizeof numeric);
    if (big)
        kp_buf_append(out, big, extra);
}

void kp_array_add(struct kp_array_builder *builder, const void *value)
{
    uint32_t at = builder->count++;
    if (at % 8 == 0)
        kp_buf_append_byte(&builder->valid, 0);
    if (value)
        builder->valid.data[at >> 3] |= (uint8_t)(1 << (at & 7));
    else
        builder->nulls = true;
    if (is_fixed(builder->element)) {
        static const uint8_t zeros[16];
        kp_buf_append(&builder->values, value ? value : zeros, kp_type_info(builder->element)->bytes);
        return;
    }
    if (value)
        kp_element_append(builder->element, value, &builder->values);
    uint32_t end = (uint32_t)builder->values.len;
    kp_buf_append(&builder->ends, &end, sizeof end);
}

size_t kp_array_builder_bytes(const struct kp_array_builder *builder)
{
    return builder->valid.len + builder->ends.len + builder->values.len;
}

void kp_array_builder_finish(struct kp_array_builder *builder)
{
    kp_buf_finish(&builder->valid);
    kp_buf_finish(&builder->ends);
    kp_buf_finish(&builder->values);
    builder->nulls = false;
    builder->count = 0;
}

struct kp_text kp_array_make_shaped(struct kp_array_builder *builder, uint32_t dimensions, const int32_t *lengths,
                                    const int32_t *lows, struct kp_arena *arena)
{
    if (!kp_arena_may(arena, kp_array_builder_bytes(builder))) { /* in vain: an empty one */
        builder->valid.len = builder->ends.len = builder->values.len = 0;
        builder->count = 0;
    }
    if (builder->count == 0)
        dimensions = 0;
    size_t valid_bytes = builder->nulls ? builder->valid.len : 0;
    size_t len = HEADER_BYTES + 8 * (size_t)dimensions + valid_bytes + builder->ends.len + builder->values.len;
    uint8_t *bytes = kp_arena_calloc(arena, len), *at = bytes + HEADER_BYTES;
    bytes[0] = (uint8_t)dimensions;
    bytes[1] = builder->nulls ? HAS_NULLS : 0;
    memcpy(bytes + 4, &builder->count, 4);
    for (uint32_t d = 0; d < dimensions; d++, at += 8) {
        memcpy(at, &lengths[d], 4);
        memcpy(at + 4, &lows[d], 4);
    }
    if (valid_bytes)
        memcpy(at, builder->valid.data, valid_bytes);
    at += valid_bytes;
    if (builder->ends.len)
        memcpy(at, builder->ends.data, builder->ends.len);
    at += builder->ends.len;
    if (builder->values.len)
        memcpy(at, builder->values.data, builder->values.len);
    builder->valid.len = builder->ends.len = builder->values.len = 0;
    builder->nulls = false;
    builder->count = 0;
    return kp_text_make((const char *)bytes, len);
}

struct kp_text kp_array_make(struct kp_array_builder *builder, struct kp_arena *arena)
{
    int32_t length = (int32_t)builder->count, low = 1;
    return kp_array_make_shaped(builder, 1, &length, &low, arena);
}

/* ---- order, hash ---- */

static int compare_u32(uint32_t a, uint32_t b)
{
    return (a > b) - (a < b);
}

/* Elements first, a NULL above all; then the count, the dimensions, their lengths, their bounds. */
int kp_array_compare(enum kp_type_id array_type, const struct kp_text *a, const struct kp_text *b)
{
    struct kp_array left, right;
    kp_array_read(array_type, a, &left);
    kp_array_read(array_type, b, &right);
    struct kp_arena arena = {0};
    int order = 0;
    for (uint32_t i = 0; !order && i < left.count && i < right.count; i++) {
        uint64_t x[2], y[2];
        bool has_x = kp_array_get(&left, i, &arena, x), has_y = kp_array_get(&right, i, &arena, y);
        if (has_x && has_y)
            order = kp_value_compare(left.element, x, y);
        else
            order = has_y - has_x;
    }
    kp_arena_finish(&arena);
    if (!order)
        order = compare_u32(left.count, right.count);
    if (!order)
        order = compare_u32(left.dimensions, right.dimensions);
    for (uint32_t d = 0; !order && d < left.dimensions; d++)
        order = (left.lengths[d] > right.lengths[d]) - (left.lengths[d] < right.lengths[d]);
    for (uint32_t d = 0; !order && d < left.dimensions; d++)
        order = (left.lows[d] > right.lows[d]) - (left.lows[d] < right.lows[d]);
    return order;
}

uint64_t kp_array_hash(enum kp_type_id array_type, const struct kp_text *text)
{
    struct kp_array array;
    struct kp_arena arena = {0};
    kp_array_read(array_type, text, &array);
    uint64_t hash = kp_hash_u64(array.count);
    for (uint32_t i = 0; i < array.count; i++) {
        uint64_t value[2];
        bool is = kp_array_get(&array, i, &arena, value);
        hash = kp_hash_combine(hash, is ? kp_value_hash(array.element, value) : NULL_ELEMENT_HASH);
    }
    kp_arena_finish(&arena);
    return hash;
}

void kp_array_sort_key(struct kp_buf *key, enum kp_type_id array_type, const struct kp_text *text)
{
    struct kp_array array;
    struct kp_arena arena = {0};
    kp_array_read(array_type, text, &array);
    for (uint32_t i = 0; i < array.count; i++) {
        uint64_t value[2];
        bool is = kp_array_get(&array, i, &arena, value);
        kp_sort_key_append(key, array.element, value, !is, false, false); /* begins with 1 or 2 */
    }
    kp_buf_append_byte(key, 0);
    kp_buf_append_byte(key, (uint8_t)array.dimensions);
    for (uint32_t d = 0; d < array.dimensions; d++)
        kp_buf_append_be32(key, (uint32_t)array.lengths[d]);
    for (uint32_t d = 0; d < array.dimensions; d++)
        kp_buf_append_be32(key, (uint32_t)array.lows[d] ^ 0x80000000u);
    kp_arena_finish(&arena);
}
