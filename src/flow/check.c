/*
 * Checking rows, a vector at a time, in PostgreSQL's order: domains as values are made, then NOT NULL by column, then
 * CHECK by name; of each row the first failure counts.
 */
#include "flow/check.h"

#include <stdlib.h>

#include "flow/eval.h"

struct checks_not_null {
    uint32_t column;
    const char *message;
};
struct checks_condition {
    struct kp_expr *expr;
    const char *message; /* where it is false; NULL: it fails itself */
};

struct kp_checks {
    uint32_t *columns, column_count;
    struct checks_not_null *not_nulls;
    uint32_t not_null_count;
    struct checks_condition *conditions; /* of domains first */
    uint32_t domain_count, condition_count;
    struct kp_arena arena;
};

static bool mark_column(const struct kp_expr *expr, void *arg)
{
    if (expr->kind == KP_EXPR_COLUMN)
        ((bool *)arg)[expr->column] = true;
    return true;
}

struct kp_checks *kp_checks_create(const struct kp_relation *relation)
{
    uint32_t count = relation->col_count;
    struct kp_checks *checks = kp_calloc(1, sizeof *checks);
    struct kp_arena *arena = &checks->arena;
    bool *read = kp_arena_calloc(arena, (count + 1) * sizeof *read);
    checks->columns = kp_arena_alloc(arena, (count + 1) * sizeof *checks->columns);
    checks->not_nulls = kp_arena_alloc(arena, (count + 1) * sizeof *checks->not_nulls);
    checks->conditions = kp_arena_alloc(arena, (relation->check_count + 1) * sizeof *checks->conditions);
    for (uint32_t c = 0; c < count - relation->hidden_count; c++) {
        if (!relation->cols[c].not_null)
            continue;
        read[c] = true;
        checks->not_nulls[checks->not_null_count++] = (struct checks_not_null){
            c, kp_arena_printf(arena, "null value in column \"%s\" of relation \"%s\" violates not-null constraint",
                               relation->cols[c].name, relation->name)};
    }
    for (uint32_t i = 0; i < relation->check_count; i++) {
        const struct kp_check *check = &relation->checks[i];
        (void)kp_expr_walk(check->expr, mark_column, read);
        checks->domain_count += check->domain;
        checks->conditions[checks->condition_count++] = (struct checks_condition){
            kp_expr_own(check->expr, arena),
            check->domain ? NULL
                          : kp_arena_printf(arena, "new row for relation \"%s\" violates check constraint \"%s\"",
                                            relation->name, check->name)};
    }
    for (uint32_t c = 0; c < count; c++)
        if (read[c])
            checks->columns[checks->column_count++] = c;
    if (checks->not_null_count || checks->condition_count)
        return checks;
    kp_checks_destroy(checks);
    return NULL;
}

void kp_checks_destroy(struct kp_checks *checks)
{
    if (!checks)
        return;
    kp_arena_finish(&checks->arena);
    kp_free(checks);
}

uint32_t kp_checks_columns(const struct kp_checks *checks, const uint32_t **ret_columns)
{
    *ret_columns = checks->columns;
    return checks->column_count;
}

static void note(struct kp_eval *eval, uint32_t row, const char *sqlstate, const char *message)
{
    struct kp_row_error error = {.row = row, .message = message};
    memcpy(error.sqlstate, sqlstate, sizeof error.sqlstate);
    kp_eval_note(eval, &error, 1);
}

static void run_not_null(struct kp_eval *eval, const struct checks_not_null *check, const struct kp_batch *batch)
{
    const struct kp_vec *vec = &batch->vecs[check->column];
    for (uint32_t row = 0; vec->valid && row < batch->rows; row++)
        if (kp_vec_is_null(vec, row))
            note(eval, row, "23502", check->message);
}

static void run_condition(struct kp_eval *eval, const struct checks_condition *check, const struct kp_batch *batch)
{
    struct kp_vec result;
    kp_eval(eval, check->expr, batch, &result);
    for (uint32_t row = 0; check->message && row < batch->rows; row++)
        if (!kp_vec_is_null(&result, row) && !*(const uint8_t *)kp_vec_at(&result, row))
            note(eval, row, "23514", check->message);
}

void kp_checks_run(const struct kp_checks *checks, unsigned parts, const struct kp_batch *batch, struct kp_arena *arena,
                   struct kp_row_error **ret_errors, uint32_t *ret_count)
{
    static const struct kp_session_settings none; /* conditions are immutable */
    struct kp_eval eval = {.arena = arena, .settings = &none};
    for (uint32_t i = 0; parts & KP_CHECKS_DOMAINS && i < checks->domain_count; i++)
        run_condition(&eval, &checks->conditions[i], batch);
    for (uint32_t i = 0; parts & KP_CHECKS_ROW && i < checks->not_null_count; i++)
        run_not_null(&eval, &checks->not_nulls[i], batch);
    for (uint32_t i = checks->domain_count; parts & KP_CHECKS_ROW && i < checks->condition_count; i++)
        run_condition(&eval, &checks->conditions[i], batch);
    kp_eval_first_errors(&eval);
    *ret_errors = eval.errors;
    *ret_count = eval.error_count;
}
