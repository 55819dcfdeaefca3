/*
 * Types made by CREATE TYPE … AS ENUM: a value is the number of its label, from 0, in the order declared.
 *
 * A declaration becomes a type id once and for the life of the process; the same declaration always becomes the same
 * id, so that dropping a type and making it again changes nothing for plans that hold it. Ids are from KP_ENUM_BASE
 * on: even ones are enums, the odd one behind each is its array's. Thread safe.
 */
#ifndef KP_VEC_ENUM_H
#define KP_VEC_ENUM_H

#include "vec/type.h"

enum { KP_ENUM_LABELS_MAX = 65536 };

struct kp_enum {
    struct kp_type_info info, array_info;
    uint32_t label_count;
    const char **labels;
};

/* The id of a declaration; name and labels are copied. */
enum kp_type_id kp_enum_intern(const char *name, const char *const *labels, uint32_t label_count);
/* Of an enum's id or its array's. */
const struct kp_enum *kp_enum_of(enum kp_type_id id);
enum kp_type_id kp_enum_by_oid(uint32_t oid); /* NONE if unknown */
/* The label's number; false if there is none. */
bool kp_enum_find(enum kp_type_id id, struct kp_str label, int32_t *ret_number);
/* Of a number that no value has: "". */
const char *kp_enum_label(enum kp_type_id id, int32_t number);

#endif
