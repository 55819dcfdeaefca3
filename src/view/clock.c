#include "view/clock.h"

#include "os/thread.h"
#include "view/store.h"

/* ---- registries of readers ---- */

static void readers_init(struct kp_readers *readers, uint32_t count)
{
    readers->slots = kp_alloc(count * sizeof *readers->slots);
    readers->count = count;
    for (uint32_t i = 0; i < count; i++)
        atomic_init(&readers->slots[i], KP_READER_FREE);
    atomic_init(&readers->used, 0);
    atomic_init(&readers->waiters, 0);
    kp_mutex_init(&readers->lock);
    kp_cond_init(&readers->freed);
}

static void readers_finish(struct kp_readers *readers)
{
    for (uint32_t i = 0; i < readers->count; i++)
        KP_ASSERT(atomic_load(&readers->slots[i]) == KP_READER_FREE);
    kp_free(readers->slots);
    kp_mutex_finish(&readers->lock);
    kp_cond_finish(&readers->freed);
}

static bool take_slot(struct kp_readers *readers, int64_t number, uint32_t *ret_slot)
{
    for (uint32_t i = 0; i < readers->count; i++) {
        int64_t free_slot = KP_READER_FREE;
        if (atomic_load(&readers->slots[i]) != KP_READER_FREE)
            continue;
        /* `used` first: who holds a slot is always looked at. */
        uint32_t used = atomic_load(&readers->used);
        while (used <= i && !atomic_compare_exchange_weak(&readers->used, &used, i + 1))
            ;
        if (atomic_compare_exchange_strong(&readers->slots[i], &free_slot, number)) {
            *ret_slot = i;
            return true;
        }
    }
    return false;
}

uint32_t kp_readers_enter(struct kp_readers *readers, _Atomic int64_t *current, int64_t *ret_number)
{
    uint32_t slot;
    int64_t number = atomic_load(current);
    if (!take_slot(readers, number, &slot)) {
        kp_mutex_lock(&readers->lock);
        atomic_fetch_add(&readers->waiters, 1);
        while (!take_slot(readers, number, &slot))
            kp_cond_wait(&readers->freed, &readers->lock);
        atomic_fetch_sub(&readers->waiters, 1);
        kp_mutex_unlock(&readers->lock);
    }
    for (int64_t now; (now = atomic_load(current)) != number; number = now)
        atomic_store(&readers->slots[slot], now);
    *ret_number = number;
    return slot;
}

void kp_readers_leave(struct kp_readers *readers, uint32_t slot)
{
    KP_ASSERT(slot < readers->count && atomic_load(&readers->slots[slot]) != KP_READER_FREE);
    atomic_store(&readers->slots[slot], KP_READER_FREE);
    if (atomic_load(&readers->waiters)) {
        kp_mutex_lock(&readers->lock);
        kp_cond_signal(&readers->freed);
        kp_mutex_unlock(&readers->lock);
    }
}

void kp_readers_list(struct kp_readers *readers, int64_t **positions, size_t *count, size_t *cap)
{
    uint32_t used = atomic_load(&readers->used);
    for (uint32_t i = 0; i < used; i++) {
        int64_t number = atomic_load(&readers->slots[i]);
        if (number == KP_READER_FREE)
            continue;
        if (*count == *cap) {
            *cap = *cap ? *cap * 2 : 16;
            *positions = kp_realloc(*positions, *cap * sizeof **positions);
        }
        (*positions)[(*count)++] = number;
    }
}

int64_t kp_readers_least(struct kp_readers *readers)
{
    int64_t least = KP_READER_FREE;
    uint32_t used = atomic_load(&readers->used);
    for (uint32_t i = 0; i < used; i++) {
        int64_t number = atomic_load(&readers->slots[i]);
        least = KP_MIN(least, number);
    }
    return least;
}

/* ---- the clock ---- */

struct kp_view_clock *kp_view_clock_create(void)
{
    struct kp_view_clock *clock = kp_calloc(1, sizeof *clock);
    readers_init(&clock->snapshots, KP_SNAPSHOTS_MAX);
    readers_init(&clock->lookups, KP_LOOKUPS_MAX);
    atomic_init(&clock->epoch, 1);
    kp_mutex_init(&clock->stores_lock);
    kp_mutex_init(&clock->complete_lock);
    kp_mutex_init(&clock->wait_lock);
    kp_cond_init(&clock->moved);
    return clock;
}

void kp_view_clock_destroy(struct kp_view_clock *clock)
{
    if (!clock)
        return;
    KP_ASSERT(!clock->store_count);
    readers_finish(&clock->snapshots);
    readers_finish(&clock->lookups);
    kp_mutex_finish(&clock->stores_lock);
    kp_mutex_finish(&clock->complete_lock);
    kp_mutex_finish(&clock->wait_lock);
    kp_cond_finish(&clock->moved);
    kp_free(clock);
}

int64_t kp_view_clock_position(struct kp_view_clock *clock)
{
    return atomic_load(&clock->position);
}

int64_t kp_view_clock_time_us(struct kp_view_clock *clock)
{
    return atomic_load(&clock->time_us);
}

void kp_view_clock_add(struct kp_view_clock *clock, struct kp_store *store)
{
    kp_mutex_lock(&clock->stores_lock);
    clock->store_count++;
    kp_mutex_unlock(&clock->stores_lock);
}

void kp_view_clock_remove(struct kp_view_clock *clock, struct kp_store *store)
{
    kp_mutex_lock(&clock->stores_lock);
    KP_ASSERT(!store->watched);
    struct kp_store **at = &clock->busy;
    while (store->busy && *at != store)
        at = &(*at)->next_busy;
    if (store->busy)
        *at = store->next_busy;
    clock->store_count--;
    kp_mutex_unlock(&clock->stores_lock);
}

void kp_view_clock_note_busy(struct kp_view_clock *clock, struct kp_store *store)
{
    if (store->busy)
        return;
    kp_mutex_lock(&clock->stores_lock);
    store->busy = true;
    store->next_busy = clock->busy;
    clock->busy = store;
    kp_mutex_unlock(&clock->stores_lock);
}

void kp_view_clock_watch(struct kp_view_clock *clock, struct kp_store *store, bool watch)
{
    if (store->watched == watch)
        return;
    store->watched = watch;
    if (watch) {
        store->next_watched = clock->watched;
        clock->watched = store;
        return;
    }
    struct kp_store **at = &clock->watched;
    while (*at != store)
        at = &(*at)->next_watched;
    *at = store->next_watched;
}

int64_t kp_view_clock_complete(struct kp_view_clock *clock, int64_t *ret_time_us)
{
    kp_mutex_lock(&clock->complete_lock);
    int64_t position = clock->complete_position;
    *ret_time_us = clock->complete_time_us;
    kp_mutex_unlock(&clock->complete_lock);
    return position;
}

/* With stores_lock. */
static void keep_busy(struct kp_view_clock *clock)
{
    for (struct kp_store **at = &clock->busy; *at;) {
        struct kp_store *store = *at;
        store->busy = !kp_store_settle(store);
        if (store->busy)
            at = &store->next_busy;
        else
            *at = store->next_busy;
    }
}

/* Rows are indexed before they become visible, and subscribers hear after: who hears of a position can read at it. */
void kp_view_clock_publish(struct kp_view_clock *clock, int64_t position, int64_t log_time_us)
{
    int64_t before = atomic_load(&clock->position);
    KP_ASSERT(position >= before);
    kp_mutex_lock(&clock->stores_lock);
    for (struct kp_store *store = clock->busy; store; store = store->next_busy)
        kp_store_before_publish(store);
    atomic_store(&clock->time_us, log_time_us);
    atomic_store(&clock->position, position);
    for (struct kp_store *store = clock->busy; store; store = store->next_busy)
        kp_store_after_publish(store, before, position, log_time_us);
    kp_mutex_lock(&clock->complete_lock);
    clock->complete_position = position;
    clock->complete_time_us = log_time_us;
    kp_mutex_unlock(&clock->complete_lock);
    for (struct kp_store *store = clock->watched; store; store = store->next_watched)
        kp_store_tell_progress(store);
    keep_busy(clock);
    kp_mutex_unlock(&clock->stores_lock);
    if (atomic_load(&clock->waiters)) {
        kp_mutex_lock(&clock->wait_lock);
        kp_cond_broadcast(&clock->moved);
        kp_mutex_unlock(&clock->wait_lock);
    }
}

bool kp_view_clock_wait(struct kp_view_clock *clock, int64_t position, int64_t timeout_us)
{
    if (atomic_load(&clock->position) >= position)
        return true;
    bool in_time = true;
    kp_mutex_lock(&clock->wait_lock);
    atomic_fetch_add(&clock->waiters, 1);
    uint64_t wakes = clock->wakes;
    int64_t until_ns = timeout_us < 0 ? 0 : kp_thread_now_ns() + timeout_us * 1000;
    while (atomic_load(&clock->position) < position && clock->wakes == wakes && in_time) {
        int64_t left_us = -1;
        if (timeout_us >= 0) {
            left_us = (until_ns - kp_thread_now_ns() + 999) / 1000;
            left_us = KP_MAX(left_us, 0);
        }
        in_time = kp_cond_wait_us(&clock->moved, &clock->wait_lock, left_us);
    }
    atomic_fetch_sub(&clock->waiters, 1);
    kp_mutex_unlock(&clock->wait_lock);
    return atomic_load(&clock->position) >= position;
}

void kp_view_clock_wake(struct kp_view_clock *clock)
{
    kp_mutex_lock(&clock->wait_lock);
    clock->wakes++;
    kp_cond_broadcast(&clock->moved);
    kp_mutex_unlock(&clock->wait_lock);
}

void kp_snapshot_acquire(struct kp_view_clock *clock, struct kp_snapshot *ret_snapshot)
{
    ret_snapshot->slot = kp_readers_enter(&clock->snapshots, &clock->position, &ret_snapshot->position);
}

void kp_snapshot_release(struct kp_view_clock *clock, struct kp_snapshot *snapshot)
{
    kp_readers_leave(&clock->snapshots, snapshot->slot);
    snapshot->position = -1;
}
