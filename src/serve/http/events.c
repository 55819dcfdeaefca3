/*
 * GET /views/{v}/events: server-sent events. First the rows, then the changes, each position's last event with the
 * position as its id, so that a browser that reconnects (Last-Event-ID) or ?from=POSITION goes on where it was.
 *
 *   event: snapshot   data: {"position":P,"rows":[{…},…]}               one or more; the last has the id
 *   event: change     data: {"position":P,"changes":[{"diff":1,"row":{…}},…]}
 *   event: progress   data: {"position":P}                              nothing else happened until P; at most every 15
 * s event: reset      data: {"reason":…}                                what was known is void: a snapshot follows
 *   event: error      data: {"error":{…}}                               the last one: cut off, view dropped or in error
 *
 * No thread waits for a subscriber: the engine's notify posts to the connection, a pool thread formats what is ready
 * until the output is over its limit, and goes on when it has drained. Who is too slow fills the subscription's queue
 * and is cut off with the position to resume from.
 */
#include "serve/http/http_impl.h"

#include <stdlib.h>
#include <string.h>

enum { HEARTBEAT_US = 15000000, ROWS_PER_EVENT = 1000 };

struct http_events {
    struct kp_http *door;
    struct kp_relation *relation;
    struct kp_subscription *subscription;
    struct kp_conn_ref ref;
    _Atomic bool notified; /* a post is on its way */
    /* owner of the connection */
    struct kp_arena arena;
    int64_t position; /* complete up to here; -1: the snapshot is not */
    int64_t told;     /* the last id sent */
    bool untold;      /* rows went out since */
};

/* ---- writing ---- */

static void print_rows(struct http_events *events, const struct kp_batch *batch, uint32_t from, uint32_t to,
                       bool snapshot, struct kp_buf *out)
{
    uint32_t cols = KP_MIN(events->relation->col_count - events->relation->hidden_count, batch->cols);
    bool first = true;
    for (uint32_t row = from; row < to; row++) {
        int64_t weight = batch->weights ? batch->weights[row] : 1;
        for (int64_t n = snapshot ? weight : 1; n > 0; n--) {
            if (!first)
                kp_buf_append_byte(out, ',');
            first = false;
            if (!snapshot)
                kp_buf_printf(out, "{\"diff\":%lld,\"row\":", (long long)weight);
            kp_http_print_row(events->relation->cols, cols, batch, row, NULL, out);
            if (!snapshot)
                kp_buf_append_byte(out, '}');
        }
    }
}

static void print_progress(struct http_events *events, struct kp_buf *out)
{
    kp_buf_printf(out, "event: progress\nid: %lld\ndata: {\"position\":", (long long)events->position);
    kp_http_print_int(events->position, out);
    kp_buf_append_text(out, "}\n\n");
    events->told = events->position;
    events->untold = false;
}

static void print_item(struct http_events *events, const struct kp_subscription_item *item, struct kp_buf *out)
{
    uint32_t rows = item->batch ? item->batch->rows : 0;
    bool told = false;
    for (uint32_t from = 0; from < rows || (item->is_snapshot && item->last_of_position && from == 0 && !told);
         from += ROWS_PER_EVENT) {
        uint32_t to = KP_MIN(from + ROWS_PER_EVENT, rows);
        kp_buf_printf(out, "event: %s\n", item->is_snapshot ? "snapshot" : "change");
        events->untold = true;
        if (to == rows && item->last_of_position) {
            kp_buf_printf(out, "id: %lld\n", (long long)item->position);
            events->told = item->position;
            events->untold = false;
            told = true;
        }
        kp_buf_append_text(out, "data: {\"position\":");
        kp_http_print_int(item->position, out);
        kp_buf_append_text(out, item->is_snapshot ? ",\"rows\":[" : ",\"changes\":[");
        if (rows)
            print_rows(events, item->batch, from, to, item->is_snapshot, out);
        kp_buf_append_text(out, "]}\n\n");
    }
    if (item->last_of_position) {
        events->position = item->position;
        if (events->untold)
            print_progress(events, out); /* its rows came in items before */
    }
}

static void print_failure(struct kp_conn *conn, const struct kp_error *err)
{
    kp_buf_append_text(&conn->out, "event: error\ndata: {\"error\":");
    kp_http_print_error(err, &conn->out);
    kp_buf_append_text(&conn->out, "}\n\n");
    kp_conn_close(conn);
}

/* ---- pumping ---- */

/* Pool thread. */
static void pump(struct kp_conn *conn)
{
    struct http_events *events = http_of(conn)->events;
    atomic_store(&events->notified, false);
    while (!kp_conn_backed_up(conn) && !kp_conn_is_hung_up(conn)) {
        struct kp_subscription_item item;
        struct kp_error err;
        bool ready;
        kp_arena_reset(&events->arena);
        if (kp_subscription_next(events->subscription, 0, &events->arena, &item, &ready, &err) != KP_OK) {
            print_failure(conn, &err);
            break;
        }
        if (!ready)
            break;
        print_item(events, &item, &conn->out);
    }
    kp_arena_reset(&events->arena);
}

void kp_http_events_pump(struct kp_conn *conn)
{
    kp_conn_run(conn, pump);
}

static void wake(struct kp_conn *conn, void *arg)
{
    (void)arg;
    if (conn && http_of(conn)->events && !kp_conn_backed_up(conn)) /* else `drained` goes on */
        kp_conn_run(conn, pump);
}

/* Engine thread. */
static void notify(void *arg)
{
    struct http_events *events = arg;
    if (!atomic_exchange(&events->notified, true))
        kp_conn_post(events->ref, wake, NULL);
}

static void heartbeat(struct kp_conn *conn)
{
    struct http_events *events = http_of(conn)->events;
    if (!kp_conn_backed_up(conn)) {
        if (events->position > events->told)
            print_progress(events, &conn->out);
        else
            kp_buf_append_text(&conn->out, ":\n\n");
    }
    kp_conn_set_timer(conn, HEARTBEAT_US, heartbeat);
}

void kp_http_events_close(struct kp_conn *conn)
{
    struct http_events *events = http_of(conn)->events;
    if (!events)
        return;
    http_of(conn)->events = NULL;
    atomic_fetch_sub(&events->door->subscribers, 1);
    kp_db_unsubscribe(events->door->db, events->subscription);
    kp_relation_unref(events->relation);
    kp_arena_finish(&events->arena);
    kp_free(events);
}

/* ---- the request ---- */

static enum kp_code check_params(struct http_conn *http, struct kp_error *err)
{
    struct kp_str name, value;
    for (size_t i = 0; kp_http_param_at(http, i, &name, &value); i++) {
        if (kp_str_equal(name, KP_STR("from")) || kp_str_equal(name, KP_STR("snapshot")))
            continue;
        kp_fail(err, KP_INVALID, "22023", "events have no parameter \"%.*s\"", (int)KP_MIN(name.len, (size_t)60),
                name.ptr);
        return kp_error_hint(err, "Parameters are from and snapshot. The changes are those of all rows: make a view of "
                                  "the rows that are wanted.");
    }
    return KP_OK;
}

static enum kp_code subscribe(struct kp_conn *conn, struct http_events *events, bool *ret_reset, struct kp_error *err)
{
    struct http_conn *http = http_of(conn);
    struct kp_str last = kp_http_header(http, "Last-Event-ID"), snapshot;
    int64_t from = -1;
    KP_TRY(kp_http_param_int(http, "from", 0, INT64_MAX, &from, err));
    bool given = from >= 0;
    if (!given && last.len > 0 && last.len < 20) {
        char text[20] = "", *end;
        memcpy(text, last.ptr, last.len);
        long long value = strtoll(text, &end, 10);
        from = *end || value < 0 ? -1 : value;
    }
    bool rows = from < 0 && !(kp_http_param(http, "snapshot", &snapshot) && kp_str_equal(snapshot, KP_STR("false")));
    struct kp_subscription_options options = {.snapshot = rows, .resume = from, .notify = notify, .arg = events};
    *ret_reset = false;
    enum kp_code code = kp_db_subscribe(events->door->db, events->relation, &options, &events->subscription, err);
    if (code != KP_LIMIT || given || from < 0)
        return code;
    *ret_reset = true; /* a browser reconnects too late: it cannot do but begin again */
    options.snapshot = true;
    options.resume = -1;
    return kp_db_subscribe(events->door->db, events->relation, &options, &events->subscription, err);
}

void kp_http_get_events(struct kp_conn *conn)
{
    struct http_conn *http = http_of(conn);
    struct kp_http *door = http_door_of(conn);
    struct http_events *events = kp_calloc(1, sizeof *events);
    events->door = door;
    events->position = events->told = -1;
    events->ref = kp_conn_ref(conn);
    struct kp_error err;
    bool reset = false;
    enum kp_code code = check_params(http, &err);
    if (code == KP_OK)
        code = kp_db_relation(door->db, http->name.ptr, &events->relation, &err);
    if (code == KP_OK)
        code = subscribe(conn, events, &reset, &err);
    if (code != KP_OK) {
        kp_relation_unref(events->relation);
        kp_free(events);
        kp_http_reply_error(conn, code == KP_LIMIT ? 410 : 0, &err);
        return;
    }
    if (http->head_only) {
        kp_db_unsubscribe(door->db, events->subscription);
        kp_relation_unref(events->relation);
        kp_free(events);
        kp_http_reply(conn, 200, "text/event-stream", KP_STR(""));
        return;
    }
    atomic_fetch_add(&door->subscribers, 1);
    kp_http_reply_endless(conn, "text/event-stream");
    kp_buf_append_text(&conn->out, "retry: 1000\n\n");
    if (reset)
        kp_buf_append_text(&conn->out,
                           "event: reset\ndata: {\"reason\":\"the position to resume from is no longer kept\"}\n\n");
    http->events = events;
    kp_conn_pause(conn);
    kp_conn_set_timer(conn, HEARTBEAT_US, heartbeat);
    pump(conn);
}
