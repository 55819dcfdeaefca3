#include "flow/join_side.h"

enum { FIND_BLOCK_ROWS = 32, BUILD_BLOCK_ROWS = 4096 };

struct links {
    uint32_t next, prev; /* row number + 1, 0: none */
};

static inline struct links *links_of(const struct kp_join_rows *rows, uint32_t id)
{
    return kp_table_row(&rows->table, id);
}

void kp_join_rows_init(struct kp_join_rows *rows, const struct kp_join_side *side, struct kp_budget *budget)
{
    *rows = (struct kp_join_rows){.side = side};
    kp_table_init(&rows->table, &side->layout, 0, side->payload_bytes, budget);
    rows->table.heap.keeps = side->growing && !side->frees;
}

uint32_t *kp_join_rows_all(const struct kp_join_rows *rows, uint32_t *ret_count)
{
    uint32_t *ids = kp_alloc(((size_t)rows->table.live + 1) * sizeof *ids), n = 0;
    uint32_t capacity = rows->keys.bits ? 1u << rows->keys.bits : 0;
    for (uint32_t at = 0; at < capacity; at++) {
        uint32_t entry = rows->keys.entries[at];
        if (entry == 0 || entry == UINT32_MAX)
            continue;
        for (uint32_t id = (entry & (capacity - 1)) - 1; id != KP_ROW_NONE; id = kp_join_next(rows, id))
            ids[n++] = id;
    }
    *ret_count = n;
    return ids;
}

void kp_join_rows_finish(struct kp_join_rows *rows)
{
    if (!rows->side)
        return;
    if (rows->side->layout.out_of_line && !rows->table.heap.keeps) {
        uint32_t count, *ids = kp_join_rows_all(rows, &count);
        for (uint32_t i = 0; i < count; i++)
            kp_row_unset_all(&rows->side->layout, &rows->table.heap, kp_table_row(&rows->table, ids[i]));
        kp_free(ids);
    }
    kp_ordered_finish(&rows->by_time);
    kp_band_finish(&rows->index.rows);
    kp_band_finish(&rows->index.odd);
    kp_index_finish(&rows->keys);
    kp_index_finish(&rows->whole);
    kp_table_finish(&rows->table);
}

int64_t kp_join_rows_more_bytes(const struct kp_join_rows *rows)
{
    int64_t bytes = rows->by_time.bytes + rows->index.rows.bytes + rows->index.odd.bytes;
    if (rows->keys.bits)
        bytes += ((int64_t)1 << rows->keys.bits) * 4;
    if (rows->whole.bits)
        bytes += ((int64_t)1 << rows->whole.bits) * 4;
    return bytes;
}

/* ---- hashes of stored rows, asked for when an index grows ---- */

static void hash_columns(const struct kp_join_rows *rows, const uint32_t *columns, uint32_t count, const uint32_t *ids,
                         uint32_t n, uint64_t *ret_hashes)
{
    struct kp_arena arena = {0};
    memset(ret_hashes, 0, n * sizeof *ret_hashes);
    for (uint32_t c = 0; c < count; c++) {
        struct kp_vec vec;
        kp_table_load(&rows->table, columns ? columns[c] : c, ids, n, &arena, &vec);
        kp_vec_hash(&vec, n, ret_hashes, c == 0);
    }
    kp_arena_finish(&arena);
}

static void hash_keys(const void *arg, const uint32_t *ids, uint32_t n, uint64_t *ret_hashes)
{
    const struct kp_join_rows *rows = arg;
    hash_columns(rows, rows->side->key_columns, rows->side->key_count, ids, n, ret_hashes);
}

static void hash_whole(const void *arg, const uint32_t *ids, uint32_t n, uint64_t *ret_hashes)
{
    const struct kp_join_rows *rows = arg;
    hash_columns(rows, NULL, rows->side->layout.col_count, ids, n, ret_hashes);
}

/* ---- finding ---- */

bool kp_join_rows_key_equal(const struct kp_join_rows *rows, uint32_t id, const struct kp_vec *const *keys, uint32_t i)
{
    const struct kp_join_side *side = rows->side;
    const char *row = kp_table_row(&rows->table, id);
    for (uint32_t k = 0; k < side->key_count; k++) {
        const struct kp_row_col *col = &side->layout.cols[side->key_columns[k]];
        if (side->key_nulls[k]) {
            bool null = kp_row_is_null(&side->layout, row, side->key_columns[k]);
            if (null != kp_vec_is_null(keys[k], i))
                return false;
            if (null)
                continue;
        }
        const char *a = row + col->offset,
                   *b = (const char *)keys[k]->data + (keys[k]->constant ? 0 : (size_t)i) * col->width;
        if (col->kind == KP_ROW_FIXED) {
            if (col->width == 8 ? memcmp(a, b, 8) != 0 : memcmp(a, b, col->width) != 0)
                return false;
        } else if (!kp_value_equal(col->type.id, a, b))
            return false;
    }
    return true;
}

static uint32_t find_head(const struct kp_join_rows *rows, const struct kp_vec *const *keys, uint64_t hash, uint32_t i)
{
    struct kp_index_cursor cursor;
    kp_index_begin(&rows->keys, hash, &cursor);
    uint32_t id;
    while ((id = kp_index_next(&cursor)) != KP_ROW_NONE && !kp_join_rows_key_equal(rows, id, keys, i))
        ;
    return id;
}

void kp_join_rows_find(const struct kp_join_rows *rows, const struct kp_vec *const *keys, const uint64_t *hashes,
                       uint32_t n, uint32_t *ret_heads)
{
    uint32_t mask = rows->keys.bits ? (1u << rows->keys.bits) - 1 : 0;
    for (uint32_t start = 0; start < n; start += FIND_BLOCK_ROWS) {
        uint32_t end = KP_MIN(start + FIND_BLOCK_ROWS, n);
        if (rows->keys.entries && n > 1) {
            for (uint32_t i = start; i < end; i++)
                __builtin_prefetch(&rows->keys.entries[(uint32_t)hashes[i] & mask]);
            for (uint32_t i = start; i < end; i++) {
                struct kp_index_cursor cursor;
                kp_index_begin(&rows->keys, hashes[i], &cursor);
                uint32_t id = kp_index_next(&cursor);
                if (id != KP_ROW_NONE)
                    __builtin_prefetch(kp_table_row(&rows->table, id));
            }
        }
        for (uint32_t i = start; i < end; i++)
            ret_heads[i] = find_head(rows, keys, hashes[i], i);
    }
}

/* ---- changing ---- */

static void link_row(struct kp_join_rows *rows, uint32_t id, uint32_t head, uint64_t hash)
{
    /* Where rows go, any row may become a head, so its number must fit an entry. */
    if (head == KP_ROW_NONE || !rows->side->growing || rows->side->frees)
        kp_index_reserve(&rows->keys, head == KP_ROW_NONE, rows->table.row_end, hash_keys, rows);
    if (head == KP_ROW_NONE) {
        kp_index_insert(&rows->keys, hash, id);
        return;
    }
    struct links *first = links_of(rows, head), *mine = links_of(rows, id);
    mine->next = first->next;
    mine->prev = head + 1;
    if (first->next)
        links_of(rows, first->next - 1)->prev = id + 1;
    first->next = id + 1;
}

static void unlink_row(struct kp_join_rows *rows, uint32_t id, uint64_t hash)
{
    struct links *mine = links_of(rows, id);
    if (mine->next)
        links_of(rows, mine->next - 1)->prev = mine->prev;
    if (mine->prev)
        links_of(rows, mine->prev - 1)->next = mine->next;
    else if (mine->next)
        kp_index_replace(&rows->keys, hash, id, mine->next - 1);
    else
        kp_index_remove(&rows->keys, hash, id);
}

/* ---- the index by what the condition bounds ---- */

static void index_row(struct kp_join_rows *rows, uint32_t id, uint64_t hash, const struct kp_band_images *images,
                      uint32_t i, bool add)
{
    if (!rows->index.built || images->states[i] == KP_BAND_NONE)
        return;
    bool odd = images->states[i] == KP_BAND_ODD;
    struct kp_band *band = odd ? &rows->index.odd : &rows->index.rows;
    struct kp_band_entry entry = {odd ? 0 : images->orders[i], odd ? 0 : images->highs[i], kp_join_group(hash), id};
    if (add)
        kp_band_insert(band, &entry);
    else
        kp_band_remove(band, &entry);
}

static struct kp_band_images images_of(const struct kp_join_rows *rows, const struct kp_batch *batch,
                                       const struct kp_session_settings *settings, struct kp_arena *arena)
{
    struct kp_eval eval = {.arena = arena, .settings = settings};
    return rows->index.built ? kp_band_images(rows->side->band, &eval, batch) : (struct kp_band_images){0};
}

/* Stored rows as a batch. */
static struct kp_batch *load_rows(const struct kp_join_rows *rows, const uint32_t *ids, uint32_t n,
                                  struct kp_arena *arena)
{
    struct kp_batch *batch = kp_batch_create(arena, rows->side->layout.col_count, n);
    for (uint32_t c = 0; c < rows->side->layout.col_count; c++)
        kp_table_load(&rows->table, c, ids, n, arena, &batch->vecs[c]);
    return batch;
}

void kp_join_rows_build(struct kp_join_rows *rows, const struct kp_session_settings *settings)
{
    uint32_t count, *ids = kp_join_rows_all(rows, &count);
    struct kp_band_entry *entries = kp_alloc(((size_t)count + 1) * sizeof *entries);
    uint64_t hashes[BUILD_BLOCK_ROWS], n = 0;
    struct kp_arena arena = {0};
    rows->index.built = true;
    for (uint32_t start = 0; start < count; start += BUILD_BLOCK_ROWS) {
        uint32_t some = KP_MIN(count - start, (uint32_t)BUILD_BLOCK_ROWS);
        struct kp_batch *batch = load_rows(rows, ids + start, some, &arena);
        struct kp_band_images images = images_of(rows, batch, settings, &arena);
        hash_keys(rows, ids + start, some, hashes);
        for (uint32_t i = 0; i < some; i++) {
            if (images.states[i] == KP_BAND_RANGE)
                entries[n++] =
                    (struct kp_band_entry){images.orders[i], images.highs[i], kp_join_group(hashes[i]), ids[start + i]};
            else
                index_row(rows, ids[start + i], hashes[i], &images, i, true);
        }
        kp_arena_reset(&arena);
    }
    kp_band_build(&rows->index.rows, entries, n);
    kp_arena_finish(&arena);
    kp_free(entries);
    kp_free(ids);
}

int64_t kp_join_rows_first_us(const struct kp_join_rows *rows)
{
    const struct kp_ordered_entry *first = kp_ordered_first(&rows->by_time);
    return first ? kp_ordered_time(first) : INT64_MAX;
}

void kp_join_rows_forget(struct kp_join_rows *rows, int64_t limit_us, const struct kp_session_settings *settings)
{
    struct kp_arena arena = {0};
    while (kp_join_rows_first_us(rows) <= limit_us) {
        const struct kp_ordered_entry *first = kp_ordered_first(&rows->by_time);
        if (!first)
            break;
        uint32_t id = first->id;
        uint64_t hash;
        hash_keys(rows, &id, 1, &hash);
        if (rows->index.built) {
            struct kp_band_images images = images_of(rows, load_rows(rows, &id, 1, &arena), settings, &arena);
            index_row(rows, id, hash, &images, 0, false);
            kp_arena_reset(&arena);
        }
        unlink_row(rows, id, hash);
        kp_table_free_row(&rows->table, id);
        kp_ordered_remove(&rows->by_time, first->key, first->key_bytes);
    }
    kp_arena_finish(&arena);
}

static uint32_t make_row(struct kp_join_rows *rows, const struct kp_batch *batch, uint32_t i, int64_t weight,
                         const int64_t *matches)
{
    uint32_t id = kp_table_new_row(&rows->table);
    void *row = kp_table_row(&rows->table, id);
    for (uint32_t c = 0; c < rows->side->layout.col_count; c++)
        kp_row_set(&rows->side->layout, &rows->table.heap, row, c, &batch->vecs[c], i);
    if (!rows->side->growing)
        *(int64_t *)((char *)row + rows->side->layout.bytes) = weight;
    if (rows->side->counts_matches)
        *kp_join_matches(rows, row) = matches[i];
    if (rows->side->frees && !kp_vec_is_null(&batch->vecs[rows->side->time_column], i)) {
        uint8_t key[KP_ORDERED_WAIT_BYTES];
        kp_ordered_wait_key(*(const int64_t *)kp_vec_at(&batch->vecs[rows->side->time_column], i), id, key);
        kp_ordered_insert(&rows->by_time, key, sizeof key, id);
    }
    return id;
}

static uint32_t find_whole(const struct kp_join_rows *rows, const struct kp_batch *batch, uint32_t i, uint64_t hash)
{
    struct kp_index_cursor cursor;
    kp_index_begin(&rows->whole, hash, &cursor);
    uint32_t id, cols = rows->side->layout.col_count;
    while ((id = kp_index_next(&cursor)) != KP_ROW_NONE &&
           !kp_row_identical_vecs(&rows->side->layout, kp_table_row(&rows->table, id), cols, batch->vecs, i))
        ;
    return id;
}

static void change_row(struct kp_join_rows *rows, const struct kp_batch *batch, const struct kp_vec *const *keys,
                       uint32_t i, uint64_t hash, uint64_t whole, const int64_t *matches,
                       const struct kp_band_images *images)
{
    int64_t weight = batch->weights ? batch->weights[i] : 1;
    uint32_t id = find_whole(rows, batch, i, whole);
    if (id == KP_ROW_NONE) {
        uint32_t head = find_head(rows, keys, hash, i);
        id = make_row(rows, batch, i, weight, matches);
        link_row(rows, id, head, hash);
        index_row(rows, id, hash, images, i, true);
        kp_index_reserve(&rows->whole, 1, rows->table.row_end, hash_whole, rows);
        kp_index_insert(&rows->whole, whole, id);
        return;
    }
    int64_t *stored = (int64_t *)((char *)kp_table_row(&rows->table, id) + rows->side->layout.bytes);
    *stored += weight;
    if (*stored)
        return;
    index_row(rows, id, hash, images, i, false);
    unlink_row(rows, id, hash);
    kp_index_remove(&rows->whole, whole, id);
    kp_table_free_row(&rows->table, id);
}

void kp_join_rows_add(struct kp_join_rows *rows, const struct kp_batch *batch, const uint64_t *hashes,
                      const uint64_t *whole, const int64_t *matches, const struct kp_session_settings *settings,
                      struct kp_arena *arena)
{
    struct kp_band_images images = images_of(rows, batch, settings, arena);
    const struct kp_vec **keys = kp_arena_alloc(arena, (rows->side->key_count + 1) * sizeof *keys);
    for (uint32_t k = 0; k < rows->side->key_count; k++)
        keys[k] = &batch->vecs[rows->side->key_columns[k]];
    if (!rows->side->growing) {
        for (uint32_t i = 0; i < batch->rows; i++)
            change_row(rows, batch, keys, i, hashes[i], whole[i], matches, &images);
        return;
    }
    for (uint32_t start = 0; start < batch->rows; start += FIND_BLOCK_ROWS) {
        uint32_t n = KP_MIN(batch->rows - start, (uint32_t)FIND_BLOCK_ROWS);
        uint32_t mask = rows->keys.bits ? (1u << rows->keys.bits) - 1 : 0;
        for (uint32_t i = start; rows->keys.entries && i < start + n; i++)
            __builtin_prefetch(&rows->keys.entries[(uint32_t)hashes[i] & mask]);
        for (uint32_t i = start; i < start + n; i++)
            for (int64_t copies = batch->weights ? batch->weights[i] : 1; copies > 0; copies--) {
                uint32_t head = find_head(rows, keys, hashes[i], i);
                uint32_t id = make_row(rows, batch, i, 1, matches);
                link_row(rows, id, head, hashes[i]);
                index_row(rows, id, hashes[i], &images, i, true);
            }
    }
}
