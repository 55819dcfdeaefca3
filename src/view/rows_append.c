/*
 * Rows that only come: as long as nothing was ever taken away, changes are appended in bulk, without an index.
 *
 * Slots are handed out in a row. Pages are then filled side by side, each by one worker, column after column, and the
 * identities are summed batch by batch by whoever is free. What strings and numbers keep outside their width lies in
 * pieces that a few rows share, so that a piece can be freed with them.
 *
 *   batches   |··· 0 ···|··· 1 ···|··· 2 ···|         tasks:  hashes of batches 0, 1, 2
 *   pages   |···· p ····|···· p+1 ····|                        rows of pages p, p+1
 *
 * Invariants: 1. tasks share nothing but what they read: a page's arrays belong to its task, sums are added afterwards;
 * 2. `begin` is written last, so a reader meets a slot that is being filled as one nobody sees.
 */
#include "flow/flow.h"
#include "view/rows.h"

enum { EXTRA_ROWS = 32, ROWS_PARALLEL_MIN = 4096 };

struct part { /* rows of one batch that go to one page */
    const struct kp_batch *batch;
    uint32_t from, row, n;
};

struct appending {
    struct kp_rows *rows;
    struct kp_batch *const *batches;
    uint32_t batch_count;
    int64_t position;
    struct kp_hash128 *sums; /* per batch: of its rows' identities, */
    int64_t *counts;         /* and of its weights */
    uint64_t **key_hashes;   /* per batch, if there is a key */
    uint32_t page_first;
    struct part *parts;   /* in order of slots */
    uint32_t *part_first; /* per page, and behind the last one */
    uint64_t *bytes;      /* per page: allocated for it */
};

/* ---- hashes ---- */

static void hash_batch(struct appending *appending, uint32_t b)
{
    const struct kp_rows *rows = appending->rows;
    const struct kp_batch *batch = appending->batches[b];
    struct kp_hash128 *hashes = kp_calloc(batch->rows, sizeof *hashes), sum = {0, 0};
    int64_t count = 0;
    for (uint32_t c = 0; c < batch->cols; c++)
        kp_identity_hash(&batch->vecs[c], batch->rows, hashes);
    for (uint32_t i = 0; i < batch->rows; i++) {
        int64_t weight = batch->weights ? batch->weights[i] : 1;
        sum.lo += (uint64_t)weight * hashes[i].lo;
        sum.hi += (uint64_t)weight * hashes[i].hi;
        count += weight;
    }
    appending->sums[b] = sum;
    appending->counts[b] = count;
    kp_free(hashes);
    for (uint32_t k = 0; k < rows->key_count; k++)
        kp_vec_hash(&batch->vecs[rows->keys[k]], batch->rows, appending->key_hashes[b], k == 0);
}

/* ---- values ---- */

static void append_nulls(const struct kp_rows *rows, struct kp_page *page, uint32_t c, const struct part *part,
                         uint64_t *bytes)
{
    const struct kp_vec *vec = &part->batch->vecs[c];
    uint8_t *null = atomic_load_explicit(&page->cols[c].null, memory_order_relaxed);
    if (!vec->valid && !null)
        return;
    for (uint32_t i = 0; i < part->n; i++) {
        bool is_null = kp_vec_is_null(vec, part->from + i);
        if (is_null && !null) {
            null = kp_calloc(page->rows, 1);
            *bytes += page->rows;
            atomic_store_explicit(&page->cols[c].null, null, memory_order_release);
        }
        if (null)
            null[part->row + i] = is_null;
        if (is_null) /* a stored NULL has zeros as its value */
            memset(page->cols[c].data + (size_t)(part->row + i) * rows->widths[c], 0, rows->widths[c]);
    }
}

static uint64_t extra_bytes(const struct kp_batch *batch, uint32_t from, uint32_t n)
{
    uint64_t bytes = 0;
    for (uint32_t c = 0; c < batch->cols; c++) {
        const struct kp_vec *vec = &batch->vecs[c];
        if (vec->type.id == KP_TEXT && !vec->constant && !vec->valid) {
            const struct kp_text *texts = (const struct kp_text *)vec->data + from;
            for (uint32_t i = 0; i < n; i++)
                bytes += texts[i].len <= KP_TEXT_INLINE_BYTES ? 0 : (texts[i].len + 7) & ~(uint64_t)7;
        } else if (kp_identity_has_extra(vec->type.id)) {
            for (uint32_t i = from; i < from + n; i++)
                if (!kp_vec_is_null(vec, i))
                    bytes += kp_identity_extra_bytes(vec->type.id, kp_vec_at(vec, i));
        }
    }
    return bytes;
}

static void copy_texts(const struct kp_text *from, struct kp_text *to, uint32_t n, uint8_t **memory)
{
    uint8_t *at = *memory;
    for (uint32_t i = 0; i < n; i++) {
        struct kp_text text = from[i];
        if (text.len > KP_TEXT_INLINE_BYTES) {
            memcpy(at, text.ptr, text.len);
            text.ptr = (const char *)at;
            at += ((size_t)text.len + 7) & ~(size_t)7;
        }
        to[i] = text;
    }
    *memory = at;
}

/* Columns of values that may have outside parts, a few rows at a time. */
static void append_extra(const struct kp_rows *rows, struct kp_page *page, const struct part *part, uint64_t *bytes)
{
    for (uint32_t done = 0, n; done < part->n; done += n) {
        n = KP_MIN(part->n - done, (uint32_t)EXTRA_ROWS);
        uint32_t from = part->from + done, row = part->row + done;
        uint64_t outside = extra_bytes(part->batch, from, n);
        uint8_t *memory = NULL;
        if (outside) {
            struct kp_extra *extra = kp_alloc(sizeof *extra + outside);
            *extra = (struct kp_extra){.bytes = sizeof *extra + outside, .rows = n};
            *bytes += extra->bytes;
            for (uint32_t i = 0; i < n; i++)
                page->extra[row + i] = extra;
            memory = (uint8_t *)(extra + 1);
        }
        for (uint32_t c = 0; c < rows->col_count; c++) {
            const struct kp_vec *vec = &part->batch->vecs[c];
            struct kp_text *to = (struct kp_text *)(void *)page->cols[c].data + row; /* or a number of the same size */
            if (vec->type.id == KP_TEXT && !vec->constant && !vec->valid)
                copy_texts((const struct kp_text *)vec->data + from, to, n, &memory);
            else if (kp_identity_has_extra(vec->type.id))
                for (uint32_t i = 0; i < n; i++)
                    if (!kp_vec_is_null(vec, from + i))
                        kp_identity_copy(vec->type.id, kp_vec_at(vec, from + i), &to[i], &memory);
        }
    }
}

static void append_plain(const struct kp_rows *rows, struct kp_page *page, uint32_t c, const struct part *part)
{
    const struct kp_vec *vec = &part->batch->vecs[c];
    size_t width = rows->widths[c];
    uint8_t *to = page->cols[c].data + part->row * width;
    if (!vec->constant)
        memcpy(to, (const uint8_t *)vec->data + part->from * width, part->n * width);
    for (uint32_t i = 0; vec->constant && i < part->n; i++)
        memcpy(to + i * width, vec->data, width);
}

static void append_weights(struct kp_page *page, const struct part *part, uint64_t *bytes)
{
    int64_t *all = atomic_load_explicit(&page->multiplicity, memory_order_relaxed);
    if (!part->batch->weights && !all)
        return;
    for (uint32_t i = 0; i < part->n; i++) {
        int64_t weight = part->batch->weights ? part->batch->weights[part->from + i] : 1;
        if (weight != 1 && !all) {
            all = kp_alloc(page->rows * sizeof *all);
            *bytes += page->rows * sizeof *all;
            for (uint32_t k = 0; k < page->rows; k++)
                all[k] = 1;
            atomic_store_explicit(&page->multiplicity, all, memory_order_release);
        }
        if (all)
            all[part->row + i] = weight;
    }
}

static void fill_page(struct appending *appending, uint32_t number)
{
    const struct kp_rows *rows = appending->rows;
    struct kp_page *page = kp_rows_page(rows, appending->page_first + number);
    const struct part *end = &appending->parts[appending->part_first[number + 1]];
    uint64_t bytes = 0;
    for (const struct part *part = &appending->parts[appending->part_first[number]]; part < end; part++) {
        for (uint32_t i = 0; i < part->n; i++) /* begin is ∞: invariant 2 of rows.h */
            atomic_store_explicit(&page->end[part->row + i], KP_POSITION_NEVER, memory_order_release);
        if (rows->has_extra)
            append_extra(rows, page, part, &bytes);
        for (uint32_t c = 0; c < rows->col_count; c++) {
            if (!kp_identity_has_extra(part->batch->vecs[c].type.id))
                append_plain(rows, page, c, part);
            append_nulls(rows, page, c, part, &bytes);
        }
        append_weights(page, part, &bytes);
        for (uint32_t i = 0; i < part->n; i++)
            atomic_store_explicit(&page->begin[part->row + i], appending->position, memory_order_release);
    }
    appending->bytes[number] = bytes;
}

/* ---- the whole ---- */

static void run_task(void *arg, uint32_t slot, uint32_t task)
{
    struct appending *appending = arg;
    if (task < appending->batch_count)
        hash_batch(appending, task);
    else
        fill_page(appending, task - appending->batch_count);
}

/* Makes the pages for all rows and says which rows go where. Returns how many pages get rows. */
static uint32_t lay_out(struct appending *appending, uint32_t slot, uint32_t total)
{
    struct kp_arena *arena = &appending->rows->scratch;
    uint32_t page, row, parts = 0;
    kp_slot_split(slot + total - 1, &page, &row);
    kp_slot_split(slot, &appending->page_first, &row);
    uint32_t pages = page - appending->page_first + 1;
    appending->parts = kp_arena_alloc(arena, (appending->batch_count + pages) * sizeof *appending->parts);
    appending->part_first = kp_arena_calloc(arena, (pages + 1) * sizeof *appending->part_first);
    appending->bytes = kp_arena_calloc(arena, pages * sizeof *appending->bytes);
    page = appending->page_first;
    for (uint32_t b = 0; b < appending->batch_count; b++) {
        const struct kp_batch *batch = appending->batches[b];
        for (uint32_t from = 0, n; from < batch->rows; from += n) {
            if (row == 0)
                kp_rows_page_add(appending->rows, page);
            n = KP_MIN(batch->rows - from, kp_page_rows(page) - row);
            appending->parts[parts++] = (struct part){batch, from, row, n};
            appending->part_first[page - appending->page_first + 1] = parts;
            row += n;
            if (row == kp_page_rows(page)) {
                page++;
                row = 0;
            }
        }
    }
    return pages;
}

static void note_keys(struct appending *appending, uint32_t slot)
{
    struct kp_rows *rows = appending->rows;
    for (uint32_t b = 0; b < appending->batch_count; b++)
        for (uint32_t i = 0; i < appending->batches[b]->rows; i++, slot++)
            kp_rows_note_key(rows, slot, (uint32_t)(appending->key_hashes[b][i] >> 32));
}

void kp_rows_append(struct kp_rows *rows, struct kp_batch *const *batches, size_t count, int64_t position_end,
                    struct kp_workers *workers)
{
    uint64_t total = 0;
    for (size_t b = 0; b < count; b++) {
        KP_ASSERT(batches[b]->cols == rows->col_count);
        for (uint32_t c = 0; c < batches[b]->cols; c++)
            KP_ASSERT(batches[b]->vecs[c].type.id == rows->cols[c].type.id);
        total += batches[b]->rows;
    }
    if (!total)
        return;
    uint32_t slot = atomic_load_explicit(&rows->slots, memory_order_relaxed);
    KP_ASSERT(!rows->indexed && !rows->free_count && rows->versions == slot);
    if (total > UINT32_MAX - slot)
        kp_fatal("more than 4 billion row versions in one view", __FILE__, __LINE__);
    struct kp_arena *arena = &rows->scratch;
    struct appending appending = {
        .rows = rows, .batches = batches, .batch_count = (uint32_t)count, .position = position_end};
    appending.sums = kp_arena_alloc(arena, count * sizeof *appending.sums);
    appending.counts = kp_arena_alloc(arena, count * sizeof *appending.counts);
    appending.key_hashes = kp_arena_calloc(arena, count * sizeof *appending.key_hashes);
    for (size_t b = 0; b < count && rows->key_count; b++)
        appending.key_hashes[b] = kp_arena_alloc(arena, batches[b]->rows * sizeof(uint64_t));
    uint32_t pages = lay_out(&appending, slot, (uint32_t)total);
    kp_workers_run(total < ROWS_PARALLEL_MIN ? NULL : workers, appending.batch_count + pages, run_task, &appending);
    for (size_t b = 0; b < count; b++) {
        rows->count += appending.counts[b];
        rows->hash.lo += appending.sums[b].lo;
        rows->hash.hi += appending.sums[b].hi;
    }
    for (uint32_t p = 0; p < pages; p++)
        rows->bytes += appending.bytes[p];
    rows->versions += total;
    atomic_store_explicit(&rows->slots, slot + (uint32_t)total, memory_order_release);
    if (rows->key_count)
        note_keys(&appending, slot);
    kp_arena_reset(arena);
}
