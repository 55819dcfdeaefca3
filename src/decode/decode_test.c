/* Decoding end to end: record batches in, rows and dead letters out; torture cases; the fast path against simdjson. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "decode/decode.h"

/* A run's result as text: a line per row, `null` and values as JSON, then a line per dead letter. */
struct result {
    const char *const *names;
    struct kp_buf rows, dead;
    uint32_t row_count, dead_count, batches;
};

static enum kp_code collect_rows(void *arg, const struct kp_decoded *decoded, struct kp_error *err)
{
    struct result *result = arg;
    result->batches++;
    for (uint32_t row = 0; row < decoded->batch->rows; row++) {
        result->row_count++;
        kp_buf_printf(&result->rows, "%lld%s ", (long long)decoded->positions[row],
                      decoded->tombstones && decoded->tombstones[row] ? "-" : "");
        kp_encode_json(decoded->batch, result->names, row, NULL, &result->rows);
        kp_buf_append_byte(&result->rows, '\n');
    }
    return KP_OK;
}

static void collect_dead(void *arg, const struct kp_dead_letter *letter)
{
    struct result *result = arg;
    result->dead_count++;
    kp_buf_printf(&result->dead, "%lld %s %s\n", (long long)letter->offset, letter->sqlstate, letter->reason);
}

struct test_record {
    const char *key, *value; /* NULL: null */
};

static const char *const no_names[1];

/* Decodes records (one batch) and returns rows; the caller finishes the result. value_len 0: by strlen. */
static const struct kp_decode_notes *test_notes;
static void run_records(const struct kp_decoder_options *options, const struct test_record *records, size_t count,
                        size_t value_len, bool general_only, struct result *ret_result)
{
    struct kp_error err;
    struct kp_decoder *decoder;
    struct kp_record_batch_builder builder = {0};
    struct kp_buf batch = {0};
    struct kp_arena arena = {0};
    const char *names[64];
    kp_error_clear(&err);
    assert_true(options->field_count <= KP_COUNT(names));
    for (uint32_t i = 0; i < options->field_count; i++)
        names[i] = options->fields[i].name;
    *ret_result = (struct result){.names = names};
    if (kp_decoder_create(options, &decoder, &err) != KP_OK)
        fail_msg("%s", err.message);
    struct kp_decode_state *state = kp_decode_state_create(decoder);
    kp_decode_state_set_general_only(state, general_only);
    kp_decode_state_set_notes(state, test_notes);
    for (size_t i = 0; i < count; i++) {
        struct kp_str key = {records[i].key, records[i].key ? strlen(records[i].key) : 0};
        struct kp_str value = {records[i].value, 0};
        if (value.ptr)
            value.len = value_len ? value_len : strlen(value.ptr);
        kp_record_batch_add(&builder, 1600000000000 + (int64_t)i, key, value, (struct kp_str){NULL, 0});
    }
    assert_int_equal(kp_record_batch_build(&builder, KP_CODEC_NONE, &batch, &err), KP_OK);
    /* A heap block of exactly its size, so that the sanitizer sees a read behind it. */
    uint8_t *bytes = kp_alloc(batch.len);
    memcpy(bytes, batch.data, batch.len);
    const struct kp_decode_input input = {3, 1000, 50, 1700000000000000, bytes, (uint32_t)batch.len, 0, 0};
    if (kp_decode(state, &input, 1, &arena, collect_rows, collect_dead, ret_result, &err) != KP_OK)
        fail_msg("%s", err.message);
    struct kp_decode_counts counts = kp_decode_state_counts(state);
    assert_int_equal(counts.records, count);
    assert_int_equal(counts.records, counts.rows + counts.empty + counts.dead);
    assert_int_equal(counts.rows, ret_result->row_count);
    kp_buf_append_byte(&ret_result->rows, 0);
    kp_buf_append_byte(&ret_result->dead, 0);
    ret_result->names = no_names;
    kp_free(bytes);
    kp_buf_finish(&batch);
    kp_record_batch_builder_finish(&builder);
    kp_decode_state_destroy(state);
    kp_decoder_destroy(decoder);
    kp_arena_finish(&arena);
}

static void result_finish(struct result *result)
{
    kp_buf_finish(&result->rows);
    kp_buf_finish(&result->dead);
}

/* Both paths must give these rows and dead letters. */
static void expect(const struct kp_decoder_options *options, const struct test_record *records, size_t count,
                   const char *rows, const char *dead)
{
    for (int general_only = 0; general_only < 2; general_only++) {
        struct result result;
        run_records(options, records, count, 0, general_only, &result);
        assert_string_equal((char *)result.rows.data, rows);
        assert_string_equal((char *)result.dead.data, dead);
        result_finish(&result);
    }
}
#define EXPECT(options, rows, dead, ...)                                                                               \
    do {                                                                                                               \
        const struct test_record records_[] = {__VA_ARGS__};                                                           \
        expect(options, records_, KP_COUNT(records_), rows, dead);                                                     \
    } while (0)

static const struct kp_field ab_fields[] = {{.name = "a", .type = {KP_INT8, -1, 0}},
                                            {.name = "b", .type = {KP_TEXT, -1, 0}}};
static const struct kp_decoder_options ab = {.format = KP_FORMAT_JSON, .fields = ab_fields, .field_count = 2};

static void test_objects(void **unused)
{
    EXPECT(&ab,
           "50 {\"a\":1,\"b\":\"x\"}\n"
           "51 {\"a\":2,\"b\":\"a long text behind twelve bytes\"}\n"
           "52 {\"a\":3,\"b\":null}\n"
           "53 {\"a\":null,\"b\":null}\n"
           "54 {\"a\":5,\"b\":\"y\"}\n"
           "55 {\"a\":-6,\"b\":\"z\"}\n"
           "56 {\"a\":null,\"b\":\"\"}\n"
           "57 {\"a\":8,\"b\":\"exactly 12 b\"}\n",
           "", {NULL, "{\"a\":1,\"b\":\"x\"}"}, {NULL, "{\"a\":2,\"b\":\"a long text behind twelve bytes\"}"},
           {NULL, "{\"a\":3}"}, {NULL, "{}"}, {NULL, " { \"b\" : \"y\" , \"c\" : [ 1 , { } , [ ] ] , \"a\" : 5 } \r\n"},
           {NULL, "{\"a\":-6,\"x\":{\"a\":7,\"b\":null},\"b\":\"z\"}"}, {NULL, "{\"a\":null,\"b\":\"\"}"},
           {NULL, "{\"a\":8,\"b\":\"exactly 12 b\"}"});
}

static void test_names(void **unused)
{
    /* exactly the name, else the only one but for case, the last of a repeated one */
    EXPECT(&ab,
           "50 {\"a\":1,\"b\":null}\n"
           "51 {\"a\":2,\"b\":null}\n"
           "52 {\"a\":3,\"b\":null}\n"
           "53 {\"a\":4,\"b\":null}\n"
           "54 {\"a\":null,\"b\":\"x\"}\n"
           "55 {\"a\":6,\"b\":null}\n"
           "56 {\"a\":7,\"b\":null}\n"
           "57 {\"a\":8,\"b\":null}\n",
           "", {NULL, "{\"A\":1}"}, {NULL, "{\"A\":1,\"a\":2}"}, {NULL, "{\"a\":3,\"A\":1}"},
           {NULL, "{\"a\":1,\"a\":4}"}, {NULL, "{\"a\":1,\"B\":\"x\",\"a\":null}"}, {NULL, "{\"a\":\"bad\",\"a\":6}"},
           {NULL, "{\"\\u0061\":7}"}, {NULL, "{\"A\":1,\"A\":8}"});
    static const struct kp_field fields[] = {{.name = "dateTime", .type = {KP_INT4, -1, 0}},
                                             {.name = "datetime", .type = {KP_INT4, -1, 0}}};
    const struct kp_decoder_options twins = {.format = KP_FORMAT_JSON, .fields = fields, .field_count = 2};
    EXPECT(&twins, "50 {\"dateTime\":1,\"datetime\":2}\n51 {\"dateTime\":null,\"datetime\":null}\n", "",
           {NULL, "{\"datetime\":2,\"dateTime\":1}"}, {NULL, "{\"DATETIME\":2}"});
    static const struct kp_field one[] = {{.name = "ab", .type = {KP_INT4, -1, 0}}};
    const struct kp_decoder_options single = {.format = KP_FORMAT_JSON, .fields = one, .field_count = 1};
    EXPECT(&single, "50 {\"ab\":null}\n51 {\"ab\":3}\n", "", {NULL, "{\"AB\":1,\"Ab\":2}"},
           {NULL, "{\"AB\":1,\"Ab\":2,\"ab\":3,\"aB\":4}"});
}

static void test_dotted(void **unused)
{
    static const struct kp_field fields[] = {{.name = "a.b.c", .type = {KP_INT8, -1, 0}},
                                             {.name = "a.d", .type = {KP_TEXT, -1, 0}},
                                             {.name = "x", .type = {KP_JSON, -1, 0}},
                                             {.name = "x.y", .type = {KP_INT8, -1, 0}}};
    const struct kp_decoder_options options = {.format = KP_FORMAT_JSON, .fields = fields, .field_count = 4};
    EXPECT(&options,
           "50 {\"a.b.c\":1,\"a.d\":\"t\",\"x.y\":null}\n"
           "51 {\"a.b.c\":null,\"a.d\":\"{}\",\"x\":{ \"y\": 4 },\"x.y\":4}\n"
           "52 {\"a.b.c\":9,\"a.d\":null,\"x.y\":null}\n"
           "53 {\"a.b.c\":null,\"a.d\":\"s\",\"x\":[],\"x.y\":null}\n"
           "54 {\"a.b.c\":5,\"a.d\":null,\"x.y\":null}\n",
           "", {NULL, "{\"a\":{\"b\":{\"c\":1,\"z\":2},\"d\":\"t\"}}"},
           {NULL, "{\"a\":{\"b\":7,\"d\":{}},\"x\":{ \"y\": 4 }}"}, {NULL, "{\"a\":{\"b\":{\"c\":1}},\"a.b.c\":9}"},
           {NULL, "{\"a\":{\"b\":{\"c\":1}},\"a\":{\"d\":\"s\"},\"x\":[]}"}, {NULL, "{\"A\":{\"b\":{\"C\":5}}}"});
}

static void test_path(void **unused)
{
    const struct kp_decoder_options options = {
        .format = KP_FORMAT_JSON, .fields = ab_fields, .field_count = 2, .path = "bid"};
    EXPECT(&options,
           "50 {\"a\":1,\"b\":\"x\"}\n"
           "52 {\"a\":3,\"b\":null}\n"
           "56 {\"a\":2,\"b\":null}\n",
           "1004 22P02 field \"bid\" should be an object: 7\n"
           "1005 22P02 invalid JSON at byte 16 (invalid string, number or literal.)\n",
           {NULL, "{\"t\":2,\"person\":null,\"bid\":{\"a\":1,\"b\":\"x\"}}"},
           {NULL, "{\"t\":0,\"person\":{\"a\":1},\"bid\":null}"}, {NULL, "{\"t\":2,\"person\":null,\"bid\":{\"a\":3}}"},
           {NULL, "{\"t\":1}"}, {NULL, "{\"bid\":7}"}, {NULL, "{\"person\":{\"a\":nul},\"bid\":{\"a\":3}}"},
           {NULL, "{\"bid\":{\"a\":1,\"b\":\"q\"},\"bid\":{\"a\":2}}"});
    const struct kp_decoder_options deep = {
        .format = KP_FORMAT_JSON, .fields = ab_fields, .field_count = 2, .path = "payload.after"};
    EXPECT(&deep, "50 {\"a\":1,\"b\":null}\n", "", {NULL, "{\"payload\":{\"before\":{\"a\":0},\"after\":{\"a\":1}}}"},
           {NULL, "{\"payload\":{\"before\":{\"a\":0},\"after\":null}}"}, {NULL, "{\"payload\":null}"},
           {NULL, "{\"a\":1}"});
}

/* What one source notes for another, and that the other then finds what it finds alone. */
static void test_rivals(void **unused)
{
    static const char *const heads[] = {"a", "b"};
    static const struct kp_field field = {.name = "x", .type = {KP_INT8, -1, 0}};
    static const struct {
        struct test_record record;
        bool noted; /* when a's reader sees it on the fast path */
    } cases[] = {
        {{NULL, "{\"a\":{\"x\":1},\"b\":null}"}, false},
        {{NULL, "{\"a\":null,\"b\":{\"x\":2}}"}, true},
        {{NULL, "{\"a\":{\"x\":3},\"b\":{\"x\":4}}"}, true},
        {{NULL, "{\"c\":{\"b\":{\"x\":5}}}"}, false}, /* not the record's own member */
        {{NULL, "{\"B\":{\"x\":6}}"}, true},
        {{NULL, "{\"B\":{\"x\":7},\"b\":null}"}, true},
        {{NULL, "{\"b\":null,\"b\":{\"x\":8}}"}, true},
        {{NULL, "{\"\\u0062\":{\"x\":9}}"}, true}, /* left to the general path, which notes nothing */
        {{NULL, "{\"a\":{\"x\":\"z\"}}"}, true},   /* a dead letter of a's */
        {{NULL, "{\"b\":12}"}, true},
        {{NULL, "{\"a\":null"}, true},
        {{NULL, NULL}, true},
        {{NULL, "{\"b\":nul}"}, true},
        {{NULL, "{}"}, false},
        {{NULL, "{\"b\":{\"x\":10}}"}, true},
    };
    struct test_record records[KP_COUNT(cases) * 5];
    for (size_t i = 0; i < KP_COUNT(records); i++) /* more than a word of bits, and names are learned */
        records[i] = cases[i % KP_COUNT(cases)].record;
    const struct kp_decoder_options scout = {
        .fields = &field, .field_count = 1, .path = "a", .rivals = heads, .rival_count = 2};
    const struct kp_decoder_options other = {.fields = &field, .field_count = 1, .path = "b"};
    for (int general_only = 0; general_only < 2; general_only++) {
        uint64_t bits[2][4] = {{0}}, *rivals[] = {bits[0], bits[1]};
        struct result alone, plain, result;
        run_records(&scout, records, KP_COUNT(records), 0, general_only, &plain);
        test_notes = &(struct kp_decode_notes){.rivals = rivals};
        run_records(&scout, records, KP_COUNT(records), 0, general_only, &result);
        assert_string_equal((char *)result.rows.data, (char *)plain.rows.data);
        assert_string_equal((char *)result.dead.data, (char *)plain.dead.data);
        result_finish(&plain);
        result_finish(&result);
        for (size_t i = 0; i < KP_COUNT(records); i++) {
            assert_int_equal(bits[1][i / 64] >> (i % 64) & 1, general_only || cases[i % KP_COUNT(cases)].noted);
            assert_int_equal(bits[0][i / 64] >> (i % 64) & 1, 1); /* its own path: nothing is known */
        }
        test_notes = NULL;
        run_records(&other, records, KP_COUNT(records), 0, general_only, &alone);
        test_notes = &(struct kp_decode_notes){.wanted = bits[1]};
        run_records(&other, records, KP_COUNT(records), 0, general_only, &result);
        test_notes = NULL;
        assert_string_equal((char *)result.rows.data, (char *)alone.rows.data);
        assert_string_equal((char *)result.dead.data, (char *)alone.dead.data);
        assert_true(alone.row_count > 10 && alone.dead_count > 10);
        result_finish(&alone);
        result_finish(&result);
    }
}

static void test_strings(void **unused)
{
    EXPECT(&ab,
           "50 {\"a\":null,\"b\":\"\\\"\\\\/\\b\\f\\n\\r\\t\"}\n"
           "51 {\"a\":null,\"b\":\"é€😀\"}\n"
           "52 {\"a\":null,\"b\":\"é€😀 and some more behind it, to leave the inline form\"}\n"
           "53 {\"a\":12,\"b\":\"true\"}\n"
           "54 {\"a\":null,\"b\":\"12.50\"}\n",
           "1005 22P05 field \"b\": unsupported Unicode escape sequence (\\u0000 cannot be converted to text.)\n"
           "1006 22P05 field \"b\": unsupported Unicode escape sequence (a Unicode surrogate in an escape must be one "
           "half of a pair.)\n",
           {NULL, "{\"b\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"}"}, {NULL, "{\"b\":\"\\u00e9\\u20AC\\ud83d\\uDE00\"}"},
           {NULL, "{\"b\":\"é€😀 and some more behind it, to leave the inline form\"}"},
           {NULL, "{\"a\":\"12\",\"b\":true}"}, {NULL, "{\"b\":12.50}"}, {NULL, "{\"b\":\"x\\u0000y\"}"},
           {NULL, "{\"b\":\"x\\ud800y\"}"});
}

static void test_integers(void **unused)
{
    static const struct kp_field fields[] = {{.name = "s", .type = {KP_INT2, -1, 0}},
                                             {.name = "i", .type = {KP_INT4, -1, 0}},
                                             {.name = "l", .type = {KP_INT8, -1, 0}}};
    const struct kp_decoder_options options = {.format = KP_FORMAT_JSON, .fields = fields, .field_count = 3};
    struct result result;
    const struct test_record good[] = {{NULL, "{\"s\":32767,\"i\":2147483647,\"l\":9007199254740991}"},
                                       {NULL, "{\"s\":-32768,\"i\":-2147483648,\"l\":-9007199254740991}"},
                                       {NULL, "{\"s\":1.0,\"i\":12e2,\"l\":1.50e1}"},
                                       {NULL, "{\"s\":0,\"i\":-0,\"l\":0.0e99999999}"},
                                       {NULL, "{\"s\":100e-2,\"i\":\"17\",\"l\":12345678}"}};
    expect(&options, good, KP_COUNT(good),
           "50 {\"s\":32767,\"i\":2147483647,\"l\":9007199254740991}\n"
           "51 {\"s\":-32768,\"i\":-2147483648,\"l\":-9007199254740991}\n"
           "52 {\"s\":1,\"i\":1200,\"l\":15}\n"
           "53 {\"s\":0,\"i\":0,\"l\":0}\n"
           "54 {\"s\":1,\"i\":17,\"l\":12345678}\n",
           "");
    EXPECT(&options, "",
           "1000 22003 field \"s\": value \"32768\" is out of range for type smallint\n"
           "1001 22003 field \"i\": value \"-2147483649\" is out of range for type integer\n"
           "1002 22003 field \"l\": value \"9223372036854775808\" is out of range for type bigint\n"
           "1003 22P02 field \"l\": a JSON number cannot be bigint: 1.5\n"
           "1004 22P02 field \"l\": a JSON boolean cannot be bigint: true\n"
           "1005 22P02 field \"l\": a JSON array cannot be bigint: [1]\n"
           "1006 22P02 field \"l\": invalid input syntax for type bigint: \"abc\"\n"
           "1007 22003 field \"l\": value \"1e30\" is out of range for type bigint\n",
           {NULL, "{\"s\":32768}"}, {NULL, "{\"i\":-2147483649}"}, {NULL, "{\"l\":9223372036854775808}"},
           {NULL, "{\"l\":1.5}"}, {NULL, "{\"l\":true}"}, {NULL, "{\"l\":[1]}"}, {NULL, "{\"l\":\"abc\"}"},
           {NULL, "{\"l\":1e30}"});
    const struct test_record edges[] = {{NULL, "{\"l\":9223372036854775807}"}, {NULL, "{\"l\":-9223372036854775808}"}};
    run_records(&options, edges, 2, 0, false, &result);
    assert_int_equal(result.row_count, 2);
    result_finish(&result);
}

/* What is JSON and what is not: RFC 8259, whatever the record's fields are wanted for. */
static void test_grammar(void **unused)
{
    static const char *const good[] = {
        "{}",
        " {\n}\t",
        "{\"\":0}",
        "{\"z\":[]}",
        "{\"z\":[[],{},[{}],null,true,false,-0,0.5e+10,\"\"]}",
        "{\"z\":\"\\u0000\"}",
        "{\"z\":\"\\ud800\"}",
        "{\"z\":\"\x7f\"}",
        "{\"z\":1E-2}",
        "{\"z\":\"]}\"}",
        "{\"z\":\"\\\\\"}",
        "{\"z\" \r\n:\t0 , \"y\":1}",
        "{\"z\":{\"z\":{\"z\":{}}}}",
        "{\"z\":123456789012345678901234567890.123e4000}",
        "{\"a b c d e f g h i j k l m n o p q r s t u v w x y z 0 1 2 3 4 5 6 7 8 9\":1}",
        "{\"\xc3\xa9\":1}",
        "{\"z\":\"\xf4\x8f\xbf\xbf\"}"};
    static const char *const bad[] = {"",
                                      " ",
                                      "{",
                                      "}",
                                      "{\"",
                                      "{\"a",
                                      "{\"a\"",
                                      "{\"a\":",
                                      "{\"a\":1",
                                      "{\"a\":1,",
                                      "{\"a\":1,}",
                                      "{,\"a\":1}",
                                      "{\"a\" 1}",
                                      "{\"a\"::1}",
                                      "{\"a\":1 \"b\":2}",
                                      "{\"a\":1,,\"b\":\"x\"}",
                                      "{a:1}",
                                      "{'a':1}",
                                      "{1:1}",
                                      "{\"a\":01}",
                                      "{\"a\":-}",
                                      "{\"a\":+1}",
                                      "{\"a\":.5}",
                                      "{\"a\":1.}",
                                      "{\"a\":1e}",
                                      "{\"a\":1e+}",
                                      "{\"a\":0x10}",
                                      "{\"a\":NaN}",
                                      "{\"a\":Infinity}",
                                      "{\"a\":nul}",
                                      "{\"a\":nulll}",
                                      "{\"a\":True}",
                                      "{\"a\":tru e}",
                                      "{\"a\":1x}",
                                      "{\"a\":1 2}",
                                      "{\"a\":1}x",
                                      "{\"a\":1}}",
                                      "{\"a\":1}{\"a\":2}",
                                      "{\"a\":1},",
                                      "{\"b\":\"x}",
                                      "{\"b\":\"\\x\"}",
                                      "{\"b\":\"\\u12\"}",
                                      "{\"b\":\"\\u12g4\"}",
                                      "{\"b\":\"\\",
                                      "{\"b\":\"\\\"}",
                                      "{\"b\":\"\t\"}",
                                      "{\"b\":\"\n\"}",
                                      "{\"b\":\"\x01\"}",
                                      "{\"z\":\"\x1f\"}",
                                      "{\"b\":\"\xff\"}",
                                      "{\"b\":\"\xc0\xaf\"}",
                                      "{\"b\":\"\xed\xa0\x80\"}",
                                      "{\"b\":\"\xf4\x90\x80\x80\"}",
                                      "{\"b\":\"\xc3\"}",
                                      "{\"b\":\"\xe2\x82\"}",
                                      "{\"z\":\"\xff\"}",
                                      "{\"\xff\":1}",
                                      "\xef\xbb\xbf{}",
                                      "{\"z\":[1,]}",
                                      "{\"z\":[,1]}",
                                      "{\"z\":[1 2]}",
                                      "{\"z\":[1}",
                                      "{\"z\":[1]]}",
                                      "{\"z\":{]}",
                                      "{\"z\":{\"y\":1,}}",
                                      "{\"z\":{\"y\"}}",
                                      "{\"z\":[}",
                                      "{\"z\":{\"y\":}}",
                                      "{\"z\":[\"a\":1]}",
                                      "{\"z\":[tru]}",
                                      "{\"z\":\"\\u00\"}",
                                      "[]",
                                      "[{\"a\":1}]",
                                      "1",
                                      "\"a\"",
                                      "null",
                                      "true",
                                      "/**/{}",
                                      "{\"a\":1}//",
                                      "{\"a\":1 /*x*/}",
                                      "{\"a\"\x0c:1}",
                                      "\xc2\xa0{}",
                                      "{\"a\":\"1}",
                                      "{\"a\":1\x00",
                                      "{\"z\" \"y\":1}",
                                      "{\"z\":\"a\"\"b\"}",
                                      "{\"z\":-a}",
                                      "{\"z\":--1}",
                                      "{\"z\":1.e1}",
                                      "{\"z\":1-2}",
                                      "{\"z\":00}",
                                      "{\"z\":-01}",
                                      "{\"z\":1e1.5}",
                                      "{\"\\x\":1}",
                                      "{\"\\u00\":1}"};
    for (int general_only = 0; general_only < 2; general_only++) {
        for (size_t i = 0; i < KP_COUNT(good) + KP_COUNT(bad); i++) {
            bool is_good = i < KP_COUNT(good);
            const struct test_record record = {NULL, is_good ? good[i] : bad[i - KP_COUNT(good)]};
            struct result result;
            run_records(&ab, &record, 1, 0, general_only, &result);
            if (result.row_count != is_good)
                fail_msg("%s path, %s: %s (%s)", general_only ? "general" : "fast", is_good ? "refused" : "accepted",
                         record.value, (char *)result.dead.data);
            result_finish(&result);
        }
    }
    const struct test_record nul = {NULL, "{\"a\":1}\0"};
    struct result result;
    run_records(&ab, &nul, 1, 8, false, &result);
    assert_int_equal(result.dead_count, 1);
    result_finish(&result);
}

static void test_depth(void **unused)
{
    for (int general_only = 0; general_only < 2; general_only++) {
        for (unsigned depth = 510; depth < 515; depth++) {
            struct kp_buf text = {0};
            kp_buf_append_text(&text, "{\"z\":");
            for (unsigned i = 1; i < depth; i++)
                kp_buf_append_byte(&text, '[');
            for (unsigned i = 1; i < depth; i++)
                kp_buf_append_byte(&text, ']');
            kp_buf_append_text(&text, "}");
            const struct test_record record = {NULL, (char *)text.data};
            struct result result;
            run_records(&ab, &record, 1, text.len, general_only, &result);
            assert_int_equal(result.row_count, depth <= KP_JSON_DEPTH_MAX);
            result_finish(&result);
            kp_buf_finish(&text);
        }
    }
}

static void test_keys(void **unused)
{
    static const struct kp_field fields[] = {{.name = "k", .type = {KP_INT8, -1, 0}, .key_part = 1},
                                             {.name = "v", .type = {KP_TEXT, -1, 0}}};
    const struct kp_decoder_options one = {.format = KP_FORMAT_JSON, .fields = fields, .field_count = 2, .keyed = true};
    EXPECT(&one,
           "50 {\"k\":1,\"v\":\"x\"}\n"
           "51- {\"k\":1,\"v\":null}\n"
           "52- {\"k\":2,\"v\":null}\n"
           "53 {\"k\":3,\"v\":\"y\"}\n"
           "54- {\"k\":4,\"v\":null}\n",
           "1005 22P02 key column \"k\": invalid input syntax for type bigint: \"q\"\n"
           "1006 22004 a record with neither key nor value deletes nothing\n",
           {"[1]", "{\"k\":1,\"v\":\"x\"}"}, {"[1]", NULL}, {"2", NULL}, {"3", "{\"v\":\"y\"}"}, {"\"4\"", NULL},
           {"q", NULL}, {NULL, NULL});
    static const struct kp_field pair[] = {{.name = "v", .type = {KP_TEXT, -1, 0}},
                                           {.name = "k1", .type = {KP_TEXT, -1, 0}, .key_part = 1},
                                           {.name = "k2", .type = {KP_INT4, -1, 0}, .key_part = 2}};
    const struct kp_decoder_options two = {.format = KP_FORMAT_JSON, .fields = pair, .field_count = 3, .keyed = true};
    EXPECT(&two, "50- {\"v\":null,\"k1\":\"a,\\\"]\",\"k2\":2}\n",
           "1001 22P02 key column \"k1\": a key of 2 columns must be a JSON array of them: [1]\n",
           {" [ \"a,\\\"]\" , 2 ]" + 1, NULL}, {"[1]", NULL});
    const struct kp_decoder_options stream = {.format = KP_FORMAT_JSON, .fields = ab_fields, .field_count = 2};
    EXPECT(&stream, "51 {\"a\":1,\"b\":null}\n", "", {"x", NULL}, {NULL, "{\"a\":1}"});
}

static void test_origins(void **unused)
{
    static const struct kp_field fields[] = {{.name = "a", .type = {KP_INT8, -1, 0}},
                                             {.name = "o", .type = {KP_INT8, -1, 0}, .origin = KP_FIELD_OFFSET},
                                             {.name = "p", .type = {KP_INT4, -1, 0}, .origin = KP_FIELD_PARTITION},
                                             {.name = "k", .type = {KP_TEXT, -1, 0}, .origin = KP_FIELD_KEY},
                                             {.name = "n", .type = {KP_INT8, -1, 0}, .origin = KP_FIELD_POSITION},
                                             {.name = "h", .type = {KP_TEXT, -1, 0}, .origin = KP_FIELD_HEADERS}};
    const struct kp_decoder_options options = {.format = KP_FORMAT_JSON, .fields = fields, .field_count = 6};
    EXPECT(&options,
           "50 {\"a\":1,\"o\":1000,\"p\":3,\"k\":\"key\",\"n\":50,\"h\":\"[]\"}\n"
           "52 {\"a\":2,\"o\":1002,\"p\":3,\"k\":null,\"n\":52,\"h\":\"[]\"}\n",
           "1001 22P02 invalid JSON: the record ends too soon, after byte 1\n", {"key", "{\"a\":1}"}, {NULL, "{"},
           {NULL, "{\"a\":2}"});
}

static void test_csv(void **unused)
{
    static const struct kp_field fields[] = {{.name = "b", .type = {KP_TEXT, -1, 0}, .csv_index = 2},
                                             {.name = "a", .type = {KP_INT8, -1, 0}, .csv_index = 0}};
    const struct kp_decoder_options options = {
        .format = KP_FORMAT_CSV, .fields = fields, .field_count = 2, .missing_fails = true};
    EXPECT(&options,
           "50 {\"b\":\"x\",\"a\":1}\n"
           "51 {\"b\":\"a,\\\"b\\\"\\nc\",\"a\":2}\n"
           "52 {\"b\":\"\",\"a\":null}\n"
           "53 {\"b\":null,\"a\":3}\n",
           "1004 22P04 missing data for column \"b\"\n"
           "1005 22P04 unterminated CSV quoted field\n"
           "1006 22P02 field \"a\": invalid input syntax for type bigint: \"q\"\n"
           "1007 22P04 a second CSV row in one record, at byte 7\n"
           "1008 22021 field \"b\": invalid byte sequence for encoding \"UTF8\": 0xff at byte 1\n"
           "1009 22P04 unterminated CSV quoted field\n",
           {NULL, "1,,x"}, {NULL, "2,z,\"a,\"\"b\"\"\nc\"\r\n"}, {NULL, ",,\"\",more"}, {NULL, "3,,\n"}, {NULL, "1,2"},
           {NULL, "1,2,\"x"}, {NULL, "q,,x"}, {NULL, "1,2,3\n4,5,6"}, {NULL, "1,,\xff"}, {NULL, "1\"2,,"});
    const struct kp_decoder_options tabs = {
        .format = KP_FORMAT_CSV, .fields = fields, .field_count = 2, .csv_delimiter = '\t', .csv_null = "\\N"};
    EXPECT(&tabs, "50 {\"b\":\"\",\"a\":null}\n51 {\"b\":null,\"a\":1}\n", "", {NULL, "\\N\t\t"}, {NULL, "1"});
    const struct kp_decoder_options strange = {.format = KP_FORMAT_CSV,
                                               .fields = fields,
                                               .field_count = 2,
                                               .csv_quote = '\'',
                                               .csv_escape = '\\',
                                               .extra_fails = true};
    EXPECT(&strange, "50 {\"b\":\"a,'b\\\\c\\\\d\",\"a\":12}\n", "1001 22P04 extra data after last expected column\n",
           {NULL, "1'2',,a',\\'b'\\c'\\\\d'"}, {NULL, "1,2,3,4"});
}

static void test_checked(void **unused)
{
    /* A field that is only checked decides whether a record is good, as a wanted one does, and makes no column. */
    static const struct kp_field fields[] = {{.name = "b", .type = {KP_TEXT, -1, 0}},
                                             {.name = "a", .type = {KP_INT8, -1, 0}, .checked = true},
                                             {.name = "t", .type = {KP_TEXT, -1, 0}, .checked = true},
                                             {.name = "when", .type = {KP_TIMESTAMP, -1, 0}, .checked = true}};
    const struct kp_decoder_options options = {.format = KP_FORMAT_JSON, .fields = fields, .field_count = 4};
    EXPECT(&options, "50 {\"b\":\"x\"}\n51 {\"b\":null}\n52 {\"b\":\"y\"}\n",
           "1003 22P02 field \"a\": invalid input syntax for type bigint: \"q\"\n"
           "1004 22P05 field \"t\": unsupported Unicode escape sequence (\\u0000 cannot be converted to text.)\n"
           "1005 22007 field \"when\": invalid input syntax for type timestamp: \"soon\"\n",
           {NULL, "{\"a\":1,\"b\":\"x\",\"t\":\"some text that is long\",\"when\":\"2020-01-01 00:00:00\"}"},
           {NULL, "{\"a\":null}"}, {NULL, "{\"b\":\"y\"}"}, {NULL, "{\"a\":\"q\",\"b\":\"z\",\"when\":1}"},
           {NULL, "{\"b\":\"z\",\"t\":\"\\u0000\"}"}, {NULL, "{\"when\":\"soon\",\"a\":[]}"});
    static const struct kp_field behind[] = {{.name = "a", .type = {KP_INT8, -1, 0}, .checked = true},
                                             {.name = "b", .type = {KP_TEXT, -1, 0}}};
    const struct kp_decoder_options wrong = {.format = KP_FORMAT_JSON, .fields = behind, .field_count = 2};
    struct kp_decoder *decoder;
    struct kp_error err;
    assert_int_equal(kp_decoder_create(&wrong, &decoder, &err), KP_INVALID);
}

/* The extra column, a row's last one, may not be negative. */
static void check_extra(const void *arg, const struct kp_batch *batch, struct kp_arena *arena,
                        struct kp_row_error **ret_errors, uint32_t *ret_count)
{
    struct kp_row_error *errors = kp_arena_calloc(arena, batch->rows * sizeof *errors);
    uint32_t count = 0;
    assert_int_equal(batch->cols, 2);
    for (uint32_t row = 0; row < batch->rows; row++)
        if (!kp_vec_is_null(&batch->vecs[1], row) && *(const int32_t *)kp_vec_at(&batch->vecs[1], row) < 0)
            errors[count++] = (struct kp_row_error){.row = row, .sqlstate = "23514", .message = "negative"};
    *ret_errors = errors;
    *ret_count = count;
}

static bool destroyed;
static void destroy_check(void *arg)
{
    destroyed = true;
}

static void test_check(void **unused)
{
    const struct kp_field fields[] = {{.name = "k", .type = KP_TYPE(KP_INT4), .key_part = 1},
                                      {.name = "n", .type = KP_TYPE(KP_INT4)},
                                      {.name = "c", .type = KP_TYPE(KP_INT4), .checked = true}};
    struct kp_decoder_options options = {.format = KP_FORMAT_JSON,
                                         .fields = fields,
                                         .field_count = 3,
                                         .extra_count = 1,
                                         .check = check_extra,
                                         .check_destroy = destroy_check,
                                         .keyed = true};
    /* dead letters of both kinds in order; a deletion is not checked; the extra column is not given */
    EXPECT(&options, "50 {\"k\":1}\n54- {\"k\":5}\n56 {\"k\":7}\n",
           "1001 23514 negative\n1002 22P02 field \"n\": invalid input syntax for type integer: \"x\"\n"
           "1003 23514 negative\n1005 22P02 field \"c\": a JSON boolean cannot be integer: true\n",
           {NULL, "{\"k\":1,\"n\":0}"}, {NULL, "{\"k\":2,\"n\":-1}"}, {NULL, "{\"k\":3,\"n\":\"x\"}"},
           {NULL, "{\"k\":4,\"n\":-1}"}, {"5", NULL}, {NULL, "{\"k\":6,\"n\":-1,\"c\":true}"}, {NULL, "{\"k\":7}"});
    EXPECT(&options, "", "1000 23514 negative\n", {NULL, "{\"k\":2,\"n\":-1}"});
    assert_true(destroyed);
}

static void test_text(void **unused)
{
    static const struct kp_field fields[] = {{.name = "line", .type = {KP_TEXT, -1, 0}}};
    const struct kp_decoder_options options = {.format = KP_FORMAT_TEXT, .fields = fields, .field_count = 1};
    EXPECT(&options, "50 {\"line\":\"any text\"}\n51 {\"line\":\"\"}\n",
           "1002 22021 column \"line\": invalid byte sequence for encoding \"UTF8\": 0xff at byte 2\n",
           {NULL, "any text"}, {NULL, ""}, {NULL, "x\xff"});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_objects), cmocka_unit_test(test_names),   cmocka_unit_test(test_dotted),
        cmocka_unit_test(test_path),    cmocka_unit_test(test_strings), cmocka_unit_test(test_integers),
        cmocka_unit_test(test_grammar), cmocka_unit_test(test_depth),   cmocka_unit_test(test_keys),
        cmocka_unit_test(test_origins), cmocka_unit_test(test_csv),     cmocka_unit_test(test_checked),
        cmocka_unit_test(test_check),   cmocka_unit_test(test_text),    cmocka_unit_test(test_rivals)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
