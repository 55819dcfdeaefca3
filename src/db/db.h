/*
 * The instance: one open data folder. It owns the log, the catalog, the engine thread with its graph, and the stores of
 * views; sessions run statements on it. Doors (serve/) and the command line (cli/) know nothing below this header but
 * the log for raw records.
 *
 * Threads: kp_db functions from any thread; a session and its cursors by one thread at a time, but for
 * kp_session_cancel.
 */
#ifndef KP_DB_DB_H
#define KP_DB_DB_H

#include "log/log.h"
#include "sql/catalog.h"
#include "view/view.h"

struct kp_db;

struct kp_db_options {
    struct kp_os *os; /* NULL: the real one */
    const char *dir;
    uint32_t workers;          /* threads inside a step; 0: processors */
    uint32_t parts;            /* 0: chosen */
    int64_t memory_bytes;      /* budget of all state; 0: unlimited, counted */
    uint64_t step_bytes_max;   /* record bytes of one step in replay; 0: 32 MiB */
    uint64_t log_tail_bytes;   /* the log's newest blocks in memory; 0: 64 MiB */
    uint64_t step_records_max; /* 0: no limit: for tests of the law */
    /* Of the log; 0: its own choice. */
    uint64_t journal_file_bytes, unsealed_bytes_max, seal_bytes, extent_own_bytes, snapshot_bytes, adopt_block_bytes;
    uint32_t adopt_per_cent;
    uint64_t columns_pool_bytes; /* of history columns in memory; 0: 256 MiB */
    uint64_t columns_disk_bytes; /* of history columns on disk; 0: 64 GiB */
    uint32_t columns_chunk_rows; /* 0: 65,536; less for tests */
    uint64_t sink_bytes_max;     /* of records that a sink writes of one position; 0: 1 GiB */
    bool no_columns;             /* history columns are neither read nor made */
    bool unsafe_no_sync;
    bool read_only;
    bool event_time; /* the log's time is the largest event time seen, not the clock: `kappa run` */
    /* Told about what a server's operator should see, from any thread. NULL: nothing. level: 'I', 'W', 'E'. */
    void (*notice)(void *arg, char level, const char *text);
    void *arg;
};
/* Opens or makes the folder, recovers the log, rebuilds views by replay in the background (kp_db_ready). */
KP_MUST enum kp_code kp_db_open(const struct kp_db_options *options, struct kp_db **ret_db, struct kp_error *err);
/*
 * The end is near: the engine ends the step it is in and makes no other, so who waits for it need not wait for long.
 * The log and what was published can still be used. Any thread, NULL does nothing; kp_db_close does it first.
 */
void kp_db_halt(struct kp_db *db);
/* Ends what runs (sessions must be closed), syncs, closes. NULL is fine. */
void kp_db_close(struct kp_db *db);
struct kp_log *kp_db_log(struct kp_db *db);
struct kp_view_clock *kp_db_clock(struct kp_db *db);
/* Waits until the replay after open has met the log's end; false on timeout. */
bool kp_db_wait_ready(struct kp_db *db, int64_t timeout_us);
/* KP_CLOSED with the cause once the instance is poisoned (disk failed): a server exits. */
KP_MUST enum kp_code kp_db_health(struct kp_db *db, struct kp_error *err);

/* ---- sessions ---- */

struct kp_session;
struct kp_session_options {
    const char *user, *database, *application; /* NULL: "kappa", "kappa", "" */
    /* A setting that clients are told of has changed (TimeZone, DateStyle …). NULL: ignored. */
    void (*setting_changed)(void *arg, const char *name, const char *value);
    /* NOTICE, WARNING … for the client: the error struct carries severity by sqlstate class. NULL: ignored. */
    void (*notice)(void *arg, const char *severity, const struct kp_error *notice);
    void *arg;
};
KP_MUST enum kp_code kp_session_open(struct kp_db *db, const struct kp_session_options *options,
                                     struct kp_session **ret_session, struct kp_error *err);
void kp_session_close(struct kp_session *session);  /* rolls back; NULL is fine */
void kp_session_cancel(struct kp_session *session); /* any thread: the running statement fails with 57014 */
/* Any thread: the same with 57P01, because the server stops. What has been committed is told as such. */
void kp_session_terminate(struct kp_session *session);
/* The number by which clients know it, as pg_backend_pid() says; 0, as it begins: they do not. */
void kp_session_set_pid(struct kp_session *session, uint32_t pid);
/* idle_in_transaction_session_timeout, or outside of a block idle_session_timeout; 0: none. For the door to keep. */
int64_t kp_session_idle_timeout_us(const struct kp_session *session);
/* Goes on with a statement that was set aside (a cursor): a cancel that came in between was for nobody, and its time
 * begins anew. */
void kp_session_resume(struct kp_session *session);
/* Settings by name, as SET and SHOW: "TimeZone", "application_name", "statement_timeout" … */
KP_MUST enum kp_code kp_session_set(struct kp_session *session, const char *name, const char *value,
                                    struct kp_error *err);
const char *kp_session_get(struct kp_session *session, const char *name);
/* Whether client_min_messages lets a notice of this severity ("NOTICE", "WARNING") pass. */
bool kp_session_wants_notice(struct kp_session *session,
                             const char *severity); /* NULL if unknown; until the next call */
const struct kp_zone *kp_session_zone(struct kp_session *session);
/* 'I' idle, 'T' in a transaction block, 'E' in a failed one: PostgreSQL's ReadyForQuery. */
char kp_session_status(const struct kp_session *session);
/*
 * Savepoints are numbered by their session. The innermost one's number, 0 if there is none: what begins now is undone
 * with it. And the least one gone back to since this was asked last: what belongs to it and to later ones is undone;
 * UINT64_MAX: nothing is.
 */
uint64_t kp_session_savepoint(const struct kp_session *session);
uint64_t kp_session_take_undone(struct kp_session *session);
/* Tells the session that a protocol error ended the transaction block's luck. */
void kp_session_fail_transaction(struct kp_session *session);
/*
 * The implicit transaction of PostgreSQL's protocol: several statements in one simple query, or an extended-protocol
 * pipeline up to Sync, are one transaction though the status stays 'I'. begin: no-op inside a block. A BEGIN in between
 * turns it into an ordinary block, a COMMIT or ROLLBACK ends it (and the next statement begins another, until `end`).
 * end: commits (one log commit) or rolls back what is left; no-op if a BEGIN made it a block.
 */
void kp_session_implicit_begin(struct kp_session *session);
KP_MUST enum kp_code kp_session_implicit_end(struct kp_session *session, bool commit, struct kp_error *err);
/* Reads of this session wait for at least this position (its own last write, all SQL writes before it was opened, or
 * what the client asks for). */
void kp_session_read_after(struct kp_session *session, int64_t position);
/* That position, behind what the session committed last; -1: its reads wait for nothing. */
int64_t kp_session_position(const struct kp_session *session);

/* ---- statements ---- */

struct kp_prepared;
/* Cuts text at the next statement: *ret_statement borrows from text; false when only blanks and comments are left.
 * Moves *text. */
bool kp_statement_next(struct kp_str *text, struct kp_str *ret_statement);
/* Parses and binds one statement. param_types: what the client says, NONE (0) for unknown; may be fewer than used. */
KP_MUST enum kp_code kp_prepare(struct kp_session *session, struct kp_str text, const enum kp_type_id *param_types,
                                uint32_t param_count, struct kp_prepared **ret_prepared, struct kp_error *err);
void kp_prepared_destroy(struct kp_prepared *prepared); /* NULL is fine */
uint32_t kp_prepared_params(const struct kp_prepared *prepared, const struct kp_type **ret_types);
/* Columns of the result; false if the statement returns no rows. */
bool kp_prepared_columns(const struct kp_prepared *prepared, const struct kp_column **ret_cols, uint32_t *ret_count);
/* Which columns of relations they are; NULL: all are computed. */
const struct kp_base_column *kp_prepared_bases(const struct kp_prepared *prepared);
/*
 * COPY … FROM STDIN / TO STDOUT. OUT: the cursor gives rows and the door writes them as text (db/copy.h). IN: the door
 * feeds bytes as they come and the cursor reads rows from them. kp_prepared_columns are, both ways, the columns moved.
 */
enum kp_copy_mode { KP_COPY_NONE, KP_COPY_IN, KP_COPY_OUT };
enum kp_copy_mode kp_prepared_copy(const struct kp_prepared *prepared);
struct kp_copy_options; /* sql/statement.h */
const struct kp_copy_options *
kp_prepared_copy_options(const struct kp_prepared *prepared);      /* lives as long as prepared; NULL: no COPY */
bool kp_prepared_is_subscribe(const struct kp_prepared *prepared); /* rows come without end */
/* True if executing it now reads one key of something that is ready, and so waits for nothing: a network thread may do
 * it. */
bool kp_prepared_is_quick(const struct kp_prepared *prepared);

struct kp_cursor;
/* Runs it. Params are of the types of kp_prepared_params. For COPY IN feed data, then end. Holds a snapshot until
 * closed. */
KP_MUST enum kp_code kp_execute(struct kp_session *session, struct kp_prepared *prepared, const struct kp_datum *params,
                                uint32_t param_count, struct kp_cursor **ret_cursor, struct kp_error *err);
/*
 * The next rows, at most rows_max (0: as they come), in a batch that lives until the next call; NULL batch and
 * *ret_done when there are no more. A SUBSCRIBE waits up to timeout_us (negative: for ever) and may return NULL without
 * done: nothing yet.
 */
KP_MUST enum kp_code kp_cursor_next(struct kp_cursor *cursor, uint32_t rows_max, int64_t timeout_us,
                                    struct kp_batch **ret_batch, bool *ret_done, struct kp_error *err);
KP_MUST enum kp_code kp_cursor_copy_data(struct kp_cursor *cursor, struct kp_str bytes, struct kp_error *err);
KP_MUST enum kp_code kp_cursor_copy_end(struct kp_cursor *cursor, struct kp_error *err);
/* PostgreSQL's command tag: "SELECT 3", "INSERT 0 1", "CREATE MATERIALIZED VIEW"; valid once done. */
const char *kp_cursor_tag(const struct kp_cursor *cursor);
int64_t
kp_cursor_position(const struct kp_cursor *cursor); /* what it read at, or behind what it wrote; -1 if neither */
void kp_cursor_close(struct kp_cursor *cursor);     /* NULL is fine */

/* ---- for doors that do not speak SQL ---- */

/* The topic of that name, made with one partition if it is missing and may be made (not for internal names). */
KP_MUST enum kp_code kp_db_topic(struct kp_db *db, const char *name, bool create, struct kp_topic_info *ret_info,
                                 struct kp_error *err);
#define KP_DELETE_RETENTION_US ((int64_t)86400000000) /* unless a topic says otherwise */
/* What a topic keeps: CREATE TOPIC … WITH (…), ALTER TOPIC … SET (…). */
struct kp_topic_policy {
    int64_t retention_us;    /* since a record was logged; -1: for ever */
    int64_t retention_bytes; /* of the whole topic; -1: any */
    bool compact;
    int64_t delete_retention_us; /* how old a tombstone must be to go with compaction; -1: it stays */
    int64_t compaction_lag_us;   /* younger records are not compacted */
    char retention[64];          /* as it was said */
};
void kp_db_topic_policy(struct kp_db *db, uint32_t topic, struct kp_topic_policy *ret_policy);
/* A referenced view, table or source by name ("v" or "schema.v"); 42P01 with a suggestion. */
KP_MUST enum kp_code kp_db_relation(struct kp_db *db, const char *name, struct kp_relation **ret_relation,
                                    struct kp_error *err);
/* The newest materialized view that someone made (no <view>_late), referenced; KP_NOT_FOUND if there is none. */
KP_MUST enum kp_code kp_db_last_view(struct kp_db *db, struct kp_relation **ret_relation, struct kp_error *err);
/* The end of all input: takes the log to its end, closes open windows, publishes. */
KP_MUST enum kp_code kp_db_close_windows(struct kp_db *db, struct kp_error *err);
/* A subscription to a view or table; its store lives until kp_db_unsubscribe. */
KP_MUST enum kp_code kp_db_subscribe(struct kp_db *db, struct kp_relation *relation,
                                     const struct kp_subscription_options *options,
                                     struct kp_subscription **ret_subscription, struct kp_error *err);
void kp_db_unsubscribe(struct kp_db *db, struct kp_subscription *subscription);

/* Counters and gauges of the instance, for /metrics: calls each(arg, name, labels or "", value, help). */
void kp_db_metrics(struct kp_db *db,
                   void (*each)(void *arg, const char *name, const char *labels, double value, const char *help),
                   void *arg);

#endif
