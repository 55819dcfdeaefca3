/* Look-ups: a filter right above a scan that fixes every column of the relation's key, as queries that run once use. */
#include <string.h>

#include "sql/catalog.h"
#include "sql/plan.h"

const struct kp_expr *kp_expr_equates(const struct kp_expr *expr, uint32_t *ret_column)
{
    if (expr->kind != KP_EXPR_CALL || expr->func->kind != KP_FUNC_OPERATOR || strcmp(expr->func->name, "=") != 0 ||
        expr->arg_count != 2)
        return NULL;
    for (int side = 0; side < 2; side++) {
        const struct kp_expr *a = expr->args[side], *b = expr->args[1 - side];
        if (a->kind == KP_EXPR_COLUMN && (b->kind == KP_EXPR_CONST || b->kind == KP_EXPR_PARAM) &&
            b->type.id == a->type.id) {
            *ret_column = a->column;
            return b;
        }
    }
    return NULL;
}

/* The constant that the predicate says the column is; else NULL. */
static const struct kp_expr *equality_constant(const struct kp_expr *predicate, uint32_t column)
{
    for (uint32_t i = 0; predicate->kind == KP_EXPR_AND && i < predicate->arg_count; i++) {
        const struct kp_expr *found = equality_constant(predicate->args[i], column);
        if (found)
            return found;
    }
    uint32_t of;
    const struct kp_expr *value = kp_expr_equates(predicate, &of);
    return value && of == column && value->kind == KP_EXPR_CONST && !value->datum.null ? value : NULL;
}

bool kp_plan_key(const struct kp_plan *filter, const struct kp_plan *scan, const struct kp_expr **ret_values)
{
    const struct kp_relation *relation = scan->scan.relation;
    if (relation->key_count == 0 || relation->key_count > KP_PLAN_KEYS_MAX || !filter ||
        filter->kind != KP_PLAN_FILTER || filter->inputs[0] != scan)
        return false;
    for (uint32_t k = 0; k < relation->key_count; k++) {
        const struct kp_expr *constant = NULL;
        for (uint32_t i = 0; i < scan->col_count && !constant; i++)
            if (scan->scan.columns[i] == relation->keys[k])
                constant = equality_constant(filter->filter.predicate, i);
        if (!constant || constant->type.id != relation->cols[relation->keys[k]].type.id)
            return false;
        ret_values[k] = constant;
    }
    return true;
}
