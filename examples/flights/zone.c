/*
 * Clock times in zones of the United States. Daylight saving, where it is kept, was from the second Sunday of March to
 * the first of November, at two in the morning: airports.csv says which airports keep it (dst A) and their offset (tz).
 */
#include "flights.h"

#include <stdio.h>

const struct zone new_york = {-5, true};

int64_t days_of(int year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year; /* years that begin in March end with the leap day */
    int64_t era = y / 400, of_era = y - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static void date_of(int64_t days, int *ret_year, int *ret_month, int *ret_day)
{
    int64_t z = days + 719468, era = z / 146097, of_era = z - era * 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100), m = (5 * of_year + 2) / 153;
    *ret_day = (int)(of_year - (153 * m + 2) / 5 + 1);
    *ret_month = (int)(m < 10 ? m + 3 : m - 9);
    *ret_year = (int)(year + era * 400 + (*ret_month <= 2));
}

/* The days since 1970 of the n-th Sunday of a month. 1970-01-01 was a Thursday. */
static int64_t sunday(int year, int month, int nth)
{
    int64_t first = days_of(year, month, 1);
    return first + (10 - first % 7) % 7 + 7 * (nth - 1);
}

int64_t zone_offset_s(struct zone zone, int64_t at_s)
{
    int64_t standard = zone.hours * (int64_t)3600;
    if (!zone.daylight)
        return standard;
    int year, month, day;
    date_of((at_s + standard) / 86400, &year, &month, &day);
    int64_t begin = sunday(year, 3, 2) * 86400 + 7200 - standard,
            end = sunday(year, 11, 1) * 86400 + 7200 - standard - 3600;
    return at_s >= begin && at_s < end ? standard + 3600 : standard;
}

int64_t zone_instant(struct zone zone, int year, int month, int day, int minutes)
{
    int64_t local = days_of(year, month, day) * 86400 + minutes * (int64_t)60;
    int64_t standard = local - zone.hours * (int64_t)3600, daylight = standard - 3600;
    /* in the hour that clocks show twice, the first */
    return zone_offset_s(zone, daylight) != zone.hours * (int64_t)3600 ? daylight : standard;
}

int64_t zone_next(struct zone zone, int64_t at_s, int minutes)
{
    int64_t days = (at_s + zone_offset_s(zone, at_s)) / 86400;
    for (;; days++) {
        int year, month, day;
        date_of(days, &year, &month, &day);
        int64_t instant = zone_instant(zone, year, month, day, minutes);
        if (instant > at_s)
            return instant;
    }
}

void zone_print(struct zone zone, int64_t at_s, struct kp_buf *out)
{
    int64_t offset = zone_offset_s(zone, at_s), local = at_s + offset;
    int year, month, day, second = (int)(local % 86400);
    date_of(local / 86400, &year, &month, &day);
    kp_buf_printf(out, "%04d-%02d-%02dT%02d:%02d:%02d%c%02d:00", year, month, day, second / 3600, second / 60 % 60,
                  second % 60, offset < 0 ? '-' : '+', (int)((offset < 0 ? -offset : offset) / 3600));
}
