/*
 * MATCH_RECOGNIZE to a plan: its variables, its pattern as a program, its conditions and measures over navigations.
 *
 * ONE ROW PER MATCH yields the partition's columns and the measures; ALL ROWS PER MATCH those of partition and order,
 * the measures, and the relation's other columns. Rows that ORDER BY leaves equal follow the whole row.
 */
#include "sql/bind.h"
#include "sql/match.h"

/* ---- the pattern ---- */

static enum kp_code add_variables(struct binder *binder, struct kp_plan_match *match, const struct sql_match_term *term)
{
    for (uint32_t i = 0; i < term->part_count; i++)
        KP_TRY(add_variables(binder, match, term->parts[i]));
    if (term->kind != MATCH_VARIABLE)
        return KP_OK;
    for (uint32_t i = 0; i < match->variable_count; i++)
        if (strcmp(match->variables[i], term->name) == 0)
            return KP_OK;
    if (match->variable_count == KP_MATCH_VARIABLES_MAX)
        return kp_bind_fail(binder, term->location, KP_LIMIT, "54000", "a pattern can have at most %d variables",
                            KP_MATCH_VARIABLES_MAX);
    match->variables[match->variable_count++] = kp_arena_strdup(binder->arena, term->name);
    return KP_OK;
}

static uint32_t variable_of(const struct kp_plan_match *match, const char *name)
{
    uint32_t v = 0;
    while (v < match->variable_count && strcmp(match->variables[v], name) != 0)
        v++;
    return v;
}

static bool matches_nothing(const struct sql_match_term *term)
{
    bool all = term->kind == MATCH_SEQUENCE, any = false;
    for (uint32_t i = 0; i < term->part_count; i++) {
        bool nothing = matches_nothing(term->parts[i]);
        all &= nothing;
        any |= nothing;
    }
    switch (term->kind) {
    case MATCH_VARIABLE:
        return false;
    case MATCH_SEQUENCE:
        return all;
    case MATCH_REPEAT:
        return any || term->min == 0;
    default:
        return any;
    }
}

static enum kp_code add_op(struct binder *binder, struct kp_plan_match *match, int32_t location,
                           enum kp_match_code code, uint32_t a)
{
    if (match->op_count == KP_MATCH_OPS_MAX)
        return kp_bind_fail(binder, location, KP_LIMIT, "54000",
                            "the pattern is too big: more than %d steps when its repetitions are written out",
                            KP_MATCH_OPS_MAX);
    match->ops[match->op_count++] = (struct kp_match_op){.code = code, .a = a};
    return KP_OK;
}

static enum kp_code compile(struct binder *binder, struct kp_plan_match *match, const struct sql_match_term *term);

/* A split whose preferred way is the next op, or, reluctantly, the one that to_second leads to. */
static void set_split(struct kp_plan_match *match, uint32_t split, uint32_t other, bool reluctant)
{
    match->ops[split].a = reluctant ? other : split + 1;
    match->ops[split].b = reluctant ? split + 1 : other;
}

/*
 *   {n}: the part n times.   {n,m}: and m - n times   split over to the end; part
 *   {n,}: and                L: split over to the end; part; jump L
 */
static enum kp_code compile_repeat(struct binder *binder, struct kp_plan_match *match,
                                   const struct sql_match_term *term)
{
    const struct sql_match_term *part = term->parts[0];
    if (term->max == UINT32_MAX && matches_nothing(part))
        return kp_bind_fail(binder, term->location, KP_UNSUPPORTED, NULL,
                            "a part of a pattern that may match nothing cannot be repeated without end");
    for (uint32_t i = 0; i < term->min; i++)
        KP_TRY(compile(binder, match, part));
    uint32_t first = match->op_count, more = term->max == UINT32_MAX ? 1 : term->max - term->min;
    uint32_t *splits = kp_arena_alloc(binder->arena, (more + 1) * sizeof *splits);
    for (uint32_t i = 0; i < more; i++) {
        splits[i] = match->op_count;
        KP_TRY(add_op(binder, match, term->location, KP_MATCH_SPLIT, 0));
        KP_TRY(compile(binder, match, part));
    }
    if (term->max == UINT32_MAX)
        KP_TRY(add_op(binder, match, term->location, KP_MATCH_JUMP, first));
    for (uint32_t i = 0; i < more; i++)
        set_split(match, splits[i], match->op_count, term->reluctant);
    return KP_OK;
}

/* split to the next way; way; jump to the end … the last way */
static enum kp_code compile_choice(struct binder *binder, struct kp_plan_match *match,
                                   const struct sql_match_term *term)
{
    uint32_t *jumps = kp_arena_alloc(binder->arena, term->part_count * sizeof *jumps);
    for (uint32_t i = 0; i < term->part_count; i++) {
        uint32_t split = match->op_count;
        bool last = i + 1 == term->part_count;
        if (!last)
            KP_TRY(add_op(binder, match, term->location, KP_MATCH_SPLIT, 0));
        KP_TRY(compile(binder, match, term->parts[i]));
        jumps[i] = match->op_count;
        if (last)
            break;
        KP_TRY(add_op(binder, match, term->location, KP_MATCH_JUMP, 0));
        set_split(match, split, match->op_count, false);
    }
    for (uint32_t i = 0; i + 1 < term->part_count; i++)
        match->ops[jumps[i]].a = match->op_count;
    return KP_OK;
}

static enum kp_code compile(struct binder *binder, struct kp_plan_match *match, const struct sql_match_term *term)
{
    switch (term->kind) {
    case MATCH_VARIABLE:
        return add_op(binder, match, term->location, KP_MATCH_ROW, variable_of(match, term->name));
    case MATCH_REPEAT:
        return compile_repeat(binder, match, term);
    case MATCH_CHOICE:
        return compile_choice(binder, match, term);
    default:
        for (uint32_t i = 0; i < term->part_count; i++)
            KP_TRY(compile(binder, match, term->parts[i]));
        return KP_OK;
    }
}

static enum kp_code bind_pattern(struct binder *binder, const struct sql_match *written, struct kp_plan_match *match)
{
    match->variables = kp_arena_calloc(binder->arena, KP_MATCH_VARIABLES_MAX * sizeof *match->variables);
    KP_TRY(add_variables(binder, match, written->pattern));
    if (matches_nothing(written->pattern)) {
        kp_bind_fail(binder, written->pattern->location, KP_UNSUPPORTED, NULL,
                     "a pattern that may match nothing is not supported");
        return kp_error_hint(binder->err, "Let at least one variable be without * and ?, as in A B*.");
    }
    match->ops = kp_arena_calloc(binder->arena, KP_MATCH_OPS_MAX * sizeof *match->ops);
    KP_TRY(compile(binder, match, written->pattern));
    return add_op(binder, match, written->pattern->location, KP_MATCH_END, 0);
}

/* ---- names ---- */

static enum kp_code add_name(struct binder *binder, struct match_scope *scope, const char *name, uint64_t variables,
                             int32_t location)
{
    for (uint32_t i = 0; i < scope->name_count; i++)
        if (strcmp(scope->names[i], name) == 0)
            return kp_bind_fail(binder, location, KP_INVALID, "42712", "variable \"%s\" specified more than once",
                                name);
    scope->names[scope->name_count] = name;
    scope->variables[scope->name_count++] = variables;
    return KP_OK;
}

static enum kp_code bind_names(struct binder *binder, const struct sql_match *written, struct match_scope *scope)
{
    const struct kp_plan_match *match = scope->match;
    uint32_t most = match->variable_count + written->subset_count;
    scope->names = kp_arena_calloc(binder->arena, (most + 1) * sizeof *scope->names);
    scope->variables = kp_arena_calloc(binder->arena, (most + 1) * sizeof *scope->variables);
    for (uint32_t v = 0; v < match->variable_count; v++)
        KP_TRY(add_name(binder, scope, match->variables[v], (uint64_t)1 << v, -1));
    for (uint32_t i = 0; i < written->subset_count; i++) {
        const struct sql_match_subset *subset = &written->subsets[i];
        uint64_t variables = 0;
        for (uint32_t m = 0; m < subset->member_count; m++) {
            uint32_t v = variable_of(match, subset->members[m]);
            if (v == match->variable_count)
                return kp_bind_fail(binder, subset->location, KP_NOT_FOUND, "42P01",
                                    "\"%s\" in SUBSET is not a variable of PATTERN", subset->members[m]);
            variables |= (uint64_t)1 << v;
        }
        KP_TRY(add_name(binder, scope, subset->name, variables, subset->location));
    }
    return KP_OK;
}

/* ---- partitions, order, WITHIN ---- */

static enum kp_code find_column(struct binder *binder, const struct scope *scope, const PgQuery__Node *node,
                                const char *clause, uint32_t *ret_column)
{
    struct expr_place place = {.scope = scope, .clause = clause};
    struct kp_expr *expr;
    KP_TRY(kp_bind_expr(binder, &place, node, &expr));
    if (expr->kind != KP_EXPR_COLUMN || expr->column >= KP_SUB_BASE) {
        kp_bind_fail(binder, kp_tree_location(node), KP_UNSUPPORTED, NULL, "%s of MATCH_RECOGNIZE takes columns",
                     clause);
        return kp_error_hint(binder->err, "Compute it in WITH, and match what that yields.");
    }
    *ret_column = expr->column;
    return KP_OK;
}

static enum kp_code bind_keys(struct binder *binder, const struct sql_match *written, const struct scope *scope,
                              struct kp_plan_match *match)
{
    const PgQuery__SelectStmt *by = written->partitions, *order = written->orders;
    match->partition_count = by ? (uint32_t)by->n_target_list : 0;
    match->partitions = kp_arena_calloc(binder->arena, (match->partition_count + 1) * sizeof(uint32_t));
    for (uint32_t i = 0; i < match->partition_count; i++)
        KP_TRY(find_column(binder, scope, by->target_list[i]->res_target->val, "PARTITION BY", &match->partitions[i]));
    match->keys = kp_arena_calloc(binder->arena, (order->n_sort_clause + scope->count + 1) * sizeof *match->keys);
    for (size_t i = 0; i < order->n_sort_clause; i++) {
        const PgQuery__SortBy *sort = order->sort_clause[i]->sort_by;
        struct kp_sort_key *key = &match->keys[match->key_count++];
        KP_TRY(find_column(binder, scope, sort->node, "ORDER BY", &key->column));
        key->descending = sort->sortby_dir == PG_QUERY__SORT_BY_DIR__SORTBY_DESC;
        key->nulls_first = sort->sortby_nulls == PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_FIRST ||
                           (key->descending && sort->sortby_nulls != PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_LAST);
    }
    match->order_count = match->key_count;
    for (uint32_t c = 0; c < scope->count; c++) { /* ties follow the whole row */
        bool known = scope->cols[c].hidden;
        for (uint32_t k = 0; k < match->key_count; k++)
            known |= match->keys[k].column == scope->cols[c].index;
        if (!known)
            match->keys[match->key_count++] = (struct kp_sort_key){.column = scope->cols[c].index};
    }
    return KP_OK;
}

static enum kp_code bind_within(struct binder *binder, const struct sql_match *written, const struct kp_plan *input,
                                struct kp_plan_match *match)
{
    static const struct scope nothing;
    struct expr_place place = {.scope = &nothing, .clause = "WITHIN"};
    struct kp_expr *expr;
    if (!written->within)
        return KP_OK;
    int32_t location = kp_tree_location(written->within);
    KP_TRY(kp_bind_expr(binder, &place, written->within, &expr));
    if (expr->type.id != KP_INTERVAL || expr->kind != KP_EXPR_CONST || expr->datum.null)
        return kp_bind_fail(binder, location, KP_INVALID, "42601",
                            "WITHIN takes an interval: WITHIN INTERVAL '1 hour'");
    struct kp_interval interval = expr->datum.interval;
    if (interval.months)
        return kp_bind_fail(binder, location, KP_UNSUPPORTED, NULL, "WITHIN takes no months or years");
    match->within = interval.us + (int64_t)interval.days * 86400000000;
    if (match->within <= 0)
        return kp_bind_fail(binder, location, KP_INVALID, "22023", "WITHIN must be positive");
    enum kp_type_id type = input->cols[match->keys[0].column].type.id;
    if ((type != KP_TIMESTAMP && type != KP_TIMESTAMPTZ && type != KP_DATE) || match->keys[0].descending)
        return kp_bind_fail(binder, location, KP_INVALID, "42804",
                            "WITHIN needs a timestamp or date, ascending, as the first column of ORDER BY");
    return KP_OK;
}

/* ---- conditions, measures ---- */

static enum kp_code bind_defines(struct binder *binder, const struct sql_match *written, struct match_scope *scope)
{
    static const struct scope nothing;
    struct kp_plan_match *match = scope->match;
    struct expr_place place = {.scope = &nothing, .clause = "DEFINE", .match = scope};
    match->defines = kp_arena_calloc(binder->arena, (match->variable_count + 1) * sizeof *match->defines);
    for (uint32_t i = 0; i < written->define_count; i++) {
        const struct sql_match_define *define = &written->defines[i];
        uint32_t v = variable_of(match, define->name);
        if (v == match->variable_count)
            return kp_bind_fail(binder, define->location, KP_NOT_FOUND, "42P01",
                                "\"%s\" in DEFINE is not a variable of PATTERN", define->name);
        if (match->defines[v])
            return kp_bind_fail(binder, define->location, KP_INVALID, "42712", "variable \"%s\" is defined twice",
                                define->name);
        KP_TRY(kp_bind_expr(binder, &place, define->expr, &match->defines[v]));
        KP_TRY(kp_bind_to_bool(binder, match->defines[v], "DEFINE", &match->defines[v]));
    }
    return KP_OK;
}

static enum kp_code bind_measures(struct binder *binder, const struct sql_match *written, struct match_scope *scope,
                                  const char ***ret_names)
{
    static const struct scope nothing;
    struct kp_plan_match *match = scope->match;
    const PgQuery__SelectStmt *measures = written->measures;
    struct expr_place place = {.scope = &nothing, .clause = "MEASURES", .match = scope};
    match->measure_count = measures ? (uint32_t)measures->n_target_list : 0;
    match->measures = kp_arena_calloc(binder->arena, (match->measure_count + 1) * sizeof *match->measures);
    *ret_names = kp_arena_calloc(binder->arena, (match->measure_count + 1) * sizeof **ret_names);
    scope->measures = true;
    for (uint32_t i = 0; i < match->measure_count; i++) {
        const PgQuery__ResTarget *item = measures->target_list[i]->res_target;
        KP_TRY(kp_bind_expr(binder, &place, item->val, &match->measures[i]));
        KP_TRY(kp_bind_settle_unknown(binder, match->measures[i], &match->measures[i]));
        (*ret_names)[i] = item->name[0] ? item->name : kp_bind_output_name(item->val);
    }
    return KP_OK;
}

static enum kp_code bind_skip(struct binder *binder, const struct sql_match *written, const struct match_scope *scope)
{
    scope->match->skip = written->skip;
    for (uint32_t i = 0; written->skip_to && i < scope->name_count; i++)
        if (strcmp(scope->names[i], written->skip_to) == 0)
            scope->match->skip_variables = scope->variables[i];
    if (written->skip_to && !scope->match->skip_variables)
        return kp_bind_fail(binder, written->skip_location, KP_NOT_FOUND, "42P01",
                            "\"%s\" in AFTER MATCH SKIP is not a variable of PATTERN, nor of SUBSET", written->skip_to);
    return KP_OK;
}

/* ---- the node ---- */

static void show(struct kp_plan_match *match, uint32_t column)
{
    for (uint32_t i = 0; i < match->shown_count; i++)
        if (match->shown[i] == column)
            return;
    match->shown[match->shown_count++] = column;
}

/* Which of the relation's columns come before the measures; ret_front: how many of them. */
static void choose_shown(struct binder *binder, const struct scope *scope, struct kp_plan_match *match,
                         uint32_t *ret_front)
{
    match->shown = kp_arena_calloc(binder->arena, (scope->count + 1) * sizeof(uint32_t));
    for (uint32_t i = 0; i < match->partition_count; i++)
        show(match, match->partitions[i]);
    for (uint32_t i = 0; match->all_rows && i < match->order_count; i++)
        show(match, match->keys[i].column);
    *ret_front = match->shown_count;
    for (uint32_t c = 0; match->all_rows && c < scope->count; c++)
        if (!scope->cols[c].hidden)
            show(match, scope->cols[c].index);
}

static struct kp_plan *match_node(struct binder *binder, struct kp_plan *input, struct kp_plan_match *match,
                                  const char *const *names, int32_t location, uint32_t front)
{
    uint32_t shown = match->shown_count, count = shown + match->measure_count;
    struct kp_plan *plan = kp_bind_node(binder, KP_PLAN_MATCH, location, count, 1);
    plan->inputs[0] = input;
    plan->match = match;
    for (uint32_t i = 0; i < shown; i++)
        plan->cols[i] = input->cols[match->shown[i]];
    for (uint32_t i = 0; i < match->measure_count; i++)
        plan->cols[shown + i] = (struct kp_column){names[i], match->measures[i]->type, false};
    if (front == shown)
        return plan;
    struct kp_expr **exprs = kp_arena_alloc(binder->arena, count * sizeof *exprs); /* the measures stand between */
    for (uint32_t i = 0; i < count; i++) {
        uint32_t from = i < front ? i : i < front + match->measure_count ? i - front + shown : i - match->measure_count;
        exprs[i] = kp_bind_column(binder, from, plan->cols[from].type, -1);
    }
    return kp_bind_project(binder, plan, exprs, NULL, count);
}

enum kp_code kp_bind_match(struct binder *binder, const PgQuery__RangeVar *range, struct kp_plan **plan)
{
    const struct kp_sql_marks *marks = binder->statement->marks;
    const struct sql_match *written = NULL;
    for (uint32_t i = 0; marks && i < marks->match_count; i++)
        if (marks->matches[i]->relation == range->location)
            written = marks->matches[i];
    if (!written || range->location < 0)
        return KP_OK;
    struct kp_plan *input = *plan;
    struct scope columns = {0};
    kp_scope_add_plan(binder, &columns, range->relname, input, 0);
    struct kp_plan_match *match = kp_arena_calloc(binder->arena, sizeof *match);
    struct match_scope scope = {.match = match, .written = written, .input = &columns};
    match->all_rows = written->all_rows;
    KP_TRY(bind_pattern(binder, written, match));
    KP_TRY(bind_names(binder, written, &scope));
    KP_TRY(bind_keys(binder, written, &columns, match));
    KP_TRY(bind_within(binder, written, input, match));
    const char **names;
    KP_TRY(bind_defines(binder, written, &scope));
    KP_TRY(bind_measures(binder, written, &scope, &names));
    KP_TRY(bind_skip(binder, written, &scope));
    uint32_t front;
    choose_shown(binder, &columns, match, &front);
    if (match->shown_count + match->measure_count == 0)
        return kp_bind_fail(binder, written->location, KP_INVALID, "42601",
                            "MATCH_RECOGNIZE without PARTITION BY and MEASURES has no columns");
    *plan = match_node(binder, input, match, names, written->location, front);
    return KP_OK;
}
