/*
 * Unnesting: a subquery that reads columns of the query around it, computed for all rows of that query at once.
 *
 *   domain   the different values that the outer rows give to the columns that the subquery reads
 *   unnest   the subquery's plan, rewritten to yield, for each row of the domain, what the subquery yields for it
 *
 * The domain is joined in where the plan first reads it and below that not at all; from there each node carries its
 * columns upwards as the first ones:
 *
 *   Filter p(outer)         Filter p(domain's columns), which as an equality becomes a key of the join below
 *   Aggregate by g          by the domain and g; without g: a domain's row that finds nothing has its row all the same
 *   Join                    of the sides that read it; if both do, also on the domain's columns
 *   TopN, Over              one for each row of the domain
 *   Recurse                 the domain's columns go round in its rows
 *   Scan                    Cross Join with the domain
 *
 * A guarded domain (guard.c) is joined in below what can fail too, whether that reads it or not.
 *
 * Rows of the domain are told apart as they print: types with equal values that print differently (1.0 and 1.00) have
 * their text as one more column. NULL is a value like any other.
 *
 * Levels: the plan's outer columns of level 2 and more become one level less on the way, each expression once.
 */
#include "sql/sublink.h"

/* ---- the domain ---- */

struct refs {
    struct binder *binder;
    struct kp_expr **columns; /* as they are read */
    uint32_t count, cap;
};

static bool note_ref(const struct kp_expr *expr, void *arg)
{
    struct refs *refs = arg;
    if (expr->kind != KP_EXPR_COLUMN || !kp_is_outer(expr->column) || kp_outer_level(expr->column) != 1)
        return true;
    for (uint32_t i = 0; i < refs->count; i++)
        if (refs->columns[i]->column == expr->column)
            return true;
    if (refs->count == refs->cap) {
        refs->cap = refs->cap ? refs->cap * 2 : 8;
        struct kp_expr **more = kp_arena_alloc(refs->binder->arena, refs->cap * sizeof *more);
        if (refs->count)
            memcpy(more, refs->columns, refs->count * sizeof *more);
        refs->columns = more;
    }
    refs->columns[refs->count++] = (struct kp_expr *)(uintptr_t)expr; /* read only */
    return true;
}

static void note_refs(struct kp_expr **slot, void *arg)
{
    kp_expr_walk(*slot, note_ref, arg);
}

static void collect(struct kp_plan *plan, struct refs *refs)
{
    kp_plan_each_expr(plan, note_refs, refs);
    for (uint32_t i = 0; i < plan->input_count; i++)
        collect(plan->inputs[i], refs);
}

/* Below joins that only add columns or take rows away, where the values still are: the domain may be larger. */
static const struct kp_plan *rows_below(struct binder *binder, const struct kp_plan *rows,
                                        struct kp_expr *const *values, uint32_t count)
{
    uint32_t most = 0, min, max;
    for (uint32_t i = 0; i < count; i++)
        if (kp_expr_column_range(values[i], &min, &max))
            most = KP_MAX(most, max + 1);
    for (;;) {
        bool join = rows->kind == KP_PLAN_JOIN;
        bool adds = join && (rows->join.kind == KP_JOIN_LEFT || rows->join.kind == KP_JOIN_SEMI ||
                             rows->join.kind == KP_JOIN_ANTI);
        if (join && rows->join.kind == KP_JOIN_INNER && rows->join.key_count == 0 && !rows->join.residual)
            adds = kp_plan_is_single(binder, rows->inputs[1], NULL);
        if (!adds || most > rows->inputs[0]->col_count)
            return rows;
        rows = rows->inputs[0];
    }
}

/* The values that make a domain's columns: what is read, then the texts that tell faces apart. */
static enum kp_code domain_values(struct binder *binder, const struct kp_plan *rows, struct kp_expr *const *tests,
                                  const struct refs *refs, struct domain *domain)
{
    domain->values = kp_arena_alloc(binder->arena, (refs->count * 2 + 2) * sizeof(struct kp_expr *));
    for (uint32_t i = 0; i < refs->count; i++) {
        uint32_t column = kp_outer_column(refs->columns[i]->column);
        struct kp_type type = refs->columns[i]->type;
        if (type.id == KP_JSON)
            return kp_bind_fail(binder, refs->columns[i]->location, KP_UNSUPPORTED, NULL,
                                "a subquery cannot use a column of type json of the query around it: cast it to jsonb");
        domain->refs[i] = column;
        domain->at[i] = domain->width;
        domain->values[domain->width++] =
            column >= KP_TEST_BASE
                ? tests[column - KP_TEST_BASE]
                : kp_bind_column(binder, column, rows->cols[column].type, refs->columns[i]->location);
    }
    for (uint32_t i = 0; i < refs->count; i++)
        if (kp_type_has_faces(domain->values[i]->type.id))
            KP_TRY(kp_bind_coerce(binder, domain->values[i], KP_TYPE(KP_TEXT), COERCE_EXPLICIT,
                                  &domain->values[domain->width++]));
    if (!domain->width) /* a row if there are any */
        domain->values[domain->width++] = kp_bind_bool(binder, true);
    return KP_OK;
}

static uint32_t count_nodes(const struct kp_plan *plan)
{
    uint32_t count = 1;
    for (uint32_t i = 0; i < plan->input_count; i++)
        count += count_nodes(plan->inputs[i]);
    return count;
}

enum kp_code kp_domain_make(struct binder *binder, const struct kp_plan *rows, struct kp_expr *const *tests,
                            const struct kp_plan *reader, struct kp_expr *guard, struct domain *ret_domain)
{
    struct refs refs = {.binder = binder};
    collect((struct kp_plan *)(uintptr_t)reader, &refs); /* looks only */
    struct domain domain = {.ref_count = refs.count, .guarded = guard != NULL};
    domain.refs = kp_arena_calloc(binder->arena, (refs.count + 1) * sizeof *domain.refs);
    domain.at = kp_arena_calloc(binder->arena, (refs.count + 1) * sizeof *domain.at);
    KP_TRY(domain_values(binder, rows, tests, &refs, &domain));
    const struct kp_plan *below = rows_below(binder, rows, domain.values, domain.width);
    if (guard)
        below = rows;
    binder->domain_nodes += count_nodes(below);
    if (binder->domain_nodes > KP_DOMAIN_NODES_MAX)
        return kp_bind_fail(binder, -1, KP_LIMIT, "54001",
                            "the query's subqueries are nested too deeply to be unnested");
    struct kp_plan *source = kp_plan_copy(below, binder->arena);
    if (guard)
        source = kp_bind_filter(binder, source, kp_expr_copy(guard, binder->arena, NULL, NULL));
    struct kp_expr **exprs = kp_arena_alloc(binder->arena, (domain.width + 1) * sizeof *exprs);
    for (uint32_t i = 0; i < domain.width; i++)
        exprs[i] = kp_expr_copy(domain.values[i], binder->arena, NULL, NULL);
    domain.plan = kp_bind_distinct(binder, kp_bind_project(binder, source, exprs, NULL, domain.width));
    *ret_domain = domain;
    return KP_OK;
}

struct kp_plan *kp_domain_join(struct binder *binder, enum kp_join_kind kind, struct kp_plan *rows,
                               const struct domain *domain, struct kp_plan *unnested)
{
    struct kp_plan *join = kp_bind_join(binder, kind, rows, unnested);
    for (uint32_t i = 0; i < domain->width; i++)
        kp_join_same(binder, join, domain->values[i], kp_bind_column(binder, i, domain->values[i]->type, -1));
    return join;
}

/* ---- an aggregate over no rows ---- */

struct kp_expr *kp_agg_of_nothing(struct binder *binder, const struct kp_plan_agg *agg)
{
    struct kp_session_settings none = {0};
    const struct kp_agg_impl *impl = agg->agg->retractable;
    struct kp_agg_call call = {.call = {.arena = binder->arena,
                                        .settings = binder->context->settings ? binder->context->settings : &none,
                                        .rows = 1,
                                        .type = agg->type},
                               .arg_count = agg->arg_count};
    for (uint32_t i = 0; i < agg->arg_count; i++)
        call.arg_types[i] = agg->args[i]->type;
    void *state = kp_arena_calloc(binder->arena, impl->state_bytes + 8u);
    struct kp_vec out;
    kp_vec_init(&out, binder->arena, agg->type, 1);
    impl->finalize(&call, &state, 1, &out);
    struct kp_expr *value = kp_bind_null(binder, agg->type);
    if (call.call.error_count || kp_vec_is_null(&out, 0))
        return value;
    value->datum.null = false;
    memcpy(value->datum.raw, out.data, kp_type_info(agg->type.id)->bytes);
    return value;
}

/* ---- unnesting ---- */

/* A recursion that carries the domain's columns in its own rows. */
struct unnest_loop {
    uint32_t id;
    const struct unnest_loop *around;
};

struct unnest {
    struct binder *binder;
    const struct domain *domain;
    uint32_t width; /* of the domain */
    const struct unnest_loop *loops;
};

static enum kp_code unnest(const struct unnest *self, struct kp_plan *plan, struct kp_plan **ret_plan);

/* The rows of such a recursion are among its rows. */
static bool carries_already(const struct unnest *self, const struct kp_plan *plan)
{
    for (const struct unnest_loop *loop = self->loops; loop && plan->kind == KP_PLAN_WORK; loop = loop->around)
        if (loop->id == plan->recurse.id)
            return true;
    for (uint32_t i = 0; i < plan->input_count; i++)
        if (carries_already(self, plan->inputs[i]))
            return true;
    return false;
}

/* It reads the domain; or it can fail, and is to be computed for the domain's rows only, and can be. */
static bool needs_domain(const struct unnest *self, const struct kp_plan *plan)
{
    if (kp_plan_reads_level(plan, 1) || carries_already(self, plan))
        return true;
    if (!self->domain->guarded || !kp_plan_can_fail(plan))
        return false;
    switch (plan->kind) {
    case KP_PLAN_SCAN:
    case KP_PLAN_ASOF:
    case KP_PLAN_RECURSE:
    case KP_PLAN_WORK:
    case KP_PLAN_MATCH:
    case KP_PLAN_EMIT:
        return false;
    default:
        return true;
    }
}

struct rewriting {
    const struct unnest *self;
    const uint32_t *map; /* own columns; NULL: as they are, behind the domain's */
    uint32_t outer;      /* added to the domain's columns */
};

static struct kp_expr *rewrite_node(const struct kp_expr *expr, struct kp_arena *arena, void *arg)
{
    const struct rewriting *rewriting = arg;
    const struct domain *domain = rewriting->self->domain;
    if (expr->kind != KP_EXPR_COLUMN)
        return NULL;
    struct kp_expr *copy = kp_arena_alloc(arena, sizeof *copy);
    *copy = *expr;
    if (!kp_is_outer(expr->column)) {
        copy->column = rewriting->map ? rewriting->map[expr->column] : expr->column + rewriting->self->width;
    } else if (kp_outer_level(expr->column) > 1) {
        copy->column -= KP_OUTER_LEVEL;
    } else {
        uint32_t i = 0;
        while (i < domain->ref_count && domain->refs[i] != kp_outer_column(expr->column))
            i++;
        KP_ASSERT(i < domain->ref_count);
        copy->column = domain->at[i] + rewriting->outer;
    }
    return copy;
}

static struct kp_expr *rewrite(const struct unnest *self, const struct kp_expr *expr, const uint32_t *map,
                               uint32_t outer)
{
    struct rewriting rewriting = {self, map, outer};
    return kp_expr_copy(expr, self->binder->arena, rewrite_node, &rewriting);
}

static struct kp_plan *domain_copy(const struct unnest *self)
{
    return kp_plan_copy(self->domain->plan, self->binder->arena);
}

static struct kp_expr *domain_column(const struct unnest *self, uint32_t i, uint32_t at)
{
    return kp_bind_column(self->binder, at, self->domain->plan->cols[i].type, -1);
}

static void domain_columns(const struct unnest *self, struct kp_expr **exprs)
{
    for (uint32_t i = 0; i < self->width; i++)
        exprs[i] = domain_column(self, i, i);
}

/* What does not read the domain, with each of its rows. */
static struct kp_plan *cross(const struct unnest *self, struct kp_plan *plan)
{
    if (plan->kind == KP_PLAN_VALUES && plan->values.rows == 1 && plan->col_count == 0)
        return domain_copy(self);
    kp_plan_shift_levels(self->binder, plan, 1, -1);
    return kp_bind_join(self->binder, KP_JOIN_INNER, domain_copy(self), plan);
}

/* The same node over an input with the domain's columns before it. */
static struct kp_plan *wider(const struct unnest *self, const struct kp_plan *plan, struct kp_plan *input)
{
    struct kp_plan *copy =
        kp_bind_node(self->binder, plan->kind, plan->location, self->width + plan->col_count, plan->input_count);
    struct kp_column *cols = copy->cols;
    struct kp_plan **inputs = copy->inputs;
    *copy = *plan;
    copy->cols = cols;
    copy->inputs = inputs;
    copy->col_count = self->width + plan->col_count;
    copy->inputs[0] = input;
    memcpy(cols, input->cols, self->width * sizeof *cols);
    memcpy(cols + self->width, plan->cols, plan->col_count * sizeof *cols);
    return copy;
}

static struct kp_plan *unnest_project(const struct unnest *self, const struct kp_plan *plan, struct kp_plan *input)
{
    uint32_t count = self->width + plan->col_count;
    struct kp_expr **exprs = kp_arena_alloc(self->binder->arena, (count + 1) * sizeof *exprs);
    const char **names = kp_arena_alloc(self->binder->arena, (count + 1) * sizeof *names);
    domain_columns(self, exprs);
    for (uint32_t i = 0; i < self->width; i++)
        names[i] = input->cols[i].name;
    for (uint32_t i = 0; i < plan->col_count; i++) {
        exprs[self->width + i] = rewrite(self, plan->project.exprs[i], NULL, 0);
        names[self->width + i] = plan->cols[i].name;
    }
    return kp_bind_project(self->binder, input, exprs, names, count);
}

static struct kp_plan *unnest_filter(const struct unnest *self, const struct kp_plan *plan, struct kp_plan *input)
{
    struct conjuncts all = {0};
    kp_conjuncts_add(self->binder, &all, rewrite(self, plan->filter.predicate, NULL, 0));
    return kp_push_all(self->binder, input, &all);
}

/* An aggregate without groups has a row for each of the domain's, found or not. */
static struct kp_plan *all_of_domain(const struct unnest *self, const struct kp_plan *plan, struct kp_plan *grouped)
{
    struct binder *binder = self->binder;
    uint32_t width = self->width, mark = 2 * width + plan->col_count;
    struct kp_expr **exprs = kp_arena_alloc(binder->arena, (grouped->col_count + 1) * sizeof *exprs);
    for (uint32_t i = 0; i < grouped->col_count; i++)
        exprs[i] = kp_bind_column(binder, i, grouped->cols[i].type, -1);
    exprs[grouped->col_count] = kp_bind_bool(binder, true);
    struct kp_plan *marked = kp_bind_project(binder, grouped, exprs, NULL, grouped->col_count + 1);
    struct kp_plan *join = kp_bind_join(binder, KP_JOIN_LEFT, domain_copy(self), marked);
    struct kp_expr **outs = kp_arena_alloc(binder->arena, (width + plan->col_count + 1) * sizeof *outs);
    const char **names = kp_arena_alloc(binder->arena, (width + plan->col_count + 1) * sizeof *names);
    for (uint32_t i = 0; i < width; i++) {
        kp_join_same(binder, join, domain_column(self, i, i), domain_column(self, i, i));
        names[i] = join->cols[i].name;
    }
    domain_columns(self, outs);
    for (uint32_t i = 0; i < plan->col_count; i++) {
        struct kp_expr *nothing = kp_agg_of_nothing(binder, &plan->aggregate.aggs[i]);
        struct kp_expr *found = kp_bind_column(binder, 2 * width + i, plan->cols[i].type, -1), *choice = found;
        if (!nothing->datum.null) {
            choice = kp_bind_new(binder, KP_EXPR_CASE, found->type, -1, 3);
            choice->args[0] = kp_bind_column(binder, mark, KP_TYPE(KP_BOOL), -1);
            choice->args[1] = found;
            choice->args[2] = nothing;
            kp_expr_settle(choice);
        }
        outs[width + i] = choice;
        names[width + i] = plan->cols[i].name;
    }
    return kp_bind_project(binder, join, outs, names, width + plan->col_count);
}

static struct kp_plan *unnest_aggregate(const struct unnest *self, const struct kp_plan *plan, struct kp_plan *input)
{
    struct kp_arena *arena = self->binder->arena;
    uint32_t groups = plan->aggregate.group_count;
    struct kp_plan *copy = wider(self, plan, input);
    copy->aggregate.group_count = self->width + groups;
    copy->aggregate.groups = kp_arena_alloc(arena, (self->width + groups + 1) * sizeof(struct kp_expr *));
    domain_columns(self, copy->aggregate.groups);
    for (uint32_t i = 0; i < groups; i++)
        copy->aggregate.groups[self->width + i] = rewrite(self, plan->aggregate.groups[i], NULL, 0);
    copy->aggregate.aggs = kp_arena_alloc(arena, (plan->aggregate.agg_count + 1) * sizeof *copy->aggregate.aggs);
    for (uint32_t a = 0; a < plan->aggregate.agg_count; a++) {
        struct kp_plan_agg *agg = &copy->aggregate.aggs[a];
        *agg = plan->aggregate.aggs[a];
        agg->args = kp_arena_alloc(arena, (agg->arg_count + 1) * sizeof(struct kp_expr *));
        for (uint32_t i = 0; i < agg->arg_count; i++)
            agg->args[i] = rewrite(self, plan->aggregate.aggs[a].args[i], NULL, 0);
        agg->filter = agg->filter ? rewrite(self, agg->filter, NULL, 0) : NULL;
    }
    return groups ? copy : all_of_domain(self, plan, copy);
}

/* ---- joins ---- */

/* Which sides must carry the domain. */
static void sides_that_read(const struct unnest *self, const struct kp_plan *plan, bool *ret_left, bool *ret_right)
{
    bool guarded = self->domain->guarded;
    *ret_left = needs_domain(self, plan->inputs[0]);
    *ret_right = needs_domain(self, plan->inputs[1]);
    for (uint32_t k = 0; k < plan->join.key_count; k++) {
        const struct kp_expr *left = plan->join.left_keys[k], *right = plan->join.right_keys[k];
        *ret_left |= kp_expr_reads_level(left, 1) || (guarded && left->can_fail);
        *ret_right |= kp_expr_reads_level(right, 1) || (guarded && right->can_fail);
    }
    bool residual = plan->join.residual && kp_expr_reads_level(plan->join.residual, 1);
    if (plan->join.kind == KP_JOIN_FULL || plan->join.kind == KP_JOIN_RIGHT)
        *ret_left = *ret_right = true;
    else if (plan->join.kind != KP_JOIN_INNER) /* whether a left row is alone depends on the domain's row */
        *ret_left |= *ret_right | residual;
    if (!*ret_left && !*ret_right) /* what can fail is in the join's own condition */
        *ret_left = true;
}

/* The domain's columns once, then left's and right's. */
static struct kp_plan *order_columns(const struct unnest *self, struct kp_plan *join, enum kp_join_kind kind,
                                     bool on_left, bool on_right, uint32_t left, uint32_t right)
{
    struct binder *binder = self->binder;
    uint32_t width = self->width, at_right = on_left ? width + left : left;
    struct kp_expr **exprs = kp_arena_alloc(binder->arena, (width + left + right + 1) * sizeof *exprs);
    if (on_left && !on_right)
        return join;
    for (uint32_t i = 0; i < width; i++) {
        exprs[i] = domain_column(self, i, on_left ? i : at_right + i);
        if (kind != KP_JOIN_FULL && kind != KP_JOIN_RIGHT)
            continue;
        struct kp_expr *either = kp_bind_new(binder, KP_EXPR_COALESCE, exprs[i]->type, -1, 2);
        either->args[0] = exprs[i];
        either->args[1] = domain_column(self, i, at_right + i);
        kp_expr_settle(either);
        exprs[i] = either;
    }
    for (uint32_t i = 0; i < left; i++) {
        uint32_t at = (on_left ? width : 0) + i;
        exprs[width + i] = kp_bind_column(binder, at, join->cols[at].type, -1);
    }
    for (uint32_t i = 0; i < right; i++) {
        uint32_t at = at_right + width + i;
        exprs[width + left + i] = kp_bind_column(binder, at, join->cols[at].type, -1);
    }
    return kp_bind_project(binder, join, exprs, NULL, width + left + right);
}

static enum kp_code side(const struct unnest *self, struct kp_plan *plan, bool carries, struct kp_plan **ret_plan)
{
    if (carries)
        return unnest(self, plan, ret_plan);
    kp_plan_shift_levels(self->binder, plan, 1, -1);
    *ret_plan = plan;
    return KP_OK;
}

static enum kp_code unnest_join(const struct unnest *self, struct kp_plan *plan, struct kp_plan **ret_plan)
{
    struct binder *binder = self->binder;
    enum kp_join_kind kind = plan->join.kind;
    uint32_t left = plan->inputs[0]->col_count, right = plan->inputs[1]->col_count, width = self->width;
    bool on_left, on_right, narrow = kind == KP_JOIN_SEMI || kind == KP_JOIN_ANTI;
    struct kp_plan *left_plan, *right_plan;
    sides_that_read(self, plan, &on_left, &on_right);
    KP_TRY(side(self, plan->inputs[0], on_left, &left_plan));
    KP_TRY(side(self, plan->inputs[1], on_right, &right_plan));
    uint32_t *map = kp_arena_alloc(binder->arena, (left + right + 1) * sizeof *map), *own = map;
    uint32_t *of_right = kp_arena_alloc(binder->arena, (right + 1) * sizeof *of_right);
    for (uint32_t i = 0; i < left; i++)
        map[i] = (on_left ? width : 0) + i;
    for (uint32_t i = 0; i < right; i++) {
        of_right[i] = (on_right ? width : 0) + i;
        map[left + i] = left_plan->col_count + of_right[i];
    }
    struct kp_plan *join = kp_bind_join(binder, kind, left_plan, right_plan);
    join->join = plan->join;
    join->join.left_keys = kp_arena_alloc(binder->arena, (plan->join.key_count + 1) * sizeof(struct kp_expr *));
    join->join.right_keys = kp_arena_alloc(binder->arena, (plan->join.key_count + 1) * sizeof(struct kp_expr *));
    for (uint32_t k = 0; k < plan->join.key_count; k++) {
        join->join.left_keys[k] = rewrite(self, plan->join.left_keys[k], own, 0);
        join->join.right_keys[k] = rewrite(self, plan->join.right_keys[k], of_right, 0);
    }
    uint32_t outer = on_left ? 0 : left_plan->col_count;
    join->join.residual = plan->join.residual ? rewrite(self, plan->join.residual, map, outer) : NULL;
    for (uint32_t i = 0; on_left && on_right && i < width; i++)
        kp_join_same(binder, join, domain_column(self, i, i), domain_column(self, i, i));
    *ret_plan = narrow ? join : order_columns(self, join, kind, on_left, on_right, left, right);
    return KP_OK;
}

/* ---- leaves and unions ---- */

/* Each row of VALUES as a projection of the domain. */
static struct kp_plan *unnest_values(const struct unnest *self, const struct kp_plan *plan)
{
    struct binder *binder = self->binder;
    uint32_t cols = plan->col_count, count = self->width + cols;
    struct kp_plan *all = kp_bind_node(binder, KP_PLAN_UNION, plan->location, count, plan->values.rows);
    for (uint32_t r = 0; r < plan->values.rows; r++) {
        struct kp_plan *domain = domain_copy(self);
        struct kp_expr **exprs = kp_arena_alloc(binder->arena, (count + 1) * sizeof *exprs);
        const char **names = kp_arena_alloc(binder->arena, (count + 1) * sizeof *names);
        domain_columns(self, exprs);
        for (uint32_t i = 0; i < count; i++)
            names[i] = i < self->width ? domain->cols[i].name : plan->cols[i - self->width].name;
        for (uint32_t i = 0; i < cols; i++)
            exprs[self->width + i] = rewrite(self, plan->values.exprs[r * cols + i], NULL, 0);
        all->inputs[r] = kp_bind_project(binder, domain, exprs, names, count);
    }
    if (plan->values.rows == 1)
        return all->inputs[0];
    memcpy(all->cols, all->inputs[0]->cols, count * sizeof *all->cols);
    for (uint32_t i = 0; i < count; i++)
        all->cols[i].not_null = i < self->width ? all->cols[i].not_null : plan->cols[i - self->width].not_null;
    return all;
}

static enum kp_code unnest_union(const struct unnest *self, const struct kp_plan *plan, struct kp_plan **ret_plan)
{
    struct kp_plan *all =
        kp_bind_node(self->binder, KP_PLAN_UNION, plan->location, self->width + plan->col_count, plan->input_count);
    for (uint32_t i = 0; i < plan->input_count; i++)
        KP_TRY(unnest(self, plan->inputs[i], &all->inputs[i]));
    memcpy(all->cols, all->inputs[0]->cols, self->width * sizeof *all->cols);
    memcpy(all->cols + self->width, plan->cols, plan->col_count * sizeof *all->cols);
    *ret_plan = all;
    return KP_OK;
}

/* ---- nodes that speak of columns ---- */

/* The domain's columns before others, which are shifted. */
static uint32_t *behind_domain(const struct unnest *self, const uint32_t *columns, uint32_t count, bool with_domain)
{
    uint32_t *array = kp_arena_alloc(self->binder->arena, (self->width + count + 1) * sizeof *array), n = 0;
    for (uint32_t i = 0; with_domain && i < self->width; i++)
        array[n++] = i;
    for (uint32_t i = 0; i < count; i++)
        array[n++] = columns[i] + self->width;
    return array;
}

static struct kp_plan *unnest_over(const struct unnest *self, const struct kp_plan *plan, struct kp_plan *input)
{
    struct kp_plan *copy = wider(self, plan, input);
    copy->over.partitions = behind_domain(self, plan->over.partitions, plan->over.partition_count, true);
    copy->over.partition_count += self->width;
    copy->over.keys = kp_arena_alloc(self->binder->arena, (plan->over.key_count + 1) * sizeof *copy->over.keys);
    for (uint32_t i = 0; i < plan->over.key_count; i++) {
        copy->over.keys[i] = plan->over.keys[i];
        copy->over.keys[i].column += self->width;
    }
    copy->over.calls = kp_arena_alloc(self->binder->arena, (plan->over.call_count + 1) * sizeof *copy->over.calls);
    for (uint32_t i = 0; i < plan->over.call_count; i++) {
        copy->over.calls[i] = plan->over.calls[i];
        for (uint32_t k = 0; k < copy->over.calls[i].arg_count; k++)
            copy->over.calls[i].args[k] += self->width;
        copy->over.calls[i].filter += self->width;
    }
    return copy;
}

static struct kp_plan *unnest_topn(const struct unnest *self, const struct kp_plan *plan, struct kp_plan *input)
{
    uint32_t *partitions = behind_domain(self, NULL, 0, true), count = self->width + plan->col_count;
    struct kp_plan *limited = kp_topn_by_partition(self->binder, plan, input, self->width, partitions, self->width);
    struct kp_expr **exprs = kp_arena_alloc(self->binder->arena, (count + 1) * sizeof *exprs);
    for (uint32_t i = 0; i < count; i++)
        exprs[i] = kp_bind_column(self->binder, i, limited->cols[i].type, -1);
    return kp_bind_project(self->binder, limited, exprs, NULL, count);
}

static struct kp_plan *unnest_expand(const struct unnest *self, const struct kp_plan *plan, struct kp_plan *input)
{
    struct kp_arena *arena = self->binder->arena;
    struct kp_plan *copy = wider(self, plan, input);
    copy->expand.calls = kp_arena_alloc(arena, (plan->expand.call_count + 1) * sizeof *copy->expand.calls);
    for (uint32_t i = 0; i < plan->expand.call_count; i++) {
        struct kp_plan_set *call = &copy->expand.calls[i];
        *call = plan->expand.calls[i];
        call->args = kp_arena_alloc(arena, (call->arg_count + 1) * sizeof *call->args);
        for (uint32_t k = 0; k < call->arg_count; k++)
            call->args[k] = rewrite(self, plan->expand.calls[i].args[k], NULL, 0);
    }
    return copy;
}

static struct kp_plan *unnest_window(const struct unnest *self, const struct kp_plan *plan, struct kp_plan *input)
{
    bool session = plan->window.kind == KP_WINDOW_SESSION;
    struct kp_plan *copy = wider(self, plan, input);
    copy->window.time_column += self->width;
    copy->window.keys = behind_domain(self, plan->window.keys, plan->window.key_count, session);
    copy->window.key_count += session ? self->width : 0;
    return copy;
}

/* Each row of the recursion carries the domain's row that it was found for. */
static enum kp_code unnest_recurse(const struct unnest *self, const struct kp_plan *plan, struct kp_plan **ret_plan)
{
    struct unnest_loop loop = {plan->recurse.id, self->loops};
    struct unnest inside = *self;
    struct kp_plan *base, *term;
    inside.loops = &loop;
    KP_TRY(unnest(self, plan->inputs[0], &base));
    KP_TRY(unnest(&inside, plan->inputs[1], &term));
    *ret_plan = wider(self, plan, base);
    (*ret_plan)->inputs[1] = term;
    return KP_OK;
}

static struct kp_plan *unnest_work(const struct unnest *self, const struct kp_plan *plan)
{
    struct kp_plan *work = kp_bind_node(self->binder, KP_PLAN_WORK, -1, self->width + plan->col_count, 0);
    work->recurse = plan->recurse;
    memcpy(work->cols, self->domain->plan->cols, self->width * sizeof *work->cols);
    memcpy(work->cols + self->width, plan->cols, plan->col_count * sizeof *work->cols);
    return work;
}

static enum kp_code unnest(const struct unnest *self, struct kp_plan *plan, struct kp_plan **ret_plan)
{
    if (!needs_domain(self, plan)) {
        *ret_plan = cross(self, plan);
        return KP_OK;
    }
    if (plan->kind == KP_PLAN_VALUES) {
        *ret_plan = unnest_values(self, plan);
        return KP_OK;
    }
    if (plan->kind == KP_PLAN_JOIN)
        return unnest_join(self, plan, ret_plan);
    if (plan->kind == KP_PLAN_UNION)
        return unnest_union(self, plan, ret_plan);
    if (plan->kind == KP_PLAN_RECURSE)
        return unnest_recurse(self, plan, ret_plan);
    if (plan->kind == KP_PLAN_WORK) {
        *ret_plan = unnest_work(self, plan);
        return KP_OK;
    }
    struct kp_plan *input;
    KP_TRY(unnest(self, plan->inputs[0], &input));
    switch (plan->kind) {
    case KP_PLAN_FILTER:
        *ret_plan = unnest_filter(self, plan, input);
        return KP_OK;
    case KP_PLAN_PROJECT:
        *ret_plan = unnest_project(self, plan, input);
        return KP_OK;
    case KP_PLAN_AGGREGATE:
        *ret_plan = unnest_aggregate(self, plan, input);
        return KP_OK;
    case KP_PLAN_OVER:
        *ret_plan = unnest_over(self, plan, input);
        return KP_OK;
    case KP_PLAN_TOPN:
        *ret_plan = unnest_topn(self, plan, input);
        return KP_OK;
    case KP_PLAN_WINDOW:
        *ret_plan = unnest_window(self, plan, input);
        return KP_OK;
    case KP_PLAN_EXPAND:
        *ret_plan = unnest_expand(self, plan, input);
        return KP_OK;
    case KP_PLAN_REPEAT:
        *ret_plan = wider(self, plan, input);
        (*ret_plan)->repeat.column += self->width;
        return KP_OK;
    case KP_PLAN_SORT:
        *ret_plan = input;
        return KP_OK;
    default:
        return kp_bind_fail(self->binder, plan->location, KP_UNSUPPORTED, NULL,
                            "this kind of subquery cannot use columns of the query around it");
    }
}

enum kp_code kp_unnest(struct binder *binder, const struct domain *domain, struct kp_plan *plan,
                       struct kp_plan **ret_plan)
{
    struct unnest self = {binder, domain, domain->width, NULL};
    plan = kp_reduce_joins(binder, plan);
    KP_TRY(kp_check_full_joins(binder, plan)); /* the domain's columns will be keys of it */
    return unnest(&self, plan, ret_plan);
}

/* What a LATERAL item's select list can fail at is computed above the join, for the rows that it is joined with. */
static enum kp_code compute_above(struct binder *binder, struct kp_plan *rows, struct kp_plan *project,
                                  const struct conjuncts *on, struct kp_plan **ret_plan)
{
    struct kp_plan *join;
    uint32_t left = rows->col_count, count = left + project->col_count;
    KP_TRY(kp_bind_lateral(binder, KP_JOIN_INNER, rows, project->inputs[0], NULL, &join));
    struct kp_expr **exprs = kp_arena_alloc(binder->arena, (count + 1) * sizeof *exprs);
    const char **names = kp_arena_alloc(binder->arena, (count + 1) * sizeof *names);
    for (uint32_t i = 0; i < count; i++) {
        exprs[i] = i < left ? kp_bind_column(binder, i, join->cols[i].type, -1)
                            : kp_sub_above(binder, NULL, left, project->project.exprs[i - left]);
        names[i] = i < left ? join->cols[i].name : project->cols[i - left].name;
    }
    *ret_plan = kp_bind_project(binder, join, exprs, names, count);
    if (on)
        *ret_plan = kp_push_all(binder, *ret_plan, on);
    return KP_OK;
}

static bool list_fails(const struct kp_plan *plan)
{
    for (uint32_t i = 0; plan->kind == KP_PLAN_PROJECT && i < plan->col_count; i++)
        if (kp_expr_fails_by_value(plan->project.exprs[i]))
            return true;
    return false;
}

enum kp_code kp_bind_lateral(struct binder *binder, enum kp_join_kind kind, struct kp_plan *rows, struct kp_plan *plan,
                             const struct conjuncts *on, struct kp_plan **ret_plan)
{
    uint32_t left = rows->col_count, count = plan->col_count, first = left;
    struct kp_plan *pulled, *join;
    struct conjuncts conds = {0};
    bool plain = (kind == KP_JOIN_INNER || kind == KP_JOIN_LEFT) && (!on || !on->count);
    if (plain && (join = kp_expand_rows(binder, plan, rows, kind == KP_JOIN_LEFT))) {
        *ret_plan = join;
        return KP_OK;
    }
    if (kind == KP_JOIN_INNER && list_fails(plan) && kp_plan_reads_level(plan->inputs[0], 1))
        return compute_above(binder, rows, plan, on, ret_plan);
    if (kp_pull(binder, plan, false, &pulled, &conds)) {
        kp_plan_shift_levels(binder, pulled, 1, -1);
        join = kp_bind_join(binder, kind, rows, pulled);
        kp_join_pulled(binder, NULL, join, &conds);
    } else {
        struct domain domain;
        KP_TRY(kp_domain_make(binder, rows, NULL, plan, NULL, &domain));
        KP_TRY(kp_unnest(binder, &domain, plan, &pulled));
        join = kp_domain_join(binder, kind, rows, &domain, pulled);
        first += domain.width;
    }
    uint32_t *map = kp_arena_alloc(binder->arena, (left + count + 1) * sizeof *map);
    struct kp_expr **exprs = kp_arena_alloc(binder->arena, (left + count + 1) * sizeof *exprs);
    for (uint32_t i = 0; i < left + count; i++)
        map[i] = i < left ? i : i - left + first;
    for (uint32_t i = 0; on && i < on->count; i++)
        kp_join_condition(binder, join, kp_expr_remap(binder, on->exprs[i], map));
    for (uint32_t i = 0; i < left + count; i++)
        exprs[i] = kp_bind_column(binder, map[i], join->cols[map[i]].type, -1);
    *ret_plan = join->col_count == left + count ? join : kp_bind_project(binder, join, exprs, NULL, left + count);
    return KP_OK;
}
