/*
 * What a store costs: rows in, rows replaced, read by key, read all. Prints one line each: million rows a second, and
 * bytes a row.
 */
#include <stdio.h>

#include "base/hash.h"
#include "os/os.h"
#include "view/store.h"

enum { KEYS = 1000000, BATCH = 50000, UPDATES = 2000000, LOOKUPS = 1000000 };

static const struct kp_column columns[3] = {
    {"k", {KP_INT8, -1, 0}, true}, {"n", {KP_INT8, -1, 0}, true}, {"t", {KP_TEXT, -1, 0}, true}};
static const uint32_t all[3] = {0, 1, 2};

static double seconds_since(int64_t begin_ns)
{
    return (double)(kp_os_real()->mono_ns(NULL) - begin_ns) / 1e9;
}

static void report(const char *what, double rows, double seconds)
{
    printf("%-28s %8.2f M rows/s  (%.0f ns a row)\n", what, rows / seconds / 1e6, seconds * 1e9 / rows);
}

static struct kp_text text_of(int64_t k, bool wide, struct kp_arena *arena)
{
    char *text = kp_arena_printf(arena, wide ? "a name that is not so short %lld" : "n%lld", (long long)k);
    return kp_text_make(text, strlen(text));
}

static struct kp_batch *batch_of(const int64_t *keys, const int64_t *values, const int64_t *weights, uint32_t n,
                                 bool wide, struct kp_arena *arena)
{
    struct kp_batch *batch = kp_batch_create(arena, 3, n);
    for (uint32_t c = 0; c < 3; c++)
        kp_vec_init(&batch->vecs[c], arena, columns[c].type, n);
    memcpy(batch->vecs[0].data, keys, n * sizeof *keys);
    memcpy(batch->vecs[1].data, values, n * sizeof *values);
    for (uint32_t i = 0; i < n; i++)
        ((struct kp_text *)batch->vecs[2].data)[i] = text_of(keys[i], wide, arena);
    batch->weights = weights;
    return batch;
}

static double apply(struct kp_view_clock *clock, struct kp_store *store, struct kp_batch *batch, int64_t position)
{
    struct kp_changes changes = {.batches = &batch, .batch_count = 1, .rows = batch->rows};
    struct kp_error err;
    int64_t begin_ns = kp_os_real()->mono_ns(NULL);
    KP_ASSERT(kp_store_apply(store, &changes, position, &err) == KP_OK);
    kp_view_clock_publish(clock, position, position);
    return seconds_since(begin_ns);
}

static enum kp_code count(void *arg, struct kp_batch *batch, struct kp_error *err)
{
    *(uint64_t *)arg += batch->rows;
    return KP_OK;
}

static void run(bool wide)
{
    static const uint32_t key = 0;
    static int64_t keys[2 * BATCH], values[2 * BATCH], weights[2 * BATCH], current[KEYS];
    struct kp_view_clock *clock = kp_view_clock_create();
    struct kp_store *store = kp_store_create(
        &(struct kp_store_options){.clock = clock, .cols = columns, .col_count = 3, .keys = &key, .key_count = 1});
    struct kp_arena arena = {0};
    struct kp_store_stats stats;
    int64_t position = 0;
    double spent = 0;
    printf("%s\n", wide ? "bigint, bigint, text of 35 bytes" : "bigint, bigint, text inline");
    for (int64_t k = 0; k < KEYS; k += BATCH) {
        for (uint32_t i = 0; i < BATCH; i++) {
            keys[i] = k + i;
            values[i] = current[k + i] = 0;
        }
        spent += apply(clock, store, batch_of(keys, values, NULL, BATCH, wide, &arena), ++position);
        kp_arena_reset(&arena);
    }
    report("insert", KEYS, spent);
    kp_store_stats(store, &stats);
    printf("%-28s %8.1f bytes a row\n", "memory", (double)stats.bytes / KEYS);
    spent = 0;
    uint64_t random = 1;
    for (int64_t done = 0; done < UPDATES; done += BATCH / 2) {
        uint32_t n = 0;
        uint64_t start = kp_hash_u64(++random) % KEYS;
        for (uint32_t i = 0; i < BATCH / 2; i++) {
            int64_t k = (int64_t)((start + (uint64_t)i * 7919) % KEYS);
            keys[n] = keys[n + 1] = k;
            values[n] = current[k]++;
            values[n + 1] = current[k];
            weights[n++] = -1;
            weights[n++] = 1;
        }
        spent += apply(clock, store, batch_of(keys, values, weights, n, wide, &arena), ++position);
        kp_arena_reset(&arena);
    }
    report("replace (-old +new)", UPDATES, spent);
    struct kp_snapshot snapshot;
    struct kp_error err;
    kp_snapshot_acquire(clock, &snapshot);
    int64_t begin_ns = kp_os_real()->mono_ns(NULL);
    for (int i = 0; i < LOOKUPS; i++) {
        struct kp_datum datum = {.type = columns[0].type, .i64 = (int64_t)(kp_hash_u64((uint64_t)i) % KEYS)};
        struct kp_batch *batch;
        KP_ASSERT(kp_store_lookup(store, &snapshot, &datum, all, 3, &arena, &batch, &err) == KP_OK && batch);
        kp_arena_reset(&arena);
    }
    report("look up", LOOKUPS, seconds_since(begin_ns));
    uint64_t rows = 0;
    begin_ns = kp_os_real()->mono_ns(NULL);
    KP_ASSERT(kp_store_scan(store, &snapshot, all, 3, &arena, count, &rows, &err) == KP_OK);
    report("scan", (double)rows, seconds_since(begin_ns));
    kp_snapshot_release(clock, &snapshot);
    kp_arena_finish(&arena);
    kp_store_destroy(store);
    kp_view_clock_destroy(clock);
}

int main(void)
{
    run(false);
    run(true);
    return 0;
}
