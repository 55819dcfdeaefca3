/* Record batches: round trips with every codec, truncation at every byte, bit flips, bombs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <stdio.h>

#include <cmocka.h>
#include <snappy-c.h>

#include "base/hash.h"
#include "base/limits.h"
#include "log/codec.h"
#include "log/record_batch.h"

static const struct kp_str none = {NULL, 0};

static struct kp_buf make(enum kp_codec codec, int records)
{
    struct kp_record_batch_builder builder = {0};
    struct kp_buf out = {0};
    struct kp_error err;
    for (int i = 0; i < records; i++) {
        char key[32], value[64];
        snprintf(key, sizeof key, "key-%d", i);
        snprintf(value, sizeof value, "{\"n\":%d,\"text\":\"some text\"}", i * 7919);
        kp_record_batch_add(&builder, 1000000 + (i % 5) * 100 - 200, i % 3 ? kp_str(key) : none,
                            i % 7 == 6 ? none : kp_str(value), none);
    }
    assert_int_equal(kp_record_batch_build(&builder, codec, &out, &err), KP_OK);
    kp_record_batch_builder_finish(&builder);
    return out;
}

static void round_trip(void **state)
{
    for (int codec = KP_CODEC_NONE; codec <= KP_CODEC_ZSTD; codec++)
        for (int records = 1; records < 5000; records = records * 3 + 1) {
            struct kp_buf batch = make((enum kp_codec)codec, records);
            struct kp_record_batch_info info;
            struct kp_error err;
            assert_int_equal(kp_record_batch_validate(batch.data, batch.len, &info, &err), KP_OK);
            assert_int_equal(info.records, records);
            assert_int_equal(info.bytes, batch.len);
            assert_int_equal(info.codec, codec);
            assert_int_equal(info.producer_id, -1);
            struct kp_arena arena = {0};
            struct kp_record_reader reader;
            struct kp_record record;
            assert_int_equal(kp_record_reader_init(&reader, batch.data, batch.len, &arena, &err), KP_OK);
            int seen = 0;
            while (kp_record_reader_next(&reader, &record, &err)) {
                char key[32];
                snprintf(key, sizeof key, "key-%d", seen);
                assert_int_equal(record.offset_delta, seen);
                assert_int_equal(record.timestamp_ms, 1000000 + (seen % 5) * 100 - 200);
                assert_true(seen % 3 ? kp_str_equal(record.key, kp_str(key)) : record.key.ptr == NULL);
                assert_true((seen % 7 == 6) == (record.value.ptr == NULL));
                seen++;
            }
            assert_int_equal(seen, records);
            assert_int_equal(reader.left, 0);
            kp_arena_finish(&arena);
            kp_buf_finish(&batch);
        }
}

/* Every prefix is refused, and refused without reading behind it (the copy has exactly its bytes). */
static void truncated(void **state)
{
    for (int codec = KP_CODEC_NONE; codec <= KP_CODEC_ZSTD; codec++) {
        struct kp_buf batch = make((enum kp_codec)codec, 9);
        for (size_t len = 0; len < batch.len; len++) {
            uint8_t *copy = kp_alloc(len);
            memcpy(copy, batch.data, len);
            struct kp_record_batch_info info;
            struct kp_error err;
            assert_int_not_equal(kp_record_batch_validate(copy, len, &info, &err), KP_OK);
            if (len >= KP_RECORD_BATCH_HEADER_BYTES) { /* the same with a length and a CRC that say it is whole */
                uint32_t word = __builtin_bswap32((uint32_t)len - 12);
                memcpy(copy + 8, &word, 4);
                word = __builtin_bswap32(kp_crc32c(0, copy + 21, len - 21));
                memcpy(copy + 17, &word, 4);
                assert_int_not_equal(kp_record_batch_validate(copy, len, &info, &err), KP_OK);
            }
            kp_free(copy);
        }
        kp_buf_finish(&batch);
    }
}

/* A flipped bit behind the CRC field is found by the CRC; with the CRC mended, nothing bad happens. */
static void flipped(void **state)
{
    for (int codec = KP_CODEC_NONE; codec <= KP_CODEC_ZSTD; codec++) {
        struct kp_buf batch = make((enum kp_codec)codec, 9);
        for (size_t bit = 8 * 8; bit < batch.len * 8; bit++) {
            struct kp_record_batch_info info;
            struct kp_error err;
            batch.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
            bool epoch = bit / 8 >= 12 && bit / 8 < 16; /* leader epoch: not covered, not used */
            assert_int_equal(kp_record_batch_validate(batch.data, batch.len, &info, &err) == KP_OK, epoch);
            uint32_t kept, crc = __builtin_bswap32(kp_crc32c(0, batch.data + 21, batch.len - 21));
            memcpy(&kept, batch.data + 17, 4);
            memcpy(batch.data + 17, &crc, 4);
            (void)!kp_record_batch_validate(batch.data, batch.len, &info, &err);
            memcpy(batch.data + 17, &kept, 4);
            batch.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        kp_buf_finish(&batch);
    }
}

static void bombs(void **state)
{
    size_t len = (size_t)KP_RECORD_BATCH_BYTES_MAX + 1;
    uint8_t *zeros = kp_calloc(1, len);
    for (int codec = KP_CODEC_GZIP; codec <= KP_CODEC_ZSTD; codec++) {
        struct kp_buf bomb = {0};
        struct kp_error err;
        assert_int_equal(kp_codec_compress((enum kp_codec)codec, zeros, len, &bomb, &err), KP_OK);
        struct kp_arena arena = {0};
        const uint8_t *bytes;
        size_t got;
        assert_int_equal(kp_codec_decompress((enum kp_codec)codec, bomb.data, bomb.len, &arena, &bytes, &got, &err),
                         KP_LIMIT);
        assert_true(arena.bytes < (size_t)KP_RECORD_BATCH_BYTES_MAX * 3);
        kp_arena_finish(&arena);
        kp_buf_finish(&bomb);
    }
    kp_free(zeros);
}

/* Within the limit of size, but no honest batch is packed so tightly; a tight honest one passes. */
static void ratio(void **state)
{
    size_t len = (size_t)8 << 20;
    uint8_t *zeros = kp_calloc(1, len);
    for (int honest = 0; honest < 2; honest++) {
        struct kp_buf packed = {0};
        struct kp_arena arena = {0};
        struct kp_error err;
        const uint8_t *bytes;
        size_t got;
        for (size_t i = 0; honest && i < len; i += 4096)
            memcpy(zeros + i, &i, sizeof i);
        assert_int_equal(kp_codec_compress(KP_CODEC_ZSTD, zeros, len, &packed, &err), KP_OK);
        assert_int_equal(kp_codec_decompress(KP_CODEC_ZSTD, packed.data, packed.len, &arena, &bytes, &got, &err),
                         honest ? KP_OK : KP_LIMIT);
        assert_true(honest ? got == len : arena.bytes < len);
        kp_arena_finish(&arena);
        kp_buf_finish(&packed);
    }
    kp_free(zeros);
}

/* The framing of snappy-java: pieces behind a header. */
static void snappy_java(void **state)
{
    struct kp_buf framed = {0};
    kp_buf_append(&framed, "\x82SNAPPY\0\0\0\0\1\0\0\0\1", 16);
    static const char text[] = "one piece and another piece and a third one";
    for (size_t at = 0; at < sizeof text; at += 15) {
        char piece[64];
        size_t len = sizeof piece, from = KP_MIN((size_t)15, sizeof text - at);
        assert_int_equal(snappy_compress(text + at, from, piece, &len), SNAPPY_OK);
        kp_buf_append_be32(&framed, (uint32_t)len);
        kp_buf_append(&framed, piece, len);
    }
    for (size_t len = 0; len <= framed.len; len++) {
        struct kp_arena arena = {0};
        const uint8_t *bytes;
        size_t got;
        struct kp_error err;
        enum kp_code code = kp_codec_decompress(KP_CODEC_SNAPPY, framed.data, len, &arena, &bytes, &got, &err);
        if (len == framed.len) {
            assert_int_equal(code, KP_OK);
            assert_int_equal(got, sizeof text);
            assert_memory_equal(bytes, text, got);
        }
        kp_arena_finish(&arena);
    }
    kp_buf_finish(&framed);
}

/* Any records taken out, with each codec: those that stay are as they were, and the batch spans what it did. */
static void thinned(void **state)
{
    uint64_t random = 11;
    for (int codec = KP_CODEC_NONE; codec <= KP_CODEC_ZSTD; codec++)
        for (int round = 0; round < 20; round++) {
            struct kp_record_batch_builder builder = {0};
            struct kp_buf batch = {0}, thin = {0}, again = {0};
            struct kp_record_batch_info info;
            struct kp_error err;
            uint8_t keep[100];
            char text[100][24];
            int records = 1 + (int)(kp_hash_u64(random++) % 100), kept = 0;
            for (int i = 0; i < records; i++) {
                snprintf(text[i], sizeof text[i], "value %d", i);
                kp_record_batch_add(&builder, 5000 - 7 * i, i % 3 ? kp_str(text[i]) : (struct kp_str){NULL, 0},
                                    i % 5 ? kp_str(text[i]) : (struct kp_str){NULL, 0}, (struct kp_str){NULL, 0});
                kept += keep[i] = round && kp_hash_u64(random++) % 20 < (uint64_t)round;
            }
            assert_int_equal(kp_record_batch_build(&builder, (enum kp_codec)codec, &batch, &err), KP_OK);
            enum kp_code code = kp_record_batch_thin(batch.data, batch.len, keep, &thin, &err);
            assert_int_equal(code, kept ? KP_OK : KP_INVALID);
            if (kept) {
                assert_int_equal(kp_record_batch_validate_thinned(thin.data, thin.len, &info, &err), KP_OK);
                assert_int_equal(kp_record_batch_validate(thin.data, thin.len, &info, &err),
                                 kept == records ? KP_OK : KP_INVALID);
                assert_int_equal(info.records, kept);
                assert_int_equal(kp_record_batch_span(&info), records);
                struct kp_arena arena = {0};
                struct kp_record_reader reader;
                struct kp_record record;
                assert_int_equal(kp_record_reader_init(&reader, thin.data, thin.len, &arena, &err), KP_OK);
                int64_t latest_ms = 0;
                for (int i = 0; i < records; i++) {
                    if (!keep[i])
                        continue;
                    assert_true(kp_record_reader_next(&reader, &record, &err));
                    assert_int_equal(record.offset_delta, i);
                    assert_int_equal(record.timestamp_ms, 5000 - 7 * i);
                    assert_int_equal(record.value.ptr != NULL, i % 5 != 0);
                    if (record.value.ptr)
                        assert_memory_equal(record.value.ptr, text[i], record.value.len);
                    latest_ms = KP_MAX(latest_ms, record.timestamp_ms);
                }
                assert_int_equal(info.max_timestamp_ms, latest_ms);
                kp_arena_finish(&arena);
                assert_int_equal(kp_record_batch_thin(batch.data, batch.len, keep, &again, &err), KP_OK);
                assert_int_equal(again.len, thin.len);
                assert_memory_equal(again.data, thin.data, thin.len);
            }
            kp_buf_finish(&again);
            kp_buf_finish(&thin);
            kp_buf_finish(&batch);
            kp_record_batch_builder_finish(&builder);
        }
}

/* What may be built can be read: the limit is of key, value and headers, their lengths come on top. */
static void limit(void **state)
{
    char *value = malloc(KP_RECORD_BYTES_MAX + 65);
    memset(value, 'x', KP_RECORD_BYTES_MAX + 65);
    for (size_t more = 0; more <= 65; more += 65) {
        struct kp_record_batch_builder builder = {0};
        struct kp_buf batch = {0};
        struct kp_arena arena = {0};
        struct kp_record_reader reader;
        struct kp_record record;
        struct kp_error err;
        kp_record_batch_add(&builder, 0, (struct kp_str){0}, (struct kp_str){value, KP_RECORD_BYTES_MAX + more},
                            (struct kp_str){0});
        enum kp_code code = kp_record_batch_build(&builder, KP_CODEC_NONE, &batch, &err);
        assert_int_equal(code, more ? KP_LIMIT : KP_OK);
        if (code == KP_OK) {
            assert_int_equal(kp_record_reader_init(&reader, batch.data, batch.len, &arena, &err), KP_OK);
            assert_true(kp_record_reader_next(&reader, &record, &err));
            assert_int_equal(record.value.len, KP_RECORD_BYTES_MAX);
        } else {
            assert_string_equal(err.message, "a record of 16777290 bytes: the limit is 16777216");
            assert_int_equal(batch.len, 0);
        }
        kp_arena_finish(&arena);
        kp_buf_finish(&batch);
        kp_record_batch_builder_finish(&builder);
    }
    free(value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(limit),       cmocka_unit_test(round_trip),
                                       cmocka_unit_test(truncated),   cmocka_unit_test(flipped),
                                       cmocka_unit_test(bombs),       cmocka_unit_test(ratio),
                                       cmocka_unit_test(snappy_java), cmocka_unit_test(thinned)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
