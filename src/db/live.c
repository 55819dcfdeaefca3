/* The live part of tables and views: made, waited for, pinned by readers, dropped. See instance.h for its life. */
#include "db/base.h"
#include "db/moment.h"

enum kp_code kp_live_create(struct kp_db *db, struct kp_relation *relation, const struct kp_session_settings *settings,
                            bool backfilled, struct kp_live **ret_live, struct kp_error *err)
{
    struct kp_live *live = kp_calloc(1, sizeof *live);
    struct kp_store_options options = {.clock = db->clock,
                                       .cols = relation->cols,
                                       .col_count = relation->col_count,
                                       .keys = relation->keys,
                                       .key_count = relation->key_count,
                                       .budget = &db->state_memory,
                                       .hidden = backfilled,
                                       .skip_errors = relation->skip_errors};
    live->store = kp_store_create(&options);
    live->relation = kp_relation_ref(relation);
    live->settings = *settings;
    live->settings.log = kp_moments_facts(db->moments);
    relation->attached = live;
    kp_mutex_lock(&db->mutex);
    live->previous_live = db->last_live;
    if (db->last_live) /* in order of creation: a view comes after what it reads */
        db->last_live->next_live = live;
    else
        db->lives = live;
    db->last_live = live;
    kp_mutex_unlock(&db->mutex);
    *ret_live = live;
    return KP_OK;
}

void kp_live_put_before(struct kp_db *db, struct kp_live *live, struct kp_live *other)
{
    kp_mutex_lock(&db->mutex);
    struct kp_live *before = live->previous_live, *after = live->next_live;
    *(before ? &before->next_live : &db->lives) = after;
    *(after ? &after->previous_live : &db->last_live) = before;
    live->previous_live = other->previous_live;
    live->next_live = other;
    *(other->previous_live ? &other->previous_live->next_live : &db->lives) = live;
    other->previous_live = live;
    kp_mutex_unlock(&db->mutex);
}

static enum kp_code state_error(struct kp_db *db, struct kp_live *live, struct kp_error *err)
{
    const struct kp_relation *relation = live->relation;
    if (live->dropped)
        return kp_fail(err, KP_NOT_FOUND, "42P01", "relation \"%s\" was dropped", relation->name);
    if (atomic_load(&live->state) != KP_LIVE_FAILED)
        return KP_OK;
    if (err)
        *err = live->error;
    kp_error_context(err, "materialized view \"%s\" stopped", relation->name);
    return live->error.code;
}

enum kp_code kp_live_pin(struct kp_db *db, struct kp_relation *relation, const _Atomic bool *cancel,
                         struct kp_live **ret_live, struct kp_error *err)
{
    KP_TRY(kp_db_health(db, err));
    kp_mutex_lock(&db->mutex);
    struct kp_live *live = kp_live_of(relation);
    if (!live) {
        kp_mutex_unlock(&db->mutex);
        return kp_fail(err, KP_NOT_FOUND, "42P01", "relation \"%s\" was dropped", relation->name);
    }
    while (!live->dropped && (!db->ready || atomic_load(&live->state) == KP_LIVE_BUILDING) &&
           !(cancel && atomic_load(cancel)) && !atomic_load(&db->poisoned) && !db->stop)
        kp_cond_wait_us(&db->idle, &db->mutex, 100000);
    enum kp_code code = state_error(db, live, err);
    if (code == KP_OK && cancel && atomic_load(cancel))
        code = kp_fail(err, KP_CANCELLED, NULL, "canceling statement due to user request");
    if (code == KP_OK && atomic_load(&live->state) != KP_LIVE_READY)
        code = kp_fail(err, KP_CLOSED, NULL, "the instance is closing");
    if (code == KP_OK)
        atomic_fetch_add(&live->pins, 1);
    kp_mutex_unlock(&db->mutex);
    KP_TRY(code);
    *ret_live = live;
    return KP_OK;
}

static void destroy(struct kp_live *live)
{
    kp_store_destroy(live->store);
    if (live->expired)
        kp_expired_finish(live->expired);
    kp_free(live->expired);
    kp_relation_unref(live->relation);
    kp_free(live);
}

/* Frees a dropped one when its last reader is gone. db->mutex is held, and given back. */
static void release_locked(struct kp_db *db, struct kp_live *live)
{
    bool gone = live->dropped && atomic_load(&live->pins) == 0;
    if (gone) {
        struct kp_live *before = live->previous_live, *after = live->next_live;
        *(before ? &before->next_live : &db->lives) = after;
        *(after ? &after->previous_live : &db->last_live) = before;
        live->relation->attached = NULL; /* under the mutex: kp_live_pin looks at it there */
    }
    kp_mutex_unlock(&db->mutex);
    if (gone)
        destroy(live);
}

void kp_live_unpin(struct kp_db *db, struct kp_live *live)
{
    kp_mutex_lock(&db->mutex);
    KP_ASSERT(atomic_load(&live->pins) > 0);
    atomic_fetch_sub(&live->pins, 1);
    release_locked(db, live);
}

void kp_live_feed(struct kp_db *db, struct kp_live *live, struct kp_node *node, struct kp_output *output)
{
    live->node = node;
    live->output = output;
    kp_output_set_owner(output, live);
    live->next_fed = db->fed;
    db->fed = live;
    atomic_store(&live->state, KP_LIVE_READY);
}

void kp_live_unfeed(struct kp_db *db, struct kp_live *live)
{
    for (struct kp_live **at = &db->fed; *at; at = &(*at)->next_fed)
        if (*at == live) {
            *at = live->next_fed;
            break;
        }
    kp_store_set_end(live->store);
    if (live->output)
        kp_graph_drop_output(db->graph, live->output);
    if (live->node)
        kp_graph_drop(db->graph, live->node);
    for (size_t i = 0; live->expired && i < live->expired->count; i++)
        kp_graph_drop(db->graph, live->expired->items[i].node); /* its input: kept without users until now */
    if (live->expired)
        kp_expired_finish(live->expired);
    live->output = NULL;
    live->node = NULL;
    kp_engine_prune_feeds(db);
}

static enum kp_code leave_graph(struct kp_db *db, void *arg, struct kp_error *err)
{
    kp_live_unfeed(db, arg);
    return KP_OK;
}

void kp_live_drop(struct kp_db *db, struct kp_live *live)
{
    struct kp_error why;
    if (live->node && kp_engine_call(db, leave_graph, live, &why) != KP_OK)
        return; /* broken or closing: the engine may be in a step with it. kp_live_destroy_all takes it */
    kp_store_close_subscriptions(live->store);
    kp_mutex_lock(&db->mutex);
    live->dropped = true;
    db->forsaken -= live->forsaken;
    kp_cond_broadcast(&db->idle);
    release_locked(db, live);
}

void kp_live_fail(struct kp_db *db, struct kp_live *live, const struct kp_error *reason)
{
    kp_mutex_lock(&db->mutex);
    live->error = *reason;
    bool forsaken = live->forsaken;
    atomic_store(&live->state, KP_LIVE_FAILED);
    kp_cond_broadcast(&db->idle);
    kp_mutex_unlock(&db->mutex);
    kp_store_fail(live->store, reason); /* for those who have pinned it already */
    kp_store_close_subscriptions(live->store);
    if (db->options.notice && !forsaken) {
        struct kp_error text = *reason;
        kp_error_context(&text, "%s \"%s\" stopped",
                         live->relation->kind == KP_RELATION_TABLE ? "table" : "materialized view",
                         live->relation->name);
        db->options.notice(db->options.arg, 'E', text.message);
    }
}

void kp_live_destroy_all(struct kp_db *db)
{
    while (db->lives) {
        struct kp_live *live = db->lives;
        db->lives = live->next_live;
        if (!db->lives)
            db->last_live = NULL;
        kp_store_close_subscriptions(live->store);
        live->relation->attached = NULL;
        destroy(live);
    }
}
