/* Vectors and batches: making, gathering, scattering. */
#include "vec/vec.h"

static size_t bitmap_words(uint32_t rows)
{
    return ((size_t)rows + 63) / 64;
}

void kp_vec_init(struct kp_vec *vec, struct kp_arena *arena, struct kp_type type, uint32_t rows)
{
    const struct kp_type_info *info = kp_type_info(type.id);
    size_t bytes = (size_t)info->bytes * rows;
    *vec = (struct kp_vec){.type = type};
    vec->data = info->string || type.id == KP_NUMERIC ? kp_arena_calloc(arena, bytes) : kp_arena_alloc(arena, bytes);
}

void kp_vec_need_valid(struct kp_vec *vec, struct kp_arena *arena, uint32_t rows)
{
    if (vec->valid)
        return;
    size_t bytes = bitmap_words(rows ? rows : 1) * sizeof *vec->valid;
    vec->valid = kp_arena_alloc(arena, bytes);
    memset(vec->valid, 0xff, bytes);
}

void kp_vec_init_constant(struct kp_vec *vec, struct kp_arena *arena, const struct kp_datum *datum)
{
    *vec = (struct kp_vec){.type = datum->type, .constant = true};
    vec->data = kp_arena_calloc(arena, 16);
    if (datum->null) {
        kp_vec_need_valid(vec, arena, 1);
        kp_vec_set_null(vec, 0);
    } else {
        memcpy(vec->data, datum->raw, kp_vec_width(vec));
    }
}

static void fill(void *restrict to, const void *restrict value, size_t width, uint32_t rows)
{
    switch (width) {
    case 1:
        memset(to, *(const uint8_t *)value, rows);
        break;
    case 2:
        for (uint32_t i = 0; i < rows; i++)
            ((uint16_t *)to)[i] = *(const uint16_t *)value;
        break;
    case 4:
        for (uint32_t i = 0; i < rows; i++)
            ((uint32_t *)to)[i] = *(const uint32_t *)value;
        break;
    case 8:
        for (uint32_t i = 0; i < rows; i++)
            ((uint64_t *)to)[i] = *(const uint64_t *)value;
        break;
    default:
        for (uint32_t i = 0; i < rows; i++)
            memcpy((char *)to + (size_t)i * width, value, width);
    }
}

struct kp_vec kp_vec_flatten(const struct kp_vec *vec, struct kp_arena *arena, uint32_t rows)
{
    if (!vec->constant)
        return *vec;
    struct kp_vec flat = {.type = vec->type};
    size_t width = kp_vec_width(vec);
    flat.data = kp_arena_alloc(arena, width * rows);
    fill(flat.data, vec->data, width, rows);
    if (kp_vec_is_null(vec, 0)) {
        size_t bytes = bitmap_words(rows) * sizeof *flat.valid;
        flat.valid = kp_arena_calloc(arena, bytes ? bytes : sizeof *flat.valid);
    }
    return flat;
}

/* A value of 16 bytes, moved as two words. */
struct pair {
    uint64_t low, high;
};

static void gather(void *restrict to, const void *restrict from, const uint32_t *restrict index, uint32_t n,
                   size_t width)
{
    switch (width) {
    case 1:
        for (uint32_t i = 0; i < n; i++)
            ((uint8_t *)to)[i] = ((const uint8_t *)from)[index[i]];
        break;
    case 2:
        for (uint32_t i = 0; i < n; i++)
            ((uint16_t *)to)[i] = ((const uint16_t *)from)[index[i]];
        break;
    case 4:
        for (uint32_t i = 0; i < n; i++)
            ((uint32_t *)to)[i] = ((const uint32_t *)from)[index[i]];
        break;
    case 8:
        for (uint32_t i = 0; i < n; i++)
            ((uint64_t *)to)[i] = ((const uint64_t *)from)[index[i]];
        break;
    default:
        KP_ASSERT(width == sizeof(struct pair));
        for (uint32_t i = 0; i < n; i++)
            ((struct pair *)to)[i] = ((const struct pair *)from)[index[i]];
    }
}

void kp_vec_gather(const struct kp_vec *vec, const uint32_t *index, uint32_t n, struct kp_arena *arena,
                   struct kp_vec *ret_vec)
{
    if (vec->constant) {
        *ret_vec = *vec;
        return;
    }
    size_t width = kp_vec_width(vec);
    struct kp_vec to = {.type = vec->type};
    to.data = kp_arena_alloc(arena, width * n);
    gather(to.data, vec->data, index, n, width);
    if (vec->valid) {
        to.valid = kp_arena_calloc(arena, (bitmap_words(n) + 1) * sizeof *to.valid);
        for (uint32_t i = 0; i < n; i++)
            to.valid[i >> 6] |= (vec->valid[index[i] >> 6] >> (index[i] & 63) & 1) << (i & 63);
    }
    *ret_vec = to;
}

static void scatter(void *restrict to, const void *restrict from, size_t stride, const uint32_t *restrict index,
                    uint32_t n, size_t width)
{
    switch (width) {
    case 1:
        for (uint32_t i = 0; i < n; i++)
            ((uint8_t *)to)[index[i]] = ((const uint8_t *)from)[i * stride];
        break;
    case 2:
        for (uint32_t i = 0; i < n; i++)
            ((uint16_t *)to)[index[i]] = ((const uint16_t *)from)[i * stride];
        break;
    case 4:
        for (uint32_t i = 0; i < n; i++)
            ((uint32_t *)to)[index[i]] = ((const uint32_t *)from)[i * stride];
        break;
    case 8:
        for (uint32_t i = 0; i < n; i++)
            ((uint64_t *)to)[index[i]] = ((const uint64_t *)from)[i * stride];
        break;
    default:
        KP_ASSERT(width == sizeof(struct pair));
        for (uint32_t i = 0; i < n; i++)
            ((struct pair *)to)[index[i]] = ((const struct pair *)from)[i * stride];
    }
}

void kp_vec_scatter(struct kp_vec *to, uint32_t to_rows, const struct kp_vec *from, const uint32_t *index, uint32_t n,
                    struct kp_arena *arena)
{
    KP_ASSERT(!to->constant && kp_vec_width(to) == kp_vec_width(from));
    scatter(to->data, from->data, from->constant ? 0 : 1, index, n, kp_vec_width(to));
    if (from->valid)
        kp_vec_need_valid(to, arena, to_rows);
    if (!to->valid)
        return;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t bit = (uint64_t)1 << (index[i] & 63);
        if (kp_vec_is_null(from, i))
            to->valid[index[i] >> 6] &= ~bit;
        else
            to->valid[index[i] >> 6] |= bit;
    }
}

void kp_vec_get(const struct kp_vec *vec, uint32_t row, struct kp_datum *ret_datum)
{
    memset(ret_datum, 0, sizeof *ret_datum);
    ret_datum->type = vec->type;
    ret_datum->null = kp_vec_is_null(vec, row);
    if (!ret_datum->null)
        memcpy(ret_datum->raw, kp_vec_at(vec, row), kp_vec_width(vec));
}

struct kp_batch *kp_batch_create(struct kp_arena *arena, uint32_t cols, uint32_t rows)
{
    struct kp_batch *batch = kp_arena_calloc(arena, sizeof *batch);
    batch->rows = rows;
    batch->cols = cols;
    batch->vecs = kp_arena_calloc(arena, (size_t)(cols ? cols : 1) * sizeof *batch->vecs);
    return batch;
}

struct kp_batch *kp_batch_gather(const struct kp_batch *batch, const uint32_t *index, uint32_t n,
                                 struct kp_arena *arena)
{
    struct kp_batch *to = kp_batch_create(arena, batch->cols, n);
    for (uint32_t c = 0; c < batch->cols; c++)
        kp_vec_gather(&batch->vecs[c], index, n, arena, &to->vecs[c]);
    if (batch->weights) {
        int64_t *weights = kp_arena_alloc(arena, n * sizeof *weights);
        for (uint32_t i = 0; i < n; i++)
            weights[i] = batch->weights[index[i]];
        to->weights = weights;
    }
    return to;
}

/* Copies a vector's values and NULLs to row `at` of another. */
static void append_vec(struct kp_vec *to, uint32_t to_rows, uint32_t at, const struct kp_vec *from, uint32_t rows,
                       struct kp_arena *arena)
{
    size_t width = kp_vec_width(to);
    if (!from->constant)
        memcpy((char *)to->data + at * width, from->data, rows * width);
    for (uint32_t i = 0; from->constant && i < rows; i++)
        memcpy((char *)to->data + (at + i) * width, from->data, width);
    if (!from->valid)
        return;
    kp_vec_need_valid(to, arena, to_rows);
    for (uint32_t i = 0; i < rows; i++)
        if (kp_vec_is_null(from, i))
            kp_vec_set_null(to, at + i);
}

struct kp_batch *kp_batch_concat_all(struct kp_batch *const *batches, size_t count, struct kp_arena *arena)
{
    uint64_t rows = 0;
    bool weighted = false;
    for (size_t i = 0; i < count; i++) {
        rows += batches[i]->rows;
        weighted |= batches[i]->weights != NULL;
    }
    if (rows == 0)
        return NULL;
    KP_ASSERT(rows <= UINT32_MAX);
    struct kp_batch *all = kp_batch_create(arena, batches[0]->cols, (uint32_t)rows);
    int64_t *weights = weighted ? kp_arena_alloc(arena, rows * sizeof *weights) : NULL;
    for (uint32_t c = 0; c < all->cols; c++)
        kp_vec_init(&all->vecs[c], arena, batches[0]->vecs[c].type, (uint32_t)rows);
    uint32_t at = 0;
    for (size_t i = 0; i < count; i++) {
        const struct kp_batch *batch = batches[i];
        for (uint32_t c = 0; c < all->cols; c++)
            append_vec(&all->vecs[c], all->rows, at, &batch->vecs[c], batch->rows, arena);
        for (uint32_t r = 0; weighted && r < batch->rows; r++)
            weights[at + r] = batch->weights ? batch->weights[r] : 1;
        at += batch->rows;
    }
    all->weights = weights;
    return all;
}
