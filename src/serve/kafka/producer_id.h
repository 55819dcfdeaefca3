/*
 * Idempotent producers: each numbers its batches per partition, so that one sent twice is kept once.
 *
 * Per (producer, partition) the last five batches are remembered, as many as a producer may have under way. A repeated
 * one gets the offset it has; one that does not follow the last is refused. One that the log refuses after its turn,
 * for want of room, is taken back, and all behind it: it may be sent again. What is remembered lives in memory and is
 * bounded: a producer that is not known (any more) may begin with any number. It begins with what the log knows of
 * those that appended before the start (log/producers.h).
 *
 * Threads: any. A turn holds a lock of its producer, so that check, append and note are one.
 */
#ifndef KP_SERVE_KAFKA_PRODUCER_ID_H
#define KP_SERVE_KAFKA_PRODUCER_ID_H

#include "serve/kafka/api.h"

struct kp_producer_batch {
    int64_t producer_id;
    int16_t epoch;
    uint32_t topic, partition;
    int32_t sequence, records;
};
struct kp_producer_turn {
    int64_t known_offset; /* of a batch that was appended before */
    bool known_durable;   /* it is on disk; else it may still be refused */
    uint64_t follows;     /* for the log's entry of one to append */
};

/* True: append it, then kp_producer_turn_end (entry NULL: it was not appended). False: the turn is over; *ret_error
 * says why, NONE for a batch that was appended before. */
bool kp_producer_turn_begin(struct kp_kafka_producers *producers, const struct kp_producer_batch *batch,
                            struct kp_producer_turn *ret_turn, enum kp_kafka_error *ret_error);
void kp_producer_turn_end(struct kp_kafka_producers *producers, const struct kp_producer_batch *batch,
                          const struct kp_log_entry *entry);
/* What became of a turn's entry: it is durable, or the log refused it. Before the producer is told; waits for no turn.
 */
void kp_producer_settled(struct kp_kafka_producers *producers, const struct kp_producer_batch *batch, bool durable);

#endif
