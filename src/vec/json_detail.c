/*
 * What is wrong with a text that is no JSON, in PostgreSQL's words. Only texts that could not be read come here
 * (json.c): one more pass, token by token, with the place in the grammar on a stack of bits.
 *
 *   value ─► end, or , ] }   [ ─► value or ]   { ─► string or }   string ─► :   : ─► value   , ─► value, or string
 */
#include "base/limits.h"
#include "vec/json.h"

enum token { TOKEN_END, TOKEN_STRING, TOKEN_VALUE, TOKEN_MARK, TOKEN_BAD };

struct lexer {
    const char *at, *end, *start; /* start: of the token */
    bool jsonb;                   /* strings are read as text */
    struct kp_error *err;
};

static bool is_word(char c)
{
    return c == '_' || (unsigned char)c >= 0x80 || (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
}

static enum token bad_token(struct lexer *lexer)
{
    kp_error_detail(lexer->err, "Token \"%.*s\" is invalid.", (int)KP_MIN(lexer->at - lexer->start, 200), lexer->start);
    return TOKEN_BAD;
}

/* Four hexadecimal digits; -1: there are none. */
static int take_hex(struct lexer *lexer)
{
    int value = 0;
    for (int i = 0; i < 4; i++, lexer->at++) {
        char c = lexer->at < lexer->end ? *lexer->at : '\0';
        int digit = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
        if (digit < 0)
            return -1;
        value = value << 4 | digit;
    }
    return value;
}

/* \uXXXX, behind the u; *high: the first half of a pair that stands before it, or 0. */
static enum token take_unicode(struct lexer *lexer, int *high)
{
    int unit = take_hex(lexer);
    const char *why = NULL;
    if (unit < 0)
        why = "\"\\u\" must be followed by four hexadecimal digits.";
    else if (lexer->jsonb && unit >= 0xd800 && unit < 0xdc00 && *high)
        why = "Unicode high surrogate must not follow a high surrogate.";
    else if (lexer->jsonb && ((unit >= 0xdc00 && unit < 0xe000) != (*high != 0)) && !(unit >= 0xd800 && unit < 0xdc00))
        why = "Unicode low surrogate must follow a high surrogate.";
    else if (lexer->jsonb && unit == 0)
        why = "\\u0000 cannot be converted to text.";
    *high = unit >= 0xd800 && unit < 0xdc00 ? unit : 0;
    if (!why)
        return TOKEN_STRING;
    kp_error_detail(lexer->err, "%s", why);
    return TOKEN_BAD;
}

static enum token take_escape(struct lexer *lexer, int *high)
{
    if (lexer->at == lexer->end)
        return bad_token(lexer);
    char c = *lexer->at++;
    if (c == 'u')
        return take_unicode(lexer, high);
    if (c && strchr("\"\\/bfnrt", c))
        return TOKEN_STRING;
    size_t len = 1;
    while (lexer->at < lexer->end && ((unsigned char)*lexer->at & 0xc0) == 0x80)
        lexer->at++, len++;
    kp_error_detail(lexer->err, "Escape sequence \"\\%.*s\" is invalid.", (int)len, lexer->at - len);
    return TOKEN_BAD;
}

static enum token take_string(struct lexer *lexer)
{
    int high = 0;
    for (lexer->at++; lexer->at < lexer->end;) {
        unsigned char c = (unsigned char)*lexer->at++;
        bool escape = c == '\\';
        if (lexer->jsonb && high && !(escape && lexer->at < lexer->end && *lexer->at == 'u')) {
            kp_error_detail(lexer->err, "Unicode low surrogate must follow a high surrogate.");
            return TOKEN_BAD;
        }
        if (c == '"')
            return TOKEN_STRING;
        if (c < 0x20) {
            kp_error_detail(lexer->err, "Character with value 0x%02x must be escaped.", c);
            return TOKEN_BAD;
        }
        if (escape && take_escape(lexer, &high) == TOKEN_BAD)
            return TOKEN_BAD;
    }
    return bad_token(lexer);
}

static bool take_digits(struct lexer *lexer)
{
    const char *start = lexer->at;
    while (lexer->at < lexer->end && *lexer->at >= '0' && *lexer->at <= '9')
        lexer->at++;
    return lexer->at > start;
}

static enum token take_number(struct lexer *lexer)
{
    lexer->at += *lexer->at == '-';
    bool good = lexer->at < lexer->end && *lexer->at == '0' ? (lexer->at++, true) : take_digits(lexer);
    if (lexer->at < lexer->end && *lexer->at == '.') {
        lexer->at++;
        good &= take_digits(lexer);
    }
    if (lexer->at < lexer->end && (*lexer->at | 32) == 'e') {
        lexer->at++;
        lexer->at += lexer->at < lexer->end && (*lexer->at == '+' || *lexer->at == '-');
        good &= take_digits(lexer);
    }
    for (; lexer->at < lexer->end && is_word(*lexer->at); lexer->at++)
        good = false;
    return good ? TOKEN_VALUE : bad_token(lexer);
}

static enum token take_token(struct lexer *lexer)
{
    while (lexer->at < lexer->end && strchr(" \t\n\r", *lexer->at) && *lexer->at)
        lexer->at++;
    lexer->start = lexer->at;
    if (lexer->at == lexer->end)
        return TOKEN_END;
    char c = *lexer->at;
    if (c == '"')
        return take_string(lexer);
    if (c == '-' || (c >= '0' && c <= '9'))
        return take_number(lexer);
    if (c && strchr("{}[],:", c)) {
        lexer->at++;
        return TOKEN_MARK;
    }
    while (lexer->at < lexer->end && is_word(*lexer->at))
        lexer->at++;
    size_t len = (size_t)(lexer->at - lexer->start);
    lexer->at += len == 0;
    bool known = (len == 4 && (memcmp(lexer->start, "true", 4) == 0 || memcmp(lexer->start, "null", 4) == 0)) ||
                 (len == 5 && memcmp(lexer->start, "false", 5) == 0);
    return known ? TOKEN_VALUE : bad_token(lexer);
}

/* What may come next: the names are PostgreSQL's words for it. */
static const char *const places[] = {"JSON value", "JSON value",   "string or \"}\"", "string",
                                     "\":\"",      "end of input", "\",\" or \"]\"",  "\",\" or \"}\""};
enum place { AT_VALUE, AT_FIRST, AT_OBJECT, AT_KEY, AT_COLON, AT_END, IN_ARRAY, IN_OBJECT };

struct nesting {
    bool objects[KP_SQL_DEPTH_MAX + 1];
    uint32_t depth;
};

static enum place behind_value(const struct nesting *nesting)
{
    return !nesting->depth ? AT_END : nesting->objects[nesting->depth - 1] ? IN_OBJECT : IN_ARRAY;
}

/* The place behind the token; false: it cannot stand there. */
static bool advance(struct nesting *nesting, enum place *place, enum token token, char mark)
{
    bool value = *place == AT_VALUE || *place == AT_FIRST;
    if (value && token != TOKEN_MARK) {
        *place = behind_value(nesting);
    } else if (value && (mark == '{' || mark == '[')) {
        nesting->objects[nesting->depth++] = mark == '{';
        *place = mark == '{' ? AT_OBJECT : AT_FIRST;
    } else if ((*place == AT_OBJECT || *place == AT_KEY) && token == TOKEN_STRING) {
        *place = AT_COLON;
    } else if (token != TOKEN_MARK) {
        return false;
    } else if (*place == AT_COLON && mark == ':') {
        *place = AT_VALUE;
    } else if ((*place == IN_ARRAY || *place == IN_OBJECT) && mark == ',') {
        *place = *place == IN_ARRAY ? AT_VALUE : AT_KEY;
    } else if (((*place == IN_ARRAY || *place == AT_FIRST) && mark == ']') ||
               ((*place == IN_OBJECT || *place == AT_OBJECT) && mark == '}')) {
        nesting->depth--;
        *place = behind_value(nesting);
    } else {
        return false;
    }
    return true;
}

void kp_json_explain(enum kp_type_id type, struct kp_str text, struct kp_error *err)
{
    struct lexer lexer = {.at = text.ptr, .end = text.ptr + text.len, .jsonb = type == KP_JSONB, .err = err};
    struct nesting nesting = {.depth = 0};
    enum place place = AT_VALUE;
    while (err && nesting.depth < KP_SQL_DEPTH_MAX) {
        enum token token = take_token(&lexer);
        if (token == TOKEN_BAD || (token == TOKEN_END && place == AT_END))
            return;
        if (token == TOKEN_END) {
            kp_error_detail(err, "The input string ended unexpectedly.");
            return;
        }
        if (!advance(&nesting, &place, token, *lexer.start)) {
            kp_error_detail(err, "Expected %s, but found \"%.*s\".", places[place],
                            (int)KP_MIN(lexer.at - lexer.start, 200), lexer.start);
            return;
        }
    }
}
