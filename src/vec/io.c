/*
 * The text, binary and JSON forms of single values, by type: PostgreSQL's output, input, send and receive functions.
 *
 * Text that does not belong to a type gives PostgreSQL's own message and SQLSTATE, since clients show them. jsonb is
 * kept as text in the form that PostgreSQL prints; see json.h.
 */
#include <ctype.h>
#include <stdio.h>
#include <strings.h>

#include "base/utf8.h"
#include "vec/array.h"
#include "vec/datetime.h"
#include "vec/composite.h"
#include "vec/float.h"
#include "vec/io.h"
#include "vec/json.h"
#include "vec/jsonpath.h"
#include "vec/numeric.h"
#include "vec/unicode.h"
#include "vec/vec.h"

enum { QUOTED_BYTES_MAX = 256 };

static enum kp_code bad_syntax(const char *type, struct kp_str text, struct kp_error *err)
{
    return kp_fail(err, KP_INVALID, "22P02", "invalid input syntax for type %s: \"%.*s\"", type,
                   (int)KP_MIN(text.len, (size_t)QUOTED_BYTES_MAX), text.ptr);
}

/* ---- text out ---- */

void kp_int_print(int64_t value, struct kp_buf *out)
{
    char digits[20];
    size_t at = sizeof digits;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do
        digits[--at] = (char)('0' + rest % 10);
    while (rest /= 10);
    if (value < 0)
        digits[--at] = '-';
    kp_buf_append(out, digits + at, sizeof digits - at);
}

static const char hex_digits[] = "0123456789abcdef";

static void print_hex(struct kp_buf *out, const uint8_t *bytes, size_t len)
{
    uint8_t *at = kp_buf_reserve(out, len * 2);
    for (size_t i = 0; i < len; i++) {
        at[2 * i] = (uint8_t)hex_digits[bytes[i] >> 4];
        at[2 * i + 1] = (uint8_t)hex_digits[bytes[i] & 15];
    }
    out->len += len * 2;
}

static void print_uuid(struct kp_buf *out, const uint8_t *bytes)
{
    static const uint8_t groups[] = {4, 2, 2, 2, 6};
    for (size_t i = 0; i < sizeof groups; i++) {
        if (i)
            kp_buf_append_byte(out, '-');
        print_hex(out, bytes, groups[i]);
        bytes += groups[i];
    }
}

#define LOAD(ctype) (*(const ctype *)value)

void kp_value_print(struct kp_type type, const void *value, const struct kp_zone *zone, struct kp_buf *out)
{
    switch (type.id) {
    case KP_BOOL:
        kp_buf_append_byte(out, LOAD(uint8_t) ? 't' : 'f');
        break;
    case KP_CHAR:
        if (LOAD(uint8_t) >= 0x80) /* it may be a part of a character */
            kp_buf_printf(out, "\\%03o", LOAD(uint8_t));
        else if (LOAD(uint8_t))
            kp_buf_append_byte(out, LOAD(uint8_t));
        break;
    case KP_INT2:
        kp_int_print(LOAD(int16_t), out);
        break;
    case KP_INT4:
        kp_int_print(LOAD(int32_t), out);
        break;
    case KP_INT8:
        kp_int_print(LOAD(int64_t), out);
        break;
    KP_CASE_OIDS:
        kp_int_print(LOAD(uint32_t), out);
        break;
    case KP_FLOAT4:
        kp_float4_print(LOAD(float), out);
        break;
    case KP_FLOAT8:
        kp_float8_print(LOAD(double), out);
        break;
    case KP_NUMERIC:
        kp_numeric_print(value, out);
        break;
    case KP_BYTEA:
        kp_buf_append_text(out, "\\x");
        print_hex(out, (const uint8_t *)kp_text_bytes(value), LOAD(struct kp_text).len);
        break;
    case KP_DATE:
        kp_date_print(LOAD(int32_t), out);
        break;
    case KP_TIME:
        kp_time_print(LOAD(int64_t), out);
        break;
    case KP_TIMETZ:
        kp_timetz_print(value, out);
        break;
    case KP_TIMESTAMP:
        kp_timestamp_print(LOAD(int64_t), ' ', out);
        break;
    case KP_TIMESTAMPTZ:
        kp_timestamptz_print(LOAD(int64_t), zone, ' ', out);
        break;
    case KP_INTERVAL:
        kp_interval_print(value, out);
        break;
    case KP_UUID:
        print_uuid(out, value);
        break;
    default:
        if (kp_type_is_enum(type.id)) {
            kp_buf_append_text(out, kp_enum_label(type.id, LOAD(int32_t)));
            break;
        }
        KP_ASSERT(kp_type_info(type.id)->string);
        if (kp_type_is_array(type.id))
            kp_type_is_vector(type.id) ? kp_vector_print(type.id, value, out) : kp_array_print(type, value, zone, out);
        else if (kp_type_is_composite(type.id))
            kp_composite_print(type.id, value, zone, out);
        else
            kp_buf_append_str(out, kp_text_str(value));
    }
}

/* ---- text in ---- */

enum kp_code kp_int_parse(struct kp_str given, enum kp_type_id type, int64_t *ret_value, struct kp_error *err)
{
    struct kp_str text = kp_text_trim(given);
    const char *name = kp_type_info(type)->name;
    bool negative = text.len && text.ptr[0] == '-', overflow = false;
    size_t at = negative || (text.len && text.ptr[0] == '+'), start = at;
    int64_t value = 0; /* gathered below zero, where there is one more */
    for (; at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9'; at++)
        overflow |=
            __builtin_mul_overflow(value, 10, &value) || __builtin_sub_overflow(value, text.ptr[at] - '0', &value);
    int64_t min = INT64_MIN, max = INT64_MAX;
    if (type == KP_INT4)
        min = INT32_MIN, max = INT32_MAX;
    else if (type == KP_INT2)
        min = INT16_MIN, max = INT16_MAX;
    else if (type == KP_OID || kp_type_is_reg(type))
        min = INT32_MIN, max = UINT32_MAX;
    if (at == start)
        return bad_syntax(name, given, err);
    if (type != KP_OID && !kp_type_is_reg(type))
        overflow |= value < min; /* digits that are too many come before what follows them */
    if (at < text.len && !overflow)
        return bad_syntax(name, given, err);
    if (!negative && !overflow)
        overflow = __builtin_sub_overflow(0, value, &value);
    if (overflow || value < min || value > max)
        return kp_fail(err, KP_INVALID, "22003", "value \"%.*s\" is out of range for type %s",
                       (int)KP_MIN(given.len, (size_t)QUOTED_BYTES_MAX), given.ptr, name);
    *ret_value = value;
    return KP_OK;
}

enum kp_code kp_bool_parse(struct kp_str given, bool *ret_value, struct kp_error *err)
{
    static const struct {
        const char *word;
        uint8_t least; /* shortest prefix that is enough */
        bool value;
    } words[] = {{"true", 1, true}, {"false", 1, false}, {"yes", 1, true}, {"no", 1, false},
                 {"on", 2, true},   {"off", 2, false},   {"1", 1, true},   {"0", 1, false}};
    struct kp_str text = kp_text_trim(given);
    for (size_t i = 0; i < KP_COUNT(words); i++)
        if (text.len >= words[i].least && text.len <= strlen(words[i].word) &&
            strncasecmp(text.ptr, words[i].word, text.len) == 0) {
            *ret_value = words[i].value;
            return KP_OK;
        }
    return bad_syntax("boolean", given, err);
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static enum kp_code parse_uuid(struct kp_str given, uint8_t bytes[16], struct kp_error *err)
{
    struct kp_str text = given;
    if (text.len >= 2 && text.ptr[0] == '{' && text.ptr[text.len - 1] == '}')
        text = (struct kp_str){text.ptr + 1, text.len - 2};
    size_t at = 0;
    for (int i = 0; i < 16; i++) {
        int high = at < text.len ? hex_value(text.ptr[at]) : -1,
            low = at + 1 < text.len ? hex_value(text.ptr[at + 1]) : -1;
        if (high < 0 || low < 0)
            return bad_syntax("uuid", given, err);
        bytes[i] = (uint8_t)(high << 4 | low);
        at += 2;
        if (i % 2 == 1 && i < 15 && at < text.len && text.ptr[at] == '-')
            at++;
    }
    return at == text.len ? KP_OK : bad_syntax("uuid", given, err);
}

static enum kp_code parse_bytea_hex(struct kp_str text, struct kp_arena *arena, struct kp_text *ret_text,
                                    struct kp_error *err)
{
    if (!kp_arena_may(arena, text.len / 2))
        text.len = 2; /* in vain */
    char *bytes = kp_arena_alloc(arena, text.len / 2 + 1);
    size_t len = 0;
    for (size_t at = 2; at < text.len;) {
        if (isspace((unsigned char)text.ptr[at])) {
            at++;
            continue;
        }
        int high = hex_value(text.ptr[at]);
        if (high < 0)
            return kp_fail(err, KP_INVALID, "22023", "invalid hexadecimal digit: \"%c\"", text.ptr[at]);
        if (at + 1 == text.len)
            return kp_fail(err, KP_INVALID, "22023", "invalid hexadecimal data: odd number of digits");
        int low = hex_value(text.ptr[at + 1]);
        if (low < 0)
            return kp_fail(err, KP_INVALID, "22023", "invalid hexadecimal digit: \"%c\"", text.ptr[at + 1]);
        bytes[len++] = (char)(high << 4 | low);
        at += 2;
    }
    *ret_text = kp_text_make(bytes, len);
    return KP_OK;
}

/* Either \x and hex digits, or PostgreSQL's old escapes: \\ and \ooo. */
static enum kp_code parse_bytea(struct kp_str text, struct kp_arena *arena, struct kp_text *ret_text,
                                struct kp_error *err)
{
    if (text.len >= 2 && text.ptr[0] == '\\' && text.ptr[1] == 'x')
        return parse_bytea_hex(text, arena, ret_text, err);
    if (!kp_arena_may(arena, text.len))
        text.len = 0; /* in vain */
    char *bytes = kp_arena_alloc(arena, text.len + 1);
    size_t len = 0;
    for (size_t at = 0; at < text.len; at++) {
        const char *p = text.ptr + at;
        size_t left = text.len - at;
        if (*p != '\\') {
            bytes[len++] = *p;
        } else if (left >= 2 && p[1] == '\\') {
            bytes[len++] = '\\';
            at++;
        } else if (left >= 4 && p[1] >= '0' && p[1] <= '3' && p[2] >= '0' && p[2] <= '7' && p[3] >= '0' &&
                   p[3] <= '7') {
            bytes[len++] = (char)((p[1] - '0') << 6 | (p[2] - '0') << 3 | (p[3] - '0'));
            at += 3;
        } else {
            return bad_syntax("bytea", text, err);
        }
    }
    *ret_text = kp_text_make(bytes, len);
    return KP_OK;
}

enum kp_code kp_string_check(enum kp_type_id type, struct kp_str text, struct kp_error *err)
{
    if (text.len && memchr(text.ptr, 0, text.len))
        return kp_fail(err, KP_INVALID, "22021", "invalid byte sequence for encoding \"UTF8\": 0x00");
    size_t valid = kp_utf8_valid_prefix(text.ptr, text.len);
    if (valid < text.len)
        return kp_fail(err, KP_INVALID, "22021", "invalid byte sequence for encoding \"UTF8\": 0x%02x",
                       (unsigned)(uint8_t)text.ptr[valid]);
    (void)type;
    return KP_OK;
}

enum kp_code kp_string_apply_mod(struct kp_type type, struct kp_str text, bool explicit_cast, struct kp_arena *arena,
                                 struct kp_text *ret_text, struct kp_error *err)
{
    if (type.mod < 4 || (type.id != KP_VARCHAR && type.id != KP_BPCHAR)) {
        *ret_text = kp_text_make(text.ptr, text.len);
        return KP_OK;
    }
    size_t limit = (size_t)type.mod - 4;
    if (text.len > limit) {
        size_t cut = kp_utf8_offset(text.ptr, text.len, limit);
        for (size_t i = cut; !explicit_cast && i < text.len; i++)
            if (text.ptr[i] != ' ')
                return kp_fail(err, KP_INVALID, "22001", "value too long for type %s(%zu)", kp_type_info(type.id)->name,
                               limit);
        text.len = cut;
    }
    size_t characters = type.id == KP_BPCHAR ? kp_utf8_length(text.ptr, text.len) : limit;
    if (characters < limit && kp_arena_may(arena, text.len + limit - characters)) {
        size_t padding = limit - characters;
        char *padded = kp_arena_alloc(arena, text.len + padding);
        if (text.len)
            memcpy(padded, text.ptr, text.len);
        memset(padded + text.len, ' ', padding);
        text = (struct kp_str){padded, text.len + padding};
    }
    *ret_text = kp_text_make(text.ptr, text.len);
    return KP_OK;
}

static enum kp_code parse_path(struct kp_str text, struct kp_arena *arena, struct kp_text *ret_text,
                               struct kp_error *err)
{
    struct kp_path path;
    struct kp_buf out = {0};
    KP_TRY(kp_path_parse(text, arena, &path, err));
    kp_path_print(&path, &out);
    *ret_text = kp_text_make(kp_arena_strndup(arena, (const char *)out.data, out.len), out.len);
    kp_buf_finish(&out);
    return KP_OK;
}

static enum kp_code parse_string(struct kp_type type, struct kp_str text, struct kp_arena *arena,
                                 struct kp_text *ret_text, struct kp_error *err)
{
    if (type.id == KP_BYTEA)
        return parse_bytea(text, arena, ret_text, err);
    KP_TRY(kp_string_check(type.id, text, err));
    if (type.id == KP_JSON || type.id == KP_JSONB)
        return kp_json_parse(type.id, text, arena, ret_text, err);
    if (type.id == KP_JSONPATH)
        return parse_path(text, arena, ret_text, err);
    if (type.id == KP_NAME && text.len > KP_NAME_BYTES_MAX) {
        size_t len = KP_NAME_BYTES_MAX;
        text.len = kp_utf8_valid_prefix(text.ptr, len);
    }
    struct kp_text made;
    KP_TRY(kp_string_apply_mod(type, text, false, arena, &made, err));
    struct kp_str str = kp_text_str(&made);
    if (str.len > KP_TEXT_INLINE_BYTES && str.ptr >= text.ptr && str.ptr < text.ptr + text.len &&
        kp_arena_may(arena, str.len))
        made = kp_text_make(kp_arena_strndup(arena, str.ptr, str.len), str.len);
    *ret_text = made;
    return KP_OK;
}

static bool is_octal(char c)
{
    return c >= '0' && c <= '7';
}

/* The first byte, or \ooo as it is printed. */
static uint8_t parse_char(struct kp_str text)
{
    if (text.len == 4 && text.ptr[0] == '\\' && is_octal(text.ptr[1]) && is_octal(text.ptr[2]) && is_octal(text.ptr[3]))
        return (uint8_t)((text.ptr[1] - '0') << 6 | (text.ptr[2] - '0') << 3 | (text.ptr[3] - '0'));
    return text.len ? (uint8_t)text.ptr[0] : 0;
}

static enum kp_code parse_enum(enum kp_type_id type, struct kp_str text, int32_t *ret_value, struct kp_error *err)
{
    if (kp_enum_find(type, text, ret_value))
        return KP_OK;
    return kp_fail(err, KP_INVALID, "22P02", "invalid input value for enum %s: \"%.*s\"", kp_type_info(type)->name,
                   (int)KP_MIN(text.len, (size_t)QUOTED_BYTES_MAX), text.ptr);
}

enum kp_code kp_value_parse(struct kp_type type, struct kp_str text, const struct kp_zone *zone, struct kp_arena *arena,
                            void *ret_value, struct kp_error *err)
{
    int64_t number;
    bool truth;
    struct kp_numeric numeric;
    switch (type.id) {
    case KP_BOOL:
        KP_TRY(kp_bool_parse(text, &truth, err));
        *(uint8_t *)ret_value = truth;
        return KP_OK;
    case KP_CHAR:
        *(uint8_t *)ret_value = parse_char(text);
        return KP_OK;
    case KP_INT2:
        KP_TRY(kp_int_parse(text, type.id, &number, err));
        *(int16_t *)ret_value = (int16_t)number;
        return KP_OK;
    case KP_INT4:
    KP_CASE_OIDS:
        KP_TRY(kp_int_parse(text, type.id, &number, err));
        *(int32_t *)ret_value = (int32_t)number;
        return KP_OK;
    case KP_INT8:
        return kp_int_parse(text, type.id, ret_value, err);
    case KP_FLOAT4:
        return kp_float4_parse(text, ret_value, err);
    case KP_FLOAT8:
        return kp_float8_parse(text, ret_value, err);
    case KP_NUMERIC:
        KP_TRY(kp_numeric_parse(text, arena, &numeric, err));
        return kp_numeric_apply_mod(&numeric, type.mod, arena, ret_value, err);
    case KP_DATE:
        return kp_date_parse(text, ret_value, err);
    case KP_TIME:
        return kp_time_parse(text, type.mod, ret_value, err);
    case KP_TIMETZ:
        return kp_timetz_parse(text, type.mod, zone, ret_value, err);
    case KP_TIMESTAMP:
        return kp_timestamp_parse(text, type.mod, ret_value, err);
    case KP_TIMESTAMPTZ:
        return kp_timestamptz_parse(text, type.mod, zone, ret_value, err);
    case KP_INTERVAL:
        return kp_interval_parse(text, type.mod, ret_value, err);
    case KP_UUID:
        return parse_uuid(text, ret_value, err);
    default:
        if (kp_type_is_enum(type.id))
            return parse_enum(type.id, text, ret_value, err);
        KP_ASSERT(kp_type_info(type.id)->string);
        if (kp_type_is_vector(type.id))
            return kp_vector_parse(type.id, text, arena, ret_value, err);
        if (kp_type_is_array(type.id))
            return kp_array_parse(type, text, zone, arena, ret_value, err);
        if (kp_type_is_composite(type.id))
            return kp_composite_parse(type.id, text, zone, arena, ret_value, err);
        return parse_string(type, text, arena, ret_value, err);
    }
}

/* ---- JSON ---- */

static void print_json_bigint(int64_t value, struct kp_buf *out)
{
    bool quoted = value > (int64_t)1 << 53 || value < -((int64_t)1 << 53);
    if (quoted)
        kp_buf_append_byte(out, '"');
    kp_int_print(value, out);
    if (quoted)
        kp_buf_append_byte(out, '"');
}

static void print_json_float(double value, bool single, struct kp_buf *out)
{
    bool quoted = value != value || value - value != 0; /* NaN and infinities are no JSON numbers */
    if (quoted)
        kp_buf_append_byte(out, '"');
    if (single)
        kp_float4_print((float)value, out);
    else
        kp_float8_print(value, out);
    if (quoted)
        kp_buf_append_byte(out, '"');
}

void kp_value_print_json(struct kp_type type, const void *value, const struct kp_zone *zone, struct kp_buf *out)
{
    switch (type.id) {
    case KP_BOOL:
        kp_buf_append_text(out, LOAD(uint8_t) ? "true" : "false");
        return;
    case KP_INT2:
    case KP_INT4:
    KP_CASE_OIDS:
        kp_value_print(type, value, zone, out);
        return;
    case KP_INT8:
        print_json_bigint(LOAD(int64_t), out);
        return;
    case KP_FLOAT4:
        print_json_float((double)LOAD(float), true, out);
        return;
    case KP_FLOAT8:
        print_json_float(LOAD(double), false, out);
        return;
    case KP_JSON:
    case KP_JSONB:
        kp_buf_append_str(out, kp_text_str(value));
        return;
    case KP_TEXT:
    case KP_VARCHAR:
    case KP_BPCHAR:
    case KP_NAME:
    case KP_JSONPATH:
    case KP_UNKNOWN:
        kp_buf_append_json_string(out, kp_text_str(value));
        return;
    case KP_CHAR:
    case KP_BYTEA: {
        struct kp_buf text = {0};
        kp_value_print(type, value, zone, &text);
        kp_buf_append_json_string(out, (struct kp_str){(const char *)text.data, text.len});
        kp_buf_finish(&text);
        return;
    }
    default: /* texts without anything to escape */
        if (kp_type_is_enum(type.id)) {
            kp_buf_append_json_string(out, kp_str(kp_enum_label(type.id, LOAD(int32_t))));
            return;
        }
        if (kp_type_is_array(type.id)) {
            kp_array_print_json(type, value, zone, true, kp_value_print_json, out);
            return;
        }
        if (kp_type_is_composite(type.id)) {
            kp_composite_print_json(type.id, value, zone, false, kp_value_print_json, out);
            return;
        }
        break;
    }
    kp_buf_append_byte(out, '"');
    if (type.id == KP_TIMESTAMP)
        kp_timestamp_print(LOAD(int64_t), 'T', out);
    else if (type.id == KP_TIMESTAMPTZ)
        kp_timestamptz_print_json(LOAD(int64_t), zone, out);
    else
        kp_value_print(type, value, zone, out);
    kp_buf_append_byte(out, '"');
}
