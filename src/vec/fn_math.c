/*
 * More mathematics: hyperbolic functions, angles in degrees, gcd, lcm, factorial, width_bucket, scales of numerics.
 *
 * Functions in degrees are exact at the multiples of 30 and 45 degrees that PostgreSQL promises: what libm gives is
 * divided by what it gives at 30 (sine), 60 (cosine) and 45 degrees (tangent).
 */
#include <math.h>

#include "vec/array.h"
#include "vec/fn.h"

/* ---- hyperbolic ---- */

#define UNARY(name, expression, is_bad)                                                                                \
    static void name##_kernel(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)              \
    {                                                                                                                  \
        for (uint32_t i = 0; i < call->rows; i++) {                                                                    \
            double x = FN_AT(double, 0, i);                                                                            \
            bool bad = is_bad;                                                                                         \
            ((double *)out->data)[i] = bad ? 0 : (expression);                                                         \
            if (bad)                                                                                                   \
                fn_fail_text(call, out, i, "22003", "input is out of range");                                          \
        }                                                                                                              \
    }
UNARY(sinh, sinh(x), false)
UNARY(cosh, cosh(x), false)
UNARY(tanh, tanh(x), false)
UNARY(asinh, asinh(x), false)
UNARY(acosh, acosh(x), x < 1)
UNARY(atanh, x == -1 ? -HUGE_VAL : x == 1 ? HUGE_VAL : atanh(x), x<-1 || x> 1)
UNARY(cot, 1 / tan(x), isinf(x))

/* ---- degrees ---- */

static double radians(double degrees)
{
    return degrees * (M_PI / 180.0);
}

static double sind_q1(double x)
{
    return x <= 30 ? sin(radians(x)) / sin(radians(30)) / 2
                   : 1 - (1 - cos(radians(90 - x))) / (1 - cos(radians(60))) / 2;
}

static double cosd_q1(double x)
{
    return x <= 60 ? 1 - (1 - cos(radians(x))) / (1 - cos(radians(60))) / 2
                   : sin(radians(90 - x)) / sin(radians(30)) / 2;
}

static double sind(double x)
{
    int sign = 1;
    x = fmod(x, 360);
    if (x < 0)
        x = -x, sign = -sign;
    if (x > 180)
        x = 360 - x, sign = -sign;
    if (x > 90)
        x = 180 - x;
    return sign * sind_q1(x);
}

static double cosd(double x)
{
    int sign = 1;
    x = fabs(fmod(x, 360));
    if (x > 180)
        x = 360 - x;
    if (x > 90)
        x = 180 - x, sign = -sign;
    return sign * cosd_q1(x);
}

static double quadrant_tan(double x, bool cotangent)
{
    int sign = 1;
    x = fmod(x, 360);
    if (x < 0)
        x = -x, sign = -sign;
    if (x > 180)
        x = 360 - x, sign = -sign;
    if (x > 90)
        x = 180 - x, sign = -sign;
    double sine = sind_q1(x), cosine = cosd_q1(x), unit = sind_q1(45) / cosd_q1(45);
    double result = sign * (cotangent ? cosine / sine / (1 / unit) : sine / cosine / unit);
    return result == 0 ? 0 : result; /* never -0 */
}

static double asind_q1(double x)
{
    if (x <= 0.5)
        return asin(x) / asin(0.5) * 30;
    return 90 - acos(x) / acos(0.5) * 60;
}

static double acosd_q1(double x)
{
    if (x <= 0.5)
        return 90 - asin(x) / asin(0.5) * 30;
    return acos(x) / acos(0.5) * 60;
}

UNARY(sind, sind(x), isinf(x))
UNARY(cosd, cosd(x), isinf(x))
UNARY(tand, quadrant_tan(x, false), isinf(x))
UNARY(cotd, quadrant_tan(x, true), isinf(x))
UNARY(asind, x != x ? x : x >= 0 ? asind_q1(x) : -asind_q1(-x), x<-1 || x> 1)
UNARY(acosd, x != x ? x : x >= 0 ? acosd_q1(x) : 90 + asind_q1(-x), x<-1 || x> 1)
UNARY(atand, atan(x) / atan(1.0) * 45, false)

static void atan2d_kernel(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    FN_BINARY_LOOP(double, double, double, atan2(x, y) / atan(1.0) * 45);
}

/* ---- whole numbers ---- */

static uint64_t gcd64(uint64_t a, uint64_t b)
{
    while (b) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static uint64_t magnitude(int64_t x)
{
    return x < 0 ? 0 - (uint64_t)x : (uint64_t)x;
}

#define WHOLE(suffix, type, max, name)                                                                                 \
    static void gcd_##suffix(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)               \
    {                                                                                                                  \
        for (uint32_t i = 0; i < call->rows; i++) {                                                                    \
            uint64_t value = gcd64(magnitude(FN_AT(type, 0, i)), magnitude(FN_AT(type, 1, i)));                        \
            if (value > (max))                                                                                         \
                fn_fail_text(call, out, i, "22003", name " out of range");                                             \
            ((type *)out->data)[i] = (type)value;                                                                      \
        }                                                                                                              \
    }                                                                                                                  \
    static void lcm_##suffix(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)               \
    {                                                                                                                  \
        for (uint32_t i = 0; i < call->rows; i++) {                                                                    \
            uint64_t a = magnitude(FN_AT(type, 0, i)), b = magnitude(FN_AT(type, 1, i));                               \
            unsigned __int128 value = a && b ? (unsigned __int128)(a / gcd64(a, b)) * b : 0;                           \
            if (value > (max))                                                                                         \
                fn_fail_text(call, out, i, "22003", name " out of range");                                             \
            ((type *)out->data)[i] = (type)(uint64_t)value;                                                            \
        }                                                                                                              \
    }
WHOLE(int4, int32_t, INT32_MAX, "integer")
WHOLE(int8, int64_t, INT64_MAX, "bigint")

/* Euclid's, with the greater of both scales. */
static enum kp_code gcd_of(struct kp_numeric a, struct kp_numeric b, struct kp_arena *arena, struct kp_numeric *ret_n,
                           struct kp_error *err)
{
    int32_t scale = KP_MAX(a.scale, b.scale);
    if (!kp_numeric_is_finite(&a) || !kp_numeric_is_finite(&b)) {
        *ret_n = kp_numeric_special(KP_NUMERIC_NAN);
        return KP_OK;
    }
    a = kp_numeric_abs(&a, arena);
    b = kp_numeric_abs(&b, arena);
    while (kp_numeric_sign(&b) != 0) {
        struct kp_numeric rest;
        KP_TRY(kp_numeric_mod(&a, &b, arena, &rest, err));
        a = b;
        b = rest;
    }
    return kp_numeric_round(&a, scale, KP_ROUND_TRUNC, arena, ret_n, err);
}

static enum kp_code lcm_of(struct kp_numeric a, struct kp_numeric b, struct kp_arena *arena, struct kp_numeric *ret_n,
                           struct kp_error *err)
{
    int32_t scale = KP_MAX(a.scale, b.scale);
    struct kp_numeric divisor, product;
    KP_TRY(gcd_of(a, b, arena, &divisor, err));
    if (!kp_numeric_is_finite(&divisor)) {
        *ret_n = divisor;
        return KP_OK;
    }
    if (kp_numeric_sign(&a) == 0 || kp_numeric_sign(&b) == 0)
        product = kp_numeric_small(0, 0);
    else {
        KP_TRY(kp_numeric_div_trunc(&a, &divisor, arena, &product, err));
        KP_TRY(kp_numeric_mul(&product, &b, arena, &product, err));
    }
    product = kp_numeric_abs(&product, arena);
    return kp_numeric_round(&product, scale, KP_ROUND_TRUNC, arena, ret_n, err);
}

#define NUMERIC_KERNEL(name, function)                                                                                 \
    static void name(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)                       \
    {                                                                                                                  \
        struct kp_numeric *to = out->data;                                                                             \
        for (uint32_t i = 0; i < call->rows; i++) {                                                                    \
            struct kp_error err;                                                                                       \
            to[i] = kp_numeric_small(0, 0);                                                                            \
            if (!kp_vec_is_null(out, i) && function(FN_AT(struct kp_numeric, 0, i), FN_AT(struct kp_numeric, 1, i),    \
                                                    call->arena, &to[i], &err) != KP_OK)                               \
                fn_fail(call, out, i, &err);                                                                           \
        }                                                                                                              \
    }
NUMERIC_KERNEL(gcd_numeric, gcd_of)
NUMERIC_KERNEL(lcm_numeric, lcm_of)

static void factorial(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_numeric *to = out->data;
    for (uint32_t i = 0; i < call->rows; i++) {
        int64_t n = FN_AT(int64_t, 0, i);
        to[i] = kp_numeric_small(1, 0);
        if (kp_vec_is_null(out, i))
            continue;
        if (n < 0) {
            kp_call_fail(call, i, "22003", "factorial of a negative number is undefined");
        } else if (n > 32177) {
            kp_call_fail(call, i, "22003", "value overflows numeric format");
        } else {
            struct kp_error err;
            for (int64_t k = 2; k <= n; k++) {
                struct kp_numeric factor = kp_numeric_small(k, 0), product;
                if (kp_numeric_mul(&to[i], &factor, call->arena, &product, &err) != KP_OK) {
                    fn_fail(call, out, i, &err);
                    break;
                }
                to[i] = product;
            }
        }
    }
}

/* ---- scales ---- */

/* The scale without trailing zeros. */
static int32_t least_scale(struct kp_call *call, const struct kp_numeric *n)
{
    struct kp_numeric cut;
    int32_t scale = n->scale;
    while (scale > 0 && kp_numeric_round(n, scale - 1, KP_ROUND_TRUNC, call->arena, &cut, NULL) == KP_OK &&
           kp_numeric_compare(&cut, n) == 0)
        scale--;
    return scale;
}

static void min_scale(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    bool owned = false;
    for (uint32_t i = 0; i < call->rows; i++) {
        const struct kp_numeric n = FN_AT(struct kp_numeric, 0, i);
        ((int32_t *)out->data)[i] = 0;
        if (kp_vec_is_null(out, i))
            continue;
        if (kp_numeric_is_finite(&n))
            ((int32_t *)out->data)[i] = least_scale(call, &n);
        else
            fn_set_null(call, out, i, &owned);
    }
}

static void trim_scale(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_numeric *to = out->data;
    for (uint32_t i = 0; i < call->rows; i++) {
        const struct kp_numeric n = FN_AT(struct kp_numeric, 0, i);
        struct kp_error err;
        to[i] = n;
        if (kp_vec_is_null(out, i) || !kp_numeric_is_finite(&n))
            continue;
        if (kp_numeric_round(&n, least_scale(call, &n), KP_ROUND_TRUNC, call->arena, &to[i], &err) != KP_OK)
            fn_fail(call, out, i, &err);
    }
}

/* ---- width_bucket ---- */

static void width_bucket_float(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    int32_t *to = out->data;
    for (uint32_t i = 0; i < call->rows; i++) {
        double x = FN_AT(double, 0, i), low = FN_AT(double, 1, i), high = FN_AT(double, 2, i);
        int32_t count = FN_AT(int32_t, 3, i);
        to[i] = 0;
        if (count <= 0) {
            fn_fail_text(call, out, i, "2201G", "count must be greater than zero");
        } else if (x != x || low != low || high != high) {
            fn_fail_text(call, out, i, "2201G", "operand, lower bound, and upper bound cannot be NaN");
        } else if (isinf(low) || isinf(high)) {
            fn_fail_text(call, out, i, "2201G", "lower and upper bounds must be finite");
        } else if (low == high) {
            fn_fail_text(call, out, i, "2201G", "lower bound cannot equal upper bound");
        } else {
            bool up = low < high;
            double span = up ? high - low : low - high, part = up ? x - low : low - x;
            double place = (double)count * part / span; /* PostgreSQL's order of operations, but where it overflows */
            if (!isfinite(place))
                place = (double)count * (part / 2 / (high / 2 - low / 2) * (up ? 2 : -2) / 2);
            bool before = up ? x < low : x > low, behind = up ? x >= high : x <= high;
            if (behind && count == INT32_MAX)
                fn_fail_text(call, out, i, "22003", "integer out of range");
            else if (before || behind)
                to[i] = before ? 0 : count + 1;
            else /* what rounds up to the count goes one further, as in PostgreSQL 15 */
                to[i] = place >= (double)count ? (int32_t)((uint32_t)count + 1) : (int32_t)place + 1;
        }
    }
}

static enum kp_code bucket_of(const struct kp_numeric *x, const struct kp_numeric *low, const struct kp_numeric *high,
                              int32_t count, struct kp_arena *arena, int32_t *ret_bucket, struct kp_error *err)
{
    bool up = kp_numeric_compare(low, high) < 0;
    int order_low = kp_numeric_compare(x, low), order_high = kp_numeric_compare(x, high);
    if (up ? order_low < 0 : order_low > 0) {
        *ret_bucket = 0;
        return KP_OK;
    }
    if (up ? order_high >= 0 : order_high <= 0) {
        if (count == INT32_MAX)
            return kp_fail(err, KP_INVALID, "22003", "integer out of range");
        *ret_bucket = count + 1;
        return KP_OK;
    }
    struct kp_numeric part, whole, times = kp_numeric_from_i64(count, arena), quotient;
    int64_t bucket;
    KP_TRY(kp_numeric_sub(x, low, arena, &part, err));
    KP_TRY(kp_numeric_sub(high, low, arena, &whole, err));
    KP_TRY(kp_numeric_mul(&part, &times, arena, &part, err));
    KP_TRY(kp_numeric_div(&part, &whole, arena, &quotient,
                          err)); /* what rounds up goes one further, as in PostgreSQL 15 */
    KP_TRY(kp_numeric_round(&quotient, 0, KP_ROUND_FLOOR, arena, &quotient, err));
    KP_TRY(kp_numeric_to_int(&quotient, KP_INT8, &bucket, err));
    *ret_bucket = (int32_t)bucket + 1;
    return KP_OK;
}

static void width_bucket_numeric(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    int32_t *to = out->data;
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_numeric x = FN_AT(struct kp_numeric, 0, i), low = FN_AT(struct kp_numeric, 1, i),
                          high = FN_AT(struct kp_numeric, 2, i);
        int32_t count = FN_AT(int32_t, 3, i);
        struct kp_error err;
        to[i] = 0;
        if (count <= 0)
            fn_fail_text(call, out, i, "2201G", "count must be greater than zero");
        else if (kp_numeric_is_nan(&x) || kp_numeric_is_nan(&low) || kp_numeric_is_nan(&high))
            fn_fail_text(call, out, i, "2201G", "operand, lower bound, and upper bound cannot be NaN");
        else if (!kp_numeric_is_finite(&low) || !kp_numeric_is_finite(&high))
            fn_fail_text(call, out, i, "2201G", "lower and upper bounds must be finite");
        else if (kp_numeric_compare(&low, &high) == 0)
            fn_fail_text(call, out, i, "2201G", "lower bound cannot equal upper bound");
        else if (bucket_of(&x, &low, &high, count, call->arena, &to[i], &err) != KP_OK)
            fn_fail(call, out, i, &err);
    }
}

/* width_bucket(value, thresholds): how many thresholds are not above it. */
static void width_bucket_array(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_array array;
        int32_t bucket = 0;
        kp_array_read(args[1]->type.id, &FN_AT(struct kp_text, 1, i), &array);
        if (array.dimensions > 1)
            fn_fail_text(call, out, i, "2202E", "thresholds must be one-dimensional array");
        else if (array.valid)
            fn_fail_text(call, out, i, "22004", "thresholds array must not contain NULLs");
        else
            for (uint32_t low = 0, high = array.count; low < high;) {
                uint32_t mid = (low + high) / 2;
                uint64_t value[2];
                kp_array_get(&array, mid, call->arena, value);
                if (kp_value_compare(array.element, kp_vec_at(args[0], i), value) < 0)
                    high = mid;
                else
                    low = mid + 1;
                bucket = (int32_t)low;
            }
        ((int32_t *)out->data)[i] = bucket;
    }
}

#define FLOAT1(name, flags, doc)                                                                                       \
    FN_UNARY(#name, KP_FUNC_FUNCTION, KP_STRICT | (flags), KP_FLOAT8, KP_FLOAT8, name##_kernel, doc)
static const struct kp_func funcs[] = {
    FLOAT1(sinh, 0, "hyperbolic sine"),
    FLOAT1(cosh, 0, "hyperbolic cosine"),
    FLOAT1(tanh, 0, "hyperbolic tangent"),
    FLOAT1(asinh, 0, "inverse hyperbolic sine"),
    FLOAT1(acosh, KP_CAN_FAIL, "inverse hyperbolic cosine"),
    FLOAT1(atanh, KP_CAN_FAIL, "inverse hyperbolic tangent"),
    FLOAT1(cot, KP_CAN_FAIL, "cotangent"),
    FLOAT1(sind, KP_CAN_FAIL, "sine of degrees"),
    FLOAT1(cosd, KP_CAN_FAIL, "cosine of degrees"),
    FLOAT1(tand, KP_CAN_FAIL, "tangent of degrees"),
    FLOAT1(cotd, KP_CAN_FAIL, "cotangent of degrees"),
    FLOAT1(asind, KP_CAN_FAIL, "inverse sine in degrees"),
    FLOAT1(acosd, KP_CAN_FAIL, "inverse cosine in degrees"),
    FLOAT1(atand, 0, "inverse tangent in degrees"),
    FN_BINARY("atan2d", KP_FUNC_FUNCTION, KP_STRICT, KP_FLOAT8, KP_FLOAT8, KP_FLOAT8, atan2d_kernel,
              "inverse tangent in degrees"),
    FN_BINARY("gcd", KP_FUNC_FUNCTION, KP_STRICT | KP_CAN_FAIL, KP_INT4, KP_INT4, KP_INT4, gcd_int4,
              "greatest common divisor"),
    FN_BINARY("gcd", KP_FUNC_FUNCTION, KP_STRICT | KP_CAN_FAIL, KP_INT8, KP_INT8, KP_INT8, gcd_int8,
              "greatest common divisor"),
    FN_BINARY("lcm", KP_FUNC_FUNCTION, KP_STRICT | KP_CAN_FAIL, KP_INT4, KP_INT4, KP_INT4, lcm_int4,
              "least common multiple"),
    FN_BINARY("lcm", KP_FUNC_FUNCTION, KP_STRICT | KP_CAN_FAIL, KP_INT8, KP_INT8, KP_INT8, lcm_int8,
              "least common multiple"),
    FN_BINARY("gcd", KP_FUNC_FUNCTION, KP_STRICT | KP_CAN_FAIL, KP_NUMERIC, KP_NUMERIC, KP_NUMERIC, gcd_numeric,
              "greatest common divisor"),
    FN_BINARY("lcm", KP_FUNC_FUNCTION, KP_STRICT | KP_CAN_FAIL, KP_NUMERIC, KP_NUMERIC, KP_NUMERIC, lcm_numeric,
              "least common multiple"),
    FN_UNARY("factorial", KP_FUNC_FUNCTION, KP_STRICT | KP_CAN_FAIL, KP_INT8, KP_NUMERIC, factorial,
             "product of the numbers up to it"),
    FN_UNARY("min_scale", KP_FUNC_FUNCTION, KP_STRICT, KP_NUMERIC, KP_INT4, min_scale, "decimals it needs"),
    FN_UNARY("trim_scale", KP_FUNC_FUNCTION, KP_STRICT, KP_NUMERIC, KP_NUMERIC, trim_scale, "without trailing zeros"),
    {.name = "width_bucket",
     .kind = KP_FUNC_FUNCTION,
     .flags = KP_STRICT | KP_CAN_FAIL,
     .arg_count = 4,
     .args = {KP_FLOAT8, KP_FLOAT8, KP_FLOAT8, KP_INT4},
     .ret = KP_INT4,
     .kernel = width_bucket_float,
     .doc = "number of the bucket of equal width"},
    {.name = "width_bucket",
     .kind = KP_FUNC_FUNCTION,
     .flags = KP_STRICT | KP_CAN_FAIL,
     .arg_count = 4,
     .args = {KP_NUMERIC, KP_NUMERIC, KP_NUMERIC, KP_INT4},
     .ret = KP_INT4,
     .kernel = width_bucket_numeric,
     .doc = "number of the bucket of equal width"},
    FN_BINARY("width_bucket", KP_FUNC_FUNCTION, KP_STRICT | KP_CAN_FAIL, KP_ANYCOMPATIBLE, KP_ANYCOMPATIBLEARRAY,
              KP_INT4, width_bucket_array, "number of the bucket between thresholds"),
};
KP_FUNCTIONS(math, funcs);
