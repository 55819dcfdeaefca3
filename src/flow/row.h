/*
 * Rows in state: fixed slots of typed columns, NULL bits behind them, then a payload that the operator owns.
 *
 *   | header | columns, widest first | NULL bits | payload (8-aligned) |
 *
 * Text and big numerics of a stored row are owned copies; what a row lets go is freed only at the end of the step
 * (kp_heap_sweep), because batches given out may still point to it.
 *
 * Two notions of sameness: equal is SQL's (1.0 = 1.00), used for keys; identical means that PostgreSQL would print the
 * same text, used for whole rows in Z-sets. Identical rows are equal and so hash alike.
 */
#ifndef KP_FLOW_ROW_H
#define KP_FLOW_ROW_H

#include "vec/vec.h"

/* Memory outside the slots, counted; freed with a delay. One thread at a time. */
struct kp_heap {
    int64_t bytes;
    bool keeps; /* nothing is ever given back: growing state. Allocations are bumps of an arena. Set when empty */
    struct kp_arena arena;
    void **garbage;
    uint32_t garbage_count, garbage_cap;
};
void *kp_heap_alloc(struct kp_heap *heap, size_t bytes);
void kp_heap_drop(struct kp_heap *heap, void *memory, size_t bytes); /* freed by the next sweep */
void kp_heap_sweep(struct kp_heap *heap);
void kp_heap_finish(struct kp_heap *heap);

enum kp_row_kind { KP_ROW_FIXED, KP_ROW_TEXT, KP_ROW_NUMERIC, KP_ROW_OTHER }; /* FIXED: equal means equal bytes */

struct kp_row_col {
    struct kp_type type;
    uint32_t offset;
    uint8_t width;
    uint8_t kind; /* enum kp_row_kind */
};

struct kp_row_layout {
    uint32_t col_count;
    struct kp_row_col *cols;
    uint32_t nulls_offset;
    bool nulls;       /* false: NULLs are not stored (a table keeps its one NULL key apart) */
    bool out_of_line; /* some column may own memory */
    uint32_t bytes;   /* where the payload begins */
};

void kp_row_layout_init(struct kp_row_layout *layout, struct kp_arena *arena, const struct kp_type *types,
                        uint32_t count, bool nulls, uint32_t header_bytes);

static inline bool kp_row_is_null(const struct kp_row_layout *layout, const void *row, uint32_t col)
{
    return layout->nulls && (((const uint8_t *)row)[layout->nulls_offset + (col >> 3)] >> (col & 7) & 1);
}
/* Of a layout with NULL bits; what was there is forgotten, not freed. */
static inline void kp_row_set_null(const struct kp_row_layout *layout, void *row, uint32_t col)
{
    ((uint8_t *)row)[layout->nulls_offset + (col >> 3)] |= (uint8_t)(1u << (col & 7));
}
/* Writes a column from row i of a vector; what was there is forgotten, not freed. */
void kp_row_set(const struct kp_row_layout *layout, struct kp_heap *heap, void *row, uint32_t col,
                const struct kp_vec *vec, uint32_t i);
/* Gives the column's own memory back, for a column to be overwritten or a row to be dropped. */
void kp_row_unset(const struct kp_row_layout *layout, struct kp_heap *heap, void *row, uint32_t col);
void kp_row_unset_all(const struct kp_row_layout *layout, struct kp_heap *heap, void *row);
/* A column of n rows as a dense vector; strings are borrowed from the rows. A NULL row pointer gives NULL. */
void kp_rows_load(const struct kp_row_layout *layout, uint32_t col, const void *const *rows, uint32_t n,
                  struct kp_arena *arena, struct kp_vec *ret_vec);

bool kp_value_identical(enum kp_type_id type, const void *a, const void *b);
bool kp_row_equal_vecs(const struct kp_row_layout *layout, const void *row, uint32_t key_count,
                       const struct kp_vec *keys, uint32_t i);
bool kp_row_identical_vecs(const struct kp_row_layout *layout, const void *row, uint32_t col_count,
                           const struct kp_vec *vecs, uint32_t i);
/* Row i of one set of vectors against row k of another. */
bool kp_vecs_identical(const struct kp_vec *a, uint32_t i, const struct kp_vec *b, uint32_t k, uint32_t col_count);
/* A copy of all values of rows in arena, out of line parts too: for what must outlive its step. */
void kp_vec_copy_deep(struct kp_vec *vec, uint32_t rows, struct kp_arena *arena);

#endif
