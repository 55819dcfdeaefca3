/*
 * Conditions of a subquery that read the query around it, taken out of its plan, so that the subquery can be computed
 * once for all rows of that query and joined to it:
 *
 *   EXISTS (SELECT … FROM t WHERE t.x = o.x AND t.y > 1)       t filtered by y > 1, and the condition x = o.x
 *   (SELECT max(y) … GROUP BY z … WHERE t.x = o.x)             the same, with x one more group
 *
 * What a condition reads is passed up through the nodes on its way as further columns behind theirs. An aggregate, a
 * top-N and window functions let only equalities pass: the column becomes a group, a partition. Where anything else
 * stands in the way the answer is no, and the subquery is unnested (unnest.c).
 */
#include "sql/bind.h"

struct pull {
    struct binder *binder;
    bool equalities;
};

/* conds are over outer columns and the columns of the plan that is returned; NULL: it cannot be done. */
static struct kp_plan *pull(const struct pull *self, struct kp_plan *plan, struct conjuncts *conds);

bool kp_correlated_equality(const struct kp_expr *expr, struct kp_expr **ret_outer, struct kp_expr **ret_own)
{
    if (expr->kind != KP_EXPR_CALL || expr->func->kind != KP_FUNC_OPERATOR || expr->arg_count != 2 ||
        strcmp(expr->func->name, "=") != 0)
        return false;
    for (uint32_t side = 0; side < 2; side++) {
        struct kp_expr *outer = expr->args[side], *own = expr->args[1 - side];
        if (kp_expr_reads_own(outer) || !kp_expr_reads_level(outer, 1) || kp_expr_reads_level(own, 1) ||
            !kp_expr_reads_own(own) || own->can_fail)
            continue;
        *ret_outer = outer;
        *ret_own = own;
        return true;
    }
    return false;
}

/* ---- conditions on their way up ---- */

struct passing {
    struct binder *binder;
    struct kp_plan *plan; /* a PROJECT, which gains columns */
};

static uint32_t pass_column(const struct passing *passing, uint32_t column, struct kp_type type)
{
    struct kp_plan *plan = passing->plan;
    for (uint32_t i = 0; i < plan->col_count; i++)
        if (plan->project.exprs[i]->kind == KP_EXPR_COLUMN && plan->project.exprs[i]->column == column)
            return i;
    uint32_t count = plan->col_count;
    struct kp_expr **exprs = kp_arena_alloc(passing->binder->arena, (count + 1) * sizeof *exprs);
    struct kp_column *cols = kp_arena_alloc(passing->binder->arena, (count + 1) * sizeof *cols);
    memcpy(exprs, plan->project.exprs, count * sizeof *exprs);
    memcpy(cols, plan->cols, count * sizeof *cols);
    exprs[count] = kp_bind_column(passing->binder, column, plan->inputs[0]->cols[column].type, -1);
    cols[count] = plan->inputs[0]->cols[column];
    plan->project.exprs = exprs;
    plan->cols = cols;
    plan->col_count++;
    return count;
}

static struct kp_expr *pass_node(const struct kp_expr *expr, struct kp_arena *arena, void *arg)
{
    if (expr->kind != KP_EXPR_COLUMN || kp_is_outer(expr->column))
        return NULL;
    struct kp_expr *copy = kp_arena_alloc(arena, sizeof *copy);
    *copy = *expr;
    copy->column = pass_column(arg, expr->column, expr->type);
    return copy;
}

/* The conditions over the projection's columns. */
static void pass_all(struct binder *binder, struct kp_plan *project, struct conjuncts *conds)
{
    struct passing passing = {binder, project};
    for (uint32_t i = 0; i < conds->count; i++)
        conds->exprs[i] = kp_expr_copy(conds->exprs[i], binder->arena, pass_node, &passing);
}

/* ---- nodes ---- */

static struct kp_plan *pull_filter(const struct pull *self, struct kp_plan *plan, struct conjuncts *conds)
{
    struct conjuncts all = {0}, rest = {0};
    kp_conjuncts_add(self->binder, &all, plan->filter.predicate);
    struct kp_plan *input = pull(self, plan->inputs[0], conds);
    if (!input)
        return NULL;
    for (uint32_t i = 0; i < all.count; i++) {
        struct kp_expr *outer, *own;
        if (!kp_expr_reads_level(all.exprs[i], 1))
            kp_conjuncts_add(self->binder, &rest, all.exprs[i]);
        else if (self->equalities && !kp_correlated_equality(all.exprs[i], &outer, &own))
            return NULL;
        else
            kp_conjuncts_add(self->binder, conds, all.exprs[i]);
    }
    return kp_push_all(self->binder, input, &rest);
}

static struct kp_plan *pull_project(const struct pull *self, struct kp_plan *plan, struct conjuncts *conds)
{
    if (kp_node_reads_level(plan, 1))
        return NULL;
    struct kp_plan *input = pull(self, plan->inputs[0], conds);
    if (!input)
        return NULL;
    plan->inputs[0] = input;
    pass_all(self->binder, plan, conds);
    return plan;
}

static bool keys_read_level(const struct kp_plan *join)
{
    for (uint32_t k = 0; k < join->join.key_count; k++)
        if (kp_expr_reads_level(join->join.left_keys[k], 1) || kp_expr_reads_level(join->join.right_keys[k], 1))
            return true;
    return false;
}

/* Left's columns, what is new on the left, right's: back to left's, right's. Conditions already are over the former. */
static struct kp_plan *restore_join(struct binder *binder, struct kp_plan *join, uint32_t left, uint32_t more,
                                    uint32_t right, struct conjuncts *conds)
{
    if (more == 0)
        return join;
    struct kp_expr **exprs = kp_arena_alloc(binder->arena, (left + right + 1) * sizeof *exprs);
    for (uint32_t i = 0; i < left + right; i++) {
        uint32_t at = i < left ? i : i + more;
        exprs[i] = kp_bind_column(binder, at, join->cols[at].type, -1);
    }
    struct kp_plan *plan = kp_bind_project(binder, join, exprs, NULL, left + right);
    pass_all(binder, plan, conds);
    return plan;
}

static struct kp_plan *pull_join(const struct pull *self, struct kp_plan *plan, struct conjuncts *conds)
{
    struct binder *binder = self->binder;
    enum kp_join_kind kind = plan->join.kind;
    bool inner = kind == KP_JOIN_INNER, narrow = kind == KP_JOIN_SEMI || kind == KP_JOIN_ANTI;
    uint32_t left = plan->inputs[0]->col_count, right = plan->inputs[1]->col_count;
    if (kind == KP_JOIN_RIGHT || kind == KP_JOIN_FULL || keys_read_level(plan) ||
        (!inner && (kp_plan_reads_level(plan->inputs[1], 1) ||
                    (plan->join.residual && kp_expr_reads_level(plan->join.residual, 1)))))
        return NULL;
    struct conjuncts of_right = {0}, residual = {0};
    struct kp_plan *left_plan = pull(self, plan->inputs[0], conds);
    struct kp_plan *right_plan = left_plan ? pull(self, plan->inputs[1], &of_right) : NULL;
    if (!right_plan)
        return NULL;
    uint32_t more = left_plan->col_count - left, right_now = right_plan->col_count;
    uint32_t *map = kp_arena_alloc(binder->arena, (left + right + right_now + 1) * sizeof *map);
    for (uint32_t i = 0; i < left + right; i++)
        map[i] = i < left ? i : i + more;
    struct kp_plan *join = kp_bind_join(binder, kind, left_plan, right_plan);
    join->join = plan->join;
    join->join.residual = NULL;
    if (plan->join.residual)
        kp_conjuncts_add(binder, &residual, kp_expr_remap(binder, plan->join.residual, map));
    for (uint32_t i = 0; i < residual.count; i++) {
        struct kp_expr *outer, *own, *condition = residual.exprs[i];
        if (!kp_expr_reads_level(condition, 1))
            kp_join_condition(binder, join, condition);
        else if (self->equalities && !kp_correlated_equality(condition, &outer, &own))
            return NULL;
        else
            kp_conjuncts_add(binder, conds, condition);
    }
    for (uint32_t i = 0; i < right_now; i++)
        map[i] = left + more + i;
    for (uint32_t i = 0; i < of_right.count; i++)
        kp_conjuncts_add(binder, conds, kp_expr_remap(binder, of_right.exprs[i], map));
    return narrow ? join : restore_join(binder, join, left, more, right, conds);
}

/* Each condition's own side as an expression; false if one is no equality. */
static bool own_sides(const struct pull *self, const struct conjuncts *conds, struct kp_expr **owns)
{
    for (uint32_t i = 0; i < conds->count; i++) {
        struct kp_expr *outer;
        if (!kp_correlated_equality(conds->exprs[i], &outer, &owns[i]))
            return false;
    }
    return true;
}

/* The equality with another own side. */
static struct kp_expr *with_own(struct binder *binder, const struct kp_expr *condition, const struct kp_expr *own,
                                struct kp_expr *now)
{
    struct kp_expr *copy = kp_arena_alloc(binder->arena, sizeof *copy);
    *copy = *condition;
    copy->args = kp_arena_alloc(binder->arena, 2 * sizeof(struct kp_expr *));
    for (uint32_t side = 0; side < 2; side++)
        copy->args[side] = condition->args[side] == own ? now : condition->args[side];
    kp_expr_settle(copy);
    return copy;
}

static struct kp_plan *pull_aggregate(const struct pull *self, struct kp_plan *plan, struct conjuncts *conds)
{
    struct binder *binder = self->binder;
    uint32_t groups = plan->aggregate.group_count, aggs = plan->aggregate.agg_count;
    if (groups == 0 || kp_node_reads_level(plan, 1))
        return NULL;
    struct kp_plan *input = pull(self, plan->inputs[0], conds);
    struct kp_expr **owns = kp_arena_calloc(binder->arena, (conds->count + 1) * sizeof *owns);
    if (!input || !own_sides(self, conds, owns))
        return NULL;
    uint32_t more = conds->count;
    struct kp_plan *wider = kp_bind_node(binder, KP_PLAN_AGGREGATE, plan->location, groups + more + aggs, 1);
    wider->inputs[0] = input;
    wider->aggregate = plan->aggregate;
    wider->aggregate.group_count = groups + more;
    wider->aggregate.groups = kp_arena_alloc(binder->arena, (groups + more) * sizeof(struct kp_expr *));
    memcpy(wider->aggregate.groups, plan->aggregate.groups, groups * sizeof(struct kp_expr *));
    memcpy(wider->cols, plan->cols, groups * sizeof *plan->cols);
    memcpy(wider->cols + groups + more, plan->cols + groups, aggs * sizeof *plan->cols);
    struct kp_expr **exprs = kp_arena_alloc(binder->arena, (groups + aggs + 1) * sizeof *exprs);
    for (uint32_t i = 0; i < groups + aggs; i++) {
        uint32_t at = i < groups ? i : i + more;
        exprs[i] = kp_bind_column(binder, at, wider->cols[at].type, -1);
    }
    for (uint32_t i = 0; i < more; i++) {
        wider->aggregate.groups[groups + i] = owns[i];
        wider->cols[groups + i] = (struct kp_column){"key", owns[i]->type, false};
        conds->exprs[i] = with_own(binder, conds->exprs[i], owns[i],
                                   kp_bind_column(binder, groups + i, owns[i]->type, owns[i]->location));
    }
    struct kp_plan *project = kp_bind_project(binder, wider, exprs, NULL, groups + aggs);
    pass_all(binder, project, conds);
    return project;
}

/* The conditions' own sides as columns behind the plan's; false if one is no equality. */
static struct kp_plan *owns_as_columns(const struct pull *self, struct kp_plan *input, struct conjuncts *conds,
                                       uint32_t **ret_columns)
{
    struct binder *binder = self->binder;
    struct kp_expr **owns = kp_arena_calloc(binder->arena, (conds->count + 1) * sizeof *owns);
    if (!own_sides(self, conds, owns))
        return NULL;
    uint32_t count = input->col_count, *columns = kp_arena_calloc(binder->arena, (conds->count + 1) * sizeof *columns);
    struct kp_expr **exprs = kp_arena_alloc(binder->arena, (count + conds->count) * sizeof *exprs);
    for (uint32_t i = 0; i < count; i++)
        exprs[i] = kp_bind_column(binder, i, input->cols[i].type, -1);
    for (uint32_t i = 0; i < conds->count; i++) {
        columns[i] = owns[i]->kind == KP_EXPR_COLUMN ? owns[i]->column : count;
        if (owns[i]->kind == KP_EXPR_COLUMN)
            continue;
        exprs[count] = owns[i];
        conds->exprs[i] = with_own(binder, conds->exprs[i], owns[i], kp_bind_column(binder, count, owns[i]->type, -1));
        count++;
    }
    *ret_columns = columns;
    return count == input->col_count ? input : kp_bind_project(binder, input, exprs, NULL, count);
}

static struct kp_plan *pull_topn(const struct pull *self, struct kp_plan *plan, struct conjuncts *conds)
{
    uint32_t *columns, count = plan->col_count;
    struct kp_plan *input = pull(self, plan->inputs[0], conds);
    if (!input || !(input = owns_as_columns(self, input, conds, &columns)))
        return NULL;
    struct kp_plan *limited = kp_topn_by_partition(self->binder, plan, input, 0, columns, conds->count);
    struct kp_plan *project = kp_bind_first_columns(self->binder, limited, count); /* there is the row's number */
    pass_all(self->binder, project, conds);
    return project;
}

static struct kp_plan *pull_over(const struct pull *self, struct kp_plan *plan, struct conjuncts *conds)
{
    struct binder *binder = self->binder;
    uint32_t *columns, in = plan->inputs[0]->col_count, calls = plan->over.call_count;
    struct kp_plan *input = pull(self, plan->inputs[0], conds);
    if (!input || !(input = owns_as_columns(self, input, conds, &columns)))
        return NULL;
    struct kp_plan *over = kp_bind_node(binder, KP_PLAN_OVER, plan->location, input->col_count + calls, 1);
    over->inputs[0] = input;
    over->over = plan->over;
    uint32_t count = plan->over.partition_count;
    over->over.partitions = kp_arena_alloc(binder->arena, (count + conds->count + 1) * sizeof(uint32_t));
    if (count)
        memcpy(over->over.partitions, plan->over.partitions, count * sizeof(uint32_t));
    for (uint32_t i = 0; i < conds->count; i++)
        over->over.partitions[count++] = columns[i];
    over->over.partition_count = count;
    memcpy(over->cols, input->cols, input->col_count * sizeof *over->cols);
    memcpy(over->cols + input->col_count, plan->cols + in, calls * sizeof *over->cols);
    struct kp_expr **exprs = kp_arena_alloc(binder->arena, (in + calls + 1) * sizeof *exprs);
    for (uint32_t i = 0; i < in + calls; i++) {
        uint32_t at = i < in ? i : i - in + input->col_count;
        exprs[i] = kp_bind_column(binder, at, over->cols[at].type, -1);
    }
    struct kp_plan *project = kp_bind_project(binder, over, exprs, NULL, in + calls);
    pass_all(binder, project, conds);
    return project;
}

/* The input's new columns stand between the old ones and the functions': they are passed on behind these. */
static struct kp_plan *pull_expand(const struct pull *self, struct kp_plan *plan, struct conjuncts *conds)
{
    struct binder *binder = self->binder;
    uint32_t in = plan->inputs[0]->col_count, made = plan->col_count - in;
    if (kp_node_reads_level(plan, 1))
        return NULL;
    struct kp_plan *input = pull(self, plan->inputs[0], conds);
    if (!input)
        return NULL;
    uint32_t now = input->col_count;
    struct kp_plan *wider = kp_bind_node(binder, KP_PLAN_EXPAND, plan->location, now + made, 1);
    wider->inputs[0] = input;
    wider->expand = plan->expand;
    memcpy(wider->cols, input->cols, now * sizeof *wider->cols);
    memcpy(wider->cols + now, plan->cols + in, made * sizeof *wider->cols);
    return restore_join(binder, wider, in, now - in, made, conds);
}

static struct kp_plan *pull(const struct pull *self, struct kp_plan *plan, struct conjuncts *conds)
{
    if (!kp_plan_reads_level(plan, 1))
        return plan;
    switch (plan->kind) {
    case KP_PLAN_FILTER:
        return pull_filter(self, plan, conds);
    case KP_PLAN_PROJECT:
        return pull_project(self, plan, conds);
    case KP_PLAN_JOIN:
        return pull_join(self, plan, conds);
    case KP_PLAN_AGGREGATE:
        return pull_aggregate(self, plan, conds);
    case KP_PLAN_TOPN:
        return pull_topn(self, plan, conds);
    case KP_PLAN_OVER:
        return pull_over(self, plan, conds);
    case KP_PLAN_EXPAND:
        return pull_expand(self, plan, conds);
    case KP_PLAN_SORT:
        return pull(self, plan->inputs[0], conds);
    default:
        return NULL;
    }
}

bool kp_pull(struct binder *binder, const struct kp_plan *plan, bool equalities, struct kp_plan **ret_plan,
             struct conjuncts *ret_conditions)
{
    struct pull self = {binder, equalities};
    struct conjuncts conds = {0};
    struct kp_plan *pulled = pull(&self, kp_plan_copy(plan, binder->arena), &conds);
    if (!pulled)
        return false;
    *ret_plan = pulled;
    *ret_conditions = conds;
    return true;
}
