/*
 * What a refused statement was about, from its words: text of a log that PostgreSQL's grammar, or ours, does not take.
 *
 *   CREATE [OR REPLACE] kind [IF NOT EXISTS] [schema.]name …      ALTER kind [IF EXISTS] [schema.]name …      DROP,
 * COMMENT
 *
 * A word is letters, digits, _ and $, or what stands between double quotes. Comments and text constants are passed
 * over; bodies between dollar quotes are words, too, as functions' names stand in them.
 */
#include <strings.h>

#include "sql/sql.h"

struct words {
    struct kp_str text;
    size_t at;
    struct kp_arena *arena;
};

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || (c & 0x80);
}

static char char_at(const struct words *words, size_t at)
{
    return at < words->text.len ? words->text.ptr[at] : '\0';
}

static void skip_until(struct words *words, const char *mark)
{
    size_t len = strlen(mark);
    while (words->at < words->text.len &&
           !(words->at + len <= words->text.len && memcmp(words->text.ptr + words->at, mark, len) == 0))
        words->at++;
    words->at = KP_MIN(words->at + len, words->text.len);
}

/* Blanks, comments and text constants. */
static void skip_blank(struct words *words)
{
    for (;;) {
        char c = char_at(words, words->at), next = char_at(words, words->at + 1);
        if (words->at >= words->text.len || !(c == ' ' || (c >= '\t' && c <= '\r') || c == '\'' ||
                                              (c == '-' && next == '-') || (c == '/' && next == '*')))
            return;
        words->at++;
        if (c == '\'')
            skip_until(words, "'");
        else if (c == '-')
            skip_until(words, "\n");
        else if (c == '/')
            skip_until(words, "*/");
    }
}

/* NULL: none stands here. */
static const char *take_name(struct words *words)
{
    skip_blank(words);
    size_t start = words->at;
    if (char_at(words, start) == '"') {
        size_t end = start + 1;
        while (end < words->text.len && words->text.ptr[end] != '"')
            end++;
        words->at = KP_MIN(end + 1, words->text.len);
        return kp_arena_strndup(words->arena, words->text.ptr + start + 1, end - start - 1);
    }
    while (is_word(char_at(words, words->at)) || (words->at > start && char_at(words, words->at) == '$'))
        words->at++;
    if (words->at == start)
        return NULL;
    char *name = kp_arena_strndup(words->arena, words->text.ptr + start, words->at - start);
    for (char *c = name; *c; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
    return name;
}

/* All of them, separated by single blanks, or none. */
static bool take_words(struct words *words, const char *wanted)
{
    struct words ahead = *words;
    while (*wanted) {
        size_t len = strcspn(wanted, " ");
        skip_blank(&ahead);
        if (ahead.at + len > ahead.text.len || strncasecmp(ahead.text.ptr + ahead.at, wanted, len) != 0 ||
            is_word(char_at(&ahead, ahead.at + len)))
            return false;
        ahead.at += len;
        wanted += len + (wanted[len] == ' ');
    }
    *words = ahead;
    return true;
}

static bool take_kind(struct words *words, enum kp_relation_kind *ret_kind)
{
    static const struct {
        const char *words;
        enum kp_relation_kind kind;
    } kinds[] = {{"source", KP_RELATION_SOURCE},     {"table", KP_RELATION_TABLE},
                 {"sink", KP_RELATION_SINK},         {"materialized view", KP_RELATION_VIEW},
                 {"view", KP_RELATION_PLAIN_VIEW},   {"recursive view", KP_RELATION_PLAIN_VIEW},
                 {"sequence", KP_RELATION_SEQUENCE}, {"type", KP_RELATION_TYPE},
                 {"domain", KP_RELATION_DOMAIN},     {"function", KP_RELATION_FUNCTION}};
    for (size_t i = 0; i < KP_COUNT(kinds); i++)
        if (take_words(words, kinds[i].words)) {
            *ret_kind = kinds[i].kind;
            return true;
        }
    return false;
}

/* (integer, text): up to the parenthesis that closes it. */
static const char *take_args(struct words *words)
{
    skip_blank(words);
    if (char_at(words, words->at) != '(')
        return NULL;
    size_t start = words->at + 1, depth = 0;
    for (; words->at < words->text.len; words->at++) {
        depth += char_at(words, words->at) == '(';
        if (char_at(words, words->at) == ')' && --depth == 0)
            break;
    }
    return kp_arena_strndup(words->arena, words->text.ptr + start, words->at - start);
}

void kp_sql_declared(struct kp_str text, struct kp_arena *arena, struct kp_declared *ret_declared)
{
    struct words words = {.text = text, .arena = arena};
    struct kp_declared declared = {0};
    *ret_declared = declared;
    bool create = take_words(&words, "create"), alter = !create && take_words(&words, "alter");
    if (!create && !alter) {
        ret_declared->what = take_words(&words, "drop")      ? KP_DECLARES_DROP
                             : take_words(&words, "comment") ? KP_DECLARES_COMMENT
                                                             : KP_DECLARES_NOTHING;
        return;
    }
    declared.or_replace = create && take_words(&words, "or replace");
    if (!take_kind(&words, &declared.kind))
        return;
    (void)(take_words(&words, "if not exists") || take_words(&words, "if exists"));
    declared.name = take_name(&words);
    if (declared.name && char_at(&words, words.at) == '.') {
        words.at++;
        declared.name = take_name(&words);
    }
    if (!declared.name || !*declared.name)
        return;
    declared.name_end = words.at;
    if (declared.kind == KP_RELATION_FUNCTION)
        declared.args = take_args(&words);
    declared.promotes = alter && (take_words(&words, "promote") || take_words(&words, "rollback"));
    declared.what = create ? KP_DECLARES_CREATE : KP_DECLARES_ALTER;
    *ret_declared = declared;
}

void kp_sql_each_word(struct kp_str text, size_t from, struct kp_arena *arena,
                      void (*each)(void *arg, const char *word), void *arg)
{
    struct words words = {.text = text, .at = from, .arena = arena};
    for (skip_blank(&words); words.at < text.len; skip_blank(&words)) {
        const char *word = take_name(&words);
        if (word)
            each(arg, word);
        else
            words.at++;
    }
}
