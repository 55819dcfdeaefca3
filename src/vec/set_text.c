/* Texts taken apart into rows: at separators, at matches of a regular expression, the matches themselves. */
#include "vec/array.h"
#include "vec/regex.h"
#include "vec/set.h"

static inline struct kp_str text_at(const struct kp_vec *const *args, unsigned n, uint32_t row)
{
    return kp_text_str(&FN_AT(struct kp_text, n, row));
}

static bool compile(struct kp_call *call, const struct kp_vec *const *args, uint32_t row, bool *global,
                    struct kp_pattern *pattern)
{
    unsigned flags = KP_ARE_ADVANCED;
    return (call->arg_count < 3 || kp_pattern_flags(call, NULL, row, text_at(args, 2, row), &flags, global)) &&
           kp_pattern_compile(call, NULL, row, text_at(args, 1, row), flags, pattern);
}

static bool split(struct kp_call *call, const struct kp_vec *const *args, uint32_t row, uint64_t from,
                  struct kp_set *set)
{
    struct kp_pattern pattern = {0};
    bool global = false, all = true;
    if (!compile(call, args, row, &global, &pattern))
        return true;
    if (global) {
        kp_call_fail(call, row, "22023", "regexp_split_to_table() does not support the \"global\" option");
        kp_pattern_finish(&pattern);
        return true;
    }
    struct kp_pieces pieces = {.text = text_at(args, 0, row)};
    struct kp_str piece;
    for (uint64_t i = 0; all && kp_pieces_next(&pieces, &pattern, &piece); i++) {
        struct kp_text text = kp_text_make(piece.ptr, piece.len);
        if (i < from)
            continue;
        all = kp_set_add(set);
        if (all)
            kp_set_put(set, 0, &text);
    }
    kp_pattern_finish(&pattern);
    return all;
}

static bool matches(struct kp_call *call, const struct kp_vec *const *args, uint32_t row, uint64_t from,
                    struct kp_set *set)
{
    struct kp_pattern pattern = {0};
    bool global = false, all = true;
    struct kp_str text = text_at(args, 0, row);
    size_t at = 0;
    if (!compile(call, args, row, &global, &pattern))
        return true;
    unsigned count = kp_pattern_groups(&pattern);
    for (uint64_t i = 0; all && at <= text.len && kp_pattern_search(&pattern, text, at, count); i++) {
        at = global ? kp_pattern_behind(&pattern, text) : text.len + 1;
        if (i < from)
            continue;
        all = kp_set_add(set);
        struct kp_array_builder builder = {.element = KP_TEXT};
        for (unsigned g = count ? 1 : 0; all && g <= count; g++) {
            struct kp_str part = kp_pattern_group(&pattern, text, g);
            struct kp_text value = kp_text_make(part.ptr ? part.ptr : "", part.len);
            kp_array_add(&builder, part.ptr ? &value : NULL);
        }
        if (all) {
            struct kp_text array = kp_array_make(&builder, call->arena);
            kp_set_put(set, 0, &array);
        }
        kp_array_builder_finish(&builder);
    }
    kp_pattern_finish(&pattern);
    return all;
}

/* string_to_table: a NULL separator parts characters, an empty one nothing; a field equal to the third is NULL. */
static bool fields(struct kp_call *call, const struct kp_vec *const *args, uint32_t row, uint64_t from,
                   struct kp_set *set)
{
    if (kp_vec_is_null(args[0], row))
        return true;
    struct kp_str text = text_at(args, 0, row), cut = {"", 0}, null = {NULL, 0};
    bool characters = kp_vec_is_null(args[1], row), last = text.len == 0;
    if (!characters)
        cut = text_at(args, 1, row);
    if (call->arg_count > 2 && !kp_vec_is_null(args[2], row))
        null = text_at(args, 2, row);
    for (uint64_t i = 0; !last; i++) {
        const char *found = cut.len ? memmem(text.ptr, text.len, cut.ptr, cut.len) : NULL;
        size_t len = found ? (size_t)(found - text.ptr) : text.len;
        if (characters)
            for (len = 1; len < text.len && ((uint8_t)text.ptr[len] & 0xc0) == 0x80;)
                len++;
        struct kp_text field = kp_text_make(text.ptr, len);
        struct kp_str said = {text.ptr, len};
        last = characters ? len == text.len : !found;
        text.ptr += len + (found ? cut.len : 0);
        text.len -= len + (found ? cut.len : 0);
        if (i < from)
            continue;
        if (!kp_set_add(set))
            return false;
        kp_set_put(set, 0, (call->arg_count > 2 && null.ptr && kp_str_equal(said, null)) ? NULL : &field);
    }
    return true;
}

#define FLAGS (KP_STRICT | KP_CAN_FAIL | KP_PATTERN)
static const struct kp_set_func funcs[] = {
    {"regexp_split_to_table", FLAGS, 2, {KP_TEXT, KP_TEXT}, 1, {{KP_TEXT, NULL}}, split, "pieces between matches"},
    {"regexp_split_to_table",
     FLAGS,
     3,
     {KP_TEXT, KP_TEXT, KP_TEXT},
     1,
     {{KP_TEXT, NULL}},
     split,
     "pieces between matches"},
    {"regexp_matches", FLAGS, 2, {KP_TEXT, KP_TEXT}, 1, {{KP_TEXT_ARRAY, NULL}}, matches, "groups of the first match"},
    {"regexp_matches",
     FLAGS,
     3,
     {KP_TEXT, KP_TEXT, KP_TEXT},
     1,
     {{KP_TEXT_ARRAY, NULL}},
     matches,
     "groups of each match with flag g"},
    {"string_to_table", 0, 2, {KP_TEXT, KP_TEXT}, 1, {{KP_TEXT, NULL}}, fields, "fields between separators"},
    {"string_to_table",
     0,
     3,
     {KP_TEXT, KP_TEXT, KP_TEXT},
     1,
     {{KP_TEXT, NULL}},
     fields,
     "fields between separators, one of them for NULL"},
};
KP_SET_FUNCTIONS(text, funcs);
