/*
 * A writer's and a reader's Avro schema made one, by the specification's "Schema Resolution": what comes out reads the
 * writer's bytes (avro.c) and shows what the reader has declared.
 *
 *   writer's field, reader has it (by its name or an alias)   read, shown by the reader's name
 *   writer's field, reader has it not                         read and thrown away
 *   reader's field, writer has it not                         its default, which is text already; none: an error
 *   int → long, float, double … string ↔ bytes                read as the writer's, shown as the reader's
 *   writer's symbol, reader has it not                        the reader's default symbol; none: a bad record
 *   writer's union                                            each branch with the reader's type; one that does not
 *                                                             fit makes a bad record, when it comes
 *   reader's union                                            the first of its branches that fits
 *
 * A logical type is the writer's, for it says what the bytes mean; where the writer has none, the reader's.
 *
 * Schemas may hold themselves: a pair of types is resolved once, and stands for itself while it is worked on.
 */
#include "decode/avro.h"

struct pair {
    const struct kp_avro *writer, *reader, *made;
    struct pair *next;
};
struct resolve {
    struct kp_arena *arena;
    struct pair *pairs;
    unsigned depth, work;
};
enum { WORK_MAX = 100000 }; /* pairs of types: what fails is tried again wherever it stands */

static enum kp_code resolve_types(struct resolve *resolve, const struct kp_avro *writer, const struct kp_avro *reader,
                                  const struct kp_avro **ret_made, struct kp_error *err);

static const char *kind_name(const struct kp_avro *type)
{
    static const char *const names[] = {"null",   "boolean", "int",  "long",  "float", "double", "bytes",
                                        "string", "record",  "enum", "array", "map",   "union",  "fixed"};
    return type->kind < KP_COUNT(names) ? names[type->kind] : "nothing";
}

/* ---- names ---- */

/* Without its namespace. */
static struct kp_str last_part(struct kp_str name)
{
    for (size_t i = name.len; i > 0; i--)
        if (name.ptr[i - 1] == '.')
            return (struct kp_str){name.ptr + i, name.len - i};
    return name;
}

/* Whether a JSON array of strings has this one. */
static bool has_alias(struct kp_str aliases, struct kp_str name, struct kp_arena *arena)
{
    struct kp_str *items;
    uint32_t count = aliases.ptr ? kp_avro_elements(aliases, arena, &items) : 0;
    for (uint32_t i = 0; i < count; i++) {
        struct kp_str inside = {items[i].ptr + 1, items[i].len - 2};
        if (items[i].len > 2 && items[i].ptr[0] == '"' && kp_str_equal(last_part(inside), name))
            return true;
    }
    return false;
}

static bool same_name(const struct resolve *resolve, const struct kp_avro *writer, const struct kp_avro *reader)
{
    struct kp_str name = last_part(writer->name);
    return kp_str_equal(name, last_part(reader->name)) || has_alias(reader->aliases, name, resolve->arena);
}

static bool promotes(enum kp_avro_kind from, enum kp_avro_kind to)
{
    if (from == AVRO_STRING || from == AVRO_BYTES)
        return to == AVRO_STRING || to == AVRO_BYTES;
    return from >= AVRO_INT && from < AVRO_DOUBLE && to > from && to <= AVRO_DOUBLE;
}

/* As far as a union looks when it chooses. */
static bool fits(const struct resolve *resolve, const struct kp_avro *writer, const struct kp_avro *reader,
                 unsigned depth)
{
    if (depth > KP_TRANSCODE_DEPTH_MAX)
        return false;
    if (writer->kind == AVRO_UNION || reader->kind == AVRO_UNION) {
        const struct kp_avro *of = writer->kind == AVRO_UNION ? writer : reader;
        for (uint32_t i = 0; i < of->count; i++)
            if (fits(resolve, of == writer ? of->types[i] : writer, of == writer ? reader : of->types[i], depth + 1))
                return true;
        return false;
    }
    if (writer->kind != reader->kind)
        return promotes(writer->kind, reader->kind);
    switch (writer->kind) {
    case AVRO_RECORD:
    case AVRO_ENUM:
        return same_name(resolve, writer, reader);
    case AVRO_FIXED:
        return writer->size == reader->size && same_name(resolve, writer, reader);
    case AVRO_ARRAY:
    case AVRO_MAP:
        return fits(resolve, writer->types[0], reader->types[0], depth + 1);
    default:
        return true;
    }
}

/* ---- defaults ---- */

static enum kp_code bad_default(struct kp_error *err)
{
    return kp_fail(err, KP_INVALID, "22023", "a default in the Avro schema is not of its field's type");
}

/* A hexadecimal digit's value; 16: none. */
static unsigned hex_of(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 : 16;
}

/* One character of a JSON string, up to U+00FF; how many bytes of the text it takes, 0: it is another. */
static size_t default_byte(struct kp_str rest, char *ret_byte)
{
    static const char names[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    uint8_t first = (uint8_t)rest.ptr[0];
    if (first == '\\' && rest.len >= 6 && rest.ptr[1] == 'u') {
        unsigned high = hex_of(rest.ptr[4]), low = hex_of(rest.ptr[5]);
        *ret_byte = (char)(high << 4 | low);
        return rest.ptr[2] == '0' && rest.ptr[3] == '0' && high < 16 && low < 16 ? 6 : 0;
    }
    if (first == '\\') {
        const char *name = rest.len > 1 && rest.ptr[1] ? strchr(names, rest.ptr[1]) : NULL;
        *ret_byte = name ? meant[name - names] : 0;
        return name ? 2 : 0;
    }
    *ret_byte = (char)first;
    if (first < 0x80)
        return 1;
    *ret_byte = (char)(first << 6 | (rest.len > 1 ? rest.ptr[1] & 0x3f : 0));
    return first <= 0xc3 ? 2 : 0;
}

/* A default of bytes is a string whose characters, up to U+00FF, are the bytes. */
static enum kp_code put_default_bytes(struct resolve *resolve, const struct kp_avro *type, struct kp_str json,
                                      struct kp_buf *out, struct kp_error *err)
{
    char *bytes = kp_arena_alloc(resolve->arena, json.len);
    struct kp_str rest = {json.ptr + 1, json.len - 2};
    size_t len = 0;
    for (size_t taken; rest.len; rest.ptr += taken, rest.len -= taken) {
        taken = default_byte(rest, &bytes[len++]);
        if (taken == 0 || taken > rest.len)
            return bad_default(err);
    }
    if (type->kind == AVRO_FIXED && len != type->size)
        return bad_default(err);
    return kp_avro_put_bytes(type, (struct kp_str){bytes, len}, out, err);
}

static enum kp_code put_default_number(const struct kp_avro *type, struct kp_str json, struct kp_buf *out,
                                       struct kp_error *err)
{
    int64_t number = 0;
    bool negative = json.ptr[0] == '-', whole = json.len > negative && json.len - negative <= 19;
    for (size_t i = negative; whole && i < json.len; i++) {
        whole = json.ptr[i] >= '0' && json.ptr[i] <= '9' && !__builtin_mul_overflow(number, 10, &number) &&
                !__builtin_sub_overflow(number, json.ptr[i] - '0', &number); /* the least number has no positive */
    }
    whole = whole && (negative || number != INT64_MIN);
    number = negative ? number : -number;
    if (type->kind == AVRO_INT || type->kind == AVRO_LONG)
        return whole && (type->kind == AVRO_LONG || number == (int32_t)number)
                   ? kp_avro_put_number(type, number, out, err)
                   : bad_default(err);
    if (json.ptr[0] != '-' && (json.ptr[0] < '0' || json.ptr[0] > '9'))
        return bad_default(err);
    kp_buf_append_str(out, json);
    return KP_OK;
}

static enum kp_code put_default(struct resolve *resolve, const struct kp_avro *type, struct kp_str json,
                                struct kp_buf *out, struct kp_error *err);

/* "name":value of a field that the data lack. */
static enum kp_code put_default_field(struct resolve *resolve, const struct kp_avro *record, uint32_t field,
                                      struct kp_str json, struct kp_buf *out, struct kp_error *err)
{
    kp_buf_append_json_string(out, record->names[field]);
    kp_buf_append_byte(out, ':');
    enum kp_code code = put_default(resolve, record->types[field], json, out, err);
    if (code != KP_OK)
        kp_error_context(err, "field \"%.*s\"", (int)record->names[field].len, record->names[field].ptr);
    return code;
}

static enum kp_code put_default_record(struct resolve *resolve, const struct kp_avro *type, struct kp_str json,
                                       struct kp_buf *out, struct kp_error *err)
{
    kp_buf_append_byte(out, '{');
    for (uint32_t i = 0; i < type->count; i++) {
        struct kp_str value;
        if (!kp_json_member(json, type->names[i], &value))
            value = type->defaults[i];
        if (!value.ptr)
            return bad_default(err);
        if (i)
            kp_buf_append_byte(out, ',');
        KP_TRY(put_default_field(resolve, type, i, value, out, err));
    }
    kp_buf_append_byte(out, '}');
    return KP_OK;
}

/* Of an array its items, of a map its members. */
static enum kp_code put_default_items(struct resolve *resolve, const struct kp_avro *type, struct kp_str json,
                                      struct kp_buf *out, struct kp_error *err)
{
    const uint8_t *p = (const uint8_t *)json.ptr + 1, *end = (const uint8_t *)json.ptr + json.len - 1, *bad;
    bool map = type->kind == AVRO_MAP;
    kp_buf_append_byte(out, map ? '{' : '[');
    for (p = kp_json_space_end(p, end); p < end;) {
        const uint8_t *behind;
        if (map) {
            behind = kp_json_skip(p, end, KP_JSON_DEPTH_MAX, &bad);
            kp_buf_append(out, p, (size_t)(behind - p));
            kp_buf_append_byte(out, ':');
            p = kp_json_space_end(kp_json_space_end(behind, end) + 1, end);
        }
        behind = kp_json_skip(p, end, KP_JSON_DEPTH_MAX, &bad);
        struct kp_str item = {(const char *)p, (size_t)(behind - p)};
        KP_TRY(put_default(resolve, type->types[0], item, out, err));
        p = kp_json_space_end(behind, end);
        if (p < end) {
            kp_buf_append_byte(out, ',');
            p = kp_json_space_end(p + 1, end);
        }
    }
    kp_buf_append_byte(out, map ? '}' : ']');
    return KP_OK;
}

/* The specification asks for the first branch; libraries take whichever the default is of. */
static enum kp_code put_default_union(struct resolve *resolve, const struct kp_avro *type, struct kp_str json,
                                      struct kp_buf *out, struct kp_error *err)
{
    size_t before = out->len;
    for (uint32_t i = 0; i < type->count; i++) {
        if (put_default(resolve, type->types[i], json, out, NULL) == KP_OK)
            return KP_OK;
        out->len = before;
    }
    return bad_default(err);
}

static enum kp_code put_default(struct resolve *resolve, const struct kp_avro *type, struct kp_str json,
                                struct kp_buf *out, struct kp_error *err)
{
    char first = json.ptr[0];
    bool plain = false;
    switch (type->kind) {
    case AVRO_NULL:
        plain = first == 'n';
        break;
    case AVRO_BOOLEAN:
        plain = first == 't' || first == 'f';
        break;
    case AVRO_STRING:
        plain = first == '"';
        break;
    case AVRO_ENUM:
        for (uint32_t i = 0; i < type->count; i++)
            plain |= kp_str_equal(type->names[i], json);
        break;
    case AVRO_BYTES:
    case AVRO_FIXED:
        return first == '"' ? put_default_bytes(resolve, type, json, out, err) : bad_default(err);
    case AVRO_RECORD:
        return first == '{' ? put_default_record(resolve, type, json, out, err) : bad_default(err);
    case AVRO_ARRAY:
        return first == '[' ? put_default_items(resolve, type, json, out, err) : bad_default(err);
    case AVRO_MAP:
        return first == '{' ? put_default_items(resolve, type, json, out, err) : bad_default(err);
    case AVRO_UNION:
        return put_default_union(resolve, type, json, out, err);
    default:
        return put_default_number(type, json, out, err);
    }
    if (!plain)
        return bad_default(err);
    kp_buf_append_str(out, json);
    return KP_OK;
}

/* ---- types ---- */

static enum kp_code resolve_enum(struct resolve *resolve, const struct kp_avro *reader, struct kp_avro *made)
{
    struct kp_str *names = kp_arena_calloc(resolve->arena, (made->count + 1) * sizeof *names);
    for (uint32_t i = 0; i < made->count; i++) {
        names[i] = reader->symbol_default; /* none: a record that has it is bad */
        for (uint32_t k = 0; k < reader->count; k++)
            if (kp_str_equal(made->names[i], reader->names[k]))
                names[i] = made->names[i];
    }
    made->names = names;
    return KP_OK;
}

static enum kp_code resolve_record(struct resolve *resolve, const struct kp_avro *writer, const struct kp_avro *reader,
                                   struct kp_avro *made, struct kp_error *err)
{
    struct kp_buf added = {0};
    enum kp_code code = KP_OK;
    made->names = kp_arena_calloc(resolve->arena, (writer->count + 1) * sizeof *made->names);
    made->types = kp_arena_calloc(resolve->arena, (writer->count + 1) * sizeof(struct kp_avro *));
    for (uint32_t w = 0; w < writer->count; w++)
        made->types[w] = writer->types[w]; /* passed over, unless a field takes it */
    for (uint32_t r = 0; code == KP_OK && r < reader->count; r++) {
        uint32_t at = writer->count;
        for (uint32_t w = 0; w < writer->count; w++)
            if (kp_str_equal(writer->names[w], reader->names[r]))
                at = w;
        for (uint32_t w = 0; at == writer->count && w < writer->count; w++)
            if (!made->names[w].ptr && has_alias(reader->field_aliases[r], writer->names[w], resolve->arena))
                at = w;
        if (at < writer->count) {
            made->names[at] = reader->names[r];
            code = resolve_types(resolve, writer->types[at], reader->types[r], &made->types[at], err);
        } else if (reader->defaults[r].ptr) {
            if (added.len)
                kp_buf_append_byte(&added, ',');
            code = put_default_field(resolve, reader, r, reader->defaults[r], &added, err);
            continue;
        } else {
            code = kp_fail(err, KP_INVALID, "22023", "the writer's Avro schema lacks it, and it has no default");
        }
        if (code != KP_OK)
            kp_error_context(err, "field \"%.*s\"", (int)reader->names[r].len, reader->names[r].ptr);
    }
    if (added.len)
        made->added = (struct kp_str){kp_arena_strndup(resolve->arena, (const char *)added.data, added.len), added.len};
    kp_buf_finish(&added);
    return code;
}

static enum kp_code mismatch(const struct kp_avro *writer, const struct kp_avro *reader, struct kp_error *err)
{
    return kp_fail(err, KP_INVALID, "22023", "Avro's %s%s%.*s cannot be read as %s%s%.*s", kind_name(writer),
                   writer->name.ptr ? " " : "", (int)writer->name.len, writer->name.ptr ? writer->name.ptr : "",
                   kind_name(reader), reader->name.ptr ? " " : "", (int)reader->name.len,
                   reader->name.ptr ? reader->name.ptr : "");
}

/* Each branch by itself: what the reader cannot take is known when a record has it. */
static enum kp_code resolve_branches(struct resolve *resolve, const struct kp_avro *writer,
                                     const struct kp_avro *reader, struct kp_avro *made)
{
    made->types = kp_arena_calloc(resolve->arena, (writer->count + 1) * sizeof(struct kp_avro *));
    for (uint32_t i = 0; i < writer->count; i++) {
        struct kp_error why;
        if (resolve_types(resolve, writer->types[i], reader, &made->types[i], &why) == KP_OK)
            continue;
        struct kp_avro *bad = kp_arena_calloc(resolve->arena, sizeof *bad);
        bad->kind = AVRO_MISMATCH;
        bad->problem = kp_arena_strdup(resolve->arena, why.message);
        made->types[i] = bad;
    }
    return KP_OK;
}

static enum kp_code resolve_pair(struct resolve *resolve, const struct kp_avro *writer, const struct kp_avro *reader,
                                 struct kp_avro *made, struct kp_error *err)
{
    if (writer->kind == AVRO_UNION)
        return resolve_branches(resolve, writer, reader, made);
    if (!fits(resolve, writer, reader, 0))
        return mismatch(writer, reader, err);
    if (made->logical == LOGICAL_NONE) {
        made->logical = reader->logical;
        made->unit_us = reader->unit_us;
        made->scale = reader->scale;
    }
    if (writer->kind != reader->kind) {
        made->as = reader->kind;
        if (reader->kind == AVRO_FLOAT || reader->kind == AVRO_DOUBLE || reader->kind == AVRO_STRING)
            made->logical = LOGICAL_NONE;
    }
    switch (writer->kind) {
    case AVRO_ENUM:
        return resolve_enum(resolve, reader, made);
    case AVRO_RECORD:
        return resolve_record(resolve, writer, reader, made, err);
    case AVRO_ARRAY:
    case AVRO_MAP:
        made->types = kp_arena_calloc(resolve->arena, sizeof(struct kp_avro *));
        return resolve_types(resolve, writer->types[0], reader->types[0], &made->types[0], err);
    default:
        return KP_OK;
    }
}

static enum kp_code resolve_types(struct resolve *resolve, const struct kp_avro *writer, const struct kp_avro *reader,
                                  const struct kp_avro **ret_made, struct kp_error *err)
{
    if (writer->kind != AVRO_UNION && reader->kind == AVRO_UNION) {
        for (uint32_t i = 0; i < reader->count; i++)
            if (fits(resolve, writer, reader->types[i], 0))
                return resolve_types(resolve, writer, reader->types[i], ret_made, err);
        return mismatch(writer, reader, err);
    }
    for (const struct pair *pair = resolve->pairs; pair; pair = pair->next)
        if (pair->writer == writer && pair->reader == reader) {
            *ret_made = pair->made;
            return KP_OK;
        }
    if (resolve->depth >= KP_TRANSCODE_DEPTH_MAX)
        return kp_fail(err, KP_LIMIT, "54001", "the Avro schemas are nested deeper than %d", KP_TRANSCODE_DEPTH_MAX);
    if (++resolve->work > WORK_MAX)
        return kp_fail(err, KP_LIMIT, "54001", "the Avro schemas are too involved to be brought together");
    struct kp_avro *made = kp_arena_calloc(resolve->arena, sizeof *made);
    struct pair *pair = kp_arena_alloc(resolve->arena, sizeof *pair);
    *made = *writer;
    *pair = (struct pair){writer, reader, made, resolve->pairs};
    resolve->pairs = pair;
    resolve->depth++;
    enum kp_code code = resolve_pair(resolve, writer, reader, made, err);
    resolve->depth--;
    if (code == KP_OK)
        *ret_made = made;
    else
        resolve->pairs = pair->next; /* whoever asks again is told again */
    return code;
}

enum kp_code kp_avro_resolve(const struct kp_avro *writer, const struct kp_avro *reader, struct kp_arena *arena,
                             const struct kp_avro **ret_avro, struct kp_error *err)
{
    struct resolve resolve = {.arena = arena};
    return resolve_types(&resolve, writer, reader, ret_avro, err);
}

/* ---- the decoder's ---- */

static enum kp_code read_schema(struct kp_str text, struct kp_arena *arena, const struct kp_avro **ret_avro,
                                struct kp_error *err)
{
    return kp_avro_create(kp_arena_strndup(arena, text.ptr, text.len), arena, ret_avro, err);
}

/* {"1": schema, "2": schema}: the ids that a schema registry gave them. */
static enum kp_code read_writers(struct kp_decoder *decoder, const char *text, const struct kp_avro *reader,
                                 struct kp_error *err)
{
    struct kp_arena *arena = &decoder->arena;
    struct kp_str json;
    KP_TRY(kp_transcode_schema(text, arena, &json, err));
    if (json.ptr[0] != '{')
        return kp_fail(err, KP_INVALID, "22023", "writer_schemas is no JSON object of schemas by their ids");
    struct kp_avro_writer *writers = kp_arena_calloc(arena, (json.len / 4 + 1) * sizeof *writers);
    const uint8_t *p = (const uint8_t *)json.ptr + 1, *end = (const uint8_t *)json.ptr + json.len - 1, *bad;
    for (p = kp_json_space_end(p, end); p < end;) {
        const uint8_t *key = p, *behind = kp_json_skip(p, end, KP_JSON_DEPTH_MAX, &bad);
        struct kp_avro_writer *writer = &writers[decoder->avro_writer_count++];
        uint64_t id = 0;
        bool well = behind - key > 2 && behind - key <= 12;
        for (const uint8_t *at = key + 1; well && at < behind - 1; at++) {
            well = *at >= '0' && *at <= '9';
            id = id * 10 + (uint64_t)(*at - '0');
        }
        if (!well || id > UINT32_MAX)
            return kp_fail(err, KP_INVALID, "22023", "writer_schemas has %.*s where the id of a schema belongs",
                           (int)(behind - key), (const char *)key);
        writer->id = (uint32_t)id;
        p = kp_json_space_end(kp_json_space_end(behind, end) + 1, end);
        behind = kp_json_skip(p, end, KP_JSON_DEPTH_MAX, &bad);
        enum kp_code code =
            read_schema((struct kp_str){(const char *)p, (size_t)(behind - p)}, arena, &writer->avro, err);
        if (code == KP_OK && reader)
            code = kp_avro_resolve(writer->avro, reader, arena, &writer->avro, err);
        if (code != KP_OK) {
            kp_error_context(err, "schema %u", writer->id);
            return code;
        }
        p = kp_json_space_end(behind, end);
        p = p < end ? kp_json_space_end(p + 1, end) : p;
    }
    decoder->avro_writers = writers;
    return KP_OK;
}

enum kp_code kp_avro_prepare(struct kp_decoder *decoder, const struct kp_decoder_options *options, struct kp_error *err)
{
    const struct kp_avro *reader = NULL;
    if (options->writer_schema && options->writer_schemas)
        return kp_fail(err, KP_INVALID, "22023",
                       "either writer_schema or writer_schemas says how records were written");
    if (!options->schema && !options->writer_schema && !options->writer_schemas)
        return kp_fail(err, KP_INVALID, "22023", "format avro needs the option schema");
    if (options->schema)
        KP_TRY(kp_avro_create(options->schema, &decoder->arena, &reader, err));
    decoder->avro = reader;
    if (options->writer_schema) {
        KP_TRY(kp_avro_create(options->writer_schema, &decoder->arena, &decoder->avro, err));
        if (reader)
            KP_TRY(kp_avro_resolve(decoder->avro, reader, &decoder->arena, &decoder->avro, err));
    }
    if (!options->writer_schemas)
        return KP_OK;
    if (!options->confluent) {
        kp_fail(err, KP_INVALID, "22023", "writer_schemas needs the ids of a schema registry's framing");
        return kp_error_hint(err, "Add framing = 'confluent'.");
    }
    return read_writers(decoder, options->writer_schemas, reader, err);
}
