/*
 * Making a chunk: values are gathered as they are decoded, strings through a table of distinct ones, and encoded when
 * the chunk is full. The encoding is the smallest of those that the values allow:
 *
 *   integers   FRAME: bits for (largest - least) / factor; factor divides all differences (milliseconds as µs: 1000)
 *   decimals   FRAME on the coefficients if all have one scale, else PLAIN; DIGITS if one does not fit 64 bits
 *   strings    DICTIONARY or STRINGS, by size
 *   fixed      DICTIONARY if few are distinct, else PLAIN
 */
#include "log/column_chunk.h"
#include "log/column_pack.h"
#include "vec/numeric.h"

enum {
    HEAP_BYTES_MAX = 1 << 30, /* of strings of a chunk: offsets have 32 bits */
    LISTED_ROWS_MIN = 4096,   /* that show whether strings come twice */
    FIXED_DISTINCT_MAX = 4096 /* a dictionary of fixed values with more is not tried */
};

enum kp_column_physical kp_column_physical(enum kp_type_id type)
{
    switch (type) {
    case KP_BOOL:
        return KP_PHYSICAL_I8;
    case KP_INT2:
        return KP_PHYSICAL_I16;
    case KP_INT4:
    case KP_DATE:
        return KP_PHYSICAL_I32;
    case KP_INT8:
    case KP_TIME:
    case KP_TIMESTAMP:
    case KP_TIMESTAMPTZ:
        return KP_PHYSICAL_I64;
    case KP_FLOAT4:
        return KP_PHYSICAL_F32;
    case KP_FLOAT8:
        return KP_PHYSICAL_F64;
    case KP_INTERVAL:
    case KP_TIMETZ:
    case KP_UUID:
        return KP_PHYSICAL_FIXED16;
    case KP_NUMERIC:
        return KP_PHYSICAL_NUMERIC;
    case KP_TEXT:
    case KP_VARCHAR:
    case KP_BPCHAR:
    case KP_BYTEA:
    case KP_JSON:
    case KP_JSONB:
        return KP_PHYSICAL_STRING;
    default:
        return KP_PHYSICAL_NONE;
    }
}

uint32_t kp_physical_bytes(enum kp_column_physical physical)
{
    static const uint8_t bytes[] = {0, 1, 2, 4, 8, 4, 8, 16, 16, 16};
    return bytes[physical];
}

/* ---- gathering ---- */

void kp_column_builder_finish(struct kp_column_builder *builder)
{
    kp_buf_finish(&builder->values);
    kp_buf_finish(&builder->heap);
    kp_buf_finish(&builder->offsets);
    kp_free(builder->valid);
    kp_free(builder->table);
    *builder = (struct kp_column_builder){.physical = builder->physical};
}

void kp_column_builder_reset(struct kp_column_builder *builder)
{
    if (builder->nulls)
        memset(builder->valid, 0xff, builder->valid_cap / 8);
    builder->rows = builder->nulls = builder->distinct = 0;
    builder->values.len = builder->heap.len = builder->offsets.len = 0;
    builder->digits = builder->listed = false;
    if (builder->table)
        memset(builder->table, 0, (builder->table_mask + 1) * sizeof *builder->table);
}

uint64_t kp_column_builder_bytes(const struct kp_column_builder *builder)
{
    return builder->values.len + builder->heap.len + builder->offsets.len;
}

/* The bitmap covers this many rows; rows not noted are valid. */
static void need_valid(struct kp_column_builder *builder, uint32_t rows)
{
    if (rows <= builder->valid_cap)
        return;
    uint32_t cap = KP_MAX(2 * builder->valid_cap, (rows + 65535) & ~65535u);
    builder->valid = kp_realloc(builder->valid, cap / 8);
    memset((uint8_t *)builder->valid + builder->valid_cap / 8, 0xff, (cap - builder->valid_cap) / 8);
    builder->valid_cap = cap;
}

static void note_nulls(struct kp_column_builder *builder, const struct kp_vec *vec, uint32_t rows)
{
    uint32_t before = builder->rows;
    for (uint32_t i = 0; vec->valid && i < rows; i++)
        if (kp_vec_is_null(vec, i)) {
            need_valid(builder, before + rows);
            builder->valid[(before + i) >> 6] &= ~((uint64_t)1 << ((before + i) & 63));
            builder->nulls++;
        }
    if (builder->nulls)
        need_valid(builder, before + rows);
}

struct kp_str kp_column_builder_distinct(const struct kp_column_builder *builder, uint32_t code)
{
    const uint32_t *offsets = (const uint32_t *)(const void *)builder->offsets.data;
    size_t end = code + 1 < builder->distinct ? offsets[code + 1] : builder->heap.len;
    return (struct kp_str){(const char *)builder->heap.data + offsets[code], end - offsets[code]};
}

static uint32_t hash_text(struct kp_str text)
{
    uint64_t words[2] = {0, 0};
    if (text.len > sizeof words)
        return (uint32_t)kp_hash_bytes(text.ptr, text.len);
    if (text.len)
        memcpy(words, text.ptr, text.len);
    return (uint32_t)kp_hash_combine(words[0] + text.len, words[1]);
}

static void grow_table(struct kp_column_builder *builder)
{
    uint32_t size = builder->table ? 2 * (builder->table_mask + 1) : 1024;
    kp_free(builder->table);
    builder->table = kp_calloc(size, sizeof *builder->table);
    builder->table_mask = size - 1;
    for (uint32_t code = 0; code < builder->distinct; code++) {
        uint32_t at = hash_text(kp_column_builder_distinct(builder, code)) & builder->table_mask;
        while (builder->table[at])
            at = (at + 1) & builder->table_mask;
        builder->table[at] = code + 1;
    }
}

static uint32_t append_distinct(struct kp_column_builder *builder, struct kp_str text)
{
    uint32_t offset = (uint32_t)KP_MIN(builder->heap.len, (size_t)UINT32_MAX);
    kp_buf_append(&builder->offsets, &offset, sizeof offset);
    kp_buf_append_str(&builder->heap, text);
    return builder->distinct++;
}

static uint32_t code_of(struct kp_column_builder *builder, struct kp_str text)
{
    if (builder->listed)
        return append_distinct(builder, text);
    if (!builder->table || 2 * builder->distinct > builder->table_mask)
        grow_table(builder);
    uint32_t at = hash_text(text) & builder->table_mask;
    for (; builder->table[at]; at = (at + 1) & builder->table_mask)
        if (kp_str_equal(kp_column_builder_distinct(builder, builder->table[at] - 1), text))
            return builder->table[at] - 1;
    builder->table[at] = builder->distinct + 1;
    return append_distinct(builder, text);
}

/* Do so few of the strings before `rows` come twice that no others need be looked for? */
static void note_listed(struct kp_column_builder *builder, uint32_t rows)
{
    builder->listed |= rows >= LISTED_ROWS_MIN && builder->distinct > rows / 4 * 3;
}

static void add_strings(struct kp_column_builder *builder, const struct kp_vec *vec, uint32_t rows)
{
    uint32_t *codes = (uint32_t *)(void *)kp_buf_reserve(&builder->values, rows * sizeof *codes);
    const struct kp_text *texts = vec->data, *last = NULL;
    uint32_t last_code = 0;
    for (uint32_t i = 0; i < rows; i++) {
        if (i % LISTED_ROWS_MIN == 0)
            note_listed(builder, builder->rows + i);
        if (kp_vec_is_null(vec, i) || builder->heap.len > HEAP_BYTES_MAX) {
            codes[i] = 0;
            continue;
        }
        const struct kp_text *text = &texts[vec->constant ? 0 : i];
        if (!last || !kp_text_equal(last, text))
            last_code = code_of(builder, kp_text_str(text));
        codes[i] = last_code;
        last = text;
    }
    builder->values.len += rows * sizeof *codes;
}

static void add_digits(struct kp_column_builder *builder, const struct kp_numeric *numbers, const struct kp_vec *vec,
                       uint32_t rows)
{
    struct kp_buf text = {0};
    uint32_t code = 0;
    for (uint32_t i = 0; i < rows; i++) {
        if (i > 0 && vec && vec->constant) { /* it has the code of the first */
            kp_buf_append(&builder->values, &code, sizeof code);
            continue;
        }
        text.len = 0;
        if (!vec || !kp_vec_is_null(vec, i))
            kp_numeric_print(&numbers[i], &text);
        code = 0;
        if (builder->heap.len <= HEAP_BYTES_MAX)
            code = code_of(builder, (struct kp_str){(const char *)text.data, text.len});
        kp_buf_append(&builder->values, &code, sizeof code);
    }
    kp_buf_finish(&text);
}

static void add_numerics(struct kp_column_builder *builder, const struct kp_vec *vec, uint32_t rows)
{
    const struct kp_numeric *numbers = vec->data;
    bool small = true;
    for (uint32_t i = 0; small && i < rows; i++)
        small = kp_vec_is_null(vec, i) || kp_numeric_is_small(&numbers[vec->constant ? 0 : i]);
    if (!small && !builder->digits) { /* what came so far becomes text */
        struct kp_buf before = builder->values;
        builder->values = (struct kp_buf){0};
        builder->digits = true;
        add_digits(builder, (const struct kp_numeric *)(const void *)before.data, NULL,
                   (uint32_t)(before.len / sizeof *numbers));
        kp_buf_finish(&before);
    }
    if (builder->digits) {
        add_digits(builder, numbers, vec, rows);
        return;
    }
    struct kp_numeric *to = (struct kp_numeric *)(void *)kp_buf_reserve(&builder->values, rows * sizeof *to);
    for (uint32_t i = 0; i < rows; i++)
        to[i] = kp_vec_is_null(vec, i) ? kp_numeric_small(0, 0) : numbers[vec->constant ? 0 : i];
    builder->values.len += rows * sizeof *to;
}

static void add_fixed(struct kp_column_builder *builder, const struct kp_vec *vec, uint32_t rows)
{
    uint32_t bytes = kp_physical_bytes(builder->physical);
    uint8_t *to = kp_buf_reserve(&builder->values, (size_t)rows * bytes);
    if (vec->constant)
        for (uint32_t i = 0; i < rows; i++)
            memcpy(to + (size_t)i * bytes, vec->data, bytes);
    else
        memcpy(to, vec->data, (size_t)rows * bytes);
    for (uint32_t i = 0; vec->valid && i < rows; i++) /* nothing under a NULL */
        if (kp_vec_is_null(vec, i))
            memset(to + (size_t)i * bytes, 0, bytes);
    builder->values.len += (size_t)rows * bytes;
}

void kp_column_builder_add(struct kp_column_builder *builder, const struct kp_vec *vec, uint32_t rows)
{
    if (rows == 0)
        return;
    if (builder->physical == KP_PHYSICAL_STRING)
        add_strings(builder, vec, rows);
    else if (builder->physical == KP_PHYSICAL_NUMERIC)
        add_numerics(builder, vec, rows);
    else
        add_fixed(builder, vec, rows);
    note_nulls(builder, vec, rows);
    builder->rows += rows;
}

/* ---- encoding ---- */

static bool row_valid(const struct kp_column_builder *builder, uint32_t row)
{
    return !builder->nulls || (builder->valid[row >> 6] >> (row & 63) & 1);
}

void kp_column_builder_integers(const struct kp_column_builder *builder, int64_t *restrict out)
{
    const void *data = builder->values.data;
    uint32_t rows = builder->rows;
    switch (builder->physical) {
    case KP_PHYSICAL_I8:
        for (uint32_t i = 0; i < rows; i++)
            out[i] = (int64_t)(((const uint8_t *)data)[i] ^ 0x80) - 0x80; /* the sign of eight bits */
        break;
    case KP_PHYSICAL_I16:
        for (uint32_t i = 0; i < rows; i++)
            out[i] = ((const int16_t *)data)[i];
        break;
    case KP_PHYSICAL_I32:
        for (uint32_t i = 0; i < rows; i++)
            out[i] = ((const int32_t *)data)[i];
        break;
    case KP_PHYSICAL_NUMERIC:
        for (uint32_t i = 0; i < rows; i++)
            out[i] = ((const struct kp_numeric *)data)[i].coef;
        break;
    default:
        if (rows)
            memcpy(out, data, rows * sizeof *out);
        break;
    }
}

static void align_payload(struct kp_buf *payload, uint32_t alignment)
{
    while (payload->len % alignment)
        kp_buf_append_byte(payload, 0);
}

static void put_nulls(const struct kp_column_builder *builder, struct kp_column_chunk_header *header,
                      struct kp_buf *payload)
{
    header->nulls = builder->nulls;
    if (builder->nulls == 0)
        return;
    header->valid_at = (uint32_t)payload->len;
    kp_buf_append(payload, builder->valid, (builder->rows + 63) / 64 * 8);
    if (builder->rows & 63) { /* one form for one content */
        uint64_t *last = (uint64_t *)(void *)(payload->data + payload->len - 8);
        *last &= ((uint64_t)1 << (builder->rows & 63)) - 1;
    }
}

/* The largest of the usual units that all values are a multiple of, counted from the least. */
static uint64_t common_factor(const uint64_t *codes, uint32_t rows)
{
    static const uint64_t units[] = {86400000000, 3600000000, 60000000, 1000000, 1000, 100, 10};
    for (size_t u = 0; u < KP_COUNT(units); u++) {
        uint32_t i = 0;
        while (i < rows && codes[i] % units[u] == 0)
            i++;
        if (i == rows)
            return units[u];
    }
    return 1;
}

static void put_bound(uint8_t *to, uint8_t *ret_bytes, const void *from, size_t bytes)
{
    if (bytes)
        memcpy(to, from, bytes);
    *ret_bytes = (uint8_t)bytes;
}

static void put_frame(const struct kp_column_builder *builder, struct kp_column_chunk_header *header,
                      struct kp_buf *payload)
{
    uint32_t rows = builder->rows;
    int64_t least = INT64_MAX, largest = INT64_MIN, *values = kp_alloc((rows + (size_t)1) * sizeof *values);
    kp_column_builder_integers(builder, values);
    if (builder->nulls == 0)
        for (uint32_t i = 0; i < rows; i++) {
            least = KP_MIN(least, values[i]);
            largest = KP_MAX(largest, values[i]);
        }
    for (uint32_t i = 0; builder->nulls && i < rows; i++)
        if (row_valid(builder, i)) {
            least = KP_MIN(least, values[i]);
            largest = KP_MAX(largest, values[i]);
        }
    bool any = least <= largest;
    header->encoding = KP_COLUMN_FRAME;
    header->base = any ? least : 0;
    for (uint32_t i = 0; builder->nulls && i < rows; i++)
        if (!row_valid(builder, i))
            values[i] = header->base;
    uint64_t *codes = (uint64_t *)values, max = any ? (uint64_t)largest - (uint64_t)least : 0;
    for (uint32_t i = 0; i < rows; i++)
        codes[i] -= (uint64_t)header->base;
    header->factor = max ? common_factor(codes, builder->rows) : 1;
    for (uint32_t i = 0; header->factor > 1 && i < builder->rows; i++)
        codes[i] /= header->factor;
    header->width = kp_pack_width(max / header->factor);
    header->codes_at = (uint32_t)payload->len;
    kp_pack_append(payload, codes, builder->rows, header->width);
    kp_free(codes);
    if (any && builder->physical != KP_PHYSICAL_NUMERIC) {
        header->flags = KP_COLUMN_HAS_LEAST | KP_COLUMN_HAS_LARGEST;
        put_bound(header->least, &header->least_bytes, &least, sizeof least);
        put_bound(header->largest, &header->largest_bytes, &largest, sizeof largest);
    }
}

static void put_plain(const struct kp_column_builder *builder, struct kp_column_chunk_header *header,
                      struct kp_buf *payload)
{
    header->encoding = KP_COLUMN_PLAIN;
    align_payload(payload, 16);
    header->codes_at = (uint32_t)payload->len;
    kp_buf_append(payload, builder->values.data, builder->values.len);
}

static bool one_scale(const struct kp_column_builder *builder, uint16_t *ret_scale)
{
    const struct kp_numeric *numbers = (const struct kp_numeric *)(const void *)builder->values.data;
    bool any = false;
    *ret_scale = 0;
    for (uint32_t i = 0; i < builder->rows; i++) {
        if (!row_valid(builder, i))
            continue;
        if (any && numbers[i].scale != *ret_scale)
            return false;
        *ret_scale = numbers[i].scale;
        any = true;
    }
    return true;
}

static void put_string_bounds(const struct kp_column_builder *builder, struct kp_column_chunk_header *header)
{
    struct kp_str least = {NULL, 0}, largest = {NULL, 0};
    bool any = false;
    for (uint32_t code = 0; code < builder->distinct; code++) {
        struct kp_str text = kp_column_builder_distinct(builder, code);
        if (!any || kp_str_compare(text, least) < 0)
            least = text;
        if (!any || kp_str_compare(text, largest) > 0)
            largest = text;
        any = true;
    }
    if (!any || builder->physical != KP_PHYSICAL_STRING)
        return;
    header->flags = KP_COLUMN_HAS_LEAST;
    put_bound(header->least, &header->least_bytes, least.ptr, KP_MIN(least.len, (size_t)KP_COLUMN_BOUND_BYTES));
    if (largest.len > KP_COLUMN_BOUND_BYTES)
        return;
    header->flags |= KP_COLUMN_HAS_LARGEST;
    put_bound(header->largest, &header->largest_bytes, largest.ptr, largest.len);
}

static void put_offsets(struct kp_column_chunk_header *header, struct kp_buf *payload, uint64_t *offsets, size_t n)
{
    header->heap_bytes = (uint32_t)offsets[n];
    header->offset_width = kp_pack_width(header->heap_bytes);
    header->offsets_at = (uint32_t)payload->len;
    kp_pack_append(payload, offsets, n + 1, header->offset_width);
    header->heap_at = (uint32_t)payload->len;
}

static void put_strings(const struct kp_column_builder *builder, struct kp_column_chunk_header *header,
                        struct kp_buf *payload)
{
    const uint32_t *codes = (const uint32_t *)(const void *)builder->values.data;
    const uint32_t *starts = (const uint32_t *)(const void *)builder->offsets.data;
    uint32_t rows = builder->rows, distinct = builder->distinct;
    uint64_t whole = 0, *offsets = kp_alloc(((size_t)KP_MAX(rows, distinct) + 1) * sizeof *offsets);
    for (uint32_t i = 0; i < rows; i++) {
        offsets[i] = whole;
        whole += row_valid(builder, i) && distinct ? kp_column_builder_distinct(builder, codes[i]).len : 0;
    }
    offsets[rows] = whole;
    uint32_t width = kp_pack_width(distinct ? distinct - 1 : 0);
    uint64_t listed = whole + kp_pack_bytes(rows, kp_pack_width(whole));
    uint64_t shared =
        builder->heap.len + kp_pack_bytes(rows, width) + kp_pack_bytes(distinct, kp_pack_width(builder->heap.len));
    if (builder->digits || listed <= shared) {
        header->encoding = builder->digits ? KP_COLUMN_DIGITS : KP_COLUMN_STRINGS;
        put_offsets(header, payload, offsets, rows);
        for (uint32_t i = 0; i < rows; i++)
            if (row_valid(builder, i) && distinct)
                kp_buf_append_str(payload, kp_column_builder_distinct(builder, codes[i]));
    } else {
        header->encoding = KP_COLUMN_DICTIONARY;
        header->entries = distinct;
        header->width = width;
        for (uint32_t i = 0; i < rows; i++)
            offsets[i] = codes[i];
        header->codes_at = (uint32_t)payload->len;
        kp_pack_append(payload, offsets, rows, width);
        for (uint32_t i = 0; i < distinct; i++)
            offsets[i] = starts[i];
        offsets[distinct] = builder->heap.len;
        put_offsets(header, payload, offsets, distinct);
        kp_buf_append(payload, builder->heap.data, builder->heap.len);
    }
    kp_free(offsets);
    put_string_bounds(builder, header);
}

/* Few distinct values of a fixed width: true if they are written as a dictionary. */
static bool put_fixed_dictionary(const struct kp_column_builder *builder, struct kp_column_chunk_header *header,
                                 struct kp_buf *payload)
{
    uint32_t bytes = kp_physical_bytes(builder->physical), rows = builder->rows;
    uint32_t max = KP_MIN(rows / 4, (uint32_t)FIXED_DISTINCT_MAX), mask = 4 * FIXED_DISTINCT_MAX - 1, distinct = 0;
    uint32_t *table = kp_calloc(mask + 1, sizeof *table);
    uint64_t *codes = kp_alloc((rows + (size_t)1) * sizeof *codes);
    struct kp_buf values = {0};
    bool few = max > 0;
    for (uint32_t i = 0; few && i < rows; i++) {
        const uint8_t *value = builder->values.data + (size_t)i * bytes;
        uint32_t at = (uint32_t)kp_hash_bytes(value, bytes) & mask;
        while (table[at] && memcmp(values.data + (size_t)(table[at] - 1) * bytes, value, bytes) != 0)
            at = (at + 1) & mask;
        if (!table[at]) {
            few = distinct < max;
            kp_buf_append(&values, value, bytes);
            table[at] = ++distinct;
        }
        codes[i] = table[at] - 1;
    }
    if (few) {
        header->encoding = KP_COLUMN_DICTIONARY;
        header->entries = distinct;
        header->width = kp_pack_width(distinct - 1);
        align_payload(payload, 16);
        header->offsets_at = (uint32_t)payload->len;
        kp_buf_append(payload, values.data, values.len);
        header->codes_at = (uint32_t)payload->len;
        kp_pack_append(payload, codes, rows, header->width);
    }
    kp_free(table);
    kp_free(codes);
    kp_buf_finish(&values);
    return few;
}

void kp_column_chunk_seal(struct kp_column_chunk_header *header, const struct kp_buf *bloom, struct kp_buf *payload,
                          struct kp_buf *out)
{
    for (uint32_t i = 0; i < KP_COLUMN_PAD_BYTES; i++)
        kp_buf_append_byte(payload, 0);
    align_payload(payload, KP_COLUMN_ALIGN);
    header->magic = KP_COLUMN_CHUNK_MAGIC;
    header->format = KP_COLUMN_FORMAT;
    header->payload_bytes = payload->len;
    header->payload_crc = kp_crc32c(0, payload->data, payload->len);
    header->bloom_bytes = bloom ? (uint32_t)bloom->len : 0;
    header->bloom_crc = bloom ? kp_crc32c(0, bloom->data, bloom->len) : 0;
    header->crc = kp_crc32c(0, header, offsetof(struct kp_column_chunk_header, crc));
    kp_buf_append(out, header, sizeof *header);
    if (bloom)
        kp_buf_append(out, bloom->data, bloom->len);
    kp_buf_append(out, payload->data, payload->len);
}

/* Decimals as text are listed row by row, however often one comes: more bytes than the builder holds. */
static uint64_t digits_bytes(const struct kp_column_builder *builder)
{
    const uint32_t *codes = (const uint32_t *)(const void *)builder->values.data;
    uint64_t bytes = 0;
    for (uint32_t i = 0; builder->digits && builder->distinct && i < builder->rows; i++)
        bytes += row_valid(builder, i) ? kp_column_builder_distinct(builder, codes[i]).len : 0;
    return bytes;
}

bool kp_column_builder_encode(struct kp_column_builder *builder, int64_t begin, int64_t end, struct kp_buf *out)
{
    if (kp_column_builder_bytes(builder) > HEAP_BYTES_MAX || builder->rows > KP_COLUMN_ROWS_MAX ||
        digits_bytes(builder) > HEAP_BYTES_MAX)
        return false;
    struct kp_column_chunk_header header = {.begin = begin,
                                            .end = end,
                                            .physical = (uint8_t)builder->physical,
                                            .rows = builder->rows,
                                            .factor = 1,
                                            .valid_at = KP_COLUMN_NONE,
                                            .codes_at = KP_COLUMN_NONE,
                                            .offsets_at = KP_COLUMN_NONE,
                                            .heap_at = KP_COLUMN_NONE};
    struct kp_buf payload = {0}, bloom = {0};
    put_nulls(builder, &header, &payload);
    if (kp_physical_is_integer(builder->physical))
        put_frame(builder, &header, &payload);
    else if (builder->physical == KP_PHYSICAL_STRING || builder->digits)
        put_strings(builder, &header, &payload);
    else if (builder->physical == KP_PHYSICAL_NUMERIC && one_scale(builder, &header.scale))
        put_frame(builder, &header, &payload);
    else if (!put_fixed_dictionary(builder, &header, &payload))
        put_plain(builder, &header, &payload);
    kp_column_bloom_make(builder, &header, &bloom);
    kp_column_chunk_seal(&header, &bloom, &payload, out);
    kp_buf_finish(&payload);
    kp_buf_finish(&bloom);
    return true;
}
