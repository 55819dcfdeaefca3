/*
 * States run over a text. A state here is a set of the automaton's states, with what is behind the position; which one
 * follows on which class of characters is computed when it is first met and remembered (a lazily made DFA). Memory is
 * bounded: when it is full, everything is forgotten.
 *
 * Invariants:
 *   1. A set is what is reached without looking at the position. Conditions and look-arounds are decided when it is
 *      left, because they depend on the next character: so a match is seen one character late, at the end of the text
 *      on a class of its own (EDGE).
 *   2. With look-arounds nothing is remembered of what follows on what, since that depends on the text beyond.
 *   3. Steps are counted alike whether they are remembered or not: what is too long does not depend on the rows before.
 */
#include "base/hash.h"
#include "base/utf8.h"
#include "vec/are_internal.h"

enum {
    DEAD = 0, /* the state that leads nowhere */
    REMEMBERED_BYTES_MAX = 1 << 20,
    REMEMBERED_MIN = 16,       /* states, however large */
    LOOK_EVERY_STEPS = 1 << 16 /* between looks at the limit and the cancellation */
};
#define STEPS_MAX (UINT64_C(1) << 28) /* of a search: about a second */
enum { FRESH = 8 /* beside enum are_trait: nothing but the start is in the set */ };

struct are_dfa {
    struct are_dfa *made_before;
    struct are_nfa nfa;
    bool anywhere;      /* begins at each position anew */
    bool at_begin;      /* matches at the text's begin only: then not */
    uint32_t step_cost; /* larger automata take longer */
    uint32_t words;     /* of a set's bits */
    uint32_t symbols;   /* classes and EDGE */
    uint32_t count, cap;
    uint64_t *sets;   /* of state i from i * words */
    uint8_t *behind;  /* enum are_trait and FRESH */
    uint32_t *follow; /* [state * symbols + symbol]: 0 unknown, else 2 * (state + 1) + whether a match ends here */
    uint32_t *slots;  /* state + 1 by hash, 0: free */
    uint32_t slot_count;
    uint32_t starts[16]; /* state + 1 by what is behind */
    uint64_t generation; /* how often everything was forgotten */
    uint64_t *now, *then;
    uint32_t *stack, *pending;
    uint32_t pending_count;
    size_t resume_at; /* a look behind goes on where it was, with this set */
    uint64_t *resume_set;
    uint8_t resume_behind;
};

static void reach(struct are_dfa *dfa, uint64_t *set, uint32_t state);

/* Whether all that the automaton begins with is ^ of the text. */
static bool is_at_begin(struct are_dfa *dfa)
{
    bool all = true;
    reach(dfa, dfa->then, dfa->nfa.start);
    for (uint32_t s = 0; s < dfa->nfa.count; s++) {
        const struct are_state *state = &dfa->nfa.states[s];
        if ((dfa->then[s / 64] >> (s % 64)) & 1 && state->kind != ARE_S_SPLIT)
            all &= state->kind == ARE_S_CONDITION && state->value == ARE_TEXT_BEGIN;
    }
    return all;
}

static struct are_dfa *create(struct are_run *run, struct are_nfa nfa, bool anywhere)
{
    struct kp_are *are = run->are;
    struct are_dfa *dfa = kp_calloc(1, sizeof *dfa);
    dfa->nfa = nfa;
    dfa->anywhere = anywhere;
    dfa->step_cost = 1 + nfa.count / 64;
    dfa->words = (nfa.count + 63) / 64;
    dfa->symbols = are->classes.count + 1u;
    size_t bytes = dfa->words * sizeof *dfa->sets + dfa->symbols * sizeof *dfa->follow;
    dfa->cap = (uint32_t)KP_MAX(REMEMBERED_BYTES_MAX / bytes, (size_t)REMEMBERED_MIN);
    dfa->cap = KP_MIN(dfa->cap, 4096);
    dfa->now = kp_calloc(dfa->words, sizeof *dfa->now);
    dfa->then = kp_calloc(dfa->words, sizeof *dfa->then);
    dfa->stack = kp_alloc((2 * (size_t)nfa.count + 2) * sizeof *dfa->stack);
    dfa->pending = kp_alloc(((size_t)nfa.count + 1) * sizeof *dfa->pending);
    dfa->resume_set = kp_calloc(dfa->words, sizeof *dfa->resume_set);
    dfa->resume_at = ARE_NOWHERE;
    dfa->at_begin = is_at_begin(dfa);
    dfa->made_before = are->all;
    are->all = dfa;
    return dfa;
}

void kp_are_dfa_destroy_all(struct kp_are *are)
{
    for (struct are_dfa *dfa = are->all, *before; dfa; dfa = before) {
        before = dfa->made_before;
        kp_free(dfa->nfa.states);
        kp_free(dfa->sets);
        kp_free(dfa->behind);
        kp_free(dfa->follow);
        kp_free(dfa->slots);
        kp_free(dfa->resume_set);
        kp_free(dfa->now);
        kp_free(dfa->then);
        kp_free(dfa->stack);
        kp_free(dfa->pending);
        kp_free(dfa);
    }
}

size_t kp_are_dfa_bytes_all(const struct kp_are *are)
{
    size_t bytes = 0;
    for (const struct are_dfa *dfa = are->all; dfa; dfa = dfa->made_before) {
        size_t set = dfa->words * sizeof *dfa->sets, state = set + 1 + dfa->symbols * sizeof *dfa->follow;
        bytes += sizeof *dfa + dfa->nfa.cap * sizeof *dfa->nfa.states;
        bytes += (size_t)dfa->slot_count / 2 * state + dfa->slot_count * sizeof *dfa->slots;
        bytes += 3 * set + (3 * (size_t)dfa->nfa.count + 3) * sizeof *dfa->stack; /* a step's */
    }
    return bytes;
}

static struct are_dfa *create_or_stop(struct are_run *run, bool good, struct are_nfa nfa, bool anywhere)
{
    if (!good) {
        run->stopped = KP_ARE_TOO_LARGE;
        return NULL;
    }
    return create(run, nfa, anywhere);
}

struct are_dfa *kp_are_dfa_of_part(struct are_run *run, struct are_part *part)
{
    struct are_nfa nfa;
    if (!part->dfa)
        part->dfa = create_or_stop(run, kp_are_nfa_of_part(run->are, part, &nfa), nfa, false);
    return part->dfa;
}

struct are_dfa *kp_are_dfa_anywhere(struct are_run *run)
{
    struct are_nfa nfa;
    if (!run->are->seek)
        run->are->seek = create_or_stop(run, kp_are_nfa_of_part(run->are, run->are->whole, &nfa), nfa, true);
    return run->are->seek;
}

static struct are_dfa *dfa_of_look(struct are_run *run, struct are_lookaround *look)
{
    struct are_nfa nfa;
    bool behind = look->kind == ARE_BEHIND || look->kind == ARE_BEHIND_NOT;
    if (!look->dfa)
        look->dfa = create_or_stop(run, kp_are_nfa_of_branches(run->are, look->branches, &nfa), nfa, behind);
    return look->dfa;
}

void kp_are_dfa_forget_text(struct kp_are *are)
{
    for (struct are_dfa *dfa = are->all; dfa; dfa = dfa->made_before)
        dfa->resume_at = ARE_NOWHERE;
}

/* ---- sets, remembered as states ---- */

static bool has(const uint64_t *set, uint32_t state)
{
    return (set[state / 64] >> (state % 64)) & 1;
}

/* Adds what is reached from a state without a look at the position; conditions are noted as pending. */
static void reach(struct are_dfa *dfa, uint64_t *set, uint32_t state)
{
    uint32_t depth = 0;
    dfa->stack[depth++] = state;
    while (depth) {
        uint32_t s = dfa->stack[--depth];
        if (has(set, s))
            continue;
        set[s / 64] |= UINT64_C(1) << (s % 64);
        const struct are_state *at = &dfa->nfa.states[s];
        if (at->kind == ARE_S_SPLIT) {
            dfa->stack[depth++] = at->value;
            dfa->stack[depth++] = at->out;
        } else if (at->kind == ARE_S_CONDITION || at->kind == ARE_S_LOOK) {
            dfa->pending[dfa->pending_count++] = s;
        }
    }
}

static void forget(struct are_dfa *dfa)
{
    dfa->count = 0;
    dfa->generation++;
    memset(dfa->starts, 0, sizeof dfa->starts);
    if (dfa->slots)
        memset(dfa->slots, 0, dfa->slot_count * sizeof *dfa->slots);
}

static void place(struct are_dfa *dfa, uint32_t state)
{
    uint64_t hash =
        kp_hash_combine(kp_hash_bytes(dfa->sets + (size_t)state * dfa->words, dfa->words * 8), dfa->behind[state]);
    uint32_t slot = (uint32_t)(hash % dfa->slot_count);
    while (dfa->slots[slot])
        slot = (slot + 1) % dfa->slot_count;
    dfa->slots[slot] = state + 1;
}

/* Room for more states: few patterns need many. */
static void grow(struct are_dfa *dfa)
{
    uint32_t room = dfa->slot_count / 2, more = KP_MIN(KP_MAX(2 * room, 16u), dfa->cap);
    if (dfa->count < room)
        return;
    if (more <= room) {
        forget(dfa);
        return;
    }
    dfa->sets = kp_realloc(dfa->sets, (size_t)more * dfa->words * sizeof *dfa->sets);
    dfa->behind = kp_realloc(dfa->behind, more);
    dfa->follow = kp_realloc(dfa->follow, (size_t)more * dfa->symbols * sizeof *dfa->follow);
    dfa->slots = kp_realloc(dfa->slots, 2 * (size_t)more * sizeof *dfa->slots);
    dfa->slot_count = 2 * more;
    memset(dfa->slots, 0, dfa->slot_count * sizeof *dfa->slots);
    for (uint32_t i = 0; i < dfa->count; i++)
        place(dfa, i);
}

static uint32_t add_state(struct are_dfa *dfa, const uint64_t *set, uint8_t behind)
{
    uint32_t state = dfa->count++;
    memcpy(dfa->sets + (size_t)state * dfa->words, set, dfa->words * sizeof *set);
    memset(dfa->follow + (size_t)state * dfa->symbols, 0, dfa->symbols * sizeof *dfa->follow);
    dfa->behind[state] = behind;
    place(dfa, state);
    return state;
}

/* The state of a set; the first ever is DEAD, of the empty set. */
static uint32_t state_of(struct are_dfa *dfa, const uint64_t *set, uint8_t behind)
{
    uint64_t any = 0;
    for (uint32_t i = 0; i < dfa->words; i++)
        any |= set[i];
    if (!any)
        return DEAD;
    uint64_t hash = kp_hash_combine(kp_hash_bytes(set, dfa->words * sizeof *set), behind);
    for (uint32_t slot = dfa->slot_count ? (uint32_t)(hash % dfa->slot_count) : 0; dfa->slot_count && dfa->slots[slot];
         slot = (slot + 1) % dfa->slot_count) {
        uint32_t state = dfa->slots[slot] - 1;
        if (dfa->behind[state] == behind &&
            memcmp(dfa->sets + (size_t)state * dfa->words, set, dfa->words * sizeof *set) == 0)
            return state;
    }
    grow(dfa);
    if (dfa->count == 0) {
        uint64_t *none = kp_calloc(dfa->words, sizeof *none);
        add_state(dfa, none, 0);
        kp_free(none);
    }
    return add_state(dfa, set, behind);
}

/* ---- one step ---- */

static bool holds(enum are_condition condition, uint8_t behind, uint8_t ahead)
{
    bool word_behind = behind & ARE_WORD_CHARACTER, word_ahead = ahead & ARE_WORD_CHARACTER;
    switch (condition) {
    case ARE_TEXT_BEGIN:
        return behind & ARE_EDGE;
    case ARE_LINE_BEGIN:
        return behind & (ARE_EDGE | ARE_LINE_END);
    case ARE_TEXT_END:
        return ahead & ARE_EDGE;
    case ARE_LINE_END_AHEAD:
        return ahead & (ARE_EDGE | ARE_LINE_END);
    case ARE_WORD_BEGIN:
        return !word_behind && word_ahead;
    case ARE_WORD_END:
        return word_behind && !word_ahead;
    case ARE_WORD_EDGE:
        return word_behind != word_ahead;
    case ARE_NO_WORD_EDGE:
        return word_behind == word_ahead;
    }
    return false;
}

static bool look_holds(struct are_run *run, struct are_lookaround *look, size_t at);

/* Adds to dfa->now what the conditions at this position let through. */
static void pass_conditions(struct are_run *run, struct are_dfa *dfa, uint8_t behind, uint8_t ahead, size_t at)
{
    dfa->pending_count = 0;
    for (uint32_t w = 0; w < dfa->words; w++)
        for (uint64_t bits = dfa->now[w]; bits; bits &= bits - 1) {
            uint32_t s = w * 64 + (uint32_t)__builtin_ctzll(bits);
            uint8_t kind = dfa->nfa.states[s].kind;
            if (kind == ARE_S_CONDITION || kind == ARE_S_LOOK)
                dfa->pending[dfa->pending_count++] = s;
        }
    while (dfa->pending_count && !are_run_over(run)) {
        const struct are_state *state = &dfa->nfa.states[dfa->pending[--dfa->pending_count]];
        if (state->kind == ARE_S_CONDITION ? holds((enum are_condition)state->value, behind, ahead)
                                           : look_holds(run, &run->are->looks[state->value], at))
            reach(dfa, dfa->now, state->out);
    }
}

/* What follows state on symbol, in the form of `follow`. */
static uint32_t step(struct are_run *run, struct are_dfa *dfa, uint32_t state, uint32_t symbol, size_t at)
{
    const struct are_classes *classes = &run->are->classes;
    bool edge = symbol == classes->count, ends = false, fresh = true;
    uint8_t ahead = edge ? ARE_EDGE : classes->traits[symbol];
    memcpy(dfa->now, dfa->sets + (size_t)state * dfa->words, dfa->words * sizeof *dfa->now);
    memset(dfa->then, 0, dfa->words * sizeof *dfa->then);
    if (dfa->nfa.conditions || dfa->nfa.looks)
        pass_conditions(run, dfa, dfa->behind[state], ahead, at);
    dfa->pending_count = 0;
    for (uint32_t w = 0; w < dfa->words; w++)
        for (uint64_t bits = dfa->now[w]; bits; bits &= bits - 1) {
            const struct are_state *from = &dfa->nfa.states[w * 64 + (uint32_t)__builtin_ctzll(bits)];
            ends |= from->kind == ARE_S_MATCH;
            if (from->kind == ARE_S_SET && !edge && classes->member[(size_t)from->value * classes->count + symbol]) {
                reach(dfa, dfa->then, from->out);
                fresh = false;
            }
        }
    if (dfa->anywhere && !dfa->at_begin && !edge)
        reach(dfa, dfa->then, dfa->nfa.start);
    uint64_t generation = dfa->generation;
    uint8_t behind = (uint8_t)((dfa->nfa.conditions ? ahead : 0) | (dfa->anywhere && fresh ? FRESH : 0));
    uint32_t follow = 2 * (state_of(dfa, dfa->then, behind) + 1) + ends;
    if (!dfa->nfa.looks && dfa->generation == generation)
        dfa->follow[(size_t)state * dfa->symbols + symbol] = follow;
    return follow;
}

/* The class of the character at a position, or EDGE behind the last; *ret_size its bytes. */
static inline uint32_t symbol_at(const struct are_run *run, size_t at, size_t *ret_size)
{
    const struct are_classes *classes = &run->are->classes;
    if (at >= run->len)
        return classes->count;
    unsigned char c = (unsigned char)run->text[at];
    *ret_size = 1;
    if (c < 0x80)
        return classes->ascii[c];
    const char *next = run->text + at;
    uint32_t symbol = kp_are_class_beyond_ascii(classes, kp_utf8_next(&next));
    *ret_size = (size_t)(next - run->text) - at;
    return symbol;
}

static uint32_t start_at(struct are_run *run, struct are_dfa *dfa, size_t begin)
{
    uint8_t behind = dfa->anywhere ? FRESH : 0;
    if (dfa->nfa.conditions) {
        size_t size;
        behind |= begin == 0 ? ARE_EDGE : run->are->classes.traits[symbol_at(run, are_before(run->text, begin), &size)];
    }
    if (!dfa->starts[behind]) {
        dfa->pending_count = 0;
        memset(dfa->then, 0, dfa->words * sizeof *dfa->then);
        reach(dfa, dfa->then, dfa->nfa.start);
        uint32_t state = state_of(dfa, dfa->then, behind);
        dfa->starts[behind] = state + 1;
    }
    return dfa->starts[behind] - 1;
}

static void look_at_limits(struct are_run *run)
{
    run->look_at = run->steps + LOOK_EVERY_STEPS;
    if (run->steps > STEPS_MAX)
        run->stopped = KP_ARE_TOO_LONG;
    run->vain = run->waiting && kp_arena_vain(run->waiting);
}

static inline uint32_t follow_of(struct are_run *run, struct are_dfa *dfa, uint32_t state, uint32_t symbol, size_t at)
{
    uint32_t follow = dfa->follow[(size_t)state * dfa->symbols + symbol];
    run->steps += dfa->step_cost;
    if (run->steps >= run->look_at)
        look_at_limits(run);
    return follow ? follow : step(run, dfa, state, symbol, at);
}

size_t kp_are_longest(struct are_run *run, struct are_dfa *dfa, size_t begin, size_t limit)
{
    size_t last = ARE_NOWHERE, size = 0;
    uint32_t state = start_at(run, dfa, begin);
    for (size_t at = begin; state != DEAD && !are_run_over(run); at += size) {
        uint32_t symbol = symbol_at(run, at, &size), follow = follow_of(run, dfa, state, symbol, at);
        if (follow & 1)
            last = at;
        if (at >= limit)
            break;
        state = follow / 2 - 1;
    }
    return are_run_over(run) ? ARE_NOWHERE : last;
}

size_t kp_are_shortest(struct are_run *run, struct are_dfa *dfa, size_t begin, size_t min, size_t limit,
                       size_t *ret_cold)
{
    size_t size = 0, cold = begin;
    uint32_t state = start_at(run, dfa, begin);
    for (size_t at = begin; state != DEAD && !are_run_over(run); at += size) {
        if (dfa->behind[state] & FRESH)
            cold = at;
        uint32_t symbol = symbol_at(run, at, &size), follow = follow_of(run, dfa, state, symbol, at);
        if (follow & 1 && at >= min) {
            if (ret_cold)
                *ret_cold = cold;
            return are_run_over(run) ? ARE_NOWHERE : at;
        }
        if (at >= limit)
            break;
        state = follow / 2 - 1;
    }
    return ARE_NOWHERE;
}

/* Whether some match from the text's begin or later ends at `at`: goes on from where it was asked last. */
static bool ends_at(struct are_run *run, struct are_dfa *dfa, size_t at)
{
    size_t size = 0, from = dfa->resume_at;
    uint32_t state;
    if (from == ARE_NOWHERE || from > at) {
        from = 0;
        state = start_at(run, dfa, 0);
    } else {
        state = state_of(dfa, dfa->resume_set, dfa->resume_behind);
    }
    for (; from < at && !are_run_over(run); from += size) {
        uint32_t symbol = symbol_at(run, from, &size);
        state = follow_of(run, dfa, state, symbol, from) / 2 - 1;
    }
    memcpy(dfa->resume_set, dfa->sets + (size_t)state * dfa->words, dfa->words * sizeof *dfa->resume_set);
    dfa->resume_behind = dfa->behind[state];
    dfa->resume_at = from;
    return follow_of(run, dfa, state, symbol_at(run, from, &size), from) & 1;
}

static bool look_holds(struct are_run *run, struct are_lookaround *look, size_t at)
{
    struct are_dfa *dfa = dfa_of_look(run, look);
    if (!dfa)
        return false;
    switch (look->kind) {
    case ARE_AHEAD:
        return kp_are_shortest(run, dfa, at, at, run->len, NULL) != ARE_NOWHERE;
    case ARE_AHEAD_NOT:
        return kp_are_shortest(run, dfa, at, at, run->len, NULL) == ARE_NOWHERE;
    case ARE_BEHIND:
        return ends_at(run, dfa, at);
    case ARE_BEHIND_NOT:
        return !ends_at(run, dfa, at);
    }
    return false;
}
