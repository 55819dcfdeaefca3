/* What a scalar subquery checks: that it has found one row at most; and what LIMIT and OFFSET check of theirs. */
#include "vec/fn.h"

static void one_row(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    const int64_t *counts = args[0]->data;
    size_t stride = KP_STRIDE(args[0]);
    for (uint32_t i = 0; i < call->rows; i++) {
        ((uint8_t *)out->data)[i] = counts[i * stride] == 1;
        if (counts[i * stride] > 1 && !(args[0]->valid && kp_vec_is_null(args[0], i)))
            kp_call_fail(call, i, "21000", "more than one row returned by a subquery used as an expression");
    }
}

static void count_rows(struct kp_call *call, const struct kp_vec *given, int64_t none, const char *sqlstate,
                       const char *message, struct kp_vec *out)
{
    const int64_t *counts = given->data;
    size_t stride = KP_STRIDE(given);
    for (uint32_t i = 0; i < call->rows; i++) {
        bool null = kp_vec_is_null(given, i);
        ((int64_t *)out->data)[i] = null ? none : counts[i * stride];
        if (!null && counts[i * stride] < 0)
            kp_call_fail(call, i, sqlstate, message);
    }
}

static void limit_rows(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    count_rows(call, args[0], INT64_MAX, "2201W", "LIMIT must not be negative", out);
}

static void offset_rows(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    count_rows(call, args[0], 0, "2201X", "OFFSET must not be negative", out);
}

static const struct kp_func funcs[] = {
    FN_UNARY("kp_one_row", KP_FUNC_FUNCTION, KP_STRICT | KP_CAN_FAIL, KP_INT8, KP_BOOL, one_row,
             "true of 1, an error above: what a scalar subquery asks of its number of rows"),
    FN_UNARY("kp_limit_rows", KP_FUNC_FUNCTION, KP_CAN_FAIL, KP_INT8, KP_INT8, limit_rows,
             "the value, of NULL the largest bigint, an error below 0: what LIMIT asks of a subquery"),
    FN_UNARY("kp_offset_rows", KP_FUNC_FUNCTION, KP_CAN_FAIL, KP_INT8, KP_INT8, offset_rows,
             "the value, of NULL 0, an error below 0: what OFFSET asks of a subquery"),
};
KP_FUNCTIONS(subquery, funcs);
