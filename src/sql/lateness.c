/*
 * WITH (lateness = '…') of a view: rows of its sources that come later than that after their watermark are left out, so
 * what waits for them can be let go.
 *
 *   a row is late if its time + lateness < W, the watermark at its own position: no row of time < W - lateness comes
 *
 *   a JOIN b ON a.k = b.k AND a.at BETWEEN b.at - x AND b.at + y
 *                a.at ≤ b.at + y: of b, rows with b.at + y < W(a) - lateness have met all of a; of a likewise
 *
 *                a.window_end = b.window_end: rows of a window that has closed for b (see OVER) have met all of b
 *
 *   a ASOF JOIN b ON … a.at >= b.at: rows of a before W(b) - lateness have found theirs; of b's rows before
 *                W(a) - lateness only the last of each key is still found
 *   MATCH_RECOGNIZE … WITHIN w: no later row can be in a match with one whose time + w ≤ W - lateness
 *
 *   OVER (PARTITION BY window_end …)   no row comes to a window that ends at or before W - lateness; below an EMIT ON
 *                WINDOW CLOSE, which leaves out what comes later than W itself, to one that ends at or before W
 *
 * Besides, a condition rn <= n above window functions that number rows says that they need not number more.
 *
 * The bound of a join is taken from conditions that compare a time column of either side, plus or minus a constant
 * interval.
 */
#include "sql/bind.h"
#include "sql/match_plan.h"

static const int64_t HOUR_US = 3600000000;

/* ---- leaving out ---- */

static struct kp_plan *leave_out(struct binder *binder, struct kp_plan *scan, struct kp_interval lateness)
{
    struct kp_relation *source = scan->scan.relation;
    uint32_t time = 0;
    while (time < scan->col_count && scan->scan.columns[time] != (uint32_t)source->watermark_column)
        time++;
    if (time == scan->col_count)
        return scan;
    struct kp_plan *plan = kp_bind_node(binder, KP_PLAN_WINDOW, scan->location, scan->col_count, 1);
    plan->inputs[0] = scan;
    memcpy(plan->cols, scan->cols, scan->col_count * sizeof *plan->cols);
    plan->window.kind = KP_WINDOW_LATENESS;
    plan->window.time_column = time;
    plan->window.size = plan->window.slide = lateness;
    plan->window.sources = kp_arena_alloc(binder->arena, sizeof *plan->window.sources);
    plan->window.sources[0] = source;
    plan->window.source_count = 1;
    return plan;
}

static bool wrap_scans(struct binder *binder, struct kp_plan **plan, struct kp_interval lateness)
{
    bool any = false;
    for (uint32_t i = 0; i < (*plan)->input_count; i++)
        any |= wrap_scans(binder, &(*plan)->inputs[i], lateness);
    bool source = (*plan)->kind == KP_PLAN_SCAN && (*plan)->scan.relation->kind == KP_RELATION_SOURCE &&
                  (*plan)->scan.relation->watermark_column >= 0;
    if (!source)
        return any;
    *plan = leave_out(binder, *plan, lateness);
    return true;
}

enum kp_code kp_bind_lateness(struct binder *binder, struct kp_plan **plan)
{
    const struct kp_statement *statement = binder->statement;
    const char *text = NULL;
    int32_t location = -1;
    for (uint32_t i = 0; i < statement->option_count; i++) {
        if (strcmp(statement->options[i].name, "lateness") != 0)
            continue;
        text = statement->options[i].value;
        location = statement->option_locations[i];
    }
    if (!text)
        return KP_OK;
    struct kp_interval lateness;
    KP_TRY(kp_value_parse(KP_TYPE(KP_INTERVAL), kp_str(text), NULL, binder->arena, &lateness, binder->err));
    if (lateness.months || lateness.us < 0 || lateness.days < 0)
        return kp_bind_fail(binder, location, KP_INVALID, "22023",
                            "lateness must be an interval of days or less, not negative");
    if (wrap_scans(binder, plan, lateness))
        return KP_OK;
    kp_bind_fail(binder, location, KP_INVALID, "42P10", "lateness needs a source with a watermark");
    return kp_error_hint(binder->err, "Read a source directly whose declaration has WATERMARK FOR a column.");
}

/* ---- joins ---- */

/* A column that is, row by row, the time of a source's record that was not late. */
static bool is_bounded_time(const struct kp_plan *plan, uint32_t column, int64_t *ret_lateness_us)
{
    int64_t more_us, most_us = 0;
    switch (plan->kind) {
    case KP_PLAN_FILTER:
        return is_bounded_time(plan->inputs[0], column, ret_lateness_us);
    case KP_PLAN_PROJECT: {
        const struct kp_expr *expr = plan->project.exprs[column];
        return expr->kind == KP_EXPR_COLUMN && is_bounded_time(plan->inputs[0], expr->column, ret_lateness_us);
    }
    case KP_PLAN_UNION:
        for (uint32_t i = 0; i < plan->input_count; i++) {
            if (!is_bounded_time(plan->inputs[i], column, &more_us))
                return false;
            most_us = KP_MAX(most_us, more_us);
        }
        *ret_lateness_us = most_us;
        return true;
    case KP_PLAN_WINDOW:
        if (plan->window.kind != KP_WINDOW_LATENESS)
            return plan->window.kind != KP_WINDOW_SESSION && column < plan->inputs[0]->col_count &&
                   is_bounded_time(plan->inputs[0], column, ret_lateness_us);
        *ret_lateness_us = plan->window.size.us + plan->window.size.days * (24 * HOUR_US);
        return column == plan->window.time_column;
    default:
        return false;
    }
}

/* column, column + interval, column - interval. slack: by how much days may be longer or shorter. */
static bool is_shifted(const struct kp_expr *expr, uint32_t *ret_column, int64_t *ret_shift_us, int64_t *ret_slack_us)
{
    *ret_shift_us = *ret_slack_us = 0;
    if (expr->kind == KP_EXPR_CALL && expr->func->kind == KP_FUNC_OPERATOR && expr->arg_count == 2) {
        const struct kp_expr *interval = expr->args[1];
        bool minus = strcmp(expr->func->name, "-") == 0;
        if ((!minus && strcmp(expr->func->name, "+") != 0) || interval->kind != KP_EXPR_CONST ||
            interval->type.id != KP_INTERVAL || interval->datum.null || interval->datum.interval.months)
            return false;
        struct kp_interval by = interval->datum.interval;
        if (by.days > 36500 || by.days < -36500 || by.us > 876000 * HOUR_US || by.us < -876000 * HOUR_US)
            return false;
        int64_t us = by.us + by.days * (24 * HOUR_US);
        *ret_shift_us = minus ? -us : us;
        *ret_slack_us = expr->type.id == KP_TIMESTAMPTZ ? (by.days < 0 ? -by.days : by.days) * HOUR_US : 0;
        expr = expr->args[0];
    }
    *ret_column = expr->column;
    return expr->kind == KP_EXPR_COLUMN && (expr->type.id == KP_TIMESTAMP || expr->type.id == KP_TIMESTAMPTZ);
}

/* x ≤ y + distance, x and y times of the two sides: rows of y's side need not wait for later ones than that. */
static void note_bound(struct kp_plan *join, uint32_t x, uint32_t y, int64_t distance_us)
{
    uint32_t left = join->inputs[0]->col_count, side = y >= left;
    int64_t lateness_us, own_us;
    uint32_t columns[2] = {x - (x >= left ? left : 0), y - (side ? left : 0)};
    if ((x >= left) == side || !is_bounded_time(join->inputs[1 - side], columns[0], &lateness_us) ||
        !is_bounded_time(join->inputs[side], columns[1], &own_us))
        return;
    int64_t reach_us = distance_us + lateness_us;
    if (join->join.frees[side] && (join->join.times[side] != columns[1] || join->join.reach_us[side] <= reach_us))
        return;
    join->join.frees[side] = true;
    join->join.times[side] = columns[1];
    join->join.reach_us[side] = reach_us;
}

static void note_condition(struct kp_plan *join, const struct kp_expr *condition)
{
    if (condition->kind == KP_EXPR_AND) {
        for (uint32_t i = 0; i < condition->arg_count; i++)
            note_condition(join, condition->args[i]);
        return;
    }
    if (condition->kind != KP_EXPR_CALL || condition->func->kind != KP_FUNC_OPERATOR || condition->arg_count != 2)
        return;
    const char *name = condition->func->name;
    bool less = name[0] == '<' && (!name[1] || strcmp(name, "<=") == 0),
         more = name[0] == '>' && (!name[1] || strcmp(name, ">=") == 0);
    uint32_t a, b;
    int64_t a_us, b_us, a_slack_us, b_slack_us;
    if ((!less && !more) || !is_shifted(condition->args[0], &a, &a_us, &a_slack_us) ||
        !is_shifted(condition->args[1], &b, &b_us, &b_slack_us))
        return;
    if (less) /* a + a_us ≤ b + b_us */
        note_bound(join, a, b, b_us - a_us + a_slack_us + b_slack_us);
    else
        note_bound(join, b, a, a_us - b_us + a_slack_us + b_slack_us);
}

/* A match that looks at rows behind it could change by rows that come later than WITHIN. */
static void bound_match(struct kp_plan *plan)
{
    struct kp_plan_match *match = plan->match;
    bool ahead = false;
    for (uint32_t i = 0; i < match->nav_count; i++)
        ahead |= match->navs[i].shift > 0;
    match->frees = match->within && !ahead && plan->inputs[0]->growing &&
                   is_bounded_time(plan->inputs[0], match->keys[0].column, &match->lateness_us);
}

static void bound_asof(struct kp_plan *plan)
{
    enum kp_type_id type = plan->inputs[0]->cols[plan->asof.times[0]].type.id;
    plan->asof.frees = !plan->asof.forward && (type == KP_TIMESTAMP || type == KP_TIMESTAMPTZ);
    for (uint32_t s = 0; s < 2; s++)
        plan->asof.frees &= plan->inputs[s]->growing &&
                            is_bounded_time(plan->inputs[s], plan->asof.times[s], &plan->asof.lateness_us[s]);
}

/* ---- window functions ---- */

static bool is_not_now(const struct kp_expr *expr, void *arg)
{
    (void)arg;
    return expr->kind != KP_EXPR_NOW;
}

static bool is_partition(const struct kp_plan *over, uint32_t column)
{
    for (uint32_t i = 0; i < over->over.partition_count; i++)
        if (over->over.partitions[i] == column)
            return true;
    return false;
}

/* A column that is the end of a window which gets no rows any more, and loses none, once the watermark is lateness_us
 * behind it. closes: an EMIT is above, so late rows are left out. */
static bool is_closing(const struct kp_plan *plan, uint32_t column, bool closes, int64_t *ret_lateness_us)
{
    const struct kp_plan *input = plan->input_count ? plan->inputs[0] : NULL;
    switch (plan->kind) {
    case KP_PLAN_FILTER:
        return kp_expr_walk(plan->filter.predicate, is_not_now, NULL) &&
               is_closing(input, column, closes, ret_lateness_us);
    case KP_PLAN_PROJECT:
    case KP_PLAN_AGGREGATE: {
        bool project = plan->kind == KP_PLAN_PROJECT;
        if (!project && column >= plan->aggregate.group_count)
            return false;
        const struct kp_expr *expr = project ? plan->project.exprs[column] : plan->aggregate.groups[column];
        return expr->kind == KP_EXPR_COLUMN && is_closing(input, expr->column, closes, ret_lateness_us);
    }
    case KP_PLAN_OVER: /* in partitions of another kind a later window changes what the rows of this one are told */
        return is_partition(plan, column) && is_closing(input, column, closes, ret_lateness_us);
    case KP_PLAN_EMIT:
        return is_closing(input, column, true, ret_lateness_us);
    case KP_PLAN_WINDOW:
        *ret_lateness_us = 0;
        if (plan->window.kind == KP_WINDOW_SESSION || plan->window.kind == KP_WINDOW_LATENESS)
            return false;
        return column == input->col_count + 1 &&
               (closes || is_bounded_time(input, plan->window.time_column, ret_lateness_us));
    default:
        return false;
    }
}

/* Rows come out of it in the step in which they go in, be it a partial one. */
static bool passes_at_once(const struct kp_plan *plan)
{
    switch (plan->kind) {
    case KP_PLAN_SCAN:
        return plan->scan.relation->kind == KP_RELATION_SOURCE;
    case KP_PLAN_FILTER:
    case KP_PLAN_PROJECT:
    case KP_PLAN_WINDOW:
        return passes_at_once(plan->inputs[0]);
    default:
        return false;
    }
}

/* Rows that meet within a window: those of one that has closed on the other side have met all. */
static void bound_windows(struct kp_plan *join, bool closes)
{
    int64_t lateness_us[2];
    for (uint32_t k = 0; k < join->join.key_count; k++) {
        const struct kp_expr *const keys[2] = {join->join.left_keys[k], join->join.right_keys[k]};
        bool both = keys[0]->type.id == KP_TIMESTAMP || keys[0]->type.id == KP_TIMESTAMPTZ;
        for (uint32_t s = 0; both && s < 2; s++)
            both = keys[s]->kind == KP_EXPR_COLUMN && passes_at_once(join->inputs[s]) &&
                   is_closing(join->inputs[s], keys[s]->column, closes, &lateness_us[s]);
        for (uint32_t s = 0; both && s < 2; s++) {
            if (join->join.frees[s] && join->join.reach_us[s] <= lateness_us[1 - s])
                continue;
            join->join.frees[s] = true;
            join->join.times[s] = keys[s]->column;
            join->join.reach_us[s] = lateness_us[1 - s];
        }
    }
}

static void bound_over(struct kp_plan *plan, bool closes)
{
    for (uint32_t i = 0; i < plan->over.partition_count && !plan->over.frees; i++) {
        uint32_t column = plan->over.partitions[i];
        enum kp_type_id type = plan->inputs[0]->cols[column].type.id;
        plan->over.time = column;
        plan->over.frees = (type == KP_TIMESTAMP || type == KP_TIMESTAMPTZ) &&
                           is_closing(plan->inputs[0], column, closes, &plan->over.lateness_us);
    }
    if (!plan->over.frees) {
        plan->over.time = 0;
        plan->over.lateness_us = 0;
    }
}

static bool is_order(const struct kp_expr *expr, const char *name)
{
    return expr->kind == KP_EXPR_CALL && expr->func->kind == KP_FUNC_OPERATOR && expr->arg_count == 2 &&
           strncmp(expr->func->name, name, 1) == 0 && (!expr->func->name[1] || strcmp(expr->func->name + 1, "=") == 0);
}

static bool int_constant(const struct kp_expr *expr, int64_t *ret_value)
{
    enum kp_type_id type = expr->type.id;
    if (expr->kind != KP_EXPR_CONST || expr->datum.null || (type != KP_INT2 && type != KP_INT4 && type != KP_INT8))
        return false;
    *ret_value = type == KP_INT2 ? expr->datum.i16 : type == KP_INT4 ? expr->datum.i32 : expr->datum.i64;
    return true;
}

/* number <= n, number < n, number = n, and the other way round. */
static void note_top(struct kp_plan *over, const struct kp_expr *condition)
{
    if (condition->kind == KP_EXPR_AND)
        for (uint32_t i = 0; i < condition->arg_count; i++)
            note_top(over, condition->args[i]);
    bool less = is_order(condition, "<"), more = is_order(condition, ">"), equal = is_order(condition, "=");
    if (!less && !more && !equal)
        return;
    const struct kp_expr *number = condition->args[more ? 1 : 0], *bound = condition->args[more ? 0 : 1];
    int64_t most;
    if (equal && number->kind == KP_EXPR_CONST) {
        number = condition->args[1];
        bound = condition->args[0];
    }
    uint32_t first = over->inputs[0]->col_count;
    if (number->kind != KP_EXPR_COLUMN || number->column < first || !int_constant(bound, &most))
        return;
    if (!equal && !condition->func->name[1])
        most -= most > INT64_MIN;
    most = KP_MAX(most, 1); /* of none the first one is kept, and the condition refuses it */
    if (over->over.top && over->over.top <= most)
        return;
    over->over.top = most;
    over->over.top_call = number->column - first;
}

/* Functions whose value for a row hangs on the rows before it alone. */
static void bound_top(struct kp_plan *filter)
{
    struct kp_plan *over = filter->inputs[0];
    if (over->kind != KP_PLAN_OVER)
        return;
    for (uint32_t i = 0; i < over->over.call_count; i++)
        if (over->over.calls[i].kind > KP_OVER_DENSE_RANK)
            return;
    note_top(over, filter->filter.predicate);
}

static void bound(struct kp_plan *plan, bool closes)
{
    for (uint32_t i = 0; i < plan->input_count; i++)
        bound(plan->inputs[i], closes || plan->kind == KP_PLAN_EMIT);
    bool grows = plan->kind == KP_PLAN_JOIN && plan->inputs[0]->growing && plan->inputs[1]->growing;
    if (grows && plan->join.residual)
        note_condition(plan, plan->join.residual);
    if (grows)
        bound_windows(plan, closes);
    if (plan->kind == KP_PLAN_MATCH)
        bound_match(plan);
    if (plan->kind == KP_PLAN_ASOF)
        bound_asof(plan);
    if (plan->kind == KP_PLAN_OVER)
        bound_over(plan, closes);
    if (plan->kind == KP_PLAN_FILTER)
        bound_top(plan);
}

void kp_plan_bound_joins(struct kp_plan *plan)
{
    bound(plan, false);
}
