/*
 * SQL's own patterns: those of SIMILAR TO as regular expressions, and substring(text FROM pattern FOR escape).
 *
 * % is any text, _ any character, ^ $ . \\ are themselves. An escape before a double quote parts the pattern of
 * substring into three: what is before, what is taken, what is behind. Of the ways in which they match the whole text
 * the first has the shortest part before, then the longest taken. RE2 knows the longest only, so each part is a pattern
 * of its own and the places are tried in that order.
 */
#include "base/utf8.h"
#include "vec/regex.h"

enum { PARTS = 3, PARTED_BYTES_MAX = 1 << 14 /* places are tried in pairs */ };

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
        fn_fail_text(call, out, row, "22025", "invalid escape string");
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

/* The patterns of a call: each part alone, and what is taken with what is behind. */
enum { BEFORE, TAKEN, BEHIND, REST, WHOLE, PATTERNS };
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

/* The parts from `first` to before `end`, as a pattern of a whole text. */
static bool compile(struct kp_call *call, const struct kp_vec *out, uint32_t row, const struct parts *parts,
                    unsigned first, unsigned end, struct kp_regex **ret_regex)
{
    struct kp_buf text = {0};
    struct kp_pattern pattern = {0};
    kp_buf_append_text(&text, "^");
    for (unsigned p = first; p < end; p++) {
        kp_buf_append_text(&text, "(?:");
        append_part(&text, &parts->text[p]);
        kp_buf_append_text(&text, ")");
    }
    kp_buf_append_text(&text, "$");
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
    bool good = part_row(call, out, row, pattern, escape, &parts);
    unsigned count = parts.count;
    good = good && compile(call, out, row, &parts, 0, count, &search->regex[WHOLE]);
    for (unsigned p = 0; good && count > 1 && p < count; p++)
        good = compile(call, out, row, &parts, p, p + 1, &search->regex[p]);
    if (good && count > 1)
        good = compile(call, out, row, &parts, 1, count, &search->regex[REST]);
    finish(&parts);
    search->pattern = pattern;
    search->escape = escape;
    search->set = good;
    search->parts = count;
    return good;
}

static bool matches(const struct kp_regex *regex, struct kp_str text, size_t from, size_t to)
{
    return kp_regex_search(regex, text.ptr + from, to - from, 0, NULL, 0);
}

static bool inside_character(struct kp_str text, size_t at)
{
    return at < text.len && ((unsigned char)text.ptr[at] & 0xc0) == 0x80;
}

static bool find(const struct search *search, struct kp_str text, struct kp_str *ret_taken)
{
    size_t from = 0, to = text.len;
    if (!matches(search->regex[WHOLE], text, 0, text.len))
        return false;
    if (search->parts > 1)
        while (inside_character(text, from) || !matches(search->regex[BEFORE], text, 0, from) ||
               !matches(search->regex[REST], text, from, text.len))
            from++; /* some place does: the whole matches */
    if (search->parts > 2)
        while (inside_character(text, to) || !matches(search->regex[TAKEN], text, from, to) ||
               !matches(search->regex[BEHIND], text, to, text.len))
            to--;
    *ret_taken = (struct kp_str){text.ptr + from, to - from};
    return true;
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
        if (search.parts > 1 && text.len > PARTED_BYTES_MAX)
            kp_call_fail(call, i, "54000", "substring by SQL's pattern in parts takes at most %d bytes of text",
                         (int)PARTED_BYTES_MAX);
        else if (find(&search, text, &taken))
            *to = fn_text(call, taken.ptr, taken.len);
        else
            fn_set_null(call, out, i, &owned);
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
