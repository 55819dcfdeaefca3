/* Boolean functions. AND, OR, NOT, IS … are expressions of their own in flow/, since they treat NULL specially. */
#include "vec/fn.h"

static void bool_not(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    FN_UNARY_LOOP(uint8_t, uint8_t, !x);
}

static void bool_to_int4(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    FN_UNARY_LOOP(uint8_t, int32_t, x != 0);
}

static void int4_to_bool(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    FN_UNARY_LOOP(int32_t, uint8_t, x != 0);
}

static const struct kp_func funcs[] = {
    FN_UNARY("not", KP_FUNC_FUNCTION, KP_STRICT, KP_BOOL, KP_BOOL, bool_not, "negation"),
    FN_UNARY("int4", KP_FUNC_CAST, KP_STRICT, KP_BOOL, KP_INT4, bool_to_int4, "1 for true, 0 for false"),
    FN_UNARY("bool", KP_FUNC_CAST, KP_STRICT, KP_INT4, KP_BOOL, int4_to_bool, "true unless 0"),
};
KP_FUNCTIONS(bool, funcs);
