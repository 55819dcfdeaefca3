/*
 * An event as a record: JSON with its own time, as each system writes it: flights with the clock of the airport where
 * it happened, tables in the data's words. What is unknown is null.
 */
#include "flights.h"

#include <string.h>

const char *const topic_names[KIND_COUNT] = {
    [AIRPORT] = "airports",     [AIRLINE] = "airlines",           [PLANE] = "planes",     [SCHEDULE] = "schedule",
    [DEPARTURE] = "departures", [CANCELLATION] = "cancellations", [ARRIVAL] = "arrivals", [WEATHER] = "weather",
};
const char *const topic_keys[KIND_COUNT] = {[AIRPORT] = "faa", [AIRLINE] = "carrier", [PLANE] = "tailnum"};

static void add_time(struct kp_buf *out, const char *name, struct zone zone, int64_t at_s)
{
    kp_buf_printf(out, ",\"%s\":\"", name);
    zone_print(zone, at_s, out);
    kp_buf_append_byte(out, '"');
}

static void add_number(struct kp_buf *out, const char *name, int value)
{
    if (value == NONE)
        kp_buf_printf(out, ",\"%s\":null", name);
    else
        kp_buf_printf(out, ",\"%s\":%d", name, value);
}

static void add_text(struct kp_buf *out, const char *name, struct kp_str text)
{
    kp_buf_printf(out, ",\"%s\":", name);
    if (text.len)
        kp_buf_append_json_string(out, text);
    else
        kp_buf_append_text(out, "null");
}

/* Carrier, number and day do not identify a flight: 24 such pairs leave from two airports of New York on one day. */
static void begin_flight(struct kp_buf *out, const struct flight *flight, struct zone zone, int64_t time_s)
{
    kp_buf_printf(out, "{\"flight_id\":\"2013-%02d-%02d %s %s%d\"", flight->month, flight->day, flight->origin,
                  flight->carrier, flight->number);
    add_time(out, "event_time", zone, time_s);
    kp_buf_printf(out, ",\"carrier\":\"%s\",\"flight\":%d", flight->carrier, flight->number);
    add_text(out, "tailnum", kp_str(flight->tailnum));
    kp_buf_printf(out, ",\"origin\":\"%s\",\"dest\":\"%s\"", flight->origin, flight->dest);
}

static void render_flight(const struct flight *flight, const struct event *event, struct kp_buf *out)
{
    begin_flight(out, flight, event->kind == ARRIVAL ? flight->dest_zone : new_york, event->time_s);
    if (event->kind != ARRIVAL)
        add_time(out, "sched_dep", new_york, flight->sched_dep);
    switch ((enum kind)event->kind) {
    case SCHEDULE:
        add_time(out, "sched_arr", flight->dest_zone, flight->sched_arr);
        add_number(out, "distance", flight->distance);
        break;
    case DEPARTURE:
        add_number(out, "dep_delay", flight->dep_delay);
        break;
    case ARRIVAL:
        add_time(out, "sched_arr", flight->dest_zone, flight->sched_arr);
        add_number(out, "arr_delay", flight->arr_delay);
        add_number(out, "air_time", flight->air_time);
        break;
    default:
        break;
    }
    kp_buf_append_byte(out, '}');
}

/* A column's cell as JSON: text quoted, numbers as they stand. */
static void add_cell(struct kp_buf *out, const struct csv *csv, size_t row, size_t column, bool text)
{
    struct kp_str cell = csv_cell(csv, row, column), name = csv->cells[column];
    kp_buf_printf(out, "%s\"%.*s\":", out->len > 1 ? "," : "", (int)name.len, name.ptr);
    if (!cell.len)
        kp_buf_append_text(out, "null");
    else if (text)
        kp_buf_append_json_string(out, cell);
    else
        kp_buf_append_str(out, cell);
}

static bool is_text(struct kp_str name)
{
    static const char *const texts[] = {"faa",  "name",         "dst",   "tzone",  "carrier", "tailnum",
                                        "type", "manufacturer", "model", "engine", "origin"};
    for (size_t i = 0; i < KP_COUNT(texts); i++)
        if (kp_str_equal(name, kp_str(texts[i])))
            return true;
    return false;
}

static void render_weather(const struct csv *csv, const struct event *event, struct kp_buf *out)
{
    kp_buf_append_byte(out, '{');
    add_cell(out, csv, event->index, 0, true);
    add_time(out, "event_time", new_york, event->time_s);
    for (size_t c = 1; c + 1 < csv->cols; c++) { /* the last is time_hour; the clock's parts are in event_time */
        struct kp_str name = csv->cells[c];
        if (!kp_str_equal(name, KP_STR("year")) && !kp_str_equal(name, KP_STR("month")) &&
            !kp_str_equal(name, KP_STR("day")) && !kp_str_equal(name, KP_STR("hour")))
            add_cell(out, csv, event->index, c, false);
    }
    kp_buf_append_byte(out, '}');
}

/* The column's value in a made update; false: as in the data. */
static bool render_update(const struct csv *csv, const struct event *event, uint64_t seed, size_t column,
                          struct kp_buf *out)
{
    struct kp_str name = csv->cells[column], cell = csv_cell(csv, event->index, column);
    if (event->kind == PLANE && kp_str_equal(name, KP_STR("seats"))) {
        int seats = csv_int(csv, event->index, column);
        int more = (int)(story_dice(seed, 7, event->index) % 9) - 2;
        kp_buf_printf(out, ",\"seats\":%d", seats == NONE ? 2 : KP_MAX(seats + (more ? more : 4), 2));
        return true;
    }
    if (!kp_str_equal(name, KP_STR("name")))
        return false;
    char text[200];
    size_t len = KP_MIN(cell.len, (size_t)150);
    memcpy(text, cell.ptr, len);
    const char *suffix = event->kind == AIRLINE ? " (American Airlines Group)" : " (renamed)";
    memcpy(text + len, suffix, strlen(suffix) + 1);
    add_text(out, "name", kp_str(text));
    return true;
}

static void render_row(const struct csv *csv, const struct event *event, uint64_t seed, struct kp_buf *key,
                       struct kp_buf *value)
{
    kp_buf_append_str(key, csv_cell(csv, event->index, 0)); /* in all three the first column is the key */
    if (event->removed)
        return;
    kp_buf_append_byte(value, '{');
    for (size_t c = 0; c < csv->cols; c++)
        if (!event->version || !render_update(csv, event, seed, c, value))
            add_cell(value, csv, event->index, c, is_text(csv->cells[c]));
    kp_buf_append_byte(value, '}');
}

void render(const struct data *data, const struct event *event, uint64_t seed, struct kp_buf *key, struct kp_buf *value)
{
    key->len = value->len = 0;
    switch ((enum kind)event->kind) {
    case AIRPORT:
        render_row(&data->airports, event, seed, key, value);
        break;
    case AIRLINE:
        render_row(&data->airlines, event, seed, key, value);
        break;
    case PLANE:
        render_row(&data->planes, event, seed, key, value);
        break;
    case WEATHER:
        render_weather(&data->weather, event, value);
        break;
    default:
        render_flight(&data->flights[event->index], event, value);
    }
}
