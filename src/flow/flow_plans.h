/*
 * For flow_test.c only: random plans of every kind of node over random tables.
 */
#ifndef KP_FLOW_FLOW_PLANS_H
#define KP_FLOW_FLOW_PLANS_H

#include "flow/flow_oracle.h"

/* ---- expressions ---- */

static inline struct kp_expr *make_expr(struct kp_arena *arena, enum kp_expr_kind kind, enum kp_type_id type,
                                        uint32_t arg_count)
{
    struct kp_expr *expr = kp_arena_calloc(arena, sizeof *expr);
    expr->kind = kind;
    expr->type = KP_TYPE(type);
    expr->location = -1;
    expr->arg_count = arg_count;
    expr->args = kp_arena_calloc(arena, (arg_count + 1) * sizeof(struct kp_expr *));
    return expr;
}

static inline struct kp_expr *make_column(struct kp_arena *arena, const struct kp_plan *input, uint32_t column)
{
    struct kp_expr *expr = make_expr(arena, KP_EXPR_COLUMN, input->cols[column].type.id, 0);
    expr->column = column;
    return expr;
}

static inline struct kp_expr *make_const(struct kp_arena *arena, enum kp_type_id type, int64_t value)
{
    struct kp_expr *expr = make_expr(arena, KP_EXPR_CONST, type, 0);
    expr->datum.type = KP_TYPE(type);
    if (type == KP_INT4)
        expr->datum.i32 = (int32_t)value;
    else if (type == KP_TEXT)
        expr->datum.text = kp_text_make("s1", 2);
    else if (type == KP_BOOL)
        expr->datum.b = value != 0;
    else
        expr->datum.i64 = value;
    return expr;
}

static inline struct kp_expr *make_call(struct kp_arena *arena, const char *name, enum kp_type_id ret,
                                        struct kp_expr *a, struct kp_expr *b)
{
    size_t count;
    const struct kp_func *const *found = kp_func_find(KP_FUNC_OPERATOR, kp_str(name), &count);
    for (size_t i = 0; i < count; i++)
        if (found[i]->arg_count == 2 && found[i]->args[0] == a->type.id && found[i]->args[1] == b->type.id) {
            struct kp_expr *expr = make_expr(arena, KP_EXPR_CALL, ret, 2);
            expr->func = found[i];
            expr->args[0] = a;
            expr->args[1] = b;
            expr->can_fail = (found[i]->flags & KP_CAN_FAIL) || a->can_fail || b->can_fail;
            return expr;
        }
    fail_msg("no operator %s", name);
    return NULL;
}

static inline int32_t find_column(struct random *random, const struct kp_plan *input, enum kp_type_id type)
{
    uint32_t first = random_below(random, input->col_count + 1);
    for (uint32_t i = 0; i < input->col_count; i++)
        if (input->cols[(first + i) % input->col_count].type.id == type)
            return (int32_t)((first + i) % input->col_count);
    return -1;
}

static inline struct kp_expr *random_predicate(struct random *random, struct kp_arena *arena,
                                               const struct kp_plan *input, int depth);

static inline struct kp_expr *random_value(struct random *random, struct kp_arena *arena, const struct kp_plan *input,
                                           enum kp_type_id type, int depth)
{
    int32_t column = find_column(random, input, type);
    struct kp_expr *leaf = column >= 0 && random_below(random, 5)
                               ? make_column(arena, input, (uint32_t)column)
                               : make_const(arena, type, (int64_t)random_below(random, 9) - 4);
    if (depth == 0 || (type != KP_INT8 && type != KP_INT4))
        return leaf;
    switch (random_below(random, 5)) {
    case 0:
        return make_call(arena, "+", type, leaf, random_value(random, arena, input, type, depth - 1));
    case 1: {
        struct kp_expr *expr = make_expr(arena, KP_EXPR_CASE, type, 3);
        expr->args[0] = random_predicate(random, arena, input, depth - 1);
        expr->args[1] = leaf;
        expr->args[2] = random_value(random, arena, input, type, depth - 1);
        expr->can_fail = expr->args[0]->can_fail || leaf->can_fail || expr->args[2]->can_fail;
        return expr;
    }
    case 2: {
        struct kp_expr *expr = make_expr(arena, KP_EXPR_COALESCE, type, 2);
        expr->args[0] = leaf;
        expr->args[1] = random_value(random, arena, input, type, depth - 1);
        expr->can_fail = expr->args[1]->can_fail;
        return expr;
    }
    case 3: { /* x / y where y may be 0, guarded */
        struct kp_expr *expr = make_expr(arena, KP_EXPR_CASE, type, 3);
        struct kp_expr *y = random_value(random, arena, input, type, 0);
        expr->args[0] = make_call(arena, "<>", KP_BOOL, y, make_const(arena, type, 0));
        expr->args[1] = make_call(arena, "/", type, leaf, y);
        expr->args[2] = make_const(arena, type, 7);
        expr->can_fail = true;
        return expr;
    }
    default:
        return leaf;
    }
}

static inline struct kp_expr *random_predicate(struct random *random, struct kp_arena *arena,
                                               const struct kp_plan *input, int depth)
{
    static const char *const comparisons[] = {"=", "<>", "<", "<=", ">", ">="};
    static const enum kp_type_id types[] = {KP_INT8, KP_INT4, KP_INT8, KP_TEXT};
    enum kp_type_id type = types[random_below(random, 4)];
    uint32_t what = random_below(random, depth > 0 ? 6 : 3);
    if (what == 0) {
        struct kp_expr *expr =
            make_expr(arena, random_below(random, 2) ? KP_EXPR_IS_NULL : KP_EXPR_IS_NOT_NULL, KP_BOOL, 1);
        expr->args[0] = random_value(random, arena, input, type, 0);
        return expr;
    }
    if (what == 1) {
        struct kp_expr *expr = make_expr(arena, KP_EXPR_IN, KP_BOOL, 1 + 1 + random_below(random, 12));
        expr->args[0] = random_value(random, arena, input, KP_INT8, 0);
        for (uint32_t i = 1; i < expr->arg_count; i++) {
            expr->args[i] = make_const(arena, KP_INT8, (int64_t)random_below(random, 12) - 6);
            expr->args[i]->datum.null = random_below(random, 20) == 0;
        }
        return expr;
    }
    if (what == 2)
        return make_call(arena, comparisons[random_below(random, 6)], KP_BOOL,
                         random_value(random, arena, input, type, depth > 0 ? 1 : 0),
                         random_value(random, arena, input, type, 0));
    if (what == 3) {
        struct kp_expr *expr = make_expr(arena, KP_EXPR_NOT, KP_BOOL, 1);
        expr->args[0] = random_predicate(random, arena, input, depth - 1);
        expr->can_fail = expr->args[0]->can_fail;
        return expr;
    }
    struct kp_expr *expr = make_expr(arena, what == 4 ? KP_EXPR_AND : KP_EXPR_OR, KP_BOOL, 2);
    for (uint32_t i = 0; i < 2; i++) {
        expr->args[i] = random_predicate(random, arena, input, depth - 1);
        expr->can_fail |= expr->args[i]->can_fail;
    }
    return expr;
}

/* ---- plans ---- */

struct planner {
    struct random *random;
    struct kp_arena *arena;
    struct kp_relation **relations;
    uint32_t relation_count;
};

static inline struct kp_plan *make_plan(struct planner *planner, enum kp_plan_kind kind, uint32_t col_count,
                                        struct kp_plan *a, struct kp_plan *b)
{
    struct kp_plan *plan = kp_arena_calloc(planner->arena, sizeof *plan);
    plan->kind = kind;
    plan->location = -1;
    plan->col_count = col_count;
    plan->cols = kp_arena_calloc(planner->arena, (col_count + 1) * sizeof *plan->cols);
    for (uint32_t c = 0; c < col_count; c++)
        plan->cols[c].name = kp_arena_printf(planner->arena, "c%u", c);
    plan->input_count = (uint32_t)(a != NULL) + (uint32_t)(b != NULL);
    plan->inputs = kp_arena_calloc(planner->arena, 2 * sizeof(struct kp_plan *));
    plan->inputs[0] = a;
    plan->inputs[1] = b;
    for (uint32_t c = 0; a && c < col_count; c++)
        plan->cols[c].type = c < a->col_count ? a->cols[c].type : KP_TYPE(KP_INT8);
    return plan;
}

static inline struct kp_plan *plan_any(struct planner *planner, uint32_t depth);

static inline struct kp_plan *plan_scan(struct planner *planner)
{
    struct kp_plan *plan = make_plan(planner, KP_PLAN_SCAN, 0, NULL, NULL);
    plan->scan.relation = planner->relations[random_below(planner->random, planner->relation_count)];
    plan->cols = kp_arena_calloc(planner->arena, COLS * sizeof *plan->cols);
    plan->scan.columns = kp_arena_calloc(planner->arena, COLS * sizeof *plan->scan.columns);
    for (uint32_t c = 0; c < COLS; c++)
        if (c == COL_K || random_below(planner->random, 4)) {
            plan->cols[plan->col_count] = test_columns()[c];
            plan->scan.columns[plan->col_count++] = c;
        }
    return plan;
}

static inline struct kp_plan *plan_project(struct planner *planner, struct kp_plan *input)
{
    static const enum kp_type_id types[] = {KP_INT8, KP_INT8, KP_INT4, KP_TEXT, KP_TIMESTAMP};
    uint32_t count = 1 + random_below(planner->random, 4);
    struct kp_plan *plan = make_plan(planner, KP_PLAN_PROJECT, count, input, NULL);
    plan->project.exprs = kp_arena_calloc(planner->arena, count * sizeof(struct kp_expr *));
    for (uint32_t c = 0; c < count; c++) {
        plan->project.exprs[c] =
            random_value(planner->random, planner->arena, input, types[random_below(planner->random, 5)], 2);
        plan->cols[c].type = plan->project.exprs[c]->type;
    }
    return plan;
}

static inline const struct kp_agg *find_agg(const char *name, uint32_t args, enum kp_type_id type)
{
    size_t count;
    const struct kp_agg *const *found = kp_agg_find(kp_str(name), &count);
    for (size_t i = 0; i < count; i++)
        if (found[i]->arg_count == args && (args == 0 || found[i]->args[0] == type || found[i]->args[0] == KP_ANY))
            return found[i];
    return NULL;
}

static inline struct kp_plan *plan_aggregate(struct planner *planner, struct kp_plan *input)
{
    static const char *const names[] = {"count", "count", "sum", "min", "max"};
    static const enum kp_type_id types[] = {KP_INT8, KP_INT4, KP_TEXT};
    struct kp_plan_agg aggs[3] = {0};
    uint32_t groups = random_below(planner->random, 4) % 3, agg_count = 0;
    for (uint32_t a = random_below(planner->random, 4); a > 0; a--) {
        const char *name = names[random_below(planner->random, 5)];
        enum kp_type_id type = strcmp(name, "sum") == 0 ? KP_INT4 : types[random_below(planner->random, 3)];
        uint32_t args = strcmp(name, "count") == 0 ? random_below(planner->random, 2) : 1;
        struct kp_plan_agg *agg = &aggs[agg_count];
        agg->agg = find_agg(name, args, type);
        if (!agg->agg)
            continue;
        agg->arg_count = args;
        agg->args = kp_arena_calloc(planner->arena, 2 * sizeof(struct kp_expr *));
        if (args)
            agg->args[0] = random_value(planner->random, planner->arena, input, type, 1);
        agg->distinct = args && random_below(planner->random, 4) == 0;
        agg->filter =
            random_below(planner->random, 4) ? NULL : random_predicate(planner->random, planner->arena, input, 1);
        agg->type = agg->agg->ret == KP_ANYELEMENT ? KP_TYPE(type) : KP_TYPE(agg->agg->ret);
        agg_count++;
    }
    if (groups + agg_count == 0)
        groups = 1;
    struct kp_plan *plan = make_plan(planner, KP_PLAN_AGGREGATE, groups + agg_count, input, NULL);
    plan->aggregate.group_count = groups;
    plan->aggregate.groups = kp_arena_calloc(planner->arena, (groups + 1) * sizeof(struct kp_expr *));
    for (uint32_t g = 0; g < groups; g++) {
        plan->aggregate.groups[g] =
            random_value(planner->random, planner->arena, input, types[random_below(planner->random, 3)], 0);
        plan->cols[g].type = plan->aggregate.groups[g]->type;
    }
    plan->aggregate.agg_count = agg_count;
    plan->aggregate.aggs = kp_arena_calloc(planner->arena, sizeof aggs);
    memcpy(plan->aggregate.aggs, aggs, sizeof aggs);
    for (uint32_t a = 0; a < agg_count; a++)
        plan->cols[groups + a].type = aggs[a].type;
    return plan;
}

static inline struct kp_plan *plan_join(struct planner *planner, struct kp_plan *left, struct kp_plan *right)
{
    static const enum kp_type_id types[] = {KP_INT8, KP_INT8, KP_INT4, KP_TEXT};
    enum kp_join_kind kind =
        random_below(planner->random, 2) ? KP_JOIN_INNER : (enum kp_join_kind)random_below(planner->random, 6);
    bool narrow = kind == KP_JOIN_SEMI || kind == KP_JOIN_ANTI;
    struct kp_plan *plan =
        make_plan(planner, KP_PLAN_JOIN, left->col_count + (narrow ? 0 : right->col_count), left, right);
    for (uint32_t c = 0; c < plan->col_count; c++)
        plan->cols[c].type = c < left->col_count ? left->cols[c].type : right->cols[c - left->col_count].type;
    plan->join.kind = kind;
    plan->join.key_count = random_below(planner->random, 8) ? 1 + random_below(planner->random, 2) : 0;
    plan->join.left_keys = kp_arena_calloc(planner->arena, 2 * sizeof(struct kp_expr *));
    plan->join.right_keys = kp_arena_calloc(planner->arena, 2 * sizeof(struct kp_expr *));
    plan->join.key_nulls = kp_arena_calloc(planner->arena, 2 * sizeof(bool));
    for (uint32_t k = 0; k < plan->join.key_count; k++) {
        plan->join.key_nulls[k] = random_below(planner->random, 4) == 0;
        enum kp_type_id type = types[random_below(planner->random, 4)];
        enum kp_type_id other = type == KP_INT4 && random_below(planner->random, 2) ? KP_INT8 : type;
        plan->join.left_keys[k] =
            random_value(planner->random, planner->arena, left, type, random_below(planner->random, 4) == 0);
        plan->join.right_keys[k] = random_value(planner->random, planner->arena, right, other, 0);
    }
    if (random_below(planner->random, 3) == 0) {
        struct kp_plan *both = make_plan(planner, KP_PLAN_UNION, left->col_count + right->col_count, NULL, NULL);
        for (uint32_t c = 0; c < both->col_count; c++)
            both->cols[c].type = c < left->col_count ? left->cols[c].type : right->cols[c - left->col_count].type;
        plan->join.residual = random_predicate(planner->random, planner->arena, both, 1);
    }
    return plan;
}

/* NULL if the sides have no times of one type. */
static inline struct kp_plan *plan_asof(struct planner *planner, struct kp_plan *left, struct kp_plan *right)
{
    static const enum kp_type_id types[] = {KP_INT8, KP_INT4, KP_TEXT};
    enum kp_type_id time = random_below(planner->random, 2) ? KP_INT8 : KP_TIMESTAMP;
    struct kp_plan *sides[2] = {left, right};
    struct kp_plan *plan = make_plan(planner, KP_PLAN_ASOF, left->col_count + right->col_count, left, right);
    for (uint32_t c = 0; c < plan->col_count; c++)
        plan->cols[c].type = c < left->col_count ? left->cols[c].type : right->cols[c - left->col_count].type;
    uint32_t wanted = random_below(planner->random, 3);
    for (uint32_t s = 0; s < 2; s++) {
        int32_t column = find_column(planner->random, sides[s], time);
        if (column < 0)
            return NULL;
        plan->asof.times[s] = (uint32_t)column;
        plan->asof.keys[s] = kp_arena_calloc(planner->arena, 2 * sizeof(uint32_t));
    }
    for (uint32_t k = 0; k < wanted; k++) {
        enum kp_type_id type = types[random_below(planner->random, 3)];
        int32_t a = find_column(planner->random, left, type), b = find_column(planner->random, right, type);
        if (a < 0 || b < 0)
            continue;
        plan->asof.keys[0][plan->asof.key_count] = (uint32_t)a;
        plan->asof.keys[1][plan->asof.key_count++] = (uint32_t)b;
    }
    plan->asof.outer = random_below(planner->random, 2);
    plan->asof.strict = random_below(planner->random, 2);
    plan->asof.forward = random_below(planner->random, 2);
    return plan;
}

static inline struct kp_plan *plan_topn(struct planner *planner, struct kp_plan *input)
{
    struct kp_plan *plan = make_plan(planner, KP_PLAN_TOPN, input->col_count, input, NULL);
    plan->topn.key_count = random_below(planner->random, 3);
    plan->topn.keys = kp_arena_calloc(planner->arena, 2 * sizeof *plan->topn.keys);
    for (uint32_t k = 0; k < plan->topn.key_count; k++)
        plan->topn.keys[k] = (struct kp_sort_key){random_below(planner->random, input->col_count),
                                                  random_below(planner->random, 2), random_below(planner->random, 2)};
    if (random_below(planner->random, 6))
        plan->topn.limit = make_const(planner->arena, KP_INT8, random_below(planner->random, 8));
    if (random_below(planner->random, 3) == 0)
        plan->topn.offset = make_const(planner->arena, KP_INT8, random_below(planner->random, 5));
    return plan;
}

static inline struct kp_plan *plan_window(struct planner *planner, struct kp_plan *input, uint32_t time)
{
    struct kp_plan *plan = make_plan(planner, KP_PLAN_WINDOW, input->col_count + 2, input, NULL);
    plan->cols[input->col_count].type = plan->cols[input->col_count + 1].type = KP_TYPE(KP_TIMESTAMP);
    plan->window.kind = (enum kp_window_kind)random_below(planner->random, 4);
    plan->window.time_column = time;
    int64_t slide_us = 1000000 * (1 + random_below(planner->random, 5));
    plan->window.size.us = slide_us;
    if (plan->window.kind != KP_WINDOW_TUMBLE)
        plan->window.size.us *= 1 + random_below(planner->random, 4);
    if (plan->window.kind == KP_WINDOW_HOP && random_below(planner->random, 3) == 0)
        plan->window.size.us -= 300000; /* not a multiple; perhaps less than the slide */
    plan->window.slide.us = slide_us;
    if (plan->window.kind == KP_WINDOW_SESSION) {
        plan->window.size.us = slide_us / 4;
        plan->window.key_count = random_below(planner->random, 3);
        plan->window.keys = kp_arena_calloc(planner->arena, 2 * sizeof *plan->window.keys);
        for (uint32_t k = 0; k < plan->window.key_count; k++)
            plan->window.keys[k] = random_below(planner->random, input->col_count);
        return plan;
    }
    plan->window.offset.us = random_below(planner->random, 2) ? 700000 : 0;
    return plan;
}

static inline bool over_call(struct planner *planner, struct kp_plan *input, struct kp_plan_over_call *call)
{
    static const char *const names[] = {"count", "sum", "min", "max"};
    static const enum kp_type_id values[] = {KP_INT8, KP_INT4, KP_TEXT};
    struct random *random = planner->random;
    enum kp_type_id type = values[random_below(random, 3)];
    *call = (struct kp_plan_over_call){.kind = (enum kp_over_kind)random_below(random, 12), .type = KP_TYPE(KP_INT8)};
    if (call->kind == KP_OVER_NTH_VALUE) /* its row fails where a column says 0: tests/sql/frames.slt */
        call->kind = KP_OVER_LAST_VALUE;
    struct kp_plan_frame *frame = &call->frame;
    frame->mode = (enum kp_frame_mode)random_below(random, 3);
    frame->start = (enum kp_frame_bound)random_below(random, 4);
    frame->end = (enum kp_frame_bound)(1 + random_below(random, 4));
    frame->start_offset = random_below(random, 4);
    frame->end_offset = random_below(random, 4);
    if (random_below(random, 3) == 0)
        frame->exclude = (enum kp_frame_exclude)random_below(random, 4);
    if (frame->start > frame->end || frame->mode == KP_FRAME_RANGE) {
        frame->start = random_below(random, 2) ? KP_BOUND_FIRST : KP_BOUND_CURRENT;
        frame->end = random_below(random, 2) ? KP_BOUND_CURRENT : KP_BOUND_LAST;
    }
    if (call->kind == KP_OVER_PERCENT_RANK || call->kind == KP_OVER_CUME_DIST)
        call->type = KP_TYPE(KP_FLOAT8);
    if (call->kind < KP_OVER_LAG)
        return call->kind != KP_OVER_NTILE;
    const char *name = names[random_below(random, 4)];
    if (call->kind == KP_OVER_AGGREGATE && strcmp(name, "sum") == 0)
        type = KP_INT4;
    int32_t column = find_column(random, input, type), other = find_column(random, input, KP_INT4),
            filter = find_column(random, input, KP_BOOL);
    if (column < 0)
        return false;
    call->args[call->arg_count++] = (uint32_t)column;
    call->type = KP_TYPE(type);
    if (call->kind == KP_OVER_NTH_VALUE || (call->kind <= KP_OVER_LEAD && random_below(random, 2))) {
        call->args[call->arg_count++] = (uint32_t)other;
        if (call->kind <= KP_OVER_LEAD && random_below(random, 2))
            call->args[call->arg_count++] = (uint32_t)find_column(random, input, type);
        return other >= 0;
    }
    if (call->kind == KP_OVER_AGGREGATE) {
        call->agg = find_agg(name, 1, type);
        call->filtered = filter >= 0 && random_below(random, 2);
        call->filter = call->filtered ? (uint32_t)filter : 0;
        if (call->agg && call->agg->ret != KP_ANYELEMENT)
            call->type = KP_TYPE(call->agg->ret);
        return call->agg != NULL;
    }
    return true;
}

static inline struct kp_plan *plan_over(struct planner *planner, struct kp_plan *input)
{
    struct kp_plan_over_call calls[4];
    uint32_t count = 0;
    for (uint32_t i = 0; i < 12 && count < 1 + i / 4; i++)
        count += over_call(planner, input, &calls[count]);
    struct kp_plan *plan = make_plan(planner, KP_PLAN_OVER, input->col_count + count, input, NULL);
    for (uint32_t i = 0; i < count; i++)
        plan->cols[input->col_count + i].type = calls[i].type;
    plan->over.call_count = count;
    plan->over.calls = kp_arena_calloc(planner->arena, 4 * sizeof *calls);
    memcpy(plan->over.calls, calls, count * sizeof *calls);
    plan->over.partition_count = random_below(planner->random, 3);
    plan->over.partitions = kp_arena_calloc(planner->arena, 2 * sizeof(uint32_t));
    for (uint32_t k = 0; k < plan->over.partition_count; k++)
        plan->over.partitions[k] = random_below(planner->random, input->col_count);
    plan->over.key_count = random_below(planner->random, 3);
    plan->over.order_count = plan->over.key_count ? random_below(planner->random, plan->over.key_count + 1) : 0;
    plan->over.keys = kp_arena_calloc(planner->arena, 2 * sizeof *plan->over.keys);
    for (uint32_t k = 0; k < plan->over.key_count; k++)
        plan->over.keys[k] = (struct kp_sort_key){random_below(planner->random, input->col_count),
                                                  random_below(planner->random, 2), random_below(planner->random, 2)};
    return plan;
}

static inline struct kp_plan *plan_any(struct planner *planner, uint32_t depth)
{
    if (depth == 0)
        return plan_scan(planner);
    struct kp_plan *input = plan_any(planner, depth - 1);
    int32_t time = find_column(planner->random, input, KP_TIMESTAMP);
    int32_t times = find_column(planner->random, input, KP_INT8);
    switch (random_below(planner->random, 11)) {
    case 10:
        return plan_over(planner, input);
    case 4:
    case 5: {
        struct kp_plan *other = plan_any(planner, random_below(planner->random, depth));
        struct kp_plan *asof = random_below(planner->random, 3) == 0 ? plan_asof(planner, input, other) : NULL;
        return asof ? asof : plan_join(planner, input, other);
    }
    case 6:
        return plan_topn(planner, input);
    case 7:
        return time >= 0 ? plan_window(planner, input, (uint32_t)time) : plan_topn(planner, input);
    case 9: {
        if (times < 0)
            return plan_topn(planner, input);
        struct kp_plan *plan = make_plan(planner, KP_PLAN_REPEAT, input->col_count, input, NULL);
        plan->repeat.column = (uint32_t)times;
        return plan;
    }
    case 8: {
        struct kp_plan *plan = make_plan(planner, KP_PLAN_UNION, input->col_count, input, input);
        if (random_below(planner->random, 2)) {
            struct kp_plan *filter = make_plan(planner, KP_PLAN_FILTER, input->col_count, input, NULL);
            filter->filter.predicate = random_predicate(planner->random, planner->arena, input, 1);
            plan->inputs[1] = filter;
        }
        return plan;
    }
    case 0: {
        struct kp_plan *plan = make_plan(planner, KP_PLAN_FILTER, input->col_count, input, NULL);
        plan->filter.predicate = random_predicate(planner->random, planner->arena, input, 2);
        return plan;
    }
    case 1:
        return plan_project(planner, input);
    default:
        return plan_aggregate(planner, input);
    }
}

static inline struct kp_plan *random_plan(struct random *random, struct kp_arena *arena, struct kp_relation **relations,
                                          uint32_t relation_count, uint32_t depth)
{
    struct planner planner = {random, arena, relations, relation_count};
    return plan_any(&planner, depth);
}

static inline void print_expr(const struct kp_plan *input, const struct kp_expr *expr)
{
    struct kp_buf buf = {0};
    kp_expr_print(expr, input ? input->cols : NULL, &buf);
    fprintf(stderr, " %.*s", (int)buf.len, (const char *)buf.data);
    kp_buf_finish(&buf);
}

static inline void print_plan(const struct kp_plan *plan)
{
    struct kp_buf buf = {0};
    kp_plan_print(plan, &buf);
    fprintf(stderr, "%.*s\n", (int)buf.len, (const char *)buf.data);
    kp_buf_finish(&buf);
}

#endif
