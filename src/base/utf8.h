/* UTF-8: strict (no surrogates, no overlong forms, at most U+10FFFF). */
#ifndef KP_BASE_UTF8_H
#define KP_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The length of the valid prefix; equal to len when all is valid. */
size_t kp_utf8_valid_prefix(const char *text, size_t len);
static inline bool kp_utf8_valid(const char *text, size_t len)
{
    return kp_utf8_valid_prefix(text, len) == len;
}
/* Characters in valid text. */
size_t kp_utf8_length(const char *text, size_t len);
/* Byte offset of character `index` (0-based) in valid text; len if beyond. */
size_t kp_utf8_offset(const char *text, size_t len, size_t index);
/* Decodes the character at *at in valid text and moves *at behind it. */
uint32_t kp_utf8_next(const char **at);
/* Encodes a code point; returns its 1 to 4 bytes' count. */
size_t kp_utf8_encode(uint32_t code_point, char out[4]);

#endif
