/*
 * A query over a system table that never has rows (pg_policy: there are no policies) has none either, whatever it
 * computes. Clients ask for such tables with expressions that are refused elsewhere (arrays): here these are NULL.
 */
#include "sql/bind.h"

/* What may be wrong in an expression that is never computed: what is refused, functions of values that are not, types
 * of columns that are texts here (arrays). */
static bool forgivable(const struct kp_error *err)
{
    return err->code == KP_UNSUPPORTED || strcmp(err->sqlstate, "42883") == 0 || strcmp(err->sqlstate, "42804") == 0;
}

static enum kp_code bind_leniently(struct binder *binder, const struct expr_place *place, const PgQuery__Node *node,
                                   struct kp_expr **ret_expr)
{
    struct kp_error *err = binder->err, own;
    struct sub_list scratch = {0}; /* its subqueries are not needed */
    struct expr_place inside = *place;
    inside.subs = &scratch;
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
