/*
 * Types made by CREATE TYPE: enums, whose value is the number of its label, ascending in the order of the labels; and
 * composite ones, whose value is a row of fields (vec/composite.h).
 *
 * Labels are numbered KP_ENUM_STEP apart: ALTER TYPE … ADD VALUE takes a number in between, so no number ever changes
 * and values keep their order. A label that was renamed is still known by its former names, to what was written before.
 *
 * A declaration becomes a type id once and for the life of the process; the same declaration always becomes the same
 * id, so that dropping a type and making it again changes nothing for plans that hold it. Ids are from KP_MADE_BASE on,
 * two a type: bit 0 tells an array of it, bit 1 a composite one. Thread safe.
 */
#ifndef KP_VEC_MADE_H
#define KP_VEC_MADE_H

#include <assert.h>
#include <stdatomic.h>

#include "vec/type.h"

enum { KP_ENUM_LABELS_MAX = 65536, KP_ENUM_STEP = 16384, KP_COMPOSITE_FIELDS_MAX = 1600 };
static_assert((int64_t)KP_ENUM_LABELS_MAX * KP_ENUM_STEP <= INT32_MAX, "numbers of labels are int32");

struct kp_enum_former {
    const char *name;
    int32_t number;
    int64_t until; /* position of the renaming */
};

/* An enum's labels in their order; never changed, replaced by ALTER TYPE. */
struct kp_enum_labels {
    uint32_t count;
    const char **names;
    int32_t *numbers;
    uint32_t former_count;
    struct kp_enum_former *formers; /* in order of time */
};

struct kp_made {
    struct kp_type_info info, array_info;
    uint32_t count;
    const char **names;          /* labels as declared, or fields */
    const struct kp_type *types; /* of fields; NULL: an enum */
    _Atomic(const struct kp_enum_labels *) labels;
    const void *owner; /* of an enum: whoever may alter it; only his declarations are this type */
    bool altered;      /* the same declaration is another type from now on */
};

/* The id of a declaration, which is copied. types NULL: an enum; name NULL: rows that ROW(…) makes, of type record. */
enum kp_type_id kp_made_intern(const char *name, const char *const *names, const struct kp_type *types, uint32_t count);
/* The same of an enum that its owner may alter. */
enum kp_type_id kp_enum_intern(const void *owner, const char *name, const char *const *names, uint32_t count);
/* Of a type's id or its array's. */
const struct kp_made *kp_made_of(enum kp_type_id id);
enum kp_type_id kp_made_by_oid(uint32_t oid); /* NONE if unknown */
const struct kp_enum_labels *kp_enum_labels(enum kp_type_id id);
/* The label's number; false if there is none. */
bool kp_enum_find(enum kp_type_id id, struct kp_str label, int32_t *ret_number);
/* The number of the label that had this name after `position`; -1: the last one that ever had it. */
bool kp_enum_find_former(enum kp_type_id id, struct kp_str label, int64_t position, int32_t *ret_number);
/* Of a number that no value has: "". */
const char *kp_enum_label(enum kp_type_id id, int32_t number);

/* ---- ALTER TYPE: one thread; others read the labels as they were or as they are ---- */

/* Beside a label of that name (NULL: behind the last). There must be room: a number left between the two. */
bool kp_enum_has_room(enum kp_type_id id, const char *neighbor, bool after);
void kp_enum_add(enum kp_type_id id, const char *label, const char *neighbor, bool after);
void kp_enum_rename(enum kp_type_id id, const char *from, const char *to, int64_t position);
void kp_made_rename(enum kp_type_id id, const char *name);

#endif
