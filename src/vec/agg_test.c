/*
 * Aggregates: random inserts and retractions through both implementations, split over two states that are merged, must
 * equal a fresh computation over what is left; and known answers of PostgreSQL.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/hash.h"
#include "vec/agg.h"
#include "vec/numeric.h"

static struct kp_arena arena;
static struct kp_budget budget;
static uint64_t random_state = 7;

static uint32_t below(uint32_t n)
{
    random_state += 0x9e3779b97f4a7c15u;
    return (uint32_t)(kp_hash_u64(random_state) % n);
}

static const struct kp_agg *find(const char *name, enum kp_type_id type)
{
    size_t count;
    const struct kp_agg *const *aggs = kp_agg_find(kp_str(name), &count);
    for (size_t i = 0; i < count; i++)
        if (aggs[i]->arg_count == 1 && aggs[i]->args[0] == type)
            return aggs[i];
    fail_msg("no aggregate %s(%s)", name, kp_type_info(type)->name);
    return NULL;
}

static struct kp_agg_call make_call(enum kp_type_id type)
{
    static const struct kp_agg_order ascending;
    return (struct kp_agg_call){.call = {.arena = &arena},
                                .budget = &budget,
                                .arg_types = {KP_TYPE(type)},
                                .arg_count = 1,
                                .orders = &ascending};
}

static void parse_rows(enum kp_type_id type, const char *const *texts, uint32_t rows, struct kp_vec *ret_vec)
{
    kp_vec_init(ret_vec, &arena, KP_TYPE(type), rows);
    size_t width = kp_vec_width(ret_vec);
    for (uint32_t i = 0; i < rows; i++) {
        struct kp_error err;
        uint64_t value[2] = {0};
        if (kp_value_parse(KP_TYPE(type), kp_str(texts[i]), NULL, &arena, value, &err) != KP_OK)
            fail_msg("%s: %s", texts[i], err.message);
        memcpy((char *)ret_vec->data + i * width, value, width);
    }
}

static void update(struct kp_agg_call *call, const struct kp_agg_impl *impl, void *state, const struct kp_vec *vec,
                   const int64_t *weights, uint32_t rows)
{
    void **states = kp_arena_alloc(&arena, rows * sizeof *states);
    for (uint32_t i = 0; i < rows; i++)
        states[i] = state;
    const struct kp_vec *args[] = {vec};
    impl->update(call, states, args, weights, rows);
}

/* A real type for a polymorphic one. */
static enum kp_type_id concrete(enum kp_type_id type)
{
    return type == KP_ANYARRAY                      ? kp_type_array_of(KP_NUMERIC)
           : type >= KP_ANY && type < KP_ARRAY_BASE ? KP_NUMERIC
                                                    : type;
}

/* The aggregate's value as text, "<NULL>" or "!SQLSTATE". */
static const char *value_text(struct kp_agg_call *call, const struct kp_agg *agg, const struct kp_agg_impl *impl,
                              void *state)
{
    struct kp_vec out;
    kp_vec_init(&out, &arena, KP_TYPE(concrete(agg->ret)), 1);
    call->call.error_count = 0;
    call->call.type = out.type;
    impl->finalize(call, &state, 1, &out);
    if (call->call.error_count)
        return kp_arena_printf(&arena, "!%s", call->call.errors[0].sqlstate);
    if (kp_vec_is_null(&out, 0))
        return "<NULL>";
    struct kp_buf buf = {0};
    kp_value_print(out.type, out.data, NULL, &buf);
    const char *text = kp_arena_strndup(&arena, (char *)buf.data, buf.len);
    kp_buf_finish(&buf);
    return text;
}

static const char *compute(const struct kp_agg *agg, const struct kp_agg_impl *impl, enum kp_type_id type,
                           const char *const *texts, const int64_t *weights, uint32_t rows)
{
    struct kp_agg_call call = make_call(type);
    struct kp_vec vec;
    void *state = kp_arena_calloc(&arena, impl->state_bytes);
    parse_rows(type, texts, rows, &vec);
    if (rows)
        update(&call, impl, state, &vec, weights, rows);
    const char *text = value_text(&call, agg, impl, state);
    if (impl->destroy)
        impl->destroy(&call, state);
    return text;
}

static void check(const char *name, enum kp_type_id type, const char *wanted, uint32_t rows, const char *const *texts)
{
    const struct kp_agg *agg = find(name, type);
    assert_string_equal(compute(agg, agg->growing, type, texts, NULL, rows), wanted);
    assert_string_equal(compute(agg, agg->retractable, type, texts, NULL, rows), wanted);
}
#define CHECK(name, type, wanted, ...)                                                                                 \
    do {                                                                                                               \
        const char *const texts_[] = {__VA_ARGS__};                                                                    \
        check(name, type, wanted, KP_COUNT(texts_), texts_);                                                           \
    } while (0)

static void test_known(void **state)
{
    (void)state;
    const char *const none[] = {NULL};
    check("sum", KP_INT4, "<NULL>", 0, none);
    check("max", KP_TEXT, "<NULL>", 0, none);
    CHECK("sum", KP_INT4, "4294967294", "2147483647", "2147483647");
    CHECK("sum", KP_INT8, "18446744073709551614", "9223372036854775807", "9223372036854775807");
    CHECK("avg", KP_INT4, "1.6666666666666667", "1", "2", "2");
    CHECK("avg", KP_INT8, "0.00000000000000000000", "0");
    CHECK("sum", KP_NUMERIC, "4.25", "1.5", "2", "0.75");
    CHECK("sum", KP_NUMERIC, "NaN", "1", "NaN");
    CHECK("sum", KP_NUMERIC, "NaN", "Infinity", "-Infinity");
    CHECK("avg", KP_NUMERIC, "2.1250000000000000", "1.5", "2.75");
    CHECK("sum", KP_NUMERIC, "100000000000000000000000.5", "99999999999999999999999.5", "1");
    CHECK("sum", KP_FLOAT8, "0", "1e308", "1e-308", "-1e308", "-1e-308");
    CHECK("sum", KP_FLOAT8, "1e-308", "1e308", "1e-308", "-1e308");
    CHECK("sum", KP_FLOAT8, "!22003", "1e308", "1e308");
    CHECK("sum", KP_FLOAT8, "Infinity", "1", "Infinity");
    CHECK("sum", KP_FLOAT8, "0.6", "0.1", "0.2", "0.3");
    CHECK("sum", KP_FLOAT4, "1.6777216e+07", "16777216", "1");
    CHECK("sum", KP_FLOAT4, "1.6777218e+07", "16777216", "1", "1");
    CHECK("avg", KP_FLOAT8, "2", "1", "2", "3");
    CHECK("sum", KP_INTERVAL, "1 mon 2 days 03:00:00", "1 month", "2 days", "3 hours");
    CHECK("avg", KP_INTERVAL, "12:00:00", "1 day", "0");
    CHECK("min", KP_NUMERIC, "1.0", "1.00", "1.0", "2");
    CHECK("max", KP_NUMERIC, "2", "1.00", "2.0", "2");
    CHECK("max", KP_FLOAT8, "NaN", "1", "NaN", "Infinity");
    CHECK("min", KP_TEXT, "a long text here", "b", "a long text here", "a long text there");
    CHECK("max", KP_INTERVAL, "1 day", "24:00:00", "1 day");
    CHECK("max", KP_DATE, "infinity", "2013-01-01", "infinity");
    CHECK("variance", KP_INT4, "1.6666666666666667", "1", "2", "3", "4");
    CHECK("stddev", KP_INT4, "1.2909944487358056", "1", "2", "3", "4");
    CHECK("stddev_pop", KP_NUMERIC, "0.50000000000000000000", "1.0", "2");
    CHECK("var_pop", KP_FLOAT8, "0.25", "1", "2");
    CHECK("var_samp", KP_INT8, "<NULL>", "1");
    CHECK("var_pop", KP_INT8, "0", "1");
    CHECK("bool_and", KP_BOOL, "f", "t", "f");
    CHECK("bool_or", KP_BOOL, "t", "t", "f");
}

static const char *random_text(enum kp_type_id type)
{
    switch (type) {
    case KP_FLOAT4:
    case KP_FLOAT8: {
        static const char *const odd[] = {"NaN", "Infinity", "-Infinity", "-0", "5e-300", "1e300"};
        if (below(12) == 0)
            return type == KP_FLOAT4 ? odd[below(4)] : odd[below(6)];
        return kp_arena_printf(&arena, "%d.%03ue%d", (int)below(2000) - 1000, below(1000), (int)below(20) - 10);
    }
    case KP_NUMERIC: {
        static const char *const odd[] = {"NaN", "Infinity", "-Infinity", "123456789012345678901234567890.12",
                                          "-1e-25"};
        if (below(15) == 0)
            return odd[below(5)];
        return kp_arena_printf(&arena, "%d.%0*u", (int)below(20) - 10, 1 + (int)below(4), below(10));
    }
    case KP_TEXT:
        return kp_arena_printf(&arena, "%s%u", below(2) ? "k" : "a longer text, number ", below(30));
    case KP_INTERVAL:
        return below(2) ? kp_arena_printf(&arena, "%u hours", below(4) * 24)
                        : kp_arena_printf(&arena, "%u days %d:00", below(4), (int)below(20));
    case KP_BOOL:
        return below(2) ? "t" : "f";
    default:
        return kp_arena_printf(&arena, "%d", (int)below(200) - 100);
    }
}

/* Random changes in two states, merged at the end, against a fresh state of what is left. */
static void check_random(const struct kp_agg *agg)
{
    enum { ROWS = 1200 };
    enum kp_type_id type = concrete(agg->args[0]);
    const struct kp_agg_impl *impl = agg->retractable;
    struct kp_agg_call call = make_call(type);
    const char *texts[ROWS], *left[ROWS];
    int64_t weights[ROWS], left_weights[ROWS];
    bool alive[ROWS];
    uint32_t left_count = 0;
    for (uint32_t i = 0; i < ROWS; i++) {
        alive[i] = false;
        weights[i] = 1 + (below(8) == 0);
        uint32_t victim = i ? below(i) : 0;
        if (i && below(2) && alive[victim]) {
            texts[i] = texts[victim];
            weights[i] = -weights[victim];
            alive[victim] = false;
        } else {
            texts[i] = random_text(type);
            alive[i] = true;
        }
    }
    for (uint32_t i = 0; i < ROWS; i++)
        if (alive[i]) {
            left[left_count] = texts[i];
            left_weights[left_count++] = weights[i];
        }
    struct kp_vec vec;
    void *a = kp_arena_calloc(&arena, impl->state_bytes), *b = kp_arena_calloc(&arena, impl->state_bytes);
    parse_rows(type, texts, ROWS, &vec);
    for (uint32_t i = 0; i < ROWS; i++) {
        struct kp_vec one = vec;
        one.data = (char *)vec.data + i * kp_vec_width(&vec);
        update(&call, impl, below(2) ? a : b, &one, &weights[i], 1);
    }
    impl->merge(&call, &a, &b, 1);
    const char *merged = value_text(&call, agg, impl, a);
    const char *fresh = compute(agg, impl, type, left, left_weights, left_count);
    if (strcmp(merged, fresh) != 0)
        fail_msg("%s(%s): %s, freshly %s", agg->name, kp_type_info(type)->name, merged, fresh);
    const char *growing = compute(agg, agg->growing, type, left, left_weights, left_count);
    assert_string_equal(growing, fresh);
    if (impl->destroy) {
        impl->destroy(&call, a);
        impl->destroy(&call, b);
    }
}

static void test_random(void **state)
{
    (void)state;
    size_t count;
    const struct kp_agg *const *aggs = kp_agg_all(&count);
    for (size_t i = 0; i < count; i++) {
        enum kp_type_id type = aggs[i]->args[0];
        if (aggs[i]->arg_count != 1 || type == KP_ANYARRAY || type == KP_ANYENUM || type == KP_JSONB ||
            type == KP_DATE || type == KP_TIME || type == KP_TIMETZ || type == KP_TIMESTAMP || type == KP_TIMESTAMPTZ ||
            type == KP_OID || type == KP_BPCHAR)
            continue;
        for (int round = 0; round < 5; round++)
            check_random(aggs[i]);
        kp_arena_reset(&arena);
    }
    assert_int_equal(budget.used_bytes, 0);
}

static void test_string_agg(void **state)
{
    (void)state;
    static const char *const texts[] = {"pear", "apple", "a value of more than twelve bytes", "apple"};
    static const char *const delimiters[] = {", ", ", ", ", ", ", "};
    static const int64_t weights[] = {1, 1, 1, -1};
    size_t count;
    const struct kp_agg *agg = kp_agg_find(KP_STR("string_agg"), &count)[0];
    struct kp_agg_call call = make_call(KP_TEXT);
    call.arg_count = 2;
    struct kp_vec values, delimiter;
    parse_rows(KP_TEXT, texts, 4, &values);
    parse_rows(KP_TEXT, delimiters, 4, &delimiter);
    const struct kp_vec *args[] = {&values, &delimiter};
    void *joined = kp_arena_calloc(&arena, agg->retractable->state_bytes);
    void *states[] = {joined, joined, joined, joined};
    agg->retractable->update(&call, states, args, NULL, 3);
    assert_string_equal(value_text(&call, agg, agg->retractable, joined),
                        "a value of more than twelve bytes, apple, pear");
    agg->retractable->update(&call, states, args, weights, 4);
    assert_string_equal(value_text(&call, agg, agg->retractable, joined),
                        "a value of more than twelve bytes, a value of more than twelve bytes, apple, pear, pear");
    agg->retractable->destroy(&call, joined);
    assert_int_equal(budget.used_bytes, 0);
}

static int finish(void **state)
{
    (void)state;
    kp_arena_finish(&arena);
    return 0;
}

int main(void)
{
    kp_budget_init(&budget, "test", 0, NULL);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_known), cmocka_unit_test(test_random),
                                       cmocka_unit_test(test_string_agg)};
    return cmocka_run_group_tests(tests, NULL, finish);
}
