/* Applying entries to the table of topics, and the table's bytes. */
#include "log/state.h"

#include <stdio.h>

#include "base/limits.h"
#include "log/producers.h"
#include "log/record_batch.h"

/* ---- what was lost ---- */

static void nameless_name(uint32_t id, char name[32])
{
    snprintf(name, 32, KP_TOPIC_NAMELESS "%u", id);
}

bool kp_topic_nameless(const struct kp_topic *topic)
{
    char name[32];
    nameless_name(topic->id, name);
    return topic->created_us == 0 && strcmp(topic->name, name) == 0;
}

/* Records of the entry's partition come: it was made. */
static void meet_records(struct kp_topics *topics, const struct kp_entry_header *entry)
{
    struct kp_topic *topic = kp_topics_get(topics, entry->topic);
    char name[32];
    nameless_name(entry->topic, name);
    if (entry->topic < 1 || entry->topic > KP_TOPIC_IDS_MAX || entry->partition >= KP_PARTITIONS_MAX)
        return;
    if (topic && kp_topic_nameless(topic) && entry->partition >= topic->partition_count)
        kp_topics_add_partitions(topics, entry->topic, entry->partition + 1);
    else if (!topic && !kp_topics_find(topics, name, strlen(name)))
        kp_topics_add(topics, entry->topic, name, strlen(name), entry->partition + 1, 0);
}

bool kp_topics_meet(struct kp_topics *topics, const struct kp_entry_header *entry)
{
    if (entry->kind == KP_ENTRY_BATCH || entry->kind == KP_ENTRY_TRIM || entry->kind == KP_ENTRY_SKIP)
        meet_records(topics, entry);
    if (entry->kind != KP_ENTRY_TOPIC_CREATE)
        return false;
    const struct kp_topic *before = kp_topics_find(topics, (const char *)(entry + 1), entry->payload_bytes);
    if (!before || before->id == entry->topic)
        return false;
    kp_topics_remove(topics, before->id);
    return true;
}

/* ---- applying ---- */

static enum kp_code apply_batch(struct kp_topics *topics, const struct kp_entry_header *entry, uint64_t location,
                                struct kp_error *err)
{
    struct kp_topic *topic = kp_topics_get(topics, entry->topic);
    if (!topic || entry->partition >= topic->partition_count)
        return kp_fail(err, KP_CORRUPT, NULL, "the log holds records of topic %u, partition %u, which was never made",
                       entry->topic, entry->partition);
    struct kp_partition *partition = &topic->partitions[entry->partition];
    struct kp_record_batch_info info;
    KP_TRY(kp_record_batch_check((const uint8_t *)(entry + 1), entry->payload_bytes, false, &info, err));
    if (entry->base_offset != partition->end_offset || info.records != (int32_t)entry->records)
        return kp_fail(err, KP_CORRUPT, NULL, "topic \"%s\", partition %u goes on at offset %lld instead of %lld",
                       topic->name, entry->partition, (long long)entry->base_offset, (long long)partition->end_offset);
    kp_partition_note(partition, location, entry->base_offset, entry->records, info.max_timestamp_ms,
                      entry->payload_bytes);
    topic->records += entry->records;
    topic->bytes += entry->payload_bytes;
    return KP_OK;
}

static enum kp_code apply_topic(struct kp_topics *topics, const struct kp_entry_header *entry, struct kp_error *err)
{
    const char *name = (const char *)(entry + 1);
    const struct kp_topic *known = kp_topics_get(topics, entry->topic);
    if (entry->kind == KP_ENTRY_TOPIC_CREATE && known && known->partition_count == entry->partition &&
        known->created_us == entry->base_offset && kp_topics_find(topics, name, entry->payload_bytes) == known)
        return KP_OK; /* told again (log/format.h), or known before (log/seal_lost.h) */
    if (entry->kind == KP_ENTRY_TOPIC_DROP) {
        if (known)
            kp_topics_remove(topics, entry->topic);
        else if (entry->topic <= KP_TOPIC_IDS_MAX) /* all else that there was of it is lost: its id was given */
            kp_topics_skip_ids(topics, entry->topic);
        return KP_OK;
    }
    if (known || entry->topic < 1 || entry->topic > KP_TOPIC_IDS_MAX || entry->partition < 1 ||
        entry->partition > KP_PARTITIONS_MAX || entry->payload_bytes > KP_TOPIC_NAME_BYTES_MAX)
        return kp_fail(err, KP_CORRUPT, NULL, "the log makes topic %u, which cannot be", entry->topic);
    kp_topics_add(topics, entry->topic, name, entry->payload_bytes, entry->partition, entry->base_offset);
    return KP_OK;
}

static enum kp_code apply_trim(struct kp_topics *topics, const struct kp_entry_header *entry, struct kp_error *err)
{
    struct kp_topic *topic = kp_topics_get(topics, entry->topic);
    if (!topic || entry->partition >= topic->partition_count ||
        entry->base_offset > topic->partitions[entry->partition].end_offset)
        return kp_fail(err, KP_CORRUPT, NULL,
                       "the log trims topic %u, partition %u before offset %lld, which cannot be", entry->topic,
                       entry->partition, (long long)entry->base_offset);
    kp_topic_trim(topic, entry->partition, entry->base_offset);
    return KP_OK;
}

static enum kp_code apply_skip(struct kp_topics *topics, const struct kp_entry_header *entry, struct kp_error *err)
{
    struct kp_topic *topic = kp_topics_get(topics, entry->topic);
    if (!topic || entry->partition >= topic->partition_count || entry->base_offset > (int64_t)KP_JOURNAL_COUNT_MAX)
        return kp_fail(err, KP_CORRUPT, NULL, "the log moves topic %u, partition %u to offset %lld, which cannot be",
                       entry->topic, entry->partition, (long long)entry->base_offset);
    kp_topic_skip(topic, entry->partition, entry->base_offset);
    return KP_OK;
}

enum kp_code kp_topics_apply(struct kp_topics *topics, const struct kp_entry_header *entry, uint64_t location,
                             struct kp_error *err)
{
    (void)kp_topics_meet(topics, entry);
    switch (entry->kind) {
    case KP_ENTRY_BATCH:
        return apply_batch(topics, entry, location, err);
    case KP_ENTRY_TOPIC_CREATE:
    case KP_ENTRY_TOPIC_DROP:
        return apply_topic(topics, entry, err);
    case KP_ENTRY_TRIM:
        return apply_trim(topics, entry, err);
    case KP_ENTRY_SKIP:
        return apply_skip(topics, entry, err);
    default:
        return kp_fail(err, KP_UNSUPPORTED, NULL, "the log holds an entry of the unknown kind %d", entry->kind);
    }
}

/* ---- bytes ---- */

struct state_head {
    uint32_t version, topics, id_count, producers;
};

struct state_topic {
    uint32_t id, partitions;
    int64_t created_us;
    uint64_t records, bytes;
    uint32_t name_bytes, zero;
};

struct state_partition {
    int64_t start_offset, end_offset, max_timestamp_ms;
    uint64_t bytes, bytes_gone;
};

static_assert(sizeof(struct state_head) == 16, "state");
static_assert(sizeof(struct state_topic) == 40, "state");
static_assert(sizeof(struct state_partition) == 40, "state");

static size_t padded(size_t bytes)
{
    return (bytes + 7) & ~(size_t)7;
}

static void write_topic(const struct kp_topic *topic, struct kp_buf *out)
{
    size_t name_bytes = strlen(topic->name);
    struct state_topic head = {
        topic->id, topic->partition_count, topic->created_us, topic->records, topic->bytes, (uint32_t)name_bytes, 0};
    kp_buf_append(out, &head, sizeof head);
    uint8_t *at = kp_buf_reserve(out, padded(name_bytes));
    memset(at, 0, padded(name_bytes));
    memcpy(at, topic->name, name_bytes);
    out->len += padded(name_bytes);
    for (uint32_t i = 0; i < topic->partition_count; i++) {
        const struct kp_partition *from = &topic->partitions[i];
        struct state_partition partition = {from->start_offset, from->end_offset, from->max_timestamp_ms, from->bytes,
                                            from->bytes_gone};
        kp_buf_append(out, &partition, sizeof partition);
    }
}

void kp_state_write(const struct kp_topics *topics, struct kp_buf *out)
{
    struct state_head head = {KP_STATE_VERSION, topics->live, topics->id_count, 0};
    kp_buf_append(out, &head, sizeof head);
    for (uint32_t id = 1; id <= topics->id_count; id++)
        if (kp_topics_get(topics, id))
            write_topic(kp_topics_get(topics, id), out);
}

static enum kp_code wrong_state(struct kp_error *err)
{
    return kp_fail(err, KP_CORRUPT, NULL, "the state of the log's topics is malformed");
}

static enum kp_code read_topic(const uint8_t **at, const uint8_t *end, struct kp_topics *topics, struct kp_error *err)
{
    struct state_topic head;
    if ((size_t)(end - *at) < sizeof head)
        return wrong_state(err);
    memcpy(&head, *at, sizeof head);
    *at += sizeof head;
    size_t name_bytes = head.name_bytes;
    if (head.id <= topics->id_count || head.id > KP_TOPIC_IDS_MAX || name_bytes > KP_TOPIC_NAME_BYTES_MAX ||
        head.partitions > KP_PARTITIONS_MAX ||
        (size_t)(end - *at) < padded(name_bytes) + head.partitions * sizeof(struct state_partition) ||
        kp_topics_find(topics, (const char *)*at, name_bytes))
        return wrong_state(err);
    struct kp_topic *topic =
        kp_topics_add(topics, head.id, (const char *)*at, name_bytes, head.partitions, head.created_us);
    topic->records = head.records;
    topic->bytes = head.bytes;
    *at += padded(name_bytes);
    for (uint32_t i = 0; i < head.partitions; i++) {
        struct state_partition partition;
        memcpy(&partition, *at, sizeof partition);
        *at += sizeof partition;
        if (partition.start_offset < 0 || partition.start_offset > partition.end_offset)
            return wrong_state(err);
        topic->partitions[i].start_offset = partition.start_offset;
        topic->partitions[i].end_offset = partition.end_offset;
        topic->partitions[i].max_timestamp_ms = partition.max_timestamp_ms;
        topic->partitions[i].bytes = partition.bytes;
        topic->partitions[i].bytes_gone = KP_MIN(partition.bytes_gone, partition.bytes);
    }
    return KP_OK;
}

enum kp_code kp_state_read(const uint8_t *bytes, size_t len, struct kp_topics *topics, struct kp_error *err)
{
    struct state_head head;
    if (len < sizeof head)
        return wrong_state(err);
    memcpy(&head, bytes, sizeof head);
    if (head.version < KP_STATE_VERSION || head.version > KP_STATE_VERSION_PRODUCERS)
        return kp_fail(err, KP_UNSUPPORTED, NULL, "the state of the log's topics has version %u; this kappa knows %d",
                       head.version, (int)KP_STATE_VERSION_PRODUCERS);
    if (head.id_count > KP_TOPIC_IDS_MAX || (head.producers && head.version == KP_STATE_VERSION) ||
        head.producers > KP_LOG_PRODUCERS_MAX)
        return wrong_state(err);
    const uint8_t *at = bytes + sizeof head, *end = bytes + len;
    for (uint32_t i = 0; i < head.topics; i++)
        KP_TRY(read_topic(&at, end, topics, err));
    if ((size_t)(end - at) != head.producers * sizeof(struct kp_log_producer) || topics->id_count > head.id_count)
        return wrong_state(err);
    kp_topics_skip_ids(topics, head.id_count);
    return KP_OK;
}

void kp_state_put_producers(struct kp_buf *state, const struct kp_buf *producers)
{
    struct state_head head;
    if (!producers->len)
        return;
    memcpy(&head, state->data, sizeof head);
    head.version = KP_STATE_VERSION_PRODUCERS;
    head.producers = (uint32_t)(producers->len / sizeof(struct kp_log_producer));
    memcpy(state->data, &head, sizeof head);
    kp_buf_append(state, producers->data, producers->len);
}

const uint8_t *kp_state_producers(const uint8_t *bytes, size_t len, size_t *ret_len)
{
    struct state_head head;
    memcpy(&head, bytes, sizeof head);
    *ret_len = head.producers * sizeof(struct kp_log_producer);
    return bytes + len - *ret_len;
}
