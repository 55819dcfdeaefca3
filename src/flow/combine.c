/*
 * A small table without chains, from a row's hash to the place of the last row of the result that hashed there. A row
 * that finds its like there adds its weight to it; another takes the place over. So the table stays in the first cache
 * and hot keys, which come again soon, meet almost always.
 *
 * The first rows are a sample: if most of them are alone, the batch is left as it is.
 */
#include "flow/combine.h"

enum { ROWS_MIN = 256, CELLS_MAX = 8192, SAMPLE_ROWS = 1024 };

bool kp_combine_possible(const struct kp_row_layout *layout, uint32_t key_count)
{
    for (uint32_t k = 0; k < key_count; k++)
        if (layout->cols[k].kind != KP_ROW_FIXED && layout->cols[k].kind != KP_ROW_TEXT)
            return false;
    return true;
}

static bool same_value(const struct kp_row_col *col, const struct kp_vec *vec, uint32_t a, uint32_t b)
{
    if (vec->constant)
        return true;
    if (vec->valid) {
        bool null = kp_vec_is_null(vec, a);
        if (null != kp_vec_is_null(vec, b))
            return false;
        if (null)
            return true;
    }
    if (col->kind == KP_ROW_TEXT)
        return kp_text_equal((const struct kp_text *)vec->data + a, (const struct kp_text *)vec->data + b);
    if (col->width == 8)
        return ((const int64_t *)vec->data)[a] == ((const int64_t *)vec->data)[b];
    const uint8_t *data = vec->data;
    return memcmp(data + (size_t)a * col->width, data + (size_t)b * col->width, col->width) == 0;
}

static inline bool same_row(const struct kp_row_layout *layout, const struct kp_batch *batch, uint32_t key_count,
                            uint32_t a, uint32_t b)
{
    for (uint32_t k = 0; k < key_count; k++)
        if (!same_value(&layout->cols[k], &batch->vecs[k], a, b))
            return false;
    return true;
}

struct kp_batch *kp_combine(struct kp_batch *batch, const uint64_t **hashes, const struct kp_row_layout *layout,
                            uint32_t key_count, struct kp_arena *arena)
{
    uint32_t rows = batch->rows, count = 0, mask = CELLS_MAX - 1;
    if (rows < ROWS_MIN)
        return batch;
    while (mask > 2 * rows)
        mask >>= 1;
    uint32_t cells[CELLS_MAX]; /* place in index + 1 */
    memset(cells, 0, (mask + 1) * sizeof *cells);
    uint32_t *index = kp_arena_alloc(arena, rows * sizeof *index);
    int64_t *weights = kp_arena_alloc(arena, rows * sizeof *weights);
    const uint64_t *all = *hashes;
    for (uint32_t row = 0; row < rows; row++) {
        if (row == SAMPLE_ROWS && count > SAMPLE_ROWS * 3 / 4)
            return batch;
        int64_t weight = batch->weights ? batch->weights[row] : 1;
        uint32_t *cell = &cells[(uint32_t)(all[row] >> 20) & mask];
        if (*cell && all[index[*cell - 1]] == all[row] && same_row(layout, batch, key_count, index[*cell - 1], row)) {
            weights[*cell - 1] += weight;
            continue;
        }
        index[count] = row;
        weights[count++] = weight;
        *cell = count;
    }
    if (batch->weights) { /* what has cancelled itself changes nothing */
        uint32_t left = 0;
        for (uint32_t i = 0; i < count; i++) {
            index[left] = index[i];
            weights[left] = weights[i];
            left += weights[i] != 0;
        }
        count = left;
    }
    uint64_t *some = kp_arena_alloc(arena, count * sizeof *some);
    for (uint32_t i = 0; i < count; i++)
        some[i] = all[index[i]];
    *hashes = some;
    struct kp_batch bare = *batch;
    bare.weights = NULL;
    struct kp_batch *combined = kp_batch_gather(&bare, index, count, arena);
    combined->weights = weights;
    return combined;
}
