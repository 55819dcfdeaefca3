/* The calendar, and the ISO text of dates, times, timestamps and intervals. */
#include "vec/datetime.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- calendar ---- */

enum { DAYS_0000_03_01_TO_2000 = 730425 };

int64_t kp_days_from_civil(int64_t year, int month, int day)
{
    year -= month <= 2; /* years begin in March, so that the leap day is last */
    int64_t era = kp_floor_div(year, 400), year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
           DAYS_0000_03_01_TO_2000;
}

void kp_days_to_civil(int64_t days, struct kp_civil *ret_civil)
{
    days += DAYS_0000_03_01_TO_2000;
    int64_t era = kp_floor_div(days, 146097), day = days - era * 146097;
    int64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    int64_t day_of_year = day - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * day_of_year + 2) / 153;
    ret_civil->day = (int32_t)(day_of_year - (153 * month + 2) / 5 + 1);
    ret_civil->month = (int32_t)(month < 10 ? month + 3 : month - 9);
    ret_civil->year = (int32_t)(year + era * 400 + (ret_civil->month <= 2));
}

int kp_month_days(int64_t year, int month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && leap);
}

void kp_timestamp_to_civil(int64_t us, struct kp_civil *ret_civil)
{
    int64_t days = kp_floor_div(us, KP_DAY_US), rest = us - days * KP_DAY_US;
    kp_days_to_civil(days, ret_civil);
    ret_civil->hour = (int32_t)(rest / KP_HOUR_US);
    ret_civil->minute = (int32_t)(rest / KP_MINUTE_US % 60);
    ret_civil->second = (int32_t)(rest / KP_SECOND_US % 60);
    ret_civil->us = (int32_t)(rest % KP_SECOND_US);
}

bool kp_civil_us(const struct kp_civil *civil, int64_t *ret_us)
{
    int64_t days = kp_days_from_civil(civil->year, civil->month, civil->day), us;
    int64_t rest = civil->hour * KP_HOUR_US + civil->minute * KP_MINUTE_US + civil->second * KP_SECOND_US + civil->us;
    if (__builtin_mul_overflow(days, KP_DAY_US, &us) || __builtin_add_overflow(us, rest, &us))
        return false;
    *ret_us = us;
    return true;
}

bool kp_timestamp_from_civil(const struct kp_civil *civil, int64_t *ret_us)
{
    int64_t us;
    if (!kp_civil_us(civil, &us) || !kp_timestamp_in_range(us))
        return false;
    *ret_us = us;
    return true;
}

int kp_iso_week(int32_t year, int month, int day, int32_t *ret_iso_year)
{
    int64_t days = kp_days_from_civil(year, month, day);
    int64_t weekday = ((days + 5) % 7 + 7) % 7; /* Monday 0; 2000-01-01 was a Saturday */
    int64_t thursday = days - weekday + 3;      /* the week's year is its Thursday's */
    struct kp_civil civil;
    kp_days_to_civil(thursday, &civil);
    if (ret_iso_year)
        *ret_iso_year = civil.year;
    return (int)((thursday - kp_days_from_civil(civil.year, 1, 1)) / 7 + 1);
}

bool kp_timestamp_to_utc(int64_t local_us, const struct kp_zone *zone, int64_t *ret_us)
{
    int64_t us = local_us;
    if (kp_timestamp_is_finite(local_us)) {
        int64_t offset_us = kp_zone_offset_of_local(zone, local_us) * KP_SECOND_US;
        if (__builtin_sub_overflow(local_us, offset_us, &us) || !kp_timestamp_in_range(us))
            return false;
    }
    *ret_us = us;
    return true;
}

bool kp_timestamp_to_local(int64_t us, const struct kp_zone *zone, int64_t *ret_local_us)
{
    int64_t local = us;
    if (kp_timestamp_is_finite(us)) {
        int64_t offset_us = kp_zone_offset_at(zone, us, NULL) * KP_SECOND_US;
        if (__builtin_add_overflow(us, offset_us, &local) || !kp_timestamp_in_range(local))
            return false;
    }
    *ret_local_us = local;
    return true;
}

int64_t kp_us_round(int64_t us, int precision)
{
    static const int64_t units[] = {1000000, 100000, 10000, 1000, 100, 10, 1};
    if (precision < 0 || precision >= 6)
        return us;
    int64_t unit = units[precision], half = unit / 2;
    return us >= 0 ? (us + half) / unit * unit : -((-us + half) / unit * unit);
}

/* ---- output ---- */

static void append_two(struct kp_buf *out, int number)
{
    uint8_t *at = kp_buf_reserve(out, 2);
    at[0] = (uint8_t)('0' + number / 10);
    at[1] = (uint8_t)('0' + number % 10);
    out->len += 2;
}

static void append_fraction(struct kp_buf *out, int32_t us)
{
    if (us == 0)
        return;
    char digits[8];
    int len = snprintf(digits, sizeof digits, ".%06d", us);
    while (digits[len - 1] == '0')
        len--;
    kp_buf_append(out, digits, (size_t)len);
}

static void append_date(struct kp_buf *out, const struct kp_civil *civil)
{
    int32_t year = civil->year > 0 ? civil->year : 1 - civil->year;
    if (year <= 9999) {
        append_two(out, year / 100);
        append_two(out, year % 100);
    } else {
        kp_buf_printf(out, "%d", year);
    }
    kp_buf_append_byte(out, '-');
    append_two(out, civil->month);
    kp_buf_append_byte(out, '-');
    append_two(out, civil->day);
}

static void append_clock(struct kp_buf *out, int hour, int minute, int second, int32_t us)
{
    append_two(out, hour);
    kp_buf_append_byte(out, ':');
    append_two(out, minute);
    kp_buf_append_byte(out, ':');
    append_two(out, second);
    append_fraction(out, us);
}

void kp_date_print(int32_t date, struct kp_buf *out)
{
    if (!kp_date_is_finite(date)) {
        kp_buf_append_text(out, date < 0 ? "-infinity" : "infinity");
        return;
    }
    struct kp_civil civil;
    kp_days_to_civil(date, &civil);
    append_date(out, &civil);
    if (civil.year <= 0)
        kp_buf_append_text(out, " BC");
}

void kp_time_print(int64_t us, struct kp_buf *out)
{
    append_clock(out, (int)(us / KP_HOUR_US), (int)(us / KP_MINUTE_US % 60), (int)(us / KP_SECOND_US % 60),
                 (int32_t)(us % KP_SECOND_US));
}

/* +05, +05:30, -00:52:58 */
static void append_offset(int32_t offset, struct kp_buf *out)
{
    int32_t magnitude = abs(offset);
    kp_buf_append_byte(out, offset < 0 ? '-' : '+');
    append_two(out, magnitude / 3600);
    if (magnitude % 3600) {
        kp_buf_append_byte(out, ':');
        append_two(out, magnitude / 60 % 60);
    }
    if (magnitude % 60) {
        kp_buf_append_byte(out, ':');
        append_two(out, magnitude % 60);
    }
}

void kp_timetz_print(const struct kp_timetz *value, struct kp_buf *out)
{
    kp_time_print(value->us, out);
    append_offset(-value->west_s, out);
}

static bool append_infinity(int64_t us, struct kp_buf *out)
{
    if (kp_timestamp_is_finite(us))
        return false;
    kp_buf_append_text(out, us < 0 ? "-infinity" : "infinity");
    return true;
}

static void append_timestamp(int64_t us, char separator, struct kp_buf *out, bool *ret_bc)
{
    struct kp_civil civil;
    kp_timestamp_to_civil(us, &civil);
    append_date(out, &civil);
    kp_buf_append_byte(out, (uint8_t)separator);
    append_clock(out, civil.hour, civil.minute, civil.second, civil.us);
    *ret_bc = civil.year <= 0;
}

void kp_timestamp_print(int64_t us, char separator, struct kp_buf *out)
{
    bool bc;
    if (append_infinity(us, out))
        return;
    append_timestamp(us, separator, out, &bc);
    if (bc)
        kp_buf_append_text(out, " BC");
}

void kp_timestamptz_print(int64_t us, const struct kp_zone *zone, char separator, struct kp_buf *out)
{
    bool bc;
    if (append_infinity(us, out))
        return;
    int32_t offset = kp_zone_offset_at(zone, us, NULL);
    append_timestamp(us + offset * KP_SECOND_US, separator, out, &bc);
    append_offset(offset, out);
    if (bc)
        kp_buf_append_text(out, " BC");
}

void kp_timestamptz_print_json(int64_t us, const struct kp_zone *zone, struct kp_buf *out)
{
    bool bc;
    if (append_infinity(us, out))
        return;
    int32_t offset = kp_zone_offset_at(zone, us, NULL), magnitude = abs(offset);
    append_timestamp(us + offset * KP_SECOND_US, 'T', out, &bc);
    if (!offset) {
        kp_buf_append_byte(out, 'Z');
    } else {
        kp_buf_append_byte(out, offset < 0 ? '-' : '+');
        append_two(out, magnitude / 3600);
        kp_buf_append_byte(out, ':');
        append_two(out, magnitude / 60 % 60);
        if (magnitude % 60) {
            kp_buf_append_byte(out, ':');
            append_two(out, magnitude % 60);
        }
    }
    if (bc)
        kp_buf_append_text(out, " BC");
}

/* "3 days": a sign only where it differs from what a reader would carry over from the part before. */
static void append_part(struct kp_buf *out, int32_t value, const char *unit, bool *empty, bool *before)
{
    if (value == 0)
        return;
    kp_buf_printf(out, "%s%s%d %s%s", *empty ? "" : " ", *before && value > 0 ? "+" : "", value, unit,
                  value != 1 ? "s" : "");
    *before = value < 0;
    *empty = false;
}

void kp_interval_print(const struct kp_interval *interval, struct kp_buf *out)
{
    bool empty = true, before = false;
    append_part(out, interval->months / 12, "year", &empty, &before);
    append_part(out, interval->months % 12, "mon", &empty, &before);
    append_part(out, interval->days, "day", &empty, &before);
    if (!empty && interval->us == 0)
        return;
    uint64_t us = interval->us < 0 ? 0 - (uint64_t)interval->us : (uint64_t)interval->us;
    uint64_t hours = us / KP_HOUR_US;
    kp_buf_printf(out, "%s%s%02llu", empty ? "" : " ",
                  interval->us < 0 ? "-"
                  : before         ? "+"
                                   : "",
                  (unsigned long long)hours);
    kp_buf_append_byte(out, ':');
    append_two(out, (int)(us / KP_MINUTE_US % 60));
    kp_buf_append_byte(out, ':');
    append_two(out, (int)(us / KP_SECOND_US % 60));
    append_fraction(out, (int32_t)(us % KP_SECOND_US));
}
