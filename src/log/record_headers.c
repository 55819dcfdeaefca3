/*
 * Record headers, read and written; record_headers.h draws them.
 */
#include "log/record_headers.h"

static bool take_varint(struct kp_str *in, int64_t *ret_value)
{
    uint64_t zigzag = 0;
    for (unsigned shift = 0; in->len > 0 && shift < 64; shift += 7) {
        uint8_t byte = (uint8_t)*in->ptr;
        in->ptr++;
        in->len--;
        zigzag |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            *ret_value = (int64_t)(zigzag >> 1) ^ -(int64_t)(zigzag & 1);
            return true;
        }
    }
    return false;
}

static bool take_bytes(struct kp_str *in, struct kp_str *ret_bytes)
{
    int64_t len;
    if (!take_varint(in, &len) || len < -1 || (len > 0 && (uint64_t)len > in->len))
        return false;
    *ret_bytes = (struct kp_str){len < 0 ? NULL : in->ptr, len < 0 ? 0 : (size_t)len};
    in->ptr += ret_bytes->len;
    in->len -= ret_bytes->len;
    return true;
}

bool kp_record_headers_begin(struct kp_str *headers, int64_t *ret_count)
{
    *ret_count = 0;
    return headers->len == 0 || (take_varint(headers, ret_count) && *ret_count >= 0);
}

bool kp_record_headers_next(struct kp_str *headers, struct kp_str *ret_name, struct kp_str *ret_value)
{
    return headers->len > 0 && take_bytes(headers, ret_name) && ret_name->ptr && take_bytes(headers, ret_value);
}

void kp_record_headers_put_count(struct kp_buf *out, int64_t count)
{
    uint64_t zigzag = ((uint64_t)count << 1) ^ (uint64_t)(count >> 63);
    for (; zigzag >= 0x80; zigzag >>= 7)
        kp_buf_append_byte(out, (uint8_t)(zigzag | 0x80));
    kp_buf_append_byte(out, (uint8_t)zigzag);
}

void kp_record_headers_put(struct kp_buf *out, struct kp_str name, struct kp_str value)
{
    kp_record_headers_put_count(out, (int64_t)name.len);
    kp_buf_append_str(out, name);
    kp_record_headers_put_count(out, value.ptr ? (int64_t)value.len : -1);
    kp_buf_append_str(out, value);
}
