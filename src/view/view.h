/*
 * Views: the rows of a relation at every position that somebody still reads.
 *
 * A store keeps row versions: each version has the position at which it came and at which it went (or none), and a
 * multiplicity. The engine applies a step's changes to all stores and then moves the published position; readers hold a
 * snapshot (a position) and see exactly the versions alive there, while the engine goes on. Versions that no snapshot
 * can see are reused. Two indexes: by whole row (to apply retractions) and, if the relation has a known key, by key.
 *
 * Threads: apply and publish belong to the engine thread; snapshots, scans and lookups may run on any thread at the
 * same time. A hidden store (a backfill) may be applied to by another thread until kp_store_set_start, which is the
 * engine's.
 */
#ifndef KP_VIEW_VIEW_H
#define KP_VIEW_VIEW_H

#include "flow/flow.h"

/* All stores of a group share one: the published position and who reads. */
struct kp_view_clock;
struct kp_view_clock *kp_view_clock_create(void);
void kp_view_clock_destroy(struct kp_view_clock *clock);
int64_t kp_view_clock_position(struct kp_view_clock *clock);
int64_t kp_view_clock_time_us(struct kp_view_clock *clock); /* log time of the published position, unix microseconds */
/* Makes everything applied visible at once, and wakes waiters and listeners. Engine thread. */
void kp_view_clock_publish(struct kp_view_clock *clock, int64_t position, int64_t log_time_us);
/* Waits until the published position is at least `position`; false on timeout (negative: never) or kp_view_clock_wake.
 */
bool kp_view_clock_wait(struct kp_view_clock *clock, int64_t position, int64_t timeout_us);
void kp_view_clock_wake(struct kp_view_clock *clock);

/* A reader's position: what it sees stays until release. */
struct kp_snapshot {
    int64_t position;
    uint32_t slot;
};
void kp_snapshot_acquire(struct kp_view_clock *clock, struct kp_snapshot *ret_snapshot); /* at the published position */
void kp_snapshot_release(struct kp_view_clock *clock, struct kp_snapshot *snapshot);

struct kp_store;
struct kp_store_options {
    struct kp_view_clock *clock;
    const struct kp_column *cols; /* copied */
    uint32_t col_count;
    const uint32_t *keys; /* a unique key, for lookups; key_count 0: none */
    uint32_t key_count;
    struct kp_budget *budget;
    uint64_t changes_bytes_max; /* recent changes kept for subscribers that resume; 0: 16 MiB */
    /* A view that is being backfilled: publish passes it by, readers and subscribers are refused and nothing is kept
     * for them, until kp_store_set_start. Its positions may be older than the published one. */
    bool hidden;
    bool skip_errors; /* error rows are kept and can be read, but do not stop readers and subscribers */
};
struct kp_store *kp_store_create(const struct kp_store_options *options);
void kp_store_destroy(struct kp_store *store); /* NULL is fine; no snapshot or subscription may be in use */

/* Applies one step's changes, visible from position_end on, once published. Strings are copied. Engine thread. */
KP_MUST enum kp_code kp_store_apply(struct kp_store *store, const struct kp_changes *changes, int64_t position_end,
                                    struct kp_error *err);
/* What the rows are computed by has stopped: whoever reads is told the cause, of which the first counts. Any thread. */
void kp_store_fail(struct kp_store *store, const struct kp_error *cause);
/* The position from which on the store is complete (a view that was backfilled later than others): snapshots before it
 * are refused. Ends `hidden`; everything applied by then is part of that position. Engine thread. */
void kp_store_set_start(struct kp_store *store, int64_t position);
/* Nothing more will be applied: snapshots behind what is published now are refused, with 42P01. Engine thread. */
void kp_store_set_end(struct kp_store *store);

struct kp_store_stats {
    uint64_t rows;     /* with multiplicities, at the published position */
    uint64_t versions; /* rows kept, dead ones included */
    uint64_t bytes;
    uint64_t errors;  /* error rows standing */
    uint64_t hash[2]; /* commutative hash of all rows */
};
void kp_store_stats(struct kp_store *store, struct kp_store_stats *ret_stats);

/* A store that can be read at the snapshot and has no error rows standing there: KP_OK. If error rows stand: KP_INVALID
 * with the first one's SQLSTATE, message and log_position (least position, then text). */
KP_MUST enum kp_code kp_store_check(struct kp_store *store, const struct kp_snapshot *snapshot, struct kp_error *err);
/* The error rows that stand at a snapshot: position bigint (NULL: not known), sqlstate text, message text. */
enum { KP_STORE_ERROR_COLUMNS = 3 };
KP_MUST enum kp_code kp_store_scan_errors(struct kp_store *store, const struct kp_snapshot *snapshot,
                                          struct kp_arena *arena,
                                          enum kp_code (*emit)(void *arg, struct kp_batch *batch, struct kp_error *err),
                                          void *arg, struct kp_error *err);

/* The same as the flow gave them, with their multiplicities as weights, at the published position; none of a view that
 * skips them. Engine thread. Messages are in arena. */
void kp_store_errors(struct kp_store *store, struct kp_arena *arena, struct kp_flow_error **ret_errors,
                     size_t *ret_count);

/* All rows at the snapshot, in batches with weights where a multiplicity is not 1; columns: indexes wanted. Batches and
 * strings are copied into arena, so they outlive the snapshot. */
typedef enum kp_code (*kp_store_emit)(void *arg, struct kp_batch *batch, struct kp_error *err);
KP_MUST enum kp_code kp_store_scan(struct kp_store *store, const struct kp_snapshot *snapshot, const uint32_t *columns,
                                   uint32_t column_count, struct kp_arena *arena, kp_store_emit emit, void *arg,
                                   struct kp_error *err);
/* The row of a key (in order of options.keys), all columns asked for; NULL batch if there is none. */
KP_MUST enum kp_code kp_store_lookup(struct kp_store *store, const struct kp_snapshot *snapshot,
                                     const struct kp_datum *key, const uint32_t *columns, uint32_t column_count,
                                     struct kp_arena *arena, struct kp_batch **ret_batch, struct kp_error *err);

/* Whether the key has a row at the snapshot, and whether that is the one that it had at the position `since`, which the
 * caller's own snapshot holds. */
enum kp_store_key_state { KP_KEY_MISSING, KP_KEY_SAME, KP_KEY_CHANGED };
KP_MUST enum kp_code kp_store_key_state(struct kp_store *store, const struct kp_snapshot *snapshot,
                                        const struct kp_datum *key, int64_t since, enum kp_store_key_state *ret_state,
                                        struct kp_error *err);

/* ---- subscriptions ---- */

struct kp_subscription;
struct kp_subscription_options {
    bool snapshot;            /* begin with all rows at the start position; without effect if resume is given */
    int64_t resume;           /* -1: from now; else changes after this position: KP_LIMIT if they are no longer kept */
    bool past_errors;         /* error rows hold nothing back; kp_store_errors tells them */
    bool changes_only;        /* no items of mere progress, and no wake-ups for it */
    bool any_version;         /* goes on when the store is superseded */
    uint64_t queue_bytes_max; /* 0: 64 MiB; a subscriber further behind is cut off */
    /* Called on the engine thread when something became ready after kp_subscription_next had found nothing; must not
     * block nor call functions of view/. May be NULL. */
    void (*notify)(void *arg);
    void *arg;
};
KP_MUST enum kp_code kp_subscribe(struct kp_store *store, const struct kp_subscription_options *options,
                                  struct kp_subscription **ret_subscription, struct kp_error *err);
void kp_unsubscribe(struct kp_subscription *subscription);

/* What a subscriber gets: all changes that became visible at one position. */
struct kp_subscription_item {
    int64_t position;
    int64_t log_time_us;
    bool is_snapshot;       /* rows that were there at the start; several such items may come before the first change */
    bool last_of_position;  /* nothing more comes at this position: it is complete up to here */
    struct kp_batch *batch; /* weights always there; NULL: only progress */
};
/*
 * Takes the next item, waiting at most timeout_us (0: not at all; negative: for ever). *ret_ready false: nothing yet.
 * KP_LIMIT: cut off for being too slow, hint names the position to resume from. An error row of the view: its error,
 * before that position's rows. KP_CLOSED: the view was dropped or superseded; if it has stopped, the cause. Batches
 * live in arena.
 */
KP_MUST enum kp_code kp_subscription_next(struct kp_subscription *subscription, int64_t timeout_us,
                                          struct kp_arena *arena, struct kp_subscription_item *ret_item,
                                          bool *ret_ready, struct kp_error *err);
/* Engine thread or dropper: subscribers get KP_CLOSED after what is queued. */
void kp_store_close_subscriptions(struct kp_store *store);
/* Engine thread, between steps: from the published position on, readers are given another store's rows. Subscribers get
 * what came up to it, then KP_CLOSED. */
void kp_store_supersede(struct kp_store *store);
/* Engine thread, between steps: the store from which readers get rows from now on. No subscription resumes from before,
 * with another one's rows. */
void kp_store_take_over(struct kp_store *store);

#endif
