/* Combining: whatever meets, the sum of weights of each row stays; and what repeats, shrinks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "flow/combine.h"

enum { COLS = 3, KEYS = 40 };

static uint64_t random_state = 7;
static uint64_t random_u64(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* Rows of one of `keys` keys: a number, a text, and a number that is NULL for every fifth key. */
static struct kp_batch *make(struct kp_arena *arena, uint32_t rows, uint64_t keys, bool weighted, uint64_t **ret_hashes)
{
    struct kp_batch *batch = kp_batch_create(arena, COLS, rows);
    kp_vec_init(&batch->vecs[0], arena, KP_TYPE(KP_INT8), rows);
    kp_vec_init(&batch->vecs[1], arena, KP_TYPE(KP_TEXT), rows);
    kp_vec_init(&batch->vecs[2], arena, KP_TYPE(KP_INT4), rows);
    kp_vec_need_valid(&batch->vecs[2], arena, rows);
    int64_t *weights = kp_arena_alloc(arena, rows * sizeof *weights);
    for (uint32_t i = 0; i < rows; i++) {
        uint64_t key = random_u64() % keys;
        char *text = kp_arena_printf(arena, "%s%u", key % 2 ? "k" : "a key that lies outside ", (unsigned)(key / 2));
        ((int64_t *)batch->vecs[0].data)[i] = (int64_t)(key / 3);
        ((struct kp_text *)batch->vecs[1].data)[i] = kp_text_make(text, strlen(text));
        ((int32_t *)batch->vecs[2].data)[i] = key % 5 ? 1 : 0;
        if (key % 5 == 0)
            kp_vec_set_null(&batch->vecs[2], i);
        weights[i] = random_u64() % 3 ? 1 : -1;
    }
    batch->weights = weighted ? weights : NULL;
    *ret_hashes = kp_arena_calloc(arena, rows * sizeof **ret_hashes);
    for (uint32_t c = 0; c < COLS; c++)
        kp_vec_hash(&batch->vecs[c], rows, *ret_hashes, c == 0);
    return batch;
}

/* The weight of all rows like row i of `of`. */
static int64_t weight_of(const struct kp_batch *batch, const struct kp_batch *of, uint32_t i)
{
    int64_t sum = 0;
    for (uint32_t k = 0; k < batch->rows; k++)
        if (kp_vecs_identical(batch->vecs, k, of->vecs, i, COLS))
            sum += batch->weights ? batch->weights[k] : 1;
    return sum;
}

static void test_weights(void **unused)
{
    const struct kp_type types[COLS] = {KP_TYPE(KP_INT8), KP_TYPE(KP_TEXT), KP_TYPE(KP_INT4)};
    for (int round = 0; round < 40; round++) {
        struct kp_arena arena = {0};
        struct kp_row_layout layout;
        kp_row_layout_init(&layout, &arena, types, COLS, true, 0);
        assert_true(kp_combine_possible(&layout, COLS));
        uint64_t *made, keys = round % 4 == 3 ? 1 : KEYS;
        const uint32_t rows = 200 + (uint32_t)(random_u64() % 1500);
        struct kp_batch *batch = make(&arena, rows, keys, round % 2, &made), *result;
        const uint64_t *hashes = made;
        result = kp_combine(batch, &hashes, &layout, COLS, &arena);
        for (uint32_t i = 0; i < rows; i += 1 + rows / 100)
            assert_int_equal(weight_of(batch, batch, i), weight_of(result, batch, i));
        for (uint32_t i = 0; i < result->rows; i++) { /* nothing new, and hashes go along */
            assert_true(weight_of(batch, result, i) == weight_of(result, result, i));
            uint64_t hash = 0;
            for (uint32_t c = 0; c < COLS; c++) {
                struct kp_vec one;
                kp_vec_gather(&result->vecs[c], &i, 1, &arena, &one);
                kp_vec_hash(&one, 1, &hash, c == 0);
            }
            assert_true(hash == hashes[i]);
        }
        assert_true(rows < 256 || result->rows < rows / 2);
        kp_arena_finish(&arena);
    }
}

/* Rows that are all different are left as they are. */
static void test_alone(void **unused)
{
    const struct kp_type types[COLS] = {KP_TYPE(KP_INT8), KP_TYPE(KP_TEXT), KP_TYPE(KP_INT4)};
    struct kp_arena arena = {0};
    struct kp_row_layout layout;
    kp_row_layout_init(&layout, &arena, types, COLS, true, 0);
    uint64_t *made;
    struct kp_batch *batch = make(&arena, 5000, UINT64_MAX, false, &made);
    const uint64_t *hashes = made;
    assert_ptr_equal(kp_combine(batch, &hashes, &layout, COLS, &arena), batch);
    assert_ptr_equal(hashes, made);
    const struct kp_type looks[1] = {KP_TYPE(KP_NUMERIC)}; /* 1.0 and 1.00 look different */
    kp_row_layout_init(&layout, &arena, looks, 1, true, 0);
    assert_false(kp_combine_possible(&layout, 1));
    kp_arena_finish(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_weights), cmocka_unit_test(test_alone)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
