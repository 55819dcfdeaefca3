/*
 * FROM: relations, subqueries, CTEs, window functions and joins to a list of items whose columns are numbered through,
 * and conditions over them; then to one tree of joins.
 *
 * Inner joins, by comma or JOIN … ON, are one flat list. The tree is left-deep: it starts with the first item and takes
 * next the first that an equality connects to what is there, so that FROM a, b, c WHERE a.x = c.x AND c.y = b.y needs
 * no cross join. Outer joins are items of their own.
 */
#include "sql/bind.h"
#include "sql/on_subs.h"

/* <view>_errors. */
static struct kp_relation *find_errors(const struct kp_catalog *catalog, struct kp_str schema, const char *name)
{
    static const char suffix[] = "_errors";
    size_t len = strlen(name), end = sizeof suffix - 1;
    if (len <= end || strcmp(name + len - end, suffix) != 0)
        return NULL;
    struct kp_relation *view = kp_catalog_find(catalog, schema, (struct kp_str){name, len - end});
    return view ? view->errors : NULL;
}

enum kp_code kp_bind_relation(struct binder *binder, struct kp_name name, struct kp_relation **ret_relation)
{
    struct kp_str schema = name.schema ? kp_str(name.schema) : (struct kp_str){0};
    *ret_relation = kp_catalog_find(binder->context->catalog, schema, kp_str(name.name));
    if (!*ret_relation)
        *ret_relation = find_errors(binder->context->catalog, schema, name.name);
    if (*ret_relation)
        return kp_relation_check_failed(*ret_relation, binder->err);
    if (name.schema)
        kp_bind_fail(binder, name.location, KP_NOT_FOUND, "42P01", "relation \"%s.%s\" does not exist", name.schema,
                     name.name);
    else
        kp_bind_fail(binder, name.location, KP_NOT_FOUND, "42P01", "relation \"%s\" does not exist", name.name);
    const char *like;
    if (kp_catalog_suggest(binder->context->catalog, kp_str(name.name), &like, 1))
        kp_error_hint(binder->err, "Perhaps you meant \"%s\".", like);
    return KP_NOT_FOUND;
}

void kp_joins_add(struct binder *binder, struct query_joins *joins, struct kp_plan *item)
{
    if (joins->item_count == joins->item_cap) {
        joins->item_cap = joins->item_cap ? joins->item_cap * 2 : 4;
        struct kp_plan **more = kp_arena_alloc(binder->arena, joins->item_cap * sizeof *more);
        if (joins->item_count)
            memcpy(more, joins->items, joins->item_count * sizeof *more);
        joins->items = more;
    }
    joins->items[joins->item_count++] = item;
    joins->col_count += item->col_count;
}

/* ---- from a list to a tree ---- */

struct joiner {
    struct query_joins *joins;
    uint32_t *base; /* of each item: its first column in the order written */
    bool *used;     /* items in the tree */
    bool *applied;  /* conditions */
    uint32_t *map;  /* column as written → column of the tree so far; UINT32_MAX: not there yet */
};

static uint32_t item_of(const struct joiner *joiner, uint32_t column)
{
    uint32_t item = 0;
    while (item + 1 < joiner->joins->item_count && joiner->base[item + 1] <= column)
        item++;
    return item;
}

struct reach {
    const struct joiner *joiner;
    uint32_t candidate; /* an item allowed besides the used ones */
    bool touches_candidate, ok;
};

static bool note_reach(const struct kp_expr *expr, void *arg)
{
    struct reach *reach = arg;
    if (expr->kind == KP_EXPR_COLUMN && !kp_is_outer(expr->column)) {
        uint32_t item = item_of(reach->joiner, expr->column);
        reach->touches_candidate |= item == reach->candidate;
        reach->ok &= item == reach->candidate || reach->joiner->used[item];
    }
    return reach->ok;
}

/* An unapplied equality between the tree and the item. */
static bool connects(const struct joiner *joiner, uint32_t item)
{
    for (uint32_t i = 0; i < joiner->joins->conditions.count; i++) {
        const struct kp_expr *condition = joiner->joins->conditions.exprs[i];
        bool equality =
            condition->kind == KP_EXPR_CALL && condition->arg_count == 2 && strcmp(condition->func->name, "=") == 0;
        if (joiner->applied[i] || !equality)
            continue;
        for (uint32_t side = 0; side < 2; side++) { /* one side the item's alone, the other the tree's alone */
            struct reach one = {joiner, item, false, true}, other = {joiner, UINT32_MAX, false, true};
            uint32_t min, max;
            kp_expr_walk(condition->args[side], note_reach, &one);
            kp_expr_walk(condition->args[1 - side], note_reach, &other);
            bool alone = kp_expr_column_range(condition->args[side], &min, &max) && item_of(joiner, min) == item &&
                         item_of(joiner, max) == item;
            if (one.ok && one.touches_candidate && other.ok && alone &&
                kp_expr_column_range(condition->args[1 - side], &min, &max))
                return true;
        }
    }
    return false;
}

/* Applies every condition whose columns are all in the tree now. */
static struct kp_plan *apply(struct binder *binder, struct joiner *joiner, struct kp_plan *tree)
{
    for (uint32_t i = 0; i < joiner->joins->conditions.count; i++) {
        struct kp_expr *condition = joiner->joins->conditions.exprs[i];
        struct reach reach = {joiner, UINT32_MAX, false, true};
        if (joiner->applied[i] || !kp_expr_walk(condition, note_reach, &reach))
            continue;
        joiner->applied[i] = true;
        tree = kp_push_predicate(binder, tree, kp_expr_remap(binder, condition, joiner->map));
    }
    return tree;
}

static uint32_t next_item(const struct joiner *joiner)
{
    uint32_t first = UINT32_MAX;
    for (uint32_t i = 0; i < joiner->joins->item_count; i++) {
        if (joiner->used[i])
            continue;
        if (first == UINT32_MAX)
            first = i;
        if (connects(joiner, i))
            return i;
    }
    return first;
}

/* The columns back in the order written, if the tree has another. */
static struct kp_plan *restore_order(struct binder *binder, const struct joiner *joiner, struct kp_plan *tree)
{
    uint32_t count = joiner->joins->col_count;
    bool moved = false;
    for (uint32_t i = 0; i < count; i++)
        moved |= joiner->map[i] != i;
    if (!moved)
        return tree;
    struct kp_expr **exprs = kp_arena_alloc(binder->arena, count * sizeof *exprs);
    for (uint32_t i = 0; i < count; i++)
        exprs[i] = kp_bind_column(binder, joiner->map[i], tree->cols[joiner->map[i]].type, -1);
    return kp_bind_project(binder, tree, exprs, NULL, count);
}

static struct kp_plan *finish_inner(struct binder *binder, struct query_joins *joins)
{
    if (joins->item_count == 0) { /* SELECT without FROM: one row of no columns */
        struct kp_plan *row = kp_bind_node(binder, KP_PLAN_VALUES, -1, 0, 0);
        row->values.rows = 1;
        return kp_push_all(binder, row, &joins->conditions);
    }
    struct joiner joiner = {.joins = joins,
                            .base = kp_arena_calloc(binder->arena, joins->item_count * sizeof(uint32_t)),
                            .used = kp_arena_calloc(binder->arena, joins->item_count * sizeof(bool)),
                            .applied = kp_arena_calloc(binder->arena, joins->conditions.count * sizeof(bool)),
                            .map = kp_arena_alloc(binder->arena, (joins->col_count + 1) * sizeof(uint32_t))};
    for (uint32_t i = 1; i < joins->item_count; i++)
        joiner.base[i] = joiner.base[i - 1] + joins->items[i - 1]->col_count;
    struct kp_plan *tree = NULL;
    for (uint32_t taken = 0; taken < joins->item_count; taken++) {
        uint32_t item = tree ? next_item(&joiner) : 0;
        struct kp_plan *plan = joins->items[item];
        uint32_t first = tree ? tree->col_count : 0;
        for (uint32_t c = 0; c < plan->col_count; c++)
            joiner.map[joiner.base[item] + c] = first + c;
        joiner.used[item] = true;
        tree = tree ? kp_bind_join(binder, KP_JOIN_INNER, tree, plan) : plan;
        tree = apply(binder, &joiner, tree);
    }
    return restore_order(binder, &joiner, tree);
}

void kp_joins_collapse(struct binder *binder, struct query_joins *joins)
{
    struct kp_plan *plan = finish_inner(binder, joins);
    joins->items = kp_arena_alloc(binder->arena, sizeof(struct kp_plan *));
    joins->items[0] = plan;
    joins->item_count = joins->item_cap = 1;
    joins->conditions = (struct conjuncts){0};
}

enum kp_code kp_joins_finish(struct binder *binder, struct query_joins *joins, struct kp_plan **ret_plan)
{
    *ret_plan = finish_inner(binder, joins);
    return kp_subs_filter(binder, &joins->subs, &joins->late, ret_plan);
}

/* ---- conditions ---- */

struct shift {
    uint32_t base;
};

static struct kp_expr *from_base(const struct kp_expr *expr, struct kp_arena *arena, void *arg)
{
    const struct shift *shift = arg;
    if (expr->kind != KP_EXPR_COLUMN || expr->column >= KP_SET_BASE)
        return NULL;
    struct kp_expr *copy = kp_arena_alloc(arena, sizeof *copy);
    *copy = *expr;
    copy->column -= shift->base;
    return copy;
}

void kp_joins_condition(struct binder *binder, struct query_joins *joins, struct kp_expr *condition)
{
    struct conjuncts all = {0};
    struct shift shift = {joins->base};
    if (joins->base)
        condition = kp_expr_copy(condition, binder->arena, from_base, &shift);
    kp_conjuncts_add(binder, &all, condition);
    for (uint32_t i = 0; i < all.count; i++)
        kp_conjuncts_add(binder, kp_expr_reads_subs(all.exprs[i]) ? &joins->late : &joins->conditions, all.exprs[i]);
}

enum kp_code kp_bind_where(struct binder *binder, const struct expr_place *place, const PgQuery__Node *where,
                           struct query_joins *joins)
{
    if (where->node_case == PG_QUERY__NODE__NODE_BOOL_EXPR &&
        where->bool_expr->boolop == PG_QUERY__BOOL_EXPR_TYPE__AND_EXPR) {
        for (size_t i = 0; i < where->bool_expr->n_args; i++)
            KP_TRY(kp_bind_where(binder, place, where->bool_expr->args[i], joins));
        return KP_OK;
    }
    struct kp_expr *expr;
    bool now_allowed = binder->now_allowed;
    binder->now_allowed = true;
    enum kp_code code = kp_bind_expr(binder, place, where, &expr);
    binder->now_allowed = now_allowed;
    KP_TRY(code);
    KP_TRY(kp_bind_to_bool(binder, expr, "WHERE", &expr));
    KP_TRY(kp_bind_check_now(binder, expr));
    kp_joins_condition(binder, joins, expr);
    return KP_OK;
}

/* ---- items ---- */

static enum kp_code rename_columns(struct binder *binder, struct kp_plan *plan, const PgQuery__Alias *alias,
                                   int32_t location)
{
    if (!alias || alias->n_colnames == 0)
        return KP_OK;
    uint32_t count = plan->col_count;
    if (plan->kind == KP_PLAN_SCAN && count == plan->scan.relation->col_count)
        count -= plan->scan.relation->hidden_count;
    if (alias->n_colnames > count)
        return kp_bind_fail(binder, location, KP_INVALID, "42P10",
                            "table \"%s\" has %u columns available but %zu columns specified", alias->aliasname, count,
                            alias->n_colnames);
    for (size_t i = 0; i < alias->n_colnames; i++)
        plan->cols[i].name = alias->colnames[i]->string->sval;
    return KP_OK;
}

static enum kp_code check_alias(struct binder *binder, const struct scope *scope, const char *alias)
{
    for (uint32_t i = scope->names_from; alias && i < scope->count; i++)
        if (scope->cols[i].relation && strcmp(scope->cols[i].relation, alias) == 0)
            return kp_bind_fail(binder, -1, KP_INVALID, "42712", "table name \"%s\" specified more than once", alias);
    return KP_OK;
}

/* The relations of a join beside those that are there. */
static enum kp_code check_aliases(struct binder *binder, const struct scope *scope, const struct scope *join)
{
    const char *last = NULL;
    for (uint32_t i = 0; i < join->count; i++) {
        if (join->cols[i].relation != last)
            KP_TRY(check_alias(binder, scope, join->cols[i].relation));
        last = join->cols[i].relation;
    }
    return KP_OK;
}

/*
 * A LATERAL item: its level 1 is the FROM list that it stands in. Columns of that list behind joins->base are the ones
 * of the items before it in `joins`; those before base belong to the left side of the outer join around, and become
 * level 1 of what is returned.
 */
static struct kp_expr *part_lateral(const struct kp_expr *expr, struct kp_arena *arena, void *arg)
{
    const struct query_joins *joins = arg;
    if (expr->kind != KP_EXPR_COLUMN || !kp_is_outer(expr->column))
        return NULL;
    bool mine = kp_outer_level(expr->column) == 1 && kp_outer_column(expr->column) >= joins->base;
    struct kp_expr *copy = kp_arena_alloc(arena, sizeof *copy);
    *copy = *expr;
    copy->column = mine ? expr->column - joins->base : expr->column + KP_OUTER_LEVEL;
    return copy;
}

static enum kp_code add_lateral(struct binder *binder, struct kp_plan *plan, struct query_joins *joins)
{
    if (joins->base)
        kp_plan_replace(binder, plan, part_lateral, joins);
    if (!kp_plan_reads_level(plan, 1)) {
        kp_plan_shift_levels(binder, plan, 1, -1);
        kp_joins_add(binder, joins, plan);
        return KP_OK;
    }
    kp_joins_collapse(binder, joins);
    struct kp_plan *join;
    KP_TRY(kp_bind_lateral(binder, KP_JOIN_INNER, joins->items[0], plan, NULL, &join));
    joins->items[0] = join;
    joins->col_count = join->col_count;
    return KP_OK;
}

/* lateral: the plan's level 1 is this FROM list. */
static enum kp_code add_item(struct binder *binder, struct kp_plan *plan, const char *name, const PgQuery__Alias *alias,
                             int32_t location, bool lateral, struct query_joins *joins, struct scope *scope)
{
    const char *known_as = alias ? alias->aliasname : name;
    KP_TRY(check_alias(binder, scope, known_as));
    KP_TRY(rename_columns(binder, plan, alias, location));
    kp_scope_add_plan(binder, scope, known_as, plan, joins->base + joins->col_count);
    if (lateral)
        KP_TRY(add_lateral(binder, plan, joins));
    else
        kp_joins_add(binder, joins, plan);
    joins->never |= kp_plan_is_never(plan) || (plan->kind == KP_PLAN_SCAN && plan->scan.relation->never_rows);
    if (joins->col_count > KP_JOIN_COLUMNS_MAX)
        return kp_bind_fail(binder, location, KP_LIMIT, "54011", "joins can have at most %d columns",
                            KP_JOIN_COLUMNS_MAX);
    return KP_OK;
}

static enum kp_code bind_range_var(struct binder *binder, const PgQuery__RangeVar *range,
                                   const PgQuery__RangeTableSample *sample, struct query_joins *joins,
                                   struct scope *scope)
{
    struct kp_plan *plan;
    KP_TRY(kp_bind_check_nodes(binder, range->location));
    if (!range->schemaname[0]) {
        for (const struct cte *cte = binder->ctes; cte; cte = cte->next) {
            if (strcmp(cte->def->ctename, range->relname) != 0)
                continue;
            KP_TRY(kp_bind_cte(binder, (struct cte *)cte, range->location, &plan));
            joins->recursive |= cte->state == CTE_WORK;
            KP_TRY(kp_bind_no_system_time(binder, range));
            if (sample)
                return kp_bind_sample_refuse(binder, sample);
            KP_TRY(kp_bind_match(binder, range, &plan));
            return add_item(binder, plan, range->relname, range->alias, range->location, false, joins, scope);
        }
    }
    struct kp_relation *relation;
    struct kp_name name = {range->schemaname[0] ? range->schemaname : NULL, range->relname, range->location};
    KP_TRY(kp_bind_relation(binder, name, &relation));
    if (relation->kind == KP_RELATION_SINK)
        return kp_bind_fail(binder, range->location, KP_INVALID, "42809",
                            "\"%s\" is a sink: read its topic through a source", range->relname);
    if (binder->for_view && relation->kind == KP_RELATION_SYSTEM)
        return kp_bind_fail(binder, range->location, KP_UNSUPPORTED, NULL, "a view cannot read the system table \"%s\"",
                            range->relname);
    if (binder->for_view && relation->kind == KP_RELATION_SEQUENCE)
        return kp_bind_fail(binder, range->location, KP_UNSUPPORTED, NULL, "a view cannot read the sequence \"%s\"",
                            range->relname);
    if (relation->kind == KP_RELATION_PLAIN_VIEW)
        KP_TRY(kp_bind_plain_view(binder, relation, range->location, &plan));
    else
        plan = kp_bind_scan(binder, relation, range->location);
    KP_TRY(kp_bind_system_time(binder, range, &plan));
    if (sample)
        KP_TRY(kp_bind_sample(binder, sample, &plan));
    kp_plan_set_bases(binder, plan, relation);
    KP_TRY(kp_bind_match(binder, range, &plan));
    uint32_t first = scope->count;
    KP_TRY(add_item(binder, plan, range->relname, range->alias, range->location, false, joins, scope));
    for (uint32_t i = first; i < scope->count && !range->alias; i++)
        scope->cols[i].schema = relation->schema;
    return KP_OK;
}

static enum kp_code bind_subselect(struct binder *binder, const PgQuery__RangeSubselect *sub, struct query_joins *joins,
                                   struct scope *scope)
{
    struct kp_plan *plan;
    uint32_t count;
    const PgQuery__SelectStmt *select = sub->subquery->select_stmt;
    if (!sub->alias) {
        kp_bind_fail(binder, select->n_target_list ? select->target_list[0]->res_target->location : -1, KP_INVALID,
                     "42601", "subquery in FROM must have an alias");
        return kp_error_hint(binder->err, "For example, FROM (SELECT ...) [AS] foo.");
    }
    const struct scope *around = binder->around;
    if (sub->lateral)
        binder->around = scope;
    enum kp_code code = kp_bind_select(binder, select, false, &plan, &count);
    binder->around = around;
    KP_TRY(code);
    return add_item(binder, plan, NULL, sub->alias, -1, sub->lateral, joins, scope);
}

static enum kp_code bind_set_table(struct binder *binder, const PgQuery__RangeFunction *range,
                                   struct query_joins *joins, struct scope *scope)
{
    const char *name;
    bool scalar;
    struct kp_plan *plan;
    uint32_t at = joins->base + joins->col_count;
    KP_TRY(kp_bind_set_table(binder, range, scope, &name, &scalar, &plan));
    KP_TRY(add_item(binder, plan, name, range->alias, kp_tree_location(range->functions[0]->list->items[0]), true,
                    joins, scope));
    const char *known_as = range->alias ? range->alias->aliasname : name;
    scalar &= plan->col_count == 1 && !range->ordinality; /* it is its whole row, then */
    if (scalar && strcmp(known_as, plan->cols[0].name) != 0)
        kp_scope_add(binder, scope,
                     (struct scope_column){.name = known_as, .type = plan->cols[0].type, .hidden = true, .index = at});
    return KP_OK;
}

static enum kp_code bind_table_function(struct binder *binder, const PgQuery__RangeFunction *range,
                                        struct query_joins *joins, struct scope *scope)
{
    const PgQuery__Node *first = range->functions[0]->list->items[0];
    const char *schema = NULL, *name = "", *alias;
    struct kp_plan *plan;
    if (first->node_case == PG_QUERY__NODE__NODE_FUNC_CALL)
        name = kp_tree_name(first->func_call->funcname, first->func_call->n_funcname, &schema);
    bool diff = strcmp(name, "diff") == 0 && schema && strcmp(schema, "kappa") == 0;
    bool late = strcmp(name, "late") == 0 && !schema, window = kp_bind_is_window(name);
    if (!diff && !late && !window)
        return bind_set_table(binder, range, joins, scope);
    if (range->n_functions != 1 || range->is_rowsfrom || range->ordinality || range->n_coldeflist)
        return kp_bind_fail(binder, kp_tree_location(first), KP_UNSUPPORTED, NULL,
                            "%s() stands alone in FROM: not in ROWS FROM, and without ordinality", name);
    if (diff) {
        KP_TRY(kp_bind_diff(binder, first->func_call, &plan));
        alias = name;
    } else if (late) {
        KP_TRY(kp_bind_late(binder, first->func_call, &alias, &plan));
    } else {
        KP_TRY(kp_bind_window(binder, first->func_call, &alias, &plan));
    }
    return add_item(binder, plan, alias, range->alias, first->func_call->location, false, joins, scope);
}

static enum kp_code bind_item(struct binder *binder, const PgQuery__Node *node, struct query_joins *joins,
                              struct scope *scope);

/* ---- JOIN ---- */

/* A column of FULL JOIN … USING: the left side's, or where that has no row the right side's. */
struct merged {
    const char *name;
    struct kp_expr *value; /* COALESCE over the join's columns */
    struct merged *next;
};

struct sides {
    const struct scope *scope;
    uint32_t left_cols;    /* of the scope: those before are left's */
    uint32_t from;         /* first scope column of this join */
    struct merged *merged; /* FULL JOIN: the columns of USING, newest first */
    const char **names;    /* of USING or NATURAL */
    uint32_t name_count;
};

static const struct scope_column *using_column(const struct sides *sides, const char *name, bool left,
                                               bool *ret_ambiguous)
{
    struct scope part = {.cols = sides->scope->cols + (left ? sides->from : sides->left_cols),
                         .count = left ? sides->left_cols - sides->from : sides->scope->count - sides->left_cols};
    return kp_scope_lookup(&part, NULL, name, ret_ambiguous);
}

static enum kp_code merge_columns(struct binder *binder, struct sides *sides, const char *name,
                                  const struct scope_column *left, const struct scope_column *right)
{
    struct kp_expr *both[2] = {kp_bind_column(binder, left->index, left->type, -1),
                               kp_bind_column(binder, right->index, right->type, -1)};
    struct kp_type type;
    KP_TRY(kp_bind_common_type(binder, both, 2, "JOIN/USING", &type));
    struct merged *merged = kp_arena_calloc(binder->arena, sizeof *merged);
    merged->name = name;
    merged->value = kp_bind_new(binder, KP_EXPR_COALESCE, type, -1, 2);
    for (uint32_t i = 0; i < 2; i++)
        KP_TRY(kp_bind_coerce(binder, both[i], type, COERCE_IMPLICIT, &merged->value->args[i]));
    kp_expr_settle(merged->value);
    merged->next = sides->merged;
    sides->merged = merged;
    return KP_OK;
}

static enum kp_code bind_using(struct binder *binder, struct sides *sides, const char *name,
                               const PgQuery__JoinExpr *join, struct conjuncts *conditions)
{
    bool ambiguous_left, ambiguous_right;
    const struct scope_column *left = using_column(sides, name, true, &ambiguous_left);
    const struct scope_column *right = using_column(sides, name, false, &ambiguous_right);
    if (!left || !right)
        return kp_bind_fail(binder, -1, KP_NOT_FOUND, "42703",
                            "column \"%s\" specified in USING clause does not exist in %s table", name,
                            left ? "right" : "left");
    if (ambiguous_left || ambiguous_right)
        return kp_bind_fail(binder, -1, KP_INVALID, "42702",
                            "common column name \"%s\" appears more than once in %s table", name,
                            ambiguous_left ? "left" : "right");
    struct kp_expr *both[2] = {kp_bind_column(binder, left->index, left->type, -1),
                               kp_bind_column(binder, right->index, right->type, -1)};
    struct kp_expr *equal;
    struct kp_type common;
    KP_TRY(kp_bind_common_type(binder, both, 2, "JOIN/USING", &common));
    KP_TRY(kp_bind_operator(binder, "=", both[0], both[1], -1, &equal));
    kp_conjuncts_add(binder, conditions, equal);
    sides->names[sides->name_count++] = name;
    bool full = join->jointype == PG_QUERY__JOIN_TYPE__JOIN_FULL;
    bool keep_right = join->jointype == PG_QUERY__JOIN_TYPE__JOIN_RIGHT;
    if (full)
        KP_TRY(merge_columns(binder, sides, name, left, right));
    if (full || keep_right)
        ((struct scope_column *)left)->qualified_only = true;
    if (!keep_right)
        ((struct scope_column *)right)->qualified_only = true;
    return KP_OK;
}

/* ON, USING or NATURAL over the scope of both sides; subqueries of ON go to subs. */
static enum kp_code bind_join_quals(struct binder *binder, const PgQuery__JoinExpr *join, struct sides *sides,
                                    struct sub_list *subs, struct conjuncts *conditions)
{
    uint32_t left_count = sides->left_cols - sides->from;
    sides->names = kp_arena_alloc(binder->arena, (join->n_using_clause + left_count + 1) * sizeof *sides->names);
    if (join->is_natural) {
        const struct scope part = {.cols = sides->scope->cols, .count = sides->left_cols};
        const uint32_t *order = kp_scope_order(binder, &part, sides->from);
        for (uint32_t i = 0; i < left_count; i++) {
            bool ambiguous;
            const struct scope_column *left = &sides->scope->cols[order[i]];
            if (!left->hidden && !left->qualified_only && using_column(sides, left->name, false, &ambiguous))
                KP_TRY(bind_using(binder, sides, left->name, join, conditions));
        }
    }
    for (size_t i = 0; i < join->n_using_clause; i++)
        KP_TRY(bind_using(binder, sides, join->using_clause[i]->string->sval, join, conditions));
    if (join->quals) {
        struct scope own = {.cols = sides->scope->cols + sides->from,
                            .count = sides->scope->count - sides->from,
                            .outer = binder->around};
        struct expr_place place = {.scope = &own, .clause = "JOIN conditions", .subs = subs};
        struct kp_expr *quals;
        KP_TRY(kp_bind_expr(binder, &place, join->quals, &quals));
        KP_TRY(kp_bind_to_bool(binder, quals, "JOIN/ON", &quals));
        kp_conjuncts_add(binder, conditions, quals);
    }
    return KP_OK;
}

/* * shows the columns of USING first, as it names them; those of NATURAL as they are on its left. */
static void place_using(struct binder *binder, const struct sides *sides, struct scope *scope)
{
    uint32_t count = scope->count - sides->from, next = sides->from;
    const uint32_t *order = kp_scope_order(binder, scope, sides->from);
    bool *placed = kp_arena_calloc(binder->arena, (count + 1) * sizeof *placed);
    for (uint32_t n = 0; n < sides->name_count; n++)
        for (uint32_t i = 0; i < count; i++) {
            struct scope_column *column = &scope->cols[order[i]];
            if (column->qualified_only || column->hidden || strcmp(column->name, sides->names[n]) != 0)
                continue;
            column->place = next++;
            placed[i] = true;
        }
    for (uint32_t i = 0; i < count; i++)
        if (!placed[i])
            scope->cols[order[i]].place = next++;
}

/* JOIN … USING (…) AS alias: the merged columns by that name too. JOIN … AS alias (names): all columns are the alias's,
 * as * shows them, and have the names as far as there are some. */
static enum kp_code alias_join(struct binder *binder, const PgQuery__JoinExpr *join, struct scope *scope, uint32_t from)
{
    const PgQuery__Alias *alias = join->alias;
    uint32_t count = scope->count, visible = 0;
    if (join->join_using_alias)
        KP_TRY(check_alias(binder, scope, join->join_using_alias->aliasname));
    for (uint32_t i = from; join->join_using_alias && !alias && i < count; i++) { /* else it is behind the other */
        struct scope_column column = scope->cols[i];
        bool used = false;
        for (size_t k = 0; k < join->n_using_clause; k++)
            used |= strcmp(join->using_clause[k]->string->sval, column.name) == 0;
        if (!used || column.qualified_only || column.hidden)
            continue;
        column.schema = NULL;
        column.relation = join->join_using_alias->aliasname;
        column.of_join = column.qualified_only = true;
        kp_scope_add(binder, scope, column);
    }
    if (!alias)
        return KP_OK;
    const uint32_t *order = kp_scope_order(binder, scope, from);
    struct scope_column *cols = kp_arena_alloc(binder->arena, (count - from + 1) * sizeof *cols);
    for (uint32_t i = 0; i < count - from; i++) {
        cols[i] = scope->cols[order[i]];
        cols[i].schema = NULL;
        cols[i].relation = cols[i].qualified_only || cols[i].marks_row ? NULL : alias->aliasname;
        cols[i].of_join = true;
        if (cols[i].hidden || cols[i].qualified_only)
            continue;
        if (visible < alias->n_colnames)
            cols[i].name = alias->colnames[visible]->string->sval;
        visible++;
    }
    memcpy(scope->cols + from, cols, (count - from) * sizeof *cols); /* the alias's row has that order, too */
    if (alias->n_colnames > visible)
        return kp_bind_fail(binder, -1, KP_INVALID, "42P10",
                            "join expression \"%s\" has %u columns available but %zu columns specified",
                            alias->aliasname, visible, alias->n_colnames);
    return KP_OK;
}

/* An inner join's sides are items of the same list. */
static enum kp_code bind_inner(struct binder *binder, const PgQuery__JoinExpr *join, struct query_joins *joins,
                               struct scope *scope)
{
    uint32_t from = scope->count, names_from = scope->names_from;
    if (join->alias) /* names in it are its own */
        scope->names_from = from;
    KP_TRY(bind_item(binder, join->larg, joins, scope));
    struct sides sides = {.scope = scope, .left_cols = scope->count, .from = from};
    KP_TRY(bind_item(binder, join->rarg, joins, scope));
    struct conjuncts conditions = {0};
    KP_TRY(bind_join_quals(binder, join, &sides, &joins->subs, &conditions));
    for (uint32_t i = 0; i < conditions.count; i++)
        kp_joins_condition(binder, joins, conditions.exprs[i]);
    place_using(binder, &sides, scope);
    KP_TRY(alias_join(binder, join, scope, from));
    scope->names_from = names_from;
    if (!join->alias)
        return KP_OK;
    const struct scope others = {.cols = scope->cols, .count = from, .names_from = names_from};
    return check_alias(binder, &others, join->alias->aliasname);
}

static struct kp_expr *outer_from_base(const struct kp_expr *expr, struct kp_arena *arena, void *arg)
{
    const struct shift *shift = arg;
    if (expr->kind != KP_EXPR_COLUMN || !kp_is_outer(expr->column) || kp_outer_level(expr->column) != 1)
        return NULL;
    struct kp_expr *copy = kp_arena_alloc(arena, sizeof *copy);
    *copy = *expr;
    copy->column -= shift->base;
    return copy;
}

/* What subqueries of ON read of the side, whose columns begin at base for them, too. */
static void subs_from_base(struct binder *binder, struct query_joins *joins)
{
    struct shift shift = {joins->base};
    for (uint32_t i = 0; joins->base && i < joins->subs.count; i++) {
        struct sub *sub = &joins->subs.items[i];
        for (uint32_t t = 0; t < sub->test_count; t++)
            sub->tests[t] = kp_expr_copy(sub->tests[t], binder->arena, from_base, &shift);
        kp_plan_replace(binder, sub->plan, outer_from_base, &shift);
    }
}

/* A column that is true in each of the side's rows, behind its others: whole rows of its relations are NULL where that
 * is. For those which have no column of their own that says so, and which no outer join inside leaves out. */
static struct kp_plan *mark_rows(struct binder *binder, struct kp_plan *plan, uint32_t base, uint32_t from,
                                 struct scope *scope)
{
    uint32_t count = scope->count, marked = from;
    for (uint32_t i = from; i < count; i++) {
        const struct scope_column *column = &scope->cols[i];
        bool known = !column->relation || column->missing || column->of_join;
        for (uint32_t k = from; k < scope->count && !known; k++) {
            const struct scope_column *other = &scope->cols[k];
            known = ((other->not_null && !other->hidden) || other->marks_row) && other->relation &&
                    strcmp(other->relation, column->relation) == 0;
        }
        if (known)
            continue;
        struct scope_column mark = {.relation = column->relation,
                                    .name = "",
                                    .type = KP_TYPE(KP_BOOL),
                                    .hidden = true,
                                    .marks_row = true,
                                    .index = base + plan->col_count};
        kp_scope_add(binder, scope, mark);
        marked = scope->count;
    }
    if (marked == from)
        return plan;
    uint32_t cols = plan->col_count;
    struct kp_expr **exprs = kp_arena_alloc(binder->arena, (cols + 1) * sizeof *exprs);
    const char **names = kp_arena_alloc(binder->arena, (cols + 1) * sizeof *names);
    for (uint32_t i = 0; i < cols; i++) {
        exprs[i] = kp_bind_column(binder, i, plan->cols[i].type, -1);
        names[i] = plan->cols[i].name;
    }
    exprs[cols] = kp_bind_bool(binder, true);
    names[cols] = "";
    return kp_bind_project(binder, plan, exprs, names, cols + 1);
}

/* base: the number of the side's first column in the join. */
static enum kp_code bind_side(struct binder *binder, const PgQuery__Node *node, bool missing, struct scope *scope,
                              uint32_t base, struct query_joins *around, bool *ret_never, struct kp_plan **ret_plan)
{
    struct query_joins joins = {.base = base};
    uint32_t count, from = scope->count;
    KP_TRY(bind_item(binder, node, &joins, scope));
    count = joins.col_count;
    subs_from_base(binder, &joins);
    KP_TRY(kp_joins_finish(binder, &joins, ret_plan));
    *ret_never = joins.never;
    around->recursive |= joins.recursive;
    *ret_plan = kp_bind_first_columns(binder, *ret_plan, count); /* without what subqueries of ON gave */
    if (missing)
        *ret_plan = mark_rows(binder, *ret_plan, base, from, scope);
    return KP_OK;
}

/* The columns of USING behind the join's own; in the scope before the others, in the order written. */
static struct kp_plan *add_merged(struct binder *binder, struct kp_plan *join, const struct merged *merged,
                                  struct scope *scope)
{
    uint32_t count = join->col_count, more = 0;
    for (const struct merged *one = merged; one; one = one->next)
        more++;
    struct kp_expr **exprs = kp_arena_alloc(binder->arena, (count + more) * sizeof *exprs);
    const char **names = kp_arena_alloc(binder->arena, (count + more) * sizeof *names);
    for (uint32_t i = 0; i < count; i++) {
        exprs[i] = kp_bind_column(binder, i, join->cols[i].type, -1);
        names[i] = join->cols[i].name;
    }
    for (uint32_t i = count + more; merged; merged = merged->next) {
        exprs[--i] = merged->value;
        names[i] = merged->name;
    }
    struct kp_plan *plan = kp_bind_project(binder, join, exprs, names, count + more);
    for (uint32_t i = count; i < count + more; i++)
        kp_scope_add(binder, scope, (struct scope_column){.name = names[i], .type = exprs[i]->type, .index = i});
    return plan;
}

/* The join of both sides, left's columns first. */
static struct kp_plan *plan_outer(struct binder *binder, const struct outer_join *outer)
{
    struct kp_plan *left = outer->left, *right = outer->right, *plan;
    bool swap = outer->swap;
    uint32_t left_cols = left->col_count, count = left_cols + right->col_count;
    plan = swap ? kp_bind_join(binder, outer->kind, right, left) : kp_bind_join(binder, outer->kind, left, right);
    uint32_t *map = kp_arena_alloc(binder->arena, (count + 1) * sizeof *map);
    for (uint32_t i = 0; i < count; i++)
        map[i] = !swap ? i : i < left_cols ? right->col_count + i : i - left_cols;
    for (uint32_t i = 0; i < outer->conditions.count; i++)
        kp_join_condition(binder, plan, kp_expr_remap(binder, outer->conditions.exprs[i], map));
    if (!swap)
        return plan;
    struct kp_expr **exprs = kp_arena_alloc(binder->arena, count * sizeof *exprs);
    for (uint32_t i = 0; i < count; i++)
        exprs[i] = kp_bind_column(binder, map[i], plan->cols[map[i]].type, -1);
    return kp_bind_project(binder, plan, exprs, NULL, count);
}

/* The sides, whose level 1 is the scope of the join's own columns (left) and behind it the list around. */
static enum kp_code bind_sides(struct binder *binder, const PgQuery__JoinExpr *join, struct query_joins *joins,
                               struct scope *own, struct outer_join *outer, struct sides *sides)
{
    const struct scope *around = binder->around;
    const struct scope hidden = {.outer = around}, more_hidden = {.outer = &hidden};
    bool left_never, right_never = false;
    const char *no_self = binder->no_self;
    static const char nullable[] = "an outer join";
    bool inner = join->jointype == PG_QUERY__JOIN_TYPE__JOIN_INNER; /* ASOF */
    bool full = join->jointype == PG_QUERY__JOIN_TYPE__JOIN_FULL, asof = kp_bind_is_asof(binder, join->rarg);
    binder->around = &hidden;
    binder->no_self = inner || join->jointype == PG_QUERY__JOIN_TYPE__JOIN_LEFT ? no_self : nullable;
    enum kp_code code = bind_side(binder, join->larg, full || outer->swap, own, 0, joins, &left_never, &outer->left);
    sides->left_cols = own->count;
    binder->around = &more_hidden;
    binder->no_self = inner || outer->swap ? no_self : nullable;
    if (code == KP_OK)
        code = bind_side(binder, join->rarg, !asof && !inner && !outer->swap, own, outer->left->col_count, joins,
                         &right_never, &outer->right);
    binder->around = &hidden;
    binder->no_self = no_self;
    if (code == KP_OK)
        code = bind_join_quals(binder, join, sides, &outer->subs, &outer->conditions);
    binder->around = around;
    if (code == KP_OK)
        joins->never |= (outer->swap ? right_never : left_never) && (outer->kind != KP_JOIN_FULL || right_never);
    return code;
}

static enum kp_code bind_outer(struct binder *binder, const PgQuery__JoinExpr *join, struct query_joins *joins,
                               struct scope *scope)
{
    bool full = join->jointype == PG_QUERY__JOIN_TYPE__JOIN_FULL,
         left = join->jointype == PG_QUERY__JOIN_TYPE__JOIN_LEFT;
    struct scope *own = kp_arena_calloc(binder->arena, sizeof *own);
    struct outer_join outer = {.kind = full ? KP_JOIN_FULL : KP_JOIN_LEFT,
                               .swap = join->jointype == PG_QUERY__JOIN_TYPE__JOIN_RIGHT};
    struct sides sides = {.scope = own};
    struct kp_plan *plan;
    own->outer = scope;
    KP_TRY(bind_sides(binder, join, joins, own, &outer, &sides));
    bool lateral = kp_plan_reads_level(outer.right, 1);
    if (lateral && (outer.swap || full)) {
        kp_bind_fail(binder, kp_plan_outer_location(outer.right), KP_INVALID, "42P10",
                     "invalid reference to FROM-clause entry in a LATERAL item");
        return kp_error_detail(binder->err, "The combining JOIN type must be INNER or LEFT for a LATERAL reference.");
    }
    if (!lateral)
        kp_plan_shift_levels(binder, outer.right, 1, -1);
    bool asof = kp_bind_is_asof(binder, join->rarg);
    if (asof && (lateral || outer.subs.count))
        return kp_bind_fail(binder, -1, KP_UNSUPPORTED, NULL,
                            "ASOF JOIN takes neither LATERAL items nor subqueries in ON");
    if (outer.subs.count) {
        KP_TRY(kp_on_subs_join(binder, &outer, lateral, &plan));
    } else if (asof) {
        KP_TRY(kp_bind_temporal(binder, join, own, outer.left, outer.right, &outer.conditions, &plan));
    } else if (lateral) {
        KP_TRY(kp_bind_lateral(binder, KP_JOIN_LEFT, outer.left, outer.right, &outer.conditions, &plan));
    } else {
        plan = plan_outer(binder, &outer);
    }
    if (sides.merged)
        plan = add_merged(binder, plan, sides.merged, own);
    place_using(binder, &sides, own);
    KP_TRY(alias_join(binder, join, own, 0));
    KP_TRY(check_aliases(binder, scope, own));
    uint32_t first = scope->count;
    for (uint32_t i = 0; i < own->count; i++) {
        struct scope_column column = own->cols[i];
        column.not_null = plan->cols[column.index].not_null;
        column.missing |= full || (outer.swap ? i < sides.left_cols : left && i >= sides.left_cols);
        column.index += joins->base + joins->col_count;
        kp_scope_add(binder, scope, column);
    }
    kp_scope_copy_places(scope, first, own, 0);
    return add_lateral(binder, plan, joins);
}

static enum kp_code bind_item(struct binder *binder, const PgQuery__Node *node, struct query_joins *joins,
                              struct scope *scope)
{
    switch (node->node_case) {
    case PG_QUERY__NODE__NODE_RANGE_VAR:
        return bind_range_var(binder, node->range_var, NULL, joins, scope);
    case PG_QUERY__NODE__NODE_RANGE_TABLE_SAMPLE:
        if (node->range_table_sample->relation->node_case != PG_QUERY__NODE__NODE_RANGE_VAR)
            return kp_bind_sample_refuse(binder, node->range_table_sample);
        return bind_range_var(binder, node->range_table_sample->relation->range_var, node->range_table_sample, joins,
                              scope);
    case PG_QUERY__NODE__NODE_RANGE_SUBSELECT:
        return bind_subselect(binder, node->range_subselect, joins, scope);
    case PG_QUERY__NODE__NODE_RANGE_FUNCTION:
        return bind_table_function(binder, node->range_function, joins, scope);
    case PG_QUERY__NODE__NODE_JOIN_EXPR:
        if (node->join_expr->jointype == PG_QUERY__JOIN_TYPE__JOIN_INNER &&
            !kp_bind_is_asof(binder, node->join_expr->rarg))
            return bind_inner(binder, node->join_expr, joins, scope);
        return bind_outer(binder, node->join_expr, joins, scope);
    default:
        return kp_bind_fail(binder, -1, KP_UNSUPPORTED, NULL, "this form of FROM is not supported");
    }
}

enum kp_code kp_bind_from(struct binder *binder, PgQuery__Node *const *items, size_t count, struct query_joins *joins,
                          struct scope *scope)
{
    for (size_t i = 0; i < count; i++)
        KP_TRY(bind_item(binder, items[i], joins, scope));
    return KP_OK;
}
