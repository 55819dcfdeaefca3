/*
 * WITH: each query is bound where it is used. WITH RECURSIVE: a query that refers to itself is a RECURSE:
 *
 *   Recurse r ─┬─ non-recursive term
 *              └─ recursive term ─ … ─ Filter: iteration = $round ─ Work r
 *
 * The recursive term computes each iteration from the rows of the one before alone. So it is bound as a query that a
 * further one surrounds, whose one column is the iteration; r stands for those rows of all iterations which have that
 * one. Then the condition is pulled up through the term as that of a correlated subquery would be (pull.c), which makes
 * the iteration one more column, group, partition or join key on its way; where that cannot be done the term is
 * refused.
 */
#include "sql/bind.h"
#include "sql/object.h"

static enum kp_code add_query(struct binder *binder, const PgQuery__WithClause *with,
                              const PgQuery__CommonTableExpr *def, const struct cte *before, struct write_list *writes)
{
    for (const struct cte *other = binder->ctes; other != before; other = other->next)
        if (strcmp(other->def->ctename, def->ctename) == 0)
            return kp_bind_fail(binder, def->location, KP_INVALID, "42712",
                                "WITH query name \"%s\" specified more than once", def->ctename);
    struct cte *cte = kp_arena_calloc(binder->arena, sizeof *cte);
    cte->def = def;
    cte->around = binder->around;
    cte->from = binder->from;
    cte->within = binder->innermost;
    cte->no_self = binder->no_self;
    cte->recursive = with->recursive;
    cte->next = binder->ctes;
    cte->writes = def->ctequery->node_case != PG_QUERY__NODE__NODE_SELECT_STMT;
    if (cte->writes && !writes)
        return kp_bind_fail(binder, def->location, KP_UNSUPPORTED, NULL,
                            "WITH clause containing a data-modifying statement must be at the top level");
    if (cte->writes) {
        binder->writes = writes;
        KP_TRY(kp_bind_with_write(binder, cte));
        binder->writes = NULL;
    }
    binder->ctes = cte;
    return KP_OK;
}

enum kp_code kp_bind_with(struct binder *binder, const PgQuery__WithClause *with)
{
    const struct cte *before = binder->ctes;
    struct write_list *writes = binder->writes;
    binder->writes = NULL;
    for (size_t i = 0; with && i < with->n_ctes; i++)
        KP_TRY(add_query(binder, with, with->ctes[i]->common_table_expr, before, writes));
    const struct cte *all = binder->ctes;
    for (struct cte *cte = (struct cte *)(uintptr_t)all; cte != before; cte = (struct cte *)(uintptr_t)cte->next)
        cte->visible = all; /* just made */
    return KP_OK;
}

static enum kp_code name_columns(struct binder *binder, const struct cte *cte, struct kp_plan *plan)
{
    if (cte->def->n_aliascolnames > plan->col_count)
        return kp_bind_fail(binder, cte->def->location, KP_INVALID, "42P10",
                            "WITH query \"%s\" has %u columns available but %zu columns specified", cte->def->ctename,
                            plan->col_count, cte->def->n_aliascolnames);
    for (size_t i = 0; i < cte->def->n_aliascolnames; i++)
        plan->cols[i].name = cte->def->aliascolnames[i]->string->sval;
    return KP_OK;
}

/* ---- a reference to itself ---- */

static enum kp_code refuse_reference(struct binder *binder, const struct cte *cte, int32_t location)
{
    const char *name = cte->def->ctename;
    if (cte->state == CTE_BASE)
        return kp_bind_fail(binder, location, KP_INVALID, "42P19",
                            "recursive reference to query \"%s\" must not appear within its non-recursive term", name);
    return kp_bind_fail(binder, cte->def->location, KP_INVALID, "42P19",
                        "recursive query \"%s\" does not have the form non-recursive-term UNION [ALL] recursive-term",
                        name);
}

static enum kp_code refuse_within(struct binder *binder, const struct cte *cte, const char *what, int32_t location)
{
    return kp_bind_fail(binder, location, KP_INVALID, "42P19",
                        "recursive reference to query \"%s\" must not appear within %s", cte->def->ctename, what);
}

/* The rows of $round. */
static enum kp_code bind_self(struct binder *binder, struct cte *cte, int32_t location, struct kp_plan **ret_plan)
{
    if (binder->no_self)
        return refuse_within(binder, cte, binder->no_self, location);
    if (cte->references++ && !binder->bound_again)
        return kp_bind_fail(binder, location, KP_INVALID, "42P19",
                            "recursive reference to query \"%s\" must not appear more than once", cte->def->ctename);
    uint32_t level = 0, count = cte->work->col_count - 1;
    for (const struct scope *scope = binder->around; scope != cte->round; scope = scope->outer, level++)
        if (!scope) /* in a WITH of the whole union, which stands outside of the recursive term */
            return refuse_within(binder, cte, "a subquery", location);
    struct kp_expr *own = kp_bind_column(binder, count, KP_TYPE(KP_INT8), -1), *same;
    struct kp_expr *round = kp_bind_column(binder, KP_OUTER_BASE + level * KP_OUTER_LEVEL, KP_TYPE(KP_INT8), -1);
    KP_TRY(kp_bind_operator(binder, "=", own, round, -1, &same));
    struct kp_plan *work = kp_plan_copy(cte->work, binder->arena);
    *ret_plan = kp_bind_first_columns(binder, kp_bind_filter(binder, work, same), count);
    return KP_OK;
}

/* ---- the recursive term ---- */

/* The term for all iterations that there are, as a subquery for the rows around it: where it is more than the condition
 * that reads the iteration. */
static enum kp_code unnest_round(struct binder *binder, const struct cte *cte, struct kp_plan *term,
                                 struct kp_plan **ret_plan)
{
    uint32_t first = 0, count = term->col_count;
    struct kp_expr *round = kp_bind_column(binder, cte->work->col_count - 1, KP_TYPE(KP_INT8), -1);
    struct kp_plan *rounds = kp_bind_project(binder, kp_plan_copy(cte->work, binder->arena), &round, NULL, 1), *plan;
    struct domain domain = {
        .plan = kp_bind_distinct(binder, rounds), .width = 1, .ref_count = 1, .refs = &first, .at = &first};
    KP_TRY(kp_unnest(binder, &domain, term, &plan));
    struct kp_expr **exprs = kp_arena_alloc(binder->arena, (count + 1) * sizeof *exprs);
    for (uint32_t i = 0; i <= count; i++)
        exprs[i] = kp_bind_column(binder, i < count ? i + 1 : 0, plan->cols[i < count ? i + 1 : 0].type, -1);
    *ret_plan = kp_bind_project(binder, plan, exprs, NULL, count + 1);
    return KP_OK;
}

/* The iteration as the last column. */
static enum kp_code pull_round(struct binder *binder, const struct cte *cte, struct kp_plan *term,
                               struct kp_plan **ret_plan)
{
    struct conjuncts conds;
    struct kp_plan *plan;
    uint32_t count = term->col_count;
    if (!kp_pull(binder, term, true, &plan, &conds))
        return unnest_round(binder, cte, term, ret_plan);
    kp_plan_shift_levels(binder, plan, 1, -1);
    struct kp_expr **exprs = kp_arena_alloc(binder->arena, (count + 1) * sizeof *exprs), *round = NULL, *outer, *own;
    for (uint32_t i = 0; i < conds.count; i++) {
        bool equality = kp_correlated_equality(conds.exprs[i], &outer, &own);
        KP_ASSERT(equality);
        struct kp_expr *same;
        if (round) {
            KP_TRY(kp_bind_operator(binder, "=", round, own, -1, &same));
            plan = kp_push_predicate(binder, plan, same);
        } else {
            round = own;
        }
    }
    if (!round) /* what refers to itself is in a part that has no rows (never.c), beside others that may have some */
        return kp_bind_fail(binder, cte->def->location, KP_UNSUPPORTED, NULL,
                            "the recursive term of \"%s\" reads nothing of it: it joins what never has rows",
                            cte->def->ctename);
    for (uint32_t i = 0; i < count; i++)
        exprs[i] = kp_bind_column(binder, i, plan->cols[i].type, -1);
    exprs[count] = round;
    *ret_plan = kp_bind_project(binder, plan, exprs, NULL, count + 1);
    return KP_OK;
}

static bool reads_now(const struct kp_plan *plan)
{
    if (plan->kind == KP_PLAN_FILTER && kp_expr_reads_now(plan->filter.predicate))
        return true;
    for (uint32_t i = 0; i < plan->input_count; i++)
        if (reads_now(plan->inputs[i]))
            return true;
    return false;
}

static void print_type(struct binder *binder, struct kp_type type, struct kp_buf *out)
{
    if (type.domain)
        kp_buf_append_text(out, kp_bind_type_text(binder, type));
    else
        kp_type_print(type, out);
}

static enum kp_code check_types(struct binder *binder, const struct cte *cte, const struct kp_plan *base,
                                const struct kp_column *cols)
{
    for (uint32_t i = 0; i < base->col_count; i++) {
        struct kp_type was = base->cols[i].type, is = cols[i].type;
        if (kp_type_equal(was, is) && was.domain == is.domain)
            continue;
        struct kp_buf before = {0}, after = {0};
        print_type(binder, was, &before);
        print_type(binder, is, &after);
        kp_buf_append_byte(&before, 0);
        kp_buf_append_byte(&after, 0);
        kp_bind_fail(binder, base->kind == KP_PLAN_PROJECT ? base->project.exprs[i]->location : -1, KP_INVALID, "42804",
                     "recursive query \"%s\" column %u has type %s in non-recursive term but type %s overall",
                     cte->def->ctename, i + 1, (const char *)before.data, (const char *)after.data);
        kp_buf_finish(&before);
        kp_buf_finish(&after);
        return kp_error_hint(binder->err, "Cast the output of the non-recursive term to the correct type.");
    }
    return KP_OK;
}

static enum kp_code refuse_clauses(struct binder *binder, const struct cte *cte, const PgQuery__SelectStmt *select)
{
    const char *what = select->n_sort_clause  ? "ORDER BY"
                       : select->limit_offset ? "OFFSET"
                       : select->limit_count  ? "LIMIT"
                                              : NULL;
    const PgQuery__Node *at = select->n_sort_clause  ? select->sort_clause[0]->sort_by->node
                              : select->limit_offset ? select->limit_offset
                                                     : select->limit_count;
    if (what)
        return kp_bind_fail(binder, kp_tree_location(at), KP_UNSUPPORTED, NULL,
                            "%s in a recursive query is not implemented", what);
    return KP_OK;
}

static struct kp_plan *work_of(struct binder *binder, const struct cte *cte, const struct kp_plan *base, uint32_t id)
{
    uint32_t count = base->col_count;
    struct kp_plan *work = kp_bind_node(binder, KP_PLAN_WORK, -1, count + 1, 0);
    work->recurse.id = id;
    work->recurse.name = kp_arena_strdup(binder->arena, cte->def->ctename);
    for (uint32_t i = 0; i < count; i++) {
        bool named = i < cte->def->n_aliascolnames;
        const char *name = named ? cte->def->aliascolnames[i]->string->sval : base->cols[i].name;
        work->cols[i] = (struct kp_column){name, base->cols[i].type, false};
    }
    work->cols[count] = (struct kp_column){"iteration", KP_TYPE(KP_INT8), true};
    return work;
}

/* A term that never has rows (a join with pg_auth_members: pgAdmin asks so) adds nothing. */
static struct kp_plan *base_alone(struct binder *binder, const struct cte *cte, bool all, struct kp_plan *base)
{
    struct kp_plan *plan = kp_bind_first_columns(binder, all ? base : kp_bind_distinct(binder, base), base->col_count);
    for (uint32_t i = 0; i < plan->col_count; i++)
        plan->cols[i].name = cte->work->cols[i].name;
    return plan;
}

/* The terms' columns become one. */
static enum kp_code make_recursion(struct binder *binder, const struct cte *cte, const PgQuery__SelectStmt *select,
                                   struct kp_plan *base, struct kp_plan *term, struct kp_plan **ret_plan)
{
    uint32_t count = base->col_count;
    KP_TRY(refuse_clauses(binder, cte, select));
    if (term->col_count != count)
        return kp_bind_fail(binder, select->rarg->n_target_list ? kp_tree_location(select->rarg->target_list[0]) : -1,
                            KP_INVALID, "42601", "each UNION query must have the same number of columns");
    struct kp_column *cols = kp_arena_calloc(binder->arena, (count + 1) * sizeof *cols);
    KP_TRY(kp_union_columns(binder, base, term, "UNION", cols));
    KP_TRY(check_types(binder, cte, base, cols));
    for (uint32_t i = 0; !select->all && i < count; i++)
        KP_TRY(kp_bind_must_compare(
            binder, cols[i].type.id, "equality",
            select->larg->n_target_list == count ? kp_tree_location(select->larg->target_list[i]) : -1));
    if (kp_plan_is_never(term)) {
        *ret_plan = base_alone(binder, cte, select->all, base);
        return KP_OK;
    }
    KP_TRY(kp_union_branch(binder, term, cols, &term));
    KP_TRY(pull_round(binder, cte, term, &term));
    if (binder->for_view && reads_now(term))
        return kp_bind_fail(binder, -1, KP_UNSUPPORTED, NULL, "now() in a recursive term cannot be used in a view");
    struct kp_plan *plan = kp_bind_node(binder, KP_PLAN_RECURSE, base->location, count, 2);
    plan->recurse.id = cte->work->recurse.id;
    plan->recurse.distinct = !select->all;
    plan->recurse.name = kp_arena_strdup(binder->arena, cte->def->ctename);
    plan->inputs[0] = base;
    plan->inputs[1] = term;
    for (uint32_t i = 0; i < count; i++)
        plan->cols[i] = (struct kp_column){cte->work->cols[i].name, base->cols[i].type, false};
    *ret_plan = plan;
    return KP_OK;
}

/* *ret_plan NULL: it does not refer to itself. */
static enum kp_code bind_union(struct binder *binder, struct cte *cte, PgQuery__SelectStmt *select,
                               struct kp_plan **ret_plan)
{
    const struct scope round = {.outer = cte->around};
    struct kp_plan *base, *term;
    uint32_t count, hidden = 0;
    KP_TRY(kp_bind_with(binder, select->with_clause));
    cte->state = CTE_BASE;
    KP_TRY(kp_bind_select(binder, select->larg, false, &base, &count));
    if (cte->def->search_clause || cte->def->cycle_clause) {
        KP_TRY(kp_bind_search_cycle(binder, cte->def, base, &select, &hidden));
        KP_TRY(kp_bind_select(binder, select->larg, false, &base, &count));
    }
    if (base->col_count == 0)
        return kp_bind_fail(binder, cte->def->location, KP_UNSUPPORTED, NULL,
                            "the recursive query \"%s\" has no columns", cte->def->ctename);
    if (cte->def->n_aliascolnames > base->col_count)
        return name_columns(binder, cte, base);
    cte->work = work_of(binder, cte, base, ++binder->recursions);
    cte->round = &round;
    cte->references = 0;
    cte->state = CTE_WORK;
    binder->around = &round;
    binder->keep_unknown = true; /* a literal's type is that of the other term's column */
    KP_TRY(kp_bind_select(binder, select->rarg, false, &term, &count));
    binder->keep_unknown = false;
    if (!cte->references) {
        *ret_plan = NULL;
        return KP_OK;
    }
    KP_TRY(make_recursion(binder, cte, select, base, term, ret_plan));
    *ret_plan = kp_bind_first_columns(binder, *ret_plan, (*ret_plan)->col_count - hidden);
    return KP_OK;
}

/* The query of WITH is being bound, and this reference is inside it: in itself, or in a WITH of its own. */
static bool is_inside(const struct binder *binder, const struct cte *cte)
{
    const struct cte *inner = binder->innermost;
    while (inner && inner != cte)
        inner = inner->within;
    return inner == cte;
}

/* ---- any of them ---- */

static enum kp_code bind_query(struct binder *binder, struct cte *cte, struct kp_plan **ret_plan)
{
    PgQuery__SelectStmt *select = cte->def->ctequery->select_stmt;
    const struct cte *visible = cte->recursive ? cte->visible : cte->next;
    const char *no_self = binder->no_self;
    uint32_t count;
    binder->ctes = visible;
    binder->around = cte->around;
    *ret_plan = NULL;
    if (cte->recursive && select->op == PG_QUERY__SET_OPERATION__SETOP_UNION) {
        binder->no_self = NULL;
        KP_TRY(bind_union(binder, cte, select, ret_plan));
    }
    binder->ctes = visible;
    binder->around = cte->around;
    binder->no_self = cte->no_self; /* whatever it is used in */
    cte->state = CTE_PLAIN;
    if (!*ret_plan && (cte->def->search_clause || cte->def->cycle_clause))
        return kp_bind_fail(binder, cte->def->location, KP_INVALID, "42601", "WITH query is not recursive");
    enum kp_code code = *ret_plan ? KP_OK : kp_bind_select(binder, select, false, ret_plan, &count);
    binder->no_self = no_self;
    return code;
}

enum kp_code kp_bind_cte(struct binder *binder, struct cte *cte, int32_t location, struct kp_plan **ret_plan)
{
    const struct cte *ctes = binder->ctes;
    cte->used = true;
    if (cte->writes && !cte->given)
        return kp_bind_fail(binder, location, KP_UNSUPPORTED, NULL,
                            "WITH query \"%s\" does not have a RETURNING clause", cte->def->ctename);
    if (cte->given) {
        *ret_plan = kp_bind_scan(binder, cte->given, location);
        return name_columns(binder, cte, *ret_plan);
    }
    if (cte->state != CTE_IDLE && !is_inside(binder, cte))
        return kp_bind_fail(binder, cte->def->location, KP_UNSUPPORTED, NULL,
                            "mutual recursion between WITH items is not implemented");
    if (cte->state == CTE_WORK)
        return bind_self(binder, cte, location, ret_plan);
    if (cte->state != CTE_IDLE)
        return refuse_reference(binder, cte, location);
    const struct scope *around = binder->around;
    const struct cte *innermost = binder->innermost;
    const struct from_list *from = binder->from;
    int deeper = 0;
    for (const struct scope *scope = around; scope && scope != cte->around; scope = scope->outer)
        deeper++;
    bool again = binder->bound_again;
    binder->innermost = cte;
    binder->bound_again |= cte->bound;
    binder->from = cte->from;
    enum kp_code code = bind_query(binder, cte, ret_plan);
    binder->from = from;
    cte->bound = true;
    binder->bound_again = again;
    cte->state = CTE_IDLE;
    binder->ctes = ctes;
    binder->around = around;
    binder->innermost = innermost;
    KP_TRY(code);
    if (deeper && cte->around)
        kp_plan_shift_levels(binder, *ret_plan, 0, deeper);
    return name_columns(binder, cte, *ret_plan);
}

static void use_scans(struct binder *binder, const struct kp_plan *plan)
{
    if (plan->kind == KP_PLAN_SCAN)
        kp_bind_use(binder, plan->scan.relation);
    for (uint32_t i = 0; i < plan->input_count; i++)
        use_scans(binder, plan->inputs[i]);
}

enum kp_code kp_bind_unused_with(struct binder *binder, const struct cte *before)
{
    for (const struct cte *cte = binder->ctes; cte != before; cte = cte->next) {
        struct kp_plan *plan;
        if (cte->used || cte->writes)
            continue;
        KP_TRY(kp_bind_cte(binder, (struct cte *)(uintptr_t)cte, cte->def->location, &plan));
        use_scans(binder, plan);
    }
    return KP_OK;
}
