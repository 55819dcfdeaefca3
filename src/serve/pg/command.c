#include "serve/pg/command.h"

#include <stdlib.h>

#include "base/utf8.h"

enum token_kind { TOKEN_END, TOKEN_WORD, TOKEN_QUOTED, TOKEN_NUMBER, TOKEN_STRING, TOKEN_OTHER };

struct scanner {
    struct kp_str text;
    size_t at; /* behind the token */
    enum token_kind kind;
    size_t start;                     /* of the token */
    struct kp_str body;               /* its text; of a string, without the quotes */
    char word[KP_NAME_BYTES_MAX + 1]; /* of a word (folded) or quoted name */
};

/* Behind blanks and comments. */
static size_t skip_blank(struct kp_str text, size_t at)
{
    while (at < text.len) {
        char c = text.ptr[at], next = at + 1 < text.len ? text.ptr[at + 1] : '\0';
        if (c == ' ' || (c >= '\t' && c <= '\r')) {
            at++;
        } else if (c == '-' && next == '-') {
            while (at < text.len && text.ptr[at] != '\n' && text.ptr[at] != '\r')
                at++;
        } else if (c == '/' && next == '*') {
            size_t depth = 0;
            do {
                bool opens = at + 1 < text.len && text.ptr[at] == '/' && text.ptr[at + 1] == '*';
                bool closes = at + 1 < text.len && text.ptr[at] == '*' && text.ptr[at + 1] == '/';
                depth += opens;
                depth -= closes;
                at += opens || closes ? 2 : 1;
            } while (depth && at < text.len);
        } else {
            break;
        }
    }
    return KP_MIN(at, text.len);
}

static bool is_word_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (unsigned char)c >= 0x80;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Keeps at most a name's bytes, whole characters of them, as PostgreSQL does. */
static void keep_name(char *word, const char *name, size_t len)
{
    if (len > KP_NAME_BYTES_MAX) {
        len = KP_NAME_BYTES_MAX;
        while (len && ((uint8_t)name[len] & 0xc0) == 0x80)
            len--;
    }
    memcpy(word, name, len);
    word[len] = '\0';
}

static void take_word(struct scanner *scan)
{
    while (scan->at < scan->text.len) {
        char c = scan->text.ptr[scan->at];
        if (!is_word_start(c) && !is_digit(c) && c != '$')
            break;
        scan->at++;
    }
    scan->kind = TOKEN_WORD;
    keep_name(scan->word, scan->text.ptr + scan->start, scan->at - scan->start);
    for (char *c = scan->word; *c; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c + ('a' - 'A'));
}

/* A quoted name or a string: up to the quote that is not doubled. */
static void take_quoted(struct scanner *scan, char quote)
{
    char name[4 * KP_NAME_BYTES_MAX];
    size_t len = 0;
    const char *text = scan->text.ptr;
    scan->kind = TOKEN_OTHER; /* should it not end */
    for (scan->at++; scan->at < scan->text.len; scan->at++) {
        if (text[scan->at] == quote) {
            if (scan->at + 1 == scan->text.len || text[scan->at + 1] != quote) {
                scan->kind = quote == '"' ? TOKEN_QUOTED : TOKEN_STRING;
                break;
            }
            scan->at++;
        }
        if (len < sizeof name)
            name[len++] = text[scan->at];
    }
    scan->body = (struct kp_str){text + scan->start + 1, scan->at - scan->start - 1};
    if (scan->kind != TOKEN_OTHER)
        scan->at++;
    keep_name(scan->word, name, len);
}

static void next_token(struct scanner *scan)
{
    scan->start = scan->at = skip_blank(scan->text, scan->at);
    scan->word[0] = '\0';
    if (scan->at == scan->text.len ||
        (scan->text.ptr[scan->at] == ';' && skip_blank(scan->text, scan->at + 1) == scan->text.len)) {
        scan->kind = TOKEN_END;
        scan->body = KP_STR("");
        return;
    }
    char c = scan->text.ptr[scan->at];
    if (c == '"' || c == '\'') {
        take_quoted(scan, c);
        return;
    }
    if (is_word_start(c)) {
        take_word(scan);
    } else if (is_digit(c)) {
        scan->kind = TOKEN_NUMBER;
        while (scan->at < scan->text.len && is_digit(scan->text.ptr[scan->at]))
            scan->at++;
    } else {
        scan->kind = TOKEN_OTHER;
        scan->at++;
    }
    scan->body = (struct kp_str){scan->text.ptr + scan->start, scan->at - scan->start};
}

static bool is_word(const struct scanner *scan, const char *word)
{
    return scan->kind == TOKEN_WORD && strcmp(scan->word, word) == 0;
}

static bool take_if(struct scanner *scan, const char *word)
{
    if (!is_word(scan, word))
        return false;
    next_token(scan);
    return true;
}

static enum kp_code syntax_error(const struct scanner *scan, struct kp_error *err)
{
    if (scan->kind == TOKEN_END)
        (void)kp_fail(err, KP_INVALID, "42601", "syntax error at end of input");
    else
        (void)kp_fail(err, KP_INVALID, "42601", "syntax error at or near \"%.*s\"",
                      (int)KP_MIN(scan->at - scan->start, 100), scan->text.ptr + scan->start);
    if (err)
        err->position = (int32_t)kp_utf8_length(scan->text.ptr, scan->start) + 1;
    return KP_INVALID;
}

static enum kp_code expect(struct scanner *scan, const char *word, struct kp_error *err)
{
    return take_if(scan, word) ? KP_OK : syntax_error(scan, err);
}

static enum kp_code take_name(struct scanner *scan, char *ret_name, struct kp_error *err)
{
    if ((scan->kind != TOKEN_WORD && scan->kind != TOKEN_QUOTED) || !scan->word[0])
        return syntax_error(scan, err);
    strcpy(ret_name, scan->word);
    next_token(scan);
    return KP_OK;
}

static enum kp_code take_end(const struct scanner *scan, struct kp_error *err)
{
    return scan->kind == TOKEN_END ? KP_OK : syntax_error(scan, err);
}

static enum kp_code going_back(struct kp_error *err)
{
    (void)kp_fail(err, KP_UNSUPPORTED, "55000", "cursor can only scan forward");
    return kp_error_hint(err, "Declare it again to read from the beginning.");
}

static enum kp_code parse_declare(struct scanner *scan, struct kp_pg_command *command, struct kp_error *err)
{
    KP_TRY(take_name(scan, command->name, err));
    for (;;) {
        if (take_if(scan, "binary")) {
            command->binary = true;
        } else if (take_if(scan, "no")) {
            KP_TRY(expect(scan, "scroll", err));
        } else if (is_word(scan, "scroll")) {
            return going_back(err);
        } else if (!take_if(scan, "insensitive") && !take_if(scan, "asensitive")) {
            break;
        }
    }
    KP_TRY(expect(scan, "cursor", err));
    if (take_if(scan, "with")) {
        command->hold = true;
        KP_TRY(expect(scan, "hold", err));
    } else if (take_if(scan, "without")) {
        KP_TRY(expect(scan, "hold", err));
    }
    if (!is_word(scan, "for"))
        return syntax_error(scan, err);
    command->query_at = skip_blank(scan->text, scan->at);
    next_token(scan);
    return scan->kind == TOKEN_END ? syntax_error(scan, err) : KP_OK;
}

/* A count with its sign, or ALL; none: 1. */
static enum kp_code parse_count(struct scanner *scan, uint64_t *ret_rows, struct kp_error *err)
{
    *ret_rows = 1;
    if (take_if(scan, "all")) {
        *ret_rows = UINT64_MAX;
        return KP_OK;
    }
    if (scan->kind == TOKEN_OTHER && scan->body.ptr[0] == '-')
        return going_back(err);
    if (scan->kind == TOKEN_OTHER && scan->body.ptr[0] == '+')
        next_token(scan);
    if (scan->kind != TOKEN_NUMBER)
        return KP_OK;
    char digits[20];
    if (scan->body.len >= sizeof digits)
        return syntax_error(scan, err);
    memcpy(digits, scan->body.ptr, scan->body.len);
    digits[scan->body.len] = '\0';
    *ret_rows = strtoull(digits, NULL, 10);
    next_token(scan);
    return KP_OK;
}

static enum kp_code parse_direction(struct scanner *scan, uint64_t *ret_rows, struct kp_error *err)
{
    static const char *const backward[] = {"prior", "backward", "last", "first", "absolute", "relative"};
    struct scanner ahead = *scan; /* a cursor may have any of these names */
    next_token(&ahead);
    if (ahead.kind == TOKEN_END && scan->kind != TOKEN_NUMBER) {
        *ret_rows = 1;
        return KP_OK;
    }
    for (size_t i = 0; i < KP_COUNT(backward); i++)
        if (is_word(scan, backward[i]))
            return going_back(err);
    *ret_rows = 1;
    if (take_if(scan, "next"))
        return KP_OK;
    (void)take_if(scan, "forward");
    return parse_count(scan, ret_rows, err);
}

static enum kp_code parse_fetch(struct scanner *scan, struct kp_pg_command *command, struct kp_error *err)
{
    KP_TRY(parse_direction(scan, &command->rows, err));
    if (!take_if(scan, "from"))
        (void)take_if(scan, "in");
    KP_TRY(take_name(scan, command->name, err));
    if (!take_if(scan, "with"))
        return take_end(scan, err);
    if (scan->kind != TOKEN_OTHER || scan->body.ptr[0] != '(')
        return syntax_error(scan, err);
    next_token(scan);
    KP_TRY(expect(scan, "timeout", err));
    if (scan->kind == TOKEN_OTHER && scan->body.ptr[0] == '=')
        next_token(scan);
    if (scan->kind != TOKEN_STRING)
        return syntax_error(scan, err);
    command->timeout = scan->body;
    next_token(scan);
    if (scan->kind != TOKEN_OTHER || scan->body.ptr[0] != ')')
        return syntax_error(scan, err);
    next_token(scan);
    return take_end(scan, err);
}

static enum kp_code parse_name_or_all(struct scanner *scan, struct kp_pg_command *command, struct kp_error *err)
{
    if (!take_if(scan, "all"))
        KP_TRY(take_name(scan, command->name, err));
    return take_end(scan, err);
}

enum kp_code kp_pg_command_parse(struct kp_str text, struct kp_pg_command *ret_command, struct kp_error *err)
{
    struct kp_pg_command command = {.kind = KP_PG_COMMAND_NONE};
    struct scanner scan = {.text = text};
    enum kp_code code = KP_OK;
    next_token(&scan);
    if (take_if(&scan, "declare")) {
        command.kind = KP_PG_COMMAND_DECLARE;
        code = parse_declare(&scan, &command, err);
    } else if (is_word(&scan, "fetch") || is_word(&scan, "move")) {
        command.kind = is_word(&scan, "fetch") ? KP_PG_COMMAND_FETCH : KP_PG_COMMAND_MOVE;
        next_token(&scan);
        code = parse_fetch(&scan, &command, err);
    } else if (take_if(&scan, "close")) {
        command.kind = KP_PG_COMMAND_CLOSE;
        code = parse_name_or_all(&scan, &command, err);
    } else if (take_if(&scan, "deallocate")) {
        command.kind = KP_PG_COMMAND_DEALLOCATE;
        (void)take_if(&scan, "prepare");
        code = parse_name_or_all(&scan, &command, err);
    } else if (take_if(&scan, "discard") && take_if(&scan, "all")) {
        command.kind = KP_PG_COMMAND_DISCARD_ALL;
        code = take_end(&scan, err);
    }
    if (code == KP_OK)
        *ret_command = command;
    return code;
}
