/*
 * GET /views/{v}: the rows of a view, table or source at one position; GET /views: the views.
 *
 * The parameters become a statement with bound parameters, SELECT * FROM "v" WHERE "col" = $1 …, so values are
 * read and compared as PostgreSQL does, and a look-up by key is one.
 */
#include "serve/http/http_impl.h"

#include <string.h>

enum { FILTERS_MAX = 64, WAIT_SLICE_US = 200000, WAIT_US_MAX = 30000000 };

struct query {
    struct kp_conn *conn;
    struct kp_session *session;
    struct kp_buf sql;
    struct kp_str values[FILTERS_MAX];
    uint32_t value_count;
    enum http_format format;
    int64_t limit, at_least; /* -1: none */
};

static void append_name(struct kp_buf *sql, struct kp_str name)
{
    kp_buf_append_byte(sql, '"');
    for (size_t i = 0; i < name.len; i++) {
        if (name.ptr[i] == '"')
            kp_buf_append_byte(sql, '"');
        kp_buf_append_byte(sql, (uint8_t)name.ptr[i]);
    }
    kp_buf_append_byte(sql, '"');
}

static bool is_reserved(struct kp_str name)
{
    return kp_str_equal(name, KP_STR("format")) || kp_str_equal(name, KP_STR("limit")) ||
           kp_str_equal(name, KP_STR("at_least"));
}

static enum kp_code build(struct query *query, const struct kp_relation *relation, struct kp_error *err)
{
    struct http_conn *http = http_of(query->conn);
    kp_buf_append_text(&query->sql, "SELECT * FROM ");
    append_name(&query->sql, kp_str(relation->schema));
    kp_buf_append_byte(&query->sql, '.');
    append_name(&query->sql, kp_str(relation->name));
    struct kp_str name, value;
    for (size_t i = 0; kp_http_param_at(http, i, &name, &value); i++) {
        if (is_reserved(name))
            continue;
        if (query->value_count == FILTERS_MAX)
            return kp_fail(err, KP_LIMIT, NULL, "more than %d filters", FILTERS_MAX);
        uint32_t c = 0;
        while (c < relation->col_count && !kp_str_equal(name, kp_str(relation->cols[c].name)))
            c++;
        if (c == relation->col_count) {
            kp_fail(err, KP_INVALID, "42703", "\"%s\" has no column \"%.*s\"", relation->name,
                    (int)KP_MIN(name.len, (size_t)60), name.ptr);
            return kp_error_hint(err, "Parameters are ?column=value, and format, limit, at_least.");
        }
        kp_buf_append_text(&query->sql, query->value_count ? " AND " : " WHERE ");
        append_name(&query->sql, name);
        query->values[query->value_count++] = value;
        kp_buf_printf(&query->sql, " = $%u", query->value_count);
    }
    return KP_OK;
}

/* Waits until readers see this position. */
static enum kp_code wait_for(struct query *query, struct kp_error *err)
{
    struct kp_view_clock *clock = kp_db_clock(http_door_of(query->conn)->db);
    for (int64_t waited = 0; query->at_least >= 0 && kp_view_clock_position(clock) < query->at_least;
         waited += WAIT_SLICE_US) {
        if (kp_conn_is_hung_up(query->conn))
            return kp_fail(err, KP_CANCELLED, NULL, "the client has gone, or the server stops");
        if (waited >= WAIT_US_MAX) {
            kp_fail(err, KP_BUSY, "57014", "position %lld is not reached: the views stand at %lld",
                    (long long)query->at_least, (long long)kp_view_clock_position(clock));
            return kp_error_hint(err, "Ask again, or without ?at_least=; GET /metrics shows the lag.");
        }
        (void)kp_view_clock_wait(clock, query->at_least, WAIT_SLICE_US);
    }
    return KP_OK;
}

static enum kp_code execute(struct query *query, struct kp_prepared *prepared, struct kp_error *err)
{
    struct http_conn *http = http_of(query->conn);
    const struct kp_zone *zone = kp_session_zone(query->session);
    const struct kp_type *types;
    uint32_t count = kp_prepared_params(prepared, &types);
    KP_ASSERT(count == query->value_count);
    struct kp_datum params[FILTERS_MAX];
    for (uint32_t i = 0; i < count; i++) {
        params[i] = (struct kp_datum){.type = types[i]};
        KP_TRY(kp_value_parse(types[i], query->values[i], zone, &http->arena, params[i].raw, err));
    }
    struct kp_cursor *cursor;
    KP_TRY(kp_execute(query->session, prepared, params, count, &cursor, err));
    if (kp_cursor_position(cursor) >= 0)
        kp_http_add_header(query->conn, "X-Kappa-Position", "%lld", (long long)kp_cursor_position(cursor));
    uint64_t rows_max =
        query->limit >= 0 ? (uint64_t)query->limit : UINT64_MAX; /* any: no order is asked for, so no sort either */
    enum kp_code code = kp_http_print_rows(query->conn, prepared, cursor, query->format, rows_max, zone, err);
    kp_cursor_close(cursor);
    return code;
}

static enum kp_code run(struct query *query, struct kp_error *err)
{
    struct kp_prepared *prepared;
    KP_TRY(kp_http_session_open(query->conn, &query->session, err));
    enum kp_code code = wait_for(query, err);
    if (code == KP_OK)
        code = kp_prepare(query->session, (struct kp_str){(const char *)query->sql.data, query->sql.len}, NULL, 0,
                          &prepared, err);
    if (code == KP_OK) {
        if (query->at_least >= 0)
            kp_session_read_after(query->session, query->at_least);
        code = execute(query, prepared, err);
        kp_prepared_destroy(prepared);
    }
    kp_http_session_close(query->conn);
    return code;
}

static void answer(struct query *query, enum kp_code code, struct kp_error *err)
{
    kp_buf_finish(&query->sql);
    if (code != KP_OK) {
        err->position = 0; /* it would point into a text that the client has not written */
        kp_http_stream_fail(query->conn, err);
        return;
    }
    if (query->format == FORMAT_JSON)
        kp_buf_append_byte(&http_of(query->conn)->stream, '\n');
    kp_http_stream_end(query->conn, kp_http_format_type(query->format));
}

void kp_http_get_view(struct kp_conn *conn)
{
    struct http_conn *http = http_of(conn);
    if (kp_http_accepts(http, "text/event-stream")) {
        kp_http_get_events(conn);
        return;
    }
    struct query query = {.conn = conn, .limit = -1, .at_least = -1};
    struct kp_relation *relation = NULL;
    struct kp_error err;
    enum kp_code code = kp_db_relation(http_door_of(conn)->db, http->name.ptr, &relation, &err);
    if (code == KP_OK)
        code = kp_http_format(http, &query.format, &err);
    if (code == KP_OK)
        code = kp_http_param_int(http, "limit", 0, INT64_MAX, &query.limit, &err);
    if (code == KP_OK)
        code = kp_http_param_int(http, "at_least", 0, INT64_MAX, &query.at_least, &err);
    if (code == KP_OK)
        code = build(&query, relation, &err);
    if (code == KP_OK)
        code = run(&query, &err);
    kp_relation_unref(relation);
    answer(&query, code, &err);
}

void kp_http_get_views(struct kp_conn *conn)
{
    struct query query = {.conn = conn, .limit = -1, .at_least = -1};
    struct kp_error err;
    enum kp_code code = kp_http_format(http_of(conn), &query.format, &err);
    kp_buf_append_text(&query.sql, "SELECT * FROM kappa.views");
    if (code == KP_OK)
        code = run(&query, &err);
    answer(&query, code, &err);
}
