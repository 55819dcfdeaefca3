/*
 * Reading dates, times and timestamps, as PostgreSQL with DateStyle "ISO, MDY".
 *
 * What machines write, YYYY-MM-DD[(T| )HH:MM:SS[.fraction]][Z|+hh[:mm]], takes a fast path. Everything else is cut
 * into tokens, which fill in fields: dates with separators (1999-01-08, 1/8/1999, 08-Jan-1999), packed numbers
 * (19990108, 040506 behind a T), words (months, weekdays, AM, BC, zones, epoch, infinity), clock times, offsets.
 * What is still missing or found twice makes the text invalid (22007), a value outside its field out of range (22008).
 */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <strings.h>

#include "vec/datetime.h"
#include "vec/unicode.h"

enum special { SPECIAL_NONE, SPECIAL_EPOCH, SPECIAL_INFINITY, SPECIAL_NEG_INFINITY };

struct fields {
    struct kp_civil civil;
    bool has_year, has_month, has_day, has_time, has_offset, has_t;
    bool month_by_name, bc, two_digit_year, julian;
    bool day_bound; /* a clock time, weekday, AM or AD: a date with separators cannot follow */
    int meridiem;   /* 0 none, 1 AM, 2 PM */
    int day_of_year;
    int64_t julian_day;
    int32_t offset;
    const struct kp_zone *zone;
    enum special special;
};

enum outcome { OUTCOME_OK, OUTCOME_SYNTAX, OUTCOME_RANGE, OUTCOME_DAY_RANGE, OUTCOME_ZONE_RANGE, OUTCOME_ZONE_NAME };

struct scanner {
    const char *at, *end;
    struct fields *f;
    struct kp_str zone_name; /* for the error */
    bool dated;              /* letters may say what numbers are */
    bool time_only;          /* no date stands in it: numbers are times of day, 040506-08 */
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int two(const char *at)
{
    return (at[0] - '0') * 10 + (at[1] - '0');
}

/* Microseconds of ".digits", rounded; at is on the point and moves behind the digits. */
static int32_t take_fraction(const char **at, const char *end)
{
    const char *start = *at;
    int32_t us = 0;
    int digits = 0;
    for (++*at; *at < end && is_digit(**at); ++*at, digits++)
        if (digits < 6)
            us = us * 10 + (**at - '0');
    if (digits > 6) {
        char text[40];
        size_t len = KP_MIN((size_t)(*at - start), sizeof text - 1);
        memcpy(text, start, len);
        text[len] = 0;
        return (int32_t)rint(strtod(text, NULL) * 1000000);
    }
    for (; digits < 6; digits++)
        us *= 10;
    return us;
}

static bool all_digits(const char *at, int count)
{
    for (int i = 0; i < count; i++)
        if (!is_digit(at[i]))
            return false;
    return true;
}

/* Behind a colon, which at is on: any number of digits, also none; 60 stands for all that is too much. */
static int take_sixtieths(const char **at, const char *end)
{
    int number = 0;
    for (++*at; *at < end && is_digit(**at); ++*at)
        number = KP_MIN(number * 10 + (**at - '0'), 60);
    return number;
}

/* +hh, +hhmm, +hh:mm, +hh:mm:ss; at is on the sign. */
static enum outcome take_offset(const char **at, const char *end, int32_t *ret_offset)
{
    int sign = *(*at)++ == '-' ? -1 : 1;
    const char *start = *at;
    while (*at < end && is_digit(**at))
        ++*at;
    int digits = (int)(*at - start), hours, minutes = 0, seconds = 0;
    if (digits == 0)
        return OUTCOME_SYNTAX;
    if (digits > 4)
        return OUTCOME_ZONE_RANGE;
    int number = 0;
    for (int i = 0; i < digits; i++)
        number = number * 10 + (start[i] - '0');
    if (*at < end && **at == ':') {
        hours = number;
        minutes = take_sixtieths(at, end);
        if (*at < end && **at == ':')
            seconds = take_sixtieths(at, end);
    } else if (digits > 2) {
        hours = number / 100, minutes = number % 100;
    } else {
        hours = number;
    }
    if (hours > 15 || minutes > 59 || seconds > 59)
        return OUTCOME_ZONE_RANGE;
    *ret_offset = sign * (hours * 3600 + minutes * 60 + seconds);
    return OUTCOME_OK;
}

/* The common form; false leaves the fields untouched. */
static bool fast_path(struct kp_str text, struct fields *f)
{
    const char *at = text.ptr, *end = at + text.len;
    if (text.len < 10 || !all_digits(at, 4) || at[4] != '-' || !all_digits(at + 5, 2) || at[7] != '-' ||
        !all_digits(at + 8, 2))
        return false;
    struct fields g = {.has_year = true, .has_month = true, .has_day = true};
    g.civil.year = two(at) * 100 + two(at + 2);
    g.civil.month = two(at + 5);
    g.civil.day = two(at + 8);
    at += 10;
    if (at < end) {
        if (end - at < 9 || (*at != ' ' && *at != 'T') || !all_digits(at + 1, 2) || at[3] != ':' ||
            !all_digits(at + 4, 2) || at[6] != ':' || !all_digits(at + 7, 2))
            return false;
        g.has_time = true;
        g.civil.hour = two(at + 1);
        g.civil.minute = two(at + 4);
        g.civil.second = two(at + 7);
        at += 9;
        if (at < end && *at == '.')
            g.civil.us = take_fraction(&at, end);
        if (at < end && *at == 'Z' && at + 1 == end) {
            g.has_offset = true;
            at++;
        } else if (at < end && (*at == '+' || *at == '-')) {
            if (take_offset(&at, end, &g.offset) != OUTCOME_OK)
                return false;
            g.has_offset = true;
        }
    }
    if (at != end)
        return false;
    *f = g;
    return true;
}

/* ---- tokens ---- */

static const char *const months[] = {"january", "february", "march",     "april",   "may",      "june",
                                     "july",    "august",   "september", "october", "november", "december"};
static const char *const weekdays[] = {"sunday",   "monday", "tuesday",  "wednesday",
                                       "thursday", "friday", "saturday", NULL};

static bool word_is(struct kp_str word, const char *name)
{
    return word.len == strlen(name) && strncasecmp(word.ptr, name, word.len) == 0;
}

/* A full name, or its first three letters (and sept, tues, wednes, thur, thurs). */
static bool name_matches(struct kp_str word, const char *name)
{
    static const char *const others[] = {"sept", "tues", "weds", "thur", "thurs", NULL};
    if (word_is(word, name))
        return true;
    if (word.len < 3 || strncasecmp(word.ptr, name, 3) != 0)
        return false;
    if (word.len == 3)
        return true;
    for (size_t i = 0; others[i]; i++)
        if (word_is(word, others[i]))
            return true;
    return false;
}

static int month_of(struct kp_str word)
{
    for (int i = 0; i < 12; i++)
        if (name_matches(word, months[i]))
            return i + 1;
    return 0;
}

static void set_year(struct fields *f, int64_t year, size_t digits)
{
    f->has_year = true;
    f->civil.year = (int32_t)KP_MIN(year, (int64_t)INT32_MAX / 2);
    f->two_digit_year = digits <= 2;
}

static int64_t number_of(const char *at, size_t len)
{
    int64_t value = 0;
    for (size_t i = 0; i < len && value < INT32_MAX; i++)
        value = value * 10 + (at[i] - '0');
    return value;
}

static enum outcome take_clock(struct scanner *s)
{
    struct fields *f = s->f;
    if (f->has_time)
        return OUTCOME_SYNTAX;
    int64_t part[3] = {0};
    for (int i = 0; i < 3; i++) {
        const char *start = s->at;
        while (s->at < s->end && is_digit(*s->at))
            s->at++;
        if (s->at == start)
            return OUTCOME_SYNTAX;
        part[i] = number_of(start, (size_t)(s->at - start));
        if (s->at == s->end || *s->at != ':')
            break;
        if (i < 2)
            s->at++;
    }
    if (s->at < s->end && *s->at == '.')
        f->civil.us = take_fraction(&s->at, s->end);
    if (s->at < s->end && (*s->at == ':' || *s->at == '.'))
        return OUTCOME_SYNTAX;
    if (part[0] > 24 || part[1] > 59 || part[2] > 60)
        return OUTCOME_RANGE;
    f->civil.hour = (int32_t)part[0];
    f->civil.minute = (int32_t)part[1];
    f->civil.second = (int32_t)part[2];
    f->has_time = f->day_bound = true;
    return OUTCOME_OK;
}

struct date_part {
    const char *at;
    size_t len;
    bool alpha;
};

static enum outcome assign_date(struct fields *f, const struct date_part *p, int count)
{
    if (f->has_year || f->has_month || f->has_day || f->day_bound)
        return OUTCOME_SYNTAX;
    int named = -1;
    for (int i = 0; i < count; i++)
        if (p[i].alpha) {
            if (named >= 0)
                return OUTCOME_SYNTAX;
            named = i;
        }
    if (count == 2 && named < 0 && p[0].len >= 3 && p[1].len == 3) { /* 1999.008 */
        set_year(f, number_of(p[0].at, p[0].len), p[0].len);
        f->day_of_year = (int)number_of(p[1].at, 3);
        return f->day_of_year >= 1 && f->day_of_year <= 366 ? OUTCOME_OK : OUTCOME_SYNTAX;
    }
    if (count != 3)
        return OUTCOME_SYNTAX;
    int year = 2, month = 0, day = 1; /* month, day, year */
    if (named == 0) {
        if (p[1].len >= 3)
            year = 1, day = 2;
    } else if (named == 1) {
        month = 1, day = 0;
        if (p[0].len >= 3)
            year = 0, day = 2;
    } else if (named == 2) { /* behind two numbers there is no name */
        return OUTCOME_SYNTAX;
    } else if (p[0].len >= 3) {
        year = 0, month = 1, day = 2;
    }
    int64_t month_number =
        p[month].alpha ? month_of((struct kp_str){p[month].at, p[month].len}) : number_of(p[month].at, p[month].len);
    if (p[month].alpha && month_number == 0)
        return OUTCOME_SYNTAX;
    f->has_month = f->has_day = true;
    f->civil.month = (int32_t)month_number;
    f->civil.day = (int32_t)number_of(p[day].at, p[day].len);
    set_year(f, number_of(p[year].at, p[year].len), p[year].len);
    return OUTCOME_OK;
}

/* Fields joined by one separator; at is on the first. */
static enum outcome take_joined_date(struct scanner *s)
{
    struct date_part parts[3];
    int count = 0;
    char separator = 0;
    while (count < 3) {
        struct date_part *p = &parts[count];
        p->at = s->at;
        p->alpha = isalpha((unsigned char)*s->at);
        while (s->at < s->end && (p->alpha ? isalpha((unsigned char)*s->at) != 0 : is_digit(*s->at)))
            s->at++;
        p->len = (size_t)(s->at - p->at);
        if (p->len == 0)
            return OUTCOME_SYNTAX;
        count++;
        if (s->at == s->end || !strchr("-/.", *s->at) || (separator && *s->at != separator) || count == 3)
            break;
        separator = *s->at++;
        if (s->at == s->end)
            return OUTCOME_SYNTAX;
    }
    if (count == 3 && separator == '-' && s->at < s->end && *s->at == '-') {
        s->at++;
        if (s->at < s->end && (is_digit(*s->at) || *s->at == '-')) /* a fourth field is no zone */
            return OUTCOME_SYNTAX;
    }
    return assign_date(s->f, parts, count);
}

/* A number alone is what is still missing, as month, day, year, or as day and year beside a month's name. */
static enum outcome place_number(struct fields *f, int64_t value, size_t len)
{
    struct kp_civil *c = &f->civil;
    if (f->day_of_year) /* the date is whole */
        return OUTCOME_SYNTAX;
    if (f->has_year && !f->has_month && !f->has_day && len == 3 && value >= 1 && value <= 366) { /* 1999 008 */
        f->day_of_year = (int)value;
    } else if (!f->has_year &&
               ((f->has_month && f->has_day) || (len >= 3 && !f->has_day && (!f->has_month || f->month_by_name)))) {
        set_year(f, value, len);
    } else if (f->has_year && f->month_by_name && !f->has_day && len >= 3 && f->two_digit_year) {
        c->day = c->year; /* what was taken for a year came before the month */
        f->has_day = true;
        set_year(f, value, len);
    } else if (!f->has_month) {
        c->month = (int32_t)value;
        f->has_month = true;
    } else if (!f->has_day) {
        c->day = (int32_t)value;
        f->has_day = true;
    } else {
        return OUTCOME_SYNTAX;
    }
    return OUTCOME_OK;
}

/* A bare number: packed date or time, or a part of a date with a named month. */
static enum outcome take_number(struct scanner *s)
{
    struct fields *f = s->f;
    const char *start = s->at;
    while (s->at < s->end && is_digit(*s->at))
        s->at++;
    size_t len = (size_t)(s->at - start);
    bool date_known = f->has_year && ((f->has_month && f->has_day) || f->day_of_year);
    if ((len == 6 || len == 4) && !f->has_time && (f->has_t || s->time_only || date_known)) {
        f->civil.hour = two(start);
        f->civil.minute = two(start + 2);
        f->civil.second = len == 6 ? two(start + 4) : 0;
        if (s->at < s->end && *s->at == '.')
            f->civil.us = take_fraction(&s->at, s->end);
        f->has_time = f->day_bound = true;
        return f->civil.hour > 24 || f->civil.minute > 59 || f->civil.second > 60 ? OUTCOME_RANGE : OUTCOME_OK;
    }
    if (date_known || s->time_only)
        return OUTCOME_SYNTAX;
    if (len >= 6 && !f->has_year && !f->has_month && !f->has_day) {
        size_t year_digits = len - 4;
        set_year(f, number_of(start, year_digits), year_digits);
        f->civil.month = two(start + year_digits);
        f->civil.day = two(start + year_digits + 2);
        f->has_month = f->has_day = true;
        return OUTCOME_OK;
    }
    return place_number(f, number_of(start, len), len);
}

/* 040506-08: a time of day and the hours of its zone; 040506.5. */
static enum outcome take_time_and_zone(struct scanner *s)
{
    enum outcome outcome = take_number(s);
    if (outcome == OUTCOME_OK && s->at < s->end && *s->at == '/')
        return OUTCOME_SYNTAX;
    if (outcome != OUTCOME_OK || s->at == s->end || *s->at != '-')
        return outcome;
    const char *behind = s->at + 1;
    while (behind < s->end && is_digit(*behind))
        behind++;
    if (s->f->has_offset || (behind < s->end && *behind == ':'))
        return OUTCOME_SYNTAX;
    s->f->has_offset = true;
    return take_offset(&s->at, s->end, &s->f->offset);
}

static enum outcome take_zone_name(struct scanner *s, const char *start)
{
    struct fields *f = s->f;
    const char *more = s->at < s->end && *s->at == ':' ? "" : "/_+-.:"; /* MST+7:00, but no name goes on with a colon */
    while (s->at < s->end && (isalnum((unsigned char)*s->at) || strchr(more, *s->at)))
        s->at++;
    struct kp_str name = {start, (size_t)(s->at - start)};
    if (f->has_offset || f->zone)
        return OUTCOME_SYNTAX;
    s->zone_name = name;
    struct kp_error ignored;
    bool has_slash = memchr(name.ptr, '/', name.len) != NULL;
    if (has_slash && s->dated && !f->day_of_year && !(f->has_month && f->has_day)) /* as a date, which it is not */
        return OUTCOME_SYNTAX;
    if (kp_zone_find(name, &f->zone, &ignored) != KP_OK)
        return has_slash ? OUTCOME_ZONE_NAME : OUTCOME_SYNTAX;
    return OUTCOME_OK;
}

static bool take_special(struct fields *f, struct kp_str word)
{
    if (word_is(word, "epoch"))
        f->special = SPECIAL_EPOCH;
    else if (word_is(word, "infinity"))
        f->special = SPECIAL_INFINITY;
    else
        return false;
    return true;
}

/* J2452271.5: the time of day is a fraction of it. */
static void take_day_fraction(struct scanner *s)
{
    char text[40];
    const char *start = s->at;
    for (s->at++; s->at < s->end && is_digit(*s->at);)
        s->at++;
    size_t len = KP_MIN((size_t)(s->at - start), sizeof text - 1);
    memcpy(text, start, len);
    text[len] = 0;
    int64_t us = (int64_t)(strtod(text, NULL) * (double)KP_DAY_US);
    s->f->civil.hour = (int32_t)(us / KP_HOUR_US);
    s->f->civil.minute = (int32_t)(us / KP_MINUTE_US % 60);
    s->f->civil.second = (int32_t)(us / KP_SECOND_US % 60);
    s->f->civil.us = (int32_t)(us % KP_SECOND_US);
    s->f->has_time = true;
}

/* Y2001M12D27H04M05S06.789: letters say what the numbers behind them are; behind an hour M, and always MM, are minutes.
 */
static enum outcome take_labelled(struct scanner *s, struct kp_str word)
{
    struct fields *f = s->f;
    const char *start = s->at;
    while (s->at < s->end && is_digit(*s->at))
        s->at++;
    int64_t value = number_of(start, (size_t)(s->at - start));
    char label = (char)(*word.ptr | 32);
    if (label == 'm' && (word.len == 2 || (f->has_month && f->has_time)))
        label = 'n';
    switch (label) {
    case 'y':
        if (f->has_year)
            return OUTCOME_SYNTAX;
        set_year(f, value, 4);
        return OUTCOME_OK;
    case 'm':
        if (f->has_month)
            return OUTCOME_SYNTAX;
        f->civil.month = (int32_t)value;
        f->has_month = true;
        return OUTCOME_OK;
    case 'd':
        if (f->has_day)
            return OUTCOME_SYNTAX;
        f->civil.day = (int32_t)value;
        f->has_day = true;
        return OUTCOME_OK;
    case 'h':
        f->civil.hour = (int32_t)value;
        break;
    case 'n':
        f->civil.minute = (int32_t)value;
        break;
    default:
        f->civil.second = (int32_t)value;
        if (s->at < s->end && *s->at == '.')
            f->civil.us = take_fraction(&s->at, s->end);
        break;
    }
    f->has_time = true;
    return OUTCOME_OK;
}

static enum outcome take_word(struct scanner *s)
{
    struct fields *f = s->f;
    const char *start = s->at;
    while (s->at < s->end && isalpha((unsigned char)*s->at))
        s->at++;
    struct kp_str word = {start, (size_t)(s->at - start)};
    bool digit_follows = s->at < s->end && is_digit(*s->at);
    int month = month_of(word);
    if (month && s->time_only)
        return OUTCOME_SYNTAX;
    if (month) {
        if (s->at + 1 < s->end && strchr("-/.", *s->at) && is_digit(s->at[1]) && !f->has_day) {
            s->at = start;
            return take_joined_date(s);
        }
        if (f->has_month && (f->month_by_name || f->has_day || f->civil.month < 1 || f->civil.month > 31))
            return OUTCOME_SYNTAX;
        if (f->has_month) { /* a number came first and was taken for the month: it is the day */
            f->civil.day = f->civil.month;
            f->has_day = true;
        }
        f->civil.month = month;
        f->has_month = f->month_by_name = true;
        return OUTCOME_OK;
    }
    for (int i = 0; weekdays[i]; i++)
        if (name_matches(word, weekdays[i])) {
            f->day_bound = true;
            return s->dated ? OUTCOME_OK : OUTCOME_SYNTAX;
        }
    if (word.len == 1 && (*start | 32) == 't' && digit_follows) {
        f->has_t = true;
        return OUTCOME_OK;
    }
    if (word.len == 1 && (*start | 32) == 'j' && digit_follows) {
        const char *digits = s->at;
        while (s->at < s->end && is_digit(*s->at))
            s->at++;
        f->julian = true;
        f->julian_day = number_of(digits, (size_t)(s->at - digits));
        if (s->at < s->end && *s->at == '.' && !f->has_time)
            take_day_fraction(s);
        return OUTCOME_OK;
    }
    if (s->dated && digit_follows && (word_is(word, "mm") || (word.len == 1 && strchr("ymdhs", *start | 32))))
        return take_labelled(s, word);
    if (word_is(word, "am") || word_is(word, "pm")) {
        f->meridiem = word_is(word, "am") ? 1 : 2;
        f->day_bound = true;
        return OUTCOME_OK;
    }
    if (word_is(word, "bc") || word_is(word, "ad")) {
        f->bc = word_is(word, "bc");
        f->day_bound = true;
        return OUTCOME_OK;
    }
    if (word_is(word, "on") || word_is(word, "at"))
        return OUTCOME_OK;
    if (word_is(word, "allballs")) {
        f->has_time = f->has_offset = true;
        return OUTCOME_OK;
    }
    if (take_special(f, word))
        return OUTCOME_OK;
    if (word.len == 1 && (*start | 32) != 'z') /* a unit, as in m2, is no zone */
        return OUTCOME_SYNTAX;
    return take_zone_name(s, start);
}

static enum outcome take_token(struct scanner *s)
{
    char c = *s->at;
    struct fields *f = s->f;
    if (is_digit(c)) {
        const char *behind = s->at;
        while (behind < s->end && is_digit(*behind))
            behind++;
        if (behind < s->end && *behind == ':')
            return take_clock(s);
        bool joined =
            behind + 1 < s->end && strchr("-/.", *behind) && (is_digit(behind[1]) || isalpha((unsigned char)behind[1]));
        bool date_known = f->has_year && ((f->has_month && f->has_day) || f->day_of_year);
        if (joined && s->time_only)
            return take_time_and_zone(s);
        bool packed_time = ((f->has_t || (f->has_year && (f->has_month || f->day_of_year))) && *behind == '.') ||
                           (date_known && !f->has_time && *behind == '-'); /* 040506-08 */
        if (joined && !packed_time && !(f->has_t && (*behind == '-' || *behind == '+')))
            return take_joined_date(s);
        return take_number(s);
    }
    if (isalpha((unsigned char)c))
        return take_word(s);
    if (ispunct((unsigned char)c) && c != '+' && c != '-') { /* other punctuation separates */
        s->at++;
        return OUTCOME_OK;
    }
    if ((c == '+' || c == '-') && s->at + 1 < s->end) {
        if (is_digit(s->at[1]) && !f->has_offset && !f->zone) {
            f->has_offset = true;
            return take_offset(&s->at, s->end, &f->offset);
        }
        struct kp_str rest = {s->at + 1, (size_t)(s->end - s->at - 1)};
        if (c == '-' && rest.len >= 8 && strncasecmp(rest.ptr, "infinity", 8) == 0) {
            f->special = SPECIAL_NEG_INFINITY;
            s->at += 9;
            return OUTCOME_OK;
        }
    }
    return OUTCOME_SYNTAX;
}

/* Years, meridiem, day of year, ranges: when all tokens are in. */
static enum outcome settle(struct fields *f)
{
    struct kp_civil *c = &f->civil;
    if (f->julian) {
        if (f->has_year || f->has_month || f->has_day)
            return OUTCOME_SYNTAX;
        kp_days_to_civil(f->julian_day - 2451545, c);
        f->has_year = f->has_month = f->has_day = true;
    } else if (f->has_year) {
        if (c->year >= INT32_MAX / 2) /* more digits than a year can have */
            return OUTCOME_RANGE;
        if (f->bc) {
            if (c->year <= 0)
                return OUTCOME_RANGE;
            c->year = 1 - c->year;
        } else if (f->two_digit_year) {
            c->year += c->year < 70 ? 2000 : 1900;
        } else if (c->year <= 0) {
            return OUTCOME_RANGE;
        }
    }
    if (f->day_of_year) {
        struct kp_civil day;
        kp_days_to_civil(kp_days_from_civil(c->year, 1, 1) + f->day_of_year - 1, &day);
        c->year = day.year, c->month = day.month, c->day = day.day;
        f->has_month = f->has_day = true;
    }
    if ((f->has_month && (c->month < 1 || c->month > 12)) || (f->has_day && (c->day < 1 || c->day > 31)))
        return OUTCOME_DAY_RANGE;
    if (f->has_year && f->has_month && f->has_day && c->day > kp_month_days(c->year, c->month))
        return OUTCOME_RANGE;
    if (f->meridiem) {
        if (c->hour > 12)
            return OUTCOME_RANGE;
        if (f->meridiem == 1 && c->hour == 12)
            c->hour = 0;
        else if (f->meridiem == 2 && c->hour != 12)
            c->hour += 12;
    }
    if (c->hour > 24 || c->minute > 59 || c->second > 60 || (c->hour == 24 && (c->minute || c->second || c->us)))
        return OUTCOME_RANGE;
    return OUTCOME_OK;
}

/* ---- a time of day alone ---- */

enum field { FIELD_NONE, FIELD_NUMBER, FIELD_DECIMAL, FIELD_TIME, FIELD_DATE, FIELD_OTHER };

/* What PostgreSQL takes the next field of a text for, by its characters alone. */
static enum field take_field(const char **at, const char *end)
{
    char first = *(*at)++;
    bool alpha = isalpha((unsigned char)first) != 0, sign = first == '+' || first == '-';
    if (!alpha && !sign && !is_digit(first))
        return FIELD_NONE;
    while (*at < end && (alpha ? isalpha((unsigned char)**at) != 0 : is_digit(**at)))
        ++*at;
    if (*at == end || !strchr(alpha ? "-/." : "-/.:", **at))
        return alpha || sign ? FIELD_OTHER : FIELD_NUMBER;
    char separator = *(*at)++;
    bool named = alpha || (*at < end && isalpha((unsigned char)**at)), clock = sign || separator == ':';
    int separators = 1;
    for (; *at < end; ++*at) {
        bool more = clock ? **at == ':' || **at == '.' : alpha ? strchr("+-/_.:", **at) != NULL : **at == separator;
        if (!more && !(named ? isalnum((unsigned char)**at) != 0 : is_digit(**at)))
            break;
        separators += more;
    }
    return sign ? FIELD_OTHER : clock ? FIELD_TIME : separator == '.' && separators < 2 ? FIELD_DECIMAL : FIELD_DATE;
}

/* A time of day may have a date in front if a clock time follows it, or something with a separator ends the text. */
static bool may_have_date(struct kp_str text)
{
    const char *at = text.ptr, *end = at + text.len;
    enum field fields[2] = {FIELD_NONE, FIELD_NONE}, last = FIELD_NONE;
    uint32_t count = 0;
    while (at < end) {
        enum field field = take_field(&at, end);
        if (field == FIELD_NONE)
            continue;
        last = field;
        if (count < 2)
            fields[count] = field;
        count++;
    }
    return count >= 2 && ((fields[0] == FIELD_DATE && (last == FIELD_DATE || fields[1] == FIELD_TIME)) ||
                          (fields[0] == FIELD_DECIMAL && last == FIELD_DATE));
}

static enum outcome scan(struct kp_str text, bool dated, struct fields *f, struct kp_str *ret_zone_name)
{
    bool time_only = !dated && !may_have_date(text);
    if (!time_only && fast_path(text, f))
        return settle(f);
    memset(f, 0, sizeof *f);
    struct scanner s = {text.ptr, text.ptr + text.len, f, {NULL, 0}, dated, time_only};
    bool any = false;
    while (s.at < s.end) {
        if (isspace((unsigned char)*s.at) || *s.at == ',') {
            s.at++;
            continue;
        }
        any = true;
        enum outcome outcome = take_token(&s);
        *ret_zone_name = s.zone_name;
        if (outcome != OUTCOME_OK)
            return outcome;
    }
    return any ? settle(f) : OUTCOME_SYNTAX;
}

static enum kp_code fail(enum outcome outcome, struct kp_str text, struct kp_str zone_name, const char *type,
                         struct kp_error *err)
{
    int len = (int)KP_MIN(text.len, (size_t)256);
    switch (outcome) {
    case OUTCOME_RANGE:
    case OUTCOME_DAY_RANGE:
        kp_fail(err, KP_INVALID, "22008", "date/time field value out of range: \"%.*s\"", len, text.ptr);
        return outcome == OUTCOME_RANGE ? KP_INVALID
                                        : kp_error_hint(err, "Perhaps you need a different \"datestyle\" setting.");
    case OUTCOME_ZONE_RANGE:
        return kp_fail(err, KP_INVALID, "22009", "time zone displacement out of range: \"%.*s\"", len, text.ptr);
    case OUTCOME_ZONE_NAME:
        return kp_fail(err, KP_INVALID, "22023", "time zone \"%.*s\" not recognized",
                       (int)KP_MIN(zone_name.len, (size_t)64), zone_name.ptr);
    default:
        return kp_fail(err, KP_INVALID, "22007", "invalid input syntax for type %s: \"%.*s\"", type, len, text.ptr);
    }
}

static bool moving_word(struct kp_str given)
{
    struct kp_str text = kp_text_trim(given);
    return word_is(text, "now") || word_is(text, "today") || word_is(text, "tomorrow") || word_is(text, "yesterday");
}

static enum kp_code read_fields(struct kp_str text, const char *type, bool needs_date, struct fields *f,
                                struct kp_error *err)
{
    if (moving_word(text)) {
        kp_fail(err, KP_UNSUPPORTED, NULL, "date/time value \"%.*s\" depends on when it is read",
                (int)KP_MIN(text.len, (size_t)64), text.ptr);
        kp_error_hint(err, "Use now() or current_date.");
        return KP_UNSUPPORTED;
    }
    struct kp_str zone_name = {NULL, 0};
    enum outcome outcome = scan(text, needs_date, f, &zone_name);
    bool date_known = f->has_year && f->has_month && f->has_day;
    if (outcome == OUTCOME_OK && !f->special && (needs_date ? !date_known : !f->has_time))
        outcome = OUTCOME_SYNTAX;
    return outcome == OUTCOME_OK ? KP_OK : fail(outcome, text, zone_name, type, err);
}

enum kp_code kp_date_parse(struct kp_str text, int32_t *ret_date, struct kp_error *err)
{
    struct fields f;
    KP_TRY(read_fields(text, "date", true, &f, err));
    switch (f.special) {
    case SPECIAL_EPOCH:
        *ret_date = KP_UNIX_EPOCH_DAYS;
        return KP_OK;
    case SPECIAL_INFINITY:
        *ret_date = KP_DATE_INFINITY;
        return KP_OK;
    case SPECIAL_NEG_INFINITY:
        *ret_date = KP_DATE_NEG_INFINITY;
        return KP_OK;
    case SPECIAL_NONE:
        break;
    }
    int64_t days = kp_days_from_civil(f.civil.year, f.civil.month, f.civil.day);
    if (days < KP_DATE_MIN || days >= KP_DATE_END)
        return kp_fail(err, KP_INVALID, "22008", "date out of range: \"%.*s\"", (int)KP_MIN(text.len, (size_t)256),
                       text.ptr);
    *ret_date = (int32_t)days;
    return KP_OK;
}

/* A time of day; the zone in it must have one offset, or there must be the date. */
static enum kp_code read_time(struct kp_str text, const char *type, struct fields *f, int64_t *ret_us,
                              struct kp_error *err)
{
    KP_TRY(read_fields(text, type, false, f, err));
    bool date_known = f->has_year && f->has_month && f->has_day;
    if (f->special || (f->zone && !date_known && !kp_zone_is_fixed(f->zone)))
        return fail(OUTCOME_SYNTAX, text, text, type, err);
    int64_t us =
        f->civil.hour * KP_HOUR_US + f->civil.minute * KP_MINUTE_US + f->civil.second * KP_SECOND_US + f->civil.us;
    if (us > KP_DAY_US) /* 23:59:60.5 */
        return fail(OUTCOME_RANGE, text, text, type, err);
    *ret_us = us;
    return KP_OK;
}

enum kp_code kp_time_parse(struct kp_str text, int32_t mod, int64_t *ret_us, struct kp_error *err)
{
    struct fields f;
    int64_t us;
    KP_TRY(read_time(text, "time", &f, &us, err));
    *ret_us = mod >= 0 ? kp_us_round(us, mod) : us;
    return KP_OK;
}

enum kp_code kp_timetz_parse(struct kp_str text, int32_t mod, const struct kp_zone *zone, struct kp_timetz *ret_value,
                             struct kp_error *err)
{
    struct fields f;
    int64_t us, local = 0;
    KP_TRY(read_time(text, "time with time zone", &f, &us, err));
    int32_t offset = f.offset;
    if (!f.has_offset) {
        bool dated = f.has_year && f.has_month && f.has_day && kp_timestamp_from_civil(&f.civil, &local);
        zone = f.zone ? f.zone : zone;
        if (!dated && !kp_zone_is_fixed(zone)) {
            kp_fail(err, KP_UNSUPPORTED, NULL, "the offset of \"%.*s\" in time zone \"%s\" depends on when it is read",
                    (int)KP_MIN(text.len, (size_t)64), text.ptr, kp_zone_name(zone));
            kp_error_hint(err, "Write the offset, as in '04:05:06+02', or the date.");
            return KP_UNSUPPORTED;
        }
        offset = kp_zone_offset_of_local(zone, local);
    }
    if (!kp_zone_seconds_fit(offset)) /* that of a zone by its rule: <x>-20 */
        return fail(OUTCOME_ZONE_RANGE, text, text, "", err);
    *ret_value = (struct kp_timetz){mod >= 0 ? kp_us_round(us, mod) : us, -offset, 0};
    return KP_OK;
}

enum kp_code kp_timestamp_apply_mod(int64_t us, int32_t mod, int64_t *ret_us, struct kp_error *err)
{
    if (mod >= 0 && mod < 6 && kp_timestamp_is_finite(us)) {
        us = kp_us_round(us, mod);
        if (!kp_timestamp_in_range(us))
            return kp_fail(err, KP_INVALID, "22008", "timestamp out of range");
    }
    *ret_us = us;
    return KP_OK;
}

static enum kp_code fail_range(struct kp_str text, struct kp_error *err)
{
    return kp_fail(err, KP_INVALID, "22008", "timestamp out of range: \"%.*s\"", (int)KP_MIN(text.len, (size_t)256),
                   text.ptr);
}

static bool special_timestamp(enum special special, int64_t *ret_us)
{
    switch (special) {
    case SPECIAL_EPOCH:
        *ret_us = KP_UNIX_EPOCH_US;
        return true;
    case SPECIAL_INFINITY:
        *ret_us = KP_TIMESTAMP_INFINITY;
        return true;
    case SPECIAL_NEG_INFINITY:
        *ret_us = KP_TIMESTAMP_NEG_INFINITY;
        return true;
    case SPECIAL_NONE:
        break;
    }
    return false;
}

enum kp_code kp_timestamp_parse(struct kp_str text, int32_t mod, int64_t *ret_us, struct kp_error *err)
{
    struct fields f;
    KP_TRY(read_fields(text, "timestamp", true, &f, err));
    if (special_timestamp(f.special, ret_us))
        return KP_OK;
    int64_t us;
    if (!kp_timestamp_from_civil(&f.civil, &us))
        return fail_range(text, err);
    return kp_timestamp_apply_mod(us, mod, ret_us, err);
}

enum kp_code kp_timestamptz_parse(struct kp_str text, int32_t mod, const struct kp_zone *zone, int64_t *ret_us,
                                  struct kp_error *err)
{
    struct fields f;
    KP_TRY(read_fields(text, "timestamp with time zone", true, &f, err));
    if (special_timestamp(f.special, ret_us))
        return KP_OK;
    int64_t us;
    if (!kp_civil_us(&f.civil, &us))
        return fail_range(text, err);
    int32_t offset = f.has_offset ? f.offset : kp_zone_offset_of_local(f.zone ? f.zone : zone, us);
    if (__builtin_sub_overflow(us, offset * KP_SECOND_US, &us) || !kp_timestamp_in_range(us))
        return fail_range(text, err);
    return kp_timestamp_apply_mod(us, mod, ret_us, err);
}
