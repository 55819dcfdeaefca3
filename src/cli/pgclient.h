/*
 * A small client of the PostgreSQL protocol, for `kappa sql` when a server runs on the data folder: simple queries with
 * their rows as text, COPY both ways, notices, errors, cancel.
 *
 * One connection, one thread. A query's answers come through a table of functions, as they arrive; a failing one ends
 * the query (it is cancelled, the rest is read and dropped) and its error is the query's. Values are borrowed for the
 * call.
 */
#ifndef KP_CLI_PGCLIENT_H
#define KP_CLI_PGCLIENT_H

#include <stdatomic.h>

#include "base/buf.h"
#include "os/socket.h"
#include "sql/plan.h"

struct kp_pgclient;

struct kp_pgclient_options {
    struct kp_address address;
    const char *user, *database, *application; /* NULL: "kappa", "kappa", "" */
    int64_t timeout_us;                        /* to connect and be welcomed; 0: 10 s */
    /* Set by a signal handler: the running query is cancelled, and the flag cleared. NULL: never. */
    _Atomic bool *interrupt;
    void (*notice)(void *arg, const char *severity, const struct kp_error *notice); /* NULL: dropped */
    void *arg;
};
KP_MUST enum kp_code kp_pgclient_open(const struct kp_pgclient_options *options, struct kp_pgclient **ret_client,
                                      struct kp_error *err);
void kp_pgclient_close(struct kp_pgclient *client); /* NULL is fine */
const char *kp_pgclient_setting(const struct kp_pgclient *client,
                                const char *name);         /* as reported; NULL if it was not */
char kp_pgclient_status(const struct kp_pgclient *client); /* 'I', 'T', 'E' */

/* Any of these may be NULL. */
struct kp_pgclient_handler {
    void *arg;
    /* A result begins. Types that kappa does not know are text. */
    enum kp_code (*columns)(void *arg, const struct kp_column *cols, uint32_t count, struct kp_error *err);
    enum kp_code (*row)(void *arg, const struct kp_str *values, uint32_t count,
                        struct kp_error *err); /* ptr NULL: NULL */
    /* A statement has ended; tag "" for an empty query. */
    enum kp_code (*complete)(void *arg, const char *tag, struct kp_error *err);
    enum kp_code (*copy_out)(void *arg, struct kp_str bytes, struct kp_error *err);
    /* Appends the next bytes of COPY IN; none: the end. NULL: COPY IN is refused. */
    enum kp_code (*copy_in)(void *arg, struct kp_buf *bytes, struct kp_error *err);
    /* All that has come was handed out, and the server is silent: show it. */
    enum kp_code (*idle)(void *arg, struct kp_error *err);
};
/*
 * One simple query, which may be several statements. A server's error becomes *err, with its SQLSTATE, position, detail
 * and hint; the connection goes on. KP_CLOSED: it is lost.
 */
KP_MUST enum kp_code kp_pgclient_query(struct kp_pgclient *client, struct kp_str sql,
                                       const struct kp_pgclient_handler *handler, struct kp_error *err);

#endif
