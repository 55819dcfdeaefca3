/*
 * Arrow's IPC file or stream of records (arrow_write.c draws it), as we write it or as others write it again. Columns
 * are found by name: offset and timestamp must be there, partition (0), key, value (null) and headers (none) may be
 * missing, others are passed over. Read from front to back; a file's footer is not needed.
 *
 * Nothing that the file says is believed: every offset of a flatbuffer, every buffer and every offset within one is
 * checked against what encloses it before it is followed. Compressed bodies and dictionaries are refused.
 */
#include "cli/arrow.h"

#include <string.h>

#include "base/limits.h"
#include "cli/transfer.h"
#include "log/record_headers.h"

enum { METADATA_BYTES_MAX = 16 << 20, FIELDS_MAX = 64, ROWS_MAX = 1 << 26 };
static const int64_t BODY_BYTES_MAX = (int64_t)2 << 30;

/* ---- flatbuffers ---- */

struct fb {
    const uint8_t *bytes;
    size_t len;
    bool bad;
};

static uint64_t load(struct fb *fb, size_t at, size_t bytes)
{
    uint64_t value = 0;
    if (at > fb->len || bytes > fb->len - at) {
        fb->bad = true;
        return 0;
    }
    memcpy(&value, fb->bytes + at, bytes);
    return value;
}

/* Where a table's field is; 0: absent. */
static size_t field_at(struct fb *fb, size_t table, unsigned slot, size_t bytes)
{
    int64_t vtable = (int64_t)table - (int32_t)load(fb, table, 4);
    if (vtable < 0 || (uint64_t)vtable >= fb->len) {
        fb->bad = true;
        return 0;
    }
    uint64_t vtable_bytes = load(fb, (size_t)vtable, 2);
    if (4 + 2 * (uint64_t)slot + 2 > vtable_bytes)
        return 0;
    uint64_t offset = load(fb, (size_t)vtable + 4 + 2 * slot, 2);
    if (!offset)
        return 0;
    (void)load(fb, table + offset, bytes);
    return fb->bad ? 0 : table + (size_t)offset;
}

static uint64_t field_value(struct fb *fb, size_t table, unsigned slot, size_t bytes, uint64_t otherwise)
{
    size_t at = field_at(fb, table, slot, bytes);
    return at ? load(fb, at, bytes) : otherwise;
}

/* What a field points to; 0: absent. */
static size_t field_target(struct fb *fb, size_t table, unsigned slot)
{
    size_t at = field_at(fb, table, slot, 4);
    uint64_t distance = at ? load(fb, at, 4) : 0;
    if (distance > fb->len - at) {
        fb->bad = true;
        return 0;
    }
    return at ? at + (size_t)distance : 0;
}

/* A vector's first element; *ret_count 0 if it is absent or too long for the buffer. */
static size_t field_vector(struct fb *fb, size_t table, unsigned slot, size_t bytes, uint32_t *ret_count)
{
    size_t at = field_target(fb, table, slot);
    *ret_count = 0;
    if (!at)
        return 0;
    uint64_t count = load(fb, at, 4);
    if (fb->bad || count > (fb->len - at - 4) / bytes) {
        fb->bad = true;
        return 0;
    }
    *ret_count = (uint32_t)count;
    return at + 4;
}

/* ---- the schema: which buffers are whose ---- */

enum role {
    ROLE_NONE,
    ROLE_PARTITION,
    ROLE_OFFSET,
    ROLE_TIME,
    ROLE_KEY,
    ROLE_VALUE,
    ROLE_LIST,
    ROLE_NAME,
    ROLE_HEADER,
    ROLES
};

struct place {
    bool there, is_large; /* is_large: offsets of 64 bits */
    uint8_t bits, unit;
    uint32_t node, buffer; /* its first */
};

struct reader {
    FILE *in;
    kp_transfer_each each;
    void *arg;
    struct place places[ROLES];
    uint32_t nodes, buffers;
    bool has_schema;
    struct kp_buf metadata, body, headers;
};

static enum kp_code malformed(struct kp_error *err, const char *what)
{
    return kp_fail(err, KP_INVALID, NULL, "malformed Arrow file: %s", what);
}

static enum role role_of(struct kp_str name, enum role parent, enum kp_arrow_type type)
{
    static const char *const names[ROLES] = {
        [ROLE_PARTITION] = "partition", [ROLE_OFFSET] = "offset", [ROLE_TIME] = "timestamp", [ROLE_KEY] = "key",
        [ROLE_VALUE] = "value",         [ROLE_LIST] = "headers"};
    if (parent == ROLE_LIST)
        return type == KP_ARROW_STRUCT ? ROLE_LIST : ROLE_NONE; /* the struct in it */
    for (unsigned role = 1; role < ROLES; role++)
        if (names[role] && kp_str_equal(name, kp_str(names[role])))
            return (enum role)role;
    return ROLE_NONE;
}

static bool fits(enum role role, enum kp_arrow_type type)
{
    bool bytes = type == KP_ARROW_BINARY || type == KP_ARROW_UTF8 || type == KP_ARROW_LARGE_BINARY ||
                 type == KP_ARROW_LARGE_UTF8;
    if (role == ROLE_KEY || role == ROLE_VALUE || role == ROLE_NAME || role == ROLE_HEADER)
        return bytes;
    if (role == ROLE_LIST)
        return type == KP_ARROW_LIST || type == KP_ARROW_STRUCT;
    return type == KP_ARROW_INT || (role == ROLE_TIME && type == KP_ARROW_TIMESTAMP);
}

static struct kp_str field_name(struct fb *fb, size_t field)
{
    uint32_t len;
    size_t at = field_vector(fb, field, KP_ARROW_FIELD_NAME, 1, &len);
    return (struct kp_str){at ? (const char *)fb->bytes + at : "", at ? len : 0};
}

/* How many buffers a column of the type has, its children's apart; -1: unknown. */
static int buffers_of(enum kp_arrow_type type)
{
    switch (type) {
    case KP_ARROW_BINARY:
    case KP_ARROW_UTF8:
    case KP_ARROW_LARGE_BINARY:
    case KP_ARROW_LARGE_UTF8:
        return 3;
    case KP_ARROW_INT:
    case KP_ARROW_TIMESTAMP:
    case KP_ARROW_LIST:
        return 2;
    case KP_ARROW_STRUCT:
        return 1;
    default:
        return -1;
    }
}

static enum kp_code take_field(struct reader *reader, struct fb *fb, size_t field, enum role parent, uint32_t index,
                               unsigned depth, struct kp_error *err);

static enum kp_code take_fields(struct reader *reader, struct fb *fb, size_t first, uint32_t count, enum role parent,
                                unsigned depth, struct kp_error *err)
{
    if (count > FIELDS_MAX || depth > 4)
        return malformed(err, "too many columns");
    for (uint32_t i = 0; i < count; i++) {
        uint64_t distance = load(fb, first + 4 * (size_t)i, 4);
        if (fb->bad || distance > fb->len)
            return malformed(err, "its schema");
        KP_TRY(take_field(reader, fb, first + 4 * (size_t)i + (size_t)distance, parent, i, depth, err));
    }
    return KP_OK;
}

static enum kp_code take_field(struct reader *reader, struct fb *fb, size_t field, enum role parent, uint32_t index,
                               unsigned depth, struct kp_error *err)
{
    enum kp_arrow_type type = (enum kp_arrow_type)field_value(fb, field, KP_ARROW_FIELD_TYPE_KIND, 1, 0);
    size_t detail = field_target(fb, field, KP_ARROW_FIELD_TYPE);
    struct kp_str name = field_name(fb, field);
    int buffers = buffers_of(type);
    if (fb->bad)
        return malformed(err, "its schema");
    if (buffers < 0 || field_target(fb, field, KP_ARROW_FIELD_DICTIONARY))
        return kp_fail(err, KP_UNSUPPORTED, NULL, "column \"%.*s\" has a type that cannot be imported",
                       (int)KP_MIN(name.len, (size_t)60), name.ptr);
    bool in_struct = parent == ROLE_LIST && depth == 2;
    enum role role = in_struct ? (index == 0   ? ROLE_NAME
                                  : index == 1 ? ROLE_HEADER
                                               : ROLE_NONE)
                               : role_of(name, parent, type);
    if (role != ROLE_NONE && !fits(role, type))
        return kp_fail(err, KP_INVALID, NULL, "column \"%.*s\" is not of the type that it should be",
                       (int)KP_MIN(name.len, (size_t)60), name.ptr);
    if (role != ROLE_NONE && !(role == ROLE_LIST && depth > 0))
        reader->places[role] =
            (struct place){.there = true,
                           .is_large = type == KP_ARROW_LARGE_BINARY || type == KP_ARROW_LARGE_UTF8,
                           .bits = type == KP_ARROW_INT && detail ? (uint8_t)field_value(fb, detail, 0, 4, 0) : 64,
                           .unit = type == KP_ARROW_TIMESTAMP && detail ? (uint8_t)field_value(fb, detail, 0, 2, 0)
                                                                        : KP_ARROW_MILLISECOND,
                           .node = reader->nodes,
                           .buffer = reader->buffers};
    reader->nodes++;
    reader->buffers += (uint32_t)buffers;
    uint32_t count;
    size_t first = field_vector(fb, field, KP_ARROW_FIELD_CHILDREN, 4, &count);
    return fb->bad ? malformed(err, "its schema") : take_fields(reader, fb, first, count, role, depth + 1, err);
}

static enum kp_code take_schema(struct reader *reader, struct fb *fb, size_t schema, struct kp_error *err)
{
    uint32_t count;
    size_t first = field_vector(fb, schema, KP_ARROW_SCHEMA_FIELDS, 4, &count);
    if (fb->bad || reader->has_schema)
        return malformed(err, "its schema");
    if (field_value(fb, schema, KP_ARROW_SCHEMA_ENDIANNESS, 2, 0) != 0)
        return kp_fail(err, KP_UNSUPPORTED, NULL, "the Arrow file is big-endian");
    KP_TRY(take_fields(reader, fb, first, count, ROLE_NONE, 0, err));
    const struct place *places = reader->places;
    if (!places[ROLE_OFFSET].there || !places[ROLE_TIME].there)
        return kp_fail(err, KP_INVALID, NULL, "the Arrow file has no columns \"offset\" and \"timestamp\"");
    if (places[ROLE_OFFSET].bits != 64 || (places[ROLE_PARTITION].there && places[ROLE_PARTITION].bits != 32) ||
        (places[ROLE_LIST].there && (!places[ROLE_NAME].there || !places[ROLE_HEADER].there)))
        return malformed(err, "offset must be int64, partition int32, headers list<struct<name, value>>");
    reader->has_schema = true;
    return KP_OK;
}

/* ---- record batches ---- */

struct batch {
    struct reader *reader;
    struct fb *fb;
    size_t nodes, buffers; /* of the flatbuffer: structs of two i64 */
    uint32_t node_count, buffer_count;
    int64_t rows;
    bool bad;
};

static struct kp_str buffer_of(struct batch *batch, uint32_t index)
{
    const struct kp_buf *body = &batch->reader->body;
    if (index >= batch->buffer_count) {
        batch->bad = true;
        return (struct kp_str){"", 0};
    }
    uint64_t offset = load(batch->fb, batch->buffers + 16 * (size_t)index, 8);
    uint64_t len = load(batch->fb, batch->buffers + 16 * (size_t)index + 8, 8);
    if (offset > body->len || len > body->len - offset) {
        batch->bad = true;
        return (struct kp_str){"", 0};
    }
    return (struct kp_str){(const char *)body->data + offset, (size_t)len};
}

static int64_t node_rows(struct batch *batch, const struct place *place, int64_t *ret_nulls)
{
    *ret_nulls = 0;
    if (place->node >= batch->node_count) {
        batch->bad = true;
        return 0;
    }
    *ret_nulls = (int64_t)load(batch->fb, batch->nodes + 16 * (size_t)place->node + 8, 8);
    return (int64_t)load(batch->fb, batch->nodes + 16 * (size_t)place->node, 8);
}

/* A column of the batch, its sizes checked. */
struct values {
    const uint8_t *valid; /* NULL: none is null */
    const char *offsets, *data;
    uint64_t data_len;
    int64_t rows;
    bool is_large;
};

static struct values column_of(struct batch *batch, enum role role, int64_t rows)
{
    const struct place *place = &batch->reader->places[role];
    struct values values = {.is_large = place->is_large};
    if (!place->there)
        return values;
    int64_t nulls;
    values.rows = node_rows(batch, place, &nulls);
    if (values.rows < 0 || values.rows > ROWS_MAX || (rows >= 0 && values.rows != rows)) {
        batch->bad = true;
        return values;
    }
    struct kp_str valid = buffer_of(batch, place->buffer), second = buffer_of(batch, place->buffer + 1);
    if (nulls != 0) {
        values.valid = (const uint8_t *)valid.ptr;
        batch->bad |= valid.len < (uint64_t)(values.rows + 7) / 8;
    }
    bool fixed = role == ROLE_PARTITION || role == ROLE_OFFSET || role == ROLE_TIME;
    uint64_t width = role == ROLE_PARTITION ? 4 : fixed || place->is_large ? 8 : 4;
    if (fixed) {
        values.data = second.ptr;
        batch->bad |= second.len < (uint64_t)values.rows * width;
        return values;
    }
    values.offsets = second.ptr;
    batch->bad |= second.len < ((uint64_t)values.rows + 1) * width && values.rows > 0;
    if (role != ROLE_LIST) {
        struct kp_str data = buffer_of(batch, place->buffer + 2);
        values.data = data.ptr;
        values.data_len = data.len;
    }
    return values;
}

static uint64_t offset_at(const struct values *values, int64_t row)
{
    uint64_t large = 0;
    uint32_t small = 0;
    if (values->is_large)
        memcpy(&large, values->offsets + 8 * row, 8);
    else
        memcpy(&small, values->offsets + 4 * row, 4);
    return values->is_large ? large : small;
}

static struct kp_str bytes_at(struct batch *batch, const struct values *values, int64_t row)
{
    struct kp_str none = {NULL, 0};
    if (row >= values->rows || (values->valid && !(values->valid[row / 8] >> row % 8 & 1)))
        return none;
    uint64_t from = offset_at(values, row), to = offset_at(values, row + 1);
    if (from > to || to > values->data_len) {
        batch->bad = true;
        return none;
    }
    return (struct kp_str){values->data + from, (size_t)(to - from)};
}

struct columns {
    struct values partition, offset, time, key, value, list, name, header;
};

static void take_headers(struct batch *batch, const struct columns *columns, int64_t row, struct kp_str *ret_headers)
{
    struct kp_buf *out = &batch->reader->headers;
    *ret_headers = (struct kp_str){NULL, 0};
    if (row >= columns->list.rows || (columns->list.valid && !(columns->list.valid[row / 8] >> row % 8 & 1)))
        return;
    uint64_t from = offset_at(&columns->list, row), to = offset_at(&columns->list, row + 1);
    if (from > to || to > (uint64_t)columns->name.rows) {
        batch->bad = true;
        return;
    }
    out->len = 0;
    kp_record_headers_put_count(out, (int64_t)(to - from));
    for (uint64_t i = from; i < to; i++) {
        struct kp_str name = bytes_at(batch, &columns->name, (int64_t)i);
        kp_record_headers_put(out, name, bytes_at(batch, &columns->header, (int64_t)i));
    }
    if (to > from)
        *ret_headers = (struct kp_str){(char *)out->data, out->len};
}

static int64_t milliseconds(int64_t time, uint8_t unit)
{
    switch (unit) {
    case KP_ARROW_SECOND:
        return time * 1000;
    case KP_ARROW_MICROSECOND:
        return time / 1000 - (time % 1000 < 0);
    case KP_ARROW_NANOSECOND:
        return time / 1000000 - (time % 1000000 < 0);
    default:
        return time;
    }
}

static enum kp_code give_row(struct batch *batch, const struct columns *columns, int64_t row, struct kp_error *err)
{
    struct reader *reader = batch->reader;
    struct kp_transfer_record record = {.position = -1, .log_time_us = -1};
    int64_t time;
    memcpy(&record.offset, columns->offset.data + 8 * row, 8);
    memcpy(&time, columns->time.data + 8 * row, 8);
    record.timestamp_ms = milliseconds(time, reader->places[ROLE_TIME].unit);
    if (columns->partition.data)
        memcpy(&record.partition, columns->partition.data + 4 * row, 4);
    record.key = bytes_at(batch, &columns->key, row);
    record.value = bytes_at(batch, &columns->value, row);
    take_headers(batch, columns, row, &record.headers);
    if (batch->bad || record.offset < 0 || record.partition >= KP_PARTITIONS_MAX)
        return malformed(err, "a value lies outside of its column");
    return reader->each(reader->arg, &record, err);
}

static enum kp_code take_batch(struct reader *reader, struct fb *fb, size_t table, struct kp_error *err)
{
    struct batch batch = {.reader = reader, .fb = fb};
    if (!reader->has_schema)
        return malformed(err, "a record batch comes before the schema");
    if (field_target(fb, table, KP_ARROW_BATCH_COMPRESSION))
        return kp_fail(err, KP_UNSUPPORTED, NULL, "the Arrow file's buffers are compressed: write it uncompressed");
    batch.rows = (int64_t)field_value(fb, table, KP_ARROW_BATCH_LENGTH, 8, 0);
    batch.nodes = field_vector(fb, table, KP_ARROW_BATCH_NODES, 16, &batch.node_count);
    batch.buffers = field_vector(fb, table, KP_ARROW_BATCH_BUFFERS, 16, &batch.buffer_count);
    if (fb->bad || batch.rows < 0 || batch.rows > ROWS_MAX)
        return malformed(err, "a record batch");
    struct columns columns = {
        .partition = column_of(&batch, ROLE_PARTITION, batch.rows),
        .offset = column_of(&batch, ROLE_OFFSET, batch.rows),
        .time = column_of(&batch, ROLE_TIME, batch.rows),
        .key = column_of(&batch, ROLE_KEY, batch.rows),
        .value = column_of(&batch, ROLE_VALUE, batch.rows),
        .list = column_of(&batch, ROLE_LIST, batch.rows),
        .name = column_of(&batch, ROLE_NAME, -1),
        .header = column_of(&batch, ROLE_HEADER, -1),
    };
    if (batch.bad || fb->bad || columns.name.rows != columns.header.rows)
        return malformed(err, "a record batch's buffers");
    for (int64_t row = 0; row < batch.rows; row++)
        KP_TRY(give_row(&batch, &columns, row, err));
    return KP_OK;
}

/* ---- messages ---- */

static bool fill(FILE *in, struct kp_buf *buf, size_t len)
{
    buf->len = 0;
    while (buf->len < len) { /* piece by piece: a wrong length asks for no more than there is */
        size_t piece = KP_MIN(len - buf->len, (size_t)1 << 20);
        size_t got = fread(kp_buf_reserve(buf, piece), 1, piece, in);
        buf->len += got;
        if (got < piece)
            return false;
    }
    return true;
}

static enum kp_code take_message(struct reader *reader, uint32_t metadata_bytes, struct kp_error *err)
{
    if (metadata_bytes > METADATA_BYTES_MAX || !fill(reader->in, &reader->metadata, metadata_bytes))
        return malformed(err, "it ends within a message");
    struct fb fb = {reader->metadata.data, reader->metadata.len, false};
    size_t message = (size_t)load(&fb, 0, 4);
    uint64_t type = field_value(&fb, message, KP_ARROW_MESSAGE_TYPE, 1, 0);
    int64_t body_bytes = (int64_t)field_value(&fb, message, KP_ARROW_MESSAGE_BODY, 8, 0);
    size_t header = field_target(&fb, message, KP_ARROW_MESSAGE_HEADER);
    if (fb.bad || !header || body_bytes < 0 || body_bytes > BODY_BYTES_MAX)
        return malformed(err, "a message's metadata");
    if (!fill(reader->in, &reader->body, (size_t)body_bytes))
        return malformed(err, "it ends within a message's body");
    if (type == KP_ARROW_SCHEMA)
        return take_schema(reader, &fb, header, err);
    if (type == KP_ARROW_RECORD_BATCH)
        return take_batch(reader, &fb, header, err);
    return kp_fail(err, KP_UNSUPPORTED, NULL, "the Arrow file has dictionaries or tensors");
}

/* Behind its last message a file has a footer, and ends as it began: else it was not written to its end. */
static enum kp_code take_footer(FILE *in, struct kp_error *err)
{
    enum { MAGIC_BYTES = sizeof KP_ARROW_MAGIC - 1, PIECE_BYTES = 4096 };
    char bytes[MAGIC_BYTES + PIECE_BYTES];
    size_t kept = 0, got;
    while ((got = fread(bytes + kept, 1, PIECE_BYTES, in)) > 0) {
        size_t len = kept + got;
        kept = KP_MIN(len, (size_t)MAGIC_BYTES);
        memmove(bytes, bytes + len - kept, kept);
    }
    bool whole = kept == MAGIC_BYTES && memcmp(bytes, KP_ARROW_MAGIC, MAGIC_BYTES) == 0;
    return whole ? KP_OK : malformed(err, "it ends before its footer");
}

static enum kp_code read_all(struct reader *reader, struct kp_error *err)
{
    uint32_t word[2];
    if (fread(word, 4, 2, reader->in) != 2)
        return malformed(err, "it is empty");
    bool file = memcmp(word, KP_ARROW_MAGIC "\0\0", 8) == 0; /* else a bare stream */
    if (file && fread(word, 4, 2, reader->in) != 2)
        return malformed(err, "it has no schema");
    for (;;) {
        if (word[0] != UINT32_MAX)
            return malformed(err, "a message does not begin where one should");
        if (word[1] == 0)
            return file ? take_footer(reader->in, err) : KP_OK;
        KP_TRY(take_message(reader, word[1], err));
        if (fread(word, 4, 2, reader->in) != 2) /* a stream may end so */
            return file ? malformed(err, "it ends before its footer") : KP_OK;
    }
}

enum kp_code kp_arrow_read(FILE *in, kp_transfer_each each, void *arg, struct kp_error *err)
{
    struct reader reader = {.in = in, .each = each, .arg = arg};
    enum kp_code code = read_all(&reader, err);
    kp_buf_finish(&reader.metadata);
    kp_buf_finish(&reader.body);
    kp_buf_finish(&reader.headers);
    return code;
}
