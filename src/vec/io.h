/* Parts of reading and printing values that kernels and decoders use directly (io.c, io_binary.c). */
#ifndef KP_VEC_IO_H
#define KP_VEC_IO_H

#include "vec/type.h"

void kp_int_print(int64_t value, struct kp_buf *out);
/* KP_INT2, KP_INT4, KP_INT8 or KP_OID; 22P02 or 22003. */
KP_MUST enum kp_code kp_int_parse(struct kp_str text, enum kp_type_id type, int64_t *ret_value, struct kp_error *err);
KP_MUST enum kp_code kp_bool_parse(struct kp_str text, bool *ret_value, struct kp_error *err);
/* 22021 for a NUL or what is not UTF-8. */
KP_MUST enum kp_code kp_string_check(enum kp_type_id type, struct kp_str text, struct kp_error *err);
/*
 * varchar(n) and char(n): cuts or pads to n characters. What would be cut must be spaces (22001) unless the cast is
 * explicit. The result may borrow text.
 */
KP_MUST enum kp_code kp_string_apply_mod(struct kp_type type, struct kp_str text, bool explicit_cast,
                                         struct kp_arena *arena, struct kp_text *ret_text, struct kp_error *err);

#endif
