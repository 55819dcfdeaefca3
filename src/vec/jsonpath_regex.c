/*
 * like_regex of SQL/JSON paths: ~ with other flags. Without s a point and [^x] stop at a line's end, with m lines have
 * their own ^ and $, with q nothing is special; i is ~*'s.
 */
#include "vec/jsonpath_item.h"

#include "vec/regex.h"

/* A bracket expression at `at`; behind it. */
static size_t copy_brackets(struct kp_str pattern, size_t at, bool dot, struct kp_buf *out)
{
    size_t first = at + 1;
    bool negated = first < pattern.len && pattern.ptr[first] == '^';
    first += negated;
    size_t end = first;
    while (end < pattern.len && (pattern.ptr[end] != ']' || end == first))
        end += pattern.ptr[end] == '\\' && end + 1 < pattern.len ? 2 : 1;
    end = KP_MIN(end, pattern.len);
    kp_buf_append(out, pattern.ptr + at, first - at);
    if (negated && !dot && end < pattern.len)
        kp_buf_append_byte(out, '\n');
    kp_buf_append(out, pattern.ptr + first, end - first);
    return end;
}

/* The pattern as ~ would read it. */
static struct kp_str pattern_of(const struct kp_path_node *node, struct kp_arena *arena)
{
    struct kp_buf out = {0};
    struct kp_str pattern = node->text;
    bool quote = node->first & KP_PATH_REGEX_QUOTE, dot = node->first & KP_PATH_REGEX_DOT;
    for (size_t i = 0; i < pattern.len;) {
        char c = pattern.ptr[i];
        if (!quote && c == '[') {
            i = copy_brackets(pattern, i, dot, &out);
            continue;
        }
        if (!quote && !dot && c == '.') {
            kp_buf_append_text(&out, "[^\n]");
            i++;
            continue;
        }
        if (quote && strchr("\\^$.[]|()?*+{}", c))
            kp_buf_append_byte(&out, '\\');
        size_t len = !quote && c == '\\' && i + 1 < pattern.len ? 2 : 1;
        kp_buf_append(&out, pattern.ptr + i, len);
        i += len;
    }
    struct kp_str copy = {kp_arena_strndup(arena, out.data ? (const char *)out.data : "", out.len), out.len};
    kp_buf_finish(&out);
    return copy;
}

bool kp_path_pattern_compile(struct kp_call *call, const struct kp_path_node *node, struct kp_pattern *pattern)
{
    pattern->lines = node->first & KP_PATH_REGEX_LINES && !(node->first & KP_PATH_REGEX_QUOTE);
    return kp_pattern_compile(call, NULL, 0, pattern_of(node, call->arena), node->first & KP_PATH_REGEX_FOLD, pattern);
}
