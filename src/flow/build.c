/*
 * From plans to operators: one walk from the leaves up, each new node looked up among the ones that are there
 * (kp_node_share).
 */
#include "flow/graph.h"

/* The entries of the recursions around the plan being built. */
struct loop {
    uint32_t id;
    struct kp_node *work;
    const struct loop *around;
};

struct build {
    struct kp_graph *graph;
    const struct kp_session_settings *settings;
    kp_scan_resolve resolve;
    void *arg;
    kp_expired_of expired; /* NULL: none */
    void *expired_arg;
    bool scans_ready; /* resolve gives nodes that have just the scan's columns */
    const struct loop *loops;
    bool drop_late; /* below an EMIT: windows leave late rows out */
    bool positions; /* something above the plan being built may fail and has not lost sight of its rows */
    bool sought;    /* the same, and it fails by values of single rows: worth to carry positions through state */
    uint32_t end;   /* the column of the plan being built that an EMIT above waits for; UINT32_MAX: none */
    struct kp_node **by_plan; /* by plan id; NULL: nobody asks */
};

static enum kp_code build_plan(struct build *build, const struct kp_plan *plan, struct kp_node **ret_node,
                               struct kp_error *err);

static struct kp_node *build_columns(struct kp_graph *graph, const struct kp_plan *plan, struct kp_node *node)
{
    if (plan->scan.relation->skip_errors)
        return kp_op_columns_skipping(graph, plan->cols, plan->col_count, node, plan->scan.columns);
    return kp_op_columns(graph, plan->cols, plan->col_count, node, plan->scan.columns);
}

static enum kp_code build_scan(struct build *build, const struct kp_plan *plan, struct kp_node **ret_node,
                               struct kp_error *err)
{
    struct kp_relation *relation = plan->scan.relation;
    struct kp_node *node = build->resolve ? build->resolve(build->arg, relation) : NULL;
    if (node && build->scans_ready) {
        *ret_node = node;
        return KP_OK;
    }
    if (!node)
        KP_TRY(kp_graph_relation(build->graph, relation, &node, err));
    if (node->ops != &kp_source_ops) {
        *ret_node = build_columns(build->graph, plan, node);
        return KP_OK;
    }
    uint32_t *columns = kp_calloc(plan->col_count + 1, sizeof *columns);
    enum kp_code code = kp_op_source_need(node, plan->scan.columns, plan->col_count, columns, err);
    if (code == KP_OK)
        *ret_node = kp_op_columns(build->graph, plan->cols, plan->col_count, node, columns);
    kp_free(columns);
    struct kp_node *expired =
        code == KP_OK && build->expired ? build->expired(build->expired_arg, build->graph, relation) : NULL;
    if (expired) {
        struct kp_node *both[2] = {*ret_node, kp_op_expired_columns(expired, plan)};
        *ret_node = kp_op_union(build->graph, plan, both, 2);
    }
    return code;
}

/* The node whose watermark closes windows. */
static enum kp_code find_source(struct build *build, struct kp_relation *relation, struct kp_node **ret_node,
                                struct kp_error *err)
{
    *ret_node = build->resolve && !build->scans_ready ? build->resolve(build->arg, relation) : NULL;
    return *ret_node ? KP_OK : kp_graph_relation(build->graph, relation, ret_node, err);
}

static enum kp_code build_emit(struct build *build, const struct kp_plan *plan, struct kp_node *input,
                               struct kp_node **ret_node, struct kp_error *err)
{
    *ret_node = input;
    if (build->graph->bounded) /* all input has come: every window is closed */
        return KP_OK;
    uint32_t count = plan->emit.source_count;
    if (!count)
        return kp_fail(err, KP_INVALID, "42809", "EMIT ON WINDOW CLOSE needs a source with a watermark");
    struct kp_node **inputs = kp_calloc(count + 1, sizeof *inputs);
    struct kp_arena arena = {0};
    /* A group has no position. */
    bool stamps = build->positions && plan->inputs[0]->kind != KP_PLAN_AGGREGATE;
    struct kp_plan stamped = stamps ? kp_op_stamped_plan(plan, plan->col_count, &arena) : *plan;
    inputs[0] = stamps ? kp_op_stamp(build->graph, plan->inputs[0], input) : input;
    enum kp_code code = KP_OK;
    for (uint32_t i = 0; code == KP_OK && i < count; i++)
        code = find_source(build, plan->emit.sources[i], &inputs[i + 1], err);
    if (code == KP_OK)
        *ret_node = kp_op_emit(build->graph, &stamped, inputs, count + 1);
    if (code == KP_OK && stamps)
        *ret_node = kp_op_unstamp(build->graph, plan, plan->col_count, *ret_node);
    kp_arena_finish(&arena);
    kp_free(inputs);
    return code;
}

/* Conditions on now() are operators of their own, above the others: in a bounded step now() is a constant like others.
 */
static struct kp_node *build_filter(struct build *build, const struct kp_plan *plan, struct kp_node *input)
{
    struct kp_expr *predicate = plan->filter.predicate;
    if (build->graph->bounded || !kp_expr_has(predicate, KP_EXPR_NOW))
        return kp_op_filter(build->graph, plan, build->settings, input);
    bool list = predicate->kind == KP_EXPR_AND;
    struct kp_expr **all = list ? predicate->args : &predicate;
    uint32_t count = list ? predicate->arg_count : 1, still = 0;
    struct kp_expr rest = *predicate;
    rest.args = kp_calloc(count + 1, sizeof *rest.args);
    for (uint32_t i = 0; i < count; i++)
        if (!kp_expr_has(all[i], KP_EXPR_NOW))
            rest.args[still++] = all[i];
    rest.arg_count = still;
    struct kp_plan below = *plan;
    below.filter.predicate = still == 1 ? rest.args[0] : &rest;
    struct kp_node *node = still ? kp_op_filter(build->graph, &below, build->settings, input) : input;
    struct kp_arena arena = {0};
    uint32_t at = plan->col_count;
    struct kp_plan stamped = build->positions ? kp_op_stamped_plan(plan, at, &arena) : *plan;
    if (build->positions)
        node = kp_op_stamp(build->graph, plan, node);
    for (uint32_t i = 0; i < count; i++)
        if (kp_expr_has(all[i], KP_EXPR_NOW))
            node = kp_op_temporal(build->graph, &stamped, all[i], build->settings, node);
    kp_arena_finish(&arena);
    kp_free(rest.args);
    return build->positions ? kp_op_unstamp(build->graph, plan, at, node) : node;
}

static enum kp_code build_session(struct build *build, const struct kp_plan *plan, struct kp_node *input,
                                  struct kp_node **ret_node, struct kp_error *err)
{
    struct kp_graph *graph = build->graph;
    struct kp_arena arena = {0};
    uint32_t at = plan->inputs[0]->col_count;
    struct kp_plan stamped = build->positions ? kp_op_stamped_plan(plan, at, &arena) : *plan;
    struct kp_node *node = build->positions ? kp_op_stamp(graph, plan->inputs[0], input) : input;
    enum kp_code code = kp_op_window(graph, &stamped, node, build->drop_late, &node, err);
    if (code == KP_OK) {
        node = kp_op_session(graph, &stamped, node);
        *ret_node = build->positions ? kp_op_unstamp(graph, plan, at, node) : node;
    }
    kp_arena_finish(&arena);
    return code;
}

/* ---- positions through operators that keep rows (op_stamp.c) ---- */

/* Of a joined row with the left side's position behind its columns. */
static struct kp_expr *behind_left(const struct kp_expr *expr, struct kp_arena *arena, void *arg)
{
    const uint32_t *left = arg;
    if (expr->kind != KP_EXPR_COLUMN)
        return NULL;
    struct kp_expr *moved = kp_arena_alloc(arena, sizeof *moved);
    *moved = *expr;
    moved->column += expr->column >= *left;
    return moved;
}

static const struct kp_agg *max_of_positions(void)
{
    size_t count;
    const struct kp_agg *const *all = kp_agg_find(KP_STR("max"), &count);
    for (size_t i = 0; i < count; i++)
        if (all[i]->arg_count == 1 && all[i]->args[0] == KP_INT8)
            return all[i];
    KP_ASSERT(false);
    return NULL;
}

/* Where only sums and products overflow no row is made to carry its position through state. */
static bool fails(const struct kp_expr *expr)
{
    return expr && kp_expr_fails_by_value(expr);
}

static bool any_fails(struct kp_expr *const *exprs, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (fails(exprs[i]))
            return true;
    return false;
}

/* A group's last row can be told: they only grow, and there is more to it than DISTINCT. */
static bool groups_keep(const struct kp_plan *plan)
{
    return plan->aggregate.agg_count > 0 && plan->inputs[0]->growing;
}

/* Whether the positions of a plan's input rows are worth being carried; above: those of its own are. */
static bool seeks_positions(const struct kp_plan *plan, bool above)
{
    bool any = false;
    switch (plan->kind) {
    case KP_PLAN_FILTER:
        return above || fails(plan->filter.predicate);
    case KP_PLAN_PROJECT:
        return above || any_fails(plan->project.exprs, plan->col_count);
    case KP_PLAN_AGGREGATE:
        for (uint32_t a = 0; a < plan->aggregate.agg_count; a++)
            any |= any_fails(plan->aggregate.aggs[a].args, plan->aggregate.aggs[a].arg_count) ||
                   fails(plan->aggregate.aggs[a].filter);
        return any || any_fails(plan->aggregate.groups, plan->aggregate.group_count) || (above && groups_keep(plan));
    case KP_PLAN_JOIN:
        return above || any_fails(plan->join.left_keys, plan->join.key_count) ||
               any_fails(plan->join.right_keys, plan->join.key_count);
    case KP_PLAN_ASOF:
    case KP_PLAN_OVER:
    case KP_PLAN_TOPN:
    case KP_PLAN_EXPAND:
    case KP_PLAN_SCAN:
    case KP_PLAN_EMIT:
    case KP_PLAN_UNION:
    case KP_PLAN_REPEAT:
    case KP_PLAN_WINDOW:
        return above;
    default:
        return false;
    }
}

/* Joins: both sides' positions, if both are given on. */
static enum kp_code build_stamped_join(struct build *build, const struct kp_plan *plan, struct kp_node *const *inputs,
                                       struct kp_node **ret_node, struct kp_error *err)
{
    struct kp_graph *graph = build->graph;
    struct kp_arena arena = {0};
    uint32_t left = plan->inputs[0]->col_count, end_in = graph->end_in;
    bool both = plan->col_count > left;
    struct kp_node *stamped[2] = {kp_op_stamp(graph, plan->inputs[0], inputs[0]),
                                  both ? kp_op_stamp(graph, plan->inputs[1], inputs[1]) : inputs[1]};
    struct kp_plan one = kp_op_stamped_plan(plan, left, &arena),
                   joined = both ? kp_op_stamped_plan(&one, one.col_count, &arena) : one;
    const uint32_t columns[2] = {left, plan->col_count + 1};
    graph->end_in += end_in != UINT32_MAX && end_in >= left;
    enum kp_code code = KP_OK;
    struct kp_node *node = NULL;
    if (plan->kind == KP_PLAN_ASOF) {
        node = kp_op_asof(graph, &joined, stamped);
    } else {
        if (joined.join.residual)
            joined.join.residual = kp_expr_copy(plan->join.residual, &arena, behind_left, &left);
        code = kp_op_join(graph, &joined, build->settings, stamped, &node, err);
    }
    graph->end_in = end_in;
    if (code == KP_OK)
        *ret_node = kp_op_unstamp_both(graph, plan, columns, both ? 2 : 1, node);
    kp_arena_finish(&arena);
    return code;
}

/* Window functions and top-N keep whole rows. */
static enum kp_code build_stamped_rows(struct build *build, const struct kp_plan *plan, struct kp_node *input,
                                       struct kp_node **ret_node, struct kp_error *err)
{
    struct kp_graph *graph = build->graph;
    struct kp_arena arena = {0};
    uint32_t at = plan->inputs[0]->col_count;
    struct kp_plan stamped = kp_op_stamped_plan(plan, at, &arena);
    struct kp_node *node = kp_op_stamp(graph, plan->inputs[0], input);
    enum kp_code code = plan->kind == KP_PLAN_OVER ? kp_op_over(graph, &stamped, build->settings, node, &node, err)
                                                   : kp_op_topn(graph, &stamped, build->settings, node, &node, err);
    if (code == KP_OK)
        *ret_node = kp_op_unstamp(graph, plan, at, node);
    kp_arena_finish(&arena);
    return code;
}

/* Groups of rows that only grow: the position of the last one. */
static enum kp_code build_stamped_groups(struct build *build, const struct kp_plan *plan, struct kp_node *input,
                                         struct kp_node **ret_node, struct kp_error *err)
{
    struct kp_graph *graph = build->graph;
    struct kp_arena arena = {0};
    uint32_t at = plan->inputs[0]->col_count, aggs = plan->aggregate.agg_count;
    struct kp_plan stamped = kp_op_stamped_plan(plan, plan->col_count, &arena);
    struct kp_expr *position = kp_arena_calloc(&arena, sizeof *position);
    *position = (struct kp_expr){.kind = KP_EXPR_COLUMN, .type = KP_TYPE(KP_INT8), .location = -1, .column = at};
    stamped.aggregate.aggs = kp_arena_calloc(&arena, (aggs + 1) * sizeof *stamped.aggregate.aggs);
    memcpy(stamped.aggregate.aggs, plan->aggregate.aggs, aggs * sizeof *stamped.aggregate.aggs);
    stamped.aggregate.aggs[aggs] =
        (struct kp_plan_agg){.agg = max_of_positions(), .args = &position, .arg_count = 1, .type = KP_TYPE(KP_INT8)};
    stamped.aggregate.agg_count++;
    struct kp_node *node = kp_op_stamp(graph, plan->inputs[0], input);
    enum kp_code code = kp_op_aggregate(graph, &stamped, build->settings, node, &node, err);
    if (code == KP_OK)
        *ret_node = kp_op_unstamp(graph, plan, plan->col_count, node);
    kp_arena_finish(&arena);
    return code;
}

/* *ret_node NULL: positions end here. */
static enum kp_code build_stamped(struct build *build, const struct kp_plan *plan, struct kp_node *const *inputs,
                                  struct kp_node **ret_node, struct kp_error *err)
{
    *ret_node = NULL;
    if (!build->sought || build->graph->bounded || build->graph->looping)
        return KP_OK;
    switch (plan->kind) {
    case KP_PLAN_JOIN:
    case KP_PLAN_ASOF:
        return build_stamped_join(build, plan, inputs, ret_node, err);
    case KP_PLAN_OVER:
    case KP_PLAN_TOPN:
        return build_stamped_rows(build, plan, inputs[0], ret_node, err);
    case KP_PLAN_AGGREGATE:
        return groups_keep(plan) && inputs[0]->growing ? build_stamped_groups(build, plan, inputs[0], ret_node, err)
                                                       : KP_OK;
    default:
        return KP_OK;
    }
}

static enum kp_code build_from_input(struct build *build, const struct kp_plan *plan, struct kp_node *const *inputs,
                                     struct kp_node **ret_node, struct kp_error *err)
{
    KP_TRY(build_stamped(build, plan, inputs, ret_node, err));
    if (*ret_node)
        return KP_OK;
    struct kp_graph *graph = build->graph;
    struct kp_node *input = inputs[0];
    switch (plan->kind) {
    case KP_PLAN_SCAN: /* of a view whose plan is run here */
        *ret_node = build_columns(graph, plan, input);
        return KP_OK;
    case KP_PLAN_SORT: /* a set to the engine: query.c orders it */
        *ret_node = input;
        return KP_OK;
    case KP_PLAN_FILTER:
        *ret_node = build_filter(build, plan, input);
        return KP_OK;
    case KP_PLAN_PROJECT:
        *ret_node = kp_op_project(graph, plan, build->settings, input);
        return KP_OK;
    case KP_PLAN_AGGREGATE:
        return kp_op_aggregate(graph, plan, build->settings, input, ret_node, err);
    case KP_PLAN_JOIN:
        return kp_op_join(graph, plan, build->settings, inputs, ret_node, err);
    case KP_PLAN_ASOF:
        *ret_node = kp_op_asof(graph, plan, inputs);
        return KP_OK;
    case KP_PLAN_UNION:
        *ret_node = kp_op_union(graph, plan, inputs, plan->input_count);
        return KP_OK;
    case KP_PLAN_OVER:
        return kp_op_over(graph, plan, build->settings, input, ret_node, err);
    case KP_PLAN_MATCH:
        *ret_node = kp_op_match(graph, plan, build->settings, input);
        return KP_OK;
    case KP_PLAN_REPEAT:
        *ret_node = kp_op_repeat(graph, plan, input);
        return KP_OK;
    case KP_PLAN_EXPAND:
        *ret_node = kp_op_expand(graph, plan, build->settings, input);
        return KP_OK;
    case KP_PLAN_WINDOW:
        if (plan->window.kind == KP_WINDOW_SESSION && !plan->window.late_only)
            return build_session(build, plan, input, ret_node, err);
        return kp_op_window(graph, plan, input, build->drop_late, ret_node, err);
    case KP_PLAN_TOPN:
        return kp_op_topn(graph, plan, build->settings, input, ret_node, err);
    case KP_PLAN_EMIT:
        return build_emit(build, plan, input, ret_node, err);
    default:
        return kp_fail(err, KP_UNSUPPORTED, NULL, "this kind of query is not supported");
    }
}

static enum kp_code build_recursion(struct build *build, const struct kp_plan *plan, struct kp_node **ret_node,
                                    struct kp_error *err)
{
    struct kp_node *inputs[2];
    struct kp_graph *graph = build->graph;
    bool looping = graph->looping;
    KP_TRY(build_plan(build, plan->inputs[0], &inputs[0], err));
    graph->looping = true;
    struct loop loop = {plan->recurse.id, kp_op_work(graph, plan), build->loops};
    build->loops = &loop;
    enum kp_code code = build_plan(build, plan->inputs[1], &inputs[1], err);
    build->loops = loop.around;
    graph->looping = looping;
    if (code == KP_OK)
        *ret_node = kp_op_recurse(graph, plan, inputs, loop.work);
    return code;
}

static bool any_can_fail(struct kp_expr *const *exprs, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (exprs[i]->can_fail)
            return true;
    return false;
}

/* Whether the positions of a plan's input rows are wanted by it, or by what it passes them on to. */
static bool wants_positions(const struct kp_plan *plan, bool above)
{
    bool any = false;
    switch (plan->kind) {
    case KP_PLAN_FILTER:
        return above || plan->filter.predicate->can_fail;
    case KP_PLAN_PROJECT:
        return above || any_can_fail(plan->project.exprs, plan->col_count);
    case KP_PLAN_AGGREGATE:
        for (uint32_t a = 0; a < plan->aggregate.agg_count; a++)
            any |= any_can_fail(plan->aggregate.aggs[a].args, plan->aggregate.aggs[a].arg_count) ||
                   (plan->aggregate.aggs[a].filter && plan->aggregate.aggs[a].filter->can_fail);
        return any || any_can_fail(plan->aggregate.groups, plan->aggregate.group_count);
    case KP_PLAN_JOIN:
        return any_can_fail(plan->join.left_keys, plan->join.key_count) ||
               any_can_fail(plan->join.right_keys, plan->join.key_count);
    case KP_PLAN_EXPAND:
        return true;
    case KP_PLAN_SCAN:
    case KP_PLAN_EMIT:
    case KP_PLAN_UNION:
    case KP_PLAN_REPEAT:
    case KP_PLAN_WINDOW:
        return above;
    default:
        return false;
    }
}

static uint32_t passed_on(const struct kp_expr *expr)
{
    return expr->kind == KP_EXPR_COLUMN ? expr->column : UINT32_MAX;
}

/* The column of an input that a plan passes on as its column `end`; UINT32_MAX: it comes from elsewhere. */
static uint32_t end_below(const struct kp_plan *plan, uint32_t input, uint32_t end)
{
    uint32_t left = plan->input_count ? plan->inputs[0]->col_count : 0;
    if (plan->kind == KP_PLAN_EMIT && !input)
        return plan->emit.window_end_column;
    if (end == UINT32_MAX)
        return UINT32_MAX;
    switch (plan->kind) {
    case KP_PLAN_FILTER:
    case KP_PLAN_REPEAT:
    case KP_PLAN_TOPN:
    case KP_PLAN_SORT:
    case KP_PLAN_UNION:
        return end;
    case KP_PLAN_PROJECT:
        return passed_on(plan->project.exprs[end]);
    case KP_PLAN_AGGREGATE:
        return end < plan->aggregate.group_count ? passed_on(plan->aggregate.groups[end]) : UINT32_MAX;
    case KP_PLAN_SCAN:
        return plan->scan.columns[end];
    case KP_PLAN_OVER:
    case KP_PLAN_EXPAND:
    case KP_PLAN_WINDOW:
    case KP_PLAN_ASOF:
    case KP_PLAN_JOIN:
        if (end < left)
            return input == 0 ? end : UINT32_MAX;
        return input == 1 ? end - left : UINT32_MAX;
    default:
        return UINT32_MAX;
    }
}

static enum kp_code build_any(struct build *build, const struct kp_plan *plan, struct kp_node **ret_node,
                              struct kp_error *err)
{
    if (plan->kind == KP_PLAN_RECURSE)
        return build_recursion(build, plan, ret_node, err);
    if (plan->kind == KP_PLAN_WORK) {
        const struct loop *loop = build->loops;
        while (loop && loop->id != plan->recurse.id)
            loop = loop->around;
        KP_ASSERT(loop);
        *ret_node = loop->work;
        return KP_OK;
    }
    if (plan->kind == KP_PLAN_SCAN && (!plan->input_count || build->scans_ready)) {
        KP_TRY(build_scan(build, plan, ret_node, err));
        if (build->sought && !build->graph->bounded && plan->scan.relation->kind == KP_RELATION_VIEW)
            *ret_node = kp_op_forget_positions(build->graph, plan, *ret_node);
        return KP_OK;
    }
    if (plan->kind == KP_PLAN_VALUES) {
        *ret_node = kp_op_values(build->graph, plan, build->settings);
        return KP_OK;
    }
    struct kp_node **inputs = kp_calloc(plan->input_count + 1, sizeof *inputs);
    enum kp_code code = KP_OK;
    bool drop_late = build->drop_late;
    build->drop_late |= plan->kind == KP_PLAN_EMIT && !build->graph->bounded;
    uint32_t end = build->graph->bounded ? UINT32_MAX : build->end;
    bool positions = build->positions, sought = build->sought;
    for (uint32_t i = 0; code == KP_OK && i < plan->input_count; i++) {
        build->end = end_below(plan, i, end);
        build->sought = seeks_positions(plan, sought);
        build->positions = wants_positions(plan, positions) || build->sought;
        code = build_plan(build, plan->inputs[i], &inputs[i], err);
    }
    build->drop_late = drop_late;
    build->end = end;
    build->positions = positions;
    build->sought = sought;
    build->graph->end_out = end;
    build->graph->end_in = plan->kind == KP_PLAN_JOIN ? end : end_below(plan, 0, end);
    if (code == KP_OK)
        code = build_from_input(build, plan, inputs, ret_node, err);
    build->graph->end_in = build->graph->end_out = UINT32_MAX;
    kp_free(inputs);
    return code;
}

static enum kp_code build_plan(struct build *build, const struct kp_plan *plan, struct kp_node **ret_node,
                               struct kp_error *err)
{
    KP_TRY(build_any(build, plan, ret_node, err));
    if (build->by_plan)
        build->by_plan[plan->id] = kp_op_unstamped(*ret_node);
    return KP_OK;
}

static enum kp_code add_plan(struct build *build, const struct kp_plan *plan, struct kp_node **ret_node,
                             struct kp_error *err)
{
    kp_graph_step_release(build->graph);
    struct kp_node *node;
    build->end = UINT32_MAX;
    build->positions = build->sought = false;
    enum kp_code code = build_plan(build, plan, &node, err);
    if (code != KP_OK) {
        kp_graph_sweep(build->graph);
        return code;
    }
    node->users++;
    *ret_node = node;
    return KP_OK;
}

static const struct kp_session_settings no_settings;

enum kp_code kp_graph_add_plan(struct kp_graph *graph, const struct kp_plan *plan,
                               const struct kp_session_settings *settings, kp_scan_resolve resolve, void *arg,
                               struct kp_node **ret_node, struct kp_error *err)
{
    return kp_graph_add_plan_noted(graph, plan, settings, resolve, arg, NULL, ret_node, err);
}

enum kp_code kp_graph_add_plan_noted(struct kp_graph *graph, const struct kp_plan *plan,
                                     const struct kp_session_settings *settings, kp_scan_resolve resolve, void *arg,
                                     struct kp_node **by_plan, struct kp_node **ret_node, struct kp_error *err)
{
    struct build build = {.graph = graph,
                          .settings = settings ? settings : &no_settings,
                          .resolve = resolve,
                          .arg = arg,
                          .by_plan = by_plan};
    return add_plan(&build, plan, ret_node, err);
}

enum kp_code kp_graph_add_plan_beside(struct kp_graph *graph, const struct kp_plan *plan,
                                      const struct kp_session_settings *settings, kp_scan_resolve resolve, void *arg,
                                      kp_expired_of expired, void *expired_arg, struct kp_node **ret_node,
                                      struct kp_error *err)
{
    struct build build = {.graph = graph,
                          .settings = settings ? settings : &no_settings,
                          .resolve = resolve,
                          .arg = arg,
                          .expired = expired,
                          .expired_arg = expired_arg};
    return add_plan(&build, plan, ret_node, err);
}

enum kp_code kp_graph_add_scans_plan(struct kp_graph *graph, const struct kp_plan *plan,
                                     const struct kp_session_settings *settings, kp_scan_resolve resolve, void *arg,
                                     struct kp_node **by_plan, struct kp_node **ret_node, struct kp_error *err)
{
    struct build build = {.graph = graph,
                          .settings = settings ? settings : &no_settings,
                          .resolve = resolve,
                          .arg = arg,
                          .scans_ready = true,
                          .by_plan = by_plan};
    return add_plan(&build, plan, ret_node, err);
}
