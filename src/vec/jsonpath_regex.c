/*
 * like_regex of SQL/JSON paths: ~ with other flags. Without s a point and [^x] stop at a line's end, with m lines have
 * their own ^ and $, with q nothing is special; i is ~*'s.
 */
#include "vec/jsonpath_item.h"

#include "vec/regex.h"

bool kp_path_pattern_compile(struct kp_call *call, const struct kp_path_node *node, struct kp_pattern *pattern)
{
    unsigned flags = node->first & KP_PATH_REGEX_FOLD ? KP_ARE_FOLD : 0;
    if (node->first & KP_PATH_REGEX_QUOTE)
        flags |= KP_ARE_QUOTE;
    else
        flags |= KP_ARE_ADVANCED | (node->first & KP_PATH_REGEX_DOT ? 0u : (unsigned)KP_ARE_NEWLINE_STOPS) |
                 (node->first & KP_PATH_REGEX_LINES ? (unsigned)KP_ARE_NEWLINE_EDGES : 0u);
    return kp_pattern_compile(call, NULL, 0, node->text, flags, pattern);
}
