/*
 * Reading a chunk: everything is checked once, when it comes into memory; slices are then taken without a check.
 */
#include "log/column_chunk.h"

#include "base/hash.h"
#include "log/column_pack.h"
#include "log/plant.h"
#include "vec/numeric.h"

const char *kp_column_header_wrong(const struct kp_column_chunk_header *header)
{
    if (header->magic != KP_COLUMN_CHUNK_MAGIC)
        return "no chunk begins here";
    if (header->format != KP_COLUMN_FORMAT)
        return "a chunk of another format";
    if (kp_crc32c(0, header, offsetof(struct kp_column_chunk_header, crc)) != header->crc)
        return "a chunk's header fails its checksum";
    if (header->begin < 0 || header->end <= header->begin || header->rows > KP_COLUMN_ROWS_MAX ||
        header->nulls > header->rows || header->payload_bytes > (uint64_t)1 << 32 ||
        header->payload_bytes % KP_COLUMN_ALIGN || header->bloom_bytes % KP_COLUMN_ALIGN ||
        header->bloom_bytes > 1 << 24 || header->least_bytes > KP_COLUMN_BOUND_BYTES ||
        header->largest_bytes > KP_COLUMN_BOUND_BYTES)
        return "a chunk's header is impossible";
    return NULL;
}

/* ---- checks ---- */

/* A section of len bytes at `at`, with pad readable bytes behind it. */
static bool lies_inside(const struct kp_column_chunk_header *header, uint32_t at, uint64_t len, uint32_t pad)
{
    return at != KP_COLUMN_NONE && len <= header->payload_bytes && at <= header->payload_bytes - len &&
           pad <= header->payload_bytes - len - at;
}

static bool codes_inside(const struct kp_column_chunk_header *header, uint32_t at, uint64_t n, uint32_t width)
{
    return width <= 64 && lies_inside(header, at, kp_pack_bytes(n, width), KP_COLUMN_PAD_BYTES);
}

/* n + 1 offsets that never fall and end within the heap. */
static bool offsets_right(const struct kp_column_chunk *chunk, uint64_t n)
{
    const struct kp_column_chunk_header *header = chunk->header;
    if (!codes_inside(header, header->offsets_at, n + 1, header->offset_width) ||
        !lies_inside(header, header->heap_at, header->heap_bytes, KP_COLUMN_PAD_BYTES))
        return false;
    uint64_t before = 0;
    for (uint64_t i = 0; i <= n; i++) {
        uint64_t offset = kp_pack_get(chunk->payload + header->offsets_at, header->offset_width, i);
        if (offset < before || offset > header->heap_bytes)
            return false;
        before = offset;
    }
    return true;
}

static bool is_null(const struct kp_column_chunk *chunk, uint32_t row)
{
    if (chunk->header->valid_at == KP_COLUMN_NONE)
        return false;
    return !(chunk->payload[chunk->header->valid_at + row / 8] >> (row & 7) & 1);
}

static struct kp_str heap_text(const struct kp_column_chunk *chunk, uint64_t i)
{
    const struct kp_column_chunk_header *header = chunk->header;
    uint64_t from = kp_pack_get(chunk->payload + header->offsets_at, header->offset_width, i);
    uint64_t to = kp_pack_get(chunk->payload + header->offsets_at, header->offset_width, i + 1);
    return (struct kp_str){(const char *)chunk->payload + header->heap_at + from, (size_t)(to - from)};
}

/* Text that is read back as decimals must be decimals. */
static bool digits_right(const struct kp_column_chunk *chunk)
{
    struct kp_arena arena = {0};
    struct kp_numeric number;
    bool right = true;
    for (uint32_t row = 0; right && row < chunk->header->rows; row++) {
        if (!is_null(chunk, row))
            right = kp_numeric_parse(heap_text(chunk, row), &arena, &number, NULL) == KP_OK;
        kp_arena_reset(&arena);
    }
    kp_arena_finish(&arena);
    return right;
}

static bool numerics_right(const uint8_t *at, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        struct kp_numeric number;
        memcpy(&number, at + (size_t)i * sizeof number, sizeof number);
        if (number.kind != KP_NUMERIC_SMALL || number.scale > KP_NUMERIC_SMALL_SCALE_MAX)
            return false;
    }
    return true;
}

static bool dictionary_right(const struct kp_column_chunk *chunk, enum kp_column_physical physical)
{
    const struct kp_column_chunk_header *header = chunk->header;
    if (kp_physical_bytes(physical) < 4 || header->entries == 0 || header->entries > header->rows ||
        !codes_inside(header, header->codes_at, header->rows, header->width) ||
        kp_pack_max(chunk->payload + header->codes_at, header->width, header->rows) >= header->entries)
        return false;
    if (physical == KP_PHYSICAL_STRING)
        return offsets_right(chunk, header->entries);
    return lies_inside(header, header->offsets_at, (uint64_t)header->entries * kp_physical_bytes(physical), 0) &&
           (physical != KP_PHYSICAL_NUMERIC || numerics_right(chunk->payload + header->offsets_at, header->entries));
}

static bool payload_right(const struct kp_column_chunk *chunk, enum kp_column_physical physical)
{
    const struct kp_column_chunk_header *header = chunk->header;
    bool numeric = physical == KP_PHYSICAL_NUMERIC;
    if (header->valid_at != KP_COLUMN_NONE &&
        (header->valid_at % 8 || !lies_inside(header, header->valid_at, ((uint64_t)header->rows + 63) / 64 * 8, 0)))
        return false;
    switch (header->encoding) {
    case KP_COLUMN_FRAME:
        return (kp_physical_is_integer(physical) || (numeric && header->scale <= KP_NUMERIC_SMALL_SCALE_MAX)) &&
               codes_inside(header, header->codes_at, header->rows, header->width);
    case KP_COLUMN_PLAIN:
        return physical != KP_PHYSICAL_STRING &&
               lies_inside(header, header->codes_at, (uint64_t)header->rows * kp_physical_bytes(physical), 0) &&
               (!numeric || numerics_right(chunk->payload + header->codes_at, header->rows));
    case KP_COLUMN_DICTIONARY:
        return dictionary_right(chunk, physical);
    case KP_COLUMN_STRINGS:
        return physical == KP_PHYSICAL_STRING && offsets_right(chunk, header->rows);
    case KP_COLUMN_DIGITS:
        return numeric && offsets_right(chunk, header->rows) && digits_right(chunk);
    default:
        return false;
    }
}

enum kp_code kp_column_chunk_open(const uint8_t *bytes, size_t len, enum kp_column_physical physical,
                                  struct kp_column_chunk *ret_chunk, struct kp_error *err)
{
    const struct kp_column_chunk_header *header = (const void *)bytes;
    const char *wrong = len < sizeof *header ? "a chunk is cut off" : kp_column_header_wrong(header);
    if (!wrong && kp_column_chunk_bytes(header) > len)
        wrong = "a chunk is cut off";
    if (wrong)
        return kp_fail(err, KP_CORRUPT, NULL, "%s", wrong);
    struct kp_column_chunk chunk = {.header = header, .payload = bytes + sizeof *header + header->bloom_bytes};
    if (kp_log_planted != KP_PLANT_COLUMN_UNCHECKED &&
        (kp_crc32c(0, chunk.payload, (size_t)header->payload_bytes) != header->payload_crc ||
         kp_crc32c(0, bytes + sizeof *header, header->bloom_bytes) != header->bloom_crc))
        return kp_fail(err, KP_CORRUPT, NULL, "a chunk fails its checksum");
    if (header->physical != physical || !payload_right(&chunk, physical))
        return kp_fail(err, KP_CORRUPT, NULL, "a chunk holds what its header does not allow");
    if (header->encoding == KP_COLUMN_DICTIONARY && physical == KP_PHYSICAL_STRING) {
        chunk.texts = kp_alloc(header->entries * sizeof *chunk.texts);
        for (uint32_t i = 0; i < header->entries; i++) {
            struct kp_str text = heap_text(&chunk, i);
            chunk.texts[i] = kp_text_make(text.ptr, text.len);
        }
    }
    *ret_chunk = chunk;
    return KP_OK;
}

void kp_column_chunk_close(struct kp_column_chunk *chunk)
{
    kp_free(chunk->texts);
    chunk->texts = NULL;
}

size_t kp_column_chunk_extra_bytes(const struct kp_column_chunk *chunk)
{
    return chunk->texts ? chunk->header->entries * sizeof *chunk->texts : 0;
}

/* ---- slices ---- */

static void slice_valid(const struct kp_column_chunk *chunk, uint32_t first, uint32_t rows, struct kp_arena *arena,
                        struct kp_vec *vec)
{
    if (chunk->header->valid_at == KP_COLUMN_NONE)
        return;
    uint32_t words = (rows + 63) / 64, all = (chunk->header->rows + 63) / 64, at = first / 64, shift = first & 63;
    uint64_t *valid = kp_arena_alloc(arena, ((size_t)words + 1) * sizeof *valid);
    const uint64_t *from = (const uint64_t *)(const void *)(chunk->payload + chunk->header->valid_at);
    for (uint32_t w = 0; w < words; w++) {
        uint64_t low = from[at + w] >> shift;
        valid[w] = shift && at + w + 1 < all ? low | from[at + w + 1] << (64 - shift) : low;
    }
    vec->valid = valid;
}

static void slice_integers(const struct kp_column_chunk *chunk, enum kp_column_physical physical, uint32_t first,
                           uint32_t rows, struct kp_vec *vec)
{
    const struct kp_column_chunk_header *header = chunk->header;
    const uint8_t *codes = chunk->payload + header->codes_at;
    if (physical == KP_PHYSICAL_I64) {
        kp_unpack_u64(codes, header->width, first, rows, (uint64_t)header->base, header->factor, vec->data);
        return;
    }
    if (physical == KP_PHYSICAL_I32) {
        kp_unpack_u32(codes, header->width, first, rows, (uint32_t)header->base, (uint32_t)header->factor, vec->data);
        return;
    }
    uint32_t piece[1024];
    for (uint32_t at = 0; at < rows; at += (uint32_t)KP_COUNT(piece)) {
        uint32_t n = KP_MIN(rows - at, (uint32_t)KP_COUNT(piece));
        kp_unpack_u32(codes, header->width, first + at, n, (uint32_t)header->base, (uint32_t)header->factor, piece);
        if (physical == KP_PHYSICAL_I16)
            for (uint32_t i = 0; i < n; i++)
                ((int16_t *)vec->data)[at + i] = (int16_t)piece[i];
        else
            for (uint32_t i = 0; i < n; i++)
                ((uint8_t *)vec->data)[at + i] = (uint8_t)piece[i];
    }
}

/* Values of two words are written as words: put together from smaller parts, each would wait for its own stores. */
static_assert(offsetof(struct kp_numeric, coef) == 0 && offsetof(struct kp_numeric, scale) == 8, "as written below");
static_assert(offsetof(struct kp_numeric, kind) == 10 && KP_NUMERIC_SMALL == 0, "as written below");

static void slice_decimals(const struct kp_column_chunk *chunk, uint32_t first, uint32_t rows, struct kp_vec *vec)
{
    const struct kp_column_chunk_header *header = chunk->header;
    kp_unpack_pairs(chunk->payload + header->codes_at, header->width, first, rows, (uint64_t)header->base,
                    header->factor, header->scale, vec->data);
}

static void slice_dictionary(const struct kp_column_chunk *chunk, uint32_t bytes, uint32_t first, uint32_t rows,
                             struct kp_vec *vec)
{
    const struct kp_column_chunk_header *header = chunk->header;
    const uint8_t *codes = chunk->payload + header->codes_at;
    const void *values = chunk->texts ? (const void *)chunk->texts
                                      : (const void *)(chunk->payload + header->offsets_at); /* aligned: see build */
    if (bytes == 16) {
        kp_unpack_chosen(codes, header->width, first, rows, values, vec->data);
        return;
    }
    uint32_t piece[1024];
    uint8_t *out = vec->data;
    for (uint32_t at = 0; at < rows; at += (uint32_t)KP_COUNT(piece)) {
        uint32_t n = KP_MIN(rows - at, (uint32_t)KP_COUNT(piece));
        kp_unpack_u32(codes, header->width, first + at, n, 0, 1, piece);
        if (bytes == 8)
            for (uint32_t i = 0; i < n; i++)
                memcpy(out + (size_t)(at + i) * 8, (const uint8_t *)values + (size_t)piece[i] * 8, 8);
        else
            for (uint32_t i = 0; i < n; i++)
                memcpy(out + (size_t)(at + i) * 4, (const uint8_t *)values + (size_t)piece[i] * 4, 4);
    }
}

static_assert(offsetof(struct kp_text, prefix) == 4 && offsetof(struct kp_text, ptr) == 8, "as written below");

/* kp_text_make, by words; reads 12 bytes, which are there behind any string of a heap. */
static inline void put_text(uint64_t out[2], const char *bytes, uint64_t len)
{
    uint32_t prefix;
    uint64_t rest;
    memcpy(&prefix, bytes, sizeof prefix);
    memcpy(&rest, bytes + 4, sizeof rest);
    if (len > KP_TEXT_INLINE_BYTES) {
        rest = (uint64_t)(uintptr_t)bytes;
    } else {
        uint64_t low = len < 4 ? len : 4, high = len - low;
        prefix &= (uint32_t)(((uint64_t)1 << (8 * low)) - 1);
        rest &= high == 8 ? UINT64_MAX : ((uint64_t)1 << (8 * high)) - 1;
    }
    out[0] = len | (uint64_t)prefix << 32;
    out[1] = rest;
}

static void slice_strings(const struct kp_column_chunk *chunk, uint32_t first, uint32_t rows, struct kp_vec *vec)
{
    const struct kp_column_chunk_header *header = chunk->header;
    const char *heap = (const char *)chunk->payload + header->heap_at;
    uint64_t *out = vec->data, piece[1025];
    for (uint32_t at = 0; at < rows; at += 1024) {
        uint32_t n = KP_MIN(rows - at, 1024u);
        kp_unpack_u64(chunk->payload + header->offsets_at, header->offset_width, first + at, n + (size_t)1, 0, 1,
                      piece);
        for (uint32_t i = 0; i < n; i++)
            put_text(&out[2 * (size_t)(at + i)], heap + piece[i], piece[i + 1] - piece[i]);
    }
}

static void slice_digits(const struct kp_column_chunk *chunk, uint32_t first, uint32_t rows, struct kp_arena *arena,
                         struct kp_vec *vec)
{
    struct kp_numeric *out = vec->data;
    for (uint32_t i = 0; i < rows; i++)
        if (is_null(chunk, first + i) || kp_numeric_parse(heap_text(chunk, first + i), arena, &out[i], NULL) != KP_OK)
            out[i] = kp_numeric_small(0, 0);
}

void kp_column_chunk_slice(const struct kp_column_chunk *chunk, struct kp_type type, uint32_t first, uint32_t rows,
                           struct kp_arena *arena, struct kp_vec *ret_vec)
{
    const struct kp_column_chunk_header *header = chunk->header;
    enum kp_column_physical physical = (enum kp_column_physical)header->physical;
    uint32_t bytes = kp_physical_bytes(physical);
    KP_ASSERT(first <= header->rows && rows <= header->rows - first);
    struct kp_vec vec = {.type = type};
    slice_valid(chunk, first, rows, arena, &vec);
    vec.data = kp_arena_alloc(arena, ((size_t)rows + 1) * bytes);
    switch (header->encoding) {
    case KP_COLUMN_FRAME:
        if (physical == KP_PHYSICAL_NUMERIC)
            slice_decimals(chunk, first, rows, &vec);
        else
            slice_integers(chunk, physical, first, rows, &vec);
        break;
    case KP_COLUMN_PLAIN:
        memcpy(vec.data, chunk->payload + header->codes_at + (size_t)first * bytes, (size_t)rows * bytes);
        break;
    case KP_COLUMN_DICTIONARY:
        slice_dictionary(chunk, bytes, first, rows, &vec);
        break;
    case KP_COLUMN_STRINGS:
        slice_strings(chunk, first, rows, &vec);
        break;
    default:
        slice_digits(chunk, first, rows, arena, &vec);
        break;
    }
    for (uint32_t i = 0; vec.valid && i < rows; i++) /* nothing lies under a NULL */
        if (kp_vec_is_null(&vec, i))
            memset((uint8_t *)vec.data + (size_t)i * bytes, 0, bytes);
    *ret_vec = vec;
}
