/*
 * Functions that answer differently each time: random numbers, the clock. They are volatile: a view refuses them, and
 * a write evaluates them once, so that what they gave is in the record. The instance's randomness and clock come with
 * the settings; without them (a view's, a constant's) there is nothing to answer with, which is the row's failure.
 */
#include <stdio.h>

#include "os/os.h"
#include "vec/datetime.h"
#include "vec/facts.h"
#include "vec/fn.h"

static const struct kp_os *os_of(struct kp_call *call)
{
    const struct kp_os *os = call->settings && call->settings->facts ? call->settings->facts->os : NULL;
    for (uint32_t i = 0; !os && i < call->rows; i++)
        kp_call_fail(call, i, "0A000", "there is no randomness and no clock here");
    return os;
}

static void gen_random_uuid(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    (void)args;
    uint8_t *to = out->data;
    const struct kp_os *os = os_of(call);
    memset(to, 0, (size_t)call->rows * 16);
    if (!os)
        return;
    os->random(os->ctx, to, (size_t)call->rows * 16);
    for (uint32_t i = 0; i < call->rows; i++, to += 16) {
        to[6] = (uint8_t)((to[6] & 0x0f) | 0x40); /* version 4 */
        to[8] = (uint8_t)((to[8] & 0x3f) | 0x80); /* RFC 4122's variant */
    }
}

static void random_double(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    (void)args;
    double *to = out->data;
    const struct kp_os *os = os_of(call);
    for (uint32_t i = 0; i < call->rows; i++) {
        uint64_t bits = 0;
        if (os)
            os->random(os->ctx, &bits, sizeof bits);
        to[i] = (double)(bits >> 11) / 9007199254740992.0; /* 2^53 */
    }
}

static void clock_timestamp(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    (void)args;
    const struct kp_os *os = os_of(call);
    for (uint32_t i = 0; i < call->rows; i++)
        ((int64_t *)out->data)[i] = os ? os->wall_us(os->ctx) + KP_UNIX_EPOCH_US : 0;
}

/* Sun Nov 22 20:13:50.123456 2026 UTC */
static void timeofday(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    (void)args;
    static const char *const days[] = {"Sat", "Sun", "Mon", "Tue", "Wed", "Thu", "Fri"}; /* 2000-01-01 was a Saturday */
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const struct kp_os *os = os_of(call);
    for (uint32_t i = 0; i < call->rows; i++) {
        const char *zone = "UTC";
        int64_t now_us = os ? os->wall_us(os->ctx) + KP_UNIX_EPOCH_US : 0;
        int32_t offset_s = fn_zone(call) ? kp_zone_offset_at(fn_zone(call), now_us, &zone) : 0;
        int64_t local_us = now_us + (int64_t)offset_s * 1000000, day = kp_floor_div(local_us, KP_DAY_US);
        struct kp_civil civil;
        char text[64];
        kp_timestamp_to_civil(local_us, &civil);
        int len = snprintf(text, sizeof text, "%s %s %02d %02d:%02d:%02d.%06d %04d %s", days[(day % 7 + 7) % 7],
                           months[civil.month - 1], civil.day, civil.hour, civil.minute, civil.second, civil.us,
                           (int)civil.year, zone);
        ((struct kp_text *)out->data)[i] = fn_text(call, text, (size_t)len);
    }
}

#define FUNCTION(name_, ret_, kernel_, doc_)                                                                           \
    {                                                                                                                  \
        .name = name_, .kind = KP_FUNC_FUNCTION, .flags = KP_STRICT | KP_CAN_FAIL | KP_VOLATILE, .ret = ret_,          \
        .kernel = kernel_, .doc = doc_                                                                                 \
    }

static const struct kp_func funcs[] = {
    FUNCTION("gen_random_uuid", KP_UUID, gen_random_uuid, "a random UUID, version 4"),
    FUNCTION("random", KP_FLOAT8, random_double, "a random number from 0 to below 1"),
    FUNCTION("clock_timestamp", KP_TIMESTAMPTZ, clock_timestamp, "the clock, at each row"),
    FUNCTION("timeofday", KP_TEXT, timeofday, "the clock, at each row, as text"),
};
KP_FUNCTIONS(random, funcs);
