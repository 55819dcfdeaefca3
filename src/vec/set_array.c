/* unnest and its like: the elements of an array, in storage order, and its subscripts. */
#include "vec/array.h"
#include "vec/fn.h"
#include "vec/set.h"

static bool unnest(struct kp_call *call, const struct kp_vec *const *args, uint32_t row, uint64_t from,
                   struct kp_set *set)
{
    struct kp_array array;
    kp_array_read(args[0]->type.id, &FN_AT(struct kp_text, 0, row), &array);
    for (uint64_t i = from; i < array.count; i++) {
        uint64_t value[2];
        if (!kp_set_add(set))
            return false;
        kp_set_put(set, 0, kp_array_get(&array, (uint32_t)i, call->arena, value) ? value : NULL);
    }
    return true;
}

/* What PostgreSQL's information_schema and JDBC ask of keys: elements with their places from 1. */
static bool expand_array(struct kp_call *call, const struct kp_vec *const *args, uint32_t row, uint64_t from,
                         struct kp_set *set)
{
    struct kp_array array;
    kp_array_read(args[0]->type.id, &FN_AT(struct kp_text, 0, row), &array);
    for (uint64_t i = from; i < array.count; i++) {
        uint64_t value[2];
        int32_t number = (int32_t)i + 1;
        if (!kp_set_add(set))
            return false;
        kp_set_put(set, 0, kp_array_get(&array, (uint32_t)i, call->arena, value) ? value : NULL);
        kp_set_put(set, 1, &number);
    }
    return true;
}

static bool subscripts(struct kp_call *call, const struct kp_vec *const *args, uint32_t row, uint64_t from,
                       struct kp_set *set)
{
    struct kp_array array;
    kp_array_read(args[0]->type.id, &FN_AT(struct kp_text, 0, row), &array);
    int32_t dimension = FN_AT(int32_t, 1, row);
    bool reverse = call->arg_count > 2 && FN_AT(uint8_t, 2, row);
    if (dimension < 1 || (uint32_t)dimension > array.dimensions)
        return true;
    int32_t length = array.lengths[dimension - 1], low = array.lows[dimension - 1];
    for (int64_t i = (int64_t)from; i < length; i++) {
        int32_t value = reverse ? low + length - 1 - (int32_t)i : low + (int32_t)i;
        if (!kp_set_add(set))
            return false;
        kp_set_put(set, 0, &value);
    }
    return true;
}

static const struct kp_set_func funcs[] = {
    {"unnest", KP_STRICT, 1, {KP_ANYARRAY}, 1, {{KP_ANYELEMENT, NULL}}, unnest, "an array's elements"},
    {"_pg_expandarray",
     KP_STRICT,
     1,
     {KP_ANYARRAY},
     2,
     {{KP_ANYELEMENT, "x"}, {KP_INT4, "n"}},
     expand_array,
     "an array's elements with their places from 1: of information_schema"},
    {"generate_subscripts",
     KP_STRICT,
     2,
     {KP_ANYARRAY, KP_INT4},
     1,
     {{KP_INT4, NULL}},
     subscripts,
     "an array's subscripts in a dimension"},
    {"generate_subscripts",
     KP_STRICT,
     3,
     {KP_ANYARRAY, KP_INT4, KP_BOOL},
     1,
     {{KP_INT4, NULL}},
     subscripts,
     "an array's subscripts in a dimension, perhaps backwards"},
};
KP_SET_FUNCTIONS(array, funcs);
