/* Types, vectors, registry, comparison: the ground the other rooms stand on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "vec/agg.h"
#include "vec/jsonb.h"
#include "vec/numeric.h"

static void noop_kernel(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    (void)call, (void)args, (void)out;
}

static const struct kp_func test_funcs[] = {
    {.name = "kp_test_b",
     .kind = KP_FUNC_FUNCTION,
     .arg_count = 1,
     .args = {KP_TEXT},
     .ret = KP_TEXT,
     .kernel = noop_kernel},
    {.name = "kp_test_a",
     .kind = KP_FUNC_FUNCTION,
     .arg_count = 1,
     .args = {KP_INT8},
     .ret = KP_TEXT,
     .kernel = noop_kernel},
    {.name = "kp_test_a",
     .kind = KP_FUNC_FUNCTION,
     .arg_count = 1,
     .args = {KP_INT4},
     .ret = KP_TEXT,
     .kernel = noop_kernel},
};
KP_FUNCTIONS(zz_test, test_funcs);

static void test_registry(void **state)
{
    (void)state;
    size_t count;
    const struct kp_func *const *found = kp_func_find(KP_FUNC_FUNCTION, KP_STR("kp_test_a"), &count);
    assert_int_equal(count, 2);
    assert_int_equal(found[0]->args[0], KP_INT4);
    kp_func_find(KP_FUNC_OPERATOR, KP_STR("kp_test_a"), &count);
    assert_int_equal(count, 0);
    const struct kp_func_family *const *families = kp_func_families(&count);
    assert_true(count >= 1);
    for (size_t i = 1; i < count; i++)
        assert_true(strcmp(families[i - 1]->name, families[i]->name) < 0);
}

static void test_types(void **state)
{
    (void)state;
    for (unsigned id = 1; id < KP_TYPE_COUNT; id++) {
        const struct kp_type_info *info = kp_type_info(id);
        assert_int_equal(info->id, id);
        assert_int_equal(kp_type_by_oid(info->oid), id);
        assert_int_equal(kp_type_by_name(kp_str(info->name)), id);
    }
    struct kp_buf out = {0};
    kp_type_print((struct kp_type){.id = KP_NUMERIC, .mod = ((12 << 16) | 2) + 4}, &out);
    kp_buf_append_byte(&out, ' ');
    kp_type_print((struct kp_type){.id = KP_VARCHAR, .mod = 14}, &out);
    kp_buf_append_byte(&out, 0);
    assert_string_equal((char *)out.data, "numeric(12,2) character varying(10)");
    kp_buf_finish(&out);
}

static void test_gather_scatter(void **state)
{
    (void)state;
    struct kp_arena arena = {0};
    struct kp_vec vec, part, back;
    kp_vec_init(&vec, &arena, KP_TYPE(KP_INT4), 200);
    kp_vec_need_valid(&vec, &arena, 200);
    for (uint32_t i = 0; i < 200; i++) {
        ((int32_t *)vec.data)[i] = (int32_t)i;
        if (i % 7 == 0)
            kp_vec_set_null(&vec, i);
    }
    uint32_t index[100];
    for (uint32_t i = 0; i < 100; i++)
        index[i] = 199 - 2 * i;
    kp_vec_gather(&vec, index, 100, &arena, &part);
    kp_vec_init(&back, &arena, KP_TYPE(KP_INT4), 200);
    kp_vec_scatter(&back, 200, &part, index, 100, &arena);
    for (uint32_t i = 0; i < 100; i++) {
        assert_int_equal(kp_vec_is_null(&part, i), index[i] % 7 == 0);
        assert_int_equal(kp_vec_is_null(&back, index[i]), index[i] % 7 == 0);
        assert_int_equal(((int32_t *)back.data)[index[i]], index[i]);
    }
    struct kp_datum datum = {.type = KP_TYPE(KP_INT8), .i64 = 42};
    kp_vec_init_constant(&vec, &arena, &datum);
    struct kp_vec flat = kp_vec_flatten(&vec, &arena, 3);
    assert_int_equal(((int64_t *)flat.data)[2], 42);
    datum.null = true;
    kp_vec_init_constant(&vec, &arena, &datum);
    flat = kp_vec_flatten(&vec, &arena, 70);
    assert_true(kp_vec_is_null(&flat, 69));
    uint64_t hashes[2];
    kp_vec_hash(&vec, 2, hashes, true);
    assert_int_equal(hashes[0], hashes[1]);
    kp_arena_finish(&arena);
}

/* Sort keys, comparison, equality and hash say the same about every pair. */
static void check_agreement(enum kp_type_id type, const void *values, size_t width, size_t count)
{
    struct kp_buf a = {0}, b = {0};
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < count; j++) {
            const void *left = (const char *)values + i * width, *right = (const char *)values + j * width;
            int order = kp_value_compare(type, left, right);
            assert_int_equal(order, -kp_value_compare(type, right, left));
            assert_int_equal(kp_value_equal(type, left, right), order == 0);
            if (order == 0)
                assert_int_equal(kp_value_hash(type, left), kp_value_hash(type, right));
            for (int descending = 0; descending < 2; descending++) {
                a.len = b.len = 0;
                kp_sort_key_append(&a, type, left, false, descending, false);
                kp_sort_key_append(&b, type, right, false, descending, false);
                int keys =
                    kp_str_compare((struct kp_str){(char *)a.data, a.len}, (struct kp_str){(char *)b.data, b.len});
                keys = (keys > 0) - (keys < 0);
                assert_int_equal(keys, descending ? -order : order);
            }
        }
    kp_buf_finish(&a);
    kp_buf_finish(&b);
}

static void test_order(void **state)
{
    (void)state;
    int64_t ints[] = {0, -1, 1, INT64_MIN, INT64_MAX, 255, 256, -256};
    check_agreement(KP_INT8, ints, 8, KP_COUNT(ints));
    double floats[] = {
        0.0, -0.0, 1.5, -1.5, 1e300, -1e300, __builtin_inf(), -__builtin_inf(), __builtin_nan(""), -__builtin_nan("")};
    check_agreement(KP_FLOAT8, floats, 8, KP_COUNT(floats));
    struct kp_interval intervals[] = {{86400000000, 0, 0},
                                      {0, 1, 0},
                                      {0, 30, 0},
                                      {0, 0, 1},
                                      {-1, 0, 0},
                                      {0, 0, 0},
                                      {INT64_MAX, INT32_MAX, INT32_MAX}};
    check_agreement(KP_INTERVAL, intervals, 16, KP_COUNT(intervals));
    struct kp_text texts[] = {kp_text_make("", 0),
                              kp_text_make("a", 1),
                              kp_text_make("a\0b", 3),
                              kp_text_make("a ", 2),
                              kp_text_make("abcdefghijklmn", 14),
                              kp_text_make("abcdefghijkl", 12),
                              kp_text_make("\377", 1)};
    check_agreement(KP_BYTEA, texts, 16, KP_COUNT(texts));
    check_agreement(KP_TEXT, texts, 16, KP_COUNT(texts));
    assert_int_equal(kp_value_compare(KP_BPCHAR, &texts[1], &texts[3]), 0);
    struct {
        struct kp_numeric_big big;
        uint64_t limbs[2];
    } one22 = {{2, false}, {1864712049423024128u, 542}}; /* 10^22 */
    struct kp_numeric numerics[] = {kp_numeric_small(0, 0),
                                    kp_numeric_small(0, 5),
                                    kp_numeric_small(1, 0),
                                    kp_numeric_small(100, 2),
                                    kp_numeric_small(-1, 0),
                                    kp_numeric_small(-100, 1),
                                    kp_numeric_small(INT64_MAX, 0),
                                    kp_numeric_small(-INT64_MAX, 18),
                                    kp_numeric_small(15, 1),
                                    kp_numeric_small(1234567, 3),
                                    kp_numeric_small(123456, 2),
                                    kp_numeric_special(KP_NUMERIC_NAN),
                                    kp_numeric_special(KP_NUMERIC_POS_INF),
                                    kp_numeric_special(KP_NUMERIC_NEG_INF),
                                    {{.big = &one22.big}, 22, KP_NUMERIC_BIG, {0}},
                                    {{.big = &one22.big}, 2, KP_NUMERIC_BIG, {0}}};
    check_agreement(KP_NUMERIC, numerics, 16, KP_COUNT(numerics));
    assert_int_equal(kp_numeric_compare(&numerics[2], &numerics[14]), 0);
}

/* Comparing two values of jsonb and their sort keys is the same. */
static void test_jsonb_order(void **state)
{
    static const char *const values[] = {"null",
                                         "true",
                                         "false",
                                         "\"\"",
                                         "\"a\"",
                                         "\"ab\"",
                                         "\"a\\\"\"",
                                         "\"a\\u0001\"",
                                         "0",
                                         "-1",
                                         "1.0",
                                         "1",
                                         "10",
                                         "1e2",
                                         "100",
                                         "[]",
                                         "[null]",
                                         "[1, 2]",
                                         "[2]",
                                         "[1, 3]",
                                         "[[]]",
                                         "[[1]]",
                                         "[\"a\", 1]",
                                         "{}",
                                         "{\"a\": 1}",
                                         "{\"a\": 2}",
                                         "{\"b\": 1}",
                                         "{\"a\": 1, \"b\": []}",
                                         "{\"a\": {\"a\": 1}}",
                                         "{\"a\": [1, {}]}",
                                         "[true]",
                                         "[false]",
                                         "[{\"a\": 1}]"};
    for (size_t i = 0; i < KP_COUNT(values); i++)
        for (size_t k = 0; k < KP_COUNT(values); k++) {
            struct kp_buf a = {0}, b = {0};
            kp_jsonb_sort_key(&a, kp_str(values[i]));
            kp_jsonb_sort_key(&b, kp_str(values[k]));
            int order = kp_str_compare((struct kp_str){(const char *)a.data, a.len},
                                       (struct kp_str){(const char *)b.data, b.len});
            assert_int_equal(kp_jsonb_compare(kp_str(values[i]), kp_str(values[k])), (order > 0) - (order < 0));
            kp_buf_finish(&a);
            kp_buf_finish(&b);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registry), cmocka_unit_test(test_types),       cmocka_unit_test(test_gather_scatter),
        cmocka_unit_test(test_order),    cmocka_unit_test(test_jsonb_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
