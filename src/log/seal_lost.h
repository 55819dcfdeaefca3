/*
 * Sealing past holes (log/hole.h): what of partitions' records the holes of a stretch of journal held.
 *
 * While the stretch is walked, offsets tell it exactly: where a partition goes on behind its end, the records between
 * lay in a hole that was passed; and behind the stretch the log knows where it goes on. The hole's ranges say which of
 * several, and what only may have been. So the state behind the stretch is that of a log which goes on there, and a
 * start from it gives no offset twice.
 *
 * A hole may also have held what made a topic: those that are known now and not by the state are added to it.
 *
 * One thread: the sealer's.
 */
#ifndef KP_LOG_SEAL_LOST_H
#define KP_LOG_SEAL_LOST_H

#include "log/extent_write.h"
#include "log/hole.h"
#include "log/topic.h"

struct kp_seal_lost {
    struct kp_log *log;
    struct kp_topics *state;         /* borrowed: as of where the walk is */
    const struct kp_topics *current; /* borrowed: as it is now */
    struct kp_buf passed;            /* the holes so far: struct kp_seal_hole */
    struct kp_buf ranges;            /* struct kp_extents_lost */
    uint32_t id_count;               /* topics that were made before the first hole */
};

struct kp_seal_hole {
    const struct kp_hole *hole;
    size_t item; /* of the writer: the next one */
    int64_t log_time_us;
};

void kp_seal_lost_finish(struct kp_seal_lost *lost);
/* The walk passes a hole. */
void kp_seal_lost_hole(struct kp_seal_lost *lost, const struct kp_hole *hole, size_t item, int64_t log_time_us);
/* Before an entry is applied to the state: what it says of the holes. */
void kp_seal_lost_explain(struct kp_seal_lost *lost, const struct kp_entry_header *entry);
/* The walk has ended before the file: what the log says of the holes. */
void kp_seal_lost_settle(struct kp_seal_lost *lost, uint64_t file_end);
/* Gives the writer what was lost. Before kp_extents_lay_out. */
void kp_seal_lost_put(const struct kp_seal_lost *lost, struct kp_extents_writer *writer);

#endif
