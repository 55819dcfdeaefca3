/*
 * Kafka v2 record batches: the header's check, the walk over records, the builder. The layout is drawn in the header.
 *
 * Invariants:
 *   1. Nothing is read outside of the batch: every length is compared with what is left before it is followed.
 *   2. A batch that kp_record_batch_validate accepts can be walked to its end, and its offsets have no gaps: the
 *      offset of record i is base offset + i. Compaction takes records out later (kp_record_batch_thin); offsets,
 *      positions and what the batch spans stay.
 */
#include "log/record_batch.h"

#include "base/hash.h"
#include "base/limits.h"
#include "log/codec.h"

enum { CRC_OFFSET = 17, CRC_FROM = 21, LENGTH_FROM = 12 };

static enum kp_code bad(struct kp_error *err, const char *what)
{
    return kp_fail(err, KP_INVALID, NULL, "malformed record batch: %s", what);
}

enum kp_code kp_record_batch_check(const uint8_t *bytes, size_t len, bool check_crc,
                                   struct kp_record_batch_info *ret_info, struct kp_error *err)
{
    if (len < KP_RECORD_BATCH_HEADER_BYTES)
        return bad(err, "shorter than its header");
    if (bytes[16] != 2) {
        kp_fail(err, KP_UNSUPPORTED, NULL, "record batch of format %d: only format 2 is understood", (int)bytes[16]);
        return kp_error_hint(err, "Use a client of Kafka 0.11 or later.");
    }
    uint32_t length = kp_load_be32(bytes + 8);
    if (length > (uint32_t)KP_RECORD_BATCH_BYTES_MAX - LENGTH_FROM)
        return kp_fail(err, KP_LIMIT, NULL, "record batch of %u bytes: at most %d are taken", length,
                       (int)KP_RECORD_BATCH_BYTES_MAX);
    if (length < KP_RECORD_BATCH_HEADER_BYTES - LENGTH_FROM || length > len - LENGTH_FROM)
        return bad(err, "its length does not fit its bytes");
    uint16_t attributes = kp_load_be16(bytes + 21);
    if ((attributes & 7) > KP_CODEC_ZSTD)
        return kp_fail(err, KP_UNSUPPORTED, NULL, "unknown compression codec %d", attributes & 7);
    struct kp_record_batch_info info = {
        .base_offset = (int64_t)kp_load_be64(bytes),
        .bytes = length + LENGTH_FROM,
        .codec = (enum kp_codec)(attributes & 7),
        .log_append_time = attributes & 8,
        .transactional = attributes & 16,
        .control = attributes & 32,
        .last_offset_delta = (int32_t)kp_load_be32(bytes + 23),
        .base_timestamp_ms = (int64_t)kp_load_be64(bytes + 27),
        .max_timestamp_ms = (int64_t)kp_load_be64(bytes + 35),
        .producer_id = (int64_t)kp_load_be64(bytes + 43),
        .producer_epoch = (int16_t)kp_load_be16(bytes + 51),
        .base_sequence = (int32_t)kp_load_be32(bytes + 53),
        .records = (int32_t)kp_load_be32(bytes + 57),
    };
    if (info.records < 1)
        return bad(err, "it holds no records");
    if (info.last_offset_delta < info.records - 1)
        return bad(err, "its last offset does not fit its count of records");
    if (info.codec == KP_CODEC_NONE && (info.bytes - KP_RECORD_BATCH_HEADER_BYTES) / 7 < (uint32_t)info.records)
        return bad(err, "it is too short for its count of records"); /* the shortest record has 7 bytes */
    if (check_crc && kp_crc32c(0, bytes + CRC_FROM, info.bytes - CRC_FROM) != kp_load_be32(bytes + CRC_OFFSET))
        return kp_fail(err, KP_CORRUPT, NULL, "record batch of %u bytes fails its checksum", info.bytes);
    *ret_info = info;
    return KP_OK;
}

/* ---- varints: little-endian groups of seven bits, zigzag ---- */

static bool get_varlong(const uint8_t **at, const uint8_t *end, int64_t *ret_value)
{
    uint64_t raw = 0;
    const uint8_t *p = *at;
    for (int shift = 0; shift < 70 && p < end; shift += 7) {
        uint8_t byte = *p++;
        if (shift == 63 && byte > 1)
            return false;
        raw |= (uint64_t)(byte & 127) << shift;
        if (!(byte & 128)) {
            *at = p;
            *ret_value = (int64_t)(raw >> 1) ^ -(int64_t)(raw & 1);
            return true;
        }
    }
    return false;
}

static bool get_varint(const uint8_t **at, const uint8_t *end, int32_t *ret_value)
{
    if (*at < end && !(**at & 128)) { /* one byte: nearly always */
        uint8_t byte = *(*at)++;
        *ret_value = (byte >> 1) ^ -(byte & 1);
        return true;
    }
    int64_t value;
    if (!get_varlong(at, end, &value) || value < INT32_MIN || value > INT32_MAX)
        return false;
    *ret_value = (int32_t)value;
    return true;
}

/* Bytes with a length before them; -1 is null where that is allowed. */
static bool get_bytes(const uint8_t **at, const uint8_t *end, bool nullable, struct kp_str *ret_bytes)
{
    int32_t len;
    if (!get_varint(at, end, &len) || len < (nullable ? -1 : 0) || len > end - *at)
        return false;
    *ret_bytes = (struct kp_str){len < 0 ? NULL : (const char *)*at, len < 0 ? 0 : (size_t)len};
    *at += len < 0 ? 0 : len;
    return true;
}

static size_t varlong_bytes(int64_t value)
{
    uint64_t raw = ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
    return raw ? (size_t)(64 - __builtin_clzll(raw) + 6) / 7 : 1;
}

static uint8_t *put_varlong(uint8_t *at, int64_t value)
{
    uint64_t raw = ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
    for (; raw >= 128; raw >>= 7)
        *at++ = (uint8_t)(raw | 128);
    *at++ = (uint8_t)raw;
    return at;
}

/* ---- the walk ---- */

enum kp_code kp_record_reader_init(struct kp_record_reader *reader, const uint8_t *batch, size_t len,
                                   struct kp_arena *arena, struct kp_error *err)
{
    struct kp_record_batch_info info;
    KP_TRY(kp_record_batch_check(batch, len, false, &info, err));
    const uint8_t *at = batch + KP_RECORD_BATCH_HEADER_BYTES;
    size_t left = info.bytes - KP_RECORD_BATCH_HEADER_BYTES;
    if (info.codec != KP_CODEC_NONE)
        KP_TRY(kp_codec_decompress(info.codec, at, left, arena, &at, &left, err));
    if (left == 0) /* nothing was compressed: there is no memory either */
        at = batch;
    *reader = (struct kp_record_reader){info, at, at + left, info.records};
    return KP_OK;
}

static const char too_long[] = "a record is longer than 16 MiB"; /* well formed, but over a limit */

static const char *read_record(struct kp_record_reader *reader, struct kp_record *record)
{
    int32_t len, headers, offset_delta;
    int64_t delta;
    if (!get_varint(&reader->at, reader->end, &len) || len < 0 || len > reader->end - reader->at)
        return "the length of a record does not fit";
    if ((size_t)len > KP_RECORD_FRAMED_BYTES_MAX)
        return too_long;
    const uint8_t *at = reader->at, *end = at + len;
    if (at == end)
        return "an empty record";
    at++; /* attributes: unused by Kafka */
    if (!get_varlong(&at, end, &delta) ||
        __builtin_add_overflow(reader->info.base_timestamp_ms, delta, &record->timestamp_ms))
        return "the timestamp of a record";
    if (reader->info.log_append_time)
        record->timestamp_ms = reader->info.max_timestamp_ms;
    if (!get_varint(&at, end, &offset_delta) || offset_delta < 0 || offset_delta > reader->info.last_offset_delta)
        return "the offset of a record";
    record->offset_delta = offset_delta;
    if (!get_bytes(&at, end, true, &record->key))
        return "the key of a record does not fit";
    if (!get_bytes(&at, end, true, &record->value))
        return "the value of a record does not fit";
    record->headers = (struct kp_str){(const char *)at, (size_t)(end - at)};
    if (!get_varint(&at, end, &headers) || headers < 0 || headers > end - at)
        return "the headers of a record do not fit";
    for (int32_t i = 0; i < headers; i++) {
        struct kp_str unused;
        if (!get_bytes(&at, end, false, &unused) || !get_bytes(&at, end, true, &unused))
            return "the headers of a record do not fit";
    }
    if (at != end)
        return "bytes behind the headers of a record";
    reader->at = end;
    return NULL;
}

bool kp_record_reader_next(struct kp_record_reader *reader, struct kp_record *ret_record, struct kp_error *err)
{
    if (reader->left == 0)
        return false;
    const char *wrong = read_record(reader, ret_record);
    if (wrong) {
        kp_fail(err, wrong == too_long ? KP_LIMIT : KP_INVALID, NULL, "malformed record batch: %s (record %d of %d)",
                wrong, (int)(reader->info.records - reader->left + 1), (int)reader->info.records);
        return false;
    }
    reader->left--;
    return true;
}

static enum kp_code walk(const uint8_t *bytes, const struct kp_record_batch_info *info, bool thinned,
                         struct kp_arena *arena, struct kp_error *err)
{
    struct kp_record_reader reader;
    KP_TRY(kp_record_reader_init(&reader, bytes, info->bytes, arena, err));
    struct kp_record record;
    for (int32_t next = 0; kp_record_reader_next(&reader, &record, err); next = record.offset_delta + 1) {
        if (record.offset_delta < next)
            return bad(err, "the offsets of its records do not rise");
        if (record.offset_delta > next && !thinned)
            return bad(err, "the offsets of its records have a gap");
    }
    if (reader.left > 0)
        return err ? err->code : KP_INVALID;
    return reader.at == reader.end ? KP_OK : bad(err, "bytes behind its last record");
}

static enum kp_code validate(const uint8_t *bytes, size_t len, bool thinned, struct kp_record_batch_info *ret_info,
                             struct kp_error *err)
{
    struct kp_record_batch_info info;
    KP_TRY(kp_record_batch_check(bytes, len, true, &info, err));
    if (info.last_offset_delta != info.records - 1 && !thinned)
        return bad(err, "its last offset does not fit its count of records");
    if (info.control)
        return bad(err, "control batches come from the log only");
    struct kp_arena arena = {0};
    struct kp_error local;
    enum kp_code code = walk(bytes, &info, thinned, &arena, err ? err : &local);
    kp_arena_finish(&arena);
    KP_TRY(code);
    *ret_info = info;
    return KP_OK;
}

enum kp_code kp_record_batch_validate(const uint8_t *bytes, size_t len, struct kp_record_batch_info *ret_info,
                                      struct kp_error *err)
{
    return validate(bytes, len, false, ret_info, err);
}

enum kp_code kp_record_batch_validate_thinned(const uint8_t *bytes, size_t len, struct kp_record_batch_info *ret_info,
                                              struct kp_error *err)
{
    return validate(bytes, len, true, ret_info, err);
}

/* ---- thinning ---- */

static void put_be32(uint8_t *at, uint32_t value)
{
    value = __builtin_bswap32(value);
    memcpy(at, &value, sizeof value);
}

/* The kept records' bytes, one behind the other; their deltas stay true since the batch's bases do. */
static enum kp_code keep_records(struct kp_record_reader *reader, const uint8_t *keep, struct kp_buf *records,
                                 int32_t *ret_count, int64_t *ret_max_timestamp_ms, struct kp_error *err)
{
    struct kp_record record;
    struct kp_error local;
    const uint8_t *at = reader->at;
    *ret_count = 0;
    *ret_max_timestamp_ms = INT64_MIN;
    for (int32_t i = 0; kp_record_reader_next(reader, &record, err ? err : &local); i++, at = reader->at) {
        if (!keep[i])
            continue;
        kp_buf_append(records, at, (size_t)(reader->at - at));
        *ret_max_timestamp_ms = KP_MAX(*ret_max_timestamp_ms, record.timestamp_ms);
        ++*ret_count;
    }
    return reader->left > 0 ? err ? err->code : KP_INVALID : KP_OK;
}

static enum kp_code thin(const uint8_t *batch, struct kp_record_reader *reader, const uint8_t *keep,
                         struct kp_buf *records, struct kp_buf *out, struct kp_error *err)
{
    size_t start = out->len;
    int64_t max_timestamp_ms;
    int32_t count;
    KP_TRY(keep_records(reader, keep, records, &count, &max_timestamp_ms, err));
    if (count == 0)
        return bad(err, "it holds no records");
    kp_buf_append(out, batch, KP_RECORD_BATCH_HEADER_BYTES);
    if (reader->info.codec == KP_CODEC_NONE)
        kp_buf_append(out, records->data, records->len);
    else
        KP_TRY(kp_codec_compress(reader->info.codec, records->data, records->len, out, err));
    uint8_t *header = out->data + start;
    size_t bytes = out->len - start;
    if (bytes > KP_RECORD_BATCH_BYTES_MAX)
        return kp_fail(err, KP_LIMIT, NULL, "record batch of %zu bytes: at most %d are taken", bytes,
                       (int)KP_RECORD_BATCH_BYTES_MAX);
    put_be32(header + 8, (uint32_t)bytes - LENGTH_FROM);
    put_be32(header + 57, (uint32_t)count);
    if (!reader->info.log_append_time) {
        uint64_t max = __builtin_bswap64((uint64_t)max_timestamp_ms);
        memcpy(header + 35, &max, sizeof max);
    }
    put_be32(header + CRC_OFFSET, kp_crc32c(0, header + CRC_FROM, bytes - CRC_FROM));
    return KP_OK;
}

enum kp_code kp_record_batch_thin(const uint8_t *batch, size_t len, const uint8_t *keep, struct kp_buf *out,
                                  struct kp_error *err)
{
    struct kp_arena arena = {0};
    struct kp_record_reader reader;
    struct kp_buf records = {0};
    size_t before = out->len;
    enum kp_code code = kp_record_reader_init(&reader, batch, len, &arena, err);
    if (code == KP_OK)
        code = thin(batch, &reader, keep, &records, out, err);
    if (code != KP_OK)
        out->len = before;
    kp_buf_finish(&records);
    kp_arena_finish(&arena);
    return code;
}

/* ---- the builder ---- */

void kp_record_batch_add(struct kp_record_batch_builder *builder, int64_t timestamp_ms, struct kp_str key,
                         struct kp_str value, struct kp_str headers)
{
    if (builder->count == 0)
        builder->base_timestamp_ms = builder->max_timestamp_ms = timestamp_ms;
    builder->max_timestamp_ms = KP_MAX(builder->max_timestamp_ms, timestamp_ms);
    if (headers.len == 0)
        headers = (struct kp_str){"\0", 1}; /* none */
    int64_t delta = timestamp_ms - builder->base_timestamp_ms;
    int64_t key_len = key.ptr ? (int64_t)key.len : -1, value_len = value.ptr ? (int64_t)value.len : -1;
    size_t body = 1 + varlong_bytes(delta) + varlong_bytes(builder->count) + varlong_bytes(key_len) +
                  (key.ptr ? key.len : 0) + varlong_bytes(value_len) + (value.ptr ? value.len : 0) + headers.len;
    builder->longest = KP_MAX(builder->longest, body);
    uint8_t *start = kp_buf_reserve(&builder->records, body + 10);
    uint8_t *at = put_varlong(start, (int64_t)body);
    *at++ = 0;
    at = put_varlong(at, delta);
    at = put_varlong(at, builder->count);
    at = put_varlong(at, key_len);
    if (key_len > 0)
        at = (uint8_t *)memcpy(at, key.ptr, key.len) + key.len;
    at = put_varlong(at, value_len);
    if (value_len > 0)
        at = (uint8_t *)memcpy(at, value.ptr, value.len) + value.len;
    at = (uint8_t *)memcpy(at, headers.ptr, headers.len) + headers.len;
    builder->records.len += (size_t)(at - start);
    builder->count++;
}

size_t kp_record_batch_builder_bytes(const struct kp_record_batch_builder *builder)
{
    return KP_RECORD_BATCH_HEADER_BYTES + builder->records.len;
}

enum kp_code kp_record_batch_build(struct kp_record_batch_builder *builder, enum kp_codec codec, struct kp_buf *out,
                                   struct kp_error *err)
{
    if (builder->count == 0)
        return bad(err, "it holds no records");
    if (builder->longest > KP_RECORD_FRAMED_BYTES_MAX)
        return kp_fail(err, KP_LIMIT, NULL, "a record of %zu bytes: the limit is %d", builder->longest,
                       KP_RECORD_BYTES_MAX);
    if (kp_record_batch_builder_bytes(builder) > KP_RECORD_BATCH_BYTES_MAX)
        return kp_fail(err, KP_LIMIT, NULL, "record batch of %zu bytes: at most %d are taken",
                       kp_record_batch_builder_bytes(builder), (int)KP_RECORD_BATCH_BYTES_MAX);
    size_t start = out->len;
    kp_buf_append_be64(out, 0); /* base offset */
    kp_buf_append_be32(out, 0); /* length, below */
    kp_buf_append_be32(out, 0); /* leader epoch */
    kp_buf_append_byte(out, 2);
    kp_buf_append_be32(out, 0); /* CRC, below */
    kp_buf_append_be16(out, (uint16_t)codec);
    kp_buf_append_be32(out, (uint32_t)(builder->count - 1));
    kp_buf_append_be64(out, (uint64_t)builder->base_timestamp_ms);
    kp_buf_append_be64(out, (uint64_t)builder->max_timestamp_ms);
    kp_buf_append_be64(out, UINT64_MAX); /* producer id, epoch and sequence: none */
    kp_buf_append_be16(out, UINT16_MAX);
    kp_buf_append_be32(out, UINT32_MAX);
    kp_buf_append_be32(out, (uint32_t)builder->count);
    KP_ASSERT(out->len - start == KP_RECORD_BATCH_HEADER_BYTES);
    if (codec == KP_CODEC_NONE)
        kp_buf_append(out, builder->records.data, builder->records.len);
    else
        KP_TRY(kp_codec_compress(codec, builder->records.data, builder->records.len, out, err));
    uint32_t length = __builtin_bswap32((uint32_t)(out->len - start - LENGTH_FROM));
    memcpy(out->data + start + 8, &length, 4);
    uint32_t crc = __builtin_bswap32(kp_crc32c(0, out->data + start + CRC_FROM, out->len - start - CRC_FROM));
    memcpy(out->data + start + CRC_OFFSET, &crc, 4);
    builder->records.len = 0;
    builder->longest = 0;
    builder->count = 0;
    return KP_OK;
}

void kp_record_batch_builder_finish(struct kp_record_batch_builder *builder)
{
    kp_buf_finish(&builder->records);
    memset(builder, 0, sizeof *builder);
}
