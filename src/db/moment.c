/*
 * Where moments are in the log: what log_position() asks (vec/facts.h), and with it FOR SYSTEM_TIME AS OF. A view asks
 * for the same moment with every batch, so the last few answers that stay as they are are kept.
 */
#include "db/moment.h"

#include "db/retention.h"

struct kp_moments {
    struct kp_db *db;
    struct kp_log_facts facts;
    struct kp_mutex mutex; /* what follows; short */
    struct {
        struct kp_moment moment;
        int64_t position; /* -1: none */
    } known[8];
    uint32_t next; /* to be replaced */
};

static const int64_t POSTGRES_EPOCH_US = 946684800000000; /* the log counts from 1970-01-01 */

static bool recall(struct kp_moments *moments, struct kp_moment moment, int64_t *ret_position)
{
    bool found = false;
    kp_mutex_lock(&moments->mutex);
    for (size_t i = 0; i < KP_COUNT(moments->known); i++)
        if (moments->known[i].position >= 0 && moments->known[i].moment.at == moment.at &&
            moments->known[i].moment.is_time == moment.is_time) {
            *ret_position = moments->known[i].position;
            found = true;
        }
    kp_mutex_unlock(&moments->mutex);
    return found;
}

static void note(struct kp_moments *moments, struct kp_moment moment, int64_t position)
{
    kp_mutex_lock(&moments->mutex);
    moments->known[moments->next].moment = moment;
    moments->known[moments->next].position = position;
    moments->next = (moments->next + 1) % KP_COUNT(moments->known);
    kp_mutex_unlock(&moments->mutex);
}

enum kp_code kp_moment_position(struct kp_db *db, struct kp_moment moment, int64_t *ret_position, struct kp_error *err)
{
    int64_t end = kp_log_position(db->log), position = moment.at;
    if (!moment.is_time && moment.at >= end) { /* the log has not come to it */
        *ret_position = moment.at;
        return KP_OK;
    }
    if (recall(db->moments, moment, ret_position))
        return KP_OK;
    int64_t behind_us; /* what was logged until then */
    if (moment.is_time) {
        bool never = moment.at == INT64_MAX || __builtin_add_overflow(moment.at, POSTGRES_EPOCH_US + 1, &behind_us);
        KP_TRY(kp_log_position_at(db->log, never ? INT64_MAX : behind_us, &position, err));
    }
    KP_TRY(kp_log_group_at(db->log, position, &position, err)); /* a group counts whole, at its end */
    if (position < end)
        note(db->moments, moment, position);
    *ret_position = position;
    return KP_OK;
}

static enum kp_code ask(void *arg, struct kp_moment moment, const char *topic, int64_t *ret_position,
                        struct kp_error *err)
{
    const struct kp_moments *moments = arg;
    return kp_moment_position(moments->db, moment, ret_position, err);
}

static enum kp_code ask_past(void *arg, struct kp_moment moment, const char *topic, int64_t *ret_position,
                             struct kp_error *err)
{
    struct kp_db *db = arg;
    int64_t position;
    KP_TRY(kp_moment_position(db, moment, &position, err));
    if (topic)
        KP_TRY(kp_retention_check_past(db, topic, position, err));
    *ret_position = position;
    return KP_OK;
}

const struct kp_log_facts *kp_moments_facts(const struct kp_moments *moments)
{
    return &moments->facts;
}

void kp_moments_facts_past(struct kp_db *db, struct kp_log_facts *ret_facts)
{
    *ret_facts = (struct kp_log_facts){db, ask_past};
}

struct kp_moments *kp_moments_create(struct kp_db *db)
{
    struct kp_moments *moments = kp_calloc(1, sizeof *moments);
    moments->db = db;
    moments->facts = (struct kp_log_facts){moments, ask};
    kp_mutex_init(&moments->mutex);
    for (size_t i = 0; i < KP_COUNT(moments->known); i++)
        moments->known[i].position = -1;
    return moments;
}

void kp_moments_destroy(struct kp_moments *moments)
{
    if (moments)
        kp_mutex_finish(&moments->mutex);
    kp_free(moments);
}
