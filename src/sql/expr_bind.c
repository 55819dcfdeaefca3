/*
 * Expressions: each kind of parse node has a function here; calls are in expr_call.c.
 */
#include <stdlib.h>
#include <errno.h>

#include "os/thread.h"
#include "sql/bind.h"
#include "sql/object.h"
#include "vec/array.h"

static enum kp_code bind_many(struct binder *binder, const struct expr_place *place, PgQuery__Node *const *nodes,
                              size_t count, struct kp_expr **exprs)
{
    for (size_t i = 0; i < count; i++)
        KP_TRY(kp_bind_expr(binder, place, nodes[i], &exprs[i]));
    return KP_OK;
}

static struct kp_expr *constant(struct binder *binder, enum kp_type_id id, int32_t location)
{
    struct kp_expr *expr = kp_bind_new(binder, KP_EXPR_CONST, KP_TYPE(id), location, 0);
    expr->datum.type = expr->type;
    return expr;
}

static struct kp_expr *unknown_text(struct binder *binder, const char *text, int32_t location)
{
    struct kp_expr *expr = constant(binder, KP_UNKNOWN, location);
    size_t len = strlen(text);
    expr->datum.text = kp_text_make(kp_arena_strndup(binder->arena, text, len), len);
    return expr;
}

/* Every text is compared by its bytes: a collation that says something else is refused. */
enum kp_code kp_bind_collation(struct binder *binder, const PgQuery__CollateClause *clause)
{
    static const char *const known[] = {"C", "POSIX", "default", "ucs_basic", "C.utf8"};
    const char *schema, *name = kp_tree_name(clause->collname, clause->n_collname, &schema);
    for (size_t i = 0; i < KP_COUNT(known) && (!schema || strcmp(schema, "pg_catalog") == 0); i++)
        if (strcmp(name, known[i]) == 0)
            return KP_OK;
    kp_bind_fail(binder, clause->location, KP_NOT_FOUND, "42704",
                 "collation \"%s%s%s\" for encoding \"UTF8\" does not exist", schema ? schema : "", schema ? "." : "",
                 name);
    return kp_error_hint(binder->err, "Texts are compared by their bytes, as by collation \"C\".");
}

/* 123 fits integer; beyond it bigint; all else numeric. */
static enum kp_code float_constant(struct binder *binder, const PgQuery__AConst *node, struct kp_expr **ret_expr)
{
    const char *text = node->fval->fval;
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (number == INT32_MIN && !*end) { /* the only one of integer's that the grammar gives so: -2147483648 */
        *ret_expr = constant(binder, KP_INT4, node->location);
        (*ret_expr)->datum.i32 = INT32_MIN;
        return KP_OK;
    }
    if (!*end && !errno) {
        *ret_expr = constant(binder, KP_INT8, node->location);
        (*ret_expr)->datum.i64 = number;
        return KP_OK;
    }
    return kp_bind_coerce(binder, unknown_text(binder, text, node->location), KP_TYPE(KP_NUMERIC), COERCE_IMPLICIT,
                          ret_expr);
}

static enum kp_code bind_constant(struct binder *binder, const PgQuery__AConst *node, struct kp_expr **ret_expr)
{
    if (node->isnull) {
        *ret_expr = constant(binder, KP_UNKNOWN, node->location);
        (*ret_expr)->datum.null = true;
        return KP_OK;
    }
    switch (node->val_case) {
    case PG_QUERY__A__CONST__VAL_FVAL:
        return float_constant(binder, node, ret_expr);
    case PG_QUERY__A__CONST__VAL_BOOLVAL:
        *ret_expr = constant(binder, KP_BOOL, node->location);
        (*ret_expr)->datum.b = node->boolval->boolval;
        return KP_OK;
    case PG_QUERY__A__CONST__VAL_SVAL:
        *ret_expr = unknown_text(binder, node->sval->sval, node->location);
        return KP_OK;
    case PG_QUERY__A__CONST__VAL_BSVAL:
        return kp_bind_fail(binder, node->location, KP_UNSUPPORTED, NULL, "bit strings are not supported");
    default:
        *ret_expr = constant(binder, KP_INT4, node->location);
        (*ret_expr)->datum.i32 = node->val_case == PG_QUERY__A__CONST__VAL_IVAL ? node->ival->ival : 0;
        return KP_OK;
    }
}

static enum kp_code bind_param(struct binder *binder, const struct expr_place *place, const PgQuery__ParamRef *node,
                               struct kp_expr **ret_expr)
{
    const struct scope *params = binder->inline_params;
    if (params && node->number >= 1 && (uint32_t)node->number <= params->count) {
        uint32_t level = 0, column = (uint32_t)node->number - 1;
        for (const struct scope *scope = place->scope; scope && scope != params; scope = scope->outer)
            level++;
        *ret_expr = kp_bind_column(binder, level ? KP_OUTER_BASE + (level - 1) * KP_OUTER_LEVEL + column : column,
                                   params->cols[column].type, node->location);
        return KP_OK;
    }
    if (node->number < 1 || (uint32_t)node->number > binder->param_count)
        return kp_bind_fail(binder, node->location, KP_NOT_FOUND, "42P02", "there is no parameter $%d", node->number);
    if (binder->for_view)
        return kp_bind_fail(binder, node->location, KP_UNSUPPORTED, "42P02", "a view cannot have parameters");
    *ret_expr = kp_bind_new(binder, KP_EXPR_PARAM, binder->param_types[node->number - 1], node->location, 0);
    (*ret_expr)->param = (uint32_t)node->number;
    return KP_OK;
}

/* ---- AND, OR, NOT, tests ---- */

static enum kp_code bind_bool(struct binder *binder, const struct expr_place *place, const PgQuery__BoolExpr *node,
                              struct kp_expr **ret_expr)
{
    static const char *const names[] = {"", "AND", "OR", "NOT"};
    static const enum kp_expr_kind kinds[] = {KP_EXPR_AND, KP_EXPR_AND, KP_EXPR_OR, KP_EXPR_NOT};
    struct kp_expr *expr =
        kp_bind_new(binder, kinds[node->boolop], KP_TYPE(KP_BOOL), node->location, (uint32_t)node->n_args);
    for (uint32_t i = 0; i < expr->arg_count; i++) {
        struct kp_expr *arg;
        KP_TRY(kp_bind_expr(binder, place, node->args[i], &arg));
        KP_TRY(kp_bind_to_bool(binder, arg, names[node->boolop], &expr->args[i]));
    }
    kp_expr_settle(expr);
    *ret_expr = expr;
    return KP_OK;
}

static struct kp_expr *wrap(struct binder *binder, enum kp_expr_kind kind, struct kp_expr *arg, int32_t location)
{
    struct kp_expr *expr = kp_bind_new(binder, kind, KP_TYPE(KP_BOOL), location, 1);
    expr->args[0] = arg;
    kp_expr_settle(expr);
    return expr;
}

static enum kp_code bind_null_test(struct binder *binder, const struct expr_place *place, const PgQuery__NullTest *node,
                                   struct kp_expr **ret_expr)
{
    struct kp_expr *arg;
    KP_TRY(kp_bind_expr(binder, place, node->arg, &arg));
    KP_TRY(kp_bind_settle_unknown(binder, arg, &arg));
    bool null = node->nulltesttype == PG_QUERY__NULL_TEST_TYPE__IS_NULL;
    if (kp_type_is_composite(arg->type.id)) {
        *ret_expr = kp_bind_row_null_test(binder, arg, null, node->location);
        return KP_OK;
    }
    *ret_expr = wrap(binder, null ? KP_EXPR_IS_NULL : KP_EXPR_IS_NOT_NULL, arg, node->location);
    return KP_OK;
}

static enum kp_code bind_boolean_test(struct binder *binder, const struct expr_place *place,
                                      const PgQuery__BooleanTest *node, struct kp_expr **ret_expr)
{
    static const struct {
        enum kp_expr_kind kind;
        const char *name;
    } tests[] = {{KP_EXPR_IS_TRUE, ""},
                 {KP_EXPR_IS_TRUE, "IS TRUE"},
                 {KP_EXPR_IS_NOT_TRUE, "IS NOT TRUE"},
                 {KP_EXPR_IS_FALSE, "IS FALSE"},
                 {KP_EXPR_IS_NOT_FALSE, "IS NOT FALSE"},
                 {KP_EXPR_IS_NULL, "IS UNKNOWN"},
                 {KP_EXPR_IS_NOT_NULL, "IS NOT UNKNOWN"}};
    struct kp_expr *arg;
    KP_TRY(kp_bind_expr(binder, place, node->arg, &arg));
    KP_TRY(kp_bind_to_bool(binder, arg, tests[node->booltesttype].name, &arg));
    *ret_expr = wrap(binder, tests[node->booltesttype].kind, arg, node->location);
    return KP_OK;
}

/* ---- CASE, COALESCE, GREATEST, LEAST ---- */

static enum kp_code coerce_all(struct binder *binder, struct kp_expr **exprs, uint32_t count, uint32_t step,
                               struct kp_type type)
{
    for (uint32_t i = 0; i < count; i += step)
        KP_TRY(kp_bind_coerce(binder, exprs[i], type, COERCE_IMPLICIT, &exprs[i]));
    return KP_OK;
}

/* Where an argument may not be computed there are no sets. */
static struct expr_place without_sets(const struct expr_place *place, const char *what)
{
    struct expr_place inside = *place;
    if (inside.sets)
        inside.no_sets = what;
    inside.sets = NULL;
    return inside;
}

static enum kp_code bind_case(struct binder *binder, const struct expr_place *around, const PgQuery__CaseExpr *node,
                              struct kp_expr **ret_expr)
{
    const struct expr_place within = without_sets(around, "CASE"), *place = &within;
    uint32_t whens = (uint32_t)node->n_args;
    struct kp_expr *expr = kp_bind_new(binder, KP_EXPR_CASE, KP_TYPE(KP_UNKNOWN), node->location, whens * 2 + 1);
    struct kp_expr *subject = NULL;
    if (node->arg) {
        KP_TRY(kp_bind_expr(binder, place, node->arg, &subject));
        KP_TRY(kp_bind_settle_unknown(binder, subject, &subject));
    }
    struct kp_expr **results = kp_arena_alloc(binder->arena, (whens + 1) * sizeof *results);
    for (uint32_t i = 0; i < whens; i++) {
        const PgQuery__CaseWhen *when = node->args[i]->case_when;
        struct kp_expr *condition;
        KP_TRY(kp_bind_expr(binder, place, when->expr, &condition));
        if (subject)
            KP_TRY(kp_bind_operator(binder, "=", subject, condition, when->location, &condition));
        KP_TRY(kp_bind_to_bool(binder, condition, "CASE/WHEN", &expr->args[i * 2]));
        KP_TRY(kp_bind_expr(binder, place, when->result, &results[i + 1]));
    }
    results[0] = constant(binder, KP_UNKNOWN, node->location);
    results[0]->datum.null = true;
    if (node->defresult)
        KP_TRY(kp_bind_expr(binder, place, node->defresult, &results[0]));
    KP_TRY(kp_bind_common_type(binder, results, whens + 1, "CASE", &expr->type)); /* ELSE first: PostgreSQL's order */
    KP_TRY(coerce_all(binder, results, whens + 1, 1, expr->type));
    for (uint32_t i = 0; i < whens; i++)
        expr->args[i * 2 + 1] = results[i + 1];
    expr->args[whens * 2] = results[0];
    kp_expr_settle(expr);
    *ret_expr = expr;
    return KP_OK;
}

static enum kp_code bind_choice(struct binder *binder, const struct expr_place *place, enum kp_expr_kind kind,
                                const char *what, PgQuery__Node *const *args, size_t count, int32_t location,
                                struct kp_expr **ret_expr)
{
    struct kp_expr *expr = kp_bind_new(binder, kind, KP_TYPE(KP_UNKNOWN), location, (uint32_t)count);
    struct expr_place within = without_sets(place, what);
    KP_TRY(bind_many(binder, kind == KP_EXPR_COALESCE ? &within : place, args, count, expr->args));
    KP_TRY(kp_bind_common_type(binder, expr->args, expr->arg_count, what, &expr->type));
    if (kind != KP_EXPR_COALESCE && expr->type.id == KP_JSON)
        return kp_bind_fail(binder, -1, KP_INVALID, "42883", "could not identify a comparison function for type json");
    KP_TRY(coerce_all(binder, expr->args, expr->arg_count, 1, expr->type));
    kp_expr_settle(expr);
    *ret_expr = expr;
    return KP_OK;
}

/* ---- operators ---- */

static enum kp_code both_sides(struct binder *binder, const struct expr_place *place, const PgQuery__AExpr *node,
                               struct kp_expr **ret_left, struct kp_expr **ret_right)
{
    *ret_left = NULL;
    if (node->lexpr)
        KP_TRY(kp_bind_expr(binder, place, node->lexpr, ret_left));
    return kp_bind_expr(binder, place, node->rexpr, ret_right);
}

static enum kp_code and_or(struct binder *binder, enum kp_expr_kind kind, struct kp_expr *a, struct kp_expr *b,
                           int32_t location, struct kp_expr **ret_expr)
{
    struct kp_expr *expr = kp_bind_new(binder, kind, KP_TYPE(KP_BOOL), location, 2);
    expr->args[0] = a;
    expr->args[1] = b;
    kp_expr_settle(expr);
    *ret_expr = expr;
    return KP_OK;
}

static enum kp_code bind_distinct(struct binder *binder, const struct expr_place *place, const PgQuery__AExpr *node,
                                  struct kp_expr **ret_expr);

/* (a, b) IS DISTINCT FROM (c, d): any pair is. */
static enum kp_code bind_rows_distinct(struct binder *binder, const struct expr_place *place,
                                       const PgQuery__AExpr *node, struct kp_expr **ret_expr)
{
    const PgQuery__RowExpr *left = node->lexpr->row_expr, *right = node->rexpr->row_expr;
    bool negated = node->kind == PG_QUERY__A__EXPR__KIND__AEXPR_NOT_DISTINCT;
    if (left->n_args != right->n_args)
        return kp_bind_fail(binder, node->location, KP_INVALID, "42601",
                            "unequal number of entries in row expressions");
    *ret_expr = left->n_args ? NULL : kp_bind_bool(binder, negated);
    for (size_t i = 0; i < left->n_args; i++) {
        struct kp_expr *one;
        PgQuery__AExpr pair = *node;
        pair.lexpr = left->args[i];
        pair.rexpr = right->args[i];
        KP_TRY(bind_distinct(binder, place, &pair, &one));
        if (*ret_expr)
            KP_TRY(and_or(binder, negated ? KP_EXPR_AND : KP_EXPR_OR, *ret_expr, one, node->location, &one));
        *ret_expr = one;
    }
    return KP_OK;
}

static enum kp_code bind_distinct(struct binder *binder, const struct expr_place *place, const PgQuery__AExpr *node,
                                  struct kp_expr **ret_expr)
{
    struct kp_expr *left, *right, *equal;
    if (node->lexpr->node_case == PG_QUERY__NODE__NODE_ROW_EXPR &&
        node->rexpr->node_case == PG_QUERY__NODE__NODE_ROW_EXPR)
        return bind_rows_distinct(binder, place, node, ret_expr);
    KP_TRY(both_sides(binder, place, node, &left, &right));
    if ((left->kind == KP_EXPR_CONST && left->datum.null) || (right->kind == KP_EXPR_CONST && right->datum.null)) {
        struct kp_expr *tested = right->kind == KP_EXPR_CONST && right->datum.null ? left : right;
        KP_TRY(kp_bind_settle_unknown(binder, tested, &tested));
        bool distinct = node->kind == PG_QUERY__A__EXPR__KIND__AEXPR_DISTINCT;
        *ret_expr = wrap(binder, distinct ? KP_EXPR_IS_NOT_NULL : KP_EXPR_IS_NULL, tested, node->location);
        return KP_OK;
    }
    KP_TRY(kp_bind_operator(binder, "=", left, right, node->location, &equal));
    struct kp_expr *expr = equal;
    if (equal->kind == KP_EXPR_CALL) { /* else folded: both were constants, and not NULL */
        expr = kp_bind_new(binder, KP_EXPR_DISTINCT, KP_TYPE(KP_BOOL), node->location, 2);
        expr->func = equal->func;
        expr->args[0] = equal->args[0];
        expr->args[1] = equal->args[1];
        kp_expr_settle(expr);
    } else {
        expr = wrap(binder, KP_EXPR_NOT, equal, node->location);
    }
    *ret_expr =
        node->kind == PG_QUERY__A__EXPR__KIND__AEXPR_DISTINCT ? expr : wrap(binder, KP_EXPR_NOT, expr, node->location);
    return KP_OK;
}

/* What PostgreSQL's operator "=" takes its left side as: integers, floats and times have such of unlike types. */
static enum kp_type_id taken_as(enum kp_type_id left, enum kp_type_id right)
{
    bool is_integer = left == KP_INT2 || left == KP_INT4 || left == KP_INT8;
    if ((is_integer || left == KP_NUMERIC) && (right == KP_FLOAT4 || right == KP_FLOAT8))
        return KP_FLOAT8;
    if (is_integer && right == KP_NUMERIC)
        return KP_NUMERIC;
    if (left == KP_TIME && right == KP_INTERVAL)
        return KP_INTERVAL;
    if (left == KP_VARCHAR)
        return right == KP_BPCHAR ? KP_BPCHAR : KP_TEXT;
    return left == KP_BPCHAR && right == KP_TEXT ? KP_TEXT : left;
}

/* NULLIF(a, b): CASE WHEN a = b THEN NULL ELSE a END, where a is what the operator takes it as: NULLIF(1, 2.5) is
 * numeric. */
static enum kp_code bind_nullif(struct binder *binder, const struct expr_place *place, const PgQuery__AExpr *node,
                                struct kp_expr **ret_expr)
{
    struct kp_expr *left, *right, *equal;
    KP_TRY(both_sides(binder, place, node, &left, &right));
    KP_TRY(kp_bind_operator(binder, "=", left, right, node->location, &equal));
    enum kp_type_id as = taken_as(left->type.id, right->type.id);
    if (as == KP_UNKNOWN) /* it becomes what the right side is taken as */
        as = right->type.id == KP_UNKNOWN ? KP_TEXT : taken_as(right->type.id, right->type.id);
    if (as != left->type.id)
        KP_TRY(kp_bind_coerce(binder, left, KP_TYPE(as), COERCE_IMPLICIT, &left));
    struct kp_expr *expr = kp_bind_new(binder, KP_EXPR_CASE, kp_type_base(left->type), node->location, 3);
    expr->args[0] = equal;
    expr->args[1] = kp_bind_null(binder, left->type);
    expr->args[2] = left;
    kp_expr_settle(expr);
    *ret_expr = expr;
    return KP_OK;
}

static bool all_constants_of(const struct kp_expr *const *list, uint32_t count, struct kp_type type)
{
    for (uint32_t i = 0; i < count; i++)
        if (list[i]->kind != KP_EXPR_CONST || list[i]->type.id != type.id)
            return false;
    return true;
}

/* The type that x and the list can become; false: each is compared by itself, and its operator is or is not there. */
static bool common_of(struct binder *binder, struct kp_expr **list, uint32_t count, struct kp_type *ret_type)
{
    struct kp_error *err = binder->err;
    binder->err = NULL;
    enum kp_code code = count > 2 ? kp_bind_common_type(binder, list, count, "IN", ret_type) : KP_NOT_FOUND;
    binder->err = err;
    return code == KP_OK;
}

/* x IN (…): one hashed test for constants of x's type, else x = a OR x = b …; NOT IN negates. */
static enum kp_code in_list(struct binder *binder, struct kp_expr *left, PgQuery__Node *const *nodes, size_t n_nodes,
                            const struct expr_place *place, bool negated, int32_t location, struct kp_expr **ret_expr)
{
    uint32_t count = (uint32_t)n_nodes;
    struct kp_expr **list = kp_arena_alloc(binder->arena, (count + 1) * sizeof *list);
    list[0] = left;
    KP_TRY(bind_many(binder, place, nodes, count, list + 1));
    struct kp_type common = left->type;
    bool alike = common_of(binder, list, count + 1, &common); /* one alone: the operator says what it is taken as */
    common.mod = -1;
    list[0] = kp_bind_bound(binder, common.id, left);
    for (uint32_t i = 0; i <= count && alike; i++) {
        struct kp_type to = i == 0 && list[0]->type.id == common.id ? list[0]->type : common;
        KP_TRY(kp_bind_coerce(binder, list[i], to, COERCE_IMPLICIT, &list[i]));
    }
    struct kp_expr *expr;
    if (alike && all_constants_of((const struct kp_expr *const *)list + 1, count, common)) {
        expr = kp_bind_new(binder, KP_EXPR_IN, KP_TYPE(KP_BOOL), location, count + 1);
        memcpy(expr->args, list, (count + 1) * sizeof *list);
    } else {
        expr = kp_bind_new(binder, KP_EXPR_OR, KP_TYPE(KP_BOOL), location, count);
        for (uint32_t i = 0; i < count; i++) {
            enum kp_code code = kp_bind_operator(binder, "=", list[0], list[i + 1], location, &expr->args[i]);
            if (code != KP_OK && negated) /* says which operator there is none of */
                code = kp_bind_operator(binder, "<>", list[0], list[i + 1], location, &expr->args[i]);
            KP_TRY(code);
        }
        if (count == 1)
            expr = expr->args[0];
    }
    kp_expr_settle(expr);
    *ret_expr = negated ? wrap(binder, KP_EXPR_NOT, expr, location) : expr;
    return KP_OK;
}

static enum kp_code bind_row_in(struct binder *binder, const struct expr_place *place, const PgQuery__AExpr *node,
                                bool negated, struct kp_expr **ret_expr);

static enum kp_code bind_in(struct binder *binder, const struct expr_place *place, const PgQuery__AExpr *node,
                            struct kp_expr **ret_expr)
{
    struct kp_expr *left;
    const PgQuery__List *list = node->rexpr->list;
    bool negated = strcmp(node->name[0]->string->sval, "<>") == 0;
    if (node->lexpr->node_case == PG_QUERY__NODE__NODE_ROW_EXPR)
        return bind_row_in(binder, place, node, negated, ret_expr);
    KP_TRY(kp_bind_expr(binder, place, node->lexpr, &left));
    return in_list(binder, left, list->items, list->n_items, place, negated, node->location, ret_expr);
}

/* x = ANY (ARRAY[…]) is x IN (…), x <> ALL (ARRAY[…]) its negation; so is an array of constants. */
static enum kp_code any_of_constants(struct binder *binder, const struct expr_place *place, const PgQuery__AExpr *node,
                                     bool any, bool *ret_done, struct kp_expr **ret_expr)
{
    const PgQuery__Node *array = node->rexpr;
    *ret_done = array->node_case == PG_QUERY__NODE__NODE_A_ARRAY_EXPR && array->a_array_expr->n_elements &&
                strcmp(node->name[node->n_name - 1]->string->sval, any ? "=" : "<>") == 0;
    for (size_t i = 0; *ret_done && i < array->a_array_expr->n_elements; i++)
        *ret_done = array->a_array_expr->elements[i]->node_case != PG_QUERY__NODE__NODE_A_ARRAY_EXPR;
    if (!*ret_done)
        return KP_OK;
    struct kp_expr *left;
    KP_TRY(kp_bind_expr(binder, place, node->lexpr, &left));
    if (kp_type_is_array(left->type.id) ||
        left->type.id == KP_FLOAT4) { /* a real is compared as what the array is of */
        *ret_done = false;
        return KP_OK;
    }
    return in_list(binder, left, array->a_array_expr->elements, array->a_array_expr->n_elements, place, !any,
                   node->location, ret_expr);
}

enum { ANY_PAIRS_MAX = 8 }; /* elements of a constant array that are compared one by one */

/* x = ANY (constant) with many elements: a hashed test like IN's; x <> ALL (constant) its negation. */
static struct kp_expr *any_of_many(struct binder *binder, const char *name, bool any, struct kp_expr *left,
                                   const struct kp_expr *constant, int32_t location)
{
    struct kp_array array;
    enum kp_type_id element = kp_type_element(constant->type.id);
    if (constant->kind != KP_EXPR_CONST || constant->datum.null || left->type.id != element ||
        strcmp(name, any ? "=" : "<>") != 0)
        return NULL;
    kp_array_read(constant->type.id, &constant->datum.text, &array);
    if (array.count <= ANY_PAIRS_MAX)
        return NULL;
    struct kp_expr *expr = kp_bind_new(binder, KP_EXPR_IN, KP_TYPE(KP_BOOL), location, array.count + 1);
    expr->args[0] = left;
    for (uint32_t i = 0; i < array.count; i++) {
        struct kp_expr *value = kp_bind_new(binder, KP_EXPR_CONST, KP_TYPE(element), location, 0);
        value->datum.type = KP_TYPE(element);
        value->datum.null = !kp_array_get(&array, i, binder->arena, value->datum.raw);
        kp_expr_settle(value);
        expr->args[i + 1] = value;
    }
    kp_expr_settle(expr);
    return any ? expr : wrap(binder, KP_EXPR_NOT, expr, location);
}

/* x op ANY (array), x op ALL (array): the operator is the one of x and the element, whose sides it may cast. */
static enum kp_code bind_any_all(struct binder *binder, const struct expr_place *place, const PgQuery__AExpr *node,
                                 struct kp_expr **ret_expr)
{
    const char *name = node->name[node->n_name - 1]->string->sval;
    bool any = node->kind == PG_QUERY__A__EXPR__KIND__AEXPR_OP_ANY, done;
    KP_TRY(any_of_constants(binder, place, node, any, &done, ret_expr));
    if (done)
        return KP_OK;
    struct kp_expr *left, *array, *call;
    KP_TRY(kp_bind_expr(binder, place, node->lexpr, &left));
    KP_TRY(kp_bind_expr(binder, place, node->rexpr, &array));
    if (array->type.id == KP_UNKNOWN) {
        enum kp_type_id id = left->type.id == KP_UNKNOWN ? KP_TEXT : left->type.id;
        if (kp_type_is_array(id))
            return kp_bind_fail(binder, node->location, KP_INVALID, "42809",
                                "op ANY/ALL (array) requires array on right side");
        KP_TRY(kp_bind_coerce(binder, array, KP_TYPE(kp_type_array_of(id)), COERCE_IMPLICIT, &array));
    }
    if (!kp_type_is_array(array->type.id))
        return kp_bind_fail(binder, node->location, KP_INVALID, "42809",
                            "op ANY/ALL (array) requires array on right side");
    struct kp_expr *element = kp_bind_column(binder, 0, KP_TYPE(kp_type_element(array->type.id)), node->location);
    KP_TRY(kp_bind_operator(binder, name, left, element, node->location, &call));
    if (call->kind != KP_EXPR_CALL || call->type.id != KP_BOOL)
        return kp_bind_fail(binder, node->location, KP_INVALID, "42809",
                            "op ANY/ALL (array) requires operator to yield boolean");
    KP_TRY(kp_bind_coerce(binder, array, KP_TYPE(kp_type_array_of(call->args[1]->type.id)), COERCE_IMPLICIT, &array));
    struct kp_expr *one_of = any_of_many(binder, name, any, call->args[0], array, node->location);
    if (one_of) {
        *ret_expr = one_of;
        return KP_OK;
    }
    struct kp_expr *expr = kp_bind_new(binder, any ? KP_EXPR_ANY : KP_EXPR_ALL, KP_TYPE(KP_BOOL), node->location, 2);
    expr->func = call->func;
    expr->args[0] = call->args[0];
    expr->args[1] = array;
    kp_expr_settle(expr);
    *ret_expr = expr;
    return KP_OK;
}

static enum kp_code between(struct binder *binder, struct kp_expr *x, struct kp_expr *low, struct kp_expr *high,
                            int32_t location, struct kp_expr **ret_expr)
{
    struct kp_expr *above, *below;
    KP_TRY(kp_bind_operator(binder, ">=", x, low, location, &above));
    KP_TRY(kp_bind_operator(binder, "<=", x, high, location, &below));
    return and_or(binder, KP_EXPR_AND, above, below, location, ret_expr);
}

static enum kp_code bind_between(struct binder *binder, const struct expr_place *place, const PgQuery__AExpr *node,
                                 struct kp_expr **ret_expr)
{
    struct kp_expr *x, *low, *high, *expr, *swapped;
    KP_TRY(kp_bind_expr(binder, place, node->lexpr, &x));
    KP_TRY(kp_bind_expr(binder, place, node->rexpr->list->items[0], &low));
    KP_TRY(kp_bind_expr(binder, place, node->rexpr->list->items[1], &high));
    KP_TRY(between(binder, x, low, high, node->location, &expr));
    if (node->kind == PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN_SYM ||
        node->kind == PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN_SYM) {
        KP_TRY(between(binder, x, high, low, node->location, &swapped));
        KP_TRY(and_or(binder, KP_EXPR_OR, expr, swapped, node->location, &expr));
    }
    bool negated = node->kind == PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN ||
                   node->kind == PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN_SYM;
    *ret_expr = negated ? wrap(binder, KP_EXPR_NOT, expr, node->location) : expr;
    return KP_OK;
}

/*
 * (a, b) < (c, d) is CASE WHEN a = c THEN b < d ELSE a < c END: the first pair that is not equal, or NULL, decides.
 * = is all pairs', <> any pair's.
 */
enum kp_code kp_bind_rows_compare(struct binder *binder, const char *name, struct kp_expr **left,
                                  struct kp_expr **right, uint32_t count, int32_t location, struct kp_expr **ret_expr)
{
    bool equal = strcmp(name, "=") == 0, unequal = strcmp(name, "<>") == 0 || strcmp(name, "!=") == 0;
    bool less = name[0] == '<' && !unequal, greater = name[0] == '>',
         ordered = name[1] == 0 || strcmp(name + 1, "=") == 0;
    if (count > 1 && !equal && !unequal && !((less || greater) && ordered)) {
        kp_bind_fail(binder, location, KP_UNSUPPORTED, NULL,
                     "could not determine interpretation of row comparison operator %s", name);
        return kp_error_hint(binder->err, "Row comparison operators must be associated with btree operator families.");
    }
    struct kp_expr *all;
    KP_TRY(kp_bind_operator(binder, name, left[count - 1], right[count - 1], location, &all));
    KP_TRY(kp_bind_to_bool(binder, all, "row comparison operator", &all));
    for (uint32_t i = count - 1; i-- > 0;) {
        struct kp_expr *one, *same;
        KP_TRY(kp_bind_operator(binder, less ? "<" : greater ? ">" : name, left[i], right[i], location, &one));
        if (equal || unequal) {
            KP_TRY(and_or(binder, equal ? KP_EXPR_AND : KP_EXPR_OR, one, all, location, &all));
            continue;
        }
        KP_TRY(kp_bind_operator(binder, "=", left[i], right[i], location, &same));
        struct kp_expr *choice = kp_bind_new(binder, KP_EXPR_CASE, KP_TYPE(KP_BOOL), location, 3);
        choice->args[0] = same;
        choice->args[1] = all;
        choice->args[2] = one;
        kp_expr_settle(choice);
        all = choice;
    }
    *ret_expr = all;
    return KP_OK;
}

static enum kp_code bind_row(struct binder *binder, const struct expr_place *place, const PgQuery__RowExpr *row,
                             struct kp_expr ***ret_exprs)
{
    *ret_exprs = kp_arena_calloc(binder->arena, (row->n_args + 1) * sizeof **ret_exprs);
    return bind_many(binder, place, row->args, row->n_args, *ret_exprs);
}

static enum kp_code bind_row_compare(struct binder *binder, const struct expr_place *place, const PgQuery__Node *left,
                                     const PgQuery__Node *right, const char *name, int32_t location,
                                     struct kp_expr **ret_expr)
{
    struct kp_expr **lefts, **rights;
    uint32_t count = (uint32_t)left->row_expr->n_args;
    if (count != right->row_expr->n_args)
        return kp_bind_fail(binder, location, KP_INVALID, "42601", "unequal number of entries in row expressions");
    if (count == 0)
        return kp_bind_fail(binder, location, KP_UNSUPPORTED, NULL, "cannot compare rows of zero length");
    KP_TRY(bind_row(binder, place, left->row_expr, &lefts));
    KP_TRY(bind_row(binder, place, right->row_expr, &rights));
    return kp_bind_rows_compare(binder, name, lefts, rights, count, location, ret_expr);
}

static bool is_scalar_sublink(const PgQuery__Node *node)
{
    return node->node_case == PG_QUERY__NODE__NODE_SUB_LINK &&
           node->sub_link->sub_link_type == PG_QUERY__SUB_LINK_TYPE__EXPR_SUBLINK;
}

/* (a, b) = (SELECT x, y …): NULL if it has no row. */
static enum kp_code bind_row_sublink(struct binder *binder, const struct expr_place *place, const PgQuery__RowExpr *row,
                                     const PgQuery__SubLink *link, const char *name, int32_t location,
                                     struct kp_expr **ret_expr)
{
    struct kp_expr **lefts, **rights = kp_arena_calloc(binder->arena, (row->n_args + 1) * sizeof *rights);
    KP_TRY(bind_row(binder, place, row, &lefts));
    KP_TRY(kp_bind_row_sublink(binder, place, link, (uint32_t)row->n_args, location, rights));
    return kp_bind_rows_compare(binder, name, lefts, rights, (uint32_t)row->n_args, location, ret_expr);
}

/* (a, b) IN ((c, d), …): the comparisons' OR. */
static enum kp_code bind_row_in(struct binder *binder, const struct expr_place *place, const PgQuery__AExpr *node,
                                bool negated, struct kp_expr **ret_expr)
{
    const PgQuery__List *list = node->rexpr->list;
    struct kp_expr *any = NULL;
    for (size_t i = 0; i < list->n_items; i++) {
        struct kp_expr *one;
        if (list->items[i]->node_case != PG_QUERY__NODE__NODE_ROW_EXPR)
            return kp_bind_fail(binder, kp_tree_location(list->items[i]), KP_INVALID, "42883",
                                "a row can only be compared with a row");
        KP_TRY(bind_row_compare(binder, place, node->lexpr, list->items[i], "=", node->location, &one));
        if (any)
            KP_TRY(and_or(binder, KP_EXPR_OR, any, one, node->location, &one));
        any = one;
    }
    *ret_expr = negated ? wrap(binder, KP_EXPR_NOT, any, node->location) : any;
    return KP_OK;
}

static enum kp_code bind_operation(struct binder *binder, const struct expr_place *place, const PgQuery__AExpr *node,
                                   struct kp_expr **ret_expr)
{
    const char *name = node->name[node->n_name - 1]->string->sval;
    if (node->lexpr && node->lexpr->node_case == PG_QUERY__NODE__NODE_ROW_EXPR &&
        node->rexpr->node_case == PG_QUERY__NODE__NODE_ROW_EXPR)
        return bind_row_compare(binder, place, node->lexpr, node->rexpr, name, node->location, ret_expr);
    if (node->lexpr && node->lexpr->node_case == PG_QUERY__NODE__NODE_ROW_EXPR && is_scalar_sublink(node->rexpr))
        return bind_row_sublink(binder, place, node->lexpr->row_expr, node->rexpr->sub_link, name, node->location,
                                ret_expr);
    struct kp_expr *left, *right;
    KP_TRY(both_sides(binder, place, node, &left, &right));
    return kp_bind_operator(binder, name, left, right, node->location, ret_expr);
}

static enum kp_code bind_a_expr(struct binder *binder, const struct expr_place *place, const PgQuery__AExpr *node,
                                struct kp_expr **ret_expr)
{
    switch (node->kind) {
    case PG_QUERY__A__EXPR__KIND__AEXPR_DISTINCT:
    case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_DISTINCT:
        return bind_distinct(binder, place, node, ret_expr);
    case PG_QUERY__A__EXPR__KIND__AEXPR_NULLIF:
        return bind_nullif(binder, place, node, ret_expr);
    case PG_QUERY__A__EXPR__KIND__AEXPR_IN:
        return bind_in(binder, place, node, ret_expr);
    case PG_QUERY__A__EXPR__KIND__AEXPR_OP_ANY:
    case PG_QUERY__A__EXPR__KIND__AEXPR_OP_ALL:
        return bind_any_all(binder, place, node, ret_expr);
    case PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN:
    case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN:
    case PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN_SYM:
    case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN_SYM:
        return bind_between(binder, place, node, ret_expr);
    default: /* operators; LIKE, ILIKE and SIMILAR TO come as theirs */
        return bind_operation(binder, place, node, ret_expr);
    }
}

static enum kp_code bind_cast(struct binder *binder, const struct expr_place *place, const PgQuery__TypeCast *node,
                              struct kp_expr **ret_expr)
{
    struct kp_type type;
    struct kp_expr *arg;
    struct kp_relation *domain;
    KP_TRY(kp_bind_cast_type(binder, node->type_name, &type, &domain));
    enum kp_code code;
    if (node->arg->node_case == PG_QUERY__NODE__NODE_A_ARRAY_EXPR && kp_type_is_array(type.id)) {
        code = kp_bind_array(binder, place, node->arg->a_array_expr, type, ret_expr);
    } else {
        KP_TRY(kp_bind_expr(binder, place, node->arg, &arg));
        code = kp_bind_coerce(binder, arg, type, COERCE_EXPLICIT, ret_expr);
    }
    if (code != KP_OK && binder->err && strcmp(binder->err->sqlstate, "42846") == 0)
        kp_error_at(binder->err, binder->text, node->location);
    if (code != KP_OK || !domain)
        return code;
    int32_t location = (*ret_expr)->location >= 0 ? (*ret_expr)->location : node->location;
    return kp_bind_domain_check(binder, domain, *ret_expr, location, ret_expr);
}

static enum kp_code unsupported(struct binder *binder, const PgQuery__Node *node)
{
    const char *what = "this expression";
    switch (node->node_case) {
    case PG_QUERY__NODE__NODE_SET_TO_DEFAULT:
        return kp_bind_fail(binder, node->set_to_default->location, KP_INVALID, "42601",
                            "DEFAULT is not allowed in this context");
    default:
        break;
    }
    return kp_bind_fail(binder, kp_tree_location(node), KP_UNSUPPORTED, NULL, "%s: not supported", what);
}

static enum kp_code bind_node(struct binder *binder, const struct expr_place *place, const PgQuery__Node *node,
                              struct kp_expr **ret_expr)
{
    switch (node->node_case) {
    case PG_QUERY__NODE__NODE_COLUMN_REF:
        return place->match ? kp_bind_match_column(binder, place, node->column_ref, ret_expr)
                            : kp_scope_find(binder, place->scope, node->column_ref, ret_expr);
    case PG_QUERY__NODE__NODE_A_CONST:
        return bind_constant(binder, node->a_const, ret_expr);
    case PG_QUERY__NODE__NODE_PARAM_REF:
        return bind_param(binder, place, node->param_ref, ret_expr);
    case PG_QUERY__NODE__NODE_A_EXPR:
        return bind_a_expr(binder, place, node->a_expr, ret_expr);
    case PG_QUERY__NODE__NODE_BOOL_EXPR:
        return bind_bool(binder, place, node->bool_expr, ret_expr);
    case PG_QUERY__NODE__NODE_NULL_TEST:
        return bind_null_test(binder, place, node->null_test, ret_expr);
    case PG_QUERY__NODE__NODE_BOOLEAN_TEST:
        return bind_boolean_test(binder, place, node->boolean_test, ret_expr);
    case PG_QUERY__NODE__NODE_TYPE_CAST:
        return bind_cast(binder, place, node->type_cast, ret_expr);
    case PG_QUERY__NODE__NODE_FUNC_CALL:
        return kp_bind_func_call(binder, place, node->func_call, ret_expr);
    case PG_QUERY__NODE__NODE_GROUPING_FUNC:
        return kp_bind_grouping(binder, place, node->grouping_func, ret_expr);
    case PG_QUERY__NODE__NODE_SQLVALUE_FUNCTION:
        return kp_bind_value_function(binder, node->sqlvalue_function, ret_expr);
    case PG_QUERY__NODE__NODE_CASE_EXPR:
        return bind_case(binder, place, node->case_expr, ret_expr);
    case PG_QUERY__NODE__NODE_COALESCE_EXPR:
        return bind_choice(binder, place, KP_EXPR_COALESCE, "COALESCE", node->coalesce_expr->args,
                           node->coalesce_expr->n_args, node->coalesce_expr->location, ret_expr);
    case PG_QUERY__NODE__NODE_MIN_MAX_EXPR: {
        bool greatest = node->min_max_expr->op == PG_QUERY__MIN_MAX_OP__IS_GREATEST;
        return bind_choice(binder, place, greatest ? KP_EXPR_GREATEST : KP_EXPR_LEAST, greatest ? "GREATEST" : "LEAST",
                           node->min_max_expr->args, node->min_max_expr->n_args, node->min_max_expr->location,
                           ret_expr);
    }
    case PG_QUERY__NODE__NODE_COLLATE_CLAUSE:
        KP_TRY(kp_bind_collation(binder, node->collate_clause));
        return kp_bind_expr(binder, place, node->collate_clause->arg, ret_expr);
    case PG_QUERY__NODE__NODE_SUB_LINK:
        return kp_bind_sublink(binder, place, node->sub_link, ret_expr);
    case PG_QUERY__NODE__NODE_ROW_EXPR:
        return kp_bind_row_value(binder, place, node->row_expr, ret_expr);
    case PG_QUERY__NODE__NODE_A_ARRAY_EXPR:
        return kp_bind_array(binder, place, node->a_array_expr, KP_TYPE(KP_TYPE_NONE), ret_expr);
    case PG_QUERY__NODE__NODE_A_INDIRECTION:
        return kp_bind_indirection(binder, place, node->a_indirection, ret_expr);
    default:
        return unsupported(binder, node);
    }
}

enum kp_code kp_bind_expr(struct binder *binder, const struct expr_place *place, const PgQuery__Node *node,
                          struct kp_expr **ret_expr)
{
    if (kp_thread_stack_left() < BIND_STACK_MIN_BYTES)
        return kp_bind_fail(binder, kp_tree_location(node), KP_LIMIT, "54001", "statement is nested too deeply");
    return bind_node(binder, place, node, ret_expr);
}

/* The output of a scalar subquery. */
static const char *name_of_first(const PgQuery__SelectStmt *select)
{
    while (select->op != PG_QUERY__SET_OPERATION__SETOP_NONE)
        select = select->larg;
    if (select->n_values_lists)
        return "column1";
    if (select->n_target_list != 1)
        return "?column?";
    const PgQuery__ResTarget *target = select->target_list[0]->res_target;
    return target->name[0] ? target->name : kp_bind_output_name(target->val);
}

/* *ret_weak: a name that a better one around it replaces, as PostgreSQL has it: a cast's type, "case". */
static const char *name_of(const PgQuery__Node *node, bool *ret_weak)
{
    const char *schema;
    *ret_weak = false;
    switch (node->node_case) {
    case PG_QUERY__NODE__NODE_COLUMN_REF: {
        const PgQuery__Node *last = node->column_ref->fields[node->column_ref->n_fields - 1];
        if (last->node_case == PG_QUERY__NODE__NODE_A_STAR && node->column_ref->n_fields > 1)
            last = node->column_ref->fields[node->column_ref->n_fields - 2];
        return last->node_case == PG_QUERY__NODE__NODE_STRING ? last->string->sval : "?column?";
    }
    case PG_QUERY__NODE__NODE_FUNC_CALL:
        return kp_tree_name(node->func_call->funcname, node->func_call->n_funcname, &schema);
    case PG_QUERY__NODE__NODE_TYPE_CAST: {
        const char *name = name_of(node->type_cast->arg, ret_weak);
        if (!*ret_weak)
            return name;
        return kp_tree_name(node->type_cast->type_name->names, node->type_cast->type_name->n_names, &schema);
    }
    case PG_QUERY__NODE__NODE_COLLATE_CLAUSE:
        return name_of(node->collate_clause->arg, ret_weak);
    case PG_QUERY__NODE__NODE_CASE_EXPR: {
        *ret_weak = true;
        const char *name = node->case_expr->defresult ? name_of(node->case_expr->defresult, ret_weak) : "case";
        return *ret_weak ? "case" : name;
    }
    case PG_QUERY__NODE__NODE_A_ARRAY_EXPR:
        return "array";
    case PG_QUERY__NODE__NODE_ROW_EXPR:
        return "row";
    case PG_QUERY__NODE__NODE_A_INDIRECTION: {
        for (size_t i = node->a_indirection->n_indirection; i-- > 0;)
            if (node->a_indirection->indirection[i]->node_case == PG_QUERY__NODE__NODE_STRING)
                return node->a_indirection->indirection[i]->string->sval;
        return name_of(node->a_indirection->arg, ret_weak);
    }
    case PG_QUERY__NODE__NODE_COALESCE_EXPR:
        return "coalesce";
    case PG_QUERY__NODE__NODE_GROUPING_FUNC:
        return "grouping";
    case PG_QUERY__NODE__NODE_MIN_MAX_EXPR:
        return node->min_max_expr->op == PG_QUERY__MIN_MAX_OP__IS_GREATEST ? "greatest" : "least";
    case PG_QUERY__NODE__NODE_A_EXPR:
        *ret_weak = node->a_expr->kind != PG_QUERY__A__EXPR__KIND__AEXPR_NULLIF;
        return *ret_weak ? "?column?" : "nullif";
    case PG_QUERY__NODE__NODE_SQLVALUE_FUNCTION: {
        static const char *const names[] = {
            "",          "current_date", "current_time",    "current_time",   "current_timestamp", "current_timestamp",
            "localtime", "localtime",    "localtimestamp",  "localtimestamp", "current_role",      "current_user",
            "user",      "session_user", "current_catalog", "current_schema"};
        return names[node->sqlvalue_function->op < KP_COUNT(names) ? node->sqlvalue_function->op : 0];
    }
    case PG_QUERY__NODE__NODE_SUB_LINK:
        if (node->sub_link->sub_link_type == PG_QUERY__SUB_LINK_TYPE__EXISTS_SUBLINK)
            return "exists";
        if (node->sub_link->sub_link_type == PG_QUERY__SUB_LINK_TYPE__ARRAY_SUBLINK)
            return "array";
        if (node->sub_link->sub_link_type == PG_QUERY__SUB_LINK_TYPE__EXPR_SUBLINK)
            return name_of_first(node->sub_link->subselect->select_stmt);
        *ret_weak = true;
        return "?column?";
    default:
        *ret_weak = true;
        return "?column?";
    }
}

const char *kp_bind_output_name(const PgQuery__Node *node)
{
    bool weak;
    return name_of(node, &weak);
}
