/*
 * For flow_test.c only: random plans, and the naive interpreter of plans: rows are arrays of datums, groups and matches
 * are found by looking at everything.
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
    for (uint32_t k = 0; k < plan->join.key_count; k++) {
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
    plan->window.kind = (enum kp_window_kind)random_below(planner->random, 3);
    plan->window.time_column = time;
    int64_t slide_us = 1000000 * (1 + random_below(planner->random, 5));
    plan->window.size.us = slide_us;
    if (plan->window.kind != KP_WINDOW_TUMBLE)
        plan->window.size.us *= 1 + random_below(planner->random, 4);
    if (plan->window.kind == KP_WINDOW_HOP && random_below(planner->random, 3) == 0)
        plan->window.size.us -= 300000; /* not a multiple; perhaps less than the slide */
    plan->window.slide.us = slide_us;
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
    struct kp_plan_frame *frame = &call->frame;
    frame->mode = (enum kp_frame_mode)random_below(random, 3);
    frame->start = (enum kp_frame_bound)random_below(random, 4);
    frame->end = (enum kp_frame_bound)(1 + random_below(random, 4));
    frame->start_offset = random_below(random, 4);
    frame->end_offset = random_below(random, 4);
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
    case 5:
        return plan_join(planner, input, plan_any(planner, random_below(planner->random, depth)));
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

/* ---- the naive interpreter ---- */

struct nrow {
    struct kp_datum *cells;
    int64_t weight;
};
struct nrows {
    struct nrow *rows;
    uint32_t count, cap;
};
struct naive {
    struct kp_arena *arena;
    struct kp_relation **relations;
    const struct table *tables;
    uint32_t table_count;
};

static inline void nrows_add(struct nrows *rows, struct kp_datum *cells, int64_t weight)
{
    if (rows->count == rows->cap) {
        rows->cap = rows->cap ? rows->cap * 2 : 16;
        rows->rows = kp_realloc(rows->rows, rows->cap * sizeof *rows->rows);
    }
    rows->rows[rows->count++] = (struct nrow){cells, weight};
}

static inline struct kp_datum naive_eval(struct naive *naive, const struct kp_expr *expr, const struct kp_datum *cells,
                                         uint32_t count)
{
    struct kp_batch batch = {.rows = 1, .cols = count};
    batch.vecs = kp_arena_calloc(naive->arena, (count + 1) * sizeof *batch.vecs);
    for (uint32_t c = 0; c < count; c++) {
        kp_vec_init_constant(&batch.vecs[c], naive->arena, &cells[c]);
        batch.vecs[c] = kp_vec_flatten(&batch.vecs[c], naive->arena, 1);
    }
    static const struct kp_session_settings settings;
    struct kp_eval eval = {.arena = naive->arena, .settings = &settings};
    struct kp_vec vec;
    kp_eval(&eval, expr, &batch, &vec);
    assert_int_equal(eval.error_count, 0);
    struct kp_datum datum;
    kp_vec_get(&vec, 0, &datum);
    return datum;
}

static inline bool naive_true(struct naive *naive, const struct kp_expr *expr, const struct kp_datum *cells,
                              uint32_t count)
{
    struct kp_datum datum = naive_eval(naive, expr, cells, count);
    return !datum.null && datum.b;
}

static inline bool same_datum(const struct kp_datum *a, const struct kp_datum *b)
{
    return a->null || b->null ? a->null == b->null : kp_value_equal(a->type.id, a->raw, b->raw);
}

static inline struct nrows naive_run(struct naive *naive, const struct kp_plan *plan);

static inline struct kp_datum naive_agg(struct naive *naive, const struct kp_plan_agg *agg, const struct nrows *input,
                                        const uint32_t *group_of, uint32_t group, uint32_t col_count)
{
    struct kp_datum result = {.type = agg->type, .null = true},
                    *seen = kp_arena_calloc(naive->arena, (input->count + 1) * sizeof *seen);
    uint32_t seen_count = 0;
    int64_t count = 0, sum = 0;
    bool is_max = strcmp(agg->agg->name, "max") == 0;
    for (uint32_t i = 0; i < input->count; i++) {
        const struct nrow *row = &input->rows[i];
        if (group_of[i] != group || (agg->filter && !naive_true(naive, agg->filter, row->cells, col_count)))
            continue;
        int64_t weight = row->weight;
        if (agg->arg_count == 0) {
            count += weight;
            continue;
        }
        struct kp_datum value = naive_eval(naive, agg->args[0], row->cells, col_count);
        if (value.null)
            continue;
        bool repeated = false;
        for (uint32_t k = 0; k < seen_count; k++)
            repeated |= same_datum(&seen[k], &value);
        seen[seen_count++] = value;
        if (agg->distinct && repeated)
            continue;
        weight = agg->distinct ? 1 : weight;
        count += weight;
        sum += value.i32 * weight;
        if (strcmp(agg->agg->name, "min") == 0 || is_max) {
            int order = result.null ? 0 : kp_value_compare(value.type.id, value.raw, result.raw);
            if (result.null || (is_max ? order > 0 : order < 0))
                result = value;
        }
    }
    if (strcmp(agg->agg->name, "count") == 0) {
        result.null = false;
        result.i64 = count;
    } else if (strcmp(agg->agg->name, "sum") == 0) {
        result.null = count == 0;
        result.i64 = sum;
    }
    return result;
}

static inline struct nrows naive_aggregate(struct naive *naive, const struct kp_plan *plan)
{
    struct nrows input = naive_run(naive, plan->inputs[0]), out = {0};
    uint32_t groups = plan->aggregate.group_count,
             *group_of = kp_arena_calloc(naive->arena, (input.count + 1) * sizeof *group_of);
    uint32_t in_cols = plan->inputs[0]->col_count;
    for (uint32_t i = 0; i < input.count; i++) {
        struct kp_datum *cells = kp_arena_calloc(naive->arena, (plan->col_count + 1) * sizeof *cells);
        for (uint32_t g = 0; g < groups; g++)
            cells[g] = naive_eval(naive, plan->aggregate.groups[g], input.rows[i].cells, in_cols);
        uint32_t at = 0;
        for (; at < out.count; at++) {
            bool same = true;
            for (uint32_t g = 0; g < groups; g++)
                same = same && same_datum(&out.rows[at].cells[g], &cells[g]);
            if (same)
                break;
        }
        group_of[i] = at;
        if (at == out.count)
            nrows_add(&out, cells, 1);
    }
    if (groups == 0 && out.count == 0)
        nrows_add(&out, kp_arena_calloc(naive->arena, (plan->col_count + 1) * sizeof(struct kp_datum)), 1);
    for (uint32_t at = 0; at < out.count; at++)
        for (uint32_t a = 0; a < plan->aggregate.agg_count; a++)
            out.rows[at].cells[groups + a] = naive_agg(naive, &plan->aggregate.aggs[a], &input, group_of, at, in_cols);
    kp_free(input.rows);
    return out;
}

static inline struct nrows naive_scan(struct naive *naive, const struct kp_plan *plan)
{
    struct nrows out = {0};
    for (uint32_t t = 0; t < naive->table_count; t++) {
        if (naive->relations[t] != plan->scan.relation)
            continue;
        for (uint32_t i = 0; i < naive->tables[t].count; i++) {
            struct kp_datum *cells = kp_arena_calloc(naive->arena, (plan->col_count + 1) * sizeof *cells);
            for (uint32_t c = 0; c < plan->col_count; c++) {
                const struct cell *cell = &naive->tables[t].rows[i].cells[plan->scan.columns[c]];
                cells[c].type = plan->cols[c].type;
                cells[c].null = cell->null;
                if (cell->null)
                    continue;
                if (cells[c].type.id == KP_TEXT)
                    cells[c].text = kp_text_make(cell->text, strlen(cell->text));
                else if (cells[c].type.id == KP_INT4)
                    cells[c].i32 = (int32_t)cell->value;
                else
                    cells[c].i64 = cell->value;
            }
            nrows_add(&out, cells, naive->tables[t].rows[i].weight);
        }
    }
    return out;
}

static inline bool naive_match(struct naive *naive, const struct kp_plan *plan, const struct kp_datum *left,
                               const struct kp_datum *right, const struct kp_datum *both)
{
    uint32_t left_cols = plan->inputs[0]->col_count, right_cols = plan->inputs[1]->col_count;
    for (uint32_t k = 0; k < plan->join.key_count; k++) {
        struct kp_datum a = naive_eval(naive, plan->join.left_keys[k], left, left_cols);
        struct kp_datum b = naive_eval(naive, plan->join.right_keys[k], right, right_cols);
        if (a.null || b.null)
            return false;
        if (a.type.id == KP_INT4 && b.type.id == KP_INT8)
            a = (struct kp_datum){.type = b.type, .i64 = a.i32};
        if (!kp_value_equal(a.type.id, a.raw, b.raw))
            return false;
    }
    return !plan->join.residual || naive_true(naive, plan->join.residual, both, left_cols + right_cols);
}

static inline struct nrows naive_join(struct naive *naive, const struct kp_plan *plan)
{
    struct nrows left = naive_run(naive, plan->inputs[0]), right = naive_run(naive, plan->inputs[1]), out = {0};
    uint32_t left_cols = plan->inputs[0]->col_count, right_cols = plan->inputs[1]->col_count,
             all = left_cols + right_cols;
    bool *right_met = kp_arena_calloc(naive->arena, right.count + 1);
    enum kp_join_kind kind = plan->join.kind;
    for (uint32_t l = 0; l < left.count; l++) {
        bool met = false;
        for (uint32_t r = 0; r < right.count; r++) {
            struct kp_datum *cells = kp_arena_calloc(naive->arena, (all + 1) * sizeof *cells);
            memcpy(cells, left.rows[l].cells, left_cols * sizeof *cells);
            memcpy(cells + left_cols, right.rows[r].cells, right_cols * sizeof *cells);
            if (!naive_match(naive, plan, left.rows[l].cells, right.rows[r].cells, cells))
                continue;
            met = right_met[r] = true;
            if (kind != KP_JOIN_SEMI && kind != KP_JOIN_ANTI)
                nrows_add(&out, cells, left.rows[l].weight * right.rows[r].weight);
        }
        if (kind == KP_JOIN_SEMI ? met : !met && kind != KP_JOIN_INNER && kind != KP_JOIN_RIGHT) {
            struct kp_datum *cells = kp_arena_calloc(naive->arena, (all + 1) * sizeof *cells);
            memcpy(cells, left.rows[l].cells, left_cols * sizeof *cells);
            for (uint32_t c = left_cols; c < all; c++)
                cells[c] = (struct kp_datum){.type = plan->inputs[1]->cols[c - left_cols].type, .null = true};
            nrows_add(&out, cells, left.rows[l].weight);
        }
    }
    for (uint32_t r = 0; r < right.count && (kind == KP_JOIN_RIGHT || kind == KP_JOIN_FULL); r++) {
        if (right_met[r])
            continue;
        struct kp_datum *cells = kp_arena_calloc(naive->arena, (all + 1) * sizeof *cells);
        for (uint32_t c = 0; c < left_cols; c++)
            cells[c] = (struct kp_datum){.type = plan->inputs[0]->cols[c].type, .null = true};
        memcpy(cells + left_cols, right.rows[r].cells, right_cols * sizeof *cells);
        nrows_add(&out, cells, right.rows[r].weight);
    }
    kp_free(left.rows);
    kp_free(right.rows);
    return out;
}

static inline int naive_order(const struct kp_datum *a, const struct kp_datum *b, bool descending, bool nulls_first)
{
    if (a->null || b->null) {
        int order = a->null && b->null ? 0 : a->null ? 1 : -1;
        return nulls_first ? -order : order;
    }
    int order = kp_value_compare(a->type.id, a->raw, b->raw);
    return descending ? -order : order;
}

static inline int naive_compare(const struct kp_plan *plan, const struct kp_datum *a, const struct kp_datum *b)
{
    for (uint32_t k = 0; k < plan->topn.key_count; k++) {
        const struct kp_sort_key *key = &plan->topn.keys[k];
        int order = naive_order(&a[key->column], &b[key->column], key->descending, key->nulls_first);
        if (order)
            return order;
    }
    for (uint32_t c = 0; c < plan->col_count; c++) {
        int order = naive_order(&a[c], &b[c], false, false);
        if (order)
            return order;
    }
    return 0;
}

static inline struct nrows naive_topn(struct naive *naive, const struct kp_plan *plan)
{
    struct nrows input = naive_run(naive, plan->inputs[0]), out = {0};
    int64_t limit = plan->topn.limit ? plan->topn.limit->datum.i64 : 1000000,
            offset = plan->topn.offset ? plan->topn.offset->datum.i64 : 0;
    for (uint32_t i = 0; i < input.count; i++) {
        int64_t before = 0; /* copies of lesser rows, and of equal ones that stand earlier in the list */
        for (uint32_t k = 0; k < input.count; k++) {
            int order = naive_compare(plan, input.rows[k].cells, input.rows[i].cells);
            if (order < 0 || (order == 0 && k < i))
                before += input.rows[k].weight;
        }
        int64_t first = KP_MAX(before, offset), end = KP_MIN(before + input.rows[i].weight, offset + limit);
        if (end > first)
            nrows_add(&out, input.rows[i].cells, end - first);
    }
    kp_free(input.rows);
    return out;
}

/* ---- window functions, a row at a time ---- */

struct naive_rows {
    struct naive *naive;
    const struct kp_plan *plan;
    struct kp_datum **rows; /* a partition's, in order, copies one by one */
    uint32_t count;
};

static inline int naive_over_compare(const struct kp_plan *plan, const struct kp_datum *a, const struct kp_datum *b,
                                     bool peers)
{
    for (uint32_t k = 0; k < (peers ? plan->over.order_count : plan->over.key_count); k++) {
        const struct kp_sort_key *key = &plan->over.keys[k];
        int order = naive_order(&a[key->column], &b[key->column], key->descending, key->nulls_first);
        if (order)
            return order;
    }
    for (uint32_t c = 0; !peers && c < plan->inputs[0]->col_count; c++) {
        int order = naive_order(&a[c], &b[c], false, false);
        if (order)
            return order;
    }
    return 0;
}

/* How many runs of peers lie between two rows. */
static inline int64_t naive_runs(const struct naive_rows *rows, uint32_t from, uint32_t to)
{
    int64_t runs = 0;
    for (uint32_t i = KP_MIN(from, to); i < KP_MAX(from, to); i++)
        runs += naive_over_compare(rows->plan, rows->rows[i], rows->rows[i + 1], true) != 0;
    return from <= to ? runs : -runs;
}

static inline bool naive_in_frame(const struct naive_rows *rows, const struct kp_plan_frame *frame, uint32_t row,
                                  uint32_t at)
{
    static const int64_t far = INT64_MAX;
    int64_t distance = frame->mode == KP_FRAME_ROWS ? (int64_t)at - row : naive_runs(rows, row, at);
    int64_t start[] = {-far, -frame->start_offset, 0, frame->start_offset, far};
    int64_t end[] = {-far, -frame->end_offset, 0, frame->end_offset, far};
    return distance >= start[frame->start] && distance <= end[frame->end];
}

static inline struct kp_datum naive_over_value(const struct naive_rows *rows, const struct kp_plan_over_call *call,
                                               uint32_t row)
{
    struct kp_datum result = {.type = call->type}, null = {.type = call->type, .null = true};
    uint32_t *frame = kp_arena_calloc(rows->naive->arena, (rows->count + 1) * sizeof *frame), n = 0, before = 0,
             peers = 0, first_peer = UINT32_MAX;
    for (uint32_t i = 0; i < rows->count; i++) {
        int order = naive_over_compare(rows->plan, rows->rows[i], rows->rows[row], true);
        before += order < 0;
        peers += order == 0;
        first_peer = order == 0 && first_peer == UINT32_MAX ? i : first_peer;
        if (naive_in_frame(rows, &call->frame, row, i))
            frame[n++] = i;
    }
    switch (call->kind) {
    case KP_OVER_ROW_NUMBER:
        result.i64 = (int64_t)row + 1;
        return result;
    case KP_OVER_RANK:
        result.i64 = (int64_t)before + 1;
        return result;
    case KP_OVER_DENSE_RANK:
        result.i64 = naive_runs(rows, 0, row) + 1;
        return result;
    case KP_OVER_PERCENT_RANK:
        result.f64 = rows->count > 1 ? (double)before / (double)(rows->count - 1) : 0;
        return result;
    case KP_OVER_CUME_DIST:
        result.f64 = (double)(before + peers) / (double)rows->count;
        return result;
    case KP_OVER_LAG:
    case KP_OVER_LEAD: {
        int64_t offset = 1;
        if (call->arg_count > 1) {
            const struct kp_datum *given = &rows->rows[row][call->args[1]];
            if (given->null)
                return null;
            offset = given->i32;
        }
        int64_t at = (int64_t)row + (call->kind == KP_OVER_LAG ? -offset : offset);
        if (at >= 0 && at < rows->count)
            return rows->rows[at][call->args[0]];
        return call->arg_count > 2 ? rows->rows[row][call->args[2]] : null;
    }
    case KP_OVER_FIRST_VALUE:
        return n ? rows->rows[frame[0]][call->args[0]] : null;
    case KP_OVER_LAST_VALUE:
        return n ? rows->rows[frame[n - 1]][call->args[0]] : null;
    case KP_OVER_NTH_VALUE: {
        const struct kp_datum *nth = &rows->rows[row][call->args[1]];
        return !nth->null && nth->i32 >= 1 && nth->i32 <= (int32_t)n ? rows->rows[frame[nth->i32 - 1]][call->args[0]]
                                                                     : null;
    }
    default:
        break;
    }
    int64_t count = 0, sum = 0;
    result.null = true;
    bool is_max = strcmp(call->agg->name, "max") == 0, is_min = strcmp(call->agg->name, "min") == 0;
    for (uint32_t i = 0; i < n; i++) {
        const struct kp_datum *cells = rows->rows[frame[i]], *value = &cells[call->args[0]];
        if (value->null || (call->filtered && (cells[call->filter].null || !cells[call->filter].b)))
            continue;
        count++;
        sum += value->i32;
        if (!is_max && !is_min)
            continue;
        int order = result.null ? 0 : kp_value_compare(value->type.id, value->raw, result.raw);
        if (result.null || (is_max ? order > 0 : order < 0))
            result = *value;
    }
    if (is_max || is_min)
        return result;
    bool counts = strcmp(call->agg->name, "count") == 0;
    result.null = !counts && count == 0;
    result.i64 = counts ? count : sum;
    return result;
}

static inline struct nrows naive_over(struct naive *naive, const struct kp_plan *plan)
{
    struct nrows input = naive_run(naive, plan->inputs[0]), out = {0};
    uint32_t cols = plan->inputs[0]->col_count;
    bool *done = kp_arena_calloc(naive->arena, input.count + 1);
    for (uint32_t i = 0; i < input.count; i++) {
        if (done[i])
            continue;
        int64_t total = 0;
        for (uint32_t k = 0; k < input.count; k++)
            total += input.rows[k].weight;
        struct naive_rows rows = {naive, plan, kp_arena_calloc(naive->arena, ((size_t)total + 1) * sizeof(void *)), 0};
        for (uint32_t k = i; k < input.count; k++) {
            bool same = !done[k];
            for (uint32_t p = 0; same && p < plan->over.partition_count; p++)
                same = same_datum(&input.rows[i].cells[plan->over.partitions[p]],
                                  &input.rows[k].cells[plan->over.partitions[p]]);
            for (int64_t copy = 0; same && copy < input.rows[k].weight; copy++) {
                uint32_t at = rows.count++;
                for (; at > 0 && naive_over_compare(plan, input.rows[k].cells, rows.rows[at - 1], false) < 0; at--)
                    rows.rows[at] = rows.rows[at - 1];
                rows.rows[at] = input.rows[k].cells;
            }
            done[k] |= same;
        }
        for (uint32_t row = 0; row < rows.count; row++) {
            struct kp_datum *cells = kp_arena_calloc(naive->arena, (plan->col_count + 1) * sizeof *cells);
            memcpy(cells, rows.rows[row], cols * sizeof *cells);
            for (uint32_t c = 0; c < plan->over.call_count; c++)
                cells[cols + c] = naive_over_value(&rows, &plan->over.calls[c], row);
            nrows_add(&out, cells, 1);
        }
    }
    kp_free(input.rows);
    return out;
}

static inline struct nrows naive_window(struct naive *naive, const struct kp_plan *plan)
{
    struct nrows input = naive_run(naive, plan->inputs[0]), out = {0};
    uint32_t cols = plan->col_count;
    int64_t size = plan->window.size.us, slide = plan->window.slide.us,
            origin = plan->window.offset.us - 946684800000000;
    bool cumulate = plan->window.kind == KP_WINDOW_CUMULATE;
    for (uint32_t i = 0; i < input.count; i++) {
        const struct kp_datum *time = &input.rows[i].cells[plan->window.time_column];
        /* Times of the test lie within a minute of 2000-01-01: every window near it is tried. */
        int64_t unit = cumulate ? size : slide;
        for (int64_t start = origin + (-origin / unit) * unit - 200 * unit;
             !time->null && start < 100000000 + 200 * unit; start += unit)
            for (int64_t end = start + (cumulate ? slide : size); end <= start + size; end += cumulate ? slide : size) {
                if (time->i64 < start || time->i64 >= end)
                    continue;
                struct kp_datum *cells = kp_arena_calloc(naive->arena, (cols + 1) * sizeof *cells);
                memcpy(cells, input.rows[i].cells, (cols - 2) * sizeof *cells);
                cells[cols - 2] = (struct kp_datum){.type = KP_TYPE(KP_TIMESTAMP), .i64 = start};
                cells[cols - 1] = (struct kp_datum){.type = KP_TYPE(KP_TIMESTAMP), .i64 = end};
                nrows_add(&out, cells, input.rows[i].weight);
            }
    }
    kp_free(input.rows);
    return out;
}

static inline struct nrows naive_run(struct naive *naive, const struct kp_plan *plan)
{
    if (plan->kind == KP_PLAN_SCAN)
        return naive_scan(naive, plan);
    if (plan->kind == KP_PLAN_AGGREGATE)
        return naive_aggregate(naive, plan);
    if (plan->kind == KP_PLAN_JOIN)
        return naive_join(naive, plan);
    if (plan->kind == KP_PLAN_TOPN)
        return naive_topn(naive, plan);
    if (plan->kind == KP_PLAN_OVER)
        return naive_over(naive, plan);
    if (plan->kind == KP_PLAN_WINDOW)
        return naive_window(naive, plan);
    if (plan->kind == KP_PLAN_UNION) {
        struct nrows a = naive_run(naive, plan->inputs[0]), b = naive_run(naive, plan->inputs[1]);
        for (uint32_t i = 0; i < b.count; i++)
            nrows_add(&a, b.rows[i].cells, b.rows[i].weight);
        kp_free(b.rows);
        return a;
    }
    struct nrows input = naive_run(naive, plan->inputs[0]), out = {0};
    uint32_t in_cols = plan->inputs[0]->col_count;
    for (uint32_t i = 0; i < input.count; i++) {
        struct nrow *row = &input.rows[i];
        if (plan->kind == KP_PLAN_REPEAT) {
            const struct kp_datum *times = &row->cells[plan->repeat.column];
            if (!times->null && times->i64 > 0)
                nrows_add(&out, row->cells, row->weight * times->i64);
            continue;
        }
        if (plan->kind == KP_PLAN_FILTER) {
            if (naive_true(naive, plan->filter.predicate, row->cells, in_cols))
                nrows_add(&out, row->cells, row->weight);
            continue;
        }
        struct kp_datum *cells = kp_arena_calloc(naive->arena, (plan->col_count + 1) * sizeof *cells);
        for (uint32_t c = 0; c < plan->col_count; c++)
            cells[c] = naive_eval(naive, plan->project.exprs[c], row->cells, in_cols);
        nrows_add(&out, cells, row->weight);
    }
    kp_free(input.rows);
    return out;
}

static inline void oracle_run(const struct kp_plan *plan, struct kp_relation **relations, const struct table *tables,
                              uint32_t table_count, struct multiset *ret_set)
{
    struct kp_arena arena = {0};
    struct naive naive = {&arena, relations, tables, table_count};
    struct nrows rows = naive_run(&naive, plan);
    for (uint32_t i = 0; i < rows.count; i++) {
        struct kp_buf buf = {0};
        for (uint32_t c = 0; c < plan->col_count; c++) {
            const struct kp_datum *cell = &rows.rows[i].cells[c];
            if (cell->null)
                kp_buf_append_text(&buf, "NULL");
            else
                kp_value_print(plan->cols[c].type, cell->raw, NULL, &buf);
            kp_buf_append_byte(&buf, '|');
        }
        kp_buf_append_byte(&buf, 0);
        multiset_add(ret_set, (const char *)buf.data, rows.rows[i].weight);
        kp_buf_finish(&buf);
    }
    kp_free(rows.rows);
    kp_arena_finish(&arena);
}

#endif
