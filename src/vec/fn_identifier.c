/* Text that SQL itself reads: parse_ident, unistr, quote_literal and quote_nullable of any value. */
#include "base/utf8.h"
#include "vec/array.h"
#include "vec/facts.h"
#include "vec/fn.h"

/* ---- parse_ident ---- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}

static bool begins_name(char c)
{
    return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (unsigned char)c >= 0x80;
}

static const char *skip_blanks(const char *at, const char *end)
{
    while (at < end && is_blank(*at))
        at++;
    return at;
}

/* One name, quotes taken off or folded; NULL: there is none. */
static const char *take_name(const char *at, const char *end, struct kp_buf *out)
{
    out->len = 0;
    if (at < end && *at == '"') {
        for (at++;; at++) {
            if (at == end)
                return NULL;
            if (*at == '"' && (at + 1 == end || at[1] != '"'))
                break;
            at += *at == '"';
            kp_buf_append_byte(out, (uint8_t)*at);
        }
        return out->len ? at + 1 : NULL;
    }
    if (at == end || !begins_name(*at))
        return NULL;
    for (; at < end && (begins_name(*at) || (*at >= '0' && *at <= '9') || *at == '$'); at++)
        kp_buf_append_byte(out, (uint8_t)(*at >= 'A' && *at <= 'Z' ? *at - 'A' + 'a' : *at));
    return at;
}

static bool parse_row(struct kp_call *call, struct kp_str text, bool strict, struct kp_buf *name,
                      struct kp_array_builder *builder)
{
    const char *end = text.ptr + text.len, *at = skip_blanks(text.ptr, end);
    for (;;) {
        at = take_name(at, end, name);
        if (!at)
            return false;
        struct kp_text value = fn_text(call, name->data, name->len);
        kp_array_add(builder, &value);
        at = skip_blanks(at, end);
        if (at == end)
            return true;
        if (*at != '.')
            return !strict;
        at = skip_blanks(at + 1, end);
    }
}

static void parse_ident(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_array_builder builder = {.element = KP_TEXT};
    struct kp_buf name = {0};
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_str text = kp_text_str(&FN_AT(struct kp_text, 0, i));
        bool strict = call->arg_count == 1 || FN_AT(uint8_t, 1, i);
        if (!kp_vec_is_null(out, i) && !parse_row(call, text, strict, &name, &builder))
            kp_call_fail(call, i, "22023", "string is not a valid identifier: \"%.*s\"", (int)text.len, text.ptr);
        ((struct kp_text *)out->data)[i] = kp_array_make(&builder, call->arena);
    }
    kp_buf_finish(&name);
    kp_array_builder_finish(&builder);
}

/* ---- unistr: \XXXX, \+XXXXXX, \uXXXX, \UXXXXXXXX ---- */

static bool hex_digits(const char *at, const char *end, int count, uint32_t *ret_value)
{
    uint32_t value = 0;
    if (end - at < count)
        return false;
    for (int i = 0; i < count; i++) {
        char c = at[i];
        int digit = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
        if (digit < 0)
            return false;
        value = value << 4 | (uint32_t)digit;
    }
    *ret_value = value;
    return true;
}

/* The escape behind a backslash; its length, 0 if it is none. */
static int take_escape(const char *at, const char *end, uint32_t *ret_value)
{
    if (at < end && *at == '+' && hex_digits(at + 1, end, 6, ret_value))
        return 7;
    if (at < end && *at == 'u' && hex_digits(at + 1, end, 4, ret_value))
        return 5;
    if (at < end && *at == 'U' && hex_digits(at + 1, end, 8, ret_value))
        return 9;
    return hex_digits(at, end, 4, ret_value) ? 4 : 0;
}

static const char *unescape(struct kp_str text, struct kp_buf *out, uint32_t *ret_value)
{
    uint32_t high = 0;
    for (const char *at = text.ptr, *end = text.ptr + text.len; at < end;) {
        uint32_t value;
        if (*at != '\\' || (at + 1 < end && at[1] == '\\')) {
            if (high)
                return "invalid Unicode surrogate pair";
            kp_buf_append_byte(out, (uint8_t)*at);
            at += *at == '\\' ? 2 : 1;
            continue;
        }
        int len = take_escape(at + 1, end, &value);
        if (!len)
            return "invalid Unicode escape";
        at += 1 + len;
        *ret_value = value;
        if (value == 0 || value > 0x10ffff)
            return "code point";
        bool second = value >= 0xdc00 && value < 0xe000;
        if (second != (high != 0))
            return "invalid Unicode surrogate pair";
        if (second) {
            value = 0x10000 + ((high - 0xd800) << 10) + (value - 0xdc00);
            high = 0;
        } else if (value >= 0xd800 && value < 0xdc00) {
            high = value;
            continue;
        }
        char utf8[4];
        kp_buf_append(out, utf8, kp_utf8_encode(value, utf8));
    }
    return high ? "invalid Unicode surrogate pair" : NULL;
}

static void unistr(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_buf buf = {0};
    for (uint32_t i = 0; i < call->rows; i++) {
        uint32_t value = 0;
        buf.len = 0;
        const char *wrong = unescape(kp_text_str(&FN_AT(struct kp_text, 0, i)), &buf, &value);
        if (wrong && !kp_vec_is_null(out, i)) {
            if (strcmp(wrong, "code point") == 0)
                kp_call_fail(call, i, "22023", "invalid Unicode code point: %04X", value);
            else
                kp_call_fail(call, i, "42601", "%s", wrong);
        }
        ((struct kp_text *)out->data)[i] = fn_text(call, buf.data, buf.len);
    }
    kp_buf_finish(&buf);
}

/* ---- literals ---- */

void kp_literal_quote(struct kp_str text, struct kp_buf *out)
{
    bool backslash = text.len && memchr(text.ptr, '\\', text.len);
    if (backslash)
        kp_buf_append_byte(out, 'E');
    kp_buf_append_byte(out, '\'');
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '\'' || text.ptr[i] == '\\')
            kp_buf_append_byte(out, (uint8_t)text.ptr[i]);
        kp_buf_append_byte(out, (uint8_t)text.ptr[i]);
    }
    kp_buf_append_byte(out, '\'');
}

/* Of any value as the cast to text writes it. A NULL is the word, or of the strict function nothing. */
static void quote_value(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_buf shown = {0}, quoted = {0};
    for (uint32_t i = 0; i < call->rows; i++) {
        shown.len = quoted.len = 0;
        if (kp_vec_is_null(args[0], i)) {
            kp_buf_append_text(&quoted, "NULL");
        } else {
            if (args[0]->type.id == KP_BOOL)
                kp_buf_append_text(&shown, FN_AT(uint8_t, 0, i) ? "true" : "false");
            else
                kp_value_print(args[0]->type, kp_vec_at(args[0], i), fn_zone(call), &shown);
            kp_literal_quote((struct kp_str){shown.data ? (const char *)shown.data : "", shown.len}, &quoted);
        }
        ((struct kp_text *)out->data)[i] = fn_text(call, quoted.data, quoted.len);
    }
    kp_buf_finish(&shown);
    kp_buf_finish(&quoted);
}

static const struct kp_func funcs[] = {
    FN_UNARY("parse_ident", KP_FUNC_FUNCTION, KP_STRICT | KP_CAN_FAIL, KP_TEXT, KP_TEXT_ARRAY, parse_ident,
             "the parts of a.b.c"),
    FN_BINARY("parse_ident", KP_FUNC_FUNCTION, KP_STRICT | KP_CAN_FAIL, KP_TEXT, KP_BOOL, KP_TEXT_ARRAY, parse_ident,
              "the parts of a.b.c; not strict: what follows is ignored"),
    FN_UNARY("unistr", KP_FUNC_FUNCTION, KP_STRICT | KP_CAN_FAIL, KP_TEXT, KP_TEXT, unistr,
             "with \\XXXX and its like as characters"),
    FN_UNARY("quote_literal", KP_FUNC_FUNCTION, KP_STRICT | KP_STABLE, KP_ANYELEMENT, KP_TEXT, quote_value,
             "as an SQL literal"),
    FN_UNARY("quote_nullable", KP_FUNC_FUNCTION, KP_STABLE, KP_ANYELEMENT, KP_TEXT, quote_value,
             "as an SQL literal, or NULL"),
};
KP_FUNCTIONS(identifier, funcs);
