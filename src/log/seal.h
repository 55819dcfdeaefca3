/*
 * Sealing: old journal files become extents (log/extent.h), in the background or step by step.
 *
 * What counts, the sets and the head of the newest KP_ENTRY_SEALED, is changed by the committer when that entry is
 * published, with kp_log.mutex and kp_log.lock held; readers look under kp_log.lock. What is no longer needed is
 * *retired*: readers that came before are waited for, then journal files are recycled, extents removed, sets freed.
 *
 * A step does one thing: finishes what is retired, or seals a stretch of files, or merges small mixed extents.
 * Compaction (log/compact.c) writes one set anew at a time, in its caller's thread, between steps.
 */
#ifndef KP_LOG_SEAL_H
#define KP_LOG_SEAL_H

#include <stdatomic.h>

#include "log/extent.h"
#include "log/recover.h"
#include "log/seal_notes.h"
#include "os/thread.h"

struct kp_log;
struct kp_topics;

/* Who reads from files that may be retired: counted on two sides, so that those who come later are not waited for. */
struct kp_log_readers {
    struct kp_mutex mutex;
    struct kp_cond drained;
    uint32_t active[2];
    uint32_t side;
};
uint32_t kp_sealing_enter(struct kp_log_readers *readers); /* any thread; returns what leave wants */
void kp_sealing_leave(struct kp_log_readers *readers, uint32_t side);

struct kp_sealing {
    struct kp_extent_set **sets; /* (lock) by position */
    size_t set_count;
    struct kp_sealed_head head;       /* (lock) file_next 0: nothing was ever sealed */
    struct kp_sealed_extent *extents; /* (lock) */
    struct kp_seal_notes notes;       /* (lock) */
    struct kp_extent_set *arriving;   /* (mutex) of the entry on its way */
    uint64_t unsealed_bytes;          /* (mutex) of journal, in files that are full */
    struct kp_error failure;          /* (mutex) of the last step; KP_OK */
    _Atomic bool stuck;               /* a hole that goes on to the journal's end is not sealed yet */
    _Atomic bool full;                /* there was no room for the journal's next file */
    _Atomic bool gap; /* something was trimmed or dropped since the journal's last file was begun for it */
    struct kp_log_readers readers;

    uint64_t seal_bytes;            /* so much journal in full files is sealed at once */
    _Atomic bool urgent;            /* much of what may be unsealed is: a quarter at once */
    uint64_t limit_bytes;           /* of unsealed journal */
    uint64_t own_bytes;             /* a partition with so much in a set gets its own extent */
    uint64_t adopt_block_bytes;     /* a journal file with blocks so large on average may be adopted, */
    uint32_t adopt_per_cent;        /* when so much of it is of large partitions */
    struct kp_mutex step;           /* one step at a time: whoever holds it is the sealer. Before kp_log.mutex */
    uint64_t next_number;           /* of the next extent (the sealer's, as are those below) */
    _Atomic uint64_t compact_bytes; /* written by compaction since the log was opened */

    struct kp_buf superfluous; /* numbers of listed mixed extents that cannot be read, and no stretch lacks for them */
    bool merges_off;           /* one met damage: they wait for the next start */
    bool frees;                /* the step looks for what can be removed before it seals */
    uint64_t eager_end;        /* journal files before it are sealed as soon as they are full, one at a time */
    bool retiring;
    uint64_t recycle_first, recycle_end; /* journal files */
    struct kp_buf retired_sets;          /* pointers; (mutex) */
    struct kp_buf retired_extents;       /* numbers; (mutex) */
    struct kp_buf retired_adopted;       /* likewise, of adopted files; (mutex) */

    _Atomic bool stop;   /* the log is closing: what is being written is given up */
    struct kp_cond work; /* with kp_log.mutex */
    struct kp_thread thread;
    bool runs;
};

void kp_sealing_init(struct kp_log *log);
struct kp_log_options;
void kp_sealing_settings(struct kp_sealing *sealing, const struct kp_log_options *options);
void kp_sealing_finish(struct kp_log *log); /* the thread has ended */
/* After recovery: loads the sets, forgets and removes what does not count. */
KP_MUST enum kp_code kp_sealing_open(struct kp_log *log, const struct kp_recovery *recovery, struct kp_error *err);
/* Applies a durable KP_ENTRY_SEALED. Locked: mutex and lock, or no other thread yet. */
KP_MUST enum kp_code kp_log_apply_sealed(struct kp_log *log, const struct kp_entry_header *entry, struct kp_error *err);
/* The journal went on to a next file. Locked: mutex. */
void kp_sealing_file_full(struct kp_log *log);
/* Something was trimmed or dropped. Locked: mutex and lock, or no other thread yet. */
void kp_sealing_gap(struct kp_log *log);
/* One step, in the sealer's thread or (no_threads) the caller's. *ret_did: false when there is nothing to do. */
KP_MUST enum kp_code kp_sealing_step(struct kp_log *log, bool *ret_did, struct kp_error *err);
/* Seals what is in the journal but for its newest file, of which a new one is begun. The caller's thread. */
KP_MUST enum kp_code kp_sealing_all(struct kp_log *log, struct kp_error *err);
/* The sealer's thread; arg is the log. */
void kp_sealing_run(void *arg);

struct kp_extents_writer;
/* Makes a new list count: what the writer made (NULL: nothing), and all that counted but those numbers (u64) in
 * `without` (NULL: none). head.extents is set here. Then the old ones are to be retired. The sealer. */
KP_MUST enum kp_code kp_sealing_count(struct kp_log *log, struct kp_extents_writer *writer,
                                      const struct kp_sealed_head *head, const struct kp_buf *without,
                                      struct kp_error *err);
/* Is the journal file one of the extents that count? Any thread. */
bool kp_sealing_adopted(struct kp_log *log, uint64_t file_number);
/* Unlinks extents, best effort: what is left the next start removes. numbers: u64. */
void kp_sealing_unlink(struct kp_log *log, const struct kp_buf *numbers);
/* Finishes what is retired, if readers are gone; waits for them unless the log has no threads. The sealer. */
KP_MUST enum kp_code kp_sealing_retire(struct kp_log *log, bool *ret_did, struct kp_error *err);
/* merge.c: the topics as they are now, to finish whatever is returned. */
KP_MUST enum kp_code kp_sealing_topics(struct kp_log *log, struct kp_topics *ret_topics, struct kp_error *err);
/* merge.c: removes extents of which all is gone, or, unless only_gone, merges small sets; *ret_did is false if there is
 * nothing to do. */
KP_MUST enum kp_code kp_sealing_tidy(struct kp_log *log, bool only_gone, bool *ret_did, struct kp_error *err);

/* relist.c: makes the list of what counts again from the extents that are there. Before any other thread. */
KP_MUST enum kp_code kp_sealing_relist(struct kp_log *log, const struct kp_folder *folder, struct kp_error *err);

/* sets.c: what of a position, or of a partition's offset, lies in extents. */

/* The set that holds the first sealed record at or behind position; NULL if none does. Locked: lock. */
struct kp_extent_set *kp_sealing_set_at(const struct kp_sealing *sealing, int64_t position);
/* What the list of extents takes of the journal whenever it is logged. The sealer, or locked: mutex or lock. */
static inline uint64_t kp_sealing_list_bytes(const struct kp_sealing *sealing)
{
    return sizeof(struct kp_sealed_head) + sealing->head.extents * sizeof(struct kp_sealed_extent);
}
/* Unsealed journal that appends do not wait for: lists that are in it cannot take all of that. Locked: mutex. */
static inline uint64_t kp_sealing_limit_bytes(const struct kp_sealing *sealing)
{
    return KP_MAX(sealing->limit_bytes, 8 * kp_sealing_list_bytes(sealing));
}
/* Is the list so long that making it shorter comes before what merges may write? The sealer. */
static inline bool kp_sealing_list_long(const struct kp_sealing *sealing)
{
    return kp_sealing_list_bytes(sealing) > sealing->limit_bytes / 128;
}
/* Journal file numbers below are sealed. Locked: lock. */
static inline uint64_t kp_sealing_file_next(const struct kp_sealing *sealing)
{
    return sealing->head.file_next ? sealing->head.file_next : 1;
}

#endif
