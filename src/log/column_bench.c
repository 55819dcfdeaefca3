/*
 * Scanning history columns from memory: values a second of a core's time, by type and encoding, from packed chunks to
 * vectors; and making chunks. Beside it a plain copy of as many values, which is what vectors cost at least.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/hash.h"
#include "log/column_chunk.h"
#include "vec/numeric.h"

enum { ROWS = 65536, SLICE = 16384, CHUNKS = 16 };

/* Of this thread: where cores are shared, the wall clock says little. */
static double cpu_s(void)
{
    struct timespec at;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

struct series {
    const char *name;
    enum kp_type_id type;
    void (*value)(uint64_t i, uint64_t random, void *out, struct kp_arena *arena);
};

static void small_int(uint64_t i, uint64_t random, void *out, struct kp_arena *arena)
{
    *(int32_t *)out = (int32_t)(1000 + random % 1000);
}
static void wide_int(uint64_t i, uint64_t random, void *out, struct kp_arena *arena)
{
    *(int64_t *)out = (int64_t)(random % 100000000);
}
static void timestamp(uint64_t i, uint64_t random, void *out, struct kp_arena *arena)
{
    *(int64_t *)out = 757382400000000 + (int64_t)(i / 10) * 1000;
}
static void price(uint64_t i, uint64_t random, void *out, struct kp_arena *arena)
{
    *(struct kp_numeric *)out = kp_numeric_small((int64_t)(random % 1000000), 2);
}
static void floating(uint64_t i, uint64_t random, void *out, struct kp_arena *arena)
{
    *(double *)out = (double)random;
}
static void channel(uint64_t i, uint64_t random, void *out, struct kp_arena *arena)
{
    static const char *const names[] = {"Google", "Facebook", "Baidu", "Apple", "a channel of a longer name"};
    const char *name = names[random % 5];
    *(struct kp_text *)out = kp_text_make(name, strlen(name));
}
static void url(uint64_t i, uint64_t random, void *out, struct kp_arena *arena)
{
    char *text = kp_arena_printf(arena, "https://example.com/%016llx/item.htm", (unsigned long long)random);
    *(struct kp_text *)out = kp_text_make(text, strlen(text));
}

static const struct series all[] = {
    {"integer of 10 bits", KP_INT4, small_int}, {"bigint of 27 bits", KP_INT8, wide_int},
    {"timestamp", KP_TIMESTAMP, timestamp},     {"numeric of one scale", KP_NUMERIC, price},
    {"double precision", KP_FLOAT8, floating},  {"text, 5 distinct", KP_TEXT, channel},
    {"text, all distinct", KP_TEXT, url}};

static double scan(const struct kp_column_chunk *chunks, enum kp_type_id type, uint64_t values_min, uint64_t *ret_sum)
{
    struct kp_arena arena = {0};
    uint64_t values = 0;
    double started = cpu_s();
    for (unsigned round = 0; values < values_min; round++) {
        for (uint32_t first = 0; first < ROWS; first += SLICE) {
            struct kp_vec vec;
            kp_column_chunk_slice(&chunks[round % CHUNKS], KP_TYPE(type), first, SLICE, &arena, &vec);
            *ret_sum += *(const uint8_t *)kp_vec_at(&vec, SLICE - 1);
            kp_arena_recycle(&arena, 8 << 20);
        }
        values += ROWS;
    }
    double rate = (double)values / (cpu_s() - started);
    kp_arena_finish(&arena);
    return rate;
}

static double copy(size_t width, uint64_t values_min, uint64_t *ret_sum)
{
    uint8_t *from = kp_calloc(CHUNKS, ROWS * width), *to = kp_calloc(SLICE, width);
    uint64_t values = 0;
    double started = cpu_s();
    for (unsigned round = 0; values < values_min; round++, values += ROWS)
        for (uint32_t first = 0; first < ROWS; first += SLICE) {
            memcpy(to, from + ((size_t)(round % CHUNKS) * ROWS + first) * width, SLICE * width);
            *ret_sum += to[round % SLICE];
        }
    double rate = (double)values / (cpu_s() - started);
    kp_free(from);
    kp_free(to);
    return rate;
}

int main(int argc, char **argv)
{
    uint64_t values = argc > 1 ? strtoull(argv[1], NULL, 10) : 200000000, sum = 0;
    printf("%-24s %12s %12s %14s %10s\n", "column", "scan M/s", "copy M/s", "make M/s", "bits");
    for (size_t s = 0; s < KP_COUNT(all); s++) {
        struct kp_column_chunk chunks[CHUNKS];
        uint8_t *bytes[CHUNKS];
        size_t width = kp_type_info(all[s].type)->bytes, total = 0;
        struct kp_column_builder builder = {.physical = kp_column_physical(all[s].type)};
        double making = 0;
        for (unsigned c = 0; c < CHUNKS; c++) {
            struct kp_arena arena = {0};
            struct kp_vec vec;
            struct kp_buf out = {0};
            kp_vec_init(&vec, &arena, KP_TYPE(all[s].type), ROWS);
            for (uint32_t i = 0; i < ROWS; i++)
                all[s].value(c * ROWS + i, kp_hash_u64(c * ROWS + i + 1), (uint8_t *)vec.data + i * width, &arena);
            double started = cpu_s();
            kp_column_builder_reset(&builder);
            kp_column_builder_add(&builder, &vec, ROWS);
            KP_ASSERT(kp_column_builder_encode(&builder, 1, 2 + ROWS, &out));
            making += cpu_s() - started;
            bytes[c] = kp_alloc_aligned(64, (out.len + 63) & ~(size_t)63);
            memcpy(bytes[c], out.data, out.len);
            total += out.len;
            KP_ASSERT(kp_column_chunk_open(bytes[c], out.len, builder.physical, &chunks[c], NULL) == KP_OK);
            kp_buf_finish(&out);
            kp_arena_finish(&arena);
        }
        double rate = scan(chunks, all[s].type, values, &sum), bare = copy(width, values, &sum);
        printf("%-24s %12.0f %12.0f %14.0f %10.1f\n", all[s].name, rate / 1e6, bare / 1e6, CHUNKS * ROWS / making / 1e6,
               (double)total * 8 / (CHUNKS * ROWS));
        for (unsigned c = 0; c < CHUNKS; c++) {
            kp_column_chunk_close(&chunks[c]);
            kp_free(bytes[c]);
        }
        kp_column_builder_finish(&builder);
    }
    return sum == 1;
}
