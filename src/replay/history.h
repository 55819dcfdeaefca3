/*
 * History for a set of nodes, step by step: from history columns where they are (log/columns.h), else from the log's
 * record batches, from which columns are then made.
 *
 *   position ──► all nodes' columns known here?  yes: slices up to the nearest end of a chunk, and more of them
 *                                                no:  a span of the log for those that lack them, slices for the others
 *
 * Every step ends between two groups of records and takes all nodes to the same position.
 */
#ifndef KP_REPLAY_HISTORY_H
#define KP_REPLAY_HISTORY_H

#include "flow/flow.h"
#include "log/log.h"

/* A node that reads a topic. */
struct kp_topic_feed {
    uint32_t topic;
    struct kp_node *node;
    struct kp_relation *relation;
};
/* What the feeds take from a span of the log: chunks grouped by topic, in the arena; returns how many inputs. */
size_t kp_span_inputs(const struct kp_log_span *span, const struct kp_topic_feed *feeds, size_t feed_count,
                      struct kp_arena *arena, struct kp_step_input **ret_inputs);

struct kp_history;
struct kp_history_options {
    struct kp_log *log;
    struct kp_columns *columns; /* NULL: none are read or made */
    uint64_t step_bytes_max;    /* of record batches */
};
struct kp_history *kp_history_create(const struct kp_history_options *options);
void kp_history_destroy(struct kp_history *history); /* NULL is fine; columns not yet full are lost */

struct kp_history_step {
    struct kp_step_input *inputs;
    size_t count;
    int64_t position, position_end;
    int64_t log_time_us; /* of the last batch in it; 0: there is none */
    uint64_t records, bytes;
};
/*
 * The next step from `position`, where a group begins, towards limit, for feeds that are the same from call to call or
 * not; position_end == position at the end. loose: it may also end where the rest before limit would have to be decoded
 * though it is known, because limit lies within a chunk. Lives until kp_history_release. A step begins one at a time.
 */
KP_MUST enum kp_code kp_history_next(struct kp_history *history, const struct kp_topic_feed *feeds, size_t feed_count,
                                     int64_t position, int64_t limit, bool loose, struct kp_history_step *ret_step,
                                     struct kp_error *err);
/* stepped: the graph has taken the step, so columns are made of what it decoded. */
void kp_history_release(struct kp_history *history, struct kp_history_step *step, bool stepped);

/* Records of the view's range were trimmed: it is to be forgotten (kp_columns_forget). */
bool kp_history_trimmed(struct kp_log *log, uint32_t topic, const struct kp_column_view *view);

#endif
