/*
 * Reading rows at a snapshot, page by page: first which slots are alive (two loads a slot), then column by column a
 * gather of those into the reader's arena. Look-ups walk the key index. No locks: view/rows.h says why that is safe.
 */
#include "view/key_index.h"
#include "view/store.h"

uint32_t kp_rows_page_count(const struct kp_rows *rows)
{
    uint32_t slots = atomic_load_explicit(&rows->slots, memory_order_acquire);
    if (!slots)
        return 0;
    uint32_t page, row;
    kp_slot_split(slots - 1, &page, &row);
    return page + 1;
}

static void gather_extra(const struct kp_page_column *from, enum kp_type_id type, const uint32_t *rows, uint32_t n,
                         struct kp_vec *to, struct kp_arena *arena)
{
    size_t extra = 0;
    for (uint32_t i = 0; i < n; i++)
        extra += kp_identity_extra_bytes(type, from->data + (size_t)rows[i] * 16);
    uint8_t *memory = extra ? kp_arena_alloc(arena, extra) : NULL;
    uint8_t *out = to->data;
    for (uint32_t i = 0; i < n; i++)
        kp_identity_copy(type, from->data + (size_t)rows[i] * 16, out + (size_t)i * 16, &memory);
}

/* Stored NULLs have zeros as their value, so that they can be copied like any other. */
static void gather_column(const struct kp_page *page, uint32_t col, struct kp_type type, const uint32_t *rows,
                          uint32_t n, struct kp_vec *to, struct kp_arena *arena)
{
    const struct kp_page_column *from = &page->cols[col];
    const uint8_t *null = atomic_load_explicit(&from->null, memory_order_acquire);
    if (kp_identity_has_extra(type.id)) {
        kp_vec_init(to, arena, type, n);
        gather_extra(from, type.id, rows, n, to, arena);
    } else {
        struct kp_vec whole = {.type = type, .data = from->data};
        kp_vec_gather(&whole, rows, n, arena, to);
    }
    for (uint32_t i = 0; null && i < n; i++)
        if (null[rows[i]]) {
            kp_vec_need_valid(to, arena, n);
            kp_vec_set_null(to, i);
        }
}

static struct kp_batch *gather_rows(const struct kp_rows *rows, const struct kp_page *page, const uint32_t *at,
                                    uint32_t n, const uint32_t *columns, uint32_t column_count, struct kp_arena *arena)
{
    struct kp_batch *batch = kp_batch_create(arena, column_count, n);
    for (uint32_t c = 0; c < column_count; c++)
        gather_column(page, columns[c], rows->cols[columns[c]].type, at, n, &batch->vecs[c], arena);
    const int64_t *all = atomic_load_explicit(&page->multiplicity, memory_order_acquire);
    int64_t *weights = NULL;
    for (uint32_t i = 0; all && i < n; i++) {
        if (all[at[i]] == 1)
            continue;
        if (!weights) {
            batch->weights = weights = kp_arena_alloc(arena, n * sizeof *weights);
            for (uint32_t k = 0; k < n; k++)
                weights[k] = 1;
        }
        weights[i] = all[at[i]];
    }
    return batch;
}

struct kp_batch *kp_page_scan(const struct kp_rows *rows, uint32_t number, int64_t position, const uint32_t *columns,
                              uint32_t column_count, struct kp_arena *arena)
{
    const struct kp_page *page = kp_rows_page(rows, number);
    uint32_t alive[KP_PAGE_ROWS_MAX];
    uint32_t n = 0;
    for (uint32_t row = 0; row < page->rows; row++) {
        alive[n] = row;
        n += kp_page_alive(page, row, position);
    }
    return n ? gather_rows(rows, page, alive, n, columns, column_count, arena) : NULL;
}

static void check_columns(const struct kp_store *store, const uint32_t *columns, uint32_t column_count)
{
    for (uint32_t c = 0; c < column_count; c++)
        KP_ASSERT(columns[c] < store->col_count);
}

enum kp_code kp_store_scan(struct kp_store *store, const struct kp_snapshot *snapshot, const uint32_t *columns,
                           uint32_t column_count, struct kp_arena *arena, kp_store_emit emit, void *arg,
                           struct kp_error *err)
{
    check_columns(store, columns, column_count);
    KP_TRY(kp_store_readable(store, snapshot->position, err));
    uint32_t pages = kp_rows_page_count(&store->rows);
    for (uint32_t page = 0; page < pages; page++) {
        struct kp_batch *batch = kp_page_scan(&store->rows, page, snapshot->position, columns, column_count, arena);
        if (batch)
            KP_TRY(emit(arg, batch, err));
    }
    return KP_OK;
}

static bool key_matches(const struct kp_store *store, const struct kp_page *page, uint32_t row,
                        const struct kp_datum *key)
{
    for (uint32_t k = 0; k < store->key_count; k++) {
        uint32_t col = store->keys[k];
        bool is_null = kp_page_is_null(page, col, row);
        if (is_null != key[k].null)
            return false;
        if (!is_null && !kp_value_equal(store->cols[col].type.id,
                                        page->cols[col].data + (size_t)row * store->rows.widths[col], key[k].raw))
            return false;
    }
    return true;
}

static uint32_t hash_key(const struct kp_store *store, const struct kp_datum *key, struct kp_arena *arena)
{
    uint64_t hash = 0;
    for (uint32_t k = 0; k < store->key_count; k++) {
        struct kp_vec vec;
        struct kp_datum datum = key[k];
        KP_ASSERT(datum.type.id == store->cols[store->keys[k]].type.id);
        kp_vec_init_constant(&vec, arena, &datum);
        kp_vec_hash(&vec, 1, &hash, k == 0);
    }
    return (uint32_t)(hash >> 32);
}

/* The version of the key's row that is alive at the position: page and row; false if there is none. */
static bool find_key(struct kp_store *store, int64_t position, const struct kp_datum *key, struct kp_arena *arena,
                     struct kp_page **ret_page, uint32_t *ret_row)
{
    uint32_t hash = hash_key(store, key, arena), reader, at;
    const struct kp_rows *rows = &store->rows;
    const struct kp_key_index *index = kp_key_enter(rows, &reader);
    for (at = kp_key_first(index, hash); at; at = kp_key_next(index, at - 1)) {
        *ret_page = kp_rows_at(rows, at - 1, ret_row);
        if (kp_page_alive(*ret_page, *ret_row, position) && (*ret_page)->key_hash[*ret_row] == hash &&
            key_matches(store, *ret_page, *ret_row, key))
            break;
    }
    kp_key_leave(rows, reader); /* the version found is held by the snapshot */
    return at != 0;
}

enum kp_code kp_store_lookup(struct kp_store *store, const struct kp_snapshot *snapshot, const struct kp_datum *key,
                             const uint32_t *columns, uint32_t column_count, struct kp_arena *arena,
                             struct kp_batch **ret_batch, struct kp_error *err)
{
    KP_ASSERT(store->key_count);
    check_columns(store, columns, column_count);
    KP_TRY(kp_store_readable(store, snapshot->position, err));
    struct kp_page *page;
    uint32_t row;
    bool found = find_key(store, snapshot->position, key, arena, &page, &row);
    *ret_batch = found ? gather_rows(&store->rows, page, &row, 1, columns, column_count, arena) : NULL;
    return KP_OK;
}

enum kp_code kp_store_key_state(struct kp_store *store, const struct kp_snapshot *snapshot, const struct kp_datum *key,
                                int64_t since, enum kp_store_key_state *ret_state, struct kp_error *err)
{
    KP_ASSERT(store->key_count);
    KP_TRY(kp_store_readable(store, snapshot->position, err));
    struct kp_arena arena = {0};
    struct kp_page *page;
    uint32_t row;
    bool found = find_key(store, snapshot->position, key, &arena, &page, &row);
    *ret_state = !found ? KP_KEY_MISSING : kp_page_alive(page, row, since) ? KP_KEY_SAME : KP_KEY_CHANGED;
    kp_arena_finish(&arena);
    return KP_OK;
}
