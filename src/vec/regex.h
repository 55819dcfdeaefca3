/* For fn_regex*.c and set_text.c: patterns in PostgreSQL's words, compiled by RE2 (regex_shim.h). */
#ifndef KP_VEC_REGEX_H
#define KP_VEC_REGEX_H

#include "vec/fn.h"
#include "vec/regex_shim.h"

enum { KP_PATTERN_GROUPS_MAX = 64 };

/* The pattern of the row before; zero-initialize. Compiled anew when a row has another one. */
struct kp_pattern {
    struct kp_regex *regex;
    struct kp_str pattern;
    bool fold, set;
    bool lines; /* given: ^ and $ are of lines */
};

/* False, with the row's error unless the row is NULL anyway, if it cannot be compiled. */
bool kp_pattern_compile(struct kp_call *call, const struct kp_vec *out, uint32_t row, struct kp_str pattern, bool fold,
                        struct kp_pattern *compiled);
static inline void kp_pattern_finish(struct kp_pattern *pattern)
{
    kp_regex_destroy(pattern->regex);
}
/* The next place to look: behind a match, one character on behind an empty one. */
size_t kp_pattern_behind(struct kp_str text, const size_t *groups);
/* Flags i and c, and g where `global` is not NULL (s is what is usual); others are refused: the row fails. out NULL:
 * the row is not NULL. */
bool kp_pattern_flags(struct kp_call *call, const struct kp_vec *out, uint32_t row, struct kp_str flags, bool *fold,
                      bool *global);

/* Appends the text with the n-th match from byte `from` on (0: each) replaced: \1 … \9 and \& are groups. */
void kp_pattern_replace(const struct kp_pattern *compiled, struct kp_str text, struct kp_str by, size_t from, int32_t n,
                        struct kp_buf *out);

/* The pieces between matches; zero-initialize but for text. An empty match parts two characters, and counts neither at
 * the start nor at the end nor behind a match. */
struct kp_pieces {
    struct kp_str text;
    size_t at, from; /* where to search on, where the piece begins */
    bool done;
};
bool kp_pieces_next(struct kp_pieces *pieces, const struct kp_regex *regex, struct kp_str *ret_piece);

#endif
