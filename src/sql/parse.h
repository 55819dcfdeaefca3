/*
 * Inside sql/: tokens, the stream syntax around PostgreSQL's grammar, and its parse tree.
 *
 *   kp_sql_parse ─► tokens (scan.c) ─► stream words (stream.c) ─► PostgreSQL's parser (grammar.c) ─► statement (tree.c)
 */
#ifndef KP_SQL_PARSE_H
#define KP_SQL_PARSE_H

#include <pg_query/pg_query.pb-c.h>

#include "sql/statement.h"

struct token {
    int32_t start, end; /* bytes of the text */
    int32_t kind;       /* PgQuery__Token */
};

/* One text being parsed. Sub-statements are ranges of its tokens. */
/* A statement whose clauses are parsed by themselves (kp_parser_select: each is a copy) has at most KP_SQL_BYTES_MAX;
 * a plain one may carry a record's values as literals, what a message of the PostgreSQL door holds. */
enum { STATEMENT_BYTES_MAX = 64 << 20 };

struct parser {
    struct kp_arena *arena;
    const char *text; /* terminated */
    size_t len;
    struct token *tokens; /* comments left out */
    uint32_t count;
    uint32_t at, end; /* the range being read */
    uint32_t param_max;
    struct kp_sql_marks *marks; /* shared by all ranges of the text */
    struct kp_error *err;
};

/* split.c: tokens and comments, about: an operator counts by its characters. It stops at `limit`; no memory. */
size_t kp_sql_token_count(const char *text, size_t len, size_t limit);
/* scan.c: fills tokens; checks size, encoding, nesting. */
KP_MUST enum kp_code kp_parser_scan(struct parser *parser);
/* Fails with PostgreSQL's 'syntax error at or near "…"' at the token (the range's end: "at end of input"). */
enum kp_code kp_parser_syntax_error(struct parser *parser, uint32_t token);
/* Sets err->position to the byte's character; returns err's code. */
enum kp_code kp_error_at(struct kp_error *err, const char *text, int32_t location);
/* True if token `at` is this word, unquoted, in any case; `word` is lower case. False outside of the range. */
bool kp_parser_is(const struct parser *parser, uint32_t at, const char *word);
bool kp_parser_is_char(const struct parser *parser, uint32_t at, char c);
/* Takes the words, all or none: "on window close". */
bool kp_parser_accept(struct parser *parser, const char *words);
KP_MUST enum kp_code kp_parser_expect(struct parser *parser, const char *words);
/* [schema.]name, folded or unquoted. */
KP_MUST enum kp_code kp_parser_name(struct parser *parser, struct kp_name *ret_name);
KP_MUST enum kp_code kp_parser_identifier(struct parser *parser, const char **ret_name);
/* The token behind the parenthesis that closes the one at `at`; the range's end if none does. */
uint32_t kp_parser_behind_parens(const struct parser *parser, uint32_t at);
/* A text constant's value. */
KP_MUST enum kp_code kp_parser_string(struct parser *parser, const char **ret_text);

/* grammar.c: PostgreSQL's parser on `sql` (same length as the text). NULL tree: an empty statement. */
KP_MUST enum kp_code kp_grammar_parse(struct parser *parser, const char *sql, const PgQuery__Node **ret_tree);

/* The tokens as the rest of a SELECT that begins with `lead`, whose words find room before them in the text. */
KP_MUST enum kp_code kp_parser_select(const struct parser *parser, uint32_t from, uint32_t to, const char *lead,
                                      const PgQuery__SelectStmt **ret_select);

/* match.c: MATCH_RECOGNIZE (…) of the range is read into the marks and blanked in *sql, which becomes a copy. */
KP_MUST enum kp_code kp_parser_take_matches(struct parser *parser, const char **sql);

/* tree.c: fills the statement from PostgreSQL's tree; `statement` has what stream words said before. */
KP_MUST enum kp_code kp_statement_from_tree(struct parser *parser, struct kp_statement *statement,
                                            const PgQuery__Node *tree);
/* absent.c: a statement that asks for what is so already, or for what there is never; false: it is another one. */
bool kp_statement_absent(struct parser *parser, struct kp_statement *statement, const PgQuery__Node *tree,
                         enum kp_code *ret_code);
/* stream.c: the range at…end of the parser as a statement. */
KP_MUST enum kp_code kp_statement_from_range(struct parser *parser, struct kp_statement **ret_statement);

/* types.c */
KP_MUST enum kp_code kp_bind_type_name(const PgQuery__TypeName *name, const char *text, struct kp_type *ret_type,
                                       struct kp_error *err);
/* The last name of a list of String nodes, and the one before it if there are two (else NULL). */
const char *kp_tree_name(PgQuery__Node *const *names, size_t count, const char **ret_schema);
/* Byte of a node in the text, -1 if it has none. */
int32_t kp_tree_location(const PgQuery__Node *node);

#endif
