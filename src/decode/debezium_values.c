/*
 * The values of a Debezium row, which Kafka Connect's JSON says in ways of its own, as PostgreSQL writes them.
 *
 *   what the schema calls a field               as JSON                        becomes
 *   connect.data.Date, debezium.time.Date       days since 1970                "2024-02-29"
 *   …Time (ms), MicroTime, NanoTime             since midnight                 "12:30:00.5"
 *   …Timestamp (ms), MicroTimestamp, Nano…      since 1970                     "2024-02-29 12:30:00.5"
 *   MicroDuration, NanoDuration                 µs, ns                         "01:00:00"
 *   connect.data.Decimal                        base64, scale in the schema    "12.50"
 *   VariableScaleDecimal                        {"scale":2,"value":base64}     "12.50"
 *   bytes without a name                        base64, or as binary_handling_mode says    "\x0aff"
 *   debezium.data.Json                          a string of JSON               the JSON
 *
 * A record without its schema is read by the column's type, as a connector writes a column of that type: whole numbers
 * are days for a date; for times and timestamps milliseconds up to precision 3, else microseconds (the connector's
 * time.precision.mode says otherwise, and so must the option time_precision_mode); base64 is a number only if
 * decimal_handling_mode says precise, of the column's scale. What a column of another type holds is left as it is: a
 * bigint takes the milliseconds.
 *
 * Of Avro the envelope's schema says the same, by "connect.name"; decimals and bytes are written by avro.c as they
 * should be.
 *
 * Nothing is rewritten unless a declared column could need it (kp_debezium_needs).
 */
#include "decode/transcode.h"
#include "vec/array.h"
#include "vec/datetime.h"
#include "vec/jsonb.h"

#include <stdlib.h>

static const int64_t EPOCH_DAYS = 10957, EPOCH_US = 946684800000000; /* 1970-01-01 to 2000-01-01 */

enum meaning { AS_IT_IS, DAYS, TIME, TIMESTAMP, DURATION, DECIMAL, VARIABLE_DECIMAL, BYTES, JSON };
struct encoding {
    enum meaning meaning;
    int64_t units; /* times: so many a second */
    uint32_t scale;
};
struct field {
    struct kp_str name; /* with its quotes */
    struct encoding encoding;
};

/* What a schema says of the fields, as long as records come with the same text of it. */
struct kp_debezium_schema {
    struct kp_buf text;
    struct kp_arena arena;
    struct field *fields;
    uint32_t count;
};

void kp_debezium_schema_destroy(struct kp_debezium_schema *schema)
{
    if (!schema)
        return;
    kp_buf_finish(&schema->text);
    kp_arena_finish(&schema->arena);
    kp_free(schema);
}

/* ---- schemas ---- */

static bool is_text(struct kp_str value, const char *text)
{
    return value.len == strlen(text) + 2 && memcmp(value.ptr + 1, text, value.len - 2) == 0;
}

/* name with its quotes */
static bool is_named(struct kp_str name, struct encoding *ret_encoding)
{
    static const struct {
        const char *name;
        struct encoding encoding;
    } names[] = {{"org.apache.kafka.connect.data.Date", {DAYS, 0, 0}},
                 {"org.apache.kafka.connect.data.Time", {TIME, 1000, 0}},
                 {"org.apache.kafka.connect.data.Timestamp", {TIMESTAMP, 1000, 0}},
                 {"org.apache.kafka.connect.data.Decimal", {DECIMAL, 0, 0}},
                 {"io.debezium.time.Date", {DAYS, 0, 0}},
                 {"io.debezium.time.Time", {TIME, 1000, 0}},
                 {"io.debezium.time.MicroTime", {TIME, 1000000, 0}},
                 {"io.debezium.time.NanoTime", {TIME, 1000000000, 0}},
                 {"io.debezium.time.Timestamp", {TIMESTAMP, 1000, 0}},
                 {"io.debezium.time.MicroTimestamp", {TIMESTAMP, 1000000, 0}},
                 {"io.debezium.time.NanoTimestamp", {TIMESTAMP, 1000000000, 0}},
                 {"io.debezium.time.MicroDuration", {DURATION, 1000000, 0}},
                 {"io.debezium.time.NanoDuration", {DURATION, 1000000000, 0}},
                 {"io.debezium.data.VariableScaleDecimal", {VARIABLE_DECIMAL, 0, 0}},
                 {"io.debezium.data.Json", {JSON, 0, 0}}};
    for (size_t i = 0; i < KP_COUNT(names); i++)
        if (is_text(name, names[i].name)) {
            *ret_encoding = names[i].encoding;
            return true;
        }
    return false;
}

static struct encoding encoding_of(struct kp_str field)
{
    struct encoding encoding;
    struct kp_str type, name, parameters, scale;
    if (kp_json_member(field, KP_STR("name"), &name) && is_named(name, &encoding)) {
        if (encoding.meaning == DECIMAL && kp_json_member(field, KP_STR("parameters"), &parameters) &&
            kp_json_member(parameters, KP_STR("scale"), &scale))
            encoding.scale = (uint32_t)strtoul(scale.ptr + (scale.ptr[0] == '"'), NULL, 10);
        return encoding;
    }
    bool typed = kp_json_member(field, KP_STR("type"), &type);
    struct kp_str items;
    if (typed && is_text(type, "array") && kp_json_member(field, KP_STR("items"), &items) && items.ptr[0] == '{' &&
        kp_json_member(items, KP_STR("type"), &type) && !is_text(type, "array"))
        return encoding_of(items);
    return (struct encoding){typed && is_text(type, "bytes") ? BYTES : AS_IT_IS, 0, 0};
}

/* The fields of the row in an envelope's schema; of a key's schema its own. */
static struct kp_str row_fields(struct kp_str schema)
{
    struct kp_jsonb_items items;
    struct kp_str fields = {"[]", 2}, item, key, name, inner;
    kp_json_member(schema, KP_STR("fields"), &fields);
    kp_jsonb_items_begin(&items, fields);
    while (kp_jsonb_items_next(&items, &key, &item))
        if (item.ptr[0] == '{' && kp_json_member(item, KP_STR("field"), &name) && is_text(name, "after") &&
            kp_json_member(item, KP_STR("fields"), &inner))
            return inner;
    return fields;
}

static const struct kp_debezium_schema *read_schema(struct kp_debezium_schema **cache, struct kp_str text)
{
    struct kp_debezium_schema *schema = *cache;
    if (!schema)
        schema = *cache = kp_calloc(1, sizeof *schema);
    if (schema->text.len == text.len && memcmp(schema->text.data, text.ptr, text.len) == 0)
        return schema;
    kp_arena_reset(&schema->arena);
    schema->text.len = 0;
    kp_buf_append(&schema->text, text.ptr, text.len);
    memset(kp_buf_reserve(&schema->text, KP_JSON_PADDING), 0, KP_JSON_PADDING);
    struct kp_str fields = row_fields((struct kp_str){(const char *)schema->text.data, text.len}), key, item;
    struct kp_jsonb_items items;
    schema->fields = kp_arena_alloc(&schema->arena, (kp_jsonb_item_count(fields) + (size_t)1) * sizeof *schema->fields);
    schema->count = 0;
    kp_jsonb_items_begin(&items, fields);
    while (kp_jsonb_items_next(&items, &key, &item)) {
        struct field *field = &schema->fields[schema->count];
        if (item.ptr[0] != '{' || !kp_json_member(item, KP_STR("field"), &field->name))
            continue;
        field->encoding = encoding_of(item);
        schema->count++;
    }
    return schema;
}

/* ---- by an Avro schema of the envelope ---- */

/*
 * {"name": "at", "type": ["null", {"type": "long", "connect.name": "io.debezium.time.Timestamp"}]}: a type, or a
 * union's first one that has such a name; a record that was declared before is there by its name alone. Decimals are
 * numbers already, by their logicalType.
 */
static struct encoding avro_encoding(struct kp_str type)
{
    struct encoding encoding = {AS_IT_IS, 0, 0};
    struct kp_jsonb_items branches;
    struct kp_str key, item, items, name;
    if (type.ptr[0] == '[') {
        kp_jsonb_items_begin(&branches, type);
        while (encoding.meaning == AS_IT_IS && kp_jsonb_items_next(&branches, &key, &item))
            if (item.ptr[0] != '[')
                encoding = avro_encoding(item);
        return encoding;
    }
    bool named = type.ptr[0] == '"' ? is_named(type, &encoding)
                                    : type.ptr[0] == '{' && kp_json_member(type, KP_STR("connect.name"), &name) &&
                                          is_named(name, &encoding);
    if (!named && type.ptr[0] == '{' && kp_json_member(type, KP_STR("items"), &items))
        return avro_encoding(items);
    return named && encoding.meaning != DECIMAL ? encoding : (struct encoding){AS_IT_IS, 0, 0};
}

/* The record among a member's types that declares fields. */
static bool avro_fields(struct kp_str type, struct kp_str *ret_fields)
{
    struct kp_jsonb_items items;
    struct kp_str key, item;
    if (type.ptr[0] == '{')
        return kp_json_member(type, KP_STR("fields"), ret_fields) && ret_fields->ptr[0] == '[';
    bool found = false;
    if (type.ptr[0] == '[')
        for (kp_jsonb_items_begin(&items, type); !found && kp_jsonb_items_next(&items, &key, &item);)
            found = item.ptr[0] == '{' && avro_fields(item, ret_fields);
    return found;
}

/* "before" declares the row's record, and "after" names it. */
static void avro_row_fields(struct kp_str envelope, struct kp_str *ret_fields)
{
    struct kp_jsonb_items items;
    struct kp_str fields, key, item, name, type;
    *ret_fields = KP_STR("[]");
    if (envelope.ptr[0] != '{' || !kp_json_member(envelope, KP_STR("fields"), &fields) || fields.ptr[0] != '[')
        return;
    kp_jsonb_items_begin(&items, fields);
    while (kp_jsonb_items_next(&items, &key, &item)) {
        bool member = item.ptr[0] == '{' && kp_json_member(item, KP_STR("name"), &name) &&
                      kp_json_member(item, KP_STR("type"), &type);
        if (member && (is_text(name, "before") || is_text(name, "after")) && avro_fields(type, ret_fields))
            return;
    }
}

enum kp_code kp_debezium_avro(const char *text, struct kp_arena *arena, const struct kp_debezium_schema **ret_schema,
                              struct kp_error *err)
{
    struct kp_str envelope, fields, key, item, type;
    struct kp_jsonb_items items;
    KP_TRY(kp_transcode_schema(text, arena, &envelope, err));
    avro_row_fields(envelope, &fields);
    struct kp_debezium_schema *schema = kp_arena_calloc(arena, sizeof *schema);
    schema->fields = kp_arena_calloc(arena, (kp_jsonb_item_count(fields) + (size_t)1) * sizeof *schema->fields);
    kp_jsonb_items_begin(&items, fields);
    while (kp_jsonb_items_next(&items, &key, &item)) {
        struct field *field = &schema->fields[schema->count];
        if (item.ptr[0] != '{' || !kp_json_member(item, KP_STR("name"), &field->name) ||
            !kp_json_member(item, KP_STR("type"), &type))
            continue;
        field->encoding = avro_encoding(type);
        schema->count++;
    }
    *ret_schema = schema;
    return KP_OK;
}

/* ---- by the column's type ---- */

static int64_t units_of(const struct kp_decoder *decoder, struct kp_type type)
{
    bool micros = type.mod < 0 || type.mod > 3;
    if (decoder->time_precision == KP_TIME_PRECISION_CONNECT)
        micros = false;
    if (decoder->time_precision == KP_TIME_PRECISION_MICROS && type.id == KP_TIME)
        micros = true;
    return micros ? 1000000 : 1000;
}

static struct encoding encoding_by_type(const struct kp_decoder *decoder, struct kp_type type, struct kp_str value)
{
    bool number = value.ptr[0] == '-' || (value.ptr[0] >= '0' && value.ptr[0] <= '9'), string = value.ptr[0] == '"';
    switch (type.id) {
    case KP_DATE:
        return (struct encoding){number ? DAYS : AS_IT_IS, 0, 0};
    case KP_TIME:
        return (struct encoding){number ? TIME : AS_IT_IS, units_of(decoder, type), 0};
    case KP_TIMESTAMP:
    case KP_TIMESTAMPTZ:
        return (struct encoding){number ? TIMESTAMP : AS_IT_IS, units_of(decoder, type), 0};
    case KP_INTERVAL:
        return (struct encoding){number ? DURATION : AS_IT_IS, 1000000, 0};
    case KP_BYTEA:
        return (struct encoding){string ? BYTES : AS_IT_IS, 0, 0};
    case KP_JSON:
    case KP_JSONB:
        return (struct encoding){string ? JSON : AS_IT_IS, 0, 0};
    case KP_NUMERIC:
        if (value.ptr[0] == '{')
            return (struct encoding){VARIABLE_DECIMAL, 0, 0};
        if (string && decoder->decimals_precise && type.mod >= 4)
            return (struct encoding){DECIMAL, 0, (uint32_t)(type.mod - 4) & 0xffff};
        return (struct encoding){AS_IT_IS, 0, 0};
    default:
        return (struct encoding){AS_IT_IS, 0, 0};
    }
}

/* Whether a column of the type is to be given what the schema's meaning becomes. */
static bool is_wanted(enum meaning meaning, enum kp_type_id id)
{
    bool text = id == KP_TEXT || id == KP_VARCHAR || id == KP_BPCHAR;
    switch (meaning) {
    case DAYS:
    case TIME:
    case TIMESTAMP:
    case DURATION:
        return text || id == KP_DATE || id == KP_TIME || id == KP_TIMESTAMP || id == KP_TIMESTAMPTZ ||
               id == KP_INTERVAL;
    case DECIMAL:
    case VARIABLE_DECIMAL:
        return text || id == KP_NUMERIC || id == KP_INT2 || id == KP_INT4 || id == KP_INT8 || id == KP_FLOAT4 ||
               id == KP_FLOAT8;
    case BYTES:
        return id == KP_BYTEA;
    case JSON:
        return id == KP_JSON || id == KP_JSONB;
    default:
        return false;
    }
}

bool kp_debezium_needs(struct kp_type type)
{
    enum kp_type_id id = kp_type_is_array(type.id) ? kp_type_element(type.id) : type.id;
    return is_wanted(TIMESTAMP, id) || is_wanted(DECIMAL, id) || is_wanted(BYTES, id) || is_wanted(JSON, id);
}

/* ---- values ---- */

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : -1;
}

/* Of a JSON string; base64's two alphabets are both read. */
static enum kp_code read_base64(struct kp_str string, struct kp_buf *out, struct kp_error *err)
{
    struct kp_str text = {string.ptr + 1, string.len - 2};
    uint32_t word = 0, bits = 0;
    out->len = 0;
    while (text.len && text.ptr[text.len - 1] == '=')
        text.len--;
    for (size_t i = 0; i < text.len; i++) {
        i += text.ptr[i] == '\\' && i + 1 < text.len && text.ptr[i + 1] == '/'; /* as some writers escape it */
        int digit = base64_digit(text.ptr[i]);
        if (digit < 0)
            return kp_fail(err, KP_INVALID, "22P02", "invalid base64: %.*s", (int)kp_decode_shown(string).len,
                           string.ptr);
        word = word << 6 | (uint32_t)digit;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            kp_buf_append_byte(out, (uint8_t)(word >> bits));
        }
    }
    return KP_OK;
}

/* A whole number; false: it is something else, and stays as it is. */
static bool read_number(struct kp_str value, int64_t *ret_number)
{
    char digits[24];
    char *end;
    if (value.len >= sizeof digits)
        return false;
    memcpy(digits, value.ptr, value.len);
    digits[value.len] = '\0';
    *ret_number = strtoll(digits, &end, 10);
    return value.len && *end == '\0';
}

static enum kp_code out_of_range(struct kp_str value, struct kp_type type, struct kp_error *err)
{
    return kp_fail(err, KP_INVALID, "22008", "time out of range for type %s: %.*s", kp_type_info(type.id)->name,
                   (int)value.len, value.ptr);
}

static enum kp_code put_time(const struct encoding *encoding, struct kp_type type, struct kp_str value, int64_t number,
                             struct kp_buf *out, struct kp_error *err)
{
    int64_t us = number;
    if (encoding->meaning == DAYS) {
        if (number < KP_DATE_MIN + EPOCH_DAYS || number >= KP_DATE_END + EPOCH_DAYS)
            return out_of_range(value, type, err);
        kp_date_print((int32_t)(number - EPOCH_DAYS), out);
        return KP_OK;
    }
    if (encoding->units == 1000000000)
        us = kp_floor_div(number, 1000);
    else if (encoding->units == 1000 && __builtin_mul_overflow(number, 1000, &us))
        return out_of_range(value, type, err);
    if (encoding->meaning == TIMESTAMP) {
        if (__builtin_sub_overflow(us, EPOCH_US, &us) || !kp_timestamp_in_range(us))
            return out_of_range(value, type, err);
        if (type.id == KP_TIMESTAMPTZ)
            kp_timestamptz_print(us, NULL, ' ', out);
        else
            kp_timestamp_print(us, ' ', out);
    } else if (type.id == KP_INTERVAL || encoding->meaning == DURATION) { /* MySQL's times go to 838 hours */
        kp_interval_print(&(struct kp_interval){.us = us}, out);
    } else {
        if (us < 0 || us > 86400000000)
            return out_of_range(value, type, err);
        kp_time_print(us, out);
    }
    return KP_OK;
}

/* "\\\\x0aff" already, as a binary format's transcoding writes bytes */
static bool is_bytea(struct kp_str value)
{
    return value.len > 4 && memcmp(value.ptr + 1, "\\\\x", 3) == 0;
}

static unsigned hex_digit(char c)
{
    return c <= '9' ? (unsigned)(c - '0') : (unsigned)((c | 0x20) - 'a' + 10);
}

static enum kp_code put_decimal(struct kp_decode_state *state, struct kp_str value, uint32_t scale, struct kp_buf *out,
                                struct kp_error *err)
{
    struct kp_buf bytes = {0};
    bool hex = is_bytea(value); /* Avro's */
    for (size_t i = 4; hex && i + 2 < value.len; i += 2)
        kp_buf_append_byte(&bytes, (uint8_t)(hex_digit(value.ptr[i]) << 4 | hex_digit(value.ptr[i + 1])));
    enum kp_code code = hex ? KP_OK : read_base64(value, &bytes, err);
    if (code == KP_OK)
        code = kp_transcode_decimal((struct kp_str){(const char *)bytes.data, bytes.len}, scale, out, err);
    kp_buf_finish(&bytes);
    return code;
}

static enum kp_code put_variable(struct kp_decode_state *state, struct kp_str object, struct kp_buf *out,
                                 struct kp_error *err)
{
    struct kp_str scale, value;
    int64_t number;
    bool well = object.ptr[0] == '{' && kp_json_member(object, KP_STR("scale"), &scale) &&
                read_number(scale, &number) && number >= 0 && number <= UINT32_MAX &&
                kp_json_member(object, KP_STR("value"), &value) && value.ptr[0] == '"';
    if (!well)
        return kp_fail(err, KP_INVALID, "22P02", "a number of variable scale is {\"scale\":…,\"value\":\"…\"}: %.*s",
                       (int)kp_decode_shown(object).len, object.ptr);
    return put_decimal(state, value, (uint32_t)number, out, err);
}

static bool is_hex(struct kp_str digits)
{
    for (size_t i = 0; i < digits.len; i++)
        if (!strchr("0123456789abcdefABCDEF", digits.ptr[i]))
            return false;
    return digits.len % 2 == 0;
}

static enum kp_code put_bytes(const struct kp_decoder *decoder, struct kp_str value, struct kp_buf *out,
                              struct kp_error *err)
{
    struct kp_buf bytes = {0};
    if (value.len > 3 && value.ptr[1] == '\\' && value.ptr[2] == '\\') { /* as bytea is written already */
        kp_buf_append_str(out, value);
        return KP_OK;
    }
    if (decoder->bytes_hex) {
        if (!is_hex((struct kp_str){value.ptr + 1, value.len - 2}))
            return kp_fail(err, KP_INVALID, "22P02", "invalid hexadecimal digits: %.*s",
                           (int)kp_decode_shown(value).len, value.ptr);
        kp_buf_printf(out, "\"\\\\x%.*s", (int)value.len - 1, value.ptr + 1);
        return KP_OK;
    }
    enum kp_code code = read_base64(value, &bytes, err);
    if (code == KP_OK)
        kp_transcode_bytes((struct kp_str){(const char *)bytes.data, bytes.len}, out);
    kp_buf_finish(&bytes);
    return code;
}

/* A string that holds JSON; or says that the value was not to be seen, which stays a string (flow/op_upsert.c). */
static enum kp_code put_json(struct kp_decode_state *state, struct kp_str value, struct kp_buf *out,
                             struct kp_error *err)
{
    struct kp_buf text = {0};
    const uint8_t *bad, *behind = NULL, *end = NULL;
    if (is_text(value, "__debezium_unavailable_value")) {
        kp_buf_append_str(out, value);
        return KP_OK;
    }
    bool said = kp_jsonb_string_text(value, &text);
    if (said) {
        size_t len = text.len;
        memset(kp_buf_reserve(&text, KP_JSON_PADDING), 0, KP_JSON_PADDING);
        end = text.data + len;
        const uint8_t *start = kp_json_space_end(text.data, end);
        behind = start < end ? kp_json_skip(start, end, KP_JSON_DEPTH_MAX, &bad) : NULL;
    }
    bool well = behind && behind <= end && kp_json_space_end(behind, end) == end;
    if (well)
        kp_buf_append(out, text.data, text.len);
    kp_buf_finish(&text);
    return well ? KP_OK
                : kp_fail(err, KP_INVALID, "22P02", "invalid JSON: %.*s", (int)kp_decode_shown(value).len, value.ptr);
}

static enum kp_code put_value(struct kp_decode_state *state, const struct encoding *said, struct kp_type type,
                              struct kp_str value, struct kp_buf *out, struct kp_error *err);

static enum kp_code put_array(struct kp_decode_state *state, const struct encoding *said, struct kp_type type,
                              struct kp_str value, struct kp_buf *out, struct kp_error *err)
{
    struct kp_type element = kp_type_to_element(type);
    struct kp_jsonb_items items;
    struct kp_str key, item;
    bool first = true;
    kp_buf_append_byte(out, '[');
    kp_jsonb_items_begin(&items, value);
    while (kp_jsonb_items_next(&items, &key, &item)) {
        kp_buf_append_text(out, first ? "" : ",");
        KP_TRY(put_value(state, said, item.ptr[0] == '[' ? type : element, item, out, err));
        first = false;
    }
    kp_buf_append_byte(out, ']');
    return KP_OK;
}

/* said: by the schema; NULL: there is none. */
static enum kp_code put_value(struct kp_decode_state *state, const struct encoding *said, struct kp_type type,
                              struct kp_str value, struct kp_buf *out, struct kp_error *err)
{
    if (kp_type_is_array(type.id) && value.ptr[0] == '[')
        return put_array(state, said, type, value, out, err);
    struct encoding encoding = said ? *said : encoding_by_type(state->decoder, type, value);
    if (said && encoding.meaning == AS_IT_IS && (type.id == KP_BYTEA || kp_type_is_json(type.id)))
        encoding = encoding_by_type(state->decoder, type, value); /* strings of either */
    int64_t number;
    bool string = value.ptr[0] == '"', wanted = is_wanted(encoding.meaning, type.id);
    if (wanted && encoding.meaning >= DAYS && encoding.meaning <= DURATION && read_number(value, &number)) {
        kp_buf_append_byte(out, '"');
        KP_TRY(put_time(&encoding, type, value, number, out, err));
        kp_buf_append_byte(out, '"');
        return KP_OK;
    }
    if (wanted && encoding.meaning == DECIMAL && string)
        return put_decimal(state, value, encoding.scale, out, err);
    if (wanted && encoding.meaning == VARIABLE_DECIMAL && value.ptr[0] == '{')
        return put_variable(state, value, out, err);
    if (wanted && encoding.meaning == BYTES && string)
        return put_bytes(state->decoder, value, out, err);
    if (wanted && encoding.meaning == JSON && string)
        return put_json(state, value, out, err);
    kp_buf_append_str(out, value);
    return KP_OK;
}

/* ---- rows and keys ---- */

static const struct encoding *find_field(const struct kp_debezium_schema *schema, struct kp_str name)
{
    for (uint32_t i = 0; schema && i < schema->count; i++)
        if (kp_str_equal(schema->fields[i].name, name))
            return &schema->fields[i].encoding;
    return NULL;
}

static struct kp_str padded(struct kp_decode_state *state, const struct kp_buf *text)
{
    char *copy = kp_arena_alloc(state->arena, text->len + KP_JSON_PADDING);
    memcpy(copy, text->data, text->len);
    memset(copy + text->len, 0, KP_JSON_PADDING);
    return (struct kp_str){copy, text->len};
}

enum kp_code kp_debezium_values(struct kp_decode_state *state, struct kp_str schema, struct kp_str *row,
                                struct kp_error *err)
{
    const struct kp_debezium_schema *known = state->decoder->row_schema;
    if (!known && schema.ptr)
        known = read_schema(&state->row_schema, schema);
    struct kp_buf *out = &state->scratch;
    struct kp_jsonb_items items;
    struct kp_str key, value;
    bool exact, first = true;
    out->len = 0;
    kp_buf_append_byte(out, '{');
    kp_jsonb_items_begin(&items, *row);
    while (kp_jsonb_items_next(&items, &key, &value)) {
        struct kp_str name = {key.ptr + 1, key.len - 2};
        const struct kp_json_want *want = kp_json_node_find(state->decoder->nodes[0], name, &exact);
        kp_buf_append_text(out, first ? "" : ",");
        kp_buf_append_str(out, key);
        kp_buf_append_byte(out, ':');
        first = false;
        if (!want || !want->column_count) {
            kp_buf_append_str(out, value);
            continue;
        }
        enum kp_code code =
            put_value(state, find_field(known, key), state->decoder->columns[want->columns[0]].type, value, out, err);
        if (code != KP_OK) {
            kp_error_context(err, "field \"%.*s\"", (int)name.len, name.ptr);
            return code;
        }
    }
    kp_buf_append_byte(out, '}');
    *row = padded(state, out);
    return KP_OK;
}

enum kp_code kp_debezium_key_value(struct kp_decode_state *state, struct kp_str schema, uint32_t column,
                                   struct kp_str *value, struct kp_error *err)
{
    const struct kp_debezium_schema *known = schema.ptr ? read_schema(&state->key_schema, schema) : NULL;
    const struct kp_decode_column *to = &state->decoder->columns[column];
    struct kp_buf quoted = {0};
    kp_buf_append_json_string(&quoted, kp_str(to->name));
    const struct encoding *said = find_field(known, (struct kp_str){(const char *)quoted.data, quoted.len});
    kp_buf_finish(&quoted);
    state->scratch.len = 0;
    KP_TRY(put_value(state, said, to->type, *value, &state->scratch, err));
    *value = padded(state, &state->scratch);
    return KP_OK;
}
