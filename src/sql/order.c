/*
 * ORDER BY, LIMIT, OFFSET. Keys are columns of the projection; an expression that is not in the select list is added
 * behind it and dropped above.
 *
 * A view's LIMIT is a live top-N: it needs an order, since otherwise which rows it holds would be an accident. The
 * order of a whole result is no part of a view; an ad-hoc query keeps it in a SORT at its root.
 */
#include "sql/bind.h"

static enum kp_code position_key(struct binder *binder, const PgQuery__AConst *node, const char *clause,
                                 uint32_t visible, uint32_t *ret_column)
{
    int32_t position = node->ival->ival;
    if (position < 1 || (uint32_t)position > visible)
        return kp_bind_fail(binder, node->location, KP_INVALID, "42P10", "%s position %d is not in select list", clause,
                            position);
    *ret_column = (uint32_t)position - 1;
    return KP_OK;
}

/* A bare name is an output column first. */
static bool named_key(const PgQuery__Node *node, const struct targets *targets, uint32_t visible, uint32_t *ret_column,
                      bool *ret_ambiguous)
{
    *ret_ambiguous = false;
    if (node->node_case != PG_QUERY__NODE__NODE_COLUMN_REF || node->column_ref->n_fields != 1 ||
        node->column_ref->fields[0]->node_case != PG_QUERY__NODE__NODE_STRING)
        return false;
    const char *name = node->column_ref->fields[0]->string->sval;
    bool found = false;
    for (uint32_t i = 0; i < visible; i++) {
        if (strcmp(targets->items[i].name, name) != 0)
            continue;
        *ret_ambiguous |= found && !kp_expr_equal(targets->items[*ret_column].expr, targets->items[i].expr);
        if (!found)
            *ret_column = i;
        found = true;
    }
    return found;
}

static enum kp_code expr_key(struct binder *binder, const PgQuery__Node *node, const char *clause,
                             const struct expr_place *place, struct targets *targets, bool distinct,
                             uint32_t *ret_column)
{
    struct kp_expr *expr;
    struct expr_place inside = *place;
    inside.clause = clause;
    KP_TRY(kp_bind_expr(binder, &inside, node, &expr));
    KP_TRY(kp_bind_settle_unknown(binder, expr, &expr));
    for (uint32_t i = 0; i < targets->count; i++) {
        if (kp_expr_equal(targets->items[i].expr, expr)) {
            *ret_column = i;
            return KP_OK;
        }
    }
    if (distinct)
        return kp_bind_fail(binder, kp_tree_location(node), KP_INVALID, "42P10",
                            "for SELECT DISTINCT, ORDER BY expressions must appear in select list");
    *ret_column = targets->count;
    kp_targets_add(binder, targets, (struct target){expr, kp_bind_output_name(node), node});
    return KP_OK;
}

enum kp_code kp_bind_order_column(struct binder *binder, const PgQuery__Node *node, const char *clause,
                                  const struct expr_place *place, struct targets *targets, uint32_t visible,
                                  bool distinct, uint32_t *ret_column)
{
    bool ambiguous;
    if (node->node_case == PG_QUERY__NODE__NODE_A_CONST && node->a_const->val_case == PG_QUERY__A__CONST__VAL_IVAL)
        return position_key(binder, node->a_const, clause, visible, ret_column);
    if (node->node_case == PG_QUERY__NODE__NODE_A_CONST)
        return kp_bind_fail(binder, kp_tree_location(node), KP_INVALID, "42601", "non-integer constant in %s", clause);
    if (!named_key(node, targets, visible, ret_column, &ambiguous))
        return expr_key(binder, node, clause, place, targets, distinct, ret_column);
    if (ambiguous)
        return kp_bind_fail(binder, kp_tree_location(node), KP_INVALID, "42702", "%s \"%s\" is ambiguous", clause,
                            node->column_ref->fields[0]->string->sval);
    return KP_OK;
}

enum kp_code kp_bind_order(struct binder *binder, const PgQuery__SelectStmt *select, const struct expr_place *place,
                           struct targets *targets, bool distinct, struct order *ret_order)
{
    uint32_t visible = targets->count;
    struct order order = {.keys = kp_arena_calloc(binder->arena, (select->n_sort_clause + 1) * sizeof *order.keys)};
    for (size_t i = 0; i < select->n_sort_clause; i++) {
        const PgQuery__SortBy *by = select->sort_clause[i]->sort_by;
        const PgQuery__Node *node = by->node;
        struct kp_sort_key *key = &order.keys[order.count];
        const char *using = by->n_use_op ? by->use_op[by->n_use_op - 1]->string->sval : NULL; /* < and > alone order */
        if (using && strcmp(using, "<") != 0 && strcmp(using, ">") != 0) {
            kp_bind_fail(binder, by->location, KP_INVALID, "42809", "operator %s is not a valid ordering operator",
                         using);
            return kp_error_hint(binder->err,
                                 "Ordering operators must be \"<\" or \">\" members of btree operator families.");
        }
        KP_TRY(kp_bind_order_column(binder, node, "ORDER BY", place, targets, visible, distinct, &key->column));
        KP_TRY(kp_bind_must_compare(binder, targets->items[key->column].expr->type.id, "ordering",
                                    kp_tree_location(node)));
        key->descending = by->sortby_dir == PG_QUERY__SORT_BY_DIR__SORTBY_DESC || (using && using[0] == '>');
        key->nulls_first = by->sortby_nulls == PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_FIRST ||
                           (key->descending && by->sortby_nulls != PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_LAST);
        bool known = false; /* a later key on the same column never decides */
        for (uint32_t k = 0; k < order.count; k++)
            known |= order.keys[k].column == key->column;
        order.count += !known;
    }
    *ret_order = order;
    return KP_OK;
}

static bool is_no_column(const struct kp_expr *expr, void *arg)
{
    return expr->kind != KP_EXPR_COLUMN;
}

/* LIMIT and OFFSET: a bigint that is not negative, of nothing in the rows; LIMIT NULL and ALL are none. */
static enum kp_code bind_count(struct binder *binder, const PgQuery__Node *node, const char *what,
                               const struct scope *scope, struct sub_list *subs, struct kp_expr **ret_expr)
{
    struct scope unread = {.outer = binder->around, .no_columns = what};
    struct expr_place place = {.scope = &unread, .clause = what, .subs = subs};
    struct kp_expr *expr;
    *ret_expr = NULL;
    if (!node)
        return KP_OK;
    int32_t location = kp_tree_location(node);
    unread.cols = scope ? scope->cols : NULL;
    unread.count = scope ? scope->count : 0;
    KP_TRY(kp_bind_expr(binder, &place, node, &expr));
    if (expr->kind == KP_EXPR_CONST && expr->datum.null)
        return KP_OK;
    if (!kp_can_coerce(expr->type.id, KP_INT8, COERCE_ASSIGNMENT))
        return kp_bind_fail(binder, location, KP_INVALID, "42804", "argument of %s must be type bigint, not type %s",
                            what, kp_type_info(expr->type.id)->name);
    KP_TRY(kp_bind_coerce(binder, expr, KP_TYPE(KP_INT8), COERCE_ASSIGNMENT, &expr));
    if (expr->kind == KP_EXPR_CONST && expr->datum.i64 < 0)
        return kp_bind_fail(binder, location, KP_INVALID, strcmp(what, "LIMIT") == 0 ? "2201W" : "2201X",
                            "%s must not be negative", what);
    *ret_expr = expr;
    return KP_OK;
}

static bool is_constant(const struct kp_expr *expr)
{
    return !expr || kp_expr_walk(expr, is_no_column, NULL);
}

static struct kp_plan *sort_node(struct binder *binder, enum kp_plan_kind kind, struct kp_plan *input,
                                 const struct order *order)
{
    struct kp_plan *plan = kp_bind_node(binder, kind, input->location, input->col_count, 1);
    plan->inputs[0] = input;
    memcpy(plan->cols, input->cols, input->col_count * sizeof *plan->cols);
    plan->topn.keys = order->keys;
    plan->topn.key_count = order->count;
    return plan;
}

/* The limit and the offset, which must not be negative, as the columns of one row. */
static enum kp_code count_row(struct binder *binder, struct sub_list *subs, struct kp_expr *limit,
                              struct kp_expr *offset, struct kp_plan **ret_plan)
{
    struct kp_plan *row = kp_bind_node(binder, KP_PLAN_VALUES, -1, 0, 0);
    struct kp_expr **counts = kp_arena_calloc(binder->arena, 2 * sizeof *counts), **slots[2];
    static const char *const names[2] = {"limit", "offset"}, *const checks[2] = {"kp_limit_rows", "kp_offset_rows"};
    row->values.rows = 1;
    for (uint32_t i = 0; i < 2; i++) {
        struct kp_expr *given = i ? offset : limit;
        counts[i] = given ? given : kp_bind_null(binder, KP_TYPE(KP_INT8));
        slots[i] = &counts[i];
    }
    KP_TRY(kp_subs_apply(binder, subs, slots, 2, &row));
    for (uint32_t i = 0; i < 2; i++)
        KP_TRY(kp_bind_function(binder, checks[i], &counts[i], 1, -1, &counts[i]));
    *ret_plan = kp_bind_project(binder, row, counts, names, 2);
    return KP_OK;
}

/* LIMIT (SELECT …), or of a column of a query around: rows are numbered and compared with it. */
static enum kp_code limit_by_number(struct binder *binder, struct sub_list *subs, struct kp_expr *limit,
                                    struct kp_expr *offset, bool ties, const struct order *order, struct kp_plan **plan)
{
    struct kp_plan *input = *plan, *sort = sort_node(binder, KP_PLAN_TOPN, input, order), *counts;
    struct kp_expr *number, *last, *behind, *keep;
    KP_TRY(count_row(binder, subs, limit, offset, &counts));
    *plan = ties ? kp_topn_numbers(binder, sort) : kp_topn_by_partition(binder, sort, input, 0, NULL, 0);
    uint32_t numbered = (*plan)->col_count;
    *plan = kp_bind_join(binder, KP_JOIN_INNER, *plan, counts);
    number = kp_bind_column(binder, input->col_count, KP_TYPE(KP_INT8), -1);
    last = kp_bind_column(binder, numbered - 1, KP_TYPE(KP_INT8), -1); /* with ties the rank */
    struct kp_expr *skipped = kp_bind_column(binder, numbered + 1, KP_TYPE(KP_INT8), -1);
    KP_TRY(kp_bind_operator(binder, ">", number, skipped, -1, &keep));
    *plan = kp_bind_filter(binder, *plan, keep);
    KP_TRY(kp_bind_operator(binder, "-", last, skipped, -1, &behind));
    KP_TRY(kp_bind_operator(binder, "<=", behind, kp_bind_column(binder, numbered, KP_TYPE(KP_INT8), -1), -1, &keep));
    *plan = kp_bind_first_columns(binder, kp_bind_filter(binder, *plan, keep), input->col_count);
    return KP_OK;
}

enum kp_code kp_bind_order_plan(struct binder *binder, const PgQuery__SelectStmt *select, const struct scope *scope,
                                const struct order *order, bool root, struct kp_plan **plan)
{
    struct kp_expr *limit, *offset;
    struct sub_list subs = {0};
    KP_TRY(bind_count(binder, select->limit_count, "LIMIT", scope, &subs, &limit));
    KP_TRY(bind_count(binder, select->limit_offset, "OFFSET", scope, &subs, &offset));
    bool ties = select->limit_option == PG_QUERY__LIMIT_OPTION__LIMIT_OPTION_WITH_TIES;
    if (ties && !order->count)
        return kp_bind_fail(binder, kp_tree_location(select->limit_count), KP_INVALID, "42601",
                            "WITH TIES cannot be specified without ORDER BY clause");
    if ((limit || offset) && binder->for_view && !order->count) {
        kp_bind_fail(binder, kp_tree_location(limit ? select->limit_count : select->limit_offset), KP_UNSUPPORTED, NULL,
                     "%s without ORDER BY cannot be used in a view", limit ? "LIMIT" : "OFFSET");
        return kp_error_hint(binder->err, "Which rows remain would be an accident: say ORDER BY.");
    }
    if (!is_constant(limit) || !is_constant(offset)) {
        KP_TRY(limit_by_number(binder, &subs, limit, offset, ties && limit, order, plan));
    } else if (limit || offset) {
        *plan = sort_node(binder, KP_PLAN_TOPN, *plan, order);
        (*plan)->topn.limit = limit;
        (*plan)->topn.offset = offset;
        if (ties && limit)
            *plan = kp_topn_with_ties(binder, *plan);
    }
    if (root && order->count)
        *plan = sort_node(binder, KP_PLAN_SORT, *plan, order);
    return KP_OK;
}
