/*
 * What CREATE SOURCE and CREATE TABLE say of rows besides columns' types: domains of columns, and CHECK. Records are
 * held against it wherever they are decoded, so a condition may ask for nothing but the row: no now(), no settings.
 *
 * A constraint without a name is called as PostgreSQL would: table_column_check, or table_check if it reads several
 * columns (or none), with a number behind it if that is taken. They are checked in order of their names.
 */
#include <stdlib.h>

#include "sql/object.h"

static bool name_taken(const struct kp_relation *relation, const char *name)
{
    for (uint32_t i = 0; i < relation->check_count; i++)
        if (!relation->checks[i].domain && strcmp(relation->checks[i].name, name) == 0)
            return true;
    return false;
}

struct read_column {
    uint32_t column;
    bool any, several;
};

static bool note_column(const struct kp_expr *expr, void *arg)
{
    struct read_column *read = arg;
    if (expr->kind != KP_EXPR_COLUMN)
        return true;
    read->several |= read->any && read->column != expr->column;
    read->any = true;
    read->column = expr->column;
    return true;
}

/* column: of which it is a constraint; -1: of the table. */
static const char *choose_name(struct binder *binder, const struct kp_relation *relation, const struct kp_expr *expr,
                               int32_t column)
{
    struct read_column read = {0};
    (void)kp_expr_walk(expr, note_column, &read);
    if (column < 0 && read.any && !read.several)
        column = (int32_t)read.column;
    const char *name = column < 0
                           ? kp_arena_printf(binder->arena, "%s_check", relation->name)
                           : kp_arena_printf(binder->arena, "%s_%s_check", relation->name, relation->cols[column].name);
    const char *unique = name;
    for (unsigned number = 1; name_taken(relation, unique); number++)
        unique = kp_arena_printf(binder->arena, "%s%u", name, number);
    return unique;
}

static enum kp_code check_immutable(struct binder *binder, const struct kp_expr *expr, int32_t location)
{
    if (!expr->stable)
        return KP_OK;
    kp_bind_fail(binder, location, KP_UNSUPPORTED, NULL,
                 "a check constraint that depends on the time or on settings is not supported");
    return kp_error_hint(binder->err, "Records are checked as they are read, now and in every replay. Ask for it in a "
                                      "view's WHERE.");
}

static enum kp_code add_condition(struct binder *binder, struct kp_relation *relation, const struct scope *scope,
                                  const PgQuery__Constraint *constraint, int32_t column)
{
    struct expr_place place = {.scope = scope, .clause = "check constraints"};
    const char *name = constraint->conname;
    struct kp_expr *expr;
    KP_TRY(kp_bind_expr(binder, &place, constraint->raw_expr, &expr));
    KP_TRY(kp_bind_to_bool(binder, expr, "CHECK", &expr));
    KP_TRY(check_immutable(binder, expr, constraint->location));
    if (!name[0])
        name = choose_name(binder, relation, expr, column);
    else if (name_taken(relation, name))
        return kp_bind_fail(binder, constraint->location, KP_EXISTS, "42710",
                            "constraint \"%s\" for relation \"%s\" already exists", name, relation->name);
    relation->checks[relation->check_count++] = (struct kp_check){kp_arena_strdup(binder->arena, name), expr, false};
    return KP_OK;
}

/* Behind the other columns' domains: there is none but those yet. */
static enum kp_code add_domain(struct binder *binder, struct kp_relation *relation, uint32_t column)
{
    struct kp_relation *domain = relation->domains ? relation->domains[column] : NULL;
    struct kp_expr *value = kp_bind_column(binder, column, relation->cols[column].type, -1), *checked;
    KP_TRY(kp_bind_row_check(binder, value, -1, &checked));
    if (domain)
        KP_TRY(kp_bind_domain_check(binder, domain, checked, -1, &checked));
    KP_TRY(check_immutable(binder, checked, -1));
    if (checked != value)
        relation->checks[relation->check_count++] =
            (struct kp_check){domain ? domain->name : kp_type_info(value->type.id)->name, checked, true};
    return KP_OK;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct kp_check *)a)->name, ((const struct kp_check *)b)->name);
}

static bool is_check(const PgQuery__Node *node)
{
    return node->node_case == PG_QUERY__NODE__NODE_CONSTRAINT &&
           node->constraint->contype == PG_QUERY__CONSTR_TYPE__CONSTR_CHECK;
}

static size_t count_checks(const PgQuery__CreateStmt *create)
{
    size_t count = 0;
    for (size_t i = 0; i < create->n_table_elts; i++) {
        const PgQuery__Node *element = create->table_elts[i];
        count += is_check(element);
        const PgQuery__ColumnDef *def =
            element->node_case == PG_QUERY__NODE__NODE_COLUMN_DEF ? element->column_def : NULL;
        for (size_t c = 0; def && c < def->n_constraints; c++)
            count += is_check(def->constraints[c]);
    }
    return count;
}

static struct scope scope_of(struct binder *binder, const struct kp_relation *relation)
{
    struct scope scope = {0};
    for (uint32_t c = 0; c < relation->col_count; c++)
        kp_scope_add(binder, &scope,
                     (struct scope_column){.relation = relation->name,
                                           .name = relation->cols[c].name,
                                           .type = relation->cols[c].type,
                                           .index = c});
    return scope;
}

enum kp_code kp_bind_checks(struct binder *binder, struct kp_relation *relation, const PgQuery__CreateStmt *create)
{
    struct scope scope = scope_of(binder, relation);
    size_t most = relation->col_count + count_checks(create);
    relation->checks = kp_arena_calloc(binder->arena, (most + 1) * sizeof *relation->checks);
    for (uint32_t c = 0; c < relation->col_count; c++)
        KP_TRY(add_domain(binder, relation, c));
    uint32_t first = relation->check_count;
    int32_t column = 0;
    for (size_t i = 0; i < create->n_table_elts; i++) {
        const PgQuery__Node *element = create->table_elts[i];
        if (is_check(element))
            KP_TRY(add_condition(binder, relation, &scope, element->constraint, -1));
        if (element->node_case != PG_QUERY__NODE__NODE_COLUMN_DEF)
            continue;
        for (size_t c = 0; c < element->column_def->n_constraints; c++)
            if (is_check(element->column_def->constraints[c]))
                KP_TRY(
                    add_condition(binder, relation, &scope, element->column_def->constraints[c]->constraint, column));
        column++;
    }
    qsort(relation->checks + first, relation->check_count - first, sizeof *relation->checks, compare_names);
    return KP_OK;
}

/* How many stand before the others: those of domains. */
static uint32_t count_domains(const struct kp_relation *relation, uint32_t count)
{
    uint32_t domains = 0;
    while (domains < count && relation->checks[domains].domain)
        domains++;
    return domains;
}

static void sort_conditions(struct kp_relation *relation)
{
    uint32_t domains = count_domains(relation, relation->check_count);
    qsort(relation->checks + domains, relation->check_count - domains, sizeof *relation->checks, compare_names);
}

enum kp_code kp_bind_column_checks(struct binder *binder, struct kp_relation *relation, uint32_t column,
                                   const PgQuery__ColumnDef *def)
{
    struct scope scope = scope_of(binder, relation);
    uint32_t before = relation->check_count, domains = count_domains(relation, before);
    KP_TRY(add_domain(binder, relation, column));
    if (relation->check_count > before) { /* among the domains' */
        struct kp_check added = relation->checks[before];
        memmove(&relation->checks[domains + 1], &relation->checks[domains], (before - domains) * sizeof added);
        relation->checks[domains] = added;
    }
    for (size_t c = 0; c < def->n_constraints; c++)
        if (is_check(def->constraints[c]))
            KP_TRY(add_condition(binder, relation, &scope, def->constraints[c]->constraint, (int32_t)column));
    sort_conditions(relation);
    return KP_OK;
}

enum kp_code kp_bind_table_check(struct binder *binder, struct kp_relation *relation,
                                 const PgQuery__Constraint *constraint)
{
    struct scope scope = scope_of(binder, relation);
    KP_TRY(add_condition(binder, relation, &scope, constraint, -1));
    sort_conditions(relation);
    return KP_OK;
}
