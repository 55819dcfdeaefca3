/*
 * The log's own structure, shared by log.c (opening, topics, state), append.c (gathering), commit.c (making durable),
 * read.c (by position) and fetch.c (by offset).
 *
 * An append's trip: append.c validates without a lock, then under `mutex` gives offsets and positions and copies into
 * the open block; the committer takes the oldest block, writes and syncs it without a lock, publishes under `lock`
 * what is now durable (tail, indexes, positions), then runs the callbacks.
 *
 * Locks, in this order: mutex, lock, journal.mutex. Nothing is written to disk under `mutex` or `lock`.
 */
#ifndef KP_LOG_INTERNAL_H
#define KP_LOG_INTERNAL_H

#include <stdatomic.h>

#include "log/hole.h"
#include "log/journal.h"
#include "log/log.h"
#include "log/prefetch.h"
#include "log/producers.h"
#include "log/seal.h"
#include "log/snapshot.h"
#include "log/tail.h"
#include "log/topic.h"

enum {
    KP_LOG_QUEUE_BYTES_MAX = 32 << 20, /* appended and not yet durable: back pressure beyond */
    KP_LOG_TAIL_BYTES = 64 << 20,      /* newest blocks kept in memory */
    KP_LOG_MARK_BYTES = 1 << 20,       /* a mark of (position, time, location) every so much of the log */
    KP_LOG_HINTS = 8,                  /* readers that read on where they stopped find their place at once */
    KP_LOG_LISTENERS_MAX = 16
};

/* Called once when the group of an append is durable, or never will be. */
struct kp_completion {
    kp_log_done done;
    void *arg;
    int64_t position_end;
};

/* What the threads that wait for one block wait on: all of them are woken at once, and none by the log's own mutex,
 * which they would only queue for. */
struct kp_block_ack {
    _Atomic uint32_t refs; /* who waits, and the block */
    struct kp_latch told;
    struct kp_error err; /* KP_OK: durable */
};

/* A block being filled or waiting to be written. */
struct kp_open_block {
    struct kp_open_block *next; /* newer */
    struct kp_slab *slab;       /* one reference */
    struct kp_block_header *header;
    size_t used, cap; /* bytes, with the header */
    bool sealed;      /* takes no more */
    uint64_t room;    /* bytes that must be left in its file: of the whole group, when one of many blocks begins here */
    struct kp_completion *completions;
    size_t completion_count, completion_cap;
    struct kp_block_ack *ack; /* one reference; NULL: no thread waits */
};

/* The commit that is written and being synced while the next one is written (log/commit.c). Guarded by kp_log.mutex. */
struct kp_log_syncing {
    struct kp_open_block *blocks;
    size_t bytes;
    bool busy, stop;
    uint64_t sequence; /* of its last block */
    int64_t position;  /* behind it */
    uint64_t durable_sequence;
    int64_t durable_position;
    struct kp_cond changed;
    struct kp_thread thread;
    bool runs;
};

struct kp_log_mark {
    int64_t position, log_time_us;
    uint64_t location;
};

struct kp_log_pending_name {
    struct kp_log_pending_name *next;
    const char *name;
};

struct kp_log {
    struct kp_os *os;
    struct kp_file *lock_file, *folder_lock;
    void (*notice)(void *arg, const char *text); /* the owner's; NULL: none */
    void *notice_arg;
    bool read_only, no_threads;
    bool opened; /* recovery is done */
    struct kp_journal journal;

    struct kp_mutex mutex;
    struct kp_cond work, space, committed; /* for the writer; for appenders; for kp_log_wait */
    struct kp_open_block *first, *last;    /* the queue: `last` may be open */
    size_t queued_bytes, space_waiters;
    int64_t next_position;
    uint64_t era;      /* 1 + how often what was queued has been refused */
    uint64_t refusals; /* for want of room: of what was queued, of what came to be */
    uint32_t next_topic;
    struct kp_log_pending_name *pending; /* topics on their way */
    bool stopping, committing;
    uint64_t wakes;          /* kp_log_wake calls */
    struct kp_error failure; /* code KP_OK while healthy */
    struct kp_slab *slab;    /* where the next block goes on; NULL or one reference */
    size_t slab_used;
    struct {
        void (*on_commit)(void *arg, int64_t position);
        void *arg;
    } listeners[KP_LOG_LISTENERS_MAX];
    size_t listener_count;
    struct kp_thread writer;
    bool writer_runs;
    struct kp_log_syncing syncing;

    struct kp_rwlock lock; /* what is durable */
    struct kp_topics topics;
    struct kp_tail tail;
    struct kp_log_mark *marks;
    size_t mark_count, mark_cap;
    int64_t log_time_us;
    struct kp_journal_end durable_end; /* behind the last published block, which ends a group */
    uint64_t durable_last;             /* where that block begins in its file */
    struct kp_open_block *held;        /* durable blocks of a group whose end is not, in order (the committer's) */
    _Atomic int64_t position;          /* durable */
    _Atomic uint64_t appended_bytes;   /* of journal, durable since the log was opened */
    _Atomic bool gaps;                 /* something was trimmed or dropped: readers look which batches are gone */

    struct kp_sealing sealing;
    struct kp_snapshots snapshots;
    struct kp_holes holes;
    struct kp_producers producers; /* (lock) */
    struct kp_prefetch prefetch;
    _Atomic bool disk_reads; /* since the last wait for commits: slabs may be kept for more of them */
    struct kp_mutex hint_mutex;
    struct {
        int64_t position;
        uint64_t location, block_bytes; /* of the block that ends at position */
    } hints[KP_LOG_HINTS];
    size_t hint_next;
};

/* commit.c */

/* Applies a durable block: topics, offsets, indexes, marks. Locked: lock (and mutex if the block may hold topics), or
 * no other thread yet. KP_CORRUPT when it does not fit what is known. */
KP_MUST enum kp_code kp_log_apply(struct kp_log *log, const struct kp_block_header *block, uint64_t location,
                                  struct kp_error *err);
/* Commits the oldest queued blocks with one sync. Locked: mutex, which is released meanwhile. */
void kp_log_commit_some(struct kp_log *log);
void kp_log_run_writer(void *arg);
void kp_log_run_syncer(void *arg);
/* Writes the closing block; false when there was none to write, or it failed. No other thread any more. */
bool kp_log_commit_closing(struct kp_log *log);

/* append.c */

/* Puts one group of entries, already validated, into the queue. Locked: mutex. payloads parallel to headers. */
struct kp_log_piece {
    struct kp_entry_header header;
    const void *payload;
    int64_t log_time_us; /* as in struct kp_log_entry */
    int64_t *ret_position;
};
/* done NULL: nobody is called. */
void kp_log_enqueue(struct kp_log *log, struct kp_log_piece *pieces, size_t count, kp_log_done done, void *arg);
/* Enqueues under the mutex (held), and returns when the group is durable. */
KP_MUST enum kp_code kp_log_enqueue_and_wait(struct kp_log *log, struct kp_log_piece *pieces, size_t count,
                                             int64_t *ret_position, struct kp_error *err);
/* Likewise, in two blocks of one commit: should one of them rot, the other tells. */
KP_MUST enum kp_code kp_log_enqueue_twice_and_wait(struct kp_log *log, struct kp_log_piece *piece,
                                                   struct kp_error *err);
/* KP_CLOSED with the cause when poisoned. Locked: mutex. */
KP_MUST enum kp_code kp_log_check(struct kp_log *log, struct kp_error *err);
/* KP_FULL, retriable, while what is left of the disk is kept for what frees room (log/reserve.h). Any thread. */
KP_MUST enum kp_code kp_log_check_room(struct kp_log *log, struct kp_error *err);
/* Takes no more entries: pads to whole sectors, and gives the rest of the slab back. Locked: mutex. */
void kp_open_block_seal(struct kp_log *log, struct kp_open_block *block);
void kp_open_block_free(struct kp_open_block *block);
/* Wakes the threads that wait for the block. err NULL: it is durable. No lock held. */
void kp_open_block_tell(struct kp_open_block *block, const struct kp_error *err);

#endif
