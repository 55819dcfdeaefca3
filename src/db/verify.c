/*
 * VERIFY MATERIALIZED VIEW: the view is computed once more from the log, with all that it reads, up to the position of
 * a snapshot, and its rows are compared with those that readers get.
 */
#include <stdio.h>

#include "db/difference.h"
#include "db/travel.h"

enum { SHOWN_ROWS_MAX = 5, TRIES_MAX = 10 };

static enum kp_code report(const struct kp_relation *relation, const struct kp_batch *batch, int64_t position,
                           const struct kp_zone *zone, struct kp_error *err)
{
    (void)kp_fail(err, KP_CORRUPT, NULL,
                  "materialized view \"%s\" is not what its query answers at position %lld: %u rows differ",
                  relation->name, (long long)position, batch->rows);
    struct kp_buf text = {0};
    for (uint32_t row = 0; row < batch->rows && row < SHOWN_ROWS_MAX; row++) {
        kp_buf_printf(&text, "%s%+lld (", row ? "\n" : "", (long long)batch->weights[row]);
        for (uint32_t c = 0; c < batch->cols; c++) {
            if (c)
                kp_buf_append_text(&text, ", ");
            if (kp_vec_is_null(&batch->vecs[c], row))
                kp_buf_append_text(&text, "NULL");
            else
                kp_value_print(batch->vecs[c].type, kp_vec_at(&batch->vecs[c], row), zone, &text);
        }
        kp_buf_append_byte(&text, ')');
    }
    kp_buf_append_byte(&text, 0);
    (void)kp_error_detail(err, "%s", (char *)text.data);
    kp_buf_finish(&text);
    return kp_error_hint(err, "Drop and create the view again; it is rebuilt from the log. Please report this.");
}

static enum kp_code compare(struct kp_cursor *cursor, struct kp_live *live, const struct kp_snapshot *snapshot,
                            struct kp_error *err)
{
    struct kp_session *session = cursor->session;
    struct kp_relation *relation = live->relation;
    struct kp_travel *travel;
    KP_TRY(kp_store_check(live->store, snapshot, err));
    KP_TRY(kp_travel_relation(session, relation, snapshot->position, &travel, err));
    struct kp_arena arena = {0};
    struct kp_reading served = {live->store, snapshot};
    struct kp_reading computed = {kp_travel_store(travel, relation), kp_travel_snapshot(travel)};
    struct kp_batch *batch;
    enum kp_code code =
        kp_difference(session->db, NULL, relation->cols, relation->col_count, &served, &computed, &arena, &batch, err);
    if (code == KP_OK && batch)
        code = report(relation, batch, snapshot->position, session->zone, err);
    kp_arena_finish(&arena);
    kp_travel_destroy(travel);
    return code;
}

/* At a position of its own it looks again when records expired between its snapshot and its replay. */
static enum kp_code compare_now(struct kp_cursor *cursor, struct kp_live *live, int64_t *ret_position,
                                struct kp_error *err)
{
    struct kp_session *session = cursor->session;
    for (int tries = 1;; tries++) {
        struct kp_snapshot snapshot;
        bool own = false;
        KP_TRY(kp_session_snapshot(session, &snapshot, &own, err));
        enum kp_code code = compare(cursor, live, &snapshot, err);
        *ret_position = snapshot.position;
        if (own)
            kp_snapshot_release(session->db->clock, &snapshot);
        if (code == KP_OK || !own || tries == TRIES_MAX || strcmp(err->sqlstate, "72000") != 0)
            return code;
    }
}

enum kp_code kp_verify_run(struct kp_cursor *cursor, struct kp_error *err)
{
    struct kp_session *session = cursor->session;
    const struct kp_name *name = &cursor->prepared->statement->name;
    char full[2 * KP_NAME_BYTES_MAX + 2];
    snprintf(full, sizeof full, "%s%s%s", name->schema ? name->schema : "", name->schema ? "." : "", name->name);
    struct kp_relation *relation;
    KP_TRY(kp_db_relation(session->db, full, &relation, err));
    struct kp_live *live = NULL;
    enum kp_code code = relation->kind == KP_RELATION_VIEW
                            ? kp_live_pin(session->db, relation, &session->cancelled, &live, err)
                            : kp_fail(err, KP_INVALID, "42809", "\"%s\" is not a materialized view", relation->name);
    int64_t position = 0;
    if (code == KP_OK)
        code = compare_now(cursor, live, &position, err);
    if (code == KP_OK) {
        char text[160];
        int len = snprintf(text, sizeof text, "%s is what its query answers over the log, at position %lld",
                           relation->name, (long long)position);
        struct kp_str line = {text, (size_t)len};
        cursor->position = position;
        cursor->batches = kp_arena_alloc(&cursor->arena, sizeof(struct kp_batch *));
        cursor->batches[0] = kp_text_batch(&cursor->arena, &line, 1);
        cursor->batch_count = 1;
    }
    if (live)
        kp_live_unpin(session->db, live);
    kp_relation_unref(relation);
    return code;
}
