/*
 * Which function, operator or aggregate is meant: PostgreSQL's rules (its manual, chapter 10) over vec/'s registry.
 *
 *   1. a candidate that takes exactly these types; of an operator with one unknown side, both taken as the known type
 *   2. those that the arguments can become implicitly; of these, most exact matches; then most preferred types where a
 *      cast is needed; then, for unknown literals, the string category if any candidate takes it there, else the only
 * one
 *   3. unknown literals taken as the type that all known arguments have
 */
#include "sql/bind.h"
#include "sql/elsewhere.h"
#include "vec/datetime.h"

/* What functions and aggregates have in common. */
struct candidate {
    const void *what; /* kp_func or kp_agg */
    const enum kp_type_id *args;
    uint32_t arg_count;
    bool variadic;
};

static enum kp_type_id takes(const struct candidate *candidate, uint32_t arg)
{
    return candidate->args[arg < candidate->arg_count ? arg : candidate->arg_count - 1];
}

static bool is_any(enum kp_type_id id)
{
    return id >= KP_ANY && id <= KP_ANYCOMPATIBLEARRAY;
}

/* The type that both become; NONE if there is none. */
static enum kp_type_id common(enum kp_type_id a, enum kp_type_id b)
{
    if (a == b || b == KP_UNKNOWN)
        return a;
    if (a == KP_UNKNOWN)
        return b;
    const struct kp_type_info *was = kp_type_info(a), *is = kp_type_info(b);
    if (was->category != is->category)
        return KP_TYPE_NONE;
    if (!was->preferred && kp_can_coerce(a, b, COERCE_IMPLICIT) && !kp_can_coerce(b, a, COERCE_IMPLICIT))
        return b;
    return kp_can_coerce(b, a, COERCE_IMPLICIT) ? a : KP_TYPE_NONE;
}

static bool arity_fits(const struct candidate *candidate, uint32_t count)
{
    return candidate->variadic ? count >= candidate->arg_count : count == candidate->arg_count;
}

/* All KP_ANYELEMENT arguments must be of one type, all KP_ANYCOMPATIBLE ones become one. */
static bool elements_agree(const struct candidate *candidate, const enum kp_type_id *types, uint32_t count,
                           struct kp_poly *ret_poly)
{
    struct kp_poly poly = {KP_UNKNOWN, KP_UNKNOWN};
    for (uint32_t i = 0; i < count; i++) {
        enum kp_type_id want = takes(candidate, i), is = types[i];
        if (is == KP_UNKNOWN)
            continue;
        if (want == KP_ANYARRAY || want == KP_ANYCOMPATIBLEARRAY) {
            if (!kp_type_is_array(is))
                return false;
            is = kp_type_element(is);
        }
        if (want == KP_ANYNONARRAY && kp_type_is_array(is))
            return false;
        if (want == KP_ANYENUM && !kp_type_is_enum(is))
            return false;
        if (want == KP_ANYRECORD && !kp_type_is_composite(is))
            return false;
        if (want == KP_ANYELEMENT || want == KP_ANYARRAY || want == KP_ANYNONARRAY || want == KP_ANYENUM) {
            if (poly.element != KP_UNKNOWN && poly.element != is)
                return false;
            poly.element = is;
        } else if (want == KP_ANYCOMPATIBLE || want == KP_ANYCOMPATIBLEARRAY) {
            poly.compatible = common(poly.compatible, is);
            if (poly.compatible == KP_TYPE_NONE)
                return false;
        }
    }
    *ret_poly = poly;
    return true;
}

static enum kp_type_id *types_of(struct kp_expr *const *args, uint32_t count, struct kp_arena *arena)
{
    enum kp_type_id *types = kp_arena_alloc(arena, (count + 1) * sizeof *types);
    for (uint32_t a = 0; a < count; a++)
        types[a] = args[a]->type.id;
    return types;
}

static bool fits(const struct candidate *candidate, const enum kp_type_id *types, uint32_t count)
{
    struct kp_poly poly;
    if (!arity_fits(candidate, count) || !elements_agree(candidate, types, count, &poly))
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (!kp_can_coerce(types[i], takes(candidate, i), COERCE_IMPLICIT))
            return false;
    return true;
}

static bool exact(const struct candidate *candidate, const enum kp_type_id *types, uint32_t count)
{
    if (!arity_fits(candidate, count))
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (takes(candidate, i) != types[i])
            return false;
    return true;
}

/* Keeps the candidates with the highest score; returns how many. */
static uint32_t keep_best(struct candidate *candidates, uint32_t count, const uint32_t *scores)
{
    uint32_t best = 0, kept = 0;
    for (uint32_t i = 0; i < count; i++)
        best = KP_MAX(best, scores[i]);
    for (uint32_t i = 0; i < count; i++)
        if (scores[i] == best)
            candidates[kept++] = candidates[i];
    return kept;
}

static uint32_t keep_exact(struct candidate *candidates, uint32_t count, struct kp_expr *const *args,
                           uint32_t arg_count, uint32_t *scores)
{
    for (uint32_t i = 0; i < count; i++) {
        scores[i] = 0;
        for (uint32_t a = 0; a < arg_count; a++)
            scores[i] += takes(&candidates[i], a) == args[a]->type.id;
    }
    return keep_best(candidates, count, scores);
}

static uint32_t keep_preferred(struct candidate *candidates, uint32_t count, struct kp_expr *const *args,
                               uint32_t arg_count, uint32_t *scores)
{
    for (uint32_t i = 0; i < count; i++) {
        scores[i] = 0;
        for (uint32_t a = 0; a < arg_count; a++) {
            enum kp_type_id id = args[a]->type.id, want = takes(&candidates[i], a);
            if (id == KP_UNKNOWN)
                continue;
            scores[i] += want == id || (!is_any(want) && kp_type_info(want)->preferred &&
                                        kp_type_info(want)->category == kp_type_info(id)->category);
        }
    }
    return keep_best(candidates, count, scores);
}

/* The category that unknown argument `arg` is taken as; 0 if the candidates do not agree. */
static char unknown_category(const struct candidate *candidates, uint32_t count, uint32_t arg)
{
    char category = 0;
    bool mixed = false;
    for (uint32_t i = 0; i < count; i++) {
        enum kp_type_id want = takes(&candidates[i], arg);
        char is = is_any(want) ? 'S' : kp_type_info(want)->category;
        if (is == 'S')
            return 'S';
        mixed |= category && category != is;
        category = is;
    }
    return mixed ? 0 : category;
}

static uint32_t keep_for_unknown(struct candidate *candidates, uint32_t count, struct kp_expr *const *args,
                                 uint32_t arg_count)
{
    for (uint32_t a = 0; a < arg_count && count > 1; a++) {
        if (args[a]->type.id != KP_UNKNOWN)
            continue;
        char category = unknown_category(candidates, count, a);
        if (!category)
            return count;
        bool preferred = false;
        for (uint32_t i = 0; i < count; i++) {
            enum kp_type_id want = takes(&candidates[i], a);
            preferred |= !is_any(want) && kp_type_info(want)->category == category && kp_type_info(want)->preferred;
        }
        uint32_t kept = 0;
        for (uint32_t i = 0; i < count; i++) {
            enum kp_type_id want = takes(&candidates[i], a);
            bool in = is_any(want)
                          ? category == 'S' && !preferred
                          : kp_type_info(want)->category == category && (!preferred || kp_type_info(want)->preferred);
            if (in)
                candidates[kept++] = candidates[i];
        }
        if (kept)
            count = kept;
    }
    return count;
}

/* Unknown literals taken as the one type that all known arguments have. */
static bool by_known_type(const struct candidate *candidates, uint32_t count, struct kp_expr *const *args,
                          uint32_t arg_count, const struct candidate **ret_candidate, struct kp_arena *arena)
{
    enum kp_type_id known = KP_UNKNOWN, *types = types_of(args, arg_count, arena);
    for (uint32_t a = 0; a < arg_count; a++) {
        if (args[a]->type.id == KP_UNKNOWN)
            continue;
        if (known != KP_UNKNOWN && known != args[a]->type.id)
            return false;
        known = args[a]->type.id;
    }
    const struct candidate *found = NULL;
    for (uint32_t a = 0; a < arg_count; a++)
        types[a] = known;
    for (uint32_t i = 0; i < count && known != KP_UNKNOWN; i++) {
        bool all = fits(&candidates[i], types, arg_count);
        if (all && found)
            return false;
        if (all)
            found = &candidates[i];
    }
    *ret_candidate = found;
    return found;
}

enum outcome { RESOLVED, NONE_FITS, AMBIGUOUS };

static enum outcome choose(struct candidate *candidates, uint32_t count, struct kp_expr *const *args,
                           uint32_t arg_count, bool is_operator, const struct candidate **ret_candidate,
                           struct kp_arena *arena)
{
    enum kp_type_id *types = types_of(args, arg_count, arena), *given = types_of(args, arg_count, arena);
    if (is_operator && arg_count == 2) { /* 'text' = column: both of the column's type */
        if (types[0] == KP_UNKNOWN)
            types[0] = types[1];
        else if (types[1] == KP_UNKNOWN)
            types[1] = types[0];
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (exact(&candidates[i], types, arg_count)) {
            *ret_candidate = &candidates[i];
            return RESOLVED;
        }
    }
    for (uint32_t i = 0; i < count; i++)
        if (fits(&candidates[i], given, arg_count))
            candidates[kept++] = candidates[i];
    if (kept == 0)
        return NONE_FITS;
    uint32_t *scores = kp_arena_alloc(arena, kept * sizeof *scores);
    kept = kept > 1 ? keep_exact(candidates, kept, args, arg_count, scores) : kept;
    kept = kept > 1 ? keep_preferred(candidates, kept, args, arg_count, scores) : kept;
    *ret_candidate = candidates;
    if (kept == 1)
        return RESOLVED;
    uint32_t narrowed = keep_for_unknown(candidates, kept, args, arg_count);
    if (narrowed == 1 || by_known_type(candidates, narrowed, args, arg_count, ret_candidate, arena))
        return RESOLVED;
    return AMBIGUOUS;
}

enum kp_type_id kp_poly_meant(enum kp_type_id want, const struct kp_poly *poly)
{
    switch (want) {
    case KP_ANYELEMENT:
    case KP_ANYNONARRAY:
    case KP_ANYENUM:
        return poly->element;
    case KP_ANYARRAY:
        return kp_type_array_of(poly->element);
    case KP_ANYCOMPATIBLE:
        return poly->compatible;
    case KP_ANYCOMPATIBLEARRAY:
        return kp_type_array_of(poly->compatible);
    default:
        return want;
    }
}

/* The first type of a row: what a literal beside it is read as. */
static struct kp_type a_row(struct kp_expr *const *args, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (kp_type_is_composite(args[i]->type.id))
            return args[i]->type;
    return KP_TYPE(KP_ANYRECORD);
}

/* int2vector or oidvector, if one is among them: a literal beside it is written like it. Else NONE. */
static enum kp_type_id a_vector(struct kp_expr *const *args, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (kp_type_is_vector(args[i]->type.id))
            return args[i]->type.id;
    return KP_TYPE_NONE;
}

enum kp_code kp_poly_check(struct binder *binder, enum kp_type_id want, const struct kp_poly *poly)
{
    bool compatible = want == KP_ANYCOMPATIBLEARRAY;
    enum kp_type_id element = compatible ? poly->compatible : poly->element;
    if ((!compatible && want != KP_ANYARRAY) || !kp_type_is_array(element))
        return KP_OK;
    return kp_fail(binder->err, KP_NOT_FOUND, "42704", "could not find array type for data type %s",
                   kp_bind_type_text(binder, KP_TYPE(element)));
}

/* Casts the arguments to what the candidate takes. ret_type: what its result `ret` is; of KP_ANY the first argument's.
 */
static enum kp_code cast_args(struct binder *binder, const struct candidate *candidate, struct kp_expr **args,
                              uint32_t count, struct kp_poly *ret_poly)
{
    struct kp_poly poly;
    bool agree = elements_agree(candidate, types_of(args, count, binder->arena), count, &poly);
    KP_ASSERT(agree);
    if (poly.element == KP_UNKNOWN)
        poly.element = KP_TEXT;
    if (poly.compatible == KP_UNKNOWN)
        poly.compatible = KP_TEXT;
    enum kp_type_id vector = a_vector(args, count);
    for (uint32_t i = 0; i < count; i++) {
        enum kp_type_id want = takes(candidate, i);
        KP_TRY(kp_poly_check(binder, want, &poly));
        struct kp_type to = KP_TYPE(kp_poly_meant(want, &poly));
        if (want == KP_ANYARRAY && args[i]->type.id == KP_UNKNOWN && vector != KP_TYPE_NONE)
            KP_TRY(kp_bind_coerce(binder, args[i], KP_TYPE(vector), COERCE_IMPLICIT, &args[i]));
        if (want == KP_ANYRECORD)
            to = a_row(args, count);
        bool row = want == KP_ANYRECORD && kp_type_is_composite(args[i]->type.id);
        if (want == KP_ANY || want == KP_ANYNONARRAY || row || to.id == args[i]->type.id)
            to = args[i]->type.id == KP_UNKNOWN ? KP_TYPE(KP_TEXT) : args[i]->type;
        KP_TRY(kp_bind_coerce(binder, args[i], to, COERCE_IMPLICIT, &args[i]));
    }
    *ret_poly = poly;
    return KP_OK;
}

/* What any type's value is written into, as text or JSON, has names of regclass and its like, not their numbers. */
static enum kp_code name_args(struct binder *binder, const struct candidate *candidate, enum kp_type_id ret,
                              struct kp_expr **args, uint32_t count)
{
    for (uint32_t i = 0; i < count && (ret == KP_TEXT || ret == KP_JSON || ret == KP_JSONB); i++)
        if (is_any(takes(candidate, i)))
            KP_TRY(kp_bind_as_name(binder, args[i], &args[i]));
    return KP_OK;
}

static uint32_t func_candidates(struct binder *binder, enum kp_func_kind kind, const char *name,
                                struct candidate **ret_candidates)
{
    size_t count;
    const struct kp_func *const *funcs = kp_func_find(kind, kp_str(name), &count);
    *ret_candidates = kp_arena_calloc(binder->arena, (count + 1) * sizeof **ret_candidates);
    for (size_t i = 0; i < count; i++)
        (*ret_candidates)[i] =
            (struct candidate){funcs[i], funcs[i]->args, funcs[i]->arg_count, funcs[i]->flags & KP_VARIADIC};
    return (uint32_t)count;
}

static enum kp_code make_call(struct binder *binder, const struct candidate *candidate, struct kp_expr **args,
                              uint32_t count, int32_t location, struct kp_expr **ret_expr)
{
    const struct kp_func *func = candidate->what;
    struct kp_poly poly;
    KP_TRY(name_args(binder, candidate, func->ret, args, count));
    KP_TRY(cast_args(binder, candidate, args, count, &poly));
    KP_TRY(kp_poly_check(binder, func->ret, &poly));
    if (binder->for_view && func->flags & KP_VOLATILE) {
        kp_bind_fail(binder, location, KP_UNSUPPORTED, NULL, "function %s is volatile and cannot be used in a view",
                     func->name);
        return kp_error_hint(binder->err,
                             "A view must give the same rows each time it is computed. Put the value into the record.");
    }
    struct kp_type type = KP_TYPE(kp_poly_meant(func->ret, &poly));
    struct kp_expr *expr = kp_bind_new(binder, KP_EXPR_CALL, type, location, count);
    expr->func = func;
    for (uint32_t i = 0; i < count; i++)
        expr->args[i] = args[i];
    kp_expr_settle(expr);
    if (func->flags & KP_PATTERN && binder->for_view && !binder->context->replaying)
        KP_TRY(kp_bind_check_pattern(binder, expr));
    *ret_expr = kp_bind_fold(binder, expr);
    bool from_json =
        strcmp(func->name, "json_populate_record") == 0 || strcmp(func->name, "jsonb_populate_record") == 0;
    return from_json ? kp_bind_row_check(binder, *ret_expr, location, ret_expr) : KP_OK;
}

struct kp_expr *kp_bind_bound(struct binder *binder, enum kp_type_id other, struct kp_expr *time)
{
    const char *bound = NULL;
    if (time->type.id == KP_DATE && other == KP_TIMESTAMP)
        bound = "kp_bound_date";
    else if (time->type.id == KP_DATE && other == KP_TIMESTAMPTZ)
        bound = "kp_bound_date_instant";
    else if (time->type.id == KP_TIMESTAMP && other == KP_TIMESTAMPTZ)
        bound = "kp_bound_timestamp";
    if (!bound)
        return time;
    return kp_bind_fold(binder, kp_bind_call(binder, bound, KP_TYPE(other), &time, 1, time->location));
}

static bool is_comparison(const char *name)
{
    static const char *const compares[] = {"=", "<>", "<", "<=", ">", ">="};
    for (size_t i = 0; i < KP_COUNT(compares); i++)
        if (strcmp(name, compares[i]) == 0)
            return true;
    return false;
}

static bool is_number(enum kp_type_id id)
{
    return id == KP_INT2 || id == KP_INT4 || id == KP_INT8 || id == KP_NUMERIC || id == KP_FLOAT8;
}

/* A real beside another number is taken as double precision, as by PostgreSQL's operators of the two. */
static enum kp_code widen_real(struct binder *binder, struct kp_expr **both)
{
    for (int i = 0; i < 2; i++)
        if (both[i]->type.id == KP_FLOAT4 && is_number(both[1 - i]->type.id))
            return kp_bind_coerce(binder, both[i], KP_TYPE(KP_FLOAT8), COERCE_IMPLICIT, &both[i]);
    return KP_OK;
}

/* Arrays of which one is of a domain: no operator takes both as one type. */
static bool arrays_differ(const struct candidate *candidate, struct kp_expr *const *both, uint32_t count)
{
    struct kp_type types[2];
    for (uint32_t i = 0; i < 2; i++) {
        if (i >= count || takes(candidate, i) != KP_ANYARRAY || both[i]->type.id == KP_UNKNOWN)
            return false;
        types[i] = kp_type_base(both[i]->type);
    }
    return types[0].domain != types[1].domain;
}

enum kp_code kp_bind_operator(struct binder *binder, const char *name, struct kp_expr *left, struct kp_expr *right,
                              int32_t location, struct kp_expr **ret_expr)
{
    struct kp_expr *both[2] = {left ? left : right, right};
    uint32_t count = left ? 2 : 1;
    if (strcmp(name, "!=") == 0)
        name = "<>";
    if (left && is_comparison(name)) {
        both[0] = kp_bind_bound(binder, right->type.id, left);
        both[1] = kp_bind_bound(binder, left->type.id, right);
    }
    if (left) {
        KP_TRY(widen_real(binder, both));
    }
    struct candidate *candidates;
    uint32_t found = func_candidates(binder, KP_FUNC_OPERATOR, name, &candidates);
    const struct candidate *chosen;
    enum outcome outcome = choose(candidates, found, both, count, true, &chosen, binder->arena);
    if (outcome == RESOLVED && !arrays_differ(chosen, both, count))
        return make_call(binder, chosen, both, count, location, ret_expr);
    const char *left_type = left ? kp_bind_type_text(binder, left->type) : "";
    kp_bind_fail(binder, location, KP_NOT_FOUND, outcome == AMBIGUOUS ? "42725" : "42883",
                 outcome == AMBIGUOUS ? "operator is not unique: %s%s%s %s" : "operator does not exist: %s%s%s %s",
                 left_type, left ? " " : "", name, kp_bind_type_text(binder, right->type));
    return kp_error_hint(
        binder->err,
        outcome == AMBIGUOUS ? "Could not choose a best candidate operator. You might need to add explicit type casts."
        : left ? "No operator matches the given name and argument types. You might need to add explicit type casts."
               : "No operator matches the given name and argument type. You might need to add an explicit type cast.");
}

/* "name(integer, unknown)", as in PostgreSQL's messages. */
static const char *call_text(struct binder *binder, const char *name, struct kp_expr *const *args, uint32_t count)
{
    struct kp_buf out = {0};
    kp_buf_printf(&out, "%s(", name);
    for (uint32_t i = 0; i < count; i++)
        kp_buf_printf(&out, "%s%s", i ? ", " : "", kp_bind_type_text(binder, args[i]->type));
    kp_buf_append_byte(&out, ')');
    const char *text = kp_arena_strndup(binder->arena, (const char *)out.data, out.len);
    kp_buf_finish(&out);
    return text;
}

/* The function whose name is most like it, for the hint. */
static const char *similar_function(const char *name)
{
    size_t family_count, best = strlen(name) / 3 + 1;
    const struct kp_func_family *const *families = kp_func_families(&family_count);
    const char *like = NULL;
    for (size_t f = 0; f < family_count; f++) {
        for (size_t i = 0; i < families[f]->count; i++) {
            const struct kp_func *func = &families[f]->funcs[i];
            size_t distance =
                func->kind == KP_FUNC_FUNCTION ? kp_sql_distance(kp_str(name), kp_str(func->name)) : SIZE_MAX;
            if (distance && distance < best) {
                best = distance;
                like = func->name;
            }
        }
    }
    size_t agg_count;
    const struct kp_agg *const *aggs = kp_agg_all(&agg_count);
    for (size_t i = 0; i < agg_count; i++) {
        size_t distance = kp_sql_distance(kp_str(name), kp_str(aggs[i]->name));
        if (distance && distance < best) {
            best = distance;
            like = aggs[i]->name;
        }
    }
    return like;
}

enum kp_code kp_bind_no_function(struct binder *binder, const char *name, struct kp_expr *const *args, uint32_t count,
                                 int32_t location)
{
    kp_bind_fail(binder, location, KP_NOT_FOUND, "42883", "function %s does not exist",
                 call_text(binder, name, args, count));
    return kp_error_hint(
        binder->err,
        "No function matches the given name and argument types. You might need to add explicit type casts.");
}

static enum kp_code no_function(struct binder *binder, enum outcome outcome, const char *name,
                                struct kp_expr *const *args, uint32_t count, bool name_known, int32_t location)
{
    const char *text = call_text(binder, name, args, count);
    if (outcome == AMBIGUOUS) {
        kp_bind_fail(binder, location, KP_NOT_FOUND, "42725", "function %s is not unique", text);
        return kp_error_hint(binder->err,
                             "Could not choose a best candidate function. You might need to add explicit type casts.");
    }
    kp_bind_fail(binder, location, KP_NOT_FOUND, "42883", "function %s does not exist", text);
    if (!name_known && binder->err && kp_elsewhere_function(name, binder->err))
        return KP_NOT_FOUND;
    const char *like = name_known ? NULL : similar_function(name);
    return like ? kp_error_hint(binder->err, "Perhaps you meant the function \"%s\".", like)
                : kp_bind_no_function(binder, name, args, count, location);
}

/* A function named like a type is a cast: int8(x), text(x), date(x). */
static bool as_cast(struct binder *binder, const char *name, struct kp_expr **args, uint32_t count,
                    enum kp_code *ret_code, struct kp_expr **ret_expr)
{
    enum kp_type_id id = count == 1 ? kp_type_by_name(kp_str(name)) : KP_TYPE_NONE;
    if (id == KP_TYPE_NONE || !kp_can_coerce(args[0]->type.id, id, COERCE_EXPLICIT))
        return false;
    *ret_code = kp_bind_coerce(binder, args[0], KP_TYPE(id), COERCE_EXPLICIT, ret_expr);
    return true;
}

enum kp_code kp_bind_function(struct binder *binder, const char *name, struct kp_expr **args, uint32_t count,
                              int32_t location, struct kp_expr **ret_expr)
{
    struct candidate *candidates;
    uint32_t found = func_candidates(binder, KP_FUNC_FUNCTION, name, &candidates);
    const struct candidate *chosen;
    enum outcome outcome = choose(candidates, found, args, count, false, &chosen, binder->arena);
    if (outcome == RESOLVED)
        return make_call(binder, chosen, args, count, location, ret_expr);
    enum kp_code code;
    if (as_cast(binder, name, args, count, &code, ret_expr))
        return code;
    return no_function(binder, outcome, name, args, count, found > 0, location);
}

enum kp_code kp_bind_choose(struct binder *binder, const char *name, const struct kp_signature *signatures,
                            uint32_t signature_count, struct kp_expr **args, uint32_t count, int32_t location,
                            uint32_t *ret_at, struct kp_poly *ret_poly)
{
    struct candidate *candidates = kp_arena_calloc(binder->arena, (signature_count + 1) * sizeof *candidates);
    const struct candidate *chosen;
    for (uint32_t i = 0; i < signature_count; i++)
        candidates[i] = (struct candidate){&signatures[i], signatures[i].types, count, false};
    enum outcome outcome = choose(candidates, signature_count, args, count, false, &chosen, binder->arena);
    if (outcome != RESOLVED)
        return no_function(binder, outcome, name, args, count, true, location);
    KP_TRY(cast_args(binder, chosen, args, count, ret_poly));
    *ret_at = (uint32_t)((const struct kp_signature *)chosen->what - signatures);
    return KP_OK;
}

/*
 * f(…, VARIADIC array): the function whose last argument repeats, with an array in its place. Its own arguments before
 * that must all be there.
 */
enum kp_code kp_bind_spread(struct binder *binder, const char *name, struct kp_expr **args, uint32_t count,
                            int32_t location, struct kp_expr **ret_expr)
{
    struct candidate *candidates;
    uint32_t found = func_candidates(binder, KP_FUNC_FUNCTION, name, &candidates), kept = 0;
    for (uint32_t i = 0; i < found; i++) {
        struct candidate candidate = candidates[i];
        if (!candidate.variadic || candidate.arg_count != count)
            continue;
        if (candidate.args[count - 1] == KP_ANY && !kp_type_is_array(args[count - 1]->type.id))
            return kp_bind_fail(binder, args[count - 1]->location, KP_INVALID, "42804",
                                "VARIADIC argument must be an array");
        enum kp_type_id *types = kp_arena_calloc(binder->arena, (count + 1) * sizeof *types);
        memcpy(types, candidate.args, count * sizeof *types);
        enum kp_type_id last = types[count - 1];
        types[count - 1] = last == KP_ANY ? KP_ANYARRAY : kp_type_array_of(last);
        candidates[kept++] = (struct candidate){candidate.what, types, count, false};
    }
    const struct candidate *chosen;
    enum outcome outcome = choose(candidates, kept, args, count, false, &chosen, binder->arena);
    if (outcome != RESOLVED)
        return no_function(binder, outcome, name, args, count, true, location);
    struct kp_poly poly;
    KP_TRY(cast_args(binder, chosen, args, count, &poly));
    const struct kp_func *func = chosen->what;
    struct kp_expr *expr =
        kp_bind_new(binder, KP_EXPR_SPREAD, KP_TYPE(kp_poly_meant(func->ret, &poly)), location, count);
    expr->func = func;
    memcpy(expr->args, args, count * sizeof *expr->args);
    kp_expr_settle(expr);
    *ret_expr = expr;
    return KP_OK;
}

bool kp_bind_is_aggregate(const char *name)
{
    size_t count;
    kp_agg_find(kp_str(name), &count);
    return count > 0;
}

enum kp_code kp_bind_aggregate(struct binder *binder, const char *name, struct kp_expr **args, uint32_t count,
                               int32_t location, struct kp_plan_agg *ret_agg)
{
    size_t found;
    const struct kp_agg *const *aggs = kp_agg_find(kp_str(name), &found);
    struct candidate *candidates = kp_arena_calloc(binder->arena, found * sizeof *candidates);
    for (size_t i = 0; i < found; i++)
        candidates[i] = (struct candidate){aggs[i], aggs[i]->args, aggs[i]->arg_count, false};
    const struct candidate *chosen;
    enum outcome outcome = choose(candidates, (uint32_t)found, args, count, false, &chosen, binder->arena);
    if (outcome != RESOLVED)
        return no_function(binder, outcome, name, args, count, true, location);
    const struct kp_agg *agg = chosen->what;
    struct kp_poly poly;
    KP_TRY(name_args(binder, chosen, agg->ret, args, count));
    KP_TRY(cast_args(binder, chosen, args, count, &poly));
    KP_TRY(kp_poly_check(binder, agg->ret, &poly));
    struct kp_type type = KP_TYPE(kp_poly_meant(agg->ret, &poly));
    for (uint32_t i = 0; i < count && agg->ret == KP_ANYELEMENT; i++)
        if (agg->args[i] == KP_ANYELEMENT && args[i]->type.id == type.id) {
            type = kp_type_base(args[i]->type); /* with its modifier */
            break;
        }
    if (agg->ret == KP_ANYARRAY)
        type.domain =
            kp_type_base(kp_type_is_array(args[0]->type.id) ? args[0]->type : kp_type_to_array(args[0]->type)).domain;
    *ret_agg = (struct kp_plan_agg){.agg = agg, .args = args, .arg_count = count, .type = type};
    return KP_OK;
}

enum kp_code kp_bind_hypothetical(struct binder *binder, const char *name, struct kp_expr **args, uint32_t direct,
                                  uint32_t keys, int32_t location, struct kp_plan_agg *ret_agg)
{
    size_t found;
    const struct kp_agg *agg = kp_agg_find(kp_str(name), &found)[0];
    if (direct != keys) {
        (void)no_function(binder, NONE_FITS, name, args, direct + keys, true, location);
        return kp_error_hint(binder->err,
                             "To use the hypothetical-set aggregate %s, the number of hypothetical direct arguments "
                             "(here %u) must match the number of ordering columns (here %u).",
                             name, direct, keys);
    }
    for (uint32_t k = 0; k < keys; k++) {
        struct kp_expr *both[] = {args[keys + k], args[k]};
        struct kp_type type;
        KP_TRY(kp_bind_common_type(binder, both, 2, "WITHIN GROUP", &type));
        KP_TRY(kp_bind_coerce(binder, args[k], type, COERCE_IMPLICIT, &args[k]));
        KP_TRY(kp_bind_coerce(binder, args[keys + k], type, COERCE_IMPLICIT, &args[keys + k]));
    }
    *ret_agg = (struct kp_plan_agg){.agg = agg, .args = args, .arg_count = 2 * keys, .type = KP_TYPE(agg->ret)};
    return KP_OK;
}

bool kp_bind_is_set_function(const char *name)
{
    size_t count;
    kp_set_find(kp_str(name), &count);
    return count > 0;
}

enum kp_code kp_bind_set_function(struct binder *binder, const char *name, struct kp_expr **args, uint32_t count,
                                  int32_t location, struct set_call *ret_call)
{
    size_t found;
    const struct kp_set_func *const *funcs = kp_set_find(kp_str(name), &found);
    struct candidate *candidates = kp_arena_calloc(binder->arena, (found + 1) * sizeof *candidates);
    for (size_t i = 0; i < found; i++)
        candidates[i] =
            (struct candidate){funcs[i], funcs[i]->args, funcs[i]->arg_count, funcs[i]->flags & KP_VARIADIC};
    const struct candidate *chosen;
    enum outcome outcome = choose(candidates, (uint32_t)found, args, count, false, &chosen, binder->arena);
    if (outcome != RESOLVED)
        return no_function(binder, outcome, name, args, count, found > 0, location);
    struct kp_poly poly;
    KP_TRY(cast_args(binder, chosen, args, count, &poly));
    const struct kp_set_func *func = chosen->what;
    if (binder->for_view && func->flags & KP_VOLATILE)
        return kp_bind_fail(binder, location, KP_UNSUPPORTED, NULL,
                            "function %s is volatile and cannot be used in a view", func->name);
    if (binder->for_view && func->flags & KP_PATTERN && !binder->context->replaying)
        KP_TRY(kp_bind_check_set_pattern(binder, func, args, count));
    *ret_call = (struct set_call){.func = func, .args = args, .arg_count = count};
    for (uint32_t c = 0; c < func->col_count; c++)
        ret_call->types[c] = KP_TYPE(kp_poly_meant(func->cols[c].type, &poly));
    if (strcmp(func->name, "unnest") == 0)
        ret_call->types[0].domain = kp_type_to_element(args[0]->type).domain;
    return KP_OK;
}
