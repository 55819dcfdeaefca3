/*
 * Avro and Protobuf: the examples of their specifications, every type and nesting by hand, and records
 * cut short or changed at every byte, which must never do more than fail.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "decode/transcode.h"

static const struct kp_avro *avro_of(const char *schema, struct kp_arena *arena)
{
    const struct kp_avro *avro;
    struct kp_error err;
    if (kp_avro_create(schema, arena, &avro, &err) != KP_OK)
        fail_msg("%s", err.message);
    return avro;
}

static void expect_avro(const char *schema, const char *bytes, size_t len, const char *json)
{
    struct kp_arena arena = {0};
    struct kp_buf out = {0};
    struct kp_error err;
    const struct kp_avro *avro = avro_of(schema, &arena);
    if (kp_avro_to_json(avro, (struct kp_str){bytes, len}, &out, &err) != KP_OK)
        fail_msg("%s", err.message);
    kp_buf_append_byte(&out, 0);
    assert_string_equal((const char *)out.data, json);
    for (size_t cut = 0; cut < len; cut++) { /* a shorter record never passes for a whole one, except by chance */
        out.len = 0;
        char *part = kp_alloc(cut + 1);
        memcpy(part, bytes, cut);
        (void)!kp_avro_to_json(avro, (struct kp_str){part, cut}, &out, &err);
        for (unsigned bit = 0; cut && bit < 8; bit++) {
            part[cut - 1] = (char)(part[cut - 1] ^ (1 << bit));
            out.len = 0;
            (void)!kp_avro_to_json(avro, (struct kp_str){part, cut}, &out, &err);
        }
        kp_free(part);
    }
    kp_buf_finish(&out);
    kp_arena_finish(&arena);
}

#define BYTES(text) text, sizeof(text) - 1

static void test_avro(void **state)
{
    static const char pair[] = "{\"type\":\"record\",\"name\":\"test\",\"fields\":[{\"name\":\"a\",\"type\":\"long\"},"
                               "{\"name\":\"b\",\"type\":\"string\"}]}"; /* the specification's example */
    expect_avro(pair,
                BYTES("\x36\x06"
                      "foo"),
                "{\"a\":27,\"b\":\"foo\"}");
    static const char all[] =
        "{\"type\":\"record\",\"name\":\"n.All\",\"fields\":["
        "{\"name\":\"n\",\"type\":\"null\"},{\"name\":\"t\",\"type\":\"boolean\"},{\"name\":\"i\",\"type\":\"int\"},"
        "{\"name\":\"f\",\"type\":\"float\"},{\"name\":\"d\",\"type\":\"double\"},{\"name\":\"y\",\"type\":\"bytes\"},"
        "{\"name\":\"e\",\"type\":{\"type\":\"enum\",\"name\":\"Color\",\"symbols\":[\"RED\",\"BLUE\"]}},"
        "{\"name\":\"u\",\"type\":[\"null\",\"string\"]},{\"name\":\"x\",\"type\":{\"type\":\"fixed\",\"name\":\"Two\","
        "\"size\":2}},{\"name\":\"again\",\"type\":[\"null\",\"Color\"]},"
        "{\"name\":\"list\",\"type\":{\"type\":\"array\",\"items\":\"int\"}},"
        "{\"name\":\"map\",\"type\":{\"type\":\"map\",\"values\":\"long\"}}]}";
    expect_avro(all,
                BYTES("\x01"
                      "\x03"
                      "\x00\x00\xc0\x3f"
                      "\x00\x00\x00\x00\x00\x00\xf0\x7f"
                      "\x04\x0a\xff"
                      "\x02"
                      "\x02\x04"
                      "hi"
                      "\x01\x02"
                      "\x00"
                      "\x04\x02\x04\x01\x02\x06\x00"
                      "\x02\x02"
                      "k"
                      "\x01\x00"),
                "{\"n\":null,\"t\":true,\"i\":-2,\"f\":1.5,\"d\":\"Infinity\",\"y\":\"\\\\x0aff\",\"e\":\"BLUE\","
                "\"u\":\"hi\",\"x\":\"\\\\x0102\",\"again\":null,\"list\":[1,2,3],\"map\":{\"k\":-1}}");
    static const char logical[] =
        "{\"type\":\"record\",\"name\":\"L\",\"fields\":["
        "{\"name\":\"d\",\"type\":{\"type\":\"int\",\"logicalType\":\"date\"}},"
        "{\"name\":\"t\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}},"
        "{\"name\":\"l\",\"type\":{\"type\":\"long\",\"logicalType\":\"local-timestamp-micros\"}},"
        "{\"name\":\"m\",\"type\":{\"type\":\"int\",\"logicalType\":\"time-millis\"}},"
        "{\"name\":\"n\",\"type\":{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":5,\"scale\":2}},"
        "{\"name\":\"z\",\"type\":{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":5,\"scale\":2}},"
        "{\"name\":\"u\",\"type\":{\"type\":\"fixed\",\"name\":\"U\",\"size\":16,\"logicalType\":\"uuid\"}},"
        "{\"name\":\"p\",\"type\":{\"type\":\"fixed\",\"name\":\"P\",\"size\":12,\"logicalType\":\"duration\"}},"
        "{\"name\":\"w\",\"type\":{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":60}}]}";
    expect_avro(
        logical,
        BYTES("\x02"
              "\xd0\x0f"
              "\x02"
              "\xd0\x0f"
              "\x04\xcf\xc7"
              "\x02\x05"
              "\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff"
              "\x0e\x00\x00\x00\x03\x00\x00\x00\xdc\x05\x00\x00"
              "\x24\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"),
        "{\"d\":\"1970-01-02\",\"t\":\"1970-01-01 00:00:01+00\",\"l\":\"1970-01-01 00:00:00.000001\","
        "\"m\":\"00:00:01\",\"n\":\"-123.45\",\"z\":\"0.05\",\"u\":\"00112233-4455-6677-8899-aabbccddeeff\","
        "\"p\":\"14 months 3 days 1500 milliseconds\",\"w\":\"-11150372599265311570767859136324180752990208\"}");
    static const char tree[] = "{\"type\":\"record\",\"name\":\"Tree\",\"fields\":[{\"name\":\"v\",\"type\":\"int\"},"
                               "{\"name\":\"kids\",\"type\":{\"type\":\"array\",\"items\":\"Tree\"}}]}";
    expect_avro(tree, BYTES("\x02\x04\x04\x00\x06\x00\x00"),
                "{\"v\":1,\"kids\":[{\"v\":2,\"kids\":[]},{\"v\":3,\"kids\":[]}]}");
}

/* As the reader declares it. */
static void expect_resolved(const char *writer, const char *reader, const char *bytes, size_t len, const char *json)
{
    struct kp_arena arena = {0};
    struct kp_buf out = {0};
    struct kp_error err;
    const struct kp_avro *avro;
    if (kp_avro_resolve(avro_of(writer, &arena), avro_of(reader, &arena), &arena, &avro, &err) != KP_OK ||
        kp_avro_to_json(avro, (struct kp_str){bytes, len}, &out, &err) != KP_OK) {
        out.len = 0;
        kp_buf_append_text(&out, err.message);
    }
    kp_buf_append_byte(&out, 0);
    assert_string_equal((const char *)out.data, json);
    kp_buf_finish(&out);
    kp_arena_finish(&arena);
}

#define RECORD(fields)               "{\"type\":\"record\",\"name\":\"n.R\",\"fields\":[" fields "]}"
#define FIELD(name, type)            "{\"name\":\"" name "\",\"type\":" type "}"
#define DEFAULTED(name, type, value) "{\"name\":\"" name "\",\"type\":" type ",\"default\":" value "}"
#define LOGICAL(of, name)            "{\"type\":\"" of "\",\"logicalType\":\"" name "\"}"
#define DECIMAL                      "{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":60,\"scale\":2}"
#define FIXED(name, size)            "{\"type\":\"fixed\",\"name\":\"" name "\",\"size\":" size "}"
#define TREE(more)                   RECORD(FIELD("v", "\"int\"") more "," FIELD("kids", "{\"type\":\"array\",\"items\":\"R\"}"))

/* tests/formats compares the rest with fastavro. */
static void test_avro_resolution(void **state)
{
    static const char empty[] = RECORD(FIELD("gone", "\"int\""));
    expect_resolved(empty, RECORD(DEFAULTED("b", "\"bytes\"", "\"\\u00ff\\u0000\\n\xc3\xa9\"")), BYTES("\x02"),
                    "{\"b\":\"\\\\xff000ae9\"}");
    expect_resolved(empty, RECORD(DEFAULTED("d", DECIMAL, "\"\\u00cf\\u00c7\"")), BYTES("\x02"), "{\"d\":\"-123.45\"}");
    expect_resolved(empty, RECORD(DEFAULTED("f", FIXED("F", "2"), "\"ab\"")), BYTES("\x02"), "{\"f\":\"\\\\x6162\"}");
    expect_resolved(empty, RECORD(DEFAULTED("t", LOGICAL("long", "timestamp-millis"), "1000")), BYTES("\x02"),
                    "{\"t\":\"1970-01-01 00:00:01+00\"}");
    expect_resolved(empty, RECORD(DEFAULTED("u", "[\"null\",\"long\"]", "-9223372036854775808")), BYTES("\x02"),
                    "{\"u\":-9223372036854775808}");
    expect_resolved(
        empty, RECORD(DEFAULTED("r", RECORD(FIELD("x", "\"int\"") "," DEFAULTED("y", "\"int\"", "2")), "{\"x\":1}")),
        BYTES("\x02"), "{\"r\":{\"x\":1,\"y\":2}}");
    expect_resolved(empty, RECORD(FIELD("gone", "\"long\"") "," FIELD("x", "\"int\"")), BYTES("\x02"),
                    "field \"x\": the writer's Avro schema lacks it, and it has no default");
    expect_resolved(empty, RECORD(DEFAULTED("x", "\"int\"", "2147483648")), BYTES("\x02"),
                    "field \"x\": a default in the Avro schema is not of its field's type");
    expect_resolved(empty, RECORD(DEFAULTED("x", "\"bytes\"", "\"\\u0100\"")), BYTES("\x02"),
                    "field \"x\": a default in the Avro schema is not of its field's type");
    expect_resolved(empty, RECORD(FIELD("gone", "\"string\"")), BYTES("\x02"),
                    "field \"gone\": Avro's int cannot be read as string");
    expect_resolved(RECORD(FIELD("a", FIXED("F", "2"))), RECORD(FIELD("a", FIXED("F", "3"))), BYTES("ab"),
                    "field \"a\": Avro's fixed F cannot be read as fixed F");
    expect_resolved(RECORD(FIELD("a", "[\"int\",\"string\"]")), RECORD(FIELD("a", "\"long\"")), BYTES("\x00\x02"),
                    "{\"a\":1}");
    expect_resolved(RECORD(FIELD("a", "[\"int\",\"string\"]")), RECORD(FIELD("a", "\"long\"")), BYTES("\x02\x02x"),
                    "field \"a\": Avro's string cannot be read as long");
    /* schemas that hold themselves, with a field less and a field more at every level */
    expect_resolved(TREE("," FIELD("w", "\"string\"")), TREE("," DEFAULTED("new", "\"int\"", "9")),
                    BYTES("\x02\x02x\x04\x04\x02y\x00\x06\x02z\x00\x00"),
                    "{\"v\":1,\"kids\":[{\"v\":2,\"kids\":[],\"new\":9},{\"v\":3,\"kids\":[],\"new\":9}],\"new\":9}");
}

static void refuse_avro(const char *schema, const char *part)
{
    struct kp_arena arena = {0};
    const struct kp_avro *avro;
    struct kp_error err;
    assert_int_not_equal(kp_avro_create(schema, &arena, &avro, &err), KP_OK);
    assert_non_null(strstr(err.message, part));
    kp_arena_finish(&arena);
}

static void test_avro_schemas(void **state)
{
    refuse_avro("{\"type\":\"record\"", "not valid JSON");
    refuse_avro("\"string\"", "no record");
    refuse_avro("{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"a\",\"type\":\"strung\"}]}", "strung");
    refuse_avro(RECORD(FIELD("a", "[\"int\",[\"null\",\"string\"]]")), "holds another union");
    refuse_avro(RECORD(FIELD("a", "[\"int\",\"null\",\"int\"]")), "two branches of one type");
    refuse_avro("{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"type\":\"int\"}]}", "no name");
}

static const char schema[] =
    "syntax = \"proto3\"; // as in the documentation\n"
    "package shop.v1;\nimport \"google/protobuf/timestamp.proto\";\n"
    "message Test1 {\n  int32 a = 1; string b = 2; Test2 c = 3; repeated int32 f = 6;\n"
    "  optional int64 o = 7; bool yes = 8; Kind kind = 9; map<string, int32> m = 10;\n"
    "  oneof pick { string left = 11; double right = 12; }\n  repeated string names = 13 [deprecated = true];\n"
    "  google.protobuf.Timestamp at = 14; sint64 s = 15; fixed32 x = 16; sfixed64 y = 17; float r = 18; bytes z = 19;\n"
    "  /* nested */ message Test2 { uint64 a = 1; reserved 4, 5; }\n"
    "  enum Kind { option allow_alias = true; NONE = 0; SOME = 2; MINUS = -1; }\n}\n"
    "message Other { shop.v1.Test1.Test2 inner = 1; }\n";

static void expect_protobuf(const char *message, const char *bytes, size_t len, const char *json)
{
    struct kp_arena arena = {0};
    struct kp_buf out = {0};
    struct kp_error err;
    const struct kp_protobuf *protobuf;
    if (kp_protobuf_create(schema, message, &arena, &protobuf, &err) != KP_OK ||
        kp_protobuf_to_json(protobuf, (struct kp_str){bytes, len}, &out, &err) != KP_OK)
        fail_msg("%s", err.message);
    kp_buf_append_byte(&out, 0);
    assert_string_equal((const char *)out.data, json);
    for (size_t cut = 0; cut < len; cut++) {
        char *part = kp_alloc(cut + 1);
        memcpy(part, bytes, cut);
        for (unsigned bit = 0; bit < 8; bit++) {
            out.len = 0;
            (void)!kp_protobuf_to_json(protobuf, (struct kp_str){part, cut}, &out, &err);
            if (cut)
                part[cut - 1] = (char)(part[cut - 1] ^ (1 << bit));
        }
        kp_free(part);
    }
    kp_buf_finish(&out);
    kp_arena_finish(&arena);
}

static void refuse_protobuf(const char *bytes, size_t len, const char *why)
{
    struct kp_arena arena = {0};
    struct kp_buf out = {0};
    struct kp_error err;
    const struct kp_protobuf *protobuf;
    assert_int_equal(kp_protobuf_create(schema, "Test1", &arena, &protobuf, &err), KP_OK);
    assert_int_not_equal(kp_protobuf_to_json(protobuf, (struct kp_str){bytes, len}, &out, &err), KP_OK);
    assert_string_equal(err.message, why);
    kp_buf_finish(&out);
    kp_arena_finish(&arena);
}

/* What is wrong, and where. */
static void test_protobuf_refused(void **state)
{
    refuse_protobuf(BYTES("\x08"), "the Protobuf message is malformed: no whole field at byte 0");
    refuse_protobuf(BYTES("\x08\x01\x12\x07x"), "the Protobuf message is malformed: no whole field at byte 2");
    refuse_protobuf(BYTES("\x08\x01\x0f"), "the Protobuf message is malformed: no whole field at byte 2");
    refuse_protobuf(BYTES("\x0a\x01\x01"), "field \"a\": the Protobuf message has wire type 2 where its schema has 0");
    refuse_protobuf(BYTES("\x18\x01"), "field \"c\": the Protobuf message has wire type 0 where its schema has 2");
    refuse_protobuf(BYTES("\x1a\x02\x0d\x01"), "field \"c\": field \"a\": the Protobuf message is malformed");
    refuse_protobuf(BYTES("\x1a\x02\x0a\x00"),
                    "field \"c\": field \"a\": the Protobuf message has wire type 2 where its schema has 0");
}

#define REST "\"yes\":false,\"kind\":\"NONE\",\"m\":{},\"names\":[],\"s\":0,\"x\":0,\"y\":0,\"r\":0,\"z\":\"\\\\x\"}"

static void test_protobuf(void **state)
{
    /* The documentation's examples: 150, "testing", an embedded message, packed and unpacked numbers. */
    expect_protobuf("Test1", BYTES("\x08\x96\x01"), "{\"a\":150,\"b\":\"\",\"f\":[]," REST);
    expect_protobuf(NULL,
                    BYTES("\x12\x07"
                          "testing"),
                    "{\"a\":0,\"b\":\"testing\",\"f\":[]," REST);
    expect_protobuf("Test1", BYTES("\x1a\x03\x08\x96\x01"), "{\"a\":0,\"b\":\"\",\"c\":{\"a\":150},\"f\":[]," REST);
    expect_protobuf("Test1", BYTES("\x32\x06\x03\x8e\x02\x9e\xa7\x05"),
                    "{\"a\":0,\"b\":\"\",\"f\":[3,270,86942]," REST);
    expect_protobuf("Test1", BYTES("\x30\x03\x30\x8e\x02\x08\x01\x08\x02\xa0\x06\x05"),
                    "{\"a\":2,\"b\":\"\",\"f\":[3,270]," REST);
    expect_protobuf("Other", BYTES(""), "{}");
    expect_protobuf("Other", BYTES("\x0a\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
                    "{\"inner\":{\"a\":18446744073709551615}}");
    expect_protobuf("Test1",
                    BYTES("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
                          "\x38\x00"
                          "\x40\x01"
                          "\x48\x02"
                          "\x52\x05\x0a\x01"
                          "k"
                          "\x10\x07"
                          "\x52\x00"
                          "\x61\x00\x00\x00\x00\x00\x00\xf8\x3f"
                          "\x6a\x01"
                          "n"
                          "\x6a\x00"
                          "\x72\x09\x08\x80\xa3\x05\x10\xe8\x07\x18"
                          "\x00"
                          "\x78\x03"
                          "\x85\x01\x02\x00\x00\x00"
                          "\x89\x01\xff\xff\xff\xff\xff\xff\xff\xff"
                          "\x95\x01\x00\x00\xc0\xbf"
                          "\x9a\x01\x01\x0a"),
                    "{\"a\":-1,\"b\":\"\",\"f\":[],\"o\":0,\"yes\":true,\"kind\":\"SOME\",\"m\":{\"k\":7,\"\":0},"
                    "\"right\":1.5,\"names\":[\"n\",\"\"],\"at\":\"1970-01-02 00:00:00.000001+00\",\"s\":-2,\"x\":2,"
                    "\"y\":-1,\"r\":-1.5,\"z\":\"\\\\x0a\"}");
}

static void test_protobuf_schemas(void **state)
{
    static const struct {
        const char *text, *message, *part;
    } bad[] = {{"message A { Nothing x = 1; }", NULL, "Nothing"},
               {"message A { int32 x = 1; }", "B", "no message \"B\""},
               {"message A { int32 x; }", NULL, "\";\""},
               {"message A {", NULL, "ends too soon"},
               {"import \"other.proto\";", NULL, "import"},
               {"service S { rpc R (A) returns (A) { option x = 1; } }", NULL, "no message"},
               {"message A { optional group G = 1 { } }", NULL, "groups"},
               {"message A { } enum A { X = 0; }", NULL, "two types"},
               {"package p; message A { } syntax = 'proto3'; package q; message A { }", "A", "two messages"},
               {"package p; message A { } syntax = 'proto3'; package q; message A { }", "r.A", "no message"},
               {"package p; message A { } syntax = 'proto3'; message B { p.B x = 1; }", "B", "no type \"p.B\""},
               {"message A { optional int32 x = 1 [default = y]; }", NULL, "default"},
               {"", NULL, "no message"}};
    for (size_t i = 0; i < KP_COUNT(bad); i++) {
        struct kp_arena arena = {0};
        const struct kp_protobuf *protobuf;
        struct kp_error err;
        assert_int_not_equal(kp_protobuf_create(bad[i].text, bad[i].message, &arena, &protobuf, &err), KP_OK);
        assert_non_null(strstr(err.message, bad[i].part));
        kp_arena_finish(&arena);
    }
}

/* Through the decoder: columns, paths, a registry's header, dead letters. */
struct rows {
    char text[400];
    uint32_t dead;
};

static enum kp_code take_rows(void *arg, const struct kp_decoded *decoded, struct kp_error *err)
{
    static const char *const names[] = {"id", "city"};
    struct kp_buf out = {0};
    for (uint32_t i = 0; i < decoded->batch->rows; i++)
        kp_encode_json(decoded->batch, names, i, NULL, &out);
    struct rows *rows = arg;
    snprintf(rows->text, sizeof rows->text, "%.*s", (int)out.len, (const char *)out.data);
    kp_buf_finish(&out);
    return KP_OK;
}

static void take_dead(void *arg, const struct kp_dead_letter *letter)
{
    ((struct rows *)arg)->dead++;
}

static void decode_all(const struct kp_decoder_options *options, const struct kp_str *values, size_t count,
                       struct rows *ret_rows)
{
    struct kp_decoder *decoder;
    struct kp_error err;
    struct kp_record_batch_builder builder = {0};
    struct kp_buf batch = {0};
    struct kp_arena arena = {0};
    *ret_rows = (struct rows){0};
    if (kp_decoder_create(options, &decoder, &err) != KP_OK)
        fail_msg("%s", err.message);
    for (size_t i = 0; i < count; i++)
        kp_record_batch_add(&builder, 0, (struct kp_str){NULL, 0}, values[i], (struct kp_str){"\0", 1});
    assert_int_equal(kp_record_batch_build(&builder, KP_CODEC_NONE, &batch, &err), KP_OK);
    struct kp_decode_input input = {.batch = batch.data, .bytes = (uint32_t)batch.len};
    struct kp_decode_state *state = kp_decode_state_create(decoder);
    assert_int_equal(kp_decode(state, &input, 1, &arena, take_rows, take_dead, ret_rows, &err), KP_OK);
    kp_decode_state_destroy(state);
    kp_decoder_destroy(decoder);
    kp_record_batch_builder_finish(&builder);
    kp_buf_finish(&batch);
    kp_arena_finish(&arena);
}

static void test_rows(void **state)
{
    static const char user[] =
        "{\"type\":\"record\",\"name\":\"U\",\"fields\":[{\"name\":\"id\",\"type\":\"long\"},{\"name\":\"address\","
        "\"type\":{\"type\":\"record\",\"name\":\"A\",\"fields\":[{\"name\":\"city\",\"type\":[\"null\",\"string\"]}]}}"
        "]}";
    static const char proto[] = "syntax = \"proto3\"; message U { int64 id = 1; A address = 2; } message A { optional "
                                "string city = 1; }";
    const struct kp_field fields[] = {{.name = "id", .type = KP_TYPE(KP_INT8)},
                                      {.name = "city", .path = "address.city", .type = KP_TYPE(KP_TEXT)}};
    struct kp_decoder_options options = {
        .format = KP_FORMAT_AVRO, .fields = fields, .field_count = 2, .schema = user, .confluent = true};
    const struct kp_str avro[] = {{BYTES("\0\0\0\0\x01\x02\x02\x06Ulm")},
                                  {BYTES("\0\0\0\0\x01\x04\x00")},
                                  {BYTES("\x01\0\0\0\x01\x04\x00")},
                                  {BYTES("\0\0\0\0\x01\x04\x00\x00")}};
    struct rows rows;
    decode_all(&options, avro, KP_COUNT(avro), &rows);
    assert_string_equal(rows.text, "{\"id\":1,\"city\":\"Ulm\"}{\"id\":2,\"city\":null}");
    assert_int_equal(rows.dead, 2);
    options.format = KP_FORMAT_PROTOBUF;
    options.schema = proto;
    options.message = "U";
    const struct kp_str protobuf[] = {{BYTES("\0\0\0\0\x01\0\x08\x01\x12\x05\x0a\x03Ulm")},
                                      {BYTES("\0\0\0\0\x01\x02\0\x08\x02")},
                                      {BYTES("\0\0\0\0\x01\0\x08")}};
    decode_all(&options, protobuf, KP_COUNT(protobuf), &rows);
    assert_string_equal(rows.text, "{\"id\":1,\"city\":\"Ulm\"}{\"id\":2,\"city\":null}");
    assert_int_equal(rows.dead, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_avro),
                                       cmocka_unit_test(test_avro_schemas),
                                       cmocka_unit_test(test_avro_resolution),
                                       cmocka_unit_test(test_protobuf),
                                       cmocka_unit_test(test_protobuf_refused),
                                       cmocka_unit_test(test_protobuf_schemas),
                                       cmocka_unit_test(test_rows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
