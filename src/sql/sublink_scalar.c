/*
 * Subqueries that yield a value: scalars, and comparisons with ANY and ALL as aggregates.
 *
 * What can fail is computed above the join, where CASE and COALESCE guard it; what can fail below the select list is
 * computed for the values that the rows around have, and for no others.
 */
#include "sql/sublink.h"

/* ---- scalars ---- */

struct kp_expr *kp_bind_choice(struct binder *binder, struct kp_expr *condition, struct kp_expr *yes,
                               struct kp_expr *no)
{
    struct kp_expr *expr = kp_bind_new(binder, KP_EXPR_CASE, yes->type, yes->location, 3);
    expr->args[0] = condition;
    expr->args[1] = yes;
    expr->args[2] = no;
    kp_expr_settle(expr);
    return expr;
}

static struct kp_expr *in_place_of(const struct kp_expr *expr, struct kp_arena *arena, void *arg)
{
    struct kp_expr *const *exprs = arg;
    return expr->kind == KP_EXPR_COLUMN && !kp_is_outer(expr->column) ? exprs[expr->column] : NULL;
}

/* The aggregate without groups that a subquery ends in, with what stands above it as expressions over its columns. */
struct one_row {
    struct kp_plan *aggregate;
    struct kp_expr *value;
    struct conjuncts conditions; /* HAVING: NULL where they are not true */
};

static bool find_one_row(struct binder *binder, struct kp_plan *plan, struct one_row *ret)
{
    struct one_row one = {.value = kp_bind_column(binder, 0, plan->cols[0].type, -1)};
    for (;; plan = plan->inputs[0]) {
        if (plan->kind == KP_PLAN_PROJECT) {
            one.value = kp_expr_copy(one.value, binder->arena, in_place_of, plan->project.exprs);
            for (uint32_t i = 0; i < one.conditions.count; i++)
                one.conditions.exprs[i] =
                    kp_expr_copy(one.conditions.exprs[i], binder->arena, in_place_of, plan->project.exprs);
        } else if (plan->kind == KP_PLAN_FILTER) {
            kp_conjuncts_add(binder, &one.conditions, plan->filter.predicate);
        } else if (plan->kind != KP_PLAN_SORT) {
            break;
        }
    }
    if (plan->kind != KP_PLAN_AGGREGATE || plan->aggregate.group_count)
        return false;
    one.aggregate = plan;
    *ret = one;
    return true;
}

/* The value above the join, whose right side's columns begin at `left`. */
static struct kp_expr *one_row_value(struct binder *binder, const struct sub *sub, const struct one_row *one,
                                     uint32_t left)
{
    struct kp_expr *value = kp_sub_above(binder, sub->tests, left, one->value);
    for (uint32_t i = one->conditions.count; i-- > 0;)
        value = kp_bind_choice(binder, kp_sub_above(binder, sub->tests, left, one->conditions.exprs[i]), value,
                               kp_bind_null(binder, value->type));
    return value;
}

/* The aggregate by the keys behind which its columns stand, then a mark. */
static struct kp_plan *by_keys(struct binder *binder, const struct kp_plan *aggregate, struct kp_plan *input,
                               struct conjuncts *conds)
{
    uint32_t keys = conds->count, aggs = aggregate->aggregate.agg_count;
    struct kp_plan *plan = kp_bind_node(binder, KP_PLAN_AGGREGATE, aggregate->location, keys + aggs, 1);
    plan->inputs[0] = input;
    plan->aggregate = aggregate->aggregate;
    plan->aggregate.group_count = keys;
    plan->aggregate.groups = kp_arena_alloc(binder->arena, (keys + 1) * sizeof(struct kp_expr *));
    memcpy(plan->cols + keys, aggregate->cols, aggs * sizeof *plan->cols);
    for (uint32_t i = 0; i < keys; i++) {
        struct kp_expr *outer, *own, *condition = kp_arena_alloc(binder->arena, sizeof *condition);
        bool equality = kp_correlated_equality(conds->exprs[i], &outer, &own);
        KP_ASSERT(equality);
        bool column = own->kind == KP_EXPR_COLUMN;
        plan->aggregate.groups[i] = own;
        plan->cols[i] = (struct kp_column){column ? input->cols[own->column].name : "key", own->type,
                                           column && input->cols[own->column].not_null};
        *condition = *conds->exprs[i];
        condition->args = kp_arena_alloc(binder->arena, 2 * sizeof(struct kp_expr *));
        for (uint32_t side = 0; side < 2; side++)
            condition->args[side] = conds->exprs[i]->args[side] == own ? kp_bind_column(binder, i, own->type, -1)
                                                                       : conds->exprs[i]->args[side];
        conds->exprs[i] = condition;
    }
    struct kp_expr **exprs = kp_arena_alloc(binder->arena, (keys + aggs + 1) * sizeof *exprs);
    const char **names = kp_arena_alloc(binder->arena, (keys + aggs + 1) * sizeof *names);
    for (uint32_t i = 0; i < keys + aggs; i++) {
        exprs[i] = kp_bind_column(binder, i, plan->cols[i].type, -1);
        names[i] = plan->cols[i].name;
    }
    exprs[keys + aggs] = kp_bind_bool(binder, true);
    names[keys + aggs] = "found";
    return kp_bind_project(binder, plan, exprs, names, keys + aggs + 1);
}

/* The aggregates above a left join by keys: what they are of nothing where there was no row. */
static struct kp_expr *of_keys(struct binder *binder, const struct one_row *one, uint32_t first, uint32_t mark,
                               const struct kp_expr *expr)
{
    uint32_t aggs = one->aggregate->aggregate.agg_count;
    struct kp_expr **exprs = kp_arena_alloc(binder->arena, (aggs + 1) * sizeof *exprs);
    for (uint32_t a = 0; a < aggs; a++) {
        struct kp_expr *nothing = kp_agg_of_nothing(binder, &one->aggregate->aggregate.aggs[a]);
        struct kp_expr *column = kp_bind_column(binder, first + a, one->aggregate->cols[a].type, -1);
        exprs[a] = nothing->datum.null
                       ? column
                       : kp_bind_choice(binder, kp_bind_column(binder, mark, KP_TYPE(KP_BOOL), -1), column, nothing);
    }
    return kp_expr_copy(expr, binder->arena, in_place_of, exprs);
}

/* Something that is computed for matching rows only can fail: then it must not be computed for others. */
static bool shows_failing(const struct kp_plan *plan)
{
    bool fails = false;
    for (uint32_t i = 0; plan->kind == KP_PLAN_PROJECT && i < plan->col_count; i++)
        fails |= plan->project.exprs[i]->can_fail;
    for (uint32_t a = 0; plan->kind == KP_PLAN_AGGREGATE && a < plan->aggregate.agg_count; a++)
        for (uint32_t i = 0; i < plan->aggregate.aggs[a].arg_count; i++)
            fails |= plan->aggregate.aggs[a].args[i]->can_fail;
    for (uint32_t i = 0; i < plan->input_count; i++)
        fails |= shows_failing(plan->inputs[i]);
    return fails;
}

/* ---- what reads nothing around it, and may fail ---- */

static bool never_empty(const struct kp_plan *rows)
{
    while (rows->kind == KP_PLAN_PROJECT)
        rows = rows->inputs[0];
    return (rows->kind == KP_PLAN_VALUES && rows->values.rows) ||
           (rows->kind == KP_PLAN_AGGREGATE && !rows->aggregate.group_count);
}

/*
 * The one row of a plan whose value can fail, joined with the rows around. The condition above may become a key, and
 * the value be computed on this side of the join: so it is there only if there are rows that need it. Its columns begin
 * at *ret_at.
 */
static enum kp_code join_one_row(struct binder *binder, bool fails, struct kp_plan *plan, struct kp_plan **rows,
                                 uint32_t *ret_at)
{
    struct domain domain = {0};
    if (fails && !never_empty(*rows)) {
        KP_TRY(kp_domain_make(binder, *rows, NULL, kp_bind_node(binder, KP_PLAN_VALUES, -1, 0, 0),
                              kp_bind_bool(binder, true), &domain));
        plan = kp_bind_join(binder, KP_JOIN_INNER, domain.plan, plan);
    }
    *ret_at = (*rows)->col_count + domain.width;
    *rows = kp_bind_join(binder, KP_JOIN_INNER, *rows, plan);
    return KP_OK;
}

static bool value_can_fail(const struct one_row *one)
{
    bool fails = one->value->can_fail;
    for (uint32_t i = 0; i < one->conditions.count; i++)
        fails |= one->conditions.exprs[i]->can_fail;
    return fails;
}

static enum kp_code aggregate_value(struct binder *binder, struct sub *sub, struct one_row *one, struct kp_plan **rows)
{
    struct kp_plan *aggregate = one->aggregate, *plan, *join;
    struct conjuncts conds;
    uint32_t left = (*rows)->col_count;
    bool guarded = sub->guard && kp_plan_can_fail(aggregate);
    if (!guarded && !kp_plan_reads_level(aggregate, 1)) {
        kp_plan_shift_levels(binder, aggregate, 1, -1);
        KP_TRY(join_one_row(binder, sub->filters && value_can_fail(one), aggregate, rows, &left));
        sub->value = one_row_value(binder, sub, one, left);
        return KP_OK;
    }
    if (!guarded && !kp_node_reads_level(aggregate, 1) && !shows_failing(aggregate) &&
        kp_pull(binder, aggregate->inputs[0], true, &plan, &conds)) {
        uint32_t keys = conds.count, mark = keys + aggregate->aggregate.agg_count;
        plan = by_keys(binder, aggregate, plan, &conds);
        kp_plan_shift_levels(binder, plan, 1, -1);
        join = kp_bind_join(binder, KP_JOIN_LEFT, *rows, plan);
        kp_join_pulled(binder, sub->tests, join, &conds);
        *rows = join;
        one->value = of_keys(binder, one, keys, mark, one->value);
        for (uint32_t i = 0; i < one->conditions.count; i++)
            one->conditions.exprs[i] = of_keys(binder, one, keys, mark, one->conditions.exprs[i]);
        sub->value = one_row_value(binder, sub, one, left);
        return KP_OK;
    }
    struct domain domain;
    KP_TRY(kp_domain_make(binder, *rows, sub->tests, aggregate, guarded ? sub->guard : NULL, &domain));
    KP_TRY(kp_unnest(binder, &domain, aggregate, &plan));
    *rows = kp_domain_join(binder, KP_JOIN_LEFT, *rows, &domain, plan); /* the domain has a row for each */
    sub->value = one_row_value(binder, sub, one, left + domain.width);
    return KP_OK;
}

/* The select list's expression, over the plan below it. */
struct shown {
    struct kp_plan *plan;
    struct kp_expr *value;
    uint32_t count, *columns; /* that it reads */
};

static struct shown find_shown(struct binder *binder, struct kp_plan *plan)
{
    struct kp_expr *value = kp_bind_column(binder, 0, plan->cols[0].type, -1);
    while (plan->kind == KP_PLAN_PROJECT || plan->kind == KP_PLAN_SORT) {
        if (plan->kind == KP_PLAN_PROJECT)
            value = kp_expr_copy(value, binder->arena, in_place_of, plan->project.exprs);
        plan = plan->inputs[0];
    }
    struct shown shown = {.plan = plan, .value = value};
    bool *used = kp_arena_calloc(binder->arena, plan->col_count + 1);
    kp_expr_mark_own(value, used);
    shown.columns = kp_arena_calloc(binder->arena, (plan->col_count + 1) * sizeof *shown.columns);
    for (uint32_t i = 0; i < plan->col_count; i++)
        if (used[i])
            shown.columns[shown.count++] = i;
    return shown;
}

/* count(*) and some value of each column that is shown: the value where the count is 1. */
static enum kp_code count_and_values(struct binder *binder, const struct kp_plan *input, uint32_t shift,
                                     const struct shown *shown, struct kp_plan **ret_aggregate)
{
    struct kp_plan *plan = kp_bind_node(binder, KP_PLAN_AGGREGATE, input->location, 1 + shown->count, 1);
    plan->aggregate.agg_count = 1 + shown->count;
    plan->aggregate.aggs = kp_arena_calloc(binder->arena, (1 + shown->count) * sizeof *plan->aggregate.aggs);
    KP_TRY(kp_bind_aggregate(binder, "count", NULL, 0, -1, &plan->aggregate.aggs[0]));
    plan->cols[0] = (struct kp_column){"rows", plan->aggregate.aggs[0].type, true};
    for (uint32_t i = 0; i < shown->count; i++) {
        struct kp_expr **args = kp_arena_alloc(binder->arena, sizeof *args);
        const struct kp_column *column = &input->cols[shown->columns[i] + shift];
        args[0] = kp_bind_column(binder, shown->columns[i] + shift, column->type, -1);
        KP_TRY(kp_bind_aggregate(binder, "any_value", args, 1, -1, &plan->aggregate.aggs[1 + i]));
        plan->aggregate.aggs[1 + i].type = column->type;
        plan->cols[1 + i] = (struct kp_column){column->name, column->type, false};
    }
    *ret_aggregate = plan;
    return KP_OK;
}

/* CASE WHEN there is one row THEN what it shows END, above a join whose columns from `at` are the count and the values;
 * the condition fails where there are more. */
static enum kp_code checked_value(struct binder *binder, struct sub *sub, const struct shown *shown, uint32_t at)
{
    struct kp_expr *args[1] = {kp_bind_column(binder, at, KP_TYPE(KP_INT8), -1)}, *one;
    uint32_t *map = kp_arena_calloc(binder->arena, (shown->plan->col_count + 1) * sizeof *map);
    KP_TRY(kp_bind_function(binder, "kp_one_row", args, 1, sub->location, &one));
    for (uint32_t i = 0; i < shown->count; i++)
        map[shown->columns[i]] = at + 1 + i;
    struct kp_expr *value = kp_sub_above(binder, sub->tests, 0, kp_expr_remap(binder, shown->value, map));
    sub->value = kp_bind_choice(binder, one, value, kp_bind_null(binder, sub->type));
    return KP_OK;
}

/* A left join with the plan itself, if it has one row at most for each around it. */
static bool look_up(struct binder *binder, struct sub *sub, const struct shown *shown, struct kp_plan **rows)
{
    struct kp_plan *plan;
    struct conjuncts conds;
    if (shows_failing(shown->plan) || !kp_pull(binder, shown->plan, false, &plan, &conds))
        return false;
    bool *fixed = kp_arena_calloc(binder->arena, plan->col_count + 1);
    for (uint32_t i = 0; i < conds.count; i++) {
        struct kp_expr *outer, *own;
        if (!kp_correlated_equality(conds.exprs[i], &outer, &own))
            continue;
        const struct kp_expr *column = kp_below_cast(own);
        if (column->kind == KP_EXPR_COLUMN && !kp_is_outer(column->column))
            fixed[column->column] = true;
    }
    if (!kp_plan_is_single(binder, plan, fixed))
        return false;
    uint32_t left = (*rows)->col_count, count = plan->col_count;
    bool column = shown->value->kind == KP_EXPR_COLUMN && !kp_is_outer(shown->value->column);
    kp_plan_shift_levels(binder, plan, 1, -1);
    if (!column) {
        struct kp_expr **exprs = kp_arena_alloc(binder->arena, (count + 1) * sizeof *exprs);
        for (uint32_t i = 0; i < count; i++)
            exprs[i] = kp_bind_column(binder, i, plan->cols[i].type, -1);
        exprs[count] = kp_bind_bool(binder, true);
        plan = kp_bind_project(binder, plan, exprs, NULL, count + 1);
        plan->cols[count].name = "found";
    }
    struct kp_plan *join = kp_bind_join(binder, KP_JOIN_LEFT, *rows, plan);
    kp_join_pulled(binder, sub->tests, join, &conds);
    *rows = join;
    sub->value = kp_sub_above(binder, sub->tests, left, shown->value);
    if (!column)
        sub->value = kp_bind_choice(binder, kp_bind_column(binder, left + count, KP_TYPE(KP_BOOL), -1), sub->value,
                                    kp_bind_null(binder, sub->type));
    return true;
}

/* The aggregate, by the first `width` columns of its input. */
static struct kp_plan *by_first(struct binder *binder, const struct kp_plan *aggregate, struct kp_plan *input,
                                uint32_t width)
{
    uint32_t count = aggregate->col_count;
    struct kp_plan *plan = kp_bind_node(binder, KP_PLAN_AGGREGATE, -1, width + count, 1);
    plan->inputs[0] = input;
    plan->aggregate = aggregate->aggregate;
    plan->aggregate.group_count = width;
    plan->aggregate.groups = kp_arena_alloc(binder->arena, (width + 1) * sizeof(struct kp_expr *));
    for (uint32_t i = 0; i < width; i++) {
        plan->aggregate.groups[i] = kp_bind_column(binder, i, input->cols[i].type, -1);
        plan->cols[i] = input->cols[i];
    }
    memcpy(plan->cols + width, aggregate->cols, count * sizeof *plan->cols);
    return plan;
}

enum kp_code kp_sub_scalar(struct binder *binder, struct sub *sub, struct kp_plan **rows)
{
    struct one_row one;
    struct kp_plan *aggregate, *plan, *join;
    struct conjuncts conds;
    struct domain domain;
    uint32_t left = (*rows)->col_count;
    if (find_one_row(binder, sub->plan, &one))
        return aggregate_value(binder, sub, &one, rows);
    struct shown shown = find_shown(binder, sub->plan);
    bool guarded = sub->guard && kp_plan_can_fail(shown.plan);
    if (!guarded && look_up(binder, sub, &shown, rows))
        return KP_OK;
    if (!guarded && !kp_plan_reads_level(shown.plan, 1)) {
        KP_TRY(count_and_values(binder, shown.plan, 0, &shown, &aggregate));
        aggregate->inputs[0] = shown.plan;
        kp_plan_shift_levels(binder, aggregate, 1, -1);
        KP_TRY(join_one_row(binder, sub->filters, aggregate, rows, &left));
        return checked_value(binder, sub, &shown, left);
    }
    if (!guarded && !shows_failing(shown.plan) && kp_pull(binder, shown.plan, true, &plan, &conds)) {
        uint32_t keys = conds.count;
        KP_TRY(count_and_values(binder, plan, 0, &shown, &aggregate));
        plan = by_keys(binder, aggregate, plan, &conds);
        kp_plan_shift_levels(binder, plan, 1, -1);
        join = kp_bind_join(binder, KP_JOIN_LEFT, *rows, plan);
        kp_join_pulled(binder, sub->tests, join, &conds);
        *rows = join;
        return checked_value(binder, sub, &shown, left + keys);
    }
    KP_TRY(kp_domain_make(binder, *rows, sub->tests, shown.plan, guarded ? sub->guard : NULL, &domain));
    KP_TRY(kp_unnest(binder, &domain, shown.plan, &plan));
    KP_TRY(count_and_values(binder, plan, domain.width, &shown, &aggregate));
    *rows = kp_domain_join(binder, KP_JOIN_LEFT, *rows, &domain, by_first(binder, aggregate, plan, domain.width));
    return checked_value(binder, sub, &shown, left + domain.width);
}

/* ---- ANY, ALL ---- */

/* The comparison of the tests with a row of the subquery, as an expression in the subquery. */
static enum kp_code comparison(struct binder *binder, const struct sub *sub, struct kp_expr **ret_expr)
{
    struct kp_expr **left = kp_arena_alloc(binder->arena, (sub->test_count + 1) * sizeof *left);
    struct kp_expr **right = kp_arena_alloc(binder->arena, (sub->test_count + 1) * sizeof *right);
    for (uint32_t i = 0; i < sub->test_count; i++) {
        left[i] = kp_sub_test(binder, sub, i);
        right[i] = kp_bind_column(binder, i, sub->plan->cols[i].type, sub->location);
    }
    return kp_bind_rows_compare(binder, sub->operator_name, left, right, sub->test_count, sub->location, ret_expr);
}

static enum kp_code count_where(struct binder *binder, struct kp_expr *filter, struct kp_plan_agg *ret_agg)
{
    KP_TRY(kp_bind_aggregate(binder, "count", NULL, 0, -1, ret_agg));
    ret_agg->filter = filter;
    return KP_OK;
}

static struct kp_expr *is(struct binder *binder, enum kp_expr_kind kind, struct kp_expr *arg)
{
    struct kp_expr *expr = kp_bind_new(binder, kind, KP_TYPE(KP_BOOL), arg->location, 1);
    expr->args[0] = arg;
    kp_expr_settle(expr);
    return expr;
}

static enum kp_code above_zero(struct binder *binder, uint32_t column, struct kp_expr **ret_expr)
{
    struct kp_expr *zero = kp_bind_new(binder, KP_EXPR_CONST, KP_TYPE(KP_INT8), -1, 0);
    zero->datum.type = KP_TYPE(KP_INT8);
    return kp_bind_operator(binder, ">", kp_bind_column(binder, column, KP_TYPE(KP_INT8), -1), zero, -1, ret_expr);
}

/*
 * CASE WHEN some comparison decides THEN true (ANY) or false (ALL) WHEN some is NULL THEN NULL ELSE the other END over
 * an aggregate that counts them: a scalar subquery that reads the tests as columns around it.
 */
enum kp_code kp_sub_compared(struct binder *binder, struct sub *sub, struct kp_plan **rows)
{
    struct kp_expr *compare, *decided, *unknown;
    bool any = sub->kind == SUB_ANY;
    KP_TRY(comparison(binder, sub, &compare));
    struct kp_plan *plan = kp_bind_node(binder, KP_PLAN_AGGREGATE, sub->plan->location, 2, 1);
    plan->inputs[0] = sub->plan;
    plan->aggregate.agg_count = 2;
    plan->aggregate.aggs = kp_arena_calloc(binder->arena, 2 * sizeof *plan->aggregate.aggs);
    KP_TRY(
        count_where(binder, is(binder, any ? KP_EXPR_IS_TRUE : KP_EXPR_IS_FALSE, compare), &plan->aggregate.aggs[0]));
    KP_TRY(count_where(binder, is(binder, KP_EXPR_IS_NULL, compare), &plan->aggregate.aggs[1]));
    plan->cols[0] = (struct kp_column){"decided", plan->aggregate.aggs[0].type, true};
    plan->cols[1] = (struct kp_column){"unknown", plan->aggregate.aggs[1].type, true};
    KP_TRY(above_zero(binder, 0, &decided));
    KP_TRY(above_zero(binder, 1, &unknown));
    struct one_row one = {.aggregate = plan};
    one.value = kp_bind_choice(
        binder, decided, kp_bind_bool(binder, any),
        kp_bind_choice(binder, unknown, kp_bind_null(binder, KP_TYPE(KP_BOOL)), kp_bind_bool(binder, !any)));
    return aggregate_value(binder, sub, &one, rows);
}

/* A cast of the column that x is compared with, if it can fail, is computed below the join, as every row is compared.
 */
static enum kp_code cast_compared(struct binder *binder, struct sub *sub)
{
    struct kp_expr *equal, **exprs = kp_arena_alloc(binder->arena, sizeof *exprs);
    KP_TRY(kp_bind_operator(binder, "=", kp_sub_test(binder, sub, 0),
                            kp_bind_column(binder, 0, sub->plan->cols[0].type, sub->location), sub->location, &equal));
    if (equal->kind != KP_EXPR_CALL || equal->arg_count != 2 || !equal->args[1]->can_fail)
        return KP_OK;
    exprs[0] = equal->args[1];
    sub->plan = kp_bind_project(binder, sub->plan, exprs, NULL, 1);
    return KP_OK;
}

/*
 * x = ANY (…) that reads nothing of the query around: a left join with the distinct values and, in one row, whether
 * there are rows and whether one is NULL.
 */
enum kp_code kp_sub_one_of(struct binder *binder, struct sub *sub, struct kp_plan **rows)
{
    struct conjuncts conds = {0};
    struct kp_expr *some, *nulls, **flags = kp_arena_alloc(binder->arena, 2 * sizeof *flags);
    KP_TRY(cast_compared(binder, sub));
    struct kp_plan *counts = kp_bind_node(binder, KP_PLAN_AGGREGATE, sub->plan->location, 2, 1);
    kp_plan_shift_levels(binder, sub->plan, 1, -1);
    counts->inputs[0] = kp_plan_copy(sub->plan, binder->arena);
    counts->aggregate.agg_count = 2;
    counts->aggregate.aggs = kp_arena_calloc(binder->arena, 2 * sizeof *counts->aggregate.aggs);
    struct kp_expr *column = kp_bind_column(binder, 0, sub->plan->cols[0].type, -1);
    KP_TRY(count_where(binder, NULL, &counts->aggregate.aggs[0]));
    KP_TRY(count_where(binder, is(binder, KP_EXPR_IS_NULL, column), &counts->aggregate.aggs[1]));
    counts->cols[0] = (struct kp_column){"rows", counts->aggregate.aggs[0].type, true};
    counts->cols[1] = (struct kp_column){"nulls", counts->aggregate.aggs[1].type, true};
    KP_TRY(above_zero(binder, 0, &some));
    KP_TRY(above_zero(binder, 1, &nulls));
    flags[0] = some;
    flags[1] = nulls;
    uint32_t left = (*rows)->col_count;
    KP_TRY(kp_sub_test_conditions(binder, sub, &conds));
    struct kp_plan *join = kp_bind_join(binder, KP_JOIN_LEFT, *rows,
                                        kp_bind_distinct(binder, kp_sub_keys(binder, sub->plan, &conds, true)));
    kp_join_pulled(binder, sub->tests, join, &conds);
    *rows = kp_bind_join(binder, KP_JOIN_INNER, join,
                         kp_bind_distinct(binder, kp_bind_project(binder, counts, flags, NULL, 2)));
    struct kp_expr *null = kp_bind_null(binder, KP_TYPE(KP_BOOL)), *no = kp_bind_bool(binder, false);
    struct kp_expr *is_null = is(binder, KP_EXPR_IS_NULL, sub->tests[0]);
    struct kp_expr *has_null = kp_bind_column(binder, left + 3, KP_TYPE(KP_BOOL), -1);
    sub->value = kp_bind_choice(
        binder, kp_sub_found(binder, left + 1), kp_bind_bool(binder, true),
        kp_bind_choice(binder, kp_bind_column(binder, left + 2, KP_TYPE(KP_BOOL), -1),
                       kp_bind_choice(binder, is_null, null, kp_bind_choice(binder, has_null, null, no)), no));
    return KP_OK;
}
