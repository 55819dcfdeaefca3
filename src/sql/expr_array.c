/*
 * ARRAY[…], subscripts and slices: calls of functions that SQL cannot name (vec/fn_array.c).
 *
 *   ARRAY[a, b]          kp_array(a, b)            ARRAY[[a], [b]]   kp_array_nest(kp_array(a), kp_array(b))
 *   x[1][2]              kp_array_at(x, 1, 2)
 *   x[1:2][:3][4]        kp_array_slice(x, 'lulu…', …): which bounds are given, then the bounds; x[4] there means 1:4
 *
 * Of ARRAY[…]::type[] the elements are cast one by one, as PostgreSQL does.
 */
#include "sql/bind.h"
#include "vec/array.h"

static enum kp_code empty_array(struct binder *binder, struct kp_type target, int32_t location,
                                struct kp_expr **ret_expr)
{
    if (target.id == KP_TYPE_NONE) {
        kp_bind_fail(binder, location, KP_INVALID, "42P18", "cannot determine type of empty array");
        return kp_error_hint(binder->err, "Explicitly cast to the desired type, for example ARRAY[]::integer[].");
    }
    *ret_expr = kp_bind_fold(binder, kp_bind_call(binder, "kp_array", target, NULL, 0, location));
    return KP_OK;
}

/* A vector of the catalog's has one dimension. */
static enum kp_code invalid_vector(struct binder *binder, struct kp_type target, int32_t location)
{
    return kp_bind_fail(binder, location, KP_INVALID, "42804", "array is not a valid %s",
                        kp_type_info(target.id)->name);
}

enum kp_code kp_bind_array(struct binder *binder, const struct expr_place *place, const PgQuery__AArrayExpr *node,
                           struct kp_type target, struct kp_expr **ret_expr)
{
    uint32_t count = (uint32_t)node->n_elements;
    bool nested = false;
    struct kp_type common;
    if (count == 0 && kp_type_is_vector(target.id))
        return invalid_vector(binder, target, node->location);
    if (count == 0)
        return empty_array(binder, target, node->location, ret_expr);
    struct kp_expr **args = kp_arena_alloc(binder->arena, count * sizeof *args);
    for (uint32_t i = 0; i < count; i++) {
        const PgQuery__Node *element = node->elements[i];
        if (element->node_case == PG_QUERY__NODE__NODE_A_ARRAY_EXPR)
            KP_TRY(kp_bind_array(binder, place, element->a_array_expr, target, &args[i]));
        else
            KP_TRY(kp_bind_expr(binder, place, element, &args[i]));
        nested |= kp_type_is_array(args[i]->type.id);
    }
    if (nested && kp_type_is_vector(target.id))
        return invalid_vector(binder, target, node->location);
    if (target.id == KP_TYPE_NONE) {
        KP_TRY(kp_bind_common_type(binder, args, count, "ARRAY", &common));
        nested = kp_type_is_array(common.id);
    } else {
        common = nested ? target : kp_type_to_element(target);
    }
    for (uint32_t i = 0; i < count; i++)
        KP_TRY(kp_bind_coerce(binder, args[i], common, target.id == KP_TYPE_NONE ? COERCE_IMPLICIT : COERCE_EXPLICIT,
                              &args[i]));
    struct kp_type type = kp_type_base(common);
    if (kp_type_is_vector(target.id)) {
        type = target;
    } else if (!nested) {
        type = kp_type_to_array(common);
        if (kp_type_info(type.id)->category != 'A')
            return kp_bind_fail(binder, node->location, KP_NOT_FOUND, "42704",
                                "could not find array type for data type %s", kp_type_info(common.id)->name);
    }
    *ret_expr = kp_bind_fold(
        binder, kp_bind_call(binder, nested ? "kp_array_nest" : "kp_array", type, args, count, node->location));
    return KP_OK;
}

/* ---- subscripts ---- */

enum kp_code kp_bind_subscript(struct binder *binder, const struct expr_place *place, const PgQuery__Node *node,
                               struct kp_expr **ret_expr)
{
    struct kp_expr *expr;
    KP_TRY(kp_bind_expr(binder, place, node, &expr));
    if (!kp_can_coerce(expr->type.id, KP_INT4, COERCE_ASSIGNMENT))
        return kp_bind_fail(binder, expr->location, KP_INVALID, "42804", "array subscript must have type integer");
    return kp_bind_coerce(binder, expr, KP_TYPE(KP_INT4), COERCE_ASSIGNMENT, ret_expr);
}

enum kp_code kp_bind_slice(struct binder *binder, const struct expr_place *place, PgQuery__Node *const *nodes,
                           size_t count, struct kp_expr **ret_args, uint32_t *ret_count)
{
    char given[2 * KP_ARRAY_DIMENSIONS_MAX + 1];
    uint32_t args = 1, marks = 0;
    for (size_t i = 0; i < count; i++) {
        const PgQuery__AIndices *indices = nodes[i]->a_indices;
        if (indices->lidx)
            KP_TRY(kp_bind_subscript(binder, place, indices->lidx, &ret_args[args++]));
        if (indices->uidx)
            KP_TRY(kp_bind_subscript(binder, place, indices->uidx, &ret_args[args++]));
        given[marks++] = indices->lidx ? 'l' : indices->is_slice ? '-' : '1';
        given[marks++] = indices->uidx ? 'u' : '-';
    }
    given[marks] = '\0';
    ret_args[0] = kp_bind_text(binder, given);
    *ret_count = args;
    return KP_OK;
}

static enum kp_code apply_subscripts(struct binder *binder, const struct expr_place *place, struct kp_expr *array,
                                     PgQuery__Node *const *nodes, size_t count, struct kp_expr **ret_expr)
{
    struct kp_expr *args[2 + 2 * KP_ARRAY_DIMENSIONS_MAX];
    uint32_t arg_count;
    bool slice = false;
    if (count > KP_ARRAY_DIMENSIONS_MAX)
        return kp_bind_fail(binder, array->location, KP_INVALID, "54000",
                            "number of array dimensions (%zu) exceeds the maximum allowed (%d)", count,
                            KP_ARRAY_DIMENSIONS_MAX);
    for (size_t i = 0; i < count; i++)
        slice |= nodes[i]->a_indices->is_slice;
    KP_TRY(kp_bind_slice(binder, place, nodes, count, args + 1, &arg_count));
    args[0] = array;
    if (slice) {
        *ret_expr = kp_bind_fold(binder, kp_bind_call(binder, "kp_array_slice", kp_type_base(array->type), args,
                                                      arg_count + 1, array->location));
        return KP_OK;
    }
    args[1] = array;
    struct kp_type element = kp_type_to_element(array->type);
    *ret_expr =
        kp_bind_fold(binder, kp_bind_call(binder, "kp_array_at", element, args + 1, arg_count, array->location));
    return KP_OK;
}

enum kp_code kp_bind_jsonb_path(struct binder *binder, const struct expr_place *place, PgQuery__Node *const *nodes,
                                size_t count, int32_t location, struct kp_expr **ret_path, bool *ret_number)
{
    struct kp_expr **path = kp_arena_alloc(binder->arena, (count + 1) * sizeof *path);
    if (count > KP_SQL_DEPTH_MAX)
        return kp_bind_fail(binder, location, KP_LIMIT, "54001", "more than %d subscripts", KP_SQL_DEPTH_MAX);
    for (size_t i = 0; i < count; i++) {
        const PgQuery__AIndices *indices = nodes[i]->a_indices;
        if (indices->is_slice)
            return kp_bind_fail(binder, kp_tree_location(indices->uidx ? indices->uidx : indices->lidx), KP_INVALID,
                                "42804", "jsonb subscript does not support slices");
        KP_TRY(kp_bind_expr(binder, place, indices->uidx, &path[i]));
        KP_TRY(kp_bind_settle_unknown(binder, path[i], &path[i]));
        bool number = kp_can_coerce(path[i]->type.id, KP_INT4, COERCE_IMPLICIT);
        if (!number && !kp_can_coerce(path[i]->type.id, KP_TEXT, COERCE_IMPLICIT)) {
            kp_bind_fail(binder, path[i]->location, KP_INVALID, "42804", "subscript type %s is not supported",
                         kp_type_info(path[i]->type.id)->name);
            return kp_error_hint(binder->err, "jsonb subscript must be coercible to either integer or text.");
        }
        if (i == 0)
            *ret_number = number;
        KP_TRY(kp_bind_coerce(binder, path[i], KP_TYPE(KP_TEXT), COERCE_EXPLICIT, &path[i]));
    }
    *ret_path =
        kp_bind_fold(binder, kp_bind_call(binder, "kp_array", KP_TYPE(KP_TEXT_ARRAY), path, (uint32_t)count, location));
    return KP_OK;
}

/* j['a'][0] is j #> ARRAY['a', '0']. */
static enum kp_code subscript_jsonb(struct binder *binder, const struct expr_place *place, struct kp_expr *value,
                                    PgQuery__Node *const *nodes, size_t count, struct kp_expr **ret_expr)
{
    struct kp_expr *path;
    bool number;
    KP_TRY(kp_bind_jsonb_path(binder, place, nodes, count, value->location, &path, &number));
    return kp_bind_operator(binder, "#>", value, path, value->location, ret_expr);
}

enum kp_code kp_bind_indirection(struct binder *binder, const struct expr_place *place,
                                 const PgQuery__AIndirection *node, struct kp_expr **ret_expr)
{
    struct kp_expr *value;
    const PgQuery__FuncCall *set = kp_bind_set_fields(node);
    if (set && node->indirection[0]->node_case == PG_QUERY__NODE__NODE_STRING)
        return kp_bind_set_value(binder, place, set, node->indirection[0]->string->sval, ret_expr);
    KP_TRY(kp_bind_expr(binder, place, node->arg, &value));
    for (size_t i = 0; i < node->n_indirection;) {
        size_t run = i;
        while (run < node->n_indirection && node->indirection[run]->node_case == PG_QUERY__NODE__NODE_A_INDICES)
            run++;
        if (run == i) {
            if (node->indirection[i]->node_case != PG_QUERY__NODE__NODE_STRING)
                return kp_bind_fail(binder, value->location, KP_UNSUPPORTED, NULL,
                                    "row expansion via \"*\" is not supported here");
            KP_TRY(kp_bind_field(binder, value, node->indirection[i++]->string->sval, &value));
            continue;
        }
        if (value->type.id == KP_JSONB) {
            KP_TRY(subscript_jsonb(binder, place, value, node->indirection + i, run - i, &value));
            i = run;
            continue;
        }
        if (!kp_type_is_array(value->type.id))
            return kp_bind_fail(binder, value->location, KP_INVALID, "42804",
                                "cannot subscript type %s because it does not support subscripting",
                                kp_type_info(value->type.id)->name);
        KP_TRY(apply_subscripts(binder, place, value, node->indirection + i, run - i, &value));
        i = run;
    }
    *ret_expr = value;
    return KP_OK;
}
