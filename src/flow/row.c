#include "flow/row.h"

#include "vec/numeric.h"

/* ---- memory outside the slots ---- */

void *kp_heap_alloc(struct kp_heap *heap, size_t bytes)
{
    heap->bytes += (int64_t)bytes + 8; /* and malloc's word, or the alignment */
    return heap->keeps ? kp_arena_alloc(&heap->arena, bytes) : kp_alloc(bytes);
}

void kp_heap_drop(struct kp_heap *heap, void *memory, size_t bytes)
{
    if (heap->keeps)
        return;
    heap->bytes -= (int64_t)bytes + 8;
    if (heap->garbage_count == heap->garbage_cap) {
        heap->garbage_cap = heap->garbage_cap ? heap->garbage_cap * 2 : 64;
        heap->garbage = kp_realloc(heap->garbage, heap->garbage_cap * sizeof *heap->garbage);
    }
    heap->garbage[heap->garbage_count++] = memory;
}

void kp_heap_sweep(struct kp_heap *heap)
{
    for (uint32_t i = 0; i < heap->garbage_count; i++)
        kp_free(heap->garbage[i]);
    heap->garbage_count = 0;
}

void kp_heap_finish(struct kp_heap *heap)
{
    kp_heap_sweep(heap);
    kp_free(heap->garbage);
    kp_arena_finish(&heap->arena);
    *heap = (struct kp_heap){0};
}

/* ---- layout ---- */

static enum kp_row_kind row_kind(enum kp_type_id type)
{
    if (kp_type_info(type)->string)
        return kp_type_has_faces(type) ? KP_ROW_OTHER : KP_ROW_TEXT;
    switch (type) {
    case KP_NUMERIC:
        return KP_ROW_NUMERIC;
    case KP_FLOAT4:
    case KP_FLOAT8:
    case KP_INTERVAL:
        return KP_ROW_OTHER;
    default:
        return KP_ROW_FIXED;
    }
}

void kp_row_layout_init(struct kp_row_layout *layout, struct kp_arena *arena, const struct kp_type *types,
                        uint32_t count, bool nulls, uint32_t header_bytes)
{
    *layout = (struct kp_row_layout){.col_count = count, .nulls = nulls};
    layout->cols = kp_arena_calloc(arena, count * sizeof *layout->cols);
    uint32_t at = header_bytes;
    for (uint32_t width = 16; width; width /= 2)
        for (uint32_t c = 0; c < count; c++) {
            if (kp_type_info(types[c].id)->bytes != width)
                continue;
            uint32_t align = KP_MIN(width, 8u);
            at = (at + align - 1) & ~(align - 1);
            enum kp_row_kind kind = row_kind(types[c].id);
            layout->cols[c] = (struct kp_row_col){types[c], at, (uint8_t)width, (uint8_t)kind};
            layout->out_of_line |= kind == KP_ROW_NUMERIC || kp_type_info(types[c].id)->string;
            at += width;
        }
    layout->nulls_offset = at;
    if (nulls)
        at += (count + 7) / 8;
    layout->bytes = (at + 7) & ~7u;
}

/* ---- one value ---- */

static void own_text(struct kp_heap *heap, struct kp_text *text)
{
    if (text->len > KP_TEXT_INLINE_BYTES) {
        char *copy = kp_heap_alloc(heap, text->len);
        memcpy(copy, text->ptr, text->len);
        text->ptr = copy;
    }
}

static void own_numeric(struct kp_heap *heap, struct kp_numeric *numeric)
{
    size_t bytes = kp_numeric_extra_bytes(numeric);
    if (bytes)
        *numeric = kp_numeric_copy(numeric, kp_heap_alloc(heap, bytes));
}

void kp_row_set(const struct kp_row_layout *layout, struct kp_heap *heap, void *row, uint32_t col,
                const struct kp_vec *vec, uint32_t i)
{
    const struct kp_row_col *at = &layout->cols[col];
    char *slot = (char *)row + at->offset;
    if (layout->nulls) {
        uint8_t *bits = (uint8_t *)row + layout->nulls_offset + (col >> 3), bit = (uint8_t)(1u << (col & 7));
        if (kp_vec_is_null(vec, i)) {
            *bits |= bit;
            memset(slot, 0, at->width);
            return;
        }
        *bits = (uint8_t)(*bits & ~bit);
    }
    const char *value = (const char *)vec->data + (vec->constant ? 0 : (size_t)i) * at->width;
    switch (at->width) {
    case 8:
        memcpy(slot, value, 8);
        return;
    case 16:
        memcpy(slot, value, 16);
        if (at->kind == KP_ROW_NUMERIC) {
            struct kp_numeric numeric;
            memcpy(&numeric, slot, sizeof numeric);
            own_numeric(heap, &numeric);
            memcpy(slot, &numeric, sizeof numeric);
        } else if (kp_type_info(at->type.id)->string) {
            struct kp_text text;
            memcpy(&text, slot, sizeof text);
            own_text(heap, &text);
            memcpy(slot, &text, sizeof text);
        }
        return;
    default:
        memcpy(slot, value, at->width);
    }
}

void kp_row_unset(const struct kp_row_layout *layout, struct kp_heap *heap, void *row, uint32_t col)
{
    const struct kp_row_col *at = &layout->cols[col];
    if (at->width != 16 || kp_row_is_null(layout, row, col))
        return;
    char *slot = (char *)row + at->offset;
    if (at->kind == KP_ROW_NUMERIC) {
        struct kp_numeric numeric;
        memcpy(&numeric, slot, sizeof numeric);
        size_t bytes = kp_numeric_extra_bytes(&numeric);
        if (bytes)
            kp_heap_drop(heap, (void *)(uintptr_t)numeric.big, bytes);
    } else if (kp_type_info(at->type.id)->string) {
        struct kp_text text;
        memcpy(&text, slot, sizeof text);
        if (text.len > KP_TEXT_INLINE_BYTES)
            kp_heap_drop(heap, (void *)(uintptr_t)text.ptr, text.len);
    }
}

void kp_row_unset_all(const struct kp_row_layout *layout, struct kp_heap *heap, void *row)
{
    if (!layout->out_of_line)
        return;
    for (uint32_t c = 0; c < layout->col_count; c++)
        kp_row_unset(layout, heap, row, c);
}

/* ---- many values ---- */

void kp_rows_load(const struct kp_row_layout *layout, uint32_t col, const void *const *rows, uint32_t n,
                  struct kp_arena *arena, struct kp_vec *ret_vec)
{
    const struct kp_row_col *at = &layout->cols[col];
    kp_vec_init(ret_vec, arena, at->type, n);
    char *to = ret_vec->data;
    bool any_null = false;
    switch (at->width) {
    case 8:
        for (uint32_t i = 0; i < n; i++) {
            uint64_t value = 0;
            if (rows[i])
                memcpy(&value, (const char *)rows[i] + at->offset, 8);
            memcpy(to + (size_t)i * 8, &value, 8);
        }
        break;
    case 4:
        for (uint32_t i = 0; i < n; i++) {
            uint32_t value = 0;
            if (rows[i])
                memcpy(&value, (const char *)rows[i] + at->offset, 4);
            memcpy(to + (size_t)i * 4, &value, 4);
        }
        break;
    default:
        for (uint32_t i = 0; i < n; i++) {
            if (rows[i])
                memcpy(to + (size_t)i * at->width, (const char *)rows[i] + at->offset, at->width);
            else
                memset(to + (size_t)i * at->width, 0, at->width);
        }
    }
    for (uint32_t i = 0; i < n; i++)
        any_null |= !rows[i] || kp_row_is_null(layout, rows[i], col);
    if (!any_null)
        return;
    kp_vec_need_valid(ret_vec, arena, n);
    for (uint32_t i = 0; i < n; i++)
        if (!rows[i] || kp_row_is_null(layout, rows[i], col))
            kp_vec_set_null(ret_vec, i);
}

void kp_vec_copy_deep(struct kp_vec *vec, uint32_t rows, struct kp_arena *arena)
{
    struct kp_vec from = *vec;
    uint32_t n = from.constant ? 1 : rows;
    size_t width = kp_vec_width(&from);
    kp_vec_init(vec, arena, from.type, n);
    vec->constant = from.constant;
    memcpy(vec->data, from.data, n * width);
    if (from.valid) {
        kp_vec_need_valid(vec, arena, n);
        memcpy(vec->valid, from.valid, ((size_t)n + 63) / 64 * sizeof *vec->valid);
    }
    if (kp_type_info(from.type.id)->string) {
        struct kp_text *texts = vec->data;
        for (uint32_t i = 0; i < n; i++)
            if (kp_vec_is_null(&from, i))
                memset(&texts[i], 0, sizeof texts[i]);
            else if (texts[i].len > KP_TEXT_INLINE_BYTES && kp_arena_may(arena, texts[i].len)) /* else in vain */
                texts[i].ptr = kp_arena_strndup(arena, texts[i].ptr, texts[i].len);
    } else if (from.type.id == KP_NUMERIC) {
        struct kp_numeric *numerics = vec->data;
        for (uint32_t i = 0; i < n; i++) {
            size_t bytes = kp_vec_is_null(&from, i) ? 0 : kp_numeric_extra_bytes(&numerics[i]);
            if (bytes)
                numerics[i] = kp_numeric_copy(&numerics[i], kp_arena_alloc(arena, bytes));
        }
    }
}

/* ---- sameness ---- */

bool kp_value_identical(enum kp_type_id type, const void *a, const void *b)
{
    const struct kp_type_info *info = kp_type_info(type);
    if (info->string)
        return kp_text_equal(a, b);
    if (type == KP_NUMERIC) {
        const struct kp_numeric *x = a, *y = b;
        if (x->kind != KP_NUMERIC_BIG || y->kind != KP_NUMERIC_BIG)
            return memcmp(x, y, sizeof *x) == 0;
        return x->scale == y->scale && kp_numeric_compare(x, y) == 0;
    }
    if (memcmp(a, b, info->bytes) == 0)
        return true;
    /* NaNs of different bits print alike */
    if (type == KP_FLOAT8) {
        double x, y;
        memcpy(&x, a, sizeof x);
        memcpy(&y, b, sizeof y);
        return x != x && y != y;
    }
    if (type == KP_FLOAT4) {
        float x, y;
        memcpy(&x, a, sizeof x);
        memcpy(&y, b, sizeof y);
        return x != x && y != y;
    }
    return false;
}

static inline bool slot_equal(const struct kp_row_col *at, const char *slot, const char *value)
{
    switch (at->kind) {
    case KP_ROW_FIXED:
        switch (at->width) {
        case 8:
            return memcmp(slot, value, 8) == 0;
        case 4:
            return memcmp(slot, value, 4) == 0;
        default:
            return memcmp(slot, value, at->width) == 0;
        }
    case KP_ROW_TEXT:
        return kp_text_equal((const struct kp_text *)(const void *)slot, (const struct kp_text *)(const void *)value);
    default:
        return kp_value_equal(at->type.id, slot, value);
    }
}

bool kp_row_equal_vecs(const struct kp_row_layout *layout, const void *row, uint32_t key_count,
                       const struct kp_vec *keys, uint32_t i)
{
    for (uint32_t c = 0; c < key_count; c++) {
        const struct kp_row_col *at = &layout->cols[c];
        const struct kp_vec *vec = &keys[c];
        bool null = kp_vec_is_null(vec, i);
        if (null != kp_row_is_null(layout, row, c))
            return false;
        if (!null && !slot_equal(at, (const char *)row + at->offset,
                                 (const char *)vec->data + (vec->constant ? 0 : (size_t)i) * at->width))
            return false;
    }
    return true;
}

bool kp_row_identical_vecs(const struct kp_row_layout *layout, const void *row, uint32_t col_count,
                           const struct kp_vec *vecs, uint32_t i)
{
    for (uint32_t c = 0; c < col_count; c++) {
        const struct kp_row_col *at = &layout->cols[c];
        const struct kp_vec *vec = &vecs[c];
        bool null = kp_vec_is_null(vec, i);
        if (null != kp_row_is_null(layout, row, c))
            return false;
        const char *slot = (const char *)row + at->offset;
        const char *value = (const char *)vec->data + (vec->constant ? 0 : (size_t)i) * at->width;
        if (null)
            continue;
        if (at->kind <= KP_ROW_TEXT ? !slot_equal(at, slot, value) : !kp_value_identical(at->type.id, slot, value))
            return false;
    }
    return true;
}

bool kp_vecs_identical(const struct kp_vec *a, uint32_t i, const struct kp_vec *b, uint32_t k, uint32_t col_count)
{
    for (uint32_t c = 0; c < col_count; c++) {
        bool null = kp_vec_is_null(&a[c], i);
        if (null != kp_vec_is_null(&b[c], k))
            return false;
        if (!null && !kp_value_identical(a[c].type.id, kp_vec_at(&a[c], i), kp_vec_at(&b[c], k)))
            return false;
    }
    return true;
}
