/*
 * statement_timeout: one thread that looks after the running statements of all sessions that have one, started with the
 * first. At its time a statement is cancelled like by a client's request, and says why.
 *
 *   kp_execute ─ begin ─► list of sessions ─ the thread sleeps until the first is due ─► kp_session_cancel
 *              ─ end ───► out of the list
 *
 * Invariant: a session is in the list between begin and end only, so the thread never touches one that has gone; end
 * waits for a cancel that is under way, since both hold the lock.
 */
#include "db/deadline.h"

#include "db/session.h"

struct kp_deadlines {
    struct kp_mutex lock;
    struct kp_cond wake;
    struct kp_session *first; /* in no order: they are few */
    struct kp_thread thread;
    bool started, stop;
};

struct kp_deadlines *kp_deadlines_create(void)
{
    struct kp_deadlines *deadlines = kp_calloc(1, sizeof *deadlines);
    kp_mutex_init(&deadlines->lock);
    kp_cond_init(&deadlines->wake);
    return deadlines;
}

void kp_deadlines_destroy(struct kp_deadlines *deadlines)
{
    if (!deadlines)
        return;
    kp_mutex_lock(&deadlines->lock);
    KP_ASSERT(!deadlines->first);
    deadlines->stop = true;
    kp_cond_signal(&deadlines->wake);
    kp_mutex_unlock(&deadlines->lock);
    if (deadlines->started)
        kp_thread_join(&deadlines->thread);
    kp_cond_finish(&deadlines->wake);
    kp_mutex_finish(&deadlines->lock);
    kp_free(deadlines);
}

/* Cancels what is due; how long until the next, negative: there is none. With the lock. */
static int64_t look(struct kp_deadlines *deadlines)
{
    int64_t now_ns = kp_thread_now_ns(), next_us = -1;
    for (struct kp_session *session = deadlines->first; session; session = session->deadline.next) {
        if (session->deadline.passed)
            continue;
        int64_t left_us = (session->deadline.at_ns - now_ns + 999) / 1000;
        if (left_us <= 0) {
            session->deadline.passed = true;
            kp_session_cancel(session);
        } else if (next_us < 0 || left_us < next_us) {
            next_us = left_us;
        }
    }
    return next_us;
}

static void watch(void *arg)
{
    struct kp_deadlines *deadlines = arg;
    kp_mutex_lock(&deadlines->lock);
    while (!deadlines->stop)
        (void)kp_cond_wait_us(&deadlines->wake, &deadlines->lock, look(deadlines));
    kp_mutex_unlock(&deadlines->lock);
}

void kp_deadline_begin(struct kp_session *session)
{
    struct kp_deadlines *deadlines = session->db->deadlines;
    kp_deadline_end(session);
    session->deadline.passed = false;
    if (!session->statement_timeout_ms)
        return;
    kp_mutex_lock(&deadlines->lock);
    session->deadline.at_ns = kp_thread_now_ns() + session->statement_timeout_ms * 1000000;
    session->deadline.running = true;
    session->deadline.next = deadlines->first;
    deadlines->first = session;
    if (!deadlines->started)
        kp_thread_start(&deadlines->thread, "kp-deadline", 0, watch, deadlines);
    deadlines->started = true;
    kp_cond_signal(&deadlines->wake);
    kp_mutex_unlock(&deadlines->lock);
}

void kp_deadline_end(struct kp_session *session)
{
    struct kp_deadlines *deadlines = session->db->deadlines;
    if (!session->deadline.running)
        return;
    kp_mutex_lock(&deadlines->lock);
    struct kp_session **at = &deadlines->first;
    while (*at != session)
        at = &(*at)->deadline.next;
    *at = session->deadline.next;
    session->deadline.running = false;
    kp_mutex_unlock(&deadlines->lock);
}
