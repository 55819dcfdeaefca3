/*
 * ListOffsets: the earliest (-2), the latest (-1), or the first offset at or after a timestamp.
 *
 * Request   replica | v2 isolation | [name, [partition, v4 epoch, timestamp, v0 how many]]
 * Answer    v2 throttle | [name, [partition, error, v0 [offset], v1 timestamp and offset, v4 epoch]]
 */
#include "serve/kafka/api.h"

enum { LATEST = -1, EARLIEST = -2 };

static enum kp_kafka_error find(struct kp_kafka_request *request, struct kp_str name, int32_t partition,
                                int64_t timestamp_ms, int64_t *ret_offset, int64_t *ret_timestamp_ms)
{
    struct kp_topic_info topic;
    struct kp_partition_info info;
    struct kp_error err;
    enum kp_code code = kp_kafka_topic(request, name, false, &topic, &err);
    if (code == KP_OK)
        code =
            partition < 0 ? KP_NOT_FOUND : kp_log_partition(request->log, topic.id, (uint32_t)partition, &info, &err);
    if (code == KP_OK && timestamp_ms == LATEST)
        *ret_offset = info.end_offset;
    else if (code == KP_OK && timestamp_ms == EARLIEST)
        *ret_offset = info.start_offset;
    else if (code == KP_OK)
        code = kp_log_offset_at(request->log, topic.id, (uint32_t)partition, timestamp_ms, ret_offset, ret_timestamp_ms,
                                &err);
    if (code == KP_INVALID || code == KP_NOT_FOUND)
        return KP_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    return kp_kafka_error_of(code);
}

static void one_partition(struct kp_kafka_request *request, struct kp_str name)
{
    struct kp_kafka_reader *in = &request->in;
    struct kp_kafka_writer *out = &request->out;
    int32_t partition = kp_kafka_get_i32(in);
    if (request->version >= 4)
        kp_kafka_get_i32(in); /* the leader's epoch as the client knows it */
    int64_t timestamp_ms = kp_kafka_get_i64(in), offset = -1, found_ms = -1;
    int32_t wanted = request->version == 0 ? kp_kafka_get_i32(in) : 1;
    if (in->bad)
        return;
    enum kp_kafka_error error = find(request, name, partition, timestamp_ms, &offset, &found_ms);
    kp_kafka_put_i32(out, partition);
    kp_kafka_put_i16(out, (int16_t)error);
    if (request->version == 0) {
        bool some = offset >= 0 && wanted > 0;
        kp_kafka_put_array(out, some);
        if (some)
            kp_kafka_put_i64(out, offset);
        return;
    }
    kp_kafka_put_i64(out, found_ms);
    kp_kafka_put_i64(out, offset);
    if (request->version >= 4)
        kp_kafka_put_i32(out, error ? -1 : 0);
}

enum kp_kafka_outcome kp_kafka_list_offsets(struct kp_kafka_request *request)
{
    struct kp_kafka_reader *in = &request->in;
    struct kp_kafka_writer *out = &request->out;
    kp_kafka_get_i32(in); /* replica */
    if (request->version >= 2) {
        kp_kafka_get_i8(in); /* isolation: nothing is uncommitted here */
        kp_kafka_put_i32(out, 0);
    }
    int32_t topics = kp_kafka_get_array(in, 6);
    kp_kafka_put_array(out, KP_MAX(topics, 0));
    for (int32_t t = 0; t < topics && !in->bad; t++) {
        struct kp_str name = kp_kafka_get_string(in);
        int32_t partitions = kp_kafka_get_array(in, 12);
        kp_kafka_put_string(out, name.ptr ? name : KP_STR(""));
        kp_kafka_put_array(out, KP_MAX(partitions, 0));
        for (int32_t p = 0; p < partitions && !in->bad; p++)
            one_partition(request, name);
    }
    return in->bad ? KP_KAFKA_MALFORMED : KP_KAFKA_ANSWERED;
}
