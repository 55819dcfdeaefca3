/*
 * json and jsonb values: json is the text as given, once it is known to be JSON; jsonb is the text that PostgreSQL
 * prints for it: one space behind ':' and ',', keys of an object by length, then bytes, the last of equal keys,
 * numbers as numeric.
 */
#ifndef KP_VEC_JSON_H
#define KP_VEC_JSON_H

#include "vec/type.h"

/* 22P02 invalid input syntax for type json. The result is in the arena. */
KP_MUST enum kp_code kp_json_parse(enum kp_type_id type, struct kp_str text, struct kp_arena *arena,
                                   struct kp_text *ret_text, struct kp_error *err);
/* Adds to the error of such a text PostgreSQL's detail: what was expected, what was found. err may be NULL. */
void kp_json_explain(enum kp_type_id type, struct kp_str text, struct kp_error *err);

#endif
