/*
 * Window functions. A call with OVER is bound over the query's input and stands in the expression as a column of
 * KP_OVER_BASE; when the input's plan is there (joins, groups), the calls with equal PARTITION BY and ORDER BY become
 * an Over each, one above the other, and the columns are replaced.
 *
 *   Project ─ Over: row_number() … ─ [Project: input's columns, keys and arguments that are expressions] ─ input
 *
 * Rows that ORDER BY leaves equal are told apart by the whole row: all columns of FROM, or of GROUP BY. Where that
 * cannot be seen (rank, frames of whole peers) it is left out, and with it the columns. DISTINCT ON is row_number()
 * = 1.
 */
#include "sql/function.h"
#include "vec/numeric.h"

/* Of PostgreSQL's parser: WindowDef.frameOptions. */
enum {
    FRAME_RANGE = 0x2,
    FRAME_ROWS = 0x4,
    FRAME_GROUPS = 0x8,
    FRAME_START_FIRST = 0x20,
    FRAME_END_LAST = 0x100,
    FRAME_START_CURRENT = 0x200,
    FRAME_END_CURRENT = 0x400,
    FRAME_START_PRECEDING = 0x800,
    FRAME_END_PRECEDING = 0x1000,
    FRAME_START_FOLLOWING = 0x2000,
    FRAME_END_FOLLOWING = 0x4000,
    FRAME_EXCLUDE_CURRENT = 0x8000,
    FRAME_EXCLUDE_GROUP = 0x10000,
    FRAME_EXCLUDE_TIES = 0x20000,
    FRAME_DEFAULTS = FRAME_RANGE | FRAME_START_FIRST | FRAME_END_CURRENT
};

static const struct over_rule {
    const char *name;
    enum kp_over_kind kind;
    uint8_t args_min, args_max;
    enum kp_type_id type; /* KP_ANY: the first argument's */
} rules[] = {
    {"row_number", KP_OVER_ROW_NUMBER, 0, 0, KP_INT8},
    {"rank", KP_OVER_RANK, 0, 0, KP_INT8},
    {"dense_rank", KP_OVER_DENSE_RANK, 0, 0, KP_INT8},
    {"percent_rank", KP_OVER_PERCENT_RANK, 0, 0, KP_FLOAT8},
    {"cume_dist", KP_OVER_CUME_DIST, 0, 0, KP_FLOAT8},
    {"ntile", KP_OVER_NTILE, 1, 1, KP_INT4},
    {"lag", KP_OVER_LAG, 1, 3, KP_ANY},
    {"lead", KP_OVER_LEAD, 1, 3, KP_ANY},
    {"first_value", KP_OVER_FIRST_VALUE, 1, 1, KP_ANY},
    {"last_value", KP_OVER_LAST_VALUE, 1, 1, KP_ANY},
    {"nth_value", KP_OVER_NTH_VALUE, 2, 2, KP_ANY},
};

static const struct over_rule *find_rule(const char *name)
{
    for (size_t i = 0; i < KP_COUNT(rules); i++)
        if (strcmp(rules[i].name, name) == 0)
            return &rules[i];
    return NULL;
}

bool kp_sql_window_function(uint32_t n, const char **ret_name)
{
    if (n >= KP_COUNT(rules))
        return false;
    *ret_name = rules[n].name;
    return true;
}

bool kp_bind_is_over(const char *name)
{
    return find_rule(name) != NULL;
}

static bool takes(const struct over_rule *rule, const PgQuery__FuncCall *call)
{
    return call->n_args >= rule->args_min && call->n_args <= rule->args_max && !call->agg_star;
}

enum kp_code kp_bind_over_missing(struct binder *binder, const struct expr_place *place, const PgQuery__FuncCall *call,
                                  const char *name)
{
    struct kp_expr **args;
    uint32_t count;
    if (takes(find_rule(name), call))
        return kp_bind_fail(binder, call->location, KP_INVALID, "42809", "window function %s requires an OVER clause",
                            name);
    KP_TRY(kp_bind_call_args(binder, place, call, name, &args, &count));
    return kp_bind_no_function(binder, name, args, count, call->location);
}

/* ---- one call ---- */

/* Among the first `count` of the WINDOW clause. */
static enum kp_code find_window(struct binder *binder, const PgQuery__SelectStmt *select, size_t count,
                                const char *name, int32_t location, size_t *ret_at)
{
    for (size_t i = 0; i < count; i++) {
        *ret_at = i;
        if (strcmp(select->window_clause[i]->window_def->name, name) == 0)
            return KP_OK;
    }
    return kp_bind_fail(binder, location, KP_NOT_FOUND, "42704", "window \"%s\" does not exist", name);
}

static enum kp_code bind_list(struct binder *binder, const struct expr_place *place, PgQuery__Node *const *nodes,
                              size_t count, struct kp_expr ***ret_exprs, uint32_t *ret_count)
{
    struct kp_expr **exprs = kp_arena_calloc(binder->arena, (count + 1) * sizeof *exprs);
    for (size_t i = 0; i < count; i++) {
        KP_TRY(kp_bind_expr(binder, place, nodes[i], &exprs[i]));
        KP_TRY(kp_bind_settle_unknown(binder, exprs[i], &exprs[i]));
        KP_TRY(kp_bind_must_compare(binder, exprs[i]->type.id, "equality", exprs[i]->location));
    }
    *ret_exprs = exprs;
    *ret_count = (uint32_t)count;
    return KP_OK;
}

static enum kp_code bind_orders(struct binder *binder, const struct expr_place *place, PgQuery__Node *const *nodes,
                                size_t count, struct over_item *item)
{
    item->orders = kp_arena_calloc(binder->arena, (count + 1) * sizeof *item->orders);
    item->keys = kp_arena_calloc(binder->arena, (count + 1) * sizeof *item->keys);
    for (size_t i = 0; i < count; i++) {
        const PgQuery__SortBy *by = nodes[i]->sort_by;
        if (by->sortby_dir == PG_QUERY__SORT_BY_DIR__SORTBY_USING)
            return kp_bind_fail(binder, by->location, KP_UNSUPPORTED, NULL, "ORDER BY … USING is not supported");
        KP_TRY(kp_bind_expr(binder, place, by->node, &item->orders[i]));
        KP_TRY(kp_bind_settle_unknown(binder, item->orders[i], &item->orders[i]));
        KP_TRY(kp_bind_must_compare(binder, item->orders[i]->type.id, "ordering", item->orders[i]->location));
        item->keys[i].descending = by->sortby_dir == PG_QUERY__SORT_BY_DIR__SORTBY_DESC;
        item->keys[i].nulls_first =
            by->sortby_nulls == PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_FIRST ||
            (item->keys[i].descending && by->sortby_nulls != PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_LAST);
    }
    item->order_count = (uint32_t)count;
    return KP_OK;
}

static enum kp_code offset_value(struct binder *binder, const PgQuery__Node *node, bool end, enum kp_frame_mode mode,
                                 struct kp_expr **ret_expr)
{
    static const char *const modes[] = {"ROWS", "RANGE", "GROUPS"};
    if (node->node_case == PG_QUERY__NODE__NODE_COLUMN_REF)
        return kp_bind_fail(binder, kp_tree_location(node), KP_INVALID, "42P10",
                            "argument of %s must not contain variables", modes[mode]);
    static const struct scope nothing;
    struct expr_place place = {.scope = &nothing, .clause = "a window's frame"};
    KP_TRY(kp_bind_expr(binder, &place, node, ret_expr));
    const struct kp_expr *expr = *ret_expr;
    const char *what = end ? "ending" : "starting";
    if (expr->kind != KP_EXPR_CONST)
        return kp_bind_fail(binder, kp_tree_location(node), KP_UNSUPPORTED, NULL, "frame %s offset must be a constant",
                            what);
    if (expr->datum.null)
        return kp_bind_fail(binder, kp_tree_location(node), KP_INVALID, "22004", "frame %s offset must not be null",
                            what);
    return KP_OK;
}

static enum kp_code bind_offset(struct binder *binder, const PgQuery__Node *node, bool end, enum kp_frame_mode mode,
                                int64_t *ret_offset)
{
    struct kp_expr *expr;
    KP_TRY(offset_value(binder, node, end, mode, &expr));
    KP_TRY(kp_bind_coerce(binder, expr, KP_TYPE(KP_INT8), COERCE_IMPLICIT, &expr));
    if (expr->datum.i64 < 0)
        return kp_bind_fail(binder, kp_tree_location(node), KP_INVALID, "22013", "frame %s offset must not be negative",
                            end ? "ending" : "starting");
    *ret_offset = expr->datum.i64;
    return KP_OK;
}

/* The type of offsets from a key; NONE: it takes none. */
static enum kp_type_id offset_type(enum kp_type_id key)
{
    switch (key) {
    case KP_INT2:
    case KP_INT4:
    case KP_INT8:
        return KP_INT8;
    case KP_FLOAT4:
    case KP_FLOAT8:
        return KP_FLOAT8;
    case KP_NUMERIC:
        return KP_NUMERIC;
    case KP_DATE:
    case KP_TIME:
    case KP_TIMETZ:
    case KP_TIMESTAMP:
    case KP_TIMESTAMPTZ:
    case KP_INTERVAL:
        return KP_INTERVAL;
    default:
        return KP_TYPE_NONE;
    }
}

static bool is_negative(const struct kp_datum *value, enum kp_type_id key)
{
    static const struct kp_interval zero;
    switch (value->type.id) {
    case KP_FLOAT8:
        return !(value->f64 >= 0);
    case KP_NUMERIC:
        return kp_numeric_is_nan(&value->numeric) || kp_numeric_sign(&value->numeric) < 0;
    case KP_INTERVAL:
        return key == KP_TIME || key == KP_TIMETZ ? value->interval.us < 0
                                                  : kp_value_compare(KP_INTERVAL, &value->interval, &zero) < 0;
    default:
        return value->i64 < 0;
    }
}

static enum kp_code bind_range(struct binder *binder, const PgQuery__Node *node, bool end, const struct over_item *item,
                               struct kp_expr **ret_range)
{
    int32_t location = kp_tree_location(node);
    enum kp_type_id key = item->orders[0]->type.id, type = offset_type(key);
    struct kp_expr *expr;
    KP_TRY(offset_value(binder, node, end, KP_FRAME_RANGE, &expr));
    if (type == KP_TYPE_NONE)
        return kp_bind_fail(binder, location, KP_UNSUPPORTED, NULL,
                            "RANGE with offset PRECEDING/FOLLOWING is not supported for column type %s",
                            kp_type_info(key)->name);
    if (!kp_can_coerce(expr->type.id, type, COERCE_IMPLICIT)) {
        kp_bind_fail(binder, location, KP_UNSUPPORTED, NULL,
                     "RANGE with offset PRECEDING/FOLLOWING is not supported for column type %s and offset type %s",
                     kp_type_info(key)->name, kp_type_info(expr->type.id)->name);
        return kp_error_hint(binder->err, "Cast the offset value to an appropriate type.");
    }
    KP_TRY(kp_bind_coerce(binder, expr, KP_TYPE(type), COERCE_IMPLICIT, ret_range));
    if ((*ret_range)->kind != KP_EXPR_CONST)
        return kp_bind_fail(binder, location, KP_UNSUPPORTED, NULL, "frame %s offset must be a constant",
                            end ? "ending" : "starting");
    if (is_negative(&(*ret_range)->datum, key))
        return kp_bind_fail(binder, -1, KP_INVALID, "22013", "invalid preceding or following size in window function");
    return KP_OK;
}

static enum kp_code bind_offsets(struct binder *binder, const PgQuery__WindowDef *def, const struct over_item *item,
                                 struct kp_plan_frame *frame)
{
    const PgQuery__Node *nodes[2] = {def->start_offset, def->end_offset};
    bool range = frame->mode == KP_FRAME_RANGE;
    if (range && (nodes[0] || nodes[1]) && item->order_count != 1)
        return kp_bind_fail(binder, def->location, KP_INVALID, "42P20",
                            "RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column");
    for (int end = 0; end < 2; end++) {
        if (!nodes[end])
            continue;
        if (range)
            KP_TRY(bind_range(binder, nodes[end], end, item, &frame->ranges[end]));
        else
            KP_TRY(bind_offset(binder, nodes[end], end, frame->mode, end ? &frame->end_offset : &frame->start_offset));
    }
    return KP_OK;
}

static enum kp_code bind_frame(struct binder *binder, const PgQuery__WindowDef *def, struct over_item *item)
{
    int32_t options = def->frame_options;
    struct kp_plan_frame *frame = &item->call.frame;
    frame->mode = options & FRAME_ROWS ? KP_FRAME_ROWS : options & FRAME_GROUPS ? KP_FRAME_GROUPS : KP_FRAME_RANGE;
    frame->start = options & FRAME_START_FIRST       ? KP_BOUND_FIRST
                   : options & FRAME_START_PRECEDING ? KP_BOUND_PRECEDING
                   : options & FRAME_START_CURRENT   ? KP_BOUND_CURRENT
                                                     : KP_BOUND_FOLLOWING;
    frame->end = options & FRAME_END_LAST        ? KP_BOUND_LAST
                 : options & FRAME_END_FOLLOWING ? KP_BOUND_FOLLOWING
                 : options & FRAME_END_CURRENT   ? KP_BOUND_CURRENT
                                                 : KP_BOUND_PRECEDING;
    frame->exclude = options & FRAME_EXCLUDE_CURRENT ? KP_EXCLUDE_CURRENT
                     : options & FRAME_EXCLUDE_GROUP ? KP_EXCLUDE_GROUP
                     : options & FRAME_EXCLUDE_TIES  ? KP_EXCLUDE_TIES
                                                     : KP_EXCLUDE_NONE;
    if (frame->mode == KP_FRAME_GROUPS && !item->order_count)
        return kp_bind_fail(binder, def->location, KP_INVALID, "42P20", "GROUPS mode requires an ORDER BY clause");
    return bind_offsets(binder, def, item, frame);
}

/* What a window's definition and those that it copies say. */
struct window_parts {
    const PgQuery__WindowDef *partition, *order;
};

/* at: its place in the WINDOW clause: it copies only windows before it; select->n_window_clause: it is an OVER's. */
static enum kp_code copy_window(struct binder *binder, const PgQuery__SelectStmt *select, const PgQuery__WindowDef *def,
                                size_t at, struct window_parts *ret_parts)
{
    *ret_parts = (struct window_parts){def, def};
    if (!def->refname[0])
        return KP_OK;
    size_t base_at;
    KP_TRY(find_window(binder, select, at, def->refname, def->location, &base_at));
    const PgQuery__WindowDef *base = select->window_clause[base_at]->window_def;
    KP_TRY(copy_window(binder, select, base, base_at, ret_parts));
    if (def->n_partition_clause)
        return kp_bind_fail(binder, def->location, KP_INVALID, "42P20",
                            "cannot override PARTITION BY clause of window \"%s\"", def->refname);
    if (def->n_order_clause && ret_parts->order->n_order_clause)
        return kp_bind_fail(binder, def->location, KP_INVALID, "42P20",
                            "cannot override ORDER BY clause of window \"%s\"", def->refname);
    if (base->frame_options != FRAME_DEFAULTS) {
        kp_bind_fail(binder, def->location, KP_INVALID, "42P20",
                     "cannot copy window \"%s\" because it has a frame clause", def->refname);
        if (!def->name[0] && !def->n_order_clause && def->frame_options == FRAME_DEFAULTS)
            kp_error_hint(binder->err, "Omit the parentheses in this OVER clause.");
        return KP_INVALID;
    }
    if (def->n_order_clause)
        ret_parts->order = def;
    return KP_OK;
}

/* OVER name, OVER (name …), OVER (…). */
static enum kp_code bind_window(struct binder *binder, const struct expr_place *place,
                                const PgQuery__SelectStmt *select, const PgQuery__WindowDef *over,
                                struct over_item *item)
{
    const PgQuery__WindowDef *def = over;
    struct window_parts parts;
    size_t at = select->n_window_clause;
    if (over->name[0]) {
        KP_TRY(find_window(binder, select, at, over->name, over->location, &at));
        def = select->window_clause[at]->window_def;
    }
    KP_TRY(copy_window(binder, select, def, at, &parts));
    KP_TRY(bind_list(binder, place, parts.partition->partition_clause, parts.partition->n_partition_clause,
                     &item->partitions, &item->partition_count));
    KP_TRY(bind_orders(binder, place, parts.order->order_clause, parts.order->n_order_clause, item));
    return bind_frame(binder, def, item);
}

static enum kp_code bind_values(struct binder *binder, const PgQuery__FuncCall *call, const struct over_rule *rule,
                                struct over_item *item)
{
    struct kp_expr **args = item->args;
    if (!takes(rule, call))
        return kp_bind_no_function(binder, rule->name, args, (uint32_t)call->n_args, call->location);
    item->call.kind = rule->kind;
    if (rule->type == KP_ANY && args[0]->type.id == KP_UNKNOWN && (call->n_args < 3 || args[2]->type.id == KP_UNKNOWN))
        return kp_bind_fail(binder, -1, KP_INVALID, "42804",
                            "could not determine polymorphic type because input has type unknown");
    if (rule->kind == KP_OVER_NTILE)
        KP_TRY(kp_bind_coerce(binder, args[0], KP_TYPE(KP_INT4), COERCE_IMPLICIT, &args[0]));
    else if (call->n_args == 3) {
        struct kp_expr *both[2] = {args[0], args[2]};
        struct kp_type type;
        KP_TRY(kp_bind_common_type(binder, both, 2, rule->name, &type));
        KP_TRY(kp_bind_coerce(binder, args[0], type, COERCE_IMPLICIT, &args[0]));
        KP_TRY(kp_bind_coerce(binder, args[2], type, COERCE_IMPLICIT, &args[2]));
    } else if (call->n_args)
        KP_TRY(kp_bind_settle_unknown(binder, args[0], &args[0]));
    if (call->n_args > 1)
        KP_TRY(kp_bind_coerce(binder, args[1], KP_TYPE(KP_INT4), COERCE_IMPLICIT, &args[1]));
    item->call.type = rule->type == KP_ANY ? args[0]->type : KP_TYPE(rule->type);
    item->call.type.mod = -1; /* which char(2), numeric(9,2) are is no part of a result's type */
    return KP_OK;
}

static enum kp_code bind_aggregate(struct binder *binder, const struct expr_place *inside,
                                   const PgQuery__FuncCall *call, const char *name, struct over_item *item)
{
    struct kp_plan_agg agg;
    if (call->n_args == 0 && !call->agg_star && strcmp(name, "count") == 0)
        return kp_bind_fail(binder, call->location, KP_INVALID, "42809",
                            "count(*) must be used to call a parameterless aggregate function");
    KP_TRY(kp_bind_aggregate(binder, name, item->args, (uint32_t)call->n_args, call->location, &agg));
    if (agg.agg->flags & KP_AGG_WITHIN)
        return kp_bind_fail(binder, call->location, KP_INVALID, "42809",
                            "WITHIN GROUP is required for ordered-set aggregate %s", name);
    item->args = agg.args;
    item->call.kind = KP_OVER_AGGREGATE;
    item->call.agg = agg.agg;
    item->call.type = agg.type;
    if (call->agg_filter) {
        struct expr_place filter = *inside;
        filter.clause = "FILTER";
        filter.aggs = NULL;
        KP_TRY(kp_bind_expr(binder, &filter, call->agg_filter, &item->filter));
        KP_TRY(kp_bind_to_bool(binder, item->filter, "FILTER", &item->filter));
    }
    return KP_OK;
}

static enum kp_code refuse_call(struct binder *binder, const struct expr_place *place, const PgQuery__FuncCall *call,
                                const char *name, bool aggregate)
{
    if (!place->overs && strcmp(place->clause, "an aggregate") == 0)
        return kp_bind_fail(binder, call->location, KP_INVALID, "42803",
                            "aggregate function calls cannot contain window function calls");
    if (!place->overs && strcmp(place->clause, "a window function") == 0)
        return kp_bind_fail(binder, call->location, KP_INVALID, "42P20", "window function calls cannot be nested");
    if (!place->overs)
        return kp_bind_fail(binder, call->location, KP_INVALID, "42P20", "window functions are not allowed in %s",
                            place->clause);
    if (!aggregate && !find_rule(name))
        return kp_bind_fail(binder, call->location, KP_INVALID, "42809",
                            "OVER specified, but %s is not a window function nor an aggregate function", name);
    const char *what = call->agg_distinct               ? "DISTINCT is not implemented for window functions"
                       : call->n_agg_order              ? "aggregate ORDER BY is not implemented for window functions"
                       : call->agg_within_group         ? "WITHIN GROUP is not supported for window functions"
                       : call->func_variadic            ? "VARIADIC arguments: not supported"
                       : call->agg_filter && !aggregate ? "FILTER is not implemented for non-aggregate window functions"
                                                        : NULL;
    return what ? kp_bind_fail(binder, call->location, KP_UNSUPPORTED, NULL, "%s", what) : KP_OK;
}

enum kp_code kp_bind_over(struct binder *binder, const struct expr_place *place, const PgQuery__FuncCall *call,
                          const char *name, struct kp_expr **ret_expr)
{
    const struct over_rule *rule = find_rule(name);
    KP_TRY(refuse_call(binder, place, call, name, !rule && kp_bind_is_aggregate(name)));
    if (call->n_args > KP_FUNCTION_ARGS_MAX)
        return kp_bind_fail(binder, call->location, KP_LIMIT, "54023", "cannot pass more than %d arguments",
                            KP_FUNCTION_ARGS_MAX);
    struct expr_place inside = *place;
    inside.overs = NULL;
    inside.sets = NULL;
    inside.clause = "a window function";
    struct over_item item = {.arg_count = (uint32_t)call->n_args};
    KP_TRY(bind_window(binder, &inside, place->overs->select, call->over, &item));
    item.args = kp_arena_calloc(binder->arena, (call->n_args + 1) * sizeof *item.args);
    for (size_t i = 0; i < call->n_args; i++)
        KP_TRY(kp_bind_expr(binder, &inside, call->args[i], &item.args[i]));
    if (rule)
        KP_TRY(bind_values(binder, call, rule, &item));
    else
        KP_TRY(bind_aggregate(binder, &inside, call, name, &item));
    struct over_list *list = place->overs;
    if (list->count == list->cap) {
        list->cap = list->cap ? list->cap * 2 : 4;
        struct over_item *more = kp_arena_alloc(binder->arena, list->cap * sizeof *more);
        if (list->count)
            memcpy(more, list->items, list->count * sizeof *more);
        list->items = more;
    }
    list->items[list->count] = item;
    *ret_expr = kp_bind_column(binder, KP_OVER_BASE + list->count++, item.call.type, call->location);
    return KP_OK;
}

/* ---- the nodes ---- */

/* Expressions over a plan's columns as columns: those that are none are added behind by a projection. */
struct columns {
    struct kp_plan *input;
    struct kp_expr **added;
    uint32_t count, cap;
};

static uint32_t column_of(struct binder *binder, struct columns *columns, struct kp_expr *expr)
{
    if (expr->kind == KP_EXPR_COLUMN && expr->column < KP_SET_BASE)
        return expr->column;
    for (uint32_t i = 0; i < columns->count; i++)
        if (kp_expr_equal(columns->added[i], expr))
            return columns->input->col_count + i;
    if (columns->count == columns->cap) {
        columns->cap = columns->cap ? columns->cap * 2 : 8;
        struct kp_expr **more = kp_arena_alloc(binder->arena, columns->cap * sizeof *more);
        if (columns->count)
            memcpy(more, columns->added, columns->count * sizeof *more);
        columns->added = more;
    }
    columns->added[columns->count] = expr;
    return columns->input->col_count + columns->count++;
}

static struct kp_plan *with_columns(struct binder *binder, const struct columns *columns)
{
    struct kp_plan *input = columns->input;
    uint32_t count = input->col_count + columns->count;
    if (columns->count == 0)
        return input;
    struct kp_expr **exprs = kp_arena_alloc(binder->arena, count * sizeof *exprs);
    const char **names = kp_arena_alloc(binder->arena, count * sizeof *names);
    for (uint32_t i = 0; i < count; i++) {
        bool old = i < input->col_count;
        exprs[i] = old ? kp_bind_column(binder, i, input->cols[i].type, -1) : columns->added[i - input->col_count];
        names[i] = old ? input->cols[i].name : kp_arena_printf(binder->arena, "key%u", i - input->col_count + 1);
    }
    return kp_bind_project(binder, input, exprs, names, count);
}

static bool same_window(const struct over_item *a, const struct over_item *b)
{
    if (a->partition_count != b->partition_count || a->order_count != b->order_count)
        return false;
    for (uint32_t i = 0; i < a->partition_count; i++)
        if (!kp_expr_equal(a->partitions[i], b->partitions[i]))
            return false;
    for (uint32_t i = 0; i < a->order_count; i++)
        if (!kp_expr_equal(a->orders[i], b->orders[i]) || a->keys[i].descending != b->keys[i].descending ||
            a->keys[i].nulls_first != b->keys[i].nulls_first)
            return false;
    return true;
}

/* Its value depends on the order of rows that ORDER BY leaves equal. */
static bool sees_ties(const struct kp_plan_over_call *call)
{
    switch (call->kind) {
    case KP_OVER_RANK:
    case KP_OVER_DENSE_RANK:
    case KP_OVER_PERCENT_RANK:
    case KP_OVER_CUME_DIST:
        return false;
    case KP_OVER_AGGREGATE:
        return call->frame.mode == KP_FRAME_ROWS;
    default:
        return true;
    }
}

static struct kp_plan *over_node(struct binder *binder, const struct kp_plan *input, uint32_t call_count,
                                 uint32_t partition_count, uint32_t keys_max)
{
    struct kp_plan *plan = kp_bind_node(binder, KP_PLAN_OVER, input->location, input->col_count + call_count, 1);
    plan->over.partitions = kp_arena_calloc(binder->arena, (partition_count + 1) * sizeof(uint32_t));
    plan->over.partition_count = partition_count;
    plan->over.keys = kp_arena_calloc(binder->arena, (keys_max + 1) * sizeof *plan->over.keys);
    plan->over.calls = kp_arena_calloc(binder->arena, (call_count + 1) * sizeof *plan->over.calls);
    return plan;
}

static void add_ties(struct kp_plan *plan, const uint32_t *ties, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        bool known = false;
        for (uint32_t k = 0; k < plan->over.key_count; k++)
            known |= plan->over.keys[k].column == ties[i];
        if (!known)
            plan->over.keys[plan->over.key_count++] = (struct kp_sort_key){.column = ties[i]};
    }
}

static void finish_node(struct kp_plan *plan, struct kp_plan *input)
{
    plan->inputs[0] = input;
    memcpy(plan->cols, input->cols, input->col_count * sizeof *plan->cols);
}

/* One node for the first call not yet done and all with its window. */
static struct kp_plan *plan_window(struct binder *binder, struct over_list *list, uint32_t first, uint32_t *columns_of,
                                   const uint32_t *ties, uint32_t tie_count, struct kp_plan *input)
{
    const struct over_item *window = &list->items[first];
    struct columns columns = {.input = input};
    struct kp_plan *plan =
        over_node(binder, input, list->count, window->partition_count, window->order_count + tie_count);
    bool tie = false;
    for (uint32_t i = 0; i < window->partition_count; i++)
        plan->over.partitions[i] = column_of(binder, &columns, window->partitions[i]);
    for (uint32_t i = 0; i < window->order_count; i++) {
        plan->over.keys[i] = window->keys[i];
        plan->over.keys[i].column = column_of(binder, &columns, window->orders[i]);
    }
    plan->over.order_count = plan->over.key_count = window->order_count;
    for (uint32_t i = first; i < list->count; i++) {
        struct over_item *item = &list->items[i];
        if (columns_of[i] != UINT32_MAX || !same_window(window, item))
            continue;
        struct kp_plan_over_call *call = &plan->over.calls[plan->over.call_count];
        *call = item->call;
        call->arg_count = item->arg_count;
        for (uint32_t k = 0; k < item->arg_count; k++)
            call->args[k] = column_of(binder, &columns, item->args[k]);
        call->filtered = item->filter != NULL;
        call->filter = item->filter ? column_of(binder, &columns, item->filter) : 0;
        tie |= sees_ties(call);
        columns_of[i] = plan->over.call_count++; /* made whole below */
    }
    if (tie)
        add_ties(plan, ties, tie_count);
    struct kp_plan *below = with_columns(binder, &columns);
    uint32_t calls = plan->over.call_count;
    plan->col_count = below->col_count + calls;
    plan->cols = kp_arena_calloc(binder->arena, plan->col_count * sizeof *plan->cols);
    finish_node(plan, below);
    for (uint32_t i = 0; i < calls; i++) {
        const struct kp_plan_over_call *call = &plan->over.calls[i];
        const char *name = call->agg ? call->agg->name : rules[call->kind].name;
        plan->cols[below->col_count + i] = (struct kp_column){name, call->type, call->kind < KP_OVER_NTILE};
    }
    for (uint32_t i = first; i < list->count; i++)
        if (columns_of[i] < calls && same_window(window, &list->items[i]))
            columns_of[i] += below->col_count;
    return plan;
}

struct replace_over {
    struct binder *binder;
    const uint32_t *columns_of;
};

static struct kp_expr *to_column(const struct kp_expr *expr, struct kp_arena *arena, void *arg)
{
    const struct replace_over *replace = arg;
    if (expr->kind != KP_EXPR_COLUMN || expr->column < KP_OVER_BASE)
        return NULL;
    return kp_bind_column(replace->binder, replace->columns_of[expr->column - KP_OVER_BASE], expr->type,
                          expr->location);
}

struct kp_plan *kp_bind_overs(struct binder *binder, struct over_list *list, const uint32_t *ties, uint32_t tie_count,
                              struct targets *targets, struct kp_plan *plan)
{
    uint32_t *columns_of = kp_arena_alloc(binder->arena, (list->count + 1) * sizeof *columns_of);
    memset(columns_of, 0xff, (list->count + 1) * sizeof *columns_of);
    for (uint32_t i = 0; i < list->count; i++)
        if (columns_of[i] == UINT32_MAX)
            plan = plan_window(binder, list, i, columns_of, ties, tie_count, plan);
    struct replace_over replace = {binder, columns_of};
    for (uint32_t i = 0; i < targets->count; i++)
        targets->items[i].expr = kp_expr_copy(targets->items[i].expr, binder->arena, to_column, &replace);
    return plan;
}

/* ---- top-N by partition and with ties, DISTINCT ON ---- */

static struct kp_expr *int8_of(struct binder *binder, int64_t value)
{
    struct kp_expr *expr = kp_bind_new(binder, KP_EXPR_CONST, KP_TYPE(KP_INT8), -1, 0);
    expr->datum.type = KP_TYPE(KP_INT8);
    expr->datum.i64 = value;
    return expr;
}

/* One function of bigint behind the input's columns. */
static void number_rows(struct kp_plan *over, struct kp_plan *input, enum kp_over_kind kind)
{
    over->over.call_count = 1;
    over->over.calls[0].kind = kind;
    over->over.calls[0].type = KP_TYPE(KP_INT8);
    finish_node(over, input);
    over->cols[input->col_count] = (struct kp_column){rules[kind].name, KP_TYPE(KP_INT8), true};
}

struct kp_plan *kp_topn_numbers(struct binder *binder, const struct kp_plan *topn)
{
    struct kp_plan *input = topn->inputs[0],
                   *over = over_node(binder, input, 2, 0, topn->topn.key_count + topn->col_count);
    over->over.order_count = over->over.key_count = topn->topn.key_count;
    memcpy(over->over.keys, topn->topn.keys, topn->topn.key_count * sizeof *topn->topn.keys);
    uint32_t *ties = kp_arena_alloc(binder->arena, (topn->col_count + 1) * sizeof *ties);
    for (uint32_t i = 0; i < topn->col_count; i++)
        ties[i] = i;
    add_ties(over, ties, topn->col_count);
    over->over.call_count = 2;
    finish_node(over, input);
    for (uint32_t i = 0; i < 2; i++) {
        enum kp_over_kind kind = i ? KP_OVER_RANK : KP_OVER_ROW_NUMBER;
        over->over.calls[i].kind = kind;
        over->over.calls[i].type = KP_TYPE(KP_INT8);
        over->cols[input->col_count + i] = (struct kp_column){rules[kind].name, KP_TYPE(KP_INT8), true};
    }
    return over;
}

struct kp_plan *kp_topn_with_ties(struct binder *binder, const struct kp_plan *topn)
{
    struct kp_plan *over = kp_topn_numbers(binder, topn); /* the offset counts rows, the limit leaves peers together */
    uint32_t count = topn->col_count;
    struct kp_expr *number = kp_bind_column(binder, count, KP_TYPE(KP_INT8), -1), *keep;
    struct kp_expr *rank = kp_bind_column(binder, count + 1, KP_TYPE(KP_INT8), -1);
    enum kp_code code = KP_OK;
    if (topn->topn.offset)
        code = kp_bind_operator(binder, "-", rank, topn->topn.offset, -1, &rank);
    KP_ASSERT(code == KP_OK); /* bigint has these */
    code = kp_bind_operator(binder, "<=", rank, topn->topn.limit, -1, &keep);
    KP_ASSERT(code == KP_OK);
    struct kp_plan *plan = kp_bind_filter(binder, over, keep);
    if (topn->topn.offset) {
        code = kp_bind_operator(binder, ">", number, topn->topn.offset, -1, &keep);
        KP_ASSERT(code == KP_OK);
        plan = kp_bind_filter(binder, plan, keep);
    }
    return kp_bind_first_columns(binder, plan, count);
}

struct kp_plan *kp_topn_by_partition(struct binder *binder, const struct kp_plan *topn, struct kp_plan *input,
                                     uint32_t shift, const uint32_t *partitions, uint32_t partition_count)
{
    struct kp_plan *over = over_node(binder, input, 1, partition_count, topn->topn.key_count + topn->col_count);
    if (partition_count)
        memcpy(over->over.partitions, partitions, partition_count * sizeof *partitions);
    for (uint32_t k = 0; k < topn->topn.key_count; k++) {
        over->over.keys[k] = topn->topn.keys[k];
        over->over.keys[k].column += shift;
    }
    over->over.order_count = over->over.key_count = topn->topn.key_count;
    uint32_t *ties = kp_arena_alloc(binder->arena, (topn->col_count + 1) * sizeof *ties);
    for (uint32_t i = 0; i < topn->col_count; i++)
        ties[i] = i + shift;
    add_ties(over, ties, topn->col_count);
    number_rows(over, input, KP_OVER_ROW_NUMBER);
    struct kp_expr *number = kp_bind_column(binder, input->col_count, KP_TYPE(KP_INT8), -1), *keep;
    struct kp_plan *plan = over;
    enum kp_code code = KP_OK;
    if (topn->topn.limit) {
        struct kp_expr *from_offset = number;
        if (topn->topn.offset)
            code = kp_bind_operator(binder, "-", number, topn->topn.offset, -1, &from_offset);
        KP_ASSERT(code == KP_OK); /* bigint has these */
        code = kp_bind_operator(binder, "<=", from_offset, topn->topn.limit, -1, &keep);
        KP_ASSERT(code == KP_OK);
        plan = kp_bind_filter(binder, plan, keep);
    }
    if (topn->topn.offset) {
        code = kp_bind_operator(binder, ">", number, topn->topn.offset, -1, &keep);
        KP_ASSERT(code == KP_OK);
        plan = kp_bind_filter(binder, plan, keep);
    }
    return plan;
}

enum kp_code kp_bind_distinct_on(struct binder *binder, const uint32_t *columns, uint32_t count,
                                 const struct order *order, const uint32_t *ties, uint32_t tie_count,
                                 struct kp_plan **plan)
{
    struct kp_plan *input = *plan, *over = over_node(binder, input, 1, count, order->count + tie_count);
    memcpy(over->over.partitions, columns, count * sizeof *columns);
    if (order->count)
        memcpy(over->over.keys, order->keys, order->count * sizeof *order->keys);
    over->over.order_count = over->over.key_count = order->count;
    add_ties(over, ties, tie_count);
    number_rows(over, input, KP_OVER_ROW_NUMBER);
    struct kp_expr *first;
    KP_TRY(kp_bind_operator(binder, "=", kp_bind_column(binder, input->col_count, KP_TYPE(KP_INT8), -1),
                            int8_of(binder, 1), -1, &first));
    struct kp_plan *filter = kp_bind_filter(binder, over, first);
    struct kp_expr **exprs = kp_arena_alloc(binder->arena, (input->col_count + 1) * sizeof *exprs);
    for (uint32_t i = 0; i < input->col_count; i++)
        exprs[i] = kp_bind_column(binder, i, input->cols[i].type, -1);
    *plan = kp_bind_project(binder, filter, exprs, NULL, input->col_count);
    return KP_OK;
}
