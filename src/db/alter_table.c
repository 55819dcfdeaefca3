/*
 * ALTER TABLE. The table as it will be is computed from the log beside the one that is, as a new table over its topic
 * would be; then it takes its place between two steps of the engine, while nobody commits:
 *
 *   bind ─► job: the fresh table's rows ─► turn to commit ─► its rows are what they must be
 *        ─► engine thread: catalog record at P; records before P are the former declaration's; readers are moved
 *
 * Views that read the table go on: the live graph gives them the fresh table's rows with the columns that they know,
 * and their plans scan it. A restart reads the same from the record: plans are moved when it is met, and the fresh
 * table is laid out in place of the old one.
 *
 * Who has bound the old one and has not begun yet finds it dropped and binds again (cursor.c); who has written to it
 * and not committed is told to (writes.c).
 */
#include "db/session.h"

#include "db/ddl.h"
#include "flow/check.h"
#include "sql/alter_table.h"

enum { WAIT_SLICE_US = 50000 };

struct altering {
    struct kp_ddl *ddl;
    const struct kp_table_change *change;
    struct kp_relation *old, *fresh;
};

/* ---- rows that are there ---- */

struct row_check {
    const struct kp_relation *fresh;
    const struct kp_check *check; /* NULL: NOT NULL of the column */
    uint32_t column;
    struct kp_checks *checks;
    struct kp_arena *arena;
};

static enum kp_code check_nulls(const struct row_check *row_check, const struct kp_batch *batch, struct kp_error *err)
{
    for (uint32_t row = 0; row < batch->rows; row++)
        if (kp_vec_is_null(&batch->vecs[row_check->column], row))
            return kp_fail(err, KP_INVALID, "23502", "column \"%s\" of relation \"%s\" contains null values",
                           row_check->fresh->cols[row_check->column].name, row_check->fresh->name);
    return KP_OK;
}

static enum kp_code check_batch(void *arg, struct kp_batch *batch, struct kp_error *err)
{
    const struct row_check *row_check = arg;
    if (!row_check->check)
        return check_nulls(row_check, batch, err);
    struct kp_row_error *errors;
    uint32_t count;
    kp_checks_run(row_check->checks, KP_CHECKS_DOMAINS | KP_CHECKS_ROW, batch, row_check->arena, &errors, &count);
    if (!count)
        return KP_OK;
    if (strcmp(errors[0].sqlstate, "23514") == 0 && !row_check->check->domain)
        return kp_fail(err, KP_INVALID, "23514", "check constraint \"%s\" of relation \"%s\" is violated by some row",
                       row_check->check->name, row_check->fresh->name);
    return kp_fail(err, KP_INVALID, errors[0].sqlstate, "%s", errors[0].message);
}

static enum kp_code scan_rows(struct kp_db *db, struct row_check *row_check, struct kp_error *err)
{
    const struct kp_relation *fresh = row_check->fresh;
    struct kp_arena arena = {0};
    struct kp_snapshot snapshot;
    uint32_t width = fresh->col_count - fresh->hidden_count;
    uint32_t *columns = kp_arena_alloc(&arena, (width + 1) * sizeof *columns);
    for (uint32_t c = 0; c < width; c++)
        columns[c] = c;
    row_check->arena = &arena;
    kp_snapshot_acquire(db->clock, &snapshot);
    enum kp_code code =
        kp_store_scan(kp_live_of(fresh)->store, &snapshot, columns, width, &arena, check_batch, row_check, err);
    kp_snapshot_release(db->clock, &snapshot);
    kp_arena_finish(&arena);
    return code;
}

/* One condition alone. */
static enum kp_code check_condition(struct kp_db *db, const struct kp_relation *fresh, const struct kp_check *check,
                                    struct kp_error *err)
{
    struct kp_check one = *check;
    const struct kp_relation alone = {.name = fresh->name,
                                      .col_count = fresh->col_count,
                                      .hidden_count = fresh->col_count, /* no NOT NULL */
                                      .cols = fresh->cols,
                                      .check_count = 1,
                                      .checks = &one};
    struct row_check row_check = {.fresh = fresh, .check = check, .checks = kp_checks_create(&alone)};
    enum kp_code code = scan_rows(db, &row_check, err);
    kp_checks_destroy(row_check.checks);
    return code;
}

/* What is asked of rows now, and was not. */
static enum kp_code check_rows(const struct altering *altering, struct kp_error *err)
{
    struct kp_db *db = altering->ddl->db;
    const struct kp_relation *old = altering->old, *fresh = altering->fresh;
    for (uint32_t i = 0; i < altering->change->added_count; i++)
        KP_TRY(check_condition(db, fresh, altering->change->added[i], err));
    for (uint32_t c = 0; c < fresh->col_count - fresh->hidden_count; c++) {
        int32_t former = fresh->former_columns[c];
        struct row_check row_check = {.fresh = fresh, .column = c};
        bool held = former >= 0 ? old->cols[former].not_null : !fresh->absent[c].null;
        if (fresh->cols[c].not_null && !held)
            KP_TRY(scan_rows(db, &row_check, err));
    }
    return KP_OK;
}

/* ---- in its place ---- */

/* A view that is nothing but the table has its node. */
static void take_node(struct kp_db *db, const struct kp_live *gone, struct kp_node *by)
{
    kp_mutex_lock(&db->mutex);
    for (struct kp_live *live = db->lives; live; live = live->next_live)
        if (live != gone && live->node == gone->node)
            live->node = by;
    kp_mutex_unlock(&db->mutex);
}

static void move_readers(struct kp_db *db, struct kp_live *from, const struct kp_relation *fresh)
{
    const struct kp_relation *old = from->relation;
    uint32_t *columns = kp_calloc(old->col_count + 1, sizeof *columns);
    for (uint32_t c = 0; c < fresh->col_count; c++)
        if (fresh->former_columns[c] >= 0)
            columns[fresh->former_columns[c]] = c;
    kp_graph_drop_output(db->graph, from->output); /* nothing but its readers is left behind the node */
    from->output = NULL;
    take_node(
        db, from,
        kp_graph_take_readers(db->graph, from->node, kp_live_of(fresh)->node, old->cols, columns, old->col_count));
    kp_free(columns);
}

static void put_in_place(struct kp_db *db, struct kp_relation *old, struct kp_relation *fresh, int64_t position)
{
    atomic_store(&fresh->since, position);
    kp_catalog_write(db->catalog);
    kp_sql_alter_table(db->catalog, old, fresh);
    atomic_fetch_add(&db->catalog_generation, 1); /* who finds the old one gone now binds again */
    kp_catalog_unlock(db->catalog);
    kp_live_put_before(db, kp_live_of(fresh), kp_live_of(old)); /* and so before what reads it */
}

/* Engine thread, between two steps. */
static enum kp_code alter_now(struct kp_db *db, void *arg, struct kp_error *err)
{
    const struct altering *altering = arg;
    struct kp_live *from = kp_live_of(altering->old);
    KP_TRY(kp_ddl_log(altering->ddl, err));
    put_in_place(db, altering->old, altering->fresh, altering->ddl->position);
    move_readers(db, from, altering->fresh);
    kp_live_unfeed(db, from);
    kp_store_supersede(from->store);
    kp_store_take_over(kp_live_of(altering->fresh)->store);
    return KP_OK;
}

/* The fresh table's rows, beside the old one's. */
static enum kp_code build(struct altering *altering, struct kp_error *err)
{
    struct kp_ddl *ddl = altering->ddl;
    struct kp_db *db = ddl->db;
    struct kp_live *live;
    struct kp_job *job;
    KP_TRY(kp_live_create(db, altering->fresh, &kp_live_of(altering->old)->settings, true, &live, err));
    KP_TRY(kp_job_start(db, "alter", &live, 1, &job, err));
    return kp_job_wait(db, job, ddl->cancel, err);
}

/* All that was written is seen. */
static enum kp_code wait_for_rows(struct kp_ddl *ddl, struct kp_error *err)
{
    struct kp_db *db = ddl->db;
    int64_t newest = kp_log_position(db->log);
    while (!kp_view_clock_wait(db->clock, newest, WAIT_SLICE_US)) {
        KP_TRY(kp_db_health(db, err));
        if (ddl->cancel && atomic_load(ddl->cancel))
            return kp_fail(err, KP_CANCELLED, NULL, "canceling statement due to user request");
    }
    return KP_OK;
}

static enum kp_code alter_live(struct altering *altering, struct kp_error *err)
{
    struct kp_ddl *ddl = altering->ddl;
    struct kp_db *db = ddl->db;
    struct kp_live *from;
    struct kp_relation *old = kp_relation_ref(altering->old), *fresh = kp_relation_ref(altering->fresh);
    enum kp_code code = kp_live_pin(db, old, ddl->cancel, &from, err); /* it is READY */
    if (code == KP_OK) {
        kp_live_unpin(db, from);
        code = build(altering, err);
    }
    if (code == KP_OK)
        code = kp_commit_turn_begin(db, ddl->cancel, 0, err);
    bool turn = code == KP_OK;
    if (code == KP_OK)
        code = wait_for_rows(ddl, err);
    if (code == KP_OK)
        code = check_rows(altering, err);
    if (code == KP_OK)
        code = kp_engine_call(db, alter_now, altering, err);
    if (turn)
        kp_commit_turn_end(db);
    struct kp_live *gone = kp_live_of(code == KP_OK ? old : fresh);
    if (gone)
        kp_live_drop(db, gone);
    if (code != KP_OK)
        kp_relation_unref(fresh); /* the catalog has not taken it */
    kp_relation_unref(old);
    kp_relation_unref(fresh);
    return code;
}

static enum kp_code alter_replaying(struct altering *altering, struct kp_error *err)
{
    struct kp_db *db = altering->ddl->db;
    struct kp_live *live, *gone = kp_live_of(altering->old);
    KP_TRY(kp_live_create(db, altering->fresh, &gone->settings, false, &live, err));
    put_in_place(db, altering->old, altering->fresh, altering->ddl->position);
    kp_live_drop(db, gone);
    return KP_OK;
}

static enum kp_code run(struct kp_ddl *ddl, const struct kp_statement *statement, struct kp_arena *arena,
                        struct kp_error *err)
{
    struct kp_db *db = ddl->db;
    struct kp_table_change change;
    if (!ddl->replaying)
        KP_TRY(kp_ddl_wait_jobs(ddl, err));
    kp_catalog_read(db->catalog);
    enum kp_code code = kp_sql_bind_alter_table(ddl->context, statement, ddl->replaying, arena, &change, err);
    kp_catalog_unlock(db->catalog);
    KP_TRY(code);
    for (uint32_t i = 0; i < change.notice_count; i++)
        kp_ddl_notice(ddl, change.notices[i].sqlstate, "%s", change.notices[i].text);
    if (!change.fresh)
        return KP_OK;
    struct altering altering = {ddl, &change, change.old, change.fresh};
    code = kp_ddl_check_format(statement, change.fresh, err);
    if (code != KP_OK) {
        kp_relation_unref(change.fresh);
        return code;
    }
    return ddl->replaying ? alter_replaying(&altering, err) : alter_live(&altering, err);
}

enum kp_code kp_ddl_alter_table(struct kp_ddl *ddl, const struct kp_statement *statement, struct kp_error *err)
{
    struct kp_arena arena = {0};
    enum kp_code code = run(ddl, statement, &arena, err);
    kp_arena_finish(&arena);
    return code;
}
