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
    column.place = scope->count;
    scope->cols[scope->count++] = column;
}

void kp_scope_copy_places(struct scope *scope, uint32_t at, const struct scope *other, uint32_t from)
{
    for (uint32_t i = at; i < scope->count; i++)
        scope->cols[i].place = other->cols[i - at + from].place - from + at;
}

const uint32_t *kp_scope_order(struct binder *binder, const struct scope *scope, uint32_t from)
{
    uint32_t *order = kp_arena_alloc(binder->arena, (scope->count - from + 1) * sizeof *order);
    for (uint32_t i = from; i < scope->count; i++)
        order[scope->cols[i].place - from] = i;
    return order;
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

/* schema NULL: whatever it is. */
static bool is_of(const struct scope_column *column, const char *schema, const char *relation)
{
    return column->relation && strcmp(column->relation, relation) == 0 &&
           (!schema || (column->schema && strcmp(column->schema, schema) == 0));
}

static const struct scope_column *lookup(const struct scope *scope, const char *schema, const char *relation,
                                         const char *name, bool *ret_ambiguous)
{
    const struct scope_column *found = NULL;
    *ret_ambiguous = false;
    for (uint32_t i = 0; i < scope->count; i++) {
        const struct scope_column *column = &scope->cols[i];
        bool here = relation ? is_of(column, schema, relation) : !column->qualified_only;
        if (!here || strcmp(column->name, name) != 0)
            continue;
        if (found && found->hidden == column->hidden)
            *ret_ambiguous = true;
        if (!found || found->hidden)
            found = column;
    }
    return found;
}

const struct scope_column *kp_scope_lookup(const struct scope *scope, const char *relation, const char *name,
                                           bool *ret_ambiguous)
{
    return lookup(scope, NULL, relation, name, ret_ambiguous);
}

static bool has_relation(const struct scope *scope, const char *schema, const char *relation)
{
    for (uint32_t i = 0; i < scope->count; i++)
        if (is_of(&scope->cols[i], schema, relation))
            return true;
    return false;
}

bool kp_scope_has_relation(const struct scope *scope, const char *relation)
{
    return has_relation(scope, NULL, relation);
}

/* ---- what is out of reach ---- */

/* The item of FROM, to the left of the location, that is known by the name or is the table of this name;
 * *ret_alias: what it is known by, if that is another. */
static bool names_relation(const PgQuery__Node *item, const char *name, int32_t before, const char **ret_alias)
{
    const PgQuery__Alias *alias = NULL;
    const char *relation = "";
    if (item->node_case == PG_QUERY__NODE__NODE_JOIN_EXPR)
        return names_relation(item->join_expr->larg, name, before, ret_alias) ||
               names_relation(item->join_expr->rarg, name, before, ret_alias);
    if (item->node_case == PG_QUERY__NODE__NODE_RANGE_TABLE_SAMPLE)
        item = item->range_table_sample->relation;
    if (item->node_case == PG_QUERY__NODE__NODE_RANGE_SUBSELECT) {
        alias = item->range_subselect->alias;
        item = item->range_subselect->subquery;
    } else if (item->node_case == PG_QUERY__NODE__NODE_RANGE_FUNCTION) {
        alias = item->range_function->alias;
        item = item->range_function->functions[0]->list->items[0];
    } else if (item->node_case == PG_QUERY__NODE__NODE_RANGE_VAR) {
        alias = item->range_var->alias;
        relation = item->range_var->relname;
    }
    const char *known_as = alias ? alias->aliasname : relation;
    if (kp_tree_location(item) >= before)
        return false;
    *ret_alias = strcmp(known_as, name) == 0 ? NULL : known_as;
    return !*ret_alias || strcmp(relation, name) == 0;
}

/* One that a FROM list around has, or UPDATE and its like write. */
static bool is_around(const struct binder *binder, const char *name, int32_t location, const char **ret_alias)
{
    for (const struct from_list *list = binder->from; list; list = list->outer) {
        PgQuery__Node target = {.node_case = PG_QUERY__NODE__NODE_RANGE_VAR,
                                .range_var = (PgQuery__RangeVar *)list->target};
        bool in_front = list->count && location < kp_tree_location(list->items[0]);
        int32_t before = in_front ? INT32_MAX : location;
        if (list->target && names_relation(&target, name, INT32_MAX, ret_alias))
            return true;
        for (size_t i = 0; i < list->count; i++)
            if (names_relation(list->items[i], name, before, ret_alias))
                return true;
    }
    return false;
}

enum kp_code kp_bind_no_relation(struct binder *binder, const struct scope *scope, const char *relation,
                                 int32_t location)
{
    const char *alias = NULL;
    bool reached = false, aliased = false, there = is_around(binder, relation, location, &alias);
    for (; scope; scope = scope->outer) {
        reached |= kp_scope_has_relation(scope, relation);
        aliased |= alias && kp_scope_has_relation(scope, alias);
    }
    if (!there && !reached)
        return kp_bind_fail(binder, location, KP_NOT_FOUND, "42P01", "missing FROM-clause entry for table \"%s\"",
                            relation);
    kp_bind_fail(binder, location, KP_NOT_FOUND, "42P01", "invalid reference to FROM-clause entry for table \"%s\"",
                 relation);
    return aliased && !reached
               ? kp_error_hint(binder->err, "Perhaps you meant to reference the table alias \"%s\".", alias)
               : kp_error_hint(binder->err,
                               "There is an entry for table \"%s\", but it cannot be referenced from this part of the "
                               "query.",
                               relation);
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
    if (relation)
        kp_bind_fail(binder, location, KP_NOT_FOUND, "42703", "column %s.%s does not exist", relation, name);
    else
        kp_bind_fail(binder, location, KP_NOT_FOUND, "42703", "column \"%s\" does not exist", name);
    suggest(binder, scope, relation, name);
    return KP_NOT_FOUND;
}

/* x, t.x, schema.t.x, database.schema.t.x; the last may be *. */
struct column_name {
    const char *schema, *relation, *name; /* NULL: not said; of *: NULL */
};

static enum kp_code split_name(struct binder *binder, const PgQuery__ColumnRef *ref, struct column_name *ret_name)
{
    const char *parts[4] = {NULL}, *database = binder->context->database ? binder->context->database : "kappa";
    const char *whole = "";
    size_t count = ref->n_fields;
    for (size_t i = 0; i < count; i++) {
        const PgQuery__Node *field = ref->fields[i];
        const char *part = field->node_case == PG_QUERY__NODE__NODE_STRING ? field->string->sval : NULL;
        whole = kp_arena_printf(binder->arena, "%s%s%s", whole, i ? "." : "", part ? part : "*");
        if (count - i <= KP_COUNT(parts))
            parts[KP_COUNT(parts) - (count - i)] = part;
    }
    if (count > KP_COUNT(parts))
        return kp_bind_fail(binder, ref->location, KP_INVALID, "42601",
                            "improper qualified name (too many dotted names): %s", whole);
    if (parts[0] && strcmp(parts[0], database) != 0)
        return kp_bind_fail(binder, ref->location, KP_UNSUPPORTED, NULL,
                            "cross-database references are not implemented: %s", whole);
    *ret_name = (struct column_name){parts[1], parts[2], parts[3]};
    return KP_OK;
}

enum kp_code kp_scope_star(struct binder *binder, const struct scope *scope, const PgQuery__ColumnRef *ref,
                           const char **ret_relation)
{
    struct column_name name;
    KP_TRY(split_name(binder, ref, &name));
    if (name.relation && !has_relation(scope, name.schema, name.relation))
        return kp_bind_no_relation(binder, scope, name.relation, ref->location);
    *ret_relation = name.relation;
    return KP_OK;
}

/* LATERAL items of UPDATE … FROM and DELETE … USING. */
static enum kp_code check_target(struct binder *binder, const struct scope *scope, const struct scope_column *column,
                                 int32_t location)
{
    if (column < scope->cols || column >= scope->cols + scope->target_count)
        return KP_OK;
    kp_bind_fail(binder, location, KP_INVALID, "42P10", "invalid reference to FROM-clause entry for table \"%s\"",
                 column->relation);
    return kp_error_hint(binder->err,
                         "There is an entry for table \"%s\", but it cannot be referenced from this part of the query.",
                         column->relation);
}

static enum kp_code check_columns(struct binder *binder, const struct scope *scope, int32_t location)
{
    return scope->no_columns ? kp_bind_fail(binder, location, KP_INVALID, "42P10",
                                            "argument of %s must not contain variables", scope->no_columns)
                             : KP_OK;
}

/* t or t.* where t is a relation in reach; *ret_expr NULL: there is none. */
static enum kp_code whole_row(struct binder *binder, const struct scope *scope, const char *schema,
                              const char *relation, int32_t location, struct kp_expr **ret_expr)
{
    uint32_t base = 0, level = 0;
    *ret_expr = NULL;
    for (; scope && level <= KP_SUBQUERY_LEVELS_MAX; scope = scope->outer) {
        if (has_relation(scope, schema, relation)) {
            KP_TRY(check_columns(binder, scope, location));
            if (scope->target_count && is_of(scope->cols, schema, relation))
                KP_TRY(check_target(binder, scope, scope->cols, location));
            *ret_expr = kp_bind_whole_row(binder, scope, relation, base, location);
            return KP_OK;
        }
        base = KP_OUTER_BASE + level++ * KP_OUTER_LEVEL;
    }
    return KP_OK;
}

/* The column of the innermost query that has the name, or the relation; *scope: that query's, or NULL. */
static enum kp_code reach(struct binder *binder, const struct column_name *column, int32_t location,
                          const struct scope **scope, const struct scope_column **ret_column, uint32_t *ret_base)
{
    uint32_t level = 0;
    bool ambiguous = false;
    *ret_column = NULL;
    *ret_base = 0;
    for (; *scope; *scope = (*scope)->outer) {
        *ret_column = lookup(*scope, column->schema, column->relation, column->name, &ambiguous);
        if (*ret_column || (column->relation && has_relation(*scope, column->schema, column->relation)))
            break;
        *ret_base = KP_OUTER_BASE + level++ * KP_OUTER_LEVEL;
    }
    if (level > KP_SUBQUERY_LEVELS_MAX)
        return kp_bind_fail(binder, location, KP_LIMIT, "54001", "a subquery reaches more than %d levels up",
                            KP_SUBQUERY_LEVELS_MAX);
    if (*ret_column)
        KP_TRY(check_target(binder, *scope, *ret_column, location));
    if (ambiguous)
        return kp_bind_fail(binder, location, KP_INVALID, "42702", "column reference \"%s\" is ambiguous",
                            column->name);
    return KP_OK;
}

enum kp_code kp_scope_find(struct binder *binder, const struct scope *scope, const PgQuery__ColumnRef *ref,
                           struct kp_expr **ret_expr)
{
    uint32_t base;
    struct column_name name;
    const struct scope *of = scope;
    const struct scope_column *column;
    int32_t location = ref->location;
    KP_TRY(split_name(binder, ref, &name));
    if (!name.name) {
        KP_TRY(whole_row(binder, scope, name.schema, name.relation ? name.relation : "", location, ret_expr));
        if (*ret_expr)
            return KP_OK;
        return name.relation ? kp_bind_no_relation(binder, scope, name.relation, location)
                             : kp_bind_fail(binder, location, KP_UNSUPPORTED, NULL, "* is not supported here");
    }
    KP_TRY(reach(binder, &name, location, &of, &column, &base));
    if (!column && !name.relation) {
        KP_TRY(whole_row(binder, scope, NULL, name.name, location, ret_expr));
        if (*ret_expr)
            return KP_OK;
    }
    if (!column && name.relation && !of)
        return kp_bind_no_relation(binder, scope, name.relation, location);
    if (!column)
        return kp_bind_no_column(binder, scope, name.relation, name.name, location);
    KP_TRY(check_columns(binder, of, location));
    *ret_expr = column->never ? kp_bind_null(binder, column->type)
                              : kp_bind_column(binder, base + column->index, column->type, location);
    return KP_OK;
}
