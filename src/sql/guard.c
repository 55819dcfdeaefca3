/*
 * Which rows a subquery in an expression is computed for. CASE, COALESCE, AND and OR compute a later argument only
 * where the earlier ones leave that open; so a subquery in such a place, if it can fail, is unnested over the rows that
 * come to it, and no others:
 *
 *   CASE WHEN x = 0 THEN 0 ELSE (SELECT …) END        guard:  (x = 0) IS NOT TRUE
 *   a OR b AND (SELECT …)                             guard:  a IS NOT TRUE AND b IS NOT FALSE
 *   COALESCE(a, (SELECT …))                           guard:  a IS NULL
 *
 * A subquery elsewhere that reads nothing around it is computed once, for all rows. If it can fail by a value, it is
 * put over a domain of one row, which is there if any row comes to it: where none does, nothing of it is computed.
 * Conditions that read subqueries alone are asked before there are rows, as PostgreSQL does.
 *
 * The guard of a subquery that stands in several places is their OR. What a guard itself needs of other subqueries is
 * there if they were joined before; a condition that reads one which is not, or a window function, is left out, and the
 * guard holds for more rows than it had to.
 */
#include "sql/sublink.h"

/* What has to hold for the place in the expression that the walk has come to. */
struct path {
    const struct path *above;
    enum kp_expr_kind test;
    const struct kp_expr *expr;
};

struct guarding {
    struct binder *binder;
    const struct sub_list *subs;
    uint32_t column;       /* of the subquery */
    bool always;           /* some place is not guarded */
    struct kp_expr *guard; /* one of the places so far is come to */
};

static struct kp_expr *test_of(struct binder *binder, enum kp_expr_kind kind, struct kp_expr *arg)
{
    struct kp_expr *expr = kp_bind_new(binder, kind, KP_TYPE(KP_BOOL), arg->location, 1);
    expr->args[0] = arg;
    kp_expr_settle(expr);
    return expr;
}

/* first AND second, first OR second; first may be NULL. */
static struct kp_expr *with(struct binder *binder, enum kp_expr_kind kind, struct kp_expr *first,
                            struct kp_expr *second)
{
    if (!first)
        return second;
    struct kp_expr *expr = kp_bind_new(binder, kind, KP_TYPE(KP_BOOL), -1, 2);
    expr->args[0] = first;
    expr->args[1] = second;
    kp_expr_settle(expr);
    return expr;
}

static bool is_there(const struct kp_expr *expr, void *arg)
{
    (void)arg;
    return expr->kind != KP_EXPR_COLUMN || expr->column < KP_GROUPING_BASE || kp_is_outer(expr->column);
}

/* The conditions of the path, the outermost one first; NULL: none. */
static struct kp_expr *conditions(struct guarding *self, const struct path *path)
{
    if (!path)
        return NULL;
    struct kp_expr *before = conditions(self, path->above);
    struct kp_expr *expr = kp_subs_values(self->binder, self->subs, path->expr);
    if (!kp_expr_walk(expr, is_there, NULL))
        return before;
    return with(self->binder, KP_EXPR_AND, before, test_of(self->binder, path->test, expr));
}

static void note_place(struct guarding *self, const struct path *path)
{
    struct kp_expr *place = conditions(self, path);
    self->always |= !place;
    if (place)
        self->guard = with(self->binder, KP_EXPR_OR, self->guard, place);
}

static void walk(struct guarding *self, const struct kp_expr *expr, const struct path *path);

/* Arguments of which each is computed where `test` holds for all before it. */
static void walk_chain(struct guarding *self, const struct kp_expr *expr, enum kp_expr_kind test,
                       const struct path *path)
{
    struct path *steps = kp_arena_alloc(self->binder->arena, (expr->arg_count + 1) * sizeof *steps);
    for (uint32_t i = 0; i < expr->arg_count; i++) {
        walk(self, expr->args[i], path);
        steps[i] = (struct path){path, test, expr->args[i]};
        path = &steps[i];
    }
}

static void walk_case(struct guarding *self, const struct kp_expr *expr, const struct path *path)
{
    struct path *steps = kp_arena_alloc(self->binder->arena, (expr->arg_count + 1) * sizeof *steps);
    uint32_t a = 0;
    for (; a + 1 < expr->arg_count; a += 2) {
        walk(self, expr->args[a], path);
        steps[a] = (struct path){path, KP_EXPR_IS_TRUE, expr->args[a]};
        walk(self, expr->args[a + 1], &steps[a]);
        steps[a + 1] = (struct path){path, KP_EXPR_IS_NOT_TRUE, expr->args[a]};
        path = &steps[a + 1];
    }
    walk(self, expr->args[a], path);
}

static void walk(struct guarding *self, const struct kp_expr *expr, const struct path *path)
{
    if (expr->kind == KP_EXPR_COLUMN && expr->column == self->column)
        note_place(self, path);
    else if (expr->kind == KP_EXPR_AND)
        walk_chain(self, expr, KP_EXPR_IS_NOT_FALSE, path);
    else if (expr->kind == KP_EXPR_OR)
        walk_chain(self, expr, KP_EXPR_IS_NOT_TRUE, path);
    else if (expr->kind == KP_EXPR_COALESCE)
        walk_chain(self, expr, KP_EXPR_IS_NULL, path);
    else if (expr->kind == KP_EXPR_CASE)
        walk_case(self, expr, path);
    else
        for (uint32_t i = 0; i < expr->arg_count; i++)
            walk(self, expr->args[i], path);
}

static struct kp_expr *find_guard(struct binder *binder, const struct sub_list *subs, uint32_t number,
                                  struct kp_expr **const *exprs, uint32_t count)
{
    struct guarding self = {.binder = binder, .subs = subs, .column = KP_SUB_BASE + number};
    for (uint32_t i = 0; i < count; i++)
        walk(&self, *exprs[i], NULL);
    for (uint32_t i = 0; i < subs->count; i++) /* what another one is compared with is computed whenever that is */
        for (uint32_t t = 0; t < subs->items[i].test_count; t++)
            walk(&self, subs->items[i].tests[t], NULL);
    return self.always ? NULL : self.guard;
}

/* ---- what can fail ---- */

static void note_failing(struct kp_expr **slot, void *arg)
{
    *(bool *)arg |= (*slot)->can_fail;
}

bool kp_plan_can_fail(const struct kp_plan *plan)
{
    bool fails = false;
    kp_plan_each_expr((struct kp_plan *)(uintptr_t)plan, note_failing, &fails); /* looks only */
    for (uint32_t i = 0; plan->kind == KP_PLAN_EXPAND && i < plan->expand.call_count; i++)
        fails |= plan->expand.calls[i].func && plan->expand.calls[i].func->flags & KP_CAN_FAIL;
    for (uint32_t i = 0; !fails && i < plan->input_count; i++)
        fails = kp_plan_can_fail(plan->inputs[i]);
    return fails;
}

static void note_failing_by_value(struct kp_expr **slot, void *arg)
{
    *(bool *)arg |= kp_expr_fails_by_value(*slot);
}

static bool fails_by_value(const struct kp_plan *plan)
{
    bool fails = false;
    kp_plan_each_expr((struct kp_plan *)(uintptr_t)plan, note_failing_by_value, &fails); /* looks only */
    for (uint32_t i = 0; !fails && i < plan->input_count; i++)
        fails = fails_by_value(plan->inputs[i]);
    return fails;
}

/* There may be no row around it: a SELECT without FROM has one. */
static bool may_be_empty(const struct kp_plan *rows)
{
    return rows->kind == KP_PLAN_PROJECT ? may_be_empty(rows->inputs[0])
                                         : rows->kind != KP_PLAN_VALUES || rows->values.rows == 0;
}

/* ---- into the plan ---- */

/* The guard as a column behind the others: where it fails, its row fails once. */
static struct kp_expr *guard_column(struct binder *binder, struct kp_expr *guard, struct kp_plan **rows)
{
    uint32_t count = (*rows)->col_count;
    struct kp_expr **exprs = kp_arena_alloc(binder->arena, (count + 1) * sizeof *exprs);
    for (uint32_t i = 0; i < count; i++)
        exprs[i] = kp_bind_column(binder, i, (*rows)->cols[i].type, -1);
    exprs[count] = guard;
    *rows = kp_bind_project(binder, *rows, exprs, NULL, count + 1);
    (*rows)->cols[count].name = "guard";
    return kp_bind_column(binder, count, KP_TYPE(KP_BOOL), -1);
}

void kp_sub_if_any(struct binder *binder, struct sub *sub, const struct kp_plan *rows)
{
    struct kp_plan *plan = sub->plan;
    if (kp_plan_reads_level(plan, 1) || !may_be_empty(rows))
        return;
    if (sub->kind == SUB_EXISTS && plan->kind == KP_PLAN_PROJECT) /* its select list is not computed */
        plan = plan->inputs[0];
    if (!fails_by_value(plan))
        return;
    struct domain domain;
    struct kp_error unused = {0}, *err = binder->err;
    uint32_t count = plan->col_count;
    plan = kp_plan_copy(plan, binder->arena);
    binder->err = &unused;
    enum kp_code code = kp_domain_make(binder, rows, sub->tests, plan, kp_bind_bool(binder, true), &domain);
    if (code == KP_OK)
        code = kp_unnest(binder, &domain, plan, &plan);
    binder->err = err;
    if (code != KP_OK)
        return;
    struct kp_expr **exprs = kp_arena_alloc(binder->arena, (count + 1) * sizeof *exprs);
    const char **names = kp_arena_alloc(binder->arena, (count + 1) * sizeof *names);
    for (uint32_t i = 0; i < count; i++) {
        exprs[i] = kp_bind_column(binder, domain.width + i, plan->cols[domain.width + i].type, -1);
        names[i] = plan->cols[domain.width + i].name;
    }
    sub->plan = kp_bind_project(binder, plan, exprs, names, count);
    kp_plan_shift_levels(binder, sub->plan, 0, 1); /* it stands in a query of its own again */
}

struct reading {
    uint32_t column;
    bool sub, row;
};

static bool note_reading(const struct kp_expr *expr, void *arg)
{
    struct reading *reading = arg;
    reading->sub |= expr->kind == KP_EXPR_COLUMN && expr->column == reading->column;
    reading->row |= expr->kind == KP_EXPR_COLUMN && expr->column < KP_GROUPING_BASE;
    return true;
}

/* A condition on the subquery that no row has a part in. */
static bool is_asked_once(const struct sub *sub, uint32_t number, struct kp_expr **const *exprs, uint32_t count)
{
    bool once = false;
    for (uint32_t i = 0; sub->filters && !sub->test_count && i < count; i++) {
        struct reading reading = {KP_SUB_BASE + number, false, false};
        kp_expr_walk(*exprs[i], note_reading, &reading);
        once |= reading.sub && !reading.row;
    }
    return once;
}

void kp_sub_guard(struct binder *binder, struct sub_list *subs, uint32_t number, struct kp_expr **const *exprs,
                  uint32_t count, struct kp_plan **rows)
{
    struct sub *sub = &subs->items[number];
    bool tests = false;
    for (uint32_t t = 0; t < sub->test_count; t++)
        tests |= sub->tests[t]->can_fail;
    sub->guard = tests || kp_plan_can_fail(sub->plan) ? find_guard(binder, subs, number, exprs, count) : NULL;
    if (!sub->guard && !is_asked_once(sub, number, exprs, count))
        kp_sub_if_any(binder, sub, *rows);
    if (!sub->guard)
        return;
    if (sub->guard->can_fail)
        sub->guard = guard_column(binder, sub->guard, rows);
    for (uint32_t t = 0; t < sub->test_count; t++) {
        struct kp_expr *test = sub->tests[t];
        if (test->can_fail)
            sub->tests[t] = kp_bind_choice(binder, sub->guard, test, kp_bind_null(binder, test->type));
    }
}
