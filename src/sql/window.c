/*
 * tumble, hop, cumulate and session in FROM; where a column comes from; EMIT ON WINDOW CLOSE.
 *
 *   tumble(rel, time, size [, offset])      hop(rel, time, slide, size [, offset])
 *   cumulate(rel, time, step, size)         session(rel, time, gap, key, …)
 *
 * Each yields rel's columns, then window_start and window_end of the time's type (timestamp for date).
 *
 * Late rows are told by the watermark at their own position, which only rows straight from a source bring along: a
 * materialized view that lies between and keeps no state is run again below the window (kp_plan_expand_views).
 */
#include "sql/bind.h"

static const struct window_rule {
    const char *name;
    enum kp_window_kind kind;
    size_t min_args, max_args;
    const char *usage;
} rules[] = {
    {"tumble", KP_WINDOW_TUMBLE, 3, 4, "tumble(relation, time, INTERVAL size [, INTERVAL offset])"},
    {"hop", KP_WINDOW_HOP, 4, 5, "hop(relation, time, INTERVAL slide, INTERVAL size [, INTERVAL offset])"},
    {"cumulate", KP_WINDOW_CUMULATE, 4, 4, "cumulate(relation, time, INTERVAL step, INTERVAL size)"},
    {"session", KP_WINDOW_SESSION, 3, 3 + KP_FUNCTION_ARGS_MAX, "session(relation, time, INTERVAL gap [, key, …])"},
};

static const struct window_rule *find_rule(const char *name)
{
    for (size_t i = 0; i < KP_COUNT(rules); i++)
        if (strcmp(rules[i].name, name) == 0)
            return &rules[i];
    return NULL;
}

bool kp_bind_is_window(const char *name)
{
    return find_rule(name);
}

const struct kp_plan *kp_plan_trace(const struct kp_plan *plan, uint32_t column, uint32_t *ret_column)
{
    for (;;) {
        const struct kp_expr *made_by = NULL;
        switch (plan->kind) {
        case KP_PLAN_FILTER:
        case KP_PLAN_REPEAT:
        case KP_PLAN_TOPN:
        case KP_PLAN_SORT:
        case KP_PLAN_EMIT:
            plan = plan->inputs[0];
            continue;
        case KP_PLAN_PROJECT:
            made_by = plan->project.exprs[column];
            break;
        case KP_PLAN_AGGREGATE:
            made_by = column < plan->aggregate.group_count ? plan->aggregate.groups[column] : NULL;
            break;
        case KP_PLAN_OVER:
        case KP_PLAN_EXPAND:
        case KP_PLAN_WINDOW:
            if (column >= plan->inputs[0]->col_count)
                break;
            plan = plan->inputs[0];
            continue;
        case KP_PLAN_ASOF:
            if (column >= plan->inputs[0]->col_count)
                break;
            plan = plan->inputs[0];
            continue;
        case KP_PLAN_JOIN: {
            if (plan->join.kind == KP_JOIN_FULL) /* either side may be missing */
                break;
            bool right = column >= plan->inputs[0]->col_count;
            column -= right ? plan->inputs[0]->col_count : 0;
            plan = plan->inputs[right];
            continue;
        }
        case KP_PLAN_SCAN: { /* through a materialized view into its own plan */
            const struct kp_relation *relation = plan->scan.relation;
            if (relation->kind != KP_RELATION_VIEW || !relation->plan)
                break;
            column = plan->scan.columns[column];
            plan = relation->plan->plan;
            continue;
        }
        default:
            break;
        }
        if (!made_by || made_by->kind != KP_EXPR_COLUMN || made_by->column >= KP_OUTER_BASE) {
            *ret_column = column;
            return plan;
        }
        column = made_by->column;
        plan = plan->inputs[0];
    }
}

/* ---- whose watermark ---- */

struct sources {
    struct kp_relation **items;
    uint32_t count, cap;
};

static void add_source(struct binder *binder, struct sources *sources, struct kp_relation *relation)
{
    for (uint32_t i = 0; i < sources->count; i++)
        if (sources->items[i] == relation)
            return;
    if (sources->count == sources->cap) {
        sources->cap = sources->cap ? sources->cap * 2 : 2;
        struct kp_relation **more = kp_arena_alloc(binder->arena, sources->cap * sizeof *more);
        if (sources->count)
            memcpy(more, sources->items, sources->count * sizeof *more);
        sources->items = more;
    }
    sources->items[sources->count++] = relation;
}

/* The sources whose watermarks the column carries, of a union one a side; false if it is no watermark's column. */
static bool find_sources(struct binder *binder, const struct kp_plan *plan, uint32_t column, struct sources *sources)
{
    uint32_t at;
    const struct kp_plan *origin = kp_plan_trace(plan, column, &at);
    if (origin->kind == KP_PLAN_UNION) {
        for (uint32_t i = 0; i < origin->input_count; i++)
            if (!find_sources(binder, origin->inputs[i], at, sources))
                return false;
        return true;
    }
    if (origin->kind != KP_PLAN_SCAN)
        return false;
    struct kp_relation *relation = origin->scan.relation; /* a table's rows change after their window has closed */
    if (relation->kind != KP_RELATION_SOURCE || relation->watermark_column < 0 ||
        (uint32_t)relation->watermark_column != origin->scan.columns[at])
        return false;
    add_source(binder, sources, relation);
    return true;
}

/* ---- arguments ---- */

static enum kp_code usage(struct binder *binder, const PgQuery__FuncCall *call, const struct window_rule *rule,
                          int32_t location)
{
    kp_bind_fail(binder, location >= 0 ? location : call->location, KP_NOT_FOUND, "42883", "invalid arguments of %s()",
                 rule->name);
    return kp_error_hint(binder->err, "Write %s.", rule->usage);
}

/* The relation named by the first argument, or a CTE or subquery of that name. */
static enum kp_code bind_input(struct binder *binder, const PgQuery__FuncCall *call, const struct window_rule *rule,
                               struct scope *scope, const char **ret_alias, struct kp_plan **ret_plan)
{
    const PgQuery__Node *node = call->args[0];
    const PgQuery__ColumnRef *ref = node->node_case == PG_QUERY__NODE__NODE_COLUMN_REF ? node->column_ref : NULL;
    if (node->node_case == PG_QUERY__NODE__NODE_SUB_LINK &&
        node->sub_link->sub_link_type == PG_QUERY__SUB_LINK_TYPE__EXPR_SUBLINK) {
        uint32_t count;
        KP_TRY(kp_bind_select(binder, node->sub_link->subselect->select_stmt, false, ret_plan, &count));
        kp_scope_add_plan(binder, scope, rule->name, *ret_plan, 0);
        *ret_alias = rule->name;
        return KP_OK;
    }
    if (!ref || ref->n_fields > 2 || ref->fields[ref->n_fields - 1]->node_case != PG_QUERY__NODE__NODE_STRING)
        return usage(binder, call, rule, kp_tree_location(node));
    PgQuery__RangeVar range = {0};
    PgQuery__Node item = {0}, *items = &item;
    range.relname = ref->fields[ref->n_fields - 1]->string->sval;
    range.schemaname = ref->n_fields == 2 ? ref->fields[0]->string->sval : (char *)"";
    range.location = ref->location;
    item.node_case = PG_QUERY__NODE__NODE_RANGE_VAR;
    item.range_var = &range;
    struct query_joins joins = {0};
    KP_TRY(kp_bind_from(binder, &items, 1, &joins, scope));
    KP_TRY(kp_joins_finish(binder, &joins, ret_plan));
    *ret_alias = range.relname;
    return KP_OK;
}

static enum kp_code column_argument(struct binder *binder, const PgQuery__FuncCall *call,
                                    const struct window_rule *rule, const struct scope *scope, size_t arg,
                                    uint32_t *ret_column)
{
    if (call->args[arg]->node_case != PG_QUERY__NODE__NODE_COLUMN_REF)
        return usage(binder, call, rule, kp_tree_location(call->args[arg]));
    struct kp_expr *expr;
    KP_TRY(kp_scope_find(binder, scope, call->args[arg]->column_ref, &expr));
    if (expr->kind != KP_EXPR_COLUMN || kp_is_outer(expr->column))
        return usage(binder, call, rule, kp_tree_location(call->args[arg]));
    *ret_column = expr->column;
    return KP_OK;
}

static enum kp_code interval_argument(struct binder *binder, const PgQuery__FuncCall *call,
                                      const struct window_rule *rule, size_t arg, bool positive,
                                      struct kp_interval *ret_interval)
{
    static const struct scope nothing;
    struct expr_place place = {.scope = &nothing, .clause = "a window's size"};
    struct kp_expr *expr;
    int32_t location = kp_tree_location(call->args[arg]);
    KP_TRY(kp_bind_expr(binder, &place, call->args[arg], &expr));
    if (expr->type.id == KP_UNKNOWN)
        KP_TRY(kp_bind_coerce(binder, expr, KP_TYPE(KP_INTERVAL), COERCE_IMPLICIT, &expr));
    if (expr->type.id != KP_INTERVAL || expr->kind != KP_EXPR_CONST || expr->datum.null)
        return usage(binder, call, rule, location);
    struct kp_interval interval = expr->datum.interval;
    if (interval.months)
        return kp_bind_fail(binder, location, KP_UNSUPPORTED, NULL, "windows of months or years are not supported");
    interval.us += (int64_t)interval.days * 86400000000;
    interval.days = 0;
    if (positive && interval.us <= 0)
        return kp_bind_fail(binder, location, KP_INVALID, "22023", "a window's size must be positive");
    *ret_interval = interval;
    return KP_OK;
}

static enum kp_code bind_sizes(struct binder *binder, const PgQuery__FuncCall *call, const struct window_rule *rule,
                               struct kp_plan *window)
{
    bool slides = rule->kind == KP_WINDOW_HOP || rule->kind == KP_WINDOW_CUMULATE;
    size_t next = 2;
    if (slides)
        KP_TRY(interval_argument(binder, call, rule, next++, true, &window->window.slide));
    KP_TRY(interval_argument(binder, call, rule, next++, true, &window->window.size));
    if (!slides)
        window->window.slide = window->window.size;
    if (rule->kind == KP_WINDOW_CUMULATE && window->window.size.us % window->window.slide.us)
        return kp_bind_fail(binder, kp_tree_location(call->args[3]), KP_INVALID, "22023",
                            "the size must be a multiple of the step");
    if (window->window.size.us / window->window.slide.us > 10000)
        return kp_bind_fail(binder, kp_tree_location(call->args[2]), KP_LIMIT, NULL,
                            "a row would be in more than 10000 windows");
    if (rule->kind != KP_WINDOW_SESSION && next < call->n_args)
        KP_TRY(interval_argument(binder, call, rule, next, false, &window->window.offset));
    return KP_OK;
}

enum kp_code kp_bind_window(struct binder *binder, const PgQuery__FuncCall *call, const char **ret_alias,
                            struct kp_plan **ret_plan)
{
    const char *schema, *name = kp_tree_name(call->funcname, call->n_funcname, &schema);
    const struct window_rule *rule = find_rule(name);
    if (call->n_args < rule->min_args || call->n_args > rule->max_args)
        return usage(binder, call, rule, call->location);
    struct scope scope = {0};
    struct kp_plan *input;
    KP_TRY(bind_input(binder, call, rule, &scope, ret_alias, &input));
    uint32_t time;
    KP_TRY(column_argument(binder, call, rule, &scope, 1, &time));
    enum kp_type_id type = input->cols[time].type.id;
    if (type != KP_TIMESTAMP && type != KP_TIMESTAMPTZ && type != KP_DATE)
        return kp_bind_fail(binder, kp_tree_location(call->args[1]), KP_INVALID, "42804",
                            "the time of a window must be a timestamp or date, but column \"%s\" is of type %s",
                            input->cols[time].name, kp_type_info(type)->name);
    struct kp_plan *plan = kp_bind_node(binder, KP_PLAN_WINDOW, call->location, input->col_count + 2, 1);
    plan->inputs[0] = input;
    plan->window.kind = rule->kind;
    plan->window.time_column = time;
    struct sources sources = {0};
    if (find_sources(binder, input, time, &sources)) {
        plan->window.sources = sources.items;
        plan->window.source_count = sources.count;
    }
    KP_TRY(bind_sizes(binder, call, rule, plan));
    if (rule->kind == KP_WINDOW_SESSION) {
        plan->window.key_count = (uint32_t)call->n_args - 3;
        plan->window.keys = kp_arena_calloc(binder->arena, plan->window.key_count * sizeof(uint32_t));
        for (uint32_t i = 0; i < plan->window.key_count; i++)
            KP_TRY(column_argument(binder, call, rule, &scope, 3 + i, &plan->window.keys[i]));
    }
    memcpy(plan->cols, input->cols, input->col_count * sizeof *plan->cols);
    plan->cols[time].not_null = true; /* rows without a time are in no window */
    struct kp_type bound = KP_TYPE(type == KP_DATE ? KP_TIMESTAMP : type);
    plan->cols[input->col_count] = (struct kp_column){"window_start", bound, true};
    plan->cols[input->col_count + 1] = (struct kp_column){"window_end", bound, true};
    *ret_plan = plan;
    return KP_OK;
}

/* ---- EMIT ON WINDOW CLOSE ---- */

static bool is_below(const struct kp_plan *plan, const struct kp_plan *sought)
{
    bool found = plan == sought;
    for (uint32_t i = 0; !found && i < plan->input_count; i++)
        found = is_below(plan->inputs[i], sought);
    return found;
}

/* Of two windows' bounds among the plan's columns that of `other` decides, not that of `found`: one of the plan itself
 * rather than of a view, whose rows are there whether they have closed or not; none that has closed before (late());
 * the outer one of windows over windows; of joined ones that of a side which is never missing. */
static bool decides(const struct kp_plan *plan, const struct kp_plan *other, uint32_t at, const struct kp_plan *found,
                    uint32_t found_at)
{
    bool own = is_below(plan, other);
    if (own != is_below(plan, found))
        return own;
    if (other->window.late_only != found->window.late_only)
        return found->window.late_only;
    return is_below(other, found) ||
           (plan->cols[at].not_null && !plan->cols[found_at].not_null && !is_below(found, other));
}

/* The plan's column that is a window's end (which 1) or start (which 0). */
static bool find_bound(const struct kp_plan *plan, uint32_t which, uint32_t cols, uint32_t *ret_column,
                       const struct kp_plan **ret_window)
{
    const struct kp_plan *found = NULL;
    for (uint32_t i = 0; i < cols; i++) {
        uint32_t at;
        const struct kp_plan *origin = kp_plan_trace(plan, i, &at);
        if (origin->kind != KP_PLAN_WINDOW || at != origin->inputs[0]->col_count + which || origin == found)
            continue;
        if (!found || decides(plan, origin, i, found, *ret_column)) {
            *ret_column = i;
            *ret_window = found = origin;
        }
    }
    return found;
}

/* The groups have the start of a window that is over this one. */
static bool groups_start_above(const struct kp_plan *aggregate, const struct kp_plan *window)
{
    uint32_t start;
    const struct kp_plan *above;
    return find_bound(aggregate, 0, aggregate->aggregate.group_count, &start, &above) && above != window &&
           is_below(above, window);
}

/*
 * GROUP BY window_start alone: the end of a tumbling or hopping window follows from its start, so it may join the
 * groups without changing them. It goes behind the last group, which moves the aggregates' columns by one: the caller's
 * columns are kept by a projection above.
 */
static bool add_end_to_groups(struct binder *binder, struct kp_plan *aggregate, uint32_t *ret_column,
                              const struct kp_plan **ret_window)
{
    uint32_t start, groups = aggregate->aggregate.group_count, input_end = 0, at;
    const struct kp_plan *of_start;
    if (!find_bound(aggregate, 0, groups, &start, &of_start))
        return false;
    if (of_start->window.kind != KP_WINDOW_TUMBLE && of_start->window.kind != KP_WINDOW_HOP)
        return false;
    const struct kp_plan *input = aggregate->inputs[0];
    while (input_end < input->col_count &&
           (kp_plan_trace(input, input_end, &at) != of_start || at != of_start->inputs[0]->col_count + 1))
        input_end++;
    if (input_end == input->col_count)
        return false;
    struct kp_expr **exprs = kp_arena_alloc(binder->arena, (groups + 1) * sizeof *exprs);
    struct kp_column *cols = kp_arena_alloc(binder->arena, (aggregate->col_count + 1) * sizeof *cols);
    memcpy(exprs, aggregate->aggregate.groups, groups * sizeof *exprs);
    exprs[groups] = kp_bind_column(binder, input_end, input->cols[input_end].type, -1);
    memcpy(cols, aggregate->cols, groups * sizeof *cols);
    cols[groups] = input->cols[input_end];
    memcpy(cols + groups + 1, aggregate->cols + groups, (aggregate->col_count - groups) * sizeof *cols);
    aggregate->aggregate.groups = exprs;
    aggregate->aggregate.group_count++;
    aggregate->cols = cols;
    aggregate->col_count++;
    *ret_column = groups;
    *ret_window = of_start;
    return true;
}

/* Microseconds, if they are the same everywhere: not of months, nor of days where a day may have 23 hours. */
static bool is_even(const struct kp_interval *interval, enum kp_type_id time, int64_t *ret_us)
{
    *ret_us = interval->days * INT64_C(86400000000) + interval->us;
    return interval->months == 0 && (interval->days == 0 || time == KP_TIMESTAMP);
}

/* Every tumbling window that starts in one of these ends in it, too. */
static bool holds_whole(const struct kp_plan *outer, const struct kp_plan *inner)
{
    enum kp_type_id time = inner->inputs[0]->cols[inner->window.time_column].type.id;
    int64_t size_us, slide_us, offset_us, unit_us, shift_us;
    return inner->window.kind == KP_WINDOW_TUMBLE && is_even(&outer->window.size, time, &size_us) &&
           is_even(&outer->window.slide, time, &slide_us) && is_even(&outer->window.offset, time, &offset_us) &&
           is_even(&inner->window.size, time, &unit_us) && is_even(&inner->window.offset, time, &shift_us) &&
           unit_us > 0 && size_us % unit_us == 0 && slide_us % unit_us == 0 && (offset_us - shift_us) % unit_us == 0;
}

/*
 * A window over windows has no watermark of its own, but what falls into it is final when the windows below are that
 * end in it: its time is their end, or their start and it holds each of them whole. Late pairs are left out below.
 */
static bool closes_with_those_below(const struct kp_plan *window)
{
    uint32_t at;
    const struct kp_plan *inner = kp_plan_trace(window->inputs[0], window->window.time_column, &at);
    if (window->window.source_count)
        return true;
    if (window->window.kind == KP_WINDOW_SESSION || inner->kind != KP_PLAN_WINDOW ||
        !is_below(window->inputs[0], inner) || !closes_with_those_below(inner))
        return false;
    uint32_t start = inner->inputs[0]->col_count;
    return at == start + 1 || (at == start && holds_whole(window, inner));
}

/* The sources of all windows below; false if one has no watermark. */
static bool all_sources(struct binder *binder, const struct kp_plan *plan, struct sources *sources)
{
    bool all = plan->kind != KP_PLAN_WINDOW || closes_with_those_below(plan);
    for (uint32_t i = 0; plan->kind == KP_PLAN_WINDOW && i < plan->window.source_count; i++)
        add_source(binder, sources, plan->window.sources[i]);
    for (uint32_t i = 0; i < plan->input_count; i++)
        all &= all_sources(binder, plan->inputs[i], sources);
    return all;
}

enum kp_code kp_bind_emit(struct binder *binder, struct kp_plan *plan, struct kp_plan **ret_plan)
{
    bool aggregate = plan->kind == KP_PLAN_AGGREGATE;
    uint32_t end, groups = aggregate ? plan->aggregate.group_count : plan->col_count;
    const struct kp_plan *window;
    bool found = find_bound(plan, 1, groups, &end, &window);
    bool added =
        aggregate && (!found || groups_start_above(plan, window)) && add_end_to_groups(binder, plan, &end, &window);
    if (!found && !added) {
        kp_bind_fail(binder, binder->statement->emit_location, KP_INVALID, "42P10",
                     "EMIT ON WINDOW CLOSE needs a window's end in the rows or in GROUP BY");
        return kp_error_hint(binder->err, "Read from tumble, hop, cumulate or session and group by window_end; each of "
                                          "several grouping sets needs it: GROUP BY window_end, ROLLUP (…).");
    }
    struct sources sources = {0};
    if (!closes_with_those_below(window) || !all_sources(binder, plan, &sources)) {
        uint32_t at;
        bool nested = kp_plan_trace(window->inputs[0], window->window.time_column, &at)->kind == KP_PLAN_WINDOW;
        kp_bind_fail(binder, binder->statement->emit_location, KP_INVALID, "42P10",
                     "EMIT ON WINDOW CLOSE needs a watermark on the window's time");
        return kp_error_hint(
            binder->err,
            nested ? "A window over windows of a subquery closes with them if its time is their window_end, or their "
                     "window_start and its size is a multiple of theirs."
                   : "Declare WATERMARK FOR the column in CREATE SOURCE; for windows of the clock, that is "
                     "_log_time: WATERMARK FOR _log_time AS _log_time.");
    }
    struct kp_plan *emit = kp_bind_node(binder, KP_PLAN_EMIT, plan->location, plan->col_count, 1);
    emit->inputs[0] = plan;
    memcpy(emit->cols, plan->cols, plan->col_count * sizeof *plan->cols);
    emit->emit.window_end_column = end;
    emit->emit.sources = sources.items;
    emit->emit.source_count = sources.count;
    *ret_plan = emit;
    if (added) {
        uint32_t count = emit->col_count - 1;
        struct kp_expr **exprs = kp_arena_alloc(binder->arena, count * sizeof *exprs);
        for (uint32_t i = 0; i < count; i++) {
            uint32_t from = i < end ? i : i + 1;
            exprs[i] = kp_bind_column(binder, from, emit->cols[from].type, -1);
        }
        *ret_plan = kp_bind_project(binder, emit, exprs, NULL, count);
    }
    return KP_OK;
}

/* ---- late(view) ---- */

enum kp_code kp_bind_late(struct binder *binder, const PgQuery__FuncCall *call, const char **ret_alias,
                          struct kp_plan **ret_plan)
{
    const PgQuery__ColumnRef *ref = call->n_args == 1 && call->args[0]->node_case == PG_QUERY__NODE__NODE_COLUMN_REF
                                        ? call->args[0]->column_ref
                                        : NULL;
    if (!ref || ref->fields[ref->n_fields - 1]->node_case != PG_QUERY__NODE__NODE_STRING)
        return kp_bind_fail(binder, call->location, KP_NOT_FOUND, "42883", "late() takes the name of a view");
    struct kp_relation *view;
    struct kp_name name = {NULL, ref->fields[ref->n_fields - 1]->string->sval, ref->location};
    KP_TRY(kp_bind_relation(binder, name, &view));
    const struct kp_plan *late = view->kind == KP_RELATION_VIEW ? kp_plan_late_window(view->plan->plan) : NULL;
    if (!late) {
        kp_bind_fail(binder, ref->location, KP_INVALID, "42809",
                     "\"%s\" has no late rows: it is no view with EMIT ON WINDOW CLOSE or lateness over one window",
                     view->name);
        return kp_error_hint(binder->err,
                             "Of a view over several windows nobody can tell which one a row was late for: "
                             "make a view of each.");
    }
    if (!binder->for_view) {
        kp_bind_fail(binder, call->location, KP_UNSUPPORTED, NULL, "late() can be used in a materialized view only");
        const char *beside = kp_arena_printf(binder->arena, "%s_late", view->name);
        bool there = kp_catalog_find(binder->context->catalog, KP_STR("public"), kp_str(beside));
        return kp_error_hint(binder->err, there ? "Read %s." : "Create a materialized view %s of it, and read that.",
                             beside);
    }
    struct kp_plan *plan = kp_plan_copy(late, binder->arena), *window = plan;
    while (window->kind == KP_PLAN_FILTER)
        window = window->inputs[0];
    window->window.late_only = true;
    if (!binder->late_of)
        binder->late_of = view;
    *ret_alias = view->name;
    *ret_plan = plan;
    return KP_OK;
}

/* ---- views below a window ---- */

bool kp_plan_is_stateless(const struct kp_plan *plan)
{
    switch (plan->kind) {
    case KP_PLAN_SCAN:
        return plan->scan.relation->kind == KP_RELATION_SOURCE ||
               (plan->scan.relation->kind == KP_RELATION_VIEW && kp_plan_is_stateless(plan->scan.relation->plan->plan));
    case KP_PLAN_FILTER:
    case KP_PLAN_PROJECT:
    case KP_PLAN_UNION:
        for (uint32_t i = 0; i < plan->input_count; i++)
            if (!kp_plan_is_stateless(plan->inputs[i]))
                return false;
        return plan->growing;
    default:
        return false;
    }
}

static void expand(struct binder *binder, struct kp_plan *plan, bool below_window)
{
    below_window |= plan->kind == KP_PLAN_WINDOW;
    bool view = plan->kind == KP_PLAN_SCAN && plan->scan.relation->kind == KP_RELATION_VIEW;
    if (below_window && view && !plan->input_count && kp_plan_is_stateless(plan)) {
        plan->inputs = kp_arena_alloc(binder->arena, sizeof *plan->inputs);
        plan->inputs[0] = kp_plan_copy(plan->scan.relation->plan->plan, binder->arena);
        plan->input_count = 1;
    }
    for (uint32_t i = 0; i < plan->input_count; i++)
        expand(binder, plan->inputs[i], below_window);
}

static bool drops_late(const struct kp_plan *plan)
{
    bool drops = plan->kind == KP_PLAN_EMIT || (plan->kind == KP_PLAN_WINDOW && plan->window.late_only);
    for (uint32_t i = 0; i < plan->input_count; i++)
        drops |= drops_late(plan->inputs[i]);
    return drops;
}

void kp_plan_expand_views(struct binder *binder, struct kp_plan *plan)
{
    if (drops_late(plan))
        expand(binder, plan, false);
}
