/* Recovery: finds the end of the journal, tells torn from rotten, cuts only what was never acknowledged. */
#ifndef KP_LOG_RECOVER_H
#define KP_LOG_RECOVER_H

#include "base/buf.h"
#include "log/extent.h"
#include "log/hole.h"
#include "log/journal.h"

/* What a log's folder holds. Numbers are u64s, in order. */
struct kp_folder {
    struct kp_buf journals, extents;
    struct kp_buf leftovers; /* names of files being prepared, each with its zero */
    uint64_t first, last;    /* the journal files to be read; last 0: there is no log */
    /* What the first one follows. file_last 0: it is the log's first; number 0 otherwise: an extent that has rotted or
     * is not there; what is known of its end is what the first block says, and the newest list must know it. */
    struct kp_extent_header anchor;
};

/* Lists a folder and decides with which file the journal begins. KP_CORRUPT when files are missing. Of a log in use
 * KP_NOT_FOUND when it changed each time. */
KP_MUST enum kp_code kp_folder_look(struct kp_os *os, const char *dir, struct kp_folder *ret_folder,
                                    struct kp_error *err);
/* What was known of topics where the journal begins (log/state.h), to finish; where that has rotted, what an extent
 * before knew, or nothing. *ret_position: as of where. The folder is anchored: its anchor's file_last is not 0. */
KP_MUST enum kp_code kp_folder_state(struct kp_os *os, const char *dir, const struct kp_folder *folder,
                                     struct kp_buf *ret_state, int64_t *ret_position, struct kp_error *err);
/* Both. The state is empty where nothing was sealed. */
KP_MUST enum kp_code kp_folder_look_state(struct kp_os *os, const char *dir, struct kp_folder *ret_folder,
                                          struct kp_buf *ret_state, int64_t *ret_position, struct kp_error *err);
void kp_folder_finish(struct kp_folder *folder);
/* KP_CORRUPT: journal files before `first` are missing, and nothing says that they were sealed. */
KP_MUST enum kp_code kp_folder_missing(const char *dir, uint64_t first, struct kp_error *err);
static inline size_t kp_folder_count(const struct kp_buf *numbers)
{
    return numbers->len / sizeof(uint64_t);
}
static inline uint64_t kp_folder_number(const struct kp_buf *numbers, size_t i)
{
    return ((const uint64_t *)(const void *)numbers->data)[i];
}

struct kp_recovery {
    struct kp_journal *journal;
    bool read_only; /* nothing is changed on disk */
    bool threads;   /* one may read ahead */
    /* Called when the files are known: is there a snapshot to go on from? Then begin is not called. NULL: none. If not,
     * *ret_witness may be set to a place up to which the journal was durable once. */
    bool (*resume)(void *arg, struct kp_journal_end *ret_end, struct kp_journal_end *ret_witness);
    /* Called first when the journal's beginning was sealed. */
    enum kp_code (*begin)(void *arg, const struct kp_folder *folder, struct kp_error *err);
    /* Called for every block of a finished group, in order. */
    enum kp_code (*apply)(void *arg, const struct kp_block_header *block, uint64_t location, struct kp_error *err);
    /* Acknowledged blocks are rotten: called for those of the hole whose header is right, in order, then once when its
     * bounds are known (log/hole.h). */
    void (*lost)(void *arg, const struct kp_block_header *block, bool intact, uint64_t location);
    void (*hole)(void *arg, const struct kp_hole *hole);
    void *arg;

    struct kp_journal_end witness; /* sequence 0: none */
    struct kp_folder folder;       /* out; to finish */
};

/*
 * Fills journal->files, ->generation, ->end from the folder. *ret_found is false when there is no journal yet.
 * KP_CORRUPT when files are missing, or what is there cannot be. Rotten blocks are holes: the log goes on behind them.
 */
KP_MUST enum kp_code kp_recover(struct kp_recovery *recovery, bool *ret_found, struct kp_error *err);

#endif
