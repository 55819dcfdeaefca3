/*
 * ASOF [LEFT] JOIN … ON equalities AND one comparison of times, as DuckDB and Snowflake spell it:
 *
 *   trade t ASOF JOIN quote q ON t.symbol = q.symbol AND t.at >= q.at       each trade with the latest quote before it
 *
 *   orders o JOIN rates FOR SYSTEM_TIME AS OF o.at AS r ON r.currency = o.currency      = … AND o.at >= r.at, its time
 *
 * Of several right rows at one time an ASOF JOIN takes the least, as ORDER BY over the whole row would; of two versions
 * since one moment the later record corrects the earlier.
 *
 * The grammar's copy of the text has the word blanked out (grammar.c); what remembers it is the place of the item to
 * the right of JOIN. What the condition compares becomes columns of the two sides, if it is none yet.
 */
#include "sql/bind.h"

/* The column that says since when a version holds: its event time, or, found by log time, its log time. And its
 * position. */
static enum kp_code version_time(struct binder *binder, const struct sql_temporal *temporal, const struct kp_plan *plan,
                                 bool by_log, uint32_t *ret_column, uint32_t *ret_version)
{
    const struct kp_relation *relation = plan->kind == KP_PLAN_SCAN ? plan->scan.relation : NULL;
    if (relation && relation->kind == KP_RELATION_SOURCE) {
        for (uint32_t i = 0; i < plan->col_count; i++)
            if (strcmp(plan->cols[i].name, "_position") == 0) /* hidden ones come last */
                *ret_version = i;
        for (uint32_t i = 0; i < plan->col_count; i++)
            if (by_log ? strcmp(plan->cols[i].name, "_log_time") == 0
                       : relation->watermark_column >= 0 &&
                             plan->scan.columns[i] == (uint32_t)relation->watermark_column) {
                *ret_column = i;
                return KP_OK;
            }
    }
    kp_bind_fail(binder, temporal->location, KP_UNSUPPORTED, NULL,
                 "FOR SYSTEM_TIME AS OF a column needs a table, or the versions of a source with a watermark");
    return kp_error_hint(binder->err, "Views keep no versions: a table of their changes has them (CREATE SINK, and a "
                                      "table over its topic).");
}

enum kp_code kp_bind_temporal(struct binder *binder, const PgQuery__JoinExpr *join, const struct scope *scope,
                              struct kp_plan *left, struct kp_plan *right, struct conjuncts *conditions,
                              struct kp_plan **ret_plan)
{
    const struct sql_temporal *temporal = kp_bind_find_temporal(binder, join->rarg);
    bool outer = join->jointype == PG_QUERY__JOIN_TYPE__JOIN_LEFT;
    if (!temporal)
        return kp_bind_asof(binder, outer, left, right, conditions, NULL, ret_plan);
    struct kp_expr *time, *since;
    KP_TRY(kp_scope_find(binder, scope, temporal->time->column_ref, &time));
    if (time->kind != KP_EXPR_COLUMN || time->column >= left->col_count)
        return kp_bind_fail(binder, temporal->location, KP_UNSUPPORTED, NULL,
                            "FOR SYSTEM_TIME AS OF takes a column of the left side");
    if (!outer && join->jointype != PG_QUERY__JOIN_TYPE__JOIN_INNER)
        return kp_bind_fail(binder, time->location, KP_UNSUPPORTED, NULL,
                            "FOR SYSTEM_TIME AS OF is for JOIN and LEFT JOIN");
    if (right->kind == KP_PLAN_SCAN && right->scan.relation->versions_of)
        return kp_bind_versioned(binder, temporal, outer, time, left, right, conditions, ret_plan);
    uint32_t column = 0, version = 0;
    bool by_log = strcmp(left->cols[time->column].name, "_log_time") == 0;
    KP_TRY(version_time(binder, temporal, right, by_log, &column, &version));
    KP_TRY(
        kp_bind_operator(binder, ">=", time,
                         kp_bind_column(binder, left->col_count + column, right->cols[column].type, temporal->location),
                         temporal->location, &since));
    kp_conjuncts_add(binder, conditions, since);
    return kp_bind_asof(binder, outer, left, right, conditions, &version, ret_plan);
}

bool kp_bind_is_asof(const struct binder *binder, const PgQuery__Node *right)
{
    if (kp_bind_find_temporal(binder, right))
        return true;
    int32_t location = right->node_case == PG_QUERY__NODE__NODE_RANGE_VAR ? right->range_var->location : -1;
    if (right->node_case == PG_QUERY__NODE__NODE_RANGE_FUNCTION && right->range_function->n_functions) {
        const PgQuery__Node *first = right->range_function->functions[0]->list->items[0];
        location = kp_tree_location(first);
    }
    const struct kp_sql_marks *marks = binder->statement->marks;
    for (uint32_t i = 0; marks && location >= 0 && i < marks->asof_count; i++)
        if (marks->asofs[i] == location)
            return true;
    return false;
}

static enum kp_code refuse(struct binder *binder, int32_t location)
{
    kp_bind_fail(binder, location, KP_UNSUPPORTED, NULL, "this condition cannot be used in an ASOF JOIN");
    return kp_error_hint(binder->err, "ON takes equalities of the two sides and one comparison, as in ON t.k = q.k AND "
                                      "t.at >= q.at.");
}

/* A side with the columns that conditions compare behind its own. */
struct asof_side {
    struct kp_plan *plan;
    struct kp_expr **exprs; /* over the plan; NULL: nothing was added yet */
    uint32_t count;
};

static void side_init(struct binder *binder, struct asof_side *side, struct kp_plan *plan, uint32_t more)
{
    side->plan = plan;
    side->count = plan->col_count;
    side->exprs = kp_arena_alloc(binder->arena, (plan->col_count + more) * sizeof(struct kp_expr *));
    for (uint32_t i = 0; i < plan->col_count; i++)
        side->exprs[i] = kp_bind_column(binder, i, plan->cols[i].type, -1);
}

static uint32_t side_column(struct asof_side *side, struct kp_expr *expr)
{
    if (expr->kind == KP_EXPR_COLUMN)
        return expr->column;
    side->exprs[side->count] = expr;
    return side->count++;
}

static struct kp_plan *side_finish(struct binder *binder, struct asof_side *side)
{
    return side->count == side->plan->col_count ? side->plan
                                                : kp_bind_project(binder, side->plan, side->exprs, NULL, side->count);
}

static bool is_time(enum kp_type_id type)
{
    return type == KP_TIMESTAMP || type == KP_TIMESTAMPTZ || type == KP_DATE || type == KP_INT8 || type == KP_INT4;
}

/* left OP right, whichever way it was written: true if it is a comparison of the two sides. */
static bool comparison(const struct kp_expr *condition, uint32_t left_cols, const struct kp_expr **ret_left,
                       const struct kp_expr **ret_right, bool *ret_strict, bool *ret_forward)
{
    static const char *const names[] = {">=", ">", "<=", "<"};
    if (condition->kind != KP_EXPR_CALL || condition->func->kind != KP_FUNC_OPERATOR || condition->arg_count != 2)
        return false;
    size_t op = 0;
    while (op < KP_COUNT(names) && strcmp(names[op], condition->func->name) != 0)
        op++;
    uint32_t a_min, a_max, b_min, b_max;
    if (op == KP_COUNT(names) || !kp_expr_column_range(condition->args[0], &a_min, &a_max) ||
        !kp_expr_column_range(condition->args[1], &b_min, &b_max))
        return false;
    bool swap = a_min >= left_cols;
    if (swap ? b_max >= left_cols : a_max >= left_cols || b_min < left_cols)
        return false;
    *ret_left = condition->args[swap];
    *ret_right = condition->args[!swap];
    *ret_strict = op % 2;
    *ret_forward = (op >= 2) != swap;
    return true;
}

/* Over the right side's own columns. */
static struct kp_expr *of_right(struct binder *binder, const struct kp_expr *expr, uint32_t left_cols, uint32_t cols)
{
    uint32_t *map = kp_arena_calloc(binder->arena, (left_cols + cols) * sizeof *map);
    for (uint32_t i = 0; i < cols; i++)
        map[left_cols + i] = i;
    return kp_expr_remap(binder, expr, map);
}

/* The plan's columns are the left side's and then the right's, without what was added to either. */
static struct kp_plan *without_added(struct binder *binder, struct kp_plan *plan, uint32_t left_cols, uint32_t left_all,
                                     uint32_t right_cols)
{
    uint32_t count = left_cols + right_cols;
    if (count == plan->col_count)
        return plan;
    struct kp_expr **exprs = kp_arena_alloc(binder->arena, (count + 1) * sizeof *exprs);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t from = i < left_cols ? i : left_all + i - left_cols;
        exprs[i] = kp_bind_column(binder, from, plan->cols[from].type, -1);
    }
    return kp_bind_project(binder, plan, exprs, NULL, count);
}

/* The equalities are sorted out as a join's are, by making one; what remains of its condition is the comparison. */
enum kp_code kp_bind_asof(struct binder *binder, bool outer, struct kp_plan *left, struct kp_plan *right,
                          const struct conjuncts *conditions, const uint32_t *version, struct kp_plan **ret_plan)
{
    uint32_t left_cols = left->col_count, right_cols = right->col_count;
    struct kp_plan *join = kp_bind_join(binder, KP_JOIN_LEFT, left, right);
    const struct kp_expr *time = NULL, *left_time = NULL, *right_time = NULL;
    struct kp_plan *plan = kp_bind_node(binder, KP_PLAN_ASOF, -1, 0, 2);
    for (uint32_t i = 0; i < conditions->count; i++) {
        struct kp_expr *condition = conditions->exprs[i];
        bool strict, forward;
        if (comparison(condition, left_cols, &left_time, &right_time, &strict, &forward)) {
            if (time)
                return refuse(binder, condition->location);
            time = condition;
            plan->asof.strict = strict;
            plan->asof.forward = forward;
            continue;
        }
        uint32_t before = join->join.key_count;
        struct kp_plan *right_before = join->inputs[1];
        kp_join_condition(binder, join, condition);
        if (join->join.residual || (join->join.key_count == before && join->inputs[1] == right_before))
            return refuse(binder, condition->location);
    }
    if (!time)
        return refuse(binder, -1);
    comparison(time, left_cols, &left_time, &right_time, &plan->asof.strict, &plan->asof.forward);
    struct kp_expr *of_right_time = of_right(binder, right_time, left_cols, right_cols);
    if (!is_time(left_time->type.id) || left_time->type.id != of_right_time->type.id) {
        kp_bind_fail(binder, time->location, KP_UNSUPPORTED, NULL,
                     "ASOF JOIN compares two timestamps, dates or integers of one type, not %s and %s",
                     kp_type_info(left_time->type.id)->name, kp_type_info(right_time->type.id)->name);
        return kp_error_hint(binder->err, "Cast one of them.");
    }
    struct asof_side sides[2];
    uint32_t keys = join->join.key_count;
    side_init(binder, &sides[0], join->inputs[0], keys + 1);
    side_init(binder, &sides[1], join->inputs[1], keys + 1);
    plan->asof.outer = outer;
    plan->asof.key_count = keys;
    for (uint32_t s = 0; s < 2; s++) {
        plan->asof.keys[s] = kp_arena_alloc(binder->arena, (keys + 1) * sizeof(uint32_t));
        for (uint32_t k = 0; k < keys; k++)
            plan->asof.keys[s][k] = side_column(&sides[s], s ? join->join.right_keys[k] : join->join.left_keys[k]);
    }
    plan->asof.times[0] = side_column(&sides[0], kp_expr_copy(left_time, binder->arena, NULL, NULL));
    plan->asof.times[1] = side_column(&sides[1], of_right_time);
    plan->asof.latest = version != NULL;
    plan->asof.version = version ? *version : 0;
    for (uint32_t s = 0; s < 2; s++)
        plan->inputs[s] = side_finish(binder, &sides[s]);
    uint32_t left_all = sides[0].count;
    plan->col_count = left_all + sides[1].count;
    plan->cols = kp_arena_alloc(binder->arena, (plan->col_count + 1) * sizeof *plan->cols);
    memcpy(plan->cols, plan->inputs[0]->cols, left_all * sizeof *plan->cols);
    memcpy(plan->cols + left_all, plan->inputs[1]->cols, sides[1].count * sizeof *plan->cols);
    for (uint32_t i = left_all; outer && i < plan->col_count; i++)
        plan->cols[i].not_null = false;
    *ret_plan = without_added(binder, plan, left_cols, left_all, right_cols);
    return KP_OK;
}
