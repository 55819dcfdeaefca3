/*
 * INSERT, UPDATE, DELETE, COPY IN: the target, and a plan that yields what is to be written (sql.h says in which form).
 *
 * A source can be inserted into as well: its rows become records of its topic. Only keyed tables know UPDATE and
 * DELETE.
 */
#include "sql/bind.h"
#include "sql/object.h"

static enum kp_code bind_target(struct binder *binder, const char *verb, bool keyed, struct kp_relation **ret_relation)
{
    const struct kp_name name = binder->statement->name;
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
    *ret_relation = relation;
    return KP_OK;
}

static uint32_t visible_count(const struct kp_relation *relation)
{
    return relation->col_count - relation->hidden_count;
}

static enum kp_code find_column(struct binder *binder, const struct kp_relation *relation, const char *name,
                                int32_t location, uint32_t *ret_column)
{
    const char *like = NULL;
    size_t best = strlen(name) / 2 + 1;
    for (uint32_t i = 0; i < visible_count(relation); i++) {
        size_t distance = kp_sql_distance(kp_str(name), kp_str(relation->cols[i].name));
        if (strcmp(relation->cols[i].name, name) == 0) {
            *ret_column = i;
            return KP_OK;
        }
        if (distance < best) {
            best = distance;
            like = relation->cols[i].name;
        }
    }
    kp_bind_fail(binder, location, KP_NOT_FOUND, "42703", "column \"%s\" of relation \"%s\" does not exist", name,
                 relation->name);
    return like ? kp_error_hint(binder->err, "Perhaps you meant \"%s\".", like) : KP_NOT_FOUND;
}

/* To a column's type as assignment does; the error names the column. */
static enum kp_code assign(struct binder *binder, const struct kp_relation *relation, struct kp_expr *expr,
                           const struct kp_column *column, struct kp_expr **ret_expr)
{
    struct kp_relation *domain = relation->domains ? relation->domains[column - relation->cols] : NULL;
    if (!kp_can_coerce(expr->type.id, column->type.id, COERCE_ASSIGNMENT)) {
        kp_bind_fail(binder, expr->location, KP_INVALID, "42804",
                     "column \"%s\" is of type %s but expression is of type %s", column->name,
                     kp_type_info(column->type.id)->name, kp_type_info(expr->type.id)->name);
        return kp_error_hint(binder->err, "You will need to rewrite or cast the expression.");
    }
    KP_TRY(kp_bind_coerce(binder, expr, column->type, COERCE_ASSIGNMENT, ret_expr));
    return domain ? kp_bind_domain_check(binder, domain, *ret_expr, expr->location, ret_expr) : KP_OK;
}

static struct kp_expr *default_of(struct binder *binder, const struct kp_relation *relation, uint32_t column)
{
    const struct kp_expr *value = relation->defaults ? relation->defaults[column] : NULL;
    return value ? kp_expr_copy(value, binder->arena, NULL, NULL) : kp_bind_null(binder, relation->cols[column].type);
}

/* ---- INSERT ---- */

/* For each listed column its index; without a list the first ones in order. */
static enum kp_code insert_columns(struct binder *binder, const struct kp_relation *relation,
                                   const PgQuery__InsertStmt *insert, uint32_t **ret_columns, uint32_t *ret_count)
{
    uint32_t count = insert->n_cols ? (uint32_t)insert->n_cols : visible_count(relation);
    uint32_t *columns = kp_arena_calloc(binder->arena, (count + 1) * sizeof *columns);
    for (uint32_t i = 0; i < count; i++) {
        columns[i] = i;
        if (!insert->n_cols)
            continue;
        const PgQuery__ResTarget *target = insert->cols[i]->res_target;
        KP_TRY(find_column(binder, relation, target->name, target->location, &columns[i]));
        for (uint32_t k = 0; k < i; k++)
            if (columns[k] == columns[i])
                return kp_bind_fail(binder, target->location, KP_INVALID, "42701",
                                    "column \"%s\" specified more than once", target->name);
    }
    *ret_columns = columns;
    *ret_count = count;
    return KP_OK;
}

static enum kp_code check_width(struct binder *binder, const PgQuery__InsertStmt *insert, uint32_t have,
                                uint32_t listed, int32_t location)
{
    if (have > listed)
        return kp_bind_fail(binder, location, KP_INVALID, "42601", "INSERT has more expressions than target columns");
    if (insert->n_cols && have < listed)
        return kp_bind_fail(binder, insert->cols[have]->res_target->location, KP_INVALID, "42601",
                            "INSERT has more target columns than expressions");
    return KP_OK;
}

static enum kp_code insert_row(struct binder *binder, const struct kp_relation *relation, const PgQuery__List *row,
                               const uint32_t *columns, struct kp_expr **cells)
{
    static const struct scope nothing;
    struct expr_place place = {.scope = &nothing, .clause = "VALUES"};
    for (uint32_t i = 0; i < visible_count(relation); i++)
        cells[i] = NULL;
    for (size_t i = 0; i < row->n_items; i++) {
        if (row->items[i]->node_case == PG_QUERY__NODE__NODE_SET_TO_DEFAULT)
            continue;
        struct kp_expr *expr;
        KP_TRY(kp_bind_expr(binder, &place, row->items[i], &expr));
        KP_TRY(assign(binder, relation, expr, &relation->cols[columns[i]], &cells[columns[i]]));
    }
    for (uint32_t i = 0; i < visible_count(relation); i++)
        if (!cells[i])
            cells[i] = default_of(binder, relation, i);
    return KP_OK;
}

static void name_row(struct kp_plan *plan, const struct kp_relation *relation, uint32_t from)
{
    for (uint32_t i = 0; i < visible_count(relation); i++)
        plan->cols[from + i] = (struct kp_column){relation->cols[i].name, relation->cols[i].type, false};
}

static enum kp_code insert_values(struct binder *binder, const struct kp_relation *relation,
                                  const PgQuery__InsertStmt *insert, const uint32_t *columns, uint32_t listed,
                                  struct kp_plan **ret_plan)
{
    const PgQuery__SelectStmt *select = insert->select_stmt->select_stmt;
    uint32_t rows = (uint32_t)select->n_values_lists, width = visible_count(relation);
    struct kp_plan *plan = kp_bind_node(binder, KP_PLAN_VALUES, -1, width, 0);
    plan->values.rows = rows;
    plan->values.exprs = kp_arena_calloc(binder->arena, (size_t)rows * width * sizeof(struct kp_expr *));
    for (uint32_t r = 0; r < rows; r++) {
        const PgQuery__List *row = select->values_lists[r]->list;
        if (row->n_items != select->values_lists[0]->list->n_items)
            return kp_bind_fail(binder, row->n_items ? kp_tree_location(row->items[0]) : -1, KP_INVALID, "42601",
                                "VALUES lists must all be the same length");
        uint32_t have = (uint32_t)row->n_items;
        KP_TRY(check_width(binder, insert, have, listed, have > listed ? kp_tree_location(row->items[listed]) : -1));
        KP_TRY(insert_row(binder, relation, row, columns, plan->values.exprs + (size_t)r * width));
    }
    name_row(plan, relation, 0);
    *ret_plan = plan;
    return KP_OK;
}

static enum kp_code insert_query(struct binder *binder, const struct kp_relation *relation,
                                 const PgQuery__InsertStmt *insert, const uint32_t *columns, uint32_t listed,
                                 struct kp_plan **ret_plan)
{
    struct kp_plan *input = NULL;
    uint32_t have = 0, width = visible_count(relation);
    if (insert->select_stmt) {
        binder->keep_unknown = true;
        KP_TRY(kp_bind_select(binder, insert->select_stmt->select_stmt, false, &input, &have));
        KP_TRY(check_width(binder, insert, have, listed, -1));
    } else { /* DEFAULT VALUES */
        input = kp_bind_node(binder, KP_PLAN_VALUES, -1, 0, 0);
        input->values.rows = 1;
    }
    struct kp_expr **exprs = kp_arena_calloc(binder->arena, (width + 1) * sizeof *exprs);
    for (uint32_t i = 0; i < have; i++) {
        bool literal = input->kind == KP_PLAN_PROJECT && input->cols[i].type.id == KP_UNKNOWN;
        struct kp_expr *expr = literal ? input->project.exprs[i] : kp_bind_column(binder, i, input->cols[i].type, -1);
        KP_TRY(assign(binder, relation, expr, &relation->cols[columns[i]], &exprs[columns[i]]));
    }
    for (uint32_t i = 0; i < width; i++)
        if (!exprs[i])
            exprs[i] = default_of(binder, relation, i);
    *ret_plan = kp_bind_project(binder, input, exprs, NULL, width);
    name_row(*ret_plan, relation, 0);
    return KP_OK;
}

static enum kp_code bind_insert(struct binder *binder, struct kp_relation **ret_relation, struct kp_plan **ret_plan)
{
    const PgQuery__InsertStmt *insert = binder->statement->tree->insert_stmt;
    if (insert->n_returning_list)
        return kp_bind_fail(binder, kp_tree_location(insert->returning_list[0]), KP_UNSUPPORTED, NULL,
                            "RETURNING is not supported");
    if (insert->with_clause)
        return kp_bind_fail(binder, insert->with_clause->location, KP_UNSUPPORTED, NULL,
                            "WITH before INSERT is not supported");
    KP_TRY(bind_target(binder, "insert into", false, ret_relation));
    uint32_t *columns = NULL, listed = 0;
    KP_TRY(insert_columns(binder, *ret_relation, insert, &columns, &listed));
    const PgQuery__SelectStmt *select = insert->select_stmt ? insert->select_stmt->select_stmt : NULL;
    if (select && select->n_values_lists && !select->limit_count && !select->limit_offset && !select->with_clause)
        return insert_values(binder, *ret_relation, insert, columns, listed, ret_plan);
    return insert_query(binder, *ret_relation, insert, columns, listed, ret_plan);
}

/* ---- UPDATE, DELETE ---- */

/* The table's rows that WHERE leaves, all columns in order. */
static enum kp_code bind_rows(struct binder *binder, struct kp_relation *relation, const PgQuery__RangeVar *range,
                              const PgQuery__Node *where, struct scope *scope, struct kp_plan **ret_plan)
{
    struct query_joins joins = {0};
    struct kp_plan *scan = kp_bind_scan(binder, relation, range->location);
    kp_scope_add_plan(binder, scope, range->alias ? range->alias->aliasname : range->relname, scan, 0);
    kp_joins_add(binder, &joins, scan);
    struct expr_place place = {.scope = scope, .clause = "WHERE", .subs = &joins.subs};
    if (where)
        KP_TRY(kp_bind_where(binder, &place, where, &joins));
    return kp_joins_finish(binder, &joins, ret_plan);
}

static struct kp_expr *column_of(struct binder *binder, const struct kp_relation *relation, uint32_t column)
{
    return kp_bind_column(binder, column, relation->cols[column].type, -1);
}

static enum kp_code bind_assignments(struct binder *binder, const struct kp_relation *relation,
                                     const PgQuery__UpdateStmt *update, const struct scope *scope,
                                     struct kp_expr **cells)
{
    struct expr_place place = {.scope = scope, .clause = "UPDATE"};
    for (uint32_t i = 0; i < visible_count(relation); i++)
        cells[i] = NULL;
    for (size_t i = 0; i < update->n_target_list; i++) {
        const PgQuery__ResTarget *target = update->target_list[i]->res_target;
        uint32_t column;
        struct kp_expr *expr;
        KP_TRY(find_column(binder, relation, target->name, target->location, &column));
        if (cells[column])
            return kp_bind_fail(binder, target->location, KP_INVALID, "42601",
                                "multiple assignments to same column \"%s\"", target->name);
        if (target->val->node_case == PG_QUERY__NODE__NODE_SET_TO_DEFAULT) {
            cells[column] = default_of(binder, relation, column);
            continue;
        }
        if (target->val->node_case == PG_QUERY__NODE__NODE_MULTI_ASSIGN_REF)
            return kp_bind_fail(binder, target->location, KP_UNSUPPORTED, NULL,
                                "UPDATE … SET (a, b) = … is not supported");
        KP_TRY(kp_bind_expr(binder, &place, target->val, &expr));
        KP_TRY(assign(binder, relation, expr, &relation->cols[column], &cells[column]));
    }
    for (uint32_t i = 0; i < visible_count(relation); i++)
        if (!cells[i])
            cells[i] = column_of(binder, relation, i);
    return KP_OK;
}

static enum kp_code bind_update(struct binder *binder, struct kp_relation **ret_relation, struct kp_plan **ret_plan)
{
    const PgQuery__UpdateStmt *update = binder->statement->tree->update_stmt;
    if (update->n_from_clause || update->n_returning_list || update->with_clause)
        return kp_bind_fail(binder, -1, KP_UNSUPPORTED, NULL, "UPDATE with %s is not supported",
                            update->n_from_clause      ? "FROM"
                            : update->n_returning_list ? "RETURNING"
                                                       : "WITH");
    KP_TRY(bind_target(binder, "update", true, ret_relation));
    struct kp_relation *relation = *ret_relation;
    struct scope scope = {0};
    struct kp_plan *rows;
    KP_TRY(bind_rows(binder, relation, update->relation, update->where_clause, &scope, &rows));
    uint32_t count = relation->key_count + visible_count(relation);
    struct kp_expr **exprs = kp_arena_calloc(binder->arena, (count + 1) * sizeof *exprs);
    for (uint32_t k = 0; k < relation->key_count; k++)
        exprs[k] = column_of(binder, relation, relation->keys[k]);
    KP_TRY(bind_assignments(binder, relation, update, &scope, exprs + relation->key_count));
    *ret_plan = kp_bind_project(binder, rows, exprs, NULL, count);
    name_row(*ret_plan, relation, relation->key_count);
    return KP_OK;
}

static enum kp_code bind_delete(struct binder *binder, struct kp_relation **ret_relation, struct kp_plan **ret_plan)
{
    const PgQuery__DeleteStmt *delete = binder->statement->tree->delete_stmt;
    if (delete->n_using_clause || delete->n_returning_list || delete->with_clause)
        return kp_bind_fail(binder, -1, KP_UNSUPPORTED, NULL, "DELETE with %s is not supported",
                            delete->n_using_clause     ? "USING"
                            : delete->n_returning_list ? "RETURNING"
                                                       : "WITH");
    KP_TRY(bind_target(binder, "delete from", true, ret_relation));
    struct kp_relation *relation = *ret_relation;
    struct scope scope = {0};
    struct kp_plan *rows;
    KP_TRY(bind_rows(binder, relation, delete->relation, delete->where_clause, &scope, &rows));
    struct kp_expr **exprs = kp_arena_calloc(binder->arena, (relation->key_count + 1) * sizeof *exprs);
    for (uint32_t k = 0; k < relation->key_count; k++)
        exprs[k] = column_of(binder, relation, relation->keys[k]);
    *ret_plan = kp_bind_project(binder, rows, exprs, NULL, relation->key_count);
    return KP_OK;
}

/* ---- the doors ---- */

void kp_bound_write_release(struct kp_bound_write *write)
{
    if (!write)
        return;
    kp_plan_release(write->root);
    kp_relation_unref(write->relation);
    kp_free(write);
}

enum kp_code kp_sql_bind_write(const struct kp_sql_context *context, const struct kp_statement *statement,
                               struct kp_bound_write **ret_write, struct kp_error *err)
{
    struct kp_bound_write *write = kp_calloc(1, sizeof *write);
    struct kp_relation *relation = NULL;
    struct kp_plan *plan = NULL;
    struct binder binder;
    write->root = kp_calloc(1, sizeof *write->root);
    write->conflict = statement->conflict;
    kp_binder_init(&binder, context, statement, &write->root->arena, err);
    enum kp_code code;
    if (statement->kind == KP_STATEMENT_INSERT) {
        write->kind = KP_WRITE_INSERT;
        code = bind_insert(&binder, &relation, &plan);
    } else if (statement->kind == KP_STATEMENT_UPDATE) {
        write->kind = KP_WRITE_UPDATE;
        code = bind_update(&binder, &relation, &plan);
    } else {
        write->kind = KP_WRITE_DELETE;
        code = bind_delete(&binder, &relation, &plan);
    }
    if (code == KP_OK)
        code = kp_bind_finish(&binder, plan, plan->col_count, write->root);
    if (code != KP_OK) {
        kp_bound_write_release(write);
        return code;
    }
    write->relation = kp_relation_ref(relation);
    *ret_write = write;
    return KP_OK;
}

enum kp_code kp_sql_bind_copy(const struct kp_sql_context *context, const struct kp_statement *statement,
                              struct kp_relation **ret_relation, uint32_t **ret_columns, uint32_t *ret_count,
                              struct kp_error *err)
{
    struct binder binder;
    struct kp_relation *relation;
    kp_binder_init(&binder, context, statement, statement->arena, err);
    KP_TRY(bind_target(&binder, "copy to", false, &relation));
    if (relation->domains)
        return kp_bind_fail(&binder, -1, KP_UNSUPPORTED, NULL,
                            "COPY into a table with columns of a domain is not supported: use INSERT");
    uint32_t count = statement->column_name_count ? statement->column_name_count : visible_count(relation);
    uint32_t *columns = kp_arena_calloc(statement->arena, (count + 1) * sizeof *columns);
    for (uint32_t i = 0; i < count; i++) {
        columns[i] = i;
        if (statement->column_name_count)
            KP_TRY(find_column(&binder, relation, statement->column_names[i], -1, &columns[i]));
    }
    *ret_relation = kp_relation_ref(relation);
    *ret_columns = columns;
    *ret_count = count;
    return KP_OK;
}
