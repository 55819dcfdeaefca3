/*
 * Records cut from JSON text. Only as much of JSON is looked at as cutting needs: quotes, escapes and brackets. Whether
 * a record is good JSON is the decoder's affair (a bad one is a dead letter of the source, with its offset).
 */
#include "serve/http/http_impl.h"

#include <string.h>

#include "base/utf8.h"

enum { DEPTH_MAX = 1000 };

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Behind the string that begins at `at`; SIZE_MAX if it does not end. */
static size_t string_end(struct kp_str text, size_t at)
{
    for (at++; at < text.len; at++) {
        if (text.ptr[at] == '\\')
            at++;
        else if (text.ptr[at] == '"')
            return at + 1;
    }
    return SIZE_MAX;
}

/* Behind the value that begins at `at`. */
static enum kp_code value_end(struct kp_str text, size_t at, size_t *ret_end, struct kp_error *err)
{
    char closers[DEPTH_MAX];
    size_t depth = 0, start = at;
    while (at < text.len) {
        char c = text.ptr[at];
        if (c == '"') {
            at = string_end(text, at);
            if (at == SIZE_MAX)
                break;
        } else if (c == '{' || c == '[') {
            if (depth == DEPTH_MAX)
                return kp_fail(err, KP_LIMIT, NULL, "JSON is nested deeper than %d levels at byte %zu", DEPTH_MAX, at);
            closers[depth++] = c == '{' ? '}' : ']';
            at++;
        } else if (c == '}' || c == ']') {
            if (depth == 0)
                break;
            if (closers[--depth] != c)
                return kp_fail(err, KP_INVALID, "22P02", "JSON does not match at byte %zu: \"%c\" where \"%c\" is due",
                               at, c, closers[depth]);
            at++;
        } else if (depth == 0 && (is_space(c) || c == ',')) {
            break;
        } else {
            at++;
            continue; /* a scalar goes on */
        }
        if (depth == 0)
            break;
    }
    if (at == SIZE_MAX || depth > 0)
        return kp_fail(err, KP_INVALID, "22P02", "JSON ends early: the value that begins at byte %zu is not closed",
                       start);
    if (at == start)
        return kp_fail(err, KP_INVALID, "22P02", "JSON is malformed at byte %zu: \"%c\" where a value is due", at,
                       text.ptr[at]);
    *ret_end = at;
    return KP_OK;
}

enum kp_code kp_http_json_next(struct kp_str text, size_t *at, bool in_array, struct kp_str *ret_value, bool *ret_end,
                               struct kp_error *err)
{
    size_t i = *at;
    while (i < text.len && is_space(text.ptr[i]))
        i++;
    *at = i;
    *ret_end = i == text.len || (in_array && text.ptr[i] == ']');
    if (*ret_end && in_array && i == text.len)
        return kp_fail(err, KP_INVALID, "22P02", "JSON ends early: the array is not closed");
    if (*ret_end)
        return KP_OK;
    size_t end;
    KP_TRY(value_end(text, i, &end, err));
    *ret_value = (struct kp_str){text.ptr + i, end - i};
    while (in_array && end < text.len && is_space(text.ptr[end]))
        end++;
    if (in_array && end < text.len && text.ptr[end] == ',') {
        end++;
        while (end < text.len && is_space(text.ptr[end]))
            end++;
        if (end < text.len && text.ptr[end] == ']')
            return kp_fail(err, KP_INVALID, "22P02", "JSON is malformed at byte %zu: a value is due behind the comma",
                           end);
    } else if (in_array && end < text.len && text.ptr[end] != ']') {
        return kp_fail(err, KP_INVALID, "22P02", "JSON is malformed at byte %zu: \",\" or \"]\" is due", end);
    }
    *at = end;
    return KP_OK;
}

bool kp_http_json_member(struct kp_str object, struct kp_str name, struct kp_str *ret_value)
{
    size_t at = 0;
    bool found = false;
    if (!object.len || object.ptr[0] != '{')
        return false;
    at = 1;
    for (;;) {
        while (at < object.len && (is_space(object.ptr[at]) || object.ptr[at] == ','))
            at++;
        if (at >= object.len || object.ptr[at] != '"')
            return found;
        size_t end = string_end(object, at);
        if (end == SIZE_MAX)
            return found;
        bool same = end - at - 2 == name.len && memcmp(object.ptr + at + 1, name.ptr, name.len) == 0;
        at = end;
        while (at < object.len && (is_space(object.ptr[at]) || object.ptr[at] == ':'))
            at++;
        if (at >= object.len || value_end(object, at, &end, NULL) != KP_OK)
            return found;
        if (same) { /* of a repeated one the last counts */
            *ret_value = (struct kp_str){object.ptr + at, end - at};
            found = true;
        }
        at = end;
    }
}

static int hex_value(const char *at)
{
    int value = 0;
    for (int i = 0; i < 4; i++) {
        char c = at[i];
        int digit = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

/* The character of the escape \uXXXX at `at` (behind the u), with its second half if it is a surrogate; moves *at. */
static uint32_t escaped(const char **at, const char *end)
{
    int high = end - *at >= 4 ? hex_value(*at) : -1;
    if (high < 0)
        return 0xfffd;
    *at += 4;
    if (high < 0xd800 || high > 0xdfff)
        return (uint32_t)high;
    if (high > 0xdbff || end - *at < 6 || (*at)[0] != '\\' || (*at)[1] != 'u')
        return 0xfffd;
    int low = hex_value(*at + 2);
    if (low < 0xdc00 || low > 0xdfff)
        return 0xfffd;
    *at += 6;
    return 0x10000 + (((uint32_t)high - 0xd800) << 10) + ((uint32_t)low - 0xdc00);
}

bool kp_http_json_text(struct kp_str value, struct kp_arena *arena, struct kp_str *ret_text)
{
    if (kp_str_equal(value, KP_STR("null")))
        return false;
    if (value.len < 2 || value.ptr[0] != '"') {
        *ret_text = (struct kp_str){kp_arena_strndup(arena, value.ptr, value.len), value.len};
        return true;
    }
    const char *at = value.ptr + 1, *end = value.ptr + value.len - 1;
    char *out = kp_arena_alloc(arena, value.len), *to = out;
    while (at < end) {
        if (*at != '\\' || at + 1 >= end) {
            *to++ = *at++;
            continue;
        }
        char c = at[1];
        at += 2;
        static const char from[] = "bfnrt", into[] = "\b\f\n\r\t";
        const char *simple = c ? strchr(from, c) : NULL;
        if (c == 'u')
            to += kp_utf8_encode(escaped(&at, end), to); /* at most 4 bytes for 6 */
        else
            *to++ = simple ? into[simple - from] : c;
    }
    *to = '\0';
    *ret_text = (struct kp_str){out, (size_t)(to - out)};
    return true;
}
