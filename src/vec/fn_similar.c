/*
 * SQL's own patterns: those of SIMILAR TO as regular expressions, and substring(text FROM pattern FOR escape).
 *
 * % is any text, _ any character, ^ $ . \\ are themselves. An escape before a double quote parts the pattern of
 * substring into three: what is before, what is taken, what is behind. Of the ways in which they match the whole text
 * the first has the shortest part before, then the longest taken: the quantifiers {1,1}? and {1,1} say so.
 */
#include "base/utf8.h"
#include "vec/regex.h"

enum { PARTS = 3 };

struct parts {
    struct kp_buf text[PARTS];
    unsigned count;
};

static void finish(struct parts *parts)
{
    for (unsigned i = 0; i < PARTS; i++)
        kp_buf_finish(&parts->text[i]);
}

static void append_plain(struct kp_buf *out, char c)
{
    if (c == '%')
        kp_buf_append_text(out, ".*");
    else if (c == '_')
        kp_buf_append_byte(out, '.');
    else if (c == '(')
        kp_buf_append_text(out, "(?:");
    else if (c == '\\' || c == '.' || c == '^' || c == '$')
        kp_buf_printf(out, "\\%c", c);
    else
        kp_buf_append_byte(out, (uint8_t)c);
}

/* False: there are more than two separators. */
static bool part(struct kp_str pattern, struct kp_str escape, struct parts *parts)
{
    bool in_brackets = false, after_escape = false;
    parts->count = 1;
    for (size_t i = 0; i < pattern.len; i++) {
        struct kp_buf *out = &parts->text[parts->count - 1];
        char c = pattern.ptr[i];
        bool is_escape =
            escape.len && i + escape.len <= pattern.len && memcmp(pattern.ptr + i, escape.ptr, escape.len) == 0;
        if (after_escape) {
            after_escape = false;
            if (c != '"' || in_brackets)
                kp_buf_printf(out, "\\%c", c);
            else if (parts->count++ == PARTS)
                return false;
        } else if (is_escape) {
            after_escape = true;
            i += escape.len - 1;
        } else if (in_brackets) {
            if (c == '\\')
                kp_buf_append_byte(out, '\\');
            kp_buf_append_byte(out, (uint8_t)c);
            in_brackets = c != ']';
        } else if (c == '[') {
            kp_buf_append_byte(out, (uint8_t)c);
            in_brackets = true;
        } else {
            append_plain(out, c);
        }
    }
    return true;
}

/* The row's pattern in parts; false: it fails. */
static bool part_row(struct kp_call *call, const struct kp_vec *out, uint32_t row, struct kp_str pattern,
                     struct kp_str escape, struct parts *ret_parts)
{
    if (escape.len && kp_utf8_length(escape.ptr, escape.len) > 1) {
        if (!kp_vec_is_null(out, row)) {
            kp_call_fail(call, row, "22025", "invalid escape string");
            kp_call_explain(call, NULL, "Escape string must be empty or one character.");
        }
        return false;
    }
    if (part(pattern, escape, ret_parts))
        return true;
    fn_fail_text(call, out, row, "2200C",
                 "SQL regular expression may not contain more than two escape-double-quote separators");
    return false;
}

static struct kp_str text_at(const struct kp_vec *const *args, unsigned n, uint32_t row)
{
    return kp_text_str(&FN_AT(struct kp_text, n, row));
}

static void append_part(struct kp_buf *out, const struct kp_buf *text)
{
    kp_buf_append(out, text->data ? (const char *)text->data : "", text->len);
}

/* SQL's pattern of a row as a regular expression; false: the row fails. */
static bool convert(struct kp_call *call, const struct kp_vec *out, uint32_t row, struct kp_str pattern,
                    struct kp_str escape, struct kp_buf *ret_text)
{
    static const char *const between[] = {"){1,1}?(", "){1,1}(?:"};
    struct parts parts = {0};
    ret_text->len = 0;
    bool good = part_row(call, out, row, pattern, escape, &parts);
    kp_buf_append_text(ret_text, "^(?:");
    for (unsigned p = 0; good && p < parts.count; p++) {
        append_part(ret_text, &parts.text[p]);
        kp_buf_append_text(ret_text, p + 1 < parts.count ? between[p] : ")$");
    }
    finish(&parts);
    return good;
}

static void similar_to_escape(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct kp_buf buf = {0};
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_str escape = call->arg_count > 1 ? text_at(args, 1, i) : KP_STR("\\");
        bool good = !kp_vec_is_null(out, i) && convert(call, out, i, text_at(args, 0, i), escape, &buf);
        ((struct kp_text *)out->data)[i] = fn_text(call, buf.data, good ? buf.len : 0);
    }
    kp_buf_finish(&buf);
}

/* A pattern of the row before, and what was made of it. */
struct similar {
    struct kp_str pattern, escape;
    struct kp_buf text;
    struct kp_pattern compiled;
};

static bool compile(struct kp_call *call, const struct kp_vec *out, uint32_t row, struct kp_str pattern,
                    struct kp_str escape, struct similar *similar)
{
    bool same = similar->compiled.compiled.are && kp_str_equal(similar->pattern, pattern) &&
                kp_str_equal(similar->escape, escape);
    if (!same) {
        kp_pattern_finish(&similar->compiled); /* its text is about to change */
        if (!convert(call, out, row, pattern, escape, &similar->text))
            return false;
    }
    similar->pattern = pattern;
    similar->escape = escape;
    struct kp_str text = {(const char *)similar->text.data, similar->text.len};
    return kp_pattern_compile(call, out, row, text, KP_ARE_ADVANCED, &similar->compiled);
}

static void substring_similar(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct similar similar = {0};
    bool owned = false;
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_text *to = (struct kp_text *)out->data + i;
        struct kp_str text = text_at(args, 0, i), taken = {NULL, 0};
        uint32_t errors = call->error_count;
        *to = kp_text_make("", 0);
        if (kp_vec_is_null(out, i))
            continue;
        if (compile(call, out, i, text_at(args, 1, i), text_at(args, 2, i), &similar)) {
            unsigned group = kp_pattern_groups(&similar.compiled) ? 1 : 0;
            if (kp_pattern_search(&similar.compiled, text, 0, group))
                taken = kp_pattern_group(&similar.compiled, text, group);
        }
        if (taken.ptr)
            *to = fn_text(call, taken.ptr, taken.len);
        else if (call->error_count == errors)
            fn_set_null(call, out, i, &owned);
    }
    kp_pattern_finish(&similar.compiled);
    kp_buf_finish(&similar.text);
}

static const struct kp_func funcs[] = {
    FN_UNARY("similar_to_escape", KP_FUNC_FUNCTION, KP_STRICT | KP_CAN_FAIL, KP_TEXT, KP_TEXT, similar_to_escape,
             "SIMILAR TO's pattern as a regular expression"),
    FN_BINARY("similar_to_escape", KP_FUNC_FUNCTION, KP_STRICT | KP_CAN_FAIL, KP_TEXT, KP_TEXT, KP_TEXT,
              similar_to_escape, "SIMILAR TO's pattern as a regular expression"),
    {.name = "substring",
     .kind = KP_FUNC_FUNCTION,
     .flags = KP_STRICT | KP_CAN_FAIL | KP_PATTERN,
     .arg_count = 3,
     .args = {KP_TEXT, KP_TEXT, KP_TEXT},
     .ret = KP_TEXT,
     .kernel = substring_similar,
     .doc = "the part between escaped double quotes of SQL's pattern, with its escape character"},
};
KP_FUNCTIONS(similar, funcs);
