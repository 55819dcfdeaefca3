/*
 * Bases: what views keep of records that have expired.
 *
 * A view's base is the rows of the expired records of a source, as far as the view reads them: equal rows added up, in
 * a form that knows nothing of operators or their state, so that every later version of kappa can read it. It is truth,
 * not a cache: records of the internal topic __kappa_bases,
 *
 *   key     "<number of the decision> <number of the view> <number of the source>"
 *   value   rows as COPY writes text: a header line _count, _watermark and columns by name, then a line a row;
 *           _watermark: the source's at the row's record in microseconds since 2000 if late rows matter to the view,
 *           else \N
 *
 * that count if a decision (db/expiry.h) names their number. Each decision adds the rows that it makes expire. After a
 * restart a view is computed from its base's rows and the records that are left: the same operators, the same answer.
 * When a view is dropped its base goes, too, as soon as no base before it in the topic is of a view that is there.
 *
 * A view declared ON EXPIRY RETRACT keeps none: the rows are taken away from it at the decision's position. If a sink
 * follows it, the power may go before the sink has written that; so those rows are logged before the decision, too, in
 * the same form, in __kappa_retractions: after such a start the view has them again until the sink has taken up where
 * it left off. They are forgotten when all sinks have come by.
 */
#ifndef KP_DB_BASE_H
#define KP_DB_BASE_H

#include "db/expiry.h"

#define KP_BASES_TOPIC       "__kappa_bases"
#define KP_RETRACTIONS_TOPIC "__kappa_retractions"

/* Where a view's plan takes expired rows of its sources: nodes of one graph. */
struct kp_expired {
    struct kp_relation *source; /* the view's plan references it */
    struct kp_node *node;
    uint32_t *columns;
    uint32_t count;
};
struct kp_expired_list {
    struct kp_relation *view;
    bool growing;
    struct kp_expired *items;
    size_t count;
};
void kp_expired_finish(struct kp_expired_list *list); /* the nodes stay their graph's */
/* A kp_expired_of; arg: struct kp_expired_list. */
struct kp_node *kp_expired_hook(void *arg, struct kp_graph *graph, struct kp_relation *source);
/* The live view gets a list: its plan will be built with the hook. */
void kp_live_expires(struct kp_live *live);
/* Whether there may be a base of the view. */
bool kp_base_may_have(struct kp_db *db, const struct kp_relation *view);

/* The numbers and times of decisions: retention.c keeps them. */
bool kp_retention_has_bases(struct kp_db *db);
bool kp_retention_knows_base(struct kp_db *db, int64_t number);
void kp_retention_add_base(struct kp_db *db, int64_t number);
/* The last decision that took rows from views that sinks follow: the number of those rows; position -1: none did. */
struct kp_retractions {
    int64_t number, position;
};
void kp_retention_put_retractions(struct kp_db *db, struct kp_retractions retractions);
struct kp_retractions kp_retention_retractions(struct kp_db *db);

/* What sources have seen of time, at the last decision: restored into nodes before they read what is left. */
struct kp_times {
    uint32_t relation;
    int64_t watermark;
    struct kp_source_time *times;
    uint32_t count;
};
void kp_retention_put_times(struct kp_db *db, const struct kp_times *times); /* takes the array over */
void kp_retention_restore_times(struct kp_db *db, const struct kp_relation *relation, struct kp_node *node);

/*
 * Reads all bases and brings the rows: step(arg, node, batch) is called with batches that live until it returns, for
 * each node that node_of gives (NULL: not wanted).
 */
struct kp_base_reader {
    const struct kp_expired *(*node_of)(void *arg, uint32_t view, uint32_t source);
    enum kp_code (*step)(void *arg, struct kp_node *node, struct kp_batch *batch, struct kp_error *err);
    void *arg;
};
KP_MUST enum kp_code kp_base_read(struct kp_db *db, const struct kp_base_reader *reader, struct kp_error *err);
/* Into the live graph, with the times. Engine thread, before the replay. */
KP_MUST enum kp_code kp_base_restore(struct kp_db *db, struct kp_error *err);
/* The same for what the last decision took from RETRACT views (back: it goes again). Engine thread, in the replay. */
KP_MUST enum kp_code kp_base_restore_retractions(struct kp_db *db, bool back, struct kp_error *err);
/* Trims __kappa_retractions if sinks have come by, and marks them there; else KP_BUSY. ddl_mutex is held. */
KP_MUST enum kp_code kp_base_forget_retractions(struct kp_db *db, struct kp_error *err);

/* Lets go of bases whose views were dropped, up to the first one that is needed: a decision like any other
 * (db/expiry.h), of the topic __kappa_bases. ddl_mutex is held. */
KP_MUST enum kp_code kp_base_free(struct kp_db *db, struct kp_error *err);

/* ---- making them ---- */

struct kp_base_maker; /* the rows that one decision makes expire, by the views that read them */
/* Reads the records. from: nothing of the topic lies before this position (a group's start). */
KP_MUST enum kp_code kp_base_make(struct kp_db *db, const struct kp_expiry *expiry, int64_t from, int64_t end,
                                  struct kp_base_maker **ret_maker, struct kp_error *err);
void kp_base_maker_destroy(struct kp_base_maker *maker); /* NULL is fine */
/* Logs the bases; *ret_number 0: there are none. Then what the decision must say about bases and times. */
KP_MUST enum kp_code kp_base_log(struct kp_base_maker *maker, int64_t *ret_number, struct kp_error *err);
void kp_base_describe(const struct kp_base_maker *maker, struct kp_buf *out);
void kp_base_note(struct kp_base_maker *maker, int64_t position); /* the decision is logged, there: times hold */
/* What is to be taken away from RETRACT views: inputs of the live graph's nodes. Engine thread. */
size_t kp_base_retractions(const struct kp_base_maker *maker, struct kp_step_input **ret_inputs);

#endif
