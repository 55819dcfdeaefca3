/* pg_typeof: the type of the argument, as its regtype; known when the query is bound. */
#include "vec/fn.h"

static void type_of(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    for (uint32_t i = 0; i < call->rows; i++)
        ((uint32_t *)out->data)[i] = kp_type_info(args[0]->type.id)->oid;
}

/* Of a value that is called by a domain, whose number is the second argument. */
static void type_of_domain(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    for (uint32_t i = 0; i < call->rows; i++)
        ((uint32_t *)out->data)[i] = FN_AT(uint32_t, 1, i);
}

static const struct kp_func funcs[] = {
    FN_UNARY("pg_typeof", KP_FUNC_FUNCTION, KP_VOLATILE, KP_ANY, KP_REGTYPE, type_of, "the type of a value"),
    FN_BINARY("kp_typeof_domain", KP_FUNC_FUNCTION, KP_VOLATILE, KP_ANY, KP_OID, KP_REGTYPE, type_of_domain,
              "the type of a value of a domain"),
};
KP_FUNCTIONS(typeof, funcs);
