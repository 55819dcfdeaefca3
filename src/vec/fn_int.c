/*
 * Integer arithmetic with PostgreSQL's errors: 22003 "integer out of range", 22012 "division by zero".
 *
 * A loop computes all rows, wrapping, and gathers whether any row went wrong; only then a second pass finds the rows.
 * Between different integer types the wider one's rules hold.
 */
#include "vec/fn.h"

#define RANGE_MESSAGE_int16_t "smallint out of range"
#define RANGE_MESSAGE_int32_t "integer out of range"
#define RANGE_MESSAGE_int64_t "bigint out of range"

/* Per result type: the wrapped result, and whether it is wrong (nonzero). Below 64 bits a wider type holds the truth.
 */
#define NARROW_ARITH(type, wide)                                                                                       \
    static inline type type##_add(type x, type y)                                                                      \
    {                                                                                                                  \
        return (type)((wide)x + y);                                                                                    \
    }                                                                                                                  \
    static inline int type##_add_bad(type x, type y)                                                                   \
    {                                                                                                                  \
        return ((wide)x + y) != (type)((wide)x + y);                                                                   \
    }                                                                                                                  \
    static inline type type##_sub(type x, type y)                                                                      \
    {                                                                                                                  \
        return (type)((wide)x - y);                                                                                    \
    }                                                                                                                  \
    static inline int type##_sub_bad(type x, type y)                                                                   \
    {                                                                                                                  \
        return ((wide)x - y) != (type)((wide)x - y);                                                                   \
    }                                                                                                                  \
    static inline type type##_mul(type x, type y)                                                                      \
    {                                                                                                                  \
        return (type)((wide)x * y);                                                                                    \
    }                                                                                                                  \
    static inline int type##_mul_bad(type x, type y)                                                                   \
    {                                                                                                                  \
        return ((wide)x * y) != (type)((wide)x * y);                                                                   \
    }
NARROW_ARITH(int16_t, int32_t)
NARROW_ARITH(int32_t, int64_t)

static inline int64_t int64_t_add(int64_t x, int64_t y)
{
    return (int64_t)((uint64_t)x + (uint64_t)y);
}
static inline int int64_t_add_bad(int64_t x, int64_t y)
{
    int64_t sum = int64_t_add(x, y);
    return ((x ^ sum) & (y ^ sum)) < 0;
}
static inline int64_t int64_t_sub(int64_t x, int64_t y)
{
    return (int64_t)((uint64_t)x - (uint64_t)y);
}
static inline int int64_t_sub_bad(int64_t x, int64_t y)
{
    return ((x ^ y) & (x ^ int64_t_sub(x, y))) < 0;
}
static inline int64_t int64_t_mul(int64_t x, int64_t y)
{
    return (int64_t)((uint64_t)x * (uint64_t)y);
}
static inline int int64_t_mul_bad(int64_t x, int64_t y)
{
    int64_t product;
    return __builtin_mul_overflow(x, y, &product);
}

#define ARITH_KERNEL(pair, op, type_a, type_b, type)                                                                   \
    static void pair##_##op(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)                \
    {                                                                                                                  \
        int bad = 0;                                                                                                   \
        FN_BINARY_LOOP(type_a, type_b, type,                                                                           \
                       (bad |= type##_##op##_bad((type)x, (type)y), type##_##op((type)x, (type)y)));                   \
        if (!bad)                                                                                                      \
            return;                                                                                                    \
        for (uint32_t i = 0; i < call->rows; i++)                                                                      \
            if (type##_##op##_bad((type)FN_AT(type_a, 0, i), (type)FN_AT(type_b, 1, i)))                               \
                fn_fail_text(call, out, i, "22003", RANGE_MESSAGE_##type);                                             \
    }

/* Division in 64 bits: a zero divisor gives 0, -1 negates with wrapping. */
static inline int64_t safe_div(int64_t x, int64_t y)
{
    if ((uint64_t)y + 1 <= 1)
        return y == 0 ? 0 : (int64_t)(0 - (uint64_t)x);
    return x / y;
}
static inline int64_t safe_mod(int64_t x, int64_t y)
{
    if ((uint64_t)y + 1 <= 1)
        return 0;
    /* a 32-bit division takes a fraction of a 64-bit one */
    if ((((uint64_t)x | (uint64_t)y) >> 32) == 0)
        return (int64_t)((uint32_t)x % (uint32_t)y);
    return x % y;
}
/* Nonzero when x / y cannot be: y is 0, or the quotient is one above the type's range. */
static inline int div_bad(int64_t x, int64_t y, int64_t min)
{
    return (y == 0) | ((y == -1) & (x == min));
}
#define DIV_KERNEL(pair, type_a, type_b, type, min)                                                                    \
    static void pair##_div(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)                 \
    {                                                                                                                  \
        int bad = 0;                                                                                                   \
        FN_BINARY_LOOP(type_a, type_b, type, (bad |= div_bad(x, y, min), safe_div(x, y)));                             \
        if (!bad)                                                                                                      \
            return;                                                                                                    \
        for (uint32_t i = 0; i < call->rows; i++) {                                                                    \
            type_b y = FN_AT(type_b, 1, i);                                                                            \
            if (y == 0)                                                                                                \
                fn_fail_text(call, out, i, "22012", "division by zero");                                               \
            else if (div_bad(FN_AT(type_a, 0, i), y, min))                                                             \
                fn_fail_text(call, out, i, "22003", RANGE_MESSAGE_##type);                                             \
        }                                                                                                              \
    }

#define KERNELS(pair, type_a, type_b, type, min)                                                                       \
    ARITH_KERNEL(pair, add, type_a, type_b, type)                                                                      \
    ARITH_KERNEL(pair, sub, type_a, type_b, type)                                                                      \
    ARITH_KERNEL(pair, mul, type_a, type_b, type)                                                                      \
    DIV_KERNEL(pair, type_a, type_b, type, min)

KERNELS(int2_int2, int16_t, int16_t, int16_t, INT16_MIN)
KERNELS(int2_int4, int16_t, int32_t, int32_t, INT32_MIN)
KERNELS(int4_int2, int32_t, int16_t, int32_t, INT32_MIN)
KERNELS(int4_int4, int32_t, int32_t, int32_t, INT32_MIN)
KERNELS(int2_int8, int16_t, int64_t, int64_t, INT64_MIN)
KERNELS(int4_int8, int32_t, int64_t, int64_t, INT64_MIN)
KERNELS(int8_int2, int64_t, int16_t, int64_t, INT64_MIN)
KERNELS(int8_int4, int64_t, int32_t, int64_t, INT64_MIN)
KERNELS(int8_int8, int64_t, int64_t, int64_t, INT64_MIN)

/* Modulo and the bit operators exist between equal types only, as in PostgreSQL. */
#define SAME_TYPE_KERNELS(name, type, unsigned_type, min)                                                              \
    static void name##_mod(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)                 \
    {                                                                                                                  \
        int bad = 0;                                                                                                   \
        FN_BINARY_LOOP(type, type, type, (bad |= y == 0, safe_mod(x, y)));                                             \
        for (uint32_t i = 0; bad && i < call->rows; i++)                                                               \
            if (FN_AT(type, 1, i) == 0)                                                                                \
                fn_fail_text(call, out, i, "22012", "division by zero");                                               \
    }                                                                                                                  \
    static void name##_and(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)                 \
    {                                                                                                                  \
        FN_BINARY_LOOP(type, type, type, x &y);                                                                        \
    }                                                                                                                  \
    static void name##_or(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)                  \
    {                                                                                                                  \
        FN_BINARY_LOOP(type, type, type, x | y);                                                                       \
    }                                                                                                                  \
    static void name##_xor(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)                 \
    {                                                                                                                  \
        FN_BINARY_LOOP(type, type, type, x ^ y);                                                                       \
    }                                                                                                                  \
    static void name##_not(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)                 \
    {                                                                                                                  \
        FN_UNARY_LOOP(type, type, ~x);                                                                                 \
    }                                                                                                                  \
    static void name##_shl(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)                 \
    {                                                                                                                  \
        FN_BINARY_LOOP(type, int32_t, type, (unsigned_type)x << (y & (sizeof(type) == 8 ? 63 : 31)));                  \
    }                                                                                                                  \
    static void name##_shr(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)                 \
    {                                                                                                                  \
        FN_BINARY_LOOP(type, int32_t, type, x >> (y & (sizeof(type) == 8 ? 63 : 31)));                                 \
    }                                                                                                                  \
    static void name##_plus(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)                \
    {                                                                                                                  \
        FN_UNARY_LOOP(type, type, x);                                                                                  \
    }                                                                                                                  \
    static void name##_check_min(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)           \
    {                                                                                                                  \
        for (uint32_t i = 0; i < call->rows; i++)                                                                      \
            if (FN_AT(type, 0, i) == (min))                                                                            \
                fn_fail_text(call, out, i, "22003", RANGE_MESSAGE_##type);                                             \
    }                                                                                                                  \
    static void name##_minus(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)               \
    {                                                                                                                  \
        int bad = 0;                                                                                                   \
        FN_UNARY_LOOP(type, type, (bad |= x == (min), (unsigned_type)0 - (unsigned_type)x));                           \
        if (bad)                                                                                                       \
            name##_check_min(call, args, out);                                                                         \
    }                                                                                                                  \
    static void name##_abs(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)                 \
    {                                                                                                                  \
        int bad = 0;                                                                                                   \
        FN_UNARY_LOOP(type, type,                                                                                      \
                      (bad |= x == (min), x < 0 ? (unsigned_type)0 - (unsigned_type)x : (unsigned_type)x));            \
        if (bad)                                                                                                       \
            name##_check_min(call, args, out);                                                                         \
    }
SAME_TYPE_KERNELS(int2, int16_t, uint32_t, INT16_MIN)
SAME_TYPE_KERNELS(int4, int32_t, uint32_t, INT32_MIN)
SAME_TYPE_KERNELS(int8, int64_t, uint64_t, INT64_MIN)

#define OPERATOR(symbol, flags, type_a, type_b, ret, kernel, doc)                                                      \
    FN_BINARY(symbol, KP_FUNC_OPERATOR, KP_STRICT | (flags), type_a, type_b, ret, kernel, doc)
#define ARITHMETIC(type_a, type_b, ret, pair)                                                                          \
    OPERATOR("+", KP_CAN_FAIL, type_a, type_b, ret, pair##_add, "sum"),                                                \
        OPERATOR("-", KP_CAN_FAIL, type_a, type_b, ret, pair##_sub, "difference"),                                     \
        OPERATOR("*", KP_CAN_FAIL, type_a, type_b, ret, pair##_mul, "product"),                                        \
        OPERATOR("/", KP_CAN_FAIL, type_a, type_b, ret, pair##_div, "quotient, towards zero")
#define SAME_TYPE(type, name)                                                                                          \
    OPERATOR("%", KP_CAN_FAIL, type, type, type, name##_mod, "remainder"),                                             \
        FN_BINARY("mod", KP_FUNC_FUNCTION, KP_STRICT | KP_CAN_FAIL, type, type, type, name##_mod, "remainder"),        \
        OPERATOR("&", 0, type, type, type, name##_and, "bitwise and"),                                                 \
        OPERATOR("|", 0, type, type, type, name##_or, "bitwise or"),                                                   \
        OPERATOR("#", 0, type, type, type, name##_xor, "bitwise exclusive or"),                                        \
        OPERATOR("<<", 0, type, KP_INT4, type, name##_shl, "shift left"),                                              \
        OPERATOR(">>", 0, type, KP_INT4, type, name##_shr, "shift right"),                                             \
        FN_UNARY("~", KP_FUNC_OPERATOR, KP_STRICT, type, type, name##_not, "bitwise not"),                             \
        FN_UNARY("+", KP_FUNC_OPERATOR, KP_STRICT, type, type, name##_plus, "the value itself"),                       \
        FN_UNARY("-", KP_FUNC_OPERATOR, KP_STRICT | KP_CAN_FAIL, type, type, name##_minus, "negative"),                \
        FN_UNARY("@", KP_FUNC_OPERATOR, KP_STRICT | KP_CAN_FAIL, type, type, name##_abs, "absolute value"),            \
        FN_UNARY("abs", KP_FUNC_FUNCTION, KP_STRICT | KP_CAN_FAIL, type, type, name##_abs, "absolute value")

static const struct kp_func funcs[] = {
    ARITHMETIC(KP_INT2, KP_INT2, KP_INT2, int2_int2),
    ARITHMETIC(KP_INT2, KP_INT4, KP_INT4, int2_int4),
    ARITHMETIC(KP_INT4, KP_INT2, KP_INT4, int4_int2),
    ARITHMETIC(KP_INT4, KP_INT4, KP_INT4, int4_int4),
    ARITHMETIC(KP_INT2, KP_INT8, KP_INT8, int2_int8),
    ARITHMETIC(KP_INT4, KP_INT8, KP_INT8, int4_int8),
    ARITHMETIC(KP_INT8, KP_INT2, KP_INT8, int8_int2),
    ARITHMETIC(KP_INT8, KP_INT4, KP_INT8, int8_int4),
    ARITHMETIC(KP_INT8, KP_INT8, KP_INT8, int8_int8),
    SAME_TYPE(KP_INT2, int2),
    SAME_TYPE(KP_INT4, int4),
    SAME_TYPE(KP_INT8, int8),
};
KP_FUNCTIONS(int, funcs);
