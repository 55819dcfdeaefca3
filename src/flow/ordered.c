#include "flow/ordered.h"

enum { CHUNK_ENTRIES = 64 };

struct kp_ordered_chunk {
    uint32_t count;
    struct kp_ordered_entry entries[CHUNK_ENTRIES];
};

static uint64_t prefix_of(const uint8_t *key, size_t key_bytes)
{
    uint8_t first[8] = {0};
    memcpy(first, key, KP_MIN(key_bytes, sizeof first));
    return kp_load_be64(first);
}

static int compare(uint64_t prefix, const uint8_t *key, size_t key_bytes, const struct kp_ordered_entry *entry)
{
    if (prefix != entry->prefix)
        return prefix < entry->prefix ? -1 : 1;
    int order = memcmp(key, entry->key, KP_MIN(key_bytes, (size_t)entry->key_bytes));
    return order ? order : (key_bytes > entry->key_bytes) - (key_bytes < entry->key_bytes);
}

int kp_ordered_compare(const uint8_t *key, size_t key_bytes, const struct kp_ordered_entry *entry)
{
    return compare(prefix_of(key, key_bytes), key, key_bytes, entry);
}

void kp_ordered_finish(struct kp_ordered *ordered)
{
    for (uint32_t c = 0; c < ordered->chunk_count; c++) {
        for (uint32_t i = 0; i < ordered->chunks[c]->count; i++)
            kp_free(ordered->chunks[c]->entries[i].key);
        kp_free(ordered->chunks[c]);
    }
    kp_free(ordered->chunks);
    *ordered = (struct kp_ordered){0};
}

/* The last chunk whose first key is not above the key; the first one if there is none. */
static uint32_t find_chunk(const struct kp_ordered *ordered, uint64_t prefix, const uint8_t *key, size_t key_bytes)
{
    uint32_t low = 1, high = ordered->chunk_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (compare(prefix, key, key_bytes, &ordered->chunks[middle]->entries[0]) >= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low - 1;
}

/* The first entry not below the key. */
static uint32_t lower_bound(const struct kp_ordered_chunk *chunk, uint64_t prefix, const uint8_t *key, size_t key_bytes,
                            bool *ret_found)
{
    uint32_t low = 0, high = chunk->count;
    *ret_found = false;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = compare(prefix, key, key_bytes, &chunk->entries[middle]);
        *ret_found |= order == 0;
        if (order > 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct kp_ordered_entry *kp_ordered_find(const struct kp_ordered *ordered, const uint8_t *key, size_t key_bytes)
{
    if (ordered->chunk_count == 0)
        return NULL;
    uint64_t prefix = prefix_of(key, key_bytes);
    struct kp_ordered_chunk *chunk = ordered->chunks[find_chunk(ordered, prefix, key, key_bytes)];
    bool found;
    uint32_t at = lower_bound(chunk, prefix, key, key_bytes, &found);
    return found ? &chunk->entries[at] : NULL;
}

static struct kp_ordered_chunk *add_chunk(struct kp_ordered *ordered, uint32_t at)
{
    if (ordered->chunk_count == ordered->chunk_cap) {
        ordered->chunk_cap = ordered->chunk_cap ? ordered->chunk_cap * 2 : 4;
        ordered->chunks = kp_realloc(ordered->chunks, ordered->chunk_cap * sizeof(struct kp_ordered_chunk *));
    }
    memmove(ordered->chunks + at + 1, ordered->chunks + at,
            (ordered->chunk_count - at) * sizeof(struct kp_ordered_chunk *));
    ordered->chunks[at] = kp_alloc(sizeof(struct kp_ordered_chunk));
    ordered->chunks[at]->count = 0;
    ordered->chunk_count++;
    ordered->bytes += (int64_t)sizeof(struct kp_ordered_chunk);
    return ordered->chunks[at];
}

void kp_ordered_insert(struct kp_ordered *ordered, const uint8_t *key, size_t key_bytes, uint32_t id)
{
    if (ordered->chunk_count == 0)
        add_chunk(ordered, 0);
    uint64_t prefix = prefix_of(key, key_bytes);
    uint32_t at = find_chunk(ordered, prefix, key, key_bytes);
    struct kp_ordered_chunk *chunk = ordered->chunks[at];
    if (chunk->count == CHUNK_ENTRIES) {
        struct kp_ordered_chunk *upper = add_chunk(ordered, at + 1);
        upper->count = CHUNK_ENTRIES / 2;
        chunk->count -= upper->count;
        memcpy(upper->entries, chunk->entries + chunk->count, upper->count * sizeof *upper->entries);
        if (compare(prefix, key, key_bytes, &upper->entries[0]) >= 0)
            chunk = upper;
    }
    bool found;
    uint32_t place = lower_bound(chunk, prefix, key, key_bytes, &found);
    KP_ASSERT(!found);
    memmove(chunk->entries + place + 1, chunk->entries + place, (chunk->count - place) * sizeof *chunk->entries);
    uint8_t *copy = kp_alloc(key_bytes);
    memcpy(copy, key, key_bytes);
    chunk->entries[place] = (struct kp_ordered_entry){prefix, copy, (uint32_t)key_bytes, id};
    chunk->count++;
    ordered->count++;
    ordered->bytes += (int64_t)key_bytes + 16;
}

void kp_ordered_remove(struct kp_ordered *ordered, const uint8_t *key, size_t key_bytes)
{
    KP_ASSERT(ordered->chunk_count > 0);
    uint64_t prefix = prefix_of(key, key_bytes);
    uint32_t at = find_chunk(ordered, prefix, key, key_bytes);
    struct kp_ordered_chunk *chunk = ordered->chunks[at];
    bool found;
    uint32_t place = lower_bound(chunk, prefix, key, key_bytes, &found);
    KP_ASSERT(found);
    uint8_t *owned = chunk->entries[place].key;
    ordered->bytes -= (int64_t)key_bytes + 16;
    ordered->count--;
    chunk->count--;
    memmove(chunk->entries + place, chunk->entries + place + 1, (chunk->count - place) * sizeof *chunk->entries);
    kp_free(owned); /* after the last use of key, which may be it */
    if (chunk->count)
        return;
    kp_free(chunk);
    ordered->chunk_count--;
    ordered->bytes -= (int64_t)sizeof(struct kp_ordered_chunk);
    memmove(ordered->chunks + at, ordered->chunks + at + 1,
            (ordered->chunk_count - at) * sizeof(struct kp_ordered_chunk *));
}

const struct kp_ordered_entry *kp_ordered_first(const struct kp_ordered *ordered)
{
    return ordered->chunk_count ? &ordered->chunks[0]->entries[0] : NULL;
}

const struct kp_ordered_entry *kp_ordered_last(const struct kp_ordered *ordered)
{
    if (ordered->chunk_count == 0)
        return NULL;
    const struct kp_ordered_chunk *chunk = ordered->chunks[ordered->chunk_count - 1];
    return &chunk->entries[chunk->count - 1];
}

const struct kp_ordered_entry *kp_ordered_next(const struct kp_ordered *ordered, uint64_t *at)
{
    uint32_t c = (uint32_t)(*at >> 32), i = (uint32_t)*at;
    if (c >= ordered->chunk_count)
        return NULL;
    const struct kp_ordered_entry *entry = &ordered->chunks[c]->entries[i];
    *at = i + 1 < ordered->chunks[c]->count ? *at + 1 : (uint64_t)(c + 1) << 32;
    return entry;
}

uint64_t kp_ordered_seek(const struct kp_ordered *ordered, const uint8_t *key, size_t key_bytes)
{
    if (ordered->chunk_count == 0)
        return 0;
    uint64_t prefix = prefix_of(key, key_bytes);
    uint32_t c = find_chunk(ordered, prefix, key, key_bytes);
    bool found;
    uint32_t i = lower_bound(ordered->chunks[c], prefix, key, key_bytes, &found);
    return i < ordered->chunks[c]->count ? (uint64_t)c << 32 | i : (uint64_t)(c + 1) << 32;
}

const struct kp_ordered_entry *kp_ordered_prev(const struct kp_ordered *ordered, uint64_t *at)
{
    uint32_t c = (uint32_t)(*at >> 32), i = (uint32_t)*at;
    if (i == 0) {
        if (c == 0)
            return NULL;
        c--;
        i = ordered->chunks[c]->count;
    }
    *at = (uint64_t)c << 32 | (i - 1);
    return &ordered->chunks[c]->entries[i - 1];
}
