/*
 * Topics, their partitions, and each partition's sparse index from offsets to places in the journal.
 *
 * An index entry stands for all of a partition's batches from its base offset to the next entry; they lie in blocks
 * that begin within KP_INDEX_GAP_BYTES of its location, so a reader scans at most that much of the log for each entry,
 * and a cold partition in a hot log is found without reading the log between its batches.
 *
 * Threads: what is marked (append) is guarded by kp_log.mutex, what is marked (durable) by kp_log.lock. The table
 * itself, topics and names, changes only with both held.
 */
#ifndef KP_LOG_TOPIC_H
#define KP_LOG_TOPIC_H

#include "log/log.h"

enum { KP_INDEX_GAP_BYTES = 256 << 10 };

struct kp_index_entry {
    int64_t base_offset;
    uint64_t location;        /* of a block: log/scan.h */
    int64_t max_timestamp_ms; /* largest so far: of this entry's batches and all before them */
    uint64_t bytes_before;    /* of all batches before this entry's, trimmed or not */
};

struct kp_partition {
    int64_t next_offset;                  /* (append) */
    int64_t start_offset;                 /* (durable) trimmed before it */
    int64_t end_offset, max_timestamp_ms; /* (durable) */
    uint64_t bytes;                       /* (durable) of all batches that there ever were */
    uint64_t bytes_gone;                  /* (durable) trimmed of those, in whole index entries */
    struct kp_index_entry *index;         /* (durable) */
    uint32_t index_count, index_cap;
};

struct kp_topic {
    uint32_t id;
    uint32_t partition_count;
    char *name;
    int64_t created_us;
    uint64_t records, bytes; /* (durable) what is not trimmed */
    bool dropping;           /* (append) a drop is on its way */
    struct kp_partition partitions[];
};

/* Ids given so far: nobody makes so many, and bytes that say so take no memory. A fuzzer's bytes say so all the time.
 */
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
enum { KP_TOPIC_IDS_MAX = 1 << 12 };
#else
enum { KP_TOPIC_IDS_MAX = 1 << 26 };
#endif
/* Then the topic's id: a topic whose making has rotted, so that its name is not known (log/state.h). */
#define KP_TOPIC_NAMELESS "__lost_"

struct kp_topics {
    struct kp_topic **by_id; /* id - 1; NULL: never made, or dropped */
    uint32_t id_count, id_cap;
    uint32_t *slots; /* names: open addressing of ids, 0 empty */
    uint32_t slot_count, live;
};

void kp_topics_finish(struct kp_topics *topics);
struct kp_topic *kp_topics_get(const struct kp_topics *topics, uint32_t id);
struct kp_topic *kp_topics_find(const struct kp_topics *topics, const char *name, size_t len);
/* The name must be free and the id no topic's. */
struct kp_topic *kp_topics_add(struct kp_topics *topics, uint32_t id, const char *name, size_t len, uint32_t partitions,
                               int64_t created_us);
void kp_topics_remove(struct kp_topics *topics, uint32_t id);
/* Nobody else has the topic's place in memory. */
void kp_topics_add_partitions(struct kp_topics *topics, uint32_t id, uint32_t partitions);
/* Ids up to this one were given. */
void kp_topics_skip_ids(struct kp_topics *topics, uint32_t id_count);
/* How many of a batch's first records are given up: trimmed, or all since their topic was dropped. */
static inline uint32_t kp_topics_gone(const struct kp_topics *topics, uint32_t id, uint32_t partition,
                                      int64_t base_offset, uint32_t records)
{
    const struct kp_topic *topic = id >= 1 && id <= topics->id_count ? topics->by_id[id - 1] : NULL;
    if (!topic || partition >= topic->partition_count)
        return records;
    int64_t gone = topic->partitions[partition].start_offset - base_offset;
    return gone <= 0 ? 0 : gone < records ? (uint32_t)gone : records;
}

/* Notes a durable batch; location 0: not in the index. */
void kp_partition_note(struct kp_partition *partition, uint64_t location, int64_t base_offset, uint32_t records,
                       int64_t max_timestamp_ms, uint32_t bytes);
/* What lies before offset in the partition is trimmed, at most all; in bytes that is rounded down to index entries, and
 * a guess where there are none. */
void kp_topic_trim(struct kp_topic *topic, uint32_t number, int64_t offset);
/* All of the partition is trimmed, and it goes on at offset; nothing where it has come so far already. */
void kp_topic_skip(struct kp_topic *topic, uint32_t number, int64_t offset);
/* Forgets what the index says of blocks before location. */
void kp_partition_forget(struct kp_partition *partition, uint64_t location);
/* The first offset whose place is in the index: those before it lie in extents, or are gone. */
static inline int64_t kp_partition_journal_offset(const struct kp_partition *partition)
{
    return partition->index_count ? partition->index[0].base_offset : partition->end_offset;
}
/* The number of the last entry at or before offset; 0 if there is none. index_count > 0. */
uint32_t kp_partition_entry_at(const struct kp_partition *partition, int64_t offset);
/* KP_INVALID unless it is 1 to 249 of [a-zA-Z0-9._-] and neither "." nor "..". */
KP_MUST enum kp_code kp_topic_name_check(const char *name, struct kp_error *err);

#endif
