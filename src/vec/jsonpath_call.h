/* For fn_jsonpath.c and set_jsonpath.c: the path of a call's rows, and running it. */
#ifndef KP_VEC_JSONPATH_CALL_H
#define KP_VEC_JSONPATH_CALL_H

#include "vec/fn.h"
#include "vec/jsonpath.h"

/* Zero-initialize; a constant path is read once. */
struct kp_path_call {
    struct kp_path path;
    bool read;
    bool zoned; /* one of the functions _tz: the session's time zone may be used */
};

/*
 * Runs (document, path [, vars [, silent]]) of a row. False: it failed, which is noted unless `silent` hides it;
 * ret_items has what was found before.
 */
bool kp_path_call_row(struct kp_path_call *state, struct kp_call *call, const struct kp_vec *const *args, uint32_t row,
                      bool silent, bool exists_only, struct kp_path_items *ret_items);

#endif
