/*
 * The door's table. The network thread takes whole messages from the input and handles what is quick itself: Bind,
 * Describe, Sync, and an Execute that reads one key. At the first that is not, the connection goes to a pool thread,
 * which handles all messages that are there. Either way one write answers them.
 */
#include "serve/pg/pg.h"

#include "base/limits.h"
#include "serve/pg/session.h"

enum {
    STARTUP_TIMEOUT_US = 60000000, /* PostgreSQL's authentication_timeout */
    QUICK_BYTES = 16 << 10,        /* of a message that the network thread reads itself */
    LINGER_BYTES = 16 << 10,       /* of an answer that surely fits the socket */
    LINGER_US = 300                /* how long a pool thread waits for the next message */
};

/* ---- answers that every file needs ---- */

/* idle_in_transaction_session_timeout, idle_session_timeout; unless something came in the meantime. */
static void idle_timed_out(struct kp_conn *conn)
{
    struct kp_pg *pg = conn->state;
    if (!pg->idle_until_us || kp_net_now_us(pg->door->net) < pg->idle_until_us)
        return;
    struct kp_error err;
    if (kp_session_status(pg->session) == 'I')
        (void)kp_fail(&err, KP_CANCELLED, "57P05", "terminating connection due to idle-session timeout");
    else
        (void)kp_fail(&err, KP_CANCELLED, "25P03", "terminating connection due to idle-in-transaction timeout");
    kp_pg_fatal(pg, &err);
}

void kp_pg_ready(struct kp_pg *pg)
{
    if (pg->ending)
        return;
    char status = kp_session_status(pg->session);
    int64_t idle_us = kp_session_idle_timeout_us(pg->session);
    if (idle_us)
        kp_conn_set_timer(pg->conn, idle_us, idle_timed_out);
    pg->idle_until_us = idle_us ? kp_net_now_us(pg->door->net) + idle_us : 0;
    kp_pg_put_ready(&pg->conn->out, status);
}

static void end(struct kp_pg *pg)
{
    pg->ending = true;
    kp_conn_close(pg->conn);
}

void kp_pg_fatal(struct kp_pg *pg, const struct kp_error *err)
{
    if (pg->ending)
        return;
    kp_pg_put_error(&pg->conn->out, "FATAL", err);
    end(pg);
}

void kp_pg_fail(struct kp_pg *pg, const struct kp_error *err)
{
    struct kp_error ignored;
    if (pg->ending)
        return;
    if (kp_db_health(pg->door->db, &ignored) != KP_OK) { /* the instance is lost: this session cannot go on */
        kp_pg_fatal(pg, err);
        return;
    }
    kp_pg_put_error(&pg->conn->out, "ERROR", err);
    if (pg->copying)
        kp_pg_portal_clear(pg->copying);
    pg->copying = NULL;
    pg->phase = KP_PG_READY;
    kp_pg_portal_clear(&pg->query_portal);
    if (pg->implicit) {
        pg->implicit = false;
        if (kp_session_implicit_end(pg->session, false, &ignored) != KP_OK)
            kp_pg_put_notice(&pg->conn->out, "WARNING", &ignored);
    }
    kp_session_fail_transaction(pg->session);
    if (pg->in_query)
        kp_pg_query_end(pg);
    else
        pg->skipping = true;
}

enum kp_code kp_pg_flush(struct kp_pg *pg, struct kp_error *err)
{
    if (pg->on_loop) /* it must not wait, and sends when the door returns */
        return KP_OK;
    enum kp_code code = kp_conn_flush_blocking(pg->conn, err);
    if (code != KP_OK)
        end(pg);
    return code;
}

/* ---- cancel keys ---- */

void kp_pg_register(struct kp_pg *pg)
{
    struct kp_pg_door *door = pg->door;
    struct kp_os *os = kp_net_os(door->net);
    os->random(os->ctx, &pg->secret, sizeof pg->secret);
    kp_mutex_lock(&door->mutex);
    uint32_t at = 0;
    while (at < door->connection_count && door->connections[at])
        at++;
    if (at == door->connection_count) {
        uint32_t count = at ? at * 2 : 16;
        door->connections = kp_realloc(door->connections, count * sizeof *door->connections);
        memset(door->connections + at, 0, (count - at) * sizeof *door->connections);
        door->connection_count = count;
    }
    door->connections[at] = pg;
    pg->pid = at + 1;
    kp_mutex_unlock(&door->mutex);
}

static void unregister(struct kp_pg *pg)
{
    if (!pg->pid)
        return;
    kp_mutex_lock(&pg->door->mutex);
    pg->door->connections[pg->pid - 1] = NULL;
    kp_mutex_unlock(&pg->door->mutex);
}

void kp_pg_cancel(struct kp_pg_door *door, uint32_t pid, uint32_t secret)
{
    kp_mutex_lock(&door->mutex); /* so the session stays while it is cancelled */
    struct kp_pg *pg = pid >= 1 && pid <= door->connection_count ? door->connections[pid - 1] : NULL;
    if (pg && pg->secret == secret)
        kp_session_cancel(pg->session);
    kp_mutex_unlock(&door->mutex);
}

/* ---- messages ---- */

static void handle_ready(struct kp_pg *pg, const struct kp_pg_message *message)
{
    struct kp_error err;
    switch (message->type) {
    case 'Q':
        kp_pg_handle_query(pg, message->body);
        break;
    case 'P':
    case 'B':
    case 'D':
    case 'E':
    case 'C':
    case 'H':
        kp_pg_handle_extended(pg, message);
        break;
    case 'F':
        pg->in_query = true; /* it ends with ReadyForQuery */
        (void)kp_fail(&err, KP_UNSUPPORTED, NULL, "the function call protocol is not supported");
        (void)kp_error_hint(&err, "Call the function with SELECT.");
        kp_pg_fail(pg, &err);
        break;
    case 'd': /* of a COPY that failed: PostgreSQL drops them too */
    case 'c':
    case 'f':
        break;
    default:
        (void)kp_fail(&err, KP_INVALID, "08P01", "invalid frontend message type %u", (uint8_t)message->type);
        kp_pg_fatal(pg, &err);
    }
}

static void handle(struct kp_pg *pg, const struct kp_pg_message *message)
{
    pg->idle_until_us = 0; /* not until the next ReadyForQuery: a COPY may take its time */
    if (pg->phase == KP_PG_STARTUP) {
        kp_pg_handle_first(pg, message->body);
    } else if (message->type == 'X') {
        end(pg);
    } else if (pg->phase == KP_PG_COPY_IN) {
        kp_pg_handle_copy(pg, message);
    } else if (message->type == 'S') {
        kp_pg_handle_sync(pg);
    } else if (!pg->skipping) {
        handle_ready(pg, message);
    }
    kp_arena_reset(&pg->scratch);
}

/* An oversized message is skipped as it comes, and answered like one that was wrong. */
static void refuse_oversized(struct kp_pg *pg, const struct kp_pg_message *message)
{
    struct kp_error err;
    if (pg->skipping && message->type != 'S')
        return;
    pg->in_query |= message->type == 'Q';
    (void)kp_fail(&err, KP_LIMIT, NULL, "message of type '%c' is longer than %d bytes", message->type,
                  KP_PG_MESSAGE_BYTES_MAX);
    (void)kp_error_hint(&err, "A row is a record of at most %d bytes; send more in several statements, or by COPY.",
                        KP_RECORD_BYTES_MAX);
    kp_pg_fail(pg, &err);
}

/* Skips what has come of an oversized message. */
static void discard(struct kp_pg *pg)
{
    size_t n = KP_MIN(pg->discard_bytes, kp_conn_input(pg->conn).len);
    kp_conn_consume(pg->conn, n);
    pg->discard_bytes -= n;
}

/* The message at the front of the input; oversized ones are refused on the way. False: there is none yet, or the
 * connection ends. *ret_bytes: what it takes. */
static bool peek_message(struct kp_pg *pg, struct kp_pg_message *ret_message, size_t *ret_bytes)
{
    struct kp_error err;
    while (!pg->ending) {
        discard(pg);
        struct kp_str input = kp_conn_input(pg->conn);
        bool first = pg->phase == KP_PG_STARTUP;
        switch ((first ? kp_pg_frame_first : kp_pg_frame)(input, ret_message, ret_bytes)) {
        case KP_PG_FRAME_WHOLE:
            return true;
        case KP_PG_FRAME_PARTIAL:
            return false;
        case KP_PG_FRAME_OVERSIZED:
            pg->discard_bytes = *ret_bytes;
            refuse_oversized(pg, ret_message);
            break;
        case KP_PG_FRAME_GARBAGE:
            (void)kp_fail(&err, KP_INVALID, "08P01",
                          first ? "invalid length of startup packet" : "invalid message length or type");
            kp_pg_fatal(pg, &err);
            return false;
        }
    }
    return false;
}

/*
 * True if handling the message cannot block and is short, so that the network thread may do it itself: a thread switch
 * each way costs more than a look-up by key.
 */
static bool is_quick(struct kp_pg *pg, const struct kp_pg_message *message, size_t bytes)
{
    if (pg->phase != KP_PG_READY || pg->implicit)
        return false;
    switch (message->type) {
    case 'P':
        return kp_pg_parse_is_known(pg, message->body);
    case 'B':
        return message->body.len < QUICK_BYTES;
    case 'D':
    case 'C':
    case 'S':
        return true;
    case 'E':
        return kp_pg_execute_is_quick(pg, message->body, bytes);
    default:
        return pg->skipping;
    }
}

/*
 * The client's next message often follows its answer at once: waits a little for it, which spares the way through the
 * network thread and back. False: give the connection back.
 */
static bool linger(struct kp_pg *pg)
{
    struct kp_error err;
    bool ready;
    if (pg->ending || pg->phase == KP_PG_STARTUP || kp_conn_unsent(pg->conn) > LINGER_BYTES)
        return false;
    return kp_pg_flush(pg, &err) == KP_OK && kp_conn_wait_input(pg->conn, LINGER_US, &ready, &err) == KP_OK && ready;
}

/* On a pool thread: all messages that are there, and those that follow closely. */
static void work(struct kp_conn *conn)
{
    struct kp_pg *pg = conn->state;
    struct kp_pg_message message;
    struct kp_error err;
    size_t bytes;
    bool lingered = false;
    pg->on_loop = false;
    do {
        while (peek_message(pg, &message, &bytes)) {
            if (lingered && is_quick(pg, &message, bytes)) /* a run of such is better there */
                return;
            lingered = false;
            kp_conn_consume(conn, bytes);
            handle(pg, &message);
            if (kp_conn_backed_up(conn) && !pg->ending && kp_pg_flush(pg, &err) != KP_OK)
                return;
        }
        lingered = true;
    } while (linger(pg));
}

/* ---- the table ---- */

static enum kp_code start_door(struct kp_net *net, void *host, const struct kp_address *bound, void **ret_ctx,
                               struct kp_error *err)
{
    struct kp_pg_door *door = kp_calloc(1, sizeof *door);
    door->db = host;
    door->net = net;
    kp_mutex_init(&door->mutex);
    *ret_ctx = door;
    return KP_OK;
}

static void stop_door(void *ctx)
{
    struct kp_pg_door *door = ctx;
    kp_mutex_finish(&door->mutex);
    kp_free(door->connections);
    kp_free(door);
}

static void startup_timed_out(struct kp_conn *conn)
{
    kp_conn_close(conn);
}

static void open_connection(struct kp_conn *conn)
{
    struct kp_pg *pg = conn->state;
    pg->conn = conn;
    pg->door = conn->ctx;
    kp_conn_set_timer(conn, STARTUP_TIMEOUT_US, startup_timed_out);
}

static void close_connection(struct kp_conn *conn)
{
    struct kp_pg *pg = conn->state;
    unregister(pg);
    kp_pg_portal_clear(&pg->query_portal);
    kp_arena_finish(&pg->query_portal.arena);
    kp_pg_portal_drop_all(pg, true, NULL);
    kp_arena_finish(&pg->unnamed_portal.arena);
    kp_pg_statement_drop_all(pg);
    kp_free(pg->portals);
    kp_free(pg->statements);
    kp_buf_finish(&pg->query);
    kp_arena_finish(&pg->scratch);
    kp_session_close(pg->session);
}

/* On the network thread: what is quick is done, the rest is for a pool thread. */
static void readable(struct kp_conn *conn)
{
    struct kp_pg *pg = conn->state;
    struct kp_pg_message message;
    size_t bytes;
    pg->on_loop = true;
    while (!kp_conn_backed_up(conn) && peek_message(pg, &message, &bytes)) {
        if (!is_quick(pg, &message, bytes)) {
            kp_conn_run(conn, work);
            return;
        }
        kp_conn_consume(conn, bytes);
        handle(pg, &message);
    }
}

/* The client has gone, or the server stops. What it started goes on, since it may have been sent to be done; but nobody
 * would ever end a subscription. */
static void hangup(struct kp_conn *conn)
{
    struct kp_pg *pg = conn->state;
    if (kp_net_is_stopping(conn->net)) {
        kp_mutex_lock(&pg->door->mutex); /* whether there is a session */
        if (pg->pid)
            kp_session_terminate(pg->session);
        kp_mutex_unlock(&pg->door->mutex);
    } else if (atomic_load(&pg->streaming)) {
        kp_session_cancel(pg->session);
    }
}

static void refuse(struct kp_buf *out)
{
    struct kp_error err;
    (void)kp_fail(&err, KP_LIMIT, "53300", "sorry, too many clients already");
    kp_pg_put_error(out, "FATAL", &err);
}

const struct kp_door kp_door_pg = {
    .name = "pg",
    .state_bytes = sizeof(struct kp_pg),
    .in_bytes_max = KP_PG_MESSAGE_BYTES_MAX + 1024,
    .start = start_door,
    .stop = stop_door,
    .open = open_connection,
    .readable = readable,
    .hangup = hangup,
    .close = close_connection,
    .refuse = refuse,
};
