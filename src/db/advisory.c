/*
 * Advisory locks, as PostgreSQL has them: a session, or its transaction, holds a number that others then cannot hold,
 * or only share. They are of the running instance: nothing of them is in the log, and a restart ends them all.
 *
 *   locks  key ──► lock ──► holds      of sessions, by mode and level, each counted
 *                       └─► waits      in order of arrival
 *
 * 1. Two holds of one lock by different sessions are both shared.
 * 2. Who waits is granted when no hold of another session and no wait before it is against it. Who holds the lock in
 *    the other mode goes before those who wait, and who holds it in the same mode does not wait at all.
 * 3. A session waits on its own thread (the pool's), for one lock at a time. A wait that would close a circle of those
 *    who wait for each other does not begin: 40P01. So there is none, ever.
 * 4. Who was granted a lock reads behind everything that was committed before: it was mostly waited for.
 *
 * All under one mutex, which is held for no longer than it takes to look; who waits looks again when something was
 * given back, and for a cancel every WAIT_SLICE_US.
 */
#include "db/advisory.h"

#include "base/hash.h"
#include "base/limits.h"
#include "db/session.h"

enum { BUCKETS = 1024 /* a power of two */, WAIT_SLICE_US = 20000 };

/* level: 0 the session, else 1 + the number of the savepoint behind which the transaction took it (0: of none). */
struct kp_advisory_hold {
    struct kp_session *owner;
    struct lock *lock;
    bool shared;
    uint64_t level, count;
    struct kp_advisory_hold *next;       /* of the lock */
    struct kp_advisory_hold *next_owned; /* of the owner, newest first */
};

struct kp_advisory_wait {
    struct kp_session *owner;
    struct lock *lock;
    bool shared;
    int64_t since_us;
    uint64_t seen; /* by the search of this number */
    struct kp_advisory_wait *next;
};

struct lock {
    struct kp_advisory_key key;
    struct kp_advisory_hold *holds;
    struct kp_advisory_wait *waits;
    struct lock *next; /* of the bucket */
};

struct kp_advisory_locks {
    struct kp_mutex mutex; /* over all below, and the sessions' advisory_holds and advisory_wait */
    struct kp_cond changed;
    struct lock *buckets[BUCKETS];
    uint32_t hold_count, wait_count;
    uint64_t searches;
};

struct kp_advisory_locks *kp_advisory_locks_create(void)
{
    struct kp_advisory_locks *locks = kp_calloc(1, sizeof *locks);
    kp_mutex_init(&locks->mutex);
    kp_cond_init(&locks->changed);
    return locks;
}

void kp_advisory_locks_destroy(struct kp_advisory_locks *locks)
{
    if (!locks)
        return;
    KP_ASSERT(locks->hold_count == 0 && locks->wait_count == 0);
    kp_cond_finish(&locks->changed);
    kp_mutex_finish(&locks->mutex);
    kp_free(locks);
}

/* ---- the table; all under the mutex ---- */

static struct lock **place_of(struct kp_advisory_locks *locks, const struct kp_advisory_key *key)
{
    const uint32_t words[] = {key->high, key->low, key->pair};
    struct lock **at = &locks->buckets[kp_hash_bytes(words, sizeof words) % BUCKETS];
    while (*at && ((*at)->key.high != key->high || (*at)->key.low != key->low || (*at)->key.pair != key->pair))
        at = &(*at)->next;
    return at;
}

static struct lock *find_or_add(struct kp_advisory_locks *locks, const struct kp_advisory_key *key)
{
    struct lock **at = place_of(locks, key);
    if (!*at) {
        *at = kp_calloc(1, sizeof **at);
        (*at)->key = *key;
    }
    return *at;
}

static void drop_if_free(struct kp_advisory_locks *locks, struct lock *lock)
{
    if (lock->holds || lock->waits)
        return;
    struct lock **at = place_of(locks, &lock->key);
    *at = lock->next;
    kp_free(lock);
}

static struct kp_advisory_hold *find_hold(const struct lock *lock, const struct kp_session *owner, bool shared)
{
    struct kp_advisory_hold *hold = lock->holds;
    while (hold && (hold->owner != owner || hold->shared != shared))
        hold = hold->next;
    return hold;
}

static bool is_against(bool shared, const struct kp_session *owner, bool other_shared, const struct kp_session *other)
{
    return owner != other && !(shared && other_shared);
}

static bool holds_are_against(const struct lock *lock, const struct kp_session *session, bool shared)
{
    for (const struct kp_advisory_hold *hold = lock->holds; hold; hold = hold->next)
        if (is_against(shared, session, hold->shared, hold->owner))
            return true;
    return false;
}

/* Of those before `until`; NULL: of all. */
static bool waits_are_against(const struct lock *lock, const struct kp_session *session, bool shared,
                              const struct kp_advisory_wait *until)
{
    for (const struct kp_advisory_wait *wait = lock->waits; wait != until; wait = wait->next)
        if (is_against(shared, session, wait->shared, wait->owner))
            return true;
    return false;
}

/* Invariant 2. waiting: since when it stands in the queue; NULL: it has just come. */
static bool must_wait(const struct lock *lock, const struct kp_session *session, bool shared,
                      const struct kp_advisory_wait *waiting)
{
    if (find_hold(lock, session, shared))
        return false;
    if (holds_are_against(lock, session, shared))
        return true;
    return !find_hold(lock, session, !shared) && waits_are_against(lock, session, shared, waiting);
}

static void grant(struct kp_advisory_locks *locks, struct lock *lock, struct kp_session *session,
                  const struct kp_advisory *asked)
{
    uint64_t level = asked->transaction ? 1 + kp_session_savepoint(session) : 0;
    struct kp_advisory_hold *hold = session->advisory_holds;
    while (hold && (hold->lock != lock || hold->shared != asked->shared || hold->level != level))
        hold = hold->next_owned;
    if (!hold) {
        hold = kp_calloc(1, sizeof *hold);
        *hold = (struct kp_advisory_hold){.owner = session,
                                          .lock = lock,
                                          .shared = asked->shared,
                                          .level = level,
                                          .next = lock->holds,
                                          .next_owned = session->advisory_holds};
        lock->holds = session->advisory_holds = hold;
        locks->hold_count++;
    }
    hold->count++;
}

/* Takes the hold out; owned: the link to it in its owner's list. */
static void give_back(struct kp_advisory_locks *locks, struct kp_advisory_hold **owned)
{
    struct kp_advisory_hold *gone = *owned, **at = &gone->lock->holds;
    while (*at != gone)
        at = &(*at)->next;
    *at = gone->next;
    *owned = gone->next_owned;
    locks->hold_count--;
    drop_if_free(locks, gone->lock);
    kp_free(gone);
    kp_cond_broadcast(&locks->changed);
}

/* ---- waiting ---- */

/* Whether who stands at `wait` waits for `session`, by itself or through others who wait. */
static bool waits_for(struct kp_advisory_wait *wait, const struct kp_session *session, uint64_t search)
{
    if (wait->seen == search)
        return false;
    wait->seen = search;
    const struct lock *lock = wait->lock;
    for (const struct kp_advisory_hold *hold = lock->holds; hold; hold = hold->next)
        if (is_against(wait->shared, wait->owner, hold->shared, hold->owner) &&
            (hold->owner == session ||
             (hold->owner->advisory_wait && waits_for(hold->owner->advisory_wait, session, search))))
            return true;
    if (find_hold(lock, wait->owner, !wait->shared))
        return false;
    for (struct kp_advisory_wait *before = lock->waits; before != wait; before = before->next)
        if (is_against(wait->shared, wait->owner, before->shared, before->owner) &&
            (before->owner == session || waits_for(before, session, search)))
            return true;
    return false;
}

static enum kp_code wait_slice(struct kp_session *session, int64_t began_ns, struct kp_error *err)
{
    struct kp_advisory_locks *locks = session->db->advisory;
    int64_t limit_ns = session->lock_timeout_ms * 1000000;
    (void)kp_cond_wait_us(&locks->changed, &locks->mutex, WAIT_SLICE_US);
    if (limit_ns && kp_thread_now_ns() - began_ns >= limit_ns)
        return kp_fail(err, KP_BUSY, "55P03", "canceling statement due to lock timeout");
    return kp_session_told(session, kp_session_check(session, err), err);
}

/* Stands in the lock's queue until its turn has come. */
static enum kp_code wait_for(struct kp_advisory_locks *locks, struct lock *lock, struct kp_session *session,
                             bool shared, struct kp_error *err)
{
    struct kp_os *os = session->db->os;
    struct kp_advisory_wait wait = {.owner = session, .lock = lock, .shared = shared, .since_us = os->wall_us(os->ctx)};
    struct kp_advisory_wait **end = &lock->waits;
    while (*end)
        end = &(*end)->next;
    *end = &wait;
    locks->wait_count++;
    session->advisory_wait = &wait;
    enum kp_code code = KP_OK;
    int64_t began_ns = kp_thread_now_ns();
    if (waits_for(&wait, session, ++locks->searches))
        code = kp_fail(err, KP_BUSY, "40P01", "deadlock detected");
    while (code == KP_OK && must_wait(lock, session, shared, &wait))
        code = wait_slice(session, began_ns, err);
    struct kp_advisory_wait **at = &lock->waits;
    while (*at != &wait)
        at = &(*at)->next;
    *at = wait.next;
    locks->wait_count--;
    session->advisory_wait = NULL;
    kp_cond_broadcast(&locks->changed);
    return code;
}

static enum kp_code take(struct kp_advisory_locks *locks, struct kp_session *session, const struct kp_advisory *asked,
                         bool *ret_done, struct kp_error *err)
{
    if (locks->hold_count >= KP_ADVISORY_LOCKS_MAX)
        return kp_fail(err, KP_LIMIT, "53200", "an instance can hold at most %d advisory locks", KP_ADVISORY_LOCKS_MAX);
    struct lock *lock = find_or_add(locks, &asked->key);
    bool waits = must_wait(lock, session, asked->shared, NULL), done = true;
    enum kp_code code = KP_OK;
    if (asked->act == KP_ADVISORY_TRY) /* nobody is passed by */
        done = !waits &&
               (find_hold(lock, session, asked->shared) || !waits_are_against(lock, session, asked->shared, NULL));
    else if (waits && locks->wait_count >= KP_ADVISORY_WAITS_MAX)
        code =
            kp_fail(err, KP_LIMIT, "53300", "at most %d sessions can wait for advisory locks", KP_ADVISORY_WAITS_MAX);
    else if (waits)
        code = wait_for(locks, lock, session, asked->shared, err);
    if (code == KP_OK && done)
        grant(locks, lock, session, asked);
    drop_if_free(locks, lock);
    *ret_done = done;
    return code;
}

/* ---- for sessions ---- */

static void warn_not_held(struct kp_session *session, bool shared)
{
    struct kp_error warning;
    (void)kp_fail(&warning, KP_OK, "01000", "you don't own a lock of type %s", shared ? "ShareLock" : "ExclusiveLock");
    if (session->options.notice)
        session->options.notice(session->options.arg, "WARNING", &warning);
}

/* Of the session's own; false: it has none. */
static bool unlock(struct kp_advisory_locks *locks, struct kp_session *session, const struct kp_advisory *asked)
{
    const struct lock *lock = *place_of(locks, &asked->key);
    struct kp_advisory_hold **at = &session->advisory_holds;
    while (*at && ((*at)->level || (*at)->lock != lock || (*at)->shared != asked->shared))
        at = &(*at)->next_owned;
    if (!*at)
        return false;
    if (--(*at)->count == 0)
        give_back(locks, at);
    return true;
}

enum kp_code kp_advisory_act(void *arg, const struct kp_advisory *asked, bool *ret_done, struct kp_error *err)
{
    struct kp_session *session = arg;
    struct kp_advisory_locks *locks = session->db->advisory;
    enum kp_code code = KP_OK;
    *ret_done = true;
    if (asked->act == KP_ADVISORY_UNLOCK_ALL) {
        kp_advisory_release_session(session);
        return KP_OK;
    }
    kp_mutex_lock(&locks->mutex);
    if (asked->act == KP_ADVISORY_UNLOCK)
        *ret_done = unlock(locks, session, asked);
    else
        code = take(locks, session, asked, ret_done, err);
    kp_mutex_unlock(&locks->mutex);
    if (asked->act == KP_ADVISORY_UNLOCK && !*ret_done)
        warn_not_held(session, asked->shared);
    else if (code == KP_OK && *ret_done)
        kp_session_read_after(session, atomic_load(&session->db->written));
    return code;
}

/* Those of levels from first to last. */
static void release(struct kp_session *session, uint64_t first, uint64_t last)
{
    struct kp_advisory_locks *locks = session->db->advisory;
    if (!session->advisory_holds) /* changed by this thread alone */
        return;
    kp_mutex_lock(&locks->mutex);
    struct kp_advisory_hold **at = &session->advisory_holds;
    while (*at)
        if ((*at)->level >= first && (*at)->level <= last)
            give_back(locks, at);
        else
            at = &(*at)->next_owned;
    kp_mutex_unlock(&locks->mutex);
}

void kp_advisory_release_since(struct kp_session *session, uint64_t savepoint)
{
    release(session, 1 + savepoint, UINT64_MAX);
}

void kp_advisory_release_session(struct kp_session *session)
{
    release(session, 0, 0);
}

/* ---- pg_locks ---- */

/* Whether a hold before it on the list says the same but for its level. */
static bool is_told(const struct kp_advisory_hold *hold)
{
    return find_hold(hold->lock, hold->owner, hold->shared) != hold;
}

void kp_advisory_each(struct kp_advisory_locks *locks, void (*each)(void *arg, const struct kp_advisory_row *row),
                      void *arg)
{
    kp_mutex_lock(&locks->mutex);
    for (size_t b = 0; b < BUCKETS; b++) {
        for (const struct lock *lock = locks->buckets[b]; lock; lock = lock->next) {
            struct kp_advisory_row row = {.key = lock->key, .granted = true};
            for (const struct kp_advisory_hold *hold = lock->holds; hold; hold = hold->next) {
                row.pid = hold->owner->pid;
                row.shared = hold->shared;
                if (!is_told(hold))
                    each(arg, &row);
            }
            row.granted = false;
            for (const struct kp_advisory_wait *wait = lock->waits; wait; wait = wait->next) {
                row.pid = wait->owner->pid;
                row.shared = wait->shared;
                row.since_us = wait->since_us;
                each(arg, &row);
            }
        }
    }
    kp_mutex_unlock(&locks->mutex);
}
