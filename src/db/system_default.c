/* A column's DEFAULT, as PostgreSQL shows it. */
#include "db/system.h"

/* What is bound to the number of a relation is shown by the name that this has now. */
static struct kp_expr *name_relation(const struct kp_expr *expr, struct kp_arena *arena, void *arg)
{
    if (expr->kind != KP_EXPR_CONST || expr->type.id != KP_REGCLASS || expr->datum.null)
        return NULL;
    const struct kp_relation *relation = kp_catalog_find_id(arg, (uint32_t)expr->datum.i32);
    if (!relation)
        return NULL;
    struct kp_buf name = {0};
    kp_name_quote(kp_str(relation->name), &name);
    struct kp_expr *text = kp_arena_calloc(arena, sizeof *text), *cast = kp_arena_calloc(arena, sizeof *cast);
    *text = (struct kp_expr){.kind = KP_EXPR_CONST, .type = KP_TYPE(KP_TEXT)};
    text->datum = (struct kp_datum){
        .type = text->type, .text = kp_text_make(kp_arena_strndup(arena, (const char *)name.data, name.len), name.len)};
    *cast = (struct kp_expr){.kind = KP_EXPR_CALL, .type = expr->type, .func = kp_func_find_cast(KP_TEXT, KP_REGCLASS)};
    cast->args = kp_arena_calloc(arena, sizeof(struct kp_expr *));
    cast->args[0] = text;
    cast->arg_count = 1;
    kp_buf_finish(&name);
    return cast;
}

bool kp_system_default(const struct kp_catalog *catalog, const struct kp_relation *relation, uint32_t column,
                       struct kp_buf *out)
{
    const struct kp_sequence *sequence = kp_relation_sequence(relation, column);
    if (sequence && !sequence->identity) {
        struct kp_buf name = {0};
        kp_name_quote(kp_str(relation->sequences[column]->name), &name);
        kp_buf_append_text(out, "nextval(");
        kp_literal_quote((struct kp_str){(const char *)name.data, name.len}, out);
        kp_buf_append_text(out, "::regclass)");
        kp_buf_finish(&name);
        return true;
    }
    if (!relation->defaults || !relation->defaults[column])
        return false;
    const struct kp_expr *value = relation->defaults[column];
    if (kp_expr_casts(value) && value->args[0]->kind == KP_EXPR_CALL &&
        strcmp(value->args[0]->func->name, "nextval") == 0) /* PostgreSQL does not show what assignment casts */
        value = value->args[0];
    struct kp_arena arena = {0};
    kp_expr_print(kp_expr_copy(value, &arena, name_relation, (void *)(uintptr_t)catalog), NULL, out);
    kp_arena_finish(&arena);
    return true;
}
