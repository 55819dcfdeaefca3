/* Pieces of JSON for binary formats. */
#include "decode/transcode.h"

#include <math.h>

#include "base/utf8.h"

enum { DECIMAL_BYTES_MAX = 1024 }; /* dividing takes the square of it; numeric's 131,072 digits would be 54,000 bytes */

enum kp_code kp_transcode_schema(const char *text, struct kp_arena *arena, struct kp_str *ret_json,
                                 struct kp_error *err)
{
    size_t len = strlen(text);
    char *copy = kp_arena_calloc(arena, len + KP_JSON_PADDING);
    memcpy(copy, text, len);
    const uint8_t *end = (const uint8_t *)copy + len, *start = kp_json_space_end((const uint8_t *)copy, end), *bad;
    const uint8_t *behind = start < end ? kp_json_skip(start, end, KP_TRANSCODE_DEPTH_MAX * 4, &bad) : NULL;
    if (!behind || behind > end || kp_json_space_end(behind, end) != end)
        return kp_fail(err, KP_INVALID, "22023", "the schema is not valid JSON");
    *ret_json = (struct kp_str){(const char *)start, (size_t)(behind - start)};
    return KP_OK;
}

enum kp_code kp_transcode_text(struct kp_str text, struct kp_buf *out, struct kp_error *err)
{
    if (!kp_utf8_valid(text.ptr, text.len))
        return kp_fail(err, KP_INVALID, "22021", "a text is not UTF-8");
    kp_buf_append_json_string(out, text);
    return KP_OK;
}

void kp_transcode_bytes(struct kp_str bytes, struct kp_buf *out)
{
    kp_buf_append_text(out, "\"\\\\x");
    for (size_t i = 0; i < bytes.len; i++)
        kp_buf_printf(out, "%02x", (uint8_t)bytes.ptr[i]);
    kp_buf_append_byte(out, '"');
}

void kp_transcode_float(const uint8_t *bytes, bool wide, struct kp_buf *out)
{
    float narrow_value;
    double value;
    memcpy(&narrow_value, bytes, sizeof narrow_value);
    if (wide)
        memcpy(&value, bytes, sizeof value);
    else
        value = (double)narrow_value;
    if (!isfinite(value))
        kp_buf_append_byte(out, '"');
    if (wide)
        kp_value_print(KP_TYPE(KP_FLOAT8), &value, NULL, out);
    else
        kp_value_print(KP_TYPE(KP_FLOAT4), &narrow_value, NULL, out);
    if (!isfinite(value))
        kp_buf_append_byte(out, '"');
}

/* Big endian, two's complement, any length: divided by ten until nothing is left. */
enum kp_code kp_transcode_decimal(struct kp_str blob, uint32_t scale, struct kp_buf *out, struct kp_error *err)
{
    uint8_t bytes[DECIMAL_BYTES_MAX];
    char digits[DECIMAL_BYTES_MAX * 5 / 2 + KP_TRANSCODE_SCALE_MAX + 2];
    if (blob.len > sizeof bytes || scale > KP_TRANSCODE_SCALE_MAX)
        return kp_fail(err, KP_UNSUPPORTED, "0A000",
                       "a decimal of %zu bytes and scale %u is longer than %zu bytes or scale %d", blob.len, scale,
                       sizeof bytes, KP_TRANSCODE_SCALE_MAX);
    bool negative = blob.len && (blob.ptr[0] & 0x80);
    unsigned carry = negative;
    for (size_t i = blob.len; i-- > 0;) { /* the magnitude: of a negative one the complement, plus one */
        unsigned byte = (uint8_t)blob.ptr[i];
        carry += negative ? byte ^ 0xff : byte;
        bytes[i] = (uint8_t)carry;
        carry >>= 8;
    }
    size_t at = sizeof digits, first = 0;
    for (uint32_t n = 0; first < blob.len || n <= scale; n++) {
        if (n == scale && scale)
            digits[--at] = '.';
        unsigned rest = 0;
        for (size_t i = first; i < blob.len; i++) {
            rest = rest << 8 | bytes[i];
            bytes[i] = (uint8_t)(rest / 10);
            rest %= 10;
        }
        while (first < blob.len && bytes[first] == 0)
            first++;
        digits[--at] = (char)('0' + rest);
    }
    kp_buf_append_text(out, negative ? "\"-" : "\"");
    kp_buf_append(out, digits + at, sizeof digits - at);
    kp_buf_append_byte(out, '"');
    return KP_OK;
}

/* Magic byte and schema number; of Protobuf then the message's place: a count of indexes and the indexes. */
static enum kp_code take_header(const struct kp_decoder *decoder, struct kp_bytes *in, uint32_t *ret_id,
                                struct kp_error *err)
{
    bool well = in->end - in->at >= 5 && in->at[0] == 0;
    uint32_t id_be = 0;
    if (well)
        memcpy(&id_be, in->at + 1, sizeof id_be);
    *ret_id = __builtin_bswap32(id_be);
    in->at += well ? 5 : 0;
    if (well && decoder->protobuf) {
        uint64_t count = 0, index;
        well = kp_bytes_varint(in, &count);
        for (uint64_t i = 0; well && i < count >> 1; i++)
            well = kp_bytes_varint(in, &index);
    }
    return well ? KP_OK : kp_fail(err, KP_INVALID, "22P04", "the record has no schema registry's header");
}

/* What reads the record: by the number before it, or all the same. */
static const struct kp_avro *avro_of(const struct kp_decoder *decoder, uint32_t id)
{
    for (uint32_t i = 0; i < decoder->avro_writer_count; i++)
        if (decoder->avro_writers[i].id == id)
            return decoder->avro_writers[i].avro;
    return decoder->avro_writer_count ? NULL : decoder->avro;
}

enum kp_code kp_transcode(struct kp_decode_state *state, struct kp_str bytes, struct kp_str *ret_json,
                          struct kp_error *err)
{
    const struct kp_decoder *decoder = state->decoder;
    struct kp_bytes in = {(const uint8_t *)bytes.ptr, (const uint8_t *)bytes.ptr + bytes.len};
    struct kp_buf *out = &state->scratch;
    out->len = 0;
    uint32_t id = 0;
    if (decoder->confluent)
        KP_TRY(take_header(decoder, &in, &id, err));
    bytes = (struct kp_str){(const char *)in.at, (size_t)(in.end - in.at)};
    const struct kp_avro *avro = decoder->protobuf ? NULL : avro_of(decoder, id);
    if (!avro && !decoder->protobuf)
        return kp_fail(err, KP_INVALID, "22023", "schema %u is not among writer_schemas", id);
    KP_TRY(avro ? kp_avro_to_json(avro, bytes, out, err) : kp_protobuf_to_json(decoder->protobuf, bytes, out, err));
    char *json = kp_arena_alloc(state->arena, out->len + KP_JSON_PADDING);
    memcpy(json, out->data, out->len);
    memset(json + out->len, 0, KP_JSON_PADDING);
    *ret_json = (struct kp_str){json, out->len};
    return KP_OK;
}
