/* jsonb_path_query: each value that a JSON path finds. */
#include "vec/jsonpath_call.h"
#include "vec/set.h"

static bool query(struct kp_call *call, const struct kp_vec *const *args, uint32_t row, uint64_t from,
                  struct kp_set *set, bool zoned)
{
    struct kp_path_call state = {.zoned = zoned};
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

static bool path_query(struct kp_call *call, const struct kp_vec *const *args, uint32_t row, uint64_t from,
                       struct kp_set *set)
{
    return query(call, args, row, from, set, false);
}
static bool path_query_tz(struct kp_call *call, const struct kp_vec *const *args, uint32_t row, uint64_t from,
                          struct kp_set *set)
{
    return query(call, args, row, from, set, true);
}

#define FORM(name_, flags_, kernel_, count_, doc_)                                                                     \
    {                                                                                                                  \
        .name = name_, .flags = KP_STRICT | KP_CAN_FAIL | (flags_), .arg_count = count_,                               \
        .args = {KP_JSONB, KP_JSONPATH, count_ > 2 ? KP_JSONB : KP_TYPE_NONE, count_ > 3 ? KP_BOOL : KP_TYPE_NONE},    \
        .col_count = 1, .cols = {{KP_JSONB, NULL}}, .expand = kernel_, .doc = doc_                                     \
    }

#define FORMS(name, flags, kernel)                                                                                     \
    FORM(name, flags, kernel, 2, "each value that a JSON path finds"),                                                 \
        FORM(name, flags, kernel, 3, "each value that a JSON path finds, variables given"),                            \
        FORM(name, flags, kernel, 4,                                                                                   \
             "each value that a JSON path finds, variables given, perhaps silent about errors")

static const struct kp_set_func funcs[] = {
    FORMS("jsonb_path_query", 0, path_query),
    FORMS("jsonb_path_query_tz", KP_STABLE, path_query_tz),
};
KP_SET_FUNCTIONS(jsonpath, funcs);
