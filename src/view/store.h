/*
 * Inside view/: a store, its error rows, and the list of its recent changes.
 *
 *   store->sentinel ──► item ──► item ──► … ──► tail           each item: the changes of one apply
 *                        ▲         ▲
 *                      oldest    a subscription's cursor: the last item it has consumed
 *
 * Items are reference counted: one for being pointed to by the item before, by the list's head, or by a cursor. So
 * dropping the head frees exactly what no subscriber still has before it. Several items of one publish carry the same
 * position; the last of them says so.
 *
 * Locks: store->lock guards the list, subscriptions and published statistics. The engine's own fields (rows, staged …)
 * need none. Order: clock->stores_lock, then store->lock.
 */
#ifndef KP_VIEW_STORE_H
#define KP_VIEW_STORE_H

#include "view/rows.h"

struct kp_change_heap; /* memory that small items share (changes.c) */

struct kp_change_item {
    uint32_t references;
    struct kp_change_item *next; /* owns a reference */
    int64_t after, position;     /* holds all changes in (after, position], or a part of them */
    int64_t log_time_us;
    bool last;                   /* of its position */
    bool gap;                    /* too big to be kept: subscribers cannot pass it */
    uint64_t errors_standing;    /* error rows, behind this item */
    uint64_t bytes, bytes_total; /* bytes_total: of all items up to this one */
    struct kp_batch **batches;
    size_t batch_count;
    struct kp_change_heap *heap; /* holds the batches; NULL if there are none */
};

struct kp_store {
    struct kp_view_clock *clock;
    bool busy, watched; /* in the clock's lists; its stores_lock, busy may be read by the engine */
    struct kp_store *next_busy, *next_watched;
    struct kp_budget *budget;
    struct kp_column *cols;
    uint32_t col_count;
    uint32_t *keys;
    uint32_t key_count;
    uint64_t changes_bytes_max;

    struct kp_rows rows;
    _Atomic(struct kp_rows *) errors; /* NULL until there is one */
    bool skip_errors;
    uint64_t charged_bytes;
    struct kp_change_item *staged, *staged_tail; /* applied, not published */
    struct kp_change_heap *heap;                 /* where the next item goes */
    _Atomic bool hidden;
    _Atomic int64_t start, end;        /* snapshots outside are refused */
    _Atomic(struct kp_error *) failed; /* set once: the store is broken */

    struct kp_mutex lock;
    struct kp_store_stats stats;          /* at the published position */
    struct kp_change_item *oldest, *tail; /* never NULL: a list begins with an empty item */
    uint64_t kept_bytes;
    int64_t kept_from;     /* all changes after this position are in the list */
    int64_t superseded_at; /* the last position that is told; INT64_MAX: no end */
    struct kp_subscription *subscriptions;
    _Atomic uint32_t subscription_count;
    bool closed;
};

/* Engine thread, from publish. */
void kp_store_before_publish(struct kp_store *store);
void kp_store_after_publish(struct kp_store *store, int64_t before, int64_t position, int64_t log_time_us);
/* To who wants to hear of a position without changes. */
void kp_store_tell_progress(struct kp_store *store);
/* Reuses dead rows; true: nothing is left to do until something is applied. */
bool kp_store_settle(struct kp_store *store);

/* The store can be read at this snapshot: not hidden, complete there, not broken. Any thread. */
KP_MUST enum kp_code kp_store_readable(struct kp_store *store, int64_t position, struct kp_error *err);

/* The rows of one page alive at the position, columns wanted; NULL if there are none. Any thread. */
struct kp_batch *kp_page_scan(const struct kp_rows *rows, uint32_t number, int64_t position, const uint32_t *columns,
                              uint32_t column_count, struct kp_arena *arena);
/* Pages that can hold a row visible now. */
uint32_t kp_rows_page_count(const struct kp_rows *rows);

/* Changes of one apply, deep-copied (changes.c). */
struct kp_change_item *kp_change_item_create(struct kp_store *store, struct kp_batch *const *batches, size_t count,
                                             bool keep);
void kp_change_heap_finish(struct kp_store *store);
void kp_change_item_unref(struct kp_change_item *item);
/* With the store's lock, for each item that became visible. */
void kp_store_append_item(struct kp_store *store, struct kp_change_item *item);
/* With the store's lock: drops what exceeds the limit. */
void kp_store_trim(struct kp_store *store);
/* With the store's lock: cuts off the slow, wakes the others. */
void kp_store_wake_subscriptions(struct kp_store *store, bool progress_only);

#endif
