/* Recovery: finds the end of the journal, tells torn from rotten, cuts only what was never acknowledged. */
#ifndef KP_LOG_RECOVER_H
#define KP_LOG_RECOVER_H

#include "log/journal.h"

struct kp_recovery {
    struct kp_journal *journal;
    bool read_only; /* nothing is changed on disk */
    /* Called for every block of a finished group, in order. */
    enum kp_code (*apply)(void *arg, const struct kp_block_header *block, uint64_t location, struct kp_error *err);
    void *arg;
};

/*
 * Fills journal->files, ->generation, ->end from the folder. *ret_found is false when there is no journal yet.
 * KP_CORRUPT names file, block and position when acknowledged blocks are damaged or missing.
 */
KP_MUST enum kp_code kp_recover(struct kp_recovery *recovery, bool *ret_found, struct kp_error *err);

#endif
