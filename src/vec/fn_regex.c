/*
 * Regular expressions: ~ ~* !~ !~*, regexp_like, regexp_replace, regexp_count, regexp_substr, substring(text, pattern).
 *
 * A pattern is compiled once when it is constant, else whenever it differs from the row before. What RE2 cannot do, or
 * would do otherwise than PostgreSQL (non-greedy repetition, since we match the longest; word boundaries; embedded
 * options), is refused with 0A000 rather than answered wrongly. Character classes are translated to Unicode's.
 */
#include "vec/fn.h"
#include "vec/regex_shim.h"

enum { GROUPS = 10, FLAGS_BYTES_MAX = 16 };

struct compiled {
    struct kp_regex *regex;
    struct kp_str pattern;
    bool fold, set;
};

/* PostgreSQL's classes are Unicode's where RE2's are ASCII's. */
static const struct {
    const char *name, *members; /* inside brackets */
} classes[] = {
    {"[:alpha:]", "\\p{L}"},    {"[:alnum:]", "\\p{L}\\p{N}"}, {"[:upper:]", "\\p{Lu}"},
    {"[:lower:]", "\\p{Ll}"},   {"[:digit:]", "0-9"},          {"[:space:]", "\\s\\x0b"},
    {"[:punct:]", "[:punct:]"}, {"[:xdigit:]", "[:xdigit:]"},  {"[:blank:]", " \\t"},
};

/* The escape at *at (on the backslash), appended in RE2's words; false if it means something else there. */
static bool translate_escape(struct kp_str pattern, size_t *at, bool in_class, struct kp_buf *out)
{
    char next = *at + 1 < pattern.len ? pattern.ptr[*at + 1] : 0;
    *at += 2;
    if (next == 'w') {
        kp_buf_append_text(out, in_class ? "\\p{L}\\p{N}_" : "[\\p{L}\\p{N}_]");
    } else if (next == 'W' && !in_class) {
        kp_buf_append_text(out, "[^\\p{L}\\p{N}_]");
    } else if (next == 0 || (next && strchr("WmMyYbBAZzQECGpPKcxuU0123456789", next))) {
        return false;
    } else {
        kp_buf_append_byte(out, '\\');
        kp_buf_append_byte(out, (uint8_t)next);
    }
    return true;
}

/* A bracket expression at *at, which moves behind it. */
static bool translate_brackets(struct kp_str pattern, size_t *at, struct kp_buf *out)
{
    size_t i = *at + 1;
    kp_buf_append_byte(out, '[');
    if (i < pattern.len && pattern.ptr[i] == '^')
        kp_buf_append_byte(out, (uint8_t)pattern.ptr[i++]);
    for (size_t first = i; i < pattern.len && (pattern.ptr[i] != ']' || i == first);) {
        if (pattern.ptr[i] == '\\') {
            if (!translate_escape(pattern, &i, true, out))
                return false;
            continue;
        }
        if (pattern.ptr[i] != '[') {
            if (pattern.ptr[i] == ']')
                kp_buf_append_byte(out, '\\');
            kp_buf_append_byte(out, (uint8_t)pattern.ptr[i++]);
            continue;
        }
        char next = i + 1 < pattern.len ? pattern.ptr[i + 1] : 0;
        if (next != ':' && next != '.' && next != '=') {
            kp_buf_append_text(out, "\\[");
            i++;
            continue;
        }
        size_t known = 0;
        while (known < KP_COUNT(classes) &&
               (strlen(classes[known].name) > pattern.len - i ||
                memcmp(pattern.ptr + i, classes[known].name, strlen(classes[known].name)) != 0))
            known++;
        if (known == KP_COUNT(classes))
            return false;
        kp_buf_append_text(out, classes[known].members);
        i += strlen(classes[known].name);
    }
    if (i == pattern.len)
        return true; /* RE2 will say that the bracket is missing */
    kp_buf_append_byte(out, ']');
    *at = i + 1;
    return true;
}

/* The pattern in RE2's words; else the construct that RE2 lacks or reads otherwise. */
static const char *translate(struct kp_str pattern, struct kp_buf *out)
{
    for (size_t i = 0; i < pattern.len;) {
        char c = pattern.ptr[i], next = i + 1 < pattern.len ? pattern.ptr[i + 1] : 0;
        if (c == '\\') {
            if (!translate_escape(pattern, &i, false, out))
                return "escape";
        } else if (c == '[') {
            size_t start = i;
            if (!translate_brackets(pattern, &i, out))
                return "bracket expression";
            if (i == start)
                return NULL;
        } else if (next == '?' && strchr("*+?}", c)) {
            return "non-greedy repetition";
        } else if (c == '(' && next == '?' && !(i + 2 < pattern.len && pattern.ptr[i + 2] == ':')) {
            return "group with options or look-around";
        } else if (i == 0 && c == '*' && next == '*') {
            return "director";
        } else {
            kp_buf_append_byte(out, (uint8_t)c);
            i++;
        }
    }
    return NULL;
}

static bool compile(struct kp_call *call, const struct kp_vec *out, uint32_t row, struct kp_str pattern, bool fold,
                    struct compiled *compiled)
{
    if (compiled->set && compiled->fold == fold && kp_str_equal(compiled->pattern, pattern))
        return compiled->regex != NULL;
    kp_regex_destroy(compiled->regex);
    *compiled = (struct compiled){.pattern = pattern, .fold = fold, .set = false};
    if (kp_vec_is_null(out, row))
        return false;
    struct kp_buf translated = {0};
    kp_buf_reserve(&translated, 1);
    const char *construct = translate(pattern, &translated);
    char error[128];
    if (!construct)
        compiled->regex = kp_regex_create((const char *)translated.data, translated.len, fold, error, sizeof error);
    kp_buf_finish(&translated);
    if (construct) {
        kp_call_fail(call, row, "0A000", "regular expression construct is not supported: %s", construct);
        return false;
    }
    if (!compiled->regex)
        kp_call_fail(call, row, "2201B", "invalid regular expression: %s", error);
    compiled->set = compiled->regex != NULL;
    return compiled->regex != NULL;
}

static inline struct kp_str text_at(const struct kp_vec *const *args, unsigned n, uint32_t row)
{
    return kp_text_str(&FN_AT(struct kp_text, n, row));
}

/* Flags i and g (c and s are what is usual); others are refused. */
static bool read_flags(struct kp_call *call, const struct kp_vec *out, uint32_t row, struct kp_str flags, bool *fold,
                       bool *global)
{
    for (size_t i = 0; i < flags.len; i++) {
        char c = flags.ptr[i];
        if (c == 'i')
            *fold = true;
        else if (c == 'c')
            *fold = false;
        else if (c == 'g' && global)
            *global = true;
        else if (c != 's') {
            if (!kp_vec_is_null(out, row))
                kp_call_fail(call, row, "22023", "invalid regular expression option: \"%c\"", c);
            return false;
        }
    }
    return true;
}

static void match(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out, bool fold, bool wanted)
{
    struct compiled compiled = {0};
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_str text = text_at(args, 0, i);
        bool row_fold = fold, found = false;
        if ((call->arg_count < 3 || read_flags(call, out, i, text_at(args, 2, i), &row_fold, NULL)) &&
            compile(call, out, i, text_at(args, 1, i), row_fold, &compiled))
            found = kp_regex_search(compiled.regex, text.ptr, text.len, 0, NULL, 0);
        ((uint8_t *)out->data)[i] = found == wanted;
    }
    kp_regex_destroy(compiled.regex);
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

/* The next place to look: behind a match, one character on behind an empty one. */
static size_t behind(struct kp_str text, const size_t *groups)
{
    size_t next = groups[1];
    if (groups[0] == groups[1]) {
        next++;
        while (next < text.len && ((unsigned char)text.ptr[next] & 0xc0) == 0x80)
            next++;
    }
    return next;
}

static void append_replacement(struct kp_buf *buf, struct kp_str text, struct kp_str by, const size_t *groups)
{
    for (size_t i = 0; i < by.len; i++) {
        char c = by.ptr[i], next = i + 1 < by.len ? by.ptr[i + 1] : 0;
        int group = c != '\\' ? -1 : next == '&' ? 0 : next >= '1' && next <= '9' ? next - '0' : -1;
        if (group >= 0) {
            if (groups[2 * group] != (size_t)-1)
                kp_buf_append(buf, text.ptr + groups[2 * group], groups[2 * group + 1] - groups[2 * group]);
            i++;
        } else {
            kp_buf_append_byte(buf, (uint8_t)c);
            i += c == '\\' && next == '\\';
        }
    }
}

static void replace(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct compiled compiled = {0};
    struct kp_buf buf = {0};
    struct kp_text *to = out->data;
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_str text = text_at(args, 0, i), by = text_at(args, 2, i);
        bool fold = false, global = false;
        size_t groups[2 * GROUPS], copied = 0, at = 0;
        to[i] = kp_text_make(NULL, 0);
        if ((call->arg_count == 4 && !read_flags(call, out, i, text_at(args, 3, i), &fold, &global)) ||
            !compile(call, out, i, text_at(args, 1, i), fold, &compiled))
            continue;
        buf.len = 0;
        unsigned wanted = KP_MIN(kp_regex_groups(compiled.regex) + 1, (unsigned)GROUPS);
        for (size_t g = 0; g < 2 * GROUPS; g++)
            groups[g] = (size_t)-1;
        while (at <= text.len && kp_regex_search(compiled.regex, text.ptr, text.len, at, groups, wanted)) {
            kp_buf_append(&buf, text.ptr + copied, groups[0] - copied);
            append_replacement(&buf, text, by, groups);
            copied = groups[1];
            at = behind(text, groups);
            if (!global)
                break;
        }
        if (copied < text.len)
            kp_buf_append(&buf, text.ptr + copied, text.len - copied);
        to[i] = fn_text(call, buf.data, buf.len);
    }
    kp_buf_finish(&buf);
    kp_regex_destroy(compiled.regex);
}

static void count(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct compiled compiled = {0};
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_str text = text_at(args, 0, i);
        int32_t found = 0;
        size_t groups[2], at = 0;
        if (compile(call, out, i, text_at(args, 1, i), false, &compiled))
            while (at <= text.len && kp_regex_search(compiled.regex, text.ptr, text.len, at, groups, 1)) {
                found++;
                at = behind(text, groups);
            }
        ((int32_t *)out->data)[i] = found;
    }
    kp_regex_destroy(compiled.regex);
}

/* The match, or its first group if the pattern has one and `first_group`; NULL if there is none. */
static void substring(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out, bool first_group)
{
    struct compiled compiled = {0};
    bool owned = false;
    struct kp_text *to = out->data;
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_str text = text_at(args, 0, i);
        size_t groups[4];
        to[i] = kp_text_make(NULL, 0);
        if (!compile(call, out, i, text_at(args, 1, i), false, &compiled))
            continue;
        unsigned group = first_group && kp_regex_groups(compiled.regex) ? 1 : 0;
        if (!kp_regex_search(compiled.regex, text.ptr, text.len, 0, groups, group + 1) ||
            groups[2 * group] == (size_t)-1)
            fn_set_null(call, out, i, &owned);
        else
            to[i] = kp_text_make(text.ptr + groups[2 * group], groups[2 * group + 1] - groups[2 * group]);
    }
    kp_regex_destroy(compiled.regex);
}
static void substring_regex(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    substring(call, args, out, true);
}
static void regexp_substr(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    substring(call, args, out, false);
}

#define OPERATOR(symbol, kernel, doc)                                                                                  \
    FN_BINARY(symbol, KP_FUNC_OPERATOR, KP_STRICT | KP_CAN_FAIL, KP_TEXT, KP_TEXT, KP_BOOL, kernel, doc)
#define FUNCTION2(name, ret, kernel, doc)                                                                              \
    FN_BINARY(name, KP_FUNC_FUNCTION, KP_STRICT | KP_CAN_FAIL, KP_TEXT, KP_TEXT, ret, kernel, doc)
#define FUNCTION3(name_, ret_, kernel_, doc_)                                                                          \
    {                                                                                                                  \
        .name = name_, .kind = KP_FUNC_FUNCTION, .flags = KP_STRICT | KP_CAN_FAIL, .arg_count = 3,                     \
        .args = {KP_TEXT, KP_TEXT, KP_TEXT}, .ret = ret_, .kernel = kernel_, .doc = doc_                               \
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
     .flags = KP_STRICT | KP_CAN_FAIL,
     .arg_count = 4,
     .args = {KP_TEXT, KP_TEXT, KP_TEXT, KP_TEXT},
     .ret = KP_TEXT,
     .kernel = replace,
     .doc = "matches by another text; flags g, i"},
};
KP_FUNCTIONS(regex, funcs);
