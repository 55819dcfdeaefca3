/*
 * RETURNING, and ON CONFLICT DO UPDATE: plans over rows that the writer gathers while it writes (sql.h says which).
 */
#include "sql/write.h"

static const struct kp_column number_column = {"number", {KP_INT8, -1, 0}, true};

static void add_row(struct binder *binder, struct scope *scope, const struct kp_relation *relation, const char *alias,
                    uint32_t base)
{
    for (uint32_t i = 0; i < kp_write_width(relation); i++)
        kp_scope_add(binder, scope,
                     (struct scope_column){.schema = strcmp(alias, relation->name) == 0 ? relation->schema : NULL,
                                           .relation = alias,
                                           .name = relation->cols[i].name,
                                           .type = relation->cols[i].type,
                                           .not_null = relation->cols[i].not_null,
                                           .index = base + i,
                                           .base = {relation->id, (uint16_t)(i + 1)}});
}

/* ---- RETURNING ---- */

/* Values of type regclass and its like leave as names. */
static enum kp_code name_outputs(struct binder *binder, struct targets *targets)
{
    for (uint32_t i = 0; i < targets->count; i++) {
        struct kp_expr **expr = &targets->items[i].expr;
        KP_TRY(kp_bind_as_name(binder, *expr, expr));
    }
    return KP_OK;
}

enum kp_code kp_write_returning(struct write *write, PgQuery__Node *const *list, size_t count)
{
    struct binder *binder = write->binder;
    const struct kp_relation *relation = write->relation;
    uint32_t width = kp_write_width(relation), extra = write->bound->extra_count;
    if (!count)
        return KP_OK;
    struct scope scope = {0};
    struct kp_column *cols = kp_arena_alloc(binder->arena, (width + extra + 1) * sizeof *cols);
    memcpy(cols, relation->cols, width * sizeof *cols);
    add_row(binder, &scope, relation, write->alias, 0);
    uint32_t extras = scope.count;
    for (uint32_t i = 0; i < write->extras.count; i++) {
        struct scope_column column = write->extras.cols[i];
        cols[width + column.index] = (struct kp_column){column.name, column.type, column.not_null};
        column.index += width;
        kp_scope_add(binder, &scope, column);
    }
    kp_scope_copy_places(&scope, extras, &write->extras, 0);
    cols[width + extra] = number_column;
    write->bound->returning.rows = kp_write_rows(relation->name, cols, width + extra + 1);

    struct sub_list subs = {0};
    struct targets targets = {0};
    struct expr_place place = {.scope = &scope, .clause = "RETURNING", .subs = &subs};
    KP_TRY(kp_bind_targets(binder, &place, list, count, false, &targets));
    const struct kp_base_column *bases = kp_targets_bases(binder, &targets, targets.count, &scope);
    KP_TRY(name_outputs(binder, &targets));
    struct kp_plan *plan = kp_bind_scan(binder, write->bound->returning.rows, -1);
    struct kp_expr **exprs = kp_arena_alloc(binder->arena, (targets.count + 1) * sizeof *exprs);
    struct kp_expr ***slots = kp_arena_alloc(binder->arena, (targets.count + 1) * sizeof *slots);
    const char **names = kp_arena_alloc(binder->arena, (targets.count + 1) * sizeof *names);
    for (uint32_t i = 0; i < targets.count; i++) {
        exprs[i] = targets.items[i].expr;
        names[i] = targets.items[i].name;
        slots[i] = &exprs[i];
    }
    KP_TRY(kp_subs_apply(binder, &subs, slots, targets.count, &plan));
    exprs[targets.count] = kp_bind_column(binder, width + extra, number_column.type, -1);
    names[targets.count] = number_column.name;
    plan = kp_bind_project(binder, plan, exprs, names, targets.count + 1);
    write->returning = kp_write_sort(binder, plan, targets.count);
    write->returning->bases = bases;
    write->returning_count = targets.count;
    return KP_OK;
}

/* ---- ON CONFLICT ---- */

static bool is_key(const struct kp_relation *relation, uint32_t column)
{
    for (uint32_t k = 0; k < relation->key_count; k++)
        if (relation->keys[k] == column)
            return true;
    return false;
}

/* The target must be the primary key: by its columns in any order, or by its name. */
static enum kp_code check_target(struct write *write, const PgQuery__InferClause *infer)
{
    struct binder *binder = write->binder;
    const struct kp_relation *relation = write->relation;
    if (infer->conname[0]) {
        if (kp_relation_key_count(relation) &&
            strcmp(infer->conname, kp_arena_printf(binder->arena, "%s_pkey", relation->name)) == 0)
            return KP_OK;
        return kp_bind_fail(binder, infer->location, KP_NOT_FOUND, "42704",
                            "constraint \"%s\" for table \"%s\" does not exist", infer->conname, relation->name);
    }
    bool *named = kp_arena_calloc(binder->arena, relation->col_count + 1), fits = kp_relation_key_count(relation) > 0;
    for (size_t i = 0; i < infer->n_index_elems; i++) {
        const PgQuery__IndexElem *elem = infer->index_elems[i]->index_elem;
        uint32_t column = 0;
        while (column < kp_write_width(relation) && strcmp(relation->cols[column].name, elem->name) != 0)
            column++;
        if (!elem->expr && column == kp_write_width(relation))
            return kp_bind_fail(binder, infer->location, KP_NOT_FOUND, "42703", "column \"%s\" does not exist",
                                elem->name);
        fits &= !elem->expr && is_key(relation, column);
        if (!elem->expr)
            named[column] = true;
    }
    for (uint32_t k = 0; k < relation->key_count; k++)
        fits &= named[relation->keys[k]];
    if (fits)
        return KP_OK;
    return kp_bind_fail(binder, -1, KP_INVALID, "42P10",
                        "there is no unique or exclusion constraint matching the ON CONFLICT specification");
}

/* The number and the new row of the conflicts that WHERE leaves. */
static enum kp_code bind_do_update(struct write *write, const PgQuery__OnConflictClause *clause)
{
    struct binder *binder = write->binder;
    const struct kp_relation *relation = write->relation;
    uint32_t width = kp_write_width(relation);
    struct kp_column *cols = kp_arena_alloc(binder->arena, (2 * width + 1) * sizeof *cols);
    memcpy(cols, relation->cols, width * sizeof *cols);
    memcpy(cols + width, relation->cols, width * sizeof *cols);
    cols[2 * width] = number_column;
    write->bound->conflict.rows = kp_write_rows(relation->name, cols, 2 * width + 1);

    struct scope scope = {0};
    struct query_joins joins = {0};
    struct sub_list subs = {0};
    add_row(binder, &scope, relation, write->alias, 0);
    add_row(binder, &scope, relation, "excluded", width);
    kp_joins_add(binder, &joins, kp_bind_scan(binder, write->bound->conflict.rows, -1));
    struct expr_place place = {.scope = &scope, .clause = "WHERE", .subs = &joins.subs};
    if (clause->where_clause)
        KP_TRY(kp_bind_where(binder, &place, clause->where_clause, &joins));
    struct kp_plan *plan;
    KP_TRY(kp_joins_finish(binder, &joins, &plan));
    place.clause = "UPDATE";
    place.subs = &subs;
    struct kp_expr **exprs = kp_arena_calloc(binder->arena, (width + 1) * sizeof *exprs);
    struct kp_expr ***slots = kp_arena_calloc(binder->arena, (width + 1) * sizeof *slots);
    KP_TRY(kp_write_assignments(binder, relation, 0, clause->target_list, clause->n_target_list, &place, exprs + 1));
    for (uint32_t i = 0; i < width; i++) {
        if (!exprs[1 + i])
            exprs[1 + i] = kp_bind_column(binder, i, relation->cols[i].type, -1);
        slots[i] = &exprs[1 + i];
    }
    KP_TRY(kp_subs_apply(binder, &subs, slots, width, &plan));
    exprs[0] = kp_bind_column(binder, 2 * width, number_column.type, -1);
    plan = kp_bind_project(binder, plan, exprs, NULL, width + 1);
    plan->cols[0] = number_column;
    kp_write_name_row(plan, relation, 1);
    write->conflict = kp_write_sort(binder, plan, 0);
    return KP_OK;
}

enum kp_code kp_write_conflict(struct write *write, const PgQuery__OnConflictClause *clause)
{
    struct binder *binder = write->binder;
    bool updates = clause->action == PG_QUERY__ON_CONFLICT_ACTION__ONCONFLICT_UPDATE;
    if (clause->infer)
        KP_TRY(check_target(write, clause->infer));
    write->bound->on_conflict = updates ? KP_CONFLICT_UPDATE : KP_CONFLICT_NOTHING;
    if (!updates)
        return KP_OK;
    if (!clause->infer) {
        kp_bind_fail(binder, clause->location, KP_INVALID, "42601",
                     "ON CONFLICT DO UPDATE requires inference specification or constraint name");
        return kp_error_hint(binder->err, "For example, ON CONFLICT (column_name).");
    }
    return bind_do_update(write, clause);
}
