/*
 * JSON text that is known to be valid, read by walking over it; jsonb's order.
 *
 * jsonb's order is that of these bytes, a level at a time, so order and hash are made of them:
 *
 *   top level    00 empty array | 01 scalar | 02 be32 items, items | 03 be32 members, members
 *   inside       10 null | 11 text 00 | 12 numeric | 13 bool | 14 be32 items, items | 15 be32 members, members
 *   member       text 00 | value
 *
 * (That an empty array is below all else at the top is PostgreSQL's own.)
 */
#include "vec/jsonb.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/utf8.h"
#include "vec/numeric.h"

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

struct kp_str kp_jsonb_trim(struct kp_str text)
{
    while (text.len && is_space(text.ptr[0]))
        text.ptr++, text.len--;
    while (text.len && is_space(text.ptr[text.len - 1]))
        text.len--;
    return text;
}

enum kp_jsonb_kind kp_jsonb_kind(struct kp_str value)
{
    switch (value.len ? value.ptr[0] : 'n') {
    case 'n':
        return KP_JSONB_NULL;
    case '"':
        return KP_JSONB_STRING;
    case 't':
    case 'f':
        return KP_JSONB_BOOL;
    case '[':
        return KP_JSONB_ARRAY;
    case '{':
        return KP_JSONB_OBJECT;
    default:
        return KP_JSONB_NUMBER;
    }
}

static const char *string_end(const char *at, const char *end)
{
    for (at++; at < end && *at != '"'; at++)
        if (*at == '\\')
            at++;
    return at < end ? at + 1 : end;
}

const char *kp_jsonb_value_end(const char *at, const char *end)
{
    uint32_t depth = 0;
    while (at < end) {
        switch (*at) {
        case '"':
            at = string_end(at, end);
            break;
        case '{':
        case '[':
            depth++;
            at++;
            continue;
        case '}':
        case ']':
            depth--;
            at++;
            break;
        case ',':
        case ':':
        case ' ':
        case '\t':
        case '\n':
        case '\r':
            at++;
            continue;
        default:
            while (at < end && !strchr(",:]} \t\n\r", *at))
                at++;
        }
        if (depth == 0)
            return at;
    }
    return end;
}

static const char *spaces_end(const char *at, const char *end)
{
    while (at < end && is_space(*at))
        at++;
    return at;
}

void kp_jsonb_items_begin(struct kp_jsonb_items *items, struct kp_str value)
{
    enum kp_jsonb_kind kind = kp_jsonb_kind(value);
    *items = (struct kp_jsonb_items){value.ptr, value.ptr, kind == KP_JSONB_OBJECT};
    if (kind >= KP_JSONB_ARRAY) {
        items->end = value.ptr + value.len - 1;
        items->at = spaces_end(value.ptr + 1, items->end);
    }
}

bool kp_jsonb_items_next(struct kp_jsonb_items *items, struct kp_str *ret_key, struct kp_str *ret_value)
{
    if (items->at >= items->end)
        return false;
    const char *at = items->at, *end = items->end;
    if (items->object) {
        const char *behind = string_end(at, end);
        *ret_key = (struct kp_str){at, (size_t)(behind - at)};
        at = spaces_end(spaces_end(behind, end) + 1, end); /* the colon */
    }
    const char *behind = kp_jsonb_value_end(at, end);
    *ret_value = (struct kp_str){at, (size_t)(behind - at)};
    at = spaces_end(behind, end);
    items->at = at < end ? spaces_end(at + 1, end) : end; /* the comma */
    return true;
}

uint32_t kp_jsonb_item_count(struct kp_str value)
{
    struct kp_jsonb_items items;
    struct kp_str key, item;
    uint32_t count = 0;
    for (kp_jsonb_items_begin(&items, value); kp_jsonb_items_next(&items, &key, &item);)
        count++;
    return count;
}

/* ---- strings ---- */

static uint32_t hex4(const char *at)
{
    uint32_t unit = 0;
    for (int i = 0; i < 4; i++)
        unit = unit << 4 | (uint32_t)(at[i] <= '9' ? at[i] - '0' : (at[i] | 32) - 'a' + 10);
    return unit;
}

/* The character of the escape whose four digits are at *at, with its second half if it is the first of a pair. */
static uint32_t take_unit(const char **at, const char *end)
{
    uint32_t point = hex4(*at), low;
    *at += 4;
    if (point < 0xd800 || point >= 0xdc00 || end - *at < 6 || (*at)[0] != '\\' || (*at)[1] != 'u')
        return point;
    low = hex4(*at + 2);
    if (low < 0xdc00 || low >= 0xe000)
        return point;
    *at += 6;
    return 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
}

bool kp_json_is_text(struct kp_str json, const char **ret_sqlstate, const char **ret_message)
{
    const char *at = json.ptr, *end = json.ptr + json.len;
    while (at < end && (at = memchr(at, '\\', (size_t)(end - at)))) {
        at += 2;
        if (at[-1] != 'u')
            continue;
        uint32_t point = take_unit(&at, end);
        if (point && (point < 0xd800 || point >= 0xe000))
            continue;
        *ret_sqlstate = point ? "22P02" : "22P05";
        *ret_message = point ? "invalid input syntax for type json" : "unsupported Unicode escape sequence";
        return false;
    }
    return true;
}

bool kp_jsonb_string_text(struct kp_str quoted, struct kp_buf *out)
{
    static const char escapes[] = "bfnrt", meanings[] = "\b\f\n\r\t";
    const char *at = quoted.ptr + 1, *end = quoted.ptr + quoted.len - 1;
    while (at < end) {
        const char *escape = memchr(at, '\\', (size_t)(end - at));
        kp_buf_append(out, at, (size_t)((escape ? escape : end) - at));
        if (!escape)
            return true;
        at = escape + 2;
        const char *named = strchr(escapes, escape[1]);
        if (escape[1] != 'u') {
            kp_buf_append_byte(out, (uint8_t)(named ? meanings[named - escapes] : escape[1]));
            continue;
        }
        uint32_t point = take_unit(&at, end);
        if (point == 0 || (point >= 0xd800 && point < 0xe000))
            return false;
        char utf8[4];
        kp_buf_append(out, utf8, kp_utf8_encode(point, utf8));
    }
    return true;
}

bool kp_jsonb_key_is(struct kp_str quoted, struct kp_str name)
{
    if (!memchr(quoted.ptr, '\\', quoted.len))
        return quoted.len - 2 == name.len && (name.len == 0 || memcmp(quoted.ptr + 1, name.ptr, name.len) == 0);
    struct kp_buf text = {0};
    bool is =
        kp_jsonb_string_text(quoted, &text) && kp_str_equal((struct kp_str){(const char *)text.data, text.len}, name);
    kp_buf_finish(&text);
    return is;
}

/* ---- members and items ---- */

bool kp_jsonb_member(struct kp_str object, struct kp_str name, struct kp_str *ret_value)
{
    struct kp_jsonb_items items;
    struct kp_str key, value;
    bool found = false;
    if (kp_jsonb_kind(object) != KP_JSONB_OBJECT)
        return false;
    for (kp_jsonb_items_begin(&items, object); kp_jsonb_items_next(&items, &key, &value);)
        if (kp_jsonb_key_is(key, name)) {
            *ret_value = value;
            found = true;
        }
    return found;
}

bool kp_jsonb_item(struct kp_str array, int64_t index, struct kp_str *ret_value)
{
    struct kp_jsonb_items items;
    struct kp_str key;
    if (kp_jsonb_kind(array) != KP_JSONB_ARRAY)
        return false;
    if (index < 0)
        index += kp_jsonb_item_count(array);
    if (index < 0)
        return false;
    kp_jsonb_items_begin(&items, array);
    while (kp_jsonb_items_next(&items, &key, ret_value))
        if (index-- == 0)
            return true;
    return false;
}

/* ---- objects in the making ---- */

struct member {
    struct kp_str name, value;
    size_t number;
};

/* jsonb's order of keys: shorter first, then by bytes; of equal ones the last given comes last. */
static int member_order(const void *a, const void *b)
{
    const struct member *left = a, *right = b;
    if (left->name.len != right->name.len)
        return left->name.len < right->name.len ? -1 : 1;
    int order = kp_str_compare(left->name, right->name);
    return order ? order : left->number < right->number ? -1 : 1;
}

void kp_jsonb_put(struct kp_jsonb_object *object, struct kp_str name, struct kp_str value)
{
    struct member member = {name, value, object->members.len};
    kp_buf_append(&object->members, &member, sizeof member);
}

void kp_jsonb_object_print(struct kp_jsonb_object *object, struct kp_buf *out)
{
    struct member *members = (struct member *)object->members.data;
    size_t count = object->members.len / sizeof *members;
    if (count > 1)
        qsort(members, count, sizeof *members, member_order);
    bool first = true;
    kp_buf_append_byte(out, '{');
    for (size_t i = 0; i < count; i++) {
        if (i + 1 < count && kp_str_equal(members[i].name, members[i + 1].name))
            continue;
        if (!first)
            kp_buf_append_text(out, ", ");
        first = false;
        kp_buf_append_json_string(out, members[i].name);
        kp_buf_append_text(out, ": ");
        kp_buf_append_str(out, members[i].value);
    }
    kp_buf_append_byte(out, '}');
    object->members.len = 0;
}

void kp_jsonb_object_finish(struct kp_jsonb_object *object)
{
    kp_buf_finish(&object->members);
}

/* ---- order ---- */

static void append_string(struct kp_buf *key, struct kp_str quoted)
{
    kp_jsonb_string_text(quoted, key); /* jsonb has no NUL */
    kp_buf_append_byte(key, 0);
}

static void append_inside(struct kp_buf *key, struct kp_str value);

static void append_items(struct kp_buf *key, struct kp_str value)
{
    struct kp_jsonb_items items;
    struct kp_str name, item;
    size_t start = key->len;
    uint32_t count = 0;
    kp_buf_append_be32(key, 0);
    for (kp_jsonb_items_begin(&items, value); kp_jsonb_items_next(&items, &name, &item); count++) {
        if (items.object)
            append_string(key, name);
        append_inside(key, item);
    }
    count = __builtin_bswap32(count);
    memcpy(key->data + start, &count, sizeof count);
}

static void append_inside(struct kp_buf *key, struct kp_str value)
{
    enum kp_jsonb_kind kind = kp_jsonb_kind(value);
    struct kp_numeric number;
    struct kp_arena arena = {0};
    kp_buf_append_byte(key, (uint8_t)(0x10 + kind));
    switch (kind) {
    case KP_JSONB_NULL:
        break;
    case KP_JSONB_STRING:
        append_string(key, value);
        break;
    case KP_JSONB_NUMBER:
        if (kp_numeric_parse(value, &arena, &number, NULL) == KP_OK)
            kp_numeric_sort_key(&number, key);
        kp_arena_finish(&arena);
        break;
    case KP_JSONB_BOOL:
        kp_buf_append_byte(key, value.ptr[0] == 't');
        break;
    case KP_JSONB_ARRAY:
    case KP_JSONB_OBJECT:
        append_items(key, value);
        break;
    }
}

void kp_jsonb_sort_key(struct kp_buf *key, struct kp_str value)
{
    enum kp_jsonb_kind kind = kp_jsonb_kind(value);
    if (kind == KP_JSONB_ARRAY && kp_jsonb_item_count(value) == 0) {
        kp_buf_append_byte(key, 0);
    } else if (kind < KP_JSONB_ARRAY) {
        kp_buf_append_byte(key, 1);
        append_inside(key, value);
    } else {
        kp_buf_append_byte(key, kind == KP_JSONB_ARRAY ? 2 : 3);
        append_items(key, value);
    }
}

static int compare_strings(struct kp_str a, struct kp_str b)
{
    if (!memchr(a.ptr, '\\', a.len) && !memchr(b.ptr, '\\', b.len))
        return kp_str_compare((struct kp_str){a.ptr + 1, a.len - 2}, (struct kp_str){b.ptr + 1, b.len - 2});
    struct kp_buf left = {0}, right = {0};
    append_string(&left, a);
    append_string(&right, b);
    int order = kp_str_compare((struct kp_str){(const char *)left.data, left.len},
                               (struct kp_str){(const char *)right.data, right.len});
    kp_buf_finish(&left);
    kp_buf_finish(&right);
    return order;
}

static int compare_numbers(struct kp_str a, struct kp_str b)
{
    struct kp_arena arena = {0};
    struct kp_numeric left, right;
    int order = 0;
    if (kp_numeric_parse(a, &arena, &left, NULL) == KP_OK && kp_numeric_parse(b, &arena, &right, NULL) == KP_OK)
        order = kp_numeric_compare(&left, &right);
    kp_arena_finish(&arena);
    return order;
}

static int compare_inside(struct kp_str a, struct kp_str b);

/* Of two arrays or two objects: the longer one is greater. */
static int compare_items(struct kp_str a, struct kp_str b)
{
    struct kp_jsonb_items left, right;
    struct kp_str left_name, right_name, left_item, right_item;
    uint32_t left_count = kp_jsonb_item_count(a), right_count = kp_jsonb_item_count(b);
    int order = (left_count > right_count) - (left_count < right_count);
    kp_jsonb_items_begin(&left, a);
    kp_jsonb_items_begin(&right, b);
    while (order == 0 && kp_jsonb_items_next(&left, &left_name, &left_item) &&
           kp_jsonb_items_next(&right, &right_name, &right_item)) {
        if (left.object)
            order = compare_strings(left_name, right_name);
        if (order == 0)
            order = compare_inside(left_item, right_item);
    }
    return order;
}

static int compare_inside(struct kp_str a, struct kp_str b)
{
    enum kp_jsonb_kind kind = kp_jsonb_kind(a), other = kp_jsonb_kind(b);
    if (kind != other)
        return kind < other ? -1 : 1;
    switch (kind) {
    case KP_JSONB_STRING:
        return compare_strings(a, b);
    case KP_JSONB_NUMBER:
        return compare_numbers(a, b);
    case KP_JSONB_BOOL:
        return (a.ptr[0] == 't') - (b.ptr[0] == 't');
    case KP_JSONB_ARRAY:
    case KP_JSONB_OBJECT:
        return compare_items(a, b);
    case KP_JSONB_NULL:
        break;
    }
    return 0;
}

/* The first byte of its sort key. */
static int class_of(struct kp_str value)
{
    enum kp_jsonb_kind kind = kp_jsonb_kind(value);
    if (kind == KP_JSONB_ARRAY)
        return kp_jsonb_item_count(value) ? 2 : 0;
    return kind < KP_JSONB_ARRAY ? 1 : 3;
}

/* As the sort keys, which need not be made: most differ early. */
int kp_jsonb_compare(struct kp_str a, struct kp_str b)
{
    if (kp_str_equal(a, b))
        return 0;
    int order = class_of(a) - class_of(b);
    if (order == 0)
        order = kp_jsonb_kind(a) < KP_JSONB_ARRAY ? compare_inside(a, b) : compare_items(a, b);
    return (order > 0) - (order < 0);
}

uint64_t kp_jsonb_hash(struct kp_str value)
{
    struct kp_buf key = {0};
    kp_jsonb_sort_key(&key, value);
    uint64_t hash = kp_hash_bytes(key.data, key.len);
    kp_buf_finish(&key);
    return hash;
}
