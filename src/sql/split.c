/*
 * Statement boundaries in a script, and the distance of names.
 *
 * The splitter is a small lexer of its own and not pg_query_scan: a script may end in the middle of a statement, be of
 * any size, and hold statements that PostgreSQL's scanner has never heard of. It knows what may hide a semicolon:
 *
 *   'text'   E'text\''   "name"   $tag$ … $tag$   -- comment   / * nested comment * /   ( … ; … )   BEGIN ATOMIC …; END
 *
 * One pass over the bytes, no memory.
 */
#include <strings.h>

#include "base/utf8.h"
#include "sql/names.h"
#include "sql/parse.h"
#include "sql/sql.h"

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || (c & 0x80);
}

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Behind the closing quote, or the end. Backslashes escape in E'…'; a doubled quote does not close. */
static size_t skip_quoted(struct kp_str text, size_t at, char quote, bool backslash)
{
    for (at++; at < text.len; at++) {
        if (backslash && text.ptr[at] == '\\') {
            at++;
        } else if (text.ptr[at] == quote) {
            if (at + 1 < text.len && text.ptr[at + 1] == quote)
                at++;
            else
                return at + 1;
        }
    }
    return text.len;
}

/* Behind $tag$ … $tag$; just behind the dollar if it does not open a quote ($1). */
static size_t skip_dollar(struct kp_str text, size_t at)
{
    size_t tag_end = at + 1;
    if (tag_end < text.len && text.ptr[tag_end] >= '0' && text.ptr[tag_end] <= '9')
        return at + 1;
    while (tag_end < text.len && is_word(text.ptr[tag_end]))
        tag_end++;
    if (tag_end >= text.len || text.ptr[tag_end] != '$')
        return at + 1;
    size_t tag_len = tag_end + 1 - at;
    for (size_t end = tag_end + 1; end + tag_len <= text.len; end++)
        if (text.ptr[end] == '$' && memcmp(text.ptr + end, text.ptr + at, tag_len) == 0)
            return end + tag_len;
    return text.len;
}

static bool opens_block(struct kp_str text, size_t at)
{
    return at + 1 < text.len && text.ptr[at] == '/' && text.ptr[at + 1] == '*';
}

/* Behind the comment that begins at `start`, or `start` if it is never closed. */
static size_t skip_block_comment(struct kp_str text, size_t start)
{
    int depth = 0;
    for (size_t at = start; at < text.len;) {
        if (opens_block(text, at)) {
            depth++;
            at += 2;
        } else if (at + 1 < text.len && text.ptr[at] == '*' && text.ptr[at + 1] == '/') {
            at += 2;
            if (--depth == 0)
                return at;
        } else {
            at++;
        }
    }
    return start;
}

static size_t skip_line(struct kp_str text, size_t at)
{
    while (at < text.len && text.ptr[at] != '\n')
        at++;
    return at;
}

/* Behind the comment that begins at `at`, or `at` if none does that has an end. */
static size_t skip_comment(struct kp_str text, size_t at)
{
    if (at + 1 < text.len && text.ptr[at] == '-' && text.ptr[at + 1] == '-')
        return skip_line(text, at);
    if (opens_block(text, at))
        return skip_block_comment(text, at);
    return at;
}

/* Behind the token or comment at `at`. */
static size_t skip_token(struct kp_str text, size_t at)
{
    char c = text.ptr[at];
    size_t behind = skip_comment(text, at);
    if (behind != at)
        return behind;
    if (opens_block(text, at)) /* without an end: a token, of which the scanner says so */
        return text.len;
    if (c == '\'' || c == '"')
        return skip_quoted(text, at, c, false);
    if (c == '$')
        return skip_dollar(text, at);
    if (!is_word(c))
        return at + 1;
    size_t end = at;
    while (end < text.len && (is_word(text.ptr[end]) || text.ptr[end] == '$'))
        end++;
    if (end - at == 1 && (c == 'e' || c == 'E') && end < text.len && text.ptr[end] == '\'')
        return skip_quoted(text, end, '\'', true);
    return end;
}

/* BEGIN ATOMIC … END of a function's body, in which a semicolon does not end the statement. */
struct atomic {
    bool begun; /* the last word was BEGIN */
    uint32_t depth;
};

static bool is_the_word(struct kp_str token, const char *word)
{
    return token.len == strlen(word) && strncasecmp(token.ptr, word, token.len) == 0;
}

static void note_word(struct atomic *atomic, struct kp_str token)
{
    if (atomic->depth) {
        if (is_the_word(token, "case"))
            atomic->depth++;
        else if (is_the_word(token, "end"))
            atomic->depth--;
    } else if (atomic->begun && is_the_word(token, "atomic")) {
        atomic->depth = 1;
    }
    atomic->begun = is_the_word(token, "begin");
}

void kp_sql_split(struct kp_str script, size_t *ret_start, size_t *ret_len, size_t *ret_next)
{
    size_t start = 0; /* of the first token */
    for (;;) {
        while (start < script.len && is_blank(script.ptr[start]))
            start++;
        size_t behind = start < script.len ? skip_comment(script, start) : start;
        if (behind == start)
            break;
        start = behind;
    }
    size_t at = start, end = start; /* end: behind the last token */
    int depth = 0;
    struct atomic atomic = {0};
    while (at < script.len && !(script.ptr[at] == ';' && depth <= 0 && !atomic.depth)) {
        if (is_blank(script.ptr[at])) {
            at++;
            continue;
        }
        depth += (script.ptr[at] == '(') - (script.ptr[at] == ')');
        bool comment = skip_comment(script, at) != at;
        size_t from = at;
        at = skip_token(script, at);
        if (comment)
            continue;
        end = at;
        note_word(&atomic, (struct kp_str){script.ptr + from, at - from});
    }
    *ret_start = start;
    *ret_len = end - start;
    *ret_next = at < script.len ? at + 1 : script.len;
}

size_t kp_sql_token_count(const char *text, size_t len, size_t limit)
{
    struct kp_str script = {text, len};
    size_t count = 0;
    for (size_t at = 0; at < len && count < limit;) {
        if (is_blank(text[at])) {
            at++;
            continue;
        }
        at = skip_token(script, at);
        count++;
    }
    return count;
}

static char fold(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

enum { LONG_NAMES_MAX = 100 }; /* of a statement, that are told */

static void take_name(struct kp_str token, struct kp_buf *ret_name)
{
    bool quoted = token.ptr[0] == '"';
    ret_name->len = 0;
    for (size_t i = quoted; i < token.len - quoted; i++) {
        kp_buf_append_byte(ret_name, (uint8_t)(quoted ? token.ptr[i] : fold(token.ptr[i])));
        i += quoted && token.ptr[i] == '"';
    }
}

void kp_sql_long_names(struct kp_str text, void (*each)(void *arg, const char *written, const char *cut), void *arg)
{
    struct kp_buf name = {0}, cut = {0};
    for (size_t at = 0, told = 0; at < text.len && told < LONG_NAMES_MAX;) {
        struct kp_str token = {text.ptr + at, 1};
        bool named = token.ptr[0] == '"' || (is_word(token.ptr[0]) && !(token.ptr[0] >= '0' && token.ptr[0] <= '9'));
        at = is_blank(token.ptr[0]) ? at + 1 : skip_token(text, at);
        token.len = (size_t)(text.ptr + at - token.ptr);
        if (!named || token.len <= KP_NAME_BYTES_MAX || token.ptr[token.len - 1] == '\'') /* E'…' is a literal */
            continue;
        take_name(token, &name);
        if (name.len <= KP_NAME_BYTES_MAX)
            continue;
        cut.len = 0;
        kp_buf_append(&cut, name.data, kp_utf8_valid_prefix((const char *)name.data, KP_NAME_BYTES_MAX));
        kp_buf_append_byte(&cut, 0);
        kp_buf_append_byte(&name, 0);
        each(arg, (const char *)name.data, (const char *)cut.data);
        told++;
    }
    kp_buf_finish(&name);
    kp_buf_finish(&cut);
}

size_t kp_sql_distance(struct kp_str a, struct kp_str b)
{
    enum { MAX = KP_NAME_BYTES_MAX + 1 };
    if (a.len >= MAX || b.len >= MAX)
        return a.len > b.len ? a.len : b.len;
    size_t row[MAX + 1], before[MAX + 1];
    for (size_t j = 0; j <= b.len; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        memcpy(before, row, sizeof row[0] * (b.len + 1));
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t change = before[j - 1] + (fold(a.ptr[i - 1]) != fold(b.ptr[j - 1]));
            size_t best = KP_MIN(before[j] + 1, row[j - 1] + 1);
            row[j] = KP_MIN(best, change);
        }
    }
    return row[b.len];
}
