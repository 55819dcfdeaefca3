/*
 * Literals whose value depends on when they are read: 'now', 'today', 'tomorrow' and 'yesterday' in dates and times,
 * and a time without date and zone that becomes a timetz where the zone's offset changes with the day.
 *
 * As in PostgreSQL they are read once, when the statement is bound, at its transaction's now(); so what a write makes
 * of them is in its record. The words are written out as that date or instant, and the text is read again. A view
 * would not follow from its records: there they stay refused (vec/datetime_parse.c).
 */
#include <ctype.h>
#include <strings.h>

#include "sql/bind.h"
#include "vec/datetime.h"

static bool is_moment(enum kp_type_id id)
{
    return id == KP_DATE || id == KP_TIME || id == KP_TIMETZ || id == KP_TIMESTAMP || id == KP_TIMESTAMPTZ;
}

/* Appends what a word means; false: it means no moment. A time of day has no other words than "now". */
static bool append_word(struct kp_buf *out, struct kp_str word, enum kp_type_id id, int64_t now_us,
                        const struct kp_zone *zone)
{
    static const char *const days[] = {"yesterday", "today", "tomorrow"};
    int64_t local_us;
    if (word.len == 3 && strncasecmp(word.ptr, "now", 3) == 0) {
        kp_timestamptz_print(now_us, zone, ' ', out);
        return true;
    }
    if (id == KP_TIME || id == KP_TIMETZ || !kp_timestamp_to_local(now_us, zone, &local_us))
        return false;
    for (int i = 0; i < (int)KP_COUNT(days); i++)
        if (word.len == strlen(days[i]) && strncasecmp(word.ptr, days[i], word.len) == 0) {
            kp_date_print((int32_t)kp_floor_div(local_us, KP_DAY_US) + i - 1, out);
            return true;
        }
    return false;
}

/* The text with its words written out, in front: 'today' may follow a clock, a date may not. False: it has none. */
static bool write_out(struct kp_str text, enum kp_type_id id, int64_t now_us, const struct kp_zone *zone,
                      struct kp_buf *out)
{
    struct kp_buf rest = {0};
    bool any = false;
    for (size_t i = 0; i < text.len;) {
        size_t len = 0;
        while (i + len < text.len && isalpha((unsigned char)text.ptr[i + len]))
            len++;
        struct kp_str word = {text.ptr + i, len};
        if (len && append_word(out, word, id, now_us, zone)) {
            kp_buf_append_byte(out, ' ');
            any = true;
        } else {
            len = KP_MAX(len, (size_t)1);
            kp_buf_append(&rest, text.ptr + i, len);
        }
        i += len;
    }
    kp_buf_append(out, rest.data, rest.len);
    kp_buf_finish(&rest);
    return any;
}

enum kp_code kp_bind_moment(struct binder *binder, struct kp_type to, struct kp_str text, void *ret_value,
                            enum kp_code refused)
{
    const struct kp_session_settings *settings = binder->context->settings;
    int64_t local_us, time_us;
    if (refused != KP_UNSUPPORTED || !is_moment(to.id) || binder->for_view || !settings ||
        !kp_timestamp_is_finite(settings->now_us))
        return refused;
    struct kp_buf said = {0};
    bool again = write_out(text, to.id, settings->now_us, settings->zone, &said);
    struct kp_error ignored;
    if (!again && to.id == KP_TIMETZ && kp_timestamp_to_local(settings->now_us, settings->zone, &local_us) &&
        kp_time_parse(text, -1, &time_us, &ignored) == KP_OK) { /* today's offset */
        said.len = 0;
        kp_date_print((int32_t)kp_floor_div(local_us, KP_DAY_US), &said);
        kp_buf_append_byte(&said, ' ');
        kp_time_print(time_us, &said);
        again = true;
    }
    struct kp_str whole = {(const char *)said.data, said.len};
    if (again && kp_value_parse(to, whole, settings->zone, binder->arena, ret_value, &ignored) == KP_OK)
        refused = KP_OK;
    kp_buf_finish(&said);
    return refused;
}
