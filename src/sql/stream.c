/*
 * What streams add to SQL, read from the tokens; the rest is handed to PostgreSQL's parser.
 *
 * The text given on is a copy of the same length in which the words that PostgreSQL does not know are blanked out or
 * written over (CREATE SOURCE becomes CREATE TABLE), so every location in the tree is a byte of the user's own text.
 *
 *   CREATE SOURCE bid (price bigint, at timestamp, WATERMARK FOR at AS at - INTERVAL '4 s') WITH (topic = 'nexmark')
 *   CREATE TABLE  bid (price bigint, at timestamp                                         )
 *                                                  kept: watermark, options
 *
 *   CREATE SOURCE hit (who text PATH 'user.name') INCLUDE timestamp AS sent INCLUDE header 'trace' AS trace WITH (…)
 *
 * Read here wholly: TOPIC (CREATE, ALTER), SINK, DROP of our kinds, ALTER … PROMOTE/ROLLBACK, REFRESH, VERIFY,
 * SUBSCRIBE, EXPLAIN's head.
 */
#include <errno.h>
#include <stdlib.h>

#include "sql/elsewhere.h"
#include "sql/parse.h"
#include "sql/sql.h"

/* The range's text with everything before and behind it blank. */
static char *copy_range(const struct parser *parser)
{
    char *sql = kp_arena_alloc(parser->arena, parser->len + 1);
    memset(sql, ' ', parser->len);
    sql[parser->len] = 0;
    if (parser->at < parser->end) {
        /* to the end of the text: the scanner passes over a string with a bad U& escape that comes last, PostgreSQL's
         * grammar tells of it */
        int32_t from = parser->tokens[parser->at].start,
                to = parser->end == parser->count ? (int32_t)parser->len : parser->tokens[parser->end - 1].end;
        memcpy(sql + from, parser->text + from, (size_t)(to - from));
    }
    return sql;
}

/* Blanks tokens [from, to) with what lies between. */
static void blank(const struct parser *parser, char *sql, uint32_t from, uint32_t to)
{
    if (from < to)
        memset(sql + parser->tokens[from].start, ' ',
               (size_t)(parser->tokens[to - 1].end - parser->tokens[from].start));
}

static void put(char *sql, int32_t at, const char *words)
{
    memcpy(sql + at, words, strlen(words));
}

static struct kp_statement *new_statement(const struct parser *parser, enum kp_statement_kind kind, const char *tag)
{
    struct kp_statement *statement = kp_arena_calloc(parser->arena, sizeof *statement);
    statement->kind = kind;
    statement->arena = parser->arena;
    statement->text = parser->text;
    statement->tag = tag;
    statement->name.location = -1;
    statement->param_max = parser->param_max;
    statement->marks = parser->marks;
    return statement;
}

static enum kp_code expect_end(struct parser *parser)
{
    return parser->at < parser->end ? kp_parser_syntax_error(parser, parser->at) : KP_OK;
}

static enum kp_code expect_char(struct parser *parser, char c)
{
    if (!kp_parser_is_char(parser, parser->at, c))
        return kp_parser_syntax_error(parser, parser->at);
    parser->at++;
    return KP_OK;
}

/* ---- WITH (name = value, …) ---- */

static enum kp_code read_option_value(struct parser *parser, const char **ret_value)
{
    if (parser->at >= parser->end)
        return kp_parser_syntax_error(parser, parser->at);
    const struct token *token = &parser->tokens[parser->at];
    if (token->kind == PG_QUERY__TOKEN__SCONST)
        return kp_parser_string(parser, ret_value);
    int32_t start = token->start;
    if (token->kind == '-' || token->kind == '+') {
        token = &parser->tokens[++parser->at];
        if (parser->at >= parser->end)
            return kp_parser_syntax_error(parser, parser->at);
    }
    if (token->kind == PG_QUERY__TOKEN__ICONST || token->kind == PG_QUERY__TOKEN__FCONST) {
        *ret_value = kp_arena_strndup(parser->arena, parser->text + start, (size_t)(token->end - start));
        parser->at++;
        return KP_OK;
    }
    return kp_parser_identifier(parser, ret_value);
}

static enum kp_code read_option(struct parser *parser, struct kp_statement *statement)
{
    struct kp_option *option = &statement->options[statement->option_count];
    statement->option_locations[statement->option_count] = parser->tokens[parser->at].start;
    KP_TRY(kp_parser_identifier(parser, &option->name));
    while (kp_parser_is_char(parser, parser->at, '.')) {
        const char *more;
        parser->at++;
        KP_TRY(kp_parser_identifier(parser, &more));
        option->name = kp_arena_printf(parser->arena, "%s.%s", option->name, more);
    }
    KP_TRY(expect_char(parser, '='));
    KP_TRY(read_option_value(parser, &option->value));
    for (uint32_t i = 0; i < statement->option_count; i++) {
        if (strcmp(statement->options[i].name, option->name) == 0) {
            kp_fail(parser->err, KP_INVALID, "42601", "option \"%s\" is given twice", option->name);
            return kp_error_at(parser->err, parser->text, statement->option_locations[statement->option_count]);
        }
    }
    statement->option_count++;
    return KP_OK;
}

/* (name = value, …); parser->at is behind the "(". */
static enum kp_code read_option_list(struct parser *parser, struct kp_statement *statement)
{
    statement->options = kp_arena_calloc(parser->arena, (parser->end - parser->at) * sizeof *statement->options);
    statement->option_locations = kp_arena_calloc(parser->arena, (parser->end - parser->at) * sizeof(int32_t));
    if (kp_parser_is_char(parser, parser->at, ')')) {
        parser->at++;
        return KP_OK;
    }
    for (;;) {
        KP_TRY(parser->at < parser->end ? read_option(parser, statement) : kp_parser_syntax_error(parser, parser->at));
        if (!kp_parser_is_char(parser, parser->at, ','))
            return expect_char(parser, ')');
        parser->at++;
    }
}

/* Reads WITH (…) if it is there. */
static enum kp_code read_options(struct parser *parser, struct kp_statement *statement)
{
    if (!kp_parser_is(parser, parser->at, "with") || !kp_parser_is_char(parser, parser->at + 1, '('))
        return KP_OK;
    parser->at += 2;
    return read_option_list(parser, statement);
}

/* ---- AS OF POSITION n, AS OF TIMESTAMP '…' ---- */

static enum kp_code read_as_of(struct parser *parser, struct kp_statement *statement)
{
    bool position = kp_parser_is(parser, parser->at + 2, "position");
    uint32_t value = parser->at + 3;
    parser->at = value;
    if (statement->as_of != KP_AS_OF_NONE) {
        kp_fail(parser->err, KP_INVALID, "42601", "AS OF is given twice");
        return kp_error_at(parser->err, parser->text, parser->tokens[value - 3].start);
    }
    if (!position) {
        statement->as_of = KP_AS_OF_TIMESTAMP;
        return kp_parser_string(parser, &statement->as_of_timestamp);
    }
    if (value >= parser->end)
        return kp_parser_syntax_error(parser, value);
    const struct token *token = &parser->tokens[value];
    if (token->kind == PG_QUERY__TOKEN__PARAM) {
        kp_fail(parser->err, KP_UNSUPPORTED, NULL, "AS OF POSITION takes a number, not a parameter");
        return kp_error_at(parser->err, parser->text, token->start);
    }
    char *end;
    errno = 0;
    long long number = strtoll(parser->text + token->start, &end, 10);
    if (end != parser->text + token->end || number < 0 || errno)
        return kp_parser_syntax_error(parser, value);
    statement->as_of = KP_AS_OF_POSITION;
    statement->as_of_position = number;
    parser->at++;
    return KP_OK;
}

static bool at_as_of(const struct parser *parser, uint32_t at)
{
    return kp_parser_is(parser, at, "as") && kp_parser_is(parser, at + 1, "of") &&
           (kp_parser_is(parser, at + 2, "position") || kp_parser_is(parser, at + 2, "timestamp"));
}

/* Takes AS OF out of the range wherever it stands, but for FOR SYSTEM_TIME's: it holds for the whole statement. */
static enum kp_code take_as_of(struct parser *parser, struct kp_statement *statement, char *sql)
{
    for (uint32_t i = parser->at; i < parser->end; i++) {
        if (!at_as_of(parser, i) || (i > parser->at && kp_parser_is(parser, i - 1, "system_time")))
            continue;
        struct parser clause = *parser;
        clause.at = i;
        KP_TRY(read_as_of(&clause, statement));
        blank(parser, sql, i, clause.at);
    }
    return KP_OK;
}

/* ---- CREATE SOURCE, CREATE TABLE ---- */

/* WATERMARK FOR column AS expression, from parser->at to `end`; the expression is parsed as SELECT's only item. */
static enum kp_code read_watermark(struct parser *parser, uint32_t end, struct kp_statement *statement)
{
    struct kp_sql_watermark *watermark = &statement->watermark;
    if (watermark->column) {
        kp_fail(parser->err, KP_INVALID, "42601", "only one WATERMARK can be declared");
        return kp_error_at(parser->err, parser->text, parser->tokens[parser->at].start);
    }
    parser->at += 2;
    watermark->location = parser->tokens[parser->at].start;
    KP_TRY(kp_parser_identifier(parser, &watermark->column));
    if (!kp_parser_is(parser, parser->at, "as") || parser->at + 1 >= end)
        return kp_parser_syntax_error(parser, parser->at);
    parser->at++;
    const PgQuery__SelectStmt *select;
    KP_TRY(kp_parser_select(parser, parser->at, end, "SELECT ", &select));
    if (select->n_target_list != 1 || select->n_from_clause || select->where_clause)
        return kp_parser_syntax_error(parser, parser->at);
    watermark->expr = select->target_list[0]->res_target->val;
    parser->at = end;
    return KP_OK;
}

/* The end of a list's item that begins at `at`: its comma or closing parenthesis. */
static uint32_t item_end(const struct parser *parser, uint32_t at)
{
    int depth = 0;
    for (; at < parser->end; at++) {
        if (depth == 0 && (kp_parser_is_char(parser, at, ',') || kp_parser_is_char(parser, at, ')')))
            return at;
        depth += kp_parser_is_char(parser, at, '(') - kp_parser_is_char(parser, at, ')');
    }
    return at;
}

/* column type PATH 'a.b': a column that comes from there; the two words are blanked. */
static enum kp_code take_path(struct parser *parser, uint32_t start, uint32_t end, struct kp_statement *statement,
                              char *sql)
{
    for (uint32_t i = start + 2; i + 1 < end; i++) {
        if (!kp_parser_is(parser, i, "path") || parser->tokens[i + 1].kind != PG_QUERY__TOKEN__SCONST)
            continue;
        if (!statement->paths)
            statement->paths = kp_arena_calloc(parser->arena, parser->count * sizeof *statement->paths);
        struct kp_sql_path *path = &statement->paths[statement->path_count++];
        struct parser column = *parser, text = *parser;
        column.at = start;
        text.at = i + 1;
        path->location = parser->tokens[i + 1].start;
        KP_TRY(kp_parser_identifier(&column, &path->column));
        KP_TRY(kp_parser_string(&text, &path->path));
        blank(parser, sql, i, i + 2);
        return KP_OK;
    }
    return KP_OK;
}

/* INCLUDE what ['header'] [AS name], as often as it stands there. */
static enum kp_code take_includes(struct parser *parser, struct kp_statement *statement, char *sql)
{
    uint32_t start = parser->at;
    while (kp_parser_is(parser, parser->at, "include")) {
        if (!statement->includes)
            statement->includes = kp_arena_calloc(parser->arena, parser->count * sizeof *statement->includes);
        struct kp_sql_include *include = &statement->includes[statement->include_count++];
        parser->at++;
        include->location = parser->at < parser->end ? parser->tokens[parser->at].start : -1;
        KP_TRY(kp_parser_identifier(parser, &include->what));
        if (parser->at < parser->end && parser->tokens[parser->at].kind == PG_QUERY__TOKEN__SCONST)
            KP_TRY(kp_parser_string(parser, &include->header));
        if (kp_parser_accept(parser, "as"))
            KP_TRY(kp_parser_identifier(parser, &include->name));
    }
    blank(parser, sql, start, parser->at);
    return KP_OK;
}

/* The column list: takes WATERMARK out with one of the commas beside it. parser->at is behind the "(". */
static enum kp_code take_watermark(struct parser *parser, struct kp_statement *statement, char *sql)
{
    for (bool first = true;; first = false) {
        uint32_t start = parser->at, end = item_end(parser, start);
        if (kp_parser_is(parser, start, "watermark") && kp_parser_is(parser, start + 1, "for")) {
            KP_TRY(read_watermark(parser, end, statement));
            bool comma_behind = first && kp_parser_is_char(parser, end, ',');
            blank(parser, sql, first ? start : start - 1, comma_behind ? end + 1 : end);
            if (comma_behind) { /* the next item is the first one now */
                parser->at = end + 1;
                first = true;
                continue;
            }
        } else {
            KP_TRY(take_path(parser, start, end, statement, sql));
        }
        if (!kp_parser_is_char(parser, end, ',')) {
            parser->at = end < parser->end ? end + 1 : end;
            return KP_OK;
        }
        parser->at = end + 1;
    }
}

/* [IF NOT EXISTS] name (columns) [WITH (…)]; sql already reads CREATE TABLE. */
static enum kp_code read_table(struct parser *parser, struct kp_statement *statement, char *sql)
{
    kp_parser_accept(parser, "if not exists");
    KP_TRY(kp_parser_name(parser, &statement->name));
    if (!kp_parser_is_char(parser, parser->at, '(')) {
        if (statement->relation_kind == KP_RELATION_SOURCE) {
            kp_parser_syntax_error(parser, parser->at);
            return kp_error_hint(parser->err,
                                 "A source declares its columns: CREATE SOURCE %s (name type, …) WITH (topic = '…').",
                                 statement->name.name);
        }
        parser->at = parser->end; /* CREATE TABLE t AS …: the grammar's */
    } else {
        parser->at++;
        KP_TRY(take_watermark(parser, statement, sql));
        KP_TRY(take_includes(parser, statement, sql));
        uint32_t options = parser->at;
        KP_TRY(read_options(parser, statement));
        blank(parser, sql, options, parser->at);
        if (statement->relation_kind == KP_RELATION_SOURCE)
            KP_TRY(expect_end(parser));
    }
    const PgQuery__Node *tree;
    KP_TRY(kp_grammar_parse(parser, sql, &tree));
    return kp_statement_from_tree(parser, statement, tree);
}

static enum kp_code read_create_source(struct parser *parser, struct kp_statement **ret_statement)
{
    struct kp_statement *statement = new_statement(parser, KP_STATEMENT_CREATE, "CREATE SOURCE");
    char *sql = copy_range(parser);
    put(sql, parser->tokens[parser->at + 1].start, "TABLE ");
    parser->at += 2;
    statement->relation_kind = KP_RELATION_SOURCE;
    *ret_statement = statement;
    return read_table(parser, statement, sql);
}

static enum kp_code read_create_table(struct parser *parser, struct kp_statement **ret_statement)
{
    struct kp_statement *statement = new_statement(parser, KP_STATEMENT_CREATE, "CREATE TABLE");
    char *sql = copy_range(parser);
    parser->at += 2;
    statement->relation_kind = KP_RELATION_TABLE;
    *ret_statement = statement;
    return read_table(parser, statement, sql);
}

/* ---- views ---- */

/* The words that may end a view: EMIT ON WINDOW CLOSE, ON ERROR SKIP, ON EXPIRY … They are taken off the range. */
static void take_view_tail(struct parser *parser, struct kp_statement *statement, char *sql)
{
    static const struct {
        const char *words;
        uint32_t count;
        enum kp_on_expiry on_expiry;
        bool emit, skip;
    } tails[] = {{"emit on window close", 4, 0, true, false},
                 {"on error skip", 3, 0, false, true},
                 {"on expiry keep", 3, KP_ON_EXPIRY_KEEP, false, false},
                 {"on expiry retract", 3, KP_ON_EXPIRY_RETRACT, false, false},
                 {"on expiry hold", 3, KP_ON_EXPIRY_HOLD, false, false}};
    for (size_t i = 0; i < KP_COUNT(tails); i++) {
        uint32_t before = parser->end;
        struct parser tail = *parser;
        tail.at = before >= parser->at + tails[i].count ? before - tails[i].count : parser->at;
        if (!kp_parser_accept(&tail, tails[i].words))
            continue;
        statement->emit_on_close |= tails[i].emit;
        statement->skip_errors |= tails[i].skip;
        if (i >= 2)
            statement->on_expiry = tails[i].on_expiry;
        parser->end -= tails[i].count;
        if (tails[i].emit)
            statement->emit_location = parser->tokens[parser->end].start;
        blank(parser, sql, parser->end, before);
        i = SIZE_MAX; /* others may stand before it */
    }
}

static enum kp_code read_create_view(struct parser *parser, struct kp_statement **ret_statement)
{
    struct kp_statement *statement = new_statement(parser, KP_STATEMENT_CREATE, "CREATE MATERIALIZED VIEW");
    char *sql = copy_range(parser);
    statement->relation_kind = KP_RELATION_VIEW;
    *ret_statement = statement;
    uint32_t start = parser->at, end = parser->end;
    take_view_tail(parser, statement, sql);
    parser->at += 3;
    kp_parser_accept(parser, "if not exists");
    KP_TRY(kp_parser_name(parser, &statement->name));
    if (kp_parser_is_char(parser, parser->at, '('))
        parser->at = kp_parser_behind_parens(parser, parser->at);
    uint32_t options = parser->at;
    KP_TRY(read_options(parser, statement));
    blank(parser, sql, options, parser->at);
    parser->at = start;
    const PgQuery__Node *tree;
    KP_TRY(kp_grammar_parse(parser, sql, &tree));
    parser->end = end;
    return kp_statement_from_tree(parser, statement, tree);
}

static enum kp_code read_alter_view(struct parser *parser, struct kp_statement **ret_statement)
{
    struct kp_statement *statement = new_statement(parser, KP_STATEMENT_ALTER_VIEW, "ALTER MATERIALIZED VIEW");
    char *sql = copy_range(parser);
    parser->at += 3;
    statement->relation_kind = KP_RELATION_VIEW;
    statement->if_exists = kp_parser_accept(parser, "if exists");
    KP_TRY(kp_parser_name(parser, &statement->name));
    *ret_statement = statement;
    if (kp_parser_accept(parser, "promote")) {
        statement->alter = KP_ALTER_PROMOTE;
        return expect_end(parser);
    }
    if (kp_parser_accept(parser, "rollback")) {
        statement->alter = KP_ALTER_ROLLBACK;
        return expect_end(parser);
    }
    uint32_t options = parser->at;
    KP_TRY(read_options(parser, statement));
    (void)options;
    if (kp_parser_is(parser, parser->at, "rename") || kp_parser_is(parser, parser->at, "set")) {
        kp_fail(parser->err, KP_UNSUPPORTED, NULL, "ALTER MATERIALIZED VIEW … %s is not supported",
                kp_parser_is(parser, parser->at, "set") ? "SET" : "RENAME");
        kp_error_hint(parser->err, "Create a view with the new name, then drop the old one.");
        return kp_error_at(parser->err, parser->text, parser->tokens[parser->at].start);
    }
    KP_TRY(kp_parser_expect(parser, "as"));
    blank(parser, sql, 0, parser->at);
    take_view_tail(parser, statement, sql);
    const PgQuery__Node *tree;
    KP_TRY(parser->at < parser->end ? kp_grammar_parse(parser, sql, &tree)
                                    : kp_parser_syntax_error(parser, parser->at));
    if (!tree || tree->node_case != PG_QUERY__NODE__NODE_SELECT_STMT)
        return kp_parser_syntax_error(parser, parser->at);
    statement->tree = tree;
    return KP_OK;
}

static enum kp_code read_alter_source(struct parser *parser, struct kp_statement **ret_statement)
{
    struct kp_statement *statement = new_statement(parser, KP_STATEMENT_ALTER_SOURCE, "ALTER SOURCE");
    char *sql = copy_range(parser);
    put(sql, parser->tokens[parser->at].start, "CREATE TABLE"); /* fits: ALTER, a blank or more, SOURCE */
    if (parser->tokens[parser->at + 1].end > parser->tokens[parser->at].start + 12)
        memset(sql + parser->tokens[parser->at].start + 12, ' ',
               (size_t)(parser->tokens[parser->at + 1].end - parser->tokens[parser->at].start - 12));
    parser->at += 2;
    statement->relation_kind = KP_RELATION_SOURCE;
    *ret_statement = statement;
    struct parser ahead = *parser;
    KP_TRY(kp_parser_name(&ahead, &statement->name));
    bool promote = kp_parser_accept(&ahead, "promote");
    if (promote || kp_parser_accept(&ahead, "rollback")) {
        statement->alter = promote ? KP_ALTER_PROMOTE : KP_ALTER_ROLLBACK;
        return expect_end(&ahead);
    }
    return read_table(parser, statement, sql);
}

/* ---- statements that PostgreSQL does not have ---- */

static enum kp_code read_create_topic(struct parser *parser, struct kp_statement **ret_statement)
{
    struct kp_statement *statement = new_statement(parser, KP_STATEMENT_CREATE_TOPIC, "CREATE TOPIC");
    parser->at += 2;
    statement->if_not_exists = kp_parser_accept(parser, "if not exists");
    KP_TRY(kp_parser_name(parser, &statement->name));
    KP_TRY(read_options(parser, statement));
    *ret_statement = statement;
    KP_TRY(expect_end(parser));
    return kp_sql_check_topic(statement, parser->err);
}

static enum kp_code read_number(struct parser *parser, int64_t *ret_number)
{
    uint32_t at = parser->at;
    if (at >= parser->end || parser->tokens[at].kind != PG_QUERY__TOKEN__ICONST)
        return kp_parser_syntax_error(parser, at);
    char *end;
    errno = 0;
    long long number = strtoll(parser->text + parser->tokens[at].start, &end, 10);
    if (end != parser->text + parser->tokens[at].end || errno)
        return kp_parser_syntax_error(parser, at);
    parser->at++;
    *ret_number = number;
    return KP_OK;
}

/* ALTER TOPIC t SET (options) | COMPACT | DELETE BEFORE OFFSET n [PARTITION p]; END: all that is there. */
static enum kp_code read_alter_topic(struct parser *parser, struct kp_statement **ret_statement)
{
    struct kp_statement *statement = new_statement(parser, KP_STATEMENT_ALTER_TOPIC, "ALTER TOPIC");
    parser->at += 2;
    statement->if_exists = kp_parser_accept(parser, "if exists");
    KP_TRY(kp_parser_name(parser, &statement->name));
    *ret_statement = statement;
    if (kp_parser_accept(parser, "set")) {
        statement->alter = KP_ALTER_SET;
        KP_TRY(expect_char(parser, '('));
        KP_TRY(read_option_list(parser, statement));
        KP_TRY(expect_end(parser));
        return kp_sql_check_topic(statement, parser->err);
    }
    if (kp_parser_accept(parser, "compact")) {
        statement->alter = KP_ALTER_COMPACT;
        return expect_end(parser);
    }
    KP_TRY(kp_parser_expect(parser, "delete before"));
    statement->alter = KP_ALTER_DELETE_BEFORE;
    statement->before_offset = statement->partition = -1;
    if (!kp_parser_accept(parser, "end")) {
        KP_TRY(kp_parser_expect(parser, "offset"));
        KP_TRY(read_number(parser, &statement->before_offset));
    }
    if (kp_parser_accept(parser, "partition"))
        KP_TRY(read_number(parser, &statement->partition));
    return expect_end(parser);
}

static enum kp_code read_create_sink(struct parser *parser, struct kp_statement **ret_statement)
{
    struct kp_statement *statement = new_statement(parser, KP_STATEMENT_CREATE, "CREATE SINK");
    statement->relation_kind = KP_RELATION_SINK;
    parser->at += 2;
    statement->if_not_exists = kp_parser_accept(parser, "if not exists");
    KP_TRY(kp_parser_name(parser, &statement->name));
    if (kp_parser_is(parser, parser->at, "as")) {
        kp_fail(parser->err, KP_UNSUPPORTED, NULL, "CREATE SINK … AS is not supported");
        kp_error_hint(parser->err, "Create a materialized view and a sink FROM it.");
        return kp_error_at(parser->err, parser->text, parser->tokens[parser->at].start);
    }
    KP_TRY(kp_parser_expect(parser, "from"));
    KP_TRY(kp_parser_name(parser, &statement->sink_from));
    KP_TRY(read_options(parser, statement));
    *ret_statement = statement;
    return expect_end(parser);
}

static enum kp_code read_drop(struct parser *parser, struct kp_statement **ret_statement)
{
    static const struct {
        const char *words, *tag;
        enum kp_relation_kind kind;
        bool topic;
    } kinds[] = {{"drop source", "DROP SOURCE", KP_RELATION_SOURCE, false},
                 {"drop table", "DROP TABLE", KP_RELATION_TABLE, false},
                 {"drop topic", "DROP TOPIC", KP_RELATION_SOURCE, true},
                 {"drop sink", "DROP SINK", KP_RELATION_SINK, false},
                 {"drop materialized view", "DROP MATERIALIZED VIEW", KP_RELATION_VIEW, false},
                 {"drop view", "DROP VIEW", KP_RELATION_PLAIN_VIEW, false},
                 {"drop sequence", "DROP SEQUENCE", KP_RELATION_SEQUENCE, false},
                 {"drop type", "DROP TYPE", KP_RELATION_TYPE, false},
                 {"drop domain", "DROP DOMAIN", KP_RELATION_DOMAIN, false},
                 {"drop function", "DROP FUNCTION", KP_RELATION_FUNCTION, false}};
    for (size_t i = 0; i < KP_COUNT(kinds); i++) {
        if (!kp_parser_accept(parser, kinds[i].words))
            continue;
        struct kp_statement *statement = new_statement(parser, KP_STATEMENT_DROP, kinds[i].tag);
        statement->relation_kind = kinds[i].kind;
        statement->drop_topic = kinds[i].topic;
        statement->if_exists = kp_parser_accept(parser, "if exists");
        statement->names = kp_arena_calloc(parser->arena, (parser->end - parser->at + 1) * sizeof *statement->names);
        statement->name_args = kp_arena_calloc(parser->arena, (parser->end - parser->at + 1) * sizeof(char *));
        do {
            KP_TRY(kp_parser_name(parser, &statement->names[statement->name_count++]));
            if (statement->relation_kind == KP_RELATION_FUNCTION && kp_parser_is_char(parser, parser->at, '(')) {
                struct parser args = *parser;
                args.end = parser->at = kp_parser_behind_parens(parser, parser->at);
                statement->name_args[statement->name_count - 1] =
                    kp_arena_strndup(parser->arena, parser->text + parser->tokens[args.at].start,
                                     (size_t)(parser->tokens[args.end - 1].end - parser->tokens[args.at].start));
            }
        } while (kp_parser_is_char(parser, parser->at, ',') && parser->at++ < parser->end);
        statement->name = statement->names[0];
        statement->cascade = kp_parser_accept(parser, "cascade");
        if (!statement->cascade)
            kp_parser_accept(parser, "restrict");
        *ret_statement = statement;
        return expect_end(parser);
    }
    return KP_NOT_FOUND; /* another kind: the grammar's */
}

/* SUBSCRIBE [TO] name | (query) [AS OF …] [WITH (…)]; TABLE name is TO name. */
static enum kp_code read_subscribe(struct parser *parser, struct kp_statement **ret_statement)
{
    struct kp_statement *statement = new_statement(parser, KP_STATEMENT_SUBSCRIBE, "SUBSCRIBE");
    *ret_statement = statement;
    parser->at++;
    kp_parser_accept(parser, "to");
    if (kp_parser_is_char(parser, parser->at, '(')) {
        struct parser query = *parser;
        query.end = kp_parser_behind_parens(parser, parser->at);
        char *sql = copy_range(&query);
        const PgQuery__Node *tree;
        KP_TRY(kp_grammar_parse(&query, sql, &tree));
        if (!tree || tree->node_case != PG_QUERY__NODE__NODE_SELECT_STMT)
            return kp_parser_syntax_error(parser, parser->at);
        statement->tree = tree;
        parser->at = query.end;
    } else {
        KP_TRY(kp_parser_name(parser, &statement->name));
    }
    for (;;) {
        if (at_as_of(parser, parser->at))
            KP_TRY(read_as_of(parser, statement));
        else if (kp_parser_is(parser, parser->at, "with") && !statement->option_count)
            KP_TRY(read_options(parser, statement));
        else
            return expect_end(parser);
    }
}

static enum kp_code read_view_command(struct parser *parser, enum kp_statement_kind kind, const char *tag,
                                      struct kp_statement **ret_statement)
{
    struct kp_statement *statement = new_statement(parser, kind, tag);
    parser->at++;
    KP_TRY(kp_parser_expect(parser, "materialized view"));
    KP_TRY(kp_parser_name(parser, &statement->name));
    *ret_statement = statement;
    return expect_end(parser);
}

/* EXPLAIN (ANALYZE, FORMAT JSON …): PostgreSQL's other options are taken and change nothing. *ret_measures: one that is
 * about what a run takes. */
static enum kp_code read_explain_option(struct parser *parser, struct kp_statement *statement,
                                        const char **ret_measures)
{
    static const char *const known[] = {"analyze",      "format",  "verbose", "costs",  "settings",
                                        "generic_plan", "buffers", "summary", "timing", "wal"};
    const char *name, *value = "on";
    uint32_t at = parser->at;
    KP_TRY(kp_parser_identifier(parser, &name));
    if (!kp_parser_is_char(parser, parser->at, ',') && !kp_parser_is_char(parser, parser->at, ')'))
        KP_TRY(read_option_value(parser, &value));
    if (!kp_parser_is_char(parser, parser->at, ',') && !kp_parser_is_char(parser, parser->at, ')'))
        return kp_parser_syntax_error(parser, parser->at);
    bool found = false;
    for (size_t i = 0; i < KP_COUNT(known); i++)
        found |= strcmp(known[i], name) == 0;
    if (!found) {
        kp_fail(parser->err, KP_INVALID, "42601", "unrecognized EXPLAIN option \"%s\"", name);
        return kp_error_at(parser->err, parser->text, parser->tokens[at].start);
    }
    bool off = strcmp(value, "off") == 0 || strcmp(value, "false") == 0 || strcmp(value, "0") == 0;
    bool on = strcmp(value, "on") == 0 || strcmp(value, "true") == 0 || strcmp(value, "1") == 0;
    if (strcmp(name, "format") != 0 && !off && !on)
        return kp_fail(parser->err, KP_INVALID, "42601", "%s requires a Boolean value", name);
    if (strcmp(name, "analyze") == 0)
        statement->explain = off ? KP_EXPLAIN_PLAN : KP_EXPLAIN_ANALYZE;
    if (strcmp(name, "wal") == 0 || strcmp(name, "timing") == 0)
        *ret_measures = off ? *ret_measures : name[0] == 'w' ? "WAL" : "TIMING";
    if (strcmp(name, "format") != 0)
        return KP_OK;
    statement->explain_json = strcmp(value, "json") == 0;
    if (!statement->explain_json && strcmp(value, "text") != 0) {
        kp_fail(parser->err, KP_INVALID, "22023", "unrecognized value for EXPLAIN option \"format\": \"%s\"", value);
        return kp_error_at(parser->err, parser->text, parser->tokens[at].start);
    }
    return KP_OK;
}

static enum kp_code read_explain_options(struct parser *parser, struct kp_statement *statement)
{
    const char *measures = NULL;
    do {
        parser->at++; /* the parenthesis, then commas */
        KP_TRY(read_explain_option(parser, statement, &measures));
    } while (kp_parser_is_char(parser, parser->at, ','));
    parser->at++;
    if (measures && statement->explain != KP_EXPLAIN_ANALYZE)
        return kp_fail(parser->err, KP_INVALID, "22023", "EXPLAIN option %s requires ANALYZE", measures);
    return KP_OK;
}

static enum kp_code read_explain(struct parser *parser, struct kp_statement **ret_statement)
{
    struct kp_statement *statement = new_statement(parser, KP_STATEMENT_EXPLAIN, "EXPLAIN");
    parser->at++;
    static const char *const statement_words[] = {"select", "with", "values", "(", "table"};
    bool query = false;
    for (size_t i = 0; i < KP_COUNT(statement_words); i++)
        query |= kp_parser_is(parser, parser->at + 1, statement_words[i]);
    if (kp_parser_is_char(parser, parser->at, '(') && !query)
        KP_TRY(read_explain_options(parser, statement));
    else if (kp_parser_accept(parser, "replay"))
        statement->explain = KP_EXPLAIN_REPLAY;
    else if (kp_parser_accept(parser, "row"))
        statement->explain = KP_EXPLAIN_ROW;
    else if (kp_parser_accept(parser, "analyze"))
        statement->explain = KP_EXPLAIN_ANALYZE;
    kp_parser_accept(parser, "verbose");
    if (parser->at >= parser->end || kp_parser_is(parser, parser->at, "explain"))
        return kp_parser_syntax_error(parser, parser->at);
    *ret_statement = statement;
    if (kp_parser_accept(parser, "materialized view")) {
        KP_TRY(kp_parser_name(parser, &statement->name));
        return parser->at < parser->end ? kp_parser_syntax_error(parser, parser->at) : KP_OK;
    }
    return kp_statement_from_range(parser, &statement->inner);
}

/* COPY (SUBSCRIBE …) TO STDOUT: the inside is read here, the outside by the grammar with an empty SELECT in its place.
 */
static enum kp_code read_copy_subscribe(struct parser *parser, struct kp_statement **ret_statement)
{
    struct kp_statement *statement = new_statement(parser, KP_STATEMENT_COPY_OUT, "COPY");
    char *sql = copy_range(parser);
    uint32_t open = parser->at + 1, behind = kp_parser_behind_parens(parser, open);
    if (!kp_parser_is_char(parser, behind - 1, ')'))
        return kp_parser_syntax_error(parser, parser->end);
    struct parser inner = *parser;
    inner.at = open + 1;
    inner.end = behind - 1;
    KP_TRY(kp_statement_from_range(&inner, &statement->inner));
    blank(parser, sql, open + 1, behind - 1);
    put(sql, parser->tokens[open + 1].start, "SELECT");
    const PgQuery__Node *tree;
    KP_TRY(kp_grammar_parse(parser, sql, &tree));
    *ret_statement = statement;
    return kp_statement_from_tree(parser, statement, tree);
}

/* COMMENT ON SOURCE, SINK: of a table, a foreign table. */
static enum kp_code read_comment(struct parser *parser, struct kp_statement **ret_statement)
{
    struct kp_statement *statement = new_statement(parser, KP_STATEMENT_EMPTY, "");
    char *sql = copy_range(parser);
    uint32_t word = parser->at + 2;
    bool source = kp_parser_is(parser, word, "source"), sink = kp_parser_is(parser, word, "sink");
    if (source)
        put(sql, parser->tokens[word].start, "TABLE ");
    if (sink)
        put(sql, parser->tokens[word].start, "VIEW");
    const PgQuery__Node *tree;
    KP_TRY(kp_grammar_parse(parser, sql, &tree));
    *ret_statement = statement;
    KP_TRY(kp_statement_from_tree(parser, statement, tree));
    if (source)
        statement->relation_kind = KP_RELATION_SOURCE;
    if (sink)
        statement->relation_kind = KP_RELATION_SINK;
    return KP_OK;
}

/* Everything that is PostgreSQL's but for AS OF. */
static enum kp_code read_postgres(struct parser *parser, struct kp_statement **ret_statement)
{
    struct kp_statement *statement = new_statement(parser, KP_STATEMENT_EMPTY, "");
    char *sql = copy_range(parser);
    KP_TRY(take_as_of(parser, statement, sql));
    const PgQuery__Node *tree;
    KP_TRY(kp_grammar_parse(parser, sql, &tree));
    *ret_statement = statement;
    return tree ? kp_statement_from_tree(parser, statement, tree) : KP_OK;
}

/*
 * CREATE OR REPLACE of what PostgreSQL cannot replace, which is for definitions that failed: the words are blanked in a
 * copy of the text, and CREATE takes the place of the last one among the tokens.
 */
static bool take_or_replace(struct parser *parser)
{
    static const char *const kinds[] = {"source", "table", "sink", "materialized", "type", "domain"};
    struct parser ahead = *parser;
    bool found = false;
    if (!kp_parser_accept(&ahead, "create or replace"))
        return false;
    for (size_t i = 0; i < KP_COUNT(kinds); i++)
        found |= kp_parser_is(&ahead, ahead.at, kinds[i]);
    if (!found)
        return false;
    char *text = kp_arena_strndup(parser->arena, parser->text, parser->len);
    blank(parser, text, parser->at + 1, parser->at + 3);
    parser->tokens[parser->at + 2] = parser->tokens[parser->at];
    parser->at += 2;
    parser->text = text;
    return true;
}

static enum kp_code read_statement(struct parser *parser, struct kp_statement **ret_statement)
{
    static const struct {
        const char *words;
        enum kp_code (*read)(struct parser *parser, struct kp_statement **ret_statement);
    } readers[] = {{"create source", read_create_source},
                   {"create table", read_create_table},
                   {"create topic", read_create_topic},
                   {"create sink", read_create_sink},
                   {"alter topic", read_alter_topic},
                   {"create materialized view", read_create_view},
                   {"alter materialized view", read_alter_view},
                   {"alter source", read_alter_source},
                   {"comment on source", read_comment},
                   {"comment on sink", read_comment},
                   {"subscribe", read_subscribe},
                   {"explain", read_explain}};
    for (size_t i = 0; i < KP_COUNT(readers); i++) {
        struct parser ahead = *parser;
        if (kp_parser_accept(&ahead, readers[i].words))
            return readers[i].read(parser, ret_statement);
    }
    if (kp_parser_is(parser, parser->at, "verify"))
        return read_view_command(parser, KP_STATEMENT_VERIFY, "VERIFY MATERIALIZED VIEW", ret_statement);
    if (kp_parser_is(parser, parser->at, "refresh"))
        return read_view_command(parser, KP_STATEMENT_REFRESH, "REFRESH MATERIALIZED VIEW", ret_statement);
    if (kp_parser_is(parser, parser->at, "copy") && kp_parser_is_char(parser, parser->at + 1, '(') &&
        kp_parser_is(parser, parser->at + 2, "subscribe"))
        return read_copy_subscribe(parser, ret_statement);
    if (kp_parser_is(parser, parser->at, "drop")) {
        enum kp_code code = read_drop(parser, ret_statement);
        if (code != KP_NOT_FOUND)
            return code;
    }
    return read_postgres(parser, ret_statement);
}

enum kp_code kp_statement_from_range(struct parser *parser, struct kp_statement **ret_statement)
{
    const char *text = parser->text;
    bool or_replace = take_or_replace(parser);
    enum kp_code code = read_statement(parser, ret_statement);
    parser->text = text;
    KP_TRY(code);
    if (or_replace) {
        (*ret_statement)->or_replace = true;
        (*ret_statement)->text = text;
    }
    return KP_OK;
}

enum kp_code kp_sql_parse(struct kp_str text, struct kp_arena *arena, struct kp_statement **ret_statement,
                          struct kp_error *err)
{
    struct kp_error unseen; /* so that the layers below may always fill one */
    struct parser parser = {.arena = arena, .len = text.len, .err = err ? err : &unseen};
    kp_error_clear(parser.err);
    parser.marks = kp_arena_calloc(arena, sizeof *parser.marks);
    parser.text = text.len <= STATEMENT_BYTES_MAX ? kp_arena_strndup(arena, text.ptr, text.len) : "";
    KP_TRY(kp_parser_scan(&parser));
    if (parser.count == 0) {
        *ret_statement = new_statement(&parser, KP_STATEMENT_EMPTY, "");
        return KP_OK;
    }
    struct kp_statement *statement;
    enum kp_code code = kp_statement_from_range(&parser, &statement);
    if (code != KP_OK) {
        kp_elsewhere_syntax(parser.text, parser.err);
        return code;
    }
    *ret_statement = statement;
    return KP_OK;
}
