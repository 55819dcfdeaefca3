/*
 * Binding a query: the binder's life, parameters, the plan's last passes, unique keys.
 */
#include "sql/bind.h"

void kp_binder_init(struct binder *binder, const struct kp_sql_context *context, const struct kp_statement *statement,
                    struct kp_arena *arena, struct kp_error *err)
{
    static _Thread_local struct kp_error unseen; /* so that the layers below may always fill one */
    *binder = (struct binder){.context = context,
                              .statement = statement,
                              .arena = arena,
                              .text = statement->text,
                              .err = err ? err : &unseen};
    kp_error_clear(binder->err);
    binder->param_count = KP_MAX(statement->param_max, context->param_count);
    binder->param_types = kp_arena_alloc(arena, (binder->param_count + 1) * sizeof *binder->param_types);
    for (uint32_t i = 0; i < binder->param_count; i++) {
        bool declared = i < context->param_count && context->param_types[i].id != KP_TYPE_NONE;
        binder->param_types[i] = declared ? context->param_types[i] : KP_TYPE(KP_UNKNOWN);
    }
}

/* SELECT columns FROM name, for SUBSCRIBE TO name and COPY name TO. */
static enum kp_code bind_whole_relation(struct binder *binder, const struct kp_statement *statement,
                                        struct kp_plan **ret_plan)
{
    struct kp_relation *relation;
    KP_TRY(kp_bind_relation(binder, statement->name, &relation));
    if (relation->kind == KP_RELATION_SINK)
        return kp_bind_fail(binder, statement->name.location, KP_INVALID, "42809", "\"%s\" is a sink", relation->name);
    bool plain = relation->kind == KP_RELATION_PLAIN_VIEW;
    struct kp_plan *plan;
    if (plain)
        KP_TRY(kp_bind_plain_view(binder, relation, statement->name.location, &plan));
    else
        plan = kp_bind_scan(binder, relation, statement->name.location);
    uint32_t count =
        statement->column_name_count ? statement->column_name_count : plan->col_count - relation->hidden_count;
    struct kp_expr **exprs = kp_arena_alloc(binder->arena, (count + 1) * sizeof *exprs);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t column = i;
        if (statement->column_name_count)
            for (column = 0;
                 column < plan->col_count && strcmp(plan->cols[column].name, statement->column_names[i]) != 0; column++)
                ;
        if (column == plan->col_count)
            return kp_bind_fail(binder, -1, KP_NOT_FOUND, "42703", "column \"%s\" of relation \"%s\" does not exist",
                                statement->column_names[i], relation->name);
        exprs[i] = kp_bind_column(binder, column, plan->cols[column].type, -1);
    }
    *ret_plan = kp_bind_project(binder, plan, exprs, NULL, count);
    return KP_OK;
}

enum kp_code kp_bind_root(struct binder *binder, const PgQuery__Node *tree, bool ad_hoc, struct kp_plan **ret_plan,
                          uint32_t *ret_count)
{
    if (!tree) {
        KP_TRY(bind_whole_relation(binder, binder->statement, ret_plan));
        *ret_count = (*ret_plan)->col_count;
        return KP_OK;
    }
    if (tree->node_case != PG_QUERY__NODE__NODE_SELECT_STMT)
        return kp_bind_fail(binder, -1, KP_UNSUPPORTED, NULL, "this statement is not a query");
    return kp_bind_select(binder, tree->select_stmt, ad_hoc, ret_plan, ret_count);
}

/* Names came from the parse tree, which goes; the plan keeps its own. */
static void own_names(struct binder *binder, struct kp_plan *plan)
{
    for (uint32_t i = 0; i < plan->col_count; i++)
        plan->cols[i].name = kp_arena_strdup(binder->arena, plan->cols[i].name);
    for (uint32_t i = 0; i < plan->input_count; i++)
        own_names(binder, plan->inputs[i]);
}

enum kp_code kp_bind_finish(struct binder *binder, struct kp_plan *plan, uint32_t result_count,
                            struct kp_plan_root *root)
{
    for (uint32_t i = 0; i < binder->param_count; i++)
        if (binder->param_types[i].id == KP_UNKNOWN)
            return kp_bind_fail(binder, -1, KP_INVALID, "42P18", "could not determine data type of parameter $%u",
                                i + 1);
    root->bases = plan->bases;
    bool plain_view =
        binder->statement->kind == KP_STATEMENT_CREATE && binder->statement->relation_kind == KP_RELATION_PLAIN_VIEW;
    plan = kp_reduce_joins(binder, plan);
    if (!plain_view) /* who reads it may have conditions */
        KP_TRY(kp_check_full_joins(binder, plan));
    if (binder->for_view)
        KP_TRY(kp_bind_lateness(binder, &plan));
    plan = kp_prune(binder, plan);
    own_names(binder, plan);
    kp_plan_settle_growing(plan);
    kp_plan_bound_joins(plan);
    kp_plan_expand_views(binder, plan);
    kp_plan_reference(plan);
    root->plan = plan;
    root->result_count = result_count;
    root->param_count = binder->param_count;
    root->param_types = binder->param_types;
    return KP_OK;
}

enum kp_code kp_sql_bind_query(const struct kp_sql_context *context, const struct kp_statement *statement,
                               struct kp_plan_root **ret_root, struct kp_error *err)
{
    struct kp_plan_root *root = kp_calloc(1, sizeof *root);
    struct binder binder;
    struct kp_plan *plan;
    uint32_t count;
    bool ad_hoc = statement->kind != KP_STATEMENT_SUBSCRIBE; /* changes have no order */
    kp_binder_init(&binder, context, statement, &root->arena, err);
    enum kp_code code = kp_bind_root(&binder, statement->tree, ad_hoc, &plan, &count);
    if (code == KP_OK)
        code = kp_bind_finish(&binder, plan, count, root);
    if (code != KP_OK) {
        kp_plan_release(root);
        return code;
    }
    *ret_root = root;
    return KP_OK;
}

enum kp_code kp_sql_bind_execute(const struct kp_sql_context *context, const struct kp_statement *statement,
                                 const struct kp_type *types, uint32_t type_count, struct kp_plan_root **ret_root,
                                 struct kp_error *err)
{
    static const struct scope nothing;
    const PgQuery__ExecuteStmt *execute = statement->tree->execute_stmt;
    struct kp_plan_root *root = kp_calloc(1, sizeof *root);
    struct binder binder;
    kp_binder_init(&binder, context, statement, &root->arena, err);
    enum kp_code code = KP_OK;
    if (execute->n_params != type_count) {
        code = kp_bind_fail(&binder, -1, KP_INVALID, "42601",
                            "wrong number of parameters for prepared statement \"%s\"", execute->name);
        kp_error_detail(binder.err, "Expected %u parameters but got %zu.", type_count, execute->n_params);
    }
    struct kp_plan *plan = kp_bind_node(&binder, KP_PLAN_VALUES, -1, type_count, 0);
    plan->values.rows = 1;
    plan->values.exprs = kp_arena_calloc(&root->arena, (type_count + 1) * sizeof(struct kp_expr *));
    struct expr_place place = {.scope = &nothing, .clause = "EXECUTE parameters"};
    for (uint32_t i = 0; code == KP_OK && i < type_count; i++) {
        struct kp_expr *expr;
        code = kp_bind_expr(&binder, &place, execute->params[i], &expr);
        if (code == KP_OK)
            code = kp_bind_coerce(&binder, expr, types[i], COERCE_ASSIGNMENT, &plan->values.exprs[i]);
        plan->cols[i] = (struct kp_column){kp_arena_printf(&root->arena, "column%u", i + 1), types[i], false};
    }
    if (code == KP_OK)
        code = kp_bind_finish(&binder, plan, type_count, root);
    if (code != KP_OK) {
        kp_plan_release(root);
        return code;
    }
    *ret_root = root;
    return KP_OK;
}

/* ---- unique keys ---- */

/* Of a projection: the input's key if all of it passes. */
static uint32_t key_through(const struct kp_plan *plan, const uint32_t *input_keys, uint32_t count, uint32_t *keys)
{
    for (uint32_t k = 0; k < count; k++) {
        uint32_t at = 0;
        while (at < plan->col_count &&
               (plan->project.exprs[at]->kind != KP_EXPR_COLUMN || plan->project.exprs[at]->column != input_keys[k]))
            at++;
        if (at == plan->col_count)
            return 0;
        keys[k] = at;
    }
    return count;
}

static uint32_t scan_key(const struct kp_plan *plan, uint32_t *keys)
{
    const struct kp_relation *relation = plan->scan.relation;
    for (uint32_t k = 0; k < relation->key_count; k++) {
        uint32_t at = 0;
        while (at < plan->col_count && plan->scan.columns[at] != relation->keys[k])
            at++;
        if (at == plan->col_count)
            return 0;
        keys[k] = at;
    }
    return relation->key_count;
}

/* The side's key is covered by the join's keys: at most one partner a row. */
static bool key_covered(const uint32_t *side_keys, uint32_t count, struct kp_expr *const *join_keys,
                        uint32_t join_count)
{
    for (uint32_t k = 0; k < count; k++) {
        bool found = false;
        for (uint32_t j = 0; j < join_count; j++)
            found |= join_keys[j]->kind == KP_EXPR_COLUMN && join_keys[j]->column == side_keys[k];
        if (!found)
            return false;
    }
    return count > 0;
}

static uint32_t join_key(struct binder *binder, const struct kp_plan *plan, uint32_t *keys)
{
    const struct kp_plan *left = plan->inputs[0], *right = plan->inputs[1];
    uint32_t *left_keys = kp_arena_alloc(binder->arena, (left->col_count + 1) * sizeof *left_keys);
    uint32_t *right_keys = kp_arena_alloc(binder->arena, (right->col_count + 1) * sizeof *right_keys);
    uint32_t left_count = kp_plan_unique_key(binder, left, left_keys),
             right_count = kp_plan_unique_key(binder, right, right_keys);
    bool inner = plan->join.kind == KP_JOIN_INNER;
    if ((!inner && plan->join.kind != KP_JOIN_LEFT) || !left_count || !right_count)
        return 0;
    uint32_t count = 0;
    bool left_alone = key_covered(right_keys, right_count, plan->join.right_keys, plan->join.key_count);
    bool right_alone = inner && key_covered(left_keys, left_count, plan->join.left_keys, plan->join.key_count);
    if (!left_alone && !right_alone && !inner)
        return 0; /* the right part may be NULL */
    for (uint32_t k = 0; (left_alone || !right_alone) && k < left_count; k++)
        keys[count++] = left_keys[k];
    for (uint32_t k = 0; !left_alone && k < right_count; k++)
        keys[count++] = left->col_count + right_keys[k];
    return count;
}

static uint32_t window_key(struct binder *binder, const struct kp_plan *plan, uint32_t *keys)
{
    uint32_t count = kp_plan_unique_key(binder, plan->inputs[0], keys);
    if (count && (plan->window.kind == KP_WINDOW_HOP || plan->window.kind == KP_WINDOW_CUMULATE))
        keys[count++] = plan->col_count - (plan->window.kind == KP_WINDOW_CUMULATE ? 1 : 2);
    return count;
}

/* All groups, but for the end of a window whose start is one too: of tumble and hop it follows. */
static uint32_t group_key(const struct kp_plan *plan, uint32_t *keys)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < plan->aggregate.group_count; i++) {
        uint32_t at, other_at;
        const struct kp_plan *window = kp_plan_trace(plan, i, &at);
        bool is_end = window->kind == KP_PLAN_WINDOW && at == window->inputs[0]->col_count + 1 &&
                      (window->window.kind == KP_WINDOW_TUMBLE || window->window.kind == KP_WINDOW_HOP);
        bool follows = false;
        for (uint32_t k = 0; is_end && k < plan->aggregate.group_count; k++)
            follows |= kp_plan_trace(plan, k, &other_at) == window && other_at + 1 == at;
        if (!follows)
            keys[count++] = i;
    }
    return count;
}

uint32_t kp_plan_unique_key(struct binder *binder, const struct kp_plan *plan, uint32_t *keys)
{
    switch (plan->kind) {
    case KP_PLAN_SCAN:
        return scan_key(plan, keys);
    case KP_PLAN_FILTER:
    case KP_PLAN_EMIT:
    case KP_PLAN_OVER:
    case KP_PLAN_TOPN:
    case KP_PLAN_SORT:
        return kp_plan_unique_key(binder, plan->inputs[0], keys);
    case KP_PLAN_PROJECT: {
        uint32_t *below = kp_arena_alloc(binder->arena, (plan->inputs[0]->col_count + 1) * sizeof *below);
        return key_through(plan, below, kp_plan_unique_key(binder, plan->inputs[0], below), keys);
    }
    case KP_PLAN_AGGREGATE:
        return group_key(plan, keys);
    case KP_PLAN_JOIN:
        return join_key(binder, plan, keys);
    case KP_PLAN_ASOF: /* each left row once at most */
        return kp_plan_unique_key(binder, plan->inputs[0], keys);
    case KP_PLAN_WINDOW:
        return window_key(binder, plan, keys);
    default:
        return 0;
    }
}
