/*
 * (start, end) OVERLAPS (start, end): of timestamps or times of day; an end may be an interval from the start. The ends
 * of a pair may come in either order; a NULL among them leaves the answer open unless the rest decides.
 */
#include "vec/datetime.h"
#include "vec/fn.h"

struct span {
    bool known, end_known; /* known: start is; it is the earlier end if both are there */
    int64_t start, end;
};

static int64_t time_at(const struct kp_vec *vec, uint32_t row)
{
    const void *value = kp_vec_at(vec, row);
    return vec->type.id == KP_TIMETZ ? kp_timetz_key(value) : *(const int64_t *)value;
}

/* False: the end is out of range, which is the row's failure. */
static bool read_span(struct kp_call *call, const struct kp_vec *const *args, unsigned first, uint32_t row,
                      struct span *ret_span)
{
    const struct kp_vec *start = args[first], *end = args[first + 1];
    struct span span = {.known = !kp_vec_is_null(start, row), .end_known = !kp_vec_is_null(end, row)};
    struct kp_error err;
    if (span.known)
        span.start = time_at(start, row);
    if (span.end_known && end->type.id == KP_INTERVAL) {
        const struct kp_interval *by = kp_vec_at(end, row);
        span.end_known = span.known;
        if (span.known && start->type.id == KP_TIME) {
            int64_t us = (span.start + by->us % KP_DAY_US) % KP_DAY_US;
            span.end = us < 0 ? us + KP_DAY_US : us;
        } else if (span.known) {
            const struct kp_zone *zone = start->type.id == KP_TIMESTAMPTZ ? fn_zone(call) : NULL;
            if (kp_timestamp_add(span.start, by, zone, &span.end, &err) != KP_OK) {
                kp_call_fail(call, row, err.sqlstate, "%s", err.message);
                return false;
            }
        }
    } else if (span.end_known) {
        span.end = time_at(end, row);
    }
    if (!span.known && span.end_known) {
        span = (struct span){.known = true, .start = span.end};
    } else if (span.known && span.end_known && span.start > span.end) {
        int64_t later = span.start;
        span.start = span.end;
        span.end = later;
    }
    *ret_span = span;
    return true;
}

/* -1: NULL. */
static int overlap(struct span a, struct span b)
{
    if (!a.known || !b.known)
        return -1;
    if (a.start == b.start)
        return a.end_known && b.end_known ? 1 : -1;
    struct span *early = a.start < b.start ? &a : &b, *late = a.start < b.start ? &b : &a;
    if (!early->end_known)
        return -1;
    if (late->start < early->end)
        return 1;
    return late->end_known ? 0 : -1;
}

static void overlaps(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    uint8_t *to = out->data;
    kp_vec_need_valid(out, call->arena, call->rows);
    for (uint32_t i = 0; i < call->rows; i++) {
        struct span a, b;
        to[i] = 0;
        if (!read_span(call, args, 0, i, &a) || !read_span(call, args, 2, i, &b))
            continue;
        int answer = overlap(a, b);
        to[i] = answer > 0;
        if (answer < 0)
            kp_vec_set_null(out, i);
    }
}

#define OVERLAPS(time, flags_, end_a, end_b)                                                                           \
    {                                                                                                                  \
        .name = "overlaps", .kind = KP_FUNC_FUNCTION, .flags = flags_, .arg_count = 4,                                 \
        .args = {time, end_a, time, end_b}, .ret = KP_BOOL, .kernel = overlaps, .doc = "OVERLAPS"                      \
    }
#define FORMS(time, flags)                                                                                             \
    OVERLAPS(time, flags, time, time), OVERLAPS(time, flags, time, KP_INTERVAL),                                       \
        OVERLAPS(time, flags, KP_INTERVAL, time), OVERLAPS(time, flags, KP_INTERVAL, KP_INTERVAL)

static const struct kp_func funcs[] = {
    FORMS(KP_TIMESTAMP, KP_CAN_FAIL),
    FORMS(KP_TIMESTAMPTZ, KP_CAN_FAIL | KP_STABLE),
    FORMS(KP_TIME, 0),
    OVERLAPS(KP_TIMETZ, 0, KP_TIMETZ, KP_TIMETZ),
};
KP_FUNCTIONS(overlaps, funcs);
