/* Counters and gauges of the instance, in Prometheus's terms: one list for /metrics and kappa.metrics. */
#include "db/dead.h"
#include "db/watermarks.h"

#include <stdio.h>

typedef void (*each_fn)(void *arg, const char *name, const char *labels, double value, const char *help);

static void view_metrics(struct kp_db *db, each_fn each, void *arg)
{
    kp_catalog_read(db->catalog);
    for (size_t i = 0; i < kp_catalog_count(db->catalog); i++) {
        struct kp_relation *relation = kp_catalog_at(db->catalog, i);
        if (relation->kind != KP_RELATION_VIEW && relation->kind != KP_RELATION_TABLE)
            continue;
        struct kp_live *live = kp_live_of(relation);
        if (!live)
            continue;
        struct kp_store_stats stats;
        kp_store_stats(live->store, &stats);
        char labels[KP_NAME_BYTES_MAX + 64];
        snprintf(labels, sizeof labels, "view=\"%s\",version=\"%u\"", relation->name, relation->version);
        each(arg, "kappa_view_rows", labels, (double)stats.rows, "Rows of a view or table.");
        each(arg, "kappa_view_bytes", labels, (double)stats.bytes, "Memory of a view's rows.");
        each(arg, "kappa_view_error_rows", labels, (double)stats.errors, "Rows whose expression fails.");
    }
    kp_catalog_unlock(db->catalog);
}

static void topic_metrics(struct kp_db *db, each_fn each, void *arg)
{
    struct kp_topic_info *topics;
    size_t count;
    kp_log_topics(db->log, &topics, &count);
    for (size_t i = 0; i < count; i++) {
        char labels[300];
        snprintf(labels, sizeof labels, "topic=\"%s\"", topics[i].name);
        each(arg, "kappa_topic_records", labels, (double)topics[i].records, "Records in a topic.");
        each(arg, "kappa_topic_bytes", labels, (double)topics[i].bytes, "Bytes of a topic's record batches.");
    }
    kp_free(topics);
}

static void log_metrics(struct kp_db *db, each_fn each, void *arg)
{
    struct kp_log_sealed sealed;
    struct kp_log_damage *damages;
    size_t count, mended = 0;
    kp_log_sealed(db->log, &sealed);
    kp_log_damages(db->log, &damages, &count);
    for (size_t i = 0; i < count; i++)
        mended += damages[i].mended;
    kp_free(damages);
    each(arg, "kappa_log_unsealed_bytes", "", (double)sealed.unsealed_bytes,
         "Bytes of journal, in full files, that are not in extents yet.");
    each(arg, "kappa_log_extents", "", (double)sealed.extents, "Extents.");
    each(arg, "kappa_log_sealed_bytes_total", "", (double)sealed.batch_bytes,
         "Bytes of record batches that were sealed.");
    each(arg, "kappa_log_written_bytes_total", "what=\"journal\"", (double)sealed.journal_bytes,
         "Bytes written for what was sealed.");
    each(arg, "kappa_log_written_bytes_total", "what=\"extents\"", (double)sealed.extent_bytes, NULL);
    each(arg, "kappa_log_written_bytes_total", "what=\"merges\"", (double)sealed.merge_bytes, NULL);
    each(arg, "kappa_log_write_amplification", "", kp_log_write_amplification(&sealed),
         "How often a sealed byte was written; 0: nothing was sealed.");
    each(arg, "kappa_log_damaged_stretches", "", (double)(count - mended),
         "Partitions' stretches of the log that have rotted on disk, as far as they were met (kappa.damage).");
    each(arg, "kappa_log_mended_sections", "", (double)mended,
         "Sections of extents that have rotted on disk, of which nothing is lost (kappa.damage).");
    each(arg, "kappa_log_disk_full", "", sealed.full,
         "1: the last append found no room on the disk, or its rest is kept for what frees some.");
    each(arg, "kappa_log_refusals_total", "", (double)sealed.refusals,
         "How often appends were refused because the disk had no room.");
}

void kp_db_metrics(struct kp_db *db, each_fn each, void *arg)
{
    int64_t log_position = kp_log_position(db->log), position = kp_view_clock_position(db->clock);
    double behind_s = (double)(kp_log_time_us(db->log) - kp_view_clock_time_us(db->clock)) / 1e6;
    each(arg, "kappa_log_position", "", (double)log_position, "Records in the log.");
    each(arg, "kappa_published_position", "", (double)position, "Position at which views are published.");
    each(arg, "kappa_lag_records", "", (double)(log_position - position), "Records that views are behind the log.");
    each(arg, "kappa_lag_seconds", "", behind_s > 0 ? behind_s : 0, "Log time that views are behind the log.");
    each(arg, "kappa_steps_total", "", (double)atomic_load(&db->counters.steps), "Steps of the engine.");
    each(arg, "kappa_step_seconds_total", "", (double)atomic_load(&db->counters.step_ns) / 1e9, "Time in steps.");
    each(arg, "kappa_last_step_seconds", "", (double)atomic_load(&db->counters.last_step_ns) / 1e9,
         "Time of the last step.");
    each(arg, "kappa_records_total", "", (double)atomic_load(&db->counters.records), "Records taken by the engine.");
    each(arg, "kappa_record_bytes_total", "", (double)atomic_load(&db->counters.bytes),
         "Bytes of records taken by the engine.");
    each(arg, "kappa_dead_letters_total", "", (double)kp_dead_letters_count(db->dead),
         "Records that could not be decoded.");
    each(arg, "kappa_sessions", "", (double)atomic_load(&db->counters.sessions), "Open sessions.");
    each(arg, "kappa_statements_total", "", (double)atomic_load(&db->counters.statements), "Statements run.");
    each(arg, "kappa_queries_total", "", (double)atomic_load(&db->counters.queries), "Queries run.");
    each(arg, "kappa_memory_bytes", "budget=\"state\"", (double)atomic_load(&db->state_memory.used_bytes),
         "Memory charged to a budget.");
    each(arg, "kappa_memory_bytes", "budget=\"queries\"", (double)atomic_load(&db->query_memory.used_bytes),
         "Memory charged to a budget.");
    log_metrics(db, each, arg);
    view_metrics(db, each, arg);
    kp_watermarks_metrics(db, each, arg);
    topic_metrics(db, each, arg);
}
