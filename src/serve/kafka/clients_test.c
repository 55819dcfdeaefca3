/*
 * The Kafka door with real clients: librdkafka in this process, kcat beside it.
 */
#include "serve/kafka/fixture.h"

#include <librdkafka/rdkafka.h>

#include "serve/serve.h"

/* ---- librdkafka ---- */

static rd_kafka_t *client(rd_kafka_type_t type, ...)
{
    char why[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    assert_int_equal(rd_kafka_conf_set(conf, "bootstrap.servers", broker, why, sizeof why), RD_KAFKA_CONF_OK);
    assert_int_equal(rd_kafka_conf_set(conf, "log_level", "3", why, sizeof why), RD_KAFKA_CONF_OK);
    va_list args;
    va_start(args, type);
    for (const char *name; (name = va_arg(args, const char *));)
        if (rd_kafka_conf_set(conf, name, va_arg(args, const char *), why, sizeof why) != RD_KAFKA_CONF_OK)
            fail_msg("%s", why);
    va_end(args);
    rd_kafka_t *rk = rd_kafka_new(type, conf, why, sizeof why);
    if (!rk)
        fail_msg("%s", why);
    return rk;
}

struct delivery {
    int good, bad;
    rd_kafka_resp_err_t err;
};

static void delivered(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    struct delivery *delivery = message->_private;
    if (message->err) {
        delivery->bad++;
        delivery->err = message->err;
    } else {
        delivery->good++;
    }
}

static rd_kafka_t *producer(const char *name, const char *value)
{
    char why[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", broker, why, sizeof why);
    rd_kafka_conf_set(conf, "log_level", "3", why, sizeof why);
    rd_kafka_conf_set(conf, "linger.ms", "5", why, sizeof why);
    rd_kafka_conf_set(conf, "message.max.bytes", "50000000", why, sizeof why);
    if (name && rd_kafka_conf_set(conf, name, value, why, sizeof why) != RD_KAFKA_CONF_OK)
        fail_msg("%s", why);
    rd_kafka_conf_set_dr_msg_cb(conf, delivered);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    if (!rk)
        fail_msg("%s", why);
    return rk;
}

/* Assigns all partitions from an offset (or a RD_KAFKA_OFFSET_…). */
static rd_kafka_t *waiting_consumer(const char *topic, int partitions, int64_t offset, const char *wait_ms)
{
    rd_kafka_t *rk = client(RD_KAFKA_CONSUMER, "group.id", "g", "enable.auto.commit", "false", "check.crcs", "true",
                            "fetch.message.max.bytes", "2000000", "enable.partition.eof", "false", "fetch.wait.max.ms",
                            wait_ms, NULL);
    rd_kafka_poll_set_consumer(rk);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);
    for (int p = 0; p < partitions; p++)
        rd_kafka_topic_partition_list_add(list, topic, p)->offset = offset;
    assert_int_equal(rd_kafka_assign(rk, list), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_topic_partition_list_destroy(list);
    return rk;
}

static rd_kafka_t *consumer(const char *topic, int partitions, int64_t offset)
{
    return waiting_consumer(topic, partitions, offset, "500");
}

static rd_kafka_message_t *next_message(rd_kafka_t *rk, int timeout_ms)
{
    for (int i = 0; i < timeout_ms / 100; i++) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(rk, 100);
        if (message && !message->err)
            return message;
        if (message && message->err != RD_KAFKA_RESP_ERR__TRANSPORT)
            print_message("consumer: %s\n", rd_kafka_message_errstr(message));
        if (message)
            rd_kafka_message_destroy(message);
    }
    return NULL;
}

static void finish(rd_kafka_t *rk)
{
    if (rd_kafka_type(rk) == RD_KAFKA_CONSUMER)
        rd_kafka_consumer_close(rk);
    rd_kafka_destroy(rk);
}

enum { MESSAGES = 2000, PARTITIONS = 12 };

static void round_trip(const char *codec, bool idempotent)
{
    char topic[64], key[32], value[128];
    static int run;
    snprintf(topic, sizeof topic, "codec-%s-%d", codec, run++);
    create_topic(topic, PARTITIONS);
    rd_kafka_t *rk = idempotent ? producer("enable.idempotence", "true") : producer("compression.codec", codec);
    struct delivery delivery = {0};
    for (int i = 0; i < MESSAGES; i++) {
        snprintf(key, sizeof key, "key %d", i);
        snprintf(value, sizeof value, "value %d, which repeats repeats repeats repeats and repeats itself", i);
        rd_kafka_resp_err_t err;
        while ((err = rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(i % PARTITIONS),
                                        RD_KAFKA_V_KEY(key, strlen(key)), RD_KAFKA_V_VALUE(value, strlen(value)),
                                        RD_KAFKA_V_HEADER("h", key, (ssize_t)strlen(key)),
                                        RD_KAFKA_V_TIMESTAMP(1000000 + i), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                                        RD_KAFKA_V_OPAQUE(&delivery), RD_KAFKA_V_END)) == RD_KAFKA_RESP_ERR__QUEUE_FULL)
            rd_kafka_poll(rk, 10);
        assert_int_equal(err, RD_KAFKA_RESP_ERR_NO_ERROR);
    }
    assert_int_equal(rd_kafka_flush(rk, 20000), RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(delivery.good, MESSAGES);
    finish(rk);

    rk = consumer(topic, PARTITIONS, RD_KAFKA_OFFSET_BEGINNING);
    static bool seen[MESSAGES];
    memset(seen, 0, sizeof seen);
    for (int n = 0; n < MESSAGES; n++) {
        rd_kafka_message_t *message = next_message(rk, 10000);
        assert_non_null(message);
        int i = -1;
        assert_int_equal(sscanf(message->key, "key %d", &i), 1);
        assert_in_range(i, 0, MESSAGES - 1);
        assert_false(seen[i]);
        seen[i] = true;
        snprintf(value, sizeof value, "value %d, which repeats repeats repeats repeats and repeats itself", i);
        assert_int_equal(message->len, strlen(value));
        assert_memory_equal(message->payload, value, message->len);
        assert_int_equal(message->partition, i % PARTITIONS);
        assert_int_equal(message->offset, i / PARTITIONS);
        assert_int_equal(rd_kafka_message_timestamp(message, NULL), 1000000 + i);
        rd_kafka_headers_t *headers;
        assert_int_equal(rd_kafka_message_headers(message, &headers), RD_KAFKA_RESP_ERR_NO_ERROR);
        rd_kafka_message_destroy(message);
    }
    finish(rk);
}

static void test_codecs(void **state)
{
    static const char *const codecs[] = {"none", "gzip", "snappy", "lz4", "zstd"};
    for (size_t i = 0; i < KP_COUNT(codecs); i++)
        round_trip(codecs[i], false);
}

static void test_idempotent(void **state)
{
    round_trip("idempotent", true);
}

static rd_kafka_resp_err_t produce_one(const char *topic, size_t len, const char *max_bytes)
{
    rd_kafka_t *rk = producer(NULL, NULL);
    struct delivery delivery = {0};
    char *value = malloc(len + 1);
    memset(value, 'x', len);
    rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_VALUE(value, len),
                      RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_OPAQUE(&delivery), RD_KAFKA_V_END);
    rd_kafka_flush(rk, 20000);
    free(value);
    assert_int_equal(delivery.good + delivery.bad, 1);
    finish(rk);
    return delivery.err;
}

static void test_sizes(void **state)
{
    enum { BIG = 1 << 20, COUNT = 20 };
    create_topic("big", 3);
    rd_kafka_t *rk = producer("acks", "1");
    struct delivery delivery = {0};
    char *value = malloc(BIG);
    for (int i = 0; i < COUNT; i++) {
        memset(value, 'a' + i, BIG);
        assert_int_equal(rd_kafka_producev(rk, RD_KAFKA_V_TOPIC("big"), RD_KAFKA_V_PARTITION(i % 3),
                                           RD_KAFKA_V_VALUE(value, BIG), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                                           RD_KAFKA_V_OPAQUE(&delivery), RD_KAFKA_V_END),
                         RD_KAFKA_RESP_ERR_NO_ERROR);
    }
    rd_kafka_flush(rk, 30000);
    assert_int_equal(delivery.good, COUNT);
    finish(rk);
    rk = consumer("big", 3, RD_KAFKA_OFFSET_BEGINNING);
    for (int i = 0; i < COUNT; i++) {
        rd_kafka_message_t *message = next_message(rk, 10000);
        assert_non_null(message);
        assert_int_equal(message->len, BIG);
        assert_int_equal(((char *)message->payload)[BIG - 1], 'a' + message->offset * 3 + message->partition);
        rd_kafka_message_destroy(message);
    }
    finish(rk);
    free(value);
    /* A record beyond the limit is refused for good; a missing topic is made. */
    assert_int_equal(produce_one("big", KP_RECORD_BYTES_MAX + 1000, NULL), RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    assert_int_equal(produce_one("not-there-yet", 10, NULL), RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(produce_one("big", 10, NULL), RD_KAFKA_RESP_ERR_NO_ERROR);
    create_topic("__kappa_test", 1);
    assert_int_equal(produce_one("__kappa_test", 10, NULL), RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION);
}

static void test_offsets(void **state)
{
    create_topic("times", 1);
    rd_kafka_t *rk = producer(NULL, NULL);
    struct delivery delivery = {0};
    for (int i = 0; i < 100; i++) {
        char value[16];
        int len = snprintf(value, sizeof value, "%d", i);
        rd_kafka_producev(rk, RD_KAFKA_V_TOPIC("times"), RD_KAFKA_V_VALUE(value, (size_t)len),
                          RD_KAFKA_V_TIMESTAMP(1700000000000 + i * 1000), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                          RD_KAFKA_V_OPAQUE(&delivery), RD_KAFKA_V_END);
        if (i % 10 == 9)
            rd_kafka_flush(rk, 10000);
    }
    assert_int_equal(delivery.good, 100);
    int64_t low, high;
    assert_int_equal(rd_kafka_query_watermark_offsets(rk, "times", 0, &low, &high, 5000), RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(low, 0);
    assert_int_equal(high, 100);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, "times", 0)->offset = 1700000000000 + 41500;
    assert_int_equal(rd_kafka_offsets_for_times(rk, list, 5000), RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(list->elems[0].offset, 42);
    list->elems[0].offset = 1800000000000;
    assert_int_equal(rd_kafka_offsets_for_times(rk, list, 5000), RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(list->elems[0].offset, RD_KAFKA_OFFSET_END);
    rd_kafka_topic_partition_list_destroy(list);
    finish(rk);
    rk = consumer("times", 1, 57);
    rd_kafka_message_t *message = next_message(rk, 5000);
    assert_non_null(message);
    assert_int_equal(message->offset, 57);
    assert_memory_equal(message->payload, "57", 2);
    rd_kafka_message_destroy(message);
    finish(rk);
}

/* A waiting consumer hears of a record at once, not when its wait is over. */
static void test_long_poll(void **state)
{
    create_topic("poll", 1);
    /* longer than the test waits for a message: what comes did not come because the wait was over */
    rd_kafka_t *rk = waiting_consumer("poll", 1, RD_KAFKA_OFFSET_BEGINNING, "50000");
    assert_null(next_message(rk, 700));
    for (int i = 0; i < 3; i++) {
        rd_kafka_t *from = producer(NULL, NULL);
        struct delivery delivery = {0};
        rd_kafka_producev(from, RD_KAFKA_V_TOPIC("poll"), RD_KAFKA_V_VALUE("x", 1), RD_KAFKA_V_OPAQUE(&delivery),
                          RD_KAFKA_V_END);
        rd_kafka_flush(from, 5000);
        rd_kafka_message_t *message = next_message(rk, 30000);
        assert_non_null(message);
        rd_kafka_message_destroy(message);
        finish(from);
    }
    finish(rk);
}

static void test_admin(void **state)
{
    char why[256];
    rd_kafka_t *rk = client(RD_KAFKA_PRODUCER, NULL);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_NewTopic_t *topics[3] = {rd_kafka_NewTopic_new("made", 5, 1, why, sizeof why),
                                      rd_kafka_NewTopic_new("copied", 1, 3, why, sizeof why),
                                      rd_kafka_NewTopic_new("b a d", 1, 1, why, sizeof why)};
    rd_kafka_CreateTopics(rk, topics, 3, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 10000);
    assert_non_null(event);
    size_t count;
    const rd_kafka_topic_result_t **results =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
    assert_int_equal(count, 3);
    assert_int_equal(rd_kafka_topic_result_error(results[0]), RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(rd_kafka_topic_result_error(results[1]), RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR);
    assert_int_equal(rd_kafka_topic_result_error(results[2]), RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION);
    assert_non_null(strstr(rd_kafka_topic_result_error_string(results[1]), "one broker"));
    rd_kafka_event_destroy(event);
    rd_kafka_NewTopic_destroy_array(topics, 3);
    const struct rd_kafka_metadata *metadata;
    assert_int_equal(rd_kafka_metadata(rk, 1, NULL, &metadata, 5000), RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(metadata->broker_cnt, 1);
    assert_int_equal(metadata->brokers[0].port, bound.port);
    bool found = false;
    for (int i = 0; i < metadata->topic_cnt; i++)
        found |= strcmp(metadata->topics[i].topic, "made") == 0 && metadata->topics[i].partition_cnt == 5;
    assert_true(found);
    rd_kafka_metadata_destroy(metadata);
    rd_kafka_DeleteTopic_t *drop[1] = {rd_kafka_DeleteTopic_new("made")};
    rd_kafka_DeleteTopics(rk, drop, 1, NULL, queue);
    event = rd_kafka_queue_poll(queue, 10000);
    assert_non_null(event);
    results = rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &count);
    assert_int_equal(count, 1);
    assert_int_equal(rd_kafka_topic_result_error(results[0]), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_event_destroy(event);
    rd_kafka_DeleteTopic_destroy_array(drop, 1);
    rd_kafka_queue_destroy(queue);
    finish(rk);
}

/* ---- on an instance: its SQL decides about topics ---- */

static void run_sql(struct kp_session *session, const char *text)
{
    struct kp_prepared *prepared;
    struct kp_cursor *cursor;
    struct kp_batch *batch;
    struct kp_error err;
    bool done = false;
    assert_int_equal(kp_prepare(session, kp_str(text), NULL, 0, &prepared, &err), KP_OK);
    assert_int_equal(kp_execute(session, prepared, NULL, 0, &cursor, &err), KP_OK);
    while (!done)
        assert_int_equal(kp_cursor_next(cursor, 0, -1, &batch, &done, &err), KP_OK);
    kp_cursor_close(cursor);
    kp_prepared_destroy(prepared);
}

static rd_kafka_resp_err_t admin_create(rd_kafka_t *rk, const char *name, int partitions)
{
    char why[256];
    size_t count;
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(name, partitions, 1, why, sizeof why);
    rd_kafka_CreateTopics(rk, &topic, 1, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 10000);
    assert_non_null(event);
    rd_kafka_resp_err_t err = rd_kafka_topic_result_error(
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count)[0]);
    rd_kafka_event_destroy(event);
    rd_kafka_NewTopic_destroy(topic);
    rd_kafka_queue_destroy(queue);
    return err;
}

static rd_kafka_resp_err_t admin_delete(rd_kafka_t *rk, const char *name)
{
    size_t count;
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_DeleteTopic_t *topic = rd_kafka_DeleteTopic_new(name);
    rd_kafka_DeleteTopics(rk, &topic, 1, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 10000);
    assert_non_null(event);
    rd_kafka_resp_err_t err = rd_kafka_topic_result_error(
        rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &count)[0]);
    rd_kafka_event_destroy(event);
    rd_kafka_DeleteTopic_destroy(topic);
    rd_kafka_queue_destroy(queue);
    return err;
}

/* The start offset that came back, or minus the error. */
static int64_t admin_delete_records(rd_kafka_t *rk, const char *name, int partition, int64_t before)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, name, partition)->offset = before;
    rd_kafka_DeleteRecords_t *request = rd_kafka_DeleteRecords_new(list);
    rd_kafka_DeleteRecords(rk, &request, 1, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 10000);
    assert_non_null(event);
    const rd_kafka_topic_partition_list_t *offsets =
        rd_kafka_DeleteRecords_result_offsets(rd_kafka_event_DeleteRecords_result(event));
    assert_non_null(offsets);
    int64_t offset = offsets->elems[0].err ? -(int64_t)offsets->elems[0].err : offsets->elems[0].offset;
    rd_kafka_event_destroy(event);
    rd_kafka_DeleteRecords_destroy(request);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_queue_destroy(queue);
    return offset;
}

static rd_kafka_resp_err_t admin_alter(rd_kafka_t *rk, const char *topic, const char *name, const char *value)
{
    size_t count;
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_ConfigResource_t *resource = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
    rd_kafka_ConfigResource_set_config(resource, name, value);
    rd_kafka_AlterConfigs(rk, &resource, 1, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 10000);
    assert_non_null(event);
    rd_kafka_resp_err_t err = rd_kafka_ConfigResource_error(
        rd_kafka_AlterConfigs_result_resources(rd_kafka_event_AlterConfigs_result(event), &count)[0]);
    rd_kafka_event_destroy(event);
    rd_kafka_ConfigResource_destroy(resource);
    rd_kafka_queue_destroy(queue);
    return err;
}

static void assert_config(rd_kafka_t *rk, const char *topic, const char *name, const char *expected)
{
    size_t count;
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_ConfigResource_t *resource = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
    rd_kafka_DescribeConfigs(rk, &resource, 1, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 10000);
    assert_non_null(event);
    const rd_kafka_ConfigResource_t **answers =
        rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(event), &count);
    assert_int_equal(rd_kafka_ConfigResource_error(answers[0]), RD_KAFKA_RESP_ERR_NO_ERROR);
    const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(answers[0], &count);
    const char *value = NULL;
    for (size_t i = 0; i < count; i++)
        if (strcmp(rd_kafka_ConfigEntry_name(entries[i]), name) == 0)
            value = rd_kafka_ConfigEntry_value(entries[i]);
    assert_non_null(value);
    assert_string_equal(value, expected);
    rd_kafka_event_destroy(event);
    rd_kafka_ConfigResource_destroy(resource);
    rd_kafka_queue_destroy(queue);
}

/* Policies and deletion of records, of a topic of two partitions with a record each. */
static void check_retention(rd_kafka_t *rk, struct kp_session *session)
{
    char why[256];
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new("aging", 2, 1, why, sizeof why);
    rd_kafka_NewTopic_set_config(topic, "retention.ms", "3600000");
    rd_kafka_NewTopic_set_config(topic, "retention.bytes", "1000");
    rd_kafka_CreateTopics(rk, &topic, 1, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 10000);
    size_t count;
    if (rd_kafka_event_error(event))
        fail_msg("%s", rd_kafka_event_error_string(event));
    assert_int_equal(rd_kafka_topic_result_error(
                         rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count)[0]),
                     RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_event_destroy(event);
    rd_kafka_NewTopic_destroy(topic);
    rd_kafka_queue_destroy(queue);
    assert_config(rk, "aging", "retention.ms", "3600000");
    assert_config(rk, "aging", "retention.bytes", "1000");
    assert_config(rk, "aging", "cleanup.policy", "delete");
    assert_int_equal(admin_alter(rk, "aging", "retention.ms", "7200000"), RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_config(rk, "aging", "retention.ms", "7200000");
    assert_config(rk, "aging", "retention.bytes", "-1"); /* AlterConfigs: what is not named is the default again */
    assert_int_equal(admin_alter(rk, "aging", "retention.ms", "soon"), RD_KAFKA_RESP_ERR_INVALID_CONFIG);
    assert_int_equal(admin_alter(rk, "aging", "min.insync.replicas", "3"), RD_KAFKA_RESP_ERR_INVALID_CONFIG);
    for (int i = 0; i < 4; i++)
        assert_int_equal(produce_one("aging", 10, NULL), RD_KAFKA_RESP_ERR_NO_ERROR);
    int64_t low, high, other;
    int partition = 0;
    assert_int_equal(rd_kafka_query_watermark_offsets(rk, "aging", 0, &low, &high, 5000), RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(rd_kafka_query_watermark_offsets(rk, "aging", 1, &low, &other, 5000), RD_KAFKA_RESP_ERR_NO_ERROR);
    if (other > high) { /* the client chose: one of the two has two records or more */
        partition = 1;
        high = other;
    }
    int64_t all = high;
    assert_int_equal(admin_delete_records(rk, "aging", partition, 1), 1);
    assert_int_equal(rd_kafka_query_watermark_offsets(rk, "aging", partition, &low, &high, 5000),
                     RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(low, 1);
    assert_int_equal(high, all);
    assert_int_equal(admin_delete_records(rk, "aging", partition, all + 1), -RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE);
    run_sql(session, "CREATE TABLE aged (id bigint PRIMARY KEY) WITH (topic = 'aging')");
    assert_int_equal(admin_delete_records(rk, "aging", partition, RD_KAFKA_OFFSET_END),
                     -RD_KAFKA_RESP_ERR_POLICY_VIOLATION);
    run_sql(session, "DROP TABLE aged");
    assert_int_equal(admin_delete_records(rk, "aging", partition, RD_KAFKA_OFFSET_END), all);
}

static void test_instance(void **state)
{
    char folder[] = "/tmp/kappa-kafka-db-XXXXXX", command[64], before[KP_ADDRESS_TEXT_BYTES];
    struct kp_db *db;
    struct kp_session *session;
    struct kp_serve *serve;
    struct kp_serve_bound bounds;
    struct kp_error err;
    assert_non_null(mkdtemp(folder));
    struct kp_db_options options = {.dir = folder};
    struct kp_session_options session_options = {0};
    struct kp_serve_options serve_options = {.kafka = "127.0.0.1:0"};
    assert_int_equal(kp_db_open(&options, &db, &err), KP_OK);
    assert_int_equal(kp_serve_start(db, &serve_options, &serve, &err), KP_OK);
    kp_serve_bound(serve, &bounds);
    snprintf(before, sizeof before, "%s", broker);
    kp_address_print(&bounds.kafka, broker);
    assert_int_equal(kp_session_open(db, &session_options, &session, &err), KP_OK);

    rd_kafka_t *rk = client(RD_KAFKA_PRODUCER, NULL);
    assert_int_equal(admin_create(rk, "Orders.v1", 3), RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(admin_create(rk, "Orders.v1", 3), RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS);
    assert_int_equal(admin_create(rk, "free", 1), RD_KAFKA_RESP_ERR_NO_ERROR);
    run_sql(session, "CREATE SOURCE orders (id bigint) WITH (topic = 'Orders.v1', format = 'json')");
    assert_int_equal(produce_one("Orders.v1", 10, NULL), RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(produce_one("made-by-metadata", 10, NULL), RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(admin_delete(rk, "Orders.v1"), RD_KAFKA_RESP_ERR_POLICY_VIOLATION); /* a source reads it */
    assert_int_equal(admin_delete(rk, "free"), RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(admin_delete(rk, "free"), RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
    run_sql(session, "DROP SOURCE orders");
    assert_int_equal(admin_delete(rk, "Orders.v1"), RD_KAFKA_RESP_ERR_NO_ERROR);
    check_retention(rk, session);
    finish(rk);

    kp_session_close(session);
    kp_serve_stop(serve);
    kp_db_close(db);
    snprintf(broker, sizeof broker, "%s", before);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    assert_int_equal(system(command), 0);
}

/* ---- kcat ---- */

static void shell(const char *expected, const char *format, ...)
{
    char command[1024], output[4096];
    va_list args;
    va_start(args, format);
    vsnprintf(command, sizeof command, format, args);
    va_end(args);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    size_t len = fread(output, 1, sizeof output - 1, pipe);
    output[len] = '\0';
    assert_int_equal(pclose(pipe), 0);
    assert_string_equal(output, expected);
}

static void test_kcat(void **state)
{
    if (system("command -v kcat >/dev/null") != 0)
        skip();
    shell("", "printf 'one\\ntwo\\nthree\\n' | timeout 20 kcat -q -P -b %s -t kcat -z snappy", broker);
    shell("one\ntwo\nthree\n", "timeout 20 kcat -q -C -b %s -t kcat -o beginning -e", broker);
    shell("three\n", "timeout 20 kcat -q -C -b %s -t kcat -o -1 -e", broker);
    shell("42 1700000042000\n",
          "for i in 1; do timeout 20 kcat -q -C -b %s -t times -o s@1700000042000 -c 1 -f '%%s %%T\\n'; done", broker);
    shell("0 k=v\n1 k2=v2\n",
          "printf 'k=v\\nk2=v2\\n' | timeout 20 kcat -q -P -b %s -t keyed -K = -X api.version.request=true "
          "&& timeout 20 kcat -q -C -b %s -t keyed -e -f '%%o %%k=%%s\\n'",
          broker, broker);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codecs),   cmocka_unit_test(test_idempotent), cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_offsets),  cmocka_unit_test(test_long_poll),  cmocka_unit_test(test_admin),
        cmocka_unit_test(test_instance), cmocka_unit_test(test_kcat),
    };
#if defined(__SANITIZE_THREAD__)
    (void)tests, (void)argc, (void)argv;
    return 0; /* its runtime does not survive librdkafka's threads (thrd_create); wire_test.c drives the same door */
#else
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, setup, teardown);
#endif
}
