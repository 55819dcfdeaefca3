/* DataRow messages: values, NULLs, weights, limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "serve/pg/rows.h"

static struct kp_batch *make_batch(struct kp_arena *arena, uint32_t rows)
{
    struct kp_batch *batch = kp_batch_create(arena, 2, rows);
    kp_vec_init(&batch->vecs[0], arena, KP_TYPE(KP_INT8), rows);
    kp_vec_init(&batch->vecs[1], arena, KP_TYPE(KP_TEXT), rows);
    kp_vec_need_valid(&batch->vecs[1], arena, rows);
    for (uint32_t i = 0; i < rows; i++) {
        ((int64_t *)batch->vecs[0].data)[i] = i;
        ((struct kp_text *)batch->vecs[1].data)[i] = kp_text_make("x", 1);
    }
    return batch;
}

static void test_bytes(void **state)
{
    struct kp_arena arena = {0};
    struct kp_buf out = {0};
    struct kp_batch *batch = make_batch(&arena, 2);
    ((int64_t *)batch->vecs[0].data)[0] = INT64_MIN;
    kp_vec_set_null(&batch->vecs[1], 1);
    uint32_t row = 0;
    int64_t done = 0;
    struct kp_pg_formats text = {NULL, 0};
    assert_int_equal(kp_pg_put_rows(&out, batch, &text, NULL, &row, &done, 100, SIZE_MAX), 2);
    assert_int_equal(row, 2);
    static const char expected[] = "D\0\0\0\x23\0\2\0\0\0\x14-9223372036854775808\0\0\0\1x"
                                   "D\0\0\0\x0f\0\2\0\0\0\1"
                                   "1\xff\xff\xff\xff";
    assert_int_equal(out.len, sizeof expected - 1);
    assert_memory_equal(out.data, expected, out.len);
    kp_buf_finish(&out);
    kp_arena_finish(&arena);
}

static void test_binary(void **state)
{
    static const uint8_t codes[] = {1, 0};
    struct kp_arena arena = {0};
    struct kp_buf out = {0};
    uint32_t row = 0;
    int64_t done = 0;
    struct kp_pg_formats formats = {codes, 2};
    assert_int_equal(kp_pg_put_rows(&out, make_batch(&arena, 1), &formats, NULL, &row, &done, 100, SIZE_MAX), 1);
    static const char expected[] = "D\0\0\0\x17\0\2\0\0\0\x08\0\0\0\0\0\0\0\0\0\0\0\1x";
    assert_int_equal(out.len, sizeof expected - 1);
    assert_memory_equal(out.data, expected, out.len);
    kp_buf_finish(&out);
    kp_arena_finish(&arena);
}

/* Integers at the borders of their digit counts. */
static void test_integers(void **state)
{
    static const int64_t values[] = {0, 9, 10, 99, 100, 101, 999, 1000, -1, -10, -100, INT64_MAX, 4294967296};
    struct kp_arena arena = {0};
    struct kp_batch *batch = kp_batch_create(&arena, 1, KP_COUNT(values));
    kp_vec_init(&batch->vecs[0], &arena, KP_TYPE(KP_INT8), KP_COUNT(values));
    memcpy(batch->vecs[0].data, values, sizeof values);
    struct kp_pg_formats text = {NULL, 0};
    uint32_t row = 0;
    for (size_t i = 0; i < KP_COUNT(values); i++) {
        struct kp_buf out = {0}, expected = {0};
        int64_t done = 0;
        assert_int_equal(kp_pg_put_rows(&out, batch, &text, NULL, &row, &done, 1, SIZE_MAX), 1);
        kp_buf_printf(&expected, "%lld", (long long)values[i]);
        assert_int_equal(out.len, expected.len + 11);
        assert_memory_equal(out.data + 11, expected.data, expected.len);
        kp_buf_finish(&out);
        kp_buf_finish(&expected);
    }
    kp_arena_finish(&arena);
}

/* Weights repeat rows, also over calls; a row of weight 0 is not there. */
static void test_weights(void **state)
{
    static const int64_t weights[] = {0, 3, 1, 0};
    struct kp_arena arena = {0};
    struct kp_buf out = {0};
    struct kp_batch *batch = make_batch(&arena, 4);
    batch->weights = weights;
    struct kp_pg_formats text = {NULL, 0};
    uint32_t row = 0;
    int64_t done = 0;
    assert_int_equal(kp_pg_put_rows(&out, batch, &text, NULL, &row, &done, 2, SIZE_MAX), 2);
    assert_int_equal(row, 1);
    assert_int_equal(kp_pg_put_rows(&out, batch, &text, NULL, &row, &done, 100, out.len + 1), 1);
    assert_int_equal(row, 2);
    assert_int_equal(kp_pg_put_rows(&out, batch, &text, NULL, &row, &done, 100, SIZE_MAX), 1);
    assert_int_equal(row, 4);
    assert_int_equal(kp_pg_put_rows(&out, batch, &text, NULL, &row, &done, 100, SIZE_MAX), 0);
    kp_buf_finish(&out);
    kp_arena_finish(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bytes), cmocka_unit_test(test_binary),
                                       cmocka_unit_test(test_integers), cmocka_unit_test(test_weights)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
