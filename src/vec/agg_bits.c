/*
 * bit_and, bit_or, bit_xor: how many values have each bit set says all three, and values can be taken away.
 *
 *   and: as many as there are values     or: any     xor: an odd number
 */
#include "vec/agg_rows.h"

#define BITS(width)                                                                                                    \
    struct bits_##width {                                                                                              \
        int64_t count;                                                                                                 \
        int64_t ones[width];                                                                                           \
    };                                                                                                                 \
    static void update_##width(struct kp_agg_call *call, void *const *states, const struct kp_vec *const *args,        \
                               const int64_t *weights, uint32_t rows)                                                  \
    {                                                                                                                  \
        (void)call;                                                                                                    \
        const uint##width##_t *values = args[0]->data;                                                                 \
        for (uint32_t i = 0; i < rows; i++) {                                                                          \
            struct bits_##width *bits = states[i];                                                                     \
            int64_t weight = weights ? weights[i] : 1;                                                                 \
            bits->count += weight;                                                                                     \
            for (unsigned b = 0; b < width; b++)                                                                       \
                bits->ones[b] += values[i] >> b & 1 ? weight : 0;                                                      \
        }                                                                                                              \
    }                                                                                                                  \
    static void merge_##width(struct kp_agg_call *call, void *const *into, void *const *from, uint32_t rows)           \
    {                                                                                                                  \
        (void)call;                                                                                                    \
        for (uint32_t i = 0; i < rows; i++) {                                                                          \
            struct bits_##width *to = into[i], *source = from[i];                                                      \
            to->count += source->count;                                                                                \
            for (unsigned b = 0; b < width; b++)                                                                       \
                to->ones[b] += source->ones[b];                                                                        \
            memset(source, 0, sizeof *source);                                                                         \
        }                                                                                                              \
    }                                                                                                                  \
    FINALIZE(and, width, bits->ones[b] == bits->count)                                                                 \
    FINALIZE(or, width, bits->ones[b] != 0)                                                                            \
    FINALIZE(xor, width, bits->ones[b] & 1)

#define FINALIZE(name, width, is_set)                                                                                  \
    static void name##_##width(struct kp_agg_call *call, void *const *states, uint32_t rows, struct kp_vec *out)       \
    {                                                                                                                  \
        for (uint32_t i = 0; i < rows; i++) {                                                                          \
            const struct bits_##width *bits = states[i];                                                               \
            uint64_t value = 0;                                                                                        \
            for (unsigned b = 0; b < width; b++)                                                                       \
                value |= (uint64_t)((is_set) != 0) << b;                                                               \
            ((uint##width##_t *)out->data)[i] = (uint##width##_t)value;                                                \
            if (!bits->count)                                                                                          \
                agg_set_null(call, rows, out, i);                                                                      \
        }                                                                                                              \
    }                                                                                                                  \
    static const struct kp_agg_impl impl_##name##_##width = {sizeof(struct bits_##width), update_##width,              \
                                                             merge_##width, name##_##width, NULL};

BITS(16)
BITS(32)
BITS(64)

#define AGG(name, type, impl, doc)                                                                                     \
    {                                                                                                                  \
        name, 1, {type}, type, KP_AGG_SKIP_NULLS, &impl, &impl, doc                                                    \
    }
#define AGGS(name, kernel, doc)                                                                                        \
    AGG(name, KP_INT2, impl_##kernel##_16, doc), AGG(name, KP_INT4, impl_##kernel##_32, doc),                          \
        AGG(name, KP_INT8, impl_##kernel##_64, doc)

static const struct kp_agg aggs[] = {
    AGGS("bit_and", and, "bits that all have"),
    AGGS("bit_or", or, "bits that any has"),
    AGGS("bit_xor", xor, "bits that an odd number has"),
};
KP_AGGREGATES(bits, aggs);
