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

/*
 * left UNION ALL right. The inputs of a UNION ALL on the left are its own; one that grows with a list has room for as
 * many as the next power of two, and stays the same plan while its columns' types do.
 */
static struct kp_plan *append(struct binder *binder, struct kp_plan *left, bool grows, struct kp_plan *right,
                              const struct kp_column *cols)
{
    uint32_t count = left->kind == KP_PLAN_UNION ? left->input_count : 1;
    struct kp_plan *plan = grows ? left : kp_bind_node(binder, KP_PLAN_UNION, -1, left->col_count, 0);
    if (!grows || (count & (count - 1)) == 0) {
        uint32_t room = 2;
        while (room <= count)
            room *= 2;
        struct kp_plan **inputs = kp_arena_alloc(binder->arena, room * sizeof(struct kp_plan *));
        if (left->kind == KP_PLAN_UNION)
            memcpy(inputs, left->inputs, count * sizeof(struct kp_plan *));
        else
            inputs[0] = left;
        plan->inputs = inputs;
    }
    plan->inputs[count] = right;
    plan->input_count = count + 1;
    memcpy(plan->cols, cols, plan->col_count * sizeof *cols);
    return plan;
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

/* One of a list of set operations, which nests to the left. */
struct operation {
    const PgQuery__SelectStmt *select;
    const char *no_self; /* where it and those below it stand, as a recursive query sees it */
};

/* The same for its branches. */
static const char *no_self_within(const struct operation *operation)
{
    bool intersect_all = operation->select->op == PG_QUERY__SET_OPERATION__SETOP_INTERSECT && operation->select->all;
    return intersect_all ? "INTERSECT" : operation->no_self;
}

/* What the operations so far have come to. */
struct so_far {
    struct kp_plan *plan;
    struct kp_plan *branches; /* its UNION ALL, which the next one may grow; NULL: none */
    uint32_t levels;          /* of what has not become one list */
};

static enum kp_code bind_branch(struct binder *binder, const PgQuery__SelectStmt *select, const char *no_self,
                                struct kp_plan **ret_plan)
{
    uint32_t count;
    bool emit = binder->emit_on_close;
    binder->no_self = no_self;
    binder->keep_unknown = true;
    KP_TRY(kp_bind_select(binder, select, false, ret_plan, &count));
    binder->keep_unknown = false;
    binder->emit_on_close = emit;
    return KP_OK;
}

/* UNION of branches whose columns are of the common types. */
static void unite(struct binder *binder, bool all, struct kp_plan *left, struct kp_plan *right,
                  const struct kp_column *cols, struct so_far *so_far)
{
    bool grows = so_far->branches && (left == so_far->branches || (!all && left == so_far->plan));
    if (!grows)
        so_far->levels++;
    so_far->branches = append(binder, grows ? so_far->branches : left, grows, right, cols);
    so_far->plan = all ? so_far->branches : kp_bind_distinct(binder, so_far->branches);
}

/* The operation of what is there with its right branch. */
static enum kp_code operate(struct binder *binder, const struct operation *operation, struct so_far *so_far)
{
    const PgQuery__SelectStmt *select = operation->select;
    struct kp_plan *left = so_far->plan, *right, *plan;
    bool except = select->op == PG_QUERY__SET_OPERATION__SETOP_EXCEPT;
    bool is_union = select->op == PG_QUERY__SET_OPERATION__SETOP_UNION;
    const char *name = operation_name(select);
    KP_TRY(bind_branch(binder, select->rarg, except ? "EXCEPT" : no_self_within(operation), &right));
    if (left->col_count != right->col_count)
        return kp_bind_fail(binder, select->rarg->n_target_list ? kp_tree_location(select->rarg->target_list[0]) : -1,
                            KP_INVALID, "42601", "each %s query must have the same number of columns", name);
    uint32_t count = left->col_count;
    struct kp_column *cols = kp_arena_alloc(binder->arena, (count + 1) * sizeof *cols);
    KP_TRY(kp_union_columns(binder, left, right, name, cols));
    KP_TRY(kp_union_branch(binder, left, cols, &left));
    KP_TRY(kp_union_branch(binder, right, cols, &right));
    for (uint32_t i = 0; !(is_union && select->all) && i < count; i++)
        KP_TRY(kp_bind_must_compare(
            binder, cols[i].type.id, "equality",
            select->larg->n_target_list == count ? kp_tree_location(select->larg->target_list[i]) : -1));
    if (is_union) {
        unite(binder, select->all, left, right, cols, so_far);
        return KP_OK;
    }
    plan = kp_bind_node(binder, KP_PLAN_UNION, -1, count + 1, 2);
    memcpy(plan->cols, cols, count * sizeof *cols);
    plan->cols[count] = (struct kp_column){"right", KP_TYPE(KP_BOOL), true};
    plan->inputs[0] = tag(binder, left, false);
    plan->inputs[1] = tag(binder, right, true);
    KP_TRY(count_sides(binder, plan, &plan));
    KP_TRY(compare_sides(binder, except, select->all, plan, &plan));
    *so_far = (struct so_far){select->all ? repeat(binder, plan) : plan, NULL, so_far->levels + 1};
    return KP_OK;
}

/* The left argument is a set operation of the same list: nothing is said of it alone. */
static bool goes_on(const PgQuery__SelectStmt *select)
{
    return select->op != PG_QUERY__SET_OPERATION__SETOP_NONE && !select->with_clause && !select->n_sort_clause &&
           !select->limit_count && !select->limit_offset && !select->n_locking_clause;
}

enum kp_code kp_bind_set_operation(struct binder *binder, const PgQuery__SelectStmt *select, struct kp_plan **ret_plan)
{
    const char *no_self = binder->no_self;
    uint32_t count = 1;
    for (const PgQuery__SelectStmt *left = select->larg; goes_on(left); left = left->larg)
        count++;
    struct operation *operations = kp_arena_alloc(binder->arena, count * sizeof *operations);
    operations[count - 1] = (struct operation){select, no_self};
    for (uint32_t i = count - 1; i > 0; i--)
        operations[i - 1] = (struct operation){operations[i].select->larg, no_self_within(&operations[i])};
    struct so_far so_far = {0};
    KP_TRY(bind_branch(binder, operations[0].select->larg, no_self_within(&operations[0]), &so_far.plan));
    for (uint32_t i = 0; i < count; i++) {
        if (so_far.levels >= KP_SQL_DEPTH_MAX)
            return kp_bind_fail(binder, -1, KP_LIMIT, "54001", "statement is nested too deeply");
        KP_TRY(operate(binder, &operations[i], &so_far));
    }
    binder->no_self = no_self;
    *ret_plan = so_far.plan;
    return KP_OK;
}
