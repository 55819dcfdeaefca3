/*
 * The year as events, in the order in which they are sent.
 *
 *   what           its time (the event's own)                        from
 *   schedule       18:00 to 18:30 in New York on the day before      made: the data does not say when it was known
 *   departure      when the flight left                              data
 *   cancellation   up to three hours before the scheduled departure  made: the data does not say when
 *   arrival        when it arrived; 458 flights never report it      data
 *   weather        the hour observed                                 data
 *   airports, airlines, planes: all rows at the beginning            data; their updates are made
 *
 * Sending lags behind: seconds for most, up to a quarter of an hour for one in fifty, up to twelve hours for one in
 * five hundred (made, too). Weather is sent five to ten minutes after the hour.
 *
 * Made updates: every tenth plane is refitted (other seats); every sixtieth leaves the fleet, and half of these come
 * back two months later; on 9 December 2013 AA and US, which merged that day, take one group's name; each month the
 * airport of one destination is renamed.
 */
#include "flights.h"

#include <stdlib.h>
#include <string.h>

uint64_t story_dice(uint64_t seed, uint64_t a, uint64_t b)
{
    uint64_t x = seed * 0x9e3779b97f4a7c15u + a * 0xbf58476d1ce4e5b9u + b * 0x94d049bb133111ebu + 1;
    for (int i = 0; i < 3; i++) {
        x ^= x >> 31;
        x *= 0xd6e8feb86659fd93u;
    }
    return x ^ x >> 32;
}

static void add(struct story *story, struct event event)
{
    if (story->count == story->cap) {
        story->cap = story->cap ? 2 * story->cap : 1 << 20;
        story->events = kp_realloc(story->events, story->cap * sizeof *story->events);
    }
    story->events[story->count++] = event;
}

/* How long after it happened it is sent. */
static int64_t lag_s(uint64_t seed, enum kind kind, uint32_t index)
{
    uint64_t dice = story_dice(seed, 100 + kind, index), amount = story_dice(seed, 200 + kind, index);
    if (dice % 500 == 0)
        return 900 + (int64_t)(amount % 42300);
    if (dice % 50 == 0)
        return 60 + (int64_t)(amount % 840);
    return 1 + (int64_t)(amount % 20);
}

static void add_happened(struct story *story, uint64_t seed, enum kind kind, uint32_t index, int64_t time_s)
{
    add(story,
        (struct event){
            .send_s = time_s + lag_s(seed, kind, index), .time_s = time_s, .index = index, .kind = (uint8_t)kind});
}

static void add_flight(struct story *story, uint64_t seed, const struct flight *flight, uint32_t index)
{
    int64_t day = days_of(2013, flight->month, flight->day) - 1;
    int64_t evening = day * 86400 + 18 * 3600;
    evening -= zone_offset_s(new_york, evening);
    add_happened(story, seed, SCHEDULE, index, evening + (int64_t)(story_dice(seed, 1, index) % 1800));
    if (!flight->dep) {
        add_happened(story, seed, CANCELLATION, index,
                     flight->sched_dep - (int64_t)(story_dice(seed, 2, index) % 181) * 60);
        return;
    }
    add_happened(story, seed, DEPARTURE, index, flight->dep);
    if (flight->arr)
        add_happened(story, seed, ARRIVAL, index, flight->arr);
}

static void add_weather(struct story *story, const struct data *data, uint64_t seed)
{
    for (uint32_t row = 0; row < data->weather.rows;
         row++) { /* columns: origin, year, month, day, hour, …; checked by render */
        struct kp_str at = csv_cell(&data->weather, row, data->weather.cols - 1);
        int y = 0, mo = 0, d = 0, h = 0;
        char text[32] = "";
        memcpy(text, at.ptr, KP_MIN(at.len, sizeof text - 1));
        y = atoi(text);
        mo = at.len > 13 ? atoi(text + 5) : 1;
        d = at.len > 13 ? atoi(text + 8) : 1;
        h = at.len > 13 ? atoi(text + 11) : 0;
        int64_t time_s = days_of(y, mo, d) * 86400 + h * (int64_t)3600;
        int64_t send_s = time_s + 300 + (int64_t)(story_dice(seed, 3, row) % 300);
        if (story_dice(seed, 4, row) % 100 == 0)
            send_s += 3600 + (int64_t)(story_dice(seed, 5, row) % 7200);
        add(story, (struct event){.send_s = send_s, .time_s = time_s, .index = row, .kind = WEATHER});
    }
}

static void add_rows(struct story *story, enum kind kind, const struct csv *csv, int64_t at_s)
{
    for (uint32_t row = 0; row < csv->rows; row++)
        add(story, (struct event){.send_s = at_s, .time_s = at_s, .index = row, .kind = (uint8_t)kind});
}

static void add_updates(struct story *story, const struct data *data, uint64_t seed, int64_t year_s)
{
    for (uint32_t row = 0; row < data->planes.rows; row++) {
        int64_t at_s = year_s + (int64_t)(story_dice(seed, 6, row) % (300 * 86400u));
        struct event event = {.send_s = at_s, .time_s = at_s, .index = row, .kind = PLANE, .version = 1};
        if (row % 60 == 7) {
            event.removed = true;
            add(story, event);
            event.removed = false;
            event.send_s = event.time_s = at_s + 60 * 86400;
            if (row % 120 == 7)
                add(story, event);
        } else if (row % 10 == 3) {
            add(story, event);
        }
    }
    int64_t merger_s = zone_instant(new_york, 2013, 12, 9, 9 * 60);
    for (uint32_t row = 0; row < data->airlines.rows; row++) {
        struct kp_str carrier = csv_cell(&data->airlines, row, 0);
        if (kp_str_equal(carrier, KP_STR("AA")) || kp_str_equal(carrier, KP_STR("US")))
            add(story,
                (struct event){.send_s = merger_s, .time_s = merger_s, .index = row, .kind = AIRLINE, .version = 1});
    }
    static const char *const renamed[] = {"ATL", "BOS", "ORD", "LAX", "MCO", "CLT",
                                          "SFO", "FLL", "MIA", "DCA", "DTW", "DFW"};
    for (int month = 1; month <= 12; month++)
        for (uint32_t row = 0; row < data->airports.rows; row++)
            if (kp_str_equal(csv_cell(&data->airports, row, 0), kp_str(renamed[month - 1]))) {
                int64_t at_s = zone_instant(new_york, 2013, month, 15, 12 * 60);
                add(story, (struct event){.send_s = at_s, .time_s = at_s, .index = row, .kind = AIRPORT, .version = 1});
            }
}

static int compare(const void *a, const void *b)
{
    const struct event *left = a, *right = b;
    if (left->send_s != right->send_s)
        return left->send_s < right->send_s ? -1 : 1;
    if (left->kind != right->kind)
        return left->kind < right->kind ? -1 : 1;
    return (left->index > right->index) - (left->index < right->index);
}

void story_make(const struct data *data, uint64_t seed, struct story *ret_story)
{
    struct story story = {0};
    int64_t begin_s = zone_instant(new_york, 2012, 12, 31, 12 * 60);
    add_rows(&story, AIRPORT, &data->airports, begin_s);
    add_rows(&story, AIRLINE, &data->airlines, begin_s);
    add_rows(&story, PLANE, &data->planes, begin_s);
    add_updates(&story, data, seed, zone_instant(new_york, 2013, 1, 1, 0));
    for (uint32_t i = 0; i < data->flight_count; i++)
        add_flight(&story, seed, &data->flights[i], i);
    add_weather(&story, data, seed);
    qsort(story.events, story.count, sizeof *story.events, compare);
    *ret_story = story;
}

void story_finish(struct story *story)
{
    kp_free(story->events);
    memset(story, 0, sizeof *story);
}
