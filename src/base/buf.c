#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>

void kp_buf_finish(struct kp_buf *buf)
{
    kp_free(buf->data);
    memset(buf, 0, sizeof *buf);
}

void kp_buf_reserve_slow(struct kp_buf *buf, size_t more)
{
    size_t need = buf->len + more;
    KP_ASSERT(need >= more);
    size_t cap = buf->cap ? buf->cap * 2 : 64;
    buf->cap = KP_MAX(cap, need);
    buf->data = kp_realloc(buf->data, buf->cap);
}

void kp_buf_printf(struct kp_buf *buf, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    KP_ASSERT(length >= 0);
    kp_buf_reserve(buf, (size_t)length + 1);
    vsnprintf((char *)buf->data + buf->len, (size_t)length + 1, format, again);
    va_end(again);
    buf->len += (size_t)length;
}

void kp_buf_consume(struct kp_buf *buf, size_t n)
{
    KP_ASSERT(n <= buf->len);
    buf->len -= n;
    if (buf->len && n)
        memmove(buf->data, buf->data + n, buf->len);
}

void kp_buf_append_json_string(struct kp_buf *buf, struct kp_str text)
{
    static const char hex[] = "0123456789abcdef";
    kp_buf_append_byte(buf, '"');
    size_t clean = 0; /* start of the run not yet copied */
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        kp_buf_append(buf, text.ptr + clean, i - clean);
        clean = i + 1;
        char escape[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
        switch (c) {
        case '"':
        case '\\':
            escape[1] = (char)c;
            kp_buf_append(buf, escape, 2);
            break;
        case '\b':
            kp_buf_append(buf, "\\b", 2);
            break;
        case '\f':
            kp_buf_append(buf, "\\f", 2);
            break;
        case '\n':
            kp_buf_append(buf, "\\n", 2);
            break;
        case '\r':
            kp_buf_append(buf, "\\r", 2);
            break;
        case '\t':
            kp_buf_append(buf, "\\t", 2);
            break;
        default:
            kp_buf_append(buf, escape, 6);
        }
    }
    if (clean < text.len) /* an empty text may be nowhere */
        kp_buf_append(buf, text.ptr + clean, text.len - clean);
    kp_buf_append_byte(buf, '"');
}
