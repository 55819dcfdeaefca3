/*
 * What a text says of a date and a time of day, as PostgreSQL reads it with DateStyle "ISO, MDY".
 *
 * The text is cut into fields by its characters alone: numbers, dates (with -, / or . between their parts), clock
 * times, offsets, words. Then each field in turn says some of year, month, day, hour, minute, second, zone, by its form
 * and by what was said before it; nothing may be said twice. What is still missing at the end makes the text invalid.
 */
#ifndef KP_VEC_DATETIME_FIELDS_H
#define KP_VEC_DATETIME_FIELDS_H

#include "vec/datetime.h"

enum kp_moment_outcome {
    KP_MOMENT_OK,
    KP_MOMENT_SYNTAX,     /* 22007 */
    KP_MOMENT_RANGE,      /* 22008 */
    KP_MOMENT_DAY_RANGE,  /* 22008: a month or day, which may have been meant the other way round */
    KP_MOMENT_ZONE_RANGE, /* 22009 */
    KP_MOMENT_ZONE_NAME,  /* 22023 */
    KP_MOMENT_MOVES       /* now, today, tomorrow, yesterday: it depends on when it is read */
};

enum kp_moment_special { KP_MOMENT_PLAIN, KP_MOMENT_EPOCH, KP_MOMENT_INFINITY, KP_MOMENT_NEG_INFINITY };

struct kp_moment {
    struct kp_civil civil;
    enum kp_moment_special special; /* then nothing else counts */
    bool dated;
    bool has_offset;
    int32_t offset;             /* seconds east of UTC */
    const struct kp_zone *zone; /* without has_offset; NULL: none was named */
    char zone_name[64];         /* of KP_MOMENT_ZONE_NAME */
};

/* time_only: a time of day, that may have a date in front; else a date, that may have a time. */
enum kp_moment_outcome kp_moment_read(struct kp_str text, bool time_only, struct kp_moment *ret_moment);

#endif
