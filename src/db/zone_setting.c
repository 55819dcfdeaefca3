/*
 * TimeZone as SET takes it. Besides names of zones that is an offset, east of UTC: hours, SET TIME ZONE -3.5, or an
 * interval, which statements say as INTERVAL '…'. Both are shown, and kept in the log, as the POSIX zone that they are,
 * whose sign is the other way round: <-03:30>+03:30.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "db/session.h"
#include "vec/io.h"

enum { WEEK_SECONDS = 168 * 3600 };

static enum kp_code invalid(const char *value, const char *detail, struct kp_error *err)
{
    (void)kp_fail(err, KP_INVALID, NULL, "invalid value for parameter \"TimeZone\": \"%s\"", value);
    if (detail)
        (void)kp_error_detail(err, "%s", detail);
    return KP_INVALID;
}

/* INTERVAL '…' */
static enum kp_code interval_seconds(const char *value, double *ret_seconds, struct kp_error *err)
{
    const char *begin = strchr(value, '\''), *end = strrchr(value, '\'');
    struct kp_interval interval = {0};
    struct kp_arena arena = {0};
    bool parsed = begin && end > begin && !end[1] &&
                  kp_value_parse(KP_TYPE(KP_INTERVAL), (struct kp_str){begin + 1, (size_t)(end - begin - 1)}, NULL,
                                 &arena, &interval, NULL) == KP_OK;
    kp_arena_finish(&arena);
    if (!parsed)
        return invalid(value, NULL, err);
    if (interval.months)
        return invalid(value, "Cannot specify months in time zone interval.", err);
    if (interval.days)
        return invalid(value, "Cannot specify days in time zone interval.", err);
    *ret_seconds = (double)interval.us / 1e6;
    return KP_OK;
}

static void print_offset(char sign, long seconds, struct kp_buf *out)
{
    kp_buf_printf(out, "%c%02ld", sign, seconds / 3600);
    if (seconds % 3600)
        kp_buf_printf(out, ":%02ld", seconds / 60 % 60);
    if (seconds % 60)
        kp_buf_printf(out, ":%02ld", seconds % 60);
}

enum kp_code kp_zone_setting(const char *value, struct kp_buf *out, struct kp_error *err)
{
    char *end;
    double given = strtod(value, &end) * 3600; /* seconds */
    if (strncasecmp(value, "interval", 8) == 0) {
        KP_TRY(interval_seconds(value, &given, err));
    } else if (end == value || *end) {
        kp_buf_append_text(out, value);
        return KP_OK;
    }
    if (!(fabs(given) < WEEK_SECONDS))
        return invalid(value, "UTC timezone offset is out of range.", err);
    long seconds = (long)given;
    kp_buf_append_byte(out, '<');
    print_offset(seconds < 0 ? '-' : '+', labs(seconds), out);
    kp_buf_append_byte(out, '>');
    print_offset(seconds < 0 ? '+' : '-', labs(seconds), out);
    return KP_OK;
}
