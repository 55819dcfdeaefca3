/*
 * A session: settings, one transaction at a time, prepared statements, running cursors. One thread at a time, but for
 * `cancelled`.
 *
 * A transaction reads at one position (a snapshot taken at its first read) and gathers its writes; they go into the log
 * as one atomic group at COMMIT. Its own reads of tables see its writes on top of the snapshot (the overlay).
 */
#ifndef KP_DB_SESSION_H
#define KP_DB_SESSION_H

#include "db/advisory.h"
#include "db/ddl.h"
#include "db/deadline.h"

/* What is asked for, in PostgreSQL's order and words. The first three read at one position and check what they write;
 * the last checks what it has read, too (reads.c). */
enum kp_isolation { KP_READ_UNCOMMITTED, KP_READ_COMMITTED, KP_REPEATABLE_READ, KP_SERIALIZABLE };

enum kp_transaction { KP_TRANSACTION_NONE, KP_TRANSACTION_IMPLICIT, KP_TRANSACTION_BLOCK, KP_TRANSACTION_FAILED };

/* A row written and not yet committed. */
struct kp_pending_write {
    struct kp_relation *relation; /* referenced */
    uint32_t topic, partition;
    uint64_t key_hash;
    struct kp_str key, value; /* in the session's transaction arena; ptr NULL: none, a delete */
    struct kp_batch *row;     /* the new row, one row of all columns; NULL: a delete */
    struct kp_datum *key_values;
    bool existed;       /* the key was there at the snapshot, before this transaction */
    size_t previous;    /* 1 + the write of the same key before this one; 0: none */
    size_t replaced_by; /* the next write of the same key stands for it; SIZE_MAX: none */
};

/* Rows that a statement has made for a plan of its own: what scans of `relation` read. */
struct kp_given_rows {
    const struct kp_relation *relation;
    struct kp_batch **batches;
    size_t batch_count;
    struct kp_given_rows *next;
};

/* A relation that a transaction has read, and COMMIT looks at again (reads.c). */
struct kp_read {
    struct kp_relation *relation; /* referenced */
    bool locked;                  /* by FOR UPDATE or the like, as a whole */
};

struct kp_session {
    struct kp_db *db;
    struct kp_session_options options;
    char *user, *database;
    uint32_t pid;    /* what clients know it by; 0: nothing */
    char **settings; /* values by index of the table in settings.c, behind them the custom ones; NULL: the default */
    char **custom_names; /* settings with a dot in their name */
    size_t custom_count;
    struct kp_mutex settings_lock; /* for functions of a running query; all else is on the session's thread */
    const struct kp_zone *zone;
    struct kp_session_settings values;
    _Atomic bool cancelled, terminated;
    struct kp_deadline deadline;
    int64_t statement_timeout_ms, lock_timeout_ms, idle_timeout_ms, idle_session_timeout_ms; /* 0: none */
    char **outer_settings; /* SET LOCAL: the values before it, by index; an entry NULL: not set so */
    struct kp_setting_values
        *block_settings; /* all values before the transaction's first SET, for ROLLBACK; NULL: it has set nothing */
    struct kp_setting_values
        *first_settings; /* what the client asked for when it connected: RESET goes back to it; NULL: nothing */
    int64_t read_after;

    enum kp_transaction transaction;
    int64_t statement_us;                /* of the statement by itself: what now() is in all of it */
    int64_t began_us;                    /* of the transaction: what now() is in all its statements */
    bool read_only;                      /* the block */
    bool default_read_only;              /* a statement by itself, and a block that does not say */
    enum kp_isolation isolation;         /* of the block */
    enum kp_isolation default_isolation; /* of a statement by itself, and a block that does not say */
    bool has_snapshot;
    struct kp_snapshot snapshot;
    struct kp_arena writes_arena;
    struct kp_pending_write *writes;
    size_t write_count, write_cap;
    size_t write_bytes;
    size_t *write_index; /* by key: 1 + its last write; write_index_cap places, a power of two */
    size_t write_index_cap;
    struct kp_read *reads; /* what COMMIT checks of what the transaction has read */
    size_t read_count;
    struct kp_locked_row *locked_rows; /* row_locks.c */
    size_t locked_row_count;
    bool locking;                /* the statement says FOR UPDATE or the like */
    size_t visible_writes;       /* reads see so many of them: a statement does not see its own. SIZE_MAX: all */
    struct kp_given_rows *given; /* newest first */
    struct kp_node_stats *stats; /* EXPLAIN ANALYZE: takes what the operators did, by plan id; NULL: nobody asks */
    uint32_t stats_count;
    const struct kp_plan *stats_plan; /* of which alone, of the plans that a statement runs; NULL: all */
    bool keeps_snapshot;              /* the next snapshot is kept until the statement's writes are committed */
    bool lost;                        /* a commit failed since somebody else had written the same keys */

    struct kp_advisory_hold *advisory_holds; /* these two under the lock table's mutex */
    struct kp_advisory_wait *advisory_wait;  /* NULL: it does not wait */

    struct kp_drawn *drawn; /* sequence.c; these three under sequence_mutex */
    size_t drawn_count;
    uint32_t last_drawn;
    struct kp_restart *restarts; /* sequences that the transaction has restarted */
    size_t restart_count;

    struct kp_savepoint *savepoints; /* of the block, innermost first */
    uint64_t savepoint_number;       /* of the last one that was set */
    uint64_t undone_from;            /* for kp_session_take_undone: the number, 0: nothing is undone */

    struct kp_prepared *named; /* PREPARE's, a list */
    const char *running;       /* the text of the statement that is being executed; NULL: none is */
    uint32_t cursors;          /* open ones */
};

enum kp_prepared_kind {
    KP_PREPARED_QUERY,
    KP_PREPARED_WRITE,
    KP_PREPARED_COPY_IN,
    KP_PREPARED_SUBSCRIBE,
    KP_PREPARED_UTILITY
};

struct kp_prepared {
    struct kp_session *session;
    struct kp_arena arena;
    struct kp_statement *statement;
    enum kp_prepared_kind kind;
    struct kp_plan_root *root; /* QUERY, SUBSCRIBE to a query */
    struct kp_point *point;    /* QUERY that reads one key: how; else NULL. In root's arena */
    struct kp_bound_write *write;
    struct kp_relation *copy_relation;
    uint32_t *copy_columns;
    uint32_t copy_count;
    struct kp_relation *subscribe_to; /* SUBSCRIBE to a view or table */
    uint32_t param_count;
    struct kp_type *params;
    bool has_columns;
    struct kp_column *cols;
    const struct kp_base_column *bases; /* NULL: all are computed */
    uint32_t col_count;
    uint64_t generation;        /* of the catalog when it was bound */
    bool locks;                 /* FOR UPDATE and the like stands in it */
    struct kp_prepared *copied; /* COPY … TO: what runs inside */
    char *name;                 /* PREPARE's */
    struct kp_prepared *next_named;
};

struct kp_cursor {
    struct kp_session *session;
    struct kp_prepared *prepared;
    struct kp_arena arena;      /* of the result */
    struct kp_arena item_arena; /* of the batch given out last */
    struct kp_batch **batches;
    size_t batch_count, batch_at;
    uint32_t row_at;
    uint64_t rows;
    uint64_t written; /* rows, by a statement that writes */
    char tag[96];
    int64_t position;
    bool done, ended, timed; /* timed: the statement's deadline runs on until it is closed */
    /* SUBSCRIBE */
    bool wants_progress, progress_owed;
    struct kp_subscription *subscription;
    struct kp_live *live;     /* pinned */
    struct kp_live *own_live; /* of a query: dropped with the cursor */
    struct kp_relation *own_relation;
    /* COPY IN */
    struct kp_copy_reader *copy;
};

/* ---- settings.c ---- */
void kp_settings_init(struct kp_session *session);
void kp_settings_finish(struct kp_session *session);
const char *kp_settings_get(struct kp_session *session, const char *name); /* NULL: unknown */
/* As PostgreSQL spells it, whatever its case here: TimeZone. One that is not in the table is as it is. */
const char *kp_settings_name(const struct kp_session *session, const char *name);
/* For kp_catalog_facts; arg is the session. */
bool kp_settings_ask(void *arg, const char *name, struct kp_buf *out);
KP_MUST enum kp_code kp_settings_config(void *arg, const char *name, const char *value, bool local, struct kp_buf *out,
                                        struct kp_error *err);
/* A level by its words. */
KP_MUST enum kp_code kp_settings_isolation(const char *words, enum kp_isolation *ret_isolation, struct kp_error *err);
/* With a session's first statement: what it has now is what RESET goes back to. */
void kp_settings_keep_first(struct kp_session *session);
KP_MUST enum kp_code kp_settings_reset(struct kp_session *session, const char *name, struct kp_error *err);
/* SET LOCAL: until the transaction ends. */
KP_MUST enum kp_code kp_settings_set_local(struct kp_session *session, const char *name, const char *value,
                                           struct kp_error *err);
/* The transaction ends: what SET LOCAL set is undone, and if it was rolled back what SET did, too. */
void kp_settings_end(struct kp_session *session, bool committed);
/* All values as they are, and which of them SET LOCAL set, for kp_settings_restore; discard: NULL is fine. */
struct kp_setting_values *kp_settings_copy(struct kp_session *session);
void kp_settings_restore(struct kp_session *session, const struct kp_setting_values *copy);
void kp_settings_discard(struct kp_setting_values *copy);
/* Calls each for every setting but custom ones: name, value, what it is. */
void kp_settings_each(struct kp_session *session,
                      void (*each)(void *arg, const char *name, const char *value, const char *doc), void *arg);

/* ---- zone_setting.c ---- */
/* Appends the name of the zone that a value of TimeZone means, which need not be there. */
KP_MUST enum kp_code kp_zone_setting(const char *value, struct kp_buf *out, struct kp_error *err);

/* ---- statement.c ---- */
/* Binds again what the catalog has left behind. */
KP_MUST enum kp_code kp_prepared_refresh(struct kp_prepared *prepared, struct kp_error *err);

/* ---- session.c ---- */
/*
 * now() of a statement that reads the newest position: the log's time there or the clock, whichever is later, as if a
 * record came now; within a transaction that of its beginning. (AS OF: the log's time at that position.)
 */
int64_t kp_session_now_us(const struct kp_session *session);
/* A statement is prepared, or run: now() of one that is by itself is that moment. */
void kp_session_begin_statement(struct kp_session *session);
void kp_session_context(struct kp_session *session, struct kp_sql_context *ret_context);
/* A statement begins: what cancelled one before it is over; a session that is to end stays cancelled. */
void kp_session_uncancel(struct kp_session *session);
/* The code, told why the statement was cancelled if it was. */
enum kp_code kp_session_told(struct kp_session *session, enum kp_code code, struct kp_error *err);
/* Of what runs now. */
enum kp_isolation kp_session_isolation(const struct kp_session *session);
/* Whether what runs now may not write. */
bool kp_session_read_only(const struct kp_session *session);
/* KP_CANCELLED if it was. */
KP_MUST enum kp_code kp_session_check(struct kp_session *session, struct kp_error *err);
/* Waits until the replay after a start has met the log's end; ends with the statement's cancellation. */
KP_MUST enum kp_code kp_session_wait_replayed(struct kp_session *session, struct kp_error *err);
/* The position to read at: the transaction's, or a fresh one that the caller releases if *ret_own. Waits for
 * read_after. */
KP_MUST enum kp_code kp_session_snapshot(struct kp_session *session, struct kp_snapshot *ret_snapshot, bool *ret_own,
                                         struct kp_error *err);
/* After a statement outside any transaction: commits what it wrote. */
KP_MUST enum kp_code kp_session_autocommit(struct kp_session *session, struct kp_error *err);
void kp_transaction_begin(struct kp_session *session, bool read_only, enum kp_isolation isolation);
KP_MUST enum kp_code kp_transaction_commit(struct kp_session *session, struct kp_error *err);
void kp_transaction_rollback(struct kp_session *session);

/* ---- savepoint.c ---- */
KP_MUST enum kp_code kp_savepoint_set(struct kp_session *session, const char *name, struct kp_error *err);
KP_MUST enum kp_code kp_savepoint_release(struct kp_session *session, const char *name, struct kp_error *err);
KP_MUST enum kp_code kp_savepoint_rollback(struct kp_session *session, const char *name, struct kp_error *err);
void kp_savepoints_forget(struct kp_session *session);

/* ---- query.c ---- */
/* Runs a plan at the session's position; batches in arena. */
KP_MUST enum kp_code kp_query_run(struct kp_session *session, const struct kp_plan *plan, struct kp_arena *arena,
                                  struct kp_batch ***ret_batches, size_t *ret_count, int64_t *ret_position,
                                  struct kp_error *err);
/* The same at an earlier position, by replay. */
KP_MUST enum kp_code kp_query_run_as_of(struct kp_session *session, const struct kp_plan *plan, int64_t position,
                                        struct kp_arena *arena, struct kp_batch ***ret_batches, size_t *ret_count,
                                        struct kp_error *err);
/* Replaces parameters and runs. */
KP_MUST enum kp_code kp_query_run_root(struct kp_session *session, const struct kp_plan_root *root,
                                       const struct kp_datum *params, uint32_t param_count, struct kp_arena *arena,
                                       struct kp_batch ***ret_batches, size_t *ret_count, int64_t *ret_position,
                                       struct kp_error *err);

/* ---- point.c ---- */
/* How to read the row of one key without a graph; NULL if the plan is not that simple. In the root's arena. */
struct kp_point *kp_point_plan(struct kp_plan_root *root);
/* Whether reading now waits for nothing. */
bool kp_point_is_ready(struct kp_session *session, const struct kp_point *point);
/* *ret_done false: the transaction has written to the table, and only a query sees that. */
KP_MUST enum kp_code kp_point_run(struct kp_session *session, const struct kp_point *point,
                                  const struct kp_datum *params, struct kp_arena *arena, struct kp_batch ***ret_batches,
                                  size_t *ret_count, int64_t *ret_position, bool *ret_done, struct kp_error *err);

/* ---- dml.c, copy_in.c ---- */
KP_MUST enum kp_code kp_write_run(struct kp_cursor *cursor, const struct kp_datum *params, uint32_t param_count,
                                  struct kp_error *err);
KP_MUST enum kp_code kp_write_truncate(struct kp_cursor *cursor, struct kp_error *err);
KP_MUST enum kp_code kp_copy_in_begin(struct kp_cursor *cursor, struct kp_error *err);
/* CREATE TABLE AS (create_as.c). */
KP_MUST enum kp_code kp_create_as_run(struct kp_cursor *cursor, struct kp_error *err);

/* ---- writes.c ---- */
/* Appends the transaction's writes as one group; *ret_position behind them. Waits for its turn to write. */
KP_MUST enum kp_code kp_writes_commit(struct kp_session *session, int64_t *ret_position, struct kp_error *err);
/* The writes from the first-th on as record batches, in their order. Finish in any case. */
struct kp_write_group {
    struct kp_log_entry *entries;
    struct kp_buf *bytes;
    size_t count;
};
KP_MUST enum kp_code kp_writes_group(struct kp_session *session, size_t first, struct kp_write_group *group,
                                     struct kp_error *err);
void kp_write_group_finish(struct kp_write_group *group);
/* A record's key: the JSON array of the values of the relation's key columns. In arena. */
struct kp_str kp_writes_key(struct kp_session *session, const struct kp_relation *relation,
                            const struct kp_datum *values, struct kp_arena *arena);
uint64_t kp_writes_hash(struct kp_str key);
/* The last write of the key among the first `limit`; NULL: none. Until the next write. */
const struct kp_pending_write *kp_writes_find(const struct kp_session *session, const struct kp_relation *relation,
                                              struct kp_str key, size_t limit);
/* Adds one, as the last of its key; the relation is referenced. What it points to lives in writes_arena. */
void kp_writes_add(struct kp_session *session, struct kp_pending_write write);
void kp_writes_forget(struct kp_session *session);
/* Leaves the first `count`, which held `bytes`. */
void kp_writes_truncate(struct kp_session *session, size_t count, size_t bytes);
/* Whether a row of a table (all columns in `batch`) is hidden by the transaction's own writes. */
bool kp_writes_hide(struct kp_session *session, const struct kp_relation *relation, const struct kp_batch *batch,
                    uint32_t row);
bool kp_writes_touch(const struct kp_session *session, const struct kp_relation *relation);
/* How many of the writes a read of the session sees now. */
size_t kp_writes_visible(const struct kp_session *session);
/* 23505. */
enum kp_code kp_writes_key_error(struct kp_session *session, const struct kp_relation *relation,
                                 const struct kp_datum *values, struct kp_error *err);

/* ---- reads.c ---- */
/* Whether what is read now is noted: the transaction is serializable, or the statement locks, and it is not alone. */
bool kp_reads_are_noted(const struct kp_session *session);
/* The transaction reads it. locks: as a whole, for who locks rows of it that are not known by their keys. */
void kp_reads_note(struct kp_session *session, struct kp_relation *relation, bool locks);
void kp_reads_forget(struct kp_session *session);
/* 40001: what ("View"), which was read, has changed as it says. */
enum kp_code kp_reads_fail(struct kp_session *session, const char *what, const char *name, const char *change,
                           struct kp_error *err);
/* 40001 if anything that was noted has changed since the transaction's snapshot, or if another one that locked it has
 * committed. In its turn to commit, as what follows: it has, up to this position. */
KP_MUST enum kp_code kp_reads_check(struct kp_session *session, struct kp_error *err);
void kp_reads_committed(struct kp_session *session, int64_t position);

/* ---- row_locks.c ---- */
struct kp_row_locks *kp_row_locks_create(void);
void kp_row_locks_destroy(struct kp_row_locks *locks);
/* The statement has read the row of this key, and locks; false: there are too many, the relation is to be locked. */
bool kp_row_locks_add(struct kp_session *session, struct kp_relation *relation, const struct kp_datum *key);
void kp_row_locks_forget(struct kp_session *session);
/* As kp_reads_check and kp_reads_committed; newest: a snapshot with all that was committed. */
KP_MUST enum kp_code kp_row_locks_check(struct kp_session *session, const struct kp_snapshot *newest,
                                        struct kp_error *err);
void kp_row_locks_committed(struct kp_session *session, int64_t position);

/* ---- utility.c ---- */
/* Result columns of SHOW, EXPLAIN and their like; false if the statement returns no rows. */
bool kp_utility_columns(struct kp_prepared *prepared);
KP_MUST enum kp_code kp_utility_run(struct kp_cursor *cursor, const struct kp_datum *params, uint32_t param_count,
                                    struct kp_error *err);

/* ---- explain.c ---- */
KP_MUST enum kp_code kp_explain_run(struct kp_cursor *cursor, struct kp_error *err);

/* ---- verify.c ---- */
/* VERIFY MATERIALIZED VIEW: one line that says so, or XX001 with the rows that differ. */
KP_MUST enum kp_code kp_verify_run(struct kp_cursor *cursor, struct kp_error *err);

/* ---- subscribe.c ---- */
KP_MUST enum kp_code kp_subscribe_prepare(struct kp_prepared *prepared, const struct kp_column *cols,
                                          uint32_t col_count);
KP_MUST enum kp_code kp_subscribe_begin(struct kp_cursor *cursor, struct kp_error *err);
KP_MUST enum kp_code kp_subscribe_next(struct kp_cursor *cursor, uint32_t rows_max, int64_t timeout_us,
                                       struct kp_batch **ret_batch, struct kp_error *err);
void kp_subscribe_end(struct kp_cursor *cursor);

/* One constant text column as a result: SHOW, EXPLAIN. */
struct kp_batch *kp_text_batch(struct kp_arena *arena, struct kp_str *lines, uint32_t rows);

#endif
