/*
 * The one table of messages. What is not in it is not advertised, and a request for it closes the connection, as
 * Kafka's own brokers do.
 */
#include "serve/kafka/api.h"
#include "serve/kafka/kafka.h"

static const struct kp_kafka_api apis[] = {
    {0, 0, 9, 9, "Produce", kp_kafka_produce,
     "Every acks value but 0 answers after fdatasync; 0 has no answer. Batches are kept as sent (gzip, snappy, lz4, "
     "zstd); "
     "message sets of versions 0 to 2 become record batches. Idempotent producers are checked, also across a restart."},
    {1, 0, 11, 12, "Fetch", kp_kafka_fetch,
     "Long poll by min_bytes and max_wait. Versions before 4 get message sets. Fetch sessions are not kept: every "
     "fetch is "
     "a full one."},
    {2, 0, 5, 6, "ListOffsets", kp_kafka_list_offsets, "Earliest, latest, and by timestamp."},
    {3, 0, 9, 9, "Metadata", kp_kafka_metadata,
     "One broker: the address that the client reached. Makes a missing topic with one partition if the client allows "
     "it."},
    {18, 0, 3, 3, "ApiVersions", kp_kafka_api_versions, "This table."},
    {19, 0, 4, 5, "CreateTopics", kp_kafka_create_topics,
     "Replication factor 1 or the default. retention.ms, retention.bytes, cleanup.policy (delete, compact or both), "
     "delete.retention.ms and min.compaction.lag.ms become the topic's policy; without them it is kept for ever."},
    {20, 0, 3, 4, "DeleteTopics", kp_kafka_delete_topics, "Refused while a source, table or sink uses the topic."},
    {21, 0, 2, 2, "DeleteRecords", kp_kafka_delete_records,
     "Refused (POLICY_VIOLATION) where a table, or a view that can keep no base of them, needs the records."},
    {22, 0, 1, 2, "InitProducerId", kp_kafka_init_producer_id, "For idempotent producers; transactions are refused."},
    {32, 0, 4, 4, "DescribeConfigs", kp_kafka_describe_configs, "Topics only."},
    {33, 0, 2, 2, "AlterConfigs", kp_kafka_alter_configs,
     "Topics only: the settings of CreateTopics; what is not named goes back to its default."},
    {44, 0, 1, 1, "IncrementalAlterConfigs", kp_kafka_incremental_alter_configs, "Topics only; SET and DELETE."},
};

const struct kp_kafka_api *kp_kafka_apis(size_t *ret_count)
{
    *ret_count = KP_COUNT(apis);
    return apis;
}

const struct kp_kafka_api *kp_kafka_api_find(int16_t key)
{
    for (size_t i = 0; i < KP_COUNT(apis); i++)
        if (apis[i].key == key)
            return &apis[i];
    return NULL;
}

/* A version that we do not know is answered in version 0, which every client reads. */
enum kp_kafka_outcome kp_kafka_api_versions(struct kp_kafka_request *request)
{
    struct kp_kafka_writer *out = &request->out;
    bool known = request->version <= request->api->version_max;
    int16_t version = known ? request->version : 0;
    if (known && version >= 3) {
        kp_kafka_get_string(&request->in); /* client software's name and version */
        kp_kafka_get_string(&request->in);
        kp_kafka_get_tags(&request->in);
        if (request->in.bad)
            return KP_KAFKA_MALFORMED;
    }
    out->flexible = version >= 3;
    kp_kafka_put_i16(out, known ? KP_KAFKA_NONE : KP_KAFKA_UNSUPPORTED_VERSION);
    kp_kafka_put_array(out, KP_COUNT(apis));
    for (size_t i = 0; i < KP_COUNT(apis); i++) {
        kp_kafka_put_i16(out, apis[i].key);
        kp_kafka_put_i16(out, apis[i].version_min);
        kp_kafka_put_i16(out, apis[i].version_max);
        kp_kafka_put_tags(out);
    }
    if (version >= 1)
        kp_kafka_put_i32(out, 0); /* throttle */
    kp_kafka_put_tags(out);
    return KP_KAFKA_ANSWERED;
}

enum kp_kafka_error kp_kafka_error_of(enum kp_code code)
{
    switch (code) {
    case KP_OK:
        return KP_KAFKA_NONE;
    case KP_INVALID:
    case KP_UNSUPPORTED:
        return KP_KAFKA_INVALID_RECORD;
    case KP_NOT_FOUND:
        return KP_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    case KP_EXISTS:
        return KP_KAFKA_TOPIC_ALREADY_EXISTS;
    case KP_LIMIT:
        return KP_KAFKA_MESSAGE_TOO_LARGE;
    case KP_IO:
    case KP_FULL:
    case KP_CORRUPT:
    case KP_CLOSED:
        return KP_KAFKA_STORAGE_ERROR;
    case KP_FORBIDDEN:
        return KP_KAFKA_POLICY_VIOLATION;
    default:
        return KP_KAFKA_UNKNOWN;
    }
}

void kp_kafka_document(struct kp_buf *out)
{
    kp_buf_append_text(
        out,
        "# Kafka's protocol\n\n"
        "Ordinary Kafka clients work on the embedded log: point `bootstrap.servers` at the Kafka address of\n"
        "`kappa server` (127.0.0.1:9092 unless set). Clients learn these versions by ApiVersions, so nothing needs to\n"
        "be configured. This page is made by the table in `src/serve/kafka/api.c`.\n\n"
        "| key | message | versions | what kappa does |\n|---|---|---|---|\n");
    for (size_t i = 0; i < KP_COUNT(apis); i++)
        kp_buf_printf(out, "| %d | %s | %d to %d | %s |\n", apis[i].key, apis[i].name, apis[i].version_min,
                      apis[i].version_max, apis[i].doc);
    kp_buf_append_text(
        out,
        "\nConsumers assign partitions themselves (`kcat -C`, `assign()`); consumer groups and transactions are not\n"
        "there yet, and their messages are not advertised. Topics whose names begin with two underscores are kappa's\n"
        "own: they can be read and not written.\n\n"
        "A record batch has at most 16 MiB, decompressed too, and beyond its first MiB at most 4,096 times its "
        "compressed\n"
        "size: a larger one is refused (MESSAGE_TOO_LARGE).\n\n"
        "```sh\n"
        "echo '{\"id\": 1}' | kcat -P -b 127.0.0.1:9092 -t events\n"
        "kcat -C -b 127.0.0.1:9092 -t events -o beginning -e\n"
        "kcat -C -b 127.0.0.1:9092 -t events -o s@1700000000000\n"
        "```\n");
}
