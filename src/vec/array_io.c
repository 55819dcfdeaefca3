/*
 * The text, binary and JSON forms of arrays.
 *
 *   text     [1:2][0:1]={{1,NULL},{"a b","\""}}; bounds only when one is not 1
 *   binary   int32 dimensions | int32 has NULLs | uint32 element's oid | { int32 length | int32 lower bound }…
 *            | { int32 bytes or -1 | element }…
 */
#include "vec/array.h"

#include <ctype.h>
#include <stdio.h>
#include <strings.h>

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* ---- text out ---- */

static bool needs_quotes(struct kp_str text)
{
    if (text.len == 0 || (text.len == 4 && strncasecmp(text.ptr, "null", 4) == 0))
        return true;
    for (size_t i = 0; i < text.len; i++)
        if (strchr("\"\\{},", text.ptr[i]) || is_space(text.ptr[i]))
            return true;
    return false;
}

static void print_element(struct kp_str text, struct kp_buf *out)
{
    if (!needs_quotes(text)) {
        kp_buf_append_str(out, text);
        return;
    }
    kp_buf_append_byte(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '"' || text.ptr[i] == '\\')
            kp_buf_append_byte(out, '\\');
        kp_buf_append_byte(out, (uint8_t)text.ptr[i]);
    }
    kp_buf_append_byte(out, '"');
}

/* How many dimensions begin (or end) at element `at`. */
static uint32_t edges(const struct kp_array *array, uint32_t at)
{
    uint32_t run = 1, count = 0;
    for (uint32_t d = array->dimensions; d-- > 0;) {
        run *= (uint32_t)array->lengths[d];
        if (at % run)
            break;
        count++;
    }
    return count;
}

void kp_array_print(struct kp_type type, const struct kp_text *text, const struct kp_zone *zone, struct kp_buf *out)
{
    struct kp_array array;
    struct kp_arena arena = {0};
    struct kp_buf element = {0};
    kp_array_read(type.id, text, &array);
    bool bounds = false;
    for (uint32_t d = 0; d < array.dimensions; d++)
        bounds |= array.lows[d] != 1;
    for (uint32_t d = 0; bounds && d < array.dimensions; d++)
        kp_buf_printf(out, "[%d:%d]", array.lows[d], array.lows[d] + array.lengths[d] - 1);
    if (bounds)
        kp_buf_append_byte(out, '=');
    if (array.count == 0)
        kp_buf_append_text(out, "{}");
    for (uint32_t i = 0; i < array.count; i++) {
        if (i)
            kp_buf_append_byte(out, ',');
        for (uint32_t n = edges(&array, i); n; n--)
            kp_buf_append_byte(out, '{');
        uint64_t value[2];
        element.len = 0;
        if (kp_array_get(&array, i, &arena, value)) {
            kp_value_print((struct kp_type){.id = array.element, .mod = type.mod}, value, zone, &element);
            print_element((struct kp_str){(const char *)element.data, element.len}, out);
        } else {
            kp_buf_append_text(out, "NULL");
        }
        for (uint32_t n = edges(&array, i + 1); n; n--)
            kp_buf_append_byte(out, '}');
    }
    kp_buf_finish(&element);
    kp_arena_finish(&arena);
}

void kp_array_print_json(struct kp_type type, const struct kp_text *text, const struct kp_zone *zone, bool exact,
                         void (*element)(struct kp_type type, const void *value, const struct kp_zone *zone,
                                         struct kp_buf *out),
                         struct kp_buf *out)
{
    struct kp_array array;
    struct kp_arena arena = {0};
    kp_array_read(type.id, text, &array);
    bool plain = array.dimensions <= 1 || (array.element != KP_JSON && array.element != KP_JSONB);
    for (uint32_t d = 0; d < array.dimensions; d++)
        plain &= array.lows[d] == 1;
    if (exact && !plain) {
        struct kp_buf literal = {0};
        kp_value_print(type, text, zone, &literal);
        kp_buf_append_json_string(out, (struct kp_str){(const char *)literal.data, literal.len});
        kp_buf_finish(&literal);
        return;
    }
    if (array.count == 0)
        kp_buf_append_text(out, "[]");
    for (uint32_t i = 0; i < array.count; i++) {
        if (i)
            kp_buf_append_byte(out, ',');
        for (uint32_t n = edges(&array, i); n; n--)
            kp_buf_append_byte(out, '[');
        uint64_t value[2];
        if (kp_array_get(&array, i, &arena, value))
            element((struct kp_type){.id = array.element, .mod = type.mod}, value, zone, out);
        else
            kp_buf_append_text(out, "null");
        for (uint32_t n = edges(&array, i + 1); n; n--)
            kp_buf_append_byte(out, ']');
    }
    kp_arena_finish(&arena);
}

/* ---- text in: a descent of at most six levels ---- */

struct reader {
    struct kp_type element;
    const struct kp_zone *zone;
    struct kp_arena *arena;
    struct kp_error *err;
    struct kp_str whole;
    const char *at, *end;
    uint32_t dimensions; /* known so far */
    bool settled;        /* an element was seen: there are no more levels */
    int32_t lengths[KP_ARRAY_DIMENSIONS_MAX], lows[KP_ARRAY_DIMENSIONS_MAX];
    struct kp_array_builder builder;
    struct kp_buf token;
};

static enum kp_code malformed(struct reader *r, const char *detail)
{
    kp_fail(r->err, KP_INVALID, "22P02", "malformed array literal: \"%.*s\"", (int)KP_MIN(r->whole.len, (size_t)256),
            r->whole.ptr);
    return kp_error_detail(r->err, "%s", detail);
}

static void skip_spaces(struct reader *r)
{
    while (r->at < r->end && is_space(*r->at))
        r->at++;
}

/* An integer of a bound, digits with a sign. */
static bool take_bound(struct reader *r, int32_t *ret_value)
{
    bool negative = r->at < r->end && *r->at == '-';
    if (r->at < r->end && (*r->at == '-' || *r->at == '+'))
        r->at++;
    int64_t value = 0;
    const char *start = r->at;
    for (; r->at < r->end && isdigit((unsigned char)*r->at) && value < INT32_MAX; r->at++)
        value = value * 10 + (*r->at - '0');
    value = negative ? -value : value;
    *ret_value = (int32_t)value;
    return r->at > start && value >= INT32_MIN && value <= INT32_MAX;
}

/* [low:high] or [high], any number of them, then =. */
static enum kp_code take_bounds(struct reader *r, uint32_t *ret_given, int32_t *given)
{
    uint32_t count = 0;
    for (skip_spaces(r); r->at < r->end && *r->at == '['; skip_spaces(r)) {
        int32_t low = 1, high;
        r->at++;
        if (count == KP_ARRAY_DIMENSIONS_MAX)
            return kp_fail(r->err, KP_INVALID, "54000",
                           "number of array dimensions (%d) exceeds the maximum allowed (%d)", count + 1,
                           KP_ARRAY_DIMENSIONS_MAX);
        if (!take_bound(r, &high))
            return malformed(r, "\"[\" must introduce explicitly-specified array dimensions.");
        if (r->at < r->end && *r->at == ':') {
            r->at++;
            low = high;
            if (!take_bound(r, &high))
                return malformed(r, "Missing array dimension value.");
        }
        if (r->at == r->end || *r->at != ']')
            return malformed(r, "Missing \"]\" after array dimensions.");
        r->at++;
        if (high < low)
            return kp_fail(r->err, KP_INVALID, "2202E", "upper bound cannot be less than lower bound");
        given[count] = high - low + 1;
        r->lows[count++] = low;
    }
    *ret_given = count;
    if (count) {
        if (r->at == r->end || *r->at != '=')
            return malformed(r, "Missing \"=\" after array dimensions.");
        r->at++;
        skip_spaces(r);
    }
    if (r->at == r->end || *r->at != '{')
        return malformed(r, count ? "Array contents must start with \"{\"."
                                  : "Array value must start with \"{\" or dimension information.");
    return KP_OK;
}

static enum kp_code take_element(struct reader *r)
{
    bool quoted = false, escaped = false;
    size_t trailing = 0; /* spaces at the end that were neither quoted nor escaped */
    r->token.len = 0;
    if (r->at < r->end && *r->at == '"') {
        quoted = true;
        for (r->at++; r->at < r->end && *r->at != '"'; r->at++) {
            if (*r->at == '\\' && ++r->at == r->end)
                break;
            kp_buf_append_byte(&r->token, (uint8_t)*r->at);
        }
        if (r->at == r->end)
            return malformed(r, "Unexpected end of input.");
        r->at++;
        skip_spaces(r);
        if (r->at < r->end && *r->at != ',' && *r->at != '}')
            return malformed(r, "Unexpected array element.");
    } else {
        for (; r->at < r->end && !strchr("{},\"", *r->at); r->at++) {
            bool escape = *r->at == '\\';
            if (escape && ++r->at == r->end)
                break;
            escaped |= escape;
            trailing = !escape && is_space(*r->at) ? trailing + 1 : 0;
            kp_buf_append_byte(&r->token, (uint8_t)*r->at);
        }
        if (r->at < r->end && (*r->at == '{' || *r->at == '"'))
            return malformed(r, "Unexpected array element.");
        r->token.len -= trailing;
        if (r->token.len == 0 && !escaped)
            return malformed(r, "Unexpected \",\" or \"}\" character.");
    }
    if (r->at == r->end)
        return malformed(r, "Unexpected end of input.");
    struct kp_str text = {(const char *)r->token.data, r->token.len};
    uint64_t value[2] = {0};
    bool null = !quoted && !escaped && text.len == 4 && strncasecmp(text.ptr, "null", 4) == 0;
    if (!null) {
        text.ptr = text.ptr ? text.ptr : "";
        KP_TRY(kp_value_parse(r->element, text, r->zone, r->arena, value, r->err));
    }
    kp_array_add(&r->builder, null ? NULL : value);
    return KP_OK;
}

/* The { … } at r->at, which is of dimension `level`. */
static enum kp_code take_level(struct reader *r, uint32_t level)
{
    if (level == KP_ARRAY_DIMENSIONS_MAX)
        return kp_fail(r->err, KP_INVALID, "54000", "number of array dimensions (%d) exceeds the maximum allowed (%d)",
                       level + 1, KP_ARRAY_DIMENSIONS_MAX);
    bool first_here = level == r->dimensions;
    if (first_here) {
        if (r->settled)
            return malformed(r, "Multidimensional arrays must have sub-arrays with matching dimensions.");
        r->lengths[r->dimensions++] = -1;
    }
    int32_t length = 0;
    r->at++;
    skip_spaces(r);
    bool empty = r->at < r->end && *r->at == '}';
    if (empty && level)
        return malformed(r, "Unexpected \"}\" character.");
    while (!empty) {
        skip_spaces(r);
        if (r->at == r->end)
            return malformed(r, "Unexpected end of input.");
        if (*r->at == '{') {
            KP_TRY(take_level(r, level + 1));
            skip_spaces(r);
        } else {
            if (level + 1 < r->dimensions)
                return malformed(r, "Multidimensional arrays must have sub-arrays with matching dimensions.");
            r->settled = true;
            KP_TRY(take_element(r));
        }
        length++;
        if (r->at == r->end)
            return malformed(r, "Unexpected end of input.");
        if (*r->at == '}')
            break;
        if (*r->at != ',')
            return malformed(r, "Unexpected array element.");
        r->at++;
    }
    r->at++;
    if (empty)
        r->settled = true;
    if (r->lengths[level] >= 0 && r->lengths[level] != length)
        return malformed(r, "Multidimensional arrays must have sub-arrays with matching dimensions.");
    r->lengths[level] = length;
    return KP_OK;
}

static enum kp_code read_array(struct reader *r, struct kp_text *ret_text)
{
    uint32_t given_count = 0;
    int32_t given[KP_ARRAY_DIMENSIONS_MAX];
    for (uint32_t d = 0; d < KP_ARRAY_DIMENSIONS_MAX; d++)
        r->lows[d] = 1;
    KP_TRY(take_bounds(r, &given_count, given));
    r->whole = (struct kp_str){r->at, (size_t)(r->end - r->at)}; /* what PostgreSQL's messages quote from here on */
    KP_TRY(take_level(r, 0));
    skip_spaces(r);
    if (r->at < r->end)
        return malformed(r, "Junk after closing right brace.");
    bool fits = !given_count || given_count == r->dimensions;
    for (uint32_t d = 0; fits && d < given_count; d++)
        fits = given[d] == r->lengths[d];
    if (!fits)
        return malformed(r, "Specified array dimensions do not match array contents.");
    *ret_text = kp_array_make_shaped(&r->builder, r->dimensions, r->lengths, r->lows, r->arena);
    return KP_OK;
}

enum kp_code kp_array_parse(struct kp_type type, struct kp_str text, const struct kp_zone *zone, struct kp_arena *arena,
                            struct kp_text *ret_text, struct kp_error *err)
{
    struct reader r = {.element = {kp_type_element(type.id), type.mod},
                       .zone = zone,
                       .arena = arena,
                       .err = err,
                       .whole = text,
                       .at = text.ptr,
                       .end = text.ptr + text.len,
                       .builder = {.element = kp_type_element(type.id)}};
    enum kp_code code = read_array(&r, ret_text);
    kp_array_builder_finish(&r.builder);
    kp_buf_finish(&r.token);
    return code;
}

/* ---- binary ---- */

void kp_array_send(struct kp_type type, const struct kp_text *text, struct kp_buf *out)
{
    struct kp_array array;
    struct kp_arena arena = {0};
    kp_array_read(type.id, text, &array);
    kp_buf_append_be32(out, array.dimensions);
    kp_buf_append_be32(out, array.valid != NULL);
    kp_buf_append_be32(out, kp_type_info(array.element)->oid);
    for (uint32_t d = 0; d < array.dimensions; d++) {
        kp_buf_append_be32(out, (uint32_t)array.lengths[d]);
        kp_buf_append_be32(out, (uint32_t)array.lows[d]);
    }
    for (uint32_t i = 0; i < array.count; i++) {
        uint64_t value[2];
        size_t start = out->len;
        kp_buf_append_be32(out, UINT32_MAX);
        if (!kp_array_get(&array, i, &arena, value))
            continue;
        kp_value_send((struct kp_type){.id = array.element, .mod = type.mod}, value, out);
        uint32_t len = __builtin_bswap32((uint32_t)(out->len - start - 4));
        memcpy(out->data + start, &len, 4);
    }
    kp_arena_finish(&arena);
}

static enum kp_code bad_binary(struct kp_error *err)
{
    return kp_fail(err, KP_INVALID, "22P03", "incorrect binary data format for an array");
}

static enum kp_code too_short(struct kp_error *err)
{
    return kp_fail(err, KP_INVALID, "08P01", "insufficient data left in message");
}

static enum kp_code receive_elements(struct kp_type element, struct kp_str bytes, size_t at, uint64_t count,
                                     struct kp_array_builder *builder, struct kp_arena *arena, struct kp_error *err)
{
    for (uint64_t i = 0; i < count; i++) {
        if (bytes.len - at < 4)
            return too_short(err);
        int32_t len = (int32_t)kp_load_be32(bytes.ptr + at);
        at += 4;
        if (len < 0) {
            kp_array_add(builder, NULL);
            continue;
        }
        if (bytes.len - at < (size_t)len)
            return too_short(err);
        uint64_t value[2] = {0};
        KP_TRY(kp_value_receive(element, (struct kp_str){bytes.ptr + at, (size_t)len}, arena, value, err));
        kp_array_add(builder, value);
        at += (size_t)len;
    }
    return at == bytes.len ? KP_OK : bad_binary(err);
}

enum kp_code kp_array_receive(struct kp_type type, struct kp_str bytes, struct kp_arena *arena,
                              struct kp_text *ret_text, struct kp_error *err)
{
    struct kp_type element = kp_type_to_element(type);
    if (bytes.len < 12)
        return too_short(err);
    uint32_t dimensions = kp_load_be32(bytes.ptr), flags = kp_load_be32(bytes.ptr + 4),
             oid = kp_load_be32(bytes.ptr + 8);
    if (dimensions > KP_ARRAY_DIMENSIONS_MAX)
        return kp_fail(err, KP_INVALID, "54000", "number of array dimensions (%u) exceeds the maximum allowed (%d)",
                       dimensions, KP_ARRAY_DIMENSIONS_MAX);
    if (flags > 1)
        return bad_binary(err);
    if (bytes.len < 12 + (size_t)dimensions * 8)
        return too_short(err);
    if (oid != kp_type_info(element.id)->oid)
        return kp_fail(err, KP_INVALID, "42804", "binary data has array element type %u instead of expected %u", oid,
                       kp_type_info(element.id)->oid);
    int32_t lengths[KP_ARRAY_DIMENSIONS_MAX], lows[KP_ARRAY_DIMENSIONS_MAX];
    uint64_t count = dimensions > 0;
    for (uint32_t d = 0; d < dimensions; d++) {
        lengths[d] = (int32_t)kp_load_be32(bytes.ptr + 12 + 8 * d);
        lows[d] = (int32_t)kp_load_be32(bytes.ptr + 16 + 8 * d);
        if (lengths[d] < 0 || __builtin_mul_overflow(count, (uint64_t)lengths[d], &count) ||
            count > KP_ARRAY_ELEMENTS_MAX)
            return kp_fail(err, KP_INVALID, "54000", "array size exceeds the maximum allowed (%d)",
                           KP_ARRAY_ELEMENTS_MAX);
    }
    struct kp_array_builder builder = {.element = element.id};
    enum kp_code code = receive_elements(element, bytes, 12 + (size_t)dimensions * 8, count, &builder, arena, err);
    if (code == KP_OK)
        *ret_text = kp_array_make_shaped(&builder, dimensions, lengths, lows, arena);
    kp_array_builder_finish(&builder);
    return code;
}
