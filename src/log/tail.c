#include "log/tail.h"

#include <string.h>

#include "base/mem.h"

struct kp_slab *kp_slab_create(size_t bytes)
{
    struct kp_slab *slab = kp_alloc(sizeof *slab);
    atomic_init(&slab->refs, 1);
    slab->bytes = (size_t)kp_sector_ceil(bytes);
    slab->memory = kp_alloc_aligned(KP_SECTOR_BYTES, slab->bytes);
    return slab;
}

void kp_slab_hold(struct kp_slab *slab)
{
    atomic_fetch_add_explicit(&slab->refs, 1, memory_order_relaxed);
}

void kp_slab_release(struct kp_slab *slab)
{
    if (slab && atomic_fetch_sub_explicit(&slab->refs, 1, memory_order_acq_rel) == 1) {
        kp_free(slab->memory);
        kp_free(slab);
    }
}

static void pop(struct kp_tail *tail)
{
    struct kp_slab *slab = kp_tail_get(tail, 0)->slab;
    tail->first = (tail->first + 1) & (tail->cap - 1);
    tail->count--;
    if (tail->count == 0 || kp_tail_get(tail, 0)->slab != slab)
        tail->bytes -= slab->bytes;
    kp_slab_release(slab);
}

void kp_tail_finish(struct kp_tail *tail)
{
    while (tail->count)
        pop(tail);
    kp_free(tail->ring);
    memset(tail, 0, sizeof *tail);
}

void kp_tail_push(struct kp_tail *tail, uint64_t location, const struct kp_block_header *block, struct kp_slab *slab)
{
    if (tail->count == tail->cap) {
        size_t cap = tail->cap ? tail->cap * 2 : 64;
        struct kp_tail_block *ring = kp_alloc(cap * sizeof *ring);
        for (size_t i = 0; i < tail->count; i++)
            ring[i] = *kp_tail_get(tail, i);
        kp_free(tail->ring);
        tail->ring = ring;
        tail->first = 0;
        tail->cap = cap;
    }
    if (tail->count == 0 || kp_tail_get(tail, tail->count - 1)->slab != slab)
        tail->bytes += slab->bytes;
    kp_slab_hold(slab);
    tail->ring[(tail->first + tail->count++) & (tail->cap - 1)] = (struct kp_tail_block){location, block, slab};
    /* The newest slab stays, however large. */
    while (tail->bytes > tail->bytes_max && kp_tail_get(tail, 0)->slab != slab)
        pop(tail);
}

size_t kp_tail_find(const struct kp_tail *tail, uint64_t location)
{
    size_t low = 0, high = tail->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (kp_tail_get(tail, middle)->location < location)
            low = middle + 1;
        else
            high = middle;
    }
    return low < tail->count && kp_tail_get(tail, low)->location == location ? low : tail->count;
}

size_t kp_tail_find_position(const struct kp_tail *tail, int64_t position)
{
    size_t low = 0, high = tail->count; /* the first block that ends behind position */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct kp_block_header *block = kp_tail_get(tail, middle)->block;
        if (block->position + block->records <= position)
            low = middle + 1;
        else
            high = middle;
    }
    return low < tail->count && kp_tail_get(tail, low)->block->position <= position ? low : tail->count;
}
