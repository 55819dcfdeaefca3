/*
 * PostgreSQL's parser, called safely: on a stack of known size, its result unpacked into the statement's arena.
 *
 * The depth of the tree is bounded before (scan.c), so the stack needed is too: a short statement is parsed where it
 * stands if enough of the thread's stack is left, any other on a thread made for it.
 */
#include "sql/parse.h"

#include <pg_query.h>

#include "os/thread.h"

enum {
    STACK_BYTES = 32 << 20,        /* for the deepest statement; touched pages only are paid */
    STACK_SHORT_BYTES = 192 << 10, /* for a statement of at most SHORT_TOKENS tokens */
    SHORT_TOKENS = 64
};

struct job {
    const char *sql;
    struct kp_arena *arena;
    struct kp_error *err;
    PgQuery__ParseResult *result;
    enum kp_code code;
};

static void *arena_alloc(void *arena, size_t bytes)
{
    return kp_arena_alloc(arena, bytes);
}
static void arena_free(void *arena, void *memory)
{
}

/* The scanner's and grammar's errors are syntax errors but for a few that say what they miss. */
static const char *sqlstate_of(const char *message)
{
    if (strstr(message, "not supported") || strstr(message, "not implemented"))
        return "0A000";
    return strncmp(message, "frame ", 6) == 0 ? "42P20" : "42601";
}

static void run(void *arg)
{
    struct job *job = arg;
    PgQueryProtobufParseResult parsed = pg_query_parse_protobuf(job->sql);
    if (parsed.error) {
        job->code = kp_fail(job->err, KP_INVALID, sqlstate_of(parsed.error->message), "%s", parsed.error->message);
        if (job->err && parsed.error->cursorpos > 0)
            job->err->position = parsed.error->cursorpos;
    } else {
        ProtobufCAllocator allocator = {arena_alloc, arena_free, job->arena};
        job->result =
            pg_query__parse_result__unpack(&allocator, parsed.parse_tree.len, (const uint8_t *)parsed.parse_tree.data);
        job->code = job->result ? KP_OK : kp_fail(job->err, KP_LIMIT, "54001", "statement is nested too deeply");
    }
    pg_query_free_protobuf_parse_result(parsed);
}

/* The token behind ASOF [LEFT [OUTER] | INNER] JOIN at `at`, or `at` if it is none. */
static uint32_t behind_asof(const struct parser *parser, uint32_t at)
{
    uint32_t next = at + 1;
    if (!kp_parser_is(parser, at, "asof"))
        return at;
    if (kp_parser_is(parser, next, "left"))
        next += 1 + kp_parser_is(parser, next + 1, "outer");
    else if (kp_parser_is(parser, next, "inner"))
        next++;
    return kp_parser_is(parser, next, "join") ? next + 1 : at;
}

/* Blanks ASOF before JOIN and notes what it joins. */
static enum kp_code take_asofs(struct parser *parser, const char **sql)
{
    struct kp_sql_marks *marks = parser->marks;
    char *copy = NULL;
    for (uint32_t i = parser->at; i < parser->end; i++) {
        uint32_t item = behind_asof(parser, i);
        if (item == i)
            continue;
        if (item >= parser->end || kp_parser_is_char(parser, item, '(')) {
            kp_fail(parser->err, KP_UNSUPPORTED, NULL, "ASOF JOIN takes a named relation or a table function");
            kp_error_hint(parser->err, "Name the subquery in WITH.");
            return kp_error_at(parser->err, parser->text, parser->tokens[i].start);
        }
        if (!copy)
            copy = kp_arena_strndup(parser->arena, *sql, parser->len);
        if (!marks->asofs)
            marks->asofs = kp_arena_alloc(parser->arena, parser->count * sizeof *marks->asofs);
        marks->asofs[marks->asof_count++] = parser->tokens[item].start;
        memset(copy + parser->tokens[i].start, ' ', 4);
    }
    *sql = copy ? copy : *sql;
    return KP_OK;
}

/* A word or sign behind which the time of FOR SYSTEM_TIME AS OF cannot go on. */
static bool ends_time(const struct parser *parser, uint32_t at)
{
    static const char *const words[] = {
        "as",     "on",    "using",     "join",        "inner",           "left",     "right",
        "full",   "cross", "natural",   "asof",        "where",           "group",    "having",
        "window", "order", "limit",     "offset",      "fetch",           "for",      "union",
        "except", "emit",  "intersect", "tablesample", "match_recognize", "returning"};
    for (size_t i = 0; i < KP_COUNT(words); i++)
        if (kp_parser_is(parser, at, words[i]))
            return true;
    return kp_parser_is_char(parser, at, ',') || kp_parser_is_char(parser, at, ')') ||
           kp_parser_is_char(parser, at, ';');
}

/* The token behind the expression at `at`. A name behind what could be the end of one is the relation's alias. */
static uint32_t behind_time(const struct parser *parser, uint32_t at)
{
    uint32_t end = at;
    while (end < parser->end && !ends_time(parser, end))
        end = kp_parser_is_char(parser, end, '(') ? kp_parser_behind_parens(parser, end) : end + 1;
    if (end < at + 2 || parser->tokens[end - 1].kind != PG_QUERY__TOKEN__IDENT)
        return end;
    int32_t before = parser->tokens[end - 2].kind;
    bool operand = before == PG_QUERY__TOKEN__IDENT || before == PG_QUERY__TOKEN__SCONST ||
                   before == PG_QUERY__TOKEN__ICONST || before == PG_QUERY__TOKEN__PARAM ||
                   kp_parser_is_char(parser, end - 2, ')') ||
                   (parser->text[parser->tokens[end - 2].start] | 32) >= 'a'; /* a name that is a keyword elsewhere */
    return operand ? end - 1 : end;
}

/* relation FOR SYSTEM_TIME AS OF time: `at` is FOR's token. Notes the relation and the time. */
static enum kp_code take_temporal(struct parser *parser, uint32_t at, char *copy)
{
    struct kp_sql_marks *marks = parser->marks;
    uint32_t name = at ? at - 1 : 0, time = at + 4;
    if (kp_parser_is(parser, time, "position") && !kp_parser_is_char(parser, time + 1, '('))
        time++; /* said of a number, as behind a whole query */
    uint32_t end = behind_time(parser, time);
    if (name >= 2 && kp_parser_is_char(parser, name - 1, '.'))
        name -= 2;
    const PgQuery__SelectStmt *select;
    KP_TRY(kp_parser_select(parser, time, end, "SELECT ", &select));
    if (!marks->temporals)
        marks->temporals = kp_arena_alloc(parser->arena, parser->count * sizeof *marks->temporals);
    marks->temporals[marks->temporal_count++] =
        (struct sql_temporal){.relation = parser->tokens[name].start,
                              .location = parser->tokens[at].start,
                              .joined = name > 0 && kp_parser_is(parser, name - 1, "join"),
                              .time = select->n_target_list ? select->target_list[0]->res_target->val : NULL};
    memset(copy + parser->tokens[at].start, ' ', (size_t)(parser->tokens[end - 1].end - parser->tokens[at].start));
    return KP_OK;
}

static enum kp_code take_temporals(struct parser *parser, const char **sql)
{
    char *copy = NULL;
    for (uint32_t i = parser->at; i < parser->end; i++) {
        struct parser ahead = *parser;
        ahead.at = i;
        if (!kp_parser_accept(&ahead, "for system_time as of") || ahead.at >= parser->end)
            continue;
        if (!copy)
            copy = kp_arena_strndup(parser->arena, *sql, parser->len);
        KP_TRY(take_temporal(parser, i, copy));
    }
    *sql = copy ? copy : *sql;
    return KP_OK;
}

enum kp_code kp_grammar_parse(struct parser *parser, const char *sql, const PgQuery__Node **ret_tree)
{
    KP_TRY(take_asofs(parser, &sql));
    KP_TRY(take_temporals(parser, &sql));
    KP_TRY(kp_parser_take_matches(parser, &sql));
    struct job job = {.sql = sql, .arena = parser->arena, .err = parser->err};
    if (parser->count <= SHORT_TOKENS && kp_thread_stack_left() >= STACK_SHORT_BYTES) {
        run(&job);
    } else {
        struct kp_thread thread;
        kp_thread_start(&thread, "kp-parse", STACK_BYTES, run, &job);
        kp_thread_join(&thread);
    }
    KP_TRY(job.code);
    if (job.result->n_stmts > 1) {
        kp_fail(parser->err, KP_INVALID, "42601", "cannot insert multiple commands into a prepared statement");
        return kp_error_at(parser->err, parser->text, job.result->stmts[1]->stmt_location);
    }
    *ret_tree = job.result->n_stmts ? job.result->stmts[0]->stmt : NULL;
    return KP_OK;
}

/* A SELECT of items, perhaps ordered, and nothing else: no other clause may hide in what stands for expressions. */
static bool is_items_only(const PgQuery__Node *tree)
{
    const PgQuery__SelectStmt *select =
        tree && tree->node_case == PG_QUERY__NODE__NODE_SELECT_STMT ? tree->select_stmt : NULL;
    return select && select->n_target_list && !select->larg && !select->n_distinct_clause && !select->into_clause &&
           !select->n_from_clause && !select->where_clause && !select->n_group_clause && !select->having_clause &&
           !select->n_window_clause && !select->limit_offset && !select->limit_count && !select->n_locking_clause;
}

enum kp_code kp_parser_select(const struct parser *parser, uint32_t from, uint32_t to, const char *lead,
                              const PgQuery__SelectStmt **ret_select)
{
    struct parser range = *parser;
    size_t lead_bytes = strlen(lead);
    range.at = from;
    range.end = to;
    if (from >= to)
        return kp_parser_syntax_error(&range, from);
    if (parser->len > KP_SQL_BYTES_MAX)
        return kp_fail(parser->err, KP_LIMIT, "54000",
                       "statement of %zu bytes is longer than the limit of %d for what streams add to SQL", parser->len,
                       KP_SQL_BYTES_MAX);
    int32_t start = parser->tokens[from].start, end = parser->tokens[to - 1].end;
    char *sql = kp_arena_alloc(parser->arena, parser->len + 1);
    memset(sql, ' ', parser->len);
    sql[parser->len] = 0;
    KP_ASSERT((size_t)start >= lead_bytes);
    memcpy(sql + start, parser->text + start, (size_t)(end - start));
    memcpy(sql + start - lead_bytes, lead, lead_bytes);
    const PgQuery__Node *tree;
    KP_TRY(kp_grammar_parse(&range, sql, &tree));
    if (!is_items_only(tree))
        return kp_parser_syntax_error(&range, from);
    *ret_select = tree->select_stmt;
    return KP_OK;
}
