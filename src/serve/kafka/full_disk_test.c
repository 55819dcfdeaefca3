/*
 * An idempotent producer on a full disk: what was acknowledged is there once, at the offset that was told. Others
 * append meanwhile, so that the log's end passes where refused batches would have been.
 */
#include "serve/kafka/fixture.h"

#include <librdkafka/rdkafka.h>
#include <stdatomic.h>

enum { MESSAGES = 6000, BYTES = 4000, SMALL = 100 };

static _Atomic bool full;
static _Atomic unsigned refusals;
static int64_t told[MESSAGES]; /* offset of each message + 1; 0: not acknowledged */
static int acknowledged;

static enum kp_code allocate(void *ctx, struct kp_file *file, uint64_t offset, uint64_t len, struct kp_error *err)
{
    if (!atomic_load(&full))
        return kp_os_real()->allocate(ctx, file, offset, len, err);
    atomic_fetch_add(&refusals, 1);
    return kp_fail(err, KP_FULL, NULL, "the disk is full, as the test wants it");
}

static int setup_full(void **state)
{
    static struct kp_os os;
    os = *kp_os_real();
    os.allocate = allocate;
    the_os = &os;
    return setup(state);
}

static void delivered(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    int number;
    if (message->err)
        fail_msg("a message is lost: %s", rd_kafka_err2str(message->err));
    assert_int_equal(sscanf(message->payload, "%d ", &number), 1);
    assert_int_equal(told[number], 0);
    told[number] = message->offset + 1;
    acknowledged++;
}

static rd_kafka_t *client(rd_kafka_type_t type, const char *name, const char *value)
{
    char why[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    assert_int_equal(rd_kafka_conf_set(conf, "bootstrap.servers", broker, why, sizeof why), RD_KAFKA_CONF_OK);
    assert_int_equal(rd_kafka_conf_set(conf, name, value, why, sizeof why), RD_KAFKA_CONF_OK);
    if (type == RD_KAFKA_PRODUCER)
        rd_kafka_conf_set_dr_msg_cb(conf, delivered);
    else
        (void)rd_kafka_conf_set(conf, "enable.auto.commit", "false", why, sizeof why);
    rd_kafka_t *rk = rd_kafka_new(type, conf, why, sizeof why);
    assert_non_null(rk);
    return rk;
}

/* Appends what is small beside; most of it finds room, as a file's rest is large enough for it. */
static void append_beside(struct kp_log_entry *entry)
{
    struct kp_error err;
    int64_t position;
    enum kp_code code = kp_log_append(the_log, entry, 1, &position, &err);
    assert_true(code == KP_OK || code == KP_FULL);
}

static void produce(rd_kafka_t *rk, int number)
{
    char value[BYTES];
    int head = snprintf(value, sizeof value, "%d ", number);
    memset(value + head, 'x', sizeof value - (size_t)head);
    while (rd_kafka_producev(rk, RD_KAFKA_V_TOPIC("much"), RD_KAFKA_V_PARTITION(0),
                             RD_KAFKA_V_VALUE(value, sizeof value), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                             RD_KAFKA_V_END) != RD_KAFKA_RESP_ERR_NO_ERROR)
        rd_kafka_poll(rk, 10);
}

static void check_told(void)
{
    static bool seen[MESSAGES];
    rd_kafka_t *rk = client(RD_KAFKA_CONSUMER, "group.id", "g");
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_poll_set_consumer(rk);
    rd_kafka_topic_partition_list_add(list, "much", 0)->offset = 0;
    assert_int_equal(rd_kafka_assign(rk, list), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_topic_partition_list_destroy(list);
    for (int i = 0; i < MESSAGES; i++) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(rk, 30000);
        int number;
        assert_non_null(message);
        assert_int_equal(message->err, RD_KAFKA_RESP_ERR_NO_ERROR);
        assert_int_equal(sscanf(message->payload, "%d ", &number), 1);
        assert_int_equal(message->offset, i);
        assert_int_equal(number, i); /* idempotence keeps the order, too */
        assert_int_equal(told[number], i + 1);
        assert_false(seen[number]);
        seen[number] = true;
        rd_kafka_message_destroy(message);
    }
    assert_null(rd_kafka_consumer_poll(rk, 500));
    rd_kafka_consumer_close(rk);
    rd_kafka_destroy(rk);
}

static void test_full_disk(void **state)
{
    struct kp_record_batch_builder builder = {0};
    struct kp_buf batch = {0};
    uint32_t topic;
    struct kp_error err;
    create_topic("much", 1);
    assert_int_equal(kp_log_topic_create(the_log, "small", 1, &topic, &err), KP_OK);
    kp_record_batch_add(&builder, 0, (struct kp_str){0}, KP_STR("small"), (struct kp_str){0});
    assert_int_equal(kp_record_batch_build(&builder, KP_CODEC_NONE, &batch, &err), KP_OK);
    kp_record_batch_builder_finish(&builder);
    struct kp_log_entry beside = {.topic = topic, .batch = batch.data, .bytes = batch.len, .trusted = true};
    rd_kafka_t *rk = client(RD_KAFKA_PRODUCER, "enable.idempotence", "true");
    atomic_store(&full, true); /* there is a first file, and no next one */
    for (int i = 0; i < MESSAGES; i++) {
        produce(rk, i);
        if (i % 50 == 0)
            append_beside(&beside);
    }
    for (int i = 0; i < SMALL; i++) {
        rd_kafka_poll(rk, 20);
        append_beside(&beside);
    }
    assert_true(atomic_load(&refusals) > 0);
    assert_in_range(acknowledged, 1, MESSAGES - 1);
    struct kp_log_sealed sealed;
    kp_log_sealed(the_log, &sealed);
    assert_true(sealed.refusals > 0);
    atomic_store(&full, false);
    for (int i = 0; i < 600 && acknowledged < MESSAGES; i++) {
        append_beside(&beside);
        (void)rd_kafka_flush(rk, 100);
    }
    assert_int_equal(acknowledged, MESSAGES);
    rd_kafka_destroy(rk);
    check_told();
    kp_buf_finish(&batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(test_full_disk, setup_full, teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
