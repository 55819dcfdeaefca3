/* Opening and closing the instance: the log is recovered, the catalog read from it, the live graph laid out, the replay
 * begun. */
#include "db/session.h"

#include <stdio.h>

#include "db/base.h"
#include "db/failed.h"
#include "db/lost.h"
#include "db/moment.h"
#include "db/retention.h"
#include "db/sequence.h"

#include "vec/zone.h"

static enum kp_code internal_topic(struct kp_db *db, const char *name, uint32_t *ret_id, struct kp_error *err)
{
    struct kp_topic_info info;
    enum kp_code code = kp_log_topic_find(db->log, name, &info, err);
    if (code == KP_NOT_FOUND)
        return kp_log_topic_create(db->log, name, 1, ret_id, err);
    KP_TRY(code);
    *ret_id = info.id;
    return KP_OK;
}

/* ---- the catalog, from its records ---- */

static const int64_t MAX_AHEAD_US = 86400000000; /* a day */

enum kp_code kp_ddl_replay(struct kp_db *db, const struct kp_catalog_record *record, int64_t position,
                           struct kp_error *err)
{
    if (record->sequence) {
        kp_sequence_replay(db, record);
        return KP_OK;
    }
    struct kp_arena arena = {0};
    struct kp_statement *statement;
    struct kp_session_settings settings = {0};
    struct kp_sql_context context = {.catalog = db->catalog, .settings = &settings, .replaying = true};
    struct kp_ddl ddl = {.db = db, .record = *record, .replaying = true, .position = position, .context = &context};
    context.user = kp_arena_strndup(&arena, record->user.ptr, record->user.len);
    enum kp_code code = kp_zone_find(record->time_zone, &settings.zone, err);
    if (code == KP_OK)
        code = kp_sql_parse(record->text, &arena, &statement, err);
    ddl.settings = settings;
    if (code == KP_OK)
        code = kp_ddl_run(&ddl, statement, err);
    kp_arena_finish(&arena);
    if (code != KP_OK)
        code = kp_failed_replay(&ddl, err);
    if (code == KP_OK)
        db->next_relation_id = KP_MAX(db->next_relation_id, record->next_relation);
    if (code != KP_OK)
        kp_error_context(err, "the catalog record at position %lld (\"%.*s\")", (long long)position,
                         (int)KP_MIN(record->text.len, (size_t)80), record->text.ptr);
    return code;
}

/* ---- the live graph, from the catalog ---- */

static struct kp_node *resolve(void *arg, struct kp_relation *relation)
{
    struct kp_live *live = kp_live_of(relation);
    return relation->kind == KP_RELATION_SOURCE || !live ? NULL : live->node;
}

/*
 * Fails if something that the plan reads has no rows any more: a topic that has lost its name; or a view, of which
 * nobody can make such a catalog (db/versions.c), but there are logs from when one could.
 */
static enum kp_code check_inputs(struct kp_db *db, const struct kp_plan *plan, struct kp_error *err)
{
    for (uint32_t i = 0; i < plan->input_count; i++)
        KP_TRY(check_inputs(db, plan->inputs[i], err));
    if (plan->kind != KP_PLAN_SCAN)
        return KP_OK;
    const struct kp_relation *read = plan->scan.relation;
    if (read->kind == KP_RELATION_SOURCE || read->kind == KP_RELATION_TABLE)
        return kp_lost_check_name(db, read->topic, err);
    if (read->kind != KP_RELATION_VIEW)
        return KP_OK;
    const struct kp_live *live = kp_live_of(read);
    if (live && atomic_load(&live->state) != KP_LIVE_FAILED)
        return KP_OK;
    (void)kp_fail(err, KP_NOT_FOUND, "55000", "version %u of \"%s\", which it reads, %s", read->version, read->name,
                  live ? "stopped" : "was dropped");
    return kp_error_hint(err, "ALTER MATERIALIZED VIEW ... AS gives it a definition over what there is.");
}

static enum kp_code lay_out(struct kp_db *db, struct kp_live *live, struct kp_error *err)
{
    struct kp_relation *relation = live->relation;
    struct kp_node *node;
    if (relation->kind == KP_RELATION_TABLE) {
        KP_TRY(kp_engine_feed_relation(db, relation, err));
        node = kp_engine_node(db, relation);
    } else {
        if (relation->on_expiry == KP_ON_EXPIRY_RETRACT || kp_base_may_have(db, relation))
            kp_live_expires(live);
        KP_TRY(kp_graph_add_plan_beside(db->graph, relation->plan->plan, &live->settings, resolve, db,
                                        live->expired ? kp_expired_hook : NULL, live->expired, &node, err));
        KP_TRY(kp_engine_feed_plan(db, relation->plan->plan, err));
    }
    kp_live_feed(db, live, node, kp_graph_add_output(db->graph, node));
    return KP_OK;
}

static enum kp_code build_graph(struct kp_db *db, struct kp_error *err)
{
    struct kp_graph_options options = {
        .workers = db->workers, .parts = db->parts, .budget = &db->state_memory, .max_ahead_us = db->max_ahead_us};
    KP_TRY(kp_graph_create(&options, &db->graph, err));
    for (struct kp_live *live = db->lives; live; live = live->next_live) {
        const struct kp_plan_root *root = live->relation->plan;
        struct kp_error gone;
        if ((root ? check_inputs(db, root->plan, &gone) : kp_lost_check_name(db, live->relation->topic, &gone)) !=
            KP_OK)
            kp_live_fail(db, live, &gone);
        else if (lay_out(db, live, &gone) != KP_OK) {
            kp_live_fail(db, live, &gone);
        }
    }
    return KP_OK;
}

/* ---- open ---- */

static uint32_t parts_for(uint32_t workers)
{
    uint32_t parts = 1;
    while (workers > 1 && parts < 4 * workers && parts < KP_PARTS_MAX)
        parts *= 2;
    return parts;
}

static void tell_rot(void *arg, const char *text)
{
    struct kp_db *db = arg;
    if (db->options.notice)
        db->options.notice(db->options.arg, 'W', text);
}

static enum kp_code open_log(struct kp_db *db, struct kp_error *err)
{
    struct kp_log_options options = {.os = db->os,
                                     .dir = db->dir,
                                     .tail_bytes = db->options.log_tail_bytes,
                                     .read_only = db->options.read_only,
                                     .journal_file_bytes = db->options.journal_file_bytes,
                                     .unsealed_bytes_max = db->options.unsealed_bytes_max,
                                     .seal_bytes = db->options.seal_bytes,
                                     .snapshot_bytes = db->options.snapshot_bytes,
                                     .extent_own_bytes = db->options.extent_own_bytes,
                                     .adopt_block_bytes = db->options.adopt_block_bytes,
                                     .adopt_per_cent = db->options.adopt_per_cent,
                                     .unsafe_no_sync = db->options.unsafe_no_sync,
                                     .notice = tell_rot,
                                     .notice_arg = db};
    KP_TRY(kp_log_open(&options, &db->log, err));
    KP_TRY(kp_lost_check(db, err));
    KP_TRY(internal_topic(db, "__kappa_catalog", &db->catalog_topic, err));
    return internal_topic(db, "__kappa_sinks", &db->sinks_topic, err);
}

static bool topic_exists(void *arg, uint32_t topic)
{
    struct kp_topic_info info;
    return kp_log_topic_get(arg, topic, &info, NULL) == KP_OK;
}

static enum kp_code open_columns(struct kp_db *db, struct kp_error *err)
{
    if (db->options.no_columns || db->options.read_only)
        return KP_OK;
    const struct kp_columns_options options = {
        .os = db->os,
        .dir = db->dir,
        .generation = kp_log_generation(db->log),
        .decoder_version = KP_DECODER_VERSION,
        .position = kp_log_position(db->log),
        .unsynced = db->options.unsafe_no_sync,
        .pool_bytes = db->options.columns_pool_bytes ? db->options.columns_pool_bytes : (uint64_t)256 << 20,
        .disk_bytes = db->options.columns_disk_bytes ? db->options.columns_disk_bytes : (uint64_t)64 << 30,
        .chunk_rows = db->options.columns_chunk_rows};
    KP_TRY(kp_columns_open(&options, &db->columns, err));
    kp_columns_prune(db->columns, topic_exists, db->log);
    return KP_OK;
}

/* `kappa run`: a clock that stands still, so that a run repeats exactly. */
static int64_t no_clock(void *ctx)
{
    return 0;
}

static void init(struct kp_db *db, const struct kp_db_options *options)
{
    db->options = *options;
    db->os = options->os ? options->os : kp_os_real();
    if (options->event_time) {
        db->still = *db->os;
        db->still.wall_us = no_clock;
        db->os = &db->still;
    } else {
        db->max_ahead_us = MAX_AHEAD_US; /* or one wrong clock would make all that follows late */
    }
    db->dir = kp_strdup(options->dir);
    if (db->options.workers == 0)
        db->options.workers = (uint32_t)kp_cpu_count();
    if (db->options.step_bytes_max == 0)
        db->options.step_bytes_max = 32 << 20;
    db->parts = options->parts ? options->parts : parts_for(db->options.workers);
    kp_budget_init(&db->memory, "memory", options->memory_bytes, NULL);
    kp_budget_init(&db->state_memory, "state", 0, &db->memory);
    kp_budget_init(&db->query_memory, "queries", 0, &db->memory);
    kp_mutex_init(&db->ddl_mutex);
    kp_mutex_init(&db->sequence_mutex);
    kp_cond_init(&db->committed);
    db->deadlines = kp_deadlines_create();
    db->advisory = kp_advisory_locks_create();
    db->row_locks = kp_row_locks_create();
    kp_mutex_init(&db->mutex);
    kp_cond_init(&db->engine_wake);
    kp_cond_init(&db->idle);
    db->calls_end = &db->calls;
    db->next_relation_id = 1;
    db->catalog = kp_catalog_create();
    db->clock = kp_view_clock_create();
    db->dead = kp_dead_letters_create();
    db->watermarks = kp_watermarks_create();
    db->retention = kp_retention_create(db);
    db->moments = kp_moments_create(db);
}

static void finish(struct kp_db *db)
{
    kp_sinks_finish(db);
    for (struct kp_sink *sink = db->sinks, *next; sink; sink = next) {
        next = sink->next_sink;
        kp_unsubscribe(sink->subscription);
        sink->relation->attached = NULL;
        kp_relation_unref(sink->relation);
        kp_free(sink);
    }
    kp_graph_destroy(db->graph);
    kp_live_destroy_all(db);
    kp_columns_close(db->columns);
    kp_workers_destroy(db->workers);
    kp_workers_destroy(db->replay_workers);
    kp_catalog_destroy(db->catalog);
    kp_view_clock_destroy(db->clock);
    kp_dead_letters_destroy(db->dead);
    kp_watermarks_destroy(db->watermarks);
    kp_retention_destroy(db->retention);
    kp_moments_destroy(db->moments);
    kp_mutex_finish(&db->ddl_mutex);
    kp_mutex_finish(&db->sequence_mutex);
    kp_cond_finish(&db->committed);
    kp_advisory_locks_destroy(db->advisory);
    kp_row_locks_destroy(db->row_locks);
    kp_deadlines_destroy(db->deadlines);
    kp_mutex_finish(&db->mutex);
    kp_cond_finish(&db->engine_wake);
    kp_cond_finish(&db->idle);
    kp_free(db->cuts);
    kp_free(db->dir);
    kp_free(db);
}

enum kp_code kp_db_open(const struct kp_db_options *options, struct kp_db **ret_db, struct kp_error *err)
{
    struct kp_db *db = kp_calloc(1, sizeof *db);
    init(db, options);
    enum kp_code code = open_log(db, err);
    if (code == KP_OK)
        code = open_columns(db, err);
    if (code == KP_OK)
        code = kp_system_tables_add(db, err);
    if (code == KP_OK)
        code = kp_catalog_log_read(db, kp_ddl_replay, err);
    if (code == KP_OK)
        code = kp_retention_recover(db, err);
    if (code == KP_OK) {
        db->workers = kp_workers_create(db->options.workers);
        db->replay_workers = kp_workers_create(db->options.workers);
        code = build_graph(db, err);
    }
    if (code == KP_OK)
        code = kp_sinks_recover(db, err);
    if (code != KP_OK) {
        kp_log_close(db->log);
        for (size_t i = 0; i < db->feed_count; i++)
            kp_relation_unref(db->feeds[i].relation);
        kp_free(db->feeds);
        finish(db);
        kp_error_context(err, "opening \"%s\"", options->dir);
        return code;
    }
    kp_engine_start(db);
    if (!options->event_time && !options->read_only)
        kp_retention_start(db->retention);
    *ret_db = db;
    return KP_OK;
}

void kp_db_close(struct kp_db *db)
{
    if (!db)
        return;
    kp_db_halt(db);
    kp_retention_stop(db->retention);
    kp_jobs_cancel_all(db);
    kp_engine_stop(db);
    kp_sequences_settle(db);
    kp_log_close(db->log);
    finish(db);
}

struct kp_log *kp_db_log(struct kp_db *db)
{
    return db->log;
}

struct kp_view_clock *kp_db_clock(struct kp_db *db)
{
    return db->clock;
}

bool kp_db_wait_ready(struct kp_db *db, int64_t timeout_us)
{
    int64_t until = db->os->mono_ns(db->os->ctx) + timeout_us * 1000;
    kp_mutex_lock(&db->mutex);
    while (!db->ready && (timeout_us < 0 || db->os->mono_ns(db->os->ctx) < until))
        kp_cond_wait_us(&db->idle, &db->mutex, timeout_us < 0 ? -1 : KP_MIN(timeout_us, (int64_t)100000));
    bool ready = db->ready;
    kp_mutex_unlock(&db->mutex);
    return ready;
}

/* ---- for doors ---- */

enum kp_code kp_db_topic(struct kp_db *db, const char *name, bool create, struct kp_topic_info *ret_info,
                         struct kp_error *err)
{
    enum kp_code code = kp_log_topic_find(db->log, name, ret_info, err);
    if (code != KP_NOT_FOUND || !create)
        return code;
    if (strncmp(name, "__", 2) == 0)
        return kp_fail(err, KP_FORBIDDEN, NULL, "topic names that begin with \"__\" are kappa's own");
    KP_TRY(kp_lost_check_name(db, name, err));
    uint32_t id;
    code = kp_log_topic_create(db->log, name, 1, &id, err);
    if (code != KP_OK && code != KP_EXISTS)
        return code;
    return kp_log_topic_find(db->log, name, ret_info, err);
}

enum kp_code kp_db_relation(struct kp_db *db, const char *name, struct kp_relation **ret_relation, struct kp_error *err)
{
    const char *dot = strchr(name, '.');
    struct kp_str schema = {dot ? name : NULL, dot ? (size_t)(dot - name) : 0};
    struct kp_str bare = kp_str(dot ? dot + 1 : name);
    kp_catalog_read(db->catalog);
    struct kp_relation *relation = kp_catalog_find(db->catalog, schema, bare);
    enum kp_code code = KP_OK;
    if (relation) {
        code = kp_relation_check_failed(relation, err);
        if (code == KP_OK)
            *ret_relation = kp_relation_ref(relation);
    } else {
        code = kp_fail(err, KP_NOT_FOUND, "42P01", "relation \"%s\" does not exist", name);
        const char *near[1];
        if (kp_catalog_suggest(db->catalog, bare, near, 1))
            (void)kp_error_hint(err, "Perhaps you meant \"%s\".", near[0]);
    }
    kp_catalog_unlock(db->catalog);
    return code;
}

enum kp_code kp_db_last_view(struct kp_db *db, struct kp_relation **ret_relation, struct kp_error *err)
{
    struct kp_relation *last = NULL;
    kp_catalog_read(db->catalog);
    for (size_t i = 0; i < kp_catalog_count(db->catalog); i++) {
        struct kp_relation *relation = kp_catalog_at(db->catalog, i);
        if (relation->kind == KP_RELATION_VIEW && !relation->late_of && (!last || relation->id > last->id))
            last = relation;
    }
    if (last)
        *ret_relation = kp_relation_ref(last);
    kp_catalog_unlock(db->catalog);
    if (last)
        return KP_OK;
    (void)kp_fail(err, KP_NOT_FOUND, "42P01", "there is no materialized view");
    return kp_error_hint(err, "Make one: CREATE MATERIALIZED VIEW name AS SELECT ...");
}

struct pinned {
    struct kp_subscription *subscription;
    struct kp_live *live;
    struct pinned *next;
};

enum kp_code kp_db_check_resume(struct kp_db *db, int64_t position, struct kp_error *err)
{
    int64_t end = kp_log_position(db->log);
    if (position <= end)
        return KP_OK;
    kp_fail(err, KP_LIMIT, "55000", "position %lld is behind the log's end, %lld", (long long)position, (long long)end);
    return kp_error_hint(err, "Positions of another log, or of this one before it was restored, say nothing here: "
                              "subscribe again with a snapshot.");
}

enum kp_code kp_db_subscribe(struct kp_db *db, struct kp_relation *relation,
                             const struct kp_subscription_options *options, struct kp_subscription **ret_subscription,
                             struct kp_error *err)
{
    if (relation->kind != KP_RELATION_VIEW && relation->kind != KP_RELATION_TABLE)
        return kp_fail(err, KP_INVALID, "42809", "\"%s\" is not a materialized view or table", relation->name);
    KP_TRY(kp_db_check_resume(db, options->resume, err));
    struct kp_live *live;
    KP_TRY(kp_live_pin(db, relation, NULL, &live, err));
    enum kp_code code = kp_subscribe(live->store, options, ret_subscription, err);
    if (code != KP_OK) {
        kp_live_unpin(db, live);
        return code;
    }
    struct pinned *pinned = kp_alloc(sizeof *pinned);
    kp_mutex_lock(&db->mutex);
    *pinned = (struct pinned){*ret_subscription, live, db->pinned};
    db->pinned = pinned;
    kp_mutex_unlock(&db->mutex);
    return KP_OK;
}

void kp_db_unsubscribe(struct kp_db *db, struct kp_subscription *subscription)
{
    if (!subscription)
        return;
    struct kp_live *live = NULL;
    kp_mutex_lock(&db->mutex);
    for (struct pinned **at = (struct pinned **)&db->pinned; *at; at = &(*at)->next)
        if ((*at)->subscription == subscription) {
            struct pinned *gone = *at;
            live = gone->live;
            *at = gone->next;
            kp_free(gone);
            break;
        }
    kp_mutex_unlock(&db->mutex);
    kp_unsubscribe(subscription);
    if (live)
        kp_live_unpin(db, live);
}
