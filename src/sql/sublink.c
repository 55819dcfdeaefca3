/*
 * Subqueries in WHERE and in expressions, as joins.
 *
 *   EXISTS (…), x IN (…)   an inner join with the distinct keys of the subquery: a row has at most one partner
 *   NOT EXISTS (…)         a left join with them and a mark; rows whose mark is NULL remain
 *   (SELECT aggregate …)   a cross join with the one row it yields
 *
 * A subquery of EXISTS and IN may use columns of the query around it in equalities of its WHERE clause.
 */
#include "sql/bind.h"

struct anti_join {
    struct kp_plan *right;  /* its columns: the keys, then a mark */
    struct kp_expr **outer; /* key_count, over the query around */
    uint32_t key_count;
    struct anti_join *next;
};

/* What a row of the query around must equal: pairs of (outer expression, column of the subquery's plan). */
struct semi {
    struct kp_plan *plan; /* yields the inner keys */
    struct kp_expr **outer;
    uint32_t count, cap;
    struct kp_expr **inner; /* over the subquery's joins, while it is being bound */
    int32_t location;       /* of IN or EXISTS */
};

static void add_pair(struct binder *binder, struct semi *semi, struct kp_expr *outer, struct kp_expr *inner)
{
    if (semi->count == semi->cap) {
        semi->cap = semi->cap ? semi->cap * 2 : 4;
        struct kp_expr **outers = kp_arena_alloc(binder->arena, semi->cap * sizeof *outers);
        struct kp_expr **inners = kp_arena_alloc(binder->arena, semi->cap * sizeof *inners);
        if (semi->count) {
            memcpy(outers, semi->outer, semi->count * sizeof *outers);
            memcpy(inners, semi->inner, semi->count * sizeof *inners);
        }
        semi->outer = outers;
        semi->inner = inners;
    }
    semi->outer[semi->count] = outer;
    semi->inner[semi->count++] = inner;
}

struct reads {
    bool outer, inner;
};

static bool note_reads(const struct kp_expr *expr, void *arg)
{
    struct reads *reads = arg;
    if (expr->kind == KP_EXPR_COLUMN) {
        bool outer = expr->column >= KP_OUTER_BASE && expr->column < KP_AGG_BASE;
        reads->outer |= outer;
        reads->inner |= !outer;
    }
    return true;
}

static struct reads reads_of(const struct kp_expr *expr)
{
    struct reads reads = {0};
    kp_expr_walk(expr, note_reads, &reads);
    return reads;
}

static struct kp_expr *outer_to_column(const struct kp_expr *expr, struct kp_arena *arena, void *arg)
{
    if (expr->kind != KP_EXPR_COLUMN || expr->column < KP_OUTER_BASE)
        return NULL;
    struct kp_expr *copy = kp_arena_alloc(arena, sizeof *copy);
    *copy = *expr;
    copy->column -= KP_OUTER_BASE;
    return copy;
}

static enum kp_code refuse_correlation(struct binder *binder, int32_t location)
{
    kp_bind_fail(binder, location, KP_UNSUPPORTED, NULL, "this use of an outer column in a subquery is not supported");
    return kp_error_hint(
        binder->err, "Compare it with = to a column of the subquery in the subquery's WHERE clause, or write a join.");
}

/* The subquery's WHERE: equalities with the query around become pairs, the rest conditions of its own. */
static enum kp_code split_conditions(struct binder *binder, const struct conjuncts *all, struct query_joins *joins,
                                     struct semi *semi)
{
    for (uint32_t i = 0; i < all->count; i++) {
        struct kp_expr *condition = all->exprs[i];
        if (!reads_of(condition).outer) {
            kp_conjuncts_add(binder, &joins->conditions, condition);
            continue;
        }
        bool equality =
            condition->kind == KP_EXPR_CALL && condition->arg_count == 2 && strcmp(condition->func->name, "=") == 0;
        if (!equality)
            return refuse_correlation(binder, condition->location);
        struct kp_expr *a = condition->args[0], *b = condition->args[1];
        struct reads a_reads = reads_of(a), b_reads = reads_of(b);
        if (a_reads.outer && !a_reads.inner && !b_reads.outer)
            add_pair(binder, semi, kp_expr_copy(a, binder->arena, outer_to_column, NULL), b);
        else if (b_reads.outer && !b_reads.inner && !a_reads.outer)
            add_pair(binder, semi, kp_expr_copy(b, binder->arena, outer_to_column, NULL), a);
        else
            return refuse_correlation(binder, condition->location);
    }
    return KP_OK;
}

static bool is_simple(const PgQuery__SelectStmt *select)
{
    return select->op == PG_QUERY__SET_OPERATION__SETOP_NONE && !select->n_group_clause && !select->having_clause &&
           !select->n_values_lists && !select->n_distinct_clause && !select->limit_count && !select->limit_offset &&
           !select->with_clause && select->n_from_clause;
}

/* A subquery that only filters and joins: its WHERE may read the query around it. */
static enum kp_code bind_simple(struct binder *binder, const struct scope *outer, const PgQuery__SelectStmt *select,
                                struct kp_expr *const *tests, uint32_t test_count, struct semi *semi)
{
    struct query_joins joins = {0};
    struct scope scope = {.outer = NULL, .beyond = outer};
    struct agg_list aggs = {0};
    KP_TRY(kp_bind_from(binder, select->from_clause, select->n_from_clause, &joins, &scope));
    struct expr_place place = {.scope = &scope, .clause = "SELECT", .aggs = &aggs};
    if (test_count && select->n_target_list != test_count)
        return kp_bind_fail(binder, semi->location, KP_INVALID, "42601", "subquery has too %s columns",
                            select->n_target_list > test_count ? "many" : "few");
    for (uint32_t i = 0; i < test_count; i++) {
        struct kp_expr *inner;
        KP_TRY(kp_bind_expr(binder, &place, select->target_list[i]->res_target->val, &inner));
        KP_TRY(kp_bind_settle_unknown(binder, inner, &inner));
        add_pair(binder, semi, tests[i], inner);
    }
    if (aggs.count)
        return kp_bind_fail(binder, aggs.locations[0], KP_UNSUPPORTED, NULL,
                            "an aggregate in this subquery is not supported");
    if (select->where_clause) {
        struct scope inside = scope;
        inside.outer = outer;
        inside.beyond = NULL;
        struct expr_place where = {.scope = &inside, .clause = "WHERE"};
        struct kp_expr *expr;
        struct conjuncts all = {0};
        KP_TRY(kp_bind_expr(binder, &where, select->where_clause, &expr));
        KP_TRY(kp_bind_to_bool(binder, expr, "WHERE", &expr));
        kp_conjuncts_add(binder, &all, expr);
        KP_TRY(split_conditions(binder, &all, &joins, semi));
    }
    struct kp_plan *plan = kp_joins_finish(binder, &joins);
    semi->plan = kp_bind_project(binder, plan, semi->inner, NULL, semi->count);
    return KP_OK;
}

static bool has_aggregates(const PgQuery__SelectStmt *select)
{
    for (size_t i = 0; i < select->n_target_list; i++) {
        const PgQuery__Node *node = select->target_list[i]->res_target->val;
        const char *schema;
        if (node->node_case == PG_QUERY__NODE__NODE_FUNC_CALL && node->func_call->over)
            return true;
        if (node->node_case == PG_QUERY__NODE__NODE_FUNC_CALL &&
            kp_bind_is_aggregate(kp_tree_name(node->func_call->funcname, node->func_call->n_funcname, &schema)))
            return true;
    }
    return false;
}

/* Any other subquery, on its own. */
static enum kp_code bind_alone(struct binder *binder, const struct scope *outer, const PgQuery__SelectStmt *select,
                               struct kp_expr *const *tests, uint32_t test_count, struct semi *semi)
{
    const struct scope *around = binder->around;
    uint32_t count;
    binder->around = outer;
    enum kp_code code = kp_bind_select(binder, select, false, &semi->plan, &count);
    binder->around = around;
    KP_TRY(code);
    if (test_count && test_count != semi->plan->col_count)
        return kp_bind_fail(binder, semi->location, KP_INVALID, "42601", "subquery has too %s columns",
                            semi->plan->col_count > test_count ? "many" : "few");
    for (uint32_t i = 0; i < test_count; i++)
        add_pair(binder, semi, tests[i], kp_bind_column(binder, i, semi->plan->cols[i].type, -1));
    semi->plan = kp_bind_project(binder, semi->plan, semi->inner, NULL, semi->count);
    return KP_OK;
}

static enum kp_code bind_semi(struct binder *binder, const struct scope *outer, const PgQuery__SelectStmt *select,
                              struct kp_expr *const *tests, uint32_t test_count, struct semi *semi)
{
    if (is_simple(select) && !has_aggregates(select))
        return bind_simple(binder, outer, select, tests, test_count, semi);
    return bind_alone(binder, outer, select, tests, test_count, semi);
}

/* x and (x, y) of x IN (…). */
static enum kp_code bind_tests(struct binder *binder, const struct expr_place *place, const PgQuery__Node *node,
                               struct kp_expr ***ret_tests, uint32_t *ret_count)
{
    bool row = node->node_case == PG_QUERY__NODE__NODE_ROW_EXPR;
    uint32_t count = row ? (uint32_t)node->row_expr->n_args : 1;
    struct kp_expr **tests = kp_arena_calloc(binder->arena, count * sizeof *tests);
    for (uint32_t i = 0; i < count; i++)
        KP_TRY(kp_bind_expr(binder, place, row ? node->row_expr->args[i] : node, &tests[i]));
    *ret_tests = tests;
    *ret_count = count;
    return KP_OK;
}

/* Columns of the distinct keys are base…; the join's conditions. */
static enum kp_code join_semi(struct binder *binder, struct query_joins *joins, struct semi *semi, int32_t location)
{
    uint32_t base = joins->col_count;
    if (semi->count == 0) { /* only whether there is a row */
        struct kp_expr **yes = kp_arena_alloc(binder->arena, sizeof *yes);
        yes[0] = kp_bind_bool(binder, true);
        semi->plan = kp_bind_project(binder, semi->plan, yes, NULL, 1);
        semi->plan->cols[0].name = "exists";
    }
    struct kp_plan *keys = kp_bind_distinct(binder, semi->plan);
    kp_joins_add(binder, joins, keys);
    for (uint32_t i = 0; i < semi->count; i++) {
        struct kp_expr *equal;
        KP_TRY(kp_bind_operator(binder, "=", semi->outer[i],
                                kp_bind_column(binder, base + i, keys->cols[i].type, location), location, &equal));
        kp_conjuncts_add(binder, &joins->conditions, equal);
    }
    return KP_OK;
}

static void join_anti(struct binder *binder, struct query_joins *joins, struct semi *semi)
{
    struct kp_expr **exprs = kp_arena_alloc(binder->arena, (semi->count + 1) * sizeof *exprs);
    for (uint32_t i = 0; i < semi->count; i++)
        exprs[i] = kp_bind_column(binder, i, semi->plan->cols[i].type, -1);
    exprs[semi->count] = kp_bind_bool(binder, true);
    struct anti_join *anti = kp_arena_calloc(binder->arena, sizeof *anti);
    struct kp_plan *marked = kp_bind_project(binder, semi->plan, exprs, NULL, semi->count + 1);
    marked->cols[semi->count].name = "matched";
    anti->right = kp_bind_distinct(binder, marked);
    anti->outer = semi->outer;
    anti->key_count = semi->count;
    anti->next = joins->antis;
    joins->antis = anti;
}

struct kp_plan *kp_apply_antis(struct binder *binder, struct query_joins *joins, struct kp_plan *plan)
{
    for (struct anti_join *anti = joins->antis; anti; anti = anti->next) {
        uint32_t base = plan->col_count, mark = base + anti->key_count;
        plan = kp_bind_join(binder, KP_JOIN_LEFT, plan, anti->right);
        for (uint32_t i = 0; i < anti->key_count; i++) {
            struct kp_expr *equal;
            enum kp_code code =
                kp_bind_operator(binder, "=", anti->outer[i],
                                 kp_bind_column(binder, base + i, anti->right->cols[i].type, -1), -1, &equal);
            KP_ASSERT(code == KP_OK); /* it was bound with these types before */
            kp_join_condition(binder, plan, equal);
        }
        struct kp_expr *none = kp_bind_new(binder, KP_EXPR_IS_NULL, KP_TYPE(KP_BOOL), -1, 1);
        none->args[0] = kp_bind_column(binder, mark, KP_TYPE(KP_BOOL), -1);
        kp_expr_settle(none);
        plan = kp_bind_filter(binder, plan, none);
    }
    return plan;
}

/* x NOT IN (…) is NOT EXISTS only where no side can be NULL. */
static enum kp_code check_not_in(struct binder *binder, const struct scope *scope, const struct semi *semi,
                                 uint32_t tests, int32_t location)
{
    for (uint32_t i = 0; i < tests; i++) {
        bool outer_safe = semi->outer[i]->kind == KP_EXPR_CONST && !semi->outer[i]->datum.null;
        for (uint32_t c = 0; c < scope->count; c++)
            outer_safe |= semi->outer[i]->kind == KP_EXPR_COLUMN && scope->cols[c].index == semi->outer[i]->column &&
                          scope->cols[c].not_null;
        if (!outer_safe || !semi->plan->cols[i].not_null) {
            kp_bind_fail(binder, location, KP_UNSUPPORTED, NULL,
                         "NOT IN (SELECT …) over columns that may be NULL is not supported");
            return kp_error_hint(binder->err,
                                 "Write NOT EXISTS (SELECT 1 FROM … WHERE … = …), which NULLs do not upset.");
        }
    }
    return KP_OK;
}

static enum kp_code bind_where_sublink(struct binder *binder, const struct expr_place *place,
                                       const PgQuery__SubLink *link, bool negated, struct query_joins *joins)
{
    struct semi semi = {.location = link->location};
    struct kp_expr **tests = NULL;
    uint32_t test_count = 0;
    if (link->sub_link_type == PG_QUERY__SUB_LINK_TYPE__ANY_SUBLINK) {
        KP_TRY(bind_tests(binder, place, link->testexpr, &tests, &test_count));
        if (link->n_oper_name && strcmp(link->oper_name[link->n_oper_name - 1]->string->sval, "=") != 0)
            return kp_bind_fail(binder, link->location, KP_UNSUPPORTED, NULL,
                                "ANY (SELECT …) is only supported with =");
    }
    KP_TRY(bind_semi(binder, place->scope, link->subselect->select_stmt, tests, test_count, &semi));
    if (!negated)
        return join_semi(binder, joins, &semi, link->location);
    KP_TRY(check_not_in(binder, place->scope, &semi, test_count, link->location));
    for (uint32_t i = 0; i < semi.count; i++) { /* the types can be compared: kp_apply_antis relies on it */
        struct kp_expr *equal;
        KP_TRY(kp_bind_operator(binder, "=", semi.outer[i], kp_bind_column(binder, i, semi.plan->cols[i].type, -1),
                                link->location, &equal));
    }
    join_anti(binder, joins, &semi);
    return KP_OK;
}

static const PgQuery__SubLink *where_sublink(const PgQuery__Node *node, bool *ret_negated)
{
    *ret_negated = false;
    while (node->node_case == PG_QUERY__NODE__NODE_BOOL_EXPR &&
           node->bool_expr->boolop == PG_QUERY__BOOL_EXPR_TYPE__NOT_EXPR) {
        *ret_negated = !*ret_negated;
        node = node->bool_expr->args[0];
    }
    if (node->node_case != PG_QUERY__NODE__NODE_SUB_LINK)
        return NULL;
    enum _PgQuery__SubLinkType type = node->sub_link->sub_link_type;
    bool join = type == PG_QUERY__SUB_LINK_TYPE__EXISTS_SUBLINK || type == PG_QUERY__SUB_LINK_TYPE__ANY_SUBLINK;
    return join ? node->sub_link : NULL;
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
    bool negated;
    const PgQuery__SubLink *link = where_sublink(where, &negated);
    if (link)
        return bind_where_sublink(binder, place, link, negated, joins);
    struct kp_expr *expr;
    bool now_allowed = binder->now_allowed;
    binder->now_allowed = true;
    enum kp_code code = kp_bind_expr(binder, place, where, &expr);
    binder->now_allowed = now_allowed;
    KP_TRY(code);
    KP_TRY(kp_bind_to_bool(binder, expr, "WHERE", &expr));
    KP_TRY(kp_bind_check_now(binder, expr));
    kp_conjuncts_add(binder, &joins->conditions, expr);
    return KP_OK;
}

/* Exactly one row, whatever the data. */
static bool yields_one_row(const struct kp_plan *plan)
{
    while (plan->kind == KP_PLAN_PROJECT)
        plan = plan->inputs[0];
    return (plan->kind == KP_PLAN_AGGREGATE && plan->aggregate.group_count == 0) ||
           (plan->kind == KP_PLAN_VALUES && plan->values.rows == 1);
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

enum kp_code kp_bind_scalar_sublink(struct binder *binder, const struct expr_place *place, const PgQuery__SubLink *link,
                                    struct kp_expr **ret_expr)
{
    const PgQuery__SelectStmt *select = link->subselect->select_stmt;
    bool scalar = link->sub_link_type == PG_QUERY__SUB_LINK_TYPE__EXPR_SUBLINK, done = false;
    bool whole = scalar || link->sub_link_type == PG_QUERY__SUB_LINK_TYPE__ARRAY_SUBLINK ||
                 link->sub_link_type == PG_QUERY__SUB_LINK_TYPE__EXISTS_SUBLINK;
    if (scalar && place->joins && is_simple(select) && !has_aggregates(select)) {
        KP_TRY(kp_bind_lookup(binder, place, select, &done, ret_expr));
        if (done)
            return KP_OK;
    }
    if (whole && !scalar && select->op == PG_QUERY__SET_OPERATION__SETOP_NONE) {
        struct kp_error *err = binder->err, unseen;
        const struct scope *beyond = binder->around;
        struct kp_plan *nothing = NULL;
        uint32_t columns;
        binder->err = &unseen;
        binder->around = place->scope;
        enum kp_code tried = kp_bind_select(binder, select, false, &nothing, &columns);
        binder->around = beyond;
        binder->err = err;
        if (tried == KP_OK && kp_plan_is_never(nothing))
            return value_of_nothing(binder, link, nothing, ret_expr);
    }
    if (!scalar || !place->joins) {
        kp_bind_fail(binder, link->location, KP_UNSUPPORTED, NULL, "a subquery is not supported here");
        return kp_error_hint(binder->err,
                             "EXISTS and IN may stand in WHERE, joined by AND; else write the query as a join.");
    }
    const struct scope *around = binder->around;
    struct kp_plan *plan;
    uint32_t count;
    binder->around = place->scope;
    enum kp_code code = kp_bind_select(binder, link->subselect->select_stmt, false, &plan, &count);
    binder->around = around;
    KP_TRY(code);
    if (plan->col_count != 1)
        return kp_bind_fail(binder, link->location, KP_INVALID, "42601", "subquery must return only one column");
    if (kp_plan_is_never(plan))
        return value_of_nothing(binder, link, plan, ret_expr);
    if (!yields_one_row(plan)) {
        kp_bind_fail(binder, link->location, KP_UNSUPPORTED, NULL,
                     "a subquery that may yield more or less than one row is not supported here");
        return kp_error_hint(binder->err,
                             "Aggregate without GROUP BY (SELECT max(…) FROM …), or write the query as a join.");
    }
    uint32_t base = place->joins->col_count;
    kp_joins_add(binder, place->joins, plan);
    *ret_expr = kp_bind_column(binder, base, plan->cols[0].type, link->location);
    return KP_OK;
}
