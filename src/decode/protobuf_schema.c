/*
 * The text of a .proto file to types.
 *
 * Read of the file: syntax, package, message (nested too), enum, oneof, map, optional, repeated, required, default,
 * reserved, option. Services and extensions are passed over, and so are imports of google/protobuf, whose types are
 * known; others are refused, if the file's reader has not put them behind it (db/schema_files.c). Groups are refused.
 */
#include <stdlib.h>

#include "decode/protobuf.h"

#include <stdio.h>

static const char *const scalar_names[] = {"double",   "float",    "int32",  "int64",   "uint32",
                                           "uint64",   "sint32",   "sint64", "fixed32", "fixed64",
                                           "sfixed32", "sfixed64", "bool",   "string",  "bytes"};

static const char PACKAGE[] = "google.protobuf.";
static const char well_known[] =
    "syntax = \"proto3\"; message google.protobuf.Duration { int64 seconds = 1; int32 nanos = 2; }"
    "message google.protobuf.Any { string type_url = 1; bytes value = 2; } message google.protobuf.Empty { }"
    "message google.protobuf.FieldMask { repeated string paths = 1; }"
    "message google.protobuf.DoubleValue { double value = 1; } message google.protobuf.FloatValue { float value = 1; }"
    "message google.protobuf.Int64Value { int64 value = 1; } message google.protobuf.UInt64Value { uint64 value = 1; }"
    "message google.protobuf.Int32Value { int32 value = 1; } message google.protobuf.UInt32Value { uint32 value = 1; }"
    "message google.protobuf.BoolValue { bool value = 1; } message google.protobuf.StringValue { string value = 1; }"
    "message google.protobuf.BytesValue { bytes value = 1; } enum google.protobuf.NullValue { NULL_VALUE = 0; }"
    "message google.protobuf.Struct { map<string, google.protobuf.Value> fields = 1; }"
    "message google.protobuf.ListValue { repeated google.protobuf.Value values = 1; }"
    "message google.protobuf.Value { oneof kind { google.protobuf.NullValue null_value = 1; double number_value = 2; "
    "string string_value = 3; bool bool_value = 4; google.protobuf.Struct struct_value = 5; "
    "google.protobuf.ListValue list_value = 6; } }";

struct file {
    struct kp_arena *arena;
    const char *at;
    struct kp_str token, package;
    struct proto_type *types;
    bool proto3;
    uint32_t oneofs; /* so far */
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
        file->at++;
        while (*file->at && *file->at != *start)
            file->at += 1 + (file->at[0] == '\\' && file->at[1]);
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

/* outer: the full name of the message around it; empty: there is none. */
static struct proto_type *add_type(struct file *file, struct kp_str outer, struct kp_str name)
{
    struct proto_type *type = kp_arena_calloc(file->arena, sizeof *type);
    const char *dotted =
        outer.len ? kp_arena_printf(file->arena, "%.*s.%.*s", (int)outer.len, outer.ptr, (int)name.len, name.ptr)
                  : kp_arena_strndup(file->arena, name.ptr, name.len);
    type->name = type->local = kp_str(dotted);
    if (file->package.len) {
        size_t skip = file->package.len + 1;
        if (!outer.len)
            type->name =
                kp_str(kp_arena_printf(file->arena, "%.*s.%s", (int)file->package.len, file->package.ptr, dotted));
        type->local = (struct kp_str){type->name.ptr + skip, type->name.len - skip};
    }
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

/* [packed = true, default = 5, (other) = { … }] */
static void read_field_options(struct file *file, struct proto_field *field)
{
    unsigned depth = 0;
    while (file->token.len) {
        bool named = depth == 1 && field && is(file, "default");
        depth += is(file, "[") || is(file, "{");
        depth -= is(file, "]") || is(file, "}");
        next(file);
        if (depth == 0)
            return;
        if (named && eat(file, "="))
            field->default_token = file->token;
    }
}

/* = number [options]; */
static enum kp_code read_number(struct file *file, struct proto_field *field)
{
    KP_TRY(expect(file, "="));
    char *end;
    field->number = strtoll(file->token.ptr, &end, 0);
    if (end != file->token.ptr + file->token.len)
        return unexpected(file);
    next(file);
    if (is(file, "["))
        read_field_options(file, field);
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
    KP_TRY(read_number(file, field));
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

static enum kp_code read_field(struct file *file, struct proto_type *type, uint32_t oneof)
{
    if (eat(file, "map"))
        return read_map(file, type);
    bool repeated = eat(file, "repeated");
    bool optional = !repeated && (eat(file, "optional") || eat(file, "required"));
    if (is(file, "group"))
        return kp_fail(file->err, KP_UNSUPPORTED, NULL, "groups of Protobuf are not supported: make it a message");
    if (!file->token.len || !is_word(file->token.ptr[0]))
        return unexpected(file);
    struct proto_field *field = add_field(file, type);
    field->repeated = repeated;
    set_type(field, file->token);
    next(file);
    field->name = file->token;
    field->has_default = file->proto3 && !optional && !oneof && !repeated;
    field->oneof = oneof;
    next(file);
    return read_number(file, field);
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
        KP_TRY(read_number(file, value));
    }
    return KP_OK;
}

static enum kp_code read_message(struct file *file, struct kp_str outer);

static enum kp_code read_member(struct file *file, struct proto_type *type)
{
    if (is(file, "option") || is(file, "reserved") || is(file, "extensions") || is(file, "extend")) {
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
        return read_field(file, type, 0);
    next(file);
    KP_TRY(expect(file, "{"));
    for (uint32_t oneof = ++file->oneofs; !eat(file, "}");) {
        if (is(file, "option"))
            skip_statement(file);
        else
            KP_TRY(read_field(file, type, oneof));
    }
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
            file->package = (struct kp_str){"", 0}; /* another file begins: db/schema_files.c */
            next(file);
            KP_TRY(expect(file, ";"));
        } else if (eat(file, "package")) {
            file->package = file->token;
            next(file);
            KP_TRY(expect(file, ";"));
        } else if (is(file, "option") || is(file, "service") || is(file, "extend")) {
            skip_statement(file);
        } else if (eat(file, "import")) {
            if (!eat(file, "public"))
                eat(file, "weak");
            if (file->token.len < 17 || memcmp(file->token.ptr + 1, "google/protobuf/", 16) != 0)
                return kp_fail(
                    file->err, KP_UNSUPPORTED, NULL,
                    "import is supported of a schema that is read from a file: 'file:…', with what it imports "
                    "beside it");
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

/* A name as it is written in a message: there, or in what is around it, to the outermost package; from there only if it
 * begins with a dot. */
static const struct proto_type *find_type(const struct file *file, struct kp_str scope, struct kp_str name)
{
    char dotted[600];
    if (name.ptr[0] == '.') {
        name = (struct kp_str){name.ptr + 1, name.len - 1};
        scope.len = 0;
    }
    for (;;) {
        snprintf(dotted, sizeof dotted, "%.*s%s%.*s", (int)scope.len, scope.ptr, scope.len ? "." : "", (int)name.len,
                 name.ptr);
        for (const struct proto_type *type = file->types; type; type = type->next)
            if (!type->is_map_entry && kp_str_equal(type->name, kp_str(dotted)))
                return type;
        if (!scope.len)
            return NULL;
        while (scope.len && scope.ptr[scope.len - 1] != '.')
            scope.len--;
        scope.len -= scope.len > 0;
    }
}

/* The text of a string's token, its escapes read. */
static void unquote(struct kp_str token, struct kp_buf *out)
{
    static const char letters[] = "abfnrtv", meant[] = "\a\b\f\n\r\t\v";
    for (size_t i = 1; i + 1 < token.len; i++) {
        char c = token.ptr[i], *end;
        if (c != '\\') {
            kp_buf_append_byte(out, (uint8_t)c);
            continue;
        }
        c = token.ptr[++i];
        const char *letter = strchr(letters, c);
        char digits[4] = {0};
        if ((c | 32) == 'x') {
            memcpy(digits, token.ptr + i + 1, KP_MIN((size_t)2, token.len - i - 2));
            kp_buf_append_byte(out, (uint8_t)strtoul(digits, &end, 16));
            i += (size_t)(end - digits);
        } else if (c >= '0' && c <= '7') {
            memcpy(digits, token.ptr + i, KP_MIN((size_t)3, token.len - i - 1));
            kp_buf_append_byte(out, (uint8_t)strtoul(digits, &end, 8));
            i += (size_t)(end - digits) - 1;
        } else {
            kp_buf_append_byte(out, (uint8_t)(letter && c ? meant[letter - letters] : c));
        }
    }
}

/* [default = …] as JSON. */
static enum kp_code settle_default(struct file *file, struct proto_field *field)
{
    const struct kp_str token = field->default_token;
    bool quoted = token.len >= 2 && (token.ptr[0] == '"' || token.ptr[0] == '\'');
    struct kp_buf out = {0}, text = {0};
    enum kp_code code = KP_OK;
    char *end = NULL, *copy = kp_arena_strndup(file->arena, token.ptr, token.len);
    if (field->kind == PROTO_STRING || field->kind == PROTO_BYTES) {
        unquote(token, &text);
        struct kp_str said = {(const char *)text.data, text.len};
        if (field->kind == PROTO_BYTES)
            kp_transcode_bytes(said, &out);
        else
            code = kp_transcode_text(said, &out, file->err);
        end = quoted ? copy + token.len : copy;
    } else if (field->kind == PROTO_ENUM) {
        kp_buf_append_json_string(&out, token);
        for (uint32_t i = 0; i < field->type->count; i++)
            if (kp_str_equal(field->type->fields[i].name, token))
                end = copy + token.len;
    } else if (field->kind == PROTO_BOOL) {
        kp_buf_append_str(&out, token);
        end = strcmp(copy, "true") == 0 || strcmp(copy, "false") == 0 ? copy + token.len : copy;
    } else if (field->kind == PROTO_DOUBLE || field->kind == PROTO_FLOAT) {
        double value = strtod(copy, &end);
        float narrow = (float)value;
        kp_transcode_float(field->kind == PROTO_DOUBLE ? (const uint8_t *)&value : (const uint8_t *)&narrow,
                           field->kind == PROTO_DOUBLE, &out);
    } else if (field->kind < PROTO_BOOL && copy[0] == '-') {
        kp_buf_printf(&out, "%lld", strtoll(copy, &end, 0));
    } else if (field->kind < PROTO_BOOL) {
        kp_buf_printf(&out, "%llu", strtoull(copy, &end, 0));
    }
    field->default_json = (struct kp_str){kp_arena_strndup(file->arena, (const char *)out.data, out.len), out.len};
    kp_buf_finish(&out);
    kp_buf_finish(&text);
    KP_TRY(code);
    if (!end || *end || end == copy)
        return kp_fail(file->err, KP_INVALID, "22023", "the Protobuf schema has no default \"%s\" of field \"%.*s\"",
                       copy, (int)field->name.len, field->name.ptr);
    return KP_OK;
}

static enum kp_code resolve(struct file *file)
{
    for (struct proto_type *type = file->types; type; type = type->next)
        for (uint32_t i = 0; !type->is_enum && i < type->count; i++) {
            struct proto_field *field = &type->fields[i];
            if (field->kind == PROTO_MESSAGE && !field->type) {
                field->type = find_type(file, type->name, field->type_name);
                if (!field->type)
                    return kp_fail(file->err, KP_INVALID, "22023", "the Protobuf schema has no type \"%.*s\"",
                                   (int)field->type_name.len, field->type_name.ptr);
                field->kind = field->type->is_enum ? PROTO_ENUM : PROTO_MESSAGE;
            }
            if (field->default_token.ptr)
                KP_TRY(settle_default(file, field));
        }
    return KP_OK;
}

static enum kp_code check_names(const struct file *file)
{
    for (const struct proto_type *type = file->types; type; type = type->next)
        for (const struct proto_type *other = type->next; other; other = other->next)
            if (!type->is_map_entry && kp_str_equal(type->name, other->name))
                return kp_fail(file->err, KP_UNSUPPORTED, NULL, "the Protobuf schema has two types \"%.*s\"",
                               (int)type->name.len, type->name.ptr);
    return KP_OK;
}

/* Types of google.protobuf, behind those of the file. */
static enum kp_code add_well_known(struct file *file)
{
    const struct proto_type *last = file->types;
    file->at = well_known;
    file->package = (struct kp_str){"", 0};
    KP_TRY(read_file(file));
    for (struct proto_type *type = file->types; type != last; type = type->next) {
        const char *name = type->name.ptr + strlen(PACKAGE);
        size_t len = strlen(name);
        if (strcmp(name, "Duration") == 0)
            type->shown = SHOWN_DURATION;
        else if (strcmp(name, "Value") == 0)
            type->shown = SHOWN_CHOICE;
        else if (strcmp(name, "Struct") == 0 || (len > 5 && strcmp(name + len - 5, "Value") == 0 && !type->is_enum))
            type->shown = SHOWN_BARE;
    }
    return KP_OK;
}

static bool is_well_known(const struct proto_type *type)
{
    return type->name.len > strlen(PACKAGE) && memcmp(type->name.ptr, PACKAGE, strlen(PACKAGE)) == 0;
}

/* By its full name, or without its package if no other is called so; NULL: the first one, of types listed backwards. */
static enum kp_code find_message(const struct file *file, const char *name, const struct proto_type **ret_message)
{
    const struct proto_type *found = NULL, *other = NULL;
    for (const struct proto_type *type = file->types; type; type = type->next) {
        if (type->is_enum || type->is_map_entry || (!name && is_well_known(type)))
            continue;
        if (!name || kp_str_equal(type->name, kp_str(name)) || kp_str_equal(type->local, kp_str(name))) {
            other = found;
            found = type;
        }
        if (name && kp_str_equal(type->name, kp_str(name))) {
            other = NULL;
            break;
        }
    }
    if (!found)
        return kp_fail(file->err, KP_INVALID, "22023", "the Protobuf schema has no message \"%s\"", name ? name : "");
    if (name && other) {
        kp_fail(file->err, KP_INVALID, "22023", "the Protobuf schema has two messages \"%s\"", name);
        return kp_error_hint(file->err, "Name one with its package: \"%.*s\" or \"%.*s\".", (int)found->name.len,
                             found->name.ptr, (int)other->name.len, other->name.ptr);
    }
    *ret_message = found;
    return KP_OK;
}

enum kp_code kp_protobuf_create(const char *text, const char *message, struct kp_arena *arena,
                                const struct kp_protobuf **ret_protobuf, struct kp_error *err)
{
    struct file file = {.arena = arena, .at = kp_arena_strdup(arena, text), .err = err};
    KP_TRY(read_file(&file));
    KP_TRY(add_well_known(&file));
    KP_TRY(check_names(&file));
    KP_TRY(resolve(&file));
    struct kp_protobuf *protobuf = kp_arena_calloc(arena, sizeof *protobuf);
    KP_TRY(find_message(&file, message, &protobuf->message));
    *ret_protobuf = protobuf;
    return KP_OK;
}
