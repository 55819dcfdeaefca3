/*
 * For jsonpath_*.c: what paths find besides JSON, and where values lie in PostgreSQL's binary jsonb.
 *
 * .datetime() makes a moment: an item whose bytes are a mark that no JSON begins with, and this struct. Moments are
 * compared with each other only, and become strings when the path is done.
 */
#ifndef KP_VEC_JSONPATH_ITEM_H
#define KP_VEC_JSONPATH_ITEM_H

#include "base/mem.h"
#include "vec/jsonpath.h"
#include "vec/time_format.h"
#include "vec/zone.h"

enum { KP_PATH_MOMENT_MARK = 1, KP_PATH_MOMENT_BYTES = 1 + sizeof(struct kp_time_moment) };

static inline bool kp_path_is_moment(struct kp_str item)
{
    return item.len == KP_PATH_MOMENT_BYTES && item.ptr[0] == KP_PATH_MOMENT_MARK;
}
/* By a template, or by one of ISO's forms (format.ptr NULL). 22007 and its like; 22031 for no such form. */
KP_MUST enum kp_code kp_path_moment_read(struct kp_str text, struct kp_str format, struct kp_arena *arena,
                                         struct kp_str *ret_item, struct kp_error *err);
/* As a JSON string: the moment, or the name of its type. */
struct kp_str kp_path_moment_print(struct kp_str item, struct kp_arena *arena);
struct kp_str kp_path_moment_type(struct kp_str item, struct kp_arena *arena);
/*
 * ret_comparable false: kinds that have no order. KP_UNSUPPORTED: only a time zone decides, and the call is not one of
 * the functions that use the session's.
 */
KP_MUST enum kp_code kp_path_moment_compare(struct kp_str a, struct kp_str b, bool zoned, const struct kp_zone *zone,
                                            int *ret_order, bool *ret_comparable, struct kp_error *err);

/*
 * The distance in bytes of a container within another, in PostgreSQL's binary form of jsonb; `within` is a slice of
 * `base`. It numbers the objects that .keyvalue() opens.
 */
int64_t kp_path_binary_offset(struct kp_str base, struct kp_str within);

/* A LIKE_REGEX's pattern, zero-initialized and to be finished; false: why is noted in the call's row 0. */
struct kp_pattern;
bool kp_path_pattern_compile(struct kp_call *call, const struct kp_path_node *node, struct kp_pattern *pattern);

#endif
