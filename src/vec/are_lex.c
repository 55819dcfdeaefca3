/*
 * Characters to tokens, for the three kinds of expressions and for literal text. Which token a character is depends on
 * the context: outside of brackets, in them, in the names that they may have inside, in the counts of {m,n}.
 *
 * Options: ***: makes it advanced and ***= literal; an advanced one may begin with (?letters).
 */
#include "vec/are_internal.h"

enum context {
    IN_EXTENDED,
    IN_BASIC,
    IN_QUOTE,
    IN_COUNT,
    IN_BASIC_COUNT,
    IN_BRACKETS,
    IN_COLLATING,
    IN_EQUIVALENCE,
    IN_CLASS
};

#define BAD_ESCAPE   "invalid escape \\ sequence"
#define BAD_BRACKETS "brackets [] not balanced"
#define BAD_BRACES   "braces {} not balanced"
#define BAD_OPTION   "invalid embedded option"

void kp_are_lexer_fail(struct are_lexer *lexer, const char *message)
{
    if (!lexer->error.message)
        lexer->error = (struct are_lexer_error){"2201B", message};
    lexer->type = ARE_T_END;
}

void kp_are_lexer_limit(struct are_lexer *lexer, const char *message)
{
    if (!lexer->error.message)
        lexer->error = (struct are_lexer_error){"54000", message};
    lexer->type = ARE_T_END;
}

static bool at_end(const struct are_lexer *lexer)
{
    return lexer->now >= lexer->end;
}

static bool sees(const struct are_lexer *lexer, const char *text)
{
    size_t len = strlen(text);
    if ((size_t)(lexer->end - lexer->now) < len)
        return false;
    for (size_t i = 0; i < len; i++)
        if (lexer->now[i] != (unsigned char)text[i])
            return false;
    return true;
}

static bool eats(struct are_lexer *lexer, const char *text)
{
    bool is = sees(lexer, text);
    lexer->now += is ? strlen(text) : 0;
    return is;
}

static bool is_digit(uint32_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(uint32_t c)
{
    return (c | 32) >= 'a' && (c | 32) <= 'z';
}

static bool is_space(uint32_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static void give(struct are_lexer *lexer, int type, uint32_t value)
{
    lexer->type = type;
    lexer->value = value;
}

/* ---- options ---- */

/* False: no letter of an option. */
static bool read_option(unsigned *flags, uint32_t letter)
{
    static const struct {
        char letter;
        unsigned clear, set;
    } options[] = {
        {'b', KP_ARE_ADVANCED | KP_ARE_QUOTE, 0},
        {'c', KP_ARE_FOLD, 0},
        {'e', KP_ARE_ESCAPES | KP_ARE_QUOTE, KP_ARE_EXTENDED},
        {'i', 0, KP_ARE_FOLD},
        {'m', 0, KP_ARE_NEWLINE},
        {'n', 0, KP_ARE_NEWLINE},
        {'p', KP_ARE_NEWLINE_EDGES, KP_ARE_NEWLINE_STOPS},
        {'q', KP_ARE_ADVANCED, KP_ARE_QUOTE},
        {'s', KP_ARE_NEWLINE, 0},
        {'t', KP_ARE_SPACED, 0},
        {'w', KP_ARE_NEWLINE_STOPS, KP_ARE_NEWLINE_EDGES},
        {'x', 0, KP_ARE_SPACED},
    };
    for (size_t i = 0; i < KP_COUNT(options); i++)
        if ((uint32_t)options[i].letter == letter) {
            *flags = (*flags & ~options[i].clear) | options[i].set;
            return true;
        }
    return false;
}

bool kp_are_option(unsigned *flags, char letter)
{
    return read_option(flags, letter == 'e' ? 'b' : (unsigned char)letter);
}

static void read_prefixes(struct are_lexer *lexer)
{
    if (lexer->flags & KP_ARE_QUOTE)
        return;
    if (sees(lexer, "***") && lexer->end - lexer->now > 3) {
        if (eats(lexer, "***=")) {
            lexer->flags =
                (lexer->flags | KP_ARE_QUOTE) & ~(unsigned)(KP_ARE_ADVANCED | KP_ARE_SPACED | KP_ARE_NEWLINE);
            return;
        }
        if (!eats(lexer, "***:")) {
            kp_are_lexer_fail(lexer, sees(lexer, "***?") ? "invalid regexp (reg version 0.8)" : ARE_BAD_QUANTIFIER);
            return;
        }
        lexer->flags |= KP_ARE_ADVANCED;
    }
    if ((lexer->flags & KP_ARE_ADVANCED) != KP_ARE_ADVANCED || !sees(lexer, "(?") || lexer->end - lexer->now < 3 ||
        !is_letter(lexer->now[2]))
        return;
    for (lexer->now += 2; !at_end(lexer) && is_letter(*lexer->now); lexer->now++)
        if (!read_option(&lexer->flags, *lexer->now)) {
            kp_are_lexer_fail(lexer, BAD_OPTION);
            return;
        }
    if (!eats(lexer, ")"))
        kp_are_lexer_fail(lexer, BAD_OPTION);
    else if (lexer->flags & KP_ARE_QUOTE)
        lexer->flags &= ~(unsigned)(KP_ARE_SPACED | KP_ARE_NEWLINE);
}

static uint8_t outside(const struct are_lexer *lexer)
{
    return lexer->flags & KP_ARE_QUOTE ? IN_QUOTE : lexer->flags & KP_ARE_EXTENDED ? IN_EXTENDED : IN_BASIC;
}

void kp_are_lexer_start(struct are_lexer *lexer, const uint32_t *pattern, size_t len, unsigned flags)
{
    *lexer = (struct are_lexer){.now = pattern, .end = pattern + len, .flags = flags, .type = ARE_T_START};
    read_prefixes(lexer);
    if (lexer->error.message)
        return;
    lexer->context = outside(lexer);
    kp_are_lexer_next(lexer);
}

/* ---- escapes ---- */

static int digit_of(uint32_t c, uint32_t base)
{
    int digit = is_digit(c) ? (int)(c - '0') : is_letter(c) && (c | 32) <= 'f' ? (int)((c | 32) - 'a') + 10 : -1;
    return digit < (int)base ? digit : -1;
}

static uint32_t read_digits(struct are_lexer *lexer, uint32_t base, unsigned min, unsigned max)
{
    uint32_t number = 0;
    unsigned len = 0;
    for (; len < max && !at_end(lexer) && digit_of(*lexer->now, base) >= 0; len++)
        number = number * base + (uint32_t)digit_of(*lexer->now++, base);
    if (len < min)
        kp_are_lexer_fail(lexer, BAD_ESCAPE);
    return number;
}

static void read_code(struct are_lexer *lexer, unsigned min, unsigned max)
{
    uint32_t c = read_digits(lexer, 16, min, max);
    if (!lexer->error.message && c > ARE_CHARACTER_MAX)
        kp_are_lexer_fail(lexer, BAD_ESCAPE);
    if (!lexer->error.message)
        give(lexer, ARE_T_PLAIN, c);
}

/* A back reference if it has one digit or there are so many groups already; else one to three octal digits. */
static void read_number(struct are_lexer *lexer)
{
    const uint32_t *begin = lexer->now;
    if (*begin != '0') {
        uint32_t number = read_digits(lexer, 10, 1, 255);
        if (lexer->now == begin + 1 || ((int32_t)number > 0 && number <= lexer->groups)) {
            give(lexer, ARE_T_REFERENCE, number);
            return;
        }
        lexer->now = begin;
    }
    uint32_t c = read_digits(lexer, 8, 1, 3);
    if (c > 0xff) {
        lexer->now--;
        c >>= 3;
    }
    if (!lexer->error.message)
        give(lexer, ARE_T_PLAIN, c);
}

/* Behind the backslash of an advanced expression. */
static void read_escape(struct are_lexer *lexer)
{
    static const struct {
        char letter;
        int type;
        uint32_t value;
    } escapes[] = {
        {'a', ARE_T_PLAIN, 7},
        {'A', ARE_T_CONDITION, ARE_TEXT_BEGIN},
        {'b', ARE_T_PLAIN, '\b'},
        {'B', ARE_T_PLAIN, '\\'},
        {'d', ARE_T_SHORTHAND, ARE_DIGIT},
        {'D', ARE_T_SHORTHAND_NOT, ARE_DIGIT},
        {'e', ARE_T_PLAIN, 033},
        {'f', ARE_T_PLAIN, '\f'},
        {'m', ARE_T_CONDITION, ARE_WORD_BEGIN},
        {'M', ARE_T_CONDITION, ARE_WORD_END},
        {'n', ARE_T_PLAIN, '\n'},
        {'r', ARE_T_PLAIN, '\r'},
        {'s', ARE_T_SHORTHAND, ARE_SPACE},
        {'S', ARE_T_SHORTHAND_NOT, ARE_SPACE},
        {'t', ARE_T_PLAIN, '\t'},
        {'v', ARE_T_PLAIN, '\v'},
        {'w', ARE_T_SHORTHAND, ARE_WORD},
        {'W', ARE_T_SHORTHAND_NOT, ARE_WORD},
        {'y', ARE_T_CONDITION, ARE_WORD_EDGE},
        {'Y', ARE_T_CONDITION, ARE_NO_WORD_EDGE},
        {'Z', ARE_T_CONDITION, ARE_TEXT_END},
    };
    uint32_t c = *lexer->now++;
    if (!is_letter(c) && !is_digit(c)) {
        give(lexer, ARE_T_PLAIN, c);
        return;
    }
    for (size_t i = 0; i < KP_COUNT(escapes); i++)
        if ((uint32_t)escapes[i].letter == c) {
            give(lexer, escapes[i].type, escapes[i].value);
            return;
        }
    if (is_digit(c)) {
        lexer->now--;
        read_number(lexer);
    } else if (c == 'c' && !at_end(lexer)) {
        give(lexer, ARE_T_PLAIN, *lexer->now++ & 037);
    } else if (c == 'u') {
        read_code(lexer, 4, 4);
    } else if (c == 'U') {
        read_code(lexer, 8, 8);
    } else if (c == 'x') {
        read_code(lexer, 1, 255);
    } else {
        kp_are_lexer_fail(lexer, BAD_ESCAPE);
    }
}

/* ---- inside of counts, brackets and names ---- */

static void next_in_count(struct are_lexer *lexer, uint32_t c)
{
    bool basic = lexer->context == IN_BASIC_COUNT;
    if (is_digit(c)) {
        give(lexer, ARE_T_DIGIT, c - '0');
    } else if (c == ',') {
        give(lexer, ',', 0);
    } else if (!basic && c == '}') {
        lexer->context = IN_EXTENDED;
        give(lexer, '}', !((lexer->flags & KP_ARE_ESCAPES) && eats(lexer, "?")));
    } else if (basic && c == '\\' && eats(lexer, "}")) {
        lexer->context = IN_BASIC;
        give(lexer, '}', 1);
    } else {
        kp_are_lexer_fail(lexer, ARE_BAD_COUNT);
    }
}

static void next_in_brackets(struct are_lexer *lexer, uint32_t c)
{
    bool first = lexer->last_type == '[';
    if (c == ']' && !first) {
        lexer->context = outside(lexer);
        give(lexer, ']', 0);
    } else if (c == '\\' && lexer->flags & KP_ARE_ESCAPES) {
        if (at_end(lexer)) {
            kp_are_lexer_fail(lexer, BAD_ESCAPE);
            return;
        }
        read_escape(lexer);
        if (lexer->type != ARE_T_PLAIN && lexer->type != ARE_T_SHORTHAND && lexer->type != ARE_T_SHORTHAND_NOT)
            kp_are_lexer_fail(lexer, BAD_ESCAPE);
    } else if (c == '-' && !first && !sees(lexer, "]")) {
        give(lexer, ARE_T_RANGE, c);
    } else if (c == '[' && at_end(lexer)) {
        kp_are_lexer_fail(lexer, BAD_BRACKETS);
    } else if (c == '[' && eats(lexer, ".")) {
        lexer->context = IN_COLLATING;
        give(lexer, ARE_T_COLLATING, 0);
    } else if (c == '[' && eats(lexer, "=")) {
        lexer->context = IN_EQUIVALENCE;
        give(lexer, ARE_T_EQUIVALENCE, 0);
    } else if (c == '[' && eats(lexer, ":")) {
        lexer->context = IN_CLASS;
        give(lexer, ARE_T_CLASS, 0);
    } else {
        give(lexer, ARE_T_PLAIN, c);
    }
}

static void next_in_name(struct are_lexer *lexer, uint32_t c)
{
    uint32_t mark = lexer->context == IN_COLLATING ? '.' : lexer->context == IN_EQUIVALENCE ? '=' : ':';
    if (c == mark && eats(lexer, "]")) {
        lexer->context = IN_BRACKETS;
        give(lexer, ARE_T_NAME_END, mark);
    } else {
        give(lexer, ARE_T_PLAIN, c);
    }
}

/* ---- outside ---- */

static void skip_space(struct are_lexer *lexer)
{
    for (;;) {
        while (!at_end(lexer) && is_space(*lexer->now))
            lexer->now++;
        if (!sees(lexer, "#"))
            return;
        while (!at_end(lexer) && *lexer->now != '\n')
            lexer->now++;
    }
}

static void open_brackets(struct are_lexer *lexer)
{
    if (eats(lexer, "[:<:]]")) {
        give(lexer, ARE_T_CONDITION, ARE_WORD_BEGIN);
    } else if (eats(lexer, "[:>:]]")) {
        give(lexer, ARE_T_CONDITION, ARE_WORD_END);
    } else {
        lexer->context = IN_BRACKETS;
        give(lexer, '[', !eats(lexer, "^"));
    }
}

/* Behind "(?"; false: it was a comment. */
static bool open_special(struct are_lexer *lexer)
{
    if (eats(lexer, ":")) {
        give(lexer, '(', 0);
    } else if (eats(lexer, "#")) {
        while (!at_end(lexer) && *lexer->now != ')')
            lexer->now++;
        eats(lexer, ")");
        return false;
    } else if (eats(lexer, "=")) {
        give(lexer, ARE_T_LOOK, ARE_AHEAD);
    } else if (eats(lexer, "!")) {
        give(lexer, ARE_T_LOOK, ARE_AHEAD_NOT);
    } else if (eats(lexer, "<=")) {
        give(lexer, ARE_T_LOOK, ARE_BEHIND);
    } else if (eats(lexer, "<!")) {
        give(lexer, ARE_T_LOOK, ARE_BEHIND_NOT);
    } else {
        kp_are_lexer_fail(lexer, ARE_BAD_QUANTIFIER);
    }
    return true;
}

static uint32_t line_edge(const struct are_lexer *lexer, uint32_t c)
{
    if (lexer->flags & KP_ARE_NEWLINE_EDGES)
        return c == '^' ? ARE_LINE_BEGIN : ARE_LINE_END_AHEAD;
    return c == '^' ? ARE_TEXT_BEGIN : ARE_TEXT_END;
}

/* False: it was a comment. */
static bool next_in_extended(struct are_lexer *lexer, uint32_t c)
{
    bool escapes = lexer->flags & KP_ARE_ESCAPES;
    if (c == '*' || c == '+' || c == '?') {
        give(lexer, (int)c, !(escapes && eats(lexer, "?")));
    } else if (c == '{') {
        if (lexer->flags & KP_ARE_SPACED)
            skip_space(lexer);
        if (at_end(lexer) || !is_digit(*lexer->now)) {
            give(lexer, ARE_T_PLAIN, c);
        } else {
            lexer->context = IN_COUNT;
            give(lexer, '{', 0);
        }
    } else if (c == '(') {
        if (escapes && eats(lexer, "?"))
            return open_special(lexer);
        give(lexer, '(', 1);
    } else if (c == ')' || c == '|' || c == '.') {
        give(lexer, (int)c, c);
    } else if (c == '[') {
        open_brackets(lexer);
    } else if (c == '^' || c == '$') {
        give(lexer, ARE_T_CONDITION, line_edge(lexer, c));
    } else if (c != '\\') {
        give(lexer, ARE_T_PLAIN, c);
    } else if (at_end(lexer)) {
        kp_are_lexer_fail(lexer, BAD_ESCAPE);
    } else if (escapes) {
        read_escape(lexer);
    } else {
        give(lexer, ARE_T_PLAIN, *lexer->now++);
    }
    return true;
}

static void next_basic_escape(struct are_lexer *lexer)
{
    if (at_end(lexer)) {
        kp_are_lexer_fail(lexer, BAD_ESCAPE);
        return;
    }
    uint32_t c = *lexer->now++;
    if (c == '{') {
        lexer->context = IN_BASIC_COUNT;
        give(lexer, '{', 0);
    } else if (c == '(') {
        give(lexer, '(', 1);
    } else if (c == ')') {
        give(lexer, ')', c);
    } else if (c == '<' || c == '>') {
        give(lexer, ARE_T_CONDITION, c == '<' ? ARE_WORD_BEGIN : ARE_WORD_END);
    } else if (c >= '1' && c <= '9') {
        give(lexer, ARE_T_REFERENCE, c - '0');
    } else {
        give(lexer, ARE_T_PLAIN, c);
    }
}

static void next_in_basic(struct are_lexer *lexer, uint32_t c)
{
    bool begin = lexer->last_type == ARE_T_START || lexer->last_type == '(';
    if (c == '*') {
        bool edge =
            lexer->last_type == ARE_T_CONDITION && (lexer->value == ARE_TEXT_BEGIN || lexer->value == ARE_LINE_BEGIN);
        if (begin || edge)
            give(lexer, ARE_T_PLAIN, c);
        else
            give(lexer, '*', 1);
    } else if (c == '[') {
        open_brackets(lexer);
    } else if (c == '.') {
        give(lexer, '.', 0);
    } else if (c == '^' && begin) {
        give(lexer, ARE_T_CONDITION, line_edge(lexer, c));
    } else if (c == '$') {
        if (lexer->flags & KP_ARE_SPACED)
            skip_space(lexer);
        if (at_end(lexer) || sees(lexer, "\\)"))
            give(lexer, ARE_T_CONDITION, line_edge(lexer, c));
        else
            give(lexer, ARE_T_PLAIN, c);
    } else if (c == '\\') {
        next_basic_escape(lexer);
    } else {
        give(lexer, ARE_T_PLAIN, c);
    }
}

static void next_at_end(struct are_lexer *lexer)
{
    if (lexer->context <= IN_QUOTE)
        give(lexer, ARE_T_END, 0);
    else
        kp_are_lexer_fail(lexer, lexer->context <= IN_BASIC_COUNT ? BAD_BRACES : BAD_BRACKETS);
}

void kp_are_lexer_next(struct are_lexer *lexer)
{
    bool comment;
    do {
        comment = false;
        if (lexer->error.message)
            return;
        lexer->last_type = lexer->type;
        if (lexer->flags & KP_ARE_SPACED && lexer->context <= IN_BASIC_COUNT && lexer->context != IN_QUOTE)
            skip_space(lexer);
        if (at_end(lexer)) {
            next_at_end(lexer);
            return;
        }
        uint32_t c = *lexer->now++;
        if (lexer->context == IN_EXTENDED)
            comment = !next_in_extended(lexer, c);
        else if (lexer->context == IN_BASIC)
            next_in_basic(lexer, c);
        else if (lexer->context == IN_QUOTE)
            give(lexer, ARE_T_PLAIN, c);
        else if (lexer->context == IN_BRACKETS)
            next_in_brackets(lexer, c);
        else if (lexer->context <= IN_BASIC_COUNT)
            next_in_count(lexer, c);
        else
            next_in_name(lexer, c);
    } while (comment);
}
