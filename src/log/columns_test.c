/*
 * Chunks: what goes in comes out, of every type and shape and in any slice; a flipped bit is always found. The store:
 * fills, views, other sets, damaged and missing files, forgotten records, budgets of disk and pool.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "log/column_pack.h"
#include "log/columns.h"
#include "vec/numeric.h"

static uint64_t dice_state = 1;
static uint64_t roll(uint64_t sides)
{
    dice_state = kp_hash_u64(dice_state + 0x9e3779b97f4a7c15u);
    return dice_state % sides;
}

static const enum kp_type_id types[] = {KP_BOOL,    KP_INT2,  KP_INT4,    KP_INT8,  KP_FLOAT4,    KP_FLOAT8,
                                        KP_NUMERIC, KP_TEXT,  KP_VARCHAR, KP_DATE,  KP_TIMESTAMP, KP_INTERVAL,
                                        KP_UUID,    KP_JSONB, KP_TIME,    KP_BYTEA, KP_BPCHAR,    KP_TIMESTAMPTZ};

/* ---- packing ---- */

static void test_pack(void **state)
{
    static uint64_t values[1 << 12][2];
    for (size_t i = 0; i < KP_COUNT(values); i++)
        values[i][0] = ~(values[i][1] = kp_hash_u64(i));
    for (uint32_t width = 0; width <= 64; width++) {
        enum { N = 203 };
        uint64_t codes[N], out[N], pairs[N][2];
        uint32_t out32[N];
        struct kp_buf packed = {0};
        for (size_t i = 0; i < N; i++)
            codes[i] = width == 0 ? 0 : kp_hash_u64(i + width) >> (64 - width);
        kp_pack_append(&packed, codes, N, width);
        assert_int_equal(packed.len, (N * width + 7) / 8 + KP_COLUMN_PAD_BYTES);
        uint64_t max = 0;
        for (size_t i = 0; i < N; i++) {
            assert_int_equal(kp_pack_get(packed.data, width, i), codes[i]);
            max = KP_MAX(max, codes[i]);
        }
        assert_int_equal(kp_pack_max(packed.data, width, N), max);
        for (uint32_t first = 0; first < 20; first++) {
            kp_unpack_u64(packed.data, width, first, N - first, 7, 3, out);
            kp_unpack_u32(packed.data, width, first, N - first, 7, 3, out32);
            for (size_t i = 0; i < N - first; i++) {
                assert_int_equal(out[i], 7 + 3 * codes[first + i]);
                assert_int_equal(out32[i], (uint32_t)(7 + 3 * codes[first + i]));
            }
            kp_unpack_pairs(packed.data, width, first, N - first, 7, 3, 5, pairs[0]);
            for (size_t i = 0; i < N - first; i++) {
                assert_int_equal(pairs[i][0], out[i]);
                assert_int_equal(pairs[i][1], 5);
            }
            if (width > 12) /* there are so many values */
                continue;
            kp_unpack_chosen(packed.data, width, first, N - first, (const uint64_t(*)[2])values, pairs);
            for (size_t i = 0; i < N - first; i++)
                assert_memory_equal(pairs[i], values[codes[first + i]], sizeof *pairs);
        }
        kp_buf_finish(&packed);
    }
}

/* ---- vectors ---- */

static struct kp_text random_text(struct kp_arena *arena, uint64_t distinct)
{
    uint64_t seed = roll(distinct);
    size_t len = kp_hash_u64(seed + 5) % 40;
    char *text = kp_arena_alloc(arena, len + 1);
    for (size_t i = 0; i < len; i++)
        text[i] = (char)('a' + kp_hash_u64(seed + i) % 26);
    return kp_text_make(text, len);
}

static struct kp_numeric random_numeric(struct kp_arena *arena, unsigned shape)
{
    struct kp_numeric number;
    if (shape == 2 && roll(50) == 0) {
        const char *const odd[] = {"NaN", "Infinity", "-123456789012345678901234567890.123456789", "1e40"};
        assert_int_equal(kp_numeric_parse(kp_str(odd[roll(4)]), arena, &number, NULL), KP_OK);
        return number;
    }
    return kp_numeric_small((int64_t)roll(1000000) - 500000, shape == 0 ? 2 : (uint16_t)roll(5));
}

static void random_value(enum kp_type_id type, unsigned shape, struct kp_arena *arena, uint8_t out[16])
{
    uint64_t bits = kp_hash_u64(roll(shape == 1 ? 5 : shape == 2 ? UINT64_MAX : 100000));
    struct kp_text text = random_text(arena, shape == 1 ? 7 : 100000);
    struct kp_numeric number;
    bits = shape == 3 ? 1000 * (bits % 100000) + 17 : shape ? bits : bits >> 40;
    memset(out, 0, 16);
    switch (kp_column_physical(type)) {
    case KP_PHYSICAL_STRING:
        memcpy(out, &text, sizeof text);
        break;
    case KP_PHYSICAL_NUMERIC:
        number = random_numeric(arena, shape);
        memcpy(out, &number, sizeof number);
        break;
    case KP_PHYSICAL_I8:
        out[0] = bits & 1;
        break;
    case KP_PHYSICAL_FIXED16:
        memcpy(out, &bits, 8);
        bits = kp_hash_u64(bits);
        memcpy(out + 8, &bits, 8);
        break;
    default:
        memcpy(out, &bits, kp_type_info(type)->bytes);
        break;
    }
}

static struct kp_vec random_vec(enum kp_type_id type, unsigned shape, unsigned nulls, uint32_t rows,
                                struct kp_arena *arena)
{
    struct kp_vec vec;
    uint32_t width = kp_type_info(type)->bytes;
    kp_vec_init(&vec, arena, KP_TYPE(type), rows + 1);
    if (nulls)
        kp_vec_need_valid(&vec, arena, rows + 1);
    for (uint32_t i = 0; i < rows; i++) {
        uint8_t value[16];
        random_value(type, shape, arena, value);
        memcpy((uint8_t *)vec.data + (size_t)i * width, value, width);
        if (nulls && (nulls == 2 || roll(10) == 0))
            kp_vec_set_null(&vec, i);
    }
    return vec;
}

static void assert_same(const struct kp_vec *a, uint32_t a_row, const struct kp_vec *b, uint32_t b_row)
{
    assert_int_equal(kp_vec_is_null(a, a_row), kp_vec_is_null(b, b_row));
    if (kp_vec_is_null(a, a_row))
        return;
    struct kp_buf x = {0}, y = {0};
    if (kp_type_info(a->type.id)->string || a->type.id == KP_NUMERIC) { /* scale and kind show in print */
        kp_value_print(a->type, kp_vec_at(a, a_row), NULL, &x);
        kp_value_print(b->type, kp_vec_at(b, b_row), NULL, &y);
    } else {
        kp_buf_append(&x, kp_vec_at(a, a_row), kp_vec_width(a));
        kp_buf_append(&y, kp_vec_at(b, b_row), kp_vec_width(b));
    }
    assert_int_equal(x.len, y.len);
    assert_memory_equal(x.len ? x.data : (uint8_t *)"", y.len ? y.data : (uint8_t *)"", x.len);
    kp_buf_finish(&x);
    kp_buf_finish(&y);
}

/* Bytes at an aligned place, as a file's are. */
static uint8_t *aligned(const struct kp_buf *bytes)
{
    uint8_t *copy = kp_alloc_aligned(64, (bytes->len + 63) & ~(size_t)63);
    memcpy(copy, bytes->data, bytes->len);
    return copy;
}

static void check_slices(const struct kp_column_chunk *chunk, const struct kp_vec *vecs, const uint32_t *counts,
                         size_t vec_count, uint32_t rows, struct kp_arena *arena)
{
    for (int round = 0; round < 6; round++) {
        uint32_t first = round ? (uint32_t)roll(rows + 1) : 0;
        uint32_t n = round ? (uint32_t)roll(rows - first + 1) : rows, base = 0;
        struct kp_vec slice;
        kp_column_chunk_slice(chunk, vecs[0].type, first, n, arena, &slice);
        for (size_t v = 0; v < vec_count; base += counts[v++])
            for (uint32_t i = 0; i < counts[v]; i++)
                if (base + i >= first && base + i < first + n)
                    assert_same(&vecs[v], i, &slice, base + i - first);
    }
}

static void test_chunks(void **state)
{
    unsigned seen = 0;
    for (unsigned round = 0; round < 18 * 24; round++) {
        enum kp_type_id type = types[round % KP_COUNT(types)];
        unsigned shape = round / KP_COUNT(types) % 4, nulls = round / KP_COUNT(types) / 4 % 3;
        struct kp_arena arena = {0};
        struct kp_column_builder builder = {.physical = kp_column_physical(type)};
        struct kp_vec vecs[3];
        uint32_t counts[3], rows = 0;
        struct kp_buf out = {0};
        struct kp_column_chunk chunk;
        for (int again = 0; again < 2; again++) { /* a builder is used again */
            kp_column_builder_reset(&builder);
            rows = 0;
            for (int v = 0; v < 3; v++) {
                counts[v] = (uint32_t)roll(again ? 900 : 40);
                vecs[v] = random_vec(type, shape, v == 1 ? 0 : nulls, counts[v], &arena);
                kp_column_builder_add(&builder, &vecs[v], counts[v]);
                rows += counts[v];
            }
            out.len = 0;
            assert_true(kp_column_builder_encode(&builder, 100, 100 + rows + 1, &out));
            assert_int_equal(out.len % KP_COLUMN_ALIGN, 0);
            uint8_t *bytes = aligned(&out);
            assert_int_equal(kp_column_chunk_open(bytes, out.len, builder.physical, &chunk, NULL), KP_OK);
            assert_int_equal(chunk.header->rows, rows);
            seen |= 1u << chunk.header->encoding;
            check_slices(&chunk, vecs, counts, 3, rows, &arena);
            kp_column_chunk_close(&chunk);
            for (int flip = 0; flip < 20; flip++) {
                uint64_t bit = roll(out.len * 8);
                bytes[bit / 8] ^= (uint8_t)(1 << (bit % 8));
                assert_int_equal(kp_column_chunk_open(bytes, out.len, builder.physical, &chunk, NULL), KP_CORRUPT);
                bytes[bit / 8] ^= (uint8_t)(1 << (bit % 8));
            }
            assert_int_equal(kp_column_chunk_open(bytes, roll(out.len), builder.physical, &chunk, NULL), KP_CORRUPT);
            kp_free(bytes);
        }
        kp_buf_finish(&out);
        kp_column_builder_finish(&builder);
        kp_arena_finish(&arena);
    }
    unsigned all = 1u << KP_COLUMN_PLAIN | 1u << KP_COLUMN_FRAME | 1u << KP_COLUMN_DICTIONARY |
                   1u << KP_COLUMN_STRINGS | 1u << KP_COLUMN_DIGITS;
    assert_int_equal(seen, all);
}

/* A long decimal that comes again and again: not kept, since what is listed would not fit. */
static void test_long_digits(void **state)
{
    enum { DIGITS = 100000, ROWS = 12000 };
    struct kp_arena arena = {0};
    struct kp_column_builder builder = {.physical = kp_column_physical(KP_NUMERIC)};
    struct kp_numeric number;
    struct kp_buf out = {0};
    char *digits = kp_arena_alloc(&arena, DIGITS);
    memset(digits, '7', DIGITS);
    assert_int_equal(kp_numeric_parse((struct kp_str){digits, DIGITS}, &arena, &number, NULL), KP_OK);
    struct kp_vec vec = {.type = {.id = KP_NUMERIC}, .data = &number, .constant = true};
    kp_column_builder_add(&builder, &vec, ROWS);
    assert_true(kp_column_builder_bytes(&builder) < 1 << 20);
    assert_false(kp_column_builder_encode(&builder, 1, 1 + ROWS, &out));
    assert_int_equal(out.len, 0);
    kp_buf_finish(&out);
    kp_column_builder_finish(&builder);
    kp_arena_finish(&arena);
}

/* What is there is never said to be absent; what is not mostly is. */
static void test_bloom(void **state)
{
    static const enum kp_type_id kinds[] = {KP_INT8, KP_INT4, KP_TEXT};
    for (size_t k = 0; k < KP_COUNT(kinds); k++) {
        struct kp_arena arena = {0};
        struct kp_column_builder builder = {.physical = kp_column_physical(kinds[k])};
        struct kp_vec vec = random_vec(kinds[k], 2, 0, 5000, &arena), other;
        struct kp_buf out = {0};
        kp_column_builder_add(&builder, &vec, 5000);
        assert_true(kp_column_builder_encode(&builder, 1, 2, &out));
        const struct kp_column_chunk_header *header = (const void *)out.data;
        const uint8_t *bloom = out.data + sizeof *header;
        assert_true(header->bloom_bytes >= 4096);
        unsigned found = 0;
        other = random_vec(kinds[k], 2, 0, 5000, &arena);
        for (int turn = 0; turn < 2; turn++)
            for (uint32_t i = 0; i < 5000; i++) {
                struct kp_datum datum;
                kp_vec_get(turn ? &other : &vec, i, &datum);
                uint64_t hash = kinds[k] == KP_TEXT
                                    ? kp_column_bloom_hash_text(kp_text_str(&datum.text))
                                    : kp_column_bloom_hash_integer(kinds[k] == KP_INT4 ? datum.i32 : datum.i64);
                bool may = kp_column_bloom_may_hold(bloom, header->bloom_bytes, hash);
                assert_true(turn || may);
                found += turn && may;
            }
        assert_true(kinds[k] == KP_TEXT || found < 5000 / 8); /* texts do come again */
        kp_buf_finish(&out);
        kp_column_builder_finish(&builder);
        kp_arena_finish(&arena);
    }
}

/* ---- the store ---- */

struct shop {
    char dir[64];
    struct kp_columns *columns;
    struct kp_columns_options options;
};

static void open_shop(struct shop *shop)
{
    shop->options.os = kp_os_real();
    shop->options.dir = shop->dir;
    shop->options.generation = 42;
    shop->options.chunk_rows = 100;
    assert_int_equal(kp_columns_open(&shop->options, &shop->columns, NULL), KP_OK);
}

static const struct kp_column_field fields[2] = {{0, "number", {KP_INT8, -1, 0}}, {3, "word", {KP_TEXT, -1, 0}}};
static const struct kp_hash128 hash_a = {11, 12}, hash_b = {21, 22};

/* Rows at every second position: number is the position, word its remainder by 10. */
static void fill(struct shop *shop, struct kp_hash128 name, uint32_t count, int64_t from, int64_t to)
{
    struct kp_column_set *set = kp_columns_set(shop->columns, 5, name);
    struct kp_column_fill *fill = kp_column_fill_begin(set, from, fields, count);
    struct kp_arena arena = {0};
    for (int64_t at = from; fill && at < to; at += 20) {
        struct kp_vec number, word;
        int64_t positions[10];
        kp_vec_init(&number, &arena, fields[0].type, 10);
        kp_vec_init(&word, &arena, fields[1].type, 10);
        for (int i = 0; i < 10; i++) {
            char text[64];
            positions[i] = at + 2 * i;
            ((int64_t *)number.data)[i] = positions[i];
            int len = snprintf(text, sizeof text, "a word of which there are ten: %d", (int)(positions[i] % 10));
            ((struct kp_text *)word.data)[i] = kp_text_make(kp_arena_strdup(&arena, text), (size_t)len);
        }
        const struct kp_column_batch batch = {1, 20, at, at, 1000 + at};
        const struct kp_column_dead dead = {.position = at + 1,
                                            .offset = at + 1,
                                            .partition = 1,
                                            .sqlstate = "22P02",
                                            .reason = KP_STR("bad"),
                                            .value = KP_STR("{")};
        kp_column_fill_expect(fill);
        kp_column_fill_batch(fill, &batch);
        kp_column_fill_rows(fill, positions, NULL, 10);
        kp_column_fill_dead(fill, &dead);
        kp_column_fill_column(fill, 0, &number, 10);
        if (count > 1)
            kp_column_fill_column(fill, 1, &word, 10);
        kp_column_fill_done(fill);
        kp_column_fill_reach(fill, at + 20);
        if (kp_column_fill_limit(fill) <= at + 20) {
            kp_column_fill_destroy(fill);
            fill = kp_column_fill_begin(set, at + 20, fields, count);
        }
    }
    kp_column_fill_destroy(fill);
    kp_arena_finish(&arena);
}

/* Positions from `from` on that are known with these columns, all of them checked. */
static int64_t known_until(struct shop *shop, struct kp_hash128 name, uint32_t count, int64_t from)
{
    struct kp_column_set *set = kp_columns_set(shop->columns, 5, name);
    struct kp_column_view view;
    struct kp_arena arena = {0};
    while (kp_column_view_open(set, from, fields, count, &view)) {
        uint32_t rows = view.rows->header->rows;
        int64_t *positions = kp_rows_chunk_positions(view.rows, 0, rows, &arena);
        struct kp_vec number, word;
        kp_column_chunk_slice(view.columns[0], fields[0].type, 0, rows, &arena, &number);
        if (count > 1)
            kp_column_chunk_slice(view.columns[1], fields[1].type, 0, rows, &arena, &word);
        assert_int_equal(rows, (view.range.end - view.range.begin) / 2);
        for (uint32_t i = 0; i < rows; i++) {
            assert_int_equal(positions[i], view.range.begin + 2 * i);
            assert_int_equal(((int64_t *)number.data)[i], positions[i]);
            if (count > 1) {
                struct kp_str text = kp_text_str(&((struct kp_text *)word.data)[i]);
                assert_int_equal(text.ptr[text.len - 1], '0' + positions[i] % 10);
            }
            assert_int_equal(kp_rows_chunk_find(view.rows, positions[i]), i);
        }
        assert_int_equal(view.rows->header->dead, rows / 10);
        for (uint32_t i = 0; i < view.rows->header->dead; i++) {
            assert_int_equal(view.rows->dead[i].position, view.range.begin + 20 * i + 1);
            assert_string_equal(view.rows->dead[i].sqlstate, "22P02");
            assert_null(view.rows->dead[i].key.ptr);
        }
        from = view.range.end;
        kp_column_view_close(&view);
    }
    kp_arena_finish(&arena);
    return from;
}

static void test_store(void **state)
{
    struct shop shop = {.dir = "/tmp/kappa-shop-XXXXXX",
                        .options = {.position = 10000, .pool_bytes = 1 << 20, .disk_bytes = 1 << 30}};
    struct kp_columns_totals totals;
    assert_non_null(mkdtemp(shop.dir));
    open_shop(&shop);
    assert_int_equal(known_until(&shop, hash_a, 1, 0), 0);
    fill(&shop, hash_a, 1, 0, 1000);
    assert_int_equal(known_until(&shop, hash_a, 1, 0), 1000);
    assert_int_equal(known_until(&shop, hash_a, 2, 0), 0);
    assert_int_equal(known_until(&shop, hash_b, 1, 0), 0);
    fill(&shop, hash_a, 2, 0, 1500); /* the missing column, and what follows */
    assert_int_equal(known_until(&shop, hash_a, 2, 0), 1400);
    kp_columns_totals(shop.columns, &totals);
    assert_int_equal(totals.chunks_written, 10 + 5 + 2 * 3 + 0);
    kp_columns_close(shop.columns);
    open_shop(&shop);
    assert_int_equal(known_until(&shop, hash_a, 2, 0), 1400);
    kp_columns_forget(shop.columns, 5, 450);
    assert_int_equal(known_until(&shop, hash_a, 2, 0), 0);
    assert_int_equal(known_until(&shop, hash_a, 2, 600), 1400);
    kp_columns_close(shop.columns);
    open_shop(&shop); /* what was forgotten stays so */
    assert_int_equal(known_until(&shop, hash_a, 2, 0), 0);
    assert_int_equal(known_until(&shop, hash_a, 2, 600), 1400);
    fill(&shop, hash_a, 2, 0, 1400);
    assert_int_equal(known_until(&shop, hash_a, 2, 0), 1400);
    kp_columns_close(shop.columns);
    shop.options.position = 1000; /* a log that lost its end */
    open_shop(&shop);
    assert_int_equal(known_until(&shop, hash_a, 2, 0), 1000);
    kp_columns_close(shop.columns);
    shop.options.decoder_version++;
    open_shop(&shop);
    assert_int_equal(known_until(&shop, hash_a, 2, 0), 0);
    kp_columns_close(shop.columns);
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", shop.dir);
    assert_int_equal(system(command), 0);
}

static void test_budgets(void **state)
{
    struct shop shop = {.dir = "/tmp/kappa-shop-XXXXXX",
                        .options = {.position = 100000, .pool_bytes = 6000, .disk_bytes = 300 << 10}};
    struct kp_columns_totals totals;
    assert_non_null(mkdtemp(shop.dir));
    open_shop(&shop);
    fill(&shop, hash_a, 2, 0, 20000);
    assert_int_equal(known_until(&shop, hash_a, 2, 0), 20000);
    kp_columns_totals(shop.columns, &totals);
    assert_true(totals.pool_bytes <= 6000 && totals.pool_bytes > 0);
    assert_true(totals.disk_bytes <= 300 << 10);
    fill(&shop, hash_b, 2, 0, 20000); /* the other set makes way */
    assert_int_equal(known_until(&shop, hash_b, 2, 0), 20000);
    assert_int_equal(known_until(&shop, hash_a, 2, 0), 0);
    fill(&shop, hash_b, 2, 20000, 60000); /* nobody else can */
    kp_columns_totals(shop.columns, &totals);
    assert_true(totals.disk_bytes <= 300 << 10);
    kp_columns_close(shop.columns);
    open_shop(&shop);
    assert_true(known_until(&shop, hash_b, 2, 0) >= 20000);
    kp_columns_forget(shop.columns, 5, INT64_MAX);
    kp_columns_totals(shop.columns, &totals);
    assert_int_equal(totals.disk_bytes, 0);
    kp_columns_close(shop.columns);
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", shop.dir);
    assert_int_equal(system(command), 0);
}

/* Records are forgotten while a chunk of them is being written, to a file that is there or to a new one. */
static struct shop *forgetful;
static unsigned writes, forget_at;

static enum kp_code pwrite_and_forget(void *ctx, struct kp_file *file, const void *bytes, size_t len, uint64_t offset,
                                      struct kp_error *err)
{
    if (++writes == forget_at)
        kp_columns_forget(forgetful->columns, 5, INT64_MAX);
    return kp_os_real()->pwrite(ctx, file, bytes, len, offset, err);
}

static void test_forgotten_meanwhile(void **state)
{
    for (forget_at = 1; forget_at < 16; forget_at++) {
        struct shop shop = {.dir = "/tmp/kappa-shop-XXXXXX",
                            .options = {.position = 100000, .pool_bytes = 1 << 20, .disk_bytes = 1 << 30}};
        struct kp_columns_totals totals;
        struct kp_os os = *kp_os_real();
        assert_non_null(mkdtemp(shop.dir));
        open_shop(&shop);
        kp_columns_close(shop.columns);
        os.pwrite = pwrite_and_forget;
        shop.options.os = &os;
        assert_int_equal(kp_columns_open(&shop.options, &shop.columns, NULL), KP_OK);
        forgetful = &shop;
        writes = 0;
        fill(&shop, hash_a, 2, 0, 1000);
        assert_true(writes > forget_at);
        for (int restarts = 0; restarts < 2; restarts++) {
            assert_int_equal(known_until(&shop, hash_a, 2, 0), 0); /* at least the range that was being written */
            kp_columns_close(shop.columns);
            assert_int_equal(kp_columns_open(&shop.options, &shop.columns, NULL), KP_OK);
        }
        fill(&shop, hash_a, 2, 0, 1000); /* all can be kept again */
        assert_int_equal(known_until(&shop, hash_a, 2, 0), 1000);
        kp_columns_totals(shop.columns, &totals);
        assert_false(totals.write_failed);
        assert_int_equal(totals.damaged, 0);
        kp_columns_forget(shop.columns, 5, INT64_MAX);
        kp_columns_totals(shop.columns, &totals);
        assert_int_equal(totals.disk_bytes, 0);
        kp_columns_close(shop.columns);
        char command[160];
        snprintf(command, sizeof command, "rmdir %s/columns && rmdir %s", shop.dir, shop.dir); /* no file is left */
        assert_int_equal(system(command), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pack),
                                       cmocka_unit_test(test_chunks),
                                       cmocka_unit_test(test_long_digits),
                                       cmocka_unit_test(test_bloom),
                                       cmocka_unit_test(test_store),
                                       cmocka_unit_test(test_budgets),
                                       cmocka_unit_test(test_forgotten_meanwhile)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
