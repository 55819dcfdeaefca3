/*
 * Protocol buffers by the text of their .proto file: each message is written as JSON, which then goes the way of all
 * JSON, with the names of the file's fields.
 *
 *   message = (tag, value)…      tag = number << 3 | wire type
 *   wire types   0 varint    1 eight bytes    2 length, then bytes    5 four bytes
 *
 * A repeated field is an array (packed or not), a map an object, an enum the name of its value,
 * google.protobuf.Timestamp a time. A field that is absent is: repeated, []; in proto3 and neither optional, in a oneof
 * nor a message, its default (0, "", false); else missing, so NULL. Of a single field that comes several times the last
 * counts. Fields that the file does not have are passed over.
 *
 * Read of the file: syntax, package, message (nested too), enum, oneof, map, optional, repeated, required, reserved,
 * option. Imports of google/protobuf are passed over, others refused, and so are groups, extensions and services.
 */
#include "decode/transcode.h"

#include <stdio.h>
#include <stdlib.h>

enum proto_kind { /* in the order of the names below */
                  PROTO_DOUBLE,
                  PROTO_FLOAT,
                  PROTO_INT32,
                  PROTO_INT64,
                  PROTO_UINT32,
                  PROTO_UINT64,
                  PROTO_SINT32,
                  PROTO_SINT64,
                  PROTO_FIXED32,
                  PROTO_FIXED64,
                  PROTO_SFIXED32,
                  PROTO_SFIXED64,
                  PROTO_BOOL,
                  PROTO_STRING,
                  PROTO_BYTES,
                  PROTO_ENUM,
                  PROTO_MESSAGE,
                  PROTO_TIMESTAMP
};
static const char *const scalar_names[] = {"double",   "float",    "int32",  "int64",   "uint32",
                                           "uint64",   "sint32",   "sint64", "fixed32", "fixed64",
                                           "sfixed32", "sfixed64", "bool",   "string",  "bytes"};
static const uint8_t wires[] = {1, 5, 0, 0, 0, 0, 0, 0, 5, 1, 5, 1, 0, 2, 2, 0, 2, 2};

struct proto_type;
struct proto_field {
    struct kp_str name, type_name;
    int64_t number;
    enum proto_kind kind;
    bool repeated, map, has_default; /* has_default: absent means 0 */
    const struct proto_type *type;   /* of ENUM and MESSAGE; of a map its entries' message */
};
struct proto_type {
    struct kp_str name; /* dotted, without the package */
    bool is_enum, is_map_entry;
    struct proto_field *fields; /* of an enum: names and numbers of its values */
    uint32_t count, cap;
    struct proto_type *next;
};
struct kp_protobuf {
    const struct proto_type *message;
};

/* ---- the file ---- */

struct file {
    struct kp_arena *arena;
    const char *at;
    struct kp_str token;
    struct proto_type *types;
    bool proto3;
    unsigned depth;
    struct kp_error *err;
};

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
           c == '-';
}

static void skip_blanks(struct file *file)
{
    for (;;) {
        file->at += strspn(file->at, " \t\r\n");
        if (file->at[0] == '/' && file->at[1] == '/') {
            file->at += strcspn(file->at, "\n");
        } else if (file->at[0] == '/' && file->at[1] == '*') {
            const char *end = strstr(file->at + 2, "*/");
            file->at = end ? end + 2 : file->at + strlen(file->at);
        } else {
            return;
        }
    }
}

/* The next token; empty at the end. A string is one with its quotes. */
static void next(struct file *file)
{
    skip_blanks(file);
    const char *start = file->at;
    if (is_word(*file->at)) {
        while (is_word(*file->at))
            file->at++;
    } else if (*file->at == '"' || *file->at == '\'') {
        file->at += 1 + strcspn(file->at + 1, *start == '"' ? "\"" : "'");
        file->at += *file->at != '\0';
    } else {
        file->at += *file->at != '\0';
    }
    file->token = (struct kp_str){start, (size_t)(file->at - start)};
}

static bool is(const struct file *file, const char *token)
{
    return kp_str_equal(file->token, kp_str(token));
}

static bool eat(struct file *file, const char *token)
{
    if (!is(file, token))
        return false;
    next(file);
    return true;
}

static enum kp_code unexpected(struct file *file)
{
    if (file->token.len == 0)
        return kp_fail(file->err, KP_INVALID, "22023", "the Protobuf schema ends too soon");
    return kp_fail(file->err, KP_INVALID, "22023", "the Protobuf schema has \"%.*s\" where it does not belong",
                   (int)file->token.len, file->token.ptr);
}

static enum kp_code expect(struct file *file, const char *token)
{
    return eat(file, token) ? KP_OK : unexpected(file);
}

/* To behind the next ";" outside of braces, or behind a closing brace. */
static void skip_statement(struct file *file)
{
    for (unsigned depth = 0; file->token.len; next(file)) {
        depth += is(file, "{");
        depth -= is(file, "}") && depth;
        if (depth == 0 && (is(file, ";") || is(file, "}"))) {
            next(file);
            return;
        }
    }
}

static struct proto_type *add_type(struct file *file, struct kp_str outer, struct kp_str name)
{
    struct proto_type *type = kp_arena_calloc(file->arena, sizeof *type);
    const char *dotted =
        outer.len ? kp_arena_printf(file->arena, "%.*s.%.*s", (int)outer.len, outer.ptr, (int)name.len, name.ptr)
                  : kp_arena_strndup(file->arena, name.ptr, name.len);
    type->name = kp_str(dotted);
    type->next = file->types;
    file->types = type;
    return type;
}

static struct proto_field *add_field(struct file *file, struct proto_type *type)
{
    if (type->count == type->cap) {
        uint32_t cap = type->cap ? type->cap * 2 : 8;
        struct proto_field *more = kp_arena_calloc(file->arena, cap * sizeof *more);
        if (type->count)
            memcpy(more, type->fields, type->count * sizeof *more);
        type->fields = more;
        type->cap = cap;
    }
    return &type->fields[type->count++];
}

/* = number [options]; */
static enum kp_code read_number(struct file *file, int64_t *ret_number)
{
    KP_TRY(expect(file, "="));
    char *end;
    *ret_number = strtoll(file->token.ptr, &end, 0);
    if (end != file->token.ptr + file->token.len)
        return unexpected(file);
    next(file);
    if (is(file, "["))
        while (file->token.len && !is(file, "]"))
            next(file);
    eat(file, "]");
    return expect(file, ";");
}

static void set_type(struct proto_field *field, struct kp_str name)
{
    field->kind = PROTO_MESSAGE;
    field->type_name = name;
    for (size_t i = 0; i < KP_COUNT(scalar_names); i++)
        if (kp_str_equal(name, kp_str(scalar_names[i])))
            field->kind = (enum proto_kind)i;
    if (kp_str_equal(name, KP_STR("google.protobuf.Timestamp")) ||
        kp_str_equal(name, KP_STR(".google.protobuf.Timestamp")))
        field->kind = PROTO_TIMESTAMP;
}

static enum kp_code read_map(struct file *file, struct proto_type *type)
{
    struct kp_str key, value;
    KP_TRY(expect(file, "<"));
    key = file->token;
    next(file);
    KP_TRY(expect(file, ","));
    value = file->token;
    next(file);
    KP_TRY(expect(file, ">"));
    struct proto_field *field = add_field(file, type);
    field->name = file->token;
    field->repeated = field->map = true;
    field->kind = PROTO_MESSAGE;
    next(file);
    KP_TRY(read_number(file, &field->number));
    struct proto_type *entry = add_type(file, type->name, field->name);
    struct kp_str names[2] = {KP_STR("key"), KP_STR("value")}, types[2] = {key, value};
    entry->is_map_entry = true;
    for (uint32_t i = 0; i < 2; i++) {
        struct proto_field *part = add_field(file, entry);
        part->name = names[i];
        part->number = i + 1;
        part->has_default = true;
        set_type(part, types[i]);
    }
    type->fields[type->count - 1].type = entry;
    return KP_OK;
}

static enum kp_code read_field(struct file *file, struct proto_type *type, bool in_oneof)
{
    if (eat(file, "map"))
        return read_map(file, type);
    bool repeated = eat(file, "repeated");
    bool optional = !repeated && (eat(file, "optional") || eat(file, "required"));
    if (is(file, "group") || !file->token.len || !is_word(file->token.ptr[0]))
        return unexpected(file);
    struct proto_field *field = add_field(file, type);
    field->repeated = repeated;
    set_type(field, file->token);
    next(file);
    field->name = file->token;
    field->has_default = file->proto3 && !optional && !in_oneof && !repeated;
    next(file);
    return read_number(file, &field->number);
}

static enum kp_code read_enum(struct file *file, struct kp_str outer)
{
    struct proto_type *type = add_type(file, outer, file->token);
    type->is_enum = true;
    next(file);
    KP_TRY(expect(file, "{"));
    while (!eat(file, "}")) {
        if (is(file, "option") || is(file, "reserved")) {
            skip_statement(file);
            continue;
        }
        if (!file->token.len)
            return unexpected(file);
        struct proto_field *value = add_field(file, type);
        value->name = file->token;
        next(file);
        KP_TRY(read_number(file, &value->number));
    }
    return KP_OK;
}

static enum kp_code read_message(struct file *file, struct kp_str outer);

static enum kp_code read_member(struct file *file, struct proto_type *type)
{
    if (is(file, "option") || is(file, "reserved")) {
        skip_statement(file);
        return KP_OK;
    }
    if (eat(file, ";"))
        return KP_OK;
    if (eat(file, "message"))
        return read_message(file, type->name);
    if (eat(file, "enum"))
        return read_enum(file, type->name);
    if (!eat(file, "oneof"))
        return read_field(file, type, false);
    next(file);
    KP_TRY(expect(file, "{"));
    while (!eat(file, "}"))
        KP_TRY(read_field(file, type, true));
    return KP_OK;
}

static enum kp_code read_message(struct file *file, struct kp_str outer)
{
    if (++file->depth > KP_TRANSCODE_DEPTH_MAX)
        return kp_fail(file->err, KP_LIMIT, "54001", "the Protobuf schema is nested too deeply");
    struct proto_type *type = add_type(file, outer, file->token);
    next(file);
    KP_TRY(expect(file, "{"));
    while (!eat(file, "}")) {
        if (!file->token.len)
            return unexpected(file);
        KP_TRY(read_member(file, type));
    }
    file->depth--;
    return KP_OK;
}

static enum kp_code read_file(struct file *file)
{
    for (next(file); file->token.len;) {
        if (eat(file, "syntax")) {
            KP_TRY(expect(file, "="));
            file->proto3 = file->token.len == 8 && memcmp(file->token.ptr + 1, "proto3", 6) == 0;
            next(file);
            KP_TRY(expect(file, ";"));
        } else if (is(file, "package") || is(file, "option")) {
            skip_statement(file);
        } else if (eat(file, "import")) {
            if (file->token.len < 17 || memcmp(file->token.ptr + 1, "google/protobuf/", 16) != 0)
                return kp_fail(file->err, KP_UNSUPPORTED, NULL,
                               "import is not supported: write all messages into one "
                               "schema");
            skip_statement(file);
        } else if (eat(file, "message")) {
            KP_TRY(read_message(file, (struct kp_str){"", 0}));
        } else if (eat(file, "enum")) {
            KP_TRY(read_enum(file, (struct kp_str){"", 0}));
        } else if (!eat(file, ";")) {
            return unexpected(file);
        }
    }
    return KP_OK;
}

/* A name as it is written in a message: there, or in one around it; a package before it is passed over. */
static const struct proto_type *find_type(const struct file *file, struct kp_str scope, struct kp_str name)
{
    char dotted[600];
    for (struct kp_str rest = name;; rest = (struct kp_str){rest.ptr + 1, rest.len - 1}) {
        for (struct kp_str around = scope;;) {
            snprintf(dotted, sizeof dotted, "%.*s%s%.*s", (int)around.len, around.ptr, around.len ? "." : "",
                     (int)rest.len, rest.ptr);
            for (const struct proto_type *type = file->types; type; type = type->next)
                if (!type->is_map_entry && kp_str_equal(type->name, kp_str(dotted)))
                    return type;
            if (!around.len)
                break;
            while (around.len && around.ptr[around.len - 1] != '.')
                around.len--;
            around.len -= around.len > 0;
        }
        while (rest.len && rest.ptr[0] != '.')
            rest = (struct kp_str){rest.ptr + 1, rest.len - 1};
        if (!rest.len)
            return NULL;
    }
}

static enum kp_code resolve(struct file *file)
{
    for (struct proto_type *type = file->types; type; type = type->next)
        for (uint32_t i = 0; !type->is_enum && i < type->count; i++) {
            struct proto_field *field = &type->fields[i];
            if (field->kind != PROTO_MESSAGE || field->type)
                continue;
            field->type = find_type(file, type->name, field->type_name);
            if (!field->type)
                return kp_fail(file->err, KP_INVALID, "22023", "the Protobuf schema has no type \"%.*s\"",
                               (int)field->type_name.len, field->type_name.ptr);
            field->kind = field->type->is_enum ? PROTO_ENUM : PROTO_MESSAGE;
        }
    return KP_OK;
}

enum kp_code kp_protobuf_create(const char *text, const char *message, struct kp_arena *arena,
                                const struct kp_protobuf **ret_protobuf, struct kp_error *err)
{
    struct file file = {.arena = arena, .at = kp_arena_strdup(arena, text), .err = err};
    KP_TRY(read_file(&file));
    KP_TRY(resolve(&file));
    struct kp_protobuf *protobuf = kp_arena_calloc(arena, sizeof *protobuf);
    for (const struct proto_type *type = file.types; type; type = type->next)
        if (!type->is_enum && !type->is_map_entry && (!message || kp_str_equal(type->name, kp_str(message))))
            protobuf->message = type; /* without a name the first one: types are listed backwards */
    if (!protobuf->message)
        return kp_fail(err, KP_INVALID, "22023", "the Protobuf schema has no message \"%s\"", message ? message : "");
    *ret_protobuf = protobuf;
    return KP_OK;
}

/* ---- messages ---- */

static enum kp_code malformed(struct kp_error *err)
{
    return kp_fail(err, KP_INVALID, "22P04", "the Protobuf message is malformed");
}

static bool take(struct kp_bytes *in, uint64_t len, struct kp_bytes *ret_bytes)
{
    if (len > (uint64_t)(in->end - in->at))
        return false;
    *ret_bytes = (struct kp_bytes){in->at, in->at + len};
    in->at += len;
    return true;
}

/* One field: its number, wire type and bytes (of a varint the value). */
static bool next_field(struct kp_bytes *in, uint64_t *ret_number, unsigned *ret_wire, uint64_t *ret_value,
                       struct kp_bytes *ret_bytes)
{
    uint64_t tag, len = 0;
    if (!kp_bytes_varint(in, &tag))
        return false;
    *ret_number = tag >> 3;
    *ret_wire = tag & 7;
    *ret_bytes = (struct kp_bytes){in->at, in->at};
    switch (*ret_wire) {
    case 0:
        return kp_bytes_varint(in, ret_value);
    case 1:
        return take(in, 8, ret_bytes);
    case 2:
        return kp_bytes_varint(in, &len) && take(in, len, ret_bytes);
    case 5:
        return take(in, 4, ret_bytes);
    default:
        return false;
    }
}

static enum kp_code put_message(const struct proto_type *type, struct kp_bytes in, unsigned depth, struct kp_buf *out,
                                struct kp_error *err);

static enum kp_code put_timestamp(struct kp_bytes in, struct kp_buf *out, struct kp_error *err)
{
    uint64_t number, value = 0, parts[2] = {0};
    unsigned wire;
    struct kp_bytes bytes;
    while (in.at < in.end) {
        if (!next_field(&in, &number, &wire, &value, &bytes))
            return malformed(err);
        if (wire == 0 && (number == 1 || number == 2))
            parts[number - 1] = value;
    }
    int64_t us;
    if (__builtin_mul_overflow((int64_t)parts[0] - 946684800, (int64_t)1000000, &us) ||
        __builtin_add_overflow(us, (int64_t)parts[1] / 1000, &us))
        return kp_fail(err, KP_INVALID, "22008", "a Protobuf timestamp is out of range");
    kp_buf_append_byte(out, '"');
    kp_value_print(KP_TYPE(KP_TIMESTAMPTZ), &us, NULL, out);
    kp_buf_append_byte(out, '"');
    return KP_OK;
}

static void put_enum(const struct proto_type *type, int64_t value, struct kp_buf *out)
{
    for (uint32_t i = 0; i < type->count; i++)
        if (type->fields[i].number == value) {
            kp_buf_append_json_string(out, type->fields[i].name);
            return;
        }
    kp_buf_printf(out, "%lld", (long long)value);
}

/* A value of wire type 0, or of 1 and 5 that is no float. */
static void put_integer(const struct proto_field *field, uint64_t value, struct kp_buf *out)
{
    switch (field->kind) {
    case PROTO_BOOL:
        kp_buf_append_text(out, value ? "true" : "false");
        return;
    case PROTO_ENUM:
        put_enum(field->type, (int32_t)value, out);
        return;
    case PROTO_SINT32:
    case PROTO_SINT64:
        kp_buf_printf(out, "%lld", (long long)((int64_t)(value >> 1) ^ -(int64_t)(value & 1)));
        return;
    case PROTO_UINT64:
    case PROTO_FIXED64:
        kp_buf_printf(out, "%llu", (unsigned long long)value);
        return;
    case PROTO_UINT32:
    case PROTO_FIXED32:
        kp_buf_printf(out, "%u", (uint32_t)value);
        return;
    case PROTO_INT32:
    case PROTO_SFIXED32:
        kp_buf_printf(out, "%d", (int32_t)value);
        return;
    default:
        kp_buf_printf(out, "%lld", (long long)value);
    }
}

static enum kp_code put_one(const struct proto_field *field, unsigned wire, uint64_t value, struct kp_bytes bytes,
                            unsigned depth, struct kp_buf *out, struct kp_error *err)
{
    struct kp_str text = {(const char *)bytes.at, (size_t)(bytes.end - bytes.at)};
    if (wire != wires[field->kind])
        return malformed(err);
    if (field->kind == PROTO_DOUBLE || field->kind == PROTO_FLOAT) {
        kp_transcode_float(bytes.at, field->kind == PROTO_DOUBLE, out);
        return KP_OK;
    }
    if (field->kind == PROTO_MESSAGE)
        return put_message(field->type, bytes, depth, out, err);
    if (field->kind == PROTO_TIMESTAMP)
        return put_timestamp(bytes, out, err);
    if (field->kind == PROTO_STRING)
        return kp_transcode_text(text, out, err);
    if (field->kind == PROTO_BYTES) {
        kp_transcode_bytes(text, out);
        return KP_OK;
    }
    for (size_t i = wire == 0 ? 0 : text.len; wire != 0 && i-- > 0;)
        value = (wire != 0 && i + 1 == text.len ? 0 : value << 8) | bytes.at[i];
    put_integer(field, value, out);
    return KP_OK;
}

static void put_default(const struct proto_field *field, struct kp_buf *out)
{
    if (field->kind == PROTO_STRING)
        kp_buf_append_text(out, "\"\"");
    else if (field->kind == PROTO_BYTES)
        kp_buf_append_text(out, "\"\\\\x\"");
    else if (field->kind == PROTO_MESSAGE || field->kind == PROTO_TIMESTAMP)
        kp_buf_append_text(out, "null");
    else
        put_integer(field, 0, out);
}

/* An entry's key as the name of a member, then its value. */
static enum kp_code put_entry(const struct proto_type *entry, struct kp_bytes in, unsigned depth, struct kp_buf *out,
                              struct kp_error *err)
{
    for (uint32_t part = 0; part < 2; part++) {
        struct kp_bytes at = in, bytes;
        struct kp_buf text = {0};
        uint64_t number, value = 0;
        unsigned wire;
        enum kp_code code = KP_OK;
        while (code == KP_OK && at.at < at.end) {
            if (!next_field(&at, &number, &wire, &value, &bytes))
                code = malformed(err);
            else if (number == part + 1) {
                text.len = 0;
                code = put_one(&entry->fields[part], wire, value, bytes, depth, &text, err);
            }
        }
        if (code == KP_OK && !text.len)
            put_default(&entry->fields[part], &text);
        bool quote = part == 0 && text.len && text.data[0] != '"';
        if (quote)
            kp_buf_append_byte(out, '"');
        kp_buf_append(out, text.data, text.len);
        kp_buf_append_text(out, quote ? "\":" : part == 0 ? ":" : "");
        kp_buf_finish(&text);
        KP_TRY(code);
    }
    return KP_OK;
}

static enum kp_code put_item(const struct proto_field *field, unsigned wire, uint64_t value, struct kp_bytes bytes,
                             unsigned depth, uint32_t *count, struct kp_buf *out, struct kp_error *err)
{
    if (field->map) {
        kp_buf_append_text(out, (*count)++ ? "," : "");
        return put_entry(field->type, bytes, depth, out, err);
    }
    if (wire != 2 || wires[field->kind] == 2) {
        kp_buf_append_text(out, (*count)++ ? "," : "");
        return put_one(field, wire, value, bytes, depth, out, err);
    }
    while (bytes.at < bytes.end) { /* packed */
        struct kp_bytes item = {bytes.at, bytes.at};
        unsigned one = wires[field->kind];
        if (one == 0 ? !kp_bytes_varint(&bytes, &value) : !take(&bytes, one == 1 ? 8 : 4, &item))
            return malformed(err);
        kp_buf_append_text(out, (*count)++ ? "," : "");
        KP_TRY(put_one(field, one, value, item, depth, out, err));
    }
    return KP_OK;
}

/* All that the message has of one field; nothing if it is absent and has no default. */
static enum kp_code put_field(const struct proto_field *field, struct kp_bytes in, unsigned depth, bool *first,
                              struct kp_buf *out, struct kp_error *err)
{
    size_t start = out->len;
    uint64_t number, value = 0;
    unsigned wire;
    struct kp_bytes bytes;
    uint32_t count = 0;
    kp_buf_append_text(out, *first ? "" : ",");
    kp_buf_append_json_string(out, field->name);
    kp_buf_append_byte(out, ':');
    size_t behind_name = out->len;
    if (field->repeated)
        kp_buf_append_byte(out, field->map ? '{' : '[');
    while (in.at < in.end) {
        if (!next_field(&in, &number, &wire, &value, &bytes))
            return malformed(err);
        if (number != (uint64_t)field->number)
            continue;
        if (!field->repeated) {
            out->len = behind_name;
            count = 0;
        }
        KP_TRY(put_item(field, wire, value, bytes, depth, &count, out, err));
    }
    if (field->repeated)
        kp_buf_append_byte(out, field->map ? '}' : ']');
    else if (!count && field->has_default && field->kind != PROTO_MESSAGE && field->kind != PROTO_TIMESTAMP)
        put_default(field, out);
    else if (!count) {
        out->len = start;
        return KP_OK;
    }
    *first = false;
    return KP_OK;
}

static enum kp_code put_message(const struct proto_type *type, struct kp_bytes in, unsigned depth, struct kp_buf *out,
                                struct kp_error *err)
{
    bool first = true;
    if (depth == 0)
        return kp_fail(err, KP_LIMIT, "54001", "the Protobuf message is nested deeper than %d", KP_TRANSCODE_DEPTH_MAX);
    kp_buf_append_byte(out, '{');
    for (uint32_t i = 0; i < type->count; i++) {
        enum kp_code code = put_field(&type->fields[i], in, depth - 1, &first, out, err);
        if (code != KP_OK) {
            kp_error_context(err, "field \"%.*s\"", (int)type->fields[i].name.len, type->fields[i].name.ptr);
            return code;
        }
    }
    kp_buf_append_byte(out, '}');
    return KP_OK;
}

enum kp_code kp_protobuf_to_json(const struct kp_protobuf *protobuf, struct kp_str bytes, struct kp_buf *out,
                                 struct kp_error *err)
{
    struct kp_bytes in = {(const uint8_t *)bytes.ptr, (const uint8_t *)bytes.ptr + bytes.len};
    struct kp_bytes look = in, value_bytes;
    uint64_t number, value;
    unsigned wire;
    while (look.at < look.end) /* all of it is well formed, whatever is read of it */
        if (!next_field(&look, &number, &wire, &value, &value_bytes))
            return malformed(err);
    return put_message(protobuf->message, in, KP_TRANSCODE_DEPTH_MAX, out, err);
}
