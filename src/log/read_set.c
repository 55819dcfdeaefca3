/*
 * Reading by position from a set of extents.
 *
 * The set's order is walked from the position on and says which batches are wanted; that costs no look at those which
 * are not. Their items are then read file by file, near ones with one read, and checked, while the next read is on its
 * way (log/prefetch.h): the piece's own, and behind the last one what its reader will want next. The chunks are made in
 * the order of the log.
 */
#include "log/merge.h"
#include "log/probe.h"
#include "log/read.h"

#include <stdlib.h>

enum {
    NEAR_BYTES = 64 << 10, /* a gap between two items that is read along with them */
    PICKS_MAX = 256 << 10, /* of one piece: they are held in memory */
    READ_AHEAD_BYTES_MIN = 512 << 10
};

/* A batch that is wanted. */
struct pick {
    struct kp_order_entry entry;
    const uint8_t *batch;   /* once read */
    const char *wrong;      /* with it */
    uint32_t skip;          /* of its first records: trimmed */
    int64_t group_position; /* of its group's first one */
    bool group_end;
};

struct picks {
    struct kp_build *build;
    const struct kp_extent_set *set;
    struct kp_extent_file order; /* through the page cache: it is walked in small pieces, and found by halving */
    struct pick *list;
    size_t count, cap, whole_count; /* whole: of finished groups */
    size_t read_count;              /* of those: what is to be read */
    size_t group_first;
    int64_t group_position;
    uint64_t bytes;
    bool in_group, done;
    struct kp_order_entry next; /* behind the last one taken, if it is of the same page; else its run is none */
};

static const struct kp_extent_run *run_of(const struct picks *picks, const struct pick *pick)
{
    return &picks->set->runs[pick->entry.run];
}

static uint64_t extent_of(const struct picks *picks, const struct pick *pick)
{
    uint32_t extent = run_of(picks, pick)->extent;
    return extent ? extent : picks->set->header.number;
}

/* ---- what is wanted ---- */

/* Were all the run's records given up? */
static bool run_gone(const struct kp_build *build, const struct kp_extent_run *run)
{
    uint32_t last = (uint32_t)KP_MIN(run->end_offset - run->base_offset, (int64_t)UINT32_MAX);
    return kp_build_gone(build, run->topic, run->partition, run->end_offset - last, last) == last;
}

static void pick_entry(struct picks *picks, const struct kp_order_entry *entry)
{
    if (entry->run == KP_ORDER_NO_RUN)
        return;
    const struct kp_extent_run *run = &picks->set->runs[entry->run];
    bool lost = kp_extent_run_lost(run);
    if (!kp_build_wants(picks->build, run->topic) || (lost && run_gone(picks->build, run)))
        return;
    uint32_t skip =
        lost ? 0 : kp_build_gone(picks->build, run->topic, run->partition, entry->base_offset, entry->records);
    if (!lost && skip == entry->records)
        return;
    if (picks->count == picks->cap) {
        picks->cap = KP_MAX(picks->cap * 2, (size_t)64);
        picks->list = kp_realloc(picks->list, picks->cap * sizeof *picks->list);
    }
    picks->list[picks->count++] = (struct pick){.entry = *entry,
                                                .wrong = lost ? kp_extent_lost_wrong : NULL,
                                                .skip = skip,
                                                .group_position = picks->group_position};
    picks->bytes += entry->bytes;
}

/* Positions up to `position` are dealt with: there may be none of them left. */
static void move_on(struct kp_build *build, int64_t position)
{
    build->position = KP_MAX(build->position, KP_MIN(position, build->limit));
}

static enum kp_code take_entry(struct picks *picks, const struct kp_order_entry *entry, struct kp_error *err)
{
    struct kp_build *build = picks->build;
    if (entry->position + entry->records <= build->position)
        return KP_OK;
    if (!picks->in_group) {
        if (entry->position >= build->limit) {
            move_on(build, entry->position);
            build->stop = picks->done = true;
            return KP_OK;
        }
        bool begins = entry->position >= build->position && entry->flags & KP_ORDER_GROUP_FIRST;
        if (!begins && !(entry->flags & KP_ORDER_LOST)) /* what groups those were is not known */
            return kp_fail(err, KP_INVALID, NULL, "position %lld is not the start of a group of records",
                           (long long)build->position);
        picks->group_first = picks->count;
        picks->group_position = entry->position;
    }
    pick_entry(picks, entry);
    picks->in_group = !(entry->flags & KP_ORDER_GROUP_END);
    if (picks->in_group)
        return KP_OK;
    if (picks->count > picks->group_first)
        picks->list[picks->count - 1].group_end = true;
    picks->whole_count = picks->count;
    build->position = entry->position + entry->records;
    picks->done = picks->bytes >= build->bytes_max || picks->count >= PICKS_MAX;
    return KP_OK;
}

static enum kp_code take_page(struct picks *picks, const struct kp_order_page *page, struct kp_error *err)
{
    picks->next.run = KP_ORDER_NO_RUN;
    for (uint32_t i = 0; i < page->count && !picks->done; i++) {
        if (page->entries[i].run >= picks->set->header.runs && page->entries[i].run != KP_ORDER_NO_RUN)
            return kp_fail(err, KP_CORRUPT, NULL, "extent %llu names a run that it does not have",
                           (unsigned long long)picks->set->header.number);
        KP_TRY(take_entry(picks, &page->entries[i], err));
        if (picks->done && i + 1 < page->count)
            picks->next = page->entries[i + 1];
    }
    return KP_OK;
}

/* ---- rotten pages ---- */

/* Where reading goes on behind a rotten page of the order: with the first group that begins in a later one. */
static int64_t behind_page(struct kp_extent_file *order, const struct kp_extent_set *set, uint32_t number)
{
    struct kp_order_page *page = kp_alloc(sizeof *page);
    int64_t position = set->header.position_end;
    bool found = false;
    while (!found && ++number < set->header.order_pages)
        if (kp_order_page_read(order, set, number, page, NULL) == KP_OK)
            for (uint32_t i = 0; i < page->count && !found; i++)
                if (page->entries[i].flags & KP_ORDER_GROUP_FIRST) {
                    position = page->entries[i].position;
                    found = true;
                }
    kp_free(page);
    return position;
}

/* Of which partitions the page tells is not known: of any that the set has records of. By offset they can be read. */
static void put_runs(struct kp_log *log, const struct kp_extent_set *set, uint32_t number, struct kp_buf *out)
{
    kp_rwlock_read(&log->lock);
    for (uint32_t r = 0; r < set->header.runs; r++) {
        const struct kp_extent_run *run = &set->runs[r];
        const struct kp_log_damage damage = {.topic = run->topic,
                                             .partition = run->partition,
                                             .offset = run->base_offset,
                                             .offset_end = run->end_offset,
                                             .maybe = true,
                                             .extent = set->header.number,
                                             .file_offset =
                                                 set->header.order_at + (uint64_t)number * KP_ORDER_PAGE_BYTES,
                                             .wrong = "a page of the order of its extent fails its checksum"};
        if (!kp_merge_run_gone(&log->topics, run))
            kp_buf_append(out, &damage, sizeof damage);
    }
    kp_rwlock_unlock(&log->lock);
}

static enum kp_code page_damaged(struct picks *picks, uint32_t number, struct kp_error *err)
{
    struct kp_log *log = picks->build->log;
    struct kp_buf damages = {0};
    bool told = false;
    put_runs(log, picks->set, number, &damages);
    for (size_t i = 0; i < damages.len / sizeof(struct kp_log_damage); i++) {
        struct kp_log_damage *damage = (struct kp_log_damage *)(void *)damages.data + i;
        damage->position = picks->build->position;
        damage->position_end = behind_page(&picks->order, picks->set, number);
        kp_damage_note(log, damage);
        if (!told && kp_build_wants(picks->build, damage->topic))
            told = kp_log_damage_error(log, damage, err) != KP_OK;
    }
    kp_buf_finish(&damages);
    return KP_CORRUPT;
}

static bool set_wanted(const struct picks *picks)
{
    for (uint32_t r = 0; r < picks->set->header.runs; r++)
        if (kp_build_wants(picks->build, picks->set->runs[r].topic) && !run_gone(picks->build, &picks->set->runs[r]))
            return true;
    return false;
}

/* Of a set of which nothing can be read: an error for those who want what it held, others pass over it. */
static enum kp_code pass_rotten(struct picks *picks, struct kp_error *err)
{
    struct kp_build *build = picks->build;
    for (uint32_t r = 0; r < picks->set->header.runs; r++) {
        const struct kp_extent_run *run = &picks->set->runs[r];
        if (!kp_build_wants(build, run->topic) || run_gone(build, run))
            continue;
        struct kp_log_damage damage = kp_hole_sealed(picks->set, run);
        picks->done = build->position > build->start; /* up to here */
        return picks->done ? KP_OK : kp_log_damage_error(build->log, &damage, err);
    }
    move_on(build, picks->set->header.position_end);
    return KP_OK;
}

/* Nothing is looked at of a set that has nothing wanted and ends before the limit; in any other the order tells where
 * the group ends that holds the limit. */
static enum kp_code choose(struct picks *picks, struct kp_error *err)
{
    if (picks->set->rotten)
        return pass_rotten(picks, err);
    struct kp_build *build = picks->build;
    const struct kp_extent_header *header = &picks->set->header;
    struct kp_order_page *page = kp_alloc(sizeof *page);
    bool wanted = set_wanted(picks);
    uint32_t number = 0, pages = wanted || header->position_end > build->limit ? header->order_pages : 0;
    enum kp_code code = KP_OK;
    if (pages)
        code = kp_order_page_find(&picks->order, picks->set, build->position, false, &number, err);
    for (; number < pages && !picks->done && code == KP_OK; number++) {
        code = kp_order_page_read(&picks->order, picks->set, number, page, err);
        if (code == KP_OK) {
            code = take_page(picks, page, err);
        } else if (code == KP_CORRUPT && !wanted) {
            build->position = behind_page(&picks->order, picks->set, number);
            picks->in_group = false;
            picks->done = true;
            code = KP_OK;
        } else if (code == KP_CORRUPT) {
            picks->done = build->position > build->start; /* up to here */
            code = picks->done ? KP_OK : page_damaged(picks, number, err);
        }
    }
    kp_free(page);
    if (code == KP_OK && !picks->done)
        move_on(picks->build, header->position_end);
    return code;
}

/* ---- reading it ---- */

static int by_place(const void *a, const void *b, void *arg)
{
    const struct pick *left = *(const struct pick *const *)a, *right = *(const struct pick *const *)b;
    uint64_t left_extent = extent_of(arg, left), right_extent = extent_of(arg, right);
    if (left_extent != right_extent)
        return left_extent < right_extent ? -1 : 1;
    return (left->entry.place > right->entry.place) - (left->entry.place < right->entry.place);
}

static uint64_t item_end(const struct picks *picks, const struct pick *pick)
{
    return pick->entry.place + kp_extent_head_bytes(run_of(picks, pick)) + pick->entry.bytes;
}

/* How many picks from `first` on are read at once, at most `most` bytes but for a single one; which bytes of their
 * file. */
static size_t near(const struct picks *picks, struct pick *const *order, size_t first, uint64_t most,
                   uint64_t *ret_from, uint64_t *ret_until)
{
    uint64_t from = order[first]->entry.place & ~(uint64_t)(KP_SECTOR_BYTES - 1), until = item_end(picks, order[first]);
    size_t i = first + 1;
    for (; i < picks->read_count && extent_of(picks, order[i]) == extent_of(picks, order[first]) &&
           order[i]->entry.place <= until + NEAR_BYTES && kp_sector_ceil(item_end(picks, order[i])) - from <= most;
         i++)
        until = item_end(picks, order[i]);
    *ret_from = from;
    *ret_until = kp_sector_ceil(until);
    return i - first;
}

/* A read of some picks. */
struct stretch {
    size_t first, count;
    uint64_t extent, from, until;
};

static struct stretch next_stretch(const struct picks *picks, struct pick *const *order, size_t first)
{
    struct stretch stretch = {.first = first};
    if (first == picks->read_count)
        return stretch;
    stretch.extent = extent_of(picks, order[first]);
    uint64_t begin = order[first]->entry.place & ~(uint64_t)(KP_SECTOR_BYTES - 1);
    uint64_t asked = kp_prefetch_asked(&picks->build->log->prefetch, stretch.extent, begin);
    uint64_t most = asked ? asked : (uint64_t)KP_SLAB_READ_BYTES; /* what is on its way goes as far as it goes */
    stretch.count = near(picks, order, first, most, &stretch.from, &stretch.until);
    return stretch;
}

/* Asks for what follows the last stretch of the piece in its extent, if the piece ended for its size. */
static void read_on(const struct picks *picks, struct pick *const *order, const struct stretch *last)
{
    const struct pick *pick = order[last->first + last->count - 1];
    const struct kp_extent_run *run = run_of(picks, pick);
    uint64_t end = kp_extent_run_end(run), at = item_end(picks, pick);
    if (kp_extent_adopted(run->extent)) { /* the next one may lie in another block */
        bool here =
            picks->next.run < picks->set->header.runs && picks->set->runs[picks->next.run].extent == run->extent;
        at = here ? picks->next.place : end;
    }
    if (!picks->done || picks->build->stop || end <= at || last->until - last->from < READ_AHEAD_BYTES_MIN)
        return;
    at &= ~(uint64_t)(KP_SECTOR_BYTES - 1);
    uint64_t bytes = KP_MIN(kp_sector_ceil(end) - at, (uint64_t)KP_SLAB_READ_BYTES);
    kp_prefetch_want_extent(&picks->build->log->prefetch, last->extent, at, (size_t)bytes);
}

static void take_pick(const struct picks *picks, struct pick *pick, const uint8_t *at)
{
    const struct kp_extent_run *run = run_of(picks, pick);
    pick->batch = at + kp_extent_head_bytes(run);
    pick->wrong = kp_extent_entry_wrong(run, &pick->entry, at, kp_extent_head_bytes(run) + pick->entry.bytes);
}

/* The file is gone, or shorter than it was: that is damage of what it held. */
static bool is_loss(enum kp_code code)
{
    return code == KP_NOT_FOUND || code == KP_CORRUPT;
}

/* The stretch is not there as a whole: batch by batch, each that is not is damaged by itself. */
static enum kp_code read_one_by_one(struct picks *picks, struct pick *const *order, const struct stretch *stretch,
                                    struct kp_error *err)
{
    struct kp_log *log = picks->build->log;
    struct kp_extent_file file;
    enum kp_code code = KP_OK;
    kp_log_extent_file_init(log, &file, false);
    for (size_t i = stretch->first; i < stretch->first + stretch->count && code == KP_OK; i++) {
        size_t bytes = (size_t)(item_end(picks, order[i]) - order[i]->entry.place);
        struct kp_slab *slab = kp_read_slab(kp_sector_ceil(bytes));
        code = kp_extent_file_read(&file, stretch->extent, slab->memory, order[i]->entry.place, bytes, err);
        if (code == KP_OK) {
            take_pick(picks, order[i], slab->memory);
            kp_build_keep(picks->build, slab);
            continue;
        }
        kp_slab_release(slab);
        if (is_loss(code)) {
            order[i]->wrong = code == KP_NOT_FOUND ? "the file is not there" : "the file ends before it";
            code = KP_OK;
        }
    }
    kp_extent_file_finish(&file);
    return code;
}

static enum kp_code read_stretch(struct picks *picks, struct pick *const *order, struct kp_extent_file *file,
                                 const struct stretch *stretch, const struct stretch *next, struct kp_error *err)
{
    struct kp_prefetch *prefetch = &picks->build->log->prefetch;
    size_t bytes = (size_t)(stretch->until - stretch->from), got = 0;
    struct kp_slab *slab = kp_prefetch_take_extent(prefetch, stretch->extent, stretch->from, &got);
    if (next->count && next->until - next->from >= READ_AHEAD_BYTES_MIN)
        kp_prefetch_want_extent(prefetch, next->extent, next->from, (size_t)(next->until - next->from));
    if (slab && got < bytes) { /* one batch that is larger than what was read */
        kp_slab_release(slab);
        slab = NULL;
    }
    if (!slab) {
        slab = kp_read_slab(bytes);
        enum kp_code code = kp_extent_file_read(file, stretch->extent, slab->memory, stretch->from, bytes, err);
        if (code != KP_OK) {
            kp_slab_release(slab);
            return is_loss(code) ? read_one_by_one(picks, order, stretch, err) : code;
        }
    }
    for (size_t i = stretch->first; i < stretch->first + stretch->count; i++)
        take_pick(picks, order[i], slab->memory + (order[i]->entry.place - stretch->from));
    kp_build_keep(picks->build, slab);
    return KP_OK;
}

static enum kp_code read_picks(struct picks *picks, struct pick **order, struct kp_error *err)
{
    struct kp_log *log = picks->build->log;
    struct kp_extent_file file;
    enum kp_code code = KP_OK;
    kp_log_extent_file_init(log, &file, !log->journal.unsafe_no_sync);
    struct stretch stretch = next_stretch(picks, order, 0);
    while (stretch.count && code == KP_OK) {
        struct stretch next = next_stretch(picks, order, stretch.first + stretch.count);
        code = read_stretch(picks, order, &file, &stretch, &next, err);
        if (!next.count && code == KP_OK)
            read_on(picks, order, &stretch);
        stretch = next;
    }
    kp_extent_file_finish(&file);
    atomic_store_explicit(&log->disk_reads, true, memory_order_relaxed);
    return code;
}

static enum kp_code damaged(const struct picks *picks, const struct pick *pick, const char *wrong, struct kp_error *err)
{
    struct kp_log *log = picks->build->log;
    const struct kp_extent_run *run = &picks->set->runs[pick->entry.run];
    uint64_t extent = extent_of(picks, pick);
    struct kp_topic_info info;
    bool known = kp_log_topic_get(log, run->topic, &info, NULL) == KP_OK;
    if (kp_extent_run_lost(run)) {
        struct kp_log_damage damage = kp_hole_sealed(picks->set, run);
        return kp_log_damage_error(log, &damage, err);
    }
    kp_fail(err, KP_CORRUPT, NULL,
            "topic \"%s\", partition %u is damaged at offsets %lld to %lld (positions %lld to %lld): %s",
            known ? info.name : "", run->partition, (long long)pick->entry.base_offset,
            (long long)pick->entry.base_offset + pick->entry.records - 1, (long long)pick->entry.position,
            (long long)pick->entry.position + pick->entry.records - 1, wrong);
    struct kp_log_damage met = {.position = pick->entry.position,
                                .position_end = pick->entry.position + pick->entry.records,
                                .topic = run->topic,
                                .partition = run->partition,
                                .offset = pick->entry.base_offset,
                                .offset_end = pick->entry.base_offset + pick->entry.records,
                                .extent = kp_extent_shown(extent),
                                .adopted = kp_extent_adopted(extent),
                                .file_offset = pick->entry.place,
                                .wrong = wrong};
    kp_damage_note(log, &met);
    kp_error_detail(err, "It lies in extent %llu%s of \"%s\", at byte %llu.",
                    (unsigned long long)kp_extent_shown(extent), kp_extent_suffix(extent), log->journal.dir,
                    (unsigned long long)pick->entry.place);
    return kp_log_damage_hint(known && info.internal, err);
}

/* Makes chunks of the picks, up to the group with the first damaged one; fails when that is where the read begins. */
static enum kp_code make_chunks(struct picks *picks, struct kp_error *err)
{
    struct kp_build *build = picks->build;
    for (size_t i = 0; i < picks->whole_count; i++) {
        const struct pick *pick = &picks->list[i];
        const struct kp_extent_run *run = &picks->set->runs[pick->entry.run];
        if (pick->wrong && build->whole_count == 0 && pick->group_position <= build->start)
            return damaged(picks, pick, pick->wrong, err);
        if (pick->wrong) {
            build->chunk_count = build->whole_count;
            build->position = pick->group_position;
            return KP_OK;
        }
        *kp_build_chunk(build) = (struct kp_log_chunk){
            .topic = run->topic,
            .partition = run->partition,
            .base_offset = pick->entry.base_offset,
            .position = pick->entry.position,
            .records = pick->entry.records,
            .skip = pick->skip,
            .log_time_us = pick->entry.log_time_us,
            .batch = pick->batch,
            .bytes = pick->entry.bytes,
            .group_end = pick->group_end,
        };
        if (pick->group_end)
            build->whole_count = build->chunk_count;
    }
    return KP_OK;
}

static enum kp_code take_picks(struct picks *picks, struct kp_error *err)
{
    KP_TRY(choose(picks, err));
    if (!picks->whole_count)
        return KP_OK;
    struct pick **order = kp_alloc(picks->whole_count * sizeof(struct pick *));
    for (size_t i = 0; i < picks->whole_count; i++)
        if (!picks->list[i].wrong)
            order[picks->read_count++] = &picks->list[i];
    qsort_r(order, picks->read_count, sizeof(struct pick *), by_place, picks);
    enum kp_code code = read_picks(picks, order, err);
    kp_free(order);
    KP_TRY(code);
    return make_chunks(picks, err);
}

enum kp_code kp_build_take_set(struct kp_build *build, bool *ret_sealed, struct kp_error *err)
{
    struct kp_log *log = build->log;
    kp_rwlock_read(&log->lock);
    struct picks picks = {.build = build, .set = kp_sealing_set_at(&log->sealing, build->position)};
    kp_rwlock_unlock(&log->lock);
    *ret_sealed = picks.set != NULL;
    if (!picks.set)
        return KP_OK;
    kp_log_extent_file_init(log, &picks.order, false);
    enum kp_code code = take_picks(&picks, err);
    kp_extent_file_finish(&picks.order);
    kp_free(picks.list);
    build->at = build->position;
    build->bytes += picks.bytes;
    build->pieced = true;
    return code;
}

/* ---- what is damaged ---- */

/* Appends the batch; *ret_rotten: it cannot be read. */
static void put_batch(struct kp_extent_file *file, const struct kp_extent_set *set, const struct kp_order_entry *entry,
                      struct kp_buf *out, bool *ret_rotten)
{
    if (entry->run >= set->header.runs)
        return;
    const struct kp_extent_run *run = &set->runs[entry->run];
    uint64_t number = run->extent ? run->extent : set->header.number;
    if (kp_extent_run_lost(run)) {
        *ret_rotten = true;
        struct kp_log_damage lost = kp_hole_sealed(set, run);
        kp_buf_append(out, &lost, sizeof lost);
        return;
    }
    struct kp_log_damage damage = {.topic = run->topic,
                                   .partition = run->partition,
                                   .offset = entry->base_offset,
                                   .offset_end = entry->base_offset + entry->records,
                                   .extent = kp_extent_shown(number),
                                   .adopted = kp_extent_adopted(number),
                                   .file_offset = entry->place,
                                   .wrong = "a record batch of its group is damaged"};
    size_t bytes = kp_extent_head_bytes(run) + entry->bytes;
    uint8_t *at = kp_alloc(bytes);
    const char *wrong = kp_extent_file_read(file, number, at, entry->place, bytes, NULL) == KP_OK
                            ? kp_extent_entry_wrong(run, entry, at, bytes)
                            : "it cannot be read";
    if (wrong)
        damage.wrong = wrong;
    *ret_rotten |= wrong != NULL;
    kp_free(at);
    kp_buf_append(out, &damage, sizeof damage);
}

/* The batches of the group at position, and their positions; false unless one of them is damaged. */
static bool put_group(struct kp_log *log, struct kp_extent_file *order, struct kp_extent_file *file,
                      const struct kp_extent_set *set, int64_t position, struct kp_buf *out)
{
    struct kp_order_page *page = kp_alloc(sizeof *page);
    uint32_t number = 0;
    int64_t begin = position, end = position;
    bool rotten = false, done = false, began = false;
    enum kp_code code = kp_order_page_find(order, set, position, false, &number, NULL);
    for (; code == KP_OK && !done && number < set->header.order_pages; number++) {
        code = kp_order_page_read(order, set, number, page, NULL);
        if (code == KP_CORRUPT) {
            out->len = 0;
            put_runs(log, set, number, out);
            end = behind_page(order, set, number);
            rotten = true;
        }
        for (uint32_t i = 0; code == KP_OK && !done && i < page->count; i++) {
            const struct kp_order_entry *entry = &page->entries[i];
            if (entry->position + entry->records <= position)
                continue;
            begin = began ? begin : KP_MIN(entry->position, position); /* what is left out may lie before it */
            began = true;
            put_batch(file, set, entry, out, &rotten);
            end = entry->position + entry->records;
            done = entry->flags & KP_ORDER_GROUP_END;
        }
    }
    kp_free(page);
    for (size_t i = 0; i < out->len / sizeof(struct kp_log_damage); i++) {
        ((struct kp_log_damage *)(void *)out->data)[i].position = begin;
        ((struct kp_log_damage *)(void *)out->data)[i].position_end = end;
    }
    return rotten;
}

/* All that was in a set of which nothing can be read, but for what was given up. */
static void put_rotten(struct kp_log *log, const struct kp_extent_set *set, struct kp_buf *out)
{
    kp_rwlock_read(&log->lock);
    for (uint32_t r = 0; r < set->header.runs; r++) {
        struct kp_log_damage damage = kp_hole_sealed(set, &set->runs[r]);
        if (!kp_merge_run_gone(&log->topics, &set->runs[r]))
            kp_buf_append(out, &damage, sizeof damage);
    }
    kp_rwlock_unlock(&log->lock);
}

void kp_set_damage(struct kp_log *log, int64_t position, struct kp_buf *out)
{
    uint32_t side = kp_sealing_enter(&log->sealing.readers);
    kp_rwlock_read(&log->lock);
    const struct kp_extent_set *set = kp_sealing_set_at(&log->sealing, position);
    kp_rwlock_unlock(&log->lock);
    if (set && set->rotten) {
        put_rotten(log, set, out);
    } else if (set && set->header.order_pages) {
        struct kp_extent_file order, file;
        kp_log_extent_file_init(log, &order, false);
        kp_log_extent_file_init(log, &file, false);
        if (!put_group(log, &order, &file, set, position, out))
            out->len = 0;
        kp_extent_file_finish(&file);
        kp_extent_file_finish(&order);
    }
    kp_sealing_leave(&log->sealing.readers, side);
}
