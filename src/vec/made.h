/*
 * Types made by CREATE TYPE: enums, whose value is the number of its label, from 0, in the order declared; and
 * composite ones, whose value is a row of fields (vec/composite.h).
 *
 * A declaration becomes a type id once and for the life of the process; the same declaration always becomes the same
 * id, so that dropping a type and making it again changes nothing for plans that hold it. Ids are from KP_MADE_BASE on,
 * two a type: bit 0 tells an array of it, bit 1 a composite one. Thread safe.
 */
#ifndef KP_VEC_MADE_H
#define KP_VEC_MADE_H

#include "vec/type.h"

enum { KP_ENUM_LABELS_MAX = 65536, KP_COMPOSITE_FIELDS_MAX = 1600 };

struct kp_made {
    struct kp_type_info info, array_info;
    uint32_t count;
    const char **names;          /* labels, or fields */
    const struct kp_type *types; /* of fields; NULL: an enum */
};

/* The id of a declaration, which is copied. types NULL: an enum; name NULL: rows that ROW(…) makes, of type record. */
enum kp_type_id kp_made_intern(const char *name, const char *const *names, const struct kp_type *types, uint32_t count);
/* Of a type's id or its array's. */
const struct kp_made *kp_made_of(enum kp_type_id id);
enum kp_type_id kp_made_by_oid(uint32_t oid); /* NONE if unknown */
/* The label's number; false if there is none. */
bool kp_enum_find(enum kp_type_id id, struct kp_str label, int32_t *ret_number);
/* Of a number that no value has: "". */
const char *kp_enum_label(enum kp_type_id id, int32_t number);

#endif
