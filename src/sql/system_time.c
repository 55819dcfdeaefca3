/*
 * FOR SYSTEM_TIME AS OF: rows of a moment that is past, and each row with the version of a table's key at its time.
 *
 *   FROM t FOR SYSTEM_TIME AS OF TIMESTAMP '…' | 12345       t as it was then, beside anything as it is now
 *   FROM s JOIN t FOR SYSTEM_TIME AS OF s.at AS r ON …       each row of s with the row that t had at s.at
 *
 * A table's records, deletions too, are a relation of their own, its versions: a source over the same topic, in no
 * catalog, that lives as long as the table. Behind the table's columns it has each record's position, log time and
 * timestamp, and whether it deletes.
 *
 *   at a constant:  of each key the version with the last position before it, unless that deletes;
 *                   of a view: its plan over such rows
 *   at a column:    as-of join by key; a version that deletes, or fails the rest of ON, is none
 *
 *   s.at is          versions hold
 *   s._position      from the position of their record on, for what comes after it
 *   s._log_time      from their record's log time on
 *   any other time   from the column on that the table's WATERMARK names; one that deletes: from its record's timestamp
 *
 * Invariants: 1. of versions since one moment the one logged last counts; 2. nothing here depends on when it is asked.
 */
#include "decode/decode.h"
#include "sql/bind.h"

enum { VERSION_COLUMNS = 4 };

void kp_bind_versions(struct kp_relation *table)
{
    static const struct {
        const char *name;
        enum kp_type_id type;
        enum kp_field_origin origin;
    } own[VERSION_COLUMNS] = {[KP_VERSION_POSITION] = {"_version_position", KP_INT8, KP_FIELD_POSITION},
                              [KP_VERSION_LOG_TIME] = {"_version_log_time", KP_TIMESTAMPTZ, KP_FIELD_LOG_TIME},
                              [KP_VERSION_TIMESTAMP] = {"_version_timestamp", KP_TIMESTAMPTZ, KP_FIELD_TIMESTAMP},
                              [KP_VERSION_DELETED] = {"_version_deleted", KP_BOOL, KP_FIELD_DELETED}};
    struct kp_relation *versions = kp_relation_create();
    struct kp_arena *arena = &versions->arena;
    uint32_t count = table->col_count;
    versions->kind = KP_RELATION_SOURCE;
    versions->schema = table->schema;
    versions->name = kp_arena_printf(arena, "%s versions", table->name);
    versions->version = table->version;
    versions->topic = table->topic;
    versions->option_count = table->option_count;
    versions->options = table->options;
    versions->key_count = table->key_count;
    versions->keys = table->keys;
    versions->check_count = table->check_count;
    versions->checks = table->checks;
    versions->versions_of = table;
    versions->col_count = count + VERSION_COLUMNS;
    versions->hidden_count = table->hidden_count + VERSION_COLUMNS;
    versions->cols = kp_arena_calloc(arena, versions->col_count * sizeof *versions->cols);
    versions->origins = kp_arena_calloc(arena, versions->col_count);
    versions->paths = kp_arena_calloc(arena, versions->col_count * sizeof *versions->paths);
    memcpy(versions->cols, table->cols, count * sizeof *table->cols);
    memcpy(versions->origins, table->origins, count);
    memcpy(versions->paths, table->paths, count * sizeof *table->paths);
    for (uint32_t i = 0; i < VERSION_COLUMNS; i++) {
        versions->cols[count + i] = (struct kp_column){own[i].name, KP_TYPE(own[i].type), true};
        versions->origins[count + i] = (uint8_t)own[i].origin;
    }
    table->versions = versions;
}

/* All columns; those of a version that deletes are NULL but for the key's and the record's own. */
static struct kp_plan *scan_versions(struct binder *binder, const struct kp_relation *table, int32_t location)
{
    struct kp_plan *plan = kp_bind_scan(binder, table->versions, location);
    for (uint32_t i = 0; i < table->col_count; i++)
        plan->cols[i].not_null = false;
    return plan;
}

static struct kp_expr *own_column(struct binder *binder, const struct kp_plan *versions, uint32_t base,
                                  enum kp_version_column which)
{
    uint32_t column = versions->scan.relation->versions_of->col_count + (uint32_t)which;
    return kp_bind_column(binder, base + column, versions->cols[column].type, -1);
}

static struct kp_expr *of_one(struct binder *binder, enum kp_expr_kind kind, struct kp_expr *expr)
{
    struct kp_expr *test = kp_bind_new(binder, kind, KP_TYPE(KP_BOOL), -1, 1);
    test->args[0] = expr;
    kp_expr_settle(test);
    return test;
}

/* ---- at a constant ---- */

struct moment {
    struct kp_expr *position, *time; /* one of them */
    int32_t location;
};

static const struct sql_temporal *find(const struct binder *binder, int32_t location)
{
    const struct kp_sql_marks *marks = binder->statement->marks;
    for (uint32_t i = 0; marks && location >= 0 && i < marks->temporal_count; i++)
        if (marks->temporals[i].relation == location)
            return &marks->temporals[i];
    return NULL;
}

static bool is_by_row(const struct sql_temporal *temporal)
{
    return temporal->time && temporal->time->node_case == PG_QUERY__NODE__NODE_COLUMN_REF;
}

const struct sql_temporal *kp_bind_find_temporal(const struct binder *binder, const PgQuery__Node *right)
{
    int32_t location = right->node_case == PG_QUERY__NODE__NODE_RANGE_VAR ? right->range_var->location : -1;
    const struct sql_temporal *temporal = find(binder, location);
    return temporal && is_by_row(temporal) ? temporal : NULL;
}

static enum kp_code bind_moment(struct binder *binder, const struct sql_temporal *temporal, struct moment *ret_moment)
{
    static const struct scope nothing;
    struct expr_place place = {.scope = &nothing, .clause = "FOR SYSTEM_TIME AS OF"};
    struct kp_expr *expr;
    KP_TRY(kp_bind_expr(binder, &place, temporal->time, &expr));
    *ret_moment = (struct moment){.location = temporal->location};
    enum kp_type_id type = expr->type.id;
    if (type == KP_INT2 || type == KP_INT4 || type == KP_INT8)
        return kp_bind_coerce(binder, expr, KP_TYPE(KP_INT8), COERCE_IMPLICIT, &ret_moment->position);
    if (type != KP_UNKNOWN && type != KP_DATE && type != KP_TIMESTAMP && type != KP_TIMESTAMPTZ) {
        kp_bind_fail(binder, temporal->location, KP_INVALID, "42804",
                     "FOR SYSTEM_TIME AS OF takes a time or a position, not type %s", kp_type_info(type)->name);
        return kp_error_hint(binder->err, "Positions are integers, as kappa.lag shows them.");
    }
    return kp_bind_coerce(binder, expr, KP_TYPE(KP_TIMESTAMPTZ), COERCE_IMPLICIT, &ret_moment->time);
}

/* log_position(moment, topic): only where the log has come to the moment is it known which records are before it. */
static struct kp_expr *end_of(struct binder *binder, const struct moment *moment, const char *topic)
{
    struct kp_expr *at = moment->position ? moment->position : moment->time;
    struct kp_expr *end = kp_bind_new(binder, KP_EXPR_CALL, KP_TYPE(KP_INT8), moment->location, 2);
    size_t count;
    const struct kp_func *const *funcs = kp_func_find(KP_FUNC_FUNCTION, KP_STR("log_position"), &count);
    for (size_t i = 0; i < count; i++)
        if (funcs[i]->arg_count == 2 && funcs[i]->args[0] == at->type.id)
            end->func = funcs[i];
    end->args[0] = at;
    end->args[1] = kp_bind_text(binder, topic);
    kp_expr_settle(end);
    return end;
}

/* The records of a source or of versions up to the moment. The first condition is one that chunks of history can be
 * ruled out by; the second leaves out what was logged together and ends behind the moment. */
static enum kp_code records_before(struct binder *binder, struct kp_plan *scan, uint32_t position, uint32_t log_time,
                                   const struct moment *moment, struct kp_plan **ret_plan)
{
    uint32_t column = moment->position ? position : log_time;
    const char *topic = scan->scan.relation->topic;
    struct kp_expr *before, *whole;
    KP_TRY(kp_bind_operator(binder,
                            moment->position ? "<" : "<=", kp_bind_column(binder, column, scan->cols[column].type, -1),
                            moment->position ? moment->position : moment->time, moment->location, &before));
    *ret_plan = kp_bind_filter(binder, scan, before);
    if (binder->for_view && moment->time && kp_expr_reads_now(moment->time))
        return KP_OK; /* the log's time at the end of what was logged together: all of that counts */
    KP_TRY(kp_bind_operator(binder, "<", kp_bind_column(binder, position, KP_TYPE(KP_INT8), -1),
                            end_of(binder, moment, topic), moment->location, &whole));
    *ret_plan = kp_bind_filter(binder, *ret_plan, whole);
    return KP_OK;
}

static enum kp_code source_then(struct binder *binder, struct kp_relation *source, const struct moment *moment,
                                struct kp_plan **ret_plan)
{
    uint32_t position = UINT32_MAX, log_time = UINT32_MAX;
    for (uint32_t c = 0; c < source->col_count; c++) {
        position = source->origins[c] == KP_FIELD_POSITION ? c : position;
        log_time = source->origins[c] == KP_FIELD_LOG_TIME ? c : log_time;
    }
    if (position == UINT32_MAX || log_time == UINT32_MAX)
        return kp_bind_fail(binder, moment->location, KP_UNSUPPORTED, NULL,
                            "FOR SYSTEM_TIME AS OF cannot tell the positions of \"%s\"", source->name);
    return records_before(binder, kp_bind_scan(binder, source, moment->location), position, log_time, moment, ret_plan);
}

/* All of the table's columns. */
static enum kp_code table_then(struct binder *binder, const struct kp_relation *table, const struct moment *moment,
                               struct kp_plan **ret_plan)
{
    uint32_t count = table->col_count;
    struct kp_plan *scan = scan_versions(binder, table, moment->location), *plan;
    KP_TRY(records_before(binder, scan, count + KP_VERSION_POSITION, count + KP_VERSION_LOG_TIME, moment, &plan));
    for (uint32_t k = 0; k < table->key_count; k++) /* no row of the table */
        plan = kp_bind_filter(binder, plan,
                              of_one(binder, KP_EXPR_IS_NOT_NULL,
                                     kp_bind_column(binder, table->keys[k], scan->cols[table->keys[k]].type, -1)));
    struct kp_sort_key last = {.column = count + KP_VERSION_POSITION, .descending = true, .nulls_first = true};
    const struct order order = {&last, 1};
    KP_TRY(kp_bind_distinct_on(binder, table->keys, table->key_count, &order, NULL, 0, &plan));
    plan =
        kp_bind_filter(binder, plan, of_one(binder, KP_EXPR_IS_FALSE, own_column(binder, scan, 0, KP_VERSION_DELETED)));
    plan = kp_bind_first_columns(binder, plan, count);
    for (uint32_t i = 0; i < count; i++)
        plan->cols[i].not_null = table->cols[i].not_null;
    *ret_plan = plan;
    return KP_OK;
}

static enum kp_code refuse(struct binder *binder, const struct moment *moment, const char *what)
{
    kp_bind_fail(binder, moment->location, KP_UNSUPPORTED, NULL, "FOR SYSTEM_TIME AS OF cannot be used over %s", what);
    return kp_error_hint(binder->err, "Behind the whole query, AS OF POSITION … or AS OF TIMESTAMP '…' asks for the "
                                      "past of everything in it.");
}

static enum kp_code plan_then(struct binder *binder, struct kp_plan **plan, const struct moment *moment);

static bool is_not_now(const struct kp_expr *expr, void *arg)
{
    return expr->kind != KP_EXPR_NOW;
}

static enum kp_code relation_then(struct binder *binder, struct kp_relation *relation, const struct moment *moment,
                                  struct kp_plan **ret_plan)
{
    switch (relation->kind) {
    case KP_RELATION_TABLE:
        return table_then(binder, relation, moment, ret_plan);
    case KP_RELATION_SOURCE:
        return source_then(binder, relation, moment, ret_plan);
    case KP_RELATION_VIEW:
        if (relation->skip_errors)
            return refuse(binder, moment, "a view ON ERROR SKIP");
        *ret_plan = kp_plan_copy(relation->plan->plan, binder->arena);
        return plan_then(binder, ret_plan, moment);
    default:
        return refuse(binder, moment, "a system table");
    }
}

/* A scan's columns of what the relation was. */
static enum kp_code scan_then(struct binder *binder, struct kp_plan **plan, const struct moment *moment)
{
    const struct kp_plan *scan = *plan;
    struct kp_plan *all;
    KP_TRY(relation_then(binder, scan->scan.relation, moment, &all));
    struct kp_expr **exprs = kp_arena_alloc(binder->arena, (scan->col_count + 1) * sizeof *exprs);
    const char **names = kp_arena_alloc(binder->arena, (scan->col_count + 1) * sizeof *names);
    for (uint32_t i = 0; i < scan->col_count; i++) {
        exprs[i] = kp_bind_column(binder, scan->scan.columns[i], scan->cols[i].type, -1);
        names[i] = scan->cols[i].name;
    }
    *plan = kp_bind_project(binder, all, exprs, names, scan->col_count);
    return KP_OK;
}

static enum kp_code plan_then(struct binder *binder, struct kp_plan **plan, const struct moment *moment)
{
    if ((*plan)->kind == KP_PLAN_EMIT)
        return refuse(binder, moment, "EMIT ON WINDOW CLOSE");
    if ((*plan)->kind == KP_PLAN_WINDOW && ((*plan)->window.late_only || (*plan)->window.kind == KP_WINDOW_LATENESS))
        return refuse(binder, moment, "what depends on late rows");
    if ((*plan)->kind == KP_PLAN_FILTER && !kp_expr_walk((*plan)->filter.predicate, is_not_now, NULL))
        return refuse(binder, moment, "a condition on now()");
    if ((*plan)->kind == KP_PLAN_SCAN)
        return scan_then(binder, plan, moment);
    for (uint32_t i = 0; i < (*plan)->input_count; i++)
        KP_TRY(plan_then(binder, &(*plan)->inputs[i], moment));
    return KP_OK;
}

enum kp_code kp_bind_system_time(struct binder *binder, const PgQuery__RangeVar *range, struct kp_plan **plan)
{
    const struct sql_temporal *temporal = find(binder, range->location);
    if (!temporal)
        return KP_OK;
    struct kp_relation *relation = (*plan)->kind == KP_PLAN_SCAN ? (*plan)->scan.relation : NULL;
    if (is_by_row(temporal)) {
        if (!temporal->joined) {
            kp_bind_fail(binder, temporal->location, KP_UNSUPPORTED, NULL,
                         "FOR SYSTEM_TIME AS OF a column stands behind the relation that is joined");
            return kp_error_hint(binder->err,
                                 "Write JOIN rates FOR SYSTEM_TIME AS OF o.at AS r ON r.currency = o.currency.");
        }
        if (relation && relation->kind == KP_RELATION_TABLE)
            *plan = scan_versions(binder, relation, range->location);
        return KP_OK;
    }
    struct moment moment;
    KP_TRY(bind_moment(binder, temporal, &moment));
    if (relation && relation->kind == KP_RELATION_SOURCE) /* its hidden columns stay known as such */
        return source_then(binder, relation, &moment, plan);
    KP_TRY(plan_then(binder, plan, &moment));
    if (relation && relation->kind == KP_RELATION_TABLE)
        *plan = kp_bind_first_columns(binder, *plan, relation->col_count - relation->hidden_count);
    return KP_OK;
}

enum kp_code kp_bind_no_system_time(struct binder *binder, const PgQuery__RangeVar *range)
{
    const struct sql_temporal *temporal = find(binder, range->location);
    if (!temporal)
        return KP_OK;
    kp_bind_fail(binder, temporal->location, KP_UNSUPPORTED, NULL,
                 "FOR SYSTEM_TIME AS OF stands behind a relation, and \"%s\" is a query of WITH", range->relname);
    return kp_error_hint(binder->err, "Write it in that query, behind the relations that it reads.");
}

/* ---- at a column of the left side ---- */

/* Since when a version holds, over both sides, of the type of the left side's time. */
static enum kp_code version_time(struct binder *binder, const struct sql_temporal *temporal,
                                 const struct kp_plan *right, uint32_t base, struct kp_expr **ret_expr)
{
    const struct kp_relation *table = right->scan.relation->versions_of;
    if (table->watermark_column < 0) {
        kp_bind_fail(binder, temporal->location, KP_INVALID, "42P10",
                     "FOR SYSTEM_TIME AS OF an event time needs to know when versions of \"%s\" begin", table->name);
        return kp_error_hint(binder->err,
                             "Declare WATERMARK FOR a column of CREATE TABLE %s, or name the left side's _log_time or "
                             "_position.",
                             table->name);
    }
    uint32_t column = (uint32_t)table->watermark_column;
    struct kp_type type = right->cols[column].type;
    struct kp_expr *gone = own_column(binder, right, base, KP_VERSION_TIMESTAMP);
    if (type.id != KP_TIMESTAMPTZ) {
        struct kp_expr *args[2] = {kp_bind_text(binder, "UTC"), gone};
        KP_TRY(kp_bind_function(binder, "timezone", args, 2, -1, &gone));
        KP_TRY(kp_bind_coerce(binder, gone, type, COERCE_ASSIGNMENT, &gone));
    }
    struct kp_expr *choice = kp_bind_new(binder, KP_EXPR_CASE, type, -1, 3);
    choice->args[0] = own_column(binder, right, base, KP_VERSION_DELETED);
    choice->args[1] = gone;
    choice->args[2] = kp_bind_column(binder, base + column, type, -1);
    kp_expr_settle(choice);
    *ret_expr = choice;
    return KP_OK;
}

static enum kp_code time_condition(struct binder *binder, const struct sql_temporal *temporal, struct kp_expr *time,
                                   const struct kp_plan *left, const struct kp_plan *right, struct kp_expr **ret_expr)
{
    const char *name = left->cols[time->column].name, *compare = ">=";
    uint32_t base = left->col_count;
    struct kp_expr *since = NULL;
    if (strcmp(name, "_position") == 0 && time->type.id == KP_INT8) {
        compare = ">";
        since = own_column(binder, right, base, KP_VERSION_POSITION);
    } else if (strcmp(name, "_log_time") == 0 || strcmp(name, "_append_time") == 0) {
        since = own_column(binder, right, base, KP_VERSION_LOG_TIME);
    } else {
        KP_TRY(version_time(binder, temporal, right, base, &since));
    }
    return kp_bind_operator(binder, compare, time, since, temporal->location, ret_expr);
}

/* The key's column that a condition makes equal to something of the left side; UINT32_MAX: none. */
static uint32_t key_of(const struct kp_relation *table, const struct kp_expr *condition, uint32_t base)
{
    if (condition->kind != KP_EXPR_CALL || condition->arg_count != 2 || strcmp(condition->func->name, "=") != 0)
        return UINT32_MAX;
    for (uint32_t side = 0; side < 2; side++) {
        const struct kp_expr *own = condition->args[side], *other = condition->args[1 - side];
        uint32_t min, max;
        bool of_left = kp_expr_column_range(other, &min, &max) && max < base;
        for (uint32_t k = 0; of_left && own->kind == KP_EXPR_COLUMN && k < table->key_count; k++)
            if (own->column == base + table->keys[k])
                return k;
    }
    return UINT32_MAX;
}

static enum kp_code part_conditions(struct binder *binder, const struct sql_temporal *temporal,
                                    const struct kp_relation *table, uint32_t base, const struct conjuncts *all,
                                    struct conjuncts *ret_keys, struct conjuncts *ret_rest)
{
    bool *found = kp_arena_calloc(binder->arena, (table->key_count + 1) * sizeof *found);
    for (uint32_t i = 0; i < all->count; i++) {
        uint32_t k = key_of(table, all->exprs[i], base);
        bool first = k != UINT32_MAX && !found[k];
        kp_conjuncts_add(binder, first ? ret_keys : ret_rest, all->exprs[i]);
        if (first)
            found[k] = true;
    }
    for (uint32_t k = 0; k < table->key_count; k++)
        if (!found[k]) {
            kp_bind_fail(binder, temporal->location, KP_UNSUPPORTED, NULL,
                         "FOR SYSTEM_TIME AS OF over table \"%s\" needs its whole primary key in ON", table->name);
            return kp_error_hint(binder->err,
                                 "Write an equality of column \"%s\" itself with something of the left "
                                 "side; cast that side if the types differ.",
                                 table->cols[table->keys[k]].name);
        }
    return KP_OK;
}

/* The right side's columns are NULL where the last column is not true, which goes. */
static struct kp_plan *null_unless(struct binder *binder, struct kp_plan *plan, uint32_t base)
{
    uint32_t count = plan->col_count - 1;
    struct kp_expr **exprs = kp_arena_alloc(binder->arena, (count + 1) * sizeof *exprs);
    const char **names = kp_arena_alloc(binder->arena, (count + 1) * sizeof *names);
    for (uint32_t i = 0; i < count; i++) {
        names[i] = plan->cols[i].name;
        exprs[i] = kp_bind_column(binder, i, plan->cols[i].type, -1);
        if (i < base)
            continue;
        struct kp_expr *choice = kp_bind_new(binder, KP_EXPR_CASE, exprs[i]->type, -1, 3);
        choice->args[0] = kp_bind_column(binder, count, KP_TYPE(KP_BOOL), -1);
        choice->args[1] = exprs[i];
        choice->args[2] = kp_bind_null(binder, exprs[i]->type);
        kp_expr_settle(choice);
        exprs[i] = choice;
    }
    return kp_bind_project(binder, plan, exprs, names, count);
}

/* Whether what was found is there: it does not delete, and the rest of ON is true. */
static struct kp_expr *is_there(struct binder *binder, const struct kp_plan *right, uint32_t base,
                                const struct conjuncts *rest)
{
    struct kp_expr *there = of_one(binder, KP_EXPR_IS_FALSE, own_column(binder, right, base, KP_VERSION_DELETED));
    if (!rest->count)
        return there;
    struct kp_expr *all = kp_bind_new(binder, KP_EXPR_AND, KP_TYPE(KP_BOOL), -1, rest->count + 1);
    all->args[0] = there;
    memcpy(all->args + 1, rest->exprs, rest->count * sizeof *rest->exprs);
    kp_expr_settle(all);
    return all;
}

enum kp_code kp_bind_versioned(struct binder *binder, const struct sql_temporal *temporal, bool outer,
                               struct kp_expr *time, struct kp_plan *left, struct kp_plan *right,
                               const struct conjuncts *conditions, struct kp_plan **ret_plan)
{
    const struct kp_relation *table = right->scan.relation->versions_of;
    uint32_t base = left->col_count, position = table->col_count + KP_VERSION_POSITION;
    struct conjuncts keys = {0}, rest = {0};
    struct kp_expr *since;
    struct kp_plan *plan;
    KP_TRY(part_conditions(binder, temporal, table, base, conditions, &keys, &rest));
    KP_TRY(time_condition(binder, temporal, time, left, right, &since));
    kp_conjuncts_add(binder, &keys, since);
    KP_TRY(kp_bind_asof(binder, outer, left, right, &keys, &position, &plan));
    struct kp_expr *there = is_there(binder, right, base, &rest);
    if (!outer) {
        *ret_plan = kp_bind_filter(binder, plan, there);
        return KP_OK;
    }
    uint32_t count = plan->col_count;
    struct kp_expr **exprs = kp_arena_alloc(binder->arena, (count + 1) * sizeof *exprs);
    const char **names = kp_arena_alloc(binder->arena, (count + 1) * sizeof *names);
    for (uint32_t i = 0; i < count; i++) {
        exprs[i] = kp_bind_column(binder, i, plan->cols[i].type, -1);
        names[i] = plan->cols[i].name;
    }
    exprs[count] = there;
    names[count] = "there";
    *ret_plan = null_unless(binder, kp_bind_project(binder, plan, exprs, names, count + 1), base);
    return KP_OK;
}
