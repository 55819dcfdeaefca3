/*
 * libFuzzer: Avro and Protobuf records and schemas, Debezium's events. What is made of a record must be valid JSON. The
 * first byte chooses.
 */
#include "decode/transcode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char avro_schema[] =
    "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":[\"null\",\"R\",\"string\"]},"
    "{\"name\":\"b\",\"type\":{\"type\":\"array\",\"items\":[\"int\",\"double\"]}},"
    "{\"name\":\"c\",\"type\":{\"type\":\"map\",\"values\":\"bytes\"}},"
    "{\"name\":\"d\",\"type\":{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"scale\":3}},"
    "{\"name\":\"e\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}},"
    "{\"name\":\"f\",\"type\":{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"X\",\"Y\"]}}]}";
/* What a reader may make of it. */
static const char reader_schema[] =
    "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"alpha\",\"aliases\":[\"a\"],\"type\":[\"null\",\"R\","
    "\"bytes\"]},{\"name\":\"b\",\"type\":{\"type\":\"array\",\"items\":[\"float\"]}},"
    "{\"name\":\"f\",\"type\":{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"Y\"]}},"
    "{\"name\":\"e\",\"type\":\"double\"},{\"name\":\"g\",\"type\":\"bytes\",\"default\":\"\\u00ff\"}]}";
static const char proto_schema[] =
    "syntax = \"proto3\"; message R { R a = 1; repeated sint32 b = 2; map<string, bytes> c = 3; map<int32, R> d = 4; "
    "google.protobuf.Timestamp e = 5; enum E { X = 0; Y = 1; } repeated E f = 6; float g = 7; optional string h = 8; "
    "repeated fixed64 i = 9; }";

/* A number is what kp_value_print writes of a float, so it is JSON too. */
static void must_be_json(const struct kp_buf *out)
{
    const uint8_t *bad;
    char *copy = kp_calloc(out->len + KP_JSON_PADDING, 1);
    memcpy(copy, out->data, out->len);
    const uint8_t *begin = (const uint8_t *)copy;
    KP_ASSERT(kp_json_skip(begin, begin + out->len, KP_JSON_DEPTH_MAX, &bad) == begin + out->len);
    kp_free(copy);
}

static void fuzz_schema(const char *text, bool avro)
{
    struct kp_arena arena = {0};
    const struct kp_avro *avro_made = NULL, *resolved;
    const struct kp_protobuf *protobuf_made;
    (void)!(avro ? kp_avro_create(text, &arena, &avro_made, NULL)
                 : kp_protobuf_create(text, NULL, &arena, &protobuf_made, NULL));
    if (avro_made) /* every schema can read itself */
        KP_ASSERT(kp_avro_resolve(avro_made, avro_made, &arena, &resolved, NULL) != KP_CORRUPT);
    kp_arena_finish(&arena);
}

static void fuzz_record(struct kp_str bytes, bool avro)
{
    static struct kp_arena arena;
    static const struct kp_avro *of_avro, *of_reader, *resolved;
    static const struct kp_protobuf *of_protobuf;
    if (!of_avro) {
        KP_ASSERT(kp_avro_create(avro_schema, &arena, &of_avro, NULL) == KP_OK);
        KP_ASSERT(kp_avro_create(reader_schema, &arena, &of_reader, NULL) == KP_OK);
        KP_ASSERT(kp_avro_resolve(of_avro, of_reader, &arena, &resolved, NULL) == KP_OK);
        KP_ASSERT(kp_protobuf_create(proto_schema, "R", &arena, &of_protobuf, NULL) == KP_OK);
    }
    struct kp_buf out = {0};
    if ((avro ? kp_avro_to_json(of_avro, bytes, &out, NULL) : kp_protobuf_to_json(of_protobuf, bytes, &out, NULL)) ==
        KP_OK)
        must_be_json(&out);
    out.len = 0;
    if (avro && kp_avro_to_json(resolved, bytes, &out, NULL) == KP_OK)
        must_be_json(&out);
    kp_buf_finish(&out);
}

static void fuzz_debezium(struct kp_str text)
{
    struct kp_str row, schema;
    enum kp_debezium_change change;
    char *copy = kp_calloc(text.len + KP_JSON_PADDING, 1);
    memcpy(copy, text.ptr, text.len);
    if (kp_debezium_row((struct kp_str){copy, text.len}, &row, &schema, &change, NULL) == KP_OK && row.ptr)
        KP_ASSERT(row.ptr >= copy && row.ptr + row.len <= copy + text.len && row.ptr[0] == '{');
    kp_free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct kp_str rest = {(const char *)data + 1, size - 1};
    char *text = kp_calloc(size, 1);
    memcpy(text, rest.ptr, rest.len);
    switch (data[0] % 5) {
    case 0:
    case 1:
        fuzz_record(rest, data[0] % 5 == 0);
        break;
    case 2:
    case 3:
        fuzz_schema(text, data[0] % 5 == 2);
        break;
    default:
        fuzz_debezium(rest);
    }
    kp_free(text);
    return 0;
}
