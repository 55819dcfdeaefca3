/*
 * What the files of this door share: a connection's state.
 *
 *   door.c       the table of callbacks, dispatch of messages, cancel keys
 *   startup.c    first packets up to the first ReadyForQuery
 *   simple.c     Query
 *   extended.c   Parse, Bind, Describe, Execute, Close, Sync
 *   portal.c     statements and portals by name
 *   execute.c    running a portal: rows, cursors' commands, tags
 *   copy.c       COPY both ways
 *
 * Invariants
 *   1. Only the owner of the connection (serve/net.h) touches struct kp_pg, but for the fields marked atomic.
 *   2. Every message that asks for an answer gets exactly one ReadyForQuery (Query, FunctionCall, Sync) or none (the
 * rest); after an error in the extended protocol nothing is answered until Sync.
 *   3. A portal's cursor is closed before its statement is let go, and all of them before the session.
 */
#ifndef KP_SERVE_PG_SESSION_H
#define KP_SERVE_PG_SESSION_H

#include <stdatomic.h>

#include "db/db.h"
#include "os/thread.h"
#include "serve/net.h"
#include "serve/pg/command.h"
#include "serve/pg/proto.h"

struct kp_pg;

/* One for the server: whom a cancel key means. */
struct kp_pg_door {
    struct kp_db *db;
    struct kp_net *net;
    struct kp_mutex mutex;      /* over all below */
    struct kp_pg **connections; /* by pid - 1; NULL: free */
    uint32_t connection_count;  /* slots */
};

/* A statement that was parsed: by Parse, or for a moment by Query. Shared by portals. */
struct kp_pg_statement {
    uint32_t references;
    char *name;                    /* NULL: none */
    bool empty;                    /* no statement in the text */
    struct kp_pg_command command;  /* KIND NONE: `prepared` is it */
    int64_t timeout_us;            /* FETCH … WITH (timeout): negative: none */
    struct kp_prepared *prepared;  /* NULL: a command, or empty */
    struct kp_pg_statement *query; /* DECLARE: what the cursor will run; referenced */
    char *text;                    /* DEALLOCATE, DISCARD: what is passed on */
    struct kp_buf parsed;          /* unnamed, a read of one key: the Parse body it was made of */
};

struct kp_pg_portal {
    char *name;                        /* NULL: unnamed */
    struct kp_pg_statement *statement; /* referenced; NULL: this portal is free */
    struct kp_arena arena;             /* parameters and formats */
    struct kp_datum *params;
    uint32_t param_count;
    struct kp_pg_formats formats;
    struct kp_cursor *cursor; /* once executed */
    struct kp_batch *batch;   /* rows fetched and not yet sent, from `row`, of which `repeats` were sent */
    uint32_t row;
    int64_t repeats;
    bool done;          /* the cursor has no more */
    bool ended;         /* CommandComplete was sent */
    bool suspended;     /* once at least: its tag counts what came since */
    bool hold;          /* outlives its transaction */
    uint64_t savepoint; /* in which it was made: goes with it */
};

enum kp_pg_phase { KP_PG_STARTUP, KP_PG_READY, KP_PG_COPY_IN };

struct kp_pg {
    int64_t idle_until_us; /* of kp_net_now_us: when waiting ends the session; 0: never */
    struct kp_conn *conn;
    struct kp_pg_door *door;
    struct kp_session *session;
    enum kp_pg_phase phase;
    bool on_loop;            /* the network thread is at it: nothing may wait */
    bool ending;             /* kp_conn_close was called: no more messages */
    bool skipping;           /* an error: up to Sync */
    bool implicit;           /* an implicit transaction was begun */
    bool commit_first;       /* end it before the next CommandComplete */
    size_t discard_bytes;    /* of an oversized message, still to come */
    uint32_t pid, secret;    /* pid 0: not registered */
    _Atomic bool streaming;  /* a SUBSCRIBE runs: nobody waits for its end but the client */
    struct kp_arena scratch; /* of one message */

    struct kp_pg_statement **statements; /* named, by name */
    uint32_t statement_count, statement_cap;
    struct kp_pg_statement *unnamed_statement;
    struct kp_pg_portal **portals; /* named, by name */
    uint32_t portal_count, portal_cap;
    struct kp_pg_portal unnamed_portal;

    struct kp_buf query; /* Query: its text while it runs */
    size_t query_at;     /* what has been run */
    bool query_several;  /* statements */
    bool in_query;       /* Query, not the extended protocol */
    struct kp_pg_portal query_portal;

    struct kp_pg_portal *copying; /* COPY IN: whose cursor is fed */
};

/* ---- door.c ---- */

/* ErrorResponse and what follows from it: the transaction has failed, the pipeline is skipped. */
void kp_pg_fail(struct kp_pg *pg, const struct kp_error *err);
/* ErrorResponse with FATAL, then the end. */
void kp_pg_fatal(struct kp_pg *pg, const struct kp_error *err);
void kp_pg_ready(struct kp_pg *pg);
/* Sends what is encoded; on failure the connection ends. */
KP_MUST enum kp_code kp_pg_flush(struct kp_pg *pg, struct kp_error *err);
void kp_pg_register(struct kp_pg *pg);
void kp_pg_cancel(struct kp_pg_door *door, uint32_t pid, uint32_t secret);

/* ---- startup.c ---- */

void kp_pg_handle_first(struct kp_pg *pg, struct kp_str body);
/* Reported settings: session's callbacks. */
void kp_pg_setting_changed(void *arg, const char *name, const char *value);
void kp_pg_notice(void *arg, const char *severity, const struct kp_error *notice);

/* ---- simple.c, extended.c, copy.c: messages ---- */

void kp_pg_handle_query(struct kp_pg *pg, struct kp_str body);
/* Goes on behind a COPY IN. */
void kp_pg_query_go_on(struct kp_pg *pg);
/* Ends a Query that failed or was finished. */
void kp_pg_query_end(struct kp_pg *pg);
void kp_pg_handle_extended(struct kp_pg *pg, const struct kp_pg_message *message);
void kp_pg_handle_sync(struct kp_pg *pg);
/* A Parse of what the unnamed statement is already, which is still right. */
bool kp_pg_parse_is_known(struct kp_pg *pg, struct kp_str body);
/* An Execute (its body; the message takes `bytes` of the input) that does not block, commits by itself and is short. */
bool kp_pg_execute_is_quick(struct kp_pg *pg, struct kp_str body, size_t bytes);
void kp_pg_handle_copy(struct kp_pg *pg, const struct kp_pg_message *message);

/* ---- portal.c ---- */

/* One statement's text, or a command's. An error's position is within text. */
KP_MUST enum kp_code kp_pg_statement_create(struct kp_pg *pg, struct kp_str text, const enum kp_type_id *types,
                                            uint32_t type_count, struct kp_pg_statement **ret_statement,
                                            struct kp_error *err);
void kp_pg_statement_unref(struct kp_pg_statement *statement);                    /* NULL is fine */
struct kp_pg_statement *kp_pg_statement_find(struct kp_pg *pg, const char *name); /* "": the unnamed */
/* Takes over the reference. 42P05, 54000. */
KP_MUST enum kp_code kp_pg_statement_add(struct kp_pg *pg, const char *name, struct kp_pg_statement *statement,
                                         struct kp_error *err);
bool kp_pg_statement_drop(struct kp_pg *pg, const char *name); /* false: there was none */
void kp_pg_statement_drop_all(struct kp_pg *pg);

/* The types of its parameters. */
uint32_t kp_pg_statement_params(const struct kp_pg_statement *statement, const struct kp_type **ret_types);
/* The columns of the result; false: no rows. Of FETCH: its cursor's. */
bool kp_pg_statement_columns(struct kp_pg *pg, const struct kp_pg_statement *statement,
                             const struct kp_column **ret_cols, uint32_t *ret_count);
/* Sends RowDescription; false, and nothing is sent: no rows. */
bool kp_pg_statement_describe(struct kp_pg *pg, const struct kp_pg_statement *statement,
                              const struct kp_pg_formats *formats);

struct kp_pg_portal *kp_pg_portal_find(struct kp_pg *pg, const char *name);
/* A portal for the statement (referenced); the unnamed one is emptied first. 42P03, 54000. */
KP_MUST enum kp_code kp_pg_portal_create(struct kp_pg *pg, const char *name, struct kp_pg_statement *statement,
                                         struct kp_pg_portal **ret_portal, struct kp_error *err);
void kp_pg_portal_start(struct kp_pg_portal *portal, struct kp_pg_statement *statement);
void kp_pg_portal_clear(struct kp_pg_portal *portal); /* free again, keeps its memory */
bool kp_pg_portal_drop(struct kp_pg *pg, const char *name);
/* At the end of a transaction: those without HOLD; `all`: with them. But for `running` (may be NULL). */
void kp_pg_portal_drop_all(struct kp_pg *pg, bool all, const struct kp_pg_portal *running);
/* After a statement: those made since a savepoint that it went back to. */
void kp_pg_portal_drop_undone(struct kp_pg *pg);

/* ---- execute.c ---- */

enum kp_pg_outcome { KP_PG_COMPLETE, KP_PG_SUSPENDED, KP_PG_COPYING };
/*
 * Runs a portal: rows, then CommandComplete or PortalSuspended. rows_max 0: all. describe: RowDescription first.
 * COPYING: COPY IN has begun, the rest comes with messages.
 */
KP_MUST enum kp_code kp_pg_portal_run(struct kp_pg *pg, struct kp_pg_portal *portal, uint64_t rows_max, bool describe,
                                      enum kp_pg_outcome *ret_outcome, struct kp_error *err);
/* CommandComplete, behind the commit if that is due. */
KP_MUST enum kp_code kp_pg_complete(struct kp_pg *pg, const char *tag, struct kp_error *err);

/* ---- copy.c ---- */

KP_MUST enum kp_code kp_pg_copy_out(struct kp_pg *pg, struct kp_pg_portal *portal, struct kp_error *err);
void kp_pg_copy_in_begin(struct kp_pg *pg, struct kp_pg_portal *portal);

/* How long to wait for rows of a portal. */
enum kp_pg_wait {
    KP_PG_WAIT_ALL,  /* until there are no more */
    KP_PG_WAIT_SOME, /* until there is one; then only what is there */
    KP_PG_WAIT_TIME  /* until `until_us`, however many come */
};
struct kp_pg_fetch {
    enum kp_pg_wait wait;
    int64_t until_us; /* of kp_net_now_us */
    bool got_some;
};
/* portal->batch: the next rows to send, NULL if there are none for now (portal->done: ever). Sends what is encoded
 * before it waits. */
KP_MUST enum kp_code kp_pg_portal_fetch(struct kp_pg *pg, struct kp_pg_portal *portal, uint64_t rows_max,
                                        struct kp_pg_fetch *fetch, struct kp_error *err);

#endif
