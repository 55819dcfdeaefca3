/*
 * ARRAY(SELECT x FROM … ORDER BY y) is coalesce((SELECT array_agg(x ORDER BY y) FROM …), '{}'): rewritten before it is
 * bound, so that all that scalar subqueries can do works here too. A subquery that groups, limits or joins sets would
 * need its rows in order first; it is refused.
 */
#include "sql/sublink.h"

static PgQuery__Node *make_node(struct binder *binder, PgQuery__Node__NodeCase kind, void *what)
{
    PgQuery__Node *node = kp_arena_calloc(binder->arena, sizeof *node);
    node->node_case = kind;
    node->select_stmt = what; /* a union of pointers */
    return node;
}

static PgQuery__Node **make_list(struct binder *binder, PgQuery__Node *first, PgQuery__Node *second)
{
    PgQuery__Node **list = kp_arena_alloc(binder->arena, 2 * sizeof *list);
    list[0] = first;
    list[1] = second;
    return list;
}

static bool is_plain(const PgQuery__SelectStmt *select)
{
    for (size_t i = 0; i < select->n_sort_clause; i++) /* ORDER BY 1: of the column, which array_agg does not know */
        if (select->sort_clause[i]->sort_by->node->node_case == PG_QUERY__NODE__NODE_A_CONST)
            return false;
    return select->op == PG_QUERY__SET_OPERATION__SETOP_NONE && select->n_target_list == 1 &&
           select->n_group_clause == 0 && select->n_distinct_clause == 0 && select->n_window_clause == 0 &&
           select->n_values_lists == 0 && !select->having_clause && !select->limit_count && !select->limit_offset;
}

/* The same query with array_agg over its column. */
static PgQuery__Node *gathered(struct binder *binder, const PgQuery__SelectStmt *select, int32_t location)
{
    PgQuery__String *name = kp_arena_calloc(binder->arena, sizeof *name);
    name->sval = kp_arena_strdup(binder->arena, "array_agg");
    PgQuery__ResTarget *target = kp_arena_calloc(binder->arena, sizeof *target);
    *target = *select->target_list[0]->res_target;
    PgQuery__FuncCall *call = kp_arena_calloc(binder->arena, sizeof *call);
    call->n_funcname = 1;
    call->funcname = make_list(binder, make_node(binder, PG_QUERY__NODE__NODE_STRING, name), NULL);
    call->n_args = 1;
    call->args = make_list(binder, target->val, NULL);
    call->n_agg_order = select->n_sort_clause;
    call->agg_order = select->sort_clause;
    call->location = location;
    target->val = make_node(binder, PG_QUERY__NODE__NODE_FUNC_CALL, call);
    PgQuery__SelectStmt *made = kp_arena_calloc(binder->arena, sizeof *made);
    *made = *select;
    made->n_sort_clause = 0;
    made->target_list = make_list(binder, make_node(binder, PG_QUERY__NODE__NODE_RES_TARGET, target), NULL);
    return make_node(binder, PG_QUERY__NODE__NODE_SELECT_STMT, made);
}

enum kp_code kp_bind_array_sublink(struct binder *binder, const struct expr_place *place, const PgQuery__SubLink *link,
                                   struct kp_expr **ret_expr)
{
    if (link->subselect->node_case != PG_QUERY__NODE__NODE_SELECT_STMT || !is_plain(link->subselect->select_stmt)) {
        kp_bind_fail(binder, link->location, KP_UNSUPPORTED, NULL, "this ARRAY(SELECT …) is not supported");
        return kp_error_hint(binder->err, "Write (SELECT array_agg(x ORDER BY y) FROM (SELECT …) AS rows).");
    }
    PgQuery__SubLink *scalar = kp_arena_calloc(binder->arena, sizeof *scalar);
    *scalar = *link;
    scalar->sub_link_type = PG_QUERY__SUB_LINK_TYPE__EXPR_SUBLINK;
    scalar->subselect = gathered(binder, link->subselect->select_stmt, link->location);
    PgQuery__String *text = kp_arena_calloc(binder->arena, sizeof *text);
    text->sval = kp_arena_strdup(binder->arena, "{}");
    PgQuery__AConst *empty = kp_arena_calloc(binder->arena, sizeof *empty);
    empty->val_case = PG_QUERY__A__CONST__VAL_SVAL;
    empty->sval = text;
    empty->location = link->location;
    PgQuery__CoalesceExpr *either = kp_arena_calloc(binder->arena, sizeof *either);
    either->n_args = 2;
    either->args = make_list(binder, make_node(binder, PG_QUERY__NODE__NODE_SUB_LINK, scalar),
                             make_node(binder, PG_QUERY__NODE__NODE_A_CONST, empty));
    either->location = link->location;
    return kp_bind_expr(binder, place, make_node(binder, PG_QUERY__NODE__NODE_COALESCE_EXPR, either), ret_expr);
}
