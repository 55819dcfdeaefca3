/*
 * Any bytes written over a log that is sealed, merged and snapshot: extents, the journal behind them, the snapshot. The
 * log refuses to open, or opens; a read gives batches or an error; sealing and merging go on or fail; and what opened
 * once by its own checksums opens again. Nothing is read outside of what there is.
 *
 * An input is a row of patches: file 1, length 1, place 3 (big-endian, modulo the file's size), then the bytes. They
 * are taken as they are, and once more with all checksums made right, up to those that name others, which mutations
 * hardly ever find.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "log/extent.h"
#include "log/inspect.h"
#include "log/log.h"
#include "log/record_batch.h"
#include "sim/sim.h"

enum { FILES_MAX = 64, GROUPS = 70, TOPICS = 2, PATCH_BYTES = 5, PATCHES_MAX = 64 };
#define DIR "data"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);
void kp_fuzz_write_seeds(const char *dir);
unsigned kp_fuzz_mutations(void);

static struct image {
    char names[FILES_MAX][64];
    uint8_t *bytes[FILES_MAX];
    size_t sizes[FILES_MAX];
    size_t count;
} whole;

static struct kp_log_options options(struct kp_sim *sim)
{
    return (struct kp_log_options){.os = kp_sim_os(sim),
                                   .dir = DIR,
                                   .no_threads = true,
                                   .journal_file_bytes = 16 << 10,
                                   .seal_bytes = 30 << 10,
                                   .snapshot_bytes = 30 << 10,
                                   .extent_own_bytes = 12 << 10,
                                   .tail_bytes = 1};
}

/* ---- the whole log ---- */

static bool append_one(struct kp_log *log, uint32_t topic, uint32_t partition, size_t bytes)
{
    static const char text[4096];
    struct kp_record_batch_builder builder = {0};
    struct kp_buf batch = {0};
    struct kp_error err;
    kp_record_batch_add(&builder, 1, kp_str("key"), (struct kp_str){text, bytes}, (struct kp_str){0});
    KP_ASSERT(kp_record_batch_build(&builder, KP_CODEC_NONE, &batch, &err) == KP_OK);
    kp_record_batch_builder_finish(&builder);
    struct kp_log_entry entry = {.topic = topic, .partition = partition, .batch = batch.data, .bytes = batch.len};
    bool good = kp_log_append(log, &entry, 1, NULL, &err) == KP_OK;
    kp_buf_finish(&batch);
    return good;
}

static void maintain(struct kp_log *log)
{
    struct kp_error err;
    bool did = true;
    for (int steps = 0; did && steps < 100; steps++)
        if (kp_log_maintain(log, &did, &err) != KP_OK)
            return;
}

static void note_file(void *arg, const char *name)
{
    if (strcmp(name, "lock") == 0 || whole.count == FILES_MAX)
        return;
    snprintf(whole.names[whole.count++], sizeof whole.names[0], "%s/%s", DIR, name);
}

static void make_whole(void)
{
    struct kp_sim *sim = kp_sim_create(5);
    struct kp_log_options opened = options(sim);
    struct kp_os *os = opened.os;
    struct kp_log *log;
    struct kp_error err;
    uint32_t id;
    KP_ASSERT(kp_log_open(&opened, &log, &err) == KP_OK);
    for (int i = 0; i < TOPICS; i++)
        KP_ASSERT(kp_log_topic_create(log, i ? "b" : "a", 2, &id, &err) == KP_OK);
    for (int i = 0; i < GROUPS; i++) {
        KP_ASSERT(append_one(log, i % 3 ? 1 : 2, i % 4 == 0, i % 5 ? 100 : 3000));
        if (i == GROUPS / 2)
            KP_ASSERT(kp_log_trim(log, 1, 0, 7, &err) == KP_OK);
        if (i < GROUPS - 9)
            maintain(log);
    }
    kp_log_close(log);
    KP_ASSERT(os->list(os->ctx, DIR, note_file, NULL, &err) == KP_OK);
    for (size_t i = 0; i < whole.count; i++) {
        struct kp_file *file;
        uint64_t bytes;
        size_t got;
        KP_ASSERT(os->open(os->ctx, whole.names[i], KP_OPEN_READ, &file, &err) == KP_OK);
        KP_ASSERT(os->size(os->ctx, file, &bytes, &err) == KP_OK);
        whole.sizes[i] = (size_t)bytes;
        whole.bytes[i] = kp_alloc((size_t)bytes);
        KP_ASSERT(os->pread(os->ctx, file, whole.bytes[i], (size_t)bytes, 0, &got, &err) == KP_OK && got == bytes);
        os->close(os->ctx, file);
    }
    kp_sim_destroy(sim);
}

/* ---- damage ---- */

static bool is(size_t file, const char *suffix)
{
    return strstr(whole.names[file], suffix);
}

static void patch(struct image *image, const uint8_t *bytes, size_t len)
{
    for (int n = 0; len > PATCH_BYTES && n < PATCHES_MAX; n++) {
        size_t file = bytes[0] % image->count, count = KP_MIN((size_t)bytes[1], len - PATCH_BYTES);
        size_t place = ((size_t)bytes[2] << 16 | (size_t)bytes[3] << 8 | bytes[4]) % image->sizes[file];
        count = KP_MIN(count, image->sizes[file] - place);
        memcpy(image->bytes[file] + place, bytes + PATCH_BYTES, count);
        bytes += PATCH_BYTES + count;
        len -= PATCH_BYTES + count;
    }
}

static void mend_items(uint8_t *bytes, size_t size, const struct kp_extent_header *header)
{
    size_t end = (size_t)KP_MIN(header->data_bytes, size - KP_SECTOR_BYTES) + KP_SECTOR_BYTES;
    for (size_t at = KP_SECTOR_BYTES; at + sizeof(struct kp_extent_item) <= end;) {
        struct kp_extent_item *item = (void *)(bytes + at);
        if (item->bytes > end - at - sizeof *item)
            return;
        item->crc = kp_extent_item_crc(item, item + 1);
        at += (size_t)kp_extent_item_bytes(item->bytes);
    }
}

static bool fits(uint64_t at, uint64_t count, uint64_t each, size_t size)
{
    return at % 8 == 0 && at <= size && count <= (size - at) / each;
}

/* Makes an extent's checksums right, from the innermost out. */
static void mend_extent(uint8_t *bytes, size_t size)
{
    struct kp_extent_header *header = (void *)bytes;
    mend_items(bytes, size, header);
    for (uint32_t i = 0;
         fits(header->order_at, header->order_pages, KP_ORDER_PAGE_BYTES, size) && i < header->order_pages; i++) {
        struct kp_order_page *page = (void *)(bytes + header->order_at + (size_t)i * KP_ORDER_PAGE_BYTES);
        page->crc = kp_crc32c(0, &page->count, KP_ORDER_PAGE_BYTES - offsetof(struct kp_order_page, count));
    }
    if (fits(header->runs_at, header->runs, sizeof(struct kp_extent_run), size)) {
        struct kp_extent_run *runs = (void *)(bytes + header->runs_at);
        for (uint32_t i = 0; i < header->runs; i++) {
            uint64_t at = header->index_at + (uint64_t)runs[i].index_first * sizeof(struct kp_extent_index);
            if (fits(at, runs[i].index_count, sizeof(struct kp_extent_index), size))
                runs[i].index_crc =
                    kp_crc32c(0, bytes + at, (size_t)runs[i].index_count * sizeof(struct kp_extent_index));
        }
        header->runs_crc = kp_crc32c(0, runs, header->runs * sizeof *runs);
    }
    if (fits(header->state_at, header->state_bytes, 1, size))
        header->state_crc = kp_crc32c(0, bytes + header->state_at, header->state_bytes);
    header->crc = kp_extent_header_crc(header);
}

/* The journal's list of extents names their headers' checksums. */
static void mend_sealed(const struct image *image, uint8_t *payload, size_t bytes)
{
    struct kp_sealed_head *head = (void *)payload;
    struct kp_sealed_extent *extents = (void *)(head + 1);
    for (size_t i = 0; bytes >= sizeof *head && i < (bytes - sizeof *head) / sizeof *extents; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s/%08llu%s", DIR, (unsigned long long)extents[i].number, KP_EXTENT_SUFFIX);
        for (size_t file = 0; file < image->count; file++)
            if (strcmp(whole.names[file], name) == 0)
                extents[i].header_crc = ((struct kp_extent_header *)(void *)image->bytes[file])->crc;
    }
}

static void mend_journal(const struct image *image, uint8_t *bytes, size_t size, uint32_t *previous)
{
    struct kp_file_header *file = (void *)bytes;
    file->crc = kp_file_header_crc(file);
    for (size_t at = KP_SECTOR_BYTES; at + KP_SECTOR_BYTES <= size;) {
        struct kp_block_header *block = (void *)(bytes + at);
        if (block->magic != KP_BLOCK_MAGIC || block->file_number != file->file_number ||
            kp_block_bytes(block) > size - at) {
            at += KP_SECTOR_BYTES;
            continue;
        }
        struct kp_entry_walk walk = kp_entry_walk_start(block);
        const struct kp_entry_header *entry;
        const char *wrong;
        while (kp_entry_walk_next(&walk, &entry, &wrong))
            if (entry->kind == KP_ENTRY_SEALED)
                mend_sealed(image, bytes + ((const uint8_t *)(entry + 1) - bytes), entry->payload_bytes);
        block->payload_crc = kp_crc32c(0, block + 1, block->payload_bytes);
        if (*previous)
            block->previous_crc = *previous;
        block->header_crc = *previous = kp_block_header_crc(block);
        at += (size_t)kp_block_bytes(block);
    }
}

static void mend_snapshot(uint8_t *bytes, size_t size)
{
    enum { HEADER_BYTES = 128, SECTIONS_CRC = 120, CRC = 124 };
    if (size < HEADER_BYTES)
        return;
    uint32_t crc = kp_crc32c(0, bytes + HEADER_BYTES, size - HEADER_BYTES);
    memcpy(bytes + SECTIONS_CRC, &crc, sizeof crc);
    crc = kp_crc32c(0, bytes, CRC);
    memcpy(bytes + CRC, &crc, sizeof crc);
}

static void mend(struct image *image)
{
    uint32_t previous = 0;
    for (size_t i = 0; i < image->count; i++)
        if (is(i, KP_EXTENT_SUFFIX))
            mend_extent(image->bytes[i], image->sizes[i]);
    for (size_t i = 0; i < image->count; i++)
        if (is(i, ".journal"))
            mend_journal(image, image->bytes[i], image->sizes[i], &previous);
        else if (is(i, "/snapshot"))
            mend_snapshot(image->bytes[i], image->sizes[i]);
}

/* ---- living with it ---- */

static void put_files(const struct image *image, struct kp_sim *sim)
{
    struct kp_os *os = kp_sim_os(sim);
    for (size_t i = 0; i < image->count; i++) {
        struct kp_file *file;
        KP_ASSERT(os->open(os->ctx, whole.names[i], KP_OPEN_WRITE | KP_OPEN_CREATE, &file, NULL) == KP_OK);
        KP_ASSERT(os->pwrite(os->ctx, file, image->bytes[i], image->sizes[i], 0, NULL) == KP_OK);
        KP_ASSERT(os->sync(os->ctx, file, NULL) == KP_OK);
        os->close(os->ctx, file);
    }
    KP_ASSERT(os->sync_dir(os->ctx, DIR, NULL) == KP_OK);
}

/* Every byte of what is given can be read; an error ends it. */
static void read_all(struct kp_log *log)
{
    struct kp_error err;
    uint64_t sum = 0;
    int64_t end = kp_log_position(log);
    for (int64_t position = 0; position < end;) {
        struct kp_log_span span;
        if (kp_log_read(log, position, INT64_MAX, 20000, NULL, 0, &span, &err) != KP_OK)
            break;
        for (size_t i = 0; i < span.count; i++)
            sum += kp_hash_bytes(span.chunks[i].batch, span.chunks[i].bytes);
        bool moved = span.position_end > position;
        position = span.position_end;
        kp_log_span_release(&span);
        if (!moved)
            break;
    }
    struct kp_topic_info *topics;
    size_t count;
    kp_log_topics(log, &topics, &count);
    for (size_t i = 0; i < count; i++)
        for (uint32_t p = 0; p < topics[i].partitions; p++) {
            struct kp_partition_info info;
            struct kp_buf out = {0};
            int64_t offset, at, time;
            if (kp_log_partition(log, topics[i].id, p, &info, &err) == KP_OK &&
                kp_log_fetch(log, topics[i].id, p, info.start_offset, 20000, &out, &err) == KP_OK && out.len)
                sum += kp_hash_bytes(out.data, out.len);
            kp_buf_finish(&out);
            (void)!kp_log_offset_at(log, topics[i].id, p, 1, &offset, &time, &err);
            (void)!kp_log_offset_behind(log, topics[i].id, p, end / 2, &offset, &err);
            (void)!kp_log_position_at(log, 1700000000000000, &at, &err);
            (void)!kp_log_time_at(log, end / 2, &time, &err);
        }
    kp_free(topics);
    KP_ASSERT(sum != 1);
}

static void live_on(const struct image *image, bool forged)
{
    struct kp_sim *sim = kp_sim_create(1);
    struct kp_log_options opened = options(sim);
    struct kp_inspect_report report;
    struct kp_log *log;
    struct kp_error err;
    put_files(image, sim);
    (void)!kp_inspect_verify(opened.os, DIR, NULL, NULL, &report, &err);
    if (kp_log_open(&opened, &log, &err) == KP_OK) {
        read_all(log);
        bool appended = false;
        for (int i = 0; i < 8; i++)
            appended |= append_one(log, 1, 0, 3000);
        maintain(log);
        read_all(log);
        kp_log_close(log);
        if (appended) { /* what opened once opens again, unless its checksums vouch for lies */
            enum kp_code code = kp_log_open(&opened, &log, &err);
            KP_ASSERT(code == KP_OK || forged);
            if (code == KP_OK) {
                read_all(log);
                kp_log_close(log);
            }
        }
    }
    kp_sim_destroy(sim);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (!whole.count)
        make_whole();
    struct image image = whole;
    for (size_t i = 0; i < image.count; i++) {
        image.bytes[i] = kp_alloc(image.sizes[i]);
        memcpy(image.bytes[i], whole.bytes[i], image.sizes[i]);
    }
    patch(&image, bytes, len);
    live_on(&image, false);
    mend(&image);
    live_on(&image, true);
    for (size_t i = 0; i < image.count; i++)
        kp_free(image.bytes[i]);
    return 0;
}

unsigned kp_fuzz_mutations(void)
{
    return 200;
}

/* ---- first inputs ---- */

/* A patch of `count` bytes into each kind of place of the file. */
static void write_seed(const char *dir, const char *name, size_t file, uint64_t place, const void *bytes, uint8_t count)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *out = fopen(path, "wb");
    KP_ASSERT(out);
    fputc((int)file, out);
    fputc(count, out);
    for (int shift = 16; shift >= 0; shift -= 8)
        fputc((int)(place >> shift & 255), out);
    KP_ASSERT(fwrite(bytes, 1, count, out) == count);
    fclose(out);
}

void kp_fuzz_write_seeds(const char *dir)
{
    static const uint8_t ones[16] = {255, 255, 255, 255, 255, 255, 255, 127, 255, 255, 255, 255, 255, 255, 255, 127};
    make_whole();
    for (size_t i = 0; i < whole.count; i++) {
        const struct kp_extent_header *header = (const void *)whole.bytes[i];
        char name[64];
        struct {
            const char *what;
            uint64_t place;
        } places[] = {{"header", offsetof(struct kp_extent_header, position)},
                      {"sizes", offsetof(struct kp_extent_header, runs)},
                      {"item", KP_SECTOR_BYTES},
                      {"run", header->runs_at + offsetof(struct kp_extent_run, place)},
                      {"order", header->order_at + offsetof(struct kp_order_page, count)},
                      {"entry", header->order_at + offsetof(struct kp_order_page, entries)},
                      {"index", header->index_at},
                      {"state", header->state_at}};
        for (size_t p = 0; is(i, KP_EXTENT_SUFFIX) && p < KP_COUNT(places); p++) {
            snprintf(name, sizeof name, "extent-%s-%zu", places[p].what, i);
            if (places[p].place + sizeof ones <= whole.sizes[i] && (p < 3 || header->kind == KP_EXTENT_MIXED))
                write_seed(dir, name, i, places[p].place, ones, p % 2 ? 16 : 5);
        }
        if (is(i, "/snapshot"))
            for (int p = 0; p < 8; p++) {
                snprintf(name, sizeof name, "snapshot-%d", p);
                write_seed(dir, name, i, (uint64_t)p * 24, ones, 8);
            }
    }
}
