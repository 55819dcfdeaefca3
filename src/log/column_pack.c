/*
 * Packing and unpacking. Eight codes of any width end at a whole byte, so places and shifts repeat every eight: they
 * are worked out once a call, and a load of eight bytes, a shift and a mask give a code (widths up to 57 bits).
 */
#include "log/column_pack.h"

void kp_pack_append(struct kp_buf *out, const uint64_t *codes, size_t n, uint32_t width)
{
    uint64_t bytes = kp_pack_bytes(n, width);
    uint8_t *at = kp_buf_reserve(out, (size_t)bytes + KP_COLUMN_PAD_BYTES);
    memset(at + bytes, 0, KP_COLUMN_PAD_BYTES);
    uint64_t word = 0;
    unsigned used = 0;
    for (size_t i = 0; width && i < n; i++) {
        word |= codes[i] << used;
        used += width;
        if (used < 64)
            continue;
        memcpy(at, &word, 8);
        at += 8;
        used -= 64;
        word = used ? codes[i] >> (width - used) : 0;
    }
    if (used)
        memcpy(at, &word, (used + 7) / 8);
    out->len += (size_t)bytes + KP_COLUMN_PAD_BYTES;
}

struct places {
    uint32_t at[8], shift[8];
};

static struct places places_of(uint32_t width)
{
    struct places places;
    for (uint32_t k = 0; k < 8; k++) {
        places.at[k] = k * width / 8;
        places.shift[k] = k * width % 8;
    }
    return places;
}

static inline uint64_t load(const uint8_t *at)
{
    uint64_t word;
    memcpy(&word, at, 8);
    return word;
}

/* How many codes before the first whole eight; all n if eight at a time is not the way. */
static size_t lone(uint32_t width, uint64_t first, size_t n)
{
    size_t head = (size_t)(-first & 7);
    return width == 0 || width > 57 || n < head + 8 ? n : head;
}

void kp_unpack_u64(const uint8_t *codes, uint32_t width, uint64_t first, size_t n, uint64_t base, uint64_t factor,
                   uint64_t *restrict out)
{
    size_t i = 0, head = lone(width, first, n);
    for (; i < head; i++)
        out[i] = base + kp_pack_get(codes, width, first + i) * factor;
    const struct places places = places_of(width);
    const uint64_t mask = ((uint64_t)1 << (width & 63)) - 1;
    const uint8_t *at = codes + (first + i) / 8 * width;
    if (factor == 1)
        for (; i + 8 <= n; i += 8, at += width)
            for (unsigned k = 0; k < 8; k++)
                out[i + k] = base + (load(at + places.at[k]) >> places.shift[k] & mask);
    else
        for (; i + 8 <= n; i += 8, at += width)
            for (unsigned k = 0; k < 8; k++)
                out[i + k] = base + (load(at + places.at[k]) >> places.shift[k] & mask) * factor;
    for (; i < n; i++)
        out[i] = base + kp_pack_get(codes, width, first + i) * factor;
}

void kp_unpack_u32(const uint8_t *codes, uint32_t width, uint64_t first, size_t n, uint32_t base, uint32_t factor,
                   uint32_t *restrict out)
{
    size_t i = 0, head = width > 32 ? n : lone(width, first, n);
    for (; i < head; i++)
        out[i] = base + (uint32_t)kp_pack_get(codes, width, first + i) * factor;
    const struct places places = places_of(width);
    const uint64_t mask = ((uint64_t)1 << (width & 63)) - 1;
    const uint8_t *at = codes + (first + i) / 8 * width;
    for (; i + 8 <= n; i += 8, at += width)
        for (unsigned k = 0; k < 8; k++)
            out[i + k] = base + (uint32_t)(load(at + places.at[k]) >> places.shift[k] & mask) * factor;
    for (; i < n; i++)
        out[i] = base + (uint32_t)kp_pack_get(codes, width, first + i) * factor;
}

void kp_unpack_pairs(const uint8_t *codes, uint32_t width, uint64_t first, size_t n, uint64_t base, uint64_t factor,
                     uint64_t second, uint64_t *restrict out)
{
    size_t i = 0, head = lone(width, first, n);
    for (; i < head; i++) {
        out[2 * i] = base + kp_pack_get(codes, width, first + i) * factor;
        out[2 * i + 1] = second;
    }
    const struct places places = places_of(width);
    const uint64_t mask = ((uint64_t)1 << (width & 63)) - 1;
    const uint8_t *at = codes + (first + i) / 8 * width;
    for (; i + 8 <= n; i += 8, at += width)
        for (unsigned k = 0; k < 8; k++) {
            out[2 * (i + k)] = base + (load(at + places.at[k]) >> places.shift[k] & mask) * factor;
            out[2 * (i + k) + 1] = second;
        }
    for (; i < n; i++) {
        out[2 * i] = base + kp_pack_get(codes, width, first + i) * factor;
        out[2 * i + 1] = second;
    }
}

void kp_unpack_chosen(const uint8_t *codes, uint32_t width, uint64_t first, size_t n, const uint64_t (*values)[2],
                      uint64_t (*restrict out)[2])
{
    size_t i = 0, head = lone(width, first, n);
    for (; i < head; i++)
        memcpy(out[i], values[kp_pack_get(codes, width, first + i)], sizeof *out);
    const struct places places = places_of(width);
    const uint64_t mask = ((uint64_t)1 << (width & 63)) - 1;
    const uint8_t *at = codes + (first + i) / 8 * width;
    if (width < 8) /* eight codes lie in one word */
        for (; i + 8 <= n; i += 8, at += width) {
            uint64_t word = load(at);
            for (unsigned k = 0; k < 8; k++, word >>= width)
                memcpy(out[i + k], values[word & mask], sizeof *out);
        }
    else
        for (; i + 8 <= n; i += 8, at += width)
            for (unsigned k = 0; k < 8; k++)
                memcpy(out[i + k], values[load(at + places.at[k]) >> places.shift[k] & mask], sizeof *out);
    for (; i < n; i++)
        memcpy(out[i], values[kp_pack_get(codes, width, first + i)], sizeof *out);
}

uint64_t kp_pack_max(const uint8_t *codes, uint32_t width, size_t n)
{
    uint64_t max = 0, piece[512];
    for (size_t i = 0; width && i < n; i += KP_COUNT(piece)) {
        size_t count = KP_MIN(n - i, KP_COUNT(piece));
        kp_unpack_u64(codes, width, i, count, 0, 1, piece);
        for (size_t k = 0; k < count; k++)
            max = KP_MAX(max, piece[k]);
    }
    return max;
}
