#include "view/rows.h"

#include <stdlib.h>

#include "view/key_index.h"

enum { FLAG_LINKED = 1, FLAG_PENDING = 2 };
enum { INDEX_FIRST = 128, HELD_SLACK = 256, PREFETCH_ROWS = 8, PREFETCH_COLUMNS = 4 };

/* ---- lists ---- */

static void dead_push(struct kp_dead_list *list, uint32_t slot, int64_t tag)
{
    if (list->head + list->count == list->cap) {
        if (list->head > list->cap / 2) { /* at most half is left: moving it pays */
            memmove(list->items, list->items + list->head, list->count * sizeof *list->items);
        } else {
            list->cap = list->cap ? list->cap * 2 : 64;
            struct kp_dead *items = kp_alloc(list->cap * sizeof *items);
            if (list->count)
                memcpy(items, list->items + list->head, list->count * sizeof *items);
            kp_free(list->items);
            list->items = items;
        }
        list->head = 0;
    }
    list->items[list->head + list->count++] = (struct kp_dead){slot, tag};
}

static struct kp_dead *dead_first(struct kp_dead_list *list)
{
    return list->count ? &list->items[list->head] : NULL;
}

static void dead_pop(struct kp_dead_list *list)
{
    list->head++;
    if (--list->count == 0)
        list->head = 0;
}

static void slots_push(uint32_t **slots, size_t *count, size_t *cap, uint32_t slot)
{
    if (*count == *cap) {
        *cap = *cap ? *cap * 2 : 64;
        *slots = kp_realloc(*slots, *cap * sizeof **slots);
    }
    (*slots)[(*count)++] = slot;
}

/* ---- pages ---- */

static uint64_t page_bytes(const struct kp_rows *rows, const struct kp_page *page)
{
    uint64_t row = 2 * sizeof(int64_t) + 1 + (rows->key_count ? sizeof(uint32_t) : 0) + (rows->has_extra ? 8 : 0);
    for (uint32_t c = 0; c < rows->col_count; c++)
        row += rows->widths[c];
    return sizeof *page + rows->col_count * sizeof page->cols[0] + row * page->rows;
}

static struct kp_page *page_create(struct kp_rows *rows, uint32_t number)
{
    struct kp_page *page = kp_calloc(1, sizeof *page + rows->col_count * sizeof page->cols[0]);
    uint32_t n = page->rows = kp_page_rows(number);
    page->begin = kp_alloc(n * sizeof *page->begin);
    page->end = kp_alloc(n * sizeof *page->end);
    for (uint32_t i = 0; i < n; i++) {
        atomic_init(&page->begin[i], KP_POSITION_NEVER);
        atomic_init(&page->end[i], 0);
    }
    if (rows->key_count)
        page->key_hash = kp_alloc(n * sizeof *page->key_hash);
    if (rows->has_extra)
        page->extra = kp_calloc(n, sizeof *page->extra);
    page->flags = kp_calloc(n, 1);
    for (uint32_t c = 0; c < rows->col_count; c++)
        page->cols[c].data = kp_alloc((size_t)n * rows->widths[c]);
    rows->bytes += page_bytes(rows, page);
    return page;
}

static void extra_release(struct kp_rows *rows, struct kp_page *page, uint32_t row)
{
    struct kp_extra *extra = page->extra[row];
    page->extra[row] = NULL;
    if (!extra || --extra->rows)
        return;
    rows->bytes -= extra->bytes;
    kp_free(extra);
}

static void page_destroy(struct kp_rows *rows, struct kp_page *page)
{
    for (uint32_t c = 0; c < rows->col_count; c++) {
        kp_free(page->cols[c].data);
        kp_free(atomic_load(&page->cols[c].null));
    }
    for (uint32_t i = 0; page->extra && i < page->rows; i++)
        extra_release(rows, page, i);
    kp_free(page->extra);
    kp_free(atomic_load(&page->multiplicity));
    kp_free((void *)page->begin);
    kp_free((void *)page->end);
    kp_free(page->key_hash);
    kp_free(page->flags);
    kp_free(page);
}

/* Old directories stay until the end: readers may hold them, and all together are smaller than the newest. */
static void directory_add(struct kp_rows *rows, struct kp_page *page, uint32_t number)
{
    struct kp_directory *from = atomic_load_explicit(&rows->directory, memory_order_relaxed), *to = from;
    if (number == from->count) {
        to = kp_calloc(1, sizeof *to + 2 * (size_t)from->count * sizeof to->pages[0]);
        to->count = 2 * from->count;
        to->older = from;
        memcpy(to->pages, from->pages, from->count * sizeof to->pages[0]);
        rows->bytes += sizeof *to + to->count * sizeof to->pages[0];
    }
    to->pages[number] = page;
    atomic_store_explicit(&rows->directory, to, memory_order_release);
}

void kp_rows_page_add(struct kp_rows *rows, uint32_t number)
{
    directory_add(rows, page_create(rows, number), number);
}

static uint32_t slot_take(struct kp_rows *rows)
{
    rows->versions++;
    if (rows->free_count)
        return rows->free_slots[--rows->free_count];
    uint32_t slot = atomic_load_explicit(&rows->slots, memory_order_relaxed), page, row;
    if (slot == UINT32_MAX)
        kp_fatal("more than 4 billion row versions in one view", __FILE__, __LINE__);
    kp_slot_split(slot, &page, &row);
    if (row == 0)
        kp_rows_page_add(rows, page);
    atomic_store_explicit(&rows->slots, slot + 1, memory_order_release);
    return slot;
}

static void slot_free(struct kp_rows *rows, uint32_t slot)
{
    uint32_t row;
    struct kp_page *page = kp_rows_at(rows, slot, &row);
    atomic_store_explicit(&page->begin[row], KP_POSITION_NEVER, memory_order_release);
    page->flags[row] &= (uint8_t)~FLAG_LINKED;
    if (page->extra)
        extra_release(rows, page, row);
    rows->versions--;
    slots_push(&rows->free_slots, &rows->free_count, &rows->free_cap, slot);
}

/* ---- values ---- */

static void set_null(struct kp_rows *rows, struct kp_page *page, uint32_t col, uint32_t row, bool is_null)
{
    uint8_t *null = atomic_load_explicit(&page->cols[col].null, memory_order_relaxed);
    if (!null && is_null) {
        null = kp_calloc(page->rows, 1);
        rows->bytes += page->rows;
        null[row] = 1;
        atomic_store_explicit(&page->cols[col].null, null, memory_order_release);
    } else if (null) {
        null[row] = is_null;
    }
}

static void set_multiplicity(struct kp_rows *rows, struct kp_page *page, uint32_t row, int64_t multiplicity)
{
    int64_t *all = atomic_load_explicit(&page->multiplicity, memory_order_relaxed);
    if (!all && multiplicity != 1) {
        all = kp_alloc(page->rows * sizeof *all);
        rows->bytes += page->rows * sizeof *all;
        for (uint32_t i = 0; i < page->rows; i++)
            all[i] = 1;
        all[row] = multiplicity;
        atomic_store_explicit(&page->multiplicity, all, memory_order_release);
    } else if (all) {
        all[row] = multiplicity;
    }
}

static void copy_value(uint8_t *to, const void *from, uint8_t width)
{
    switch (width) {
    case 1:
        *to = *(const uint8_t *)from;
        break;
    case 2:
        memcpy(to, from, 2);
        break;
    case 4:
        memcpy(to, from, 4);
        break;
    case 8:
        memcpy(to, from, 8);
        break;
    default:
        memcpy(to, from, 16);
    }
}

/* Memory for the outside parts of row i of the batch, which becomes row `row` of the page; NULL if it has none. */
static uint8_t *extra_alloc(struct kp_rows *rows, struct kp_page *page, uint32_t row, const struct kp_batch *batch,
                            uint32_t i)
{
    uint64_t bytes = 0;
    for (uint32_t c = 0; c < batch->cols; c++)
        if (rows->widths[c] == 16 && !kp_vec_is_null(&batch->vecs[c], i))
            bytes += kp_identity_extra_bytes(batch->vecs[c].type.id, kp_vec_at(&batch->vecs[c], i));
    if (!bytes)
        return NULL;
    struct kp_extra *extra = kp_alloc(bytes + sizeof *extra);
    *extra = (struct kp_extra){.bytes = bytes + sizeof *extra, .rows = 1};
    rows->bytes += extra->bytes;
    page->extra[row] = extra;
    return (uint8_t *)(extra + 1);
}

void kp_rows_note_key(struct kp_rows *rows, uint32_t slot, uint32_t key_hash)
{
    uint32_t row;
    struct kp_page *page = kp_rows_at(rows, slot, &row);
    page->key_hash[row] = key_hash;
    if (!(page->flags[row] & FLAG_PENDING)) {
        page->flags[row] |= FLAG_PENDING;
        slots_push(&rows->pending, &rows->pending_count, &rows->pending_cap, slot);
    }
}

static uint32_t version_insert(struct kp_rows *rows, const struct kp_batch *batch, uint32_t i, uint32_t key_hash,
                               int64_t multiplicity, int64_t position)
{
    uint32_t slot = slot_take(rows), row;
    struct kp_page *page = kp_rows_at(rows, slot, &row);
    atomic_store_explicit(&page->end[row], KP_POSITION_NEVER, memory_order_release); /* begin is ∞: invariant 2 */
    uint8_t *extra = rows->has_extra ? extra_alloc(rows, page, row, batch, i) : NULL;
    for (uint32_t c = 0; c < rows->col_count; c++) {
        const struct kp_vec *vec = &batch->vecs[c];
        uint8_t width = rows->widths[c];
        uint8_t *to = page->cols[c].data + (size_t)row * width;
        bool is_null = kp_vec_is_null(vec, i);
        set_null(rows, page, c, row, is_null);
        const uint8_t *from = (const uint8_t *)vec->data + (vec->constant ? 0 : (size_t)i * width);
        if (is_null)
            memset(to, 0, width);
        else if (extra && width == 16)
            kp_identity_copy(vec->type.id, from, to, &extra);
        else
            copy_value(to, from, width);
    }
    set_multiplicity(rows, page, row, multiplicity);
    if (rows->key_count)
        kp_rows_note_key(rows, slot, key_hash);
    atomic_store_explicit(&page->begin[row], position, memory_order_release);
    return slot;
}

static void version_end(struct kp_rows *rows, uint32_t slot, int64_t position, bool unseen)
{
    uint32_t row;
    struct kp_page *page = kp_rows_at(rows, slot, &row);
    if (unseen && !(page->flags[row] & FLAG_LINKED)) {
        slot_free(rows, slot);
        return;
    }
    atomic_store_explicit(&page->end[row], position, memory_order_release);
    dead_push(&rows->dead, slot, position);
}

/* ---- row index ---- */

static void index_put(uint64_t *index, uint32_t mask, uint64_t entry)
{
    uint32_t at = (uint32_t)(entry >> 32) & mask;
    while (index[at])
        at = (at + 1) & mask;
    index[at] = entry;
}

static void index_reserve(struct kp_rows *rows, uint64_t more)
{
    uint64_t need = (rows->index_count + more) * 3 / 2, before = rows->index ? (uint64_t)rows->index_mask + 1 : 0;
    uint64_t size = before ? before : INDEX_FIRST;
    while (size < need)
        size *= 2;
    if (size == before)
        return;
    KP_ASSERT(size <= UINT32_MAX);
    uint64_t *index = kp_calloc(size, sizeof *index);
    for (uint64_t i = 0; i < before; i++)
        if (rows->index[i])
            index_put(index, (uint32_t)(size - 1), rows->index[i]);
    rows->bytes += (size - before) * sizeof *index;
    kp_free(rows->index);
    rows->index = index;
    rows->index_mask = (uint32_t)(size - 1);
}

/* Nothing has been taken away so far, so every slot in use is alive. */
static void index_build(struct kp_rows *rows)
{
    uint32_t slots = atomic_load_explicit(&rows->slots, memory_order_relaxed);
    KP_ASSERT(rows->versions == slots);
    index_reserve(rows, slots);
    for (uint32_t first = 0, number = 0; first < slots; first += kp_page_rows(number), number++) {
        const struct kp_page *page = kp_rows_page(rows, number);
        uint32_t used = KP_MIN(page->rows, slots - first);
        struct kp_arena arena = {0};
        struct kp_hash128 *hashes = kp_arena_calloc(&arena, used * sizeof *hashes);
        for (uint32_t c = 0; c < rows->col_count; c++) {
            struct kp_vec vec = {.type = rows->cols[c].type, .data = page->cols[c].data};
            const uint8_t *null = atomic_load_explicit(&page->cols[c].null, memory_order_relaxed);
            if (null)
                kp_vec_need_valid(&vec, &arena, used);
            for (uint32_t i = 0; null && i < used; i++)
                if (null[i])
                    kp_vec_set_null(&vec, i);
            kp_identity_hash(&vec, used, hashes);
        }
        for (uint32_t i = 0; i < used; i++)
            index_put(rows->index, rows->index_mask, hashes[i].lo >> 32 << 32 | (first + i + 1));
        kp_arena_finish(&arena);
    }
    rows->index_count = slots;
    rows->indexed = true;
}

static bool value_equal(const struct kp_vec *vec, const uint8_t *a, const uint8_t *b, uint8_t width)
{
    switch (vec->type.id) {
    case KP_INT8:
    case KP_TIMESTAMP:
    case KP_TIMESTAMPTZ:
    case KP_TIME:
        return memcmp(a, b, 8) == 0;
    case KP_INT4:
    case KP_DATE:
        return memcmp(a, b, 4) == 0;
    default:
        return kp_identity_equal(vec->type.id, a, b);
    }
}

static bool row_equal(const struct kp_rows *rows, uint32_t slot, const struct kp_batch *batch, uint32_t i)
{
    uint32_t row;
    const struct kp_page *page = kp_rows_at(rows, slot, &row);
    for (uint32_t c = 0; c < rows->col_count; c++) {
        const struct kp_vec *vec = &batch->vecs[c];
        uint8_t width = rows->widths[c];
        bool is_null = kp_vec_is_null(vec, i);
        if (is_null != kp_page_is_null(page, c, row))
            return false;
        if (!is_null && !value_equal(vec, (const uint8_t *)vec->data + (vec->constant ? 0 : (size_t)i * width),
                                     page->cols[c].data + (size_t)row * width, width))
            return false;
    }
    return true;
}

/* The place of a row in the index, or the empty place where it would go. */
static uint32_t index_find(const struct kp_rows *rows, const struct kp_batch *batch, uint32_t i, uint32_t tag)
{
    uint32_t at = tag & rows->index_mask;
    for (uint64_t entry; (entry = rows->index[at]); at = (at + 1) & rows->index_mask)
        if ((uint32_t)(entry >> 32) == tag && row_equal(rows, (uint32_t)entry - 1, batch, i))
            break;
    return at;
}

/* Moves later entries of the run back, so that no search stops too early. */
static void index_remove(struct kp_rows *rows, uint32_t at)
{
    uint32_t mask = rows->index_mask, hole = at;
    for (uint32_t next = (at + 1) & mask; rows->index[next]; next = (next + 1) & mask) {
        uint32_t home = (uint32_t)(rows->index[next] >> 32) & mask;
        if (((next - home) & mask) >= ((next - hole) & mask)) {
            rows->index[hole] = rows->index[next];
            hole = next;
        }
    }
    rows->index[hole] = 0;
    rows->index_count--;
}

/* ---- apply ---- */

struct change { /* one row of one batch */
    const struct kp_batch *batch;
    uint32_t row, key_hash, tag;
    int64_t weight, position, published;
};

/* Applies the change to one version; returns how much of its weight was that version's. */
static int64_t change_version(struct kp_rows *rows, const struct change *change)
{
    uint32_t at = index_find(rows, change->batch, change->row, change->tag);
    uint64_t entry = rows->index[at];
    int64_t multiplicity = 0, weight = change->weight;
    bool unseen = false;
    uint32_t slot = (uint32_t)entry - 1, row = 0;
    struct kp_page *page = NULL;
    if (entry) {
        page = kp_rows_at(rows, slot, &row);
        multiplicity = kp_page_multiplicity(page, row);
        unseen = rows->hidden || atomic_load_explicit(&page->begin[row], memory_order_relaxed) > change->published;
    }
    KP_ASSERT(weight > 0 || multiplicity > 0); /* what is not there cannot be taken away */
    weight = KP_MAX(weight, -multiplicity);
    KP_ASSERT(!__builtin_add_overflow(multiplicity, weight, &multiplicity));
    if (entry && multiplicity > 0 && unseen) {
        set_multiplicity(rows, page, row, multiplicity);
        return weight;
    }
    if (entry)
        version_end(rows, slot, change->position, unseen);
    if (multiplicity > 0) {
        slot = version_insert(rows, change->batch, change->row, change->key_hash, multiplicity, change->position);
        rows->index[at] = (uint64_t)change->tag << 32 | (slot + 1);
        rows->index_count += entry ? 0 : 1;
    } else if (entry) {
        index_remove(rows, at);
    }
    return weight;
}

/* Rows that were appended before there was an index may have several versions. */
static void change_apply(struct kp_rows *rows, struct change change)
{
    while (change.weight)
        change.weight -= change_version(rows, &change);
}

struct hashed {
    struct kp_hash128 *identity;
    uint64_t *key; /* NULL: no key */
};

static struct hashed hash_batch(struct kp_rows *rows, const struct kp_batch *batch)
{
    KP_ASSERT(batch->cols == rows->col_count);
    struct hashed hashed = {.identity = kp_arena_calloc(&rows->scratch, batch->rows * sizeof(struct kp_hash128))};
    for (uint32_t c = 0; c < batch->cols; c++) {
        KP_ASSERT(batch->vecs[c].type.id == rows->cols[c].type.id);
        kp_identity_hash(&batch->vecs[c], batch->rows, hashed.identity);
    }
    if (rows->key_count)
        hashed.key = kp_arena_alloc(&rows->scratch, batch->rows * sizeof *hashed.key);
    for (uint32_t k = 0; k < rows->key_count; k++)
        kp_vec_hash(&batch->vecs[rows->keys[k]], batch->rows, hashed.key, k == 0);
    return hashed;
}

/* A look-up waits for memory twice, for its place in the index and for the row there: both are asked for ahead. */
static inline void prefetch_index(const struct kp_rows *rows, uint64_t hash)
{
    __builtin_prefetch(&rows->index[(uint32_t)(hash >> 32) & rows->index_mask]);
}

static inline void prefetch_slot(const struct kp_rows *rows, uint64_t hash)
{
    uint64_t entry = rows->index[(uint32_t)(hash >> 32) & rows->index_mask];
    if (!entry || entry >> 32 != hash >> 32) /* the hash of a row of zeros is 0, as an empty place is */
        return;
    uint32_t row;
    const struct kp_page *page = kp_rows_at(rows, (uint32_t)entry - 1, &row);
    __builtin_prefetch((const void *)&page->begin[row]);
    __builtin_prefetch((const void *)&page->end[row], 1);
    for (uint32_t c = 0; c < rows->col_count && c < PREFETCH_COLUMNS; c++)
        __builtin_prefetch(page->cols[c].data + (size_t)row * rows->widths[c]);
}

static void apply_batch(struct kp_rows *rows, const struct kp_batch *batch, const struct hashed *hashed, bool insert,
                        int64_t position_end, int64_t published)
{
    struct change change = {.batch = batch, .position = position_end, .published = published};
    for (uint32_t i = 0; i < batch->rows; i++) {
        if (i + 2 * PREFETCH_ROWS < batch->rows)
            prefetch_index(rows, hashed->identity[i + 2 * PREFETCH_ROWS].lo);
        if (i + PREFETCH_ROWS < batch->rows)
            prefetch_slot(rows, hashed->identity[i + PREFETCH_ROWS].lo);
        change.weight = batch->weights ? batch->weights[i] : 1;
        if (change.weight == 0 || (change.weight > 0) != insert)
            continue;
        change.row = i;
        change.tag = (uint32_t)(hashed->identity[i].lo >> 32);
        change.key_hash = hashed->key ? (uint32_t)(hashed->key[i] >> 32) : 0;
        change_apply(rows, change);
        rows->count += change.weight;
        rows->hash.lo += (uint64_t)change.weight * hashed->identity[i].lo;
        rows->hash.hi += (uint64_t)change.weight * hashed->identity[i].hi;
    }
}

/* ---- both ---- */

static bool only_grows(struct kp_batch *const *batches, size_t count)
{
    for (size_t b = 0; b < count; b++)
        for (uint32_t i = 0; batches[b]->weights && i < batches[b]->rows; i++)
            if (batches[b]->weights[i] <= 0)
                return false;
    return true;
}

void kp_rows_apply(struct kp_rows *rows, struct kp_batch *const *batches, size_t count, int64_t position_end,
                   struct kp_workers *workers)
{
    if (!rows->hidden)
        kp_rows_reclaim(rows);
    if (!rows->indexed) {
        if (only_grows(batches, count)) {
            kp_rows_append(rows, batches, count, position_end, workers);
            return;
        }
        index_build(rows);
    }
    int64_t published = atomic_load(&rows->clock->position);
    struct hashed *hashed = kp_arena_alloc(&rows->scratch, count * sizeof *hashed);
    uint64_t total = 0;
    for (size_t b = 0; b < count; b++) {
        hashed[b] = hash_batch(rows, batches[b]);
        total += batches[b]->rows;
    }
    index_reserve(rows, total);
    for (size_t b = 0; b < count; b++)
        if (batches[b]->weights)
            apply_batch(rows, batches[b], &hashed[b], false, position_end, published);
    for (size_t b = 0; b < count; b++)
        apply_batch(rows, batches[b], &hashed[b], true, position_end, published);
    kp_arena_reset(&rows->scratch);
}

void kp_rows_multiplicities(struct kp_rows *rows, const struct kp_batch *batch, int64_t *ret_multiplicities)
{
    struct hashed hashed = hash_batch(rows, batch);
    if (!rows->indexed)
        index_build(rows);
    for (uint32_t i = 0; i < batch->rows; i++) {
        uint32_t tag = (uint32_t)(hashed.identity[i].lo >> 32), row;
        ret_multiplicities[i] = 0;
        uint32_t at = tag & rows->index_mask;
        for (uint64_t entry; (entry = rows->index[at]); at = (at + 1) & rows->index_mask)
            if ((uint32_t)(entry >> 32) == tag && row_equal(rows, (uint32_t)entry - 1, batch, i)) {
                const struct kp_page *page = kp_rows_at(rows, (uint32_t)entry - 1, &row);
                ret_multiplicities[i] += kp_page_multiplicity(page, row);
            }
    }
    kp_arena_reset(&rows->scratch);
}

void kp_rows_link(struct kp_rows *rows)
{
    for (size_t i = 0; i < rows->pending_count; i++) {
        uint32_t slot = rows->pending[i], row;
        struct kp_page *page = kp_rows_at(rows, slot, &row);
        page->flags[row] &= (uint8_t)~FLAG_PENDING;
        bool used = atomic_load_explicit(&page->begin[row], memory_order_relaxed) != KP_POSITION_NEVER;
        if (used && !(page->flags[row] & FLAG_LINKED)) {
            page->flags[row] |= FLAG_LINKED;
            kp_key_index_link(rows, slot, page->key_hash[row]);
        }
    }
    rows->pending_count = 0;
}

/* ---- reclaim ---- */

static int compare_positions(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

/* True if a snapshot lies in [begin, end). positions are sorted. */
static bool is_seen(const int64_t *positions, size_t count, int64_t begin, int64_t end)
{
    size_t low = 0, high = count; /* the first position >= begin */
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (positions[middle] < begin)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && positions[low] < end;
}

static bool slot_is_seen(const struct kp_rows *rows, uint32_t slot, size_t snapshot_count)
{
    uint32_t row;
    struct kp_page *page = kp_rows_at(rows, slot, &row);
    return is_seen(rows->snapshots, snapshot_count, atomic_load_explicit(&page->begin[row], memory_order_relaxed),
                   atomic_load_explicit(&page->end[row], memory_order_relaxed));
}

static void dispose(struct kp_rows *rows, uint32_t slot, int64_t epoch)
{
    uint32_t row;
    struct kp_page *page = kp_rows_at(rows, slot, &row);
    if (!(page->flags[row] & FLAG_LINKED)) {
        slot_free(rows, slot);
        return;
    }
    page->flags[row] &= (uint8_t)~FLAG_LINKED;
    kp_key_index_unlink(rows, slot, page->key_hash[row]);
    dead_push(&rows->limbo, slot, epoch);
}

/* Looks through what snapshots held when the oldest of them has gone, or when it has doubled: amortized constant. */
static void reclaim_held(struct kp_rows *rows, size_t snapshot_count, int64_t epoch)
{
    int64_t least = snapshot_count ? rows->snapshots[0] : KP_READER_FREE;
    if (least == rows->held_least && rows->held.count < 2 * rows->held_kept + HELD_SLACK)
        return;
    rows->held_least = least;
    size_t kept = 0;
    struct kp_dead *items = rows->held.items + rows->held.head;
    for (size_t i = 0; i < rows->held.count; i++) {
        if (slot_is_seen(rows, items[i].slot, snapshot_count))
            items[kept++] = items[i];
        else
            dispose(rows, items[i].slot, epoch);
    }
    rows->held.count = kept;
    rows->held_kept = kept;
}

void kp_rows_reclaim(struct kp_rows *rows)
{
    if (rows->dead.count + rows->held.count) {
        int64_t published = atomic_load(&rows->clock->position); /* before the slots: later readers are not earlier */
        int64_t epoch = atomic_load(&rows->clock->epoch);
        size_t count = 0, limbo_before = rows->limbo.count;
        kp_readers_list(&rows->clock->snapshots, &rows->snapshots, &count, &rows->snapshots_cap);
        if (count > 1)
            qsort(rows->snapshots, count, sizeof *rows->snapshots, compare_positions);
        for (struct kp_dead *first; (first = dead_first(&rows->dead)) && first->tag <= published;) {
            uint32_t slot = first->slot;
            int64_t end = first->tag;
            dead_pop(&rows->dead);
            if (slot_is_seen(rows, slot, count))
                dead_push(&rows->held, slot, end);
            else
                dispose(rows, slot, epoch);
        }
        reclaim_held(rows, count, epoch);
        if (rows->limbo.count > limbo_before)
            atomic_fetch_add(&rows->clock->epoch, 1);
    }
    if (!rows->key_count)
        return;
    int64_t epoch_least = kp_readers_least(&rows->clock->lookups);
    for (struct kp_dead *first; (first = dead_first(&rows->limbo)) && first->tag < epoch_least;) {
        uint32_t slot = first->slot;
        dead_pop(&rows->limbo);
        slot_free(rows, slot);
    }
    kp_key_index_reclaim(rows, epoch_least);
}

bool kp_rows_has_dead(const struct kp_rows *rows)
{
    return rows->dead.count + rows->held.count + rows->limbo.count > 0 ||
           (rows->key_count && kp_key_index_has_older(rows));
}

/* ---- init, finish ---- */

void kp_rows_init(struct kp_rows *rows, struct kp_view_clock *clock, const struct kp_column *cols, uint32_t col_count,
                  const uint32_t *keys, uint32_t key_count)
{
    memset(rows, 0, sizeof *rows);
    rows->clock = clock;
    rows->cols = cols;
    rows->col_count = col_count;
    rows->keys = keys;
    rows->key_count = key_count;
    rows->widths = kp_alloc(col_count);
    for (uint32_t c = 0; c < col_count; c++) {
        rows->widths[c] = kp_type_info(cols[c].type.id)->bytes;
        rows->has_extra |= kp_identity_has_extra(cols[c].type.id);
    }
    struct kp_directory *directory = kp_calloc(1, sizeof *directory + 8 * sizeof directory->pages[0]);
    directory->count = 8;
    atomic_init(&rows->directory, directory);
    rows->held_least = KP_READER_FREE;
    rows->bytes = sizeof *directory + 8 * sizeof directory->pages[0];
    if (key_count)
        kp_key_index_init(rows);
}

void kp_rows_finish(struct kp_rows *rows)
{
    uint32_t slots = atomic_load(&rows->slots);
    struct kp_directory *directory = atomic_load(&rows->directory);
    for (uint32_t slot = 0, page = 0; slot < slots; slot += kp_page_rows(page), page++)
        page_destroy(rows, directory->pages[page]);
    for (struct kp_directory *older; directory; directory = older) {
        older = directory->older;
        kp_free(directory);
    }
    if (rows->key_count)
        kp_key_index_finish(rows);
    kp_free(rows->widths);
    kp_free(rows->free_slots);
    kp_free(rows->index);
    kp_free(rows->pending);
    kp_free(rows->dead.items);
    kp_free(rows->held.items);
    kp_free(rows->limbo.items);
    kp_free(rows->snapshots);
    kp_arena_finish(&rows->scratch);
}
