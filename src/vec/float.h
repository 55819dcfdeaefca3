/* Text of floating-point numbers as PostgreSQL reads and prints it (float.c). */
#ifndef KP_VEC_FLOAT_H
#define KP_VEC_FLOAT_H

#include "base/buf.h"
#include "base/error.h"

/* Shortest text that reads back as the same value; exponents from 1e+15 (float4: 1e+06) and below 1e-04. */
void kp_float8_print(double value, struct kp_buf *out);
void kp_float4_print(float value, struct kp_buf *out);
/* 22P02 for what is not a number, 22003 for what is out of range. */
KP_MUST enum kp_code kp_float8_parse(struct kp_str text, double *ret_value, struct kp_error *err);
KP_MUST enum kp_code kp_float4_parse(struct kp_str text, float *ret_value, struct kp_error *err);

#endif
