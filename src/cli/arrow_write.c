/*
 * Arrow's IPC file of records, from the public format specification (columnar format 1.5, metadata version 5):
 *
 *   "ARROW1" 0 0 | message: schema | message: record batch … | ff ff ff ff 00 00 00 00 | footer | i32 its bytes |
 * "ARROW1" message    ff ff ff ff | i32 bytes of metadata, padded to 8 | flatbuffer Message | body: buffers, each
 * padded to 8
 *
 *   partition int32, offset int64, position int64, timestamp timestamp[ms, UTC], log_time timestamp[us, UTC],
 *   key binary, value binary, headers list<struct<name: utf8, value: binary>>
 *
 * What lies between the magic and the footer is an IPC stream. Flatbuffers are written front to back: a vtable, its
 * table right behind it, then what the table points to; an offset is filled in when its target gets a place.
 */
#include "cli/arrow.h"

#include <string.h>

#include "cli/transfer.h"
#include "log/record_headers.h"

enum { BATCH_ROWS = 65536, BATCH_BYTES = 32 << 20, SLOTS_MAX = 8 };

/* ---- flatbuffers ---- */

static void align(struct kp_buf *out, size_t to)
{
    while (out->len % to)
        kp_buf_append_byte(out, 0);
}

static void put_u32(struct kp_buf *out, uint32_t value)
{
    kp_buf_append(out, &value, 4);
}

/* The offset at `pointer` leads to `target`, behind it. */
static void point(struct kp_buf *out, size_t pointer, size_t target)
{
    uint32_t distance = (uint32_t)(target - pointer);
    memcpy(out->data + pointer, &distance, 4);
}

/* A table of zero fields of these sizes (0: absent), each at a multiple of its size; ret_at: where each is. */
static void put_table(struct kp_buf *out, size_t pointer, const uint8_t *sizes, uint32_t count, size_t *ret_at)
{
    uint16_t vtable[2 + SLOTS_MAX], size = 4;
    for (uint32_t i = 0; i < count; i++) {
        while (sizes[i] && size % sizes[i])
            size++;
        vtable[2 + i] = sizes[i] ? size : 0;
        size = (uint16_t)(size + sizes[i]);
    }
    vtable[0] = (uint16_t)(4 + 2 * count);
    vtable[1] = size;
    while ((out->len + vtable[0]) % 8)
        kp_buf_append_byte(out, 0);
    kp_buf_append(out, vtable, vtable[0]);
    size_t table = out->len;
    memset(kp_buf_reserve(out, size), 0, size);
    out->len += size;
    uint32_t back = vtable[0];
    memcpy(out->data + table, &back, 4);
    point(out, pointer, table);
    for (uint32_t i = 0; i < count; i++)
        ret_at[i] = table + vtable[2 + i];
}

static void put_string(struct kp_buf *out, size_t pointer, const char *text)
{
    align(out, 4);
    point(out, pointer, out->len);
    put_u32(out, (uint32_t)strlen(text));
    kp_buf_append(out, text, strlen(text) + 1);
}

/* A vector of `count` elements of `bytes` each, aligned to 8 if they are structs; returns where the first is. */
static size_t put_vector(struct kp_buf *out, size_t pointer, uint32_t count, const void *elements, size_t bytes)
{
    while (bytes > 4 ? (out->len + 4) % 8 : out->len % 4)
        kp_buf_append_byte(out, 0);
    point(out, pointer, out->len);
    put_u32(out, count);
    size_t first = out->len;
    memset(kp_buf_reserve(out, count * bytes), 0, count * bytes);
    if (elements)
        memcpy(out->data + first, elements, count * bytes);
    out->len += count * bytes;
    return first;
}

/* ---- the schema ---- */

struct field {
    const char *name;
    enum kp_arrow_type type;
    bool nullable;
    uint8_t detail; /* bits of an integer, unit of a timestamp */
    const struct field *children;
    uint32_t child_count;
};

static const struct field header_fields[] = {{"name", KP_ARROW_UTF8, false, 0, NULL, 0},
                                             {"value", KP_ARROW_BINARY, true, 0, NULL, 0}};
static const struct field header_item[] = {{"item", KP_ARROW_STRUCT, false, 0, header_fields, 2}};
static const struct field fields[] = {
    {"partition", KP_ARROW_INT, false, 32, NULL, 0},
    {"offset", KP_ARROW_INT, false, 64, NULL, 0},
    {"position", KP_ARROW_INT, false, 64, NULL, 0},
    {"timestamp", KP_ARROW_TIMESTAMP, false, KP_ARROW_MILLISECOND, NULL, 0},
    {"log_time", KP_ARROW_TIMESTAMP, false, KP_ARROW_MICROSECOND, NULL, 0},
    {"key", KP_ARROW_BINARY, true, 0, NULL, 0},
    {"value", KP_ARROW_BINARY, true, 0, NULL, 0},
    {"headers", KP_ARROW_LIST, false, 0, header_item, 1},
};

static void put_type(struct kp_buf *out, size_t pointer, const struct field *field)
{
    static const uint8_t integer[] = {4, 1}, timestamp[] = {2, 4};
    size_t at[2];
    if (field->type == KP_ARROW_INT) {
        put_table(out, pointer, integer, 2, at);
        out->data[at[0]] = field->detail;
        out->data[at[1]] = 1; /* signed */
    } else if (field->type == KP_ARROW_TIMESTAMP) {
        put_table(out, pointer, timestamp, 2, at);
        out->data[at[0]] = field->detail;
        put_string(out, at[1], "UTC");
    } else {
        put_table(out, pointer, NULL, 0, at);
    }
}

static void put_fields(struct kp_buf *out, size_t pointer, const struct field *list, uint32_t count)
{
    static const uint8_t sizes[] = {4, 1, 1, 4, 0, 4};
    size_t first = put_vector(out, pointer, count, NULL, 4), at[KP_COUNT(sizes)];
    for (uint32_t i = 0; i < count; i++) {
        put_table(out, first + 4 * i, sizes, KP_COUNT(sizes), at);
        out->data[at[KP_ARROW_FIELD_NULLABLE]] = list[i].nullable;
        out->data[at[KP_ARROW_FIELD_TYPE_KIND]] = (uint8_t)list[i].type;
        put_string(out, at[KP_ARROW_FIELD_NAME], list[i].name);
        put_type(out, at[KP_ARROW_FIELD_TYPE], &list[i]);
        put_fields(out, at[KP_ARROW_FIELD_CHILDREN], list[i].children, list[i].child_count);
    }
}

static void put_schema(struct kp_buf *out, size_t pointer)
{
    static const uint8_t sizes[] = {2, 4};
    size_t at[2];
    put_table(out, pointer, sizes, 2, at);
    put_fields(out, at[KP_ARROW_SCHEMA_FIELDS], fields, KP_COUNT(fields));
}

/* ---- columns being filled ---- */

struct column {
    struct kp_buf valid;   /* a byte a row; empty: none is null */
    struct kp_buf offsets; /* of binary and list: one more than rows */
    struct kp_buf data;
    uint32_t rows, nulls;
};

/* One block of the footer. */
struct block {
    int64_t offset;
    int32_t metadata_bytes, zero;
    int64_t body_bytes;
};

struct kp_arrow_writer {
    FILE *out;
    int64_t written;
    struct column partition, offset, position, timestamp, log_time, key, value, list, item, name, header;
    struct kp_buf blocks;
};

static void put_fixed(struct column *column, const void *value, size_t bytes)
{
    kp_buf_append(&column->data, value, bytes);
    column->rows++;
}

static void begin_offsets(struct column *column)
{
    if (column->offsets.len == 0)
        put_u32(&column->offsets, 0);
}

static void put_bytes(struct column *column, struct kp_str bytes)
{
    begin_offsets(column);
    kp_buf_append_str(&column->data, bytes);
    put_u32(&column->offsets, (uint32_t)column->data.len);
    kp_buf_append_byte(&column->valid, bytes.ptr != NULL);
    column->nulls += bytes.ptr == NULL;
    column->rows++;
}

/* ---- messages ---- */

static void write_bytes(struct kp_arrow_writer *writer, const void *bytes, size_t len)
{
    fwrite(bytes, 1, len, writer->out);
    writer->written += (int64_t)len;
}

/* The prefix and the metadata, whose root and header are in place. */
static int32_t write_metadata(struct kp_arrow_writer *writer, struct kp_buf *metadata)
{
    align(metadata, 8);
    uint32_t prefix[2] = {UINT32_MAX, (uint32_t)metadata->len};
    write_bytes(writer, prefix, sizeof prefix);
    write_bytes(writer, metadata->data, metadata->len);
    return (int32_t)(sizeof prefix + metadata->len);
}

/* A Message; returns the place of the offset to its header. */
static size_t begin_message(struct kp_buf *metadata, uint8_t type, int64_t body_bytes)
{
    static const uint8_t sizes[] = {2, 1, 4, 8};
    size_t at[KP_COUNT(sizes)];
    put_u32(metadata, 0); /* the root */
    put_table(metadata, 0, sizes, KP_COUNT(sizes), at);
    metadata->data[at[KP_ARROW_MESSAGE_VERSION]] = KP_ARROW_VERSION_5;
    metadata->data[at[KP_ARROW_MESSAGE_TYPE]] = type;
    memcpy(metadata->data + at[KP_ARROW_MESSAGE_BODY], &body_bytes, 8);
    return at[KP_ARROW_MESSAGE_HEADER];
}

struct body {
    struct kp_buf bytes;
    int64_t nodes[24], buffers[64]; /* pairs */
    uint32_t node_count, buffer_count;
};

static void body_put(struct body *body, const void *bytes, size_t len)
{
    body->buffers[2 * body->buffer_count] = (int64_t)body->bytes.len;
    body->buffers[2 * body->buffer_count++ + 1] = (int64_t)len;
    kp_buf_append(&body->bytes, bytes, len);
    align(&body->bytes, 8);
}

static void body_put_node(struct body *body, const struct column *column)
{
    body->nodes[2 * body->node_count] = column->rows;
    body->nodes[2 * body->node_count++ + 1] = column->nulls;
    struct kp_buf bits = {0};
    if (column->nulls)
        for (uint32_t row = 0; row < column->rows; row++) {
            if (row % 8 == 0)
                kp_buf_append_byte(&bits, 0);
            bits.data[row / 8] |= (uint8_t)(column->valid.data[row] << row % 8);
        }
    body_put(body, bits.data, bits.len);
    kp_buf_finish(&bits);
}

static void body_put_column(struct body *body, struct column *column, bool has_offsets)
{
    body_put_node(body, column);
    if (has_offsets) {
        begin_offsets(column);
        body_put(body, column->offsets.data, column->offsets.len);
    }
    body_put(body, column->data.data, column->data.len);
}

static void column_clear(struct column *column)
{
    column->valid.len = column->offsets.len = column->data.len = 0;
    column->rows = column->nulls = 0;
}

/* All columns: depth first, each with its validity, offsets, data. */
static void fill_body(struct kp_arrow_writer *writer, struct body *body)
{
    struct column *fixed[] = {&writer->partition, &writer->offset, &writer->position, &writer->timestamp,
                              &writer->log_time};
    for (size_t i = 0; i < KP_COUNT(fixed); i++)
        body_put_column(body, fixed[i], false);
    body_put_column(body, &writer->key, true);
    body_put_column(body, &writer->value, true);
    body_put_node(body, &writer->list);
    begin_offsets(&writer->list);
    body_put(body, writer->list.offsets.data, writer->list.offsets.len);
    body_put_node(body, &writer->item);
    body_put_column(body, &writer->name, true);
    body_put_column(body, &writer->header, true);
}

static void write_batch(struct kp_arrow_writer *writer)
{
    static const uint8_t sizes[] = {8, 4, 4};
    struct body body = {0};
    struct kp_buf metadata = {0};
    size_t at[KP_COUNT(sizes)];
    int64_t rows = writer->offset.rows;
    fill_body(writer, &body);
    size_t header = begin_message(&metadata, KP_ARROW_RECORD_BATCH, (int64_t)body.bytes.len);
    put_table(&metadata, header, sizes, KP_COUNT(sizes), at);
    memcpy(metadata.data + at[KP_ARROW_BATCH_LENGTH], &rows, 8);
    put_vector(&metadata, at[KP_ARROW_BATCH_NODES], body.node_count, body.nodes, 16);
    put_vector(&metadata, at[KP_ARROW_BATCH_BUFFERS], body.buffer_count, body.buffers, 16);
    struct block block = {.offset = writer->written, .body_bytes = (int64_t)body.bytes.len};
    block.metadata_bytes = write_metadata(writer, &metadata);
    write_bytes(writer, body.bytes.data, body.bytes.len);
    kp_buf_append(&writer->blocks, &block, sizeof block);
    kp_buf_finish(&body.bytes);
    kp_buf_finish(&metadata);
    struct column *all[] = {&writer->partition, &writer->offset, &writer->position, &writer->timestamp,
                            &writer->log_time,  &writer->key,    &writer->value,    &writer->list,
                            &writer->item,      &writer->name,   &writer->header};
    for (size_t i = 0; i < KP_COUNT(all); i++)
        column_clear(all[i]);
}

/* ---- the calls ---- */

struct kp_arrow_writer *kp_arrow_writer_create(FILE *out)
{
    struct kp_arrow_writer *writer = kp_calloc(1, sizeof *writer);
    struct kp_buf metadata = {0};
    writer->out = out;
    write_bytes(writer, KP_ARROW_MAGIC "\0\0", 8);
    size_t header = begin_message(&metadata, KP_ARROW_SCHEMA, 0);
    put_schema(&metadata, header);
    write_metadata(writer, &metadata);
    kp_buf_finish(&metadata);
    return writer;
}

void kp_arrow_writer_destroy(struct kp_arrow_writer *writer)
{
    if (!writer)
        return;
    struct column *all[] = {&writer->partition, &writer->offset, &writer->position, &writer->timestamp,
                            &writer->log_time,  &writer->key,    &writer->value,    &writer->list,
                            &writer->item,      &writer->name,   &writer->header};
    for (size_t i = 0; i < KP_COUNT(all); i++) {
        kp_buf_finish(&all[i]->valid);
        kp_buf_finish(&all[i]->offsets);
        kp_buf_finish(&all[i]->data);
    }
    kp_buf_finish(&writer->blocks);
    kp_free(writer);
}

void kp_arrow_write(struct kp_arrow_writer *writer, const struct kp_transfer_record *record)
{
    struct kp_str headers = record->headers, name, value;
    int64_t count;
    put_fixed(&writer->partition, &record->partition, 4);
    put_fixed(&writer->offset, &record->offset, 8);
    put_fixed(&writer->position, &record->position, 8);
    put_fixed(&writer->timestamp, &record->timestamp_ms, 8);
    put_fixed(&writer->log_time, &record->log_time_us, 8);
    put_bytes(&writer->key, record->key);
    put_bytes(&writer->value, record->value);
    bool well = kp_record_headers_begin(&headers, &count);
    for (int64_t i = 0; well && i < count && kp_record_headers_next(&headers, &name, &value); i++) {
        put_bytes(&writer->name, name);
        put_bytes(&writer->header, value);
        writer->item.rows++;
    }
    begin_offsets(&writer->list);
    put_u32(&writer->list.offsets, writer->item.rows);
    writer->list.rows++;
    if (writer->offset.rows == BATCH_ROWS || writer->value.data.len + writer->key.data.len > BATCH_BYTES)
        write_batch(writer);
}

void kp_arrow_end(struct kp_arrow_writer *writer)
{
    static const uint8_t sizes[] = {2, 4, 4, 4};
    struct kp_buf footer = {0};
    size_t at[KP_COUNT(sizes)];
    if (writer->offset.rows)
        write_batch(writer);
    uint32_t end[2] = {UINT32_MAX, 0};
    write_bytes(writer, end, sizeof end);
    put_u32(&footer, 0);
    put_table(&footer, 0, sizes, KP_COUNT(sizes), at);
    footer.data[at[0]] = KP_ARROW_VERSION_5;
    put_schema(&footer, at[1]);
    put_vector(&footer, at[2], 0, NULL, sizeof(struct block));
    put_vector(&footer, at[3], (uint32_t)(writer->blocks.len / sizeof(struct block)), writer->blocks.data,
               sizeof(struct block));
    uint32_t len = (uint32_t)footer.len;
    write_bytes(writer, footer.data, footer.len);
    write_bytes(writer, &len, 4);
    write_bytes(writer, KP_ARROW_MAGIC, 6);
    kp_buf_finish(&footer);
}
