/* The tail in a ring, and slabs, some of which are kept for reuse: fresh memory costs as much as filling it. */
#include "log/tail.h"

#include <string.h>

#include "base/mem.h"
#include "os/pages.h"

/* Freed slabs of one size wait here for their next use, whoever makes it: of small ones as many as a full queue fills.
 */
struct spares {
    size_t bytes;
    size_t count;
    _Atomic(struct kp_slab *) slabs[16];
};
static struct spares spares[] = {{KP_SLAB_BYTES, 16, {NULL}}, {KP_SLAB_READ_BYTES, 2, {NULL}}};

static struct spares *spares_of(size_t bytes)
{
    for (size_t i = 0; i < KP_COUNT(spares); i++)
        if (spares[i].bytes == bytes)
            return &spares[i];
    return NULL;
}

struct kp_slab *kp_slab_create(size_t bytes)
{
    bytes = (size_t)kp_sector_ceil(bytes);
    struct spares *pool = spares_of(bytes);
    for (size_t i = 0; pool && i < pool->count; i++) {
        struct kp_slab *spare = atomic_exchange_explicit(&pool->slabs[i], NULL, memory_order_acquire);
        if (spare) {
            atomic_store_explicit(&spare->refs, 1, memory_order_relaxed);
            return spare;
        }
    }
    struct kp_slab *slab = kp_alloc(sizeof *slab);
    atomic_init(&slab->refs, 1);
    slab->bytes = bytes;
    slab->memory = kp_pages_alloc(bytes);
    return slab;
}

void kp_slab_hold(struct kp_slab *slab)
{
    atomic_fetch_add_explicit(&slab->refs, 1, memory_order_relaxed);
}

static void slab_destroy(struct kp_slab *slab)
{
    if (slab)
        kp_pages_free(slab->memory, slab->bytes);
    kp_free(slab);
}

void kp_slab_release(struct kp_slab *slab)
{
    if (!slab || atomic_fetch_sub_explicit(&slab->refs, 1, memory_order_acq_rel) != 1)
        return;
    struct spares *pool = spares_of(slab->bytes);
    for (size_t i = 0; pool && i < pool->count && slab; i++) {
        struct kp_slab *none = NULL;
        if (atomic_compare_exchange_strong_explicit(&pool->slabs[i], &none, slab, memory_order_release,
                                                    memory_order_relaxed))
            slab = NULL;
    }
    slab_destroy(slab);
}

void kp_slab_trim(void)
{
    for (size_t k = 0; k < KP_COUNT(spares); k++)
        for (size_t i = 0; i < spares[k].count; i++)
            slab_destroy(atomic_exchange_explicit(&spares[k].slabs[i], NULL, memory_order_acquire));
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

void kp_tail_drop(struct kp_tail *tail, int64_t position)
{
    while (tail->count && kp_tail_get(tail, 0)->block->position + kp_tail_get(tail, 0)->block->records <= position)
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
