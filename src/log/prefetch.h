/*
 * Reads ahead of sequential readers: while the engine works on one span, a thread reads the next from disk.
 * Two slots, so that two readers do not take turns throwing each other's away. Started by the first long read.
 */
#ifndef KP_LOG_PREFETCH_H
#define KP_LOG_PREFETCH_H

#include "log/journal.h"
#include "log/tail.h"

enum { KP_PREFETCH_SLOTS = 2 };

enum kp_prefetch_state { KP_PREFETCH_EMPTY, KP_PREFETCH_WANTED, KP_PREFETCH_READING, KP_PREFETCH_READY };

struct kp_prefetch {
    struct kp_journal *journal; /* borrowed */
    bool enabled, running, stopping;
    struct kp_mutex mutex;
    struct kp_cond changed;
    struct kp_thread thread;
    struct {
        enum kp_prefetch_state state;
        uint64_t location;
        size_t want, got;
        struct kp_slab *slab; /* when ready */
    } slots[KP_PREFETCH_SLOTS];
    size_t next; /* the slot to be reused next */
};

/* enabled: false without threads; then nothing is ever read ahead. */
void kp_prefetch_init(struct kp_prefetch *prefetch, struct kp_journal *journal, bool enabled);
void kp_prefetch_finish(struct kp_prefetch *prefetch);
/* Asks for want bytes from location on, all of them durable and in the location's file. Any thread. */
void kp_prefetch_want(struct kp_prefetch *prefetch, uint64_t location, size_t want);
/* What was asked for at this place, waiting for it if it is being read: a reference to the slab, and its bytes. NULL
 * if it was not, or could not be read. Any thread. */
struct kp_slab *kp_prefetch_take(struct kp_prefetch *prefetch, uint64_t location, size_t *ret_got);

/* Reads from disk into a new slab, past the page cache unless the log writes through it. */
KP_MUST enum kp_code kp_journal_read(struct kp_journal *journal, uint64_t location, size_t want,
                                     struct kp_slab **ret_slab, size_t *ret_got, struct kp_error *err);

#endif
