/*
 * Schemas that a declaration names by file: schema = 'file:order.avsc', writer_schemas = '{"1": "file:v1.avsc", …}'.
 *
 * The files are read once, when the statement is run, and stand in its text from then on, as if they had been written
 * there: the catalog's record must not depend on files that may change or go. Paths are the server's; a file's text
 * appears in no error message.
 *
 * What a .proto file imports, but for google/protobuf, is put behind it, each file once, and its import made a comment.
 * As protoc's --proto_path would have it, an import's path begins at the file's folder or at one around it.
 */
#include "db/ddl.h"

#include <stdio.h>

enum { PROTO_FILES_MAX = 200, PATH_BYTES_MAX = 1024 };
enum { SCHEMA_BYTES_MAX = 1 << 20 }; /* of a file: the largest schemas in use are a tenth of it */

static const char PREFIX[] = "file:";

static enum kp_code read_file(struct kp_db *db, struct kp_str path, struct kp_buf *out, struct kp_error *err)
{
    char name[PATH_BYTES_MAX];
    struct kp_file *file;
    uint64_t bytes;
    size_t len = 0;
    if (path.len >= sizeof name)
        return kp_fail(err, KP_LIMIT, "54000", "a schema's path is longer than %zu bytes", sizeof name - 1);
    snprintf(name, sizeof name, "%.*s", (int)path.len, path.ptr);
    struct kp_error why;
    enum kp_code code = db->os->open(db->os->ctx, name, KP_OPEN_READ, &file, &why);
    if (code != KP_OK) {
        code = kp_fail(err, code == KP_NOT_FOUND ? code : KP_INVALID, "58P01",
                       "could not open the schema's file \"%s\"", name);
        (void)kp_error_detail(err, "%s.", why.message);
        return code;
    }
    code = db->os->size(db->os->ctx, file, &bytes, err);
    if (code == KP_OK && bytes > SCHEMA_BYTES_MAX)
        code =
            kp_fail(err, KP_LIMIT, "54000", "the schema's file \"%s\" is longer than %d bytes", name, SCHEMA_BYTES_MAX);
    if (code == KP_OK)
        code = db->os->pread(db->os->ctx, file, kp_buf_reserve(out, bytes), bytes, 0, &len, err);
    db->os->close(db->os->ctx, file);
    KP_TRY(code);
    if (memchr(out->data + out->len, 0, len))
        return kp_fail(err, KP_INVALID, "22023", "the schema's file \"%s\" is no text", name);
    out->len += len;
    return KP_OK;
}

/* An object's members that are "file:…" become what the files hold. */
static enum kp_code read_members(struct kp_db *db, const char *json, struct kp_buf *out, struct kp_error *err)
{
    int depth = 0;
    while (*json) {
        if (*json != '"') {
            depth += *json == '{' || *json == '[';
            depth -= *json == '}' || *json == ']';
            kp_buf_append_byte(out, (uint8_t)*json++);
            continue;
        }
        const char *end = json + 1;
        while (*end && *end != '"')
            end += 1 + (*end == '\\' && end[1]);
        end += *end == '"';
        struct kp_str inside = {json + 1, (size_t)(end - json) - 1 - (end[-1] == '"' && end - json > 1)};
        if (depth == 1 && inside.len > strlen(PREFIX) && memcmp(inside.ptr, PREFIX, strlen(PREFIX)) == 0)
            KP_TRY(read_file(db, (struct kp_str){inside.ptr + strlen(PREFIX), inside.len - strlen(PREFIX)}, out, err));
        else
            kp_buf_append(out, json, (size_t)(end - json));
        json = end;
    }
    return KP_OK;
}

/* ---- what a .proto file imports ---- */

struct imports {
    struct kp_str folder; /* of the file that the declaration names */
    struct kp_arena arena;
    const char *names[PROTO_FILES_MAX];
    uint32_t count;
};

static enum kp_code read_import(struct kp_db *db, const struct imports *imports, const char *name, struct kp_buf *out,
                                struct kp_error *err)
{
    struct kp_str folder = imports->folder;
    for (;;) {
        char path[2 * PATH_BYTES_MAX];
        snprintf(path, sizeof path, "%.*s%s%s", (int)folder.len, folder.ptr, folder.len ? "/" : "", name);
        enum kp_code code = read_file(db, kp_str(path), out, err);
        if (code != KP_NOT_FOUND || folder.len == 0)
            return code;
        while (folder.len && folder.ptr[folder.len - 1] != '/')
            folder.len--;
        folder.len -= folder.len > 0;
    }
}

static void note_import(struct imports *imports, struct kp_str name)
{
    for (uint32_t i = 0; i < imports->count; i++)
        if (kp_str_equal(name, kp_str(imports->names[i])))
            return;
    if (imports->count < PROTO_FILES_MAX)
        imports->names[imports->count++] = kp_arena_strndup(&imports->arena, name.ptr, name.len);
}

/* Behind blanks, comments, and a string or a word if there is one. */
static const char *proto_token(const char *at, struct kp_str *ret_token)
{
    for (;;) {
        at += strspn(at, " \t\r\n");
        const char *end = at[0] == '/' && at[1] == '*' ? strstr(at + 2, "*/") : NULL;
        if (end)
            at = end + 2;
        else if (at[0] == '/' && at[1] == '/')
            at += strcspn(at, "\n");
        else
            break;
    }
    const char *begin = at;
    if (*at == '"' || *at == '\'') {
        for (at++; *at && *at != *begin; at++)
            at += at[0] == '\\' && at[1];
        at += *at != '\0';
    } else {
        at += strcspn(at, " \t\r\n;{}[]()<>=,\"'/");
        at += at == begin && *at;
    }
    *ret_token = (struct kp_str){begin, (size_t)(at - begin)};
    return at;
}

/* Appends a file's text with its imports made comments, and notes them. */
static void take_imports(const char *text, struct imports *imports, struct kp_buf *out)
{
    struct kp_str token, name;
    unsigned depth = 0;
    for (const char *at = text, *behind; *at; at = behind) {
        behind = proto_token(at, &token);
        depth += kp_str_equal(token, KP_STR("{"));
        depth -= kp_str_equal(token, KP_STR("}")) && depth;
        const char *end = behind;
        bool import = depth == 0 && kp_str_equal(token, KP_STR("import"));
        if (import) {
            end = proto_token(end, &name);
            if (kp_str_equal(name, KP_STR("public")) || kp_str_equal(name, KP_STR("weak")))
                end = proto_token(end, &name);
            import = name.len > 2 && (name.len < 17 || memcmp(name.ptr + 1, "google/protobuf/", 16) != 0);
        }
        if (!import) {
            kp_buf_append(out, at, (size_t)(behind - at));
            continue;
        }
        kp_buf_append(out, at, (size_t)(token.ptr - at));
        kp_buf_append_text(out, "// ");
        kp_buf_append(out, token.ptr, (size_t)(end - token.ptr));
        kp_buf_append_text(out, "\n");
        note_import(imports, (struct kp_str){name.ptr + 1, name.len - 2});
        behind = end;
    }
}

static enum kp_code read_proto(struct kp_db *db, const char *path, struct kp_buf *out, struct kp_error *err)
{
    const char *slash = strrchr(path, '/');
    struct imports imports = {.folder = {path, slash ? (size_t)(slash - path) : 0}};
    struct kp_buf text = {0};
    enum kp_code code = read_file(db, kp_str(path), &text, err);
    for (uint32_t i = 0; code == KP_OK; i++) {
        kp_buf_append_byte(&text, 0);
        take_imports((const char *)text.data, &imports, out);
        if (i == imports.count)
            break;
        kp_buf_printf(out, "\n// %s\nsyntax = \"proto2\";\n", imports.names[i]); /* if it does not say another */
        text.len = 0;
        code = read_import(db, &imports, imports.names[i], &text, err);
        if (code == KP_OK && out->len > SCHEMA_BYTES_MAX)
            code = kp_fail(err, KP_LIMIT, "54000", "the schema \"%s\" and its imports are longer than %d bytes", path,
                           SCHEMA_BYTES_MAX);
    }
    kp_buf_finish(&text);
    kp_arena_finish(&imports.arena);
    return code;
}

static bool is_proto(const struct kp_statement *statement)
{
    for (uint32_t i = 0; i < statement->option_count; i++)
        if (strcmp(statement->options[i].name, "format") == 0)
            return strcmp(statement->options[i].value, "protobuf") == 0;
    return false;
}

static bool names_file(const struct kp_option *option)
{
    if (strcmp(option->name, "writer_schemas") == 0)
        return strstr(option->value, "\"file:") != NULL;
    return (strcmp(option->name, "schema") == 0 || strcmp(option->name, "writer_schema") == 0) &&
           strncmp(option->value, PREFIX, strlen(PREFIX)) == 0;
}

/* Where the option's string stands in the text, with its quotes; NULL: it is written in another way. */
static const char *find_string(const char *option, const char **ret_end)
{
    const char *at = option + strcspn(option, "=");
    at += *at == '=';
    at += strspn(at, " \t\r\n");
    if (*at != '\'')
        return NULL;
    const char *end = at + 1;
    while (*end && (*end != '\'' || end[1] == '\''))
        end += 1 + (*end == '\'');
    *ret_end = end + (*end == '\'');
    return at;
}

static enum kp_code inline_option(struct kp_db *db, const struct kp_statement *statement, uint32_t option,
                                  const char **at, struct kp_buf *text, struct kp_error *err)
{
    const char *value = statement->options[option].value, *end;
    const char *begin = find_string(statement->text + statement->option_locations[option], &end);
    struct kp_buf schema = {0};
    if (!begin) {
        kp_fail(err, KP_INVALID, "22023", "the option \"%s\" names a file", statement->options[option].name);
        return kp_error_hint(err, "Write it as a plain string: 'file:…'.");
    }
    bool named = strncmp(value, PREFIX, strlen(PREFIX)) == 0;
    enum kp_code code = !named                ? read_members(db, value, &schema, err)
                        : is_proto(statement) ? read_proto(db, value + strlen(PREFIX), &schema, err)
                                              : read_file(db, kp_str(value + strlen(PREFIX)), &schema, err);
    kp_buf_append(text, *at, (size_t)(begin - *at));
    kp_buf_append_byte(text, '\'');
    for (size_t i = 0; i < schema.len; i++) {
        if (schema.data[i] == '\'')
            kp_buf_append_byte(text, '\'');
        kp_buf_append_byte(text, schema.data[i]);
    }
    kp_buf_append_byte(text, '\'');
    kp_buf_finish(&schema);
    *at = end;
    return code;
}

enum kp_code kp_ddl_inline_schemas(struct kp_db *db, const struct kp_statement *statement, struct kp_arena *arena,
                                   const struct kp_statement **ret_statement, struct kp_error *err)
{
    struct kp_buf text = {0};
    const char *at = statement->text;
    enum kp_code code = KP_OK;
    *ret_statement = statement;
    for (uint32_t i = 0; code == KP_OK && i < statement->option_count; i++) {
        if (!names_file(&statement->options[i]))
            continue;
        code = inline_option(db, statement, i, &at, &text, err);
        if (code != KP_OK)
            kp_sql_point_at_option(statement, i, err);
    }
    if (code == KP_OK && at != statement->text) {
        struct kp_statement *inlined;
        kp_buf_append_text(&text, at);
        const char *whole = kp_arena_strndup(arena, (const char *)text.data, text.len);
        code = kp_sql_parse(kp_str(whole), arena, &inlined, err);
        if (code == KP_OK)
            *ret_statement = inlined;
    }
    kp_buf_finish(&text);
    return code;
}
