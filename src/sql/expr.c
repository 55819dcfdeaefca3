/*
 * What can be done with a bound expression without evaluating it: print, compare, hash, copy, walk.
 *
 * Printing gives SQL that PostgreSQL would read as the same expression: every binary operator is parenthesized, every
 * cast written ::type, every constant that is not a plain number, text or boolean carries its type.
 */
#include "sql/expr.h"

#include "base/hash.h"
#include "sql/plan.h"

static void print_list(const struct kp_expr *expr, uint32_t from, const char *separator, const struct kp_column *cols,
                       struct kp_buf *out)
{
    for (uint32_t i = from; i < expr->arg_count; i++) {
        if (i > from)
            kp_buf_append_text(out, separator);
        kp_expr_print(expr->args[i], cols, out);
    }
}

static void print_datum(const struct kp_datum *datum, struct kp_buf *out)
{
    if (datum->null) {
        kp_buf_append_text(out, "NULL");
        return;
    }
    struct kp_buf text = {0};
    kp_value_print(datum->type, datum->raw, NULL, &text);
    enum kp_type_id id = datum->type.id;
    if (id == KP_BOOL) {
        kp_buf_append_text(out, datum->b ? "true" : "false");
    } else if (id == KP_INT2 || id == KP_INT4 || id == KP_INT8 ||
               (id == KP_NUMERIC && text.len && text.data[0] != 'N')) {
        kp_buf_append(out, text.data, text.len);
    } else {
        kp_buf_append_byte(out, '\'');
        for (size_t i = 0; i < text.len; i++) {
            if (text.data[i] == '\'')
                kp_buf_append_byte(out, '\'');
            kp_buf_append_byte(out, text.data[i]);
        }
        kp_buf_append_byte(out, '\'');
        if (id != KP_TEXT && id != KP_UNKNOWN) {
            kp_buf_append_text(out, "::");
            kp_type_print(datum->type, out);
        }
    }
    kp_buf_finish(&text);
}

bool kp_expr_casts(const struct kp_expr *expr)
{
    return expr->kind == KP_EXPR_CALL &&
           (expr->func->kind == KP_FUNC_CAST || strncmp(expr->func->name, "kp_bound_", 9) == 0);
}

static void print_call(const struct kp_expr *expr, const struct kp_column *cols, struct kp_buf *out)
{
    const struct kp_func *func = expr->func;
    if (kp_expr_casts(expr)) {
        kp_expr_print(expr->args[0], cols, out);
        kp_buf_append_text(out, "::");
        kp_type_print(expr->type, out);
    } else if (func->kind == KP_FUNC_OPERATOR) {
        kp_buf_append_byte(out, '(');
        if (expr->arg_count > 1) {
            kp_expr_print(expr->args[0], cols, out);
            kp_buf_append_byte(out, ' ');
        }
        kp_buf_append_text(out, func->name);
        if (expr->arg_count > 1)
            kp_buf_append_byte(out, ' ');
        kp_expr_print(expr->args[expr->arg_count - 1], cols, out);
        kp_buf_append_byte(out, ')');
    } else {
        kp_buf_append_text(out, func->name);
        kp_buf_append_byte(out, '(');
        print_list(expr, 0, ", ", cols, out);
        kp_buf_append_byte(out, ')');
    }
}

static void print_case(const struct kp_expr *expr, const struct kp_column *cols, struct kp_buf *out)
{
    kp_buf_append_text(out, "CASE");
    for (uint32_t i = 0; i + 1 < expr->arg_count; i += 2) {
        kp_buf_append_text(out, " WHEN ");
        kp_expr_print(expr->args[i], cols, out);
        kp_buf_append_text(out, " THEN ");
        kp_expr_print(expr->args[i + 1], cols, out);
    }
    kp_buf_append_text(out, " ELSE ");
    kp_expr_print(expr->args[expr->arg_count - 1], cols, out);
    kp_buf_append_text(out, " END");
}

static void print_around(const struct kp_expr *expr, const char *before, const char *between, const char *after,
                         const struct kp_column *cols, struct kp_buf *out)
{
    kp_buf_append_text(out, before);
    print_list(expr, 0, between, cols, out);
    kp_buf_append_text(out, after);
}

void kp_expr_print(const struct kp_expr *expr, const struct kp_column *cols, struct kp_buf *out)
{
    switch (expr->kind) {
    case KP_EXPR_COLUMN:
        if (cols)
            kp_buf_append_text(out, cols[expr->column].name);
        else
            kp_buf_printf(out, "$col%u", expr->column);
        return;
    case KP_EXPR_CONST:
        print_datum(&expr->datum, out);
        return;
    case KP_EXPR_PARAM:
        kp_buf_printf(out, "$%u", expr->param);
        return;
    case KP_EXPR_CALL:
        print_call(expr, cols, out);
        return;
    case KP_EXPR_AND:
        print_around(expr, "(", " AND ", ")", cols, out);
        return;
    case KP_EXPR_OR:
        print_around(expr, "(", " OR ", ")", cols, out);
        return;
    case KP_EXPR_NOT:
        print_around(expr, "(NOT ", "", ")", cols, out);
        return;
    case KP_EXPR_IS_NULL:
        print_around(expr, "(", "", " IS NULL)", cols, out);
        return;
    case KP_EXPR_IS_NOT_NULL:
        print_around(expr, "(", "", " IS NOT NULL)", cols, out);
        return;
    case KP_EXPR_IS_TRUE:
        print_around(expr, "(", "", " IS TRUE)", cols, out);
        return;
    case KP_EXPR_IS_NOT_TRUE:
        print_around(expr, "(", "", " IS NOT TRUE)", cols, out);
        return;
    case KP_EXPR_IS_FALSE:
        print_around(expr, "(", "", " IS FALSE)", cols, out);
        return;
    case KP_EXPR_IS_NOT_FALSE:
        print_around(expr, "(", "", " IS NOT FALSE)", cols, out);
        return;
    case KP_EXPR_DISTINCT:
        print_around(expr, "(", " IS DISTINCT FROM ", ")", cols, out);
        return;
    case KP_EXPR_CASE:
        print_case(expr, cols, out);
        return;
    case KP_EXPR_COALESCE:
        print_around(expr, "COALESCE(", ", ", ")", cols, out);
        return;
    case KP_EXPR_GREATEST:
        print_around(expr, "GREATEST(", ", ", ")", cols, out);
        return;
    case KP_EXPR_LEAST:
        print_around(expr, "LEAST(", ", ", ")", cols, out);
        return;
    case KP_EXPR_IN:
        kp_buf_append_byte(out, '(');
        kp_expr_print(expr->args[0], cols, out);
        kp_buf_append_text(out, " IN (");
        print_list(expr, 1, ", ", cols, out);
        kp_buf_append_text(out, "))");
        return;
    case KP_EXPR_ANY:
    case KP_EXPR_ALL:
        kp_buf_append_byte(out, '(');
        kp_expr_print(expr->args[0], cols, out);
        kp_buf_printf(out, " %s %s (", expr->func->name, expr->kind == KP_EXPR_ANY ? "ANY" : "ALL");
        kp_expr_print(expr->args[1], cols, out);
        kp_buf_append_text(out, "))");
        return;
    case KP_EXPR_SPREAD:
        kp_buf_printf(out, "%s(", expr->func->name);
        for (uint32_t i = 0; i < expr->arg_count; i++) {
            kp_buf_append_text(out, i ? ", " : "");
            kp_buf_append_text(out, i + 1 == expr->arg_count ? "VARIADIC " : "");
            kp_expr_print(expr->args[i], cols, out);
        }
        kp_buf_append_byte(out, ')');
        return;
    case KP_EXPR_ARRAY_COERCE:
        kp_expr_print(expr->args[0], cols, out);
        kp_buf_append_text(out, "::");
        kp_type_print(expr->type, out);
        return;
    case KP_EXPR_ARRAY_CHECK: {
        static const struct kp_column element = {.name = "element"};
        kp_buf_append_text(out, "kp_array_check(");
        kp_expr_print(expr->args[0], cols, out);
        kp_buf_append_text(out, ", ");
        kp_expr_print(expr->each, &element, out);
        kp_buf_append_byte(out, ')');
        return;
    }
    case KP_EXPR_NOW:
        kp_buf_append_text(out, "now()");
        return;
    }
}

/* By bytes and not by SQL's equality: 1.0 and 1.00 are different constants, since they print differently. */
static bool datum_equal(const struct kp_datum *a, const struct kp_datum *b)
{
    if (!kp_type_equal(a->type, b->type) || a->null != b->null)
        return false;
    if (a->null)
        return true;
    if (kp_type_info(a->type.id)->string)
        return kp_text_equal(&a->text, &b->text);
    if (a->type.id == KP_NUMERIC) {
        if (a->numeric.kind == KP_NUMERIC_BIG || b->numeric.kind == KP_NUMERIC_BIG)
            return a->numeric.kind == b->numeric.kind && a->numeric.scale == b->numeric.scale &&
                   kp_value_equal(KP_NUMERIC, a->raw, b->raw);
        return a->numeric.kind == b->numeric.kind && a->numeric.coef == b->numeric.coef &&
               a->numeric.scale == b->numeric.scale;
    }
    return memcmp(a->raw, b->raw, kp_type_info(a->type.id)->bytes) == 0;
}

bool kp_expr_equal(const struct kp_expr *a, const struct kp_expr *b)
{
    if (a == b)
        return true;
    if (!a || !b || a->kind != b->kind || !kp_type_equal(a->type, b->type) || a->arg_count != b->arg_count)
        return false;
    if (a->kind == KP_EXPR_COLUMN && a->column != b->column)
        return false;
    if (a->kind == KP_EXPR_PARAM && a->param != b->param)
        return false;
    if (a->kind == KP_EXPR_CONST && !datum_equal(&a->datum, &b->datum))
        return false;
    if (kp_expr_calls(a) && a->func != b->func)
        return false;
    if (a->kind == KP_EXPR_ARRAY_CHECK && !kp_expr_equal(a->each, b->each))
        return false;
    for (uint32_t i = 0; i < a->arg_count; i++)
        if (!kp_expr_equal(a->args[i], b->args[i]))
            return false;
    return true;
}

uint64_t kp_expr_hash(const struct kp_expr *expr)
{
    uint64_t hash = kp_hash_combine((uint64_t)expr->kind, (uint64_t)expr->type.id);
    if (expr->kind == KP_EXPR_COLUMN)
        hash = kp_hash_combine(hash, expr->column);
    else if (expr->kind == KP_EXPR_PARAM)
        hash = kp_hash_combine(hash, expr->param);
    else if (expr->kind == KP_EXPR_CONST)
        hash = kp_hash_combine(hash, expr->datum.null ? 1 : kp_value_hash(expr->datum.type.id, expr->datum.raw));
    else if (expr->kind == KP_EXPR_CALL)
        hash = kp_hash_combine(hash, kp_hash_bytes(expr->func->name, strlen(expr->func->name)));
    for (uint32_t i = 0; i < expr->arg_count; i++)
        hash = kp_hash_combine(hash, kp_expr_hash(expr->args[i]));
    return hash;
}

bool kp_expr_walk(const struct kp_expr *expr, bool (*visit)(const struct kp_expr *expr, void *arg), void *arg)
{
    if (!visit(expr, arg))
        return false;
    for (uint32_t i = 0; i < expr->arg_count; i++)
        if (!kp_expr_walk(expr->args[i], visit, arg))
            return false;
    return true;
}

static bool overflows_only(const struct kp_expr *expr)
{
    const char *name = expr->func->name;
    if (expr->func->kind == KP_FUNC_CAST)
        return !kp_type_info(expr->args[0]->type.id)->string;
    return expr->func->kind == KP_FUNC_OPERATOR && (*name == '+' || *name == '-' || *name == '*') && !name[1];
}

static bool fails_by_overflow(const struct kp_expr *expr, void *arg)
{
    if (expr->kind == KP_EXPR_ARRAY_CHECK)
        return false;
    return !kp_expr_calls(expr) || !(expr->func->flags & KP_CAN_FAIL) || overflows_only(expr);
}

bool kp_expr_fails_by_value(const struct kp_expr *expr)
{
    return expr->can_fail && !kp_expr_walk(expr, fails_by_overflow, NULL);
}

void kp_expr_settle(struct kp_expr *expr)
{
    bool calls = kp_expr_calls(expr);
    expr->can_fail = (calls && expr->func->flags & KP_CAN_FAIL) || expr->kind == KP_EXPR_ARRAY_CHECK;
    expr->stable = expr->kind == KP_EXPR_NOW || (calls && expr->func->flags & (KP_STABLE | KP_VOLATILE));
    for (uint32_t i = 0; i < expr->arg_count; i++) {
        expr->can_fail |= expr->args[i]->can_fail;
        expr->stable |= expr->args[i]->stable;
    }
}

/* Out of line parts of a constant move along: texts are copied, big numerics are read again from their text. */
static void copy_datum(struct kp_datum *datum, struct kp_arena *arena)
{
    if (datum->null)
        return;
    if (kp_type_info(datum->type.id)->string) {
        struct kp_str text = kp_text_str(&datum->text);
        datum->text = kp_text_make(kp_arena_strndup(arena, text.ptr, text.len), text.len);
    } else if (datum->type.id == KP_NUMERIC && datum->numeric.kind == KP_NUMERIC_BIG) {
        struct kp_buf text = {0};
        kp_value_print(KP_TYPE(KP_NUMERIC), datum->raw, NULL, &text);
        enum kp_code code = kp_value_parse(KP_TYPE(KP_NUMERIC), (struct kp_str){(const char *)text.data, text.len},
                                           NULL, arena, datum->raw, NULL);
        KP_ASSERT(code == KP_OK);
        kp_buf_finish(&text);
    }
}

struct kp_expr *kp_expr_copy(const struct kp_expr *expr, struct kp_arena *arena,
                             struct kp_expr *(*replace)(const struct kp_expr *expr, struct kp_arena *arena, void *arg),
                             void *arg)
{
    if (!expr)
        return NULL;
    struct kp_expr *other = replace ? replace(expr, arena, arg) : NULL;
    if (other)
        return other;
    struct kp_expr *copy = kp_arena_alloc(arena, sizeof *copy);
    *copy = *expr;
    copy->prepared = NULL;
    if (copy->kind == KP_EXPR_CONST)
        copy_datum(&copy->datum, arena);
    if (copy->kind == KP_EXPR_ARRAY_CHECK)
        copy->each = kp_expr_copy(expr->each, arena, NULL, NULL);
    if (copy->kind == KP_EXPR_AND)
        copy->list.cap = copy->arg_count;
    if (copy->arg_count) {
        copy->args = kp_arena_alloc(arena, copy->arg_count * sizeof(struct kp_expr *));
        for (uint32_t i = 0; i < copy->arg_count; i++)
            copy->args[i] = kp_expr_copy(expr->args[i], arena, replace, arg);
        kp_expr_settle(copy);
    }
    return copy;
}
