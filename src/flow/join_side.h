/*
 * One side of a join: its rows, found by join key.
 *
 *   row:  | next, prev: row numbers in the chain of its key | columns | weight | matches |
 *
 * An index leads from a key to the head of the chain of rows with that key; new rows go in behind the head. A side
 * whose rows can be taken away keeps a weight per row and a second index by whole row, so that a row is found at once
 * however long its chain is; a growing side has neither: a row that comes n times is there n times. `matches` (outer,
 * semi and anti joins) is the sum of the weights of the other side's rows that the row matches.
 *
 * Where the join's condition says how values of the two sides lie to each other (join_band.h) and many rows were met in
 * vain, the rows of the side get an index by these values too.
 */
#ifndef KP_FLOW_JOIN_SIDE_H
#define KP_FLOW_JOIN_SIDE_H

#include "flow/join_band.h"
#include "flow/ordered.h"
#include "flow/table.h"

struct kp_join_side {
    struct kp_row_layout layout; /* of all columns: the input's, then keys that are not among them */
    uint32_t key_count, *key_columns;
    bool *key_nulls; /* keys of which NULL equals NULL */
    bool growing, counts_matches;
    bool frees; /* of a growing side: rows go by their time (kp_join_rows_forget) */
    uint32_t time_column;
    uint32_t payload_bytes;
    const struct kp_band_side *band; /* what orders the rows; NULL: nothing */
};

/* The rows by the values that the condition bounds. */
struct kp_join_index {
    bool built;
    uint64_t vain; /* rows met that did not match, while there was no index */
    struct kp_band rows, odd;
};

/* A shard's part of a side. */
struct kp_join_rows {
    const struct kp_join_side *side;
    struct kp_table table;
    struct kp_index keys, whole;
    struct kp_ordered by_time; /* of a side that frees: (time, row) */
    struct kp_join_index index;
};

void kp_join_rows_init(struct kp_join_rows *rows, const struct kp_join_side *side, struct kp_budget *budget);
void kp_join_rows_finish(struct kp_join_rows *rows);
/* Bytes beside the table's own. */
int64_t kp_join_rows_more_bytes(const struct kp_join_rows *rows);

/* For each of n rows with these key vectors the first row with equal keys, KP_ROW_NONE if there is none. */
void kp_join_rows_find(const struct kp_join_rows *rows, const struct kp_vec *const *keys, const uint64_t *hashes,
                       uint32_t n, uint32_t *ret_heads);
/*
 * Adds rows of a batch (columns as in the layout) with their weights. `whole` are hashes of the whole rows (of a
 * growing side not read), matches[i] what row i matches now (NULL: not counted).
 */
void kp_join_rows_add(struct kp_join_rows *rows, const struct kp_batch *batch, const uint64_t *hashes,
                      const uint64_t *whole, const int64_t *matches, const struct kp_session_settings *settings,
                      struct kp_arena *arena);
/* Makes the index of what is there; later changes keep it. */
void kp_join_rows_build(struct kp_join_rows *rows, const struct kp_session_settings *settings);
/* A row of the batch's key against a row's. */
bool kp_join_rows_key_equal(const struct kp_join_rows *rows, uint32_t id, const struct kp_vec *const *keys, uint32_t i);
static inline uint32_t kp_join_group(uint64_t hash)
{
    return (uint32_t)(hash >> 24);
}
/* Lets go of rows whose time is at or before limit_us. */
void kp_join_rows_forget(struct kp_join_rows *rows, int64_t limit_us, const struct kp_session_settings *settings);
/* The least time of a row that may be let go; INT64_MAX: none. */
int64_t kp_join_rows_first_us(const struct kp_join_rows *rows);
/* All rows' numbers, the caller's to kp_free. */
uint32_t *kp_join_rows_all(const struct kp_join_rows *rows, uint32_t *ret_count);

static inline uint32_t kp_join_next(const struct kp_join_rows *rows, uint32_t id)
{
    return *(const uint32_t *)kp_table_row(&rows->table, id) - 1; /* stored + 1: 0 is none */
}
static inline int64_t kp_join_weight(const struct kp_join_rows *rows, const void *row)
{
    return rows->side->growing ? 1 : *(const int64_t *)((const char *)row + rows->side->layout.bytes);
}
static inline int64_t *kp_join_matches(const struct kp_join_rows *rows, void *row)
{
    return (int64_t *)((char *)row + rows->side->layout.bytes + (rows->side->growing ? 0 : sizeof(int64_t)));
}

#endif
