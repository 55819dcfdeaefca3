/*
 * DeleteRecords: a partition's records before an offset go, for ever.
 *
 * Request   [name, [partition, offset (-1: all there are)]] timeout
 * Answer    throttle | [name, [partition, low watermark, error]]
 *
 * On an instance it is ALTER TOPIC … DELETE BEFORE OFFSET, which is refused while a view needs the records.
 */
#include "serve/kafka/api.h"

static enum kp_kafka_error delete_before(struct kp_kafka_request *request, struct kp_str name, int32_t partition,
                                         int64_t offset, int64_t *ret_start)
{
    struct kp_topic_info info;
    struct kp_partition_info at;
    struct kp_error err;
    *ret_start = -1;
    if (kp_kafka_topic(request, name, false, &info, &err) != KP_OK || partition < 0 ||
        kp_log_partition(request->log, info.id, (uint32_t)partition, &at, &err) != KP_OK)
        return KP_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    if (info.internal)
        return KP_KAFKA_INVALID_TOPIC;
    if (offset < -1 || offset > at.end_offset)
        return KP_KAFKA_OFFSET_OUT_OF_RANGE;
    if (offset == -1)
        offset = at.end_offset;
    enum kp_code code;
    if (request->db) {
        struct kp_buf text = {0};
        kp_buf_printf(&text, "ALTER TOPIC \"%s\" DELETE BEFORE OFFSET %lld PARTITION %d", info.name, (long long)offset,
                      partition);
        code = kp_kafka_run_sql(request, (struct kp_str){(char *)text.data, text.len}, &err);
        kp_buf_finish(&text);
    } else {
        code = kp_log_trim(request->log, info.id, (uint32_t)partition, offset, &err);
    }
    if (code == KP_OK)
        code = kp_log_partition(request->log, info.id, (uint32_t)partition, &at, &err);
    if (code != KP_OK)
        return code == KP_BUSY ? KP_KAFKA_POLICY_VIOLATION : kp_kafka_error_of(code);
    *ret_start = at.start_offset;
    return KP_KAFKA_NONE;
}

struct deletion {
    struct kp_str name;
    int32_t count;
    int32_t *partitions;
    int64_t *offsets;
};

static void read_deletion(struct kp_kafka_request *request, struct deletion *deletion)
{
    struct kp_kafka_reader *in = &request->in;
    deletion->name = kp_kafka_get_string(in);
    deletion->count = kp_kafka_get_array(in, 12);
    if (in->bad || deletion->count < 0)
        deletion->count = 0;
    deletion->partitions = kp_arena_calloc(request->arena, ((size_t)deletion->count + 1) * sizeof(int32_t));
    deletion->offsets = kp_arena_calloc(request->arena, ((size_t)deletion->count + 1) * sizeof(int64_t));
    for (int32_t i = 0; i < deletion->count; i++) {
        deletion->partitions[i] = kp_kafka_get_i32(in);
        deletion->offsets[i] = kp_kafka_get_i64(in);
        kp_kafka_get_tags(in);
    }
    kp_kafka_get_tags(in);
}

enum kp_kafka_outcome kp_kafka_delete_records(struct kp_kafka_request *request)
{
    struct kp_kafka_reader *in = &request->in;
    struct kp_kafka_writer *out = &request->out;
    int32_t count = kp_kafka_get_array(in, 4);
    if (count > KP_KAFKA_NAMES_MAX || in->bad)
        return KP_KAFKA_MALFORMED;
    count = KP_MAX(count, 0);
    struct deletion *deletions = kp_arena_calloc(request->arena, ((size_t)count + 1) * sizeof *deletions);
    for (int32_t i = 0; i < count && !in->bad; i++)
        read_deletion(request, &deletions[i]);
    kp_kafka_get_i32(in); /* timeout: it takes one sync a partition */
    kp_kafka_get_tags(in);
    if (in->bad)
        return KP_KAFKA_MALFORMED;
    kp_kafka_put_i32(out, 0); /* throttle */
    kp_kafka_put_array(out, count);
    for (int32_t i = 0; i < count; i++) {
        const struct deletion *deletion = &deletions[i];
        kp_kafka_put_string(out, deletion->name.ptr ? deletion->name : KP_STR(""));
        kp_kafka_put_array(out, deletion->count);
        for (int32_t p = 0; p < deletion->count; p++) {
            int64_t start;
            enum kp_kafka_error error =
                delete_before(request, deletion->name, deletion->partitions[p], deletion->offsets[p], &start);
            kp_kafka_put_i32(out, deletion->partitions[p]);
            kp_kafka_put_i64(out, start);
            kp_kafka_put_i16(out, (int16_t)error);
            kp_kafka_put_tags(out);
        }
        kp_kafka_put_tags(out);
    }
    kp_kafka_put_tags(out);
    return KP_KAFKA_ANSWERED;
}
