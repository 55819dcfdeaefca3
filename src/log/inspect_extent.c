/* The journal is walked to its end for the newest list of extents that count; then those are walked by their order. */
#include "log/inspect_extent.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log/recover.h"

enum { BLOCKS_READ_BYTES = 1 << 20 };

/* ---- what counts ---- */

static bool look_block(void *arg, const struct kp_inspect_block *block)
{
    struct kp_inspect_sealed *sealed = arg;
    if (block->state != KP_INSPECT_OK && block->state != KP_INSPECT_JUMP)
        return true;
    struct kp_entry_walk walk = kp_entry_walk_start(block->header);
    const struct kp_entry_header *entry;
    const char *wrong;
    while (kp_entry_walk_next(&walk, &entry, &wrong)) {
        if (entry->kind != KP_ENTRY_SEALED) {
            (void)!kp_topics_apply(&sealed->topics, entry, 0, NULL); /* kp_inspect_verify says what does not fit */
            continue;
        }
        struct kp_sealed_head head;
        if (entry->payload_bytes < sizeof head)
            continue;
        memcpy(&head, entry + 1, sizeof head);
        size_t bytes = head.extents * sizeof(struct kp_sealed_extent);
        if (entry->payload_bytes != sizeof head + bytes)
            continue;
        sealed->head = head;
        sealed->extents.len = 0;
        kp_buf_append(&sealed->extents, (const uint8_t *)(entry + 1) + sizeof head, bytes);
    }
    return true;
}

static enum kp_code look_begin(void *arg, const struct kp_inspect_begin *begin, struct kp_error *err)
{
    struct kp_inspect_sealed *sealed = arg;
    sealed->before = begin->folder->anchor.file_last;
    return kp_inspect_begin_topics(begin, &sealed->topics, err);
}

static enum kp_code look(struct kp_os *os, const char *dir, struct kp_inspect_sealed *sealed, struct kp_error *err)
{
    struct kp_folder folder;
    KP_TRY(kp_inspect_journal(os, dir, look_block, look_begin, sealed, err));
    if (!sealed->before || sealed->head.file_next > sealed->before)
        return KP_OK;
    KP_TRY(kp_folder_look(os, dir, &folder, err)); /* the journal's first files may have gone since */
    sealed->missing = folder.anchor.file_last == sealed->before;
    kp_folder_finish(&folder);
    return KP_OK;
}

enum kp_code kp_inspect_sealed_look(struct kp_os *os, const char *dir, struct kp_inspect_sealed *ret_sealed,
                                    struct kp_error *err)
{
    struct kp_inspect_sealed sealed = {0};
    enum kp_code code = look(os, dir, &sealed, err);
    if (code == KP_OK)
        *ret_sealed = sealed;
    else
        kp_inspect_sealed_finish(&sealed);
    return code;
}

void kp_inspect_sealed_finish(struct kp_inspect_sealed *sealed)
{
    kp_topics_finish(&sealed->topics);
    kp_buf_finish(&sealed->extents);
}

/* ---- the extents ---- */

/* A stretch of an adopted file in which no whole block lies. */
struct stretch {
    uint64_t extent, from, until;
    const char *wrong;
    bool alive;    /* what a reader wants lies there */
    bool given_up; /* what was given up does */
};

struct items {
    struct kp_os *os;
    const char *dir;
    bool (*each)(void *arg, const struct kp_inspect_item *item);
    void (*problem)(void *arg, const char *text);
    void *arg;
    bool stopped;
    const struct kp_inspect_sealed *sealed;
    struct kp_extent_file mixed, own; /* own: the one read last */
    uint8_t *buffer;
    size_t buffer_cap;
    struct kp_extent_set **sets;
    size_t set_count;
    struct kp_buf stretches; /* of struct stretch */
    bool unread;             /* of some set nothing can be read: it may hold anything */
};

/* mended: a reader gets what is meant all the same. */
static void section_problem(struct items *items, const struct kp_error *err, bool mended)
{
    char text[sizeof err->message + sizeof KP_LOG_MENDED];
    snprintf(text, sizeof text, "%s%s", err->message, mended ? KP_LOG_MENDED : "");
    items->problem(items->arg, text);
}

static bool counts(const struct kp_inspect_sealed *sealed, uint64_t number)
{
    const struct kp_sealed_extent *extents = (const void *)sealed->extents.data;
    for (uint32_t i = 0; i < sealed->head.extents; i++)
        if (extents[i].number == number)
            return true;
    return false;
}

/* Records that were lost before they were sealed, unless they were given up since. */
static void give_lost(struct items *items, const struct kp_extent_set *set, const struct kp_extent_run *run)
{
    uint32_t records = (uint32_t)KP_MIN(run->end_offset - run->base_offset, (int64_t)UINT32_MAX);
    const struct kp_order_entry entry = {
        .position = (int64_t)run->place, .base_offset = run->base_offset, .records = records};
    const struct kp_inspect_item item = {.topic = run->topic,
                                         .partition = run->partition,
                                         .entry = &entry,
                                         .extent = set->header.number,
                                         .lost = true,
                                         .wrong = kp_extent_lost_wrong};
    if (kp_topics_gone(&items->sealed->topics, run->topic, run->partition, run->end_offset - records, records) <
        records)
        items->stopped |= !items->each(items->arg, &item);
}

/* Notes what the rotten stretches of adopted files that the entry lies in held. */
static void note_held(struct items *items, const struct kp_extent_run *run, const struct kp_order_entry *entry)
{
    struct stretch *list = (void *)items->stretches.data;
    for (size_t i = 0; i < items->stretches.len / sizeof *list; i++) {
        if (list[i].extent != run->extent || entry->place < list[i].from || entry->place >= list[i].until)
            continue;
        bool gone = kp_topics_gone(&items->sealed->topics, run->topic, run->partition, entry->base_offset,
                                   entry->records) == entry->records;
        list[i].alive |= !gone;
        list[i].given_up |= gone;
    }
}

static void give_item(struct items *items, const struct kp_extent_set *set, const struct kp_order_entry *entry)
{
    if (entry->run >= set->header.runs)
        return;
    const struct kp_extent_run *run = &set->runs[entry->run];
    if (kp_extent_run_lost(run)) {
        give_lost(items, set, run);
        return;
    }
    if (run->extent && !counts(items->sealed, run->extent))
        return; /* all of it was given up */
    note_held(items, run, entry);
    struct kp_inspect_item item = {.topic = run->topic,
                                   .partition = run->partition,
                                   .entry = entry,
                                   .extent = run->extent ? run->extent : set->header.number};
    size_t head_bytes = kp_extent_head_bytes(run), bytes = head_bytes + entry->bytes;
    if (bytes > items->buffer_cap) {
        kp_free(items->buffer);
        items->buffer = kp_alloc(bytes);
        items->buffer_cap = bytes;
    }
    struct kp_extent_file *file = run->extent ? &items->own : &items->mixed;
    if (kp_extent_file_read(file, item.extent, items->buffer, entry->place, bytes, NULL) != KP_OK) {
        item.wrong = "it cannot be read";
    } else {
        item.batch = items->buffer + head_bytes;
        item.wrong = kp_extent_entry_wrong(run, entry, items->buffer, bytes);
    }
    if (item.wrong && kp_topics_gone(&items->sealed->topics, run->topic, run->partition, entry->base_offset,
                                     entry->records) == entry->records)
        return; /* it was given up */
    items->stopped |= !items->each(items->arg, &item);
}

static void look_at_index(struct items *items, const struct kp_extent_set *set, const struct kp_extent_run *run)
{
    struct kp_extent_index *index = NULL;
    struct kp_error err;
    items->mixed.exact = true;
    if (kp_extent_index_read(&items->mixed, set, run, &index, &err) != KP_OK) {
        items->mixed.exact = false;
        section_problem(items, &err, kp_extent_index_read(&items->mixed, set, run, &index, NULL) == KP_OK);
    }
    kp_free(index);
}

static void walk_set(struct items *items, const struct kp_extent_set *set)
{
    struct kp_order_page *page = kp_alloc(sizeof *page);
    struct kp_error err;
    for (uint32_t number = 0; number < set->header.order_pages && !items->stopped; number++) {
        items->mixed.exact = true;
        if (kp_order_page_read(&items->mixed, set, number, page, &err) != KP_OK) {
            items->mixed.exact = false; /* what it names is looked at all the same, if a reader would */
            bool read = kp_order_page_read(&items->mixed, set, number, page, NULL) == KP_OK;
            section_problem(items, &err, read);
            items->unread |= !read;
            if (!read)
                continue;
        }
        for (uint32_t i = 0; i < page->count && !items->stopped; i++)
            give_item(items, set, &page->entries[i]);
    }
    for (uint32_t r = 0; r < set->header.runs; r++)
        look_at_index(items, set, &set->runs[r]);
    items->mixed.exact = true;
    if (kp_extent_copies_check(&items->mixed, set, &err) != KP_OK)
        section_problem(items, &err, true);
    struct kp_buf state = {0};
    if (kp_extent_state_read(&items->mixed, &set->header, &state, &err) != KP_OK) {
        items->mixed.exact = false;
        section_problem(items, &err, kp_extent_state_read(&items->mixed, &set->header, &state, NULL) == KP_OK);
    }
    kp_buf_finish(&state);
    kp_free(page);
}

static void block_problem(struct items *items, uint64_t number, uint64_t offset, const char *wrong)
{
    char text[200];
    snprintf(text, sizeof text, "extent %llu%s, byte %llu: %s", (unsigned long long)kp_extent_shown(number),
             kp_extent_suffix(number), (unsigned long long)offset, wrong);
    items->problem(items->arg, text);
}

/* Tells of rotten stretches, but for those of which everything was given up: readers pass over them. */
static void tell_stretches(struct items *items)
{
    const struct stretch *list = (const void *)items->stretches.data;
    for (size_t i = 0; i < items->stretches.len / sizeof *list; i++)
        if (list[i].alive || !list[i].given_up || items->unread)
            block_problem(items, list[i].extent, list[i].from, list[i].wrong);
}

/* The blocks of an adopted file, which readers by offset come to. */
static enum kp_code walk_adopted(struct items *items, const struct kp_sealed_extent *extent, uint64_t generation,
                                 struct kp_error *err)
{
    uint64_t number = extent->number, until = extent->bytes;
    struct kp_block_scan scan;
    bool lost = false;
    kp_block_scan_init(&scan, items->os, items->dir, generation, BLOCKS_READ_BYTES);
    enum kp_code code = kp_block_scan_seek(&scan, number - KP_ADOPTED, KP_SECTOR_BYTES, err);
    while (code == KP_OK && scan.offset < until) {
        const struct kp_block_header *block = NULL;
        const char *wrong = NULL;
        code = kp_block_scan_peek(&scan, &block, &wrong, err);
        uint64_t end = scan.offset + (block ? kp_block_bytes(block) : KP_SECTOR_BYTES);
        if (code == KP_OK && wrong && lost) {
            ((struct stretch *)(void *)(items->stretches.data + items->stretches.len))[-1].until = end;
        } else if (code == KP_OK && wrong) {
            const struct stretch stretch = {number, scan.offset, end, wrong, false, false};
            kp_buf_append(&items->stretches, &stretch, sizeof stretch);
        }
        lost = wrong && !block;
        scan.offset = end;
    }
    kp_block_scan_finish(&scan);
    return code;
}

/* Looks at an adopted journal file: its header, and its blocks, which readers by offset come to. */
static enum kp_code adopted_read(struct items *items, const struct kp_sealed_extent *extent, uint32_t *ret_crc,
                                 struct kp_error *err)
{
    struct kp_file *file;
    struct kp_file_header header;
    char *path = kp_extent_path(items->dir, extent->number, KP_EXTENT_SUFFIX);
    enum kp_code code = kp_adopted_open(items->os, items->dir, extent->number - KP_ADOPTED, KP_OPEN_READ, &file, err);
    if (code == KP_OK) {
        code = kp_file_header_read(items->os, file, path, extent->number - KP_ADOPTED, &header, err);
        items->os->close(items->os->ctx, file);
    }
    kp_free(path);
    KP_TRY(code);
    *ret_crc = header.crc;
    return walk_adopted(items, extent, header.generation, err);
}

static enum kp_code load_set(struct items *items, uint64_t number, bool exact, struct kp_extent_set **ret_set,
                             struct kp_error *err)
{
    items->mixed.exact = exact;
    return kp_extent_set_load(&items->mixed, number, ret_set, err);
}

/* Loads the set of a mixed extent, looks at another one's header. */
static void load_extent(struct items *items, const struct kp_sealed_extent *extent)
{
    struct kp_extent_header header;
    struct kp_extent_set *set = NULL;
    struct kp_error err;
    char text[200];
    enum kp_code code;
    if (extent->kind == KP_EXTENT_ADOPTED)
        code = adopted_read(items, extent, &header.crc, &err);
    else if (extent->kind == KP_EXTENT_MIXED)
        code = load_set(items, extent->number, true, &set, &err);
    else
        code = kp_extent_header_read(items->os, items->dir, extent->number, true, &header, &err);
    if (set)
        header = set->header;
    if (code != KP_OK) { /* what it holds is looked at all the same, if a reader would */
        bool mixed = extent->kind == KP_EXTENT_MIXED;
        if (mixed)
            code = load_set(items, extent->number, false, &set, NULL);
        else if (extent->kind == KP_EXTENT_OWN)
            code = kp_extent_header_read(items->os, items->dir, extent->number, false, &header, NULL);
        section_problem(items, &err, code == KP_OK);
        items->unread |= mixed && code != KP_OK;
    } else if (header.crc != extent->header_crc) {
        snprintf(text, sizeof text, "extent %llu%s is not the one that was sealed",
                 (unsigned long long)kp_extent_shown(extent->number), kp_extent_suffix(extent->number));
        items->problem(items->arg, text);
    }
    if (set)
        items->sets[items->set_count++] = set;
}

static int by_position(const void *a, const void *b)
{
    const struct kp_extent_header *left = &(*(struct kp_extent_set *const *)a)->header;
    const struct kp_extent_header *right = &(*(struct kp_extent_set *const *)b)->header;
    return (left->file_first > right->file_first) - (left->file_first < right->file_first);
}

enum kp_code kp_inspect_items(struct kp_os *os, const char *dir, const struct kp_inspect_sealed *sealed,
                              bool (*each)(void *arg, const struct kp_inspect_item *item),
                              void (*problem)(void *arg, const char *text), void *arg, struct kp_error *err)
{
    struct items items = {.os = os, .dir = dir, .each = each, .problem = problem, .arg = arg, .sealed = sealed};
    const struct kp_sealed_extent *extents = (const void *)sealed->extents.data;
    items.sets = kp_calloc(sealed->head.extents + 1, sizeof(struct kp_extent_set *));
    kp_extent_file_init(&items.mixed, os, dir, false);
    kp_extent_file_init(&items.own, os, dir, false);
    if (sealed->missing)
        problem(arg, "the journal begins behind an extent, and nothing in it says which extents count");
    for (uint32_t i = 0; i < sealed->head.extents; i++)
        load_extent(&items, &extents[i]);
    qsort(items.sets, items.set_count, sizeof(struct kp_extent_set *), by_position);
    for (size_t i = 0; i < items.set_count; i++) {
        if (!items.stopped)
            walk_set(&items, items.sets[i]);
        kp_extent_set_free(items.sets[i]);
    }
    if (!items.stopped)
        tell_stretches(&items);
    kp_buf_finish(&items.stretches);
    kp_extent_file_finish(&items.own);
    kp_extent_file_finish(&items.mixed);
    kp_free(items.sets);
    kp_free(items.buffer);
    return KP_OK;
}
