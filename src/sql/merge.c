/*
 * MERGE: the source left-joined with the target (inner, if nothing is done where no row matches), and for each row of
 * that which clause it falls to, in a column of its own; then what the clause does and the row it makes, by CASE over
 * that column, so that only the clause that is taken is computed.
 */
#include "sql/write.h"

struct merge {
    struct write *write;
    const PgQuery__MergeStmt *stmt;
    struct scope both, source; /* all columns; the source's alone, for WHEN NOT MATCHED */
    struct sub_list subs;
    uint32_t target;             /* first column of the target in the join */
    struct kp_expr **conditions; /* of each clause: it matches, and its AND */
    struct kp_expr **cells;      /* clauses × width */
};

static PgQuery__Node *join_node(struct binder *binder, const PgQuery__MergeStmt *stmt, bool outer)
{
    PgQuery__JoinExpr *join = kp_arena_calloc(binder->arena, sizeof *join);
    PgQuery__Node *target = kp_arena_calloc(binder->arena, sizeof *target),
                  *node = kp_arena_calloc(binder->arena, sizeof *node);
    pg_query__join_expr__init(join);
    pg_query__node__init(target);
    pg_query__node__init(node);
    target->node_case = PG_QUERY__NODE__NODE_RANGE_VAR;
    target->range_var = stmt->relation;
    join->jointype = outer ? PG_QUERY__JOIN_TYPE__JOIN_LEFT : PG_QUERY__JOIN_TYPE__JOIN_INNER;
    join->larg = stmt->source_relation;
    join->rarg = target;
    join->quals = stmt->join_condition;
    node->node_case = PG_QUERY__NODE__NODE_JOIN_EXPR;
    node->join_expr = join;
    return node;
}

static struct kp_expr *target_column(const struct merge *merge, uint32_t column)
{
    return kp_bind_column(merge->write->binder, merge->target + column, merge->write->relation->cols[column].type, -1);
}

/* Whether a row of the target is there: its key is never NULL. */
static struct kp_expr *is_matched(const struct merge *merge, bool matched)
{
    struct kp_expr *test =
        kp_bind_new(merge->write->binder, matched ? KP_EXPR_IS_NOT_NULL : KP_EXPR_IS_NULL, KP_TYPE(KP_BOOL), -1, 1);
    test->args[0] = target_column(merge, merge->write->relation->keys[0]);
    kp_expr_settle(test);
    return test;
}

static struct kp_expr *int_constant(struct binder *binder, int32_t value)
{
    struct kp_expr *expr = kp_bind_new(binder, KP_EXPR_CONST, KP_TYPE(KP_INT4), -1, 0);
    expr->datum = (struct kp_datum){.type = KP_TYPE(KP_INT4), .i32 = value};
    return expr;
}

static enum kp_code bind_clause(struct merge *merge, size_t index)
{
    struct write *write = merge->write;
    struct binder *binder = write->binder;
    const PgQuery__MergeWhenClause *when = merge->stmt->merge_when_clauses[index]->merge_when_clause;
    uint32_t width = kp_write_width(write->relation);
    struct kp_expr **cells = merge->cells + index * width, *condition = is_matched(merge, when->matched);
    struct expr_place place = {
        .scope = when->matched ? &merge->both : &merge->source, .clause = "MERGE WHEN AND", .subs = &merge->subs};
    if (when->condition) {
        struct kp_expr *both = kp_bind_new(binder, KP_EXPR_AND, KP_TYPE(KP_BOOL), -1, 2);
        both->args[0] = condition;
        KP_TRY(kp_bind_expr(binder, &place, when->condition, &both->args[1]));
        KP_TRY(kp_bind_to_bool(binder, both->args[1], "WHEN", &both->args[1]));
        kp_expr_settle(both);
        condition = both;
    }
    merge->conditions[index] = condition;
    if (when->command_type == PG_QUERY__CMD_TYPE__CMD_UPDATE) {
        place.clause = "UPDATE";
        KP_TRY(kp_write_assignments(binder, write->relation, merge->target, when->target_list, when->n_target_list,
                                    &place, cells));
        for (uint32_t i = 0; i < width; i++)
            if (!cells[i])
                cells[i] = target_column(merge, i);
    } else if (when->command_type == PG_QUERY__CMD_TYPE__CMD_INSERT) {
        uint32_t *columns = NULL, listed = 0, have = (uint32_t)when->n_values;
        place.clause = "VALUES";
        KP_TRY(kp_write_insert_columns(binder, write->relation, when->target_list, when->n_target_list, &columns,
                                       &listed));
        if (have > listed)
            return kp_bind_fail(binder, kp_tree_location(when->values[listed]), KP_INVALID, "42601",
                                "INSERT has more expressions than target columns");
        if (when->n_target_list && have < listed)
            return kp_bind_fail(binder, when->target_list[have]->res_target->location, KP_INVALID, "42601",
                                "INSERT has more target columns than expressions");
        KP_TRY(kp_write_insert_row(binder, write->relation, &place, when->values, when->n_values,
                                   when->n_target_list ? when->target_list : NULL, when->override, columns, cells));
    }
    return KP_OK;
}

static enum kp_merge_act act_of(const PgQuery__MergeWhenClause *when)
{
    switch (when->command_type) {
    case PG_QUERY__CMD_TYPE__CMD_UPDATE:
        return KP_MERGE_UPDATE;
    case PG_QUERY__CMD_TYPE__CMD_DELETE:
        return KP_MERGE_DELETE;
    case PG_QUERY__CMD_TYPE__CMD_INSERT:
        return KP_MERGE_INSERT;
    default:
        return KP_MERGE_NOTHING;
    }
}

/* CASE WHEN condition i THEN value i … ELSE otherwise; a NULL value is left out. */
static struct kp_expr *choose(struct binder *binder, struct kp_expr *const *conditions, struct kp_expr *const *values,
                              size_t stride, uint32_t count, struct kp_expr *otherwise)
{
    uint32_t used = 0;
    for (uint32_t i = 0; i < count; i++)
        used += values[i * stride] != NULL;
    if (!used)
        return otherwise;
    struct kp_expr *choice = kp_bind_new(binder, KP_EXPR_CASE, otherwise->type, -1, 2 * used + 1);
    used = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!values[i * stride])
            continue;
        choice->args[used++] = conditions[i];
        choice->args[used++] = values[i * stride];
    }
    choice->args[used] = otherwise;
    kp_expr_settle(choice);
    return choice;
}

/* The join's columns, and behind them the number of the clause that is taken, from 1; 0: none. */
static struct kp_plan *add_choice(struct merge *merge, uint32_t clauses)
{
    struct binder *binder = merge->write->binder;
    struct kp_plan *plan = merge->write->plan;
    struct kp_expr **exprs = kp_arena_alloc(binder->arena, (plan->col_count + 1) * sizeof *exprs);
    struct kp_expr **numbers = kp_arena_alloc(binder->arena, (clauses + 1) * sizeof *numbers);
    for (uint32_t i = 0; i < plan->col_count; i++)
        exprs[i] = kp_bind_column(binder, i, plan->cols[i].type, -1);
    for (uint32_t i = 0; i < clauses; i++)
        numbers[i] = int_constant(binder, (int32_t)i + 1);
    exprs[plan->col_count] = choose(binder, merge->conditions, numbers, 1, clauses, int_constant(binder, 0));
    const char **names = kp_arena_alloc(binder->arena, (plan->col_count + 1) * sizeof *names);
    for (uint32_t i = 0; i < plan->col_count; i++)
        names[i] = plan->cols[i].name;
    names[plan->col_count] = "clause";
    return kp_bind_project(binder, plan, exprs, names, plan->col_count + 1);
}

static enum kp_code project_acts(struct merge *merge, uint32_t clauses)
{
    struct write *write = merge->write;
    struct binder *binder = write->binder;
    const struct kp_relation *relation = write->relation;
    uint32_t width = kp_write_width(relation), keys = relation->key_count;
    struct kp_plan *input = add_choice(merge, clauses);
    struct kp_expr **taken = kp_arena_alloc(binder->arena, (clauses + 1) * sizeof *taken);
    struct kp_expr **acts = kp_arena_alloc(binder->arena, (clauses + 1) * sizeof *acts);
    for (uint32_t i = 0; i < clauses; i++) {
        KP_TRY(kp_bind_operator(binder, "=", kp_bind_column(binder, input->col_count - 1, KP_TYPE(KP_INT4), -1),
                                int_constant(binder, (int32_t)i + 1), -1, &taken[i]));
        acts[i] = int_constant(binder, (int32_t)act_of(merge->stmt->merge_when_clauses[i]->merge_when_clause));
    }
    struct kp_expr **exprs = kp_arena_alloc(binder->arena, (1 + keys + width) * sizeof *exprs);
    exprs[0] = choose(binder, taken, acts, 1, clauses, int_constant(binder, KP_MERGE_NOTHING));
    for (uint32_t k = 0; k < keys; k++)
        exprs[1 + k] = target_column(merge, relation->keys[k]);
    for (uint32_t i = 0; i < width; i++)
        exprs[1 + keys + i] =
            choose(binder, taken, merge->cells + i, width, clauses, kp_bind_null(binder, relation->cols[i].type));
    write->plan = kp_bind_project(binder, input, exprs, NULL, 1 + keys + width);
    kp_write_name_row(write->plan, relation, 1 + keys);
    return KP_OK;
}

enum kp_code kp_write_merge(struct write *write, const PgQuery__MergeStmt *stmt)
{
    struct binder *binder = write->binder;
    struct merge merge = {.write = write, .stmt = stmt};
    uint32_t clauses = (uint32_t)stmt->n_merge_when_clauses;
    bool inserts = false;
    KP_TRY(kp_write_target(write, stmt->relation, "merge into", true));
    for (uint32_t i = 0; i < clauses; i++)
        inserts |= !stmt->merge_when_clauses[i]->merge_when_clause->matched;
    uint32_t width = kp_write_width(write->relation);
    PgQuery__Node *join = join_node(binder, stmt, inserts);
    struct query_joins joins = {0};
    KP_TRY(kp_bind_from(binder, &join, 1, &joins, &merge.both));
    KP_TRY(kp_joins_finish(binder, &joins, &write->plan));
    if (merge.both.cols[merge.both.count - 1].marks_row) /* nothing reads a target's row that is missing */
        merge.both.count--;
    merge.source = merge.both;
    merge.source.count -= write->relation->col_count; /* the target's are the last ones, hidden ones too */
    merge.target = merge.both.cols[merge.source.count].index;
    merge.conditions = kp_arena_calloc(binder->arena, (clauses + 1) * sizeof *merge.conditions);
    merge.cells = kp_arena_calloc(binder->arena, ((size_t)clauses * width + 1) * sizeof *merge.cells);
    for (uint32_t i = 0; i < clauses; i++)
        KP_TRY(bind_clause(&merge, i));
    uint32_t count = 0;
    struct kp_expr ***slots = kp_arena_alloc(binder->arena, (clauses * (width + 1) + 1) * sizeof *slots);
    for (uint32_t i = 0; i < clauses; i++)
        slots[count++] = &merge.conditions[i];
    for (size_t i = 0; i < (size_t)clauses * width; i++)
        if (merge.cells[i])
            slots[count++] = &merge.cells[i];
    KP_TRY(kp_subs_apply(binder, &merge.subs, slots, count, &write->plan));
    return project_acts(&merge, clauses);
}
