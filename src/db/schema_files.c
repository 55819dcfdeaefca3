/*
 * Schemas that a declaration names by file: schema = 'file:order.avsc', writer_schemas = '{"1": "file:v1.avsc", …}'.
 *
 * The files are read once, when the statement is run, and stand in its text from then on, as if they had been written
 * there: the catalog's record must not depend on files that may change or go. Paths are the server's; a file's text
 * appears in no error message.
 */
#include "db/ddl.h"

#include <stdio.h>

enum { SCHEMA_BYTES_MAX = 1 << 20 }; /* of a file: the largest schemas in use are a tenth of it */

static const char PREFIX[] = "file:";

static enum kp_code read_file(struct kp_db *db, struct kp_str path, struct kp_buf *out, struct kp_error *err)
{
    char name[1024];
    struct kp_file *file;
    uint64_t bytes;
    size_t len = 0;
    if (path.len >= sizeof name)
        return kp_fail(err, KP_LIMIT, "54000", "a schema's path is longer than %zu bytes", sizeof name - 1);
    snprintf(name, sizeof name, "%.*s", (int)path.len, path.ptr);
    enum kp_code code = db->os->open(db->os->ctx, name, KP_OPEN_READ, &file, err);
    if (code != KP_OK)
        return kp_fail(err, code == KP_NOT_FOUND ? code : KP_INVALID, "58P01",
                       "could not open the schema's file \"%s\"", name);
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
    enum kp_code code = strncmp(value, PREFIX, strlen(PREFIX)) == 0
                            ? read_file(db, kp_str(value + strlen(PREFIX)), &schema, err)
                            : read_members(db, value, &schema, err);
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
    for (uint32_t i = 0; code == KP_OK && i < statement->option_count; i++)
        if (names_file(&statement->options[i]))
            code = inline_option(db, statement, i, &at, &text, err);
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
