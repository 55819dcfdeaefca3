/*
 * A function's body in the place of a call.
 *
 *   an expression   bound over the parameters as columns, which the arguments then replace
 *   a query         bound as a subquery of a query whose columns are the parameters: they are level 1 in its plan, and
 *                   the arguments replace them there. In an expression it is a scalar subquery, in FROM a LATERAL item.
 *
 * A STRICT function is NULL, or has no rows, where an argument is NULL.
 */
#include "sql/function.h"

static struct scope params_of(struct binder *binder, const struct sql_function *function)
{
    struct scope params = {0};
    for (uint32_t p = 0; p < function->param_count; p++)
        kp_scope_add(binder, &params,
                     (struct scope_column){.relation = function->name,
                                           .name = function->params[p].name,
                                           .type = function->params[p].type,
                                           .index = p});
    return params;
}

/* A binder for the body's text; its errors have no place in the user's own. */
static struct binder within(const struct binder *binder, const struct sql_function *function,
                            const struct scope *params)
{
    struct binder inner = *binder;
    inner.text = function->body_text;
    if (function->written)
        inner.statement = function->written;
    inner.inline_params = params;
    inner.inline_depth++;
    inner.around = NULL;
    inner.from = NULL;
    inner.ctes = NULL;
    inner.innermost = NULL;
    inner.no_self = NULL;
    inner.writes = NULL;
    inner.emit_on_close = false;
    return inner;
}

static enum kp_code leave(struct binder *binder, const struct binder *inner, const struct sql_function *function,
                          enum kp_code code)
{
    binder->late_of = inner->late_of;
    binder->domain_nodes = inner->domain_nodes;
    binder->recursions = inner->recursions;
    if (code != KP_OK && function->object && !binder->inline_depth) {
        kp_error_context(binder->err, "SQL function \"%s\" during inlining", function->name);
        binder->err->position = 0;
    }
    return code;
}

static enum kp_code mismatch(struct binder *binder, const struct sql_function *function, const char *detail)
{
    kp_bind_fail(binder, -1, KP_INVALID, "42P13", "return type mismatch in function declared to return %s",
                 function->out_count ? "record" : kp_type_info(function->ret.id)->name);
    return kp_error_detail(binder->err, "%s", detail);
}

static enum kp_code to_result(struct binder *binder, const struct sql_function *function, struct kp_expr *body,
                              struct kp_type to, uint32_t column, struct kp_expr **ret_expr)
{
    const char *from = kp_bind_type_text(binder, body->type), *wanted = kp_bind_type_text(binder, to);
    if (!kp_can_coerce(body->type.id, to.id, COERCE_ASSIGNMENT))
        return mismatch(binder, function,
                        function->out_count
                            ? kp_arena_printf(binder->arena, "Final statement returns %s instead of %s at column %u.",
                                              from, wanted, column + 1)
                            : kp_arena_printf(binder->arena, "Actual return type is %s.", from));
    return kp_bind_coerce(binder, body, to, COERCE_ASSIGNMENT, ret_expr);
}

static enum kp_code bind_value(struct binder *binder, const struct sql_function *function, struct kp_expr **ret_expr)
{
    struct scope params = params_of(binder, function);
    struct binder inner = within(binder, function, &params);
    struct expr_place place = {.scope = &params, .clause = "a function's body"};
    struct kp_expr *body;
    enum kp_code code = kp_bind_expr(&inner, &place, function->value, &body);
    if (code == KP_OK)
        code = to_result(&inner, function, body, function->ret, 0, &body);
    if (code == KP_OK)
        code = kp_bind_type_check(&inner, body, ret_expr);
    return leave(binder, &inner, function, code);
}

/* A function of one value or record means the first row of its query; without ORDER BY that is the least one here. */
static struct kp_plan *first_row(struct binder *binder, struct kp_plan *rows)
{
    for (uint32_t i = 0; i < rows->col_count; i++)
        if (rows->cols[i].type.id == KP_JSON || rows->cols[i].type.id == KP_JSONPATH) /* they have no order */
            return rows;
    if (kp_plan_is_single(binder, rows, NULL))
        return rows;
    struct kp_plan *plan = kp_bind_node(binder, KP_PLAN_TOPN, -1, rows->col_count, 1);
    plan->inputs[0] = rows;
    memcpy(plan->cols, rows->cols, rows->col_count * sizeof *rows->cols);
    plan->topn.limit = kp_bind_new(binder, KP_EXPR_CONST, KP_TYPE(KP_INT8), -1, 0);
    plan->topn.limit->datum.type = KP_TYPE(KP_INT8);
    plan->topn.limit->datum.i64 = 1;
    return plan;
}

/* The query's rows as the declared columns; level 1: the parameters. */
static enum kp_code bind_rows(struct binder *binder, const struct sql_function *function, struct kp_plan **ret_plan)
{
    struct scope params = params_of(binder, function);
    struct binder inner = within(binder, function, &params);
    struct kp_column one = {function->name, function->ret, false}, *outs = function->out_count ? function->outs : &one;
    uint32_t count, wanted = function->out_count ? function->out_count : 1;
    struct kp_plan *plan;
    inner.around = &params;
    enum kp_code code = kp_bind_select(&inner, function->query, false, &plan, &count);
    if (code == KP_OK && count != wanted)
        code = mismatch(&inner, function,
                        !function->out_count ? "Final statement must return exactly one column."
                        : count > wanted     ? "Final statement returns too many columns."
                                             : "Final statement returns too few columns.");
    struct kp_expr **exprs = kp_arena_calloc(binder->arena, (wanted + 1) * sizeof *exprs);
    const char **names = kp_arena_calloc(binder->arena, (wanted + 1) * sizeof *names);
    for (uint32_t i = 0; code == KP_OK && i < wanted; i++) {
        names[i] = outs[i].name;
        struct kp_expr *column = kp_bind_column(&inner, i, plan->cols[i].type, -1);
        code = to_result(&inner, function, column, outs[i].type, i, &exprs[i]);
    }
    KP_TRY(leave(binder, &inner, function, code));
    plan = kp_bind_project(binder, plan, exprs, names, wanted);
    *ret_plan = function->set ? plan : first_row(binder, plan);
    return kp_bind_check_columns(binder, ret_plan);
}

/* ---- arguments in the place of parameters ---- */

static struct kp_expr *place_argument(const struct kp_expr *expr, struct kp_arena *arena, void *arg)
{
    struct kp_expr *const *args = arg;
    (void)arena;
    bool param = expr->kind == KP_EXPR_COLUMN && kp_is_outer(expr->column) && kp_outer_level(expr->column) == 1;
    return param ? args[kp_outer_column(expr->column)] : NULL;
}

/* The argument as the subquery sees it: one level further out. */
struct raising {
    bool refused;
};

static struct kp_expr *raise_column(const struct kp_expr *expr, struct kp_arena *arena, void *arg)
{
    struct raising *raising = arg;
    if (expr->kind != KP_EXPR_COLUMN)
        return NULL;
    uint32_t column = expr->column;
    struct kp_expr *copy = kp_arena_alloc(arena, sizeof *copy);
    *copy = *expr;
    if (kp_is_outer(column))
        copy->column = column + KP_OUTER_LEVEL;
    else if (column < KP_GROUPING_BASE)
        copy->column = KP_OUTER_BASE + column;
    else if (column >= KP_AGG_BASE && column < KP_OVER_BASE)
        copy->column = KP_OUTER_BASE + KP_OUTER_AGG + (column - KP_AGG_BASE);
    else
        raising->refused = true;
    return copy;
}

static struct kp_expr *any_null(struct binder *binder, struct kp_expr *const *args, uint32_t count, bool wanted,
                                int32_t location)
{
    struct kp_expr *any = kp_bind_new(binder, wanted ? KP_EXPR_OR : KP_EXPR_AND, KP_TYPE(KP_BOOL), location, count);
    for (uint32_t i = 0; i < count; i++) {
        any->args[i] =
            kp_bind_new(binder, wanted ? KP_EXPR_IS_NULL : KP_EXPR_IS_NOT_NULL, KP_TYPE(KP_BOOL), location, 1);
        any->args[i]->args[0] = args[i];
        kp_expr_settle(any->args[i]);
    }
    kp_expr_settle(any);
    return count == 1 ? any->args[0] : any;
}

static enum kp_code subquery_value(struct binder *binder, const struct expr_place *place,
                                   const struct sql_function *function, struct kp_expr *const *args, int32_t location,
                                   struct kp_expr **ret_expr)
{
    struct sub sub = {.kind = SUB_SCALAR, .type = function->ret, .location = location};
    struct kp_expr **raised = kp_arena_calloc(binder->arena, (function->param_count + 1) * sizeof *raised);
    struct raising raising = {false};
    if (!place->subs)
        return kp_bind_fail(binder, location, KP_UNSUPPORTED, NULL,
                            "function %s reads tables: it cannot be called in %s", function->name, place->clause);
    for (uint32_t p = 0; p < function->param_count; p++)
        raised[p] = kp_expr_copy(args[p], binder->arena, raise_column, &raising);
    if (raising.refused)
        return kp_bind_fail(binder, location, KP_UNSUPPORTED, NULL,
                            "an argument of function %s, which reads tables, cannot have subqueries, window or "
                            "set-returning functions",
                            function->name);
    KP_TRY(bind_rows(binder, function, &sub.plan));
    kp_plan_replace(binder, sub.plan, place_argument, raised);
    *ret_expr = kp_bind_column(binder, KP_SUB_BASE + kp_sub_keep(binder, place->subs, &sub), sub.type, location);
    return KP_OK;
}

enum kp_code kp_function_value(struct binder *binder, const struct expr_place *place,
                               const struct sql_function *function, struct kp_expr **args, int32_t location,
                               struct kp_expr **ret_expr)
{
    struct kp_expr *body;
    if (function->set || function->out_count) {
        kp_bind_fail(binder, location, KP_UNSUPPORTED, NULL, "function %s returns %s: it cannot be called in %s",
                     function->name, function->set ? "rows" : "a record", place->clause);
        return kp_error_hint(binder->err, "Call it in FROM.");
    }
    if (function->value) {
        KP_TRY(bind_value(binder, function, &body));
        KP_TRY(kp_bind_substitute(binder, body, args, function->param_count, location, &body));
    } else {
        KP_TRY(subquery_value(binder, place, function, args, location, &body));
    }
    if (function->strict && function->param_count) {
        struct kp_expr *guard = kp_bind_new(binder, KP_EXPR_CASE, body->type, location, 3);
        guard->args[0] = any_null(binder, args, function->param_count, true, location);
        guard->args[1] = kp_bind_null(binder, body->type);
        guard->args[2] = body;
        kp_expr_settle(guard);
        body = guard;
    }
    *ret_expr = body;
    return KP_OK;
}

enum kp_code kp_function_rows(struct binder *binder, const struct sql_function *function, struct kp_expr **args,
                              const char *alias, int32_t location, struct kp_plan **ret_plan)
{
    struct kp_plan *plan;
    for (uint32_t p = 0; p < function->param_count; p++)
        if (kp_expr_reads_subs(args[p]))
            return kp_bind_fail(binder, location, KP_UNSUPPORTED, NULL,
                                "an argument of function %s in FROM cannot be a subquery", function->name);
    KP_TRY(bind_rows(binder, function, &plan));
    kp_plan_replace(binder, plan, place_argument, args);
    if (function->strict && function->param_count)
        plan = kp_bind_filter(binder, plan, any_null(binder, args, function->param_count, false, location));
    if (!function->out_count && alias)
        plan->cols[0].name = alias;
    *ret_plan = plan;
    return KP_OK;
}

static bool is_polymorphic(enum kp_type_id id)
{
    return id >= KP_ANY && id < KP_ARRAY_BASE;
}

enum kp_code kp_function_check(struct binder *binder, const struct sql_function *function)
{
    struct kp_expr *value;
    struct kp_plan *plan;
    for (uint32_t p = 0; p < function->param_count; p++)
        if (is_polymorphic(function->params[p].type.id))
            return KP_OK;
    bool poly = is_polymorphic(function->ret.id);
    for (uint32_t i = 0; i < function->out_count; i++)
        poly |= is_polymorphic(function->outs[i].type.id);
    if (poly) {
        kp_bind_fail(binder, -1, KP_INVALID, "42P13", "cannot determine result data type");
        return kp_error_detail(binder->err,
                               "A result of a polymorphic type requires at least one input of a polymorphic type.");
    }
    return function->value ? bind_value(binder, function, &value) : bind_rows(binder, function, &plan);
}
