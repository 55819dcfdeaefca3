/*
 * Inside view/: row versions in pages, and who may still see them.
 *
 * A version lies in a slot: begin and end position, a multiplicity, and its values, column by column, in the slot's
 * page. A page never moves and is never freed before the rows are; the first pages are small (64 rows, doubling up to
 * 8,192), so that a view of three rows costs little.
 *
 *   slot        0..63   64..127   128..255   …   4096..8191   8192..16383   16384..24575   …
 *   page            0         1          2                7             8              9
 *
 * The life of a slot:
 *
 *     free ──insert──► alive [begin, ∞) ──end──► dead [begin, end) ──nobody can see it──► (unlinked ──►) free
 *
 * Invariants:
 *   1. A version is alive at P if begin <= P < end. Values and multiplicity of a version alive at a published
 *      position are never written: a change of multiplicity ends it and begins another one.
 *   2. Readers look at `end` before `begin`, both acquire; the engine writes begin = ∞ before it makes end = ∞ again,
 *      and begin = position after the values. So a reader never takes the values of a slot that is being reused.
 *   3. A dead version is reused when no snapshot lies in [begin, end) and none can come to lie there. If it is linked
 *      in the key index, it is unlinked first, and reused when every reader who was inside the index then has left it.
 *   4. The row index (hash to slot) holds exactly the versions with end = ∞. It is the engine's alone. Rows that only
 *      grow have none: it is built when something is taken away for the first time. Until then rows are appended column
 *      by column, and the same row may have several versions.
 *   5. Multiplicities are at least 1.
 *
 * Threads: apply, link and reclaim belong to the engine; what is marked "any thread" is lock-free for readers.
 */
#ifndef KP_VIEW_ROWS_H
#define KP_VIEW_ROWS_H

#include "view/clock.h"
#include "view/identity.h"

enum { KP_PAGE_ROWS_FIRST = 64, KP_PAGE_ROWS_MAX = 8192 };
#define KP_POSITION_NEVER INT64_MAX

struct kp_page_column {
    uint8_t *data;           /* width × rows */
    _Atomic(uint8_t *) null; /* a byte a row, 1: NULL; NULL until the page has one */
};

/* Outside parts of values (long texts) of one row, or of some that were appended together. */
struct kp_extra {
    uint64_t bytes; /* this header included */
    uint64_t rows;  /* that still point here */
};

struct kp_page {
    uint32_t rows;
    _Atomic int64_t *begin, *end;
    _Atomic(int64_t *) multiplicity; /* NULL: all 1 */
    uint32_t *key_hash;              /* if there is a key index */
    struct kp_extra **extra;         /* if a column may have outside parts: where a row's lie */
    uint8_t *flags;
    struct kp_page_column cols[];
};

struct kp_directory {
    uint32_t count;
    struct kp_directory *older; /* readers may still hold it */
    struct kp_page *pages[];
};

struct kp_dead {
    uint32_t slot;
    int64_t tag; /* position at which it ended, or the epoch in which it was unlinked */
};
struct kp_dead_list {
    struct kp_dead *items;
    size_t head, count, cap; /* items[head .. head + count) */
};

struct kp_key_index; /* view/key_index.h */

struct kp_rows {
    struct kp_view_clock *clock;
    const struct kp_column *cols; /* borrowed */
    uint32_t col_count;
    const uint32_t *keys; /* borrowed */
    uint32_t key_count;
    uint8_t *widths;
    bool has_extra;
    bool hidden; /* nobody reads: dead versions are reused at once, nothing is linked */

    _Atomic(struct kp_directory *) directory;
    _Atomic uint32_t slots; /* this many were ever used */
    uint32_t *free_slots;
    size_t free_count, free_cap;

    bool indexed;
    uint64_t *index; /* row index: upper half of the hash << 32 | slot + 1; 0: empty; linear probing */
    uint32_t index_mask, index_count;

    _Atomic(struct kp_key_index *) key_index;
    uint32_t *pending; /* slots to be linked at the next publish; may hold slots that died since */
    size_t pending_count, pending_cap;

    struct kp_dead_list dead;  /* ended, not yet looked at */
    struct kp_dead_list held;  /* ended, but some snapshot lies in it */
    struct kp_dead_list limbo; /* unlinked, waiting for readers of the key index */
    int64_t held_least;        /* when `held` was last looked through: the least snapshot, */
    size_t held_kept;          /* and how many stayed */
    int64_t *snapshots;        /* scratch of reclaim */
    size_t snapshots_cap;

    struct kp_arena scratch;
    int64_t count;          /* rows, with multiplicities */
    uint64_t versions;      /* slots in use */
    struct kp_hash128 hash; /* sum over rows of their identities */
    uint64_t bytes;         /* of everything above */
};

void kp_rows_init(struct kp_rows *rows, struct kp_view_clock *clock, const struct kp_column *cols, uint32_t col_count,
                  const uint32_t *keys, uint32_t key_count);
void kp_rows_finish(struct kp_rows *rows);

/* How often each row of the batch is there now; for what is seldom asked. Engine thread. */
void kp_rows_multiplicities(struct kp_rows *rows, const struct kp_batch *batch, int64_t *ret_multiplicities);
/* Applies changes (all retractions before all insertions), visible from position_end on. Asserts that no multiplicity
 * becomes negative. */
struct kp_workers; /* flow/flow.h; NULL: the caller's thread only */
void kp_rows_apply(struct kp_rows *rows, struct kp_batch *const *batches, size_t count, int64_t position_end,
                   struct kp_workers *workers);
/* Puts what was applied into the key index; before its position is published. */
void kp_rows_link(struct kp_rows *rows);
/* Frees what nobody can see any more. */
void kp_rows_reclaim(struct kp_rows *rows);
/* Somebody may see some still. */
bool kp_rows_has_dead(const struct kp_rows *rows);

/* Inside rows. append: apply, as long as there is no index and nothing is retracted (rows_append.c). */
void kp_rows_append(struct kp_rows *rows, struct kp_batch *const *batches, size_t count, int64_t position_end,
                    struct kp_workers *workers);
void kp_rows_page_add(struct kp_rows *rows, uint32_t number); /* a new page behind the last one */
void kp_rows_note_key(struct kp_rows *rows, uint32_t slot, uint32_t key_hash);

static inline void kp_slot_split(uint32_t slot, uint32_t *ret_page, uint32_t *ret_row)
{
    if (slot < KP_PAGE_ROWS_FIRST) {
        *ret_page = 0;
        *ret_row = slot;
    } else if (slot < KP_PAGE_ROWS_MAX) {
        uint32_t log = 31u - (uint32_t)__builtin_clz(slot);
        *ret_page = log - 5;
        *ret_row = slot - (1u << log);
    } else {
        *ret_page = 7 + slot / KP_PAGE_ROWS_MAX;
        *ret_row = slot % KP_PAGE_ROWS_MAX;
    }
}
static inline uint32_t kp_page_rows(uint32_t page)
{
    uint32_t shift = page ? page - 1 : 0;
    return page > 7 ? KP_PAGE_ROWS_MAX : (uint32_t)KP_PAGE_ROWS_FIRST << shift;
}

/* Any thread. */
static inline bool kp_page_alive(const struct kp_page *page, uint32_t row, int64_t position)
{
    int64_t end = atomic_load_explicit(&page->end[row], memory_order_acquire); /* invariant 2: before begin */
    return position < end && atomic_load_explicit(&page->begin[row], memory_order_acquire) <= position;
}
/* Any thread, of a version alive there. */
static inline bool kp_page_is_null(const struct kp_page *page, uint32_t col, uint32_t row)
{
    uint8_t *null = atomic_load_explicit(&page->cols[col].null, memory_order_acquire);
    return null && null[row];
}
static inline int64_t kp_page_multiplicity(const struct kp_page *page, uint32_t row)
{
    int64_t *all = atomic_load_explicit(&page->multiplicity, memory_order_acquire);
    return all ? all[row] : 1;
}
static inline struct kp_page *kp_rows_page(const struct kp_rows *rows, uint32_t page)
{
    return atomic_load_explicit(&rows->directory, memory_order_acquire)->pages[page];
}
static inline struct kp_page *kp_rows_at(const struct kp_rows *rows, uint32_t slot, uint32_t *ret_row)
{
    uint32_t page;
    kp_slot_split(slot, &page, ret_row);
    return kp_rows_page(rows, page);
}

#endif
