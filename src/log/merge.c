/*
 * Fewer and smaller extents. Extents of one partition and adopted journal files of which all is gone are taken off the
 * list. Four sets one behind the other that are of like size become one: their mixed extents' data is merged, other
 * extents stay as they are, and what was trimmed or dropped meanwhile is left out. A set most of whose own data is gone
 * is written anew; and one with an adopted file that is mostly dead, what is left of that copied into it. A run that is
 * trimmed does not count as dead while others of its topic in the file live: they are likely to follow.
 *
 * Merging like with like writes a byte again once per factor of four; and it stops when what merges wrote exceeds a
 * share of what was sealed, so that the whole log is written little more than twice (MERGED_PER_CENT). A hot partition
 * beside many cold ones merges the cold ones' little data only. Sets that are small beside what is sealed at once are
 * merged whatever that share is, many at a time: their number costs more than their bytes, as the list of extents is
 * logged at every step. When the list is long what is small is more.
 */
#include <stdlib.h>

#include "log/merge.h"
#include "log/plant.h"
#include "log/quarantine.h"
#include "log/state.h"

enum {
    SETS = 4,              /* merged into one, */
    SMALL_SETS = 256,      /* or so many of small ones */
    SMALL_PARTS = 64,      /* together they are such a part of what is sealed at once */
    ALIKE = 6,             /* the largest has at most so many times the bytes of the smallest, above the slack */
    SLACK_BYTES = 4 << 20, /* small logs may merge */
    MERGED_PER_CENT = 12,
    PARTS = 8, /* what is kept is in so many sets at least: retention by size goes by whole ones */
    PART_BYTES_MIN = 256 << 20,
    READ_BYTES = 1 << 20,
    WINDOW_BYTES = 32 << 20
};

bool kp_merge_run_gone(const struct kp_topics *topics, const struct kp_extent_run *run)
{
    uint32_t records =
        run->end_offset - run->base_offset > UINT32_MAX ? UINT32_MAX : (uint32_t)(run->end_offset - run->base_offset);
    return kp_topics_gone(topics, run->topic, run->partition, run->end_offset - records, records) == records;
}

/* ---- gathering ---- */

/* What a set's runs become: run + 1 of those that stay where they are, and the indexes of the others for their times.
 */
struct old_runs {
    uint32_t *elsewhere;
    struct kp_extent_index **index;
    uint32_t *at;  /* index entries passed */
    uint32_t base; /* of the numbers that tell runs of all sets apart */
};

static bool thins(const struct kp_merge *merge, uint32_t topic)
{
    return merge->thin && merge->thin->topic == topic;
}

static bool has_number(const struct kp_buf *numbers, uint64_t number)
{
    for (size_t i = 0; numbers && i < kp_folder_count(numbers); i++)
        if (kp_folder_number(numbers, i) == number)
            return true;
    return false;
}

static bool rewrites(const struct kp_merge *merge, const struct kp_extent_run *run)
{
    return kp_extent_adopted(run->extent) && has_number(merge->rewritten, run->extent);
}

static enum kp_code load_runs(struct kp_merge *merge, const struct kp_extent_set *set, struct old_runs *runs,
                              struct kp_error *err)
{
    for (uint32_t r = 0; r < set->header.runs; r++) {
        if (kp_merge_run_gone(&merge->current, &set->runs[r]))
            continue;
        KP_TRY(kp_extent_index_read(&merge->file, set, &set->runs[r], &runs->index[r], err));
        bool stays =
            kp_extent_run_lost(&set->runs[r]) || !(thins(merge, set->runs[r].topic) || rewrites(merge, &set->runs[r]));
        if (set->runs[r].extent && stays)
            runs->elsewhere[r] = kp_extents_add_run(&merge->writer, &set->runs[r], runs->index[r]);
    }
    return KP_OK;
}

/* The item of a pick, checked. */
static enum kp_code read_pick(struct kp_merge *merge, const struct kp_merge_pick *pick, const uint8_t **ret_batch,
                              struct kp_error *err)
{
    size_t head_bytes = kp_extent_head_bytes(pick->run), bytes = head_bytes + pick->entry.bytes;
    merge->thin_buffer.len = 0;
    const uint8_t *at = kp_buf_reserve(&merge->thin_buffer, bytes);
    KP_TRY(
        kp_extent_file_read(&merge->thin_file, pick->extent, merge->thin_buffer.data, pick->entry.place, bytes, err));
    const char *wrong = kp_extent_entry_wrong(pick->run, &pick->entry, at, bytes);
    if (wrong)
        return kp_fail(err, KP_CORRUPT, NULL, "extent %llu%s cannot be written anew: %s",
                       (unsigned long long)kp_extent_shown(pick->extent), kp_extent_suffix(pick->extent), wrong);
    *ret_batch = at + head_bytes;
    return KP_OK;
}

/* What becomes of the entry's batch, which is the thinned topic's. */
static enum kp_code thin_entry(struct kp_merge *merge, const struct kp_extent_set *set, const struct kp_extent_run *run,
                               const struct kp_order_entry *entry, struct kp_extents_batch *batch, struct kp_error *err)
{
    struct kp_merge_pick pick = {run->extent ? run->extent : set->header.number, run, *entry};
    enum kp_thinned thinned;
    const uint8_t *bytes;
    const struct kp_buf *rewritten;
    KP_TRY(read_pick(merge, &pick, &bytes, err));
    KP_TRY(merge->thin->thin(merge->thin->arg, run, entry, bytes, &thinned, &rewritten, err));
    batch->gone = thinned == KP_THIN_GONE;
    merge->writer.thinned |= thinned != KP_THIN_KEPT;
    if (thinned == KP_THIN_REWRITTEN)
        batch->bytes = (uint32_t)rewritten->len;
    if (!batch->gone)
        kp_buf_append(&merge->picks, &pick, sizeof pick);
    return KP_OK;
}

static enum kp_code add_entry(struct kp_merge *merge, const struct kp_extent_set *set, struct old_runs *runs,
                              const struct kp_order_entry *entry, struct kp_error *err)
{
    struct kp_extents_batch batch = {
        .bytes = entry->bytes,
        .records = entry->records,
        .base_offset = entry->base_offset,
        .position = entry->position,
        .log_time_us = entry->log_time_us,
        .gone = true,
        .group_end = entry->flags & KP_ORDER_GROUP_END,
        .more_flags = entry->flags & KP_ORDER_LOST,
    };
    if (entry->run < set->header.runs && runs->index[entry->run]) {
        const struct kp_extent_run *run = &set->runs[entry->run];
        const struct kp_extent_index *index = runs->index[entry->run];
        uint32_t *at = &runs->at[entry->run];
        while (*at + 1 < run->index_count && index[*at + 1].base_offset <= entry->base_offset)
            ++*at;
        batch.topic = run->topic;
        batch.partition = run->partition;
        batch.max_timestamp_ms = run->index_count ? index[*at].max_timestamp_ms : run->max_timestamp_ms;
        batch.source = runs->base + entry->run + 1;
        batch.elsewhere = runs->elsewhere[entry->run];
        batch.place = entry->place;
        batch.gone = !batch.elsewhere && kp_topics_gone(&merge->current, run->topic, run->partition, entry->base_offset,
                                                        entry->records) == entry->records;
        batch.more_flags |= batch.elsewhere ? entry->flags & KP_ORDER_EPOCH_ZERO : 0;
        if (kp_extent_run_lost(run)) {
            batch.gone = false;
        } else if (!batch.gone && thins(merge, run->topic)) {
            KP_TRY(thin_entry(merge, set, run, entry, &batch, err));
        } else if (!batch.gone && rewrites(merge, run)) {
            struct kp_merge_pick pick = {run->extent, run, *entry};
            kp_buf_append(&merge->picks, &pick, sizeof pick);
        }
    }
    kp_extents_add(&merge->writer, &batch);
    return KP_OK;
}

static enum kp_code gather_set(struct kp_merge *merge, const struct kp_extent_set *set, struct old_runs *runs,
                               struct kp_error *err)
{
    if (set->rotten) { /* all that it held was given up */
        kp_extents_lose(&merge->writer, merge->writer.item_count, set->header.position, set->header.position_end,
                        set->header.log_time_us, NULL, 0);
        return KP_OK;
    }
    KP_TRY(load_runs(merge, set, runs, err));
    struct kp_order_page *page = kp_alloc(sizeof *page);
    enum kp_code code = KP_OK;
    for (uint32_t number = 0; number < set->header.order_pages && code == KP_OK; number++) {
        code = kp_order_page_read(&merge->file, set, number, page, err);
        for (uint32_t i = 0; code == KP_OK && i < page->count; i++)
            code = add_entry(merge, set, runs, &page->entries[i], err);
    }
    kp_free(page);
    return code;
}

/* Extents of old runs that no new one lies in do not count any more. */
static void leave_out(struct kp_merge *merge)
{
    for (size_t i = 0; i < merge->count; i++)
        for (uint32_t r = 0; r < merge->sets[i]->header.runs; r++) {
            uint64_t number = merge->sets[i]->runs[r].extent;
            bool kept = !number || number == KP_EXTENT_LOST || has_number(&merge->without, number);
            for (size_t k = 0; k < merge->writer.run_count && !kept; k++)
                kept = merge->writer.runs[k].elsewhere && merge->writer.runs[k].run.extent == number;
            if (!kept)
                kp_buf_append(&merge->without, &number, sizeof number);
        }
}

enum kp_code kp_merge_gather(struct kp_merge *merge, struct kp_error *err)
{
    enum kp_code code = KP_OK;
    uint32_t base = 0;
    for (size_t i = 0; i < merge->count && code == KP_OK; i++) {
        uint32_t count = merge->sets[i]->header.runs;
        struct old_runs runs = {kp_calloc(count + 1, sizeof *runs.elsewhere),
                                kp_calloc(count + 1, sizeof(struct kp_extent_index *)),
                                kp_calloc(count + 1, sizeof *runs.at), base};
        base += count;
        merge->writer.thinned |= merge->sets[i]->header.format != KP_EXTENT_FORMAT; /* one that adopts may be, too */
        kp_buf_append(&merge->without, &merge->sets[i]->header.number, sizeof(uint64_t));
        code = gather_set(merge, merge->sets[i], &runs, err);
        for (uint32_t r = 0; r < count; r++)
            kp_free(runs.index[r]);
        kp_free(runs.at);
        kp_free(runs.index);
        kp_free(runs.elsewhere);
    }
    KP_TRY(code);
    leave_out(merge);
    const struct kp_extent_header *first = &merge->sets[0]->header, *last = &merge->sets[merge->count - 1]->header;
    struct kp_extent_header *header = &merge->writer.header;
    header->generation = last->generation;
    header->position = first->position;
    header->position_end = last->position_end;
    header->log_time_us = last->log_time_us;
    header->file_first = first->file_first;
    header->file_last = last->file_last;
    header->sequence = last->sequence;
    header->previous_crc = last->previous_crc;
    kp_extents_lay_out(&merge->writer);
    return KP_OK;
}

/* ---- copying ---- */

/* Gives the items that lie whole in bytes; *ret_used: of how many bytes they are. */
static enum kp_code put_items(struct kp_merge *merge, void *put_arg, const uint8_t *bytes, size_t len, bool end,
                              size_t *ret_used, struct kp_error *err)
{
    size_t at = 0;
    while (len - at >= sizeof(struct kp_extent_item)) {
        const struct kp_extent_item *item = (const void *)(bytes + at);
        size_t whole = (size_t)kp_extent_item_bytes(item->bytes);
        const char *wrong = item->bytes > KP_RECORD_BATCH_BYTES_MAX ? "a record batch does not fit" : NULL;
        if (!wrong && whole > len - at && !end)
            break;
        if (!wrong)
            wrong = kp_extent_item_wrong(item, len - at);
        if (wrong)
            return kp_fail(err, KP_CORRUPT, NULL, "extent %llu cannot be merged: %s",
                           (unsigned long long)merge->file.number, wrong);
        KP_TRY(kp_extents_put(&merge->writer, put_arg, item->position, item + 1, item->bytes, err));
        at += KP_MIN(whole, len - at);
    }
    *ret_used = at;
    return KP_OK;
}

/* The items of the set's mixed extent from place to until. */
static enum kp_code put_range(struct kp_merge *merge, const struct kp_extent_set *set, uint64_t place, uint64_t until,
                              void *put_arg, struct kp_buf *buffer, struct kp_error *err)
{
    buffer->len = 0;
    while (place < until || buffer->len) {
        size_t used = 0, want = (size_t)KP_MIN((uint64_t)READ_BYTES, until - place);
        KP_TRY(kp_extent_file_read(&merge->file, set->header.number, kp_buf_reserve(buffer, want), place, want, err));
        buffer->len += want;
        place += want;
        KP_TRY(put_items(merge, put_arg, buffer->data, buffer->len, place == until, &used, err));
        kp_buf_consume(buffer, used);
        if (place == until && !used && buffer->len)
            return kp_fail(err, KP_CORRUPT, NULL, "extent %llu cannot be merged: its data is cut off",
                           (unsigned long long)set->header.number);
    }
    return KP_OK;
}

/* All items but those of the thinned topic: its runs are one behind the other. */
static enum kp_code put_set(struct kp_merge *merge, const struct kp_extent_set *set, void *put_arg,
                            struct kp_buf *buffer, struct kp_error *err)
{
    uint64_t end = KP_SECTOR_BYTES + set->header.data_bytes, from = end, until = end;
    for (uint32_t r = 0; r < set->header.runs; r++) {
        const struct kp_extent_run *run = &set->runs[r];
        if (run->extent || !thins(merge, run->topic))
            continue;
        from = KP_MIN(from, run->place);
        until = run->place + run->bytes;
    }
    KP_TRY(put_range(merge, set, KP_SECTOR_BYTES, from, put_arg, buffer, err));
    return put_range(merge, set, until, end, put_arg, buffer, err);
}

/* The thinned topic's batches, and those of adopted files, in order: extents of one partition are filled front to
 * back. */
static enum kp_code put_picks(struct kp_merge *merge, void *put_arg, struct kp_error *err)
{
    const struct kp_merge_pick *picks = (const void *)merge->picks.data;
    for (size_t i = 0; i < merge->picks.len / sizeof *picks; i++) {
        enum kp_thinned thinned = KP_THIN_KEPT;
        const uint8_t *batch;
        const struct kp_buf *rewritten = NULL;
        KP_TRY(read_pick(merge, &picks[i], &batch, err));
        if (thins(merge, picks[i].run->topic))
            KP_TRY(
                merge->thin->thin(merge->thin->arg, picks[i].run, &picks[i].entry, batch, &thinned, &rewritten, err));
        KP_ASSERT(thinned != KP_THIN_GONE);
        bool whole = thinned == KP_THIN_KEPT;
        KP_TRY(kp_extents_put(&merge->writer, put_arg, picks[i].entry.position, whole ? batch : rewritten->data,
                              whole ? picks[i].entry.bytes : (uint32_t)rewritten->len, err));
    }
    return KP_OK;
}

static enum kp_code put_all(void *arg, struct kp_extents_writer *writer, void *put_arg, struct kp_error *err)
{
    struct kp_merge *merge = arg;
    struct kp_buf buffer = {0};
    enum kp_code code = KP_OK;
    for (size_t i = 0; i < merge->count && code == KP_OK; i++)
        code = atomic_load(&merge->log->sealing.stop) ? kp_fail(err, KP_CANCELLED, NULL, "the log is closing")
                                                      : put_set(merge, merge->sets[i], put_arg, &buffer, err);
    kp_buf_finish(&buffer);
    return code == KP_OK ? put_picks(merge, put_arg, err) : code;
}

void kp_merge_init(struct kp_merge *merge, struct kp_log *log, struct kp_extent_set *const *sets, size_t count,
                   const struct kp_topics *current, uint64_t own_bytes)
{
    *merge = (struct kp_merge){.log = log, .sets = sets, .count = count, .current = *current};
    merge->writer.os = log->os;
    merge->writer.dir = log->journal.dir;
    merge->writer.next_number = log->sealing.next_number;
    merge->writer.own_bytes = own_bytes;
    merge->writer.window_bytes = KP_MIN((uint64_t)WINDOW_BYTES, 4 * log->sealing.own_bytes);
    merge->writer.no_sync = log->journal.unsafe_no_sync;
    kp_log_extent_file_init(log, &merge->file, false);
    kp_log_extent_file_init(log, &merge->thin_file, false);
}

void kp_merge_finish(struct kp_merge *merge)
{
    kp_extent_file_finish(&merge->file);
    kp_extent_file_finish(&merge->thin_file);
    kp_extents_writer_finish(&merge->writer);
    kp_buf_finish(&merge->thin_buffer);
    kp_buf_finish(&merge->picks);
    kp_buf_finish(&merge->without);
}

enum kp_code kp_merge_write(struct kp_merge *merge, struct kp_error *err)
{
    struct kp_log *log = merge->log;
    struct kp_extents_source source = {put_all, merge};
    struct kp_buf state = {0};
    size_t newest = kp_log_planted == KP_PLANT_MERGED_STATE ? 0 : merge->count - 1;
    KP_TRY(kp_quarantine_state(log, merge->sets[newest], &state, err));
    enum kp_code code = kp_extents_write(&merge->writer, &source, &state, err);
    kp_buf_finish(&state);
    log->sealing.next_number = merge->writer.next_number;
    KP_TRY(code);
    struct kp_sealed_head head = log->sealing.head; /* only the sealer's entries change it */
    if (merge->thin)
        log->sealing.compact_bytes += kp_extents_made_bytes(&merge->writer);
    else
        head.merge_bytes += kp_extents_made_bytes(&merge->writer);
    return kp_sealing_count(log, &merge->writer, &head, &merge->without, err);
}

static enum kp_code merge_sets(struct kp_log *log, struct kp_extent_set *const *sets, size_t count,
                               struct kp_topics *current, const struct kp_buf *rewritten, struct kp_error *err)
{
    struct kp_merge merge;
    kp_merge_init(&merge, log, sets, count, current, UINT64_MAX);
    merge.rewritten = rewritten;
    enum kp_code code = kp_merge_gather(&merge, err);
    if (code == KP_OK)
        code = kp_merge_write(&merge, err);
    kp_merge_finish(&merge);
    log->sealing.merges_off |= code == KP_CORRUPT;
    return code;
}

/* ---- what is to be done ---- */

/* An extent that holds a partition's run, or an adopted file with some: what of it is there still. */
struct use {
    uint64_t number, bytes;
    uint64_t live_bytes;
    bool used, some_gone;
    uint64_t kept_bytes; /* with runs that are gone while others of their topic are not: they will be soon */
    size_t set;
};

static int use_by_number(const void *a, const void *b)
{
    uint64_t left = ((const struct use *)a)->number, right = ((const struct use *)b)->number;
    return (left > right) - (left < right);
}

/* Has the set a run of the topic in the extent that is not gone? */
static bool lives_on(const struct kp_extent_set *set, const struct kp_topics *current, const struct kp_extent_run *of)
{
    for (uint32_t r = 0; r < set->header.runs; r++)
        if (set->runs[r].topic == of->topic && set->runs[r].extent == of->extent &&
            !kp_merge_run_gone(current, &set->runs[r]))
            return true;
    return false;
}

static void count_use(struct use *use, const struct kp_extent_set *set, size_t at, const struct kp_topics *current,
                      const struct kp_extent_run *run)
{
    bool gone = kp_merge_run_gone(current, run);
    use->set = at;
    use->used = true;
    use->some_gone |= gone;
    use->live_bytes += gone ? 0 : run->bytes;
    use->kept_bytes += gone && !(kp_extent_adopted(run->extent) && lives_on(set, current, run)) ? 0 : run->bytes;
}

/* All that are listed but mixed extents, by number; to kp_free. */
static struct use *find_uses(const struct kp_sealing *sealing, const struct kp_topics *current, size_t *ret_count)
{
    struct use *uses = kp_calloc(sealing->head.extents + 1, sizeof *uses);
    size_t count = 0;
    for (size_t i = 0; i < sealing->head.extents; i++)
        if (sealing->extents[i].kind != KP_EXTENT_MIXED)
            uses[count++] = (struct use){.number = sealing->extents[i].number, .bytes = sealing->extents[i].bytes};
    qsort(uses, count, sizeof *uses, use_by_number);
    for (size_t i = 0; i < sealing->set_count; i++)
        for (uint32_t r = 0; r < sealing->sets[i]->header.runs; r++) {
            const struct kp_extent_run *run = &sealing->sets[i]->runs[r];
            const struct use key = {.number = run->extent};
            struct use *use = run->extent ? bsearch(&key, uses, count, sizeof *uses, use_by_number) : NULL;
            if (use)
                count_use(use, sealing->sets[i], i, current, run);
        }
    *ret_count = count;
    return uses;
}

/* Numbers of extents of which nothing is left. rotten: what no set uses may be one's that cannot be read. */
static void find_gone(const struct use *uses, size_t count, bool rotten, struct kp_buf *numbers)
{
    for (size_t i = 0; i < count; i++)
        if ((!uses[i].live_bytes && (uses[i].used || !rotten)) ||
            (uses[i].some_gone && kp_log_planted == KP_PLANT_ADOPTED_SHARED))
            kp_buf_append(numbers, &uses[i].number, sizeof uses[i].number);
}

/* An adopted file of which most is dead; NULL: none is. On a full disk less is enough, and nothing is waited for. */
static const struct use *find_dead(const struct use *uses, size_t count, bool full)
{
    for (size_t i = 0; i < count; i++)
        if (kp_extent_adopted(uses[i].number) && uses[i].used &&
            (full ? uses[i].live_bytes < uses[i].bytes / 8 * 5 : uses[i].kept_bytes < uses[i].bytes / 2))
            return &uses[i];
    return NULL;
}

/* Is most of the set's own data gone? */
static bool mostly_gone(const struct kp_extent_set *set, const struct kp_topics *current)
{
    uint64_t bytes = 0;
    for (uint32_t r = 0; r < set->header.runs; r++)
        bytes += set->runs[r].extent || !kp_merge_run_gone(current, &set->runs[r]) ? 0 : set->runs[r].bytes;
    return bytes > set->header.data_bytes / 2;
}

/* Of record batches that are not gone, in sets from `first` to before `end`. */
static uint64_t live_bytes(const struct kp_sealing *sealing, const struct kp_topics *current, size_t first, size_t end)
{
    uint64_t bytes = 0;
    for (size_t i = first; i < end; i++)
        for (uint32_t r = 0; r < sealing->sets[i]->header.runs; r++)
            if (!kp_merge_run_gone(current, &sealing->sets[i]->runs[r]))
                bytes += sealing->sets[i]->runs[r].bytes;
    return bytes;
}

/* How many sets from `first` on are of like size: up to SETS, and more of them while they are small together. */
static size_t count_alike(const struct kp_sealing *sealing, size_t first, uint64_t small_bytes, uint64_t *ret_sum)
{
    uint64_t least = UINT64_MAX, most = 0, sum = 0;
    size_t end = first;
    for (; end < sealing->set_count && end - first < SMALL_SETS && !sealing->sets[end]->rotten; end++) {
        uint64_t bytes = sealing->sets[end]->header.file_bytes;
        least = KP_MIN(least, bytes);
        most = KP_MAX(most, bytes);
        if (most > least * ALIKE || (end - first >= SETS && sum + bytes > small_bytes))
            break;
        sum += bytes;
    }
    *ret_sum = sum;
    return end - first;
}

/* Sets to be made one: how many from *ret_first on; 0: none. */
static size_t find_alike(const struct kp_sealing *sealing, const struct kp_topics *current, size_t *ret_first)
{
    bool list_long = kp_sealing_list_long(sealing);
    uint64_t allowed = SLACK_BYTES + sealing->head.batch_bytes / 100 * MERGED_PER_CENT;
    uint64_t together = KP_MAX(live_bytes(sealing, current, 0, sealing->set_count) / PARTS, (uint64_t)PART_BYTES_MIN);
    uint64_t small = KP_MAX(sealing->seal_bytes / SMALL_PARTS, list_long ? 4 * kp_sealing_list_bytes(sealing) : 0);
    for (size_t first = 0; first < sealing->set_count; first++) {
        uint64_t sum;
        *ret_first = first;
        if (mostly_gone(sealing->sets[first], current))
            return 1;
        size_t count = count_alike(sealing, first, small, &sum);
        if (count >= SETS && (sum <= small || list_long || sealing->head.merge_bytes + sum <= allowed) &&
            live_bytes(sealing, current, first, first + count) <= together)
            return count;
    }
    return 0;
}

/* Writes sets anew as one; a single one, to make room, on a full disk, too. */
static enum kp_code write_anew(struct kp_log *log, size_t first, size_t count, struct kp_topics *current,
                               const struct kp_buf *rewritten, struct kp_error *err)
{
    struct kp_room room = {.log = log};
    enum kp_code code;
    do
        code = merge_sets(log, log->sealing.sets + first, count, current, rewritten, err);
    while (count == 1 && kp_room_make(&room, code));
    return code;
}

/* Takes files off the list of which nothing is left; with only_gone, no more than that. */
static enum kp_code tidy(struct kp_log *log, struct kp_topics *current, bool only_gone, bool *ret_did,
                         struct kp_error *err)
{
    struct kp_sealing *sealing = &log->sealing; /* its sets change only by the sealer's own entries */
    struct kp_buf numbers = {0};
    size_t use_count, first = 0, count = 0;
    bool full = kp_reserve_given(&log->journal.reserve);
    struct use *uses = find_uses(sealing, current, &use_count);
    enum kp_code code = KP_OK;
    bool rotten = kp_quarantined(sealing);
    find_gone(uses, use_count, rotten, &numbers);
    if (!rotten)
        kp_buf_append(&numbers, sealing->superfluous.data, sealing->superfluous.len);
    *ret_did = numbers.len > 0;
    bool writes = !*ret_did && !only_gone && !sealing->merges_off;
    const struct use *dead = writes ? find_dead(uses, use_count, full) : NULL;
    if (*ret_did) {
        code = kp_sealing_count(log, NULL, &sealing->head, &numbers, err);
        if (code == KP_OK && !rotten)
            sealing->superfluous.len = 0;
    } else if (writes && rotten && kp_quarantine_gone(sealing, current, &first)) {
        count = 1;
    } else if (dead) {
        kp_buf_append(&numbers, &dead->number, sizeof dead->number);
        first = dead->set;
        count = 1;
    } else if (writes) {
        count = find_alike(sealing, current, &first);
    }
    kp_free(uses);
    if (count && (count == 1 || !full)) { /* the room is for what frees some */
        *ret_did = true;
        code = write_anew(log, first, count, current, &numbers, err);
    }
    kp_buf_finish(&numbers);
    return code;
}

enum kp_code kp_sealing_topics(struct kp_log *log, struct kp_topics *ret_topics, struct kp_error *err)
{
    struct kp_buf state = {0};
    kp_rwlock_read(&log->lock);
    kp_state_write(&log->topics, &state);
    kp_rwlock_unlock(&log->lock);
    enum kp_code code = kp_state_read(state.data, state.len, ret_topics, err);
    kp_buf_finish(&state);
    return code;
}

enum kp_code kp_sealing_tidy(struct kp_log *log, bool only_gone, bool *ret_did, struct kp_error *err)
{
    struct kp_topics current = {0};
    *ret_did = false;
    if (!log->sealing.set_count)
        return KP_OK;
    enum kp_code code = kp_sealing_topics(log, &current, err);
    if (code == KP_OK)
        code = tidy(log, &current, only_gone, ret_did, err);
    kp_topics_finish(&current);
    return code;
}
