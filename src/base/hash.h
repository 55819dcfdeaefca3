/*
 * Hashing: xxHash for hash tables and shards (seedless, so stable: shard numbers are in the state format) and
 * CRC-32C for everything on disk and in Kafka's record batches.
 */
#ifndef KP_BASE_HASH_H
#define KP_BASE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

uint64_t kp_hash_bytes(const void *bytes, size_t len);
struct kp_hash128 {
    uint64_t lo, hi;
};
struct kp_hash128 kp_hash128_bytes(const void *bytes, size_t len);
uint32_t kp_crc32c(uint32_t crc, const void *bytes, size_t len); /* start with 0; chains */
/* Turns over the one bit that makes the bytes' CRC-32C `crc` (started with 0), if there is one: so short, no two bits
 * do (up to 2^31 bits), and it is the one that rotted, if only one has. False: nothing was changed. */
bool kp_crc32c_mend(void *bytes, size_t len, uint32_t crc);

/* A bijective mix of 64 bits. */
static inline uint64_t kp_hash_u64(uint64_t x)
{
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93u;
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93u;
    x ^= x >> 32;
    return x;
}
static inline uint64_t kp_hash_combine(uint64_t a, uint64_t b)
{
    return kp_hash_u64(a * 0x9e3779b97f4a7c15u + b);
}

#endif
