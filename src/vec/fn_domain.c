/* What domains are made of: a value passes through, or its row fails. SQL cannot name these. */
#include "vec/fn.h"

/* The value itself, and its NULLs. */
static void pass(struct kp_call *call, const struct kp_vec *value, struct kp_vec *out)
{
    struct kp_vec flat = kp_vec_flatten(value, call->arena, call->rows);
    memcpy(out->data, flat.data, call->rows * kp_vec_width(out));
    out->valid = flat.valid;
}

/* kp_domain_check(value, condition, domain, constraint): fails where the condition is false. */
static void check(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    pass(call, args[0], out);
    for (uint32_t i = 0; i < call->rows; i++) {
        if (kp_vec_is_null(args[1], i) || FN_AT(uint8_t, 1, i))
            continue;
        struct kp_text domain = FN_AT(struct kp_text, 2, i), constraint = FN_AT(struct kp_text, 3, i);
        kp_call_fail(call, i, "23514", "value for domain %.*s violates check constraint \"%.*s\"", (int)domain.len,
                     kp_text_bytes(&domain), (int)constraint.len, kp_text_bytes(&constraint));
    }
}

/* kp_domain_not_null(value, domain). */
static void not_null(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    pass(call, args[0], out);
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_text domain = FN_AT(struct kp_text, 1, i);
        if (kp_vec_is_null(args[0], i))
            kp_call_fail(call, i, "23502", "domain %.*s does not allow null values", (int)domain.len,
                         kp_text_bytes(&domain));
    }
}

static const struct kp_func funcs[] = {
    {.name = "kp_domain_check",
     .kind = KP_FUNC_FUNCTION,
     .flags = KP_CAN_FAIL,
     .arg_count = 4,
     .args = {KP_ANYELEMENT, KP_BOOL, KP_TEXT, KP_TEXT},
     .ret = KP_ANYELEMENT,
     .kernel = check,
     .doc = "CHECK of a domain"},
    FN_BINARY("kp_domain_not_null", KP_FUNC_FUNCTION, KP_CAN_FAIL, KP_ANYELEMENT, KP_TEXT, KP_ANYELEMENT, not_null,
              "NOT NULL of a domain"),
};
KP_FUNCTIONS(domain, funcs);
