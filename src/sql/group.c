/*
 * GROUP BY. Expressions of the select list, HAVING and ORDER BY are bound over the input first; then each is rewritten
 * to stand above the aggregate: a part that equals a group is that group's column, an aggregate is its column, and a
 * column of the input that is left over is error 42803.
 */
#include "sql/bind.h"

static enum kp_code position_group(struct binder *binder, const PgQuery__AConst *node, const struct targets *targets,
                                   struct kp_expr **ret_expr)
{
    int32_t position = node->ival->ival;
    if (position < 1 || (uint32_t)position > targets->count)
        return kp_bind_fail(binder, node->location, KP_INVALID, "42P10", "GROUP BY position %d is not in select list",
                            position);
    *ret_expr = targets->items[position - 1].expr;
    return KP_OK;
}

static bool has_aggregate(const struct kp_expr *expr, void *arg)
{
    return !(expr->kind == KP_EXPR_COLUMN && expr->column >= KP_AGG_BASE && expr->column < KP_OVER_BASE);
}

/* A bare name: the input's column first, else an output column's name. */
static bool output_name(const PgQuery__Node *node, const struct expr_place *place, const struct targets *targets,
                        struct kp_expr **ret_expr)
{
    if (node->node_case != PG_QUERY__NODE__NODE_COLUMN_REF || node->column_ref->n_fields != 1 ||
        node->column_ref->fields[0]->node_case != PG_QUERY__NODE__NODE_STRING)
        return false;
    const char *name = node->column_ref->fields[0]->string->sval;
    bool ambiguous;
    if (kp_scope_lookup(place->scope, NULL, name, &ambiguous))
        return false;
    for (uint32_t i = 0; i < targets->count; i++) {
        if (strcmp(targets->items[i].name, name) == 0) {
            *ret_expr = targets->items[i].expr;
            return true;
        }
    }
    return false;
}

static enum kp_code bind_group(struct binder *binder, const PgQuery__Node *node, const struct expr_place *place,
                               const struct targets *targets, struct kp_expr **ret_expr)
{
    if (node->node_case == PG_QUERY__NODE__NODE_GROUPING_SET)
        return kp_bind_fail(binder, node->grouping_set->location, KP_UNSUPPORTED, NULL,
                            "GROUPING SETS, ROLLUP and CUBE are not supported");
    if (node->node_case == PG_QUERY__NODE__NODE_A_CONST && node->a_const->val_case == PG_QUERY__A__CONST__VAL_IVAL)
        KP_TRY(position_group(binder, node->a_const, targets, ret_expr));
    else if (!output_name(node, place, targets, ret_expr))
        KP_TRY(kp_bind_expr(binder, place, node, ret_expr));
    if (!kp_expr_walk(*ret_expr, has_aggregate, NULL))
        return kp_bind_fail(binder, kp_tree_location(node), KP_INVALID, "42803",
                            "aggregate functions are not allowed in GROUP BY");
    return kp_bind_settle_unknown(binder, *ret_expr, ret_expr);
}

enum kp_code kp_bind_groups(struct binder *binder, const PgQuery__SelectStmt *select, const struct expr_place *place,
                            const struct targets *targets, struct grouping *grouping)
{
    struct expr_place inside = *place;
    inside.aggs = NULL;
    inside.clause = "GROUP BY";
    grouping->groups = kp_arena_calloc(binder->arena, (select->n_group_clause + 1) * sizeof(struct kp_expr *));
    for (size_t i = 0; i < select->n_group_clause; i++) {
        struct kp_expr *group;
        KP_TRY(bind_group(binder, select->group_clause[i], &inside, targets, &group));
        bool known = false;
        for (uint32_t g = 0; g < grouping->count; g++)
            known |= kp_expr_equal(grouping->groups[g], group);
        if (!known)
            grouping->groups[grouping->count++] = group;
    }
    return KP_OK;
}

struct above {
    struct binder *binder;
    const struct grouping *grouping;
    const struct kp_expr *stray; /* the first column that is in no group */
};

static struct kp_expr *rewrite(const struct kp_expr *expr, struct kp_arena *arena, void *arg)
{
    struct above *above = arg;
    const struct grouping *grouping = above->grouping;
    for (uint32_t g = 0; g < grouping->count; g++)
        if (kp_expr_equal(grouping->groups[g], expr) ||
            (grouping->written && kp_expr_equal(grouping->written[g], expr)))
            return kp_bind_column(above->binder, g, expr->type, expr->location);
    if (expr->kind != KP_EXPR_COLUMN)
        return NULL;
    if (expr->column >= KP_OVER_BASE) /* its own expressions are rewritten apart */
        return NULL;
    if (expr->column >= KP_SUB_BASE && expr->column < KP_AGG_BASE) /* of a query around, or of a subquery */
        return NULL;
    if (expr->column >= KP_AGG_BASE)
        return kp_bind_column(above->binder, grouping->count + expr->column - KP_AGG_BASE, expr->type, expr->location);
    if (!above->stray)
        above->stray = expr;
    return NULL;
}

enum kp_code kp_bind_above_groups(struct binder *binder, const struct grouping *grouping, struct kp_expr *expr,
                                  struct kp_expr **ret_expr)
{
    struct above above = {binder, grouping, NULL};
    struct kp_expr *result = kp_expr_copy(expr, binder->arena, rewrite, &above);
    if (above.stray) {
        const char *relation = NULL, *name = "?";
        for (uint32_t i = 0; i < grouping->scope->count; i++) {
            if (grouping->scope->cols[i].index == above.stray->column) {
                relation = grouping->scope->cols[i].relation;
                name = grouping->scope->cols[i].name;
            }
        }
        return kp_bind_fail(binder, above.stray->location, KP_INVALID, "42803",
                            "column \"%s%s%s\" must appear in the GROUP BY clause or be used in an aggregate function",
                            relation ? relation : "", relation ? "." : "", name);
    }
    *ret_expr = result;
    return KP_OK;
}
