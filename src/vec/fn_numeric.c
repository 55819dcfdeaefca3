/* numeric operators and functions. Sums, differences and products of small values of fitting scales stay in the loop.
 */
#include "vec/fn.h"
#include "vec/numeric_math.h"

static inline void run_binary(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out,
                              kp_numeric_binary function)
{
    struct kp_numeric *to = out->data;
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_error err;
        if (kp_vec_is_null(out, i))
            continue;
        if (function(&FN_AT(struct kp_numeric, 0, i), &FN_AT(struct kp_numeric, 1, i), call->arena, &to[i], &err) !=
            KP_OK)
            fn_fail(call, out, i, &err);
    }
}

#define FAST_KERNEL(name, condition, overflow, result_scale, function)                                                 \
    static void name(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)                       \
    {                                                                                                                  \
        const struct kp_numeric *a = args[0]->data, *b = args[1]->data;                                                \
        size_t stride_a = KP_STRIDE(args[0]), stride_b = KP_STRIDE(args[1]);                                           \
        struct kp_numeric *to = out->data;                                                                             \
        for (uint32_t i = 0; i < call->rows; i++) {                                                                    \
            const struct kp_numeric *x = a + i * stride_a, *y = b + i * stride_b;                                      \
            int64_t coef;                                                                                              \
            if ((x->kind | y->kind) == KP_NUMERIC_SMALL && (condition) && !overflow(x->coef, y->coef, &coef) &&        \
                coef != INT64_MIN) {                                                                                   \
                to[i] = kp_numeric_small(coef, (uint16_t)(result_scale));                                              \
                continue;                                                                                              \
            }                                                                                                          \
            struct kp_error err;                                                                                       \
            if (kp_vec_is_null(out, i))                                                                                \
                continue;                                                                                              \
            if (function(x, y, call->arena, &to[i], &err) != KP_OK)                                                    \
                fn_fail(call, out, i, &err);                                                                           \
        }                                                                                                              \
    }
FAST_KERNEL(numeric_add, x->scale == y->scale, __builtin_add_overflow, x->scale, kp_numeric_add)
FAST_KERNEL(numeric_sub, x->scale == y->scale, __builtin_sub_overflow, x->scale, kp_numeric_sub)
FAST_KERNEL(numeric_mul, x->scale + y->scale <= KP_NUMERIC_SMALL_SCALE_MAX, __builtin_mul_overflow, x->scale + y->scale,
            kp_numeric_mul)

#define BINARY_KERNEL(name, function)                                                                                  \
    static void name(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)                       \
    {                                                                                                                  \
        run_binary(call, args, out, function);                                                                         \
    }
BINARY_KERNEL(numeric_div, kp_numeric_div)
BINARY_KERNEL(numeric_div_trunc, kp_numeric_div_trunc)
BINARY_KERNEL(numeric_mod, kp_numeric_mod)

static void numeric_plus(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    FN_UNARY_LOOP(struct kp_numeric, struct kp_numeric, x);
}

static void numeric_minus(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    FN_UNARY_LOOP(struct kp_numeric, struct kp_numeric, kp_numeric_negate(&x, call->arena));
}

static void numeric_abs(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    FN_UNARY_LOOP(struct kp_numeric, struct kp_numeric, kp_numeric_abs(&x, call->arena));
}

static void numeric_sign(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    FN_UNARY_LOOP(struct kp_numeric, struct kp_numeric,
                  kp_numeric_is_nan(&x) ? x : kp_numeric_small(kp_numeric_sign(&x), 0));
}

static void round_rows(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out,
                       enum kp_numeric_rounding rounding)
{
    struct kp_numeric *to = out->data;
    for (uint32_t i = 0; i < call->rows; i++) {
        int32_t digits = call->arg_count == 2 ? FN_AT(int32_t, 1, i) : 0;
        struct kp_error err;
        if (kp_vec_is_null(out, i))
            continue;
        if (kp_numeric_round(&FN_AT(struct kp_numeric, 0, i), digits, rounding, call->arena, &to[i], &err) != KP_OK)
            fn_fail(call, out, i, &err);
    }
}

#define ROUND_KERNEL(name, rounding)                                                                                   \
    static void name(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)                       \
    {                                                                                                                  \
        round_rows(call, args, out, rounding);                                                                         \
    }
ROUND_KERNEL(numeric_round, KP_ROUND_HALF_AWAY)
ROUND_KERNEL(numeric_trunc, KP_ROUND_TRUNC)
ROUND_KERNEL(numeric_ceil, KP_ROUND_CEIL)
ROUND_KERNEL(numeric_floor, KP_ROUND_FLOOR)

#define UNARY_KERNEL(name, function)                                                                                   \
    static void name(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)                       \
    {                                                                                                                  \
        struct kp_numeric *to = out->data;                                                                             \
        for (uint32_t i = 0; i < call->rows; i++) {                                                                    \
            struct kp_error err;                                                                                       \
            if (!kp_vec_is_null(out, i) &&                                                                             \
                function(&FN_AT(struct kp_numeric, 0, i), call->arena, &to[i], &err) != KP_OK)                         \
                fn_fail(call, out, i, &err);                                                                           \
        }                                                                                                              \
    }
static enum kp_code log10_of(const struct kp_numeric *n, struct kp_arena *arena, struct kp_numeric *ret_n,
                             struct kp_error *err)
{
    struct kp_numeric ten = kp_numeric_small(10, 0);
    return kp_numeric_log(&ten, n, arena, ret_n, err);
}
UNARY_KERNEL(numeric_sqrt, kp_numeric_sqrt)
UNARY_KERNEL(numeric_exp, kp_numeric_exp)
UNARY_KERNEL(numeric_ln, kp_numeric_ln)
UNARY_KERNEL(numeric_log10, log10_of)
BINARY_KERNEL(numeric_log, kp_numeric_log)
BINARY_KERNEL(numeric_power, kp_numeric_power)

static void numeric_scale(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    bool owned = false;
    for (uint32_t i = 0; i < call->rows; i++) {
        const struct kp_numeric *n = &FN_AT(struct kp_numeric, 0, i);
        ((int32_t *)out->data)[i] = n->scale;
        if (!kp_numeric_is_finite(n))
            fn_set_null(call, out, i, &owned);
    }
}

#define OPERATOR(symbol, kernel, doc)                                                                                  \
    FN_BINARY(symbol, KP_FUNC_OPERATOR, KP_STRICT | KP_CAN_FAIL, KP_NUMERIC, KP_NUMERIC, KP_NUMERIC, kernel, doc)
#define PREFIX(symbol, kernel, doc) FN_UNARY(symbol, KP_FUNC_OPERATOR, KP_STRICT, KP_NUMERIC, KP_NUMERIC, kernel, doc)
#define FUNCTION(name, flags, kernel, doc)                                                                             \
    FN_UNARY(name, KP_FUNC_FUNCTION, KP_STRICT | (flags), KP_NUMERIC, KP_NUMERIC, kernel, doc)
#define FUNCTION2(name, second, kernel, doc)                                                                           \
    FN_BINARY(name, KP_FUNC_FUNCTION, KP_STRICT | KP_CAN_FAIL, KP_NUMERIC, second, KP_NUMERIC, kernel, doc)

static const struct kp_func funcs[] = {
    OPERATOR("+", numeric_add, "sum"),
    OPERATOR("-", numeric_sub, "difference"),
    OPERATOR("*", numeric_mul, "product"),
    OPERATOR("/", numeric_div, "quotient of at least 16 significant digits"),
    OPERATOR("%", numeric_mod, "remainder"),
    OPERATOR("^", numeric_power, "power"),
    PREFIX("+", numeric_plus, "the value itself"),
    PREFIX("-", numeric_minus, "negative"),
    PREFIX("@", numeric_abs, "absolute value"),
    FUNCTION("abs", 0, numeric_abs, "absolute value"),
    FUNCTION("sign", KP_MONOTONE, numeric_sign, "-1, 0 or 1"),
    FUNCTION("round", KP_CAN_FAIL | KP_MONOTONE, numeric_round, "nearest integer, halves away from zero"),
    FUNCTION("numeric_sqrt", KP_CAN_FAIL, numeric_sqrt, "square root"),
    FUNCTION("numeric_exp", KP_CAN_FAIL, numeric_exp, "e to the power"),
    FUNCTION("numeric_ln", KP_CAN_FAIL, numeric_ln, "natural logarithm"),
    FUNCTION2("numeric_log", KP_NUMERIC, numeric_log, "logarithm to a base"),
    FUNCTION2("numeric_div_trunc", KP_NUMERIC, numeric_div_trunc, "quotient towards zero"),
    FUNCTION2("round", KP_INT4, numeric_round, "nearest of that many decimals"),
    FUNCTION("trunc", KP_CAN_FAIL | KP_MONOTONE, numeric_trunc, "integer towards zero"),
    FUNCTION2("trunc", KP_INT4, numeric_trunc, "cut to that many decimals"),
    FUNCTION("ceil", KP_CAN_FAIL | KP_MONOTONE, numeric_ceil, "least integer not below"),
    FUNCTION("ceiling", KP_CAN_FAIL | KP_MONOTONE, numeric_ceil, "least integer not below"),
    FUNCTION("floor", KP_CAN_FAIL | KP_MONOTONE, numeric_floor, "greatest integer not above"),
    FUNCTION("sqrt", KP_CAN_FAIL, numeric_sqrt, "square root"),
    FUNCTION("exp", KP_CAN_FAIL, numeric_exp, "e to the power"),
    FUNCTION("ln", KP_CAN_FAIL, numeric_ln, "natural logarithm"),
    FUNCTION("log", KP_CAN_FAIL, numeric_log10, "logarithm to base 10"),
    FUNCTION("log10", KP_CAN_FAIL, numeric_log10, "logarithm to base 10"),
    FUNCTION2("log", KP_NUMERIC, numeric_log, "logarithm to a base"),
    FUNCTION2("power", KP_NUMERIC, numeric_power, "power"),
    FUNCTION2("pow", KP_NUMERIC, numeric_power, "power"),
    FUNCTION2("mod", KP_NUMERIC, numeric_mod, "remainder"),
    FUNCTION2("div", KP_NUMERIC, numeric_div_trunc, "quotient towards zero"),
    FN_UNARY("scale", KP_FUNC_FUNCTION, KP_STRICT, KP_NUMERIC, KP_INT4, numeric_scale, "decimals shown"),
};
KP_FUNCTIONS(numeric, funcs);
