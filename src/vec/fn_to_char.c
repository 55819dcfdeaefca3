/*
 * to_char of timestamps and intervals, by the templates of vec/time_format.h.
 *
 * An interval is shown field by field: its months as years and months, its microseconds as hours and less, each with
 * its sign; what only a day of the calendar has (its name, its era) is refused.
 */
#include <ctype.h>
#include <stdlib.h>

#include "vec/datetime.h"
#include "vec/fn.h"
#include "vec/time_format.h"

struct moment {
    struct kp_civil civil; /* of an interval: years and months, hours and less, each signed */
    int64_t hours;         /* an interval's may be many */
    int64_t day;           /* since 2000-01-01 */
    int32_t offset;
    const char *abbreviation;
    bool zoned, interval;
};

static void append_name(struct kp_buf *out, const char *name, size_t len, enum kp_time_letters letters, int width)
{
    for (size_t i = 0; i < len; i++) {
        int c = (unsigned char)name[i];
        bool upper = letters == KP_LETTERS_UPPER || (letters == KP_LETTERS_CAPITAL && i == 0);
        kp_buf_append_byte(out, (uint8_t)(upper ? toupper(c) : tolower(c)));
    }
    for (size_t i = len; (int)i < width; i++)
        kp_buf_append_byte(out, ' ');
}

/* "st", "nd", "rd" or "th" for the number just written, which ends the buffer. */
static void append_ordinal(struct kp_buf *out, bool upper)
{
    uint8_t last = out->len ? out->data[out->len - 1] : '0', before = out->len > 1 ? out->data[out->len - 2] : '0';
    const char *ending = before == '1' ? "th" : last == '1' ? "st" : last == '2' ? "nd" : last == '3' ? "rd" : "th";
    append_name(out, ending, 2, upper ? KP_LETTERS_UPPER : KP_LETTERS_LOWER, 0);
}

static void append_offset(struct kp_buf *out, int32_t offset, bool minutes_too)
{
    int32_t magnitude = abs(offset);
    kp_buf_printf(out, "%c%02d", offset < 0 ? '-' : '+', magnitude / 3600);
    if (minutes_too && magnitude % 3600)
        kp_buf_printf(out, ":%02d", magnitude / 60 % 60);
}

/* "AD", "p.m." … as the keyword is written. */
static void append_half(struct kp_buf *out, const struct kp_time_piece *piece, const char *name)
{
    bool dots = piece->key == KP_KEY_AD_DOTS || piece->key == KP_KEY_AM_DOTS;
    const char letters[] = {name[0], '.', name[1], '.'};
    append_name(out, dots ? letters : name, dots ? 4 : 2, piece->letters, 0);
}

/* The month in Roman numerals; an interval's counts down from XII where it is negative, whole years are XII or I. */
static void append_roman(struct kp_buf *out, const struct kp_time_piece *piece, const struct moment *m)
{
    int32_t month = m->civil.month, year = m->civil.year;
    if (month == 0 && year == 0)
        return;
    if (month == 0)
        month = year >= 0 ? 12 : 1;
    else if (month < 0)
        month = 13 + month;
    append_name(out, kp_month_romans[month - 1], strlen(kp_month_romans[month - 1]), piece->letters,
                piece->fill ? 4 : 0);
}

static void append_words(struct kp_buf *out, const struct kp_time_piece *piece, const struct moment *m)
{
    const char *month = m->interval ? "" : kp_month_names[m->civil.month - 1];
    const char *day = kp_day_names[((m->day + 6) % 7 + 7) % 7];
    switch (piece->key) {
    case KP_KEY_DAY:
        append_name(out, day, strlen(day), piece->letters, piece->fill ? 9 : 0);
        break;
    case KP_KEY_DY:
        append_name(out, day, 3, piece->letters, 0);
        break;
    case KP_KEY_MONTH:
        append_name(out, month, strlen(month), piece->letters, piece->fill ? 9 : 0);
        break;
    case KP_KEY_MON:
        append_name(out, month, KP_MIN(strlen(month), (size_t)3), piece->letters, 0);
        break;
    case KP_KEY_RM:
        append_roman(out, piece, m);
        break;
    case KP_KEY_AD:
    case KP_KEY_AD_DOTS:
        append_half(out, piece, m->civil.year <= 0 ? "BC" : "AD");
        break;
    case KP_KEY_AM:
    case KP_KEY_AM_DOTS:
        append_half(out, piece, m->hours % 24 >= 12 ? "PM" : "AM");
        break;
    case KP_KEY_TZ:
        if (m->zoned)
            append_name(out, m->abbreviation, strlen(m->abbreviation),
                        piece->letters == KP_LETTERS_LOWER ? KP_LETTERS_LOWER : KP_LETTERS_UPPER, 0);
        break;
    case KP_KEY_TZH:
        append_offset(out, m->offset, false);
        break;
    case KP_KEY_TZM:
        kp_buf_printf(out, "%02d", abs(m->offset) / 60 % 60);
        break;
    case KP_KEY_OF:
        append_offset(out, m->offset, true);
        break;
    default: /* FX */
        break;
    }
}

/* How a number is written: with zeros up to a width, of which a sign is a part or not. */
struct number {
    int64_t value;
    int width;
    bool beside_sign, always_filled;
};

static int64_t shown_year(const struct moment *m, int64_t year)
{
    return m->interval || year > 0 ? year : 1 - year;
}

static bool year_number(const struct kp_time_piece *piece, const struct moment *m, struct number *ret_number)
{
    int32_t iso_year = m->civil.year;
    if (!m->interval)
        kp_iso_week(m->civil.year, m->civil.month, m->civil.day, &iso_year);
    int64_t year = shown_year(m, m->civil.year), iso = shown_year(m, iso_year);
    switch (piece->key) {
    case KP_KEY_YYYY:
        *ret_number = (struct number){year, 4, true, false};
        return true;
    case KP_KEY_YYY:
        *ret_number = (struct number){year % 1000, 3, true, false};
        return true;
    case KP_KEY_YY:
        *ret_number = (struct number){year % 100, 2, true, false};
        return true;
    case KP_KEY_Y:
        *ret_number = (struct number){year % 10, 1, false, false};
        return true;
    case KP_KEY_IYYY:
        *ret_number = (struct number){iso, 4, true, false};
        return true;
    case KP_KEY_IYY:
        *ret_number = (struct number){iso % 1000, 3, true, false};
        return true;
    case KP_KEY_IY:
        *ret_number = (struct number){iso % 100, 2, true, false};
        return true;
    case KP_KEY_I:
        *ret_number = (struct number){iso % 10, 1, false, false};
        return true;
    case KP_KEY_CC:
        *ret_number = (struct number){m->interval         ? m->civil.year / 100
                                      : m->civil.year > 0 ? (m->civil.year + 99) / 100
                                                          : m->civil.year / 100 - 1,
                                      2, true, false};
        return true;
    default:
        return false;
    }
}

static bool day_number(const struct kp_time_piece *piece, const struct moment *m, struct number *ret_number)
{
    const struct kp_civil *c = &m->civil;
    int32_t iso_year;
    int iso_week = m->interval ? 0 : kp_iso_week(c->year, c->month, c->day, &iso_year);
    int64_t weekday = ((m->day + 6) % 7 + 7) % 7;
    int64_t of_year = m->day - kp_days_from_civil(c->year, 1, 1) + 1;
    if (m->interval) /* in PostgreSQL's 32 bits */
        of_year = (int32_t)(((uint32_t)c->year * 12 + (uint32_t)c->month) * 30 + (uint32_t)c->day);
    switch (piece->key) {
    case KP_KEY_DDD:
        *ret_number = (struct number){of_year, 3, false, false};
        return true;
    case KP_KEY_DD:
        *ret_number = (struct number){c->day, 2, false, false};
        return true;
    case KP_KEY_D:
        *ret_number = (struct number){weekday + 1, 1, false, false};
        return true;
    case KP_KEY_IDDD:
        *ret_number = (struct number){(iso_week - 1) * 7 + (weekday ? weekday : 7), 3, false, false};
        return true;
    case KP_KEY_ID:
        *ret_number = (struct number){weekday ? weekday : 7, 1, false, false};
        return true;
    case KP_KEY_IW:
        *ret_number = (struct number){iso_week, 2, false, false};
        return true;
    case KP_KEY_J:
        *ret_number = (struct number){m->day + 2451545, 1, false, false};
        return true;
    case KP_KEY_MM:
        *ret_number = (struct number){c->month, 2, true, false};
        return true;
    case KP_KEY_Q:
        *ret_number = (struct number){(c->month - 1) / 3 + 1, 1, false, false};
        return true;
    case KP_KEY_WW:
        *ret_number = (struct number){(of_year - 1) / 7 + 1, 2, false, false};
        return true;
    case KP_KEY_W:
        *ret_number = (struct number){(c->day - 1) / 7 + 1, 1, false, false};
        return true;
    default:
        return year_number(piece, m, ret_number);
    }
}

/* Keywords that stand for a number; false for the others. */
static bool number_of(const struct kp_time_piece *piece, const struct moment *m, struct number *ret_number)
{
    static const int32_t fraction_units[] = {100000, 10000, 1000, 100, 10, 1};
    const struct kp_civil *c = &m->civil;
    switch (piece->key) {
    case KP_KEY_FF: {
        int digits = piece->text.ptr[2] - '0';
        *ret_number = (struct number){c->us / fraction_units[digits - 1], digits, false, true};
        return true;
    }
    case KP_KEY_MS:
        *ret_number = (struct number){c->us / 1000, 3, false, true};
        return true;
    case KP_KEY_US:
        *ret_number = (struct number){c->us, 6, false, true};
        return true;
    case KP_KEY_HH24:
        *ret_number = (struct number){m->hours, 2, true, false};
        return true;
    case KP_KEY_HH12:
        *ret_number = (struct number){m->hours % 12 ? m->hours % 12 : 12, 2 + (m->hours < 0), false, false};
        return true;
    case KP_KEY_MI:
        *ret_number = (struct number){c->minute, 2, true, false};
        return true;
    case KP_KEY_SS:
        *ret_number = (struct number){c->second, 2, true, false};
        return true;
    case KP_KEY_SSSS:
        *ret_number = (struct number){m->hours * 3600 + c->minute * 60 + c->second, 1, false, false};
        return true;
    default:
        return day_number(piece, m, ret_number);
    }
}

/* What an interval does not have. */
static bool is_of_calendar(const struct kp_time_piece *piece)
{
    switch (piece->key) {
    case KP_KEY_AD:
    case KP_KEY_AD_DOTS:
    case KP_KEY_DAY:
    case KP_KEY_DY:
    case KP_KEY_D:
    case KP_KEY_ID:
    case KP_KEY_MONTH:
    case KP_KEY_MON:
    case KP_KEY_OF:
    case KP_KEY_TZ:
    case KP_KEY_TZH:
    case KP_KEY_TZM:
        return true;
    default:
        return false;
    }
}

static void append_key(struct kp_buf *out, const struct kp_time_piece *piece, const struct moment *m)
{
    struct number number;
    size_t start = out->len;
    if (piece->key == KP_KEY_Q && m->civil.month == 0)
        return;
    if (piece->key == KP_KEY_Y_YYY) {
        int64_t year = shown_year(m, m->civil.year);
        kp_buf_printf(out, "%lld,%03lld", (long long)(year / 1000), (long long)(year % 1000));
    } else if (number_of(piece, m, &number)) {
        bool fill = piece->fill || number.always_filled;
        int width = fill ? number.width + (number.beside_sign && number.value < 0) : 0;
        kp_buf_printf(out, "%0*lld", width, (long long)number.value);
    } else {
        append_words(out, piece, m);
    }
    if (piece->ordinal && piece->digits && out->len > start)
        append_ordinal(out, piece->ordinal_caps);
}

/* False: the template has what an interval cannot show; noted as the row's failure. */
static bool format_time(struct kp_call *call, uint32_t row, const struct kp_time_format *format, const struct moment *m,
                        struct kp_buf *out)
{
    for (uint32_t i = 0; i < format->count; i++) {
        const struct kp_time_piece *piece = &format->pieces[i];
        if (piece->kind != KP_PIECE_KEY) {
            kp_buf_append_str(out, piece->text);
            continue;
        }
        if (m->interval && is_of_calendar(piece)) {
            kp_call_fail(call, row, "22007", "invalid format specification for an interval value");
            return false;
        }
        if (m->interval && (piece->calendar == KP_CALENDAR_ISO_WEEK || piece->key == KP_KEY_J)) {
            kp_call_fail(call, row, "0A000", "to_char of an interval: %.*s is not supported", (int)piece->text.len,
                         piece->text.ptr);
            return false;
        }
        append_key(out, piece, m);
    }
    return true;
}

static bool moment_of(struct kp_call *call, const struct kp_vec *vec, uint32_t row, struct moment *ret_moment)
{
    struct moment m = {.abbreviation = "", .zoned = vec->type.id == KP_TIMESTAMPTZ};
    if (vec->type.id == KP_INTERVAL) {
        struct kp_interval value = *(const struct kp_interval *)kp_vec_at(vec, row);
        m.interval = true;
        m.civil = (struct kp_civil){.year = value.months / 12,
                                    .month = value.months % 12,
                                    .day = value.days,
                                    .minute = (int32_t)(value.us % KP_HOUR_US / KP_MINUTE_US),
                                    .second = (int32_t)(value.us % KP_MINUTE_US / KP_SECOND_US),
                                    .us = (int32_t)(value.us % KP_SECOND_US)};
        m.hours = value.us / KP_HOUR_US;
        *ret_moment = m;
        return true;
    }
    int64_t us = *(const int64_t *)kp_vec_at(vec, row);
    if (!kp_timestamp_is_finite(us))
        return false;
    if (m.zoned)
        m.offset = kp_zone_offset_at(fn_zone(call), us, &m.abbreviation);
    kp_timestamp_to_civil(us + m.offset * KP_SECOND_US, &m.civil);
    m.hours = m.civil.hour;
    m.day = kp_days_from_civil(m.civil.year, m.civil.month, m.civil.day);
    *ret_moment = m;
    return true;
}

static void to_char_time(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    bool owned = false;
    struct kp_buf buf = {0};
    struct kp_text *to = out->data;
    struct kp_time_format format = {0};
    for (uint32_t i = 0; i < call->rows; i++) {
        struct moment m;
        to[i] = kp_text_make(NULL, 0);
        if (kp_vec_is_null(out, i))
            continue;
        struct kp_str text = kp_text_str(&FN_AT(struct kp_text, 1, i));
        if (text.len == 0 || !moment_of(call, args[0], i, &m)) {
            fn_set_null(call, out, i, &owned);
            continue;
        }
        if (!args[1]->constant || !format.pieces)
            kp_time_format_read(text, call->arena, &format);
        buf.len = 0;
        if (format_time(call, i, &format, &m, &buf))
            to[i] = fn_text(call, buf.data, buf.len);
    }
    kp_buf_finish(&buf);
}

#define FUNCTION(type, flags)                                                                                          \
    FN_BINARY("to_char", KP_FUNC_FUNCTION, KP_STRICT | (flags), type, KP_TEXT, KP_TEXT, to_char_time, "formatted")

static const struct kp_func funcs[] = {
    FUNCTION(KP_TIMESTAMP, 0),
    FUNCTION(KP_TIMESTAMPTZ, KP_STABLE),
    FUNCTION(KP_INTERVAL, KP_CAN_FAIL),
};
KP_FUNCTIONS(to_char, funcs);
