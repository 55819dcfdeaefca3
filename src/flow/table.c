#include "flow/table.h"

#include "base/hash.h"

enum {
    INDEX_BITS_MIN = 4,
    CHUNK_BYTES = 8192, /* a first chunk is all that a shard with few keys takes */
    CHUNK_ROWS_MIN = 8,
    HASH_BLOCK_ROWS = 1024,
    PROBE_BLOCK_ROWS = 32 /* in flight at once: more than the processor has line fill buffers */
};

/* ---- index ---- */

static inline uint32_t index_capacity(const struct kp_index *index)
{
    return index->bits ? 1u << index->bits : 0;
}

static void index_put(struct kp_index *index, uint64_t hash, uint32_t id)
{
    uint32_t mask = index_capacity(index) - 1, at = (uint32_t)hash & mask;
    while (index->entries[at] != 0)
        at = (at + 1) & mask;
    index->entries[at] = kp_index_tag(hash, index->bits) | (id + 1);
    index->used++;
    index->live++;
}

static void index_rebuild(struct kp_index *index, uint32_t bits, kp_index_hash hash, const void *arg)
{
    struct kp_index old = *index;
    index->bits = bits;
    index->entries = kp_calloc((size_t)1 << bits, sizeof *index->entries);
    index->used = index->live = 0;
    uint32_t capacity = index_capacity(&old), id_mask = capacity - 1, n = 0;
    uint32_t ids[HASH_BLOCK_ROWS];
    uint64_t hashes[HASH_BLOCK_ROWS];
    for (uint32_t at = 0; at < capacity; at++) {
        uint32_t entry = old.entries[at];
        if (entry != 0 && entry != UINT32_MAX)
            ids[n++] = (entry & id_mask) - 1;
        if (n == HASH_BLOCK_ROWS || (at + 1 == capacity && n)) {
            hash(arg, ids, n, hashes);
            for (uint32_t i = 0; i < n; i++)
                index_put(index, hashes[i], ids[i]);
            n = 0;
        }
    }
    kp_free(old.entries);
}

void kp_index_reserve(struct kp_index *index, uint32_t more, uint32_t ids_end, kp_index_hash hash, const void *arg)
{
    uint64_t capacity = index_capacity(index), need = (uint64_t)index->used + more;
    if (capacity && need * 4 <= capacity * 3 && (uint64_t)ids_end + 2 < capacity)
        return;
    uint64_t live = (uint64_t)index->live + more;
    uint32_t bits = KP_MAX(index->bits, (uint32_t)INDEX_BITS_MIN);
    /* Below the limit of 3/4, or removals at a full index would rebuild it again and again. */
    while (live * 8 > ((uint64_t)1 << bits) * 5 || (uint64_t)ids_end + 2 >= (uint64_t)1 << bits)
        bits++;
    KP_ASSERT(bits < 32);
    index_rebuild(index, bits, hash, arg);
}

void kp_index_insert(struct kp_index *index, uint64_t hash, uint32_t id)
{
    index_put(index, hash, id);
}

static uint32_t *index_find(struct kp_index *index, uint64_t hash, uint32_t id)
{
    uint32_t mask = index_capacity(index) - 1, at = (uint32_t)hash & mask;
    uint32_t wanted = kp_index_tag(hash, index->bits) | (id + 1);
    while (index->entries[at] != wanted) {
        KP_ASSERT(index->entries[at] != 0);
        at = (at + 1) & mask;
    }
    return &index->entries[at];
}

void kp_index_remove(struct kp_index *index, uint64_t hash, uint32_t id)
{
    uint32_t *entry = index_find(index, hash, id);
    uint32_t mask = index_capacity(index) - 1, at = (uint32_t)(entry - index->entries);
    index->live--;
    if (index->entries[(at + 1) & mask] != 0) {
        *entry = UINT32_MAX;
        return;
    }
    /* The run ends here: this entry and removed ones before it become free. */
    do {
        index->entries[at] = 0;
        index->used--;
        at = (at - 1) & mask;
    } while (index->entries[at] == UINT32_MAX);
}

void kp_index_replace(struct kp_index *index, uint64_t hash, uint32_t id, uint32_t by)
{
    *index_find(index, hash, id) = kp_index_tag(hash, index->bits) | (by + 1);
}

void kp_index_finish(struct kp_index *index)
{
    kp_free(index->entries);
    *index = (struct kp_index){0};
}

/* ---- rows ---- */

void kp_table_init(struct kp_table *table, const struct kp_row_layout *layout, uint32_t key_count,
                   uint32_t payload_bytes, struct kp_budget *budget)
{
    *table = (struct kp_table){.layout = layout, .key_count = key_count, .budget = budget};
    table->row_bytes = KP_MAX((layout->bytes + payload_bytes + 7) & ~7u, 8u);
    table->free_head = table->null_row = KP_ROW_NONE;
    uint32_t rows = CHUNK_ROWS_MIN;
    while (rows * 2 * table->row_bytes <= CHUNK_BYTES) {
        rows *= 2;
        table->chunk_shift++;
    }
    table->chunk_shift += 3; /* log2 of CHUNK_ROWS_MIN */
    table->single_i64 = key_count == 1 && layout->cols[0].kind == KP_ROW_FIXED && layout->cols[0].width == 8;
}

void kp_table_finish(struct kp_table *table)
{
    if (!table->layout)
        return;
    if (table->layout->out_of_line && !table->heap.keeps) {
        uint32_t count, *ids = kp_table_ids(table, &count);
        for (uint32_t i = 0; i < count; i++)
            kp_row_unset_all(table->layout, &table->heap, kp_table_row(table, ids[i]));
        kp_free(ids);
    }
    for (uint32_t i = 0; i < table->chunk_count; i++)
        kp_free(table->chunks[i]);
    kp_free(table->chunks);
    kp_index_finish(&table->index);
    kp_heap_finish(&table->heap);
    if (table->budget)
        kp_budget_release(table->budget, table->charged_bytes);
    *table = (struct kp_table){0};
}

uint32_t kp_table_new_row(struct kp_table *table)
{
    uint32_t id = table->free_head;
    if (id != KP_ROW_NONE) {
        memcpy(&table->free_head, kp_table_row(table, id), sizeof table->free_head);
    } else {
        id = table->row_end++;
        KP_ASSERT(id < UINT32_MAX - 2);
        if (id >> table->chunk_shift == table->chunk_count) {
            if (table->chunk_count == table->chunk_cap) {
                table->chunk_cap = table->chunk_cap ? table->chunk_cap * 2 : 4;
                table->chunks = kp_realloc(table->chunks, table->chunk_cap * sizeof *table->chunks);
            }
            table->chunks[table->chunk_count++] = kp_alloc((size_t)table->row_bytes << table->chunk_shift);
        }
    }
    memset(kp_table_row(table, id), 0, table->row_bytes);
    table->live++;
    return id;
}

void kp_table_free_row(struct kp_table *table, uint32_t id)
{
    void *row = kp_table_row(table, id);
    kp_row_unset_all(table->layout, &table->heap, row);
    memcpy(row, &table->free_head, sizeof table->free_head);
    table->free_head = id;
    table->live--;
}

void kp_table_load(const struct kp_table *table, uint32_t col, const uint32_t *ids, uint32_t n, struct kp_arena *arena,
                   struct kp_vec *ret_vec)
{
    const void **rows = kp_arena_alloc(arena, n * sizeof *rows);
    for (uint32_t i = 0; i < n; i++)
        rows[i] = ids[i] == table->null_row ? NULL : kp_table_row(table, ids[i]);
    kp_rows_load(table->layout, col, rows, n, arena, ret_vec);
}

void kp_table_hashes(const struct kp_table *table, const uint32_t *ids, uint32_t n, uint64_t *ret_hashes)
{
    struct kp_arena arena = {0};
    memset(ret_hashes, 0, n * sizeof *ret_hashes);
    for (uint32_t c = 0; c < table->key_count; c++) {
        struct kp_vec vec;
        kp_table_load(table, c, ids, n, &arena, &vec);
        kp_vec_hash(&vec, n, ret_hashes, c == 0);
    }
    kp_arena_finish(&arena);
}

static void table_hash(const void *arg, const uint32_t *ids, uint32_t n, uint64_t *ret_hashes)
{
    kp_table_hashes(arg, ids, n, ret_hashes);
}

static inline bool key_equal(const struct kp_table *table, uint32_t id, const struct kp_vec *keys, uint32_t i)
{
    const void *row = kp_table_row(table, id);
    bool null = table->layout->nulls && table->single_i64 && kp_vec_is_null(&keys[0], i);
    if (table->single_i64 && !null) { /* of NULL the bytes are no value; whether the row's is NULL is seen below */
        uint64_t a, b;
        memcpy(&a, (const char *)row + table->layout->cols[0].offset, 8);
        memcpy(&b, (const char *)keys[0].data + (keys[0].constant ? 0 : (size_t)i) * 8, 8);
        if (!table->layout->nulls || a != b)
            return a == b;
    }
    if (table->identical)
        return kp_row_identical_vecs(table->layout, row, table->key_count, keys, i);
    return kp_row_equal_vecs(table->layout, row, table->key_count, keys, i);
}

static uint32_t make_row(struct kp_table *table, const struct kp_vec *keys, uint32_t i)
{
    uint32_t id = kp_table_new_row(table);
    void *row = kp_table_row(table, id);
    for (uint32_t c = 0; c < table->key_count; c++)
        kp_row_set(table->layout, &table->heap, row, c, &keys[c], i);
    return id;
}

/* Where a NULL key is kept apart. */
static uint32_t probe_null(struct kp_table *table, bool create, bool *ret_made)
{
    *ret_made = create && table->null_row == KP_ROW_NONE;
    if (*ret_made)
        table->null_row = kp_table_new_row(table);
    return table->null_row;
}

static uint32_t probe_one(struct kp_table *table, const struct kp_vec *keys, uint64_t hash, uint32_t i, bool create,
                          bool *ret_made)
{
    *ret_made = false;
    if (!table->layout->nulls && table->key_count == 1 && kp_vec_is_null(&keys[0], i))
        return probe_null(table, create, ret_made);
    struct kp_index_cursor cursor;
    kp_index_begin(&table->index, hash, &cursor);
    for (uint32_t id; (id = kp_index_next(&cursor)) != KP_ROW_NONE;)
        if (key_equal(table, id, keys, i))
            return id;
    if (!create)
        return KP_ROW_NONE;
    *ret_made = true;
    uint32_t id = make_row(table, keys, i);
    kp_index_reserve(&table->index, 1, table->row_end, table_hash, table);
    kp_index_insert(&table->index, hash, id);
    return id;
}

/* Three passes over a block keep many cache misses in flight: the index, then the rows, then the comparison. */
void kp_table_probe(struct kp_table *table, const struct kp_vec *keys, const uint64_t *hashes, uint32_t n, bool create,
                    uint32_t *ret_ids, uint32_t *new_rows, uint32_t *ret_new_count)
{
    uint32_t made_count = 0;
    for (uint32_t start = 0; start < n; start += PROBE_BLOCK_ROWS) {
        uint32_t end = KP_MIN(start + PROBE_BLOCK_ROWS, n);
        if (table->index.entries && n > 1) {
            uint32_t mask = index_capacity(&table->index) - 1;
            for (uint32_t i = start; i < end; i++)
                __builtin_prefetch(&table->index.entries[(uint32_t)hashes[i] & mask]);
            for (uint32_t i = start; i < end; i++) {
                struct kp_index_cursor cursor;
                kp_index_begin(&table->index, hashes[i], &cursor);
                uint32_t id = kp_index_next(&cursor);
                if (id != KP_ROW_NONE)
                    __builtin_prefetch(kp_table_row(table, id));
            }
        }
        for (uint32_t i = start; i < end; i++) {
            bool made;
            ret_ids[i] = probe_one(table, keys, hashes[i], i, create, &made);
            if (made && new_rows)
                new_rows[made_count] = i;
            made_count += made;
        }
    }
    if (ret_new_count)
        *ret_new_count = made_count;
}

void kp_table_remove(struct kp_table *table, uint32_t id, uint64_t hash)
{
    if (id == table->null_row)
        table->null_row = KP_ROW_NONE;
    else
        kp_index_remove(&table->index, hash, id);
    kp_table_free_row(table, id);
}

uint32_t *kp_table_ids(const struct kp_table *table, uint32_t *ret_count)
{
    uint32_t *ids = kp_alloc(((size_t)table->live + 1) * sizeof *ids), n = 0;
    uint32_t capacity = index_capacity(&table->index);
    for (uint32_t at = 0; at < capacity; at++) {
        uint32_t entry = table->index.entries[at];
        if (entry != 0 && entry != UINT32_MAX)
            ids[n++] = (entry & (capacity - 1)) - 1;
    }
    if (table->null_row != KP_ROW_NONE)
        ids[n++] = table->null_row;
    *ret_count = n;
    return ids;
}

int64_t kp_table_bytes(const struct kp_table *table)
{
    return (int64_t)table->chunk_count * ((int64_t)table->row_bytes << table->chunk_shift) + table->heap.bytes +
           (int64_t)index_capacity(&table->index) * (int64_t)sizeof(uint32_t) +
           (int64_t)table->chunk_cap * (int64_t)sizeof(void *);
}

enum kp_code kp_table_settle(struct kp_table *table, int64_t more_bytes, struct kp_error *err)
{
    int64_t bytes = kp_table_bytes(table) + more_bytes;
    if (!table->budget || bytes == table->charged_bytes)
        return KP_OK;
    KP_TRY(kp_budget_charge(table->budget, bytes - table->charged_bytes, err));
    table->charged_bytes = bytes;
    return KP_OK;
}
