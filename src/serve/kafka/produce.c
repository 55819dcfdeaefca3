/*
 * Produce: record batches into the log. All batches of one request go in as one group; if one of them is bad, each goes
 * alone and has its own error. The answer is due when the log has synced (door.c).
 *
 * Request   v3 transactional id | acks, timeout | [name, [partition, records]]
 * Answer    [name, [partition, error, offset, v2 time, v5 log start, v8 [batch, message] and message]] | v1 throttle
 */
#include "serve/kafka/api.h"
#include "serve/kafka/message_set.h"
#include "serve/kafka/producer_id.h"

enum { VERSION_BATCHES = 3, MAGIC_AT = 16 };

struct part {
    int32_t partition;
    struct kp_str records;
    struct kp_log_entry entry;
    struct kp_record_batch_info info;
    struct kp_buf converted;
    struct kp_producer_turn turn;
    enum kp_kafka_error error;
    const char *message; /* arena; NULL: none */
    bool appended;       /* its outcome is the log's to say */
};
struct topic {
    struct kp_str name;
    struct part *parts;
    int32_t count;
};
struct produce {
    struct kp_kafka_request *request;
    struct topic *topics;
    int32_t count;
    int16_t acks;
};

/* ---- parse ---- */

static bool parse(struct produce *produce)
{
    struct kp_kafka_request *request = produce->request;
    struct kp_kafka_reader *in = &request->in;
    bool transactional = request->version >= VERSION_BATCHES && kp_kafka_get_string(in).ptr;
    produce->acks = kp_kafka_get_i16(in);
    kp_kafka_get_i32(in); /* timeout: a sync takes what it takes */
    int32_t topics = kp_kafka_get_array(in, 6);
    if (topics > KP_KAFKA_NAMES_MAX)
        return false;
    produce->count = KP_MAX(topics, 0);
    produce->topics = kp_arena_calloc(request->arena, (size_t)produce->count * sizeof *produce->topics);
    for (int32_t t = 0; t < produce->count && !in->bad; t++) {
        struct topic *topic = &produce->topics[t];
        topic->name = kp_kafka_get_string(in);
        int32_t count = kp_kafka_get_array(in, 5);
        if (in->bad || count > KP_PARTITIONS_MAX)
            return false;
        topic->count = KP_MAX(count, 0);
        topic->parts = kp_arena_calloc(request->arena, (size_t)topic->count * sizeof *topic->parts);
        for (int32_t p = 0; p < topic->count; p++) {
            topic->parts[p].partition = kp_kafka_get_i32(in);
            topic->parts[p].records = kp_kafka_get_bytes(in);
            kp_kafka_get_tags(in);
            if (transactional)
                topic->parts[p].error = KP_KAFKA_INVALID_TXN_STATE;
        }
        kp_kafka_get_tags(in);
    }
    kp_kafka_get_tags(in);
    return !in->bad;
}

/* ---- one partition's batch ---- */

static void refuse(struct produce *produce, struct part *part, enum kp_kafka_error error, const char *message)
{
    part->error = error;
    part->message = kp_arena_strdup(produce->request->arena, message);
}

static enum kp_kafka_error error_of(enum kp_code code, const struct kp_str records)
{
    struct kp_record_batch_info info;
    struct kp_error err;
    if (code != KP_INVALID && code != KP_CORRUPT)
        return kp_kafka_error_of(code);
    /* A checksum that does not fit may fit when it is sent again; a batch that says nonsense never will. */
    bool sound = kp_record_batch_check((const uint8_t *)records.ptr, records.len, true, &info, &err) == KP_OK;
    return sound ? KP_KAFKA_INVALID_RECORD : KP_KAFKA_CORRUPT_MESSAGE;
}

static void refuse_err(struct produce *produce, struct part *part, enum kp_code code, const struct kp_error *err)
{
    refuse(produce, part, error_of(code, part->records), err->message);
}

/* Old message sets become a batch; a batch of the client's is looked at for what the log does not check. */
static void prepare_batch(struct produce *produce, struct part *part)
{
    struct kp_kafka_request *request = produce->request;
    struct kp_error err;
    if (!part->records.ptr || part->records.len <= MAGIC_AT) {
        refuse(produce, part, KP_KAFKA_CORRUPT_MESSAGE, "no records were sent");
        return;
    }
    if (part->records.ptr[MAGIC_AT] < 2) {
        if (request->version >= VERSION_BATCHES) {
            refuse(produce, part, KP_KAFKA_INVALID_RECORD, "Produce from version 3 on takes record batches of magic 2");
            return;
        }
        struct kp_os *os = kp_net_os(request->conn->net);
        enum kp_code code =
            kp_message_set_to_batch(part->records, os->wall_us(os->ctx) / 1000, request->arena, &part->converted, &err);
        if (code != KP_OK) {
            refuse(produce, part, code == KP_INVALID ? KP_KAFKA_CORRUPT_MESSAGE : kp_kafka_error_of(code), err.message);
            return;
        }
        part->records = (struct kp_str){(char *)part->converted.data, part->converted.len};
    }
    const uint8_t *bytes = (const uint8_t *)part->records.ptr;
    enum kp_code code =
        kp_record_batch_check(bytes, part->records.len, false, &part->info, &err); /* append checks the CRC */
    if (code != KP_OK)
        refuse_err(produce, part, code, &err);
    else if (part->info.control || part->info.transactional)
        refuse(produce, part, KP_KAFKA_INVALID_TXN_STATE, "kappa has no transactions of Kafka's kind yet");
    else if (part->info.log_append_time)
        refuse(produce, part, KP_KAFKA_INVALID_TIMESTAMP, "a producer cannot say that the log gave the time");
    part->entry.batch = bytes;
    part->entry.bytes = part->records.len;
}

static void prepare_topic(struct produce *produce, struct topic *topic)
{
    struct kp_topic_info info;
    struct kp_error err;
    enum kp_code code = kp_kafka_topic(produce->request, topic->name, false, &info, &err);
    for (int32_t p = 0; p < topic->count; p++) {
        struct part *part = &topic->parts[p];
        if (part->error)
            refuse(produce, part, part->error, "kappa has no transactions of Kafka's kind yet");
        else if (produce->acks < -1 || produce->acks > 1)
            refuse(produce, part, KP_KAFKA_INVALID_REQUIRED_ACKS, "acks is -1, 0 or 1");
        else if (code != KP_OK || part->partition < 0 || (uint32_t)part->partition >= info.partitions)
            refuse(produce, part, code == KP_INVALID ? KP_KAFKA_INVALID_TOPIC : KP_KAFKA_UNKNOWN_TOPIC_OR_PARTITION,
                   code == KP_OK ? "the topic has no such partition" : err.message);
        else if (info.internal)
            refuse(produce, part, KP_KAFKA_INVALID_TOPIC, "topics that begin with two underscores are kappa's own");
        else
            prepare_batch(produce, part);
        part->entry.topic = code == KP_OK ? info.id : 0;
        part->entry.partition = (uint32_t)part->partition;
    }
}

/* ---- append ---- */

static void no_answer(void *arg, int64_t position_end, const struct kp_error *err)
{
    (void)arg, (void)position_end, (void)err; /* acks 0: who asked does not listen; a failed log tells everybody else */
}

static enum kp_code append(struct produce *produce, struct kp_log_entry *entries, size_t count,
                           struct kp_kafka_pending *pending, struct kp_error *err)
{
    if (!pending)
        return kp_log_append_async(produce->request->log, entries, count, no_answer, NULL, err);
    kp_kafka_defer_expect(pending);
    enum kp_code code = kp_log_append_async(produce->request->log, entries, count, kp_kafka_defer_done, pending, err);
    if (code != KP_OK)
        kp_kafka_defer_done(pending, 0, NULL); /* it will not be called */
    return code;
}

static void append_alone(struct produce *produce, struct part *part, struct kp_kafka_pending *pending)
{
    struct kp_error err;
    enum kp_code code = append(produce, &part->entry, 1, pending, &err);
    part->appended = code == KP_OK;
    if (code != KP_OK)
        refuse_err(produce, part, code, &err);
}

/* An append with a sequence, on its way to the disk. */
struct numbered {
    struct kp_kafka_producers *producers;
    struct kp_producer_batch batch;
    struct kp_kafka_pending *pending;
};

/* A kp_log_done. The answer goes out last: when the producer sends the batch again, it is known what became of it. */
static void numbered_done(void *arg, int64_t position_end, const struct kp_error *err)
{
    struct numbered *numbered = arg;
    kp_producer_settled(numbered->producers, &numbered->batch, !err);
    kp_kafka_defer_done(numbered->pending, position_end, err);
    kp_free(numbered);
}

static void append_numbered(struct produce *produce, struct part *part, struct kp_kafka_producers *producers,
                            const struct kp_producer_batch *batch, struct kp_kafka_pending *pending)
{
    struct kp_error err;
    struct numbered *numbered = kp_alloc(sizeof *numbered);
    *numbered = (struct numbered){producers, *batch, pending};
    part->entry.follows = part->turn.follows;
    kp_kafka_defer_expect(pending);
    enum kp_code code = kp_log_append_async(produce->request->log, &part->entry, 1, numbered_done, numbered, &err);
    part->appended = code == KP_OK;
    if (code == KP_OK)
        return;
    refuse_err(produce, part, code, &err);
    kp_kafka_defer_done(pending, 0, NULL); /* it will not be called */
    kp_free(numbered);
}

/* Batches with sequences go one by one, in their producer's turn: a repeated one has its answer without an append.
 * (With acks 0 nobody would send one again.) */
static void append_in_turn(struct produce *produce, struct part *part, struct kp_kafka_pending *pending)
{
    struct kp_producer_batch batch = {
        .producer_id = part->info.producer_id,
        .epoch = part->info.producer_epoch,
        .topic = part->entry.topic,
        .partition = part->entry.partition,
        .sequence = part->info.base_sequence,
        .records = part->info.records,
    };
    enum kp_kafka_error error;
    struct kp_kafka_producers *producers = kp_kafka_producers_of(produce->request->kafka);
    if (!kp_producer_turn_begin(producers, &batch, &part->turn, &error)) {
        if (error)
            refuse(produce, part, error, "the sequence number does not follow the producer's last one");
        else if (!part->turn.known_durable)
            refuse(produce, part, KP_KAFKA_REQUEST_TIMED_OUT,
                   "the batch was sent before and is not durable yet: try again");
        else
            part->entry.base_offset = part->turn.known_offset;
        return;
    }
    append_numbered(produce, part, producers, &batch, pending);
    kp_producer_turn_end(producers, &batch, part->appended ? &part->entry : NULL);
}

/* One group if that works; it is what makes a request of many partitions cheap. */
static void append_all(struct produce *produce, struct kp_kafka_pending *pending)
{
    size_t count = 0;
    struct part **parts = NULL;
    for (int pass = 0; pass < 2; pass++) {
        if (pass == 1)
            parts = kp_arena_alloc(produce->request->arena, count * sizeof *parts);
        count = 0;
        for (int32_t t = 0; t < produce->count; t++)
            for (int32_t p = 0; p < produce->topics[t].count; p++) {
                struct part *part = &produce->topics[t].parts[p];
                if (part->error)
                    continue;
                if (pending && part->info.producer_id >= 0 && part->info.base_sequence >= 0) {
                    if (pass == 1)
                        append_in_turn(produce, part, pending);
                    continue;
                }
                if (pass == 1)
                    parts[count] = part;
                count++;
            }
    }
    struct kp_log_entry *entries = kp_arena_alloc(produce->request->arena, count * sizeof *entries);
    for (size_t i = 0; i < count; i++)
        entries[i] = parts[i]->entry;
    struct kp_error err;
    bool together = count > 1 && append(produce, entries, count, pending, &err) == KP_OK;
    for (size_t i = 0; i < count; i++)
        if (together) {
            parts[i]->entry = entries[i];
            parts[i]->appended = true;
        } else {
            append_alone(produce, parts[i], pending);
        }
}

/* ---- answer ---- */

static void put_part(struct produce *produce, const struct part *part, struct kp_kafka_pending *pending)
{
    struct kp_kafka_writer *out = &produce->request->out;
    int16_t version = produce->request->version;
    kp_kafka_put_i32(out, part->partition);
    size_t error_at = out->out->len;
    kp_kafka_put_i16(out, (int16_t)part->error);
    size_t offset_at = out->out->len;
    kp_kafka_put_i64(out, part->error ? -1 : part->entry.base_offset);
    if (part->appended)
        kp_kafka_defer_place(pending, error_at, offset_at);
    if (version >= 2)
        kp_kafka_put_i64(out, -1); /* the log gave no time */
    if (version >= 5)
        kp_kafka_put_i64(out, 0); /* log start */
    if (version >= 8) {
        kp_kafka_put_array(out, 0); /* errors by record */
        kp_kafka_put_text(out, part->error ? part->message : NULL);
    }
    kp_kafka_put_tags(out);
}

static void put_answer(struct produce *produce, struct kp_kafka_pending *pending)
{
    struct kp_kafka_writer *out = &produce->request->out;
    kp_kafka_put_array(out, produce->count);
    for (int32_t t = 0; t < produce->count; t++) {
        struct topic *topic = &produce->topics[t];
        kp_kafka_put_string(out, topic->name.ptr ? topic->name : KP_STR(""));
        kp_kafka_put_array(out, topic->count);
        for (int32_t p = 0; p < topic->count; p++)
            put_part(produce, &topic->parts[p], pending);
        kp_kafka_put_tags(out);
    }
    if (produce->request->version >= 1)
        kp_kafka_put_i32(out, 0); /* throttle: the log's queue slows the connection instead */
    kp_kafka_put_tags(out);
}

enum kp_kafka_outcome kp_kafka_produce(struct kp_kafka_request *request)
{
    struct produce produce = {.request = request};
    if (!parse(&produce))
        return KP_KAFKA_MALFORMED;
    for (int32_t t = 0; t < produce.count; t++)
        prepare_topic(&produce, &produce.topics[t]);
    struct kp_kafka_pending *pending = produce.acks ? kp_kafka_defer(request) : NULL;
    append_all(&produce, pending);
    if (pending)
        put_answer(&produce, pending);
    bool failed = false;
    for (int32_t t = 0; t < produce.count; t++)
        for (int32_t p = 0; p < produce.topics[t].count; p++) {
            failed |= produce.topics[t].parts[p].error != KP_KAFKA_NONE;
            kp_buf_finish(&produce.topics[t].parts[p].converted);
        }
    if (pending)
        return KP_KAFKA_DEFERRED;
    return failed ? KP_KAFKA_MALFORMED : KP_KAFKA_SILENT; /* acks 0 has no other way to learn it: Kafka does the same */
}
