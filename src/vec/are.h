/*
 * PostgreSQL's advanced regular expressions (AREs), with the extended and basic ones that its flags turn on.
 *
 * An object serves one thread at a time: it keeps what it learns of texts (are_dfa.c).
 */
#ifndef KP_VEC_ARE_H
#define KP_VEC_ARE_H

#include "base/buf.h"

/* How a pattern is read. ADVANCED is what is usual, EXTENDED alone an ERE, neither a BRE. */
enum kp_are_flags {
    KP_ARE_EXTENDED = 1,
    KP_ARE_ESCAPES = 2, /* with EXTENDED: advanced */
    KP_ARE_ADVANCED = KP_ARE_EXTENDED | KP_ARE_ESCAPES,
    KP_ARE_QUOTE = 4,          /* nothing is special */
    KP_ARE_FOLD = 8,           /* case is ignored */
    KP_ARE_SPACED = 16,        /* white space and comments are skipped */
    KP_ARE_NEWLINE_STOPS = 32, /* . and [^x] do not match one */
    KP_ARE_NEWLINE_EDGES = 64, /* ^ and $ are of lines */
    KP_ARE_NEWLINE = KP_ARE_NEWLINE_STOPS | KP_ARE_NEWLINE_EDGES
};

/* A letter of a function's flags; false: it means nothing. Here e makes a basic expression, as in PostgreSQL. */
bool kp_are_option(unsigned *flags, char letter);

struct kp_are;

/* Why a pattern is refused: PostgreSQL's words, or a limit of ours. Both are static. */
struct kp_are_refusal {
    const char *sqlstate, *message;
};

/* NULL on a bad pattern or one that is too large. */
struct kp_are *kp_are_create(struct kp_str pattern, unsigned flags, struct kp_are_refusal *ret_refusal);
void kp_are_destroy(struct kp_are *are);          /* NULL is fine */
size_t kp_are_bytes(const struct kp_are *are);    /* what it takes, with what it has learnt of texts */
unsigned kp_are_groups(const struct kp_are *are); /* capturing ones, without the whole */

enum kp_are_found {
    KP_ARE_NONE,
    KP_ARE_FOUND,
    KP_ARE_TOO_LONG, /* it took more steps than a search may */
    KP_ARE_TOO_LARGE /* a part of the pattern needs more states than it may */
};
/*
 * The first match in valid UTF-8 that begins at byte `start` or behind; what is before it may be looked back at.
 * groups[2 * i], groups[2 * i + 1]: begin and end of group i, group 0 the whole, (size_t)-1 where one did not take
 * part. group_count: how many the caller wants; fewer are found sooner, with 0 only whether there is a match. Once
 * `waiting` is in vain (kp_arena_vain), NONE.
 */
enum kp_are_found kp_are_search(struct kp_are *are, struct kp_str text, size_t start, size_t *groups,
                                unsigned group_count, const struct kp_arena *waiting);

#endif
