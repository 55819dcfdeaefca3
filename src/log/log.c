/* The log's opening and closing, its topics and its state. The way of an append is told in log/internal.h. */
#include "log/log.h"

#include "base/limits.h"
#include "log/files.h"
#include "log/internal.h"
#include "log/plant.h"
#include "log/quarantine.h"
#include "log/recover.h"
#include "log/state.h"

enum { TRIMS_AT_ONCE = 512 };

/* ---- opening ---- */

static enum kp_code lock_dir(struct kp_log *log, const struct kp_log_options *options, struct kp_error *err)
{
    struct kp_os *os = log->os;
    KP_TRY(kp_files_folder(os, options->dir, !options->unsafe_no_sync, err));
    size_t len = strlen(options->dir) + sizeof "/lock";
    char *path = kp_alloc(len);
    memcpy(path, options->dir, len - sizeof "/lock");
    memcpy(path + len - sizeof "/lock", "/lock", sizeof "/lock");
    enum kp_code code = os->lock(os->ctx, path, &log->lock_file, err);
    if (code == KP_OK) /* who takes the file for a leftover and removes it does not open the way for a second process */
        code = os->lock_folder(os->ctx, options->dir, &log->folder_lock, err);
    kp_free(path);
    if (code == KP_BUSY) {
        kp_error_context(err, "the log in \"%s\" is in use", options->dir);
        kp_error_hint(err, "Stop that process, or use another folder.");
    }
    if (code == KP_FORBIDDEN)
        kp_error_hint(err,
                      "A folder that cannot be written can be read: with `kappa backup`, `kappa sql`, `kappa log`.");
    return code;
}

static enum kp_code apply_recovered(void *arg, const struct kp_block_header *block, uint64_t location,
                                    struct kp_error *err)
{
    struct kp_log *log = arg;
    log->snapshots.recovered_bytes += kp_block_bytes(block);
    enum kp_code code = kp_log_apply(log, block, location, err);
    if (code == KP_CORRUPT && log->holes.count) { /* which topics it made is not known without what has rotted */
        const struct kp_hole *hole = log->holes.list[0];
        kp_error_detail(err, "Blocks before it have rotted, in file %llu from byte %llu on: %s.",
                        (unsigned long long)kp_location_file(hole->location),
                        (unsigned long long)kp_location_offset(hole->location), hole->wrong);
        kp_error_hint(err, "Restore the log from a backup: one of them has made a topic, or changed one. They stay as "
                           "they are; `kappa log verify` shows what is damaged.");
    }
    return code;
}

/* The journal's beginning is sealed: its state is in an extent. Where that has rotted, the records that no other extent
 * knows of are a hole. */
static enum kp_code begin_recovered(void *arg, const struct kp_folder *folder, struct kp_error *err)
{
    struct kp_log *log = arg;
    const struct kp_extent_header *anchor = &folder->anchor;
    struct kp_buf state = {0};
    int64_t position;
    KP_TRY(kp_folder_state(log->os, log->journal.dir, folder, &state, &position, err));
    enum kp_code code = state.len ? kp_state_read(state.data, state.len, &log->topics, err) : KP_OK;
    size_t len = 0;
    const uint8_t *producers = code == KP_OK && state.len ? kp_state_producers(state.data, state.len, &len) : NULL;
    if (code == KP_OK && producers && !kp_producers_take(&log->producers, producers, len))
        code = kp_fail(err, KP_CORRUPT, NULL, "what extent %llu in \"%s\" says of producers is malformed",
                       (unsigned long long)anchor->number, log->journal.dir);
    kp_buf_finish(&state);
    if (code == KP_OK && position < anchor->position_end)
        kp_holes_begin(log, anchor->file_last, position, anchor->position_end);
    atomic_store(&log->gaps, true);
    return code;
}

static void lost_recovered(void *arg, const struct kp_block_header *block, bool intact, uint64_t location)
{
    kp_holes_lost(arg, block, intact, location);
}

static void hole_recovered(void *arg, const struct kp_hole *hole)
{
    kp_holes_found(arg, hole);
}

static bool resume_recovered(void *arg, struct kp_journal_end *ret_end, struct kp_journal_end *ret_witness)
{
    return kp_snapshot_resume(arg, ret_end, ret_witness);
}

static enum kp_code recover(struct kp_log *log, struct kp_error *err)
{
    struct kp_recovery recovery = {.journal = &log->journal,
                                   .read_only = log->read_only,
                                   .threads = !log->read_only && !log->no_threads,
                                   .resume = resume_recovered,
                                   .begin = begin_recovered,
                                   .apply = apply_recovered,
                                   .lost = lost_recovered,
                                   .hole = hole_recovered,
                                   .arg = log};
    bool found;
    enum kp_code code = kp_recover(&recovery, &found, err);
    if (code == KP_OK && found)
        code = kp_sealing_open(log, &recovery, err);
    kp_folder_finish(&recovery.folder);
    KP_TRY(code);
    if (!found && log->read_only)
        return kp_fail(err, KP_NOT_FOUND, "58P01", "there is no log in \"%s\"", log->journal.dir);
    if (!found)
        KP_TRY(kp_journal_create(&log->journal, err));
    KP_TRY(kp_holes_settle(log, err));
    kp_quarantine_settle(log);
    kp_snapshots_recovered(log);
    for (uint32_t id = 1; id <= log->topics.id_count; id++) {
        struct kp_topic *topic = kp_topics_get(&log->topics, id);
        for (uint32_t i = 0; topic && i < topic->partition_count; i++)
            topic->partitions[i].next_offset = topic->partitions[i].end_offset;
        if (kp_log_planted == KP_PLANT_OFFSETS_REUSED && topic && topic->partitions[0].end_offset > 0)
            topic->partitions[0].next_offset = --topic->partitions[0].end_offset;
    }
    log->next_position = log->journal.end.position;
    log->era = 1;
    log->log_time_us = log->journal.end.log_time_us;
    log->next_topic = log->topics.id_count + 1;
    atomic_store(&log->position, log->next_position);
    log->opened = true;
    return KP_OK;
}

/* Of the journal's files that are not sealed. */
static uint64_t largest_file(const struct kp_log *log)
{
    const struct kp_journal *journal = &log->journal;
    uint64_t bytes = 0;
    for (uint64_t number = KP_MAX(kp_sealing_file_next(&log->sealing), journal->first_number);
         number <= kp_journal_last_number(journal); number++)
        bytes = KP_MAX(bytes, journal->files[number - journal->first_number].bytes);
    return bytes;
}

static enum kp_code open_into(struct kp_log *log, const struct kp_log_options *options, struct kp_error *err)
{
    if (!log->read_only)
        KP_TRY(lock_dir(log, options, err));
    KP_TRY(recover(log, err));
    if (log->read_only)
        return KP_OK;
    kp_files_discard_links(log->os, log->journal.dir);
    KP_TRY(kp_journal_start(&log->journal, !log->no_threads, err));
    kp_reserve_open(&log->journal.reserve, largest_file(log));
    if (log->holes.count)
        (void)kp_log_commit_closing(log); /* vouches for the last blocks: should they rot too, they are not cut */
    if (!log->no_threads) {
        kp_thread_start(&log->syncing.thread, "kappa-sync", 0, kp_log_run_syncer, log);
        log->syncing.runs = true;
        kp_thread_start(&log->writer, "kappa-log", 0, kp_log_run_writer, log);
        log->writer_runs = true;
        kp_thread_start(&log->sealing.thread, "kappa-seal", 0, kp_sealing_run, log);
        log->sealing.runs = true;
        log->snapshots.runs = !options->unsafe_no_sync;
        if (log->snapshots.runs)
            kp_thread_start(&log->snapshots.thread, "kappa-snapshot", 0, kp_snapshot_run, log);
    }
    return KP_OK;
}

enum kp_code kp_log_open(const struct kp_log_options *options, struct kp_log **ret_log, struct kp_error *err)
{
    struct kp_log *log = kp_calloc(1, sizeof *log);
    log->os = options->os;
    log->read_only = options->read_only;
    log->no_threads = options->no_threads;
    log->notice = options->notice;
    log->notice_arg = options->notice_arg;
    log->tail.bytes_max = options->tail_bytes ? options->tail_bytes : KP_LOG_TAIL_BYTES;
    kp_journal_init(&log->journal, options->os, options->dir, options->journal_file_bytes, options->unsafe_no_sync,
                    !options->read_only);
    kp_mutex_init(&log->mutex);
    kp_cond_init(&log->work);
    kp_cond_init(&log->space);
    kp_cond_init(&log->committed);
    kp_cond_init(&log->syncing.changed);
    kp_rwlock_init(&log->lock);
    kp_mutex_init(&log->hint_mutex);
    kp_sealing_init(log);
    kp_sealing_settings(&log->sealing, options);
    kp_holes_init(&log->holes);
    kp_snapshots_init(log, options->snapshot_bytes);
    kp_prefetch_init(&log->prefetch, &log->journal, !options->no_threads);
    enum kp_code code = open_into(log, options, err);
    if (code != KP_OK) {
        log->stopping = true;
        kp_log_close(log);
        return code;
    }
    *ret_log = log;
    return KP_OK;
}

void kp_log_close(struct kp_log *log)
{
    if (!log)
        return;
    bool opened = !log->stopping;
    kp_mutex_lock(&log->mutex);
    log->stopping = true;
    kp_cond_broadcast(&log->work);
    kp_cond_broadcast(&log->space);
    kp_cond_broadcast(&log->committed);
    atomic_store(&log->sealing.stop, true);
    kp_cond_broadcast(&log->sealing.work);
    kp_cond_broadcast(&log->snapshots.work);
    kp_mutex_unlock(&log->mutex);
    if (log->snapshots.runs)
        kp_thread_join(&log->snapshots.thread);
    if (log->sealing.runs) /* first: it may wait for the writer */
        kp_thread_join(&log->sealing.thread);
    if (log->writer_runs)
        kp_thread_join(&log->writer);
    if (log->syncing.runs) { /* it has nothing left to do */
        kp_mutex_lock(&log->mutex);
        log->syncing.stop = true;
        kp_cond_broadcast(&log->syncing.changed);
        kp_mutex_unlock(&log->mutex);
        kp_thread_join(&log->syncing.thread);
    }
    if (opened && !log->read_only && (kp_log_commit_closing(log) || log->journal.end.closed) && kp_snapshot_worth(log))
        (void)!kp_snapshot_write(log, NULL); /* the next start reads less */
    kp_prefetch_finish(&log->prefetch);
    kp_journal_finish(&log->journal);
    log->os->close(log->os->ctx, log->folder_lock);
    log->os->close(log->os->ctx, log->lock_file);
    kp_sealing_finish(log);
    kp_snapshots_finish(log);
    kp_holes_finish(&log->holes);
    kp_tail_finish(&log->tail);
    kp_slab_release(log->slab);
    kp_slab_trim();
    kp_topics_finish(&log->topics);
    kp_producers_finish(&log->producers);
    kp_free(log->marks);
    kp_mutex_finish(&log->hint_mutex);
    kp_rwlock_finish(&log->lock);
    kp_cond_finish(&log->syncing.changed);
    kp_cond_finish(&log->committed);
    kp_cond_finish(&log->space);
    kp_cond_finish(&log->work);
    kp_mutex_finish(&log->mutex);
    kp_free(log);
}

/* ---- topics ---- */

static void fill_info(const struct kp_topic *topic, struct kp_topic_info *ret_info)
{
    *ret_info = (struct kp_topic_info){
        .id = topic->id,
        .partitions = topic->partition_count,
        .internal = strncmp(topic->name, "__", 2) == 0 && !kp_topic_nameless(topic),
        .nameless = kp_topic_nameless(topic),
        .created_us = topic->created_us,
        .records = topic->records,
        .bytes = topic->bytes,
    };
    memcpy(ret_info->name, topic->name, strlen(topic->name) + 1);
}

/* Locked: mutex. */
static enum kp_code name_free(struct kp_log *log, const char *name, struct kp_error *err)
{
    bool taken = kp_topics_find(&log->topics, name, strlen(name));
    for (struct kp_log_pending_name *at = log->pending; at && !taken; at = at->next)
        taken = strcmp(at->name, name) == 0;
    return taken ? kp_fail(err, KP_EXISTS, NULL, "topic \"%s\" exists already", name) : KP_OK;
}

/* A topic of kappa's own: decisions of what goes are logged there. */
static bool is_own(const char *name)
{
    return strncmp(name, "__kappa_", 8) == 0;
}

static enum kp_code create_locked(struct kp_log *log, const char *name, uint32_t partitions, uint32_t *ret_id,
                                  struct kp_error *err)
{
    KP_TRY(kp_log_check(log, err));
    if (!is_own(name))
        KP_TRY(kp_log_check_room(log, err));
    KP_TRY(name_free(log, name, err));
    if (log->next_topic > KP_TOPIC_IDS_MAX)
        return kp_fail(err, KP_LIMIT, NULL, "%d topics were made, which is the most", (int)KP_TOPIC_IDS_MAX);
    struct kp_log_pending_name pending = {log->pending, name};
    log->pending = &pending;
    uint32_t id = log->next_topic++;
    struct kp_log_piece piece = {
        .header = {.kind = KP_ENTRY_TOPIC_CREATE,
                   .topic = id,
                   .partition = partitions,
                   .base_offset = log->os->wall_us(log->os->ctx),
                   .payload_bytes = (uint32_t)strlen(name)},
        .payload = name,
    };
    enum kp_code code = kp_log_enqueue_twice_and_wait(log, &piece, err);
    struct kp_log_pending_name **at = &log->pending;
    while (*at != &pending)
        at = &(*at)->next;
    *at = pending.next;
    KP_TRY(code);
    *ret_id = id;
    return KP_OK;
}

enum kp_code kp_log_topic_create(struct kp_log *log, const char *name, uint32_t partitions, uint32_t *ret_id,
                                 struct kp_error *err)
{
    KP_TRY(kp_topic_name_check(name, err));
    if (strncmp(name, KP_TOPIC_NAMELESS, strlen(KP_TOPIC_NAMELESS)) == 0)
        return kp_fail(err, KP_INVALID, "42939", "\"%s\" cannot be a topic's name: it would be one that was lost",
                       name);
    if (partitions < 1 || partitions > KP_PARTITIONS_MAX)
        return kp_fail(err, KP_INVALID, NULL, "a topic has 1 to %d partitions, not %u", (int)KP_PARTITIONS_MAX,
                       partitions);
    struct kp_room room = {.log = log};
    enum kp_code code;
    do {
        kp_mutex_lock(&log->mutex);
        code = create_locked(log, name, partitions, ret_id, err);
        kp_mutex_unlock(&log->mutex);
    } while (is_own(name) && kp_room_make(&room, code));
    return code;
}

static enum kp_code no_topic(uint32_t id, struct kp_error *err)
{
    return kp_fail(err, KP_NOT_FOUND, NULL, "topic %u does not exist", id);
}

static enum kp_code drop(struct kp_log *log, uint32_t id, struct kp_error *err)
{
    kp_mutex_lock(&log->mutex);
    struct kp_topic *topic = kp_topics_get(&log->topics, id);
    enum kp_code code = kp_log_check(log, err);
    if (code == KP_OK && (!topic || topic->dropping))
        code = no_topic(id, err);
    if (code == KP_OK) {
        topic->dropping = true;
        struct kp_log_piece piece = {.header = {.kind = KP_ENTRY_TOPIC_DROP, .topic = id}, .payload = ""};
        code = kp_log_enqueue_and_wait(log, &piece, 1, NULL, err);
    }
    kp_mutex_unlock(&log->mutex);
    return code;
}

enum kp_code kp_log_topic_drop(struct kp_log *log, uint32_t id, struct kp_error *err)
{
    struct kp_room room = {.log = log};
    enum kp_code code;
    do
        code = drop(log, id, err);
    while (kp_room_make(&room, code));
    return code;
}

static enum kp_code no_partition(const struct kp_topic *topic, uint32_t partition, struct kp_error *err)
{
    return kp_fail(err, KP_NOT_FOUND, NULL, "topic \"%s\" has no partition %u: it has %u", topic->name, partition,
                   topic->partition_count);
}

/* What trims a partition; *ret_piece has no kind if there is nothing to trim. Locked: mutex. */
static enum kp_code trim_piece(struct kp_log *log, const struct kp_topic *topic, uint32_t partition,
                               int64_t before_offset, struct kp_log_piece *ret_piece, struct kp_error *err)
{
    if (partition >= topic->partition_count)
        return no_partition(topic, partition, err);
    kp_rwlock_read(&log->lock);
    int64_t start_offset = topic->partitions[partition].start_offset;
    int64_t end_offset = topic->partitions[partition].end_offset;
    kp_rwlock_unlock(&log->lock);
    *ret_piece = (struct kp_log_piece){.payload = ""};
    if (before_offset <= start_offset)
        return KP_OK;
    if (before_offset > end_offset)
        return kp_fail(err, KP_LIMIT, NULL,
                       "cannot trim topic \"%s\", partition %u before offset %lld: it ends at %lld", topic->name,
                       partition, (long long)before_offset, (long long)end_offset);
    ret_piece->header = (struct kp_entry_header){
        .kind = KP_ENTRY_TRIM, .topic = topic->id, .partition = partition, .base_offset = before_offset};
    return KP_OK;
}

/* Partitions from `first` on, in one commit. Locked: mutex. */
static enum kp_code trim_locked(struct kp_log *log, uint32_t id, uint32_t first, const int64_t *before_offsets,
                                uint32_t count, struct kp_error *err)
{
    KP_TRY(kp_log_check(log, err));
    const struct kp_topic *topic = kp_topics_get(&log->topics, id);
    if (!topic || topic->dropping)
        return no_topic(id, err);
    struct kp_log_piece pieces[TRIMS_AT_ONCE];
    size_t used = 0;
    for (uint32_t i = 0; i < count; i++) {
        KP_TRY(trim_piece(log, topic, first + i, before_offsets[i], &pieces[used], err));
        used += pieces[used].header.kind == KP_ENTRY_TRIM;
    }
    return used ? kp_log_enqueue_and_wait(log, pieces, used, NULL, err) : KP_OK;
}

/* Of a log that is only read: for its readers, nothing on disk. Locked: mutex. */
static enum kp_code trim_seen(struct kp_log *log, uint32_t id, uint32_t first, const int64_t *before_offsets,
                              uint32_t count, struct kp_error *err)
{
    struct kp_topic *topic = kp_topics_get(&log->topics, id);
    if (!topic)
        return no_topic(id, err);
    kp_rwlock_write(&log->lock);
    for (uint32_t i = 0; i < count && first + i < topic->partition_count; i++)
        kp_topic_trim(topic, first + i, before_offsets[i]);
    atomic_store(&log->gaps, true);
    kp_rwlock_unlock(&log->lock);
    return KP_OK;
}

static enum kp_code trim_some(struct kp_log *log, uint32_t topic, uint32_t first, const int64_t *before_offsets,
                              uint32_t count, struct kp_error *err)
{
    struct kp_room room = {.log = log};
    enum kp_code code;
    do {
        kp_mutex_lock(&log->mutex);
        code = log->read_only ? trim_seen(log, topic, first, before_offsets, count, err)
                              : trim_locked(log, topic, first, before_offsets, count, err);
        kp_mutex_unlock(&log->mutex);
    } while (kp_room_make(&room, code));
    return code;
}

enum kp_code kp_log_trim(struct kp_log *log, uint32_t topic, uint32_t partition, int64_t before_offset,
                         struct kp_error *err)
{
    return trim_some(log, topic, partition, &before_offset, 1, err);
}

enum kp_code kp_log_trim_partitions(struct kp_log *log, uint32_t topic, const int64_t *before_offsets, uint32_t count,
                                    struct kp_error *err)
{
    for (uint32_t first = 0; first < count; first += TRIMS_AT_ONCE)
        KP_TRY(
            trim_some(log, topic, first, before_offsets + first, KP_MIN(count - first, (uint32_t)TRIMS_AT_ONCE), err));
    return KP_OK;
}

/* Locked: mutex. */
static enum kp_code skip_locked(struct kp_log *log, uint32_t id, uint32_t number, int64_t offset, struct kp_error *err)
{
    KP_TRY(kp_log_check(log, err));
    KP_TRY(kp_log_check_room(log, err));
    struct kp_topic *topic = kp_topics_get(&log->topics, id);
    if (!topic || topic->dropping)
        return no_topic(id, err);
    if (number >= topic->partition_count)
        return no_partition(topic, number, err);
    if (offset < topic->partitions[number].next_offset || offset > (int64_t)KP_JOURNAL_COUNT_MAX)
        return kp_fail(err, KP_LIMIT, NULL, "topic \"%s\", partition %u cannot go on at offset %lld: it ends at %lld",
                       topic->name, number, (long long)offset, (long long)topic->partitions[number].next_offset);
    topic->partitions[number].next_offset = offset; /* given back where there is no room (commit.c) */
    struct kp_log_piece piece = {
        .header = {.kind = KP_ENTRY_SKIP, .topic = id, .partition = number, .base_offset = offset}, .payload = ""};
    return kp_log_enqueue_twice_and_wait(log, &piece, err);
}

enum kp_code kp_log_skip(struct kp_log *log, uint32_t topic, uint32_t partition, int64_t offset, struct kp_error *err)
{
    kp_mutex_lock(&log->mutex);
    enum kp_code code = skip_locked(log, topic, partition, offset, err);
    kp_mutex_unlock(&log->mutex);
    return code;
}

enum kp_code kp_log_topic_find(struct kp_log *log, const char *name, struct kp_topic_info *ret_info,
                               struct kp_error *err)
{
    kp_rwlock_read(&log->lock);
    const struct kp_topic *topic = kp_topics_find(&log->topics, name, strlen(name));
    if (topic)
        fill_info(topic, ret_info);
    kp_rwlock_unlock(&log->lock);
    return topic ? KP_OK : kp_fail(err, KP_NOT_FOUND, NULL, "topic \"%.249s\" does not exist", name);
}

enum kp_code kp_log_topic_get(struct kp_log *log, uint32_t id, struct kp_topic_info *ret_info, struct kp_error *err)
{
    kp_rwlock_read(&log->lock);
    const struct kp_topic *topic = kp_topics_get(&log->topics, id);
    if (topic)
        fill_info(topic, ret_info);
    kp_rwlock_unlock(&log->lock);
    return topic ? KP_OK : no_topic(id, err);
}

void kp_log_topics(struct kp_log *log, struct kp_topic_info **ret_topics, size_t *ret_count)
{
    kp_rwlock_read(&log->lock);
    struct kp_topic_info *infos = kp_alloc(log->topics.live * sizeof *infos);
    size_t count = 0;
    for (uint32_t id = 1; id <= log->topics.id_count; id++)
        if (kp_topics_get(&log->topics, id))
            fill_info(kp_topics_get(&log->topics, id), &infos[count++]);
    kp_rwlock_unlock(&log->lock);
    *ret_topics = infos;
    *ret_count = count;
}

enum kp_code kp_log_partition(struct kp_log *log, uint32_t id, uint32_t partition, struct kp_partition_info *ret_info,
                              struct kp_error *err)
{
    enum kp_code code = KP_OK;
    kp_rwlock_read(&log->lock);
    const struct kp_topic *topic = kp_topics_get(&log->topics, id);
    if (!topic) {
        code = no_topic(id, err);
    } else if (partition >= topic->partition_count) {
        code = no_partition(topic, partition, err);
    } else {
        const struct kp_partition *at = &topic->partitions[partition];
        *ret_info = (struct kp_partition_info){at->start_offset, at->end_offset, at->max_timestamp_ms,
                                               at->bytes - at->bytes_gone};
    }
    kp_rwlock_unlock(&log->lock);
    return code;
}

/* ---- state ---- */

uint64_t kp_log_generation(struct kp_log *log)
{
    return log->journal.generation;
}

int64_t kp_log_position(struct kp_log *log)
{
    return atomic_load_explicit(&log->position, memory_order_acquire);
}

int64_t kp_log_time_us(struct kp_log *log)
{
    kp_rwlock_read(&log->lock);
    int64_t time_us = log->log_time_us;
    kp_rwlock_unlock(&log->lock);
    return time_us;
}

int64_t kp_log_wait(struct kp_log *log, int64_t position, int64_t timeout_us)
{
    int64_t until_ns = timeout_us >= 0 ? log->os->mono_ns(log->os->ctx) + timeout_us * 1000 : 0;
    if (kp_log_position(log) <= position && atomic_exchange_explicit(&log->disk_reads, false, memory_order_relaxed)) {
        kp_prefetch_drop(&log->prefetch); /* who waits for commits has caught up: an idle log gives its memory back */
        kp_slab_trim();
    }
    kp_mutex_lock(&log->mutex);
    uint64_t wakes = log->wakes;
    while (kp_log_position(log) <= position && !log->stopping && log->wakes == wakes && log->failure.code == KP_OK) {
        int64_t left_us = timeout_us >= 0 ? (until_ns - log->os->mono_ns(log->os->ctx)) / 1000 : -1;
        if (timeout_us >= 0 && left_us <= 0)
            break;
        if (log->no_threads) /* nobody else commits */
            break;
        kp_cond_wait_us(&log->committed, &log->mutex, left_us);
    }
    kp_mutex_unlock(&log->mutex);
    return kp_log_position(log);
}

void kp_log_wake(struct kp_log *log)
{
    kp_mutex_lock(&log->mutex);
    log->wakes++;
    kp_cond_broadcast(&log->committed);
    kp_mutex_unlock(&log->mutex);
}

void kp_log_listen(struct kp_log *log, void (*on_commit)(void *arg, int64_t position), void *arg)
{
    kp_mutex_lock(&log->mutex);
    KP_ASSERT(log->listener_count < KP_LOG_LISTENERS_MAX);
    log->listeners[log->listener_count].on_commit = on_commit;
    log->listeners[log->listener_count].arg = arg;
    log->listener_count++;
    kp_mutex_unlock(&log->mutex);
}

enum kp_code kp_log_health(struct kp_log *log, struct kp_error *err)
{
    kp_mutex_lock(&log->mutex);
    enum kp_code code = log->failure.code == KP_OK ? KP_OK : kp_log_check(log, err);
    kp_mutex_unlock(&log->mutex);
    return code;
}
