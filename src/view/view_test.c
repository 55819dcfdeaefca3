/*
 * A store against a naive model: random changes, snapshots held at random, every one of them compared row by row and
 * key by key until it is released; subscribers that add up what they get and compare it with the model at each
 * position.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "vec/numeric.h"
#include "view/store.h"

/* ---- random rows ---- */

static uint64_t random_state;
static uint32_t rnd(uint32_t below)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(kp_hash_u64(random_state) % below);
}

enum { K, TEXT, FLOAT, NUMERIC, COLS };
static const struct kp_column columns[COLS] = {{"k", {KP_INT8, -1, 0}, true},
                                               {"t", {KP_TEXT, -1, 0}, false},
                                               {"f", {KP_FLOAT8, -1, 0}, false},
                                               {"n", {KP_NUMERIC, -1, 0}, false}};
static const uint32_t all_columns[COLS] = {K, TEXT, FLOAT, NUMERIC};

struct row { /* the printed form is the identity */
    int64_t k;
    char text[64];
    int text_len; /* -1: NULL */
    double f;
    int kind; /* of the numeric: -1 NULL, 0 to 3 */
};

static struct row random_row(int64_t k)
{
    struct row row = {.k = k, .text_len = (int)rnd(40) - 1, .kind = (int)rnd(5) - 1};
    for (int i = 0; i < row.text_len; i++)
        row.text[i] = (char)('a' + rnd(2));
    static const double floats[] = {0.0, -0.0, 1.5, NAN, -3e300};
    row.f = floats[rnd(5)];
    return row;
}

static struct kp_numeric numeric_of(const struct row *row, struct kp_arena *arena)
{
    if (row->kind == 3) {
        struct kp_numeric_big *big = kp_arena_calloc(arena, sizeof *big + 2 * sizeof(uint64_t));
        big->limb_count = 2;
        big->limbs[0] = (uint64_t)row->k;
        big->limbs[1] = 7;
        struct kp_numeric n = {{.big = big}, 3, KP_NUMERIC_BIG, {0}};
        return n;
    }
    return row->kind == 2 ? kp_numeric_special(KP_NUMERIC_NAN)
                          : kp_numeric_small(row->kind ? 100 : 10, row->kind ? 2 : 1);
}

static struct kp_batch *batch_of(const struct row *rows, const int64_t *weights, uint32_t n, struct kp_arena *arena)
{
    struct kp_batch *batch = kp_batch_create(arena, COLS, n);
    int64_t *w = kp_arena_alloc(arena, n * sizeof *w);
    for (uint32_t c = 0; c < COLS; c++) {
        kp_vec_init(&batch->vecs[c], arena, columns[c].type, n);
        kp_vec_need_valid(&batch->vecs[c], arena, n);
    }
    for (uint32_t i = 0; i < n; i++) {
        w[i] = weights[i];
        ((int64_t *)batch->vecs[K].data)[i] = rows[i].k;
        ((double *)batch->vecs[FLOAT].data)[i] = rows[i].f;
        if (rows[i].text_len < 0)
            kp_vec_set_null(&batch->vecs[TEXT], i);
        else
            ((struct kp_text *)batch->vecs[TEXT].data)[i] =
                kp_text_make(kp_arena_strndup(arena, rows[i].text, (size_t)rows[i].text_len), (size_t)rows[i].text_len);
        if (rows[i].kind < 0)
            kp_vec_set_null(&batch->vecs[NUMERIC], i);
        else
            ((struct kp_numeric *)batch->vecs[NUMERIC].data)[i] = numeric_of(&rows[i], arena);
    }
    batch->weights = w;
    return batch;
}

/* ---- the model: rows as text with multiplicities, sorted ---- */

struct model {
    struct entry {
        char *text;
        int64_t count;
    } * entries;
    size_t count, cap;
};

static void model_add(struct model *model, const char *text, int64_t weight)
{
    size_t low = 0, high = model->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strcmp(model->entries[middle].text, text);
        if (order == 0) {
            if ((model->entries[middle].count += weight) == 0) {
                kp_free(model->entries[middle].text);
                memmove(&model->entries[middle], &model->entries[middle + 1],
                        (--model->count - middle) * sizeof *model->entries);
            }
            return;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (model->count == model->cap) {
        model->cap = model->cap ? model->cap * 2 : 16;
        model->entries = kp_realloc(model->entries, model->cap * sizeof *model->entries);
    }
    memmove(&model->entries[low + 1], &model->entries[low], (model->count++ - low) * sizeof *model->entries);
    model->entries[low] = (struct entry){kp_strdup(text), weight};
}

static void model_finish(struct model *model)
{
    for (size_t i = 0; i < model->count; i++)
        kp_free(model->entries[i].text);
    kp_free(model->entries);
    memset(model, 0, sizeof *model);
}

static struct model model_copy(const struct model *from)
{
    struct model to = {.count = from->count, .cap = from->count};
    to.entries = kp_alloc(from->count * sizeof *to.entries);
    for (size_t i = 0; i < from->count; i++)
        to.entries[i] = (struct entry){kp_strdup(from->entries[i].text), from->entries[i].count};
    return to;
}

static void assert_same(const struct model *a, const struct model *b)
{
    assert_int_equal(a->count, b->count);
    for (size_t i = 0; i < a->count; i++) {
        assert_string_equal(a->entries[i].text, b->entries[i].text);
        assert_int_equal(a->entries[i].count, b->entries[i].count);
    }
}

static void print_row(const struct kp_batch *batch, uint32_t i, char text[256])
{
    struct kp_datum d[COLS];
    for (uint32_t c = 0; c < COLS; c++)
        kp_vec_get(&batch->vecs[c], i, &d[c]);
    int at = snprintf(text, 256, "%lld|%d:%.*s|", (long long)d[K].i64, d[TEXT].null,
                      d[TEXT].null ? 0 : (int)d[TEXT].text.len, d[TEXT].null ? "" : kp_text_bytes(&d[TEXT].text));
    if (d[FLOAT].f64 != d[FLOAT].f64)
        at += snprintf(text + at, 256 - (size_t)at, "nan|");
    else
        at += snprintf(text + at, 256 - (size_t)at, "%a|", d[FLOAT].f64);
    if (d[NUMERIC].null)
        snprintf(text + at, 256 - (size_t)at, "null");
    else if (d[NUMERIC].numeric.kind == KP_NUMERIC_BIG)
        snprintf(text + at, 256 - (size_t)at, "big %llu %llu", (unsigned long long)d[NUMERIC].numeric.big->limbs[0],
                 (unsigned long long)d[NUMERIC].numeric.big->limbs[1]);
    else
        snprintf(text + at, 256 - (size_t)at, "%d %d %lld", d[NUMERIC].numeric.kind, d[NUMERIC].numeric.scale,
                 (long long)d[NUMERIC].numeric.coef);
}

static void model_add_batch(struct model *model, const struct kp_batch *batch)
{
    char text[256];
    for (uint32_t i = 0; i < batch->rows; i++) {
        print_row(batch, i, text);
        model_add(model, text, batch->weights ? batch->weights[i] : 1);
    }
}

static enum kp_code emit(void *arg, struct kp_batch *batch, struct kp_error *err)
{
    model_add_batch(arg, batch);
    return KP_OK;
}

static void assert_snapshot(struct kp_store *store, const struct kp_snapshot *snapshot, const struct model *expected)
{
    struct kp_arena arena = {0};
    struct model seen = {0};
    struct kp_error err;
    assert_int_equal(kp_store_scan(store, snapshot, all_columns, COLS, &arena, emit, &seen, &err), KP_OK);
    assert_same(&seen, expected);
    model_finish(&seen);
    kp_arena_finish(&arena);
}

/* Looks up some keys; the row is the model's, or there is none. */
static void assert_lookups(struct kp_store *store, const struct kp_snapshot *snapshot, const struct model *expected,
                           int64_t keys)
{
    struct kp_arena arena = {0};
    for (int i = 0; i < 20; i++) {
        struct kp_datum key = {.type = columns[K].type, .i64 = rnd((uint32_t)keys + 2)};
        struct kp_batch *batch;
        struct kp_error err;
        char text[256];
        assert_int_equal(kp_store_lookup(store, snapshot, &key, all_columns, COLS, &arena, &batch, &err), KP_OK);
        int prefix = snprintf(text, sizeof text, "%lld|", (long long)key.i64);
        const char *found = NULL;
        for (size_t e = 0; e < expected->count; e++)
            if (strncmp(expected->entries[e].text, text, (size_t)prefix) == 0)
                found = expected->entries[e].text;
        assert_int_equal(found != NULL, batch != NULL);
        if (batch) {
            assert_int_equal(batch->rows, 1);
            print_row(batch, 0, text);
            assert_string_equal(text, found);
        }
    }
    kp_arena_finish(&arena);
}

/* ---- a world: a store that is driven at random ---- */

enum { KEYS = 60, HELD = 6, SUBSCRIBERS = 4 };
struct world {
    struct kp_view_clock *clock;
    struct kp_store *store;
    bool keyed;
    struct row rows[4096]; /* alive ones, with duplicates unless keyed */
    uint32_t row_count;
    struct model model;
    int64_t position;
    bool growing; /* nothing is taken away */
};

static void world_init(struct world *world, bool keyed, uint64_t seed)
{
    memset(world, 0, sizeof *world);
    random_state = seed;
    world->clock = kp_view_clock_create();
    world->keyed = keyed;
    static const uint32_t key = K;
    world->store = kp_store_create(&(struct kp_store_options){
        .clock = world->clock, .cols = columns, .col_count = COLS, .keys = &key, .key_count = keyed ? 1 : 0});
}

static void world_finish(struct world *world)
{
    kp_store_destroy(world->store);
    kp_view_clock_destroy(world->clock);
    model_finish(&world->model);
}

/* Consolidated random changes that keep multiplicities (and keys) valid. */
static void world_apply(struct world *world, int64_t position_end)
{
    struct kp_arena arena = {0};
    struct model delta = {0};
    enum { MAX = 80 };
    struct row rows[MAX];
    int64_t weights[MAX];
    uint32_t n = 0, target = 1 + rnd(MAX / 2);
    while (n < target) {
        int64_t k = rnd(KEYS);
        uint32_t same = UINT32_MAX;
        for (uint32_t i = 0; i < world->row_count && same == UINT32_MAX; i++)
            if (world->rows[i].k == k)
                same = i;
        if (same != UINT32_MAX && !world->growing && (world->keyed || rnd(3) == 0)) {
            rows[n] = world->rows[same];
            weights[n++] = -1;
            world->rows[same] = world->rows[--world->row_count];
        }
        if (n < MAX && world->row_count < KP_COUNT(world->rows) && rnd(4)) {
            bool again = !world->keyed && world->row_count && rnd(3) == 0; /* a row that is there already */
            rows[n] = again ? world->rows[rnd(world->row_count)]
                            : random_row(world->keyed && world->growing ? KEYS + world->row_count : k);
            weights[n] = 1;
            world->rows[world->row_count++] = rows[n++];
        }
    }
    /* consolidate: no row twice */
    struct kp_batch *raw = batch_of(rows, weights, n, &arena);
    char texts[MAX][256];
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n; i++) {
        print_row(raw, i, texts[kept]);
        uint32_t at = 0;
        while (strcmp(texts[at], texts[kept]) != 0)
            at++;
        if (at == kept) {
            rows[kept] = rows[i];
            weights[kept++] = weights[i];
        } else {
            weights[at] += weights[i];
        }
    }
    uint32_t out = 0;
    for (uint32_t i = 0; i < kept; i++)
        if (weights[i]) {
            rows[out] = rows[i];
            weights[out++] = weights[i];
        }
    uint32_t cut = out ? rnd(out + 1) : 0; /* as two shards give them */
    struct kp_batch *batches[2] = {batch_of(rows, weights, cut, &arena),
                                   batch_of(rows + cut, weights + cut, out - cut, &arena)};
    struct kp_changes changes = {.batches = batches, .batch_count = 2, .rows = out};
    struct kp_error err;
    assert_int_equal(kp_store_apply(world->store, &changes, position_end, &err), KP_OK);
    model_add_batch(&world->model, batches[0]);
    model_add_batch(&world->model, batches[1]);
    model_finish(&delta);
    kp_arena_finish(&arena);
}

static void world_step(struct world *world)
{
    world->position += 1 + rnd(5);
    int parts = rnd(4) ? 1 : 3;
    for (int i = 0; i < parts; i++)
        world_apply(world, world->position);
    kp_view_clock_publish(world->clock, world->position, world->position * 1000);
}

static void run_model(bool keyed, uint64_t seed)
{
    static struct world world;
    world_init(&world, keyed, seed);
    struct held {
        bool used;
        struct kp_snapshot snapshot;
        struct model model;
    } held[HELD] = {0};
    for (int step = 0; step < 150; step++) {
        world.growing = step < 30 && (seed & 1);
        world_step(&world);
        struct held *one = &held[rnd(HELD)];
        if (one->used) {
            kp_snapshot_release(world.clock, &one->snapshot);
            model_finish(&one->model);
            one->used = false;
        } else {
            kp_snapshot_acquire(world.clock, &one->snapshot);
            assert_int_equal(one->snapshot.position, world.position);
            one->model = model_copy(&world.model);
            one->used = true;
        }
        for (int i = 0; i < HELD; i++)
            if (held[i].used) {
                assert_snapshot(world.store, &held[i].snapshot, &held[i].model);
                if (keyed)
                    assert_lookups(world.store, &held[i].snapshot, &held[i].model, KEYS);
            }
    }
    for (int i = 0; i < HELD; i++)
        if (held[i].used) {
            kp_snapshot_release(world.clock, &held[i].snapshot);
            model_finish(&held[i].model);
        }
    /* What nobody sees is reused: after some more steps only the living are left, and those of the last step. */
    for (int step = 0; step < 4; step++)
        world_step(&world);
    struct kp_store_stats stats;
    kp_store_stats(world.store, &stats);
    assert_int_equal(stats.rows, world.row_count);
    assert_in_range(stats.versions, world.model.count, world.model.count + 400);
    /* The hash is that of the rows, however they came. */
    struct world fresh;
    struct kp_store_stats other;
    fresh.clock = kp_view_clock_create();
    fresh.store = kp_store_create(
        &(struct kp_store_options){.clock = fresh.clock, .cols = columns, .col_count = COLS, .hidden = true});
    struct kp_arena arena = {0};
    for (uint32_t i = 0; i < world.row_count; i++) {
        int64_t one = 1;
        struct kp_batch *batch = batch_of(&world.rows[i], &one, 1, &arena);
        struct kp_changes changes = {.batches = &batch, .batch_count = 1, .rows = 1};
        struct kp_error err;
        assert_int_equal(kp_store_apply(fresh.store, &changes, 1, &err), KP_OK);
    }
    kp_store_set_start(fresh.store, 1);
    kp_store_stats(fresh.store, &other);
    assert_memory_equal(stats.hash, other.hash, sizeof stats.hash);
    kp_arena_finish(&arena);
    kp_store_destroy(fresh.store);
    kp_view_clock_destroy(fresh.clock);
    world_finish(&world);
}

static void test_model_bag(void **state)
{
    for (uint64_t seed = 1; seed <= 2; seed++)
        run_model(false, seed);
}

static void test_model_keyed(void **state)
{
    for (uint64_t seed = 1; seed <= 2; seed++)
        run_model(true, seed);
}

/* A snapshot held for long does not keep what came and went behind it. */
static void test_long_snapshot(void **state)
{
    static struct world world;
    world_init(&world, true, 7);
    world_step(&world);
    struct kp_snapshot snapshot;
    kp_snapshot_acquire(world.clock, &snapshot);
    struct model then = model_copy(&world.model);
    for (int step = 0; step < 1000; step++)
        world_step(&world);
    struct kp_store_stats stats;
    kp_store_stats(world.store, &stats);
    assert_in_range(stats.versions, 1, then.count + world.model.count + 1000);
    assert_snapshot(world.store, &snapshot, &then);
    model_finish(&then);
    kp_snapshot_release(world.clock, &snapshot);
    world_finish(&world);
}

static void test_hidden(void **state)
{
    static struct world world;
    struct kp_error err;
    struct kp_store_stats stats;
    world_init(&world, true, 3);
    kp_store_destroy(world.store);
    kp_view_clock_publish(world.clock, 1000, 0);
    static const uint32_t key = K;
    world.store = kp_store_create(&(struct kp_store_options){
        .clock = world.clock, .cols = columns, .col_count = COLS, .keys = &key, .key_count = 1, .hidden = true});
    struct kp_snapshot before, after;
    kp_snapshot_acquire(world.clock, &before);
    for (int64_t p = 1; p <= 500; p++) /* history, older than what is published */
        world_apply(&world, p);
    assert_int_equal(kp_store_check(world.store, &before, &err), KP_BUSY);
    kp_view_clock_publish(world.clock, 1001, 0);
    kp_store_set_start(world.store, 1001);
    kp_store_stats(world.store, &stats);
    assert_int_equal(stats.versions, world.model.count); /* nothing dead was kept */
    kp_snapshot_acquire(world.clock, &after);
    assert_int_equal(kp_store_check(world.store, &before, &err), KP_BUSY);
    assert_true(err.retriable);
    assert_int_equal(kp_store_check(world.store, &after, &err), KP_OK);
    assert_snapshot(world.store, &after, &world.model);
    assert_lookups(world.store, &after, &world.model, KEYS);
    world.position = 1001;
    struct model then = model_copy(&world.model);
    for (int i = 0; i < 50; i++)
        world_step(&world);
    assert_snapshot(world.store, &after, &then);
    model_finish(&then);
    kp_snapshot_release(world.clock, &before);
    kp_snapshot_release(world.clock, &after);
    world_finish(&world);
}

/* ---- errors ---- */

static void apply_error(struct world *world, int64_t weight, int64_t record, const char *message)
{
    struct kp_flow_error error = {.weight = weight, .log_position = record, .sqlstate = "22012", .message = message};
    struct kp_changes changes = {.errors = &error, .error_count = 1};
    struct kp_error err;
    assert_int_equal(kp_store_apply(world->store, &changes, ++world->position, &err), KP_OK);
    kp_view_clock_publish(world->clock, world->position, 0);
}

static enum kp_code check_now(struct world *world, struct kp_error *err)
{
    struct kp_snapshot now;
    kp_snapshot_acquire(world->clock, &now);
    enum kp_code code = kp_store_check(world->store, &now, err);
    kp_snapshot_release(world->clock, &now);
    return code;
}

static void test_errors(void **state)
{
    static struct world world;
    struct kp_error err;
    struct kp_store_stats stats;
    world_init(&world, false, 5);
    world_step(&world);
    struct kp_snapshot good, bad;
    kp_snapshot_acquire(world.clock, &good);
    apply_error(&world, 1, 17, "division by zero");
    kp_snapshot_acquire(world.clock, &bad);
    apply_error(&world, 2, 5, "out of range, and this text is longer than twelve bytes");
    assert_int_equal(check_now(&world, &err), KP_INVALID);
    assert_string_equal(err.sqlstate, "22012");
    assert_int_equal(err.log_position, 5);
    assert_non_null(strstr(err.message, "longer than twelve"));
    apply_error(&world, -2, 5, "out of range, and this text is longer than twelve bytes");
    assert_int_equal(check_now(&world, &err), KP_INVALID);
    assert_string_equal(err.message, "division by zero");
    kp_store_stats(world.store, &stats);
    assert_int_equal(stats.errors, 1);
    apply_error(&world, -1, 17, "division by zero");
    assert_int_equal(check_now(&world, &err), KP_OK);
    assert_int_equal(kp_store_check(world.store, &good, &err), KP_OK);
    assert_int_equal(kp_store_check(world.store, &bad, &err), KP_INVALID);
    kp_snapshot_release(world.clock, &good);
    kp_snapshot_release(world.clock, &bad);
    world_finish(&world);
}

static void test_budget(void **state)
{
    struct kp_budget budget;
    struct kp_error err;
    kp_budget_init(&budget, "view v", 100000, NULL);
    static struct world world;
    world_init(&world, false, 5);
    kp_store_destroy(world.store);
    world.store = kp_store_create(
        &(struct kp_store_options){.clock = world.clock, .cols = columns, .col_count = COLS, .budget = &budget});
    enum kp_code code = KP_OK;
    struct kp_arena arena = {0};
    for (int64_t i = 0; code == KP_OK && i < 100000; i++) {
        struct row row = random_row(i);
        int64_t one = 1;
        struct kp_batch *batch = batch_of(&row, &one, 1, &arena);
        struct kp_changes changes = {.batches = &batch, .batch_count = 1, .rows = 1};
        code = kp_store_apply(world.store, &changes, i + 1, &err);
    }
    assert_int_equal(code, KP_BUDGET);
    assert_non_null(strstr(err.message, "view v"));
    assert_int_equal(check_now(&world, &err), KP_BUDGET);
    kp_arena_finish(&arena);
    world_finish(&world);
    assert_int_equal(atomic_load(&budget.used_bytes), 0);
}

/* ---- subscriptions ---- */

struct follower {
    struct kp_subscription *subscription;
    struct model sum;
    int64_t position;
    int notified;
};

static void notify(void *arg)
{
    ((struct follower *)arg)->notified++;
}

/* Takes all that is ready; true if it is complete at the world's position. */
static enum kp_code follow(struct follower *follower, struct kp_error *err)
{
    struct kp_arena arena = {0};
    struct kp_subscription_item item;
    bool ready = true;
    enum kp_code code = KP_OK;
    while (ready) {
        code = kp_subscription_next(follower->subscription, 0, &arena, &item, &ready, err);
        if (code != KP_OK)
            break;
        if (ready && item.batch)
            model_add_batch(&follower->sum, item.batch);
        if (ready && item.last_of_position)
            follower->position = item.position;
    }
    kp_arena_finish(&arena);
    return code;
}

static void follower_begin(struct world *world, struct follower *follower, bool snapshot, int64_t resume)
{
    struct kp_error err;
    struct kp_subscription_options options = {
        .snapshot = snapshot, .resume = resume, .notify = notify, .arg = follower};
    assert_int_equal(kp_subscribe(world->store, &options, &follower->subscription, &err), KP_OK);
}

static void test_subscriptions(void **state)
{
    static struct world world;
    struct kp_error err;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        world_init(&world, seed & 1, seed);
        struct follower followers[SUBSCRIBERS] = {0};
        for (int step = 0; step < 200; step++) {
            int notified[SUBSCRIBERS];
            for (int i = 0; i < SUBSCRIBERS; i++)
                notified[i] = followers[i].notified;
            if (rnd(5))
                world_step(&world);
            else
                kp_view_clock_publish(world.clock, ++world.position, step);
            for (int i = 0; i < SUBSCRIBERS; i++) {
                struct follower *f = &followers[i];
                if (f->subscription && rnd(3)) { /* else it stays behind for a while */
                    assert_int_equal(follow(f, &err), KP_OK);
                    assert_int_equal(f->position, world.position);
                    assert_same(&f->sum, &world.model);
                } else if (f->subscription && rnd(4) == 0) {
                    kp_unsubscribe(f->subscription);
                    f->subscription = NULL;
                    if (rnd(2)) /* forgets all; else it resumes where it was */
                        model_finish(&f->sum);
                } else if (!f->subscription && f->sum.count) {
                    follower_begin(&world, f, false, f->position);
                } else if (!f->subscription) {
                    model_finish(&f->sum);
                    follower_begin(&world, f, true, -1);
                    f->position = -1;
                }
                assert_in_range(f->notified, notified[i], notified[i] + 1);
            }
        }
        for (int i = 0; i < SUBSCRIBERS; i++) {
            kp_unsubscribe(followers[i].subscription);
            model_finish(&followers[i].sum);
        }
        world_finish(&world);
    }
}

static void test_notify(void **state)
{
    static struct world world;
    struct kp_error err;
    world_init(&world, true, 1);
    struct follower f = {0};
    follower_begin(&world, &f, false, -1);
    world_step(&world);
    assert_int_equal(f.notified, 1);
    world_step(&world); /* it has not looked yet */
    assert_int_equal(f.notified, 1);
    assert_int_equal(follow(&f, &err), KP_OK);
    kp_view_clock_publish(world.clock, ++world.position, 0);
    assert_int_equal(f.notified, 2);
    assert_int_equal(follow(&f, &err), KP_OK);
    assert_int_equal(f.position, world.position);
    kp_store_close_subscriptions(world.store);
    assert_int_equal(f.notified, 3);
    assert_int_equal(follow(&f, &err), KP_CLOSED);
    kp_unsubscribe(f.subscription);
    model_finish(&f.sum);
    world_finish(&world);
}

/* A view that has stopped was not dropped: its subscribers are told the cause. */
static void test_subscription_stopped(void **state)
{
    static struct world world;
    struct kp_error err, cause;
    world_init(&world, true, 3);
    struct follower f = {0};
    follower_begin(&world, &f, false, -1);
    world_step(&world);
    assert_int_equal(kp_fail(&cause, KP_BUDGET, "53200", "memory is spent"), KP_BUDGET);
    kp_store_fail(world.store, &cause);
    kp_store_close_subscriptions(world.store);
    assert_int_equal(follow(&f, &err), KP_BUDGET);
    assert_string_equal(err.sqlstate, "53200");
    kp_unsubscribe(f.subscription);
    model_finish(&f.sum);
    world_finish(&world);
}

/* Errors hold a subscriber back; when they are gone it goes on as if nothing had been. */
static void test_subscription_errors(void **state)
{
    static struct world world;
    struct kp_error err;
    world_init(&world, false, 11);
    world_step(&world);
    struct follower f = {0};
    follower_begin(&world, &f, true, -1);
    assert_int_equal(follow(&f, &err), KP_OK);
    int64_t good = world.position;
    world_step(&world);
    int64_t last_good = world.position;
    apply_error(&world, 1, 3, "division by zero");
    world_step(&world);
    assert_int_equal(follow(&f, &err), KP_INVALID);
    assert_string_equal(err.sqlstate, "22012");
    assert_int_equal(f.position, last_good);
    assert_true(last_good > good);
    struct kp_subscription *refused;
    struct kp_subscription_options options = {.snapshot = true, .resume = -1};
    assert_int_equal(kp_subscribe(world.store, &options, &refused, &err), KP_INVALID);
    apply_error(&world, -1, 3, "division by zero");
    assert_int_equal(follow(&f, &err), KP_OK);
    assert_int_equal(f.position, world.position);
    assert_same(&f.sum, &world.model);
    kp_unsubscribe(f.subscription);
    model_finish(&f.sum);
    world_finish(&world);
}

static void test_cut_off(void **state)
{
    static struct world world;
    struct kp_error err;
    world_init(&world, false, 13);
    kp_store_destroy(world.store);
    world.store = kp_store_create(&(struct kp_store_options){
        .clock = world.clock, .cols = columns, .col_count = COLS, .changes_bytes_max = 30000});
    world_step(&world);
    struct follower f = {0}, slow_start = {0};
    struct kp_subscription_options options = {.snapshot = true, .resume = -1, .queue_bytes_max = 20000};
    assert_int_equal(kp_subscribe(world.store, &options, &f.subscription, &err), KP_OK);
    assert_int_equal(follow(&f, &err), KP_OK);
    assert_int_equal(kp_subscribe(world.store, &options, &slow_start.subscription, &err), KP_OK);
    int64_t here = f.position;
    for (int i = 0; i < 100; i++)
        world_step(&world);
    char expected[64];
    snprintf(expected, sizeof expected, "position %lld", (long long)here);
    assert_int_equal(follow(&f, &err), KP_LIMIT);
    assert_non_null(strstr(err.hint, expected));
    assert_int_equal(follow(&slow_start, &err), KP_LIMIT);
    kp_unsubscribe(f.subscription);
    kp_unsubscribe(slow_start.subscription);
    options.resume = here; /* too long ago */
    assert_int_equal(kp_subscribe(world.store, &options, &f.subscription, &err), KP_LIMIT);
    model_finish(&f.sum);
    world_finish(&world);
}

/* A resume position inside one publish: not a state that can be gone on from. */
static void test_torn_resume(void **state)
{
    static struct world world;
    struct kp_error err;
    world_init(&world, false, 17);
    kp_view_clock_publish(world.clock, 10, 0);
    world_apply(&world, 20);
    kp_view_clock_publish(world.clock, 20, 0);
    struct kp_subscription *subscription;
    struct kp_subscription_options options = {.resume = 15};
    assert_int_equal(kp_subscribe(world.store, &options, &subscription, &err), KP_LIMIT);
    options.resume = 10;
    assert_int_equal(kp_subscribe(world.store, &options, &subscription, &err), KP_OK);
    kp_unsubscribe(subscription);
    options.resume = 20;
    assert_int_equal(kp_subscribe(world.store, &options, &subscription, &err), KP_OK);
    kp_unsubscribe(subscription);
    world_finish(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model_bag),
        cmocka_unit_test(test_model_keyed),
        cmocka_unit_test(test_long_snapshot),
        cmocka_unit_test(test_hidden),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_budget),
        cmocka_unit_test(test_subscriptions),
        cmocka_unit_test(test_notify),
        cmocka_unit_test(test_subscription_stopped),
        cmocka_unit_test(test_subscription_errors),
        cmocka_unit_test(test_cut_off),
        cmocka_unit_test(test_torn_resume),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
