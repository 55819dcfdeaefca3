/* How long statements may run; see deadline.c. */
#ifndef KP_DB_DEADLINE_H
#define KP_DB_DEADLINE_H

#include <stdbool.h>
#include <stdint.h>

struct kp_session;
struct kp_deadlines;

struct kp_deadlines *kp_deadlines_create(void);
void kp_deadlines_destroy(struct kp_deadlines *deadlines); /* no statement runs any more; NULL is fine */

/* A session's own, one statement at a time. */
struct kp_deadline {
    bool running; /* the session's thread */
    bool passed;  /* the statement was cancelled for it; stays until the next begin */
    int64_t at_ns;
    struct kp_session *next; /* these are the watcher's, under its lock */
};
/* By the session's thread: begin is no more than end if the session has no timeout. */
void kp_deadline_begin(struct kp_session *session);
void kp_deadline_end(struct kp_session *session);

#endif
