/*
 * INSERT: VALUES, a query, DEFAULT VALUES; as a plan that yields whole rows in the relation's order of columns.
 *
 * VALUES without subqueries is one node of constants. With subqueries each row is a plan of its own, joined with what
 * its subqueries yield, and the rows are put into the order written. A query keeps its ORDER BY: rows are written in
 * that order.
 */
#include "sql/sequence.h"
#include "sql/write.h"

enum kp_code kp_write_insert_columns(struct binder *binder, const struct kp_relation *relation,
                                     PgQuery__Node *const *cols, size_t col_count, uint32_t **ret_columns,
                                     uint32_t *ret_count)
{
    uint32_t count = col_count ? (uint32_t)col_count : kp_write_width(relation);
    uint32_t *columns = kp_arena_calloc(binder->arena, (count + 1) * sizeof *columns);
    const PgQuery__ResTarget **taken = kp_arena_calloc(binder->arena, (relation->col_count + 1) * sizeof *taken);
    for (uint32_t i = 0; i < count; i++) {
        columns[i] = i;
        if (!col_count)
            continue;
        const PgQuery__ResTarget *target = cols[i]->res_target;
        KP_TRY(kp_write_column(binder, relation, target->name, target->location, &columns[i]));
        const PgQuery__ResTarget *before = taken[columns[i]];
        if (before && !(before->n_indirection && target->n_indirection))
            return kp_bind_fail(binder, target->location, KP_INVALID, "42701", "column \"%s\" specified more than once",
                                target->name);
        taken[columns[i]] = target;
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

/* A value for a column, or for the part of it that the list names. OVERRIDING USER VALUE leaves it out. */
static enum kp_code put_value(struct binder *binder, const struct kp_relation *relation, const struct expr_place *place,
                              const PgQuery__Node *listed, PgQuery__OverridingKind overriding, struct kp_expr *value,
                              uint32_t column, struct kp_expr **cells)
{
    const struct kp_sequence *sequence = kp_relation_sequence(relation, column);
    if (sequence && sequence->identity && overriding == PG_QUERY__OVERRIDING_KIND__OVERRIDING_USER_VALUE)
        return KP_OK;
    if (sequence && sequence->always && overriding != PG_QUERY__OVERRIDING_KIND__OVERRIDING_SYSTEM_VALUE)
        return kp_bind_always(binder, relation, column, false);
    if (!listed || !listed->res_target->n_indirection)
        return kp_write_assign(binder, relation, value, column, &cells[column]);
    struct kp_expr *whole = cells[column] ? cells[column] : kp_bind_null(binder, relation->cols[column].type);
    return kp_write_assign_part(binder, place, listed->res_target, whole, value, &cells[column]);
}

/* What was not given; and a domain of the whole holds when all its parts are set. */
static enum kp_code finish_row(struct binder *binder, const struct kp_relation *relation, PgQuery__Node *const *list,
                               size_t listed, const uint32_t *columns, struct kp_expr **cells)
{
    for (size_t i = 0; list && i < listed; i++)
        if (list[i]->res_target->n_indirection && relation->domains && relation->domains[columns[i]])
            KP_TRY(kp_write_assign(binder, relation, cells[columns[i]], columns[i], &cells[columns[i]]));
    for (uint32_t i = 0; i < kp_write_width(relation); i++)
        if (!cells[i])
            KP_TRY(kp_write_assign(binder, relation, kp_write_default(binder, relation, i), i, &cells[i]));
    return KP_OK;
}

enum kp_code kp_write_insert_row(struct binder *binder, const struct kp_relation *relation,
                                 const struct expr_place *place, PgQuery__Node *const *items, size_t count,
                                 PgQuery__Node *const *list, PgQuery__OverridingKind overriding,
                                 const uint32_t *columns, struct kp_expr **cells)
{
    for (uint32_t i = 0; i < kp_write_width(relation); i++)
        cells[i] = NULL;
    for (size_t i = 0; i < count; i++) {
        bool otherwise = items[i]->node_case == PG_QUERY__NODE__NODE_SET_TO_DEFAULT;
        if (otherwise && list && list[i]->res_target->n_indirection)
            return kp_bind_fail(binder, kp_tree_location(list[i]), KP_UNSUPPORTED, NULL,
                                "a part of column \"%s\" cannot be set to DEFAULT", list[i]->res_target->name);
        if (otherwise)
            continue;
        struct kp_expr *expr;
        KP_TRY(kp_bind_expr(binder, place, items[i], &expr));
        KP_TRY(put_value(binder, relation, place, list ? list[i] : NULL, overriding, expr, columns[i], cells));
    }
    return finish_row(binder, relation, list, count, columns, cells);
}

/* ---- VALUES ---- */

/* One row whose values are subqueries', or beside ones: the row of no columns, joined with them. Its last column is its
 * number. */
static enum kp_code row_with_subs(struct binder *binder, const struct kp_relation *relation, struct sub_list *subs,
                                  struct kp_expr **cells, uint32_t number, struct kp_plan **ret_plan)
{
    uint32_t width = kp_write_width(relation);
    struct kp_plan *plan = kp_bind_node(binder, KP_PLAN_VALUES, -1, 0, 0);
    plan->values.rows = 1;
    struct kp_expr **exprs = kp_arena_calloc(binder->arena, (width + 1) * sizeof *exprs);
    struct kp_expr ***slots = kp_arena_calloc(binder->arena, (width + 1) * sizeof *slots);
    for (uint32_t i = 0; i < width; i++) {
        exprs[i] = cells[i];
        slots[i] = &exprs[i];
    }
    KP_TRY(kp_subs_apply(binder, subs, slots, width, &plan));
    exprs[width] = kp_bind_new(binder, KP_EXPR_CONST, KP_TYPE(KP_INT8), -1, 0);
    exprs[width]->datum = (struct kp_datum){.type = KP_TYPE(KP_INT8), .i64 = number};
    *ret_plan = kp_bind_project(binder, plan, exprs, NULL, width + 1);
    kp_write_name_row(*ret_plan, relation, 0);
    (*ret_plan)->cols[width] = (struct kp_column){"number", KP_TYPE(KP_INT8), true};
    return KP_OK;
}

static enum kp_code rows_with_subs(struct binder *binder, const struct kp_relation *relation, struct sub_list *subs,
                                   struct kp_expr **cells, uint32_t rows, struct kp_plan **ret_plan)
{
    uint32_t width = kp_write_width(relation);
    struct kp_plan *all = kp_bind_node(binder, KP_PLAN_UNION, -1, width + 1, rows);
    for (uint32_t r = 0; r < rows; r++)
        KP_TRY(row_with_subs(binder, relation, &subs[r], cells + (size_t)r * width, r, &all->inputs[r]));
    memcpy(all->cols, all->inputs[0]->cols, (width + 1) * sizeof *all->cols);
    struct kp_plan *sort = kp_write_sort(binder, rows == 1 ? all->inputs[0] : all, width);
    *ret_plan = kp_bind_first_columns(binder, sort, width);
    return KP_OK;
}

/* The only row, as often as the set-returning functions in it make one. */
static enum kp_code row_with_sets(struct binder *binder, const struct kp_relation *relation, struct sub_list *subs,
                                  struct set_list *sets, struct kp_expr **cells, struct kp_plan **ret_plan)
{
    uint32_t width = kp_write_width(relation), arg_count = 0, slot_count = 0;
    struct kp_plan *plan = kp_bind_node(binder, KP_PLAN_VALUES, -1, 0, 0);
    plan->values.rows = 1;
    for (uint32_t c = 0; c < sets->call_count; c++)
        arg_count += sets->calls[c].arg_count;
    struct kp_expr ***slots = kp_arena_calloc(binder->arena, (width + arg_count + 1) * sizeof *slots);
    for (uint32_t i = 0; i < width; i++)
        slots[slot_count++] = &cells[i];
    for (uint32_t c = 0; c < sets->call_count; c++)
        for (uint32_t a = 0; a < sets->calls[c].arg_count; a++)
            slots[slot_count++] = &sets->calls[c].args[a];
    KP_TRY(kp_subs_apply(binder, subs, slots, slot_count, &plan));
    kp_sets_apply(binder, sets, slots, width, &plan);
    *ret_plan = kp_bind_project(binder, plan, cells, NULL, width);
    kp_write_name_row(*ret_plan, relation, 0);
    return KP_OK;
}

static enum kp_code insert_values(struct binder *binder, const struct kp_relation *relation,
                                  const PgQuery__InsertStmt *insert, const uint32_t *columns, uint32_t listed,
                                  struct kp_plan **ret_plan)
{
    static const struct scope nothing;
    const PgQuery__SelectStmt *select = insert->select_stmt->select_stmt;
    uint32_t rows = (uint32_t)select->n_values_lists, width = kp_write_width(relation);
    struct kp_plan *plan = kp_bind_node(binder, KP_PLAN_VALUES, -1, width, 0);
    struct sub_list *subs = kp_arena_calloc(binder->arena, rows * sizeof *subs);
    struct set_list sets = {0};
    bool any_subs = false;
    plan->values.rows = rows;
    plan->values.exprs = kp_arena_calloc(binder->arena, (size_t)rows * width * sizeof(struct kp_expr *));
    for (uint32_t r = 0; r < rows; r++) {
        const PgQuery__List *row = select->values_lists[r]->list;
        struct expr_place place = {
            .scope = &nothing, .clause = "VALUES", .subs = &subs[r], .sets = rows == 1 ? &sets : NULL};
        if (row->n_items != select->values_lists[0]->list->n_items)
            return kp_bind_fail(binder, row->n_items ? kp_tree_location(row->items[0]) : -1, KP_INVALID, "42601",
                                "VALUES lists must all be the same length");
        uint32_t have = (uint32_t)row->n_items;
        KP_TRY(check_width(binder, insert, have, listed, have > listed ? kp_tree_location(row->items[listed]) : -1));
        KP_TRY(kp_write_insert_row(binder, relation, &place, row->items, row->n_items,
                                   insert->n_cols ? insert->cols : NULL, insert->override, columns,
                                   plan->values.exprs + (size_t)r * width));
        any_subs |= subs[r].count > 0;
    }
    if (sets.call_count)
        return row_with_sets(binder, relation, subs, &sets, plan->values.exprs, ret_plan);
    if (any_subs)
        return rows_with_subs(binder, relation, subs, plan->values.exprs, rows, ret_plan);
    kp_write_name_row(plan, relation, 0);
    *ret_plan = plan;
    return KP_OK;
}

/* ---- a query ---- */

static enum kp_code insert_query(struct binder *binder, const struct kp_relation *relation,
                                 const PgQuery__InsertStmt *insert, const uint32_t *columns, uint32_t listed,
                                 struct kp_plan **ret_plan)
{
    static const struct scope nothing;
    struct expr_place place = {.scope = &nothing, .clause = "INSERT"};
    PgQuery__Node *const *list = insert->n_cols ? insert->cols : NULL;
    struct kp_plan *input = NULL;
    uint32_t have = 0, width = kp_write_width(relation);
    if (insert->select_stmt) {
        binder->keep_unknown = true;
        KP_TRY(kp_bind_select(binder, insert->select_stmt->select_stmt, true, &input, &have));
        KP_TRY(check_width(binder, insert, have, listed, -1));
    } else { /* DEFAULT VALUES */
        input = kp_bind_node(binder, KP_PLAN_VALUES, -1, 0, 0);
        input->values.rows = 1;
    }
    const struct kp_plan *named = input; /* where literals of unknown type still are what was written */
    while (named->kind == KP_PLAN_SORT || named->kind == KP_PLAN_TOPN)
        named = named->inputs[0];
    struct kp_expr **exprs = kp_arena_calloc(binder->arena, (width + 1) * sizeof *exprs);
    for (uint32_t i = 0; i < have; i++) {
        bool literal = named->kind == KP_PLAN_PROJECT && input->cols[i].type.id == KP_UNKNOWN;
        int32_t location = named->kind == KP_PLAN_PROJECT ? named->project.exprs[i]->location : -1;
        struct kp_expr *expr =
            literal ? named->project.exprs[i] : kp_bind_column(binder, i, input->cols[i].type, location);
        KP_TRY(put_value(binder, relation, &place, list ? list[i] : NULL, insert->override, expr, columns[i], exprs));
    }
    KP_TRY(finish_row(binder, relation, list, have, columns, exprs));
    *ret_plan = kp_bind_project(binder, input, exprs, NULL, width);
    kp_write_name_row(*ret_plan, relation, 0);
    return KP_OK;
}

enum kp_code kp_write_insert(struct write *write, const PgQuery__InsertStmt *insert)
{
    struct binder *binder = write->binder;
    uint32_t *columns = NULL, listed = 0;
    KP_TRY(kp_write_target(write, insert->relation, "insert into", false));
    KP_TRY(kp_write_insert_columns(binder, write->relation, insert->cols, insert->n_cols, &columns, &listed));
    const PgQuery__SelectStmt *select = insert->select_stmt ? insert->select_stmt->select_stmt : NULL;
    bool values = select && select->n_values_lists && !select->limit_count && !select->limit_offset &&
                  !select->n_sort_clause && !select->with_clause;
    if (values)
        KP_TRY(insert_values(binder, write->relation, insert, columns, listed, &write->plan));
    else
        KP_TRY(insert_query(binder, write->relation, insert, columns, listed, &write->plan));
    if (insert->on_conflict_clause)
        KP_TRY(kp_write_conflict(write, insert->on_conflict_clause));
    return kp_write_returning(write, insert->returning_list, insert->n_returning_list);
}
