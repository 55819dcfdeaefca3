/*
 * Which column of which relation a column of a result is. PostgreSQL tells its clients (RowDescription), who find the
 * key of a row by it, or what a column is called in its table.
 *
 * A column in a select list is one if it is a name alone: of a relation's column, or of a column of a subquery in FROM
 * or WITH that is one. Those of set operations, functions and joins' merged columns that are made of both sides are
 * none. A view's columns are the view's, whatever they are made of.
 */
#include "sql/bind.h"

void kp_plan_set_bases(struct binder *binder, struct kp_plan *plan, const struct kp_relation *relation)
{
    uint32_t count = relation->col_count - relation->hidden_count;
    struct kp_base_column *bases = kp_arena_calloc(binder->arena, (plan->col_count + 1) * sizeof *bases);
    for (uint32_t i = 0; i < count && i < plan->col_count; i++)
        bases[i] = (struct kp_base_column){relation->id, (uint16_t)(i + 1)};
    plan->bases = bases;
}

static struct kp_base_column find(const struct scope *scope, uint32_t column)
{
    for (uint32_t level = kp_is_outer(column) ? kp_outer_level(column) : 0; level > 0 && scope; level--)
        scope = scope->outer;
    if (kp_is_outer(column))
        column = kp_outer_column(column);
    for (uint32_t i = 0; scope && i < scope->count; i++)
        if (scope->cols[i].index == column)
            return scope->cols[i].base;
    return (struct kp_base_column){0};
}

const struct kp_base_column *kp_targets_bases(struct binder *binder, const struct targets *targets, uint32_t count,
                                              const struct scope *scope)
{
    struct kp_base_column *bases = NULL;
    for (uint32_t i = 0; i < count; i++) {
        const struct kp_expr *expr = targets->items[i].expr;
        struct kp_base_column base = {0};
        if (expr->kind == KP_EXPR_COLUMN)
            base = find(scope, expr->column);
        if (!base.relation)
            continue;
        if (!bases)
            bases = kp_arena_calloc(binder->arena, count * sizeof *bases);
        bases[i] = base;
    }
    return bases;
}
