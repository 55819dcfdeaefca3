/*
 * Casts: which exist in which context, literals that become values, common types of CASE, UNION and their like, and
 * constant folding.
 *
 * A literal in quotes has type unknown until its surroundings give it one; then it is parsed once, here, with the
 * error at its place. A parameter of unknown type takes the type it is first coerced to.
 */
#include <stdarg.h>
#include <stdio.h>

#include "sql/bind.h"
#include "vec/facts.h"

enum kp_code kp_bind_fail(struct binder *binder, int32_t location, enum kp_code code, const char *sqlstate,
                          const char *format, ...)
{
    char message[512];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    kp_fail(binder->err, code, sqlstate, "%s", message);
    kp_error_at(binder->err, binder->text, location);
    return code;
}

struct kp_expr *kp_bind_new(struct binder *binder, enum kp_expr_kind kind, struct kp_type type, int32_t location,
                            uint32_t arg_count)
{
    struct kp_expr *expr = kp_arena_calloc(binder->arena, sizeof *expr);
    expr->kind = kind;
    expr->type = type;
    expr->location = location;
    expr->arg_count = arg_count;
    expr->args = kp_arena_calloc(binder->arena, arg_count * sizeof(struct kp_expr *));
    return expr;
}

struct kp_expr *kp_bind_call(struct binder *binder, const char *name, struct kp_type type, struct kp_expr **args,
                             uint32_t count, int32_t location)
{
    size_t found;
    const struct kp_func *const *funcs = kp_func_find(KP_FUNC_FUNCTION, kp_str(name), &found);
    KP_ASSERT(found == 1);
    struct kp_expr *expr = kp_bind_new(binder, KP_EXPR_CALL, type, location, count);
    expr->func = funcs[0];
    for (uint32_t i = 0; i < count; i++)
        expr->args[i] = args[i];
    kp_expr_settle(expr);
    return expr;
}

struct kp_expr *kp_bind_column(struct binder *binder, uint32_t column, struct kp_type type, int32_t location)
{
    struct kp_expr *expr = kp_bind_new(binder, KP_EXPR_COLUMN, type, location, 0);
    expr->column = column;
    return expr;
}

struct kp_expr *kp_bind_bool(struct binder *binder, bool value)
{
    struct kp_expr *expr = kp_bind_new(binder, KP_EXPR_CONST, KP_TYPE(KP_BOOL), -1, 0);
    expr->datum.type = expr->type;
    expr->datum.b = value;
    return expr;
}

struct kp_expr *kp_bind_text(struct binder *binder, const char *value)
{
    struct kp_expr *expr = kp_bind_new(binder, KP_EXPR_CONST, KP_TYPE(KP_TEXT), -1, 0);
    expr->datum.type = expr->type;
    expr->datum.text = kp_text_make(kp_arena_strdup(binder->arena, value), strlen(value));
    return expr;
}

struct kp_expr *kp_bind_null(struct binder *binder, struct kp_type type)
{
    struct kp_expr *expr = kp_bind_new(binder, KP_EXPR_CONST, type, -1, 0);
    expr->datum.type = type;
    expr->datum.null = true;
    return expr;
}

static bool is_oid(enum kp_type_id id)
{
    return id == KP_OID || kp_type_is_reg(id);
}

/* Texts of one form in memory, numbers of the catalog: reading one as the other needs no function. */
static bool relabels(enum kp_type_id from, enum kp_type_id to, enum coercion how)
{
    bool strings = (from == KP_TEXT || from == KP_VARCHAR || from == KP_NAME) && (to == KP_TEXT || to == KP_VARCHAR);
    return strings || (how == COERCE_EXPLICIT && from == KP_TEXT && to == KP_NAME) || (from == KP_INT4 && is_oid(to)) ||
           (is_oid(from) && (is_oid(to) || (to == KP_INT4 && how != COERCE_IMPLICIT)));
}

bool kp_can_coerce(enum kp_type_id from, enum kp_type_id to, enum coercion how)
{
    if (from == to || from == KP_UNKNOWN || to == KP_ANY || to == KP_ANYELEMENT || to == KP_ANYCOMPATIBLE)
        return true;
    if (to == KP_ANYENUM)
        return kp_type_is_enum(from);
    if (to == KP_ANYRECORD)
        return kp_type_is_composite(from);
    if (kp_type_is_composite(from) && kp_type_is_composite(to))
        return kp_type_info(from)->category == 'P'; /* ROW(…): its fields decide */
    if (to == KP_ANYARRAY || to == KP_ANYCOMPATIBLEARRAY || to == KP_ANYNONARRAY)
        return kp_type_is_array(from) == (to != KP_ANYNONARRAY);
    if (kp_type_is_array(from) && kp_type_is_array(to))
        return kp_can_coerce(kp_type_element(from), kp_type_element(to), how);
    const struct kp_func *cast = kp_func_find_cast(from, to);
    if (!cast)
        return relabels(from, to, how);
    if (how == COERCE_IMPLICIT)
        return cast->flags & KP_CAST_IMPLICIT;
    return how == COERCE_EXPLICIT || cast->flags & (KP_CAST_IMPLICIT | KP_CAST_ASSIGNMENT);
}

static struct kp_expr *call(struct binder *binder, const struct kp_func *func, struct kp_expr *arg, struct kp_type type)
{
    struct kp_expr *expr = kp_bind_new(binder, KP_EXPR_CALL, type, arg->location, 1);
    expr->func = func;
    expr->args[0] = arg;
    kp_expr_settle(expr);
    return kp_bind_fold(binder, expr);
}

static bool is_regs(enum kp_type_id id)
{
    return kp_type_is_array(id) && kp_type_is_reg(kp_type_element(id));
}

enum kp_code kp_bind_as_name(struct binder *binder, struct kp_expr *expr, struct kp_expr **ret_expr)
{
    *ret_expr = expr;
    if (kp_type_is_reg(expr->type.id))
        return kp_bind_coerce(binder, expr, KP_TYPE(KP_TEXT), COERCE_EXPLICIT, ret_expr);
    if (is_regs(expr->type.id))
        return kp_bind_coerce(binder, expr, KP_TYPE(kp_type_array_of(KP_TEXT)), COERCE_EXPLICIT, ret_expr);
    return KP_OK;
}

/* The cast applied to each element; no cast: an array of values that lie alike. */
static struct kp_expr *coerce_array(struct binder *binder, const struct kp_func *func, struct kp_expr *arg,
                                    struct kp_type type)
{
    if (!func) {
        struct kp_expr *same = kp_arena_alloc(binder->arena, sizeof *same);
        *same = *arg;
        same->type = type;
        if (same->kind == KP_EXPR_CONST)
            same->datum.type = type;
        return same;
    }
    struct kp_expr *expr = kp_bind_new(binder, KP_EXPR_ARRAY_COERCE, type, arg->location, 1);
    expr->func = func;
    expr->args[0] = arg;
    kp_expr_settle(expr);
    return expr;
}

/* The type's modifier applied: a cast cuts a text to its length, an assignment refuses one that is too long. */
static struct kp_expr *apply_modifier(struct binder *binder, struct kp_expr *expr, struct kp_type to, enum coercion how)
{
    const struct kp_func *length = NULL;
    bool array = kp_type_is_array(to.id);
    struct kp_type whole = to;
    if (array)
        to.id = kp_type_element(to.id);
    if (how != COERCE_EXPLICIT && (to.id == KP_VARCHAR || to.id == KP_BPCHAR)) {
        size_t count;
        const struct kp_func *const *funcs = kp_func_find(KP_FUNC_FUNCTION, KP_STR("kp_assign_length"), &count);
        for (size_t i = 0; i < count; i++)
            if (funcs[i]->args[0] == to.id)
                length = funcs[i];
    }
    if (!length)
        length = kp_func_find_cast(to.id, to.id);
    if (array)
        return length ? coerce_array(binder, length, expr, whole) : expr;
    return length ? call(binder, length, expr, to) : expr;
}

static enum kp_code literal(struct binder *binder, const struct kp_expr *expr, struct kp_type to, enum coercion how,
                            struct kp_expr **ret_expr)
{
    struct kp_type whole = to;
    if (how == COERCE_EXPLICIT && kp_type_info(to.id)->string)
        to.mod = -1; /* read as it is, then cut */
    struct kp_expr *value = kp_bind_new(binder, KP_EXPR_CONST, to, expr->location, 0);
    value->datum.type = to;
    value->datum.null = expr->datum.null;
    if (!expr->datum.null) {
        struct kp_str text = kp_text_str(&expr->datum.text);
        const struct kp_zone *zone = binder->context->settings ? binder->context->settings->zone : NULL;
        enum kp_code code = kp_value_parse(to, text, zone, binder->arena, value->datum.raw, binder->err);
        if (code != KP_OK)
            code = kp_bind_moment(binder, to, text, value->datum.raw, code);
        if (code != KP_OK) {
            kp_error_at(binder->err, binder->text, expr->location);
            return code;
        }
    }
    *ret_expr = to.mod == whole.mod ? value : apply_modifier(binder, value, whole, how);
    return KP_OK;
}

static enum kp_code cannot(struct binder *binder, const struct kp_expr *expr, struct kp_type to)
{
    return kp_bind_fail(binder, expr->location, KP_INVALID, "42846", "cannot cast type %s to %s",
                        kp_bind_type_text(binder, expr->type), kp_bind_type_text(binder, to));
}

/* No relation of the catalog: the index of a key, or a composite type. */
static bool may_be_other(const struct binder *binder, struct kp_str name)
{
    const struct kp_str suffix = KP_STR("_pkey");
    if (name.len > suffix.len && memcmp(name.ptr + name.len - suffix.len, suffix.ptr, suffix.len) == 0)
        return true;
    return kp_catalog_find(binder->context->catalog, kp_str(kp_relation_schema(KP_RELATION_TYPE)), name);
}

/*
 * 'name'::regclass: the relation's number, so that it is a constant; names of other things (the index of a key) and
 * texts that are no literals are looked up when the query runs.
 */
static enum kp_code to_reg(struct binder *binder, struct kp_expr *expr, struct kp_type to, struct kp_expr **ret_expr)
{
    struct kp_str schema, name, text = {0};
    if (expr->kind == KP_EXPR_CONST && !expr->datum.null)
        text = kp_text_str(&expr->datum.text);
    KP_TRY(kp_bind_coerce(binder, expr, KP_TYPE(KP_TEXT), COERCE_IMPLICIT, &expr));
    bool number = text.len && text.ptr[0] >= '0' && text.ptr[0] <= '9';
    if (to.id == KP_REGCLASS && text.ptr && !number && kp_name_parse(text, binder->arena, &schema, &name)) {
        const struct kp_relation *relation = kp_catalog_find(binder->context->catalog, schema, name);
        if (relation) {
            struct kp_expr *value = kp_bind_new(binder, KP_EXPR_CONST, to, expr->location, 0);
            value->datum = (struct kp_datum){.type = to, .i32 = (int32_t)relation->id};
            *ret_expr = value;
            return KP_OK;
        }
        if (!may_be_other(binder, name))
            return kp_bind_fail(binder, expr->location, KP_NOT_FOUND, "42P01", "relation \"%.*s%s%.*s\" does not exist",
                                (int)schema.len, schema.ptr, schema.len ? "." : "", (int)name.len, name.ptr);
    }
    *ret_expr = call(binder, kp_func_find_cast(KP_TEXT, to.id), expr, to);
    return KP_OK;
}

/* '{t,u}'::regclass[]: names, each of which is looked up. */
static enum kp_code to_regs(struct binder *binder, struct kp_expr *literal, struct kp_type to,
                            struct kp_expr **ret_expr)
{
    KP_TRY(kp_bind_coerce(binder, literal, KP_TYPE(kp_type_array_of(KP_TEXT)), COERCE_IMPLICIT, &literal));
    *ret_expr = coerce_array(binder, kp_func_find_cast(KP_TEXT, kp_type_element(to.id)), literal, to);
    return KP_OK;
}

struct kp_expr *kp_bind_called(struct binder *binder, struct kp_expr *value, uint32_t domain)
{
    if (value->type.domain == domain)
        return value;
    struct kp_expr *same = kp_arena_alloc(binder->arena, sizeof *same);
    *same = *value;
    same->type.domain = domain;
    return same;
}

enum kp_code kp_bind_coerce(struct binder *binder, struct kp_expr *expr, struct kp_type to, enum coercion how,
                            struct kp_expr **ret_expr)
{
    bool named = kp_type_info(expr->type.id)->string;
    if (kp_type_is_reg(to.id) && named && !(expr->kind == KP_EXPR_CONST && expr->datum.null))
        return to_reg(binder, expr, to, ret_expr);
    if (is_regs(to.id) && expr->type.id == KP_UNKNOWN && expr->kind == KP_EXPR_CONST && !expr->datum.null)
        return to_regs(binder, expr, to, ret_expr);
    if (expr->type.id == KP_UNKNOWN && expr->kind == KP_EXPR_CONST) {
        KP_TRY(literal(binder, expr, to, how, ret_expr));
        return kp_bind_row_check(binder, *ret_expr, expr->location, ret_expr);
    }
    if (expr->type.id == KP_UNKNOWN && expr->kind == KP_EXPR_PARAM) {
        struct kp_type *param = &binder->param_types[expr->param - 1];
        if (param->id == KP_UNKNOWN)
            *param = KP_TYPE(to.id);
        expr->type = *param;
        if (expr->type.id == to.id)
            KP_TRY(kp_bind_row_check(binder, expr, expr->location, &expr));
    }
    if (expr->type.id != to.id) {
        bool rows = kp_type_is_composite(expr->type.id) && kp_type_is_composite(to.id);
        if (!rows && !kp_can_coerce(expr->type.id, to.id, how))
            return cannot(binder, expr, to);
        if (is_regs(expr->type.id) && kp_type_info(to.id)->category == 'S')
            KP_TRY(kp_bind_as_name(binder, expr, &expr));
        if (expr->kind == KP_EXPR_CONST && expr->datum.null && !rows) {
            *ret_expr = kp_bind_null(binder, to);
            return KP_OK;
        }
        if (rows)
            return kp_bind_coerce_row(binder, expr, to, how, ret_expr);
        const struct kp_func *cast = kp_func_find_cast(expr->type.id, to.id);
        if (kp_type_is_array(expr->type.id) && kp_type_is_array(to.id)) {
            cast = kp_func_find_cast(kp_type_element(expr->type.id), kp_type_element(to.id));
            expr = coerce_array(binder, cast, expr, KP_TYPE(to.id));
            KP_TRY(kp_bind_row_check(binder, expr, expr->location, &expr));
        } else if (cast) {
            expr = call(binder, cast, expr, KP_TYPE(to.id));
            KP_TRY(kp_bind_row_check(binder, expr, expr->location, &expr));
        } else {
            struct kp_expr *same = kp_arena_alloc(binder->arena, sizeof *same);
            *same = *expr;
            same->type = KP_TYPE(to.id);
            if (same->kind == KP_EXPR_CONST)
                same->datum.type = same->type;
            expr = same;
        }
    }
    if (to.mod != -1 && expr->type.mod != to.mod)
        expr = apply_modifier(binder, expr, to, how);
    *ret_expr = kp_bind_called(binder, expr, to.domain);
    return KP_OK;
}

enum kp_code kp_bind_to_bool(struct binder *binder, struct kp_expr *expr, const char *what, struct kp_expr **ret_expr)
{
    if (expr->type.id != KP_BOOL && expr->type.id != KP_UNKNOWN)
        return kp_bind_fail(binder, expr->location, KP_INVALID, "42804",
                            "argument of %s must be type boolean, not type %s", what,
                            kp_bind_type_text(binder, expr->type));
    return kp_bind_coerce(binder, expr, KP_TYPE(KP_BOOL), COERCE_IMPLICIT, ret_expr);
}

enum kp_code kp_bind_must_compare(struct binder *binder, enum kp_type_id type, const char *what, int32_t location)
{
    enum kp_type_id id = kp_type_is_array(type) ? kp_type_element(type) : type;
    if (id != KP_JSON && id != KP_JSONPATH)
        return KP_OK;
    kp_bind_fail(binder, location, KP_INVALID, "42883", "could not identify an %s operator for type %s", what,
                 kp_type_info(type)->name);
    if (id == KP_JSON)
        return kp_error_hint(binder->err, "Cast it to jsonb.");
    return KP_INVALID;
}

enum kp_code kp_bind_settle_unknown(struct binder *binder, struct kp_expr *expr, struct kp_expr **ret_expr)
{
    if (expr->type.id == KP_UNKNOWN)
        return kp_bind_coerce(binder, expr, KP_TYPE(KP_TEXT), COERCE_IMPLICIT, ret_expr);
    *ret_expr = expr;
    return KP_OK;
}

enum kp_code kp_bind_common_type(struct binder *binder, struct kp_expr **exprs, uint32_t count, const char *what,
                                 struct kp_type *ret_type)
{
    struct kp_type type = KP_TYPE(KP_UNKNOWN);
    bool same_mod = true, same_domain = true;
    for (uint32_t i = 0; i < count; i++) {
        struct kp_type other = exprs[i]->type;
        same_domain &= other.id != KP_UNKNOWN && other.domain == exprs[0]->type.domain;
        if (other.id == KP_UNKNOWN) {
            same_mod = false;
            continue;
        }
        if (type.id == KP_UNKNOWN) {
            type = other;
            continue;
        }
        same_mod &= type.mod == other.mod;
        if (other.id == type.id)
            continue;
        const struct kp_type_info *was = kp_type_info(type.id), *is = kp_type_info(other.id);
        if (was->category != is->category)
            return kp_bind_fail(binder, exprs[i]->location, KP_INVALID, "42804", "%s types %s and %s cannot be matched",
                                what, was->name, is->name);
        if (!was->preferred && kp_can_coerce(type.id, other.id, COERCE_IMPLICIT) &&
            !kp_can_coerce(other.id, type.id, COERCE_IMPLICIT))
            type = other;
        same_mod = false;
    }
    if (type.id == KP_UNKNOWN)
        type = KP_TYPE(KP_TEXT);
    if (!same_mod)
        type.mod = -1;
    if (!same_domain)
        type.domain = 0;
    *ret_type = type;
    return KP_OK;
}

/* ---- constant folding ---- */

static bool foldable(const struct kp_expr *expr)
{
    if (expr->kind == KP_EXPR_CALL && strcmp(expr->func->name, "kp_row") == 0)
        return false; /* a cast of it looks at its arguments */
    if (expr->kind != KP_EXPR_CALL || expr->func->flags & (KP_STABLE | KP_VOLATILE))
        return false;
    for (uint32_t i = 0; i < expr->arg_count; i++)
        if (expr->args[i]->kind != KP_EXPR_CONST)
            return false;
    return true;
}

static bool any_null(const struct kp_expr *expr)
{
    for (uint32_t i = 0; i < expr->arg_count; i++)
        if (expr->args[i]->datum.null)
            return true;
    return false;
}

enum { PLAN_BYTES_MAX = 256 << 20 }; /* of a statement whose calls are still folded: each may be short and make much */

/* Runs the kernel of a call of constants on one row; its errors are in *ret_run. */
static void run_once(struct binder *binder, const struct kp_expr *expr, struct kp_call *ret_run, struct kp_vec *ret_out)
{
    static const struct kp_session_settings none = {0};
    struct kp_call run = {.arena = binder->arena,
                          .settings = binder->context->settings ? binder->context->settings : &none,
                          .rows = 1,
                          .arg_count = expr->arg_count,
                          .type = expr->type};
    struct kp_vec *vecs = kp_arena_calloc(binder->arena, expr->arg_count * sizeof *vecs);
    const struct kp_vec **args = kp_arena_calloc(binder->arena, expr->arg_count * sizeof *args);
    const struct kp_datum **datums = kp_arena_calloc(binder->arena, expr->arg_count * sizeof *datums);
    for (uint32_t i = 0; i < expr->arg_count; i++) {
        struct kp_vec constant;
        kp_vec_init_constant(&constant, binder->arena, &expr->args[i]->datum);
        vecs[i] = kp_vec_flatten(&constant, binder->arena, 1);
        args[i] = &vecs[i];
        datums[i] = &expr->args[i]->datum;
    }
    if (expr->func->prepare)
        run.prepared = expr->func->prepare(binder->arena, datums, expr->arg_count);
    kp_vec_init(ret_out, binder->arena, expr->type, 1);
    expr->func->kernel(&run, args, ret_out);
    *ret_run = run;
}

/* What stands for an argument that is not known when a pattern is tried out: '' or 1. */
static struct kp_expr *stand_in(struct binder *binder, enum kp_type_id id, int32_t location)
{
    struct kp_expr *expr = kp_bind_new(binder, KP_EXPR_CONST, KP_TYPE(id), location, 0);
    expr->datum.type = expr->type;
    if (id == KP_INT4)
        expr->datum.i32 = 1;
    else
        expr->datum.text = kp_text_make("", 0);
    return expr;
}

enum kp_code kp_bind_check_pattern(struct binder *binder, const struct kp_expr *expr)
{
    struct kp_expr *trial = kp_bind_new(binder, KP_EXPR_CALL, expr->type, expr->location, expr->arg_count);
    struct kp_call run;
    struct kp_vec out;
    trial->func = expr->func;
    for (uint32_t i = 0; i < expr->arg_count; i++) {
        struct kp_expr *arg = expr->args[i];
        bool known = arg->kind == KP_EXPR_CONST,
             replacement = i == 2 && strcmp(expr->func->name, "regexp_replace") == 0;
        if (known ? arg->datum.null : i == 1 || (i > 1 && !replacement && expr->func->args[i] != KP_INT4))
            return KP_OK; /* NULL, or nobody knows the pattern or its flags */
        trial->args[i] = i > 0 && known ? arg : stand_in(binder, expr->func->args[i], arg->location);
    }
    run_once(binder, trial, &run, &out);
    if (!run.error_count)
        return KP_OK;
    return kp_bind_fail(binder, expr->args[1]->location, KP_INVALID, run.errors[0].sqlstate, "%s",
                        run.errors[0].message);
}

enum kp_code kp_bind_check_set_pattern(struct binder *binder, const struct kp_set_func *func,
                                       struct kp_expr *const *args, uint32_t count)
{
    static const struct kp_session_settings none = {0};
    struct kp_call run = {.arena = binder->arena, .settings = &none, .rows = 1, .arg_count = count};
    struct kp_vec *vecs = kp_arena_calloc(binder->arena, count * sizeof *vecs);
    const struct kp_vec **tried = kp_arena_calloc(binder->arena, count * sizeof *tried);
    struct kp_set_cursor cursor = {0};
    struct kp_set set;
    struct kp_type type = KP_TYPE(func->cols[0].type);
    for (uint32_t i = 0; i < count; i++) {
        const struct kp_expr *arg = i ? args[i] : stand_in(binder, func->args[i], args[i]->location);
        struct kp_vec constant;
        if (arg->kind != KP_EXPR_CONST || arg->datum.null)
            return KP_OK; /* no rows, or nobody knows the pattern or its flags */
        kp_vec_init_constant(&constant, binder->arena, &arg->datum);
        vecs[i] = kp_vec_flatten(&constant, binder->arena, 1);
        tried[i] = &vecs[i];
    }
    (void)kp_set_expand(func, &run, tried, &type, NULL, 1, &cursor, &set);
    if (!run.error_count)
        return KP_OK;
    return kp_bind_fail(binder, args[1]->location, KP_INVALID, run.errors[0].sqlstate, "%s", run.errors[0].message);
}

/*
 * Runs the kernel on one row. A call that fails stays as it is: it fails when, and only if, its row is reached.
 */
struct kp_expr *kp_bind_fold(struct binder *binder, struct kp_expr *expr)
{
    if (!foldable(expr) || binder->arena->bytes > PLAN_BYTES_MAX)
        return expr;
    if (expr->func->flags & KP_STRICT && any_null(expr)) {
        struct kp_expr *null = kp_bind_null(binder, expr->type);
        null->location = expr->location;
        return null;
    }
    struct kp_call run;
    struct kp_vec out;
    run_once(binder, expr, &run, &out);
    if (run.error_count)
        return expr;
    struct kp_expr *value = kp_bind_new(binder, KP_EXPR_CONST, expr->type, expr->location, 0);
    value->datum.null = kp_vec_is_null(&out, 0);
    if (!value->datum.null && kp_type_info(expr->type.id)->string &&
        ((const struct kp_text *)out.data)->len > 4 * KP_RECORD_BYTES_MAX)
        return expr; /* too long a value: the evaluator refuses it */
    if (!value->datum.null)
        memcpy(value->datum.raw, out.data, kp_type_info(expr->type.id)->bytes);
    value->datum.type = expr->type;
    return value;
}
