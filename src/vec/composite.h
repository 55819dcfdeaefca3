/*
 * Values of composite types: rows of fields, made by CREATE TYPE … AS (…), by ROW(…) and by naming a whole row. A value
 * is a struct kp_text with these bytes (native order, no alignment, no pointers: it may be copied as any text):
 *
 *   uint32 count of fields | uint32 0 | { uint32 end } × count | a bit a field, set: not NULL | fields' bytes
 *
 * A field's bytes are those of an array's element (vec/array.h); of a NULL none. A value with fields is longer than
 * what a text holds inline, so the texts of its fields live as long as its bytes.
 *
 * Two values that print alike have equal bytes. The order is PostgreSQL's record_cmp: fields one by one, a NULL above
 * all; so such a comparison is never NULL.
 */
#ifndef KP_VEC_COMPOSITE_H
#define KP_VEC_COMPOSITE_H

#include "vec/made.h"
#include "vec/vec.h"

struct kp_composite {
    const struct kp_made *type;
    uint32_t count;
    const uint8_t *ends, *valid, *values;
};

/* Borrows the text's bytes; an inline text must stay where it is. */
void kp_composite_read(enum kp_type_id type, const struct kp_text *text, struct kp_composite *ret_row);
/* Field `at` as a value; texts are borrowed, large numerics are made in the arena. False: it is NULL. */
bool kp_composite_get(const struct kp_composite *row, uint32_t at, struct kp_arena *arena, void *ret_value);

/* Fields one by one, in their order. Zero-initialize. */
struct kp_composite_builder {
    uint32_t count;
    struct kp_buf ends, valid, values;
};
void kp_composite_add(struct kp_composite_builder *builder, enum kp_type_id type, const void *value); /* NULL: a NULL */
void kp_composite_builder_finish(struct kp_composite_builder *builder);
/* The row of what was added, which is forgotten. */
struct kp_text kp_composite_make(struct kp_composite_builder *builder, struct kp_arena *arena);

int kp_composite_compare(enum kp_type_id type, const struct kp_text *a, const struct kp_text *b);
uint64_t kp_composite_hash(enum kp_type_id type, const struct kp_text *text);
void kp_composite_sort_key(struct kp_buf *key, enum kp_type_id type, const struct kp_text *text);

/* ---- text, binary, JSON (composite_io.c) ---- */

void kp_composite_print(enum kp_type_id type, const struct kp_text *text, const struct kp_zone *zone,
                        struct kp_buf *out);
KP_MUST enum kp_code kp_composite_parse(enum kp_type_id type, struct kp_str text, const struct kp_zone *zone,
                                        struct kp_arena *arena, struct kp_text *ret_text, struct kp_error *err);
void kp_composite_send(enum kp_type_id type, const struct kp_text *text, struct kp_buf *out);
KP_MUST enum kp_code kp_composite_receive(enum kp_type_id type, struct kp_str bytes, struct kp_arena *arena,
                                          struct kp_text *ret_text, struct kp_error *err);
/* An object of the fields, their values printed by `field`. */
void kp_composite_print_json(enum kp_type_id type, const struct kp_text *text, const struct kp_zone *zone, bool lines,
                             void (*field)(struct kp_type type, const void *value, const struct kp_zone *zone,
                                           struct kp_buf *out),
                             struct kp_buf *out);
/*
 * JSON as a value of any type, as json_populate_record reads it: objects as rows (members by the fields' names, missing
 * ones NULL), arrays as arrays, texts and numbers by the type's input. JSON's null is *ret_null. base: of a composite
 * type, the row that missing members are taken from; NULL: none.
 */
KP_MUST enum kp_code kp_json_to_value(struct kp_type type, struct kp_str json, const struct kp_text *base,
                                      const struct kp_zone *zone, struct kp_arena *arena, bool *ret_null,
                                      void *ret_value, struct kp_error *err);

#endif
