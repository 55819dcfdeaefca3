/*
 * Backfill: new relations computed from history in a graph of their own, until they meet the live position.
 *
 *        log ─► sources, tables ─┐
 *   live stores ─► subscriptions ─┴─► private graph ─► outputs ─► stores     … meets the live graph ─► merged into it
 *
 * A source is read from the log, from its beginning, in large steps. A view or table that lives already is not computed
 * again: its rows at the position where the backfill began come as one snapshot, later changes as they are published.
 *
 * Invariants
 *   1. Everything the private graph has seen lies before `position`; outputs are stored at that position.
 *   2. kp_backfill_begin and kp_backfill_meet run on the engine thread, between two of its steps; between them the
 * job's own thread calls kp_backfill_advance. Never two at once.
 *   3. What the stores hold after kp_backfill_meet is what a graph that lived from the log's beginning would hold (the
 * law).
 */
#ifndef KP_REPLAY_BACKFILL_H
#define KP_REPLAY_BACKFILL_H

#include <stdatomic.h>

#include "replay/history.h"
#include "view/view.h"

struct kp_backfill;

/* A relation that is built: its store (borrowed) gets the rows. After kp_backfill_meet node and output are in the live
 * graph. */
struct kp_backfill_target {
    struct kp_relation *relation; /* a TABLE or a VIEW; referenced by the caller */
    struct kp_store *store;
    struct kp_session_settings settings; /* frozen for the view; zone borrowed */
    struct kp_node *node;                /* out */
    struct kp_output *output;            /* out */
};

struct kp_backfill_options {
    struct kp_log *log;
    struct kp_columns *columns; /* NULL: everything is decoded */
    struct kp_view_clock *clock;
    struct kp_workers *workers;
    uint32_t parts;
    struct kp_budget *budget;
    uint64_t step_bytes_max;
    int64_t max_ahead_us;               /* as of the live graph */
    const _Atomic bool *cancel;         /* stops it, besides kp_backfill_cancel, within a step too; NULL: nobody's */
    struct kp_backfill_target *targets; /* borrowed; in order of dependence */
    size_t target_count;
    /* The live store of a relation that a plan reads, or NULL if it is not live. */
    struct kp_store *(*live_store)(void *arg, struct kp_relation *relation);
    void (*dead)(void *arg, const struct kp_relation *relation, const struct kp_dead_letter *letter);
    void *arg;
    /* The node beside a target's source for rows whose records have expired, or NULL; may be NULL. */
    struct kp_node *(*expired)(void *expired_arg, const struct kp_backfill_target *target, struct kp_graph *graph,
                               struct kp_relation *source);
    void *expired_arg;
    void (*source_made)(void *arg, struct kp_relation *source, struct kp_node *node); /* before it reads; may be NULL */
};

/* Builds the private graph. Nothing is read yet. */
KP_MUST enum kp_code kp_backfill_create(const struct kp_backfill_options *options, struct kp_backfill **ret_backfill,
                                        struct kp_error *err);
void kp_backfill_destroy(struct kp_backfill *backfill); /* NULL is fine; live graph and stores untouched */

/* Brings rows to an expired node; before anything is read. */
KP_MUST enum kp_code kp_backfill_bring(struct kp_backfill *backfill, struct kp_node *node, struct kp_batch *batch,
                                       struct kp_error *err);
/* Subscribes to the live stores at the published position. Engine thread. */
KP_MUST enum kp_code kp_backfill_begin(struct kp_backfill *backfill, struct kp_error *err);
/* Takes in everything before `position` (at most the published one). Own thread. KP_CANCELLED after kp_backfill_cancel.
 */
KP_MUST enum kp_code kp_backfill_advance(struct kp_backfill *backfill, int64_t position, struct kp_error *err);
/* Like kp_backfill_advance, but aggregates and top-N hold their changes back: more follows, and an advance ends it. It
 * may stop short of the position, where a chunk of history columns ends. */
KP_MUST enum kp_code kp_backfill_read(struct kp_backfill *backfill, int64_t position, struct kp_error *err);
/*
 * Advances to `position`, the live graph's own, merges the graphs and gives the targets their nodes and outputs there.
 * live_node: the node of a relation in the live graph, NULL if it has none. Engine thread. Destroys the private graph.
 */
KP_MUST enum kp_code kp_backfill_meet(struct kp_backfill *backfill, int64_t position, struct kp_graph *live,
                                      struct kp_node *(*live_node)(void *arg, struct kp_relation *relation), void *arg,
                                      struct kp_error *err);

void kp_backfill_cancel(struct kp_backfill *backfill);             /* any thread */
void kp_backfill_pause(struct kp_backfill *backfill, bool paused); /* any thread */

/* Any thread. */
struct kp_backfill_progress {
    int64_t position, target; /* target: the published position when last looked at */
    uint64_t bytes_read, records_read;
    double seconds; /* since begin */
    bool paused;
};
void kp_backfill_progress(struct kp_backfill *backfill, struct kp_backfill_progress *ret_progress);

#endif
