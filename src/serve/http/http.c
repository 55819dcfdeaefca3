/*
 * The HTTP door: the table of routes, and the order of things on a connection.
 *
 *   readable ─► request.c until whole ─► route ─► handler ─► reply ─► next request
 *
 * Handlers that may block run on a pool thread. A handler replies once; POST /topics replies later (it suspends the
 * connection), an event stream never ends its reply.
 */
#include "serve/http/http_impl.h"

#include <string.h>

enum { IDLE_US = 120000000 };

static const struct http_route routes[] = {
    {"GET", "/", NULL, false, kp_http_get_page},
    {"GET", "/healthz", NULL, false, kp_http_get_health},
    {"GET", "/metrics", NULL, true, kp_http_get_metrics},
    {"GET", "/topics", NULL, true, kp_http_get_topics},
    {"POST", "/topics/{}", NULL, true, kp_http_post_topic},
    {"GET", "/views", NULL, true, kp_http_get_views},
    {"GET", "/views/{}", "/events", true, kp_http_get_events},
    {"GET", "/views/{}", NULL, true, kp_http_get_view},
    {"POST", "/sql", NULL, true, kp_http_post_sql},
};

/* ---- routing ---- */

static bool path_matches(const struct http_route *route, struct kp_str path, struct kp_str *ret_name)
{
    struct kp_str pattern = kp_str(route->path), suffix = kp_str(route->suffix ? route->suffix : "");
    bool named = pattern.len > 2 && memcmp(pattern.ptr + pattern.len - 2, "{}", 2) == 0;
    if (!named)
        return kp_str_equal(pattern, path);
    size_t prefix = pattern.len - 2;
    if (path.len <= prefix + suffix.len || memcmp(path.ptr, pattern.ptr, prefix) != 0 ||
        memcmp(path.ptr + path.len - suffix.len, suffix.ptr, suffix.len) != 0)
        return false;
    *ret_name = (struct kp_str){path.ptr + prefix, path.len - prefix - suffix.len};
    return !memchr(ret_name->ptr, '/', ret_name->len);
}

/* The route, or NULL after a reply. */
static const struct http_route *find_route(struct kp_conn *conn)
{
    struct http_conn *http = http_of(conn);
    const char *method = http_method_str((enum http_method)http->parser.method);
    const char *wanted = http->head_only ? "GET" : method;
    const char *allowed = NULL;
    struct kp_str name = {"", 0};
    for (size_t i = 0; i < KP_COUNT(routes); i++) {
        if (!path_matches(&routes[i], http->path, &name))
            continue;
        if (strcmp(routes[i].method, wanted) == 0) {
            http->name = (struct kp_str){kp_arena_strndup(&http->arena, name.ptr, name.len), name.len};
            return &routes[i];
        }
        allowed = routes[i].method;
    }
    int shown = (int)KP_MIN(http->path.len, (size_t)100);
    if (allowed) {
        kp_http_add_header(conn, "Allow", "%s", allowed);
        kp_http_reply_fail(conn, 405, "0A000", "The Allow header says what it takes.", "%s does not go with %.*s",
                           method, shown, http->path.ptr);
    } else {
        kp_http_reply_fail(conn, 404, "42704",
                           "There are GET /views, /views/NAME, /views/NAME/events, /topics, /metrics, /healthz, POST "
                           "/topics/NAME, /sql.",
                           "nothing is at %.*s", shown, http->path.ptr);
    }
    return NULL;
}

static void run_handler(struct kp_conn *conn)
{
    struct http_conn *http = http_of(conn);
    struct kp_error err;
    enum kp_code code = kp_http_decode_body(http, &err);
    if (code == KP_OK)
        http->route->handle(conn);
    else
        kp_http_reply_error(conn, code == KP_LIMIT ? 413 : code == KP_UNSUPPORTED ? 415 : 400, &err);
}

/* ---- the connection ---- */

static void idle_over(struct kp_conn *conn)
{
    kp_conn_close(conn);
}

static void http_open(struct kp_conn *conn)
{
    struct http_conn *http = http_of(conn);
    kp_http_request_init(http);
    kp_mutex_init(&http->lock);
    kp_conn_set_timer(conn, IDLE_US, idle_over);
}

static void refuse_request(struct kp_conn *conn)
{
    struct http_conn *http = http_of(conn);
    atomic_fetch_add(&http_door_of(conn)->refused, 1);
    http->keep_alive = false;
    kp_http_reply_fail(conn, http->refusal,
                       http->refusal == 403   ? "42501"
                       : http->refusal == 400 ? "08P01"
                       : http->refusal == 505 ? "0A000"
                                              : "54000",
                       http->refusal_hint, "%s", http->refusal_text);
}

static void http_readable(struct kp_conn *conn)
{
    struct http_conn *http = http_of(conn);
    kp_conn_set_timer(conn, IDLE_US, idle_over);
    while (!kp_conn_backed_up(conn) && kp_http_request_read(conn)) {
        atomic_fetch_add(&http_door_of(conn)->requests, 1);
        if (http->refusal) {
            refuse_request(conn);
            return;
        }
        http->route = find_route(conn);
        if (http->route && http->route->blocking) {
            kp_conn_set_timer(conn, -1, NULL);
            kp_conn_run(conn, run_handler);
            return;
        }
        bool last = !http->keep_alive;
        if (http->route)
            http->route->handle(conn);
        if (last)
            return;
    }
}

static void http_hangup(struct kp_conn *conn)
{
    struct http_conn *http = http_of(conn);
    if (!kp_conn_is_running(conn)) {
        if (http->events)
            kp_conn_close(conn);
        return;
    }
    kp_mutex_lock(&http->lock);
    if (http->session && kp_net_is_stopping(conn->net))
        kp_session_terminate(http->session);
    else if (http->session)
        kp_session_cancel(http->session);
    kp_mutex_unlock(&http->lock);
}

static void http_drained(struct kp_conn *conn)
{
    if (http_of(conn)->events)
        kp_http_events_pump(conn);
}

static void http_close(struct kp_conn *conn)
{
    struct http_conn *http = http_of(conn);
    kp_http_events_close(conn);
    kp_http_request_finish(http);
    kp_buf_finish(&http->extra);
    kp_buf_finish(&http->stream);
    kp_mutex_finish(&http->lock);
}

static void http_refuse(struct kp_buf *out)
{
    kp_buf_append_text(
        out,
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 1\r\nContent-Length: 69\r\n"
        "Connection: close\r\n\r\n"
        "{\"error\":{\"sqlstate\":\"53300\",\"message\":\"too many connections already\"}}\n");
}

/* ---- the door ---- */

static enum kp_code http_start(struct kp_net *net, void *host, const struct kp_address *bound, void **ret_ctx,
                               struct kp_error *err)
{
    struct kp_http *door = kp_calloc(1, sizeof *door);
    door->db = host;
    door->net = net;
    door->loopback = kp_address_is_loopback(bound);
    *ret_ctx = door;
    return KP_OK;
}

static void http_stop(void *ctx)
{
    kp_free(ctx);
}

const struct kp_door kp_door_http = {
    .name = "http",
    .state_bytes = sizeof(struct http_conn),
    .in_bytes_max = 1 << 20,
    .start = http_start,
    .stop = http_stop,
    .open = http_open,
    .readable = http_readable,
    .hangup = http_hangup,
    .drained = http_drained,
    .close = http_close,
    .refuse = http_refuse,
};
