/*
 * PostgreSQL's parse tree to a statement: one small function a kind of node. Expressions and queries stay tree.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sql/parse.h"
#include "vec/facts.h"

const char *kp_tree_name(PgQuery__Node *const *names, size_t count, const char **ret_schema)
{
    *ret_schema = count > 1 ? names[count - 2]->string->sval : NULL;
    return count ? names[count - 1]->string->sval : "";
}

static struct kp_name name_of(const PgQuery__RangeVar *range)
{
    return (struct kp_name){range->schemaname[0] ? range->schemaname : NULL, range->relname, range->location};
}

static enum kp_code unsupported(struct parser *parser, const char *what, const char *hint)
{
    kp_fail(parser->err, KP_UNSUPPORTED, NULL, "%s is not supported", what);
    if (hint)
        kp_error_hint(parser->err, "%s", hint);
    return KP_UNSUPPORTED;
}

/* The value of a constant, a name or a list of names as text: settings and options. */
static const char *text_of(struct parser *parser, const PgQuery__Node *node)
{
    if (!node)
        return "true";
    switch (node->node_case) {
    case PG_QUERY__NODE__NODE_STRING:
        return node->string->sval;
    case PG_QUERY__NODE__NODE_INTEGER:
        return kp_arena_printf(parser->arena, "%d", node->integer->ival);
    case PG_QUERY__NODE__NODE_FLOAT:
        return node->float_->fval;
    case PG_QUERY__NODE__NODE_BOOLEAN:
        return node->boolean->boolval ? "true" : "false";
    case PG_QUERY__NODE__NODE_TYPE_CAST:
        return text_of(parser, node->type_cast->arg);
    case PG_QUERY__NODE__NODE_TYPE_NAME:
        return node->type_name->n_names ? node->type_name->names[node->type_name->n_names - 1]->string->sval : "";
    case PG_QUERY__NODE__NODE_A_CONST:
        switch (node->a_const->val_case) {
        case PG_QUERY__A__CONST__VAL_SVAL:
            return node->a_const->sval->sval;
        case PG_QUERY__A__CONST__VAL_IVAL:
            return kp_arena_printf(parser->arena, "%d", node->a_const->ival->ival);
        case PG_QUERY__A__CONST__VAL_FVAL:
            return node->a_const->fval->fval;
        case PG_QUERY__A__CONST__VAL_BOOLVAL:
            return node->a_const->boolval->boolval ? "true" : "false";
        default:
            return "";
        }
    default:
        return "";
    }
}

static enum kp_code from_create_table(struct parser *parser, struct kp_statement *statement,
                                      const PgQuery__CreateStmt *create)
{
    statement->name = name_of(create->relation);
    statement->if_not_exists = create->if_not_exists;
    if (create->n_inh_relations || create->partspec || create->partbound || create->of_typename)
        return unsupported(parser, "CREATE TABLE with INHERITS, PARTITION or OF", NULL);
    if (strcmp(create->relation->relpersistence, "t") == 0)
        return unsupported(parser, "CREATE TEMPORARY TABLE", NULL);
    return KP_OK;
}

/* CREATE TABLE … AS query, SELECT … INTO. */
static enum kp_code from_table_as(struct parser *parser, struct kp_statement *statement,
                                  const PgQuery__IntoClause *into, const PgQuery__Node *query)
{
    if (strcmp(into->rel->relpersistence, "t") == 0)
        return unsupported(parser, "CREATE TEMPORARY TABLE", NULL);
    if (into->n_options)
        return unsupported(parser, "CREATE TABLE … WITH (…) AS", "Create the table, and INSERT INTO it SELECT ….");
    if (query->node_case != PG_QUERY__NODE__NODE_SELECT_STMT)
        return unsupported(parser, "CREATE TABLE AS EXECUTE", "Write the query itself.");
    if (statement->param_max)
        return unsupported(parser, "CREATE TABLE AS with parameters", NULL);
    struct kp_statement *inner = kp_arena_alloc(parser->arena, sizeof *inner);
    *inner = *statement;
    inner->kind = KP_STATEMENT_QUERY;
    inner->tag = "SELECT";
    inner->tree = query;
    inner->name = (struct kp_name){.location = -1};
    inner->column_name_count = 0;
    statement->kind = KP_STATEMENT_CREATE_AS;
    statement->relation_kind = KP_RELATION_TABLE;
    statement->no_data = into->skip_data;
    statement->inner = inner;
    return KP_OK;
}

static enum kp_code from_create_as(struct parser *parser, struct kp_statement *statement,
                                   const PgQuery__CreateTableAsStmt *create)
{
    bool is_view = create->objtype == PG_QUERY__OBJECT_TYPE__OBJECT_MATVIEW;
    if (is_view && create->into->skip_data)
        return unsupported(parser, "CREATE MATERIALIZED VIEW … WITH NO DATA",
                           "A view is filled from the log by itself.");
    statement->name = name_of(create->into->rel);
    statement->if_not_exists = create->if_not_exists;
    statement->column_name_count = (uint32_t)create->into->n_col_names;
    statement->column_names = kp_arena_calloc(parser->arena, create->into->n_col_names * sizeof(char *));
    for (size_t i = 0; i < create->into->n_col_names; i++)
        statement->column_names[i] = create->into->col_names[i]->string->sval;
    statement->tree = create->query;
    if (is_view)
        return KP_OK;
    statement->tag = "CREATE TABLE AS";
    return from_table_as(parser, statement, create->into, create->query);
}

/* INTO stands in the first SELECT of a UNION. */
static enum kp_code from_select(struct parser *parser, struct kp_statement *statement, const PgQuery__Node *tree)
{
    const PgQuery__SelectStmt *first = tree->select_stmt;
    while (first->larg)
        first = first->larg;
    statement->kind = KP_STATEMENT_QUERY;
    statement->tag = "SELECT";
    if (!first->into_clause)
        return KP_OK;
    statement->name = name_of(first->into_clause->rel);
    statement->into = first->into_clause;
    statement->tag = "SELECT INTO";
    return from_table_as(parser, statement, first->into_clause, tree);
}

static enum kp_code from_view(struct parser *parser, struct kp_statement *statement, const PgQuery__ViewStmt *view)
{
    statement->kind = KP_STATEMENT_CREATE;
    statement->relation_kind = KP_RELATION_PLAIN_VIEW;
    statement->tag = "CREATE VIEW";
    statement->name = name_of(view->view);
    statement->or_replace = view->replace;
    statement->column_name_count = (uint32_t)view->n_aliases;
    statement->column_names = kp_arena_calloc(parser->arena, view->n_aliases * sizeof(char *));
    for (size_t i = 0; i < view->n_aliases; i++)
        statement->column_names[i] = view->aliases[i]->string->sval;
    statement->tree = view->query;
    return KP_OK;
}

/* ---- COPY ---- */

static enum kp_code copy_char(struct parser *parser, const char *name, const char *value, char *ret_char)
{
    if (strlen(value) != 1)
        return kp_fail(parser->err, KP_UNSUPPORTED, NULL, "COPY %s must be a single one-byte character", name);
    *ret_char = value[0];
    return KP_OK;
}

static enum kp_code copy_format(struct parser *parser, struct kp_statement *statement, const PgQuery__CopyStmt *copy)
{
    struct kp_copy_options *options = &statement->copy;
    *options = (struct kp_copy_options){KP_COPY_TEXT, '\t', '"', '"', KP_COPY_NO_HEADER, "\\N"};
    for (size_t i = 0; i < copy->n_options; i++) {
        if (strcmp(copy->options[i]->def_elem->defname, "format") != 0)
            continue;
        const char *format = text_of(parser, copy->options[i]->def_elem->arg);
        if (strcmp(format, "csv") == 0)
            *options = (struct kp_copy_options){KP_COPY_CSV, ',', '"', '"', KP_COPY_NO_HEADER, ""};
        else if (strcmp(format, "binary") == 0)
            options->format = KP_COPY_BINARY;
        else if (strcmp(format, "text") != 0)
            return kp_fail(parser->err, KP_INVALID, "22023", "COPY format \"%s\" not recognized", format);
    }
    return KP_OK;
}

/* HEADER, HEADER false, HEADER match. */
static enum kp_code copy_header(struct parser *parser, const PgQuery__Node *arg, bool is_from,
                                enum kp_copy_header *ret_header)
{
    static const struct {
        const char *word;
        enum kp_copy_header header;
    } words[] = {{"true", KP_COPY_HEADER},       {"on", KP_COPY_HEADER},     {"1", KP_COPY_HEADER},
                 {"false", KP_COPY_NO_HEADER},   {"off", KP_COPY_NO_HEADER}, {"0", KP_COPY_NO_HEADER},
                 {"match", KP_COPY_HEADER_MATCH}};
    const char *value = text_of(parser, arg);
    size_t i = 0;
    while (i < KP_COUNT(words) && strcasecmp(value, words[i].word) != 0)
        i++;
    if (i == KP_COUNT(words))
        return kp_fail(parser->err, KP_INVALID, "42601", "header requires a Boolean value or \"match\"");
    if (words[i].header == KP_COPY_HEADER_MATCH && !is_from)
        return kp_fail(parser->err, KP_UNSUPPORTED, NULL, "cannot use \"match\" with HEADER in COPY TO");
    *ret_header = words[i].header;
    return KP_OK;
}

/* Encodings go by their letters and digits: "utf-8" is UTF8, too. */
static enum kp_code copy_encoding(struct parser *parser, const char *value, int32_t location)
{
    char name[16];
    size_t len = 0;
    for (const char *at = value; *at && len + 1 < sizeof name; at++)
        if (isalnum((unsigned char)*at))
            name[len++] = *at;
    name[len] = 0;
    if (strcasecmp(name, "utf8") == 0 || strcasecmp(name, "unicode") == 0)
        return KP_OK;
    kp_fail(parser->err, KP_UNSUPPORTED, NULL, "COPY in encoding \"%s\" is not supported: text is UTF8", value);
    return kp_error_at(parser->err, parser->text, location);
}

/* What a format has no such option for. */
static enum kp_code check_copy_option(struct parser *parser, enum kp_copy_format format, const char *name)
{
    bool binary = format == KP_COPY_BINARY;
    if (binary && (strcmp(name, "delimiter") == 0 || strcmp(name, "null") == 0))
        return kp_fail(parser->err, KP_INVALID, "42601", "cannot specify %s in BINARY mode",
                       name[0] == 'd' ? "DELIMITER" : "NULL");
    if (format != KP_COPY_CSV && (strcmp(name, "quote") == 0 || strcmp(name, "escape") == 0))
        return kp_fail(parser->err, KP_UNSUPPORTED, NULL, "COPY %s available only in CSV mode", name);
    if (binary && strcmp(name, "header") == 0)
        return kp_fail(parser->err, KP_UNSUPPORTED, NULL, "cannot specify HEADER in BINARY mode");
    return KP_OK;
}

/* PostgreSQL's options that are not ours, and what is an option nowhere. */
static enum kp_code refuse_copy_option(struct parser *parser, const PgQuery__DefElem *option)
{
    static const char *const known[] = {"force_quote", "force_not_null", "force_null", "convert_selectively"};
    bool found = false;
    for (size_t i = 0; i < KP_COUNT(known); i++)
        found |= strcmp(option->defname, known[i]) == 0;
    if (found)
        kp_fail(parser->err, KP_UNSUPPORTED, NULL, "COPY option \"%s\" is not supported", option->defname);
    else
        kp_fail(parser->err, KP_INVALID, "42601", "option \"%s\" not recognized", option->defname);
    return kp_error_at(parser->err, parser->text, option->location);
}

static enum kp_code copy_option(struct parser *parser, struct kp_statement *statement, const PgQuery__DefElem *option,
                                bool is_from)
{
    struct kp_copy_options *options = &statement->copy;
    const char *name = option->defname, *value = text_of(parser, option->arg);
    KP_TRY(check_copy_option(parser, options->format, name));
    if (strcmp(name, "format") == 0 || strcmp(name, "freeze") == 0)
        return KP_OK;
    if (strcmp(name, "encoding") == 0)
        return copy_encoding(parser, value, option->location);
    if (strcmp(name, "delimiter") == 0)
        return copy_char(parser, "delimiter", value, &options->delimiter);
    if (strcmp(name, "quote") == 0)
        return copy_char(parser, "quote", value, &options->quote);
    if (strcmp(name, "escape") == 0)
        return copy_char(parser, "escape", value, &options->escape);
    if (strcmp(name, "null") == 0) {
        options->null = value;
        return KP_OK;
    }
    if (strcmp(name, "header") == 0)
        return copy_header(parser, option->arg, is_from, &options->header);
    return refuse_copy_option(parser, option);
}

/* Each option at most once; the character that escapes is the one that quotes where none is said. */
static enum kp_code copy_options(struct parser *parser, struct kp_statement *statement, const PgQuery__CopyStmt *copy)
{
    KP_TRY(copy_format(parser, statement, copy));
    bool escapes = false;
    for (size_t i = 0; i < copy->n_options; i++) {
        const PgQuery__DefElem *option = copy->options[i]->def_elem;
        for (size_t k = 0; k < i; k++)
            if (strcmp(copy->options[k]->def_elem->defname, option->defname) == 0) {
                kp_fail(parser->err, KP_INVALID, "42601", "conflicting or redundant options");
                return kp_error_at(parser->err, parser->text, option->location);
            }
        KP_TRY(copy_option(parser, statement, option, copy->is_from));
        escapes |= strcmp(option->defname, "escape") == 0;
    }
    if (!escapes)
        statement->copy.escape = statement->copy.quote;
    return KP_OK;
}

static enum kp_code from_copy(struct parser *parser, struct kp_statement *statement, const PgQuery__CopyStmt *copy)
{
    if (copy->is_program || copy->filename[0])
        return unsupported(parser, "COPY with a file or program",
                           "Use COPY … FROM STDIN or TO STDOUT; in psql \\copy does that.");
    if (copy->where_clause)
        return unsupported(parser, "COPY … WHERE", NULL);
    KP_TRY(copy_options(parser, statement, copy));
    const char **columns = kp_arena_calloc(parser->arena, (copy->n_attlist + 1) * sizeof(char *));
    for (size_t i = 0; i < copy->n_attlist; i++)
        columns[i] = copy->attlist[i]->string->sval;
    statement->kind = copy->is_from ? KP_STATEMENT_COPY_IN : KP_STATEMENT_COPY_OUT;
    statement->tag = "COPY";
    struct kp_statement *target = statement;
    if (!copy->is_from && !statement->inner) {
        target = kp_arena_alloc(parser->arena, sizeof *target);
        *target = *statement;
        target->kind = KP_STATEMENT_QUERY;
        target->tag = "SELECT";
        target->tree = copy->query;
        statement->inner = target;
    }
    if (copy->relation) {
        target->name = name_of(copy->relation);
        target->column_name_count = (uint32_t)copy->n_attlist;
        target->column_names = columns;
    }
    return KP_OK;
}

/* ---- sessions ---- */

/* SET TIME ZONE INTERVAL '…' says that it is one; a number alone counts what the interval ends with. */
static const char *set_text_of(struct parser *parser, const PgQuery__Node *node)
{
    enum { HOUR = 1 << 10 }; /* PostgreSQL's INTERVAL_MASK(HOUR) */
    const char *text = text_of(parser, node);
    if (node->node_case != PG_QUERY__NODE__NODE_TYPE_CAST)
        return text;
    const PgQuery__TypeName *type = node->type_cast->type_name;
    bool number = type->n_typmods && text[0] && text[strspn(text, "+-0123456789")] == 0;
    bool hours = number && atoi(text_of(parser, type->typmods[0])) == HOUR;
    return kp_arena_printf(parser->arena, "INTERVAL '%s%s'", text, hours ? " hours" : number ? " minutes" : "");
}

/* A name as SQL writes it: with quotes where it needs them. */
static const char *quoted(struct parser *parser, const char *name)
{
    struct kp_buf buf = {0};
    kp_name_quote(kp_str(name), &buf);
    const char *text = kp_arena_printf(parser->arena, "%.*s", (int)buf.len, (const char *)buf.data);
    kp_buf_finish(&buf);
    return text;
}

static enum kp_code from_set(struct parser *parser, struct kp_statement *statement, const PgQuery__VariableSetStmt *set)
{
    statement->kind = KP_STATEMENT_SET;
    statement->tag = "SET";
    statement->local = set->is_local;
    statement->setting = set->name;
    if (set->kind == PG_QUERY__VARIABLE_SET_KIND__VAR_RESET_ALL)
        statement->setting = "all";
    if (set->kind == PG_QUERY__VARIABLE_SET_KIND__VAR_RESET || set->kind == PG_QUERY__VARIABLE_SET_KIND__VAR_RESET_ALL)
        statement->tag = "RESET";
    if (set->kind == PG_QUERY__VARIABLE_SET_KIND__VAR_SET_MULTI && set->n_args) {
        /* SET TRANSACTION ISOLATION LEVEL …, SET SESSION CHARACTERISTICS AS TRANSACTION … */
        bool session = strcmp(set->name, "SESSION CHARACTERISTICS") == 0;
        for (size_t i = 0; i < set->n_args; i++) { /* value: READ ONLY counts before the level and DEFERRABLE */
            const PgQuery__DefElem *mode =
                set->args[i]->node_case == PG_QUERY__NODE__NODE_DEF_ELEM ? set->args[i]->def_elem : NULL;
            if (!mode)
                return unsupported(parser, "SET TRANSACTION SNAPSHOT", NULL);
            if (strcmp(mode->defname, "transaction_isolation") == 0)
                statement->isolation = text_of(parser, mode->arg);
            if (i && strcmp(mode->defname, "transaction_read_only") != 0)
                continue;
            statement->setting = session ? kp_arena_printf(parser->arena, "default_%s", mode->defname) : mode->defname;
            statement->value = text_of(parser, mode->arg);
        }
        return KP_OK;
    }
    if (set->kind != PG_QUERY__VARIABLE_SET_KIND__VAR_SET_VALUE)
        return KP_OK;
    bool names = strcasecmp(set->name, "search_path") == 0; /* PostgreSQL's only setting that is a list of names */
    for (size_t i = 0; i < set->n_args; i++) {
        const char *value = set_text_of(parser, set->args[i]);
        if (names)
            value = quoted(parser, value);
        statement->value = i ? kp_arena_printf(parser->arena, "%s, %s", statement->value, value) : value;
    }
    return KP_OK;
}

static void from_savepoint(struct kp_statement *statement, const PgQuery__TransactionStmt *transaction)
{
    bool sets = transaction->kind == PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_SAVEPOINT;
    bool releases = transaction->kind == PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_RELEASE;
    statement->kind = sets ? KP_STATEMENT_SAVEPOINT : releases ? KP_STATEMENT_RELEASE : KP_STATEMENT_ROLLBACK_TO;
    statement->tag = sets ? "SAVEPOINT" : releases ? "RELEASE" : "ROLLBACK";
    statement->name = (struct kp_name){NULL, transaction->savepoint_name, -1};
}

static enum kp_code from_transaction(struct parser *parser, struct kp_statement *statement,
                                     const PgQuery__TransactionStmt *transaction)
{
    switch (transaction->kind) {
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_BEGIN:
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_START:
        statement->kind = KP_STATEMENT_BEGIN;
        statement->tag =
            transaction->kind == PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_BEGIN ? "BEGIN" : "START TRANSACTION";
        for (size_t i = 0; i < transaction->n_options; i++) { /* value: READ ONLY or READ WRITE; NULL: not said */
            const PgQuery__DefElem *option = transaction->options[i]->def_elem;
            if (strcmp(option->defname, "transaction_read_only") == 0)
                statement->value = text_of(parser, option->arg);
            if (strcmp(option->defname, "transaction_isolation") == 0)
                statement->isolation = text_of(parser, option->arg);
        }
        statement->read_only =
            statement->value && (strcmp(statement->value, "1") == 0 || strcmp(statement->value, "true") == 0);
        return KP_OK;
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_COMMIT:
        statement->kind = KP_STATEMENT_COMMIT;
        statement->tag = "COMMIT";
        break;
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_ROLLBACK:
        statement->kind = KP_STATEMENT_ROLLBACK;
        statement->tag = "ROLLBACK";
        break;
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_SAVEPOINT:
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_RELEASE:
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_ROLLBACK_TO:
        from_savepoint(statement, transaction);
        return KP_OK;
    default:
        return unsupported(parser, "two-phase commit", NULL);
    }
    statement->chain = transaction->chain;
    return KP_OK;
}

/* The statement behind PREPARE … AS, at its own place: what stands before it is blank. */
static const char *prepared_text(const struct parser *parser, const char *text)
{
    uint32_t as = 0;
    while (as < parser->count && !kp_parser_is(parser, as, "as"))
        as++;
    char *inner = kp_arena_strdup(parser->arena, text);
    for (int32_t i = 0; as < parser->count && i < parser->tokens[as].end; i++)
        inner[i] = inner[i] == '\n' ? '\n' : ' ';
    return inner;
}

static enum kp_code from_prepare(struct parser *parser, struct kp_statement *statement,
                                 const PgQuery__PrepareStmt *prepare)
{
    statement->kind = KP_STATEMENT_PREPARE;
    statement->tag = "PREPARE";
    statement->name.name = prepare->name;
    statement->param_type_count = (uint32_t)prepare->n_argtypes;
    statement->param_types = kp_arena_calloc(parser->arena, prepare->n_argtypes * sizeof *statement->param_types);
    for (size_t i = 0; i < prepare->n_argtypes; i++)
        KP_TRY(
            kp_bind_type_name(prepare->argtypes[i]->type_name, parser->text, &statement->param_types[i], parser->err));
    struct kp_statement *inner = kp_arena_calloc(parser->arena, sizeof *inner);
    inner->arena = statement->arena;
    inner->text = prepared_text(parser, statement->text);
    inner->name.location = -1;
    inner->as_of = statement->as_of;
    inner->as_of_position = statement->as_of_position;
    inner->as_of_timestamp = statement->as_of_timestamp;
    inner->param_max = statement->param_max;
    statement->inner = inner;
    return kp_statement_from_tree(parser, inner, prepare->query);
}

static enum kp_code from_discard(struct kp_statement *statement, const PgQuery__DiscardStmt *discard)
{
    static const char *const targets[] = {"all", "all", "plans", "sequences", "temp"};
    static const char *const tags[] = {"DISCARD ALL", "DISCARD ALL", "DISCARD PLANS", "DISCARD SEQUENCES",
                                       "DISCARD TEMP"};
    statement->kind = KP_STATEMENT_DISCARD;
    statement->setting = targets[discard->target <= PG_QUERY__DISCARD_MODE__DISCARD_TEMP ? discard->target : 0];
    statement->tag = tags[discard->target <= PG_QUERY__DISCARD_MODE__DISCARD_TEMP ? discard->target : 0];
    return KP_OK;
}

static enum kp_code from_truncate(struct parser *parser, struct kp_statement *statement,
                                  const PgQuery__TruncateStmt *truncate)
{
    statement->kind = KP_STATEMENT_TRUNCATE;
    statement->tag = "TRUNCATE TABLE";
    statement->restart_identity = truncate->restart_seqs;
    statement->cascade = truncate->behavior == PG_QUERY__DROP_BEHAVIOR__DROP_CASCADE;
    statement->name_count = (uint32_t)truncate->n_relations;
    statement->names = kp_arena_calloc(parser->arena, truncate->n_relations * sizeof *statement->names);
    for (size_t i = 0; i < truncate->n_relations; i++)
        statement->names[i] = name_of(truncate->relations[i]->range_var);
    return KP_OK;
}

/* What to do instead of statements that are refused, by their first words. */
static const struct {
    const char *words, *hint;
} instead[] = {
    {"CREATE INDEX",
     "Rows are looked up by a table's key, and by what a view groups by, without one: make a view for other "
     "keys."},
    {"CREATE UNIQUE", "Declare PRIMARY KEY (…) in the table."},
    {"CREATE SCHEMA", "There are the schemas public and kappa."},
    {"CREATE TRIGGER", "What follows from records is a materialized view; a sink sends its changes on."},
    {"CREATE DATABASE", "A server has one database: start another one with a folder of its own."},
    {"CREATE ROLE", "Whoever reaches the server may do everything: keep it on loopback, or behind what signs in."},
    {"CREATE USER", "Whoever reaches the server may do everything: keep it on loopback, or behind what signs in."},
    {"GRANT", "Whoever reaches the server may do everything: keep it on loopback, or behind what signs in."},
    {"REVOKE", "Whoever reaches the server may do everything: keep it on loopback, or behind what signs in."},
    {"LISTEN", "SUBSCRIBE TO a view, or read its events over HTTP."},
    {"NOTIFY", "INSERT INTO a source: subscribers of its views are told."},
    {"LOCK", "Transactions that meet are told apart by their rows: one of them gets 40001 and is tried again."},
    {"VACUUM", "There is nothing to clean: leave it out."},
    {"ANALYZE", "There are no statistics to gather: leave it out."},
    {"REINDEX", "There are no indexes to make again: leave it out."},
    {"CLUSTER", "Rows have no order on disk: leave it out."},
    {"DO", "Write the statements by themselves."},
};

/* The refusal of all other statements, by what their first words say. */
static enum kp_code refuse(struct parser *parser)
{
    char words[128];
    const struct token *first = &parser->tokens[0], *second = parser->count > 1 ? &parser->tokens[1] : first;
    bool two = second != first && second->kind >= PG_QUERY__TOKEN__ABORT_P;
    const struct token *last = two ? second : first;
    size_t len = 0;
    for (int32_t i = first->start; i < last->end && len + 1 < sizeof words; i++) {
        char c = parser->text[i];
        if (c == '\n' || c == '\t')
            c = ' ';
        words[len++] = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
    }
    words[len] = 0;
    for (size_t i = 0; i < KP_COUNT(instead); i++) {
        size_t bytes = strlen(instead[i].words);
        if (strncmp(words, instead[i].words, bytes) == 0 && (words[bytes] == 0 || words[bytes] == ' '))
            return unsupported(parser, words, instead[i].hint);
    }
    return unsupported(parser, words, NULL);
}

/* ---- types, domains, functions ---- */

static enum kp_code from_object(struct parser *parser, struct kp_statement *statement, enum kp_relation_kind kind,
                                const char *tag, PgQuery__Node *const *names, size_t count)
{
    const char *schema, *name = kp_tree_name(names, count, &schema);
    (void)parser;
    statement->kind = KP_STATEMENT_CREATE;
    statement->relation_kind = kind;
    statement->tag = tag;
    statement->name = (struct kp_name){schema, name, -1};
    return KP_OK;
}

static enum kp_code from_alter_object(struct kp_statement *statement, enum kp_relation_kind kind,
                                      PgQuery__Node *const *names, size_t count)
{
    const char *schema, *name = kp_tree_name(names, count, &schema);
    statement->kind = KP_STATEMENT_ALTER_OBJECT;
    statement->relation_kind = kind;
    statement->tag = kind == KP_RELATION_TYPE ? "ALTER TYPE" : "ALTER DOMAIN";
    statement->name = (struct kp_name){schema, name, -1};
    return KP_OK;
}

/* ALTER TYPE … ATTRIBUTE. */
static enum kp_code from_alter_composite(struct kp_statement *statement, const PgQuery__RangeVar *name)
{
    statement->kind = KP_STATEMENT_ALTER_OBJECT;
    statement->relation_kind = KP_RELATION_TYPE;
    statement->tag = "ALTER TYPE";
    statement->name = name_of(name);
    return KP_OK;
}

static enum kp_code from_alter_table(struct kp_statement *statement, const PgQuery__RangeVar *name, bool if_exists)
{
    statement->kind = KP_STATEMENT_ALTER_TABLE;
    statement->relation_kind = KP_RELATION_TABLE;
    statement->tag = "ALTER TABLE";
    statement->name = name_of(name);
    statement->if_exists = if_exists;
    return KP_OK;
}

static enum kp_code from_create_sequence(struct parser *parser, struct kp_statement *statement,
                                         const PgQuery__CreateSeqStmt *create)
{
    if (create->sequence->relpersistence[0] == 't')
        return unsupported(parser, "temporary sequences", "Leave TEMPORARY out, and drop it when it is done with.");
    statement->kind = KP_STATEMENT_CREATE;
    statement->relation_kind = KP_RELATION_SEQUENCE;
    statement->tag = "CREATE SEQUENCE";
    statement->name = name_of(create->sequence);
    statement->if_not_exists = create->if_not_exists;
    return KP_OK;
}

static enum kp_code from_alter_sequence(struct kp_statement *statement, const PgQuery__RangeVar *name, bool if_exists)
{
    statement->kind = KP_STATEMENT_ALTER_SEQUENCE;
    statement->relation_kind = KP_RELATION_SEQUENCE;
    statement->tag = "ALTER SEQUENCE";
    statement->name = name_of(name);
    statement->if_exists = if_exists;
    return KP_OK;
}

/* ALTER TYPE, ALTER DOMAIN, ALTER TABLE, ALTER SEQUENCE … RENAME; everything else that has a name keeps it. */
static enum kp_code from_rename(struct parser *parser, struct kp_statement *statement,
                                const PgQuery__RenameStmt *rename)
{
    bool type = rename->rename_type == PG_QUERY__OBJECT_TYPE__OBJECT_TYPE;
    if (rename->rename_type == PG_QUERY__OBJECT_TYPE__OBJECT_ATTRIBUTE &&
        rename->relation_type == PG_QUERY__OBJECT_TYPE__OBJECT_TYPE)
        return from_alter_composite(statement, rename->relation);
    if (rename->rename_type == PG_QUERY__OBJECT_TYPE__OBJECT_COLUMN &&
        rename->relation_type == PG_QUERY__OBJECT_TYPE__OBJECT_TABLE)
        return from_alter_table(statement, rename->relation, rename->missing_ok);
    if (rename->rename_type == PG_QUERY__OBJECT_TYPE__OBJECT_SEQUENCE)
        return from_alter_sequence(statement, rename->relation, rename->missing_ok);
    if (!type && rename->rename_type != PG_QUERY__OBJECT_TYPE__OBJECT_DOMAIN &&
        rename->rename_type != PG_QUERY__OBJECT_TYPE__OBJECT_DOMCONSTRAINT)
        return refuse(parser);
    const PgQuery__List *names = rename->object->list;
    return from_alter_object(statement, type ? KP_RELATION_TYPE : KP_RELATION_DOMAIN, names->items, names->n_items);
}

static enum kp_code from_session(struct parser *parser, struct kp_statement *statement, const PgQuery__Node *tree)
{
    enum kp_code code;
    if (kp_statement_absent(parser, statement, tree, &code))
        return code;
    switch (tree->node_case) {
    case PG_QUERY__NODE__NODE_VARIABLE_SET_STMT:
        return from_set(parser, statement, tree->variable_set_stmt);
    case PG_QUERY__NODE__NODE_VARIABLE_SHOW_STMT:
        statement->kind = KP_STATEMENT_SHOW;
        statement->tag = "SHOW";
        statement->setting = tree->variable_show_stmt->name;
        return KP_OK;
    case PG_QUERY__NODE__NODE_TRANSACTION_STMT:
        return from_transaction(parser, statement, tree->transaction_stmt);
    case PG_QUERY__NODE__NODE_PREPARE_STMT:
        return from_prepare(parser, statement, tree->prepare_stmt);
    case PG_QUERY__NODE__NODE_EXECUTE_STMT:
        statement->kind = KP_STATEMENT_EXECUTE;
        statement->tag = "EXECUTE";
        statement->name.name = tree->execute_stmt->name;
        statement->tree = tree;
        return KP_OK;
    case PG_QUERY__NODE__NODE_DEALLOCATE_STMT:
        statement->kind = KP_STATEMENT_DEALLOCATE;
        statement->tag = tree->deallocate_stmt->name[0] ? "DEALLOCATE" : "DEALLOCATE ALL";
        statement->name.name = tree->deallocate_stmt->name[0] ? tree->deallocate_stmt->name : NULL;
        return KP_OK;
    case PG_QUERY__NODE__NODE_DISCARD_STMT:
        return from_discard(statement, tree->discard_stmt);
    case PG_QUERY__NODE__NODE_UNLISTEN_STMT: /* pools reset a session by it; nothing is ever listened to */
        statement->kind = KP_STATEMENT_EMPTY;
        statement->tag = "UNLISTEN";
        return KP_OK;
    case PG_QUERY__NODE__NODE_COMMENT_STMT:
        statement->kind = KP_STATEMENT_COMMENT;
        statement->relation_kind = KP_RELATION_TABLE; /* sources too */
        statement->tag = "COMMENT";
        return KP_OK;
    default:
        return refuse(parser);
    }
}

enum kp_code kp_statement_from_tree(struct parser *parser, struct kp_statement *statement, const PgQuery__Node *tree)
{
    if (!statement->tree)
        statement->tree = tree;
    switch (tree->node_case) {
    case PG_QUERY__NODE__NODE_SELECT_STMT:
        return from_select(parser, statement, tree);
    case PG_QUERY__NODE__NODE_INSERT_STMT:
        statement->kind = KP_STATEMENT_INSERT;
        statement->tag = "INSERT";
        statement->name = name_of(tree->insert_stmt->relation);
        return KP_OK;
    case PG_QUERY__NODE__NODE_UPDATE_STMT:
        statement->kind = KP_STATEMENT_UPDATE;
        statement->tag = "UPDATE";
        statement->name = name_of(tree->update_stmt->relation);
        return KP_OK;
    case PG_QUERY__NODE__NODE_DELETE_STMT:
        statement->kind = KP_STATEMENT_DELETE;
        statement->tag = "DELETE";
        statement->name = name_of(tree->delete_stmt->relation);
        return KP_OK;
    case PG_QUERY__NODE__NODE_MERGE_STMT:
        statement->kind = KP_STATEMENT_MERGE;
        statement->tag = "MERGE";
        statement->name = name_of(tree->merge_stmt->relation);
        return KP_OK;
    case PG_QUERY__NODE__NODE_COPY_STMT:
        return from_copy(parser, statement, tree->copy_stmt);
    case PG_QUERY__NODE__NODE_CREATE_STMT:
        return from_create_table(parser, statement, tree->create_stmt);
    case PG_QUERY__NODE__NODE_CREATE_TABLE_AS_STMT:
        return from_create_as(parser, statement, tree->create_table_as_stmt);
    case PG_QUERY__NODE__NODE_VIEW_STMT:
        return from_view(parser, statement, tree->view_stmt);
    case PG_QUERY__NODE__NODE_CREATE_SEQ_STMT:
        return from_create_sequence(parser, statement, tree->create_seq_stmt);
    case PG_QUERY__NODE__NODE_ALTER_SEQ_STMT:
        return from_alter_sequence(statement, tree->alter_seq_stmt->sequence, tree->alter_seq_stmt->missing_ok);
    case PG_QUERY__NODE__NODE_TRUNCATE_STMT:
        return from_truncate(parser, statement, tree->truncate_stmt);
    case PG_QUERY__NODE__NODE_CREATE_ENUM_STMT:
        return from_object(parser, statement, KP_RELATION_TYPE, "CREATE TYPE", tree->create_enum_stmt->type_name,
                           tree->create_enum_stmt->n_type_name);
    case PG_QUERY__NODE__NODE_COMPOSITE_TYPE_STMT:
        statement->kind = KP_STATEMENT_CREATE;
        statement->relation_kind = KP_RELATION_TYPE;
        statement->tag = "CREATE TYPE";
        statement->name = name_of(tree->composite_type_stmt->typevar);
        return KP_OK;
    case PG_QUERY__NODE__NODE_CREATE_DOMAIN_STMT:
        return from_object(parser, statement, KP_RELATION_DOMAIN, "CREATE DOMAIN", tree->create_domain_stmt->domainname,
                           tree->create_domain_stmt->n_domainname);
    case PG_QUERY__NODE__NODE_ALTER_ENUM_STMT:
        return from_alter_object(statement, KP_RELATION_TYPE, tree->alter_enum_stmt->type_name,
                                 tree->alter_enum_stmt->n_type_name);
    case PG_QUERY__NODE__NODE_ALTER_DOMAIN_STMT:
        return from_alter_object(statement, KP_RELATION_DOMAIN, tree->alter_domain_stmt->type_name,
                                 tree->alter_domain_stmt->n_type_name);
    case PG_QUERY__NODE__NODE_ALTER_TABLE_STMT:
        if (tree->alter_table_stmt->objtype == PG_QUERY__OBJECT_TYPE__OBJECT_TYPE)
            return from_alter_composite(statement, tree->alter_table_stmt->relation);
        return tree->alter_table_stmt->objtype == PG_QUERY__OBJECT_TYPE__OBJECT_TABLE
                   ? from_alter_table(statement, tree->alter_table_stmt->relation, tree->alter_table_stmt->missing_ok)
                   : refuse(parser);
    case PG_QUERY__NODE__NODE_RENAME_STMT:
        return from_rename(parser, statement, tree->rename_stmt);
    case PG_QUERY__NODE__NODE_CREATE_FUNCTION_STMT:
        statement->or_replace = tree->create_function_stmt->replace;
        return from_object(parser, statement, KP_RELATION_FUNCTION, "CREATE FUNCTION",
                           tree->create_function_stmt->funcname, tree->create_function_stmt->n_funcname);
    default:
        return from_session(parser, statement, tree);
    }
}
