/*
 * What keeps records from expiring, the decision in the log, and its recovery.
 */
#include "db/expiry.h"

#include <stdio.h>
#include <stdlib.h>

#include "db/base.h"
#include "db/compaction.h"
#include "db/failed.h"
#include "db/retention.h"

enum { WAIT_US = 10000000 };
static const char topic_name[] = "__kappa_expiry";

/* ---- who needs the records ---- */

/* The source of this topic that the plan scans; NULL: none. */
static const struct kp_relation *source_read(const struct kp_plan *plan, const char *topic)
{
    if (plan->kind == KP_PLAN_SCAN && plan->scan.relation->kind == KP_RELATION_SOURCE &&
        strcmp(plan->scan.relation->topic, topic) == 0)
        return plan->scan.relation;
    for (uint32_t i = 0; i < plan->input_count; i++) {
        const struct kp_relation *found = source_read(plan->inputs[i], topic);
        if (found)
            return found;
    }
    return NULL;
}

static bool is_late_window(const struct kp_plan *plan)
{
    return plan->kind == KP_PLAN_WINDOW && (plan->window.late_only || plan->window.kind == KP_WINDOW_LATENESS);
}

/* EMIT ON WINDOW CLOSE, lateness and their late rows: how many sources' watermarks decide what is late. */
static uint32_t watermark_sources(const struct kp_plan *plan)
{
    uint32_t most = plan->kind == KP_PLAN_EMIT ? plan->emit.source_count
                    : is_late_window(plan)     ? plan->window.source_count
                                               : 0;
    for (uint32_t i = 0; i < plan->input_count; i++)
        most = KP_MAX(most, watermark_sources(plan->inputs[i]));
    return most;
}

static enum kp_code check_view(const struct kp_relation *view, const struct kp_expiry *expiry, struct kp_error *err)
{
    const struct kp_live *live = kp_live_of(view);
    uint32_t sources = watermark_sources(view->plan->plan);
    if (view->on_expiry == KP_ON_EXPIRY_HOLD)
        return kp_fail(err, KP_BUSY, NULL, "materialized view \"%s\" holds them (ON EXPIRY HOLD)", view->name);
    if (!live || atomic_load(&live->state) == KP_LIVE_BUILDING)
        return kp_fail(err, KP_BUSY, NULL, "materialized view \"%s\" is being built from them", view->name);
    if (sources > 1)
        return kp_fail(err, KP_BUSY, NULL,
                       "materialized view \"%s\" needs them: which rows are late depends on several sources",
                       view->name);
    if (sources && expiry->horizon < 0)
        return kp_fail(err, KP_BUSY, NULL,
                       "materialized view \"%s\" needs them: which rows are late depends on their order; retention may "
                       "let them go",
                       view->name);
    return KP_OK;
}

static enum kp_code check_relation(struct kp_db *db, struct kp_relation *relation, const struct kp_expiry *expiry,
                                   struct kp_error *err)
{
    if (relation->kind == KP_RELATION_TABLE && strcmp(relation->topic, expiry->topic.name) == 0)
        return kp_fail(err, KP_BUSY, NULL, "the rows of table \"%s\" are the topic's records", relation->name);
    if (relation->kind == KP_RELATION_SINK) {
        const struct kp_sink *sink = relation->attached;
        if (!kp_relation_reads(relation->sink_from, expiry->topic.name))
            return KP_OK;
        kp_mutex_lock(&db->mutex);
        bool behind = !sink || !sink->subscription || *sink->error;
        kp_mutex_unlock(&db->mutex);
        return behind ? kp_sink_is_behind(relation, err) : KP_OK;
    }
    if (relation->kind != KP_RELATION_VIEW || !source_read(relation->plan->plan, expiry->topic.name))
        return KP_OK;
    return check_view(relation, expiry, err);
}

enum kp_code kp_expiry_check(struct kp_db *db, const struct kp_expiry *expiry, struct kp_error *err)
{
    if (expiry->topic.internal)
        return kp_fail(err, KP_FORBIDDEN, NULL, "topic \"%s\" is kappa's own", expiry->topic.name);
    kp_catalog_read(db->catalog);
    enum kp_code code = kp_failed_check_topic(db->catalog, expiry->topic.name, err);
    for (size_t i = 0; code == KP_OK && i < kp_catalog_count(db->catalog); i++)
        code = check_relation(db, kp_catalog_at(db->catalog, i), expiry, err);
    kp_catalog_unlock(db->catalog);
    return code;
}

/* ---- the decision ---- */

enum kp_code kp_expiry_topic(struct kp_db *db, const char *name, uint32_t *ret_topic, struct kp_error *err)
{
    struct kp_topic_info info;
    enum kp_code code = kp_log_topic_find(db->log, name, &info, err);
    if (code == KP_NOT_FOUND)
        return kp_log_topic_create(db->log, name, 1, ret_topic, err);
    KP_TRY(code);
    *ret_topic = info.id;
    return KP_OK;
}

struct run {
    const struct kp_expiry *expiry;
    struct kp_base_maker *maker;
    int64_t base;
    uint32_t topic; /* __kappa_expiry */
    int64_t position;
};

static enum kp_code log_decision(struct kp_db *db, struct run *run, struct kp_error *err)
{
    const struct kp_expiry *expiry = run->expiry;
    struct kp_buf key = {0}, value = {0}, batch = {0};
    kp_buf_printf(&key, "%u", expiry->topic.id);
    kp_buf_printf(&value, "1 %lld %s %u", (long long)expiry->horizon, expiry->why, expiry->topic.partitions);
    for (uint32_t p = 0; p < expiry->topic.partitions; p++)
        kp_buf_printf(&value, " %lld", (long long)expiry->before[p]);
    if (run->base)
        kp_buf_printf(&value, "\nbase %lld", (long long)run->base);
    kp_base_describe(run->maker, &value);
    struct kp_record_batch_builder builder = {0};
    kp_record_batch_add(&builder, db->os->wall_us(db->os->ctx) / 1000, (struct kp_str){(char *)key.data, key.len},
                        (struct kp_str){(char *)value.data, value.len}, (struct kp_str){NULL, 0});
    int64_t end;
    enum kp_code code = kp_record_batch_build(&builder, KP_CODEC_NONE, &batch, err);
    struct kp_log_entry entry = {
        .topic = run->topic, .batch = batch.data, .bytes = batch.len, .trusted = true, .frees_room = true};
    if (code == KP_OK)
        code = kp_log_append(db->log, &entry, 1, &end, err);
    run->position = entry.position;
    kp_record_batch_builder_finish(&builder);
    kp_buf_finish(&key);
    kp_buf_finish(&value);
    kp_buf_finish(&batch);
    return code;
}

/* The decision, and what it takes away from views at its position. From the record on it has happened: what cannot
 * follow it then breaks the instance, and a restart follows it. */
static enum kp_code decide(struct kp_db *db, void *arg, struct kp_error *err)
{
    struct run *run = arg;
    struct kp_step_input *inputs;
    KP_TRY(kp_sinks_settle(db, run->expiry->topic.name, err));
    size_t count = kp_base_retractions(run->maker, &inputs);
    enum kp_code code = log_decision(db, run, err);
    if (code == KP_OK && count) {
        code = kp_engine_step_beside(db, run->position, inputs, count, err);
        if (code != KP_OK)
            kp_db_poison(db, err);
    }
    kp_free(inputs);
    return code;
}

static enum kp_code trim(struct kp_db *db, const struct kp_expiry *expiry, struct kp_error *err)
{
    return kp_log_trim_partitions(db->log, expiry->topic.id, expiry->before, expiry->topic.partitions, err);
}

static enum kp_code run_locked(struct kp_db *db, struct run *run, int64_t end, struct kp_error *err)
{
    KP_TRY(kp_base_make(db, run->expiry, run->expiry->from, end, &run->maker, err));
    KP_TRY(kp_base_log(run->maker, &run->base, err));
    KP_TRY(kp_expiry_topic(db, topic_name, &run->topic, err));
    KP_TRY(kp_engine_call(db, decide, run, err));
    kp_base_note(run->maker, run->position);
    if (run->base)
        kp_retention_add_base(db, run->base);
    kp_retention_note(db, run->expiry->topic.id, run->expiry->horizon, run->position);
    return trim(db, run->expiry, err);
}

enum kp_code kp_expiry_run(struct kp_db *db, const struct kp_expiry *expiry, struct kp_error *err)
{
    struct run run = {.expiry = expiry};
    int64_t end = expiry->horizon;
    KP_TRY(kp_base_forget_retractions(db, err));
    if (end < 0) { /* up to the last record: views must have seen it */
        end = kp_log_position(db->log);
        if (!kp_view_clock_wait(db->clock, end, WAIT_US))
            return kp_fail(err, KP_BUSY, NULL, "views have not come to position %lld yet", (long long)end);
    }
    kp_retention_write_past(db);
    enum kp_code code = run_locked(db, &run, end, err);
    kp_retention_unlock_past(db);
    kp_base_maker_destroy(run.maker);
    return code;
}

/* ---- recovery ---- */

static int64_t take_number(const char **at)
{
    char *end;
    int64_t number = strtoll(*at, &end, 10);
    *at = end;
    return number;
}

/* The further lines of a decision. */
static void redo_views(struct kp_db *db, const char *at, int64_t position)
{
    for (at = strchr(at, '\n'); at; at = strchr(at, '\n')) {
        at++;
        if (strncmp(at, "base ", 5) == 0) {
            at += 5;
            kp_retention_add_base(db, take_number(&at));
        } else if (strncmp(at, "retractions ", 12) == 0) {
            at += 12;
            kp_retention_put_retractions(db, (struct kp_retractions){take_number(&at), position});
        } else if (strncmp(at, "times ", 6) == 0) {
            at += 6;
            struct kp_times times = {.relation = (uint32_t)take_number(&at)};
            times.watermark = take_number(&at);
            times.count = (uint32_t)take_number(&at);
            times.times = kp_calloc(times.count + 1, sizeof *times.times);
            for (uint32_t i = 0; i < times.count; i++) {
                times.times[i].partition = (uint32_t)take_number(&at);
                times.times[i].time_max = take_number(&at);
                times.times[i].seen_us = KP_NEVER_SEEN;
            }
            for (uint32_t i = 0; i < times.count && *at == ' '; i++) /* earlier versions did not keep them */
                times.times[i].seen_us = take_number(&at);
            kp_retention_put_times(db, &times);
        }
    }
}

/* A decision whose trimming the power may have cut off is carried out again; in a log that is only read, too, for who
 * reads it: what a base has would count twice. */
static enum kp_code redo(struct kp_db *db, const struct kp_record *record, int64_t position, struct kp_arena *arena,
                         struct kp_error *err)
{
    const char *key = kp_arena_strndup(arena, record->key.ptr, record->key.len);
    const char *value = kp_arena_strndup(arena, record->value.ptr, record->value.len);
    struct kp_expiry expiry = {0};
    struct kp_error gone;
    if (kp_log_topic_get(db->log, (uint32_t)strtoul(key, NULL, 10), &expiry.topic, &gone) != KP_OK)
        return KP_OK; /* dropped since */
    int64_t format = take_number(&value);
    if (format == 2) {
        kp_compaction_redo(db, expiry.topic.id, value, position);
        return KP_OK;
    }
    if (format != 1)
        return kp_fail(err, KP_UNSUPPORTED, NULL, "the decision at position %lld has a format of a later version",
                       (long long)position);
    expiry.horizon = take_number(&value);
    value += strspn(value, " ");
    value += strcspn(value, " "); /* why */
    int64_t partitions = take_number(&value);
    expiry.before = kp_arena_calloc(arena, expiry.topic.partitions * sizeof *expiry.before);
    for (int64_t p = 0; p < partitions && p < (int64_t)expiry.topic.partitions; p++)
        expiry.before[p] = take_number(&value);
    redo_views(db, value, position);
    kp_retention_note(db, expiry.topic.id, expiry.horizon, position);
    return trim(db, &expiry, err);
}

static enum kp_code redo_chunk(void *context, const struct kp_log_chunk *chunk, struct kp_error *err)
{
    struct kp_db *db = context;
    struct kp_arena arena = {0};
    struct kp_record_reader reader;
    struct kp_record record;
    enum kp_code code = kp_record_reader_init(&reader, chunk->batch, chunk->bytes, &arena, err);
    for (int64_t i = 0; code == KP_OK && kp_record_reader_next(&reader, &record, err); i++)
        code = redo(db, &record, chunk->position + i, &arena, err);
    kp_arena_finish(&arena);
    return code;
}

enum kp_code kp_retention_recover(struct kp_db *db, struct kp_error *err)
{
    struct kp_topic_info info;
    struct kp_error none;
    if (kp_log_topic_find(db->log, topic_name, &info, &none) != KP_OK)
        return KP_OK;
    return kp_log_each(db->log, info.id, redo_chunk, db, err);
}
