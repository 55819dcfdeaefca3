/* What log/hole.c and log/probe.c share, and how reading from extents tells of damage (log/read_set.c). */
#ifndef KP_LOG_PROBE_H
#define KP_LOG_PROBE_H

#include "base/buf.h"
#include "log/hole.h"

void kp_hole_free(struct kp_hole *hole); /* NULL is fine */
/* Joined with a range of the same partition that it touches. */
void kp_hole_range_add(struct kp_hole *hole, uint32_t topic, uint32_t partition, int64_t offset, int64_t offset_end,
                       bool maybe);
/* Takes the hole over. Locked: lock. */
void kp_holes_add(struct kp_log *log, struct kp_hole *hole);
/* Appends a struct kp_log_damage for every batch of the group at position, if it lies in an extent and one of its
 * batches is damaged there. */
void kp_set_damage(struct kp_log *log, int64_t position, struct kp_buf *out);

#endif
