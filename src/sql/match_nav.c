/*
 * Expressions of MATCH_RECOGNIZE: what finds rows becomes navigations, around which the rest is bound as anywhere.
 *
 *   A.price            the price of the last row so far that matched A: LAST(A.price)
 *   price              of the last row so far, whatever it matched: in DEFINE the row at hand
 *   FIRST(A.price, 2)  of the third row that matched A             PREV(A.price)  of the row before LAST(A)
 *   LAST(A.x + A.y)    = LAST(A.x) + LAST(A.y), but NULL if there is no such row
 *   SUM(A.price)       over the rows so far that matched A
 *
 * "So far" ends with the row at hand: in DEFINE the one that is tried, in MEASURES of ONE ROW PER MATCH the match's
 * last.
 */
#include "sql/bind.h"
#include "sql/match.h"

enum { OFFSET_MAX = 1000000 };

static const struct scope nothing;

static uint32_t add_nav(struct binder *binder, struct match_scope *scope, const struct kp_match_nav *nav)
{
    struct kp_plan_match *match = scope->match;
    for (uint32_t i = 0; i < match->nav_count; i++)
        if (kp_match_nav_equal(&match->navs[i], nav))
            return i;
    if (match->nav_count == scope->nav_cap) {
        scope->nav_cap = scope->nav_cap ? scope->nav_cap * 2 : 8;
        struct kp_match_nav *more = kp_arena_alloc(binder->arena, scope->nav_cap * sizeof *more);
        if (match->nav_count)
            memcpy(more, match->navs, match->nav_count * sizeof *more);
        match->navs = more;
    }
    match->navs[match->nav_count] = *nav;
    return match->nav_count++;
}

/* The value of the navigation in scope->nav. */
static struct kp_expr *nav_value(struct binder *binder, struct match_scope *scope, enum kp_match_nav_kind kind,
                                 struct kp_type type, int32_t location)
{
    struct kp_match_nav nav = scope->nav;
    nav.kind = kind;
    nav.type = type;
    return kp_bind_column(binder, add_nav(binder, scope, &nav), type, location);
}

static uint64_t all_variables(const struct match_scope *scope)
{
    return UINT64_MAX >> (KP_MATCH_VARIABLES_MAX - scope->match->variable_count);
}

/* NULL: any of them. */
static enum kp_code use_variables(struct binder *binder, struct match_scope *scope, const char *name, int32_t location)
{
    uint64_t variables = name ? 0 : all_variables(scope);
    for (uint32_t i = 0; name && i < scope->name_count; i++)
        if (strcmp(scope->names[i], name) == 0)
            variables = scope->variables[i];
    if (!variables)
        return kp_bind_fail(binder, location, KP_NOT_FOUND, "42P01",
                            "\"%s\" is not a variable of PATTERN, nor of SUBSET", name);
    if (scope->within != MATCH_OUTSIDE && scope->named && scope->nav.variables != variables)
        return kp_bind_fail(binder, location, KP_INVALID, "42P20",
                            "all columns within one navigation or aggregate must be of the same variable");
    scope->nav.variables = variables;
    scope->named = true;
    return KP_OK;
}

enum kp_code kp_bind_match_column(struct binder *binder, const struct expr_place *place, const PgQuery__ColumnRef *ref,
                                  struct kp_expr **ret_expr)
{
    struct match_scope *scope = place->match;
    const PgQuery__Node *last = ref->fields[ref->n_fields - 1];
    if (ref->n_fields > 2 || last->node_case != PG_QUERY__NODE__NODE_STRING)
        return kp_bind_fail(binder, ref->location, KP_UNSUPPORTED, NULL,
                            "in MATCH_RECOGNIZE a column is written column or variable.column");
    KP_TRY(use_variables(binder, scope, ref->n_fields == 2 ? ref->fields[0]->string->sval : NULL, ref->location));
    bool ambiguous;
    const char *name = last->string->sval;
    const struct scope_column *column = kp_scope_lookup(scope->input, NULL, name, &ambiguous);
    if (ambiguous)
        return kp_bind_fail(binder, ref->location, KP_INVALID, "42702", "column reference \"%s\" is ambiguous", name);
    if (!column)
        return kp_bind_no_column(binder, scope->input, NULL, name, ref->location);
    if (scope->within == MATCH_AGGREGATE) {
        *ret_expr = kp_bind_column(binder, column->index, column->type, ref->location);
        return KP_OK;
    }
    if (scope->within == MATCH_OUTSIDE)
        scope->nav = (struct kp_match_nav){.variables = scope->nav.variables};
    scope->nav.column = column->index;
    *ret_expr = nav_value(binder, scope, KP_NAV_COLUMN, column->type, ref->location);
    scope->nav.column = 0;
    return KP_OK;
}

/* How far: a constant, or what is usual. */
static enum kp_code bind_offset(struct binder *binder, const PgQuery__FuncCall *call, const char *name, int32_t usual,
                                int32_t *ret_offset)
{
    *ret_offset = usual;
    if (call->n_args == 1)
        return KP_OK;
    struct expr_place place = {.scope = &nothing, .clause = "a navigation's offset"};
    struct kp_expr *offset;
    KP_TRY(kp_bind_expr(binder, &place, call->args[1], &offset));
    if (offset->kind != KP_EXPR_CONST || offset->type.id != KP_INT4 || offset->datum.null || offset->datum.i32 < 0 ||
        offset->datum.i32 > OFFSET_MAX)
        return kp_bind_fail(binder, kp_tree_location(call->args[1]), KP_INVALID, "22023",
                            "the second argument of %s must be a constant between 0 and %d", name, OFFSET_MAX);
    *ret_offset = offset->datum.i32;
    return KP_OK;
}

static bool is_final(const struct match_scope *scope, const PgQuery__FuncCall *call)
{
    for (uint32_t i = 0; i < scope->written->final_count; i++)
        if (scope->written->finals[i] == call->location)
            return true;
    return false;
}

/* What is computed from a row is NULL if there is none. */
static struct kp_expr *where_exists(struct binder *binder, struct match_scope *scope, struct kp_expr *value)
{
    if (value->kind == KP_EXPR_COLUMN)
        return value;
    struct kp_expr *choice = kp_bind_new(binder, KP_EXPR_CASE, value->type, value->location, 3);
    choice->args[0] = nav_value(binder, scope, KP_NAV_EXISTS, KP_TYPE(KP_BOOL), value->location);
    choice->args[1] = value;
    choice->args[2] = kp_bind_null(binder, value->type);
    kp_expr_settle(choice);
    return choice;
}

/* FIRST, LAST: walk = true; PREV, NEXT. */
static enum kp_code bind_navigation(struct binder *binder, const struct expr_place *place,
                                    const PgQuery__FuncCall *call, const char *name, bool walk,
                                    struct kp_expr **ret_expr)
{
    struct match_scope *scope = place->match;
    struct match_scope before = *scope;
    if (call->n_args < 1 || call->n_args > 2 || call->agg_star)
        return kp_bind_fail(binder, call->location, KP_INVALID, "42883", "%s takes a value and an offset", name);
    if (before.within == MATCH_WALK || (before.within == MATCH_SHIFT && !walk)) {
        kp_bind_fail(binder, call->location, KP_INVALID, "42P20", "%s cannot stand within this navigation", name);
        return kp_error_hint(binder->err, "FIRST and LAST may stand within PREV and NEXT: PREV(FIRST(A.x), 2).");
    }
    int32_t offset;
    KP_TRY(bind_offset(binder, call, name, walk ? 0 : 1, &offset));
    if (before.within == MATCH_OUTSIDE) {
        scope->nav = (struct kp_match_nav){0};
        scope->named = false;
    }
    scope->within = walk ? MATCH_WALK : MATCH_SHIFT;
    scope->nav.final |= walk && is_final(scope, call);
    if (walk) {
        scope->nav.first = strcmp(name, "first") == 0;
        scope->nav.offset = (uint32_t)offset;
    } else {
        scope->nav.shift = strcmp(name, "prev") == 0 ? -offset : offset;
    }
    struct kp_expr *value;
    enum kp_code code = kp_bind_expr(binder, place, call->args[0], &value);
    bool named = scope->named;
    if (code == KP_OK && named)
        *ret_expr = where_exists(binder, scope, value);
    scope->within = before.within;
    if (before.within == MATCH_OUTSIDE)
        scope->named = false;
    KP_TRY(code);
    if (!named)
        return kp_bind_fail(binder, call->location, KP_INVALID, "42P20", "%s needs a column of a row", name);
    return KP_OK;
}

static enum kp_code bind_aggregate(struct binder *binder, const struct expr_place *place, const PgQuery__FuncCall *call,
                                   const char *name, struct kp_expr **ret_expr)
{
    struct match_scope *scope = place->match;
    if (scope->within != MATCH_OUTSIDE)
        return kp_bind_fail(binder, call->location, KP_INVALID, "42P20",
                            "an aggregate cannot stand within a navigation");
    if (call->agg_distinct || call->n_agg_order || call->agg_within_group)
        return kp_bind_fail(binder, call->location, KP_UNSUPPORTED, NULL,
                            "DISTINCT and ORDER BY of an aggregate in MATCH_RECOGNIZE are not supported");
    struct agg_list aggs = {0};
    struct expr_place inside = *place;
    inside.aggs = &aggs;
    scope->nav = (struct kp_match_nav){.variables = all_variables(scope), .final = is_final(scope, call)};
    scope->named = false;
    const PgQuery__ColumnRef *star = call->n_args == 1 && call->args[0]->node_case == PG_QUERY__NODE__NODE_COLUMN_REF
                                         ? call->args[0]->column_ref
                                         : NULL;
    if (star && star->n_fields == 2 && star->fields[1]->node_case == PG_QUERY__NODE__NODE_A_STAR) { /* COUNT(A.*) */
        KP_TRY(use_variables(binder, scope, star->fields[0]->string->sval, star->location));
        KP_TRY(kp_bind_aggregate(binder, name, NULL, 0, call->location, &scope->nav.agg));
    } else {
        scope->within = MATCH_AGGREGATE;
        enum kp_code code = kp_bind_func_call(binder, &inside, call, ret_expr);
        scope->within = MATCH_OUTSIDE;
        KP_TRY(code);
        scope->nav.agg = aggs.aggs[0];
    }
    const struct kp_agg *agg = scope->nav.agg.agg;
    if (!agg->growing && !agg->retractable)
        return kp_bind_fail(binder, call->location, KP_UNSUPPORTED, NULL, "%s is not supported here", name);
    *ret_expr = nav_value(binder, scope, KP_NAV_AGGREGATE, scope->nav.agg.type, call->location);
    scope->named = false;
    return KP_OK;
}

static enum kp_code bind_about_match(struct binder *binder, const struct expr_place *place,
                                     const PgQuery__FuncCall *call, bool classifier, struct kp_expr **ret_expr)
{
    struct match_scope *scope = place->match;
    if (call->n_args || call->agg_star)
        return kp_bind_fail(binder, call->location, KP_UNSUPPORTED, NULL, "%s() takes no arguments",
                            classifier ? "classifier" : "match_number");
    if (!classifier || scope->within == MATCH_OUTSIDE)
        scope->nav = (struct kp_match_nav){.final = is_final(scope, call)};
    if (!classifier) {
        *ret_expr = nav_value(binder, scope, KP_NAV_NUMBER, KP_TYPE(KP_INT8), call->location);
        return KP_OK;
    }
    KP_TRY(use_variables(binder, scope, NULL, call->location));
    *ret_expr = nav_value(binder, scope, KP_NAV_CLASSIFIER, KP_TYPE(KP_TEXT), call->location);
    return KP_OK;
}

enum kp_code kp_bind_match_call(struct binder *binder, const struct expr_place *place, const PgQuery__FuncCall *call,
                                const char *name, struct kp_expr **ret_expr)
{
    const struct match_scope *scope = place->match;
    bool walk = strcmp(name, "first") == 0 || strcmp(name, "last") == 0;
    *ret_expr = NULL;
    if (scope->within == MATCH_AGGREGATE)
        return KP_OK;
    if (is_final(scope, call) && !walk && strcmp(name, "classifier") != 0 && !kp_bind_is_aggregate(name))
        return kp_bind_fail(binder, call->location, KP_INVALID, "42809",
                            "FINAL specified, but %s finds no rows of the match", name);
    if (walk || strcmp(name, "prev") == 0 || strcmp(name, "next") == 0)
        return bind_navigation(binder, place, call, name, walk, ret_expr);
    if (strcmp(name, "classifier") == 0 || strcmp(name, "match_number") == 0)
        return bind_about_match(binder, place, call, name[0] == 'c', ret_expr);
    return kp_bind_is_aggregate(name) ? bind_aggregate(binder, place, call, name, ret_expr) : KP_OK;
}
