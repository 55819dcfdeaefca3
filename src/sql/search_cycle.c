/*
 * SEARCH and CYCLE of a recursive query, as columns that it computes itself, the way PostgreSQL defines them:
 *
 *   WITH RECURSIVE r(a, b) AS (base UNION ALL term) SEARCH … BY a, b SET seq CYCLE a, b SET mark USING path
 *
 *   base    SELECT "*base*".*, seq, mark, path FROM (base) AS "*base*"(a, b)
 *   term    SELECT "*term*".a, b, seq, mark, path FROM (term, with r's columns behind its own, WHERE r.mark <> true)
 *
 *   seq     depth first:    ARRAY[ROW(a, b)],      then r.seq || ROW(a, b)
 *           breadth first:  ROW(0, a, b),          then ROW(depth + 1, a, b): the depth is one more column, not shown
 *   mark    false,                                 then CASE WHEN ROW(a, b) = ANY (r.path) THEN true ELSE false END
 *   path    ARRAY[ROW(a, b)],                      then r.path || ROW(a, b)
 */
#include "sql/bind.h"

#define DEPTH "*depth*"
#define SEQ   "*seq*"
#define PATH  "*path*"

/* ---- trees ---- */

static PgQuery__Node *node_of(struct binder *binder, PgQuery__Node__NodeCase kind, void *what)
{
    PgQuery__Node *node = kp_arena_calloc(binder->arena, sizeof *node);
    node->node_case = kind;
    node->select_stmt = what; /* a union of pointers */
    return node;
}

static PgQuery__Node *name_node(struct binder *binder, const char *name)
{
    PgQuery__String *string = kp_arena_calloc(binder->arena, sizeof *string);
    string->sval = kp_arena_strdup(binder->arena, name);
    return node_of(binder, PG_QUERY__NODE__NODE_STRING, string);
}

static PgQuery__Node **list_of(struct binder *binder, PgQuery__Node *first, PgQuery__Node *second)
{
    PgQuery__Node **list = kp_arena_calloc(binder->arena, 2 * sizeof *list);
    list[0] = first;
    list[1] = second;
    return list;
}

static PgQuery__Node *column(struct binder *binder, const char *relation, const char *name)
{
    PgQuery__ColumnRef *ref = kp_arena_calloc(binder->arena, sizeof *ref);
    ref->n_fields = 2;
    ref->fields = list_of(binder, name_node(binder, relation), name_node(binder, name));
    ref->location = -1;
    return node_of(binder, PG_QUERY__NODE__NODE_COLUMN_REF, ref);
}

static PgQuery__Node *operation(struct binder *binder, PgQuery__AExprKind kind, const char *name, PgQuery__Node *left,
                                PgQuery__Node *right)
{
    PgQuery__AExpr *expr = kp_arena_calloc(binder->arena, sizeof *expr);
    expr->kind = kind;
    expr->n_name = 1;
    expr->name = list_of(binder, name_node(binder, name), NULL);
    expr->lexpr = left;
    expr->rexpr = right;
    expr->location = -1;
    return node_of(binder, PG_QUERY__NODE__NODE_A_EXPR, expr);
}

static PgQuery__Node *operator_of(struct binder *binder, const char *name, PgQuery__Node *left, PgQuery__Node *right)
{
    return operation(binder, PG_QUERY__A__EXPR__KIND__AEXPR_OP, name, left, right);
}

static PgQuery__Node *bigint(struct binder *binder, int32_t value)
{
    PgQuery__AConst *constant = kp_arena_calloc(binder->arena, sizeof *constant);
    constant->val_case = PG_QUERY__A__CONST__VAL_IVAL;
    constant->ival = kp_arena_calloc(binder->arena, sizeof *constant->ival);
    constant->ival->ival = value;
    constant->location = -1;
    PgQuery__TypeName *type = kp_arena_calloc(binder->arena, sizeof *type);
    type->n_names = 2;
    type->names = list_of(binder, name_node(binder, "pg_catalog"), name_node(binder, "int8"));
    type->typemod = -1;
    type->location = -1;
    PgQuery__TypeCast *cast = kp_arena_calloc(binder->arena, sizeof *cast);
    cast->arg = node_of(binder, PG_QUERY__NODE__NODE_A_CONST, constant);
    cast->type_name = type;
    cast->location = -1;
    return node_of(binder, PG_QUERY__NODE__NODE_TYPE_CAST, cast);
}

/* ROW(first, the columns); first may be NULL. */
static PgQuery__Node *row_of(struct binder *binder, const char *relation, PgQuery__Node *first,
                             PgQuery__Node *const *names, size_t count)
{
    PgQuery__RowExpr *row = kp_arena_calloc(binder->arena, sizeof *row);
    row->args = kp_arena_calloc(binder->arena, (count + 1) * sizeof *row->args);
    if (first)
        row->args[row->n_args++] = first;
    for (size_t i = 0; i < count; i++)
        row->args[row->n_args++] = column(binder, relation, names[i]->string->sval);
    row->row_format = PG_QUERY__COERCION_FORM__COERCE_EXPLICIT_CALL;
    row->location = -1;
    return node_of(binder, PG_QUERY__NODE__NODE_ROW_EXPR, row);
}

static PgQuery__Node *array_of(struct binder *binder, PgQuery__Node *element)
{
    PgQuery__AArrayExpr *array = kp_arena_calloc(binder->arena, sizeof *array);
    array->n_elements = 1;
    array->elements = list_of(binder, element, NULL);
    array->location = -1;
    return node_of(binder, PG_QUERY__NODE__NODE_A_ARRAY_EXPR, array);
}

static PgQuery__Node *choice_of(struct binder *binder, PgQuery__Node *condition, PgQuery__Node *yes, PgQuery__Node *no)
{
    PgQuery__CaseWhen *when = kp_arena_calloc(binder->arena, sizeof *when);
    when->expr = condition;
    when->result = yes;
    when->location = -1;
    PgQuery__CaseExpr *expr = kp_arena_calloc(binder->arena, sizeof *expr);
    expr->n_args = 1;
    expr->args = list_of(binder, node_of(binder, PG_QUERY__NODE__NODE_CASE_WHEN, when), NULL);
    expr->defresult = no;
    expr->location = -1;
    return node_of(binder, PG_QUERY__NODE__NODE_CASE_EXPR, expr);
}

static void add_target(struct binder *binder, PgQuery__SelectStmt *select, PgQuery__Node *value, const char *name)
{
    PgQuery__Node **list = kp_arena_calloc(binder->arena, (select->n_target_list + 1) * sizeof *list);
    PgQuery__ResTarget *target = kp_arena_calloc(binder->arena, sizeof *target);
    if (select->n_target_list)
        memcpy(list, select->target_list, select->n_target_list * sizeof *list);
    target->name = kp_arena_strdup(binder->arena, name);
    target->val = value;
    target->location = -1;
    list[select->n_target_list++] = node_of(binder, PG_QUERY__NODE__NODE_RES_TARGET, target);
    select->target_list = list;
}

/* SELECT nothing yet FROM (the query) AS alias(names). */
static PgQuery__SelectStmt *select_from(struct binder *binder, PgQuery__SelectStmt *query, const char *alias,
                                        PgQuery__Node **names, size_t count)
{
    PgQuery__SelectStmt *select = kp_arena_alloc(binder->arena, sizeof *select);
    pg_query__select_stmt__init(select);
    PgQuery__RangeSubselect *from = kp_arena_calloc(binder->arena, sizeof *from);
    from->subquery = node_of(binder, PG_QUERY__NODE__NODE_SELECT_STMT, query);
    from->alias = kp_arena_calloc(binder->arena, sizeof *from->alias);
    from->alias->aliasname = kp_arena_strdup(binder->arena, alias);
    from->alias->n_colnames = count;
    from->alias->colnames = names;
    select->n_from_clause = 1;
    select->from_clause = list_of(binder, node_of(binder, PG_QUERY__NODE__NODE_RANGE_SUBSELECT, from), NULL);
    select->op = PG_QUERY__SET_OPERATION__SETOP_NONE;
    return select;
}

/* ---- the clauses ---- */

struct clauses {
    struct binder *binder;
    const PgQuery__CommonTableExpr *def;
    const PgQuery__CTESearchClause *search;
    const PgQuery__CTECycleClause *cycle;
    PgQuery__Node **names; /* of the query's columns */
    uint32_t count;
};

static bool is_column(const struct clauses *self, const char *name)
{
    for (uint32_t i = 0; i < self->count; i++)
        if (strcmp(self->names[i]->string->sval, name) == 0)
            return true;
    return false;
}

static enum kp_code check_list(const struct clauses *self, const char *what, PgQuery__Node *const *list, size_t count,
                               int32_t location)
{
    for (size_t i = 0; i < count; i++) {
        const char *name = list[i]->string->sval;
        if (!is_column(self, name))
            return kp_bind_fail(self->binder, location, KP_INVALID, "42601",
                                "%s column \"%s\" not in WITH query column list", what, name);
        for (size_t k = 0; k < i; k++)
            if (strcmp(list[k]->string->sval, name) == 0)
                return kp_bind_fail(self->binder, location, KP_INVALID, "42701",
                                    "%s column \"%s\" specified more than once", what, name);
    }
    return KP_OK;
}

static enum kp_code check_new(const struct clauses *self, const char *what, const char *name, int32_t location)
{
    if (!is_column(self, name))
        return KP_OK;
    return kp_bind_fail(self->binder, location, KP_INVALID, "42601",
                        "%s column name \"%s\" already used in WITH query column list", what, name);
}

static enum kp_code check_clauses(const struct clauses *self)
{
    const PgQuery__CTESearchClause *search = self->search;
    const PgQuery__CTECycleClause *cycle = self->cycle;
    if (search) {
        KP_TRY(check_list(self, "search", search->search_col_list, search->n_search_col_list, search->location));
        KP_TRY(check_new(self, "search sequence", search->search_seq_column, search->location));
    }
    if (!cycle)
        return KP_OK;
    const char *mark = cycle->cycle_mark_column, *path = cycle->cycle_path_column;
    KP_TRY(check_list(self, "cycle", cycle->cycle_col_list, cycle->n_cycle_col_list, cycle->location));
    KP_TRY(check_new(self, "cycle mark", mark, cycle->location));
    KP_TRY(check_new(self, "cycle path", path, cycle->location));
    if (strcmp(mark, path) == 0)
        return kp_bind_fail(self->binder, cycle->location, KP_INVALID, "42601",
                            "cycle mark column name and cycle path column name are the same");
    if (search && strcmp(search->search_seq_column, mark) == 0)
        return kp_bind_fail(self->binder, search->location, KP_INVALID, "42601",
                            "search sequence column name and cycle mark column name are the same");
    if (search && strcmp(search->search_seq_column, path) == 0)
        return kp_bind_fail(self->binder, search->location, KP_INVALID, "42601",
                            "search sequence column name and cycle path column name are the same");
    return KP_OK;
}

static void add_columns(const struct clauses *self, PgQuery__SelectStmt *select, const char *relation)
{
    for (uint32_t i = 0; i < self->count; i++) {
        const char *name = self->names[i]->string->sval;
        add_target(self->binder, select, column(self->binder, relation, name), name);
    }
}

static PgQuery__SelectStmt *make_base(const struct clauses *self, PgQuery__SelectStmt *base)
{
    static const char alias[] = "*base*";
    struct binder *binder = self->binder;
    const PgQuery__CTESearchClause *search = self->search;
    const PgQuery__CTECycleClause *cycle = self->cycle;
    PgQuery__SelectStmt *select = select_from(binder, base, alias, self->names, self->count);
    add_columns(self, select, alias);
    bool breadth = search && search->search_breadth_first;
    if (search) {
        PgQuery__Node *row = row_of(binder, alias, breadth ? bigint(binder, 0) : NULL, search->search_col_list,
                                    search->n_search_col_list);
        add_target(binder, select, breadth ? row : array_of(binder, row), search->search_seq_column);
    }
    if (cycle) {
        add_target(binder, select, cycle->cycle_mark_default, cycle->cycle_mark_column);
        add_target(binder, select,
                   array_of(binder, row_of(binder, alias, NULL, cycle->cycle_col_list, cycle->n_cycle_col_list)),
                   cycle->cycle_path_column);
    }
    if (breadth)
        add_target(binder, select, bigint(binder, 0), DEPTH);
    return select;
}

/* The name by which the term's FROM knows the query itself; NULL: it is not at the top of it. */
static const char *find_self(const struct clauses *self, const PgQuery__Node *item)
{
    if (item->node_case == PG_QUERY__NODE__NODE_JOIN_EXPR) {
        const char *name = find_self(self, item->join_expr->larg);
        return name ? name : find_self(self, item->join_expr->rarg);
    }
    if (item->node_case != PG_QUERY__NODE__NODE_RANGE_VAR || item->range_var->schemaname[0] ||
        strcmp(item->range_var->relname, self->def->ctename) != 0)
        return NULL;
    return item->range_var->alias ? item->range_var->alias->aliasname : item->range_var->relname;
}

/* The term with the columns of the row that it comes from behind its own. */
static enum kp_code widen_term(const struct clauses *self, const PgQuery__SelectStmt *term,
                               PgQuery__SelectStmt **ret_term)
{
    struct binder *binder = self->binder;
    const char *from = NULL;
    for (size_t i = 0; i < term->n_from_clause && !from; i++)
        from = find_self(self, term->from_clause[i]);
    if (!from)
        return kp_bind_fail(binder, self->def->location, KP_UNSUPPORTED, NULL,
                            "with a SEARCH or CYCLE clause, the recursive reference to WITH query \"%s\" must be at "
                            "the top level of its right-hand SELECT",
                            self->def->ctename);
    PgQuery__SelectStmt *wide = kp_arena_alloc(binder->arena, sizeof *wide);
    *wide = *term;
    bool breadth = self->search && self->search->search_breadth_first;
    if (self->search)
        add_target(binder, wide, column(binder, from, self->search->search_seq_column), SEQ);
    if (breadth)
        add_target(binder, wide, column(binder, from, DEPTH), DEPTH);
    if (self->cycle) {
        PgQuery__Node *mark = column(binder, from, self->cycle->cycle_mark_column);
        add_target(binder, wide, column(binder, from, self->cycle->cycle_path_column), PATH);
        PgQuery__Node *fresh = operator_of(binder, "<>", mark, self->cycle->cycle_mark_value);
        if (wide->where_clause) {
            PgQuery__BoolExpr *both = kp_arena_calloc(binder->arena, sizeof *both);
            both->boolop = PG_QUERY__BOOL_EXPR_TYPE__AND_EXPR;
            both->n_args = 2;
            both->args = list_of(binder, wide->where_clause, fresh);
            both->location = -1;
            fresh = node_of(binder, PG_QUERY__NODE__NODE_BOOL_EXPR, both);
        }
        wide->where_clause = fresh;
    }
    *ret_term = wide;
    return KP_OK;
}

static PgQuery__SelectStmt *make_term(const struct clauses *self, PgQuery__SelectStmt *wide)
{
    static const char alias[] = "*term*";
    struct binder *binder = self->binder;
    const PgQuery__CTESearchClause *search = self->search;
    const PgQuery__CTECycleClause *cycle = self->cycle;
    bool breadth = search && search->search_breadth_first;
    PgQuery__Node **names = kp_arena_calloc(binder->arena, (self->count + 3) * sizeof *names);
    size_t count = self->count;
    memcpy(names, self->names, self->count * sizeof *names);
    if (search)
        names[count++] = name_node(binder, SEQ);
    if (breadth)
        names[count++] = name_node(binder, DEPTH);
    if (cycle)
        names[count++] = name_node(binder, PATH);
    PgQuery__SelectStmt *select = select_from(binder, wide, alias, names, count);
    add_columns(self, select, alias);
    PgQuery__Node *deeper = breadth ? operator_of(binder, "+", column(binder, alias, DEPTH), bigint(binder, 1)) : NULL;
    if (search) {
        PgQuery__Node *row = row_of(binder, alias, deeper, search->search_col_list, search->n_search_col_list);
        add_target(binder, select, breadth ? row : operator_of(binder, "||", column(binder, alias, SEQ), row),
                   search->search_seq_column);
    }
    if (cycle) {
        PgQuery__Node *row = row_of(binder, alias, NULL, cycle->cycle_col_list, cycle->n_cycle_col_list);
        PgQuery__Node *before =
            operation(binder, PG_QUERY__A__EXPR__KIND__AEXPR_OP_ANY, "=", row, column(binder, alias, PATH));
        add_target(binder, select, choice_of(binder, before, cycle->cycle_mark_value, cycle->cycle_mark_default),
                   cycle->cycle_mark_column);
        add_target(binder, select, operator_of(binder, "||", column(binder, alias, PATH), row),
                   cycle->cycle_path_column);
    }
    if (breadth)
        add_target(binder, select, deeper, DEPTH);
    return select;
}

static bool is_plain(const PgQuery__SelectStmt *select)
{
    return select->op == PG_QUERY__SET_OPERATION__SETOP_NONE;
}

enum kp_code kp_bind_search_cycle(struct binder *binder, const PgQuery__CommonTableExpr *def,
                                  const struct kp_plan *base, PgQuery__SelectStmt **select, uint32_t *ret_hidden)
{
    struct clauses self = {binder, def, def->search_clause, def->cycle_clause, NULL, base->col_count};
    PgQuery__SelectStmt *both = kp_arena_alloc(binder->arena, sizeof *both), *wide = NULL;
    *both = **select;
    self.names = kp_arena_calloc(binder->arena, (self.count + 1) * sizeof *self.names);
    for (uint32_t i = 0; i < self.count; i++)
        self.names[i] = i < def->n_aliascolnames ? def->aliascolnames[i] : name_node(binder, base->cols[i].name);
    KP_TRY(check_clauses(&self));
    if (!is_plain(both->larg) || !is_plain(both->rarg))
        return kp_bind_fail(binder, def->location, KP_UNSUPPORTED, NULL,
                            "with a SEARCH or CYCLE clause, the %s side of the UNION must be a SELECT",
                            is_plain(both->larg) ? "right" : "left");
    KP_TRY(widen_term(&self, both->rarg, &wide));
    both->larg = make_base(&self, both->larg);
    both->rarg = make_term(&self, wide);
    *select = both;
    *ret_hidden = self.search && self.search->search_breadth_first;
    return KP_OK;
}
