/*
 * A store: the rows of one view at every position somebody reads, its error rows, and its recent changes.
 *
 * Apply writes row versions and copies the changes into a staged item; publish indexes the rows, moves the clock and
 * hands the staged items on (view/clock.c has the order). A store past its budget, or whose changes cannot be applied,
 * is broken for good: readers get the cause, and it must be rebuilt.
 */
#include "view/store.h"

enum { CHANGES_BYTES_DEFAULT = 16 << 20 };

/* An error row's columns; their order is the order in which the first one is chosen. */
enum { ERROR_POSITION, ERROR_MESSAGE, ERROR_SQLSTATE, ERROR_ORIGIN, ERROR_COLUMNS };
static const struct kp_column error_columns[ERROR_COLUMNS] = {
    [ERROR_POSITION] = {"log_position", {KP_INT8, -1, 0}, true},
    [ERROR_MESSAGE] = {"message", {KP_TEXT, -1, 0}, true},
    [ERROR_SQLSTATE] = {"sqlstate", {KP_TEXT, -1, 0}, true},
    [ERROR_ORIGIN] = {"origin", {KP_INT8, -1, 0}, true},
};

struct kp_store *kp_store_create(const struct kp_store_options *options)
{
    struct kp_store *store = kp_calloc(1, sizeof *store);
    store->clock = options->clock;
    store->budget = options->budget;
    store->col_count = options->col_count;
    store->cols = kp_calloc(options->col_count, sizeof *store->cols);
    for (uint32_t c = 0; c < options->col_count; c++) {
        store->cols[c] = options->cols[c];
        store->cols[c].name = options->cols[c].name ? kp_strdup(options->cols[c].name) : NULL;
    }
    store->key_count = options->key_count;
    store->keys = kp_calloc(options->key_count, sizeof *store->keys);
    for (uint32_t k = 0; k < options->key_count; k++) {
        KP_ASSERT(options->keys[k] < options->col_count);
        store->keys[k] = options->keys[k];
    }
    store->changes_bytes_max = options->changes_bytes_max ? options->changes_bytes_max : CHANGES_BYTES_DEFAULT;
    kp_rows_init(&store->rows, store->clock, store->cols, store->col_count, store->keys, store->key_count);
    store->skip_errors = options->skip_errors;
    store->rows.hidden = options->hidden;
    atomic_init(&store->hidden, options->hidden);
    atomic_init(&store->end, INT64_MAX);
    kp_mutex_init(&store->lock);
    int64_t published = kp_view_clock_position(store->clock);
    store->oldest = store->tail = kp_change_item_create(store, NULL, 0, true);
    store->tail->position = store->kept_from = published;
    store->superseded_at = INT64_MAX;
    kp_view_clock_add(store->clock, store);
    return store;
}

void kp_store_destroy(struct kp_store *store)
{
    if (!store)
        return;
    kp_view_clock_remove(store->clock, store);
    KP_ASSERT(!store->subscriptions);
    kp_change_item_unref(store->staged);
    kp_change_item_unref(store->oldest);
    kp_change_heap_finish(store);
    kp_rows_finish(&store->rows);
    struct kp_rows *errors = atomic_load(&store->errors);
    if (errors)
        kp_rows_finish(errors);
    kp_free(errors);
    if (store->budget)
        kp_budget_release(store->budget, (int64_t)store->charged_bytes);
    kp_mutex_finish(&store->lock);
    kp_free(atomic_load(&store->failed));
    for (uint32_t c = 0; c < store->col_count; c++)
        kp_free((void *)(uintptr_t)store->cols[c].name);
    kp_free(store->cols);
    kp_free(store->keys);
    kp_free(store);
}

/* ---- apply ---- */

/*
 * A view that was backfilled from another's rows, which do not tell their records, has error rows of unknown position.
 * What takes them away later knows it: what is not there with its position is taken from those without.
 */
static struct kp_batch *take_unknown(struct kp_rows *errors, const struct kp_batch *batch, int64_t *weights,
                                     struct kp_arena *arena)
{
    int64_t *there = NULL, *rest = kp_arena_calloc(arena, batch->rows * sizeof *rest);
    const int64_t *positions = batch->vecs[ERROR_POSITION].data;
    bool any = false;
    for (uint32_t i = 0; i < batch->rows; i++) {
        if (weights[i] >= 0 || positions[i] < 0)
            continue;
        if (!there) {
            there = kp_arena_alloc(arena, batch->rows * sizeof *there);
            kp_rows_multiplicities(errors, batch, there);
        }
        if (there[i] + weights[i] < 0) {
            rest[i] = there[i] + weights[i];
            weights[i] = -there[i];
            any = true;
        }
    }
    if (!any)
        return NULL;
    struct kp_batch *unknown = kp_batch_create(arena, ERROR_COLUMNS, batch->rows);
    memcpy(unknown->vecs, batch->vecs, ERROR_COLUMNS * sizeof *batch->vecs);
    kp_vec_init_constant(&unknown->vecs[ERROR_POSITION], arena,
                         &(struct kp_datum){.type = KP_TYPE(KP_INT8), .i64 = -1});
    unknown->weights = rest;
    return unknown;
}

static void apply_errors(struct kp_store *store, const struct kp_changes *changes, int64_t position_end)
{
    struct kp_rows *errors = atomic_load_explicit(&store->errors, memory_order_relaxed);
    if (!errors) {
        errors = kp_alloc(sizeof *errors);
        kp_rows_init(errors, store->clock, error_columns, ERROR_COLUMNS, NULL, 0);
        errors->hidden = store->rows.hidden;
        atomic_store_explicit(&store->errors, errors, memory_order_release);
    }
    struct kp_arena arena = {0};
    for (size_t from = 0; from < changes->error_count;) {
        uint32_t n = (uint32_t)KP_MIN(changes->error_count - from, (size_t)KP_BATCH_ROWS_MAX);
        struct kp_batch *batch = kp_batch_create(&arena, ERROR_COLUMNS, n);
        int64_t *weights = kp_arena_alloc(&arena, n * sizeof *weights);
        for (uint32_t c = 0; c < ERROR_COLUMNS; c++)
            kp_vec_init(&batch->vecs[c], &arena, error_columns[c].type, n);
        for (uint32_t i = 0; i < n; i++) {
            const struct kp_flow_error *error = &changes->errors[from + i];
            weights[i] = error->weight;
            ((int64_t *)batch->vecs[ERROR_POSITION].data)[i] = error->log_position;
            ((int64_t *)batch->vecs[ERROR_ORIGIN].data)[i] = (int64_t)error->origin;
            ((struct kp_text *)batch->vecs[ERROR_MESSAGE].data)[i] =
                kp_text_make(error->message, strlen(error->message));
            ((struct kp_text *)batch->vecs[ERROR_SQLSTATE].data)[i] =
                kp_text_make(error->sqlstate, strlen(error->sqlstate));
        }
        batch->weights = weights;
        struct kp_batch *both[2] = {batch, take_unknown(errors, batch, weights, &arena)};
        kp_rows_apply(errors, both, both[1] ? 2 : 1, position_end, NULL);
        from += n;
    }
    kp_arena_finish(&arena);
}

static enum kp_code charge(struct kp_store *store, struct kp_error *err)
{
    struct kp_rows *errors = atomic_load_explicit(&store->errors, memory_order_relaxed);
    uint64_t bytes = store->rows.bytes + (errors ? errors->bytes : 0);
    if (store->budget && bytes != store->charged_bytes)
        KP_TRY(kp_budget_charge(store->budget, (int64_t)(bytes - store->charged_bytes), err));
    store->charged_bytes = bytes;
    return KP_OK;
}

/* Bytes of long texts that the batch would bring; one text may stand in many rows, and each row has its own copy. */
static int64_t text_bytes(const struct kp_batch *batch)
{
    int64_t bytes = 0;
    for (uint32_t c = 0; c < batch->cols; c++) {
        const struct kp_vec *vec = &batch->vecs[c];
        if (!kp_type_info(vec->type.id)->string)
            continue;
        const struct kp_text *texts = vec->data;
        size_t stride = vec->constant ? 0 : 1;
        for (uint32_t i = 0; i < batch->rows; i++) {
            bool comes = !batch->weights || batch->weights[i] > 0;
            bytes += comes && !kp_vec_is_null(vec, i) ? texts[i * stride].len : 0;
        }
    }
    return bytes;
}

/* Before anything is copied: what one step brings may be more than there is memory. */
static enum kp_code check_room(const struct kp_store *store, const struct kp_changes *changes, struct kp_error *err)
{
    int64_t left = store->rows.has_extra ? kp_budget_left(store->budget) : INT64_MAX, bytes = 0;
    for (size_t b = 0; left < INT64_MAX && b < changes->batch_count; b++)
        bytes += text_bytes(changes->batches[b]);
    if (bytes <= left)
        return KP_OK;
    return kp_fail(err, KP_BUDGET, NULL,
                   "memory budget \"%s\" is spent: the view's new rows take %lld bytes, %lld are left",
                   store->budget->name, (long long)bytes, (long long)KP_MAX(left, 0));
}

static void stage(struct kp_store *store, const struct kp_changes *changes)
{
    uint64_t row_bytes = 8;
    for (uint32_t c = 0; c < store->col_count; c++)
        row_bytes += store->rows.widths[c];
    uint64_t rows = 0;
    for (size_t b = 0; b < changes->batch_count; b++)
        rows += changes->batches[b]->rows;
    bool keep = atomic_load(&store->subscription_count) || rows * row_bytes <= store->changes_bytes_max;
    struct kp_change_item *item = kp_change_item_create(store, changes->batches, changes->batch_count, keep);
    struct kp_rows *errors = atomic_load_explicit(&store->errors, memory_order_relaxed);
    item->errors_standing = errors && !store->skip_errors ? (uint64_t)errors->count : 0;
    if (store->staged)
        store->staged_tail->next = item;
    else
        store->staged = item;
    store->staged_tail = item;
}

void kp_store_fail(struct kp_store *store, const struct kp_error *cause)
{
    struct kp_error *kept = kp_alloc(sizeof *kept), *none = NULL;
    *kept = *cause;
    if (!atomic_compare_exchange_strong(&store->failed, &none, kept))
        kp_free(kept);
}

enum kp_code kp_store_apply(struct kp_store *store, const struct kp_changes *changes, int64_t position_end,
                            struct kp_error *err)
{
    const struct kp_error *failed = atomic_load(&store->failed);
    if (failed) {
        if (err)
            *err = *failed;
        return failed->code;
    }
    if (!changes->batch_count && !changes->error_count)
        return KP_OK;
    if (!store->rows.hidden)
        kp_view_clock_note_busy(store->clock, store);
    struct kp_error cause;
    kp_error_clear(&cause);
    enum kp_code code = check_room(store, changes, &cause);
    if (code == KP_OK) {
        kp_rows_apply(&store->rows, changes->batches, changes->batch_count, position_end, changes->workers);
        if (changes->error_count)
            apply_errors(store, changes, position_end);
        if (!store->rows.hidden)
            stage(store, changes);
        code = charge(store, &cause);
    }
    if (code != KP_OK) {
        kp_store_fail(store, &cause);
        if (err)
            *err = cause;
    }
    return code;
}

/* ---- publish ---- */

void kp_store_before_publish(struct kp_store *store)
{
    if (atomic_load_explicit(&store->hidden, memory_order_relaxed))
        return;
    if (store->rows.pending_count)
        kp_rows_link(&store->rows);
}

static void stats_take(struct kp_store *store)
{
    struct kp_rows *errors = atomic_load_explicit(&store->errors, memory_order_relaxed);
    store->stats = (struct kp_store_stats){
        .rows = (uint64_t)store->rows.count,
        .versions = store->rows.versions,
        .bytes = store->rows.bytes + (errors ? errors->bytes : 0) + store->kept_bytes,
        .errors = errors ? (uint64_t)errors->count : 0,
        .hash = {store->rows.hash.lo, store->rows.hash.hi},
    };
}

void kp_store_after_publish(struct kp_store *store, int64_t before, int64_t position, int64_t log_time_us)
{
    if (atomic_load_explicit(&store->hidden, memory_order_relaxed))
        return;
    struct kp_change_item *item = store->staged;
    if (!item)
        return;
    kp_mutex_lock(&store->lock);
    store->staged = store->staged_tail = NULL;
    for (struct kp_change_item *next; item; item = next) {
        next = item->next;
        item->next = NULL;
        item->after = before;
        item->position = position;
        item->log_time_us = log_time_us;
        item->last = !next;
        kp_store_append_item(store, item);
    }
    kp_store_trim(store);
    stats_take(store);
    if (store->subscriptions)
        kp_store_wake_subscriptions(store, false);
    kp_mutex_unlock(&store->lock);
}

void kp_store_tell_progress(struct kp_store *store)
{
    if (atomic_load_explicit(&store->hidden, memory_order_relaxed))
        return;
    kp_mutex_lock(&store->lock);
    kp_store_wake_subscriptions(store, true);
    kp_mutex_unlock(&store->lock);
}

bool kp_store_settle(struct kp_store *store)
{
    if (store->rows.hidden)
        return true;
    kp_rows_reclaim(&store->rows);
    return !kp_rows_has_dead(&store->rows);
}

void kp_store_set_end(struct kp_store *store)
{
    atomic_store(&store->end, kp_view_clock_position(store->clock));
}

void kp_store_set_start(struct kp_store *store, int64_t position)
{
    kp_mutex_lock(&store->lock);
    if (store->rows.hidden) {
        store->rows.hidden = false;
        struct kp_rows *errors = atomic_load_explicit(&store->errors, memory_order_relaxed);
        if (errors)
            errors->hidden = false;
        kp_rows_link(&store->rows);
        store->tail->errors_standing = errors && !store->skip_errors ? (uint64_t)errors->count : 0;
    }
    store->tail->position = KP_MAX(store->tail->position, position);
    store->kept_from = KP_MAX(store->kept_from, position);
    stats_take(store);
    atomic_store(&store->start, position);
    atomic_store(&store->hidden, false);
    kp_mutex_unlock(&store->lock);
}

void kp_store_stats(struct kp_store *store, struct kp_store_stats *ret_stats)
{
    kp_mutex_lock(&store->lock);
    *ret_stats = store->stats;
    kp_mutex_unlock(&store->lock);
}

/* ---- reading ---- */

enum kp_code kp_store_readable(struct kp_store *store, int64_t position, struct kp_error *err)
{
    const struct kp_error *failed = atomic_load(&store->failed);
    if (failed) {
        if (err)
            *err = *failed;
        return failed->code;
    }
    int64_t start = atomic_load(&store->start);
    if (atomic_load(&store->hidden) || position < start) {
        kp_fail(err, KP_BUSY, "55000", "this relation is not complete at position %lld", (long long)position);
        if (err)
            err->retriable = true;
        return kp_error_hint(err, "It is still being built from the log; try again, or look at kappa.replays.");
    }
    int64_t end = atomic_load(&store->end);
    if (position > end)
        return kp_fail(err, KP_NOT_FOUND, "42P01", "this relation was dropped, or stopped, at position %lld",
                       (long long)end);
    return KP_OK;
}

/* The first error row in the order of position, then text; NULL if none stands. */
static const struct kp_batch *first_error(const struct kp_rows *errors, int64_t position, struct kp_arena *arena,
                                          uint32_t *ret_row)
{
    static const uint32_t columns[ERROR_COLUMNS] = {ERROR_POSITION, ERROR_MESSAGE, ERROR_SQLSTATE, ERROR_ORIGIN};
    const struct kp_batch *best = NULL;
    uint32_t pages = kp_rows_page_count(errors);
    for (uint32_t page = 0; page < pages; page++) {
        const struct kp_batch *batch = kp_page_scan(errors, page, position, columns, ERROR_COLUMNS, arena);
        for (uint32_t i = 0; batch && i < batch->rows; i++) {
            int order = -1;
            for (uint32_t c = 0; best && c < ERROR_COLUMNS && (c == 0 || order == 0); c++)
                order = kp_value_compare(error_columns[c].type.id, kp_vec_at(&batch->vecs[c], i),
                                         kp_vec_at(&best->vecs[c], *ret_row));
            if (order < 0) {
                best = batch;
                *ret_row = i;
            }
        }
    }
    return best;
}

static enum kp_code fail_with(const struct kp_batch *errors, uint32_t row, struct kp_error *err)
{
    struct kp_str message = kp_text_str(kp_vec_at(&errors->vecs[ERROR_MESSAGE], row));
    struct kp_str state = kp_text_str(kp_vec_at(&errors->vecs[ERROR_SQLSTATE], row));
    char sqlstate[6] = "XX000";
    if (state.len == 5)
        memcpy(sqlstate, state.ptr, 5);
    kp_fail(err, KP_INVALID, sqlstate, "%.*s", (int)KP_MIN(message.len, (size_t)500), message.ptr);
    int64_t at = *(const int64_t *)kp_vec_at(&errors->vecs[ERROR_POSITION], row);
    if (err)
        err->log_position = at;
    if (at >= 0)
        kp_error_detail(err, "The row comes from the record at position %lld.", (long long)at);
    return kp_error_hint(
        err, "The answer is back when that record is corrected or retracted, or the view's query guards against it.");
}

enum kp_code kp_store_check(struct kp_store *store, const struct kp_snapshot *snapshot, struct kp_error *err)
{
    KP_TRY(kp_store_readable(store, snapshot->position, err));
    const struct kp_rows *errors = atomic_load_explicit(&store->errors, memory_order_acquire);
    if (!errors || store->skip_errors)
        return KP_OK;
    struct kp_arena arena = {0};
    uint32_t row = 0;
    const struct kp_batch *first = first_error(errors, snapshot->position, &arena, &row);
    enum kp_code code = first ? fail_with(first, row, err) : KP_OK;
    kp_arena_finish(&arena);
    return code;
}

enum kp_code kp_store_scan_errors(struct kp_store *store, const struct kp_snapshot *snapshot, struct kp_arena *arena,
                                  enum kp_code (*emit)(void *arg, struct kp_batch *batch, struct kp_error *err),
                                  void *arg, struct kp_error *err)
{
    static const uint32_t columns[KP_STORE_ERROR_COLUMNS] = {ERROR_POSITION, ERROR_SQLSTATE, ERROR_MESSAGE};
    KP_TRY(kp_store_readable(store, snapshot->position, err));
    const struct kp_rows *errors = atomic_load_explicit(&store->errors, memory_order_acquire);
    uint32_t pages = errors ? kp_rows_page_count(errors) : 0;
    for (uint32_t page = 0; page < pages; page++) {
        struct kp_batch *batch = kp_page_scan(errors, page, snapshot->position, columns, KP_STORE_ERROR_COLUMNS, arena);
        if (!batch)
            continue;
        kp_vec_need_valid(&batch->vecs[0], arena, batch->rows);
        for (uint32_t i = 0; i < batch->rows; i++)
            if (*(const int64_t *)kp_vec_at(&batch->vecs[0], i) < 0)
                kp_vec_set_null(&batch->vecs[0], i);
        KP_TRY(emit(arg, batch, err));
    }
    return KP_OK;
}

void kp_store_errors(struct kp_store *store, struct kp_arena *arena, struct kp_flow_error **ret_errors,
                     size_t *ret_count)
{
    static const uint32_t columns[ERROR_COLUMNS] = {ERROR_POSITION, ERROR_MESSAGE, ERROR_SQLSTATE, ERROR_ORIGIN};
    const struct kp_rows *rows = atomic_load_explicit(&store->errors, memory_order_relaxed);
    uint32_t pages = rows && !store->skip_errors ? kp_rows_page_count(rows) : 0;
    struct kp_flow_error *errors = NULL;
    size_t count = 0, cap = 0;
    for (uint32_t page = 0; page < pages; page++) {
        const struct kp_batch *batch =
            kp_page_scan(rows, page, kp_view_clock_position(store->clock), columns, ERROR_COLUMNS, arena);
        for (uint32_t i = 0; batch && i < batch->rows; i++) {
            if (count == cap) {
                struct kp_flow_error *grown = kp_arena_alloc(arena, (cap = cap * 2 + 16) * sizeof *grown);
                if (count)
                    memcpy(grown, errors, count * sizeof *grown);
                errors = grown;
            }
            struct kp_str message = kp_text_str(kp_vec_at(&batch->vecs[ERROR_MESSAGE], i));
            struct kp_str state = kp_text_str(kp_vec_at(&batch->vecs[ERROR_SQLSTATE], i));
            struct kp_flow_error *error = &errors[count++];
            *error =
                (struct kp_flow_error){.weight = batch->weights ? batch->weights[i] : 1,
                                       .log_position = *(const int64_t *)kp_vec_at(&batch->vecs[ERROR_POSITION], i),
                                       .origin = (uint64_t) * (const int64_t *)kp_vec_at(&batch->vecs[ERROR_ORIGIN], i),
                                       .message = kp_arena_strndup(arena, message.ptr, message.len)};
            memcpy(error->sqlstate, state.ptr, KP_MIN(state.len, sizeof error->sqlstate - 1));
        }
    }
    *ret_errors = errors;
    *ret_count = count;
}
