/*
 * SET of a part of a column: c.f = v, c[i] = v, c.f[i].g = v; and INSERT's list of such. The column gets its own value
 * (in INSERT a NULL) with the part replaced:
 *
 *   part(x, .f rest)    kp_row(x.a, part(x.f, rest), x.c)            x NULL: the other fields are NULL
 *   part(x, [i] rest)   kp_array_assign(x, part(x[i], rest), i)
 *   part(x, [i:j])      kp_array_assign_slice(x, v, 'lu', i, j)
 *   part(j, ['a'][0])   kp_jsonb_assign(j, {a,0}, v, whether the first subscript is a number)
 *   part(x, nothing)    v, as assignment casts it
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
    const char *field; /* that is set; NULL: what subscripts say */
};

static enum kp_code assign_part(struct binder *binder, struct part *part, struct kp_expr *whole,
                                PgQuery__Node *const *nodes, size_t count, struct kp_expr **ret_expr);

static enum kp_code assign_field(struct binder *binder, struct part *part, struct kp_expr *row,
                                 PgQuery__Node *const *nodes, size_t count, struct kp_expr **ret_expr)
{
    const char *name = nodes[0]->string->sval;
    part->field = name;
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

static enum kp_code assign_jsonb(struct binder *binder, struct part *part, struct kp_expr *whole,
                                 PgQuery__Node *const *nodes, size_t run, size_t count, struct kp_expr **ret_expr)
{
    struct kp_expr *args[4] = {whole};
    bool number;
    KP_TRY(kp_bind_jsonb_path(binder, part->place, nodes, run, part->location, &args[1], &number));
    KP_TRY(assign_part(binder, part, whole, nodes + run, count - run, &args[2]));
    args[3] = kp_bind_bool(binder, number);
    *ret_expr = kp_bind_fold(binder, kp_bind_call(binder, "kp_jsonb_assign", whole->type, args, 4, part->location));
    return KP_OK;
}

static enum kp_code assign_slice(struct binder *binder, struct part *part, struct kp_expr *array,
                                 PgQuery__Node *const *nodes, size_t run, size_t count, struct kp_expr **ret_expr)
{
    struct kp_expr *args[3 + 2 * KP_ARRAY_DIMENSIONS_MAX];
    uint32_t bounds;
    args[0] = array;
    KP_TRY(kp_bind_slice(binder, part->place, nodes, run, &args[2], &bounds));
    KP_TRY(assign_part(binder, part, array, nodes + run, count - run, &args[1]));
    *ret_expr = kp_bind_fold(
        binder, kp_bind_call(binder, "kp_array_assign_slice", array->type, args, 2 + bounds, part->location));
    return KP_OK;
}

/* The run of subscripts that nodes begin with. */
static enum kp_code assign_element(struct binder *binder, struct part *part, struct kp_expr *array,
                                   PgQuery__Node *const *nodes, size_t count, struct kp_expr **ret_expr)
{
    size_t run = 0;
    struct kp_expr *args[2 + KP_ARRAY_DIMENSIONS_MAX], *at[1 + KP_ARRAY_DIMENSIONS_MAX];
    bool slice = false;
    part->field = NULL;
    for (; run < count && nodes[run]->node_case == PG_QUERY__NODE__NODE_A_INDICES; run++)
        slice |= nodes[run]->a_indices->is_slice;
    if (array->type.id == KP_JSONB)
        return assign_jsonb(binder, part, array, nodes, run, count, ret_expr);
    if (!kp_type_is_array(array->type.id))
        return kp_bind_fail(binder, part->location, KP_INVALID, "42804",
                            "cannot subscript type %s because it does not support subscripting",
                            kp_type_info(array->type.id)->name);
    if (run > KP_ARRAY_DIMENSIONS_MAX)
        return kp_bind_fail(binder, part->location, KP_INVALID, "54000",
                            "number of array dimensions (%zu) exceeds the maximum allowed (%d)", run,
                            KP_ARRAY_DIMENSIONS_MAX);
    if (slice)
        return assign_slice(binder, part, array, nodes, run, count, ret_expr);
    for (size_t i = 0; i < run; i++) {
        KP_TRY(kp_bind_subscript(binder, part->place, nodes[i]->a_indices->uidx, &args[2 + i]));
        at[1 + i] = args[2 + i];
    }
    struct kp_type element = kp_type_to_element(array->type);
    at[0] = array;
    args[0] = array;
    args[1] = kp_bind_fold(binder, kp_bind_call(binder, "kp_array_at", element, at, (uint32_t)run + 1, part->location));
    KP_TRY(assign_part(binder, part, args[1], nodes + run, count - run, &args[1]));
    *ret_expr = kp_bind_call(binder, "kp_array_assign", array->type, args, (uint32_t)run + 2, part->location);
    return KP_OK;
}

static enum kp_code assign_part(struct binder *binder, struct part *part, struct kp_expr *whole,
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
        kp_bind_fail(binder, part->location, KP_INVALID, "42804",
                     part->field ? "subfield \"%s\" is of type %s but expression is of type %s"
                                 : "subscripted assignment to \"%s\" requires type %s but expression is of type %s",
                     part->field ? part->field : part->column, kp_type_info(whole->type.id)->name,
                     kp_type_info(part->value->type.id)->name);
        return kp_error_hint(binder->err, "You will need to rewrite or cast the expression.");
    }
    return kp_bind_coerce(binder, part->value, whole->type, COERCE_ASSIGNMENT, ret_expr);
}

enum kp_code kp_write_assign_part(struct binder *binder, const struct expr_place *place,
                                  const PgQuery__ResTarget *target, struct kp_expr *whole, struct kp_expr *value,
                                  struct kp_expr **ret_expr)
{
    struct part part = {place, target->name, value, target->location, NULL};
    return assign_part(binder, &part, whole, target->indirection, target->n_indirection, ret_expr);
}
