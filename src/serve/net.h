/*
 * Connections: the layer below all doors. One network thread polls; a door parses what has come in and answers into the
 * connection's output; what may block is run by a pool of threads.
 *
 *     socket ──► conn->in ──► door->readable ──► conn->out ──► socket          (network thread)
 *                                  │  ▲
 *                     kp_conn_run  ▼  │  fn returns
 *                                 fn(conn)                                     (a pool thread, exclusively)
 *
 * A connection always has one owner. The network thread owns it, and calls the door, until a callback says kp_conn_run;
 * when that callback has returned, a pool thread owns it until fn returns. Only the owner touches conn->in, conn->out
 * and conn->state, and only the owner may call functions that take a `struct kp_conn *`. Everyone else holds a
 * kp_conn_ref.
 *
 * Invariants
 *  1. A door's callbacks run on the network thread and do not block. They never run while a pool thread owns the
 *     connection, but for `hangup`.
 *  2. Answers leave in the order in which they were appended to conn->out.
 *  3. Output over `out_bytes_high` stops reading and `readable` until it has drained (back pressure); input over the
 *     door's `in_bytes_max` is not read until the door has consumed some, and a door that then consumes nothing has its
 *     connection closed.
 *  4. A posted function runs exactly once, also when the connection has gone: then its conn is NULL.
 *  5. `close` is called exactly once for each `open`, and nothing of the connection is touched behind it.
 */
#ifndef KP_SERVE_NET_H
#define KP_SERVE_NET_H

#include <stdatomic.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/limits.h"
#include "os/os.h"
#include "os/socket.h"

struct kp_net;
struct kp_conn;

/* A protocol: what a listening address speaks. One constant table a door. */
struct kp_door {
    const char *name;    /* "pg", "http", "kafka" */
    size_t state_bytes;  /* of conn->state, zeroed at open */
    size_t in_bytes_max; /* the largest message it may have to hold; 0: 1 MiB */

    /* Once, before the first and after the last connection; what start gives is every connection's conn->ctx. `host` is
     * what kp_net_listen was given: the instance. Either may be NULL: then conn->ctx is host. */
    enum kp_code (*start)(struct kp_net *net, void *host, const struct kp_address *bound, void **ret_ctx,
                          struct kp_error *err);
    void (*stop)(void *ctx);

    void (*open)(struct kp_conn *conn); /* may be NULL */
    /* New input: parse kp_conn_input, kp_conn_consume, answer into conn->out. Is called again when more has come, after
     * a kp_conn_run, after kp_conn_unpause, and when output over the limit has drained (check kp_conn_backed_up between
     * pipelined messages). Return right after kp_conn_run, kp_conn_pause or kp_conn_close. */
    void (*readable)(struct kp_conn *conn);
    /* The peer sends no more, and somebody works for it: a pool thread (kp_conn_is_running: then this runs beside it
     * and touches only what is thread safe, kp_session_cancel for example), or the connection is paused. It may have
     * closed only its half, and wait for the answer. May be called again when the connection comes back paused from the
     * pool, and when the server stops. NULL: the work goes on. */
    void (*hangup)(struct kp_conn *conn);
    /* The connection is paused, and output that was over the limit has been sent: go on producing. May be NULL. */
    void (*drained)(struct kp_conn *conn);
    void (*close)(struct kp_conn *conn); /* may be NULL; frees what state owns */
    /* The protocol's words for "too many connections" into out; NULL: it is just closed. */
    void (*refuse)(struct kp_buf *out);
};

struct kp_conn {
    struct kp_net *net;
    const struct kp_door *door;
    void *ctx;        /* of the door */
    void *state;      /* door->state_bytes */
    struct kp_buf in; /* in.data + in_at: not yet consumed */
    size_t in_at;
    struct kp_buf out; /* out.data + out_at: not yet sent */
    size_t out_at;
};

static inline struct kp_str kp_conn_input(const struct kp_conn *conn)
{
    return (struct kp_str){(const char *)conn->in.data + conn->in_at, conn->in.len - conn->in_at};
}
/* Drops n bytes from the front of the input. Pointers into it stay valid until the next read. */
static inline void kp_conn_consume(struct kp_conn *conn, size_t n)
{
    KP_ASSERT(n <= conn->in.len - conn->in_at);
    conn->in_at += n;
}
static inline size_t kp_conn_unsent(const struct kp_conn *conn)
{
    return conn->out.len - conn->out_at;
}
/* Output is over the limit: stop producing, you will be called again. */
bool kp_conn_backed_up(const struct kp_conn *conn);
/* Ends the connection when its output has been sent (lingering, so that the last words are read). Owner. */
void kp_conn_close(struct kp_conn *conn);
/* Where the client reached us, and from where it came. Owner. */
void kp_conn_local(struct kp_conn *conn, struct kp_address *ret_address);
void kp_conn_peer(struct kp_conn *conn, struct kp_address *ret_address);

/* ---- work that may block ---- */

/* When the current callback (or fn) has returned, fn runs on a pool thread that owns the connection until it returns.
 */
void kp_conn_run(struct kp_conn *conn, void (*fn)(struct kp_conn *conn));
/* In fn: sends all output, waiting as long as the peer takes some within `write_timeout_us`. KP_CLOSED: broken;
 * KP_CANCELLED: stopping. */
KP_MUST enum kp_code kp_conn_flush_blocking(struct kp_conn *conn, struct kp_error *err);
/* In fn: waits for input and reads it into conn->in. *ret_ready false: timeout_us passed (negative: never does).
 * KP_CLOSED when the peer has ended and nothing is left to read, KP_CANCELLED: stopping. */
KP_MUST enum kp_code kp_conn_wait_input(struct kp_conn *conn, int64_t timeout_us, bool *ret_ready,
                                        struct kp_error *err);
/* Network thread: the pool has the connection. */
bool kp_conn_is_running(const struct kp_conn *conn);
/* Any thread that knows the connection lives: the peer has ended its side, or the server stops. */
bool kp_conn_is_hung_up(const struct kp_conn *conn);

/* ---- answers that come later ---- */

/* Names a connection without holding it; may outlive it. */
struct kp_conn_ref {
    struct kp_net *net;
    uint32_t slot, generation;
};
/* What is posted: runs on the network thread as the connection's owner. conn NULL: it is gone, free arg. */
typedef void (*kp_conn_fn)(struct kp_conn *conn, void *arg);

struct kp_conn_ref kp_conn_ref(struct kp_conn *conn);
/* Runs fn soon; while a pool thread owns the connection, after that. Any thread, as long as the net lives (its stop has
 * not returned). */
void kp_conn_post(struct kp_conn_ref ref, kp_conn_fn fn, void *arg);

/* The same for one answer that will come for certain, for example from kp_log_append_async: stopping waits for it, so
 * the caller need not know whether the net still lives. Each expect is followed by exactly one complete. */
struct kp_conn_ref kp_conn_expect(struct kp_conn *conn);
void kp_conn_complete(struct kp_conn_ref ref, kp_conn_fn fn, void *arg);

/* No `readable` until unpause: an answer is due before the next message may be looked at. Owner. */
void kp_conn_pause(struct kp_conn *conn);
void kp_conn_unpause(struct kp_conn *conn);
/* pause + expect, and complete + unpause (before fn, which may be NULL). */
struct kp_conn_ref kp_conn_suspend(struct kp_conn *conn);
void kp_conn_resume(struct kp_conn_ref ref, kp_conn_fn fn, void *arg);

/* One timer a connection: fn runs on the network thread once after timeout_us, or never if set again; negative: none.
 * Due while a pool thread owns the connection, it runs after that. Owner. */
void kp_conn_set_timer(struct kp_conn *conn, int64_t timeout_us, void (*fn)(struct kp_conn *conn));

/* Runs fn(arg) on the network thread. Any thread, as long as the net lives. */
void kp_net_call(struct kp_net *net, void (*fn)(void *arg), void *arg);

/* ---- the net itself ---- */

struct kp_net_options {
    struct kp_os *os;         /* NULL: the real one (clock) */
    uint32_t connections_max; /* 0: KP_CONNECTIONS_MAX */
    uint32_t threads_max;     /* of the pool; 0: 256 */
    size_t stack_bytes;       /* of a pool thread; 0: 1 MiB */
    int64_t thread_idle_us;   /* an idle pool thread ends after; 0: 5 s */
    size_t out_bytes_high;    /* 0: 1 MiB */
    int64_t write_timeout_us; /* a peer that takes nothing for so long is cut off; 0: 60 s */
    int64_t stop_grace_us;    /* at stop, work under way may take so long to end; 0: 5 s */
};

KP_MUST enum kp_code kp_net_create(const struct kp_net_options *options, struct kp_net **ret_net, struct kp_error *err);
/* Binds an address for a door. Before kp_net_start. *ret_bound: with the port that was taken. */
KP_MUST enum kp_code kp_net_listen(struct kp_net *net, const struct kp_door *door, void *host,
                                   const struct kp_address *address, struct kp_address *ret_bound,
                                   struct kp_error *err);
void kp_net_start(struct kp_net *net);
/*
 * Stops listening, lets answers that are due go out, cancels what blocks (door->hangup), closes all, ends all threads,
 * then the doors, and frees the net. NULL is fine.
 */
void kp_net_destroy(struct kp_net *net);
struct kp_os *kp_net_os(struct kp_net *net);
bool kp_net_is_stopping(const struct kp_net *net); /* any thread */
int64_t kp_net_now_us(struct kp_net *net);         /* monotonic */

struct kp_net_stats {
    uint64_t accepted, refused, closed_slow; /* since start; closed_slow: cut off because they took nothing */
    uint64_t in_bytes, out_bytes;
    uint64_t jobs; /* run by the pool since start */
    uint32_t connections, threads, threads_busy, jobs_waiting;
};
void kp_net_stats(struct kp_net *net, struct kp_net_stats *ret_stats); /* any thread */
/* Open connections of one door. Any thread. */
uint32_t kp_net_door_connections(struct kp_net *net, const struct kp_door *door);

#endif
