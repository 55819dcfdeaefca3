/*
 * Metadata: one broker, this one, at the address by which the client reached it; it leads every partition.
 *
 * Request   [name]        null (version 0: empty) = all | v4 allow auto creation | v8 two flags for authorized
 * operations Answer    v3 throttle | [node, host, port, v1 rack] | v2 cluster id | v1 controller [error, name, v1
 * internal, [error, partition, leader, v7 epoch, [replica], [in sync], v5 [offline]], v8 ops] v8 operations
 */
#include "serve/kafka/api.h"

enum { NODE_ID = 1, OPERATIONS_UNKNOWN = INT32_MIN };

enum kp_code kp_kafka_topic(const struct kp_kafka_request *request, struct kp_str name, bool create,
                            struct kp_topic_info *ret_info, struct kp_error *err)
{
    char text[KP_TOPIC_NAME_BYTES_MAX + 1];
    if (!name.ptr || name.len == 0 || name.len > KP_TOPIC_NAME_BYTES_MAX || memchr(name.ptr, 0, name.len))
        return kp_fail(err, KP_INVALID, "42602", "a topic's name has 1 to %d characters", (int)KP_TOPIC_NAME_BYTES_MAX);
    memcpy(text, name.ptr, name.len);
    text[name.len] = '\0';
    if (request->db)
        return kp_db_topic(request->db, text, create, ret_info, err);
    enum kp_code code = kp_log_topic_find(request->log, text, ret_info, err);
    if (code != KP_NOT_FOUND || !create)
        return code;
    uint32_t id;
    code = kp_log_topic_create(request->log, text, 1, &id, err);
    if (code != KP_OK && code != KP_EXISTS)
        return code;
    return kp_log_topic_find(request->log, text, ret_info, err);
}

static void put_partition(struct kp_kafka_writer *out, int16_t version, int32_t partition)
{
    kp_kafka_put_i16(out, KP_KAFKA_NONE);
    kp_kafka_put_i32(out, partition);
    kp_kafka_put_i32(out, NODE_ID);
    if (version >= 7)
        kp_kafka_put_i32(out, 0);          /* leader epoch */
    for (int list = 0; list < 2; list++) { /* replicas, in-sync replicas */
        kp_kafka_put_array(out, 1);
        kp_kafka_put_i32(out, NODE_ID);
    }
    if (version >= 5)
        kp_kafka_put_array(out, 0); /* offline replicas */
    kp_kafka_put_tags(out);
}

static void put_topic(struct kp_kafka_request *request, enum kp_kafka_error error, struct kp_str name,
                      const struct kp_topic_info *info)
{
    struct kp_kafka_writer *out = &request->out;
    kp_kafka_put_i16(out, (int16_t)error);
    kp_kafka_put_string(out, name);
    if (request->version >= 1)
        kp_kafka_put_bool(out, info && info->internal);
    kp_kafka_put_array(out, info ? (int32_t)info->partitions : 0);
    for (uint32_t i = 0; info && i < info->partitions; i++)
        put_partition(out, request->version, (int32_t)i);
    if (request->version >= 8)
        kp_kafka_put_i32(out, OPERATIONS_UNKNOWN);
    kp_kafka_put_tags(out);
}

static void put_brokers(struct kp_kafka_request *request)
{
    struct kp_kafka_writer *out = &request->out;
    struct kp_address local;
    kp_conn_local(request->conn, &local);
    if (request->version >= 3)
        kp_kafka_put_i32(out, 0); /* throttle */
    kp_kafka_put_array(out, 1);
    kp_kafka_put_i32(out, NODE_ID);
    kp_kafka_put_text(out, local.host);
    kp_kafka_put_i32(out, local.port);
    if (request->version >= 1)
        kp_kafka_put_text(out, NULL); /* rack */
    kp_kafka_put_tags(out);
    if (request->version >= 2)
        kp_kafka_put_text(out, "kappa");
    if (request->version >= 1)
        kp_kafka_put_i32(out, NODE_ID); /* controller */
}

static void put_all(struct kp_kafka_request *request)
{
    struct kp_topic_info *topics;
    size_t count;
    kp_log_topics(request->log, &topics, &count);
    kp_kafka_put_array(&request->out, (int32_t)count);
    for (size_t i = 0; i < count; i++)
        put_topic(request, KP_KAFKA_NONE, kp_str(topics[i].name), &topics[i]);
    kp_free(topics);
}

static void put_named(struct kp_kafka_request *request, const struct kp_str *names, int32_t count, bool create)
{
    kp_kafka_put_array(&request->out, count);
    for (int32_t i = 0; i < count; i++) {
        struct kp_topic_info info;
        struct kp_error err;
        enum kp_code code = kp_kafka_topic(request, names[i], create, &info, &err);
        enum kp_kafka_error error = code == KP_INVALID ? KP_KAFKA_INVALID_TOPIC : kp_kafka_error_of(code);
        struct kp_str name = names[i].ptr ? names[i] : KP_STR("");
        name.len = KP_MIN(name.len, (size_t)INT16_MAX);
        put_topic(request, error, name, code == KP_OK ? &info : NULL);
    }
}

enum kp_kafka_outcome kp_kafka_metadata(struct kp_kafka_request *request)
{
    struct kp_kafka_reader *in = &request->in;
    int32_t count = kp_kafka_get_array(in, 1);
    if (count > KP_KAFKA_NAMES_MAX)
        return KP_KAFKA_MALFORMED;
    struct kp_str *names = kp_arena_alloc(request->arena, (size_t)KP_MAX(count, 0) * sizeof *names);
    for (int32_t i = 0; i < count; i++) {
        names[i] = kp_kafka_get_string(in);
        kp_kafka_get_tags(in);
    }
    bool create = request->version < 4 || kp_kafka_get_bool(in);
    if (request->version >= 8) {
        kp_kafka_get_bool(in);
        kp_kafka_get_bool(in);
    }
    kp_kafka_get_tags(in);
    if (in->bad)
        return KP_KAFKA_MALFORMED;
    put_brokers(request);
    if (count < 0 || (count == 0 && request->version == 0))
        put_all(request);
    else
        put_named(request, names, count, create);
    if (request->version >= 8)
        kp_kafka_put_i32(&request->out, OPERATIONS_UNKNOWN);
    kp_kafka_put_tags(&request->out);
    return KP_KAFKA_ANSWERED;
}
