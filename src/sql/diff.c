/*
 * kappa.diff('view', a, b) in FROM: the rows whose number differs between two versions of a view at one position.
 *
 *   Filter: diff <> 0
 *     Aggregate: GROUP BY all columns, sum(d) AS diff
 *       Union:  version a with d = -1,  version b with d = +1
 *
 * diff > 0: so many more in b; diff < 0: so many fewer.
 */
#include "sql/bind.h"

static enum kp_code bad_call(struct binder *binder, int32_t location)
{
    kp_bind_fail(binder, location, KP_INVALID, "42883", "kappa.diff takes the name of a view and two versions of it");
    return kp_error_hint(binder->err, "For example, SELECT * FROM kappa.diff('v', 1, 2).");
}

static enum kp_code find_version(struct binder *binder, const char *name, int32_t version, int32_t location,
                                 struct kp_relation **ret_relation)
{
    struct kp_relation *relation =
        kp_catalog_find_version(binder->context->catalog, kp_str(name), version < 0 ? 0 : (uint32_t)version);
    if (relation && relation->kind == KP_RELATION_VIEW) {
        *ret_relation = relation;
        return KP_OK;
    }
    kp_bind_fail(binder, location, KP_NOT_FOUND, "42P01", "materialized view \"%s\" has no version %d", name, version);
    return kp_error_hint(binder->err, "SELECT name, version, promoted FROM kappa.views shows what there is.");
}

/* The version's rows with d behind them. */
static struct kp_plan *weighted(struct binder *binder, struct kp_relation *relation, int32_t d, int32_t location)
{
    struct kp_plan *scan = kp_bind_scan(binder, relation, location);
    uint32_t count = scan->col_count + 1;
    struct kp_expr **exprs = kp_arena_alloc(binder->arena, count * sizeof(struct kp_expr *));
    const char **names = kp_arena_alloc(binder->arena, count * sizeof(char *));
    for (uint32_t c = 0; c < scan->col_count; c++) {
        exprs[c] = kp_bind_column(binder, c, scan->cols[c].type, -1);
        names[c] = scan->cols[c].name;
    }
    exprs[count - 1] = kp_bind_new(binder, KP_EXPR_CONST, KP_TYPE(KP_INT4), -1, 0);
    exprs[count - 1]->datum = (struct kp_datum){.type = KP_TYPE(KP_INT4), .i32 = d};
    names[count - 1] = "diff";
    return kp_bind_project(binder, scan, exprs, names, count);
}

static enum kp_code check_columns(struct binder *binder, const struct kp_relation *a, const struct kp_relation *b,
                                  int32_t location)
{
    bool same = a->col_count == b->col_count;
    for (uint32_t c = 0; same && c < a->col_count; c++)
        same = a->cols[c].type.id == b->cols[c].type.id;
    if (same)
        return KP_OK;
    kp_bind_fail(binder, location, KP_INVALID, "42804", "versions %u and %u of \"%s\" have other columns", a->version,
                 b->version, a->name);
    return kp_error_hint(binder->err, "Rows can be compared only if both have the same types in the same order.");
}

static enum kp_code sum_by_row(struct binder *binder, struct kp_plan *input, int32_t location,
                               struct kp_plan **ret_plan)
{
    uint32_t last = input->col_count - 1;
    struct kp_plan *plan = kp_bind_node(binder, KP_PLAN_AGGREGATE, location, input->col_count, 1);
    plan->inputs[0] = input;
    plan->aggregate.group_count = last;
    plan->aggregate.groups = kp_arena_alloc(binder->arena, (last + 1) * sizeof(struct kp_expr *));
    for (uint32_t c = 0; c < last; c++) {
        plan->aggregate.groups[c] = kp_bind_column(binder, c, input->cols[c].type, -1);
        plan->cols[c] = input->cols[c];
    }
    struct kp_expr **args = kp_arena_alloc(binder->arena, sizeof(struct kp_expr *));
    args[0] = kp_bind_column(binder, last, input->cols[last].type, -1);
    plan->aggregate.agg_count = 1;
    plan->aggregate.aggs = kp_arena_calloc(binder->arena, sizeof *plan->aggregate.aggs);
    KP_TRY(kp_bind_aggregate(binder, "sum", args, 1, location, &plan->aggregate.aggs[0]));
    plan->cols[last] = (struct kp_column){"diff", plan->aggregate.aggs[0].type, true};
    *ret_plan = plan;
    return KP_OK;
}

enum kp_code kp_bind_diff(struct binder *binder, const PgQuery__FuncCall *call, struct kp_plan **ret_plan)
{
    if (binder->for_view)
        return kp_bind_fail(binder, call->location, KP_UNSUPPORTED, NULL, "a view cannot read kappa.diff()");
    int32_t versions[2];
    if (call->n_args != 3 || call->args[0]->node_case != PG_QUERY__NODE__NODE_A_CONST ||
        call->args[0]->a_const->val_case != PG_QUERY__A__CONST__VAL_SVAL)
        return bad_call(binder, call->location);
    for (int i = 0; i < 2; i++) {
        const PgQuery__Node *arg = call->args[i + 1];
        if (arg->node_case != PG_QUERY__NODE__NODE_A_CONST || arg->a_const->val_case != PG_QUERY__A__CONST__VAL_IVAL)
            return bad_call(binder, call->location);
        versions[i] = arg->a_const->ival->ival;
    }
    const char *name = call->args[0]->a_const->sval->sval;
    struct kp_relation *a, *b;
    KP_TRY(find_version(binder, name, versions[0], call->location, &a));
    KP_TRY(find_version(binder, name, versions[1], call->location, &b));
    KP_TRY(check_columns(binder, a, b, call->location));
    struct kp_plan *all = kp_bind_node(binder, KP_PLAN_UNION, call->location, a->col_count + 1, 2);
    all->inputs[0] = weighted(binder, a, -1, call->location);
    all->inputs[1] = weighted(binder, b, 1, call->location);
    memcpy(all->cols, all->inputs[0]->cols, all->col_count * sizeof *all->cols);
    struct kp_plan *sums;
    KP_TRY(sum_by_row(binder, all, call->location, &sums));
    struct kp_expr *zero = kp_bind_new(binder, KP_EXPR_CONST, KP_TYPE(KP_INT8), -1, 0), *differs;
    zero->datum = (struct kp_datum){.type = KP_TYPE(KP_INT8)};
    KP_TRY(kp_bind_operator(binder, "<>", kp_bind_column(binder, a->col_count, sums->cols[a->col_count].type, -1), zero,
                            call->location, &differs));
    struct kp_plan *filter = kp_bind_filter(binder, sums, differs);
    struct kp_expr **exprs = kp_arena_alloc(binder->arena, filter->col_count * sizeof(struct kp_expr *));
    exprs[0] = kp_bind_column(binder, a->col_count, filter->cols[a->col_count].type, -1);
    for (uint32_t c = 0; c < a->col_count; c++)
        exprs[c + 1] = kp_bind_column(binder, c, filter->cols[c].type, -1);
    *ret_plan = kp_bind_project(binder, filter, exprs, NULL, filter->col_count);
    return KP_OK;
}
