#include "base/hash.h"

#include <string.h>

#define XXH_INLINE_ALL
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wshadow"
#include <xxhash.h>
#pragma GCC diagnostic pop

uint64_t kp_hash_bytes(const void *bytes, size_t len)
{
    return XXH3_64bits(bytes, len);
}

struct kp_hash128 kp_hash128_bytes(const void *bytes, size_t len)
{
    XXH128_hash_t hash = XXH3_128bits(bytes, len);
    return (struct kp_hash128){hash.low64, hash.high64};
}

#define POLYNOMIAL 0x82f63b78u /* its bits turned round */

static uint32_t table[8][256];

__attribute__((constructor)) static void fill_table(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (crc & 1 ? POLYNOMIAL : 0);
        table[0][i] = crc;
    }
    for (uint32_t i = 0; i < 256; i++)
        for (int k = 1; k < 8; k++)
            table[k][i] = (table[k - 1][i] >> 8) ^ table[0][table[k - 1][i] & 255];
}

static uint32_t crc_portable(uint32_t crc, const uint8_t *at, size_t len)
{
    for (; len >= 8; at += 8, len -= 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        word ^= crc;
        crc = 0;
        for (int k = 0; k < 8; k++)
            crc ^= table[7 - k][(word >> (8 * k)) & 255];
    }
    for (; len; at++, len--)
        crc = (crc >> 8) ^ table[0][(crc ^ *at) & 255];
    return crc;
}

#if defined(__x86_64__)
#include <nmmintrin.h>

/* Three streams hide the instruction's latency of three cycles; `shift` moves a CRC over LANE zero bytes. */
enum { LANE = 1024 };
static uint32_t shift_table[4][256];

static uint32_t zeros(uint32_t crc, size_t len)
{
    static const uint8_t none[LANE];
    return crc_portable(crc, none, len);
}

__attribute__((constructor)) static void fill_shift(void)
{
    fill_table();
    for (uint32_t k = 0; k < 4; k++)
        for (uint32_t i = 0; i < 256; i++)
            shift_table[k][i] = zeros(i << (8 * k), LANE);
}

static uint32_t shift(uint32_t crc)
{
    return shift_table[0][crc & 255] ^ shift_table[1][(crc >> 8) & 255] ^ shift_table[2][(crc >> 16) & 255] ^
           shift_table[3][crc >> 24];
}

static inline uint64_t load(const uint8_t *at)
{
    uint64_t word;
    memcpy(&word, at, 8);
    return word;
}

__attribute__((target("sse4.2"))) static uint32_t crc_hardware(uint32_t crc, const uint8_t *at, size_t len)
{
    for (; len >= 3 * LANE; at += 3 * LANE, len -= 3 * LANE) {
        uint64_t a = crc, b = 0, c = 0;
        for (size_t i = 0; i < LANE; i += 8) {
            a = _mm_crc32_u64(a, load(at + i));
            b = _mm_crc32_u64(b, load(at + LANE + i));
            c = _mm_crc32_u64(c, load(at + 2 * LANE + i));
        }
        crc = shift(shift((uint32_t)a) ^ (uint32_t)b) ^ (uint32_t)c;
    }
    uint64_t rest = crc;
    for (; len >= 8; at += 8, len -= 8)
        rest = _mm_crc32_u64(rest, load(at));
    crc = (uint32_t)rest;
    for (; len; at++, len--)
        crc = _mm_crc32_u8(crc, *at);
    return crc;
}
#endif

uint32_t kp_crc32c(uint32_t crc, const void *bytes, size_t len)
{
    crc = ~crc;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2"))
        return ~crc_hardware(crc, bytes, len);
#endif
    return ~crc_portable(crc, bytes, len);
}

bool kp_crc32c_mend(void *bytes, size_t len, uint32_t crc)
{
    uint8_t *at = (uint8_t *)bytes + len;
    uint32_t wrong = kp_crc32c(0, bytes, len) ^ crc;
    uint32_t bit = POLYNOMIAL; /* what the bit adds to the checksum, from the last one to the first */
    while (at-- > (uint8_t *)bytes)
        for (int i = 7; i >= 0; i--) {
            if (bit == wrong) {
                *at ^= (uint8_t)(1u << i);
                return true;
            }
            bit = bit >> 1 ^ (bit & 1 ? POLYNOMIAL : 0);
        }
    return false;
}
