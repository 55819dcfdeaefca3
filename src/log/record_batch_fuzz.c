/* Any bytes as a record batch: refused or walked to the end, never read outside, never more memory than the limits. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/hash.h"
#include "base/limits.h"
#include "log/record_batch.h"
#include "os/os.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);
void kp_fuzz_write_seeds(const char *dir);

static void walk(const uint8_t *bytes, size_t len)
{
    struct kp_arena arena = {0};
    struct kp_record_reader reader;
    struct kp_record record;
    struct kp_error err;
    uint64_t sum = 0;
    if (kp_record_reader_init(&reader, bytes, len, &arena, &err) == KP_OK)
        while (kp_record_reader_next(&reader, &record, &err)) /* every byte that it points to can be read */
            sum += kp_hash_bytes(record.key.ptr ? record.key.ptr : "", record.key.len) +
                   kp_hash_bytes(record.value.ptr ? record.value.ptr : "", record.value.len) +
                   kp_hash_bytes(record.headers.ptr, record.headers.len);
    KP_ASSERT(arena.bytes <= 3 * (size_t)KP_RECORD_BATCH_BYTES_MAX || sum == 0);
    kp_arena_finish(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct kp_record_batch_info info;
    struct kp_error err;
    walk(bytes, len);
    if (len < KP_RECORD_BATCH_HEADER_BYTES)
        return 0;
    /* The same with a length, magic and CRC that are right, which mutations hardly ever find. */
    uint8_t *copy = kp_alloc(len);
    memcpy(copy, bytes, len);
    uint32_t word = __builtin_bswap32((uint32_t)len - 12);
    memcpy(copy + 8, &word, sizeof word);
    copy[16] = 2;
    word = __builtin_bswap32(kp_crc32c(0, copy + 21, len - 21));
    memcpy(copy + 17, &word, sizeof word);
    if (kp_record_batch_validate(copy, len, &info, &err) == KP_OK)
        KP_ASSERT(info.bytes == len && info.records > 0);
    walk(copy, len);
    kp_free(copy);
    return 0;
}

/* A batch of each codec. */
void kp_fuzz_write_seeds(const char *dir)
{
    struct kp_os *os = kp_os_real();
    for (int codec = KP_CODEC_NONE; codec <= KP_CODEC_ZSTD; codec++) {
        struct kp_record_batch_builder builder = {0};
        struct kp_buf batch = {0};
        struct kp_file *file;
        struct kp_error err;
        char path[512];
        for (int i = 0; i < 5; i++)
            kp_record_batch_add(&builder, 1000 + i, i % 2 ? kp_str("key") : (struct kp_str){0},
                                i == 4 ? (struct kp_str){0} : kp_str("{\"k\":1,\"text\":\"again, again, again\"}"),
                                (struct kp_str){0});
        KP_ASSERT(kp_record_batch_build(&builder, (enum kp_codec)codec, &batch, &err) == KP_OK);
        kp_record_batch_builder_finish(&builder);
        snprintf(path, sizeof path, "%s/codec-%d", dir, codec);
        KP_ASSERT(os->open(os->ctx, path, KP_OPEN_WRITE | KP_OPEN_CREATE | KP_OPEN_TRUNCATE, &file, &err) == KP_OK);
        KP_ASSERT(os->pwrite(os->ctx, file, batch.data, batch.len, 0, &err) == KP_OK);
        os->close(os->ctx, file);
        kp_buf_finish(&batch);
    }
}
