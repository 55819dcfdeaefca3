/*
 * kappa-produce: sends records to a Kafka door through librdkafka as fast as they are taken, and says how fast that
 * was. The same program measures kappa and a real broker, with the same settings.
 *
 * Records are `--bytes` of JSON each, numbered, not compressed; acks=all; librdkafka gathers them into batches of
 * `--batch-bytes`, one batch a request. A record that is not delivered is an error: the rate is that of durable or
 * acknowledged records, whatever the broker means by it.
 */
#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct options {
    const char *broker, *topic;
    long records, record_bytes, batch_bytes;
};

struct sent {
    long delivered, failed;
    char reason[256]; /* of the first failure */
};

static const long RECORDS_MAX = 10000000000; /* their numbers have ten digits */

static const char usage[] =
    "usage: kappa-produce --broker HOST:PORT --topic NAME [--records N] [--bytes N] [--batch-bytes N]\n"
    "\n"
    "  --records N      how many are sent, at most 10000000000 (1000000)\n"
    "  --bytes N        size of a record's value, at least 32 (247)\n"
    "  --batch-bytes N  most bytes of a batch and request (16384)\n"
    "\n"
    "Prints: records a second, megabytes a second, seconds. Exit status 1 if a record was not delivered.\n";

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static long number(const char *text)
{
    char *end;
    long value = strtol(text, &end, 10);
    return *text && !*end && value > 0 ? value : -1;
}

static bool asks_for_help(const char *name)
{
    return strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0;
}

static int take_options(int argc, char **argv, struct options *options)
{
    for (int i = 1; i < argc; i += 2) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(name, "--broker") == 0)
            options->broker = value;
        else if (strcmp(name, "--topic") == 0)
            options->topic = value;
        else if (strcmp(name, "--records") == 0)
            options->records = number(value);
        else if (strcmp(name, "--bytes") == 0)
            options->record_bytes = number(value);
        else if (strcmp(name, "--batch-bytes") == 0)
            options->batch_bytes = number(value);
        else
            return fprintf(stderr, "kappa-produce: unknown argument \"%s\"\n%s", name, usage), 2;
    }
    if (!options->broker || !options->topic || options->records < 0 || options->records > RECORDS_MAX ||
        options->record_bytes < 32 || options->batch_bytes < 0)
        return fputs(usage, stderr), 2;
    return 0;
}

static void delivered(rd_kafka_t *kafka, const rd_kafka_message_t *message, void *opaque)
{
    struct sent *sent = opaque;
    (void)kafka;
    if (!message->err) {
        sent->delivered++;
        return;
    }
    if (!sent->failed++)
        snprintf(sent->reason, sizeof sent->reason, "%s", rd_kafka_err2str(message->err));
}

static int set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char why[256];
    if (rd_kafka_conf_set(conf, name, value, why, sizeof why) == RD_KAFKA_CONF_OK)
        return 0;
    fprintf(stderr, "kappa-produce: %s\n", why);
    return 1;
}

static rd_kafka_t *open_producer(const struct options *options, struct sent *sent)
{
    char batch[32], request[32], why[256];
    snprintf(batch, sizeof batch, "%ld", options->batch_bytes);
    snprintf(request, sizeof request, "%ld", options->batch_bytes + options->record_bytes + 1000);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_opaque(conf, sent);
    rd_kafka_conf_set_dr_msg_cb(conf, delivered);
    if (set(conf, "bootstrap.servers", options->broker) || set(conf, "batch.size", batch) ||
        set(conf, "message.max.bytes", request) || set(conf, "batch.num.messages", "1000000") ||
        set(conf, "acks", "all") || set(conf, "linger.ms", "5") || set(conf, "queue.buffering.max.messages", "500000"))
        return NULL;
    rd_kafka_t *kafka = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    if (!kafka)
        fprintf(stderr, "kappa-produce: %s\n", why);
    return kafka;
}

/* Writes record i's value: JSON with its number. */
static void write_value(char *value, long bytes, long i)
{
    static const char head[] = "{\"n\":         0,\"x\":\"";
    memcpy(value, head, sizeof head - 1);
    for (char *digit = value + sizeof "{\"n\":         0" - 2; i; i /= 10)
        *digit-- = (char)('0' + i % 10);
    memset(value + sizeof head - 1, 'x', (size_t)bytes - sizeof head - 1);
    memcpy(value + bytes - 2, "\"}", 2);
}

/* Queues `count` records, waiting while the queue is full: those that found it so are given again. */
static int send_some(rd_kafka_topic_t *topic, rd_kafka_t *kafka, rd_kafka_message_t *messages, int count)
{
    while (count) {
        int left = 0, queued = rd_kafka_produce_batch(topic, 0, RD_KAFKA_MSG_F_COPY, messages, count);
        for (int i = 0; i < count && queued < count; i++) {
            rd_kafka_resp_err_t code = messages[i].err;
            if (code && code != RD_KAFKA_RESP_ERR__QUEUE_FULL)
                return fprintf(stderr, "kappa-produce: %s\n", rd_kafka_err2str(code)), 1;
            if (code)
                messages[left++] = (rd_kafka_message_t){.payload = messages[i].payload, .len = messages[i].len};
        }
        count = left;
        rd_kafka_poll(kafka, left ? 10 : 0);
    }
    return 0;
}

static int send_all(rd_kafka_t *kafka, const struct options *options)
{
    enum { TOGETHER = 500 };
    rd_kafka_topic_t *topic = rd_kafka_topic_new(kafka, options->topic, NULL);
    size_t bytes = (size_t)options->record_bytes;
    char *values = malloc(TOGETHER * bytes);
    int failed = !topic || !values;
    if (failed)
        fprintf(stderr, "kappa-produce: no memory for %d records of %zu bytes\n", TOGETHER, bytes);
    for (long sent = 0; sent < options->records && !failed;) {
        rd_kafka_message_t messages[TOGETHER] = {0};
        int count = (int)(options->records - sent < TOGETHER ? options->records - sent : TOGETHER);
        for (int i = 0; i < count; i++, sent++) {
            messages[i].payload = values + (size_t)i * bytes;
            messages[i].len = bytes;
            write_value(messages[i].payload, options->record_bytes, sent);
        }
        failed = send_some(topic, kafka, messages, count);
    }
    free(values);
    if (topic)
        rd_kafka_topic_destroy(topic);
    return failed;
}

int main(int argc, char **argv)
{
    struct options options = {.records = 1000000, .record_bytes = 247, .batch_bytes = 16384};
    struct sent sent = {0};
    if (argc == 2 && asks_for_help(argv[1]))
        return fputs(usage, stdout), 0;
    int status = take_options(argc, argv, &options);
    if (status)
        return status;
    rd_kafka_t *kafka = open_producer(&options, &sent);
    if (!kafka)
        return 1;
    double began = seconds();
    status = send_all(kafka, &options);
    if (!status)
        rd_kafka_flush(kafka, 600000);
    double took = seconds() - began;
    rd_kafka_purge(kafka, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_flush(kafka, 1000);
    rd_kafka_destroy(kafka);
    if (sent.delivered != options.records) {
        fprintf(stderr, "kappa-produce: %ld of %ld records were delivered%s%s\n", sent.delivered, options.records,
                sent.failed ? ": " : "", sent.reason);
        return 1;
    }
    printf("%.0f records/s, %.1f MB/s, %.3f s\n", (double)options.records / took,
           (double)options.records * (double)options.record_bytes / took / 1e6, took);
    return status;
}
