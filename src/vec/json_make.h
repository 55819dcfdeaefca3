/* PostgreSQL's to_json of any value: what json_build_object, json_agg and their like are made of. */
#ifndef KP_VEC_JSON_MAKE_H
#define KP_VEC_JSON_MAKE_H

#include "vec/vec.h"

/*
 * Appends the value as JSON: numbers as they print (NaN and infinities quoted), json as it is, times with T, arrays
 * nested without spaces, all else as a string.
 */
void kp_json_append(struct kp_type type, const void *value, const struct kp_zone *zone, struct kp_buf *out);
/* The same, or null. */
void kp_json_append_row(const struct kp_vec *vec, uint32_t row, const struct kp_zone *zone, struct kp_buf *out);
/* The same as a member's name, a string. False: arrays, rows and json are none. */
bool kp_json_append_key(struct kp_type type, const void *value, const struct kp_zone *zone, struct kp_buf *out);
/* The text made so far as a value of json or jsonb (canonical then); bytes in the arena. Fails for what jsonb cannot
 * hold. */
KP_MUST enum kp_code kp_json_take(enum kp_type_id type, struct kp_buf *made, struct kp_arena *arena,
                                  struct kp_text *ret_text, struct kp_error *err);

#endif
