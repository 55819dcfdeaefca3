/*
 * Regular expressions: ~ ~* !~ !~*, regexp_like, regexp_replace, regexp_count, regexp_substr, substring(text, pattern).
 *
 * How patterns are compiled is in regex.c; more functions with positions, groups and pieces in fn_regex_more.c.
 */
#include "vec/fn.h"
#include "vec/regex.h"

static inline struct kp_str text_at(const struct kp_vec *const *args, unsigned n, uint32_t row)
{
    return kp_text_str(&FN_AT(struct kp_text, n, row));
}

static void match(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out, bool fold, bool wanted)
{
    struct kp_pattern compiled = {0};
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_str text = text_at(args, 0, i);
        unsigned flags = KP_ARE_ADVANCED | (fold ? KP_ARE_FOLD : 0u);
        bool found = false;
        if ((call->arg_count < 3 || kp_pattern_flags(call, out, i, text_at(args, 2, i), &flags, NULL)) &&
            kp_pattern_compile(call, out, i, text_at(args, 1, i), flags, &compiled))
            found = kp_pattern_matches(&compiled, text);
        ((uint8_t *)out->data)[i] = found == wanted;
    }
    kp_pattern_finish(&compiled);
}

#define MATCH_KERNEL(name, fold, wanted)                                                                               \
    static void name(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)                       \
    {                                                                                                                  \
        match(call, args, out, fold, wanted);                                                                          \
    }
MATCH_KERNEL(regex_match, false, true)
MATCH_KERNEL(regex_not_match, false, false)
MATCH_KERNEL(regex_imatch, true, true)
MATCH_KERNEL(regex_not_imatch, true, false)

static void replace(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_pattern compiled = {0};
    struct kp_buf buf = {0};
    struct kp_text *to = out->data;
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_str text = text_at(args, 0, i), by = text_at(args, 2, i);
        unsigned flags = KP_ARE_ADVANCED;
        bool global = false;
        to[i] = kp_text_make(NULL, 0);
        if ((call->arg_count == 4 && !kp_pattern_flags(call, out, i, text_at(args, 3, i), &flags, &global)) ||
            !kp_pattern_compile(call, out, i, text_at(args, 1, i), flags, &compiled))
            continue;
        buf.len = 0;
        kp_pattern_replace(&compiled, text, by, 0, global ? 0 : 1, &buf);
        to[i] = fn_text(call, buf.data, buf.len);
    }
    kp_buf_finish(&buf);
    kp_pattern_finish(&compiled);
}

static void count(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_pattern compiled = {0};
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_str text = text_at(args, 0, i);
        int32_t found = 0;
        size_t at = 0;
        if (kp_pattern_compile(call, out, i, text_at(args, 1, i), KP_ARE_ADVANCED, &compiled))
            while (at <= text.len && kp_pattern_search(&compiled, text, at, 0)) {
                found++;
                at = kp_pattern_behind(&compiled, text);
            }
        ((int32_t *)out->data)[i] = found;
    }
    kp_pattern_finish(&compiled);
}

/* The match, or its first group if the pattern has one and `first_group`; NULL if there is none. */
static void substring(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out, bool first_group)
{
    struct kp_pattern compiled = {0};
    bool owned = false;
    struct kp_text *to = out->data;
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_str text = text_at(args, 0, i), part = {NULL, 0};
        to[i] = kp_text_make(NULL, 0);
        if (!kp_pattern_compile(call, out, i, text_at(args, 1, i), KP_ARE_ADVANCED, &compiled))
            continue;
        unsigned group = first_group && kp_pattern_groups(&compiled) ? 1 : 0;
        bool found = kp_pattern_search(&compiled, text, 0, group);
        if (found)
            part = kp_pattern_group(&compiled, text, group);
        if (!found || !part.ptr)
            fn_set_null(call, out, i, &owned);
        else
            to[i] = kp_text_make(part.ptr, part.len);
    }
    kp_pattern_finish(&compiled);
}
static void substring_regex(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    substring(call, args, out, true);
}
static void regexp_substr(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    substring(call, args, out, false);
}

#define FLAGS (KP_STRICT | KP_CAN_FAIL | KP_PATTERN)
/* Of character(n) the padding takes part. */
#define OPERATOR(symbol, kernel, doc)                                                                                  \
    FN_BINARY(symbol, KP_FUNC_OPERATOR, FLAGS, KP_TEXT, KP_TEXT, KP_BOOL, kernel, doc),                                \
        FN_BINARY(symbol, KP_FUNC_OPERATOR, FLAGS, KP_BPCHAR, KP_TEXT, KP_BOOL, kernel, doc)
#define FUNCTION2(name, ret, kernel, doc) FN_BINARY(name, KP_FUNC_FUNCTION, FLAGS, KP_TEXT, KP_TEXT, ret, kernel, doc)
#define FUNCTION3(name_, ret_, kernel_, doc_)                                                                          \
    {                                                                                                                  \
        .name = name_, .kind = KP_FUNC_FUNCTION, .flags = FLAGS, .arg_count = 3, .args = {KP_TEXT, KP_TEXT, KP_TEXT},  \
        .ret = ret_, .kernel = kernel_, .doc = doc_                                                                    \
    }

static const struct kp_func funcs[] = {
    OPERATOR("~", regex_match, "matches a regular expression"),
    OPERATOR("!~", regex_not_match, "does not match a regular expression"),
    OPERATOR("~*", regex_imatch, "matches a regular expression, case ignored"),
    OPERATOR("!~*", regex_not_imatch, "does not match a regular expression, case ignored"),
    FUNCTION2("regexp_like", KP_BOOL, regex_match, "matches a regular expression"),
    FUNCTION3("regexp_like", KP_BOOL, regex_match, "matches a regular expression"),
    FUNCTION2("regexp_count", KP_INT4, count, "how often it matches"),
    FUNCTION2("regexp_substr", KP_TEXT, regexp_substr, "the first match"),
    FUNCTION2("substring", KP_TEXT, substring_regex, "the first match, or its first group"),
    FUNCTION3("regexp_replace", KP_TEXT, replace, "the first match by another text"),
    {.name = "regexp_replace",
     .kind = KP_FUNC_FUNCTION,
     .flags = FLAGS,
     .arg_count = 4,
     .args = {KP_TEXT, KP_TEXT, KP_TEXT, KP_TEXT},
     .ret = KP_TEXT,
     .kernel = replace,
     .doc = "matches by another text; flag g: all of them"},
};
KP_FUNCTIONS(regex, funcs);
