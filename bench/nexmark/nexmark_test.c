/* The generator's output is fixed by its seed, has Nexmark's shape, and decodes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/hash.h"
#include "bench/nexmark/nexmark.c"
#include "decode/decode.h"

enum { EVENTS = 20000 };

static uint64_t hash_of_events(uint64_t seed, uint64_t rate, uint64_t first, uint64_t count)
{
    struct kp_nexmark nexmark;
    char text[KP_NEXMARK_EVENT_BYTES_MAX];
    enum kp_nexmark_kind kind;
    uint64_t hash = 0;
    kp_nexmark_init(&nexmark, seed, rate);
    nexmark.event = first;
    for (uint64_t i = 0; i < count; i++)
        hash = kp_hash_combine(hash, kp_hash_bytes(text, kp_nexmark_next(&nexmark, false, text, &kind)));
    return hash;
}

static void test_golden(void **unused)
{
    /* If this changes, so do all published figures: they are of other data then. */
    assert_int_equal(hash_of_events(1, 0, 0, EVENTS), UINT64_C(0x36cd29f5994eea19));
    assert_int_equal(hash_of_events(2, 1000, 0, 1000), UINT64_C(0x261cddb50298556e));
    assert_int_equal(hash_of_events(1, 0, 5000, 10), hash_of_events(1, 0, 5000, 10));
}

static void test_any_range(void **unused)
{
    struct kp_nexmark all, part;
    char all_text[KP_NEXMARK_EVENT_BYTES_MAX], part_text[KP_NEXMARK_EVENT_BYTES_MAX];
    enum kp_nexmark_kind all_kind, part_kind;
    kp_nexmark_init(&all, 7, 1000);
    for (uint64_t i = 0; i < 500; i++) {
        kp_nexmark_init(&part, 7, 1000);
        part.event = i;
        size_t len = kp_nexmark_next(&all, true, all_text, &all_kind);
        assert_int_equal(kp_nexmark_next(&part, true, part_text, &part_kind), len);
        assert_memory_equal(all_text, part_text, len);
        assert_int_equal(all_kind, part_kind);
    }
}

struct seen {
    uint64_t rows, hot_auctions, hot_bidders, dead;
    int64_t price_min, price_max;
};

static enum kp_code see_rows(void *arg, const struct kp_decoded *decoded, struct kp_error *err)
{
    struct seen *seen = arg;
    const int64_t *first = decoded->batch->vecs[0].data, *second = decoded->batch->vecs[1].data;
    const int64_t *price = decoded->batch->vecs[2].data;
    for (uint32_t i = 0; i < decoded->batch->rows; i++) {
        seen->hot_auctions += first[i] % 100 == 0;
        seen->hot_bidders += second[i] % 100 == 1;
        seen->price_min = KP_MIN(seen->price_min, price[i]);
        seen->price_max = KP_MAX(seen->price_max, price[i]);
    }
    seen->rows += decoded->batch->rows;
    return KP_OK;
}

static void see_dead(void *arg, const struct kp_dead_letter *letter)
{
    ((struct seen *)arg)->dead++;
}

/* Decodes lines with path `path` and three integer columns. */
static struct seen decode_lines(const char *path, const char *const names[3])
{
    struct kp_error err;
    struct kp_field fields[3];
    struct kp_decoder *decoder;
    struct kp_record_batch_builder builder = {0};
    struct kp_nexmark nexmark;
    struct kp_arena arena = {0};
    struct kp_buf batch = {0};
    char text[KP_NEXMARK_EVENT_BYTES_MAX];
    enum kp_nexmark_kind kind;
    struct seen seen = {.price_min = INT64_MAX};
    for (int i = 0; i < 3; i++)
        fields[i] = (struct kp_field){.name = names[i], .type = {KP_INT8, -1, 0}};
    const struct kp_decoder_options options = {
        .format = KP_FORMAT_JSON, .fields = fields, .field_count = 3, .path = path};
    assert_int_equal(kp_decoder_create(&options, &decoder, &err), KP_OK);
    struct kp_decode_state *state = kp_decode_state_create(decoder);
    kp_nexmark_init(&nexmark, 1, 0);
    for (uint64_t i = 0; i < EVENTS; i++) {
        struct kp_str line = {text, kp_nexmark_next(&nexmark, false, text, &kind)};
        kp_record_batch_add(&builder, kp_nexmark_time_ms(&nexmark, i), (struct kp_str){NULL, 0}, line,
                            (struct kp_str){NULL, 0});
    }
    assert_int_equal(kp_record_batch_build(&builder, KP_CODEC_NONE, &batch, &err), KP_OK);
    const struct kp_decode_input input = {.batch = batch.data, .bytes = (uint32_t)batch.len};
    assert_int_equal(kp_decode(state, &input, 1, &arena, see_rows, see_dead, &seen, &err), KP_OK);
    assert_true(kp_decode_state_counts(state).general < 10);
    kp_record_batch_builder_finish(&builder);
    kp_buf_finish(&batch);
    kp_arena_finish(&arena);
    kp_decode_state_destroy(state);
    kp_decoder_destroy(decoder);
    return seen;
}

static void test_shape(void **unused)
{
    struct seen bids = decode_lines("bid", (const char *const[]){"auction", "bidder", "price"});
    assert_int_equal(bids.rows, EVENTS / 50 * 46);
    assert_int_equal(bids.dead, 0);
    assert_in_range(bids.hot_auctions, bids.rows * 48 / 100, bids.rows * 53 / 100);
    assert_in_range(bids.hot_bidders, bids.rows * 73 / 100, bids.rows * 78 / 100);
    assert_in_range(bids.price_min, 100, 110);
    assert_in_range(bids.price_max, 99000000, 100000000);
    struct seen auctions = decode_lines("auction", (const char *const[]){"seller", "category", "initialBid"});
    assert_int_equal(auctions.rows, EVENTS / 50 * 3);
    assert_int_equal(auctions.dead, 0);
    struct seen persons = decode_lines("person", (const char *const[]){"id", "none", "nothing"});
    assert_int_equal(persons.dead, 0);
    assert_int_equal(persons.rows, EVENTS / 50);
}

static void test_times(void **unused)
{
    struct kp_nexmark nexmark;
    char text[64];
    kp_nexmark_init(&nexmark, 1, 7);
    assert_int_equal(kp_nexmark_time_ms(&nexmark, 0), 1436918400000);
    assert_int_equal(kp_nexmark_time_ms(&nexmark, 7), 1436918401000);
    assert_int_equal(kp_nexmark_time_ms(&nexmark, 8), 1436918401142);
    *put_time(&nexmark, text, 1436918400000 + 200LL * 86400000 + 3723004) = 0;
    assert_string_equal(text, "\"2016-01-31 01:02:03.004\"");
    *put_time(&nexmark, text, 1456704000000 - 1) = 0;
    assert_string_equal(text, "\"2016-02-28 23:59:59.999\"");
    *put_time(&nexmark, text, 1456704000000) = 0;
    assert_string_equal(text, "\"2016-02-29 00:00:00.000\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_golden), cmocka_unit_test(test_any_range),
                                       cmocka_unit_test(test_shape), cmocka_unit_test(test_times)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
