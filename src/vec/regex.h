/* For fn_regex*.c, fn_similar.c, set_text.c and jsonpath_regex.c: patterns of rows, compiled (are.h). */
#ifndef KP_VEC_REGEX_H
#define KP_VEC_REGEX_H

#include "vec/are.h"
#include "vec/fn.h"

/* Of a pattern, compiled. Who holds it is the only one who uses it. */
struct kp_compiled {
    struct kp_are *are; /* NULL: none */
    char *text;         /* the pattern */
    size_t len;
    unsigned flags; /* enum kp_are_flags */
    size_t *groups; /* room for the places of its groups */
    size_t bytes;   /* while it is kept: what it takes */
};

/* The pattern of the row before; zero-initialize. Another one when a row has another one. */
struct kp_pattern {
    struct kp_compiled compiled;
    size_t *groups; /* of the last match: begin and end of group i at 2 i, 0 the whole; (size_t)-1: took no part */
    /* whose row fails when a search takes too long */
    struct kp_call *call;
    const struct kp_vec *out;
    uint32_t row;
};

/* False, with the row's error unless the row is NULL anyway, if it cannot be compiled. out NULL: the row is not NULL.
 */
bool kp_pattern_compile(struct kp_call *call, const struct kp_vec *out, uint32_t row, struct kp_str pattern,
                        unsigned flags, struct kp_pattern *compiled);
void kp_pattern_finish(struct kp_pattern *pattern);
/* How many were compiled so far by the process, for tests. */
uint64_t kp_patterns_compiled(void);
/* What the ones take that wait for the next call. */
size_t kp_patterns_kept_bytes(void);
/*
 * The first match that begins at byte `at` or behind, with its place and those of groups up to number `last_group` in
 * pattern->groups. False: there is none, or the row fails.
 */
bool kp_pattern_search(struct kp_pattern *pattern, struct kp_str text, size_t at, unsigned last_group);
/* Whether there is one at all: found sooner than where. */
bool kp_pattern_matches(struct kp_pattern *pattern, struct kp_str text);
static inline unsigned kp_pattern_groups(const struct kp_pattern *pattern)
{
    return kp_are_groups(pattern->compiled.are);
}
/* What a group took in the last match; ptr NULL: it took no part. */
static inline struct kp_str kp_pattern_group(const struct kp_pattern *pattern, struct kp_str text, unsigned group)
{
    size_t from = pattern->groups[2 * group], to = pattern->groups[2 * group + 1];
    return from == (size_t)-1 ? (struct kp_str){NULL, 0} : (struct kp_str){text.ptr + from, to - from};
}
/* The next place to look: behind the last match, one character on behind an empty one. */
size_t kp_pattern_behind(const struct kp_pattern *pattern, struct kp_str text);
/* The letters of flags; g where `global` is not NULL. Others are refused: the row fails. out NULL: it is not NULL. */
bool kp_pattern_flags(struct kp_call *call, const struct kp_vec *out, uint32_t row, struct kp_str letters,
                      unsigned *flags, bool *global);

/* Appends the text with the n-th match from byte `from` on (0: each) replaced: \1 … \9 and \& are groups. */
void kp_pattern_replace(struct kp_pattern *pattern, struct kp_str text, struct kp_str by, size_t from, int32_t n,
                        struct kp_buf *out);

/* The pieces between matches; zero-initialize but for text. An empty match parts two characters, and counts neither at
 * the start nor at the end nor behind a match. */
struct kp_pieces {
    struct kp_str text;
    size_t at, from; /* where to search on, where the piece begins */
    bool done;
};
bool kp_pieces_next(struct kp_pieces *pieces, struct kp_pattern *pattern, struct kp_str *ret_piece);

#endif
