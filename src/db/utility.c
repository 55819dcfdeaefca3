/* Statements that are neither queries nor writes: SET and SHOW, transactions, EXPLAIN, PREPARE, and the way to DDL. */
#include "db/sequence.h"
#include "sql/elsewhere.h"

#include <stdio.h>
#include <strings.h>

struct kp_batch *kp_text_batch(struct kp_arena *arena, struct kp_str *lines, uint32_t rows)
{
    struct kp_batch *batch = kp_batch_create(arena, 1, rows);
    kp_vec_init(&batch->vecs[0], arena, KP_TYPE(KP_TEXT), rows);
    struct kp_text *texts = batch->vecs[0].data;
    for (uint32_t i = 0; i < rows; i++)
        texts[i] = kp_text_make(kp_arena_strndup(arena, lines[i].ptr, lines[i].len), lines[i].len);
    return batch;
}

static void give(struct kp_cursor *cursor, struct kp_batch *batch)
{
    cursor->batches = kp_arena_alloc(&cursor->arena, sizeof(struct kp_batch *));
    cursor->batches[0] = batch;
    cursor->batch_count = 1;
}

/* ---- columns ---- */

static void text_columns(struct kp_prepared *prepared, const char *const *names, uint32_t count)
{
    prepared->cols = kp_arena_calloc(&prepared->arena, (count + 1) * sizeof *prepared->cols);
    prepared->col_count = count;
    for (uint32_t i = 0; i < count; i++)
        prepared->cols[i] = (struct kp_column){.name = names[i], .type = KP_TYPE(KP_TEXT)};
}

static struct kp_prepared *find_named(struct kp_session *session, const char *name)
{
    for (struct kp_prepared *at = session->named; at; at = at->next_named)
        if (strcmp(at->name, name) == 0)
            return at;
    return NULL;
}

bool kp_utility_columns(struct kp_prepared *prepared)
{
    const struct kp_statement *statement = prepared->statement;
    static const char *const explain[] = {"QUERY PLAN"};
    static const char *const all[] = {"name", "setting", "description"};
    static const char *const verify[] = {"result"};
    switch (statement->kind) {
    case KP_STATEMENT_EXPLAIN:
        text_columns(prepared, explain, 1);
        if (statement->explain_json)
            prepared->cols[0].type = KP_TYPE(KP_JSON);
        return true;
    case KP_STATEMENT_VERIFY:
        text_columns(prepared, verify, 1);
        return true;
    case KP_STATEMENT_SHOW:
        if (strcasecmp(statement->setting, "all") == 0)
            text_columns(prepared, all, 3);
        else {
            const char *name = kp_settings_name(prepared->session, statement->setting);
            text_columns(prepared, &name, 1);
        }
        return true;
    case KP_STATEMENT_EXECUTE: {
        struct kp_prepared *named = find_named(prepared->session, statement->name.name);
        if (!named || !named->has_columns)
            return false;
        prepared->cols = named->cols;
        prepared->bases = named->bases;
        prepared->col_count = named->col_count;
        return true;
    }
    default:
        return false;
    }
}

/* ---- SHOW ---- */

struct rows {
    struct kp_str *cells;
    uint32_t count;
    struct kp_arena *arena;
};

static void show_each(void *arg, const char *name, const char *value, const char *doc)
{
    struct rows *rows = arg;
    rows->cells[rows->count++] = kp_str(name);
    rows->cells[rows->count++] = kp_str(kp_arena_strdup(rows->arena, value));
    rows->cells[rows->count++] = kp_str(doc);
}

static enum kp_code show(struct kp_cursor *cursor, struct kp_error *err)
{
    const char *name = cursor->prepared->statement->setting;
    if (strcasecmp(name, "all") != 0) {
        const char *value = kp_settings_get(cursor->session, name);
        if (!value) {
            enum kp_code code = kp_fail(err, KP_NOT_FOUND, NULL, "unrecognized configuration parameter \"%s\"", name);
            kp_elsewhere_setting(name, err);
            return code;
        }
        struct kp_str line = kp_str(value);
        give(cursor, kp_text_batch(&cursor->arena, &line, 1));
        return KP_OK;
    }
    struct rows rows = {.cells = kp_arena_calloc(&cursor->arena, 3 * 128 * sizeof *rows.cells),
                        .arena = &cursor->arena};
    kp_settings_each(cursor->session, show_each, &rows);
    uint32_t count = rows.count / 3;
    struct kp_batch *batch = kp_batch_create(&cursor->arena, 3, count);
    for (uint32_t c = 0; c < 3; c++) {
        struct kp_str *column = kp_arena_alloc(&cursor->arena, (count + 1) * sizeof *column);
        for (uint32_t i = 0; i < count; i++)
            column[i] = rows.cells[3 * i + c];
        batch->vecs[c] = kp_text_batch(&cursor->arena, column, count)->vecs[0];
    }
    give(cursor, batch);
    return KP_OK;
}

/* ---- PREPARE, EXECUTE ---- */

/* The text of PREPARE's inner statement begins behind AS. */
static enum kp_code prepare_named(struct kp_cursor *cursor, struct kp_error *err)
{
    const struct kp_statement *statement = cursor->prepared->statement;
    struct kp_session *session = cursor->session;
    if (find_named(session, statement->name.name))
        return kp_fail(err, KP_EXISTS, "42P05", "prepared statement \"%s\" already exists", statement->name.name);
    enum kp_type_id *types = kp_arena_alloc(&cursor->arena, (statement->param_type_count + 1) * sizeof *types);
    for (uint32_t i = 0; i < statement->param_type_count; i++)
        types[i] = statement->param_types[i].id;
    struct kp_prepared *named;
    KP_TRY(kp_prepare(session, kp_str(statement->inner->text), types, statement->param_type_count, &named, err));
    named->name = kp_strdup(statement->name.name);
    named->next_named = session->named;
    session->named = named;
    return KP_OK;
}

static enum kp_code execute_named(struct kp_cursor *cursor, struct kp_error *err)
{
    const struct kp_statement *statement = cursor->prepared->statement;
    struct kp_session *session = cursor->session;
    struct kp_prepared *named = find_named(session, statement->name.name);
    if (!named)
        return kp_fail(err, KP_NOT_FOUND, "26000", "prepared statement \"%s\" does not exist", statement->name.name);
    struct kp_sql_context context;
    kp_session_context(session, &context);
    struct kp_plan_root *root;
    kp_catalog_read(session->db->catalog);
    enum kp_code code = kp_sql_bind_execute(&context, statement, named->params, named->param_count, &root, err);
    kp_catalog_unlock(session->db->catalog);
    KP_TRY(code);
    struct kp_datum *params = kp_arena_calloc(&cursor->arena, (named->param_count + 1) * sizeof *params);
    if (named->param_count) {
        struct kp_batch **batches;
        size_t count;
        int64_t position;
        code = kp_query_run(session, root->plan, &cursor->arena, &batches, &count, &position, err);
        for (uint32_t i = 0; code == KP_OK && i < named->param_count; i++)
            kp_vec_get(&batches[0]->vecs[i], 0, &params[i]);
    }
    struct kp_cursor *inner = NULL;
    if (code == KP_OK)
        code = kp_execute(session, named, params, named->param_count, &inner, err);
    kp_plan_release(root);
    KP_TRY(code);
    struct kp_prepared *own = cursor->prepared; /* take over what the inner cursor has */
    struct kp_arena arena = cursor->arena;
    *cursor = *inner;
    inner->subscription = NULL;
    inner->copy = NULL;
    inner->live = inner->own_live = NULL;
    inner->own_relation = NULL;
    inner->timed = false;
    inner->arena = arena;
    inner->item_arena = (struct kp_arena){0};
    cursor->prepared = inner->prepared;
    inner->prepared = own;
    kp_cursor_close(inner);
    return KP_OK;
}

static enum kp_code deallocate(struct kp_session *session, const char *name, struct kp_error *err)
{
    bool found = false;
    for (struct kp_prepared **at = &session->named; *at;) {
        struct kp_prepared *named = *at;
        if (name && strcmp(named->name, name) != 0) {
            at = &named->next_named;
            continue;
        }
        *at = named->next_named;
        kp_prepared_destroy(named);
        found = true;
    }
    return found || !name ? KP_OK
                          : kp_fail(err, KP_NOT_FOUND, "26000", "prepared statement \"%s\" does not exist", name);
}

/* ---- DDL ---- */

void kp_ddl_init(struct kp_ddl *ddl, struct kp_session *session, const struct kp_sql_context *context)
{
    *ddl = (struct kp_ddl){
        .db = session->db,
        .session = session,
        .settings = session->values,
        .record = {.time_zone = kp_str(kp_settings_get(session, "TimeZone")), .user = kp_str(session->user)},
        .cancel = &session->cancelled,
        .notice = session->options.notice,
        .notice_arg = session->options.arg,
        .context = context};
}

static enum kp_code run_ddl(struct kp_cursor *cursor, struct kp_error *err)
{
    struct kp_session *session = cursor->session;
    if (kp_session_read_only(session))
        return kp_fail(err, KP_FORBIDDEN, "25006", "cannot execute %s in a read-only transaction",
                       cursor->prepared->statement->tag);
    if (cursor->prepared->statement->kind == KP_STATEMENT_CREATE_AS)
        return kp_create_as_run(cursor, err);
    struct kp_sql_context context;
    kp_session_context(session, &context);
    struct kp_ddl ddl;
    kp_ddl_init(&ddl, session, &context);
    struct kp_arena arena = {0};
    const struct kp_statement *statement;
    enum kp_code code = kp_ddl_inline_schemas(session->db, cursor->prepared->statement, &arena, &statement, err);
    ddl.record.text = code == KP_OK ? kp_str(statement->text) : (struct kp_str){NULL, 0};
    if (code == KP_OK)
        code = kp_ddl_run(&ddl, statement, err);
    kp_arena_finish(&arena);
    KP_TRY(code);
    cursor->position = ddl.end ? ddl.end : kp_log_position(session->db->log); /* else decisions that it made */
    return KP_OK;
}

/* ---- all of them ---- */

static enum kp_code set(struct kp_session *session, const struct kp_statement *statement, struct kp_error *err)
{
    if (statement->local && statement->value)
        return kp_settings_set_local(session, statement->setting, statement->value, err);
    if (statement->isolation && !strstr(statement->setting, "isolation")) /* other modes beside it */
        KP_TRY(kp_session_set(session,
                              strncmp(statement->setting, "default_", 8) == 0 ? "default_transaction_isolation"
                                                                              : "transaction_isolation",
                              statement->isolation, err));
    if (!statement->value)
        return kp_settings_reset(session, statement->setting, err);
    return kp_session_set(session, statement->setting, statement->value, err);
}

static enum kp_code discard(struct kp_session *session, const struct kp_statement *statement, struct kp_error *err)
{
    bool all = strcasecmp(statement->setting, "all") == 0;
    if (all && session->transaction != KP_TRANSACTION_NONE)
        return kp_fail(err, KP_INVALID, "25001", "DISCARD ALL cannot run inside a transaction block");
    if (all || strcasecmp(statement->setting, "plans") == 0)
        KP_TRY(deallocate(session, NULL, err));
    if (all || strcasecmp(statement->setting, "sequences") == 0)
        kp_sequences_discard(session);
    if (all)
        kp_advisory_release_session(session);
    return all ? kp_settings_reset(session, "all", err) : KP_OK;
}

/* COMMIT and ROLLBACK; AND CHAIN: the next transaction begins at once, and is like the one that ends. */
static enum kp_code end_transaction(struct kp_cursor *cursor, struct kp_error *err)
{
    struct kp_session *session = cursor->session;
    const struct kp_statement *statement = cursor->prepared->statement;
    bool commit = statement->kind == KP_STATEMENT_COMMIT, read_only = session->read_only;
    enum kp_isolation isolation = session->isolation;
    bool block = session->transaction == KP_TRANSACTION_BLOCK || session->transaction == KP_TRANSACTION_FAILED;
    if (statement->chain && !block)
        return kp_fail(err, KP_INVALID, "25P01", "%s AND CHAIN can only be used in transaction blocks", statement->tag);
    if (session->transaction == KP_TRANSACTION_NONE) { /* nothing to end: it warns */
        KP_TRY(kp_transaction_commit(session, err));
    } else if (commit && session->transaction != KP_TRANSACTION_FAILED) {
        KP_TRY(kp_transaction_commit(session, err));
        cursor->position = session->read_after;
    } else {
        kp_transaction_rollback(session);
        snprintf(cursor->tag, sizeof cursor->tag, "ROLLBACK");
    }
    if (statement->chain)
        kp_transaction_begin(session, read_only, isolation);
    return KP_OK;
}

static enum kp_code begin(struct kp_session *session, const struct kp_statement *statement, struct kp_error *err)
{
    enum kp_isolation isolation = session->default_isolation;
    if (statement->isolation)
        KP_TRY(kp_settings_isolation(statement->isolation, &isolation, err));
    kp_transaction_begin(session, statement->value ? statement->read_only : session->default_read_only, isolation);
    return KP_OK;
}

/* What a statement that does nothing has to say. */
static void tell(const struct kp_session *session, const struct kp_statement *statement)
{
    for (uint32_t i = 0; session->options.notice && i < statement->notice_count; i++) {
        struct kp_error notice;
        (void)kp_fail(&notice, KP_OK, statement->notices[i].sqlstate, "%s", statement->notices[i].text);
        session->options.notice(session->options.arg, "NOTICE", &notice);
    }
}

enum kp_code kp_utility_run(struct kp_cursor *cursor, const struct kp_datum *params, uint32_t param_count,
                            struct kp_error *err)
{
    struct kp_session *session = cursor->session;
    const struct kp_statement *statement = cursor->prepared->statement;
    if (kp_ddl_is(statement))
        return run_ddl(cursor, err);
    switch (statement->kind) {
    case KP_STATEMENT_EMPTY:
        tell(session, statement);
        return KP_OK;
    case KP_STATEMENT_SET:
        return set(session, statement, err);
    case KP_STATEMENT_SHOW:
        return show(cursor, err);
    case KP_STATEMENT_BEGIN:
        return begin(session, statement, err);
    case KP_STATEMENT_COMMIT:
    case KP_STATEMENT_ROLLBACK:
        return end_transaction(cursor, err);
    case KP_STATEMENT_SAVEPOINT:
        return kp_savepoint_set(session, statement->name.name, err);
    case KP_STATEMENT_RELEASE:
        return kp_savepoint_release(session, statement->name.name, err);
    case KP_STATEMENT_ROLLBACK_TO:
        return kp_savepoint_rollback(session, statement->name.name, err);
    case KP_STATEMENT_EXPLAIN:
        return kp_explain_run(cursor, err);
    case KP_STATEMENT_PREPARE:
        return prepare_named(cursor, err);
    case KP_STATEMENT_EXECUTE:
        return execute_named(cursor, err);
    case KP_STATEMENT_DEALLOCATE:
        return deallocate(session, statement->name.name, err);
    case KP_STATEMENT_DISCARD:
        return discard(session, statement, err);
    case KP_STATEMENT_TRUNCATE:
        return kp_write_truncate(cursor, err);
    case KP_STATEMENT_VERIFY:
        return kp_verify_run(cursor, err);
    default:
        return kp_fail(err, KP_UNSUPPORTED, NULL, "%s is not supported",
                       statement->tag ? statement->tag : "this statement");
    }
}
