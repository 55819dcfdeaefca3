/*
 * An ordered map from keys (bytes, memcmp order; kp_order_key_append and kp_sort_key_append make them) to row numbers:
 * for top-N and windows waiting for their end.
 *
 *   chunks: [ first … ] [ … ] [ … last ]     each up to 64 entries, sorted; found by binary search over the chunks'
 * first keys
 *
 * Entries hold the key's first eight bytes as a number, so most comparisons touch nothing else. One thread at a time.
 */
#ifndef KP_FLOW_ORDERED_H
#define KP_FLOW_ORDERED_H

#include <string.h>

#include "base/buf.h"

struct kp_ordered_entry {
    uint64_t prefix;
    uint8_t *key;
    uint32_t key_bytes;
    uint32_t id;
};
struct kp_ordered_chunk;
struct kp_ordered {
    struct kp_ordered_chunk **chunks;
    uint32_t chunk_count, chunk_cap;
    uint64_t count;
    int64_t bytes;
};

void kp_ordered_finish(struct kp_ordered *ordered);
/* The entry of a key, NULL if there is none. Valid until the next change. */
struct kp_ordered_entry *kp_ordered_find(const struct kp_ordered *ordered, const uint8_t *key, size_t key_bytes);
void kp_ordered_insert(struct kp_ordered *ordered, const uint8_t *key, size_t key_bytes,
                       uint32_t id);                                                      /* the key is not there yet */
void kp_ordered_remove(struct kp_ordered *ordered, const uint8_t *key, size_t key_bytes); /* the key is there */
const struct kp_ordered_entry *kp_ordered_first(const struct kp_ordered *ordered);        /* NULL if empty */
const struct kp_ordered_entry *kp_ordered_last(const struct kp_ordered *ordered);
/* Walks in order: start with *at = 0; NULL at the end. Not valid across changes. */
const struct kp_ordered_entry *kp_ordered_next(const struct kp_ordered *ordered, uint64_t *at);
/* The place of the first entry not below the key: kp_ordered_next gives that one, kp_ordered_prev the one before. */
uint64_t kp_ordered_seek(const struct kp_ordered *ordered, const uint8_t *key, size_t key_bytes);
/* The entry before the place, which becomes its place; NULL at the beginning. */
const struct kp_ordered_entry *kp_ordered_prev(const struct kp_ordered *ordered, uint64_t *at);
/* Keys that begin with a time sort by it: eight bytes; and the time that such an entry's key begins with. */
static inline void kp_ordered_time_put(int64_t time_us, uint8_t *bytes)
{
    uint64_t big = __builtin_bswap64((uint64_t)time_us ^ (uint64_t)1 << 63);
    memcpy(bytes, &big, sizeof big);
}
static inline int64_t kp_ordered_time(const struct kp_ordered_entry *entry)
{
    return (int64_t)(entry->prefix ^ (uint64_t)1 << 63);
}
/* A key for what waits for a time: the time, then a number to tell those of one time apart. */
enum { KP_ORDERED_WAIT_BYTES = 12 };
static inline void kp_ordered_wait_key(int64_t time_us, uint32_t id, uint8_t *key)
{
    uint32_t id_be = __builtin_bswap32(id);
    kp_ordered_time_put(time_us, key);
    memcpy(key + 8, &id_be, sizeof id_be);
}
/* <0, 0, >0: a key against an entry's. */
int kp_ordered_compare(const uint8_t *key, size_t key_bytes, const struct kp_ordered_entry *entry);

#endif
