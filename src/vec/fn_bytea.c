/*
 * Bytes: hashes, encode and decode, single bytes and bits, pieces; text to bytes and back.
 *
 * base64 breaks lines at 76 characters, as PostgreSQL's does. Hashes are OpenSSL's.
 */
#include <ctype.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <strings.h>

#include "vec/fn.h"
#include "vec/io.h"

static inline struct kp_str bytes_at(const struct kp_vec *const *args, unsigned n, uint32_t row)
{
    return kp_text_str(&FN_AT(struct kp_text, n, row));
}

static void digest(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out, const EVP_MD *md)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_str text = bytes_at(args, 0, i);
        unsigned char bytes[EVP_MAX_MD_SIZE];
        unsigned len = 0;
        if (!EVP_Digest(text.ptr, text.len, bytes, &len, md, NULL))
            fn_fail_text(call, out, i, "XX000", "could not compute a hash");
        ((struct kp_text *)out->data)[i] = fn_text(call, bytes, len);
    }
}

#define DIGEST(name)                                                                                                   \
    static void name(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)                       \
    {                                                                                                                  \
        digest(call, args, out, EVP_##name());                                                                         \
    }
DIGEST(sha224)
DIGEST(sha256)
DIGEST(sha384)
DIGEST(sha512)

/* ---- encode, decode ---- */

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void append_base64(struct kp_str bytes, struct kp_buf *out)
{
    size_t line = 0;
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t left = bytes.len - i;
        uint32_t word = (uint32_t)(uint8_t)bytes.ptr[i] << 16 |
                        (left > 1 ? (uint32_t)(uint8_t)bytes.ptr[i + 1] << 8 : 0) |
                        (left > 2 ? (uint8_t)bytes.ptr[i + 2] : 0);
        for (unsigned k = 0; k < 4; k++)
            kp_buf_append_byte(out, (uint8_t)(k > left ? '=' : base64_digits[word >> (18 - 6 * k) & 63]));
        line += 4;
        if (line >= 76 && left > 3) {
            kp_buf_append_byte(out, '\n');
            line = 0;
        }
    }
}

static void append_hex(struct kp_str bytes, struct kp_buf *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < bytes.len; i++) {
        kp_buf_append_byte(out, (uint8_t)digits[(uint8_t)bytes.ptr[i] >> 4]);
        kp_buf_append_byte(out, (uint8_t)digits[(uint8_t)bytes.ptr[i] & 15]);
    }
}

static void append_escape(struct kp_str bytes, struct kp_buf *out)
{
    for (size_t i = 0; i < bytes.len; i++) {
        uint8_t c = (uint8_t)bytes.ptr[i];
        if (c == 0 || c >= 0x80)
            kp_buf_printf(out, "\\%03o", c);
        else if (c == '\\')
            kp_buf_append_text(out, "\\\\");
        else
            kp_buf_append_byte(out, c);
    }
}

static bool named(struct kp_str name, const char *is)
{
    return name.len == strlen(is) && strncasecmp(name.ptr, is, name.len) == 0;
}

static void encode(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_buf buf = {0};
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_str bytes = bytes_at(args, 0, i), name = bytes_at(args, 1, i);
        buf.len = 0;
        if (named(name, "base64"))
            append_base64(bytes, &buf);
        else if (named(name, "hex"))
            append_hex(bytes, &buf);
        else if (named(name, "escape"))
            append_escape(bytes, &buf);
        else if (!kp_vec_is_null(out, i))
            kp_call_fail(call, i, "22023", "unrecognized encoding: \"%.*s\"", (int)name.len, name.ptr);
        ((struct kp_text *)out->data)[i] = fn_text(call, buf.data, buf.len);
    }
    kp_buf_finish(&buf);
}

/* The character at i, for a message. */
static const char *about(struct kp_arena *arena, const char *before, struct kp_str text, size_t i, const char *behind)
{
    size_t len = 1;
    while (i + len < text.len && ((uint8_t)text.ptr[i + len] & 0xc0) == 0x80)
        len++;
    return kp_arena_printf(arena, "%s\"%.*s\"%s", before, (int)len, text.ptr + i, behind);
}

static const char *decode_base64(struct kp_str text, struct kp_arena *arena, struct kp_buf *out)
{
    uint32_t word = 0;
    unsigned count = 0, padding = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == ' ' || c == '\n' || c == '\t' || c == '\r')
            continue;
        const char *digit = c ? strchr(base64_digits, c) : NULL;
        if (c == '=') {
            if (count < 2 || padding > 1)
                return "unexpected \"=\" while decoding base64 sequence";
            padding++;
        } else if (!digit || padding) {
            return about(arena, "invalid symbol ", text, i, " found while decoding base64 sequence");
        }
        word = word << 6 | (uint32_t)(digit ? digit - base64_digits : 0);
        if (++count < 4)
            continue;
        for (unsigned k = 0; k + padding < 3; k++)
            kp_buf_append_byte(out, (uint8_t)(word >> (16 - 8 * k)));
        word = count = 0;
    }
    return count ? "invalid base64 end sequence" : NULL;
}

static const char *decode_hex(struct kp_str text, struct kp_arena *arena, struct kp_buf *out)
{
    int high = -1;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (high < 0 && (c == ' ' || c == '\n' || c == '\t' || c == '\r'))
            continue;
        int digit = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
        if (digit < 0)
            return about(arena, "invalid hexadecimal digit: ", text, i, "");
        if (high < 0) {
            high = digit;
        } else {
            kp_buf_append_byte(out, (uint8_t)(high << 4 | digit));
            high = -1;
        }
    }
    return high >= 0 ? "invalid hexadecimal data: odd number of digits" : NULL;
}

static const char *decode_escape(struct kp_str text, struct kp_arena *arena, struct kp_buf *out)
{
    struct kp_text bytes;
    struct kp_error err;
    if (text.len >= 2 && text.ptr[0] == '\\' && text.ptr[1] == 'x')
        return "invalid input syntax for type bytea";
    if (kp_value_parse(KP_TYPE(KP_BYTEA), text, NULL, arena, &bytes, &err) != KP_OK)
        return "invalid input syntax for type bytea";
    kp_buf_append_str(out, kp_text_str(&bytes));
    return NULL;
}

static void decode(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_buf buf = {0};
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_str text = bytes_at(args, 0, i), name = bytes_at(args, 1, i);
        const char *failure = NULL, *state = "22023";
        buf.len = 0;
        if (named(name, "base64")) {
            failure = decode_base64(text, call->arena, &buf);
        } else if (named(name, "hex")) {
            failure = decode_hex(text, call->arena, &buf);
        } else if (named(name, "escape")) {
            failure = decode_escape(text, call->arena, &buf);
            state = "22P02";
        } else if (!kp_vec_is_null(out, i)) {
            kp_call_fail(call, i, "22023", "unrecognized encoding: \"%.*s\"", (int)name.len, name.ptr);
        }
        if (failure)
            fn_fail_text(call, out, i, state, failure);
        ((struct kp_text *)out->data)[i] = fn_text(call, buf.data, buf.len);
    }
    kp_buf_finish(&buf);
}

/* ---- text and bytes ---- */

enum encoding { UTF8, LATIN1, OTHER, UNKNOWN };

/* By its letters and digits, case ignored, as PostgreSQL reads names of encodings. */
static enum encoding encoding_of(struct kp_str name)
{
    static const struct {
        const char *name;
        enum encoding encoding;
    } names[] = {{"utf8", UTF8}, {"unicode", UTF8}, {"latin1", LATIN1}, {"iso88591", LATIN1}};
    static const char *const others[] = {
        "abc",         "alt",         "big5",        "euccn",       "eucjis2004",   "eucjp",       "euckr",
        "euctw",       "gb18030",     "gbk",         "iso88592",    "iso88593",     "iso88594",    "iso88595",
        "iso88596",    "iso88597",    "iso88598",    "iso88599",    "iso885910",    "iso885913",   "iso885914",
        "iso885915",   "iso885916",   "johab",       "koi8",        "koi8r",        "koi8u",       "latin2",
        "latin3",      "latin4",      "latin5",      "latin6",      "latin7",       "latin8",      "latin9",
        "latin10",     "mskanji",     "shiftjis",    "sjis",        "shiftjis2004", "sqlascii",    "tcvn",
        "tcvn5712",    "uhc",         "vscii",       "win",         "win866",       "win874",      "win932",
        "win936",      "win949",      "win950",      "win1250",     "win1251",      "win1252",     "win1253",
        "win1254",     "win1255",     "win1256",     "win1257",     "win1258",      "windows866",  "windows874",
        "windows932",  "windows936",  "windows949",  "windows950",  "windows1250",  "windows1251", "windows1252",
        "windows1253", "windows1254", "windows1255", "windows1256", "windows1257",  "windows1258", "muleinternal"};
    char plain[16];
    size_t len = 0;
    for (size_t i = 0; i < name.len && len < sizeof plain; i++)
        if (isalnum((unsigned char)name.ptr[i]))
            plain[len++] = name.ptr[i];
    for (size_t i = 0; i < KP_COUNT(names); i++)
        if (named((struct kp_str){plain, len}, names[i].name))
            return names[i].encoding;
    for (size_t i = 0; i < KP_COUNT(others); i++)
        if (named((struct kp_str){plain, len}, others[i]))
            return OTHER;
    return UNKNOWN;
}

/* That the bytes are of the encoding: 22021. */
static enum kp_code check_encoding(struct kp_str bytes, enum encoding encoding, struct kp_error *err)
{
    if (encoding == UTF8)
        return kp_string_check(KP_TEXT, bytes, err);
    return bytes.len && memchr(bytes.ptr, 0, bytes.len)
               ? kp_fail(err, KP_INVALID, "22021", "invalid byte sequence for encoding \"LATIN1\": 0x00")
               : KP_OK;
}

static void latin1_to_utf8(struct kp_str bytes, struct kp_buf *out)
{
    for (size_t i = 0; i < bytes.len; i++) {
        uint8_t byte = (uint8_t)bytes.ptr[i];
        if (byte >= 0x80)
            kp_buf_append_byte(out, (uint8_t)(0xc0 | byte >> 6));
        kp_buf_append_byte(out, byte >= 0x80 ? (uint8_t)(0x80 | (byte & 0x3f)) : byte);
    }
}

static enum kp_code utf8_to_latin1(struct kp_str text, struct kp_buf *out, struct kp_error *err)
{
    for (size_t i = 0; i < text.len;) {
        uint8_t lead = (uint8_t)text.ptr[i];
        size_t len = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
        if (lead > 0xc3) {
            char bytes[4 * 5 + 1] = "";
            for (size_t b = 0; b < len; b++)
                snprintf(bytes + 5 * b, sizeof bytes - 5 * b, " 0x%02x", (uint8_t)text.ptr[i + b]);
            return kp_fail(
                err, KP_INVALID, "22P05",
                "character with byte sequence%s in encoding \"UTF8\" has no equivalent in encoding \"LATIN1\"", bytes);
        }
        kp_buf_append_byte(out, (uint8_t)(len == 1 ? lead : (lead & 3) << 6 | (text.ptr[i + 1] & 0x3f)));
        i += len;
    }
    return KP_OK;
}

static enum kp_code check_names(struct kp_str from, struct kp_str to, struct kp_error *err)
{
    enum encoding source = encoding_of(from), destination = encoding_of(to);
    struct kp_str wrong = source == UNKNOWN ? from : to;
    if (source == UNKNOWN || destination == UNKNOWN)
        return kp_fail(err, KP_INVALID, "22023", "invalid %s encoding name \"%.*s\"",
                       source == UNKNOWN ? "source" : "destination", (int)wrong.len, wrong.ptr);
    return source == OTHER || destination == OTHER
               ? kp_fail(err, KP_UNSUPPORTED, NULL, "only the encodings UTF8 and LATIN1 are supported")
               : KP_OK;
}

/* Bytes of one encoding in another. */
static void recode(struct kp_call *call, struct kp_vec *out, uint32_t row, struct kp_str bytes, struct kp_str source,
                   struct kp_str destination)
{
    enum encoding from = encoding_of(source), to = encoding_of(destination);
    struct kp_text *to_text = (struct kp_text *)out->data + row;
    struct kp_buf buf = {0};
    struct kp_error err;
    *to_text = kp_text_make("", 0);
    if (kp_vec_is_null(out, row))
        return;
    enum kp_code code = check_names(source, destination, &err);
    if (code == KP_OK)
        code = check_encoding(bytes, from, &err);
    if (code == KP_OK && from == to) {
        *to_text = kp_text_make(bytes.ptr, bytes.len);
        return;
    }
    if (code == KP_OK && from == LATIN1)
        latin1_to_utf8(bytes, &buf);
    else if (code == KP_OK)
        code = utf8_to_latin1(bytes, &buf, &err);
    if (code == KP_OK)
        *to_text = fn_text(call, buf.data, buf.len);
    else
        fn_fail(call, out, row, &err);
    kp_buf_finish(&buf);
}

static void convert_from(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    for (uint32_t i = 0; i < call->rows; i++)
        recode(call, out, i, bytes_at(args, 0, i), bytes_at(args, 1, i), KP_STR("UTF8"));
}

static void convert_to(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    for (uint32_t i = 0; i < call->rows; i++)
        recode(call, out, i, bytes_at(args, 0, i), KP_STR("UTF8"), bytes_at(args, 1, i));
}

static void convert(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    for (uint32_t i = 0; i < call->rows; i++)
        recode(call, out, i, bytes_at(args, 0, i), bytes_at(args, 1, i), bytes_at(args, 2, i));
}

/* ---- single bytes and bits ---- */

static bool inside(struct kp_call *call, struct kp_vec *out, uint32_t row, int64_t at, size_t len)
{
    if (at >= 0 && (uint64_t)at < len)
        return true;
    if (!kp_vec_is_null(out, row))
        kp_call_fail(call, row, "2202E", "index %lld out of valid range, 0..%lld", (long long)at, (long long)len - 1);
    return false;
}

static void get_byte(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_str bytes = bytes_at(args, 0, i);
        int32_t at = FN_AT(int32_t, 1, i);
        ((int32_t *)out->data)[i] = inside(call, out, i, at, bytes.len) ? (uint8_t)bytes.ptr[at] : 0;
    }
}

static void get_bit(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_str bytes = bytes_at(args, 0, i);
        int64_t at = FN_AT(int64_t, 1, i);
        bool in = inside(call, out, i, at, bytes.len * 8);
        ((int32_t *)out->data)[i] = in ? (uint8_t)bytes.ptr[at / 8] >> at % 8 & 1 : 0;
    }
}

static void set_byte(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_str bytes = bytes_at(args, 0, i);
        int32_t at = FN_AT(int32_t, 1, i);
        if (!kp_arena_may(call->arena, bytes.len))
            bytes.len = 0; /* in vain */
        char *copy = kp_arena_strndup(call->arena, bytes.ptr, bytes.len);
        if (inside(call, out, i, at, bytes.len))
            copy[at] = (char)FN_AT(int32_t, 2, i);
        ((struct kp_text *)out->data)[i] = kp_text_make(copy, bytes.len);
    }
}

static void set_bit(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_str bytes = bytes_at(args, 0, i);
        int64_t at = FN_AT(int64_t, 1, i);
        int32_t bit = FN_AT(int32_t, 2, i);
        if (!kp_arena_may(call->arena, bytes.len))
            bytes.len = 0; /* in vain */
        char *copy = kp_arena_strndup(call->arena, bytes.ptr, bytes.len);
        if (inside(call, out, i, at, bytes.len * 8)) {
            if (bit != 0 && bit != 1)
                fn_fail_text(call, out, i, "22023", "new bit must be 0 or 1");
            else
                copy[at / 8] = (char)((copy[at / 8] & ~(1 << at % 8)) | bit << at % 8);
        }
        ((struct kp_text *)out->data)[i] = kp_text_make(copy, bytes.len);
    }
}

static void bit_count(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_str bytes = bytes_at(args, 0, i);
        int64_t count = 0;
        for (size_t b = 0; b < bytes.len; b++)
            count += __builtin_popcount((uint8_t)bytes.ptr[b]);
        ((int64_t *)out->data)[i] = count;
    }
}

/* ---- pieces ---- */

static void concatenate(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_buf buf = {0};
    for (uint32_t i = 0; i < call->rows; i++) {
        buf.len = 0;
        kp_buf_append_str(&buf, bytes_at(args, 0, i));
        kp_buf_append_str(&buf, bytes_at(args, 1, i));
        ((struct kp_text *)out->data)[i] = fn_text(call, buf.data, buf.len);
    }
    kp_buf_finish(&buf);
}

static void substring(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_str bytes = bytes_at(args, 0, i);
        int64_t from = FN_AT(int32_t, 1, i), end = (int64_t)bytes.len + 1;
        if (call->arg_count > 2) {
            int32_t length = FN_AT(int32_t, 2, i);
            if (length < 0)
                fn_fail_text(call, out, i, "22011", "negative substring length not allowed");
            end = KP_MIN(end, from + length);
        }
        from = KP_MAX(from, (int64_t)1);
        bool empty = from >= end || from > (int64_t)bytes.len;
        ((struct kp_text *)out->data)[i] =
            empty ? kp_text_make("", 0) : fn_text(call, bytes.ptr + from - 1, (size_t)(end - from));
    }
}

static void position(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_str bytes = bytes_at(args, 0, i), part = bytes_at(args, 1, i);
        const char *found = part.len ? memmem(bytes.ptr, bytes.len, part.ptr, part.len) : bytes.ptr;
        ((int32_t *)out->data)[i] = found ? (int32_t)(found - bytes.ptr) + 1 : 0;
    }
}

/* Without bytes of a set, at the front or the back. */
static void trim(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out, bool front, bool back)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_str bytes = bytes_at(args, 0, i), set = bytes_at(args, 1, i);
        while (front && bytes.len && set.len && memchr(set.ptr, bytes.ptr[0], set.len))
            bytes.ptr++, bytes.len--;
        while (back && bytes.len && set.len && memchr(set.ptr, bytes.ptr[bytes.len - 1], set.len))
            bytes.len--;
        ((struct kp_text *)out->data)[i] = kp_text_make(bytes.ptr, bytes.len);
    }
}
static void btrim(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    trim(call, args, out, true, true);
}
static void ltrim(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    trim(call, args, out, true, false);
}
static void rtrim(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    trim(call, args, out, false, true);
}

static void overlay(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_buf buf = {0};
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_str bytes = bytes_at(args, 0, i), by = bytes_at(args, 1, i);
        int64_t start = FN_AT(int32_t, 2, i), count = call->arg_count == 4 ? FN_AT(int32_t, 3, i) : (int64_t)by.len;
        int64_t behind = KP_MIN(KP_MAX(start + count - 1, 0), (int64_t)bytes.len);
        buf.len = 0;
        if (start <= 0) {
            fn_fail_text(call, out, i, "22011", "negative substring length not allowed");
        } else if (start + count > INT32_MAX) {
            fn_fail_text(call, out, i, "22003", "integer out of range");
        } else {
            kp_buf_append(&buf, bytes.ptr, (size_t)KP_MIN(start - 1, (int64_t)bytes.len));
            kp_buf_append_str(&buf, by);
            kp_buf_append(&buf, bytes.ptr + behind, bytes.len - (size_t)behind);
        }
        ((struct kp_text *)out->data)[i] = fn_text(call, buf.data, buf.len);
    }
    kp_buf_finish(&buf);
}

static void bit_length(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    for (uint32_t i = 0; i < call->rows; i++)
        ((int32_t *)out->data)[i] = (int32_t)(bytes_at(args, 0, i).len * 8);
}

#define FUNCTION(name_, count_, a, b, c, ret_, kernel_, doc_)                                                          \
    {                                                                                                                  \
        .name = name_, .kind = KP_FUNC_FUNCTION, .flags = KP_STRICT | KP_CAN_FAIL, .arg_count = count_,                \
        .args = {a, b, c}, .ret = ret_, .kernel = kernel_, .doc = doc_                                                 \
    }
#define NONE KP_TYPE_NONE

static const struct kp_func funcs[] = {
    FUNCTION("sha224", 1, KP_BYTEA, NONE, NONE, KP_BYTEA, sha224, "SHA-224"),
    FUNCTION("sha256", 1, KP_BYTEA, NONE, NONE, KP_BYTEA, sha256, "SHA-256"),
    FUNCTION("sha384", 1, KP_BYTEA, NONE, NONE, KP_BYTEA, sha384, "SHA-384"),
    FUNCTION("sha512", 1, KP_BYTEA, NONE, NONE, KP_BYTEA, sha512, "SHA-512"),
    FUNCTION("encode", 2, KP_BYTEA, KP_TEXT, NONE, KP_TEXT, encode, "as text: base64, hex, escape"),
    FUNCTION("decode", 2, KP_TEXT, KP_TEXT, NONE, KP_BYTEA, decode, "of text: base64, hex, escape"),
    FUNCTION("convert", 3, KP_BYTEA, KP_TEXT, KP_TEXT, KP_BYTEA, convert, "bytes of an encoding in another"),
    FUNCTION("convert_from", 2, KP_BYTEA, KP_TEXT, NONE, KP_TEXT, convert_from, "bytes as text in an encoding"),
    FUNCTION("convert_to", 2, KP_TEXT, KP_TEXT, NONE, KP_BYTEA, convert_to, "text as bytes in an encoding"),
    FUNCTION("get_byte", 2, KP_BYTEA, KP_INT4, NONE, KP_INT4, get_byte, "a byte"),
    FUNCTION("get_bit", 2, KP_BYTEA, KP_INT8, NONE, KP_INT4, get_bit, "a bit"),
    FUNCTION("set_byte", 3, KP_BYTEA, KP_INT4, KP_INT4, KP_BYTEA, set_byte, "with another byte"),
    FUNCTION("set_bit", 3, KP_BYTEA, KP_INT8, KP_INT4, KP_BYTEA, set_bit, "with another bit"),
    FUNCTION("bit_count", 1, KP_BYTEA, NONE, NONE, KP_INT8, bit_count, "bits that are set"),
    FUNCTION("substring", 2, KP_BYTEA, KP_INT4, NONE, KP_BYTEA, substring, "from a position"),
    FUNCTION("substring", 3, KP_BYTEA, KP_INT4, KP_INT4, KP_BYTEA, substring, "from a position, so many bytes"),
    FUNCTION("substr", 2, KP_BYTEA, KP_INT4, NONE, KP_BYTEA, substring, "from a position"),
    FUNCTION("substr", 3, KP_BYTEA, KP_INT4, KP_INT4, KP_BYTEA, substring, "from a position, so many bytes"),
    FUNCTION("position", 2, KP_BYTEA, KP_BYTEA, NONE, KP_INT4, position, "where it contains the other, 0 nowhere"),
    FUNCTION("bit_length", 1, KP_BYTEA, NONE, NONE, KP_INT4, bit_length, "bits"),
    FUNCTION("btrim", 2, KP_BYTEA, KP_BYTEA, NONE, KP_BYTEA, btrim, "without such bytes around"),
    FUNCTION("ltrim", 2, KP_BYTEA, KP_BYTEA, NONE, KP_BYTEA, ltrim, "without such bytes before"),
    FUNCTION("rtrim", 2, KP_BYTEA, KP_BYTEA, NONE, KP_BYTEA, rtrim, "without such bytes behind"),
    FUNCTION("overlay", 3, KP_BYTEA, KP_BYTEA, KP_INT4, KP_BYTEA, overlay, "a part replaced"),
    {.name = "overlay",
     .kind = KP_FUNC_FUNCTION,
     .flags = KP_STRICT | KP_CAN_FAIL,
     .arg_count = 4,
     .args = {KP_BYTEA, KP_BYTEA, KP_INT4, KP_INT4},
     .ret = KP_BYTEA,
     .kernel = overlay,
     .doc = "a part replaced"},
    FN_BINARY("||", KP_FUNC_OPERATOR, KP_STRICT, KP_BYTEA, KP_BYTEA, KP_BYTEA, concatenate, "joined"),
};
KP_FUNCTIONS(bytea, funcs);
