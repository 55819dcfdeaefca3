/*
 * Columns of the queries around, in the expressions of a subquery's plan.
 *
 * Such a column is KP_OUTER_BASE + (level - 1) * KP_OUTER_LEVEL + its number there: level 1 is the query that the
 * subquery stands in. When the subquery is joined to that query, level 1 becomes columns of the join (pull.c, unnest.c)
 * and each higher level one less.
 */
#include "sql/bind.h"

static void each(struct kp_expr **exprs, uint32_t count, void (*visit)(struct kp_expr **slot, void *arg), void *arg)
{
    for (uint32_t i = 0; i < count; i++)
        visit(&exprs[i], arg);
}

void kp_plan_each_expr(struct kp_plan *plan, void (*visit)(struct kp_expr **slot, void *arg), void *arg)
{
    switch (plan->kind) {
    case KP_PLAN_VALUES:
        each(plan->values.exprs, plan->values.rows * plan->col_count, visit, arg);
        break;
    case KP_PLAN_FILTER:
        visit(&plan->filter.predicate, arg);
        break;
    case KP_PLAN_PROJECT:
        each(plan->project.exprs, plan->col_count, visit, arg);
        break;
    case KP_PLAN_AGGREGATE:
        each(plan->aggregate.groups, plan->aggregate.group_count, visit, arg);
        for (uint32_t a = 0; a < plan->aggregate.agg_count; a++) {
            each(plan->aggregate.aggs[a].args, plan->aggregate.aggs[a].arg_count, visit, arg);
            if (plan->aggregate.aggs[a].filter)
                visit(&plan->aggregate.aggs[a].filter, arg);
        }
        break;
    case KP_PLAN_JOIN:
        each(plan->join.left_keys, plan->join.key_count, visit, arg);
        each(plan->join.right_keys, plan->join.key_count, visit, arg);
        if (plan->join.residual)
            visit(&plan->join.residual, arg);
        break;
    case KP_PLAN_EXPAND:
        for (uint32_t i = 0; i < plan->expand.call_count; i++)
            each(plan->expand.calls[i].args, plan->expand.calls[i].arg_count, visit, arg);
        break;
    default: /* the others have columns, and constants that read none */
        break;
    }
}

struct search {
    uint32_t level;
    bool found;
};

static bool is_not_level(const struct kp_expr *expr, void *arg)
{
    return expr->kind != KP_EXPR_COLUMN || !kp_is_outer(expr->column) ||
           kp_outer_level(expr->column) != *(const uint32_t *)arg;
}

bool kp_expr_reads_level(const struct kp_expr *expr, uint32_t level)
{
    return !kp_expr_walk(expr, is_not_level, &level);
}

static bool is_not_own(const struct kp_expr *expr, void *arg)
{
    return expr->kind != KP_EXPR_COLUMN || kp_is_outer(expr->column);
}

bool kp_expr_reads_own(const struct kp_expr *expr)
{
    return !kp_expr_walk(expr, is_not_own, NULL);
}

static bool note_own(const struct kp_expr *expr, void *arg)
{
    if (expr->kind == KP_EXPR_COLUMN && !kp_is_outer(expr->column))
        ((bool *)arg)[expr->column] = true;
    return true;
}

void kp_expr_mark_own(const struct kp_expr *expr, bool *columns)
{
    kp_expr_walk(expr, note_own, columns);
}

static void search_slot(struct kp_expr **slot, void *arg)
{
    struct search *search = arg;
    search->found |= kp_expr_reads_level(*slot, search->level);
}

bool kp_node_reads_level(const struct kp_plan *plan, uint32_t level)
{
    struct search search = {level, false};
    kp_plan_each_expr((struct kp_plan *)(uintptr_t)plan, search_slot, &search); /* looks only */
    return search.found;
}

bool kp_plan_reads_level(const struct kp_plan *plan, uint32_t level)
{
    if (kp_node_reads_level(plan, level))
        return true;
    for (uint32_t i = 0; i < plan->input_count; i++)
        if (kp_plan_reads_level(plan->inputs[i], level))
            return true;
    return false;
}

static bool note_nearest(const struct kp_expr *expr, void *arg)
{
    uint32_t *level = arg;
    if (expr->kind == KP_EXPR_COLUMN && kp_is_outer(expr->column))
        *level = KP_MIN(*level, kp_outer_level(expr->column));
    return true;
}

static void nearest_slot(struct kp_expr **slot, void *arg)
{
    kp_expr_walk(*slot, note_nearest, arg);
}

uint32_t kp_plan_nearest_level(const struct kp_plan *plan)
{
    uint32_t level = UINT32_MAX;
    kp_plan_each_expr((struct kp_plan *)(uintptr_t)plan, nearest_slot, &level); /* looks only */
    for (uint32_t i = 0; i < plan->input_count; i++)
        level = KP_MIN(level, kp_plan_nearest_level(plan->inputs[i]));
    return level;
}

static bool note_location(const struct kp_expr *expr, void *arg)
{
    int32_t *location = arg;
    bool found = expr->kind == KP_EXPR_COLUMN && kp_is_outer(expr->column) && kp_outer_level(expr->column) == 1;
    if (found)
        *location = expr->location;
    return !found;
}

static void find_location(struct kp_expr **slot, void *arg)
{
    if (*(int32_t *)arg < 0)
        kp_expr_walk(*slot, note_location, arg);
}

int32_t kp_plan_outer_location(const struct kp_plan *plan)
{
    int32_t location = -1;
    kp_plan_each_expr((struct kp_plan *)(uintptr_t)plan, find_location, &location);
    for (uint32_t i = 0; location < 0 && i < plan->input_count; i++)
        location = kp_plan_outer_location(plan->inputs[i]);
    return location;
}

struct replacing {
    struct binder *binder;
    struct kp_expr *(*replace)(const struct kp_expr *expr, struct kp_arena *arena, void *arg);
    void *arg;
};

static void replace_slot(struct kp_expr **slot, void *arg)
{
    const struct replacing *replacing = arg;
    *slot = kp_expr_copy(*slot, replacing->binder->arena, replacing->replace, replacing->arg);
}

void kp_plan_replace(struct binder *binder, struct kp_plan *plan,
                     struct kp_expr *(*replace)(const struct kp_expr *expr, struct kp_arena *arena, void *arg),
                     void *arg)
{
    struct replacing replacing = {binder, replace, arg};
    kp_plan_each_expr(plan, replace_slot, &replacing);
    for (uint32_t i = 0; i < plan->input_count; i++)
        kp_plan_replace(binder, plan->inputs[i], replace, arg);
}

struct shifting {
    uint32_t from;
    int by;
};

static struct kp_expr *shift_level(const struct kp_expr *expr, struct kp_arena *arena, void *arg)
{
    const struct shifting *shifting = arg;
    if (expr->kind != KP_EXPR_COLUMN || !kp_is_outer(expr->column) || kp_outer_level(expr->column) <= shifting->from)
        return NULL;
    struct kp_expr *copy = kp_arena_alloc(arena, sizeof *copy);
    *copy = *expr;
    copy->column = (uint32_t)((int64_t)expr->column + (int64_t)shifting->by * KP_OUTER_LEVEL);
    return copy;
}

void kp_plan_shift_levels(struct binder *binder, struct kp_plan *plan, uint32_t from, int by)
{
    struct shifting shifting = {from, by};
    kp_plan_replace(binder, plan, shift_level, &shifting);
}
