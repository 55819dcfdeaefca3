/*
 * The five tables, and the instants that flights.csv does not say outright.
 *
 * It has clock times: of departure in New York, of arrival at the destination, the day being that of the scheduled
 * departure. So:
 *   scheduled departure   that day and clock time in New York
 *   departure             scheduled departure + dep_delay (its clock time is dep_time in all 328,521 cases)
 *   scheduled arrival     the first instant after the scheduled departure when clocks there show sched_arr_time
 *   arrival               the first instant after the departure when clocks there show arr_time
 * Arrival less scheduled arrival is arr_delay in all 327,346 cases that have one, which proves zones, daylight saving
 * and flights past midnight right. data_load checks both and refuses data for which they do not hold.
 *
 * Four destinations are not in airports.csv (BQN, PSE, SJU, STT); they are in the Atlantic zone, without daylight
 * saving.
 */
#include "flights.h"

#include <string.h>

static const struct zone atlantic = {-4, false};

struct columns {
    size_t year, month, day, dep_time, sched_dep, dep_delay, arr_time, sched_arr, arr_delay, carrier, number, tailnum,
        origin, dest, air_time, distance;
};

static enum kp_code find_columns(const struct csv *csv, struct columns *ret_columns, struct kp_error *err)
{
    struct columns c;
    const struct {
        const char *name;
        size_t *column;
    } wanted[] = {
        {"year", &c.year},
        {"month", &c.month},
        {"day", &c.day},
        {"dep_time", &c.dep_time},
        {"sched_dep_time", &c.sched_dep},
        {"dep_delay", &c.dep_delay},
        {"arr_time", &c.arr_time},
        {"sched_arr_time", &c.sched_arr},
        {"arr_delay", &c.arr_delay},
        {"carrier", &c.carrier},
        {"flight", &c.number},
        {"tailnum", &c.tailnum},
        {"origin", &c.origin},
        {"dest", &c.dest},
        {"air_time", &c.air_time},
        {"distance", &c.distance},
    };
    for (size_t i = 0; i < KP_COUNT(wanted); i++)
        KP_TRY(csv_column(csv, wanted[i].name, wanted[i].column, err));
    *ret_columns = c;
    return KP_OK;
}

static void copy(char *to, size_t size, struct kp_str from)
{
    size_t len = KP_MIN(from.len, size - 1);
    if (len)
        memcpy(to, from.ptr, len);
    to[len] = '\0';
}

/* Airports by their three letters: 26 × 26 × 26 is small. Codes with digits are no destinations. */
static int code_index(const char *code)
{
    int index = 0;
    for (int i = 0; i < 3; i++) {
        if (code[i] < 'A' || code[i] > 'Z')
            return -1;
        index = index * 26 + (code[i] - 'A');
    }
    return index;
}

static enum kp_code load_zones(const struct csv *airports, struct zone *zones, struct kp_error *err)
{
    size_t faa, tz, dst;
    KP_TRY(csv_column(airports, "faa", &faa, err));
    KP_TRY(csv_column(airports, "tz", &tz, err));
    KP_TRY(csv_column(airports, "dst", &dst, err));
    for (int i = 0; i < 26 * 26 * 26; i++)
        zones[i] = atlantic;
    for (size_t row = 0; row < airports->rows; row++) {
        char code[4];
        copy(code, sizeof code, csv_cell(airports, row, faa));
        int at = code_index(code);
        if (at >= 0)
            zones[at] =
                (struct zone){csv_int(airports, row, tz), kp_str_equal(csv_cell(airports, row, dst), KP_STR("A"))};
    }
    return KP_OK;
}

/* 517 is 5:17. */
static int minutes_of(int clock)
{
    return clock / 100 * 60 + clock % 100;
}

static enum kp_code load_flight(const struct csv *csv, const struct columns *c, size_t row, const struct zone *zones,
                                struct flight *flight, struct kp_error *err)
{
    copy(flight->carrier, sizeof flight->carrier, csv_cell(csv, row, c->carrier));
    copy(flight->origin, sizeof flight->origin, csv_cell(csv, row, c->origin));
    copy(flight->dest, sizeof flight->dest, csv_cell(csv, row, c->dest));
    copy(flight->tailnum, sizeof flight->tailnum, csv_cell(csv, row, c->tailnum));
    flight->number = (uint16_t)csv_int(csv, row, c->number);
    flight->month = (uint8_t)csv_int(csv, row, c->month);
    flight->day = (uint8_t)csv_int(csv, row, c->day);
    flight->distance = (int16_t)csv_int(csv, row, c->distance);
    flight->air_time = csv_int(csv, row, c->air_time);
    flight->arr_delay = csv_int(csv, row, c->arr_delay);
    int at = code_index(flight->dest);
    flight->dest_zone = at >= 0 ? zones[at] : atlantic;
    int sched_dep = csv_int(csv, row, c->sched_dep), sched_arr = csv_int(csv, row, c->sched_arr);
    if (sched_dep == NONE || sched_arr == NONE || !flight->month || !flight->day)
        return kp_fail(err, KP_CORRUPT, NULL, "flights.csv, line %zu: a schedule without a time", row + 2);
    flight->sched_dep =
        zone_instant(new_york, csv_int(csv, row, c->year), flight->month, flight->day, minutes_of(sched_dep));
    flight->sched_arr = zone_next(flight->dest_zone, flight->sched_dep, minutes_of(sched_arr));
    int dep_time = csv_int(csv, row, c->dep_time), arr_time = csv_int(csv, row, c->arr_time),
        delay = csv_int(csv, row, c->dep_delay);
    if (dep_time == NONE)
        return KP_OK;
    flight->dep_delay = (int16_t)delay;
    flight->dep = flight->sched_dep + delay * (int64_t)60;
    int64_t local = flight->dep + zone_offset_s(new_york, flight->dep);
    if (local % 86400 / 60 != minutes_of(dep_time) % 1440)
        return kp_fail(err, KP_CORRUPT, NULL, "flights.csv, line %zu: dep_time is not sched_dep_time + dep_delay",
                       row + 2);
    if (arr_time == NONE)
        return KP_OK;
    flight->arr = zone_next(flight->dest_zone, flight->dep, minutes_of(arr_time));
    if (flight->arr_delay != NONE && flight->arr - flight->sched_arr != flight->arr_delay * (int64_t)60)
        return kp_fail(err, KP_CORRUPT, NULL, "flights.csv, line %zu: arr_time is not sched_arr_time + arr_delay",
                       row + 2);
    return KP_OK;
}

static enum kp_code load_flights(const char *dir, struct data *data, struct kp_error *err)
{
    struct csv csv;
    KP_TRY(csv_read(dir, "flights.csv", &csv, err));
    struct zone *zones = kp_alloc(26 * 26 * 26 * sizeof *zones);
    struct columns columns;
    enum kp_code code = find_columns(&csv, &columns, err);
    if (code == KP_OK)
        code = load_zones(&data->airports, zones, err);
    data->flights = kp_calloc(csv.rows, sizeof *data->flights);
    data->flight_count = csv.rows;
    for (size_t row = 0; row < csv.rows && code == KP_OK; row++)
        code = load_flight(&csv, &columns, row, zones, &data->flights[row], err);
    kp_free(zones);
    csv_finish(&csv);
    return code;
}

enum kp_code data_load(const char *dir, struct data *ret_data, struct kp_error *err)
{
    struct data data = {0};
    enum kp_code code = csv_read(dir, "airports.csv", &data.airports, err);
    if (code == KP_OK)
        code = csv_read(dir, "airlines.csv", &data.airlines, err);
    if (code == KP_OK)
        code = csv_read(dir, "planes.csv", &data.planes, err);
    if (code == KP_OK)
        code = csv_read(dir, "weather.csv", &data.weather, err);
    if (code == KP_OK)
        code = load_flights(dir, &data, err);
    if (code != KP_OK) {
        data_finish(&data);
        return code;
    }
    *ret_data = data;
    return KP_OK;
}

void data_finish(struct data *data)
{
    kp_free(data->flights);
    csv_finish(&data->airports);
    csv_finish(&data->airlines);
    csv_finish(&data->planes);
    csv_finish(&data->weather);
    memset(data, 0, sizeof *data);
}
