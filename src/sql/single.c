/*
 * Plans that yield at most one row where some of their columns are known: because these fix a unique key of everything
 * that is read, because there are no groups, because of a limit. A scalar subquery of that kind is a left join.
 */
#include "sql/bind.h"

static bool single(struct binder *binder, const struct kp_plan *plan, bool *fixed);

const struct kp_expr *kp_below_cast(const struct kp_expr *expr)
{
    if (expr->kind != KP_EXPR_CALL || expr->func->kind != KP_FUNC_CAST || expr->arg_count != 1)
        return expr;
    enum kp_type_id from = expr->args[0]->type.id, to = expr->type.id;
    bool keeps = (to == KP_TEXT && (from == KP_VARCHAR || from == KP_NAME)) ||
                 (to == KP_INT8 && (from == KP_INT4 || from == KP_INT2)) || (to == KP_INT4 && from == KP_INT2);
    return keeps ? expr->args[0] : expr;
}

static bool is_own_column(const struct kp_expr *expr)
{
    return expr->kind == KP_EXPR_COLUMN && !kp_is_outer(expr->column);
}

static bool is_fixed(const struct kp_expr *expr, void *arg)
{
    return !is_own_column(expr) || ((const bool *)arg)[expr->column];
}

static bool single_scan(const struct kp_plan *plan, const bool *fixed)
{
    const struct kp_relation *relation = plan->scan.relation;
    uint32_t found = 0;
    for (uint32_t i = 0; i < plan->col_count; i++) {
        if (fixed[i] && relation->also_unique && plan->scan.columns[i] == (uint32_t)relation->also_unique - 1)
            return true;
        for (uint32_t k = 0; fixed[i] && k < relation->key_count; k++)
            found += relation->keys[k] == plan->scan.columns[i];
    }
    return relation->key_count && found == relation->key_count;
}

static bool single_filter(struct binder *binder, const struct kp_plan *plan, bool *fixed)
{
    struct conjuncts all = {0};
    kp_conjuncts_add(binder, &all, plan->filter.predicate);
    for (bool more = true; more;) {
        more = false;
        for (uint32_t i = 0; i < all.count; i++) {
            const struct kp_expr *condition = all.exprs[i];
            if (condition->kind != KP_EXPR_CALL || condition->arg_count != 2 || strcmp(condition->func->name, "=") != 0)
                continue;
            for (uint32_t side = 0; side < 2; side++) {
                const struct kp_expr *column = kp_below_cast(condition->args[side]);
                if (!is_own_column(column) || fixed[column->column] ||
                    !kp_expr_walk(condition->args[1 - side], is_fixed, fixed))
                    continue;
                fixed[column->column] = more = true;
            }
        }
    }
    return single(binder, plan->inputs[0], fixed);
}

static bool single_project(struct binder *binder, const struct kp_plan *plan, struct kp_expr *const *exprs,
                           uint32_t count, const bool *fixed)
{
    bool *below = kp_arena_calloc(binder->arena, plan->inputs[0]->col_count + 1);
    for (uint32_t i = 0; i < count; i++) {
        const struct kp_expr *column = kp_below_cast(exprs[i]);
        if (fixed[i] && is_own_column(column))
            below[column->column] = true;
    }
    return single(binder, plan->inputs[0], below);
}

static bool single_aggregate(struct binder *binder, const struct kp_plan *plan, const bool *fixed)
{
    uint32_t groups = plan->aggregate.group_count, found = 0;
    for (uint32_t i = 0; i < groups; i++)
        found += fixed[i];
    return found == groups || single_project(binder, plan, plan->aggregate.groups, groups, fixed);
}

/* A column of one side is fixed by the key that equals it. */
static void fix_by_keys(struct kp_expr *const *from, bool *from_fixed, struct kp_expr *const *to, bool *to_fixed,
                        uint32_t count)
{
    for (uint32_t k = 0; k < count; k++) {
        const struct kp_expr *column = kp_below_cast(to[k]);
        if (is_own_column(column) && kp_expr_walk(from[k], is_fixed, from_fixed))
            to_fixed[column->column] = true;
    }
}

static bool single_join(struct binder *binder, const struct kp_plan *plan, const bool *fixed)
{
    uint32_t counts[2] = {plan->inputs[0]->col_count, plan->inputs[1]->col_count};
    bool *sides[2], one[2] = {false, false};
    struct kp_expr *const *keys[2] = {plan->join.left_keys, plan->join.right_keys};
    bool both = plan->join.kind == KP_JOIN_INNER || plan->join.kind == KP_JOIN_LEFT;
    for (int s = 0; s < 2; s++)
        sides[s] = kp_arena_calloc(binder->arena, counts[s] + 1);
    memcpy(sides[0], fixed, counts[0]);
    if (plan->join.kind == KP_JOIN_SEMI || plan->join.kind == KP_JOIN_ANTI)
        return single(binder, plan->inputs[0], sides[0]);
    if (!both)
        return false;
    if (plan->join.kind == KP_JOIN_INNER)
        memcpy(sides[1], fixed + counts[0], counts[1]);
    for (int round = 0; round < 2; round++) {
        for (int s = 0; s < 2; s++) {
            if (one[s] || !single(binder, plan->inputs[s], sides[s]))
                continue;
            one[s] = true;
            memset(sides[s], true, counts[s]);
        }
        fix_by_keys(keys[0], sides[0], keys[1], sides[1], plan->join.key_count);
        if (plan->join.kind == KP_JOIN_INNER)
            fix_by_keys(keys[1], sides[1], keys[0], sides[0], plan->join.key_count);
    }
    for (int s = 0; s < 2; s++)
        one[s] = one[s] || single(binder, plan->inputs[s], sides[s]);
    return one[0] && one[1];
}

/* fixed may be changed. */
static bool single(struct binder *binder, const struct kp_plan *plan, bool *fixed)
{
    switch (plan->kind) {
    case KP_PLAN_SCAN:
        return single_scan(plan, fixed);
    case KP_PLAN_VALUES:
        return plan->values.rows <= 1;
    case KP_PLAN_FILTER:
        return single_filter(binder, plan, fixed);
    case KP_PLAN_PROJECT:
        return single_project(binder, plan, plan->project.exprs, plan->col_count, fixed);
    case KP_PLAN_AGGREGATE:
        return single_aggregate(binder, plan, fixed);
    case KP_PLAN_JOIN:
        return single_join(binder, plan, fixed);
    case KP_PLAN_TOPN: {
        const struct kp_expr *limit = plan->topn.limit;
        bool one = limit && limit->kind == KP_EXPR_CONST && limit->datum.i64 <= 1;
        return one || single(binder, plan->inputs[0], fixed);
    }
    case KP_PLAN_OVER:
    case KP_PLAN_EMIT:
    case KP_PLAN_SORT:
        return single(binder, plan->inputs[0], fixed);
    default:
        return false;
    }
}

bool kp_plan_is_single(struct binder *binder, const struct kp_plan *plan, const bool *fixed)
{
    bool *own = kp_arena_calloc(binder->arena, plan->col_count + 1);
    if (fixed)
        memcpy(own, fixed, plan->col_count);
    return single(binder, plan, own);
}
