/*
 * Packed codes: unsigned integers of `width` bits each (0 to 64), the first in the lowest bits of the first byte. Any
 * of them is read alone. Readers may read KP_COLUMN_PAD_BYTES behind the last code.
 */
#ifndef KP_LOG_COLUMN_PACK_H
#define KP_LOG_COLUMN_PACK_H

#include "base/buf.h"
#include "log/column_format.h"

/* Bits that hold every value up to max. */
static inline uint32_t kp_pack_width(uint64_t max)
{
    return max == 0 ? 0 : 64 - (uint32_t)__builtin_clzll(max);
}
/* Bytes of n codes, without what may be read behind them. */
static inline uint64_t kp_pack_bytes(uint64_t n, uint32_t width)
{
    return (n * width + 7) / 8;
}
/* Appends n codes (each below 2^width) and the readable bytes behind them. */
void kp_pack_append(struct kp_buf *out, const uint64_t *codes, size_t n, uint32_t width);

static inline uint64_t kp_pack_get(const uint8_t *codes, uint32_t width, uint64_t i)
{
    if (width == 0)
        return 0;
    uint64_t bit = i * width, word;
    memcpy(&word, codes + (bit >> 3), 8);
    word >>= bit & 7;
    if (width + (bit & 7) > 64)
        word |= (uint64_t)codes[(bit >> 3) + 8] << (64 - (bit & 7));
    return width == 64 ? word : word & (((uint64_t)1 << width) - 1);
}

/* out[i] = base + code × factor, modulo 2^64 (2^32), for the n codes from `first` on. */
void kp_unpack_u64(const uint8_t *codes, uint32_t width, uint64_t first, size_t n, uint64_t base, uint64_t factor,
                   uint64_t *restrict out);
void kp_unpack_u32(const uint8_t *codes, uint32_t width, uint64_t first, size_t n, uint32_t base, uint32_t factor,
                   uint32_t *restrict out);
/* Values of two words, as vectors hold numerics and texts: out[2 × i] as above with `second` behind it; or the value
 * that the code chooses. */
void kp_unpack_pairs(const uint8_t *codes, uint32_t width, uint64_t first, size_t n, uint64_t base, uint64_t factor,
                     uint64_t second, uint64_t *restrict out);
void kp_unpack_chosen(const uint8_t *codes, uint32_t width, uint64_t first, size_t n, const uint64_t (*values)[2],
                      uint64_t (*restrict out)[2]);
/* The largest of n codes. */
uint64_t kp_pack_max(const uint8_t *codes, uint32_t width, size_t n);

#endif
