/* GET /metrics (Prometheus' text format) and GET /healthz. */
#include "serve/http/http_impl.h"

#include <stdlib.h>
#include <string.h>

/* ---- /metrics ---- */

struct metric {
    const char *name, *labels, *help;
    double value;
    size_t order;
};

struct metrics {
    struct kp_arena arena;
    struct metric *at;
    size_t count, cap;
};

static void add(void *arg, const char *name, const char *labels, double value, const char *help)
{
    struct metrics *metrics = arg;
    if (metrics->count == metrics->cap) {
        metrics->cap = metrics->cap ? 2 * metrics->cap : 64;
        metrics->at = kp_realloc(metrics->at, metrics->cap * sizeof *metrics->at);
    }
    metrics->at[metrics->count] = (struct metric){.name = kp_arena_strdup(&metrics->arena, name),
                                                  .labels = kp_arena_strdup(&metrics->arena, labels ? labels : ""),
                                                  .help = kp_arena_strdup(&metrics->arena, help ? help : name),
                                                  .value = value,
                                                  .order = metrics->count};
    metrics->count++;
}

static void add_own(struct metrics *metrics, struct kp_conn *conn)
{
    struct kp_http *door = http_door_of(conn);
    struct kp_net_stats stats;
    kp_net_stats(conn->net, &stats);
    add(metrics, "kappa_connections", "", stats.connections, "Open connections, of all doors.");
    add(metrics, "kappa_connections_total", "", (double)stats.accepted, "Connections accepted since the start.");
    add(metrics, "kappa_connections_refused_total", "", (double)stats.refused,
        "Connections refused because there were too many.");
    add(metrics, "kappa_connections_slow_total", "", (double)stats.closed_slow,
        "Connections cut off because they took no output.");
    add(metrics, "kappa_network_received_bytes_total", "", (double)stats.in_bytes, "Bytes received by all doors.");
    add(metrics, "kappa_network_sent_bytes_total", "", (double)stats.out_bytes, "Bytes sent by all doors.");
    add(metrics, "kappa_request_threads", "", stats.threads, "Threads of the request pool.");
    add(metrics, "kappa_request_threads_busy", "", stats.threads_busy, "Threads of the request pool that work.");
    add(metrics, "kappa_requests_waiting", "", stats.jobs_waiting, "Requests that wait for a thread.");
    add(metrics, "kappa_http_requests_total", "", (double)atomic_load(&door->requests), "HTTP requests.");
    add(metrics, "kappa_http_requests_refused_total", "", (double)atomic_load(&door->refused),
        "HTTP requests refused while they were read: malformed, too large, foreign Host or Origin.");
    add(metrics, "kappa_http_records_total", "", (double)atomic_load(&door->records),
        "Records made durable for POST /topics.");
    add(metrics, "kappa_http_append_inflight_bytes", "", (double)atomic_load(&door->inflight_bytes),
        "Bodies of POST /topics on their way to the disk.");
    add(metrics, "kappa_http_subscribers", "", (double)atomic_load(&door->subscribers), "Open event streams.");
}

static int by_name(const void *a, const void *b)
{
    const struct metric *left = a, *right = b;
    int order = strcmp(left->name, right->name);
    return order ? order : (left->order > right->order) - (left->order < right->order);
}

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), end_len = strlen(end);
    return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

static void print_help(const char *help, struct kp_buf *out)
{
    for (; *help; help++)
        if (*help == '\n' || *help == '\\')
            kp_buf_append_text(out, *help == '\n' ? "\\n" : "\\\\");
        else
            kp_buf_append_byte(out, (uint8_t)*help);
}

void kp_http_get_metrics(struct kp_conn *conn)
{
    struct metrics metrics = {0};
    kp_db_metrics(http_door_of(conn)->db, add, &metrics);
    add_own(&metrics, conn);
    qsort(metrics.at, metrics.count, sizeof *metrics.at, by_name); /* a family must stand together */
    struct kp_buf body = {0};
    for (size_t i = 0; i < metrics.count; i++) {
        const struct metric *metric = &metrics.at[i];
        if (i == 0 || strcmp(metric->name, metrics.at[i - 1].name) != 0) {
            kp_buf_printf(&body, "# HELP %s ", metric->name);
            print_help(metric->help, &body);
            kp_buf_printf(&body, "\n# TYPE %s %s\n", metric->name,
                          ends_with(metric->name, "_total") ? "counter" : "gauge");
        }
        bool labels = metric->labels[0] != '\0';
        bool braces = labels && metric->labels[0] != '{';
        kp_buf_printf(&body, "%s%s%s%s %.17g\n", metric->name, braces ? "{" : "", metric->labels, braces ? "}" : "",
                      metric->value);
    }
    kp_http_reply(conn, 200, "text/plain; version=0.0.4; charset=utf-8",
                  (struct kp_str){(const char *)body.data, body.len});
    kp_buf_finish(&body);
    kp_arena_finish(&metrics.arena);
    kp_free(metrics.at);
}

/* ---- /healthz ---- */

void kp_http_get_health(struct kp_conn *conn)
{
    struct kp_db *db = http_door_of(conn)->db;
    struct kp_error err;
    if (kp_db_health(db, &err) != KP_OK || kp_log_health(kp_db_log(db), &err) != KP_OK) {
        kp_http_reply_error(conn, 503, &err);
        return;
    }
    bool ready = kp_db_wait_ready(db, 0);
    struct kp_buf body = {0};
    kp_buf_printf(&body, "{\"status\":\"%s\",\"position\":", ready ? "ok" : "replaying");
    kp_http_print_int(kp_view_clock_position(kp_db_clock(db)), &body);
    kp_buf_append_text(&body, ",\"log_position\":");
    kp_http_print_int(kp_log_position(kp_db_log(db)), &body);
    kp_buf_append_text(&body, "}\n");
    if (!ready)
        kp_http_add_header(conn, "Retry-After", "1");
    kp_http_reply(conn, ready ? 200 : 503, "application/json", (struct kp_str){(const char *)body.data, body.len});
    kp_buf_finish(&body);
}
