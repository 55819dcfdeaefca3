/*
 * Message sets, magic 0 and 1: what Produce before version 3 sends and Fetch before version 4 expects. Only here.
 *
 *   0  i64 offset          16 i8  magic 0 or 1          18 i64 timestamp (magic 1)
 *   8  i32 size (from 12)  17 i8  attributes (0-2 codec)    i32 key length (-1 null), key
 *  12  u32 CRC-32 (from 16)                                 i32 value length (-1 null), value
 *
 * A compressed message's value is a message set again, one level deep.
 */
#ifndef KP_SERVE_KAFKA_MESSAGE_SET_H
#define KP_SERVE_KAFKA_MESSAGE_SET_H

#include "log/record_batch.h"

/* Appends a record batch with the messages of a set, with the codec they came in. now_ms: the time of magic 0. */
KP_MUST enum kp_code kp_message_set_to_batch(struct kp_str set, int64_t now_ms, struct kp_arena *arena,
                                             struct kp_buf *out, struct kp_error *err);
/* Appends the records of a batch as uncompressed messages of this magic. Headers are left out: magic 1 has none. */
KP_MUST enum kp_code kp_message_set_from_batch(struct kp_str batch, int8_t magic, struct kp_arena *arena,
                                               struct kp_buf *out, struct kp_error *err);

#endif
