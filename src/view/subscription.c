/*
 * Subscriptions: a place in the store's list of changes.
 *
 * A subscriber that begins with the rows holds a snapshot until it has taken all pages; then it reads the list from the
 * item behind the snapshot's position. Nothing is queued for it: the list is shared, and the cursor's reference keeps
 * what it has not consumed. A subscriber whose unread part exceeds its limit (the newest item not counted, so that one
 * big step does not cut off who is up to date) loses its place and learns where it was.
 *
 * While error rows stand, what is behind is not given out. When they are gone by a later position, everything up to it
 * is given as that position's: a subscriber sees only states that a reader could see.
 */
#include "os/thread.h"
#include "view/store.h"

enum { QUEUE_BYTES_DEFAULT = 64 << 20 };

struct kp_subscription {
    struct kp_subscription *next; /* store->lock, as all below but for what only the subscriber's thread touches */
    struct kp_store *store;
    bool changes_only, past_errors, any_version;
    uint64_t queue_bytes_max;
    void (*notify)(void *arg);
    void *arg;
    struct kp_cond ready;
    bool armed;  /* the last `next` found nothing: notify when there is something */
    bool inside; /* a thread is in `next` */
    bool cut;
    bool torn;                     /* cannot go on from `position`: the list has no such place */
    int64_t position;              /* complete up to here; of the snapshot, while that is not complete */
    struct kp_change_item *cursor; /* last item consumed whole; NULL when cut */
    size_t cursor_batch;           /* batches taken of the item behind the cursor */
    struct kp_change_item *until;  /* items up to this one are given as its position's; NULL: not chosen; borrowed */

    bool snapshotting;
    struct kp_snapshot snapshot;
    uint32_t page; /* next one to scan */
};

/* ---- begin, end ---- */

/* With the lock. Finds the item behind which to begin. */
static enum kp_code place(struct kp_subscription *subscription, int64_t resume, struct kp_error *err)
{
    struct kp_store *store = subscription->store;
    struct kp_change_item *item = store->oldest;
    bool kept = resume >= store->kept_from;
    while (kept && item->next && item->next->position <= resume)
        item = item->next;
    /* Torn: one publish covers positions on both sides of `resume` (steps were cut differently before a restart). */
    bool torn = kept && item->next && item->next->after < resume;
    if (!kept) {
        kp_fail(err, KP_LIMIT, "55000", "changes after position %lld are no longer kept", (long long)resume);
        return kp_error_hint(err, "The oldest position to resume from is %lld; subscribe again with a snapshot.",
                             (long long)store->kept_from);
    }
    if (torn) {
        kp_fail(err, KP_LIMIT, "55000", "changes after position %lld are kept only with those before it",
                (long long)resume);
        return kp_error_hint(err, "Resume from position %lld or %lld, or subscribe again with a snapshot.",
                             (long long)item->next->after, (long long)item->next->position);
    }
    subscription->cursor = item;
    subscription->position = resume;
    return KP_OK;
}

enum kp_code kp_subscribe(struct kp_store *store, const struct kp_subscription_options *options,
                          struct kp_subscription **ret_subscription, struct kp_error *err)
{
    struct kp_snapshot snapshot;
    kp_snapshot_acquire(store->clock, &snapshot);
    enum kp_code code = options->resume < 0 && !options->past_errors ? kp_store_check(store, &snapshot, err)
                                                                     : kp_store_readable(store, snapshot.position, err);
    struct kp_subscription *subscription = kp_calloc(1, sizeof *subscription);
    subscription->store = store;
    subscription->changes_only = options->changes_only;
    subscription->past_errors = options->past_errors;
    subscription->any_version = options->any_version;
    subscription->queue_bytes_max = options->queue_bytes_max ? options->queue_bytes_max : QUEUE_BYTES_DEFAULT;
    subscription->notify = options->notify;
    subscription->arg = options->arg;
    kp_mutex_lock(&store->clock->stores_lock);
    kp_mutex_lock(&store->lock);
    if (code == KP_OK && options->resume >= 0) {
        code = place(subscription, options->resume, err);
    } else {
        subscription->cursor = store->tail; /* what of it lies before the snapshot is passed over */
        subscription->position = snapshot.position;
    }
    if (code == KP_OK) {
        subscription->cursor->references++;
        kp_cond_init(&subscription->ready);
        subscription->armed = true;
        subscription->snapshotting = options->snapshot && options->resume < 0;
        subscription->snapshot = snapshot;
        subscription->next = store->subscriptions;
        store->subscriptions = subscription;
        atomic_fetch_add(&store->subscription_count, 1);
        kp_view_clock_watch(store->clock, store, true);
    }
    kp_mutex_unlock(&store->lock);
    kp_mutex_unlock(&store->clock->stores_lock);
    if (code != KP_OK || !subscription->snapshotting)
        kp_snapshot_release(store->clock, &snapshot);
    if (code != KP_OK) {
        kp_free(subscription);
        return code;
    }
    *ret_subscription = subscription;
    return KP_OK;
}

/* With the lock, no thread inside. */
static void release_snapshot(struct kp_subscription *subscription)
{
    if (subscription->snapshotting)
        kp_snapshot_release(subscription->store->clock, &subscription->snapshot);
    subscription->snapshotting = false;
}

void kp_unsubscribe(struct kp_subscription *subscription)
{
    if (!subscription)
        return;
    struct kp_store *store = subscription->store;
    kp_mutex_lock(&store->clock->stores_lock);
    kp_mutex_lock(&store->lock);
    KP_ASSERT(!subscription->inside);
    struct kp_subscription **at = &store->subscriptions;
    while (*at != subscription)
        at = &(*at)->next;
    *at = subscription->next;
    atomic_fetch_sub(&store->subscription_count, 1);
    release_snapshot(subscription);
    kp_change_item_unref(subscription->cursor);
    kp_view_clock_watch(store->clock, store, store->subscriptions);
    kp_mutex_unlock(&store->lock);
    kp_mutex_unlock(&store->clock->stores_lock);
    kp_cond_finish(&subscription->ready);
    kp_free(subscription);
}

void kp_store_close_subscriptions(struct kp_store *store)
{
    kp_mutex_lock(&store->lock);
    store->closed = true;
    kp_store_wake_subscriptions(store, false);
    kp_mutex_unlock(&store->lock);
}

void kp_store_supersede(struct kp_store *store)
{
    kp_mutex_lock(&store->lock);
    store->superseded_at = kp_view_clock_position(store->clock);
    kp_store_wake_subscriptions(store, false);
    kp_mutex_unlock(&store->lock);
}

void kp_store_take_over(struct kp_store *store)
{
    kp_mutex_lock(&store->lock);
    store->superseded_at = INT64_MAX;
    store->kept_from = KP_MAX(store->kept_from, kp_view_clock_position(store->clock) + 1);
    kp_mutex_unlock(&store->lock);
}

/* ---- the engine's side ---- */

static bool is_too_slow(const struct kp_subscription *subscription)
{
    const struct kp_change_item *tail = subscription->store->tail;
    if (!subscription->cursor || tail == subscription->cursor)
        return false;
    uint64_t before_tail = tail->bytes_total - tail->bytes;
    return before_tail > subscription->cursor->bytes_total &&
           before_tail - subscription->cursor->bytes_total > subscription->queue_bytes_max;
}

void kp_store_wake_subscriptions(struct kp_store *store, bool progress_only)
{
    for (struct kp_subscription *at = store->subscriptions; at; at = at->next) {
        if (progress_only && at->changes_only)
            continue;
        if (!at->inside && is_too_slow(at)) {
            at->cut = true;
            kp_change_item_unref(at->cursor);
            at->cursor = NULL;
            release_snapshot(at);
        }
        kp_cond_signal(&at->ready);
        if (at->armed && at->notify) {
            at->armed = false;
            at->notify(at->arg);
        }
    }
}

/* ---- the subscriber's side ---- */

static enum kp_code fail_cut(const struct kp_subscription *subscription, bool in_snapshot, struct kp_error *err)
{
    kp_fail(err, KP_LIMIT, "55000",
            subscription->cut ? "the subscription fell more than %llu bytes behind and was cut off"
                              : "the changes behind this position are not kept in one piece (limit %llu bytes)",
            (unsigned long long)(subscription->cut ? subscription->queue_bytes_max
                                                   : subscription->store->changes_bytes_max));
    if (in_snapshot)
        return kp_error_hint(err, "Its snapshot was not complete: subscribe again, and read faster.");
    return kp_error_hint(err, "Resume from position %lld, or subscribe again with a snapshot.",
                         (long long)subscription->position);
}

/* With the lock held, given up while the page is copied. */
static void next_page(struct kp_subscription *subscription, struct kp_arena *arena,
                      struct kp_subscription_item *ret_item)
{
    struct kp_store *store = subscription->store;
    struct kp_batch *batch = NULL;
    uint32_t *columns = kp_arena_alloc(arena, (store->col_count + 1) * sizeof *columns);
    for (uint32_t c = 0; c < store->col_count; c++)
        columns[c] = c;
    kp_mutex_unlock(&store->lock);
    uint32_t pages = kp_rows_page_count(&store->rows), page = subscription->page;
    while (page < pages && !batch)
        batch = kp_page_scan(&store->rows, page++, subscription->snapshot.position, columns, store->col_count, arena);
    if (batch && !batch->weights) {
        int64_t *weights = kp_arena_alloc(arena, batch->rows * sizeof *weights);
        for (uint32_t i = 0; i < batch->rows; i++)
            weights[i] = 1;
        batch->weights = weights;
    }
    kp_mutex_lock(&store->lock);
    subscription->page = page;
    int64_t log_time_us;
    (void)kp_view_clock_complete(store->clock, &log_time_us);
    *ret_item = (struct kp_subscription_item){
        .position = subscription->snapshot.position,
        .log_time_us = log_time_us,
        .is_snapshot = true,
        .last_of_position = page >= pages,
        .batch = batch,
    };
    if (ret_item->last_of_position)
        release_snapshot(subscription);
}

/* Consumes the item behind the cursor. */
static void advance(struct kp_subscription *subscription)
{
    struct kp_change_item *from = subscription->cursor;
    subscription->cursor = from->next;
    subscription->cursor->references++;
    subscription->cursor_batch = 0;
    kp_change_item_unref(from);
}

/* The last position that it is told. */
static int64_t end_of(const struct kp_subscription *subscription)
{
    return subscription->any_version ? INT64_MAX : subscription->store->superseded_at;
}

/* With the lock: the next batch of changes that may be seen. False: none. */
static bool next_change(struct kp_subscription *subscription, struct kp_arena *arena,
                        struct kp_subscription_item *ret_item)
{
    while (subscription->cursor->next && subscription->cursor->next->position <= subscription->position)
        advance(subscription);
    struct kp_change_item *item = subscription->cursor->next;
    if (!item || item->position > end_of(subscription))
        return false;
    if (!subscription->until) {
        if (item->after < subscription->position) {
            subscription->torn = true;
            return false;
        }
        struct kp_change_item *until = item;
        while (until && ((until->errors_standing && !subscription->past_errors) || !until->last))
            until = until->next;
        if (!until || until->position > end_of(subscription))
            return false; /* error rows stand: the caller says which */
        subscription->until = until;
    }
    struct kp_change_item *until = subscription->until;
    while (item != until && item->batch_count == 0) { /* it only made or ended errors */
        advance(subscription);
        item = subscription->cursor->next;
    }
    if (item->gap) {
        subscription->torn = true;
        return false;
    }
    *ret_item = (struct kp_subscription_item){.position = until->position, .log_time_us = until->log_time_us};
    if (item->batch_count) {
        struct kp_batch *from = item->batches[subscription->cursor_batch++];
        size_t at_batch = 0;
        uint32_t at_row = 0;
        item->references++;
        kp_mutex_unlock(&subscription->store->lock);
        ret_item->batch = kp_batch_concat(&from, &at_batch, &at_row, from->rows, arena);
        kp_mutex_lock(&subscription->store->lock);
        kp_change_item_unref(item);
    }
    if (subscription->cursor_batch >= item->batch_count) {
        ret_item->last_of_position = item == until;
        advance(subscription);
    }
    if (ret_item->last_of_position) {
        subscription->position = until->position;
        subscription->until = NULL;
    }
    return true;
}

static enum kp_code take(struct kp_subscription *subscription, struct kp_arena *arena,
                         struct kp_subscription_item *ret_item, bool *ret_ready, struct kp_error *err)
{
    struct kp_store *store = subscription->store;
    *ret_ready = true;
    if (is_too_slow(subscription)) {
        subscription->cut = true;
        kp_change_item_unref(subscription->cursor);
        subscription->cursor = NULL;
    }
    if (subscription->cut || subscription->torn) {
        bool in_snapshot = subscription->snapshotting;
        release_snapshot(subscription);
        return fail_cut(subscription, in_snapshot, err);
    }
    if (subscription->snapshotting) {
        next_page(subscription, arena, ret_item);
        return KP_OK;
    }
    if (next_change(subscription, arena, ret_item))
        return KP_OK;
    if (subscription->torn)
        return fail_cut(subscription, false, err);
    *ret_ready = false;
    if (end_of(subscription) != INT64_MAX) {
        kp_fail(err, KP_CLOSED, "55000", "another version of the relation was promoted at position %lld",
                (long long)end_of(subscription));
        return kp_error_hint(err, "Subscribe again with a snapshot: its rows are those of that version.");
    }
    if (subscription->cursor->next &&
        !subscription->past_errors) { /* held back: the errors that stand now stand since then */
        struct kp_snapshot snapshot;
        kp_snapshot_acquire(store->clock, &snapshot);
        enum kp_code code = kp_store_check(store, &snapshot, err);
        kp_snapshot_release(store->clock, &snapshot);
        return code;
    }
    if (store->closed) {
        const struct kp_error *failed = atomic_load(&store->failed);
        if (failed && err)
            *err = *failed;
        return failed ? failed->code : kp_fail(err, KP_CLOSED, "57P01", "the relation was dropped");
    }
    int64_t log_time_us, complete = kp_view_clock_complete(store->clock, &log_time_us);
    if (!subscription->changes_only && complete > subscription->position) {
        subscription->position = complete;
        *ret_item =
            (struct kp_subscription_item){.position = complete, .log_time_us = log_time_us, .last_of_position = true};
        *ret_ready = true;
    }
    return KP_OK;
}

enum kp_code kp_subscription_next(struct kp_subscription *subscription, int64_t timeout_us, struct kp_arena *arena,
                                  struct kp_subscription_item *ret_item, bool *ret_ready, struct kp_error *err)
{
    struct kp_store *store = subscription->store;
    int64_t until_ns = timeout_us > 0 ? kp_thread_now_ns() + timeout_us * 1000 : 0;
    kp_mutex_lock(&store->lock);
    subscription->inside = true;
    subscription->armed = false;
    enum kp_code code;
    bool ready;
    for (;;) {
        code = take(subscription, arena, ret_item, &ready, err);
        if (code != KP_OK || ready || timeout_us == 0)
            break;
        int64_t left_us = -1;
        if (timeout_us > 0 && (left_us = (until_ns - kp_thread_now_ns()) / 1000) <= 0)
            break;
        kp_cond_wait_us(&subscription->ready, &store->lock, left_us);
    }
    subscription->armed = code == KP_OK && !ready;
    subscription->inside = false;
    kp_mutex_unlock(&store->lock);
    if (code == KP_OK)
        *ret_ready = ready;
    return code;
}
