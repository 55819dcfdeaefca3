/*
 * Replies: whole ones with a length, long ones in chunks while they are made, errors as JSON, and the head of an event
 * stream. Every reply ends in `done`, which makes the connection ready for the next request or ends it.
 */
#include "serve/http/http_impl.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *reason(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 204:
        return "No Content";
    case 400:
        return "Bad Request";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 406:
        return "Not Acceptable";
    case 409:
        return "Conflict";
    case 410:
        return "Gone";
    case 413:
        return "Payload Too Large";
    case 415:
        return "Unsupported Media Type";
    case 429:
        return "Too Many Requests";
    case 431:
        return "Request Header Fields Too Large";
    case 501:
        return "Not Implemented";
    case 503:
        return "Service Unavailable";
    case 504:
        return "Gateway Timeout";
    case 505:
        return "HTTP Version Not Supported";
    case 507:
        return "Insufficient Storage";
    default:
        return status < 500 ? "Error" : "Internal Server Error";
    }
}

void kp_http_add_header(struct kp_conn *conn, const char *name, const char *format, ...)
{
    char value[512];
    va_list args;
    va_start(args, format);
    vsnprintf(value, sizeof value, format, args);
    va_end(args);
    for (char *at = value; *at; at++)
        if ((unsigned char)*at < 0x20) /* no header may be smuggled in by a name */
            *at = ' ';
    kp_buf_printf(&http_of(conn)->extra, "%s: %s\r\n", name, value);
}

static void begin(struct kp_conn *conn, int status, const char *type)
{
    struct http_conn *http = http_of(conn);
    kp_buf_printf(&conn->out, "HTTP/1.1 %d %s\r\n", status, reason(status));
    if (type)
        kp_buf_printf(&conn->out, "Content-Type: %s\r\n", type);
    kp_buf_append(&conn->out, http->extra.data, http->extra.len);
    http->extra.len = 0;
    kp_buf_append_text(&conn->out, "X-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n");
    if (!http->keep_alive)
        kp_buf_append_text(&conn->out, "Connection: close\r\n");
    else if (http->parser.http_minor == 0)
        kp_buf_append_text(&conn->out, "Connection: keep-alive\r\n");
}

static void done(struct kp_conn *conn)
{
    struct http_conn *http = http_of(conn);
    http->streaming = false;
    kp_buf_finish(&http->stream);
    if (!http->keep_alive)
        kp_conn_close(conn);
    kp_http_request_reset(http);
}

void kp_http_reply(struct kp_conn *conn, int status, const char *type, struct kp_str body)
{
    begin(conn, status, type);
    kp_buf_printf(&conn->out, "Content-Length: %zu\r\n\r\n", body.len);
    if (!http_of(conn)->head_only)
        kp_buf_append_str(&conn->out, body);
    done(conn);
}

/* ---- errors ---- */

int kp_http_status(const struct kp_error *err)
{
    switch (err->code) {
    case KP_OK:
        return 200;
    case KP_INVALID:
        return err->log_position >= 0 ? 500
                                      : 400; /* the view stands in error because of a record: no fault of this client */
    case KP_UNSUPPORTED:
        return 400;
    case KP_NOT_FOUND:
        return 404;
    case KP_EXISTS:
        return 409;
    case KP_LIMIT:
        return 413;
    case KP_BUSY: /* what others depend on is so later, too */
        return strncmp(err->sqlstate, "2B", 2) == 0 ? 409 : 503;
    case KP_BUDGET:
    case KP_CLOSED:
    case KP_CANCELLED:
        return 503;
    case KP_FULL:
        return 507;
    case KP_FORBIDDEN:
        return 403;
    case KP_IO:
    case KP_CORRUPT:
        return 500;
    }
    return 500;
}

static void member(struct kp_buf *out, const char *name, const char *text)
{
    if (!*text)
        return;
    kp_buf_printf(out, ",\"%s\":", name);
    kp_buf_append_json_string(out, kp_str(text));
}

void kp_http_print_int(int64_t value, struct kp_buf *out)
{
    bool exact = value >= -((int64_t)1 << 53) && value <= (int64_t)1 << 53;
    kp_buf_printf(out, exact ? "%lld" : "\"%lld\"", (long long)value);
}

void kp_http_print_error(const struct kp_error *err, struct kp_buf *out)
{
    kp_buf_append_text(out, "{\"sqlstate\":");
    kp_buf_append_json_string(out, kp_str(err->sqlstate));
    member(out, "message", err->message);
    member(out, "detail", err->detail);
    member(out, "hint", err->hint);
    if (err->position > 0)
        kp_buf_printf(out, ",\"position\":%d", err->position);
    if (err->log_position >= 0) {
        kp_buf_append_text(out, ",\"log_position\":");
        kp_http_print_int(err->log_position, out);
    }
    if (err->retriable)
        kp_buf_append_text(out, ",\"retriable\":true");
    kp_buf_append_byte(out, '}');
}

void kp_http_reply_error(struct kp_conn *conn, int status, const struct kp_error *err)
{
    status = status ? status : kp_http_status(err);
    if (status == 429 || status == 503)
        kp_http_add_header(conn, "Retry-After", "1");
    struct kp_buf body = {0};
    kp_buf_append_text(&body, "{\"error\":");
    kp_http_print_error(err, &body);
    kp_buf_append_text(&body, "}\n");
    kp_http_reply(conn, status, "application/json", (struct kp_str){(const char *)body.data, body.len});
    kp_buf_finish(&body);
}

void kp_http_reply_fail(struct kp_conn *conn, int status, const char *sqlstate, const char *hint, const char *format,
                        ...)
{
    struct kp_error err;
    char message[sizeof err.message];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    kp_fail(&err, KP_INVALID, sqlstate, "%s", message);
    if (hint)
        kp_error_hint(&err, "%s", hint);
    kp_http_reply_error(conn, status, &err);
}

/* ---- long replies ---- */

static void send_chunk(struct kp_conn *conn)
{
    struct http_conn *http = http_of(conn);
    bool chunked = http->parser.http_minor > 0;
    if (http->stream.len && !http->head_only) {
        if (chunked)
            kp_buf_printf(&conn->out, "%zx\r\n", http->stream.len);
        kp_buf_append(&conn->out, http->stream.data, http->stream.len);
        if (chunked)
            kp_buf_append_text(&conn->out, "\r\n");
    }
    http->stream.len = 0;
}

enum kp_code kp_http_stream(struct kp_conn *conn, const char *type, struct kp_error *err)
{
    struct http_conn *http = http_of(conn);
    if (http->stream.len < STREAM_BYTES)
        return KP_OK;
    if (!http->streaming) {
        http->streaming = true;
        bool chunked = http->parser.http_minor > 0;
        http->keep_alive = http->keep_alive && chunked; /* 1.0 knows the end by the connection's */
        begin(conn, 200, type);
        kp_buf_append_text(&conn->out, chunked ? "Transfer-Encoding: chunked\r\n\r\n" : "\r\n");
    }
    send_chunk(conn);
    return kp_conn_flush_blocking(conn, err);
}

void kp_http_stream_end(struct kp_conn *conn, const char *type)
{
    struct http_conn *http = http_of(conn);
    if (!http->streaming) {
        struct kp_buf body = http->stream;
        http->stream = (struct kp_buf){0};
        kp_http_reply(conn, 200, type, (struct kp_str){(const char *)body.data, body.len});
        kp_buf_finish(&body);
        return;
    }
    send_chunk(conn);
    if (http->parser.http_minor > 0 && !http->head_only)
        kp_buf_append_text(&conn->out, "0\r\n\r\n");
    done(conn);
}

void kp_http_stream_fail(struct kp_conn *conn, const struct kp_error *err)
{
    struct http_conn *http = http_of(conn);
    if (!http->streaming) {
        http->stream.len = http->extra.len = 0;
        kp_http_reply_error(conn, 0, err);
        return;
    }
    http->keep_alive = false; /* without the last chunk */
    done(conn);
}

void kp_http_reply_endless(struct kp_conn *conn, const char *type)
{
    http_of(conn)->keep_alive = false;
    begin(conn, 200, type);
    kp_buf_append_text(&conn->out, "\r\n");
}
