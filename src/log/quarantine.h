/*
 * Extents of which nothing can be read: a mixed one whose header or runs have rotted in both places, or whose file is
 * not there. The log opens all the same. In memory a set takes the extent's place, for the journal files and positions
 * between its neighbours; its runs are of lost records (log/extent.h, LOST): of each partition those between what the
 * sets before it hold and what those behind it, or the journal, go on with. Whoever wants them is told; others pass.
 *
 * Nothing on disk is changed: the extent counts as before, with those that its runs may have been in, until all that
 * it may have held was given up. Then its set is written anew, with nothing in it. When there are several, that waits
 * for all of them: which of them lay in which place is not known. Those that lay one behind the other are one set.
 *
 * Before any other thread, but for kp_quarantine_state, _gone: the sealer.
 */
#ifndef KP_LOG_QUARANTINE_H
#define KP_LOG_QUARANTINE_H

#include "base/buf.h"
#include "log/seal.h"

struct kp_quarantined {
    uint64_t number; /* of the mixed extent */
    const char *wrong;
};

/* What is wrong with an extent whose loading has failed. Static. */
const char *kp_quarantine_wrong(enum kp_code code);
/* Adds sets for what lacks between those that were loaded, in the place of those listed: struct kp_quarantined. */
KP_MUST enum kp_code kp_quarantine_sets(struct kp_log *log, const struct kp_buf *rotten, struct kp_error *err);
/* When it is known where partitions end: what those sets may have held. */
void kp_quarantine_settle(struct kp_log *log);

/* Is there such a set? */
bool kp_quarantined(const struct kp_sealing *sealing);
/* Was all given up that such sets may have held? *ret_set: the first of them. */
bool kp_quarantine_gone(const struct kp_sealing *sealing, const struct kp_topics *current, size_t *ret_set);
/* The state as of the set's end (log/state.h); where it has rotted, made of what is known now. To finish. */
KP_MUST enum kp_code kp_quarantine_state(struct kp_log *log, const struct kp_extent_set *set, struct kp_buf *ret_state,
                                         struct kp_error *err);

#endif
