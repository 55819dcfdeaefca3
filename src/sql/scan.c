/*
 * Tokens of one statement, by PostgreSQL's scanner, and the guards that must hold before its parser runs.
 *
 * The parser, its output and everything behind it recurse over the tree, so the tree's depth is bounded here, from the
 * tokens: open parentheses, brackets and CASEs, and at each level the operators since the last thing that starts a new
 * branch (a comma, AND, OR, a clause's keyword). The estimate is never below the depth of the tree.
 */
#include "sql/parse.h"

#include <pg_query.h>
#include <stdlib.h>

#include "base/utf8.h"

enum kp_code kp_error_at(struct kp_error *err, const char *text, int32_t location)
{
    if (err && location >= 0)
        err->position = (int32_t)kp_utf8_length(text, (size_t)location) + 1;
    return err ? err->code : KP_INVALID;
}

enum kp_code kp_parser_syntax_error(struct parser *parser, uint32_t token)
{
    if (token >= parser->count) {
        kp_fail(parser->err, KP_INVALID, "42601", "syntax error at end of input");
        kp_error_at(parser->err, parser->text, parser->count ? parser->tokens[parser->count - 1].end : 0);
        return KP_INVALID;
    }
    const struct token *at = &parser->tokens[token];
    kp_fail(parser->err, KP_INVALID, "42601", "syntax error at or near \"%.*s\"", (int)KP_MIN(at->end - at->start, 200),
            parser->text + at->start);
    kp_error_at(parser->err, parser->text, at->start);
    return KP_INVALID;
}

static bool is_word_of(const char *text, const struct token *token, const char *word, size_t len)
{
    if ((size_t)(token->end - token->start) != len)
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = text[token->start + (int32_t)i];
        if ((c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c) != word[i])
            return false;
    }
    return true;
}

bool kp_parser_is(const struct parser *parser, uint32_t at, const char *word)
{
    return at < parser->end && is_word_of(parser->text, &parser->tokens[at], word, strlen(word));
}

bool kp_parser_is_char(const struct parser *parser, uint32_t at, char c)
{
    return at < parser->end && parser->tokens[at].end - parser->tokens[at].start == 1 &&
           parser->text[parser->tokens[at].start] == c;
}

bool kp_parser_accept(struct parser *parser, const char *words)
{
    uint32_t at = parser->at;
    while (*words) {
        size_t len = strcspn(words, " ");
        if (at >= parser->end || !is_word_of(parser->text, &parser->tokens[at], words, len))
            return false;
        at++;
        words += len + (words[len] == ' ');
    }
    parser->at = at;
    return true;
}

enum kp_code kp_parser_expect(struct parser *parser, const char *words)
{
    return kp_parser_accept(parser, words) ? KP_OK : kp_parser_syntax_error(parser, parser->at);
}

/* A name cut to PostgreSQL's 63 bytes, at a character. */
static const char *cut_name(struct kp_arena *arena, char *name, size_t len)
{
    if (len > KP_NAME_BYTES_MAX)
        name[kp_utf8_valid_prefix(name, KP_NAME_BYTES_MAX)] = 0;
    return name;
}

/* What an identifier's token means, uncut: unquoted, or folded. */
static char *read_name(const struct parser *parser, const struct token *token, size_t *ret_len)
{
    const char *from = parser->text + token->start;
    size_t len = (size_t)(token->end - token->start), to = 0;
    char *name = kp_arena_alloc(parser->arena, len + 1);
    if (from[0] == '"') {
        for (size_t i = 1; i + 1 < len; i++) {
            name[to++] = from[i];
            if (from[i] == '"')
                i++;
        }
    } else {
        for (; to < len; to++)
            name[to] = from[to] >= 'A' && from[to] <= 'Z' ? (char)(from[to] - 'A' + 'a') : from[to];
    }
    name[to] = 0;
    *ret_len = to;
    return name;
}

enum kp_code kp_parser_identifier(struct parser *parser, const char **ret_name)
{
    if (parser->at >= parser->end)
        return kp_parser_syntax_error(parser, parser->at);
    const struct token *token = &parser->tokens[parser->at];
    char first = parser->text[token->start];
    bool letter = (first | 32) >= 'a' && (first | 32) <= 'z';
    if (first != '"' && !letter && first != '_' && !(first & 0x80))
        return kp_parser_syntax_error(parser, parser->at);
    size_t to;
    char *name = read_name(parser, token, &to);
    if (to == 0) {
        kp_fail(parser->err, KP_INVALID, "42601", "zero-length delimited identifier");
        kp_error_at(parser->err, parser->text, token->start);
        return KP_INVALID;
    }
    *ret_name = cut_name(parser->arena, name, to);
    parser->at++;
    return KP_OK;
}

enum kp_code kp_parser_name(struct parser *parser, struct kp_name *ret_name)
{
    struct kp_name name = {.location = parser->at < parser->end ? parser->tokens[parser->at].start : -1};
    KP_TRY(kp_parser_identifier(parser, &name.name));
    if (kp_parser_is_char(parser, parser->at, '.')) {
        parser->at++;
        name.schema = name.name;
        KP_TRY(kp_parser_identifier(parser, &name.name));
    }
    *ret_name = name;
    return KP_OK;
}

uint32_t kp_parser_behind_parens(const struct parser *parser, uint32_t at)
{
    int depth = 0;
    for (; at < parser->end; at++) {
        depth += kp_parser_is_char(parser, at, '(') - kp_parser_is_char(parser, at, ')');
        if (depth == 0)
            return at + 1;
    }
    return parser->end;
}

/* E'…': PostgreSQL's parser knows what its escapes mean. */
static enum kp_code read_escaped(struct parser *parser, const char **ret_text)
{
    const struct token *token = &parser->tokens[parser->at];
    const PgQuery__Node *tree;
    const char *sql =
        kp_arena_printf(parser->arena, "SELECT %.*s", (int)(token->end - token->start), parser->text + token->start);
    KP_TRY(kp_grammar_parse(parser, sql, &tree));
    const PgQuery__Node *value = tree->select_stmt->target_list[0]->res_target->val;
    *ret_text = kp_arena_strdup(parser->arena, value->a_const->sval->sval);
    parser->at++;
    return KP_OK;
}

enum kp_code kp_parser_string(struct parser *parser, const char **ret_text)
{
    bool is_string = parser->at < parser->end && parser->tokens[parser->at].kind == PG_QUERY__TOKEN__SCONST;
    char first = is_string ? parser->text[parser->tokens[parser->at].start] : 0;
    if (first == 'e' || first == 'E')
        return read_escaped(parser, ret_text);
    if (first != '\'')
        return kp_parser_syntax_error(parser, parser->at);
    const struct token *token = &parser->tokens[parser->at++];
    size_t len = (size_t)(token->end - token->start), to = 0;
    char *text = kp_arena_alloc(parser->arena, len + 1);
    for (size_t i = 1; i + 1 < len; i++) {
        text[to++] = parser->text[token->start + (int32_t)i];
        if (text[to - 1] == '\'')
            i++;
    }
    text[to] = 0;
    *ret_text = text;
    return KP_OK;
}

/* Words behind which an expression starts anew: what stood before it does not make the tree deeper there. */
static bool starts_branch(int32_t kind)
{
    switch (kind) {
    case PG_QUERY__TOKEN__ASCII_44: /* , */
    case PG_QUERY__TOKEN__AND:
    case PG_QUERY__TOKEN__OR:
    case PG_QUERY__TOKEN__SELECT:
    case PG_QUERY__TOKEN__WHERE:
    case PG_QUERY__TOKEN__HAVING:
    case PG_QUERY__TOKEN__GROUP_P:
    case PG_QUERY__TOKEN__ORDER:
    case PG_QUERY__TOKEN__ON:
    case PG_QUERY__TOKEN__WHEN:
    case PG_QUERY__TOKEN__THEN:
    case PG_QUERY__TOKEN__ELSE:
    case PG_QUERY__TOKEN__VALUES:
        return true;
    default:
        return false;
    }
}

/* INTERSECT, EXCEPT and joins nest to the left for as long as the list is; they survive a branch's start. */
static bool nests_list(int32_t kind)
{
    return kind == PG_QUERY__TOKEN__INTERSECT || kind == PG_QUERY__TOKEN__EXCEPT || kind == PG_QUERY__TOKEN__JOIN;
}

static bool is_operator(int32_t kind)
{
    switch (kind) {
    case PG_QUERY__TOKEN__Op:
    case PG_QUERY__TOKEN__TYPECAST:
    case PG_QUERY__TOKEN__LESS_EQUALS:
    case PG_QUERY__TOKEN__GREATER_EQUALS:
    case PG_QUERY__TOKEN__NOT_EQUALS:
    case PG_QUERY__TOKEN__NOT:
    case PG_QUERY__TOKEN__IS:
    case PG_QUERY__TOKEN__ISNULL:
    case PG_QUERY__TOKEN__NOTNULL:
    case PG_QUERY__TOKEN__COLLATE:
    case PG_QUERY__TOKEN__AT:
    case PG_QUERY__TOKEN__LIKE:
    case PG_QUERY__TOKEN__ILIKE:
    case PG_QUERY__TOKEN__OPERATOR:
        return true;
    default:
        return kind == '+' || kind == '-' || kind == '*' || kind == '/' || kind == '%' || kind == '^' || kind == '<' ||
               kind == '>' || kind == '=' || kind == '.';
    }
}

static enum kp_code too_deep(struct parser *parser, const struct token *token)
{
    kp_fail(parser->err, KP_LIMIT, "54001", "statement is nested too deeply");
    kp_error_hint(parser->err, "At most %d levels of parentheses, operators and subqueries: split the expression.",
                  KP_SQL_DEPTH_MAX);
    kp_error_at(parser->err, parser->text, token->start);
    return KP_LIMIT;
}

static enum kp_code too_many_unions(struct parser *parser, const struct token *token)
{
    kp_fail(parser->err, KP_LIMIT, "54001", "statement has more than %d UNIONs", KP_SQL_UNIONS_MAX);
    return kp_error_at(parser->err, parser->text, token->start);
}

static enum kp_code check_depth(struct parser *parser)
{
    struct level {
        uint32_t operators, lists;
    } levels[KP_SQL_DEPTH_MAX + 1] = {{0}};
    uint32_t depth = 0, unions = 0, total = 0; /* total: depth plus all operators and lists of the open levels */
    for (uint32_t i = 0; i < parser->count; i++) {
        const struct token *token = &parser->tokens[i];
        struct level *level = &levels[depth];
        bool opens = token->kind == '(' || token->kind == '[' || token->kind == PG_QUERY__TOKEN__CASE;
        bool closes = token->kind == ')' || token->kind == ']' || token->kind == PG_QUERY__TOKEN__END_P;
        if (opens) {
            if (depth + 1 >= KP_SQL_DEPTH_MAX)
                return too_deep(parser, token);
            levels[++depth] = (struct level){0};
            total++;
        } else if (closes && depth > 0) {
            total -= 1 + level->operators + level->lists;
            depth--;
        } else if (starts_branch(token->kind)) {
            total -= level->operators;
            level->operators = 0;
        } else if (nests_list(token->kind)) {
            level->lists++;
            total++;
        } else if (is_operator(token->kind)) {
            level->operators++;
            total++;
        }
        if (token->kind == PG_QUERY__TOKEN__UNION && ++unions > KP_SQL_UNIONS_MAX)
            return too_many_unions(parser, token);
        if (total >= KP_SQL_DEPTH_MAX)
            return too_deep(parser, token);
    }
    return KP_OK;
}

/* Tokens and comments that PostgreSQL's scanner is given at most: it takes memory for each before they can be counted.
 */
enum { ROUGH_TOKENS_MAX = 4 * KP_SQL_TOKENS_MAX };

static enum kp_code too_many_words(struct parser *parser)
{
    kp_fail(parser->err, KP_LIMIT, "54000", "statement has more than %d words", KP_SQL_TOKENS_MAX);
    return kp_error_hint(parser->err, "COPY brings any number of rows; a long list can be one array parameter.");
}

static enum kp_code check_text(struct parser *parser)
{
    if (parser->len > STATEMENT_BYTES_MAX) {
        kp_fail(parser->err, KP_LIMIT, "54000", "statement of %zu bytes is longer than the limit of %d", parser->len,
                STATEMENT_BYTES_MAX);
        return kp_error_hint(parser->err, "COPY brings any number of rows; or write them by several statements.");
    }
    if (kp_sql_token_count(parser->text, parser->len, ROUGH_TOKENS_MAX) >= ROUGH_TOKENS_MAX)
        return too_many_words(parser);
    size_t valid = kp_utf8_valid_prefix(parser->text, parser->len);
    const char *nul = memchr(parser->text, 0, valid);
    if (nul)
        valid = (size_t)(nul - parser->text);
    if (valid != parser->len)
        return kp_fail(parser->err, KP_INVALID, "22021", "invalid byte sequence for encoding \"UTF8\": 0x%02x",
                       (unsigned)(uint8_t)parser->text[valid]);
    return KP_OK;
}

static void *arena_alloc(void *arena, size_t bytes)
{
    return kp_arena_alloc(arena, bytes);
}
static void arena_free(void *arena, void *memory)
{
}

static enum kp_code keep_tokens(struct parser *parser, const PgQueryProtobuf *bytes)
{
    struct kp_arena scratch = {0};
    ProtobufCAllocator allocator = {arena_alloc, arena_free, &scratch};
    PgQuery__ScanResult *scan = pg_query__scan_result__unpack(&allocator, bytes->len, (const uint8_t *)bytes->data);
    KP_ASSERT(scan);
    size_t count = 0; /* of words: what parts a list's items is none, so a list may have KP_SQL_TOKENS_MAX items */
    for (size_t i = 0; i < scan->n_tokens; i++)
        count += (int)scan->tokens[i]->token != ',';
    if (count <= KP_SQL_TOKENS_MAX) {
        parser->tokens = kp_arena_alloc(parser->arena, (scan->n_tokens + 1) * sizeof *parser->tokens);
        for (size_t i = 0; i < scan->n_tokens; i++) {
            const PgQuery__ScanToken *token = scan->tokens[i];
            if (token->token == PG_QUERY__TOKEN__SQL_COMMENT || token->token == PG_QUERY__TOKEN__C_COMMENT)
                continue;
            parser->tokens[parser->count++] = (struct token){token->start, token->end, (int32_t)token->token};
            if (token->token == PG_QUERY__TOKEN__PARAM) {
                unsigned long number = strtoul(parser->text + token->start + 1, NULL, 10);
                parser->param_max = (uint32_t)KP_MAX(parser->param_max, KP_MIN(number, 1u << 20));
            }
        }
    }
    kp_arena_finish(&scratch);
    if (count > KP_SQL_TOKENS_MAX)
        return too_many_words(parser);
    if (parser->param_max > 65535)
        return kp_fail(parser->err, KP_LIMIT, "54000", "parameter $%u is beyond the limit of 65535", parser->param_max);
    while (parser->count && parser->tokens[parser->count - 1].kind == ';')
        parser->count--;
    parser->end = parser->count;
    return KP_OK;
}

enum kp_code kp_parser_scan(struct parser *parser)
{
    KP_TRY(check_text(parser));
    PgQueryScanResult scan = pg_query_scan(parser->text);
    enum kp_code code;
    if (scan.error) {
        const char *message = scan.error->message;
        bool escape = strcmp(message, "invalid Unicode escape") == 0; /* of E'…'; the grammar knows of U&'…' */
        bool bytes = strncmp(message, "invalid byte sequence", strlen("invalid byte sequence")) == 0; /* '\xff' */
        kp_fail(parser->err, KP_INVALID, escape ? "22025" : bytes ? "22021" : "42601", "%s", message);
        if (escape)
            kp_error_hint(parser->err, "Unicode escapes must be \\uXXXX or \\UXXXXXXXX.");
        if (parser->err && scan.error->cursorpos > 0)
            parser->err->position = scan.error->cursorpos;
        code = KP_INVALID;
    } else {
        code = keep_tokens(parser, &scan.pbuf);
    }
    pg_query_free_scan_result(scan);
    KP_TRY(code);
    return check_depth(parser);
}
