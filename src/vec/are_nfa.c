/*
 * States of an automaton for a part of a pattern, or for a look-around, by Thompson's construction: each construct is
 * built in front of what follows it, from the last to the first.
 *
 *   x{2,4}   x x (x (x)?)?         x{2,}   x x x*         x*   a split to x, which comes back, and on
 *
 * In place of a back reference stands what its group may match anywhere, without conditions: more than it matches. What
 * is found so is looked at again when it is taken apart.
 */
#include "vec/are_internal.h"

struct builder {
    const struct kp_are *are;
    struct are_nfa *nfa;
    bool free; /* conditions are left out */
};

static uint32_t add_state(struct builder *builder, enum are_state_kind kind, uint32_t value, uint32_t out)
{
    struct are_nfa *nfa = builder->nfa;
    if (nfa->count >= ARE_STATES_MAX) {
        nfa->count = ARE_STATES_MAX + 1; /* too many */
        return 0;
    }
    if (nfa->count == nfa->cap) {
        nfa->cap = nfa->cap ? 2 * nfa->cap : 32;
        nfa->states = kp_realloc(nfa->states, nfa->cap * sizeof *nfa->states);
    }
    nfa->states[nfa->count] = (struct are_state){(uint8_t)kind, value, out};
    return nfa->count++;
}

static bool is_full(const struct builder *builder)
{
    return builder->nfa->count > ARE_STATES_MAX;
}

/* What is repeated: a syntax node without its quantifier, or a part. */
struct repeated {
    const struct are_node *node;
    const struct are_part *part;
};

static uint32_t build_atom(struct builder *builder, const struct are_node *node, uint32_t next);
static uint32_t build_part(struct builder *builder, const struct are_part *part, uint32_t next);

static uint32_t build_once(struct builder *builder, struct repeated what, uint32_t next)
{
    return what.node ? build_atom(builder, what.node, next) : build_part(builder, what.part, next);
}

static uint32_t build_repeated(struct builder *builder, struct repeated what, unsigned min, unsigned max, uint32_t next)
{
    if (max == ARE_INFINITE) {
        uint32_t loop = add_state(builder, ARE_S_SPLIT, next, 0);
        uint32_t once = build_once(builder, what, loop);
        if (!is_full(builder))
            builder->nfa->states[loop].out = once;
        next = loop;
    } else {
        uint32_t behind = next;
        for (unsigned i = min; i < max && !is_full(builder); i++)
            next = add_state(builder, ARE_S_SPLIT, behind, build_once(builder, what, next));
    }
    for (unsigned i = 0; i < min && !is_full(builder); i++)
        next = build_once(builder, what, next);
    return next;
}

/* Items from `first` to before `end`, which is of the same list or NULL. */
static uint32_t build_items(struct builder *builder, const struct are_node *first, const struct are_node *end,
                            uint32_t next)
{
    uint32_t count = 0;
    for (const struct are_node *item = first; item != end; item = item->next)
        count++;
    const struct are_node **list = kp_alloc((count + 1) * sizeof *list);
    count = 0;
    for (const struct are_node *item = first; item != end; item = item->next)
        list[count++] = item;
    while (count-- && !is_full(builder))
        next =
            build_repeated(builder, (struct repeated){.node = list[count]}, list[count]->min, list[count]->max, next);
    kp_free(list);
    return next;
}

static uint32_t build_branches(struct builder *builder, const struct are_node *branches, uint32_t next)
{
    uint32_t start = build_items(builder, branches->child, NULL, next);
    for (const struct are_node *branch = branches->next; branch && !is_full(builder); branch = branch->next)
        start = add_state(builder, ARE_S_SPLIT, start, build_items(builder, branch->child, NULL, next));
    return start;
}

static uint32_t build_reference(struct builder *builder, uint32_t group, uint32_t next)
{
    bool was_free = builder->free;
    builder->free = true;
    next = build_branches(builder, builder->are->groups[group]->child, next);
    builder->free = was_free;
    return next;
}

static uint32_t build_atom(struct builder *builder, const struct are_node *node, uint32_t next)
{
    if (is_full(builder))
        return next;
    switch (node->kind) {
    case ARE_SET:
        return add_state(builder, ARE_S_SET, node->value, next);
    case ARE_CONDITION:
        builder->nfa->conditions |= !builder->free;
        return builder->free ? next : add_state(builder, ARE_S_CONDITION, node->value, next);
    case ARE_LOOK:
        builder->nfa->looks |= !builder->free;
        return builder->free ? next : add_state(builder, ARE_S_LOOK, node->value, next);
    case ARE_GROUP:
        return build_branches(builder, node->child, next);
    case ARE_REFERENCE:
        return build_reference(builder, node->value, next);
    case ARE_BRANCH:
        break;
    }
    return next;
}

static uint32_t build_children(struct builder *builder, const struct are_part *child, uint32_t next)
{
    if (child->next)
        next = build_children(builder, child->next, next);
    return build_part(builder, child, next);
}

static uint32_t build_part(struct builder *builder, const struct are_part *part, uint32_t next)
{
    uint32_t start;
    if (is_full(builder))
        return next;
    switch (part->kind) {
    case ARE_P_ITEMS:
        return build_items(builder, part->first, part->end, next);
    case ARE_P_ATOM:
        return build_atom(builder, part->first, next);
    case ARE_P_REFERENCE:
        return build_repeated(builder, (struct repeated){.node = part->first}, part->min, part->max, next);
    case ARE_P_CONCAT:
        return build_children(builder, part->child, next);
    case ARE_P_EITHER:
        start = build_part(builder, part->child, next);
        for (const struct are_part *child = part->child->next; child; child = child->next)
            start = add_state(builder, ARE_S_SPLIT, start, build_part(builder, child, next));
        return start;
    case ARE_P_REPEAT:
        return build_repeated(builder, (struct repeated){.part = part->child}, part->min, part->max, next);
    case ARE_P_CAPTURE:
        return build_part(builder, part->child, next);
    }
    return next;
}

static bool finish(struct builder *builder, struct are_nfa *ret_nfa)
{
    if (is_full(builder)) {
        kp_free(ret_nfa->states);
        *ret_nfa = (struct are_nfa){0};
        return false;
    }
    return true;
}

bool kp_are_nfa_of_part(const struct kp_are *are, const struct are_part *part, struct are_nfa *ret_nfa)
{
    struct builder builder = {.are = are, .nfa = ret_nfa};
    *ret_nfa = (struct are_nfa){0};
    ret_nfa->start = build_part(&builder, part, add_state(&builder, ARE_S_MATCH, 0, 0));
    return finish(&builder, ret_nfa);
}

bool kp_are_nfa_of_branches(const struct kp_are *are, const struct are_node *branches, struct are_nfa *ret_nfa)
{
    struct builder builder = {.are = are, .nfa = ret_nfa};
    *ret_nfa = (struct are_nfa){0};
    ret_nfa->start = build_branches(&builder, branches, add_state(&builder, ARE_S_MATCH, 0, 0));
    return finish(&builder, ret_nfa);
}
