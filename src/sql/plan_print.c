/*
 * EXPLAIN's text. One line a node, inputs below it indented by two blanks:
 *
 *   TopN: count DESC, limit 10
 *     -> Aggregate: group by origin; count(*)  [state grows with: origin]
 *       -> Scan flights (origin)  [grows]
 *
 * "[grows]": the node's changes are insertions only. "[state …]": what the operator must remember, and whether a
 * watermark can ever free it.
 */
#include "sql/catalog.h"
#include "sql/explain.h"
#include "sql/match_plan.h"

static void print_columns(const struct kp_plan *plan, struct kp_buf *out)
{
    kp_buf_append_text(out, " (");
    for (uint32_t i = 0; i < plan->col_count; i++)
        kp_buf_printf(out, "%s%s", i ? ", " : "", plan->cols[i].name);
    kp_buf_append_byte(out, ')');
}

static void print_exprs(struct kp_expr *const *exprs, uint32_t count, const struct kp_column *cols, struct kp_buf *out)
{
    for (uint32_t i = 0; i < count; i++) {
        if (i)
            kp_buf_append_text(out, ", ");
        kp_expr_print(exprs[i], cols, out);
    }
}

static void print_interval(struct kp_interval interval, struct kp_buf *out)
{
    kp_buf_append_byte(out, '\'');
    kp_value_print(KP_TYPE(KP_INTERVAL), &interval, NULL, out);
    kp_buf_append_byte(out, '\'');
}

static void print_project(const struct kp_plan *plan, struct kp_buf *out)
{
    const struct kp_column *in = plan->inputs[0]->cols;
    kp_buf_append_text(out, "Project: ");
    for (uint32_t i = 0; i < plan->col_count; i++) {
        const struct kp_expr *expr = plan->project.exprs[i];
        if (i)
            kp_buf_append_text(out, ", ");
        kp_expr_print(expr, in, out);
        if (expr->kind != KP_EXPR_COLUMN || strcmp(in[expr->column].name, plan->cols[i].name) != 0)
            kp_buf_printf(out, " AS %s", plan->cols[i].name);
    }
}

static void print_asof(const struct kp_plan *plan, struct kp_buf *out)
{
    static const char *const names[] = {">=", ">", "<=", "<"};
    const struct kp_column *left = plan->inputs[0]->cols, *right = plan->inputs[1]->cols;
    kp_buf_append_text(out, plan->asof.outer ? "As-of left join:" : "As-of join:");
    for (uint32_t k = 0; k < plan->asof.key_count; k++)
        kp_buf_printf(out, " %s = %s,", left[plan->asof.keys[0][k]].name, right[plan->asof.keys[1][k]].name);
    kp_buf_printf(out, " %s %s %s", left[plan->asof.times[0]].name, names[2 * plan->asof.forward + plan->asof.strict],
                  right[plan->asof.times[1]].name);
    if (plan->asof.latest)
        kp_buf_append_text(out, ", of equal ones the last logged");
    kp_buf_append_text(out, plan->asof.frees
                                ? "  [state: of each key what lies behind the watermark, and the version before]"
                                : "  [state: all rows of both inputs]");
}

static void print_sources(const char *what, struct kp_relation *const *sources, uint32_t count, struct kp_buf *out)
{
    for (uint32_t i = 0; i < count; i++)
        kp_buf_printf(out, "%s %s", i ? "," : what, sources[i]->name);
}

static void print_window(const struct kp_plan *plan, struct kp_buf *out)
{
    static const char *const names[] = {"tumble", "hop", "cumulate", "session", "lateness"};
    kp_buf_printf(out, "Window: %s(%s, ", names[plan->window.kind],
                  plan->inputs[0]->cols[plan->window.time_column].name);
    if (plan->window.kind == KP_WINDOW_HOP || plan->window.kind == KP_WINDOW_CUMULATE) {
        print_interval(plan->window.slide, out);
        kp_buf_append_text(out, ", ");
    }
    print_interval(plan->window.size, out);
    for (uint32_t i = 0; i < plan->window.key_count; i++)
        kp_buf_printf(out, ", %s", plan->inputs[0]->cols[plan->window.keys[i]].name);
    kp_buf_append_byte(out, ')');
    print_sources(" watermark of", plan->window.sources, plan->window.source_count, out);
    if (plan->window.late_only)
        kp_buf_append_text(out, ", late only");
}

static void print_aggregate(const struct kp_plan *plan, struct kp_buf *out)
{
    const struct kp_column *in = plan->inputs[0]->cols;
    kp_buf_append_text(out, plan->aggregate.agg_count ? "Aggregate: " : "Distinct: ");
    if (plan->aggregate.group_count && plan->aggregate.agg_count)
        kp_buf_append_text(out, "group by ");
    print_exprs(plan->aggregate.groups, plan->aggregate.group_count, in, out);
    for (uint32_t i = 0; i < plan->aggregate.agg_count; i++) {
        const struct kp_plan_agg *agg = &plan->aggregate.aggs[i];
        kp_buf_printf(out, "%s%s(%s",
                      i                             ? ", "
                      : plan->aggregate.group_count ? "; "
                                                    : "",
                      agg->agg->name, agg->distinct ? "DISTINCT " : "");
        if (agg->arg_count > agg->order_count)
            print_exprs(agg->args, agg->arg_count - agg->order_count, in, out);
        else if (!agg->order_count)
            kp_buf_append_byte(out, '*');
        bool within = agg->agg->flags & KP_AGG_WITHIN;
        uint32_t written = agg->order_count - agg->row_last;
        kp_buf_append_text(out, within ? ") WITHIN GROUP (ORDER BY " : written ? " ORDER BY " : "");
        for (uint32_t k = 0; k < written; k++) {
            const struct kp_agg_order *order = &agg->orders[k];
            kp_buf_append_text(out, k ? ", " : "");
            kp_expr_print(agg->args[agg->arg_count - agg->order_count + k], in, out);
            kp_buf_append_text(out, order->descending ? " DESC" : "");
            if (order->nulls_first != order->descending)
                kp_buf_append_text(out, order->nulls_first ? " NULLS FIRST" : " NULLS LAST");
        }
        kp_buf_append_byte(out, ')');
        if (agg->filter) {
            kp_buf_append_text(out, " FILTER (WHERE ");
            kp_expr_print(agg->filter, in, out);
            kp_buf_append_byte(out, ')');
        }
    }
    if (plan->aggregate.group_count) {
        kp_buf_append_text(out, "  [state: a row for each ");
        print_exprs(plan->aggregate.groups, plan->aggregate.group_count, in, out);
        kp_buf_append_byte(out, ']');
    }
}

/* The residual speaks of both inputs' columns: those of one name are told apart by the side. */
static void print_residual(const struct kp_plan *plan, struct kp_buf *out)
{
    const struct kp_plan *left = plan->inputs[0], *right = plan->inputs[1];
    struct kp_arena arena = {0};
    struct kp_column *both = kp_arena_calloc(&arena, (left->col_count + right->col_count) * sizeof *both);
    for (uint32_t i = 0; i < left->col_count; i++)
        both[i].name = kp_arena_printf(&arena, "left.%s", left->cols[i].name);
    for (uint32_t i = 0; i < right->col_count; i++)
        both[left->col_count + i].name = kp_arena_printf(&arena, "right.%s", right->cols[i].name);
    kp_buf_append_text(out, plan->join.key_count ? " and " : " on ");
    kp_expr_print(plan->join.residual, both, out);
    kp_arena_finish(&arena);
}

static void print_join(const struct kp_plan *plan, struct kp_buf *out)
{
    static const char *const names[] = {"Join", "Left Join", "Right Join", "Full Join", "Semi Join", "Anti Join"};
    bool cross = !plan->join.key_count && !plan->join.residual;
    kp_buf_printf(out, "%s%s", cross ? "Cross " : "", names[plan->join.kind]);
    for (uint32_t i = 0; i < plan->join.key_count; i++) {
        kp_buf_append_text(out, i ? ", " : ": ");
        kp_expr_print(plan->join.left_keys[i], plan->inputs[0]->cols, out);
        kp_buf_append_text(out, plan->join.key_nulls && plan->join.key_nulls[i] ? " is " : " = ");
        kp_expr_print(plan->join.right_keys[i], plan->inputs[1]->cols, out);
    }
    if (plan->join.residual)
        print_residual(plan, out);
    if (!plan->join.frees[0] && !plan->join.frees[1]) {
        kp_buf_append_text(out, "  [state: all rows of both inputs]");
        return;
    }
    for (uint32_t s = 0; s < 2; s++) {
        kp_buf_printf(out, "%s%s", s ? ", " : "  [state: ", plan->join.frees[s] ? "" : "all rows of the ");
        if (plan->join.frees[s]) {
            kp_buf_printf(out, "rows of the %s input until the watermark is ", s ? "right" : "left");
            print_interval((struct kp_interval){.us = plan->join.reach_us[s]}, out);
            kp_buf_printf(out, " past %s", plan->inputs[s]->cols[plan->join.times[s]].name);
        } else {
            kp_buf_append_text(out, s ? "right input" : "left input");
        }
    }
    kp_buf_append_byte(out, ']');
}

static void print_keys(const struct kp_plan *plan, const struct kp_sort_key *keys, uint32_t count, struct kp_buf *out)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct kp_sort_key *key = &keys[i];
        kp_buf_printf(out, "%s%s%s", i ? ", " : "", plan->inputs[0]->cols[key->column].name,
                      key->descending ? " DESC" : "");
        if (key->nulls_first != key->descending)
            kp_buf_append_text(out, key->nulls_first ? " NULLS FIRST" : " NULLS LAST");
    }
}

static void print_bound(enum kp_frame_bound bound, int64_t offset, const struct kp_expr *range, struct kp_buf *out)
{
    static const char *const names[] = {"UNBOUNDED PRECEDING", "PRECEDING", "CURRENT ROW", "FOLLOWING",
                                        "UNBOUNDED FOLLOWING"};
    bool counts = bound == KP_BOUND_PRECEDING || bound == KP_BOUND_FOLLOWING;
    if (range)
        kp_expr_print(range, NULL, out);
    else if (counts)
        kp_buf_printf(out, "%lld", (long long)offset);
    kp_buf_printf(out, "%s%s", counts ? " " : "", names[bound]);
}

static void print_call(const struct kp_plan *plan, const struct kp_plan_over_call *call, struct kp_buf *out)
{
    static const char *const names[] = {"row_number", "rank", "dense_rank",  "percent_rank", "cume_dist", "ntile",
                                        "lag",        "lead", "first_value", "last_value",   "nth_value", ""};
    static const char *const modes[] = {"ROWS", "RANGE", "GROUPS"};
    const struct kp_column *in = plan->inputs[0]->cols;
    kp_buf_printf(out, "%s(", call->kind == KP_OVER_AGGREGATE ? call->agg->name : names[call->kind]);
    for (uint32_t i = 0; i < call->arg_count; i++)
        kp_buf_printf(out, "%s%s", i ? ", " : "", in[call->args[i]].name);
    kp_buf_append_text(out, call->kind == KP_OVER_AGGREGATE && !call->arg_count ? "*)" : ")");
    if (call->filtered)
        kp_buf_printf(out, " FILTER (WHERE %s)", in[call->filter].name);
    const struct kp_plan_frame *frame = &call->frame;
    static const char *const excluded[] = {"", "CURRENT ROW", "GROUP", "TIES"};
    if (call->kind < KP_OVER_FIRST_VALUE || (frame->mode == KP_FRAME_RANGE && frame->start == KP_BOUND_FIRST &&
                                             frame->end == KP_BOUND_CURRENT && !frame->exclude))
        return;
    kp_buf_printf(out, " %s BETWEEN ", modes[frame->mode]);
    print_bound(frame->start, frame->start_offset, frame->ranges[0], out);
    kp_buf_append_text(out, " AND ");
    print_bound(frame->end, frame->end_offset, frame->ranges[1], out);
    if (frame->exclude)
        kp_buf_printf(out, " EXCLUDE %s", excluded[frame->exclude]);
}

static void print_over(const struct kp_plan *plan, struct kp_buf *out)
{
    kp_buf_append_text(out, "Over: ");
    for (uint32_t i = 0; i < plan->over.call_count; i++) {
        if (i)
            kp_buf_append_text(out, ", ");
        print_call(plan, &plan->over.calls[i], out);
    }
    for (uint32_t i = 0; i < plan->over.partition_count; i++)
        kp_buf_printf(out, "%s%s", i ? ", " : " partition by ", plan->inputs[0]->cols[plan->over.partitions[i]].name);
    if (plan->over.order_count)
        kp_buf_append_text(out, " order by ");
    print_keys(plan, plan->over.keys, plan->over.order_count, out);
    if (plan->over.key_count > plan->over.order_count)
        kp_buf_append_text(out, " then ");
    print_keys(plan, plan->over.keys + plan->over.order_count, plan->over.key_count - plan->over.order_count, out);
    bool few = plan->over.top && plan->inputs[0]->growing;
    kp_buf_append_text(out, "  [state: ");
    if (few)
        kp_buf_printf(out, "the first %lld of each partition", (long long)plan->over.top);
    else
        kp_buf_append_text(out, "all rows");
    if (plan->over.frees)
        kp_buf_printf(out, ", until the watermark passes %s", plan->inputs[0]->cols[plan->over.time].name);
    kp_buf_append_byte(out, ']');
}

static void print_sort(const struct kp_plan *plan, struct kp_buf *out)
{
    kp_buf_append_text(out, plan->kind == KP_PLAN_TOPN ? "TopN: " : "Sort: ");
    print_keys(plan, plan->topn.keys, plan->topn.key_count, out);
    const char *separator = plan->topn.key_count ? ", " : "";
    if (plan->topn.limit) {
        kp_buf_printf(out, "%slimit ", separator);
        kp_expr_print(plan->topn.limit, NULL, out);
        separator = ", ";
    }
    if (plan->topn.offset) {
        kp_buf_printf(out, "%soffset ", separator);
        kp_expr_print(plan->topn.offset, NULL, out);
    }
}

static void print_values(const struct kp_plan *plan, struct kp_buf *out)
{
    kp_buf_printf(out, "Values: %u row%s", plan->values.rows, plan->values.rows == 1 ? "" : "s");
    if (plan->values.rows == 1 && plan->col_count) {
        kp_buf_append_text(out, " (");
        print_exprs(plan->values.exprs, plan->col_count, NULL, out);
        kp_buf_append_byte(out, ')');
    }
}

static void print_expand(const struct kp_plan *plan, struct kp_buf *out)
{
    const struct kp_column *cols = plan->inputs[0]->cols;
    kp_buf_printf(out, "Expand%s: ", plan->expand.outer ? " or keep" : "");
    for (uint32_t i = 0; i < plan->expand.call_count; i++) {
        const struct kp_plan_set *call = &plan->expand.calls[i];
        kp_buf_append_text(out, i ? ", " : "");
        if (call->func)
            kp_buf_printf(out, "%s(", call->func->name);
        print_exprs(call->args, call->arg_count, cols, out);
        if (call->func)
            kp_buf_append_byte(out, ')');
    }
    if (plan->expand.ordinality)
        kp_buf_append_text(out, " with ordinality");
}

void kp_plan_print_node(const struct kp_plan *plan, struct kp_buf *out)
{
    switch (plan->kind) {
    case KP_PLAN_SCAN:
        kp_buf_printf(out, "Scan %s", plan->scan.relation->name);
        print_columns(plan, out);
        break;
    case KP_PLAN_VALUES:
        print_values(plan, out);
        break;
    case KP_PLAN_FILTER:
        kp_buf_append_text(out, "Filter: ");
        kp_expr_print(plan->filter.predicate, plan->inputs[0]->cols, out);
        break;
    case KP_PLAN_PROJECT:
        print_project(plan, out);
        break;
    case KP_PLAN_WINDOW:
        print_window(plan, out);
        break;
    case KP_PLAN_AGGREGATE:
        print_aggregate(plan, out);
        break;
    case KP_PLAN_JOIN:
        print_join(plan, out);
        break;
    case KP_PLAN_ASOF:
        print_asof(plan, out);
        break;
    case KP_PLAN_UNION:
        kp_buf_append_text(out, "Union All");
        break;
    case KP_PLAN_OVER:
        print_over(plan, out);
        break;
    case KP_PLAN_MATCH:
        kp_plan_match_print(plan, out);
        break;
    case KP_PLAN_REPEAT:
        kp_buf_printf(out, "Repeat: %s times", plan->cols[plan->repeat.column].name);
        break;
    case KP_PLAN_RECURSE:
        kp_buf_printf(out, "Recurse %s: union%s", plan->recurse.name, plan->recurse.distinct ? "" : " all");
        break;
    case KP_PLAN_WORK:
        kp_buf_printf(out, "Rows so far of %s", plan->recurse.name);
        break;
    case KP_PLAN_EXPAND:
        print_expand(plan, out);
        break;
    case KP_PLAN_TOPN:
    case KP_PLAN_SORT:
        print_sort(plan, out);
        break;
    case KP_PLAN_EMIT:
        kp_buf_printf(out, "Emit on close of %s", plan->cols[plan->emit.window_end_column].name);
        print_sources(", watermark of", plan->emit.sources, plan->emit.source_count, out);
        break;
    }
    if (plan->growing && plan->kind != KP_PLAN_VALUES)
        kp_buf_append_text(out, "  [grows]");
}

static void print_tree(const struct kp_plan *plan, int depth, struct kp_buf *out)
{
    kp_buf_printf(out, "%*s%s", depth * 2, "", depth ? "-> " : "");
    kp_plan_print_node(plan, out);
    kp_buf_append_byte(out, '\n');
    for (uint32_t i = 0; i < plan->input_count; i++)
        print_tree(plan->inputs[i], depth + 1, out);
}

void kp_plan_print(const struct kp_plan *plan, struct kp_buf *out)
{
    print_tree(plan, 0, out);
}
