/*
 * SET of a part of a column: c.f = v, c[i] = v, c.f[i].g = v. The column gets its own value with the part replaced:
 *
 *   part(x, .f rest)    kp_row(x.a, part(x.f, rest), x.c)            x NULL: the other fields are NULL
 *   part(x, [i] rest)   kp_array_assign(x, part(x[i], rest), i)
 *   part(x, nothing)    v, as assignment casts it
 *
 * Slices and parts of jsonb are refused.
 */
#include "sql/object.h"
#include "sql/write.h"
#include "vec/array.h"
#include "vec/made.h"

struct part {
    const struct expr_place *place;
    const char *column;
    struct kp_expr *value;
    int32_t location;
};

static enum kp_code assign_part(struct binder *binder, const struct part *part, struct kp_expr *whole,
                                PgQuery__Node *const *nodes, size_t count, struct kp_expr **ret_expr);

static enum kp_code assign_field(struct binder *binder, const struct part *part, struct kp_expr *row,
                                 PgQuery__Node *const *nodes, size_t count, struct kp_expr **ret_expr)
{
    const char *name = nodes[0]->string->sval;
    if (!kp_type_is_composite(row->type.id))
        return kp_bind_fail(
            binder, part->location, KP_INVALID, "42804",
            "cannot assign to field \"%s\" of column \"%s\" because its type %s is not a composite type", name,
            part->column, kp_type_info(row->type.id)->name);
    const struct kp_made *made = kp_made_of(row->type.id);
    const struct kp_relation *type = kp_bind_row_domains(binder, row->type.id);
    struct kp_expr **fields = kp_arena_alloc(binder->arena, (made->count + 1) * sizeof *fields);
    bool found = false;
    for (uint32_t i = 0; i < made->count; i++) {
        fields[i] = kp_bind_row_field(binder, row, i, part->location);
        if (strcmp(made->names[i], name) != 0)
            continue;
        found = true;
        KP_TRY(assign_part(binder, part, fields[i], nodes + 1, count - 1, &fields[i]));
        if (type && type->domains[i])
            KP_TRY(kp_bind_domain_check(binder, type->domains[i], fields[i], part->location, &fields[i]));
    }
    if (!found)
        return kp_bind_fail(
            binder, part->location, KP_NOT_FOUND, "42703",
            "cannot assign to field \"%s\" of column \"%s\" because there is no such column in data type %s", name,
            part->column, made->info.name);
    *ret_expr = kp_bind_call(binder, "kp_row", row->type, fields, made->count, part->location);
    return KP_OK;
}

/* The run of subscripts that nodes begin with. */
static enum kp_code assign_element(struct binder *binder, const struct part *part, struct kp_expr *array,
                                   PgQuery__Node *const *nodes, size_t count, struct kp_expr **ret_expr)
{
    size_t run = 0;
    struct kp_expr *args[2 + KP_ARRAY_DIMENSIONS_MAX], *at[1 + KP_ARRAY_DIMENSIONS_MAX];
    if (array->type.id == KP_JSONB) {
        kp_bind_fail(binder, part->location, KP_UNSUPPORTED, NULL, "a part of a jsonb column cannot be assigned");
        return kp_error_hint(binder->err, "Assign jsonb_set(%s, …).", part->column);
    }
    if (!kp_type_is_array(array->type.id))
        return kp_bind_fail(binder, part->location, KP_INVALID, "42804",
                            "cannot subscript type %s because it does not support subscripting",
                            kp_type_info(array->type.id)->name);
    for (; run < count && nodes[run]->node_case == PG_QUERY__NODE__NODE_A_INDICES; run++) {
        const PgQuery__AIndices *indices = nodes[run]->a_indices;
        if (indices->is_slice)
            return kp_bind_fail(binder, part->location, KP_UNSUPPORTED, NULL,
                                "a slice of column \"%s\" cannot be assigned: assign the whole", part->column);
        if (run == KP_ARRAY_DIMENSIONS_MAX)
            return kp_bind_fail(binder, part->location, KP_INVALID, "54000",
                                "number of array dimensions (%zu) exceeds the maximum allowed (%d)", run + 1,
                                KP_ARRAY_DIMENSIONS_MAX);
        KP_TRY(kp_bind_subscript(binder, part->place, indices->uidx, &args[2 + run]));
        at[1 + run] = args[2 + run];
    }
    struct kp_type element = {kp_type_element(array->type.id), array->type.mod};
    at[0] = array;
    args[0] = array;
    args[1] = kp_bind_fold(binder, kp_bind_call(binder, "kp_array_at", element, at, (uint32_t)run + 1, part->location));
    KP_TRY(assign_part(binder, part, args[1], nodes + run, count - run, &args[1]));
    *ret_expr = kp_bind_call(binder, "kp_array_assign", array->type, args, (uint32_t)run + 2, part->location);
    return KP_OK;
}

static enum kp_code assign_part(struct binder *binder, const struct part *part, struct kp_expr *whole,
                                PgQuery__Node *const *nodes, size_t count, struct kp_expr **ret_expr)
{
    if (count && nodes[0]->node_case == PG_QUERY__NODE__NODE_STRING)
        return assign_field(binder, part, whole, nodes, count, ret_expr);
    if (count && nodes[0]->node_case == PG_QUERY__NODE__NODE_A_INDICES)
        return assign_element(binder, part, whole, nodes, count, ret_expr);
    if (count)
        return kp_bind_fail(binder, part->location, KP_UNSUPPORTED, NULL,
                            "row expansion via \"*\" is not supported here");
    if (!kp_can_coerce(part->value->type.id, whole->type.id, COERCE_ASSIGNMENT)) {
        kp_bind_fail(binder, part->value->location, KP_INVALID, "42804",
                     "a part of column \"%s\" is of type %s but expression is of type %s", part->column,
                     kp_type_info(whole->type.id)->name, kp_type_info(part->value->type.id)->name);
        return kp_error_hint(binder->err, "You will need to rewrite or cast the expression.");
    }
    return kp_bind_coerce(binder, part->value, whole->type, COERCE_ASSIGNMENT, ret_expr);
}

enum kp_code kp_write_assign_part(struct binder *binder, const struct expr_place *place,
                                  const PgQuery__ResTarget *target, struct kp_expr *whole, struct kp_expr *value,
                                  struct kp_expr **ret_expr)
{
    struct part part = {place, target->name, value, target->location};
    return assign_part(binder, &part, whole, target->indirection, target->n_indirection, ret_expr);
}
