/*
 * One SELECT: FROM, WHERE, the select list, GROUP BY, HAVING, DISTINCT, ORDER BY; set operations and VALUES around it.
 *
 *   joins ─ WHERE ─► [Aggregate ─► [Emit] ─ HAVING] ─► [Over] ─► [Expand] ─► Project ─► [Distinct, or its ON] ─► [TopN]
 * ─► [Sort at an ad-hoc root]
 */
#include "os/thread.h"
#include "sql/bind.h"

void kp_targets_add(struct binder *binder, struct targets *targets, struct target target)
{
    if (targets->count == targets->cap) {
        targets->cap = targets->cap ? targets->cap * 2 : 8;
        struct target *more = kp_arena_alloc(binder->arena, targets->cap * sizeof *more);
        if (targets->count)
            memcpy(more, targets->items, targets->count * sizeof *more);
        targets->items = more;
    }
    targets->items[targets->count++] = target;
}

/* ---- the select list ---- */

enum kp_code kp_bind_star(struct binder *binder, const PgQuery__ColumnRef *ref, const struct scope *scope,
                          struct targets *targets)
{
    const char *relation;
    KP_TRY(kp_scope_star(binder, scope, ref, &relation));
    if (!relation && scope->count == 0)
        return kp_bind_fail(binder, ref->location, KP_INVALID, "42601",
                            "SELECT * with no tables specified is not valid");
    const uint32_t *order = kp_scope_order(binder, scope, 0);
    for (uint32_t i = 0; i < scope->count; i++) {
        const struct scope_column *column = &scope->cols[relation ? i : order[i]];
        bool wanted = relation ? column->relation && strcmp(column->relation, relation) == 0 : !column->qualified_only;
        if (column->hidden || !wanted)
            continue;
        struct kp_expr *expr = kp_bind_column(binder, column->index, column->type, ref->location);
        kp_targets_add(binder, targets, (struct target){expr, column->name, NULL});
    }
    return KP_OK;
}

bool kp_bind_is_star(const PgQuery__Node *node)
{
    return node->node_case == PG_QUERY__NODE__NODE_COLUMN_REF &&
           node->column_ref->fields[node->column_ref->n_fields - 1]->node_case == PG_QUERY__NODE__NODE_A_STAR;
}

enum kp_code kp_bind_targets(struct binder *binder, const struct expr_place *place, PgQuery__Node *const *list,
                             size_t count, bool keep_unknown, struct targets *targets)
{
    for (size_t i = 0; i < count; i++) {
        const PgQuery__ResTarget *item = list[i]->res_target;
        if (kp_bind_is_star(item->val)) {
            KP_TRY(kp_bind_star(binder, item->val->column_ref, place->scope, targets));
            continue;
        }
        bool indirect = item->val->node_case == PG_QUERY__NODE__NODE_A_INDIRECTION;
        const PgQuery__FuncCall *set = indirect ? kp_bind_set_fields(item->val->a_indirection) : NULL;
        if (set && item->val->a_indirection->indirection[0]->node_case == PG_QUERY__NODE__NODE_A_STAR) {
            KP_TRY(kp_bind_set_star(binder, place, set, targets));
            continue;
        }
        if (kp_bind_is_row_star(item->val)) {
            KP_TRY(kp_bind_row_star(binder, place, item->val->a_indirection, targets));
            continue;
        }
        struct kp_expr *expr;
        KP_TRY(kp_bind_expr(binder, place, item->val, &expr));
        if (!keep_unknown)
            KP_TRY(kp_bind_settle_unknown(binder, expr, &expr));
        kp_targets_add(binder, targets,
                       (struct target){expr, item->name[0] ? item->name : kp_bind_output_name(item->val), item->val});
    }
    if (targets->count > KP_COLUMNS_MAX)
        return kp_bind_fail(binder, list[count - 1]->res_target->location, KP_LIMIT, "54011",
                            "target lists can have at most %d entries", KP_COLUMNS_MAX);
    return KP_OK;
}

static struct kp_plan *project_targets(struct binder *binder, struct kp_plan *input, const struct targets *targets)
{
    struct kp_expr **exprs = kp_arena_alloc(binder->arena, (targets->count + 1) * sizeof *exprs);
    const char **names = kp_arena_alloc(binder->arena, (targets->count + 1) * sizeof *names);
    for (uint32_t i = 0; i < targets->count; i++) {
        exprs[i] = targets->items[i].expr;
        names[i] = targets->items[i].name;
    }
    return kp_bind_project(binder, input, exprs, names, targets->count);
}

/* ---- aggregation ---- */

struct kp_plan *kp_bind_aggregate_node(struct binder *binder, struct kp_plan *input, const struct grouping *grouping)
{
    uint32_t agg_count = grouping->aggs->count;
    struct kp_plan *plan = kp_bind_node(binder, KP_PLAN_AGGREGATE, input->location, grouping->count + agg_count, 1);
    plan->inputs[0] = input;
    plan->aggregate.group_count = grouping->count;
    plan->aggregate.groups = grouping->groups;
    plan->aggregate.agg_count = agg_count;
    plan->aggregate.aggs = grouping->aggs->aggs;
    for (uint32_t g = 0; g < grouping->count; g++) {
        const struct kp_expr *group = grouping->groups[g];
        const char *name = "?column?";
        bool not_null = false;
        if (group->kind == KP_EXPR_COLUMN && group->column < input->col_count) {
            name = input->cols[group->column].name;
            not_null = input->cols[group->column].not_null;
        }
        plan->cols[g] = (struct kp_column){name, group->type, not_null};
    }
    for (uint32_t a = 0; a < agg_count; a++)
        plan->cols[grouping->count + a] =
            (struct kp_column){plan->aggregate.aggs[a].agg->name, plan->aggregate.aggs[a].type,
                               strcmp(plan->aggregate.aggs[a].agg->name, "count") == 0};
    return plan;
}

/* The first column that is of no group's expression; NULL: there is none. */
static const struct kp_expr *ungrouped(const struct kp_expr *expr, const struct grouping *grouping)
{
    for (uint32_t g = 0; g < grouping->count; g++)
        if (kp_expr_equal(expr, grouping->groups[g]))
            return NULL;
    if (expr->kind == KP_EXPR_COLUMN)
        return kp_is_outer(expr->column) ? NULL : expr;
    const struct kp_expr *found = NULL;
    for (uint32_t i = 0; i < expr->arg_count && !found; i++)
        found = ungrouped(expr->args[i], grouping);
    return found;
}

/* f(direct) WITHIN GROUP (…): what is direct is one value for the group. */
static enum kp_code check_direct(struct binder *binder, const struct grouping *grouping)
{
    for (uint32_t a = 0; a < grouping->aggs->count; a++) {
        const struct kp_plan_agg *agg = &grouping->aggs->aggs[a];
        for (uint32_t i = 0; agg->agg->flags & KP_AGG_WITHIN && i + agg->order_count < agg->arg_count; i++) {
            const struct kp_expr *column = ungrouped(agg->args[i], grouping);
            if (!column)
                continue;
            kp_bind_fail(binder, column->location, KP_INVALID, "42803",
                         "a column must appear in the GROUP BY clause or be used in an aggregate function");
            return kp_error_detail(binder->err,
                                   "Direct arguments of an ordered-set aggregate must use only grouped columns.");
        }
    }
    return KP_OK;
}

/* One SELECT while it is being bound. */
struct query {
    struct query_joins joins;
    struct scope scope;
    struct agg_list aggs;
    struct grouping_list groupings;
    struct over_list overs;
    struct sub_list subs; /* of everything but WHERE and ON */
    struct set_list sets; /* set-returning functions of the select list */
    struct targets targets;
    uint32_t *on, on_count; /* DISTINCT ON: targets */
    bool late_sets;         /* what is left by it is expanded: no set-returning function decides which rows are */
    struct kp_expr *having;
    bool grouped, distinct, emit, keep_unknown;
    struct order order;
    uint32_t visible, group_count;
    const struct kp_base_column *bases;
    struct kp_plan *never; /* it has no rows, whatever happens: that is the plan */
};

static enum kp_code over_above_groups(struct binder *binder, const struct grouping *grouping, struct over_item *item)
{
    struct kp_expr **const lists[] = {item->partitions, item->orders, item->args};
    const uint32_t counts[] = {item->partition_count, item->order_count, item->arg_count};
    for (uint32_t l = 0; l < 3; l++)
        for (uint32_t i = 0; i < counts[l]; i++)
            KP_TRY(kp_bind_above_groups(binder, grouping, lists[l][i], &lists[l][i]));
    return item->filter ? kp_bind_above_groups(binder, grouping, item->filter, &item->filter) : KP_OK;
}

/* The columns that tell the rows above the input or its groups apart, and room for more: all of FROM, or all groups. */
static uint32_t *row_columns(struct binder *binder, const struct query *query, const struct kp_plan *plan,
                             uint32_t more, uint32_t *ret_count)
{
    uint32_t count = 0, *columns;
    columns = kp_arena_alloc(binder->arena, (plan->col_count + query->scope.count + more) * sizeof *columns);
    if (query->grouped)
        for (; count < query->group_count; count++)
            columns[count] = count;
    for (uint32_t i = 0; !query->grouped && i < query->scope.count; i++)
        if (!query->scope.cols[i].hidden)
            columns[count++] = query->scope.cols[i].index;
    *ret_count = count;
    return columns;
}

/* Window functions above the input or its groups. */
static struct kp_plan *plan_overs(struct binder *binder, struct query *query, struct kp_plan *plan)
{
    uint32_t count, *ties = row_columns(binder, query, plan, 0, &count);
    struct targets all = {0}; /* what reads the functions */
    for (uint32_t i = 0; i < query->targets.count; i++)
        kp_targets_add(binder, &all, query->targets.items[i]);
    for (uint32_t c = 0; c < query->sets.call_count; c++)
        for (uint32_t a = 0; a < query->sets.calls[c].arg_count; a++)
            kp_targets_add(binder, &all, (struct target){query->sets.calls[c].args[a], "", NULL});
    plan = kp_bind_overs(binder, &query->overs, ties, count, &all, plan);
    uint32_t at = 0;
    for (; at < query->targets.count; at++)
        query->targets.items[at].expr = all.items[at].expr;
    for (uint32_t c = 0; c < query->sets.call_count; c++)
        for (uint32_t a = 0; a < query->sets.calls[c].arg_count; a++)
            query->sets.calls[c].args[a] = all.items[at++].expr;
    return plan;
}

/* ---- subqueries ---- */

/* Expressions that subqueries' values are put into. */
struct slots {
    struct kp_expr ***items;
    uint32_t count, cap;
};

static void add_slot(struct binder *binder, struct slots *slots, struct kp_expr **expr)
{
    if (slots->count == slots->cap) {
        slots->cap = slots->cap ? slots->cap * 2 : 16;
        struct kp_expr ***more = kp_arena_alloc(binder->arena, slots->cap * sizeof *more);
        if (slots->count)
            memcpy(more, slots->items, slots->count * sizeof *more);
        slots->items = more;
    }
    slots->items[slots->count++] = expr;
}

static void add_slots(struct binder *binder, struct slots *slots, struct kp_expr **exprs, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        add_slot(binder, slots, &exprs[i]);
}

/* Subqueries in GROUP BY and in aggregates' arguments are joined below the aggregate. */
static enum kp_code subs_below_groups(struct binder *binder, struct query *query, struct grouping *grouping,
                                      struct kp_plan **plan)
{
    struct slots slots = {0}, sets = {0};
    struct kp_expr **before = kp_arena_alloc(binder->arena, (grouping->count + 1) * sizeof *before);
    if (grouping->count)
        memcpy(before, grouping->groups, grouping->count * sizeof *before);
    add_slots(binder, &slots, grouping->groups, grouping->count);
    add_slots(binder, &sets, grouping->groups, grouping->count);
    const bool *wanted = kp_sets_wanted(binder, &query->sets, sets.items, sets.count);
    for (uint32_t c = 0; c < query->sets.call_count; c++)
        if (wanted[c])
            add_slots(binder, &slots, query->sets.calls[c].args, query->sets.calls[c].arg_count);
    for (uint32_t a = 0; a < query->aggs.count; a++) {
        add_slots(binder, &slots, query->aggs.aggs[a].args, query->aggs.aggs[a].arg_count);
        if (query->aggs.aggs[a].filter)
            add_slot(binder, &slots, &query->aggs.aggs[a].filter);
    }
    KP_TRY(kp_subs_apply(binder, &query->subs, slots.items, slots.count, plan));
    kp_sets_apply(binder, &query->sets, sets.items, sets.count, plan);
    grouping->written = before; /* the targets still have them so */
    return KP_OK;
}

struct regroup {
    struct binder *binder;
    const struct grouping *grouping;
    enum kp_code code;
};

/* A column around a subquery becomes the group that it is. */
static struct kp_expr *outer_to_group(const struct kp_expr *expr, struct kp_arena *arena, void *arg)
{
    struct regroup *regroup = arg;
    if (expr->kind != KP_EXPR_COLUMN || !kp_is_outer(expr->column) || kp_outer_level(expr->column) != 1)
        return NULL;
    if (kp_outer_column(expr->column) >= KP_OUTER_AGG) {
        struct kp_expr *agg = kp_arena_alloc(arena, sizeof *agg);
        *agg = *expr;
        agg->column = expr->column - KP_OUTER_AGG + regroup->grouping->count;
        return agg;
    }
    struct kp_expr *column = kp_bind_column(regroup->binder, kp_outer_column(expr->column), expr->type, expr->location);
    const struct scope *scope = regroup->grouping->scope;
    for (uint32_t g = 0; g < regroup->grouping->count; g++) {
        const struct kp_expr *group = regroup->grouping->groups[g];
        if (group->kind != KP_EXPR_COLUMN || group->column != column->column)
            continue;
        struct kp_expr *copy = kp_arena_alloc(arena, sizeof *copy);
        *copy = *expr;
        copy->column = KP_OUTER_BASE + g;
        return copy;
    }
    for (uint32_t i = 0; i < scope->count && regroup->code == KP_OK; i++)
        if (scope->cols[i].index == column->column)
            regroup->code = kp_bind_fail(regroup->binder, expr->location, KP_INVALID, "42803",
                                         "subquery uses ungrouped column \"%s.%s\" from outer query",
                                         scope->cols[i].relation ? scope->cols[i].relation : "", scope->cols[i].name);
    return NULL;
}

static enum kp_code sub_above_groups(struct binder *binder, const struct grouping *grouping, struct sub *sub)
{
    struct regroup regroup = {binder, grouping, KP_OK};
    kp_plan_replace(binder, sub->plan, outer_to_group, &regroup);
    KP_TRY(regroup.code);
    for (uint32_t i = 0; i < sub->test_count; i++)
        KP_TRY(kp_bind_above_groups(binder, grouping, sub->tests[i], &sub->tests[i]));
    return KP_OK;
}

/* Sets that are no groups are made of the groups. */
static enum kp_code sets_above_groups(struct binder *binder, const struct grouping *grouping, struct query *query)
{
    struct slots slots = {0};
    for (uint32_t i = 0; i < query->targets.count; i++)
        add_slot(binder, &slots, &query->targets.items[i].expr);
    const bool *wanted = kp_sets_wanted(binder, &query->sets, slots.items, slots.count);
    for (uint32_t c = 0; c < query->sets.call_count; c++) {
        struct kp_plan_set *call = &query->sets.calls[c];
        query->sets.at[c] = UINT32_MAX;
        for (uint32_t a = 0; wanted[c] && a < call->arg_count; a++)
            KP_TRY(kp_bind_above_groups(binder, grouping, call->args[a], &call->args[a]));
    }
    return KP_OK;
}

/* HAVING: what reads no subquery goes down as far as it may. */
static enum kp_code filter_having(struct binder *binder, struct query *query, const struct conjuncts *all,
                                  struct kp_plan **plan)
{
    struct conjuncts plain = {0}, late = {0};
    for (uint32_t i = 0; i < all->count; i++)
        kp_conjuncts_add(binder, kp_expr_reads_subs(all->exprs[i]) ? &late : &plain, all->exprs[i]);
    *plan = kp_push_all(binder, *plan, &plain);
    return kp_subs_filter(binder, &query->subs, &late, plan);
}

/* Above the input: the aggregate, HAVING; the targets rewritten to stand above it. */
static enum kp_code plan_groups(struct binder *binder, const PgQuery__SelectStmt *select, struct query *query,
                                struct kp_plan **plan)
{
    struct grouping grouping = {.aggs = &query->aggs, .calls = &query->groupings, .scope = &query->scope};
    struct expr_place place = {.scope = &query->scope, .clause = "GROUP BY"};
    struct targets visible = query->targets;
    visible.count = query->visible;
    place.subs = &query->subs;
    place.sets = &query->sets;
    query->scope.aggs = NULL;
    KP_TRY(kp_bind_groups(binder, select, &place, &visible, &grouping));
    uint32_t written = grouping.count;
    for (uint32_t i = 0; i < query->targets.count; i++)
        kp_bind_dependent_groups(binder, *plan, query->targets.items[i].expr, &grouping, written);
    for (uint32_t c = 0; c < query->sets.call_count; c++)
        for (uint32_t a = 0; a < query->sets.calls[c].arg_count; a++)
            kp_bind_dependent_groups(binder, *plan, query->sets.calls[c].args[a], &grouping, written);
    if (query->having)
        kp_bind_dependent_groups(binder, *plan, query->having, &grouping, written);
    for (uint32_t g = 0; g < grouping.count; g++)
        query->late_sets &= !kp_expr_reads_sets(grouping.groups[g]);
    kp_bind_order_in_groups(binder, &grouping);
    KP_TRY(subs_below_groups(binder, query, &grouping, plan));
    KP_TRY(kp_bind_check_groupings(binder, &grouping));
    KP_TRY(check_direct(binder, &grouping));
    for (uint32_t i = 0; i < query->targets.count; i++)
        KP_TRY(kp_bind_above_groups(binder, &grouping, query->targets.items[i].expr, &query->targets.items[i].expr));
    KP_TRY(sets_above_groups(binder, &grouping, query));
    for (uint32_t i = 0; i < query->overs.count; i++)
        KP_TRY(over_above_groups(binder, &grouping, &query->overs.items[i]));
    query->group_count = grouping.count;
    if (grouping.set_count) {
        KP_TRY(kp_bind_grouping_sets(binder, *plan, &grouping, query->emit, plan));
    } else {
        *plan = kp_bind_aggregate_node(binder, *plan, &grouping);
        if (query->emit)
            KP_TRY(kp_bind_emit(binder, *plan, plan));
    }
    for (uint32_t i = 0; i < query->subs.count; i++)
        if (!query->subs.items[i].value)
            KP_TRY(sub_above_groups(binder, &grouping, &query->subs.items[i]));
    if (query->having) {
        struct conjuncts conditions = {0};
        KP_TRY(kp_bind_above_groups(binder, &grouping, query->having, &query->having));
        kp_conjuncts_add(binder, &conditions, query->having);
        KP_TRY(filter_having(binder, query, &conditions, plan));
    }
    return KP_OK;
}

static bool sub_reads_sets(const struct kp_expr *expr, void *arg)
{
    const struct sub_list *subs = arg;
    if (expr->kind != KP_EXPR_COLUMN || expr->column < KP_SUB_BASE || expr->column >= KP_OUTER_BASE)
        return true;
    const struct sub *sub = &subs->items[expr->column - KP_SUB_BASE];
    for (uint32_t t = 0; t < sub->test_count; t++)
        if (kp_expr_reads_sets(sub->tests[t]))
            return false;
    return true;
}

/* The subqueries of what is computed for the rows that remain: targets, window functions, sets' arguments. Those that
 * compare what sets make (unnest(a) IN (SELECT …)) wait for it. */
static enum kp_code plan_subs(struct binder *binder, struct query *query, struct kp_plan **plan)
{
    struct slots slots = {0};
    for (uint32_t i = 0; i < query->targets.count; i++)
        if (kp_expr_walk(query->targets.items[i].expr, sub_reads_sets, &query->subs))
            add_slot(binder, &slots, &query->targets.items[i].expr);
    for (uint32_t c = 0; c < query->sets.call_count; c++)
        add_slots(binder, &slots, query->sets.calls[c].args, query->sets.calls[c].arg_count);
    for (uint32_t i = 0; i < query->overs.count; i++) {
        struct over_item *item = &query->overs.items[i];
        add_slots(binder, &slots, item->partitions, item->partition_count);
        add_slots(binder, &slots, item->orders, item->order_count);
        add_slots(binder, &slots, item->args, item->arg_count);
        if (item->filter)
            add_slot(binder, &slots, &item->filter);
    }
    return kp_subs_apply(binder, &query->subs, slots.items, slots.count, plan);
}

/* Set-returning functions of the select list, above everything that has no such. */
static enum kp_code plan_sets(struct binder *binder, struct query *query, struct kp_plan **plan)
{
    struct slots slots = {0};
    for (uint32_t i = 0; i < query->targets.count; i++)
        add_slot(binder, &slots, &query->targets.items[i].expr);
    uint32_t targets = slots.count;
    for (uint32_t i = 0; i < query->subs.count; i++)
        if (!query->subs.items[i].value)
            add_slots(binder, &slots, query->subs.items[i].tests, query->subs.items[i].test_count);
    kp_sets_apply(binder, &query->sets, slots.items, slots.count, plan);
    return kp_subs_apply(binder, &query->subs, slots.items, targets, plan);
}

static bool waits_for_sets(const struct query *query, const struct kp_expr *expr)
{
    return kp_expr_reads_sets(expr) || !kp_expr_walk(expr, sub_reads_sets, (void *)&query->subs);
}

/* Targets that DISTINCT ON and ORDER BY speak of decide which rows are left; PostgreSQL expands the others'
 * set-returning functions after that, if there is an ORDER BY. */
static bool sets_are_late(const struct query *query)
{
    bool late = query->on_count && query->order.count && query->sets.call_count;
    for (uint32_t i = 0; i < query->on_count; i++)
        late &= !waits_for_sets(query, query->targets.items[query->on[i]].expr);
    for (uint32_t k = 0; k < query->order.count; k++)
        late &= !waits_for_sets(query, query->targets.items[query->order.keys[k].column].expr);
    return late;
}

/* DISTINCT ON, then the sets of the rows that it leaves: below stand the plan's columns as they are, behind them the
 * targets that make no rows. */
static enum kp_code plan_late_sets(struct binder *binder, struct query *query, struct kp_plan **plan)
{
    uint32_t base = (*plan)->col_count, width = base + query->targets.count, tie_count;
    uint32_t *ties = row_columns(binder, query, *plan, query->visible, &tie_count);
    struct kp_expr **exprs = kp_arena_alloc(binder->arena, (width + 1) * sizeof *exprs);
    const char **names = kp_arena_alloc(binder->arena, (width + 1) * sizeof *names);
    struct order order = {kp_arena_calloc(binder->arena, query->order.count * sizeof *order.keys), query->order.count};
    for (uint32_t i = 0; i < base; i++) {
        names[i] = (*plan)->cols[i].name;
        exprs[i] = kp_bind_column(binder, i, (*plan)->cols[i].type, -1);
    }
    for (uint32_t i = 0; i < query->targets.count; i++) {
        struct target *target = &query->targets.items[i];
        bool set = waits_for_sets(query, target->expr);
        names[base + i] = target->name;
        exprs[base + i] = set ? kp_bind_null(binder, target->expr->type) : target->expr;
        if (!set)
            target->expr = kp_bind_column(binder, base + i, target->expr->type, target->expr->location);
        if (!set && i < query->visible)
            ties[tie_count++] = base + i;
    }
    for (uint32_t i = 0; i < query->on_count; i++)
        query->on[i] += base;
    for (uint32_t k = 0; k < order.count; k++) {
        order.keys[k] = query->order.keys[k];
        order.keys[k].column += base;
    }
    *plan = kp_bind_project(binder, *plan, exprs, names, width);
    KP_TRY(kp_bind_distinct_on(binder, query->on, query->on_count, &order, ties, tie_count, plan));
    return plan_sets(binder, query, plan);
}

/* Everything above the rows and groups: sets, the select list, DISTINCT ON. */
static enum kp_code plan_targets(struct binder *binder, struct query *query, struct kp_plan **plan)
{
    if (query->late_sets) {
        KP_TRY(plan_late_sets(binder, query, plan));
        *plan = project_targets(binder, *plan, &query->targets);
        return KP_OK;
    }
    if (query->sets.call_count)
        KP_TRY(plan_sets(binder, query, plan));
    *plan = project_targets(binder, *plan, &query->targets);
    uint32_t *ties = kp_arena_alloc(binder->arena, (query->visible + 1) * sizeof *ties);
    for (uint32_t i = 0; i < query->visible; i++)
        ties[i] = i;
    return query->on_count
               ? kp_bind_distinct_on(binder, query->on, query->on_count, &query->order, ties, query->visible, plan)
               : KP_OK;
}

/* FOR UPDATE OF t. */
static enum kp_code check_locks(struct binder *binder, const PgQuery__SelectStmt *select, const struct scope *scope)
{
    static const char *const names[] = {"", "", "FOR KEY SHARE", "FOR SHARE", "FOR NO KEY UPDATE", "FOR UPDATE"};
    for (size_t i = 0; i < select->n_locking_clause; i++) {
        const PgQuery__LockingClause *lock = select->locking_clause[i]->locking_clause;
        const char *name = names[lock->strength < KP_COUNT(names) ? lock->strength : 0];
        for (size_t r = 0; r < lock->n_locked_rels; r++) {
            const PgQuery__RangeVar *range = lock->locked_rels[r]->range_var;
            if (range->schemaname[0])
                return kp_bind_fail(binder, range->location, KP_INVALID, "42601",
                                    "%s must specify unqualified relation names", name);
            if (!kp_scope_has_relation(scope, range->relname))
                return kp_bind_fail(binder, range->location, KP_NOT_FOUND, "42P01",
                                    "relation \"%s\" in %s clause not found in FROM clause", range->relname, name);
        }
    }
    return KP_OK;
}

static enum kp_code refuse_clauses(struct binder *binder, const PgQuery__SelectStmt *select)
{
    if (select->n_locking_clause && binder->for_view)
        return kp_bind_fail(binder, -1, KP_UNSUPPORTED, NULL, "FOR UPDATE and FOR SHARE cannot be used in a view");
    if (select->n_locking_clause && binder->context->ret_locks)
        *binder->context->ret_locks = true;
    return KP_OK;
}

/* SELECT DISTINCT ON's targets; ORDER BY must begin with them. */
static enum kp_code bind_distinct_on(struct binder *binder, const PgQuery__SelectStmt *select,
                                     const struct expr_place *place, struct query *query)
{
    uint32_t matched = 0;
    bool skipped = false, mismatch = false;
    query->on = kp_arena_calloc(binder->arena, select->n_distinct_clause * sizeof *query->on);
    for (size_t i = 0; i < select->n_distinct_clause; i++) {
        uint32_t column;
        bool known = false;
        KP_TRY(kp_bind_order_column(binder, select->distinct_clause[i], "DISTINCT ON", place, &query->targets,
                                    query->visible, false, &column));
        KP_TRY(kp_bind_must_compare(binder, query->targets.items[column].expr->type.id, "equality",
                                    kp_tree_location(select->distinct_clause[i])));
        for (uint32_t k = 0; k < query->on_count; k++)
            known |= query->on[k] == column;
        if (!known)
            query->on[query->on_count++] = column;
    }
    for (uint32_t i = 0; i < query->order.count; i++) {
        bool found = false;
        for (uint32_t k = 0; k < query->on_count; k++)
            found |= query->on[k] == query->order.keys[i].column;
        mismatch |= found && skipped;
        matched += found;
        skipped |= !found;
    }
    if (mismatch || (skipped && matched < query->on_count))
        return kp_bind_fail(binder, kp_tree_location(select->distinct_clause[0]), KP_INVALID, "42P10",
                            "SELECT DISTINCT ON expressions must match initial ORDER BY expressions");
    return KP_OK;
}

static enum kp_code bind_clauses(struct binder *binder, const PgQuery__SelectStmt *select, struct query *query)
{
    query->scope.outer = binder->around;
    KP_TRY(kp_bind_from(binder, select->from_clause, select->n_from_clause, &query->joins, &query->scope));
    struct expr_place place = {.scope = &query->scope, .clause = "WHERE", .subs = &query->joins.subs};
    if (query->joins.never) {
        bool done;
        KP_TRY(kp_bind_never(binder, &place, select, &done, &query->targets, &query->never));
        query->visible = query->targets.count;
        if (done)
            return KP_OK;
        query->targets = (struct targets){0};
    }
    if (select->where_clause)
        KP_TRY(kp_bind_where(binder, &place, select->where_clause, &query->joins));
    place.clause = "SELECT";
    place.subs = &query->subs;
    place.sets = &query->sets;
    place.aggs = query->scope.aggs = &query->aggs;
    query->scope.subs = &query->subs;
    place.groupings = &query->groupings;
    place.overs = &query->overs;
    query->overs.select = select;
    KP_TRY(kp_bind_targets(binder, &place, select->target_list, select->n_target_list, query->keep_unknown,
                           &query->targets));
    query->visible = query->targets.count;
    if (select->having_clause) {
        place.clause = "HAVING";
        place.overs = NULL;
        place.sets = NULL;
        bool now_allowed = binder->now_allowed;
        binder->now_allowed = true;
        enum kp_code code = kp_bind_expr(binder, &place, select->having_clause, &query->having);
        binder->now_allowed = now_allowed;
        KP_TRY(code);
        KP_TRY(kp_bind_check_now(binder, query->having));
        KP_TRY(kp_bind_to_bool(binder, query->having, "HAVING", &query->having));
    }
    place.overs = &query->overs;
    place.sets = &query->sets;
    KP_TRY(kp_bind_order(binder, select, &place, &query->targets, query->distinct, &query->order));
    for (uint32_t i = 0; query->distinct && i < query->visible; i++)
        KP_TRY(kp_bind_must_compare(binder, query->targets.items[i].expr->type.id, "equality",
                                    query->targets.items[i].expr->location));
    if (select->n_distinct_clause && !query->distinct)
        KP_TRY(bind_distinct_on(binder, select, &place, query));
    if (query->aggs.count && query->joins.recursive)
        return kp_bind_fail(binder, query->aggs.locations[0], KP_INVALID, "42P19",
                            "aggregate functions are not allowed in a recursive query's recursive term");
    query->grouped = select->n_group_clause || query->aggs.count || query->having || query->groupings.count;
    return KP_OK;
}

/* Outputs of type regclass and its like leave as names; an order by one stays that of its number. */
static enum kp_code name_outputs(struct binder *binder, struct query *query)
{
    for (uint32_t i = 0; i < query->visible; i++) {
        struct kp_expr *number = query->targets.items[i].expr;
        KP_TRY(kp_bind_as_name(binder, number, &query->targets.items[i].expr));
        if (query->targets.items[i].expr == number)
            continue;
        for (uint32_t k = 0; k < query->order.count; k++) {
            if (query->order.keys[k].column != i)
                continue;
            if (query->distinct)
                return kp_bind_fail(binder, number->location, KP_UNSUPPORTED, NULL,
                                    "ORDER BY %s under DISTINCT is not supported", kp_type_info(number->type.id)->name);
            query->order.keys[k].column = query->targets.count;
            kp_targets_add(binder, &query->targets, (struct target){number, query->targets.items[i].name, NULL});
        }
    }
    return KP_OK;
}

/* The same for a set operation. */
static enum kp_code name_columns(struct binder *binder, struct kp_plan **plan)
{
    uint32_t count = (*plan)->col_count;
    struct kp_expr **exprs = kp_arena_alloc(binder->arena, (count + 1) * sizeof *exprs);
    const char **names = kp_arena_alloc(binder->arena, (count + 1) * sizeof *names);
    bool any = false;
    for (uint32_t i = 0; i < count; i++) {
        names[i] = (*plan)->cols[i].name;
        struct kp_expr *number = kp_bind_column(binder, i, (*plan)->cols[i].type, -1);
        KP_TRY(kp_bind_as_name(binder, number, &exprs[i]));
        any |= exprs[i] != number;
    }
    if (any)
        *plan = kp_bind_project(binder, *plan, exprs, names, count);
    return KP_OK;
}

static enum kp_code bind_plain(struct binder *binder, const PgQuery__SelectStmt *select, bool root,
                               struct kp_plan **ret_plan, uint32_t *ret_count)
{
    struct query query = {.emit = binder->emit_on_close,
                          .keep_unknown = binder->keep_unknown && !select->n_distinct_clause,
                          .distinct = select->n_distinct_clause &&
                                      select->distinct_clause[0]->node_case == PG_QUERY__NODE__NODE__NOT_SET};
    binder->emit_on_close = false;
    binder->keep_unknown = false;
    if (select->into_clause && select->into_clause != binder->statement->into)
        return kp_bind_fail(binder, select->into_clause->rel->location, KP_INVALID, "42601",
                            "SELECT ... INTO is not allowed here");
    KP_TRY(refuse_clauses(binder, select));
    KP_TRY(bind_clauses(binder, select, &query));
    KP_TRY(check_locks(binder, select, &query.scope));
    query.bases = kp_targets_bases(binder, &query.targets, query.visible, &query.scope);
    if (query.never) {
        if (root)
            KP_TRY(name_columns(binder, &query.never));
        query.never->bases = query.bases;
        *ret_plan = query.never;
        *ret_count = query.visible;
        return KP_OK;
    }
    if (root)
        KP_TRY(name_outputs(binder, &query));
    query.late_sets = sets_are_late(&query);
    struct kp_plan *plan;
    KP_TRY(kp_joins_finish(binder, &query.joins, &plan));
    if (query.grouped)
        KP_TRY(plan_groups(binder, select, &query, &plan));
    else if (query.emit)
        KP_TRY(kp_bind_emit(binder, plan, &plan));
    KP_TRY(plan_subs(binder, &query, &plan));
    if (query.overs.count)
        plan = plan_overs(binder, &query, plan);
    KP_TRY(plan_targets(binder, &query, &plan));
    if (query.distinct)
        plan = kp_bind_distinct(binder, plan);
    KP_TRY(kp_bind_order_plan(binder, select, &query.scope, &query.order, root, &plan));
    *ret_plan = root ? plan : kp_bind_first_columns(binder, plan, query.visible);
    (*ret_plan)->bases = query.bases;
    *ret_count = query.visible;
    return KP_OK;
}

/* ---- VALUES ---- */

/* Subqueries in the cells: each row is a projection above its own. */
static enum kp_code values_of_subs(struct binder *binder, struct sub_list *subs, const struct kp_plan *values,
                                   struct kp_plan **ret_plan)
{
    uint32_t rows = values->values.rows, cols = values->col_count;
    struct kp_plan *all = kp_bind_node(binder, KP_PLAN_UNION, values->location, cols, rows);
    const char **names = kp_arena_alloc(binder->arena, (cols + 1) * sizeof *names);
    for (uint32_t c = 0; c < cols; c++)
        names[c] = values->cols[c].name;
    for (uint32_t r = 0; r < rows; r++) {
        struct slots slots = {0};
        struct kp_plan *row = kp_bind_node(binder, KP_PLAN_VALUES, -1, 0, 0);
        row->values.rows = 1;
        struct kp_expr **cells = values->values.exprs + (size_t)r * cols;
        add_slots(binder, &slots, cells, cols);
        KP_TRY(kp_subs_apply(binder, subs, slots.items, slots.count, &row));
        all->inputs[r] = kp_bind_project(binder, row, cells, names, cols);
    }
    memcpy(all->cols, values->cols, cols * sizeof *all->cols);
    *ret_plan = rows == 1 ? all->inputs[0] : all;
    return KP_OK;
}

static enum kp_code bind_values(struct binder *binder, const PgQuery__SelectStmt *select, bool root,
                                struct kp_plan **ret_plan)
{
    const struct scope nothing = {.outer = binder->around};
    struct sub_list subs = {0};
    struct expr_place place = {.scope = &nothing, .clause = "VALUES", .subs = &subs};
    bool keep_unknown = binder->keep_unknown;
    binder->keep_unknown = false;
    uint32_t rows = (uint32_t)select->n_values_lists, cols = (uint32_t)select->values_lists[0]->list->n_items;
    struct kp_plan *plan = kp_bind_node(binder, KP_PLAN_VALUES, -1, cols, 0);
    plan->values.rows = rows;
    plan->values.exprs = kp_arena_calloc(binder->arena, (size_t)rows * cols * sizeof(struct kp_expr *));
    for (uint32_t r = 0; r < rows; r++) {
        const PgQuery__List *row = select->values_lists[r]->list;
        if (row->n_items != cols)
            return kp_bind_fail(binder, row->n_items ? kp_tree_location(row->items[0]) : -1, KP_INVALID, "42601",
                                "VALUES lists must all be the same length");
        for (uint32_t c = 0; c < cols; c++)
            KP_TRY(kp_bind_expr(binder, &place, row->items[c], &plan->values.exprs[r * cols + c]));
    }
    struct kp_expr **column = kp_arena_calloc(binder->arena, rows * sizeof *column);
    for (uint32_t c = 0; c < cols; c++) {
        bool unknown = true;
        for (uint32_t r = 0; r < rows; r++) {
            column[r] = plan->values.exprs[r * cols + c];
            unknown &= column[r]->type.id == KP_UNKNOWN;
        }
        struct kp_type type = KP_TYPE(KP_UNKNOWN);
        if (!unknown || !keep_unknown)
            KP_TRY(kp_bind_common_type(binder, column, rows, "VALUES", &type));
        bool not_null = true;
        for (uint32_t r = 0; r < rows; r++) {
            if (type.id != KP_UNKNOWN)
                KP_TRY(kp_bind_coerce(binder, column[r], type, COERCE_IMPLICIT, &plan->values.exprs[r * cols + c]));
            const struct kp_expr *cell = plan->values.exprs[r * cols + c];
            not_null &= cell->kind == KP_EXPR_CONST && !cell->datum.null;
        }
        plan->cols[c] = (struct kp_column){kp_arena_printf(binder->arena, "column%u", c + 1), type, not_null};
    }
    *ret_plan = plan;
    return subs.count ? values_of_subs(binder, &subs, plan, ret_plan) : KP_OK;
}

/* ---- around it ---- */

/* ORDER BY and LIMIT of a set operation or VALUES: over its output columns only. */
static enum kp_code order_outputs(struct binder *binder, const PgQuery__SelectStmt *select, bool root,
                                  struct kp_plan **plan)
{
    struct scope scope = {0};
    struct targets targets = {0};
    struct order order;
    kp_scope_add_plan(binder, &scope, NULL, *plan, 0);
    struct expr_place place = {.scope = &scope, .clause = "ORDER BY"};
    for (uint32_t i = 0; i < (*plan)->col_count; i++)
        kp_targets_add(
            binder, &targets,
            (struct target){kp_bind_column(binder, i, (*plan)->cols[i].type, -1), (*plan)->cols[i].name, NULL});
    KP_TRY(kp_bind_order(binder, select, &place, &targets, false, &order));
    if (targets.count > (*plan)->col_count) {
        kp_bind_fail(binder, kp_tree_location(targets.items[(*plan)->col_count].node), KP_UNSUPPORTED, NULL,
                     "invalid UNION/INTERSECT/EXCEPT ORDER BY clause");
        kp_error_detail(binder->err, "Only result column names can be used, not expressions or functions.");
        return kp_error_hint(binder->err,
                             "Add the expression/function to every SELECT, or move the UNION into a FROM clause.");
    }
    return kp_bind_order_plan(binder, select, select->n_values_lists ? &scope : NULL, &order, root, plan);
}

static enum kp_code bind_by_kind(struct binder *binder, const PgQuery__SelectStmt *select, bool root,
                                 struct kp_plan **ret_plan, uint32_t *ret_count)
{
    bool values = select->n_values_lists > 0, both = select->op != PG_QUERY__SET_OPERATION__SETOP_NONE;
    if (!values && !both)
        return bind_plain(binder, select, root, ret_plan, ret_count);
    if (values)
        KP_TRY(bind_values(binder, select, root, ret_plan));
    else
        KP_TRY(kp_bind_set_operation(binder, select, ret_plan));
    *ret_count = (*ret_plan)->col_count;
    if (root)
        KP_TRY(name_columns(binder, ret_plan));
    return order_outputs(binder, select, root, ret_plan);
}

static enum kp_code too_deep(struct binder *binder, const PgQuery__SelectStmt *select)
{
    kp_bind_fail(binder, select->n_target_list ? kp_tree_location(select->target_list[0]) : -1, KP_LIMIT, "54001",
                 "statement is nested too deeply");
    return kp_error_hint(binder->err, "At most %d queries within each other, those of WITH and of plain views, too.",
                         KP_SQL_DEPTH_MAX);
}

enum kp_code kp_bind_select(struct binder *binder, const PgQuery__SelectStmt *select, bool root,
                            struct kp_plan **ret_plan, uint32_t *ret_count)
{
    const struct cte *ctes = binder->ctes;
    bool now_allowed = binder->now_allowed;
    const struct from_list *around = binder->from;
    const struct from_list from = {.items = select->from_clause, .count = select->n_from_clause, .outer = around};
    if (binder->depth >= KP_SQL_DEPTH_MAX || kp_thread_stack_left() < BIND_STACK_MIN_BYTES)
        return too_deep(binder, select);
    binder->depth++;
    enum kp_code code = kp_bind_with(binder, select->with_clause);
    binder->now_allowed = false;
    binder->from = &from;
    if (code == KP_OK)
        code = bind_by_kind(binder, select, root, ret_plan, ret_count);
    if (code == KP_OK)
        code = kp_bind_unused_with(binder, ctes);
    binder->depth--;
    binder->now_allowed = now_allowed;
    binder->ctes = ctes;
    binder->from = around;
    return code;
}
