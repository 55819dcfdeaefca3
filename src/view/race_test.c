/*
 * Readers against the engine, for ThreadSanitizer too. Accounts transfer money: at every published position the sum
 * over all accounts is the same, each account has exactly one row, and a subscriber's sum says so as well. Slots are
 * reused all the time, so a reader who took values of a reused slot, or strayed in the key index, would see it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "os/thread.h"
#include "view/store.h"

enum { ACCOUNTS = 300, START = 1000, STEPS = 8000, READERS = 3, TRANSFERS = 8 };

static const struct kp_column columns[3] = {
    {"k", {KP_INT8, -1, 0}, true}, {"v", {KP_INT8, -1, 0}, true}, {"t", {KP_TEXT, -1, 0}, true}};
static const uint32_t all_columns[3] = {0, 1, 2};

static struct kp_view_clock *view_clock;
static struct kp_store *store;
static _Atomic bool done;
static _Atomic long checks;

static uint64_t next_random(uint64_t *state)
{
    return kp_hash_u64(*state += 0x9e3779b97f4a7c15u);
}

/* The text repeats the numbers: a row that mixes two versions is found out. */
static struct kp_text text_of(int64_t k, int64_t v, struct kp_arena *arena)
{
    char *text = kp_arena_printf(arena, "account %lld holds %lld", (long long)k, (long long)v);
    return kp_text_make(text, strlen(text));
}

static void put(struct kp_batch *batch, int64_t *weights, int64_t k, int64_t v, int64_t weight, struct kp_arena *arena)
{
    uint32_t i = batch->rows++;
    ((int64_t *)batch->vecs[0].data)[i] = k;
    ((int64_t *)batch->vecs[1].data)[i] = v;
    ((struct kp_text *)batch->vecs[2].data)[i] = text_of(k, v, arena);
    weights[i] = weight;
}

static void apply(struct kp_batch *batch, int64_t position)
{
    struct kp_changes changes = {.batches = &batch, .batch_count = 1, .rows = batch->rows};
    struct kp_error err;
    KP_ASSERT(kp_store_apply(store, &changes, position, &err) == KP_OK);
    kp_view_clock_publish(view_clock, position, position);
}

static struct kp_batch *new_batch(uint32_t rows, struct kp_arena *arena, int64_t **ret_weights)
{
    struct kp_batch *batch = kp_batch_create(arena, 3, 0);
    for (uint32_t c = 0; c < 3; c++)
        kp_vec_init(&batch->vecs[c], arena, columns[c].type, rows);
    batch->weights = *ret_weights = kp_arena_alloc(arena, rows * sizeof(int64_t));
    return batch;
}

static void engine(void *arg)
{
    static int64_t balance[ACCOUNTS], before[ACCOUNTS];
    struct kp_arena arena = {0};
    int64_t *weights;
    uint64_t random = 1;
    struct kp_batch *batch = new_batch(ACCOUNTS, &arena, &weights);
    for (int64_t k = 0; k < ACCOUNTS; k++)
        put(batch, weights, k, balance[k] = before[k] = START, 1, &arena);
    apply(batch, 1);
    for (int64_t position = 2; position < STEPS; position++) {
        kp_arena_reset(&arena);
        for (int i = 0; i < TRANSFERS; i++) {
            int64_t amount = (int64_t)(next_random(&random) % 50);
            balance[next_random(&random) % ACCOUNTS] -= amount;
            balance[next_random(&random) % ACCOUNTS] += amount;
        }
        batch = new_batch(4 * TRANSFERS, &arena, &weights);
        for (int64_t k = 0; k < ACCOUNTS; k++)
            if (balance[k] != before[k]) {
                put(batch, weights, k, before[k], -1, &arena);
                put(batch, weights, k, balance[k], 1, &arena);
                before[k] = balance[k];
            }
        apply(batch, position);
    }
    kp_arena_finish(&arena);
    atomic_store(&done, true);
}

struct sum {
    int64_t rows, total;
};

static void add(struct sum *sum, const struct kp_batch *batch)
{
    struct kp_arena arena = {0};
    for (uint32_t i = 0; i < batch->rows; i++) {
        int64_t weight = batch->weights ? batch->weights[i] : 1;
        int64_t k = ((int64_t *)batch->vecs[0].data)[i], v = ((int64_t *)batch->vecs[1].data)[i];
        struct kp_text text = text_of(k, v, &arena);
        KP_ASSERT(kp_text_equal(&text, &((struct kp_text *)batch->vecs[2].data)[i]));
        sum->rows += weight;
        sum->total += weight * v;
    }
    kp_arena_finish(&arena);
}

static enum kp_code emit(void *arg, struct kp_batch *batch, struct kp_error *err)
{
    add(arg, batch);
    return KP_OK;
}

static void look_up(const struct kp_snapshot *snapshot, int64_t k, struct kp_arena *arena)
{
    struct kp_datum key = {.type = {KP_INT8, -1, 0}, .i64 = k};
    struct kp_batch *batch;
    struct kp_error err;
    KP_ASSERT(kp_store_lookup(store, snapshot, &key, all_columns, 3, arena, &batch, &err) == KP_OK);
    KP_ASSERT(batch && batch->rows == 1 && *(int64_t *)batch->vecs[0].data == k);
    struct sum sum = {0};
    add(&sum, batch);
}

static void reader(void *arg)
{
    uint64_t random = (uint64_t)(uintptr_t)arg;
    struct kp_arena arena = {0};
    KP_ASSERT(kp_view_clock_wait(view_clock, 1, -1));
    while (!atomic_load(&done)) {
        struct kp_snapshot snapshot;
        kp_snapshot_acquire(view_clock, &snapshot);
        int rounds = 1 + (int)(next_random(&random) % 4); /* the same answer again and again while the engine goes on */
        for (int i = 0; i < rounds; i++) {
            struct sum sum = {0};
            struct kp_error err;
            KP_ASSERT(kp_store_scan(store, &snapshot, all_columns, 3, &arena, emit, &sum, &err) == KP_OK);
            KP_ASSERT(sum.rows == ACCOUNTS && sum.total == (int64_t)ACCOUNTS * START);
            for (int look = 0; look < 30; look++)
                look_up(&snapshot, (int64_t)(next_random(&random) % ACCOUNTS), &arena);
            kp_arena_reset(&arena);
        }
        kp_snapshot_release(view_clock, &snapshot);
        atomic_fetch_add(&checks, 1);
    }
    kp_arena_finish(&arena);
}

static void subscriber(void *arg)
{
    struct kp_arena arena = {0};
    while (!atomic_load(&done)) {
        struct kp_subscription *subscription;
        struct kp_subscription_options options = {.snapshot = true, .resume = -1};
        struct kp_error err;
        KP_ASSERT(kp_view_clock_wait(view_clock, 1, -1));
        KP_ASSERT(kp_subscribe(store, &options, &subscription, &err) == KP_OK);
        struct sum sum = {0};
        for (int i = 0; i < 200 && !atomic_load(&done); i++) {
            struct kp_subscription_item item;
            bool ready;
            KP_ASSERT(kp_subscription_next(subscription, 10000, &arena, &item, &ready, &err) == KP_OK);
            if (ready && item.batch)
                add(&sum, item.batch);
            if (ready && item.last_of_position)
                KP_ASSERT(sum.rows == ACCOUNTS && sum.total == (int64_t)ACCOUNTS * START);
            kp_arena_reset(&arena);
        }
        kp_unsubscribe(subscription);
    }
    kp_arena_finish(&arena);
}

static void test_race(void **state)
{
    static const uint32_t key = 0;
    view_clock = kp_view_clock_create();
    store = kp_store_create(&(struct kp_store_options){.clock = view_clock,
                                                       .cols = columns,
                                                       .col_count = 3,
                                                       .keys = &key,
                                                       .key_count = 1,
                                                       .changes_bytes_max = 1 << 20});
    struct kp_thread threads[READERS + 2];
    for (int i = 0; i < READERS; i++)
        kp_thread_start(&threads[i], "reader", 0, reader, (void *)(uintptr_t)(i + 1));
    kp_thread_start(&threads[READERS], "subscriber", 0, subscriber, NULL);
    kp_thread_start(&threads[READERS + 1], "engine", 0, engine, NULL);
    for (int i = 0; i < READERS + 2; i++)
        kp_thread_join(&threads[i]);
    assert_true(atomic_load(&checks) > 0);
    struct kp_store_stats stats;
    kp_store_stats(store, &stats);
    assert_int_equal(stats.rows, ACCOUNTS);
    assert_in_range(stats.versions, ACCOUNTS, 100 * ACCOUNTS);
    kp_store_destroy(store);
    kp_view_clock_destroy(view_clock);
}

static void wait_thread(void *arg)
{
    *(bool *)arg = kp_view_clock_wait(view_clock, 5, -1);
}

static void test_wait(void **state)
{
    bool reached = false;
    struct kp_thread thread;
    view_clock = kp_view_clock_create();
    assert_false(kp_view_clock_wait(view_clock, 5, 1000));
    kp_thread_start(&thread, "waiter", 0, wait_thread, &reached);
    kp_view_clock_publish(view_clock, 4, 40);
    kp_view_clock_publish(view_clock, 5, 50);
    kp_thread_join(&thread);
    assert_true(reached);
    assert_int_equal(kp_view_clock_time_us(view_clock), 50);
    kp_view_clock_destroy(view_clock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_race), cmocka_unit_test(test_wait)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
