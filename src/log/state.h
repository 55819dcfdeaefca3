/*
 * What the log knows of topics and partitions, as a function of its entries: applied one by one, written down and read
 * back. A mixed extent holds it as of the end of its set (log/extent.h), so recovery needs the journal from there on.
 *
 *   state                     topic                                  partition
 *    0  4  version = 1 or 2    0  4  id                               0  8  start offset
 *    4  4  topics              4  4  partitions                       8  8  end offset
 *    8  4  ids given so far    8  8  created: µs since 1970          16  8  largest timestamp: ms
 *   12  4  producers          16  8  records                         24  8  bytes of all its batches
 *   16     topics, by id,     24  8  bytes                           32  8  bytes of those that were trimmed
 *          then producers     32  4  bytes of the name
 *                             36  4  zero
 *                             40     the name, zeros up to a multiple of 8, then the partitions
 *
 * The producers are struct kp_log_producer, 144 bytes each (log/producers.h): what idempotent ones appended last before
 * the end of the set. A state without any has version 1, which earlier versions of kappa read, too.
 */
#ifndef KP_LOG_STATE_H
#define KP_LOG_STATE_H

#include "base/buf.h"
#include "log/format.h"
#include "log/topic.h"

enum { KP_STATE_VERSION = 1, KP_STATE_VERSION_PRODUCERS = 2 };

/*
 * What an entry says of topics of which something was lost, before it is applied. One whose name is given to another
 * has been dropped: it is removed. One whose records come and that is not known was made: it is there under a name of
 * its own, KP_TOPIC_NAMELESS and its id, with as many partitions as were met. True: a topic was removed.
 */
bool kp_topics_meet(struct kp_topics *topics, const struct kp_entry_header *entry);
bool kp_topic_nameless(const struct kp_topic *topic);
/* Applies a durable entry that is not KP_ENTRY_SEALED. location: of its block, for the index; 0: no index is kept.
 * KP_CORRUPT when it does not fit what is known, KP_UNSUPPORTED for an unknown kind. */
KP_MUST enum kp_code kp_topics_apply(struct kp_topics *topics, const struct kp_entry_header *entry, uint64_t location,
                                     struct kp_error *err);
/* Appends the state to out, without indexes. */
void kp_state_write(const struct kp_topics *topics, struct kp_buf *out);
/* Reads a state into empty topics. KP_CORRUPT, KP_UNSUPPORTED; then topics are to be finished all the same. */
KP_MUST enum kp_code kp_state_read(const uint8_t *bytes, size_t len, struct kp_topics *topics, struct kp_error *err);
/* Adds producers to a state that was just written and is alone in `state`: bytes of struct kp_log_producer. */
void kp_state_put_producers(struct kp_buf *state, const struct kp_buf *producers);
/* Those of a state that kp_state_read has read; *ret_len bytes. */
const uint8_t *kp_state_producers(const uint8_t *bytes, size_t len, size_t *ret_len);

#endif
