/* kappa.log and kappa.damage: the log as it lies on disk, and what of it cannot be read any more. */
#include "db/system.h"

#include <stdio.h>

enum kp_code kp_system_fill_log(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    struct kp_log *log = session->db->log;
    struct kp_log_sealed sealed;
    struct kp_log_recovered recovered;
    kp_log_sealed(log, &sealed);
    kp_log_recovered(log, &recovered);
    kp_system_put_int(rows, kp_log_position(log));
    kp_system_put_time(rows, kp_log_time_us(log));
    kp_system_put_int(rows, sealed.position);
    kp_system_put_int(rows, (int64_t)sealed.extents);
    kp_system_put_int(rows, (int64_t)sealed.unsealed_bytes);
    kp_system_put_int(rows, (int64_t)sealed.batch_bytes);
    kp_system_put_int(rows, (int64_t)sealed.journal_bytes);
    kp_system_put_int(rows, (int64_t)sealed.extent_bytes);
    kp_system_put_int(rows, (int64_t)sealed.merge_bytes);
    if (sealed.batch_bytes)
        kp_system_put_float(rows, kp_log_write_amplification(&sealed));
    else
        kp_system_put_null(rows);
    kp_system_put_int(rows, recovered.snapshot);
    kp_system_put_int(rows, (int64_t)recovered.journal_bytes);
    kp_system_put_int(rows, (int64_t)recovered.ahead_bytes);
    return KP_OK;
}

/* The journal file, or the extent, and the byte. */
static void put_place(struct kp_system_rows *rows, const struct kp_log_damage *damage)
{
    char extent[32];
    snprintf(extent, sizeof extent, "%llu%s", (unsigned long long)damage->extent, damage->adopted ? " (adopted)" : "");
    if (damage->file_number)
        kp_system_put_int(rows, (int64_t)damage->file_number);
    else
        kp_system_put_null(rows);
    kp_system_put_text(rows, damage->extent ? extent : NULL);
    if (damage->file_offset || damage->mended)
        kp_system_put_int(rows, (int64_t)damage->file_offset);
    else
        kp_system_put_null(rows);
}

enum kp_code kp_system_fill_damage(struct kp_session *session, struct kp_system_rows *rows, struct kp_error *err)
{
    struct kp_log *log = session->db->log;
    struct kp_log_damage *damages;
    size_t count;
    kp_log_damages(log, &damages, &count);
    for (size_t i = 0; i < count; i++) {
        struct kp_topic_info topic;
        bool known = kp_log_topic_get(log, damages[i].topic, &topic, NULL) == KP_OK;
        kp_system_put_text(rows, known ? topic.name : NULL);
        for (int c = 0; !damages[i].topic && c < 3; c++)
            kp_system_put_null(rows);
        if (damages[i].topic) {
            kp_system_put_int(rows, damages[i].partition);
            kp_system_put_int(rows, damages[i].offset);
            kp_system_put_int(rows, damages[i].offset_end - 1);
        }
        kp_system_put_int(rows, !damages[i].maybe);
        kp_system_put_int(rows, damages[i].position);
        kp_system_put_int(rows, damages[i].position_end);
        put_place(rows, &damages[i]);
        kp_system_put_text(rows, damages[i].wrong);
        kp_system_put_int(rows, damages[i].mended);
    }
    kp_free(damages);
    return KP_OK;
}
