/*
 * Time zones from TZif files (RFC 8536): the 64-bit block's transitions, then the footer, a POSIX TZ rule such as
 * "EST5EDT,M3.2.0,M11.1.0", for all later times.
 */
#include "vec/zone.h"

#include <ctype.h>
#include <stdio.h>
#include <strings.h>

#include "os/os.h"
#include "os/thread.h"

static const char *const zone_roots[] = {"/usr/share/zoneinfo", "/usr/lib/zoneinfo", "/usr/share/lib/zoneinfo"};

enum { ZONE_NAME_BYTES_MAX = 64, ZONE_FILE_BYTES_MAX = 1 << 20, ABBREVIATION_BYTES_MAX = 16 };
#define EPOCH_2000_UNIX INT64_C(946684800)
#define DAY_SECONDS     86400

/* A day of change in a rule: Mm.w.d, Jn (1 to 365, no leap day) or n (0 to 365). */
struct rule_day {
    char form; /* 'M', 'J' or '0' */
    int month, week, day;
    int32_t seconds; /* local time of day of the change */
};

struct rule {
    bool has_daylight;
    int32_t standard_offset, daylight_offset;
    char standard_name[ABBREVIATION_BYTES_MAX], daylight_name[ABBREVIATION_BYTES_MAX];
    struct rule_day start, end; /* of daylight saving time */
};

struct local_type {
    int32_t offset;
    const char *abbreviation;
};

struct kp_zone {
    struct kp_zone *next;
    char name[ZONE_NAME_BYTES_MAX];
    uint32_t transition_count;
    int64_t *transitions; /* Unix seconds */
    uint8_t *transition_types;
    struct local_type *types;
    struct local_type first; /* before the first transition */
    char *abbreviations;
    bool has_rule;
    struct rule rule;
    const struct kp_zone *whole; /* of an abbreviation: the zone that it stands for; NULL else */
};

static struct kp_zone utc = {.name = "UTC", .first = {0, "UTC"}};

static struct {
    struct kp_once once;
    struct kp_mutex mutex;
    struct kp_zone *zones; /* guarded by mutex; entries live for ever */
} cache = {.once = KP_ONCE_INIT};

static void init_cache(void)
{
    kp_mutex_init(&cache.mutex);
}

const struct kp_zone *kp_zone_utc(void)
{
    return &utc;
}

const char *kp_zone_name(const struct kp_zone *zone)
{
    return zone ? zone->name : "UTC";
}

/* ---- POSIX rules ---- */

static bool take_name(const char **at, char name[ABBREVIATION_BYTES_MAX])
{
    size_t len = 0;
    bool quoted = **at == '<';
    if (quoted)
        ++*at;
    while (quoted ? **at && **at != '>' : isalpha((unsigned char)**at)) {
        if (len + 1 == ABBREVIATION_BYTES_MAX)
            return false;
        name[len++] = *(*at)++;
    }
    name[len] = 0;
    if (quoted && *(*at)++ != '>')
        return false;
    return len > 0 || !quoted;
}

static bool take_number(const char **at, int max, int *ret_number)
{
    if (!isdigit((unsigned char)**at))
        return false;
    int number = 0;
    while (isdigit((unsigned char)**at)) {
        number = number * 10 + (*(*at)++ - '0');
        if (number > max)
            return false;
    }
    *ret_number = number;
    return true;
}

/* [+-]h[:m[:s]] */
static bool take_time(const char **at, int32_t *ret_seconds)
{
    int sign = 1, hours, minutes = 0, seconds = 0;
    if (**at == '+' || **at == '-')
        sign = *(*at)++ == '-' ? -1 : 1;
    if (!take_number(at, 167, &hours))
        return false;
    if (**at == ':' && (++*at, !take_number(at, 59, &minutes)))
        return false;
    if (**at == ':' && (++*at, !take_number(at, 59, &seconds)))
        return false;
    *ret_seconds = sign * (hours * 3600 + minutes * 60 + seconds);
    return true;
}

static bool take_rule_day(const char **at, struct rule_day *day)
{
    day->form = '0';
    if (**at == 'M') {
        day->form = *(*at)++;
        if (!take_number(at, 12, &day->month) || *(*at)++ != '.' || !take_number(at, 5, &day->week) ||
            *(*at)++ != '.' || !take_number(at, 6, &day->day))
            return false;
        if (day->month < 1 || day->week < 1)
            return false;
    } else {
        if (**at == 'J')
            day->form = *(*at)++;
        if (!take_number(at, 365, &day->day))
            return false;
    }
    day->seconds = 7200;
    return **at != '/' || (++*at, take_time(at, &day->seconds));
}

static bool parse_rule(const char *text, struct rule *rule)
{
    const char *at = text;
    int32_t west;
    memset(rule, 0, sizeof *rule);
    if (!take_name(&at, rule->standard_name) || !take_time(&at, &west))
        return false;
    rule->standard_offset = -west;
    if (!*at)
        return true;
    if (!take_name(&at, rule->daylight_name) || !rule->daylight_name[0])
        return false;
    rule->has_daylight = true;
    rule->daylight_offset = rule->standard_offset + 3600;
    if (*at && *at != ',') {
        if (!take_time(&at, &west))
            return false;
        rule->daylight_offset = -west;
    }
    if (!*at)
        at = ",M3.2.0,M11.1.0";
    return *at++ == ',' && take_rule_day(&at, &rule->start) && *at++ == ',' && take_rule_day(&at, &rule->end) && !*at;
}

/* Days since 1970-01-01 of the first of a month, proleptic Gregorian. */
static int64_t unix_day(int64_t year, int month, int day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400, year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

static bool is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* Unix seconds of a change, which is given in local time at `offset`. */
static int64_t rule_instant(const struct rule_day *day, int64_t year, int32_t offset)
{
    int64_t days;
    if (day->form == 'M') {
        int64_t first = unix_day(year, day->month, 1);
        int weekday = (int)(((first + 4) % 7 + 7) % 7);
        int date = 1 + (day->day - weekday + 7) % 7 + (day->week - 1) * 7;
        static const int month_days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
        int last = month_days[day->month - 1] + (day->month == 2 && is_leap(year));
        while (date > last)
            date -= 7;
        days = first + date - 1;
    } else if (day->form == 'J') {
        days = unix_day(year, 1, 1) + day->day - 1 + (day->day >= 60 && is_leap(year));
    } else {
        days = unix_day(year, 1, 1) + day->day;
    }
    return days * DAY_SECONDS + day->seconds - offset;
}

static int64_t unix_year(int64_t seconds)
{
    int64_t year = 1970 + seconds / 31556952;
    while (unix_day(year, 1, 1) * DAY_SECONDS > seconds)
        year--;
    while (unix_day(year + 1, 1, 1) * DAY_SECONDS <= seconds)
        year++;
    return year;
}

static struct local_type rule_at(const struct rule *rule, int64_t seconds)
{
    struct local_type standard = {rule->standard_offset, rule->standard_name};
    if (!rule->has_daylight)
        return standard;
    int64_t year = unix_year(seconds + rule->standard_offset);
    int64_t start = rule_instant(&rule->start, year, rule->standard_offset);
    int64_t end = rule_instant(&rule->end, year, rule->daylight_offset);
    bool daylight = start < end ? seconds >= start && seconds < end : !(seconds >= end && seconds < start);
    return daylight ? (struct local_type){rule->daylight_offset, rule->daylight_name} : standard;
}

/* The first change of a rule after `seconds`; false if it has none. */
static bool rule_next(const struct rule *rule, int64_t seconds, int64_t *ret_instant)
{
    if (!rule->has_daylight)
        return false;
    int64_t year = unix_year(seconds), best = INT64_MAX;
    for (int64_t y = year - 1; y <= year + 1; y++) {
        int64_t start = rule_instant(&rule->start, y, rule->standard_offset);
        int64_t end = rule_instant(&rule->end, y, rule->daylight_offset);
        if (start > seconds && start < best)
            best = start;
        if (end > seconds && end < best)
            best = end;
    }
    *ret_instant = best;
    return best != INT64_MAX;
}

/* ---- look-up ---- */

/* The number of transitions at or before `seconds`. */
static uint32_t transitions_until(const struct kp_zone *zone, int64_t seconds)
{
    uint32_t low = 0, high = zone->transition_count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (zone->transitions[mid] <= seconds)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static struct local_type type_at(const struct kp_zone *zone, int64_t seconds)
{
    uint32_t behind = transitions_until(zone, seconds);
    if (behind == zone->transition_count && zone->has_rule)
        return rule_at(&zone->rule, seconds);
    return behind ? zone->types[zone->transition_types[behind - 1]] : zone->first;
}

static bool next_transition(const struct kp_zone *zone, int64_t seconds, int64_t *ret_instant)
{
    uint32_t behind = transitions_until(zone, seconds);
    if (behind < zone->transition_count) {
        *ret_instant = zone->transitions[behind];
        return true;
    }
    return zone->has_rule && rule_next(&zone->rule, seconds, ret_instant);
}

static int64_t unix_seconds(int64_t us)
{
    int64_t seconds = us / 1000000;
    return seconds - (us % 1000000 < 0) + EPOCH_2000_UNIX;
}

int32_t kp_zone_offset_at(const struct kp_zone *zone, int64_t utc_us, const char **ret_abbreviation)
{
    struct local_type type = type_at(zone ? zone : &utc, unix_seconds(utc_us));
    if (ret_abbreviation)
        *ret_abbreviation = type.abbreviation;
    return type.offset;
}

int32_t kp_zone_offset_of_local(const struct kp_zone *zone, int64_t local_us)
{
    if (!zone || zone == &utc)
        return 0;
    int64_t local = unix_seconds(local_us), instant;
    if (zone->whole) /* when that was is the zone's to say, under whichever name */
        return type_at(zone, local - kp_zone_offset_of_local(zone->whole, local_us)).offset;
    int64_t earlier = local - DAY_SECONDS; /* as if UTC: before any change that could matter */
    int32_t before = type_at(zone, earlier).offset;
    if (!next_transition(zone, earlier, &instant))
        return before;
    int32_t after = type_at(zone, instant).offset;
    if (local - before < instant && local - after < instant)
        return before;
    if (local - before > instant && local - after >= instant)
        return after;
    return local - before > local - after ? before : after;
}

bool kp_zone_is_fixed(const struct kp_zone *zone)
{
    if (!zone)
        return true;
    if (zone->transition_count == 0 && zone->has_rule)
        return !zone->rule.has_daylight;
    for (uint32_t i = 0; i < zone->transition_count; i++)
        if (zone->types[zone->transition_types[i]].offset != zone->first.offset)
            return false;
    return !zone->has_rule || (!zone->rule.has_daylight && zone->rule.standard_offset == zone->first.offset);
}

/* ---- files ---- */

struct header {
    uint32_t isut, isstd, leap, time, type, chars;
};

static bool read_header(const uint8_t *at, const uint8_t *end, struct header *h)
{
    if (end - at < 44 || memcmp(at, "TZif", 4) != 0)
        return false;
    h->isut = kp_load_be32(at + 20);
    h->isstd = kp_load_be32(at + 24);
    h->leap = kp_load_be32(at + 28);
    h->time = kp_load_be32(at + 32);
    h->type = kp_load_be32(at + 36);
    h->chars = kp_load_be32(at + 40);
    return h->time < 10000 && h->type > 0 && h->type <= 256 && h->chars <= 4096 && h->leap < 1000 && h->isut <= 256 &&
           h->isstd <= 256;
}

static size_t block_bytes(const struct header *h, size_t time_bytes)
{
    return h->time * time_bytes + h->time + h->type * 6 + h->chars + h->leap * (time_bytes + 4) + h->isstd + h->isut;
}

static bool read_types(struct kp_zone *zone, const uint8_t *types, const uint8_t *chars, const struct header *h)
{
    zone->abbreviations = kp_calloc(h->chars + 1, 1);
    memcpy(zone->abbreviations, chars, h->chars);
    zone->types = kp_calloc(h->type, sizeof *zone->types);
    for (uint32_t i = 0; i < h->type; i++) {
        if (types[i * 6 + 5] >= h->chars)
            return false;
        zone->types[i].offset = (int32_t)kp_load_be32(types + i * 6);
        zone->types[i].abbreviation = zone->abbreviations + types[i * 6 + 5];
    }
    zone->first = zone->types[0];
    return true;
}

static bool parse_file(struct kp_zone *zone, const uint8_t *bytes, size_t len)
{
    const uint8_t *at = bytes, *end = bytes + len;
    struct header h;
    if (!read_header(at, end, &h) || at[4] < '2')
        return false;
    size_t skip = 44 + block_bytes(&h, 4);
    if ((size_t)(end - at) < skip || !read_header(at + skip, end, &h))
        return false;
    at += skip + 44;
    size_t body = block_bytes(&h, 8);
    if ((size_t)(end - at) < body)
        return false;
    zone->transition_count = h.time;
    zone->transitions = kp_calloc(h.time, sizeof *zone->transitions);
    zone->transition_types = kp_calloc(h.time, 1);
    for (uint32_t i = 0; i < h.time; i++) {
        zone->transitions[i] = (int64_t)kp_load_be64(at + i * 8);
        zone->transition_types[i] = at[h.time * 8 + i];
        if (zone->transition_types[i] >= h.type)
            return false;
    }
    const uint8_t *types = at + h.time * 9;
    if (!read_types(zone, types, types + h.type * 6, &h))
        return false;
    at += body;
    char rule[128];
    size_t rule_len = 0;
    if (at < end && *at == '\n')
        for (at++; at < end && *at != '\n' && rule_len + 1 < sizeof rule; at++)
            rule[rule_len++] = (char)*at;
    rule[rule_len] = 0;
    zone->has_rule = rule_len && parse_rule(rule, &zone->rule);
    return true;
}

static void destroy_zone(struct kp_zone *zone)
{
    kp_free(zone->transitions);
    kp_free(zone->transition_types);
    kp_free(zone->types);
    kp_free(zone->abbreviations);
    kp_free(zone);
}

static uint8_t *read_file(const char *path, size_t *ret_len)
{
    struct kp_os *os = kp_os_real();
    struct kp_file *file;
    struct kp_error err;
    if (os->open(os->ctx, path, KP_OPEN_READ, &file, &err) != KP_OK)
        return NULL;
    uint8_t *bytes = kp_alloc(ZONE_FILE_BYTES_MAX);
    enum kp_code code = os->pread(os->ctx, file, bytes, ZONE_FILE_BYTES_MAX, 0, ret_len, &err);
    os->close(os->ctx, file);
    if (code != KP_OK) {
        kp_free(bytes);
        return NULL;
    }
    return bytes;
}

struct name_search {
    const char *wanted;
    char found[ZONE_NAME_BYTES_MAX];
};

static void match_name(void *arg, const char *name)
{
    struct name_search *search = arg;
    if (strcasecmp(name, search->wanted) == 0 && strlen(name) < sizeof search->found)
        memcpy(search->found, name, strlen(name) + 1);
}

/* Spells each component of a name as the folder does. */
static bool canonical_name(const char *root, const char *name, char ret_name[ZONE_NAME_BYTES_MAX])
{
    struct kp_os *os = kp_os_real();
    char path[256], result[ZONE_NAME_BYTES_MAX] = "", part[ZONE_NAME_BYTES_MAX];
    while (*name) {
        size_t len = strcspn(name, "/");
        memcpy(part, name, len);
        part[len] = 0;
        name += len + (name[len] == '/');
        struct name_search search = {.wanted = part};
        snprintf(path, sizeof path, "%s/%s", root, result);
        struct kp_error err;
        if (os->list(os->ctx, path, match_name, &search, &err) != KP_OK || !search.found[0])
            return false;
        if (strlen(result) + strlen(search.found) + 2 > sizeof result)
            return false;
        if (result[0])
            strcat(result, "/");
        strcat(result, search.found);
    }
    memcpy(ret_name, result, sizeof result);
    return result[0] != 0;
}

static struct kp_zone *load(const char *name)
{
    for (const char *c = name; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr("/_+-", *c))
            return NULL;
    for (size_t i = 0; i < KP_COUNT(zone_roots); i++) {
        char path[256];
        struct kp_zone *zone = kp_calloc(1, sizeof *zone);
        size_t len;
        uint8_t *bytes = NULL;
        if (canonical_name(zone_roots[i], name, zone->name)) {
            snprintf(path, sizeof path, "%s/%s", zone_roots[i], zone->name);
            bytes = read_file(path, &len);
        }
        bool good = bytes && parse_file(zone, bytes, len);
        kp_free(bytes);
        if (good)
            return zone;
        destroy_zone(zone);
    }
    return NULL;
}

/* ---- names that are not files ---- */

/*
 * A zone's offsets under one of its names: of its history only the times of that name count, each up to the next one,
 * the first also before. (A rule for later times goes on with what was before it.) A zone that was never called so has
 * its own offsets.
 */
static struct kp_zone *make_named(const char *name, const struct kp_zone *whole)
{
    struct kp_zone *zone = kp_calloc(1, sizeof *zone);
    char folded[ABBREVIATION_BYTES_MAX];
    size_t len = strlen(name);
    uint32_t count = 0;
    for (size_t i = 0; i <= len && i < sizeof folded; i++)
        folded[i] = (char)toupper((unsigned char)name[i]);
    folded[sizeof folded - 1] = 0;
    snprintf(zone->name, sizeof zone->name, "%s", name);
    zone->whole = whole;
    zone->transitions = kp_calloc(whole->transition_count, sizeof *zone->transitions);
    zone->transition_types = kp_calloc(whole->transition_count, 1);
    zone->types = whole->types;
    for (uint32_t i = 0; i < whole->transition_count; i++) {
        if (strcmp(whole->types[whole->transition_types[i]].abbreviation, folded) != 0)
            continue;
        zone->transitions[count] = whole->transitions[i];
        zone->transition_types[count++] = whole->transition_types[i];
    }
    zone->transition_count = count;
    if (count > 0) {
        zone->first = zone->types[zone->transition_types[0]];
        return zone;
    }
    kp_free(zone->transitions);
    kp_free(zone->transition_types);
    *zone = *whole;
    snprintf(zone->name, sizeof zone->name, "%s", name);
    return zone;
}

/* A zone of one offset, from an abbreviation, or of a POSIX rule; NULL if the name is neither. */
static struct kp_zone *make_fixed(const char *name)
{
    struct rule rule;
    int32_t offset;
    const char *whole_name;
    bool abbreviated = kp_zone_abbreviation(kp_str(name), &offset, &whole_name);
    if (!abbreviated && !parse_rule(name, &rule))
        return NULL;
    struct kp_zone *zone = kp_calloc(1, sizeof *zone);
    snprintf(zone->name, sizeof zone->name, "%s", name);
    if (abbreviated) {
        zone->first = (struct local_type){offset, zone->name};
    } else {
        zone->rule = rule;
        zone->has_rule = true;
    }
    return zone;
}

/* The zone of a name that is in the cache; made if it can be. The cache is the caller's. */
static struct kp_zone *find_zone(const char *name)
{
    struct kp_zone *zone = cache.zones, *whole;
    const char *whole_name;
    int32_t offset;
    while (zone && strcasecmp(zone->name, name) != 0)
        zone = zone->next;
    if (zone)
        return zone;
    if (!kp_zone_abbreviation(kp_str(name), &offset, &whole_name)) /* PostgreSQL, too, asks abbreviations first */
        zone = load(name);
    else if (whole_name && (whole = find_zone(whole_name)))
        zone = make_named(name, whole);
    if (!zone)
        zone = make_fixed(name);
    if (zone) {
        zone->next = cache.zones;
        cache.zones = zone;
    }
    return zone;
}

enum kp_code kp_zone_find(struct kp_str name, const struct kp_zone **ret_zone, struct kp_error *err)
{
    char text[ZONE_NAME_BYTES_MAX];
    if (name.len == 0 || name.len >= sizeof text || memchr(name.ptr, 0, name.len))
        return kp_fail(err, KP_INVALID, "22023", "time zone \"%.*s\" not recognized",
                       (int)KP_MIN(name.len, sizeof text), name.ptr);
    memcpy(text, name.ptr, name.len);
    text[name.len] = 0;
    if (strcasecmp(text, "utc") == 0) {
        *ret_zone = &utc;
        return KP_OK;
    }
    kp_once_run(&cache.once, init_cache);
    kp_mutex_lock(&cache.mutex);
    const struct kp_zone *zone = find_zone(text);
    kp_mutex_unlock(&cache.mutex);
    if (!zone)
        return kp_fail(err, KP_INVALID, "22023", "time zone \"%s\" not recognized", text);
    *ret_zone = zone;
    return KP_OK;
}
