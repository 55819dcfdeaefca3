/*
 * A growable byte buffer, and a borrowed string. Zero-initialized buffers are valid and empty.
 */
#ifndef KP_BASE_BUF_H
#define KP_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"

/* Borrowed bytes, not terminated. */
struct kp_str {
    const char *ptr;
    size_t len;
};

#define KP_STR(literal) ((struct kp_str){(literal), sizeof(literal) - 1})
static inline struct kp_str kp_str(const char *text)
{
    return (struct kp_str){text, strlen(text)};
}
static inline bool kp_str_equal(struct kp_str a, struct kp_str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}
/* Compares bytes as unsigned, shorter first on a common prefix: collation C. */
static inline int kp_str_compare(struct kp_str a, struct kp_str b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common ? memcmp(a.ptr, b.ptr, common) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

struct kp_buf {
    uint8_t *data;
    size_t len, cap;
};

void kp_buf_finish(struct kp_buf *buf);
void kp_buf_reserve_slow(struct kp_buf *buf, size_t more);
void kp_buf_printf(struct kp_buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Removes the first n bytes. */
void kp_buf_consume(struct kp_buf *buf, size_t n);

/* Room for `more` bytes behind len; returns where they go. Does not change len. */
static inline uint8_t *kp_buf_reserve(struct kp_buf *buf, size_t more)
{
    if (buf->cap - buf->len < more)
        kp_buf_reserve_slow(buf, more);
    return buf->data + buf->len;
}
static inline void kp_buf_append(struct kp_buf *buf, const void *bytes, size_t len)
{
    if (len) {
        memcpy(kp_buf_reserve(buf, len), bytes, len);
        buf->len += len;
    }
}
static inline void kp_buf_append_str(struct kp_buf *buf, struct kp_str text)
{
    kp_buf_append(buf, text.ptr, text.len);
}
static inline void kp_buf_append_text(struct kp_buf *buf, const char *text)
{
    kp_buf_append(buf, text, strlen(text));
}
static inline void kp_buf_append_byte(struct kp_buf *buf, uint8_t byte)
{
    *kp_buf_reserve(buf, 1) = byte;
    buf->len++;
}
/* Big-endian integers: the order of Kafka's and PostgreSQL's wires. */
static inline void kp_buf_append_be16(struct kp_buf *buf, uint16_t value)
{
    uint16_t be = __builtin_bswap16(value);
    kp_buf_append(buf, &be, 2);
}
static inline void kp_buf_append_be32(struct kp_buf *buf, uint32_t value)
{
    uint32_t be = __builtin_bswap32(value);
    kp_buf_append(buf, &be, 4);
}
static inline void kp_buf_append_be64(struct kp_buf *buf, uint64_t value)
{
    uint64_t be = __builtin_bswap64(value);
    kp_buf_append(buf, &be, 8);
}
static inline uint16_t kp_load_be16(const void *at)
{
    uint16_t v;
    memcpy(&v, at, 2);
    return __builtin_bswap16(v);
}
static inline uint32_t kp_load_be32(const void *at)
{
    uint32_t v;
    memcpy(&v, at, 4);
    return __builtin_bswap32(v);
}
static inline uint64_t kp_load_be64(const void *at)
{
    uint64_t v;
    memcpy(&v, at, 8);
    return __builtin_bswap64(v);
}

/* JSON: appends text as a quoted string (escapes control bytes, quote and backslash; the text is valid UTF-8). */
void kp_buf_append_json_string(struct kp_buf *buf, struct kp_str text);

#endif
