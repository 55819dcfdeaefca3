/*
 * What idempotent producers have appended last: so that a batch that is sent again, also after a restart, is known.
 *
 * Such a producer numbers its records per partition, and sends a batch again until it is answered. Per (producer,
 * partition) the last five batches are remembered, as many as a producer may have under way. It is noted from the
 * batches as they become durable, and by recovery from those that it walks; a snapshot holds it (log/snapshot.h), and
 * so does each set of extents as of its end (log/state.h). So it is as of the log's end after every start, but for
 * batches that were sealed by an earlier version of kappa and have no snapshot, and those that have rotted. At most
 * KP_LOG_PRODUCERS_MAX are kept, those that appended last.
 *
 * Threads: changed with kp_log.lock held, or before there is another thread.
 */
#ifndef KP_LOG_PRODUCERS_H
#define KP_LOG_PRODUCERS_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum { KP_LOG_PRODUCERS_MAX = 65536, KP_LOG_PRODUCER_BATCHES = 5 };

struct kp_log;
struct kp_entry_header;

/* As it lies in a snapshot, too. */
struct kp_log_producer {
    int64_t producer_id;
    uint32_t topic, partition;
    int16_t epoch;
    uint16_t count; /* of its batches */
    uint32_t zero;
    struct {
        int32_t first, last; /* sequence numbers of its records */
        int64_t offset, position;
    } batches[KP_LOG_PRODUCER_BATCHES]; /* the newest last */
};
static_assert(sizeof(struct kp_log_producer) == 144, "snapshot");
static_assert(offsetof(struct kp_log_producer, batches) == 24, "snapshot");

struct kp_producers {
    struct kp_log_producer *list;
    uint32_t count, cap;
    uint32_t *slots; /* open addressing: number in the list + 1, 0 empty */
    uint32_t slot_count;
};

void kp_producers_finish(struct kp_producers *producers);
/* Notes a batch that was accepted by kp_record_batch_check, if an idempotent producer has sent it. */
void kp_producers_note(struct kp_producers *producers, const struct kp_entry_header *entry, int64_t position);
/* Takes up what kp_producers wrote: len bytes of struct kp_log_producer. False: they cannot be; nothing was changed. */
bool kp_producers_take(struct kp_producers *producers, const uint8_t *bytes, size_t len);
/* What they appended before the position, as far as it is still known, to out: those after that of them will be noted
 * again when the log is walked from there. */
void kp_producers_before(const struct kp_producers *producers, int64_t position, struct kp_buf *out);

/* All of them, appended to out as struct kp_log_producer. Any thread. */
void kp_log_producers(struct kp_log *log, struct kp_buf *out);

#endif
