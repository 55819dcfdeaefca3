/*
 * Outer joins of which no row without a partner is left in the end become inner ones, or outer ones of one side only;
 * then FULL joins that are still there must be ones that PostgreSQL can run.
 *
 *   a LEFT JOIN b           b forced          → INNER
 *   a FULL JOIN b           a, b, both forced → LEFT, RIGHT, INNER
 *
 * A leaf (what is joined: a relation, a subquery that groups) is forced if rows in which all its columns are NULL reach
 * nobody: some condition cannot be true without a column of it, because only strict functions are above that
 * (PostgreSQL's find_nonnullable_rels). An inner join's conditions count for both sides, as do those around it; an
 * outer join's for the side that may be missing, and those around it for the other; a full join's for none. What was
 * above a join that has changed is pushed again.
 *
 * Leaves are numbered from left to right, in kp_plan.id until the plan is done: those of a node have numbers that
 * follow each other. Below a leaf it all begins anew.
 */
#include "sql/bind.h"
#include "sql/on_subs.h"
#include "vec/array.h"

#include <string.h>

/* ---- leaves ---- */

/* A node whose first columns are its first input's, or computed of them, row by row. */
static bool is_above_leaf(const struct kp_plan *plan)
{
    switch (plan->kind) {
    case KP_PLAN_FILTER:
    case KP_PLAN_PROJECT:
    case KP_PLAN_JOIN:
    case KP_PLAN_ASOF:
    case KP_PLAN_EXPAND:
    case KP_PLAN_WINDOW:
    case KP_PLAN_SORT:
        return true;
    default:
        return false;
    }
}

static uint32_t number_leaves(struct kp_plan *plan, uint32_t next)
{
    if (!is_above_leaf(plan)) {
        plan->id = next;
        return next + 1;
    }
    next = number_leaves(plan->inputs[0], next);
    return plan->kind == KP_PLAN_JOIN ? number_leaves(plan->inputs[1], next) : next;
}

static uint32_t first_leaf(const struct kp_plan *plan)
{
    while (is_above_leaf(plan))
        plan = plan->inputs[0];
    return plan->id;
}

static bool has_one_leaf(const struct kp_plan *plan)
{
    while (is_above_leaf(plan) && plan->kind != KP_PLAN_JOIN)
        plan = plan->inputs[0];
    return plan->kind != KP_PLAN_JOIN;
}

/* ---- what a condition forces ---- */

struct reducing {
    struct binder *binder;
    uint32_t leaf_count;
    bool changed; /* a join below has become another */
};

static void force(const struct reducing *reducing, const struct kp_plan *input, const struct kp_expr *expr, bool top,
                  bool negated, bool *forced);

static bool *no_leaves(const struct reducing *reducing)
{
    return kp_arena_calloc(reducing->binder->arena, reducing->leaf_count + 1);
}

static void force_column(const struct reducing *reducing, const struct kp_plan *plan, uint32_t column, bool *forced)
{
    while (is_above_leaf(plan) && plan->kind != KP_PLAN_PROJECT) {
        const struct kp_plan *input = plan->inputs[0];
        bool right = column >= input->col_count;
        if (right && plan->kind != KP_PLAN_JOIN)
            return; /* made there */
        column -= right ? input->col_count : 0;
        plan = plan->inputs[right];
    }
    if (plan->kind != KP_PLAN_PROJECT)
        forced[plan->id] = true;
    else if (has_one_leaf(plan)) /* whatever it is made of: it is missing with that leaf */
        forced[first_leaf(plan)] = true;
    else
        force(reducing, plan->inputs[0], plan->project.exprs[column], false, false, forced);
}

/* The leaves that each argument forces. */
static void force_common(const struct reducing *reducing, const struct kp_plan *input, const struct kp_expr *expr,
                         bool top, bool negated, bool *forced)
{
    bool *common = no_leaves(reducing), *one = no_leaves(reducing);
    memset(common, true, reducing->leaf_count);
    for (uint32_t i = 0; i < expr->arg_count; i++) {
        memset(one, false, reducing->leaf_count);
        force(reducing, input, expr->args[i], top, negated, one);
        for (uint32_t leaf = 0; leaf < reducing->leaf_count; leaf++)
            common[leaf] &= one[leaf];
    }
    for (uint32_t leaf = 0; leaf < reducing->leaf_count; leaf++)
        forced[leaf] |= common[leaf];
}

static bool never_empty(const struct kp_expr *array)
{
    struct kp_array elements = {0};
    if (array->kind == KP_EXPR_CONST && !array->datum.null)
        kp_array_read(array->type.id, &array->datum.text, &elements);
    return elements.count > 0;
}

/* How many arguments make the whole NULL if they are, or at least not true if that is all that counts. */
static uint32_t strict_args(const struct kp_expr *expr, bool top, bool negated)
{
    bool strict = kp_expr_calls(expr) && expr->func->flags & KP_STRICT;
    switch (expr->kind) {
    case KP_EXPR_CALL:
        return strict ? expr->arg_count : 0;
    case KP_EXPR_ANY:
        return strict && ((top && !negated) || never_empty(expr->args[1])) ? 2 : 0;
    case KP_EXPR_ALL:
        return strict && ((top && negated) || never_empty(expr->args[1])) ? 2 : 0;
    case KP_EXPR_IN:
    case KP_EXPR_ARRAY_COERCE:
        return 1;
    case KP_EXPR_IS_NULL:
    case KP_EXPR_IS_NOT_TRUE:
    case KP_EXPR_IS_NOT_FALSE:
        return top && negated ? 1 : 0;
    case KP_EXPR_IS_NOT_NULL:
    case KP_EXPR_IS_TRUE:
    case KP_EXPR_IS_FALSE:
        return top && !negated ? 1 : 0;
    default:
        return 0;
    }
}

/* top: it has to be true (negated: false), not only to be something. */
static void force(const struct reducing *reducing, const struct kp_plan *input, const struct kp_expr *expr, bool top,
                  bool negated, bool *forced)
{
    if (expr->kind == KP_EXPR_COLUMN) {
        if (expr->column < KP_SET_BASE)
            force_column(reducing, input, expr->column, forced);
    } else if (expr->kind == KP_EXPR_NOT) {
        force(reducing, input, expr->args[0], top, !negated, forced);
    } else if (expr->kind == KP_EXPR_AND || expr->kind == KP_EXPR_OR) {
        if (!top || (expr->kind == KP_EXPR_AND) == negated) {
            force_common(reducing, input, expr, top, negated, forced);
            return;
        }
        for (uint32_t i = 0; i < expr->arg_count; i++)
            force(reducing, input, expr->args[i], top, negated, forced);
    } else {
        for (uint32_t i = 0; i < strict_args(expr, top, negated); i++)
            force(reducing, input, expr->args[i], false, false, forced);
    }
}

/* ---- joins ---- */

static struct kp_plan *reduce(struct reducing *reducing, struct kp_plan *plan, const bool *forced);

static struct kp_plan *reduce_below(struct binder *binder, struct kp_plan *plan)
{
    struct reducing reducing = {.binder = binder, .leaf_count = number_leaves(plan, 0)};
    return reduce(&reducing, plan, no_leaves(&reducing));
}

static uint32_t count_leaves(const struct kp_plan *plan)
{
    while (is_above_leaf(plan) && plan->kind != KP_PLAN_JOIN)
        plan = plan->inputs[0];
    return plan->kind == KP_PLAN_JOIN ? count_leaves(plan->inputs[0]) + count_leaves(plan->inputs[1]) : 1;
}

static bool is_forced(const struct kp_plan *side, const bool *forced)
{
    return memchr(forced + first_leaf(side), true, count_leaves(side)) != NULL;
}

static enum kp_join_kind reduced_kind(const struct kp_plan *join, const bool *forced)
{
    enum kp_join_kind kind = join->join.kind;
    if (kind != KP_JOIN_LEFT && kind != KP_JOIN_RIGHT && kind != KP_JOIN_FULL)
        return kind;
    bool keeps_left = kind != KP_JOIN_RIGHT && !is_forced(join->inputs[1], forced);
    bool keeps_right = kind != KP_JOIN_LEFT && !is_forced(join->inputs[0], forced);
    if (keeps_left)
        return keeps_right ? KP_JOIN_FULL : KP_JOIN_LEFT;
    return keeps_right ? KP_JOIN_RIGHT : KP_JOIN_INNER;
}

/* Of its conditions more may go to a side or be a key now. */
static void change_kind(struct binder *binder, struct kp_plan *join, enum kp_join_kind kind)
{
    struct conjuncts conditions = {0};
    if (join->join.residual)
        kp_conjuncts_add(binder, &conditions, join->join.residual);
    join->join.kind = kind;
    join->join.residual = NULL;
    for (uint32_t i = 0; i < conditions.count; i++)
        kp_join_condition(binder, join, conditions.exprs[i]);
}

static bool *forced_by_join(const struct reducing *reducing, const struct kp_plan *join)
{
    bool *own = no_leaves(reducing);
    for (uint32_t i = 0; i < join->join.key_count; i++) {
        if (join->join.key_nulls && join->join.key_nulls[i])
            continue;
        force(reducing, join->inputs[0], join->join.left_keys[i], false, false, own);
        force(reducing, join->inputs[1], join->join.right_keys[i], false, false, own);
    }
    if (join->join.residual)
        force(reducing, join, join->join.residual, true, false, own);
    return own;
}

static struct kp_plan *reduce_join(struct reducing *reducing, struct kp_plan *join, const bool *forced)
{
    enum kp_join_kind kind = reduced_kind(join, forced);
    bool *own = forced_by_join(reducing, join), *none = no_leaves(reducing), *both = no_leaves(reducing);
    if (kind != join->join.kind) {
        change_kind(reducing->binder, join, kind);
        reducing->changed = true;
    }
    for (uint32_t leaf = 0; leaf < reducing->leaf_count; leaf++)
        both[leaf] = own[leaf] || forced[leaf];
    bool inner = kind == KP_JOIN_INNER || kind == KP_JOIN_SEMI, full = kind == KP_JOIN_FULL;
    bool misses_left = kind == KP_JOIN_RIGHT;
    const bool *left = inner ? both : full ? none : misses_left ? own : forced;
    const bool *right = inner ? both : full ? none : misses_left ? forced : own;
    join->inputs[0] = reduce(reducing, join->inputs[0], left);
    join->inputs[1] = reduce(reducing, join->inputs[1], right);
    return join;
}

/* ---- through the plan ---- */

static struct kp_plan *reduce_filter(struct reducing *around, struct kp_plan *plan, const bool *forced)
{
    struct reducing reducing = {.binder = around->binder, .leaf_count = around->leaf_count};
    bool *below = no_leaves(around);
    memcpy(below, forced, around->leaf_count);
    force(around, plan->inputs[0], plan->filter.predicate, true, false, below);
    plan->inputs[0] = reduce(&reducing, plan->inputs[0], below);
    if (!reducing.changed)
        return plan;
    around->changed = true;
    struct conjuncts conditions = {0};
    kp_conjuncts_add(around->binder, &conditions, plan->filter.predicate);
    return kp_push_all(around->binder, plan->inputs[0], &conditions);
}

static struct kp_plan *reduce(struct reducing *reducing, struct kp_plan *plan, const bool *forced)
{
    if (plan->kind == KP_PLAN_JOIN)
        return reduce_join(reducing, plan, forced);
    if (plan->kind == KP_PLAN_FILTER)
        return reduce_filter(reducing, plan, forced);
    for (uint32_t i = 0; i < plan->input_count; i++)
        plan->inputs[i] = i == 0 && is_above_leaf(plan) ? reduce(reducing, plan->inputs[i], forced)
                                                        : reduce_below(reducing->binder, plan->inputs[i]);
    return plan;
}

static bool any_outer(const struct kp_plan *plan)
{
    bool any = plan->kind == KP_PLAN_JOIN && plan->join.kind >= KP_JOIN_LEFT && plan->join.kind <= KP_JOIN_FULL;
    for (uint32_t i = 0; i < plan->input_count && !any; i++)
        any = any_outer(plan->inputs[i]);
    return any;
}

struct kp_plan *kp_reduce_joins(struct binder *binder, struct kp_plan *plan)
{
    return any_outer(plan) ? reduce_below(binder, plan) : plan;
}

/* A full join needs an equality of its sides, or no condition but constants. */
enum kp_code kp_check_full_joins(struct binder *binder, const struct kp_plan *plan)
{
    uint32_t min, max;
    struct conjuncts all = {0};
    if (plan->kind == KP_PLAN_JOIN && plan->join.kind == KP_JOIN_FULL && !plan->join.key_count && plan->join.residual)
        kp_conjuncts_add(binder, &all, plan->join.residual);
    for (uint32_t i = 0; i < all.count; i++)
        if (kp_expr_column_range(all.exprs[i], &min, &max))
            return kp_bind_fail(binder, -1, KP_UNSUPPORTED, NULL, KP_FULL_JOIN_NEEDS);
    for (uint32_t i = 0; i < plan->input_count; i++)
        KP_TRY(kp_check_full_joins(binder, plan->inputs[i]));
    return KP_OK;
}
