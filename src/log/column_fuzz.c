/* Any bytes as a chunk of a column or of rows: refused, or read to the end without a step outside. The first byte says
 * what it is to be; mended CRCs let mutations through to what is behind them. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "log/column_rows.h"

#include "base/hash.h"
#include "vec/numeric.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);
void kp_fuzz_write_seeds(const char *dir);

static const enum kp_type_id types[] = {KP_INT8, KP_TEXT, KP_NUMERIC, KP_BOOL, KP_FLOAT8, KP_UUID, KP_INT2, KP_INT4};

static void mend(uint8_t *bytes, size_t len)
{
    struct kp_column_chunk_header *header = (void *)bytes;
    if (len < sizeof *header)
        return;
    size_t payload = (len - sizeof *header) & ~(size_t)(KP_COLUMN_ALIGN - 1);
    header->magic = KP_COLUMN_CHUNK_MAGIC;
    header->format = KP_COLUMN_FORMAT;
    header->bloom_bytes = 0;
    header->payload_bytes = payload;
    header->payload_crc = kp_crc32c(0, bytes + sizeof *header, payload);
    header->crc = kp_crc32c(0, header, offsetof(struct kp_column_chunk_header, crc));
}

static uint64_t touch(const void *bytes, size_t len)
{
    return len ? kp_hash_bytes(bytes, len) : 0;
}

static void read_rows(const uint8_t *bytes, size_t len)
{
    struct kp_rows_chunk chunk;
    struct kp_arena arena = {0};
    uint64_t sum = 0;
    if (kp_rows_chunk_open(bytes, len, &chunk, NULL) != KP_OK)
        return;
    uint32_t rows = KP_MIN(chunk.header->rows, 100000u), first = chunk.header->rows - rows;
    int64_t *positions = kp_rows_chunk_positions(&chunk, first, rows, &arena);
    uint8_t *tombstones = kp_rows_chunk_tombstones(&chunk, first, rows, &arena);
    for (uint32_t i = 0; i < rows; i++)
        KP_ASSERT(positions[i] >= chunk.header->begin && positions[i] < chunk.header->end &&
                  (!tombstones || tombstones[i] <= 1));
    for (uint32_t i = 0; i < chunk.header->dead; i++)
        sum += touch(chunk.dead[i].reason.ptr, chunk.dead[i].reason.len) +
               touch(chunk.dead[i].key.ptr, chunk.dead[i].key.len) +
               touch(chunk.dead[i].value.ptr, chunk.dead[i].value.len);
    sum +=
        touch(chunk.batches, chunk.header->entries * sizeof *chunk.batches) + kp_rows_chunk_find(&chunk, (int64_t)sum);
    KP_ASSERT(rows == 0 || kp_rows_chunk_find(&chunk, positions[0]) == first);
    kp_rows_chunk_close(&chunk);
    kp_arena_finish(&arena);
}

static void read_column(const uint8_t *bytes, size_t len, enum kp_type_id type)
{
    struct kp_column_chunk chunk;
    struct kp_arena arena = {0};
    struct kp_vec vec;
    uint64_t sum = 0;
    if (kp_column_chunk_open(bytes, len, kp_column_physical(type), &chunk, NULL) != KP_OK)
        return;
    uint32_t rows = KP_MIN(chunk.header->rows, 100000u);
    kp_column_chunk_slice(&chunk, KP_TYPE(type), chunk.header->rows - rows, rows, &arena, &vec);
    for (uint32_t i = 0; i < rows; i++) {
        if (type == KP_TEXT)
            sum += touch(kp_text_bytes(kp_vec_at(&vec, i)), ((const struct kp_text *)kp_vec_at(&vec, i))->len);
        sum += touch(kp_vec_at(&vec, i), kp_vec_width(&vec)) + kp_vec_is_null(&vec, i);
    }
    KP_ASSERT(rows > 0 || sum == 0);
    kp_column_chunk_close(&chunk);
    kp_arena_finish(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (len == 0)
        return 0;
    uint8_t choice = bytes[0], *copy = kp_alloc_aligned(64, (len + 63) & ~(size_t)63);
    memcpy(copy, bytes + 1, len - 1);
    if (choice & 128)
        mend(copy, len - 1);
    if ((choice & 15) < KP_COUNT(types))
        read_column(copy, len - 1, types[choice & 15]);
    else
        read_rows(copy, len - 1);
    kp_free(copy);
    return 0;
}

/* ---- first inputs ---- */

static void write_seed(const char *dir, const char *name, uint8_t choice, const struct kp_buf *chunk)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen(path, "wb");
    KP_ASSERT(file && fputc(choice, file) == choice && fwrite(chunk->data, 1, chunk->len, file) == chunk->len);
    fclose(file);
}

/* A chunk of each type, half of them with few distinct values, and one of rows. */
void kp_fuzz_write_seeds(const char *dir)
{
    struct kp_arena arena = {0};
    struct kp_buf out = {0};
    for (size_t t = 0; t < KP_COUNT(types) * 2; t++) {
        enum kp_type_id type = types[t / 2];
        char name[32];
        struct kp_vec vec;
        struct kp_column_builder builder = {.physical = kp_column_physical(type)};
        kp_vec_init(&vec, &arena, KP_TYPE(type), 100);
        kp_vec_need_valid(&vec, &arena, 100);
        for (uint32_t i = 0; i < 100; i++) {
            uint64_t bits = kp_hash_u64(t % 2 ? i % 3 : i);
            uint8_t *at = (uint8_t *)vec.data + i * kp_vec_width(&vec);
            char *text = kp_arena_printf(&arena, "%llu", (unsigned long long)(t % 4 == 2 ? bits : bits % 100));
            if (kp_type_info(type)->string)
                *(struct kp_text *)at = kp_text_make(text, strlen(text));
            else if (type != KP_NUMERIC)
                memcpy(at, &bits, KP_MIN(kp_vec_width(&vec), sizeof bits));
            else
                KP_ASSERT(kp_numeric_parse(kp_str(t % 2 ? "123456789012345678901.5" : text), &arena, (void *)at,
                                           NULL) == KP_OK);
            if (i % 7 == 3)
                kp_vec_set_null(&vec, i);
        }
        out.len = 0;
        kp_column_builder_add(&builder, &vec, 100);
        KP_ASSERT(kp_column_builder_encode(&builder, 10, 500, &out));
        snprintf(name, sizeof name, "%s-%u", kp_type_info(type)->short_name, (unsigned)(t % 2));
        write_seed(dir, name, (uint8_t)(128 | t / 2), &out);
        kp_column_builder_finish(&builder);
    }
    struct kp_rows_builder rows = {0};
    const int64_t positions[4] = {10, 11, 15, 17};
    const uint8_t tombstones[4] = {0, 1, 0, 0};
    const struct kp_column_batch batch = {1, 9, 0, 10, 1000};
    const struct kp_column_dead dead = {
        .position = 12, .offset = 2, .sqlstate = "22P02", .reason = KP_STR("bad"), .value = KP_STR("{")};
    kp_rows_builder_add_batch(&rows, &batch);
    kp_rows_builder_add(&rows, positions, tombstones, 4);
    kp_rows_builder_add_dead(&rows, &dead);
    out.len = 0;
    KP_ASSERT(kp_rows_builder_encode(&rows, 10, 20, &out));
    write_seed(dir, "rows", 128 | 15, &out);
    kp_rows_builder_finish(&rows);
    kp_buf_finish(&out);
    kp_arena_finish(&arena);
}
