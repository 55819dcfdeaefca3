/*
 * Comparison operators: = <> < <= > >= for every type, and between the integer types.
 *
 * Results are bytes 0 and 1 without branches. Floats follow PostgreSQL: NaN equals NaN and is above all else. Texts
 * decide by length and first bytes where they can; numerics of one scale by their coefficients.
 */
#include "vec/fn.h"

#define INT_KERNEL(name, type_a, type_b, op)                                                                           \
    static void name(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)                       \
    {                                                                                                                  \
        FN_BINARY_LOOP(type_a, type_b, uint8_t, x op y);                                                               \
    }
#define INT_KERNELS(pair, type_a, type_b)                                                                              \
    INT_KERNEL(pair##_eq, type_a, type_b, ==)                                                                          \
    INT_KERNEL(pair##_ne, type_a, type_b, !=)                                                                          \
    INT_KERNEL(pair##_lt, type_a, type_b, <)                                                                           \
    INT_KERNEL(pair##_le, type_a, type_b, <=)                                                                          \
    INT_KERNEL(pair##_gt, type_a, type_b, >)                                                                           \
    INT_KERNEL(pair##_ge, type_a, type_b, >=)

INT_KERNELS(bool_bool, uint8_t, uint8_t)
INT_KERNELS(int2_int2, int16_t, int16_t)
INT_KERNELS(int2_int4, int16_t, int32_t)
INT_KERNELS(int2_int8, int16_t, int64_t)
INT_KERNELS(int4_int2, int32_t, int16_t)
INT_KERNELS(int4_int4, int32_t, int32_t)
INT_KERNELS(int4_int8, int32_t, int64_t)
INT_KERNELS(int8_int2, int64_t, int16_t)
INT_KERNELS(int8_int4, int64_t, int32_t)
INT_KERNELS(int8_int8, int64_t, int64_t)
INT_KERNELS(oid_oid, uint32_t, uint32_t)

#define FLOAT_KERNEL(name, type, expression)                                                                           \
    static void name(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)                       \
    {                                                                                                                  \
        FN_BINARY_LOOP(type, type, uint8_t, expression);                                                               \
    }
#define FLOAT_KERNELS(pair, type)                                                                                      \
    FLOAT_KERNEL(pair##_eq, type, (x == y) | ((x != x) & (y != y)))                                                    \
    FLOAT_KERNEL(pair##_ne, type, !((x == y) | ((x != x) & (y != y))))                                                 \
    FLOAT_KERNEL(pair##_lt, type, (x < y) | ((x == x) & (y != y)))                                                     \
    FLOAT_KERNEL(pair##_le, type, (x <= y) | (y != y))                                                                 \
    FLOAT_KERNEL(pair##_gt, type, (x > y) | ((x != x) & (y == y)))                                                     \
    FLOAT_KERNEL(pair##_ge, type, (x >= y) | (x != x))

FLOAT_KERNELS(float4_float4, float)
FLOAT_KERNELS(float8_float8, double)

/* ---- text: collation C ---- */

static inline int text_order(const struct kp_text *a, const struct kp_text *b)
{
    uint32_t head_a, head_b;
    memcpy(&head_a, a->prefix, 4); /* unused bytes are zero, as if the shorter were padded: a difference decides */
    memcpy(&head_b, b->prefix, 4);
    head_a = __builtin_bswap32(head_a);
    head_b = __builtin_bswap32(head_b);
    if (head_a != head_b)
        return head_a < head_b ? -1 : 1;
    return kp_text_compare(a, b);
}

static void text_equality(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out, uint8_t wanted)
{
    const struct kp_text *restrict a = args[0]->data, *restrict b = args[1]->data;
    uint8_t *restrict to = out->data;
    size_t stride_a = KP_STRIDE(args[0]), stride_b = KP_STRIDE(args[1]);
    if (args[1]->constant && b->len <= KP_TEXT_INLINE_BYTES) {
        /* an inline text is its 16 bytes */
        uint64_t words[2];
        memcpy(words, b, 16);
        const uint64_t *restrict left = args[0]->data;
        for (size_t i = 0; i < call->rows; i++) {
            const uint64_t *at = left + 2 * i * stride_a;
            to[i] = (uint8_t)((((at[0] ^ words[0]) | (at[1] ^ words[1])) == 0) == wanted);
        }
        return;
    }
    for (size_t i = 0; i < call->rows; i++)
        to[i] = (uint8_t)(kp_text_equal(a + i * stride_a, b + i * stride_b) == wanted);
}

static void text_text_eq(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    text_equality(call, args, out, 1);
}
static void text_text_ne(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    text_equality(call, args, out, 0);
}

/* ---- types that order by a function: order(a, b) against zero ---- */

#define ORDER_KERNEL(name, type, order, op)                                                                            \
    static void name(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)                       \
    {                                                                                                                  \
        const type *a = args[0]->data, *b = args[1]->data;                                                             \
        uint8_t *restrict to = out->data;                                                                              \
        size_t stride_a = KP_STRIDE(args[0]), stride_b = KP_STRIDE(args[1]);                                           \
        for (size_t i = 0; i < call->rows; i++)                                                                        \
            to[i] = order(a + i * stride_a, b + i * stride_b) op 0;                                                    \
    }
#define ORDER_KERNELS_ONLY(pair, type, order)                                                                          \
    ORDER_KERNEL(pair##_lt, type, order, <)                                                                            \
    ORDER_KERNEL(pair##_le, type, order, <=)                                                                           \
    ORDER_KERNEL(pair##_gt, type, order, >)                                                                            \
    ORDER_KERNEL(pair##_ge, type, order, >=)
#define ORDER_KERNELS(pair, type, order)                                                                               \
    ORDER_KERNEL(pair##_eq, type, order, ==)                                                                           \
    ORDER_KERNEL(pair##_ne, type, order, !=)                                                                           \
    ORDER_KERNELS_ONLY(pair, type, order)

static inline int numeric_order(const struct kp_numeric *a, const struct kp_numeric *b)
{
    if (kp_numeric_is_small(a) && kp_numeric_is_small(b) && a->scale == b->scale)
        return (a->coef > b->coef) - (a->coef < b->coef);
    return kp_numeric_compare(a, b);
}
static inline int interval_order(const struct kp_interval *a, const struct kp_interval *b)
{
    return kp_value_compare(KP_INTERVAL, a, b);
}
static inline int bpchar_order(const struct kp_text *a, const struct kp_text *b)
{
    return kp_value_compare(KP_BPCHAR, a, b);
}
static inline int jsonb_order(const struct kp_text *a, const struct kp_text *b)
{
    return kp_value_compare(KP_JSONB, a, b);
}
struct uuid {
    uint8_t bytes[16];
};
static inline int uuid_order(const struct uuid *a, const struct uuid *b)
{
    return memcmp(a, b, sizeof *a);
}

ORDER_KERNELS_ONLY(text_text, struct kp_text, text_order)
ORDER_KERNELS(numeric_numeric, struct kp_numeric, numeric_order)
ORDER_KERNELS(interval_interval, struct kp_interval, interval_order)
ORDER_KERNELS(jsonb_jsonb, struct kp_text, jsonb_order)
ORDER_KERNELS(bpchar_bpchar, struct kp_text, bpchar_order)
static inline int timetz_order(const struct kp_timetz *a, const struct kp_timetz *b)
{
    int64_t x = kp_timetz_key(a), y = kp_timetz_key(b);
    return (x > y) - (x < y);
}

ORDER_KERNELS(timetz_timetz, struct kp_timetz, timetz_order)
ORDER_KERNELS(uuid_uuid, struct uuid, uuid_order)

#define OPERATOR(symbol, type_a, type_b, kernel, doc)                                                                  \
    FN_BINARY(symbol, KP_FUNC_OPERATOR, KP_STRICT, type_a, type_b, KP_BOOL, kernel, doc)
#define OPERATORS(type_a, type_b, pair)                                                                                \
    OPERATOR("=", type_a, type_b, pair##_eq, "equal"), OPERATOR("<>", type_a, type_b, pair##_ne, "not equal"),         \
        OPERATOR("<", type_a, type_b, pair##_lt, "less"), OPERATOR("<=", type_a, type_b, pair##_le, "at most"),        \
        OPERATOR(">", type_a, type_b, pair##_gt, "greater"), OPERATOR(">=", type_a, type_b, pair##_ge, "at least")

static const struct kp_func funcs[] = {
    OPERATORS(KP_BOOL, KP_BOOL, bool_bool),
    OPERATORS(KP_CHAR, KP_CHAR, bool_bool),
    OPERATORS(KP_INT2, KP_INT2, int2_int2),
    OPERATORS(KP_INT2, KP_INT4, int2_int4),
    OPERATORS(KP_INT2, KP_INT8, int2_int8),
    OPERATORS(KP_INT4, KP_INT2, int4_int2),
    OPERATORS(KP_INT4, KP_INT4, int4_int4),
    OPERATORS(KP_INT4, KP_INT8, int4_int8),
    OPERATORS(KP_INT8, KP_INT2, int8_int2),
    OPERATORS(KP_INT8, KP_INT4, int8_int4),
    OPERATORS(KP_INT8, KP_INT8, int8_int8),
    OPERATORS(KP_OID, KP_OID, oid_oid),
    OPERATORS(KP_FLOAT4, KP_FLOAT4, float4_float4),
    OPERATORS(KP_FLOAT8, KP_FLOAT8, float8_float8),
    OPERATORS(KP_NUMERIC, KP_NUMERIC, numeric_numeric),
    OPERATORS(KP_TEXT, KP_TEXT, text_text),
    OPERATORS(KP_BPCHAR, KP_BPCHAR, bpchar_bpchar),
    OPERATORS(KP_NAME, KP_NAME, text_text),
    OPERATORS(KP_BYTEA, KP_BYTEA, text_text),
    OPERATORS(KP_JSONB, KP_JSONB, jsonb_jsonb),
    OPERATORS(KP_DATE, KP_DATE, int4_int4),
    OPERATORS(KP_TIME, KP_TIME, int8_int8),
    OPERATORS(KP_TIMETZ, KP_TIMETZ, timetz_timetz),
    OPERATORS(KP_TIMESTAMP, KP_TIMESTAMP, int8_int8),
    OPERATORS(KP_TIMESTAMPTZ, KP_TIMESTAMPTZ, int8_int8),
    OPERATORS(KP_INTERVAL, KP_INTERVAL, interval_interval),
    OPERATORS(KP_UUID, KP_UUID, uuid_uuid),
};
KP_FUNCTIONS(compare, funcs);
