/*
 * Simple case mapping and kinds of single characters, as PostgreSQL has them in the locale C.UTF-8, from a table of our
 * own (unicode_table.h), so that upper and lower mean the same on every machine and for ever.
 */
#ifndef KP_VEC_UNICODE_H
#define KP_VEC_UNICODE_H

#include "base/buf.h"

struct kp_char_range {
    uint32_t first, last;
};
/* Kinds of characters beyond ASCII. There, letters are alphanumeric and the other way round, and no character is a
 * digit. */
enum kp_char_kind { KP_CHAR_ALNUM, KP_CHAR_UPPER, KP_CHAR_LOWER, KP_CHAR_SPACE, KP_CHAR_PUNCT, KP_CHAR_PRINT };
/* Ranges in order, which do not touch. */
const struct kp_char_range *kp_unicode_members(enum kp_char_kind kind, size_t *ret_count);

uint32_t kp_unicode_upper(uint32_t code_point);
uint32_t kp_unicode_lower(uint32_t code_point);
bool kp_unicode_is_alnum(uint32_t code_point); /* letters and digits */
/* Without the ASCII white space around it, as input of most types is read. */
struct kp_str kp_text_trim(struct kp_str text);
/* Valid UTF-8 in other case; appends. */
void kp_text_upper(struct kp_str text, struct kp_buf *out);
void kp_text_lower(struct kp_str text, struct kp_buf *out);

#endif
