/*
 * Runs a kernel over a batch in slices, so that it can be stopped: one call over 65,536 long numbers may take hours.
 *
 *   rows    | 64 | 128 | 256 |    512   |     1024     |     1024     | …
 *
 * Between slices the arena is asked whether anybody still waits for the result (kp_arena_vain). Slices begin small and
 * double while they take next to no time, so a cheap kernel has a few of them; only kernels over values of any length
 * are cut at all: over fixed ones, a row takes as long as any other. What is not computed any more is NULL, which is
 * valid wherever it comes, and nobody will see it.
 *
 * Invariant: a kernel computes each row by itself, so the result does not depend on the cut.
 */
#include "flow/eval.h"

#include "os/os.h"

enum {
    SLICE_ROWS_MIN = 64, /* and slices begin at multiples of it: bitmaps have words of 64 */
    SLICE_ROWS_MAX = 1024,
    SLICE_NS_MAX = 200000 /* longer ones do not double */
};

static bool is_sized(enum kp_type_id type)
{
    return type == KP_NUMERIC || kp_type_info(type)->string;
}

static bool is_cut(const struct kp_call *call, const struct kp_vec *const *args, const struct kp_vec *out)
{
    if (call->rows <= SLICE_ROWS_MIN)
        return false;
    bool sized = is_sized(out->type.id);
    for (uint32_t a = 0; !sized && a < call->arg_count; a++)
        sized = is_sized(args[a]->type.id);
    return sized;
}

static struct kp_vec slice_of(const struct kp_vec *vec, uint32_t from)
{
    struct kp_vec slice = *vec;
    if (vec->constant)
        return slice;
    slice.data = (char *)vec->data + from * kp_vec_width(vec);
    slice.valid = vec->valid ? vec->valid + from / 64 : NULL;
    return slice;
}

/* One slice into its place in out; a bitmap that the kernel has made is copied there. */
static void run_slice(const struct kp_func *func, struct kp_call *call, const struct kp_vec *const *args, uint32_t from,
                      uint32_t rows, struct kp_vec *out)
{
    struct kp_vec *vecs = kp_arena_alloc(call->arena, (call->arg_count + 1) * sizeof *vecs), to = slice_of(out, from);
    const struct kp_vec **slices = kp_arena_alloc(call->arena, (call->arg_count + 1) * sizeof *slices);
    for (uint32_t a = 0; a < call->arg_count; a++) {
        vecs[a] = slice_of(args[a], from);
        slices[a] = &vecs[a];
    }
    if (!(func->flags & KP_STRICT))
        to.valid = NULL;
    uint64_t *given = to.valid;
    const void *place = to.data;
    uint32_t errors = call->error_count, all_rows = call->rows;
    call->rows = rows;
    func->kernel(call, slices, &to);
    call->rows = all_rows;
    for (uint32_t i = errors; i < call->error_count; i++)
        call->errors[i].row += from;
    KP_ASSERT(to.data == place); /* kernels fill the vector that they are given */
    if (!to.valid || to.valid == given)
        return;
    kp_vec_need_valid(out, call->arena, all_rows);
    memcpy(out->valid + from / 64, to.valid, (rows + 63) / 64 * sizeof *to.valid);
}

static void make_rest_null(struct kp_call *call, uint32_t from, struct kp_vec *out)
{
    kp_vec_need_valid(out, call->arena, call->rows);
    for (uint32_t i = from; i < call->rows; i++)
        kp_vec_set_null(out, i);
    memset((char *)out->data + from * kp_vec_width(out), 0, (call->rows - from) * kp_vec_width(out));
}

void kp_eval_kernel(const struct kp_func *func, struct kp_call *call, const struct kp_vec *const *args,
                    struct kp_vec *out)
{
    if (!is_cut(call, args, out)) {
        func->kernel(call, args, out);
        return;
    }
    int64_t before_ns = kp_os_real()->mono_ns(kp_os_real()->ctx);
    for (uint32_t from = 0, rows, most = SLICE_ROWS_MIN; from < call->rows; from += rows) {
        if (kp_arena_vain(call->arena)) {
            make_rest_null(call, from, out);
            return;
        }
        rows = KP_MIN(most, call->rows - from);
        run_slice(func, call, args, from, rows, out);
        int64_t now_ns = kp_os_real()->mono_ns(kp_os_real()->ctx);
        if (most < SLICE_ROWS_MAX && now_ns - before_ns < SLICE_NS_MAX)
            most *= 2;
        before_ns = now_ns;
    }
}
