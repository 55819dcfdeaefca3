/*
 * CREATE TABLE … AS, SELECT … INTO: the query's answer at one position becomes the rows of a new table.
 *
 *   query ─► columns ─► the text of a CREATE TABLE, which is the catalog's record ─┐
 *        └─► rows ─► records ───────────────────────────────────────────────────────┴─► one group of the log
 *
 * 1. Record and rows are one atomic group: after a crash there is the table with all rows, or none.
 * 2. The table has the query's rows and no others: a topic of its name that has records is refused.
 */
#include "db/ddl.h"
#include "db/dml.h"

#include <stdio.h>

static enum kp_code declare(const struct kp_statement *statement, const struct kp_plan_root *root, struct kp_buf *text,
                            struct kp_error *err)
{
    if (statement->column_name_count > root->result_count)
        return kp_fail(err, KP_INVALID, "42601", "too many column names were specified");
    kp_buf_append_text(text, "CREATE TABLE ");
    if (statement->name.schema) {
        kp_ddl_put_name(text, statement->name.schema, "");
        kp_buf_append_byte(text, '.');
    }
    kp_ddl_put_name(text, statement->name.name, "");
    for (uint32_t i = 0; i < root->result_count; i++) {
        const struct kp_column *col = &root->plan->cols[i];
        kp_buf_append_text(text, i ? ", " : " (");
        kp_ddl_put_name(text, i < statement->column_name_count ? statement->column_names[i] : col->name, "");
        kp_buf_append_byte(text, ' ');
        kp_type_print(col->type, text);
    }
    kp_buf_append_text(text, root->result_count ? ")" : " ()");
    return KP_OK;
}

/* *ret_root NULL: there is a relation of that name, and that is fine. */
static enum kp_code bind_query(struct kp_ddl *ddl, const struct kp_statement *statement, struct kp_plan_root **ret_root,
                               struct kp_error *err)
{
    struct kp_catalog *catalog = ddl->db->catalog;
    struct kp_str schema = kp_str(statement->name.schema ? statement->name.schema : "public");
    *ret_root = NULL;
    kp_catalog_read(catalog);
    enum kp_code code = KP_OK;
    if (!kp_catalog_find(catalog, schema, kp_str(statement->name.name)))
        code = kp_sql_bind_query(ddl->context, statement->inner, ret_root, err);
    else if (statement->if_not_exists)
        kp_ddl_notice(ddl, "42P07", "relation \"%s\" already exists, skipping", statement->name.name);
    else
        code = kp_fail(err, KP_EXISTS, "42P07", "relation \"%s\" already exists", statement->name.name);
    kp_catalog_unlock(catalog);
    return code;
}

/* The query's rows, into the session's writes, as rows of the relation that will be. */
static enum kp_code write_rows(struct kp_cursor *cursor, struct kp_relation *relation, const struct kp_plan_root *root,
                               uint64_t *ret_rows, struct kp_error *err)
{
    struct kp_batch **batches;
    size_t count;
    KP_TRY(kp_query_run_root(cursor->session, root, NULL, 0, &cursor->arena, &batches, &count, &cursor->position, err));
    struct kp_write_target target;
    enum kp_code code = KP_OK;
    kp_target_init_new(&target, cursor->session, relation);
    for (size_t b = 0; code == KP_OK && b < count; b++) {
        *ret_rows += batches[b]->rows;
        for (uint32_t row = 0; code == KP_OK && row < batches[b]->rows; row++)
            code = kp_target_insert(&target, batches[b], row, err);
    }
    kp_target_finish(&target);
    return code;
}

/* Declares and fills the table. */
static enum kp_code make(struct kp_cursor *cursor, struct kp_ddl *ddl, const struct kp_statement *create,
                         const struct kp_plan_root *root, uint64_t *ret_rows, struct kp_error *err)
{
    struct kp_session *session = cursor->session;
    size_t first = session->write_count, bytes = session->write_bytes;
    struct kp_write_group group = {0};
    struct kp_relation *relation;
    kp_catalog_read(ddl->db->catalog);
    enum kp_code code = kp_sql_bind_create(ddl->context, create, &relation, err);
    kp_catalog_unlock(ddl->db->catalog);
    KP_TRY(code);
    if (!cursor->prepared->statement->no_data)
        code = write_rows(cursor, relation, root, ret_rows, err);
    if (code == KP_OK)
        code = kp_writes_group(session, first, &group, err);
    ddl->fills = true;
    ddl->rows = group.entries;
    ddl->row_count = group.count;
    if (code == KP_OK)
        code = kp_ddl_run(ddl, create, err);
    kp_writes_truncate(session, first, bytes);
    kp_write_group_finish(&group);
    kp_relation_unref(relation);
    return code;
}

enum kp_code kp_create_as_run(struct kp_cursor *cursor, struct kp_error *err)
{
    const struct kp_statement *statement = cursor->prepared->statement;
    struct kp_sql_context context;
    struct kp_ddl ddl;
    struct kp_plan_root *root;
    kp_session_context(cursor->session, &context);
    kp_ddl_init(&ddl, cursor->session, &context);
    KP_TRY(bind_query(&ddl, statement, &root, err));
    if (!root)
        return KP_OK;
    struct kp_buf text = {0};
    struct kp_arena arena = {0};
    struct kp_statement *create = NULL;
    uint64_t rows = 0;
    enum kp_code code = declare(statement, root, &text, err);
    ddl.record.text = (struct kp_str){(const char *)text.data, text.len};
    if (code == KP_OK)
        code = kp_sql_parse(ddl.record.text, &arena, &create, err);
    if (code == KP_OK)
        code = make(cursor, &ddl, create, root, &rows, err);
    kp_plan_release(root);
    kp_arena_finish(&arena);
    kp_buf_finish(&text);
    if (code != KP_OK && err)
        err->position = 0; /* it is not of the text that was sent */
    KP_TRY(code);
    kp_session_read_after(cursor->session, ddl.end);
    cursor->position = ddl.end;
    if (!statement->no_data)
        snprintf(cursor->tag, sizeof cursor->tag, "SELECT %llu", (unsigned long long)rows);
    return KP_OK;
}
