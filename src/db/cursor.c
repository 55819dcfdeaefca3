/*
 * Running statements. A query's answer is computed at kp_execute, at one position, into the cursor's arena, and handed
 * out in slices; a subscription's comes as it happens.
 */
#include "db/session.h"

#include <stdio.h>

#include "db/copy.h"
#include "db/travel.h"

/* Which statements may run where: inside a block, a DDL would not be undone by ROLLBACK. */
static enum kp_code check_transaction(struct kp_session *session, const struct kp_statement *statement,
                                      struct kp_error *err)
{
    bool ends = statement->kind == KP_STATEMENT_COMMIT || statement->kind == KP_STATEMENT_ROLLBACK ||
                statement->kind == KP_STATEMENT_ROLLBACK_TO;
    if (session->transaction == KP_TRANSACTION_FAILED && !ends)
        return kp_fail(err, KP_INVALID, "25P02",
                       "current transaction is aborted, commands ignored until end of transaction block");
    if (session->transaction == KP_TRANSACTION_BLOCK && kp_ddl_is(statement)) {
        (void)kp_fail(err, KP_INVALID, "25001", "%s cannot run inside a transaction block", statement->tag);
        return kp_error_hint(err, "A change of the catalog is a record of the log by itself. Run it after COMMIT.");
    }
    return KP_OK;
}

static enum kp_code run_as_of(struct kp_cursor *cursor, const struct kp_prepared *prepared,
                              const struct kp_datum *params, uint32_t param_count, struct kp_error *err)
{
    KP_TRY(kp_travel_position(cursor->session, prepared->statement, &cursor->position, err));
    struct kp_plan_root *root;
    KP_TRY(kp_plan_instantiate(prepared->root, params, param_count, &root, err));
    enum kp_code code = kp_query_run_as_of(cursor->session, root->plan, cursor->position, &cursor->arena,
                                           &cursor->batches, &cursor->batch_count, err);
    kp_plan_release(root);
    return code;
}

static bool reads_nothing(const struct kp_plan *plan)
{
    bool nothing = plan->kind != KP_PLAN_SCAN;
    for (uint32_t i = 0; nothing && i < plan->input_count; i++)
        nothing = reads_nothing(plan->inputs[i]);
    return nothing;
}

/* What reads nothing (pg_advisory_xact_lock, which may have waited) does not say where its block reads. */
static enum kp_code run_query(struct kp_cursor *cursor, const struct kp_prepared *prepared,
                              const struct kp_datum *params, uint32_t param_count, struct kp_error *err)
{
    struct kp_session *session = cursor->session;
    bool had_snapshot = session->has_snapshot;
    KP_TRY(kp_query_run_root(session, prepared->root, params, param_count, &cursor->arena, &cursor->batches,
                             &cursor->batch_count, &cursor->position, err));
    if (session->has_snapshot && !had_snapshot && reads_nothing(prepared->root->plan)) {
        kp_snapshot_release(session->db->clock, &session->snapshot);
        session->has_snapshot = false;
    }
    return KP_OK;
}

static enum kp_code run(struct kp_cursor *cursor, struct kp_prepared *prepared, const struct kp_datum *params,
                        uint32_t param_count, struct kp_error *err)
{
    switch (prepared->kind) {
    case KP_PREPARED_QUERY:
        atomic_fetch_add(&cursor->session->db->counters.queries, 1);
        if (prepared->statement->as_of != KP_AS_OF_NONE)
            return run_as_of(cursor, prepared, params, param_count, err);
        if (prepared->point) {
            bool done;
            KP_TRY(kp_point_run(cursor->session, prepared->point, params, &cursor->arena, &cursor->batches,
                                &cursor->batch_count, &cursor->position, &done, err));
            if (done)
                return KP_OK;
        }
        return run_query(cursor, prepared, params, param_count, err);
    case KP_PREPARED_WRITE:
        return kp_write_run(cursor, params, param_count, err);
    case KP_PREPARED_COPY_IN:
        return kp_copy_in_begin(cursor, err);
    case KP_PREPARED_SUBSCRIBE:
        return kp_subscribe_begin(cursor, err);
    case KP_PREPARED_UTILITY:
        return kp_utility_run(cursor, params, param_count, err);
    }
    return KP_OK;
}

enum { REBINDS_MAX = 3, CONFLICTS_MAX = 1000 };

/* What the statement was bound to went away before it had its snapshot: another version, or an altered table, may have
 * the name now. */
static bool is_stale(const struct kp_cursor *cursor, enum kp_code code, const struct kp_error *err)
{
    return code == KP_NOT_FOUND && err && strcmp(err->sqlstate, "42P01") == 0 &&
           (cursor->prepared->kind == KP_PREPARED_QUERY || cursor->prepared->kind == KP_PREPARED_WRITE) &&
           cursor->session->transaction == KP_TRANSACTION_NONE;
}

/* Behind a statement outside any transaction. session->lost: it may be tried again. */
static enum kp_code commit_statement(struct kp_cursor *cursor, enum kp_code code, struct kp_error *err)
{
    struct kp_session *session = cursor->session;
    bool writes_now = cursor->prepared->kind == KP_PREPARED_WRITE || cursor->prepared->kind == KP_PREPARED_UTILITY;
    session->lost = false;
    if (code != KP_OK || !writes_now)
        return code;
    bool wrote = session->write_count > 0;
    code = kp_session_autocommit(session, err);
    session->lost &= cursor->prepared->kind == KP_PREPARED_WRITE && session->transaction == KP_TRANSACTION_NONE &&
                     !atomic_load(&session->cancelled);
    if (code == KP_OK && wrote && session->transaction == KP_TRANSACTION_NONE)
        cursor->position = session->read_after;
    return code;
}

enum kp_code kp_execute(struct kp_session *session, struct kp_prepared *prepared, const struct kp_datum *params,
                        uint32_t param_count, struct kp_cursor **ret_cursor, struct kp_error *err)
{
    KP_TRY(kp_db_health(session->db, err));
    kp_session_uncancel(session);
    kp_deadline_begin(session);
    kp_session_begin_statement(session);
    atomic_fetch_add(&session->db->counters.statements, 1);
    session->running = prepared->statement->text;
    enum kp_code code = check_transaction(session, prepared->statement, err);
    struct kp_cursor *cursor = kp_calloc(1, sizeof *cursor);
    cursor->session = session;
    cursor->prepared = prepared->copied ? prepared->copied : prepared;
    cursor->position = -1;
    session->locking = cursor->prepared->locks;
    if (session->locking && !session->has_snapshot) /* what was acknowledged already would only fail it at COMMIT */
        kp_session_read_after(session, atomic_load(&session->db->written));
    session->cursors++;
    snprintf(cursor->tag, sizeof cursor->tag, "%s", prepared->statement->tag ? prepared->statement->tag : "");
    const struct kp_type *types;
    uint32_t expected = kp_prepared_params(prepared, &types);
    if (code == KP_OK && param_count != expected)
        code = kp_fail(err, KP_INVALID, "08P01", "the statement takes %u parameters, %u were given", expected,
                       param_count);
    if (code == KP_OK)
        code = kp_prepared_refresh(prepared, err);
    if (code == KP_OK)
        code = run(cursor, cursor->prepared, params, param_count, err);
    for (int i = 0; i < REBINDS_MAX && is_stale(cursor, code, err); i++) {
        cursor->prepared->generation = UINT64_MAX;
        kp_session_fail_transaction(session);
        code = kp_prepared_refresh(prepared, err);
        if (code == KP_OK)
            code = run(cursor, cursor->prepared, params, param_count, err);
    }
    code = commit_statement(cursor, code, err);
    for (int i = 0; i < CONFLICTS_MAX && code != KP_OK; i++) {
        if (!session->lost && (i >= REBINDS_MAX || !is_stale(cursor, code, err)))
            break;
        kp_session_fail_transaction(session); /* the statement is alone: a new snapshot sees what the others wrote */
        kp_arena_reset(&cursor->arena);
        code = kp_prepared_refresh(prepared, err);
        bool bound = code == KP_OK;
        if (bound)
            code = run(cursor, cursor->prepared, params, param_count, err);
        code = commit_statement(cursor, code, err);
        if (!bound)
            break;
    }
    session->running = NULL;
    if (session->transaction == KP_TRANSACTION_NONE) { /* of what set_config did, and pg_advisory_xact_lock */
        kp_settings_end(session, code == KP_OK);
        kp_advisory_release_since(session, 0);
    }
    code = kp_session_told(session, code, err);
    cursor->timed = code == KP_OK && (cursor->subscription || cursor->copy);
    if (!cursor->timed)
        kp_deadline_end(session);
    if (code != KP_OK) {
        kp_cursor_close(cursor);
        kp_session_fail_transaction(session);
        return code;
    }
    *ret_cursor = cursor;
    return KP_OK;
}

/* Rows [from, from + count) of a batch, sharing its vectors. */
static struct kp_batch *slice(struct kp_arena *arena, struct kp_batch *batch, uint32_t from, uint32_t count)
{
    if (from == 0 && count == batch->rows)
        return batch;
    uint32_t *index = kp_arena_alloc(arena, count * sizeof *index);
    for (uint32_t i = 0; i < count; i++)
        index[i] = from + i;
    return kp_batch_gather(batch, index, count, arena);
}

enum kp_code kp_cursor_next(struct kp_cursor *cursor, uint32_t rows_max, int64_t timeout_us,
                            struct kp_batch **ret_batch, bool *ret_done, struct kp_error *err)
{
    struct kp_session *session = cursor->session;
    *ret_batch = NULL;
    *ret_done = false;
    kp_arena_reset(&cursor->item_arena);
    if (cursor->subscription) {
        enum kp_code code = kp_subscribe_next(cursor, rows_max, timeout_us, ret_batch, err);
        code = kp_session_told(session, code, err);
        if (code != KP_OK)
            kp_session_fail_transaction(session);
        return code;
    }
    while (cursor->batch_at < cursor->batch_count && cursor->row_at >= cursor->batches[cursor->batch_at]->rows) {
        cursor->batch_at++;
        cursor->row_at = 0;
    }
    if (cursor->batch_at >= cursor->batch_count) {
        *ret_done = cursor->done = true;
        if (cursor->prepared->kind == KP_PREPARED_QUERY)
            snprintf(cursor->tag, sizeof cursor->tag, "SELECT %llu", (unsigned long long)cursor->rows);
        return KP_OK;
    }
    bool committed = cursor->prepared->kind == KP_PREPARED_WRITE && session->transaction == KP_TRANSACTION_NONE;
    if (atomic_load(&session->cancelled) && !committed) { /* between what is sent of a long answer */
        kp_session_fail_transaction(session);
        return kp_session_told(session, KP_CANCELLED, err);
    }
    struct kp_batch *batch = cursor->batches[cursor->batch_at];
    uint32_t count = batch->rows - cursor->row_at;
    if (rows_max && count > rows_max)
        count = rows_max;
    *ret_batch = slice(&cursor->item_arena, batch, cursor->row_at, count);
    cursor->row_at += count;
    cursor->rows += count;
    return KP_OK;
}

const char *kp_cursor_tag(const struct kp_cursor *cursor)
{
    return cursor->tag;
}

int64_t kp_cursor_position(const struct kp_cursor *cursor)
{
    return cursor->position;
}

enum kp_code kp_cursor_copy_data(struct kp_cursor *cursor, struct kp_str bytes, struct kp_error *err)
{
    KP_ASSERT(cursor->copy);
    enum kp_code code = kp_session_check(cursor->session, err);
    if (code == KP_OK)
        code = kp_copy_reader_feed(cursor->copy, bytes, err);
    code = kp_session_told(cursor->session, code, err);
    if (code != KP_OK)
        kp_session_fail_transaction(cursor->session);
    return code;
}

enum kp_code kp_cursor_copy_end(struct kp_cursor *cursor, struct kp_error *err)
{
    KP_ASSERT(cursor->copy);
    struct kp_session *session = cursor->session;
    enum kp_code code = kp_copy_reader_end(cursor->copy, err);
    if (code == KP_OK)
        code = kp_session_autocommit(session, err);
    if (code != KP_OK) {
        kp_session_fail_transaction(session);
        return code;
    }
    cursor->position = session->read_after;
    snprintf(cursor->tag, sizeof cursor->tag, "COPY %llu", (unsigned long long)cursor->rows);
    return KP_OK;
}

void kp_cursor_close(struct kp_cursor *cursor)
{
    if (!cursor)
        return;
    if (cursor->timed)
        kp_deadline_end(cursor->session);
    kp_subscribe_end(cursor);
    kp_copy_reader_destroy(cursor->copy);
    kp_arena_finish(&cursor->arena);
    kp_arena_finish(&cursor->item_arena);
    cursor->session->cursors--;
    kp_free(cursor);
}
