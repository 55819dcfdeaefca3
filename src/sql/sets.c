/*
 * Set-returning functions. In the select list a call stands as a column of KP_SET_BASE until the plan below it is there
 * (joins, groups, window functions, subqueries); then an Expand gives the columns:
 *
 *   Project: f + 1, g ─ Expand: f = unnest(a), g = generate_series(1, h) ─ Expand: h = unnest(b) ─ …
 *
 * Calls whose arguments are ready run side by side in one node; what reads them runs in one above: PostgreSQL's levels.
 * In FROM the calls of an item are one Expand of a single row, whose level 1 is the FROM list; where that is read, the
 * Expand stands over the rows of the list.
 */
#include "sql/function.h"
#include "sql/object.h"

static enum kp_code refuse(struct binder *binder, const struct expr_place *place, int32_t location)
{
    const char *what = place->no_sets ? place->no_sets : place->clause;
    if (strcmp(what, "FROM") == 0)
        return kp_bind_fail(binder, location, KP_UNSUPPORTED, NULL,
                            "set-returning functions must appear at top level of FROM");
    bool aggregate = strcmp(what, "an aggregate") == 0;
    if (aggregate || strcmp(what, "a window function") == 0)
        kp_bind_fail(binder, location, KP_UNSUPPORTED, NULL, "%s calls cannot contain set-returning function calls",
                     aggregate ? "aggregate function" : "window function");
    else
        kp_bind_fail(binder, location, KP_UNSUPPORTED, NULL, "set-returning functions are not allowed in %s", what);
    return aggregate || place->no_sets
               ? kp_error_hint(binder->err,
                               "You might be able to move the set-returning function into a LATERAL FROM item.")
               : KP_UNSUPPORTED;
}

static bool is_set(const struct kp_expr *expr)
{
    return expr->kind == KP_EXPR_COLUMN && expr->column >= KP_SET_BASE && expr->column < KP_SUB_BASE;
}

static bool is_no_set(const struct kp_expr *expr, void *arg)
{
    return !is_set(expr);
}

bool kp_expr_reads_sets(const struct kp_expr *expr)
{
    return !kp_expr_walk(expr, is_no_set, NULL);
}

/* ---- in the select list ---- */

static void *grown(struct binder *binder, const void *old, uint32_t count, uint32_t cap, size_t bytes)
{
    void *more = kp_arena_alloc(binder->arena, cap * bytes);
    if (count)
        memcpy(more, old, count * bytes);
    return more;
}

static uint32_t keep_call(struct binder *binder, struct set_list *list, const struct kp_plan_set *call,
                          const struct kp_type *types)
{
    for (uint32_t i = 0; i < list->call_count; i++)
        if (kp_plan_set_equal(&list->calls[i], call))
            return i;
    if (list->call_count == list->call_cap) {
        list->call_cap = list->call_cap ? list->call_cap * 2 : 4;
        list->calls = grown(binder, list->calls, list->call_count, list->call_cap, sizeof *list->calls);
        list->types = grown(binder, list->types, list->call_count, list->call_cap, sizeof *list->types);
        list->at = grown(binder, list->at, list->call_count, list->call_cap, sizeof *list->at);
    }
    list->calls[list->call_count] = *call;
    memcpy(list->types[list->call_count], types, sizeof *list->types);
    list->at[list->call_count] = UINT32_MAX;
    return list->call_count++;
}

static uint32_t keep_value(struct binder *binder, struct set_list *list, struct set_value value)
{
    for (uint32_t i = 0; i < list->value_count; i++)
        if (list->values[i].call == value.call && list->values[i].field == value.field)
            return i;
    if (list->value_count == list->value_cap) {
        list->value_cap = list->value_cap ? list->value_cap * 2 : 8;
        list->values = grown(binder, list->values, list->value_count, list->value_cap, sizeof *list->values);
    }
    list->values[list->value_count] = value;
    return list->value_count++;
}

static enum kp_code bind_call(struct binder *binder, const struct expr_place *place, const PgQuery__FuncCall *node,
                              struct set_call *ret_call)
{
    const char *schema, *name = kp_tree_name(node->funcname, node->n_funcname, &schema);
    if (!place->sets)
        return refuse(binder, place, node->location);
    struct kp_expr **args;
    uint32_t count;
    KP_TRY(kp_bind_call_args(binder, place, node, name, &args, &count));
    return kp_bind_set_function(binder, name, args, count, node->location, ret_call);
}

static struct kp_expr *value_of(struct binder *binder, struct set_list *list, const struct set_call *call,
                                uint32_t field, int32_t location)
{
    struct kp_plan_set set = {
        .func = call->func, .args = call->args, .arg_count = call->arg_count, .col_count = call->func->col_count};
    struct set_value value = {keep_call(binder, list, &set, call->types), field};
    return kp_bind_column(binder, KP_SET_BASE + keep_value(binder, list, value), call->types[field], location);
}

/* All columns of a row that it returns, as one value. */
static struct kp_expr *record_of(struct binder *binder, struct set_list *list, const struct set_call *call,
                                 int32_t location)
{
    struct kp_expr *fields[KP_SET_COLUMNS_MAX];
    const char *names[KP_SET_COLUMNS_MAX];
    for (uint32_t i = 0; i < call->func->col_count; i++) {
        fields[i] = value_of(binder, list, call, i, location);
        names[i] = call->func->cols[i].name;
    }
    return kp_bind_record(binder, fields, names, call->func->col_count, location);
}

enum kp_code kp_bind_set_value(struct binder *binder, const struct expr_place *place, const PgQuery__FuncCall *node,
                               const char *field, struct kp_expr **ret_expr)
{
    struct set_call call;
    KP_TRY(bind_call(binder, place, node, &call));
    const struct kp_set_func *func = call.func;
    if (!field && func->col_count > 1) {
        *ret_expr = record_of(binder, place->sets, &call, node->location);
        return KP_OK;
    }
    if (!field && func->col_count == 0) {
        kp_bind_fail(binder, node->location, KP_UNSUPPORTED, NULL, "the record that %s() returns cannot be one value",
                     func->name);
        return kp_error_hint(binder->err, "Write (%s(…)).* or .%s, or call it in FROM.", func->name,
                             func->col_count ? func->cols[0].name : "field");
    }
    bool row = func->col_count == 1 && kp_type_is_composite(call.types[0].id);
    const struct kp_made *made = row && field ? kp_made_of(call.types[0].id) : NULL;
    for (uint32_t i = 0; made && i < made->count; i++)
        if (strcmp(made->names[i], field) == 0) {
            *ret_expr =
                kp_bind_row_field(binder, value_of(binder, place->sets, &call, 0, node->location), i, node->location);
            return KP_OK;
        }
    for (uint32_t i = 0; i < func->col_count; i++) {
        if (field && (!func->cols[i].name || strcmp(func->cols[i].name, field) != 0))
            continue;
        *ret_expr = value_of(binder, place->sets, &call, i, node->location);
        return KP_OK;
    }
    if (made)
        return kp_bind_fail(binder, node->location, KP_NOT_FOUND, "42703", "column \"%s\" not found in data type %s",
                            field, kp_type_info(call.types[0].id)->name);
    if (func->col_count == 1)
        return kp_bind_fail(binder, node->location, KP_INVALID, "42809",
                            "column notation .%s applied to type %s, which is not a composite type", field,
                            kp_type_info(call.types[0].id)->name);
    return kp_bind_fail(binder, node->location, KP_NOT_FOUND, "42703",
                        "could not identify column \"%s\" in record data type", field);
}

const PgQuery__FuncCall *kp_bind_set_fields(const PgQuery__AIndirection *node)
{
    const char *schema;
    if (node->arg->node_case != PG_QUERY__NODE__NODE_FUNC_CALL || node->n_indirection != 1 ||
        node->indirection[0]->node_case == PG_QUERY__NODE__NODE_A_INDICES)
        return NULL;
    const PgQuery__FuncCall *call = node->arg->func_call;
    return kp_bind_is_set_function(kp_tree_name(call->funcname, call->n_funcname, &schema)) ? call : NULL;
}

enum kp_code kp_bind_set_star(struct binder *binder, const struct expr_place *place, const PgQuery__FuncCall *node,
                              struct targets *targets)
{
    struct set_call call;
    KP_TRY(bind_call(binder, place, node, &call));
    if (call.func->col_count == 1 && kp_type_is_composite(call.types[0].id)) {
        const struct kp_made *made = kp_made_of(call.types[0].id);
        struct kp_expr *row = value_of(binder, place->sets, &call, 0, node->location);
        for (uint32_t i = 0; i < made->count; i++)
            kp_targets_add(binder, targets,
                           (struct target){kp_bind_row_field(binder, row, i, node->location), made->names[i], NULL});
        return KP_OK;
    }
    if (call.func->col_count < 2)
        return kp_bind_fail(binder, node->location, KP_INVALID, "42809", "type %s is not composite",
                            kp_type_info(call.types[0].id)->name);
    for (uint32_t i = 0; i < call.func->col_count; i++)
        kp_targets_add(
            binder, targets,
            (struct target){value_of(binder, place->sets, &call, i, node->location), call.func->cols[i].name, NULL});
    return KP_OK;
}

/* ---- into the query ---- */

struct wanted {
    const struct set_list *list;
    bool *calls;
};

static bool note_call(const struct kp_expr *expr, void *arg)
{
    struct wanted *wanted = arg;
    if (is_set(expr))
        wanted->calls[wanted->list->values[expr->column - KP_SET_BASE].call] = true;
    return true;
}

struct placing {
    struct binder *binder;
    const struct set_list *list;
};

static struct kp_expr *place_set(const struct kp_expr *expr, struct kp_arena *arena, void *arg)
{
    const struct placing *placing = arg;
    if (!is_set(expr))
        return NULL;
    const struct set_value *value = &placing->list->values[expr->column - KP_SET_BASE];
    uint32_t at = placing->list->at[value->call];
    return at == UINT32_MAX ? NULL : kp_bind_column(placing->binder, at + value->field, expr->type, expr->location);
}

/* All that are wanted and have their arguments, in one node. */
static struct kp_plan *expand_ready(struct binder *binder, struct set_list *list, const bool *wanted,
                                    struct kp_plan *input)
{
    struct kp_plan_set *calls = kp_arena_calloc(binder->arena, list->call_count * sizeof *calls);
    struct kp_column *cols = kp_arena_calloc(binder->arena, list->call_count * KP_SET_COLUMNS_MAX * sizeof *cols);
    uint32_t count = 0, made = 0;
    for (uint32_t i = 0; i < list->call_count; i++) {
        bool ready = wanted[i] && list->at[i] == UINT32_MAX;
        for (uint32_t a = 0; ready && a < list->calls[i].arg_count; a++)
            ready = !kp_expr_reads_sets(list->calls[i].args[a]);
        if (!ready)
            continue;
        list->at[i] = input->col_count + made; /* no argument of this round reads it: those are settled */
        const struct kp_set_func *func = list->calls[i].func;
        for (uint32_t c = 0; c < func->col_count; c++, made++)
            cols[made] =
                (struct kp_column){func->cols[c].name ? func->cols[c].name : func->name, list->types[i][c], false};
        calls[count++] = list->calls[i];
    }
    if (count == 0)
        return NULL;
    struct kp_plan *plan = kp_bind_node(binder, KP_PLAN_EXPAND, input->location, input->col_count + made, 1);
    plan->inputs[0] = input;
    plan->expand.calls = calls;
    plan->expand.call_count = count;
    memcpy(plan->cols, input->cols, input->col_count * sizeof *plan->cols);
    memcpy(plan->cols + input->col_count, cols, made * sizeof *cols);
    return plan;
}

bool *kp_sets_wanted(struct binder *binder, const struct set_list *sets, struct kp_expr **const *exprs, uint32_t count)
{
    struct wanted wanted = {sets, kp_arena_calloc(binder->arena, sets->call_count + 1)};
    for (uint32_t i = 0; i < count; i++)
        kp_expr_walk(*exprs[i], note_call, &wanted);
    for (uint32_t i = sets->call_count; i-- > 0;) /* arguments' calls come before their readers */
        for (uint32_t a = 0; wanted.calls[i] && a < sets->calls[i].arg_count; a++)
            kp_expr_walk(sets->calls[i].args[a], note_call, &wanted);
    return wanted.calls;
}

void kp_sets_apply(struct binder *binder, struct set_list *sets, struct kp_expr **const *exprs, uint32_t count,
                   struct kp_plan **plan)
{
    if (sets->call_count == 0)
        return;
    const bool *wanted = kp_sets_wanted(binder, sets, exprs, count);
    struct placing placing = {binder, sets};
    for (struct kp_plan *more; (more = expand_ready(binder, sets, wanted, *plan));) {
        *plan = more;
        for (uint32_t i = 0; i < sets->call_count; i++)
            for (uint32_t a = 0; a < sets->calls[i].arg_count; a++)
                sets->calls[i].args[a] = kp_expr_copy(sets->calls[i].args[a], binder->arena, place_set, &placing);
    }
    for (uint32_t i = 0; i < count; i++)
        *exprs[i] = kp_expr_copy(*exprs[i], binder->arena, place_set, &placing);
}

/* ---- in FROM ---- */

/* The functions of one item. */
struct table {
    struct kp_plan_set *calls;
    uint32_t call_count, call_cap;
    struct kp_column *cols;
    uint32_t col_count;
    bool made;                      /* some columns are made of JSON: those of domains are yet to be checked */
    struct kp_relation *row_domain; /* and the row of those of the last call, of this type; NULL: need not be */
    enum kp_type_id row_of;
    struct sub_list subs;
};

static void add_call(struct binder *binder, struct table *table, const struct kp_plan_set *call,
                     const struct kp_column *cols)
{
    if (table->call_count == table->call_cap) {
        table->call_cap = table->call_cap ? table->call_cap * 2 : 4;
        table->calls = grown(binder, table->calls, table->call_count, table->call_cap, sizeof *table->calls);
    }
    table->cols = grown(binder, table->cols, table->col_count, table->col_count + call->col_count + 1, sizeof *cols);
    memcpy(table->cols + table->col_count, cols, call->col_count * sizeof *cols);
    table->col_count += call->col_count;
    table->calls[table->call_count++] = *call;
}

/*
 * Catalog queries unnest columns that are always NULL here and have no array type (privileges), or call functions on
 * them that there is no need for else: they make no rows.
 */
static bool set_of_nothing(struct binder *binder, const char *name, struct kp_expr *const *args, size_t count,
                           const char *known_as, struct kp_plan_set *ret_call, struct kp_column *cols)
{
    static const struct {
        const char *name, *cols[4];
    } sets[] = {{"unnest", {NULL}},
                {"generate_subscripts", {NULL}},
                {"pg_options_to_table", {"option_name", "option_value"}},
                {"aclexplode", {"grantor", "grantee", "privilege_type", "is_grantable"}}};
    bool null = false, array = false;
    for (size_t i = 0; i < count; i++) {
        null |= args[i]->kind == KP_EXPR_CONST && args[i]->datum.null;
        array |= kp_type_is_array(args[i]->type.id);
    }
    for (size_t s = 0; null && s < KP_COUNT(sets); s++) {
        if (strcmp(sets[s].name, name) != 0)
            continue;
        if (array && !sets[s].cols[0]) /* it is a function of arrays */
            return false;
        uint32_t width = 0;
        for (; width < KP_COUNT(sets[s].cols) && sets[s].cols[width]; width++)
            cols[width] = (struct kp_column){sets[s].cols[width], KP_TYPE(KP_TEXT), false};
        if (width == 0)
            cols[width++] = (struct kp_column){known_as, KP_TYPE(KP_TEXT), false};
        *ret_call = (struct kp_plan_set){.col_count = width};
        return true;
    }
    return false;
}

/* AS t (a int, b text). */
static enum kp_code declare_columns(struct binder *binder, PgQuery__Node *const *defs, size_t count,
                                    struct kp_plan_set *call, struct kp_column **ret_cols)
{
    struct kp_column *cols = kp_arena_calloc(binder->arena, (count + 1) * sizeof *cols);
    const char **names = kp_arena_calloc(binder->arena, (count + 1) * sizeof *names);
    for (size_t i = 0; i < count; i++) {
        const PgQuery__ColumnDef *def = defs[i]->column_def;
        struct kp_relation *domain;
        names[i] = cols[i].name = kp_arena_strdup(binder->arena, def->colname);
        KP_TRY(kp_bind_type(binder, def->type_name, &cols[i].type, &domain));
    }
    call->names = names;
    call->col_count = (uint32_t)count;
    *ret_cols = cols;
    return KP_OK;
}

/* The fields of a row type as columns: what a function returns rows of. */
static struct kp_column *columns_of(struct binder *binder, enum kp_type_id type, struct kp_plan_set *call)
{
    const struct kp_made *made = kp_made_of(type);
    const struct kp_relation *row = kp_bind_row_domains(binder, type);
    struct kp_column *cols = kp_arena_calloc(binder->arena, (made->count + 1) * sizeof *cols);
    const char **names = kp_arena_calloc(binder->arena, (made->count + 1) * sizeof *names);
    for (uint32_t i = 0; i < made->count; i++) {
        names[i] = cols[i].name = made->names[i];
        cols[i].type = kp_relation_domain_type(row ? row->domains[i] : NULL, made->types[i]);
    }
    call->names = names;
    call->col_count = made->count;
    return cols;
}

/* The columns that the query declares for rows like the first argument are its fields. */
static enum kp_code check_record(struct binder *binder, const PgQuery__FuncCall *node, enum kp_type_id base,
                                 PgQuery__Node *const *defs, size_t def_count)
{
    const struct kp_made *made = kp_made_of(base);
    struct kp_plan_set call;
    struct kp_column *cols;
    if (made->info.category != 'P')
        return kp_bind_fail(binder, defs[0]->column_def->location, KP_INVALID, "42601",
                            "a column definition list is redundant for a function returning a named composite type");
    KP_TRY(declare_columns(binder, defs, def_count, &call, &cols));
    bool same = call.col_count == made->count;
    for (uint32_t i = 0; same && i < made->count; i++)
        same = cols[i].type.id == made->types[i].id;
    return same ? KP_OK
                : kp_bind_fail(binder, node->location, KP_INVALID, "42804",
                               "function return row and query-specified return row do not match");
}

static enum kp_code add_set_call(struct binder *binder, const PgQuery__FuncCall *node, const char *name,
                                 struct kp_expr **args, uint32_t arg_count, const char *known_as,
                                 PgQuery__Node *const *defs, size_t def_count, struct table *table)
{
    struct set_call found;
    struct kp_plan_set call = {0};
    struct kp_column own[KP_SET_COLUMNS_MAX], *cols = own;
    if (set_of_nothing(binder, name, args, arg_count, known_as, &call, own)) {
        add_call(binder, table, &call, own);
        return KP_OK;
    }
    KP_TRY(kp_bind_set_function(binder, name, args, arg_count, node->location, &found));
    const struct kp_set_func *func = found.func;
    call = (struct kp_plan_set){
        .func = func, .args = found.args, .arg_count = found.arg_count, .col_count = func->col_count};
    if (func->col_count && def_count)
        return kp_bind_fail(binder, node->location, KP_INVALID, "42601",
                            "a column definition list is only allowed for functions returning \"record\"");
    bool base = !func->col_count && arg_count == 2, rows_of = base && !def_count;
    if (base && !kp_type_is_composite(found.args[0]->type.id))
        return kp_bind_fail(binder, node->location, KP_INVALID, "42804",
                            "could not determine row type for result of %s", name);
    struct kp_relation *domain = NULL;
    if (base)
        KP_TRY(kp_bind_domain_of(binder, node->args[0], &domain));
    if (base && def_count)
        KP_TRY(check_record(binder, node, found.args[0]->type.id, defs, def_count));
    if (rows_of)
        cols = columns_of(binder, found.args[0]->type.id, &call);
    else if (!func->col_count && !def_count)
        return kp_bind_fail(binder, node->location, KP_INVALID, "42601",
                            "a column definition list is required for functions returning \"record\"");
    if (def_count)
        KP_TRY(declare_columns(binder, defs, def_count, &call, &cols));
    if (base) /* members are found by the fields' names, whatever the query calls them */
        call.names = kp_made_of(found.args[0]->type.id)->names;
    for (uint32_t c = 0; c < func->col_count; c++)
        own[c] = (struct kp_column){func->cols[c].name ? func->cols[c].name : known_as, found.types[c], false};
    table->made |= !func->col_count;
    if (domain) {
        table->row_domain = domain;
        table->row_of = found.args[0]->type.id;
    }
    add_call(binder, table, &call, cols);
    return KP_OK;
}

/* What is no set-returning function is one row with its value. */
static enum kp_code add_value(struct binder *binder, const struct expr_place *place, const PgQuery__Node *node,
                              const char *known_as, struct table *table)
{
    struct kp_expr **args = kp_arena_calloc(binder->arena, sizeof *args);
    KP_TRY(kp_bind_expr(binder, place, node, &args[0]));
    KP_TRY(kp_bind_settle_unknown(binder, args[0], &args[0]));
    struct kp_plan_set call = {.args = args, .arg_count = 1, .col_count = 1};
    struct kp_column column = {known_as, args[0]->type, false};
    add_call(binder, table, &call, &column);
    return KP_OK;
}

static enum kp_code add_function(struct binder *binder, const struct expr_place *place, const PgQuery__Node *node,
                                 const char *alias, PgQuery__Node *const *defs, size_t def_count, struct table *table)
{
    const char *schema, *name = kp_bind_output_name(node), *known_as = alias ? alias : name;
    const PgQuery__FuncCall *call = node->node_case == PG_QUERY__NODE__NODE_FUNC_CALL ? node->func_call : NULL;
    if (call)
        name = kp_tree_name(call->funcname, call->n_funcname, &schema);
    bool set = call && (kp_bind_is_set_function(name) || strcmp(name, "aclexplode") == 0 ||
                        strcmp(name, "pg_options_to_table") == 0);
    if (!set && def_count)
        return kp_bind_fail(binder, defs[0]->column_def->location, KP_INVALID, "42601",
                            "a column definition list is only allowed for functions returning \"record\"");
    if (!set)
        return add_value(binder, place, node, known_as, table);
    struct kp_expr **args;
    uint32_t count;
    KP_TRY(kp_bind_refuse_parts(binder, call, name, false));
    KP_TRY(kp_bind_call_args(binder, place, call, name, &args, &count));
    if (count < 2 || strcmp(name, "unnest") != 0)
        return add_set_call(binder, call, name, args, count, known_as, defs, def_count, table);
    for (size_t i = 0; i < call->n_args; i++) /* unnest(a, b): side by side */
        KP_TRY(add_set_call(binder, call, name, args + i, 1, name, NULL, 0, table));
    return KP_OK;
}

static struct kp_plan *single_row(struct binder *binder)
{
    struct kp_plan *row = kp_bind_node(binder, KP_PLAN_VALUES, -1, 0, 0);
    row->values.rows = 1;
    return row;
}

/* The functions over the row, which has columns if subqueries stood in arguments; above it only the functions'. */
static enum kp_code plan_table(struct binder *binder, struct table *table, bool ordinality, struct kp_plan **ret_plan)
{
    struct kp_plan *row = single_row(binder);
    uint32_t slot_count = 0;
    for (uint32_t i = 0; i < table->call_count; i++)
        slot_count += table->calls[i].arg_count;
    struct kp_expr ***slots = kp_arena_alloc(binder->arena, (slot_count + 1) * sizeof *slots);
    for (uint32_t i = 0, n = 0; i < table->call_count; i++)
        for (uint32_t a = 0; a < table->calls[i].arg_count; a++)
            slots[n++] = &table->calls[i].args[a];
    KP_TRY(kp_subs_apply(binder, &table->subs, slots, slot_count, &row));
    uint32_t before = row->col_count, count = table->col_count + ordinality;
    struct kp_plan *plan = kp_bind_node(binder, KP_PLAN_EXPAND, -1, before + count, 1);
    plan->inputs[0] = row;
    plan->expand.calls = table->calls;
    plan->expand.call_count = table->call_count;
    plan->expand.ordinality = ordinality;
    memcpy(plan->cols, row->cols, before * sizeof *plan->cols);
    memcpy(plan->cols + before, table->cols, table->col_count * sizeof *plan->cols);
    if (ordinality)
        plan->cols[before + count - 1] = (struct kp_column){"ordinality", KP_TYPE(KP_INT8), true};
    *ret_plan = plan;
    if (before == 0)
        return KP_OK;
    struct kp_expr **exprs = kp_arena_alloc(binder->arena, (count + 1) * sizeof *exprs);
    for (uint32_t i = 0; i < count; i++)
        exprs[i] = kp_bind_column(binder, before + i, plan->cols[before + i].type, -1);
    *ret_plan = kp_bind_project(binder, plan, exprs, NULL, count);
    return KP_OK;
}

/* The columns of the only function, which are a row of a domain: they as a row, that row checked, its fields. */
static enum kp_code check_row(struct binder *binder, const struct table *table, struct kp_plan **plan)
{
    struct kp_plan *below = *plan;
    uint32_t width = table->col_count, count = below->col_count;
    struct kp_expr **cells = kp_arena_alloc(binder->arena, (count + 1) * sizeof *cells), *row;
    struct kp_expr **exprs = kp_arena_alloc(binder->arena, (count + 1) * sizeof *exprs);
    const char **names = kp_arena_alloc(binder->arena, (count + 1) * sizeof *names);
    for (uint32_t i = 0; i < count; i++)
        cells[i] = kp_bind_column(binder, i, below->cols[i].type, -1);
    row = kp_bind_call(binder, "kp_row", KP_TYPE(table->row_of), cells, width, -1);
    KP_TRY(kp_bind_domain_check(binder, table->row_domain, row, -1, &cells[0]));
    for (uint32_t i = width; i < count; i++)
        cells[1 + i - width] = cells[i];
    struct kp_plan *rows = kp_bind_project(binder, below, cells, NULL, 1 + count - width);
    row = kp_bind_column(binder, 0, rows->cols[0].type, -1);
    for (uint32_t i = 0; i < count; i++) {
        names[i] = below->cols[i].name;
        exprs[i] = i < width ? kp_bind_row_field(binder, row, i, -1)
                             : kp_bind_column(binder, 1 + i - width, below->cols[i].type, -1);
    }
    *plan = kp_bind_project(binder, rows, exprs, names, count);
    return KP_OK;
}

/* Nothing but functions that make no rows: a plan that never has any. */
static struct kp_plan *plan_nothing(struct binder *binder, const struct table *table)
{
    struct kp_plan *plan = kp_bind_node(binder, KP_PLAN_VALUES, -1, table->col_count, 0);
    memcpy(plan->cols, table->cols, table->col_count * sizeof *plan->cols);
    return plan;
}

/* A function that a statement made, alone in FROM; *ret_plan NULL: it is none that has rows or a query. */
static enum kp_code own_rows(struct binder *binder, const PgQuery__RangeFunction *range, const struct expr_place *place,
                             const char **ret_name, struct kp_plan **ret_plan)
{
    const PgQuery__Node *node = range->functions[0]->list->items[0];
    const char *schema, *name;
    *ret_plan = NULL;
    if (node->node_case != PG_QUERY__NODE__NODE_FUNC_CALL)
        return KP_OK;
    name = kp_tree_name(node->func_call->funcname, node->func_call->n_funcname, &schema);
    if (!kp_bind_find_function(binder, name) || (schema && strcmp(schema, "public") != 0))
        return KP_OK;
    struct sql_function function;
    struct kp_expr **args;
    KP_TRY(kp_function_choose(binder, place, node->func_call, name, &function, &args));
    if (function.value && !kp_type_is_composite(function.ret.id))
        return KP_OK;
    if (range->n_functions > 1 || range->is_rowsfrom || range->ordinality || range->n_coldeflist)
        return kp_bind_fail(binder, node->func_call->location, KP_UNSUPPORTED, NULL,
                            "function %s stands alone in FROM: not in ROWS FROM, and without ordinality", name);
    if (function.value)
        return KP_OK;
    *ret_name = name;
    return kp_function_rows(binder, &function, args, range->alias ? range->alias->aliasname : NULL,
                            node->func_call->location, ret_plan);
}

/* The call's column is a row, which in FROM stands for its fields: a function's value, or unnest's element. */
static bool gives_rows(const struct kp_plan_set *call, enum kp_type_id type)
{
    return kp_type_is_composite(type) && (!call->func || strcmp(call->func->name, "unnest") == 0);
}

/* Functions whose values are rows, in FROM: their fields, beside all other columns. */
static struct kp_plan *fields_of(struct binder *binder, const struct table *table, struct kp_plan *plan)
{
    uint32_t count = plan->col_count - table->col_count, at = 0;
    for (uint32_t i = 0, col = 0; i < table->call_count; col += table->calls[i++].col_count)
        count += gives_rows(&table->calls[i], table->cols[col].type.id) ? kp_made_of(table->cols[col].type.id)->count
                                                                        : table->calls[i].col_count;
    struct kp_expr **exprs = kp_arena_alloc(binder->arena, (count + 1) * sizeof *exprs);
    const char **names = kp_arena_alloc(binder->arena, (count + 1) * sizeof *names);
    for (uint32_t i = 0, call = 0, left = 0; i < plan->col_count; i++, left--) {
        struct kp_expr *column = kp_bind_column(binder, i, plan->cols[i].type, -1);
        if (i < table->col_count && left == 0)
            left = table->calls[call++].col_count;
        bool row = i < table->col_count && gives_rows(&table->calls[call - 1], plan->cols[i].type.id);
        const struct kp_made *made = row ? kp_made_of(plan->cols[i].type.id) : NULL;
        for (uint32_t field = 0; field < (row ? made->count : 1); field++) {
            exprs[at] = row ? kp_bind_row_field(binder, column, field, -1) : column;
            names[at++] = row ? made->names[field] : plan->cols[i].name;
        }
    }
    return kp_bind_project(binder, plan, exprs, names, count);
}

enum kp_code kp_bind_set_table(struct binder *binder, const PgQuery__RangeFunction *range, const struct scope *scope,
                               const char **ret_name, bool *ret_scalar, struct kp_plan **ret_plan)
{
    const struct scope nothing = {.outer = scope};
    struct table table = {0};
    struct expr_place place = {
        .scope = &nothing, .clause = "functions in FROM", .subs = &table.subs, .no_sets = "FROM"};
    const char *alias = range->alias && range->n_functions == 1 ? range->alias->aliasname : NULL;
    bool nothing_only = !range->ordinality;
    *ret_scalar = true;
    KP_TRY(own_rows(binder, range, &place, ret_name, ret_plan));
    if (*ret_plan)
        return KP_OK;
    for (size_t i = 0; i < range->n_functions; i++) {
        const PgQuery__List *item = range->functions[i]->list;
        bool own = item->n_items > 1 && item->items[1]->node_case == PG_QUERY__NODE__NODE_LIST;
        PgQuery__Node *const *defs = own ? item->items[1]->list->items : range->coldeflist;
        size_t def_count = own ? item->items[1]->list->n_items : range->n_coldeflist;
        if (i == 0)
            *ret_name = kp_bind_output_name(item->items[0]);
        KP_TRY(add_function(binder, &place, item->items[0], alias, defs, def_count, &table));
    }
    for (uint32_t i = 0; i < table.call_count; i++)
        nothing_only &= !table.calls[i].func && !table.calls[i].arg_count;
    if (nothing_only) {
        *ret_plan = plan_nothing(binder, &table);
        return KP_OK;
    }
    KP_TRY(plan_table(binder, &table, range->ordinality, ret_plan));
    if (table.row_domain && table.call_count > 1)
        return kp_bind_fail(binder, -1, KP_UNSUPPORTED, NULL,
                            "rows of a domain beside other functions in ROWS FROM are not supported");
    if (table.made)
        KP_TRY(kp_bind_check_columns(binder, ret_plan));
    if (table.row_domain)
        KP_TRY(check_row(binder, &table, ret_plan));
    for (uint32_t i = 0, col = 0; i < table.call_count; col += table.calls[i++].col_count)
        if (gives_rows(&table.calls[i], table.cols[col].type.id)) {
            *ret_plan = fields_of(binder, &table, *ret_plan);
            *ret_scalar = false;
            break;
        }
    for (uint32_t i = 0; i < table.call_count; i++) /* the query or a type names the fields */
        *ret_scalar &= !table.calls[i].names;
    return KP_OK;
}

/* ---- over the rows of the FROM list ---- */

/* Level 1 becomes the input's columns. */
static struct kp_expr *lower_level(const struct kp_expr *expr, struct kp_arena *arena, void *arg)
{
    if (expr->kind != KP_EXPR_COLUMN || !kp_is_outer(expr->column))
        return NULL;
    struct kp_expr *copy = kp_arena_alloc(arena, sizeof *copy);
    *copy = *expr;
    copy->column = kp_outer_level(expr->column) == 1 ? kp_outer_column(expr->column) : expr->column - KP_OUTER_LEVEL;
    return copy;
}

/* The fields of a row as columns (fields_of) over the rows' expansion: NULLs where there is no row. */
static struct kp_plan *expand_fields(struct binder *binder, const struct kp_plan *plan, struct kp_plan *rows,
                                     bool outer)
{
    for (uint32_t i = 0; i < plan->col_count; i++) {
        const struct kp_expr *expr = plan->project.exprs[i];
        if (expr->kind != KP_EXPR_COLUMN &&
            (expr->kind != KP_EXPR_CALL || strcmp(expr->func->name, "kp_row_field") != 0 ||
             expr->args[0]->kind != KP_EXPR_COLUMN))
            return NULL;
        if (!kp_expr_reads_own(expr) || kp_expr_reads_level(expr, 1))
            return NULL;
    }
    struct kp_plan *over = kp_expand_rows(binder, plan->inputs[0], rows, outer);
    if (!over)
        return NULL;
    uint32_t left = rows->col_count, count = left + plan->col_count, inner = plan->inputs[0]->col_count;
    uint32_t *map = kp_arena_alloc(binder->arena, (inner + 1) * sizeof *map);
    struct kp_expr **exprs = kp_arena_alloc(binder->arena, (count + 1) * sizeof *exprs);
    const char **names = kp_arena_alloc(binder->arena, (count + 1) * sizeof *names);
    for (uint32_t i = 0; i < inner; i++)
        map[i] = left + i;
    for (uint32_t i = 0; i < count; i++) {
        exprs[i] = i < left ? kp_bind_column(binder, i, over->cols[i].type, -1)
                            : kp_expr_remap(binder, plan->project.exprs[i - left], map);
        names[i] = i < left ? over->cols[i].name : plan->cols[i - left].name;
    }
    return kp_bind_project(binder, over, exprs, names, count);
}

struct kp_plan *kp_expand_rows(struct binder *binder, const struct kp_plan *plan, struct kp_plan *rows, bool outer)
{
    if (plan->kind == KP_PLAN_PROJECT && plan->inputs[0]->kind == KP_PLAN_EXPAND)
        return expand_fields(binder, plan, rows, outer);
    if (plan->kind != KP_PLAN_EXPAND || plan->inputs[0]->kind != KP_PLAN_VALUES || plan->inputs[0]->col_count ||
        plan->inputs[0]->values.rows != 1)
        return NULL;
    struct kp_plan *over = kp_bind_node(binder, KP_PLAN_EXPAND, plan->location, rows->col_count + plan->col_count, 1);
    over->inputs[0] = rows;
    over->expand = plan->expand;
    over->expand.outer |= outer;
    over->expand.calls = grown(binder, plan->expand.calls, plan->expand.call_count, plan->expand.call_count + 1,
                               sizeof *plan->expand.calls);
    for (uint32_t i = 0; i < plan->expand.call_count; i++) {
        struct kp_plan_set *call = &over->expand.calls[i];
        call->args = grown(binder, call->args, call->arg_count, call->arg_count + 1, sizeof *call->args);
        for (uint32_t a = 0; a < call->arg_count; a++)
            call->args[a] = kp_expr_copy(call->args[a], binder->arena, lower_level, NULL);
    }
    memcpy(over->cols, rows->cols, rows->col_count * sizeof *over->cols);
    memcpy(over->cols + rows->col_count, plan->cols, plan->col_count * sizeof *over->cols);
    for (uint32_t i = rows->col_count; outer && i < over->col_count; i++)
        over->cols[i].not_null = false;
    return over;
}
