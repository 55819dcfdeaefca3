/*
 * UNION, INTERSECT and EXCEPT, with and without ALL.
 *
 *   UNION ALL   Union          UNION   Distinct over it
 *   the others  Repeat ─ Filter ─ Project ─ Aggregate: by all columns; how many of the left, of the right ─ Union of
 * both sides, each with a column that says which it is
 *
 * A row that is l times on the left and r times on the right comes max(l - r, 0) times out of EXCEPT ALL and min(l, r)
 * times out of INTERSECT ALL (Repeat); without ALL once, where that is more than 0 and r is 0, or r is not.
 */
#include "sql/bind.h"

/* Where an output is written; of a set operation, in its first branch. */
static int32_t location_of(const struct kp_plan *plan, uint32_t column)
{
    for (;;) {
        const struct kp_expr *expr = NULL;
        if (plan->kind == KP_PLAN_PROJECT)
            expr = plan->project.exprs[column];
        else if (plan->kind == KP_PLAN_AGGREGATE && column < plan->aggregate.group_count)
            expr = plan->aggregate.groups[column];
        else if (plan->kind != KP_PLAN_UNION)
            return -1;
        if (expr && (expr->location >= 0 || expr->kind != KP_EXPR_COLUMN))
            return expr->location;
        column = expr ? expr->column : column;
        plan = plan->inputs[0];
    }
}

/* An output of a branch as an expression that a cast can be put on: a literal itself, else the column. */
static struct kp_expr *output_of(struct binder *binder, const struct kp_plan *plan, uint32_t column)
{
    if (plan->kind == KP_PLAN_PROJECT && plan->cols[column].type.id == KP_UNKNOWN)
        return plan->project.exprs[column];
    return kp_bind_column(binder, column, plan->cols[column].type, location_of(plan, column));
}

/* The branch with its columns cast to the common types. */
enum kp_code kp_union_branch(struct binder *binder, struct kp_plan *plan, const struct kp_column *cols,
                             struct kp_plan **ret_plan)
{
    bool same = true;
    for (uint32_t i = 0; i < plan->col_count; i++)
        same &= kp_type_equal(plan->cols[i].type, cols[i].type);
    *ret_plan = plan;
    if (same)
        return KP_OK;
    struct kp_expr **exprs = kp_arena_alloc(binder->arena, plan->col_count * sizeof *exprs);
    const char **names = kp_arena_alloc(binder->arena, plan->col_count * sizeof *names);
    for (uint32_t i = 0; i < plan->col_count; i++) {
        KP_TRY(kp_bind_coerce(binder, output_of(binder, plan, i), cols[i].type, COERCE_IMPLICIT, &exprs[i]));
        names[i] = cols[i].name;
    }
    *ret_plan = kp_bind_project(binder, plan, exprs, names, plan->col_count);
    return KP_OK;
}

enum kp_code kp_union_columns(struct binder *binder, const struct kp_plan *left, const struct kp_plan *right,
                              const char *what, struct kp_column *cols)
{
    for (uint32_t i = 0; i < left->col_count; i++) {
        struct kp_expr *both[2] = {output_of(binder, left, i), output_of(binder, right, i)};
        struct kp_type type;
        KP_TRY(kp_bind_common_type(binder, both, 2, what, &type));
        cols[i] = (struct kp_column){left->cols[i].name, type, left->cols[i].not_null && right->cols[i].not_null};
    }
    return KP_OK;
}

/* The inputs of a UNION ALL under a UNION ALL are its own. */
static void adopt(struct binder *binder, struct kp_plan *plan, struct kp_plan *left, struct kp_plan *right)
{
    uint32_t of_left = left->kind == KP_PLAN_UNION ? left->input_count : 1;
    plan->input_count = of_left + 1;
    plan->inputs = kp_arena_alloc(binder->arena, plan->input_count * sizeof(struct kp_plan *));
    if (left->kind == KP_PLAN_UNION)
        memcpy(plan->inputs, left->inputs, of_left * sizeof(struct kp_plan *));
    else
        plan->inputs[0] = left;
    plan->inputs[of_left] = right;
}

static const char *operation_name(const PgQuery__SelectStmt *select)
{
    return select->op == PG_QUERY__SET_OPERATION__SETOP_EXCEPT      ? "EXCEPT"
           : select->op == PG_QUERY__SET_OPERATION__SETOP_INTERSECT ? "INTERSECT"
                                                                    : "UNION";
}

/* The branch with a last column that says its side. */
static struct kp_plan *tag(struct binder *binder, struct kp_plan *plan, bool right)
{
    struct kp_expr **exprs = kp_arena_alloc(binder->arena, (plan->col_count + 1) * sizeof *exprs);
    const char **names = kp_arena_alloc(binder->arena, (plan->col_count + 1) * sizeof *names);
    for (uint32_t i = 0; i < plan->col_count; i++) {
        exprs[i] = kp_bind_column(binder, i, plan->cols[i].type, -1);
        names[i] = plan->cols[i].name;
    }
    exprs[plan->col_count] = kp_bind_bool(binder, right);
    names[plan->col_count] = "right";
    return kp_bind_project(binder, plan, exprs, names, plan->col_count + 1);
}

/* Each row once, with how often it is on the left and on the right behind its columns. */
static enum kp_code count_sides(struct binder *binder, struct kp_plan *both, struct kp_plan **ret_plan)
{
    uint32_t count = both->col_count - 1;
    struct kp_plan *plan = kp_bind_node(binder, KP_PLAN_AGGREGATE, -1, count + 2, 1);
    plan->inputs[0] = both;
    plan->aggregate.group_count = count;
    plan->aggregate.groups = kp_arena_alloc(binder->arena, (count + 1) * sizeof(struct kp_expr *));
    for (uint32_t i = 0; i < count; i++) {
        plan->aggregate.groups[i] = kp_bind_column(binder, i, both->cols[i].type, -1);
        plan->cols[i] = both->cols[i];
    }
    plan->aggregate.agg_count = 2;
    plan->aggregate.aggs = kp_arena_calloc(binder->arena, 2 * sizeof *plan->aggregate.aggs);
    for (uint32_t side = 0; side < 2; side++) {
        struct kp_plan_agg *agg = &plan->aggregate.aggs[side];
        struct kp_expr *right = kp_bind_column(binder, count, KP_TYPE(KP_BOOL), -1), *left;
        left = kp_bind_new(binder, KP_EXPR_NOT, KP_TYPE(KP_BOOL), -1, 1);
        left->args[0] = right;
        kp_expr_settle(left);
        KP_TRY(kp_bind_aggregate(binder, "count", NULL, 0, -1, agg));
        agg->filter = side ? right : left;
        plan->cols[count + side] = (struct kp_column){side ? "in_right" : "in_left", agg->type, true};
    }
    *ret_plan = plan;
    return KP_OK;
}

static struct kp_expr *zero(struct binder *binder)
{
    struct kp_expr *expr = kp_bind_new(binder, KP_EXPR_CONST, KP_TYPE(KP_INT8), -1, 0);
    expr->datum.type = KP_TYPE(KP_INT8);
    kp_expr_settle(expr);
    return expr;
}

/* Without ALL: the rows whose counts say so. With ALL: also how often. */
static enum kp_code compare_sides(struct binder *binder, bool except, bool all, struct kp_plan *plan,
                                  struct kp_plan **ret_plan)
{
    uint32_t count = plan->col_count - 2;
    struct kp_expr *left = kp_bind_column(binder, count, plan->cols[count].type, -1);
    struct kp_expr *right = kp_bind_column(binder, count + 1, plan->cols[count + 1].type, -1), *keep, *also, *times;
    if (except && all) {
        KP_TRY(kp_bind_operator(binder, ">", left, right, -1, &keep));
        KP_TRY(kp_bind_operator(binder, "-", left, right, -1, &times));
    } else {
        KP_TRY(kp_bind_operator(binder, ">", left, zero(binder), -1, &keep));
        KP_TRY(kp_bind_operator(binder, except ? "=" : ">", right, zero(binder), -1, &also));
        struct conjuncts conditions = {0};
        kp_conjuncts_add(binder, &conditions, keep);
        kp_conjuncts_add(binder, &conditions, also);
        keep = kp_bind_new(binder, KP_EXPR_AND, KP_TYPE(KP_BOOL), -1, conditions.count);
        memcpy(keep->args, conditions.exprs, conditions.count * sizeof *conditions.exprs);
        kp_expr_settle(keep);
        times = kp_bind_new(binder, KP_EXPR_CASE, KP_TYPE(KP_INT8), -1, 3);
        KP_TRY(kp_bind_operator(binder, "<", left, right, -1, &times->args[0]));
        times->args[1] = left;
        times->args[2] = right;
        kp_expr_settle(times);
    }
    plan = kp_bind_filter(binder, plan, keep);
    struct kp_expr **exprs = kp_arena_alloc(binder->arena, (count + 1) * sizeof *exprs);
    const char **names = kp_arena_alloc(binder->arena, (count + 1) * sizeof *names);
    for (uint32_t i = 0; i < count; i++) {
        exprs[i] = kp_bind_column(binder, i, plan->cols[i].type, -1);
        names[i] = plan->cols[i].name;
    }
    exprs[count] = times;
    names[count] = "times";
    *ret_plan = kp_bind_project(binder, plan, exprs, names, all ? count + 1 : count);
    return KP_OK;
}

static struct kp_plan *repeat(struct binder *binder, struct kp_plan *input)
{
    uint32_t count = input->col_count - 1;
    struct kp_plan *plan = kp_bind_node(binder, KP_PLAN_REPEAT, -1, input->col_count, 1);
    plan->inputs[0] = input;
    plan->repeat.column = count;
    memcpy(plan->cols, input->cols, input->col_count * sizeof *plan->cols);
    struct kp_expr **exprs = kp_arena_alloc(binder->arena, (count + 1) * sizeof *exprs);
    for (uint32_t i = 0; i < count; i++)
        exprs[i] = kp_bind_column(binder, i, plan->cols[i].type, -1);
    return kp_bind_project(binder, plan, exprs, NULL, count);
}

enum kp_code kp_bind_set_operation(struct binder *binder, const PgQuery__SelectStmt *select, struct kp_plan **ret_plan)
{
    struct kp_plan *left, *right, *plan;
    uint32_t count;
    bool emit = binder->emit_on_close, except = select->op == PG_QUERY__SET_OPERATION__SETOP_EXCEPT;
    bool is_union = select->op == PG_QUERY__SET_OPERATION__SETOP_UNION;
    const char *name = operation_name(select);
    const char *no_self = binder->no_self;
    bool intersect_all = select->op == PG_QUERY__SET_OPERATION__SETOP_INTERSECT && select->all;
    binder->keep_unknown = true;
    binder->no_self = intersect_all ? "INTERSECT" : no_self;
    KP_TRY(kp_bind_select(binder, select->larg, false, &left, &count));
    binder->no_self = except ? "EXCEPT" : intersect_all ? "INTERSECT" : no_self;
    binder->emit_on_close = emit;
    binder->keep_unknown = true;
    KP_TRY(kp_bind_select(binder, select->rarg, false, &right, &count));
    binder->keep_unknown = false;
    binder->no_self = no_self;
    if (left->col_count != right->col_count)
        return kp_bind_fail(binder, select->rarg->n_target_list ? kp_tree_location(select->rarg->target_list[0]) : -1,
                            KP_INVALID, "42601", "each %s query must have the same number of columns", name);
    plan = kp_bind_node(binder, KP_PLAN_UNION, -1, left->col_count + !is_union, 2);
    KP_TRY(kp_union_columns(binder, left, right, name, plan->cols));
    KP_TRY(kp_union_branch(binder, left, plan->cols, &left));
    KP_TRY(kp_union_branch(binder, right, plan->cols, &right));
    for (uint32_t i = 0; !(is_union && select->all) && i < left->col_count; i++)
        KP_TRY(kp_bind_must_compare(
            binder, plan->cols[i].type.id, "equality",
            select->larg->n_target_list == left->col_count ? kp_tree_location(select->larg->target_list[i]) : -1));
    if (is_union) {
        adopt(binder, plan, left, right);
        *ret_plan = select->all ? plan : kp_bind_distinct(binder, plan);
        return KP_OK;
    }
    plan->cols[left->col_count] = (struct kp_column){"right", KP_TYPE(KP_BOOL), true};
    plan->inputs[0] = tag(binder, left, false);
    plan->inputs[1] = tag(binder, right, true);
    KP_TRY(count_sides(binder, plan, &plan));
    KP_TRY(compare_sides(binder, except, select->all, plan, &plan));
    *ret_plan = select->all ? repeat(binder, plan) : plan;
    return KP_OK;
}
