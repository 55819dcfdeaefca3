/* Texts of dates and times of day, field by field: vec/datetime_fields.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "vec/datetime_cut.h"

/* What has been said. */
enum {
    HAS_YEAR = 1 << 0,
    HAS_MONTH = 1 << 1,
    HAS_DAY = 1 << 2,
    HAS_HOUR = 1 << 3,
    HAS_MINUTE = 1 << 4,
    HAS_SECOND = 1 << 5,
    HAS_FRACTION = 1 << 6,
    HAS_ZONE = 1 << 7,
    HAS_SUMMER = 1 << 8, /* DST behind a zone */
    HAS_DAY_OF_YEAR = 1 << 9,
    HAS_MERIDIEM = 1 << 10,
    HAS_ERA = 1 << 11,
    HAS_WEEKDAY = 1 << 12,
    HAS_SPECIAL = 1 << 13,
    HAS_DATE = HAS_YEAR | HAS_MONTH | HAS_DAY,
    HAS_TIME = HAS_HOUR | HAS_MINUTE | HAS_SECOND | HAS_FRACTION
};

struct decoder {
    struct moment_fields cut;
    struct kp_moment *moment;
    bool time_only;
    uint32_t has;
    enum label label;
    bool month_by_name, julian, short_year, bc;
    bool moves;       /* it says now, today, tomorrow or yesterday */
    bool abbreviated; /* the zone is an abbreviation, which has one distance at a time */
    int meridiem;     /* 0: none, 1: AM, 2: PM */
    int32_t day_of_year;
};

/* ---- numbers ---- */

/* The digits at *at, which may be none; false: too many. */
static bool take_int(const char **at, int32_t *ret_value)
{
    int64_t value = 0;
    for (; is_digit(**at); ++*at)
        value = KP_MIN(value * 10 + (**at - '0'), (int64_t)INT32_MAX + 1);
    *ret_value = (int32_t)KP_MIN(value, (int64_t)INT32_MAX);
    return value <= INT32_MAX;
}

/* ".digits", of which there may be none, to the end of the text. */
static bool take_part(const char *at, double *ret_part)
{
    char *end;
    *ret_part = 0;
    if (!at[1])
        return true;
    *ret_part = is_digit(at[1]) ? strtod(at, &end) : 0;
    return is_digit(at[1]) && !*end;
}

static enum kp_moment_outcome take_second_part(const char *at, struct decoder *d)
{
    double part;
    if (!take_part(at, &part))
        return KP_MOMENT_SYNTAX;
    d->moment->civil.us = (int32_t)rint(part * 1000000);
    return KP_MOMENT_OK;
}

/* Digits in a row: a date of six or more, or a time of day of four or six, which may have a fraction. */
static enum kp_moment_outcome decode_packed(struct decoder *d, char *text, uint32_t has, uint32_t *ret_says)
{
    struct kp_civil *civil = &d->moment->civil;
    char *point = strchr(text, '.');
    size_t len = point ? (size_t)(point - text) : strlen(text);
    if (point) {
        civil->us = point[1] ? (int32_t)rint(strtod(point, NULL) * 1000000) : 0;
        *point = '\0';
    }
    int32_t value;
    const char *at = text;
    if (!point && (has & HAS_DATE) != HAS_DATE && len >= 6) {
        civil->day = atoi(text + len - 2);
        text[len - 2] = '\0';
        civil->month = atoi(text + len - 4);
        text[len - 4] = '\0';
        (void)take_int(&at, &civil->year);
        d->short_year |= len == 6;
        *ret_says = HAS_DATE;
        return KP_MOMENT_OK;
    }
    if ((has & HAS_TIME) == HAS_TIME || (len != 6 && len != 4))
        return KP_MOMENT_SYNTAX;
    (void)take_int(&at, &value);
    civil->second = len == 6 ? value % 100 : 0;
    value = len == 6 ? value / 100 : value;
    civil->hour = value / 100;
    civil->minute = value % 100;
    *ret_says = HAS_TIME;
    return KP_MOMENT_OK;
}

static uint32_t say(int32_t *to, int32_t value, uint32_t what)
{
    *to = value;
    return what;
}

/* A number by itself: what it is depends on what is known of the date. */
static enum kp_moment_outcome decode_number(struct decoder *d, char *text, bool month_by_name, uint32_t has,
                                            uint32_t *ret_says)
{
    struct kp_civil *civil = &d->moment->civil;
    const char *at = text;
    size_t len = strlen(text);
    int32_t value;
    if (!take_int(&at, &value))
        return KP_MOMENT_RANGE;
    if (at == text)
        return KP_MOMENT_SYNTAX;
    if (*at == '.') {
        if (at - text > 2)
            return decode_packed(d, text, has | HAS_DATE, ret_says);
        enum kp_moment_outcome outcome = take_second_part(at, d);
        if (outcome != KP_MOMENT_OK)
            return outcome;
    } else if (*at) {
        return KP_MOMENT_SYNTAX;
    }
    uint32_t date = has & HAS_DATE;
    if (len == 3 && date == HAS_YEAR && value >= 1 && value <= 366) {
        *ret_says = say(&d->day_of_year, value, HAS_DAY_OF_YEAR | HAS_MONTH | HAS_DAY);
        return KP_MOMENT_OK;
    }
    switch (date) {
    case 0:
        *ret_says = len >= 3 ? say(&civil->year, value, HAS_YEAR) : say(&civil->month, value, HAS_MONTH);
        break;
    case HAS_YEAR:
    case HAS_DAY:
        *ret_says = say(&civil->month, value, HAS_MONTH);
        break;
    case HAS_MONTH:
        *ret_says = month_by_name && len >= 3 ? say(&civil->year, value, HAS_YEAR) : say(&civil->day, value, HAS_DAY);
        break;
    case HAS_YEAR | HAS_MONTH:
        *ret_says = say(&civil->day, value, HAS_DAY);
        if (month_by_name && len >= 3 && d->short_year) { /* what was taken for the year is the day */
            civil->day = civil->year;
            civil->year = value;
            d->short_year = false;
        }
        break;
    case HAS_MONTH | HAS_DAY:
        *ret_says = say(&civil->year, value, HAS_YEAR);
        break;
    case HAS_DATE:
        return decode_packed(d, text, has, ret_says);
    default:
        return KP_MOMENT_SYNTAX;
    }
    if (*ret_says == HAS_YEAR)
        d->short_year = len <= 2;
    return KP_MOMENT_OK;
}

/* ---- dates, clock times, offsets ---- */

/* Parts of digits or letters, anything between them: a month by its name wherever it is, then the numbers in turn. */
static enum kp_moment_outcome decode_date(struct decoder *d, char *text, uint32_t *ret_says)
{
    char *parts[MOMENT_FIELDS_MAX];
    uint32_t count = 0, has = d->has, says;
    bool month_by_name = false;
    *ret_says = 0;
    while (*text && count < MOMENT_FIELDS_MAX) {
        while (*text && !is_alnum(*text))
            text++;
        if (!*text)
            return KP_MOMENT_SYNTAX;
        parts[count++] = text;
        for (bool digits = is_digit(*text); digits ? is_digit(*text) : is_alpha(*text);)
            text++;
        if (*text)
            *text++ = '\0';
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!is_alpha(*parts[i]))
            continue;
        const struct moment_word *word = kp_moment_word(parts[i]);
        if (word && word->kind == WORD_FILLER)
            continue;
        if (!word || word->kind != WORD_MONTH || has & HAS_MONTH)
            return KP_MOMENT_SYNTAX;
        d->moment->civil.month = word->value;
        month_by_name = true;
        has |= HAS_MONTH;
        *ret_says |= HAS_MONTH;
        parts[i] = NULL;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!parts[i])
            continue;
        enum kp_moment_outcome outcome = decode_number(d, parts[i], month_by_name, has, &says);
        if (outcome != KP_MOMENT_OK)
            return outcome;
        if (has & says)
            return KP_MOMENT_SYNTAX;
        has |= says;
        *ret_says |= says;
    }
    return (has & ~(uint32_t)(HAS_DAY_OF_YEAR | HAS_ZONE)) == HAS_DATE ? KP_MOMENT_OK : KP_MOMENT_SYNTAX;
}

/* hh:mm, hh:mm:ss, hh:mm:ss.fraction; mm:ss.fraction. */
static enum kp_moment_outcome decode_clock(struct decoder *d, const char *at)
{
    struct kp_civil *civil = &d->moment->civil;
    int32_t parts[3] = {0};
    uint32_t count = 0;
    do {
        at += count > 0;
        if (count == 3)
            return KP_MOMENT_SYNTAX;
        if (!take_int(&at, &parts[count++]))
            return KP_MOMENT_RANGE;
    } while (*at == ':');
    civil->us = 0;
    enum kp_moment_outcome outcome = *at == '.' ? take_second_part(at, d) : KP_MOMENT_OK;
    if (outcome != KP_MOMENT_OK)
        return outcome;
    bool from_minutes = count == 2 && *at == '.';
    civil->hour = from_minutes ? 0 : parts[0];
    civil->minute = parts[!from_minutes];
    civil->second = from_minutes ? parts[1] : parts[2];
    return civil->minute > 59 || civil->second > 60 ? KP_MOMENT_RANGE : KP_MOMENT_OK;
}

/* +hh, +hhmm, +hh:mm, +hh:mm:ss */
static enum kp_moment_outcome decode_offset(const char *text, int32_t *ret_offset)
{
    if (*text != '+' && *text != '-')
        return KP_MOMENT_SYNTAX;
    const char *at = text + 1;
    int32_t hours, minutes = 0, seconds = 0;
    bool fits = take_int(&at, &hours);
    if (fits && *at == ':') {
        at++;
        fits = take_int(&at, &minutes);
        if (fits && *at == ':') {
            at++;
            fits = take_int(&at, &seconds);
        }
    } else if (!*at && strlen(text) > 3) {
        minutes = hours % 100;
        hours /= 100;
    }
    if (!fits || hours > 15 || minutes > 59 || seconds > 59)
        return KP_MOMENT_ZONE_RANGE;
    *ret_offset = (*text == '-' ? -1 : 1) * ((hours * 60 + minutes) * 60 + seconds);
    return *at ? KP_MOMENT_SYNTAX : KP_MOMENT_OK;
}

static enum kp_moment_outcome take_offset(struct decoder *d, const char *text, uint32_t *ret_says)
{
    *ret_says = HAS_ZONE;
    d->moment->has_offset = true;
    return decode_offset(text, &d->moment->offset);
}

static bool take_zone(struct decoder *d, const char *name, uint32_t *ret_says)
{
    struct kp_error ignored;
    *ret_says = HAS_ZONE;
    return kp_zone_find(kp_str(name), &d->moment->zone, &ignored) == KP_OK;
}

/* 040506-08: a time of day and its offset. */
static enum kp_moment_outcome decode_time_and_offset(struct decoder *d, char *text, uint32_t *ret_says)
{
    char *offset = strchr(text, '-');
    if ((d->has & HAS_TIME) == HAS_TIME || !offset)
        return KP_MOMENT_SYNTAX;
    enum kp_moment_outcome outcome = take_offset(d, offset, ret_says);
    if (outcome != KP_MOMENT_OK)
        return outcome;
    *offset = '\0';
    outcome = decode_packed(d, text, d->has | (d->time_only ? HAS_DATE : 0), ret_says);
    *ret_says |= HAS_ZONE;
    return outcome;
}

static void say_julian(struct decoder *d, int32_t day)
{
    kp_days_to_civil((int64_t)day - 2451545, &d->moment->civil);
    d->julian = true;
}

/* ---- fields ---- */

/* J2451187-08: a day and its offset. */
static enum kp_moment_outcome julian_and_offset(struct decoder *d, const char *text, uint32_t *ret_says)
{
    int32_t day;
    if (!take_int(&text, &day))
        return KP_MOMENT_RANGE;
    say_julian(d, day);
    enum kp_moment_outcome outcome = take_offset(d, text, ret_says);
    *ret_says = HAS_DATE | HAS_TIME | HAS_ZONE;
    d->label = LABEL_NONE;
    return outcome;
}

/* What has the form of a date may be the name of a zone, or a time of day with its offset. */
static enum kp_moment_outcome date_field(struct decoder *d, uint32_t i, uint32_t *ret_says)
{
    char *text = d->cut.fields[i].text;
    bool date;
    if (d->time_only)
        date = i == 0 && d->cut.count >= 2 &&
               (d->cut.fields[d->cut.count - 1].kind == FIELD_DATE || d->cut.fields[1].kind == FIELD_CLOCK);
    else if (d->label == LABEL_JULIAN)
        return julian_and_offset(d, text, ret_says);
    else
        date = !d->label && (d->has & (HAS_MONTH | HAS_DAY)) != (HAS_MONTH | HAS_DAY);
    if (date)
        return decode_date(d, text, ret_says);
    if (is_digit(*text) || (d->label && !d->time_only)) {
        if (d->label && !d->time_only && d->label != LABEL_TIME)
            return KP_MOMENT_SYNTAX;
        d->label = d->time_only ? d->label : LABEL_NONE;
        return decode_time_and_offset(d, text, ret_says);
    }
    if (take_zone(d, text, ret_says))
        return KP_MOMENT_OK;
    size_t len = KP_MIN(strlen(text), sizeof d->moment->zone_name - 1);
    memcpy(d->moment->zone_name, text, len);
    d->moment->zone_name[len] = '\0';
    return KP_MOMENT_ZONE_NAME;
}

static bool time_overflows(const struct kp_civil *civil)
{
    return civil->hour > 24 || civil->minute > 59 || civil->second > 60 || civil->us > KP_SECOND_US ||
           civil->hour * KP_HOUR_US + civil->minute * KP_MINUTE_US + civil->second * KP_SECOND_US + civil->us >
               KP_DAY_US;
}

static enum kp_moment_outcome clock_field(struct decoder *d, const char *text, uint32_t *ret_says)
{
    if (!d->time_only && d->label && d->label != LABEL_TIME)
        return KP_MOMENT_SYNTAX;
    d->label = d->time_only ? d->label : LABEL_NONE;
    *ret_says = HAS_TIME;
    enum kp_moment_outcome outcome = decode_clock(d, text);
    if (outcome == KP_MOMENT_OK && !d->time_only && time_overflows(&d->moment->civil))
        return KP_MOMENT_RANGE;
    return outcome;
}

/* J2452271.5: the time of day is a fraction of it. */
static enum kp_moment_outcome julian_number(struct decoder *d, int32_t day, const char *behind, uint32_t *ret_says)
{
    struct kp_civil *civil = &d->moment->civil;
    double part;
    say_julian(d, day);
    *ret_says = HAS_DATE;
    if (*behind != '.')
        return KP_MOMENT_OK;
    if (!take_part(behind, &part))
        return KP_MOMENT_SYNTAX;
    int64_t us = (int64_t)(part * (double)KP_DAY_US);
    civil->hour = (int32_t)(us / KP_HOUR_US);
    civil->minute = (int32_t)(us / KP_MINUTE_US % 60);
    civil->second = (int32_t)(us / KP_SECOND_US % 60);
    civil->us = (int32_t)(us % KP_SECOND_US);
    *ret_says |= HAS_TIME;
    return KP_MOMENT_OK;
}

/* Y2001M12D27H04M05S06.789, T040506: a letter in front says what the number is. */
static enum kp_moment_outcome labelled_number(struct decoder *d, char *text, uint32_t *ret_says)
{
    struct kp_civil *civil = &d->moment->civil;
    enum label label = d->label;
    const char *at = text;
    int32_t value;
    d->label = LABEL_NONE;
    d->moment->special = KP_MOMENT_PLAIN;
    if (!take_int(&at, &value))
        return KP_MOMENT_RANGE;
    bool may_have_point = label == LABEL_JULIAN || label == LABEL_TIME || label == LABEL_SECOND;
    if (*at && (*at != '.' || !may_have_point))
        return KP_MOMENT_SYNTAX;
    if (label == LABEL_MONTH && (d->has & HAS_MONTH) && (d->has & HAS_HOUR))
        label = LABEL_MINUTE;
    switch (label) {
    case LABEL_YEAR:
        *ret_says = say(&civil->year, value, HAS_YEAR);
        return KP_MOMENT_OK;
    case LABEL_MONTH:
        *ret_says = say(&civil->month, value, HAS_MONTH);
        return KP_MOMENT_OK;
    case LABEL_DAY:
        *ret_says = say(&civil->day, value, HAS_DAY);
        return KP_MOMENT_OK;
    case LABEL_HOUR:
        *ret_says = say(&civil->hour, value, HAS_HOUR);
        return KP_MOMENT_OK;
    case LABEL_MINUTE:
        *ret_says = say(&civil->minute, value, HAS_MINUTE);
        return KP_MOMENT_OK;
    case LABEL_SECOND:
        *ret_says = say(&civil->second, value, *at == '.' ? HAS_SECOND | HAS_FRACTION : HAS_SECOND);
        return *at == '.' ? take_second_part(at, d) : KP_MOMENT_OK;
    case LABEL_JULIAN:
        return julian_number(d, value, at, ret_says);
    case LABEL_TIME: {
        enum kp_moment_outcome outcome = decode_packed(d, text, d->has | HAS_DATE, ret_says);
        return outcome == KP_MOMENT_OK && *ret_says != HAS_TIME ? KP_MOMENT_SYNTAX : outcome;
    }
    default:
        return KP_MOMENT_SYNTAX;
    }
}

static enum kp_moment_outcome number_field(struct decoder *d, uint32_t i, uint32_t *ret_says)
{
    char *text = d->cut.fields[i].text;
    const char *point = strchr(text, '.');
    size_t len = strlen(text);
    if (d->label)
        return labelled_number(d, text, ret_says);
    bool several = point && point - text > 2;
    if (d->time_only) {
        if (point && i == 0 && d->cut.count >= 2 && d->cut.fields[d->cut.count - 1].kind == FIELD_DATE)
            return decode_date(d, text, ret_says);
        if (point ? several : len > 4)
            return decode_packed(d, text, d->has | HAS_DATE, ret_says);
        return point ? KP_MOMENT_SYNTAX : decode_number(d, text, false, d->has | HAS_DATE, ret_says);
    }
    if (point && !(d->has & HAS_DATE))
        return decode_date(d, text, ret_says);
    if (several || (len >= 6 && (!(d->has & HAS_DATE) || !(d->has & HAS_TIME))))
        return decode_packed(d, text, d->has, ret_says);
    return decode_number(d, text, d->month_by_name, d->has, ret_says);
}

static enum kp_moment_outcome special_word(struct decoder *d, enum special special, uint32_t *ret_says)
{
    struct kp_moment *moment = d->moment;
    switch (special) {
    case SPECIAL_ZULU:
        moment->special = KP_MOMENT_PLAIN;
        moment->civil.hour = moment->civil.minute = moment->civil.second = 0;
        moment->has_offset = true;
        moment->offset = 0;
        *ret_says = HAS_TIME | HAS_ZONE;
        return KP_MOMENT_OK;
    case SPECIAL_SUMMER:
        moment->offset += 3600;
        *ret_says = HAS_SUMMER;
        return KP_MOMENT_OK;
    case SPECIAL_NOW:
    case SPECIAL_DAY:
        if (special == SPECIAL_DAY && d->time_only)
            return KP_MOMENT_SYNTAX;
        d->moves = true;
        moment->special = KP_MOMENT_PLAIN;
        moment->civil.year = 2000;
        moment->civil.month = moment->civil.day = 1;
        *ret_says = special == SPECIAL_DAY ? HAS_DATE : d->time_only ? HAS_TIME : HAS_DATE | HAS_TIME | HAS_ZONE;
        return KP_MOMENT_OK;
    default:
        if (d->time_only)
            return KP_MOMENT_SYNTAX;
        moment->special = special == SPECIAL_EPOCH      ? KP_MOMENT_EPOCH
                          : special == SPECIAL_INFINITY ? KP_MOMENT_INFINITY
                                                        : KP_MOMENT_NEG_INFINITY;
        *ret_says = HAS_SPECIAL;
        return KP_MOMENT_OK;
    }
}

static enum kp_moment_outcome label_word(struct decoder *d, uint32_t i, enum label label, uint32_t *ret_says)
{
    bool behind =
        i + 1 < d->cut.count && (d->cut.fields[i + 1].kind == FIELD_NUMBER ||
                                 d->cut.fields[i + 1].kind == FIELD_CLOCK || d->cut.fields[i + 1].kind == FIELD_DATE);
    if (label == LABEL_TIME && (!behind || (!d->time_only && (d->has & HAS_DATE) != HAS_DATE)))
        return KP_MOMENT_SYNTAX;
    d->label = label;
    *ret_says = 0;
    return KP_MOMENT_OK;
}

static enum kp_moment_outcome month_word(struct decoder *d, int32_t month, uint32_t *ret_says)
{
    struct kp_civil *civil = &d->moment->civil;
    *ret_says = HAS_MONTH;
    if ((d->has & HAS_MONTH) && !d->month_by_name && !(d->has & HAS_DAY) && civil->month >= 1 && civil->month <= 31)
        *ret_says = say(&civil->day, civil->month, HAS_DAY); /* a number came first: it is the day */
    d->month_by_name = true;
    civil->month = month;
    return KP_MOMENT_OK;
}

/* An abbreviation is a zone of its own where it has meant several distances. */
static enum kp_moment_outcome zone_word(struct decoder *d, const char *text, uint32_t *ret_says)
{
    const char *of;
    int32_t offset;
    d->abbreviated = kp_zone_abbreviation(kp_str(text), &offset, &of);
    if (!d->abbreviated || of)
        return take_zone(d, text, ret_says) ? KP_MOMENT_OK : KP_MOMENT_SYNTAX;
    d->moment->has_offset = true;
    d->moment->offset = offset;
    *ret_says = HAS_ZONE;
    return KP_MOMENT_OK;
}

static enum kp_moment_outcome word_field(struct decoder *d, uint32_t i, uint32_t *ret_says)
{
    const struct moment_word *word = kp_moment_word(d->cut.fields[i].text);
    if (!word)
        return zone_word(d, d->cut.fields[i].text, ret_says);
    if (d->time_only && (word->kind == WORD_MONTH || word->kind == WORD_WEEKDAY))
        return KP_MOMENT_SYNTAX;
    switch (word->kind) {
    case WORD_MONTH:
        return month_word(d, word->value, ret_says);
    case WORD_LABEL:
        return label_word(d, i, (enum label)word->value, ret_says);
    case WORD_SPECIAL:
        return special_word(d, (enum special)word->value, ret_says);
    case WORD_MERIDIEM:
        *ret_says = say(&d->meridiem, word->value, HAS_MERIDIEM);
        return KP_MOMENT_OK;
    case WORD_ERA:
        d->bc = word->value;
        *ret_says = HAS_ERA;
        return KP_MOMENT_OK;
    case WORD_WEEKDAY:
        *ret_says = HAS_WEEKDAY;
        return KP_MOMENT_OK;
    default:
        *ret_says = 0;
        return KP_MOMENT_OK;
    }
}

static enum kp_moment_outcome decode_field(struct decoder *d, uint32_t i, uint32_t *ret_says)
{
    switch (d->cut.fields[i].kind) {
    case FIELD_DATE:
        return date_field(d, i, ret_says);
    case FIELD_CLOCK:
        return clock_field(d, d->cut.fields[i].text, ret_says);
    case FIELD_OFFSET:
        return take_offset(d, d->cut.fields[i].text, ret_says);
    case FIELD_NUMBER:
        return number_field(d, i, ret_says);
    default:
        return word_field(d, i, ret_says);
    }
}

/* ---- when all fields are in ---- */

static enum kp_moment_outcome settle_date(struct decoder *d)
{
    struct kp_civil *civil = &d->moment->civil;
    if ((d->has & HAS_YEAR) && !d->julian) {
        if (d->short_year && !d->bc)
            civil->year += civil->year < 70 ? 2000 : civil->year < 100 ? 1900 : 0;
        else if (civil->year <= 0)
            return KP_MOMENT_RANGE;
        if (d->bc)
            civil->year = 1 - civil->year;
    }
    if (d->has & HAS_DAY_OF_YEAR)
        kp_days_to_civil(kp_days_from_civil(civil->year, 1, 1) + d->day_of_year - 1, civil);
    if (((d->has & HAS_MONTH) && (civil->month < 1 || civil->month > 12)) ||
        ((d->has & HAS_DAY) && (civil->day < 1 || civil->day > 31)))
        return KP_MOMENT_DAY_RANGE;
    bool whole = (d->has & HAS_DATE) == HAS_DATE;
    return whole && civil->day > kp_month_days(civil->year, civil->month) ? KP_MOMENT_RANGE : KP_MOMENT_OK;
}

static enum kp_moment_outcome settle_time(struct decoder *d)
{
    struct kp_civil *civil = &d->moment->civil;
    if (d->meridiem && civil->hour > 12)
        return KP_MOMENT_RANGE;
    if (d->meridiem == 1 && civil->hour == 12)
        civil->hour = 0;
    else if (d->meridiem == 2 && civil->hour != 12)
        civil->hour += 12;
    if (!d->time_only)
        return KP_MOMENT_OK;
    if (time_overflows(civil))
        return KP_MOMENT_RANGE;
    uint32_t date = d->has & HAS_DATE; /* all of it, where it is needed */
    const struct kp_zone *zone = d->moment->zone;
    if (zone && d->abbreviated && !date) { /* what it means nowadays */
        d->moment->has_offset = true;
        d->moment->offset = kp_zone_offset_at(zone, KP_TIMESTAMP_END - 1, NULL);
    }
    bool needed = zone && !d->abbreviated ? !kp_zone_is_fixed(zone) : (zone || !(d->has & HAS_ZONE)) && date;
    return (d->has & HAS_TIME) != HAS_TIME || (needed && date != HAS_DATE) ? KP_MOMENT_SYNTAX : KP_MOMENT_OK;
}

enum kp_moment_outcome kp_moment_read(struct kp_str text, bool time_only, struct kp_moment *ret_moment)
{
    struct decoder d = {.moment = ret_moment, .time_only = time_only};
    *ret_moment = (struct kp_moment){.special = KP_MOMENT_PLAIN};
    enum kp_moment_outcome outcome = kp_moment_cut(text, &d.cut);
    for (uint32_t i = 0; i < d.cut.count && outcome == KP_MOMENT_OK; i++) {
        uint32_t says = 0;
        outcome = decode_field(&d, i, &says);
        if (outcome == KP_MOMENT_OK && says & d.has)
            outcome = KP_MOMENT_SYNTAX;
        d.has |= says;
    }
    if (outcome == KP_MOMENT_OK)
        outcome = settle_date(&d);
    if (outcome == KP_MOMENT_OK)
        outcome = settle_time(&d);
    if (outcome != KP_MOMENT_OK || ret_moment->special)
        return outcome;
    ret_moment->dated = (d.has & HAS_DATE) == HAS_DATE;
    bool summer_of_none = (d.has & HAS_SUMMER) && (!(d.has & HAS_ZONE) || ret_moment->zone);
    if (summer_of_none || (!time_only && !ret_moment->dated))
        return KP_MOMENT_SYNTAX;
    return d.moves ? KP_MOMENT_MOVES : KP_MOMENT_OK;
}
