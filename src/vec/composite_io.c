/*
 * The text, binary and JSON forms of rows.
 *
 *   text     (1,"a b",,"say ""x""")         a field that is not there is NULL
 *   binary   int32 count | { uint32 type's oid | int32 bytes or -1 | field }…
 */
#include <ctype.h>

#include "base/limits.h"
#include "vec/array.h"
#include "vec/composite.h"
#include "vec/jsonb.h"

/* ---- text out ---- */

static void print_field(struct kp_str text, struct kp_buf *out)
{
    bool quotes = text.len == 0;
    for (size_t i = 0; !quotes && i < text.len; i++)
        quotes = strchr("\"\\(),", text.ptr[i]) || isspace((unsigned char)text.ptr[i]);
    if (!quotes) {
        kp_buf_append_str(out, text);
        return;
    }
    kp_buf_append_byte(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '"' || text.ptr[i] == '\\')
            kp_buf_append_byte(out, (uint8_t)text.ptr[i]);
        kp_buf_append_byte(out, (uint8_t)text.ptr[i]);
    }
    kp_buf_append_byte(out, '"');
}

void kp_composite_print(enum kp_type_id type, const struct kp_text *text, const struct kp_zone *zone,
                        struct kp_buf *out)
{
    struct kp_composite row;
    struct kp_arena arena = {0};
    struct kp_buf field = {0};
    kp_composite_read(type, text, &row);
    kp_buf_append_byte(out, '(');
    for (uint32_t i = 0; i < row.count; i++) {
        uint64_t value[2];
        if (i)
            kp_buf_append_byte(out, ',');
        field.len = 0;
        if (!kp_composite_get(&row, i, &arena, value))
            continue;
        kp_value_print(row.type->types[i], value, zone, &field);
        print_field((struct kp_str){field.data ? (const char *)field.data : "", field.len}, out);
    }
    kp_buf_append_byte(out, ')');
    kp_buf_finish(&field);
    kp_arena_finish(&arena);
}

/* ---- text in ---- */

static enum kp_code malformed(struct kp_str text, const char *detail, struct kp_error *err)
{
    kp_fail(err, KP_INVALID, "22P02", "malformed record literal: \"%.*s\"", (int)KP_MIN(text.len, (size_t)256),
            text.ptr);
    return kp_error_detail(err, "%s", detail);
}

/* One field's text without its quotes; false: the text ends in it. */
static bool take_field(const char **at, const char *end, struct kp_buf *out)
{
    bool quoted = false;
    const char *c = *at;
    for (; c < end && (quoted || (*c != ',' && *c != ')')); c++) {
        if (*c == '\\') {
            if (++c == end)
                return false;
            kp_buf_append_byte(out, (uint8_t)*c);
        } else if (*c == '"' && quoted && c + 1 < end && c[1] == '"') {
            kp_buf_append_byte(out, (uint8_t)*c++);
        } else if (*c == '"') {
            quoted = !quoted;
        } else {
            kp_buf_append_byte(out, (uint8_t)*c);
        }
    }
    *at = c;
    return c < end;
}

static enum kp_code parse_fields(const struct kp_made *made, struct kp_str text, const struct kp_zone *zone,
                                 struct kp_arena *arena, struct kp_buf *field, struct kp_composite_builder *builder,
                                 struct kp_error *err)
{
    const char *at = text.ptr, *end = text.ptr + text.len;
    while (at < end && isspace((unsigned char)*at))
        at++;
    if (at == end || *at != '(')
        return malformed(text, "Missing left parenthesis.", err);
    at++;
    for (uint32_t i = 0; i < made->count; i++) {
        uint64_t value[2] = {0};
        if (i && (at == end || *at != ','))
            return malformed(text, "Too few columns.", err);
        at += i > 0;
        if (at < end && (*at == ',' || *at == ')')) {
            kp_composite_add(builder, made->types[i].id, NULL);
            continue;
        }
        field->len = 0;
        if (!take_field(&at, end, field))
            return malformed(text, "Unexpected end of input.", err);
        struct kp_str one = {field->data ? (const char *)field->data : "", field->len};
        KP_TRY(kp_value_parse(made->types[i], one, zone, arena, value, err));
        kp_composite_add(builder, made->types[i].id, value);
    }
    if (at == end || *at != ')')
        return malformed(text, "Too many columns.", err);
    for (at++; at < end; at++)
        if (!isspace((unsigned char)*at))
            return malformed(text, "Junk after right parenthesis.", err);
    return KP_OK;
}

static bool is_anonymous(const struct kp_made *made)
{
    return made->info.category == 'P';
}

enum kp_code kp_composite_parse(enum kp_type_id type, struct kp_str text, const struct kp_zone *zone,
                                struct kp_arena *arena, struct kp_text *ret_text, struct kp_error *err)
{
    const struct kp_made *made = kp_made_of(type);
    struct kp_composite_builder builder = {0};
    struct kp_buf field = {0};
    if (is_anonymous(made))
        return kp_fail(err, KP_UNSUPPORTED, NULL, "input of anonymous composite types is not implemented");
    enum kp_code code = parse_fields(made, text, zone, arena, &field, &builder, err);
    if (code == KP_OK)
        *ret_text = kp_composite_make(&builder, arena);
    kp_composite_builder_finish(&builder);
    kp_buf_finish(&field);
    return code;
}

/* ---- binary ---- */

void kp_composite_send(enum kp_type_id type, const struct kp_text *text, struct kp_buf *out)
{
    struct kp_composite row;
    struct kp_arena arena = {0};
    struct kp_buf field = {0};
    kp_composite_read(type, text, &row);
    kp_buf_append_be32(out, row.count);
    for (uint32_t i = 0; i < row.count; i++) {
        uint64_t value[2];
        kp_buf_append_be32(out, kp_type_info(row.type->types[i].id)->oid);
        field.len = 0;
        if (!kp_composite_get(&row, i, &arena, value)) {
            kp_buf_append_be32(out, UINT32_MAX);
            continue;
        }
        kp_value_send(row.type->types[i], value, &field);
        kp_buf_append_be32(out, (uint32_t)field.len);
        kp_buf_append(out, field.data, field.len);
    }
    kp_buf_finish(&field);
    kp_arena_finish(&arena);
}

static enum kp_code receive_fields(const struct kp_made *made, struct kp_str bytes, struct kp_arena *arena,
                                   struct kp_composite_builder *builder, struct kp_error *err)
{
    const char *at = bytes.ptr, *end = bytes.ptr + bytes.len;
    if (end - at < 4 || kp_load_be32(at) != made->count)
        return kp_fail(err, KP_INVALID, "42804", "wrong number of columns: expected %u", made->count);
    at += 4;
    for (uint32_t i = 0; i < made->count; i++) {
        uint64_t value[2] = {0};
        if (end - at < 8)
            return kp_fail(err, KP_INVALID, "22P03", "incorrect binary data format for type %s", made->info.name);
        uint32_t oid = kp_load_be32(at), len = kp_load_be32(at + 4);
        at += 8;
        if (oid != kp_type_info(made->types[i].id)->oid)
            return kp_fail(err, KP_INVALID, "42804", "wrong data type: %u, expected %u", oid,
                           kp_type_info(made->types[i].id)->oid);
        if (len == UINT32_MAX) {
            kp_composite_add(builder, made->types[i].id, NULL);
            continue;
        }
        if ((size_t)(end - at) < len)
            return kp_fail(err, KP_INVALID, "08P01", "insufficient data left in message");
        KP_TRY(kp_value_receive(made->types[i], (struct kp_str){at, len}, arena, value, err));
        kp_composite_add(builder, made->types[i].id, value);
        at += len;
    }
    return at == end ? KP_OK : kp_fail(err, KP_INVALID, "22P03", "improper binary format in record");
}

enum kp_code kp_composite_receive(enum kp_type_id type, struct kp_str bytes, struct kp_arena *arena,
                                  struct kp_text *ret_text, struct kp_error *err)
{
    const struct kp_made *made = kp_made_of(type);
    struct kp_composite_builder builder = {0};
    if (is_anonymous(made))
        return kp_fail(err, KP_UNSUPPORTED, NULL, "input of anonymous composite types is not implemented");
    enum kp_code code = receive_fields(made, bytes, arena, &builder, err);
    if (code == KP_OK)
        *ret_text = kp_composite_make(&builder, arena);
    kp_composite_builder_finish(&builder);
    return code;
}

/* ---- JSON ---- */

void kp_composite_print_json(enum kp_type_id type, const struct kp_text *text, const struct kp_zone *zone, bool lines,
                             void (*field)(struct kp_type type, const void *value, const struct kp_zone *zone,
                                           struct kp_buf *out),
                             struct kp_buf *out)
{
    struct kp_composite row;
    struct kp_arena arena = {0};
    kp_composite_read(type, text, &row);
    kp_buf_append_byte(out, '{');
    for (uint32_t i = 0; i < row.count; i++) {
        uint64_t value[2];
        if (i)
            kp_buf_append_text(out, lines ? ",\n " : ",");
        kp_buf_append_json_string(out, kp_str(row.type->names[i]));
        kp_buf_append_byte(out, ':');
        if (kp_composite_get(&row, i, &arena, value))
            field(row.type->types[i], value, zone, out);
        else
            kp_buf_append_text(out, "null");
    }
    kp_buf_append_byte(out, '}');
    kp_arena_finish(&arena);
}

struct json_reader {
    const struct kp_zone *zone;
    struct kp_arena *arena;
    struct kp_error *err;
    uint32_t depth;
};

static enum kp_code take_value(struct json_reader *r, struct kp_type type, struct kp_str json,
                               const struct kp_text *base, bool *ret_null, void *ret_value);

/* An array's items, of each dimension in turn; the lengths of a dimension must agree. */
struct shape {
    struct kp_type element;
    uint32_t dimensions;
    int32_t lengths[KP_ARRAY_DIMENSIONS_MAX];
    struct kp_array_builder builder;
};

static enum kp_code take_items(struct json_reader *r, struct shape *shape, uint32_t level, struct kp_str json)
{
    struct kp_jsonb_items items;
    struct kp_str key, item;
    int32_t count = 0;
    bool first_here = level == shape->dimensions;
    if (level == KP_ARRAY_DIMENSIONS_MAX)
        return kp_fail(r->err, KP_INVALID, "54000", "number of array dimensions exceeds the maximum allowed (%d)",
                       KP_ARRAY_DIMENSIONS_MAX);
    shape->dimensions += first_here;
    kp_jsonb_items_begin(&items, json);
    while (kp_jsonb_items_next(&items, &key, &item)) {
        bool nested =
            kp_jsonb_kind(item) == KP_JSONB_ARRAY && shape->element.id != KP_JSON && shape->element.id != KP_JSONB;
        bool deeper = first_here && count == 0 ? nested : level + 1 < shape->dimensions;
        if (deeper && !nested)
            return kp_fail(r->err, KP_INVALID, "22P02", "expected JSON array");
        count++;
        if (deeper) {
            KP_TRY(take_items(r, shape, level + 1, item));
            continue;
        }
        uint64_t value[2] = {0};
        bool null;
        KP_TRY(take_value(r, shape->element, item, NULL, &null, value));
        kp_array_add(&shape->builder, null ? NULL : value);
    }
    if (shape->lengths[level] && shape->lengths[level] != count)
        return kp_fail(r->err, KP_INVALID, "22P02", "malformed JSON array");
    shape->lengths[level] = count;
    return KP_OK;
}

static enum kp_code take_array(struct json_reader *r, struct kp_type type, struct kp_str json, struct kp_text *ret_text)
{
    static const int32_t ones[KP_ARRAY_DIMENSIONS_MAX] = {1, 1, 1, 1, 1, 1};
    struct shape shape = {.element = {kp_type_element(type.id), type.mod}};
    shape.builder.element = shape.element.id;
    enum kp_code code = take_items(r, &shape, 0, json);
    if (code == KP_OK)
        *ret_text = kp_array_make_shaped(&shape.builder, shape.dimensions, shape.lengths, ones, r->arena);
    kp_array_builder_finish(&shape.builder);
    return code;
}

static enum kp_code take_fields(struct json_reader *r, const struct kp_made *made, struct kp_str json,
                                const struct kp_composite *base, struct kp_composite_builder *builder)
{
    for (uint32_t i = 0; i < made->count; i++) {
        uint64_t value[2] = {0}, was[2];
        struct kp_str member;
        bool null = !base || !kp_composite_get(base, i, r->arena, value);
        if (kp_jsonb_member(json, kp_str(made->names[i]), &member)) {
            memcpy(was, value, sizeof was);
            bool row = !null && kp_type_is_composite(made->types[i].id);
            KP_TRY(take_value(r, made->types[i], member, row ? (struct kp_text *)was : NULL, &null, value));
        }
        kp_composite_add(builder, made->types[i].id, null ? NULL : value);
    }
    return KP_OK;
}

static enum kp_code take_row(struct json_reader *r, struct kp_type type, struct kp_str json, const struct kp_text *base,
                             struct kp_text *ret_text)
{
    struct kp_composite_builder builder = {0};
    struct kp_composite row;
    if (base)
        kp_composite_read(type.id, base, &row);
    enum kp_code code = take_fields(r, kp_made_of(type.id), json, base ? &row : NULL, &builder);
    if (code == KP_OK)
        *ret_text = kp_composite_make(&builder, r->arena);
    kp_composite_builder_finish(&builder);
    return code;
}

static enum kp_code take_scalar(struct json_reader *r, struct kp_type type, struct kp_str json, void *ret_value)
{
    if (kp_jsonb_kind(json) != KP_JSONB_STRING || type.id == KP_JSON || type.id == KP_JSONB)
        return kp_value_parse(type, json, r->zone, r->arena, ret_value, r->err);
    struct kp_buf text = {0};
    enum kp_code code;
    if (kp_jsonb_string_text(json, &text))
        code = kp_value_parse(type, (struct kp_str){text.data ? (const char *)text.data : "", text.len}, r->zone,
                              r->arena, ret_value, r->err);
    else
        code = kp_fail(r->err, KP_INVALID, "22P05", "unsupported Unicode escape sequence");
    kp_buf_finish(&text);
    return code;
}

static enum kp_code take_value(struct json_reader *r, struct kp_type type, struct kp_str json,
                               const struct kp_text *base, bool *ret_null, void *ret_value)
{
    json = kp_jsonb_trim(json);
    enum kp_jsonb_kind kind = kp_jsonb_kind(json);
    *ret_null = kind == KP_JSONB_NULL;
    if (*ret_null)
        return KP_OK;
    if (r->depth == KP_SQL_DEPTH_MAX)
        return kp_fail(r->err, KP_LIMIT, "54001", "JSON is nested too deeply");
    r->depth++;
    enum kp_code code;
    if (kind == KP_JSONB_OBJECT && kp_type_is_composite(type.id))
        code = take_row(r, type, json, base, ret_value);
    else if (kind == KP_JSONB_ARRAY && kp_type_is_array(type.id))
        code = take_array(r, type, json, ret_value);
    else if (kind != KP_JSONB_STRING && kp_type_is_array(type.id))
        code = kp_fail(r->err, KP_INVALID, "22P02", "expected JSON array");
    else if (kind != KP_JSONB_STRING && kp_type_is_composite(type.id))
        code = kp_fail(r->err, KP_INVALID, "22023", "cannot call populate_composite on %s",
                       kind == KP_JSONB_ARRAY ? "an array" : "a scalar");
    else
        code = take_scalar(r, type, json, ret_value);
    r->depth--;
    return code;
}

enum kp_code kp_json_to_value(struct kp_type type, struct kp_str json, const struct kp_text *base,
                              const struct kp_zone *zone, struct kp_arena *arena, bool *ret_null, void *ret_value,
                              struct kp_error *err)
{
    struct json_reader reader = {.zone = zone, .arena = arena, .err = err};
    return take_value(&reader, type, json, base, ret_null, ret_value);
}
