/* Between a source and what reads it closely: keyed tables take decoded records themselves. */
#ifndef KP_FLOW_OP_SOURCE_H
#define KP_FLOW_OP_SOURCE_H

#include "flow/graph.h"

/* Decoded records of a keyed table, in log order within a call; tombstones delete. */
KP_MUST enum kp_code kp_op_upsert_take(struct kp_node *node, struct kp_lane *lane, const struct kp_decoded *decoded,
                                       struct kp_error *err);
/* A decoded row that cannot be taken becomes a dead letter. */
void kp_op_source_bury(struct kp_node *node, struct kp_lane *lane, int64_t position, const char *sqlstate,
                       const char *reason);
void kp_op_source_stats(const struct kp_node *node, struct kp_input_stats *stats);

/* The log time at which a source's watermark reaches this one although nothing comes: INT64_MIN if it has, INT64_MAX if
 * only records bring it there. */
int64_t kp_node_watermark_log_time(const struct kp_node *node, int64_t watermark);
/* The least watermark of the sources above a node, or its own. */
int64_t kp_node_watermark_above(const struct kp_node *node);

#endif
