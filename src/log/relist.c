/*
 * The list of extents that count, made again from the extents themselves: where the newest KP_ENTRY_SEALED has rotted,
 * older ones name extents that were merged away, or end before the journal's first file.
 *
 * Every mixed extent says which journal files it was made of. Those that count form a chain: from the log's first file
 * to the one before the journal begins, each behind the other. There may be several chains, since what did not count
 * yet or any more when the power went may have stayed; whichever is whole holds every record, since an extent has its
 * name only when it is complete. Of two that begin alike the longer is taken, then the newer: what was merged or
 * compacted. Extents of one partition and adopted files count if a set of the chain has a run in them.
 *
 * Where an extent has rotted, too, no chain is whole. Which of several broken ones counted is not known then, and what
 * does not count is removed: so the log does not open, but to be read only. Then what is missing between those that are
 * left is lost (log/quarantine.h), and nothing is changed.
 */
#include "log/internal.h"

struct candidate {
    struct kp_extent_header header;
    bool good; /* a chain leads from it to the end */
};

struct relist {
    struct kp_log *log;
    const struct kp_folder *folder;
    uint64_t end; /* the first file that is journal */
    struct candidate *list;
    size_t count;
    struct kp_buf rotten;       /* of struct kp_sealed_extent: of which nothing can be read */
    struct kp_buf extents;      /* likewise: the list */
    struct kp_sealed_head head; /* counters: what was known, and what the sets say that came since */
};

static enum kp_code read_headers(struct relist *relist, struct kp_error *err)
{
    struct kp_log *log = relist->log;
    size_t count = kp_folder_count(&relist->folder->extents);
    relist->list = kp_calloc(count + 1, sizeof *relist->list);
    for (size_t i = 0; i < count; i++) {
        struct kp_extent_header header;
        uint64_t number = kp_folder_number(&relist->folder->extents, i);
        if (kp_extent_adopted(number))
            continue;
        enum kp_code code = kp_extent_header_read(log->os, log->journal.dir, number, false, &header, err);
        if (code == KP_CORRUPT) { /* if it is needed, it will be missed */
            const struct kp_sealed_extent rotten = {.number = number, .kind = KP_EXTENT_MIXED};
            kp_buf_append(&relist->rotten, &rotten, sizeof rotten);
            continue;
        }
        KP_TRY(code);
        if (header.generation == log->journal.generation)
            relist->list[relist->count++].header = header;
    }
    return KP_OK;
}

static bool follows(const struct kp_extent_header *next, const struct kp_extent_header *header)
{
    return next->kind == KP_EXTENT_MIXED && next->file_first == header->file_last + 1 &&
           next->position == header->position_end;
}

static void find_good(struct relist *relist)
{
    for (bool more = true; more;) {
        more = false;
        for (size_t i = 0; i < relist->count; i++) {
            struct candidate *at = &relist->list[i];
            bool good = at->header.file_last + 1 == relist->end;
            for (size_t k = 0; k < relist->count && !good; k++)
                good = relist->list[k].good && follows(&relist->list[k].header, &at->header);
            if (at->header.kind != KP_EXTENT_MIXED || at->good || !good)
                continue;
            at->good = more = true;
        }
    }
}

/* The best of those that follow; NULL: none leads to the end. */
static const struct kp_extent_header *next_of(const struct relist *relist, const struct kp_extent_header *header)
{
    const struct kp_extent_header *best = NULL;
    for (size_t i = 0; i < relist->count; i++) {
        const struct kp_extent_header *at = &relist->list[i].header;
        if (relist->list[i].good && follows(at, header) &&
            (!best || at->file_last > best->file_last ||
             (at->file_last == best->file_last && at->number > best->number)))
            best = at;
    }
    return best;
}

/* The mixed extent that begins first behind it, perhaps with others missing between. NULL: none. */
static const struct kp_extent_header *next_left(const struct relist *relist, const struct kp_extent_header *header)
{
    const struct kp_extent_header *best = NULL;
    for (size_t i = 0; i < relist->count; i++) {
        const struct kp_extent_header *at = &relist->list[i].header;
        if (at->kind != KP_EXTENT_MIXED || at->file_first <= header->file_last || at->file_last >= relist->end ||
            at->position < header->position_end)
            continue;
        if (!best || at->file_first < best->file_first ||
            (at->file_first == best->file_first &&
             (at->file_last > best->file_last || (at->file_last == best->file_last && at->number > best->number))))
            best = at;
    }
    return best;
}

static bool has(const struct kp_buf *numbers, uint64_t number)
{
    for (size_t i = 0; i < kp_folder_count(numbers); i++)
        if (kp_folder_number(numbers, i) == number)
            return true;
    return false;
}

static struct kp_sealed_extent *listed(const struct relist *relist, uint64_t number)
{
    struct kp_sealed_extent *list = (void *)relist->extents.data;
    for (size_t i = 0; i < relist->extents.len / sizeof *list; i++)
        if (list[i].number == number)
            return &list[i];
    return NULL;
}

static void add_header(struct relist *relist, const struct kp_extent_header *header)
{
    const struct kp_sealed_extent extent = {header->number, header->file_bytes, header->kind, header->crc};
    kp_buf_append(&relist->extents, &extent, sizeof extent);
}

static void add_adopted(struct relist *relist, const struct kp_extent_run *run)
{
    struct kp_log *log = relist->log;
    struct kp_file *file;
    struct kp_file_header header = {.crc = 0};
    uint64_t number = run->extent - KP_ADOPTED;
    if (!has(&relist->folder->extents, run->extent) && !has(&relist->folder->journals, number))
        return;
    if (kp_adopted_open(log->os, log->journal.dir, number, KP_OPEN_READ, &file, NULL) == KP_OK) {
        char *path = kp_extent_path(log->journal.dir, run->extent, KP_EXTENT_SUFFIX);
        (void)!kp_file_header_read(log->os, file, path, number, &header, NULL);
        kp_free(path);
        log->os->close(log->os->ctx, file);
    }
    const struct kp_sealed_extent extent = {run->extent, kp_extent_run_end(run), KP_EXTENT_ADOPTED, header.crc};
    kp_buf_append(&relist->extents, &extent, sizeof extent);
}

/*
 * The counters of what was written go on: by what of the set lies behind the place that they were known for. What was
 * given up since, merged or compacted is counted as it is now.
 */
static void count_set(struct relist *relist, const struct kp_extent_set *set, uint64_t file_bytes)
{
    struct kp_sealed_head *head = &relist->head;
    int64_t from = KP_MAX(set->header.position, relist->log->sealing.head.position), end = set->header.position_end;
    uint64_t bytes = 0, entries = 0;
    if (from >= end)
        return;
    for (uint32_t r = 0; r < set->header.runs; r++) {
        bool lost = kp_extent_run_lost(&set->runs[r]);
        bytes += lost ? 0 : set->runs[r].bytes;
        entries += lost ? 0 : set->runs[r].batches;
    }
    double share = (double)(end - from) / (double)(end - set->header.position);
    head->batch_bytes += (uint64_t)(share * (double)bytes);
    head->journal_bytes += (uint64_t)(share * (double)(bytes + entries * sizeof(struct kp_entry_header)));
    head->extent_bytes += (uint64_t)(share * (double)file_bytes);
}

/* The set, and what its runs lie in. What is not there any more was wholly given up. */
static enum kp_code add_set(struct relist *relist, const struct kp_extent_header *header, struct kp_error *err)
{
    struct kp_extent_set *set;
    struct kp_extent_file file;
    kp_log_extent_file_init(relist->log, &file, false);
    enum kp_code code = kp_extent_set_load(&file, header->number, &set, err);
    kp_extent_file_finish(&file);
    KP_TRY(code);
    uint64_t file_bytes = header->file_bytes; /* that were written: all but adopted ones */
    add_header(relist, header);
    for (uint32_t r = 0; r < set->header.runs; r++) {
        const struct kp_extent_run *run = &set->runs[r];
        struct kp_sealed_extent *known = listed(relist, run->extent);
        if (known && kp_extent_adopted(run->extent))
            known->bytes = KP_MAX(known->bytes, kp_extent_run_end(run));
        if (!run->extent || kp_extent_run_lost(run) || known)
            continue;
        if (kp_extent_adopted(run->extent))
            add_adopted(relist, run);
        for (size_t i = 0; i < relist->count; i++)
            if (relist->list[i].header.number == run->extent) {
                add_header(relist, &relist->list[i].header);
                file_bytes += relist->list[i].header.file_bytes;
            }
    }
    count_set(relist, set, file_bytes);
    kp_extent_set_free(set);
    return KP_OK;
}

/* Extents are missing behind that file. */
static enum kp_code broken(const struct relist *relist, uint64_t file_last, struct kp_error *err)
{
    const char *dir = relist->log->journal.dir;
    if (!relist->rotten.len && !relist->folder->anchor.number)
        return kp_folder_missing(dir, relist->end, err);
    if (!relist->rotten.len)
        return kp_fail(err, KP_CORRUPT, NULL,
                       "journal files are missing in \"%s\": none from file %llu on says that those before it are "
                       "sealed, and extents are missing behind file %llu",
                       dir, (unsigned long long)relist->end, (unsigned long long)file_last);
    kp_fail(err, KP_CORRUPT, NULL,
            "what says in \"%s\" which extents count has rotted, and so has an extent behind file %llu", dir,
            (unsigned long long)file_last);
    return kp_error_hint(err,
                         "Restore a backup. What is left can be read with `kappa log export`, and put into another "
                         "log with `import`. Nothing was changed.");
}

static enum kp_code make_list(struct relist *relist, struct kp_extent_header *ret_last, struct kp_error *err)
{
    struct kp_extent_header at = {.file_last = 0};
    const struct kp_extent_header *anchor = &relist->folder->anchor;
    bool gaps = false;
    KP_TRY(read_headers(relist, err));
    find_good(relist);
    while (at.file_last + 1 < relist->end) {
        const struct kp_extent_header *next = next_of(relist, &at);
        if (!next) {
            gaps = relist->log->read_only && relist->rotten.len;
            next = gaps ? next_left(relist, &at) : NULL;
        }
        if (!next && !(gaps && anchor->file_last + 1 == relist->end))
            return broken(relist, at.file_last, err);
        if (next)
            KP_TRY(add_set(relist, next, err));
        at = next ? *next : *anchor;
    }
    if (gaps)
        kp_buf_append(&relist->extents, relist->rotten.data, relist->rotten.len);
    *ret_last = at;
    return KP_OK;
}

enum kp_code kp_sealing_relist(struct kp_log *log, const struct kp_folder *folder, struct kp_error *err)
{
    struct kp_sealing *sealing = &log->sealing;
    struct relist relist = {.log = log, .folder = folder};
    struct kp_extent_header last = {.file_last = 0};
    relist.head = sealing->head;
    relist.end = KP_MAX(kp_sealing_file_next(sealing), folder->anchor.file_last + 1);
    enum kp_code code = make_list(&relist, &last, err);
    kp_free(relist.list);
    kp_buf_finish(&relist.rotten);
    if (code != KP_OK) {
        kp_buf_finish(&relist.extents);
        return code;
    }
    kp_free(sealing->extents);
    sealing->extents = (void *)relist.extents.data;
    sealing->head = relist.head;
    sealing->head.extents = (uint32_t)(relist.extents.len / sizeof *sealing->extents);
    sealing->head.file_next = relist.end;
    sealing->head.sequence = last.sequence;
    sealing->head.previous_crc = last.previous_crc;
    sealing->head.position = last.position_end;
    sealing->head.log_time_us = last.log_time_us;
    return KP_OK;
}
