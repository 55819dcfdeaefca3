/*
 * What holds compaction back, what a table takes for one row, the round and its records in the log.
 *
 * A round is due when half of what the topic has in extents has come since the last one. Tombstones go in the round
 * after the one that took what they deleted, when nobody reads who came before: the lock `past` is taken once between,
 * and history columns of the topic are forgotten, which still had those rows.
 */
#include "db/compaction.h"
#include "db/failed.h"

#include <stdio.h>
#include <stdlib.h>

#include "db/expiry.h"
#include "db/retention.h"
#include "flow/reader.h"
#include "log/columns.h"
#include "log/record_batch.h"

enum { WAIT_US = 50000 };
static const char topic_name[] = "__kappa_expiry";

/* ---- who needs every record ---- */

/* Which topics are meant: one, or all that are compacted. */
struct meant {
    struct kp_db *db;
    const char *topic; /* NULL: any that is */
    bool running;      /* a round goes on: set when topic is NULL */
};

static bool is_meant(struct meant *meant, const char *topic)
{
    struct kp_topic_info info;
    struct kp_topic_retention now;
    if (meant->topic)
        return strcmp(topic, meant->topic) == 0;
    if (kp_log_topic_find(meant->db->log, topic, &info, NULL) != KP_OK)
        return false;
    kp_retention_get(meant->db, info.id, &now);
    meant->running |= now.compacting;
    return now.policy.compact || now.compacting;
}

/* Is what the node yields at a position a function of what its inputs hold there, whatever they held before? */
static bool forgets(const struct kp_plan *plan)
{
    switch (plan->kind) {
    case KP_PLAN_SCAN:
    case KP_PLAN_VALUES:
    case KP_PLAN_FILTER:
    case KP_PLAN_PROJECT:
    case KP_PLAN_AGGREGATE:
    case KP_PLAN_JOIN:
    case KP_PLAN_ASOF:
    case KP_PLAN_UNION:
    case KP_PLAN_REPEAT:
    case KP_PLAN_EXPAND:
    case KP_PLAN_OVER:
    case KP_PLAN_RECURSE:
    case KP_PLAN_WORK:
    case KP_PLAN_TOPN:
    case KP_PLAN_SORT:
        return true;
    case KP_PLAN_WINDOW:
        return !plan->window.late_only;
    default:
        return false;
    }
}

/* Why the plan needs records that compaction takes; NULL: it does not. remembers: something above does not forget. */
static const char *plan_needs(struct meant *meant, const struct kp_plan *plan, bool remembers, struct kp_arena *arena)
{
    const char *reason = NULL;
    remembers |= !forgets(plan);
    if (plan->kind == KP_PLAN_SCAN) {
        const struct kp_relation *relation = plan->scan.relation;
        bool there = relation->topic && is_meant(meant, relation->topic);
        if (relation->kind == KP_RELATION_VIEW && relation->plan)
            reason = plan_needs(meant, relation->plan->plan, remembers, arena);
        else if (there && relation->versions_of)
            reason = kp_arena_printf(arena, "reads the versions of table \"%s\"", relation->versions_of->name);
        else if (there && relation->kind == KP_RELATION_SOURCE)
            reason = kp_arena_printf(arena, "reads every record of topic \"%s\" by source \"%s\"", relation->topic,
                                     relation->name);
        else if (there && remembers)
            reason = kp_arena_printf(arena, "depends on what table \"%s\" held before", relation->name);
    }
    for (uint32_t i = 0; i < plan->input_count && !reason; i++)
        reason = plan_needs(meant, plan->inputs[i], remembers, arena);
    return reason;
}

static bool plan_reads(const struct kp_plan *plan, const char *topic)
{
    bool reads = false;
    if (plan->kind == KP_PLAN_SCAN) {
        const struct kp_relation *relation = plan->scan.relation;
        reads = (relation->topic && strcmp(relation->topic, topic) == 0) ||
                (relation->kind == KP_RELATION_VIEW && relation->plan && plan_reads(relation->plan->plan, topic));
    }
    for (uint32_t i = 0; i < plan->input_count && !reads; i++)
        reads = plan_reads(plan->inputs[i], topic);
    return reads;
}

bool kp_relation_reads(const struct kp_relation *relation, const char *topic)
{
    if (relation->plan)
        return plan_reads(relation->plan->plan, topic);
    return relation->kind == KP_RELATION_TABLE && strcmp(relation->topic, topic) == 0;
}

static enum kp_code check_sink(struct kp_db *db, const struct kp_relation *relation, const char *topic,
                               int64_t *horizon, struct kp_error *err)
{
    const struct kp_sink *sink = relation->attached;
    if (!kp_relation_reads(relation->sink_from, topic))
        return KP_OK;
    kp_mutex_lock(&db->mutex);
    bool behind = !sink || !sink->subscription || *sink->error;
    int64_t marked = sink ? atomic_load(&sink->marked) : -1;
    kp_mutex_unlock(&db->mutex);
    if (behind)
        return kp_sink_is_behind(relation, err);
    if (marked >= 0) /* there it would go on */
        *horizon = KP_MIN(*horizon, marked);
    return KP_OK;
}

static enum kp_code check_relation(struct kp_db *db, const struct kp_relation *relation, const char *topic,
                                   int64_t *horizon, struct kp_error *err)
{
    struct meant meant = {.db = db, .topic = topic};
    struct kp_arena arena = {0};
    const char *reason = NULL;
    if (relation->kind == KP_RELATION_SINK)
        return check_sink(db, relation, topic, horizon, err);
    bool reads = kp_relation_reads(relation, topic);
    if (relation->kind == KP_RELATION_VIEW)
        reason = plan_needs(&meant, relation->plan->plan, false, &arena);
    else if (reads && relation->watermark_column >= 0)
        reason = "has a watermark: which rows are late depends on every record";
    const struct kp_live *live = reads ? kp_live_of(relation) : NULL;
    if (!reason && live && atomic_load(&live->state) == KP_LIVE_BUILDING)
        reason = "is being built";
    enum kp_code code =
        !reason ? KP_OK
                : kp_fail(err, KP_BUSY, NULL, "%s \"%s\" %s",
                          relation->kind == KP_RELATION_TABLE ? "table" : "materialized view", relation->name, reason);
    kp_arena_finish(&arena);
    return code;
}

/* Whether it may be done, and how far: what sinks go on from limits the horizon. */
static enum kp_code check_all(struct kp_db *db, const char *topic, int64_t *horizon, struct kp_error *err)
{
    kp_catalog_read(db->catalog);
    enum kp_code code = kp_failed_check_topic(db->catalog, topic, err);
    for (size_t i = 0; code == KP_OK && i < kp_catalog_count(db->catalog); i++)
        code = check_relation(db, kp_catalog_at(db->catalog, i), topic, horizon, err);
    kp_catalog_unlock(db->catalog);
    return code;
}

enum kp_code kp_compaction_admits(struct kp_db *db, const struct kp_relation *relation, struct kp_error *err)
{
    struct meant meant = {.db = db};
    struct kp_arena arena = {0};
    const char *reason = NULL;
    if (relation->kind == KP_RELATION_VIEW && relation->plan)
        reason = plan_needs(&meant, relation->plan->plan, false, &arena);
    else if (relation->kind == KP_RELATION_TABLE && is_meant(&meant, relation->topic) &&
             relation->watermark_column >= 0)
        reason = "has a watermark";
    enum kp_code code = KP_OK;
    if (reason) {
        (void)kp_fail(err, KP_BUSY, "55006", "\"%s\" %s, which is compacted", relation->name, reason);
        code = kp_error_hint(err, "Declare a table with a PRIMARY KEY over the topic, or ALTER TOPIC … SET (cleanup = "
                                  "'delete').");
    } else if (meant.running && relation->kind == KP_RELATION_TABLE) {
        (void)kp_fail(err, KP_BUSY, "55006", "topic \"%s\" is being compacted", relation->topic);
        code = kp_error_hint(err, "Try again in a moment.");
    }
    kp_arena_finish(&arena);
    return code;
}

/* ---- what a table takes for one row ---- */

struct identity {
    struct kp_reader *reader;
    struct kp_reader_state *state;
    uint32_t key_count;
};
struct identities {
    struct identity *items;
    size_t count;
    struct kp_arena arena;  /* of a batch */
    struct kp_hash128 *ids; /* of a batch */
    const struct kp_log_chunk *chunk;
    uint32_t key_count; /* of the table in work */
};

static void identities_finish(struct identities *identities)
{
    for (size_t i = 0; i < identities->count; i++) {
        kp_reader_state_destroy(identities->items[i].state);
        kp_reader_destroy(identities->items[i].reader);
    }
    kp_free(identities->items);
    kp_arena_finish(&identities->arena);
}

static enum kp_code add_identity(struct identities *identities, struct kp_relation *table, struct kp_error *err)
{
    identities->items = kp_realloc(identities->items, (identities->count + 1) * sizeof *identities->items);
    struct identity *identity = &identities->items[identities->count];
    *identity = (struct identity){.key_count = table->key_count};
    KP_TRY(kp_reader_create(table, table->keys, table->key_count, NULL, NULL, 0, &identity->reader, err));
    identity->state = kp_reader_state_create(identity->reader);
    identities->count++;
    return KP_OK;
}

static enum kp_code find_identities(struct kp_db *db, const char *topic, struct identities *identities,
                                    struct kp_error *err)
{
    enum kp_code code = KP_OK;
    kp_catalog_read(db->catalog);
    for (size_t i = 0; code == KP_OK && i < kp_catalog_count(db->catalog); i++) {
        struct kp_relation *relation = kp_catalog_at(db->catalog, i);
        if (relation->kind == KP_RELATION_TABLE && strcmp(relation->topic, topic) == 0)
            code = add_identity(identities, relation, err);
    }
    kp_catalog_unlock(db->catalog);
    return code;
}

/* A row's id is the hash of its key as the table compares keys; records that make no row keep the id of none. */
static enum kp_code take_rows(void *arg, const struct kp_decoded *decoded, struct kp_error *err)
{
    struct identities *identities = arg;
    const struct kp_batch *batch = decoded->batch;
    uint64_t *hashes = kp_arena_calloc(&identities->arena, (batch->rows + (size_t)1) * sizeof *hashes);
    for (uint32_t k = 0; k < identities->key_count; k++)
        kp_vec_hash(&batch->vecs[k], batch->rows, hashes, k == 0);
    for (uint32_t row = 0; row < batch->rows; row++) {
        bool null = false;
        for (uint32_t k = 0; k < identities->key_count; k++)
            null |= kp_vec_is_null(&batch->vecs[k], row);
        if (!null) /* else it is a dead letter */
            identities->ids[decoded->positions[row] - identities->chunk->position] =
                (struct kp_hash128){hashes[row], 2};
    }
    return KP_OK;
}

static enum kp_code identify(void *arg, const struct kp_log_chunk *chunk, struct kp_hash128 *ids, struct kp_error *err)
{
    struct identities *identities = arg;
    const struct kp_decode_input input = {.partition = chunk->partition,
                                          .base_offset = chunk->base_offset,
                                          .position = chunk->position,
                                          .log_time_us = chunk->log_time_us,
                                          .batch = chunk->batch,
                                          .bytes = chunk->bytes};
    identities->chunk = chunk;
    enum kp_code code = KP_OK;
    for (size_t i = 0; i < identities->count && code == KP_OK; i++) {
        kp_arena_reset(&identities->arena);
        identities->key_count = identities->items[i].key_count;
        size_t bytes = chunk->records * sizeof *identities->ids;
        identities->ids = kp_arena_calloc(&identities->arena, bytes + 1);
        code =
            kp_reader_read(identities->items[i].state, &input, 1, &identities->arena, take_rows, NULL, identities, err);
        for (uint32_t d = 0; d < chunk->records && code == KP_OK; d++) {
            ids[d].lo = kp_hash_combine(ids[d].lo, identities->ids[d].lo);
            ids[d].hi = kp_hash_combine(ids[d].hi, identities->ids[d].hi);
        }
    }
    return code;
}

/* ---- the round ---- */

struct round {
    struct kp_topic_info topic;
    const char *what; /* of the record */
    int64_t horizon;
    int64_t position; /* of the record */
    uint32_t expiry_topic;
    uint64_t removed_records, removed_bytes;
};

/* On the engine thread. */
static enum kp_code log_record(struct kp_db *db, void *arg, struct kp_error *err)
{
    struct round *round = arg;
    struct kp_record_batch_builder builder = {0};
    struct kp_buf key = {0}, value = {0}, batch = {0};
    int64_t end;
    kp_buf_printf(&key, "%u", round->topic.id);
    kp_buf_printf(&value, "2 %lld %s", (long long)round->horizon, round->what);
    if (round->removed_records)
        kp_buf_printf(&value, " %llu %llu", (unsigned long long)round->removed_records,
                      (unsigned long long)round->removed_bytes);
    kp_record_batch_add(&builder, db->os->wall_us(db->os->ctx) / 1000, (struct kp_str){(char *)key.data, key.len},
                        (struct kp_str){(char *)value.data, value.len}, (struct kp_str){NULL, 0});
    enum kp_code code = kp_record_batch_build(&builder, KP_CODEC_NONE, &batch, err);
    struct kp_log_entry entry = {
        .topic = round->expiry_topic, .batch = batch.data, .bytes = batch.len, .trusted = true};
    if (code == KP_OK)
        code = kp_log_append(db->log, &entry, 1, &end, err);
    round->position = entry.position;
    kp_record_batch_builder_finish(&builder);
    kp_buf_finish(&key);
    kp_buf_finish(&value);
    kp_buf_finish(&batch);
    return code;
}

/* Engine thread. What sinks have marked, which limits the horizon, is in the log before it. */
static enum kp_code log_decision(struct kp_db *db, void *arg, struct kp_error *err)
{
    KP_TRY(kp_sinks_settle(db, NULL, err));
    return log_record(db, arg, err);
}

void kp_compaction_redo(struct kp_db *db, uint32_t topic, const char *value, int64_t position)
{
    char *what;
    int64_t horizon = strtoll(value, &what, 10);
    what += strspn(what, " ");
    bool done = strncmp(what, "compacted", 9) == 0;
    if (done) {
        uint64_t records = strtoull(what + 9, &what, 10);
        kp_retention_note_removed(db, topic, records, strtoull(what, NULL, 10));
    }
    kp_retention_note_compaction(db, topic, horizon, done ? horizon : 0, false, position);
}

/* How far the policy reaches; *ret_due: and it is worth it. */
static enum kp_code find_horizon(struct kp_db *db, const struct kp_topic_info *info, bool now, int64_t *ret_horizon,
                                 bool *ret_due, struct kp_error *err)
{
    struct kp_topic_retention retention;
    struct kp_log_sealed sealed;
    uint64_t all, fresh;
    kp_retention_get(db, info->id, &retention);
    if (!retention.policy.compact)
        return now ? kp_fail(err, KP_BUSY, "55000",
                             "topic \"%s\" is not compacted: ALTER TOPIC … SET (cleanup = "
                             "'compact') says that it is",
                             info->name)
                   : KP_OK;
    kp_log_sealed(db->log, &sealed);
    kp_log_stored(db->log, info->id, retention.compacted, &all, &fresh);
    int64_t horizon = kp_view_clock_position(db->clock);
    horizon = now ? horizon : KP_MIN(horizon, sealed.position);
    if (retention.policy.compaction_lag_us > 0) {
        int64_t old;
        KP_TRY(
            kp_log_position_at(db->log, db->os->wall_us(db->os->ctx) - retention.policy.compaction_lag_us, &old, err));
        horizon = KP_MIN(horizon, old);
    }
    *ret_due = horizon > retention.compacted && (now || (fresh > 0 && fresh >= all / 2));
    *ret_horizon = horizon;
    return KP_OK;
}

/* The decision. Nobody computes from the log meanwhile, so nobody who came before still does afterwards. */
static enum kp_code decide(struct kp_db *db, struct round *round, struct kp_error *err)
{
    KP_TRY(kp_expiry_topic(db, topic_name, &round->expiry_topic, err));
    round->what = "compact";
    kp_retention_write_past(db);
    enum kp_code code = kp_engine_call(db, log_decision, round, err);
    if (code == KP_OK) {
        kp_retention_note_compaction(db, round->topic.id, round->horizon, 0, true, round->position);
        if (db->columns)
            kp_columns_forget(db->columns, round->topic.id, INT64_MAX);
    }
    kp_retention_unlock_past(db);
    return code;
}

/* Without ddl_mutex: it may take its time. */
static enum kp_code carry_out(struct kp_db *db, struct round *round, struct identities *identities, bool now,
                              const _Atomic bool *cancel, struct kp_error *err)
{
    struct kp_topic_retention retention;
    kp_retention_get(db, round->topic.id, &retention);
    int64_t delete_us = retention.policy.delete_retention_us;
    struct kp_log_compaction compaction = {.topic = round->topic.id,
                                           .clean = retention.compacted,
                                           .horizon = round->horizon,
                                           .tombstones_before_us = INT64_MIN,
                                           .seal = now,
                                           .identify = identities->count ? identify : NULL,
                                           .arg = identities,
                                           .cancel = cancel};
    if (delete_us >= 0 && identities->count <= 1)
        compaction.tombstones_before_us = db->os->wall_us(db->os->ctx) - delete_us;
    for (;;) {
        KP_TRY(kp_log_compact(db->log, &compaction, err));
        round->removed_records += compaction.records_removed;
        round->removed_bytes += compaction.bytes_removed;
        if (compaction.done == round->horizon || compaction.done == compaction.clean)
            break;
        compaction.clean = compaction.done;
        compaction.seal = false;
        compaction.tombstones_before_us = INT64_MIN; /* of what went just now they stay: readers may have seen it */
    }
    round->horizon = compaction.done;
    return KP_OK;
}

static enum kp_code run(struct kp_db *db, struct round *round, bool now, const _Atomic bool *cancel,
                        struct kp_error *err)
{
    struct identities identities = {0};
    enum kp_code code = find_identities(db, round->topic.name, &identities, err);
    if (code == KP_OK)
        code = decide(db, round, err);
    if (code == KP_OK) {
        int64_t decided = round->horizon;
        kp_mutex_unlock(&db->ddl_mutex);
        code = carry_out(db, round, &identities, now, cancel, err);
        kp_mutex_lock(&db->ddl_mutex);
        round->what = "compacted";
        if (code == KP_OK)
            code = kp_engine_call(db, log_record, round, err);
        kp_retention_note_removed(db, round->topic.id, round->removed_records, round->removed_bytes);
        kp_retention_note_compaction(db, round->topic.id, decided, code == KP_OK ? round->horizon : 0, false,
                                     round->position);
    }
    identities_finish(&identities);
    return code;
}

/* Another one's round goes on: until its end, ddl_mutex is not held. */
static enum kp_code wait_round(struct kp_db *db, uint32_t topic, const _Atomic bool *cancel, struct kp_error *err)
{
    kp_mutex_unlock(&db->ddl_mutex);
    enum kp_code code = KP_OK;
    while (code == KP_OK && !kp_retention_wait_compacted(db, topic, WAIT_US)) {
        code = kp_db_health(db, err);
        if (code == KP_OK && cancel && atomic_load(cancel))
            code = kp_fail(err, KP_CANCELLED, NULL, "canceling statement due to user request");
    }
    kp_mutex_lock(&db->ddl_mutex);
    return code;
}

enum kp_code kp_compaction_run(struct kp_db *db, uint32_t topic, bool now, const _Atomic bool *cancel,
                               struct kp_error *err)
{
    struct round round = {0};
    struct kp_topic_retention retention;
    struct kp_error held;
    bool due = false;
    for (;;) {
        KP_TRY(kp_log_topic_get(db->log, topic, &round.topic, err));
        if (round.topic.internal)
            return kp_fail(err, KP_FORBIDDEN, NULL, "topic \"%s\" is kappa's own", round.topic.name);
        kp_retention_get(db, topic, &retention);
        if (!retention.compacting)
            break;
        if (!now)
            return KP_OK;
        KP_TRY(wait_round(db, topic, cancel, err));
    }
    KP_TRY(find_horizon(db, &round.topic, now, &round.horizon, &due, err));
    if (!due)
        return KP_OK;
    if (check_all(db, round.topic.name, &round.horizon, &held) != KP_OK) {
        if (now)
            return kp_fail(err, KP_BUSY, "55006", "topic \"%s\" cannot be compacted: %s", round.topic.name,
                           held.message);
        kp_retention_note_held(db, topic, held.message);
        return KP_OK;
    }
    kp_retention_note_held(db, topic, "");
    return round.horizon > retention.compacted ? run(db, &round, now, cancel, err) : KP_OK;
}
