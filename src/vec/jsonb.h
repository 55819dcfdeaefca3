/*
 * Reading JSON text that is known to be valid: json as it was given, jsonb in its canonical form. A value is its bytes,
 * without spaces around; nothing is parsed into a tree. jsonb's order and hash are here too.
 */
#ifndef KP_VEC_JSONB_H
#define KP_VEC_JSONB_H

#include "vec/vec.h"

/* Whose values JSON's null is one of. */
static inline bool kp_type_is_json(enum kp_type_id id)
{
    return id == KP_JSON || id == KP_JSONB;
}

/* In jsonb's order. */
enum kp_jsonb_kind { KP_JSONB_NULL, KP_JSONB_STRING, KP_JSONB_NUMBER, KP_JSONB_BOOL, KP_JSONB_ARRAY, KP_JSONB_OBJECT };
enum kp_jsonb_kind kp_jsonb_kind(struct kp_str value);

/* Without spaces around. */
struct kp_str kp_jsonb_trim(struct kp_str text);
/* Behind the value that starts at `at`. */
const char *kp_jsonb_value_end(const char *at, const char *end);

/* The items of an array or members of an object in their order; anything else has none. */
struct kp_jsonb_items {
    const char *at, *end;
    bool object;
};
void kp_jsonb_items_begin(struct kp_jsonb_items *items, struct kp_str value);
/* ret_key: the key with its quotes, of objects only. False at the end. */
bool kp_jsonb_items_next(struct kp_jsonb_items *items, struct kp_str *ret_key, struct kp_str *ret_value);
uint32_t kp_jsonb_item_count(struct kp_str value);
/* A string's text: without quotes and escapes, appended. False: it has \u0000 or half a surrogate pair, which no text
 * holds. */
bool kp_jsonb_string_text(struct kp_str quoted, struct kp_buf *out);
/* json only, which keeps all escapes: whether its strings, wherever they are, can all be texts. Else the SQLSTATE and
 * message that PostgreSQL has for whatever question reads the whole json and means texts. */
bool kp_json_is_text(struct kp_str json, const char **ret_sqlstate, const char **ret_message);
/* Whether a quoted key says this name. */
bool kp_jsonb_key_is(struct kp_str quoted, struct kp_str name);

/* The member of an object or the item of an array (from 0, negative from the end); false: there is none. Of equal keys
 * the last. */
bool kp_jsonb_member(struct kp_str object, struct kp_str name, struct kp_str *ret_value);
bool kp_jsonb_item(struct kp_str array, int64_t index, struct kp_str *ret_value);

/* ---- jsonb only ---- */

/* An object in the making: members in any order, of equal names the last counts. Zero-initialize. */
struct kp_jsonb_object {
    struct kp_buf members;
};
/* name without quotes and escapes; both must live until the object is printed. */
void kp_jsonb_put(struct kp_jsonb_object *object, struct kp_str name, struct kp_str value);
/* Appends the object in canonical form and forgets its members. */
void kp_jsonb_object_print(struct kp_jsonb_object *object, struct kp_buf *out);
void kp_jsonb_object_finish(struct kp_jsonb_object *object);

int kp_jsonb_compare(struct kp_str a, struct kp_str b);
uint64_t kp_jsonb_hash(struct kp_str value);
void kp_jsonb_sort_key(struct kp_buf *key, struct kp_str value);

#endif
