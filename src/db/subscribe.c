/*
 * SUBSCRIBE: rows (position, diff, progress, columns …), first all that are there, then every change.
 *
 * A subscription to a query is one to a view without a name: it is built like any view, is in no catalog, and goes with
 * the cursor. With (progress = true), rows with diff and columns NULL say that nothing more comes before their
 * position.
 */
#include "db/session.h"

#include <stdio.h>

enum { LEAD_COLUMNS = 3 };

enum kp_code kp_subscribe_prepare(struct kp_prepared *prepared, const struct kp_column *cols, uint32_t col_count)
{
    prepared->has_columns = true;
    prepared->col_count = col_count + LEAD_COLUMNS;
    prepared->cols = kp_arena_calloc(&prepared->arena, prepared->col_count * sizeof *prepared->cols);
    prepared->cols[0] = (struct kp_column){.name = "position", .type = KP_TYPE(KP_INT8), .not_null = true};
    prepared->cols[1] = (struct kp_column){.name = "diff", .type = KP_TYPE(KP_INT8)};
    prepared->cols[2] = (struct kp_column){.name = "progress", .type = KP_TYPE(KP_BOOL), .not_null = true};
    for (uint32_t i = 0; i < col_count; i++) {
        prepared->cols[LEAD_COLUMNS + i] = cols[i];
        prepared->cols[LEAD_COLUMNS + i].name = kp_arena_strdup(&prepared->arena, cols[i].name);
    }
    return KP_OK;
}

/* A view for a query, built and live, known to nobody else. */
static enum kp_code make_view(struct kp_cursor *cursor, struct kp_live **ret_live, struct kp_error *err)
{
    struct kp_db *db = cursor->session->db;
    struct kp_prepared *prepared = cursor->prepared;
    struct kp_relation *relation = kp_relation_create();
    relation->kind = KP_RELATION_VIEW;
    relation->schema = "";
    relation->name = "subscription";
    relation->text = kp_arena_strdup(&relation->arena, prepared->statement->text);
    relation->col_count = prepared->root->plan->col_count;
    relation->cols = kp_arena_calloc(&relation->arena, (relation->col_count + 1) * sizeof *relation->cols);
    memcpy(relation->cols, prepared->root->plan->cols, relation->col_count * sizeof *relation->cols);
    KP_TRY(kp_plan_instantiate(prepared->root, NULL, 0, &relation->plan, err));
    cursor->own_relation = relation;
    KP_TRY(kp_live_create(db, relation, &cursor->session->values, true, &cursor->own_live, err));
    struct kp_job *job;
    KP_TRY(kp_job_start(db, "subscribe", &cursor->own_live, 1, &job, err));
    KP_TRY(kp_job_wait(db, job, &cursor->session->cancelled, err));
    *ret_live = cursor->own_live;
    return KP_OK;
}

static enum kp_code option(const struct kp_statement *statement, const char *name, bool standard, bool *ret_value,
                           struct kp_error *err)
{
    *ret_value = standard;
    for (uint32_t i = 0; i < statement->option_count; i++)
        if (strcmp(statement->options[i].name, name) == 0)
            return kp_sql_option_bool(name, statement->options[i].value, ret_value, err);
    return KP_OK;
}

enum kp_code kp_subscribe_begin(struct kp_cursor *cursor, struct kp_error *err)
{
    struct kp_session *session = cursor->session;
    struct kp_relation *relation = cursor->prepared->subscribe_to;
    struct kp_live *live;
    if (!relation)
        KP_TRY(make_view(cursor, &live, err));
    KP_TRY(
        kp_live_pin(session->db, relation ? relation : cursor->own_relation, &session->cancelled, &cursor->live, err));
    const struct kp_statement *statement = cursor->prepared->statement;
    struct kp_subscription_options options = {.snapshot = true, .resume = -1};
    KP_TRY(option(statement, "snapshot", true, &options.snapshot, err));
    KP_TRY(option(statement, "progress", false, &cursor->wants_progress, err));
    if (statement->as_of == KP_AS_OF_POSITION) {
        options.snapshot = false;
        options.resume = statement->as_of_position;
        KP_TRY(kp_db_check_resume(session->db, options.resume, err));
    }
    return kp_subscribe(cursor->live->store, &options, &cursor->subscription, err);
}

static void lead_columns(struct kp_batch *batch, struct kp_arena *arena, const struct kp_subscription_item *item,
                         bool progress)
{
    struct kp_datum position = {.type = KP_TYPE(KP_INT8), .i64 = item->position};
    struct kp_datum flag = {.type = KP_TYPE(KP_BOOL), .b = progress};
    struct kp_datum none = {.type = KP_TYPE(KP_INT8), .null = true};
    kp_vec_init_constant(&batch->vecs[0], arena, &position);
    kp_vec_init_constant(&batch->vecs[2], arena, &flag);
    if (progress) {
        kp_vec_init_constant(&batch->vecs[1], arena, &none);
        return;
    }
    kp_vec_init(&batch->vecs[1], arena, KP_TYPE(KP_INT8), batch->rows);
    int64_t *diffs = batch->vecs[1].data;
    for (uint32_t i = 0; i < batch->rows; i++)
        diffs[i] = item->batch->weights ? item->batch->weights[i] : 1;
}

static struct kp_batch *rows_batch(struct kp_cursor *cursor, const struct kp_subscription_item *item)
{
    struct kp_arena *arena = &cursor->item_arena;
    uint32_t cols = cursor->prepared->col_count;
    struct kp_batch *batch = kp_batch_create(arena, cols, item->batch->rows);
    lead_columns(batch, arena, item, false);
    for (uint32_t i = LEAD_COLUMNS; i < cols; i++)
        batch->vecs[i] = item->batch->vecs[i - LEAD_COLUMNS];
    return batch;
}

static struct kp_batch *progress_batch(struct kp_cursor *cursor, const struct kp_subscription_item *item)
{
    struct kp_arena *arena = &cursor->item_arena;
    uint32_t cols = cursor->prepared->col_count;
    struct kp_batch *batch = kp_batch_create(arena, cols, 1);
    lead_columns(batch, arena, item, true);
    for (uint32_t i = LEAD_COLUMNS; i < cols; i++) {
        struct kp_datum null = {.type = cursor->prepared->cols[i].type, .null = true};
        kp_vec_init_constant(&batch->vecs[i], arena, &null);
    }
    return batch;
}

/* rows_max is not applied: a position's rows come together as the store gives them. */
enum kp_code kp_subscribe_next(struct kp_cursor *cursor, uint32_t rows_max, int64_t timeout_us,
                               struct kp_batch **ret_batch, struct kp_error *err)
{
    struct kp_session *session = cursor->session;
    for (int64_t waited = 0;;) {
        KP_TRY(kp_session_check(session, err));
        int64_t slice = timeout_us < 0 ? 50000 : KP_MIN((int64_t)50000, timeout_us - waited);
        struct kp_subscription_item item;
        bool ready;
        if (cursor->progress_owed) { /* the rows of a position are out: nothing more comes up to it */
            cursor->progress_owed = false;
            *ret_batch = progress_batch(cursor, &(struct kp_subscription_item){.position = cursor->position});
            return KP_OK;
        }
        KP_TRY(kp_subscription_next(cursor->subscription, slice, &cursor->item_arena, &item, &ready, err));
        bool rows = ready && item.batch && item.batch->rows;
        if (ready)
            cursor->position = item.position;
        if (rows || (ready && cursor->wants_progress)) {
            *ret_batch = rows ? rows_batch(cursor, &item) : progress_batch(cursor, &item);
            cursor->rows += rows ? item.batch->rows : 0;
            cursor->progress_owed = rows && cursor->wants_progress && item.last_of_position;
            return KP_OK;
        }
        waited += ready ? 0 : slice;
        if (!ready && timeout_us >= 0 && waited >= timeout_us)
            return KP_OK;
    }
}

void kp_subscribe_end(struct kp_cursor *cursor)
{
    kp_unsubscribe(cursor->subscription);
    if (cursor->live)
        kp_live_unpin(cursor->session->db, cursor->live);
    if (cursor->own_live)
        kp_live_drop(cursor->session->db, cursor->own_live);
    kp_relation_unref(cursor->own_relation);
    cursor->subscription = NULL;
    cursor->live = NULL;
    cursor->own_live = NULL;
    cursor->own_relation = NULL;
}
