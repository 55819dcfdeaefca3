/*
 * Subqueries in ON: the join becomes one with a LATERAL item, which the whole condition filters; its level 1 is the
 * side that is preserved. What the condition (deep 0) and its subqueries (1), whose level 1 is the join, read of the
 * join becomes a column of the item, or of the preserved side around it.
 *
 * A FULL join is two of these: the left join, and behind it those rows of the right one that found nobody, told by a
 * mark that the other side has in each row.
 */
#include "sql/on_subs.h"

#include <string.h>

struct on_columns {
    const uint32_t *map; /* of the join's columns: the preserved side's first */
    uint32_t preserved, deep;
};

static struct kp_expr *within_item(const struct kp_expr *expr, struct kp_arena *arena, void *arg)
{
    const struct on_columns *on = arg;
    bool outer = kp_is_outer(expr->column);
    if (expr->kind != KP_EXPR_COLUMN || (!outer && (on->deep || expr->column >= KP_SET_BASE)))
        return NULL;
    struct kp_expr *copy = kp_arena_alloc(arena, sizeof *copy);
    *copy = *expr;
    if (outer && (!on->deep || kp_outer_level(expr->column) > 1)) { /* beyond the join there is one query more */
        copy->column = expr->column + KP_OUTER_LEVEL;
        return copy;
    }
    uint32_t column = on->map[outer ? kp_outer_column(expr->column) : expr->column];
    if (column < on->preserved)
        copy->column = KP_OUTER_BASE + on->deep * KP_OUTER_LEVEL + column;
    else
        copy->column = (on->deep ? KP_OUTER_BASE : 0) + column - on->preserved;
    return copy;
}

static enum kp_code filter_item(struct binder *binder, struct outer_join *outer, struct on_columns on,
                                struct kp_plan **item)
{
    struct conjuncts plain = {0}, late = {0};
    uint32_t cols = (*item)->col_count;
    on.deep = 0;
    for (uint32_t i = 0; i < outer->conditions.count; i++) {
        struct kp_expr *condition = kp_expr_copy(outer->conditions.exprs[i], binder->arena, within_item, &on);
        kp_conjuncts_add(binder, kp_expr_reads_subs(condition) ? &late : &plain, condition);
    }
    for (uint32_t i = 0; i < outer->subs.count; i++) {
        struct sub *sub = &outer->subs.items[i];
        on.deep = 0;
        for (uint32_t t = 0; t < sub->test_count; t++)
            sub->tests[t] = kp_expr_copy(sub->tests[t], binder->arena, within_item, &on);
        on.deep = 1;
        kp_plan_replace(binder, sub->plan, within_item, &on);
    }
    *item = kp_push_all(binder, *item, &plain);
    KP_TRY(kp_subs_filter(binder, &outer->subs, &late, item));
    *item = kp_bind_first_columns(binder, *item, cols);
    return KP_OK;
}

/* The preserved side's rows with those of the other that the condition lets through, `mark` (NULL: none) behind them.
 */
static enum kp_code join_by_subs(struct binder *binder, struct outer_join *outer, bool lateral, struct kp_expr *mark,
                                 struct kp_plan **ret_plan)
{
    struct kp_plan *rows = outer->swap ? outer->right : outer->left, *item = outer->swap ? outer->left : outer->right;
    uint32_t left = outer->left->col_count, count = left + outer->right->col_count;
    uint32_t *map = kp_arena_calloc(binder->arena, (count + 1) * sizeof *map);
    for (uint32_t i = 0; i < count; i++)
        map[i] = !outer->swap ? i : i < left ? count - left + i : i - left;
    if (!lateral) /* nothing in it reads the other side */
        kp_plan_shift_levels(binder, item, 0, 1);
    KP_TRY(filter_item(binder, outer, (struct on_columns){map, rows->col_count, 0}, &item));
    struct kp_expr **exprs = kp_arena_alloc(binder->arena, (count + 1) * sizeof *exprs);
    if (mark) {
        for (uint32_t i = 0; i < item->col_count; i++)
            exprs[i] = kp_bind_column(binder, i, item->cols[i].type, -1);
        exprs[item->col_count] = mark;
        item = kp_bind_project(binder, item, exprs, NULL, item->col_count + 1);
    }
    KP_TRY(kp_bind_lateral(binder, KP_JOIN_LEFT, rows, item, NULL, ret_plan));
    if (!outer->swap)
        return KP_OK;
    exprs = kp_arena_alloc(binder->arena, (count + 1) * sizeof *exprs);
    for (uint32_t i = 0; i < count; i++)
        exprs[i] = kp_bind_column(binder, map[i], (*ret_plan)->cols[map[i]].type, -1);
    if (mark)
        exprs[count] = kp_bind_column(binder, count, mark->type, -1);
    *ret_plan = kp_bind_project(binder, *ret_plan, exprs, NULL, count + (mark != NULL));
    return KP_OK;
}

/* Both may be changed: what binding a join does to its sides and subqueries, it does to its own. */
static struct outer_join copy_outer(struct binder *binder, const struct outer_join *from)
{
    struct outer_join copy = *from;
    copy.left = kp_plan_copy(from->left, binder->arena);
    copy.right = kp_plan_copy(from->right, binder->arena);
    copy.subs.items = kp_arena_calloc(binder->arena, from->subs.count * sizeof *copy.subs.items);
    copy.subs.cap = from->subs.count;
    for (uint32_t i = 0; i < from->subs.count; i++) {
        struct sub *sub = &copy.subs.items[i];
        *sub = from->subs.items[i];
        sub->plan = kp_plan_copy(sub->plan, binder->arena);
        sub->tests = kp_arena_alloc(binder->arena, (sub->test_count + 1) * sizeof *sub->tests);
        for (uint32_t t = 0; t < sub->test_count; t++)
            sub->tests[t] = from->subs.items[i].tests[t];
    }
    return copy;
}

/* PostgreSQL's: some condition has to be an equality of the sides. One that reads a subquery may be. */
static bool any_equality(const struct outer_join *outer)
{
    for (uint32_t i = 0; i < outer->conditions.count; i++) {
        const struct kp_expr *condition = outer->conditions.exprs[i];
        if (condition->kind == KP_EXPR_CALL && condition->func->kind == KP_FUNC_OPERATOR &&
            strcmp(condition->func->name, "=") == 0)
            return true;
    }
    return false;
}

/* The left join, and behind it the right side's rows that would be alone in the right join: NULLs and those. */
static enum kp_code full_by_subs(struct binder *binder, const struct outer_join *outer, struct kp_plan **ret_plan)
{
    uint32_t left = outer->left->col_count, count = left + outer->right->col_count;
    struct outer_join both = copy_outer(binder, outer), alone = copy_outer(binder, outer);
    struct kp_plan *all = kp_bind_node(binder, KP_PLAN_UNION, -1, count, 2), *rest;
    if (!any_equality(outer))
        return kp_bind_fail(binder, outer->subs.items[0].location, KP_UNSUPPORTED, NULL, KP_FULL_JOIN_NEEDS);
    both.kind = alone.kind = KP_JOIN_LEFT;
    alone.swap = true;
    KP_TRY(join_by_subs(binder, &both, false, NULL, &all->inputs[0]));
    KP_TRY(join_by_subs(binder, &alone, false, kp_bind_bool(binder, true), &rest));
    struct kp_expr *none = kp_bind_new(binder, KP_EXPR_IS_NULL, KP_TYPE(KP_BOOL), -1, 1);
    none->args[0] = kp_bind_column(binder, count, KP_TYPE(KP_BOOL), -1);
    kp_expr_settle(none);
    struct conjuncts conditions = {0};
    kp_conjuncts_add(binder, &conditions, none);
    rest = kp_push_all(binder, rest, &conditions);
    struct kp_expr **exprs = kp_arena_alloc(binder->arena, (count + 1) * sizeof *exprs);
    for (uint32_t i = 0; i < count; i++) {
        struct kp_type type = rest->cols[i].type;
        exprs[i] = i < left ? kp_bind_null(binder, type) : kp_bind_column(binder, i, type, -1);
        all->cols[i] = all->inputs[0]->cols[i];
        all->cols[i].not_null = false;
    }
    all->inputs[1] = kp_bind_project(binder, rest, exprs, NULL, count);
    *ret_plan = all;
    return KP_OK;
}
enum kp_code kp_on_subs_join(struct binder *binder, struct outer_join *outer, bool lateral, struct kp_plan **ret_plan)
{
    if (outer->kind == KP_JOIN_FULL)
        return full_by_subs(binder, outer, ret_plan);
    return join_by_subs(binder, outer, lateral, NULL, ret_plan);
}
