/*
 * Any bytes as a journal's first file: the log refuses to open, or opens, can be read, takes an append, and then opens
 * again with it. Nothing is read outside of what there is.
 *
 * The bytes are taken as they are, and once more with the checksums made right, which mutations hardly ever find.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/hash.h"
#include "log/format.h"
#include "log/log.h"
#include "log/record_batch.h"
#include "sim/sim.h"

enum { IMAGE_BYTES_MAX = 256 << 10, FILE_BYTES = 32 << 10, SEEDS = 4 };
#define DIR  "data"
#define PATH "data/00000001.journal"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);
void kp_fuzz_write_seeds(const char *dir);

static struct kp_log_options options(struct kp_sim *sim)
{
    return (struct kp_log_options){
        .os = kp_sim_os(sim), .dir = DIR, .no_threads = true, .journal_file_bytes = FILE_BYTES, .tail_bytes = 1};
}

/* ---- the image ---- */

static void repair(uint8_t *image, size_t bytes)
{
    struct kp_file_header *file = (void *)image;
    file->file_bytes = bytes;
    file->crc = kp_file_header_crc(file);
    uint32_t previous = 0;
    for (size_t at = KP_SECTOR_BYTES; at + KP_SECTOR_BYTES <= bytes;) {
        struct kp_block_header *block = (void *)(image + at);
        if (block->magic != KP_BLOCK_MAGIC || kp_block_bytes(block) > bytes - at) {
            at += KP_SECTOR_BYTES;
            continue;
        }
        block->payload_crc = kp_crc32c(0, block + 1, block->payload_bytes);
        block->previous_crc = previous;
        block->header_crc = previous = kp_block_header_crc(block);
        at += kp_block_bytes(block);
    }
}

static void write_image(struct kp_sim *sim, const uint8_t *bytes, size_t len, bool repaired)
{
    struct kp_os *os = kp_sim_os(sim);
    struct kp_file *file;
    size_t size = KP_MAX((size_t)kp_sector_ceil(len), (size_t)FILE_BYTES); /* trailing zeros need not be given */
    uint8_t *image = kp_calloc(1, size);
    memcpy(image, bytes, len);
    if (repaired)
        repair(image, size);
    KP_ASSERT(os->open(os->ctx, PATH, KP_OPEN_READ | KP_OPEN_WRITE | KP_OPEN_CREATE, &file, NULL) == KP_OK);
    KP_ASSERT(os->pwrite(os->ctx, file, image, size, 0, NULL) == KP_OK);
    KP_ASSERT(os->sync(os->ctx, file, NULL) == KP_OK && os->sync_dir(os->ctx, DIR, NULL) == KP_OK);
    os->close(os->ctx, file);
    kp_free(image);
}

/* ---- the log on it ---- */

static enum kp_code read_all(struct kp_log *log, uint64_t *ret_sum, struct kp_error *err)
{
    uint64_t sum = 0;
    for (int64_t position = 0;;) {
        struct kp_log_span span;
        KP_TRY(kp_log_read(log, position, INT64_MAX, 1 << 20, NULL, 0, &span, err));
        for (size_t i = 0; i < span.count; i++)
            sum = sum * 31 + kp_hash_bytes(span.chunks[i].batch, span.chunks[i].bytes);
        bool end = span.position_end == position;
        position = span.position_end;
        kp_log_span_release(&span);
        if (end)
            break;
    }
    *ret_sum = sum;
    return KP_OK;
}

static bool append_one(struct kp_log *log)
{
    struct kp_record_batch_builder builder = {0};
    struct kp_buf batch = {0};
    struct kp_error err;
    uint32_t topic = 0;
    kp_record_batch_add(&builder, 1, kp_str("key"), kp_str("value"), (struct kp_str){0});
    KP_ASSERT(kp_record_batch_build(&builder, KP_CODEC_NONE, &batch, &err) == KP_OK);
    kp_record_batch_builder_finish(&builder);
    struct kp_topic_info info;
    bool there = kp_log_topic_find(log, "fuzz", &info, &err) == KP_OK;
    bool good = there ? info.partitions > 0 : kp_log_topic_create(log, "fuzz", 1, &topic, &err) == KP_OK;
    topic = there ? info.id : topic;
    struct kp_log_entry entry = {.topic = topic, .batch = batch.data, .bytes = batch.len};
    good = good && kp_log_append(log, &entry, 1, NULL, &err) == KP_OK;
    kp_buf_finish(&batch);
    return good;
}

static void live_on(const uint8_t *bytes, size_t len, bool repaired)
{
    struct kp_sim *sim = kp_sim_create(1);
    struct kp_log_options opened = options(sim);
    struct kp_log *log;
    struct kp_error err;
    uint64_t before = 0, after = 0;
    write_image(sim, bytes, len, repaired);
    if (kp_log_open(&opened, &log, &err) == KP_OK) {
        bool readable = read_all(log, &before, &err) == KP_OK;
        bool appended = append_one(log);
        if (readable && appended)
            KP_ASSERT(read_all(log, &before, &err) == KP_OK);
        kp_log_close(log);
        if (appended) { /* what opened once opens again, with what was added */
            KP_ASSERT(kp_log_open(&opened, &log, &err) == KP_OK);
            if (readable)
                KP_ASSERT(read_all(log, &after, &err) == KP_OK && after == before);
            kp_log_close(log);
        }
    }
    kp_sim_destroy(sim);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (len == 0 || len > IMAGE_BYTES_MAX)
        return 0;
    live_on(bytes, len, false);
    live_on(bytes, len, true);
    return 0;
}

/* ---- seeds ---- */

static void write_seed(const char *dir, int seed)
{
    struct kp_sim *sim = kp_sim_create((uint64_t)seed);
    struct kp_log_options opened = options(sim);
    struct kp_log *log;
    struct kp_error err;
    KP_ASSERT(kp_log_open(&opened, &log, &err) == KP_OK);
    for (int i = 0; i < seed; i++)
        KP_ASSERT(append_one(log));
    if (seed % 2)
        kp_log_close(log);
    struct kp_os *os = kp_sim_os(sim);
    struct kp_file *file;
    uint8_t *bytes = kp_calloc(1, FILE_BYTES);
    size_t len;
    KP_ASSERT(os->open(os->ctx, PATH, KP_OPEN_READ, &file, &err) == KP_OK);
    KP_ASSERT(os->pread(os->ctx, file, bytes, FILE_BYTES, 0, &len, &err) == KP_OK);
    os->close(os->ctx, file);
    while (len > 1 && bytes[len - 1] == 0)
        len--;
    char path[512];
    snprintf(path, sizeof path, "%s/log-%d", dir, seed);
    struct kp_os *real = kp_os_real();
    KP_ASSERT(real->open(real->ctx, path, KP_OPEN_WRITE | KP_OPEN_CREATE | KP_OPEN_TRUNCATE, &file, &err) == KP_OK);
    KP_ASSERT(real->pwrite(real->ctx, file, bytes, len, 0, &err) == KP_OK);
    real->close(real->ctx, file);
    kp_free(bytes);
    if (seed % 2 == 0)
        kp_log_close(log);
    kp_sim_destroy(sim);
}

void kp_fuzz_write_seeds(const char *dir)
{
    for (int seed = 0; seed < SEEDS; seed++)
        write_seed(dir, seed);
}
