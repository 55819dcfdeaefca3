/*
 * EXPLAIN. What a node remembers is said on its line (plan_print.c); here is added what follows from the whole plan:
 *
 *   equal parts        one line, "[as above]": they run once
 *   [without bound]    its state grows as long as records come, since nothing takes rows away. Rows of a source stay,
 *                      unless a condition on now() lets them go; a table's rows are as many as its keys; what a group,
 *                      a LIMIT or a table bounds does not count
 *   (rows=…)           after a run: rows that came in and went out, time, state
 */
#include "sql/explain.h"

#include <stdio.h>

#include "sql/bind.h"
#include "sql/match_plan.h"

enum { SHARE_NODES_MAX = 2000 }; /* of a plan whose parts are compared with each other */

/* ---- growth ---- */

/* x > f(now()): rows leave as time passes. */
static bool lets_go(const struct kp_expr *predicate)
{
    if (predicate->kind == KP_EXPR_AND) {
        for (uint32_t i = 0; i < predicate->arg_count; i++)
            if (lets_go(predicate->args[i]))
                return true;
        return false;
    }
    if (predicate->kind != KP_EXPR_CALL || predicate->arg_count != 2 || predicate->func->kind != KP_FUNC_OPERATOR)
        return false;
    char op = predicate->func->name[0];
    return (op == '>' && kp_expr_reads_now(predicate->args[1])) || (op == '<' && kp_expr_reads_now(predicate->args[0]));
}

/* Its rows become more as long as records come. */
static bool rows_unbounded(const struct kp_plan *plan)
{
    switch (plan->kind) {
    case KP_PLAN_SCAN:
        if (plan->scan.relation->kind == KP_RELATION_VIEW)
            return plan->scan.relation->plan && rows_unbounded(plan->scan.relation->plan->plan);
        return plan->scan.relation->kind == KP_RELATION_SOURCE;
    case KP_PLAN_FILTER:
        if (lets_go(plan->filter.predicate))
            return false;
        break;
    case KP_PLAN_AGGREGATE:
        if (!plan->aggregate.group_count)
            return false;
        break;
    case KP_PLAN_TOPN:
        if (plan->topn.limit)
            return false;
        break;
    default:
        break;
    }
    for (uint32_t i = 0; i < plan->input_count; i++)
        if (rows_unbounded(plan->inputs[i]))
            return true;
    return false;
}

static bool inputs_unbounded(const struct kp_plan *plan)
{
    for (uint32_t i = 0; i < plan->input_count; i++)
        if (rows_unbounded(plan->inputs[i]))
            return true;
    return false;
}

/* Whether the node keeps something, and whether that grows without bound. */
static bool state_unbounded(const struct kp_plan *plan)
{
    switch (plan->kind) {
    case KP_PLAN_AGGREGATE:
        return plan->aggregate.group_count && inputs_unbounded(plan);
    case KP_PLAN_JOIN: /* lateness lets rows go */
        return !(plan->join.frees[0] && plan->join.frees[1]) && inputs_unbounded(plan);
    case KP_PLAN_MATCH:
        return !plan->match->frees && inputs_unbounded(plan);
    case KP_PLAN_OVER:
        return !plan->over.frees && inputs_unbounded(plan);
    case KP_PLAN_ASOF:
    case KP_PLAN_RECURSE:
        return inputs_unbounded(plan);
    case KP_PLAN_WINDOW:
        return plan->window.kind == KP_WINDOW_SESSION && inputs_unbounded(plan);
    case KP_PLAN_TOPN: /* over rows that only come, those that are shown are enough */
        return !(plan->inputs[0]->growing && plan->topn.limit) && inputs_unbounded(plan);
    default:
        return false;
    }
}

/* ---- both forms ---- */

struct printing {
    const struct kp_explain *explain;
    struct kp_buf *out;
    const struct kp_plan **seen; /* what was printed, for parts that come again */
    uint32_t seen_count, seen_max;
    struct kp_buf growing, unbounded; /* the lists at the end */
};

static const struct kp_plan *seen_before(const struct printing *printing, const struct kp_plan *plan)
{
    if (!plan->input_count)
        return NULL;
    for (uint32_t i = 0; i < printing->seen_count; i++)
        if (printing->seen[i]->kind == plan->kind && kp_plan_equal(printing->seen[i], plan))
            return printing->seen[i];
    return NULL;
}

static void see(struct printing *printing, const struct kp_plan *plan)
{
    if (plan->input_count && printing->seen_count < printing->seen_max)
        printing->seen[printing->seen_count++] = plan;
}

static void list_add(struct kp_buf *list, struct kp_str text)
{
    struct kp_str all = {(const char *)list->data, list->len};
    if (all.len >= text.len && memmem(all.ptr, all.len, text.ptr, text.len))
        return;
    if (list->len)
        kp_buf_append_text(list, ", ");
    kp_buf_append_str(list, text);
}

/* The title of a node's line: up to its details. */
static struct kp_str title_of(struct kp_str line)
{
    const char *end = memmem(line.ptr, line.len, "  [", 3);
    return (struct kp_str){line.ptr, end ? (size_t)(end - line.ptr) : line.len};
}

static void note_lists(struct printing *printing, const struct kp_plan *plan, struct kp_str line)
{
    if (plan->kind == KP_PLAN_SCAN && plan->growing)
        list_add(&printing->growing, kp_str(plan->scan.relation->name));
    if (state_unbounded(plan)) {
        struct kp_str title = title_of(line);
        const char *colon = memchr(title.ptr, ':', title.len);
        if (plan->kind != KP_PLAN_AGGREGATE && colon)
            title.len = (size_t)(colon - title.ptr);
        list_add(&printing->unbounded, title);
    }
}

static const struct kp_plan_measure *measure_of(const struct printing *printing, const struct kp_plan *plan)
{
    const struct kp_explain *explain = printing->explain;
    const struct kp_plan_measure *measure =
        explain->measures && plan->id < explain->measure_count ? &explain->measures[plan->id] : NULL;
    return measure && measure->known ? measure : NULL;
}

void kp_explain_bytes(uint64_t bytes, struct kp_buf *out)
{
    static const char *const units[] = {"kB", "MB", "GB"};
    double size = (double)bytes / 1024;
    size_t unit = 0;
    for (; size >= 1024 && unit + 1 < KP_COUNT(units); unit++)
        size /= 1024;
    if (bytes < 1024)
        kp_buf_printf(out, "%llu bytes", (unsigned long long)bytes);
    else
        kp_buf_printf(out, "%.1f %s", size, units[unit]);
}

static bool looks_up(const struct printing *printing, const struct kp_plan *plan)
{
    const struct kp_expr *values[KP_PLAN_KEYS_MAX];
    return printing->explain->once && plan->kind == KP_PLAN_FILTER && plan->inputs[0]->kind == KP_PLAN_SCAN &&
           kp_plan_key(plan, plan->inputs[0], values);
}

/* ---- text ---- */

static const char *shared_with(const struct printing *printing, const struct kp_plan *plan)
{
    return printing->explain->shared ? printing->explain->shared[plan->id] : NULL;
}

static void print_measure(const struct kp_plan_measure *measure, struct kp_buf *out)
{
    kp_buf_printf(out, "  (rows=%llu", (unsigned long long)measure->rows_out);
    if (measure->rows_in)
        kp_buf_printf(out, " of %llu", (unsigned long long)measure->rows_in);
    kp_buf_printf(out, " time=%.3f ms", (double)measure->ns / 1e6);
    if (measure->state_rows || measure->state_bytes) {
        kp_buf_printf(out, " state=%llu rows, ", (unsigned long long)measure->state_rows);
        kp_explain_bytes(measure->state_bytes, out);
    }
    kp_buf_append_byte(out, ')');
}

static void print_text(struct printing *printing, const struct kp_plan *plan, int depth)
{
    struct kp_buf *out = printing->out;
    kp_buf_printf(out, "%*s%s", depth * 2, "", depth ? "-> " : "");
    size_t start = out->len;
    kp_plan_print_node(plan, out);
    struct kp_str line = {(const char *)out->data + start, out->len - start};
    if (seen_before(printing, plan)) {
        out->len = start + title_of(line).len;
        kp_buf_append_text(out, "  [as above]\n");
        return;
    }
    see(printing, plan);
    note_lists(printing, plan, line);
    if (state_unbounded(plan))
        kp_buf_append_text(out, "  [without bound]");
    if (looks_up(printing, plan))
        kp_buf_append_text(out, "  [looked up by key]");
    if (shared_with(printing, plan))
        kp_buf_printf(out, "  [shared with %s]", shared_with(printing, plan));
    const struct kp_plan_measure *measure = measure_of(printing, plan);
    if (measure)
        print_measure(measure, out);
    kp_buf_append_byte(out, '\n');
    for (uint32_t i = 0; i < plan->input_count; i++)
        print_text(printing, plan->inputs[i], depth + 1);
}

static void print_end(const struct printing *printing)
{
    const struct kp_explain *explain = printing->explain;
    struct kp_buf *out = printing->out;
    if (printing->growing.len)
        kp_buf_printf(out, "Only grows: %.*s\n", (int)printing->growing.len, (char *)printing->growing.data);
    if (printing->unbounded.len)
        kp_buf_printf(out, "State without bound: %.*s\n", (int)printing->unbounded.len,
                      (char *)printing->unbounded.data);
    if (!explain->measures)
        return;
    kp_buf_printf(out, "Rows: %llu", (unsigned long long)explain->rows);
    if (explain->position >= 0)
        kp_buf_printf(out, " at position %lld", (long long)explain->position);
    kp_buf_printf(out, "\nExecution Time: %.3f ms\n", explain->ms);
}

/* ---- JSON ---- */

static void json_list(const char *key, const struct kp_buf *list, struct kp_buf *out)
{
    kp_buf_printf(out, ",\n    \"%s\": [", key);
    const char *at = (const char *)list->data, *end = at + list->len;
    for (bool first = true; at && at < end; first = false) {
        const char *comma = memmem(at, (size_t)(end - at), ", ", 2);
        struct kp_str item = {at, (size_t)((comma ? comma : end) - at)};
        kp_buf_append_text(out, first ? "" : ", ");
        kp_buf_append_json_string(out, item);
        at = comma ? comma + 2 : end;
    }
    kp_buf_append_byte(out, ']');
}

static void json_details(const struct printing *printing, const struct kp_plan *plan)
{
    struct kp_buf *out = printing->out;
    struct kp_buf line = {0};
    kp_plan_print_node(plan, &line);
    struct kp_str title = title_of((struct kp_str){(const char *)line.data, line.len});
    const char *colon = memmem(title.ptr, title.len, ": ", 2);
    struct kp_str type = {title.ptr, colon ? (size_t)(colon - title.ptr) : title.len};
    if (plan->kind == KP_PLAN_SCAN)
        type = KP_STR("Scan");
    kp_buf_append_text(out, "\"Node Type\": ");
    kp_buf_append_json_string(out, type);
    if (plan->kind == KP_PLAN_SCAN) {
        kp_buf_append_text(out, ", \"Relation Name\": ");
        kp_buf_append_json_string(out, kp_str(plan->scan.relation->name));
    } else if (colon) {
        kp_buf_append_text(out, ", \"Details\": ");
        kp_buf_append_json_string(out, (struct kp_str){colon + 2, (size_t)(title.ptr + title.len - colon - 2)});
    }
    const char *state = memmem(line.data, line.len, "[state: ", 8);
    if (state) {
        const char *end = memchr(state, ']', line.len - (size_t)(state - (char *)line.data));
        kp_buf_append_text(out, ", \"State\": ");
        kp_buf_append_json_string(out, (struct kp_str){state + 8, end ? (size_t)(end - state - 8) : 0});
        kp_buf_printf(out, ", \"State Without Bound\": %s", state_unbounded(plan) ? "true" : "false");
    }
    if (looks_up(printing, plan))
        kp_buf_append_text(out, ", \"Looked Up By Key\": true");
    kp_buf_printf(out, ", \"Only Grows\": %s, \"Columns\": [", plan->growing ? "true" : "false");
    for (uint32_t i = 0; i < plan->col_count; i++) {
        kp_buf_append_text(out, i ? ", " : "");
        kp_buf_append_json_string(out, kp_str(plan->cols[i].name));
    }
    kp_buf_append_byte(out, ']');
    kp_buf_finish(&line);
}

static void print_json(struct printing *printing, const struct kp_plan *plan, int depth)
{
    struct kp_buf *out = printing->out;
    struct kp_buf line = {0};
    const struct kp_plan *before = seen_before(printing, plan);
    kp_buf_printf(out, "{\"Node\": %u, ", plan->id);
    json_details(printing, plan);
    if (before) {
        kp_buf_printf(out, ", \"Same As Node\": %u}", before->id);
        return;
    }
    see(printing, plan);
    kp_plan_print_node(plan, &line);
    note_lists(printing, plan, (struct kp_str){(const char *)line.data, line.len});
    kp_buf_finish(&line);
    const struct kp_plan_measure *measure = measure_of(printing, plan);
    if (measure)
        kp_buf_printf(out,
                      ", \"Actual Rows\": %llu, \"Rows In\": %llu, \"Actual Total Time\": %.3f, \"State Rows\": %llu, "
                      "\"State Bytes\": %llu",
                      (unsigned long long)measure->rows_out, (unsigned long long)measure->rows_in,
                      (double)measure->ns / 1e6, (unsigned long long)measure->state_rows,
                      (unsigned long long)measure->state_bytes);
    if (shared_with(printing, plan)) {
        kp_buf_append_text(out, ", \"Shared With\": ");
        kp_buf_append_json_string(out, kp_str(shared_with(printing, plan)));
    }
    if (plan->input_count)
        kp_buf_append_text(out, ", \"Plans\": [");
    for (uint32_t i = 0; i < plan->input_count; i++) {
        kp_buf_printf(out, "%s\n%*s", i ? "," : "", 4 + 2 * (depth + 1), "");
        print_json(printing, plan->inputs[i], depth + 1);
    }
    kp_buf_append_text(out, plan->input_count ? "]}" : "}");
}

static void print_document(struct printing *printing, const struct kp_plan *plan)
{
    const struct kp_explain *explain = printing->explain;
    struct kp_buf *out = printing->out;
    kp_buf_append_text(out, "[\n  {\n    \"Plan\": ");
    print_json(printing, plan, 0);
    json_list("Only Grows", &printing->growing, out);
    kp_buf_printf(out, ",\n    \"State Without Bound\": %s", printing->unbounded.len ? "true" : "false");
    if (explain->measures) {
        kp_buf_printf(out, ",\n    \"Rows\": %llu", (unsigned long long)explain->rows);
        if (explain->position >= 0)
            kp_buf_printf(out, ",\n    \"Position\": %lld", (long long)explain->position);
        kp_buf_printf(out, ",\n    \"Execution Time\": %.3f", explain->ms);
    }
    kp_buf_append_text(out, "\n  }\n]\n");
}

/* ---- the whole ---- */

uint32_t kp_plan_node_count(const struct kp_plan *plan)
{
    uint32_t count = 1;
    for (uint32_t i = 0; i < plan->input_count; i++)
        count += kp_plan_node_count(plan->inputs[i]);
    return count;
}

void kp_plan_explain(const struct kp_plan *plan, const struct kp_explain *explain, struct kp_buf *out)
{
    struct printing printing = {.explain = explain, .out = out};
    printing.seen_max = KP_MIN(kp_plan_node_count(plan), (uint32_t)SHARE_NODES_MAX);
    printing.seen = kp_calloc(printing.seen_max + 1, sizeof(struct kp_plan *));
    if (explain->json) {
        print_document(&printing, plan);
    } else {
        print_text(&printing, plan, 0);
        print_end(&printing);
    }
    kp_free(printing.seen);
    kp_buf_finish(&printing.growing);
    kp_buf_finish(&printing.unbounded);
}
