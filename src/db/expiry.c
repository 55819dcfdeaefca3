/*
 * What keeps records from expiring, the decision in the log, and its recovery.
 */
#include "db/expiry.h"

#include <stdio.h>
#include <stdlib.h>

#include "db/retention.h"

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

static enum kp_code check_relation(const struct kp_relation *relation, const struct kp_expiry *expiry,
                                   struct kp_error *err)
{
    if (relation->kind == KP_RELATION_TABLE && strcmp(relation->topic, expiry->topic.name) == 0)
        return kp_fail(err, KP_BUSY, NULL, "the rows of table \"%s\" are the topic's records", relation->name);
    if (relation->kind != KP_RELATION_VIEW)
        return KP_OK;
    const struct kp_relation *source = source_read(relation->plan->plan, expiry->topic.name);
    return source ? kp_fail(err, KP_BUSY, NULL, "materialized view \"%s\" reads them through source \"%s\"",
                            relation->name, source->name)
                  : KP_OK;
}

enum kp_code kp_expiry_check(struct kp_db *db, const struct kp_expiry *expiry, struct kp_error *err)
{
    if (expiry->topic.internal)
        return kp_fail(err, KP_FORBIDDEN, NULL, "topic \"%s\" is kappa's own", expiry->topic.name);
    enum kp_code code = KP_OK;
    kp_catalog_read(db->catalog);
    for (size_t i = 0; code == KP_OK && i < kp_catalog_count(db->catalog); i++)
        code = check_relation(kp_catalog_at(db->catalog, i), expiry, err);
    kp_catalog_unlock(db->catalog);
    return code;
}

/* ---- the decision ---- */

static enum kp_code own_topic(struct kp_db *db, uint32_t *ret_topic, struct kp_error *err)
{
    struct kp_topic_info info;
    enum kp_code code = kp_log_topic_find(db->log, topic_name, &info, err);
    if (code == KP_NOT_FOUND)
        return kp_log_topic_create(db->log, topic_name, 1, ret_topic, err);
    KP_TRY(code);
    *ret_topic = info.id;
    return KP_OK;
}

static enum kp_code log_decision(struct kp_db *db, const struct kp_expiry *expiry, int64_t *ret_position,
                                 struct kp_error *err)
{
    struct kp_buf key = {0}, value = {0}, batch = {0};
    kp_buf_printf(&key, "%u", expiry->topic.id);
    kp_buf_printf(&value, "1 %lld %s %u", (long long)expiry->horizon, expiry->why, expiry->topic.partitions);
    for (uint32_t p = 0; p < expiry->topic.partitions; p++)
        kp_buf_printf(&value, " %lld", (long long)expiry->before[p]);
    struct kp_record_batch_builder builder = {0};
    kp_record_batch_add(&builder, db->os->wall_us(db->os->ctx) / 1000, (struct kp_str){(char *)key.data, key.len},
                        (struct kp_str){(char *)value.data, value.len}, (struct kp_str){NULL, 0});
    struct kp_log_entry entry = {.trusted = true};
    int64_t end;
    enum kp_code code = own_topic(db, &entry.topic, err);
    if (code == KP_OK)
        code = kp_record_batch_build(&builder, KP_CODEC_NONE, &batch, err);
    entry.batch = batch.data;
    entry.bytes = batch.len;
    if (code == KP_OK)
        code = kp_log_append(db->log, &entry, 1, &end, err);
    if (code == KP_OK)
        *ret_position = entry.position;
    kp_record_batch_builder_finish(&builder);
    kp_buf_finish(&key);
    kp_buf_finish(&value);
    kp_buf_finish(&batch);
    return code;
}

static enum kp_code trim(struct kp_db *db, const struct kp_expiry *expiry, struct kp_error *err)
{
    for (uint32_t p = 0; p < expiry->topic.partitions; p++)
        KP_TRY(kp_log_trim(db->log, expiry->topic.id, p, expiry->before[p], err));
    return KP_OK;
}

enum kp_code kp_expiry_run(struct kp_db *db, const struct kp_expiry *expiry, struct kp_error *err)
{
    int64_t position;
    KP_TRY(log_decision(db, expiry, &position, err));
    kp_retention_note(db, expiry->topic.id, expiry->horizon, position);
    return trim(db, expiry, err);
}

/* ---- recovery ---- */

static int64_t take_number(const char **at)
{
    char *end;
    int64_t number = strtoll(*at, &end, 10);
    *at = end;
    return number;
}

/* A decision whose trimming the power may have cut off is carried out again. */
static enum kp_code redo(struct kp_db *db, const struct kp_record *record, int64_t position, struct kp_arena *arena,
                         struct kp_error *err)
{
    const char *key = kp_arena_strndup(arena, record->key.ptr, record->key.len);
    const char *value = kp_arena_strndup(arena, record->value.ptr, record->value.len);
    struct kp_expiry expiry = {0};
    struct kp_error gone;
    if (kp_log_topic_get(db->log, (uint32_t)strtoul(key, NULL, 10), &expiry.topic, &gone) != KP_OK)
        return KP_OK; /* dropped since */
    if (take_number(&value) != 1)
        return kp_fail(err, KP_UNSUPPORTED, NULL, "the decision at position %lld has a format of a later version",
                       (long long)position);
    expiry.horizon = take_number(&value);
    value += strspn(value, " ");
    value += strcspn(value, " "); /* why */
    int64_t partitions = take_number(&value);
    expiry.before = kp_arena_calloc(arena, expiry.topic.partitions * sizeof *expiry.before);
    for (int64_t p = 0; p < partitions && p < (int64_t)expiry.topic.partitions; p++)
        expiry.before[p] = take_number(&value);
    kp_retention_note(db, expiry.topic.id, expiry.horizon, position);
    return db->options.read_only ? KP_OK : trim(db, &expiry, err);
}

static enum kp_code redo_chunk(struct kp_db *db, const struct kp_log_chunk *chunk, struct kp_error *err)
{
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
    int64_t end = kp_log_position(db->log);
    for (int64_t position = 0; position < end;) {
        struct kp_log_span span;
        KP_TRY(kp_log_read(db->log, position, end, 4 << 20, &info.id, 1, &span, err));
        enum kp_code code = KP_OK;
        for (size_t i = 0; code == KP_OK && i < span.count; i++)
            code = redo_chunk(db, &span.chunks[i], err);
        bool moved = span.position_end > position;
        position = span.position_end;
        kp_log_span_release(&span);
        KP_TRY(code);
        if (!moved)
            break;
    }
    return KP_OK;
}
