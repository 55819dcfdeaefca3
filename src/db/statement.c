/* Prepared statements: parsed, bound to the catalog as it is, bound again when the catalog has changed since. */
#include "db/session.h"

#include <stdio.h>

#include "sql/names.h"

bool kp_statement_next(struct kp_str *text, struct kp_str *ret_statement)
{
    while (text->len > 0) {
        size_t start, len, next;
        kp_sql_split(*text, &start, &len, &next);
        *ret_statement = (struct kp_str){text->ptr + start, len};
        text->ptr += next;
        text->len -= next;
        if (len > 0)
            return true;
    }
    return false;
}

static void take_params(struct kp_prepared *prepared, const struct kp_plan_root *root)
{
    prepared->param_count = root->param_count;
    prepared->params = kp_arena_alloc(&prepared->arena, (root->param_count + 1) * sizeof *prepared->params);
    if (root->param_count)
        memcpy(prepared->params, root->param_types, root->param_count * sizeof *prepared->params);
}

static void take_columns(struct kp_prepared *prepared, const struct kp_column *cols, uint32_t count)
{
    prepared->has_columns = true;
    prepared->bases = NULL;
    prepared->col_count = count;
    prepared->cols = kp_arena_alloc(&prepared->arena, (count + 1) * sizeof *prepared->cols);
    for (uint32_t i = 0; i < count; i++) {
        prepared->cols[i] = cols[i];
        prepared->cols[i].name = kp_arena_strdup(&prepared->arena, cols[i].name);
    }
}

static void take_result(struct kp_prepared *prepared, const struct kp_plan_root *root)
{
    take_columns(prepared, root->plan->cols, root->result_count);
    if (!root->bases)
        return;
    struct kp_base_column *bases = kp_arena_alloc(&prepared->arena, (root->result_count + 1) * sizeof *bases);
    memcpy(bases, root->bases, root->result_count * sizeof *bases);
    prepared->bases = bases;
}

static enum kp_code bind_subscribe(struct kp_prepared *prepared, const struct kp_sql_context *context,
                                   struct kp_error *err)
{
    const struct kp_statement *statement = prepared->statement;
    prepared->kind = KP_PREPARED_SUBSCRIBE;
    KP_TRY(kp_sql_bind_query(context, statement, &prepared->root, err));
    if (prepared->root->param_count)
        return kp_fail(err, KP_UNSUPPORTED, NULL, "SUBSCRIBE takes no parameters");
    if (statement->name.name) {
        struct kp_str schema = {statement->name.schema, statement->name.schema ? strlen(statement->name.schema) : 0};
        struct kp_relation *relation = kp_catalog_find(context->catalog, schema, kp_str(statement->name.name));
        if (relation && (relation->kind == KP_RELATION_VIEW || relation->kind == KP_RELATION_TABLE))
            prepared->subscribe_to = kp_relation_ref(relation);
    }
    KP_TRY(kp_subscribe_prepare(prepared, prepared->root->plan->cols, prepared->root->plan->col_count));
    return KP_OK;
}

static enum kp_code bind_copy_in(struct kp_prepared *prepared, const struct kp_sql_context *context,
                                 struct kp_error *err)
{
    prepared->kind = KP_PREPARED_COPY_IN;
    KP_TRY(kp_sql_bind_copy(context, prepared->statement, &prepared->copy_relation, &prepared->copy_columns,
                            &prepared->copy_count, err));
    struct kp_column *cols = kp_arena_alloc(&prepared->arena, (prepared->copy_count + 1) * sizeof *cols);
    for (uint32_t i = 0; i < prepared->copy_count; i++)
        cols[i] = prepared->copy_relation->cols[prepared->copy_columns[i]];
    take_columns(prepared, cols, prepared->copy_count);
    return KP_OK;
}

static enum kp_code bind_write(struct kp_prepared *prepared, const struct kp_sql_context *context, struct kp_error *err)
{
    prepared->kind = KP_PREPARED_WRITE;
    if (prepared->statement->as_of != KP_AS_OF_NONE)
        return kp_fail(err, KP_UNSUPPORTED, NULL, "AS OF cannot be used in a statement that writes");
    KP_TRY(kp_sql_bind_write(context, prepared->statement, &prepared->write, err));
    take_params(prepared, prepared->write->root);
    const struct kp_bound_write *write = prepared->write;
    const struct kp_plan_root *rows = write->kind == KP_WRITE_QUERY ? write->root : write->returning.root;
    if (rows)
        take_result(prepared, rows);
    return KP_OK;
}

static enum kp_code bind(struct kp_prepared *prepared, struct kp_sql_context *context, struct kp_error *err)
{
    struct kp_statement *statement = prepared->statement;
    if (kp_statement_writes(statement))
        return bind_write(prepared, context, err);
    switch (statement->kind) {
    case KP_STATEMENT_QUERY:
        prepared->kind = KP_PREPARED_QUERY;
        KP_TRY(kp_sql_bind_query(context, statement, &prepared->root, err));
        take_params(prepared, prepared->root);
        take_result(prepared, prepared->root);
        prepared->point = statement->as_of == KP_AS_OF_NONE ? kp_point_plan(prepared->root) : NULL;
        return KP_OK;
    case KP_STATEMENT_SUBSCRIBE:
        return bind_subscribe(prepared, context, err);
    case KP_STATEMENT_COPY_IN:
        return bind_copy_in(prepared, context, err);
    default:
        prepared->kind = KP_PREPARED_UTILITY;
        prepared->has_columns = kp_utility_columns(prepared);
        return KP_OK;
    }
}

static void unbind(struct kp_prepared *prepared)
{
    kp_plan_release(prepared->root);
    kp_bound_write_release(prepared->write);
    kp_relation_unref(prepared->copy_relation);
    kp_relation_unref(prepared->subscribe_to);
    prepared->root = NULL;
    prepared->point = NULL;
    prepared->write = NULL;
    prepared->copy_relation = NULL;
    prepared->subscribe_to = NULL;
}

/* COPY (…) TO: the inner statement is prepared by itself. */
static enum kp_code prepare_copied(struct kp_prepared *prepared, struct kp_error *err)
{
    struct kp_prepared *inner = kp_calloc(1, sizeof *inner);
    inner->session = prepared->session;
    inner->statement = prepared->statement->inner;
    prepared->copied = inner;
    prepared->kind = KP_PREPARED_UTILITY;
    return KP_OK;
}

static enum kp_code bind_locked(struct kp_prepared *prepared, const enum kp_type_id *param_types, uint32_t param_count,
                                struct kp_error *err)
{
    struct kp_session *session = prepared->session;
    struct kp_sql_context context;
    kp_session_begin_statement(session);
    kp_session_context(session, &context);
    struct kp_type *types = kp_arena_calloc(&prepared->arena, (param_count + 1) * sizeof *types);
    for (uint32_t i = 0; i < param_count; i++)
        types[i] = KP_TYPE(param_types[i]);
    context.param_types = types;
    context.param_count = param_count;
    prepared->locks = false;
    context.ret_locks = &prepared->locks;
    kp_catalog_read(session->db->catalog);
    prepared->generation = atomic_load(&session->db->catalog_generation);
    enum kp_code code = bind(prepared, &context, err);
    kp_catalog_unlock(session->db->catalog);
    return code;
}

/* Names longer than PostgreSQL's are cut: it says so, and so do we. */
static void tell_long_name(void *arg, const char *written, const char *cut)
{
    struct kp_session *session = arg;
    struct kp_error notice;
    (void)kp_fail(&notice, KP_OK, "42622", "identifier \"%s\" will be truncated to \"%s\"", written, cut);
    session->options.notice(session->options.arg, "NOTICE", &notice);
}

enum kp_code kp_prepare(struct kp_session *session, struct kp_str text, const enum kp_type_id *param_types,
                        uint32_t param_count, struct kp_prepared **ret_prepared, struct kp_error *err)
{
    KP_TRY(kp_db_health(session->db, err));
    kp_session_uncancel(session);
    kp_settings_keep_first(session);
    struct kp_prepared *prepared = kp_calloc(1, sizeof *prepared);
    prepared->session = session;
    enum kp_code code = kp_sql_parse(text, &prepared->arena, &prepared->statement, err);
    enum kp_statement_kind kind = code == KP_OK ? prepared->statement->kind : KP_STATEMENT_EMPTY;
    if (code == KP_OK && session->options.notice)
        kp_sql_long_names(text, tell_long_name, session);
    if (code == KP_OK && session->transaction == KP_TRANSACTION_FAILED && kind != KP_STATEMENT_ROLLBACK &&
        kind != KP_STATEMENT_ROLLBACK_TO && kind != KP_STATEMENT_COMMIT)
        code = kp_fail(err, KP_INVALID, "25P02",
                       "current transaction is aborted, commands ignored until end of transaction block");
    if (code == KP_OK && kind == KP_STATEMENT_COPY_OUT) {
        code = prepare_copied(prepared, err);
        if (code == KP_OK)
            code = bind_locked(prepared->copied, param_types, param_count, err);
        if (code == KP_OK)
            take_columns(prepared, prepared->copied->cols, prepared->copied->col_count);
    } else if (code == KP_OK) {
        code = bind_locked(prepared, param_types, param_count, err);
    }
    if (code != KP_OK) {
        kp_prepared_destroy(prepared);
        return code;
    }
    *ret_prepared = prepared;
    return KP_OK;
}

enum kp_code kp_prepared_refresh(struct kp_prepared *prepared, struct kp_error *err)
{
    struct kp_prepared *at = prepared->copied ? prepared->copied : prepared;
    if (at->kind == KP_PREPARED_UTILITY || at->generation == atomic_load(&at->session->db->catalog_generation))
        return KP_OK;
    uint32_t count = at->param_count, col_count = at->col_count;
    const struct kp_column *cols = at->cols;
    enum kp_type_id *types = kp_arena_alloc(&at->arena, (count + 1) * sizeof *types);
    for (uint32_t i = 0; i < count; i++)
        types[i] = at->params[i].id;
    unbind(at);
    enum kp_code code = bind_locked(at, types, count, err);
    if (code != KP_OK) {
        at->generation = UINT64_MAX; /* it is bound again when it is run again */
        return code;
    }
    bool same = at->col_count == col_count;
    for (uint32_t i = 0; same && i < col_count; i++)
        same = kp_type_equal(cols[i].type, at->cols[i].type);
    return same ? KP_OK : kp_fail(err, KP_UNSUPPORTED, NULL, "cached plan must not change result type");
}

void kp_prepared_destroy(struct kp_prepared *prepared)
{
    if (!prepared)
        return;
    unbind(prepared);
    kp_prepared_destroy(prepared->copied);
    kp_free(prepared->name);
    kp_arena_finish(&prepared->arena);
    kp_free(prepared);
}

uint32_t kp_prepared_params(const struct kp_prepared *prepared, const struct kp_type **ret_types)
{
    const struct kp_prepared *at = prepared->copied ? prepared->copied : prepared;
    *ret_types = at->params;
    return at->param_count;
}

bool kp_prepared_columns(const struct kp_prepared *prepared, const struct kp_column **ret_cols, uint32_t *ret_count)
{
    *ret_cols = prepared->cols;
    *ret_count = prepared->col_count;
    return prepared->has_columns;
}

const struct kp_base_column *kp_prepared_bases(const struct kp_prepared *prepared)
{
    return prepared->bases;
}

enum kp_copy_mode kp_prepared_copy(const struct kp_prepared *prepared)
{
    return prepared->copied ? KP_COPY_OUT : prepared->kind == KP_PREPARED_COPY_IN ? KP_COPY_IN : KP_COPY_NONE;
}

const struct kp_copy_options *kp_prepared_copy_options(const struct kp_prepared *prepared)
{
    return kp_prepared_copy(prepared) == KP_COPY_NONE ? NULL : &prepared->statement->copy;
}

bool kp_prepared_is_subscribe(const struct kp_prepared *prepared)
{
    return (prepared->copied ? prepared->copied : prepared)->kind == KP_PREPARED_SUBSCRIBE;
}

bool kp_prepared_is_quick(const struct kp_prepared *prepared)
{
    struct kp_session *session = prepared->session;
    return prepared->point && prepared->generation == atomic_load(&session->db->catalog_generation) &&
           kp_point_is_ready(session, prepared->point);
}
