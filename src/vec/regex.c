/*
 * PostgreSQL's regular expressions in RE2's words.
 *
 * A pattern is compiled once when it is constant, else whenever it differs from the row before. What RE2 cannot do, or
 * would do otherwise than PostgreSQL (non-greedy repetition, since we match the longest; word boundaries; embedded
 * options), is refused with 0A000 rather than answered wrongly. Character classes are translated to Unicode's.
 */
#include "vec/regex.h"

#include "base/limits.h"

enum {
    REPLACEMENT_GROUPS = 10,
    REPLACED_BYTES_MAX = 4 * KP_RECORD_BYTES_MAX /* a longer one is refused behind the kernel (flow/eval.c) */
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
    } else if (next == 'b') { /* backspace, also outside of brackets */
        kp_buf_append_text(out, "\\x08");
    } else if (next == 'B') {
        kp_buf_append_text(out, "\\\\");
    } else if (next == 'e') {
        kp_buf_append_text(out, "\\x1b");
    } else if ((next == 'A' || next == 'Z') && !in_class) { /* the text's ends */
        kp_buf_append_text(out, next == 'A' ? "\\A" : "\\z");
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

bool kp_pattern_compile(struct kp_call *call, const struct kp_vec *out, uint32_t row, struct kp_str pattern, bool fold,
                        struct kp_pattern *compiled)
{
    if (compiled->set && compiled->fold == fold && kp_str_equal(compiled->pattern, pattern))
        return compiled->regex != NULL;
    kp_regex_destroy(compiled->regex);
    *compiled = (struct kp_pattern){.pattern = pattern, .fold = fold, .set = false, .lines = compiled->lines};
    if (out && kp_vec_is_null(out, row))
        return false;
    struct kp_buf translated = {0};
    kp_buf_reserve(&translated, 1);
    kp_buf_append_text(&translated, compiled->lines ? "(?m:" : "");
    const char *construct = translate(pattern, &translated);
    kp_buf_append_text(&translated, compiled->lines ? ")" : "");
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

/* The next place to look: behind a match, one character on behind an empty one. */
size_t kp_pattern_behind(struct kp_str text, const size_t *groups)
{
    size_t next = groups[1];
    if (groups[0] == groups[1]) {
        next++;
        while (next < text.len && ((unsigned char)text.ptr[next] & 0xc0) == 0x80)
            next++;
    }
    return next;
}

/* Flags i and g (c, s and t are what is usual); others are refused. */
bool kp_pattern_flags(struct kp_call *call, const struct kp_vec *out, uint32_t row, struct kp_str flags, bool *fold,
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
        else if (c != 's' && c != 't') {
            size_t len = 1;
            while (i + len < flags.len && ((uint8_t)flags.ptr[i + len] & 0xc0) == 0x80)
                len++;
            if (!out || !kp_vec_is_null(out, row))
                kp_call_fail(call, row, "22023", "invalid regular expression option: \"%.*s\"", (int)len,
                             flags.ptr + i);
            return false;
        }
    }
    return true;
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

void kp_pattern_replace(const struct kp_pattern *compiled, struct kp_str text, struct kp_str by, size_t from, int32_t n,
                        struct kp_buf *out)
{
    size_t groups[2 * REPLACEMENT_GROUPS], copied = 0, at = from;
    unsigned wanted = KP_MIN(kp_regex_groups(compiled->regex) + 1, (unsigned)REPLACEMENT_GROUPS);
    for (size_t g = 0; g < 2 * REPLACEMENT_GROUPS; g++)
        groups[g] = (size_t)-1;
    for (int32_t found = 1; at <= text.len && out->len <= REPLACED_BYTES_MAX &&
                            kp_regex_search(compiled->regex, text.ptr, text.len, at, groups, wanted);
         found++) {
        if (n == 0 || found == n) {
            kp_buf_append(out, text.ptr + copied, groups[0] - copied);
            append_replacement(out, text, by, groups);
            copied = groups[1];
        }
        at = kp_pattern_behind(text, groups);
        if (n && found >= n)
            break;
    }
    if (copied < text.len)
        kp_buf_append(out, text.ptr + copied, text.len - copied);
}

bool kp_pieces_next(struct kp_pieces *pieces, const struct kp_regex *regex, struct kp_str *ret_piece)
{
    size_t groups[2];
    if (pieces->done)
        return false;
    while (pieces->at <= pieces->text.len &&
           kp_regex_search(regex, pieces->text.ptr, pieces->text.len, pieces->at, groups, 1)) {
        bool empty = groups[0] == groups[1];
        pieces->at = kp_pattern_behind(pieces->text, groups);
        if (empty && (groups[0] == pieces->from || groups[0] >= pieces->text.len))
            continue;
        *ret_piece = (struct kp_str){pieces->text.ptr + pieces->from, groups[0] - pieces->from};
        pieces->from = groups[1];
        return true;
    }
    *ret_piece = (struct kp_str){pieces->text.ptr + pieces->from, pieces->text.len - pieces->from};
    pieces->done = true;
    return true;
}
