/* Sinks after a restart: how far each had written (db/sink.c), and where the replay must end a step for them. */
#include <stdlib.h>

#include "db/ddl.h"
#include "db/instance.h"
#include "log/record_batch.h"

static struct kp_sink *sink_by_id(struct kp_db *db, unsigned long id)
{
    for (struct kp_sink *sink = db->sinks; sink; sink = sink->next_sink)
        if (sink->relation->id == id)
            return sink;
    return NULL;
}

static enum kp_code read_marks(void *context, const struct kp_log_chunk *chunk, struct kp_error *err)
{
    struct kp_db *db = context;
    struct kp_arena arena = {0};
    struct kp_record_reader reader;
    enum kp_code code = kp_record_reader_init(&reader, chunk->batch, chunk->bytes, &arena, err);
    struct kp_record record;
    while (code == KP_OK && kp_record_reader_next(&reader, &record, err)) {
        char *key = kp_arena_strndup(&arena, record.key.ptr, record.key.len);
        char *value = kp_arena_strndup(&arena, record.value.ptr, record.value.len);
        struct kp_sink *sink = sink_by_id(db, strtoul(key, NULL, 10));
        char *rest;
        if (sink) {
            sink->resume = strtoll(value, &rest, 10);
            atomic_store(&sink->marked, sink->resume);
            sink->resume_version = (uint32_t)strtoul(rest, NULL, 10);
        }
    }
    kp_arena_finish(&arena);
    return code;
}

static int compare_positions(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

enum kp_code kp_sinks_recover(struct kp_db *db, struct kp_error *err)
{
    for (size_t i = 0; i < kp_catalog_count(db->catalog); i++)
        if (kp_catalog_at(db->catalog, i)->kind == KP_RELATION_SINK)
            kp_sink_add(db, kp_catalog_at(db->catalog, i), -1);
    if (!db->sinks)
        return KP_OK;
    KP_TRY(kp_log_each(db->log, db->sinks_topic, read_marks, db, err));
    for (struct kp_sink *sink = db->sinks; sink; sink = sink->next_sink) {
        db->cuts = kp_realloc(db->cuts, (db->cut_count + 1) * sizeof *db->cuts);
        db->cuts[db->cut_count++] = sink->resume;
    }
    qsort(db->cuts, db->cut_count, sizeof *db->cuts, compare_positions);
    return KP_OK;
}
