/* The table of topics: by id an array (ids are given in order), by name a hash of ids. */
#include "log/topic.h"

#include <string.h>

#include "base/hash.h"
#include "base/limits.h"
#include "log/scan.h"

enum kp_code kp_topic_name_check(const char *name, struct kp_error *err)
{
    size_t len = strlen(name);
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    if (len == 0 || len > KP_TOPIC_NAME_BYTES_MAX)
        kp_fail(err, KP_INVALID, "42602", "a topic's name has 1 to %d characters, this one has %zu",
                (int)KP_TOPIC_NAME_BYTES_MAX, len);
    else if (strspn(name, allowed) != len || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        kp_fail(err, KP_INVALID, "42602", "\"%s\" cannot be a topic's name", name);
    else
        return KP_OK;
    kp_error_hint(err, "Use letters, digits, '.', '_' and '-'.");
    return KP_INVALID;
}

static void topic_free(struct kp_topic *topic)
{
    if (!topic)
        return;
    for (uint32_t i = 0; i < topic->partition_count; i++)
        kp_free(topic->partitions[i].index);
    kp_free(topic->name);
    kp_free(topic);
}

void kp_topics_finish(struct kp_topics *topics)
{
    for (uint32_t i = 0; i < topics->id_count; i++)
        topic_free(topics->by_id[i]);
    kp_free(topics->by_id);
    kp_free(topics->slots);
    memset(topics, 0, sizeof *topics);
}

struct kp_topic *kp_topics_get(const struct kp_topics *topics, uint32_t id)
{
    return id >= 1 && id <= topics->id_count ? topics->by_id[id - 1] : NULL;
}

/* Where the topic is looked for first. */
static uint32_t slot_home(const struct kp_topic *topic, uint32_t mask)
{
    return (uint32_t)kp_hash_bytes(topic->name, strlen(topic->name)) & mask;
}

static void slot_put(struct kp_topics *topics, const struct kp_topic *topic)
{
    uint32_t mask = topics->slot_count - 1, at = slot_home(topic, mask);
    while (topics->slots[at])
        at = (at + 1) & mask;
    topics->slots[at] = topic->id;
}

static void slots_rebuild(struct kp_topics *topics, uint32_t slot_count)
{
    kp_free(topics->slots);
    topics->slot_count = slot_count;
    topics->slots = kp_calloc(slot_count, sizeof *topics->slots);
    for (uint32_t i = 0; i < topics->id_count; i++)
        if (topics->by_id[i])
            slot_put(topics, topics->by_id[i]);
}

struct kp_topic *kp_topics_find(const struct kp_topics *topics, const char *name, size_t len)
{
    if (!topics->slot_count)
        return NULL;
    uint32_t mask = topics->slot_count - 1;
    for (uint32_t at = (uint32_t)kp_hash_bytes(name, len) & mask; topics->slots[at]; at = (at + 1) & mask) {
        struct kp_topic *topic = topics->by_id[topics->slots[at] - 1];
        if (strlen(topic->name) == len && memcmp(topic->name, name, len) == 0)
            return topic;
    }
    return NULL;
}

void kp_topics_skip_ids(struct kp_topics *topics, uint32_t id_count)
{
    if (id_count > topics->id_cap) {
        topics->id_cap = KP_MAX(KP_MAX(topics->id_cap * 2, 16u), id_count);
        struct kp_topic **by_id = kp_calloc(topics->id_cap, sizeof *by_id); /* pages that nobody touches cost nothing */
        if (topics->id_count)
            memcpy(by_id, topics->by_id, topics->id_count * sizeof *by_id);
        kp_free(topics->by_id);
        topics->by_id = by_id;
    }
    topics->id_count = KP_MAX(topics->id_count, id_count);
}

struct kp_topic *kp_topics_add(struct kp_topics *topics, uint32_t id, const char *name, size_t len, uint32_t partitions,
                               int64_t created_us)
{
    KP_ASSERT(!kp_topics_get(topics, id) && !kp_topics_find(topics, name, len));
    struct kp_topic *topic = kp_calloc(1, sizeof *topic);
    topic->id = id;
    topic->name = kp_strndup(name, len);
    topic->created_us = created_us;
    kp_topics_skip_ids(topics, id);
    topics->by_id[id - 1] = topic;
    kp_topics_add_partitions(topics, id, partitions);
    topic = topics->by_id[id - 1];
    topics->live++;
    if (topics->live * 2 > topics->slot_count)
        slots_rebuild(topics, topics->slot_count ? topics->slot_count * 2 : 32);
    else
        slot_put(topics, topic);
    return topic;
}

void kp_topics_add_partitions(struct kp_topics *topics, uint32_t id, uint32_t partitions)
{
    struct kp_topic *topic = topics->by_id[id - 1];
    topic = kp_realloc(topic, sizeof *topic + partitions * sizeof topic->partitions[0]);
    for (uint32_t i = topic->partition_count; i < partitions; i++)
        topic->partitions[i] = (struct kp_partition){.max_timestamp_ms = -1};
    topic->partition_count = partitions;
    topics->by_id[id - 1] = topic;
}

/* Empties the topic's slot, and moves those behind it that are looked for from before there. */
static void slot_clear(struct kp_topics *topics, const struct kp_topic *topic)
{
    uint32_t mask = topics->slot_count - 1, hole = slot_home(topic, mask);
    while (topics->slots[hole] != topic->id)
        hole = (hole + 1) & mask;
    for (uint32_t at = (hole + 1) & mask; topics->slots[at]; at = (at + 1) & mask) {
        uint32_t home = slot_home(topics->by_id[topics->slots[at] - 1], mask);
        if (((at - home) & mask) < ((at - hole) & mask))
            continue;
        topics->slots[hole] = topics->slots[at];
        hole = at;
    }
    topics->slots[hole] = 0;
}

void kp_topics_remove(struct kp_topics *topics, uint32_t id)
{
    slot_clear(topics, topics->by_id[id - 1]);
    topic_free(topics->by_id[id - 1]);
    topics->by_id[id - 1] = NULL;
    topics->live--;
}

void kp_partition_note(struct kp_partition *partition, uint64_t location, int64_t base_offset, uint32_t records,
                       int64_t max_timestamp_ms, uint32_t bytes)
{
    partition->max_timestamp_ms = KP_MAX(partition->max_timestamp_ms, max_timestamp_ms);
    partition->end_offset = base_offset + records;
    partition->bytes += bytes;
    if (!location)
        return;
    struct kp_index_entry *last = partition->index_count ? &partition->index[partition->index_count - 1] : NULL;
    if (!last || kp_location_file(location) != kp_location_file(last->location) ||
        location - last->location > KP_INDEX_GAP_BYTES) {
        if (partition->index_count == partition->index_cap) {
            partition->index_cap = partition->index_cap ? partition->index_cap * 2 : 1;
            partition->index = kp_realloc(partition->index, partition->index_cap * sizeof *partition->index);
        }
        last = &partition->index[partition->index_count++];
        last->base_offset = base_offset;
        last->location = location;
        last->bytes_before = partition->bytes - bytes;
    }
    last->max_timestamp_ms = partition->max_timestamp_ms;
}

void kp_partition_forget(struct kp_partition *partition, uint64_t location)
{
    uint32_t count = 0;
    while (count < partition->index_count && partition->index[count].location < location)
        count++;
    if (!count)
        return;
    partition->index_count -= count;
    memmove(partition->index, partition->index + count, partition->index_count * sizeof *partition->index);
}

/* Bytes of the batches before offset: in whole index entries, or, of what lies in extents, its share. */
static uint64_t bytes_before(const struct kp_partition *partition, int64_t start_offset, int64_t offset)
{
    int64_t journal_offset = kp_partition_journal_offset(partition);
    if (offset >= partition->end_offset)
        return partition->bytes;
    if (offset >= journal_offset)
        return partition->index[kp_partition_entry_at(partition, offset)].bytes_before;
    uint64_t sealed = partition->index_count ? partition->index[0].bytes_before : partition->bytes;
    double share = (double)(offset - start_offset) / (double)(journal_offset - start_offset);
    return partition->bytes_gone + (uint64_t)(share * (double)(sealed - KP_MIN(partition->bytes_gone, sealed)));
}

void kp_topic_trim(struct kp_topic *topic, uint32_t number, int64_t offset)
{
    struct kp_partition *partition = &topic->partitions[number];
    int64_t start_offset = partition->start_offset;
    offset = KP_MIN(offset, partition->end_offset);
    if (offset <= start_offset)
        return;
    partition->start_offset = offset;
    uint64_t gone = KP_MAX(bytes_before(partition, start_offset, offset), partition->bytes_gone);
    topic->records -= (uint64_t)(offset - start_offset);
    topic->bytes -= gone - partition->bytes_gone;
    partition->bytes_gone = gone;
}

void kp_topic_skip(struct kp_topic *topic, uint32_t number, int64_t offset)
{
    struct kp_partition *partition = &topic->partitions[number];
    if (offset <= partition->end_offset)
        return; /* told again */
    kp_topic_trim(topic, number, partition->end_offset);
    partition->start_offset = partition->end_offset = offset;
}

uint32_t kp_partition_entry_at(const struct kp_partition *partition, int64_t offset)
{
    uint32_t low = 0, high = partition->index_count; /* the first entry behind offset */
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (partition->index[middle].base_offset <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? low - 1 : 0;
}
