/*
 * The parts of a pattern. The substring of each group is found by taking the match apart, part by part, and each part
 * takes the longest or the shortest substring that leaves the rest a match (are_search.c). So what the parts are, and
 * which they prefer, decides what groups take and where the whole ends. The rules:
 *
 *   1. An atom with a quantifier prefers what that says, {m} and one without what is inside of it.
 *   2. A branch prefers what its first part with a preference does; branches that are alternatives prefer the longest.
 *   3. A run of items in a branch is one leaf as long as it has no group, no back reference and one preference only.
 *      Where an item ends the run, the branch is parted: run, item, rest. What prefers both inside, is mixed, is parted
 *      too, but for a repetition, which then has the preference of its quantifier.
 *   4. A repeated group is the repetitions before, a leaf, and the last one, which captures; with m = 0, or with a back
 *      reference inside, each repetition is taken apart in turn.
 */
#include "vec/are_internal.h"

struct splitter {
    struct kp_are *are;
    unsigned depth;
    bool too_deep;
};

/* Inside becomes outside: preferences are gone, but that there are both is not. */
static unsigned trend_up(unsigned trend)
{
    unsigned up = trend & ~(unsigned)ARE_PREFERENCE;
    return (trend & ARE_PREFERENCE) == ARE_PREFERENCE ? up | ARE_MIXED : up;
}

static bool is_messy(unsigned trend)
{
    return trend & (ARE_MIXED | ARE_CAPTURES | ARE_REFERS);
}

/* Of a first thing and a second: the first preference counts. */
static unsigned combine(unsigned first, unsigned second)
{
    unsigned preference = first & ARE_PREFERENCE ? first & ARE_PREFERENCE : second & ARE_PREFERENCE;
    return trend_up(first | second) | preference;
}

static struct are_part *new_part(struct splitter *splitter, enum are_part_kind kind, unsigned trend)
{
    struct are_part *part = kp_arena_calloc(&splitter->are->arena, sizeof *part);
    *part = (struct are_part){.kind = kind, .trend = (uint8_t)trend, .min = 1, .max = 1};
    return part;
}

static struct are_part *concat(struct splitter *splitter, unsigned trend, struct are_part *left, struct are_part *right)
{
    struct are_part *part = new_part(splitter, ARE_P_CONCAT, trend);
    part->child = left;
    left->next = right;
    return part;
}

static struct are_part *repeat(struct splitter *splitter, unsigned trend, struct are_part *what, unsigned min,
                               unsigned max)
{
    struct are_part *part = new_part(splitter, ARE_P_REPEAT, trend);
    part->child = what;
    part->min = (uint16_t)min;
    part->max = (uint16_t)max;
    return part;
}

static struct are_part *items(struct splitter *splitter, const struct are_node *first)
{
    struct are_part *part = new_part(splitter, ARE_P_ITEMS, 0);
    part->leaf = true;
    part->first = part->end = first;
    return part;
}

static struct are_part *split_branches(struct splitter *splitter, const struct are_node *branches);

static struct are_part *split_group(struct splitter *splitter, const struct are_node *group)
{
    struct are_part *part = split_branches(splitter, group->child);
    if (!group->value)
        return part;
    if (part->group) {
        struct are_part *outer = new_part(splitter, ARE_P_CAPTURE, part->trend);
        outer->child = part;
        part = outer;
    }
    part->trend |= ARE_CAPTURES;
    part->group = group->value;
    return part;
}

static struct are_part *split_reference(struct splitter *splitter, const struct are_node *item)
{
    struct are_part *part = new_part(splitter, ARE_P_REFERENCE, ARE_REFERS);
    part->first = item;
    return part;
}

/* The item with its quantifier, as parts; atom is what it repeats. */
static struct are_part *quantify(struct splitter *splitter, const struct are_node *item, struct are_part *atom)
{
    unsigned inside = atom->trend & (ARE_PREFERENCE | ARE_MIXED), trend = combine(item->prefer, atom->trend);
    unsigned max = item->max == ARE_INFINITE ? ARE_INFINITE : item->max - 1u;
    if (item->kind == ARE_REFERENCE) {
        atom->min = item->min;
        atom->max = item->max;
        atom->trend |= (uint8_t)trend;
        return atom;
    }
    if (item->min == 1 && item->max == 1 && (item->prefer == 0 || inside == 0 || item->prefer == inside))
        return atom;
    if (!(atom->trend & (ARE_CAPTURES | ARE_REFERS))) {
        struct are_part *part = repeat(splitter, trend, atom, item->min, item->max);
        part->leaf = true;
        return part;
    }
    if (item->min == 0 || atom->trend & ARE_REFERS)
        return repeat(splitter, trend, atom, item->min, item->max);
    struct are_part *before = repeat(splitter, trend & ARE_PREFERENCE, atom, item->min - 1u, max);
    before->leaf = true;
    return concat(splitter, trend, before, atom);
}

static struct are_part *split_branch(struct splitter *splitter, const struct are_node *first);

/* A run of items before one that ends it, that item's atom, and the rest of the branch. */
static struct are_part *split_run(struct splitter *splitter, struct are_part *run, const struct are_node *item,
                                  struct are_part *atom)
{
    if (!atom) {
        atom = new_part(splitter, ARE_P_ATOM, 0);
        atom->leaf = true;
        atom->first = item;
    }
    bool alone = run->first == run->end;
    unsigned trend = combine(item->prefer, atom->trend), whole;
    struct are_part *part = quantify(splitter, item, atom), *rest;
    if (!item->next) {
        whole = run->trend | combine(run->trend, part->trend);
        return alone ? part : concat(splitter, whole, run, part);
    }
    rest = split_branch(splitter, item->next);
    trend |= combine(trend, rest->trend);
    whole = run->trend | combine(run->trend, trend);
    if (alone)
        return concat(splitter, whole, part, rest);
    bool plain = part->leaf && rest->leaf && !is_messy(trend_up(part->trend | rest->trend));
    unsigned both = plain ? combine(part->trend, rest->trend) : trend;
    struct are_part *tail = concat(splitter, both, part, rest);
    tail->leaf = plain;
    return concat(splitter, whole, run, tail);
}

static struct are_part *split_branch(struct splitter *splitter, const struct are_node *first)
{
    struct are_part *run = items(splitter, first);
    if (++splitter->depth > ARE_DEPTH_MAX) {
        splitter->too_deep = true;
        splitter->depth--;
        return run;
    }
    for (const struct are_node *item = first; item; item = item->next) {
        struct are_part *atom = NULL;
        run->end = item->next;
        if (item->kind == ARE_CONDITION || item->kind == ARE_LOOK || item->max == 0)
            continue;
        if (item->kind == ARE_GROUP)
            atom = split_group(splitter, item);
        else if (item->kind == ARE_REFERENCE)
            atom = split_reference(splitter, item);
        unsigned trend = run->trend | item->prefer | (atom ? atom->trend : 0u);
        if (is_messy(trend_up(trend))) {
            run->end = item;
            run = split_run(splitter, run, item, atom);
            break;
        }
        run->trend = (uint8_t)trend;
    }
    splitter->depth--;
    return run;
}

static struct are_part *split_branches(struct splitter *splitter, const struct are_node *branches)
{
    if (!branches->next)
        return split_branch(splitter, branches->child);
    struct are_part *either = new_part(splitter, ARE_P_EITHER, ARE_LONGER), **end = &either->child;
    for (const struct are_node *branch = branches; branch; branch = branch->next) {
        *end = split_branch(splitter, branch->child);
        either->trend |= (uint8_t)trend_up(either->trend | (*end)->trend);
        end = &(*end)->next;
    }
    either->leaf = !is_messy(either->trend);
    return either;
}

struct are_part *kp_are_split(struct kp_are *are)
{
    struct splitter splitter = {.are = are};
    struct are_part *part = split_branches(&splitter, are->branches);
    return splitter.too_deep ? NULL : part;
}
