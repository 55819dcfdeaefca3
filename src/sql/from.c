/*
 * FROM: relations, subqueries, CTEs, window functions and joins to a list of items whose columns are numbered through,
 * and conditions over them; then to one tree of joins.
 *
 * Inner joins, by comma or JOIN … ON, are one flat list. The tree is left-deep: it starts with the first item and takes
 * next the first that an equality connects to what is there, so that FROM a, b, c WHERE a.x = c.x AND c.y = b.y needs
 * no cross join. Outer joins are items of their own.
 */
#include "sql/bind.h"

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
        return KP_OK;
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
    if (expr->kind == KP_EXPR_COLUMN) {
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

struct kp_plan *kp_joins_finish(struct binder *binder, struct query_joins *joins)
{
    struct kp_plan *plan = finish_inner(binder, joins);
    return joins->antis ? kp_apply_antis(binder, joins, plan) : plan;
}

/* ---- items ---- */

static enum kp_code rename_columns(struct binder *binder, struct kp_plan *plan, const PgQuery__Alias *alias,
                                   int32_t location)
{
    if (!alias || alias->n_colnames == 0)
        return KP_OK;
    if (alias->n_colnames > plan->col_count)
        return kp_bind_fail(binder, location, KP_INVALID, "42P10",
                            "table \"%s\" has %u columns available but %zu columns specified", alias->aliasname,
                            plan->col_count, alias->n_colnames);
    for (size_t i = 0; i < alias->n_colnames; i++)
        plan->cols[i].name = alias->colnames[i]->string->sval;
    return KP_OK;
}

static enum kp_code check_alias(struct binder *binder, const struct scope *scope, const char *alias, int32_t location)
{
    if (alias && kp_scope_has_relation(scope, alias))
        return kp_bind_fail(binder, location, KP_INVALID, "42712", "table name \"%s\" specified more than once", alias);
    return KP_OK;
}

static enum kp_code add_item(struct binder *binder, struct kp_plan *plan, const char *name, const PgQuery__Alias *alias,
                             int32_t location, struct query_joins *joins, struct scope *scope)
{
    const char *known_as = alias ? alias->aliasname : name;
    KP_TRY(check_alias(binder, scope, known_as, location));
    KP_TRY(rename_columns(binder, plan, alias, location));
    kp_scope_add_plan(binder, scope, known_as, plan, joins->col_count);
    kp_joins_add(binder, joins, plan);
    joins->never |= kp_plan_is_never(plan) || (plan->kind == KP_PLAN_SCAN && plan->scan.relation->never_rows);
    if (joins->col_count > KP_COLUMNS_MAX)
        return kp_bind_fail(binder, location, KP_LIMIT, "54011", "joins can have at most %d columns", KP_COLUMNS_MAX);
    return KP_OK;
}

/* Binds the CTE's query where it is used; inside it only earlier CTEs are visible. */
static enum kp_code bind_cte(struct binder *binder, struct cte *cte, int32_t location, struct kp_plan **ret_plan)
{
    const struct cte *ctes = binder->ctes;
    uint32_t count;
    if (cte->busy)
        return kp_bind_fail(binder, location, KP_UNSUPPORTED, NULL, "recursive queries are not supported");
    if (cte->def->ctequery->node_case != PG_QUERY__NODE__NODE_SELECT_STMT)
        return kp_bind_fail(binder, cte->def->location, KP_UNSUPPORTED, NULL,
                            "WITH holds queries only: INSERT, UPDATE and DELETE are not supported there");
    binder->ctes = cte->next;
    cte->busy = true;
    enum kp_code code = kp_bind_select(binder, cte->def->ctequery->select_stmt, false, ret_plan, &count);
    cte->busy = false;
    binder->ctes = ctes;
    KP_TRY(code);
    const struct kp_plan *plan = *ret_plan;
    if (cte->def->n_aliascolnames > plan->col_count)
        return kp_bind_fail(binder, cte->def->location, KP_INVALID, "42P10",
                            "WITH query \"%s\" has %u columns available but %zu columns specified", cte->def->ctename,
                            plan->col_count, cte->def->n_aliascolnames);
    for (size_t i = 0; i < cte->def->n_aliascolnames; i++)
        plan->cols[i].name = cte->def->aliascolnames[i]->string->sval;
    return KP_OK;
}

static enum kp_code bind_range_var(struct binder *binder, const PgQuery__RangeVar *range, struct query_joins *joins,
                                   struct scope *scope)
{
    struct kp_plan *plan;
    if (!range->schemaname[0]) {
        for (const struct cte *cte = binder->ctes; cte; cte = cte->next) {
            if (strcmp(cte->def->ctename, range->relname) != 0)
                continue;
            KP_TRY(bind_cte(binder, (struct cte *)cte, range->location, &plan));
            return add_item(binder, plan, range->relname, range->alias, range->location, joins, scope);
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
    if (relation->kind == KP_RELATION_PLAIN_VIEW)
        plan = kp_plan_copy(relation->plan->plan, binder->arena);
    else
        plan = kp_bind_scan(binder, relation, range->location);
    return add_item(binder, plan, range->relname, range->alias, range->location, joins, scope);
}

static enum kp_code bind_subselect(struct binder *binder, const PgQuery__RangeSubselect *sub, struct query_joins *joins,
                                   struct scope *scope)
{
    struct kp_plan *plan;
    uint32_t count;
    const PgQuery__SelectStmt *select = sub->subquery->select_stmt;
    if (sub->lateral)
        return kp_bind_fail(binder, -1, KP_UNSUPPORTED, NULL, "LATERAL subqueries are not supported");
    if (!sub->alias) {
        kp_bind_fail(binder, select->n_target_list ? select->target_list[0]->res_target->location : -1, KP_INVALID,
                     "42601", "subquery in FROM must have an alias");
        return kp_error_hint(binder->err, "For example, FROM (SELECT ...) [AS] foo.");
    }
    const struct scope *around = binder->around;
    KP_TRY(kp_bind_select(binder, select, false, &plan, &count));
    binder->around = around;
    return add_item(binder, plan, NULL, sub->alias, -1, joins, scope);
}

/*
 * Set-returning functions are strict: of a NULL they make no rows. Catalog queries call them on columns that are
 * always NULL here (privileges, options). *ret_plan NULL if it is no such function, or an argument is not NULL.
 */
static enum kp_code bind_set_of_null(struct binder *binder, const PgQuery__FuncCall *call, const char *name,
                                     const PgQuery__Alias *alias, const struct scope *scope, struct kp_plan **ret_plan)
{
    static const struct {
        const char *name, *cols[4];
    } sets[] = {{"unnest", {"unnest"}},
                {"generate_series", {"generate_series"}},
                {"generate_subscripts", {"generate_subscripts"}},
                {"pg_options_to_table", {"option_name", "option_value"}},
                {"aclexplode", {"grantor", "grantee", "privilege_type", "is_grantable"}}};
    struct scope inside = *scope;
    struct expr_place place = {.scope = &inside, .clause = "FROM"};
    bool null = false;
    *ret_plan = NULL;
    inside.outer = binder->around;
    for (size_t s = 0; s < KP_COUNT(sets); s++) {
        if (strcmp(sets[s].name, name) != 0)
            continue;
        for (size_t i = 0; i < call->n_args; i++) {
            struct kp_expr *arg;
            KP_TRY(kp_bind_expr(binder, &place, call->args[i], &arg));
            null |= arg->kind == KP_EXPR_CONST && arg->datum.null;
        }
        uint32_t count = 0;
        while (count < KP_COUNT(sets[s].cols) && sets[s].cols[count])
            count++;
        if (!null)
            return KP_OK;
        *ret_plan = kp_bind_node(binder, KP_PLAN_VALUES, call->location, count, 0);
        for (uint32_t c = 0; c < count; c++)
            (*ret_plan)->cols[c] =
                (struct kp_column){count == 1 && alias ? alias->aliasname : sets[s].cols[c], KP_TYPE(KP_TEXT), false};
    }
    return KP_OK;
}

static enum kp_code bind_table_function(struct binder *binder, const PgQuery__RangeFunction *range,
                                        struct query_joins *joins, struct scope *scope)
{
    const PgQuery__Node *first = range->n_functions == 1 ? range->functions[0]->list->items[0] : NULL;
    if (!first || first->node_case != PG_QUERY__NODE__NODE_FUNC_CALL || range->is_rowsfrom || range->ordinality ||
        range->n_coldeflist)
        return kp_bind_fail(binder, first ? kp_tree_location(first) : -1, KP_UNSUPPORTED, NULL,
                            "this form of a function in FROM is not supported");
    const char *schema, *name = kp_tree_name(first->func_call->funcname, first->func_call->n_funcname, &schema), *alias;
    if (strcmp(name, "diff") == 0 && schema && strcmp(schema, "kappa") == 0) {
        struct kp_plan *diff;
        KP_TRY(kp_bind_diff(binder, first->func_call, &diff));
        return add_item(binder, diff, name, range->alias, first->func_call->location, joins, scope);
    }
    if (strcmp(name, "late") == 0 && !schema) {
        struct kp_plan *late;
        KP_TRY(kp_bind_late(binder, first->func_call, &alias, &late));
        return add_item(binder, late, alias, range->alias, first->func_call->location, joins, scope);
    }
    if (!kp_bind_is_window(name)) {
        struct kp_plan *never;
        KP_TRY(bind_set_of_null(binder, first->func_call, name, range->alias, scope, &never));
        if (never)
            return add_item(binder, never, name, range->alias, first->func_call->location, joins, scope);
        kp_bind_fail(binder, first->func_call->location, KP_UNSUPPORTED, NULL, "table function %s() is not supported",
                     name);
        return kp_error_hint(binder->err, "There are tumble, hop, cumulate, session, late and kappa.diff.");
    }
    struct kp_plan *plan;
    KP_TRY(kp_bind_window(binder, first->func_call, &alias, &plan));
    return add_item(binder, plan, alias, range->alias, first->func_call->location, joins, scope);
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
    struct kp_expr *equal;
    KP_TRY(kp_bind_operator(binder, "=", kp_bind_column(binder, left->index, left->type, -1),
                            kp_bind_column(binder, right->index, right->type, -1), -1, &equal));
    kp_conjuncts_add(binder, conditions, equal);
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

/* ON, USING or NATURAL over the scope of both sides. */
static enum kp_code bind_join_quals(struct binder *binder, const PgQuery__JoinExpr *join, struct sides *sides,
                                    struct conjuncts *conditions)
{
    if (join->is_natural) {
        for (uint32_t i = sides->from; i < sides->left_cols; i++) {
            bool ambiguous;
            const struct scope_column *left = &sides->scope->cols[i];
            if (!left->hidden && !left->qualified_only && using_column(sides, left->name, false, &ambiguous))
                KP_TRY(bind_using(binder, sides, left->name, join, conditions));
        }
    }
    for (size_t i = 0; i < join->n_using_clause; i++)
        KP_TRY(bind_using(binder, sides, join->using_clause[i]->string->sval, join, conditions));
    if (join->quals) {
        struct scope own = {.cols = sides->scope->cols + sides->from,
                            .count = sides->scope->count - sides->from,
                            .beyond = sides->scope->beyond};
        struct expr_place place = {.scope = &own, .clause = "JOIN conditions"};
        struct kp_expr *quals;
        KP_TRY(kp_bind_expr(binder, &place, join->quals, &quals));
        KP_TRY(kp_bind_to_bool(binder, quals, "JOIN/ON", &quals));
        kp_conjuncts_add(binder, conditions, quals);
    }
    return KP_OK;
}

/* JOIN … AS alias: all columns are the alias's. */
static void alias_join(const PgQuery__JoinExpr *join, struct scope *scope, uint32_t from)
{
    for (uint32_t i = from; join->alias && i < scope->count; i++)
        scope->cols[i].relation = join->alias->aliasname;
}

/* An inner join's sides are items of the same list. */
static enum kp_code bind_inner(struct binder *binder, const PgQuery__JoinExpr *join, struct query_joins *joins,
                               struct scope *scope)
{
    uint32_t from = scope->count;
    KP_TRY(bind_item(binder, join->larg, joins, scope));
    struct sides sides = {scope, scope->count, from, NULL};
    KP_TRY(bind_item(binder, join->rarg, joins, scope));
    KP_TRY(bind_join_quals(binder, join, &sides, &joins->conditions));
    alias_join(join, scope, from);
    return KP_OK;
}

static enum kp_code bind_side(struct binder *binder, const PgQuery__Node *node, struct scope *scope, uint32_t base,
                              bool *ret_never, struct kp_plan **ret_plan)
{
    struct query_joins joins = {0};
    uint32_t from = scope->count;
    KP_TRY(bind_item(binder, node, &joins, scope));
    *ret_plan = kp_joins_finish(binder, &joins);
    *ret_never = joins.never;
    for (uint32_t i = from; i < scope->count; i++)
        scope->cols[i].index += base;
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

static enum kp_code bind_outer(struct binder *binder, const PgQuery__JoinExpr *join, struct query_joins *joins,
                               struct scope *scope)
{
    enum kp_join_kind kind = join->jointype == PG_QUERY__JOIN_TYPE__JOIN_FULL ? KP_JOIN_FULL : KP_JOIN_LEFT;
    struct scope own = {.beyond = scope->beyond};
    struct kp_plan *left, *right;
    bool left_never, right_never;
    KP_TRY(bind_side(binder, join->larg, &own, 0, &left_never, &left));
    struct sides sides = {&own, own.count, 0, NULL};
    KP_TRY(bind_side(binder, join->rarg, &own, left->col_count, &right_never, &right));
    struct conjuncts conditions = {0};
    KP_TRY(bind_join_quals(binder, join, &sides, &conditions));
    bool swap = join->jointype == PG_QUERY__JOIN_TYPE__JOIN_RIGHT; /* a LEFT JOIN with its sides exchanged */
    bool asof = kp_bind_is_asof(binder, join->rarg);
    joins->never |= (swap ? right_never : left_never) && (kind != KP_JOIN_FULL || right_never);
    uint32_t left_cols = left->col_count, count = left_cols + right->col_count;
    struct kp_plan *plan;
    if (asof)
        KP_TRY(kp_bind_asof(binder, join->jointype == PG_QUERY__JOIN_TYPE__JOIN_LEFT, left, right, &conditions, &plan));
    else
        plan = swap ? kp_bind_join(binder, kind, right, left) : kp_bind_join(binder, kind, left, right);
    uint32_t *map = kp_arena_alloc(binder->arena, (count + 1) * sizeof *map);
    for (uint32_t i = 0; i < count; i++)
        map[i] = !swap ? i : i < left_cols ? right->col_count + i : i - left_cols;
    for (uint32_t i = 0; !asof && i < conditions.count; i++)
        kp_join_condition(binder, plan, kp_expr_remap(binder, conditions.exprs[i], map));
    if (swap) {
        struct kp_expr **exprs = kp_arena_alloc(binder->arena, count * sizeof *exprs);
        for (uint32_t i = 0; i < count; i++)
            exprs[i] = kp_bind_column(binder, map[i], plan->cols[map[i]].type, -1);
        plan = kp_bind_project(binder, plan, exprs, NULL, count);
    }
    if (sides.merged)
        plan = add_merged(binder, plan, sides.merged, &own);
    alias_join(join, &own, 0);
    for (uint32_t i = 0; i < own.count; i++) {
        struct scope_column column = own.cols[i];
        column.not_null = plan->cols[column.index].not_null;
        column.index += joins->col_count;
        kp_scope_add(binder, scope, column);
    }
    kp_joins_add(binder, joins, plan);
    return KP_OK;
}

static enum kp_code bind_item(struct binder *binder, const PgQuery__Node *node, struct query_joins *joins,
                              struct scope *scope)
{
    switch (node->node_case) {
    case PG_QUERY__NODE__NODE_RANGE_VAR:
        return bind_range_var(binder, node->range_var, joins, scope);
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
