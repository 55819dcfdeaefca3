/* The schema kappa: the system described by itself. */
#include "db/dead.h"
#include "db/retention.h"
#include "db/system.h"
#include "vec/set.h"

#include <stdio.h>

static const char *kind_name(const struct kp_relation *relation)
{
    static const char *const names[] = {"source", "table", "materialized view", "view", "sink", "system table"};
    return names[relation->kind];
}

static bool is_promoted(struct kp_db *db, const struct kp_relation *relation)
{
    return kp_catalog_find(db->catalog, kp_str(relation->schema), kp_str(relation->name)) == relation;
}

/* ---- topics, partitions ---- */

static void put_retention(struct kp_db *db, struct kp_system_rows *rows, const struct kp_topic_info *info)
{
    struct kp_topic_retention retention;
    kp_retention_get(db, info->id, &retention);
    int64_t start_offset = INT64_MAX;
    for (uint32_t p = 0; p < info->partitions; p++) {
        struct kp_partition_info partition;
        struct kp_error gone;
        if (kp_log_partition(db->log, info->id, p, &partition, &gone) == KP_OK)
            start_offset = KP_MIN(start_offset, partition.start_offset);
    }
    kp_system_put_text(rows, retention.policy.retention);
    kp_system_put_int(rows, retention.policy.retention_bytes);
    kp_system_put_int(rows, retention.policy.compact);
    kp_system_put_int(rows, start_offset == INT64_MAX ? 0 : start_offset);
    kp_system_put_int(rows, retention.horizon);
    kp_system_put_text(rows, *retention.held_back_by ? retention.held_back_by : NULL);
    kp_system_put_int(rows, retention.compact_horizon);
}

static enum kp_code fill_topics(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    struct kp_topic_info *topics;
    size_t count;
    kp_log_topics(session->db->log, &topics, &count);
    for (size_t i = 0; i < count; i++) {
        kp_system_put_int(rows, topics[i].id);
        kp_system_put_text(rows, topics[i].name);
        kp_system_put_int(rows, topics[i].partitions);
        kp_system_put_int(rows, topics[i].internal);
        kp_system_put_int(rows, (int64_t)topics[i].records);
        kp_system_put_int(rows, (int64_t)topics[i].bytes);
        kp_system_put_time(rows, topics[i].created_us);
        put_retention(session->db, rows, &topics[i]);
    }
    kp_free(topics);
    return KP_OK;
}

static enum kp_code fill_partitions(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    struct kp_topic_info *topics;
    size_t count;
    kp_log_topics(session->db->log, &topics, &count);
    enum kp_code code = KP_OK;
    for (size_t i = 0; code == KP_OK && i < count; i++)
        for (uint32_t p = 0; code == KP_OK && p < topics[i].partitions; p++) {
            struct kp_partition_info info;
            code = kp_log_partition(session->db->log, topics[i].id, p, &info, err);
            if (code != KP_OK)
                break;
            kp_system_put_text(rows, topics[i].name);
            kp_system_put_int(rows, p);
            kp_system_put_int(rows, info.start_offset);
            kp_system_put_int(rows, info.end_offset);
            kp_system_put_int(rows, (int64_t)info.bytes);
        }
    kp_free(topics);
    return code;
}

/* ---- relations ---- */

static void put_state(struct kp_db *db, struct kp_system_rows *rows, struct kp_live *live)
{
    static const char *const states[] = {"building", "ready", "failed"};
    int state = atomic_load(&live->state);
    struct kp_error reason;
    if (state == KP_LIVE_READY) { /* error rows stand in the way of its readers */
        struct kp_snapshot snapshot;
        kp_snapshot_acquire(db->clock, &snapshot);
        enum kp_code code = kp_store_check(live->store, &snapshot, &reason);
        kp_snapshot_release(db->clock, &snapshot);
        kp_system_put_text(rows, code == KP_OK ? states[state] : "error");
        kp_system_put_text(rows, code == KP_OK ? NULL : reason.message);
        return;
    }
    kp_system_put_text(rows, states[state]);
    kp_system_put_text(rows, state == KP_LIVE_FAILED ? live->error.message : NULL);
}

static enum kp_code fill_views(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    static const char *const on_expiry[] = {"keep", "retract", "hold"};
    struct kp_db *db = session->db;
    kp_catalog_read(db->catalog);
    for (size_t i = 0; i < kp_catalog_count(db->catalog); i++) {
        struct kp_relation *relation = kp_catalog_at(db->catalog, i);
        struct kp_live *live =
            relation->kind == KP_RELATION_VIEW || relation->kind == KP_RELATION_TABLE ? kp_live_of(relation) : NULL;
        if (!live)
            continue;
        struct kp_store_stats stats;
        kp_store_stats(live->store, &stats);
        char hash[40];
        snprintf(hash, sizeof hash, "%016llx%016llx", (unsigned long long)stats.hash[1],
                 (unsigned long long)stats.hash[0]);
        kp_system_put_text(rows, relation->name);
        kp_system_put_int(rows, relation->version);
        kp_system_put_int(rows, is_promoted(db, relation));
        kp_system_put_text(rows, kind_name(relation));
        put_state(db, rows, live);
        kp_system_put_int(rows, kp_view_clock_position(db->clock));
        kp_system_put_int(rows, (int64_t)stats.rows);
        kp_system_put_int(rows, (int64_t)stats.versions);
        kp_system_put_int(rows, (int64_t)stats.bytes);
        kp_system_put_int(rows, (int64_t)stats.errors);
        kp_system_put_text(rows, hash);
        kp_system_put_int(rows, relation->position);
        kp_system_put_text(rows, relation->text);
        kp_system_put_text(rows, relation->kind == KP_RELATION_VIEW ? on_expiry[relation->on_expiry] : NULL);
        kp_system_put_int(rows, kp_retention_complete_from(db, relation));
    }
    kp_catalog_unlock(db->catalog);
    return KP_OK;
}

static enum kp_code fill_sources(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    struct kp_db *db = session->db;
    kp_catalog_read(db->catalog);
    for (size_t i = 0; i < kp_catalog_count(db->catalog); i++) {
        struct kp_relation *relation = kp_catalog_at(db->catalog, i);
        if ((relation->kind != KP_RELATION_SOURCE && relation->kind != KP_RELATION_TABLE) || !is_promoted(db, relation))
            continue;
        const char *format = kp_relation_option(relation, "format");
        kp_system_put_text(rows, relation->name);
        kp_system_put_text(rows, kind_name(relation));
        kp_system_put_text(rows, relation->topic);
        kp_system_put_text(rows, format ? format : "json");
        kp_system_put_text(rows, kp_relation_option(relation, "path"));
        kp_system_put_text(rows,
                           relation->watermark_column >= 0 ? relation->cols[relation->watermark_column].name : NULL);
        kp_system_put_int(rows, relation->position);
    }
    kp_catalog_unlock(db->catalog);
    return KP_OK;
}

static enum kp_code fill_sinks(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    struct kp_db *db = session->db;
    kp_catalog_read(db->catalog);
    for (size_t i = 0; i < kp_catalog_count(db->catalog); i++) {
        struct kp_relation *relation = kp_catalog_at(db->catalog, i);
        struct kp_sink *sink = relation->kind == KP_RELATION_SINK ? relation->attached : NULL;
        if (!sink)
            continue;
        const char *format = kp_relation_option(relation, "format");
        kp_system_put_text(rows, relation->name);
        kp_system_put_text(rows, relation->sink_from->name);
        kp_system_put_text(rows, relation->topic);
        kp_system_put_text(rows, format ? format : "changes");
        kp_mutex_lock(&db->mutex);
        kp_system_put_text(rows, !sink->subscription ? (*sink->error ? "stopped" : "starting")
                                 : *sink->error      ? "waiting"
                                                     : "running");
        kp_system_put_text(rows, *sink->error ? sink->error : NULL);
        kp_mutex_unlock(&db->mutex);
        kp_system_put_int(rows, (int64_t)atomic_load(&sink->rows));
    }
    kp_catalog_unlock(db->catalog);
    return KP_OK;
}

/* ---- lag, replays ---- */

static enum kp_code fill_lag(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    struct kp_db *db = session->db;
    int64_t log_position = kp_log_position(db->log), position = kp_view_clock_position(db->clock);
    kp_catalog_read(db->catalog);
    for (size_t i = 0; i < kp_catalog_count(db->catalog); i++) {
        struct kp_relation *relation = kp_catalog_at(db->catalog, i);
        struct kp_sink *sink = relation->kind == KP_RELATION_SINK ? relation->attached : NULL;
        if (relation->kind != KP_RELATION_VIEW && relation->kind != KP_RELATION_TABLE && !sink)
            continue;
        int64_t at = sink ? KP_MIN(atomic_load(&sink->through), position) : position;
        kp_system_put_text(rows, relation->name);
        kp_system_put_int(rows, relation->version);
        kp_system_put_int(rows, at);
        kp_system_put_int(rows, log_position);
        kp_system_put_int(rows, log_position - at);
        kp_system_put_float(rows, (double)(kp_log_time_us(db->log) - kp_view_clock_time_us(db->clock)) / 1000.0);
    }
    kp_catalog_unlock(db->catalog);
    return KP_OK;
}

static enum kp_code fill_replays(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    struct kp_db *db = session->db;
    kp_mutex_lock(&db->mutex);
    for (struct kp_job *job = db->jobs; job; job = job->next_job) {
        struct kp_backfill_progress progress = {0};
        if (job->backfill)
            kp_backfill_progress(job->backfill, &progress);
        double rate = progress.seconds > 0 ? (double)progress.records_read / progress.seconds : 0;
        int64_t left = progress.target - progress.position;
        kp_system_put_text(rows, job->targets[0].relation->name);
        kp_system_put_int(rows, job->targets[0].relation->version);
        kp_system_put_text(rows, job->what);
        kp_system_put_text(rows, atomic_load(&job->done) ? "done"
                                 : !job->backfill        ? "waiting"
                                 : progress.paused       ? "paused"
                                                         : "running");
        kp_system_put_int(rows, progress.position);
        kp_system_put_int(rows, progress.target);
        kp_system_put_float(rows,
                            progress.target > 0 ? 100.0 * (double)progress.position / (double)progress.target : 0);
        kp_system_put_int(rows, (int64_t)progress.records_read);
        kp_system_put_int(rows, (int64_t)progress.bytes_read);
        kp_system_put_float(rows, rate);
        kp_system_put_float(rows, rate > 0 && left > 0 ? (double)left / rate : 0);
        kp_system_put_time(rows, job->started_us);
    }
    kp_mutex_unlock(&db->mutex);
    return KP_OK;
}

/* ---- operators, state ---- */

struct stats {
    struct kp_node_stats *nodes;
    size_t count;
};

static enum kp_code take_stats(struct kp_db *db, void *arg, struct kp_error *err)
{
    struct stats *stats = arg;
    kp_graph_stats(db->graph, &stats->nodes, &stats->count);
    return KP_OK;
}

static enum kp_code fill_operators(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    struct stats stats = {0};
    KP_TRY(kp_engine_call(session->db, take_stats, &stats, err));
    for (size_t i = 0; i < stats.count; i++) {
        const struct kp_node_stats *node = &stats.nodes[i];
        char inputs[64] = "";
        size_t at = 0;
        for (uint32_t k = 0; k < node->input_count; k++)
            at += (size_t)snprintf(inputs + at, sizeof inputs - at, "%s%u", k ? "," : "", node->inputs[k]);
        kp_system_put_int(rows, node->id);
        kp_system_put_text(rows, node->kind);
        kp_system_put_text(rows, node->detail);
        kp_system_put_text(rows, inputs);
        kp_system_put_int(rows, node->growing);
        kp_system_put_int(rows, (int64_t)node->rows_in);
        kp_system_put_int(rows, (int64_t)node->rows_out);
        kp_system_put_int(rows, (int64_t)node->batches);
        kp_system_put_float(rows, (double)node->ns / 1e6);
        kp_system_put_int(rows, (int64_t)node->state_rows);
        kp_system_put_int(rows, (int64_t)node->state_bytes);
        kp_system_put_int(rows, (int64_t)node->late);
    }
    kp_free(stats.nodes);
    return KP_OK;
}

/* ---- dead letters ---- */

struct dead_rows {
    struct kp_db *db;
    struct kp_system_rows *rows;
};

/* What a mended declaration can read is no dead letter any more: those of the source's promoted version count. */
static void put_dead(void *arg, const struct kp_dead_letter_entry *entry)
{
    struct dead_rows *dead = arg;
    struct kp_system_rows *rows = dead->rows;
    const struct kp_relation *now = kp_catalog_find(dead->db->catalog, KP_STR("public"), kp_str(entry->relation));
    if (now && now->kind == KP_RELATION_SOURCE && now->id != entry->relation_id)
        return;
    kp_system_put_text(rows, entry->relation);
    kp_system_put_text(rows, entry->topic);
    kp_system_put_int(rows, entry->partition);
    kp_system_put_int(rows, entry->offset);
    kp_system_put_int(rows, entry->position);
    kp_system_put_text(rows, entry->sqlstate);
    kp_system_put_text(rows, entry->reason);
    kp_system_put_str(rows, (struct kp_str){(const char *)entry->key.data, entry->key.len});
    kp_system_put_str(rows, (struct kp_str){(const char *)entry->value.data, entry->value.len});
}

static enum kp_code fill_dead_letters(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    KP_TRY(kp_session_wait_replayed(session, err)); /* the list is found again by the replay after a start */
    struct dead_rows dead = {session->db, rows};
    kp_catalog_read(session->db->catalog);
    kp_dead_letters_each(session->db->dead, put_dead, &dead);
    kp_catalog_unlock(session->db->catalog);
    return KP_OK;
}

/* ---- settings, metrics, functions ---- */

static void put_setting(void *arg, const char *name, const char *value, const char *doc)
{
    kp_system_put_text(arg, name);
    kp_system_put_text(arg, value);
    kp_system_put_text(arg, doc);
}

static enum kp_code fill_settings(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    kp_settings_each(session, put_setting, rows);
    return KP_OK;
}

static void put_metric(void *arg, const char *name, const char *labels, double value, const char *help)
{
    kp_system_put_text(arg, name);
    kp_system_put_text(arg, labels);
    kp_system_put_float(arg, value);
    kp_system_put_text(arg, help);
}

static enum kp_code fill_metrics(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    kp_db_metrics(session->db, put_metric, rows);
    return KP_OK;
}

static void put_signature(struct kp_system_rows *rows, const char *name, const char *kind, const enum kp_type_id *args,
                          uint32_t arg_count, enum kp_type_id ret, const char *doc)
{
    struct kp_buf text = {0};
    for (uint32_t i = 0; i < arg_count; i++)
        kp_buf_printf(&text, "%s%s", i ? ", " : "", args[i] == KP_ANY ? "any" : kp_type_info(args[i])->name);
    kp_system_put_text(rows, name);
    kp_system_put_text(rows, kind);
    kp_system_put_str(rows, (struct kp_str){text.data ? (const char *)text.data : "", text.len});
    kp_system_put_text(rows, ret == KP_ANY ? "any" : kp_type_info(ret)->name);
    kp_system_put_text(rows, doc);
    kp_buf_finish(&text);
}

static enum kp_code fill_functions(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    static const char *const kinds[] = {"function", "operator", "cast"};
    size_t count;
    const struct kp_func_family *const *families = kp_func_families(&count);
    for (size_t f = 0; f < count; f++)
        for (size_t i = 0; i < families[f]->count; i++) {
            const struct kp_func *func = &families[f]->funcs[i];
            put_signature(rows, func->name, kinds[func->kind], func->args, func->arg_count, func->ret, func->doc);
        }
    const struct kp_set_func *const *sets = kp_set_all(&count);
    for (size_t i = 0; i < count; i++)
        put_signature(rows, sets[i]->name, "set function", sets[i]->args, sets[i]->arg_count,
                      sets[i]->col_count == 1 ? sets[i]->cols[0].type : KP_ANY, sets[i]->doc);
    const struct kp_agg *const *aggs = kp_agg_all(&count);
    for (size_t i = 0; i < count; i++)
        put_signature(rows, aggs[i]->name, "aggregate", aggs[i]->args, aggs[i]->arg_count, aggs[i]->ret, aggs[i]->doc);
    return KP_OK;
}

/* ---- the list ---- */

const struct kp_system_table kp_system_kappa[] = {
    {"kappa",
     "topics",
     {{"id", KP_INT8},
      {"name", KP_TEXT},
      {"partitions", KP_INT4},
      {"internal", KP_BOOL},
      {"records", KP_INT8},
      {"bytes", KP_INT8},
      {"created", KP_TIMESTAMPTZ},
      {"retention", KP_TEXT},
      {"retention_bytes", KP_INT8},
      {"compact", KP_BOOL},
      {"start_offset", KP_INT8},
      {"horizon", KP_INT8},
      {"held_back_by", KP_TEXT},
      {"compacted", KP_INT8}},
     .fill = fill_topics},
    {"kappa",
     "partitions",
     {{"topic", KP_TEXT},
      {"partition", KP_INT4},
      {"start_offset", KP_INT8},
      {"end_offset", KP_INT8},
      {"bytes", KP_INT8}},
     .fill = fill_partitions},
    {"kappa",
     "log",
     {{"position", KP_INT8},
      {"log_time", KP_TIMESTAMPTZ},
      {"sealed_position", KP_INT8},
      {"extents", KP_INT8},
      {"unsealed_bytes", KP_INT8},
      {"sealed_batch_bytes", KP_INT8},
      {"sealed_journal_bytes", KP_INT8},
      {"extent_bytes", KP_INT8},
      {"merge_bytes", KP_INT8},
      {"write_amplification", KP_FLOAT8},
      {"started_from_snapshot", KP_BOOL},
      {"recovered_bytes", KP_INT8},
      {"unsnapshot_bytes", KP_INT8}},
     .fill = kp_system_fill_log},
    {"kappa",
     "damage",
     {{"topic", KP_TEXT},
      {"partition", KP_INT4},
      {"first_offset", KP_INT8},
      {"last_offset", KP_INT8},
      {"certain", KP_BOOL},
      {"position", KP_INT8},
      {"position_end", KP_INT8},
      {"file", KP_INT8},
      {"byte", KP_INT8},
      {"problem", KP_TEXT}},
     .fill = kp_system_fill_damage},
    {"kappa",
     "views",
     {{"name", KP_TEXT},
      {"version", KP_INT4},
      {"promoted", KP_BOOL},
      {"kind", KP_TEXT},
      {"state", KP_TEXT},
      {"error", KP_TEXT},
      {"position", KP_INT8},
      {"rows", KP_INT8},
      {"row_versions", KP_INT8},
      {"bytes", KP_INT8},
      {"error_rows", KP_INT8},
      {"hash", KP_TEXT},
      {"created_at", KP_INT8},
      {"definition", KP_TEXT},
      {"on_expiry", KP_TEXT},
      {"complete_from", KP_INT8}},
     .fill = fill_views},
    {"kappa",
     "sources",
     {{"name", KP_TEXT},
      {"kind", KP_TEXT},
      {"topic", KP_TEXT},
      {"format", KP_TEXT},
      {"path", KP_TEXT},
      {"watermark", KP_TEXT},
      {"created_at", KP_INT8}},
     .fill = fill_sources},
    {"kappa",
     "sinks",
     {{"name", KP_TEXT},
      {"view", KP_TEXT},
      {"topic", KP_TEXT},
      {"format", KP_TEXT},
      {"state", KP_TEXT},
      {"error", KP_TEXT},
      {"rows", KP_INT8}},
     .fill = fill_sinks},
    {"kappa",
     "lag",
     {{"name", KP_TEXT},
      {"version", KP_INT4},
      {"position", KP_INT8},
      {"log_position", KP_INT8},
      {"records_behind", KP_INT8},
      {"ms_behind", KP_FLOAT8}},
     .fill = fill_lag},
    {"kappa",
     "replays",
     {{"name", KP_TEXT},
      {"version", KP_INT4},
      {"what", KP_TEXT},
      {"state", KP_TEXT},
      {"position", KP_INT8},
      {"target", KP_INT8},
      {"percent", KP_FLOAT8},
      {"records", KP_INT8},
      {"bytes", KP_INT8},
      {"records_per_s", KP_FLOAT8},
      {"seconds_left", KP_FLOAT8},
      {"started", KP_TIMESTAMPTZ}},
     .fill = fill_replays},
    {"kappa",
     "operators",
     {{"id", KP_INT4},
      {"kind", KP_TEXT},
      {"detail", KP_TEXT},
      {"inputs", KP_TEXT},
      {"growing", KP_BOOL},
      {"rows_in", KP_INT8},
      {"rows_out", KP_INT8},
      {"batches", KP_INT8},
      {"ms", KP_FLOAT8},
      {"state_rows", KP_INT8},
      {"state_bytes", KP_INT8},
      {"late", KP_INT8}},
     .fill = fill_operators},
    {"kappa",
     "dead_letters",
     {{"source", KP_TEXT},
      {"topic", KP_TEXT},
      {"partition", KP_INT4},
      {"offset", KP_INT8},
      {"position", KP_INT8},
      {"sqlstate", KP_TEXT},
      {"reason", KP_TEXT},
      {"key", KP_TEXT},
      {"value", KP_TEXT}},
     .fill = fill_dead_letters},
    {"kappa",
     "history",
     {{"topic", KP_TEXT},
      {"declaration", KP_TEXT},
      {"field", KP_TEXT},
      {"type", KP_TEXT},
      {"decoder_version", KP_INT4},
      {"encoding", KP_TEXT},
      {"chunks", KP_INT8},
      {"rows", KP_INT8},
      {"bytes", KP_INT8},
      {"least", KP_TEXT},
      {"largest", KP_TEXT},
      {"position_begin", KP_INT8},
      {"position_end", KP_INT8},
      {"pool_bytes", KP_INT8}},
     .fill = kp_system_fill_history},
    {"kappa", "settings", {{"name", KP_TEXT}, {"setting", KP_TEXT}, {"description", KP_TEXT}}, .fill = fill_settings},
    {"kappa",
     "metrics",
     {{"name", KP_TEXT}, {"labels", KP_TEXT}, {"value", KP_FLOAT8}, {"help", KP_TEXT}},
     .fill = fill_metrics},
    {"kappa",
     "functions",
     {{"name", KP_TEXT}, {"kind", KP_TEXT}, {"arguments", KP_TEXT}, {"returns", KP_TEXT}, {"description", KP_TEXT}},
     .fill = fill_functions},
};
const size_t kp_system_kappa_count = KP_COUNT(kp_system_kappa);
