/* Inside the reading of dates and times: texts cut into fields, and the words that they know. */
#ifndef KP_VEC_DATETIME_CUT_H
#define KP_VEC_DATETIME_CUT_H

#include <ctype.h>

#include "vec/datetime_fields.h"

enum {
    MOMENT_FIELDS_MAX = 25,
    MOMENT_TEXT_MAX = 152 /* of all fields together: PostgreSQL's */
};

enum moment_field_kind { FIELD_NUMBER, FIELD_DATE, FIELD_CLOCK, FIELD_OFFSET, FIELD_WORD };

struct moment_field {
    enum moment_field_kind kind;
    char *text; /* lower case, ends with 0 */
};

/* A word that says what the number behind it is. */
enum label {
    LABEL_NONE,
    LABEL_YEAR,
    LABEL_MONTH,
    LABEL_DAY,
    LABEL_HOUR,
    LABEL_MINUTE,
    LABEL_SECOND,
    LABEL_JULIAN,
    LABEL_TIME, /* T: a time of day follows */
    LABEL_OTHER /* a unit that no number has here */
};

struct moment_fields {
    struct moment_field fields[MOMENT_FIELDS_MAX];
    uint32_t count;
    char text[MOMENT_TEXT_MAX + 1];
};

enum word_kind { WORD_MONTH, WORD_WEEKDAY, WORD_MERIDIEM, WORD_ERA, WORD_LABEL, WORD_SPECIAL, WORD_FILLER };
enum special {
    SPECIAL_EPOCH,
    SPECIAL_INFINITY,
    SPECIAL_NEG_INFINITY,
    SPECIAL_ZULU,
    SPECIAL_NOW,
    SPECIAL_DAY, /* today and its neighbours */
    SPECIAL_SUMMER
};

struct moment_word {
    const char *text;
    enum word_kind kind;
    int value; /* a month, 1: BC, 1: AM and 2: PM, an enum label, an enum special */
};

static inline bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline bool is_alpha(char c)
{
    return isalpha((unsigned char)c) != 0;
}

static inline bool is_alnum(char c)
{
    return is_digit(c) || is_alpha(c);
}

/* KP_MOMENT_SYNTAX: it has other characters, or too many. */
enum kp_moment_outcome kp_moment_cut(struct kp_str text, struct moment_fields *ret_fields);
/* NULL: it is none, but may be a zone. */
const struct moment_word *kp_moment_word(const char *text);

#endif
