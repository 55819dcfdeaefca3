/*
 * The Kafka door with real clients: librdkafka in this process, kcat beside it, and bytes by hand for what neither
 * would send. The door stands on a log alone, in a fresh folder, on a free port.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <librdkafka/rdkafka.h>

#include "base/hash.h"
#include "log/record_batch.h"
#include "os/socket.h"
#include "serve/kafka/door.h"
#include "serve/kafka/kafka.h"

static char dir[64], broker[KP_ADDRESS_TEXT_BYTES];
static struct kp_log *the_log;
static struct kp_net *net;
static struct kp_door door;
static struct kp_address bound;

static enum kp_code start_on_log(struct kp_net *of, void *host, const struct kp_address *at, void **ret_ctx,
                                 struct kp_error *err)
{
    *ret_ctx = kp_kafka_create(of, host, NULL);
    return KP_OK;
}

static int setup(void **state)
{
    struct kp_error err;
    struct kp_address address;
    snprintf(dir, sizeof dir, "/tmp/kappa-kafka-XXXXXX");
    assert_non_null(mkdtemp(dir));
    struct kp_log_options options = {.os = kp_os_real(), .dir = dir};
    assert_int_equal(kp_log_open(&options, &the_log, &err), KP_OK);
    assert_int_equal(kp_address_parse("127.0.0.1:0", &address, &err), KP_OK);
    assert_int_equal(kp_net_create(NULL, &net, &err), KP_OK);
    door = kp_kafka_door_with(start_on_log);
    assert_int_equal(kp_net_listen(net, &door, the_log, &address, &bound, &err), KP_OK);
    kp_net_start(net);
    kp_address_print(&bound, broker);
    return 0;
}

static int teardown(void **state)
{
    char command[128];
    kp_net_destroy(net);
    kp_log_close(the_log);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

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

static void create_topic(const char *name, int partitions)
{
    uint32_t id;
    struct kp_error err;
    assert_int_equal(kp_log_topic_create(the_log, name, (uint32_t)partitions, &id, &err), KP_OK);
}

/* Assigns all partitions from an offset (or a RD_KAFKA_OFFSET_…). */
static rd_kafka_t *consumer(const char *topic, int partitions, int64_t offset)
{
    rd_kafka_t *rk = client(RD_KAFKA_CONSUMER, "group.id", "g", "enable.auto.commit", "false", "check.crcs", "true",
                            "fetch.message.max.bytes", "2000000", "enable.partition.eof", "false", NULL);
    rd_kafka_poll_set_consumer(rk);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);
    for (int p = 0; p < partitions; p++)
        rd_kafka_topic_partition_list_add(list, topic, p)->offset = offset;
    assert_int_equal(rd_kafka_assign(rk, list), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_topic_partition_list_destroy(list);
    return rk;
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
    rd_kafka_t *rk = consumer("poll", 1, RD_KAFKA_OFFSET_BEGINNING);
    assert_null(next_message(rk, 700));
    for (int i = 0; i < 3; i++) {
        rd_kafka_t *from = producer(NULL, NULL);
        struct delivery delivery = {0};
        rd_kafka_producev(from, RD_KAFKA_V_TOPIC("poll"), RD_KAFKA_V_VALUE("x", 1), RD_KAFKA_V_OPAQUE(&delivery),
                          RD_KAFKA_V_END);
        rd_kafka_flush(from, 5000);
        int64_t begin_ns = kp_os_real()->mono_ns(NULL);
        rd_kafka_message_t *message = next_message(rk, 2000);
        assert_non_null(message);
        assert_true(kp_os_real()->mono_ns(NULL) - begin_ns < 300000000);
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

/* ---- bytes by hand ---- */

static int dial(void)
{
    struct kp_error err;
    int fd;
    assert_int_equal(kp_socket_connect(&bound, 5000000, &fd, &err), KP_OK);
    return fd;
}

static void send_all(int fd, const void *bytes, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t n = kp_socket_write(fd, (const char *)bytes + at, len - at);
        if (n == KP_SOCKET_AGAIN)
            kp_socket_wait(fd, KP_POLL_WRITE, 5000000);
        else if (n < 0)
            return; /* it has hung up: what it says is read later */
        else
            at += (size_t)n;
    }
}

/* Reads len bytes; false at the end of the stream. */
static bool receive(int fd, void *bytes, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t n = kp_socket_read(fd, (char *)bytes + at, len - at);
        if (n == 0 || n == KP_SOCKET_FAILED)
            return false;
        if (n == KP_SOCKET_AGAIN && !kp_socket_wait(fd, KP_POLL_READ, 5000000))
            fail_msg("no answer within 5 s");
        at += n > 0 ? (size_t)n : 0;
    }
    return true;
}

struct call {
    struct kp_buf buf;
    struct kp_kafka_writer out;
    struct kp_kafka_reader in;
    uint8_t *answer;
};

static void call_begin(struct call *call, int16_t key, int16_t version)
{
    memset(call, 0, sizeof *call);
    call->out.out = &call->buf;
    kp_kafka_put_i32(&call->out, 0);
    kp_kafka_put_i16(&call->out, key);
    kp_kafka_put_i16(&call->out, version);
    kp_kafka_put_i32(&call->out, 77);
    kp_kafka_put_text(&call->out, "test");
}

static void call_send(struct call *call, int fd)
{
    uint32_t size = __builtin_bswap32((uint32_t)call->buf.len - 4);
    memcpy(call->buf.data, &size, 4);
    send_all(fd, call->buf.data, call->buf.len);
    kp_buf_finish(&call->buf);
}

/* False: the connection was closed instead. */
static bool call_answer(struct call *call, int fd)
{
    uint32_t size;
    if (!receive(fd, &size, 4))
        return false;
    size = __builtin_bswap32(size);
    call->answer = malloc(size);
    assert_true(receive(fd, call->answer, size));
    call->in = (struct kp_kafka_reader){.at = call->answer, .end = call->answer + size};
    assert_int_equal(kp_kafka_get_i32(&call->in), 77);
    return true;
}

static void call_end(struct call *call)
{
    assert_false(call->in.bad);
    assert_ptr_equal(call->in.at, call->in.end);
    free(call->answer);
}

static void test_versions(void **state)
{
    struct call call;
    int fd = dial();
    call_begin(&call, 18, 99); /* newer than we know, and a body that we cannot read */
    kp_buf_append_text(&call.buf, "whatever");
    call_send(&call, fd);
    assert_true(call_answer(&call, fd));
    assert_int_equal(kp_kafka_get_i16(&call.in), KP_KAFKA_UNSUPPORTED_VERSION);
    int32_t count = kp_kafka_get_array(&call.in, 6);
    size_t known;
    const struct kp_kafka_api *apis = kp_kafka_apis(&known);
    assert_int_equal(count, known);
    for (int32_t i = 0; i < count; i++) {
        assert_int_equal(kp_kafka_get_i16(&call.in), apis[i].key);
        assert_int_equal(kp_kafka_get_i16(&call.in), apis[i].version_min);
        assert_int_equal(kp_kafka_get_i16(&call.in), apis[i].version_max);
    }
    call_end(&call);
    call_begin(&call, 18, 0); /* and the connection lives on */
    call_send(&call, fd);
    assert_true(call_answer(&call, fd));
    free(call.answer);
    call_begin(&call, 0, 99); /* no other message has an answer for that */
    call_send(&call, fd);
    assert_false(call_answer(&call, fd));
    kp_socket_close(fd);
}

static void put_produce(struct call *call, int16_t version, const char *topic, const void *records, size_t len,
                        int16_t acks)
{
    call_begin(call, 0, version);
    if (version >= 3)
        kp_kafka_put_text(&call->out, NULL);
    kp_kafka_put_i16(&call->out, acks);
    kp_kafka_put_i32(&call->out, 1000);
    kp_kafka_put_array(&call->out, 1);
    kp_kafka_put_text(&call->out, topic);
    kp_kafka_put_array(&call->out, 1);
    kp_kafka_put_i32(&call->out, 0);
    kp_kafka_put_i32(&call->out, (int32_t)len);
    kp_buf_append(&call->buf, records, len);
}

/* The error; the offset too. */
static int16_t get_produce(struct call *call, int16_t version, int64_t *ret_offset)
{
    assert_int_equal(kp_kafka_get_array(&call->in, 1), 1);
    kp_kafka_get_string(&call->in);
    assert_int_equal(kp_kafka_get_array(&call->in, 1), 1);
    assert_int_equal(kp_kafka_get_i32(&call->in), 0);
    int16_t error = kp_kafka_get_i16(&call->in);
    *ret_offset = kp_kafka_get_i64(&call->in);
    if (version >= 2)
        kp_kafka_get_i64(&call->in);
    if (version >= 5)
        kp_kafka_get_i64(&call->in);
    if (version >= 1)
        kp_kafka_get_i32(&call->in);
    call_end(call);
    return error;
}

static int16_t produce_raw(int fd, int16_t version, const char *topic, const void *records, size_t len,
                           int64_t *ret_offset)
{
    struct call call;
    put_produce(&call, version, topic, records, len, 1);
    call_send(&call, fd);
    assert_true(call_answer(&call, fd));
    return get_produce(&call, version, ret_offset);
}

static void put_fetch(struct call *call, int16_t version, const char *topic, int64_t offset, int32_t wait_ms,
                      int32_t min_bytes)
{
    call_begin(call, 1, version);
    kp_kafka_put_i32(&call->out, -1);
    kp_kafka_put_i32(&call->out, wait_ms);
    kp_kafka_put_i32(&call->out, min_bytes);
    if (version >= 3)
        kp_kafka_put_i32(&call->out, 1 << 20);
    if (version >= 4)
        kp_kafka_put_i8(&call->out, 0);
    kp_kafka_put_array(&call->out, 1);
    kp_kafka_put_text(&call->out, topic);
    kp_kafka_put_array(&call->out, 1);
    kp_kafka_put_i32(&call->out, 0);
    kp_kafka_put_i64(&call->out, offset);
    kp_kafka_put_i32(&call->out, 1 << 20);
}

static struct kp_str get_fetch(struct call *call, int16_t version, int16_t *ret_error)
{
    if (version >= 1)
        kp_kafka_get_i32(&call->in);
    assert_int_equal(kp_kafka_get_array(&call->in, 1), 1);
    kp_kafka_get_string(&call->in);
    assert_int_equal(kp_kafka_get_array(&call->in, 1), 1);
    kp_kafka_get_i32(&call->in);
    *ret_error = kp_kafka_get_i16(&call->in);
    kp_kafka_get_i64(&call->in);
    if (version >= 4) {
        kp_kafka_get_i64(&call->in);
        kp_kafka_get_i32(&call->in);
    }
    return kp_kafka_get_bytes(&call->in);
}

/* A batch of one record. */
static void make_batch(struct kp_buf *out, const char *value, enum kp_codec codec)
{
    struct kp_record_batch_builder builder = {0};
    struct kp_error err;
    kp_record_batch_add(&builder, 5000, KP_STR("key"), kp_str(value), (struct kp_str){NULL, 0});
    assert_int_equal(kp_record_batch_build(&builder, codec, out, &err), KP_OK);
    kp_record_batch_builder_finish(&builder);
}

static void fix_crc(struct kp_buf *batch)
{
    uint32_t crc = __builtin_bswap32(kp_crc32c(0, batch->data + 21, batch->len - 21));
    memcpy(batch->data + 17, &crc, 4);
}

static void test_bad_batches(void **state)
{
    create_topic("raw", 1);
    int fd = dial();
    int64_t offset;
    struct kp_buf batch = {0};
    make_batch(&batch, "hello hello hello", KP_CODEC_GZIP);
    assert_int_equal(produce_raw(fd, 3, "raw", batch.data, batch.len, &offset), 0);
    assert_int_equal(offset, 0);
    batch.data[batch.len - 1] ^= 1;
    assert_int_equal(produce_raw(fd, 3, "raw", batch.data, batch.len, &offset), KP_KAFKA_CORRUPT_MESSAGE);
    assert_int_equal(offset, -1);
    fix_crc(&batch); /* now it is gzip that does not unpack */
    assert_int_equal(produce_raw(fd, 3, "raw", batch.data, batch.len, &offset), KP_KAFKA_INVALID_RECORD);
    assert_int_equal(produce_raw(fd, 3, "raw", batch.data, 30, &offset), KP_KAFKA_CORRUPT_MESSAGE);
    assert_int_equal(produce_raw(fd, 3, "nowhere", batch.data, batch.len, &offset),
                     KP_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    batch.len = 0;
    make_batch(&batch, "again", KP_CODEC_NONE);
    batch.data[22] |= 0x10; /* transactional */
    fix_crc(&batch);
    assert_int_equal(produce_raw(fd, 3, "raw", batch.data, batch.len, &offset), KP_KAFKA_INVALID_TXN_STATE);
    batch.data[22] = 0x08; /* says the log gave the time */
    fix_crc(&batch);
    assert_int_equal(produce_raw(fd, 3, "raw", batch.data, batch.len, &offset), KP_KAFKA_INVALID_TIMESTAMP);
    batch.data[22] = 0;
    fix_crc(&batch);
    assert_int_equal(produce_raw(fd, 7, "raw", batch.data, batch.len, &offset), 0);
    assert_int_equal(offset, 1);
    /* acks 0: no answer; the next one comes behind it */
    struct call call;
    put_produce(&call, 3, "raw", batch.data, batch.len, 0);
    call_send(&call, fd);
    assert_int_equal(produce_raw(fd, 3, "raw", batch.data, batch.len, &offset), 0);
    assert_int_equal(offset, 3);
    kp_buf_finish(&batch);
    kp_socket_close(fd);
}

static void put_sequence(struct kp_buf *batch, int64_t producer_id, int16_t epoch, int32_t sequence)
{
    uint64_t id = __builtin_bswap64((uint64_t)producer_id);
    uint16_t e = __builtin_bswap16((uint16_t)epoch);
    uint32_t s = __builtin_bswap32((uint32_t)sequence);
    memcpy(batch->data + 43, &id, 8);
    memcpy(batch->data + 51, &e, 2);
    memcpy(batch->data + 53, &s, 4);
    fix_crc(batch);
}

static void test_sequences(void **state)
{
    create_topic("once", 1);
    int fd = dial();
    int64_t offset;
    struct kp_buf batch = {0};
    make_batch(&batch, "only once", KP_CODEC_NONE);
    for (int32_t i = 0; i < 8; i++) {
        put_sequence(&batch, 4711, 0, i);
        for (int again = 0; again < 2; again++) {
            assert_int_equal(produce_raw(fd, 3, "once", batch.data, batch.len, &offset), 0);
            assert_int_equal(offset, i);
        }
    }
    put_sequence(&batch, 4711, 0, 9);
    assert_int_equal(produce_raw(fd, 3, "once", batch.data, batch.len, &offset), KP_KAFKA_OUT_OF_ORDER_SEQUENCE);
    put_sequence(&batch, 4711, 0, 5); /* one of the last five */
    assert_int_equal(produce_raw(fd, 3, "once", batch.data, batch.len, &offset), 0);
    assert_int_equal(offset, 5);
    put_sequence(&batch, 4711, 1, 0); /* its next life */
    assert_int_equal(produce_raw(fd, 3, "once", batch.data, batch.len, &offset), 0);
    assert_int_equal(offset, 8);
    put_sequence(&batch, 4711, 0, 8);
    assert_int_equal(produce_raw(fd, 3, "once", batch.data, batch.len, &offset), KP_KAFKA_INVALID_PRODUCER_EPOCH);
    kp_buf_finish(&batch);
    kp_socket_close(fd);
}

/* What old producers send, old consumers and new ones read. */
static void test_message_sets(void **state)
{
    create_topic("old", 1);
    int fd = dial();
    for (int16_t version = 0; version <= 3; version++) {
        struct kp_buf set = {0};
        struct call call;
        int64_t offset;
        int16_t error;
        /* made by the code that answers old fetches, from a batch */
        struct kp_buf batch = {0};
        make_batch(&batch, "from long ago", KP_CODEC_ZSTD);
        assert_int_equal(produce_raw(fd, 3, "old", batch.data, batch.len, &offset), 0);
        put_fetch(&call, version, "old", offset, 0, 1);
        call_send(&call, fd);
        assert_true(call_answer(&call, fd));
        struct kp_str records = get_fetch(&call, version, &error);
        assert_int_equal(error, 0);
        assert_true(records.len > 26);
        assert_int_equal(records.ptr[16], version >= 2 ? 1 : 0);
        assert_int_equal(kp_load_be64(records.ptr), offset);
        kp_buf_append(&set, records.ptr, records.len);
        call_end(&call);
        if (version < 3) {
            int64_t again;
            assert_int_equal(produce_raw(fd, version, "old", set.data, set.len, &again), 0);
            assert_int_equal(again, offset + 1);
            put_fetch(&call, 4, "old", again, 0, 1);
            call_send(&call, fd);
            assert_true(call_answer(&call, fd));
            records = get_fetch(&call, 4, &error);
            struct kp_arena arena = {0};
            struct kp_record_reader reader;
            struct kp_record record;
            struct kp_error err;
            assert_int_equal(kp_record_reader_init(&reader, (const uint8_t *)records.ptr, records.len, &arena, &err),
                             KP_OK);
            assert_true(kp_record_reader_next(&reader, &record, &err));
            assert_true(kp_str_equal(record.value, KP_STR("from long ago")));
            assert_true(kp_str_equal(record.key, KP_STR("key")));
            kp_arena_finish(&arena);
            call_end(&call);
            set.data[set.len - 1] ^= 1;
            assert_int_equal(produce_raw(fd, version, "old", set.data, set.len, &again), KP_KAFKA_CORRUPT_MESSAGE);
        }
        kp_buf_finish(&set);
        kp_buf_finish(&batch);
    }
    kp_socket_close(fd);
}

/* Fetches that wait, with other requests behind them and appends before them, answered in order. */
static void test_waiting(void **state)
{
    create_topic("wait", 1);
    struct call call, behind;
    int16_t error;
    int64_t offset, begin_ns = kp_os_real()->mono_ns(NULL);
    int fd = dial(), other = dial();
    put_fetch(&call, 4, "wait", 0, 300, 1);
    call_send(&call, fd);
    call_begin(&behind, 18, 0);
    call_send(&behind, fd);
    assert_true(call_answer(&call, fd));
    assert_int_equal(get_fetch(&call, 4, &error).len, 0);
    assert_true(kp_os_real()->mono_ns(NULL) - begin_ns >= 290000000);
    call_end(&call);
    assert_true(call_answer(&behind, fd));
    free(behind.answer);

    put_fetch(&call, 4, "wait", 0, 20000, 200); /* the first record is not enough */
    call_send(&call, fd);
    struct kp_buf batch = {0};
    make_batch(&batch, "0123456789012345678901234567890123456789", KP_CODEC_NONE);
    assert_true(batch.len < 200 && 2 * batch.len >= 200);
    assert_int_equal(produce_raw(other, 3, "wait", batch.data, batch.len, &offset), 0);
    assert_int_equal(kp_socket_wait(fd, KP_POLL_READ, 100000), 0);
    assert_int_equal(produce_raw(other, 3, "wait", batch.data, batch.len, &offset), 0);
    assert_true(call_answer(&call, fd));
    assert_int_equal(get_fetch(&call, 4, &error).len, 2 * batch.len);
    call_end(&call);

    put_fetch(&call, 4, "wait", 99, 20000, 1); /* beyond the end: an error, and no wait */
    call_send(&call, fd);
    assert_true(call_answer(&call, fd));
    get_fetch(&call, 4, &error);
    assert_int_equal(error, KP_KAFKA_OFFSET_OUT_OF_RANGE);
    call_end(&call);

    for (int i = 0; i < 50; i++) { /* many appends under way at once, and a fetch behind them */
        put_produce(&call, 3, "wait", batch.data, batch.len, -1);
        call_send(&call, fd);
    }
    put_fetch(&call, 4, "wait", 0, 0, 1);
    call_send(&call, fd);
    for (int i = 0; i < 50; i++) {
        assert_true(call_answer(&call, fd));
        assert_int_equal(get_produce(&call, 3, &offset), 0);
        assert_int_equal(offset, 2 + i);
    }
    assert_true(call_answer(&call, fd));
    free(call.answer);
    put_fetch(&call, 4, "wait", offset + 1, 20000, 1); /* who waits and goes away */
    call_send(&call, fd);
    kp_socket_close(fd);
    assert_int_equal(produce_raw(other, 3, "wait", batch.data, batch.len, &offset), 0);
    kp_socket_close(other);
    kp_buf_finish(&batch);
}

/* Nonsense closes its connection and touches no other. */
static void test_nonsense(void **state)
{
    uint64_t random = 42;
    int good = dial();
    struct call call;
    for (int i = 0; i < 300; i++) {
        int fd = dial();
        uint8_t bytes[256];
        for (size_t k = 0; k < sizeof bytes; k++)
            bytes[k] = (uint8_t)((random = random * 6364136223846793005u + 1) >> 56);
        uint32_t size = i % 3 == 0 ? 0x7fffffff : sizeof bytes - 4;
        size = __builtin_bswap32(size);
        memcpy(bytes, &size, 4);
        if (i % 3) {
            bytes[4] = 0;
            bytes[5] = (uint8_t[]){0, 1, 2, 3, 18, 19, 20, 22}[i % 8];
            bytes[6] = 0;
            bytes[7] = (uint8_t)(i % 5);
        }
        send_all(fd, bytes, sizeof bytes);
        kp_socket_shutdown_write(fd);
        uint8_t byte;
        while (receive(fd, &byte, 1))
            ;
        kp_socket_close(fd);
    }
    call_begin(&call, 18, 0);
    call_send(&call, good);
    assert_true(call_answer(&call, good));
    free(call.answer);
    kp_socket_close(good);
}

static void test_document(void **state)
{
    struct kp_buf page = {0};
    kp_kafka_document(&page);
    kp_buf_append_byte(&page, 0);
    size_t count;
    const struct kp_kafka_api *apis = kp_kafka_apis(&count);
    for (size_t i = 0; i < count; i++) {
        assert_non_null(strstr((char *)page.data, apis[i].name));
        assert_true(i == 0 || apis[i].key > apis[i - 1].key);
        assert_true(apis[i].version_min == 0); /* from 0, or old librdkafka takes features away */
    }
    FILE *file = fopen("docs/KAFKA.md", "r");
    if (!file)
        fail_msg("docs/KAFKA.md is missing: `kappa help kafka` prints it");
    char *kept = calloc(1, page.len + 1);
    size_t len = fread(kept, 1, page.len, file);
    fclose(file);
    assert_int_equal(len, page.len - 1);
    assert_string_equal(kept, (char *)page.data);
    free(kept);
    kp_buf_finish(&page);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_document),  cmocka_unit_test(test_versions),     cmocka_unit_test(test_bad_batches),
        cmocka_unit_test(test_sequences), cmocka_unit_test(test_message_sets), cmocka_unit_test(test_waiting),
        cmocka_unit_test(test_nonsense),  cmocka_unit_test(test_codecs),       cmocka_unit_test(test_idempotent),
        cmocka_unit_test(test_sizes),     cmocka_unit_test(test_offsets),      cmocka_unit_test(test_long_poll),
        cmocka_unit_test(test_admin),     cmocka_unit_test(test_kcat),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, setup, teardown);
}
