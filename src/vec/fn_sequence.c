/* kp_draw(table, column): the next number of a serial or identity column, which INSERT's plan has where none is given.
 * Another one for each row. */
#include "vec/facts.h"
#include "vec/fn.h"

static void draw(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    const struct kp_catalog_facts *facts = call->settings ? call->settings->facts : NULL;
    int64_t *numbers = out->data;
    struct kp_error err;
    memset(numbers, 0, call->rows * sizeof *numbers);
    if (!call->rows)
        return;
    if (!facts || !facts->draw) {
        fn_fail_text(call, out, 0, "0A000", "numbers of a serial or identity column are drawn by INSERT only");
        return;
    }
    uint32_t relation = (uint32_t)FN_AT(int64_t, 0, 0), column = (uint32_t)FN_AT(int64_t, 1, 0);
    if (facts->draw(facts->arg, relation, column, call->rows, numbers, &err) != KP_OK)
        fn_fail(call, out, 0, &err);
}

static const struct kp_func funcs[] = {
    FN_BINARY("kp_draw", KP_FUNC_FUNCTION, KP_STRICT | KP_VOLATILE | KP_CAN_FAIL, KP_INT8, KP_INT8, KP_INT8, draw,
              "the next number of a serial or identity column"),
};
KP_FUNCTIONS(sequence, funcs);
