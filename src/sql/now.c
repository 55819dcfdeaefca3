/*
 * now() in views: conditions of WHERE and HAVING that hold until a moment, or from a moment on.
 *
 *   ts > now() - INTERVAL '1 hour'      now() BETWEEN since AND until      now() - ts < max_age
 *
 * Such a condition compares, by <, <=, > or >=, something that does not depend on now() with something that only grows
 * with it. The engine then needs one timer a row (flow/op_temporal.c). Anything else is refused: a view's content must
 * follow from its records and the log's time alone, and no timer would tell when to look again.
 *
 * In a time zone whose offset changes, local time goes back once a year; there only now() plus or minus constant hours,
 * minutes and seconds grows always.
 */
#include "sql/bind.h"
#include "vec/zone.h"

static bool is_no_now(const struct kp_expr *expr, void *arg)
{
    return expr->kind != KP_EXPR_NOW;
}

bool kp_expr_reads_now(const struct kp_expr *expr)
{
    return !kp_expr_walk(expr, is_no_now, NULL);
}

/* One offset for all time, as far as half-years between 1960 and 2060 show. */
static bool is_fixed(const struct kp_zone *zone)
{
    int32_t offset = kp_zone_offset_at(zone, 0, NULL);
    for (int64_t half_year = -80; half_year <= 120; half_year++)
        if (kp_zone_offset_at(zone, half_year * 15778476 * 1000000, NULL) != offset)
            return false;
    return true;
}

static bool is_time(enum kp_type_id type)
{
    return type == KP_TIMESTAMPTZ || type == KP_TIMESTAMP || type == KP_DATE;
}

static bool is_plain_interval(const struct kp_expr *expr)
{
    return expr->kind == KP_EXPR_CONST && expr->type.id == KP_INTERVAL && !expr->datum.null &&
           !expr->datum.interval.months && !expr->datum.interval.days;
}

/* Never falls when now() rises. */
static bool grows(const struct kp_expr *expr, bool fixed_zone)
{
    if (expr->kind == KP_EXPR_NOW)
        return true;
    if (expr->kind != KP_EXPR_CALL)
        return false;
    const char *name = expr->func->name;
    const struct kp_expr *first = expr->args[0], *second = expr->arg_count > 1 ? expr->args[1] : NULL;
    if (kp_expr_casts(expr))
        return (fixed_zone || expr->type.id == KP_TIMESTAMPTZ) && is_time(expr->type.id) && is_time(first->type.id) &&
               grows(first, fixed_zone);
    if (expr->func->kind == KP_FUNC_OPERATOR && expr->arg_count == 2 && strcmp(name, "+") == 0) {
        bool left = kp_expr_reads_now(first);
        const struct kp_expr *other = left ? second : first;
        return !kp_expr_reads_now(other) && (fixed_zone || is_plain_interval(other)) &&
               grows(left ? first : second, fixed_zone);
    }
    if (expr->func->kind == KP_FUNC_OPERATOR && expr->arg_count == 2 && strcmp(name, "-") == 0)
        return !kp_expr_reads_now(second) &&
               (fixed_zone || is_plain_interval(second) || second->type.id == KP_TIMESTAMPTZ) &&
               grows(first, fixed_zone);
    if (strcmp(name, "date_trunc") == 0 && expr->arg_count == 2)
        return fixed_zone && !kp_expr_reads_now(first) && grows(second, fixed_zone);
    return false;
}

static bool is_comparison(const struct kp_expr *expr)
{
    static const char *const names[] = {"<", "<=", ">", ">="};
    if (expr->kind != KP_EXPR_CALL || expr->func->kind != KP_FUNC_OPERATOR || expr->arg_count != 2)
        return false;
    for (size_t i = 0; i < KP_COUNT(names); i++)
        if (strcmp(expr->func->name, names[i]) == 0)
            return true;
    return false;
}

/* The side with now(), moved over to what it is compared with, would fall: a - now() < b. */
static bool falls(const struct kp_expr *expr, bool fixed_zone)
{
    return expr->kind == KP_EXPR_CALL && expr->func->kind == KP_FUNC_OPERATOR && expr->arg_count == 2 &&
           strcmp(expr->func->name, "-") == 0 && !kp_expr_reads_now(expr->args[0]) &&
           expr->args[0]->type.id == expr->args[1]->type.id && grows(expr->args[1], fixed_zone);
}

static enum kp_code check(struct binder *binder, const struct kp_expr *condition, bool fixed_zone)
{
    if (!kp_expr_reads_now(condition))
        return KP_OK;
    if (condition->kind == KP_EXPR_AND) {
        for (uint32_t i = 0; i < condition->arg_count; i++)
            KP_TRY(check(binder, condition->args[i], fixed_zone));
        return KP_OK;
    }
    if (is_comparison(condition)) {
        bool left = kp_expr_reads_now(condition->args[0]), right = kp_expr_reads_now(condition->args[1]);
        const struct kp_expr *side = condition->args[left ? 0 : 1];
        if (left != right && (grows(side, fixed_zone) || falls(side, fixed_zone)))
            return KP_OK;
    }
    kp_bind_fail(binder, condition->location, KP_UNSUPPORTED, NULL,
                 "this condition on now() cannot be used in a view: it may change more than once");
    return kp_error_hint(binder->err, fixed_zone
                                          ? "Compare by <, <=, > or >=, as in ts > now() - INTERVAL '1 hour'."
                                          : "Compare by <, <=, > or >=, as in ts > now() - INTERVAL '1 hour'; days and "
                                            "local times need a TimeZone without changes, such as UTC.");
}

enum kp_code kp_bind_check_now(struct binder *binder, const struct kp_expr *condition)
{
    if (!binder->for_view || !kp_expr_reads_now(condition))
        return KP_OK;
    const struct kp_session_settings *settings = binder->context->settings;
    return check(binder, condition, !settings || is_fixed(settings->zone));
}

static bool any_now(struct kp_expr *const *exprs, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (exprs[i] && kp_expr_reads_now(exprs[i]))
            return true;
    return false;
}

static bool node_reads_now(const struct kp_plan *plan)
{
    switch (plan->kind) {
    case KP_PLAN_PROJECT:
        return any_now(plan->project.exprs, plan->col_count);
    case KP_PLAN_VALUES:
        return any_now(plan->values.exprs, plan->values.rows * plan->col_count);
    case KP_PLAN_JOIN:
        return any_now(plan->join.left_keys, plan->join.key_count) ||
               any_now(plan->join.right_keys, plan->join.key_count) || any_now(&plan->join.residual, 1);
    case KP_PLAN_AGGREGATE:
        for (uint32_t i = 0; i < plan->aggregate.agg_count; i++)
            if (any_now(plan->aggregate.aggs[i].args, plan->aggregate.aggs[i].arg_count) ||
                any_now(&plan->aggregate.aggs[i].filter, 1))
                return true;
        return any_now(plan->aggregate.groups, plan->aggregate.group_count);
    case KP_PLAN_EXPAND:
        for (uint32_t i = 0; i < plan->expand.call_count; i++)
            if (any_now(plan->expand.calls[i].args, plan->expand.calls[i].arg_count))
                return true;
        return false;
    default:
        return false;
    }
}

static bool filters_by_now(const struct kp_plan *plan)
{
    if (plan->kind == KP_PLAN_FILTER && kp_expr_reads_now(plan->filter.predicate))
        return true;
    for (uint32_t i = 0; i < plan->input_count; i++)
        if (filters_by_now(plan->inputs[i]))
            return true;
    return false;
}

enum kp_code kp_plan_check_now(struct binder *binder, const struct kp_plan *plan)
{
    if (node_reads_now(plan))
        return kp_bind_fail(binder, plan->location, KP_UNSUPPORTED, NULL,
                            "now() can be used in a view in WHERE and HAVING only, and not across a join's sides");
    if (plan->kind == KP_PLAN_EMIT && filters_by_now(plan))
        return kp_bind_fail(binder, binder->statement->emit_location, KP_UNSUPPORTED, NULL,
                            "now() below EMIT ON WINDOW CLOSE is not supported: closed windows would change");
    for (uint32_t i = 0; i < plan->input_count; i++)
        KP_TRY(kp_plan_check_now(binder, plan->inputs[i]));
    return KP_OK;
}
