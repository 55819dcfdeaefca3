/* The schema kappa: the system described by itself. */
#include "db/dead.h"
#include "db/retention.h"
#include "db/watermarks.h"
#include "sql/sql.h"
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
        struct kp_topic_retention now;
        kp_retention_get(session->db, topics[i].id, &now); /* what was trimmed may have been compacted before */
        kp_system_put_int(rows, (int64_t)(topics[i].records - KP_MIN(topics[i].records, now.removed_records)));
        kp_system_put_int(rows, (int64_t)(topics[i].bytes - KP_MIN(topics[i].bytes, now.removed_bytes)));
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

/* Nothing is known of its rows. */
static void put_failed_view(struct kp_db *db, struct kp_system_rows *rows, const struct kp_relation *relation)
{
    enum { UNKNOWN = 6 };
    kp_system_put_text(rows, relation->name);
    kp_system_put_int(rows, relation->version);
    kp_system_put_int(rows, is_promoted(db, relation));
    kp_system_put_text(rows, kp_relation_kind_name(relation->declared));
    kp_system_put_text(rows, "failed");
    kp_system_put_text(rows, relation->failure->message);
    for (int i = 0; i < UNKNOWN; i++)
        kp_system_put_text(rows, NULL);
    kp_system_put_int(rows, relation->position);
    kp_system_put_text(rows, relation->text);
    kp_system_put_text(rows, NULL);
    kp_system_put_text(rows, NULL);
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
        if (relation->kind == KP_RELATION_FAILED &&
            (relation->declared == KP_RELATION_VIEW || relation->declared == KP_RELATION_TABLE))
            put_failed_view(db, rows, relation);
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

static enum kp_code fill_failed(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    struct kp_db *db = session->db;
    kp_catalog_read(db->catalog);
    for (size_t i = 0; i < kp_catalog_count(db->catalog); i++) {
        struct kp_relation *relation = kp_catalog_at(db->catalog, i);
        if (relation->kind != KP_RELATION_FAILED)
            continue;
        kp_system_put_text(rows, relation->name);
        kp_system_put_int(rows, relation->version);
        kp_system_put_int(rows, is_promoted(db, relation));
        kp_system_put_text(rows, kp_relation_kind_name(relation->declared));
        kp_system_put_text(rows, relation->failure->sqlstate);
        kp_system_put_text(rows, relation->failure->message);
        kp_system_put_int(rows, relation->position);
        kp_system_put_text(rows, relation->text);
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
    KP_TRY(kp_dead_letters_search(session, err));
    struct dead_rows dead = {session->db, rows};
    kp_dead_letters_read(session->db);
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

static enum kp_code fill_options(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    const char *name, *doc;
    struct kp_buf owners = {0}, value = {0};
    for (size_t i = 0; kp_sql_option_describe(i, &name, &owners, &value, &doc); i++) {
        kp_system_put_text(rows, name);
        kp_system_put_str(rows, (struct kp_str){(const char *)owners.data, owners.len});
        kp_system_put_str(rows, (struct kp_str){(const char *)value.data, value.len});
        kp_system_put_text(rows, doc);
        owners.len = value.len = 0;
    }
    kp_buf_finish(&owners);
    kp_buf_finish(&value);
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
    const char *name;
    for (uint32_t n = 0; kp_sql_window_function(n, &name); n++)
        put_signature(rows, name, "window function", NULL, 0, KP_ANY, NULL);
    for (uint32_t n = 0; kp_sql_session_function(n, &name); n++)
        put_signature(rows, name, "session function", NULL, 0, KP_ANY, NULL);
    return KP_OK;
}

/* ---- the list ---- */

const struct kp_system_table kp_system_kappa[] = {
    {"kappa",
     "topics",
     {{"id", KP_INT8, "numbers of dropped topics are not used again"},
      {"name", KP_TEXT, NULL},
      {"partitions", KP_INT4, NULL},
      {"internal", KP_BOOL, "kappa's own"},
      {"records", KP_INT8, "that are kept"},
      {"bytes", KP_INT8, "of record batches, as they were sent"},
      {"created", KP_TIMESTAMPTZ, NULL},
      {"retention", KP_TEXT, "how long records are kept; NULL: for ever"},
      {"retention_bytes", KP_INT8, "how much is kept at least; NULL: all"},
      {"compact", KP_BOOL, "of each key only the latest record is kept"},
      {"start_offset", KP_INT8, "least of its partitions"},
      {"horizon", KP_INT8, "records before this position are gone or will go"},
      {"held_back_by", KP_TEXT, "what still needs records that should go"},
      {"compacted", KP_INT8, "records before this position may be compacted"}},
     .fill = fill_topics,
     .doc = "topics of the log"},
    {"kappa",
     "partitions",
     {{"topic", KP_TEXT, NULL},
      {"partition", KP_INT4, "from 0"},
      {"start_offset", KP_INT8, "of the first record that is kept"},
      {"end_offset", KP_INT8, "of the next record"},
      {"bytes", KP_INT8, "of record batches"}},
     .fill = fill_partitions,
     .doc = "partitions of topics"},
    {"kappa",
     "log",
     {{"position", KP_INT8, "of the next record"},
      {"log_time", KP_TIMESTAMPTZ, "of the last record"},
      {"sealed_position", KP_INT8, "what is before it lies in extents"},
      {"extents", KP_INT8, "files of sealed journal"},
      {"unsealed_bytes", KP_INT8, "of journal"},
      {"sealed_batch_bytes", KP_INT8, "of record batches in extents; what was written for them follows"},
      {"sealed_journal_bytes", KP_INT8, "written to the journal for them"},
      {"extent_bytes", KP_INT8, "written to extents"},
      {"merge_bytes", KP_INT8, "written when extents were merged"},
      {"write_amplification", KP_FLOAT8, "all that was written over the record batches"},
      {"started_from_snapshot", KP_BOOL, "whether the start read a recovery snapshot"},
      {"recovered_bytes", KP_INT8, "of journal that the start read"},
      {"unsnapshot_bytes", KP_INT8, "of journal that the next start would read"}},
     .fill = kp_system_fill_log,
     .doc = "one row, of the log on disk"},
    {"kappa",
     "damage",
     {{"topic", KP_TEXT, "none: no records, but what made a topic, said what is sealed, or is mended"},
      {"partition", KP_INT4, NULL},
      {"first_offset", KP_INT8, NULL},
      {"last_offset", KP_INT8, NULL},
      {"certain", KP_BOOL, "false: at most these offsets"},
      {"position", KP_INT8, "of the first of them, at least"},
      {"position_end", KP_INT8, "behind the last, at most"},
      {"file", KP_INT8, "number of the journal file"},
      {"extent", KP_TEXT, "number of the extent, if it lies in none"},
      {"byte", KP_INT8, "place in it; none: records that had rotted before they were sealed"},
      {"problem", KP_TEXT, "what is wrong with the block, the batch, or a section of the extent"},
      {"mended", KP_BOOL, "true: no record is lost, readers turn the bit back or read a copy"}},
     .fill = kp_system_fill_damage,
     .doc = "what has rotted on disk, as far as anybody has met it"},
    {"kappa",
     "views",
     {{"name", KP_TEXT, NULL},
      {"version", KP_INT4, NULL},
      {"promoted", KP_BOOL, "it is the one that its name reads"},
      {"kind", KP_TEXT, "view, table"},
      {"state", KP_TEXT, "building, ready, error: error rows stand, failed"},
      {"error", KP_TEXT, "why it stopped, or its first error row"},
      {"position", KP_INT8, "it holds all before this"},
      {"rows", KP_INT8, "that readers see"},
      {"row_versions", KP_INT8, "with rows that readers of the past may still see"},
      {"bytes", KP_INT8, "of memory"},
      {"error_rows", KP_INT8, "rows that are errors"},
      {"hash", KP_TEXT, "of all rows, whatever their order"},
      {"created_at", KP_INT8, "position of the record that made it"},
      {"definition", KP_TEXT, "as it was written"},
      {"on_expiry", KP_TEXT, "what happens with rows whose records go"},
      {"complete_from", KP_INT8, "it is as if the log began here"}},
     .fill = fill_views,
     .doc = "views and tables, each version"},
    {"kappa",
     "failed_definitions",
     {{"name", KP_TEXT, NULL},
      {"version", KP_INT4, NULL},
      {"promoted", KP_BOOL, "it is the one that its name reads"},
      {"kind", KP_TEXT, "what it would be: source, table, materialized view, view, sink, type, domain, function"},
      {"sqlstate", KP_TEXT, "of the reason"},
      {"error", KP_TEXT, "why its definition is refused"},
      {"created_at", KP_INT8, "position of the record that made it"},
      {"definition", KP_TEXT, "as it was written"}},
     .fill = fill_failed,
     .doc = "definitions of the log that this version of kappa does not take; CREATE OR REPLACE mends one"},
    {"kappa",
     "sources",
     {{"name", KP_TEXT, NULL},
      {"kind", KP_TEXT, "source, table"},
      {"topic", KP_TEXT, NULL},
      {"format", KP_TEXT, "of records"},
      {"path", KP_TEXT, "of the rows in JSON records"},
      {"watermark", KP_TEXT, "the column that it follows"},
      {"created_at", KP_INT8, "position of the record that made it"}},
     .fill = fill_sources,
     .doc = "sources and tables"},
    {"kappa",
     "watermarks",
     {{"name", KP_TEXT, "of a source with a watermark, or a view whose windows follow some"},
      {"version", KP_INT4, NULL},
      {"kind", KP_TEXT, "source, materialized view"},
      {"watermark", KP_TIMESTAMPTZ, "windows that end here or before are closed; NULL: none yet, or nobody reads it"},
      {"newest", KP_TIMESTAMPTZ, "the largest event time seen"},
      {"ms_behind_newest", KP_FLOAT8, "the declared delay, and what slow partitions add"},
      {"ms_behind_log", KP_FLOAT8, "of the log's time"},
      {"held_up_by", KP_TEXT, "the partition, or of a view the source, whose times are least"},
      {"partitions", KP_INT4, "of the source that have records"},
      {"idle_partitions", KP_INT4, "which hold nothing up, by idle_timeout"},
      {"too_far_ahead", KP_INT8, "records that max_ahead has refused since the start"}},
     .fill = kp_system_fill_watermarks,
     .doc = "how far event time has come: of a view, that of the source which holds it up"},
    {"kappa",
     "sinks",
     {{"name", KP_TEXT, NULL},
      {"view", KP_TEXT, "that it writes"},
      {"topic", KP_TEXT, "that it writes to"},
      {"format", KP_TEXT, "of changes"},
      {"state", KP_TEXT, "running, waiting for error rows to go, starting, stopped"},
      {"error", KP_TEXT, "why it waits or has stopped"},
      {"rows", KP_INT8, "written since the start"}},
     .fill = fill_sinks,
     .doc = "sinks"},
    {"kappa",
     "lag",
     {{"name", KP_TEXT, NULL},
      {"version", KP_INT4, "of the view"},
      {"position", KP_INT8, "all before it is in the view, or durable in the topic of the sink"},
      {"log_position", KP_INT8, "of the log's next record"},
      {"records_behind", KP_INT8, "positions between the two"},
      {"ms_behind", KP_FLOAT8, "of the engine, by the log's time"}},
     .fill = fill_lag,
     .doc = "how far tables, views and sinks are behind the log"},
    {"kappa",
     "replays",
     {{"name", KP_TEXT, NULL},
      {"version", KP_INT4, NULL},
      {"what", KP_TEXT, "why"},
      {"state", KP_TEXT, "waiting, running, paused, done"},
      {"position", KP_INT8, "reached"},
      {"target", KP_INT8, "to be reached"},
      {"percent", KP_FLOAT8, "of it"},
      {"records", KP_INT8, "read"},
      {"bytes", KP_INT8, "read"},
      {"records_per_s", KP_FLOAT8, NULL},
      {"seconds_left", KP_FLOAT8, "at this rate"},
      {"started", KP_TIMESTAMPTZ, NULL}},
     .fill = fill_replays,
     .doc = "what is being built from history"},
    {"kappa",
     "operators",
     {{"id", KP_INT4, NULL},
      {"kind", KP_TEXT, NULL},
      {"detail", KP_TEXT, NULL},
      {"inputs", KP_TEXT, "their ids"},
      {"growing", KP_BOOL, "it only gets rows, none are taken back"},
      {"rows_in", KP_INT8, "since the start"},
      {"rows_out", KP_INT8, "since the start"},
      {"batches", KP_INT8, "since the start"},
      {"ms", KP_FLOAT8, "of processor time in it"},
      {"state_rows", KP_INT8, "that it remembers"},
      {"state_bytes", KP_INT8, "of memory"},
      {"late", KP_INT8, "rows that came behind the watermark"}},
     .fill = fill_operators,
     .doc = "operators of the engine's graph"},
    {"kappa",
     "dead_letters",
     {{"source", KP_TEXT, "that cannot read it"},
      {"topic", KP_TEXT, NULL},
      {"partition", KP_INT4, NULL},
      {"offset", KP_INT8, NULL},
      {"position", KP_INT8, NULL},
      {"sqlstate", KP_TEXT, "of the error"},
      {"reason", KP_TEXT, "its message"},
      {"key", KP_TEXT, "of the record"},
      {"value", KP_TEXT, "of the record"}},
     .fill = fill_dead_letters,
     .doc = "records that are no rows"},
    {"kappa",
     "history",
     {{"topic", KP_TEXT, NULL},
      {"declaration", KP_TEXT, "what a source or table declares, as a hash"},
      {"field", KP_TEXT, "NULL: which records made rows"},
      {"type", KP_TEXT, "of its values"},
      {"decoder_version", KP_INT4, "that made them"},
      {"encoding", KP_TEXT, NULL},
      {"chunks", KP_INT8, "pieces of a column in a file"},
      {"rows", KP_INT8, NULL},
      {"bytes", KP_INT8, "on disk"},
      {"least", KP_TEXT, "of its values, where known"},
      {"largest", KP_TEXT, "of its values, where known"},
      {"position_begin", KP_INT8, "of the records behind them"},
      {"position_end", KP_INT8, "behind the last"},
      {"pool_bytes", KP_INT8, "of it in memory"}},
     .fill = kp_system_fill_history,
     .doc = "history columns: what was decoded once and is read by replays since"},
    {"kappa",
     "settings",
     {{"name", KP_TEXT, NULL}, {"setting", KP_TEXT, "its value now"}, {"description", KP_TEXT, NULL}},
     .fill = fill_settings,
     .doc = "of the session: SHOW, SET, SET LOCAL, RESET"},
    {"kappa",
     "metrics",
     {{"name", KP_TEXT, NULL}, {"labels", KP_TEXT, NULL}, {"value", KP_FLOAT8, NULL}, {"help", KP_TEXT, NULL}},
     .fill = fill_metrics,
     .doc = "as /metrics"},
    {"kappa",
     "functions",
     {{"name", KP_TEXT, NULL},
      {"kind", KP_TEXT, "function, set function, aggregate, operator, cast"},
      {"arguments", KP_TEXT, "their types"},
      {"returns", KP_TEXT, NULL},
      {"description", KP_TEXT, NULL}},
     .fill = fill_functions,
     .doc = "functions, operators, casts, aggregates"},
    {"kappa",
     "options",
     {{"name", KP_TEXT, NULL},
      {"of", KP_TEXT, "what has it"},
      {"value", KP_TEXT, NULL},
      {"description", KP_TEXT, NULL}},
     .fill = fill_options,
     .doc = "what WITH (…) takes"},
};
const size_t kp_system_kappa_count = KP_COUNT(kp_system_kappa);
