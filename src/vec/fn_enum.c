/* Enums: comparison, the first and last label, ranges. */
#include "vec/array.h"
#include "vec/made.h"
#include "vec/fn.h"

#define COMPARE(name, op)                                                                                              \
    static void name(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)                       \
    {                                                                                                                  \
        FN_BINARY_LOOP(int32_t, int32_t, uint8_t, x op y);                                                             \
    }
COMPARE(enum_eq, ==)
COMPARE(enum_ne, !=)
COMPARE(enum_lt, <)
COMPARE(enum_le, <=)
COMPARE(enum_gt, >)
COMPARE(enum_ge, >=)

/* Their argument says only which type, and is NULL mostly. */
static void edge(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out, bool last)
{
    const struct kp_enum_labels *labels = kp_enum_labels(args[0]->type.id);
    int32_t number = labels->count ? labels->numbers[last ? labels->count - 1 : 0] : 0;
    for (uint32_t i = 0; i < call->rows; i++)
        ((int32_t *)out->data)[i] = number;
}
static void enum_first(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    edge(call, args, out, false);
}
static void enum_last(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    edge(call, args, out, true);
}

/* enum_range(anyenum): all labels; (first, last): those between, NULL for the ends. */
static void enum_range(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    const struct kp_enum_labels *labels = kp_enum_labels(args[0]->type.id);
    struct kp_array_builder builder = {.element = args[0]->type.id};
    for (uint32_t i = 0; i < call->rows; i++) {
        int32_t first = INT32_MIN, last = INT32_MAX;
        if (call->arg_count > 1 && !kp_vec_is_null(args[0], i))
            first = FN_AT(int32_t, 0, i);
        if (call->arg_count > 1 && !kp_vec_is_null(args[1], i))
            last = FN_AT(int32_t, 1, i);
        for (uint32_t label = 0; label < labels->count; label++)
            if (labels->numbers[label] >= first && labels->numbers[label] <= last)
                kp_array_add(&builder, &labels->numbers[label]);
        ((struct kp_text *)out->data)[i] = kp_array_make(&builder, call->arena);
    }
    kp_array_builder_finish(&builder);
}

#define COMPARISON(symbol, kernel, doc)                                                                                \
    FN_BINARY(symbol, KP_FUNC_OPERATOR, KP_STRICT, KP_ANYENUM, KP_ANYENUM, KP_BOOL, kernel, doc)

static const struct kp_func funcs[] = {
    COMPARISON("=", enum_eq, "equal"),
    COMPARISON("<>", enum_ne, "not equal"),
    COMPARISON("<", enum_lt, "declared before"),
    COMPARISON("<=", enum_le, "not declared behind"),
    COMPARISON(">", enum_gt, "declared behind"),
    COMPARISON(">=", enum_ge, "not declared before"),
    FN_UNARY("enum_first", KP_FUNC_FUNCTION, 0, KP_ANYENUM, KP_ANYENUM, enum_first, "the first label"),
    FN_UNARY("enum_last", KP_FUNC_FUNCTION, 0, KP_ANYENUM, KP_ANYENUM, enum_last, "the last label"),
    FN_UNARY("enum_range", KP_FUNC_FUNCTION, 0, KP_ANYENUM, KP_ANYARRAY, enum_range, "all labels"),
    FN_BINARY("enum_range", KP_FUNC_FUNCTION, 0, KP_ANYENUM, KP_ANYENUM, KP_ANYARRAY, enum_range,
              "the labels from one to another"),
};
KP_FUNCTIONS(enum, funcs);
