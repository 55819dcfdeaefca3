/* Compression of record batches: Kafka's four codecs behind one pair of calls, with limits against zip bombs. */
#ifndef KP_LOG_CODEC_H
#define KP_LOG_CODEC_H

#include "log/record_batch.h"

/*
 * Decompresses len bytes into memory of the arena. KP_LIMIT when the result would pass KP_RECORD_BATCH_BYTES_MAX or
 * a ratio of 4,096 to 1 (beyond the first MiB); KP_INVALID when the bytes are not what the codec writes.
 */
KP_MUST enum kp_code kp_codec_decompress(enum kp_codec codec, const uint8_t *bytes, size_t len, struct kp_arena *arena,
                                         const uint8_t **ret_bytes, size_t *ret_len, struct kp_error *err);
/* Appends the compressed bytes to out. */
KP_MUST enum kp_code kp_codec_compress(enum kp_codec codec, const uint8_t *bytes, size_t len, struct kp_buf *out,
                                       struct kp_error *err);
const char *kp_codec_name(enum kp_codec codec);

#endif
