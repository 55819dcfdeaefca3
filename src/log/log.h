/*
 * The log: every event, in one total order, durable before it is acknowledged.
 *
 * A *position* is the number of records before it in the whole log. A record also has an *offset* in its topic's
 * partition. What is written is Kafka v2 record batches (log/record_batch.h), kept as sent but for the base offset.
 * One append is one atomic group: after a crash all of it is there or none. Appends from many threads are gathered
 * into commit blocks (log/format.h), made durable by one sync; then their callbacks run.
 *
 * Threads: every function may be called from any thread unless it says otherwise. After the first failed write or
 * sync the log is poisoned: appends fail with KP_CLOSED and the first cause; reads of durable data go on. A full disk
 * poisons nothing when it is met where room for more is asked for: what was queued fails with KP_FULL, marked
 * retriable, and is not in the log; later appends succeed once there is room. Trims, drops and what else frees room
 * have a reserve for then (log/reserve.h).
 */
#ifndef KP_LOG_LOG_H
#define KP_LOG_LOG_H

#include "base/buf.h"
#include "base/error.h"
#include "base/hash.h"
#include "os/os.h"

struct kp_log;
struct kp_log_chunk;

struct kp_log_options {
    struct kp_os *os;            /* borrowed */
    const char *dir;             /* made if missing; locked while open */
    bool read_only;              /* inspect: no lock on an absent folder, no writer thread, nothing changed */
    uint64_t journal_file_bytes; /* 0: the default */
    uint64_t tail_bytes;         /* newest blocks kept in memory; 0: the default */
    uint64_t unsealed_bytes_max; /* of journal not yet in extents: appends wait beyond; 0: the default */
    uint64_t seal_bytes;         /* so much full journal is sealed at once; 0: the default */
    uint64_t extent_own_bytes;   /* a partition with so much of it gets an extent of its own; 0: the default */
    /* A full journal file becomes an extent as it is, and is not copied (log/extent.h, ADOPTED), when its blocks have
     * so many bytes on average and so much of it are batches of large partitions; 0: the default of each. */
    uint64_t adopt_block_bytes;
    uint32_t adopt_per_cent; /* above 100: never */
    uint64_t snapshot_bytes; /* so much journal is read again at most by the next start; 0: the default */
    bool unsafe_no_sync;     /* relaxed durability, under its own name: for `kappa run` and tests */
    bool no_threads;         /* the caller's thread commits: simulation and `kappa run` */
    /* Told, once for each, of what has rotted and is mended whenever it is read (KP_LOG_MENDED): from any thread, and
     * before kp_log_open returns. NULL: nobody. */
    void (*notice)(void *arg, const char *text);
    void *notice_arg;
};

/* Opens or makes a log, recovers it: keeps every acknowledged record, cuts only a torn tail. */
KP_MUST enum kp_code kp_log_open(const struct kp_log_options *options, struct kp_log **ret_log, struct kp_error *err);
/* Commits what was appended, stops the writer, closes. NULL is fine. */
void kp_log_close(struct kp_log *log);

/* With no_threads: does one step of what else happens in the background (sealing, recycling). *ret_did is false when
 * there was nothing to do. A failure is one of the step: the log goes on, unless kp_log_health says otherwise. */
KP_MUST enum kp_code kp_log_maintain(struct kp_log *log, bool *ret_did, struct kp_error *err);

/* ---- topics ---- */

struct kp_topic_info {
    uint32_t id; /* never reused */
    char name[250];
    uint32_t partitions;
    bool internal; /* kappa's own: its name starts with "__", and it is not nameless */
    bool nameless; /* what made it has rotted, and its name with it: it is "__lost_" and the id here */
    int64_t created_us;
    uint64_t records, bytes;
};

/* Names as in Kafka: 1 to 249 of [a-zA-Z0-9._-], not "." or "..". KP_EXISTS if there is one of that name. Durable on
 * return. */
KP_MUST enum kp_code kp_log_topic_create(struct kp_log *log, const char *name, uint32_t partitions, uint32_t *ret_id,
                                         struct kp_error *err);
KP_MUST enum kp_code kp_log_topic_drop(struct kp_log *log, uint32_t id, struct kp_error *err);
KP_MUST enum kp_code kp_log_topic_find(struct kp_log *log, const char *name, struct kp_topic_info *ret_info,
                                       struct kp_error *err);
KP_MUST enum kp_code kp_log_topic_get(struct kp_log *log, uint32_t id, struct kp_topic_info *ret_info,
                                      struct kp_error *err);
/* All topics in order of id; the array is the caller's to kp_free. */
void kp_log_topics(struct kp_log *log, struct kp_topic_info **ret_topics, size_t *ret_count);

struct kp_partition_info {
    int64_t start_offset; /* first that can be read: what lies before it was trimmed */
    int64_t end_offset;   /* the next one to be given, durable ones only (Kafka's high watermark) */
    int64_t max_timestamp_ms;
    uint64_t bytes; /* about: what is trimmed counts until some hundred kilobytes of it are gone */
};
KP_MUST enum kp_code kp_log_partition(struct kp_log *log, uint32_t topic, uint32_t partition,
                                      struct kp_partition_info *ret_info, struct kp_error *err);

/*
 * Gives up a partition's records before before_offset, for ever: retention and deletion of records. An entry of the
 * log, durable on return. From then on kp_log_fetch and kp_log_offset_at begin there, and kp_log_read leaves out
 * batches that lie wholly before it (of one that begins before and ends behind it the chunk says how many of its
 * records to skip). At or before the start nothing happens; behind the end is KP_LIMIT. Of a log that was opened to be
 * read only they are given up for who reads it there, and nothing is written.
 */
KP_MUST enum kp_code kp_log_trim(struct kp_log *log, uint32_t topic, uint32_t partition, int64_t before_offset,
                                 struct kp_error *err);
/* Likewise, partitions 0 to count - 1 of a topic, hundreds in a commit: after a crash a first part of them may be. */
KP_MUST enum kp_code kp_log_trim_partitions(struct kp_log *log, uint32_t topic, const int64_t *before_offsets,
                                            uint32_t count, struct kp_error *err);
/* The partition goes on at offset, which must not lie before its end; what it has is given up, as by kp_log_trim. That
 * is how records come into another log at the offsets that they had. */
KP_MUST enum kp_code kp_log_skip(struct kp_log *log, uint32_t topic, uint32_t partition, int64_t offset,
                                 struct kp_error *err);

/*
 * Compaction of a keyed topic: of the records of one key in a partition the latest stays. Records before the horizon
 * are taken out of extents when a later record before it has the same key, and, when they have no value and are older
 * than tombstones_before_us, when nothing else of their key is left: the tombstones of what an earlier call took out.
 * Records without a key stay. Offsets and positions keep their place; batches are rewritten (kp_record_batch_thin).
 *
 * What reads by position while this goes on may see some of what goes: from the horizon on the latest of each key is
 * the same, provided that a reader who came before an earlier call is gone when tombstones go.
 *
 * clean and horizon are where groups begin. Any thread, one call at a time; works in the caller's.
 */
struct kp_log_compaction {
    uint32_t topic;
    int64_t clean;   /* before it no two records of a partition have the same key: what an earlier call did; 0 */
    int64_t horizon; /* at most as far as extents go (struct kp_log_sealed) */
    int64_t tombstones_before_us; /* log time; INT64_MIN: they stay */
    bool seal;                    /* first seal all that is in the journal's files but the newest, begin a new one */
    size_t memory_bytes;          /* for keys; 0: the default. What does not fit is left to the next call */
    /* What the records of a batch are to their reader, beside their key. Records of one key with
     * different ids do not replace each other; a tombstone stays as long as an older record has its id. NULL: the key
     * says all. ids[d]: of the record at offset base_offset + d; zero before. */
    enum kp_code (*identify)(void *arg, const struct kp_log_chunk *chunk, struct kp_hash128 *ids, struct kp_error *err);
    void *arg;

    const _Atomic bool *cancel; /* true: stops, KP_CANCELLED; NULL: never */

    int64_t done;                            /* out: compacted up to here; the next call's `clean` */
    uint64_t records_removed, bytes_removed; /* out, of batches */
};
KP_MUST enum kp_code kp_log_compact(struct kp_log *log, struct kp_log_compaction *compaction, struct kp_error *err);
/* Bytes of the topic's batches in extents, and those of them in sets that reach behind `position`. */
void kp_log_stored(struct kp_log *log, uint32_t topic, int64_t position, uint64_t *ret_all, uint64_t *ret_behind);

/* ---- append ---- */

/* Bytes of the batches of one group: what is held in memory to write it, and to read it. */
#define KP_LOG_GROUP_BYTES_MAX   ((size_t)256 << 20)
#define KP_LOG_GROUP_BYTES_LARGE ((size_t)5 << 28) /* what the instance makes itself */

/* One record batch for one partition. bytes are validated, copied before the call returns. */
struct kp_log_entry {
    uint32_t topic, partition;
    const uint8_t *batch;
    size_t bytes;
    bool trusted;    /* built by kp_record_batch_build in this process: skip decompression and the walk */
    bool large;      /* of its first: the group may have KP_LOG_GROUP_BYTES_LARGE */
    bool frees_room; /* kp_log_append, of its first: it says what goes, and may take the disk reserve (log/reserve.h) */
    int64_t log_time_us; /* of the block that takes it, of a log that is written anew; 0: the clock's */
    uint64_t follows;    /* the era of an append that must stand if this one is to: KP_FULL if it may not; 0: none */
    int64_t base_offset; /* out */
    int64_t position;    /* out: of its first record */
    uint64_t era;        /* out: the same until appends that wait in the queue are refused for want of room */
};

typedef void (*kp_log_done)(void *arg, int64_t position_end, const struct kp_error *err); /* err NULL: durable */

/* Appends all entries as one atomic group and returns when they are durable. *ret_position: behind the last record. */
KP_MUST enum kp_code kp_log_append(struct kp_log *log, struct kp_log_entry *entries, size_t count,
                                   int64_t *ret_position, struct kp_error *err);
/* The same without waiting: fails at once for bad input (done is not called), else offsets and positions are filled
 * and done(arg, …) is called exactly once from the writer thread, without a lock held; it must not append and wait.
 * With no_threads it is called before this returns, whether or not it is durable by then. Blocks while the queue of
 * bytes not yet written is over its limit: back pressure. */
KP_MUST enum kp_code kp_log_append_async(struct kp_log *log, struct kp_log_entry *entries, size_t count,
                                         kp_log_done done, void *arg, struct kp_error *err);

/* ---- state ---- */

uint64_t kp_log_generation(struct kp_log *log); /* a random number that tells this log from any other */
/* What was sealed, and what was written for it: the log's write amplification. */
struct kp_log_sealed {
    int64_t position;        /* behind what lies in extents */
    uint64_t extents;        /* files */
    uint64_t unsealed_bytes; /* of journal, in full files */
    /* So far: of record batches that were sealed, of the journal that held them, of extents, of merged ones. */
    uint64_t batch_bytes, journal_bytes, extent_bytes, merge_bytes;
    uint64_t compact_bytes; /* written by kp_log_compact, since the log was opened; not in merge_bytes */
    uint64_t refusals;      /* how often, since then, appends found no room on the disk */
    bool full;              /* the last append found no room, or the disk reserve is given up (log/reserve.h) */
};
void kp_log_sealed(struct kp_log *log, struct kp_log_sealed *ret_sealed);
/* How often a sealed byte was written: journal, extents and merges. 0: nothing was sealed. */
static inline double kp_log_write_amplification(const struct kp_log_sealed *sealed)
{
    uint64_t written = sealed->journal_bytes + sealed->extent_bytes + sealed->merge_bytes;
    return sealed->batch_bytes ? (double)written / (double)sealed->batch_bytes : 0;
}
/* What the log's opening cost, and what the next one's would: log/snapshot.h. */
struct kp_log_recovered {
    bool snapshot;           /* it began with a recovery snapshot */
    uint64_t journal_bytes;  /* so much journal was read */
    uint64_t snapshots;      /* written since */
    uint64_t snapshot_bytes; /* of the newest one of those */
    uint64_t ahead_bytes;    /* of journal since the newest snapshot */
};
void kp_log_recovered(struct kp_log *log, struct kp_log_recovered *ret_recovered);
int64_t kp_log_position(struct kp_log *log); /* behind the last durable record */
int64_t kp_log_time_us(struct kp_log *log);  /* log time of the last durable block: max(previous, clock) */
/* Waits until kp_log_position > position, timeout_us passes (negative: never) or the log is closing; returns the
 * position. */
int64_t kp_log_wait(struct kp_log *log, int64_t position, int64_t timeout_us);
/* Wakes all kp_log_wait callers: shutdown, or a changed mind. */
void kp_log_wake(struct kp_log *log);
/* Registers a function called on the writer thread after every commit, with the new position. For doors that long-poll.
 */
void kp_log_listen(struct kp_log *log, void (*on_commit)(void *arg, int64_t position), void *arg);
/* KP_CLOSED with the first cause when the log is poisoned, else KP_OK. */
KP_MUST enum kp_code kp_log_health(struct kp_log *log, struct kp_error *err);

/* ---- reading by position: the engine ---- */

/* One record batch where it lies in the order of the log. */
struct kp_log_chunk {
    uint32_t topic, partition;
    int64_t base_offset;
    int64_t position;    /* of its first record */
    uint32_t records;    /* positions that it takes; it holds fewer records when compaction took some out */
    uint32_t skip;       /* records at so many of its first positions are trimmed (kp_log_trim): not to be looked at */
    int64_t log_time_us; /* of its block */
    const uint8_t *batch;
    uint32_t bytes;
    bool group_end; /* last of its atomic group: a step may end behind it */
};

/* A piece of the log in memory, whole groups, all durable. Owned by the caller; immutable. */
struct kp_log_span {
    int64_t position, position_end;
    struct kp_log_chunk *chunks;
    size_t count;
    void *memory; /* behind the chunks */
};

/*
 * Reads the log from position (which must be the start of a group) as far as about bytes_max, at least one group if
 * any is durable; position_end == position at the end. Groups that begin at or behind position_limit are not wanted
 * (INT64_MAX: all). topics: only chunks of these (NULL: all); position_end counts what was skipped too, so a span
 * without chunks is not the end. Trimmed batches are skipped likewise (kp_log_trim).
 */
KP_MUST enum kp_code kp_log_read(struct kp_log *log, int64_t position, int64_t position_limit, size_t bytes_max,
                                 const uint32_t *topics, size_t topic_count, struct kp_log_span *ret_span,
                                 struct kp_error *err);
void kp_log_span_release(struct kp_log_span *span);
/*
 * Hands every chunk that a topic has now to each, in the order of the log, and stops at its first error. A chunk
 * lives until each returns.
 */
KP_MUST enum kp_code kp_log_each(struct kp_log *log, uint32_t topic,
                                 enum kp_code (*each)(void *context, const struct kp_log_chunk *chunk,
                                                      struct kp_error *err),
                                 void *context, struct kp_error *err);

/* ---- damage ---- */

/* Records that rotted on disk: those of one partition, in one stretch of the log that cannot be read (log/hole.h). */
struct kp_log_damage {
    int64_t position, position_end; /* of the stretch: whole groups */
    uint32_t topic, partition;      /* topic 0: no partition's; what rotted made a topic, or the like */
    int64_t offset, offset_end;
    bool maybe;                        /* at most: it may have been other partitions' records */
    bool mended;                       /* nothing is lost: a section of an extent; topic 0 */
    uint64_t file_number, file_offset; /* of the journal; number 0: it lies in an extent, */
    uint64_t extent;                   /* of this number; offset 0: at no known place */
    bool adopted;                      /* it is a journal file that became one */
    const char *wrong;                 /* static */
};

/* Ends what is told of a section that has rotted, of which a reader gets what is meant all the same. */
#define KP_LOG_MENDED "; nothing is lost: readers mend it, or read it elsewhere"

/*
 * Records that cannot be read are never left out in silence: kp_log_read of their topics fails with KP_CORRUPT when it
 * begins at or in the stretch (one that begins before it ends there), kp_log_fetch at their offsets. Reads beside them
 * go on, also of other topics in the same stretch, and so do appends.
 *
 * All damage that was met so far: in extents by reads by position; what was mended, by any read. The array is the
 * caller's to kp_free.
 */
void kp_log_damages(struct kp_log *log, struct kp_log_damage **ret_damages, size_t *ret_count);
/* The damage because of which kp_log_read fails at a position; all topics of the stretch. False: none is there. To
 * kp_free in any case. Reading goes on at position_end. */
bool kp_log_damage_at(struct kp_log *log, int64_t position, struct kp_log_damage **ret_damages, size_t *ret_count);
/* KP_CORRUPT, in words: topic, offsets, positions, place. */
KP_MUST enum kp_code kp_log_damage_error(struct kp_log *log, const struct kp_log_damage *damage, struct kp_error *err);

/* ---- reading by offset: consumers ---- */

/*
 * Appends whole record batches of a partition to out, beginning with the one that holds `offset` (it may begin
 * earlier: consumers skip), up to about bytes_max, at least one if there is any. KP_LIMIT with hint when the offset is
 * out of range.
 */
KP_MUST enum kp_code kp_log_fetch(struct kp_log *log, uint32_t topic, uint32_t partition, int64_t offset,
                                  size_t bytes_max, struct kp_buf *out, struct kp_error *err);
/* The first offset whose record's timestamp is at or after timestamp_ms, and that timestamp; -1 if there is none. */
KP_MUST enum kp_code kp_log_offset_at(struct kp_log *log, uint32_t topic, uint32_t partition, int64_t timestamp_ms,
                                      int64_t *ret_offset, int64_t *ret_timestamp_ms, struct kp_error *err);
/* The first position whose block's log time is at or after time_us; the start of the group if it lies in one. */
KP_MUST enum kp_code kp_log_position_at(struct kp_log *log, int64_t time_us, int64_t *ret_position,
                                        struct kp_error *err);
/* Where the group that holds the record at a position begins; the position itself behind the log's end, or where what
 * was there is gone. As of a position in a group nothing of the group counts yet: it is there whole, or not at all. */
KP_MUST enum kp_code kp_log_group_at(struct kp_log *log, int64_t position, int64_t *ret_position, struct kp_error *err);
/* The log time at a position: that of the block with the record before it. 0 at position 0. */
KP_MUST enum kp_code kp_log_time_at(struct kp_log *log, int64_t position, int64_t *ret_time_us, struct kp_error *err);

/* ---- how far back to go: retention ---- */

/* The first offset of a partition whose record lies at or behind `position`; its end if there is none. */
KP_MUST enum kp_code kp_log_offset_behind(struct kp_log *log, uint32_t topic, uint32_t partition, int64_t position,
                                          int64_t *ret_offset, struct kp_error *err);
/* A position, as late as can be told from the indexes, behind which at least `bytes` of the topic's batches lie; 0 if
 * it has no more than that. */
KP_MUST enum kp_code kp_log_position_keeping(struct kp_log *log, uint32_t topic, uint64_t bytes, int64_t *ret_position,
                                             struct kp_error *err);

#endif
