/*
 * CREATE VIEW: a query under a name, put in its place where the name is used.
 *
 * Its plan was bound when it was made, with the settings of then. If something that it reads has another declaration
 * since (ALTER SOURCE … PROMOTE, a view or function replaced), its text is bound again; the columns stay the ones that
 * it was made with, found by their names.
 */
#include "sql/bind.h"
#include "sql/object.h"

static bool is_current(const struct kp_catalog *catalog, const struct kp_relation *relation)
{
    if (relation->kind == KP_RELATION_SYSTEM)
        return true;
    relation = relation->versions_of ? relation->versions_of : relation;
    return kp_catalog_find(catalog, kp_str(relation->schema), kp_str(relation->name)) == relation;
}

static bool plan_is_current(const struct kp_catalog *catalog, const struct kp_plan *plan)
{
    if (plan->kind == KP_PLAN_SCAN && !is_current(catalog, plan->scan.relation))
        return false;
    for (uint32_t i = 0; i < plan->input_count; i++)
        if (!plan_is_current(catalog, plan->inputs[i]))
            return false;
    return true;
}

static bool view_is_current(const struct kp_catalog *catalog, const struct kp_relation *view)
{
    for (uint32_t i = 0; i < view->use_count; i++) {
        const struct kp_relation *used = view->uses[i];
        bool plain = used->kind == KP_RELATION_PLAIN_VIEW;
        if ((plain || used->kind == KP_RELATION_FUNCTION) && !is_current(catalog, used))
            return false;
        if (plain && !view_is_current(catalog, used))
            return false;
    }
    return plan_is_current(catalog, view->plan->plan);
}

static enum kp_code bind_again(struct binder *binder, const struct kp_relation *view, struct kp_plan **ret_plan,
                               struct kp_statement **ret_statement, uint32_t *ret_count)
{
    struct binder inner = *binder;
    const struct view_chain chain = {view, binder->views};
    KP_TRY(kp_sql_parse(kp_str(view->text), binder->arena, ret_statement, binder->err));
    inner.statement = *ret_statement;
    inner.text = (*ret_statement)->text;
    inner.ctes = NULL;
    inner.around = NULL;
    inner.from = NULL;
    inner.inline_params = NULL;
    inner.writes = NULL;
    inner.views = &chain;
    inner.for_view = true;
    enum kp_code code = kp_bind_root(&inner, (*ret_statement)->tree, false, ret_plan, ret_count);
    binder->late_of = inner.late_of;
    binder->domain_nodes = inner.domain_nodes;
    binder->nodes = inner.nodes;
    return code;
}

/* The plan's nodes; *ret_depth: how many lie within each other. */
static uint32_t measure(const struct kp_plan *plan, uint32_t *ret_depth)
{
    uint32_t nodes = 1, deepest = 0, depth;
    for (uint32_t i = 0; i < plan->input_count; i++) {
        nodes += measure(plan->inputs[i], &depth);
        deepest = depth > deepest ? depth : deepest;
    }
    *ret_depth = deepest + 1;
    return nodes;
}

/* The plan that the view was made with: a copy, for it becomes part of another. */
static enum kp_code take_plan(struct binder *binder, const struct kp_plan *plan, int32_t location,
                              struct kp_plan **ret_plan)
{
    uint32_t depth;
    binder->nodes += measure(plan, &depth);
    KP_TRY(kp_bind_check_nodes(binder, location));
    if (depth > KP_PLAN_DEPTH_MAX)
        return kp_bind_fail(binder, location, KP_LIMIT, "54001", "views are nested too deeply");
    *ret_plan = kp_plan_copy(plan, binder->arena);
    return KP_OK;
}

enum kp_code kp_bind_plain_view(struct binder *binder, struct kp_relation *view, int32_t location,
                                struct kp_plan **ret_plan)
{
    kp_bind_use(binder, view);
    if (view_is_current(binder->context->catalog, view))
        return take_plan(binder, view->plan->plan, location, ret_plan);
    for (const struct view_chain *at = binder->views; at; at = at->outer)
        if (at->view == view) /* a log from when a view could be replaced by one that reads it */
            return kp_bind_fail(binder, location, KP_INVALID, "42P17",
                                "infinite recursion detected in rules for relation \"%s\"", view->name);
    struct kp_plan *plan;
    struct kp_statement *statement = NULL;
    uint32_t count;
    enum kp_code code = bind_again(binder, view, &plan, &statement, &count);
    if (code != KP_OK) {
        kp_error_context(binder->err, "view \"%s\"", view->name);
        binder->err->position = 0; /* it would be one of the view's text */
        return code;
    }
    for (uint32_t i = 0; i < statement->column_name_count && i < count; i++)
        plan->cols[i].name = statement->column_names[i];
    struct kp_expr **exprs = kp_arena_alloc(binder->arena, (view->col_count + 1) * sizeof *exprs);
    const char **names = kp_arena_alloc(binder->arena, (view->col_count + 1) * sizeof *names);
    for (uint32_t i = 0; i < view->col_count; i++) {
        uint32_t at = 0;
        while (at < count && strcmp(plan->cols[at].name, view->cols[i].name) != 0)
            at++;
        if (at == count)
            return kp_bind_fail(binder, location, KP_NOT_FOUND, "42703",
                                "column \"%s\" of view \"%s\" is no longer in what it reads", view->cols[i].name,
                                view->name);
        exprs[i] = kp_bind_column(binder, at, plan->cols[at].type, -1);
        names[i] = view->cols[i].name;
    }
    *ret_plan = kp_bind_project(binder, plan, exprs, names, view->col_count);
    return KP_OK;
}

enum kp_code kp_bind_check_replace(struct binder *binder, const struct kp_relation *old, const struct kp_relation *view)
{
    int32_t location = -1;
    if (old->kind != KP_RELATION_PLAIN_VIEW)
        return kp_bind_fail(binder, location, KP_INVALID, "42809", "\"%s\" is not a view", old->name);
    if (view->col_count < old->col_count)
        return kp_bind_fail(binder, location, KP_INVALID, "42P16", "cannot drop columns from view");
    for (uint32_t i = 0; i < old->col_count; i++) {
        const struct kp_column *from = &old->cols[i], *to = &view->cols[i];
        if (strcmp(from->name, to->name) != 0) {
            kp_bind_fail(binder, location, KP_INVALID, "42P16", "cannot change name of view column \"%s\" to \"%s\"",
                         from->name, to->name);
            return kp_error_hint(binder->err,
                                 "Use ALTER VIEW ... RENAME COLUMN ... to change name of view column instead.");
        }
        if (!kp_type_equal(from->type, to->type))
            return kp_bind_fail(binder, location, KP_INVALID, "42P16",
                                "cannot change data type of view column \"%s\" from %s to %s", from->name,
                                kp_type_info(from->type.id)->name, kp_type_info(to->type.id)->name);
    }
    return KP_OK;
}
