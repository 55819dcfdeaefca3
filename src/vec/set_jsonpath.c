/* jsonb_path_query: each value that a JSON path finds. */
#include "vec/jsonpath_call.h"
#include "vec/set.h"

static bool path_query(struct kp_call *call, const struct kp_vec *const *args, uint32_t row, uint64_t from,
                       struct kp_set *set)
{
    struct kp_path_call state = {0};
    struct kp_path_items items;
    (void)kp_path_call_row(&state, call, args, row, false, false, &items);
    for (uint64_t i = from; i < items.count; i++) {
        struct kp_text value = kp_text_make(items.items[i].ptr, items.items[i].len);
        if (!kp_set_add(set))
            return false;
        kp_set_put(set, 0, &value);
    }
    return true;
}

#define FORM(count_, doc_)                                                                                             \
    {                                                                                                                  \
        .name = "jsonb_path_query", .flags = KP_STRICT | KP_CAN_FAIL, .arg_count = count_,                             \
        .args = {KP_JSONB, KP_JSONPATH, count_ > 2 ? KP_JSONB : KP_TYPE_NONE, count_ > 3 ? KP_BOOL : KP_TYPE_NONE},    \
        .col_count = 1, .cols = {{KP_JSONB, NULL}}, .expand = path_query, .doc = doc_                                  \
    }

static const struct kp_set_func funcs[] = {
    FORM(2, "each value that a JSON path finds"),
    FORM(3, "each value that a JSON path finds, variables given"),
    FORM(4, "each value that a JSON path finds, variables given, perhaps silent about errors"),
};
KP_SET_FUNCTIONS(jsonpath, funcs);
