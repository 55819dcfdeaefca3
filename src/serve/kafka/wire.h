/*
 * Kafka's wire: fields of requests and answers.
 *
 *   kind           not flexible                      flexible
 *   string         i16 length, -1 null               uvarint length + 1, 0 null
 *   bytes          i32 length, -1 null               uvarint length + 1, 0 null
 *   array          i32 count, -1 null                uvarint count + 1, 0 null
 *   tagged fields  –                                 uvarint count, then uvarint tag, uvarint length, bytes
 *
 * A reader that runs past its end, or meets an impossible length, turns `bad` and gives zeros from then on: parse on,
 * and look at `bad` once, before anything is done. Loops end all the same, because an array's count is checked against
 * the bytes that are left.
 */
#ifndef KP_SERVE_KAFKA_WIRE_H
#define KP_SERVE_KAFKA_WIRE_H

#include "base/buf.h"
#include "base/error.h"

struct kp_kafka_reader {
    const uint8_t *at, *end;
    bool flexible;
    bool bad;
};

static inline const uint8_t *kp_kafka_get_raw(struct kp_kafka_reader *reader, size_t len)
{
    if (reader->bad || (size_t)(reader->end - reader->at) < len) {
        reader->bad = true;
        return NULL;
    }
    const uint8_t *at = reader->at;
    reader->at += len;
    return at;
}
static inline int8_t kp_kafka_get_i8(struct kp_kafka_reader *reader)
{
    const uint8_t *at = kp_kafka_get_raw(reader, 1);
    return at ? (int8_t)*at : 0;
}
static inline bool kp_kafka_get_bool(struct kp_kafka_reader *reader)
{
    return kp_kafka_get_i8(reader) != 0;
}
static inline int16_t kp_kafka_get_i16(struct kp_kafka_reader *reader)
{
    const uint8_t *at = kp_kafka_get_raw(reader, 2);
    return at ? (int16_t)kp_load_be16(at) : 0;
}
static inline int32_t kp_kafka_get_i32(struct kp_kafka_reader *reader)
{
    const uint8_t *at = kp_kafka_get_raw(reader, 4);
    return at ? (int32_t)kp_load_be32(at) : 0;
}
static inline int64_t kp_kafka_get_i64(struct kp_kafka_reader *reader)
{
    const uint8_t *at = kp_kafka_get_raw(reader, 8);
    return at ? (int64_t)kp_load_be64(at) : 0;
}
uint32_t kp_kafka_get_uvarint(struct kp_kafka_reader *reader);
/* Borrowed from the request; ptr NULL: null. */
struct kp_str kp_kafka_get_string(struct kp_kafka_reader *reader);
/* A string that is not compact even in flexible messages: the header's client id. */
struct kp_str kp_kafka_get_plain_string(struct kp_kafka_reader *reader);
struct kp_str kp_kafka_get_bytes(struct kp_kafka_reader *reader);
/* The count; -1: null. Each element has at least element_bytes_min bytes. */
int32_t kp_kafka_get_array(struct kp_kafka_reader *reader, size_t element_bytes_min);
/* Skips tagged fields, if there are any in this version. */
void kp_kafka_get_tags(struct kp_kafka_reader *reader);

struct kp_kafka_writer {
    struct kp_buf *out;
    bool flexible;
};

static inline void kp_kafka_put_i8(struct kp_kafka_writer *writer, int8_t value)
{
    kp_buf_append_byte(writer->out, (uint8_t)value);
}
static inline void kp_kafka_put_bool(struct kp_kafka_writer *writer, bool value)
{
    kp_buf_append_byte(writer->out, value);
}
static inline void kp_kafka_put_i16(struct kp_kafka_writer *writer, int16_t value)
{
    kp_buf_append_be16(writer->out, (uint16_t)value);
}
static inline void kp_kafka_put_i32(struct kp_kafka_writer *writer, int32_t value)
{
    kp_buf_append_be32(writer->out, (uint32_t)value);
}
static inline void kp_kafka_put_i64(struct kp_kafka_writer *writer, int64_t value)
{
    kp_buf_append_be64(writer->out, (uint64_t)value);
}
void kp_kafka_put_uvarint(struct kp_kafka_writer *writer, uint32_t value);
void kp_kafka_put_string(struct kp_kafka_writer *writer, struct kp_str text); /* ptr NULL: null */
static inline void kp_kafka_put_text(struct kp_kafka_writer *writer, const char *text)
{
    kp_kafka_put_string(writer, text ? kp_str(text) : (struct kp_str){NULL, 0});
}
void kp_kafka_put_array(struct kp_kafka_writer *writer, int32_t count);       /* -1: null */
void kp_kafka_put_bytes_length(struct kp_kafka_writer *writer, uint32_t len); /* the bytes follow */
void kp_kafka_put_tags(struct kp_kafka_writer *writer);                       /* none */

#endif
