/*
 * to_timestamp(text, template) and to_date(text, template).
 *
 * The text is walked along the template's pieces (vec/time_format.h):
 *   - a keyword takes blanks before and behind it, then its digits or its name in any case. Digits are as many as the
 *     keyword is long where a digit may follow, else (FM, or behind it something else) as many as there are;
 *   - a blank or mark of the template takes one of the text if there is one; other characters take any character;
 *   - blanks that were passed beyond the template's count for such characters (`extra`), since they may have stood
 * there;
 *   - behind FX nothing is taken loosely.
 * Where the text ends, the rest of the template is forgotten. Then the fields make a day and a time of day: the last
 * word has the Julian day, then week numbers, then day and month, then the day of the year.
 */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "vec/datetime.h"
#include "vec/fn.h"
#include "vec/time_format.h"

enum { FIELD_BYTES_MAX = 12, OFFSET_HOURS_MAX = 15 };

struct fields {
    enum kp_time_calendar calendar;
    int hour, minute, second, seconds_of_day, ms, us, precision;
    int weekday, day, day_of_year, month, year, year_digits, century, week, week_of_month, julian;
    int bc, pm, zone_sign, zone_hour, zone_minute;
    bool half_day; /* hours from 1 to 12 */
};

struct reader {
    struct kp_call *call;
    uint32_t row;
    const char *at; /* NUL behind the text */
    const struct kp_time_format *format;
    struct fields fields;
    int extra;
    bool exact, standard; /* standard: as SQL/JSON has it, where nothing may differ */
};

static bool fail_value(struct reader *r, const struct kp_time_piece *piece, const char *value, size_t len,
                       const char *detail)
{
    kp_call_fail(r->call, r->row, "22007", "invalid value \"%.*s\" for \"%.*s\"", (int)len, value, (int)piece->text.len,
                 piece->text.ptr);
    kp_call_explain(r->call, detail, NULL);
    return false;
}

/* Of a field of `len` characters only `have` are there; how: "remain", "could be parsed". */
static void explain_width(struct reader *r, size_t len, size_t have, const char *how)
{
    const char *detail =
        kp_arena_printf(r->call->arena, "Field requires %zu characters, but only %zu %s.", len, have, how);
    kp_call_explain(r->call, detail, "If your source string is not fixed-width, try using the \"FM\" modifier.");
}

static void skip_spaces(struct reader *r, bool count)
{
    for (; *r->at && isspace((unsigned char)*r->at); r->at++)
        r->extra += count;
}

static void skip_character(struct reader *r)
{
    if (*r->at)
        r->at++;
    while (((unsigned char)*r->at & 0xc0) == 0x80)
        r->at++;
}

static bool set(struct reader *r, const struct kp_time_piece *piece, int *field, int value)
{
    if (*field != 0 && *field != value) {
        kp_call_fail(r->call, r->row, "22007", "conflicting values for \"%.*s\" field in formatting string",
                     (int)piece->text.len, piece->text.ptr);
        kp_call_explain(r->call, "This value contradicts a previous setting for the same field type.", NULL);
        return false;
    }
    *field = value;
    return true;
}

/* Whether no digit can follow the keyword's own. */
static bool ends_before_other(const struct reader *r, const struct kp_time_piece *piece)
{
    if (!piece->fill || piece->ordinal)
        return true;
    const struct kp_time_piece *next = piece + 1;
    if (next == r->format->pieces + r->format->count)
        return true;
    return next->kind == KP_PIECE_KEY ? !next->digits
                                      : !(next->text.len == 1 && isdigit((unsigned char)*next->text.ptr));
}

/* Digits of at most `len` into the field (NULL: nowhere); ret_taken: with blanks before them. */
static bool take_number(struct reader *r, const struct kp_time_piece *piece, size_t len, int *field, int *ret_taken)
{
    const char *start = r->at;
    char copy[FIELD_BYTES_MAX + 1];
    long value;
    char *end;
    skip_spaces(r, false);
    size_t have = strnlen(r->at, len);
    memcpy(copy, r->at, have);
    copy[have] = '\0';
    errno = 0;
    if (ends_before_other(r, piece)) {
        value = strtol(start, &end, 10);
        r->at = end;
    } else {
        if (have < len) {
            kp_call_fail(r->call, r->row, "22007", "source string too short for \"%.*s\" formatting field",
                         (int)piece->text.len, piece->text.ptr);
            explain_width(r, len, have, "remain");
            return false;
        }
        value = strtol(copy, &end, 10);
        if (end > copy && end < copy + len) {
            fail_value(r, piece, copy, have, NULL);
            explain_width(r, len, (size_t)(end - copy), "could be parsed");
            return false;
        }
        r->at += end - copy;
    }
    if (r->at == start)
        return fail_value(r, piece, copy, have, "Value must be an integer.");
    if (errno == ERANGE || value < INT_MIN || value > INT_MAX) {
        kp_call_fail(r->call, r->row, "22008", "value for \"%.*s\" in source string is out of range",
                     (int)piece->text.len, piece->text.ptr);
        kp_call_explain(
            r->call, kp_arena_printf(r->call->arena, "Value must be in the range %d to %d.", INT_MIN, INT_MAX), NULL);
        return false;
    }
    *ret_taken = (int)(r->at - start);
    return !field || set(r, piece, field, (int)value);
}

/* The keyword's own length is the number of its digits. */
static bool take_own(struct reader *r, const struct kp_time_piece *piece, int *field)
{
    int taken;
    return take_number(r, piece, piece->text.len, field, &taken);
}

/* Which of the names the text goes on with, in any case. */
static bool take_name(struct reader *r, const struct kp_time_piece *piece, const char *const *names, size_t count,
                      size_t len_max, int *ret_index)
{
    for (size_t i = 0; i < count; i++) {
        size_t len = KP_MIN(strlen(names[i]), len_max);
        if (strncasecmp(r->at, names[i], len) == 0) {
            r->at += len;
            *ret_index = (int)i;
            return true;
        }
    }
    return fail_value(r, piece, r->at, strcspn(r->at, " \t\n\r\f\v"),
                      "The given value did not match any of the allowed values for this field.");
}

static bool take_half(struct reader *r, const struct kp_time_piece *piece, int *field)
{
    static const char *const eras[] = {"AD", "BC"}, *const eras_dots[] = {"A.D.", "B.C."},
                             *const halves[] = {"AM", "PM"}, *const halves_dots[] = {"A.M.", "P.M."};
    const char *const *names = piece->key == KP_KEY_AD        ? eras
                               : piece->key == KP_KEY_AD_DOTS ? eras_dots
                               : piece->key == KP_KEY_AM      ? halves
                                                              : halves_dots;
    int index;
    return take_name(r, piece, names, 2, 4, &index) && set(r, piece, field, index);
}

static bool take_month_name(struct reader *r, const struct kp_time_piece *piece)
{
    int index = 0;
    if (piece->key == KP_KEY_RM) { /* from XII on: I begins II */
        const char *down[12];
        for (int i = 0; i < 12; i++)
            down[i] = kp_month_romans[11 - i];
        return take_name(r, piece, down, 12, SIZE_MAX, &index) && set(r, piece, &r->fields.month, 12 - index);
    }
    size_t len = piece->key == KP_KEY_MON ? 3 : SIZE_MAX;
    return take_name(r, piece, kp_month_names, 12, len, &index) && set(r, piece, &r->fields.month, index + 1);
}

static bool take_fraction(struct reader *r, const struct kp_time_piece *piece)
{
    static const int units[] = {1000000, 100000, 10000, 1000, 100, 10, 1};
    struct fields *f = &r->fields;
    int taken;
    if (piece->key == KP_KEY_MS) { /* 25 is 0.25 as 250 is; 025 is not */
        if (!take_number(r, piece, 3, &f->ms, &taken))
            return false;
        f->ms *= taken == 1 ? 100 : taken == 2 ? 10 : 1;
        return true;
    }
    size_t digits = 6;
    if (piece->key == KP_KEY_FF) {
        f->precision = piece->text.ptr[2] - '0';
        digits = (size_t)f->precision;
    }
    if (!take_number(r, piece, digits, &f->us, &taken))
        return false;
    int64_t us = (int64_t)f->us * (taken < 6 ? units[taken] : 1);
    f->us = us > INT_MAX ? INT_MAX : (int)us; /* beyond a second, which is refused later */
    return true;
}

/* A year of less than four digits is the one nearest to 2020. */
static int whole_year(int year)
{
    return year < 70     ? year + 2000
           : year < 100  ? year + 1900
           : year < 520  ? year + 2000
           : year < 1000 ? year + 1000
                         : year;
}

static bool take_year(struct reader *r, const struct kp_time_piece *piece)
{
    struct fields *f = &r->fields;
    int taken;
    if (piece->key == KP_KEY_Y_YYY) {
        int thousands, rest, used;
        if (sscanf(r->at, "%d,%03d%n", &thousands, &rest, &used) < 2 || thousands > INT_MAX / 1000 - 1 ||
            thousands < -INT_MAX / 1000) {
            kp_call_fail(r->call, r->row, "22007", "invalid input string for \"Y,YYY\"");
            return false;
        }
        r->at += used;
        f->year_digits = 4;
        return set(r, piece, &f->year, thousands * 1000 + rest);
    }
    if (!take_number(r, piece, piece->text.len, &f->year, &taken))
        return false;
    if (piece->text.len < 4 && taken < 4)
        f->year = whole_year(f->year);
    f->year_digits = (int)piece->text.len;
    return true;
}

static bool take_zone(struct reader *r, const struct kp_time_piece *piece)
{
    struct fields *f = &r->fields;
    int taken;
    if (piece->key == KP_KEY_TZH) {
        if (*r->at == '+' || *r->at == '-' || *r->at == ' ')
            f->zone_sign = *r->at++ == '-' ? -1 : 1;
        else /* a minus may have been taken for a mark */
            f->zone_sign = r->extra > 0 && r->at[-1] == '-' ? -1 : 1;
        return take_number(r, piece, 2, &f->zone_hour, &taken);
    }
    if (!f->zone_sign)
        f->zone_sign = 1;
    return take_number(r, piece, 2, &f->zone_minute, &taken);
}

static bool take_weekday(struct reader *r, const struct kp_time_piece *piece)
{
    struct fields *f = &r->fields;
    int index = 0, taken;
    if (piece->key == KP_KEY_D)
        return take_own(r, piece, &f->weekday);
    if (piece->key == KP_KEY_ID) { /* Monday is 1; here Sunday is */
        if (!take_number(r, piece, 1, &f->weekday, &taken))
            return false;
        f->weekday = f->weekday >= 7 ? 1 : f->weekday + 1;
        return true;
    }
    if (!take_name(r, piece, kp_day_names, 7, piece->key == KP_KEY_DY ? 3 : SIZE_MAX, &index) ||
        !set(r, piece, &f->weekday, index))
        return false;
    f->weekday++;
    return true;
}

static bool take_date_key(struct reader *r, const struct kp_time_piece *piece)
{
    struct fields *f = &r->fields;
    int taken;
    switch (piece->key) {
    case KP_KEY_MONTH:
    case KP_KEY_MON:
    case KP_KEY_RM:
        return take_month_name(r, piece);
    case KP_KEY_MM:
        return take_own(r, piece, &f->month);
    case KP_KEY_DAY:
    case KP_KEY_DY:
    case KP_KEY_D:
    case KP_KEY_ID:
        return take_weekday(r, piece);
    case KP_KEY_DDD:
        return take_own(r, piece, &f->day_of_year);
    case KP_KEY_IDDD:
        return take_number(r, piece, 3, &f->day_of_year, &taken);
    case KP_KEY_DD:
        return take_own(r, piece, &f->day);
    case KP_KEY_WW:
    case KP_KEY_IW:
        return take_own(r, piece, &f->week);
    case KP_KEY_W:
        return take_own(r, piece, &f->week_of_month);
    case KP_KEY_Q: /* says nothing that a date needs */
        return take_own(r, piece, NULL);
    case KP_KEY_CC:
        return take_own(r, piece, &f->century);
    case KP_KEY_J:
        return take_own(r, piece, &f->julian);
    default:
        return take_year(r, piece);
    }
}

static bool take_key(struct reader *r, const struct kp_time_piece *piece)
{
    struct fields *f = &r->fields;
    int taken;
    if (piece->calendar != KP_CALENDAR_ANY && f->calendar != KP_CALENDAR_ANY && piece->calendar != f->calendar) {
        kp_call_fail(r->call, r->row, "22007", "invalid combination of date conventions");
        return false;
    }
    if (piece->calendar != KP_CALENDAR_ANY)
        f->calendar = piece->calendar;
    switch (piece->key) {
    case KP_KEY_FX:
        r->exact = true;
        return true;
    case KP_KEY_AM:
    case KP_KEY_AM_DOTS:
        f->half_day = true;
        return take_half(r, piece, &f->pm);
    case KP_KEY_AD:
    case KP_KEY_AD_DOTS:
        return take_half(r, piece, &f->bc);
    case KP_KEY_HH12:
        f->half_day = true;
        return take_number(r, piece, 2, &f->hour, &taken);
    case KP_KEY_HH24:
        return take_number(r, piece, 2, &f->hour, &taken);
    case KP_KEY_MI:
        return take_own(r, piece, &f->minute);
    case KP_KEY_SS:
        return take_own(r, piece, &f->second);
    case KP_KEY_SSSS:
        return take_own(r, piece, &f->seconds_of_day);
    case KP_KEY_MS:
    case KP_KEY_US:
    case KP_KEY_FF:
        return take_fraction(r, piece);
    case KP_KEY_TZH:
    case KP_KEY_TZM:
        return take_zone(r, piece);
    case KP_KEY_TZ:
    case KP_KEY_OF:
        kp_call_fail(r->call, r->row, "0A000", "formatting field \"%.*s\" is only supported in to_char",
                     (int)piece->text.len, piece->text.ptr);
        return false;
    default:
        return take_date_key(r, piece);
    }
}

/* What is no keyword has to be there as it is. */
static bool take_same(struct reader *r, const struct kp_time_piece *piece)
{
    size_t len = piece->text.len;
    if (strncmp(r->at, piece->text.ptr, len) != 0) {
        kp_call_fail(r->call, r->row, "22007", "unmatched format %s \"%.*s\"",
                     piece->quoted ? "character" : "separator", (int)len, piece->text.ptr);
        return false;
    }
    r->at += len;
    return true;
}

static void take_other(struct reader *r, const struct kp_time_piece *piece)
{
    if (r->exact) {
        skip_character(r);
    } else if (piece->kind == KP_PIECE_TEXT) {
        if (r->extra > 0)
            r->extra--;
        else
            skip_character(r);
    } else if (isspace((unsigned char)*r->at) || kp_time_is_separator(*r->at)) {
        r->at++;
    } else {
        r->extra--;
    }
}

static bool take_all(struct reader *r)
{
    uint32_t i = 0;
    for (; i < r->format->count && *r->at; i++) {
        const struct kp_time_piece *piece = &r->format->pieces[i];
        bool key = piece->kind == KP_PIECE_KEY;
        if (!r->exact && (key ? piece->key != KP_KEY_FX : i == 0))
            skip_spaces(r, true);
        if (!key) {
            if (r->standard && !take_same(r, piece))
                return false;
            if (!r->standard)
                take_other(r, piece);
            continue;
        }
        if (!take_key(r, piece))
            return false;
        for (int n = 0; piece->ordinal && piece->digits && n < 2; n++)
            skip_character(r);
        if (!r->exact) {
            r->extra = 0;
            skip_spaces(r, true);
        }
    }
    if (!r->standard)
        return true;
    if (i < r->format->count)
        kp_call_fail(r->call, r->row, "22007", "input string is too short for datetime format");
    skip_spaces(r, false);
    if (i == r->format->count && *r->at)
        kp_call_fail(r->call, r->row, "22007", "trailing characters remain in input string after datetime format");
    return i == r->format->count && !*r->at;
}

/* ---- fields to a moment ---- */

/* A day and a time of day that have not been checked yet. */
struct moment {
    int64_t year; /* astronomical */
    int month, day, hour, minute, second;
    int64_t us;
    bool has_year, has_month, has_day;
};

static void set_day(struct moment *m, int64_t days)
{
    struct kp_civil civil;
    kp_days_to_civil(days, &civil);
    m->year = civil.year, m->month = civil.month, m->day = civil.day;
    m->has_year = m->has_month = m->has_day = true;
}

/* The Monday of an ISO year's week 1. */
static int64_t first_monday(int64_t year)
{
    int64_t fourth = kp_days_from_civil(year, 1, 4);
    return fourth - ((fourth + 5) % 7 + 7) % 7; /* 2000-01-01 was a Saturday */
}

static bool set_clock(struct reader *r, struct moment *m)
{
    const struct fields *f = &r->fields;
    m->hour = f->seconds_of_day / 3600;
    m->minute = f->seconds_of_day % 3600 / 60;
    m->second = f->seconds_of_day % 60;
    m->second = f->second ? f->second : m->second;
    m->minute = f->minute ? f->minute : m->minute;
    m->hour = f->hour ? f->hour : m->hour;
    m->us = (int64_t)f->ms * 1000 + f->us;
    if (!f->half_day)
        return true;
    if (m->hour < 1 || m->hour > 12) {
        kp_call_fail(r->call, r->row, "22007", "hour \"%d\" is invalid for the 12-hour clock", m->hour);
        kp_call_explain(r->call, NULL, "Use the 24-hour clock, or give an hour between 1 and 12.");
        return false;
    }
    m->hour = m->hour % 12 + (f->pm ? 12 : 0);
    return true;
}

static void set_year(struct fields *f, struct moment *m)
{
    int64_t century = f->bc ? -(int64_t)f->century : f->century;
    m->has_year = f->year || f->century;
    if (f->year && f->century && f->year_digits <= 2) { /* a year in the given century */
        m->year = f->year % 100;
        if (m->year)
            m->year = century >= 0 ? m->year + (century - 1) * 100 : (century + 1) * 100 - m->year + 1;
        else
            m->year = century * 100 + (century >= 0 ? 0 : 1);
    } else if (f->year) {
        m->year = f->bc ? -(int64_t)f->year : f->year;
        m->year += m->year < 0;
    } else if (f->century) { /* its first */
        m->year = century >= 0 ? (century - 1) * 100 + 1 : century * 100 + 1;
    }
}

static void set_day_of_year(struct fields *f, struct moment *m)
{
    int month = 1, before = 0;
    while (month < 12 && f->day_of_year > before + kp_month_days(m->year, month))
        before += kp_month_days(m->year, month++);
    if (f->day_of_year > before + kp_month_days(m->year, month) && month == 12)
        before += 31, month = 13; /* no such month: refused below */
    if (m->month <= 1)
        m->month = month;
    if (m->day <= 1)
        m->day = f->day_of_year - before;
    m->has_month = m->has_day = true;
}

static bool set_date(struct reader *r, struct moment *m)
{
    struct fields *f = &r->fields;
    bool iso = f->calendar == KP_CALENDAR_ISO_WEEK;
    set_year(f, m);
    if (f->julian)
        set_day(m, (int64_t)f->julian - 2451545);
    if (f->week && iso) {
        int day = f->weekday > 1 ? f->weekday - 2 : f->weekday == 1 ? 6 : 0;
        set_day(m, first_monday(m->year) + ((int64_t)f->week - 1) * 7 + day);
    } else if (f->week) {
        f->day_of_year = (int)KP_MIN(((int64_t)f->week - 1) * 7 + 1, (int64_t)INT_MAX);
    }
    if (f->week_of_month)
        f->day = (int)KP_MIN(((int64_t)f->week_of_month - 1) * 7 + 1, (int64_t)INT_MAX);
    if (f->day)
        m->day = f->day, m->has_day = true;
    if (f->month)
        m->month = f->month, m->has_month = true;
    if (!f->day_of_year || (m->month > 1 && m->day > 1))
        return true;
    if (!m->year && !f->bc) {
        kp_call_fail(r->call, r->row, "22007", "cannot calculate day of year without year information");
        return false;
    }
    if (iso)
        set_day(m, first_monday(m->year) - 1 + f->day_of_year);
    else
        set_day_of_year(f, m);
    return true;
}

static bool in_range(const struct moment *m)
{
    if (m->has_month && (m->month < 1 || m->month > 12))
        return false;
    if (m->has_day && (m->day < 1 || m->day > 31))
        return false;
    if (m->has_year && m->has_month && m->has_day && m->day > kp_month_days(m->year, m->month))
        return false;
    return m->hour >= 0 && m->hour < 24 && m->minute >= 0 && m->minute < 60 && m->second >= 0 && m->second < 60 &&
           m->us >= 0 && m->us < KP_SECOND_US;
}

static bool read_moment(struct reader *r, const char *text, struct moment *ret_moment)
{
    struct moment m = {.month = 1, .day = 1};
    r->at = text;
    if (!take_all(r) || !set_clock(r, &m) || !set_date(r, &m))
        return false;
    if (!in_range(&m)) {
        kp_call_fail(r->call, r->row, "22008", "date/time field value out of range: \"%s\"", text);
        return false;
    }
    const struct fields *f = &r->fields;
    if (f->zone_sign &&
        (f->zone_hour < 0 || f->zone_hour > OFFSET_HOURS_MAX || f->zone_minute < 0 || f->zone_minute > 59)) {
        kp_call_fail(r->call, r->row, "22009", "time zone displacement out of range: \"%s\"", text);
        return false;
    }
    *ret_moment = m;
    return true;
}

/* What a row's text means; the template is read once if it is constant. False: NULL, or it failed, which is noted. */
static bool read_row(struct kp_call *call, const struct kp_vec *const *args, const struct kp_vec *out, uint32_t row,
                     struct kp_time_format *format, struct reader *ret_reader, struct moment *ret_moment)
{
    if (kp_vec_is_null(out, row))
        return false;
    struct kp_str text = kp_text_str(&FN_AT(struct kp_text, 0, row));
    if (!args[1]->constant || !format->pieces)
        kp_time_format_read(kp_text_str(&FN_AT(struct kp_text, 1, row)), call->arena, format);
    *ret_reader = (struct reader){.call = call, .row = row, .format = format};
    return read_moment(ret_reader, kp_arena_strndup(call->arena, text.ptr, text.len), ret_moment);
}

static int64_t offset_s(const struct fields *f)
{
    return f->zone_sign * (f->zone_hour * INT64_C(3600) + f->zone_minute * INT64_C(60));
}

/* The day and time of a moment as microseconds; false: out of range. */
static bool local_us(const struct moment *m, int64_t *ret_us)
{
    int64_t day = kp_days_from_civil(m->year, m->month, m->day);
    if (day < KP_DATE_MIN || day > KP_TIMESTAMP_END / KP_DAY_US)
        return false;
    *ret_us = day * KP_DAY_US + m->hour * KP_HOUR_US + m->minute * KP_MINUTE_US + m->second * KP_SECOND_US + m->us;
    return true;
}

static void to_timestamp(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_time_format format = {0};
    int64_t *to = out->data;
    for (uint32_t i = 0; i < call->rows; i++) {
        struct reader reader;
        struct moment m;
        to[i] = 0;
        if (!read_row(call, args, out, i, &format, &reader, &m))
            continue;
        const struct fields *f = &reader.fields;
        int64_t us;
        struct kp_error err;
        bool good = local_us(&m, &us);
        if (good && f->zone_sign)
            us -= offset_s(f) * KP_SECOND_US;
        else if (good)
            good = kp_timestamp_to_utc(us, fn_zone(call), &us);
        if (!good || !kp_timestamp_in_range(us))
            kp_call_fail(call, i, "22008", "timestamp out of range");
        else if (kp_timestamp_apply_mod(us, f->precision ? f->precision : -1, &to[i], &err) != KP_OK)
            fn_fail(call, out, i, &err);
    }
}

static void to_date(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_time_format format = {0};
    int32_t *to = out->data;
    for (uint32_t i = 0; i < call->rows; i++) {
        struct reader reader;
        struct moment m;
        to[i] = 0;
        if (!read_row(call, args, out, i, &format, &reader, &m))
            continue;
        struct kp_str text = kp_text_str(&FN_AT(struct kp_text, 0, i));
        int64_t day = kp_days_from_civil(m.year, m.month, m.day);
        if (day < KP_DATE_MIN || day >= KP_DATE_END)
            kp_call_fail(call, i, "22008", "date out of range: \"%.*s\"", (int)text.len, text.ptr);
        else
            to[i] = (int32_t)day;
    }
}

/* ---- SQL/JSON's datetime(template) ---- */

/* What a template speaks of. */
struct speaks {
    bool dated, timed, zoned;
};

static bool read_standard_format(struct kp_call *call, struct kp_str text, struct kp_time_format *ret_format,
                                 struct speaks *ret_speaks)
{
    kp_time_format_read(text, call->arena, ret_format);
    *ret_speaks = (struct speaks){false, false, false};
    for (uint32_t i = 0; i < ret_format->count; i++) {
        const struct kp_time_piece *piece = &ret_format->pieces[i];
        if (piece->kind != KP_PIECE_KEY) {
            if (piece->quoted || (piece->text.len == 1 && strchr("-./,':; ", piece->text.ptr[0])))
                continue;
            kp_call_fail(call, 0, "22007", "invalid datetime format separator: \"%.*s\"", (int)piece->text.len,
                         piece->text.ptr);
            return false;
        }
        switch (piece->key) {
        case KP_KEY_FX:
            break;
        case KP_KEY_AM:
        case KP_KEY_AM_DOTS:
        case KP_KEY_FF:
        case KP_KEY_HH12:
        case KP_KEY_HH24:
        case KP_KEY_MI:
        case KP_KEY_MS:
        case KP_KEY_SS:
        case KP_KEY_SSSS:
        case KP_KEY_US:
            ret_speaks->timed = true;
            break;
        case KP_KEY_OF:
        case KP_KEY_TZ:
        case KP_KEY_TZH:
        case KP_KEY_TZM:
            ret_speaks->zoned = true;
            break;
        default:
            ret_speaks->dated = true;
        }
    }
    return true;
}

/* The time of day alone, or the moment, of a template that has times; rounded as its FF1 to FF6 say. */
static bool standard_moment(struct reader *r, const struct moment *m, struct speaks speaks,
                            struct kp_time_moment *ret_moment)
{
    static const char *const messages[] = {"timestamp out of range", "timestamptz out of range"};
    const struct fields *f = &r->fields;
    int precision = f->precision ? f->precision : 6;
    int64_t us = m->hour * KP_HOUR_US + m->minute * KP_MINUTE_US + m->second * KP_SECOND_US + m->us;
    *ret_moment = (struct kp_time_moment){.offset_s = (int32_t)offset_s(f)};
    if (!speaks.dated) {
        ret_moment->type = speaks.zoned ? KP_TIMETZ : KP_TIME;
        ret_moment->value = kp_us_round(us, precision);
        return true;
    }
    bool good = local_us(m, &us);
    us = good ? us - offset_s(f) * KP_SECOND_US : 0;
    if (!good || !kp_timestamp_in_range(us)) {
        kp_call_fail(r->call, r->row, "22008", "%s", messages[speaks.zoned]);
        return false;
    }
    ret_moment->type = speaks.zoned ? KP_TIMESTAMPTZ : KP_TIMESTAMP;
    ret_moment->value = kp_us_round(us, precision);
    return true;
}

bool kp_time_read_exact(struct kp_call *call, struct kp_str text, struct kp_str format_text,
                        struct kp_time_moment *ret_moment)
{
    struct kp_time_format format;
    struct speaks speaks;
    struct moment m;
    if (!read_standard_format(call, format_text, &format, &speaks))
        return false;
    struct reader reader = {.call = call, .format = &format, .exact = true, .standard = true};
    if (!read_moment(&reader, kp_arena_strndup(call->arena, text.ptr, text.len), &m))
        return false;
    const char *wrong = !speaks.dated && !speaks.timed  ? "datetime format is not dated and not timed"
                        : speaks.zoned && !speaks.timed ? "datetime format is zoned but not timed"
                        : speaks.zoned && !reader.fields.zone_sign && !speaks.dated
                            ? "missing time zone in input string for type timetz"
                        : speaks.zoned && !reader.fields.zone_sign
                            ? "missing time zone in input string for type timestamptz"
                            : NULL;
    if (wrong) {
        kp_call_fail(call, 0, "22007", "%s", wrong);
        return false;
    }
    if (speaks.timed)
        return standard_moment(&reader, &m, speaks, ret_moment);
    int64_t day = kp_days_from_civil(m.year, m.month, m.day);
    if (day < KP_DATE_MIN || day >= KP_DATE_END) {
        kp_call_fail(call, 0, "22008", "date out of range: \"%.*s\"", (int)text.len, text.ptr);
        return false;
    }
    *ret_moment = (struct kp_time_moment){.type = KP_DATE, .value = day};
    return true;
}

static const struct kp_func funcs[] = {
    FN_BINARY("to_timestamp", KP_FUNC_FUNCTION, KP_STRICT | KP_CAN_FAIL | KP_STABLE, KP_TEXT, KP_TEXT, KP_TIMESTAMPTZ,
              to_timestamp, "read by a template"),
    FN_BINARY("to_date", KP_FUNC_FUNCTION, KP_STRICT | KP_CAN_FAIL, KP_TEXT, KP_TEXT, KP_DATE, to_date,
              "read by a template"),
};
KP_FUNCTIONS(to_timestamp, funcs);
