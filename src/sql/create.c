/*
 * CREATE and its like: the relation as declared.
 *
 * Sources and tables get hidden columns behind their own, for what a record carries besides its value; SELECT * leaves
 * them out, a name finds them:
 *
 *   _key text   _partition integer   _offset bigint   _timestamp timestamptz   _log_time timestamptz   _position bigint
 * _headers text   _append_time timestamptz (_log_time under the name that others use)
 *
 * A watermark is a column of type timestamp, timestamptz or date minus a constant interval.
 */
#include "decode/decode.h"
#include "sql/bind.h"
#include "sql/object.h"
#include "sql/options.h"
#include "sql/sequence.h"

static const struct {
    const char *name;
    enum kp_type_id type;
    enum kp_field_origin origin;
} hidden_columns[] = {{"_key", KP_TEXT, KP_FIELD_KEY},
                      {"_partition", KP_INT4, KP_FIELD_PARTITION},
                      {"_offset", KP_INT8, KP_FIELD_OFFSET},
                      {"_timestamp", KP_TIMESTAMPTZ, KP_FIELD_TIMESTAMP},
                      {"_log_time", KP_TIMESTAMPTZ, KP_FIELD_LOG_TIME},
                      {"_append_time", KP_TIMESTAMPTZ, KP_FIELD_LOG_TIME},
                      {"_position", KP_INT8, KP_FIELD_POSITION},
                      {"_headers", KP_TEXT, KP_FIELD_HEADERS}};

static enum kp_code unsupported(struct binder *binder, int32_t location, const char *what, const char *hint)
{
    kp_bind_fail(binder, location, KP_UNSUPPORTED, NULL, "%s not supported", what);
    return hint ? kp_error_hint(binder->err, "%s", hint) : KP_UNSUPPORTED;
}

static int32_t find_col(const struct kp_relation *relation, const char *name)
{
    for (uint32_t i = 0; i < relation->col_count; i++)
        if (strcmp(relation->cols[i].name, name) == 0)
            return (int32_t)i;
    return -1;
}

/* ---- constraints ---- */

static enum kp_code add_key(struct binder *binder, struct kp_relation *relation, const char *name, int32_t location)
{
    int32_t column = find_col(relation, name);
    if (column < 0)
        return kp_bind_fail(binder, location, KP_NOT_FOUND, "42703", "column \"%s\" named in key does not exist", name);
    for (uint32_t k = 0; k < relation->key_count; k++)
        if (relation->keys[k] == (uint32_t)column)
            return kp_bind_fail(binder, location, KP_INVALID, "42701",
                                "column \"%s\" appears twice in primary key constraint", name);
    relation->keys[relation->key_count++] = (uint32_t)column;
    relation->cols[column].not_null = true;
    return KP_OK;
}

static enum kp_code start_key(struct binder *binder, struct kp_relation *relation, int32_t location)
{
    if (relation->kind == KP_RELATION_SOURCE)
        return unsupported(binder, location, "PRIMARY KEY in a source is",
                           "Use CREATE TABLE: its records replace each other by key.");
    if (relation->key_count)
        return kp_bind_fail(binder, location, KP_INVALID, "42P16",
                            "multiple primary keys for table \"%s\" are not allowed", relation->name);
    return KP_OK;
}

enum kp_code kp_bind_default(struct binder *binder, struct kp_relation *relation, uint32_t column,
                             const PgQuery__Node *value, int32_t location)
{
    static const struct scope nothing;
    struct expr_place place = {.scope = &nothing, .clause = "DEFAULT expressions"};
    struct kp_expr *expr;
    KP_TRY(kp_bind_expr(binder, &place, value, &expr));
    const struct kp_column *target = &relation->cols[column];
    if (kp_relation_sequence(relation, column))
        return kp_bind_sequence_twice(binder, relation, column, location);
    if (!kp_can_coerce(expr->type.id, target->type.id, COERCE_ASSIGNMENT))
        return kp_bind_fail(binder, location, KP_INVALID, "42804",
                            "column \"%s\" is of type %s but default expression is of type %s", target->name,
                            kp_type_info(target->type.id)->name, kp_type_info(expr->type.id)->name);
    kp_bind_use_sequences(binder, expr);
    return kp_bind_coerce(binder, expr, target->type, COERCE_ASSIGNMENT, &relation->defaults[column]);
}

/* NULL beside what says that the column has no NULL. A log may have such a table from when both were taken. */
static enum kp_code check_nullable(struct binder *binder, const struct kp_relation *relation, uint32_t column,
                                   const PgQuery__ColumnDef *def)
{
    const PgQuery__Constraint *nullable = NULL;
    bool never = kp_relation_sequence(relation, column);
    for (size_t i = 0; i < def->n_constraints; i++) {
        const PgQuery__Constraint *constraint = def->constraints[i]->constraint;
        if (constraint->contype == PG_QUERY__CONSTR_TYPE__CONSTR_NULL)
            nullable = constraint;
        never |= constraint->contype == PG_QUERY__CONSTR_TYPE__CONSTR_NOTNULL;
    }
    if (!nullable || !never || binder->context->replaying || binder->context->again)
        return KP_OK;
    return kp_bind_fail(binder, nullable->location, KP_INVALID, "42601",
                        "conflicting NULL/NOT NULL declarations for column \"%s\" of table \"%s\"",
                        relation->cols[column].name, relation->name);
}

static enum kp_code column_constraint(struct binder *binder, struct kp_relation *relation, uint32_t column,
                                      const PgQuery__Constraint *constraint)
{
    switch (constraint->contype) {
    case PG_QUERY__CONSTR_TYPE__CONSTR_NULL: /* check_nullable */
        return KP_OK;
    case PG_QUERY__CONSTR_TYPE__CONSTR_NOTNULL:
        relation->cols[column].not_null = true;
        return KP_OK;
    case PG_QUERY__CONSTR_TYPE__CONSTR_DEFAULT:
        return kp_bind_default(binder, relation, column, constraint->raw_expr, constraint->location);
    case PG_QUERY__CONSTR_TYPE__CONSTR_PRIMARY:
        KP_TRY(start_key(binder, relation, constraint->location));
        return add_key(binder, relation, relation->cols[column].name, constraint->location);
    case PG_QUERY__CONSTR_TYPE__CONSTR_UNIQUE:
        return unsupported(binder, constraint->location, "UNIQUE constraints are", NULL);
    case PG_QUERY__CONSTR_TYPE__CONSTR_CHECK: /* when all columns are known: kp_bind_checks */
        return KP_OK;
    case PG_QUERY__CONSTR_TYPE__CONSTR_FOREIGN:
        return unsupported(binder, constraint->location, "FOREIGN KEY constraints are", NULL);
    case PG_QUERY__CONSTR_TYPE__CONSTR_IDENTITY:
        if (relation->kind == KP_RELATION_SOURCE)
            return unsupported(binder, constraint->location, "identity columns in a source are",
                               "Use CREATE TABLE, or give the number in each record.");
        return kp_bind_identity(binder, relation, column, constraint);
    case PG_QUERY__CONSTR_TYPE__CONSTR_GENERATED:
        return unsupported(binder, constraint->location, "generated columns are", "Compute the value in a view.");
    default:
        return unsupported(binder, constraint->location, "this constraint is", NULL);
    }
}

static enum kp_code table_constraint(struct binder *binder, struct kp_relation *relation,
                                     const PgQuery__Constraint *constraint)
{
    if (constraint->contype != PG_QUERY__CONSTR_TYPE__CONSTR_PRIMARY)
        return column_constraint(binder, relation, 0, constraint);
    KP_TRY(start_key(binder, relation, constraint->location));
    for (size_t i = 0; i < constraint->n_keys; i++)
        KP_TRY(add_key(binder, relation, constraint->keys[i]->string->sval, constraint->location));
    return KP_OK;
}

/* ---- columns ---- */

static enum kp_code add_column(struct binder *binder, struct kp_relation *relation, const PgQuery__ColumnDef *def)
{
    if (find_col(relation, def->colname) >= 0)
        return kp_bind_fail(binder, def->location, KP_INVALID, "42701", "column \"%s\" specified more than once",
                            def->colname);
    if (!def->type_name)
        return kp_bind_fail(binder, def->location, KP_INVALID, "42601", "column \"%s\" needs a type", def->colname);
    struct kp_column *column = &relation->cols[relation->col_count];
    const char *schema, *type = kp_tree_name(def->type_name->names, def->type_name->n_names, &schema);
    enum kp_type_id serial = kp_serial_type(type);
    if (serial != KP_TYPE_NONE && relation->kind == KP_RELATION_SOURCE)
        return unsupported(binder, def->type_name->location, "serial columns in a source are",
                           "Use CREATE TABLE, or give the number in each record.");
    column->name = kp_arena_strdup(binder->arena, def->colname);
    column->not_null = def->is_not_null || serial != KP_TYPE_NONE;
    struct kp_relation *domain = NULL;
    if (serial != KP_TYPE_NONE) {
        column->type = KP_TYPE(serial);
        KP_TRY(kp_bind_serial(binder, relation, relation->col_count, def->type_name));
    } else {
        KP_TRY(kp_bind_type(binder, def->type_name, &column->type, &domain));
    }
    if (domain && !relation->domains)
        relation->domains =
            kp_arena_calloc(binder->arena, (KP_COLUMNS_MAX + KP_COUNT(hidden_columns)) * sizeof(struct kp_relation *));
    if (domain)
        relation->domains[relation->col_count] = domain;
    if (kp_type_is_reg(column->type.id))
        return unsupported(binder, def->type_name->location, "columns that name things of the catalog are",
                           "Keep the name as text.");
    if (column->type.id == KP_JSONPATH || column->type.id == kp_type_array_of(KP_JSONPATH))
        return unsupported(binder, def->type_name->location, "columns of type jsonpath are",
                           "Keep the path as text and cast it where it is used.");
    relation->col_count++;
    return KP_OK;
}

enum kp_code kp_bind_declare_column(struct binder *binder, struct kp_relation *relation, const PgQuery__ColumnDef *def)
{
    uint32_t column = relation->col_count;
    if (def->coll_clause)
        KP_TRY(kp_bind_collation(binder, def->coll_clause));
    KP_TRY(add_column(binder, relation, def));
    for (size_t i = 0; i < def->n_constraints; i++)
        KP_TRY(column_constraint(binder, relation, column, def->constraints[i]->constraint));
    return KP_OK;
}

/* Columns of what a record carries besides its value, among the others: INCLUDE. */
static enum kp_code add_included(struct binder *binder, struct kp_relation *relation)
{
    static const struct {
        const char *what;
        enum kp_type_id type;
        enum kp_field_origin origin;
    } kinds[] = {{"key", KP_TEXT, KP_FIELD_KEY},
                 {"partition", KP_INT4, KP_FIELD_PARTITION},
                 {"offset", KP_INT8, KP_FIELD_OFFSET},
                 {"timestamp", KP_TIMESTAMPTZ, KP_FIELD_TIMESTAMP},
                 {"append_time", KP_TIMESTAMPTZ, KP_FIELD_LOG_TIME},
                 {"position", KP_INT8, KP_FIELD_POSITION},
                 {"headers", KP_TEXT, KP_FIELD_HEADERS},
                 {"header", KP_TEXT, KP_FIELD_HEADER}};
    const struct kp_statement *statement = binder->statement;
    for (uint32_t i = 0; i < statement->include_count; i++) {
        const struct kp_sql_include *include = &statement->includes[i];
        size_t kind = 0;
        while (kind < KP_COUNT(kinds) && strcmp(kinds[kind].what, include->what) != 0)
            kind++;
        if (kind == KP_COUNT(kinds) || (kinds[kind].origin == KP_FIELD_HEADER) != (include->header != NULL)) {
            kp_bind_fail(binder, include->location, KP_INVALID, "42601", "cannot include \"%s\"", include->what);
            return kp_error_hint(binder->err, "There are key, partition, offset, timestamp, append_time, position, "
                                              "headers and header 'name'.");
        }
        const char *name = include->name ? include->name : include->what;
        if (find_col(relation, name) >= 0)
            return kp_bind_fail(binder, include->location, KP_INVALID, "42701",
                                "column \"%s\" specified more than once", name);
        if (include->header)
            relation->paths[relation->col_count] = kp_arena_strdup(binder->arena, include->header);
        relation->origins[relation->col_count] = (uint8_t)kinds[kind].origin;
        relation->cols[relation->col_count++] =
            (struct kp_column){kp_arena_strdup(binder->arena, name), KP_TYPE(kinds[kind].type), false};
    }
    return KP_OK;
}

/* Whether a part of a dotted name ends in [digits]. */
static bool names_element(const char *path)
{
    for (const char *open = strchr(path, '['); open; open = strchr(open + 1, '[')) {
        size_t digits = strspn(open + 1, "0123456789");
        const char *close = open + 1 + digits;
        if (digits && *close == ']' && (!close[1] || close[1] == '.' || close[1] == '['))
            return true;
    }
    return false;
}

/* column type PATH 'a.b'. */
static enum kp_code bind_paths(struct binder *binder, struct kp_relation *relation)
{
    const struct kp_statement *statement = binder->statement;
    const char *format = NULL;
    for (uint32_t i = 0; i < statement->option_count; i++)
        if (strcmp(statement->options[i].name, "format") == 0)
            format = statement->options[i].value;
    bool json = !format || strcmp(format, "json") == 0 || strcmp(format, "debezium") == 0 ||
                strcmp(format, "avro") == 0 || strcmp(format, "protobuf") == 0;
    for (uint32_t i = 0; i < statement->path_count; i++) {
        const struct kp_sql_path *path = &statement->paths[i];
        if (!json)
            return kp_bind_fail(binder, path->location, KP_INVALID, "22023",
                                "PATH is for JSON, Avro and Protobuf, not for format %s", format);
        if (names_element(path->path))
            return unsupported(binder, path->location, "elements of arrays in PATH are",
                               "PATH goes through objects. Declare the array as a column of type jsonb, or of an array "
                               "type, and take the element in a view.");
        int32_t column = find_col(relation, path->column);
        if (column < 0)
            return kp_bind_fail(binder, path->location, KP_NOT_FOUND, "42703", "column \"%s\" does not exist",
                                path->column);
        relation->paths[column] = kp_arena_strdup(binder->arena, path->path);
    }
    return KP_OK;
}

static void add_hidden(struct binder *binder, struct kp_relation *relation)
{
    for (size_t i = 0; i < KP_COUNT(hidden_columns); i++) {
        if (find_col(relation, hidden_columns[i].name) >= 0)
            continue; /* the record has a field of this name */
        relation->cols[relation->col_count] =
            (struct kp_column){hidden_columns[i].name, KP_TYPE(hidden_columns[i].type), false};
        relation->origins[relation->col_count++] = (uint8_t)hidden_columns[i].origin;
        relation->hidden_count++;
    }
}

/* A table without PRIMARY KEY is keyed by the records' own keys. */
static enum kp_code key_by_record(struct binder *binder, struct kp_relation *relation)
{
    const struct kp_name *name = &binder->statement->name;
    const char *format = kp_relation_option(relation, "format");
    if (format && strcmp(format, "json") != 0)
        return kp_bind_fail(binder, name->location, KP_UNSUPPORTED, NULL, "a table of format %s needs a PRIMARY KEY",
                            format);
    uint32_t column = relation->col_count - relation->hidden_count;
    while (column < relation->col_count && relation->origins[column] != KP_FIELD_KEY)
        column++;
    if (column == relation->col_count)
        return kp_bind_fail(binder, name->location, KP_UNSUPPORTED, NULL,
                            "a table with a column \"_key\" needs a PRIMARY KEY");
    relation->keys[relation->key_count++] = column;
    relation->cols[column].not_null = true;
    return KP_OK;
}

/* ---- WATERMARK FOR column AS column - INTERVAL '…' ---- */

static enum kp_code watermark_delay(struct binder *binder, const PgQuery__Node *node, const char *column,
                                    int64_t *ret_delay_us)
{
    static const struct scope nothing;
    struct expr_place place = {.scope = &nothing, .clause = "WATERMARK"};
    const PgQuery__AExpr *minus = node->node_case == PG_QUERY__NODE__NODE_A_EXPR ? node->a_expr : NULL;
    const PgQuery__Node *left = minus ? minus->lexpr : node;
    const PgQuery__ColumnRef *ref =
        left && left->node_case == PG_QUERY__NODE__NODE_COLUMN_REF ? left->column_ref : NULL;
    bool names_it = ref && ref->n_fields == 1 && ref->fields[0]->node_case == PG_QUERY__NODE__NODE_STRING &&
                    strcmp(ref->fields[0]->string->sval, column) == 0;
    bool minus_fits =
        !minus || (minus->kind == PG_QUERY__A__EXPR__KIND__AEXPR_OP && strcmp(minus->name[0]->string->sval, "-") == 0);
    *ret_delay_us = 0;
    if (!names_it || !minus_fits) {
        kp_bind_fail(binder, kp_tree_location(node), KP_INVALID, "42601",
                     "a watermark is its column, or its column minus an interval");
        return kp_error_hint(binder->err, "WATERMARK FOR %s AS %s - INTERVAL '4 seconds'.", column, column);
    }
    if (!minus)
        return KP_OK;
    struct kp_expr *expr;
    KP_TRY(kp_bind_expr(binder, &place, minus->rexpr, &expr));
    KP_TRY(kp_bind_coerce(binder, expr, KP_TYPE(KP_INTERVAL), COERCE_IMPLICIT, &expr));
    const struct kp_interval *delay = &expr->datum.interval;
    if (expr->kind != KP_EXPR_CONST || expr->datum.null || delay->months ||
        delay->days * INT64_C(86400000000) + delay->us < 0)
        return kp_bind_fail(binder, kp_tree_location(minus->rexpr), KP_INVALID, "22023",
                            "a watermark's delay must be a constant interval that is not negative and has no months");
    *ret_delay_us = delay->days * INT64_C(86400000000) + delay->us;
    return KP_OK;
}

static enum kp_code bind_watermark(struct binder *binder, struct kp_relation *relation)
{
    const struct kp_sql_watermark *watermark = &binder->statement->watermark;
    if (!watermark->column)
        return KP_OK;
    int32_t column = find_col(relation, watermark->column);
    if (column < 0)
        return kp_bind_fail(binder, watermark->location, KP_NOT_FOUND, "42703", "column \"%s\" does not exist",
                            watermark->column);
    enum kp_type_id type = relation->cols[column].type.id;
    if (type != KP_TIMESTAMP && type != KP_TIMESTAMPTZ && type != KP_DATE)
        return kp_bind_fail(binder, watermark->location, KP_INVALID, "42804",
                            "the column of a watermark must be a timestamp or date, but \"%s\" is of type %s",
                            watermark->column, kp_type_info(type)->name);
    relation->watermark_column = column;
    return watermark_delay(binder, watermark->expr, watermark->column, &relation->watermark_delay_us);
}

/* ---- sources and tables ---- */

static enum kp_code bind_columns(struct binder *binder, struct kp_relation *relation, const PgQuery__CreateStmt *create)
{
    size_t declared = binder->statement->include_count,
           max = create->n_table_elts + declared + KP_COUNT(hidden_columns);
    for (size_t i = 0; i < create->n_table_elts; i++)
        declared += create->table_elts[i]->node_case == PG_QUERY__NODE__NODE_COLUMN_DEF;
    if (declared > KP_COLUMNS_MAX)
        return kp_bind_fail(binder, -1, KP_LIMIT, "54011", "tables can have at most %d columns", KP_COLUMNS_MAX);
    relation->cols = kp_arena_calloc(binder->arena, max * sizeof *relation->cols);
    relation->origins = kp_arena_calloc(binder->arena, max);
    relation->paths = kp_arena_calloc(binder->arena, max * sizeof *relation->paths);
    relation->keys = kp_arena_calloc(binder->arena, max * sizeof *relation->keys);
    relation->defaults = kp_arena_calloc(binder->arena, max * sizeof *relation->defaults);
    for (size_t i = 0; i < create->n_table_elts; i++)
        if (create->table_elts[i]->node_case == PG_QUERY__NODE__NODE_COLUMN_DEF) {
            const PgQuery__ColumnDef *def = create->table_elts[i]->column_def;
            if (def->coll_clause)
                KP_TRY(kp_bind_collation(binder, def->coll_clause));
            KP_TRY(add_column(binder, relation, def));
        }
    uint32_t column = 0;
    for (size_t i = 0; i < create->n_table_elts; i++) {
        const PgQuery__Node *element = create->table_elts[i];
        if (element->node_case == PG_QUERY__NODE__NODE_CONSTRAINT) {
            KP_TRY(table_constraint(binder, relation, element->constraint));
        } else if (element->node_case == PG_QUERY__NODE__NODE_COLUMN_DEF) {
            for (size_t c = 0; c < element->column_def->n_constraints; c++)
                KP_TRY(column_constraint(binder, relation, column, element->column_def->constraints[c]->constraint));
            KP_TRY(check_nullable(binder, relation, column, element->column_def));
            column++;
        } else {
            return kp_bind_fail(binder, -1, KP_UNSUPPORTED, NULL, "CREATE TABLE … (LIKE …) is not supported");
        }
    }
    return KP_OK;
}

static enum kp_code bind_stored(struct binder *binder, struct kp_relation *relation)
{
    const struct kp_statement *statement = binder->statement;
    bool table = relation->kind == KP_RELATION_TABLE;
    KP_TRY(bind_columns(binder, relation, statement->tree->create_stmt));
    if (relation->col_count == 0)
        return kp_bind_fail(binder, statement->name.location, KP_INVALID, "42601", "%s \"%s\" has no columns",
                            table ? "table" : "source", relation->name);
    KP_TRY(bind_paths(binder, relation));
    KP_TRY(add_included(binder, relation));
    KP_TRY(kp_sql_check_options(statement, table ? KP_OPTION_TABLE : KP_OPTION_SOURCE, binder->err));
    KP_TRY(kp_bind_checks(binder, relation, statement->tree->create_stmt));
    add_hidden(binder, relation);
    if (table && !relation->key_count)
        KP_TRY(key_by_record(binder, relation));
    KP_TRY(bind_watermark(binder, relation));
    const char *topic = kp_relation_option(relation, "topic");
    relation->topic = topic ? topic : relation->name;
    const char *format = kp_relation_option(relation, "format");
    if (table)
        kp_bind_versions(relation);
    if (!table && format && strcmp(format, "debezium") == 0) {
        kp_bind_fail(binder, statement->name.location, KP_INVALID, "22023",
                     "format debezium describes a table's changes");
        return kp_error_hint(binder->err, "Use CREATE TABLE %s (…, PRIMARY KEY (…)).", relation->name);
    }
    return KP_OK;
}

/* ---- views and sinks ---- */

static enum kp_code name_view_columns(struct binder *binder, struct kp_relation *relation, struct kp_plan *plan,
                                      uint32_t count)
{
    const struct kp_statement *statement = binder->statement;
    if (statement->column_name_count > count)
        return kp_bind_fail(binder, statement->name.location, KP_INVALID, "42601",
                            "too many column names were specified");
    for (uint32_t i = 0; i < statement->column_name_count; i++)
        plan->cols[i].name = kp_arena_strdup(binder->arena, statement->column_names[i]);
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = 0; k < i; k++)
            if (strcmp(plan->cols[i].name, plan->cols[k].name) == 0) {
                kp_bind_fail(binder, statement->name.location, KP_INVALID, "42701",
                             "column \"%s\" specified more than once", plan->cols[i].name);
                return kp_error_hint(binder->err, "Name one of them: … AS other_name.");
            }
    relation->col_count = count;
    relation->cols = kp_arena_calloc(&relation->arena, (count + 1) * sizeof *relation->cols);
    for (uint32_t i = 0; i < count; i++) {
        relation->cols[i] = plan->cols[i];
        relation->cols[i].name = kp_arena_strdup(&relation->arena, plan->cols[i].name);
    }
    return KP_OK;
}

/* The error rows of a view, under its name and _errors; no relation of the catalog: a name that is taken hides it. */
static struct kp_relation *errors_of(const char *view)
{
    static const struct kp_column cols[] = {{"position", {KP_INT8, -1, 0}, false},
                                            {"sqlstate", {KP_TEXT, -1, 0}, true},
                                            {"message", {KP_TEXT, -1, 0}, true}};
    struct kp_relation *relation = kp_relation_create();
    relation->kind = KP_RELATION_SYSTEM;
    relation->schema = "public";
    relation->name = kp_arena_printf(&relation->arena, "%s_errors", view);
    relation->errors_of = kp_arena_strdup(&relation->arena, view);
    relation->col_count = KP_COUNT(cols);
    relation->cols = kp_arena_alloc(&relation->arena, sizeof cols);
    memcpy(relation->cols, cols, sizeof cols);
    return relation;
}

static enum kp_code bind_view(struct binder *outer, struct kp_relation *relation)
{
    const struct kp_statement *statement = outer->statement;
    struct kp_plan_root *root = relation->plan = kp_calloc(1, sizeof *root);
    struct binder binder;
    struct kp_plan *plan;
    uint32_t count;
    kp_binder_init(&binder, outer->context, statement, &root->arena, outer->err);
    binder.for_view = true;
    binder.uses = outer->uses;
    binder.emit_on_close = statement->emit_on_close;
    KP_TRY(kp_sql_check_options(statement, KP_OPTION_VIEW, outer->err));
    if (statement->param_max)
        return kp_bind_fail(&binder, -1, KP_INVALID, "42P02", "a view cannot have parameters");
    if (statement->as_of != KP_AS_OF_NONE)
        return kp_bind_fail(&binder, -1, KP_UNSUPPORTED, NULL, "AS OF cannot be used in a view");
    KP_TRY(kp_bind_root(&binder, statement->tree, false, &plan, &count));
    if (count == 0)
        return kp_bind_fail(&binder, statement->name.location, KP_UNSUPPORTED, NULL,
                            "a view needs at least one column");
    KP_TRY(kp_plan_check_now(&binder, plan));
    KP_TRY(kp_bind_finish(&binder, plan, count, root));
    KP_TRY(name_view_columns(&binder, relation, root->plan, count));
    relation->emit_on_close = statement->emit_on_close;
    relation->late_of = binder.late_of ? kp_relation_ref(binder.late_of) : NULL;
    relation->skip_errors = statement->skip_errors;
    if (relation->kind == KP_RELATION_VIEW)
        relation->errors = errors_of(relation->name);
    relation->on_expiry = statement->on_expiry;
    relation->keys = kp_arena_calloc(&relation->arena, (count + 2) * sizeof *relation->keys);
    uint32_t *keys = kp_arena_calloc(&root->arena, (root->plan->col_count + 2) * sizeof *keys);
    relation->key_count = kp_plan_unique_key(&binder, root->plan, keys);
    KP_ASSERT(relation->key_count <= count + 2);
    memcpy(relation->keys, keys, relation->key_count * sizeof *keys);
    return KP_OK;
}

static int32_t sink_column(const struct kp_relation *from, struct kp_str name)
{
    for (uint32_t i = 0; i < from->col_count - from->hidden_count; i++)
        if (kp_str_equal(kp_str(from->cols[i].name), name))
            return (int32_t)i;
    return -1;
}

/* partition_by = 'a, b': names as the catalog has them, separated by commas. */
static enum kp_code bind_partition_by(struct binder *binder, struct kp_relation *relation,
                                      const struct kp_relation *from, const char *list)
{
    while (relation->key_count < KP_COLUMNS_MAX) {
        list += strspn(list, " ");
        struct kp_str name = {list, strcspn(list, ",")};
        list += name.len;
        while (name.len && name.ptr[name.len - 1] == ' ')
            name.len--;
        int32_t column = sink_column(from, name);
        if (column < 0)
            return kp_fail(binder->err, KP_INVALID, "42703", "\"%s\" has no column \"%.*s\" to partition by",
                           from->name, (int)name.len, name.ptr);
        relation->keys[relation->key_count++] = (uint32_t)column;
        if (!*list)
            return KP_OK;
        list++;
    }
    return kp_fail(binder->err, KP_LIMIT, "54011", "partition_by names more than %d columns", KP_COLUMNS_MAX);
}

/* Columns of the records' key: the view's key, but of format changes those of partition_by. */
static enum kp_code bind_sink_key(struct binder *binder, struct kp_relation *relation, const struct kp_relation *from)
{
    const char *format = kp_relation_option(relation, "format"), *list = kp_relation_option(relation, "partition_by");
    relation->keys = kp_arena_calloc(binder->arena, KP_COLUMNS_MAX * sizeof *relation->keys);
    if (format && strcmp(format, "changes") != 0) {
        if (list) {
            kp_fail(binder->err, KP_INVALID, "22023", "parameter \"partition_by\" is for format = 'changes'");
            return kp_error_hint(binder->err, "With format '%s' the key decides the partition.", format);
        }
        relation->key_count = kp_relation_key_count(from);
        memcpy(relation->keys, from->keys, relation->key_count * sizeof *relation->keys);
    }
    return list ? bind_partition_by(binder, relation, from, list) : KP_OK;
}

static enum kp_code bind_sink(struct binder *binder, struct kp_relation *relation)
{
    const struct kp_statement *statement = binder->statement;
    struct kp_relation *from;
    KP_TRY(kp_bind_relation(binder, statement->sink_from, &from));
    if (from->kind == KP_RELATION_SINK || from->kind == KP_RELATION_SYSTEM || from->kind == KP_RELATION_PLAIN_VIEW ||
        from->kind == KP_RELATION_SEQUENCE) {
        kp_bind_fail(binder, statement->sink_from.location, KP_INVALID, "42809",
                     "a sink cannot read from the %s \"%s\"", kp_relation_kind_name(from->kind), from->name);
        return kp_error_hint(binder->err, "Create a materialized view and a sink FROM it.");
    }
    KP_TRY(kp_sql_check_options(statement, KP_OPTION_SINK, binder->err));
    const char *format = kp_relation_option(relation, "format"), *topic = kp_relation_option(relation, "topic");
    if (format && strcmp(format, "upsert") == 0 && !kp_relation_key_count(from)) {
        kp_bind_fail(binder, statement->sink_from.location, KP_INVALID, "42P10",
                     "format upsert needs a unique key, and \"%s\" has none known", from->name);
        return kp_error_hint(binder->err, "Use format = 'changes', or GROUP BY the key in the view.");
    }
    relation->topic = topic ? topic : relation->name;
    relation->col_count = from->col_count - from->hidden_count;
    relation->cols = kp_arena_calloc(binder->arena, (relation->col_count + 1) * sizeof *relation->cols);
    for (uint32_t i = 0; i < relation->col_count; i++) {
        relation->cols[i] = from->cols[i];
        relation->cols[i].name = kp_arena_strdup(binder->arena, from->cols[i].name);
    }
    KP_TRY(bind_sink_key(binder, relation, from));
    relation->sink_from = kp_relation_ref(from);
    return KP_OK;
}

/* ---- all ---- */

static void copy_declaration(struct kp_relation *relation, const struct kp_statement *statement)
{
    relation->kind = statement->relation_kind;
    relation->schema = kp_relation_schema(statement->relation_kind);
    relation->name = kp_arena_strdup(&relation->arena, statement->name.name);
    relation->text = kp_arena_strdup(&relation->arena, statement->text);
    relation->option_count = statement->option_count;
    relation->options = kp_arena_calloc(&relation->arena, (statement->option_count + 1) * sizeof *relation->options);
    for (uint32_t i = 0; i < statement->option_count; i++) {
        relation->options[i].name = kp_arena_strdup(&relation->arena, statement->options[i].name);
        relation->options[i].value = kp_arena_strdup(&relation->arena, statement->options[i].value);
    }
}

/* Rows of a table, source or view have a type of its name, a row type is a relation: in PostgreSQL, and so to its
 * clients. */
static enum kp_code check_row_type(struct binder *binder, const struct kp_statement *statement)
{
    const char *name = statement->name.name;
    bool type = statement->relation_kind >= KP_RELATION_TYPE;
    enum kp_relation_kind other = type ? KP_RELATION_TABLE : KP_RELATION_TYPE;
    const struct kp_relation *there =
        kp_catalog_find(binder->context->catalog, kp_str(kp_relation_schema(other)), kp_str(name));
    if (!there || there->kind == KP_RELATION_SINK || there->kind == KP_RELATION_SEQUENCE)
        return KP_OK;
    if (!type && kp_type_is_composite(there->made.id) && there->kind == KP_RELATION_TYPE)
        return kp_bind_fail(binder, -1, KP_EXISTS, "42P07", "relation \"%s\" already exists", name);
    kp_bind_fail(binder, -1, KP_EXISTS, "42710", "type \"%s\" already exists", name);
    return type ? KP_EXISTS
                : kp_error_hint(binder->err, "A relation has an associated type of the same name, so you must use a "
                                             "name that doesn't conflict with any existing type.");
}

static enum kp_code check_name(struct binder *binder, const struct kp_statement *statement)
{
    const struct kp_name *name = &statement->name;
    if (name->schema && strcmp(name->schema, "public") != 0) {
        if (kp_schema_is_system(name->schema))
            return kp_bind_fail(binder, name->location, KP_FORBIDDEN, "42501", "permission denied for schema %s",
                                name->schema);
        return kp_bind_fail(binder, name->location, KP_NOT_FOUND, "3F000", "schema \"%s\" does not exist",
                            name->schema);
    }
    if (statement->kind != KP_STATEMENT_CREATE)
        return KP_OK;
    enum kp_relation_kind kind = statement->relation_kind;
    const struct kp_relation *there =
        kp_catalog_find(binder->context->catalog, kp_str(kp_relation_schema(kind)), kp_str(name->name));
    if (!there && !binder->context->replaying && !binder->context->again && kind != KP_RELATION_SINK &&
        kind != KP_RELATION_SEQUENCE && kind != KP_RELATION_FUNCTION)
        KP_TRY(check_row_type(binder, statement));
    bool failed = there && there->kind == KP_RELATION_FAILED && there->declared == kind;
    if (binder->context->again || (statement->or_replace && (failed || binder->context->replaying)))
        return KP_OK;
    if (there && statement->or_replace && kind != KP_RELATION_PLAIN_VIEW && kind != KP_RELATION_FUNCTION) {
        kp_bind_fail(binder, name->location, KP_EXISTS, kind >= KP_RELATION_TYPE ? "42710" : "42P07",
                     "%s \"%s\" already exists", kind >= KP_RELATION_TYPE ? "type" : "relation", name->name);
        return kp_error_hint(binder->err, "OR REPLACE is for one that failed when the folder was opened, for views and "
                                          "for functions.");
    }
    if (there && (kind == KP_RELATION_TYPE || kind == KP_RELATION_DOMAIN))
        return kp_bind_fail(binder, name->location, KP_EXISTS, "42710", "type \"%s\" already exists", name->name);
    bool replaced =
        kind == KP_RELATION_PLAIN_VIEW && statement->or_replace && !(there && there->kind == KP_RELATION_FAILED);
    if (there && kind != KP_RELATION_FUNCTION && !replaced)
        return kp_bind_fail(binder, name->location, KP_EXISTS, "42P07", "relation \"%s\" already exists", name->name);
    return KP_OK;
}

static void keep_uses(struct kp_relation *relation, const struct use_list *uses)
{
    relation->uses = kp_arena_calloc(&relation->arena, (uses->count + 1) * sizeof(struct kp_relation *));
    for (uint32_t i = 0; i < uses->count; i++)
        if (uses->objects[i] != relation) /* a domain that tries its own constraints */
            relation->uses[relation->use_count++] = kp_relation_ref(uses->objects[i]);
}

enum kp_code kp_sql_bind_create(const struct kp_sql_context *context, const struct kp_statement *statement,
                                struct kp_relation **ret_relation, struct kp_error *err)
{
    struct kp_relation *relation = kp_relation_create();
    struct binder binder;
    kp_binder_init(&binder, context, statement, &relation->arena, err);
    struct use_list uses = {0};
    binder.uses = &uses;
    copy_declaration(relation, statement);
    enum kp_code code = check_name(&binder, statement);
    if (code == KP_OK) {
        switch (relation->kind) {
        case KP_RELATION_SOURCE:
        case KP_RELATION_TABLE:
            code = bind_stored(&binder, relation);
            break;
        case KP_RELATION_VIEW:
        case KP_RELATION_PLAIN_VIEW:
            code = bind_view(&binder, relation);
            break;
        case KP_RELATION_SINK:
            code = bind_sink(&binder, relation);
            break;
        case KP_RELATION_TYPE:
        case KP_RELATION_DOMAIN:
        case KP_RELATION_FUNCTION:
            code = kp_bind_create_object(&binder, relation);
            break;
        case KP_RELATION_SEQUENCE:
            code = kp_bind_create_sequence(&binder, relation);
            break;
        case KP_RELATION_SYSTEM:
        case KP_RELATION_FAILED:
            break;
        }
    }
    const struct kp_relation *there =
        statement->or_replace && relation->kind == KP_RELATION_PLAIN_VIEW
            ? kp_catalog_find(context->catalog, kp_str(relation->schema), kp_str(relation->name))
            : NULL;
    if (code == KP_OK && there && there->kind != KP_RELATION_FAILED && !context->again)
        code = kp_bind_check_replace(&binder, there, relation);
    if (code == KP_OK)
        keep_uses(relation, &uses);
    kp_free(uses.objects);
    if (code != KP_OK) {
        kp_relation_unref(relation);
        return code;
    }
    *ret_relation = relation;
    return KP_OK;
}
