/*
 * to_char of timestamps. A template is read from left to right by the longest keyword; text in double quotes and
 * everything that is no keyword is copied. FM before a keyword takes padding away, TH or th behind it adds an ordinal's
 * ending.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "vec/datetime.h"
#include "vec/fn.h"

enum key {
    KEY_AD,
    KEY_ad,
    KEY_AD_DOTS,
    KEY_ad_dots,
    KEY_AM,
    KEY_am,
    KEY_AM_DOTS,
    KEY_am_dots,
    KEY_CC,
    KEY_DAY,
    KEY_Day,
    KEY_day,
    KEY_DDD,
    KEY_DD,
    KEY_DY,
    KEY_Dy,
    KEY_dy,
    KEY_D,
    KEY_FF,
    KEY_HH24,
    KEY_HH12,
    KEY_IDDD,
    KEY_ID,
    KEY_IW,
    KEY_IYYY,
    KEY_IYY,
    KEY_IY,
    KEY_I,
    KEY_J,
    KEY_MI,
    KEY_MM,
    KEY_MONTH,
    KEY_Month,
    KEY_month,
    KEY_MON,
    KEY_Mon,
    KEY_mon,
    KEY_MS,
    KEY_OF,
    KEY_Q,
    KEY_RM,
    KEY_rm,
    KEY_SSSS,
    KEY_SS,
    KEY_TZH,
    KEY_TZM,
    KEY_TZ,
    KEY_tz,
    KEY_US,
    KEY_WW,
    KEY_W,
    KEY_Y_YYY,
    KEY_YYYY,
    KEY_YYY,
    KEY_YY,
    KEY_Y
};

/* Longer keywords before their beginnings. Exact case first where case means something; the rest match in any case. */
static const struct {
    const char *text;
    bool any_case;
    enum key key;
} keys[] = {
    {"A.D.", false, KEY_AD_DOTS}, {"B.C.", false, KEY_AD_DOTS}, {"a.d.", false, KEY_ad_dots},
    {"b.c.", false, KEY_ad_dots}, {"A.M.", false, KEY_AM_DOTS}, {"P.M.", false, KEY_AM_DOTS},
    {"a.m.", false, KEY_am_dots}, {"p.m.", false, KEY_am_dots}, {"AD", false, KEY_AD},
    {"BC", false, KEY_AD},        {"ad", false, KEY_ad},        {"bc", false, KEY_ad},
    {"AM", false, KEY_AM},        {"PM", false, KEY_AM},        {"am", false, KEY_am},
    {"pm", false, KEY_am},        {"CC", true, KEY_CC},         {"DAY", false, KEY_DAY},
    {"Day", false, KEY_Day},      {"day", false, KEY_day},      {"DDD", true, KEY_DDD},
    {"DD", true, KEY_DD},         {"DY", false, KEY_DY},        {"Dy", false, KEY_Dy},
    {"dy", false, KEY_dy},        {"D", true, KEY_D},           {"FF1", true, KEY_FF},
    {"FF2", true, KEY_FF},        {"FF3", true, KEY_FF},        {"FF4", true, KEY_FF},
    {"FF5", true, KEY_FF},        {"FF6", true, KEY_FF},        {"HH24", true, KEY_HH24},
    {"HH12", true, KEY_HH12},     {"HH", true, KEY_HH12},       {"IDDD", true, KEY_IDDD},
    {"ID", true, KEY_ID},         {"IW", true, KEY_IW},         {"IYYY", true, KEY_IYYY},
    {"IYY", true, KEY_IYY},       {"IY", true, KEY_IY},         {"I", true, KEY_I},
    {"J", true, KEY_J},           {"MI", true, KEY_MI},         {"MM", true, KEY_MM},
    {"MONTH", false, KEY_MONTH},  {"Month", false, KEY_Month},  {"month", false, KEY_month},
    {"MON", false, KEY_MON},      {"Mon", false, KEY_Mon},      {"mon", false, KEY_mon},
    {"MS", true, KEY_MS},         {"OF", true, KEY_OF},         {"Q", true, KEY_Q},
    {"RM", false, KEY_RM},        {"rm", false, KEY_rm},        {"SSSSS", true, KEY_SSSS},
    {"SSSS", true, KEY_SSSS},     {"SS", true, KEY_SS},         {"TZH", true, KEY_TZH},
    {"TZM", true, KEY_TZM},       {"TZ", false, KEY_TZ},        {"tz", false, KEY_tz},
    {"US", true, KEY_US},         {"WW", true, KEY_WW},         {"W", true, KEY_W},
    {"Y,YYY", true, KEY_Y_YYY},   {"YYYY", true, KEY_YYYY},     {"YYY", true, KEY_YYY},
    {"YY", true, KEY_YY},         {"Y", true, KEY_Y},
};

static const char *const months[] = {"January", "February", "March",     "April",   "May",      "June",
                                     "July",    "August",   "September", "October", "November", "December"};
static const char *const days[] = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};
static const char *const romans[] = {"I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"};

struct moment {
    struct kp_civil civil;
    int64_t day; /* since 2000-01-01 */
    int32_t offset;
    const char *abbreviation;
    bool zoned;
};

enum letters { LETTERS_UPPER, LETTERS_CAPITAL, LETTERS_LOWER };

static void append_name(struct kp_buf *out, const char *name, size_t len, enum letters letters, int width)
{
    for (size_t i = 0; i < len; i++) {
        int c = (unsigned char)name[i];
        c = letters == LETTERS_UPPER || (letters == LETTERS_CAPITAL && i == 0) ? toupper(c) : tolower(c);
        kp_buf_append_byte(out, (uint8_t)c);
    }
    for (size_t i = len; (int)i < width; i++)
        kp_buf_append_byte(out, ' ');
}

static void append_number(struct kp_buf *out, int64_t value, int width, bool fill)
{
    kp_buf_printf(out, "%0*lld", fill ? width + (value < 0) : 0, (long long)value);
}

/* "st", "nd", "rd" or "th" for the number just written, which ends the buffer. */
static void append_ordinal(struct kp_buf *out, bool upper)
{
    uint8_t last = out->len ? out->data[out->len - 1] : '0', before = out->len > 1 ? out->data[out->len - 2] : '0';
    const char *ending = before == '1' ? "th" : last == '1' ? "st" : last == '2' ? "nd" : last == '3' ? "rd" : "th";
    kp_buf_append_byte(out, (uint8_t)(upper ? toupper(ending[0]) : ending[0]));
    kp_buf_append_byte(out, (uint8_t)(upper ? toupper(ending[1]) : ending[1]));
}

static void append_offset(struct kp_buf *out, int32_t offset, bool minutes_too)
{
    int32_t magnitude = abs(offset);
    kp_buf_printf(out, "%c%02d", offset < 0 ? '-' : '+', magnitude / 3600);
    if (minutes_too && magnitude % 3600)
        kp_buf_printf(out, ":%02d", magnitude / 60 % 60);
}

static void append_names(struct kp_buf *out, enum key key, const struct moment *m, bool fill)
{
    const struct kp_civil *c = &m->civil;
    int weekday = (int)(((m->day + 6) % 7 + 7) % 7);
    const char *month = months[c->month - 1], *day = days[weekday];
    switch (key) {
    case KEY_DAY:
    case KEY_Day:
    case KEY_day:
        append_name(out, day, strlen(day), (enum letters)(key - KEY_DAY), fill ? 9 : 0);
        break;
    case KEY_DY:
    case KEY_Dy:
    case KEY_dy:
        append_name(out, day, 3, (enum letters)(key - KEY_DY), 0);
        break;
    case KEY_MONTH:
    case KEY_Month:
    case KEY_month:
        append_name(out, month, strlen(month), (enum letters)(key - KEY_MONTH), fill ? 9 : 0);
        break;
    case KEY_MON:
    case KEY_Mon:
    case KEY_mon:
        append_name(out, month, 3, (enum letters)(key - KEY_MON), 0);
        break;
    case KEY_RM:
    case KEY_rm: {
        const char *roman = romans[c->month - 1];
        append_name(out, roman, strlen(roman), key == KEY_RM ? LETTERS_UPPER : LETTERS_LOWER, fill ? 4 : 0);
        break;
    }
    case KEY_AD:
    case KEY_ad:
    case KEY_AD_DOTS:
    case KEY_ad_dots: {
        static const char *const names[2][4] = {{"AD", "ad", "A.D.", "a.d."}, {"BC", "bc", "B.C.", "b.c."}};
        kp_buf_append_text(out, names[c->year <= 0][key - KEY_AD]);
        break;
    }
    case KEY_AM:
    case KEY_am:
    case KEY_AM_DOTS:
    case KEY_am_dots: {
        static const char *const names[2][4] = {{"AM", "am", "A.M.", "a.m."}, {"PM", "pm", "P.M.", "p.m."}};
        kp_buf_append_text(out, names[c->hour >= 12][key - KEY_AM]);
        break;
    }
    case KEY_TZ:
        if (m->zoned)
            kp_buf_append_text(out, m->abbreviation);
        break;
    case KEY_tz:
        if (m->zoned)
            append_name(out, m->abbreviation, strlen(m->abbreviation), LETTERS_LOWER, 0);
        break;
    case KEY_TZH:
        append_offset(out, m->offset, false);
        break;
    case KEY_TZM:
        kp_buf_printf(out, "%02d", abs(m->offset) / 60 % 60);
        break;
    default:
        append_offset(out, m->offset, true);
    }
}

/* Keywords that stand for a number: its value and width; false for the others. */
static bool number_of(enum key key, const struct moment *m, char digit, int64_t *ret_value, int *ret_width)
{
    const struct kp_civil *c = &m->civil;
    static const int32_t fraction_units[] = {100000, 10000, 1000, 100, 10, 1};
    int32_t iso_year;
    int iso_week = kp_iso_week(c->year, c->month, c->day, &iso_year);
    int64_t shown_year = c->year > 0 ? c->year : 1 - c->year, shown_iso = iso_year > 0 ? iso_year : 1 - iso_year;
    int64_t day_of_year = m->day - kp_days_from_civil(c->year, 1, 1) + 1;
    int64_t weekday = ((m->day + 6) % 7 + 7) % 7;
    int64_t value;
    int width = 2;
    switch (key) {
    case KEY_CC:
        value = c->year > 0 ? (c->year + 99) / 100 : c->year / 100 - 1;
        break;
    case KEY_DDD:
        value = day_of_year, width = 3;
        break;
    case KEY_DD:
        value = c->day;
        break;
    case KEY_D:
        value = weekday + 1, width = 1;
        break;
    case KEY_FF:
        value = c->us / fraction_units[digit - '1'], width = digit - '0';
        break;
    case KEY_HH24:
        value = c->hour;
        break;
    case KEY_HH12:
        value = c->hour % 12 == 0 ? 12 : c->hour % 12;
        break;
    case KEY_IDDD:
        value = (iso_week - 1) * 7 + (weekday ? weekday : 7), width = 3;
        break;
    case KEY_ID:
        value = weekday ? weekday : 7, width = 1;
        break;
    case KEY_IW:
        value = iso_week;
        break;
    case KEY_IYYY:
        value = shown_iso, width = 4;
        break;
    case KEY_IYY:
        value = shown_iso % 1000, width = 3;
        break;
    case KEY_IY:
        value = shown_iso % 100;
        break;
    case KEY_I:
        value = shown_iso % 10, width = 1;
        break;
    case KEY_J:
        value = m->day + 2451545, width = 1;
        break;
    case KEY_MI:
        value = c->minute;
        break;
    case KEY_MM:
        value = c->month;
        break;
    case KEY_MS:
        value = c->us / 1000, width = 3;
        break;
    case KEY_Q:
        value = (c->month - 1) / 3 + 1, width = 1;
        break;
    case KEY_SSSS:
        value = c->hour * 3600 + c->minute * 60 + c->second, width = 1;
        break;
    case KEY_SS:
        value = c->second;
        break;
    case KEY_US:
        value = c->us, width = 6;
        break;
    case KEY_WW:
        value = (day_of_year - 1) / 7 + 1;
        break;
    case KEY_W:
        value = (c->day - 1) / 7 + 1, width = 1;
        break;
    case KEY_YYYY:
        value = shown_year, width = 4;
        break;
    case KEY_YYY:
        value = shown_year % 1000, width = 3;
        break;
    case KEY_YY:
        value = shown_year % 100;
        break;
    case KEY_Y:
        value = shown_year % 10, width = 1;
        break;
    default:
        return false;
    }
    *ret_value = value;
    *ret_width = width;
    return true;
}

static size_t find_key(const char *at, size_t len)
{
    for (size_t k = 0; k < KP_COUNT(keys); k++) {
        size_t key_len = strlen(keys[k].text);
        if (key_len <= len &&
            (keys[k].any_case ? strncasecmp(at, keys[k].text, key_len) : strncmp(at, keys[k].text, key_len)) == 0)
            return k;
    }
    return KP_COUNT(keys);
}

static bool prefixed(struct kp_str rest, const char *prefix)
{
    return rest.len >= strlen(prefix) && strncmp(rest.ptr, prefix, strlen(prefix)) == 0;
}

static void append_grouped_year(struct kp_buf *out, int32_t year)
{
    int32_t shown = year > 0 ? year : 1 - year;
    kp_buf_printf(out, "%d,%03d", shown / 1000, shown % 1000);
}

static void format_time(struct kp_str format, const struct moment *m, struct kp_buf *out)
{
    bool fill = true;
    for (size_t i = 0; i < format.len;) {
        struct kp_str rest = {format.ptr + i, format.len - i};
        if (rest.len >= 2 && strncasecmp(rest.ptr, "FM", 2) == 0) {
            fill = false;
            i += 2;
            continue;
        }
        if (*rest.ptr == '"') {
            for (i++; i < format.len && format.ptr[i] != '"'; i++) {
                i += format.ptr[i] == '\\' && i + 1 < format.len;
                kp_buf_append_byte(out, (uint8_t)format.ptr[i]);
            }
            i++;
            continue;
        }
        size_t k = find_key(rest.ptr, rest.len);
        if (k == KP_COUNT(keys)) {
            kp_buf_append_byte(out, (uint8_t)*rest.ptr);
            i++;
            continue;
        }
        int64_t value;
        int width;
        size_t key_len = strlen(keys[k].text);
        i += key_len;
        rest = (struct kp_str){format.ptr + i, format.len - i};
        if (number_of(keys[k].key, m, rest.ptr[-1], &value, &width))
            append_number(out, value, width,
                          fill || keys[k].key == KEY_MS || keys[k].key == KEY_US || keys[k].key == KEY_FF);
        else if (keys[k].key == KEY_Y_YYY)
            append_grouped_year(out, m->civil.year);
        else
            append_names(out, keys[k].key, m, fill);
        if (prefixed(rest, "TH") || prefixed(rest, "th")) {
            append_ordinal(out, rest.ptr[0] == 'T');
            i += 2;
        }
        fill = true;
    }
}

static void to_char_time(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    bool zoned = args[0]->type.id == KP_TIMESTAMPTZ, owned = false;
    struct kp_buf buf = {0};
    struct kp_text *to = out->data;
    for (uint32_t i = 0; i < call->rows; i++) {
        int64_t us = FN_AT(int64_t, 0, i);
        struct kp_str format = kp_text_str(&FN_AT(struct kp_text, 1, i));
        to[i] = kp_text_make(NULL, 0);
        if (kp_vec_is_null(out, i))
            continue;
        if (format.len == 0 || !kp_timestamp_is_finite(us)) {
            fn_set_null(call, out, i, &owned);
            continue;
        }
        struct moment m = {.abbreviation = "", .zoned = zoned};
        if (zoned)
            m.offset = kp_zone_offset_at(fn_zone(call), us, &m.abbreviation);
        kp_timestamp_to_civil(us + m.offset * KP_SECOND_US, &m.civil);
        m.day = kp_days_from_civil(m.civil.year, m.civil.month, m.civil.day);
        buf.len = 0;
        format_time(format, &m, &buf);
        to[i] = fn_text(call, buf.data, buf.len);
    }
    kp_buf_finish(&buf);
}

#define FUNCTION(type, flags)                                                                                          \
    FN_BINARY("to_char", KP_FUNC_FUNCTION, KP_STRICT | (flags), type, KP_TEXT, KP_TEXT, to_char_time, "formatted")

static const struct kp_func funcs[] = {
    FUNCTION(KP_TIMESTAMP, 0),
    FUNCTION(KP_TIMESTAMPTZ, KP_STABLE),
};
KP_FUNCTIONS(to_char, funcs);
