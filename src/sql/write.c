/*
 * The statements that write, and COPY IN: the doors, and what INSERT, UPDATE, DELETE and MERGE share. sql.h says what
 * the plans yield.
 *
 * A source can be inserted into as well: its rows become records of its topic. Only keyed tables know the others.
 */
#include "sql/object.h"
#include "sql/sequence.h"
#include "sql/write.h"

/* ---- targets and columns ---- */

enum kp_code kp_write_target(struct write *write, const PgQuery__RangeVar *range, const char *verb, bool keyed)
{
    struct binder *binder = write->binder;
    const struct kp_name name = {range->schemaname[0] ? range->schemaname : NULL, range->relname, range->location};
    struct kp_relation *relation;
    KP_TRY(kp_bind_relation(binder, name, &relation));
    bool fits = relation->kind == KP_RELATION_TABLE || (!keyed && relation->kind == KP_RELATION_SOURCE);
    if (!fits) {
        kp_bind_fail(binder, name.location, KP_INVALID, "42809", "cannot %s %s \"%s\"", verb,
                     kp_relation_kind_name(relation->kind), relation->name);
        if (relation->kind == KP_RELATION_SOURCE)
            kp_error_hint(binder->err, "A source only grows. A table with a PRIMARY KEY can be updated.");
        return KP_INVALID;
    }
    write->relation = relation;
    write->alias = range->alias ? range->alias->aliasname : range->relname;
    write->bound->relation = kp_relation_ref(relation);
    return KP_OK;
}

uint32_t kp_write_width(const struct kp_relation *relation)
{
    return relation->col_count - relation->hidden_count;
}

enum kp_code kp_write_column(struct binder *binder, const struct kp_relation *relation, const char *name,
                             int32_t location, uint32_t *ret_column)
{
    const char *like = NULL;
    size_t best = strlen(name) / 2 + 1;
    uint32_t width = kp_write_width(relation);
    for (uint32_t i = 0; i < width; i++)
        if (strcmp(relation->cols[i].name, name) == 0) {
            *ret_column = i;
            return KP_OK;
        }
    for (uint32_t i = 0; i < width; i++) {
        size_t distance = kp_sql_distance(kp_str(name), kp_str(relation->cols[i].name));
        if (distance < best) {
            best = distance;
            like = relation->cols[i].name;
        }
    }
    kp_bind_fail(binder, location, KP_NOT_FOUND, "42703", "column \"%s\" of relation \"%s\" does not exist", name,
                 relation->name);
    return like ? kp_error_hint(binder->err, "Perhaps you meant \"%s\".", like) : KP_NOT_FOUND;
}

enum kp_code kp_write_assign(struct binder *binder, const struct kp_relation *relation, struct kp_expr *expr,
                             uint32_t index, struct kp_expr **ret_expr)
{
    const struct kp_column *column = &relation->cols[index];
    struct kp_relation *domain = relation->domains ? relation->domains[index] : NULL;
    if (!kp_can_coerce(expr->type.id, column->type.id, COERCE_ASSIGNMENT)) {
        kp_bind_fail(binder, expr->location, KP_INVALID, "42804",
                     "column \"%s\" is of type %s but expression is of type %s", column->name,
                     kp_bind_type_text(binder, column->type), kp_bind_type_text(binder, expr->type));
        return kp_error_hint(binder->err, "You will need to rewrite or cast the expression.");
    }
    KP_TRY(kp_bind_coerce(binder, expr, column->type, COERCE_ASSIGNMENT, ret_expr));
    return domain ? kp_bind_domain_check(binder, domain, *ret_expr, expr->location, ret_expr) : KP_OK;
}

struct kp_expr *kp_write_default(struct binder *binder, const struct kp_relation *relation, uint32_t column)
{
    if (kp_relation_sequence(relation, column))
        return kp_bind_draw(binder, relation, column);
    const struct kp_expr *value = relation->defaults ? relation->defaults[column] : NULL;
    const struct kp_relation *domain = relation->domains ? relation->domains[column] : NULL;
    if (!value && domain && domain->defaults && relation->cols[column].type.id == domain->made.id)
        value = domain->defaults[0];
    return value ? kp_expr_copy(value, binder->arena, NULL, NULL) : kp_bind_null(binder, relation->cols[column].type);
}

void kp_write_name_row(struct kp_plan *plan, const struct kp_relation *relation, uint32_t from)
{
    for (uint32_t i = 0; i < kp_write_width(relation); i++)
        plan->cols[from + i] = (struct kp_column){relation->cols[i].name, relation->cols[i].type, false};
}

/* ---- rows that the writer gives ---- */

struct kp_relation *kp_write_rows(const char *name, const struct kp_column *cols, uint32_t count)
{
    struct kp_relation *rows = kp_relation_create();
    rows->kind = KP_RELATION_SYSTEM;
    rows->schema = "";
    rows->name = kp_arena_strdup(&rows->arena, name);
    rows->col_count = count;
    rows->cols = kp_arena_alloc(&rows->arena, (count + 1) * sizeof *rows->cols);
    for (uint32_t i = 0; i < count; i++) {
        rows->cols[i] = cols[i];
        rows->cols[i].name = kp_arena_strdup(&rows->arena, cols[i].name);
    }
    return rows;
}

struct kp_plan *kp_write_sort(struct binder *binder, struct kp_plan *plan, uint32_t column)
{
    struct kp_plan *sort = kp_bind_node(binder, KP_PLAN_SORT, -1, plan->col_count, 1);
    sort->inputs[0] = plan;
    memcpy(sort->cols, plan->cols, plan->col_count * sizeof *sort->cols);
    sort->topn.keys = kp_arena_calloc(binder->arena, sizeof *sort->topn.keys);
    sort->topn.keys[0].column = column;
    sort->topn.key_count = 1;
    return sort;
}

/* ---- a whole statement ---- */

void kp_bound_write_release(struct kp_bound_write *write)
{
    if (!write)
        return;
    for (uint32_t i = 0; i < write->with_count; i++)
        kp_bound_write_release(write->withs[i]);
    kp_free(write->withs);
    kp_plan_release(write->conflict.root);
    kp_plan_release(write->returning.root);
    kp_plan_release(write->root);
    kp_relation_unref(write->conflict.rows);
    kp_relation_unref(write->returning.rows);
    kp_relation_unref(write->result);
    kp_relation_unref(write->relation);
    kp_free(write);
}

static bool with_writes(const PgQuery__WithClause *with)
{
    for (size_t i = 0; with && i < with->n_ctes; i++)
        if (with->ctes[i]->common_table_expr->ctequery->node_case != PG_QUERY__NODE__NODE_SELECT_STMT)
            return true;
    return false;
}

bool kp_statement_writes(const struct kp_statement *statement)
{
    switch (statement->kind) {
    case KP_STATEMENT_INSERT:
    case KP_STATEMENT_UPDATE:
    case KP_STATEMENT_DELETE:
    case KP_STATEMENT_MERGE:
        return true;
    case KP_STATEMENT_QUERY:
        return statement->tree && statement->tree->node_case == PG_QUERY__NODE__NODE_SELECT_STMT &&
               with_writes(statement->tree->select_stmt->with_clause);
    default:
        return false;
    }
}

static enum kp_code bind_with_tree(struct write *write, const PgQuery__Node *tree)
{
    struct binder *binder = write->binder;
    switch (tree->node_case) {
    case PG_QUERY__NODE__NODE_INSERT_STMT:
        write->bound->kind = KP_WRITE_INSERT;
        KP_TRY(kp_bind_with(binder, tree->insert_stmt->with_clause));
        return kp_write_insert(write, tree->insert_stmt);
    case PG_QUERY__NODE__NODE_UPDATE_STMT:
        write->bound->kind = KP_WRITE_UPDATE;
        KP_TRY(kp_bind_with(binder, tree->update_stmt->with_clause));
        return kp_write_update(write, tree->update_stmt);
    case PG_QUERY__NODE__NODE_DELETE_STMT:
        write->bound->kind = KP_WRITE_DELETE;
        KP_TRY(kp_bind_with(binder, tree->delete_stmt->with_clause));
        return kp_write_delete(write, tree->delete_stmt);
    case PG_QUERY__NODE__NODE_MERGE_STMT:
        if (with_writes(tree->merge_stmt->with_clause))
            return kp_bind_fail(binder, tree->merge_stmt->with_clause->location, KP_UNSUPPORTED, NULL,
                                "MERGE not supported in WITH query");
        write->bound->kind = KP_WRITE_MERGE;
        KP_TRY(kp_bind_with(binder, tree->merge_stmt->with_clause));
        return kp_write_merge(write, tree->merge_stmt);
    default:
        return kp_bind_fail(binder, -1, KP_UNSUPPORTED, NULL, "this statement cannot stand here");
    }
}

/* The target, and the items beside it. */
static struct from_list from_of(const PgQuery__Node *tree)
{
    switch (tree->node_case) {
    case PG_QUERY__NODE__NODE_INSERT_STMT:
        return (struct from_list){.target = tree->insert_stmt->relation};
    case PG_QUERY__NODE__NODE_UPDATE_STMT:
        return (struct from_list){.target = tree->update_stmt->relation,
                                  .items = tree->update_stmt->from_clause,
                                  .count = tree->update_stmt->n_from_clause};
    case PG_QUERY__NODE__NODE_DELETE_STMT:
        return (struct from_list){.target = tree->delete_stmt->relation,
                                  .items = tree->delete_stmt->using_clause,
                                  .count = tree->delete_stmt->n_using_clause};
    case PG_QUERY__NODE__NODE_MERGE_STMT:
        return (struct from_list){
            .target = tree->merge_stmt->relation, .items = &tree->merge_stmt->source_relation, .count = 1};
    default:
        return (struct from_list){0};
    }
}

static enum kp_code bind_tree(struct write *write, const PgQuery__Node *tree)
{
    struct binder *binder = write->binder;
    const struct cte *before = binder->ctes;
    struct from_list from = from_of(tree);
    from.outer = binder->from;
    binder->from = &from;
    enum kp_code code = bind_with_tree(write, tree);
    if (code == KP_OK)
        code = kp_bind_unused_with(binder, before);
    binder->from = from.outer;
    return code;
}

/* The plans' last passes, when the whole statement has said what its parameters are. */
static enum kp_code finish(struct write *write, uint32_t result_count)
{
    struct kp_bound_write *bound = write->bound;
    KP_TRY(kp_bind_finish(write->binder, write->plan, result_count, bound->root));
    if (write->conflict) {
        bound->conflict.root = kp_calloc(1, sizeof *bound->conflict.root);
        KP_TRY(kp_bind_finish(write->binder, write->conflict, write->conflict->col_count, bound->conflict.root));
    }
    if (write->returning) {
        bound->returning.root = kp_calloc(1, sizeof *bound->returning.root);
        KP_TRY(kp_bind_finish(write->binder, write->returning, write->returning_count, bound->returning.root));
    }
    return KP_OK;
}

enum kp_code kp_bind_with_write(struct binder *binder, struct cte *cte)
{
    struct write_list *list = binder->writes;
    struct kp_bound_write *bound = kp_calloc(1, sizeof *bound);
    if (list->count == list->cap) {
        list->cap = list->cap ? list->cap * 2 : 4;
        list->items = kp_realloc(list->items, list->cap * sizeof *list->items);
    }
    struct write *write = &list->items[list->count++];
    *write = (struct write){.binder = binder, .bound = bound};
    bound->root = kp_calloc(1, sizeof *bound->root);
    const PgQuery__Node *tree = cte->def->ctequery;
    if (tree->node_case == PG_QUERY__NODE__NODE_MERGE_STMT)
        return kp_bind_fail(binder, cte->def->location, KP_UNSUPPORTED, NULL, "MERGE not supported in WITH query");
    binder->writes = NULL; /* those of this one's own WITH are not at the top level */
    const struct cte *ctes = binder->ctes;
    enum kp_code code = bind_tree(write, tree);
    binder->ctes = ctes;
    KP_TRY(code);
    if (write->returning) {
        bound->result = kp_write_rows(cte->def->ctename, write->returning->cols, write->returning_count);
        cte->given = bound->result;
    }
    return KP_OK;
}

static enum kp_code bind_whole(struct write *write, const struct kp_statement *statement, struct write_list *list)
{
    struct binder *binder = write->binder;
    const PgQuery__Node *tree = statement->tree;
    binder->writes = list;
    if (tree->node_case == PG_QUERY__NODE__NODE_SELECT_STMT) {
        uint32_t count;
        write->bound->kind = KP_WRITE_QUERY;
        KP_TRY(kp_bind_root(binder, tree, true, &write->plan, &count));
        for (uint32_t i = 0; i < list->count; i++)
            KP_TRY(finish(&list->items[i], list->items[i].plan->col_count));
        return finish(write, count);
    }
    KP_TRY(bind_tree(write, tree));
    for (uint32_t i = 0; i < list->count; i++)
        KP_TRY(finish(&list->items[i], list->items[i].plan->col_count));
    return finish(write, write->plan->col_count);
}

enum kp_code kp_sql_bind_write(const struct kp_sql_context *context, const struct kp_statement *statement,
                               struct kp_bound_write **ret_write, struct kp_error *err)
{
    struct kp_bound_write *bound = kp_calloc(1, sizeof *bound);
    struct binder binder;
    struct write write = {.binder = &binder, .bound = bound};
    struct write_list list = {0};
    bound->root = kp_calloc(1, sizeof *bound->root);
    kp_binder_init(&binder, context, statement, &bound->root->arena, err);
    enum kp_code code = bind_whole(&write, statement, &list);
    bound->with_count = list.count;
    bound->withs = kp_calloc(list.count + 1, sizeof(struct kp_bound_write *));
    for (uint32_t i = 0; i < list.count; i++)
        bound->withs[i] = list.items[i].bound;
    kp_free(list.items);
    if (code != KP_OK) {
        kp_bound_write_release(bound);
        return code;
    }
    *ret_write = bound;
    return KP_OK;
}

enum kp_code kp_sql_bind_copy(const struct kp_sql_context *context, const struct kp_statement *statement,
                              struct kp_relation **ret_relation, uint32_t **ret_columns, uint32_t *ret_count,
                              struct kp_error *err)
{
    struct binder binder;
    struct kp_bound_write bound = {0};
    struct write write = {.binder = &binder, .bound = &bound};
    const PgQuery__CopyStmt *copy = statement->tree->copy_stmt;
    kp_binder_init(&binder, context, statement, statement->arena, err);
    KP_TRY(kp_write_target(&write, copy->relation, "copy to", false));
    struct kp_relation *relation = bound.relation; /* referenced */
    enum kp_code code = KP_OK;
    uint32_t count = statement->column_name_count ? statement->column_name_count : kp_write_width(relation);
    uint32_t *columns = kp_arena_calloc(statement->arena, (count + 1) * sizeof *columns);
    for (uint32_t i = 0; code == KP_OK && i < count; i++) {
        columns[i] = i;
        if (statement->column_name_count)
            code = kp_write_column(&binder, relation, statement->column_names[i], -1, &columns[i]);
        for (uint32_t k = 0; code == KP_OK && k < i; k++)
            if (columns[k] == columns[i])
                code = kp_bind_fail(&binder, -1, KP_INVALID, "42701", "column \"%s\" specified more than once",
                                    relation->cols[columns[i]].name);
    }
    if (code != KP_OK) {
        kp_relation_unref(relation);
        return code;
    }
    *ret_relation = relation;
    *ret_columns = columns;
    *ret_count = count;
    return KP_OK;
}
