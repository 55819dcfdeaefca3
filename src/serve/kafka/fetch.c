/*
 * Fetch: whole record batches of partitions, from the one that holds the wanted offset on (consumers skip what comes
 * before it). With less than min_bytes the request waits, without a thread, until more has come or max_wait has passed.
 *
 * Request   replica, max wait, min bytes, v3 max bytes, v4 isolation, v7 session and epoch
 *           [name, [partition, v9 epoch, offset, v5 log start, max bytes]], v7 [forgotten], v11 rack
 * Answer    v1 throttle, v7 error and session
 *           [name, [partition, error, high watermark, v4 last stable, v5 log start, v4 [aborted], v11 replica,
 * records]]
 */
#include "serve/kafka/api.h"
#include "serve/kafka/message_set.h"

enum {
    ANSWER_BYTES_MAX = 32 << 20, /* of one answer, whatever the client asks for (at least one batch a partition) */
    WAIT_MS_MAX = 60000,
    VERSION_BATCHES = 4 /* first version whose readers know record batches */
};

struct fetch {
    struct kp_kafka_request *request;
    int32_t wait_ms;
    int64_t min_bytes, bytes_left;
    uint64_t found_bytes;
    uint64_t held_bytes; /* what the partitions held before they were read: what a wait counts from */
    bool failed;         /* some partition has an error: answer at once */
    struct kp_kafka_watch *watches;
    size_t watch_count, watch_cap;
};

static void add_watch(struct fetch *fetch, uint32_t topic, uint32_t partition, int64_t offset)
{
    if (fetch->watch_count == fetch->watch_cap) {
        fetch->watch_cap = fetch->watch_cap ? fetch->watch_cap * 2 : 8;
        struct kp_kafka_watch *watches = kp_arena_alloc(fetch->request->arena, fetch->watch_cap * sizeof *watches);
        if (fetch->watch_count)
            memcpy(watches, fetch->watches, fetch->watch_count * sizeof *watches);
        fetch->watches = watches;
    }
    fetch->watches[fetch->watch_count++] = (struct kp_kafka_watch){topic, partition, offset};
}

/* Appends the records as the client's version reads them. */
static enum kp_code append_records(struct fetch *fetch, const struct kp_kafka_watch *from, size_t bytes_max,
                                   struct kp_error *err)
{
    struct kp_kafka_request *request = fetch->request;
    struct kp_buf *out = request->out.out;
    if (request->version >= VERSION_BATCHES)
        return kp_log_fetch(request->log, from->topic, from->partition, from->offset, bytes_max, out, err);
    struct kp_buf batches = {0};
    enum kp_code code =
        kp_log_fetch(request->log, from->topic, from->partition, from->offset, bytes_max, &batches, err);
    size_t at = 0;
    while (code == KP_OK && at < batches.len) {
        struct kp_record_batch_info info;
        code = kp_record_batch_check(batches.data + at, batches.len - at, false, &info, err);
        if (code == KP_OK)
            code = kp_message_set_from_batch((struct kp_str){(char *)batches.data + at, info.bytes},
                                             request->version >= 2 ? 1 : 0, request->arena, out, err);
        at += code == KP_OK ? info.bytes : 0;
    }
    kp_buf_finish(&batches);
    return code;
}

static enum kp_kafka_error find(struct fetch *fetch, const struct kp_topic_info *topic, int32_t partition,
                                int64_t offset, struct kp_partition_info *ret_info)
{
    struct kp_error err;
    *ret_info = (struct kp_partition_info){.start_offset = -1, .end_offset = -1};
    if (!topic || partition < 0)
        return KP_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    enum kp_code code = kp_log_partition(fetch->request->log, topic->id, (uint32_t)partition, ret_info, &err);
    if (code != KP_OK)
        return kp_kafka_error_of(code);
    bool inside = offset >= ret_info->start_offset && offset <= ret_info->end_offset;
    return inside ? KP_KAFKA_NONE : KP_KAFKA_OFFSET_OUT_OF_RANGE;
}

static void put_partition(struct fetch *fetch, int32_t partition, enum kp_kafka_error error,
                          const struct kp_partition_info *info)
{
    struct kp_kafka_writer *out = &fetch->request->out;
    int16_t version = fetch->request->version;
    kp_kafka_put_i32(out, partition);
    kp_kafka_put_i16(out, (int16_t)error);
    kp_kafka_put_i64(out, info->end_offset);
    if (version >= 4)
        kp_kafka_put_i64(out, info->end_offset); /* last stable: there are no transactions */
    if (version >= 5)
        kp_kafka_put_i64(out, info->start_offset);
    if (version >= 4)
        kp_kafka_put_array(out, -1); /* aborted transactions */
    if (version >= 11)
        kp_kafka_put_i32(out, -1); /* preferred replica */
}

static void one_partition(struct fetch *fetch, const struct kp_topic_info *topic)
{
    struct kp_kafka_request *request = fetch->request;
    struct kp_kafka_reader *in = &request->in;
    struct kp_buf *out = request->out.out;
    int32_t partition = kp_kafka_get_i32(in);
    if (request->version >= 9)
        kp_kafka_get_i32(in); /* the leader's epoch as the client knows it */
    int64_t offset = kp_kafka_get_i64(in);
    if (request->version >= 5)
        kp_kafka_get_i64(in); /* the follower's log start */
    int64_t bytes_max = kp_kafka_get_i32(in);
    if (in->bad)
        return;
    size_t start = out->len;
    struct kp_partition_info info;
    enum kp_kafka_error error = find(fetch, topic, partition, offset, &info);
    put_partition(fetch, partition, error, &info);
    size_t length_at = out->len;
    kp_kafka_put_i32(&request->out, 0);
    if (error == KP_KAFKA_NONE) {
        add_watch(fetch, topic->id, (uint32_t)partition, offset);
        fetch->held_bytes += info.bytes;
        struct kp_error err;
        size_t take = (size_t)KP_MAX(KP_MIN(bytes_max, fetch->bytes_left), 0);
        enum kp_code code = KP_OK;
        if (fetch->bytes_left > 0)
            code = append_records(fetch, &fetch->watches[fetch->watch_count - 1], take, &err);
        if (code != KP_OK) { /* begin again, with the error */
            out->len = start;
            error = code == KP_LIMIT     ? KP_KAFKA_OFFSET_OUT_OF_RANGE
                    : code == KP_CORRUPT ? KP_KAFKA_CORRUPT_MESSAGE /* no client tries that for ever in silence */
                                         : kp_kafka_error_of(code);
            put_partition(fetch, partition, error, &info);
            length_at = out->len;
            kp_kafka_put_i32(&request->out, 0);
        }
    }
    uint32_t found = (uint32_t)(out->len - length_at - 4), length = __builtin_bswap32(found);
    memcpy(out->data + length_at, &length, 4);
    fetch->found_bytes += found;
    fetch->bytes_left -= found;
    fetch->failed |= error != KP_KAFKA_NONE;
}

static void read_topics(struct fetch *fetch)
{
    struct kp_kafka_request *request = fetch->request;
    struct kp_kafka_reader *in = &request->in;
    int32_t topics = kp_kafka_get_array(in, 6);
    kp_kafka_put_array(&request->out, KP_MAX(topics, 0));
    for (int32_t t = 0; t < topics && !in->bad; t++) {
        struct kp_str name = kp_kafka_get_string(in);
        int32_t partitions = kp_kafka_get_array(in, 16);
        struct kp_topic_info info;
        struct kp_error err;
        bool known = kp_kafka_topic(request, name, false, &info, &err) == KP_OK;
        kp_kafka_put_string(&request->out, name.ptr ? name : KP_STR(""));
        kp_kafka_put_array(&request->out, KP_MAX(partitions, 0));
        for (int32_t p = 0; p < partitions && !in->bad; p++)
            one_partition(fetch, known ? &info : NULL);
    }
    if (request->version >= 7)
        for (int32_t forgotten = kp_kafka_get_array(in, 6); forgotten > 0 && !in->bad; forgotten--) {
            kp_kafka_get_string(in);
            for (int32_t p = kp_kafka_get_array(in, 4); p > 0; p--)
                kp_kafka_get_i32(in);
        }
    if (request->version >= 11)
        kp_kafka_get_string(in);
}

enum kp_kafka_outcome kp_kafka_fetch(struct kp_kafka_request *request)
{
    struct kp_kafka_reader *in = &request->in, start;
    struct kp_kafka_writer *out = &request->out;
    struct fetch fetch = {.request = request};
    kp_kafka_get_i32(in); /* replica */
    int32_t wait_ms = kp_kafka_get_i32(in);
    fetch.wait_ms = KP_MIN(wait_ms, (int32_t)WAIT_MS_MAX);
    fetch.min_bytes = kp_kafka_get_i32(in);
    int64_t max_bytes = request->version >= 3 ? kp_kafka_get_i32(in) : ANSWER_BYTES_MAX;
    if (request->version >= 4)
        kp_kafka_get_i8(in); /* isolation: nothing is uncommitted here */
    int32_t session = 0, epoch = -1;
    if (request->version >= 7) {
        session = kp_kafka_get_i32(in);
        epoch = kp_kafka_get_i32(in);
    }
    bool unknown_session = session != 0 && epoch > 0;
    if (request->version >= 1)
        kp_kafka_put_i32(out, 0); /* throttle */
    if (request->version >= 7) {
        kp_kafka_put_i16(out, unknown_session ? KP_KAFKA_FETCH_SESSION_NOT_FOUND : KP_KAFKA_NONE);
        kp_kafka_put_i32(out, 0);
    }
    if (unknown_session) {
        kp_kafka_put_array(out, 0);
        return KP_KAFKA_ANSWERED;
    }
    start = *in;
    size_t out_start = out->out->len;
    for (;;) {
        fetch.bytes_left = KP_MAX(KP_MIN(max_bytes, (int64_t)ANSWER_BYTES_MAX), 1);
        fetch.found_bytes = fetch.held_bytes = 0;
        fetch.watch_count = 0;
        read_topics(&fetch);
        if (in->bad)
            return KP_KAFKA_MALFORMED;
        if (request->wait_over || fetch.failed || fetch.wait_ms <= 0 || (int64_t)fetch.found_bytes >= fetch.min_bytes)
            return KP_KAFKA_ANSWERED;
        uint64_t missing = (uint64_t)fetch.min_bytes - fetch.found_bytes;
        if (kp_kafka_wait(request, fetch.watches, fetch.watch_count, fetch.held_bytes, missing, fetch.wait_ms))
            return KP_KAFKA_WAIT;
        *in = start;
        out->out->len = out_start;
    }
}
