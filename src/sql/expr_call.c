/*
 * Function calls: aggregates, the time words, functions of the session, and all others by the registry.
 *
 * now() and its like are the log's time at the position. In a view they may stand in conditions that flip once (now.c);
 * elsewhere a view refuses them, as it refuses volatile functions.
 */
#include "sql/function.h"

static enum kp_code bind_now(struct binder *binder, const char *name, enum kp_type_id type, int32_t mod,
                             int32_t location, struct kp_expr **ret_expr)
{
    if (binder->for_view && !binder->now_allowed) {
        kp_bind_fail(binder, location, KP_UNSUPPORTED, NULL, "%s can be used in a view in WHERE and HAVING only", name);
        return kp_error_hint(binder->err,
                             "Use a time that is in the record, or a condition like ts > now() - INTERVAL '1 hour'.");
    }
    struct kp_expr *now = kp_bind_new(binder, KP_EXPR_NOW, KP_TYPE(KP_TIMESTAMPTZ), location, 0);
    kp_expr_settle(now);
    return kp_bind_coerce(binder, now, (struct kp_type){.id = type, .mod = mod}, COERCE_EXPLICIT, ret_expr);
}

enum kp_code kp_bind_value_function(struct binder *binder, const PgQuery__SQLValueFunction *function,
                                    struct kp_expr **ret_expr)
{
    const char *user = binder->context->user ? binder->context->user : "kappa";
    switch (function->op) {
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_DATE:
        return bind_now(binder, "CURRENT_DATE", KP_DATE, -1, function->location, ret_expr);
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIMESTAMP:
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIMESTAMP_N:
        return bind_now(binder, "CURRENT_TIMESTAMP", KP_TIMESTAMPTZ, function->typmod, function->location, ret_expr);
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIMESTAMP:
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIMESTAMP_N:
        return bind_now(binder, "LOCALTIMESTAMP", KP_TIMESTAMP, function->typmod, function->location, ret_expr);
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIME:
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIME_N:
        return bind_now(binder, "CURRENT_TIME", KP_TIMETZ, function->typmod, function->location, ret_expr);
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIME:
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIME_N:
        return bind_now(binder, "LOCALTIME", KP_TIME, function->typmod, function->location, ret_expr);
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_CATALOG:
        *ret_expr = kp_bind_text(binder, binder->context->database ? binder->context->database : "kappa");
        return KP_OK;
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_SCHEMA:
        *ret_expr = kp_bind_text(binder, "public");
        return KP_OK;
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_ROLE:
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_USER:
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_USER:
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_SESSION_USER:
        *ret_expr = kp_bind_text(binder, user);
        return KP_OK;
    default:
        return kp_bind_fail(binder, function->location, KP_UNSUPPORTED, NULL, "this value function is not supported");
    }
}

/* ---- aggregates ---- */

static uint32_t keep_aggregate(struct binder *binder, struct agg_list *list, const struct kp_plan_agg *agg,
                               int32_t location)
{
    for (uint32_t i = 0; i < list->count; i++) {
        if (kp_plan_agg_equal(&list->aggs[i], agg))
            return i;
    }
    if (list->count == list->cap) {
        list->cap = list->cap ? list->cap * 2 : 8;
        struct kp_plan_agg *more = kp_arena_alloc(binder->arena, list->cap * sizeof *more);
        int32_t *locations = kp_arena_alloc(binder->arena, list->cap * sizeof *locations);
        if (list->count) {
            memcpy(more, list->aggs, list->count * sizeof *more);
            memcpy(locations, list->locations, list->count * sizeof *locations);
        }
        list->aggs = more;
        list->locations = locations;
    }
    list->aggs[list->count] = *agg;
    list->locations[list->count] = location;
    return list->count++;
}

static bool is_function(struct binder *binder, const char *name)
{
    size_t count;
    kp_func_find(KP_FUNC_FUNCTION, kp_str(name), &count);
    return count || kp_bind_is_over(name) || kp_bind_is_set_function(name) || kp_bind_find_function(binder, name);
}

enum kp_code kp_bind_refuse_parts(struct binder *binder, const PgQuery__FuncCall *call, const char *name,
                                  bool aggregate)
{
    const char *what = NULL;
    if (call->func_variadic && (aggregate || kp_bind_is_set_function(name)))
        return kp_bind_fail(binder, call->location, KP_UNSUPPORTED, NULL,
                            "VARIADIC arguments of an aggregate or set-returning function: not supported");
    if (call->agg_star)
        what = "*";
    else if (call->agg_distinct)
        what = "DISTINCT";
    else if (call->agg_within_group)
        what = "WITHIN GROUP";
    else if (call->n_agg_order)
        what = "ORDER BY";
    else if (call->agg_filter)
        what = "FILTER";
    if (!aggregate && what && is_function(binder, name)) /* else there is none at all */
        return kp_bind_fail(binder, call->location, KP_INVALID, "42809",
                            "%s specified, but %s is not an aggregate function", what, name);
    return KP_OK;
}

/* The keys of ORDER BY inside an aggregate, into exprs and orders. */
static enum kp_code bind_agg_order(struct binder *binder, const struct expr_place *inside,
                                   const PgQuery__FuncCall *call, struct kp_expr **exprs, struct kp_agg_order *orders)
{
    for (size_t i = 0; i < call->n_agg_order; i++) {
        const PgQuery__SortBy *by = call->agg_order[i]->sort_by;
        if (by->sortby_dir == PG_QUERY__SORT_BY_DIR__SORTBY_USING)
            return kp_bind_fail(binder, kp_tree_location(by->node), KP_UNSUPPORTED, NULL,
                                "ORDER BY … USING is not supported");
        KP_TRY(kp_bind_expr(binder, inside, by->node, &exprs[i]));
        KP_TRY(kp_bind_settle_unknown(binder, exprs[i], &exprs[i]));
        KP_TRY(kp_bind_must_compare(binder, exprs[i]->type.id, "ordering", exprs[i]->location));
        bool descending = by->sortby_dir == PG_QUERY__SORT_BY_DIR__SORTBY_DESC;
        orders[i].descending = descending;
        orders[i].nulls_first = by->sortby_nulls == PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_FIRST ||
                                (descending && by->sortby_nulls != PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_LAST);
    }
    return KP_OK;
}

/*
 * ORDER BY goes with the aggregate only if it sees the order; of DISTINCT the keys must be among the arguments as they
 * were written: before they became what the aggregate takes.
 */
static enum kp_code add_keys(struct binder *binder, const PgQuery__FuncCall *call, struct kp_plan_agg *agg,
                             struct kp_expr *const *written, struct kp_expr **keys)
{
    for (size_t k = 0; call->agg_distinct && k < call->n_agg_order; k++) {
        bool found = false;
        for (uint32_t a = 0; !found && a < agg->arg_count; a++)
            found = kp_expr_equal(written[a], keys[k]);
        if (!found)
            return kp_bind_fail(binder, keys[k]->location, KP_INVALID, "42P10",
                                "in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list");
    }
    if (!(agg->agg->flags & KP_AGG_ORDERED)) {
        agg->order_count = 0;
        return KP_OK;
    }
    for (uint32_t k = 0; k < agg->order_count; k++)
        agg->args[agg->arg_count++] = keys[k];
    return KP_OK;
}

/* Without WITHIN GROUP a call may have as many arguments as the aggregate has in all. */
static enum kp_code within_missing(struct binder *binder, const struct expr_place *place, const PgQuery__FuncCall *call,
                                   const char *name, uint32_t wanted)
{
    struct kp_expr **args;
    uint32_t count;
    if (kp_bind_is_over(name) && !call->n_args)
        return kp_bind_over_missing(binder, place, call, name);
    if (kp_bind_is_over(name) || call->n_args == wanted)
        return kp_bind_fail(binder, call->location, KP_INVALID, "42809",
                            "WITHIN GROUP is required for ordered-set aggregate %s", name);
    KP_TRY(kp_bind_call_args(binder, place, call, name, &args, &count));
    return kp_bind_no_function(binder, name, args, count, call->location);
}

static enum kp_code check_within(struct binder *binder, const struct expr_place *place, const PgQuery__FuncCall *call,
                                 const char *name)
{
    size_t count;
    const struct kp_agg *const *aggs = kp_agg_find(kp_str(name), &count);
    bool within = aggs[0]->flags & KP_AGG_WITHIN;
    if (within == call->agg_within_group)
        return KP_OK;
    if (within)
        return within_missing(binder, place, call, name, aggs[0]->arg_count);
    return kp_bind_fail(binder, call->location, KP_INVALID, "42809",
                        "%s is not an ordered-set aggregate, so it cannot have WITHIN GROUP", name);
}

static bool is_hypothetical(const char *name)
{
    size_t count;
    return kp_agg_find(kp_str(name), &count)[0]->flags & KP_AGG_HYPOTHETICAL;
}

/* ---- whose aggregate it is ---- */

/* The nearest query that a column is of: 0: the one that it stands in; UINT32_MAX: there is no column. */
struct nearest {
    const struct sub_list *subs; /* of the place; NULL: none are allowed there */
    uint32_t level;
};

static bool is_sub(const struct kp_expr *expr)
{
    return expr->kind == KP_EXPR_COLUMN && kp_is_sub(expr->column);
}

static bool note_level(const struct kp_expr *expr, void *arg)
{
    struct nearest *nearest = arg;
    if (is_sub(expr)) {
        const struct sub *sub = &nearest->subs->items[expr->column - KP_SUB_BASE];
        uint32_t level = kp_plan_nearest_level(sub->plan);
        if (level != UINT32_MAX)
            nearest->level = KP_MIN(nearest->level, level - 1);
        for (uint32_t t = 0; t < sub->test_count; t++)
            kp_expr_walk(sub->tests[t], note_level, arg);
    } else if (expr->kind == KP_EXPR_COLUMN) {
        nearest->level = KP_MIN(nearest->level, kp_is_outer(expr->column) ? kp_outer_level(expr->column) : 0);
    }
    return true;
}

static uint32_t level_of(const struct kp_plan_agg *agg, const struct sub_list *subs)
{
    struct nearest nearest = {subs, UINT32_MAX};
    for (uint32_t i = 0; i < agg->arg_count; i++)
        kp_expr_walk(agg->args[i], note_level, &nearest);
    if (agg->filter)
        kp_expr_walk(agg->filter, note_level, &nearest);
    return nearest.level == UINT32_MAX ? 0 : nearest.level;
}

/* An aggregate of the query of that level. */
struct nested {
    uint32_t level;
    const struct kp_expr *found;
};

static bool look_for_nested(const struct kp_expr *expr, void *arg)
{
    struct nested *nested = arg;
    if (expr->kind == KP_EXPR_COLUMN && kp_is_outer(expr->column) && kp_outer_level(expr->column) == nested->level &&
        kp_outer_column(expr->column) >= KP_OUTER_AGG)
        nested->found = expr;
    return !nested->found;
}

/* The aggregate of the same query that it is over; NULL: it is over none. */
static const struct kp_expr *nested_in(const struct kp_plan_agg *agg, uint32_t level)
{
    struct nested nested = {level, NULL};
    for (uint32_t i = 0; i < agg->arg_count && !nested.found; i++)
        kp_expr_walk(agg->args[i], look_for_nested, &nested);
    if (agg->filter && !nested.found)
        kp_expr_walk(agg->filter, look_for_nested, &nested);
    return nested.found;
}

/* On the way to a query around; its subqueries from number sub_from on come along, and are sub_to and on there. */
struct outwards {
    uint32_t level, sub_from, sub_to;
};

static struct kp_expr *outwards(const struct kp_expr *expr, struct kp_arena *arena, void *arg)
{
    const struct outwards *way = arg;
    uint32_t level = way->level;
    if (expr->kind != KP_EXPR_COLUMN || (!kp_is_outer(expr->column) && !is_sub(expr)))
        return NULL;
    struct kp_expr *copy = kp_arena_alloc(arena, sizeof *copy);
    *copy = *expr;
    if (is_sub(expr))
        copy->column = expr->column - way->sub_from + way->sub_to;
    else if (kp_outer_level(expr->column) == level)
        copy->column = kp_outer_column(expr->column);
    else
        copy->column = expr->column - level * KP_OUTER_LEVEL;
    return copy;
}

/* The subqueries of an aggregate's arguments go where it goes: they are the last ones of the list. */
static void move_subs(struct binder *binder, struct sub_list *from, struct sub_list *to, struct outwards *way)
{
    if (!from)
        return;
    way->sub_to = to->count;
    for (uint32_t i = way->sub_from; i < from->count; i++) {
        struct sub sub = from->items[i];
        kp_plan_shift_levels(binder, sub.plan, 0, -(int)way->level);
        for (uint32_t t = 0; t < sub.test_count; t++)
            sub.tests[t] = kp_expr_copy(sub.tests[t], binder->arena, outwards, way);
        (void)kp_sub_keep(binder, to, &sub);
    }
    from->count = way->sub_from;
}

/* An aggregate over columns of queries around only is one of the nearest of these. */
static enum kp_code aggregate_outside(struct binder *binder, const struct expr_place *place, struct kp_plan_agg *agg,
                                      uint32_t level, uint32_t first_sub, int32_t location, struct kp_expr **ret_expr)
{
    const struct scope *scope = place->scope;
    for (uint32_t i = 0; i < level; i++)
        scope = scope->outer;
    if (!scope->aggs)
        return kp_bind_fail(binder, location, KP_INVALID, "42803",
                            "aggregate functions are not allowed in this clause of the query whose columns they read");
    const struct kp_expr *nested = nested_in(agg, level);
    if (nested)
        return kp_bind_fail(binder, nested->location, KP_INVALID, "42803", "aggregate function calls cannot be nested");
    struct outwards way = {.level = level, .sub_from = first_sub};
    move_subs(binder, place->subs, scope->subs, &way);
    for (uint32_t i = 0; i < agg->arg_count; i++)
        agg->args[i] = kp_expr_copy(agg->args[i], binder->arena, outwards, &way);
    agg->filter = kp_expr_copy(agg->filter, binder->arena, outwards, &way);
    uint32_t index = keep_aggregate(binder, scope->aggs, agg, location);
    *ret_expr = kp_bind_column(binder, KP_OUTER_BASE + (level - 1) * KP_OUTER_LEVEL + KP_OUTER_AGG + index, agg->type,
                               location);
    return KP_OK;
}

static enum kp_code refuse_aggregate(struct binder *binder, const struct expr_place *place, int32_t location)
{
    if (strcmp(place->clause, "an aggregate") == 0)
        return kp_bind_fail(binder, location, KP_INVALID, "42803", "aggregate function calls cannot be nested");
    return kp_bind_fail(binder, location, KP_INVALID, "42803", "aggregate functions are not allowed in %s",
                        place->clause);
}

static enum kp_code bind_aggregate(struct binder *binder, const struct expr_place *place, const PgQuery__FuncCall *call,
                                   const char *name, struct kp_expr **ret_expr)
{
    if (!place->aggs && !place->scope->outer)
        return refuse_aggregate(binder, place, call->location);
    struct expr_place inside = *place;
    inside.aggs = NULL;
    inside.overs = NULL;
    inside.sets = NULL;
    inside.groupings = NULL;
    inside.clause = "an aggregate";
    KP_TRY(check_within(binder, place, call, name));
    if (call->n_args + call->n_agg_order > KP_FUNCTION_ARGS_MAX)
        return kp_bind_fail(binder, call->location, KP_LIMIT, "54023",
                            "an aggregate can have at most %d arguments and ORDER BY expressions",
                            KP_FUNCTION_ARGS_MAX);
    struct kp_expr *args[KP_FUNCTION_ARGS_MAX], *keys[KP_FUNCTION_ARGS_MAX];
    struct kp_agg_order orders[KP_AGG_ARGS_MAX] = {{0}};
    uint32_t count = (uint32_t)call->n_args, first_sub = place->subs ? place->subs->count : 0;
    for (size_t i = 0; i < call->n_args; i++)
        KP_TRY(kp_bind_expr(binder, &inside, call->args[i], &args[i]));
    KP_TRY(bind_agg_order(binder, &inside, call, keys, orders));
    for (size_t i = 0; call->agg_distinct && i < call->n_args; i++)
        KP_TRY(kp_bind_must_compare(binder, args[i]->type.id, "equality", args[i]->location));
    for (size_t k = 0; call->agg_within_group && k < call->n_agg_order; k++)
        args[count++] = keys[k];
    if (call->n_args == 0 && !call->agg_star && strcmp(name, "count") == 0)
        return kp_bind_fail(binder, call->location, KP_INVALID, "42809",
                            "count(*) must be used to call a parameterless aggregate function");
    struct kp_expr **own = kp_arena_calloc(binder->arena, (KP_AGG_ARGS_MAX + 1) * sizeof *own);
    memcpy(own, args, count * sizeof *own);
    struct kp_plan_agg agg;
    if (is_hypothetical(name))
        KP_TRY(kp_bind_hypothetical(binder, name, own, (uint32_t)call->n_args, (uint32_t)call->n_agg_order,
                                    call->location, &agg));
    else
        KP_TRY(kp_bind_aggregate(binder, name, own, count, call->location, &agg));
    agg.distinct = call->agg_distinct;
    agg.order_count = (uint32_t)call->n_agg_order;
    memcpy(agg.orders, orders, sizeof orders);
    if (!call->agg_within_group)
        KP_TRY(add_keys(binder, call, &agg, args, keys));
    if (call->agg_filter) {
        inside.clause = "FILTER";
        KP_TRY(kp_bind_expr(binder, &inside, call->agg_filter, &agg.filter));
        KP_TRY(kp_bind_to_bool(binder, agg.filter, "FILTER", &agg.filter));
    }
    uint32_t level = level_of(&agg, place->subs);
    if (level)
        return aggregate_outside(binder, place, &agg, level, first_sub, call->location, ret_expr);
    if (!place->aggs)
        return refuse_aggregate(binder, place, call->location);
    uint32_t index = keep_aggregate(binder, place->aggs, &agg, call->location);
    *ret_expr = kp_bind_column(binder, KP_AGG_BASE + index, agg.type, call->location);
    return KP_OK;
}

static bool is_now(const char *name)
{
    return strcmp(name, "now") == 0 || strcmp(name, "transaction_timestamp") == 0 ||
           strcmp(name, "statement_timestamp") == 0;
}

/* age(x): from x to the beginning of today. */
static enum kp_code bind_age_today(struct binder *binder, struct kp_expr *arg, int32_t location,
                                   struct kp_expr **ret_expr)
{
    struct kp_expr *both[3];
    enum kp_type_id type = arg->type.id == KP_TIMESTAMP ? KP_TIMESTAMP : KP_TIMESTAMPTZ;
    KP_TRY(bind_now(binder, "age()", KP_DATE, -1, location, &both[0]));
    KP_TRY(kp_bind_coerce(binder, both[0], KP_TYPE(type), COERCE_IMPLICIT, &both[0]));
    both[1] = arg;
    return kp_bind_function(binder, "age", both, 2, location, ret_expr);
}

static struct kp_expr *type_of_domain(struct binder *binder, struct kp_expr *value, int32_t location)
{
    struct kp_expr *number = kp_bind_new(binder, KP_EXPR_CONST, KP_TYPE(KP_OID), location, 0);
    number->datum = (struct kp_datum){.type = number->type, .i32 = (int32_t)value->type.domain};
    return kp_bind_call(binder, "kp_typeof_domain", KP_TYPE(KP_REGTYPE), (struct kp_expr *[]){value, number}, 2,
                        location);
}

static enum kp_code not_in_schema(struct binder *binder, const struct expr_place *place, const PgQuery__FuncCall *call,
                                  const char *schema, const char *name)
{
    struct kp_expr **args;
    uint32_t count;
    if (strcmp(schema, "public") != 0 && !kp_schema_is_system(schema))
        return kp_bind_fail(binder, call->location, KP_NOT_FOUND, "3F000", "schema \"%s\" does not exist", schema);
    KP_TRY(kp_bind_call_args(binder, place, call, name, &args, &count));
    return kp_bind_no_function(binder, kp_arena_printf(binder->arena, "%s.%s", schema, name), args, count,
                               call->location);
}

enum kp_code kp_bind_func_call(struct binder *binder, const struct expr_place *place, const PgQuery__FuncCall *call,
                               struct kp_expr **ret_expr)
{
    const char *schema, *name = kp_tree_name(call->funcname, call->n_funcname, &schema);
    bool inner = schema && strcmp(schema, "information_schema") == 0 && strncmp(name, "_pg_", 4) == 0;
    if (schema && !inner && strcmp(schema, "pg_catalog") != 0 &&
        (strcmp(schema, "public") != 0 || !kp_bind_find_function(binder, name)))
        return not_in_schema(binder, place, call, schema, name);
    if (call->over)
        return kp_bind_over(binder, place, call, name, ret_expr);
    if (place->match) {
        KP_TRY(kp_bind_match_call(binder, place, call, name, ret_expr));
        if (*ret_expr)
            return KP_OK;
    }
    bool aggregate = kp_bind_is_aggregate(name);
    KP_TRY(kp_bind_refuse_parts(binder, call, name, aggregate));
    if (aggregate)
        return bind_aggregate(binder, place, call, name, ret_expr);
    if (is_now(name) && call->n_args == 0)
        return bind_now(binder, "now()", KP_TIMESTAMPTZ, -1, call->location, ret_expr);
    if (kp_bind_is_over(name))
        return kp_bind_over_missing(binder, place, call, name);
    if (kp_bind_is_window(name)) {
        kp_bind_fail(binder, call->location, KP_INVALID, "0A000", "%s() is a table function", name);
        return kp_error_hint(binder->err, "Write it in FROM: FROM %s(relation, time, INTERVAL '…').", name);
    }
    if (kp_bind_is_set_function(name))
        return kp_bind_set_value(binder, place, call, NULL, ret_expr);
    struct kp_relation *own = schema && strcmp(schema, "pg_catalog") == 0 ? NULL : kp_bind_find_function(binder, name);
    struct kp_expr **args;
    uint32_t count;
    if (own) { /* no built-in function has its name */
        struct sql_function function;
        KP_TRY(kp_function_choose(binder, place, call, name, &function, &args));
        return kp_function_value(binder, place, &function, args, call->location, ret_expr);
    }
    KP_TRY(kp_bind_call_args(binder, place, call, name, &args, &count));
    if (call->func_variadic)
        return kp_bind_spread(binder, name, args, count, call->location, ret_expr);
    if (strcmp(name, "age") == 0 && count == 1)
        return bind_age_today(binder, args[0], call->location, ret_expr);
    enum kp_code code = kp_bind_session_function(binder, name, args, count, call->location, ret_expr);
    if (code != KP_NOT_FOUND)
        return code;
    KP_TRY(kp_bind_function(binder, name, args, count, call->location, ret_expr));
    if (strcmp(name, "pg_typeof") == 0 && args[0]->type.domain)
        *ret_expr = type_of_domain(binder, args[0], call->location);
    if (strcmp(name, "json_populate_record") != 0 && strcmp(name, "jsonb_populate_record") != 0)
        return KP_OK;
    struct kp_relation *domain;
    KP_TRY(kp_bind_domain_of(binder, call->args[0], &domain));
    return domain ? kp_bind_domain_check(binder, domain, *ret_expr, call->location, ret_expr) : KP_OK;
}
