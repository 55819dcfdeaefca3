/*
 * Retention: which topics give up old records, when, and what that means for views.
 *
 * A topic's policy (CREATE TOPIC … WITH, ALTER TOPIC … SET) is a catalog record. A round looks how far back the policy
 * reaches: the *horizon*, a position; records of the topic before it are to go. What reads them may hold it back. The
 * decision is logged (a record of __kappa_expiry) before anything follows from it, then the log trims the partitions.
 * So a policy, a clock or a round decide nothing by themselves: only the log does.
 *
 * Threads: every function from any thread. Rounds and deletions hold ddl_mutex: what reads a topic does not change
 * between the look at it and the decision.
 */
#ifndef KP_DB_RETENTION_H
#define KP_DB_RETENTION_H

#include "db/instance.h"

/* What kappa.topics shows. */
struct kp_topic_retention {
    struct kp_topic_policy policy;
    int64_t horizon;         /* records before this position are gone; 0: none ever went */
    int64_t expired_at;      /* position of the last decision; -1: none */
    int64_t compact_horizon; /* by decision: before it of each key only the latest may be left; 0: all are */
    int64_t compacted;       /* so far that was done */
    bool compacting;         /* at present */
    uint64_t removed_records, removed_bytes; /* that compaction took; less than it did when a crash cut a round off */
    char held_back_by[512];                  /* why the horizon is not as far as the policy says; "": it is */
};

struct kp_retention *kp_retention_create(struct kp_db *db);
void kp_retention_destroy(struct kp_retention *retention); /* NULL is fine */
/* The thread that runs rounds; not for `kappa run`. stop: waits for the running round; NULL is fine. */
void kp_retention_start(struct kp_retention *retention);
void kp_retention_stop(struct kp_retention *retention);

/* What can be wrong with the options is found here, before anything is logged. */
KP_MUST enum kp_code kp_retention_try(const struct kp_option *options, uint32_t option_count, struct kp_error *err);
/* Takes over what WITH (…) or SET (…) says; what it does not say stays. */
KP_MUST enum kp_code kp_retention_configure(struct kp_db *db, uint32_t topic, const struct kp_option *options,
                                            uint32_t option_count, struct kp_error *err);
void kp_retention_get(struct kp_db *db, uint32_t topic, struct kp_topic_retention *ret_retention);
/* Relations were dropped: their bases may go, in the thread's next round, or at once if there is none. ddl_mutex is
 * held. */
void kp_retention_dropped(struct kp_db *db);
/* One round for a topic, now; KP_OK when it was held back, too: kp_retention_get says so. ddl_mutex is held. */
KP_MUST enum kp_code kp_retention_run(struct kp_db *db, uint32_t topic, struct kp_error *err);
/* So much more was taken by a round of compaction. */
void kp_retention_note_removed(struct kp_db *db, uint32_t topic, uint64_t records, uint64_t bytes);
/* A decision about compaction, or what came of it. */
void kp_retention_note_compaction(struct kp_db *db, uint32_t topic, int64_t horizon, int64_t compacted, bool compacting,
                                  int64_t decided_at);
/* True: no round of compaction goes on, at once or within the time. */
bool kp_retention_wait_compacted(struct kp_db *db, uint32_t topic, int64_t timeout_us);
void kp_retention_note_held(struct kp_db *db, uint32_t topic, const char *reason);
/* Deletes a topic's records before an offset (-1: all there are) of one partition (-1: each). 55006 when somebody
 * needs them. ddl_mutex is held. */
KP_MUST enum kp_code kp_retention_delete(struct kp_db *db, uint32_t topic, int64_t partition, int64_t before_offset,
                                         struct kp_error *err);

/* The position from which on a view or table knows all of what it reads: what had expired when it was made is not in
 * it. 0: everything. */
int64_t kp_retention_complete_from(struct kp_db *db, const struct kp_relation *relation);
/* 72000 when records of the topic have expired, or were compacted, since `position`: what was there then cannot be
 * computed any more. */
KP_MUST enum kp_code kp_retention_check_past(struct kp_db *db, const char *topic, int64_t position,
                                             struct kp_error *err);
/* Who computes from the log holds this, so that no record goes meanwhile; and who lets them go, alone. */
void kp_retention_read_past(struct kp_db *db);
void kp_retention_write_past(struct kp_db *db);
void kp_retention_unlock_past(struct kp_db *db);

/* Reads the decisions of former lives. While opening. */
KP_MUST enum kp_code kp_retention_recover(struct kp_db *db, struct kp_error *err);

#endif
