/*
 * Bloom filters of chunks: blocks of 64 bytes; a value sets four bits of one block. Eight to sixteen bits for each
 * distinct value, so about one look-up in fifty finds what is not there.
 *
 *   hash, from its lowest bit   | 9 | 9 | 9 | 9: bits of the block | … ; the block: the highest 28 bits, scaled to
 * their number
 *
 * There is none where it would not help: few values or a narrow range of them, which least and largest tell, and
 * integers with a common factor, which are times and ordered in the log.
 */
#include "log/column_chunk.h"

enum { BLOCK_BYTES = 64, BITS = 4, BYTES_MAX = 1 << 20, DISTINCT_MIN = 64, WIDTH_MIN = 10 };

static uint64_t block_of(uint32_t bytes, uint64_t hash)
{
    return (hash >> 36) * (bytes / BLOCK_BYTES) >> 28;
}

static void put(uint8_t *bloom, uint32_t bytes, uint64_t hash)
{
    uint8_t *block = bloom + block_of(bytes, hash) * BLOCK_BYTES;
    for (unsigned k = 0; k < BITS; k++) {
        uint64_t bit = hash >> (9 * k) & (BLOCK_BYTES * 8 - 1);
        block[bit / 8] |= (uint8_t)(1 << (bit % 8));
    }
}

bool kp_column_bloom_may_hold(const uint8_t *bloom, uint32_t bytes, uint64_t hash)
{
    const uint8_t *block = bloom + block_of(bytes, hash) * BLOCK_BYTES;
    bool may = true;
    for (unsigned k = 0; k < BITS; k++) {
        uint64_t bit = hash >> (9 * k) & (BLOCK_BYTES * 8 - 1);
        may &= block[bit / 8] >> (bit % 8) & 1;
    }
    return may;
}

/* Room for so many distinct values. */
static uint8_t *reserve(struct kp_buf *out, uint64_t distinct, uint32_t *ret_bytes)
{
    uint32_t bytes = BLOCK_BYTES;
    while (bytes < distinct && bytes < BYTES_MAX)
        bytes *= 2;
    uint8_t *bloom = kp_buf_reserve(out, bytes);
    memset(bloom, 0, bytes);
    out->len += bytes;
    *ret_bytes = bytes;
    return bloom;
}

void kp_column_bloom_make(const struct kp_column_builder *builder, const struct kp_column_chunk_header *header,
                          struct kp_buf *out)
{
    uint32_t bytes;
    if (builder->physical == KP_PHYSICAL_STRING && builder->distinct >= DISTINCT_MIN) {
        uint8_t *bloom = reserve(out, builder->distinct, &bytes);
        for (uint32_t code = 0; code < builder->distinct; code++)
            put(bloom, bytes, kp_column_bloom_hash_text(kp_column_builder_distinct(builder, code)));
    } else if ((builder->physical == KP_PHYSICAL_I32 || builder->physical == KP_PHYSICAL_I64) &&
               builder->rows >= DISTINCT_MIN && header->width >= WIDTH_MIN && header->factor == 1) {
        uint64_t range = header->width < 32 ? (uint64_t)1 << header->width : UINT32_MAX;
        uint8_t *bloom = reserve(out, KP_MIN(range, (uint64_t)builder->rows), &bytes);
        int64_t *values = kp_alloc((builder->rows + (size_t)1) * sizeof *values);
        kp_column_builder_integers(builder, values); /* NULLs add a zero: no harm */
        for (uint32_t i = 0; i < builder->rows; i++)
            if (i == 0 || values[i] != values[i - 1])
                put(bloom, bytes, kp_column_bloom_hash_integer(values[i]));
        kp_free(values);
    }
}
