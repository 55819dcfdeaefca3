#include "view/key_index.h"

enum { CAP_FIRST = KP_PAGE_ROWS_FIRST };

static struct kp_key_index *create(struct kp_rows *rows, uint32_t cap)
{
    struct kp_key_index *index = kp_calloc(1, sizeof *index);
    index->cap = cap;
    index->mask = cap - 1;
    index->heads = kp_calloc(cap, sizeof *index->heads);
    index->next = kp_calloc(cap, sizeof *index->next);
    rows->bytes += sizeof *index + 2 * (uint64_t)cap * sizeof *index->heads;
    return index;
}

static void destroy(struct kp_rows *rows, struct kp_key_index *index)
{
    rows->bytes -= sizeof *index + 2 * (uint64_t)index->cap * sizeof *index->heads;
    kp_free(index->heads);
    kp_free(index->next);
    kp_free(index);
}

void kp_key_index_init(struct kp_rows *rows)
{
    atomic_init(&rows->key_index, create(rows, CAP_FIRST));
}

void kp_key_index_finish(struct kp_rows *rows)
{
    struct kp_key_index *index = atomic_load(&rows->key_index);
    for (struct kp_key_index *older; index; index = older) {
        older = index->older;
        destroy(rows, index);
    }
}

/* The new generation has the same chains, cut finer; order within a chain matters to speed only, and is kept. */
static struct kp_key_index *grow(struct kp_rows *rows, struct kp_key_index *from, uint32_t slot)
{
    uint32_t cap = from->cap;
    while (cap <= slot)
        cap *= 2;
    struct kp_key_index *to = create(rows, cap);
    uint32_t *tails = kp_calloc(cap, sizeof *tails);
    for (uint32_t bucket = 0; bucket <= from->mask; bucket++)
        for (uint32_t at = atomic_load_explicit(&from->heads[bucket], memory_order_relaxed); at;
             at = atomic_load_explicit(&from->next[at - 1], memory_order_relaxed)) {
            uint32_t row;
            uint32_t home = kp_rows_at(rows, at - 1, &row)->key_hash[row] & to->mask;
            _Atomic uint32_t *link = tails[home] ? &to->next[tails[home] - 1] : &to->heads[home];
            atomic_store_explicit(link, at, memory_order_relaxed);
            tails[home] = at;
        }
    kp_free(tails);
    to->older = from;
    atomic_store(&rows->key_index, to);
    from->retired_epoch = atomic_fetch_add(&rows->clock->epoch, 1);
    return to;
}

void kp_key_index_link(struct kp_rows *rows, uint32_t slot, uint32_t hash)
{
    struct kp_key_index *index = atomic_load_explicit(&rows->key_index, memory_order_relaxed);
    if (slot >= index->cap)
        index = grow(rows, index, slot);
    _Atomic uint32_t *head = &index->heads[hash & index->mask];
    atomic_store_explicit(&index->next[slot], atomic_load_explicit(head, memory_order_relaxed), memory_order_relaxed);
    atomic_store_explicit(head, slot + 1, memory_order_release);
}

void kp_key_index_unlink(struct kp_rows *rows, uint32_t slot, uint32_t hash)
{
    struct kp_key_index *index = atomic_load_explicit(&rows->key_index, memory_order_relaxed);
    _Atomic uint32_t *link = &index->heads[hash & index->mask];
    for (uint32_t at; (at = atomic_load_explicit(link, memory_order_relaxed)) != slot + 1; link = &index->next[at - 1])
        KP_ASSERT(at);
    atomic_store_explicit(link, atomic_load_explicit(&index->next[slot], memory_order_relaxed), memory_order_release);
}

void kp_key_index_reclaim(struct kp_rows *rows, int64_t epoch_least)
{
    struct kp_key_index **link = &atomic_load_explicit(&rows->key_index, memory_order_relaxed)->older;
    while (*link && (*link)->retired_epoch >= epoch_least)
        link = &(*link)->older;
    for (struct kp_key_index *index = *link, *older; index; index = older) {
        older = index->older;
        destroy(rows, index);
    }
    *link = NULL;
}

bool kp_key_index_has_older(const struct kp_rows *rows)
{
    return atomic_load_explicit(&rows->key_index, memory_order_relaxed)->older;
}

const struct kp_key_index *kp_key_enter(const struct kp_rows *rows, uint32_t *ret_reader)
{
    int64_t epoch;
    *ret_reader = kp_readers_enter(&rows->clock->lookups, &rows->clock->epoch, &epoch);
    return atomic_load(&rows->key_index);
}

void kp_key_leave(const struct kp_rows *rows, uint32_t reader)
{
    kp_readers_leave(&rows->clock->lookups, reader);
}
