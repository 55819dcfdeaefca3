/*
 * Two kinds of subqueries and queries that need no general decorrelation:
 *
 *   A scalar subquery that finds at most one row for each row around it, because its WHERE fixes a unique key of
 *   everything it reads, is a left join:
 *
 *       SELECT a, (SELECT t.v FROM t WHERE t.k = a.k) …   a LEFT JOIN t ON t.k = a.k
 *
 *   The join is put around all items of FROM so far, so that numbers of columns stay as they are.
 *
 *   A query over a system table that never has rows (pg_policy: there are no policies) has none either, whatever it
 *   computes. Clients ask for such tables with expressions that are refused elsewhere (arrays): here these are NULL.
 */
#include "sql/bind.h"

/* ---- scalar subqueries by a unique key ---- */

struct lookup {
    struct query_joins joins; /* of the subquery */
    struct conjuncts all;     /* its WHERE; columns around it are KP_OUTER_BASE + column */
    bool *fixed;              /* items that yield at most one row */
    uint32_t *base;           /* first column of each item */
};

static bool note_known(const struct kp_expr *expr, void *arg)
{
    const struct lookup *lookup = arg;
    if (expr->kind != KP_EXPR_COLUMN || expr->column >= KP_OUTER_BASE)
        return true;
    uint32_t item = 0;
    while (item + 1 < lookup->joins.item_count && lookup->base[item + 1] <= expr->column)
        item++;
    return lookup->fixed[item];
}

/* The column below a cast that keeps different values different: varchar to text, integer to bigint. */
static const struct kp_expr *below_cast(const struct kp_expr *expr)
{
    if (expr->kind != KP_EXPR_CALL || expr->func->kind != KP_FUNC_CAST || expr->arg_count != 1)
        return expr;
    enum kp_type_id from = expr->args[0]->type.id, to = expr->type.id;
    bool keeps = (to == KP_TEXT && (from == KP_VARCHAR || from == KP_NAME)) ||
                 (to == KP_INT8 && (from == KP_INT4 || from == KP_INT2)) || (to == KP_INT4 && from == KP_INT2);
    return keeps ? expr->args[0] : expr;
}

/* An equality gives the column a value that is known before the item is read. */
static bool column_is_fixed(struct lookup *lookup, uint32_t column)
{
    for (int list = 0; list < 2; list++) {
        const struct conjuncts *conditions = list ? &lookup->all : &lookup->joins.conditions;
        for (uint32_t i = 0; i < conditions->count; i++) {
            const struct kp_expr *condition = conditions->exprs[i];
            if (condition->kind != KP_EXPR_CALL || condition->arg_count != 2 || strcmp(condition->func->name, "=") != 0)
                continue;
            for (int side = 0; side < 2; side++) {
                const struct kp_expr *a = below_cast(condition->args[side]), *b = condition->args[1 - side];
                if (a->kind == KP_EXPR_COLUMN && a->column == column && kp_expr_walk(b, note_known, lookup))
                    return true;
            }
        }
    }
    return false;
}

static bool yields_at_most_one(struct binder *binder, struct lookup *lookup)
{
    uint32_t count = lookup->joins.item_count, fixed = 0;
    lookup->fixed = kp_arena_calloc(binder->arena, count * sizeof *lookup->fixed);
    lookup->base = kp_arena_calloc(binder->arena, count * sizeof *lookup->base);
    for (uint32_t i = 1; i < count; i++)
        lookup->base[i] = lookup->base[i - 1] + lookup->joins.items[i - 1]->col_count;
    for (bool more = true; more && fixed < count;) {
        more = false;
        for (uint32_t i = 0; i < count; i++) {
            const struct kp_plan *item = lookup->joins.items[i];
            uint32_t *keys = kp_arena_alloc(binder->arena, (item->col_count + 1) * sizeof *keys);
            uint32_t key_count = lookup->fixed[i] ? 0 : kp_plan_unique_key(binder, item, keys);
            bool all = key_count > 0, named = false;
            for (uint32_t k = 0; k < key_count && all; k++)
                all = column_is_fixed(lookup, lookup->base[i] + keys[k]);
            if (!lookup->fixed[i] && item->kind == KP_PLAN_SCAN && item->scan.relation->also_unique)
                named = column_is_fixed(lookup, lookup->base[i] + item->scan.relation->also_unique - 1);
            if (all || named) {
                lookup->fixed[i] = more = true;
                fixed++;
            }
        }
    }
    return count > 0 && fixed == count;
}

static bool note_outer(const struct kp_expr *expr, void *arg)
{
    (void)arg;
    return expr->kind != KP_EXPR_COLUMN || expr->column < KP_OUTER_BASE;
}

/* From the subquery's numbering to the join's: the columns around it first, then a mark, then its own. */
static struct kp_expr *to_join(const struct kp_expr *expr, struct kp_arena *arena, void *arg)
{
    const uint32_t *shift = arg;
    if (expr->kind != KP_EXPR_COLUMN)
        return NULL;
    struct kp_expr *copy = kp_arena_alloc(arena, sizeof *copy);
    *copy = *expr;
    copy->column = expr->column >= KP_OUTER_BASE ? expr->column - KP_OUTER_BASE : expr->column + *shift;
    return copy;
}

/* The subquery's value where a row was found: CASE WHEN mark THEN value END. */
static struct kp_expr *value_of(struct binder *binder, uint32_t mark, struct kp_expr *value)
{
    if (value->kind == KP_EXPR_COLUMN)
        return value; /* NULL where there is no row */
    struct kp_expr *expr = kp_bind_new(binder, KP_EXPR_CASE, value->type, value->location, 3);
    expr->args[0] = kp_bind_column(binder, mark, KP_TYPE(KP_BOOL), -1);
    expr->args[1] = value;
    expr->args[2] = kp_bind_null(binder, value->type);
    kp_expr_settle(expr);
    return expr;
}

static struct kp_expr *join_lookup(struct binder *binder, struct query_joins *around, struct lookup *lookup,
                                   struct kp_expr *value)
{
    struct conjuncts on = {0};
    for (uint32_t i = 0; i < lookup->all.count; i++) {
        struct kp_expr *condition = lookup->all.exprs[i];
        bool own = kp_expr_walk(condition, note_outer, NULL) && !condition->can_fail;
        kp_conjuncts_add(binder, own ? &lookup->joins.conditions : &on, condition);
    }
    struct kp_plan *inner = kp_joins_finish(binder, &lookup->joins);
    struct kp_expr **exprs = kp_arena_alloc(binder->arena, (inner->col_count + 1) * sizeof *exprs);
    const char **names = kp_arena_alloc(binder->arena, (inner->col_count + 1) * sizeof *names);
    exprs[0] = kp_bind_bool(binder, true);
    names[0] = "found";
    for (uint32_t c = 0; c < inner->col_count; c++) {
        exprs[c + 1] = kp_bind_column(binder, c, inner->cols[c].type, -1);
        names[c + 1] = inner->cols[c].name;
    }
    struct kp_plan *right = kp_bind_project(binder, inner, exprs, names, inner->col_count + 1);
    kp_joins_collapse(binder, around);
    struct kp_plan *left = around->items[0];
    uint32_t mark = left->col_count, shift = mark + 1;
    struct kp_plan *join = kp_bind_join(binder, KP_JOIN_LEFT, left, right);
    for (uint32_t i = 0; i < on.count; i++)
        kp_join_condition(binder, join, kp_expr_copy(on.exprs[i], binder->arena, to_join, &shift));
    around->items[0] = join;
    around->col_count = join->col_count;
    return value_of(binder, mark, kp_expr_copy(value, binder->arena, to_join, &shift));
}

enum kp_code kp_bind_lookup(struct binder *binder, const struct expr_place *place, const PgQuery__SelectStmt *select,
                            bool *ret_done, struct kp_expr **ret_expr)
{
    struct lookup lookup = {0};
    struct scope scope = {.beyond = place->scope};
    struct expr_place target = {.scope = &scope, .clause = "SELECT"};
    struct kp_expr *value, *where;
    const struct scope *around = binder->around;
    *ret_done = false;
    if (select->n_target_list != 1 || select->n_distinct_clause || select->n_sort_clause || !select->where_clause)
        return KP_OK;
    binder->around = place->scope;
    enum kp_code code = kp_bind_from(binder, select->from_clause, select->n_from_clause, &lookup.joins, &scope);
    binder->around = around;
    KP_TRY(code);
    if (lookup.joins.never)
        return KP_OK;
    KP_TRY(kp_bind_expr(binder, &target, select->target_list[0]->res_target->val, &value));
    KP_TRY(kp_bind_settle_unknown(binder, value, &value));
    struct scope inside = scope;
    inside.outer = place->scope;
    inside.beyond = NULL;
    struct expr_place condition = {.scope = &inside, .clause = "WHERE"};
    KP_TRY(kp_bind_expr(binder, &condition, select->where_clause, &where));
    KP_TRY(kp_bind_to_bool(binder, where, "WHERE", &where));
    kp_conjuncts_add(binder, &lookup.all, where);
    if (!yields_at_most_one(binder, &lookup))
        return KP_OK;
    *ret_expr = join_lookup(binder, place->joins, &lookup, value);
    *ret_done = true;
    return KP_OK;
}

/* ---- queries without rows ---- */

/* What may be missing in an expression that is never computed: what is refused, functions of values that are not. */
static bool forgivable(const struct kp_error *err)
{
    return err->code == KP_UNSUPPORTED || strcmp(err->sqlstate, "42883") == 0;
}

static enum kp_code bind_leniently(struct binder *binder, const struct expr_place *place, const PgQuery__Node *node,
                                   struct kp_expr **ret_expr)
{
    struct kp_error *err = binder->err, own;
    struct query_joins scratch = *place->joins; /* joins of its subqueries are not needed */
    struct expr_place inside = *place;
    inside.joins = &scratch;
    kp_error_clear(&own);
    binder->err = &own;
    enum kp_code code = kp_bind_expr(binder, &inside, node, ret_expr);
    if (code == KP_OK)
        code = kp_bind_settle_unknown(binder, *ret_expr, ret_expr);
    binder->err = err;
    if (code == KP_OK)
        return KP_OK;
    if (!forgivable(&own)) {
        *err = own;
        return code;
    }
    *ret_expr = kp_bind_null(binder, KP_TYPE(KP_TEXT));
    return KP_OK;
}

enum kp_code kp_bind_never(struct binder *binder, const struct expr_place *place, const PgQuery__SelectStmt *select,
                           bool *ret_done, struct targets *ret_targets, struct kp_plan **ret_plan)
{
    struct expr_place inside = *place;
    struct kp_expr *expr;
    *ret_done = false;
    if (select->where_clause) {
        inside.clause = "WHERE";
        KP_TRY(bind_leniently(binder, &inside, select->where_clause, &expr));
    }
    struct agg_list aggs = {0};
    inside.clause = "SELECT";
    inside.aggs = &aggs;
    for (size_t i = 0; i < select->n_target_list; i++) {
        const PgQuery__ResTarget *item = select->target_list[i]->res_target;
        if (kp_bind_is_star(item->val)) {
            KP_TRY(kp_bind_star(binder, item->val->column_ref, place->scope, ret_targets));
            continue;
        }
        KP_TRY(bind_leniently(binder, &inside, item->val, &expr));
        kp_targets_add(binder, ret_targets,
                       (struct target){expr, item->name[0] ? item->name : kp_bind_output_name(item->val), item->val});
    }
    if ((aggs.count || select->having_clause) && !select->n_group_clause)
        return KP_OK; /* an aggregate of no rows is a row */
    struct kp_plan *plan = kp_bind_node(binder, KP_PLAN_VALUES, -1, ret_targets->count, 0);
    for (uint32_t i = 0; i < ret_targets->count; i++)
        plan->cols[i] = (struct kp_column){ret_targets->items[i].name, ret_targets->items[i].expr->type, false};
    *ret_plan = plan;
    *ret_done = true;
    return KP_OK;
}

bool kp_plan_is_never(const struct kp_plan *plan)
{
    while (plan->kind == KP_PLAN_PROJECT || plan->kind == KP_PLAN_SORT || plan->kind == KP_PLAN_FILTER)
        plan = plan->inputs[0];
    return plan->kind == KP_PLAN_VALUES && plan->values.rows == 0;
}
