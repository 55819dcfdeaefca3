#include "serve/kafka/message_set.h"

#include <zlib.h>

#include "base/limits.h"
#include "log/codec.h"
#include "serve/kafka/wire.h"

enum { CODEC_MASK = 7, MESSAGE_HEAD_BYTES = 12, SET_DEPTH_MAX = 2 };

struct conversion {
    struct kp_record_batch_builder builder;
    enum kp_codec codec;
    int64_t now_ms;
    struct kp_arena *arena;
};

static enum kp_code malformed(struct kp_error *err, const char *what)
{
    return kp_fail(err, KP_INVALID, NULL, "malformed message set: %s", what);
}

static enum kp_code read_set(struct conversion *conversion, struct kp_str set, int depth, struct kp_error *err);

static enum kp_code read_message(struct conversion *conversion, struct kp_kafka_reader *in, int depth,
                                 struct kp_error *err)
{
    const uint8_t *crc_at = kp_kafka_get_raw(in, 4), *checked = in->at;
    int8_t magic = kp_kafka_get_i8(in), attributes = kp_kafka_get_i8(in);
    if (in->bad || crc32(0, checked, (uInt)(in->end - checked)) != kp_load_be32(crc_at))
        return malformed(err, in->bad ? "a message is cut short" : "a message's checksum is wrong");
    if (magic != 0 && magic != 1)
        return malformed(err, "its magic is neither 0 nor 1");
    int64_t timestamp_ms = magic == 1 ? kp_kafka_get_i64(in) : -1;
    struct kp_str key = kp_kafka_get_bytes(in), value = kp_kafka_get_bytes(in);
    if (in->bad)
        return malformed(err, "a message is cut short");
    int codec = attributes & CODEC_MASK;
    if (codec == KP_CODEC_NONE) {
        kp_record_batch_add(&conversion->builder, timestamp_ms < 0 ? conversion->now_ms : timestamp_ms, key, value,
                            (struct kp_str){NULL, 0});
        return KP_OK;
    }
    if (codec > KP_CODEC_LZ4 || !value.ptr)
        return malformed(err, "a compressed message without a codec of its time or without a value");
    if (depth + 1 >= SET_DEPTH_MAX)
        return malformed(err, "compressed messages inside compressed messages");
    const uint8_t *bytes;
    size_t len;
    KP_TRY(kp_codec_decompress((enum kp_codec)codec, (const uint8_t *)value.ptr, value.len, conversion->arena, &bytes,
                               &len, err));
    conversion->codec = (enum kp_codec)codec;
    return read_set(conversion, (struct kp_str){(const char *)bytes, len}, depth + 1, err);
}

static enum kp_code read_set(struct conversion *conversion, struct kp_str set, int depth, struct kp_error *err)
{
    struct kp_kafka_reader in = {.at = (const uint8_t *)set.ptr, .end = (const uint8_t *)set.ptr + set.len};
    while (in.at < in.end) {
        kp_kafka_get_i64(&in); /* offset: the log gives its own */
        int32_t size = kp_kafka_get_i32(&in);
        const uint8_t *at = size < 0 ? NULL : kp_kafka_get_raw(&in, (size_t)size);
        if (!at)
            return malformed(err, "a message is cut short");
        struct kp_kafka_reader message = {.at = at, .end = at + size};
        KP_TRY(read_message(conversion, &message, depth, err));
    }
    return KP_OK;
}

enum kp_code kp_message_set_to_batch(struct kp_str set, int64_t now_ms, struct kp_arena *arena, struct kp_buf *out,
                                     struct kp_error *err)
{
    struct conversion conversion = {.now_ms = now_ms, .arena = arena};
    enum kp_code code = read_set(&conversion, set, 0, err);
    if (code == KP_OK && conversion.builder.count == 0)
        code = malformed(err, "it has no messages");
    if (code == KP_OK)
        code = kp_record_batch_build(&conversion.builder, conversion.codec, out, err);
    kp_record_batch_builder_finish(&conversion.builder);
    return code;
}

/* ---- and back ---- */

static void put_bytes(struct kp_buf *out, struct kp_str bytes)
{
    kp_buf_append_be32(out, bytes.ptr ? (uint32_t)bytes.len : UINT32_MAX);
    kp_buf_append_str(out, bytes);
}

static void put_message(struct kp_buf *out, int8_t magic, int64_t offset, const struct kp_record *record)
{
    kp_buf_append_be64(out, (uint64_t)offset);
    size_t size_at = out->len;
    kp_buf_append_be32(out, 0);
    kp_buf_append_be32(out, 0); /* CRC */
    kp_buf_append_byte(out, (uint8_t)magic);
    kp_buf_append_byte(out, 0);
    if (magic == 1)
        kp_buf_append_be64(out, (uint64_t)record->timestamp_ms);
    put_bytes(out, record->key);
    put_bytes(out, record->value);
    size_t from = size_at + 8;
    uint32_t size = __builtin_bswap32((uint32_t)(out->len - size_at - 4));
    uint32_t crc = __builtin_bswap32((uint32_t)crc32(0, out->data + from, (uInt)(out->len - from)));
    memcpy(out->data + size_at, &size, 4);
    memcpy(out->data + size_at + 4, &crc, 4);
}

enum kp_code kp_message_set_from_batch(struct kp_str batch, int8_t magic, struct kp_arena *arena, struct kp_buf *out,
                                       struct kp_error *err)
{
    struct kp_record_reader reader;
    struct kp_record record;
    KP_TRY(kp_record_reader_init(&reader, (const uint8_t *)batch.ptr, batch.len, arena, err));
    while (kp_record_reader_next(&reader, &record, err))
        put_message(out, magic, reader.info.base_offset + record.offset_delta, &record);
    return reader.left > 0 ? malformed(err, "a stored batch ends too early") : KP_OK;
}
