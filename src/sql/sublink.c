/*
 * Subqueries in expressions: bound where they stand, as a column of KP_SUB_BASE; joined to the query's plan when that
 * is there.
 *
 *   WHERE EXISTS (…), x IN (…)      a semi join; where equalities are all that connects them, an inner join with the
 *                                   distinct keys, of which a row meets one at most
 *   WHERE NOT EXISTS (…)            an anti join
 *   EXISTS (…) as a value           a left join with the distinct keys and a mark: found or not
 *   (SELECT aggregate …)            a left join with the aggregate by the keys; a cross join if there are none
 *   (SELECT …)                      a left join: with the plan itself if it has one row at most for a row around it,
 *                                   else with count(*) and a value by the keys; above 1 the row fails (21000)
 *   x op ANY (…), x op ALL (…)      how often the comparison is true, how often NULL: an aggregate
 *
 * What connects a subquery with the query around is taken out of its plan if it can be (pull.c), else the subquery is
 * unnested over the different values that it reads (unnest.c). So is one that can fail where it need not be computed
 * for every row (guard.c).
 */
#include "sql/object.h"
#include "sql/sublink.h"

/* ---- binding ---- */

static enum kp_code bind_inner(struct binder *binder, const struct expr_place *place, const PgQuery__SubLink *link,
                               struct kp_plan **ret_plan)
{
    const struct scope *around = binder->around;
    uint32_t count;
    if (link->subselect->node_case != PG_QUERY__NODE__NODE_SELECT_STMT)
        return kp_bind_fail(binder, link->location, KP_UNSUPPORTED, NULL, "this subquery is not supported");
    const char *no_self = binder->no_self;
    binder->around = place->scope;
    binder->no_self = "a subquery";
    enum kp_code code = kp_bind_select(binder, link->subselect->select_stmt, false, ret_plan, &count);
    binder->around = around;
    binder->no_self = no_self;
    return code;
}

/* x and (x, y) of x IN (…). */
static enum kp_code bind_tests(struct binder *binder, const struct expr_place *place, const PgQuery__Node *node,
                               struct sub *sub)
{
    bool row = node->node_case == PG_QUERY__NODE__NODE_ROW_EXPR;
    sub->test_count = row ? (uint32_t)node->row_expr->n_args : 1;
    sub->tests = kp_arena_calloc(binder->arena, sub->test_count * sizeof(struct kp_expr *));
    for (uint32_t i = 0; i < sub->test_count; i++) {
        KP_TRY(kp_bind_expr(binder, place, row ? node->row_expr->args[i] : node, &sub->tests[i]));
        if (sub->tests[i]->type.id == KP_UNKNOWN && i < sub->plan->col_count)
            KP_TRY(kp_bind_coerce(binder, sub->tests[i], sub->plan->cols[i].type, COERCE_IMPLICIT, &sub->tests[i]));
    }
    if (sub->test_count != sub->plan->col_count)
        return kp_bind_fail(binder, sub->location, KP_INVALID, "42601", "subquery has too %s columns",
                            sub->plan->col_count > sub->test_count ? "many" : "few");
    return KP_OK;
}

/* The value of a subquery without rows: NULL, false, or the empty array. */
static enum kp_code value_of_nothing(struct binder *binder, const PgQuery__SubLink *link, const struct kp_plan *plan,
                                     struct kp_expr **ret_expr)
{
    if (link->sub_link_type == PG_QUERY__SUB_LINK_TYPE__ARRAY_SUBLINK)
        return kp_bind_coerce(binder, kp_bind_text(binder, "{}"), KP_TYPE(kp_type_array_of(plan->cols[0].type.id)),
                              COERCE_EXPLICIT, ret_expr);
    *ret_expr = link->sub_link_type == PG_QUERY__SUB_LINK_TYPE__EXISTS_SUBLINK
                    ? kp_bind_bool(binder, false)
                    : kp_bind_null(binder, plan->cols[0].type);
    return KP_OK;
}

uint32_t kp_sub_keep(struct binder *binder, struct sub_list *list, const struct sub *sub)
{
    if (list->count == list->cap) {
        list->cap = list->cap ? list->cap * 2 : 4;
        struct sub *more = kp_arena_alloc(binder->arena, list->cap * sizeof *more);
        if (list->count)
            memcpy(more, list->items, list->count * sizeof *more);
        list->items = more;
    }
    list->items[list->count] = *sub;
    return list->count++;
}

/* ARRAY(SELECT …) of a table that never has rows, whatever else it asks for. */
static bool array_of_nothing(struct binder *binder, const struct expr_place *place, const PgQuery__SubLink *link,
                             struct kp_expr **ret_expr)
{
    struct kp_error *err = binder->err, unseen;
    struct kp_plan *plan;
    binder->err = &unseen;
    enum kp_code code = bind_inner(binder, place, link, &plan);
    bool never = code == KP_OK && kp_plan_is_never(plan);
    if (never)
        code = value_of_nothing(binder, link, plan, ret_expr);
    binder->err = err;
    return never && code == KP_OK;
}

enum kp_code kp_bind_sublink(struct binder *binder, const struct expr_place *place, const PgQuery__SubLink *link,
                             struct kp_expr **ret_expr)
{
    struct sub sub = {.kind = SUB_EXISTS, .type = KP_TYPE(KP_BOOL), .location = link->location};
    switch (link->sub_link_type) {
    case PG_QUERY__SUB_LINK_TYPE__EXISTS_SUBLINK:
        break;
    case PG_QUERY__SUB_LINK_TYPE__EXPR_SUBLINK:
        sub.kind = SUB_SCALAR;
        break;
    case PG_QUERY__SUB_LINK_TYPE__ANY_SUBLINK:
        sub.kind = SUB_ANY;
        break;
    case PG_QUERY__SUB_LINK_TYPE__ALL_SUBLINK:
        sub.kind = SUB_ALL;
        break;
    default:
        if (array_of_nothing(binder, place, link, ret_expr))
            return KP_OK;
        return kp_bind_array_sublink(binder, place, link, ret_expr);
    }
    KP_TRY(bind_inner(binder, place, link, &sub.plan));
    if (sub.kind == SUB_SCALAR && sub.plan->col_count != 1)
        return kp_bind_fail(binder, link->location, KP_INVALID, "42601", "subquery must return only one column");
    if (kp_plan_is_never(sub.plan) && sub.kind < SUB_ANY)
        return value_of_nothing(binder, link, sub.plan, ret_expr);
    if (!place->subs)
        return kp_bind_fail(binder, link->location, KP_UNSUPPORTED, NULL, "cannot use a subquery in %s", place->clause);
    if (sub.kind == SUB_SCALAR)
        sub.type = sub.plan->cols[0].type;
    if (sub.kind >= SUB_ANY) {
        sub.operator_name = link->n_oper_name ? link->oper_name[link->n_oper_name - 1]->string->sval : "=";
        KP_TRY(bind_tests(binder, place, link->testexpr, &sub));
    }
    *ret_expr = kp_bind_column(binder, KP_SUB_BASE + kp_sub_keep(binder, place->subs, &sub), sub.type, link->location);
    return KP_OK;
}

enum kp_code kp_bind_row_sublink(struct binder *binder, const struct expr_place *place, const PgQuery__SubLink *link,
                                 uint32_t count, int32_t location, struct kp_expr **exprs)
{
    struct sub sub = {.kind = SUB_SCALAR, .location = link->location};
    KP_TRY(bind_inner(binder, place, link, &sub.plan));
    if (sub.plan->col_count != count)
        return kp_bind_fail(binder, location, KP_INVALID, "42601", "subquery has too %s columns",
                            sub.plan->col_count > count ? "many" : "few");
    if (!place->subs)
        return kp_bind_fail(binder, link->location, KP_UNSUPPORTED, NULL, "cannot use a subquery in %s", place->clause);
    struct kp_expr **columns = kp_arena_alloc(binder->arena, (count + 1) * sizeof *columns);
    struct kp_expr **shown = kp_arena_alloc(binder->arena, sizeof *shown);
    for (uint32_t i = 0; i < count; i++)
        columns[i] = kp_bind_column(binder, i, sub.plan->cols[i].type, link->location);
    shown[0] = kp_bind_row_of(binder, columns, count, link->location);
    sub.plan = kp_bind_project(binder, sub.plan, shown, NULL, 1);
    sub.type = shown[0]->type;
    uint32_t number = kp_sub_keep(binder, place->subs, &sub);
    struct kp_expr *row = kp_bind_column(binder, KP_SUB_BASE + number, sub.type, link->location);
    for (uint32_t i = 0; i < count; i++)
        exprs[i] = kp_bind_row_field(binder, row, i, link->location);
    return KP_OK;
}

static bool is_sub(const struct kp_expr *expr)
{
    return expr->kind == KP_EXPR_COLUMN && kp_is_sub(expr->column);
}

static bool is_no_sub(const struct kp_expr *expr, void *arg)
{
    (void)arg;
    return !is_sub(expr);
}

bool kp_expr_reads_subs(const struct kp_expr *expr)
{
    return !kp_expr_walk(expr, is_no_sub, NULL);
}

/* ---- into the query ---- */

static bool never_null(const struct kp_expr *expr, const struct kp_plan *rows)
{
    return (expr->kind == KP_EXPR_CONST && !expr->datum.null) ||
           (expr->kind == KP_EXPR_COLUMN && expr->column < rows->col_count && rows->cols[expr->column].not_null);
}

/* No comparison can be NULL. */
static bool known(const struct sub *sub, const struct kp_plan *rows)
{
    for (uint32_t i = 0; i < sub->test_count; i++)
        if (!never_null(sub->tests[i], rows) || !sub->plan->cols[i].not_null)
            return false;
    return true;
}

static bool is_equal(const struct sub *sub)
{
    return sub->kind == SUB_ANY && strcmp(sub->operator_name, "=") == 0;
}

static enum kp_code join_value(struct binder *binder, struct sub *sub, struct kp_plan **rows)
{
    if (sub->kind == SUB_EXISTS || (is_equal(sub) && known(sub, *rows)))
        return kp_sub_exists(binder, sub, rows);
    if (sub->kind == SUB_SCALAR)
        return kp_sub_scalar(binder, sub, rows);
    bool guarded = sub->guard && kp_plan_can_fail(sub->plan);
    if (is_equal(sub) && sub->test_count == 1 && !guarded && !kp_plan_reads_level(sub->plan, 1))
        return kp_sub_one_of(binder, sub, rows);
    return kp_sub_compared(binder, sub, rows);
}

struct wanted {
    struct sub_list *subs;
    bool *items;
};

static bool note_sub(const struct kp_expr *expr, void *arg)
{
    if (is_sub(expr))
        ((struct wanted *)arg)->items[expr->column - KP_SUB_BASE] = true;
    return true;
}

static struct kp_expr *sub_value(const struct kp_expr *expr, struct kp_arena *arena, void *arg)
{
    const struct sub_list *subs = arg;
    const struct kp_expr *value = is_sub(expr) ? subs->items[expr->column - KP_SUB_BASE].value : NULL;
    return value ? kp_expr_copy(value, arena, NULL, NULL) : NULL;
}

struct kp_expr *kp_subs_values(struct binder *binder, const struct sub_list *subs, const struct kp_expr *expr)
{
    return kp_expr_copy(expr, binder->arena, sub_value, (void *)(uintptr_t)subs);
}

enum kp_code kp_subs_apply(struct binder *binder, struct sub_list *subs, struct kp_expr **const *exprs, uint32_t count,
                           struct kp_plan **plan)
{
    if (subs->count == 0)
        return KP_OK;
    struct wanted wanted = {subs, kp_arena_calloc(binder->arena, subs->count)};
    for (uint32_t i = 0; i < count; i++)
        kp_expr_walk(*exprs[i], note_sub, &wanted);
    for (uint32_t i = 0; i < subs->count; i++) { /* a subquery's tests may read another's value, made before it */
        struct sub *sub = &subs->items[i];
        for (uint32_t t = 0; wanted.items[i] && t < sub->test_count; t++) {
            kp_expr_walk(sub->tests[t], note_sub, &wanted);
        }
    }
    for (uint32_t i = 0; i < subs->count; i++) {
        struct sub *sub = &subs->items[i];
        if (!wanted.items[i] || sub->value)
            continue;
        for (uint32_t t = 0; t < sub->test_count; t++)
            sub->tests[t] = kp_subs_values(binder, subs, sub->tests[t]);
        kp_sub_guard(binder, subs, i, exprs, count, plan);
        KP_TRY(join_value(binder, sub, plan));
    }
    for (uint32_t i = 0; i < count; i++)
        *exprs[i] = kp_subs_values(binder, subs, *exprs[i]);
    return KP_OK;
}

/* A condition that is a subquery, or its negation, and can be a join that keeps or drops rows. */
static struct sub *as_filter(struct sub_list *subs, const struct kp_expr *condition, const struct kp_plan *plan,
                             bool *ret_negated)
{
    bool negated = false;
    while (condition->kind == KP_EXPR_NOT) {
        negated = !negated;
        condition = condition->args[0];
    }
    if (!is_sub(condition))
        return NULL;
    struct sub *sub = &subs->items[condition->column - KP_SUB_BASE];
    for (uint32_t t = 0; t < sub->test_count; t++)
        if (kp_expr_reads_subs(sub->tests[t]))
            return NULL;
    *ret_negated = negated;
    bool fits = sub->kind == SUB_EXISTS || (is_equal(sub) && (!negated || known(sub, plan)));
    return fits && !sub->value ? sub : NULL;
}

enum kp_code kp_subs_filter(struct binder *binder, struct sub_list *subs, const struct conjuncts *conditions,
                            struct kp_plan **plan)
{
    struct conjuncts rest = {0};
    for (uint32_t i = 0; i < conditions->count; i++) {
        bool negated;
        struct sub *sub = as_filter(subs, conditions->exprs[i], *plan, &negated);
        if (sub) {
            if (sub->kind != SUB_EXISTS) /* that is asked once, before any row, if it reads none */
                kp_sub_if_any(binder, sub, *plan);
            KP_TRY(kp_sub_filter_rows(binder, sub, negated, plan));
        } else {
            kp_conjuncts_add(binder, &rest, conditions->exprs[i]);
        }
    }
    struct kp_expr ***slots = kp_arena_alloc(binder->arena, (rest.count + 1) * sizeof *slots);
    for (uint32_t i = 0; i < rest.count; i++)
        slots[i] = &rest.exprs[i];
    for (uint32_t i = 0; i < subs->count; i++)
        subs->items[i].filters = true;
    KP_TRY(kp_subs_apply(binder, subs, slots, rest.count, plan));
    *plan = kp_push_all(binder, *plan, &rest);
    return KP_OK;
}
