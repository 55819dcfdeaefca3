/* Reading by offset: consumers' fetches and look-ups by time. */
#include "log/batches.h"

#include "log/record_batch.h"

static enum kp_code fetch_into(struct kp_batches *batches, size_t bytes_max, struct kp_buf *out, struct kp_error *err)
{
    size_t start = out->len;
    struct kp_found found;
    bool any;
    KP_TRY(kp_batches_seek(batches, err));
    for (;;) {
        enum kp_code code = kp_batches_next(batches, &found, &any, err);
        if (code == KP_CORRUPT && out->len > start) /* who goes on there is told */
            return KP_OK;
        KP_TRY(code);
        if (!any || (out->len > start && out->len - start + found.bytes > bytes_max))
            return KP_OK;
        kp_buf_append(out, found.batch, found.bytes);
        if (out->len - start >= bytes_max)
            return KP_OK;
    }
}

enum kp_code kp_log_fetch(struct kp_log *log, uint32_t topic, uint32_t partition, int64_t offset, size_t bytes_max,
                          struct kp_buf *out, struct kp_error *err)
{
    struct kp_batches batches = {.topic = topic, .partition = partition, .offset = offset};
    const struct kp_partition *at;
    const char *name;
    int64_t start_offset = 0, end_offset = 0;
    kp_batches_init(&batches, log); /* before it is looked what is there: that stays until the end */
    kp_rwlock_read(&log->lock);
    enum kp_code code = kp_log_find_partition(log, topic, partition, &at, &name, err);
    if (code == KP_OK) {
        start_offset = at->start_offset;
        end_offset = at->end_offset;
        if (offset < start_offset || offset > end_offset) {
            kp_fail(err, KP_LIMIT, NULL, "offset %lld is out of range: topic \"%s\", partition %u has %lld to %lld",
                    (long long)offset, name, partition, (long long)start_offset, (long long)end_offset);
            code =
                kp_error_hint(err, "Begin at offset %lld or at %lld.", (long long)start_offset, (long long)end_offset);
        }
    }
    kp_rwlock_unlock(&log->lock);
    size_t before = out->len;
    batches.end_offset = end_offset;
    if (code == KP_OK && offset < end_offset)
        code = fetch_into(&batches, bytes_max, out, err);
    kp_batches_finish(&batches);
    if (code != KP_OK)
        out->len = before;
    return code;
}

/* The first record at or after timestamp_ms in a batch that may have one; *ret_offset stays -1 if it has none. */
static enum kp_code search_batch(const struct kp_found *found, int64_t start_offset, int64_t timestamp_ms,
                                 int64_t *ret_offset, int64_t *ret_timestamp_ms, struct kp_error *err)
{
    struct kp_arena arena = {0};
    struct kp_record_reader reader;
    struct kp_record record;
    enum kp_code code = kp_record_reader_init(&reader, found->batch, found->bytes, &arena, err);
    while (code == KP_OK && kp_record_reader_next(&reader, &record, err))
        if (record.timestamp_ms >= timestamp_ms && found->base_offset + record.offset_delta >= start_offset) {
            *ret_offset = found->base_offset + record.offset_delta;
            *ret_timestamp_ms = record.timestamp_ms;
            break;
        }
    kp_arena_finish(&arena);
    return code;
}

static enum kp_code search_partition(struct kp_batches *batches, int64_t timestamp_ms, int64_t *ret_offset,
                                     int64_t *ret_timestamp_ms, struct kp_error *err)
{
    int64_t start_offset = batches->offset;
    KP_TRY(kp_batches_seek(batches, err));
    while (*ret_offset < 0) {
        struct kp_found found;
        bool any;
        KP_TRY(kp_batches_next(batches, &found, &any, err));
        if (!any)
            break;
        struct kp_record_batch_info info;
        KP_TRY(kp_record_batch_check(found.batch, found.bytes, false, &info, err));
        if (info.max_timestamp_ms >= timestamp_ms)
            KP_TRY(search_batch(&found, start_offset, timestamp_ms, ret_offset, ret_timestamp_ms, err));
    }
    return KP_OK;
}

/* The first index entry of the run whose time reaches timestamp_ms: its offset. The run's does. */
static enum kp_code time_in_run(struct kp_batches *batches, int64_t timestamp_ms, int64_t *ret_offset,
                                struct kp_error *err)
{
    struct kp_extent_index *index;
    KP_TRY(kp_extent_index_read(&batches->file, batches->set, batches->run, &index, err));
    uint32_t i = 0;
    while (i + 1 < batches->run->index_count && index[i].max_timestamp_ms < timestamp_ms)
        i++;
    *ret_offset = batches->run->index_count ? index[i].base_offset : batches->run->base_offset;
    kp_free(index);
    return KP_OK;
}

/* The partition's first run whose time reaches timestamp_ms and that is not wholly trimmed. Locked: lock. */
static void find_time_run(struct kp_batches *batches, int64_t start_offset, int64_t timestamp_ms)
{
    const struct kp_sealing *sealing = &batches->cursor.log->sealing;
    int64_t offset = start_offset;
    while ((batches->run = kp_batches_find_run(sealing, batches->topic, batches->partition, offset, &batches->set)) &&
           batches->run->max_timestamp_ms < timestamp_ms)
        offset = batches->run->end_offset;
}

/* Where the search for a time begins. */
static enum kp_code seek_time(struct kp_batches *batches, int64_t timestamp_ms, struct kp_error *err)
{
    struct kp_log *log = batches->cursor.log;
    const struct kp_partition *at;
    const char *name;
    int64_t start_offset = 0;
    kp_rwlock_read(&log->lock);
    enum kp_code code = kp_log_find_partition(log, batches->topic, batches->partition, &at, &name, err);
    if (code == KP_OK) {
        uint32_t low = 0, high = at->index_count; /* the first entry whose time reaches timestamp_ms */
        while (low < high) {
            uint32_t middle = low + (high - low) / 2;
            if (at->index[middle].max_timestamp_ms < timestamp_ms)
                low = middle + 1;
            else
                high = middle;
        }
        start_offset = at->start_offset;
        batches->end_offset = at->end_offset;
        batches->offset = low < at->index_count ? at->index[low].base_offset : at->end_offset;
        find_time_run(batches, start_offset, timestamp_ms);
    }
    kp_rwlock_unlock(&log->lock);
    KP_TRY(code);
    if (batches->run)
        KP_TRY(time_in_run(batches, timestamp_ms, &batches->offset, err));
    batches->offset = KP_MAX(batches->offset, start_offset);
    return KP_OK;
}

enum kp_code kp_log_offset_at(struct kp_log *log, uint32_t topic, uint32_t partition, int64_t timestamp_ms,
                              int64_t *ret_offset, int64_t *ret_timestamp_ms, struct kp_error *err)
{
    struct kp_batches batches = {.topic = topic, .partition = partition};
    int64_t offset = -1, found_ms = -1;
    kp_batches_init(&batches, log);
    enum kp_code code = seek_time(&batches, timestamp_ms, err);
    if (code == KP_OK && batches.offset < batches.end_offset)
        code = search_partition(&batches, timestamp_ms, &offset, &found_ms, err);
    kp_batches_finish(&batches);
    KP_TRY(code);
    *ret_offset = offset;
    *ret_timestamp_ms = found_ms;
    return KP_OK;
}
