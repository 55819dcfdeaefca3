/*
 * TABLESAMPLE: a filter over the hash of each row's identity, which is its primary key, a source's position, else the
 * whole row. So a sample with REPEATABLE is the same live, replayed and ad hoc, and a row stays in it when it changes.
 * There are no blocks here: SYSTEM takes rows one by one, as BERNOULLI does. Without REPEATABLE each query takes other
 * rows; a view cannot.
 */
#include "os/os.h"
#include "sql/bind.h"
#include "vec/facts.h"

static enum kp_code check_method(struct binder *binder, const PgQuery__RangeTableSample *sample)
{
    const char *name = sample->method[sample->n_method - 1]->string->sval;
    if (strcmp(name, "bernoulli") != 0 && strcmp(name, "system") != 0)
        return kp_bind_fail(binder, sample->location, KP_NOT_FOUND, "42704", "tablesample method %s does not exist",
                            name);
    if (sample->n_args != 1)
        return kp_bind_fail(binder, sample->location, KP_INVALID, "2202H",
                            "tablesample method %s requires 1 argument, not %zu", name, sample->n_args);
    return KP_OK;
}

/* A constant or parameter of that type. */
static enum kp_code bind_number(struct binder *binder, const PgQuery__Node *node, enum kp_type_id type,
                                const char *sqlstate, const char *name, struct kp_expr **ret_expr)
{
    struct scope none = {0};
    struct expr_place place = {.scope = &none, .clause = "TABLESAMPLE"};
    KP_TRY(kp_bind_expr(binder, &place, node, ret_expr));
    KP_TRY(kp_bind_coerce(binder, *ret_expr, KP_TYPE(type), COERCE_ASSIGNMENT, ret_expr));
    *ret_expr = kp_bind_fold(binder, *ret_expr);
    if ((*ret_expr)->kind == KP_EXPR_CONST && (*ret_expr)->datum.null)
        return kp_bind_fail(binder, kp_tree_location(node), KP_INVALID, sqlstate, "TABLESAMPLE %s cannot be null",
                            name);
    return KP_OK;
}

static struct kp_expr *any_seed(struct binder *binder)
{
    const struct kp_session_settings *settings = binder->context->settings;
    const struct kp_os *os = settings && settings->facts ? settings->facts->os : NULL;
    struct kp_expr *seed = kp_bind_new(binder, KP_EXPR_CONST, KP_TYPE(KP_FLOAT8), -1, 0);
    uint32_t number = 0;
    if (os)
        os->random(os->ctx, &number, sizeof number);
    seed->datum.type = seed->type;
    seed->datum.f64 = number;
    return seed;
}

/* The columns that tell the relation's rows apart, as one value. */
static struct kp_expr *identity(struct binder *binder, const struct kp_relation *relation, const struct kp_plan *scan)
{
    struct kp_expr **exprs = kp_arena_alloc(binder->arena, (scan->col_count + 1) * sizeof *exprs);
    uint32_t count = 0, shown = scan->col_count - relation->hidden_count;
    for (uint32_t k = 0; k < relation->key_count; k++)
        exprs[count++] = kp_bind_column(binder, relation->keys[k], scan->cols[relation->keys[k]].type, -1);
    for (uint32_t i = shown; !count && i < scan->col_count; i++)
        if (strcmp(scan->cols[i].name, "_position") == 0)
            exprs[count++] = kp_bind_column(binder, i, scan->cols[i].type, -1);
    for (uint32_t i = 0; !relation->key_count && i < shown && count <= i; i++)
        exprs[count++] = kp_bind_column(binder, i, scan->cols[i].type, -1);
    return kp_bind_row_of(binder, exprs, count, -1);
}

enum kp_code kp_bind_sample_refuse(struct binder *binder, const PgQuery__RangeTableSample *sample)
{
    bool named = sample->relation->node_case == PG_QUERY__NODE__NODE_RANGE_VAR;
    return kp_bind_fail(binder, named ? sample->relation->range_var->location : sample->location, KP_UNSUPPORTED, NULL,
                        "TABLESAMPLE clause can only be applied to tables and materialized views");
}

enum kp_code kp_bind_sample(struct binder *binder, const PgQuery__RangeTableSample *sample, struct kp_plan **plan)
{
    struct kp_expr *args[3], *kept;
    if ((*plan)->kind != KP_PLAN_SCAN)
        return kp_bind_sample_refuse(binder, sample);
    KP_TRY(check_method(binder, sample));
    KP_TRY(bind_number(binder, sample->args[0], KP_FLOAT4, "2202H", "parameter", &args[1]));
    if (args[1]->kind == KP_EXPR_CONST && !(args[1]->datum.f32 >= 0 && args[1]->datum.f32 <= 100))
        return kp_bind_fail(binder, args[1]->location, KP_INVALID, "2202H",
                            "sample percentage must be between 0 and 100");
    if (sample->repeatable) {
        KP_TRY(bind_number(binder, sample->repeatable, KP_FLOAT8, "2202G", "REPEATABLE parameter", &args[2]));
    } else if (binder->for_view) {
        kp_bind_fail(binder, sample->location, KP_UNSUPPORTED, NULL,
                     "TABLESAMPLE without REPEATABLE cannot be used in a view");
        return kp_error_hint(binder->err, "With REPEATABLE (1) the sample is the same each time.");
    } else {
        args[2] = any_seed(binder);
    }
    args[0] = identity(binder, (*plan)->scan.relation, *plan);
    KP_TRY(kp_bind_function(binder, "kp_sampled", args, 3, sample->location, &kept));
    *plan = kp_bind_filter(binder, *plan, kept);
    return KP_OK;
}
