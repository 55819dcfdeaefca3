/*
 * JSON's grammar by hand: skipping a value strictly, escapes, unescaping.
 *
 * The skip is a loop over bytes with one bit a level that says object or array, so that depth costs no stack. It
 * serves the fast path (what nobody wants must still be valid JSON) and tells where a rejected record is wrong.
 */
#include "base/limits.h"
#include "base/utf8.h"
#include "decode/internal.h"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The code unit of the four hex digits at p; -1 if they are not. */
static int32_t hex_unit(const char *p)
{
    int32_t unit = 0;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(p[i]);
        if (digit < 0)
            return -1;
        unit = unit << 4 | digit;
    }
    return unit;
}

bool kp_json_escapes_valid(struct kp_str inside)
{
    const char *p = inside.ptr, *end = p + inside.len;
    while ((p = memchr(p, '\\', (size_t)(end - p)))) {
        if (end - p < 2)
            return false;
        switch (p[1]) {
        case '"':
        case '\\':
        case '/':
        case 'b':
        case 'f':
        case 'n':
        case 'r':
        case 't':
            p += 2;
            break;
        case 'u':
            if (end - p < 6 || hex_unit(p + 2) < 0)
                return false;
            p += 6;
            break;
        default:
            return false;
        }
    }
    return true;
}

/* Decodes the \u escape (or pair of them) at *at; 0 with *ret_why if text cannot hold it. */
static uint32_t unescape_unit(const char **at, const char *end, const char **ret_why)
{
    uint32_t unit = (uint32_t)hex_unit(*at + 2);
    *at += 6;
    if (unit == 0) {
        *ret_why = "\\u0000 cannot be converted to text";
        return 0;
    }
    if (unit < 0xd800 || unit > 0xdfff)
        return unit;
    uint32_t low = 0;
    if (unit < 0xdc00 && end - *at >= 6 && (*at)[0] == '\\' && (*at)[1] == 'u')
        low = (uint32_t)hex_unit(*at + 2);
    if (low < 0xdc00 || low > 0xdfff) {
        *ret_why = "a Unicode surrogate in an escape must be one half of a pair";
        return 0;
    }
    *at += 6;
    return 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
}

bool kp_json_unescape(struct kp_str inside, char *out, size_t *ret_len, const char **ret_why)
{
    const char *p = inside.ptr, *end = p + inside.len;
    char *to = out;
    while (p < end) {
        const char *escape = memchr(p, '\\', (size_t)(end - p));
        size_t plain = (size_t)((escape ? escape : end) - p);
        memcpy(to, p, plain);
        to += plain;
        p += plain;
        if (!escape)
            break;
        if (p[1] == 'u') {
            uint32_t code_point = unescape_unit(&p, end, ret_why);
            if (code_point == 0)
                return false;
            to += kp_utf8_encode(code_point, to); /* 6 or 12 bytes became at most 4 */
            continue;
        }
        static const char from[] = "bfnrt", into[] = "\b\f\n\r\t";
        const char *named = strchr(from, p[1]);
        *to++ = named ? into[named - from] : p[1];
        p += 2;
    }
    *ret_len = (size_t)(to - out);
    return true;
}

/* Behind the string whose opening quote is at p, NULL if it is not valid. */
static const uint8_t *skip_string(const uint8_t *p, const uint8_t *end)
{
    unsigned flags;
    const uint8_t *quote = kp_json_string_end(p + 1, end, &flags);
    if (!quote || quote >= end)
        return NULL;
    struct kp_str inside = {(const char *)p + 1, (size_t)(quote - p - 1)};
    if ((flags & KP_JSON_WIDE) && !kp_utf8_valid(inside.ptr, inside.len))
        return NULL;
    if ((flags & KP_JSON_ESCAPED) && !kp_json_escapes_valid(inside))
        return NULL;
    return quote + 1;
}

static const uint8_t *skip_scalar(const uint8_t *p, const uint8_t *end)
{
    switch (*p) {
    case '"':
        return skip_string(p, end);
    case 't':
        return memcmp(p, "true", 4) == 0 ? p + 4 : NULL;
    case 'f':
        return memcmp(p, "false", 5) == 0 ? p + 5 : NULL;
    case 'n':
        return memcmp(p, "null", 4) == 0 ? p + 4 : NULL;
    default:
        return kp_json_number_end(p, end);
    }
}

/* Behind the name and colon at p, at the value; NULL with p unmoved if they are not there. */
static const uint8_t *skip_name(const uint8_t *p, const uint8_t *end)
{
    if (p >= end || *p != '"')
        return NULL;
    const uint8_t *at = skip_string(p, end);
    if (!at)
        return NULL;
    if (*at != ':') {
        at = kp_json_space_end(at, end);
        if (at >= end || *at != ':')
            return NULL;
    }
    return kp_json_space_end(at + 1, end);
}

const uint8_t *kp_json_skip(const uint8_t *p, const uint8_t *end, unsigned depth_max, const uint8_t **ret_bad)
{
    uint64_t objects[KP_JSON_DEPTH_MAX / 64] = {0}; /* bit: the level is an object */
    unsigned depth = 0;
    for (;;) {
        /* A value is due at p. */
        if (p >= end)
            break;
        if (*p == '{' || *p == '[') {
            bool object = *p == '{';
            if (depth == depth_max)
                break;
            const uint8_t *inside = kp_json_space_end(p + 1, end);
            if (inside < end && *inside == (object ? '}' : ']')) {
                p = inside + 1;
            } else {
                uint64_t bit = (uint64_t)1 << (depth & 63);
                objects[depth >> 6] = object ? objects[depth >> 6] | bit : objects[depth >> 6] & ~bit;
                depth++;
                const uint8_t *value = object ? skip_name(inside, end) : inside;
                p = value ? value : inside;
                if (!value)
                    break;
                continue;
            }
        } else {
            const uint8_t *behind = skip_scalar(p, end);
            if (!behind)
                break;
            p = behind;
        }
        /* Behind a value: commas and closing braces. */
        bool value_due = false;
        while (depth && !value_due) {
            p = kp_json_space_end(p, end);
            bool object = objects[(depth - 1) >> 6] >> ((depth - 1) & 63) & 1;
            if (p >= end)
                break;
            if (*p == ',') {
                const uint8_t *next = kp_json_space_end(p + 1, end);
                const uint8_t *value = object ? skip_name(next, end) : next;
                p = value ? value : next;
                if (!value)
                    break;
                value_due = true;
            } else if (*p == (object ? '}' : ']')) {
                p++;
                depth--;
            } else {
                break;
            }
        }
        if (depth == 0)
            return p;
        if (!value_due)
            break;
    }
    *ret_bad = p < end ? p : end;
    return NULL;
}
