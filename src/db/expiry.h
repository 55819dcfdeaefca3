/*
 * One expiry: records of a topic go, by a decision that is a record of the log.
 *
 * The decision is a record of the internal topic __kappa_expiry:
 *
 *   key     the topic's number
 *   value   lines:   <format = 1> <horizon, or -1> <why> <partitions> <offset of partition 0> <of 1> …
 *                    base <number>                       rows of __kappa_bases that are true from now on (db/base.h)
 *                    times <source> <watermark> <partitions> <partition> <largest event time> … <log time of its last
 *                    row> …, which records of earlier versions lack
 *                    retractions <number>                rows of __kappa_retractions that go from views here
 * (db/base.h)
 *
 * Format 2 is compaction's (db/compaction.h).
 *
 * It says: the records of each partition before that offset are gone. Then the log trims the partitions
 * (KP_ENTRY_TRIM); if the power goes in between, the next start does.
 */
#ifndef KP_DB_EXPIRY_H
#define KP_DB_EXPIRY_H

#include "db/instance.h"

struct kp_expiry {
    struct kp_topic_info topic;
    int64_t from;    /* nothing of the topic is left before this position; a group's start */
    int64_t horizon; /* every record of the topic before this position and none behind it; -1: by offsets */
    int64_t *before; /* for each partition: the first offset that stays */
    const char *why; /* one word */
};

/* KP_BUSY with the reason when something needs the records. */
KP_MUST enum kp_code kp_expiry_check(struct kp_db *db, const struct kp_expiry *expiry, struct kp_error *err);
/* Logs the decision and carries it out. After kp_expiry_check, rounds one at a time. */
KP_MUST enum kp_code kp_expiry_run(struct kp_db *db, const struct kp_expiry *expiry, struct kp_error *err);

/* An internal topic, made if it is missing. */
KP_MUST enum kp_code kp_expiry_topic(struct kp_db *db, const char *name, uint32_t *ret_topic, struct kp_error *err);
/* retention.c: a decision that is in the log, for kappa.topics. */
void kp_retention_note(struct kp_db *db, uint32_t topic, int64_t horizon, int64_t expired_at);

#endif
