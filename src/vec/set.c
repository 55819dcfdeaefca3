/* Set-returning functions: the rounds that drive them over a batch. */
#include "vec/set.h"

enum { ROWS_FIRST = 64 };

static void grow(struct kp_set *set, uint32_t cap)
{
    struct kp_set old = *set;
    set->cap = cap;
    set->sources = kp_arena_alloc(set->arena, cap * sizeof *set->sources);
    set->ordinals = kp_arena_alloc(set->arena, cap * sizeof *set->ordinals);
    set->cols = kp_arena_calloc(set->arena, (set->col_count + 1) * sizeof *set->cols);
    if (old.rows) {
        memcpy(set->sources, old.sources, old.rows * sizeof *set->sources);
        memcpy(set->ordinals, old.ordinals, old.rows * sizeof *set->ordinals);
    }
    for (uint32_t c = 0; c < set->col_count; c++) {
        struct kp_vec *to = &set->cols[c];
        const struct kp_vec *from = &old.cols[c];
        kp_vec_init(to, set->arena, from->type, cap);
        size_t width = kp_vec_width(to);
        memset((char *)to->data + old.rows * width, 0, (cap - old.rows) * width);
        if (old.rows)
            memcpy(to->data, from->data, old.rows * width);
        if (from->valid) {
            kp_vec_need_valid(to, set->arena, cap);
            memcpy(to->valid, from->valid, ((size_t)old.rows + 63) / 64 * sizeof *to->valid);
        }
    }
}

bool kp_set_add(struct kp_set *set)
{
    if (set->rows == KP_BATCH_ROWS_MAX)
        return false;
    if (set->rows == set->cap)
        grow(set, KP_MIN(set->cap * 2, (uint32_t)KP_BATCH_ROWS_MAX));
    for (uint32_t c = 0; c < set->col_count; c++) {
        kp_vec_need_valid(&set->cols[c], set->arena, set->cap);
        kp_vec_set_null(&set->cols[c], set->rows);
    }
    set->rows++;
    return true;
}

void kp_set_put(struct kp_set *set, uint32_t col, const void *value)
{
    if (!value)
        return;
    struct kp_vec *to = &set->cols[col];
    uint32_t row = set->rows - 1;
    size_t width = kp_vec_width(to);
    memcpy((char *)to->data + row * width, value, width);
    to->valid[row >> 6] |= (uint64_t)1 << (row & 63);
}

static bool any_null(const struct kp_call *call, const struct kp_vec *const *args, uint32_t row)
{
    for (uint32_t a = 0; a < call->arg_count; a++)
        if (kp_vec_is_null(args[a], row))
            return true;
    return false;
}

static void start(struct kp_set *set, struct kp_call *call, const struct kp_type *types, const char *const *names,
                  uint32_t col_count)
{
    memset(set, 0, sizeof *set);
    struct kp_vec *cols = kp_arena_calloc(call->arena, (col_count + 1) * sizeof *cols);
    for (uint32_t c = 0; c < col_count; c++)
        cols[c].type = types[c];
    set->arena = call->arena;
    set->col_count = col_count;
    set->cols = cols;
    set->names = names;
    grow(set, KP_MIN(KP_MAX(call->rows, (uint32_t)ROWS_FIRST), (uint32_t)KP_BATCH_ROWS_MAX));
}

bool kp_set_expand(const struct kp_set_func *func, struct kp_call *call, const struct kp_vec *const *args,
                   const struct kp_type *types, const char *const *names, uint32_t col_count,
                   struct kp_set_cursor *cursor, struct kp_set *ret_set)
{
    struct kp_set set;
    start(&set, call, types, names, col_count);
    while (cursor->row < call->rows && set.rows < KP_BATCH_ROWS_MAX) {
        uint32_t row = cursor->row, before = set.rows, errors = call->error_count;
        bool done = true;
        if (!(func->flags & KP_STRICT) || !any_null(call, args, row))
            done = func->expand(call, args, row, cursor->item, &set);
        if (call->error_count > errors) {
            set.rows = before;
            call->error_count = errors + 1;
            done = true;
        }
        for (uint32_t i = before; i < set.rows; i++) {
            set.sources[i] = row;
            set.ordinals[i] = (int64_t)(cursor->item + (i - before) + 1);
        }
        if (done)
            *cursor = (struct kp_set_cursor){row + 1, 0};
        else
            cursor->item += set.rows - before;
    }
    if (set.rows == 0)
        return false;
    *ret_set = set;
    return true;
}
