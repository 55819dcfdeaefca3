/*
 * Binary formats with a schema: each record is written as JSON and decoded as that (avro.c, protobuf.c). What both
 * need.
 */
#ifndef KP_DECODE_TRANSCODE_H
#define KP_DECODE_TRANSCODE_H

#include "decode/internal.h"

enum {
    KP_TRANSCODE_DEPTH_MAX = 64,
    KP_TRANSCODE_SCALE_MAX = 1000,
    KP_TRANSCODE_EMPTY_MAX = 1024 /* items that take no bytes, in one block */
};

struct kp_bytes {
    const uint8_t *at, *end;
};
static inline bool kp_bytes_varint(struct kp_bytes *in, uint64_t *ret_value)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && in->at < in->end; shift += 7) {
        uint8_t byte = *in->at++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *ret_value = value;
            return true;
        }
    }
    return false;
}

/* A schema that is JSON, checked, in padded memory and without blanks around it. */
KP_MUST enum kp_code kp_transcode_schema(const char *text, struct kp_arena *arena, struct kp_str *ret_json,
                                         struct kp_error *err);
/* A JSON string of text, which must be UTF-8. */
KP_MUST enum kp_code kp_transcode_text(struct kp_str text, struct kp_buf *out, struct kp_error *err);
/* A JSON string of bytes as bytea is written. */
void kp_transcode_bytes(struct kp_str bytes, struct kp_buf *out);
/* A JSON string of a number: the bytes are big endian, two's complement, of any length. */
KP_MUST enum kp_code kp_transcode_decimal(struct kp_str bytes, uint32_t scale, struct kp_buf *out,
                                          struct kp_error *err);
/* Four or eight bytes, little endian: a number, or the string that names what JSON has no number for. */
void kp_transcode_float(const uint8_t *bytes, bool wide, struct kp_buf *out);

#endif
