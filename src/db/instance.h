/*
 * Inside the instance: what open.c, engine.c, ddl.c, query.c, dml.c, sink.c and the system tables share.
 *
 * Threads and locks, in the order in which they may be taken:
 *   ddl_mutex   one statement that changes the catalog at a time: from its check to its record and its effect
 *   (committing) one committing write to tables at a time, from its look at the latest rows to its append: a flag
 *               under `mutex`, so that who waits for its turn can be cancelled
 *   catalog     kp_catalog_read / kp_catalog_write
 *   mutex       calls to the engine, lives, sinks' and jobs' lists; short
 *   advisory    the table of advisory locks (advisory.c): short, and nothing is taken under it
 * The graph, the feeds and `position` belong to the engine thread.
 *
 * Life of a relation with rows (struct kp_live): BUILDING while a backfill job computes it, READY from the step at
 * which it met the live graph, FAILED with the reason if it never will. After a DROP it stays until nobody reads it.
 */
#ifndef KP_DB_INSTANCE_H
#define KP_DB_INSTANCE_H

#include <stdatomic.h>

#include "db/db.h"
#include "os/thread.h"
#include "replay/backfill.h"

enum kp_live_state { KP_LIVE_BUILDING, KP_LIVE_READY, KP_LIVE_FAILED };

/* The rows of a table or view, hung on its relation (relation->attached). */
struct kp_live {
    struct kp_relation *relation; /* referenced */
    struct kp_store *store;
    struct kp_session_settings settings; /* frozen when it was created */
    struct kp_node *node;                /* engine thread */
    struct kp_output *output;            /* engine thread */
    struct kp_expired_list *expired;     /* where rows of expired records come from, or go; NULL: none (db/base.h) */
    _Atomic int state;                   /* enum kp_live_state */
    struct kp_error error;               /* why it FAILED */
    struct kp_job *job;                  /* while BUILDING; db->mutex */
    _Atomic uint32_t pins;               /* readers and subscriptions that use the store */
    bool forsaken, dropped;              /* it is about to be dropped; it was; db->mutex */
    struct kp_live *next_live, *previous_live; /* of all: db->mutex */
    struct kp_live *next_fed;                  /* of those that the live graph feeds: engine thread */
};

/* A running backfill: one thread. */
struct kp_job {
    struct kp_db *db;
    struct kp_backfill *backfill;
    struct kp_backfill_target *targets; /* in order of dependence */
    struct kp_live **lives;
    size_t target_count;
    const char *what; /* "create", "alter", "refresh" */
    int64_t started_us;
    struct kp_thread thread;
    _Atomic bool cancelled, done;
    struct kp_error error;
    bool failed;
    struct kp_job *next_job;
};

struct kp_sink {
    struct kp_relation *relation; /* referenced */
    struct kp_live *from;         /* pinned */
    struct kp_subscription *subscription;
    uint32_t topic;
    int64_t resume;          /* input position of its last record in the log, -1 if it has none */
    uint32_t resume_version; /* of the view, then */
    _Atomic int64_t marked;  /* the same, of what was appended; -1: nothing */
    _Atomic uint64_t rows;   /* written so far by this process */
    int64_t taken;           /* all before this position is out of the subscription; engine thread */
    _Atomic int64_t through; /* and all before this one is in the log */
    char error[512];         /* why it waits or has stopped; engine thread, under db->mutex for others */
    struct kp_sink *next_sink;
};

struct kp_sink_write;     /* sink.c */
struct kp_call_request;   /* engine.c */
struct kp_dead_letters;   /* dead.c */
struct kp_watermarks;     /* watermarks.c */
struct kp_retention;      /* retention.h */
struct kp_row_locks;      /* row_locks.c */
struct kp_deadlines;      /* deadline.h */
struct kp_advisory_locks; /* advisory.h */
struct kp_expired_list;   /* base.h */

struct kp_db {
    struct kp_db_options options;
    char *dir;
    int64_t max_ahead_us; /* of sources that do not say; 0: any */
    struct kp_os *os, still;
    struct kp_log *log;
    struct kp_columns *columns; /* NULL: none are kept */
    struct kp_catalog *catalog;
    struct kp_view_clock *clock;
    struct kp_budget memory, state_memory, query_memory;
    uint32_t catalog_topic, sinks_topic, ticks_topic; /* ticks: 0 before the first; engine thread */
    int64_t tick_us;                                  /* of the last tick; engine thread */

    /* the engine thread's */
    struct kp_thread engine;
    struct kp_workers *workers, *replay_workers;
    uint32_t parts;
    struct kp_graph *graph;
    struct kp_topic_feed *feeds;
    size_t feed_count, feed_cap;
    int64_t position;
    int64_t *cuts; /* positions at which the replay after open must end a step: sinks' */
    size_t cut_count;

    struct kp_mutex ddl_mutex;
    struct kp_mutex sequence_mutex;
    struct kp_mutex mutex;
    struct kp_cond engine_wake, idle; /* idle: a call, job or build ended, or ready changed */
    struct kp_call_request *calls, **calls_end;
    struct kp_live *lives, *last_live; /* in order of creation */
    struct kp_live *fed;               /* engine thread */
    struct kp_job *jobs;
    struct kp_sink *sinks;
    struct kp_sink_write *sink_writes; /* sink.c */
    void *pinned;                      /* subscriptions of doors with what they pin; open.c */
    bool commit_seen, ready;
    _Atomic bool stop; /* set under the mutex; a step that is under way ends at it */
    bool stepping;     /* the engine is in a step of the live graph: nothing joins or leaves it */
    uint32_t forsaken; /* how many views are about to be dropped */
    bool committing;   /* a transaction */
    struct kp_cond committed;
    struct kp_row_locks *row_locks; /* in the turn to commit */
    struct kp_deadlines *deadlines;
    struct kp_advisory_locks *advisory;
    uint32_t next_relation_id;
    _Atomic bool poisoned;
    _Atomic int64_t
        written; /* behind the last commit of any session: a new session sees what was acknowledged before it came */
    _Atomic uint64_t catalog_generation; /* moves with every change: prepared statements bind again */
    struct kp_error poison;

    struct kp_dead_letters *dead;
    struct kp_watermarks *watermarks;
    struct kp_retention *retention;
    struct kp_moments *moments;
    struct {
        _Atomic uint64_t steps, records, bytes, step_ns, sessions, statements, queries;
        _Atomic int64_t last_step_ns;
    } counters;
};

/* ---- engine.c ---- */

void kp_engine_start(struct kp_db *db);
void kp_engine_stop(struct kp_db *db);
/* The view is about to be dropped: a step that the engine is in ends for it. */
void kp_engine_forsake(struct kp_db *db, struct kp_live *live);
/* Runs fn on the engine thread between two steps and waits for it; returns its result. KP_CLOSED when poisoned or
 * stopping. */
KP_MUST enum kp_code kp_engine_call(struct kp_db *db,
                                    enum kp_code (*fn)(struct kp_db *db, void *arg, struct kp_error *err), void *arg,
                                    struct kp_error *err);
/* The instance is broken: what is acknowledged is safe, nothing more is accepted. */
void kp_db_poison(struct kp_db *db, const struct kp_error *cause);
/* Registers the nodes of sources and tables under a plan in the live graph as readers of their topics. Engine thread.
 */
KP_MUST enum kp_code kp_engine_feed_plan(struct kp_db *db, const struct kp_plan *plan, struct kp_error *err);
KP_MUST enum kp_code kp_engine_feed_relation(struct kp_db *db, struct kp_relation *relation, struct kp_error *err);
/* Forgets the feeds whose nodes have left the graph; to be called when something was dropped from it. Engine thread. */
void kp_engine_prune_feeds(struct kp_db *db);
/* Brings rows to an input of the live graph, before the replay or where it stands. Engine thread. */
KP_MUST enum kp_code kp_engine_bring(struct kp_db *db, struct kp_node *node, struct kp_batch *batch,
                                     struct kp_error *err);
/* Goes to `position` and takes the one group that begins there in a step together with these inputs. Engine thread. */
KP_MUST enum kp_code kp_engine_step_beside(struct kp_db *db, int64_t position, const struct kp_step_input *inputs,
                                           size_t count, struct kp_error *err);
/* The live graph's node of a relation, or NULL. Engine thread. */
struct kp_node *kp_engine_node(void *arg, struct kp_relation *relation);

/* ---- live.c ---- */

/* Makes the live part of a table or view, BUILDING, and hangs it on the relation. backfilled: a job fills it, from
 * another thread; else the engine's own replay does. */
KP_MUST enum kp_code kp_live_create(struct kp_db *db, struct kp_relation *relation,
                                    const struct kp_session_settings *settings, bool backfilled,
                                    struct kp_live **ret_live, struct kp_error *err);
/* Moves it before another one in the list of all. */
void kp_live_put_before(struct kp_db *db, struct kp_live *live, struct kp_live *other);
/* NULL: it has none, or not yet; a sink hangs something else there. */
static inline struct kp_live *kp_live_of(const struct kp_relation *relation)
{
    return relation->kind == KP_RELATION_SINK ? NULL : relation->attached;
}
/* Waits until it is READY and keeps it from being freed; the reason if it FAILED or was dropped. */
KP_MUST enum kp_code kp_live_pin(struct kp_db *db, struct kp_relation *relation, const _Atomic bool *cancel,
                                 struct kp_live **ret_live, struct kp_error *err);
void kp_live_unpin(struct kp_db *db, struct kp_live *live);
/* Whether a subscription may wait for what comes after `position` (negative: it does not resume): 55000, KP_LIMIT,
 * behind the log's end. */
KP_MUST enum kp_code kp_db_check_resume(struct kp_db *db, int64_t position, struct kp_error *err);
/* Its node and output in the live graph: from now on its store follows. Engine thread, or while opening. */
void kp_live_feed(struct kp_db *db, struct kp_live *live, struct kp_node *node, struct kp_output *output);
/* Takes its node and output out of the live graph, with the state that nobody else needs. Engine thread, between steps.
 */
void kp_live_unfeed(struct kp_db *db, struct kp_live *live);
/* Takes it out of the graph; freed when its last reader is gone. Not on the engine thread. */
void kp_live_drop(struct kp_db *db, struct kp_live *live);
void kp_live_fail(struct kp_db *db, struct kp_live *live, const struct kp_error *reason);
void kp_live_destroy_all(struct kp_db *db);

/* ---- jobs.c ---- */

/* Starts a job that builds these relations (all BUILDING) from history and joins them to the live graph. */
KP_MUST enum kp_code kp_job_start(struct kp_db *db, const char *what, struct kp_live **lives, size_t count,
                                  struct kp_job **ret_job, struct kp_error *err);
/* Waits for the job and takes its outcome; the job is gone afterwards. cancel: gives up waiting and cancels it. */
KP_MUST enum kp_code kp_job_wait(struct kp_db *db, struct kp_job *job, const _Atomic bool *cancel,
                                 struct kp_error *err);
void kp_jobs_cancel_all(struct kp_db *db);

/* ---- ddl.c, catalog_log.c ---- */

/* A catalog record: a statement and the settings it was run under. Strings borrowed. */
struct kp_catalog_record {
    struct kp_str text, time_zone, user;
    uint32_t topic; /* of a statement about one: its number, for a name may be used again; else 0 */
    bool sequence;  /* no statement: text is the last number that the sequence may draw (sequence.c) */
    bool uncalled;  /* likewise: it may not yet, and is next */
    struct kp_str name, table, column; /* likewise: of which; of a serial or identity column's own: by the column */
    uint32_t next_relation;            /* of what makes relations: the next number behind theirs; 0: not said */
    struct kp_str reads; /* the numbers of what the first of them reads, with commas; ptr NULL: not said */
};
/* Its batch, for an entry of a group of others. */
KP_MUST enum kp_code kp_catalog_log_build(struct kp_db *db, const struct kp_catalog_record *record,
                                          struct kp_buf *ret_batch, struct kp_error *err);
struct kp_log_entry kp_catalog_log_entry(const struct kp_db *db, const struct kp_catalog_record *record,
                                         const struct kp_buf *batch);
/* Appends it to the log, and in the same group what comes with it (count 0: nothing), durable on return; *ret_end is
 * behind all. */
KP_MUST enum kp_code kp_catalog_log_append(struct kp_db *db, const struct kp_catalog_record *record,
                                           const struct kp_log_entry *with, size_t count, int64_t *ret_position,
                                           int64_t *ret_end, struct kp_error *err);
/* Calls each for every catalog record in order, with its position. */
KP_MUST enum kp_code kp_catalog_log_read(struct kp_db *db,
                                         enum kp_code (*each)(struct kp_db *db, const struct kp_catalog_record *record,
                                                              int64_t position, struct kp_error *err),
                                         struct kp_error *err);
/* Applies a record while opening: the catalog only, no jobs. */
KP_MUST enum kp_code kp_ddl_replay(struct kp_db *db, const struct kp_catalog_record *record, int64_t position,
                                   struct kp_error *err);

/* ---- writes.c ---- */

/* One at a time commits to tables, or changes one: waits for its turn. cancelled: gives up; limit_ns 0: no
 * lock_timeout.
 */
KP_MUST enum kp_code kp_commit_turn_begin(struct kp_db *db, const _Atomic bool *cancelled, int64_t limit_ns,
                                          struct kp_error *err);
void kp_commit_turn_end(struct kp_db *db);

/* ---- sink.c ---- */

/* Reads how far each sink has written. While opening. */
KP_MUST enum kp_code kp_sinks_recover(struct kp_db *db, struct kp_error *err);
struct kp_sink *kp_sink_add(struct kp_db *db, struct kp_relation *relation, int64_t resume); /* not attached yet */
/* Engine thread: begins to follow its view, from its last record or with all rows. */
KP_MUST enum kp_code kp_sink_attach(struct kp_db *db, struct kp_relation *relation, struct kp_error *err);
void kp_sink_detach(struct kp_db *db, struct kp_relation *relation); /* engine thread */
/* Engine thread, after a publish: writes what changed, one atomic group for all sinks. */
KP_MUST enum kp_code kp_sinks_emit(struct kp_db *db, struct kp_error *err);
/* Engine thread: waits until what was emitted is in the log; a full disk ends the waiting, and it is tried again later.
 */
KP_MUST enum kp_code kp_sinks_wait(struct kp_db *db, struct kp_error *err);
/* Engine thread: the same until nothing is left; KP_BUSY: a full disk refuses it. */
KP_MUST enum kp_code kp_sinks_written(struct kp_db *db, struct kp_error *err);
/*
 * Engine thread, before records go: what sinks have taken is in the log, if need be in the room of the disk's reserve,
 * and all of them are marked at the published position, or KP_BUSY: the disk is full, or one that follows what comes of
 * the topic (NULL: of none) has stopped or waits. A restart begins with what was kept of the records, so a sink that
 * had left off before them would miss what they changed.
 */
KP_MUST enum kp_code kp_sinks_settle(struct kp_db *db, const char *topic, struct kp_error *err);
/* Engine thread: the same for a restart's sake: none would go on from `position` or before it; else KP_BUSY. */
KP_MUST enum kp_code kp_sinks_pass(struct kp_db *db, int64_t position, struct kp_error *err);
/* While opening: would one go on from `position` or before it? */
bool kp_sinks_owe(const struct kp_db *db, int64_t position);
KP_MUST enum kp_code kp_sink_is_behind(const struct kp_relation *sink, struct kp_error *err); /* KP_BUSY, and why */
bool kp_sinks_pending(struct kp_db *db); /* something emitted is not known to be in the log; engine thread */
void kp_sinks_finish(struct kp_db *db);  /* forgets what is not written; the log is closed */
KP_MUST enum kp_code kp_sink_check(const struct kp_relation *relation, struct kp_error *err); /* options */
/* A sink that is to be made does not feed itself, through other sinks or by itself: it would write without end. */
KP_MUST enum kp_code kp_sink_check_loop(struct kp_db *db, const struct kp_relation *relation, struct kp_error *err);
/* Engine thread, after names were switched: sinks go over to the promoted version of their view and write the
 * difference. */
KP_MUST enum kp_code kp_sinks_switch(struct kp_db *db, struct kp_error *err);

/* ---- tick.c: engine thread ---- */

/* When the log's time must have moved although no record comes: unix microseconds, INT64_MAX: never. */
int64_t kp_tick_due_us(struct kp_db *db);
/* Writes a record that says no more than that: durable on return. */
KP_MUST enum kp_code kp_tick_write(struct kp_db *db, struct kp_error *err);

/* ---- dead.c ---- */

struct kp_dead_letters *kp_dead_letters_create(void);
void kp_dead_letters_destroy(struct kp_dead_letters *dead);
/* Any thread; a record that is there already is not counted again (arg is the db). */
void kp_dead_letter_note(void *arg, const struct kp_relation *relation, const struct kp_dead_letter *letter);

/* ---- watermarks.c ---- */

struct kp_watermarks *kp_watermarks_create(void);
void kp_watermarks_destroy(struct kp_watermarks *watermarks);
void kp_watermarks_note(struct kp_db *db); /* how far sources are now: engine thread, after a step */

/* ---- system.c ---- */

/* Adds kappa.*, pg_catalog.* and information_schema.* to the catalog. */
KP_MUST enum kp_code kp_system_tables_add(struct kp_db *db, struct kp_error *err);

#endif
