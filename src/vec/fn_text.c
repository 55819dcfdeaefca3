/*
 * Text functions. Positions and lengths count characters. A result longer than 12 bytes is in the arena, or borrows a
 * part of an argument.
 */
#include <openssl/evp.h>
#include <stdio.h>

#include "base/limits.h"
#include "base/utf8.h"
#include "vec/facts.h"
#include "vec/fn.h"
#include "vec/unicode.h"

enum { TEXT_BYTES_MAX = KP_RECORD_BYTES_MAX * 4 };

static inline struct kp_str text_at(const struct kp_vec *const *args, unsigned n, uint32_t row)
{
    return kp_text_str(&FN_AT(struct kp_text, n, row));
}

static bool too_long(struct kp_call *call, const struct kp_vec *out, uint32_t row, uint64_t bytes)
{
    if (bytes <= TEXT_BYTES_MAX)
        return bytes > KP_TEXT_INLINE_BYTES && !kp_arena_may(call->arena, bytes);
    if (!kp_vec_is_null(out, row))
        kp_call_fail(call, row, "54000", "requested length too large: a text has at most %d bytes", TEXT_BYTES_MAX);
    return true;
}

/* A kernel that sets text result `to` from row `i`. */
#define TEXT_KERNEL(name, ...)                                                                                         \
    static void name(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)                       \
    {                                                                                                                  \
        struct kp_buf buf = {0};                                                                                       \
        for (uint32_t i = 0; i < call->rows; i++) {                                                                    \
            struct kp_text *to = (struct kp_text *)out->data + i;                                                      \
            *to = kp_text_make(NULL, 0);                                                                               \
            if (kp_vec_is_null(out, i) || call->arena->overspent)                                                      \
                continue;                                                                                              \
            buf.len = 0;                                                                                               \
            __VA_ARGS__                                                                                                \
        }                                                                                                              \
        kp_buf_finish(&buf);                                                                                           \
    }
/* One that sets an int4 `result`. */
#define INT_KERNEL(name, expression)                                                                                   \
    static void name(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)                       \
    {                                                                                                                  \
        for (uint32_t i = 0; i < call->rows; i++)                                                                      \
            ((int32_t *)out->data)[i] = (int32_t)(expression);                                                         \
    }

/* ---- joining ---- */

static void concat_two(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_text *to = out->data;
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_str a = text_at(args, 0, i), b = text_at(args, 1, i);
        to[i] = kp_text_make(NULL, 0);
        if (kp_vec_is_null(out, i) || too_long(call, out, i, (uint64_t)a.len + b.len))
            continue;
        size_t len = a.len + b.len;
        char local[KP_TEXT_INLINE_BYTES], *bytes = len <= sizeof local ? local : kp_arena_alloc(call->arena, len);
        if (a.len)
            memcpy(bytes, a.ptr, a.len);
        if (b.len)
            memcpy(bytes + a.len, b.ptr, b.len);
        to[i] = kp_text_make(bytes, len);
    }
}

static void append_value(struct kp_call *call, const struct kp_vec *vec, uint32_t row, struct kp_buf *buf)
{
    if (vec->type.id == KP_BOOL)
        kp_buf_append_byte(buf, *(const uint8_t *)kp_vec_at(vec, row) ? 't' : 'f');
    else
        kp_value_print(vec->type, kp_vec_at(vec, row), fn_zone(call), buf);
}

TEXT_KERNEL(concat_any, {
    for (unsigned n = 0; n < 2; n++) {
        if (args[n]->type.id == KP_BOOL)
            kp_buf_append_text(&buf, FN_AT(uint8_t, n, i) ? "true" : "false");
        else
            append_value(call, args[n], i, &buf);
    }
    *to = fn_text(call, buf.data, buf.len);
})

/* concat and concat_ws skip NULLs instead of giving NULL. */
TEXT_KERNEL(concat, {
    for (unsigned n = 0; n < call->arg_count; n++)
        if (!kp_vec_is_null(args[n], i))
            append_value(call, args[n], i, &buf);
    if (!too_long(call, out, i, buf.len))
        *to = fn_text(call, buf.data, buf.len);
})

static void concat_ws(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_buf buf = {0};
    struct kp_text *to = out->data;
    for (uint32_t i = 0; i < call->rows; i++) {
        to[i] = kp_text_make(NULL, 0);
        if (kp_vec_is_null(args[0], i)) {
            kp_vec_need_valid(out, call->arena, call->rows);
            kp_vec_set_null(out, i);
            continue;
        }
        buf.len = 0;
        bool first = true;
        for (unsigned n = 1; n < call->arg_count; n++) {
            if (kp_vec_is_null(args[n], i))
                continue;
            if (!first)
                kp_buf_append_str(&buf, text_at(args, 0, i));
            first = false;
            append_value(call, args[n], i, &buf);
        }
        if (!too_long(call, out, i, buf.len))
            to[i] = fn_text(call, buf.data, buf.len);
    }
    kp_buf_finish(&buf);
}

/* ---- lengths, codes ---- */

static struct kp_str unpadded(struct kp_str text)
{
    while (text.len && text.ptr[text.len - 1] == ' ')
        text.len--;
    return text;
}

static size_t characters(struct kp_str text)
{
    return kp_utf8_length(text.ptr, text.len);
}

INT_KERNEL(text_length, characters(text_at(args, 0, i)))
INT_KERNEL(bpchar_length, characters(unpadded(text_at(args, 0, i))))
INT_KERNEL(byte_length, text_at(args, 0, i).len)
INT_KERNEL(bit_length, text_at(args, 0, i).len * 8)

static uint32_t first_character(struct kp_str text)
{
    return text.len ? kp_utf8_next(&text.ptr) : 0;
}
INT_KERNEL(ascii, first_character(text_at(args, 0, i)))

TEXT_KERNEL(chr, {
    int32_t code = FN_AT(int32_t, 0, i);
    char utf8[4];
    if (code == 0)
        kp_call_fail(call, i, "54000", "null character not permitted");
    else if (code < 0)
        kp_call_fail(call, i, "22023", "character number must be positive");
    else if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
        kp_call_fail(call, i, "54000", "requested character not valid for encoding: %d", code);
    else
        *to = fn_text(call, utf8, kp_utf8_encode((uint32_t)code, utf8));
})

/* ---- case ---- */

TEXT_KERNEL(upper, {
    kp_text_upper(text_at(args, 0, i), &buf);
    *to = fn_text(call, buf.data, buf.len);
})
TEXT_KERNEL(lower, {
    kp_text_lower(text_at(args, 0, i), &buf);
    *to = fn_text(call, buf.data, buf.len);
})
TEXT_KERNEL(initcap, {
    struct kp_str text = text_at(args, 0, i);
    bool inside = false;
    for (const char *at = text.ptr, *end = text.ptr + text.len; at < end;) {
        uint32_t c = kp_utf8_next(&at);
        char utf8[4];
        kp_buf_append(&buf, utf8, kp_utf8_encode(inside ? kp_unicode_lower(c) : kp_unicode_upper(c), utf8));
        inside = kp_unicode_is_alnum(c);
    }
    *to = fn_text(call, buf.data, buf.len);
})

/* ---- parts ---- */

/* Characters [start, end) counted from 1, cut to what is there. */
static struct kp_str slice(struct kp_str text, int64_t start, int64_t end)
{
    if (end <= start || end <= 1)
        return (struct kp_str){text.ptr, 0};
    size_t skip = start > 1 ? (size_t)(start - 1) : 0;
    size_t from = kp_utf8_offset(text.ptr, text.len, skip);
    size_t count = (size_t)(end - 1) - skip;
    size_t len = kp_utf8_offset(text.ptr + from, text.len - from, count);
    return (struct kp_str){text.ptr + from, len};
}

TEXT_KERNEL(substring, {
    int64_t start = FN_AT(int32_t, 1, i), end = INT64_MAX;
    if (call->arg_count == 3) {
        int32_t count = FN_AT(int32_t, 2, i);
        if (count < 0) {
            kp_call_fail(call, i, "22011", "negative substring length not allowed");
            continue;
        }
        end = start + count;
    }
    struct kp_str part = slice(text_at(args, 0, i), start, end);
    *to = kp_text_make(part.ptr, part.len);
})

TEXT_KERNEL(left, {
    struct kp_str text = text_at(args, 0, i);
    int64_t count = FN_AT(int32_t, 1, i);
    struct kp_str part = slice(text, 1, 1 + (count < 0 ? (int64_t)characters(text) + count : count));
    *to = kp_text_make(part.ptr, part.len);
})

TEXT_KERNEL(right, {
    struct kp_str text = text_at(args, 0, i);
    int64_t count = FN_AT(int32_t, 1, i), len = (int64_t)characters(text);
    struct kp_str part = slice(text, count < 0 ? 1 - count : KP_MAX(len - count, (int64_t)0) + 1, INT64_MAX);
    *to = kp_text_make(part.ptr, part.len);
})

static int32_t find(struct kp_str text, struct kp_str part)
{
    if (part.len == 0)
        return 1;
    const char *found = text.len ? memmem(text.ptr, text.len, part.ptr, part.len) : NULL;
    return found ? (int32_t)kp_utf8_length(text.ptr, (size_t)(found - text.ptr)) + 1 : 0;
}
INT_KERNEL(strpos, find(text_at(args, 0, i), text_at(args, 1, i)))

static void starts_with(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_str text = text_at(args, 0, i), part = text_at(args, 1, i);
        ((uint8_t *)out->data)[i] =
            text.len >= part.len && (part.len == 0 || memcmp(text.ptr, part.ptr, part.len) == 0);
    }
}

static bool contains_character(struct kp_str set, const char *at, size_t len)
{
    return len <= set.len && memmem(set.ptr, set.len, at, len) != NULL;
}

static struct kp_str trim(struct kp_str text, struct kp_str set, bool front, bool back)
{
    while (front && text.len) {
        const char *next = text.ptr;
        kp_utf8_next(&next);
        size_t len = (size_t)(next - text.ptr);
        if (!contains_character(set, text.ptr, len))
            break;
        text.ptr += len, text.len -= len;
    }
    while (back && text.len) {
        size_t len = 1;
        while (len < text.len && ((unsigned char)text.ptr[text.len - len] & 0xc0) == 0x80)
            len++;
        if (!contains_character(set, text.ptr + text.len - len, len))
            break;
        text.len -= len;
    }
    return text;
}

#define TRIM_KERNEL(name, front, back)                                                                                 \
    TEXT_KERNEL(name, {                                                                                                \
        struct kp_str set = call->arg_count == 2 ? text_at(args, 1, i) : KP_STR(" ");                                  \
        struct kp_str part = trim(text_at(args, 0, i), set, front, back);                                              \
        *to = kp_text_make(part.ptr, part.len);                                                                        \
    })
TRIM_KERNEL(btrim, true, true)
TRIM_KERNEL(ltrim, true, false)
TRIM_KERNEL(rtrim, false, true)

/* The field number `wanted`, from 1, or from the end if negative. */
static struct kp_str field(struct kp_str text, struct kp_str separator, int32_t wanted)
{
    struct kp_str none = {text.ptr, 0};
    if (text.len == 0)
        return none;
    if (separator.len == 0)
        return wanted == 1 || wanted == -1 ? text : none;
    int64_t fields = 1;
    if (wanted < 0) {
        for (const char *at = text.ptr, *end = text.ptr + text.len;
             (at = memmem(at, (size_t)(end - at), separator.ptr, separator.len)); at += separator.len)
            fields++;
        if (fields + wanted < 0)
            return none;
    }
    int64_t skip = wanted < 0 ? fields + wanted : wanted - 1;
    for (;;) {
        const char *end = memmem(text.ptr, text.len, separator.ptr, separator.len);
        if (skip-- == 0)
            return end ? (struct kp_str){text.ptr, (size_t)(end - text.ptr)} : text;
        if (!end)
            return none;
        size_t step = (size_t)(end - text.ptr) + separator.len;
        text.ptr += step, text.len -= step;
    }
}

TEXT_KERNEL(split_part, {
    int32_t wanted = FN_AT(int32_t, 2, i);
    if (wanted == 0) {
        kp_call_fail(call, i, "22023", "field position must not be zero");
        continue;
    }
    struct kp_str part = field(text_at(args, 0, i), text_at(args, 1, i), wanted);
    *to = kp_text_make(part.ptr, part.len);
})

/* ---- changed text ---- */

TEXT_KERNEL(replace, {
    struct kp_str text = text_at(args, 0, i), from = text_at(args, 1, i), by = text_at(args, 2, i);
    const char *found = NULL;
    while (from.len && text.len && (found = memmem(text.ptr, text.len, from.ptr, from.len)) &&
           buf.len <= TEXT_BYTES_MAX) {
        kp_buf_append(&buf, text.ptr, (size_t)(found - text.ptr));
        kp_buf_append_str(&buf, by);
        size_t step = (size_t)(found - text.ptr) + from.len;
        text.ptr += step, text.len -= step;
    }
    if (too_long(call, out, i, buf.len))
        continue;
    if (buf.len)
        kp_buf_append_str(&buf, text);
    bool same = buf.len == 0 && text.ptr == text_at(args, 0, i).ptr;
    *to = same      ? kp_text_make(text.ptr, text.len)
          : buf.len ? fn_text(call, buf.data, buf.len)
                    : kp_text_make(text.ptr, text.len);
})

TEXT_KERNEL(translate, {
    struct kp_str text = text_at(args, 0, i), from = text_at(args, 1, i), by = text_at(args, 2, i);
    size_t by_count = characters(by);
    for (const char *at = text.ptr, *end = text.ptr + text.len; at < end;) {
        const char *start = at;
        uint32_t c = kp_utf8_next(&at);
        size_t index = 0;
        bool found = false;
        for (const char *f = from.ptr, *f_end = from.ptr + from.len; f < f_end && !(found = kp_utf8_next(&f) == c);)
            index++;
        if (!found) {
            kp_buf_append(&buf, start, (size_t)(at - start));
        } else if (index < by_count) {
            struct kp_str one = slice(by, (int64_t)index + 1, (int64_t)index + 2);
            kp_buf_append_str(&buf, one);
        }
    }
    *to = fn_text(call, buf.data, buf.len);
})

static void pad(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out, uint32_t row, bool front,
                struct kp_buf *buf)
{
    struct kp_str text = text_at(args, 0, row), filling = call->arg_count == 3 ? text_at(args, 2, row) : KP_STR(" ");
    int64_t wanted = KP_MAX(FN_AT(int32_t, 1, row), 0), have = (int64_t)characters(text);
    if (too_long(call, out, row, (uint64_t)wanted * 4))
        return;
    if (have > wanted || filling.len == 0)
        text = slice(text, 1, 1 + KP_MIN(wanted, have));
    if (!front)
        kp_buf_append_str(buf, text);
    int64_t missing = filling.len ? wanted - have : 0;
    const char *at = filling.ptr;
    for (; missing > 0; missing--) {
        const char *start = at;
        kp_utf8_next(&at);
        kp_buf_append(buf, start, (size_t)(at - start));
        if (at == filling.ptr + filling.len)
            at = filling.ptr;
    }
    if (front)
        kp_buf_append_str(buf, text);
    ((struct kp_text *)out->data)[row] = fn_text(call, buf->data, buf->len);
}
TEXT_KERNEL(lpad, {
    (void)to;
    pad(call, args, out, i, true, &buf);
})
TEXT_KERNEL(rpad, {
    (void)to;
    pad(call, args, out, i, false, &buf);
})

TEXT_KERNEL(repeat, {
    struct kp_str text = text_at(args, 0, i);
    int64_t count = KP_MAX(FN_AT(int32_t, 1, i), 0);
    if (too_long(call, out, i, (uint64_t)count * text.len))
        continue;
    size_t wanted = (size_t)count * text.len;
    char local[KP_TEXT_INLINE_BYTES], *bytes = wanted <= sizeof local ? local : kp_arena_alloc(call->arena, wanted);
    for (size_t have = 0, step; have < wanted; have += step) { /* what is there is copied behind itself */
        step = have ? KP_MIN(have, wanted - have) : text.len;
        memcpy(bytes + have, have ? bytes : text.ptr, step);
    }
    *to = kp_text_make(bytes, wanted);
})

TEXT_KERNEL(reverse, {
    struct kp_str text = text_at(args, 0, i);
    uint8_t *end = kp_buf_reserve(&buf, text.len + 1) + text.len;
    for (const char *at = text.ptr, *stop = text.ptr + text.len; at < stop;) {
        const char *start = at;
        kp_utf8_next(&at);
        end -= at - start;
        memcpy(end, start, (size_t)(at - start));
    }
    *to = fn_text(call, buf.data, text.len);
})

TEXT_KERNEL(overlay, {
    struct kp_str text = text_at(args, 0, i), by = text_at(args, 1, i);
    int64_t start = FN_AT(int32_t, 2, i), count = call->arg_count == 4 ? FN_AT(int32_t, 3, i) : (int64_t)characters(by);
    if (start <= 0) {
        kp_call_fail(call, i, "22011", "negative substring length not allowed");
        continue;
    }
    if (start + count > INT32_MAX) {
        kp_call_fail(call, i, "22003", "integer out of range");
        continue;
    }
    kp_buf_append_str(&buf, slice(text, 1, start));
    kp_buf_append_str(&buf, by);
    kp_buf_append_str(&buf, slice(text, start + count, INT64_MAX));
    *to = fn_text(call, buf.data, buf.len);
})

/* ---- digests, digits ---- */

TEXT_KERNEL(md5, {
    static const char hex[] = "0123456789abcdef";
    struct kp_str text = text_at(args, 0, i);
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    if (!EVP_Digest(text.ptr, text.len, digest, &len, EVP_md5(), NULL)) {
        kp_call_fail(call, i, "XX000", "could not compute MD5 hash");
        continue;
    }
    for (unsigned n = 0; n < len; n++) {
        kp_buf_append_byte(&buf, (uint8_t)hex[digest[n] >> 4]);
        kp_buf_append_byte(&buf, (uint8_t)hex[digest[n] & 15]);
    }
    *to = fn_text(call, buf.data, buf.len);
})
TEXT_KERNEL(to_hex32, {
    kp_buf_printf(&buf, "%x", (unsigned)FN_AT(int32_t, 0, i));
    *to = fn_text(call, buf.data, buf.len);
})
TEXT_KERNEL(to_hex64, {
    kp_buf_printf(&buf, "%llx", (unsigned long long)FN_AT(int64_t, 0, i));
    *to = fn_text(call, buf.data, buf.len);
})
TEXT_KERNEL(quote_literal, {
    kp_literal_quote(text_at(args, 0, i), &buf);
    *to = fn_text(call, buf.data, buf.len);
})

#define FN1(name_, flags_, a, ret_, kernel_, doc_)                                                                     \
    FN_UNARY(name_, KP_FUNC_FUNCTION, KP_STRICT | (flags_), a, ret_, kernel_, doc_)
#define FN2(name_, flags_, a, b, ret_, kernel_, doc_)                                                                  \
    FN_BINARY(name_, KP_FUNC_FUNCTION, KP_STRICT | (flags_), a, b, ret_, kernel_, doc_)
#define FN3(name_, flags_, a, b, c, kernel_, doc_)                                                                     \
    {                                                                                                                  \
        .name = name_, .kind = KP_FUNC_FUNCTION, .flags = KP_STRICT | (flags_), .arg_count = 3, .args = {a, b, c},     \
        .ret = KP_TEXT, .kernel = kernel_, .doc = doc_                                                                 \
    }

static const struct kp_func funcs[] = {
    FN_BINARY("||", KP_FUNC_OPERATOR, KP_STRICT | KP_CAN_FAIL, KP_TEXT, KP_TEXT, KP_TEXT, concat_two, "joined"),
    FN_BINARY("||", KP_FUNC_OPERATOR, KP_STRICT | KP_STABLE, KP_TEXT, KP_ANYNONARRAY, KP_TEXT, concat_any, "joined"),
    FN_BINARY("||", KP_FUNC_OPERATOR, KP_STRICT | KP_STABLE, KP_ANYNONARRAY, KP_TEXT, KP_TEXT, concat_any, "joined"),
    FN_BINARY("^@", KP_FUNC_OPERATOR, KP_STRICT, KP_TEXT, KP_TEXT, KP_BOOL, starts_with, "starts with"),
    {.name = "concat",
     .kind = KP_FUNC_FUNCTION,
     .flags = KP_VARIADIC | KP_STABLE | KP_CAN_FAIL,
     .arg_count = 1,
     .args = {KP_ANY},
     .ret = KP_TEXT,
     .kernel = concat,
     .doc = "all that is not NULL, joined"},
    {.name = "concat_ws",
     .kind = KP_FUNC_FUNCTION,
     .flags = KP_VARIADIC | KP_STABLE | KP_CAN_FAIL,
     .arg_count = 2,
     .args = {KP_TEXT, KP_ANY},
     .ret = KP_TEXT,
     .kernel = concat_ws,
     .doc = "all that is not NULL, joined by a separator"},
    FN1("length", 0, KP_TEXT, KP_INT4, text_length, "characters"),
    FN1("textlen", 0, KP_TEXT, KP_INT4, text_length, "characters"),
    FN1("length", 0, KP_BPCHAR, KP_INT4, bpchar_length, "characters without padding"),
    FN1("length", 0, KP_BYTEA, KP_INT4, byte_length, "bytes"),
    FN1("char_length", 0, KP_TEXT, KP_INT4, text_length, "characters"),
    FN1("char_length", 0, KP_BPCHAR, KP_INT4, bpchar_length, "characters without padding"),
    FN1("character_length", 0, KP_TEXT, KP_INT4, text_length, "characters"),
    FN1("character_length", 0, KP_BPCHAR, KP_INT4, bpchar_length, "characters without padding"),
    FN1("octet_length", 0, KP_TEXT, KP_INT4, byte_length, "bytes"),
    FN1("octet_length", 0, KP_BPCHAR, KP_INT4, byte_length, "bytes"),
    FN1("octet_length", 0, KP_BYTEA, KP_INT4, byte_length, "bytes"),
    FN1("bit_length", 0, KP_TEXT, KP_INT4, bit_length, "bits"),
    FN1("ascii", 0, KP_TEXT, KP_INT4, ascii, "code point of the first character"),
    FN1("chr", KP_CAN_FAIL, KP_INT4, KP_TEXT, chr, "character of a code point"),
    FN1("upper", 0, KP_TEXT, KP_TEXT, upper, "in upper case"),
    FN1("lower", 0, KP_TEXT, KP_TEXT, lower, "in lower case"),
    FN1("initcap", 0, KP_TEXT, KP_TEXT, initcap, "words capitalized"),
    FN2("substring", KP_CAN_FAIL, KP_TEXT, KP_INT4, KP_TEXT, substring, "from a position"),
    FN3("substring", KP_CAN_FAIL, KP_TEXT, KP_INT4, KP_INT4, substring, "from a position, so many characters"),
    FN2("substr", KP_CAN_FAIL, KP_TEXT, KP_INT4, KP_TEXT, substring, "from a position"),
    FN3("substr", KP_CAN_FAIL, KP_TEXT, KP_INT4, KP_INT4, substring, "from a position, so many characters"),
    FN2("left", 0, KP_TEXT, KP_INT4, KP_TEXT, left, "the first characters"),
    FN2("right", 0, KP_TEXT, KP_INT4, KP_TEXT, right, "the last characters"),
    FN2("strpos", 0, KP_TEXT, KP_TEXT, KP_INT4, strpos, "where it contains the other, 0 nowhere"),
    FN2("position", 0, KP_TEXT, KP_TEXT, KP_INT4, strpos, "where it contains the other, 0 nowhere"),
    FN2("starts_with", 0, KP_TEXT, KP_TEXT, KP_BOOL, starts_with, "whether it starts with the other"),
    FN1("btrim", 0, KP_TEXT, KP_TEXT, btrim, "without spaces around"),
    FN2("btrim", 0, KP_TEXT, KP_TEXT, KP_TEXT, btrim, "without such characters around"),
    FN1("ltrim", 0, KP_TEXT, KP_TEXT, ltrim, "without spaces before"),
    FN2("ltrim", 0, KP_TEXT, KP_TEXT, KP_TEXT, ltrim, "without such characters before"),
    FN1("rtrim", 0, KP_TEXT, KP_TEXT, rtrim, "without spaces behind"),
    FN2("rtrim", 0, KP_TEXT, KP_TEXT, KP_TEXT, rtrim, "without such characters behind"),
    FN3("split_part", KP_CAN_FAIL, KP_TEXT, KP_TEXT, KP_INT4, split_part, "a field between separators"),
    FN3("replace", KP_CAN_FAIL, KP_TEXT, KP_TEXT, KP_TEXT, replace, "each occurrence by another text"),
    FN3("translate", 0, KP_TEXT, KP_TEXT, KP_TEXT, translate, "each character by its counterpart"),
    FN2("lpad", KP_CAN_FAIL, KP_TEXT, KP_INT4, KP_TEXT, lpad, "filled up before"),
    FN3("lpad", KP_CAN_FAIL, KP_TEXT, KP_INT4, KP_TEXT, lpad, "filled up before"),
    FN2("rpad", KP_CAN_FAIL, KP_TEXT, KP_INT4, KP_TEXT, rpad, "filled up behind"),
    FN3("rpad", KP_CAN_FAIL, KP_TEXT, KP_INT4, KP_TEXT, rpad, "filled up behind"),
    FN2("repeat", KP_CAN_FAIL, KP_TEXT, KP_INT4, KP_TEXT, repeat, "so many times"),
    FN1("reverse", 0, KP_TEXT, KP_TEXT, reverse, "backwards"),
    FN3("overlay", KP_CAN_FAIL, KP_TEXT, KP_TEXT, KP_INT4, overlay, "a part replaced"),
    {.name = "overlay",
     .kind = KP_FUNC_FUNCTION,
     .flags = KP_STRICT | KP_CAN_FAIL,
     .arg_count = 4,
     .args = {KP_TEXT, KP_TEXT, KP_INT4, KP_INT4},
     .ret = KP_TEXT,
     .kernel = overlay,
     .doc = "a part replaced"},
    FN1("md5", KP_CAN_FAIL, KP_TEXT, KP_TEXT, md5, "MD5 in hexadecimal"),
    FN1("md5", KP_CAN_FAIL, KP_BYTEA, KP_TEXT, md5, "MD5 in hexadecimal"),
    FN1("to_hex", 0, KP_INT4, KP_TEXT, to_hex32, "hexadecimal"),
    FN1("to_hex", 0, KP_INT8, KP_TEXT, to_hex64, "hexadecimal"),
    FN1("quote_literal", 0, KP_TEXT, KP_TEXT, quote_literal, "as an SQL literal"),
};
KP_FUNCTIONS(text, funcs);
