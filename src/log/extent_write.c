/*
 * All batches are asked for once, in the order of the log. The extents of one partition take theirs in order and are
 * written front to back, each through a window of memory. So is the mixed extent when a window holds all its data,
 * which is filled in any order then. Else its data is *scattered*: each run is gathered in a little memory of its own
 * and written to its place through the page cache, which makes large writes of it at the sync.
 */
#include "log/extent_write.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "log/files.h"

enum {
    OWN_WINDOWS_BYTES = 32 << 20,
    OWN_WINDOW_BYTES_MIN = 64 << 10,
    OWN_WINDOW_BYTES_MAX = 4 << 20,
    MIXED_WINDOW_BYTES_MIN = 64 << 10,
    PIECE_BYTES_MAX = 256 << 10, /* of a run that is scattered: gathered for one write */
    STRAY = UINT32_MAX
};

void kp_extents_writer_finish(struct kp_extents_writer *writer)
{
    for (size_t i = 0; i < writer->run_count; i++)
        kp_buf_finish(&writer->runs[i].index);
    kp_free(writer->items);
    kp_free(writer->runs);
    kp_free(writer->slots);
    kp_free(writer->sorted);
    kp_buf_finish(&writer->made);
    kp_buf_finish(&writer->adopted);
}

/* ---- gathering ---- */

static size_t slot_of(const struct kp_extents_writer *writer, uint32_t topic, uint32_t partition)
{
    uint64_t key = (uint64_t)topic << 32 | partition;
    size_t mask = writer->slot_count - 1, at = (size_t)kp_hash_bytes(&key, sizeof key) & mask;
    for (; writer->slots[at]; at = (at + 1) & mask) {
        const struct kp_extent_run *run = &writer->runs[writer->slots[at] - 1].run;
        if (run->topic == topic && run->partition == partition)
            break;
    }
    return at;
}

static void grow_slots(struct kp_extents_writer *writer)
{
    kp_free(writer->slots);
    writer->slot_count = writer->slot_count ? writer->slot_count * 2 : 64;
    writer->slots = kp_calloc(writer->slot_count, sizeof *writer->slots);
    for (size_t i = 0; i < writer->run_count; i++)
        if (!writer->runs[i].elsewhere)
            writer->slots[slot_of(writer, writer->runs[i].run.topic, writer->runs[i].run.partition)] = (uint32_t)i + 1;
}

static struct kp_extents_run *new_run(struct kp_extents_writer *writer)
{
    if (writer->run_count == writer->run_cap) {
        writer->run_cap = writer->run_cap ? writer->run_cap * 2 : 16;
        writer->runs = kp_realloc(writer->runs, writer->run_cap * sizeof *writer->runs);
    }
    struct kp_extents_run *run = &writer->runs[writer->run_count++];
    *run = (struct kp_extents_run){0};
    return run;
}

/* The run that the batch belongs to: its partition's newest, unless there is a gap between in which another run may
 * lie. */
static uint32_t run_for(struct kp_extents_writer *writer, const struct kp_extents_batch *batch)
{
    if (writer->run_count * 2 >= writer->slot_count)
        grow_slots(writer);
    size_t slot = slot_of(writer, batch->topic, batch->partition);
    if (writer->slots[slot]) {
        uint32_t number = writer->slots[slot] - 1;
        const struct kp_extents_run *newest = &writer->runs[number];
        if ((newest->adopted ? newest->run.extent : 0) == batch->adopted &&
            (newest->run.end_offset == batch->base_offset || (batch->source && newest->source == batch->source)))
            return number;
    }
    struct kp_extents_run *run = new_run(writer);
    run->adopted = batch->adopted;
    if (run->adopted) {
        run->run.extent = (uint32_t)batch->adopted;
        run->run.place = batch->block;
        writer->adopts = true;
    }
    run->run.topic = batch->topic;
    run->run.partition = batch->partition;
    run->run.base_offset = batch->base_offset;
    writer->slots[slot] = (uint32_t)writer->run_count;
    return (uint32_t)writer->run_count - 1;
}

uint32_t kp_extents_add_run(struct kp_extents_writer *writer, const struct kp_extent_run *run,
                            const struct kp_extent_index *index)
{
    struct kp_extents_run *added = new_run(writer);
    added->run = *run;
    added->elsewhere = true;
    writer->adopts |= kp_extent_adopted(run->extent);
    writer->loses |= kp_extent_run_lost(run);
    if (run->index_count)
        kp_buf_append(&added->index, index, run->index_count * sizeof *index);
    return (uint32_t)writer->run_count;
}

static void note_index(struct kp_extents_run *run, const struct kp_extents_batch *batch)
{
    struct kp_extent_index *last = (void *)run->index.data;
    size_t count = run->index.len / sizeof *last;
    uint64_t place = run->adopted ? batch->block : run->run.bytes;
    last = count ? last + count - 1 : NULL;
    if (!last || place - last->place >= KP_EXTENT_INDEX_GAP_BYTES) {
        struct kp_extent_index entry = {batch->base_offset, place, batch->max_timestamp_ms};
        kp_buf_append(&run->index, &entry, sizeof entry);
    } else {
        last->max_timestamp_ms = batch->max_timestamp_ms;
    }
}

void kp_extents_add(struct kp_extents_writer *writer, const struct kp_extents_batch *batch)
{
    uint32_t number = batch->gone ? KP_ORDER_NO_RUN : batch->elsewhere ? batch->elsewhere - 1 : run_for(writer, batch);
    struct kp_extents_run *run = batch->gone ? NULL : &writer->runs[number];
    if (writer->item_count == writer->item_cap) {
        writer->item_cap = writer->item_cap ? writer->item_cap * 2 : 1024;
        writer->items = kp_realloc(writer->items, writer->item_cap * sizeof *writer->items);
    }
    writer->items[writer->item_count++] = (struct kp_order_entry){
        .position = batch->position,
        .base_offset = batch->base_offset,
        .place = batch->elsewhere || batch->adopted ? batch->place
                 : run                              ? run->run.bytes
                                                    : 0,
        .log_time_us = batch->log_time_us,
        .bytes = batch->bytes,
        .records = batch->records,
        .run = number,
        .flags = (writer->group_open ? 0 : KP_ORDER_GROUP_FIRST) | (batch->group_end ? KP_ORDER_GROUP_END : 0) |
                 (batch->more_flags & (run ? UINT32_MAX : KP_ORDER_LOST)),
    };
    writer->loses |= batch->more_flags & KP_ORDER_LOST;
    writer->group_open = !batch->group_end;
    if (!run || batch->elsewhere)
        return;
    note_index(run, batch);
    run->run.bytes += run->adopted ? batch->bytes : kp_extent_item_bytes(batch->bytes);
    if (run->adopted)
        run->run.sectors = (uint32_t)((batch->block_end - run->run.place) / KP_SECTOR_BYTES);
    run->run.end_offset = batch->base_offset + batch->records;
    run->run.max_timestamp_ms = batch->max_timestamp_ms;
    run->run.batches++;
    run->source = batch->source;
}

/* Room for `count` items before item `at`. */
static struct kp_order_entry *insert_items(struct kp_extents_writer *writer, size_t at, size_t count)
{
    if (writer->item_count + count > writer->item_cap) {
        writer->item_cap = 2 * writer->item_cap + count;
        writer->items = kp_realloc(writer->items, writer->item_cap * sizeof *writer->items);
    }
    struct kp_order_entry *items = writer->items + at;
    memmove(items + count, items, (writer->item_count - at) * sizeof *items);
    memset(items, 0, count * sizeof *items);
    writer->item_count += count;
    return items;
}

static uint32_t lost_run(struct kp_extents_writer *writer, int64_t position, int64_t position_end,
                         const struct kp_extents_lost *range)
{
    int64_t positions = position_end - position;
    const struct kp_extent_run run = {.topic = range->topic,
                                      .partition = range->partition,
                                      .base_offset = range->offset,
                                      .end_offset = range->offset_end,
                                      .place = (uint64_t)position,
                                      .max_timestamp_ms = range->max_timestamp_ms,
                                      .extent = KP_EXTENT_LOST,
                                      .batches = (uint32_t)KP_MIN(positions, (int64_t)UINT32_MAX),
                                      .sectors = range->maybe};
    return kp_extents_add_run(writer, &run, NULL) - 1;
}

void kp_extents_lose(struct kp_extents_writer *writer, size_t at, int64_t position, int64_t position_end,
                     int64_t log_time_us, const struct kp_extents_lost *ranges, size_t count)
{
    size_t pieces = (size_t)((position_end - position + INT32_MAX - 1) / INT32_MAX);
    struct kp_order_entry *items = insert_items(writer, at, pieces + count);
    int64_t from = position;
    for (size_t i = 0; i < pieces + count; i++) {
        int64_t records = i < pieces ? KP_MIN(position_end - from, (int64_t)INT32_MAX) : 0;
        items[i].position = from;
        items[i].records = (uint32_t)records;
        items[i].log_time_us = log_time_us;
        items[i].run = KP_ORDER_NO_RUN;
        items[i].flags = KP_ORDER_LOST;
        from += records;
    }
    for (size_t i = 0; i < count; i++) {
        items[pieces + i].base_offset = ranges[i].offset;
        items[pieces + i].run = lost_run(writer, position, position_end, &ranges[i]);
    }
    items[0].flags |= KP_ORDER_GROUP_FIRST;
    items[pieces + count - 1].flags |= KP_ORDER_GROUP_END;
    writer->loses = true;
}

/* ---- laying out ---- */

static int by_offset(const void *a, const void *b)
{
    const struct kp_extent_run *left = &(*(const struct kp_extents_run *const *)a)->run;
    const struct kp_extent_run *right = &(*(const struct kp_extents_run *const *)b)->run;
    if (left->topic != right->topic)
        return left->topic < right->topic ? -1 : 1;
    if (left->partition != right->partition)
        return left->partition < right->partition ? -1 : 1;
    if (left->base_offset != right->base_offset)
        return left->base_offset < right->base_offset ? -1 : 1;
    return (left->end_offset > right->end_offset) - (left->end_offset < right->end_offset); /* both may be lost */
}

/* Where a run begins: behind the mixed extent's data so far, or in a file of its own. */
static void place_run(struct kp_extents_writer *writer, struct kp_extents_run *run)
{
    struct kp_extent_header *header = &writer->header;
    if (!run->elsewhere && !run->adopted) {
        bool own = run->run.bytes >= writer->own_bytes;
        run->run.extent = own ? (uint32_t)writer->next_number++ : 0;
        run->run.place = KP_SECTOR_BYTES + (own ? 0 : header->data_bytes);
        header->data_bytes += own ? 0 : run->run.bytes;
        struct kp_extent_index *index = (void *)run->index.data;
        for (size_t i = 0; i < run->index.len / sizeof *index; i++)
            index[i].place += run->run.place;
    }
    run->run.index_first = header->index_entries;
    run->run.index_count = (uint32_t)(run->index.len / sizeof(struct kp_extent_index));
    run->run.index_crc = kp_crc32c(0, run->index.data, run->index.len);
    header->index_entries += run->run.index_count;
}

void kp_extents_lay_out(struct kp_extents_writer *writer)
{
    struct kp_extent_header *header = &writer->header;
    header->number = writer->next_number++;
    struct kp_extents_run **order = kp_alloc((writer->run_count + 1) * sizeof(struct kp_extents_run *));
    for (size_t i = 0; i < writer->run_count; i++)
        order[i] = &writer->runs[i];
    qsort(order, writer->run_count, sizeof(struct kp_extents_run *), by_offset);
    uint32_t *sorted_at = kp_alloc((writer->run_count + 1) * sizeof *sorted_at);
    writer->sorted = kp_alloc((writer->run_count + 1) * sizeof *writer->sorted);
    for (size_t i = 0; i < writer->run_count; i++) {
        place_run(writer, order[i]);
        sorted_at[order[i] - writer->runs] = (uint32_t)i;
        writer->sorted[i] = order[i]->run;
    }
    for (size_t i = 0; i < writer->item_count; i++) {
        if (writer->items[i].run == KP_ORDER_NO_RUN)
            continue;
        const struct kp_extents_run *run = &writer->runs[writer->items[i].run];
        writer->items[i].place += run->elsewhere || run->adopted ? 0 : run->run.place;
        writer->items[i].run = sorted_at[writer->items[i].run];
    }
    struct kp_extents_run *runs = kp_alloc((writer->run_count + 1) * sizeof *runs); /* the indexes in the runs' order */
    for (size_t i = 0; i < writer->run_count; i++)
        runs[i] = *order[i];
    kp_free(writer->runs);
    writer->runs = runs;
    writer->run_cap = writer->run_count + 1;
    kp_free(sorted_at);
    kp_free(order);
    uint32_t pages = (uint32_t)((writer->item_count + KP_ORDER_PAGE_ENTRIES - 1) / KP_ORDER_PAGE_ENTRIES);
    header->runs = (uint32_t)writer->run_count;
    header->order_pages = pages;
    header->runs_at = KP_SECTOR_BYTES + kp_sector_ceil(header->data_bytes);
    header->order_at = header->runs_at + kp_sector_ceil(header->runs * sizeof(struct kp_extent_run));
    header->index_at = header->order_at + (uint64_t)pages * KP_ORDER_PAGE_BYTES;
    header->state_at = header->index_at + kp_sector_ceil(header->index_entries * sizeof(struct kp_extent_index));
    header->runs_crc = kp_crc32c(0, writer->sorted, header->runs * sizeof *writer->sorted);
}

/* ---- files ---- */

/* A file being written: data before `from` is on disk. */
struct output {
    uint64_t number;
    struct kp_file *file;
    uint8_t *window;
    uint64_t from, window_bytes, until; /* until: where its data ends */
};

/* What is gathered of a run that is scattered: `len` bytes that go to `place`. */
struct piece {
    uint8_t *bytes;
    uint64_t place;
    size_t len;
};

struct outputs {
    struct output mixed;
    struct output *own; /* in order of number */
    size_t own_count, next_item;
    uint64_t put_bytes;   /* of items, as far as they were put */
    struct piece *pieces; /* a run each; NULL: the mixed extent is not scattered */
    size_t piece_bytes;
};

static enum kp_code open_output(struct kp_extents_writer *writer, struct output *output, uint64_t file_bytes,
                                bool direct, struct kp_error *err)
{
    struct kp_os *os = writer->os;
    char *path = kp_extent_path(writer->dir, output->number, KP_EXTENT_NEW_SUFFIX);
    unsigned cache = direct && !writer->no_sync ? KP_OPEN_DIRECT : 0;
    enum kp_code code = kp_files_create(os, path, KP_OPEN_READ | cache, &output->file, err);
    kp_free(path);
    KP_TRY(code);
    output->from = KP_SECTOR_BYTES;
    output->window = kp_alloc_aligned(KP_SECTOR_BYTES, (size_t)output->window_bytes);
    memset(output->window, 0, (size_t)output->window_bytes);
    if (writer->no_sync)
        return os->truncate(os->ctx, output->file, file_bytes, err);
    return os->allocate(os->ctx, output->file, 0, file_bytes, err);
}

/* Writes the window as far as the data goes, and moves it on. All of it was filled. */
static enum kp_code flush(struct kp_extents_writer *writer, struct output *output, struct kp_error *err)
{
    uint64_t end = KP_SECTOR_BYTES + kp_sector_ceil(output->until - KP_SECTOR_BYTES);
    uint64_t len = KP_MIN(output->window_bytes, end - output->from);
    if (len && output->from + len > output->until)
        memset(output->window + (output->until - output->from), 0, (size_t)(output->from + len - output->until));
    if (len)
        KP_TRY(writer->os->pwrite(writer->os->ctx, output->file, output->window, (size_t)len, output->from, err));
    output->from += len;
    return KP_OK;
}

/* Copies what of `len` bytes at `place` lies in the window. */
static void put_part(struct output *output, uint64_t place, const void *bytes, uint64_t len)
{
    uint64_t begin = KP_MAX(place, output->from);
    uint64_t end = KP_MIN(place + len, output->from + output->window_bytes);
    if (begin < end)
        memcpy(output->window + (begin - output->from), (const uint8_t *)bytes + (begin - place),
               (size_t)(end - begin));
}

/* An item: its header, its batch, and the zeros behind it. */
struct parts {
    struct kp_extent_item header;
    const void *batch;
    uint64_t bytes; /* of all */
};
static const uint8_t no_bytes[8];

static void put_parts(struct output *output, uint64_t place, const struct parts *parts)
{
    uint64_t end = sizeof parts->header + parts->header.bytes;
    put_part(output, place, &parts->header, sizeof parts->header);
    put_part(output, place + sizeof parts->header, parts->batch, parts->header.bytes);
    put_part(output, place + end, no_bytes, parts->bytes - end);
}

/* ---- scattered ---- */

static enum kp_code write_piece(struct kp_extents_writer *writer, struct outputs *outputs, struct piece *piece,
                                struct kp_error *err)
{
    struct kp_os *os = writer->os;
    if (piece->len)
        KP_TRY(os->pwrite(os->ctx, outputs->mixed.file, piece->bytes, piece->len, piece->place, err));
    piece->place += piece->len;
    piece->len = 0;
    return KP_OK;
}

static enum kp_code add_bytes(struct kp_extents_writer *writer, struct outputs *outputs, struct piece *piece,
                              const void *bytes, size_t len, struct kp_error *err)
{
    if (piece->len + len > outputs->piece_bytes)
        KP_TRY(write_piece(writer, outputs, piece, err));
    if (len > outputs->piece_bytes) {
        KP_TRY(writer->os->pwrite(writer->os->ctx, outputs->mixed.file, bytes, len, piece->place, err));
        piece->place += len;
        return KP_OK;
    }
    if (!piece->bytes)
        piece->bytes = kp_alloc(outputs->piece_bytes);
    if (len)
        memcpy(piece->bytes + piece->len, bytes, len);
    piece->len += len;
    return KP_OK;
}

static enum kp_code scatter(struct kp_extents_writer *writer, struct outputs *outputs, struct piece *piece,
                            uint64_t place, const struct parts *parts, struct kp_error *err)
{
    if (piece->place + piece->len != place) {
        KP_TRY(write_piece(writer, outputs, piece, err));
        piece->place = place;
    }
    KP_TRY(add_bytes(writer, outputs, piece, &parts->header, sizeof parts->header, err));
    KP_TRY(add_bytes(writer, outputs, piece, parts->batch, parts->header.bytes, err));
    return add_bytes(writer, outputs, piece, no_bytes,
                     (size_t)(parts->bytes - sizeof parts->header - parts->header.bytes), err);
}

/* ---- batches ---- */

static size_t find_item(const struct kp_extents_writer *writer, size_t hint, int64_t position)
{
    if (hint < writer->item_count && writer->items[hint].position == position &&
        !(writer->items[hint].flags & KP_ORDER_LOST))
        return hint;
    size_t low = 0, high = writer->item_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (writer->items[middle].position < position)
            low = middle + 1;
        else
            high = middle;
    }
    while (low < writer->item_count && (writer->items[low].flags & KP_ORDER_LOST)) /* they end where it begins */
        low++;
    return low < writer->item_count && writer->items[low].position == position ? low : STRAY;
}

static struct output *own_output(struct outputs *outputs, uint64_t number)
{
    size_t low = 0, high = outputs->own_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (outputs->own[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low < outputs->own_count && outputs->own[low].number == number ? &outputs->own[low] : NULL;
}

enum kp_code kp_extents_put(struct kp_extents_writer *writer, void *put_arg, int64_t position, const void *batch,
                            uint32_t bytes, struct kp_error *err)
{
    struct outputs *outputs = put_arg;
    size_t at = find_item(writer, outputs->next_item, position);
    if (at == STRAY)
        return KP_OK;
    outputs->next_item = at + 1;
    const struct kp_order_entry *item = &writer->items[at];
    if (item->run == KP_ORDER_NO_RUN)
        return KP_OK;
    uint64_t extent = writer->sorted[item->run].extent;
    struct output *output = extent ? own_output(outputs, extent) : &outputs->mixed;
    if (!output) /* it lies in an extent that stays */
        return KP_OK;
    if (item->bytes != bytes) /* the order of the set that it comes from says so */
        return kp_fail(err, KP_CORRUPT, NULL, "another record batch lies at position %lld than its set says",
                       (long long)position);
    struct parts parts = {{bytes, 0, item->position, item->log_time_us}, batch, kp_extent_item_bytes(bytes)};
    parts.header.crc = kp_extent_item_crc(&parts.header, batch);
    outputs->put_bytes += parts.bytes;
    if (!extent && outputs->pieces)
        return scatter(writer, outputs, &outputs->pieces[item->run], item->place, &parts, err);
    for (;;) { /* the mixed window stands; the others move with their data */
        put_parts(output, item->place, &parts);
        if (!extent || item->place + parts.bytes <= output->from + output->window_bytes)
            return KP_OK;
        KP_TRY(flush(writer, output, err));
    }
}

/* Writes a section of the mixed extent. */
static enum kp_code write_section(struct kp_extents_writer *writer, struct output *mixed, uint64_t place,
                                  const void *bytes, size_t len, struct kp_error *err)
{
    for (size_t done = 0; done < len;) {
        size_t part = KP_MIN(len - done, (size_t)mixed->window_bytes), whole = (size_t)kp_sector_ceil(part);
        memset(mixed->window + part, 0, whole - part);
        memcpy(mixed->window, (const uint8_t *)bytes + done, part);
        KP_TRY(writer->os->pwrite(writer->os->ctx, mixed->file, mixed->window, whole, place + done, err));
        done += part;
    }
    return KP_OK;
}

static enum kp_code write_order(struct kp_extents_writer *writer, struct output *mixed, struct kp_error *err)
{
    uint32_t in_window = (uint32_t)(mixed->window_bytes / KP_ORDER_PAGE_BYTES), pages = writer->header.order_pages;
    for (uint32_t first = 0; first < pages; first += in_window) {
        uint32_t count = KP_MIN(in_window, pages - first);
        for (uint32_t i = 0; i < count; i++) {
            struct kp_order_page *page = (void *)(mixed->window + (size_t)i * KP_ORDER_PAGE_BYTES);
            size_t item = (size_t)(first + i) * KP_ORDER_PAGE_ENTRIES;
            const struct kp_order_entry *items = &writer->items[item];
            memset(page, 0, sizeof *page);
            page->magic = KP_ORDER_MAGIC;
            page->count = (uint32_t)KP_MIN((size_t)KP_ORDER_PAGE_ENTRIES, writer->item_count - item);
            page->position = items[0].position;
            page->log_time_us = items[0].log_time_us;
            memcpy(page->entries, items, page->count * sizeof *items);
            page->crc = kp_crc32c(0, &page->count, KP_ORDER_PAGE_BYTES - offsetof(struct kp_order_page, count));
        }
        KP_TRY(writer->os->pwrite(writer->os->ctx, mixed->file, mixed->window, (size_t)count * KP_ORDER_PAGE_BYTES,
                                  writer->header.order_at + (uint64_t)first * KP_ORDER_PAGE_BYTES, err));
    }
    return KP_OK;
}

static void settle_header(const struct kp_extents_writer *writer, struct kp_extent_header *header)
{
    memcpy(header->magic, KP_EXTENT_MAGIC, sizeof header->magic);
    header->format = writer->loses     ? KP_EXTENT_FORMAT_LOST
                     : writer->adopts  ? KP_EXTENT_FORMAT_ADOPTED
                     : writer->thinned ? KP_EXTENT_FORMAT_THINNED
                                       : KP_EXTENT_FORMAT;
    header->created_us = writer->os->wall_us(writer->os->ctx);
    header->crc = kp_extent_header_crc(header);
}

/* The header, last: then the file is whole. */
static enum kp_code complete(struct kp_extents_writer *writer, struct output *output,
                             const struct kp_extent_header *header, struct kp_error *err)
{
    memset(output->window, 0, KP_SECTOR_BYTES);
    memcpy(output->window, header, sizeof *header);
    KP_TRY(writer->os->pwrite(writer->os->ctx, output->file, output->window, KP_SECTOR_BYTES, 0, err));
    if (!writer->no_sync)
        KP_TRY(writer->os->sync(writer->os->ctx, output->file, err));
    struct kp_extent_made made = {header->number, header->file_bytes, header->kind, header->crc};
    kp_buf_append(&writer->made, &made, sizeof made);
    return KP_OK;
}

/* Were all batches put that the layout has a place for? Else zeros would be taken for them: a hole was found since they
 * were added, say. */
static enum kp_code check_put(const struct kp_extents_writer *writer, const struct outputs *outputs,
                              struct kp_error *err)
{
    uint64_t bytes = writer->header.data_bytes;
    for (size_t i = 0; i < outputs->own_count; i++)
        bytes += outputs->own[i].until - KP_SECTOR_BYTES;
    if (outputs->put_bytes == bytes)
        return KP_OK;
    return kp_fail(err, KP_CORRUPT, NULL, "%llu bytes of record batches were to be written to extents, and %llu came",
                   (unsigned long long)bytes, (unsigned long long)outputs->put_bytes);
}

static enum kp_code write_data(struct kp_extents_writer *writer, struct outputs *outputs,
                               const struct kp_extents_source *source, struct kp_error *err)
{
    KP_TRY(source->each(source->arg, writer, outputs, err));
    KP_TRY(check_put(writer, outputs, err));
    for (size_t i = 0; outputs->pieces && i < writer->run_count; i++)
        KP_TRY(write_piece(writer, outputs, &outputs->pieces[i], err));
    return outputs->pieces ? KP_OK : flush(writer, &outputs->mixed, err);
}

/* Runs, index and state once more, with the header behind them. */
static enum kp_code write_copies(struct kp_extents_writer *writer, struct output *mixed, const struct kp_buf *index,
                                 const struct kp_buf *state, struct kp_error *err)
{
    const struct kp_extent_header *header = &writer->header;
    size_t bytes = (size_t)(header->file_bytes - header->copies_at), runs = header->runs * sizeof *writer->sorted;
    uint8_t *copies = kp_calloc(bytes, 1);
    memcpy(copies, writer->sorted, runs);
    if (index->len)
        memcpy(copies + runs, index->data, index->len);
    memcpy(copies + runs + index->len, state->data, state->len);
    memcpy(copies + bytes - sizeof *header, header, sizeof *header);
    enum kp_code code = write_section(writer, mixed, header->copies_at, copies, bytes, err);
    kp_free(copies);
    return code;
}

static enum kp_code write_sections(struct kp_extents_writer *writer, struct output *mixed, const struct kp_buf *state,
                                   struct kp_error *err)
{
    struct kp_extent_header *header = &writer->header;
    struct kp_buf index = {0};
    for (size_t i = 0; i < writer->run_count; i++)
        if (writer->runs[i].index.len)
            kp_buf_append(&index, writer->runs[i].index.data, writer->runs[i].index.len);
    enum kp_code code =
        write_section(writer, mixed, header->runs_at, writer->sorted, header->runs * sizeof *writer->sorted, err);
    if (code == KP_OK)
        code = write_section(writer, mixed, header->index_at, index.data, index.len, err);
    if (code == KP_OK)
        code = write_copies(writer, mixed, &index, state, err);
    kp_buf_finish(&index);
    KP_TRY(code);
    KP_TRY(write_order(writer, mixed, err));
    return write_section(writer, mixed, header->state_at, state->data, state->len, err);
}

static enum kp_code write_all(struct kp_extents_writer *writer, struct outputs *outputs,
                              const struct kp_extents_source *source, const struct kp_buf *state, struct kp_error *err)
{
    struct kp_extent_header *header = &writer->header;
    for (size_t i = 0; i < outputs->own_count; i++)
        KP_TRY(
            open_output(writer, &outputs->own[i], KP_SECTOR_BYTES + kp_sector_ceil(outputs->own[i].until), true, err));
    KP_TRY(open_output(writer, &outputs->mixed, header->file_bytes, !outputs->pieces, err));
    KP_TRY(write_data(writer, outputs, source, err));
    for (size_t i = 0; i < outputs->own_count; i++) {
        struct output *own = &outputs->own[i];
        KP_TRY(flush(writer, own, err));
        struct kp_extent_header own_header = *header;
        own_header.kind = KP_EXTENT_OWN;
        own_header.number = own->number;
        own_header.data_bytes = own->until - KP_SECTOR_BYTES;
        own_header.file_bytes = kp_sector_ceil(own->until);
        own_header.runs = own_header.order_pages = own_header.index_entries = own_header.state_bytes = 0;
        own_header.runs_at = own_header.order_at = own_header.index_at = own_header.state_at = own_header.copies_at = 0;
        own_header.runs_crc = own_header.state_crc = 0;
        settle_header(writer, &own_header);
        KP_TRY(complete(writer, own, &own_header, err));
    }
    settle_header(writer, header);
    KP_TRY(write_sections(writer, &outputs->mixed, state, err));
    return complete(writer, &outputs->mixed, header, err);
}

static void close_output(struct kp_extents_writer *writer, struct output *output, bool failed)
{
    struct kp_os *os = writer->os;
    if (output->file)
        os->close(os->ctx, output->file);
    kp_free(output->window);
    if (!failed)
        return;
    char *path = kp_extent_path(writer->dir, output->number, KP_EXTENT_NEW_SUFFIX);
    kp_files_discard(os, path);
    kp_free(path);
}

/* Does the run get an extent of its own, to be written? */
static bool to_own(const struct kp_extents_writer *writer, size_t run)
{
    return writer->sorted[run].extent && !writer->runs[run].elsewhere && !writer->runs[run].adopted;
}

/* How the data goes into files. */
static void plan_outputs(const struct kp_extents_writer *writer, struct outputs *outputs)
{
    const struct kp_extent_header *header = &writer->header;
    size_t mixed_runs = 1;
    for (size_t i = 0; i < writer->run_count; i++) {
        outputs->own_count += to_own(writer, i);
        mixed_runs += !writer->sorted[i].extent;
    }
    outputs->own = kp_calloc(outputs->own_count + 1, sizeof *outputs->own);
    uint64_t share = OWN_WINDOWS_BYTES / KP_MAX(outputs->own_count, (size_t)1);
    share = KP_MIN(KP_MAX(share, (uint64_t)OWN_WINDOW_BYTES_MIN), (uint64_t)OWN_WINDOW_BYTES_MAX);
    struct output *own = outputs->own;
    for (size_t i = 0; i < writer->run_count; i++)
        if (to_own(writer, i))
            *own++ = (struct output){.number = writer->sorted[i].extent,
                                     .window_bytes = kp_sector_ceil(KP_MIN(share, writer->sorted[i].bytes)),
                                     .until = KP_SECTOR_BYTES + writer->sorted[i].bytes};
    uint64_t window_bytes = kp_sector_ceil(KP_MIN(writer->window_bytes, header->data_bytes));
    if (header->data_bytes > writer->window_bytes) {
        outputs->pieces = kp_calloc(writer->run_count, sizeof *outputs->pieces);
        outputs->piece_bytes = KP_MIN((size_t)writer->window_bytes / mixed_runs, (size_t)PIECE_BYTES_MAX);
        window_bytes = 0;
    }
    outputs->mixed = (struct output){.number = header->number,
                                     .window_bytes = KP_MAX(window_bytes, (uint64_t)MIXED_WINDOW_BYTES_MIN),
                                     .until = KP_SECTOR_BYTES + header->data_bytes};
}

enum kp_code kp_extents_write(struct kp_extents_writer *writer, const struct kp_extents_source *source,
                              const struct kp_buf *state, struct kp_error *err)
{
    struct kp_extent_header *header = &writer->header;
    struct outputs outputs = {0};
    header->kind = KP_EXTENT_MIXED;
    header->state_bytes = (uint32_t)state->len;
    header->state_crc = kp_crc32c(0, state->data, state->len);
    header->copies_at = header->state_at + kp_sector_ceil(state->len);
    header->file_bytes = kp_sector_ceil(header->copies_at + kp_extent_copies_bytes(header) + sizeof *header);
    plan_outputs(writer, &outputs);
    enum kp_code code = write_all(writer, &outputs, source, state, err);
    for (size_t i = 0; i < outputs.own_count; i++)
        close_output(writer, &outputs.own[i], code != KP_OK);
    close_output(writer, &outputs.mixed, code != KP_OK);
    for (size_t i = 0; outputs.pieces && i < writer->run_count; i++)
        kp_free(outputs.pieces[i].bytes);
    kp_free(outputs.pieces);
    kp_free(outputs.own);
    return code;
}

struct kp_extent_set *kp_extents_take(struct kp_extents_writer *writer)
{
    struct kp_extent_set *set = kp_calloc(1, sizeof *set);
    set->header = writer->header;
    set->runs = writer->sorted;
    writer->sorted = NULL;
    return set;
}

uint64_t kp_extents_made_bytes(const struct kp_extents_writer *writer)
{
    const struct kp_extent_made *list = (const void *)writer->made.data;
    uint64_t bytes = 0;
    for (size_t i = 0; i < writer->made.len / sizeof *list; i++)
        bytes += list[i].bytes;
    return bytes;
}
