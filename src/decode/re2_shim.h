/*
 * RE2 behind C functions (re2_shim.cc), in POSIX leftmost-longest mode: for records that are text with a pattern, whose
 * groups have names (pattern.c). SQL's regular expressions are not these (vec/are.h).
 */
#ifndef KP_DECODE_RE2_SHIM_H
#define KP_DECODE_RE2_SHIM_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kp_regex;
enum { KP_REGEX_GROUPS_MAX = 100 };

/* NULL on a bad or refused pattern, with the reason in error. */
struct kp_regex *kp_regex_create(const char *pattern, size_t len, bool fold_case, char *error, size_t error_bytes);
void kp_regex_destroy(struct kp_regex *regex);
/*
 * Searches from byte `start`. groups[2 * i], groups[2 * i + 1]: begin and end of group i, group 0 the whole match, or
 * both (size_t)-1 where a group did not take part. group_count: how many the caller wants, at most KP_REGEX_GROUPS_MAX.
 */
bool kp_regex_search(const struct kp_regex *regex, const char *text, size_t len, size_t start, size_t *groups,
                     unsigned group_count);
/* The number of a group (?P<name>…), -1 if there is none. */
int kp_regex_group_named(const struct kp_regex *regex, const char *name, size_t len);
unsigned kp_regex_groups(const struct kp_regex *regex); /* capturing groups, without the whole */

#ifdef __cplusplus
}
#endif

#endif
