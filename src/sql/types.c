/*
 * Type names of the parse tree to types with PostgreSQL's modifiers, and small questions about the tree.
 *
 *   varchar(n), char(n): n + 4      numeric(p, s): (p << 16 | s) + 4      timestamp(p), time(p): p
 *   interval: fields' mask << 16 | precision, 0xffff if none is asked for
 */
#include "sql/parse.h"

static enum kp_code fail_at(struct kp_error *err, const char *text, int32_t location, enum kp_code code,
                            const char *sqlstate, const char *message, const char *what)
{
    kp_fail(err, code, sqlstate, message, what);
    kp_error_at(err, text, location);
    return code;
}

static bool int_of(const PgQuery__Node *node, int32_t *ret_value)
{
    if (node->node_case != PG_QUERY__NODE__NODE_A_CONST || node->a_const->val_case != PG_QUERY__A__CONST__VAL_IVAL)
        return false;
    *ret_value = node->a_const->ival->ival;
    return true;
}

static enum kp_code modifier(const PgQuery__TypeName *name, const char *text, struct kp_type *type,
                             struct kp_error *err)
{
    int32_t mods[2] = {0, 0};
    const char *type_name = kp_type_info(type->id)->name;
    if (name->n_typmods > 2)
        return fail_at(err, text, name->location, KP_INVALID, "22023", "invalid type modifier for type %s", type_name);
    for (size_t i = 0; i < name->n_typmods; i++)
        if (!int_of(name->typmods[i], &mods[i]))
            return fail_at(err, text, name->location, KP_INVALID, "22023",
                           "type modifiers must be simple constants or identifiers", type_name);
    switch (type->id) {
    case KP_VARCHAR:
    case KP_BPCHAR:
        if (mods[0] < 1)
            return fail_at(err, text, name->location, KP_INVALID, "22023", "length for type %s must be at least 1",
                           type->id == KP_VARCHAR ? "varchar" : "char");
        if (mods[0] > 10485760)
            return fail_at(err, text, name->location, KP_INVALID, "22023", "length for type %s cannot exceed 10485760",
                           type->id == KP_VARCHAR ? "varchar" : "char");
        type->mod = mods[0] + 4;
        return KP_OK;
    case KP_NUMERIC:
        if (mods[0] < 1 || mods[0] > 1000) {
            kp_fail(err, KP_INVALID, "22023", "NUMERIC precision %d must be between 1 and 1000", mods[0]);
            return kp_error_at(err, text, name->location);
        }
        if (mods[1] < -1000 || mods[1] > 1000) {
            kp_fail(err, KP_INVALID, "22023", "NUMERIC scale %d must be between -1000 and 1000", mods[1]);
            return kp_error_at(err, text, name->location);
        }
        type->mod = (int32_t)(((uint32_t)mods[0] << 16) | ((uint32_t)mods[1] & 0x7ff)) + 4;
        return KP_OK;
    case KP_TIMESTAMP:
    case KP_TIMESTAMPTZ:
    case KP_TIME:
    case KP_TIMETZ:
        type->mod = KP_MAX(0, KP_MIN(mods[0], 6));
        return KP_OK;
    case KP_INTERVAL:
        type->mod = (int32_t)(((uint32_t)mods[0] & 0x7fff) << 16 |
                              (name->n_typmods > 1 ? (uint32_t)KP_MAX(0, KP_MIN(mods[1], 6)) : 0xffff));
        return KP_OK;
    default:
        return fail_at(err, text, name->location, KP_INVALID, "42601", "type modifier is not allowed for type \"%s\"",
                       type_name);
    }
}

enum kp_code kp_bind_type_name(const PgQuery__TypeName *name, const char *text, struct kp_type *ret_type,
                               struct kp_error *err)
{
    const char *schema, *last = kp_tree_name(name->names, name->n_names, &schema);
    if (schema && strcmp(schema, "pg_catalog") != 0)
        return fail_at(err, text, name->location, KP_NOT_FOUND, "42704", "type \"%s\" does not exist",
                       schema);                   /* our types are all PostgreSQL's */
    bool quoted_char = strcmp(last, "char") == 0; /* without quotes the grammar calls it bpchar */
    struct kp_type type = KP_TYPE(quoted_char ? KP_CHAR : kp_type_by_name(kp_str(last)));
    if (type.id == KP_TYPE_NONE)
        return fail_at(err, text, name->location, KP_NOT_FOUND, "42704", "type \"%s\" does not exist", last);
    if (name->n_typmods)
        KP_TRY(modifier(name, text, &type, err));
    if (name->n_array_bounds) {
        enum kp_type_id array = kp_type_array_of(type.id);
        if (kp_type_info(array)->category != 'A' || kp_type_is_array(type.id))
            return fail_at(err, text, name->location, KP_NOT_FOUND, "42704", "type \"%s[]\" does not exist", last);
        type.id = array;
    }
    *ret_type = type;
    return KP_OK;
}

int32_t kp_tree_location(const PgQuery__Node *node)
{
    if (!node)
        return -1;
    switch (node->node_case) {
    case PG_QUERY__NODE__NODE_COLUMN_REF:
        return node->column_ref->location;
    case PG_QUERY__NODE__NODE_A_CONST:
        return node->a_const->location;
    case PG_QUERY__NODE__NODE_A_EXPR: {
        int32_t left = node->a_expr->lexpr ? kp_tree_location(node->a_expr->lexpr) : -1;
        return left >= 0 && left < node->a_expr->location ? left : node->a_expr->location;
    }
    case PG_QUERY__NODE__NODE_FUNC_CALL:
        return node->func_call->location;
    case PG_QUERY__NODE__NODE_TYPE_CAST: {
        int32_t arg = kp_tree_location(node->type_cast->arg), type = node->type_cast->type_name->location;
        if (node->type_cast->location >= 0 && (arg < 0 || node->type_cast->location < arg))
            arg = node->type_cast->location;
        return type >= 0 && (arg < 0 || type < arg) ? type : arg;
    }
    case PG_QUERY__NODE__NODE_BOOL_EXPR: {
        int32_t first = node->bool_expr->n_args ? kp_tree_location(node->bool_expr->args[0]) : -1;
        return first >= 0 && first < node->bool_expr->location ? first : node->bool_expr->location;
    }
    case PG_QUERY__NODE__NODE_NULL_TEST:
        return kp_tree_location(node->null_test->arg);
    case PG_QUERY__NODE__NODE_CASE_EXPR:
        return node->case_expr->location;
    case PG_QUERY__NODE__NODE_COALESCE_EXPR:
        return node->coalesce_expr->location;
    case PG_QUERY__NODE__NODE_MIN_MAX_EXPR:
        return node->min_max_expr->location;
    case PG_QUERY__NODE__NODE_SUB_LINK:
        return node->sub_link->location;
    case PG_QUERY__NODE__NODE_PARAM_REF:
        return node->param_ref->location;
    case PG_QUERY__NODE__NODE_RES_TARGET:
        return node->res_target->location;
    case PG_QUERY__NODE__NODE_RANGE_VAR:
        return node->range_var->location;
    case PG_QUERY__NODE__NODE_SORT_BY:
        return kp_tree_location(node->sort_by->node);
    case PG_QUERY__NODE__NODE_SQLVALUE_FUNCTION:
        return node->sqlvalue_function->location;
    default:
        return -1;
    }
}
