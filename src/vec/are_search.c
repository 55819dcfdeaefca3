/*
 * A match: found by the automaton of the whole, then taken apart (kp_are_split.c tells into which parts).
 *
 *   CONCAT   the left part takes the longest it can, or the shortest if it prefers that, and the right one the rest; if
 *            one of them cannot be taken apart so, the next shorter or longer is tried
 *   EITHER   the first of the parts that can be taken apart
 *   REPEAT   each repetition in turn takes the longest or the shortest that leaves the next ones a match; empty ones
 *            only where the minimum needs them. Where the longest is preferred, an empty text is one empty
 *            repetition rather than none
 *
 * Only back references can make a part fail whose automaton matched. What is found first within a part stays: another
 * way to take apart the left of a CONCAT is not tried with the same middle.
 */
#include "base/utf8.h"
#include "vec/are_internal.h"

/* A search with the groups found so far. */
struct match {
    struct are_run run;
    size_t *groups;
};

static void clear_groups(struct match *match, const struct are_part *part)
{
    if (part->group) {
        match->groups[2 * part->group] = ARE_NOWHERE;
        match->groups[2 * part->group + 1] = ARE_NOWHERE;
    }
    bool all = part->kind == ARE_P_CONCAT || part->kind == ARE_P_EITHER;
    for (const struct are_part *child = part->leaf ? NULL : part->child; child; child = all ? child->next : NULL)
        clear_groups(match, child);
}

static size_t characters(const struct match *match, size_t begin, size_t end)
{
    return kp_utf8_length(match->run.text + begin, end - begin);
}

static bool matches_exactly(struct match *match, struct are_part *part, size_t begin, size_t end)
{
    struct are_dfa *dfa = kp_are_dfa_of_part(&match->run, part);
    return dfa && kp_are_longest(&match->run, dfa, begin, end) == end;
}

static bool take_apart(struct match *match, struct are_part *part, size_t begin, size_t end);

static bool take_concat(struct match *match, struct are_part *part, size_t begin, size_t end)
{
    struct are_part *left = part->child, *right = left->next;
    struct are_dfa *dfa = kp_are_dfa_of_part(&match->run, left);
    bool shorter = left->trend & ARE_SHORTER;
    if (!dfa)
        return false;
    size_t middle = shorter ? kp_are_shortest(&match->run, dfa, begin, begin, end, NULL)
                            : kp_are_longest(&match->run, dfa, begin, end);
    while (middle != ARE_NOWHERE) {
        if (matches_exactly(match, right, middle, end) && take_apart(match, left, begin, middle) &&
            take_apart(match, right, middle, end))
            return true;
        clear_groups(match, left);
        clear_groups(match, right);
        if (middle == (shorter ? end : begin))
            return false;
        middle = shorter ? kp_are_shortest(&match->run, dfa, begin, are_behind(&match->run, middle), end, NULL)
                         : kp_are_longest(&match->run, dfa, begin, are_before(match->run.text, middle));
    }
    return false;
}

static bool take_either(struct match *match, struct are_part *part, size_t begin, size_t end)
{
    for (struct are_part *child = part->child; child; child = child->next)
        if (matches_exactly(match, child, begin, end) && take_apart(match, child, begin, end))
            return true;
    return false;
}

/* Whether the text from `at` on begins with that of [from, to), perhaps in other cases; moves *at behind it. */
static bool same_text(const struct match *match, size_t from, size_t to, size_t *at)
{
    bool fold = match->run.are->flags & KP_ARE_FOLD;
    const char *left = match->run.text + from, *right = match->run.text + *at;
    while (left < match->run.text + to) {
        uint32_t x = kp_utf8_next(&left), y = kp_utf8_next(&right);
        if (x != y && !(fold && kp_unicode_lower(x) == kp_unicode_lower(y)))
            return false;
    }
    *at = (size_t)(right - match->run.text);
    return true;
}

static bool take_reference(struct match *match, struct are_part *part, size_t begin, size_t end)
{
    size_t from = match->groups[2 * part->first->value], to = match->groups[2 * part->first->value + 1];
    if (from == ARE_NOWHERE)
        return false;
    if (from == to)
        return begin == end;
    if (begin == end)
        return part->min == 0;
    size_t one = characters(match, from, to), all = characters(match, begin, end), count = all / one;
    if (all % one || count < part->min || (part->max != ARE_INFINITE && count > part->max))
        return false;
    while (count-- && same_text(match, from, to, &begin))
        if (count == 0)
            return true;
    return false;
}

/* The ends of repetitions while they are looked for: [0] is the begin. */
struct repetitions {
    size_t *ends, cap;
    size_t count;    /* that have one, and the one that is looked for */
    size_t verified; /* that were taken apart and are still the same */
    size_t min, max;
};

static void set_end(struct repetitions *list, size_t i, size_t end)
{
    if (i >= list->cap) {
        list->cap = KP_MAX(2 * list->cap, (size_t)16);
        list->ends = kp_realloc(list->ends, list->cap * sizeof *list->ends);
    }
    list->ends[i] = end;
}

/* Whether an empty repetition, the k-th, is needed to come to the minimum before `end`. */
static bool needs_empty(const struct match *match, const struct repetitions *list, size_t k, size_t at, size_t end)
{
    return k < list->min && list->min - k >= characters(match, at, end);
}

/* Whether the repetitions up to the count's can all be taken apart. */
static bool verify(struct match *match, struct are_part *child, struct repetitions *list)
{
    for (size_t i = list->verified + 1; i <= list->count; i++) {
        clear_groups(match, child);
        if (!take_apart(match, child, list->ends[i - 1], list->ends[i]))
            return false;
        list->verified = i;
    }
    return true;
}

/* The last repetition that can be changed is to end earlier: *ret_limit. False: none can. */
static bool shorten(const struct match *match, struct repetitions *list, size_t end, size_t *ret_limit)
{
    for (; list->count > 0; list->count--) {
        size_t begin = list->ends[list->count - 1], now = list->ends[list->count];
        if (now <= begin)
            continue;
        *ret_limit = are_before(match->run.text, now);
        if (*ret_limit > begin || needs_empty(match, list, list->count, begin, end))
            return true;
    }
    return false;
}

static bool lengthen(const struct match *match, struct repetitions *list, size_t end, size_t *ret_limit)
{
    for (; list->count > 0; list->count--)
        if (list->ends[list->count] < end) {
            *ret_limit = are_behind(&match->run, list->ends[list->count]);
            return true;
        }
    return false;
}

/*
 * Looks for the end of the repetition number list->count, up to `limit` (longest first) or from it on (shortest first).
 * False: it has none that can be used, or it is the last and they cannot be taken apart so; list->count is the one to
 * be changed.
 */
enum progress { GOES_ON, DONE, BACK };
static enum progress try_end(struct match *match, struct are_part *child, struct repetitions *list, size_t end,
                             size_t limit)
{
    struct are_dfa *dfa = kp_are_dfa_of_part(&match->run, child);
    size_t k = list->count, begin = list->ends[k - 1], found;
    bool shorter = child->trend & ARE_SHORTER;
    if (shorter && limit == begin && limit != end && !needs_empty(match, list, k, limit, end))
        limit = are_behind(&match->run, limit);
    if (shorter)
        found = kp_are_shortest(&match->run, dfa, begin, limit, end, NULL);
    else
        found = kp_are_longest(&match->run, dfa, begin, limit);
    if (found == ARE_NOWHERE) {
        list->count--;
        return BACK;
    }
    set_end(list, k, found);
    list->verified = KP_MIN(list->verified, k - 1);
    if (found == end)
        return k >= list->min && verify(match, child, list) ? DONE : BACK;
    if (k >= list->max) {
        list->count -= !shorter; /* a shorter last one does not reach the end either */
        return BACK;
    }
    if (!shorter && found == begin && !needs_empty(match, list, k, found, end))
        return BACK;
    list->count++;
    return GOES_ON;
}

static bool take_repeat(struct match *match, struct are_part *part, size_t begin, size_t end)
{
    struct are_part *child = part->child;
    bool shorter = child->trend & ARE_SHORTER, done = false;
    bool may_be_none = part->min == 0 && begin == end;
    struct repetitions list = {.count = 1, .min = KP_MAX(part->min, 1)};
    if (shorter && may_be_none)
        return true;
    size_t all = characters(match, begin, end);
    list.max = part->max == ARE_INFINITE ? all : KP_MIN(all, (size_t)part->max);
    list.max = KP_MAX(list.max, list.min);
    set_end(&list, 0, begin);
    size_t limit = shorter ? begin : end;
    while (kp_are_dfa_of_part(&match->run, child) && !are_run_over(&match->run)) {
        enum progress progress = try_end(match, child, &list, end, limit);
        done = progress == DONE;
        if (done)
            break;
        if (progress == GOES_ON)
            limit = shorter ? list.ends[list.count - 1] : end;
        else if (!(shorter ? lengthen : shorten)(match, &list, end, &limit))
            break;
    }
    kp_free(list.ends);
    if (!done)
        clear_groups(match, child);
    return done || may_be_none;
}

/* Sets the groups inside of a part that its automaton found to match from begin to end. */
static bool take_apart(struct match *match, struct are_part *part, size_t begin, size_t end)
{
    bool good = true;
    if (!part->leaf) {
        switch (part->kind) {
        case ARE_P_CONCAT:
            good = take_concat(match, part, begin, end);
            break;
        case ARE_P_EITHER:
            good = take_either(match, part, begin, end);
            break;
        case ARE_P_REPEAT:
            good = take_repeat(match, part, begin, end);
            break;
        case ARE_P_CAPTURE:
            good = take_apart(match, part->child, begin, end);
            break;
        case ARE_P_REFERENCE:
            good = take_reference(match, part, begin, end);
            break;
        case ARE_P_ITEMS:
        case ARE_P_ATOM:
            break;
        }
    }
    good = good && !are_run_over(&match->run);
    if (good && part->group) {
        match->groups[2 * part->group] = begin;
        match->groups[2 * part->group + 1] = end;
    }
    return good;
}

/* ---- the whole ---- */

/* The end of the match that begins at `begin`, its groups set. */
static size_t end_of(struct match *match, struct are_dfa *dfa, size_t begin, bool apart)
{
    struct kp_are *are = match->run.are;
    bool shorter = are->whole->trend & ARE_SHORTER;
    size_t end = shorter ? kp_are_shortest(&match->run, dfa, begin, begin, match->run.len, NULL)
                         : kp_are_longest(&match->run, dfa, begin, match->run.len);
    while (end != ARE_NOWHERE && apart) {
        for (size_t g = 2; g < 2 * (size_t)are->group_count + 2; g++)
            match->groups[g] = ARE_NOWHERE;
        if (take_apart(match, are->whole, begin, end))
            return end;
        if (are_run_over(&match->run) || end == (shorter ? match->run.len : begin))
            return ARE_NOWHERE;
        end = shorter ? kp_are_shortest(&match->run, dfa, begin, are_behind(&match->run, end), match->run.len, NULL)
                      : kp_are_longest(&match->run, dfa, begin, are_before(match->run.text, end));
    }
    return end;
}

/*
 * Where a match may be, one ends first at `close`, and it begins from `begin` to there. With back references that may
 * be wrong, and it is looked for behind; but then, in PostgreSQL too, not at the text's end alone.
 */
static bool find(struct match *match, size_t start, bool where, bool apart)
{
    struct are_run *run = &match->run;
    struct are_dfa *seek = kp_are_dfa_anywhere(run), *dfa = where ? kp_are_dfa_of_part(run, run->are->whole) : NULL;
    size_t close = start, begin = start;
    if (!seek || (where && !dfa))
        return false;
    do {
        close = kp_are_shortest(run, seek, close, close, run->len, &begin);
        if (close == ARE_NOWHERE || !where)
            return close != ARE_NOWHERE;
        for (; begin <= close && !are_run_over(run); begin = are_behind(run, begin)) {
            size_t end = end_of(match, dfa, begin, apart);
            if (end != ARE_NOWHERE) {
                match->groups[0] = begin;
                match->groups[1] = end;
                return true;
            }
        }
        close = are_behind(run, close);
    } while (close < run->len && !are_run_over(run));
    return false;
}

enum kp_are_found kp_are_search(struct kp_are *are, struct kp_str text, size_t start, size_t *groups,
                                unsigned group_count, const struct kp_arena *waiting)
{
    enum { FEW = 16 };
    size_t few[2 * FEW];
    struct match match = {.run = {.are = are, .text = text.ptr ? text.ptr : "", .len = text.len, .waiting = waiting}};
    bool many = are->group_count >= FEW;
    match.groups = many ? kp_alloc(2 * ((size_t)are->group_count + 1) * sizeof *few) : few;
    for (size_t g = 0; g < 2 * (size_t)are->group_count + 2; g++)
        match.groups[g] = ARE_NOWHERE;
    kp_are_dfa_forget_text(are);
    bool apart = are->refers || (group_count > 1 && are->group_count);
    bool found = find(&match, start, group_count || are->refers, apart);
    for (unsigned g = 0; found && g < group_count; g++) {
        groups[2 * g] = g <= are->group_count ? match.groups[2 * g] : ARE_NOWHERE;
        groups[2 * g + 1] = g <= are->group_count ? match.groups[2 * g + 1] : ARE_NOWHERE;
    }
    if (many)
        kp_free(match.groups);
    return match.run.stopped ? match.run.stopped : found && !match.run.vain ? KP_ARE_FOUND : KP_ARE_NONE;
}

struct kp_are *kp_are_create(struct kp_str pattern, unsigned flags, struct kp_are_refusal *ret_refusal)
{
    struct kp_are *are = kp_calloc(1, sizeof *are);
    bool good = !(flags & KP_ARE_QUOTE && flags & (KP_ARE_ADVANCED | KP_ARE_SPACED | KP_ARE_NEWLINE));
    are->flags = flags;
    if (!good)
        *ret_refusal = (struct kp_are_refusal){"2201B", "invalid argument to regex function"};
    good = good && kp_are_parse(are, pattern, ret_refusal);
    if (good && !(are->whole = kp_are_split(are))) {
        *ret_refusal = (struct kp_are_refusal){"54000", "regular expression is nested too deeply"};
        good = false;
    }
    if (!good) {
        kp_are_destroy(are);
        return NULL;
    }
    kp_are_classes_init(&are->classes, are->sets, are->set_count, are->lines, are->words);
    return are;
}

void kp_are_destroy(struct kp_are *are)
{
    if (!are)
        return;
    kp_are_dfa_destroy_all(are);
    for (size_t i = 0; i < are->set_count; i++)
        kp_are_set_finish(&are->sets[i]);
    kp_free(are->sets);
    kp_free(are->looks);
    kp_free(are->groups);
    kp_are_classes_finish(&are->classes);
    kp_arena_finish(&are->arena);
    kp_free(are);
}

size_t kp_are_bytes(const struct kp_are *are)
{
    const struct are_classes *classes = &are->classes;
    size_t bytes = sizeof *are + are->arena.bytes + kp_are_dfa_bytes_all(are);
    bytes += are->set_cap * sizeof *are->sets + are->look_cap * sizeof *are->looks;
    bytes += classes->range_count * sizeof *classes->ranges + (are->set_count + 1) * classes->count;
    for (size_t i = 0; i < are->set_count; i++)
        bytes += are->sets[i].cap * sizeof *are->sets[i].ranges;
    return bytes;
}

unsigned kp_are_groups(const struct kp_are *are)
{
    return are->group_count;
}
