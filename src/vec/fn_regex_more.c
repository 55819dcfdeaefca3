/*
 * Regular expressions with positions, groups and pieces: regexp_match, regexp_count, regexp_instr, regexp_substr,
 * regexp_replace from a position, regexp_split_to_array.
 */
#include "base/utf8.h"
#include "vec/array.h"
#include "vec/regex.h"

static inline struct kp_str text_at(const struct kp_vec *const *args, unsigned n, uint32_t row)
{
    return kp_text_str(&FN_AT(struct kp_text, n, row));
}

static inline int32_t int_at(const struct kp_vec *const *args, unsigned n, uint32_t row)
{
    return FN_AT(int32_t, n, row);
}

static bool fails(struct kp_call *call, struct kp_vec *out, uint32_t row, const char *name, int32_t value)
{
    if (!kp_vec_is_null(out, row))
        kp_call_fail(call, row, "22023", "invalid value for parameter \"%s\": %d", name, value);
    return true;
}

/* ---- regexp_match, regexp_split_to_array ---- */

/* Arguments (text, pattern, flags); g is refused. */
static bool compile(struct kp_call *call, const struct kp_vec *const *args, const struct kp_vec *out, uint32_t row,
                    const char *name, struct kp_pattern *compiled)
{
    unsigned flags = KP_ARE_ADVANCED;
    bool global = false;
    if (call->arg_count > 2 && !kp_pattern_flags(call, out, row, text_at(args, 2, row), &flags, &global))
        return false;
    if (global && !kp_vec_is_null(out, row))
        kp_call_fail(call, row, "22023", "%s() does not support the \"global\" option", name);
    return !global && kp_pattern_compile(call, out, row, text_at(args, 1, row), flags, compiled);
}

static void add_group(struct kp_array_builder *builder, struct kp_str text, const struct kp_pattern *compiled,
                      unsigned group)
{
    struct kp_str part = kp_pattern_group(compiled, text, group);
    struct kp_text value = kp_text_make(part.ptr ? part.ptr : "", part.len);
    kp_array_add(builder, part.ptr ? &value : NULL);
}

static void regexp_match(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_pattern compiled = {0};
    struct kp_array_builder builder = {.element = KP_TEXT};
    bool owned = false;
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_str text = text_at(args, 0, i);
        bool good = compile(call, args, out, i, "regexp_match", &compiled);
        unsigned count = good ? kp_pattern_groups(&compiled) : 0;
        bool found = good && kp_pattern_search(&compiled, text, 0, count);
        for (unsigned g = count ? 1 : 0; found && g <= count; g++)
            add_group(&builder, text, &compiled, g);
        ((struct kp_text *)out->data)[i] = kp_array_make(&builder, call->arena);
        if (good && !found && !kp_vec_is_null(out, i))
            fn_set_null(call, out, i, &owned);
    }
    kp_array_builder_finish(&builder);
    kp_pattern_finish(&compiled);
}

static void split_to_array(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_pattern compiled = {0};
    struct kp_array_builder builder = {.element = KP_TEXT};
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_str text = text_at(args, 0, i), piece;
        bool good = compile(call, args, out, i, "regexp_split_to_array", &compiled);
        struct kp_pieces pieces = {.text = text};
        while (good && kp_pieces_next(&pieces, &compiled, &piece)) {
            struct kp_text part = kp_text_make(piece.ptr, piece.len);
            kp_array_add(&builder, &part);
        }
        ((struct kp_text *)out->data)[i] = kp_array_make(&builder, call->arena);
    }
    kp_array_builder_finish(&builder);
    kp_pattern_finish(&compiled);
}

/* ---- the n-th match from a position: count, instr, substr, replace ---- */

struct search {
    struct kp_str text;
    size_t start;
    int32_t n, group;
};

/* Arguments (text, pattern, start, n, …); a start behind the end finds nothing. */
static bool read_start(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out, uint32_t row,
                       struct search *search)
{
    search->text = text_at(args, 0, row);
    if (call->arg_count > 2) {
        int32_t start = int_at(args, 2, row);
        if (start < 1)
            return !fails(call, out, row, "start", start);
        size_t characters = kp_utf8_length(search->text.ptr, search->text.len);
        search->start = (size_t)start - 1 > characters
                            ? search->text.len + 1
                            : kp_utf8_offset(search->text.ptr, search->text.len, (size_t)start - 1);
    }
    return true;
}

/* The n-th match. */
static bool find(const struct search *search, struct kp_pattern *compiled)
{
    size_t at = search->start;
    for (int32_t n = 1; at <= search->text.len; n++) {
        if (!kp_pattern_search(compiled, search->text, at, (unsigned)search->group))
            return false;
        if (n == search->n)
            return true;
        at = kp_pattern_behind(compiled, search->text);
    }
    return false;
}

static void count_from(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_pattern compiled = {0};
    for (uint32_t i = 0; i < call->rows; i++) {
        struct search search = {0};
        unsigned flags = KP_ARE_ADVANCED;
        int32_t found = 0;
        bool good = read_start(call, args, out, i, &search) &&
                    (call->arg_count < 4 || kp_pattern_flags(call, out, i, text_at(args, 3, i), &flags, NULL)) &&
                    kp_pattern_compile(call, out, i, text_at(args, 1, i), flags, &compiled);
        size_t at = search.start;
        while (good && at <= search.text.len && kp_pattern_search(&compiled, search.text, at, 0)) {
            found++;
            at = kp_pattern_behind(&compiled, search.text);
        }
        ((int32_t *)out->data)[i] = found;
    }
    kp_pattern_finish(&compiled);
}

/* regexp_instr(text, pattern, start, n, endoption, flags, subexpression) and regexp_substr(text, pattern, start, n,
 * flags, subexpression): the group's place. */
static bool locate(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out, uint32_t row,
                   int32_t option, unsigned flags_arg, struct kp_pattern *compiled, struct search *search,
                   size_t *ret_from, size_t *ret_end)
{
    unsigned flags = KP_ARE_ADVANCED;
    *search = (struct search){.n = 1};
    if (!read_start(call, args, out, row, search))
        return false;
    if (call->arg_count > 3 && (search->n = int_at(args, 3, row)) < 1)
        return !fails(call, out, row, "n", search->n);
    if (option < 0 || option > 1)
        return !fails(call, out, row, "endoption", option);
    if (call->arg_count > flags_arg + 1 && (search->group = int_at(args, flags_arg + 1, row)) < 0)
        return !fails(call, out, row, "subexpr", search->group);
    if (call->arg_count > flags_arg && !kp_pattern_flags(call, out, row, text_at(args, flags_arg, row), &flags, NULL))
        return false;
    if (!kp_pattern_compile(call, out, row, text_at(args, 1, row), flags, compiled))
        return false;
    if (search->group == 1 && kp_pattern_groups(compiled) == 0)
        search->group = 0; /* without groups the whole match is the first */
    if ((unsigned)search->group > kp_pattern_groups(compiled) || !find(search, compiled))
        return false;
    *ret_from = compiled->groups[2 * search->group];
    *ret_end = compiled->groups[2 * search->group + 1];
    return *ret_from != (size_t)-1;
}

static void regexp_instr(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_pattern compiled = {0};
    for (uint32_t i = 0; i < call->rows; i++) {
        struct search search;
        size_t from, end;
        int32_t option = call->arg_count > 4 ? int_at(args, 4, i) : 0;
        ((int32_t *)out->data)[i] = 0;
        if (locate(call, args, out, i, option, 5, &compiled, &search, &from, &end))
            ((int32_t *)out->data)[i] = (int32_t)kp_utf8_length(search.text.ptr, option ? end : from) + 1;
    }
    kp_pattern_finish(&compiled);
}

static void regexp_substr(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_pattern compiled = {0};
    bool owned = false;
    for (uint32_t i = 0; i < call->rows; i++) {
        struct search search;
        size_t from, end;
        uint32_t errors = call->error_count;
        struct kp_text *to = (struct kp_text *)out->data + i;
        *to = kp_text_make("", 0);
        if (locate(call, args, out, i, 0, 4, &compiled, &search, &from, &end))
            *to = kp_text_make(search.text.ptr + from, end - from);
        else if (call->error_count == errors && !kp_vec_is_null(out, i))
            fn_set_null(call, out, i, &owned);
    }
    kp_pattern_finish(&compiled);
}

/* regexp_replace(text, pattern, by, start, n, flags): the n-th match from a position, 0: all. */
static void replace_from(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_pattern compiled = {0};
    struct kp_buf buf = {0};
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_text *to = (struct kp_text *)out->data + i;
        struct kp_str text = text_at(args, 0, i);
        int32_t start = int_at(args, 3, i), n = call->arg_count > 4 ? int_at(args, 4, i) : 1;
        unsigned flags = KP_ARE_ADVANCED;
        bool global = false;
        *to = kp_text_make(text.ptr, text.len);
        if (start < 1 || n < 0) {
            fails(call, out, i, start < 1 ? "start" : "n", start < 1 ? start : n);
            continue;
        }
        if ((call->arg_count > 5 && !kp_pattern_flags(call, out, i, text_at(args, 5, i), &flags, &global)) ||
            !kp_pattern_compile(call, out, i, text_at(args, 1, i), flags, &compiled))
            continue;
        if (call->arg_count == 4)
            n = 1;
        size_t characters = kp_utf8_length(text.ptr, text.len);
        size_t from =
            (size_t)start - 1 > characters ? text.len + 1 : kp_utf8_offset(text.ptr, text.len, (size_t)start - 1);
        buf.len = 0;
        kp_pattern_replace(&compiled, text, text_at(args, 2, i), from, n, &buf);
        *to = fn_text(call, buf.data, buf.len);
    }
    kp_buf_finish(&buf);
    kp_pattern_finish(&compiled);
}

#define FUNCTION(name_, count_, ret_, kernel_, doc_, ...)                                                              \
    {                                                                                                                  \
        .name = name_, .kind = KP_FUNC_FUNCTION, .flags = KP_STRICT | KP_CAN_FAIL | KP_PATTERN, .arg_count = count_,   \
        .args = {KP_TEXT, KP_TEXT, __VA_ARGS__}, .ret = ret_, .kernel = kernel_, .doc = doc_                           \
    }

static const struct kp_func funcs[] = {
    FUNCTION("regexp_match", 2, KP_TEXT_ARRAY, regexp_match, "groups of the first match", KP_TYPE_NONE),
    FUNCTION("regexp_match", 3, KP_TEXT_ARRAY, regexp_match, "groups of the first match", KP_TEXT),
    FUNCTION("regexp_split_to_array", 2, KP_TEXT_ARRAY, split_to_array, "pieces between matches", KP_TYPE_NONE),
    FUNCTION("regexp_split_to_array", 3, KP_TEXT_ARRAY, split_to_array, "pieces between matches", KP_TEXT),
    FUNCTION("regexp_count", 3, KP_INT4, count_from, "how often it matches from a position", KP_INT4),
    FUNCTION("regexp_count", 4, KP_INT4, count_from, "how often it matches from a position", KP_INT4, KP_TEXT),
    FUNCTION("regexp_instr", 2, KP_INT4, regexp_instr, "where the first match is, 0 nowhere", KP_TYPE_NONE),
    FUNCTION("regexp_instr", 3, KP_INT4, regexp_instr, "where the first match from a position is", KP_INT4),
    FUNCTION("regexp_instr", 4, KP_INT4, regexp_instr, "where the n-th match is", KP_INT4, KP_INT4),
    FUNCTION("regexp_instr", 5, KP_INT4, regexp_instr, "where the n-th match is, or ends", KP_INT4, KP_INT4, KP_INT4),
    FUNCTION("regexp_instr", 6, KP_INT4, regexp_instr, "where the n-th match is, or ends", KP_INT4, KP_INT4, KP_INT4,
             KP_TEXT),
    FUNCTION("regexp_instr", 7, KP_INT4, regexp_instr, "where a group of the n-th match is, or ends", KP_INT4, KP_INT4,
             KP_INT4, KP_TEXT, KP_INT4),
    FUNCTION("regexp_substr", 3, KP_TEXT, regexp_substr, "the first match from a position", KP_INT4),
    FUNCTION("regexp_substr", 4, KP_TEXT, regexp_substr, "the n-th match", KP_INT4, KP_INT4),
    FUNCTION("regexp_substr", 5, KP_TEXT, regexp_substr, "the n-th match", KP_INT4, KP_INT4, KP_TEXT),
    FUNCTION("regexp_substr", 6, KP_TEXT, regexp_substr, "a group of the n-th match", KP_INT4, KP_INT4, KP_TEXT,
             KP_INT4),
    FUNCTION("regexp_replace", 4, KP_TEXT, replace_from, "the first match from a position by another text", KP_TEXT,
             KP_INT4),
    FUNCTION("regexp_replace", 5, KP_TEXT, replace_from, "the n-th match by another text, 0: all", KP_TEXT, KP_INT4,
             KP_INT4),
    FUNCTION("regexp_replace", 6, KP_TEXT, replace_from, "the n-th match by another text, 0: all", KP_TEXT, KP_INT4,
             KP_INT4, KP_TEXT),
};
KP_FUNCTIONS(regex_more, funcs);
