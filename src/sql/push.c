/*
 * Where predicates go: as far down as they may, and into joins as keys.
 *
 * Rules that keep the meaning:
 *   1. A predicate that can fail is not moved below anything that could have removed its row: it stays above joins and
 *      aggregates. (As a join's equality it becomes a key only if the join has no other.)
 *   2. Nothing passes a TOPN, an EMIT, or an aggregate without groups.
 *   3. Of a left join only what reads the left side alone goes down; conditions of ON become keys or the residual.
 */
#include "sql/bind.h"

static bool holds(const struct conjuncts *list, const struct kp_expr *expr)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (kp_expr_equal(list->exprs[i], expr))
            return true;
    return false;
}

/* The conjunction of the list less those; NULL: nothing is left. */
static struct kp_expr *without(struct binder *binder, const struct conjuncts *list, const struct conjuncts *those)
{
    struct kp_expr *all = kp_bind_new(binder, KP_EXPR_AND, KP_TYPE(KP_BOOL), -1, list->count);
    all->arg_count = 0;
    for (uint32_t i = 0; i < list->count; i++)
        if (!holds(those, list->exprs[i]))
            all->args[all->arg_count++] = list->exprs[i];
    if (all->arg_count < 2)
        return all->arg_count ? all->args[0] : NULL;
    kp_expr_settle(all);
    return all;
}

/* (a AND b) OR (a AND c) is a AND (b OR c), as in PostgreSQL: a may be a join's key. *ret_rest: b OR c, NULL if some
 * branch is a alone. False: nothing is common to all. */
static bool take_common(struct binder *binder, const struct kp_expr *either, struct conjuncts *ret_common,
                        struct kp_expr **ret_rest)
{
    uint32_t count = either->arg_count;
    struct conjuncts *branches = kp_arena_calloc(binder->arena, count * sizeof *branches);
    for (uint32_t i = 0; i < count; i++)
        kp_conjuncts_add(binder, &branches[i], either->args[i]);
    for (uint32_t k = 0; k < branches[0].count; k++) {
        bool everywhere = true;
        for (uint32_t i = 1; i < count && everywhere; i++)
            everywhere = holds(&branches[i], branches[0].exprs[k]);
        if (everywhere)
            kp_conjuncts_add(binder, ret_common, branches[0].exprs[k]);
    }
    if (!ret_common->count)
        return false;
    struct kp_expr *rest = kp_bind_new(binder, KP_EXPR_OR, either->type, either->location, count);
    *ret_rest = rest;
    for (uint32_t i = 0; i < count; i++) {
        rest->args[i] = without(binder, &branches[i], ret_common);
        if (!rest->args[i])
            *ret_rest = NULL;
    }
    if (*ret_rest)
        kp_expr_settle(rest);
    return true;
}

void kp_conjuncts_add(struct binder *binder, struct conjuncts *list, struct kp_expr *expr)
{
    struct conjuncts common = {0};
    struct kp_expr *rest;
    if (expr->kind == KP_EXPR_OR && take_common(binder, expr, &common, &rest)) {
        for (uint32_t i = 0; i < common.count; i++)
            kp_conjuncts_add(binder, list, common.exprs[i]);
        if (rest)
            kp_conjuncts_add(binder, list, rest);
        return;
    }
    if (expr->kind == KP_EXPR_AND) {
        for (uint32_t i = 0; i < expr->arg_count; i++)
            kp_conjuncts_add(binder, list, expr->args[i]);
        return;
    }
    if (expr->kind == KP_EXPR_NOT && expr->args[0]->kind == KP_EXPR_OR) { /* none of them is */
        for (uint32_t i = 0; i < expr->args[0]->arg_count; i++) {
            struct kp_expr *none = kp_bind_new(binder, KP_EXPR_NOT, expr->type, expr->location, 1);
            none->args[0] = expr->args[0]->args[i];
            kp_expr_settle(none);
            kp_conjuncts_add(binder, list, none);
        }
        return;
    }
    if (expr->kind == KP_EXPR_CONST && !expr->datum.null && expr->datum.b)
        return;
    if (list->count == list->cap) {
        list->cap = list->cap ? list->cap * 2 : 8;
        struct kp_expr **more = kp_arena_alloc(binder->arena, list->cap * sizeof *more);
        if (list->count)
            memcpy(more, list->exprs, list->count * sizeof *more);
        list->exprs = more;
    }
    list->exprs[list->count++] = expr;
}

/* A cast from or to text makes two of them in PostgreSQL: out and in. */
static bool count_call(const struct kp_expr *expr, void *arg)
{
    bool texts =
        kp_expr_casts(expr) && kp_type_info(expr->type.id)->string != kp_type_info(expr->args[0]->type.id)->string;
    *(uint32_t *)arg += kp_expr_calls(expr) + texts;
    return true;
}

/* What cannot fail comes first, then what calls less, as in PostgreSQL: a condition may keep a row from another that it
 * would make fail, wherever they are written. */
static uint32_t condition_rank(const struct kp_expr *condition)
{
    uint32_t calls = 0;
    if (condition->can_fail)
        kp_expr_walk(condition, count_call, &calls);
    return condition->can_fail ? 1 + calls : 0;
}

static struct kp_expr *condition_list(struct binder *binder, struct kp_expr *first)
{
    enum { ROOM = 8 };
    struct kp_expr *list = kp_bind_new(binder, KP_EXPR_AND, KP_TYPE(KP_BOOL), -1, ROOM);
    list->list.conditions = true;
    list->list.cap = ROOM;
    list->args[0] = first;
    list->arg_count = 1;
    kp_expr_settle(list);
    return list;
}

struct kp_expr *kp_conditions_add(struct binder *binder, struct kp_expr *list, struct kp_expr *condition)
{
    if (condition->kind == KP_EXPR_AND) {
        for (uint32_t i = 0; i < condition->arg_count; i++)
            list = kp_conditions_add(binder, list, condition->args[i]);
        return list;
    }
    if (!list)
        return condition;
    if (list->kind != KP_EXPR_AND)
        list = condition_list(binder, list);
    KP_ASSERT(list->list.conditions);
    if (list->arg_count == list->list.cap) {
        struct kp_expr **more = kp_arena_alloc(binder->arena, 2 * (size_t)list->list.cap * sizeof *more);
        memcpy(more, list->args, list->arg_count * sizeof *more);
        list->args = more;
        list->list.cap *= 2;
    }
    uint32_t rank = condition_rank(condition), at = list->arg_count++;
    for (; at && condition_rank(list->args[at - 1]) > rank; at--)
        list->args[at] = list->args[at - 1];
    list->args[at] = condition;
    list->can_fail |= condition->can_fail;
    list->stable |= condition->stable;
    return list;
}

static struct kp_expr *remap_node(const struct kp_expr *expr, struct kp_arena *arena, void *arg)
{
    const uint32_t *map = arg;
    if (expr->kind != KP_EXPR_COLUMN || expr->column >= KP_SET_BASE)
        return NULL;
    struct kp_expr *copy = kp_arena_alloc(arena, sizeof *copy);
    *copy = *expr;
    copy->column = map[expr->column];
    return copy;
}

struct kp_expr *kp_expr_remap(struct binder *binder, const struct kp_expr *expr, const uint32_t *map)
{
    return kp_expr_copy(expr, binder->arena, remap_node, (void *)map);
}

struct range {
    uint32_t min, max;
    bool any;
};

static bool note_column(const struct kp_expr *expr, void *arg)
{
    struct range *range = arg;
    if (expr->kind == KP_EXPR_COLUMN && !kp_is_outer(expr->column)) {
        range->min = range->any ? KP_MIN(range->min, expr->column) : expr->column;
        range->max = range->any ? KP_MAX(range->max, expr->column) : expr->column;
        range->any = true;
    }
    return true;
}

bool kp_expr_column_range(const struct kp_expr *expr, uint32_t *ret_min, uint32_t *ret_max)
{
    struct range range = {0};
    kp_expr_walk(expr, note_column, &range);
    *ret_min = range.min;
    *ret_max = range.max;
    return range.any;
}

/* column - shift: from a join's numbering to its right side's. */
static struct kp_expr *shift_down(struct binder *binder, const struct kp_expr *expr, uint32_t shift, uint32_t cols)
{
    uint32_t *map = kp_arena_alloc(binder->arena, (shift + cols) * sizeof *map);
    for (uint32_t i = 0; i < cols; i++)
        map[shift + i] = i;
    return kp_expr_remap(binder, expr, map);
}

struct kp_plan *kp_bind_join(struct binder *binder, enum kp_join_kind kind, struct kp_plan *left, struct kp_plan *right)
{
    bool both = kind != KP_JOIN_SEMI && kind != KP_JOIN_ANTI;
    struct kp_plan *plan =
        kp_bind_node(binder, KP_PLAN_JOIN, right->location, left->col_count + (both ? right->col_count : 0), 2);
    plan->inputs[0] = left;
    plan->inputs[1] = right;
    plan->join.kind = kind;
    memcpy(plan->cols, left->cols, left->col_count * sizeof *plan->cols);
    if (both)
        memcpy(plan->cols + left->col_count, right->cols, right->col_count * sizeof *plan->cols);
    for (uint32_t i = 0; i < plan->col_count; i++) {
        bool of_left = i < left->col_count;
        if (kind == KP_JOIN_FULL || (kind == KP_JOIN_LEFT && !of_left) || (kind == KP_JOIN_RIGHT && of_left))
            plan->cols[i].not_null = false;
    }
    return plan;
}

enum side { SIDE_NONE, SIDE_LEFT, SIDE_RIGHT, SIDE_BOTH };

static enum side side_of(const struct kp_plan *join, const struct kp_expr *expr)
{
    uint32_t min, max, left = join->inputs[0]->col_count;
    if (!kp_expr_column_range(expr, &min, &max))
        return SIDE_NONE;
    return max < left ? SIDE_LEFT : min >= left ? SIDE_RIGHT : SIDE_BOTH;
}

static bool is_equality(const struct kp_expr *expr)
{
    return expr->kind == KP_EXPR_CALL && expr->func->kind == KP_FUNC_OPERATOR && expr->arg_count == 2 &&
           strcmp(expr->func->name, "=") == 0;
}

/* right: over the right side's columns */
static void add_key(struct binder *binder, struct kp_plan *join, const struct kp_func *equal, struct kp_expr *left,
                    struct kp_expr *right, bool nulls)
{
    uint32_t count = join->join.key_count;
    struct kp_expr **left_keys = kp_arena_alloc(binder->arena, (count + 1) * sizeof *left_keys);
    struct kp_expr **right_keys = kp_arena_alloc(binder->arena, (count + 1) * sizeof *right_keys);
    const struct kp_func **equals = kp_arena_alloc(binder->arena, (count + 1) * sizeof *equals);
    if (count) {
        memcpy(left_keys, join->join.left_keys, count * sizeof *left_keys);
        memcpy(right_keys, join->join.right_keys, count * sizeof *right_keys);
        memcpy(equals, join->join.key_equals, count * sizeof *equals);
    }
    left_keys[count] = left;
    right_keys[count] = right;
    equals[count] = equal;
    if (nulls || join->join.key_nulls) {
        bool *key_nulls = kp_arena_calloc(binder->arena, (count + 1) * sizeof *key_nulls);
        if (count && join->join.key_nulls)
            memcpy(key_nulls, join->join.key_nulls, count * sizeof *key_nulls);
        key_nulls[count] = nulls;
        join->join.key_nulls = key_nulls;
    }
    join->join.left_keys = left_keys;
    join->join.right_keys = right_keys;
    join->join.key_equals = equals;
    join->join.key_count = count + 1;
}

static struct kp_expr *to_right(struct binder *binder, const struct kp_plan *join, const struct kp_expr *expr)
{
    return shift_down(binder, expr, join->inputs[0]->col_count, join->inputs[1]->col_count);
}

/*
 * Keys are compared by hash and equality of one type on both sides; int4 = int8 has two, so the narrower side is cast.
 */
static bool same_key_types(struct binder *binder, struct kp_expr **left, struct kp_expr **right)
{
    if ((*left)->type.id == (*right)->type.id)
        return true;
    bool widen_left = kp_can_coerce((*left)->type.id, (*right)->type.id, COERCE_IMPLICIT);
    bool widen_right = kp_can_coerce((*right)->type.id, (*left)->type.id, COERCE_IMPLICIT);
    struct kp_error ignored, *err = binder->err;
    binder->err = &ignored;
    enum kp_code code = KP_INVALID;
    if (widen_left)
        code = kp_bind_coerce(binder, *left, KP_TYPE((*right)->type.id), COERCE_IMPLICIT, left);
    else if (widen_right)
        code = kp_bind_coerce(binder, *right, KP_TYPE((*left)->type.id), COERCE_IMPLICIT, right);
    binder->err = err;
    return code == KP_OK;
}

static bool try_key(struct binder *binder, struct kp_plan *join, const struct kp_expr *condition)
{
    if (!is_equality(condition) || (condition->can_fail && join->join.key_count))
        return false;
    struct kp_expr *a = condition->args[0], *b = condition->args[1];
    enum side a_side = side_of(join, a), b_side = side_of(join, b);
    if (a_side == SIDE_RIGHT && b_side == SIDE_LEFT) {
        struct kp_expr *swap = a;
        a = b;
        b = swap;
    } else if (a_side != SIDE_LEFT || b_side != SIDE_RIGHT) {
        return false;
    }
    if (!same_key_types(binder, &a, &b))
        return false;
    /* The function must compare the key's type now. */
    struct kp_expr *equal;
    if (a->type.id != condition->func->args[0] || b->type.id != condition->func->args[1]) {
        struct kp_error ignored, *err = binder->err;
        binder->err = &ignored;
        enum kp_code code = kp_bind_operator(binder, "=", a, b, condition->location, &equal);
        binder->err = err;
        if (code != KP_OK || equal->kind != KP_EXPR_CALL)
            return false;
        add_key(binder, join, equal->func, equal->args[0], to_right(binder, join, equal->args[1]), false);
        return true;
    }
    add_key(binder, join, condition->func, a, to_right(binder, join, b), false);
    return true;
}

/* What a query further out has may be NULL for all that is known here. */
static bool may_be_null(const struct kp_expr *expr, const struct kp_plan *plan)
{
    return expr->kind != KP_EXPR_COLUMN || expr->column >= plan->col_count || !plan->cols[expr->column].not_null;
}

void kp_join_same(struct binder *binder, struct kp_plan *join, struct kp_expr *left, struct kp_expr *right)
{
    struct kp_expr *equal;
    struct kp_error ignored, *err = binder->err;
    binder->err = &ignored;
    enum kp_code code = kp_bind_operator(binder, "=", left, right, -1, &equal);
    binder->err = err;
    KP_ASSERT(code == KP_OK && equal->kind == KP_EXPR_CALL); /* of one type that has an order */
    bool left_null = may_be_null(left, join->inputs[0]), right_null = may_be_null(right, join->inputs[1]);
    add_key(binder, join, equal->func, equal->args[0], equal->args[1], left_null && right_null);
}

void kp_join_condition(struct binder *binder, struct kp_plan *join, struct kp_expr *condition)
{
    enum side side = side_of(join, condition);
    enum kp_join_kind kind = join->join.kind;
    bool left_may = kind == KP_JOIN_INNER || kind == KP_JOIN_RIGHT || kind == KP_JOIN_SEMI;
    bool right_may = kind == KP_JOIN_INNER || kind == KP_JOIN_LEFT || kind == KP_JOIN_SEMI || kind == KP_JOIN_ANTI;
    if (side == SIDE_LEFT && left_may && !condition->can_fail) {
        join->inputs[0] = kp_push_predicate(binder, join->inputs[0], condition);
    } else if (side == SIDE_RIGHT && right_may && !condition->can_fail) {
        struct kp_expr *there = shift_down(binder, condition, join->inputs[0]->col_count, join->inputs[1]->col_count);
        join->inputs[1] = kp_push_predicate(binder, join->inputs[1], there);
    } else if (side != SIDE_BOTH || !try_key(binder, join, condition)) {
        join->join.residual = kp_conditions_add(binder, join->join.residual, condition);
    }
}

/* ---- pushing through nodes ---- */

static struct kp_expr *substitute_node(const struct kp_expr *expr, struct kp_arena *arena, void *arg)
{
    struct kp_expr *const *exprs = arg;
    return expr->kind == KP_EXPR_COLUMN && expr->column < KP_SET_BASE ? exprs[expr->column] : NULL;
}

struct cheap {
    struct kp_expr *const *exprs;
    uint32_t count;
};

/* All columns it reads are ones whose expression may be computed earlier and twice. */
static bool reads_cheap(const struct kp_expr *expr, void *arg)
{
    const struct cheap *cheap = arg;
    if (expr->kind != KP_EXPR_COLUMN || kp_is_outer(expr->column))
        return true;
    if (expr->column >= cheap->count)
        return false;
    const struct kp_expr *made_by = cheap->exprs[expr->column];
    return made_by->kind == KP_EXPR_COLUMN || made_by->kind == KP_EXPR_CONST || !made_by->can_fail;
}

static struct kp_plan *push_below(struct binder *binder, struct kp_plan *plan, const struct kp_expr *predicate,
                                  struct kp_expr *const *exprs, uint32_t count)
{
    struct cheap cheap = {exprs, count};
    if (!kp_expr_walk(predicate, reads_cheap, &cheap))
        return NULL;
    struct kp_expr *below = kp_expr_copy(predicate, binder->arena, substitute_node, (void *)exprs);
    plan->inputs[0] = kp_push_predicate(binder, plan->inputs[0], below);
    return plan;
}

static bool reads_partition(const struct kp_expr *expr, void *arg)
{
    const struct kp_plan *plan = arg;
    if (expr->kind != KP_EXPR_COLUMN || kp_is_outer(expr->column))
        return true;
    for (uint32_t i = 0; i < plan->over.partition_count; i++)
        if (plan->over.partitions[i] == expr->column)
            return true;
    return false;
}

static bool reads_session_key(const struct kp_expr *expr, void *arg)
{
    const struct kp_plan *plan = arg;
    if (expr->kind != KP_EXPR_COLUMN || kp_is_outer(expr->column))
        return true;
    for (uint32_t i = 0; i < plan->window.key_count; i++)
        if (plan->window.keys[i] == expr->column)
            return true;
    return false;
}

static struct kp_plan *push_into_join(struct binder *binder, struct kp_plan *plan, struct kp_expr *predicate)
{
    enum side side = side_of(plan, predicate);
    if (side != SIDE_LEFT && side != SIDE_RIGHT && kp_expr_reads_now(predicate))
        return NULL; /* a join looks at its rows when they come, not when the time has come */
    if (plan->join.kind == KP_JOIN_INNER && (side == SIDE_BOTH || !predicate->can_fail)) {
        kp_join_condition(binder, plan, predicate);
        return plan;
    }
    bool keeps_left =
        plan->join.kind == KP_JOIN_LEFT || plan->join.kind == KP_JOIN_SEMI || plan->join.kind == KP_JOIN_ANTI;
    if (keeps_left && side == SIDE_LEFT && !predicate->can_fail) {
        plan->inputs[0] = kp_push_predicate(binder, plan->inputs[0], predicate);
        return plan;
    }
    return NULL;
}

static struct kp_plan *push_into_union(struct binder *binder, struct kp_plan *plan, const struct kp_expr *predicate)
{
    for (uint32_t i = 0; i < plan->input_count; i++)
        plan->inputs[i] =
            kp_push_predicate(binder, plan->inputs[i], kp_expr_copy(predicate, binder->arena, NULL, NULL));
    return plan;
}

struct kp_plan *kp_push_predicate(struct binder *binder, struct kp_plan *plan, struct kp_expr *predicate)
{
    uint32_t min, max;
    bool reads = kp_expr_column_range(predicate, &min, &max);
    struct kp_plan *pushed = NULL;
    switch (plan->kind) {
    case KP_PLAN_PROJECT:
        pushed = push_below(binder, plan, predicate, plan->project.exprs, plan->col_count);
        break;
    case KP_PLAN_AGGREGATE:
        if (reads && !predicate->can_fail)
            pushed = push_below(binder, plan, predicate, plan->aggregate.groups, plan->aggregate.group_count);
        break;
    case KP_PLAN_WINDOW: /* a session's gaps depend on all rows of its key */
        if (reads && max < plan->inputs[0]->col_count && !predicate->can_fail &&
            (plan->window.kind != KP_WINDOW_SESSION || kp_expr_walk(predicate, reads_session_key, plan))) {
            plan->inputs[0] = kp_push_predicate(binder, plan->inputs[0], predicate);
            pushed = plan;
        }
        break;
    case KP_PLAN_JOIN:
        pushed = push_into_join(binder, plan, predicate);
        break;
    case KP_PLAN_ASOF:
        if (reads && max < plan->inputs[0]->col_count && !predicate->can_fail) {
            plan->inputs[0] = kp_push_predicate(binder, plan->inputs[0], predicate);
            pushed = plan;
        }
        break;
    case KP_PLAN_UNION:
        pushed = push_into_union(binder, plan, predicate);
        break;
    case KP_PLAN_OVER: /* whole partitions may go */
        if (!predicate->can_fail && reads && kp_expr_walk(predicate, reads_partition, plan)) {
            plan->inputs[0] = kp_push_predicate(binder, plan->inputs[0], predicate);
            pushed = plan;
        }
        break;
    case KP_PLAN_EXPAND: /* what the functions read alone goes below them */
        if (!predicate->can_fail && reads && max < plan->inputs[0]->col_count) {
            plan->inputs[0] = kp_push_predicate(binder, plan->inputs[0], predicate);
            pushed = plan;
        }
        break;
    case KP_PLAN_REPEAT:
        if (!predicate->can_fail) {
            plan->inputs[0] = kp_push_predicate(binder, plan->inputs[0], predicate);
            pushed = plan;
        }
        break;
    case KP_PLAN_FILTER:
        if (!predicate->can_fail) {
            struct kp_plan *input = plan->inputs[0], *below = kp_push_predicate(binder, input, predicate);
            bool went = below->kind != KP_PLAN_FILTER || below->inputs[0] != input;
            if (went) { /* else one filter, in the order written */
                plan->inputs[0] = below;
                pushed = plan;
            }
        }
        break;
    default:
        break;
    }
    return pushed ? pushed : kp_bind_filter(binder, plan, predicate);
}

struct kp_plan *kp_push_all(struct binder *binder, struct kp_plan *plan, const struct conjuncts *list)
{
    for (uint32_t i = 0; i < list->count; i++)
        plan = kp_push_predicate(binder, plan, list->exprs[i]);
    return plan;
}
