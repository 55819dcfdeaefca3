/*
 * For fn_*.c only: loops that kernels are made of.
 *
 * A kernel's loop comes in three forms, so that the compiler sees unit strides and vectorizes: both arguments dense,
 * the right one constant, the left one constant (two constants take the strided form). `x` and `y` are the operands'
 * values in the expressions.
 */
#ifndef KP_VEC_FN_H
#define KP_VEC_FN_H

#include "vec/func.h"
#include "vec/numeric.h"

#define FN_BINARY_LOOP(type_a, type_b, type_out, expression)                                                           \
    do {                                                                                                               \
        const type_a *restrict a_ = args[0]->data;                                                                     \
        const type_b *restrict b_ = args[1]->data;                                                                     \
        type_out *restrict out_ = out->data;                                                                           \
        const size_t rows_ = call->rows;                                                                               \
        if (!args[0]->constant && !args[1]->constant) {                                                                \
            for (size_t i = 0; i < rows_; i++) {                                                                       \
                const type_a x = a_[i];                                                                                \
                const type_b y = b_[i];                                                                                \
                out_[i] = (type_out)(expression);                                                                      \
            }                                                                                                          \
        } else if (!args[0]->constant) {                                                                               \
            const type_b y = b_[0];                                                                                    \
            for (size_t i = 0; i < rows_; i++) {                                                                       \
                const type_a x = a_[i];                                                                                \
                out_[i] = (type_out)(expression);                                                                      \
            }                                                                                                          \
        } else {                                                                                                       \
            const type_a x = a_[0];                                                                                    \
            const size_t stride_ = KP_STRIDE(args[1]);                                                                 \
            for (size_t i = 0; i < rows_; i++) {                                                                       \
                const type_b y = b_[i * stride_];                                                                      \
                out_[i] = (type_out)(expression);                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    } while (0)

/* One argument; `x` and the row `i` in the expression. */
#define FN_UNARY_LOOP(type_a, type_out, expression)                                                                    \
    do {                                                                                                               \
        const type_a *restrict a_ = args[0]->data;                                                                     \
        type_out *restrict out_ = out->data;                                                                           \
        const size_t rows_ = call->rows, stride_ = KP_STRIDE(args[0]);                                                 \
        for (size_t i = 0; i < rows_; i++) {                                                                           \
            const type_a x = a_[i * stride_];                                                                          \
            out_[i] = (type_out)(expression);                                                                          \
        }                                                                                                              \
    } while (0)

/* The value of argument n at row i. */
#define FN_AT(type, n, i) (((const type *)args[n]->data)[(i)*KP_STRIDE(args[n])])

/* Passes an error of a row on; rows that are NULL anyway (strict functions) fail in silence. */
static inline void fn_fail(struct kp_call *call, const struct kp_vec *out, uint32_t row, const struct kp_error *err)
{
    if (kp_vec_is_null(out, row))
        return;
    kp_call_fail_with(call, row, err);
}
static inline void fn_fail_text(struct kp_call *call, const struct kp_vec *out, uint32_t row, const char *sqlstate,
                                const char *message)
{
    if (!kp_vec_is_null(out, row))
        kp_call_fail(call, row, sqlstate, "%s", message);
}

/*
 * A strict kernel whose result may be NULL for arguments that are not: makes row NULL. The bitmap that the caller
 * prepared may be an argument's own, so the first NULL copies it; *owned starts false.
 */
static inline void fn_set_null(struct kp_call *call, struct kp_vec *out, uint32_t row, bool *owned)
{
    if (!*owned && out->valid) {
        size_t bytes = ((size_t)call->rows + 63) / 64 * sizeof *out->valid;
        uint64_t *valid = kp_arena_alloc(call->arena, bytes);
        memcpy(valid, out->valid, bytes);
        out->valid = valid;
    }
    *owned = true;
    kp_vec_need_valid(out, call->arena, call->rows);
    kp_vec_set_null(out, row);
}

static inline const struct kp_zone *fn_zone(const struct kp_call *call)
{
    return call->settings ? call->settings->zone : NULL;
}
/* A text result: bytes are copied to the arena if they do not fit inline. */
static inline struct kp_text fn_text(struct kp_call *call, const void *bytes, size_t len)
{
    if (len > KP_TEXT_INLINE_BYTES) {
        if (!kp_arena_may(call->arena, len))
            return kp_text_make(NULL, 0);
        bytes = kp_arena_strndup(call->arena, bytes, len);
    }
    return kp_text_make(bytes, len);
}

#define FN_UNARY(name_, kind_, flags_, arg_, ret_, kernel_, doc_)                                                      \
    {                                                                                                                  \
        .name = name_, .kind = kind_, .flags = flags_, .arg_count = 1, .args = {arg_}, .ret = ret_, .kernel = kernel_, \
        .doc = doc_                                                                                                    \
    }
#define FN_BINARY(name_, kind_, flags_, arg_a_, arg_b_, ret_, kernel_, doc_)                                           \
    {                                                                                                                  \
        .name = name_, .kind = kind_, .flags = flags_, .arg_count = 2, .args = {arg_a_, arg_b_}, .ret = ret_,          \
        .kernel = kernel_, .doc = doc_                                                                                 \
    }

#endif
