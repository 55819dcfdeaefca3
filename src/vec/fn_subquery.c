/* What a scalar subquery checks: that it has found one row at most. */
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

static const struct kp_func funcs[] = {
    FN_UNARY("kp_one_row", KP_FUNC_FUNCTION, KP_STRICT | KP_CAN_FAIL, KP_INT8, KP_BOOL, one_row,
             "true of 1, an error above: what a scalar subquery asks of its number of rows"),
};
KP_FUNCTIONS(subquery, funcs);
