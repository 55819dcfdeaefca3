/*
 * AS OF: the past is not kept, it is computed again. Tables and views that a query reads, and all that those read, are
 * built from the log in a private graph (replay/backfill.h) that goes as far as the asked position and no further; the
 * query then reads their stores. The answer is what a reader would have got then: only the log decides. At a position
 * in a group of records (a transaction) that is the answer before the group. Views mean what they mean now: it is their
 * present definition over the past.
 */
#include "db/travel.h"

#include "db/base.h"
#include "db/moment.h"
#include "db/retention.h"

struct kp_travel {
    struct kp_session *session;
    struct kp_view_clock *clock;
    struct kp_backfill_target *targets; /* in order of dependence; relations referenced */
    struct kp_expired_list **expired;   /* of the targets; NULL: none */
    size_t count, cap;
    struct kp_backfill *backfill;
    struct kp_snapshot snapshot;
    bool has_snapshot;
};

/* ---- which position ---- */

enum kp_code kp_travel_position(struct kp_session *session, const struct kp_statement *statement, int64_t *ret_position,
                                struct kp_error *err)
{
    int64_t end = kp_log_position(session->db->log);
    struct kp_moment moment = {.at = statement->as_of_position};
    if (statement->as_of == KP_AS_OF_TIMESTAMP) {
        struct kp_arena arena = {0};
        enum kp_code code = kp_value_parse(KP_TYPE(KP_TIMESTAMPTZ), kp_str(statement->as_of_timestamp), session->zone,
                                           &arena, &moment.at, err);
        kp_arena_finish(&arena);
        KP_TRY(code);
        moment.is_time = true;
    } else if (moment.at < 0 || moment.at > end) {
        (void)kp_fail(err, KP_INVALID, NULL, "position %lld lies in the future: the log has %lld records",
                      (long long)moment.at, (long long)end);
        return kp_error_hint(err, "Leave AS OF away to read what is visible now.");
    }
    return kp_moment_position(session->db, moment, ret_position, err);
}

/* ---- what is to be built ---- */

static bool has_target(const struct kp_travel *travel, const struct kp_relation *relation)
{
    for (size_t i = 0; i < travel->count; i++)
        if (travel->targets[i].relation == relation)
            return true;
    return false;
}

static void add_target(struct kp_travel *travel, struct kp_relation *relation)
{
    if (travel->count == travel->cap) {
        travel->cap = travel->cap ? 2 * travel->cap : 8;
        travel->targets = kp_realloc(travel->targets, travel->cap * sizeof *travel->targets);
        travel->expired = kp_realloc(travel->expired, travel->cap * sizeof(struct kp_expired_list *));
    }
    struct kp_store_options options = {.clock = travel->clock,
                                       .cols = relation->cols,
                                       .col_count = relation->col_count,
                                       .keys = relation->keys,
                                       .key_count = relation->key_count,
                                       .budget = &travel->session->db->query_memory,
                                       .hidden = true,
                                       .skip_errors = relation->skip_errors};
    travel->expired[travel->count] = NULL;
    if (kp_base_may_have(travel->session->db, relation)) {
        struct kp_expired_list *expired = travel->expired[travel->count] = kp_calloc(1, sizeof *expired);
        *expired = (struct kp_expired_list){.view = relation, .growing = true};
    }
    travel->targets[travel->count++] = (struct kp_backfill_target){.relation = kp_relation_ref(relation),
                                                                   .store = kp_store_create(&options),
                                                                   .settings = kp_live_of(relation)->settings};
}

static enum kp_code add_plan(struct kp_travel *travel, const struct kp_plan *plan, struct kp_error *err);

/* What it reads comes first, so that the order is that of dependence. */
static enum kp_code add_relation(struct kp_travel *travel, struct kp_relation *relation, struct kp_error *err)
{
    if (relation->kind == KP_RELATION_SEQUENCE)
        return kp_fail(err, KP_UNSUPPORTED, NULL, "the sequence \"%s\" has no past", relation->name);
    if (relation->kind == KP_RELATION_SYSTEM)
        return kp_fail(err, KP_UNSUPPORTED, NULL, "the system table \"%s\" has no past", relation->name);
    if ((relation->kind != KP_RELATION_TABLE && relation->kind != KP_RELATION_VIEW) || has_target(travel, relation))
        return KP_OK;
    struct kp_live *live; /* pinned: its settings are read */
    KP_TRY(kp_live_pin(travel->session->db, relation, &travel->session->cancelled, &live, err));
    enum kp_code code = relation->plan ? add_plan(travel, relation->plan->plan, err) : KP_OK;
    if (code == KP_OK)
        add_target(travel, relation);
    kp_live_unpin(travel->session->db, live);
    return code;
}

static enum kp_code add_plan(struct kp_travel *travel, const struct kp_plan *plan, struct kp_error *err)
{
    for (uint32_t i = 0; i < plan->input_count; i++)
        KP_TRY(add_plan(travel, plan->inputs[i], err));
    return plan->kind == KP_PLAN_SCAN ? add_relation(travel, plan->scan.relation, err) : KP_OK;
}

/* ---- building ---- */

static struct kp_store *nothing_lives(void *arg, struct kp_relation *relation)
{
    return NULL;
}

static void ignore_dead(void *arg, const struct kp_relation *relation, const struct kp_dead_letter *letter)
{
}

static struct kp_node *expired_node(void *arg, const struct kp_backfill_target *target, struct kp_graph *graph,
                                    struct kp_relation *source)
{
    struct kp_travel *travel = arg;
    struct kp_expired_list *expired = travel->expired[target - travel->targets];
    return expired ? kp_expired_hook(expired, graph, source) : NULL;
}

static const struct kp_expired *find_expired(void *arg, uint32_t view, uint32_t source)
{
    const struct kp_travel *travel = arg;
    for (size_t i = 0; i < travel->count; i++)
        for (size_t k = 0; travel->expired[i] && k < travel->expired[i]->count; k++)
            if (travel->targets[i].relation->id == view && travel->expired[i]->items[k].source->id == source)
                return &travel->expired[i]->items[k];
    return NULL;
}

static enum kp_code bring(void *arg, struct kp_node *node, struct kp_batch *batch, struct kp_error *err)
{
    return kp_backfill_bring(((struct kp_travel *)arg)->backfill, node, batch, err);
}

static void source_made(void *arg, struct kp_relation *source, struct kp_node *node)
{
    kp_retention_restore_times(((struct kp_travel *)arg)->session->db, source, node);
}

enum kp_code kp_travel_check(struct kp_session *session, const struct kp_plan *plan, int64_t position,
                             struct kp_error *err)
{
    if (plan->kind == KP_PLAN_SCAN && plan->scan.relation->topic)
        KP_TRY(kp_retention_check_past(session->db, plan->scan.relation->topic, position, err));
    for (uint32_t i = 0; i < plan->input_count; i++)
        KP_TRY(kp_travel_check(session, plan->inputs[i], position, err));
    return KP_OK;
}

static enum kp_code build(struct kp_travel *travel, int64_t position, struct kp_error *err)
{
    struct kp_db *db = travel->session->db;
    struct kp_backfill_options options = {.log = db->log,
                                          .columns = db->columns,
                                          .clock = travel->clock,
                                          .workers = NULL,
                                          .parts = db->parts,
                                          .budget = &db->query_memory,
                                          .step_bytes_max = db->options.step_bytes_max,
                                          .max_ahead_us = db->max_ahead_us,
                                          .cancel = &travel->session->cancelled,
                                          .targets = travel->targets,
                                          .target_count = travel->count,
                                          .live_store = nothing_lives,
                                          .dead = ignore_dead,
                                          .arg = travel,
                                          .expired = expired_node,
                                          .expired_arg = travel,
                                          .source_made = source_made};
    for (size_t i = 0; i < travel->count; i++)
        if (travel->targets[i].relation->plan)
            KP_TRY(kp_travel_check(travel->session, travel->targets[i].relation->plan->plan, position, err));
        else if (travel->targets[i].relation->topic)
            KP_TRY(kp_retention_check_past(db, travel->targets[i].relation->topic, position, err));
    KP_TRY(kp_backfill_create(&options, &travel->backfill, err));
    struct kp_base_reader reader = {find_expired, bring, travel};
    KP_TRY(kp_base_read(db, &reader, err));
    KP_TRY(kp_backfill_begin(travel->backfill, err));
    enum kp_code code = kp_backfill_advance(travel->backfill, position, err);
    if (code == KP_CANCELLED) /* what was stopped is the statement */
        return kp_fail(err, KP_CANCELLED, NULL, "canceling statement due to user request");
    return code;
}

/* Goes there, or destroys what could not. */
static enum kp_code go(struct kp_travel *travel, enum kp_code code, int64_t position, struct kp_travel **ret_travel,
                       struct kp_error *err)
{
    kp_retention_read_past(travel->session->db); /* nothing expires meanwhile */
    if (code == KP_OK)
        code = build(travel, position, err);
    kp_retention_unlock_past(travel->session->db);
    if (code != KP_OK) {
        kp_travel_destroy(travel);
        return code;
    }
    for (size_t i = 0; i < travel->count; i++)
        kp_store_set_start(travel->targets[i].store, position);
    kp_view_clock_publish(travel->clock, position, 0);
    kp_snapshot_acquire(travel->clock, &travel->snapshot);
    travel->has_snapshot = true;
    *ret_travel = travel;
    return KP_OK;
}

static struct kp_travel *prepare(struct kp_session *session)
{
    struct kp_travel *travel = kp_calloc(1, sizeof *travel);
    travel->session = session;
    travel->clock = kp_view_clock_create();
    return travel;
}

enum kp_code kp_travel_create(struct kp_session *session, const struct kp_plan *plan, int64_t position,
                              struct kp_travel **ret_travel, struct kp_error *err)
{
    struct kp_travel *travel = prepare(session);
    return go(travel, add_plan(travel, plan, err), position, ret_travel, err);
}

enum kp_code kp_travel_relation(struct kp_session *session, struct kp_relation *relation, int64_t position,
                                struct kp_travel **ret_travel, struct kp_error *err)
{
    struct kp_travel *travel = prepare(session);
    return go(travel, add_relation(travel, relation, err), position, ret_travel, err);
}

void kp_travel_destroy(struct kp_travel *travel)
{
    if (!travel)
        return;
    kp_backfill_destroy(travel->backfill);
    if (travel->has_snapshot)
        kp_snapshot_release(travel->clock, &travel->snapshot);
    for (size_t i = 0; i < travel->count; i++) {
        if (travel->expired[i])
            kp_expired_finish(travel->expired[i]);
        kp_free(travel->expired[i]);
        kp_store_destroy(travel->targets[i].store);
        kp_relation_unref(travel->targets[i].relation);
    }
    kp_view_clock_destroy(travel->clock);
    kp_free(travel->targets);
    kp_free(travel->expired);
    kp_free(travel);
}

struct kp_store *kp_travel_store(const struct kp_travel *travel, const struct kp_relation *relation)
{
    for (size_t i = 0; i < travel->count; i++)
        if (travel->targets[i].relation == relation)
            return travel->targets[i].store;
    return NULL;
}

const struct kp_snapshot *kp_travel_snapshot(const struct kp_travel *travel)
{
    return &travel->snapshot;
}

size_t kp_travel_count(const struct kp_travel *travel)
{
    return travel->count;
}

struct kp_store *kp_travel_store_at(const struct kp_travel *travel, size_t index)
{
    return travel->targets[index].store;
}
