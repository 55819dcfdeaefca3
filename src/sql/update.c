/*
 * UPDATE and DELETE: the target's rows, joined with what FROM or USING names; and SET's assignments, which ON CONFLICT
 * and MERGE have too.
 *
 * SET (a, b) = (SELECT x, y …) is bound as two subqueries of one column each: SELECT x FROM (SELECT x, y …), and y.
 * They share their plan when it runs.
 */
#include "sql/sequence.h"
#include "sql/write.h"

/* ---- SET ---- */

static PgQuery__Node *string_node(struct binder *binder, const char *text)
{
    PgQuery__Node *node = kp_arena_calloc(binder->arena, sizeof *node);
    pg_query__node__init(node);
    node->node_case = PG_QUERY__NODE__NODE_STRING;
    node->string = kp_arena_calloc(binder->arena, sizeof *node->string);
    pg_query__string__init(node->string);
    node->string->sval = (char *)(uintptr_t)text;
    return node;
}

static PgQuery__Node **one_node(struct binder *binder, PgQuery__Node__NodeCase kind, void *content)
{
    PgQuery__Node **list = kp_arena_calloc(binder->arena, sizeof(PgQuery__Node *));
    list[0] = kp_arena_calloc(binder->arena, sizeof **list);
    pg_query__node__init(list[0]);
    list[0]->node_case = kind;
    list[0]->string = content; /* any member of the union */
    return list;
}

/* (SELECT c<column> FROM (the subquery) AS s (c1, c2 …)). */
static PgQuery__SubLink *one_column(struct binder *binder, const PgQuery__SubLink *link, int32_t column, int32_t count)
{
    PgQuery__Alias *alias = kp_arena_calloc(binder->arena, sizeof *alias);
    PgQuery__RangeSubselect *from = kp_arena_calloc(binder->arena, sizeof *from);
    PgQuery__ColumnRef *ref = kp_arena_calloc(binder->arena, sizeof *ref);
    PgQuery__ResTarget *target = kp_arena_calloc(binder->arena, sizeof *target);
    PgQuery__SelectStmt *select = kp_arena_calloc(binder->arena, sizeof *select);
    PgQuery__SubLink *sub = kp_arena_calloc(binder->arena, sizeof *sub);
    pg_query__alias__init(alias);
    pg_query__range_subselect__init(from);
    pg_query__column_ref__init(ref);
    pg_query__res_target__init(target);
    pg_query__select_stmt__init(select);
    pg_query__sub_link__init(sub);
    alias->aliasname = (char *)(uintptr_t) "s";
    alias->n_colnames = (size_t)count;
    alias->colnames = kp_arena_calloc(binder->arena, (size_t)count * sizeof(PgQuery__Node *));
    for (int32_t i = 0; i < count; i++)
        alias->colnames[i] = string_node(binder, kp_arena_printf(binder->arena, "c%d", i + 1));
    from->alias = alias;
    from->subquery = link->subselect;
    ref->n_fields = 1;
    ref->fields = kp_arena_calloc(binder->arena, sizeof(PgQuery__Node *));
    ref->fields[0] = alias->colnames[column - 1];
    ref->location = link->location;
    target->val = one_node(binder, PG_QUERY__NODE__NODE_COLUMN_REF, ref)[0];
    select->n_target_list = 1;
    select->target_list = one_node(binder, PG_QUERY__NODE__NODE_RES_TARGET, target);
    select->n_from_clause = 1;
    select->from_clause = one_node(binder, PG_QUERY__NODE__NODE_RANGE_SUBSELECT, from);
    select->op = PG_QUERY__SET_OPERATION__SETOP_NONE;
    sub->sub_link_type = PG_QUERY__SUB_LINK_TYPE__EXPR_SUBLINK;
    sub->subselect = one_node(binder, PG_QUERY__NODE__NODE_SELECT_STMT, select)[0];
    sub->location = link->location;
    return sub;
}

static enum kp_code check_count(struct binder *binder, int32_t location, uint32_t have, int32_t wanted)
{
    if (have == (uint32_t)wanted)
        return KP_OK;
    return kp_bind_fail(binder, location, KP_INVALID, "42601", "number of columns does not match number of values");
}

/* The value of one column of SET (a, b) = …; *ret_node NULL: *ret_expr is it. */
static enum kp_code multi_value(struct binder *binder, const struct expr_place *place,
                                const PgQuery__MultiAssignRef *multi, int32_t location, const PgQuery__Node **ret_node,
                                struct kp_expr **ret_expr)
{
    const PgQuery__Node *source = multi->source;
    *ret_node = NULL;
    if (source->node_case == PG_QUERY__NODE__NODE_ROW_EXPR) {
        KP_TRY(check_count(binder, source->row_expr->location, (uint32_t)source->row_expr->n_args, multi->ncolumns));
        *ret_node = source->row_expr->args[multi->colno - 1];
        return KP_OK;
    }
    if (source->node_case != PG_QUERY__NODE__NODE_SUB_LINK ||
        source->sub_link->sub_link_type != PG_QUERY__SUB_LINK_TYPE__EXPR_SUBLINK)
        return kp_bind_fail(binder, kp_tree_location(source) < 0 ? location : kp_tree_location(source), KP_UNSUPPORTED,
                            NULL, "source for a multiple-column UPDATE item must be a sub-SELECT or ROW() expression");
    const PgQuery__SubLink *link = source->sub_link;
    if (multi->colno == 1) {
        struct kp_plan *plan;
        uint32_t count;
        const struct scope *around = binder->around;
        binder->around = place->scope;
        enum kp_code code = kp_bind_select(binder, link->subselect->select_stmt, false, &plan, &count);
        binder->around = around;
        KP_TRY(code);
        KP_TRY(check_count(binder, link->location, count, multi->ncolumns));
    }
    return kp_bind_sublink(binder, place, one_column(binder, link, multi->colno, multi->ncolumns), ret_expr);
}

enum kp_code kp_write_assignments(struct binder *binder, const struct kp_relation *relation, uint32_t first,
                                  PgQuery__Node *const *targets, size_t count, const struct expr_place *place,
                                  struct kp_expr **cells)
{
    uint32_t width = kp_write_width(relation);
    bool *parts = kp_arena_calloc(binder->arena, width + 1); /* columns whose parts are set, one after the other */
    for (uint32_t i = 0; i < width; i++)
        cells[i] = NULL;
    for (size_t i = 0; i < count; i++) {
        const PgQuery__ResTarget *target = targets[i]->res_target;
        const PgQuery__Node *value = target->val;
        struct kp_expr *expr = NULL;
        uint32_t column;
        KP_TRY(kp_write_column(binder, relation, target->name, target->location, &column));
        if (cells[column] && !(parts[column] && target->n_indirection))
            return kp_bind_fail(binder, target->location, KP_INVALID, "42601",
                                "multiple assignments to same column \"%s\"", target->name);
        if (value->node_case == PG_QUERY__NODE__NODE_MULTI_ASSIGN_REF)
            KP_TRY(multi_value(binder, place, value->multi_assign_ref, target->location, &value, &expr));
        if (value && value->node_case == PG_QUERY__NODE__NODE_SET_TO_DEFAULT && target->n_indirection)
            return kp_bind_fail(binder, target->location, KP_UNSUPPORTED, NULL,
                                "a part of column \"%s\" cannot be set to DEFAULT", target->name);
        const struct kp_sequence *sequence = kp_relation_sequence(relation, column);
        if (sequence && sequence->always && (!value || value->node_case != PG_QUERY__NODE__NODE_SET_TO_DEFAULT))
            return kp_bind_always(binder, relation, column, true);
        if (value && value->node_case == PG_QUERY__NODE__NODE_SET_TO_DEFAULT)
            expr = kp_write_default(binder, relation, column);
        else if (value)
            KP_TRY(kp_bind_expr(binder, place, value, &expr));
        parts[column] = target->n_indirection > 0;
        if (parts[column]) {
            struct kp_expr *whole =
                cells[column] ? cells[column]
                              : kp_bind_column(binder, first + column, relation->cols[column].type, target->location);
            KP_TRY(kp_write_assign_part(binder, place, target, whole, expr, &cells[column]));
        } else {
            KP_TRY(kp_write_assign(binder, relation, expr, column, &cells[column]));
        }
    }
    for (uint32_t i = 0; i < width; i++) /* a domain of the whole holds when all its parts are set */
        if (parts[i])
            KP_TRY(kp_write_assign(binder, relation, cells[i], i, &cells[i]));
    return KP_OK;
}

/* ---- rows ---- */

/* The target's rows with those of the other items that WHERE leaves; the target's columns are the first ones. */
static enum kp_code bind_rows(struct write *write, const PgQuery__RangeVar *range, PgQuery__Node *const *items,
                              size_t item_count, const PgQuery__Node *where, struct scope *scope)
{
    struct binder *binder = write->binder;
    struct query_joins joins = {0};
    struct kp_plan *scan = kp_bind_scan(binder, write->relation, range->location);
    kp_scope_add_plan(binder, scope, write->alias, scan, 0);
    for (uint32_t i = 0; i < scope->count && !range->alias; i++)
        scope->cols[i].schema = write->relation->schema;
    kp_joins_add(binder, &joins, scan);
    scope->target_count = scope->count;
    KP_TRY(kp_bind_from(binder, items, item_count, &joins, scope));
    scope->target_count = 0;
    struct expr_place place = {.scope = scope, .clause = "WHERE", .subs = &joins.subs};
    if (where)
        KP_TRY(kp_bind_where(binder, &place, where, &joins));
    return kp_joins_finish(binder, &joins, &write->plan);
}

/* What RETURNING sees of the other items: their columns, once each, behind the row. */
static void take_extras(struct write *write, const struct scope *scope, struct kp_expr **exprs, uint32_t *count)
{
    for (uint32_t i = write->relation->col_count; i < scope->count; i++) {
        struct scope_column column = scope->cols[i];
        exprs[(*count)++] = kp_bind_column(write->binder, column.index, column.type, -1);
        column.index = write->bound->extra_count++;
        kp_scope_add(write->binder, &write->extras, column);
    }
    kp_scope_copy_places(&write->extras, 0, scope, write->relation->col_count);
}

static struct kp_expr *column_of(struct binder *binder, const struct kp_relation *relation, uint32_t column)
{
    return kp_bind_column(binder, column, relation->cols[column].type, -1);
}

enum kp_code kp_write_update(struct write *write, const PgQuery__UpdateStmt *update)
{
    struct binder *binder = write->binder;
    struct scope scope = {0};
    struct sub_list subs = {0};
    KP_TRY(kp_write_target(write, update->relation, "update", true));
    const struct kp_relation *relation = write->relation;
    KP_TRY(
        bind_rows(write, update->relation, update->from_clause, update->n_from_clause, update->where_clause, &scope));
    uint32_t width = kp_write_width(relation), keys = relation->key_count, count = keys + width;
    struct kp_expr **exprs = kp_arena_calloc(binder->arena, (count + scope.count + 1) * sizeof *exprs);
    struct kp_expr ***slots = kp_arena_calloc(binder->arena, (width + 1) * sizeof *slots);
    struct expr_place place = {.scope = &scope, .clause = "UPDATE", .subs = &subs};
    for (uint32_t k = 0; k < keys; k++)
        exprs[k] = column_of(binder, relation, relation->keys[k]);
    KP_TRY(kp_write_assignments(binder, relation, 0, update->target_list, update->n_target_list, &place, exprs + keys));
    for (uint32_t i = 0; i < width; i++) {
        if (!exprs[keys + i])
            exprs[keys + i] = column_of(binder, relation, i);
        slots[i] = &exprs[keys + i];
    }
    KP_TRY(kp_subs_apply(binder, &subs, slots, width, &write->plan));
    if (update->n_returning_list)
        take_extras(write, &scope, exprs, &count);
    write->plan = kp_bind_project(binder, write->plan, exprs, NULL, count);
    kp_write_name_row(write->plan, relation, keys);
    return kp_write_returning(write, update->returning_list, update->n_returning_list);
}

enum kp_code kp_write_delete(struct write *write, const PgQuery__DeleteStmt *delete)
{
    struct binder *binder = write->binder;
    struct scope scope = {0};
    KP_TRY(kp_write_target(write, delete->relation, "delete from", true));
    const struct kp_relation *relation = write->relation;
    KP_TRY(
        bind_rows(write, delete->relation, delete->using_clause, delete->n_using_clause, delete->where_clause, &scope));
    uint32_t width = kp_write_width(relation), count = 0;
    struct kp_expr **exprs =
        kp_arena_calloc(binder->arena, (relation->key_count + width + scope.count + 1) * sizeof *exprs);
    for (uint32_t k = 0; k < relation->key_count; k++)
        exprs[count++] = column_of(binder, relation, relation->keys[k]);
    for (uint32_t i = 0; delete->n_returning_list && i < width; i++)
        exprs[count++] = column_of(binder, relation, i);
    if (delete->n_returning_list)
        take_extras(write, &scope, exprs, &count);
    write->plan = kp_bind_project(binder, write->plan, exprs, NULL, count);
    return kp_write_returning(write, delete->returning_list, delete->n_returning_list);
}
