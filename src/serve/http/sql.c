/*
 * Statements and result sets: POST /sql, and what other handlers share of it.
 *
 * A request has a session of its own: nothing that it sets outlives it. Several statements are one transaction, as in
 * PostgreSQL's simple queries. The reply:
 *
 *   {"results":[{"tag":"SELECT 2","columns":[{"name":"a","type":"integer"}],"rows":[{"a":1},{"a":2}]}],"position":7}
 *
 * ?rows=arrays gives rows as arrays, for results whose columns share a name; ?format=ndjson and csv give the rows
 * alone.
 */
#include "serve/http/http_impl.h"

#include <string.h>

#include "base/utf8.h"
#include "vec/array.h"
#include "vec/composite.h"
#include "vec/json.h"
#include "vec/jsonb.h"

/* ---- sessions ---- */

enum kp_code kp_http_session_open(struct kp_conn *conn, struct kp_session **ret_session, struct kp_error *err)
{
    struct http_conn *http = http_of(conn);
    struct kp_session_options options = {.application = "http"};
    struct kp_session *session;
    KP_TRY(kp_session_open(http_door_of(conn)->db, &options, &session, err));
    kp_mutex_lock(&http->lock);
    http->session = session;
    kp_mutex_unlock(&http->lock);
    *ret_session = session;
    return KP_OK;
}

void kp_http_session_close(struct kp_conn *conn)
{
    struct http_conn *http = http_of(conn);
    kp_mutex_lock(&http->lock);
    struct kp_session *session = http->session;
    http->session = NULL;
    kp_mutex_unlock(&http->lock);
    kp_session_close(session);
}

/* ---- formats ---- */

enum kp_code kp_http_format(struct http_conn *http, enum http_format *ret_format, struct kp_error *err)
{
    static const struct {
        const char *name, *type;
        enum http_format format;
    } formats[] = {
        {"json", "application/json", FORMAT_JSON},
        {"ndjson", "application/x-ndjson", FORMAT_NDJSON},
        {"csv", "text/csv", FORMAT_CSV},
    };
    struct kp_str wish;
    bool asked = kp_http_param(http, "format", &wish);
    for (size_t i = 0; i < KP_COUNT(formats); i++)
        if (asked ? kp_str_equal(wish, kp_str(formats[i].name)) : kp_http_accepts(http, formats[i].type)) {
            *ret_format = formats[i].format;
            return KP_OK;
        }
    if (asked)
        return kp_fail(err, KP_INVALID, NULL, "?format=%.*s: it is json, ndjson or csv",
                       (int)KP_MIN(wish.len, (size_t)40), wish.ptr);
    *ret_format = FORMAT_JSON;
    return KP_OK;
}

const char *kp_http_format_type(enum http_format format)
{
    switch (format) {
    case FORMAT_NDJSON:
        return "application/x-ndjson";
    case FORMAT_CSV:
        return "text/csv; charset=utf-8; header=present";
    case FORMAT_JSON:
        break;
    }
    return "application/json";
}

static void print_value(const struct kp_batch *batch, uint32_t column, uint32_t row, const struct kp_zone *zone,
                        struct kp_buf *out)
{
    const struct kp_vec *vec = &batch->vecs[column];
    if (kp_vec_is_null(vec, row))
        kp_buf_append_text(out, "null");
    else
        kp_value_print_json(vec->type, kp_vec_at(vec, row), zone, out);
}

void kp_http_print_row(const struct kp_column *cols, uint32_t col_count, const struct kp_batch *batch, uint32_t row,
                       const struct kp_zone *zone, struct kp_buf *out)
{
    for (uint32_t c = 0; c < col_count; c++) {
        kp_buf_append_byte(out, c ? ',' : '{');
        kp_buf_append_json_string(out, kp_str(cols[c].name));
        kp_buf_append_byte(out, ':');
        print_value(batch, c, row, zone, out);
    }
    kp_buf_append_text(out, col_count ? "}" : "{}");
}

static void print_array(uint32_t col_count, const struct kp_batch *batch, uint32_t row, const struct kp_zone *zone,
                        struct kp_buf *out)
{
    kp_buf_append_byte(out, '[');
    for (uint32_t c = 0; c < col_count; c++) {
        if (c)
            kp_buf_append_byte(out, ',');
        print_value(batch, c, row, zone, out);
    }
    kp_buf_append_byte(out, ']');
}

/* RFC 4180; NULL is nothing, an empty text is "". */
static void print_csv_text(struct kp_str text, struct kp_buf *out)
{
    bool quote = text.len == 0;
    for (size_t i = 0; i < text.len && !quote; i++)
        quote = memchr(",\"\r\n", text.ptr[i], 4) != NULL;
    if (!quote) {
        kp_buf_append_str(out, text);
        return;
    }
    kp_buf_append_byte(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '"')
            kp_buf_append_byte(out, '"');
        kp_buf_append_byte(out, (uint8_t)text.ptr[i]);
    }
    kp_buf_append_byte(out, '"');
}

static void print_csv(uint32_t col_count, const struct kp_batch *batch, uint32_t row, const struct kp_zone *zone,
                      struct kp_buf *scratch, struct kp_buf *out)
{
    for (uint32_t c = 0; c < col_count; c++) {
        if (c)
            kp_buf_append_byte(out, ',');
        const struct kp_vec *vec = &batch->vecs[c];
        if (kp_vec_is_null(vec, row))
            continue;
        scratch->len = 0;
        kp_value_print(vec->type, kp_vec_at(vec, row), zone, scratch);
        print_csv_text((struct kp_str){(const char *)scratch->data, scratch->len}, out);
    }
    kp_buf_append_text(out, "\r\n");
}

/* ---- rows of a cursor ---- */

struct row_writer {
    struct kp_conn *conn;
    const struct kp_column *cols;
    uint32_t col_count;
    enum http_format format;
    bool arrays; /* JSON rows as arrays */
    const struct kp_zone *zone;
    struct kp_buf scratch;
    uint64_t rows, rows_max;
};

static void write_row(struct row_writer *writer, const struct kp_batch *batch, uint32_t row)
{
    struct kp_buf *out = &http_of(writer->conn)->stream;
    if (writer->format == FORMAT_CSV) {
        print_csv(writer->col_count, batch, row, writer->zone, &writer->scratch, out);
    } else {
        if (writer->format == FORMAT_JSON && writer->rows)
            kp_buf_append_text(out, ",\n");
        if (writer->arrays)
            print_array(writer->col_count, batch, row, writer->zone, out);
        else
            kp_http_print_row(writer->cols, writer->col_count, batch, row, writer->zone, out);
        if (writer->format == FORMAT_NDJSON)
            kp_buf_append_byte(out, '\n');
    }
    writer->rows++;
}

static enum kp_code write_rows(struct row_writer *writer, struct kp_cursor *cursor, struct kp_error *err)
{
    const char *type = kp_http_format_type(writer->format);
    for (bool done = false; !done && writer->rows < writer->rows_max;) {
        struct kp_batch *batch = NULL;
        uint64_t left = writer->rows_max - writer->rows;
        KP_TRY(kp_cursor_next(cursor, left < KP_BATCH_ROWS_MAX ? (uint32_t)left : 0, -1, &batch, &done, err));
        for (uint32_t row = 0; batch && row < batch->rows; row++) {
            for (int64_t n = batch->weights ? batch->weights[row] : 1; n > 0 && writer->rows < writer->rows_max; n--)
                write_row(writer, batch, row);
            if (http_of(writer->conn)->stream.len >= STREAM_BYTES)
                KP_TRY(kp_http_stream(writer->conn, type, err));
        }
    }
    return KP_OK;
}

static void write_csv_head(struct row_writer *writer)
{
    struct kp_buf *out = &http_of(writer->conn)->stream;
    for (uint32_t c = 0; c < writer->col_count; c++) {
        if (c)
            kp_buf_append_byte(out, ',');
        print_csv_text(kp_str(writer->cols[c].name), out);
    }
    kp_buf_append_text(out, "\r\n");
}

static enum kp_code print_rows(struct kp_conn *conn, const struct kp_prepared *prepared, struct kp_cursor *cursor,
                               enum http_format format, bool arrays, uint64_t rows_max, const struct kp_zone *zone,
                               struct kp_error *err)
{
    struct row_writer writer = {.conn = conn, .format = format, .arrays = arrays, .rows_max = rows_max, .zone = zone};
    if (!kp_prepared_columns(prepared, &writer.cols, &writer.col_count))
        writer.col_count = 0;
    if (format == FORMAT_CSV && writer.col_count)
        write_csv_head(&writer);
    if (format == FORMAT_JSON)
        kp_buf_append_byte(&http_of(conn)->stream, '[');
    enum kp_code code = write_rows(&writer, cursor, err);
    if (format == FORMAT_JSON)
        kp_buf_append_byte(&http_of(conn)->stream, ']');
    kp_buf_finish(&writer.scratch);
    return code;
}

enum kp_code kp_http_print_rows(struct kp_conn *conn, const struct kp_prepared *prepared, struct kp_cursor *cursor,
                                enum http_format format, uint64_t rows_max, const struct kp_zone *zone,
                                struct kp_error *err)
{
    return print_rows(conn, prepared, cursor, format, false, rows_max, zone, err);
}

/* ---- POST /sql ---- */

struct script {
    struct kp_conn *conn;
    struct kp_session *session;
    struct kp_str text, params; /* params: a JSON array, ptr NULL: none */
    enum http_format format;
    bool arrays;
    uint64_t statements;
    int64_t position;
};

/* A string is its text, as is what is neither an array nor an object; those are JSON where the type is none of both. */
static enum kp_code read_param(struct script *script, struct kp_str value, struct kp_datum *param, struct kp_error *err)
{
    struct kp_arena *arena = &http_of(script->conn)->arena;
    const struct kp_zone *zone = kp_session_zone(script->session);
    bool nested = value.ptr[0] == '[' || value.ptr[0] == '{';
    struct kp_str text;
    if (nested && (kp_type_is_array(param->type.id) || kp_type_is_composite(param->type.id)))
        return kp_json_to_value(param->type, value, NULL, zone, arena, &param->null, param->raw, err);
    param->null = !kp_http_json_text(value, arena, &text);
    return param->null ? KP_OK : kp_value_parse(param->type, text, zone, arena, param->raw, err);
}

/* The statement's parameters from the JSON array, each by its type's input function. */
static enum kp_code read_params(struct script *script, const struct kp_prepared *prepared, struct kp_datum **ret_params,
                                uint32_t *ret_count, struct kp_error *err)
{
    const struct kp_type *types;
    uint32_t count = kp_prepared_params(prepared, &types),
             given = script->params.ptr ? kp_jsonb_item_count(script->params) : 0;
    if (given != count)
        return kp_fail(err, KP_INVALID, "08P01", "the statement has %u parameters, \"params\" has %u", count, given);
    struct kp_datum *params = kp_arena_calloc(&http_of(script->conn)->arena, count * sizeof *params + 1);
    struct kp_jsonb_items items;
    struct kp_str key, value;
    if (count)
        kp_jsonb_items_begin(&items, script->params);
    for (uint32_t i = 0; i < count && kp_jsonb_items_next(&items, &key, &value); i++) {
        params[i].type = types[i];
        KP_TRY(read_param(script, kp_jsonb_trim(value), &params[i], err));
    }
    *ret_params = params;
    *ret_count = count;
    return KP_OK;
}

static void print_columns(const struct kp_prepared *prepared, struct kp_buf *out)
{
    const struct kp_column *cols;
    uint32_t count;
    if (!kp_prepared_columns(prepared, &cols, &count))
        return;
    kp_buf_append_text(out, "\"columns\":[");
    for (uint32_t c = 0; c < count; c++) {
        kp_buf_append_text(out, c ? ",{\"name\":" : "{\"name\":");
        kp_buf_append_json_string(out, kp_str(cols[c].name));
        kp_buf_append_text(out, ",\"type\":\"");
        kp_type_print(cols[c].type, out);
        kp_buf_append_text(out, "\"}");
    }
    kp_buf_append_text(out, "],");
}

static enum kp_code print_result(struct script *script, const struct kp_prepared *prepared, struct kp_cursor *cursor,
                                 struct kp_error *err)
{
    struct kp_buf *out = &http_of(script->conn)->stream;
    const struct kp_zone *zone = kp_session_zone(script->session);
    const struct kp_column *cols;
    uint32_t count;
    bool has_rows = kp_prepared_columns(prepared, &cols, &count);
    if (script->format != FORMAT_JSON && has_rows)
        return print_rows(script->conn, prepared, cursor, script->format, script->arrays, UINT64_MAX, zone, err);
    if (script->format == FORMAT_JSON) {
        kp_buf_append_text(out, script->statements ? ",\n {" : "{\"results\":[\n {");
        print_columns(prepared, out);
        if (has_rows) {
            kp_buf_append_text(out, "\"rows\":");
            KP_TRY(print_rows(script->conn, prepared, cursor, FORMAT_JSON, script->arrays, UINT64_MAX, zone, err));
            kp_buf_append_byte(out, ',');
        }
    }
    for (bool done = has_rows && script->format == FORMAT_JSON; !done;) { /* runs to its end what gives no rows */
        struct kp_batch *batch;
        KP_TRY(kp_cursor_next(cursor, 0, -1, &batch, &done, err));
    }
    if (script->format == FORMAT_JSON) {
        kp_buf_append_text(out, "\"tag\":");
        kp_buf_append_json_string(out, kp_str(kp_cursor_tag(cursor)));
        kp_buf_append_byte(out, '}');
    }
    return KP_OK;
}

static enum kp_code run_prepared(struct script *script, struct kp_prepared *prepared, struct kp_error *err)
{
    if (kp_prepared_is_subscribe(prepared)) {
        kp_fail(err, KP_UNSUPPORTED, NULL, "SUBSCRIBE has no end, and this reply must have one");
        return kp_error_hint(err, "GET /views/NAME/events is the subscription over HTTP.");
    }
    if (kp_prepared_copy(prepared) != KP_COPY_NONE) {
        kp_fail(err, KP_UNSUPPORTED, NULL, "COPY from or to the client is not possible over HTTP");
        return kp_error_hint(
            err, "POST /topics/NAME takes many records at once; GET /views/NAME?format=csv gives many rows.");
    }
    struct kp_datum *params = NULL;
    uint32_t count = 0;
    KP_TRY(read_params(script, prepared, &params, &count, err));
    struct kp_cursor *cursor;
    KP_TRY(kp_execute(script->session, prepared, params, count, &cursor, err));
    enum kp_code code = print_result(script, prepared, cursor, err);
    script->position = KP_MAX(script->position, kp_cursor_position(cursor));
    kp_cursor_close(cursor);
    return code;
}

static enum kp_code run_script(struct script *script, struct kp_error *err)
{
    struct kp_str left = script->text, statement, rest = script->text;
    uint64_t count = 0;
    while (kp_statement_next(&rest, &statement))
        count++;
    if (count > 1 && script->params.ptr)
        return kp_fail(err, KP_INVALID, "42601", "\"params\" goes with a single statement; the text has %llu",
                       (unsigned long long)count);
    if (count > 1)
        kp_session_implicit_begin(script->session);
    enum kp_code code = KP_OK;
    while (code == KP_OK && kp_statement_next(&left, &statement)) {
        struct kp_prepared *prepared;
        code = kp_prepare(script->session, statement, NULL, 0, &prepared, err);
        if (code == KP_OK) {
            code = run_prepared(script, prepared, err);
            kp_prepared_destroy(prepared);
        }
        if (code != KP_OK && err->position > 0) /* in the whole text, not in its statement */
            err->position += (int32_t)kp_utf8_length(script->text.ptr, (size_t)(statement.ptr - script->text.ptr));
        script->statements++;
    }
    if (count > 1) {
        struct kp_error end_err;
        enum kp_code end = kp_session_implicit_end(script->session, code == KP_OK, &end_err);
        if (code == KP_OK && end != KP_OK) {
            *err = end_err;
            code = end;
        }
        script->position = KP_MAX(script->position, kp_session_position(script->session)); /* they were one commit */
    }
    return code;
}

/* A member of the body, which has to be of this kind; false: it is not there. */
static enum kp_code body_member(struct kp_str body, const char *name, enum kp_jsonb_kind kind, const char *wanted,
                                bool *ret_found, struct kp_str *ret_value, struct kp_error *err)
{
    *ret_found = kp_jsonb_member(body, kp_str(name), ret_value);
    if (!*ret_found)
        return KP_OK;
    *ret_value = kp_jsonb_trim(*ret_value);
    return kp_jsonb_kind(*ret_value) == kind
               ? KP_OK
               : kp_fail(err, KP_INVALID, "22023", "\"%s\" in the body is not %s", name, wanted);
}

static enum kp_code read_json_script(struct script *script, struct kp_str body, struct kp_error *err)
{
    struct kp_arena *arena = &http_of(script->conn)->arena;
    struct kp_text checked;
    struct kp_str sql;
    const char *sqlstate, *message;
    bool found;
    enum kp_code code = kp_json_parse(KP_JSON, body, arena, &checked, err);
    if (code == KP_OK && !kp_json_is_text(body, &sqlstate, &message))
        code = kp_fail(err, KP_INVALID, sqlstate, "%s", message);
    if (code != KP_OK) {
        kp_error_context(err, "reading the body");
        return code;
    }
    body = kp_jsonb_trim(body);
    KP_TRY(body_member(body, "sql", KP_JSONB_STRING, "a string", &found, &sql, err));
    if (!found)
        return kp_fail(err, KP_INVALID, "22023", "the body is JSON and has no member \"sql\"");
    (void)kp_http_json_text(sql, arena, &script->text);
    return body_member(body, "params", KP_JSONB_ARRAY, "an array", &found, &script->params, err);
}

/* The text from the body: JSON {"sql": …, "params": […]}, or SQL itself. */
static enum kp_code read_script(struct script *script, struct kp_error *err)
{
    struct http_conn *http = http_of(script->conn);
    struct kp_str body = {(const char *)http->body.data, http->body.len}, rows;
    bool json = kp_http_content_type_is(http, "application/json");
    if (!kp_utf8_valid(body.ptr, body.len))
        return kp_fail(err, KP_INVALID, "22021", "invalid byte sequence for encoding \"UTF8\" in the %s",
                       json ? "body" : "SQL text");
    script->text = body.len ? body : KP_STR("");
    if (json)
        KP_TRY(read_json_script(script, script->text, err));
    script->arrays = kp_http_param(http, "rows", &rows) && kp_str_equal(rows, KP_STR("arrays"));
    return kp_http_format(http, &script->format, err);
}

void kp_http_post_sql(struct kp_conn *conn)
{
    struct script script = {.conn = conn, .position = -1};
    struct kp_error err;
    enum kp_code code = read_script(&script, &err);
    if (code == KP_OK)
        code = kp_http_session_open(conn, &script.session, &err);
    if (code == KP_OK) {
        code = run_script(&script, &err);
        if (code == KP_OK && kp_session_status(script.session) != 'I') {
            kp_fail(&err, KP_INVALID, "25000", "the request ends within a transaction, which was rolled back");
            code = kp_error_hint(&err, "What one request holds is one transaction without BEGIN and COMMIT; with BEGIN "
                                       "it needs its COMMIT.");
        }
        kp_http_session_close(conn);
    }
    if (code != KP_OK) {
        if (err.code == KP_NOT_FOUND)
            err.code = KP_INVALID; /* what was not found is in the text, not at this address */
        kp_http_stream_fail(conn, &err);
        return;
    }
    struct kp_buf *out = &http_of(conn)->stream;
    if (script.format == FORMAT_JSON) {
        kp_buf_append_text(out, script.statements ? "\n]" : "{\"results\":[]");
        if (script.position >= 0) {
            kp_buf_append_text(out, ",\"position\":");
            kp_http_print_int(script.position, out);
        }
        kp_buf_append_text(out, "}\n");
    }
    if (script.position >= 0 && !http_of(conn)->streaming)
        kp_http_add_header(conn, "X-Kappa-Position", "%lld", (long long)script.position);
    kp_http_stream_end(conn, kp_http_format_type(script.format));
}
