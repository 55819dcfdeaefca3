/*
 * Dates, times, timestamps and intervals: PostgreSQL's text forms and arithmetic.
 *
 * All calendar work is proleptic Gregorian with astronomical years (0 is 1 BC). Ranges are PostgreSQL's: dates from
 * 4713-11-24 BC to 5874897-12-31, timestamps up to 294276-12-31. The extremes of the integers are the infinities.
 * Errors: 22007 for what cannot be read, 22008 for what is out of range, 22015 for an interval's field.
 */
#ifndef KP_VEC_DATETIME_H
#define KP_VEC_DATETIME_H

#include "vec/type.h"
#include "vec/zone.h"

#define KP_SECOND_US INT64_C(1000000)
#define KP_MINUTE_US (60 * KP_SECOND_US)
#define KP_HOUR_US   (60 * KP_MINUTE_US)
#define KP_DAY_US    (24 * KP_HOUR_US)

#define KP_DATE_MIN               INT32_C(-2451545)   /* 4713-11-24 BC */
#define KP_DATE_END               INT32_C(2145031949) /* behind the last */
#define KP_TIMESTAMP_MIN          INT64_C(-211813488000000000)
#define KP_TIMESTAMP_END          INT64_C(9223371331200000000)
#define KP_DATE_INFINITY          INT32_MAX
#define KP_DATE_NEG_INFINITY      INT32_MIN
#define KP_TIMESTAMP_INFINITY     INT64_MAX
#define KP_TIMESTAMP_NEG_INFINITY INT64_MIN
#define KP_UNIX_EPOCH_DAYS        INT32_C(-10957)
#define KP_UNIX_EPOCH_US          (KP_UNIX_EPOCH_DAYS * KP_DAY_US)

static inline bool kp_date_is_finite(int32_t date)
{
    return date != KP_DATE_INFINITY && date != KP_DATE_NEG_INFINITY;
}
static inline bool kp_timestamp_is_finite(int64_t us)
{
    return us != KP_TIMESTAMP_INFINITY && us != KP_TIMESTAMP_NEG_INFINITY;
}
static inline bool kp_timestamp_in_range(int64_t us)
{
    return us >= KP_TIMESTAMP_MIN && us < KP_TIMESTAMP_END;
}
/* Division towards minus infinity. */
static inline int64_t kp_floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b != 0 && (a % b < 0) != (b < 0));
}

struct kp_civil {
    int32_t year; /* astronomical */
    int32_t month, day;
    int32_t hour, minute, second, us;
};

/* ---- calendar (datetime.c) ---- */

int64_t kp_days_from_civil(int64_t year, int month, int day);    /* since 2000-01-01; any day of the month */
void kp_days_to_civil(int64_t days, struct kp_civil *ret_civil); /* sets year, month, day */
int kp_month_days(int64_t year, int month);
void kp_timestamp_to_civil(int64_t us, struct kp_civil *ret_civil);
/* False if out of range. */
/* The same of any day that fits: what a zone may move into the range. */
bool kp_civil_us(const struct kp_civil *civil, int64_t *ret_us);
bool kp_timestamp_from_civil(const struct kp_civil *civil, int64_t *ret_us);
int kp_iso_week(int32_t year, int month, int day, int32_t *ret_iso_year);
/* local time <-> UTC; false if the result is out of range. Infinities stay. */
bool kp_timestamp_to_utc(int64_t local_us, const struct kp_zone *zone, int64_t *ret_us);
bool kp_timestamp_to_local(int64_t us, const struct kp_zone *zone, int64_t *ret_local_us);
/* Rounds to `precision` digits of a second (0 to 6), half away from zero. */
int64_t kp_us_round(int64_t us, int precision);

/* ---- input (datetime_parse.c, interval_parse.c): typmod applied ---- */

KP_MUST enum kp_code kp_date_parse(struct kp_str text, int32_t *ret_date, struct kp_error *err);
KP_MUST enum kp_code kp_time_parse(struct kp_str text, int32_t mod, int64_t *ret_us, struct kp_error *err);
/* Without an offset, a zone or a date that tells which offset holds it is in `zone`, which must have one only. */
KP_MUST enum kp_code kp_timetz_parse(struct kp_str text, int32_t mod, const struct kp_zone *zone,
                                     struct kp_timetz *ret_value, struct kp_error *err);
KP_MUST enum kp_code kp_timestamp_parse(struct kp_str text, int32_t mod, int64_t *ret_us, struct kp_error *err);
KP_MUST enum kp_code kp_timestamptz_parse(struct kp_str text, int32_t mod, const struct kp_zone *zone, int64_t *ret_us,
                                          struct kp_error *err);
KP_MUST enum kp_code kp_interval_parse(struct kp_str text, int32_t mod, struct kp_interval *ret_interval,
                                       struct kp_error *err);
/* Rounds and cuts to the modifier's fields. */
KP_MUST enum kp_code kp_interval_apply_mod(struct kp_interval *interval, int32_t mod, struct kp_error *err);
KP_MUST enum kp_code kp_timestamp_apply_mod(int64_t us, int32_t mod, int64_t *ret_us, struct kp_error *err);

/* ---- output, ISO (datetime.c) ---- */

void kp_date_print(int32_t date, struct kp_buf *out);
void kp_time_print(int64_t us, struct kp_buf *out);
void kp_timetz_print(const struct kp_timetz *value, struct kp_buf *out);
void kp_timestamp_print(int64_t us, char separator, struct kp_buf *out);
void kp_timestamptz_print(int64_t us, const struct kp_zone *zone, char separator, struct kp_buf *out);
/* With T, and Z or +hh:mm, as JSON and RFC 3339 want it. */
void kp_timestamptz_print_json(int64_t us, const struct kp_zone *zone, struct kp_buf *out);
void kp_interval_print(const struct kp_interval *interval, struct kp_buf *out);

/* ---- arithmetic (datetime_arith.c) ---- */

/* zone NULL: a timestamp without time zone; else months and days are added in local time. */
KP_MUST enum kp_code kp_timestamp_add(int64_t us, const struct kp_interval *interval, const struct kp_zone *zone,
                                      int64_t *ret_us, struct kp_error *err);
KP_MUST enum kp_code kp_timestamp_sub(int64_t a, int64_t b, struct kp_interval *ret_interval, struct kp_error *err);
KP_MUST enum kp_code kp_timestamp_age(int64_t a, int64_t b, const struct kp_zone *zone,
                                      struct kp_interval *ret_interval, struct kp_error *err);
KP_MUST enum kp_code kp_interval_add(const struct kp_interval *a, const struct kp_interval *b,
                                     struct kp_interval *ret_interval, struct kp_error *err);
KP_MUST enum kp_code kp_interval_sub(const struct kp_interval *a, const struct kp_interval *b,
                                     struct kp_interval *ret_interval, struct kp_error *err);
KP_MUST enum kp_code kp_interval_negate(const struct kp_interval *a, struct kp_interval *ret_interval,
                                        struct kp_error *err);
KP_MUST enum kp_code kp_interval_mul(const struct kp_interval *a, double factor, struct kp_interval *ret_interval,
                                     struct kp_error *err);
KP_MUST enum kp_code kp_interval_div(const struct kp_interval *a, double divisor, struct kp_interval *ret_interval,
                                     struct kp_error *err);
KP_MUST enum kp_code kp_interval_justify_hours(const struct kp_interval *a, struct kp_interval *ret_interval,
                                               struct kp_error *err);
KP_MUST enum kp_code kp_interval_justify_days(const struct kp_interval *a, struct kp_interval *ret_interval,
                                              struct kp_error *err);
KP_MUST enum kp_code kp_interval_justify(const struct kp_interval *a, struct kp_interval *ret_interval,
                                         struct kp_error *err);

/* A unit named in extract, date_part, date_trunc. */
enum kp_time_unit {
    KP_UNIT_NONE,
    KP_UNIT_MICROSECOND,
    KP_UNIT_MILLISECOND,
    KP_UNIT_SECOND,
    KP_UNIT_MINUTE,
    KP_UNIT_HOUR,
    KP_UNIT_DAY,
    KP_UNIT_WEEK,
    KP_UNIT_MONTH,
    KP_UNIT_QUARTER,
    KP_UNIT_YEAR,
    KP_UNIT_DECADE,
    KP_UNIT_CENTURY,
    KP_UNIT_MILLENNIUM,
    KP_UNIT_DOW,
    KP_UNIT_ISODOW,
    KP_UNIT_DOY,
    KP_UNIT_ISOYEAR,
    KP_UNIT_JULIAN,
    KP_UNIT_EPOCH,
    KP_UNIT_TIMEZONE,
    KP_UNIT_TIMEZONE_HOUR,
    KP_UNIT_TIMEZONE_MINUTE
};
enum kp_time_unit kp_time_unit_find(struct kp_str name); /* any case, PostgreSQL's synonyms */

#endif
