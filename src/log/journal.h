/*
 * The journal: its files, the place where the next block goes, and the one write and sync of a block.
 *
 * Threads: `mutex` guards the table of files and the preparation of the next one. The end (file, offset, sequence, …)
 * belongs to whoever commits, one at a time (log/commit.c).
 */
#ifndef KP_LOG_JOURNAL_H
#define KP_LOG_JOURNAL_H

#include <stdatomic.h>

#include "log/format.h"
#include "log/reserve.h"
#include "log/scan.h"
#include "os/thread.h"

struct kp_journal_file {
    uint64_t bytes;
    uint64_t end; /* behind its last block; UINT64_MAX while it is the last file with blocks */
};

/* Where the next block goes and what it follows. */
struct kp_journal_end {
    uint64_t file_number, offset;
    uint64_t sequence; /* of the last block; 0 if none */
    uint32_t previous_crc;
    int64_t position;
    int64_t log_time_us;
    bool closed; /* the last block is a KP_BLOCK_CLOSED one */
};

struct kp_journal {
    struct kp_os *os;
    char *dir;
    uint64_t generation;
    uint64_t file_bytes; /* of a new file */
    bool unsafe_no_sync;

    struct kp_mutex mutex;
    struct kp_cond changed;
    uint64_t first_number;         /* the first file known: older ones were sealed before the log was opened */
    struct kp_journal_file *files; /* file number n is files[n - first_number]; sealed ones keep their place */
    uint64_t file_count, file_cap;
    uint64_t current;  /* number of the file being written */
    bool wanted;       /* the current file is half full: the next one is to be prepared */
    bool prewrite;     /* and filled with zeros first */
    _Atomic bool roll; /* the next block begins a new file */
    bool threaded, preparing, stopping;
    struct kp_thread preparer;
    struct kp_reserve reserve;

    struct kp_file *file; /* the current one, open for writing */
    struct kp_journal_end end;
    uint64_t durable_sequence; /* synced */
    int64_t durable_position;
    bool refused;  /* the last write failed for want of room for a next file: nothing was written, all may go on */
    bool unsynced; /* blocks were written to the current file since its last sync */
    uint64_t block_count, block_bytes; /* written to the current file: does the load write small blocks? */
};

/* Sets up; no files yet: recovery (log/recover.h) or kp_journal_create fills the table. writes: blocks will be. */
void kp_journal_init(struct kp_journal *journal, struct kp_os *os, const char *dir, uint64_t file_bytes,
                     bool unsafe_no_sync, bool writes);
/* Stops the preparer, closes. */
void kp_journal_finish(struct kp_journal *journal);

void kp_journal_file_add(struct kp_journal *journal, uint64_t bytes); /* recovery: the next number */
static inline uint64_t kp_journal_last_number(const struct kp_journal *journal)
{
    return journal->first_number + journal->file_count - 1;
}
/* Makes the first file of a new log. */
KP_MUST enum kp_code kp_journal_create(struct kp_journal *journal, struct kp_error *err);
/* Opens the file of journal->end for writing. threaded: a thread prepares files in advance. */
KP_MUST enum kp_code kp_journal_start(struct kp_journal *journal, bool threaded, struct kp_error *err);

/* Where a reader goes on behind a block: the place in the same file, or the start of the next one. Any thread. */
uint64_t kp_journal_following(struct kp_journal *journal, uint64_t location, uint64_t block_bytes);
struct kp_journal_file kp_journal_file_get(struct kp_journal *journal, uint64_t file_number);

/*
 * Gives a sealed file, which nobody reads any more, a new life as one of the files to be written next; or removes it
 * when enough of them wait already, or its size is unusual. The sealer. On failure the file may be left: the next start
 * removes it.
 */
KP_MUST enum kp_code kp_journal_recycle(struct kp_journal *journal, uint64_t number, struct kp_error *err);
/*
 * A sealed file that counts as an extent gets the name of one, once nobody reads it as journal (log/extent.h). The
 * folder is to be synced before the file is used again. The sealer.
 */
KP_MUST enum kp_code kp_journal_adopt(struct kp_journal *journal, uint64_t number, struct kp_error *err);
/* kp_journal_recycle of an adopted file. It is removed while a backup copies the log. */
KP_MUST enum kp_code kp_journal_recycle_adopted(struct kp_journal *journal, uint64_t number, struct kp_error *err);

/* Bytes that are left of the current file. The committer. */
uint64_t kp_journal_left(struct kp_journal *journal);

/*
 * Completes the headers of `count` blocks (payload and its counts and CRC are set), which lie one behind another in
 * memory, writes them at once, and with `sync` makes them and all blocks before them durable. room: bytes that their
 * file must have left, if more than their own: a group lies in one file. blocks: aligned, whole sectors. On success the
 * journal's end is behind them. A failure leaves the journal unusable for writing, unless journal->refused is set.
 */
KP_MUST enum kp_code kp_journal_write(struct kp_journal *journal, struct kp_block_header *blocks, size_t count,
                                      uint64_t room, bool sync, struct kp_error *err);

#endif
