/* Transcendental functions of numerics (numeric_math.c): PostgreSQL's result scales; 2201E, 2201F, 22003. */
#ifndef KP_VEC_NUMERIC_MATH_H
#define KP_VEC_NUMERIC_MATH_H

#include "vec/numeric.h"

KP_MUST enum kp_code kp_numeric_exp(const struct kp_numeric *n, struct kp_arena *arena, struct kp_numeric *ret_n,
                                    struct kp_error *err);
KP_MUST enum kp_code kp_numeric_ln(const struct kp_numeric *n, struct kp_arena *arena, struct kp_numeric *ret_n,
                                   struct kp_error *err);
KP_MUST enum kp_code kp_numeric_log(const struct kp_numeric *base, const struct kp_numeric *n, struct kp_arena *arena,
                                    struct kp_numeric *ret_n, struct kp_error *err);
KP_MUST enum kp_code kp_numeric_power(const struct kp_numeric *base, const struct kp_numeric *exponent,
                                      struct kp_arena *arena, struct kp_numeric *ret_n, struct kp_error *err);

#endif
