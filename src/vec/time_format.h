/*
 * Templates of to_char, to_timestamp and to_date of times: 'YYYY-MM-DD HH24:MI:SS' read into its pieces.
 *
 * The longest keyword at a place counts; each comes in upper and in lower case (names of months and days also
 * capitalized), never mixed. FM and TM before a keyword and TH, th, SP behind it change it. Text in double quotes is
 * text; outside, what is no keyword is text too, where spaces and marks (ASCII's, no letter, no digit) are told apart,
 * since reading takes them loosely.
 */
#ifndef KP_VEC_TIME_FORMAT_H
#define KP_VEC_TIME_FORMAT_H

#include "base/mem.h"
#include "vec/type.h"

enum kp_time_key {
    KP_KEY_AD,
    KP_KEY_AD_DOTS,
    KP_KEY_AM,
    KP_KEY_AM_DOTS,
    KP_KEY_CC,
    KP_KEY_DAY,
    KP_KEY_DDD,
    KP_KEY_DD,
    KP_KEY_DY,
    KP_KEY_D,
    KP_KEY_FF,
    KP_KEY_FX,
    KP_KEY_HH24,
    KP_KEY_HH12,
    KP_KEY_IDDD,
    KP_KEY_ID,
    KP_KEY_IW,
    KP_KEY_IYYY,
    KP_KEY_IYY,
    KP_KEY_IY,
    KP_KEY_I,
    KP_KEY_J,
    KP_KEY_MI,
    KP_KEY_MM,
    KP_KEY_MONTH,
    KP_KEY_MON,
    KP_KEY_MS,
    KP_KEY_OF,
    KP_KEY_Q,
    KP_KEY_RM,
    KP_KEY_SSSS,
    KP_KEY_SS,
    KP_KEY_TZH,
    KP_KEY_TZM,
    KP_KEY_TZ,
    KP_KEY_US,
    KP_KEY_WW,
    KP_KEY_W,
    KP_KEY_Y_YYY,
    KP_KEY_YYYY,
    KP_KEY_YYY,
    KP_KEY_YY,
    KP_KEY_Y
};

/* Which calendar a keyword belongs to; a template that is read may not mix them. */
enum kp_time_calendar { KP_CALENDAR_ANY, KP_CALENDAR_GREGORIAN, KP_CALENDAR_ISO_WEEK };

enum kp_time_letters { KP_LETTERS_UPPER, KP_LETTERS_CAPITAL, KP_LETTERS_LOWER };

/* A date (days since 2000), a time of day, or a moment (its UTC), with what a template says of its zone. */
struct kp_time_moment {
    enum kp_type_id type;
    int32_t offset_s; /* east of UTC */
    int64_t value;
};

struct kp_call;

struct kp_time_piece {
    enum { KP_PIECE_KEY, KP_PIECE_TEXT, KP_PIECE_SEPARATOR, KP_PIECE_SPACE } kind;
    struct kp_str text; /* of the template: the keyword as written, or one character */
    enum kp_time_key key;
    enum kp_time_letters letters; /* how the keyword is written */
    enum kp_time_calendar calendar;
    bool quoted;
    bool digits;       /* the keyword stands for digits */
    bool fill;         /* without FM */
    bool ordinal;      /* TH or th */
    bool ordinal_caps; /* TH */
};

struct kp_time_format {
    struct kp_time_piece *pieces;
    uint32_t count;
};

/* The pieces borrow the template's text. */
void kp_time_format_read(struct kp_str text, struct kp_arena *arena, struct kp_time_format *ret_format);
/*
 * As SQL/JSON reads it: nothing loosely, the whole text by the whole template, whose fields decide of what type the
 * result is. False: why is noted in the call's row 0. (fn_to_timestamp.c)
 */
bool kp_time_read_exact(struct kp_call *call, struct kp_str text, struct kp_str format,
                        struct kp_time_moment *ret_moment);
/* A mark that reading takes loosely. */
static inline bool kp_time_is_separator(char c)
{
    return c > ' ' && c < 0x7f && !((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'));
}

extern const char *const kp_month_names[12], *const kp_day_names[7], *const kp_month_romans[12];

#endif
