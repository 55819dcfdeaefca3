/* Dates and times in SQL/JSON paths (jsonpath_item.h): reading, printing, comparing. */
#include "vec/jsonpath_item.h"

#include "vec/datetime.h"
#include "vec/fn.h"

static struct kp_time_moment moment_of(struct kp_str item)
{
    struct kp_time_moment moment;
    memcpy(&moment, item.ptr + 1, sizeof moment);
    return moment;
}

/* The forms that need no template, in PostgreSQL's order. */
static const char *const iso_forms[] = {"yyyy-mm-dd",
                                        "HH24:MI:SS.USTZH:TZM",
                                        "HH24:MI:SS.USTZH",
                                        "HH24:MI:SS.US",
                                        "HH24:MI:SSTZH:TZM",
                                        "HH24:MI:SSTZH",
                                        "HH24:MI:SS",
                                        "yyyy-mm-dd HH24:MI:SS.USTZH:TZM",
                                        "yyyy-mm-dd HH24:MI:SS.USTZH",
                                        "yyyy-mm-dd HH24:MI:SS.US",
                                        "yyyy-mm-dd HH24:MI:SSTZH:TZM",
                                        "yyyy-mm-dd HH24:MI:SSTZH",
                                        "yyyy-mm-dd HH24:MI:SS",
                                        "yyyy-mm-dd\"T\"HH24:MI:SS.USTZH:TZM",
                                        "yyyy-mm-dd\"T\"HH24:MI:SS.USTZH",
                                        "yyyy-mm-dd\"T\"HH24:MI:SS.US",
                                        "yyyy-mm-dd\"T\"HH24:MI:SSTZH:TZM",
                                        "yyyy-mm-dd\"T\"HH24:MI:SSTZH",
                                        "yyyy-mm-dd\"T\"HH24:MI:SS"};

enum kp_code kp_path_moment_read(struct kp_str text, struct kp_str format, struct kp_arena *arena,
                                 struct kp_str *ret_item, struct kp_error *err)
{
    struct kp_call call = {.arena = arena, .rows = 1};
    struct kp_time_moment moment = {0};
    bool good = false;
    if (format.ptr) {
        good = kp_time_read_exact(&call, text, format, &moment);
        if (!good)
            return kp_fail(err, KP_INVALID, call.errors[0].sqlstate, "%s", call.errors[0].message);
    }
    for (size_t i = 0; !good && i < KP_COUNT(iso_forms); i++)
        good = kp_time_read_exact(&call, text, kp_str(iso_forms[i]), &moment);
    if (!good) {
        kp_fail(err, KP_INVALID, "22031", "datetime format is not recognized: \"%.*s\"",
                (int)KP_MIN(text.len, (size_t)256), text.ptr);
        kp_error_hint(err, "Use a datetime template argument to specify the input data format.");
        return KP_INVALID;
    }
    char *bytes = kp_arena_alloc(arena, KP_PATH_MOMENT_BYTES);
    bytes[0] = KP_PATH_MOMENT_MARK;
    memcpy(bytes + 1, &moment, sizeof moment);
    *ret_item = (struct kp_str){bytes, KP_PATH_MOMENT_BYTES};
    return KP_OK;
}

/* +05:20, as XML Schema has it: with minutes always. */
static void print_offset(int32_t offset_s, struct kp_buf *out)
{
    int magnitude = offset_s < 0 ? -offset_s : offset_s;
    kp_buf_printf(out, "%c%02d:%02d", offset_s < 0 ? '-' : '+', magnitude / 3600, magnitude / 60 % 60);
}

struct kp_str kp_path_moment_print(struct kp_str item, struct kp_arena *arena)
{
    struct kp_time_moment moment = moment_of(item);
    struct kp_buf text = {0};
    kp_buf_append_byte(&text, '"');
    switch (moment.type) {
    case KP_DATE:
        kp_date_print((int32_t)moment.value, &text);
        break;
    case KP_TIME:
    case KP_TIMETZ:
        kp_time_print(moment.value, &text);
        break;
    case KP_TIMESTAMP:
        kp_timestamp_print(moment.value, 'T', &text);
        break;
    default:
        kp_timestamp_print(moment.value + moment.offset_s * KP_SECOND_US, 'T', &text);
    }
    if (moment.type == KP_TIMETZ || moment.type == KP_TIMESTAMPTZ)
        print_offset(moment.offset_s, &text);
    kp_buf_append_byte(&text, '"');
    struct kp_str copy = {kp_arena_strndup(arena, (const char *)text.data, text.len), text.len};
    kp_buf_finish(&text);
    return copy;
}

struct kp_str kp_path_moment_type(struct kp_str item, struct kp_arena *arena)
{
    return kp_str(kp_arena_printf(arena, "\"%s\"", kp_type_info(moment_of(item).type)->name));
}

static enum kp_code needs_zone(enum kp_type_id from, enum kp_type_id to, struct kp_error *err)
{
    kp_fail(err, KP_UNSUPPORTED, NULL, "cannot convert value from %s to %s without time zone usage",
            kp_type_info(from)->short_name, kp_type_info(to)->short_name);
    kp_error_hint(err, "Use *_tz() function for time zone support.");
    return KP_UNSUPPORTED;
}

/* A day, or a day and time, as microseconds that can be told apart beyond a timestamp's end. */
static __int128 wide(const struct kp_time_moment *moment)
{
    return moment->type == KP_DATE ? (__int128)moment->value * KP_DAY_US : moment->value;
}

static bool is_clock(enum kp_type_id type)
{
    return type == KP_TIME || type == KP_TIMETZ;
}

static enum kp_code to_timetz(const struct kp_time_moment *moment, bool zoned, const struct kp_zone *zone,
                              struct kp_timetz *ret_value, struct kp_error *err)
{
    int32_t offset_s = moment->offset_s;
    if (moment->type == KP_TIME) {
        if (!zoned)
            return needs_zone(KP_TIME, KP_TIMETZ, err);
        if (!kp_zone_is_fixed(zone))
            return kp_fail(err, KP_UNSUPPORTED, NULL, "the offset of a time in time zone \"%s\" depends on the day",
                           kp_zone_name(zone));
        offset_s = kp_zone_offset_at(zone, 0, NULL);
    }
    *ret_value = (struct kp_timetz){moment->value, -offset_s, 0};
    return KP_OK;
}

static int order_of(__int128 a, __int128 b)
{
    return (a > b) - (a < b);
}

enum kp_code kp_path_moment_compare(struct kp_str left, struct kp_str right, bool zoned, const struct kp_zone *zone,
                                    int *ret_order, bool *ret_comparable, struct kp_error *err)
{
    struct kp_time_moment a = moment_of(left), b = moment_of(right);
    *ret_comparable = is_clock(a.type) == is_clock(b.type);
    if (!*ret_comparable)
        return KP_OK;
    if (a.type == KP_TIMETZ || b.type == KP_TIMETZ) {
        struct kp_timetz x, y;
        KP_TRY(to_timetz(&a, zoned, zone, &x, err));
        KP_TRY(to_timetz(&b, zoned, zone, &y, err));
        *ret_order = order_of(kp_timetz_key(&x), kp_timetz_key(&y));
        return KP_OK;
    }
    __int128 x = wide(&a), y = wide(&b);
    bool local = a.type != KP_TIMESTAMPTZ;
    if (!is_clock(a.type) && local != (b.type != KP_TIMESTAMPTZ)) { /* one of them is in the session's zone */
        __int128 *moved = local ? &x : &y;
        int64_t us;
        if (!zoned)
            return needs_zone(local ? a.type : b.type, KP_TIMESTAMPTZ, err);
        if (*moved >= KP_TIMESTAMP_MIN && *moved < KP_TIMESTAMP_END && kp_timestamp_to_utc((int64_t)*moved, zone, &us))
            *moved = us;
    }
    *ret_order = order_of(x, y);
    return KP_OK;
}
