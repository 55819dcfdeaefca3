#include "serve/kafka/wire.h"

uint32_t kp_kafka_get_uvarint(struct kp_kafka_reader *reader)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 35; shift += 7) {
        const uint8_t *at = kp_kafka_get_raw(reader, 1);
        if (!at)
            return 0;
        value |= (uint64_t)(*at & 0x7f) << shift;
        if (!(*at & 0x80)) {
            reader->bad |= value > UINT32_MAX;
            return reader->bad ? 0 : (uint32_t)value;
        }
    }
    reader->bad = true;
    return 0;
}

static struct kp_str take(struct kp_kafka_reader *reader, int64_t len)
{
    if (len < -1)
        reader->bad = true;
    if (len < 0 || reader->bad)
        return (struct kp_str){NULL, 0};
    const uint8_t *at = kp_kafka_get_raw(reader, (size_t)len);
    return (struct kp_str){(const char *)at, at ? (size_t)len : 0};
}

struct kp_str kp_kafka_get_plain_string(struct kp_kafka_reader *reader)
{
    return take(reader, kp_kafka_get_i16(reader));
}

struct kp_str kp_kafka_get_string(struct kp_kafka_reader *reader)
{
    if (!reader->flexible)
        return kp_kafka_get_plain_string(reader);
    return take(reader, (int64_t)kp_kafka_get_uvarint(reader) - 1);
}

struct kp_str kp_kafka_get_bytes(struct kp_kafka_reader *reader)
{
    return take(reader, reader->flexible ? (int64_t)kp_kafka_get_uvarint(reader) - 1 : kp_kafka_get_i32(reader));
}

int32_t kp_kafka_get_array(struct kp_kafka_reader *reader, size_t element_bytes_min)
{
    int64_t count = reader->flexible ? (int64_t)kp_kafka_get_uvarint(reader) - 1 : kp_kafka_get_i32(reader);
    size_t left = (size_t)(reader->end - reader->at);
    if (count < -1 || (count > 0 && (uint64_t)count > left / element_bytes_min))
        reader->bad = true;
    return reader->bad ? 0 : (int32_t)count;
}

void kp_kafka_get_tags(struct kp_kafka_reader *reader)
{
    if (!reader->flexible)
        return;
    for (uint32_t count = kp_kafka_get_uvarint(reader); count && !reader->bad; count--) {
        kp_kafka_get_uvarint(reader);
        kp_kafka_get_raw(reader, kp_kafka_get_uvarint(reader));
    }
}

void kp_kafka_put_uvarint(struct kp_kafka_writer *writer, uint32_t value)
{
    for (; value >= 0x80; value >>= 7)
        kp_buf_append_byte(writer->out, (uint8_t)(value | 0x80));
    kp_buf_append_byte(writer->out, (uint8_t)value);
}

void kp_kafka_put_string(struct kp_kafka_writer *writer, struct kp_str text)
{
    KP_ASSERT(text.len <= INT16_MAX);
    if (writer->flexible)
        kp_kafka_put_uvarint(writer, text.ptr ? (uint32_t)text.len + 1 : 0);
    else
        kp_kafka_put_i16(writer, text.ptr ? (int16_t)text.len : -1);
    kp_buf_append_str(writer->out, text);
}

void kp_kafka_put_array(struct kp_kafka_writer *writer, int32_t count)
{
    if (writer->flexible)
        kp_kafka_put_uvarint(writer, (uint32_t)(count + 1));
    else
        kp_kafka_put_i32(writer, count);
}

void kp_kafka_put_bytes_length(struct kp_kafka_writer *writer, uint32_t len)
{
    if (writer->flexible)
        kp_kafka_put_uvarint(writer, len + 1);
    else
        kp_kafka_put_i32(writer, (int32_t)len);
}

void kp_kafka_put_tags(struct kp_kafka_writer *writer)
{
    if (writer->flexible)
        kp_kafka_put_uvarint(writer, 0);
}
