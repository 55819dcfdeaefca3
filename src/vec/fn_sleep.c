/*
 * Waiting: pg_sleep(seconds), and until a time. Once for each row, in ad-hoc queries only (they are volatile, and the
 * clock comes with the settings). A cancelled statement wakes up; its step ends by itself then.
 */
#include <math.h>

#include "os/os.h"
#include "vec/datetime.h"
#include "vec/facts.h"
#include "vec/fn.h"

enum { NAP_US = 10000 /* between looks at the cancellation */ };

/* Sleeps so long; the value is an empty text, as psql shows PostgreSQL's void. */
static void nap(struct kp_call *call, const struct kp_catalog_facts *facts, struct kp_vec *out, uint32_t row, double us)
{
    ((struct kp_text *)out->data)[row] = kp_text_make("", 0);
    if (!facts || !facts->os) {
        fn_fail_text(call, out, row, "0A000", "there is no clock here");
        return;
    }
    if (kp_vec_is_null(out, row) || !(us > 0))
        return;
    const struct kp_os *os = facts->os;
    int64_t start_ns = os->mono_ns(os->ctx);
    double rest_us = us;
    while (rest_us > 0 && !(facts->cancelled && atomic_load(facts->cancelled))) {
        os->sleep_us(os->ctx, rest_us < NAP_US ? (int64_t)ceil(rest_us) : NAP_US);
        rest_us = us - (double)(os->mono_ns(os->ctx) - start_ns) / 1000;
    }
}

static const struct kp_catalog_facts *facts_of(const struct kp_call *call)
{
    return call->settings ? call->settings->facts : NULL;
}

static void sleep_seconds(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    for (uint32_t i = 0; i < call->rows; i++)
        nap(call, facts_of(call), out, i, FN_AT(double, 0, i) * 1e6);
}

/* From the clock on, in the session's zone. */
static void sleep_for(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    const struct kp_catalog_facts *facts = facts_of(call);
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_error err;
        int64_t now_us = facts && facts->os ? facts->os->wall_us(facts->os->ctx) + KP_UNIX_EPOCH_US : 0, then_us;
        const struct kp_interval interval = FN_AT(struct kp_interval, 0, i);
        if (kp_timestamp_add(now_us, &interval, fn_zone(call), &then_us, &err) == KP_OK) {
            nap(call, facts, out, i, (double)then_us - (double)now_us);
        } else {
            ((struct kp_text *)out->data)[i] = kp_text_make("", 0);
            fn_fail(call, out, i, &err);
        }
    }
}

static void sleep_until(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    const struct kp_catalog_facts *facts = facts_of(call);
    for (uint32_t i = 0; i < call->rows; i++) {
        int64_t now_us = facts && facts->os ? facts->os->wall_us(facts->os->ctx) + KP_UNIX_EPOCH_US : 0;
        nap(call, facts, out, i, (double)FN_AT(int64_t, 0, i) - (double)now_us);
    }
}

#define SLEEP(name_, arg_, kernel_, doc_)                                                                              \
    FN_UNARY(name_, KP_FUNC_FUNCTION, KP_STRICT | KP_CAN_FAIL | KP_VOLATILE, arg_, KP_TEXT, kernel_, doc_)

static const struct kp_func funcs[] = {
    SLEEP("pg_sleep", KP_FLOAT8, sleep_seconds, "waits so many seconds"),
    SLEEP("pg_sleep_for", KP_INTERVAL, sleep_for, "waits that long"),
    SLEEP("pg_sleep_until", KP_TIMESTAMPTZ, sleep_until, "waits until then"),
};
KP_FUNCTIONS(sleep, funcs);
