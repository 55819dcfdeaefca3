/* The list of recent changes: items made at apply, handed on at publish, dropped when they exceed their limit. */
#include "view/store.h"

enum { HEAP_BYTES = 64 << 10 }; /* small items share memory up to this: a step of one row would take a chunk else */

struct kp_change_heap {
    _Atomic uint32_t references;
    struct kp_arena arena;
};

static void heap_unref(struct kp_change_heap *heap)
{
    if (!heap || atomic_fetch_sub(&heap->references, 1) > 1)
        return;
    kp_arena_finish(&heap->arena);
    kp_free(heap);
}

static uint64_t heap_used(const struct kp_change_heap *heap)
{
    return heap->arena.bytes - (uint64_t)(heap->arena.end - heap->arena.next);
}

static struct kp_change_heap *heap_take(struct kp_store *store)
{
    if (!store->heap || store->heap->arena.bytes >= HEAP_BYTES) {
        heap_unref(store->heap);
        store->heap = kp_calloc(1, sizeof *store->heap);
        atomic_init(&store->heap->references, 1);
    }
    atomic_fetch_add(&store->heap->references, 1);
    return store->heap;
}

void kp_change_heap_finish(struct kp_store *store)
{
    heap_unref(store->heap);
    store->heap = NULL;
}

struct kp_change_item *kp_change_item_create(struct kp_store *store, struct kp_batch *const *batches, size_t count,
                                             bool keep)
{
    struct kp_change_item *item = kp_calloc(1, sizeof *item);
    item->references = 1;
    item->bytes = sizeof *item;
    item->gap = !keep;
    uint64_t rows = 0;
    for (size_t b = 0; keep && b < count; b++)
        rows += batches[b]->rows;
    if (!rows)
        return item;
    item->heap = heap_take(store);
    uint64_t used = heap_used(item->heap);
    struct kp_arena *arena = &item->heap->arena;
    item->batches = kp_arena_alloc(arena, (rows / KP_BATCH_ROWS_MAX + 1) * sizeof(struct kp_batch *));
    size_t at_batch = 0;
    uint32_t at_row = 0;
    while (rows) { /* many small batches, one of each shard, become few */
        while (batches[at_batch]->rows == 0)
            at_batch++;
        uint32_t n = (uint32_t)KP_MIN(rows, (uint64_t)KP_BATCH_ROWS_MAX);
        item->batches[item->batch_count++] = kp_batch_concat(batches, &at_batch, &at_row, n, arena);
        rows -= n;
    }
    item->bytes += heap_used(item->heap) - used;
    return item;
}

void kp_change_item_unref(struct kp_change_item *item)
{
    while (item && --item->references == 0) {
        struct kp_change_item *next = item->next;
        heap_unref(item->heap);
        kp_free(item);
        item = next;
    }
}

void kp_store_append_item(struct kp_store *store, struct kp_change_item *item)
{
    item->bytes_total = store->tail->bytes_total + item->bytes;
    store->tail->next = item;
    store->tail = item;
    store->kept_bytes += item->bytes;
    if (item->gap)
        store->kept_from = item->position;
}

void kp_store_trim(struct kp_store *store)
{
    while (store->oldest != store->tail &&
           (store->kept_bytes > store->changes_bytes_max || store->oldest->next->position <= store->kept_from)) {
        struct kp_change_item *first = store->oldest, *next = first->next;
        store->kept_from = KP_MAX(store->kept_from, next->position);
        store->kept_bytes -= next->bytes;
        store->oldest = next;
        next->references++;
        kp_change_item_unref(first);
    }
}
