/* kappa.history: the columns that were decoded once and are kept (log/columns.h). */
#include "db/system.h"

#include <stdio.h>

#include "base/utf8.h"

struct fill {
    struct kp_session *session;
    struct kp_system_rows *rows;
};

static void put_encodings(struct kp_system_rows *rows, uint32_t encodings)
{
    static const char *const names[] = {"", "plain", "frame", "dictionary", "strings", "digits", "row map"};
    char text[128] = "";
    for (uint32_t i = 1; i < KP_COUNT(names); i++)
        if (encodings >> i & 1)
            snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", text[0] ? ", " : "", names[i]);
    kp_system_put_text(rows, text);
}

/* The type that a name means, without its modifier. */
static enum kp_type_id type_of(const char *name)
{
    char bare[64];
    const char *open = strchr(name, '(');
    const char *behind = open ? strchr(open, ')') : NULL; /* "timestamp(3) without time zone" */
    snprintf(bare, sizeof bare, "%.*s%s", open ? (int)(open - name) : (int)strlen(name), name,
             behind ? behind + 1 : "");
    return kp_type_by_name(kp_str(bare));
}

static void put_bound(struct kp_system_rows *rows, const struct kp_column_stats *stats, bool has, const uint8_t *bytes,
                      uint8_t len)
{
    enum kp_type_id type = type_of(stats->type);
    if (!has || (len == 0 && kp_physical_is_integer(stats->physical)) || type == KP_TYPE_NONE || type == KP_BYTEA) {
        kp_system_put_null(rows);
        return;
    }
    if (!kp_physical_is_integer(stats->physical)) { /* the first bytes of a string, whole characters */
        kp_system_put_str(rows, (struct kp_str){(const char *)bytes, kp_utf8_valid_prefix((const char *)bytes, len)});
        return;
    }
    uint8_t value[16] = {0}; /* little-endian: a narrower one is its first bytes */
    struct kp_buf text = {0};
    memcpy(value, bytes, sizeof(int64_t));
    kp_value_print(KP_TYPE(type), value, NULL, &text);
    kp_system_put_str(rows, (struct kp_str){(const char *)text.data, text.len});
    kp_buf_finish(&text);
}

static void put_column(void *arg, const struct kp_column_stats *stats)
{
    struct fill *fill = arg;
    struct kp_system_rows *rows = fill->rows;
    struct kp_topic_info topic;
    char set[24];
    bool known = kp_log_topic_get(fill->session->db->log, stats->topic, &topic, NULL) == KP_OK;
    snprintf(set, sizeof set, "%016llx", (unsigned long long)stats->set.lo);
    kp_system_put_text(rows, known ? topic.name : NULL);
    kp_system_put_text(rows, set);
    kp_system_put_text(rows, stats->number == KP_COLUMN_ROWS ? NULL : stats->field);
    kp_system_put_text(rows, stats->number == KP_COLUMN_ROWS ? NULL : stats->type);
    kp_system_put_int(rows, stats->decoder_version);
    put_encodings(rows, stats->encodings);
    kp_system_put_int(rows, stats->chunks);
    kp_system_put_int(rows, (int64_t)stats->rows);
    kp_system_put_int(rows, (int64_t)stats->bytes);
    put_bound(rows, stats, stats->has_least && stats->number != KP_COLUMN_ROWS, stats->least, stats->least_bytes);
    put_bound(rows, stats, stats->has_largest && stats->number != KP_COLUMN_ROWS, stats->largest, stats->largest_bytes);
    kp_system_put_int(rows, stats->begin);
    kp_system_put_int(rows, stats->end);
    kp_system_put_int(rows, (int64_t)stats->pool_bytes);
}

enum kp_code kp_system_fill_history(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    struct fill fill = {session, rows};
    kp_columns_each(session->db->columns, put_column, &fill);
    return KP_OK;
}
