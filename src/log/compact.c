/*
 * Compaction of a keyed topic (kp_log_compact).
 *
 *   1. Read the records between `clean` and the horizon, and note the position of the latest of each key, as many keys
 *      as memory holds. Where it is full the call ends: `done`.
 *   2. If tombstones may go, note those before `done` that are old enough and the latest of their key. Read everything
 *      before `done` again: one before which another record of its key, or with its id, is found stays. And those
 *      in the newest blocks in memory, of which readers get all records: what is before them might still be seen.
 *      And the last of a partition: consumers that read to the end find it.
 *   3. Every set of extents that holds records of the topic before `done` is written anew (log/merge.h), one at a time,
 *      without what is superseded and without those tombstones; unless that would write much to gain little.
 *
 * Invariants: 1. What goes has a later record of the same key, partition and id before `done`, which stays; or it is a
 * tombstone before which nothing of its key or id was there when the call began. So the latest of each key at any
 * position from `done` on is what it was. 2. Each set is exchanged at once, as by a merge: a crash leaves some of the
 * sets done, and by 1 any of them may be. 3. Before `done` keys are unique in a partition, but for what was not worth
 * writing: that is found again only when `clean` begins before it.
 */
#include <string.h>

#include "log/merge.h"
#include "log/plant.h"
#include "log/record_batch.h"

enum {
    MEMORY_BYTES = 64 << 20,
    READ_BYTES = 4 << 20,
    WORTH_SLACK_BYTES = 4 << 20, /* so much is written for any gain */
    WORTH_FACTOR = 8             /* more only if it is no more than so many times what goes */
};

/* ---- keys ---- */

/* Open addressing by a 128-bit hash, of which none is 0. */
struct slot {
    struct kp_hash128 hash;
    int64_t position;
};
struct keys {
    struct slot *slots;
    size_t slot_count, count, count_max;
};

static void keys_finish(struct keys *keys)
{
    kp_free(keys->slots);
    *keys = (struct keys){0};
}

static size_t slot_of(const struct keys *keys, struct kp_hash128 hash)
{
    size_t mask = keys->slot_count - 1, at = (size_t)hash.lo & mask;
    while ((keys->slots[at].hash.lo || keys->slots[at].hash.hi) &&
           (keys->slots[at].hash.lo != hash.lo || keys->slots[at].hash.hi != hash.hi))
        at = (at + 1) & mask;
    return at;
}

static void grow(struct keys *keys)
{
    struct keys larger = *keys;
    larger.slot_count = keys->slot_count ? keys->slot_count * 2 : 1024;
    larger.slots = kp_calloc(larger.slot_count, sizeof *larger.slots);
    for (size_t i = 0; i < keys->slot_count; i++)
        if (keys->slots[i].hash.lo || keys->slots[i].hash.hi)
            larger.slots[slot_of(&larger, keys->slots[i].hash)] = keys->slots[i];
    kp_free(keys->slots);
    *keys = larger;
}

/* Of a key the latest position counts. */
static void keys_put(struct keys *keys, struct kp_hash128 hash, int64_t position)
{
    if (keys->count * 2 >= keys->slot_count)
        grow(keys);
    struct slot *slot = &keys->slots[slot_of(keys, hash)];
    keys->count += slot->hash.lo == 0 && slot->hash.hi == 0;
    *slot = (struct slot){hash, position};
}

static struct slot *keys_find(const struct keys *keys, struct kp_hash128 hash)
{
    struct slot *slot = keys->slot_count ? &keys->slots[slot_of(keys, hash)] : NULL;
    return slot && (slot->hash.lo || slot->hash.hi) ? slot : NULL;
}

/* ---- records ---- */

struct compact {
    struct kp_log *log;
    struct kp_log_compaction *request;
    int64_t done;
    int64_t tail;           /* from here on batches are read from memory, whole */
    struct keys latest;     /* key to the position of its latest record between clean and done */
    struct keys tombstones; /* key, and id, to the position of a tombstone that may go; -1: it stays */
    int64_t *last;          /* of each partition: position of its last record before done */
    struct kp_buf text, ids, keep, rewritten;
    uint64_t removed_records, removed_bytes; /* of the set in work */
};

/* A record as compaction sees it. */
struct seen {
    int64_t position;
    struct kp_hash128 key, id; /* key: of partition, key and id; id: 0 without identify */
    bool keyed, tombstone;
};

static struct kp_hash128 not_zero(struct kp_hash128 hash)
{
    hash.lo |= hash.lo == 0 && hash.hi == 0;
    return hash;
}

static struct kp_hash128 key_hash(struct compact *compact, uint32_t partition, struct kp_str key, struct kp_hash128 id)
{
    struct {
        uint64_t generation; /* random: who chooses keys does not know their hashes */
        struct kp_hash128 id;
        uint64_t partition;
    } head = {compact->log->journal.generation, id, partition};
    compact->text.len = 0;
    kp_buf_append(&compact->text, &head, sizeof head);
    kp_buf_append(&compact->text, key.ptr, key.len);
    return not_zero(kp_hash128_bytes(compact->text.data, compact->text.len));
}

/* An id among the tombstones' keys. */
static struct kp_hash128 id_hash(struct kp_hash128 id)
{
    return not_zero((struct kp_hash128){id.lo ^ 0x9e3779b97f4a7c15u, id.hi});
}

static enum kp_code identify(struct compact *compact, const struct kp_log_chunk *chunk,
                             const struct kp_hash128 **ret_ids, struct kp_error *err)
{
    size_t bytes = (size_t)chunk->records * sizeof(struct kp_hash128);
    compact->ids.len = 0;
    struct kp_hash128 *ids = (void *)kp_buf_reserve(&compact->ids, bytes);
    memset(ids, 0, bytes);
    *ret_ids = ids;
    return compact->request->identify ? compact->request->identify(compact->request->arg, chunk, ids, err) : KP_OK;
}

/* Calls each(compact, chunk, seen, index) for every record of the chunk. */
static enum kp_code each_record(struct compact *compact, const struct kp_log_chunk *chunk,
                                void (*each)(struct compact *compact, const struct kp_log_chunk *chunk,
                                             const struct seen *seen, int32_t index),
                                struct kp_error *err)
{
    struct kp_arena arena = {0};
    struct kp_record_reader reader;
    struct kp_record record;
    struct kp_error local;
    const struct kp_hash128 *ids;
    enum kp_code code = kp_record_reader_init(&reader, chunk->batch, chunk->bytes, &arena, err);
    if (code == KP_OK)
        code = identify(compact, chunk, &ids, err);
    for (int32_t i = 0; code == KP_OK && kp_record_reader_next(&reader, &record, err ? err : &local); i++) {
        struct seen seen = {.position = chunk->position + record.offset_delta,
                            .keyed = record.key.ptr && !reader.info.control,
                            .tombstone = !record.value.ptr,
                            .id = ids[record.offset_delta]};
        if (seen.keyed)
            seen.key = key_hash(compact, chunk->partition, record.key, seen.id);
        each(compact, chunk, &seen, i);
    }
    if (code == KP_OK && reader.left > 0)
        code = err ? err->code : KP_CORRUPT;
    kp_arena_finish(&arena);
    return code;
}

static enum kp_code check_cancelled(const struct compact *compact, struct kp_error *err)
{
    const _Atomic bool *cancel = compact->request->cancel;
    if (cancel && atomic_load(cancel))
        return kp_fail(err, KP_CANCELLED, NULL, "canceling compaction due to user request");
    return atomic_load(&compact->log->sealing.stop) ? kp_fail(err, KP_CANCELLED, NULL, "the log is closing") : KP_OK;
}

/* ---- 1 and 2: reading ---- */

static void note_latest(struct compact *compact, const struct kp_log_chunk *chunk, const struct seen *seen,
                        int32_t index)
{
    if (seen->keyed && seen->position < compact->done)
        keys_put(&compact->latest, seen->key, seen->position);
}

static void note_tombstone(struct compact *compact, const struct kp_log_chunk *chunk, const struct seen *seen,
                           int32_t index)
{
    const struct slot *latest = keys_find(&compact->latest, seen->key);
    bool full = compact->tombstones.count >= compact->latest.count_max;
    if (seen->position < compact->done)
        compact->last[chunk->partition] = seen->position;
    if (!seen->keyed || !seen->tombstone || seen->position >= KP_MIN(compact->done, compact->tail) || full ||
        chunk->log_time_us >= compact->request->tombstones_before_us || (latest && latest->position != seen->position))
        return;
    keys_put(&compact->tombstones, seen->key, seen->position);
    if (compact->request->identify)
        keys_put(&compact->tombstones, id_hash(seen->id), seen->position);
}

static void hold_tombstones(struct compact *compact, const struct kp_log_chunk *chunk, const struct seen *seen,
                            int32_t index)
{
    struct slot *slots[2] = {seen->keyed ? keys_find(&compact->tombstones, seen->key) : NULL,
                             compact->request->identify ? keys_find(&compact->tombstones, id_hash(seen->id)) : NULL};
    for (int i = 0; i < 2; i++)
        if (slots[i] && slots[i]->position != seen->position)
            slots[i]->position = -1;
}

/* Reads the topic's records from `position` to compact->done; sets that to where memory is full. */
static enum kp_code walk(struct compact *compact, int64_t position, bool until_full,
                         void (*each)(struct compact *compact, const struct kp_log_chunk *chunk,
                                      const struct seen *seen, int32_t index),
                         struct kp_error *err)
{
    while (position < compact->done) {
        struct kp_log_span span;
        KP_TRY(check_cancelled(compact, err));
        KP_TRY(kp_log_read(compact->log, position, compact->done, READ_BYTES, &compact->request->topic, 1, &span, err));
        enum kp_code code = KP_OK;
        for (size_t i = 0; i < span.count && code == KP_OK; i++)
            code = each_record(compact, &span.chunks[i], each, err);
        bool moved = span.position_end > position;
        position = span.position_end;
        kp_log_span_release(&span);
        KP_TRY(code);
        if (!moved)
            break;
        if (until_full && compact->latest.count >= compact->latest.count_max)
            compact->done = KP_MIN(compact->done, position);
    }
    return KP_OK;
}

/* ---- 3: writing ---- */

static bool superseded(const struct compact *compact, const struct seen *seen)
{
    const struct slot *latest = keys_find(&compact->latest, seen->key);
    if (kp_log_planted == KP_PLANT_COMPACT_ALL)
        return latest;
    return latest && latest->position > seen->position;
}

static bool tombstone_goes(const struct compact *compact, const struct seen *seen, uint32_t partition)
{
    bool last = seen->position == compact->last[partition];
    const struct slot *slot = seen->tombstone && !last ? keys_find(&compact->tombstones, seen->key) : NULL;
    if (slot && kp_log_planted == KP_PLANT_TOMBSTONES_EARLY)
        return true;
    if (!slot || slot->position != seen->position)
        return false;
    slot = compact->request->identify ? keys_find(&compact->tombstones, id_hash(seen->id)) : slot;
    return slot && slot->position == seen->position;
}

static void decide(struct compact *compact, const struct kp_log_chunk *chunk, const struct seen *seen, int32_t index)
{
    bool goes = seen->keyed && seen->position < compact->done &&
                (superseded(compact, seen) || tombstone_goes(compact, seen, chunk->partition));
    kp_buf_append_byte(&compact->keep, !goes);
    compact->removed_records += goes;
}

/* struct kp_merge_thin's; counts what goes. */
static enum kp_code thin(void *arg, const struct kp_extent_run *run, const struct kp_order_entry *entry,
                         const uint8_t *batch, enum kp_thinned *ret_thinned, const struct kp_buf **ret_bytes,
                         struct kp_error *err)
{
    struct compact *compact = arg;
    const struct kp_log_chunk chunk = {.topic = run->topic,
                                       .partition = run->partition,
                                       .base_offset = entry->base_offset,
                                       .position = entry->position,
                                       .records = entry->records,
                                       .log_time_us = entry->log_time_us,
                                       .batch = batch,
                                       .bytes = entry->bytes};
    uint64_t before = compact->removed_records;
    *ret_thinned = KP_THIN_KEPT;
    *ret_bytes = NULL;
    if (entry->position >= compact->done)
        return KP_OK;
    compact->keep.len = 0;
    KP_TRY(each_record(compact, &chunk, decide, err));
    uint64_t gone = compact->removed_records - before;
    if (gone == compact->keep.len) {
        *ret_thinned = KP_THIN_GONE;
        compact->removed_bytes += entry->bytes;
    } else if (gone) {
        compact->rewritten.len = 0;
        KP_TRY(kp_record_batch_thin(batch, entry->bytes, compact->keep.data, &compact->rewritten, err));
        compact->removed_bytes += entry->bytes - KP_MIN(entry->bytes, (uint32_t)compact->rewritten.len);
        *ret_thinned = KP_THIN_REWRITTEN;
        *ret_bytes = &compact->rewritten;
    }
    return KP_OK;
}

static bool holds(const struct kp_extent_set *set, uint32_t topic)
{
    for (uint32_t r = 0; r < set->header.runs; r++)
        if (set->runs[r].topic == topic)
            return true;
    return false;
}

/* What a merge is about to write, but for its order and indexes. */
static uint64_t bytes_to_write(const struct kp_extents_writer *writer)
{
    uint64_t bytes = writer->header.data_bytes;
    for (size_t i = 0; i < writer->run_count; i++)
        bytes += writer->sorted[i].extent && !writer->runs[i].elsewhere ? writer->sorted[i].bytes : 0;
    return bytes;
}

static enum kp_code rewrite_set(struct compact *compact, struct kp_extent_set *set, const struct kp_topics *topics,
                                struct kp_error *err)
{
    const struct kp_merge_thin with = {compact->request->topic, thin, compact};
    struct kp_merge merge;
    kp_merge_init(&merge, compact->log, &set, 1, topics, compact->log->sealing.own_bytes);
    merge.thin = &with;
    compact->removed_records = compact->removed_bytes = 0;
    enum kp_code code = kp_merge_gather(&merge, err);
    uint64_t records = compact->removed_records, bytes = compact->removed_bytes;
    uint64_t writes = code == KP_OK ? bytes_to_write(&merge.writer) : 0;
    if (code == KP_OK && records && (writes <= WORTH_SLACK_BYTES || writes <= bytes * WORTH_FACTOR)) {
        code = kp_merge_write(&merge, err);
        if (code == KP_OK) {
            compact->request->records_removed += records;
            compact->request->bytes_removed += bytes;
        }
    }
    kp_merge_finish(&merge);
    return code;
}

/* The set behind `*position`, if it is to be compacted; moves on. The sealer. */
static enum kp_code compact_set(struct compact *compact, int64_t *position, struct kp_error *err)
{
    struct kp_log *log = compact->log;
    while (log->sealing.retiring) {
        bool did;
        KP_TRY(kp_sealing_retire(log, &did, err));
        if (!did)
            return kp_fail(err, KP_BUSY, NULL, "the log is being read");
    }
    kp_rwlock_read(&log->lock);
    struct kp_extent_set *set = kp_sealing_set_at(&log->sealing, *position);
    kp_rwlock_unlock(&log->lock);
    *position = set ? set->header.position_end : INT64_MAX;
    if (!set || set->rotten || set->header.position >= compact->done || !holds(set, compact->request->topic))
        return KP_OK;
    KP_TRY(check_cancelled(compact, err));
    struct kp_topics topics = {0};
    enum kp_code code = kp_sealing_topics(log, &topics, err);
    if (code == KP_OK)
        code = rewrite_set(compact, set, &topics, err);
    kp_topics_finish(&topics);
    return code;
}

static enum kp_code run(struct compact *compact, struct kp_error *err)
{
    struct kp_log_compaction *request = compact->request;
    struct kp_sealing *sealing = &compact->log->sealing;
    KP_TRY(walk(compact, request->clean, true, note_latest, err));
    if (request->tombstones_before_us > INT64_MIN) {
        KP_TRY(walk(compact, 0, false, note_tombstone, err));
        if (compact->tombstones.count)
            KP_TRY(walk(compact, 0, false, hold_tombstones, err));
    }
    kp_rwlock_write(&compact->log->lock); /* what goes is not to be seen in memory either */
    kp_tail_drop(&compact->log->tail, compact->done);
    kp_rwlock_unlock(&compact->log->lock);
    for (int64_t position = 0; position < compact->done;) {
        kp_mutex_lock(&sealing->step);
        enum kp_code code = compact_set(compact, &position, err);
        kp_mutex_unlock(&sealing->step);
        kp_mutex_lock(&compact->log->mutex);
        kp_cond_signal(&sealing->work); /* there may be something to retire */
        kp_mutex_unlock(&compact->log->mutex);
        KP_TRY(code);
    }
    return KP_OK;
}

enum kp_code kp_log_compact(struct kp_log *log, struct kp_log_compaction *compaction, struct kp_error *err)
{
    struct kp_log_sealed sealed;
    struct kp_topic_info info;
    if (log->read_only)
        return kp_fail(err, KP_CLOSED, "25006", "the log is open for reading only");
    KP_TRY(kp_log_topic_get(log, compaction->topic, &info, err));
    if (compaction->seal)
        KP_TRY(kp_sealing_all(log, err));
    kp_log_sealed(log, &sealed);
    struct compact compact = {.log = log, .request = compaction, .done = KP_MIN(compaction->horizon, sealed.position)};
    compact.latest.count_max =
        (compaction->memory_bytes ? compaction->memory_bytes : (size_t)MEMORY_BYTES) / (2 * sizeof(struct slot));
    compaction->records_removed = compaction->bytes_removed = 0;
    compact.done = KP_MAX(compact.done, compaction->clean);
    kp_rwlock_read(&log->lock);
    compact.tail = log->tail.count ? kp_tail_get(&log->tail, 0)->block->position : INT64_MAX;
    kp_rwlock_unlock(&log->lock);
    compact.last = kp_alloc(info.partitions * sizeof *compact.last);
    memset(compact.last, -1, info.partitions * sizeof *compact.last);
    enum kp_code code = run(&compact, err);
    kp_free(compact.last);
    keys_finish(&compact.latest);
    keys_finish(&compact.tombstones);
    kp_buf_finish(&compact.text);
    kp_buf_finish(&compact.ids);
    kp_buf_finish(&compact.keep);
    kp_buf_finish(&compact.rewritten);
    KP_TRY(code);
    compaction->done = compact.done;
    return KP_OK;
}

void kp_log_stored(struct kp_log *log, uint32_t topic, int64_t position, uint64_t *ret_all, uint64_t *ret_behind)
{
    *ret_all = *ret_behind = 0;
    kp_rwlock_read(&log->lock);
    for (size_t i = 0; i < log->sealing.set_count; i++) {
        const struct kp_extent_set *set = log->sealing.sets[i];
        for (uint32_t r = 0; r < set->header.runs; r++) {
            uint64_t bytes = set->runs[r].topic == topic ? set->runs[r].bytes : 0;
            *ret_all += bytes;
            *ret_behind += set->header.position_end > position ? bytes : 0;
        }
    }
    kp_rwlock_unlock(&log->lock);
}
