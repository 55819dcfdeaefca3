/*
 * Columns that nobody reads are not made: from the root down each node learns which of its columns are needed, tells
 * its inputs, and is rewritten over what they still yield. Projections over projections become one on the way.
 *
 * prune(plan, needed) returns the node and a map: old column → new column, or NONE. A node may keep more than was asked
 * (a filter yields what its predicate reads); asked columns are always there. A TOPN orders ties by its whole row, so
 * it keeps all of its input; a SCAN keeps at least one column.
 */
#include "sql/bind.h"
#include "sql/match_plan.h"

enum { NONE = UINT32_MAX };

struct pruned {
    struct kp_plan *plan;
    uint32_t *map; /* of the old col_count */
};

static struct pruned prune(struct binder *binder, struct kp_plan *plan, const bool *needed);

static bool *flags(struct binder *binder, uint32_t count, bool value)
{
    bool *array = kp_arena_alloc(binder->arena, count + 1);
    memset(array, value, count + 1);
    return array;
}

static uint32_t *identity(struct binder *binder, uint32_t count)
{
    uint32_t *map = kp_arena_alloc(binder->arena, (count + 1) * sizeof *map);
    for (uint32_t i = 0; i < count; i++)
        map[i] = i;
    return map;
}

static bool mark(const struct kp_expr *expr, void *needed)
{
    if (expr->kind == KP_EXPR_COLUMN)
        ((bool *)needed)[expr->column] = true;
    return true;
}

static void mark_all(struct kp_expr *const *exprs, uint32_t count, bool *needed)
{
    for (uint32_t i = 0; i < count; i++)
        kp_expr_walk(exprs[i], mark, needed);
}

static void remap_all(struct binder *binder, struct kp_expr **exprs, uint32_t count, const uint32_t *map)
{
    for (uint32_t i = 0; i < count; i++)
        exprs[i] = kp_expr_remap(binder, exprs[i], map);
}

static struct pruned prune_scan(struct binder *binder, struct kp_plan *plan, const bool *needed)
{
    const struct kp_relation *relation = plan->scan.relation;
    uint32_t *map = identity(binder, plan->col_count), kept = 0, narrowest = 0;
    for (uint32_t i = 0; i < plan->col_count; i++) {
        kept += needed[i];
        if (plan->scan.columns[i] < relation->col_count - relation->hidden_count &&
            kp_type_info(plan->cols[i].type.id)->bytes < kp_type_info(plan->cols[narrowest].type.id)->bytes)
            narrowest = i;
    }
    uint32_t to = 0;
    for (uint32_t i = 0; i < plan->col_count; i++) {
        bool keep = needed[i] || (kept == 0 && i == narrowest);
        map[i] = keep ? to : NONE;
        if (keep) {
            plan->cols[to] = plan->cols[i];
            plan->scan.columns[to++] = plan->scan.columns[i];
        }
    }
    plan->col_count = to;
    return (struct pruned){plan, map};
}

static struct pruned prune_values(struct binder *binder, struct kp_plan *plan, const bool *needed)
{
    uint32_t *map = identity(binder, plan->col_count), to = 0, cols = plan->col_count;
    struct kp_expr **exprs = kp_arena_alloc(binder->arena, (plan->values.rows * cols + 1) * sizeof *exprs);
    for (uint32_t i = 0; i < cols; i++)
        map[i] = needed[i] ? to++ : NONE;
    for (uint32_t r = 0; r < plan->values.rows; r++)
        for (uint32_t i = 0; i < cols; i++)
            if (map[i] != NONE)
                exprs[r * to + map[i]] = plan->values.exprs[r * cols + i];
    for (uint32_t i = 0; i < cols; i++)
        if (map[i] != NONE)
            plan->cols[map[i]] = plan->cols[i];
    plan->values.exprs = exprs;
    plan->col_count = to;
    return (struct pruned){plan, map};
}

/* The node yields exactly what its input does. */
static void follow_input(struct binder *binder, struct kp_plan *plan, const uint32_t *map)
{
    struct kp_column *cols = kp_arena_alloc(binder->arena, (plan->inputs[0]->col_count + 1) * sizeof *cols);
    for (uint32_t i = 0; i < plan->col_count; i++)
        if (map[i] != NONE)
            cols[map[i]] = plan->cols[i];
    plan->cols = cols;
    plan->col_count = plan->inputs[0]->col_count;
}

static struct pruned prune_filter(struct binder *binder, struct kp_plan *plan, const bool *needed)
{
    bool *below = flags(binder, plan->col_count, false);
    memcpy(below, needed, plan->col_count);
    kp_expr_walk(plan->filter.predicate, mark, below);
    struct pruned input = prune(binder, plan->inputs[0], below);
    plan->inputs[0] = input.plan;
    plan->filter.predicate = kp_expr_remap(binder, plan->filter.predicate, input.map);
    follow_input(binder, plan, input.map);
    return (struct pruned){plan, input.map};
}

/* ---- projections ---- */

struct uses {
    uint32_t *counts;
};

static bool count_use(const struct kp_expr *expr, void *arg)
{
    if (expr->kind == KP_EXPR_COLUMN)
        ((struct uses *)arg)->counts[expr->column]++;
    return true;
}

static struct kp_expr *inline_node(const struct kp_expr *expr, struct kp_arena *arena, void *arg)
{
    return expr->kind == KP_EXPR_COLUMN ? ((struct kp_expr **)arg)[expr->column] : NULL;
}

/* Two projections become one if nothing is computed twice by it. */
static void merge_projections(struct binder *binder, struct kp_plan *plan)
{
    while (plan->inputs[0]->kind == KP_PLAN_PROJECT) {
        struct kp_plan *input = plan->inputs[0];
        struct uses uses = {kp_arena_calloc(binder->arena, (input->col_count + 1) * sizeof(uint32_t))};
        for (uint32_t i = 0; i < plan->col_count; i++)
            kp_expr_walk(plan->project.exprs[i], count_use, &uses);
        for (uint32_t i = 0; i < input->col_count; i++)
            if (uses.counts[i] > 1 && input->project.exprs[i]->arg_count)
                return;
        for (uint32_t i = 0; i < plan->col_count; i++)
            plan->project.exprs[i] =
                kp_expr_copy(plan->project.exprs[i], binder->arena, inline_node, input->project.exprs);
        plan->inputs[0] = input->inputs[0];
    }
}

/* Yields its input as it is. */
static bool is_identity(const struct kp_plan *plan)
{
    if (plan->col_count != plan->inputs[0]->col_count)
        return false;
    for (uint32_t i = 0; i < plan->col_count; i++)
        if (plan->project.exprs[i]->kind != KP_EXPR_COLUMN || plan->project.exprs[i]->column != i ||
            plan->cols[i].type.id != plan->inputs[0]->cols[i].type.id)
            return false;
    return true;
}

static struct pruned prune_project(struct binder *binder, struct kp_plan *plan, const bool *needed)
{
    merge_projections(binder, plan);
    uint32_t *map = identity(binder, plan->col_count), to = 0;
    struct kp_expr **exprs = kp_arena_alloc(binder->arena, (plan->col_count + 1) * sizeof *exprs);
    struct kp_column *cols = kp_arena_alloc(binder->arena, (plan->col_count + 1) * sizeof *cols);
    for (uint32_t i = 0; i < plan->col_count; i++) {
        map[i] = needed[i] ? to : NONE;
        if (needed[i]) {
            exprs[to] = plan->project.exprs[i];
            cols[to++] = plan->cols[i];
        }
    }
    bool *below = flags(binder, plan->inputs[0]->col_count, false);
    mark_all(exprs, to, below);
    struct pruned input = prune(binder, plan->inputs[0], below);
    remap_all(binder, exprs, to, input.map);
    plan->inputs[0] = input.plan;
    plan->project.exprs = exprs;
    plan->cols = cols;
    plan->col_count = to;
    merge_projections(binder, plan);
    if (is_identity(plan)) { /* the names are the outer ones */
        for (uint32_t i = 0; i < to; i++)
            plan->inputs[0]->cols[i].name = plan->cols[i].name;
        return (struct pruned){plan->inputs[0], map};
    }
    return (struct pruned){plan, map};
}

/* ---- the others ---- */

static struct pruned prune_window(struct binder *binder, struct kp_plan *plan, const bool *needed)
{
    uint32_t in = plan->inputs[0]->col_count;
    bool *below = flags(binder, in, false);
    memcpy(below, needed, in);
    below[plan->window.time_column] = true;
    for (uint32_t i = 0; i < plan->window.key_count; i++)
        below[plan->window.keys[i]] = true;
    struct pruned input = prune(binder, plan->inputs[0], below);
    uint32_t *map = identity(binder, plan->col_count), out = input.plan->col_count;
    uint32_t added = plan->col_count - in; /* of lateness: none */
    struct kp_column *cols = kp_arena_alloc(binder->arena, (out + added + 1) * sizeof *cols);
    memcpy(map, input.map, in * sizeof *map);
    for (uint32_t i = 0; i < added; i++)
        map[in + i] = out + i;
    for (uint32_t i = 0; i < plan->col_count; i++)
        if (map[i] != NONE)
            cols[map[i]] = plan->cols[i];
    plan->inputs[0] = input.plan;
    plan->cols = cols;
    plan->col_count = out + added;
    plan->window.time_column = input.map[plan->window.time_column];
    for (uint32_t i = 0; i < plan->window.key_count; i++)
        plan->window.keys[i] = input.map[plan->window.keys[i]];
    return (struct pruned){plan, map};
}

/* Groups stay, since they say which rows there are; aggregates nobody reads go, but for the last one without groups. */
static struct pruned prune_aggregate(struct binder *binder, struct kp_plan *plan, const bool *needed)
{
    uint32_t groups = plan->aggregate.group_count, to = groups;
    uint32_t *map = identity(binder, plan->col_count);
    struct kp_plan_agg *aggs = kp_arena_alloc(binder->arena, (plan->aggregate.agg_count + 1) * sizeof *aggs);
    bool *below = flags(binder, plan->inputs[0]->col_count, false);
    mark_all(plan->aggregate.groups, groups, below);
    for (uint32_t a = 0; a < plan->aggregate.agg_count; a++) {
        bool last_chance = groups == 0 && to == 0 && a + 1 == plan->aggregate.agg_count;
        bool keep = needed[groups + a] || last_chance;
        map[groups + a] = keep ? to : NONE;
        if (!keep)
            continue;
        plan->cols[to] = plan->cols[groups + a];
        aggs[to++ - groups] = plan->aggregate.aggs[a];
        mark_all(plan->aggregate.aggs[a].args, plan->aggregate.aggs[a].arg_count, below);
        if (plan->aggregate.aggs[a].filter)
            kp_expr_walk(plan->aggregate.aggs[a].filter, mark, below);
    }
    struct pruned input = prune(binder, plan->inputs[0], below);
    plan->inputs[0] = input.plan;
    remap_all(binder, plan->aggregate.groups, groups, input.map);
    for (uint32_t a = 0; a < to - groups; a++) {
        struct kp_expr **args = kp_arena_alloc(binder->arena, (aggs[a].arg_count + 1) * sizeof *args);
        for (uint32_t i = 0; i < aggs[a].arg_count; i++)
            args[i] = kp_expr_remap(binder, aggs[a].args[i], input.map);
        aggs[a].args = args;
        aggs[a].filter = aggs[a].filter ? kp_expr_remap(binder, aggs[a].filter, input.map) : NULL;
    }
    plan->aggregate.aggs = aggs;
    plan->aggregate.agg_count = to - groups;
    plan->col_count = to;
    return (struct pruned){plan, map};
}

static struct pruned prune_join(struct binder *binder, struct kp_plan *plan, const bool *needed)
{
    uint32_t left_cols = plan->inputs[0]->col_count, right_cols = plan->inputs[1]->col_count,
             all = left_cols + right_cols;
    bool *both = flags(binder, all, false), *right_needed = flags(binder, right_cols, false);
    memcpy(both, needed, plan->col_count);
    if (plan->join.residual)
        kp_expr_walk(plan->join.residual, mark, both);
    memcpy(right_needed, both + left_cols, right_cols);
    mark_all(plan->join.left_keys, plan->join.key_count, both);
    mark_all(plan->join.right_keys, plan->join.key_count, right_needed);
    struct pruned left = prune(binder, plan->inputs[0], both), right = prune(binder, plan->inputs[1], right_needed);
    uint32_t *map = identity(binder, all);
    memcpy(map, left.map, left_cols * sizeof *map);
    for (uint32_t i = 0; i < right_cols; i++)
        map[left_cols + i] = right.map[i] == NONE ? NONE : left.plan->col_count + right.map[i];
    remap_all(binder, plan->join.left_keys, plan->join.key_count, left.map);
    remap_all(binder, plan->join.right_keys, plan->join.key_count, right.map);
    if (plan->join.residual)
        plan->join.residual = kp_expr_remap(binder, plan->join.residual, map);
    bool yields_both = plan->col_count == all;
    uint32_t count = left.plan->col_count + (yields_both ? right.plan->col_count : 0);
    struct kp_column *cols = kp_arena_alloc(binder->arena, (count + 1) * sizeof *cols);
    for (uint32_t i = 0; i < plan->col_count; i++)
        if (map[i] != NONE)
            cols[map[i]] = plan->cols[i];
    plan->inputs[0] = left.plan;
    plan->inputs[1] = right.plan;
    plan->cols = cols;
    plan->col_count = count;
    return (struct pruned){plan, map};
}

static uint32_t visible_columns(const struct kp_plan *plan)
{
    const struct kp_plan *scan = plan;
    while (scan->kind == KP_PLAN_FILTER || (scan->kind == KP_PLAN_WINDOW && scan->window.kind == KP_WINDOW_LATENESS))
        scan = scan->inputs[0];
    bool all = scan->kind == KP_PLAN_SCAN && scan->col_count == scan->scan.relation->col_count;
    return all ? plan->col_count - scan->scan.relation->hidden_count : plan->col_count;
}

static struct pruned prune_asof(struct binder *binder, struct kp_plan *plan, const bool *needed)
{
    struct pruned sides[2];
    uint32_t *map = identity(binder, plan->col_count), base = 0, count = 0;
    for (uint32_t s = 0; s < 2; s++) {
        uint32_t cols = plan->inputs[s]->col_count;
        /* Of right rows at one time the least is taken, by all of its columns but hidden ones that nobody reads. */
        bool *below = flags(binder, cols, false);
        for (uint32_t i = 0; i < cols; i++)
            below[i] = needed[base + i] || (s == 1 && !plan->asof.latest && i < visible_columns(plan->inputs[s]));
        for (uint32_t k = 0; k < plan->asof.key_count; k++)
            below[plan->asof.keys[s][k]] = true;
        below[plan->asof.times[s]] = true;
        if (s == 1 && plan->asof.latest)
            below[plan->asof.version] = true;
        sides[s] = prune(binder, plan->inputs[s], below);
        for (uint32_t i = 0; i < cols; i++)
            map[base + i] = sides[s].map[i] == NONE ? NONE : count + sides[s].map[i];
        for (uint32_t k = 0; k < plan->asof.key_count; k++)
            plan->asof.keys[s][k] = sides[s].map[plan->asof.keys[s][k]];
        plan->asof.times[s] = sides[s].map[plan->asof.times[s]];
        if (s == 1 && plan->asof.latest)
            plan->asof.version = sides[s].map[plan->asof.version];
        plan->inputs[s] = sides[s].plan;
        base += cols;
        count += sides[s].plan->col_count;
    }
    struct kp_column *cols = kp_arena_calloc(binder->arena, (count + 1) * sizeof *cols);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t left = plan->inputs[0]->col_count;
        cols[i] = i < left ? plan->inputs[0]->cols[i] : plan->inputs[1]->cols[i - left];
    }
    for (uint32_t i = 0; i < plan->col_count; i++)
        if (map[i] != NONE)
            cols[map[i]] = plan->cols[i];
    plan->cols = cols;
    plan->col_count = count;
    return (struct pruned){plan, map};
}

/* All inputs must yield the same columns: exactly the needed ones. */
static struct pruned prune_union(struct binder *binder, struct kp_plan *plan, const bool *needed)
{
    uint32_t *map = identity(binder, plan->col_count), kept = 0;
    for (uint32_t i = 0; i < plan->col_count; i++)
        map[i] = needed[i] ? kept++ : NONE;
    for (uint32_t n = 0; n < plan->input_count; n++) {
        struct pruned input = prune(binder, plan->inputs[n], needed);
        struct kp_expr **exprs = kp_arena_alloc(binder->arena, (kept + 1) * sizeof *exprs);
        bool same = input.plan->col_count == kept;
        for (uint32_t i = 0; i < plan->col_count; i++) {
            if (map[i] == NONE)
                continue;
            same &= input.map[i] == map[i];
            exprs[map[i]] = kp_bind_column(binder, input.map[i], plan->cols[i].type, -1);
        }
        plan->inputs[n] = same ? input.plan : kp_bind_project(binder, input.plan, exprs, NULL, kept);
    }
    for (uint32_t i = 0; i < plan->col_count; i++)
        if (map[i] != NONE)
            plan->cols[map[i]] = plan->cols[i];
    plan->col_count = kept;
    return (struct pruned){plan, map};
}

static struct pruned prune_sort(struct binder *binder, struct kp_plan *plan)
{
    struct pruned input = prune(binder, plan->inputs[0], flags(binder, plan->col_count, true));
    plan->inputs[0] = input.plan;
    for (uint32_t i = 0; i < plan->topn.key_count; i++)
        plan->topn.keys[i].column = input.map[plan->topn.keys[i].column];
    follow_input(binder, plan, input.map);
    return (struct pruned){plan, input.map};
}

/* Functions nobody reads go; without any the node goes. */
static struct pruned prune_over(struct binder *binder, struct kp_plan *plan, const bool *needed)
{
    uint32_t in = plan->inputs[0]->col_count, kept = 0;
    bool *below = flags(binder, in, false);
    memcpy(below, needed, in);
    uint32_t *map = identity(binder, plan->col_count);
    struct kp_plan_over_call *calls = kp_arena_alloc(binder->arena, (plan->over.call_count + 1) * sizeof *calls);
    for (uint32_t i = 0; i < plan->over.call_count; i++) {
        map[in + i] = NONE;
        if (!needed[in + i])
            continue;
        map[in + i] = kept;
        calls[kept++] = plan->over.calls[i];
        for (uint32_t k = 0; k < plan->over.calls[i].arg_count; k++)
            below[plan->over.calls[i].args[k]] = true;
        if (plan->over.calls[i].filtered)
            below[plan->over.calls[i].filter] = true;
    }
    for (uint32_t i = 0; kept && i < plan->over.partition_count; i++)
        below[plan->over.partitions[i]] = true;
    for (uint32_t i = 0; kept && i < plan->over.key_count; i++)
        below[plan->over.keys[i].column] = true;
    struct pruned input = prune(binder, plan->inputs[0], below);
    uint32_t out = input.plan->col_count;
    memcpy(map, input.map, in * sizeof *map);
    if (kept == 0)
        return (struct pruned){input.plan, map};
    struct kp_column *cols = kp_arena_alloc(binder->arena, (out + kept) * sizeof *cols);
    for (uint32_t i = 0; i < plan->col_count; i++) {
        if (i >= in && map[i] != NONE)
            map[i] += out;
        if (map[i] != NONE)
            cols[map[i]] = plan->cols[i];
    }
    for (uint32_t i = 0; i < plan->over.partition_count; i++)
        plan->over.partitions[i] = input.map[plan->over.partitions[i]];
    for (uint32_t i = 0; i < plan->over.key_count; i++)
        plan->over.keys[i].column = input.map[plan->over.keys[i].column];
    for (uint32_t i = 0; i < kept; i++) {
        for (uint32_t k = 0; k < calls[i].arg_count; k++)
            calls[i].args[k] = input.map[calls[i].args[k]];
        if (calls[i].filtered)
            calls[i].filter = input.map[calls[i].filter];
    }
    plan->inputs[0] = input.plan;
    plan->over.calls = calls;
    plan->over.call_count = kept;
    plan->cols = cols;
    plan->col_count = out + kept;
    return (struct pruned){plan, map};
}

static void mark_column(uint32_t *column, void *arg) /* NOLINT(readability-non-const-parameter): as move_column's */
{
    ((bool *)arg)[*column] = true;
}

static void move_column(uint32_t *column, void *arg)
{
    *column = ((const uint32_t *)arg)[*column];
}

static struct pruned prune_match(struct binder *binder, struct kp_plan *plan)
{
    bool *below = flags(binder, plan->inputs[0]->col_count, false);
    kp_plan_match_each_column(plan->match, mark_column, below);
    for (uint32_t i = 0; i < plan->match->nav_count; i++) {
        struct kp_plan_agg *agg = &plan->match->navs[i].agg;
        mark_all(agg->args, agg->arg_count, below);
        if (agg->filter)
            kp_expr_walk(agg->filter, mark, below);
    }
    struct pruned input = prune(binder, plan->inputs[0], below);
    plan->inputs[0] = input.plan;
    kp_plan_match_each_column(plan->match, move_column, input.map);
    for (uint32_t i = 0; i < plan->match->nav_count; i++) {
        struct kp_plan_agg *agg = &plan->match->navs[i].agg;
        remap_all(binder, agg->args, agg->arg_count, input.map);
        if (agg->filter)
            agg->filter = kp_expr_remap(binder, agg->filter, input.map);
    }
    return (struct pruned){plan, identity(binder, plan->col_count)};
}

static struct pruned prune_repeat(struct binder *binder, struct kp_plan *plan, const bool *needed)
{
    bool *below = flags(binder, plan->col_count, false);
    memcpy(below, needed, plan->col_count);
    below[plan->repeat.column] = true;
    struct pruned input = prune(binder, plan->inputs[0], below);
    plan->inputs[0] = input.plan;
    plan->repeat.column = input.map[plan->repeat.column];
    follow_input(binder, plan, input.map);
    return (struct pruned){plan, input.map};
}

/* The functions stay, since they say which rows there are, and with them all of their columns. */
static struct pruned prune_expand(struct binder *binder, struct kp_plan *plan, const bool *needed)
{
    uint32_t in = plan->inputs[0]->col_count, made = plan->col_count - in;
    bool *below = flags(binder, in, false);
    memcpy(below, needed, in);
    for (uint32_t i = 0; i < plan->expand.call_count; i++)
        mark_all(plan->expand.calls[i].args, plan->expand.calls[i].arg_count, below);
    struct pruned input = prune(binder, plan->inputs[0], below);
    uint32_t *map = identity(binder, plan->col_count), out = input.plan->col_count;
    struct kp_column *cols = kp_arena_alloc(binder->arena, (out + made + 1) * sizeof *cols);
    memcpy(map, input.map, in * sizeof *map);
    for (uint32_t i = 0; i < plan->col_count; i++) {
        if (i >= in)
            map[i] = out + i - in;
        if (map[i] != NONE)
            cols[map[i]] = plan->cols[i];
    }
    for (uint32_t i = 0; i < plan->expand.call_count; i++)
        remap_all(binder, plan->expand.calls[i].args, plan->expand.calls[i].arg_count, input.map);
    plan->inputs[0] = input.plan;
    plan->cols = cols;
    plan->col_count = out + made;
    return (struct pruned){plan, map};
}

/* Rows are told apart by all of their columns, and go round with them. */
static struct pruned prune_recurse(struct binder *binder, struct kp_plan *plan)
{
    for (uint32_t i = 0; i < plan->input_count; i++)
        plan->inputs[i] = kp_prune(binder, plan->inputs[i]);
    return (struct pruned){plan, identity(binder, plan->col_count)};
}

static struct pruned prune_emit(struct binder *binder, struct kp_plan *plan, const bool *needed)
{
    bool *below = flags(binder, plan->col_count, false);
    memcpy(below, needed, plan->col_count);
    below[plan->emit.window_end_column] = true;
    struct pruned input = prune(binder, plan->inputs[0], below);
    plan->inputs[0] = input.plan;
    plan->emit.window_end_column = input.map[plan->emit.window_end_column];
    follow_input(binder, plan, input.map);
    return (struct pruned){plan, input.map};
}

static struct pruned prune(struct binder *binder, struct kp_plan *plan, const bool *needed)
{
    switch (plan->kind) {
    case KP_PLAN_SCAN:
        return prune_scan(binder, plan, needed);
    case KP_PLAN_VALUES:
        return prune_values(binder, plan, needed);
    case KP_PLAN_FILTER:
        return prune_filter(binder, plan, needed);
    case KP_PLAN_PROJECT:
        return prune_project(binder, plan, needed);
    case KP_PLAN_WINDOW:
        return prune_window(binder, plan, needed);
    case KP_PLAN_AGGREGATE:
        return prune_aggregate(binder, plan, needed);
    case KP_PLAN_JOIN:
        return prune_join(binder, plan, needed);
    case KP_PLAN_ASOF:
        return prune_asof(binder, plan, needed);
    case KP_PLAN_UNION:
        return prune_union(binder, plan, needed);
    case KP_PLAN_TOPN:
    case KP_PLAN_SORT:
        return prune_sort(binder, plan);
    case KP_PLAN_OVER:
        return prune_over(binder, plan, needed);
    case KP_PLAN_MATCH:
        return prune_match(binder, plan);
    case KP_PLAN_REPEAT:
        return prune_repeat(binder, plan, needed);
    case KP_PLAN_RECURSE:
    case KP_PLAN_WORK:
        return prune_recurse(binder, plan);
    case KP_PLAN_EXPAND:
        return prune_expand(binder, plan, needed);
    case KP_PLAN_EMIT:
        return prune_emit(binder, plan, needed);
    }
    return (struct pruned){plan, identity(binder, plan->col_count)};
}

struct kp_plan *kp_prune(struct binder *binder, struct kp_plan *plan)
{
    uint32_t count = plan->col_count;
    struct pruned result = prune(binder, plan, flags(binder, count, true));
    bool same = result.plan->col_count == count;
    struct kp_expr **exprs = kp_arena_alloc(binder->arena, (count + 1) * sizeof *exprs);
    const char **names = kp_arena_alloc(binder->arena, (count + 1) * sizeof *names);
    for (uint32_t i = 0; i < count; i++) {
        same &= result.map[i] == i;
        exprs[i] = kp_bind_column(binder, result.map[i], result.plan->cols[result.map[i]].type, -1);
        names[i] = result.plan->cols[result.map[i]].name;
    }
    return same ? result.plan : kp_bind_project(binder, result.plan, exprs, names, count);
}
