/*
 * Names to columns of the input, and what to say when there is none.
 */
#include "sql/bind.h"
#include "sql/elsewhere.h"

void kp_scope_add(struct binder *binder, struct scope *scope, struct scope_column column)
{
    if (scope->count == scope->cap) {
        scope->cap = scope->cap ? scope->cap * 2 : 16;
        struct scope_column *more = kp_arena_alloc(binder->arena, scope->cap * sizeof *more);
        if (scope->count)
            memcpy(more, scope->cols, scope->count * sizeof *more);
        scope->cols = more;
    }
    scope->cols[scope->count++] = column;
}

void kp_scope_add_plan(struct binder *binder, struct scope *scope, const char *alias, const struct kp_plan *plan,
                       uint32_t base)
{
    /* Metadata columns of a scan, or of a window over one, stay out of *. */
    const struct kp_plan *scan = plan;
    while (scan->kind == KP_PLAN_WINDOW || scan->kind == KP_PLAN_FILTER)
        scan = scan->inputs[0];
    uint32_t visible = plan->col_count, hidden_end = plan->col_count;
    if (scan->kind == KP_PLAN_SCAN && scan->col_count == scan->scan.relation->col_count) {
        visible = scan->scan.relation->col_count - scan->scan.relation->hidden_count;
        hidden_end = scan->scan.relation->col_count;
    }
    const bool *never = plan->kind == KP_PLAN_SCAN ? plan->scan.relation->never_values : NULL;
    for (uint32_t i = 0; i < plan->col_count; i++)
        kp_scope_add(binder, scope,
                     (struct scope_column){.relation = alias,
                                           .name = plan->cols[i].name,
                                           .type = plan->cols[i].type,
                                           .not_null = plan->cols[i].not_null,
                                           .hidden = i >= visible && i < hidden_end,
                                           .never = never && never[i],
                                           .base = plan->bases ? plan->bases[i] : (struct kp_base_column){0},
                                           .index = base + i});
}

const struct scope_column *kp_scope_lookup(const struct scope *scope, const char *relation, const char *name,
                                           bool *ret_ambiguous)
{
    const struct scope_column *found = NULL;
    *ret_ambiguous = false;
    for (uint32_t i = 0; i < scope->count; i++) {
        const struct scope_column *column = &scope->cols[i];
        bool here = relation ? column->relation && strcmp(column->relation, relation) == 0 : !column->qualified_only;
        if (!here || strcmp(column->name, name) != 0)
            continue;
        if (found && found->hidden == column->hidden)
            *ret_ambiguous = true;
        if (!found || found->hidden)
            found = column;
    }
    return found;
}

bool kp_scope_has_relation(const struct scope *scope, const char *relation)
{
    for (uint32_t i = 0; i < scope->count; i++)
        if (scope->cols[i].relation && strcmp(scope->cols[i].relation, relation) == 0)
            return true;
    return false;
}

/* "Perhaps you meant to reference the column "t.x"." for the closest name within reach. */
static void suggest(struct binder *binder, const struct scope *scope, const char *relation, const char *name)
{
    const struct scope_column *like = NULL;
    size_t best = strlen(name) / 2 + 1;
    if (binder->err && kp_elsewhere_column(name, binder->err))
        return;
    for (uint32_t i = 0; i < scope->count; i++) {
        const struct scope_column *column = &scope->cols[i];
        size_t distance = kp_sql_distance(kp_str(name), kp_str(column->name));
        if (relation && column->relation && strcmp(relation, column->relation) != 0)
            distance += kp_sql_distance(kp_str(relation), kp_str(column->relation));
        if (distance < best) {
            best = distance;
            like = column;
        }
    }
    if (like && like->relation)
        kp_error_hint(binder->err, "Perhaps you meant to reference the column \"%s.%s\".", like->relation, like->name);
    else if (like)
        kp_error_hint(binder->err, "Perhaps you meant to reference the column \"%s\".", like->name);
}

enum kp_code kp_bind_no_column(struct binder *binder, const struct scope *scope, const char *relation, const char *name,
                               int32_t location)
{
    if (relation && !kp_scope_has_relation(scope, relation)) {
        kp_bind_fail(binder, location, KP_NOT_FOUND, "42P01", "missing FROM-clause entry for table \"%s\"", relation);
        return KP_NOT_FOUND;
    }
    if (relation)
        kp_bind_fail(binder, location, KP_NOT_FOUND, "42703", "column %s.%s does not exist", relation, name);
    else
        kp_bind_fail(binder, location, KP_NOT_FOUND, "42703", "column \"%s\" does not exist", name);
    suggest(binder, scope, relation, name);
    return KP_NOT_FOUND;
}

/* Fills relation and name from x, t.x, schema.t.x. */
static bool parts(const PgQuery__ColumnRef *ref, const char **ret_relation, const char **ret_name)
{
    size_t count = ref->n_fields;
    for (size_t i = 0; i < count; i++)
        if (ref->fields[i]->node_case != PG_QUERY__NODE__NODE_STRING)
            return false;
    if (count < 1 || count > 3)
        return false;
    *ret_name = ref->fields[count - 1]->string->sval;
    *ret_relation = count > 1 ? ref->fields[count - 2]->string->sval : NULL;
    return true;
}

/* t or t.* where t is a relation in reach; NULL: there is none. */
static struct kp_expr *whole_row(struct binder *binder, const struct scope *scope, const char *relation,
                                 int32_t location)
{
    uint32_t base = 0, level = 0;
    for (; scope; scope = scope->outer) {
        if (kp_scope_has_relation(scope, relation))
            return kp_bind_whole_row(binder, scope, relation, base, location);
        base = KP_OUTER_BASE + level++ * KP_OUTER_LEVEL;
        if (level > KP_SUBQUERY_LEVELS_MAX)
            return NULL;
    }
    return NULL;
}

static bool is_relation_star(const PgQuery__ColumnRef *ref)
{
    return ref->n_fields == 2 && ref->fields[0]->node_case == PG_QUERY__NODE__NODE_STRING &&
           ref->fields[1]->node_case == PG_QUERY__NODE__NODE_A_STAR;
}

enum kp_code kp_scope_find(struct binder *binder, const struct scope *scope, const PgQuery__ColumnRef *ref,
                           struct kp_expr **ret_expr)
{
    const char *relation, *name;
    if (is_relation_star(ref) && (*ret_expr = whole_row(binder, scope, ref->fields[0]->string->sval, ref->location)))
        return KP_OK;
    if (!parts(ref, &relation, &name))
        return kp_bind_fail(binder, ref->location, KP_UNSUPPORTED, NULL,
                            "row expressions (t.*) are not supported here");
    bool ambiguous;
    uint32_t base = 0;
    const struct scope_column *column = kp_scope_lookup(scope, relation, name, &ambiguous);
    uint32_t level = 0;
    for (const struct scope *outer = scope->outer; !column && !ambiguous && outer; outer = outer->outer) {
        column = kp_scope_lookup(outer, relation, name, &ambiguous);
        base = KP_OUTER_BASE + level++ * KP_OUTER_LEVEL;
    }
    if (level > KP_SUBQUERY_LEVELS_MAX)
        return kp_bind_fail(binder, ref->location, KP_LIMIT, "54001", "a subquery reaches more than %d levels up",
                            KP_SUBQUERY_LEVELS_MAX);
    if (ambiguous)
        return kp_bind_fail(binder, ref->location, KP_INVALID, "42702", "column reference \"%s\" is ambiguous", name);
    if (!column && !relation && (*ret_expr = whole_row(binder, scope, name, ref->location)))
        return KP_OK;
    if (!column)
        return kp_bind_no_column(binder, scope, relation, name, ref->location);
    *ret_expr = column->never ? kp_bind_null(binder, column->type)
                              : kp_bind_column(binder, base + column->index, column->type, ref->location);
    return KP_OK;
}
