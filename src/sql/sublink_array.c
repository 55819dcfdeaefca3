/*
 * ARRAY(SELECT x FROM … ORDER BY y) is coalesce((SELECT array_agg(x ORDER BY y) FROM …), '{}'): rewritten before it is
 * bound, so that all that scalar subqueries can do works here too. A subquery that groups, limits or joins sets stays
 * whole below the aggregate, and shows what it is ordered by behind its column:
 *
 *   ARRAY(SELECT x FROM … ORDER BY y LIMIT 3)   array_agg(item ORDER BY key1) of (SELECT x, y FROM … ORDER BY y LIMIT
 * 3)
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

static const char *called(const PgQuery__FuncCall *call)
{
    const char *schema;
    return kp_tree_name(call->funcname, call->n_funcname, &schema);
}

static bool is_set_call(const PgQuery__Node *node)
{
    return node->node_case == PG_QUERY__NODE__NODE_FUNC_CALL && kp_bind_is_set_function(called(node->func_call));
}

/* unnest(a) + 1: array_agg takes no sets. */
static bool has_set_call(const PgQuery__Node *node)
{
    if (is_set_call(node))
        return true;
    if (node->node_case == PG_QUERY__NODE__NODE_TYPE_CAST)
        return has_set_call(node->type_cast->arg);
    if (node->node_case == PG_QUERY__NODE__NODE_A_INDIRECTION)
        return has_set_call(node->a_indirection->arg);
    if (node->node_case == PG_QUERY__NODE__NODE_A_EXPR)
        return (node->a_expr->lexpr && has_set_call(node->a_expr->lexpr)) ||
               (node->a_expr->rexpr && has_set_call(node->a_expr->rexpr));
    for (size_t i = 0; node->node_case == PG_QUERY__NODE__NODE_FUNC_CALL && i < node->func_call->n_args; i++)
        if (has_set_call(node->func_call->args[i]))
            return true;
    return false;
}

/* SELECT f(…) */
static bool is_set_select(const PgQuery__SelectStmt *select)
{
    return select->n_target_list == 1 && !select->n_from_clause && !select->where_clause &&
           is_set_call(select->target_list[0]->res_target->val);
}

/* FROM f(…), of a function that has a column: no list of functions, and none whose columns are told. */
static bool is_one_function(const PgQuery__Node *item)
{
    if (item->node_case != PG_QUERY__NODE__NODE_RANGE_FUNCTION)
        return false;
    const PgQuery__RangeFunction *function = item->range_function;
    return function->n_functions == 1 && !function->ordinality && !function->is_rowsfrom && !function->n_coldeflist &&
           is_set_call(function->functions[0]->list->items[0]);
}

/* max(x), row_number() OVER (): what array_agg could not take as its argument. */
static bool is_computed_of_rows(const PgQuery__SelectStmt *select)
{
    const PgQuery__Node *value = select->n_target_list ? select->target_list[0]->res_target->val : NULL;
    if (!value || value->node_case != PG_QUERY__NODE__NODE_FUNC_CALL)
        return false;
    return value->func_call->over || kp_bind_is_aggregate(called(value->func_call));
}

/* Nothing that groups, limits or joins sets. */
static bool is_plain_but_sets(const PgQuery__SelectStmt *select)
{
    return !is_computed_of_rows(select) && select->op == PG_QUERY__SET_OPERATION__SETOP_NONE &&
           select->n_target_list == 1 && select->n_group_clause == 0 && select->n_distinct_clause == 0 &&
           select->n_window_clause == 0 && select->n_values_lists == 0 && !select->having_clause &&
           !select->limit_count && !select->limit_offset;
}

static bool is_plain(const PgQuery__SelectStmt *select)
{
    if (!is_plain_but_sets(select) || has_set_call(select->target_list[0]->res_target->val))
        return false;
    for (size_t i = 0; i < select->n_sort_clause; i++) /* ORDER BY 1: of the column, which array_agg does not know */
        if (select->sort_clause[i]->sort_by->node->node_case == PG_QUERY__NODE__NODE_A_CONST)
            return false;
    return true;
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

/* ---- of a query that stays whole ---- */

static PgQuery__Node *name_node(struct binder *binder, const char *text)
{
    PgQuery__String *name = kp_arena_calloc(binder->arena, sizeof *name);
    name->sval = kp_arena_strdup(binder->arena, text);
    return make_node(binder, PG_QUERY__NODE__NODE_STRING, name);
}

static PgQuery__Node *column_node(struct binder *binder, const char *relation, const char *name)
{
    PgQuery__ColumnRef *ref = kp_arena_calloc(binder->arena, sizeof *ref);
    ref->n_fields = 2;
    ref->fields = make_list(binder, name_node(binder, relation), name_node(binder, name));
    ref->location = -1;
    return make_node(binder, PG_QUERY__NODE__NODE_COLUMN_REF, ref);
}

/* ORDER BY 1, or of the output's name: the column itself. */
static bool is_output(const PgQuery__SelectStmt *select, const PgQuery__Node *key)
{
    if (select->op != PG_QUERY__SET_OPERATION__SETOP_NONE || select->n_distinct_clause || select->n_values_lists ||
        key->node_case == PG_QUERY__NODE__NODE_A_CONST)
        return true;
    if (key->node_case != PG_QUERY__NODE__NODE_COLUMN_REF || key->column_ref->n_fields != 1)
        return false;
    const PgQuery__ResTarget *target = select->target_list[0]->res_target;
    const char *name = target->name[0] ? target->name : kp_bind_output_name(target->val);
    const PgQuery__Node *field = key->column_ref->fields[0];
    return field->node_case == PG_QUERY__NODE__NODE_STRING && strcmp(field->string->sval, name) == 0;
}

/* VALUES (c), (a), (b) as VALUES (c, 1), (a, 2), (b, 3): in the order written. */
static PgQuery__SelectStmt *numbered(struct binder *binder, const PgQuery__SelectStmt *values)
{
    PgQuery__SelectStmt *copy = kp_arena_alloc(binder->arena, sizeof *copy);
    *copy = *values;
    copy->values_lists = kp_arena_alloc(binder->arena, values->n_values_lists * sizeof *copy->values_lists);
    for (size_t i = 0; i < values->n_values_lists; i++) {
        PgQuery__List *list = kp_arena_alloc(binder->arena, sizeof *list);
        PgQuery__AConst *number = kp_arena_calloc(binder->arena, sizeof *number);
        pg_query__a__const__init(number);
        number->val_case = PG_QUERY__A__CONST__VAL_IVAL;
        number->ival = kp_arena_calloc(binder->arena, sizeof *number->ival);
        pg_query__integer__init(number->ival);
        number->ival->ival = (int32_t)i;
        number->location = -1;
        *list = *values->values_lists[i]->list;
        list->items = make_list(binder, list->items[0], make_node(binder, PG_QUERY__NODE__NODE_A_CONST, number));
        list->n_items = 2;
        copy->values_lists[i] = make_node(binder, PG_QUERY__NODE__NODE_LIST, list);
    }
    PgQuery__SortBy *sort = kp_arena_calloc(binder->arena, sizeof *sort);
    pg_query__sort_by__init(sort);
    sort->sortby_dir = PG_QUERY__SORT_BY_DIR__SORTBY_DEFAULT;
    sort->sortby_nulls = PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_DEFAULT;
    copy->n_sort_clause = 1;
    copy->sort_clause = make_list(binder, make_node(binder, PG_QUERY__NODE__NODE_SORT_BY, sort), NULL);
    return copy;
}

/* ---- of one set-returning function ---- */

/* An element of a FROM item's functions: the call, without column definitions. */
static PgQuery__Node *list_node(struct binder *binder, const PgQuery__Node *call)
{
    PgQuery__List *list = kp_arena_calloc(binder->arena, sizeof *list);
    list->n_items = 1;
    list->items = make_list(binder, (PgQuery__Node *)call, NULL);
    return make_node(binder, PG_QUERY__NODE__NODE_LIST, list);
}

/* Reads columns by their names, and nothing called `row`: the whole row, which would have the number in it. */
static bool reads_columns(const PgQuery__Node *node, const char *row)
{
    switch (node->node_case) {
    case PG_QUERY__NODE__NODE_A_CONST:
        return true;
    case PG_QUERY__NODE__NODE_COLUMN_REF: {
        const PgQuery__ColumnRef *ref = node->column_ref;
        for (size_t i = 0; i < ref->n_fields; i++)
            if (ref->fields[i]->node_case != PG_QUERY__NODE__NODE_STRING)
                return false;
        return ref->n_fields > 1 || !row || strcmp(row, ref->fields[0]->string->sval) != 0;
    }
    case PG_QUERY__NODE__NODE_TYPE_CAST:
        return reads_columns(node->type_cast->arg, row);
    case PG_QUERY__NODE__NODE_A_EXPR:
        return (!node->a_expr->lexpr || reads_columns(node->a_expr->lexpr, row)) &&
               reads_columns(node->a_expr->rexpr, row);
    case PG_QUERY__NODE__NODE_FUNC_CALL:
        for (size_t i = 0; i < node->func_call->n_args; i++)
            if (!reads_columns(node->func_call->args[i], row))
                return false;
        return !node->func_call->over;
    default:
        return false;
    }
}

static PgQuery__SelectStmt *select_from(struct binder *binder, const PgQuery__SelectStmt *select,
                                        const PgQuery__RangeFunction *function)
{
    PgQuery__SelectStmt *copy = kp_arena_alloc(binder->arena, sizeof *copy);
    PgQuery__RangeFunction *item = kp_arena_alloc(binder->arena, sizeof *item);
    *copy = *select;
    *item = *function;
    copy->n_from_clause = 1;
    copy->from_clause = make_list(binder, make_node(binder, PG_QUERY__NODE__NODE_RANGE_FUNCTION, item), NULL);
    return copy;
}

/* Binds the query for its columns. */
static enum kp_code look_at(struct binder *binder, const struct expr_place *place, const PgQuery__SelectStmt *select,
                            struct kp_plan **ret_plan, uint32_t *ret_columns)
{
    const struct scope *around = binder->around;
    binder->around = place->scope;
    enum kp_code code = kp_bind_select(binder, select, false, ret_plan, ret_columns);
    binder->around = around;
    return code;
}

/* The name of the function's column in FROM, without names given; NULL: it gives rows, or has several. */
static enum kp_code column_of(struct binder *binder, const struct expr_place *place,
                              const PgQuery__RangeFunction *function, const char *alias, const char **ret_name)
{
    PgQuery__SelectStmt all;
    PgQuery__ColumnRef *star = kp_arena_calloc(binder->arena, sizeof *star);
    PgQuery__ResTarget *target = kp_arena_calloc(binder->arena, sizeof *target);
    pg_query__select_stmt__init(&all);
    star->n_fields = 1;
    star->fields = make_list(binder, make_node(binder, PG_QUERY__NODE__NODE_A_STAR, NULL), NULL);
    star->location = target->location = -1;
    target->name = kp_arena_strdup(binder->arena, "");
    target->val = make_node(binder, PG_QUERY__NODE__NODE_COLUMN_REF, star);
    all.op = PG_QUERY__SET_OPERATION__SETOP_NONE;
    all.n_target_list = 1;
    all.target_list = make_list(binder, make_node(binder, PG_QUERY__NODE__NODE_RES_TARGET, target), NULL);
    PgQuery__RangeFunction bare = *function;
    PgQuery__Alias name = {0};
    if (function->alias) { /* a scalar's column is called as the item is */
        name = *function->alias;
        name.n_colnames = 0;
        bare.alias = &name;
    }
    struct kp_plan *plan;
    uint32_t columns;
    KP_TRY(look_at(binder, place, select_from(binder, &all, &bare), &plan, &columns));
    bool unnests = strcmp(called(function->functions[0]->list->items[0]->func_call), "unnest") == 0;
    const char *column = columns == 1 ? plan->cols[0].name : NULL;
    *ret_name = column && unnests && strcmp(column, alias) != 0 ? NULL : column; /* unnest's may be a field of a row */
    return KP_OK;
}

/* SELECT f(…) as SELECT item FROM f(…) AS "*array*"(item). */
static const PgQuery__SelectStmt *called_in_from(struct binder *binder, const PgQuery__SelectStmt *select)
{
    PgQuery__RangeFunction function;
    PgQuery__Alias *alias = kp_arena_calloc(binder->arena, sizeof *alias);
    PgQuery__ResTarget *target = kp_arena_alloc(binder->arena, sizeof *target);
    pg_query__range_function__init(&function);
    *target = *select->target_list[0]->res_target;
    function.n_functions = 1;
    function.functions = make_list(binder, list_node(binder, target->val), NULL);
    alias->aliasname = kp_arena_strdup(binder->arena, "*array*");
    alias->n_colnames = 1;
    alias->colnames = make_list(binder, name_node(binder, "item"), NULL);
    function.alias = alias;
    target->val = column_node(binder, "*array*", "item");
    PgQuery__SelectStmt *made = select_from(binder, select, &function);
    made->target_list = make_list(binder, make_node(binder, PG_QUERY__NODE__NODE_RES_TARGET, target), NULL);
    return made;
}

/* *select, if it reads one function and has no order of its own, in the order in which the function gives its rows:
 * that of WITH ORDINALITY. */
static enum kp_code put_in_order(struct binder *binder, const struct expr_place *place,
                                 const PgQuery__SelectStmt **select)
{
    const PgQuery__SelectStmt *read = *select;
    if (!is_plain_but_sets(read) || read->n_sort_clause)
        return KP_OK;
    if (is_set_select(read))
        read = called_in_from(binder, read);
    if (read->n_from_clause != 1 || !is_one_function(read->from_clause[0]))
        return KP_OK;
    PgQuery__RangeFunction function = *read->from_clause[0]->range_function;
    const char *alias =
        function.alias ? function.alias->aliasname : called(function.functions[0]->list->items[0]->func_call);
    const PgQuery__Node *value = read->target_list[0]->res_target->val;
    const char *column;
    KP_TRY(column_of(binder, place, &function, alias, &column));
    if (!column)
        return KP_OK;
    bool renamed = function.alias && function.alias->n_colnames;
    if (!renamed && strcmp(column, alias) != 0 && reads_columns(value, column)) { /* x of f(…) AS x is its column */
        PgQuery__Alias *named = kp_arena_calloc(binder->arena, sizeof *named);
        named->aliasname = kp_arena_strdup(binder->arena, alias);
        named->n_colnames = 1;
        named->colnames = make_list(binder, name_node(binder, alias), NULL);
        function.alias = named;
    } else if (!reads_columns(value, renamed || strcmp(column, alias) != 0 ? alias : NULL)) {
        return KP_OK;
    }
    function.ordinality = true;
    PgQuery__SelectStmt *made = select_from(binder, read, &function);
    PgQuery__SortBy *sort = kp_arena_calloc(binder->arena, sizeof *sort);
    pg_query__sort_by__init(sort);
    sort->sortby_dir = PG_QUERY__SORT_BY_DIR__SORTBY_DEFAULT;
    sort->sortby_nulls = PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_DEFAULT;
    sort->node = column_node(binder, alias, "ordinality");
    made->n_sort_clause = 1;
    made->sort_clause = make_list(binder, make_node(binder, PG_QUERY__NODE__NODE_SORT_BY, sort), NULL);
    *select = made;
    return KP_OK;
}

/* One column, no order of their own. */
static bool is_bare_values(const PgQuery__SelectStmt *select)
{
    bool bare = select->n_values_lists && !select->n_sort_clause && !select->limit_count && !select->limit_offset;
    for (size_t i = 0; bare && i < select->n_values_lists; i++)
        bare = select->values_lists[i]->list->n_items == 1;
    return bare;
}

/* SELECT the query's column and keys as a FROM item of the outer select, whose array_agg they order. */
static PgQuery__Node *gathered_whole(struct binder *binder, const PgQuery__SelectStmt *select, int32_t location)
{
    bool values = is_bare_values(select);
    select = values ? numbered(binder, select) : select;
    size_t keys = select->n_sort_clause, shown = 1;
    PgQuery__SelectStmt *inner = kp_arena_alloc(binder->arena, sizeof *inner);
    PgQuery__SelectStmt *outer = kp_arena_alloc(binder->arena, sizeof *outer);
    PgQuery__Alias *alias = kp_arena_calloc(binder->arena, sizeof *alias);
    PgQuery__Node **targets = kp_arena_calloc(binder->arena, (keys + 1) * sizeof *targets);
    PgQuery__Node **sorts = kp_arena_calloc(binder->arena, (keys + 1) * sizeof *sorts);
    *inner = *select;
    inner->n_sort_clause = values ? 0 : keys;
    pg_query__select_stmt__init(outer);
    alias->aliasname = kp_arena_strdup(binder->arena, "*array*");
    alias->colnames = kp_arena_calloc(binder->arena, (keys + 1) * sizeof *alias->colnames);
    alias->colnames[0] = name_node(binder, "item");
    targets[0] = select->n_target_list ? select->target_list[0] : NULL;
    for (size_t i = 0; i < keys; i++) {
        PgQuery__SortBy *sort = kp_arena_alloc(binder->arena, sizeof *sort);
        *sort = *select->sort_clause[i]->sort_by;
        const char *name = values ? "number" : "item";
        if (values) {
            alias->colnames[shown++] = name_node(binder, name);
        } else if (!is_output(select, sort->node)) {
            PgQuery__ResTarget *target = kp_arena_calloc(binder->arena, sizeof *target);
            name = kp_arena_printf(binder->arena, "key%zu", i + 1);
            target->name = kp_arena_strdup(binder->arena, name);
            target->val = sort->node;
            target->location = -1;
            alias->colnames[shown] = name_node(binder, name);
            targets[shown++] = make_node(binder, PG_QUERY__NODE__NODE_RES_TARGET, target);
        }
        sort->node = column_node(binder, "*array*", name);
        sorts[i] = make_node(binder, PG_QUERY__NODE__NODE_SORT_BY, sort);
    }
    alias->n_colnames = shown;
    if (shown > 1 && !values) {
        inner->n_target_list = shown;
        inner->target_list = targets;
    }
    PgQuery__RangeSubselect *from = kp_arena_calloc(binder->arena, sizeof *from);
    from->subquery = make_node(binder, PG_QUERY__NODE__NODE_SELECT_STMT, inner);
    from->alias = alias;
    PgQuery__ResTarget *item = kp_arena_calloc(binder->arena, sizeof *item);
    item->name = kp_arena_strdup(binder->arena, "");
    item->val = column_node(binder, "*array*", "item");
    item->location = -1;
    outer->n_target_list = 1;
    outer->target_list = make_list(binder, make_node(binder, PG_QUERY__NODE__NODE_RES_TARGET, item), NULL);
    outer->n_from_clause = 1;
    outer->from_clause = make_list(binder, make_node(binder, PG_QUERY__NODE__NODE_RANGE_SUBSELECT, from), NULL);
    outer->n_sort_clause = keys;
    outer->sort_clause = sorts;
    outer->op = PG_QUERY__SET_OPERATION__SETOP_NONE;
    return gathered(binder, outer, location);
}

enum kp_code kp_bind_array_sublink(struct binder *binder, const struct expr_place *place, const PgQuery__SubLink *link,
                                   struct kp_expr **ret_expr)
{
    const PgQuery__SelectStmt *select = link->subselect->select_stmt;
    bool simple = select->op == PG_QUERY__SET_OPERATION__SETOP_NONE && !select->n_values_lists;
    bool star = simple && select->n_target_list == 1 && kp_bind_is_star(select->target_list[0]->res_target->val);
    if (simple && select->n_target_list != 1)
        return kp_bind_fail(binder, link->location, KP_INVALID, "42601", "subquery must return only one column");
    if (star) {
        struct kp_plan *plan;
        uint32_t columns;
        KP_TRY(look_at(binder, place, select, &plan, &columns));
        if (columns != 1)
            return kp_bind_fail(binder, link->location, KP_INVALID, "42601", "subquery must return only one column");
    } else {
        KP_TRY(put_in_order(binder, place, &select));
    }
    PgQuery__SubLink *scalar = kp_arena_calloc(binder->arena, sizeof *scalar);
    *scalar = *link;
    scalar->sub_link_type = PG_QUERY__SUB_LINK_TYPE__EXPR_SUBLINK;
    scalar->subselect = is_plain(select) && !star ? gathered(binder, select, link->location)
                                                  : gathered_whole(binder, select, link->location);
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
