/*
 * Kafka's record batch, version 2 (magic 2): what producers send, what the journal holds, what consumers fetch.
 *
 *   0  i64 base offset        21 i16 attributes (0-2 codec, 3 timestamp type, 4 transactional, 5 control)
 *   8  i32 length (from 12)   23 i32 last offset delta
 *  12  i32 leader epoch       27 i64 base timestamp    35 i64 max timestamp   (ms since 1970)
 *  16  i8  magic = 2          43 i64 producer id       51 i16 producer epoch  53 i32 base sequence
 *  17  u32 CRC-32C (from 21)  57 i32 record count      61 records (compressed as one if a codec is set)
 *
 * A record: varint length, i8 attributes, varlong timestamp delta, varint offset delta, varint key length (-1 null),
 * key, varint value length (-1 null), value, varint header count, headers (varint key length, key, varint value
 * length, value). Varints are zigzag. All other integers are big-endian. The CRC does not cover the base offset.
 */
#ifndef KP_LOG_RECORD_BATCH_H
#define KP_LOG_RECORD_BATCH_H

#include "base/buf.h"
#include "base/error.h"
#include "base/mem.h"

enum { KP_RECORD_BATCH_HEADER_BYTES = 61 };

enum kp_codec { KP_CODEC_NONE, KP_CODEC_GZIP, KP_CODEC_SNAPPY, KP_CODEC_LZ4, KP_CODEC_ZSTD };

struct kp_record {
    int32_t offset_delta;
    int64_t timestamp_ms;
    struct kp_str key, value; /* ptr NULL: null */
    struct kp_str headers;    /* the encoded headers, count included */
};

/* The decoded header of a batch; `bytes` is the whole batch's size. */
struct kp_record_batch_info {
    int64_t base_offset;
    uint32_t bytes;
    enum kp_codec codec;
    bool log_append_time, transactional, control;
    int32_t last_offset_delta;
    int64_t base_timestamp_ms, max_timestamp_ms;
    int64_t producer_id;
    int16_t producer_epoch;
    int32_t base_sequence;
    int32_t records;
};

/* Reads and checks the header of the batch at bytes (which may hold more behind it): magic, sizes, counts, CRC. */
KP_MUST enum kp_code kp_record_batch_check(const uint8_t *bytes, size_t len, bool check_crc,
                                           struct kp_record_batch_info *ret_info, struct kp_error *err);
/* Everything that append demands: check, then decompress within limits and walk every record. */
KP_MUST enum kp_code kp_record_batch_validate(const uint8_t *bytes, size_t len, struct kp_record_batch_info *ret_info,
                                              struct kp_error *err);
/* The same for a batch that may have been thinned: its offsets rise, with gaps. */
KP_MUST enum kp_code kp_record_batch_validate_thinned(const uint8_t *bytes, size_t len,
                                                      struct kp_record_batch_info *ret_info, struct kp_error *err);
/* Offsets, and positions, that a batch takes: its count of records, or more when some were taken out. */
static inline uint32_t kp_record_batch_span(const struct kp_record_batch_info *info)
{
    return (uint32_t)info->last_offset_delta + 1;
}
/*
 * Compaction's rewrite: appends the batch with those records only for which keep[i] is not 0, at least one. They keep
 * their offsets, times and bytes, the batch its base, its last offset and its producer; count, largest time and CRC are
 * new. Equal input gives equal bytes.
 */
KP_MUST enum kp_code kp_record_batch_thin(const uint8_t *batch, size_t len, const uint8_t *keep, struct kp_buf *out,
                                          struct kp_error *err);

/* Walks the records of one batch. Keys, values and headers point into the batch or, if it is compressed, into
 * `arena`, which also holds the decompressed bytes. */
struct kp_record_reader {
    struct kp_record_batch_info info;
    const uint8_t *at, *end;
    int32_t left;
};
KP_MUST enum kp_code kp_record_reader_init(struct kp_record_reader *reader, const uint8_t *batch, size_t len,
                                           struct kp_arena *arena, struct kp_error *err);
/* False at the end; *err is set and false returned when a record is malformed (info.records > 0 stays in left). */
bool kp_record_reader_next(struct kp_record_reader *reader, struct kp_record *ret_record, struct kp_error *err);

/* A varint of up to three bytes; NULL: longer. */
static inline const uint8_t *kp_record_varint(const uint8_t *at, int32_t *ret_value)
{
    uint32_t raw = at[0] & 127u;
    if (at[0] & 128) {
        raw |= (at[1] & 127u) << 7;
        if (at[1] & 128) {
            raw |= (uint32_t)at[2] << 14;
            if (at[2] & 128)
                return NULL;
            at++;
        }
        at++;
    }
    *ret_value = (int32_t)(raw >> 1) ^ -(int32_t)(raw & 1);
    return at + 1;
}
/* kp_record_reader_next for hot loops: records of the usual form are read inline, with the same checks. */
static inline bool kp_record_reader_step(struct kp_record_reader *reader, struct kp_record *ret_record,
                                         struct kp_error *err)
{
    int32_t len, delta, offset_delta, key_len, value_len;
    const uint8_t *at = reader->at;
    /* The five varints, attributes and header count have at most 17 bytes. */
    if (reader->left > 0 && reader->end - at > 32 && (at = kp_record_varint(at, &len)) && len >= 20 &&
        len <= reader->end - at) {
        const uint8_t *end = at + len;
        bool plain = (at = kp_record_varint(at + 1, &delta)) && (at = kp_record_varint(at, &offset_delta)) &&
                     (at = kp_record_varint(at, &key_len)) && key_len >= -1 && key_len < end - at - 4;
        const uint8_t *key = at;
        if (plain && (at = kp_record_varint(key + (key_len < 0 ? 0 : key_len), &value_len)) && value_len >= 0 &&
            value_len == end - at - 1 && end[-1] == 0 && offset_delta >= 0 &&
            offset_delta <= reader->info.last_offset_delta && !reader->info.log_append_time &&
            !__builtin_add_overflow(reader->info.base_timestamp_ms, (int64_t)delta, &ret_record->timestamp_ms)) {
            ret_record->offset_delta = offset_delta;
            ret_record->key =
                (struct kp_str){key_len < 0 ? NULL : (const char *)key, key_len < 0 ? 0 : (size_t)key_len};
            ret_record->value = (struct kp_str){(const char *)at, (size_t)value_len};
            ret_record->headers = (struct kp_str){(const char *)end - 1, 1};
            reader->at = end;
            reader->left--;
            return true;
        }
    }
    return kp_record_reader_next(reader, ret_record, err);
}

/* A record as it stands in a batch: KP_RECORD_BYTES_MAX of key, value and headers, and their lengths and times. */
#define KP_RECORD_FRAMED_BYTES_MAX ((size_t)KP_RECORD_BYTES_MAX + 64)

/* Builds a batch. Zero-initialized is valid; add records, then finish into out (appended) and start again. KP_LIMIT of
 * a record or batch that is too long: nothing is appended, the records stay. */
struct kp_record_batch_builder {
    struct kp_buf records;
    size_t longest; /* framed bytes of a record */
    int32_t count;
    int64_t base_timestamp_ms, max_timestamp_ms;
};
void kp_record_batch_add(struct kp_record_batch_builder *builder, int64_t timestamp_ms, struct kp_str key,
                         struct kp_str value, struct kp_str headers);
size_t
kp_record_batch_builder_bytes(const struct kp_record_batch_builder *builder); /* uncompressed size if built now */
KP_MUST enum kp_code kp_record_batch_build(struct kp_record_batch_builder *builder, enum kp_codec codec,
                                           struct kp_buf *out, struct kp_error *err);
void kp_record_batch_builder_finish(struct kp_record_batch_builder *builder);

#endif
