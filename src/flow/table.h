/*
 * kp_table: keyed state. Dense rows in chunks (their addresses never change) and, apart, an index of four bytes an
 * entry.
 *
 *   index entry (32 bits):   | tag: more of the hash | row number + 1 : log2(capacity) bits |     0: free, ~0: was used
 *
 * The row number needs exactly as many bits as the index's size has, so all others hold a tag, and a probe touches a
 * row only when the tag agrees. A count by bigint takes 16 bytes of row and about 4 / 0.56 of index.
 *
 * Invariants: 1. a live row is in every index of its table exactly once, or is the table's NULL row; 2. capacity is at
 * least 4/3 of the used entries, and greater than any row number + 2; 3. rows' addresses are stable until the row is
 * removed.
 *
 * A table belongs to one shard: one thread at a time.
 */
#ifndef KP_FLOW_TABLE_H
#define KP_FLOW_TABLE_H

#include "flow/row.h"

enum { KP_ROW_NONE = UINT32_MAX };

struct kp_index {
    uint32_t *entries;
    uint32_t bits; /* log2 of the capacity; 0: no memory yet */
    uint32_t used; /* entries not free, removed ones included */
    uint32_t live;
};

struct kp_table {
    const struct kp_row_layout *layout; /* the first key_count columns are the key */
    uint32_t key_count, row_bytes, chunk_shift;
    uint8_t **chunks;
    uint32_t chunk_count, chunk_cap;
    uint32_t row_end;   /* rows ever made */
    uint32_t free_head; /* removed rows, chained through their first four bytes */
    uint32_t live;
    uint32_t null_row; /* of a layout without NULL bits: the row of the NULL key; KP_ROW_NONE: none */
    bool single_i64;   /* the key is one column of eight plain bytes */
    bool identical;    /* keys must be identical, not only equal: whole rows. Set after init */
    struct kp_index index;
    struct kp_heap heap;
    struct kp_budget *budget;
    int64_t charged_bytes;
};

/* The layout outlives the table. Payload is zeroed in new rows. No memory is taken before the first row. */
void kp_table_init(struct kp_table *table, const struct kp_row_layout *layout, uint32_t key_count,
                   uint32_t payload_bytes, struct kp_budget *budget);
/* Frees all; what payloads own is the caller's to free before. */
void kp_table_finish(struct kp_table *table);

static inline void *kp_table_row(const struct kp_table *table, uint32_t id)
{
    return table->chunks[id >> table->chunk_shift] + (size_t)(id & ((1u << table->chunk_shift) - 1)) * table->row_bytes;
}
static inline void *kp_table_payload(const struct kp_table *table, void *row)
{
    return (char *)row + table->layout->bytes;
}

/*
 * For each of n rows of key vectors: the number of the row with equal keys. Where there is none: KP_ROW_NONE or, with
 * `create`, a new row with the key stored; new_rows then collects the i of rows made (room for n; NULL: not wanted).
 */
void kp_table_probe(struct kp_table *table, const struct kp_vec *keys, const uint64_t *hashes, uint32_t n, bool create,
                    uint32_t *ret_ids, uint32_t *new_rows, uint32_t *ret_new_count);
/* Takes the row out of the index and frees its columns; its payload must own nothing. */
void kp_table_remove(struct kp_table *table, uint32_t id, uint64_t hash);
/* All live rows' numbers, the caller's to kp_free. */
uint32_t *kp_table_ids(const struct kp_table *table, uint32_t *ret_count);
/* Key (or any) column of rows as a vector. */
void kp_table_load(const struct kp_table *table, uint32_t col, const uint32_t *ids, uint32_t n, struct kp_arena *arena,
                   struct kp_vec *ret_vec);
/* Hashes of the rows' keys, as kp_vec_hash over the key columns gives them. */
void kp_table_hashes(const struct kp_table *table, const uint32_t *ids, uint32_t n, uint64_t *ret_hashes);
int64_t kp_table_bytes(const struct kp_table *table);
/* Charges what has been taken since the last call to the budget. */
KP_MUST enum kp_code kp_table_settle(struct kp_table *table, int64_t more_bytes, struct kp_error *err);

/* ---- for tables with their own second index or none: rows without keys ---- */
uint32_t kp_table_new_row(struct kp_table *table);           /* zeroed; in no index */
void kp_table_free_row(struct kp_table *table, uint32_t id); /* frees columns; in no index any more */

/* ---- indexes ---- */
typedef void (*kp_index_hash)(const void *arg, const uint32_t *ids, uint32_t n, uint64_t *ret_hashes);
/* Makes room for `more` entries; hashes of those there are asked for when it grows. ids_end: greater than any row
 * number. */
void kp_index_reserve(struct kp_index *index, uint32_t more, uint32_t ids_end, kp_index_hash hash, const void *arg);
void kp_index_insert(struct kp_index *index, uint64_t hash, uint32_t id);
void kp_index_remove(struct kp_index *index, uint64_t hash, uint32_t id);
void kp_index_replace(struct kp_index *index, uint64_t hash, uint32_t id, uint32_t by);
void kp_index_finish(struct kp_index *index);

/* Walks the row numbers whose tags agree: start with kp_index_begin, ends with KP_ROW_NONE. */
struct kp_index_cursor {
    const uint32_t *entries;
    uint32_t at, mask, id_mask, tag;
};
static inline uint32_t kp_index_tag(uint64_t hash, uint32_t bits)
{
    return (uint32_t)(hash >> 32) << bits;
}
static inline void kp_index_begin(const struct kp_index *index, uint64_t hash, struct kp_index_cursor *ret_cursor)
{
    ret_cursor->entries = index->entries;
    ret_cursor->mask = ret_cursor->id_mask = (uint32_t)(((uint64_t)1 << index->bits) - 1);
    ret_cursor->at = (uint32_t)hash & ret_cursor->mask;
    ret_cursor->tag = kp_index_tag(hash, index->bits);
}
static inline uint32_t kp_index_next(struct kp_index_cursor *cursor)
{
    if (!cursor->entries)
        return KP_ROW_NONE;
    for (;;) {
        uint32_t entry = cursor->entries[cursor->at];
        if (entry == 0)
            return KP_ROW_NONE;
        cursor->at = (cursor->at + 1) & cursor->mask;
        if ((entry & ~cursor->id_mask) == cursor->tag && entry != UINT32_MAX)
            return (entry & cursor->id_mask) - 1;
    }
}

#endif
