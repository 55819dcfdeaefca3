/*
 * Floating-point arithmetic and mathematics, with PostgreSQL's errors: 22003 for overflow and underflow of finite
 * operands, 22012 for a zero divisor, 2201E and 2201F for logarithms and powers outside their domain.
 */
#include <math.h>
#include <stdio.h>

#include "vec/fn.h"

enum fault {
    FAULT_NONE,
    FAULT_OVERFLOW,
    FAULT_UNDERFLOW,
    FAULT_ZERO,
    FAULT_LOG_ZERO,
    FAULT_LOG_NEGATIVE,
    FAULT_ROOT,
    FAULT_ZERO_POWER,
    FAULT_COMPLEX_POWER,
    FAULT_INPUT
};

static void fail(struct kp_call *call, const struct kp_vec *out, uint32_t row, enum fault fault)
{
    static const struct {
        const char *sqlstate, *message;
    } faults[] = {
        [FAULT_OVERFLOW] = {"22003", "value out of range: overflow"},
        [FAULT_UNDERFLOW] = {"22003", "value out of range: underflow"},
        [FAULT_ZERO] = {"22012", "division by zero"},
        [FAULT_LOG_ZERO] = {"2201E", "cannot take logarithm of zero"},
        [FAULT_LOG_NEGATIVE] = {"2201E", "cannot take logarithm of a negative number"},
        [FAULT_ROOT] = {"2201F", "cannot take square root of a negative number"},
        [FAULT_ZERO_POWER] = {"2201F", "zero raised to a negative power is undefined"},
        [FAULT_COMPLEX_POWER] = {"2201F", "a negative number raised to a non-integer power yields a complex result"},
        [FAULT_INPUT] = {"22003", "input is out of range"},
    };
    fn_fail_text(call, out, row, faults[fault].sqlstate, faults[fault].message);
}

/* Loops compute all rows and note whether a result looks wrong; a second pass judges each. */
#define ARITH(type, name, expression, judge)                                                                           \
    static void type##_##name(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)              \
    {                                                                                                                  \
        FN_BINARY_LOOP(type, type, type, expression);                                                                  \
        const type *restrict results = out->data;                                                                      \
        int odd = 0;                                                                                                   \
        for (size_t i = 0; i < call->rows; i++)                                                                        \
            odd |= (results[i] - results[i] != 0) | (results[i] == 0);                                                 \
        for (uint32_t i = 0; odd && i < call->rows; i++) {                                                             \
            enum fault fault = judge((double)FN_AT(type, 0, i), (double)FN_AT(type, 1, i), (double)results[i]);        \
            if (fault)                                                                                                 \
                fail(call, out, i, fault);                                                                             \
        }                                                                                                              \
    }

static enum fault judge_sum(double x, double y, double result)
{
    return isinf(result) && !isinf(x) && !isinf(y) ? FAULT_OVERFLOW : FAULT_NONE;
}
static enum fault judge_product(double x, double y, double result)
{
    if (isinf(result) && !isinf(x) && !isinf(y))
        return FAULT_OVERFLOW;
    return result == 0 && x != 0 && y != 0 ? FAULT_UNDERFLOW : FAULT_NONE;
}
static enum fault judge_quotient(double x, double y, double result)
{
    if (y == 0 && !isnan(x))
        return FAULT_ZERO;
    if (isinf(result) && !isinf(x))
        return FAULT_OVERFLOW;
    return result == 0 && x != 0 && !isinf(y) ? FAULT_UNDERFLOW : FAULT_NONE;
}

#define ARITH_ALL(type)                                                                                                \
    ARITH(type, add, x + y, judge_sum)                                                                                 \
    ARITH(type, sub, x - y, judge_sum)                                                                                 \
    ARITH(type, mul, x *y, judge_product)                                                                              \
    ARITH(type, div, y == 0 ? (type)NAN : x / y, judge_quotient)                                                       \
    static void type##_minus(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)               \
    {                                                                                                                  \
        FN_UNARY_LOOP(type, type, -x);                                                                                 \
    }                                                                                                                  \
    static void type##_plus(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)                \
    {                                                                                                                  \
        FN_UNARY_LOOP(type, type, x);                                                                                  \
    }
ARITH_ALL(float)
ARITH_ALL(double)

static void float_abs(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    FN_UNARY_LOOP(float, float, fabsf(x));
}

/* ---- mathematics: result and fault of one value ---- */

#define MATH(name, expression, judgement)                                                                              \
    static void math_##name(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)                \
    {                                                                                                                  \
        double *restrict to = out->data;                                                                               \
        for (uint32_t i = 0; i < call->rows; i++) {                                                                    \
            double x = FN_AT(double, 0, i);                                                                            \
            double result = expression;                                                                                \
            enum fault fault = judgement;                                                                              \
            to[i] = result;                                                                                            \
            if (fault)                                                                                                 \
                fail(call, out, i, fault);                                                                             \
        }                                                                                                              \
    }
#define LOG_FAULT (x == 0 ? FAULT_LOG_ZERO : x < 0 ? FAULT_LOG_NEGATIVE : FAULT_NONE)

MATH(abs, fabs(x), FAULT_NONE)
MATH(ceil, ceil(x), FAULT_NONE)
MATH(floor, floor(x), FAULT_NONE)
MATH(round, rint(x), FAULT_NONE)
MATH(trunc, trunc(x), FAULT_NONE)
MATH(sign, (double)((x > 0) - (x < 0)), FAULT_NONE)
MATH(sqrt, sqrt(x), x < 0 ? FAULT_ROOT : FAULT_NONE)
MATH(cbrt, cbrt(x), FAULT_NONE)
MATH(exp, exp(x), isinf(result) && !isinf(x) ? FAULT_OVERFLOW : result == 0 && !isinf(x) ? FAULT_UNDERFLOW : FAULT_NONE)
MATH(ln, x > 0 ? log(x) : x, LOG_FAULT)
MATH(log10, x > 0 ? log10(x) : x, LOG_FAULT)
MATH(sin, sin(x), isinf(x) ? FAULT_INPUT : FAULT_NONE)
MATH(cos, cos(x), isinf(x) ? FAULT_INPUT : FAULT_NONE)
MATH(tan, tan(x), isinf(x) ? FAULT_INPUT : FAULT_NONE)
MATH(asin, asin(x), x<-1 || x> 1 ? FAULT_INPUT : FAULT_NONE)
MATH(acos, acos(x), x<-1 || x> 1 ? FAULT_INPUT : FAULT_NONE)
MATH(atan, atan(x), FAULT_NONE)
MATH(degrees, x / (M_PI / 180.0), isinf(result) && !isinf(x) ? FAULT_OVERFLOW : FAULT_NONE)
MATH(radians, x *(M_PI / 180.0), result == 0 && x != 0 ? FAULT_UNDERFLOW : FAULT_NONE)

static enum fault power(double x, double y, double *ret_result)
{
    *ret_result = 0;
    if (isnan(x) || isnan(y)) {
        *ret_result = (isnan(x) && y == 0) || (isnan(y) && x == 1) ? 1.0 : (double)NAN;
        return FAULT_NONE;
    }
    if (x == 0 && y < 0)
        return FAULT_ZERO_POWER;
    if (x < 0 && floor(y) != y)
        return FAULT_COMPLEX_POWER;
    double result = pow(x, y);
    *ret_result = result;
    if (isinf(x) || isinf(y))
        return FAULT_NONE;
    if (isinf(result))
        return FAULT_OVERFLOW;
    return result == 0 && x != 0 ? FAULT_UNDERFLOW : FAULT_NONE;
}

static void math_power(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    double *to = out->data;
    for (uint32_t i = 0; i < call->rows; i++) {
        enum fault fault = power(FN_AT(double, 0, i), FN_AT(double, 1, i), &to[i]);
        if (fault)
            fail(call, out, i, fault);
    }
}

static void math_atan2(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    FN_BINARY_LOOP(double, double, double, atan2(x, y));
}

static void math_pi(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    (void)args;
    for (uint32_t i = 0; i < call->rows; i++)
        ((double *)out->data)[i] = M_PI;
}

#define OPERATOR(symbol, flags, type, kernel, doc)                                                                     \
    FN_BINARY(symbol, KP_FUNC_OPERATOR, KP_STRICT | (flags), type, type, type, kernel, doc)
#define ARITHMETIC(type, name)                                                                                         \
    OPERATOR("+", KP_CAN_FAIL, type, name##_add, "sum"), OPERATOR("-", KP_CAN_FAIL, type, name##_sub, "difference"),   \
        OPERATOR("*", KP_CAN_FAIL, type, name##_mul, "product"),                                                       \
        OPERATOR("/", KP_CAN_FAIL, type, name##_div, "quotient"),                                                      \
        FN_UNARY("-", KP_FUNC_OPERATOR, KP_STRICT, type, type, name##_minus, "negative"),                              \
        FN_UNARY("+", KP_FUNC_OPERATOR, KP_STRICT, type, type, name##_plus, "the value itself")
#define FUNCTION(name, flags, kernel, doc)                                                                             \
    FN_UNARY(name, KP_FUNC_FUNCTION, KP_STRICT | (flags), KP_FLOAT8, KP_FLOAT8, kernel, doc)

static const struct kp_func funcs[] = {
    ARITHMETIC(KP_FLOAT4, float),
    ARITHMETIC(KP_FLOAT8, double),
    OPERATOR("^", KP_CAN_FAIL, KP_FLOAT8, math_power, "power"),
    FN_UNARY("@", KP_FUNC_OPERATOR, KP_STRICT, KP_FLOAT4, KP_FLOAT4, float_abs, "absolute value"),
    FN_UNARY("@", KP_FUNC_OPERATOR, KP_STRICT, KP_FLOAT8, KP_FLOAT8, math_abs, "absolute value"),
    FN_UNARY("|/", KP_FUNC_OPERATOR, KP_STRICT | KP_CAN_FAIL, KP_FLOAT8, KP_FLOAT8, math_sqrt, "square root"),
    FN_UNARY("||/", KP_FUNC_OPERATOR, KP_STRICT, KP_FLOAT8, KP_FLOAT8, math_cbrt, "cube root"),
    FN_UNARY("abs", KP_FUNC_FUNCTION, KP_STRICT, KP_FLOAT4, KP_FLOAT4, float_abs, "absolute value"),
    FUNCTION("abs", 0, math_abs, "absolute value"),
    FUNCTION("ceil", KP_MONOTONE, math_ceil, "least integer not below"),
    FUNCTION("ceiling", KP_MONOTONE, math_ceil, "least integer not below"),
    FUNCTION("floor", KP_MONOTONE, math_floor, "greatest integer not above"),
    FUNCTION("dexp", KP_CAN_FAIL, math_exp, "e to the power"),
    FUNCTION("dlog1", KP_CAN_FAIL, math_ln, "natural logarithm"),
    FUNCTION("dlog10", KP_CAN_FAIL, math_log10, "logarithm to base 10"),
    FUNCTION("dround", KP_MONOTONE, math_round, "nearest integer, halves to even"),
    FUNCTION("dtrunc", KP_MONOTONE, math_trunc, "integer towards zero"),
    FUNCTION("round", KP_MONOTONE, math_round, "nearest integer, halves to even"),
    FUNCTION("trunc", KP_MONOTONE, math_trunc, "integer towards zero"),
    FUNCTION("sign", KP_MONOTONE, math_sign, "-1, 0 or 1"),
    FUNCTION("sqrt", KP_CAN_FAIL, math_sqrt, "square root"),
    FUNCTION("cbrt", 0, math_cbrt, "cube root"),
    FUNCTION("exp", KP_CAN_FAIL, math_exp, "e to the power"),
    FUNCTION("ln", KP_CAN_FAIL, math_ln, "natural logarithm"),
    FUNCTION("log", KP_CAN_FAIL, math_log10, "logarithm to base 10"),
    FUNCTION("log10", KP_CAN_FAIL, math_log10, "logarithm to base 10"),
    FUNCTION("sin", KP_CAN_FAIL, math_sin, "sine"),
    FUNCTION("cos", KP_CAN_FAIL, math_cos, "cosine"),
    FUNCTION("tan", KP_CAN_FAIL, math_tan, "tangent"),
    FUNCTION("asin", KP_CAN_FAIL, math_asin, "inverse sine"),
    FUNCTION("acos", KP_CAN_FAIL, math_acos, "inverse cosine"),
    FUNCTION("atan", 0, math_atan, "inverse tangent"),
    FUNCTION("degrees", KP_CAN_FAIL, math_degrees, "radians to degrees"),
    FUNCTION("radians", 0, math_radians, "degrees to radians"),
    FN_BINARY("power", KP_FUNC_FUNCTION, KP_STRICT | KP_CAN_FAIL, KP_FLOAT8, KP_FLOAT8, KP_FLOAT8, math_power, "power"),
    FN_BINARY("pow", KP_FUNC_FUNCTION, KP_STRICT | KP_CAN_FAIL, KP_FLOAT8, KP_FLOAT8, KP_FLOAT8, math_power, "power"),
    FN_BINARY("atan2", KP_FUNC_FUNCTION, KP_STRICT, KP_FLOAT8, KP_FLOAT8, KP_FLOAT8, math_atan2, "inverse tangent"),
    {.name = "pi", .kind = KP_FUNC_FUNCTION, .flags = KP_STRICT, .ret = KP_FLOAT8, .kernel = math_pi, .doc = "π"},
};
KP_FUNCTIONS(float, funcs);
