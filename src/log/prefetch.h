/*
 * Reads ahead of sequential readers: while the engine works on one span, a thread reads the next from the journal or
 * from extents. Some slots, so that readers do not take turns throwing each other's away. Started by the first long
 * read.
 */
#ifndef KP_LOG_PREFETCH_H
#define KP_LOG_PREFETCH_H

#include "log/journal.h"
#include "log/tail.h"

enum { KP_PREFETCH_SLOTS = 4 };

enum kp_prefetch_state { KP_PREFETCH_EMPTY, KP_PREFETCH_WANTED, KP_PREFETCH_READING, KP_PREFETCH_READY };

struct kp_prefetch {
    struct kp_journal *journal; /* borrowed */
    bool enabled, running, stopping;
    struct kp_mutex mutex;
    struct kp_cond changed;
    struct kp_thread thread;
    struct {
        enum kp_prefetch_state state;
        uint64_t extent;   /* its number; 0: the journal */
        uint64_t location; /* in the extent: a byte */
        size_t want, got;
        struct kp_slab *slab; /* when ready */
    } slots[KP_PREFETCH_SLOTS];
    size_t next; /* the slot to be reused next */
};

/* enabled: false without threads; then nothing is ever read ahead. */
void kp_prefetch_init(struct kp_prefetch *prefetch, struct kp_journal *journal, bool enabled);
void kp_prefetch_finish(struct kp_prefetch *prefetch);
/* Asks for bytes from location on, all of them durable and in the location's file. Any thread. */
void kp_prefetch_want(struct kp_prefetch *prefetch, uint64_t location, size_t bytes);
/* What was asked for at this place, waiting for it if it is being read: a reference to the slab, and its bytes. NULL
 * if it was not, or could not be read. Any thread. */
struct kp_slab *kp_prefetch_take(struct kp_prefetch *prefetch, uint64_t location, size_t *ret_got);

/* The same of an extent: bytes from `place` on, a whole sector's. */
void kp_prefetch_want_extent(struct kp_prefetch *prefetch, uint64_t extent, uint64_t place, size_t bytes);
struct kp_slab *kp_prefetch_take_extent(struct kp_prefetch *prefetch, uint64_t extent, uint64_t place, size_t *ret_got);
/* How many bytes from there on are asked for; 0: none. */
size_t kp_prefetch_asked(struct kp_prefetch *prefetch, uint64_t extent, uint64_t place);
/* Lets go of what nobody has taken: readers have caught up. */
void kp_prefetch_drop(struct kp_prefetch *prefetch);

/* A slab for so many bytes, of a size that is kept for reuse when it is large. */
struct kp_slab *kp_read_slab(size_t want);
/* Reads from disk into a new slab, past the page cache unless the log writes through it. */
KP_MUST enum kp_code kp_journal_read(struct kp_journal *journal, uint64_t location, size_t want,
                                     struct kp_slab **ret_slab, size_t *ret_got, struct kp_error *err);

#endif
