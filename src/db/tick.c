/*
 * Ticks: records whose only meaning is that the log's time has moved.
 *
 * Only the log decides, so what a clock brings about must be in it first. When the live graph has something to do at a
 * moment (a row leaves by now(), a partition becomes idle) and no record comes until then, the engine writes a tick;
 * the step that reads it is at or behind the moment. An idle server has no such moments and writes nothing.
 *
 *   topic __kappa_ticks, made with the first tick:   key "tick", no value
 */
#include "db/instance.h"

static const int64_t TICK_US_MIN = 100000; /* between two ticks: what is due meanwhile goes together */

int64_t kp_tick_due_us(struct kp_db *db)
{
    if (db->options.read_only || atomic_load(&db->poisoned))
        return INT64_MAX;
    int64_t due_us = kp_graph_due_us(db->graph);
    return due_us == INT64_MAX ? INT64_MAX : KP_MAX(due_us, db->tick_us + TICK_US_MIN);
}

static enum kp_code need_topic(struct kp_db *db, struct kp_error *err)
{
    if (db->ticks_topic)
        return KP_OK;
    struct kp_topic_info info;
    enum kp_code code = kp_log_topic_find(db->log, "__kappa_ticks", &info, err);
    if (code == KP_NOT_FOUND)
        return kp_log_topic_create(db->log, "__kappa_ticks", 1, &db->ticks_topic, err);
    if (code == KP_OK)
        db->ticks_topic = info.id;
    return code;
}

enum kp_code kp_tick_write(struct kp_db *db, struct kp_error *err)
{
    KP_TRY(need_topic(db, err));
    db->tick_us = db->os->wall_us(db->os->ctx);
    struct kp_buf batch = {0};
    struct kp_record_batch_builder builder = {0};
    kp_record_batch_add(&builder, db->tick_us / 1000, KP_STR("tick"), (struct kp_str){0}, (struct kp_str){0});
    enum kp_code code = kp_record_batch_build(&builder, KP_CODEC_NONE, &batch, err);
    struct kp_log_entry entry = {.topic = db->ticks_topic, .batch = batch.data, .bytes = batch.len, .trusted = true};
    int64_t end;
    if (code == KP_OK)
        code = kp_log_append(db->log, &entry, 1, &end, err);
    kp_record_batch_builder_finish(&builder);
    kp_buf_finish(&batch);
    return code;
}
