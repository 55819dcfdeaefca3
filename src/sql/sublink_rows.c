/*
 * Subqueries that are asked whether they have a matching row: EXISTS, IN; what all kinds have in common above the join.
 */
#include "sql/sublink.h"

/* ---- what the subquery's conditions become above the join ---- */

struct above_join {
    struct kp_expr *const *tests;
    uint32_t left; /* the subquery's columns begin here */
};

static struct kp_expr *above_node(const struct kp_expr *expr, struct kp_arena *arena, void *arg)
{
    const struct above_join *above = arg;
    if (expr->kind != KP_EXPR_COLUMN)
        return NULL;
    bool outer = kp_is_outer(expr->column);
    uint32_t level = outer ? kp_outer_level(expr->column) : 0;
    if (level == 1 && kp_outer_column(expr->column) >= KP_TEST_BASE)
        return kp_expr_copy(above->tests[kp_outer_column(expr->column) - KP_TEST_BASE], arena, NULL, NULL);
    struct kp_expr *copy = kp_arena_alloc(arena, sizeof *copy);
    *copy = *expr;
    copy->column = level == 1 ? kp_outer_column(expr->column)
                   : outer    ? expr->column - KP_OUTER_LEVEL
                              : expr->column + above->left;
    return copy;
}

struct kp_expr *kp_sub_above(struct binder *binder, struct kp_expr *const *tests, uint32_t left,
                             const struct kp_expr *expr)
{
    struct above_join above = {tests, left};
    return kp_expr_copy(expr, binder->arena, above_node, &above);
}

void kp_join_pulled(struct binder *binder, struct kp_expr *const *tests, struct kp_plan *join,
                    const struct conjuncts *conds)
{
    uint32_t left = join->inputs[0]->col_count;
    struct conjuncts all = {0};
    for (uint32_t i = 0; i < conds->count; i++)
        kp_conjuncts_add(binder, &all, kp_sub_above(binder, tests, left, conds->exprs[i]));
    for (uint32_t i = 0; i < all.count; i++)
        kp_join_condition(binder, join, all.exprs[i]);
}

/* ---- keys ---- */

struct kp_expr *kp_sub_test(struct binder *binder, const struct sub *sub, uint32_t i)
{
    return kp_bind_column(binder, KP_OUTER_BASE + KP_TEST_BASE + i, sub->tests[i]->type, sub->tests[i]->location);
}

/* x = column as conditions of the subquery. */
enum kp_code kp_sub_test_conditions(struct binder *binder, const struct sub *sub, struct conjuncts *conds)
{
    for (uint32_t i = 0; i < sub->test_count; i++) {
        struct kp_expr *equal;
        KP_TRY(kp_bind_operator(binder, "=", kp_sub_test(binder, sub, i),
                                kp_bind_column(binder, i, sub->plan->cols[i].type, sub->location), sub->location,
                                &equal));
        kp_conjuncts_add(binder, conds, equal);
    }
    return KP_OK;
}

static bool all_equalities(const struct conjuncts *conds)
{
    struct kp_expr *outer, *own;
    for (uint32_t i = 0; i < conds->count; i++)
        if (!kp_correlated_equality(conds->exprs[i], &outer, &own))
            return false;
    return true;
}

/* The own sides of equalities as columns, which the conditions then read; a mark behind them if asked for. */
struct kp_plan *kp_sub_keys(struct binder *binder, struct kp_plan *plan, struct conjuncts *conds, bool mark)
{
    struct kp_expr **exprs = kp_arena_alloc(binder->arena, (conds->count + 1) * sizeof *exprs);
    const char **names = kp_arena_alloc(binder->arena, (conds->count + 1) * sizeof *names);
    for (uint32_t i = 0; i < conds->count; i++) {
        struct kp_expr *outer, *own, *condition = kp_arena_alloc(binder->arena, sizeof *condition);
        bool equality = kp_correlated_equality(conds->exprs[i], &outer, &own);
        KP_ASSERT(equality);
        exprs[i] = own;
        names[i] = own->kind == KP_EXPR_COLUMN && own->column < plan->col_count ? plan->cols[own->column].name : "key";
        *condition = *conds->exprs[i];
        condition->args = kp_arena_alloc(binder->arena, 2 * sizeof(struct kp_expr *));
        for (uint32_t side = 0; side < 2; side++)
            condition->args[side] = conds->exprs[i]->args[side] == own ? kp_bind_column(binder, i, own->type, -1)
                                                                       : conds->exprs[i]->args[side];
        conds->exprs[i] = condition;
    }
    uint32_t count = conds->count;
    if (mark || count == 0) {
        exprs[count] = kp_bind_bool(binder, true);
        names[count++] = "exists";
    }
    return kp_bind_project(binder, plan, exprs, names, count);
}

static bool any_faces(const struct kp_plan *plan)
{
    for (uint32_t i = 0; i < plan->col_count; i++)
        if (kp_type_has_faces(plan->cols[i].type.id) || plan->cols[i].type.id == KP_JSON)
            return true;
    return false;
}

/* Only the columns that conditions read, each row once. */
static struct kp_plan *used_columns(struct binder *binder, struct kp_plan *plan, struct conjuncts *conds)
{
    bool *used = kp_arena_calloc(binder->arena, plan->col_count + 1);
    uint32_t *map = kp_arena_calloc(binder->arena, (plan->col_count + 1) * sizeof *map), count = 0;
    struct kp_expr **exprs = kp_arena_alloc(binder->arena, (plan->col_count + 1) * sizeof *exprs);
    for (uint32_t i = 0; i < conds->count; i++)
        kp_expr_mark_own(conds->exprs[i], used);
    for (uint32_t i = 0; i < plan->col_count; i++) {
        if (!used[i])
            continue;
        map[i] = count;
        exprs[count++] = kp_bind_column(binder, i, plan->cols[i].type, -1);
    }
    if (count == 0)
        exprs[count++] = kp_bind_bool(binder, true);
    for (uint32_t i = 0; i < conds->count; i++)
        conds->exprs[i] = kp_expr_remap(binder, conds->exprs[i], map);
    struct kp_plan *some = kp_bind_project(binder, plan, exprs, NULL, count);
    return any_faces(some) ? some : kp_bind_distinct(binder, some);
}

/* ---- EXISTS, IN ---- */

/* Whether there is a row does not depend on what it shows, on order, on a limit. */
static struct kp_plan *only_rows(struct kp_plan *plan)
{
    for (;;) {
        const struct kp_expr *limit = plan->kind == KP_PLAN_TOPN ? plan->topn.limit : NULL;
        bool limited = plan->kind == KP_PLAN_TOPN && !plan->topn.offset && limit && limit->kind == KP_EXPR_CONST &&
                       limit->datum.i64 > 0;
        bool shows = plan->kind == KP_PLAN_PROJECT || plan->kind == KP_PLAN_SORT || plan->kind == KP_PLAN_OVER;
        bool groups = plan->kind == KP_PLAN_AGGREGATE && plan->aggregate.group_count;
        if (!limited && !shows && !groups)
            return plan;
        plan = plan->inputs[0];
    }
}

/* The conditions and the plan of a subquery that is asked whether it has a matching row; false: it must be unnested. */
static enum kp_code pull_rows(struct binder *binder, const struct sub *sub, bool equalities, bool *ret_done,
                              struct kp_plan **ret_plan, struct conjuncts *ret_conds)
{
    struct kp_plan *plan = sub->test_count ? sub->plan : only_rows(sub->plan);
    *ret_done = kp_pull(binder, plan, equalities, ret_plan, ret_conds);
    if (!*ret_done)
        return KP_OK;
    kp_plan_shift_levels(binder, *ret_plan, 1, -1);
    KP_TRY(kp_sub_test_conditions(binder, sub, ret_conds));
    *ret_done = !equalities || all_equalities(ret_conds);
    return KP_OK;
}

/* For each row of the domain the different rows that the tests are compared with; `conds` compares them. */
static enum kp_code unnest_rows(struct binder *binder, struct sub *sub, const struct kp_plan *rows, bool mark,
                                struct domain *ret_domain, struct kp_plan **ret_plan)
{
    struct kp_plan *reader = sub->test_count ? sub->plan : only_rows(sub->plan), *plan;
    KP_TRY(kp_domain_make(binder, rows, sub->tests, reader, sub->guard, ret_domain));
    KP_TRY(kp_unnest(binder, ret_domain, reader, &plan));
    uint32_t count = ret_domain->width + sub->test_count;
    struct kp_expr **exprs = kp_arena_alloc(binder->arena, (count + 1) * sizeof *exprs);
    for (uint32_t i = 0; i < count; i++)
        exprs[i] = kp_bind_column(binder, i, plan->cols[i].type, -1);
    if (mark)
        exprs[count++] = kp_bind_bool(binder, true);
    *ret_plan = kp_bind_distinct(binder, kp_bind_project(binder, plan, exprs, NULL, count));
    return KP_OK;
}

static enum kp_code compare_tests(struct binder *binder, const struct sub *sub, struct kp_plan *join, uint32_t first)
{
    for (uint32_t i = 0; i < sub->test_count; i++) {
        struct kp_expr *equal;
        uint32_t at = join->inputs[0]->col_count + first + i;
        KP_TRY(kp_bind_operator(binder, "=", sub->tests[i],
                                kp_bind_column(binder, at, join->inputs[1]->cols[first + i].type, sub->location),
                                sub->location, &equal));
        kp_join_condition(binder, join, equal);
    }
    return KP_OK;
}

/* The rows that have a match, or none. */
enum kp_code kp_sub_filter_rows(struct binder *binder, struct sub *sub, bool negated, struct kp_plan **rows)
{
    bool done;
    struct kp_plan *plan, *join;
    struct conjuncts conds;
    KP_TRY(pull_rows(binder, sub, false, &done, &plan, &conds));
    if (done) {
        bool keys = all_equalities(&conds);
        plan = keys ? kp_bind_distinct(binder, kp_sub_keys(binder, plan, &conds, false))
                    : used_columns(binder, plan, &conds);
        join = kp_bind_join(binder, negated ? KP_JOIN_ANTI : keys ? KP_JOIN_INNER : KP_JOIN_SEMI, *rows, plan);
        kp_join_pulled(binder, sub->tests, join, &conds);
    } else {
        struct domain domain;
        KP_TRY(unnest_rows(binder, sub, *rows, false, &domain, &plan));
        join = kp_domain_join(binder, negated ? KP_JOIN_ANTI : KP_JOIN_INNER, *rows, &domain, plan);
        KP_TRY(compare_tests(binder, sub, join, domain.width));
    }
    *rows = join;
    return KP_OK;
}

struct kp_expr *kp_sub_found(struct binder *binder, uint32_t mark)
{
    struct kp_expr *expr = kp_bind_new(binder, KP_EXPR_IS_NOT_NULL, KP_TYPE(KP_BOOL), -1, 1);
    expr->args[0] = kp_bind_column(binder, mark, KP_TYPE(KP_BOOL), -1);
    kp_expr_settle(expr);
    return expr;
}

/* Whether there is a match, as a value. */
enum kp_code kp_sub_exists(struct binder *binder, struct sub *sub, struct kp_plan **rows)
{
    bool done;
    struct kp_plan *plan, *join;
    struct conjuncts conds;
    bool guarded = sub->guard && kp_plan_can_fail(sub->test_count ? sub->plan : only_rows(sub->plan));
    KP_TRY(pull_rows(binder, sub, true, &done, &plan, &conds));
    if (done && !guarded) {
        plan = kp_bind_distinct(binder, kp_sub_keys(binder, plan, &conds, true));
        join = kp_bind_join(binder, KP_JOIN_LEFT, *rows, plan);
        kp_join_pulled(binder, sub->tests, join, &conds);
    } else {
        struct domain domain;
        KP_TRY(unnest_rows(binder, sub, *rows, true, &domain, &plan));
        join = kp_domain_join(binder, KP_JOIN_LEFT, *rows, &domain, plan);
        KP_TRY(compare_tests(binder, sub, join, domain.width));
    }
    *rows = join;
    sub->value = kp_sub_found(binder, join->col_count - 1);
    return KP_OK;
}
