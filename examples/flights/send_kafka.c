/* Events through the Kafka protocol, with librdkafka as any producer would: acknowledged by all, idempotence left off.
 */
#include "flights.h"

#include <librdkafka/rdkafka.h>
#include <stdatomic.h>
#include <stdio.h>

struct kafka {
    rd_kafka_t *producer;
    uint64_t sent, failed;
    char reason[256]; /* of the first failure */
};

static void delivered(rd_kafka_t *producer, const rd_kafka_message_t *message, void *opaque)
{
    struct kafka *kafka = opaque;
    if (message->err && kafka->failed++ == 0)
        snprintf(kafka->reason, sizeof kafka->reason, "topic %s: %s", rd_kafka_topic_name(message->rkt),
                 rd_kafka_err2str(message->err));
}

static enum kp_code check(struct kafka *kafka, struct kp_error *err)
{
    if (!kafka->failed)
        return KP_OK;
    return kp_fail(err, KP_IO, NULL, "%llu events were not accepted; the first: %s", (unsigned long long)kafka->failed,
                   kafka->reason);
}

static enum kp_code send_event(void *state, enum kind kind, struct kp_str key, struct kp_str value,
                               struct kp_error *err)
{
    struct kafka *kafka = state;
    if ((++kafka->sent & 255) == 0)
        rd_kafka_poll(kafka->producer, 0); /* runs `delivered` */
    KP_TRY(check(kafka, err));
    for (;;) {
        rd_kafka_resp_err_t failed = rd_kafka_producev(
            kafka->producer, RD_KAFKA_V_TOPIC(topic_names[kind]), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
            RD_KAFKA_V_KEY(key.len ? key.ptr : NULL, key.len),
            RD_KAFKA_V_VALUE((void *)(uintptr_t)(value.len ? value.ptr : NULL), value.len), RD_KAFKA_V_END);
        if (failed == RD_KAFKA_RESP_ERR_NO_ERROR)
            break;
        if (failed != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            return kp_fail(err, KP_IO, NULL, "cannot send to topic %s: %s", topic_names[kind],
                           rd_kafka_err2str(failed));
        rd_kafka_poll(kafka->producer, 100); /* the server is slower than we are: wait for it */
        KP_TRY(check(kafka, err));
    }
    return KP_OK;
}

static enum kp_code flush(void *state, bool wait, struct kp_error *err)
{
    struct kafka *kafka = state;
    rd_kafka_poll(kafka->producer, 0);
    for (int i = 0; wait && rd_kafka_outq_len(kafka->producer) > 0; i++) {
        rd_kafka_flush(kafka->producer, 1000);
        KP_TRY(check(kafka, err));
        if (i >= 120)
            return kp_fail(err, KP_IO, NULL, "%d events are still not acknowledged after two minutes",
                           rd_kafka_outq_len(kafka->producer));
    }
    return check(kafka, err);
}

static void close_kafka(void *state)
{
    struct kafka *kafka = state;
    rd_kafka_destroy(kafka->producer);
    kp_free(kafka);
}

static void quiet(const rd_kafka_t *producer, int level, const char *facility, const char *text)
{
    if (level <= 3)
        fprintf(stderr, "kappa-flights: %s: %s\n", facility, text);
}

enum kp_code send_kafka_open(const char *address, struct sender *ret_sender, struct kp_error *err)
{
    static const char *const settings[][2] = {
        {"acks", "all"},
        {"linger.ms", "5"},
        {"queue.buffering.max.messages", "200000"},
        {"message.timeout.ms", "60000"},
        {"client.id", "kappa-flights"},
    };
    struct kafka *kafka = kp_calloc(1, sizeof *kafka);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char reason[512] = "";
    bool bad = rd_kafka_conf_set(conf, "bootstrap.servers", address, reason, sizeof reason) != RD_KAFKA_CONF_OK;
    for (size_t i = 0; i < KP_COUNT(settings); i++)
        bad = bad || rd_kafka_conf_set(conf, settings[i][0], settings[i][1], reason, sizeof reason) != RD_KAFKA_CONF_OK;
    rd_kafka_conf_set_dr_msg_cb(conf, delivered);
    rd_kafka_conf_set_log_cb(conf, quiet);
    rd_kafka_conf_set_opaque(conf, kafka);
    kafka->producer = bad ? NULL : rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof reason);
    if (!kafka->producer) {
        rd_kafka_conf_destroy(conf);
        kp_free(kafka);
        return kp_fail(err, KP_IO, NULL, "cannot start a Kafka producer: %s", reason);
    }
    const struct rd_kafka_metadata *metadata;
    rd_kafka_resp_err_t failed = rd_kafka_metadata(kafka->producer, 0, NULL, &metadata, 10000);
    if (failed) {
        close_kafka(kafka);
        kp_fail(err, KP_IO, NULL, "no Kafka protocol at %s: %s", address, rd_kafka_err2str(failed));
        return kp_error_hint(err, "`kappa server` prints its address in the line \"ready … kafka=…\".");
    }
    rd_kafka_metadata_destroy(metadata);
    *ret_sender = (struct sender){.state = kafka, .send = send_event, .flush = flush, .close = close_kafka};
    return KP_OK;
}
