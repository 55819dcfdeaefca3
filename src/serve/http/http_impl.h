/*
 * Inside the HTTP door: a connection's request and reply, and the handlers.
 *
 *   request.c  bytes to a request          topics.c  POST /topics/{t}        sql.c      POST /sql, result sets
 *   reply.c    a reply to bytes            views.c   GET /views/{v}          status.c   /metrics, /healthz, lists
 *   http.c     checks, routes, order       events.c  server-sent events      page.c     GET /
 *   json.c     records cut from JSON text
 *
 * One request at a time: the next pipelined one is parsed when the reply to this one is complete (kp_http_done).
 */
#ifndef KP_SERVE_HTTP_HTTP_IMPL_H
#define KP_SERVE_HTTP_HTTP_IMPL_H

#include <http_parser.h>

#include "db/db.h"
#include "os/thread.h"
#include "serve/http/http.h"

enum {
    HEADERS_MAX = 100,
    STREAM_BYTES = 64 << 10,      /* a reply larger than this goes out in chunks while it is made */
    INFLIGHT_BYTES_MAX = 64 << 20 /* bodies being made durable, over all connections; beyond: 429 */
};

/* The door: conn->ctx. Counters are written by any thread. */
struct kp_http {
    struct kp_db *db;
    struct kp_net *net;
    bool loopback; /* bound to an address that only this machine reaches: then only its names are good for Host */
    _Atomic int64_t inflight_bytes;
    _Atomic uint64_t requests, records, refused, subscribers;
};

/* A piece of http_conn.head. */
struct http_piece {
    uint32_t at, len;
};

enum http_stage { STAGE_HEAD, STAGE_BODY, STAGE_WHOLE };

struct http_route;

/* conn->state */
struct http_conn {
    http_parser parser;

    /* the request */
    enum http_stage stage;
    struct kp_buf head; /* target and headers, one after the other */
    struct http_piece target;
    struct http_piece names[HEADERS_MAX], values[HEADERS_MAX];
    uint32_t header_count;
    bool in_value; /* the last head piece was (part of) a value */
    struct kp_buf body;
    int refusal; /* a status decided while reading; 0: none */
    const char *refusal_text, *refusal_hint;
    struct kp_arena arena;     /* of this exchange */
    struct kp_str path, query; /* path decoded; in the arena */
    struct kp_str name;        /* what the route's {} stands for */
    const struct http_route *route;

    /* the reply */
    bool keep_alive, head_only, streaming;
    struct kp_buf extra;  /* header lines */
    struct kp_buf stream; /* not yet in a chunk */

    /* what hangup may reach from the network thread */
    struct kp_mutex lock;
    struct kp_session *session; /* lock */

    struct http_events *events; /* while the connection is an event stream */
};

static inline struct http_conn *http_of(const struct kp_conn *conn)
{
    return conn->state;
}
static inline struct kp_http *http_door_of(const struct kp_conn *conn)
{
    return conn->ctx;
}

/* ---- request.c ---- */

void kp_http_request_init(struct http_conn *http);
void kp_http_request_finish(struct http_conn *http);
void kp_http_request_reset(struct http_conn *http);
/* Feeds input to the parser, consumes it; true when a request is whole or refused (refusal set). */
bool kp_http_request_read(struct kp_conn *conn);
/* Puts what the body decompresses to, as Content-Encoding says it is (gzip, deflate, zstd), in its place:
 * KP_UNSUPPORTED for another encoding, KP_LIMIT beyond KP_HTTP_BODY_BYTES_MAX. In a job: it may take long. */
KP_MUST enum kp_code kp_http_decode_body(struct http_conn *http, struct kp_error *err);
/* A header's value, ptr NULL if absent; name in any case. Valid until kp_http_done. */
struct kp_str kp_http_header(const struct http_conn *http, const char *name);
/* The decoded value of a query parameter; false if absent. "a" and "a=" are empty. */
bool kp_http_param(struct http_conn *http, const char *name, struct kp_str *ret_value);
/* The index-th parameter in order, decoded; false behind the last. */
bool kp_http_param_at(struct http_conn *http, size_t index, struct kp_str *ret_name, struct kp_str *ret_value);
/* A parameter that is an integer in [min, max]; absent leaves *ret_value alone. */
KP_MUST enum kp_code kp_http_param_int(struct http_conn *http, const char *name, int64_t min, int64_t max,
                                       int64_t *ret_value, struct kp_error *err);
/* "application/json" of "application/json; charset=utf-8", compared without case. */
bool kp_http_content_type_is(const struct http_conn *http, const char *type);
bool kp_http_accepts(const struct http_conn *http, const char *type); /* named in Accept */

/* ---- reply.c; owner of the connection ---- */

/* A header line for the reply that follows. */
void kp_http_add_header(struct kp_conn *conn, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void kp_http_reply(struct kp_conn *conn, int status, const char *type, struct kp_str body);
/* The error as JSON. status 0: from err. */
void kp_http_reply_error(struct kp_conn *conn, int status, const struct kp_error *err);
void kp_http_reply_fail(struct kp_conn *conn, int status, const char *sqlstate, const char *hint, const char *format,
                        ...) __attribute__((format(printf, 5, 6)));
int kp_http_status(const struct kp_error *err);
void kp_http_print_error(const struct kp_error *err, struct kp_buf *out); /* {"sqlstate":…} */
/* Appends an integer as JSON: a string beyond 2^53. */
void kp_http_print_int(int64_t value, struct kp_buf *out);
/*
 * A reply of unknown length: append to http->stream, call kp_http_stream now and then (it sends when there is much; in
 * a job only), kp_http_stream_end once. Small ones become ordinary replies. KP_CLOSED, KP_CANCELLED: give up,
 * kp_http_abort.
 */
KP_MUST enum kp_code kp_http_stream(struct kp_conn *conn, const char *type, struct kp_error *err);
void kp_http_stream_end(struct kp_conn *conn, const char *type);
/* An error after all: a proper reply if nothing has been sent, else the connection breaks off so that the client sees
 * it. */
void kp_http_stream_fail(struct kp_conn *conn, const struct kp_error *err);
/* The head of an event stream: what follows is not counted. Ends with the connection. */
void kp_http_reply_endless(struct kp_conn *conn, const char *type);

/* ---- handlers: each ends in one reply ---- */

struct http_route {
    const char *method, *path; /* "{}" at the end stands for a name */
    const char *suffix;        /* behind the name: "/events"; NULL: none */
    bool blocking;             /* run by the pool */
    void (*handle)(struct kp_conn *conn);
};

void kp_http_post_topic(struct kp_conn *conn);
void kp_http_get_topics(struct kp_conn *conn);
void kp_http_get_view(struct kp_conn *conn);
void kp_http_get_views(struct kp_conn *conn);
void kp_http_get_events(struct kp_conn *conn);
void kp_http_post_sql(struct kp_conn *conn);
void kp_http_get_metrics(struct kp_conn *conn);
void kp_http_get_health(struct kp_conn *conn);
void kp_http_get_page(struct kp_conn *conn);

/* events.c, for the door */
void kp_http_events_pump(struct kp_conn *conn);  /* something may be ready; network thread */
void kp_http_events_close(struct kp_conn *conn); /* the connection ends */

/* sql.c */
/* A session that a hang-up cancels. */
KP_MUST enum kp_code kp_http_session_open(struct kp_conn *conn, struct kp_session **ret_session, struct kp_error *err);
void kp_http_session_close(struct kp_conn *conn);

enum http_format { FORMAT_JSON, FORMAT_NDJSON, FORMAT_CSV };
/* ?format=, else Accept, else JSON. */
KP_MUST enum kp_code kp_http_format(struct http_conn *http, enum http_format *ret_format, struct kp_error *err);
const char *kp_http_format_type(enum http_format format);
/* A row as a JSON object. */
void kp_http_print_row(const struct kp_column *cols, uint32_t col_count, const struct kp_batch *batch, uint32_t row,
                       const struct kp_zone *zone, struct kp_buf *out);
/* The rows of a cursor, at most rows_max, into http->stream in this format. */
KP_MUST enum kp_code kp_http_print_rows(struct kp_conn *conn, const struct kp_prepared *prepared,
                                        struct kp_cursor *cursor, enum http_format format, uint64_t rows_max,
                                        const struct kp_zone *zone, struct kp_error *err);

/* ---- json.c ---- */

/*
 * The next JSON value of a text of values apart by white space (and by commas where `in_array`): brackets and quotes
 * are matched, what is between is not looked at. False at the end. Moves *at. KP_INVALID with the byte where it goes
 * wrong.
 */
KP_MUST enum kp_code kp_http_json_next(struct kp_str text, size_t *at, bool in_array, struct kp_str *ret_value,
                                       bool *ret_end, struct kp_error *err);
/* A member of a JSON object, at its top level: its raw value; false if absent or not an object. */
bool kp_http_json_member(struct kp_str object, struct kp_str name, struct kp_str *ret_value);
/* A JSON string's characters (in the arena), or any other value's own text. False: null. */
bool kp_http_json_text(struct kp_str value, struct kp_arena *arena, struct kp_str *ret_text);

#endif
