/* Sets in the place of extents that cannot be read: log/quarantine.h. */
#include "log/quarantine.h"

#include <string.h>

#include "log/internal.h"
#include "log/merge.h"
#include "log/state.h"

const char *kp_quarantine_wrong(enum kp_code code)
{
    return code == KP_NOT_FOUND ? "its extent is not there" : "its extent's header or runs have rotted";
}

bool kp_quarantined(const struct kp_sealing *sealing)
{
    for (size_t i = 0; i < sealing->set_count; i++)
        if (sealing->sets[i]->rotten)
            return true;
    return false;
}

bool kp_quarantine_gone(const struct kp_sealing *sealing, const struct kp_topics *current, size_t *ret_set)
{
    for (size_t i = sealing->set_count; i-- > 0;) {
        const struct kp_extent_set *set = sealing->sets[i];
        for (uint32_t r = 0; set->rotten && r < set->header.runs; r++)
            if (!kp_merge_run_gone(current, &set->runs[r]))
                return false;
        if (set->rotten)
            *ret_set = i;
    }
    return true;
}

/* ---- which positions ---- */

/* No later than any of the set's records. */
static int64_t first_time(struct kp_log *log, const struct kp_extent_set *set)
{
    struct kp_extent_file file;
    struct kp_order_page *page = kp_alloc(sizeof *page);
    kp_log_extent_file_init(log, &file, false);
    bool known = set->header.order_pages && kp_order_page_read(&file, set, 0, page, NULL) == KP_OK;
    int64_t time_us = known ? page->log_time_us : set->header.log_time_us;
    kp_extent_file_finish(&file);
    kp_free(page);
    return time_us;
}

/* The set behind `before` (NULL: the log's first) and before `next` (NULL: the journal); NULL: nothing lacks there. */
static struct kp_extent_set *between(struct kp_log *log, const struct kp_extent_set *before,
                                     const struct kp_extent_set *next)
{
    const struct kp_sealed_head *head = &log->sealing.head;
    struct kp_extent_header header = {.generation = log->journal.generation, .kind = KP_EXTENT_MIXED};
    header.format = KP_EXTENT_FORMAT_LOST;
    header.position = before ? before->header.position_end : 0;
    header.position_end = next ? next->header.position : head->position;
    header.file_first = before ? before->header.file_last + 1 : 1;
    header.file_last = (next ? next->header.file_first : head->file_next) - 1;
    header.log_time_us = next ? first_time(log, next) : head->log_time_us;
    header.sequence = next ? 0 : head->sequence;
    header.previous_crc = next ? 0 : head->previous_crc;
    if (header.file_first > header.file_last)
        return NULL;
    struct kp_extent_set *set = kp_calloc(1, sizeof *set);
    set->header = header;
    return set;
}

enum kp_code kp_quarantine_sets(struct kp_log *log, const struct kp_buf *rotten, struct kp_error *err)
{
    struct kp_sealing *sealing = &log->sealing;
    const struct kp_quarantined *list = (const void *)rotten->data;
    size_t count = rotten->len / sizeof *list, used = 0, all = 0;
    if (!count)
        return KP_OK;
    struct kp_extent_set **sets = kp_calloc(2 * sealing->set_count + 2, sizeof(struct kp_extent_set *));
    for (size_t i = 0; i <= sealing->set_count; i++) {
        struct kp_extent_set *next = i < sealing->set_count ? sealing->sets[i] : NULL;
        struct kp_extent_set *set = between(log, i ? sealing->sets[i - 1] : NULL, next);
        const struct kp_quarantined *of = &list[KP_MIN(used, count - 1)];
        if (set) {
            set->header.number = of->number;
            set->rotten = of->wrong;
            sets[all++] = set;
            used++;
        }
        if (next)
            sets[all++] = next;
    }
    for (size_t i = used; i < count; i++)
        kp_buf_append(&sealing->superfluous, &list[i].number, sizeof list[i].number);
    kp_free(sealing->sets);
    sealing->sets = sets;
    sealing->set_count = all;
    if (used > count)
        return kp_fail(err, KP_CORRUPT, NULL, "extents are missing in \"%s\": %zu stretches lack, of %zu extents",
                       log->journal.dir, used, count);
    return KP_OK;
}

/* ---- which records ---- */

/* Offsets of a partition that lack: from the end of what sets before hold to what comes behind them. */
struct lack {
    int64_t from, until;
};

/* A row for each partition of each topic. */
struct lacks {
    struct lack *list;
    size_t *first; /* by topic id */
};

static struct lack *lack_of(const struct kp_topics *topics, const struct lacks *lacks, const struct kp_extent_run *run)
{
    const struct kp_topic *topic = kp_topics_get(topics, run->topic);
    return topic && run->partition < topic->partition_count ? &lacks->list[lacks->first[run->topic] + run->partition]
                                                            : NULL;
}

/* What lacks where set number `at` is, by all others. */
static struct lacks find_lacks(const struct kp_log *log, size_t at)
{
    const struct kp_topics *topics = &log->topics;
    struct lacks lacks = {.first = kp_calloc(topics->id_count + 1, sizeof(size_t))};
    size_t count = 0;
    for (uint32_t id = 1; id <= topics->id_count; id++) {
        lacks.first[id] = count;
        count += kp_topics_get(topics, id) ? kp_topics_get(topics, id)->partition_count : 0;
    }
    lacks.list = kp_calloc(count + 1, sizeof *lacks.list);
    for (uint32_t id = 1; id <= topics->id_count; id++) {
        const struct kp_topic *topic = kp_topics_get(topics, id);
        for (uint32_t p = 0; topic && p < topic->partition_count; p++)
            lacks.list[lacks.first[id] + p] =
                (struct lack){topic->partitions[p].start_offset, kp_partition_journal_offset(&topic->partitions[p])};
    }
    for (size_t i = 0; i < log->sealing.set_count; i++) {
        const struct kp_extent_set *set = log->sealing.sets[i];
        for (uint32_t r = 0; !set->rotten && r < set->header.runs; r++) {
            struct lack *lack = lack_of(topics, &lacks, &set->runs[r]);
            if (lack && i < at)
                lack->from = KP_MAX(lack->from, set->runs[r].end_offset);
            else if (lack)
                lack->until = KP_MIN(lack->until, set->runs[r].base_offset);
        }
    }
    return lacks;
}

static void lacks_finish(struct lacks *lacks)
{
    kp_free(lacks->list);
    kp_free(lacks->first);
}

static void add_run(struct kp_extent_set *set, uint32_t topic, uint32_t partition, const struct lack *lack, bool maybe)
{
    uint32_t count = set->header.runs++;
    if ((count & (count - 1)) == 0)
        set->runs = kp_realloc(set->runs, (count ? 2 * (size_t)count : 1) * sizeof *set->runs);
    set->runs[count] = (struct kp_extent_run){
        .topic = topic,
        .partition = partition,
        .base_offset = lack->from,
        .end_offset = lack->until,
        .place = (uint64_t)set->header.position,
        .extent = KP_EXTENT_LOST,
        .batches = (uint32_t)KP_MIN(set->header.position_end - set->header.position, (int64_t)UINT32_MAX),
        .sectors = maybe};
}

void kp_quarantine_settle(struct kp_log *log)
{
    size_t rotten = 0;
    for (size_t i = 0; i < log->sealing.set_count; i++)
        rotten += log->sealing.sets[i]->rotten != NULL;
    for (size_t i = 0; i < log->sealing.set_count; i++) {
        struct kp_extent_set *set = log->sealing.sets[i];
        if (!set->rotten || set->header.position == set->header.position_end)
            continue;
        struct lacks lacks = find_lacks(log, i);
        for (uint32_t id = 1; id <= log->topics.id_count; id++) {
            const struct kp_topic *topic = kp_topics_get(&log->topics, id);
            for (uint32_t p = 0; topic && p < topic->partition_count; p++) {
                const struct lack *lack = &lacks.list[lacks.first[id] + p];
                if (lack->from < lack->until)
                    add_run(set, id, p, lack, rotten > 1 || log->holes.unanchored);
            }
        }
        lacks_finish(&lacks);
    }
}

/* ---- the state ---- */

/* The topics as they are known now, as of the end of set number `at`. */
static void make_state(const struct kp_log *log, size_t at, struct kp_topics *now)
{
    struct lacks lacks = find_lacks(log, at + 1);
    for (uint32_t id = 1; id <= now->id_count; id++) {
        struct kp_topic *topic = kp_topics_get(now, id);
        const struct kp_topic *known = kp_topics_get(&log->topics, id);
        for (uint32_t p = 0; topic && known && p < topic->partition_count; p++) {
            struct kp_partition *partition = &topic->partitions[p];
            const struct kp_partition *of = &known->partitions[p];
            const struct lack *lack = &lacks.list[lacks.first[id] + p];
            uint64_t bytes = of->index_count ? of->index[0].bytes_before : partition->bytes;
            int64_t end = KP_MIN(KP_MAX(lack->until, lack->from), partition->end_offset);
            topic->records -= KP_MIN((uint64_t)(partition->end_offset - end), topic->records);
            topic->bytes -= KP_MIN(partition->bytes - bytes, topic->bytes);
            partition->end_offset = end;
            partition->start_offset = KP_MIN(partition->start_offset, end);
            partition->bytes = bytes;
            partition->bytes_gone = KP_MIN(partition->bytes_gone, bytes);
        }
    }
    lacks_finish(&lacks);
}

enum kp_code kp_quarantine_state(struct kp_log *log, const struct kp_extent_set *set, struct kp_buf *ret_state,
                                 struct kp_error *err)
{
    struct kp_buf state = {0};
    struct kp_topics now = {0};
    size_t at = 0;
    struct kp_extent_file file;
    kp_log_extent_file_init(log, &file, false);
    enum kp_code code = set->rotten ? KP_CORRUPT : kp_extent_state_read(&file, &set->header, ret_state, err);
    kp_extent_file_finish(&file);
    if (code != KP_CORRUPT)
        return code;
    kp_rwlock_read(&log->lock);
    kp_state_write(&log->topics, &state);
    code = kp_state_read(state.data, state.len, &now, err);
    while (at + 1 < log->sealing.set_count && log->sealing.sets[at] != set)
        at++;
    make_state(log, at, &now);
    kp_rwlock_unlock(&log->lock);
    state.len = 0;
    kp_state_write(&now, &state);
    kp_topics_finish(&now);
    if (code != KP_OK)
        kp_buf_finish(&state);
    else
        *ret_state = state;
    return code;
}
