/* Advisory locks: pg_advisory_lock and its like; see advisory.c. */
#ifndef KP_DB_ADVISORY_H
#define KP_DB_ADVISORY_H

#include "vec/facts.h"

struct kp_session;
struct kp_advisory_locks;

struct kp_advisory_locks *kp_advisory_locks_create(void);
void kp_advisory_locks_destroy(struct kp_advisory_locks *locks); /* no session is left; NULL is fine */

/* One of enum kp_advisory_act, for kp_catalog_facts; arg is the session. By the session's thread: LOCK waits. */
KP_MUST enum kp_code kp_advisory_act(void *arg, const struct kp_advisory *asked, bool *ret_done, struct kp_error *err);

/* The transaction's locks that were taken behind the savepoint of this number (0: all) are given back. */
void kp_advisory_release_since(struct kp_session *session, uint64_t savepoint);
/* All that the session holds by itself, which outlives transactions. */
void kp_advisory_release_session(struct kp_session *session);

/* What is held and waited for, for pg_locks: once for each session and mode. */
struct kp_advisory_row {
    struct kp_advisory_key key;
    uint32_t pid;
    bool shared, granted;
    int64_t since_us; /* of a wait: unix microseconds */
};
void kp_advisory_each(struct kp_advisory_locks *locks, void (*each)(void *arg, const struct kp_advisory_row *row),
                      void *arg);

#endif
