/*
 * What can be done with a plan without running it: copy, give parameters their values, compare, hash, let go.
 *
 * A copy visits every expression through one function (copy_node), so a kind of node that gains an expression gains it
 * in copies, in kp_plan_instantiate and nowhere else.
 */
#include "sql/plan.h"

#include "base/hash.h"
#include "sql/catalog.h"
#include "sql/match_plan.h"

typedef struct kp_expr *(*replacer)(const struct kp_expr *expr, struct kp_arena *arena, void *arg);

static struct kp_expr **copy_exprs(struct kp_expr *const *exprs, uint32_t count, struct kp_arena *arena,
                                   replacer replace, void *arg)
{
    struct kp_expr **copies = kp_arena_alloc(arena, count * sizeof *copies);
    for (uint32_t i = 0; i < count; i++)
        copies[i] = kp_expr_copy(exprs[i], arena, replace, arg);
    return copies;
}

static void *copy_array(const void *array, size_t bytes, struct kp_arena *arena)
{
    void *copy = kp_arena_alloc(arena, bytes);
    if (bytes)
        memcpy(copy, array, bytes);
    return copy;
}

static void copy_aggregate(struct kp_plan *copy, struct kp_arena *arena, replacer replace, void *arg)
{
    copy->aggregate.groups = copy_exprs(copy->aggregate.groups, copy->aggregate.group_count, arena, replace, arg);
    copy->aggregate.aggs =
        copy_array(copy->aggregate.aggs, copy->aggregate.agg_count * sizeof *copy->aggregate.aggs, arena);
    for (uint32_t i = 0; i < copy->aggregate.agg_count; i++) {
        struct kp_plan_agg *agg = &copy->aggregate.aggs[i];
        agg->args = copy_exprs(agg->args, agg->arg_count, arena, replace, arg);
        agg->filter = kp_expr_copy(agg->filter, arena, replace, arg);
    }
}

static void copy_sets(struct kp_plan *copy, struct kp_arena *arena, replacer replace, void *arg)
{
    copy->expand.calls = copy_array(copy->expand.calls, copy->expand.call_count * sizeof *copy->expand.calls, arena);
    for (uint32_t i = 0; i < copy->expand.call_count; i++) {
        struct kp_plan_set *call = &copy->expand.calls[i];
        call->args = copy_exprs(call->args, call->arg_count, arena, replace, arg);
        if (!call->names)
            continue;
        const char **names = kp_arena_alloc(arena, (call->col_count + 1) * sizeof *names);
        for (uint32_t c = 0; c < call->col_count; c++)
            names[c] = kp_arena_strdup(arena, call->names[c]);
        call->names = names;
    }
}

static struct kp_plan *copy_node(const struct kp_plan *plan, struct kp_arena *arena, replacer replace, void *arg)
{
    struct kp_plan *copy = kp_arena_alloc(arena, sizeof *copy);
    *copy = *plan;
    copy->cols = copy_array(plan->cols, plan->col_count * sizeof *plan->cols, arena);
    for (uint32_t i = 0; i < plan->col_count; i++)
        copy->cols[i].name = kp_arena_strdup(arena, plan->cols[i].name);
    copy->inputs = kp_arena_alloc(arena, plan->input_count * sizeof(struct kp_plan *));
    for (uint32_t i = 0; i < plan->input_count; i++)
        copy->inputs[i] = copy_node(plan->inputs[i], arena, replace, arg);
    switch (plan->kind) {
    case KP_PLAN_SCAN:
        copy->scan.columns = copy_array(plan->scan.columns, plan->col_count * sizeof(uint32_t), arena);
        break;
    case KP_PLAN_VALUES:
        copy->values.exprs = copy_exprs(plan->values.exprs, plan->values.rows * plan->col_count, arena, replace, arg);
        break;
    case KP_PLAN_FILTER:
        copy->filter.predicate = kp_expr_copy(plan->filter.predicate, arena, replace, arg);
        break;
    case KP_PLAN_PROJECT:
        copy->project.exprs = copy_exprs(plan->project.exprs, plan->col_count, arena, replace, arg);
        break;
    case KP_PLAN_WINDOW:
        copy->window.keys = copy_array(plan->window.keys, plan->window.key_count * sizeof(uint32_t), arena);
        copy->window.sources =
            copy_array(plan->window.sources, plan->window.source_count * sizeof(struct kp_relation *), arena);
        break;
    case KP_PLAN_AGGREGATE:
        copy_aggregate(copy, arena, replace, arg);
        break;
    case KP_PLAN_JOIN:
        copy->join.left_keys = copy_exprs(plan->join.left_keys, plan->join.key_count, arena, replace, arg);
        copy->join.right_keys = copy_exprs(plan->join.right_keys, plan->join.key_count, arena, replace, arg);
        copy->join.key_equals =
            copy_array(plan->join.key_equals, plan->join.key_count * sizeof(struct kp_func *), arena);
        if (plan->join.key_nulls)
            copy->join.key_nulls = copy_array(plan->join.key_nulls, plan->join.key_count * sizeof(bool), arena);
        copy->join.residual = kp_expr_copy(plan->join.residual, arena, replace, arg);
        break;
    case KP_PLAN_TOPN:
    case KP_PLAN_SORT:
        copy->topn.keys = copy_array(plan->topn.keys, plan->topn.key_count * sizeof *plan->topn.keys, arena);
        copy->topn.limit = kp_expr_copy(plan->topn.limit, arena, replace, arg);
        copy->topn.offset = kp_expr_copy(plan->topn.offset, arena, replace, arg);
        break;
    case KP_PLAN_OVER:
        copy->over.partitions = copy_array(plan->over.partitions, plan->over.partition_count * sizeof(uint32_t), arena);
        copy->over.keys = copy_array(plan->over.keys, plan->over.key_count * sizeof *plan->over.keys, arena);
        copy->over.calls = copy_array(plan->over.calls, plan->over.call_count * sizeof *plan->over.calls, arena);
        for (uint32_t i = 0; i < 2 * plan->over.call_count; i++) {
            struct kp_expr **range = &copy->over.calls[i / 2].frame.ranges[i % 2];
            *range = kp_expr_copy(*range, arena, NULL, NULL);
        }
        break;
    case KP_PLAN_MATCH:
        copy->match = kp_plan_match_copy(plan->match, arena, replace, arg);
        break;
    case KP_PLAN_ASOF:
        for (uint32_t s = 0; s < 2; s++)
            copy->asof.keys[s] = copy_array(plan->asof.keys[s], plan->asof.key_count * sizeof(uint32_t), arena);
        break;
    case KP_PLAN_UNION:
    case KP_PLAN_REPEAT:
        break;
    case KP_PLAN_RECURSE:
    case KP_PLAN_WORK:
        copy->recurse.name = kp_arena_strdup(arena, plan->recurse.name);
        break;
    case KP_PLAN_EXPAND:
        copy_sets(copy, arena, replace, arg);
        break;
    case KP_PLAN_EMIT:
        copy->emit.sources =
            copy_array(plan->emit.sources, plan->emit.source_count * sizeof(struct kp_relation *), arena);
        break;
    }
    return copy;
}

struct kp_plan *kp_plan_copy(const struct kp_plan *plan, struct kp_arena *arena)
{
    return copy_node(plan, arena, NULL, NULL);
}

static void reference(struct kp_plan *plan, uint32_t *next_id)
{
    plan->id = (*next_id)++;
    if (plan->kind == KP_PLAN_SCAN)
        kp_relation_ref(plan->scan.relation);
    for (uint32_t i = 0; i < plan->input_count; i++)
        reference(plan->inputs[i], next_id);
}

void kp_plan_reference(struct kp_plan *plan)
{
    uint32_t next_id = 0;
    reference(plan, &next_id);
}

static void unreference(struct kp_plan *plan)
{
    if (plan->kind == KP_PLAN_SCAN)
        kp_relation_unref(plan->scan.relation);
    for (uint32_t i = 0; i < plan->input_count; i++)
        unreference(plan->inputs[i]);
}

void kp_plan_release(struct kp_plan_root *root)
{
    if (!root)
        return;
    if (root->plan)
        unreference(root->plan);
    kp_arena_finish(&root->arena);
    kp_free(root);
}

struct values {
    const struct kp_datum *params;
    uint32_t count;
};

static struct kp_expr *param_to_const(const struct kp_expr *expr, struct kp_arena *arena, void *arg)
{
    const struct values *values = arg;
    if (expr->kind != KP_EXPR_PARAM)
        return NULL;
    struct kp_expr constant = {.kind = KP_EXPR_CONST,
                               .type = expr->type,
                               .location = expr->location,
                               .datum = values->params[expr->param - 1]};
    constant.datum.type = expr->type;
    return kp_expr_copy(&constant, arena, NULL, NULL);
}

enum kp_code kp_plan_instantiate(const struct kp_plan_root *root, const struct kp_datum *params, uint32_t param_count,
                                 struct kp_plan_root **ret_root, struct kp_error *err)
{
    if (param_count != root->param_count)
        return kp_fail(err, KP_INVALID, "08P01", "bind message supplies %u parameters, but the statement requires %u",
                       param_count, root->param_count);
    for (uint32_t i = 0; i < param_count; i++)
        if (!params[i].null && params[i].type.id != root->param_types[i].id)
            return kp_fail(err, KP_INVALID, "42804", "parameter $%u is of type %s, but type %s is needed", i + 1,
                           kp_type_info(params[i].type.id)->name, kp_type_info(root->param_types[i].id)->name);
    struct kp_plan_root *copy = kp_calloc(1, sizeof *copy);
    struct values values = {params, param_count};
    copy->plan = copy_node(root->plan, &copy->arena, param_to_const, &values);
    copy->result_count = root->result_count;
    kp_plan_reference(copy->plan);
    *ret_root = copy;
    return KP_OK;
}

static bool exprs_equal(struct kp_expr *const *a, struct kp_expr *const *b, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (!kp_expr_equal(a[i], b[i]))
            return false;
    return true;
}

static bool keys_equal(const struct kp_sort_key *a, const struct kp_sort_key *b, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct kp_sort_key *x = &a[i], *y = &b[i];
        if (x->column != y->column || x->descending != y->descending || x->nulls_first != y->nulls_first)
            return false;
    }
    return true;
}

static bool sort_equal(const struct kp_plan *a, const struct kp_plan *b)
{
    return a->topn.key_count == b->topn.key_count && kp_expr_equal(a->topn.limit, b->topn.limit) &&
           kp_expr_equal(a->topn.offset, b->topn.offset) && keys_equal(a->topn.keys, b->topn.keys, a->topn.key_count);
}

bool kp_plan_over_call_equal(const struct kp_plan_over_call *a, const struct kp_plan_over_call *b)
{
    if (a->kind != b->kind || a->agg != b->agg || a->arg_count != b->arg_count || a->filtered != b->filtered ||
        (a->filtered && a->filter != b->filter) || a->frame.mode != b->frame.mode || a->frame.start != b->frame.start ||
        a->frame.end != b->frame.end || a->frame.start_offset != b->frame.start_offset ||
        a->frame.end_offset != b->frame.end_offset || a->frame.exclude != b->frame.exclude ||
        !kp_expr_equal(a->frame.ranges[0], b->frame.ranges[0]) ||
        !kp_expr_equal(a->frame.ranges[1], b->frame.ranges[1]) || !kp_type_equal(a->type, b->type))
        return false;
    return a->arg_count == 0 || memcmp(a->args, b->args, a->arg_count * sizeof *a->args) == 0;
}

static bool over_equal(const struct kp_plan *a, const struct kp_plan *b)
{
    if (a->over.partition_count != b->over.partition_count || a->over.order_count != b->over.order_count ||
        a->over.key_count != b->over.key_count || a->over.call_count != b->over.call_count ||
        a->over.top != b->over.top || a->over.top_call != b->over.top_call || a->over.frees != b->over.frees ||
        a->over.time != b->over.time || a->over.lateness_us != b->over.lateness_us)
        return false;
    if (a->over.partition_count &&
        memcmp(a->over.partitions, b->over.partitions, a->over.partition_count * sizeof(uint32_t)) != 0)
        return false;
    for (uint32_t i = 0; i < a->over.call_count; i++)
        if (!kp_plan_over_call_equal(&a->over.calls[i], &b->over.calls[i]))
            return false;
    return keys_equal(a->over.keys, b->over.keys, a->over.key_count);
}

bool kp_plan_agg_equal(const struct kp_plan_agg *a, const struct kp_plan_agg *b)
{
    if (a->agg != b->agg || a->arg_count != b->arg_count || a->distinct != b->distinct ||
        a->order_count != b->order_count || a->row_last != b->row_last ||
        !exprs_equal(a->args, b->args, a->arg_count) || !kp_expr_equal(a->filter, b->filter))
        return false;
    for (uint32_t i = 0; i < a->order_count; i++)
        if (a->orders[i].descending != b->orders[i].descending || a->orders[i].nulls_first != b->orders[i].nulls_first)
            return false;
    return true;
}

bool kp_plan_set_equal(const struct kp_plan_set *a, const struct kp_plan_set *b)
{
    if (a->func != b->func || a->arg_count != b->arg_count || a->col_count != b->col_count || !a->names != !b->names ||
        !exprs_equal(a->args, b->args, a->arg_count))
        return false;
    for (uint32_t i = 0; a->names && i < a->col_count; i++)
        if (strcmp(a->names[i], b->names[i]) != 0)
            return false;
    return true;
}

static bool expand_equal(const struct kp_plan *a, const struct kp_plan *b)
{
    if (a->expand.call_count != b->expand.call_count || a->expand.ordinality != b->expand.ordinality ||
        a->expand.outer != b->expand.outer)
        return false;
    for (uint32_t i = 0; i < a->expand.call_count; i++)
        if (!kp_plan_set_equal(&a->expand.calls[i], &b->expand.calls[i]))
            return false;
    return true;
}

static bool aggregate_equal(const struct kp_plan *a, const struct kp_plan *b)
{
    if (a->aggregate.group_count != b->aggregate.group_count || a->aggregate.agg_count != b->aggregate.agg_count ||
        !exprs_equal(a->aggregate.groups, b->aggregate.groups, a->aggregate.group_count))
        return false;
    for (uint32_t i = 0; i < a->aggregate.agg_count; i++)
        if (!kp_plan_agg_equal(&a->aggregate.aggs[i], &b->aggregate.aggs[i]))
            return false;
    return true;
}

static bool interval_equal(struct kp_interval a, struct kp_interval b)
{
    return a.us == b.us && a.days == b.days && a.months == b.months;
}

static bool sources_equal(struct kp_relation *const *a, uint32_t a_count, struct kp_relation *const *b,
                          uint32_t b_count)
{
    return a_count == b_count && (!a_count || memcmp(a, b, a_count * sizeof(struct kp_relation *)) == 0);
}

static bool window_equal(const struct kp_plan *a, const struct kp_plan *b)
{
    return a->window.kind == b->window.kind && a->window.time_column == b->window.time_column &&
           sources_equal(a->window.sources, a->window.source_count, b->window.sources, b->window.source_count) &&
           a->window.late_only == b->window.late_only && interval_equal(a->window.size, b->window.size) &&
           interval_equal(a->window.slide, b->window.slide) && interval_equal(a->window.offset, b->window.offset) &&
           a->window.key_count == b->window.key_count &&
           (!a->window.key_count ||
            memcmp(a->window.keys, b->window.keys, a->window.key_count * sizeof(uint32_t)) == 0);
}

static bool asof_equal(const struct kp_plan *a, const struct kp_plan *b)
{
    bool same = a->asof.outer == b->asof.outer && a->asof.strict == b->asof.strict &&
                a->asof.forward == b->asof.forward && a->asof.key_count == b->asof.key_count &&
                a->asof.frees == b->asof.frees && a->asof.latest == b->asof.latest &&
                a->asof.version == b->asof.version;
    for (uint32_t s = 0; same && s < 2; s++)
        same =
            a->asof.times[s] == b->asof.times[s] && a->asof.lateness_us[s] == b->asof.lateness_us[s] &&
            (!a->asof.key_count || memcmp(a->asof.keys[s], b->asof.keys[s], a->asof.key_count * sizeof(uint32_t)) == 0);
    return same;
}

static bool same_nulls(const struct kp_plan *a, const struct kp_plan *b)
{
    for (uint32_t i = 0; i < a->join.key_count; i++)
        if ((a->join.key_nulls && a->join.key_nulls[i]) != (b->join.key_nulls && b->join.key_nulls[i]))
            return false;
    return true;
}

static bool same_reach(const struct kp_plan *a, const struct kp_plan *b)
{
    for (uint32_t s = 0; s < 2; s++)
        if (a->join.frees[s] != b->join.frees[s] || a->join.times[s] != b->join.times[s] ||
            a->join.reach_us[s] != b->join.reach_us[s])
            return false;
    return true;
}

static bool node_equal(const struct kp_plan *a, const struct kp_plan *b)
{
    switch (a->kind) {
    case KP_PLAN_SCAN:
        return a->scan.relation == b->scan.relation &&
               (!a->col_count || memcmp(a->scan.columns, b->scan.columns, a->col_count * sizeof(uint32_t)) == 0);
    case KP_PLAN_VALUES:
        return a->values.rows == b->values.rows &&
               exprs_equal(a->values.exprs, b->values.exprs, a->values.rows * a->col_count);
    case KP_PLAN_FILTER:
        return kp_expr_equal(a->filter.predicate, b->filter.predicate);
    case KP_PLAN_PROJECT:
        return exprs_equal(a->project.exprs, b->project.exprs, a->col_count);
    case KP_PLAN_WINDOW:
        return window_equal(a, b);
    case KP_PLAN_AGGREGATE:
        return aggregate_equal(a, b);
    case KP_PLAN_JOIN:
        return a->join.kind == b->join.kind && a->join.key_count == b->join.key_count && same_nulls(a, b) &&
               exprs_equal(a->join.left_keys, b->join.left_keys, a->join.key_count) &&
               exprs_equal(a->join.right_keys, b->join.right_keys, a->join.key_count) &&
               kp_expr_equal(a->join.residual, b->join.residual) && same_reach(a, b);
    case KP_PLAN_TOPN:
    case KP_PLAN_SORT:
        return sort_equal(a, b);
    case KP_PLAN_ASOF:
        return asof_equal(a, b);
    case KP_PLAN_UNION:
        return true;
    case KP_PLAN_OVER:
        return over_equal(a, b);
    case KP_PLAN_MATCH:
        return kp_plan_match_equal(a->match, b->match);
    case KP_PLAN_REPEAT:
        return a->repeat.column == b->repeat.column;
    case KP_PLAN_EXPAND:
        return expand_equal(a, b);
    case KP_PLAN_RECURSE:
    case KP_PLAN_WORK:
        return a->recurse.id == b->recurse.id && a->recurse.distinct == b->recurse.distinct;
    case KP_PLAN_EMIT:
        return a->emit.window_end_column == b->emit.window_end_column &&
               sources_equal(a->emit.sources, a->emit.source_count, b->emit.sources, b->emit.source_count);
    }
    return false;
}

/* lateness: counts those, else only the others. */
static void count_windows(const struct kp_plan *plan, const struct kp_plan *top, bool lateness, uint32_t *count,
                          const struct kp_plan **ret_top)
{
    if (plan->kind == KP_PLAN_FILTER) {
        count_windows(plan->inputs[0], top ? top : plan, lateness, count, ret_top);
        return;
    }
    if (plan->kind == KP_PLAN_WINDOW && (plan->window.kind == KP_WINDOW_LATENESS) == lateness) {
        ++*count;
        *ret_top = top ? top : plan;
    }
    if (plan->kind == KP_PLAN_SCAN)
        return;
    for (uint32_t i = 0; i < plan->input_count; i++)
        count_windows(plan->inputs[i], NULL, lateness, count, ret_top);
}

const struct kp_plan *kp_plan_late_window(const struct kp_plan *plan)
{
    const struct kp_plan *emit = plan, *top = NULL;
    uint32_t count = 0;
    while (emit->kind != KP_PLAN_EMIT && emit->input_count == 1)
        emit = emit->inputs[0];
    if (emit->kind == KP_PLAN_EMIT)
        count_windows(emit->inputs[0], NULL, false, &count, &top);
    else
        count_windows(plan, NULL, true, &count, &top);
    return count == 1 ? top : NULL;
}

bool kp_plan_equal(const struct kp_plan *a, const struct kp_plan *b)
{
    if (a == b)
        return true;
    if (a->kind != b->kind || a->col_count != b->col_count || a->input_count != b->input_count)
        return false;
    for (uint32_t i = 0; i < a->col_count; i++)
        if (!kp_type_equal(a->cols[i].type, b->cols[i].type))
            return false;
    if (!node_equal(a, b))
        return false;
    for (uint32_t i = 0; i < a->input_count; i++)
        if (!kp_plan_equal(a->inputs[i], b->inputs[i]))
            return false;
    return true;
}

static uint64_t hash_exprs(uint64_t hash, struct kp_expr *const *exprs, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        hash = kp_hash_combine(hash, kp_expr_hash(exprs[i]));
    return hash;
}

uint64_t kp_plan_hash(const struct kp_plan *plan)
{
    uint64_t hash = kp_hash_combine((uint64_t)plan->kind, plan->col_count);
    if (plan->kind == KP_PLAN_SCAN)
        hash = kp_hash_combine(hash, plan->scan.relation->id);
    else if (plan->kind == KP_PLAN_FILTER)
        hash = kp_hash_combine(hash, kp_expr_hash(plan->filter.predicate));
    else if (plan->kind == KP_PLAN_PROJECT)
        hash = hash_exprs(hash, plan->project.exprs, plan->col_count);
    else if (plan->kind == KP_PLAN_AGGREGATE)
        hash = hash_exprs(hash, plan->aggregate.groups, plan->aggregate.group_count);
    else if (plan->kind == KP_PLAN_JOIN)
        hash = hash_exprs(hash, plan->join.left_keys, plan->join.key_count);
    for (uint32_t i = 0; i < plan->input_count; i++)
        hash = kp_hash_combine(hash, kp_plan_hash(plan->inputs[i]));
    return hash;
}
