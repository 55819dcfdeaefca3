/* Texts of dates and times, cut by their characters: vec/datetime_cut.h. */
#include "vec/datetime_cut.h"

#include <stdlib.h>
#include <string.h>

/* ---- words ---- */

static const struct moment_word words[] = {{"-infinity", WORD_SPECIAL, SPECIAL_NEG_INFINITY},
                                           {"ad", WORD_ERA, 0},
                                           {"allballs", WORD_SPECIAL, SPECIAL_ZULU},
                                           {"am", WORD_MERIDIEM, 1},
                                           {"apr", WORD_MONTH, 4},
                                           {"april", WORD_MONTH, 4},
                                           {"at", WORD_FILLER, 0},
                                           {"aug", WORD_MONTH, 8},
                                           {"august", WORD_MONTH, 8},
                                           {"bc", WORD_ERA, 1},
                                           {"d", WORD_LABEL, LABEL_DAY},
                                           {"dec", WORD_MONTH, 12},
                                           {"december", WORD_MONTH, 12},
                                           {"dow", WORD_LABEL, LABEL_OTHER},
                                           {"doy", WORD_LABEL, LABEL_OTHER},
                                           {"dst", WORD_SPECIAL, SPECIAL_SUMMER},
                                           {"epoch", WORD_SPECIAL, SPECIAL_EPOCH},
                                           {"feb", WORD_MONTH, 2},
                                           {"february", WORD_MONTH, 2},
                                           {"fri", WORD_WEEKDAY, 0},
                                           {"friday", WORD_WEEKDAY, 0},
                                           {"h", WORD_LABEL, LABEL_HOUR},
                                           {"infinity", WORD_SPECIAL, SPECIAL_INFINITY},
                                           {"isodow", WORD_LABEL, LABEL_OTHER},
                                           {"isoyear", WORD_LABEL, LABEL_OTHER},
                                           {"j", WORD_LABEL, LABEL_JULIAN},
                                           {"jan", WORD_MONTH, 1},
                                           {"january", WORD_MONTH, 1},
                                           {"jd", WORD_LABEL, LABEL_JULIAN},
                                           {"jul", WORD_MONTH, 7},
                                           {"julian", WORD_LABEL, LABEL_JULIAN},
                                           {"july", WORD_MONTH, 7},
                                           {"jun", WORD_MONTH, 6},
                                           {"june", WORD_MONTH, 6},
                                           {"m", WORD_LABEL, LABEL_MONTH},
                                           {"mar", WORD_MONTH, 3},
                                           {"march", WORD_MONTH, 3},
                                           {"may", WORD_MONTH, 5},
                                           {"mm", WORD_LABEL, LABEL_MINUTE},
                                           {"mon", WORD_WEEKDAY, 0},
                                           {"monday", WORD_WEEKDAY, 0},
                                           {"nov", WORD_MONTH, 11},
                                           {"november", WORD_MONTH, 11},
                                           {"now", WORD_SPECIAL, SPECIAL_NOW},
                                           {"oct", WORD_MONTH, 10},
                                           {"october", WORD_MONTH, 10},
                                           {"on", WORD_FILLER, 0},
                                           {"pm", WORD_MERIDIEM, 2},
                                           {"s", WORD_LABEL, LABEL_SECOND},
                                           {"sat", WORD_WEEKDAY, 0},
                                           {"saturday", WORD_WEEKDAY, 0},
                                           {"sep", WORD_MONTH, 9},
                                           {"sept", WORD_MONTH, 9},
                                           {"september", WORD_MONTH, 9},
                                           {"sun", WORD_WEEKDAY, 0},
                                           {"sunday", WORD_WEEKDAY, 0},
                                           {"t", WORD_LABEL, LABEL_TIME},
                                           {"thu", WORD_WEEKDAY, 0},
                                           {"thur", WORD_WEEKDAY, 0},
                                           {"thurs", WORD_WEEKDAY, 0},
                                           {"thursday", WORD_WEEKDAY, 0},
                                           {"today", WORD_SPECIAL, SPECIAL_DAY},
                                           {"tomorrow", WORD_SPECIAL, SPECIAL_DAY},
                                           {"tue", WORD_WEEKDAY, 0},
                                           {"tues", WORD_WEEKDAY, 0},
                                           {"tuesday", WORD_WEEKDAY, 0},
                                           {"wed", WORD_WEEKDAY, 0},
                                           {"wednesday", WORD_WEEKDAY, 0},
                                           {"weds", WORD_WEEKDAY, 0},
                                           {"y", WORD_LABEL, LABEL_YEAR},
                                           {"yesterday", WORD_SPECIAL, SPECIAL_DAY}};

static int by_text(const void *key, const void *word)
{
    return strcmp(key, ((const struct moment_word *)word)->text);
}

const struct moment_word *kp_moment_word(const char *text)
{
    return bsearch(text, words, KP_COUNT(words), sizeof *words, by_text);
}

/* ---- cutting ---- */

struct cutter {
    const char *at, *end;
    char *to;
    const char *to_end;
    bool full;
};

static char peek(const struct cutter *c)
{
    return c->at < c->end ? *c->at : '\0';
}

static void copy_one(struct cutter *c)
{
    if (c->to < c->to_end)
        *c->to++ = (char)tolower((unsigned char)*c->at);
    else
        c->full = true;
    c->at++;
}

/* As far as characters are of the kind, or among the others. */
static void copy_run(struct cutter *c, bool (*is)(char c), const char *others)
{
    while (c->at < c->end && *c->at && (is(*c->at) || strchr(others, *c->at)))
        copy_one(c);
}

/* Digits first: a clock time, a date, or a number. */
static enum moment_field_kind cut_number(struct cutter *c)
{
    copy_run(c, is_digit, "");
    if (peek(c) == ':') {
        copy_run(c, is_digit, ":.");
        return FIELD_CLOCK;
    }
    const char separator[] = {peek(c), '\0'};
    if (!*separator || !strchr("-/.", *separator))
        return FIELD_NUMBER;
    copy_one(c);
    if (!is_digit(peek(c))) { /* 08-Jan-1999 */
        copy_run(c, is_alnum, separator);
        return FIELD_DATE;
    }
    copy_run(c, is_digit, "");
    if (peek(c) == *separator) {
        copy_run(c, is_digit, separator);
        return FIELD_DATE;
    }
    return *separator == '.' ? FIELD_NUMBER : FIELD_DATE;
}

/* A word; with digits or separators in it a date (Jan-08-1999) or the name of a zone. */
static enum moment_field_kind cut_word(struct cutter *c, const char *begin)
{
    copy_run(c, is_alpha, "");
    char next = peek(c);
    bool more = next && strchr("-/.", next);
    if (next == '+' || is_digit(next)) {
        *c->to = '\0';
        more = !kp_moment_word(begin);
    }
    if (!more)
        return FIELD_WORD;
    copy_run(c, is_alnum, "+-/_.:");
    return FIELD_DATE;
}

static bool cut_signed(struct cutter *c, enum moment_field_kind *ret_kind)
{
    copy_one(c);
    while (isspace((unsigned char)peek(c)))
        c->at++;
    bool digit = is_digit(peek(c));
    *ret_kind = digit ? FIELD_OFFSET : FIELD_WORD;
    if (!digit && !is_alpha(peek(c)))
        return false;
    copy_run(c, digit ? is_digit : is_alpha, digit ? ":.-" : "");
    return true;
}

enum kp_moment_outcome kp_moment_cut(struct kp_str text, struct moment_fields *ret_fields)
{
    struct cutter c = {text.ptr, text.ptr + text.len, ret_fields->text, ret_fields->text + MOMENT_TEXT_MAX, false};
    while (c.at < c.end) {
        char first = *c.at;
        bool sign = first == '+' || first == '-', begins = is_alnum(first) || sign || first == '.';
        if (!begins && !isspace((unsigned char)first) && !ispunct((unsigned char)first))
            return KP_MOMENT_SYNTAX;
        if (!begins) {
            c.at++;
            continue;
        }
        if (ret_fields->count == MOMENT_FIELDS_MAX)
            return KP_MOMENT_SYNTAX;
        struct moment_field *field = &ret_fields->fields[ret_fields->count++];
        field->text = c.to;
        if (is_digit(first)) {
            field->kind = cut_number(&c);
        } else if (is_alpha(first)) {
            field->kind = cut_word(&c, field->text);
        } else if (first == '.') {
            copy_one(&c);
            copy_run(&c, is_digit, "");
            field->kind = FIELD_NUMBER;
        } else if (!cut_signed(&c, &field->kind)) {
            return KP_MOMENT_SYNTAX;
        }
        if (c.full || c.to == c.to_end)
            return KP_MOMENT_SYNTAX;
        *c.to++ = '\0';
    }
    return KP_MOMENT_OK;
}
