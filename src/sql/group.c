/*
 * GROUP BY. Expressions of the select list, HAVING and ORDER BY are bound over the input first; then each is rewritten
 * to stand above the aggregate: a part that equals a group is that group's column, an aggregate is its column, and a
 * column of the input that is left over is error 42803.
 */
#include "sql/bind.h"
#include "vec/made.h"

static enum kp_code position_group(struct binder *binder, const PgQuery__AConst *node, const struct targets *targets,
                                   struct kp_expr **ret_expr)
{
    int32_t position = node->ival->ival;
    if (position < 1 || (uint32_t)position > targets->count)
        return kp_bind_fail(binder, node->location, KP_INVALID, "42P10", "GROUP BY position %d is not in select list",
                            position);
    *ret_expr = targets->items[position - 1].expr;
    return KP_OK;
}

/* What may not be in a group: values that are there only when the groups are. */
struct later {
    const struct kp_expr *aggregate, *over; /* the first; NULL: none */
};

static bool note_later(const struct kp_expr *expr, void *arg)
{
    struct later *later = arg;
    if (expr->kind != KP_EXPR_COLUMN)
        return true;
    bool grouping = expr->column >= KP_GROUPING_BASE && expr->column < KP_SET_BASE;
    if (!later->over && expr->column >= KP_OVER_BASE)
        later->over = expr;
    if (!later->aggregate && (grouping || (expr->column >= KP_AGG_BASE && expr->column < KP_OVER_BASE)))
        later->aggregate = expr;
    return true;
}

static enum kp_code check_group(struct binder *binder, const struct kp_expr *group)
{
    struct later later = {NULL, NULL};
    (void)kp_expr_walk(group, note_later, &later);
    if (later.aggregate)
        return kp_bind_fail(binder, later.aggregate->location, KP_INVALID, "42803",
                            "aggregate functions are not allowed in GROUP BY");
    return later.over ? kp_bind_fail(binder, later.over->location, KP_INVALID, "42P20",
                                     "window functions are not allowed in GROUP BY")
                      : KP_OK;
}

/* A bare name: the input's column first, else an output column's name. */
static bool output_name(const PgQuery__Node *node, const struct expr_place *place, const struct targets *targets,
                        struct kp_expr **ret_expr)
{
    if (node->node_case != PG_QUERY__NODE__NODE_COLUMN_REF || node->column_ref->n_fields != 1 ||
        node->column_ref->fields[0]->node_case != PG_QUERY__NODE__NODE_STRING)
        return false;
    const char *name = node->column_ref->fields[0]->string->sval;
    bool ambiguous;
    if (kp_scope_lookup(place->scope, NULL, name, &ambiguous))
        return false;
    for (uint32_t i = 0; i < targets->count; i++) {
        if (strcmp(targets->items[i].name, name) == 0) {
            *ret_expr = targets->items[i].expr;
            return true;
        }
    }
    return false;
}

static enum kp_code bind_group(struct binder *binder, const PgQuery__Node *node, const struct expr_place *place,
                               const struct targets *targets, struct kp_expr **ret_expr)
{
    if (node->node_case == PG_QUERY__NODE__NODE_A_CONST && node->a_const->val_case == PG_QUERY__A__CONST__VAL_IVAL)
        KP_TRY(position_group(binder, node->a_const, targets, ret_expr));
    else if (node->node_case == PG_QUERY__NODE__NODE_A_CONST)
        return kp_bind_fail(binder, kp_tree_location(node), KP_INVALID, "42601", "non-integer constant in GROUP BY");
    else if (!output_name(node, place, targets, ret_expr))
        KP_TRY(kp_bind_expr(binder, place, node, ret_expr));
    KP_TRY(check_group(binder, *ret_expr));
    KP_TRY(kp_bind_settle_unknown(binder, *ret_expr, ret_expr));
    return kp_bind_must_compare(binder, (*ret_expr)->type.id, "equality", kp_tree_location(node));
}

static uint32_t keep_group(struct binder *binder, struct grouping *grouping, struct kp_expr *group)
{
    for (uint32_t g = 0; g < grouping->count; g++)
        if (kp_expr_equal(grouping->groups[g], group))
            return g;
    if (grouping->count == grouping->cap) {
        grouping->cap = grouping->cap ? grouping->cap * 2 : 8;
        struct kp_expr **more = kp_arena_alloc(binder->arena, grouping->cap * sizeof *more);
        if (grouping->count)
            memcpy(more, grouping->groups, grouping->count * sizeof *more);
        grouping->groups = more;
    }
    grouping->groups[grouping->count] = group;
    return grouping->count++;
}

/* ---- GROUPING SETS, ROLLUP, CUBE: sets of groups as bits ---- */

enum { SETS_MAX = 4096, SET_GROUPS_MAX = 64, CUBE_MAX = 12 };

struct sets {
    uint64_t *masks;
    uint32_t count, cap;
};

struct grouper {
    struct binder *binder;
    const struct expr_place *place;
    const struct targets *targets;
    struct grouping *grouping;
};

static enum kp_code add_set(struct grouper *grouper, struct sets *sets, uint64_t mask)
{
    if (sets->count == SETS_MAX)
        return kp_bind_fail(grouper->binder, -1, KP_LIMIT, "54001", "too many grouping sets present (maximum %d)",
                            SETS_MAX);
    if (sets->count == sets->cap) {
        sets->cap = sets->cap ? sets->cap * 2 : 8;
        uint64_t *more = kp_arena_alloc(grouper->binder->arena, sets->cap * sizeof *more);
        if (sets->count)
            memcpy(more, sets->masks, sets->count * sizeof *more);
        sets->masks = more;
    }
    sets->masks[sets->count++] = mask;
    return KP_OK;
}

/* To PostgreSQL two positions with equal expressions are two groups, which are NULL apart; here they would be one. */
static enum kp_code check_position(const struct grouper *grouper, const PgQuery__Node *node,
                                   const struct kp_expr *group)
{
    uint32_t same = 0;
    for (uint32_t i = 0; node->node_case == PG_QUERY__NODE__NODE_A_CONST && i < grouper->targets->count; i++)
        same += kp_expr_equal(grouper->targets->items[i].expr, group);
    if (same < 2)
        return KP_OK;
    return kp_bind_fail(
        grouper->binder, kp_tree_location(node), KP_UNSUPPORTED, NULL,
        "a grouping set by the position of an expression that is twice in the select list is not supported");
}

/* The bits of an expression, or of all in (a, b). */
static enum kp_code mask_of(struct grouper *grouper, const PgQuery__Node *node, uint64_t *ret_mask)
{
    bool row = node->node_case == PG_QUERY__NODE__NODE_ROW_EXPR;
    size_t count = row ? node->row_expr->n_args : 1;
    *ret_mask = 0;
    for (size_t i = 0; i < count; i++) {
        struct kp_expr *group;
        const PgQuery__Node *item = row ? node->row_expr->args[i] : node;
        KP_TRY(bind_group(grouper->binder, item, grouper->place, grouper->targets, &group));
        KP_TRY(check_position(grouper, item, group));
        uint32_t at = keep_group(grouper->binder, grouper->grouping, group);
        if (at >= SET_GROUPS_MAX)
            return kp_bind_fail(grouper->binder, kp_tree_location(node), KP_LIMIT, "54001",
                                "grouping sets take at most %d expressions", SET_GROUPS_MAX);
        *ret_mask |= (uint64_t)1 << at;
    }
    return KP_OK;
}

static enum kp_code sets_of(struct grouper *grouper, const PgQuery__Node *node, struct sets *sets)
{
    uint64_t masks[SET_GROUPS_MAX], all = 0;
    if (node->node_case != PG_QUERY__NODE__NODE_GROUPING_SET) {
        KP_TRY(mask_of(grouper, node, &all));
        return add_set(grouper, sets, all);
    }
    const PgQuery__GroupingSet *set = node->grouping_set;
    if (set->kind == PG_QUERY__GROUPING_SET_KIND__GROUPING_SET_SETS) {
        for (size_t i = 0; i < set->n_content; i++)
            KP_TRY(sets_of(grouper, set->content[i], sets));
        return KP_OK;
    }
    bool cube = set->kind == PG_QUERY__GROUPING_SET_KIND__GROUPING_SET_CUBE;
    if (set->n_content > (cube ? (size_t)CUBE_MAX : (size_t)SET_GROUPS_MAX))
        return kp_bind_fail(grouper->binder, set->location, KP_LIMIT, "54011", "CUBE is limited to %d elements",
                            CUBE_MAX);
    for (size_t i = 0; i < set->n_content; i++) {
        KP_TRY(mask_of(grouper, set->content[i], &masks[i]));
        all |= masks[i];
    }
    if (cube) {
        for (uint32_t some = (1u << set->n_content); some-- > 0;) {
            uint64_t mask = 0;
            for (size_t i = 0; i < set->n_content; i++)
                mask |= some >> i & 1 ? masks[i] : 0;
            KP_TRY(add_set(grouper, sets, mask));
        }
        return KP_OK;
    }
    if (set->kind != PG_QUERY__GROUPING_SET_KIND__GROUPING_SET_ROLLUP)
        return add_set(grouper, sets, all);
    for (size_t n = set->n_content + 1; n-- > 0;) {
        uint64_t mask = 0;
        for (size_t i = 0; i < n; i++)
            mask |= masks[i];
        KP_TRY(add_set(grouper, sets, mask));
    }
    return KP_OK;
}

/* GROUP BY a, (b, c): a list of expressions, whose parentheses mean nothing. ROW(b, c) is one. */
static enum kp_code bind_plain_group(struct grouper *grouper, const PgQuery__Node *node)
{
    if (node->node_case == PG_QUERY__NODE__NODE_ROW_EXPR &&
        node->row_expr->row_format == PG_QUERY__COERCION_FORM__COERCE_IMPLICIT_CAST) {
        for (size_t i = 0; i < node->row_expr->n_args; i++)
            KP_TRY(bind_plain_group(grouper, node->row_expr->args[i]));
        return KP_OK;
    }
    struct kp_expr *group;
    KP_TRY(bind_group(grouper->binder, node, grouper->place, grouper->targets, &group));
    keep_group(grouper->binder, grouper->grouping, group);
    return KP_OK;
}

enum kp_code kp_bind_groups(struct binder *binder, const PgQuery__SelectStmt *select, const struct expr_place *place,
                            const struct targets *targets, struct grouping *grouping)
{
    struct expr_place inside = *place;
    struct grouper grouper = {binder, &inside, targets, grouping};
    struct sets all = {0};
    bool any = false;
    inside.aggs = NULL;
    inside.clause = "GROUP BY";
    for (size_t i = 0; i < select->n_group_clause; i++)
        any |= select->group_clause[i]->node_case == PG_QUERY__NODE__NODE_GROUPING_SET;
    for (size_t i = 0; !any && i < select->n_group_clause; i++)
        KP_TRY(bind_plain_group(&grouper, select->group_clause[i]));
    if (!any)
        return KP_OK;
    KP_TRY(add_set(&grouper, &all, 0));
    for (size_t i = 0; i < select->n_group_clause; i++) { /* each set of one item with each of the others' */
        struct sets item = {0}, both = {0};
        KP_TRY(sets_of(&grouper, select->group_clause[i], &item));
        for (uint32_t a = 0; a < all.count; a++)
            for (uint32_t b = 0; b < item.count; b++)
                KP_TRY(add_set(&grouper, &both, all.masks[a] | item.masks[b]));
        all = both;
    }
    if (select->group_distinct) { /* GROUP BY DISTINCT */
        uint32_t kept = 0;
        for (uint32_t a = 0; a < all.count; a++) {
            bool known = false;
            for (uint32_t b = 0; b < kept; b++)
                known |= all.masks[b] == all.masks[a];
            if (!known)
                all.masks[kept++] = all.masks[a];
        }
        all.count = kept;
    }
    grouping->sets = all.masks;
    grouping->set_count = all.count;
    return KP_OK;
}

/* ---- GROUPING() ---- */

enum { GROUPING_ARGS_MAX = 31 };

enum kp_code kp_bind_grouping(struct binder *binder, const struct expr_place *place, const PgQuery__GroupingFunc *func,
                              struct kp_expr **ret_expr)
{
    struct grouping_list *list = place->groupings;
    if (!list)
        return kp_bind_fail(binder, func->location, KP_INVALID, "42803", "grouping operations are not allowed in %s",
                            place->clause);
    if (func->n_args > GROUPING_ARGS_MAX)
        return kp_bind_fail(binder, func->location, KP_LIMIT, "54023", "GROUPING must have fewer than 32 arguments");
    struct expr_place inside = *place;
    inside.aggs = NULL;
    inside.overs = NULL;
    inside.groupings = NULL;
    struct grouping_call call = {.arg_count = (uint32_t)func->n_args, .location = func->location};
    call.args = kp_arena_calloc(binder->arena, (func->n_args + 1) * sizeof *call.args);
    for (size_t i = 0; i < func->n_args; i++)
        KP_TRY(kp_bind_expr(binder, &inside, func->args[i], &call.args[i]));
    if (list->count == list->cap) {
        list->cap = list->cap ? list->cap * 2 : 4;
        struct grouping_call *more = kp_arena_alloc(binder->arena, list->cap * sizeof *more);
        if (list->count)
            memcpy(more, list->items, list->count * sizeof *more);
        list->items = more;
    }
    list->items[list->count] = call;
    *ret_expr = kp_bind_column(binder, KP_GROUPING_BASE + list->count++, KP_TYPE(KP_INT4), func->location);
    return KP_OK;
}

/* Which group an argument is; grouping->count: none. */
static uint32_t group_of(const struct grouping *grouping, const struct kp_expr *arg)
{
    struct kp_expr *const *groups = grouping->written ? grouping->written : grouping->groups;
    uint32_t g = 0;
    while (g < grouping->count && !kp_expr_equal(groups[g], arg))
        g++;
    return g;
}

enum kp_code kp_bind_check_groupings(struct binder *binder, const struct grouping *grouping)
{
    for (uint32_t i = 0; i < grouping->calls->count; i++)
        for (uint32_t a = 0; a < grouping->calls->items[i].arg_count; a++)
            if (group_of(grouping, grouping->calls->items[i].args[a]) == grouping->count)
                return kp_bind_fail(binder, grouping->calls->items[i].args[a]->location, KP_INVALID, "42803",
                                    "arguments to GROUPING must be grouping expressions of the associated query level");
    return KP_OK;
}

/* Of the rows of one set. */
static struct kp_expr *grouping_value(struct binder *binder, const struct grouping *grouping,
                                      const struct grouping_call *call, uint64_t set)
{
    struct kp_expr *value = kp_bind_new(binder, KP_EXPR_CONST, KP_TYPE(KP_INT4), call->location, 0);
    value->datum.type = KP_TYPE(KP_INT4);
    for (uint32_t a = 0; a < call->arg_count; a++)
        value->datum.i32 = value->datum.i32 * 2 + !(set >> group_of(grouping, call->args[a]) & 1);
    kp_expr_settle(value);
    return value;
}

enum kp_code kp_bind_grouping_sets(struct binder *binder, struct kp_plan *input, const struct grouping *grouping,
                                   bool emit, struct kp_plan **ret_plan)
{
    uint32_t groups = grouping->count, aggs = grouping->aggs->count, count = groups + aggs + grouping->calls->count;
    struct kp_plan *all = kp_bind_node(binder, KP_PLAN_UNION, input->location, count, grouping->set_count);
    for (uint32_t s = 0; s < grouping->set_count; s++) {
        struct grouping set = *grouping;
        struct kp_expr **exprs = kp_arena_alloc(binder->arena, (count + 1) * sizeof *exprs);
        set.groups = kp_arena_alloc(binder->arena, (groups + 1) * sizeof(struct kp_expr *));
        set.count = 0;
        for (uint32_t g = 0; g < groups; g++) {
            bool in = grouping->sets[s] >> g & 1;
            exprs[g] = in ? kp_bind_column(binder, set.count, grouping->groups[g]->type, -1)
                          : kp_bind_null(binder, grouping->groups[g]->type);
            if (in)
                set.groups[set.count++] = grouping->groups[g];
        }
        struct kp_plan *plan = kp_plan_copy(kp_bind_aggregate_node(binder, input, &set), binder->arena);
        if (emit)
            KP_TRY(kp_bind_emit(binder, plan, &plan));
        for (uint32_t a = 0; a < aggs; a++)
            exprs[groups + a] = kp_bind_column(binder, set.count + a, plan->cols[set.count + a].type, -1);
        for (uint32_t i = 0; i < grouping->calls->count; i++)
            exprs[groups + aggs + i] = grouping_value(binder, grouping, &grouping->calls->items[i], grouping->sets[s]);
        all->inputs[s] = kp_bind_project(binder, plan, exprs, NULL, count);
    }
    for (uint32_t i = 0; i < count; i++) {
        all->cols[i] = all->inputs[0]->cols[i];
        all->cols[i].not_null &= i >= groups;
    }
    *ret_plan = all;
    return KP_OK;
}

/* ---- the order of rows within groups ---- */

static bool is_key(const struct kp_plan_agg *agg, const struct kp_expr *column)
{
    for (uint32_t k = agg->arg_count - agg->order_count; k < agg->arg_count; k++)
        if (kp_expr_equal(agg->args[k], column))
            return true;
    return false;
}

/* FROM's columns that differ within a group, as one value; one row holds so many only, and the last may be a row. */
static struct kp_expr *row_of(struct binder *binder, struct kp_expr **columns, uint32_t count)
{
    if (count > KP_COMPOSITE_FIELDS_MAX) {
        uint32_t last = KP_COMPOSITE_FIELDS_MAX - 1;
        columns[last] = row_of(binder, columns + last, count - last);
        count = KP_COMPOSITE_FIELDS_MAX;
    }
    return count == 1 ? columns[0] : kp_bind_row_of(binder, columns, count, -1);
}

/* Aggregates that see an order see equals in that of FROM's rows, one for all: so their elements belong together. */
static void order_by_row(struct binder *binder, const struct grouping *grouping, struct kp_plan_agg *agg)
{
    const struct scope *scope = grouping->scope;
    uint32_t count = 0, values = agg->arg_count - agg->order_count;
    struct kp_expr **columns = kp_arena_alloc(binder->arena, (scope->count + 1) * sizeof *columns);
    bool in_values = true; /* which decide last */
    for (uint32_t i = 0; i < scope->count; i++) {
        const struct scope_column *of = &scope->cols[i];
        struct kp_expr *column = kp_bind_column(binder, of->index, of->type, -1);
        bool same = of->hidden || is_key(agg, column);
        for (uint32_t g = 0; !same && !grouping->set_count && g < grouping->count; g++)
            same = kp_expr_equal(grouping->groups[g], column);
        if (same)
            continue;
        in_values &= count < values && kp_expr_equal(agg->args[count], column);
        columns[count++] = column;
    }
    if (in_values)
        return;
    agg->args[agg->arg_count++] = row_of(binder, columns, count);
    agg->orders[agg->order_count++] = (struct kp_agg_order){0};
    agg->row_last = true;
}

void kp_bind_order_in_groups(struct binder *binder, const struct grouping *grouping)
{
    for (uint32_t a = 0; a < grouping->aggs->count; a++) {
        struct kp_plan_agg *agg = &grouping->aggs->aggs[a];
        if (agg->agg->flags & KP_AGG_ORDERED && !agg->distinct) /* of DISTINCT no two values are equal */
            order_by_row(binder, grouping, agg);
    }
}

/* ---- columns that follow from a primary key in GROUP BY ---- */

struct dependents {
    struct binder *binder;
    const struct kp_plan *plan;
    struct grouping *grouping;
    uint32_t written; /* groups before */
};

/* The table of which both columns show one row, and as which of its columns the second; NULL: there is none. They are
 * traced side by side: a plan that is read twice is there once, and its rows are two. */
static const struct kp_relation *common_table(const struct kp_plan *plan, uint32_t first, uint32_t second,
                                              uint32_t *ret_second)
{
    for (;;) {
        const struct kp_plan *input = plan->input_count ? plan->inputs[0] : NULL;
        switch (plan->kind) {
        case KP_PLAN_FILTER:
            break;
        case KP_PLAN_OVER:
        case KP_PLAN_EXPAND:
        case KP_PLAN_WINDOW:
        case KP_PLAN_ASOF:
            if (KP_MAX(first, second) >= input->col_count)
                return NULL;
            break;
        case KP_PLAN_PROJECT: {
            const struct kp_expr *one = plan->project.exprs[first], *other = plan->project.exprs[second];
            if (one->kind != KP_EXPR_COLUMN || other->kind != KP_EXPR_COLUMN ||
                KP_MAX(one->column, other->column) >= KP_OUTER_BASE)
                return NULL;
            first = one->column;
            second = other->column;
            break;
        }
        case KP_PLAN_JOIN: {
            uint32_t left = input->col_count;
            bool right = first >= left;
            if (right != (second >= left))
                return NULL;
            first -= right ? left : 0;
            second -= right ? left : 0;
            input = plan->inputs[right];
            break;
        }
        case KP_PLAN_SCAN:
            *ret_second = plan->scan.columns[second];
            return plan->scan.relation->kind == KP_RELATION_TABLE ? plan->scan.relation : NULL;
        default:
            return NULL;
        }
        plan = input;
    }
}

/* The key of the column's table is among the groups. */
static bool key_is_grouped(const struct dependents *self, uint32_t column)
{
    uint32_t found = 0, count = 1, at; /* of the key's columns */
    for (uint32_t k = 0; k < count; k++)
        for (uint32_t g = 0; g < self->written; g++) {
            const struct kp_expr *group = self->grouping->groups[g];
            const struct kp_relation *table = NULL;
            if (group->kind == KP_EXPR_COLUMN && group->column < self->plan->col_count)
                table = common_table(self->plan, column, group->column, &at);
            if (!table)
                continue;
            count = table->key_count;
            if (k < count && table->keys[k] == at) {
                found++;
                break;
            }
        }
    return found && found == count;
}

static bool note_dependent(const struct kp_expr *expr, void *arg)
{
    struct dependents *self = arg;
    if (expr->kind == KP_EXPR_COLUMN && expr->column < self->plan->col_count && key_is_grouped(self, expr->column))
        keep_group(self->binder, self->grouping,
                   kp_bind_column(self->binder, expr->column, expr->type, expr->location));
    return true;
}

void kp_bind_dependent_groups(struct binder *binder, const struct kp_plan *plan, const struct kp_expr *expr,
                              struct grouping *grouping, uint32_t written)
{
    struct dependents self = {binder, plan, grouping, written};
    if (!grouping->set_count)
        kp_expr_walk(expr, note_dependent, &self);
}

struct above {
    struct binder *binder;
    const struct grouping *grouping;
    const struct kp_expr *stray; /* the first column that is in no group */
};

static struct kp_expr *rewrite(const struct kp_expr *expr, struct kp_arena *arena, void *arg)
{
    struct above *above = arg;
    const struct grouping *grouping = above->grouping;
    for (uint32_t g = 0; g < grouping->count; g++)
        if (kp_expr_equal(grouping->groups[g], expr) ||
            (grouping->written && kp_expr_equal(grouping->written[g], expr)))
            return kp_bind_column(above->binder, g, expr->type, expr->location);
    if (expr->kind != KP_EXPR_COLUMN)
        return NULL;
    if (expr->column >= KP_GROUPING_BASE && expr->column < KP_SET_BASE) {
        uint32_t call = expr->column - KP_GROUPING_BASE;
        if (!grouping->set_count) /* all groups are in the only set */
            return grouping_value(above->binder, grouping, &grouping->calls->items[call], UINT64_MAX);
        return kp_bind_column(above->binder, grouping->count + grouping->aggs->count + call, expr->type,
                              expr->location);
    }
    if (expr->column >= KP_OVER_BASE) /* its own expressions are rewritten apart */
        return NULL;
    if (expr->column >= KP_SET_BASE && expr->column < KP_AGG_BASE) /* of a query around, a subquery, a set */
        return NULL;
    if (expr->column >= KP_AGG_BASE)
        return kp_bind_column(above->binder, grouping->count + expr->column - KP_AGG_BASE, expr->type, expr->location);
    if (!above->stray)
        above->stray = expr;
    return NULL;
}

enum kp_code kp_bind_above_groups(struct binder *binder, const struct grouping *grouping, struct kp_expr *expr,
                                  struct kp_expr **ret_expr)
{
    struct above above = {binder, grouping, NULL};
    struct kp_expr *result = kp_expr_copy(expr, binder->arena, rewrite, &above);
    if (above.stray) {
        const char *relation = NULL, *name = "?";
        for (uint32_t i = 0; i < grouping->scope->count; i++) {
            if (grouping->scope->cols[i].index == above.stray->column) {
                relation = grouping->scope->cols[i].relation;
                name = grouping->scope->cols[i].name;
            }
        }
        return kp_bind_fail(binder, above.stray->location, KP_INVALID, "42803",
                            "column \"%s%s%s\" must appear in the GROUP BY clause or be used in an aggregate function",
                            relation ? relation : "", relation ? "." : "", name);
    }
    *ret_expr = result;
    return KP_OK;
}
