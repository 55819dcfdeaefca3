/*
 * Arrays: PostgreSQL's, of any scalar type, up to six dimensions with lower bounds of their own. An array's value is a
 * struct kp_text with these bytes (native order, no alignment, no pointers: it may be copied as any text):
 *
 *   uint8 dimensions | uint8 1: has NULLs | uint16 0 | uint32 count of elements
 *   { int32 length | int32 lower bound } × dimensions
 *   a bit an element, set: not NULL              only with NULLs, padded to a byte
 *   fixed width:  value × count                  zeros under a NULL
 *   texts:        { uint32 end } × count | bytes
 *   numeric:      the same; an element's bytes are its struct kp_numeric, pointer zero, and its out of line part
 *
 * An array without elements has no dimensions and is 8 bytes. One with elements is longer than what a text holds
 * inline, so the texts of its elements live as long as its bytes.
 *
 * Invariants: 1. two arrays that print alike have equal bytes; 2. the product of the lengths is the count.
 */
#ifndef KP_VEC_ARRAY_H
#define KP_VEC_ARRAY_H

#include "vec/vec.h"

enum { KP_ARRAY_DIMENSIONS_MAX = 6, KP_ARRAY_ELEMENTS_MAX = 134217727 };

struct kp_array {
    enum kp_type_id element;
    uint32_t dimensions, count;
    int32_t lengths[KP_ARRAY_DIMENSIONS_MAX], lows[KP_ARRAY_DIMENSIONS_MAX];
    size_t width;         /* of a fixed element, else 0 */
    const uint8_t *valid; /* NULL: no NULLs */
    const uint8_t *ends, *values;
};

/* From bytes that are not aligned. */
static inline uint32_t kp_load_u32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

/* Borrows the text's bytes; an inline text must stay where it is. */
void kp_array_read(enum kp_type_id array_type, const struct kp_text *text, struct kp_array *ret_array);
static inline bool kp_array_is_null(const struct kp_array *array, uint32_t at)
{
    return array->valid && !(array->valid[at >> 3] >> (at & 7) & 1);
}
/* Element `at` as a value; texts are borrowed, large numerics are made in the arena. False: it is NULL. */
bool kp_array_get(const struct kp_array *array, uint32_t at, struct kp_arena *arena, void *ret_value);

/* The bytes of an element (a row's field), and back: texts are borrowed, large numerics are made in the arena. */
void kp_element_append(enum kp_type_id type, const void *value, struct kp_buf *out);
void kp_element_read(enum kp_type_id type, const uint8_t *bytes, size_t len, struct kp_arena *arena, void *ret_value);

/* Elements one by one, in storage order. Zero-initialize but for the element. */
struct kp_array_builder {
    enum kp_type_id element;
    bool nulls;
    uint32_t count;
    struct kp_buf valid, ends, values;
};
void kp_array_add(struct kp_array_builder *builder, const void *value); /* NULL: a NULL */
/* Bytes gathered so far, for limits. */
size_t kp_array_builder_bytes(const struct kp_array_builder *builder);
void kp_array_builder_finish(struct kp_array_builder *builder);
/* The array of what was added, which is forgotten; lengths' product is the count. No elements: no dimensions. */
struct kp_text kp_array_make_shaped(struct kp_array_builder *builder, uint32_t dimensions, const int32_t *lengths,
                                    const int32_t *lows, struct kp_arena *arena);
/* One dimension from 1. */
struct kp_text kp_array_make(struct kp_array_builder *builder, struct kp_arena *arena);

/* ---- order, hash (array.c) ---- */

int kp_array_compare(enum kp_type_id array_type, const struct kp_text *a, const struct kp_text *b);
uint64_t kp_array_hash(enum kp_type_id array_type, const struct kp_text *text);
void kp_array_sort_key(struct kp_buf *key, enum kp_type_id array_type, const struct kp_text *text);

/* ---- text of int2vector and oidvector (vector_io.c) ---- */

void kp_vector_print(enum kp_type_id type, const struct kp_text *text, struct kp_buf *out);
KP_MUST enum kp_code kp_vector_parse(enum kp_type_id type, struct kp_str text, struct kp_arena *arena,
                                     struct kp_text *ret_text, struct kp_error *err);

/* ---- text, binary, JSON (array_io.c) ---- */

void kp_array_print(struct kp_type type, const struct kp_text *text, const struct kp_zone *zone, struct kp_buf *out);
KP_MUST enum kp_code kp_array_parse(struct kp_type type, struct kp_str text, const struct kp_zone *zone,
                                    struct kp_arena *arena, struct kp_text *ret_text, struct kp_error *err);
void kp_array_send(struct kp_type type, const struct kp_text *text, struct kp_buf *out);
KP_MUST enum kp_code kp_array_receive(struct kp_type type, struct kp_str bytes, struct kp_arena *arena,
                                      struct kp_text *ret_text, struct kp_error *err);
/* Nested JSON arrays, elements printed by `element`; exact: one that JSON cannot say (other bounds, json in several
 * dimensions) as a string with its text form. */
void kp_array_print_json(struct kp_type type, const struct kp_text *text, const struct kp_zone *zone, bool exact,
                         void (*element)(struct kp_type type, const void *value, const struct kp_zone *zone,
                                         struct kp_buf *out),
                         struct kp_buf *out);

#endif
