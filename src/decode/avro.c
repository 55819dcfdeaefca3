/*
 * Avro records by a schema, or by their writer's and a reader's (avro_resolve.c): each is written as JSON, which then
 * goes the way of all JSON. So paths into records, arrays and maps as json columns, and missing fields mean the same in
 * both formats.
 *
 *   binary, in the schema's order       int, long: zigzag varint     float, double: little endian
 *   bytes, string: long, then bytes     union: long branch, value    enum: int
 *   array, map: blocks | long count (negative: its size in bytes follows) | items … | until a count of 0
 *
 * Logical types become the texts of their columns: date, time-*, timestamp-*, decimal, uuid, duration. Bytes are
 * written as bytea is, "\x0aff". A union's branch is not named.
 */
#include "decode/avro.h"

#include <stdio.h>

#include "base/utf8.h"

/* ---- the schema ---- */

struct named {
    struct kp_str name;
    const struct kp_avro *type;
    struct named *next;
};
struct schema {
    struct kp_arena *arena;
    struct named *named;
    unsigned depth;
};

static struct kp_str text_member(struct kp_str object, const char *name)
{
    struct kp_str value;
    if (!kp_json_member(object, kp_str(name), &value) || value.len < 2 || value.ptr[0] != '"')
        return (struct kp_str){NULL, 0};
    return (struct kp_str){value.ptr + 1, value.len - 2};
}

static int64_t number_member(struct kp_str object, const char *name)
{
    struct kp_str value;
    int64_t number = 0;
    if (kp_json_member(object, kp_str(name), &value))
        for (size_t i = 0; i < value.len && value.ptr[i] >= '0' && value.ptr[i] <= '9' && number < 1 << 24; i++)
            number = number * 10 + value.ptr[i] - '0';
    return number;
}

uint32_t kp_avro_elements(struct kp_str array, struct kp_arena *arena, struct kp_str **ret_items)
{
    const uint8_t *p = (const uint8_t *)array.ptr, *end = p + array.len, *bad;
    uint32_t count = 0;
    *ret_items = kp_arena_alloc(arena, (array.len + 1) * sizeof **ret_items);
    if (array.len < 2 || *p != '[')
        return 0;
    for (p = kp_json_space_end(p + 1, end); p < end && *p != ']';) {
        const uint8_t *behind = kp_json_skip(p, end, KP_JSON_DEPTH_MAX, &bad);
        if (!behind)
            break;
        (*ret_items)[count++] = (struct kp_str){(const char *)p, (size_t)(behind - p)};
        p = kp_json_space_end(behind, end);
        if (p < end && *p == ',')
            p = kp_json_space_end(p + 1, end);
    }
    return count;
}

static bool is_last_part(struct kp_str part, struct kp_str name)
{
    if (part.len > name.len || memcmp(name.ptr + name.len - part.len, part.ptr, part.len) != 0)
        return false;
    return part.len == name.len || name.ptr[name.len - part.len - 1] == '.';
}

static const struct kp_avro *primitive(struct schema *schema, struct kp_str name)
{
    static const char *const names[] = {"null", "boolean", "int", "long", "float", "double", "bytes", "string"};
    for (size_t i = 0; i < KP_COUNT(names); i++)
        if (kp_str_equal(name, kp_str(names[i]))) {
            struct kp_avro *type = kp_arena_calloc(schema->arena, sizeof *type);
            type->kind = (enum kp_avro_kind)i;
            return type;
        }
    for (const struct named *at = schema->named; at; at = at->next)
        if (is_last_part(at->name, name) || is_last_part(name, at->name)) /* one may name its namespace */
            return at->type;
    return NULL;
}

static void set_logical(struct kp_avro *type, struct kp_str object)
{
    static const struct {
        const char *name;
        enum kp_avro_logical logical;
        int64_t unit_us;
    } kinds[] = {{"date", LOGICAL_DATE, 0},
                 {"time-millis", LOGICAL_TIME, 1000},
                 {"time-micros", LOGICAL_TIME, 1},
                 {"timestamp-millis", LOGICAL_TIMESTAMP, 1000},
                 {"timestamp-micros", LOGICAL_TIMESTAMP, 1},
                 {"timestamp-nanos", LOGICAL_TIMESTAMP, 0},
                 {"local-timestamp-millis", LOGICAL_LOCAL, 1000},
                 {"local-timestamp-micros", LOGICAL_LOCAL, 1},
                 {"local-timestamp-nanos", LOGICAL_LOCAL, 0},
                 {"decimal", LOGICAL_DECIMAL, 0},
                 {"uuid", LOGICAL_UUID, 0},
                 {"duration", LOGICAL_DURATION, 0}};
    struct kp_str logical = text_member(object, "logicalType");
    for (size_t i = 0; logical.ptr && i < KP_COUNT(kinds); i++)
        if (kp_str_equal(logical, kp_str(kinds[i].name))) {
            type->logical = kinds[i].logical;
            type->unit_us = kinds[i].unit_us;
        }
    type->scale = (uint32_t)number_member(object, "scale");
    bool fits = type->kind == AVRO_INT || type->kind == AVRO_LONG;
    if (type->logical == LOGICAL_DECIMAL)
        fits = (type->kind == AVRO_BYTES || type->kind == AVRO_FIXED) && type->scale <= KP_TRANSCODE_SCALE_MAX;
    if (type->logical == LOGICAL_UUID || type->logical == LOGICAL_DURATION) /* a text is one as it is */
        fits = type->kind == AVRO_FIXED && type->size == (type->logical == LOGICAL_UUID ? 16 : 12);
    if (!fits)
        type->logical = LOGICAL_NONE;
}

static enum kp_code read_type(struct schema *schema, struct kp_str text, const struct kp_avro **ret_type,
                              struct kp_error *err);

static enum kp_code read_parts(struct schema *schema, struct kp_avro *type, struct kp_str list, bool fields,
                               struct kp_error *err)
{
    struct kp_str *items;
    type->count = kp_avro_elements(list, schema->arena, &items);
    type->names = kp_arena_calloc(schema->arena, (type->count + 1) * sizeof *type->names);
    type->types = kp_arena_calloc(schema->arena, (type->count + 1) * sizeof(struct kp_avro *));
    type->defaults = kp_arena_calloc(schema->arena, (type->count + 1) * sizeof *type->defaults);
    type->field_aliases = kp_arena_calloc(schema->arena, (type->count + 1) * sizeof *type->field_aliases);
    for (uint32_t i = 0; i < type->count; i++) {
        struct kp_str part = items[i];
        if (fields) {
            type->names[i] = text_member(items[i], "name");
            if (!type->names[i].ptr || !kp_json_member(items[i], KP_STR("type"), &part))
                return kp_fail(err, KP_INVALID, "22023", "a field of the Avro schema has no name or type");
            if (!kp_json_member(items[i], KP_STR("default"), &type->defaults[i]))
                type->defaults[i] = (struct kp_str){NULL, 0};
            if (!kp_json_member(items[i], KP_STR("aliases"), &type->field_aliases[i]))
                type->field_aliases[i] = (struct kp_str){NULL, 0};
        }
        KP_TRY(read_type(schema, part, &type->types[i], err));
    }
    return KP_OK;
}

/* Or what a value is would not be known, and bringing two schemas together could take for ever. */
static enum kp_code check_union(const struct kp_avro *type, struct kp_error *err)
{
    uint32_t seen = 0;
    for (uint32_t i = 0; i < type->count; i++) {
        enum kp_avro_kind kind = type->types[i]->kind;
        if (kind == AVRO_UNION || (seen >> kind & 1))
            return kp_fail(err, KP_INVALID, "22023", "a union of the Avro schema %s",
                           kind == AVRO_UNION ? "holds another union" : "has two branches of one type");
        if (kind != AVRO_RECORD && kind != AVRO_ENUM && kind != AVRO_FIXED)
            seen |= 1u << kind;
    }
    return KP_OK;
}

static enum kp_code read_complex(struct schema *schema, struct kp_str object, struct kp_str kind,
                                 const struct kp_avro **ret_type, struct kp_error *err)
{
    struct kp_avro *type = kp_arena_calloc(schema->arena, sizeof *type);
    struct kp_str part;
    struct named *named = kp_arena_calloc(schema->arena, sizeof *named);
    named->name = text_member(object, "name");
    named->type = type;
    if (named->name.ptr) { /* a record may hold itself */
        named->next = schema->named;
        schema->named = named;
    }
    *ret_type = type;
    type->name = named->name;
    if (!kp_json_member(object, KP_STR("aliases"), &type->aliases))
        type->aliases = (struct kp_str){NULL, 0};
    if (kp_str_equal(kind, KP_STR("record")) && kp_json_member(object, KP_STR("fields"), &part)) {
        type->kind = AVRO_RECORD;
        return read_parts(schema, type, part, true, err);
    }
    if (kp_str_equal(kind, KP_STR("enum")) && kp_json_member(object, KP_STR("symbols"), &part)) {
        type->kind = AVRO_ENUM;
        type->count = kp_avro_elements(part, schema->arena, &type->names);
        if (!kp_json_member(object, KP_STR("default"), &type->symbol_default) || type->symbol_default.ptr[0] != '"')
            type->symbol_default = (struct kp_str){NULL, 0};
        return KP_OK;
    }
    bool array = kp_str_equal(kind, KP_STR("array"));
    if ((array && kp_json_member(object, KP_STR("items"), &part)) ||
        (kp_str_equal(kind, KP_STR("map")) && kp_json_member(object, KP_STR("values"), &part))) {
        type->kind = array ? AVRO_ARRAY : AVRO_MAP;
        type->types = kp_arena_calloc(schema->arena, sizeof(struct kp_avro *));
        return read_type(schema, part, &type->types[0], err);
    }
    if (kp_str_equal(kind, KP_STR("fixed"))) {
        type->kind = AVRO_FIXED;
        type->size = (uint32_t)number_member(object, "size");
        set_logical(type, object);
        return KP_OK;
    }
    const struct kp_avro *simple = primitive(schema, kind);
    if (!simple)
        return kp_fail(err, KP_INVALID, "22023", "the Avro schema has a type \"%.*s\" that is not known", (int)kind.len,
                       kind.ptr);
    *type = *simple;
    set_logical(type, object);
    return KP_OK;
}

static enum kp_code read_type(struct schema *schema, struct kp_str text, const struct kp_avro **ret_type,
                              struct kp_error *err)
{
    enum kp_code code = KP_OK;
    if (++schema->depth > KP_TRANSCODE_DEPTH_MAX)
        return kp_fail(err, KP_LIMIT, "54001", "the Avro schema is nested deeper than %d", KP_TRANSCODE_DEPTH_MAX);
    if (text.len && text.ptr[0] == '[') {
        struct kp_avro *type = kp_arena_calloc(schema->arena, sizeof *type);
        type->kind = AVRO_UNION;
        *ret_type = type;
        code = read_parts(schema, type, text, false, err);
        if (code == KP_OK)
            code = check_union(type, err);
    } else if (text.len > 2 && text.ptr[0] == '"') {
        struct kp_str name = {text.ptr + 1, text.len - 2};
        *ret_type = primitive(schema, name);
        if (!*ret_type)
            code = kp_fail(err, KP_INVALID, "22023", "the Avro schema has a type \"%.*s\" that is not known",
                           (int)name.len, name.ptr);
    } else {
        struct kp_str kind;
        bool has = kp_json_member(text, KP_STR("type"), &kind);
        if (has && kind.ptr[0] != '"')
            code = read_type(schema, kind, ret_type, err);
        else if (has)
            code = read_complex(schema, text, (struct kp_str){kind.ptr + 1, kind.len - 2}, ret_type, err);
        else
            code = kp_fail(err, KP_INVALID, "22023", "a part of the Avro schema has no type");
    }
    schema->depth--;
    return code;
}

enum kp_code kp_avro_create(const char *text, struct kp_arena *arena, const struct kp_avro **ret_avro,
                            struct kp_error *err)
{
    struct schema schema = {.arena = arena};
    struct kp_str json;
    KP_TRY(kp_transcode_schema(text, arena, &json, err));
    const struct kp_avro *made;
    KP_TRY(read_type(&schema, json, &made, err));
    if (made->kind != AVRO_RECORD)
        return kp_fail(err, KP_INVALID, "22023", "the Avro schema describes no record");
    *ret_avro = made;
    return KP_OK;
}

/* ---- values ---- */

static enum kp_code too_short(struct kp_error *err)
{
    return kp_fail(err, KP_INVALID, "22P04", "the Avro record ends too soon");
}

static enum kp_code read_long(struct kp_bytes *in, int64_t *ret_value, struct kp_error *err)
{
    uint64_t zigzag;
    if (!kp_bytes_varint(in, &zigzag))
        return too_short(err);
    *ret_value = (int64_t)(zigzag >> 1) ^ -(int64_t)(zigzag & 1);
    return KP_OK;
}

static enum kp_code read_blob(struct kp_bytes *in, int64_t len, struct kp_str *ret_blob, struct kp_error *err)
{
    if (len < 0 || len > in->end - in->at)
        return too_short(err);
    *ret_blob = (struct kp_str){(const char *)in->at, (size_t)len};
    in->at += len;
    return KP_OK;
}

static void put_uuid(struct kp_str blob, struct kp_buf *out)
{
    kp_buf_append_byte(out, '"');
    for (size_t i = 0; i < blob.len; i++)
        kp_buf_printf(out, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", (uint8_t)blob.ptr[i]);
    kp_buf_append_byte(out, '"');
}

/* Months, days, milliseconds, four bytes each, little endian. */
static void put_duration(struct kp_str blob, struct kp_buf *out)
{
    uint32_t parts[3];
    memcpy(parts, blob.ptr, sizeof parts);
    kp_buf_printf(out, "\"%u months %u days %u milliseconds\"", parts[0], parts[1], parts[2]);
}

enum kp_code kp_avro_put_bytes(const struct kp_avro *avro, struct kp_str bytes, struct kp_buf *out,
                               struct kp_error *err)
{
    if (avro->as == AVRO_STRING || (avro->kind == AVRO_STRING && avro->as != AVRO_BYTES))
        return kp_transcode_text(bytes, out, err);
    switch (avro->logical) {
    case LOGICAL_DECIMAL:
        return kp_transcode_decimal(bytes, avro->scale, out, err);
    case LOGICAL_UUID:
        put_uuid(bytes, out);
        return KP_OK;
    case LOGICAL_DURATION:
        put_duration(bytes, out);
        return KP_OK;
    default:
        kp_transcode_bytes(bytes, out);
        return KP_OK;
    }
}

static void put_float(double value, bool wide, struct kp_buf *out)
{
    float narrow = (float)value;
    uint8_t bytes[8];
    if (wide)
        memcpy(bytes, &value, sizeof value);
    else
        memcpy(bytes, &narrow, sizeof narrow);
    kp_transcode_float(bytes, wide, out);
}

enum kp_code kp_avro_put_number(const struct kp_avro *avro, int64_t value, struct kp_buf *out, struct kp_error *err)
{
    static const int64_t epoch_us = 946684800000000;
    int64_t us = avro->unit_us ? 0 : value / 1000;
    if (avro->as == AVRO_FLOAT || avro->as == AVRO_DOUBLE) {
        if (avro->as == AVRO_FLOAT) /* rounded once, not by way of a double */
            put_float((double)(float)value, false, out);
        else
            put_float((double)value, true, out);
        return KP_OK;
    }
    if (avro->logical == LOGICAL_NONE) {
        kp_buf_printf(out, "%lld", (long long)value);
        return KP_OK;
    }
    if (avro->unit_us && __builtin_mul_overflow(value, avro->unit_us, &us))
        return kp_fail(err, KP_INVALID, "22008", "an Avro time is out of range");
    int32_t days = (int32_t)(value - 10957);
    int64_t since = us - epoch_us;
    kp_buf_append_byte(out, '"');
    if (avro->logical == LOGICAL_DATE)
        kp_value_print(KP_TYPE(KP_DATE), &days, NULL, out);
    else if (avro->logical == LOGICAL_TIME)
        kp_value_print(KP_TYPE(KP_TIME), &us, NULL, out);
    else
        kp_value_print(KP_TYPE(avro->logical == LOGICAL_LOCAL ? KP_TIMESTAMP : KP_TIMESTAMPTZ), &since, NULL, out);
    kp_buf_append_byte(out, '"');
    return KP_OK;
}

static enum kp_code put_value(const struct kp_avro *avro, struct kp_bytes *in, unsigned depth, struct kp_buf *out,
                              struct kp_error *err);

static enum kp_code put_record(const struct kp_avro *avro, struct kp_bytes *in, unsigned depth, struct kp_buf *out,
                               struct kp_error *err)
{
    bool first = true;
    kp_buf_append_byte(out, '{');
    for (uint32_t i = 0; i < avro->count; i++) {
        struct kp_str name = avro->names[i];
        size_t before = out->len;
        if (!first)
            kp_buf_append_byte(out, ',');
        kp_buf_append_json_string(out, name);
        kp_buf_append_byte(out, ':');
        enum kp_code code = put_value(avro->types[i], in, depth, out, err);
        if (code != KP_OK) {
            kp_error_context(err, "field \"%.*s\"", (int)name.len, name.ptr ? name.ptr : "");
            return code;
        }
        if (name.ptr)
            first = false;
        else
            out->len = before; /* read, since it lies in the way, but not shown */
    }
    if (avro->added.len && !first)
        kp_buf_append_byte(out, ',');
    kp_buf_append_str(out, avro->added);
    kp_buf_append_byte(out, '}');
    return KP_OK;
}

static enum kp_code put_blocks(const struct kp_avro *avro, struct kp_bytes *in, unsigned depth, struct kp_buf *out,
                               struct kp_error *err)
{
    bool map = avro->kind == AVRO_MAP, first = true;
    int64_t count, len, bytes;
    kp_buf_append_byte(out, map ? '{' : '[');
    for (;;) {
        KP_TRY(read_long(in, &count, err));
        if (count == 0)
            break;
        if (count < 0)
            KP_TRY(read_long(in, &bytes, err));
        if (count == INT64_MIN || (count < 0 ? -count : count) > in->end - in->at + KP_TRANSCODE_EMPTY_MAX)
            return too_short(err);
        for (count = count < 0 ? -count : count; count > 0; count--) {
            if (!first)
                kp_buf_append_byte(out, ',');
            first = false;
            if (map) {
                struct kp_str key;
                KP_TRY(read_long(in, &len, err));
                KP_TRY(read_blob(in, len, &key, err));
                KP_TRY(kp_transcode_text(key, out, err));
                kp_buf_append_byte(out, ':');
            }
            KP_TRY(put_value(avro->types[0], in, depth, out, err));
        }
    }
    kp_buf_append_byte(out, map ? '}' : ']');
    return KP_OK;
}

static enum kp_code put_scalar(const struct kp_avro *avro, struct kp_bytes *in, struct kp_buf *out,
                               struct kp_error *err)
{
    struct kp_str blob;
    int64_t number;
    switch (avro->kind) {
    case AVRO_BOOLEAN:
        KP_TRY(read_blob(in, 1, &blob, err));
        kp_buf_append_text(out, blob.ptr[0] ? "true" : "false");
        return KP_OK;
    case AVRO_FLOAT:
    case AVRO_DOUBLE:
        KP_TRY(read_blob(in, avro->kind == AVRO_FLOAT ? 4 : 8, &blob, err));
        if (avro->as == AVRO_DOUBLE) {
            float narrow;
            memcpy(&narrow, blob.ptr, sizeof narrow);
            put_float((double)narrow, true, out);
        } else {
            kp_transcode_float((const uint8_t *)blob.ptr, avro->kind == AVRO_DOUBLE, out);
        }
        return KP_OK;
    case AVRO_FIXED:
    case AVRO_BYTES:
    case AVRO_STRING:
        number = avro->size;
        if (avro->kind != AVRO_FIXED)
            KP_TRY(read_long(in, &number, err));
        KP_TRY(read_blob(in, number, &blob, err));
        return kp_avro_put_bytes(avro, blob, out, err);
    case AVRO_ENUM:
        KP_TRY(read_long(in, &number, err));
        if (number < 0 || number >= avro->count)
            return kp_fail(err, KP_INVALID, "22P04", "the Avro record has a symbol that its schema does not have");
        if (!avro->names[number].ptr)
            return kp_fail(err, KP_INVALID, "22P02",
                           "the Avro record has a symbol that the reader's schema does not "
                           "have, and that has no default");
        kp_buf_append_str(out, avro->names[number]); /* with its quotes, as in the schema */
        return KP_OK;
    default:
        KP_TRY(read_long(in, &number, err));
        return kp_avro_put_number(avro, number, out, err);
    }
}

static enum kp_code put_value(const struct kp_avro *avro, struct kp_bytes *in, unsigned depth, struct kp_buf *out,
                              struct kp_error *err)
{
    int64_t branch;
    if (depth == 0)
        return kp_fail(err, KP_LIMIT, "54001", "the Avro record is nested deeper than %d", KP_TRANSCODE_DEPTH_MAX);
    switch (avro->kind) {
    case AVRO_NULL:
        kp_buf_append_text(out, "null");
        return KP_OK;
    case AVRO_UNION:
        KP_TRY(read_long(in, &branch, err));
        if (branch < 0 || branch >= avro->count)
            return kp_fail(err, KP_INVALID, "22P04", "the Avro record has a branch that its schema does not have");
        return put_value(avro->types[branch], in, depth - 1, out, err);
    case AVRO_MISMATCH:
        return kp_fail(err, KP_INVALID, "22P02", "%s", avro->problem);
    case AVRO_RECORD:
        return put_record(avro, in, depth - 1, out, err);
    case AVRO_ARRAY:
    case AVRO_MAP:
        return put_blocks(avro, in, depth - 1, out, err);
    default:
        return put_scalar(avro, in, out, err);
    }
}

enum kp_code kp_avro_to_json(const struct kp_avro *avro, struct kp_str bytes, struct kp_buf *out, struct kp_error *err)
{
    struct kp_bytes in = {(const uint8_t *)bytes.ptr, (const uint8_t *)bytes.ptr + bytes.len};
    KP_TRY(put_value(avro, &in, KP_TRANSCODE_DEPTH_MAX, out, err));
    if (in.at != in.end)
        return kp_fail(err, KP_INVALID, "22P04", "the Avro record is longer than its schema says");
    return KP_OK;
}
