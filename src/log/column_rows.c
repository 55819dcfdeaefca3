/*
 * The rows file's chunks. Positions hardly take room: a row's code is the number of records of the log before it in the
 * range that are not rows of the set, so where every record is one, codes have no bits.
 */
#include "log/column_rows.h"

#include "base/hash.h"
#include "log/column_pack.h"
#include "log/plant.h"

static_assert(sizeof(struct kp_column_batch) == 32, "as on disk");

struct dead_head {
    int64_t position, offset;
    uint32_t partition;
    char sqlstate[5];
    uint8_t zero[3];
    uint32_t lens[3]; /* reason, key, value; UINT32_MAX: null */
    uint32_t zeros[2];
};
static_assert(sizeof(struct dead_head) == 48, "as on disk");

/* ---- making ---- */

void kp_rows_builder_finish(struct kp_rows_builder *builder)
{
    kp_buf_finish(&builder->positions);
    kp_buf_finish(&builder->tombstones);
    kp_buf_finish(&builder->batches);
    kp_buf_finish(&builder->letters);
    *builder = (struct kp_rows_builder){0};
}

void kp_rows_builder_reset(struct kp_rows_builder *builder)
{
    builder->rows = builder->records = builder->dead = 0;
    builder->any_tombstone = builder->too_much = false;
    builder->positions.len = builder->tombstones.len = builder->batches.len = builder->letters.len = 0;
}

void kp_rows_builder_add_batch(struct kp_rows_builder *builder, const struct kp_column_batch *batch)
{
    builder->records += batch->records;
    kp_buf_append(&builder->batches, batch, sizeof *batch);
}

void kp_rows_builder_add(struct kp_rows_builder *builder, const int64_t *positions, const uint8_t *tombstones,
                         uint32_t rows)
{
    kp_buf_append(&builder->positions, positions, rows * sizeof *positions);
    if (tombstones)
        kp_buf_append(&builder->tombstones, tombstones, rows);
    else
        memset(kp_buf_reserve(&builder->tombstones, rows), 0, rows);
    builder->tombstones.len += tombstones ? 0 : rows;
    builder->any_tombstone |= tombstones != NULL;
    builder->rows += rows;
}

static uint32_t put_len(struct kp_str text, uint32_t max)
{
    return text.ptr ? (uint32_t)KP_MIN(text.len, (size_t)max) : UINT32_MAX;
}

void kp_rows_builder_add_dead(struct kp_rows_builder *builder, const struct kp_column_dead *dead)
{
    struct dead_head head = {.position = dead->position, .offset = dead->offset, .partition = dead->partition};
    const struct kp_str texts[3] = {dead->reason, dead->key, dead->value};
    memcpy(head.sqlstate, dead->sqlstate, sizeof head.sqlstate);
    for (int i = 0; i < 3; i++)
        head.lens[i] = put_len(texts[i], KP_COLUMN_SAMPLE_BYTES);
    builder->too_much |= builder->letters.len > KP_COLUMN_DEAD_BYTES_MAX;
    if (builder->too_much)
        return;
    kp_buf_append(&builder->letters, &head, sizeof head);
    for (int i = 0; i < 3; i++)
        if (texts[i].ptr)
            kp_buf_append(&builder->letters, texts[i].ptr, head.lens[i]);
    builder->dead++;
}

static void align_to(struct kp_buf *payload, uint32_t alignment)
{
    while (payload->len % alignment)
        kp_buf_append_byte(payload, 0);
}

bool kp_rows_builder_encode(struct kp_rows_builder *builder, int64_t begin, int64_t end, struct kp_buf *out)
{
    if (builder->too_much || builder->rows > KP_COLUMN_ROWS_MAX || builder->batches.len > KP_COLUMN_DEAD_BYTES_MAX * 16)
        return false;
    const int64_t *positions = (const int64_t *)(const void *)builder->positions.data;
    struct kp_column_chunk_header header = {.begin = begin,
                                            .end = end,
                                            .encoding = KP_COLUMN_ROW_MAP,
                                            .rows = builder->rows,
                                            .factor = 1,
                                            .records = builder->records,
                                            .dead = builder->dead,
                                            .entries =
                                                (uint32_t)(builder->batches.len / sizeof(struct kp_column_batch)),
                                            .valid_at = KP_COLUMN_NONE};
    struct kp_buf payload = {0};
    kp_buf_append(&payload, builder->batches.data, builder->batches.len); /* offsets_at is 0 */
    if (builder->any_tombstone) {
        header.valid_at = (uint32_t)payload.len;
        uint64_t word = 0;
        for (uint32_t i = 0; i < builder->rows; i++) {
            word |= (uint64_t)(builder->tombstones.data[i] != 0) << (i & 63);
            header.nulls += builder->tombstones.data[i] != 0;
            if ((i & 63) == 63 || i + 1 == builder->rows) {
                kp_buf_append(&payload, &word, sizeof word);
                word = 0;
            }
        }
    }
    uint64_t *codes = kp_alloc((builder->rows + (size_t)1) * sizeof *codes);
    for (uint32_t i = 0; i < builder->rows; i++)
        codes[i] = (uint64_t)(positions[i] - begin - i);
    header.width = kp_pack_width(builder->rows ? codes[builder->rows - 1] : 0); /* codes never fall */
    header.codes_at = (uint32_t)payload.len;
    kp_pack_append(&payload, codes, builder->rows, header.width);
    kp_free(codes);
    align_to(&payload, 8);
    header.heap_at = (uint32_t)payload.len;
    header.heap_bytes = (uint32_t)builder->letters.len;
    kp_buf_append(&payload, builder->letters.data, builder->letters.len);
    kp_column_chunk_seal(&header, NULL, &payload, out);
    kp_buf_finish(&payload);
    return true;
}

/* ---- reading ---- */

static bool inside(const struct kp_column_chunk_header *header, uint32_t at, uint64_t len)
{
    return len <= header->payload_bytes && at <= header->payload_bytes - len;
}

static bool batches_right(const struct kp_rows_chunk *chunk)
{
    const struct kp_column_chunk_header *header = chunk->header;
    if (header->offsets_at != 0 || !inside(header, 0, (uint64_t)header->entries * sizeof(struct kp_column_batch)))
        return false;
    int64_t position = header->begin;
    for (uint32_t i = 0; i < header->entries; i++) {
        const struct kp_column_batch *batch = &chunk->batches[i];
        if (batch->position < position || batch->position >= header->end ||
            batch->records > header->end - batch->position)
            return false;
        position = batch->position + batch->records;
    }
    return header->entries || (header->rows == 0 && header->dead == 0);
}

static bool positions_right(const struct kp_rows_chunk *chunk)
{
    const struct kp_column_chunk_header *header = chunk->header;
    if (header->width > 62 ||
        !inside(header, header->codes_at, kp_pack_bytes(header->rows, header->width) + KP_COLUMN_PAD_BYTES) ||
        (header->valid_at != KP_COLUMN_NONE &&
         (header->valid_at % 8 || !inside(header, header->valid_at, ((uint64_t)header->rows + 63) / 64 * 8))))
        return false;
    uint64_t before = 0, room = (uint64_t)(header->end - header->begin);
    for (uint32_t i = 0; header->width && i < header->rows; i++) {
        uint64_t code = kp_pack_get(chunk->payload + header->codes_at, header->width, i);
        if (code < before)
            return false;
        before = code;
    }
    if (header->rows && before + header->rows > room)
        return false;
    return header->rows == 0 ||
           kp_pack_get(chunk->payload + header->codes_at, header->width, 0) + (uint64_t)header->begin >=
               (uint64_t)chunk->batches[0].position;
}

/* Reads the dead letters into memory; false: they are not right. */
static bool read_dead(struct kp_rows_chunk *chunk)
{
    const struct kp_column_chunk_header *header = chunk->header;
    if (!inside(header, header->heap_at, header->heap_bytes) ||
        header->dead > header->heap_bytes / sizeof(struct dead_head))
        return false;
    if (header->dead == 0)
        return true;
    chunk->dead = kp_calloc(header->dead, sizeof *chunk->dead);
    const uint8_t *at = chunk->payload + header->heap_at, *end = at + header->heap_bytes;
    for (uint32_t i = 0; i < header->dead; i++) {
        struct dead_head head;
        struct kp_column_dead *dead = &chunk->dead[i];
        struct kp_str *texts[3] = {&dead->reason, &dead->key, &dead->value};
        if ((size_t)(end - at) < sizeof head)
            return false;
        memcpy(&head, at, sizeof head);
        at += sizeof head;
        dead->position = head.position;
        dead->offset = head.offset;
        dead->partition = head.partition;
        memcpy(dead->sqlstate, head.sqlstate, sizeof head.sqlstate);
        for (int k = 0; k < 3; k++) {
            if (head.lens[k] == UINT32_MAX)
                continue;
            if (head.lens[k] > (size_t)(end - at))
                return false;
            *texts[k] = (struct kp_str){(const char *)at, head.lens[k]};
            at += head.lens[k];
        }
        if (head.position < header->begin || head.position >= header->end || !dead->reason.ptr ||
            (i > 0 && head.position <= chunk->dead[i - 1].position))
            return false;
    }
    return true;
}

enum kp_code kp_rows_chunk_open(const uint8_t *bytes, size_t len, struct kp_rows_chunk *ret_chunk, struct kp_error *err)
{
    const struct kp_column_chunk_header *header = (const void *)bytes;
    const char *wrong = len < sizeof *header ? "a chunk is cut off" : kp_column_header_wrong(header);
    if (!wrong && kp_column_chunk_bytes(header) > len)
        wrong = "a chunk is cut off";
    if (wrong)
        return kp_fail(err, KP_CORRUPT, NULL, "%s", wrong);
    struct kp_rows_chunk chunk = {.header = header, .payload = bytes + sizeof *header + header->bloom_bytes};
    chunk.batches = (const void *)chunk.payload;
    if (kp_log_planted != KP_PLANT_COLUMN_UNCHECKED &&
        (kp_crc32c(0, chunk.payload, (size_t)header->payload_bytes) != header->payload_crc || header->bloom_bytes > 0))
        return kp_fail(err, KP_CORRUPT, NULL, "a chunk fails its checksum");
    if (header->encoding != KP_COLUMN_ROW_MAP || !batches_right(&chunk) || !positions_right(&chunk) ||
        !read_dead(&chunk)) {
        kp_rows_chunk_close(&chunk);
        return kp_fail(err, KP_CORRUPT, NULL, "a chunk of rows holds what its header does not allow");
    }
    *ret_chunk = chunk;
    return KP_OK;
}

void kp_rows_chunk_close(struct kp_rows_chunk *chunk)
{
    kp_free(chunk->dead);
    chunk->dead = NULL;
}

size_t kp_rows_chunk_extra_bytes(const struct kp_rows_chunk *chunk)
{
    return chunk->header->dead * sizeof *chunk->dead;
}

static int64_t position_at(const struct kp_rows_chunk *chunk, uint32_t row)
{
    return chunk->header->begin + row +
           (int64_t)kp_pack_get(chunk->payload + chunk->header->codes_at, chunk->header->width, row);
}

uint32_t kp_rows_chunk_find(const struct kp_rows_chunk *chunk, int64_t position)
{
    uint32_t low = 0, high = chunk->header->rows;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (position_at(chunk, mid) < position)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

int64_t *kp_rows_chunk_positions(const struct kp_rows_chunk *chunk, uint32_t first, uint32_t rows,
                                 struct kp_arena *arena)
{
    KP_ASSERT(first <= chunk->header->rows && rows <= chunk->header->rows - first);
    int64_t *positions = kp_arena_alloc(arena, ((size_t)rows + 1) * sizeof *positions);
    kp_unpack_u64(chunk->payload + chunk->header->codes_at, chunk->header->width, first, rows,
                  (uint64_t)chunk->header->begin + first, 1, (uint64_t *)positions);
    for (uint32_t i = 0; i < rows; i++)
        positions[i] += i;
    return positions;
}

uint8_t *kp_rows_chunk_tombstones(const struct kp_rows_chunk *chunk, uint32_t first, uint32_t rows,
                                  struct kp_arena *arena)
{
    if (chunk->header->valid_at == KP_COLUMN_NONE)
        return NULL;
    const uint8_t *bits = chunk->payload + chunk->header->valid_at;
    uint8_t *tombstones = kp_arena_alloc(arena, (size_t)rows + 1);
    for (uint32_t i = 0; i < rows; i++)
        tombstones[i] = bits[(first + i) / 8] >> ((first + i) & 7) & 1;
    return tombstones;
}
