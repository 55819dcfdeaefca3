/*
 * Inside view/: who reads, at which position, and what may therefore be reused.
 *
 * Two registries of readers, both arrays of slots that hold a number or FREE. `snapshots` holds the positions that are
 * being read: a row version [begin, end) is needed while some slot's position lies in it, or while the published
 * position may still be acquired. `lookups` holds the epoch in which a reader entered a key index: what was unlinked
 * in epoch e may be overwritten when no reader of epoch e or older is left.
 *
 * Entering is lock-free: take a free slot with the current number, then look whether that is still current, else take
 * it again. So the engine, which first moves the number and then looks at the slots, either finds the reader or
 * makes it retry (all of these are sequentially consistent).
 */
#ifndef KP_VIEW_CLOCK_H
#define KP_VIEW_CLOCK_H

#include "os/thread.h"
#include "view/view.h"

enum {
    KP_SNAPSHOTS_MAX = 16384, /* more than connections: each may hold one, and some a cursor's beside it */
    KP_LOOKUPS_MAX = 4096     /* threads inside a look-up at one moment: far more than a server has */
};
#define KP_READER_FREE INT64_MAX

struct kp_readers {
    _Atomic int64_t *slots;
    uint32_t count;
    _Atomic uint32_t used;    /* slots at and behind this one were never taken */
    _Atomic uint32_t waiters; /* threads that wait for a slot */
    struct kp_mutex lock;     /* with `freed`: for waiters only */
    struct kp_cond freed;
};

struct kp_view_clock {
    _Atomic int64_t position, time_us;
    _Atomic int64_t epoch;
    struct kp_readers snapshots, lookups;

    /* Of thousands of stores few change at a position, and publish looks at no others: those with something applied and
     * not published, or dead rows that somebody may see (`busy`), and those with subscriptions (`watched`). */
    struct kp_mutex stores_lock;
    struct kp_store *busy, *watched;
    size_t store_count;

    struct kp_mutex complete_lock;               /* behind all other locks */
    int64_t complete_position, complete_time_us; /* all changes up to here are in the stores' lists */

    _Atomic uint32_t waiters;
    struct kp_mutex wait_lock; /* wakes */
    struct kp_cond moved;
    uint64_t wakes;
};

/* Any thread. */
uint32_t kp_readers_enter(struct kp_readers *readers, _Atomic int64_t *current, int64_t *ret_number);
void kp_readers_leave(struct kp_readers *readers, uint32_t slot);

/* Appends the numbers that readers hold, unordered, to positions (room for *cap, grown as needed). Engine thread. */
void kp_readers_list(struct kp_readers *readers, int64_t **positions, size_t *count, size_t *cap);
/* The least number held; FREE if none. */
int64_t kp_readers_least(struct kp_readers *readers);

void kp_view_clock_add(struct kp_view_clock *clock, struct kp_store *store);
void kp_view_clock_remove(struct kp_view_clock *clock, struct kp_store *store);
/* Publish calls it back: before (index what becomes visible) and after (changes to subscribers). Engine thread. */
void kp_view_clock_note_busy(struct kp_view_clock *clock, struct kp_store *store);
/* It has its first subscription, or has lost its last. With stores_lock. */
void kp_view_clock_watch(struct kp_view_clock *clock, struct kp_store *store, bool watch);
/* Up to where subscribers have heard of everything, and that position's log time. Any thread. */
int64_t kp_view_clock_complete(struct kp_view_clock *clock, int64_t *ret_time_us);

#endif
