/*
 * Plan nodes: made with their columns; what they say of themselves afterwards (growing).
 */
#include "sql/bind.h"

struct kp_plan *kp_bind_node(struct binder *binder, enum kp_plan_kind kind, int32_t location, uint32_t col_count,
                             uint32_t input_count)
{
    struct kp_plan *plan = kp_arena_calloc(binder->arena, sizeof *plan);
    binder->nodes++;
    plan->kind = kind;
    plan->location = location;
    plan->col_count = col_count;
    plan->cols = kp_arena_calloc(binder->arena, col_count * sizeof *plan->cols);
    plan->input_count = input_count;
    plan->inputs = kp_arena_calloc(binder->arena, input_count * sizeof(struct kp_plan *));
    return plan;
}

/* Known never NULL, by the simplest of reasons. */
static bool never_null(const struct kp_expr *expr, const struct kp_plan *input)
{
    switch (expr->kind) {
    case KP_EXPR_COLUMN:
        return expr->column < input->col_count && input->cols[expr->column].not_null;
    case KP_EXPR_CONST:
        return !expr->datum.null;
    case KP_EXPR_IS_NULL:
    case KP_EXPR_IS_NOT_NULL:
    case KP_EXPR_IS_TRUE:
    case KP_EXPR_IS_NOT_TRUE:
    case KP_EXPR_IS_FALSE:
    case KP_EXPR_IS_NOT_FALSE:
    case KP_EXPR_DISTINCT:
    case KP_EXPR_NOW:
        return true;
    case KP_EXPR_COALESCE:
        for (uint32_t i = 0; i < expr->arg_count; i++)
            if (never_null(expr->args[i], input))
                return true;
        return false;
    default:
        return false;
    }
}

struct kp_plan *kp_bind_project(struct binder *binder, struct kp_plan *input, struct kp_expr **exprs,
                                const char *const *names, uint32_t count)
{
    struct kp_plan *plan = kp_bind_node(binder, KP_PLAN_PROJECT, input->location, count, 1);
    plan->inputs[0] = input;
    plan->project.exprs = exprs;
    for (uint32_t i = 0; i < count; i++) {
        bool passes = exprs[i]->kind == KP_EXPR_COLUMN && exprs[i]->column < input->col_count;
        const char *name = names ? names[i] : passes ? input->cols[exprs[i]->column].name : "?column?";
        plan->cols[i] = (struct kp_column){name, exprs[i]->type, never_null(exprs[i], input)};
    }
    return plan;
}

struct kp_plan *kp_bind_first_columns(struct binder *binder, struct kp_plan *plan, uint32_t count)
{
    if (plan->col_count == count)
        return plan;
    struct kp_expr **exprs = kp_arena_alloc(binder->arena, (count + 1) * sizeof *exprs);
    for (uint32_t i = 0; i < count; i++)
        exprs[i] = kp_bind_column(binder, i, plan->cols[i].type, -1);
    return kp_bind_project(binder, plan, exprs, NULL, count);
}

struct kp_plan *kp_bind_filter(struct binder *binder, struct kp_plan *input, struct kp_expr *predicate)
{
    if (predicate->kind == KP_EXPR_CONST && !predicate->datum.null && predicate->datum.b)
        return input;
    if (input->kind == KP_PLAN_FILTER) {
        input->filter.predicate = kp_conditions_add(binder, input->filter.predicate, predicate);
        return input;
    }
    struct kp_plan *plan = kp_bind_node(binder, KP_PLAN_FILTER, predicate->location, input->col_count, 1);
    plan->inputs[0] = input;
    plan->filter.predicate = kp_conditions_add(binder, NULL, predicate);
    memcpy(plan->cols, input->cols, input->col_count * sizeof *plan->cols);
    return plan;
}

enum kp_code kp_bind_check_nodes(struct binder *binder, int32_t location)
{
    if (binder->nodes <= KP_PLAN_NODES_MAX)
        return KP_OK;
    return kp_bind_fail(binder, location, KP_LIMIT, "54001",
                        "the statement has more than %d parts: WITH queries and views are taken apart at each mention",
                        KP_PLAN_NODES_MAX);
}

struct kp_plan *kp_bind_distinct(struct binder *binder, struct kp_plan *input)
{
    struct kp_plan *plan = kp_bind_node(binder, KP_PLAN_AGGREGATE, input->location, input->col_count, 1);
    plan->inputs[0] = input;
    plan->aggregate.group_count = input->col_count;
    plan->aggregate.groups = kp_arena_alloc(binder->arena, input->col_count * sizeof(struct kp_expr *));
    for (uint32_t i = 0; i < input->col_count; i++) {
        plan->aggregate.groups[i] = kp_bind_column(binder, i, input->cols[i].type, -1);
        plan->cols[i] = input->cols[i];
    }
    return plan;
}

struct kp_plan *kp_bind_scan(struct binder *binder, struct kp_relation *relation, int32_t location)
{
    struct kp_plan *plan = kp_bind_node(binder, KP_PLAN_SCAN, location, relation->col_count, 0);
    plan->scan.relation = relation;
    plan->scan.columns = kp_arena_alloc(binder->arena, relation->col_count * sizeof(uint32_t));
    for (uint32_t i = 0; i < relation->col_count; i++) {
        plan->scan.columns[i] = i;
        plan->cols[i] = relation->cols[i];
        if (kp_relation_was_null(relation, i))
            plan->cols[i].not_null = false;
    }
    return plan;
}

static bool is_not_now(const struct kp_expr *expr, void *arg)
{
    return expr->kind != KP_EXPR_NOW;
}

static bool scan_grows(const struct kp_relation *relation)
{
    if (relation->kind == KP_RELATION_SOURCE || relation->kind == KP_RELATION_SYSTEM)
        return true;
    return relation->kind == KP_RELATION_VIEW && relation->plan && relation->plan->plan->growing;
}

/* DISTINCT of what only grows only grows, unless a later row can show an older one's value differently. */
static bool distinct_grows(const struct kp_plan *plan)
{
    if (plan->aggregate.agg_count > 0 || plan->aggregate.group_count == 0)
        return false;
    for (uint32_t i = 0; i < plan->aggregate.group_count; i++)
        if (kp_type_has_faces(plan->aggregate.groups[i]->type.id))
            return false;
    return true;
}

static uint32_t column_of(const struct kp_expr *expr)
{
    return expr->kind == KP_EXPR_COLUMN ? expr->column : UINT32_MAX;
}

static bool is_final(const struct kp_plan *plan, uint32_t end);

/* Windows that are joined one by one: equal ends are a condition. */
static bool joins_ends(const struct kp_plan *plan, uint32_t end)
{
    uint32_t left = plan->inputs[0]->col_count;
    for (uint32_t i = 0; i < plan->join.key_count; i++) {
        uint32_t ends[2] = {column_of(plan->join.left_keys[i]), column_of(plan->join.right_keys[i])};
        if ((end == ends[0] || (ends[1] != UINT32_MAX && end == ends[1] + left)) &&
            is_final(plan->inputs[0], ends[0]) && is_final(plan->inputs[1], ends[1]))
            return true;
    }
    return false;
}

/*
 * Below an EMIT ON WINDOW CLOSE: rows whose column `end`, a window's end, the watermark has passed never change again.
 * Late pairs were left out where the windows are made; what else is joined or added up may change at any time.
 */
static bool is_final(const struct kp_plan *plan, uint32_t end)
{
    bool all = plan->input_count > 0;
    if (end >= plan->col_count)
        return false;
    switch (plan->kind) {
    case KP_PLAN_WINDOW:
        return end == plan->inputs[0]->col_count + 1 && plan->window.source_count &&
               kp_plan_is_stateless(plan->inputs[0]);
    case KP_PLAN_FILTER:
        return kp_expr_walk(plan->filter.predicate, is_not_now, NULL) && is_final(plan->inputs[0], end);
    case KP_PLAN_PROJECT:
        return is_final(plan->inputs[0], column_of(plan->project.exprs[end]));
    case KP_PLAN_EXPAND:
    case KP_PLAN_REPEAT:
        return is_final(plan->inputs[0], end);
    case KP_PLAN_UNION:
        for (uint32_t i = 0; i < plan->input_count; i++)
            all &= is_final(plan->inputs[i], end);
        return all;
    case KP_PLAN_AGGREGATE:
        return end < plan->aggregate.group_count && is_final(plan->inputs[0], column_of(plan->aggregate.groups[end]));
    case KP_PLAN_OVER:
        for (uint32_t i = 0; i < plan->over.partition_count; i++)
            if (plan->over.partitions[i] == end)
                return is_final(plan->inputs[0], end);
        return false;
    case KP_PLAN_JOIN:
        return joins_ends(plan, end);
    default:
        return false;
    }
}

void kp_plan_settle_growing(struct kp_plan *plan)
{
    bool inputs = true;
    for (uint32_t i = 0; i < plan->input_count; i++) {
        kp_plan_settle_growing(plan->inputs[i]);
        inputs &= plan->inputs[i]->growing;
    }
    switch (plan->kind) {
    case KP_PLAN_SCAN:
        plan->growing = scan_grows(plan->scan.relation);
        break;
    case KP_PLAN_VALUES:
        plan->growing = true;
        break;
    case KP_PLAN_FILTER: /* a row may leave as the time passes */
        plan->growing = inputs && kp_expr_walk(plan->filter.predicate, is_not_now, NULL);
        break;
    case KP_PLAN_PROJECT:
    case KP_PLAN_UNION:
    case KP_PLAN_REPEAT:
    case KP_PLAN_EXPAND:
        plan->growing = inputs;
        break;
    case KP_PLAN_WINDOW: /* sessions merge */
        plan->growing = inputs && plan->window.kind != KP_WINDOW_SESSION;
        break;
    case KP_PLAN_AGGREGATE:
        plan->growing = inputs && distinct_grows(plan);
        break;
    case KP_PLAN_JOIN:
        plan->growing = inputs && (plan->join.kind == KP_JOIN_INNER || plan->join.kind == KP_JOIN_SEMI);
        break;
    case KP_PLAN_RECURSE:
    case KP_PLAN_WORK:
    case KP_PLAN_ASOF: /* a nearer row may come */
    case KP_PLAN_OVER:
    case KP_PLAN_MATCH: /* a later row may make a match longer */
    case KP_PLAN_TOPN:
        plan->growing = false;
        break;
    case KP_PLAN_EMIT: /* each row once, when its window closes */
        plan->growing = inputs || is_final(plan->inputs[0], plan->emit.window_end_column);
        break;
    case KP_PLAN_SORT:
        plan->growing = inputs;
        break;
    }
}
