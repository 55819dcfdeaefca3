/*
 * Rows as values: ROW(…), whole rows of a relation, fields of a composite value, and casts between row types.
 *
 *   ROW(a, b)        kp_row(a, b), of a type record with fields f1, f2 that is made here (vec/made.h)
 *   t, t.*           of a relation t: kp_row of its columns, with their names
 *   (x).f            kp_row_field(x, number of f); (x).* in the select list: all of them
 *   x::type          field by field: of ROW(…) its arguments, so that literals are read as the fields' types
 *
 * A field may be of a domain, or of an array of one. Such a row is kp_row_checked(row, fields that passed its checks…)
 * where it comes from a literal, a text, JSON, a parameter; the fields that make one of ROW(…) or a record are checked
 * themselves.
 *
 * On a side that an outer join may not have, a whole row is NULL where the row is missing, which a column tells that is
 * never NULL in a row that is there: one of its own, or one that the join adds (from.c: mark_rows).
 */
#include "sql/bind.h"
#include "sql/object.h"
#include "vec/made.h"

static bool is_row(const struct kp_expr *expr)
{
    return expr->kind == KP_EXPR_CALL && strcmp(expr->func->name, "kp_row") == 0;
}

/* The record type of these expressions; names NULL: f1, f2 … */
static enum kp_type_id record_of(struct binder *binder, struct kp_expr *const *fields, const char *const *names,
                                 uint32_t count)
{
    const char **all = kp_arena_alloc(binder->arena, (count + 1) * sizeof *all);
    struct kp_type *types = kp_arena_calloc(binder->arena, (count + 1) * sizeof *types);
    for (uint32_t i = 0; i < count; i++) {
        all[i] = names ? names[i] : kp_arena_printf(binder->arena, "f%u", i + 1);
        types[i] = KP_TYPE(fields[i]->type.id == KP_UNKNOWN ? KP_TEXT : fields[i]->type.id);
    }
    return kp_made_intern(NULL, all, types, count);
}

struct kp_expr *kp_bind_record(struct binder *binder, struct kp_expr **fields, const char *const *names, uint32_t count,
                               int32_t location)
{
    return kp_bind_call(binder, "kp_row", KP_TYPE(record_of(binder, fields, names, count)), fields, count, location);
}

struct kp_expr *kp_bind_row_of(struct binder *binder, struct kp_expr **fields, uint32_t count, int32_t location)
{
    return kp_bind_record(binder, fields, NULL, count, location);
}

/* ---- ROW(…) ---- */

enum kp_code kp_bind_row_value(struct binder *binder, const struct expr_place *place, const PgQuery__RowExpr *row,
                               struct kp_expr **ret_expr)
{
    struct targets fields = {0};
    for (size_t i = 0; i < row->n_args; i++) {
        struct kp_expr *expr;
        if (kp_bind_is_star(row->args[i])) {
            KP_TRY(kp_bind_star(binder, row->args[i]->column_ref, place->scope, &fields));
            continue;
        }
        KP_TRY(kp_bind_expr(binder, place, row->args[i], &expr));
        kp_targets_add(binder, &fields, (struct target){expr, NULL, NULL});
    }
    if (fields.count > KP_COMPOSITE_FIELDS_MAX)
        return kp_bind_fail(binder, row->location, KP_LIMIT, "54011", "ROW expressions can have at most %d entries",
                            KP_COMPOSITE_FIELDS_MAX);
    struct kp_expr **exprs = kp_arena_alloc(binder->arena, (fields.count + 1) * sizeof *exprs);
    for (uint32_t i = 0; i < fields.count; i++) {
        exprs[i] = fields.items[i].expr;
        if (exprs[i]->type.id == KP_UNKNOWN && exprs[i]->kind == KP_EXPR_PARAM)
            KP_TRY(kp_bind_settle_unknown(binder, exprs[i], &exprs[i]));
    }
    *ret_expr = kp_bind_record(binder, exprs, NULL, fields.count, row->location);
    return KP_OK;
}

/* ---- whole rows ---- */

static struct kp_expr *none_is_there(struct binder *binder, struct kp_expr *const *columns, uint32_t count,
                                     int32_t location)
{
    struct kp_expr *all = kp_bind_new(binder, KP_EXPR_AND, KP_TYPE(KP_BOOL), location, count);
    for (uint32_t i = 0; i < count; i++) {
        all->args[i] = kp_bind_new(binder, KP_EXPR_IS_NULL, KP_TYPE(KP_BOOL), location, 1);
        all->args[i]->args[0] = columns[i];
        kp_expr_settle(all->args[i]);
    }
    kp_expr_settle(all);
    return count == 1 ? all->args[0] : all;
}

static struct kp_expr *null_when(struct binder *binder, struct kp_expr *condition, struct kp_expr *value)
{
    struct kp_expr *choice = kp_bind_new(binder, KP_EXPR_CASE, value->type, value->location, 3);
    choice->args[0] = condition;
    choice->args[1] = kp_bind_null(binder, value->type);
    choice->args[2] = value;
    kp_expr_settle(choice);
    return choice;
}

struct kp_expr *kp_bind_whole_row(struct binder *binder, const struct scope *scope, const char *relation, uint32_t base,
                                  int32_t location)
{
    struct kp_expr **columns = kp_arena_alloc(binder->arena, (scope->count + 1) * sizeof *columns);
    const char **names = kp_arena_alloc(binder->arena, (scope->count + 1) * sizeof *names);
    uint32_t count = 0;
    bool there = false, missing = true;
    struct kp_expr *mark = NULL;
    for (uint32_t i = 0; i < scope->count; i++) {
        const struct scope_column *column = &scope->cols[i];
        if (!column->relation || strcmp(column->relation, relation) != 0)
            continue;
        if (column->marks_row)
            mark = kp_bind_column(binder, base + column->index, column->type, location);
        if (column->hidden)
            continue;
        there |= column->not_null || column->of_join;
        missing &= column->missing;
        names[count] = column->name;
        columns[count++] = column->never ? kp_bind_null(binder, column->type)
                                         : kp_bind_column(binder, base + column->index, column->type, location);
    }
    struct kp_expr *row = kp_bind_record(binder, columns, names, count, location);
    if (there || !missing || !count)
        return row;
    bool marked = mark != NULL;
    return null_when(binder, none_is_there(binder, marked ? &mark : columns, marked ? 1 : count, location), row);
}

/* ---- fields ---- */

struct kp_expr *kp_bind_row_field(struct binder *binder, struct kp_expr *row, uint32_t number, int32_t location)
{
    const struct kp_relation *domains = kp_bind_row_domains(binder, row->type.id);
    struct kp_type type =
        kp_relation_domain_type(domains ? domains->domains[number] : NULL, kp_made_of(row->type.id)->types[number]);
    if (is_row(row) && row->args[number]->type.id == type.id)
        return row->args[number];
    struct kp_expr *at = kp_bind_new(binder, KP_EXPR_CONST, KP_TYPE(KP_INT4), location, 0);
    at->datum.type = at->type;
    at->datum.i32 = (int32_t)number;
    return kp_bind_fold(binder, kp_bind_call(binder, "kp_row_field", type, (struct kp_expr *[]){row, at}, 2, location));
}

enum kp_code kp_bind_field(struct binder *binder, struct kp_expr *row, const char *name, struct kp_expr **ret_expr)
{
    if (!kp_type_is_composite(row->type.id))
        return kp_bind_fail(binder, row->location, KP_INVALID, "42809",
                            "column notation .%s applied to type %s, which is not a composite type", name,
                            kp_type_info(row->type.id)->name);
    const struct kp_made *made = kp_made_of(row->type.id);
    for (uint32_t i = 0; i < made->count; i++)
        if (strcmp(made->names[i], name) == 0) {
            *ret_expr = kp_bind_row_field(binder, row, i, row->location);
            return KP_OK;
        }
    if (made->info.category == 'P')
        return kp_bind_fail(binder, row->location, KP_NOT_FOUND, "42703",
                            "could not identify column \"%s\" in record data type", name);
    return kp_bind_fail(binder, row->location, KP_NOT_FOUND, "42703", "column \"%s\" not found in data type %s", name,
                        made->info.name);
}

bool kp_bind_is_row_star(const PgQuery__Node *node)
{
    return node->node_case == PG_QUERY__NODE__NODE_A_INDIRECTION && node->a_indirection->n_indirection &&
           node->a_indirection->indirection[node->a_indirection->n_indirection - 1]->node_case ==
               PG_QUERY__NODE__NODE_A_STAR;
}

enum kp_code kp_bind_row_star(struct binder *binder, const struct expr_place *place, const PgQuery__AIndirection *node,
                              struct targets *targets)
{
    struct kp_expr *row;
    PgQuery__AIndirection before = *node;
    before.n_indirection--;
    KP_TRY(kp_bind_indirection(binder, place, &before, &row));
    if (!kp_type_is_composite(row->type.id))
        return kp_bind_fail(binder, row->location, KP_INVALID, "42809", "type %s is not composite",
                            kp_type_info(row->type.id)->name);
    const struct kp_made *made = kp_made_of(row->type.id);
    for (uint32_t i = 0; i < made->count; i++)
        kp_targets_add(binder, targets,
                       (struct target){kp_bind_row_field(binder, row, i, row->location), made->names[i], NULL});
    return KP_OK;
}

/* ---- tests, casts ---- */

struct kp_expr *kp_bind_row_null_test(struct binder *binder, struct kp_expr *row, bool null, int32_t location)
{
    return kp_bind_call(binder, null ? "kp_row_is_null" : "kp_row_is_not_null", KP_TYPE(KP_BOOL), &row, 1, location);
}

static enum kp_code cannot(struct binder *binder, const struct kp_expr *expr, const struct kp_made *to,
                           const char *detail)
{
    kp_bind_fail(binder, expr->location, KP_INVALID, "42846", "cannot cast type %s to %s",
                 kp_type_info(expr->type.id)->name, to->info.name);
    return kp_error_detail(binder->err, "%s", detail);
}

enum kp_code kp_bind_coerce_row(struct binder *binder, struct kp_expr *expr, struct kp_type to, enum coercion how,
                                struct kp_expr **ret_expr)
{
    const struct kp_made *from = kp_made_of(expr->type.id), *made = kp_made_of(to.id);
    struct kp_expr **fields = kp_arena_alloc(binder->arena, (made->count + 1) * sizeof *fields);
    bool row = is_row(expr);
    if (from->info.category != 'P')
        return cannot(binder, expr, made, "Rows of one named type are not rows of another.");
    if (from->count != made->count)
        return cannot(binder, expr, made,
                      from->count < made->count ? "Input has too few columns." : "Input has too many columns.");
    struct kp_relation *type = kp_bind_row_domains(binder, to.id);
    for (uint32_t i = 0; i < made->count; i++) {
        struct kp_expr *field = row ? expr->args[i] : kp_bind_row_field(binder, expr, i, expr->location);
        if (!kp_can_coerce(field->type.id, made->types[i].id, how))
            return cannot(binder, expr, made,
                          kp_arena_printf(binder->arena, "Cannot cast type %s to %s in column %u.",
                                          kp_type_info(field->type.id)->name, kp_type_info(made->types[i].id)->name,
                                          i + 1));
        KP_TRY(kp_bind_coerce(binder, field, made->types[i], how, &fields[i]));
        if (type && type->domains[i])
            KP_TRY(kp_bind_domain_check(binder, type->domains[i], fields[i], expr->location, &fields[i]));
    }
    struct kp_expr *made_row = kp_bind_call(binder, "kp_row", to, fields, made->count, expr->location);
    *ret_expr = row ? made_row : null_when(binder, none_is_there(binder, &expr, 1, expr->location), made_row);
    return KP_OK;
}

/* ---- fields of domains ---- */

struct kp_relation *kp_bind_row_domains(const struct binder *binder, enum kp_type_id id)
{
    const struct kp_catalog *catalog = binder->context->catalog;
    for (size_t i = 0; kp_type_is_composite(id) && i < kp_catalog_count(catalog); i++) {
        struct kp_relation *object = kp_catalog_at(catalog, i);
        if (object->kind == KP_RELATION_TYPE && object->made.id == id)
            return object->domains ? object : NULL;
    }
    return NULL;
}

/* The row, or the array of rows, behind its checks: a NULL has none. */
enum kp_code kp_bind_row_check(struct binder *binder, struct kp_expr *row, int32_t location, struct kp_expr **ret_row)
{
    *ret_row = row;
    if (kp_type_is_array(row->type.id)) {
        struct kp_expr *element = kp_bind_column(binder, 0, kp_type_to_element(row->type), location), *each;
        KP_TRY(kp_bind_row_check(binder, element, location, &each));
        return kp_bind_check_elements(binder, row, element, each, location, ret_row);
    }
    const struct kp_relation *type = kp_bind_row_domains(binder, row->type.id);
    if (!type)
        return KP_OK;
    const struct kp_made *made = kp_made_of(row->type.id);
    struct kp_expr **args = kp_arena_alloc(binder->arena, (made->count + 1) * sizeof *args);
    uint32_t count = 1;
    args[0] = row;
    for (uint32_t i = 0; i < made->count; i++) {
        struct kp_expr *field = kp_bind_row_field(binder, row, i, location), *checked;
        if (type->domains[i])
            KP_TRY(kp_bind_domain_check(binder, type->domains[i], field, location, &checked));
        else
            KP_TRY(kp_bind_row_check(binder, field, location, &checked));
        if (checked != field)
            args[count++] = null_when(binder, none_is_there(binder, &row, 1, location), checked);
    }
    *ret_row = kp_bind_call(binder, "kp_row_checked", row->type, args, count, location);
    return KP_OK;
}

/* ---- CREATE TYPE … AS (…) ---- */

enum kp_code kp_bind_create_composite(struct binder *binder, struct kp_relation *relation,
                                      const PgQuery__CompositeTypeStmt *create)
{
    uint32_t count = (uint32_t)create->n_coldeflist;
    const char **names = kp_arena_calloc(binder->arena, (count + 1) * sizeof *names);
    struct kp_type *types = kp_arena_calloc(binder->arena, (count + 1) * sizeof *types);
    struct kp_relation *domain;
    if (count > KP_COMPOSITE_FIELDS_MAX)
        return kp_bind_fail(binder, -1, KP_LIMIT, "54011", "a composite type can have at most %d fields",
                            KP_COMPOSITE_FIELDS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        const PgQuery__ColumnDef *def = create->coldeflist[i]->column_def;
        KP_TRY(kp_bind_type(binder, def->type_name, &types[i], &domain));
        enum kp_type_id element = kp_type_is_array(types[i].id) ? kp_type_element(types[i].id) : types[i].id;
        if ((domain || kp_bind_row_domains(binder, element)) && !relation->domains)
            relation->domains = kp_arena_calloc(binder->arena, count * sizeof(struct kp_relation *));
        if (domain)
            relation->domains[i] = domain;
        names[i] = def->colname;
        for (uint32_t k = 0; k < i; k++)
            if (strcmp(names[k], names[i]) == 0)
                return kp_bind_fail(binder, def->location, KP_INVALID, "42701",
                                    "column \"%s\" specified more than once", names[i]);
    }
    relation->made = KP_TYPE(kp_made_intern(relation->name, names, types, count));
    return KP_OK;
}
