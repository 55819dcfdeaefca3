/*
 * SQL's own patterns: those of SIMILAR TO as regular expressions, and substring(text FROM pattern FOR escape).
 *
 * % is any text, _ any character, ^ $ . \\ are themselves. An escape before a double quote parts the pattern of
 * substring into three: what is before, what is taken, what is behind. Of the ways in which they match the whole text
 * the first has the shortest part before, then the longest taken. RE2 knows the longest only, so the parts are patterns
 * of their own: the first place from which on the rest matches up to the end is asked whether what is before it matches
 * too, else the next one; likewise the last place where the taken part may end. With % around, as is usual, the first
 * places asked are right; a pattern that makes a long text be looked at too often is refused.
 */
#include "base/utf8.h"
#include "vec/regex.h"

enum { PARTS = 3 };
#define LOOKED_AT_BYTES_MAX (INT64_C(1) << 32) /* of one text, all places together: some seconds */

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

static void similar_to_escape(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    static const char *const between[] = {"){1,1}?(", "){1,1}(?:"};
    struct kp_buf buf = {0};
    for (uint32_t i = 0; i < call->rows; i++) {
        struct parts parts = {0};
        buf.len = 0;
        if (!kp_vec_is_null(out, i) && part_row(call, out, i, text_at(args, 0, i),
                                                call->arg_count > 1 ? text_at(args, 1, i) : KP_STR("\\"), &parts)) {
            kp_buf_append_text(&buf, "^(?:");
            for (unsigned p = 0; p < parts.count; p++) {
                append_part(&buf, &parts.text[p]);
                kp_buf_append_text(&buf, p + 1 < parts.count ? between[p] : ")$");
            }
        }
        finish(&parts);
        ((struct kp_text *)out->data)[i] = fn_text(call, buf.data, buf.len);
    }
    kp_buf_finish(&buf);
}

/* ---- substring ---- */

/* The patterns of a call: the whole; a part up to a place, from one on; the rest from a place on, the taken from one.
 */
enum { WHOLE, BEFORE, REST, TAKEN, BEHIND, PATTERNS };
struct search {
    struct kp_regex *regex[PATTERNS];
    struct kp_str pattern, escape; /* of the row before */
    bool set;
    unsigned parts;
};

static void close_search(struct search *search)
{
    for (unsigned i = 0; i < PATTERNS; i++)
        kp_regex_destroy(search->regex[i]);
    *search = (struct search){0};
}

/* The parts from `first` to before `end`, as a pattern that is bound to the text's begin and end, or one of them. */
static bool compile(struct kp_call *call, const struct kp_vec *out, uint32_t row, const struct parts *parts,
                    unsigned first, unsigned end, bool from_begin, bool to_end, struct kp_regex **ret_regex)
{
    struct kp_buf text = {0};
    struct kp_pattern pattern = {0};
    kp_buf_append_text(&text, from_begin ? "^" : "");
    for (unsigned p = first; p < end; p++) {
        kp_buf_append_text(&text, "(?:");
        append_part(&text, &parts->text[p]);
        kp_buf_append_text(&text, ")");
    }
    kp_buf_append_text(&text, to_end ? "$" : "");
    bool good = kp_pattern_compile(call, out, row, (struct kp_str){(const char *)text.data, text.len}, false, &pattern);
    kp_buf_finish(&text);
    *ret_regex = pattern.regex;
    return good;
}

static bool open_search(struct kp_call *call, const struct kp_vec *out, uint32_t row, struct kp_str pattern,
                        struct kp_str escape, struct search *search)
{
    if (search->set && kp_str_equal(search->pattern, pattern) && kp_str_equal(search->escape, escape))
        return true;
    close_search(search);
    struct parts parts = {0};
    struct kp_regex **regex = search->regex;
    bool good = part_row(call, out, row, pattern, escape, &parts);
    unsigned count = parts.count;
    good = good && compile(call, out, row, &parts, 0, count, true, true, &regex[WHOLE]);
    if (count > 1)
        good = good && compile(call, out, row, &parts, 0, 1, true, true, &regex[BEFORE]) &&
               compile(call, out, row, &parts, 1, count, false, true, &regex[REST]);
    if (count > 2)
        good = good && compile(call, out, row, &parts, 1, 2, true, false, &regex[TAKEN]) &&
               compile(call, out, row, &parts, 2, 3, true, true, &regex[BEHIND]);
    finish(&parts);
    search->pattern = pattern;
    search->escape = escape;
    search->set = good;
    search->parts = count;
    return good;
}

/* Looks at text[from, to), and counts it. False: nothing is found. */
static bool look(const struct search *search, unsigned pattern, struct kp_str text, size_t from, size_t to,
                 int64_t *looked_at, size_t *ret_groups)
{
    *looked_at += (int64_t)(to - from) + 1;
    return kp_regex_search(search->regex[pattern], text.ptr + from, to - from, 0, ret_groups, ret_groups ? 1 : 0);
}

static bool inside_character(struct kp_str text, size_t at)
{
    return at < text.len && ((unsigned char)text.ptr[at] & 0xc0) == 0x80;
}

enum found { FOUND_NOTHING, FOUND_PART, FOUND_TOO_MUCH };

/* The first place where what is before and the rest match; the whole does. */
static bool find_begin(const struct search *search, struct kp_str text, int64_t *looked_at, size_t *ret_from)
{
    size_t from = 0, groups[2];
    for (; *looked_at <= LOOKED_AT_BYTES_MAX; from++) {
        if (inside_character(text, from) || !look(search, REST, text, from, text.len, looked_at, groups))
            continue;
        from += groups[0];
        if (!inside_character(text, from) && look(search, BEFORE, text, 0, from, looked_at, NULL)) {
            *ret_from = from;
            return true;
        }
    }
    return false;
}

/* The last place where the taken part and what is behind match. */
static bool find_end(const struct search *search, struct kp_str text, size_t from, int64_t *looked_at, size_t *ret_to)
{
    size_t to = text.len, groups[2];
    for (; *looked_at <= LOOKED_AT_BYTES_MAX; to--) {
        if (inside_character(text, to) || !look(search, TAKEN, text, from, to, looked_at, groups))
            continue;
        to = from + groups[1];
        if (look(search, BEHIND, text, to, text.len, looked_at, NULL)) {
            *ret_to = to;
            return true;
        }
    }
    return false;
}

static enum found find(const struct search *search, struct kp_str text, struct kp_str *ret_taken)
{
    size_t from = 0, to = text.len;
    int64_t looked_at = 0;
    if (!look(search, WHOLE, text, 0, text.len, &looked_at, NULL))
        return FOUND_NOTHING;
    if ((search->parts > 1 && !find_begin(search, text, &looked_at, &from)) ||
        (search->parts > 2 && !find_end(search, text, from, &looked_at, &to)))
        return FOUND_TOO_MUCH;
    *ret_taken = (struct kp_str){text.ptr + from, to - from};
    return FOUND_PART;
}

static void substring_similar(struct kp_call *call, const struct kp_vec *const *args, struct kp_vec *out)
{
    struct search search = {0};
    bool owned = false;
    for (uint32_t i = 0; i < call->rows; i++) {
        struct kp_text *to = (struct kp_text *)out->data + i;
        struct kp_str text, taken;
        *to = kp_text_make("", 0);
        if (kp_vec_is_null(out, i) || !open_search(call, out, i, text_at(args, 1, i), text_at(args, 2, i), &search))
            continue;
        text = text_at(args, 0, i);
        switch (find(&search, text, &taken)) {
        case FOUND_NOTHING:
            fn_set_null(call, out, i, &owned);
            break;
        case FOUND_PART:
            *to = fn_text(call, taken.ptr, taken.len);
            break;
        case FOUND_TOO_MUCH:
            kp_call_fail(call, i, "54000", "the parts of SQL's pattern have too many places in a text of %zu bytes",
                         text.len);
        }
    }
    close_search(&search);
}

static const struct kp_func funcs[] = {
    FN_UNARY("similar_to_escape", KP_FUNC_FUNCTION, KP_STRICT | KP_CAN_FAIL, KP_TEXT, KP_TEXT, similar_to_escape,
             "SIMILAR TO's pattern as a regular expression"),
    FN_BINARY("similar_to_escape", KP_FUNC_FUNCTION, KP_STRICT | KP_CAN_FAIL, KP_TEXT, KP_TEXT, KP_TEXT,
              similar_to_escape, "SIMILAR TO's pattern as a regular expression"),
    {.name = "substring",
     .kind = KP_FUNC_FUNCTION,
     .flags = KP_STRICT | KP_CAN_FAIL,
     .arg_count = 3,
     .args = {KP_TEXT, KP_TEXT, KP_TEXT},
     .ret = KP_TEXT,
     .kernel = substring_similar,
     .doc = "the part between escaped double quotes of SQL's pattern, with its escape character"},
};
KP_FUNCTIONS(similar, funcs);
