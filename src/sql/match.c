/*
 * MATCH_RECOGNIZE, read from the tokens. PostgreSQL's parser sees the relation without it:
 *
 *   FROM tx MATCH_RECOGNIZE (PARTITION BY card ORDER BY at MEASURES … PATTERN (A B+) DEFINE B AS B.amount > 10) AS m
 *   FROM tx                                                                                                      AS m
 *
 * What remembers it is the first byte of the relation's name. The parts stand in the standard's order: PARTITION BY,
 * ORDER BY, MEASURES, ONE ROW | ALL ROWS PER MATCH, AFTER MATCH SKIP, PATTERN, WITHIN, SUBSET, DEFINE. Expressions are
 * parsed as a SELECT's; the pattern is read by the byte, for PostgreSQL's scanner takes its quantifiers for operators.
 */
#include "sql/match.h"

#include <stdlib.h>

#include "sql/sql.h"

enum { REPEATS_MAX = 1000 };

static enum kp_code refuse(struct parser *parser, uint32_t token, enum kp_code code, const char *sqlstate,
                           const char *message)
{
    kp_fail(parser->err, code, sqlstate, "%s", message);
    return kp_error_at(parser->err, parser->text,
                       token < parser->count ? parser->tokens[token].start : (int32_t)parser->len);
}

static bool expect_char(struct parser *parser, char c)
{
    bool there = kp_parser_is_char(parser, parser->at, c);
    parser->at += there;
    return there;
}

/* ---- the parts ---- */

static bool starts_part(const struct parser *parser, uint32_t at)
{
    static const char *const parts[] = {
        "order by", "measures", "one row per match", "all rows per match", "after match", "within", "subset", "define"};
    struct parser ahead = *parser;
    ahead.at = at;
    if (at > 0 && kp_parser_is_char(parser, at - 1, '.'))
        return false;
    if (kp_parser_is(parser, at, "pattern") && kp_parser_is_char(parser, at + 1, '('))
        return true;
    if (kp_parser_is(parser, at, "within") && kp_parser_is(parser, at + 1, "group"))
        return false;
    for (size_t i = 0; i < KP_COUNT(parts); i++)
        if (kp_parser_accept(&ahead, parts[i]))
            return true;
    return false;
}

/* Where the part that begins at `at` ends: before the next one, or, at_comma, before a comma. */
static uint32_t part_end(const struct parser *parser, uint32_t at, bool at_comma)
{
    int depth = 0;
    for (; at < parser->end; at++) {
        if (depth == 0 && (starts_part(parser, at) || (at_comma && kp_parser_is_char(parser, at, ','))))
            return at;
        depth += kp_parser_is_char(parser, at, '(') + kp_parser_is_char(parser, at, '[') -
                 kp_parser_is_char(parser, at, ')') - kp_parser_is_char(parser, at, ']');
    }
    return at;
}

/* FINAL f(…) and RUNNING f(…): the words are blanked in the text that PostgreSQL's parser is given. */
static enum kp_code read_measures(struct parser *parser, struct sql_match *match)
{
    uint32_t from = parser->at, to = part_end(parser, from, false);
    char *text = kp_arena_strndup(parser->arena, parser->text, parser->len);
    match->finals = kp_arena_alloc(parser->arena, (to - from + 1) * sizeof *match->finals);
    for (uint32_t i = from; i + 2 < to; i++) {
        bool final = kp_parser_is(parser, i, "final"), running = kp_parser_is(parser, i, "running");
        if ((!final && !running) || !kp_parser_is_char(parser, i + 2, '(') || kp_parser_is_char(parser, i - 1, '.'))
            continue;
        memset(text + parser->tokens[i].start, ' ', (size_t)(parser->tokens[i].end - parser->tokens[i].start));
        if (final)
            match->finals[match->final_count++] = parser->tokens[i + 1].start;
    }
    struct parser without = *parser;
    without.text = text;
    while (from < to && text[parser->tokens[from].start] == ' ') /* a blanked word in front */
        from++;
    KP_TRY(kp_parser_select(&without, from, to, "SELECT ", &match->measures));
    parser->at = to;
    return KP_OK;
}

static enum kp_code read_skip(struct parser *parser, struct sql_match *match)
{
    KP_TRY(kp_parser_expect(parser, "skip"));
    if (kp_parser_accept(parser, "past last row")) {
        match->skip = KP_MATCH_SKIP_PAST;
        return KP_OK;
    }
    if (kp_parser_accept(parser, "to next row")) {
        match->skip = KP_MATCH_SKIP_NEXT;
        return KP_OK;
    }
    KP_TRY(kp_parser_expect(parser, "to"));
    match->skip = kp_parser_accept(parser, "first") ? KP_MATCH_SKIP_FIRST : KP_MATCH_SKIP_LAST;
    if (match->skip == KP_MATCH_SKIP_LAST)
        kp_parser_accept(parser, "last");
    match->skip_location = parser->at < parser->end ? parser->tokens[parser->at].start : -1;
    return kp_parser_identifier(parser, &match->skip_to);
}

/* name AS expression, … */
static enum kp_code read_defines(struct parser *parser, struct sql_match *match)
{
    match->defines = kp_arena_calloc(parser->arena, (parser->end - parser->at + 1) * sizeof *match->defines);
    do {
        struct sql_match_define *define = &match->defines[match->define_count++];
        const PgQuery__SelectStmt *select;
        define->location = parser->at < parser->end ? parser->tokens[parser->at].start : -1;
        KP_TRY(kp_parser_identifier(parser, &define->name));
        KP_TRY(kp_parser_expect(parser, "as"));
        uint32_t end = part_end(parser, parser->at, true);
        KP_TRY(kp_parser_select(parser, parser->at, end, "SELECT ", &select));
        if (select->n_target_list != 1 || select->n_from_clause || select->target_list[0]->res_target->name[0])
            return kp_parser_syntax_error(parser, parser->at);
        define->expr = select->target_list[0]->res_target->val;
        parser->at = end;
    } while (expect_char(parser, ','));
    return KP_OK;
}

/* name = (variable, …), … */
static enum kp_code read_subsets(struct parser *parser, struct sql_match *match)
{
    match->subsets = kp_arena_calloc(parser->arena, (parser->end - parser->at + 1) * sizeof *match->subsets);
    do {
        struct sql_match_subset *subset = &match->subsets[match->subset_count++];
        subset->members = kp_arena_calloc(parser->arena, (parser->end - parser->at + 1) * sizeof *subset->members);
        subset->location = parser->at < parser->end ? parser->tokens[parser->at].start : -1;
        KP_TRY(kp_parser_identifier(parser, &subset->name));
        if (!expect_char(parser, '=') || !expect_char(parser, '('))
            return kp_parser_syntax_error(parser, parser->at);
        do
            KP_TRY(kp_parser_identifier(parser, &subset->members[subset->member_count++]));
        while (expect_char(parser, ','));
        if (!expect_char(parser, ')'))
            return kp_parser_syntax_error(parser, parser->at);
    } while (expect_char(parser, ','));
    return KP_OK;
}

/* ---- PATTERN ---- */

/* Reads tokens by the byte; names and numbers whole. */
struct pattern {
    struct parser *parser;
    int32_t byte; /* of the token parser->at */
};

/* The next byte, 0 at the end; 'a' for a name, '0' for a number. */
static char peek(const struct pattern *pattern)
{
    const struct parser *parser = pattern->parser;
    if (parser->at >= parser->end)
        return 0;
    char c = parser->text[parser->tokens[parser->at].start + pattern->byte];
    if (pattern->byte == 0 && ((c | 32) >= 'a' ? (c | 32) <= 'z' || c & 0x80 : c == '_' || c == '"'))
        return 'a';
    return c >= '0' && c <= '9' ? '0' : c;
}

static void take(struct pattern *pattern)
{
    const struct token *token = &pattern->parser->tokens[pattern->parser->at];
    if (peek(pattern) != '0' && token->start + ++pattern->byte < token->end)
        return;
    pattern->parser->at++;
    pattern->byte = 0;
}

static bool take_if(struct pattern *pattern, char c)
{
    bool there = peek(pattern) == c;
    if (there)
        take(pattern);
    return there;
}

static enum kp_code take_number(struct pattern *pattern, uint32_t *ret_number)
{
    struct parser *parser = pattern->parser;
    if (peek(pattern) != '0')
        return kp_parser_syntax_error(parser, parser->at);
    char *end;
    const char *text = parser->text + parser->tokens[parser->at].start;
    unsigned long number = strtoul(text, &end, 10);
    if (end != parser->text + parser->tokens[parser->at].end || number > REPEATS_MAX)
        return refuse(parser, parser->at, KP_LIMIT, "54000", "a pattern repeats a part at most 1000 times");
    take(pattern);
    *ret_number = (uint32_t)number;
    return KP_OK;
}

static struct sql_match_term *new_term(struct parser *parser, int kind, uint32_t parts_max)
{
    struct sql_match_term *term = kp_arena_calloc(parser->arena, sizeof *term);
    term->kind = kind;
    term->location = parser->at < parser->end ? parser->tokens[parser->at].start : -1;
    term->parts = kp_arena_calloc(parser->arena, (parts_max + 1) * sizeof(struct sql_match_term *));
    return term;
}

static enum kp_code read_choice(struct pattern *pattern, struct sql_match_term **ret_term);

static enum kp_code read_factor(struct pattern *pattern, struct sql_match_term **ret_term)
{
    struct parser *parser = pattern->parser;
    if (take_if(pattern, '(')) {
        KP_TRY(read_choice(pattern, ret_term));
        return take_if(pattern, ')') ? KP_OK : kp_parser_syntax_error(parser, parser->at);
    }
    char c = peek(pattern);
    if (c == '^' || c == '$' || c == '{')
        return refuse(parser, parser->at, KP_UNSUPPORTED, "0A000",
                      c == '{' ? "exclusions {- -} in PATTERN are not supported"
                               : "the anchors ^ and $ in PATTERN are not supported");
    if (c != 'a')
        return kp_parser_syntax_error(parser, parser->at);
    if (kp_parser_is(parser, parser->at, "permute") && kp_parser_is_char(parser, parser->at + 1, '('))
        return refuse(parser, parser->at, KP_UNSUPPORTED, "0A000", "PERMUTE in PATTERN is not supported");
    struct sql_match_term *term = new_term(parser, MATCH_VARIABLE, 0);
    KP_TRY(kp_parser_identifier(parser, &term->name));
    *ret_term = term;
    return KP_OK;
}

/* {n}, {n,}, {n,m}, {,m}; behind the brace. */
static enum kp_code read_bounds(struct pattern *pattern, uint32_t *ret_min, uint32_t *ret_max)
{
    struct parser *parser = pattern->parser;
    uint32_t start = parser->at;
    bool from = peek(pattern) == '0';
    *ret_min = 0;
    *ret_max = UINT32_MAX;
    if (from)
        KP_TRY(take_number(pattern, ret_min));
    if (!take_if(pattern, ',')) {
        if (!from)
            return kp_parser_syntax_error(parser, parser->at);
        *ret_max = *ret_min;
    } else if (peek(pattern) == '0') {
        KP_TRY(take_number(pattern, ret_max));
    }
    if (!take_if(pattern, '}'))
        return kp_parser_syntax_error(parser, parser->at);
    if (*ret_max == 0 || *ret_max < *ret_min)
        return refuse(parser, start, KP_INVALID, "42601", "a pattern's repetition allows no number of rows");
    return KP_OK;
}

static enum kp_code read_repeat(struct pattern *pattern, struct sql_match_term **ret_term)
{
    KP_TRY(read_factor(pattern, ret_term));
    uint32_t min = 1, max = 1;
    if (take_if(pattern, '*')) {
        min = 0;
        max = UINT32_MAX;
    } else if (take_if(pattern, '+')) {
        max = UINT32_MAX;
    } else if (take_if(pattern, '?')) {
        min = 0;
    } else if (take_if(pattern, '{')) {
        KP_TRY(read_bounds(pattern, &min, &max));
    } else {
        return KP_OK;
    }
    struct sql_match_term *repeat = new_term(pattern->parser, MATCH_REPEAT, 1);
    repeat->location = (*ret_term)->location;
    repeat->parts[repeat->part_count++] = *ret_term;
    repeat->min = min;
    repeat->max = max;
    repeat->reluctant = take_if(pattern, '?');
    *ret_term = repeat;
    return KP_OK;
}

static enum kp_code read_sequence(struct pattern *pattern, struct sql_match_term **ret_term)
{
    struct parser *parser = pattern->parser;
    struct sql_match_term *term = new_term(parser, MATCH_SEQUENCE, parser->end - parser->at);
    do
        KP_TRY(read_repeat(pattern, &term->parts[term->part_count++]));
    while (peek(pattern) && peek(pattern) != ')' && peek(pattern) != '|');
    *ret_term = term->part_count == 1 ? term->parts[0] : term;
    return KP_OK;
}

static enum kp_code read_choice(struct pattern *pattern, struct sql_match_term **ret_term)
{
    struct parser *parser = pattern->parser;
    struct sql_match_term *term = new_term(parser, MATCH_CHOICE, parser->end - parser->at);
    do
        KP_TRY(read_sequence(pattern, &term->parts[term->part_count++]));
    while (take_if(pattern, '|'));
    *ret_term = term->part_count == 1 ? term->parts[0] : term;
    return KP_OK;
}

static enum kp_code read_pattern(struct parser *parser, struct sql_match *match)
{
    KP_TRY(kp_parser_expect(parser, "pattern"));
    if (!kp_parser_is_char(parser, parser->at, '('))
        return kp_parser_syntax_error(parser, parser->at);
    struct pattern pattern = {.parser = parser};
    take(&pattern);
    KP_TRY(read_choice(&pattern, &match->pattern));
    return take_if(&pattern, ')') ? KP_OK : kp_parser_syntax_error(parser, parser->at);
}

/* ---- the clause ---- */

static enum kp_code read_rows_per_match(struct parser *parser, struct sql_match *match)
{
    match->all_rows = kp_parser_accept(parser, "all rows per match");
    if (!match->all_rows && !kp_parser_accept(parser, "one row per match"))
        return KP_OK;
    if (kp_parser_is(parser, parser->at, "show") || kp_parser_is(parser, parser->at, "omit"))
        return refuse(parser, parser->at, KP_UNSUPPORTED, "0A000",
                      "empty matches are not shown: no pattern may match nothing");
    if (kp_parser_is(parser, parser->at, "with"))
        return refuse(parser, parser->at, KP_UNSUPPORTED, "0A000", "WITH UNMATCHED ROWS is not supported");
    return KP_OK;
}

/* The range is what stands between the parentheses. */
static enum kp_code read_clause(struct parser *parser, struct sql_match *match)
{
    const PgQuery__SelectStmt *select;
    if (kp_parser_accept(parser, "partition by")) {
        uint32_t end = part_end(parser, parser->at, false);
        KP_TRY(kp_parser_select(parser, parser->at, end, "SELECT ", &match->partitions));
        parser->at = end;
    }
    if (!kp_parser_is(parser, parser->at, "order")) {
        kp_parser_syntax_error(parser, parser->at);
        return kp_error_hint(parser->err, "MATCH_RECOGNIZE ([PARTITION BY …] ORDER BY … [MEASURES …] [ONE ROW PER "
                                          "MATCH] [AFTER MATCH SKIP …] PATTERN (…) [WITHIN …] DEFINE …)");
    }
    uint32_t behind = part_end(parser, parser->at + 1, false);
    KP_TRY(kp_parser_select(parser, parser->at, behind, "SELECT 1 ", &match->orders));
    parser->at = behind;
    if (kp_parser_accept(parser, "measures"))
        KP_TRY(read_measures(parser, match));
    KP_TRY(read_rows_per_match(parser, match));
    if (kp_parser_accept(parser, "after match"))
        KP_TRY(read_skip(parser, match));
    KP_TRY(read_pattern(parser, match));
    if (kp_parser_accept(parser, "within")) {
        uint32_t end = part_end(parser, parser->at, false);
        KP_TRY(kp_parser_select(parser, parser->at, end, "SELECT ", &select));
        if (select->n_target_list != 1 || select->n_from_clause)
            return kp_parser_syntax_error(parser, parser->at);
        match->within = select->target_list[0]->res_target->val;
        parser->at = end;
    }
    if (kp_parser_accept(parser, "subset"))
        KP_TRY(read_subsets(parser, match));
    KP_TRY(kp_parser_expect(parser, "define"));
    KP_TRY(read_defines(parser, match));
    return parser->at < parser->end ? kp_parser_syntax_error(parser, parser->at) : KP_OK;
}

/* The first token of the name that stands before `at`; `at` itself if it is no relation's name in FROM. */
static uint32_t name_before(const struct parser *parser, uint32_t at)
{
    uint32_t name = at - 1;
    if (at < 2 || kp_parser_is_char(parser, name, ')'))
        return at;
    if (kp_parser_is_char(parser, name - 1, '.') && name >= 3)
        name -= 2;
    bool item = kp_parser_is(parser, name - 1, "from") || kp_parser_is(parser, name - 1, "join") ||
                kp_parser_is_char(parser, name - 1, ',');
    return item ? name : at;
}

static enum kp_code take_match(struct parser *parser, uint32_t at, uint32_t behind, char *sql)
{
    uint32_t name = name_before(parser, at);
    if (name == at || name < parser->at) {
        refuse(parser, at, KP_UNSUPPORTED, "0A000", "MATCH_RECOGNIZE stands behind the name of a relation in FROM");
        return kp_error_hint(parser->err, "Name a subquery in WITH; an alias goes behind the closing parenthesis.");
    }
    struct sql_match *match = kp_arena_calloc(parser->arena, sizeof *match);
    match->relation = parser->tokens[name].start;
    match->location = parser->tokens[at].start;
    struct parser clause = *parser;
    clause.at = at + 2;
    clause.end = behind - 1;
    KP_TRY(read_clause(&clause, match));
    struct kp_sql_marks *marks = parser->marks;
    if (!marks->matches)
        marks->matches = kp_arena_alloc(parser->arena, parser->count * sizeof(struct sql_match *));
    marks->matches[marks->match_count++] = match;
    memset(sql + match->location, ' ', (size_t)(parser->tokens[behind - 1].end - match->location));
    return KP_OK;
}

enum kp_code kp_parser_take_matches(struct parser *parser, const char **sql)
{
    char *copy = NULL;
    for (uint32_t i = parser->at; i < parser->end; i++) {
        if (!kp_parser_is(parser, i, "match_recognize") || !kp_parser_is_char(parser, i + 1, '('))
            continue;
        uint32_t behind = kp_parser_behind_parens(parser, i + 1);
        if (!kp_parser_is_char(parser, behind - 1, ')'))
            return kp_parser_syntax_error(parser, parser->end);
        if (!copy)
            copy = kp_arena_strndup(parser->arena, *sql, parser->len);
        KP_TRY(take_match(parser, i, behind, copy));
        i = behind - 1;
    }
    *sql = copy ? copy : *sql;
    return KP_OK;
}
