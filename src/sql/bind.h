/*
 * Inside sql/: the binder. It walks PostgreSQL's parse tree once and makes plans and expressions in the plan's arena.
 *
 *   resolve.c  which function, operator or aggregate a name and types mean       coerce.c  casts, common types
 *   expr_bind.c, expr_call.c  expressions                                        scope.c   names to columns
 *   select.c  one SELECT     setop.c  UNION and its like     from.c  FROM     group.c  GROUP BY
 *   over.c  OVER, DISTINCT ON     order.c  ORDER BY, LIMIT     match_bind.c, match_nav.c  MATCH_RECOGNIZE
 *   cte.c  WITH, WITH RECURSIVE     search_cycle.c  its SEARCH and CYCLE
 *   sets.c  set-returning functions, in FROM and in the select list
 *   sublink.c  IN, EXISTS, scalars: guard.c, pull.c, unnest.c, single.c, outer.c     push.c  joins and where predicates
 * go prune.c  columns nobody reads write.c, create.c  the other statements
 */
#ifndef KP_SQL_BIND_H
#define KP_SQL_BIND_H

#include "sql/parse.h"
#include "sql/sql.h"
#include "vec/set.h"

/* Columns of an expression being bound that are not columns of the input: replaced before the plan is done. */
enum {
    KP_OVER_BASE = 1 << 30,  /* + index: the value of a window function of this SELECT */
    KP_AGG_BASE = 1 << 29,   /* + index: the value of an aggregate of this SELECT */
    KP_OUTER_BASE = 1 << 28, /* + (level - 1) * KP_OUTER_LEVEL + index: a column of a query around this one (outer.c) */
    KP_SUB_BASE = 1 << 27,   /* + index: the value of a subquery of this SELECT */
    KP_SET_BASE = 1 << 26,   /* + index: a column of a set-returning function of this SELECT */
    KP_GROUPING_BASE = 1 << 25, /* + index: a GROUPING() of this SELECT */
    KP_OUTER_LEVEL = 1 << 20,
    KP_OUTER_AGG = 1 << 18 /* + index, in place of a column of a query around: an aggregate of that query */
};
static inline bool kp_is_outer(uint32_t column)
{
    return column >= KP_OUTER_BASE && column < KP_AGG_BASE;
}
static inline bool kp_is_sub(uint32_t column)
{
    return column >= KP_SUB_BASE && column < KP_OUTER_BASE;
}
/* 1: the query around, 2: the one around that … */
static inline uint32_t kp_outer_level(uint32_t column)
{
    return (column - KP_OUTER_BASE) / KP_OUTER_LEVEL + 1;
}
static inline uint32_t kp_outer_column(uint32_t column)
{
    return (column - KP_OUTER_BASE) % KP_OUTER_LEVEL;
}

struct scope_column {
    const char *schema;   /* that may stand before the relation's name: it has no alias; NULL: none */
    const char *relation; /* the alias it can be qualified with; NULL: none */
    const char *name;
    struct kp_type type;
    bool not_null;
    bool missing;        /* of a side that an outer join may not have */
    bool hidden;         /* not in *: metadata of records */
    bool qualified_only; /* the other side's column of JOIN … USING */
    bool never;          /* of a system table, and always NULL */
    bool marks_row;      /* true, or NULL where its relation's row is missing */
    bool of_join;        /* its relation is a join's alias, whose whole row is never NULL, as in PostgreSQL */
    uint32_t index;      /* in the plan's columns */
    uint32_t place;      /* in *, where columns of USING come first: those of a scope's columns are 0, 1, … */
    struct kp_base_column base;
};

struct scope {
    struct scope_column *cols;
    uint32_t count, cap;
    const struct scope *outer; /* of the query around: columns from there become KP_OUTER_BASE */
    struct agg_list *aggs;     /* where an aggregate over its columns only goes, from subqueries; NULL: it is refused */
    struct sub_list *subs;     /* and where the subqueries in its arguments go; there if aggs is */
    const char *no_columns;    /* the clause, LIMIT, that must not read them; NULL: they may be read */
    uint32_t names_from;       /* a relation before this column does not keep a new one from its name */
    uint32_t target_count;     /* its first columns: of the target, which FROM, that is being bound, must not read */
};

/* The FROM lists around what is being bound, for those who name a relation that is out of reach (scope.c). */
struct from_list {
    const PgQuery__RangeVar *target; /* of UPDATE, DELETE …; NULL: none */
    PgQuery__Node *const *items;
    size_t count;
    const struct from_list *outer;
};

/* A subquery in an expression, until the plan that it is joined to is there (sublink.c). */
struct sub {
    enum sub_kind { SUB_EXISTS, SUB_SCALAR, SUB_ANY, SUB_ALL } kind;
    struct kp_plan *plan;   /* level 1 of its outer columns is the query that it stands in */
    struct kp_expr **tests; /* x and (x, y) of x IN (…), x < ANY (…): over that query */
    uint32_t test_count;
    const char *operator_name; /* of ANY and ALL */
    struct kp_type type;
    int32_t location;
    struct kp_expr *value; /* over the plan that it has been joined to; NULL: not yet */
    bool filters;          /* its value decides whether rows are kept, and may become a join's key */
    struct kp_expr *guard; /* over that plan: rows for which it is computed at all; NULL: all, or it cannot fail */
};
struct sub_list {
    struct sub *items;
    uint32_t count, cap;
};

struct agg_list {
    struct kp_plan_agg *aggs;
    int32_t *locations;
    uint32_t count, cap;
};

/* GROUPING(a, b …): 1 bits for the groups that a row's set leaves out, the last one's the lowest. */
struct grouping_call {
    struct kp_expr **args;
    uint32_t arg_count;
    int32_t location;
};
struct grouping_list {
    struct grouping_call *items;
    uint32_t count, cap;
};

/* A window function of a SELECT: expressions over its input. */
struct over_item {
    struct kp_expr **partitions, **orders, **args, *filter;
    uint32_t partition_count, order_count, arg_count;
    struct kp_sort_key *keys;      /* of orders; column unused */
    struct kp_plan_over_call call; /* columns unused */
};
struct over_list {
    const PgQuery__SelectStmt *select; /* whose WINDOW clause names windows */
    struct over_item *items;
    uint32_t count, cap;
};

/* Set-returning functions of a SELECT list, until the plan that they expand is there (sets.c). */
struct set_value {
    uint32_t call, field;
};
struct set_list {
    struct kp_plan_set *calls;
    struct kp_type (*types)[KP_SET_COLUMNS_MAX]; /* of each call's columns */
    uint32_t *at;                                /* of each call: its first column in the plan; UINT32_MAX: not yet */
    uint32_t call_count, call_cap;
    struct set_value *values; /* what KP_SET_BASE counts */
    uint32_t value_count, value_cap;
};

/* What may stand in the expression being bound. */
struct expr_place {
    const struct scope *scope;
    const char *clause;              /* "WHERE", as in PostgreSQL's messages */
    struct agg_list *aggs;           /* NULL: aggregates are refused */
    struct over_list *overs;         /* NULL: window functions are refused */
    struct sub_list *subs;           /* NULL: subqueries are refused */
    struct grouping_list *groupings; /* NULL: GROUPING() is refused */
    struct set_list *sets;           /* NULL: set-returning functions are refused */
    const char *no_sets;             /* by what; NULL: by the clause */
    struct match_scope *match; /* within MATCH_RECOGNIZE: columns are navigations (match_nav.c); NULL: elsewhere */
};

struct targets;

struct cte {
    const PgQuery__CommonTableExpr *def;
    const struct cte *next;     /* visible behind it */
    const struct scope *around; /* where it is defined */
    const struct from_list *from;
    bool recursive;            /* of WITH RECURSIVE: */
    const struct cte *visible; /* all of them, and itself */
    enum cte_state {
        CTE_IDLE,
        CTE_PLAIN, /* being bound: a reference would be recursive, */
        CTE_BASE,  /* and so it would be in a non-recursive term, */
        CTE_WORK   /* but not in a recursive one */
    } state;
    struct kp_plan *work;      /* what stands for itself there */
    const struct scope *round; /* around the recursive term: its one column is the iteration */
    uint32_t references;       /* to itself */
    const char *no_self;       /* of the binder, where it is defined */
    bool bound;                /* at a use before: what it refers to counts once */
    const struct cte *within;  /* the query of WITH in which its own WITH stands; NULL: none */
    bool writes;               /* an INSERT, UPDATE or DELETE */
    bool used;                 /* something names it */
    struct kp_relation *given; /* what it returns; NULL: nothing */
};

/* What a recursion of binding leaves of its thread's stack. */
enum { BIND_STACK_MIN_BYTES = 96 << 10 };

struct binder {
    const struct kp_sql_context *context;
    const struct kp_statement *statement;
    struct kp_arena *arena;
    const char *text;
    struct kp_error *err;
    bool for_view;
    const struct cte *ctes;
    const struct scope *around; /* of the query around the one being bound */
    const struct from_list *from;
    const struct cte *innermost; /* query of WITH that is being bound */
    bool bound_again;            /* one of WITH that was bound before is */
    const char *no_self;         /* where a recursive query may not refer to itself; NULL: it may */
    uint32_t recursions;         /* numbered so far */
    uint32_t param_count;
    struct kp_type *param_types; /* id UNKNOWN: not yet */
    bool emit_on_close;          /* of the SELECT to be bound next, not of those inside it */
    struct kp_relation *late_of; /* the view whose late rows are read; NULL: none */
    bool now_allowed;            /* of the expression being bound: a condition of a view's WHERE or HAVING */
    struct use_list *uses;       /* where objects that it uses are noted; NULL: nobody asks */
    const struct view_chain {    /* plain views whose texts are being bound, the innermost first */
        const struct kp_relation *view;
        const struct view_chain *outer;
    } * views;
    const struct scope *inline_params; /* $n is the n-th column there: a function's body */
    uint32_t inline_depth;             /* of functions' bodies within each other */
    uint32_t depth;                    /* of queries within each other, those of WITH and plain views, too */
    uint32_t nodes;                    /* of plans made so far */
    uint32_t domain_nodes;             /* of plans copied so far to make domains (unnest.c) */
    bool keep_unknown;                 /* its literals may stay unknown: the caller gives them their type */
    struct write_list *writes;         /* of the WITH to be bound next: those that write go here; NULL: they may not */
};

/* ---- errors ---- */
enum kp_code kp_bind_fail(struct binder *binder, int32_t location, enum kp_code code, const char *sqlstate,
                          const char *format, ...) __attribute__((format(printf, 5, 6)));

/* object.c: a type's name, or its domain's, in messages. */
const char *kp_bind_type_text(struct binder *binder, struct kp_type type);

/* ---- coerce.c ---- */
enum coercion { COERCE_IMPLICIT, COERCE_ASSIGNMENT, COERCE_EXPLICIT };
struct kp_expr *kp_bind_new(struct binder *binder, enum kp_expr_kind kind, struct kp_type type, int32_t location,
                            uint32_t arg_count);
/* A call of a function of ours that has one form, given arguments of its types; not folded. */
struct kp_expr *kp_bind_call(struct binder *binder, const char *name, struct kp_type type, struct kp_expr **args,
                             uint32_t count, int32_t location);
struct kp_expr *kp_bind_column(struct binder *binder, uint32_t column, struct kp_type type, int32_t location);
struct kp_expr *kp_bind_bool(struct binder *binder, bool value);
struct kp_expr *kp_bind_text(struct binder *binder, const char *value);
struct kp_expr *kp_bind_null(struct binder *binder, struct kp_type type);
/* What a value of regclass, regtype … or an array of such leaves as, beside numbers inside; others as they are. */
KP_MUST enum kp_code kp_bind_as_name(struct binder *binder, struct kp_expr *expr, struct kp_expr **ret_expr);
/* The same value, its type called by this domain or none. */
struct kp_expr *kp_bind_called(struct binder *binder, struct kp_expr *value, uint32_t domain);
bool kp_can_coerce(enum kp_type_id from, enum kp_type_id to, enum coercion how);
KP_MUST enum kp_code kp_bind_coerce(struct binder *binder, struct kp_expr *expr, struct kp_type to, enum coercion how,
                                    struct kp_expr **ret_expr);
/* The type all of them can become, as for CASE and UNION; 42804 "CASE types … cannot be matched". */
KP_MUST enum kp_code kp_bind_common_type(struct binder *binder, struct kp_expr **exprs, uint32_t count,
                                         const char *what, struct kp_type *ret_type);
/* To boolean, or 42804 'argument of WHERE must be type boolean, not type integer'. */
KP_MUST enum kp_code kp_bind_to_bool(struct binder *binder, struct kp_expr *expr, const char *what,
                                     struct kp_expr **ret_expr);
/* 42883 for what has no order, json and jsonpath: what is "equality" (groups, DISTINCT) or "ordering". */
KP_MUST enum kp_code kp_bind_must_compare(struct binder *binder, enum kp_type_id type, const char *what,
                                          int32_t location);
/* Unknown literals and parameters become text: outputs of a query. */
KP_MUST enum kp_code kp_bind_settle_unknown(struct binder *binder, struct kp_expr *expr, struct kp_expr **ret_expr);
/* The value now, if all arguments are constants and the function is immutable; the expression itself else. */
struct kp_expr *kp_bind_fold(struct binder *binder, struct kp_expr *expr);
/* A call of a KP_PATTERN function: its pattern, if it is constant, is tried out on an empty text. */
KP_MUST enum kp_code kp_bind_check_pattern(struct binder *binder, const struct kp_expr *expr);
/* The same of a function that makes rows. */
KP_MUST enum kp_code kp_bind_check_set_pattern(struct binder *binder, const struct kp_set_func *func,
                                               struct kp_expr *const *args, uint32_t count);
/* row.c: the type, if a row of it has fields of domains, or fields that have; else NULL. */
struct kp_relation *kp_bind_row_domains(const struct binder *binder, enum kp_type_id id);
/* The row with the domains of its fields checked; any value as it is. */
KP_MUST enum kp_code kp_bind_row_check(struct binder *binder, struct kp_expr *row, int32_t location,
                                       struct kp_expr **ret_row);
/* moment.c: a literal that could not be read because its value depends on when it is; else the code that it failed
 * with. */
KP_MUST enum kp_code kp_bind_moment(struct binder *binder, struct kp_type to, struct kp_str text, void *ret_value,
                                    enum kp_code refused);

/* ---- resolve.c ---- */
/* A date or timestamp that is compared with values of the other type: days that no timestamp reaches compare too. */
struct kp_expr *kp_bind_bound(struct binder *binder, enum kp_type_id other, struct kp_expr *time);
KP_MUST enum kp_code kp_bind_operator(struct binder *binder, const char *name, struct kp_expr *left,
                                      struct kp_expr *right, int32_t location, struct kp_expr **ret_expr);
/* A set-returning function's call: which, arguments cast, columns. False if no such function has the name. */
struct set_call {
    const struct kp_set_func *func;
    struct kp_expr **args;
    uint32_t arg_count;
    struct kp_type types[KP_SET_COLUMNS_MAX]; /* func->col_count */
};
/* COLLATE "name": 42704 unless it is one by bytes. */
KP_MUST enum kp_code kp_bind_collation(struct binder *binder, const PgQuery__CollateClause *clause);
bool kp_bind_is_set_function(const char *name);
KP_MUST enum kp_code kp_bind_set_function(struct binder *binder, const char *name, struct kp_expr **args,
                                          uint32_t count, int32_t location, struct set_call *ret_call);
KP_MUST enum kp_code kp_bind_function(struct binder *binder, const char *name, struct kp_expr **args, uint32_t count,
                                      int32_t location, struct kp_expr **ret_expr);
/* 42883, with PostgreSQL's general hint. */
KP_MUST enum kp_code kp_bind_no_function(struct binder *binder, const char *name, struct kp_expr *const *args,
                                         uint32_t count, int32_t location);
/* False if no aggregate has the name. */
bool kp_bind_is_aggregate(const char *name);
KP_MUST enum kp_code kp_bind_aggregate(struct binder *binder, const char *name, struct kp_expr **args, uint32_t count,
                                       int32_t location, struct kp_plan_agg *ret_agg);
/* What polymorphic types stand for in one call; UNKNOWN if no argument says. */
struct kp_poly {
    enum kp_type_id element, compatible;
};
/* The type that one of a signature stands for. */
enum kp_type_id kp_poly_meant(enum kp_type_id want, const struct kp_poly *poly);
/* Fails if that is an array of arrays, which there are none of: what an unknown literal beside an array would be,
 * array_append('{1}', tags), and what array_fill(tags, …) would give. */
KP_MUST enum kp_code kp_poly_check(struct binder *binder, enum kp_type_id want, const struct kp_poly *poly);
/* What may be called with some arguments: the types that it takes for these. */
struct kp_signature {
    const void *what;
    const enum kp_type_id *types;
};
/* Which of them is meant; the arguments are cast to its types. 42883, 42725. */
KP_MUST enum kp_code kp_bind_choose(struct binder *binder, const char *name, const struct kp_signature *signatures,
                                    uint32_t signature_count, struct kp_expr **args, uint32_t count, int32_t location,
                                    uint32_t *ret_at, struct kp_poly *ret_poly);
/* f(…, VARIADIC array) of a built-in function. */
KP_MUST enum kp_code kp_bind_spread(struct binder *binder, const char *name, struct kp_expr **args, uint32_t count,
                                    int32_t location, struct kp_expr **ret_expr);
/* rank(direct…) WITHIN GROUP (ORDER BY keys…): args are both; each direct argument and its key become one type. */
KP_MUST enum kp_code kp_bind_hypothetical(struct binder *binder, const char *name, struct kp_expr **args,
                                          uint32_t direct, uint32_t keys, int32_t location,
                                          struct kp_plan_agg *ret_agg);

/* ---- expr_bind.c, expr_call.c ---- */
KP_MUST enum kp_code kp_bind_expr(struct binder *binder, const struct expr_place *place, const PgQuery__Node *node,
                                  struct kp_expr **ret_expr);
KP_MUST enum kp_code kp_bind_func_call(struct binder *binder, const struct expr_place *place,
                                       const PgQuery__FuncCall *call, struct kp_expr **ret_expr);
/* DISTINCT, ORDER BY, FILTER and such in the call of what is no aggregate. */
KP_MUST enum kp_code kp_bind_refuse_parts(struct binder *binder, const PgQuery__FuncCall *call, const char *name,
                                          bool aggregate);
KP_MUST enum kp_code kp_bind_value_function(struct binder *binder, const PgQuery__SQLValueFunction *function,
                                            struct kp_expr **ret_expr);
/* ARRAY[…] (expr_array.c); target: the type it is cast to, NONE if to none. */
KP_MUST enum kp_code kp_bind_array(struct binder *binder, const struct expr_place *place,
                                   const PgQuery__AArrayExpr *node, struct kp_type target, struct kp_expr **ret_expr);
/* x[1], x[1:2], (x).field. */
/* An array's subscript: an integer. */
KP_MUST enum kp_code kp_bind_subscript(struct binder *binder, const struct expr_place *place, const PgQuery__Node *node,
                                       struct kp_expr **ret_expr);
/* Subscripts with slices among them: which bounds are given (expr_array.c), then the bounds; at most
 * 1 + 2 * KP_ARRAY_DIMENSIONS_MAX, count is at most KP_ARRAY_DIMENSIONS_MAX. */
KP_MUST enum kp_code kp_bind_slice(struct binder *binder, const struct expr_place *place, PgQuery__Node *const *nodes,
                                   size_t count, struct kp_expr **ret_args, uint32_t *ret_count);
/* Subscripts of jsonb as a path, text[]; whether the first one is a number. */
KP_MUST enum kp_code kp_bind_jsonb_path(struct binder *binder, const struct expr_place *place,
                                        PgQuery__Node *const *nodes, size_t count, int32_t location,
                                        struct kp_expr **ret_path, bool *ret_number);
KP_MUST enum kp_code kp_bind_indirection(struct binder *binder, const struct expr_place *place,
                                         const PgQuery__AIndirection *node, struct kp_expr **ret_expr);
/* Session functions: KP_NOT_FOUND without an error if it is none. */
enum kp_code kp_bind_session_function(struct binder *binder, const char *name, struct kp_expr **args, uint32_t count,
                                      int32_t location, struct kp_expr **ret_expr);
/* (a, b) op (c, d). */
KP_MUST enum kp_code kp_bind_rows_compare(struct binder *binder, const char *name, struct kp_expr **left,
                                          struct kp_expr **right, uint32_t count, int32_t location,
                                          struct kp_expr **ret_expr);
/* The name PostgreSQL gives an output column. */
const char *kp_bind_output_name(const PgQuery__Node *node);

/* ---- scope.c ---- */
void kp_scope_add(struct binder *binder, struct scope *scope, struct scope_column column);
/* The columns from `at` are copies of the other scope's from `from`: * shows them as there. */
void kp_scope_copy_places(struct scope *scope, uint32_t at, const struct scope *other, uint32_t from);
/* The numbers of the scope's columns from `from`, as * shows them; also of those that it does not show. */
const uint32_t *kp_scope_order(struct binder *binder, const struct scope *scope, uint32_t from);
/* Columns of a plan under an alias, numbered from `base`. */
void kp_scope_add_plan(struct binder *binder, struct scope *scope, const char *alias, const struct kp_plan *plan,
                       uint32_t base);
KP_MUST enum kp_code kp_scope_find(struct binder *binder, const struct scope *scope, const PgQuery__ColumnRef *ref,
                                   struct kp_expr **ret_expr);
/* relation NULL: any. NULL if there is none; *ret_ambiguous if several. */
const struct scope_column *kp_scope_lookup(const struct scope *scope, const char *relation, const char *name,
                                           bool *ret_ambiguous);
bool kp_scope_has_relation(const struct scope *scope, const char *relation);
/* The relation of ref, which ends in *: NULL without a name. 42P01. */
KP_MUST enum kp_code kp_scope_star(struct binder *binder, const struct scope *scope, const PgQuery__ColumnRef *ref,
                                   const char **ret_relation);
/* 42P01 for a relation that is none of FROM's, or out of reach. */
KP_MUST enum kp_code kp_bind_no_relation(struct binder *binder, const struct scope *scope, const char *relation,
                                         int32_t location);
KP_MUST enum kp_code kp_bind_no_column(struct binder *binder, const struct scope *scope, const char *relation,
                                       const char *name, int32_t location);

/* ---- base_column.c ---- */
/* The first columns of the plan are those of the relation. */
void kp_plan_set_bases(struct binder *binder, struct kp_plan *plan, const struct kp_relation *relation);
/* Which columns of relations the first `count` targets are; NULL: none. Before their expressions are replaced. */
struct targets;
const struct kp_base_column *kp_targets_bases(struct binder *binder, const struct targets *targets, uint32_t count,
                                              const struct scope *scope);

/* ---- cte.c ---- */
/* The queries of WITH become visible; binder->ctes is to be set back behind it. */
KP_MUST enum kp_code kp_bind_with(struct binder *binder, const PgQuery__WithClause *with);
/* One of them where it is used. */
/* Those behind `before` that nothing names have to be right too; what they read is in use. */
KP_MUST enum kp_code kp_bind_unused_with(struct binder *binder, const struct cte *before);
KP_MUST enum kp_code kp_bind_cte(struct binder *binder, struct cte *cte, int32_t location, struct kp_plan **ret_plan);

/* search_cycle.c: SEARCH and CYCLE of a recursive query whose non-recursive term is `base`, as columns of its terms;
 * the last *ret_hidden of them are not its own. */
KP_MUST enum kp_code kp_bind_search_cycle(struct binder *binder, const PgQuery__CommonTableExpr *def,
                                          const struct kp_plan *base, PgQuery__SelectStmt **select,
                                          uint32_t *ret_hidden);

/* ---- now.c ---- */
bool kp_expr_reads_now(const struct kp_expr *expr);
/* Refuses conditions on now() of a view that could change more than once. */
KP_MUST enum kp_code kp_bind_check_now(struct binder *binder, const struct kp_expr *condition);
/* Refuses now() of a view anywhere but in filters. */
KP_MUST enum kp_code kp_plan_check_now(struct binder *binder, const struct kp_plan *plan);

/* ---- sets.c ---- */
/* A call in an expression: a column of KP_SET_BASE. field NULL: it has one column only. */
KP_MUST enum kp_code kp_bind_set_value(struct binder *binder, const struct expr_place *place,
                                       const PgQuery__FuncCall *call, const char *field, struct kp_expr **ret_expr);
/* The call that (f(x)).field and (f(x)).* read fields of; NULL: it is none. */
const PgQuery__FuncCall *kp_bind_set_fields(const PgQuery__AIndirection *node);
KP_MUST enum kp_code kp_bind_set_star(struct binder *binder, const struct expr_place *place,
                                      const PgQuery__FuncCall *call, struct targets *targets);
bool kp_expr_reads_sets(const struct kp_expr *expr);
/* Which calls the expressions read, in arguments of others too: call_count flags. */
bool *kp_sets_wanted(struct binder *binder, const struct set_list *sets, struct kp_expr **const *exprs, uint32_t count);
/* Expands the plan, whose columns stay the first ones, by the calls that the expressions read, and puts their columns
 * into the expressions and into the other calls' arguments. */
void kp_sets_apply(struct binder *binder, struct set_list *sets, struct kp_expr **const *exprs, uint32_t count,
                   struct kp_plan **plan);
/* A function in FROM; its level 1 is the list that it stands in. ret_name: what it is called without an alias;
 * ret_scalar: its columns are values, not fields of a row that it makes. */
KP_MUST enum kp_code kp_bind_set_table(struct binder *binder, const PgQuery__RangeFunction *range,
                                       const struct scope *scope, const char **ret_name, bool *ret_scalar,
                                       struct kp_plan **ret_plan);
/* The plan that such a call makes for each of the rows, over them; NULL: it is not such a plan. */
struct kp_plan *kp_expand_rows(struct binder *binder, const struct kp_plan *plan, struct kp_plan *rows, bool outer);

/* ---- plan nodes ---- */
struct kp_plan *kp_bind_node(struct binder *binder, enum kp_plan_kind kind, int32_t location, uint32_t col_count,
                             uint32_t input_count);
/* PROJECT of these expressions; names NULL: the input's for columns. */
struct kp_plan *kp_bind_project(struct binder *binder, struct kp_plan *input, struct kp_expr **exprs,
                                const char *const *names, uint32_t count);
/* PROJECT of the first `count` columns; the plan itself if it has no others. */
struct kp_plan *kp_bind_first_columns(struct binder *binder, struct kp_plan *plan, uint32_t count);
struct kp_plan *kp_bind_filter(struct binder *binder, struct kp_plan *input, struct kp_expr *predicate);
struct kp_plan *kp_bind_distinct(struct binder *binder, struct kp_plan *input);
/* Whether the statement has not grown too large: WITH queries and views are taken apart at each mention. */
KP_MUST enum kp_code kp_bind_check_nodes(struct binder *binder, int32_t location);
struct kp_plan *kp_bind_scan(struct binder *binder, struct kp_relation *relation, int32_t location);
/* growing of every node, from the leaves; the last pass. */
void kp_plan_settle_growing(struct kp_plan *plan);
/* Its rows are records of sources one by one, so each has its own watermark. `growing` is settled. */
bool kp_plan_is_stateless(const struct kp_plan *plan);

/* ---- diff.c ---- */
/* kappa.diff('view', a, b). */
KP_MUST enum kp_code kp_bind_diff(struct binder *binder, const PgQuery__FuncCall *call, struct kp_plan **ret_plan);

/* ---- push.c ---- */
struct conjuncts {
    struct kp_expr **exprs;
    uint32_t count, cap;
};
void kp_conjuncts_add(struct binder *binder, struct conjuncts *list,
                      struct kp_expr *expr); /* splits ANDs, drops TRUE */
/* A list of conditions (NULL: none yet), none of it but what this function returned, with one more in its place. */
struct kp_expr *kp_conditions_add(struct binder *binder, struct kp_expr *list, struct kp_expr *condition);
/* The plan with the predicate applied as far down as it may be. */
struct kp_plan *kp_push_predicate(struct binder *binder, struct kp_plan *plan, struct kp_expr *predicate);
struct kp_plan *kp_push_all(struct binder *binder, struct kp_plan *plan, const struct conjuncts *list);
/* A join of two plans without conditions yet; its columns are left's then right's. */
struct kp_plan *kp_bind_join(struct binder *binder, enum kp_join_kind kind, struct kp_plan *left,
                             struct kp_plan *right);
/* Adds a key that matches NULL with NULL. */
void kp_join_same(struct binder *binder, struct kp_plan *join, struct kp_expr *left, struct kp_expr *right);
/* Adds a condition of the join itself: a key, a filter of one side, or part of the residual. */
void kp_join_condition(struct binder *binder, struct kp_plan *join, struct kp_expr *condition);
/* column = map[column]; of a copy. */
struct kp_expr *kp_expr_remap(struct binder *binder, const struct kp_expr *expr, const uint32_t *map);
/* The lowest and highest column it reads; false if it reads none. */
bool kp_expr_column_range(const struct kp_expr *expr, uint32_t *ret_min, uint32_t *ret_max);

/* ---- from.c ---- */
struct query_joins {
    struct kp_plan **items; /* to be joined, in the order written; columns numbered through */
    uint32_t item_count, item_cap;
    uint32_t col_count;
    uint32_t base; /* the scope's number of the first column: not 0 on the right side of an outer join */
    struct conjuncts conditions;
    struct sub_list subs;  /* subqueries in conditions */
    struct conjuncts late; /* conditions that read them, applied last */
    bool never;            /* reads a system table that has no rows, whatever happens */
    bool recursive;        /* a recursive query's reference to itself is among the items */
};
KP_MUST enum kp_code kp_bind_from(struct binder *binder, PgQuery__Node *const *items, size_t count,
                                  struct query_joins *joins, struct scope *scope);
void kp_joins_add(struct binder *binder, struct query_joins *joins, struct kp_plan *item);
/* Makes the items one, conditions so far applied; columns keep their numbers. */
void kp_joins_collapse(struct binder *binder, struct query_joins *joins);
/* A condition; parts of it that read subqueries wait for the end. */
void kp_joins_condition(struct binder *binder, struct query_joins *joins, struct kp_expr *condition);
/* One plan of all items, its columns in the order written (behind them what subqueries gave), all conditions applied.
 */
KP_MUST enum kp_code kp_joins_finish(struct binder *binder, struct query_joins *joins, struct kp_plan **ret_plan);
/* ---- system_time.c ---- */
/* FOR SYSTEM_TIME AS OF at a constant behind the item of FROM, over its plan: the rows of then. At a column of a join's
 * left side: a table becomes its versions. Nothing if it is not there. */
KP_MUST enum kp_code kp_bind_system_time(struct binder *binder, const PgQuery__RangeVar *range, struct kp_plan **plan);
/* It may not stand behind a query of WITH. */
KP_MUST enum kp_code kp_bind_no_system_time(struct binder *binder, const PgQuery__RangeVar *range);
/* What stands behind that item and names a column of a join's left side; NULL: nothing. */
const struct sql_temporal *kp_bind_find_temporal(const struct binder *binder, const PgQuery__Node *right);
/* Each left row with the version of a table's key that held at `time`, a column of the left side. */
KP_MUST enum kp_code kp_bind_versioned(struct binder *binder, const struct sql_temporal *temporal, bool outer,
                                       struct kp_expr *time, struct kp_plan *left, struct kp_plan *right,
                                       const struct conjuncts *conditions, struct kp_plan **ret_plan);
/* The versions of a table being created. */
void kp_bind_versions(struct kp_relation *table);
/* ---- asof.c ---- */
/* True if the word ASOF stood before the JOIN whose right item this is. */
bool kp_bind_is_asof(const struct binder *binder, const PgQuery__Node *right);
/* The join of two sides whose right item stands behind ASOF JOIN or has FOR SYSTEM_TIME AS OF behind it. */
KP_MUST enum kp_code kp_bind_temporal(struct binder *binder, const PgQuery__JoinExpr *join, const struct scope *scope,
                                      struct kp_plan *left, struct kp_plan *right, struct conjuncts *conditions,
                                      struct kp_plan **ret_plan);
/* Conditions over left's then right's columns, which are the plan's. version: the right side's column that says which
 * of two rows at one time was logged later; NULL: the least counts. */
KP_MUST enum kp_code kp_bind_asof(struct binder *binder, bool outer, struct kp_plan *left, struct kp_plan *right,
                                  const struct conjuncts *conditions, const uint32_t *version,
                                  struct kp_plan **ret_plan);
/* ---- match_bind.c, match_nav.c ---- */
/* The MATCH_RECOGNIZE that stands behind the relation, if one does, over its plan. */
KP_MUST enum kp_code kp_bind_match(struct binder *binder, const PgQuery__RangeVar *range, struct kp_plan **plan);
KP_MUST enum kp_code kp_bind_match_column(struct binder *binder, const struct expr_place *place,
                                          const PgQuery__ColumnRef *ref, struct kp_expr **ret_expr);
/* *ret_expr NULL: a function like any other. */
KP_MUST enum kp_code kp_bind_match_call(struct binder *binder, const struct expr_place *place,
                                        const PgQuery__FuncCall *call, const char *name, struct kp_expr **ret_expr);

KP_MUST enum kp_code kp_bind_relation(struct binder *binder, struct kp_name name, struct kp_relation **ret_relation);
/* plain_view.c: the rows of a CREATE VIEW, over what its names mean now. */
KP_MUST enum kp_code kp_bind_plain_view(struct binder *binder, struct kp_relation *view, int32_t location,
                                        struct kp_plan **ret_plan);
/* plain_view.c: CREATE OR REPLACE VIEW keeps the columns that are there. */
KP_MUST enum kp_code kp_bind_check_replace(struct binder *binder, const struct kp_relation *old,
                                           const struct kp_relation *view);

/* ---- window.c ---- */
bool kp_bind_is_window(const char *name);
KP_MUST enum kp_code kp_bind_window(struct binder *binder, const PgQuery__FuncCall *call, const char **ret_alias,
                                    struct kp_plan **ret_plan);
/* Follows a column down through nodes that pass it on, to where it is made. */
const struct kp_plan *kp_plan_trace(const struct kp_plan *plan, uint32_t column, uint32_t *ret_column);
/* late(view): the pairs that a view with EMIT ON WINDOW CLOSE leaves out. */
KP_MUST enum kp_code kp_bind_late(struct binder *binder, const PgQuery__FuncCall *call, const char **ret_alias,
                                  struct kp_plan **ret_plan);
/* Views below windows whose rows must bring their watermarks are given their plans as inputs; behind pruning. */
void kp_plan_expand_views(struct binder *binder, struct kp_plan *plan);
/* The EMIT node for EMIT ON WINDOW CLOSE over `plan`, whose groups or rows have a window's end. */
KP_MUST enum kp_code kp_bind_emit(struct binder *binder, struct kp_plan *plan, struct kp_plan **ret_plan);

/* ---- lateness.c ---- */
/* WITH (lateness = …) of a view: the scans of its sources leave out rows that are later than that. */
KP_MUST enum kp_code kp_bind_lateness(struct binder *binder, struct kp_plan **plan);
/* Which rows of joins match no later row once the watermark has passed; when `growing` is settled. */
void kp_plan_bound_joins(struct kp_plan *plan);

/* ---- select.c, group.c, order.c, sublink.c ---- */
/* root: the outermost SELECT of an ad-hoc query keeps its order in a SORT, with columns behind result_count. */
KP_MUST enum kp_code kp_bind_select(struct binder *binder, const PgQuery__SelectStmt *select, bool root,
                                    struct kp_plan **ret_plan, uint32_t *ret_count);
/* setop.c: UNION, INTERSECT, EXCEPT of the two arguments, without ORDER BY and LIMIT. */
KP_MUST enum kp_code kp_bind_set_operation(struct binder *binder, const PgQuery__SelectStmt *select,
                                           struct kp_plan **ret_plan);
/* The branches of a union: the columns' common types, and a branch cast to them. */
KP_MUST enum kp_code kp_union_columns(struct binder *binder, const struct kp_plan *left, const struct kp_plan *right,
                                      const char *what, struct kp_column *cols);
KP_MUST enum kp_code kp_union_branch(struct binder *binder, struct kp_plan *plan, const struct kp_column *cols,
                                     struct kp_plan **ret_plan);
struct target {
    struct kp_expr *expr;
    const char *name;
    const PgQuery__Node *node; /* NULL: made by * */
};
struct targets {
    struct target *items;
    uint32_t count, cap;
};
void kp_targets_add(struct binder *binder, struct targets *targets, struct target target);
/* The items of a select list or of RETURNING, * among them. */
KP_MUST enum kp_code kp_bind_targets(struct binder *binder, const struct expr_place *place, PgQuery__Node *const *list,
                                     size_t count, bool keep_unknown, struct targets *targets);
struct grouping {
    struct kp_expr **groups;
    uint32_t cap, set_count;
    uint64_t *sets;           /* GROUPING SETS: bits of groups; set_count 0: all groups are one set */
    struct kp_expr **written; /* the same as the targets have them: before subqueries got their values; NULL: groups */
    uint32_t count;
    const struct agg_list *aggs;
    const struct grouping_list *calls; /* of GROUPING() */
    const struct scope *scope;
};
KP_MUST enum kp_code kp_bind_grouping(struct binder *binder, const struct expr_place *place,
                                      const PgQuery__GroupingFunc *func, struct kp_expr **ret_expr);
/* Their arguments must be groups. */
KP_MUST enum kp_code kp_bind_check_groupings(struct binder *binder, const struct grouping *grouping);
/* GROUP BY's expressions: positions, output names, expressions. */
KP_MUST enum kp_code kp_bind_groups(struct binder *binder, const PgQuery__SelectStmt *select,
                                    const struct expr_place *place, const struct targets *targets,
                                    struct grouping *grouping);
/* Columns of the expression that follow from a primary key among the first `written` groups become groups. */
void kp_bind_dependent_groups(struct binder *binder, const struct kp_plan *plan, const struct kp_expr *expr,
                              struct grouping *grouping, uint32_t written);
/* Aggregates that see an order, see the rows that it leaves equal in the order of FROM's rows. */
void kp_bind_order_in_groups(struct binder *binder, const struct grouping *grouping);
/* select.c: groups, then aggregates. */
struct kp_plan *kp_bind_aggregate_node(struct binder *binder, struct kp_plan *input, const struct grouping *grouping);
/* The union of the aggregates by each set, NULL for what is not in it. emit: of windows that have closed, each set by
 * itself. */
KP_MUST enum kp_code kp_bind_grouping_sets(struct binder *binder, struct kp_plan *input,
                                           const struct grouping *grouping, bool emit, struct kp_plan **ret_plan);
/* The expression over the aggregate's output, or 42803. */
KP_MUST enum kp_code kp_bind_above_groups(struct binder *binder, const struct grouping *grouping, struct kp_expr *expr,
                                          struct kp_expr **ret_expr);
struct order {
    struct kp_sort_key *keys; /* columns of the projection */
    uint32_t count;
};
/* ORDER BY: sort keys over the targets; expressions that are not among them are added to the end. */
KP_MUST enum kp_code kp_bind_order(struct binder *binder, const PgQuery__SelectStmt *select,
                                   const struct expr_place *place, struct targets *targets, bool distinct,
                                   struct order *ret_order);
/* The target that an item of ORDER BY or DISTINCT ON means: a position, an output's name, an expression, which is added
 * to the end if it is none of them. visible: how many of the targets the query shows. */
KP_MUST enum kp_code kp_bind_order_column(struct binder *binder, const PgQuery__Node *node, const char *clause,
                                          const struct expr_place *place, struct targets *targets, uint32_t visible,
                                          bool distinct, uint32_t *ret_column);
/* SORT or TOPN over the plan as the clauses say. */
/* scope: FROM's, whose columns LIMIT and OFFSET must not read; NULL: there is none. */
KP_MUST enum kp_code kp_bind_order_plan(struct binder *binder, const PgQuery__SelectStmt *select,
                                        const struct scope *scope, const struct order *order, bool root,
                                        struct kp_plan **plan);
/* over.c: a call with OVER, as a column of KP_OVER_BASE. */
bool kp_bind_is_over(const char *name);
/* Such a function without OVER. */
KP_MUST enum kp_code kp_bind_over_missing(struct binder *binder, const struct expr_place *place,
                                          const PgQuery__FuncCall *call, const char *name);
KP_MUST enum kp_code kp_bind_over(struct binder *binder, const struct expr_place *place, const PgQuery__FuncCall *call,
                                  const char *name, struct kp_expr **ret_expr);
/* The plan with the functions' values behind its columns, the targets reading them. ties: the columns that tell rows
 * apart. */
struct kp_plan *kp_bind_overs(struct binder *binder, struct over_list *list, const uint32_t *ties, uint32_t tie_count,
                              struct targets *targets, struct kp_plan *plan);
/* The first row, in order, of those that are equal in these columns; ties: the columns that tell rows apart. */
KP_MUST enum kp_code kp_bind_distinct_on(struct binder *binder, const uint32_t *columns, uint32_t count,
                                         const struct order *order, const uint32_t *ties, uint32_t tie_count,
                                         struct kp_plan **plan);
/* WHERE as conditions of the joins. */
KP_MUST enum kp_code kp_bind_where(struct binder *binder, const struct expr_place *place, const PgQuery__Node *where,
                                   struct query_joins *joins);

/* ---- sublink.c: subqueries in expressions ---- */
/* A column of KP_SUB_BASE in place->subs. */
KP_MUST enum kp_code kp_bind_sublink(struct binder *binder, const struct expr_place *place,
                                     const PgQuery__SubLink *link, struct kp_expr **ret_expr);
/* The columns of (SELECT x, y …), which a row of `count` values is compared with. */
KP_MUST enum kp_code kp_bind_row_sublink(struct binder *binder, const struct expr_place *place,
                                         const PgQuery__SubLink *link, uint32_t count, int32_t location,
                                         struct kp_expr **exprs);
bool kp_expr_reads_subs(const struct kp_expr *expr);
/* Its number in the list: KP_SUB_BASE + that is its value until then. */
uint32_t kp_sub_keep(struct binder *binder, struct sub_list *list, const struct sub *sub);
/* Joins the subqueries that the expressions read to the plan, whose columns stay the first ones, and puts their values
 * into the expressions. */
KP_MUST enum kp_code kp_subs_apply(struct binder *binder, struct sub_list *subs, struct kp_expr **const *exprs,
                                   uint32_t count, struct kp_plan **plan);
/* The rows of the plan for which the conditions are true; its columns stay the first ones. */
KP_MUST enum kp_code kp_subs_filter(struct binder *binder, struct sub_list *subs, const struct conjuncts *conditions,
                                    struct kp_plan **plan);

/* guard.c: whether computing the plan's rows can fail. */
bool kp_plan_can_fail(const struct kp_plan *plan);

/* What kp_pull took out as conditions of the join with the rows around; tests: what KP_TEST_BASE stands for. */
void kp_join_pulled(struct binder *binder, struct kp_expr *const *tests, struct kp_plan *join,
                    const struct conjuncts *conds);

/* ---- outer.c: columns of the queries around ---- */
/* Calls visit for each expression of the node itself; it may put another into the slot. */
void kp_plan_each_expr(struct kp_plan *plan, void (*visit)(struct kp_expr **slot, void *arg), void *arg);
bool kp_expr_reads_level(const struct kp_expr *expr, uint32_t level);
/* The node itself, or it and all below. */
bool kp_node_reads_level(const struct kp_plan *plan, uint32_t level);
bool kp_plan_reads_level(const struct kp_plan *plan, uint32_t level);
/* The nearest query around that it reads columns of; UINT32_MAX: none. */
uint32_t kp_plan_nearest_level(const struct kp_plan *plan);
/* Where in the text a column of level 1 is read, -1 if nowhere. */
int32_t kp_plan_outer_location(const struct kp_plan *plan);
/* Some column that is not of a query around. */
bool kp_expr_reads_own(const struct kp_expr *expr);
void kp_expr_mark_own(const struct kp_expr *expr, bool *columns);
/* Replaces in all expressions of the tree, in place. */
void kp_plan_replace(struct binder *binder, struct kp_plan *plan,
                     struct kp_expr *(*replace)(const struct kp_expr *expr, struct kp_arena *arena, void *arg),
                     void *arg);
/* Levels above `from` change by `by`: the plan is used deeper, or further out. */
void kp_plan_shift_levels(struct binder *binder, struct kp_plan *plan, uint32_t from, int by);

/* ---- pull.c ---- */
/*
 * The plan without what reads level 1: those conditions, over outer columns and the columns of the new plan, whose
 * first ones are the old one's. equalities: only ones that a value of the outer row equals. False: it cannot be done.
 */
bool kp_pull(struct binder *binder, const struct kp_plan *plan, bool equalities, struct kp_plan **ret_plan,
             struct conjuncts *ret_conditions);
/* outer = own, either way round, neither side both; own cannot fail. */
bool kp_correlated_equality(const struct kp_expr *expr, struct kp_expr **ret_outer, struct kp_expr **ret_own);
/* A TOPN as a filter over row numbers, a limit for each value of the partition columns. */
struct kp_plan *kp_topn_by_partition(struct binder *binder, const struct kp_plan *topn, struct kp_plan *input,
                                     uint32_t shift, const uint32_t *partitions, uint32_t partition_count);
/* A TOPN's input with row_number() and rank() behind its columns. */
struct kp_plan *kp_topn_numbers(struct binder *binder, const struct kp_plan *topn);
/* FETCH … WITH TIES: a TOPN as a filter over rank(). */
struct kp_plan *kp_topn_with_ties(struct binder *binder, const struct kp_plan *topn);

/* ---- unnest.c ---- */
/* The different values that the rows of a plan give to the outer columns that another one reads. */
struct domain {
    struct kp_plan *plan;                  /* distinct; copied at each use */
    bool guarded;                          /* what can fail is computed for its rows only */
    struct kp_expr **values;               /* its columns, over the rows' plan */
    uint32_t width, ref_count, *refs, *at; /* outer column refs[i] is the domain's column at[i] */
};
enum { KP_TEST_BASE = 1 << 19 }; /* + index: an outer column that is not the plan's, but one of `tests` */
/* guard: only of rows for which it is true; NULL: all. */
KP_MUST enum kp_code kp_domain_make(struct binder *binder, const struct kp_plan *rows, struct kp_expr *const *tests,
                                    const struct kp_plan *reader, struct kp_expr *guard, struct domain *ret_domain);
/* For each row of the domain what the plan yields for it: the domain's columns, then the plan's. */
KP_MUST enum kp_code kp_unnest(struct binder *binder, const struct domain *domain, struct kp_plan *plan,
                               struct kp_plan **ret_plan);
/* A join of rows with an unnested plan (the domain's columns its first). */
struct kp_plan *kp_domain_join(struct binder *binder, enum kp_join_kind kind, struct kp_plan *rows,
                               const struct domain *domain, struct kp_plan *unnested);
/* The aggregate's value over no rows. */
struct kp_expr *kp_agg_of_nothing(struct binder *binder, const struct kp_plan_agg *agg);

/* The join of rows with a plan that reads them as level 1, on conditions over the columns of both (NULL: none). */
KP_MUST enum kp_code kp_bind_lateral(struct binder *binder, enum kp_join_kind kind, struct kp_plan *rows,
                                     struct kp_plan *plan, const struct conjuncts *on, struct kp_plan **ret_plan);

/* ---- single.c ---- */
/* The column below a cast that keeps different values different: varchar to text, integer to bigint. */
const struct kp_expr *kp_below_cast(const struct kp_expr *expr);
/* At most one row for each value of the columns that are fixed (col_count flags; NULL: none). */
bool kp_plan_is_single(struct binder *binder, const struct kp_plan *plan, const bool *fixed);

bool kp_bind_is_star(const PgQuery__Node *node);
KP_MUST enum kp_code kp_bind_star(struct binder *binder, const PgQuery__ColumnRef *ref, const struct scope *scope,
                                  struct targets *targets);

/* ---- write.c ---- */
/* INSERT, UPDATE or DELETE in a WITH: done before the statement around it, from the same rows. */
KP_MUST enum kp_code kp_bind_with_write(struct binder *binder, struct cte *cte);

/* ---- sample.c: TABLESAMPLE ---- */
KP_MUST enum kp_code kp_bind_sample(struct binder *binder, const PgQuery__RangeTableSample *sample,
                                    struct kp_plan **plan);
/* Of what is not a table or view. */
KP_MUST enum kp_code kp_bind_sample_refuse(struct binder *binder, const PgQuery__RangeTableSample *sample);

/* ---- never.c ---- */
/* A SELECT whose FROM never has rows; *ret_done false if it has one all the same (an aggregate). */
KP_MUST enum kp_code kp_bind_never(struct binder *binder, const struct expr_place *place,
                                   const PgQuery__SelectStmt *select, bool *ret_done, struct targets *ret_targets,
                                   struct kp_plan **ret_plan);
bool kp_plan_is_never(const struct kp_plan *plan);

/* ---- row.c: rows as values ---- */
KP_MUST enum kp_code kp_bind_row_value(struct binder *binder, const struct expr_place *place,
                                       const PgQuery__RowExpr *row, struct kp_expr **ret_expr);
/* The relation's visible columns in this scope as one value; base: KP_OUTER_BASE of a scope around, or 0. */
/* A record of these fields; names NULL: f1, f2 … */
struct kp_expr *kp_bind_record(struct binder *binder, struct kp_expr **fields, const char *const *names, uint32_t count,
                               int32_t location);
struct kp_expr *kp_bind_whole_row(struct binder *binder, const struct scope *scope, const char *relation, uint32_t base,
                                  int32_t location);
KP_MUST enum kp_code kp_bind_field(struct binder *binder, struct kp_expr *row, const char *name,
                                   struct kp_expr **ret_expr);
/* A record of these values. */
struct kp_expr *kp_bind_row_of(struct binder *binder, struct kp_expr **fields, uint32_t count, int32_t location);
/* (x).* of the select list. */
bool kp_bind_is_row_star(const PgQuery__Node *node);
KP_MUST enum kp_code kp_bind_row_star(struct binder *binder, const struct expr_place *place,
                                      const PgQuery__AIndirection *node, struct targets *targets);
struct kp_expr *kp_bind_row_null_test(struct binder *binder, struct kp_expr *row, bool null, int32_t location);
/* A composite value as one of another composite type. */
KP_MUST enum kp_code kp_bind_coerce_row(struct binder *binder, struct kp_expr *expr, struct kp_type to,
                                        enum coercion how, struct kp_expr **ret_expr);
KP_MUST enum kp_code kp_bind_create_composite(struct binder *binder, struct kp_relation *relation,
                                              const PgQuery__CompositeTypeStmt *create);

/* ---- reduce.c ---- */
/* The plan with its outer joins made inner where no row without a partner gets through what is above. */
struct kp_plan *kp_reduce_joins(struct binder *binder, struct kp_plan *plan);
/* No FULL JOIN is left that PostgreSQL cannot run. */
KP_MUST enum kp_code kp_check_full_joins(struct binder *binder, const struct kp_plan *plan);

/* ---- prune.c ---- */
/* The plan without columns that nobody reads, nested projections merged; the first `keep` columns stay as they are. */
struct kp_plan *kp_prune(struct binder *binder, struct kp_plan *plan);

/* ---- the statement around it: bind.c ---- */
void kp_binder_init(struct binder *binder, const struct kp_sql_context *context, const struct kp_statement *statement,
                    struct kp_arena *arena, struct kp_error *err);
KP_MUST enum kp_code kp_bind_root(struct binder *binder, const PgQuery__Node *tree, bool ad_hoc,
                                  struct kp_plan **ret_plan, uint32_t *ret_count);
/* The plan's last passes, and its parameters' types. */
KP_MUST enum kp_code kp_bind_finish(struct binder *binder, struct kp_plan *plan, uint32_t result_count,
                                    struct kp_plan_root *root);
/* Columns that are unique together in what the plan yields; 0: none known. `keys` has room for col_count. */
uint32_t kp_plan_unique_key(struct binder *binder, const struct kp_plan *plan, uint32_t *keys);

#endif
